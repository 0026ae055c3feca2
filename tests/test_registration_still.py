"""What doesn't move with the tissue is left out of registration, and nothing else is."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from cnmf_engine.base.errors import InputError
from cnmf_engine.caiman.motion_correction import MotionCorrect

PX, FRAMES = 100, 100
ROWS, COLUMNS = np.indices((PX, PX))


def tissue(seed: int, reach: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Textured tissue that moves by whole pixels, and where it was moved."""
    rng = np.random.default_rng(seed)
    field = gaussian_filter(rng.standard_normal((PX + 20, PX + 20)), 1.5)
    field = 600 * (1 + 0.05 * field / field.std())
    shifts = rng.integers(-reach, reach + 1, (FRAMES, 2))
    return np.stack([np.roll(field, s, (0, 1))[10:-10, 10:-10] for s in shifts]), shifts


def behind(frames: np.ndarray, kind: str, seed: int = 0) -> np.ndarray:
    """Put something in front of the tissue that stands still, and add noise."""
    rng = np.random.default_rng(seed + 50)
    shade = np.ones((PX, PX))
    if kind == "rim":
        shade = 1 / (1 + np.exp((np.hypot(ROWS - 50, COLUMNS - 50) - 42) / 2))
    elif kind == "off centre":
        shade = 1 / (1 + np.exp((np.hypot(ROWS - 40, COLUMNS - 60) - 44) / 2))
    elif kind == "rectangle":
        shade = ((ROWS > 14) & (ROWS < 82) & (COLUMNS > 10) & (COLUMNS < 88)).astype(float)
    elif kind == "dust":
        for row, column, size in zip(*rng.uniform(5, 95, (2, 8)), rng.uniform(2.5, 8, 8)):
            shade[np.hypot(ROWS - row, COLUMNS - column) < size] = 0.4
        shade = gaussian_filter(shade, 0.7)
    return (frames * shade + 100 + rng.normal(0, 10, frames.shape)).astype(np.float32)


def corrected(movie: np.ndarray, **more) -> MotionCorrect:
    """Correct with a limit of 8 px."""
    mc = MotionCorrect(movie, max_shifts=8, border_nan="copy", **({"gSig_filt": 3} | more))
    mc.motion_correct()
    return mc


def error(mc: MotionCorrect, shifts: np.ndarray) -> float:
    """RMS error of rigid shifts, px, both axes together."""
    off = np.array(mc.shifts_rig) + shifts
    return float(np.sqrt(((off - np.median(off, axis=0)) ** 2).sum(axis=1).mean()))


@pytest.mark.parametrize(("kind", "seed"), [("off centre", 2), ("rectangle", 3), ("dust", 4)])
def test_what_stands_still_does_not_hold_the_tissue(tmp_caiman, caplog, kind, seed):
    frames, shifts = tissue(seed)
    with caplog.at_level(logging.WARNING, "caiman"):
        mc = corrected(behind(frames, kind, seed))
    # Without anything in front .05; held by it 3 and more.
    assert error(mc, shifts) < 0.15
    assert "doesn't move with the tissue" in caplog.text and "gSig_filt" not in caplog.text
    assert mc.quality.improved and 0.1 < mc.quality.left_out < 0.8
    assert 1 - mc.aligned_by.mean() == pytest.approx(mc.quality.left_out)


@pytest.mark.parametrize("more", [{"gSig_filt": None}, {"filter_mode": "caiman"}])
def test_other_filters_are_freed_too(tmp_caiman, more):
    frames, shifts = tissue(5)
    assert error(corrected(behind(frames, "rim"), **more), shifts) < 0.25


def test_nothing_is_left_out_where_all_moves_or_nothing_does(tmp_caiman, caplog):
    frames, shifts = tissue(6)
    free = corrected(behind(frames, "nothing"))
    assert free.aligned_by is None and free.quality.left_out == 0 and error(free, shifts) < 0.1
    with caplog.at_level(logging.WARNING, "caiman"):
        still = corrected(behind(np.repeat(frames[:1], FRAMES, axis=0), "rim"))
    assert still.aligned_by is None and np.abs(still.shifts_rig).max() < 0.2
    assert "the recording hardly moves and can be used as it is" in caplog.text


def test_a_mask_can_be_given_and_is_checked(tmp_caiman):
    frames, shifts = tissue(7)
    movie = behind(frames, "rim")
    mask = np.hypot(ROWS - 50, COLUMNS - 50) < 32
    given = corrected(movie, mask=mask)
    assert np.array_equal(given.aligned_by, mask) and error(given, shifts) < 0.15
    held = corrected(movie, mask=None)
    assert held.aligned_by is None and error(held, shifts) > 1
    for wrong in (mask[:50], mask & False, "lens"):
        with pytest.raises(InputError, match="True where tissue is"):
            corrected(movie, mask=wrong)
