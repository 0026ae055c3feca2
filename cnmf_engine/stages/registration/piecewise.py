"""Piecewise-rigid registration: a shift for each patch of the image, joined into a smooth field."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnmf_engine.stages.registration.estimator import ShiftEstimator, clipped, limits
from cnmf_engine.stages.registration.grid import PatchGrid, patch_grid
from cnmf_engine.stages.registration.guide_making import guide_to, image_of, reduced_sample, weights_of
from cnmf_engine.stages.registration.guides import Guide, WeightedGuide, WeightedPieces, contrast
from cnmf_engine.stages.registration.passes import FramePass, Sink, StepResult, check_movie, chunks_of
from cnmf_engine.stages.registration.reduction import within
from cnmf_engine.stages.registration.rigid import count_at_limit
from cnmf_engine.stages.registration.still import soft
from cnmf_engine.stages.registration.templates import (
    check_filter_mode,
    check_template,
    match_filter,
    median_template,
)
from cnmf_engine.stages.registration.warping import check_border, fill_missing, moved

__all__ = ["PiecewiseResult", "register_piecewise", "warp"]

# Times that the template is made anew from frames that were bent back, and frames done at once for that.
_FIELDS, _AT_ONCE = 2, 25


@dataclass(frozen=True)
class PiecewiseResult:
    """
    Outcome of `register_piecewise`.

    Attributes
    ----------
    row_shifts, col_shifts : ndarray of shape (T, n_patches), float64
        Translation applied at the centre of each patch, px; patches in C order over the grid.
    template : ndarray of shape (d1, d2), float32
        Median of `templates`, high-pass filtered if the frames were.
    templates : ndarray of shape (n_splits, d1, d2), float32
        Mean corrected image of each part of the movie, in its own units.
    at_limit : int
        Frames whose rigid shift is as large as was allowed on some axis.
    saved : object
        What the sink of frames returned, None without one.
    mask : ndarray of shape (d1, d2), bool, or None
        Pixels that shifts came from; None if all of them.
    """

    row_shifts: np.ndarray
    col_shifts: np.ndarray
    template: np.ndarray
    templates: np.ndarray
    at_limit: int
    saved: Any = None
    mask: np.ndarray | None = None


def register_piecewise(
    movie: Any,
    template: np.ndarray,
    max_shifts: float | Sequence[float] = (6, 6),
    gSig_filt: float | Sequence[float] | None = None,
    strides: int | Sequence[int] = (96, 96),
    overlaps: int | Sequence[int] = (32, 32),
    max_deviation_rigid: float | None = 3,
    splits: int | Sequence[np.ndarray] = 14,
    border_nan: bool | str = "copy",
    cubic: bool = False,
    dview: Any = None,
    sink: Sink | None = None,
    filter_mode: str = "auto",
    guide: Guide | None = None,
    memory_limit: int | float | str | None = None,
    mask: np.ndarray | str | None = "auto",
) -> PiecewiseResult:
    """
    Register every frame of a movie to a template by a smooth field of shifts.

    Each frame is registered as a whole; then each patch of it is compared with the same patch of the template
    for what is left. Patches hold less to compare than the whole image, so on dim recordings the result is
    noisier than that of `cnmf_engine.stages.registration.register_rigid`.

    Parameters
    ----------
    movie : array_like of shape (T, d1, d2)
        Anything with a shape that gives frames when it is sliced.
    template : ndarray of shape (d1, d2)
        Template, filtered by `high_pass`, e.g. that of `register_rigid`.
    max_shifts, gSig_filt, splits, dview, sink, filter_mode, memory_limit, mask
        As for `register_rigid`.
    strides, overlaps, cubic
        See `patch_grid`.
    max_deviation_rigid : float, optional
        How far a patch may move from the frame's rigid shift, px; `max_shifts` if None, rigid if 0.
    border_nan : {True, 'min', 'copy', False}
        What pixels from outside the image become: NaN, the frame's minimum, the nearest pixel, or 0 (False).
    guide : Guide, optional
        That of `register_rigid`, which saves making one.

    Returns
    -------
    PiecewiseResult
        Shifts and templates.

    Raises
    ------
    InputError
        If movie or template can't be used.
    ParameterError
        If a parameter has no usable value.

    References
    ----------
    Pnevmatikakis & Giovannucci 2017, J. Neurosci. Methods 291:83, section 2.2.
    """
    check_border(border_nan)
    check_filter_mode(filter_mode)
    dims = check_movie(movie)
    template = check_template(template, dims)
    if guide is None:
        guide = guide_to(movie, template, max_shifts, gSig_filt, dview, filter_mode, mask)
    grid = patch_grid(dims, strides, overlaps, cubic)
    deviation = max_shifts if max_deviation_rigid is None else max_deviation_rigid
    deviation = limits(deviation, "max_deviation_rigid")
    if isinstance(guide, WeightedGuide):
        pieces = _weighted_pieces(movie, guide, grid, deviation, dview)
    else:
        image = image_of(movie, guide, gSig_filt, dview, filter_mode)
        part = np.ones(dims, np.float32) if guide.mask is None else soft(guide.mask, 1, dims)
        parts = [
            ShiftEstimator(image[patch], deviation, clip=False, part=part[patch]) for patch in grid.patches
        ]
        pieces = _PlainPieces(guide, parts, grid, gSig_filt, filter_mode)
    step = _PiecewiseStep(pieces, grid, border_nan)
    run = FramePass(movie, chunks_of(movie.shape[0], splits), step, dview, memory_limit)
    saved = run.drain(sink)
    shifts = np.concatenate(run.found)
    templates = run.templates()
    template = median_template(templates, gSig_filt)
    at_limit = count_at_limit(shifts[:, :, 0], max_shifts, movie, guide)
    shifts = shifts[:, :, 1:]
    return PiecewiseResult(shifts[:, 0], shifts[:, 1], template, templates, at_limit, saved, guide.mask)


def warp(
    frames: np.ndarray,
    row_shifts: np.ndarray,
    col_shifts: np.ndarray,
    grid: PatchGrid,
    border_nan: bool | str = "copy",
) -> np.ndarray:
    """
    Move frames by one shift a patch.

    Parameters
    ----------
    frames : ndarray of shape (n, d1, d2)
        Frames without NaN.
    row_shifts, col_shifts : ndarray of shape (n, n_patches)
        Translation to apply at each patch's centre, px.
    grid : PatchGrid
        The patches.
    border_nan : {True, 'min', 'copy', False}
        See `register_piecewise`.

    Returns
    -------
    ndarray of shape (n, d1, d2), float32
        Bicubic interpolation, kept within each frame's own range.
    """
    out, outside = _warped(frames, row_shifts, col_shifts, grid)
    _set_outside(out, outside, border_nan)
    return out


def _weighted_pieces(
    movie: Any, guide: WeightedGuide, grid: PatchGrid, deviation: Sequence[float], dview: Any
) -> WeightedPieces:
    """Prepare for patches; the template of whole frames is blurred where tissue bends, so it is made anew."""
    reduction = guide.reduction
    coarse = grid.coarser(reduction.factor, reduction.dims)
    sample = reduced_sample(movie, guide, dview)
    for _ in range(_FIELDS):
        pieces = guide.pieces(grid.patches, deviation, steady=False)
        warped = np.empty_like(sample)
        for part in np.array_split(np.arange(len(sample)), -(-len(sample) // _AT_ONCE)):
            found = pieces.find_reduced(sample[part], np.zeros(len(part)))[:, :, 1:]
            rows, cols = np.moveaxis((found - guide.origin[:, None]) / reduction.factor, 1, 0)
            warped[part] = _warped(sample[part], rows, cols, coarse)[0]
        guide = guide.like(*weights_of(warped, reduction.margin, reduction.part), len(sample))
    return guide.pieces(grid.patches, deviation, steady=True)


@dataclass
class _PlainPieces:
    """Shifts of frames and of their patches by plain cross-correlation."""

    whole: Guide
    parts: list[ShiftEstimator]
    grid: PatchGrid
    gSig_filt: Any
    filter_mode: str

    def find(self, frames: np.ndarray) -> np.ndarray:
        """Find shifts ``(n, 2, 1 + n_patches)``: of the whole frame, then of its patches."""
        rigid, level = self.whole.find(frames), contrast(frames)
        frames = within(frames, self.whole.mask)
        filtered = match_filter(frames, self.gSig_filt, self.filter_mode)
        aligned = moved(filtered if self.gSig_filt is None else clipped(filtered), rigid)
        found = [
            rigid + part.find(aligned[:, rows, cols], level)
            for part, (rows, cols) in zip(self.parts, self.grid.patches)
        ]
        return np.stack([rigid, *found], axis=2)


@dataclass
class _PiecewiseStep:
    """Register one block of frames; a task for a worker."""

    pieces: WeightedPieces | _PlainPieces
    grid: PatchGrid
    border_nan: bool | str

    def __call__(self, item: tuple[np.ndarray, np.ndarray]) -> StepResult:
        numbers, frames = item
        frames, n_missing = fill_missing(frames, numbers)
        shifts = self.pieces.find(frames)
        corrected, outside = _warped(frames, shifts[:, 0, 1:], shifts[:, 1, 1:], self.grid)
        total = corrected.sum(axis=0, dtype=np.float64)
        _set_outside(corrected, outside, self.border_nan)
        return StepResult(shifts, total, corrected, n_missing)


def _warped(
    frames: np.ndarray, row_shifts: np.ndarray, col_shifts: np.ndarray, grid: PatchGrid
) -> tuple[np.ndarray, np.ndarray]:
    import cv2

    out = np.empty(frames.shape, dtype=np.float32)
    outside = np.empty(frames.shape, dtype=bool)
    rows, cols = np.indices(grid.dims, dtype=np.float32)
    for t, frame in enumerate(frames):
        image = np.ascontiguousarray(frame, dtype=np.float32)
        from_row = rows - grid.field(row_shifts[t])
        from_col = cols - grid.field(col_shifts[t])
        found = cv2.remap(image, from_col, from_row, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        np.clip(found, image.min(), image.max(), out=out[t])
        outside[t] = (from_row < 0) | (from_row > grid.dims[0] - 1)
        outside[t] |= (from_col < 0) | (from_col > grid.dims[1] - 1)
    return out, outside


def _set_outside(frames: np.ndarray, outside: np.ndarray, border_nan: bool | str) -> None:
    if border_nan == "copy":
        return
    for frame, where in zip(frames, outside):
        frame[where] = np.nan if border_nan is True else frame.min() if border_nan == "min" else 0.0
