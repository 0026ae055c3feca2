"""Rigid registration of a movie, block by block: arrays in, named results out."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnmf_engine.cluster import map_ordered
from cnmf_engine.errors import ParameterError, explain
from cnmf_engine.registration.estimator import ShiftEstimator, limits
from cnmf_engine.registration.passes import (
    FramePass,
    Sink,
    StepResult,
    check_movie,
    chunks_of,
    read_frames,
    some,
    spread,
)
from cnmf_engine.registration.templates import (
    bin_median,
    check_template,
    filter_margin,
    high_pass,
    median_template,
)
from cnmf_engine.registration.warping import check_border, fill_missing, moved, set_borders

__all__ = ["RigidResult", "RigidStep", "count_at_limit", "initial_template", "register_rigid"]

logger = logging.getLogger("caiman")

_SAMPLE_FRAMES = 50
_REFINE_FRAMES = 400
_FEW_FRAMES = 20
_AT_LIMIT_PX = 0.05
_MANY_AT_LIMIT = 0.05


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
    saved : object
        What the sink of frames returned, None without one.
    """

    shifts: np.ndarray
    template: np.ndarray
    templates: np.ndarray
    at_limit: int
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
        `cnmf_engine.io.MovieReader`.
    max_shifts : float or sequence of two floats
        Largest shift of rows and columns, px. It is kept exactly; 0 keeps that axis in place.
    gSig_filt : float or sequence of two floats, optional
        Width of the high-pass filter, px; see `high_pass`.
    template : ndarray of shape (d1, d2), optional
        Template to register to, filtered like the frames. Made from the movie if not given.
    niter_rig : int
        Passes over the movie; each starts from the median of what the one before corrected.
    splits : int or sequence of index arrays
        Consecutive parts of the movie, each of which gives one of `templates`.
    num_splits_to_process : int, optional
        Parts to use, spread over the movie, in all passes but the last. All of them if not given.
    border_nan : {True, 'min', 'copy', False}
        See `cnmf_engine.shifts.apply_shifts`.
    dview : object, optional
        Workers, as `cnmf_engine.cluster.setup_cluster` returns them.
    sink : callable, optional
        Takes an iterator of corrected blocks ``(n, d1, d2)`` float32 in order, e.g. to write them.
    keep_template : bool
        Leave a given template as it is; if False it is only the start, as for the next file of a recording.

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
    dims = check_movie(movie)
    rounds = _check_rounds(niter_rig)
    chunks = chunks_of(movie.shape[0], splits)
    keep = template is not None and keep_template
    if template is None:
        template = initial_template(movie, max_shifts, gSig_filt, dview)
    template = check_template(template, dims)
    margin = filter_margin(gSig_filt)
    for iteration in range(rounds):
        last = iteration == rounds - 1
        used = chunks if last or num_splits_to_process is None else some(chunks, num_splits_to_process)
        estimator = ShiftEstimator(template, max_shifts, margin, clip=gSig_filt is not None)
        run = FramePass(movie, used, RigidStep(estimator, gSig_filt, border_nan), dview)
        saved = run.drain(sink if last else None)
        if not keep:
            template = median_template(run.templates(), gSig_filt)
    shifts = np.concatenate(run.found)
    at_limit = count_at_limit(shifts, max_shifts)
    return RigidResult(shifts, template, run.templates(), at_limit, saved)


def initial_template(
    movie: Any,
    max_shifts: float | Sequence[float],
    gSig_filt: float | Sequence[float] | None = None,
    dview: Any = None,
) -> np.ndarray:
    """
    Make a first template from frames spread over the movie.

    At most 50 frames are aligned with each other in three rounds; the template they give is refined once on
    at most 400 frames. Movies of any length work, but fewer than 20 frames give a noisy template and a
    warning.

    Parameters
    ----------
    movie : array_like of shape (T, d1, d2)
        As for `register_rigid`.
    max_shifts, gSig_filt, dview
        As for `register_rigid`.

    Returns
    -------
    ndarray of shape (d1, d2), float32
        Template, high-pass filtered like the frames.
    """
    T = movie.shape[0]
    if T < _FEW_FRAMES:
        logger.warning(
            "The movie has only %d frame(s): the template of the motion correction is made from all of them "
            "and is noisy. Check the shifts, or pass template=... from a longer recording.",
            T,
        )
    index = spread(T, _SAMPLE_FRAMES)
    margin, clip = filter_margin(gSig_filt), gSig_filt is not None
    frames, _ = fill_missing(read_frames(movie, index), index)
    frames = high_pass(frames, gSig_filt)
    template = bin_median(frames)
    blocks = np.array_split(np.arange(len(frames)), -(-len(frames) // 10))
    for _ in range(3):
        find = ShiftEstimator(template, max_shifts, margin, clip).find
        shifts = np.concatenate(map_ordered(find, [frames[block] for block in blocks], dview))
        centred = shifts - shifts.mean(axis=0)
        template = bin_median(moved(frames, centred))
    chunks = np.array_split(spread(T, _REFINE_FRAMES), min(14, T))
    estimator = ShiftEstimator(template, max_shifts, margin, clip)
    run = FramePass(movie, chunks, RigidStep(estimator, gSig_filt, False, quiet=True), dview)
    run.drain(None)
    # The mean position becomes the origin, so that the limits reach about as far on both sides.
    origin = -np.concatenate(run.found).mean(axis=0)
    return moved(median_template(run.templates(), gSig_filt)[None], origin[None])[0]


@dataclass
class RigidStep:
    """Register one block of frames; a task for a worker."""

    estimator: ShiftEstimator
    gSig_filt: Any
    border_nan: bool | str
    quiet: bool = False

    def __call__(self, item: tuple[np.ndarray, np.ndarray]) -> StepResult:
        """Take ``(frame numbers, frames)`` and return shifts and corrected frames."""
        numbers, frames = item
        frames, n_missing = fill_missing(frames, numbers)
        level = np.abs(frames.astype(np.float32)).max(axis=(1, 2))
        shifts = self.estimator.find(high_pass(frames, self.gSig_filt), level)
        corrected = moved(frames, shifts)
        total = corrected.sum(axis=0, dtype=np.float64)
        set_borders(corrected, shifts, self.border_nan)
        return StepResult(shifts, total, corrected, 0 if self.quiet else n_missing)


def count_at_limit(shifts: np.ndarray, max_shifts: float | Sequence[float]) -> int:
    """
    Count frames whose shift is as large as allowed, and warn when they are many.

    Parameters
    ----------
    shifts : ndarray of shape (T, 2)
        Shifts, px.
    max_shifts : float or sequence of two floats
        The limits, px.

    Returns
    -------
    int
        Frames at the limit of an axis that may move.
    """
    allowed = np.array(limits(max_shifts))
    hit = (np.abs(shifts) >= allowed - _AT_LIMIT_PX) & (allowed > 0)
    count = int(hit.any(axis=1).sum())
    if count > _MANY_AT_LIMIT * len(shifts):
        logger.warning(
            "%d of %d frames were shifted as far as max_shifts = (%g, %g) px allows: raise max_shifts if the "
            "recording moves that much, else try another gSig_filt",
            count,
            len(shifts),
            *allowed,
        )
    return count


def _check_rounds(niter_rig: int) -> int:
    if int(niter_rig) < 1:
        raise ParameterError(explain("niter_rig of 1 or more", repr(niter_rig), "use niter_rig=1"))
    return int(niter_rig)
