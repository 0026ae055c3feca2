"""Planted cells, the conditions and the measures of dynamics: they add, count and score what they say."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp
from synthetic import flat_footprints, make_scene

from benchmarks import conditions, planting
from benchmarks.dynamics import (
    amplitude_slopes,
    coefficients,
    decay_times,
    duplicates,
    dynamics,
    spike_r,
)
from benchmarks.effects import COUNTS, LIGHT, At
from benchmarks.outcome import outcome
from cnmf_engine.base.errors import InputError
from cnmf_engine.stages.registration.warping import moved
from workshop_utils.movies.truth import Truth


@pytest.fixture(scope="module")
def scene():
    return make_scene((56, 64), 300, seed=4, background=False)


@pytest.fixture(scope="module")
def base(scene):
    """A perfect result on a scene that moves by up to 2 px."""
    T, K = len(scene.movie), len(scene.A)
    shifts = np.random.default_rng(1).uniform(-2, 2, (T, 2))
    norm = np.linalg.norm(scene.A.reshape(K, -1), axis=1)
    return SimpleNamespace(
        A=scene.flat_A.toarray() / norm,
        C=scene.C * norm[:, None],
        YrA=np.random.default_rng(2).normal(0, scene.noise, (K, T)),
        accepted=np.arange(K),
        SNR=np.linspace(20, 10, K),
        r_values=np.ones(K),
        shifts=shifts,
    )


@pytest.fixture(scope="module")
def recording(scene, base):
    """The scene as a camera would have seen it: moved, 8 bits."""
    raw = moved((scene.movie + 60).astype(np.float32), -base.shifts)
    return np.clip(np.rint(raw), 0, 255).astype(np.uint8)


def planted_at(scene, rows_cols, height=40.0):
    """One cell with a single transient."""
    rows, cols = np.mgrid[: scene.dims[0], : scene.dims[1]]
    image = np.exp(-((rows - rows_cols[0]) ** 2 + (cols - rows_cols[1]) ** 2) / 12).astype(np.float32)
    trace = np.zeros((1, len(scene.movie)), np.float32)
    trace[0, 100:160] = height * np.exp(-np.arange(60) / 15)
    one = np.ones(1)
    return planting.Planted(image[None], trace, trace, 5 * one, one, np.zeros(1, int), np.full(1, 30))


def written(recording, planted, shifts, tmp_path, seed=0):
    import tifffile

    told = planting.plant(recording, planted, shifts, tmp_path / "p.tif", np.random.default_rng(seed))
    return tifffile.imread(tmp_path / "p.tif"), told


def test_what_is_added_is_the_planted_light_where_the_tissue_is(scene, base, recording, tmp_path):
    planted = planted_at(scene, (28, 30))
    movie, told = written(recording, planted, base.shifts, tmp_path)
    assert movie.dtype == np.uint8 and movie.shape == recording.shape
    added = movie.astype(float) - recording
    assert told == {"clipped": 0, "changed": int((added != 0).sum())}
    light = planted.raw[0][:, None, None] * moved(np.repeat(planted.A, len(movie), 0), -base.shifts)
    assert np.abs(added - light).max() < 1.05, "beyond rounding"
    # Rounding loses nothing on average, also where the light is less than half a count.
    dim = (light > 0.02) & (light < 0.4)
    assert added[dim].mean() == pytest.approx(light[dim].mean(), rel=0.05)
    assert not added[:100].any() and not added[161:].any()
    # The centre follows the tissue to a tenth of a pixel.
    rows, cols = np.indices(scene.dims)
    for t in range(100, 106):
        centre = [(added[t] * axis).sum() / added[t].sum() for axis in (rows, cols)]
        np.testing.assert_allclose(centre, np.array([28, 30]) - base.shifts[t], atol=0.25)


def test_quiet_pixels_get_no_noise_from_rounding(scene, base, tmp_path):
    still = np.full((len(scene.movie), *scene.dims), 20, np.uint8)
    planted = planted_at(scene, (28, 30))
    planted.raw[0] = 0.3
    movie, _ = written(still, planted, np.zeros_like(base.shifts), tmp_path)
    assert not np.diff(movie.astype(int), axis=0).any(), "constant light on a noiseless movie stays constant"
    assert movie.astype(float).sum() > still.astype(float).sum()


def test_saturation_is_counted(scene, base, recording, tmp_path):
    movie, told = written(recording, planted_at(scene, (28, 30), 400.0), base.shifts, tmp_path)
    assert told["clipped"] > 0 and movie.max() == 255


def test_cells_are_put_on_free_ground_at_the_wanted_snr(scene, base, recording):
    planted, n_sources = planting.prepare(recording, base, 2.5, 4, np.random.default_rng(3))
    assert n_sources >= planting.FEW and len(planted.A) == 4
    assert planted.A.max(axis=(1, 2)) == pytest.approx(np.ones(4))
    margin = int(np.ceil(np.abs(base.shifts).max()))
    inside = planted.A[:, margin:-margin, margin:-margin].sum(axis=(1, 2))
    np.testing.assert_allclose(inside, planted.A.sum(axis=(1, 2)), rtol=1e-5)
    flat = np.asarray(flat_footprints(planted.A).todense())
    both = np.hstack([base.A, flat / np.linalg.norm(flat, axis=0)])
    cosine = both.T @ both
    assert np.triu(cosine, 1)[:, -4:].max() <= planting.OVERLAP + 1e-6
    # One in each band, and the noise is the movie's: 4 counts a pixel averaged over the footprint.
    assert np.histogram(planted.snr, [*planting.BANDS[:-1], 99])[0].tolist() == [1, 1, 1, 1]
    np.testing.assert_allclose(planted.C.max(axis=1), planted.snr * planted.noise, rtol=1e-5)
    expected = scene.noise / np.sqrt((planted.A**2).sum(axis=(1, 2)))
    assert np.all((planted.noise > 0.5 * expected) & (planted.noise < 3 * expected))
    raw = base.C + base.YrA
    r = [np.corrcoef(raw[k], trace)[0, 1] for k, trace in zip(planted.source, planted.raw)]
    assert np.abs(r).max() < 0.5, "shifted in time away from the source"


def test_the_same_seed_plants_the_same(base, recording):
    a, b = (planting.prepare(recording, base, 2.5, 3, np.random.default_rng(3))[0] for _ in range(2))
    np.testing.assert_array_equal(a.A, b.A)
    np.testing.assert_array_equal(a.raw, b.raw)


def test_slow_traces_are_stretched():
    trace = np.exp(-((np.arange(200) - 100) ** 2) / 50.0)
    slow = planting._stretched(trace, 2.0, 0.5)
    assert slow.max() == pytest.approx(1, abs=0.01)
    assert (slow > 0.5).sum() == pytest.approx(2 * (trace > 0.5).sum(), abs=2)


def test_without_clear_cells_it_says_so(base, recording):
    poor = SimpleNamespace(**{**vars(base), "accepted": np.array([0])})
    with pytest.raises(InputError, match="clear cells"):
        planting.prepare(recording, poor, 2.5, 3, np.random.default_rng(0))


def test_planted_cells_are_scored_by_what_came_back(scene, base):
    planted = planted_at(scene, (28, 30))
    flat = np.asarray(flat_footprints(planted.A).todense())
    perfect = SimpleNamespace(
        A=np.hstack([base.A[:, 1:], flat]),
        C=np.vstack([base.C[1:], planted.C]),
        YrA=np.vstack([base.YrA[1:], 0 * planted.C]),
        accepted=np.arange(len(base.C) - 1),
        SNR=np.ones(len(base.C)),
        r_values=np.ones(len(base.C)),
        shifts=base.shifts,
    )
    cells, existing = planting.score_planted(planted, perfect, base)
    assert cells[0]["found"] == len(base.C) - 1 and not cells[0]["accepted"]
    assert cells[0]["r"] == pytest.approx(1) and cells[0]["cosine"] == pytest.approx(1, abs=1e-3)
    assert existing["found again"] == existing["accepted again"] == len(base.C) - 1
    # A template that lies elsewhere moves everything and is no error.
    aside = SimpleNamespace(**{**vars(perfect), "shifts": base.shifts + 3})
    assert planting.score_planted(planted, aside, base)[0][0]["found"] is None
    rows = planting.table([cells[0] | {"snr": 4.0}, cells[0] | {"snr": 9.0, "found": None}]).splitlines()
    assert rows[2].split("|")[2:6] == [" 1 ", " 1 ", " 1.000 ", " 0.000 "]
    assert rows[4].split("|")[2:5] == [" 1 ", " 0 ", " 0.000 "] and " 2 " in rows[-1]


def test_spikes_are_compared_at_a_width():
    rng = np.random.default_rng(0)
    true = (rng.random((2, 2000)) < 0.03).astype(float)
    late = np.roll(true, 1, axis=1)
    assert spike_r(3 * true, true, 10, 0.1) == pytest.approx(np.ones(2))
    near, far = spike_r(late, true, 10, 0.1), spike_r(late, true, 10, 0.2)
    assert np.all(near < far) and np.all(spike_r(late, true, 50, 0.1) > near)
    assert spike_r(np.zeros_like(true), true, 10, 0.1).tolist() == [0, 0]
    assert np.isnan(spike_r(true, np.zeros_like(true), 10, 0.1)).all()


def test_decay_is_read_from_the_coefficients():
    first, second = coefficients(0.15, 1.4, 20)
    assert decay_times([first, second], 20) == pytest.approx([1.4, 1.4])
    assert np.isnan(decay_times([[1.02], [np.nan], [0.0]], 10)).all()
    assert len(decay_times([None, [0.9]], 10)) == 1


def truth_of(scene):
    return Truth(
        scene.A, scene.C, scene.S, np.zeros((len(scene.movie), 2)), np.ones(len(scene.A), bool), fr=10.0
    )


def test_a_perfect_amplitude_is_one_whatever_the_norm(scene):
    truth, K = truth_of(scene), len(scene.A)
    pairs = np.stack([np.arange(K)] * 2, axis=1)
    norm = np.random.default_rng(0).uniform(0.1, 9, K)
    A = scene.flat_A @ sp.diags_array(1 / norm)
    assert amplitude_slopes(A, scene.C * norm[:, None], truth, pairs) == pytest.approx(np.ones(K), rel=1e-4)
    drift = np.linspace(0, 50, scene.C.shape[1])
    small = amplitude_slopes(A, 0.9 * scene.C * norm[:, None] + drift, truth, pairs)
    assert small == pytest.approx(np.full(K, 0.9), rel=1e-3)


def test_dynamics_of_a_perfect_fit(scene):
    from cnmf_engine.stages.deconvolution.foopsi import constrained_foopsi

    decay = -1 / (10 * np.log(0.92))
    raw = scene.C + np.random.default_rng(0).normal(0, 4, scene.C.shape)
    fits = [constrained_foopsi(trace, g=np.array([0.92]), p=1) for trace in raw]
    C = np.array([fit[0] for fit in fits])
    estimates = SimpleNamespace(
        A=scene.flat_A, C=C, S=np.array([fit[5] for fit in fits]), YrA=raw - C, g=[fit[3] for fit in fits]
    )
    told = dynamics(estimates, truth_of(scene), 1e-6, decay)
    assert told["decay_s"] == pytest.approx(decay) and told["true_decay_s"] == decay
    # The penalty that makes spikes sparse takes amplitude away; the raw traces have all of it.
    assert told["raw_slope"] == pytest.approx(1, abs=0.03)
    assert 0.7 < told["amplitude_slope"] < told["raw_slope"]
    assert told["spikes_100"] == pytest.approx(told["spikes_100_known"], abs=1e-3)
    assert 0.95 < told["spikes_100"] <= told["spikes_200"] < 1
    none = SimpleNamespace(A=scene.flat_A[:, :0], C=C[:0], S=C[:0], YrA=C[:0], g=[])
    assert np.isnan(dynamics(none, truth_of(scene), 0.05, decay)["spikes_100"])


def test_doubles_share_place_and_trace(scene):
    A = sp.hstack([scene.flat_A, scene.flat_A[:, [0, 1]]]).tocsc()
    other = np.roll(scene.C[1], 90)
    assert duplicates(A, np.vstack([scene.C, scene.C[0] * 2, other])) == 1
    assert duplicates(scene.flat_A, scene.C) == 0


@pytest.fixture
def at():
    shifts = np.random.default_rng(5).normal(0, 1, (80, 2))
    vessels = np.ones((48, 48))
    vessels[:, 20:24] = 0.3
    return At(10.0, shifts - shifts.mean(axis=0), vessels, (0.05, 0.5), np.random.default_rng(6))


@pytest.mark.parametrize("name", [*LIGHT, *COUNTS])
def test_effects_change_what_they_say(name, at):
    before = np.random.default_rng(7).normal(60, 3, (80, 48, 48))
    after = (LIGHT | COUNTS)[name](before.copy(), at)
    assert after.shape == before.shape and np.isfinite(after).all()
    change = np.abs(after - before)
    if name == "torn frames":
        assert (change.max(axis=(1, 2)) > 5).sum() == 3
    elif name == "bad pixels":
        dead = np.flatnonzero((after == 0).all(axis=(0, 1)))
        assert len(dead) == 1 and 0 < (change.min(axis=0) > 50).sum() < 0.02 * 48 * 48 + 49
    elif name == "pulsating vessels":
        assert change[:, :, 21:23].mean() > 5 * change[:, :, 35:].mean()
    elif name == "fibres":
        assert (after >= before - 1e-9).all() and 0.02 < (change.max(axis=0) > 10).mean() < 0.6
    elif name == "denoised":
        assert 50 < after.max() < 75, "the brightest hundredth of a thousandth has 60 counts"
        noise = [np.diff(x, axis=0).std() / x.std() for x in (before, after)]
        assert noise[1] < 0.8 * noise[0], "it is smoother in time"
    else:
        assert change.mean() > 0.5


def test_non_rigid_motion_is_as_large_as_said_and_none_on_average(at):
    rows, cols = np.mgrid[:48, :48].astype(float)
    still = At(at.fr, 0 * at.shifts, at.vessels, at.tau, at.rng)
    seen = LIGHT["non-rigid motion"](np.repeat(rows[None], 80, 0), still) - rows
    inner = seen[:, 6:-6, 6:-6]
    assert 1.0 < np.abs(inner).max() < 2.6
    assert np.abs(inner.mean(axis=0)).max() < 0.1 and np.abs(inner.mean(axis=(1, 2))).max() < 0.1


def test_conditions_have_names_seeds_and_bars_of_their_own():
    every = conditions.cases()
    cases = [case for case, _ in every.values()]
    assert len({case.seed for case in cases}) == len(cases) == 2 * len(conditions.CONDITIONS)
    assert not {case.seed for case in cases} & set(range(1, 100)), "none of the sweep's"
    kinetics = {(case.fr, case.decay) for case in cases if case.fr != 10}
    # minisim simulates no decay that is over within a frame.
    assert kinetics == {(fr, decay) for fr in (5, 20, 30) for decay in (1.4, max(0.12, 1 / fr))}


def test_bars_are_held(tmp_path):
    good = {
        "accepted": 30,
        "found": 31,
        "duplicates": 0,
        "shift_error_px": 0.2,
        "all": {"f1": 0.95, "n_true": 30, "trace_r_median": 0.99},
        "after_evaluation": {"f1": 0.95, "precision": 0.9, "recall": 0.9},
        "dynamics": {"decay_s": 1.3, "true_decay_s": 1.4, "amplitude_slope": 0.9}
        | {f"spikes_{ms}{known}": 0.9 for ms in (100, 200) for known in ("", "_known")},
    }
    assert all(conditions.bars("fibres-1", good).values()) and all(
        conditions.bars("slow-20-2", good).values()
    )
    assert conditions.bars("no-cells-1", good) == {"at most 1 accepted": False}
    doubled = good | {"duplicates": 1}
    assert conditions.bars("non-rigid-1", doubled) == {"no doubles": False, "F1": True}
    poor = good | {"dynamics": good["dynamics"] | {"spikes_200_known": 0.95}}
    assert not conditions.bars("fast-30-1", poor)["spikes"]
    rows = conditions.table({"fast-30-1": poor}, {"fast-30-1": good}).splitlines()
    assert len({row.count("|") for row in rows}) == 1
    assert "misses spikes" in rows[2] and "0.900 -> 0.950" in rows[2]
    with pytest.raises(SystemExit):
        conditions.main(["--only", "nonesuch"])


def test_a_recording_without_cells_and_one_with_effects_are_made_and_scored(tmp_path, monkeypatch, capsys):
    pytest.importorskip("minisim", reason="minisim, which makes the movies, isn't installed")
    from dataclasses import replace

    every = conditions.cases()
    case, held = every["no-cells-pulsating-1"]
    tiny = {case.name: (replace(case, px=56, frames=80, vessels=1.0), held)}
    monkeypatch.setattr(conditions, "cases", lambda: tiny)

    def found_nothing(movie, workers, parameters, keep):
        nothing = np.zeros((0, 80), np.float32)
        estimates = SimpleNamespace(A=sp.csc_array((56 * 56, 0)), C=nothing, S=nothing, YrA=nothing, g=[])
        estimates.idx_components = np.zeros(0, int)
        pictures, still = (np.zeros((56, 56)),) * 2, SimpleNamespace(shifts_rig=np.zeros((80, 2)))
        return outcome(movie, still, estimates, pictures, parameters)

    monkeypatch.setattr("benchmarks.sweep.measure_cold", found_nothing)
    out = tmp_path / "deep" / "c.json"
    assert conditions.main(["--cache", str(tmp_path), "--workers", "1", "--json", str(out)]) == 0
    stored = json.loads(out.read_text())["recordings"][case.name]
    assert stored["all"]["n_true"] == 0 and stored["dynamics"]["true_decay_s"] == 0.5
    assert stored["motion_px"] > 0.5
    assert "| no-cells-pulsating-1 | 0 | 0 | 0 | 0 |" in capsys.readouterr().out
