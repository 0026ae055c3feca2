"""How a recording moves: how far, how fast, and whether all of it together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnmf_engine.base.errors import InputError, explain
from workshop_utils.measures.excerpt import as_movie
from workshop_utils.measures.motion_check import MotionCheck

__all__ = ["Motion", "choose_width", "motion", "quadrants"]

#: Movement slower than this is drift, faster is jitter, s.
_SLOW = 2.0
#: A quadrant that is farther than this from the whole field, px, in more than this share of frames is lost.
_BEND, _FEW = 3.0, 0.1
#: Quadrants that differ by more than this move differently, px.
_NON_RIGID = 0.5
_LEAST_SHIFT, _STILL = 5, 1.0
#: A frame's shift is believed where so many quadrants find it on their own, to within _BEND; the movement is
#: measured where that is so in at least this share of the frames.
_WITNESSES, _SEEN = 2, 0.5
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
        Farthest that a frame lies from the usual place along an axis, px; frames that the quadrants
        contradict don't count.
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
    seen : float
        Share of the frames whose shift two quadrants or more find on their own: 1 where there is structure
        to align by, near 0 in mere noise; NaN without four quadrants.
    limit : float
        The limit that was allowed, px.
    max_shift : int
        Limit that fits: half as much again as the reach, and never below the usual 5, px. That is all there
        is where the movement can't be measured.
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
    seen: float
    limit: float
    max_shift: int
    pw_rigid: bool
    course: np.ndarray

    @property
    def measured(self) -> bool:
        """Whether there is structure to align by, as far as parts of the field can tell."""
        return not self.seen < _SEEN

    @property
    def why_max_shift(self) -> str:
        """What set `max_shift`, in words."""
        if not self.measured:
            return (
                "that is the usual value: movement can't be measured here, parts of the field agree on it "
                f"in only {self.seen:.0%} of the frames"
            )
        if self.at_limit > 0:
            return (
                f"{self.at_limit:.1%} of the frames reach the limit of {self.limit:g} px that was allowed; "
                "the limit set it and not the movement, so measure again with a larger one"
            )
        usual = (
            f", and {_LEAST_SHIFT} is the least that is suggested" if self.max_shift == _LEAST_SHIFT else ""
        )
        return f"frames lie up to {self.reach_px:.1f} px from the usual place{usual}"

    def __str__(self) -> str:
        """Write the table."""
        if not self.measured:
            return (
                "Movement can't be measured here: two quadrants or more agree with the whole field in only "
                f"{self.seen:.0%} of the frames, so the shifts follow noise.\n"
                f"Leave the movie uncorrected, or take max_shift {self.max_shift}, the usual value. What may "
                "help: more light, a wider gSig_filt, or a part of the recording that shows vessels or cells."
            )
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
        if self.seen < 1:
            lines.append(
                f"not believed {1 - self.seen:.1%} of the frames: fewer than two quadrants confirm them"
            )
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
    believed, seen = _believed(course, others)
    slow = gaussian_filter1d(course, max(_SLOW * fr / 2, 1.0), axis=0, mode="nearest")
    reach = float(np.abs(course[believed]).max(initial=0.0))
    measured = not seen < _SEEN
    steps = np.linalg.norm(np.diff(course, axis=0), axis=1)
    credible = [part for part in others if _credible(part, course)]
    apart = _apart(credible) if measured and len(credible) > 1 else float("nan")
    return Motion(
        reach_px=reach,
        jitter_px=float(np.sqrt(((course - slow) ** 2).sum(axis=1).mean())),
        drift_px=float(np.ptp(slow, axis=0).max()),
        step_px=float(np.median(steps)) if len(steps) else 0.0,
        apart_px=apart,
        at_limit=float(np.mean(believed & (np.abs(shifts).max(axis=1) >= limit - 0.05))),
        seen=seen,
        limit=float(limit),
        max_shift=max(_LEAST_SHIFT, math.ceil(1.5 * reach)) if measured else _LEAST_SHIFT,
        pw_rigid=bool(apart > _NON_RIGID),
        course=course,
    )


def _believed(course: np.ndarray, parts: list[np.ndarray]) -> tuple[np.ndarray, float]:
    """Which frames' shifts parts of the field don't contradict, (T,), and the share that they confirm."""
    believed = np.ones(len(course), dtype=bool)
    if len(parts) < 4:
        return believed, float("nan")
    n = len(parts[0])
    away = np.stack([np.linalg.norm(part - np.median(part, axis=0) - course[:n], axis=1) for part in parts])
    believed[:n] = (away <= _BEND).sum(axis=0) >= _WITNESSES
    return believed, float(believed[:n].mean())


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
