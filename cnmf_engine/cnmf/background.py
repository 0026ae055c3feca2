"""
The ring model of one-photon background.

Out-of-focus light and neuropil are smooth in space: what a pixel's background does, the pixels on a ring
around it do too, if the ring is wider than a cell. Each pixel's background is a weighted sum of the ring's,
with weights from a regression; pixels within reach of each other share their products, so the products of
a tile of pixels are one matrix multiplication, and each pixel only a small solve.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy import sparse

from ..cluster import map_ordered
from ..errors import InputError, explain
from .geometry import Box, coarse_dims, decimate, flat_index, read_decimated, upsample_image

__all__ = [
    "RingModel",
    "block_average",
    "coarse_footprints",
    "fit_ring",
    "fit_ring_movie",
    "reconstruct_background",
    "ring_offsets",
    "ring_weights",
]

#: Part of a ring's total power that is added to the diagonal of its regression.
_RIDGE = 1e-5
#: Coarse pixels a side of one tile, about; products within a tile and its halo are formed at once.
_TILE = 32
#: Coarse pixels a side of the part of a movie that is read at once; a whole number of tiles.
_READ_TILE = 2 * _TILE


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


def ring_offsets(radius: int) -> np.ndarray:
    """
    Pixels of a ring one pixel thick.

    Parameters
    ----------
    radius : int
        Inner radius in px.

    Returns
    -------
    ndarray of shape (n, 2), int
        Offsets (rows, columns) with ``radius**2 < dy**2 + dx**2 <= (radius + 1)**2``.
    """
    reach = np.arange(-radius - 1, radius + 2)
    dy, dx = np.meshgrid(reach, reach, indexing="ij")
    squared = dy**2 + dx**2
    inside = (squared > radius**2) & (squared <= (radius + 1) ** 2)
    return np.stack([dy[inside], dx[inside]], axis=1)


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


def _solve_rings(
    gram: np.ndarray, box: Box, halo: Box, dims: tuple[int, int], offsets: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights of all pixels of a tile from the products of its halo: rows, columns, values of W."""
    rows, columns = np.meshgrid(np.arange(box.r0, box.r1), np.arange(box.c0, box.c1), indexing="ij")
    rows, columns = rows.ravel(order="F"), columns.ravel(order="F")
    ring_r = rows[:, None] + offsets[None, :, 0]
    ring_c = columns[:, None] + offsets[None, :, 1]
    inside = (ring_r >= 0) & (ring_r < dims[0]) & (ring_c >= 0) & (ring_c < dims[1])
    height = halo.r1 - halo.r0
    local = (rows - halo.r0) + height * (columns - halo.c0)
    local_ring = (ring_r - halo.r0) + height * (ring_c - halo.c0)
    out_rows, out_columns, out_values = [], [], []
    # Rings cut by the border have fewer pixels; those with the same number are solved together.
    count = inside.sum(axis=1)
    for n in np.unique(count[count > 0]):
        chosen = np.flatnonzero(count == n)
        index = local_ring[chosen][inside[chosen]].reshape(-1, n)
        products = gram[index[:, :, None], index[:, None, :]].astype(np.float64)
        target = gram[index, local[chosen][:, None]].astype(np.float64)
        power = np.trace(products, axis1=1, axis2=2)
        # A ring that never changes predicts nothing: the added 1 gives it weights of 0, not an error.
        diagonal = np.arange(n)
        products[:, diagonal, diagonal] += np.where(power > 0, _RIDGE * power, 1.0)[:, None]
        weights = np.linalg.solve(products, target[:, :, None])[:, :, 0]
        global_ring = (ring_r + dims[0] * ring_c)[chosen][inside[chosen]].reshape(-1, n)
        out_rows.append(np.repeat(rows[chosen] + dims[0] * columns[chosen], n))
        out_columns.append(global_ring.ravel())
        out_values.append(weights.astype(np.float32).ravel())
    if not out_rows:
        empty = np.empty(0, dtype=np.int64)
        return empty, empty, np.empty(0, dtype=np.float32)
    return np.concatenate(out_rows), np.concatenate(out_columns), np.concatenate(out_values)


def _check_ring(offsets: np.ndarray, coarse: tuple[int, int], radius: float, ssub: int) -> None:
    """Raise InputError when a pixel of the image has no ring pixel inside the image."""
    covered = np.zeros(coarse, dtype=bool)
    for step in offsets:
        covered[tuple(slice(max(-s, 0), max(n - max(s, 0), 0)) for s, n in zip(step, coarse))] = True
    if not covered.all():
        raise InputError(
            explain(
                "a ring that lies at least partly inside the image",
                f"a ring radius of {radius:g} px and an image of {coarse[0] * ssub} x {coarse[1] * ssub} px",
                "lower ring_size_factor or gSiz, or use larger patches (rf)",
            )
        )


