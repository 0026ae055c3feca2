"""Sums, extremes and spreads of a movie that comes in blocks of frames."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

__all__ = ["axes_of", "reduce_blocks"]


def axes_of(axis: Any) -> tuple[int, ...]:
    """
    Write the `axis` argument of NumPy's reductions as a tuple.

    Parameters
    ----------
    axis : int, tuple of int or None
        Axes of an array of three dimensions; None for all.

    Returns
    -------
    tuple of int
        The axes, 0 to 2.

    Raises
    ------
    numpy.exceptions.AxisError
        If there is no such axis.
    """
    given = range(3) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    wrong = [one for one in given if not -3 <= operator.index(one) < 3]
    if wrong:
        raise np.exceptions.AxisError(wrong[0], 3)
    return tuple(one % 3 for one in given)


def reduce_blocks(
    blocks: Callable[[], Iterator[np.ndarray]],
    shape: tuple[int, int, int],
    name: str,
    axes: tuple[int, ...],
    ddof: float = 0,
) -> np.ndarray:
    """
    Reduce a movie block by block.

    Parameters
    ----------
    blocks : callable
        Gives an iterator over all frames, in blocks of shape (n, d1, d2); called twice for spreads.
    shape : tuple of int
        Frames, rows and columns.
    name : {'max', 'min', 'sum', 'mean', 'var', 'std'}
        What to find.
    axes : tuple of int
        Axes that are reduced.
    ddof : float
        Subtracted from the number of values of a spread.

    Returns
    -------
    ndarray
        With the reduced axes kept, of length 1. Sums over frames are float64.
    """
    if 0 not in axes:
        more = {"ddof": ddof} if name in ("var", "std") else {}
        wide = {"dtype": np.float64} if name not in ("max", "min") else {}
        parts = [getattr(block, name)(axis=axes, keepdims=True, **wide, **more) for block in blocks()]
        return np.concatenate(parts)
    if name in ("max", "min"):
        combine = np.maximum if name == "max" else np.minimum
        return combine.reduce([combine.reduce(block, axis=axes, keepdims=True) for block in blocks()])

    def total(change: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        return sum(change(block).sum(axis=axes, dtype=np.float64, keepdims=True) for block in blocks())

    sums = total(np.asarray)
    if name == "sum":
        return sums
    count = np.prod([shape[one] for one in axes], dtype=np.int64)
    mean = sums / count
    if name == "mean":
        return mean
    variance = total(lambda block: (block - mean) ** 2) / (count - ddof)
    return variance if name == "var" else np.sqrt(variance)
