"""The whole path on recordings that CaImAn was measured on; they lie beside the project, not in it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import cnmf_engine as cm
from benchmarks.run import PARAMETERS
from cnmf_engine.cnmf import CNMF, params
from workshop_utils.measures.scoring import match

SHARED = Path(__file__).parents[2] / "shared"
VARIED = SHARED / "golden" / "varied"
REAL = SHARED / "data" / "ca1_miniscope.tif"


def run(movie: Path, **changes) -> CNMF:
    """Correct motion, fit and evaluate with the lessons' parameters and some changes."""
    opts = params.CNMFParams(params_dict=PARAMETERS | changes)
    _, dview, n_processes = cm.cluster.setup_cluster(ignore_preexisting=True)
    correct = cm.motion_correction.MotionCorrect(str(movie), dview=dview, **opts.get_group("motion"))
    correct.motion_correct(save_movie=True)
    Yr, dims, T = cm.load_memmap(cm.save_memmap(correct.mmap_file, base_name="reference_", order="C"))
    images = Yr.T.reshape((T, *dims), order="F")
    model = CNMF(n_processes, dview=dview, params=opts)
    model.fit(images)
    model.estimates.evaluate_components(images, opts, dview=dview)
    cm.stop_server(dview=dview)
    return model


def f1(A, A_true) -> float:
    """F1 of footprints matched by cosine similarity."""
    return 2 * len(match(A, A_true).pairs) / max(A.shape[1] + len(A_true), 1)


@pytest.mark.skipif(
    not VARIED.exists(), reason="CaImAn's seven reference recordings aren't beside the project"
)
def test_seven_recordings_score_like_caiman(tmp_caiman):
    reference = json.loads((VARIED / "scores.json").read_text())
    all_f1, accepted_f1 = [], []
    for name, scores in reference.items():
        given = scores["parameters"]
        square = {key: (given[key],) * 2 for key in ("gSig", "gSig_filt", "max_shifts")}
        model = run(VARIED / f"{name}.tif", **given | square, gSiz=(2 * given["gSig"] + 1,) * 2)
        truth = np.load(VARIED / f"{name}_truth.npz")["A"].astype(np.float32)
        estimates = model.estimates
        assert len(estimates.idx_components), f"nothing accepted in {name}"
        all_f1.append(f1(estimates.A, truth))
        accepted_f1.append(f1(estimates.A[:, estimates.idx_components], truth))
    theirs = {
        key: np.median([s[key]["f1"] for s in reference.values()]) for key in ("all", "after_evaluation")
    }
    assert np.median(all_f1) >= theirs["all"] - 0.05
    assert np.median(accepted_f1) >= theirs["after_evaluation"] - 0.05


@pytest.mark.skipif(not REAL.exists(), reason="the real CA1 recording isn't beside the project")
def test_real_recording_holds_the_cells_that_caiman_accepts(tmp_caiman):
    reference = np.load(SHARED / "golden" / "ca1_miniscope_caiman.npz")
    accepted = reference["A"][reference["idx"]].astype(np.float32)
    model = run(REAL, gSig=(4, 4), gSiz=(9, 9), gSig_filt=(4, 4), min_corr=0.8, min_pnr=10)
    kept = model.estimates.idx_components
    found = match(model.estimates.A[:, kept], accepted)
    assert len(found.pairs) >= 0.7 * len(accepted)
    assert len(kept) <= 1.3 * len(accepted)
