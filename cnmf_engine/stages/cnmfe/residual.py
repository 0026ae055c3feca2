"""A movie held in memory without its background, kept up to date in place as more cells become known."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import sparse

from cnmf_engine.movies.geometry import coarse_dims, decimate
from cnmf_engine.stages.cnmfe.background import coarse_footprints
from cnmf_engine.stages.cnmfe.ring import RingFit

__all__ = ["BackgroundFree"]

#: Values of one block of pixels while cells are added or taken off.
_BLOCK_VALUES = 2**20


class BackgroundFree:
    """
    Movie less the ring background that its components leave.

    The background is smooth, so it is kept on the coarse grid of the ring: when it is fitted anew, only the
    difference to the one before has to be added to the movie. Besides the movie only that grid is held.

    Parameters
    ----------
    Y : ndarray of shape (d, T), float32
        Movie, pixels in Fortran order. It becomes `R` and changes from then on.
    dims : tuple of int
        Rows and columns.
    radius : float
        Ring radius, px.
    ssub : int
        Block size of the ring's coarse grid, px.

    Raises
    ------
    InputError
        If the ring lies outside the image.

    Attributes
    ----------
    R : ndarray of shape (d, T), float32
        Movie without background; before the first `refit`, the movie as it was.
    b0 : ndarray of shape (d,), float64
        Constant background taken off so far.
    """

    def __init__(self, Y: np.ndarray, dims: tuple[int, int], *, radius: float, ssub: int) -> None:
        self.R, self.dims = Y, dims
        self._ssub = ssub
        self._mean = Y.mean(axis=1, dtype=np.float64)
        self._coarse = coarse_dims(dims, ssub)
        X = decimate(Y, dims, ssub) if ssub > 1 else Y.copy()
        self._ring = RingFit(X, self._coarse, radius=radius, ssub=ssub)
        self._B = np.zeros((1, 1), dtype=np.float32)
        self.b0 = np.zeros(len(Y))

    def refit(self, A: sparse.csc_matrix, C: np.ndarray) -> None:
        """
        Fit the ring to what the components leave of the movie, and take it off.

        Parameters
        ----------
        A : csc_matrix of shape (d, K)
            Footprints.
        C : ndarray of shape (K, T)
            Traces.
        """
        W, X = self._ring.weights(coarse_footprints(A, self.dims, self._ssub), C)
        B = W @ X
        b0 = self._mean - A @ C.mean(axis=1, dtype=np.float64) if len(C) else self._mean
        self._shift(self._B - B, self.b0 - b0)
        self._B, self.b0 = B, b0

    def _shift(self, change: np.ndarray, constant: np.ndarray) -> None:
        """Add a change on the coarse grid, and a constant for each pixel, to the movie."""
        cube = self.R.reshape(self.dims[1], self.dims[0], -1)
        coarse = change.reshape(self._coarse[1], self._coarse[0], -1)
        level = constant.reshape(self.dims[1], self.dims[0], 1).astype(np.float32)
        for column, part in enumerate(cube):
            part += np.repeat(coarse[column // self._ssub], self._ssub, axis=0)[: self.dims[0]]
            part += level[column]

    def add(self, A: sparse.csc_matrix, C: np.ndarray, sign: float = 1.0) -> None:
        """
        Add components to the movie, or take them off.

        Parameters
        ----------
        A : csc_matrix of shape (d, K)
            Footprints.
        C : ndarray of shape (K, T)
            Traces.
        sign : float
            1 to add, -1 to take off.
        """
        for pixels, part in _row_blocks(A, self.R.shape[1]):
            self.R[pixels] += (sign * part) @ C


def _row_blocks(A: sparse.csc_matrix, T: int) -> Iterator[tuple[np.ndarray, sparse.csr_matrix]]:
    """Pixels that footprints have, in blocks, with their weights."""
    used = np.unique(A.indices)
    rows = sparse.csr_matrix(A)
    step = max(_BLOCK_VALUES // max(T, 1), 1)
    for start in range(0, len(used), step):
        pixels = used[start : start + step]
        yield pixels, rows[pixels]
