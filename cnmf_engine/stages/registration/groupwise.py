"""Frames aligned with each other, before there is anything to align them with."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnmf_engine.base.parallel import RUN, Run
from cnmf_engine.stages.registration.estimator import ShiftEstimator
from cnmf_engine.stages.registration.templates import bin_median, reliable_part
from cnmf_engine.stages.registration.warping import moved

__all__ = ["groupwise"]

_ROUNDS = 3


def groupwise(
    frames: np.ndarray,
    max_shifts: Any,
    margin: int,
    clip: bool,
    wiener: bool,
    run: Run = RUN,
    part: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """
    Align filtered frames with each other: every other frame with the mean of those between, and so on.

    Parameters
    ----------
    frames : ndarray of shape (n, d1, d2), float32
        Filtered frames.
    max_shifts, margin, clip, part
        As for `ShiftEstimator`.
    wiener : bool
        Keep of each scale of the templates as much as the two halves of the frames agree on.
    run : Run
        Its workers share the work.

    Returns
    -------
    template : ndarray of shape (d1, d2), float32
        Mean of the aligned frames.
    shifts : ndarray of shape (n, 2)
        Of the frames, about the mean of their half, px.
    """
    halves, found = [frames[::2], frames[1::2]] if len(frames) > 1 else [frames, frames], [None, None]
    means = [bin_median(half) for half in halves]
    for turn in range(2 * _ROUNDS):
        own, half = turn % 2, halves[turn % 2]
        # A frame that is part of the template it is compared with would stay where it is.
        guide = reliable_part(means[1 - own], means[own], weight=1) if wiener else means[1 - own]
        find = ShiftEstimator(guide, max_shifts, margin, clip, part).find
        blocks = np.array_split(np.arange(len(half)), -(-len(half) // 10))
        shifts = np.concatenate(run.map(find, [half[block] for block in blocks]))
        found[own] = shifts - shifts.mean(axis=0)
        means[own] = bin_median(moved(half, found[own]))
    shifts = np.empty((len(frames), 2))
    shifts[::2], shifts[1::2] = found[0], found[1][: len(frames) // 2]
    return reliable_part(*means) if wiener else 0.5 * (means[0] + means[1]), shifts
