"""Movies made from a fit: background, what is left over, and the three side by side; block by block."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from cnmf_engine._movie_access import check_movie, frames_as_pixels
from cnmf_engine.blocks import frame_blocks
from cnmf_engine.errors import InputError, explain

if TYPE_CHECKING:
    from cnmf_engine.estimates import Estimates

__all__ = ["background", "residual_traces", "three_panels"]


def _need_fit(estimates: Estimates) -> None:
    if estimates.A is None or estimates.C is None:
        fix = "call fit first, or load a fitted model"
        raise InputError(explain("a fitted model", "estimates without A and C", fix))


def _low_rank(estimates: Estimates) -> tuple[np.ndarray | sparse.spmatrix, np.ndarray] | None:
    """Return b and f if there are any; without patches they may be there but empty."""
    if estimates.b is None or estimates.f is None or not np.size(estimates.f):
        return None
    return estimates.b, np.atleast_2d(estimates.f)


def _background_of(estimates: Estimates, Y: np.ndarray, frames: slice) -> np.ndarray:
    """Background (d, n) of the frames whose pixels are Y (d, n)."""
    C = np.asarray(estimates.C)[:, frames]
    if estimates.W is not None:
        from cnmf_engine.cnmf.background import reconstruct_background

        A = sparse.csc_matrix(estimates.A)
        return reconstruct_background(Y, A, C, estimates.W, estimates.b0, estimates.image_size())
    low_rank = _low_rank(estimates)
    if low_rank is not None:
        b, f = low_rank
        return np.asarray(b @ f[:, frames], dtype=np.float32)
    if estimates.b0 is not None:
        return np.broadcast_to(np.asarray(estimates.b0, dtype=np.float32)[:, None], Y.shape)
    fix = "fit with nb=0 (ring model), which keeps W and b0"
    raise InputError(explain("a background model in estimates", "neither W and b0 nor b and f", fix))


def background(estimates: Estimates, Yr: np.ndarray) -> np.ndarray:
    """
    Evaluate the background of a whole movie.

    Parameters
    ----------
    estimates : Estimates
        A fit.
    Yr : ndarray or memmap of shape (d, T) or (T, d1, d2)
        The movie.

    Returns
    -------
    ndarray of shape (d, T), float32
        Background, pixels in Fortran order, in units of the movie.

    Raises
    ------
    InputError
        If there is no background model, or the movie has another size.
    """
    _need_fit(estimates)
    n_pixels, n_frames = estimates.A.shape[0], np.shape(estimates.C)[1]
    movie = check_movie(Yr, n_pixels, n_frames)
    result = np.empty((n_pixels, n_frames), dtype=np.float32)
    for frames in frame_blocks(n_frames, n_pixels * 4 * 5):
        result[:, frames] = _background_of(estimates, frames_as_pixels(movie, frames), frames)
    return result


def residual_traces(estimates: Estimates, Yr: np.ndarray) -> np.ndarray:
    """
    Project onto each footprint what is left of the movie without cells and background.

    Parameters
    ----------
    estimates : Estimates
        A fit.
    Yr : ndarray or memmap of shape (d, T) or (T, d1, d2)
        The movie.

    Returns
    -------
    ndarray of shape (K, T), float32
        Residual traces, in units of ``C``.

    Raises
    ------
    InputError
        If there is no background model, or the movie has another size.
    """
    from cnmf_engine.cnmf.temporal import residual_traces as project_residual

    _need_fit(estimates)
    A, C = sparse.csc_matrix(estimates.A), np.asarray(estimates.C)
    movie = check_movie(Yr, A.shape[0], C.shape[1])
    result = np.zeros(C.shape, dtype=np.float32)
    for frames in frame_blocks(C.shape[1], A.shape[0] * 4 * 6):
        Y = frames_as_pixels(movie, frames)
        left = Y - _background_of(estimates, Y, frames)
        if len(C):
            result[:, frames] = project_residual(left, A, C[:, frames])
    return result


def three_panels(
    estimates: Estimates,
    imgs: np.ndarray,
    frame_range: slice = slice(None),
    gain_res: float = 1,
    include_bck: bool = True,
    bpx: int = 0,
    thr: float = 0,
) -> np.ndarray:
    """
    Put the movie, its reconstruction and the rest side by side.

    Parameters
    ----------
    estimates : Estimates
        A fit.
    imgs : ndarray or memmap of shape (T, d1, d2)
        The movie.
    frame_range : slice
        Which frames.
    gain_res : float
        Factor on the rest.
    include_bck : bool
        False leaves the background out of the first two panels.
    bpx : int
        Pixels cut off along each edge.
    thr : float
        Footprint values below this part of the footprint's maximum are left out of the reconstruction.

    Returns
    -------
    ndarray of shape (n, d1 - 2*bpx, 3*(d2 - 2*bpx)), float32
        The panels, in units of the movie.

    Raises
    ------
    InputError
        If there is no background model, or the movie has another size.
    """
    _need_fit(estimates)
    C = np.asarray(estimates.C, dtype=np.float32)
    A = _cut_footprints(sparse.csc_matrix(estimates.A), thr) if thr else sparse.csc_matrix(estimates.A)
    d1, d2 = estimates.image_size()
    if not 0 <= 2 * bpx < min(d1, d2):
        fix = "choose a smaller border, bpx=0 for none"
        raise InputError(explain(f"a border of less than half of {d1} x {d2} pixels", f"bpx = {bpx}", fix))
    movie = check_movie(imgs, A.shape[0], C.shape[1])
    chosen = range(*frame_range.indices(C.shape[1]))
    kept = (slice(None), slice(bpx, d1 - bpx), slice(bpx, d2 - bpx))
    result = np.empty((len(chosen), d1 - 2 * bpx, 3 * (d2 - 2 * bpx)), dtype=np.float32)
    for block in frame_blocks(len(chosen), A.shape[0] * 4 * 8):
        part = chosen[block]
        # A stop of -1 would mean the last frame, where counting down to the first is meant.
        frames = slice(part.start, part.stop if part.stop >= 0 else None, part.step)
        Y = frames_as_pixels(movie, frames)
        B = _background_of(estimates, Y, frames)
        cells = np.asarray(A @ C[:, frames], dtype=np.float32)
        shown = (Y, cells + B) if include_bck else (Y - B, cells)
        panels = (*shown, (Y - cells - B) * np.float32(gain_res))
        result[block] = np.concatenate(
            [panel.T.reshape(-1, d2, d1).swapaxes(1, 2)[kept] for panel in panels], 2
        )
    return result


def _cut_footprints(A: sparse.csc_matrix, thr: float) -> sparse.csc_matrix:
    A = A.copy()
    for k in range(A.shape[1]):
        values = A.data[A.indptr[k] : A.indptr[k + 1]]
        if len(values):
            values[values < thr * values.max()] = 0
    A.eliminate_zeros()
    return A
