"""Checks of lesson 2: the frame that moved most, and a filter width with which the correction fails."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnmf_engine.base.errors import InputError, explain
from workshop_utils.exercises.reading import close, is_empty, one_number, whole_number
from workshop_utils.exercises.verdict import Verdict, answering, no_answer, not_yet, right

__all__ = ["failing_width", "most_moved"]

# A correction that leaves half of the movement in has failed.
_LEFT = 0.5
# RMS, px: less isn't movement.
_STILL = 0.1
# Tissue seldom jumps by a third of its whole range from each frame to the next; shifts that follow noise do.
_JUMPY = 1 / 3
# So many frames at the largest shift aren't chance.
_STUCK = 0.05


@answering
def most_moved(answer: Any, shifts: Any) -> Verdict:
    """
    Check which frame is farthest from the usual place.

    Parameters
    ----------
    answer : int or None
        Number of a frame, from 0.
    shifts : array of shape (T, 2)
        Shift of each frame, rows then columns, px.

    Returns
    -------
    Verdict
        Right for the frame with the largest distance from the median shift (any of them where several are
        as far).

    Raises
    ------
    InputError
        The shifts aren't a row and a column shift for each frame.
    """
    shifts = _table(shifts)
    if not np.isfinite(shifts).all():
        return no_answer(
            "some shifts are NaN or infinite, so no frame is the farthest: correct the movie again."
        )
    away = np.linalg.norm(shifts - np.median(shifts, axis=0), axis=1)
    value = one_number(answer, "the number of a frame", "my_frame")
    if value != round(value):
        if close(value, away.max()):
            return not_yet(
                "that is the largest distance, in pixels. Asked for is the frame in which it occurs:"
                " np.argmax."
            )
        return not_yet(
            "the number of a frame is whole. If you read it off the figure, its axis is in seconds."
        )
    frame = whole_number(answer, "the number of a frame", "my_frame")
    inside = 0 <= frame < len(shifts)
    if inside and away[frame] >= away.max() - 1e-6:
        usual = float(np.median(away))
        return right(
            f"frame {frame} is {away[frame]:.1f} px from the usual place; half of all frames are"
            f" nearer than {usual:.1f} px.",
            "One thing more: before you believe a frame like this one, look at its neighbours. The"
            " brain takes a few frames to come back; one that jumps alone was probably matched wrongly.",
        )
    if _flattened(frame, shifts):
        return not_yet(
            "np.argmax of the whole table counts rows and columns one after the other. Make one distance a"
            " frame first: axis=1."
        )
    if not inside:
        return not_yet(f"there are frames 0 to {len(shifts) - 1}, counted from the start.")
    return not_yet(
        _slip(frame, shifts, away)
        or f"frame {frame} is {away[frame]:.1f} px from the usual place, and another one is farther."
    )


def _flattened(frame: int, shifts: np.ndarray) -> bool:
    """Recognise the position of the largest number among all of both columns."""
    return any(frame == np.argmax(np.abs(table)) for table in (shifts, shifts - np.median(shifts, axis=0)))


def _slip(frame: int, shifts: np.ndarray, away: np.ndarray) -> str:
    """Say what was computed in place of the distance from the median."""
    best = int(np.argmax(away))
    steps = np.linalg.norm(np.diff(shifts, axis=0), axis=1)
    if abs(frame - best) == 1:
        return "one beside it. Frames are counted from 0: did you add or subtract one?"
    if frame == int(np.argmax(np.linalg.norm(shifts, axis=1))):
        return "that is the largest shift, counted from 0. The usual place is the median: subtract it first."
    if any(frame == np.argmax(np.abs(shifts[:, axis])) for axis in (0, 1)):
        return (
            "that is the largest shift along one direction. A distance takes both: np.linalg.norm(...,"
            " axis=1)."
        )
    if len(steps) and frame - np.argmax(steps) in (0, 1):
        return (
            "that is the largest jump from one frame to the next. Asked for is the distance from the"
            " usual place."
        )
    if frame == int(np.argmin(away)):
        return "that is the frame that moved least: argmax, not argmin."
    return ""


@answering
def failing_width(answer: Any, shifts: Any, before: Any, after: Any, truth_shifts: Any = None) -> Verdict:
    """
    Check that a filter width makes motion correction fail, and say which number gives it away.

    Parameters
    ----------
    answer : float or None
        The width `gSig_filt`, px.
    shifts : array of shape (T, 2) or None
        What the correction with this width found, rows then columns, px.
    before, after : (float, float) or None
        Agreement of the frames with their mean image, and crispness of that image, without the correction
        and with it.
    truth_shifts : array of shape (T, 2), optional
        The true motion of the same frames, px.

    Returns
    -------
    Verdict
        With the truth right where half of the movement or more is left; without it where agreement or
        crispness fell, or the shifts themselves make no sense.

    Raises
    ------
    InputError
        Shifts of a wrong shape, or other frames than the truth's.
    """
    width = one_number(answer, "the width of the filter", "my_width", "pixels")
    if width <= 0:
        return not_yet("a filter's width is larger than 0 px.")
    if is_empty(shifts) or is_empty(after) or is_empty(before):
        return no_answer(
            f"the movie hasn't been corrected with gSig_filt {width:g} yet: run the whole cell again."
        )
    shifts = _table(shifts)
    clues = _clues(shifts, before, after)
    told = "\n".join(f"- {clue}" for clue in clues)
    if truth_shifts is None:
        if clues:
            return right(
                f"the correction with {width:g} px can't be believed. What gives it away:\n{told}\n{_LESSON}"
            )
        return not_yet(f"with {width:g} px {_numbers(before, after)}, and the shifts look sensible. {_TRY}")
    left, moved = _error(shifts, truth_shifts), _error(np.zeros_like(shifts), truth_shifts)
    found = (
        f"with {width:g} px the frames are {left:.1f} px from their place (RMS), after {moved:.1f} px"
        " without correction"
    )
    if left < max(_LEFT * moved, _STILL):
        if moved < _STILL:
            return not_yet(f"{found}. Nothing moved here, so no correction can be seen to fail.")
        works = left < moved / 4
        hint = f"The width works. {_TRY}" if works else "It begins to fail: go on in this direction."
        return not_yet(f"{found}. {hint}")
    if clues:
        return right(f"{found}. You would have noticed without the truth:\n{told}\n{_LESSON}")
    return right(
        f"{found}. A nasty one: {_numbers(before, after)}, so nothing here gives it away.",
        "Only a neighbouring width does, one with which crispness rises further: that is why one"
        " tries several.",
    )


_TRY = "Try a width that is far from the size of a cell, to either side."
_LESSON = (
    "One thing more: no line of code failed. On your own movie these numbers are all you have, so"
    " look at them each time, and then at the movie."
)


def _clues(shifts: np.ndarray, before: Any, after: Any) -> list[str]:
    """Word what looks wrong without knowing the truth."""
    (agreed, crisp), (agrees, crisper) = before, after
    if unknown := float(np.mean(~np.isfinite(shifts).all(axis=1))):
        return [f"shifts: {unknown:.0%} of them are NaN or infinite. Those frames weren't matched."]
    span = float(np.ptp(shifts, axis=0).max())
    largest = np.abs(shifts).max()
    stuck = float((np.abs(shifts) >= largest - 1e-6).any(axis=1).mean())
    steps = np.linalg.norm(np.diff(shifts, axis=0), axis=1)
    jitter = float(np.median(steps)) if len(steps) else 0.0
    clues = []
    # Asked this way round, NaN is a clue, too.
    if not crisper > crisp:
        clues.append(
            f"crispness: {crisper:.1f} after {crisp:.1f}. The mean image is no sharper than without any"
            " correction."
        )
    if not agrees > agreed:
        clues.append(f"agreement: {agrees:.3f} after {agreed:.3f}. The frames are no more alike than before.")
    if span < 0.1:
        clues.append(f"range: the shifts differ by {span:.2f} px. Nothing was matched.")
    elif stuck > _STUCK and largest >= 1:
        clues.append(
            f"range: {stuck:.0%} of the frames have the largest shift there is, {largest:g} px. They"
            " stick to the limit."
        )
    if span > 1 and jitter > _JUMPY * span:
        clues.append(
            f"jitter: half of the steps from frame to frame are larger than {jitter:.1f} px. Tissue"
            " doesn't jump like that."
        )
    return clues


def _numbers(before: Any, after: Any) -> str:
    words = ["rose" if now > then else "fell" for then, now in zip(before, after)]
    return (
        f"agreement {words[0]} ({before[0]:.3f} to {after[0]:.3f}) and crispness {words[1]}"
        f" ({before[1]:.1f} to {after[1]:.1f})"
    )


def _error(shifts: np.ndarray, truth_shifts: Any) -> float:
    from workshop_utils.measures.scoring import shift_error

    return shift_error(shifts, truth_shifts)


def _table(shifts: Any) -> np.ndarray:
    table = np.asarray(shifts, dtype=float)
    if table.ndim != 2 or table.shape[1] != 2 or not len(table):
        raise InputError(
            explain("shifts (T, 2), rows and columns", f"shape {table.shape}", "pass np.array(mc.shifts_rig)")
        )
    return table
