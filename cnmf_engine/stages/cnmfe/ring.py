"""The regression behind the ring background: how each pixel follows the pixels on a ring around it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numba import njit
from scipy import sparse

from cnmf_engine.base.errors import InputError, explain
from cnmf_engine.movies.geometry import Box, flat_index

__all__ = [
    "RingFit",
    "assemble",
    "checked_offsets",
    "ring_offsets",
    "tile_boxes",
    "weights_of",
]

#: Part of a ring's total power that is added to the diagonal of its regression.
_RIDGE = 1e-5
#: Coarse pixels a side of one tile, about; products within a tile and its halo are formed at once.
_TILE = 32
#: Time courses that all pixels of a tile share and that are multiplied apart, and pixels that tell them.
_SHARED, _SAMPLE = 4, 64
#: Pixels that are worked on at a time.
_AT_ONCE = 256


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


class _Products(NamedTuple):
    """
    Products of all pairs of traces of a box, as ``rest + left @ right.T + right @ left.T``.

    A few time courses that all pixels share hold nearly all the light, and the noise that weights turn on a
    hundred thousandth of it: in one sum of float32 it would be lost. So they are kept apart, in float64,
    and so is what cells take off.
    """

    rest: np.ndarray
    left: np.ndarray
    right: np.ndarray

    @classmethod
    def of(cls, traces: np.ndarray) -> _Products:
        """Multiply traces (n, T), float32, which are used up."""
        some = traces[:: max(len(traces) // _SAMPLE, 1)].astype(np.float64)
        _, vectors = np.linalg.eigh(some @ some.T)
        courses = np.linalg.qr(some.T @ vectors[:, -_SHARED:])[0].astype(np.float32)
        left = traces @ courses
        # Few at a time: another array of their size would double what a long movie takes.
        for at in range(0, len(traces), _AT_ONCE):
            traces[at : at + _AT_ONCE] -= left[at : at + _AT_ONCE] @ courses.T
        left, courses = left.astype(np.float64), courses.astype(np.float64)
        # The courses are orthonormal, and orthogonal to the rest, up to rounding, which counts here.
        right = left @ (courses.T @ courses) / 2 + _products(traces, courses)
        return cls(traces @ traces.T, left, right)

    def less(self, cells: np.ndarray, shared: np.ndarray) -> _Products:
        """Take off ``cells @ shared.T`` and its transpose, (n, K) both."""
        return self._replace(left=np.hstack([self.left, -cells]), right=np.hstack([self.right, shared]))

    def among(self, index: np.ndarray) -> np.ndarray:
        """Products among the pixels of each row of an index (m, n): (m, n, n), float64."""
        return _symmetric(self.rest, self.left[index] @ self.right[index].transpose(0, 2, 1), index)

    def between(self, index: np.ndarray, one: np.ndarray) -> np.ndarray:
        """Products of the pixels of each row of an index (m, n) with one pixel (m,): (m, n, 1), float64."""
        left, right = self.left[one][:, :, None], self.right[one][:, :, None]
        rest = self.rest[index, one[:, None]][:, :, None]
        return rest + self.left[index] @ right + self.right[index] @ left


@njit(cache=True, nogil=True)
def _symmetric(rest, half, index):  # pragma: no cover - compiled
    """Put ``rest + half + half.T`` among the pixels of each row of an index in the place of half."""
    for m in range(len(index)):
        for i in range(index.shape[1]):
            row = rest[index[m, i]]
            for j in range(i + 1):
                half[m, i, j] = half[m, j, i] = row[index[m, j]] + half[m, i, j] + half[m, j, i]
    return half


def _products(traces: np.ndarray, courses: np.ndarray) -> np.ndarray:
    """Multiply traces (n, T), float32, with time courses (T, r), float64, without rounding in between."""
    out = np.empty((len(traces), courses.shape[1]))
    for at in range(0, len(traces), _AT_ONCE):
        out[at : at + _AT_ONCE] = traces[at : at + _AT_ONCE].astype(np.float64) @ courses
    return out


def _solve_rings(
    gram: _Products, box: Box, halo: Box, dims: tuple[int, int], offsets: np.ndarray
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
    alike = [np.flatnonzero(count == n) for n in np.unique(count[count > 0])]
    for chosen in (part[at : at + _AT_ONCE] for part in alike for at in range(0, len(part), _AT_ONCE)):
        n = count[chosen[0]]
        index = local_ring[chosen][inside[chosen]].reshape(-1, n)
        products, target = gram.among(index), gram.between(index, local[chosen])
        power = np.trace(products, axis1=1, axis2=2)
        # A ring that never changes predicts nothing: the added 1 gives it weights of 0, not an error.
        diagonal = np.arange(n)
        products[:, diagonal, diagonal] += np.where(power > 0, _RIDGE * power, 1.0)[:, None]
        weights = np.linalg.solve(products, target)[:, :, 0]
        global_ring = (ring_r + dims[0] * ring_c)[chosen][inside[chosen]].reshape(-1, n)
        out_rows.append(np.repeat(rows[chosen] + dims[0] * columns[chosen], n))
        out_columns.append(global_ring.ravel())
        out_values.append(weights.astype(np.float32).ravel())
    if not out_rows:
        empty = np.empty(0, dtype=np.int64)
        return empty, empty, np.empty(0, dtype=np.float32)
    return np.concatenate(out_rows), np.concatenate(out_columns), np.concatenate(out_values)


def checked_offsets(coarse: tuple[int, int], radius: float, ssub: int) -> np.ndarray:
    """
    Offsets of a ring on the coarse grid.

    Parameters
    ----------
    coarse : tuple of int
        Rows and columns of the coarse grid.
    radius : float
        Ring radius, px of the full grid.
    ssub : int
        Block size of the coarse grid, px.

    Returns
    -------
    ndarray of shape (n, 2), int
        As from `ring_offsets`.

    Raises
    ------
    InputError
        If a pixel has no ring pixel inside the image.
    """
    offsets = ring_offsets(round(radius / ssub))
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
    return offsets


def tile_boxes(box: Box, side: int) -> Iterator[Box]:
    """Cut a box of the coarse grid into tiles of about equal size."""
    rows, columns = (
        np.linspace(first, last, max(round((last - first) / side), 1) + 1).astype(int).tolist()
        for first, last in ((box.r0, box.r1), (box.c0, box.c1))
    )
    for r0, r1 in pairwise(rows):
        for c0, c1 in pairwise(columns):
            yield Box(r0, r1, c0, c1)


def weights_of(X: np.ndarray, inner: Box, outer: Box, coarse: tuple[int, int], offsets: np.ndarray) -> list:
    """Weights of the pixels of a box, from the centred movie of the larger box that holds their rings."""
    halo = int(np.abs(offsets).max())
    parts = []
    for tile in tile_boxes(inner, _TILE):
        around = tile.around(halo, coarse)
        block = X[flat_index(around.within(outer), outer.dims)]
        parts.append(_solve_rings(_Products.of(block), tile, around, coarse, offsets))
    return parts


def assemble(parts: list, n: int) -> sparse.csr_matrix:
    """Put the weights of all tiles into one matrix."""
    rows, columns, values = (np.concatenate(piece) for piece in zip(*parts))
    return sparse.csr_matrix((values, (rows, columns)), shape=(n, n), dtype=np.float32)


class RingFit:
    """
    Ring weights of one movie while the cells that are known in it change.

    What pixels have in common is multiplied out once. Cells are then taken off the products, which is a
    fraction of the work.

    Parameters
    ----------
    X : ndarray of shape (d', T), float32
        Movie on the coarse grid; each pixel's mean is taken off in place.
    coarse : tuple of int
        Rows and columns of the coarse grid.
    radius : float
        Ring radius, px of the full grid.
    ssub : int
        Block size of the coarse grid, px.

    Raises
    ------
    InputError
        If the ring lies outside the image.
    """

    def __init__(self, X: np.ndarray, coarse: tuple[int, int], *, radius: float, ssub: int) -> None:
        self._offsets = checked_offsets(coarse, radius, ssub)
        self._coarse = coarse
        X -= X.mean(axis=1, keepdims=True)
        self._X = X
        halo = int(np.abs(self._offsets).max())
        tiles = list(tile_boxes(Box(0, coarse[0], 0, coarse[1]), _TILE))
        self._tiles = [(tile, tile.around(halo, coarse)) for tile in tiles]
        size = sum((around.dims[0] * around.dims[1]) ** 2 for _, around in self._tiles)
        # Of a short movie products take more room than they save time.
        self._products = [self._product(around) for _, around in self._tiles] if size <= 2 * X.size else None

    def _product(self, box: Box) -> _Products:
        return _Products.of(self._X[flat_index(box, self._coarse)])

    def weights(self, A: sparse.csr_matrix, C: np.ndarray) -> tuple[sparse.csr_matrix, np.ndarray]:
        """
        Fit the ring to what cells leave of the movie.

        Parameters
        ----------
        A : csr_matrix of shape (d', K), float32
            Footprints on the coarse grid.
        C : ndarray of shape (K, T), float32
            Traces.

        Returns
        -------
        W : csr_matrix of shape (d', d'), float32
            Row p holds the weights of pixel p's ring.
        X : ndarray of shape (d', T), float32
            The movie less cells and means, which the weights are for.
        """
        C = C - C.mean(axis=1, keepdims=True)
        X = self._X - A @ C
        if self._products is None:
            everything = Box(0, self._coarse[0], 0, self._coarse[1])
            parts = weights_of(X, everything, everything, self._coarse, self._offsets)
        else:
            parts = [
                _solve_rings(
                    self._without_cells(product, A, C, around), tile, around, self._coarse, self._offsets
                )
                for product, (tile, around) in zip(self._products, self._tiles)
            ]
        return assemble(parts, self._coarse[0] * self._coarse[1]), X

    def _without_cells(self, product: _Products, A: sparse.csr_matrix, C: np.ndarray, box: Box) -> _Products:
        """Products of a box's pixels with cells taken off: (x - a c) (x - a c)^T, multiplied out."""
        index = flat_index(box, self._coarse)
        near = np.unique(A[index].indices)
        if not near.size:
            return product
        cells, C = A[index][:, near].toarray().astype(np.float64), C[near].astype(np.float64)
        return product.less(cells, _products(self._X[index], C.T) - cells @ (0.5 * (C @ C.T)))
