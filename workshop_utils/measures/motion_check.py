"""Measure how good a motion correction is: without the true motion, and against it where it is known."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from cnmf_engine.base.errors import InputError, explain
from workshop_utils.measures.scoring import shift_error

__all__ = ["MotionCheck", "MotionTable", "measure"]

_MOST_FRAMES = 300
_COLUMNS = ("agreement", "crispness", "range px", "jitter px", "left px", "error px")
_HEAD = " ".join([f"{'':>16}", *(f"{name:>9}" for name in _COLUMNS)])


class MotionCheck(NamedTuple):
    """
    What says whether frames lie on top of each other.

    Attributes
    ----------
    agreement : float
        Mean correlation of the frames with their mean image. Correction should raise it.
    crispness : float
        Strength of the edges in the mean image, counts a pixel in the sum of squares. Movement blurs the mean
        image, so correction should raise it.
    range_px : float
        Largest difference between two shifts along an axis, px.
    jitter_px : float
        Median step of the shifts from one frame to the next, px.
    left_px : float
        Motion that is left, RMS, as the embedded engine estimates it, px; NaN where it isn't known.
    error_px : float
        Difference from the true motion, RMS, px; NaN where the truth isn't known.
    """

    agreement: float
    crispness: float
    range_px: float
    jitter_px: float
    left_px: float = float("nan")
    error_px: float = float("nan")

    def row(self, label: str) -> str:
        """Write the numbers below `MotionTable`'s headings; a dash for what isn't known."""
        left, error = ("-" if np.isnan(value) else f"{value:.2f}" for value in (self.left_px, self.error_px))
        return (
            f"{label:>16} {self.agreement:9.4f} {self.crispness:9.2f} {self.range_px:9.1f} "
            f"{self.jitter_px:9.2f} {left:>9} {error:>9}"
        )


def measure(frames: Any, shifts: Any, truth_shifts: Any = None, quality: Any = None) -> MotionCheck:
    """
    Measure a motion correction.

    Parameters
    ----------
    frames : array of shape (T, d1, d2)
        The frames after correction; of long movies a part is looked at.
    shifts : array of shape (T, 2)
        Shift of each frame, rows then columns, px; zeros for an uncorrected movie.
    truth_shifts : array of shape (T, 2), optional
        The true motion of the same frames.
    quality : object, optional
        What the embedded engine left in `MotionCorrect.quality`; its `residual_px` is taken over.

    Returns
    -------
    MotionCheck
        The numbers.

    Raises
    ------
    InputError
        There are no frames, or not as many shifts as frames.
    """
    shifts = np.asarray(shifts, dtype=float)
    if np.ndim(frames) != 3 or not len(frames) or shifts.shape != (len(frames), 2):
        raise InputError(
            explain(
                "frames (T, rows, columns) and a row and column shift for each, (T, 2)",
                f"frames of shape {np.shape(frames)}, shifts of shape {shifts.shape}",
                "pass the corrected movie and the shifts of the same correction",
            )
        )
    image = np.mean(frames, axis=0, dtype=np.float64)
    sample = frames[:: len(frames) // _MOST_FRAMES + 1]
    steps = np.linalg.norm(np.diff(shifts, axis=0), axis=1)
    return MotionCheck(
        agreement=float(np.mean([_correlation(frame, image) for frame in sample])),
        crispness=float(np.linalg.norm(np.gradient(image))),
        range_px=float(np.ptp(shifts, axis=0).max()),
        jitter_px=float(np.median(steps)) if len(steps) else 0.0,
        left_px=float(getattr(quality, "residual_px", np.nan)),
        error_px=shift_error(shifts, truth_shifts) if truth_shifts is not None else float("nan"),
    )


class MotionTable:
    """
    A table of motion corrections that prints each line as soon as it is known.

    Parameters
    ----------
    truth_shifts : array of shape (T, 2), optional
        The true motion, for the last column.

    Attributes
    ----------
    rows : dict of str to MotionCheck
        The lines so far.
    """

    def __init__(self, truth_shifts: Any = None) -> None:
        self.rows: dict[str, MotionCheck] = {}
        self._truth = truth_shifts
        print(_HEAD)

    def __getitem__(self, label: str) -> MotionCheck:
        return self.rows[label]

    def add(self, label: str, frames: Any, shifts: Any, quality: Any = None) -> MotionCheck:
        """Measure a correction as `measure` does, print its line and keep it."""
        found = measure(frames, shifts, self._truth, quality)
        self.rows[label] = found
        print(found.row(label))
        return found


def _correlation(frame: Any, image: np.ndarray) -> float:
    """Correlate two images; 0 where one of them is constant."""
    a = np.asarray(frame, dtype=np.float64).ravel()
    a, b = a - a.mean(), (image - image.mean()).ravel()
    length = np.linalg.norm(a) * np.linalg.norm(b)
    return float(a @ b / length) if length > 0 else 0.0
