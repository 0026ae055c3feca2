"""Movies made from a fit: background, what is left over, and the three side by side; block by block."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import sparse

from cnmf_engine.base.errors import InputError, explain
from cnmf_engine.base.memory import drop_pages, frame_blocks
from cnmf_engine.base.parallel import RUN, Run, one_thread, progress_bar
from cnmf_engine.movies.access import check_movie, frames_as_pixels
from cnmf_engine.movies.writing import Target, write_frames
from cnmf_engine.stages.cnmfe.background import reconstruct_background
from cnmf_engine.stages.cnmfe.temporal import residual_traces as project_residual

__all__ = ["Model", "background", "residual_traces", "three_panels"]

log = logging.getLogger("caiman")

#: Arrays of a block's size that exist at once while a block is computed.
_BACKGROUND_COPIES, _RESIDUAL_COPIES, _PANEL_COPIES = 6, 7, 12


class Model(NamedTuple):
    """
    What a movie is put together from.

    Attributes
    ----------
    A : csc_matrix of shape (d, K)
        Footprints, pixels in Fortran order.
    C : ndarray of shape (K, T)
        Traces.
    dims : tuple of int
        Rows and columns, px.
    W, b0 : csr_matrix and ndarray of shape (d,), or None
        Ring model of the background; ``b0`` alone is a background that doesn't change.
    b, f : arrays of shape (d, nb) and (nb, T), or None
        Low-rank background, used where there is no ring.
    """

    A: sparse.csc_matrix
    C: np.ndarray
    dims: tuple[int, int]
    W: sparse.csr_matrix | None = None
    b0: np.ndarray | None = None
    b: np.ndarray | sparse.spmatrix | None = None
    f: np.ndarray | None = None


def _background_of(model: Model, Y: np.ndarray, frames: slice) -> np.ndarray:
    """Background (d, n) of the frames whose pixels are Y (d, n)."""
    if model.W is not None:
        return reconstruct_background(Y, model.A, model.C[:, frames], model.W, model.b0, model.dims)
    # Without patches CaImAn's files may hold b and f, but empty.
    if model.b is not None and model.f is not None and np.size(model.f):
        return np.asarray(model.b @ np.atleast_2d(model.f)[:, frames], dtype=np.float32)
    if model.b0 is not None:
        return np.broadcast_to(np.asarray(model.b0, dtype=np.float32)[:, None], Y.shape)
    fix = "fit with nb=0 (ring model), which keeps W and b0"
    raise InputError(explain("a background model in estimates", "neither W and b0 nor b and f", fix))


def _frames(
    movie: np.ndarray, chosen: range, n_copies: int, run: Run, text: str
) -> Iterator[tuple[slice, np.ndarray]]:
    """Read a movie in blocks: which frames, and their pixels (d, n)."""
    n_pixels = movie.shape[0] if movie.ndim == 2 else movie.shape[1] * movie.shape[2]
    blocks = frame_blocks(len(chosen), n_pixels * 4 * n_copies, run.memory)
    for block in progress_bar(blocks, len(blocks), text if run.progress else None):
        part = chosen[block]
        # A stop of -1 would mean the last frame, where counting down to the first is meant.
        frames = slice(part.start, part.stop if part.stop >= 0 else None, part.step)
        yield frames, frames_as_pixels(movie, frames)
        drop_pages(movie)


def _gathered(
    blocks: Callable[[], Iterator[np.ndarray]],
    shape: tuple[int, int, int],
    name: str,
    run: Run,
) -> np.ndarray:
    """Put blocks of frames (n, rows, columns) together: in memory if they fit, else in a memory map."""
    T, *dims = shape
    size = 4 * T * dims[0] * dims[1]
    room = run.room()
    if size <= room:
        result = np.empty((T, dims[1], dims[0]), dtype=np.float32)
        start = 0
        for block in blocks():
            result[start : start + len(block)] = block.swapaxes(1, 2)
            start += len(block)
        return result.swapaxes(1, 2)
    path = write_frames(blocks(), Target(Path(name), "F"), tuple(dims), T, run)
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


@one_thread()
def background(model: Model, Yr: np.ndarray, run: Run = RUN) -> np.ndarray:
    """
    Evaluate the background of a whole movie.

    Parameters
    ----------
    model : Model or Fit
        What was found.
    Yr : ndarray or memmap of shape (d, T) or (T, d1, d2)
        The movie.
    run : Run
        How much memory blocks may take; a larger result becomes a memory map in the temporary folder.

    Returns
    -------
    ndarray or memmap of shape (d, T), float32
        Background, pixels in Fortran order, in units of the movie.

    Raises
    ------
    InputError
        If there is no background model, or the movie has another size.
    """
    n_frames, dims = model.C.shape[1], model.dims
    movie = check_movie(Yr, model.A.shape[0], n_frames)

    def blocks() -> Iterator[np.ndarray]:
        whole = range(n_frames)
        for frames, Y in _frames(movie, whole, _BACKGROUND_COPIES, run, "Background movie"):
            yield _as_frames(_background_of(model, Y, frames), dims)

    frames = _gathered(blocks, (n_frames, *dims), "background", run)
    return np.reshape(frames, (n_frames, -1), order="F").T


@one_thread()
def residual_traces(model: Model, Yr: np.ndarray, run: Run = RUN) -> np.ndarray:
    """
    Project onto each footprint what is left of the movie without cells and background.

    Parameters
    ----------
    model : Model or Fit
        What was found.
    Yr : ndarray or memmap of shape (d, T) or (T, d1, d2)
        The movie.
    run : Run
        How much memory blocks may take.

    Returns
    -------
    ndarray of shape (K, T), float32
        Residual traces, in units of ``C``.

    Raises
    ------
    InputError
        If there is no background model, or the movie has another size.
    """
    A, C = model.A, model.C
    movie = check_movie(Yr, A.shape[0], C.shape[1])
    result = np.zeros(C.shape, dtype=np.float32)
    whole = range(C.shape[1])
    for frames, Y in _frames(movie, whole, _RESIDUAL_COPIES, run, "Residual traces"):
        left = Y - _background_of(model, Y, frames)
        if len(C):
            result[:, frames] = project_residual(left, A, C[:, frames])
    return result


@one_thread()
def three_panels(
    model: Model,
    imgs: np.ndarray,
    frame_range: slice = slice(None),
    gain_res: float = 1,
    include_bck: bool = True,
    bpx: int = 0,
    thr: float = 0,
    run: Run = RUN,
) -> np.ndarray:
    """
    Put the movie, its reconstruction and the rest side by side.

    Parameters
    ----------
    model : Model or Fit
        What was found.
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
    run : Run
        How much memory blocks may take; a larger result becomes a memory map in the temporary folder.

    Returns
    -------
    ndarray or memmap of shape (n, d1 - 2*bpx, 3*(d2 - 2*bpx)), float32
        The panels, in units of the movie.

    Raises
    ------
    InputError
        If there is no background model, or the movie has another size.
    """
    C = np.asarray(model.C, dtype=np.float32)
    A = _cut_footprints(model.A, thr) if thr else model.A
    d1, d2 = model.dims
    if not 0 <= 2 * bpx < min(d1, d2):
        fix = "choose a smaller border, bpx=0 for none"
        raise InputError(explain(f"a border of less than half of {d1} x {d2} pixels", f"bpx = {bpx}", fix))
    movie = check_movie(imgs, A.shape[0], C.shape[1])
    chosen = range(*frame_range.indices(C.shape[1]))
    kept = (slice(None), slice(bpx, d1 - bpx), slice(bpx, d2 - bpx))

    def blocks() -> Iterator[np.ndarray]:
        for frames, Y in _frames(movie, chosen, _PANEL_COPIES, run, "Reconstruction"):
            B = _background_of(model, Y, frames)
            cells = np.asarray(A @ C[:, frames], dtype=np.float32)
            shown = (Y, cells + B) if include_bck else (Y - B, cells)
            panels = (*shown, (Y - cells - B) * np.float32(gain_res))
            yield np.concatenate([_as_frames(panel, (d1, d2))[kept] for panel in panels], 2)

    shape = len(chosen), d1 - 2 * bpx, 3 * (d2 - 2 * bpx)
    return _gathered(blocks, shape, "reconstruction", run)


def _cut_footprints(A: sparse.csc_matrix, thr: float) -> sparse.csc_matrix:
    A = A.copy()
    for k in range(A.shape[1]):
        values = A.data[A.indptr[k] : A.indptr[k + 1]]
        if len(values):
            values[values < thr * values.max()] = 0
    A.eliminate_zeros()
    return A
