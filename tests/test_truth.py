"""What a truth file holds beyond cells and motion."""

from __future__ import annotations

import numpy as np
import pytest

from workshop_utils.movies import data
from workshop_utils.movies.truth import load_truth


@pytest.fixture(scope="module")
def demo_truth():
    return data.truth_for(data.get("demo"))


def test_demo_comes_with_its_parts(demo_truth):
    shape = demo_truth.A.shape[1:]
    assert demo_truth.stages.shape == (len(demo_truth.stage_names), *shape)
    assert 0 <= demo_truth.stage_frame < demo_truth.C.shape[1]
    assert demo_truth.vessels.shape == shape
    assert 0 <= demo_truth.vessels.min() < 0.5 < demo_truth.vessels.max() <= 1


def test_detectable_cells_stand_out_and_are_sharp(demo_truth):
    assert demo_truth.snr[demo_truth.detectable].min() >= 25
    assert demo_truth.blur_px[demo_truth.detectable].max() <= 4


def test_selected_cells_keep_their_numbers(demo_truth):
    kept = demo_truth.select(demo_truth.detectable)
    assert len(kept.A) == len(kept.snr) == len(kept.blur_px) == demo_truth.detectable.sum()
    assert np.array_equal(kept.snr, demo_truth.snr[demo_truth.detectable])
    assert kept.stages is demo_truth.stages


def test_a_file_without_them_has_none(tmp_path):
    np.savez(tmp_path / "truth.npz", A=np.ones((2, 4, 5)), C=np.ones((2, 3)))
    truth = load_truth(tmp_path / "truth.npz")
    assert truth.snr is truth.stages is truth.vessels is truth.stage_frame is None
    assert truth.stage_names == ()
    assert truth.select(np.array([True, False])).snr is None
