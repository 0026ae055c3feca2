"""
The ring model of one-photon background.

Out-of-focus light and neuropil are smooth in space: what a pixel's background does, the pixels on a ring
around it do too, if the ring is wider than a cell. Each pixel's background is a weighted sum of the ring's,
with weights from a regression; pixels within reach of each other share their products, so the products of
a tile of pixels are one matrix multiplication, and each pixel only a small solve.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import sparse

from cnmf_engine.base.parallel import RUN, Run
from cnmf_engine.movies.boxes import BoxOfMovie, boxes_of
from cnmf_engine.movies.geometry import (
    Box,
    as_image,
    coarse_dims,
    decimate,
    flat_index,
    read_decimated,
    upsample_image,
)
from cnmf_engine.stages.cnmfe.options import Ring
from cnmf_engine.stages.cnmfe.ring import RingFit, assemble, checked_offsets, tile_boxes, weights_of

__all__ = [
    "RingModel",
    "block_average",
    "coarse_footprints",
    "fit_ring",
    "fit_ring_movie",
    "reconstruct_background",
]

#: Coarse pixels a side of the part of a movie that is read at once.
_READ_TILE = 64


class RingModel(NamedTuple):
    """
    Ring background of a field of view.

    Attributes
    ----------
    W : csr_matrix of shape (d', d'), float32
        Row p holds the weights of pixel p's ring, on a grid coarser by ``ssub``.
    b0 : ndarray of shape (d,), float32
        Constant background of each pixel.
    """

    W: sparse.csr_matrix
    b0: np.ndarray


def coarse_footprints(A: sparse.spmatrix, dims: tuple[int, int], ssub: int) -> sparse.csr_matrix:
    """
    Average footprints over blocks of pixels.

    Parameters
    ----------
    A : sparse matrix of shape (d, K)
        Footprints.
    dims : tuple of int
        Rows and columns.
    ssub : int
        Block size, px.

    Returns
    -------
    csr_matrix of shape (d', K), float32
        Footprints on the coarse grid.
    """
    return sparse.csr_matrix(block_average(dims, ssub) @ A) if ssub > 1 else sparse.csr_matrix(A)


def block_average(dims: tuple[int, int], ssub: int) -> sparse.csr_matrix:
    """
    Matrix that averages blocks of pixels.

    Parameters
    ----------
    dims : tuple of int
        Rows and columns.
    ssub : int
        Block size, px.

    Returns
    -------
    csr_matrix of shape (d', d), float32
        Each row holds 1 / n for the n pixels of a block.
    """
    d1, d2 = dims
    c1, c2 = coarse_dims(dims, ssub)
    pixel = np.arange(d1 * d2)
    target = (pixel % d1) // ssub + c1 * ((pixel // d1) // ssub)
    counts = np.bincount(target, minlength=c1 * c2)
    return sparse.csr_matrix(
        (1 / counts[target].astype(np.float32), (target, pixel)), shape=(c1 * c2, d1 * d2)
    )


def fit_ring(
    Y: np.ndarray,
    A: sparse.spmatrix,
    C: np.ndarray,
    dims: tuple[int, int],
    ring: Ring,
) -> RingModel:
    """
    Fit the ring model to a movie in memory.

    Parameters
    ----------
    Y : ndarray of shape (d, T), float32
        Movie, pixels in Fortran order.
    A : sparse matrix of shape (d, K)
        Footprints.
    C : ndarray of shape (K, T)
        Traces.
    dims : tuple of int
        Rows and columns.
    ring : Ring
        Its radius and its grid.

    Returns
    -------
    RingModel
        Weights and constant background.

    Raises
    ------
    InputError
        If the ring lies outside the image.

    References
    ----------
    Zhou et al. 2018, eLife 7:e28728, Methods, 'Estimating background'. All samples count here; the paper's
    clipping of outliers is left out, as in CaImAn.
    """
    coarse, ssub = coarse_dims(dims, ring.ssub), ring.ssub
    mean_C = C.mean(axis=1) if len(C) else np.zeros(0)
    b0 = (Y.mean(axis=1, dtype=np.float64) - A @ mean_C).astype(np.float32)
    X = decimate(Y, dims, ssub) if ssub > 1 else Y.copy()
    W, _ = RingFit(X, coarse, radius=ring.radius, ssub=ssub).weights(coarse_footprints(A, dims, ssub), C)
    return RingModel(W, b0)


def fit_ring_movie(
    images: np.ndarray,
    A: sparse.spmatrix,
    C: np.ndarray,
    *,
    ring: Ring,
    tsub: int = 1,
    run: Run = RUN,
) -> RingModel:
    """
    Fit the ring model to a movie on disk, tile by tile.

    Parameters
    ----------
    images : ndarray or memmap of shape (T, d1, d2)
        Movie.
    A, ring
        As in `fit_ring`.
    C : ndarray of shape (K, ceil(T/tsub))
        Traces.
    tsub : int
        Frames that are averaged before the fit.
    run : Run
        Workers that take the tiles.

    Returns
    -------
    RingModel
        The same as `fit_ring` gives on the whole movie, up to rounding.

    Raises
    ------
    InputError
        If the ring lies outside the image.
    """
    dims, ssub = images.shape[1:], ring.ssub
    coarse = coarse_dims(dims, ssub)
    offsets = checked_offsets(coarse, ring.radius, ssub)
    halo = int(np.abs(offsets).max())
    A = sparse.csr_matrix(A)
    C = np.asarray(C, dtype=np.float32)
    mean_C = C.mean(axis=1) if len(C) else np.zeros(0)
    inner = list(tile_boxes(Box(0, coarse[0], 0, coarse[1]), _READ_TILE))
    outer = [box.around(halo, coarse) for box in inner]
    full = [Box(*(edge * ssub for edge in box)).around(0, dims) for box in outer]
    index = [flat_index(box, dims) for box in full]
    tiles = []
    for i, movie in enumerate(boxes_of(images, full, run)):
        part = A[index[i]]
        near = np.unique(part.indices)
        # What travels is cut to what the tile needs; threads share the traces.
        traces = (C, near) if run.shared else (C[near], np.arange(len(near)))
        cells = part[:, near], *traces, part @ mean_C
        tiles.append(_Tile(movie, full[i].dims, inner[i], outer[i], coarse, offsets, ssub, tsub, *cells))
    fitted = run.map(_fit_tile, tiles, "Background")
    b0 = np.empty(dims[0] * dims[1], dtype=np.float32)
    for where, (_, constant) in zip(index, fitted):
        b0[where] = constant
    weights = [part for parts, _ in fitted for part in parts]
    return RingModel(assemble(weights, coarse[0] * coarse[1]), b0)


class _Tile(NamedTuple):
    """A part of the ring fit: where it lies on the full and the coarse grid, and the cells in it."""

    movie: BoxOfMovie
    dims: tuple[int, int]
    inner: Box
    outer: Box
    coarse: tuple[int, int]
    offsets: np.ndarray
    ssub: int
    tsub: int
    A: sparse.csr_matrix
    C: np.ndarray
    rows: np.ndarray
    level: np.ndarray


def _fit_tile(tile: _Tile) -> tuple[list, np.ndarray]:
    """Fit the weights of a tile's inner pixels; also the constant background of all of its pixels."""
    box, mean = tile.movie.box, np.empty(tile.dims)

    def note_mean(_: np.ndarray, strip_mean: np.ndarray, strip: Box) -> None:
        mean[strip.within(box).slices] = as_image(strip_mean, strip.dims)

    X = read_decimated(tile.movie.images, box, tile.ssub, tile.tsub, note_mean)
    X -= coarse_footprints(tile.A, tile.dims, tile.ssub) @ tile.C[tile.rows]
    X -= X.mean(axis=1, keepdims=True)
    weights = weights_of(X, tile.inner, tile.outer, tile.coarse, tile.offsets)
    return weights, mean.ravel(order="F") - tile.level


def reconstruct_background(
    Y: np.ndarray,
    A: sparse.spmatrix,
    C: np.ndarray,
    W: sparse.spmatrix,
    b0: np.ndarray,
    dims: tuple[int, int],
    frames: slice = slice(None),
) -> np.ndarray:
    """
    Evaluate the ring background.

    Parameters
    ----------
    Y : ndarray of shape (d, T)
        Movie, pixels in Fortran order.
    A : sparse matrix of shape (d, K)
        Footprints.
    C : ndarray of shape (K, T)
        Traces.
    W : sparse matrix of shape (d', d')
        Ring weights; the grid's coarseness follows from its size.
    b0 : ndarray of shape (d,)
        Constant background.
    dims : tuple of int
        Rows and columns.
    frames : slice
        Which frames.

    Returns
    -------
    ndarray of shape (d, n_frames), float32
        ``B = b0 + U(W D(Y - b0 - A C))`` with D the block mean and U its reverse.
    """
    steps = (s for s in range(1, max(dims) + 1) if np.prod(coarse_dims(dims, s)) == W.shape[0])
    ssub = next(steps, 1)
    coarse = coarse_dims(dims, ssub)
    level = np.asarray(b0, dtype=np.float32)[:, None]
    # The brightness goes first, or it would take digits from all that follows.
    X = decimate(np.asarray(Y[:, frames], dtype=np.float32) - level, dims, ssub)
    if len(C):
        X = X - coarse_footprints(A, dims, ssub) @ np.asarray(C[:, frames], dtype=np.float32)
    return upsample_image(W @ X, coarse, dims, ssub) + level
