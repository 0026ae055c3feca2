"""Parameter values as text and plain values, and back without loss."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from cnmf_engine._param_table import Row
from cnmf_engine._param_values import plain_scalar

__all__ = ["from_text", "same", "to_plain"]


def from_text(row: Row, value: Any) -> Any:
    """
    Make a number of text where a number is wanted, as files may hold it.

    Parameters
    ----------
    row : Row
        What the parameter must be.
    value : object
        What the file holds.

    Returns
    -------
    object
        The number, or the value itself.
    """
    value = plain_scalar(value)
    if not isinstance(value, str) or row.kind.rstrip("?") not in (
        "int",
        "float",
        "bool",
        "axes",
        "int|axes-int",
        "bool|int",
    ):
        return value
    words: dict[str, Any] = {"True": True, "False": False, "None": None, "NoneType": None}
    if value in words:
        return words[value]
    try:
        return float(value)
    except ValueError:
        return value


def to_plain(value: Any) -> Any:
    """
    Turn a value into what JSON can hold; :func:`clean` turns it back.

    Parameters
    ----------
    value : object
        A parameter value.

    Returns
    -------
    object
        Lists for arrays and tuples, ``[start, stop, step]`` for slices, Python's numbers for NumPy's.
    """
    if isinstance(value, (np.ndarray, np.generic)):
        return to_plain(value.tolist())
    if isinstance(value, slice):
        return [to_plain(value.start), to_plain(value.stop), to_plain(value.step)]
    if isinstance(value, dict):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(item) for item in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return value.decode() if isinstance(value, bytes) else value


def same(one: Any, other: Any) -> bool:
    """
    Compare two values, arrays included.

    Parameters
    ----------
    one, other : object
        Parameter values.

    Returns
    -------
    bool
        True if they hold the same numbers and names.
    """
    return to_plain(one) == to_plain(other)
