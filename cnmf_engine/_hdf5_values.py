"""Single values to HDF5 and back, in the form that CaImAn's files have."""

from __future__ import annotations

import logging
import os
from typing import Any

import h5py
import numpy as np
from scipy import sparse

__all__ = ["numbers", "read_group", "write_value"]

log = logging.getLogger("caiman")

_NONE = "NoneType"
_SPARSE_PARTS = {"data", "indices", "indptr", "shape"}


def write_value(group: h5py.Group, name: str, value: Any) -> None:
    """
    Write one value under a name.

    Text becomes an attribute of the group, None the text 'NoneType', a sparse matrix a group with its CSC
    parts, a dictionary a group, anything else a dataset. What HDF5 can't hold is left out; the log says so.

    Parameters
    ----------
    group : h5py.Group
        Where.
    name : str
        Under what name.
    value : object
        What.
    """
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, str):
        group.attrs[name] = value
    elif value is None:
        group[name] = _NONE
    elif sparse.issparse(value):
        _write_sparse(group, name, value)
    elif isinstance(value, dict):
        inner = group.create_group(name)
        for key, item in value.items():
            write_value(inner, str(key), item)
    else:
        array = _as_array(value)
        if array is None:
            log.warning("%s/%s isn't saved: HDF5 can't hold a %s", group.name, name, type(value).__name__)
        else:
            group[name] = array


def _write_sparse(group: h5py.Group, name: str, value: sparse.spmatrix) -> None:
    if name == "b":
        # Other programs read b as a plain matrix.
        group[name] = value.toarray()
        return
    matrix = sparse.csc_matrix(value)
    matrix.sort_indices()
    inner = group.create_group(name)
    inner["data"] = matrix.data
    inner["indices"] = matrix.indices.astype(np.int32)
    inner["indptr"] = matrix.indptr.astype(np.int32 if matrix.nnz < 2**31 else np.int64)
    inner["shape"] = np.array(matrix.shape, dtype=np.int64)


def _as_array(value: Any) -> np.ndarray | None:
    """Turn numbers, arrays, lists of numbers, names or slices into what h5py takes; None if that can't be."""
    if (
        isinstance(value, (list, tuple))
        and value
        and all(isinstance(item, (str, bytes, slice)) for item in value)
    ):
        return np.array([item if isinstance(item, bytes) else str(item).encode("utf-8") for item in value])
    try:
        array = np.asarray(value)
    except ValueError:
        # Rows of different length, such as coefficients of traces of different order.
        array = _padded(value)
    if array is None or array.dtype.kind in "biufc":
        return array
    if array.dtype.kind == "O":
        return numbers(array)
    return np.char.encode(array, "utf-8") if array.dtype.kind == "U" else None


def _padded(rows: Any) -> np.ndarray | None:
    try:
        rows = [np.atleast_1d(np.asarray(row, dtype=np.float64)) for row in rows]
    except (TypeError, ValueError):
        return None
    if any(row.ndim != 1 for row in rows):
        return None
    result = np.zeros((len(rows), max(map(len, rows))))
    for target, row in zip(result, rows):
        target[: len(row)] = row
    return result


def numbers(value: Any) -> np.ndarray | None:
    """
    Make plain floats of numbers that are kept as objects or as text.

    Parameters
    ----------
    value : array or list
        Numbers, texts of numbers such as ``b'0.85'`` or ``b'[0.85]'``, or short lists of numbers.

    Returns
    -------
    ndarray of float64 or None
        The numbers, one row an entry where entries hold several (shorter rows end in 0); None if that isn't
        what they are.
    """
    rows = [_row(item) for item in np.asarray(value, dtype=object).ravel()] if np.ndim(value) < 2 else None
    if rows is None:
        try:
            return np.asarray(value).astype(np.float64)
        except (TypeError, ValueError):
            return None
    if any(row is None for row in rows):
        return None
    if all(np.ndim(row) == 0 for row in rows):
        return np.array(rows, dtype=np.float64)
    return _padded(rows)


def _row(item: Any) -> np.ndarray | float | None:
    if isinstance(item, bytes):
        item = item.decode("utf-8", "replace")
    try:
        if isinstance(item, str):
            if "[" not in item:
                return float(item)
            return np.array(
                item.replace("[", " ").replace("]", " ").replace(",", " ").split(), dtype=np.float64
            )
        return np.asarray(item, dtype=np.float64)
    except (TypeError, ValueError):
        return None


def read_group(group: h5py.Group) -> dict[str, Any]:
    """
    Read everything in a group.

    Parameters
    ----------
    group : h5py.Group
        Where.

    Returns
    -------
    dict
        Values by name: Python's numbers, text, None, arrays, CSC matrices, and dictionaries for groups.
    """
    result = {name: _text(value) for name, value in group.attrs.items()}
    for name, item in group.items():
        if isinstance(item, h5py.Group):
            result[name] = _read_sparse(item) if _SPARSE_PARTS <= set(item) else read_group(item)
        else:
            result[name] = _simplify(item[()])
    return result


def _read_sparse(group: h5py.Group) -> sparse.csc_matrix:
    parts = tuple(group[name][()] for name in ("data", "indices", "indptr"))
    return sparse.csc_matrix(parts, shape=tuple(int(side) for side in group["shape"][()]))


def _text(value: Any) -> Any:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _simplify(value: Any) -> Any:
    if isinstance(value, (bytes, str)):
        text = _text(value)
        return None if text == _NONE else text
    if isinstance(value, np.generic):
        return _simplify(value.item())
    if isinstance(value, np.ndarray) and value.dtype.kind in "SO":
        return np.array([_text(item) for item in value.ravel()], dtype=object).reshape(value.shape)
    return value
