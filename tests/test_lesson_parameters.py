"""Lesson 4 sets few parameters; the fit gets the same as if all of them were spelled out."""

from __future__ import annotations

import numpy as np
import pytest
from prose import SOURCES, cells

from cnmf_engine.caiman.params import CNMFParams

SPELLED_OUT = {
    "init": {
        "method_init": "corr_pnr",
        "K": None,
        "nb": 0,
        "tsub": 2,
        "ssub": 1,
        "ssub_B": 2,
        "ring_size_factor": 1.4,
        "normalize_init": False,
        "center_psf": True,
    },
    "patch": {
        "rf": 40,
        "stride": 20,
        "nb_patch": 0,
        "low_rank_background": None,
        "only_init": True,
        "del_duplicates": True,
        "border_pix": 7,
    },
    "preprocess": {"p": 1},
    "temporal": {"p": 1, "method_deconvolution": "oasis"},
    "spatial": {"update_background_components": True},
    "merging": {"merge_thr": 0.7},
}


class Session:
    """As much of a session as the cells need."""

    def save_params(self, opts):
        return "params.json"


def from_lesson_3() -> CNMFParams:
    values = {"gSig": (3, 3), "gSiz": (7, 7), "min_corr": 0.8, "min_pnr": 10}
    return CNMFParams(params_dict={"data": {"fr": 10, "decay_time": 0.4}, "init": values})


def test_parameters_that_the_fit_gets():
    source = next(path for path in SOURCES if path.name.startswith("04"))
    code = [cell for cell in cells(source) if cell.kind == "code"]
    chosen = [cell.text for cell in code if "parameters" in cell.tags or "opts.change_params(" in cell.text]
    assert len(chosen) == 3
    opts, wanted = from_lesson_3(), from_lesson_3()
    names = {"opts": opts, "dims": (128, 128), "motion": {"border": 7}, "s": Session()}
    for source in chosen:
        exec(source, names)
    wanted.change_params(SPELLED_OUT | {"data": {"dims": (128, 128)}})
    np.testing.assert_equal(opts.to_dict(), wanted.to_dict())
    with pytest.raises(AssertionError):
        np.testing.assert_equal(opts.to_dict(), from_lesson_3().to_dict())
