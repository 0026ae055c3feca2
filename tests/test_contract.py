"""Both engines do what the lessons ask of them, in the same shapes, and open each other's files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import contract
import numpy as np
import pytest
from scipy import sparse

import cnmf_engine
from workshop_utils.engine import caiman_here
from workshop_utils.measures.scoring import match

HERE = Path(__file__).parent
STILL = HERE / "golden" / "still.tif"
EMBEDDED = contract.Names(
    cnmf_engine,
    cnmf_engine.cnmf,
    cnmf_engine.cnmf.params,
    cnmf_engine.motion_correction.MotionCorrect,
    cnmf_engine.cnmf.load_CNMF,
)
ENGINES = ["stand-in", "CaImAn"]


def environment(place: Path | None, **more: str) -> dict[str, str]:
    """Name the other engine, and where it is; no place means wherever it is installed."""
    paths = [str(path) for path in (place, HERE.parent) if path]
    return os.environ | {"WORKSHOP_ENGINE": "caiman", "PYTHONPATH": os.pathsep.join(paths)} | more


def run(arguments: list[str], env: dict[str, str], folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], env=env, cwd=folder, capture_output=True, text=True, timeout=1800
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def ask(movie: Path, other: Path, folder: Path, env: dict[str, str]) -> dict:
    """Run the calls on the engine that the environment names."""
    run([str(HERE / "contract.py"), str(movie), str(folder), str(other)], env, folder)
    return json.loads((folder / "told.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def embedded(short_demo, tmp_path_factory):
    """Run the calls on the embedded engine; give the facts and the folder."""
    folder = tmp_path_factory.mktemp("embedded")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAIMAN_TEMP", str(folder))
        return contract.use_every_call(EMBEDDED, str(short_demo), folder), folder


@pytest.fixture(scope="module", params=ENGINES)
def other(request, embedded, short_demo, tmp_path_factory):
    """Run the same calls on the other engine; give what it told and its folder."""
    place = None
    if request.param == "stand-in":
        place = request.getfixturevalue("stand_in")
    elif not (here := caiman_here()).usable:
        pytest.skip(f"CaImAn can't be used here ({here.found}), so only its stand-in was compared")
    folder = tmp_path_factory.mktemp("other")
    return ask(short_demo, embedded[1], folder, environment(place)), folder


def alike(one: Path, two: Path) -> tuple[float, float]:
    """Compare two fits: share of the larger that has a partner, and how well their traces agree."""
    first, second = (EMBEDDED.load_CNMF(str(folder / "cnmfe.hdf5")).estimates for folder in (one, two))
    pairs = match(first.A, second.A.toarray().T.reshape(-1, *second.dims, order="F")).pairs
    traces = [np.corrcoef(first.C[i], second.C[j])[0, 1] for i, j in pairs]
    return len(pairs) / max(len(first.C), len(second.C)), float(np.median(traces or [0]))


def test_embedded_engine_gives_what_caiman_is_known_to_give(embedded):
    facts, _ = embedded
    assert {name: facts[name] for name in ("movie", "cn", "pnr")} == {
        "movie": "array float Tyx",
        "cn": "array float yx",
        "pnr": "array float yx",
    }
    # One translation a frame; one row and one column shift for each of 3 x 3 patches of 72 px, 48 px apart.
    assert facts["shift of a frame"] == (True, 2) and facts["patches"] == (9,)
    assert facts["its name"] == "demo_ca1_rig__d1_128_d2_128_d3_1_order_F_frames_400.mmap"
    assert facts["map"] == "memmap_d1_128_d2_128_d3_1_order_C_frames_400.mmap"
    assert (facts["Yr"], facts["dims"], facts["T"]) == ("memmap float dT", "tuple", "int")
    assert facts["images"] == "memmap float Tyx"
    assert (facts["A"], facts["W"], facts["C"]) == ("sparse float dK", "sparse float nn", "array float KT")
    assert facts["idx_components"] == facts["accepted loaded"] == "array int n"
    assert (facts["rate"], facts["resized rate"], facts["fit gives"]) == (10.0, 5.0, "None")
    assert not [name for name, value in facts.items() if value is False or " instead of " in str(value)]


def test_the_other_engine_gives_the_same(embedded, other):
    assert contract.differences(embedded[0], other[0]["facts"]) == []


def test_both_find_the_same_cells(embedded, other):
    share, traces = alike(embedded[1], other[1])
    assert share >= 0.5 and traces >= 0.9


def test_files_are_exchanged_both_ways(embedded, other):
    told, folder = other
    mine = contract.open_the_others(EMBEDDED, folder)
    for opened, owner in ((mine, told["facts"]), (told["opened"], embedded[0])):
        assert opened["frames"] == 400 and opened["pixels"]
        assert opened["gSig"] == [3, 3] and opened["fnames"] == ["demo_ca1.tif"]
        assert opened["components"] > 0 and owner["saved again"]
        # Each engine measures anew with its own arithmetic; nobody near a threshold may change sides in both.
        assert opened["changed their minds"] <= 0.1 * opened["components"]


def test_deviations_are_noticed(stand_in, tmp_path, monkeypatch):
    folders = tmp_path / "embedded", tmp_path / "other"
    for folder in folders:
        folder.mkdir()
    monkeypatch.setenv("CAIMAN_TEMP", str(folders[0]))
    facts = contract.use_every_call(EMBEDDED, str(STILL), folders[0])
    told = ask(STILL, *folders, environment(stand_in, STAND_IN_DEVIATES="dims,noise,cells"))
    assert [line.split(":")[0] for line in contract.differences(facts, told["facts"])] == ["dims", "sn"]
    assert alike(*folders)[0] < 0.5


def test_file_that_caiman_itself_saved(tmp_path, caplog):
    cnm = EMBEDDED.load_CNMF(str(HERE / "golden" / "still_caiman.hdf5"))
    facts = contract.Facts(K=18, T=400, d=96 * 96, y=96, x=96)
    for name, letters in contract.ESTIMATES.items():
        value = getattr(cnm.estimates, name, None)
        if value is not None:
            facts.note(name, value, letters)
    assert {"A", "C", "S", "YrA", "W", "b0", "sn"} <= set(facts)
    assert not [line for line in facts.items() if " instead of " in line[1]]
    cnm.save(str(tmp_path / "again.hdf5"))
    again = EMBEDDED.load_CNMF(str(tmp_path / "again.hdf5"))
    assert again.params == cnm.params and not caplog.records
    for name in ("A", "C", "W"):
        one, two = (
            side.toarray() if sparse.issparse(side) else side
            for side in (getattr(cnm.estimates, name), getattr(again.estimates, name))
        )
        assert np.array_equal(one, two)


def test_each_adaptation_meets_a_fault_and_mends_it(stand_in, tmp_path):
    (tmp_path / "temp").mkdir()
    env = environment(stand_in, CAIMAN_TEMP=str(tmp_path / "temp"))
    told = json.loads(run([str(HERE / "adaptations.py")], env, tmp_path).splitlines()[-1])
    mended = "second pool, no pool, half a pixel, tuple, numbers as text, lost movie, no components"
    for name in (*mended.split(", "), "contours of none", "browser of none"):
        original, adapted = told[name]
        assert original and not adapted, name
    assert "ValueError: invalid literal" in told["words"][0]
    assert "InputError: Expected a movie's name without the words d1" in told["words"][1]
    assert (told["number of workers"], told["width used"]) == ("int", [5, 5])
    assert told["slices"] == ["slice(None, None, None)", [5, 5], None]
    assert told["accepted of none"] == ["i", 0]
    assert told["truth value loaded"] == "bool" and told["saved again"] is None
    assert told["finite"] and told["beside the notebook"] and told["all in place"]
