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

from cnmf_engine.base.parallel import map_ordered
from cnmf_engine.movies.geometry import (
    Box,
    as_image,
    coarse_dims,
    decimate,
    flat_index,
    read_decimated,
    upsample_image,
)
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
    *,
    radius: float,
    ssub: int = 2,
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
    radius : float
        Ring radius in px of the full grid; wider than a cell.
    ssub : int
        Block size in px of the coarser grid on which weights are fitted.

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
    coarse = coarse_dims(dims, ssub)
    mean_C = C.mean(axis=1) if len(C) else np.zeros(0)
    b0 = (Y.mean(axis=1, dtype=np.float64) - A @ mean_C).astype(np.float32)
    X = decimate(Y, dims, ssub) if ssub > 1 else Y.copy()
    W, _ = RingFit(X, coarse, radius=radius, ssub=ssub).weights(coarse_footprints(A, dims, ssub), C)
    return RingModel(W, b0)


def fit_ring_movie(
    images: np.ndarray,
    A: sparse.spmatrix,
    C: np.ndarray,
    *,
    radius: float,
    ssub: int = 2,
    tsub: int = 1,
    dview=None,
    progress: str | None = None,
) -> RingModel:
    """
    Fit the ring model to a movie on disk, tile by tile.

    Parameters
    ----------
    images : ndarray or memmap of shape (T, d1, d2)
        Movie.
    A, radius, ssub
        As in `fit_ring`.
    C : ndarray of shape (K, ceil(T/tsub))
        Traces.
    tsub : int
        Frames that are averaged before the fit.
    dview : Workers, optional
        Pool that takes the tiles.
    progress : str, optional
        Text of a progress bar; none if None.

    Returns
    -------
    RingModel
        The same as `fit_ring` gives on the whole movie, up to rounding.

    Raises
    ------
    InputError
        If the ring lies outside the image.
    """
    dims = images.shape[1:]
    coarse = coarse_dims(dims, ssub)
    offsets = checked_offsets(coarse, radius, ssub)
    halo = int(np.abs(offsets).max())
    A = sparse.csr_matrix(A)
    C = np.asarray(C, dtype=np.float32)
    mean_C = C.mean(axis=1) if len(C) else np.zeros(0)

    def fit_part(inner: Box) -> tuple[list, np.ndarray, np.ndarray]:
        outer = inner.around(halo, coarse)
        full = Box(*(edge * ssub for edge in outer)).around(0, dims)
        mean = np.empty(dims)

        def note_mean(_: np.ndarray, strip_mean: np.ndarray, strip: Box) -> None:
            mean[strip.slices] = as_image(strip_mean, strip.dims)

        X = read_decimated(images, full, ssub, tsub, note_mean)
        index = flat_index(full, dims)
        part = A[index]
        near = np.unique(part.indices)
        X -= coarse_footprints(part[:, near], full.dims, ssub) @ C[near]
        X -= X.mean(axis=1, keepdims=True)
        constant = mean[full.slices].ravel(order="F") - part @ mean_C
        return weights_of(X, inner, outer, coarse, offsets), index, constant

    everything = Box(0, coarse[0], 0, coarse[1])
    fitted = map_ordered(fit_part, list(tile_boxes(everything, _READ_TILE)), dview, progress)
    b0 = np.empty(dims[0] * dims[1], dtype=np.float32)
    for _, index, constant in fitted:
        b0[index] = constant
    weights = [part for parts, *_ in fitted for part in parts]
    return RingModel(assemble(weights, coarse[0] * coarse[1]), b0)


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
