"""Outlines of footprints, and the reductions that fit data to a screen."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from cnmf_engine.base.errors import InputError, ParameterError, explain, nearest

__all__ = ["Envelope", "get_contours", "image_limits", "min_max_decimate"]

_METHODS = ("max", "nrg")


def get_contours(
    A: Any, dims: tuple[int, int], thr: float = 0.9, thr_method: str = "nrg", swap_dim: bool = False
) -> list[dict[str, Any]]:
    """
    Outline every footprint.

    Each outline is closed, also where a footprint touches the edge of the image.

    Parameters
    ----------
    A : sparse or dense array of shape (d, K)
        Footprints, pixels flattened in Fortran order.
    dims : tuple of int
        Rows and columns of the image.
    thr : float
        Level of the outline: with 'max' a fraction of the footprint's maximum, with 'nrg' the fraction of the
        footprint's energy (sum of squares) that lies inside.
    thr_method : {'max', 'nrg'}
        What `thr` is a fraction of.
    swap_dim : bool
        The pixels are flattened in C order.

    Returns
    -------
    list of dict
        For each component `coordinates` (N, 2) float64, x (column) and y (row) in pixels, pixel centres on
        whole numbers, loops separated by rows of NaN, which also come first and last; `CoM` (2,) float64,
        row and column of the centre of mass; `neuron_id`, counted from 1; `bbox` (4,) float64, [ymin, ymax,
        xmin, xmax] of the outline. A footprint without a positive pixel has one row of NaN, and NaN for the
        others.

    Raises
    ------
    ParameterError
        If `thr_method` is unknown or `dims` doesn't describe an image with the pixels of `A`.
    """
    footprints = _as_columns(A)
    dims = _checked_dims(dims, footprints.shape[0])
    if thr_method not in _METHODS:
        guess = nearest(thr_method, _METHODS) or "max"
        raise ParameterError(
            explain("thr_method 'max' or 'nrg'", f"thr_method={thr_method!r}", f"write thr_method={guess!r}")
        )
    order = "C" if swap_dim else "F"
    return [_outline(footprints, k, dims, order, float(thr), thr_method) for k in range(footprints.shape[1])]


def _as_columns(A: Any) -> sp.csc_matrix:
    """Bring footprints to compressed columns without touching the caller's array."""
    if sp.issparse(A):
        return A.tocsc()
    dense = np.asarray(A)
    if dense.ndim != 2:
        raise InputError(
            explain(
                "footprints as a (pixels, components) matrix",
                f"an array of shape {dense.shape}",
                "flatten each footprint in Fortran order and stack them as columns",
            )
        )
    return sp.csc_matrix(dense)


def _checked_dims(dims: Any, n_pixels: int) -> tuple[int, int]:
    """Accept two numbers whose product is the number of pixels."""
    found = tuple(int(n) for n in dims) if dims is not None else ()
    if len(found) != 2 or found[0] * found[1] != n_pixels:
        raise ParameterError(
            explain(
                f"dims (rows, columns) of an image with {n_pixels} pixels, as many as A has rows",
                f"dims={dims}",
                "pass the dims that cm.load_memmap returned for this movie",
            )
        )
    return found


def _outline(
    footprints: sp.csc_matrix, k: int, dims: tuple[int, int], order: str, thr: float, method: str
) -> dict[str, Any]:
    """Outline one column."""
    span = slice(footprints.indptr[k], footprints.indptr[k + 1])
    values = np.nan_to_num(np.asarray(footprints.data[span], dtype=np.float64), posinf=0.0, neginf=0.0)
    rows, cols = np.unravel_index(footprints.indices[span], dims, order=order)
    kept = values > 0
    values, rows, cols = values[kept], rows[kept], cols[kept]
    if values.size == 0:
        return {
            "coordinates": np.full((1, 2), np.nan),
            "CoM": np.full(2, np.nan),
            "neuron_id": k + 1,
            "bbox": np.full(4, np.nan),
        }
    coordinates = _trace_loops(values, rows, cols, dims, thr, method)
    total = values.sum()
    return {
        "coordinates": coordinates,
        "CoM": np.array([(values * rows).sum() / total, (values * cols).sum() / total]),
        "neuron_id": k + 1,
        "bbox": _bounding_box(coordinates),
    }


