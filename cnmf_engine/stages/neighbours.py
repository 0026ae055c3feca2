"""Correlation of neighbouring pixels from running sums, so that a movie is read once and never held."""

from __future__ import annotations

from collections.abc import Iterable

import numba
import numpy as np

from cnmf_engine.movies.regions import GROUP
from cnmf_engine.stages.noise import ROUNDING

__all__ = ["N_SUMS", "Sums", "add_products", "neighbour_correlation", "standardise"]

#: Steps to the neighbours that lie after a pixel; the four before it follow by symmetry.
_HALF_8 = ((0, 1), (1, 0), (1, 1), (1, -1))
_HALF_4 = ((0, 1), (1, 0))

# Rows of the array of sums: values, their squares, and products with the pixel below, right, ...
_PRODUCT = {(1, 0): 2, (0, 1): 3, (1, 1): 4, (1, -1): 5}
N_SUMS = 6


class Sums:
    """
    Running sums of a movie: of each pixel, of its square, and of its products with four neighbours.

    Parameters
    ----------
    dims : tuple of int
        Rows and columns.
    """

    def __init__(self, dims: tuple[int, int]) -> None:
        self._sums = np.zeros((N_SUMS, *dims))
        self._n_frames = 0

    def add(self, parts: Iterable[tuple[np.ndarray, int]]) -> Sums:
        """Add sums of blocks of frames, given with the number of frames, in their order."""
        for sums, n_frames in parts:
            self._sums += sums
            self._n_frames += n_frames
        return self

    @property
    def mean(self) -> np.ndarray:
        """Mean of each pixel, (d1, d2)."""
        return self._sums[0] / self._n_frames

    def correlation(self, eight_neighbours: bool = True, floor: np.ndarray | float = 0.0) -> np.ndarray:
        """
        Mean correlation of each pixel with its neighbours inside the image.

        Parameters
        ----------
        eight_neighbours : bool
            Eight neighbours or the four that share an edge.
        floor : ndarray of shape (d1, d2) or float
            Standard deviation up to which a pixel is constant.

        Returns
        -------
        ndarray of shape (d1, d2), float64
            Correlations; those with a constant pixel count as 0.
        """
        mean = self.mean
        with np.errstate(invalid="ignore"):
            std = np.sqrt(np.maximum(self._sums[1] / self._n_frames - mean**2, 0))
            good = np.isfinite(std) & (std > floor)
        mean, scale = np.where(good, mean, 0), np.where(good, 1 / np.where(good, std, 1), 0)

        def correlate(here: tuple, there: tuple, step: tuple[int, int]) -> np.ndarray:
            # The product with the pixel below and to the left is kept at the pixel to the left.
            at = (here[0], there[1]) if step == (1, -1) else here
            product = self._sums[_PRODUCT[step]][at] / self._n_frames - mean[here] * mean[there]
            both = good[here] & good[there]
            return np.where(both, product * scale[here] * scale[there], 0)

        return _over_neighbours(mean.shape, eight_neighbours, correlate)


@numba.njit(nogil=True, cache=True)
def add_products(frames, sums):
    """
    Add a block of frames to running sums.

    Parameters
    ----------
    frames : ndarray of shape (n, d1, d2), float32
        The frames.
    sums : ndarray of shape (6, d1, d2), float64
        Sums of a pixel, its square, its products with the pixel below, right, and below right; and, one
        column further left, of the product of the pixel below with the one to the right.
    """
    n_frames, rows, columns = frames.shape
    part = np.empty((N_SUMS, columns), np.float32)
    for r in range(rows):
        for first in range(0, n_frames, GROUP):
            part[:] = 0
            for t in range(first, min(first + GROUP, n_frames)):
                here, below = frames[t, r], frames[t, min(r + 1, rows - 1)]
                for c in range(columns):
                    part[0, c] += here[c]
                    part[1, c] += here[c] * here[c]
                    part[2, c] += here[c] * below[c]
                for c in range(columns - 1):
                    part[3, c] += here[c] * here[c + 1]
                    part[4, c] += here[c] * below[c + 1]
                    part[5, c] += here[c + 1] * below[c]
            for k in range(N_SUMS):
                for c in range(columns):
                    sums[k, r, c] += part[k, c]


def standardise(traces: np.ndarray, spread: np.ndarray | None = None) -> np.ndarray:
    """
    z-score traces over the last axis in place; constant or NaN traces become 0.

    Parameters
    ----------
    traces : ndarray of shape (..., T), float32
        Traces; overwritten.
    spread : ndarray of shape (...), optional
        Brightness: a standard deviation up to `ROUNDING` times it is rounding.

    Returns
    -------
    ndarray of shape (..., T), float32
        `traces`.
    """
    traces -= traces.mean(axis=-1, keepdims=True, dtype=np.float64).astype(np.float32)
    std = np.sqrt(np.einsum("...t,...t->...", traces, traces) / traces.shape[-1])
    # A pixel that varies by rounding only is constant: its correlation would be noise of the arithmetic.
    floor = ROUNDING * (np.abs(spread) if spread is not None else 0)
    good = np.isfinite(std) & (std > floor)
    traces *= np.where(good, 1 / np.where(good, std, 1), 0)[..., None].astype(np.float32)
    if not good.all():
        traces[~good] = 0
    return traces


def neighbour_correlation(Z: np.ndarray, eight_neighbours: bool = True) -> np.ndarray:
    """
    Mean correlation of each pixel with its neighbours inside the image.

    Parameters
    ----------
    Z : ndarray of shape (d1, d2, T), float32
        Traces with mean 0 and standard deviation 1 (or 0 for pixels that don't count).
    eight_neighbours : bool
        Eight neighbours or the four that share an edge.

    Returns
    -------
    ndarray of shape (d1, d2), float64
        Mean of the correlations; a corner pixel has three (two) neighbours, an edge pixel five (three).
    """
    d1, d2, T = Z.shape
    return _over_neighbours(
        (d1, d2),
        eight_neighbours,
        lambda here, there, step: np.einsum("ijt,ijt->ij", Z[here], Z[there]) / T,
    )


def _over_neighbours(dims: tuple[int, int], eight_neighbours: bool, correlate) -> np.ndarray:
    """Average ``correlate(here, there, step)`` over the neighbours of each pixel."""
    d1, d2 = dims
    total, count = np.zeros(dims), np.zeros(dims)
    for dr, dc in _HALF_8 if eight_neighbours else _HALF_4:
        here = slice(0, d1 - dr), slice(max(-dc, 0), d2 - max(dc, 0))
        there = slice(dr, d1), slice(max(dc, 0), d2 - max(-dc, 0))
        product = correlate(here, there, (dr, dc))
        for part in (here, there):
            total[part] += product
            count[part] += 1
    return total / np.maximum(count, 1)
