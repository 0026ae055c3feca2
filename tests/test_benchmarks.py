"""The benchmark suite: simulated movies and their truth, what is measured, fits, comparisons."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, replace

import numpy as np
import pytest
import scipy.sparse as sp

from benchmarks import report, sweep
from benchmarks.__main__ import main, parse
from benchmarks.costs import MEMORY_TERMS, fit_cost, parallel_share
from benchmarks.losses import losses
from benchmarks.memory import MemoryWatch
from benchmarks.movies import SIZES, scaling_cases, sweep_cases
from benchmarks.run import STAGES, Stages, engines, measure_cold, parameters_for
from benchmarks.scaling import TARGET, Scaling, growth, table
from workshop_utils.measures.scoring import score, shift_error
from workshop_utils.movies.truth import Truth, load_truth

TINY = replace(sweep_cases()[0], name="tiny", px=72, frames=160)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    pytest.importorskip("minisim", reason="minisim, which makes the movies, isn't installed")
    return tmp_path_factory.mktemp("movies")


@pytest.fixture(scope="module")
def tiny(cache):
    from benchmarks.recordings import make

    return make(TINY, cache)


@pytest.fixture(scope="module")
def measured(tiny):
    return measure_cold(tiny, 1, sweep.THRESHOLDS, profiled="fit")


@pytest.mark.filterwarnings("ignore:Motion extent")
def test_streamed_movie_and_truth_are_those_of_minisim(tiny):
    import minisim
    import tifffile

    from benchmarks.recordings import sensor_gain, truth_recording
    from benchmarks.specs import spec_of

    spec = spec_of(TINY, sensor_gain(TINY))
    whole = minisim.simulate(spec)
    movie = tifffile.imread(tiny)
    assert movie.dtype == np.uint8 and movie.shape == (160, 72, 72)
    np.testing.assert_array_equal(movie, whole.observed.astype(np.uint8))
    truth = truth_recording(spec).ground_truth
    for name in (
        "A_observed",
        "C",
        "S",
        "bleaching",
        "shifts",
        "illumination",
        "vignette",
        "vasculature_mask",
    ):
        np.testing.assert_array_equal(getattr(truth, name), getattr(whole.ground_truth, name), err_msg=name)


def test_truth_file_scores_itself_perfectly(tiny):
    truth = load_truth(tiny.with_name(f"{tiny.stem}_truth.npz"))
    assert truth.fr == 10 and 3.2 < truth.pixel_size_um < 3.4
    assert 0 < truth.detectable.sum() < len(truth.A)
    A = truth.A.transpose(0, 2, 1).reshape(len(truth.A), -1).T
    perfect = score(A, truth.C, truth)
    assert (perfect.precision, perfect.recall) == (1, 1)
    assert shift_error(-truth.shifts, truth.shifts) < 1e-6
    assert np.abs(truth.shifts).max() > 2


def test_movie_is_made_once(tiny, cache):
    from benchmarks.recordings import make

    before = tiny.stat().st_mtime_ns
    assert make(TINY, cache) == tiny and tiny.stat().st_mtime_ns == before
    assert not [path for path in cache.iterdir() if path.is_dir()], "the work folder is left behind"


def test_cell_size_follows_the_sampling():
    pytest.importorskip("minisim")
    from benchmarks.specs import half_size

    coarse = half_size(TINY, np.array([2.4]))
    assert coarse == 3, "the lessons' gSig for this scope and binning"
    assert half_size(replace(TINY, binning=1), np.array([4.8])) == 2 * coarse


def test_cases_differ_and_have_names_of_their_own():
    cases = sweep_cases()
    assert len(cases) >= 24 and len({case.name for case in cases}) == len(cases)
    assert len({case.seed for case in cases}) == len(cases)
    assert {case.region for case in cases} == {"ca1", "cortex"} and {case.scope for case in cases} == {
        "v3",
        "v4",
    }
    assert [(c.frames, c.px, c.cells) for c in SIZES.values()] == [
        (1000, 128, 60),
        (3000, 256, 220),
        (12000, 256, 220),
    ]
    frames, px, cells = np.array([(c.frames, c.px**2, c.cells) for c in scaling_cases((100, 40, 5))]).T
    assert set(frames) == {100, 200, 400, 800} and set(cells) == {5, 10, 20}
    np.testing.assert_allclose(np.unique(px) / 1600, [1, 2, 4], rtol=0.05)


def test_a_measurement_holds_all_figures(measured):
    assert tuple(measured["stages"]) == STAGES
    assert sum(measured["stages"].values()) <= measured["total_s"] + 0.1 <= measured["process_s"] + 0.2
    assert 0 < measured["private_MB"] <= measured["peak_MB"] < 4000
    assert max(peak for peak, _ in measured["stage_MB"].values()) <= measured["peak_MB"]
    assert measured["shift_error_px"] < 1 < measured["motion_px"]
    assert 0 < sum(measured["stages_cpu"].values()) <= measured["total_cpu_s"] + 0.1
    assert measured["all"]["f1"] > 0.5
    assert "cumtime" in measured["profile"] and "spans" not in measured


def test_a_measurement_can_be_shown_and_compared(measured, capsys):
    report.show(measured)
    text = capsys.readouterr().out
    assert (
        "160 x 72 x 72" in text and "after evaluation: precision" in text and "left after correction" in text
    )
    slower = measured | {"process_s": measured["process_s"] / 2}
    line = next(row for row in report.against([measured], [slower]).splitlines() if "process_s" in row)
    assert line.split()[-1] == "2.00"
    assert "not in the earlier run" in report.against([measured], [])
    rows = report.markdown([measured]).splitlines()
    assert len({row.count("|") for row in rows}) == 1 and len(rows) == 3


def test_failure_of_the_measured_process_is_an_error(tmp_path):
    missing = tmp_path / "nothing.tif"
    with pytest.raises(subprocess.CalledProcessError, match="nothing.tif"):
        measure_cold(missing, 1)


def test_parameters_follow_the_truth(tmp_path):
    assert parameters_for(tmp_path / "none.npz") == {}
    np.savez(tmp_path / "truth.npz", fr=np.float32(20), gSig=np.int32(4))
    assert parameters_for(tmp_path / "truth.npz") == {"fr": 20.0, "gSig": (4, 4), "gSiz": (9, 9)}


def test_private_memory_leaves_out_mapped_files(tmp_path):
    size = 64 * 2**20
    (tmp_path / "file").write_bytes(b"\1" * size)
    code = (
        "import mmap, time, sys\n"
        f"held = bytearray(b'\\1') * {size} if sys.argv[1] == 'held' else b''\n"
        f"file = open({str(tmp_path / 'file')!r}, 'rb')\n"
        "mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)\n"
        f"sum(mapped[i] for i in range(0, {size}, 4096))\n"
        "time.sleep(0.3)\n"
    )
    peaks = {}
    for kind in ("held", "mapped"):
        process = subprocess.Popen([sys.executable, "-c", code, kind])
        with MemoryWatch(process.pid) as watch:
            process.wait()
        peaks[kind] = watch.peak()
    (held_all, held_own), (mapped_all, mapped_own) = peaks["held"], peaks["mapped"]
    assert mapped_all > 64 > mapped_own
    assert held_own > 64 and held_all > 128


def test_memory_of_children_counts():
    child = "import time; held = bytearray(b'\\1') * (48 * 2**20); time.sleep(0.4)"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    process = subprocess.Popen([sys.executable, "-c", code])
    with MemoryWatch(process.pid) as watch:
        process.wait()
    assert watch.peak()[1] > 48
    assert watch.peak(start=time.time() + 1) == (0, 0)


def test_stage_times_and_profile():
    stages = Stages(profiled="slow")
    assert stages.run("fast", sum, [1, 2]) == 3
    stages.run("slow", time.sleep, 0.05)
    assert 0.05 <= stages.seconds["slow"] < 1 and "sleep" in stages.profile


def true_cost(sizes):
    frames, pixels, cells = np.asarray(sizes, float).T
    return 0.2 + 2e-8 * frames * pixels + 3e-6 * frames * cells


def sizes_of(cases):
    return np.array([(c.frames, c.px**2, c.cells) for c in cases], float)


def test_cost_is_recovered_and_extrapolates(rng):
    sizes = sizes_of(scaling_cases())
    cost = fit_cost(sizes, true_cost(sizes) * rng.normal(1, 0.02, len(sizes)))
    assert cost.terms["frames x pixels"] == pytest.approx(2e-8, rel=0.15)
    assert cost.misfit < 0.03
    assert cost(TARGET) == pytest.approx(true_cost([TARGET])[0], rel=0.15)
    exact = fit_cost(sizes, true_cost(sizes))
    np.testing.assert_allclose(list(exact.terms.values()), [0.2, 2e-8, 3e-6], rtol=1e-6)
    assert fit_cost(sizes, sizes[:, 1] ** 2).misfit > 0.3, "another law shows in the misfit"


def test_memory_that_follows_the_image_is_predicted_as_such():
    sizes = sizes_of(scaling_cases())
    cost = fit_cost(sizes, 300 + 1e-3 * sizes[:, 1], MEMORY_TERMS)
    assert cost(TARGET) == pytest.approx(300 + 1e-3 * TARGET[1])


@pytest.mark.parametrize("share", [0.0, 0.5, 0.9, 1.0])
def test_parallel_share_follows_amdahl(share):
    many = 10 * (1 - share + share / 4)
    assert parallel_share(10, many, 4) == pytest.approx(share)
    assert parallel_share(10, 11, 4) == 0 and parallel_share(10, 5, 1) == 0


def test_scaling_tables_predict_and_compare():
    sizes = sizes_of(scaling_cases())
    cpu = {stage: true_cost(sizes) for stage in STAGES}
    memory = {key: np.full(len(sizes), 200.0) for key in ("peak_MB", "private_MB")}
    seconds = true_cost([TARGET])[0]
    check = {"size": TARGET, "cpu": dict.fromkeys(STAGES, 2 * seconds)}
    scaling = Scaling(sizes, cpu, memory, dict.fromkeys(STAGES, 0.5), check)
    text = table(scaling, cores=(1, 2), limit=216 * 2**20)
    rows = [[cell.strip() for cell in row.split("|")] for row in text.splitlines() if row]
    fit = next(row for row in rows if row[1] == "fit")
    assert fit[2:7] == ["0.20", "20.00", "3.00", "0%", "0.50"]
    assert fit[7] == f"{seconds:.2f} / {2 * seconds:.2f}"
    assert [float(cell) for cell in fit[8:10]] == [round(seconds, 1), round(0.75 * seconds, 1)]
    assert next(row for row in rows if row[1] == "load")[8] == "0.2", "it stays in its file"
    assert next(row for row in rows if row[1] == "resident")[-2] == "400"
    grown = growth(scaling).splitlines()
    assert len({row.count("|") for row in grown}) == 1
    assert "frames x 8" in grown[0] and "cells x 4" in grown[0]
    assert json.loads(json.dumps(scaling.stored()))["share"]["fit"] == 0.5


@dataclass
class Found:
    A: sp.csc_array
    idx_components: np.ndarray


def disc(row: float, col: float, sigma: float = 2.0) -> np.ndarray:
    rows, cols = np.mgrid[:40, :40]
    return np.exp(-((rows - row) ** 2 + (cols - col) ** 2) / (2 * sigma**2)).astype(np.float32)


def test_losses_are_sorted_by_cause(tmp_path):
    cells = np.stack([disc(10, 10), disc(10, 30), disc(30, 10), disc(30, 30)])
    C = np.ones((4, 5), np.float32)
    truth = Truth(cells, C, C, np.zeros((5, 2)), np.array([True] * 4))
    vessels = np.ones((40, 40))
    vessels[18:23] = 0.2
    np.savez(tmp_path / "truth.npz", vessels=vessels)
    estimates = [disc(10, 10), disc(12.5, 10, 3.5), disc(20, 20), disc(2, 20)]
    A = sp.csc_array(np.stack([np.where(e > 0.05, e, 0).ravel(order="F") for e in estimates], axis=1))
    cn, pnr = np.full((40, 40), 0.9), np.full((40, 40), 20.0)
    pnr[5:16, 25:36] = 5
    cn[25:36, 5:16] = 0.5
    told = losses(Found(A, np.array([1, 2])), (cn, pnr), truth, tmp_path / "truth.npz", 0.8, 10)
    assert told["missed"] == {
        "PNR below threshold": 1,
        "correlation below threshold": 1,
        "no seed kept": 1,
    }
    assert told["false"] == {"at the border": 1, "second on a found cell": 1, "under a vessel": 1}
    assert told["false_accepted"] == {"second on a found cell": 1, "under a vessel": 1}
    assert told["rejected"] == 1


def test_sweep_shows_the_spread_and_the_worst(measured):
    best = measured | {"all": measured["all"] | {"f1": 1.0}}
    nothing = measured | {"all": measured["all"] | {"f1": float("nan")}}
    results = {"good": best, "usual": measured, "bad": nothing}
    row = next(line for line in sweep.distribution(results).splitlines() if line.startswith("| F1, all"))
    assert row.split("|")[-2].split(",")[0].split()[0] == "bad"
    total = sweep.tally({"a": measured, "b": measured})
    assert sum(total["missed"].values()) == 2 * sum(measured["losses"]["missed"].values())


def test_sweep_command_writes_its_figures(cache, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sweep, "sweep_cases", lambda: [TINY])
    out = tmp_path / "deep" / "sweep.json"
    assert sweep.main(["--cache", str(cache), "--workers", "1", "--json", str(out)]) == 0
    stored = json.loads(out.read_text())
    assert stored["recordings"]["tiny"]["all"]["f1"] > 0.5 and stored["machine"]["cores"]
    assert "tiny" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        sweep.main(["--only", "nonesuch"])


def test_command_line(tiny, cache, tmp_path, capsys):
    out = tmp_path / "run.json"
    common = ["--cache", str(cache), "--workers", "1", "--engine", "embedded"]
    assert main([str(tiny), *common, "--json", str(out), "--markdown", "-p", "min_pnr=12"]) == 0
    assert json.loads(out.read_text())["movies"][0]["movie"] == tiny.name
    assert "| motion error px |" in capsys.readouterr().out
    assert parse(["--stage", "fit"]).stage == "fit" and "embedded" in engines()
    with pytest.raises(SystemExit):
        parse(["--stage", "fitt"])


@pytest.mark.skipif("caiman" in engines(), reason="CaImAn is installed here")
def test_without_caiman_it_says_so(cache, capsys):
    assert main(["--cache", str(cache), "--engine", "caiman"]) == 2
    assert "CaImAn isn't installed" in capsys.readouterr().out


def test_bench_goal_runs_the_suite():
    folder = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    with open(os.path.join(folder, "Makefile"), encoding="utf-8") as makefile:
        assert "-m benchmarks" in makefile.read()
    done = subprocess.run([sys.executable, "-m", "benchmarks", "--help"], cwd=folder, capture_output=True)
    assert done.returncode == 0 and b"--scaling" in done.stdout
