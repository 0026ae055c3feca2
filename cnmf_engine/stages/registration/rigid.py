"""Rigid registration of a movie, block by block: arrays in, named results out."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnmf_engine.base.errors import ParameterError, explain
from cnmf_engine.stages.registration.estimator import limits
from cnmf_engine.stages.registration.guide_making import guide_from, guide_to
from cnmf_engine.stages.registration.guides import Guide
from cnmf_engine.stages.registration.passes import (
    FramePass,
    Sink,
    StepResult,
    check_movie,
    chunks_of,
    read_frames,
    some,
    spread,
)
from cnmf_engine.stages.registration.templates import check_filter_mode, check_template, median_template
from cnmf_engine.stages.registration.warping import check_border, fill_missing, moved, set_borders

__all__ = ["RigidResult", "RigidStep", "count_at_limit", "register_rigid"]

logger = logging.getLogger("caiman")

_AT_LIMIT_PX = 0.05
_MANY_AT_LIMIT = 0.05
# Frames at the limit that are looked for farther away, and room beyond the farthest, px.
_TRIED, _ROOM = 60, 0.5


@dataclass(frozen=True)
class RigidResult:
    """
    Outcome of `register_rigid`.

    Attributes
    ----------
    shifts : ndarray of shape (T, 2), float64
        Translation applied to each frame, rows then columns, px.
    template : ndarray of shape (d1, d2), float32
        Median of `templates`, high-pass filtered if the frames were; or the template that was given.
    templates : ndarray of shape (n_splits, d1, d2), float32
        Mean corrected image of each part of the movie, in its own units.
    at_limit : int
        Frames whose shift is as large as was allowed on some axis.
    guide : Guide
        What frames were compared with, to be used for the next movie of the recording.
    saved : object
        What the sink of frames returned, None without one.
    """

    shifts: np.ndarray
    template: np.ndarray
    templates: np.ndarray
    at_limit: int
    guide: Guide
    saved: Any = None


def register_rigid(
    movie: Any,
    max_shifts: float | Sequence[float] = (6, 6),
    gSig_filt: float | Sequence[float] | None = None,
    template: np.ndarray | None = None,
    niter_rig: int = 1,
    splits: int | Sequence[np.ndarray] = 14,
    num_splits_to_process: int | None = None,
    border_nan: bool | str = "copy",
    dview: Any = None,
    sink: Sink | None = None,
    keep_template: bool = True,
    filter_mode: str = "auto",
    guide: Guide | None = None,
    memory_limit: int | float | str | None = None,
    mask: np.ndarray | str | None = "auto",
) -> RigidResult:
    """
    Register every frame of a movie to a template by translation.

    Shifts are found on high-pass filtered frames and applied to the original ones. What is handed to `sink`
    stays in the units of the movie: nothing is subtracted or added. Only blocks of frames are held in memory.
    The result doesn't depend on the number of workers.

    Parameters
    ----------
    movie : array_like of shape (T, d1, d2)
        Anything with a shape that gives frames when it is sliced: array, memory map,
        `cnmf_engine.movies.MovieReader`.
    max_shifts : float or sequence of two floats
        Largest shift of rows and columns, px. It is kept exactly; 0 keeps that axis in place.
    gSig_filt : float or sequence of two floats, optional
        Width of the high-pass filter, px; see `match_filter`.
    template : ndarray of shape (d1, d2), optional
        Template to register to, filtered by `high_pass`. Made from the movie if not given.
    niter_rig : int
        Passes over the movie; each starts from the median of what the one before corrected.
    splits : int or sequence of index arrays
        Consecutive parts of the movie, each of which gives one of `templates`.
    num_splits_to_process : int, optional
        Parts to use, spread over the movie, in all passes but the last. All of them if not given.
    border_nan : {True, 'min', 'copy', False}
        See `cnmf_engine.stages.registration.apply_shifts`.
    dview : object, optional
        Workers, as `cnmf_engine.caiman.cluster.setup_cluster` returns them.
    sink : callable, optional
        Takes an iterator of corrected blocks ``(n, d1, d2)`` float32 in order, e.g. to write them.
    keep_template : bool
        Leave a given template as it is; if False it is only the start, as for the next file of a recording.
    filter_mode : {'auto', 'caiman'}
        How frames are filtered before they are compared; see `match_filter`.
    guide : Guide, optional
        The guide of another movie of the recording, to use instead of making one.
    memory_limit : int, float or str, optional
        Bytes that blocks of frames may take, see `cnmf_engine.base.memory.memory_budget`.
    mask : {'auto', None} or ndarray of shape (d1, d2), bool
        True where tissue is that shifts come from. 'auto' leaves out what doesn't move with the tissue, see
        `moving_part`, and warns; None takes the whole field. Not used with `guide`, which has its own.

    Returns
    -------
    RigidResult
        Shifts and templates.

    Raises
    ------
    InputError
        If the movie has no frames or a frame without a finite pixel, or the template has another size.
    ParameterError
        If a parameter has no usable value.

    References
    ----------
    Pnevmatikakis & Giovannucci 2017, J. Neurosci. Methods 291:83, section 2.1.
    """
    check_border(border_nan)
    check_filter_mode(filter_mode)
    dims = check_movie(movie)
    rounds = _check_rounds(niter_rig)
    chunks = chunks_of(movie.shape[0], splits)
    keep = template is not None and keep_template
    if template is not None:
        template = check_template(template, dims)
    if guide is None and template is None:
        guide = guide_from(movie, max_shifts, gSig_filt, dview, filter_mode, mask)
    elif guide is None:
        guide = guide_to(movie, template, max_shifts, gSig_filt, dview, filter_mode, mask)
    for iteration in range(rounds):
        last = iteration == rounds - 1
        used = chunks if last or num_splits_to_process is None else some(chunks, num_splits_to_process)
        run = FramePass(movie, used, RigidStep(guide, border_nan), dview, memory_limit)
        saved = run.drain(sink if last else None)
        if not keep and not last:
            guide = guide.refined(run.templates())
    templates = run.templates()
    if not keep:
        template = median_template(templates, gSig_filt)
    shifts = np.concatenate(run.found)
    return RigidResult(
        shifts, template, templates, count_at_limit(shifts, max_shifts, movie, guide), guide, saved
    )


@dataclass
class RigidStep:
    """Register one block of frames; a task for a worker."""

    guide: Guide
    border_nan: bool | str

    def __call__(self, item: tuple[np.ndarray, np.ndarray]) -> StepResult:
        """Take ``(frame numbers, frames)`` and return shifts and corrected frames."""
        numbers, frames = item
        frames, n_missing = fill_missing(frames, numbers)
        shifts = self.guide.find(frames)
        corrected = moved(frames, shifts)
        total = corrected.sum(axis=0)
        set_borders(corrected, shifts, self.border_nan)
        return StepResult(shifts, total, corrected, n_missing)


def count_at_limit(
    shifts: np.ndarray, max_shifts: float | Sequence[float], movie: Any = None, guide: Guide | None = None
) -> int:
    """
    Count frames whose shift is as large as allowed, and warn when they are many.

    Parameters
    ----------
    shifts : ndarray of shape (T, 2)
        Shifts, px.
    max_shifts : float or sequence of two floats
        The limits, px.
    movie, guide : optional
        What the shifts belong to and come from, to look how far such frames would have to go.

    Returns
    -------
    int
        Frames at the limit of an axis that may move.
    """
    allowed = np.array(limits(max_shifts))
    hit = _at_limit(shifts, allowed)
    count = int(hit.sum())
    if count > _MANY_AT_LIMIT * len(shifts):
        advice = "raise max_shifts if the recording moves that much, else try another gSig_filt"
        if movie is not None and guide is not None:
            needed = _needed(movie, guide, shifts, hit, allowed)
            advice = (
                "farther away they find no place either, so they are damaged or the shifts follow noise: "
                "look at these frames, and try another gSig_filt"
                if needed is None
                else "try max_shifts = ({:d}, {:d}), which is as far as these frames would go".format(*needed)
            )
        logger.warning(
            "%d of %d frames (%.0f %%) were shifted as far as max_shifts = (%g, %g) px allows: %s",
            count,
            len(shifts),
            100 * count / len(shifts),
            *allowed,
            advice,
        )
    return count


def _at_limit(shifts: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    return ((np.abs(shifts) >= allowed - _AT_LIMIT_PX) & (allowed > 0)).any(axis=1)


def _needed(
    movie: Any, guide: Guide, shifts: np.ndarray, hit: np.ndarray, allowed: np.ndarray
) -> list[int] | None:
    """Limits of rows and columns, px, that hold frames which are at them now; None if none does."""
    numbers = np.flatnonzero(hit)
    numbers = numbers[spread(len(numbers), _TRIED)]
    frames, _ = fill_missing(read_frames(movie, numbers), numbers)
    farthest, reach = 0.5 * np.array(movie.shape[1:]) * (allowed > 0), allowed
    while (reach < farthest).any():
        reach = np.minimum(2 * reach, farthest)
        found = guide.reaching(reach).find(frames)
        lost = _at_limit(found, reach)
        if lost.mean() <= _MANY_AT_LIMIT:
            # The mean position is the origin: it moves with the frames that were held back.
            moved_on = hit.mean() * (found - shifts[numbers])[~lost].mean(axis=0)
            places = np.concatenate([found[~lost], found[~lost] - moved_on, shifts[~hit] - moved_on])
            return [int(n) for n in np.ceil(np.abs(places).max(axis=0) + _ROOM) * (allowed > 0)]
    return None


def _check_rounds(niter_rig: int) -> int:
    if int(niter_rig) < 1:
        raise ParameterError(explain("niter_rig of 1 or more", repr(niter_rig), "use niter_rig=1"))
    return int(niter_rig)
