"""How a recording moves: how far, how fast, and whether all of it together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnmf_engine.errors import InputError, explain
from workshop_utils.motion_check import MotionCheck
from workshop_utils.recording.excerpt import as_movie

__all__ = ["Motion", "choose_width", "motion", "quadrants"]

#: Movement slower than this is drift, faster is jitter, s.
_SLOW = 2.0
#: A quadrant that is farther than this from the whole field, px, in more than this share of frames is lost.
_BEND, _FEW = 3.0, 0.1
#: Quadrants that differ by more than this move differently, px.
_NON_RIGID = 0.5
_LEAST_SHIFT, _STILL = 5, 1.0
#: A gain in agreement of this share of the best one is as good.
_NEARLY = 0.95
#: Jitter up to this many times the calmest is no difference.
_CALM = 1.1


@dataclass(frozen=True)
class Motion:
    """
    What shifts say about the movement; prints as a table.

    Attributes
    ----------
    reach_px : float
        Farthest that a frame lies from the usual place along an axis, px.
    jitter_px : float
        Fast part: RMS distance from the course smoothed over 2 s, px.
    drift_px : float
        Slow part: how far the smoothed course goes along an axis, px.
    step_px : float
        Median step from one frame to the next, px.
    apart_px : float
        How far the quadrants move apart, RMS, px, without what is only noise of their estimates; NaN where
        fewer than two could be aligned on their own.
    at_limit : float
        Share of frames whose shift reached the limit that was allowed.
    max_shift : int
        Limit that fits: half as much again as the reach, px.
    pw_rigid : bool
        Whether piecewise rigid correction is worth a try.
    course : ndarray of shape (T, 2)
        The shifts without the usual place, px.
    """

    reach_px: float
    jitter_px: float
    drift_px: float
    step_px: float
    apart_px: float
    at_limit: float
    max_shift: int
    pw_rigid: bool
    course: np.ndarray

    def __str__(self) -> str:
        """Write the table."""
        kind = "this is mostly jitter" if self.jitter_px * 3 > self.drift_px else "this is mostly drift"
        if self.reach_px < _STILL:
            kind = "this recording hardly moves"
        together = "too few could be aligned on their own to compare them: stay with rigid"
        if np.isfinite(self.apart_px):
            advice = "try piecewise rigid" if self.pw_rigid else "rigid will do"
            together = f"{self.apart_px:.2f} px apart: {advice}"
        lines = [
            f"reach        {self.reach_px:.1f} px from the usual place, so max_shift {self.max_shift}",
            f"fast part    {self.jitter_px:.2f} px RMS; {self.step_px:.2f} px from frame to frame (median)",
            f"slow part    {self.drift_px:.1f} px; {kind}",
            f"quadrants    {together}",
        ]
        if self.at_limit > 0:
            lines.append(f"at the limit {self.at_limit:.1%} of the frames: allow more, and look again")
        return "\n".join(lines)

    __repr__ = __str__


def quadrants(movie: Any) -> list[np.ndarray]:
    """
    Cut a movie into its four quadrants.

    Parameters
    ----------
    movie : array of shape (T, d1, d2)
        The movie, not yet corrected.

    Returns
    -------
    list of four ndarrays of shape (T, d1 / 2, d2 / 2)
        Top left, top right, bottom left, bottom right.
    """
    _, d1, d2 = np.shape(as_movie(movie))
    rows = slice(0, (d1 + 1) // 2), slice(d1 // 2, d1)
    columns = slice(0, (d2 + 1) // 2), slice(d2 // 2, d2)
    return [movie[:, r, c] for r in rows for c in columns]


def choose_width(checks: Mapping[int, MotionCheck], before: MotionCheck) -> int:
    """
    Choose a width of the high-pass filter from corrections with several, without the true motion.

    Parameters
    ----------
    checks : mapping of int to MotionCheck
        Width to what was measured after the correction with it.
    before : MotionCheck
        What was measured before any correction.

    Returns
    -------
    int
        Of the widths that raise agreement nearly as much as the best does (at least 95 %), without those that
        jitter clearly more, the middle one: the ends are where a width begins to fail.

    Raises
    ------
    InputError
        If there are no corrections.
    """
    if not checks:
        raise InputError(explain("at least one correction", "none", "correct the movie with some widths"))
    gains = {width: check.agreement - before.agreement for width, check in checks.items()}
    best = max(gains.values())
    good = [width for width, gain in gains.items() if gain >= best - abs(best) * (1 - _NEARLY)]
    calmest = min(checks[width].jitter_px for width in good)
    calm = sorted(width for width in good if checks[width].jitter_px <= _CALM * calmest)
    return calm[(len(calm) - 1) // 2]


def motion(shifts: Any, fr: float, quadrant_shifts: Sequence[Any] = (), limit: float = math.inf) -> Motion:
    """
    Describe a movement from the shifts that corrected it.

    Parameters
    ----------
    shifts : array of shape (T, 2)
        Shift of each frame, rows and columns, px.
    fr : float
        Frames a second, Hz; decides what is fast and what is slow.
    quadrant_shifts : sequence of arrays of shape (n, 2)
        Shifts of the same frames, or of the first ones, found in parts of the field on their own.
    limit : float
        Largest shift that was allowed, px.

    Returns
    -------
    Motion
        Sizes, and the parameters that follow; prints as a table.

    Raises
    ------
    InputError
        If shifts aren't (T, 2), or quadrants have more frames or differ in their number.
    """
    from scipy.ndimage import gaussian_filter1d

    shifts = np.asarray(shifts, dtype=float)
    others = [np.asarray(part, dtype=float) for part in quadrant_shifts]
    if (
        shifts.ndim != 2
        or shifts.shape[1] != 2
        or not len(shifts)
        or any(part.shape != others[0].shape or part.shape > shifts.shape for part in others)
    ):
        raise InputError(
            explain(
                "shifts (T, 2), and for each quadrant as many or fewer, all alike",
                f"shape {shifts.shape}, quadrants {[part.shape for part in others]}",
                "pass np.array(mc.shifts_rig) of corrections of the same frames",
            )
        )
    course = shifts - np.median(shifts, axis=0)
    slow = gaussian_filter1d(course, max(_SLOW * fr / 2, 1.0), axis=0, mode="nearest")
    reach = float(np.abs(course).max())
    steps = np.linalg.norm(np.diff(course, axis=0), axis=1)
    credible = [part for part in others if _credible(part, course)]
    apart = _apart(credible) if len(credible) > 1 else float("nan")
    return Motion(
        reach_px=reach,
        jitter_px=float(np.sqrt(((course - slow) ** 2).sum(axis=1).mean())),
        drift_px=float(np.ptp(slow, axis=0).max()),
        step_px=float(np.median(steps)) if len(steps) else 0.0,
        apart_px=apart,
        at_limit=float(np.mean(np.abs(shifts).max(axis=1) >= limit - 0.05)),
        max_shift=max(_LEAST_SHIFT, math.ceil(1.5 * reach)),
        pw_rigid=bool(apart > _NON_RIGID),
        course=course,
    )


def _credible(part: np.ndarray, course: np.ndarray) -> bool:
    """Say whether a quadrant could be aligned: tissue doesn't bend that far, but a dim one errs."""
    away = part - np.median(part, axis=0) - course[: len(part)]
    return bool(np.mean(np.linalg.norm(away, axis=1) > _BEND) <= _FEW)


def _apart(parts: list[np.ndarray]) -> float:
    """
    Root mean square distance of the quadrants' courses from their mean, without the noise of the estimates.

    A quadrant's estimate errs anew in each frame, and tissue bends over several; so what a frame's deviation
    has in common with the next one's counts, and the rest doesn't.
    """
    stack = np.stack([part - np.median(part, axis=0) for part in parts])
    away = stack - np.median(stack, axis=0)
    if away.shape[1] < 3:
        return 0.0
    common = [(one[1:] * one[:-1]).sum(axis=1).mean() for one in away]
    return float(np.sqrt(max(np.median(common), 0.0)))
