"""Registration of a movie, block by block: rigid, or by a smooth field of shifts; named results out."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnmf_engine.base.errors import ParameterError, explain
from cnmf_engine.base.parallel import RUN, Run, one_thread
from cnmf_engine.stages.registration.estimator import ShiftEstimator, clipped, shift_limits
from cnmf_engine.stages.registration.grid import PatchGrid, patch_grid
from cnmf_engine.stages.registration.guide_making import (
    guide_from,
    guide_to,
    image_of,
    reduced_sample,
    weights_of,
)
from cnmf_engine.stages.registration.guides import Guide, WeightedGuide, WeightedPieces, contrast
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
from cnmf_engine.stages.registration.reduction import within
from cnmf_engine.stages.registration.still import soft
from cnmf_engine.stages.registration.templates import Filter, check_template, match_filter, median_template
from cnmf_engine.stages.registration.warping import (
    check_border,
    fill_missing,
    moved,
    set_borders,
    set_outside,
    warped,
)

__all__ = ["Limits", "Passes", "Pieces", "Registration", "count_at_limit", "register"]

logger = logging.getLogger("caiman")

_AT_LIMIT_PX = 0.05
_MANY_AT_LIMIT = 0.05
# Frames at the limit that are looked for farther away, and room beyond the farthest, px.
_TRIED, _ROOM = 60, 0.5
# Times that the template is made anew from frames that were bent back, and frames done at once for that.
_FIELDS, _AT_ONCE = 2, 25


@dataclass(frozen=True)
class Limits:
    """
    How far things may move.

    Attributes
    ----------
    max_shifts : float or sequence of two floats
        Largest shift of rows and columns, px. It is kept exactly; 0 keeps that axis in place.
    max_deviation_rigid : float, optional
        How far a patch may move from the frame's rigid shift, px; `max_shifts` if None, rigid if 0.
    """

    max_shifts: float | Sequence[float] = (6, 6)
    max_deviation_rigid: float | None = 3


@dataclass(frozen=True)
class Pieces:
    """
    Patches with a shift of their own.

    Attributes
    ----------
    strides, overlaps : int or sequence of two ints
        Distance and overlap of patches, px.
    cubic : bool
        Interpolate shifts between patches with cubic splines instead of linearly.
    """

    strides: int | Sequence[int] = (96, 96)
    overlaps: int | Sequence[int] = (32, 32)
    cubic: bool = False


@dataclass(frozen=True)
class Passes:
    """
    How often a movie is gone through, and which parts of it give a template each.

    Attributes
    ----------
    niter_rig : int
        Rigid passes; each starts from the median of what the one before corrected.
    splits : int or sequence of index arrays
        Consecutive parts of the movie, each of which gives one of the templates.
    num_splits_to_process : int, optional
        Parts to use, spread over the movie, in all rigid passes but the last. All of them if None.
    """

    niter_rig: int = 1
    splits: int | Sequence[np.ndarray] = 14
    num_splits_to_process: int | None = None

    def __post_init__(self) -> None:
        if int(self.niter_rig) < 1:
            raise ParameterError(explain("niter_rig of 1 or more", repr(self.niter_rig), "use niter_rig=1"))


@dataclass(frozen=True)
class Registration:
    """
    Outcome of `register`.

    Attributes
    ----------
    shifts : ndarray of shape (T, 2), float64
        Translation applied to each frame, rows then columns, px: minus the motion. With pieces, that of the
        frame as a whole.
    template : ndarray of shape (d1, d2), float32
        Median of `templates`, high-pass filtered if the frames were; or the template that was given.
    templates : ndarray of shape (n_splits, d1, d2), float32
        Mean corrected image of each part of the movie, in its own units.
    at_limit : int
        Frames whose shift is as large as was allowed on some axis.
    guide : Guide
        What frames were compared with, to be used for the next movie of the recording; its `mask` tells
        which pixels shifts came from.
    row_shifts, col_shifts : ndarray of shape (T, n_patches), float64, or None
        Translation applied at the centre of each patch, px; patches in C order over the grid. None if rigid.
    saved : object
        What `write` returned, None without it.
    """

    shifts: np.ndarray
    template: np.ndarray
    templates: np.ndarray
    at_limit: int
    guide: Guide
    row_shifts: np.ndarray | None = None
    col_shifts: np.ndarray | None = None
    saved: Any = None


@one_thread()
def register(
    movie: Any,
    *,
    filter: Filter,
    limits: Limits,
    pieces: Pieces | None = None,
    passes: Passes = Passes(),
    border: bool | str = "copy",
    template: np.ndarray | None = None,
    keep_template: bool = True,
    guide: Guide | None = None,
    write: Sink | None = None,
    run: Run = RUN,
) -> Registration:
    """
    Register every frame of a movie to a template: by translation, or by a smooth field of shifts.

    Shifts are found on high-pass filtered frames and applied to the original ones. What is handed to `write`
    stays in the units of the movie: nothing is subtracted or added. Only blocks of frames are held in memory.
    The result doesn't depend on the number of workers.

    With `pieces` each frame is registered as a whole; then each patch of it is compared with the same patch
    of the template for what is left. Patches hold less to compare than the whole image, so on dim recordings
    the result is noisier than that of whole frames.

    Parameters
    ----------
    movie : array_like of shape (T, d1, d2)
        Anything with a shape that gives frames when it is sliced: array, memory map,
        `cnmf_engine.movies.MovieReader`.
    filter : Filter
        How frames are filtered before they are compared, and which of their pixels count.
    limits : Limits
        Largest shifts, px.
    pieces : Pieces, optional
        Patches, for a shift each; without them frames move as a whole.
    passes : Passes
        Rigid passes, and the parts of the movie that give templates.
    border : {True, 'min', 'copy', False}
        What pixels from outside the image become: NaN, the frame's minimum, the nearest pixel, or the
        reflected image (False; 0 with pieces).
    template : ndarray of shape (d1, d2), optional
        Template to register to, filtered by `high_pass`. Made from the movie if not given.
    keep_template : bool
        Leave a given template as it is; if False it is only the start, as for the next file of a recording.
    guide : Guide, optional
        The guide of another movie of the recording, to use instead of making one; it has its own mask.
    write : callable, optional
        Takes an iterator of corrected blocks ``(n, d1, d2)`` float32 in order, e.g. to write them.
    run : Run
        Workers that take blocks, and how much memory these may take.

    Returns
    -------
    Registration
        Shifts and templates.

    Raises
    ------
    InputError
        If the movie has no frames or a frame without a finite pixel, or the template has another size.
    ParameterError
        If an option has no usable value.

    References
    ----------
    Pnevmatikakis & Giovannucci 2017, J. Neurosci. Methods 291:83, sections 2.1 and 2.2.
    """
    check_border(border)
    dims = check_movie(movie)
    chunks = chunks_of(movie.shape[0], passes.splits)
    if template is not None:
        template = check_template(template, dims)
    if pieces is not None and template is None:
        whole = register(movie, filter=filter, limits=limits, passes=passes, guide=guide, run=run)
        template, guide = whole.template, whole.guide
    if guide is None and template is None:
        guide = guide_from(movie, limits.max_shifts, filter, run)
    elif guide is None:
        guide = guide_to(movie, template, limits.max_shifts, filter, run)
    if pieces is not None:
        grid = patch_grid(dims, pieces.strides, pieces.overlaps, pieces.cubic)
        step = _PiecewiseStep(_prepared(movie, guide, grid, filter, limits, run), grid, border)
        walk = FramePass(movie, chunks, step, run)
        saved = walk.drain(write)
        found, templates = np.concatenate(walk.found), walk.templates()
        whole, (rows, cols) = found[:, :, 0], np.moveaxis(found[:, :, 1:], 1, 0)
        template = median_template(templates, filter.gSig_filt)
        at_limit = count_at_limit(whole, limits.max_shifts, movie, guide)
        return Registration(whole, template, templates, at_limit, guide, rows, cols, saved)
    keep = template is not None and keep_template
    for last in [False] * (int(passes.niter_rig) - 1) + [True]:
        n_used = None if last else passes.num_splits_to_process
        used = chunks if n_used is None else some(chunks, n_used)
        walk = FramePass(movie, used, _RigidStep(guide, border), run)
        saved = walk.drain(write if last else None)
        if not keep and not last:
            guide = guide.refined(walk.templates())
    templates, shifts = walk.templates(), np.concatenate(walk.found)
    if not keep:
        template = median_template(templates, filter.gSig_filt)
    at_limit = count_at_limit(shifts, limits.max_shifts, movie, guide)
    return Registration(shifts, template, templates, at_limit, guide, saved=saved)


@dataclass
class _RigidStep:
    """Register one block of frames; a task for a worker."""

    guide: Guide
    border: bool | str

    def __call__(self, item: tuple[np.ndarray, np.ndarray]) -> StepResult:
        """Take ``(frame numbers, frames)`` and return shifts and corrected frames."""
        numbers, frames = item
        frames, n_missing = fill_missing(frames, numbers)
        shifts = self.guide.find(frames)
        corrected = moved(frames, shifts)
        total = corrected.sum(axis=0)
        set_borders(corrected, shifts, self.border)
        return StepResult(shifts, total, corrected, n_missing)


@dataclass
class _PiecewiseStep:
    """Register one block of frames by a field of shifts; a task for a worker."""

    pieces: WeightedPieces | _PlainPieces
    grid: PatchGrid
    border: bool | str

    def __call__(self, item: tuple[np.ndarray, np.ndarray]) -> StepResult:
        numbers, frames = item
        frames, n_missing = fill_missing(frames, numbers)
        shifts = self.pieces.find(frames)
        corrected, outside = warped(frames, shifts[:, 0, 1:], shifts[:, 1, 1:], self.grid)
        total = corrected.sum(axis=0, dtype=np.float64)
        set_outside(corrected, outside, self.border)
        return StepResult(shifts, total, corrected, n_missing)


@dataclass
class _PlainPieces:
    """Shifts of frames and of their patches by plain cross-correlation."""

    whole: Guide
    parts: list[ShiftEstimator]
    grid: PatchGrid
    filter: Filter

    def find(self, frames: np.ndarray) -> np.ndarray:
        """Find shifts ``(n, 2, 1 + n_patches)``: of the whole frame, then of its patches."""
        rigid, level = self.whole.find(frames), contrast(frames)
        filtered = match_filter(within(frames, self.whole.mask), self.filter.gSig_filt, self.filter.mode)
        aligned = moved(filtered if self.filter.gSig_filt is None else clipped(filtered), rigid)
        found = [
            rigid + part.find(aligned[:, rows, cols], level)
            for part, (rows, cols) in zip(self.parts, self.grid.patches)
        ]
        return np.stack([rigid, *found], axis=2)


def _prepared(
    movie: Any, guide: Guide, grid: PatchGrid, filter: Filter, limits: Limits, run: Run
) -> WeightedPieces | _PlainPieces:
    """Prepare for patches; the template of whole frames is blurred where tissue bends, so it is made anew."""
    deviation = limits.max_shifts if limits.max_deviation_rigid is None else limits.max_deviation_rigid
    deviation = shift_limits(deviation, "max_deviation_rigid")
    if not isinstance(guide, WeightedGuide):
        image = image_of(movie, guide, filter, run)
        part = np.ones(grid.dims, np.float32) if guide.mask is None else soft(guide.mask, 1, grid.dims)
        parts = [
            ShiftEstimator(image[patch], deviation, clip=False, part=part[patch]) for patch in grid.patches
        ]
        return _PlainPieces(guide, parts, grid, filter)
    reduction = guide.reduction
    coarse = grid.coarser(reduction.factor, reduction.dims)
    sample = reduced_sample(movie, guide, run)
    for _ in range(_FIELDS):
        pieces = guide.pieces(grid.patches, deviation, steady=False)
        bent = np.empty_like(sample)
        for part in np.array_split(np.arange(len(sample)), -(-len(sample) // _AT_ONCE)):
            found = pieces.find_reduced(sample[part], np.zeros(len(part)))[:, :, 1:]
            rows, cols = np.moveaxis((found - guide.origin[:, None]) / reduction.factor, 1, 0)
            bent[part] = warped(sample[part], rows, cols, coarse)[0]
        guide = guide.like(*weights_of(bent, reduction.margin, reduction.part), len(sample))
    return guide.pieces(grid.patches, deviation, steady=True)


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
    allowed = np.array(shift_limits(max_shifts))
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
