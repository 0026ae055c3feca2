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
    check_filter_mode,
    check_template,
    filter_margin,
    high_pass,
    match_filter,
    median_template,
    reliable_part,
)
from cnmf_engine.registration.warping import check_border, fill_missing, moved, set_borders

__all__ = ["RigidResult", "RigidStep", "count_at_limit", "initial_template", "register_rigid"]

logger = logging.getLogger("caiman")

_SAMPLE_FRAMES = 100
_ROUNDS = 3
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
    guide : ndarray of shape (d1, d2), float32
        What frames were compared with: like the template, but filtered by `match_filter`.
    saved : object
        What the sink of frames returned, None without one.
    """

    shifts: np.ndarray
    template: np.ndarray
    templates: np.ndarray
    at_limit: int
    guide: np.ndarray
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
    guide: np.ndarray | None = None,
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
        See `cnmf_engine.shifts.apply_shifts`.
    dview : object, optional
        Workers, as `cnmf_engine.cluster.setup_cluster` returns them.
    sink : callable, optional
        Takes an iterator of corrected blocks ``(n, d1, d2)`` float32 in order, e.g. to write them.
    keep_template : bool
        Leave a given template as it is; if False it is only the start, as for the next file of a recording.
    filter_mode : {'auto', 'caiman'}
        How frames are filtered before they are compared; see `match_filter`.
    guide : ndarray of shape (d1, d2), optional
        The guide of another movie of the recording, to use instead of making one.

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
    if guide is not None:
        guide = check_template(guide, dims)
    elif template is None:
        guide = initial_template(movie, max_shifts, gSig_filt, dview, filter_mode)
    else:
        guide = guide_to(movie, template, max_shifts, gSig_filt, dview, filter_mode)
    margin = filter_margin(gSig_filt, filter_mode)
    for iteration in range(rounds):
        last = iteration == rounds - 1
        used = chunks if last or num_splits_to_process is None else some(chunks, num_splits_to_process)
        estimator = ShiftEstimator(guide, max_shifts, margin, clip=gSig_filt is not None)
        run = FramePass(movie, used, RigidStep(estimator, gSig_filt, border_nan, filter_mode), dview)
        saved = run.drain(sink if last else None)
        if not keep and not last:
            guide = median_template(run.templates(), gSig_filt, filter_mode)
    if not keep:
        template = median_template(run.templates(), gSig_filt)
    shifts = np.concatenate(run.found)
    at_limit = count_at_limit(shifts, max_shifts)
    return RigidResult(shifts, template, run.templates(), at_limit, guide, saved)


def guide_to(
    movie: Any,
    template: np.ndarray,
    max_shifts: float | Sequence[float],
    gSig_filt: float | Sequence[float] | None,
    dview: Any = None,
    filter_mode: str = "auto",
) -> np.ndarray:
    """
    Make what frames are compared with when a template is given.

    A template of CaImAn's kind lacks what its filter removed. So the movie's own mean image is laid onto it,
    which is exact because that image holds little noise, and frames are compared with the image.

    Parameters
    ----------
    movie : array_like of shape (T, d1, d2)
        As for `register_rigid`.
    template : ndarray of shape (d1, d2)
        The template, filtered by `high_pass`.
    max_shifts, gSig_filt, dview, filter_mode
        As for `register_rigid`.

    Returns
    -------
    ndarray of shape (d1, d2), float32
        An image at the place of the template, filtered by `match_filter`; the template itself if it has no
        contrast or the movie is too short for an image of its own.
    """
    blank = np.ptp(template) == 0
    if gSig_filt is None or filter_mode == "caiman" or blank or movie.shape[0] < _FEW_FRAMES:
        return template
    guide = initial_template(movie, max_shifts, gSig_filt, dview, filter_mode)
    at = ShiftEstimator(template, max_shifts, filter_margin(gSig_filt)).find(
        high_pass(guide[None], gSig_filt)
    )
    return moved(guide[None], at)[0]


def initial_template(
    movie: Any,
    max_shifts: float | Sequence[float],
    gSig_filt: float | Sequence[float] | None = None,
    dview: Any = None,
    filter_mode: str = "auto",
) -> np.ndarray:
    """
    Make a first template from frames spread over the movie.

    At most 100 frames, in two halves, are aligned with each other in three rounds; the template they give is
    refined once on at most 400 frames. Movies of any length work, but fewer than 20 frames give a noisy
    template and a warning.

    Parameters
    ----------
    movie : array_like of shape (T, d1, d2)
        As for `register_rigid`.
    max_shifts, gSig_filt, dview, filter_mode
        As for `register_rigid`.

    Returns
    -------
    ndarray of shape (d1, d2), float32
        Template, filtered by `match_filter`.
    """
    T = movie.shape[0]
    if T < _FEW_FRAMES:
        logger.warning(
            "The movie has only %d frame(s): the template of the motion correction is made from all of them "
            "and is noisy. Check the shifts, or pass template=... from a longer recording.",
            T,
        )
    index = spread(T, _SAMPLE_FRAMES)
    margin, clip = filter_margin(gSig_filt, filter_mode), gSig_filt is not None
    frames, _ = fill_missing(read_frames(movie, index), index)
    frames = match_filter(frames, gSig_filt, filter_mode)
    template = _aligned_mean(frames, max_shifts, margin, clip, dview)
    chunks = np.array_split(spread(T, _REFINE_FRAMES), min(14, T))
    estimator = ShiftEstimator(template, max_shifts, margin, clip)
    run = FramePass(movie, chunks, RigidStep(estimator, gSig_filt, False, filter_mode, quiet=True), dview)
    run.drain(None)
    # The mean position becomes the origin, so that the limits reach about as far on both sides.
    origin = -np.concatenate(run.found).mean(axis=0)
    parts = match_filter(run.templates(), gSig_filt, filter_mode)
    return moved(_joined(parts, clip)[None], origin[None])[0]


def _aligned_mean(frames: np.ndarray, max_shifts: Any, margin: int, clip: bool, dview: Any) -> np.ndarray:
    """Align filtered frames with each other: every other frame with the mean of those between, and so on."""
    parts = [frames[::2], frames[1::2]] if len(frames) > 1 else [frames, frames]
    means = [bin_median(part) for part in parts]
    for turn in range(2 * _ROUNDS):
        own, part = turn % 2, parts[turn % 2]
        # A frame that is part of the template it is compared with would stay where it is.
        guide = reliable_part(means[1 - own], means[own], weight=1) if clip else means[1 - own]
        find = ShiftEstimator(guide, max_shifts, margin, clip).find
        blocks = np.array_split(np.arange(len(part)), -(-len(part) // 10))
        shifts = np.concatenate(map_ordered(find, [part[block] for block in blocks], dview))
        means[own] = bin_median(moved(part, shifts - shifts.mean(axis=0)))
    return reliable_part(*means) if clip else 0.5 * (means[0] + means[1])


def _joined(parts: np.ndarray, clip: bool) -> np.ndarray:
    """Median of the templates of the parts of a movie, without what odd and even ones don't agree on."""
    if not clip or len(parts) < 4:
        return np.median(parts, axis=0)
    return reliable_part(np.median(parts[::2], axis=0), np.median(parts[1::2], axis=0))


@dataclass
class RigidStep:
    """Register one block of frames; a task for a worker."""

    estimator: ShiftEstimator
    gSig_filt: Any
    border_nan: bool | str
    filter_mode: str = "auto"
    quiet: bool = False

    def __call__(self, item: tuple[np.ndarray, np.ndarray]) -> StepResult:
        """Take ``(frame numbers, frames)`` and return shifts and corrected frames."""
        numbers, frames = item
        frames, n_missing = fill_missing(frames, numbers)
        level = np.abs(frames.astype(np.float32)).max(axis=(1, 2))
        shifts = self.estimator.find(match_filter(frames, self.gSig_filt, self.filter_mode), level)
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