def _tile_boxes(box: Box, side: int) -> Iterator[Box]:
    """Cut a box of the coarse grid into tiles of about equal size."""
    rows, columns = (
        np.linspace(first, last, max(round((last - first) / side), 1) + 1).astype(int).tolist()
        for first, last in ((box.r0, box.r1), (box.c0, box.c1))
    )
    for r0, r1 in pairwise(rows):
        for c0, c1 in pairwise(columns):
            yield Box(r0, r1, c0, c1)


def _weights_of(X: np.ndarray, inner: Box, outer: Box, coarse: tuple[int, int], offsets: np.ndarray) -> list:
    """Weights of the pixels of a box, from the centred movie of the larger box that holds their rings."""
    halo = int(np.abs(offsets).max())
    parts = []
    for tile in _tile_boxes(inner, _TILE):
        around = tile.around(halo, coarse)
        block = X[flat_index(around.within(outer), outer.dims)]
        parts.append(_solve_rings(block @ block.T, tile, around, coarse, offsets))
    return parts


def _assemble(parts: list, n: int) -> sparse.csr_matrix:
    """Put the weights of all tiles into one matrix."""
    rows, columns, values = (np.concatenate(piece) for piece in zip(*parts))
    return sparse.csr_matrix((values, (rows, columns)), shape=(n, n), dtype=np.float32)


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
    X = decimate(Y, dims, ssub) - coarse_footprints(A, dims, ssub) @ C
    X -= X.mean(axis=1, keepdims=True)
    return RingModel(ring_weights(X, coarse, radius=radius, ssub=ssub), b0)


def ring_weights(X: np.ndarray, coarse: tuple[int, int], *, radius: float, ssub: int) -> sparse.csr_matrix:
    """
    Weights with which each coarse pixel follows its ring.

    Parameters
    ----------
    X : ndarray of shape (d', T), float32
        Movie on the coarse grid, less cells and the mean of each pixel.
    coarse : tuple of int
        Rows and columns of the coarse grid.
    radius : float
        Ring radius, px of the full grid.
    ssub : int
        Block size of the coarse grid, px.

    Returns
    -------
    csr_matrix of shape (d', d'), float32
        Row p holds the weights of pixel p's ring.

    Raises
    ------
    InputError
        If the ring lies outside the image.
    """
    offsets = ring_offsets(round(radius / ssub))
    _check_ring(offsets, coarse, radius, ssub)
    everything = Box(0, coarse[0], 0, coarse[1])
    return _assemble(_weights_of(X, everything, everything, coarse, offsets), coarse[0] * coarse[1])


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
    offsets = ring_offsets(round(radius / ssub))
    coarse = coarse_dims(dims, ssub)
    _check_ring(offsets, coarse, radius, ssub)
    halo = int(np.abs(offsets).max())
    A = sparse.csr_matrix(A)
    C = np.asarray(C, dtype=np.float32)
    mean_C = C.mean(axis=1) if len(C) else np.zeros(0)

    def fit_part(inner: Box) -> tuple[list, np.ndarray, np.ndarray]:
        outer = inner.around(halo, coarse)
        full = Box(*(edge * ssub for edge in outer)).around(0, dims)
        mean = np.empty(dims)

        def note_mean(Y: np.ndarray, strip: Box) -> None:
            mean[strip.slices] = Y.mean(axis=1, dtype=np.float64).reshape(strip.dims, order="F")

        X = read_decimated(images, full, ssub, tsub, note_mean)
        index = flat_index(full, dims)
        part = A[index]
        near = np.unique(part.indices)
        X -= coarse_footprints(part[:, near], full.dims, ssub) @ C[near]
        X -= X.mean(axis=1, keepdims=True)
        constant = mean[full.slices].ravel(order="F") - part @ mean_C
        return _weights_of(X, inner, outer, coarse, offsets), index, constant

    everything = Box(0, coarse[0], 0, coarse[1])
    fitted = map_ordered(fit_part, list(_tile_boxes(everything, _READ_TILE)), dview, progress)
    b0 = np.empty(dims[0] * dims[1], dtype=np.float32)
    for _, index, constant in fitted:
        b0[index] = constant
    weights = [part for parts, *_ in fitted for part in parts]
    return RingModel(_assemble(weights, coarse[0] * coarse[1]), b0)


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
        ``B = b0 + U(W(D(Y - A C) - D(b0)))`` with D the block mean and U its reverse.
    """
    steps = (s for s in range(1, max(dims) + 1) if np.prod(coarse_dims(dims, s)) == W.shape[0])
    ssub = next(steps, 1)
    coarse = coarse_dims(dims, ssub)
    part = np.asarray(Y[:, frames], dtype=np.float32)
    X = decimate(part, dims, ssub)
    if len(C):
        X = X - coarse_footprints(A, dims, ssub) @ np.asarray(C[:, frames], dtype=np.float32)
    X = X - decimate(np.asarray(b0, dtype=np.float32)[:, None], dims, ssub)
    B = upsample_image(W @ X, coarse, dims, ssub)
    return B + np.asarray(b0, dtype=np.float32)[:, None]
