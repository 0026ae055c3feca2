"""The stages as functions: the script of the documentation does what CaImAn's interface does."""

import re
from pathlib import Path

import numpy as np
import pytest
from synthetic import make_scene

import cnmf_engine as cm
from cnmf_engine.base.errors import InputError
from cnmf_engine.caiman.cnmf import CNMF, load_CNMF
from cnmf_engine.caiman.params import CNMFParams
from cnmf_engine.caiman.settings import options_of, params_of
from cnmf_engine.stages.thresholds import Thresholds

ROOT = Path(__file__).parents[1]
SCRIPT = re.search(r"```python\n(.*?)```", (ROOT / "docs" / "stages.md").read_text(), re.DOTALL).group(1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("script")


@pytest.fixture(scope="module")
def script(folder):
    """What the script leaves in its names, run on the demo movie."""
    code = SCRIPT.replace("recording.tif", str(ROOT / "data" / "demo_ca1.tif"))
    code = code.replace('"corrected"', f'"{folder}/corrected"').replace(
        '"cells.hdf5"', f'"{folder}/cells.hdf5"'
    )
    names: dict = {}
    exec(compile(code, "docs/stages.md", "exec"), names)
    return names


def test_the_script_is_about_ten_lines():
    assert len([line for line in SCRIPT.splitlines() if line.strip()]) <= 13


def test_the_script_finds_what_the_interface_of_caiman_finds(script, folder):
    frames, fit, verdict = script["frames"], script["fit"], script["verdict"]
    options = {
        "method_init": "corr_pnr", "nb": 0, "center_psf": True, "K": None, "gSig": (3, 3), "gSiz": (13, 13),
        "min_corr": 0.8, "min_pnr": 10, "tsub": 1, "ssub": 1, "rf": 40, "stride": 20, "p": 1, "p_patch": 1,
        "fr": 10, "decay_time": 0.4, "del_duplicates": True, "dynamics": "per_trace", "min_SNR": 3,
        "rval_thr": 0.85,
    }  # fmt: skip
    model = CNMF(params=CNMFParams(params_dict=options))
    model.fit(frames)
    model.estimates.evaluate_components(frames, model.params)
    assert len(fit.C) > 20
    np.testing.assert_array_equal(model.estimates.A.toarray(), fit.A.toarray())
    np.testing.assert_array_equal(model.estimates.C, fit.C)
    np.testing.assert_array_equal(model.estimates.idx_components, verdict.accepted)
    mc = cm.motion_correction.MotionCorrect(str(ROOT / "data" / "demo_ca1.tif"), gSig_filt=3, max_shifts=5)
    mc.motion_correct()
    np.testing.assert_array_equal(np.array(mc.shifts_rig), script["motion"].shifts)


def test_what_was_saved_opens_in_both_ways(script, folder):
    fit, verdict = script["fit"], script["verdict"]
    loaded = load_CNMF(folder / "cells.hdf5")
    np.testing.assert_array_equal(loaded.estimates.idx_components, verdict.accepted)
    again = cm.load_fit(folder / "cells.hdf5")
    assert again.dims == fit.dims
    for name in ("A", "W"):
        assert abs(getattr(again, name) - getattr(fit, name)).max() == 0
    for name in ("C", "S", "YrA", "bl", "sn", "g"):
        np.testing.assert_array_equal(getattr(again.traces, name), getattr(fit.traces, name))
    assert loaded.params.init["gSig"] == (3, 3) and loaded.params.patch["rf"] == 40
    assert loaded.params.data["fr"] == 10 and loaded.params.quality["min_SNR"] == 3
    assert set(again.options) == set(fit.options), "window included: it follows from rate and decay"
    measured = cm.measure(script["frames"], again, fr=10, decay_time=0.4, gSig=3)
    np.testing.assert_array_equal(measured.snr, script["quality"].snr)


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {
            "p": 2,
            "dynamics": "pooled",
            "fr": 20.0,
            "optimize_g": False,
            "s_min": 0.5,
            "noise_method": "median",
        },
        {"do_merge": False, "rf": None, "K": 7, "tsub": 3, "ssub": 1, "ring_size_factor": 1.2, "ssub_B": 3},
        {"border_pix": 4, "stride": None, "p_patch": 1, "nrgthr": 0.99, "del_duplicates": True},
    ],
    ids=str,
)
def test_options_written_to_parameters_come_back(changed):
    base = {"method_init": "corr_pnr", "nb": 0, "center_psf": True, "gSig": (3, 3), "gSiz": (13, 13), "p": 1}
    params = CNMFParams(params_dict=base | changed)
    back = params_of(*options_of(params))
    back.change_params({"fr": params.data["fr"]})
    assert options_of(back) == options_of(params)


def test_a_model_without_a_ring_is_no_fit(tmp_path):
    model = CNMF()
    model.estimates.dims = (4, 5)
    model.save(tmp_path / "empty.hdf5")
    with pytest.raises(InputError, match="ring background"):
        cm.load_fit(tmp_path / "empty.hdf5")


def test_results_change_nothing_else():
    scene = make_scene((48, 56), T=200)
    before = scene.movie.copy()
    search = cm.Search(gSig=2.5, gSiz=7, min_corr=0.8, min_pnr=6)
    fit = cm.fit_cnmfe(scene.movie, search, cm.Patches(), cm.Ring(10.5), run=cm.Run(2))
    B = cm.background(fit, scene.movie)
    np.testing.assert_array_equal(scene.movie, before)
    assert B.shape == (48 * 56, 200)
    sn = np.full(48 * 56, scene.noise)
    options = dict(sn=sn, search=search, ring=cm.Ring(10.5))
    refined = cm.refine(scene.movie, fit.A, fit.C, **options)
    assert len(refined.C) == len(fit.C)
    with pytest.raises(AttributeError):
        fit.A = None


def test_thresholds_are_those_of_the_parameters():
    quality = CNMFParams().quality
    assert vars(Thresholds()) == {name: quality[name] for name in vars(Thresholds())}