def _trace_loops(
    values: np.ndarray, rows: np.ndarray, cols: np.ndarray, dims: tuple[int, int], thr: float, method: str
) -> np.ndarray:
    """Follow the level around a footprint, on a crop with a rim of 'outside' so that every loop closes."""
    import contourpy

    top, left = rows.min() - 1, cols.min() - 1
    shape = (rows.max() - top + 2, cols.max() - left + 2)
    if method == "max":
        height, level = values / values.max(), thr
        crop = np.zeros(shape)
    else:
        # Inside is where little energy has been counted so far, so the surface is a valley and its rim is 1.
        descending = np.argsort(-values, kind="stable")
        energy = np.cumsum(values[descending] ** 2)
        height, level = np.empty_like(values), thr
        height[descending] = energy / energy[-1]
        # One pixel may hold more than the wanted energy; the brightest one is inside all the same.
        height[descending[0]] = min(height[descending[0]], 0.5 * thr)
        crop = np.ones(shape)
    crop[rows - top, cols - left] = height
    gap = np.full((1, 2), np.nan)
    pieces = [gap]
    for loop in contourpy.contour_generator(z=crop, line_type="Separate").lines(level):
        placed = loop + (left, top)
        placed[:, 0] = placed[:, 0].clip(-0.5, dims[1] - 0.5)
        placed[:, 1] = placed[:, 1].clip(-0.5, dims[0] - 0.5)
        pieces += [placed, gap]
    return np.concatenate(pieces)


def _bounding_box(coordinates: np.ndarray) -> np.ndarray:
    """Rows, then columns, that an outline spans; NaN if there is no outline at this level."""
    drawn = coordinates[np.isfinite(coordinates[:, 0])]
    if drawn.size == 0:
        return np.full(4, np.nan)
    (xmin, ymin), (xmax, ymax) = drawn.min(axis=0), drawn.max(axis=0)
    return np.array([ymin, ymax, xmin, xmax])


def image_limits(image: np.ndarray, low: float = 1.0, high: float = 99.0) -> tuple[float, float]:
    """
    Choose colour limits that a few extreme pixels can't spoil.

    Parameters
    ----------
    image : ndarray
        Any shape; NaN and infinite values are left out.
    low, high : float
        Percentiles.

    Returns
    -------
    tuple of float
        Lower and upper limit, in the image's unit; the upper one is always larger.
    """
    values = np.asarray(image, dtype=np.float64)
    values = values[np.isfinite(values)]
    if values.size == 0:
        return 0.0, 1.0
    lower, upper = (float(v) for v in np.percentile(values, [low, high]))
    if upper <= lower:
        lower, upper = float(values.min()), float(values.max())
    return (lower, upper) if upper > lower else (lower, lower + 1.0)


class Envelope(NamedTuple):
    """
    Traces reduced to their extremes.

    Attributes
    ----------
    frames : ndarray of shape (n,)
        Frame at which each point is drawn.
    values : ndarray of shape (K, n)
        What is drawn there.
    """

    frames: np.ndarray
    values: np.ndarray


def min_max_decimate(traces: np.ndarray, max_points: int = 4000) -> Envelope:
    """
    Reduce traces to what a screen can show without losing a transient.

    Frames are taken in bins, and of each bin the smallest and the largest value are kept in the order in
    which they occur, so a one-frame peak survives however long the recording is.

    Parameters
    ----------
    traces : ndarray of shape (K, T)
        Traces.
    max_points : int
        Points to keep at most; shorter traces are returned as they are.

    Returns
    -------
    Envelope
        The same frames for all traces.
    """
    traces = np.atleast_2d(np.asarray(traces))
    n_traces, n_frames = traces.shape
    if n_frames <= max_points:
        return Envelope(np.arange(n_frames), traces)
    width = -(-n_frames // (max_points // 2))
    n_bins = -(-n_frames // width)
    padded = np.pad(traces, ((0, 0), (0, n_bins * width - n_frames)), mode="edge")
    binned = padded.reshape(n_traces, n_bins, width)
    first, last = binned.argmin(axis=2), binned.argmax(axis=2)
    pick = np.sort(np.stack([first, last], axis=2), axis=2)
    values = np.take_along_axis(binned, pick, axis=2).reshape(n_traces, 2 * n_bins)
    starts = np.arange(n_bins) * width
    frames = np.stack([starts + width // 4, starts + (3 * width) // 4], axis=1).ravel()
    return Envelope(np.minimum(frames, n_frames - 1), values)
