"""Movies made from a fit: background, what is left over, and the three side by side; block by block."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from cnmf_engine._memory import memory_room
from cnmf_engine._movie_access import check_movie, frames_as_pixels
from cnmf_engine.blocks import frame_blocks
from cnmf_engine.errors import InputError, explain
from cnmf_engine.io.pages import drop_pages
from cnmf_engine.tasks import progress_bar

if TYPE_CHECKING:
    from cnmf_engine.estimates import Estimates

__all__ = ["background", "residual_traces", "three_panels"]

log = logging.getLogger("caiman")

#: Arrays of a block's size that exist at once while a block is computed.
_BACKGROUND_COPIES, _RESIDUAL_COPIES, _PANEL_COPIES = 6, 7, 12


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


def _frames(
    movie: np.ndarray, chosen: range, n_copies: int, memory_limit: int | float | str | None, text: str
) -> Iterator[tuple[slice, np.ndarray]]:
    """Read a movie in blocks: which frames, and their pixels (d, n)."""
    n_pixels = movie.shape[0] if movie.ndim == 2 else movie.shape[1] * movie.shape[2]
    blocks = frame_blocks(len(chosen), n_pixels * 4 * n_copies, memory_limit)
    for block in progress_bar(blocks, len(blocks), text):
        part = chosen[block]
        # A stop of -1 would mean the last frame, where counting down to the first is meant.
        frames = slice(part.start, part.stop if part.stop >= 0 else None, part.step)
        yield frames, frames_as_pixels(movie, frames)
        drop_pages(movie)


def _gathered(
    blocks: Callable[[], Iterator[np.ndarray]],
    shape: tuple[int, int, int],
    name: str,
    memory_limit: int | float | str | None,
) -> np.ndarray:
    """Put blocks of frames (n, rows, columns) together: in memory if they fit, else in a memory map."""
    from cnmf_engine.io.mapwriter import Target, write_frames

    T, *dims = shape
    size = 4 * T * dims[0] * dims[1]
    room = memory_room(memory_limit)
    if size <= room:
        result = np.empty((T, dims[1], dims[0]), dtype=np.float32)
        start = 0
        for block in blocks():
            result[start : start + len(block)] = block.swapaxes(1, 2)
            start += len(block)
        return result.swapaxes(1, 2)
    path = write_frames(blocks(), Target(Path(name), "F"), tuple(dims), T)
    log.warning(
        "The result of %.0f MB is larger than the %.0f MB there are for it, so it is a memory map of "
        "the file %s. Delete the file when you are done, or raise memory_limit to have it in memory.",
        size / 2**20, room / 2**20, path,
    )  # fmt: skip
    # Changes stay in memory: the file may be read by others.
    Yr = np.memmap(path, dtype="<f4", mode="c", shape=(dims[0] * dims[1], T), order="F")
    return np.reshape(Yr.T, shape, order="F")


def _as_frames(pixels: np.ndarray, dims: tuple[int, int]) -> np.ndarray:
    """View pixels (d, n) as frames (n, rows, columns)."""
    return pixels.T.reshape(-1, dims[1], dims[0]).swapaxes(1, 2)


def background(
    estimates: Estimates, Yr: np.ndarray, memory_limit: int | float | str | None = None
) -> np.ndarray:
    """
    Evaluate the background of a whole movie.

    Parameters
    ----------
    estimates : Estimates
        A fit.
    Yr : ndarray or memmap of shape (d, T) or (T, d1, d2)
        The movie.
    memory_limit : int, float or str, optional
        Bytes to hold at once; a larger result becomes a memory map in the temporary folder.

    Returns
    -------
    ndarray or memmap of shape (d, T), float32
        Background, pixels in Fortran order, in units of the movie.

    Raises
    ------
    InputError
        If there is no background model, or the movie has another size.
    """
    _need_fit(estimates)
    n_frames = np.shape(estimates.C)[1]
    movie = check_movie(Yr, estimates.A.shape[0], n_frames)
    dims = estimates.image_size()

    def blocks() -> Iterator[np.ndarray]:
        whole = range(n_frames)
        for frames, Y in _frames(movie, whole, _BACKGROUND_COPIES, memory_limit, "Background movie"):
            yield _as_frames(_background_of(estimates, Y, frames), dims)

    frames = _gathered(blocks, (n_frames, *dims), "background", memory_limit)
    return np.reshape(frames, (n_frames, -1), order="F").T


def residual_traces(
    estimates: Estimates, Yr: np.ndarray, memory_limit: int | float | str | None = None
) -> np.ndarray:
    """
    Project onto each footprint what is left of the movie without cells and background.

    Parameters
    ----------
    estimates : Estimates
        A fit.
    Yr : ndarray or memmap of shape (d, T) or (T, d1, d2)
        The movie.
    memory_limit : int, float or str, optional
        Bytes to hold at once.

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
    whole = range(C.shape[1])
    for frames, Y in _frames(movie, whole, _RESIDUAL_COPIES, memory_limit, "Residual traces"):
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
    memory_limit: int | float | str | None = None,
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
    memory_limit : int, float or str, optional
        Bytes to hold at once; a larger result becomes a memory map in the temporary folder.

    Returns
    -------
    ndarray or memmap of shape (n, d1 - 2*bpx, 3*(d2 - 2*bpx)), float32
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

    def blocks() -> Iterator[np.ndarray]:
        for frames, Y in _frames(movie, chosen, _PANEL_COPIES, memory_limit, "Reconstruction"):
            B = _background_of(estimates, Y, frames)
            cells = np.asarray(A @ C[:, frames], dtype=np.float32)
            shown = (Y, cells + B) if include_bck else (Y - B, cells)
            panels = (*shown, (Y - cells - B) * np.float32(gain_res))
            yield np.concatenate([_as_frames(panel, (d1, d2))[kept] for panel in panels], 2)

    shape = len(chosen), d1 - 2 * bpx, 3 * (d2 - 2 * bpx)
    return _gathered(blocks, shape, "reconstruction", memory_limit)


def _cut_footprints(A: sparse.csc_matrix, thr: float) -> sparse.csc_matrix:
    A = A.copy()
    for k in range(A.shape[1]):
        values = A.data[A.indptr[k] : A.indptr[k + 1]]
        if len(values):
            values[values < thr * values.max()] = 0
    A.eliminate_zeros()
    return A
