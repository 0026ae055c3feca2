"""What the search for cells does to the traces of a box, compiled: correlate them, subtract a cell."""

from __future__ import annotations

import numpy as np
from numba import njit

from cnmf_engine.base.errors import InputError, explain
from cnmf_engine.movies.geometry import Box

__all__ = ["signal_correlation", "take_off"]

#: Steps to the neighbours that lie after a pixel; the four before it follow by symmetry.
_STEPS = ((0, 1), (1, 0), (1, 1), (1, -1))
#: Part of a trace's power below which its variance is rounding.
_ROUNDING = 1e-6


@njit(cache=True, nogil=True, fastmath=True)
def _moments(trace, floor):  # pragma: no cover - compiled
    """Sum and sum of squares of the samples that reach the floor."""
    total, squares = np.float32(0), np.float32(0)
    for t in range(trace.size):
        value = trace[t] if trace[t] >= floor else np.float32(0)
        total += value
        squares += value * value
    return total, squares


@njit(cache=True, nogil=True, fastmath=True)
def _product(one, floor_one, two, floor_two):  # pragma: no cover - compiled
    """Sum of products of two traces, samples below their floors counted as 0."""
    total = np.float32(0)
    for t in range(one.size):
        a = one[t] if one[t] >= floor_one else np.float32(0)
        b = two[t] if two[t] >= floor_two else np.float32(0)
        total += a * b
    return total


@njit(cache=True, nogil=True)
def _statistics(Y, d1, box, floor, mean, spread):  # pragma: no cover - compiled
    """Mean and standard deviation of each trace; both 0 where it doesn't count."""
    T = Y.shape[1]
    r0, r1, c0, c1 = box
    for j in range(c1 - c0):
        for i in range(r1 - r0):
            if floor[i, j] < np.inf:
                total, squares = _moments(Y[r0 + i + d1 * (c0 + j)], floor[i, j])
                variance = squares / T - (total / T) ** 2
                if variance > _ROUNDING * squares / T:
                    mean[i, j], spread[i, j] = total / T, np.sqrt(variance)


@njit(cache=True, nogil=True)
def _correlate(Y, d1, box, floor, mean, spread, steps, total, count):  # pragma: no cover - compiled
    """Add the correlation of each pair of neighbours to both."""
    T = Y.shape[1]
    r0, r1, c0, c1 = box
    for j in range(c1 - c0):
        for i in range(r1 - r0):
            for n in range(len(steps)):
                k, m = i + steps[n, 0], j + steps[n, 1]
                if k >= r1 - r0 or m < 0 or m >= c1 - c0:
                    continue
                count[i, j] += 1
                count[k, m] += 1
                scale = spread[i, j] * spread[k, m]
                if scale > 0:
                    one, two = Y[r0 + i + d1 * (c0 + j)], Y[r0 + k + d1 * (c0 + m)]
                    product = _product(one, floor[i, j], two, floor[k, m]) / T
                    r = (product - mean[i, j] * mean[k, m]) / scale
                    total[i, j] += r
                    total[k, m] += r


def _check_box(Y: np.ndarray, dims: tuple[int, int], box: Box, **shapes: tuple[np.ndarray, tuple]) -> None:
    """Refuse what a kernel would follow out of its arrays."""
    r0, r1, c0, c1 = box
    fits = Y.ndim == 2 and Y.shape[0] == dims[0] * dims[1] and Y.dtype.kind == "f"
    if not (fits and 0 <= r0 <= r1 <= dims[0] and 0 <= c0 <= c1 <= dims[1]):
        found = f"{tuple(box)} of an array of shape {Y.shape}, type {Y.dtype}"
        fix = "pass the movie as (pixels, frames), float32, and a box within the image"
        raise InputError(explain(f"a box of an image of {dims[0]} x {dims[1]} pixels", found, fix))
    for name, (array, shape) in shapes.items():
        if array.shape != shape:
            fix = "cut it to the box and to the movie's frames"
            raise InputError(explain(f"{name} of shape {shape}", f"shape {array.shape}", fix))


def signal_correlation(Y: np.ndarray, dims: tuple[int, int], box: Box, floor: np.ndarray) -> np.ndarray:
    """
    Mean correlation of each pixel of a box with its neighbours in it, of what rises above a floor.

    Parameters
    ----------
    Y : ndarray of shape (d, T), float32
        Traces about a mean of 0, pixels in Fortran order.
    dims : tuple of int
        Rows and columns of the image.
    box : Box
        Part of the image.
    floor : ndarray of shape (rows, columns of the box)
        Samples below it count as 0; a pixel with an infinite floor correlates with nothing.

    Returns
    -------
    ndarray of shape (rows, columns of the box), float64
        Mean of the correlations; a corner pixel has three neighbours, an edge pixel five, others eight.
    """
    floor = np.ascontiguousarray(floor, dtype=np.float32)
    _check_box(Y, dims, box, floor=(floor, box.dims))
    mean, spread, total, count = (np.zeros(box.dims) for _ in range(4))
    _statistics(Y, dims[0], tuple(box), floor, mean, spread)
    _correlate(Y, dims[0], tuple(box), floor, mean, spread, np.array(_STEPS), total, count)
    return total / np.maximum(count, 1)


@njit(cache=True, nogil=True, fastmath=True)
def _take_off(Y, d1, box, image, trace):  # pragma: no cover - compiled
    """Subtract a trace from each pixel of a box, with the weights of an image."""
    r0, r1, c0, c1 = box
    for j in range(c1 - c0):
        for i in range(r1 - r0):
            weight = image[i, j]
            if weight != 0:
                row = Y[r0 + i + d1 * (c0 + j)]
                for t in range(trace.size):
                    row[t] -= weight * trace[t]


def take_off(Y: np.ndarray, dims: tuple[int, int], box: Box, image: np.ndarray, trace: np.ndarray) -> None:
    """
    Subtract the product of an image and a trace from a box of a movie, in place.

    Parameters
    ----------
    Y : ndarray of shape (d, T), float32
        Movie, pixels in Fortran order.
    dims : tuple of int
        Rows and columns of the image.
    box : Box
        Where it is subtracted.
    image : ndarray of shape (rows, columns of the box), float32
        Weights.
    trace : ndarray of shape (T,), float32
        Trace.
    """
    image, trace = np.ascontiguousarray(image), np.ascontiguousarray(trace)
    _check_box(Y, dims, box, image=(image, box.dims), trace=(trace, Y.shape[1:]))
    if not Y.flags.writeable:
        fix = "pass a copy, or a map that was opened with mode='r+'"
        raise InputError(explain("a movie that can be written to", "one that can only be read", fix))
    _take_off(Y, dims[0], tuple(box), image, trace)
