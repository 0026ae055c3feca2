"""
Single values to HDF5 and back, in the form that CaImAn's files have.

Nothing in a file is believed when it is read: compiled code follows the indices of sparse matrices without
looking, HDF5 makes room for whatever size is declared, and links may go in circles.
"""

from __future__ import annotations

import logging
import mmap
import os
import struct
from typing import Any

import h5py
import numpy as np
from scipy import sparse

from cnmf_engine.base.errors import InputError, explain
from cnmf_engine.base.memory import free_memory

__all__ = ["DAMAGED", "check_heaps", "numbers", "read_group", "write_value"]

log = logging.getLogger("caiman")

_NONE = "NoneType"
_SPARSE_PARTS = {"data", "indices", "indptr", "shape"}
_REPAIR = "load a copy of the file from before it was damaged, or fit and save again"
#: What HDF5, NumPy and h5py raise when a file's own account of itself doesn't hold.
DAMAGED = (
    OSError, RuntimeError, KeyError, IndexError, ValueError, TypeError, AttributeError, OverflowError,
    MemoryError, SystemError,
)  # fmt: skip
#: Deflate makes nothing smaller than this; values up to the second number (bytes) may be stored nowhere.
_MOST_COMPRESSED, _UNSTORED = 1100, 2**16
#: How a store of texts starts in a file, and what stands before each text in it: number, uses, length.
_HEAP, _HEAP_ITEM = b"GCOL\x01\0\0\0", struct.Struct("<HH4xQ")
#: Groups within groups; a model has three.
_DEEPEST = 16
#: Up to so many bytes a dataset lies in its own header, whose checksum then covers it.
_COMPACT = 2**14


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
            _write_array(group, name, array)


def _write_array(group: h5py.Group, name: str, array: np.ndarray) -> None:
    """Write numbers so that HDF5 notices when they have changed on the disk."""
    if array.nbytes > _COMPACT:
        group.create_dataset(name, data=array, fletcher32=True)
        return
    layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    layout.set_layout(h5py.h5d.COMPACT)
    group.create_dataset(name, data=array, dcpl=layout)


def _write_sparse(group: h5py.Group, name: str, value: sparse.spmatrix) -> None:
    if name == "b":
        # Other programs read b as a plain matrix.
        _write_array(group, name, value.toarray())
        return
    matrix = sparse.csc_matrix(value)
    matrix.sort_indices()
    inner = group.create_group(name)
    _write_array(inner, "data", matrix.data)
    _write_array(inner, "indices", matrix.indices.astype(np.int32))
    _write_array(inner, "indptr", matrix.indptr.astype(np.int32 if matrix.nnz < 2**31 else np.int64))
    _write_array(inner, "shape", np.array(matrix.shape, dtype=np.int64))


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


def check_heaps(path: str | os.PathLike) -> None:
    """
    Check the stores of texts of a file, before HDF5 does: at an entry without length it would wait for ever.

    Parameters
    ----------
    path : path
        An HDF5 file.

    Raises
    ------
    InputError
        If one doesn't hold what it says.
    """
    if not os.path.getsize(path):
        return
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        start = content.find(_HEAP)
        while start >= 0:
            if not _is_heap(content, start):
                found = f"entries that don't fit into each other at byte {start}"
                raise InputError(explain(f"the texts of {str(path)!r} one after the other", found, _REPAIR))
            start = content.find(_HEAP, start + len(_HEAP))


def _is_heap(content: mmap.mmap, start: int) -> bool:
    """Say whether the entries of a store of texts follow each other to its end."""
    at = start + len(_HEAP) + 8
    if at > len(content):
        return False
    end = start + int.from_bytes(content[at - 8 : at], "little")
    if end > len(content):
        return False
    while end - at >= _HEAP_ITEM.size:
        number, _, length = _HEAP_ITEM.unpack_from(content, at)
        # What is free counts its own head, and is the last.
        at += length if number == 0 else _HEAP_ITEM.size + (length + 7) // 8 * 8
        if at > end or (number == 0 and length < _HEAP_ITEM.size):
            return False
    return True


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

    Raises
    ------
    InputError
        If what is declared can't be: links out of the file or in circles, more values than the file or the
        memory can hold, indices outside their matrix. `DAMAGED` may be raised beside it.
    """
    return _Reading(group.file).group(group)


class _Reading:
    """One walk through a file, which notes where it has been and how much it was promised."""

    def __init__(self, file: h5py.File) -> None:
        self._name = file.filename
        self._own = h5py.h5o.get_info(file.id).fileno
        self._length = os.path.getsize(self._name)
        self._room = free_memory()
        self._seen: dict[int, Any] = {}
        self._open: list[int] = []

    def group(self, group: h5py.Group) -> dict[str, Any]:
        """Read a group, its attributes first."""
        result = {}
        for name in group.attrs:
            attribute = group.attrs.get_id(name)
            self._check_room(f"{group.name}@{name}", attribute.shape, attribute.dtype, self._length)
            result[name] = _text(group.attrs[name])
        for name in group:
            result[name] = self._item(group, name)
        return result

    def _item(self, group: h5py.Group, name: str) -> Any:
        place = f"{group.name.rstrip('/')}/{name}"
        if isinstance(group.get(name, getlink=True), h5py.ExternalLink):
            raise self._refusal("every value in the file itself", f"a link at {place} to another file")
        item = group[name]
        info = h5py.h5o.get_info(item.id)
        if info.fileno != self._own:
            raise self._refusal("every value in the file itself", f"a link at {place} to another file")
        if info.addr in self._open or len(self._open) > _DEEPEST:
            raise self._refusal("groups that end somewhere", f"a link at {place} that goes in a circle")
        # What has several names is read once, or a few groups could be made to stand for millions.
        if info.addr not in self._seen:
            self._open.append(info.addr)
            self._seen[info.addr] = self._value(item, place)
            self._open.pop()
        return self._seen[info.addr]

    def _value(self, item: Any, place: str) -> Any:
        if isinstance(item, h5py.Group):
            return self._sparse(item, place) if _SPARSE_PARTS <= set(item) else self.group(item)
        if not isinstance(item, h5py.Dataset):
            raise self._refusal(f"numbers or text at {place}", f"a {type(item).__name__}")
        layout = item.id.get_create_plist()
        if item.is_virtual or layout.get_external_count():
            raise self._refusal("every value in the file itself", f"{place}, whose values are elsewhere")
        held = item.id.get_storage_size()
        if layout.get_nfilters():
            held *= _MOST_COMPRESSED
        self._check_room(place, item.shape, item.dtype, max(held, _UNSTORED))
        return _simplify(item[()])

    def _check_room(self, place: str, shape: tuple[int, ...] | None, dtype: np.dtype, held: int) -> None:
        """Refuse types that no model has, and sizes that can't be true, before room is made for them."""
        if dtype.kind not in "biufcSU" and h5py.check_string_dtype(dtype) is None:
            raise self._refusal(f"numbers or text at {place}", f"values of type {dtype}")
        size = dtype.itemsize
        for side in shape or ():
            size *= int(side)
        self._room -= size
        if size > held or self._room < 0:
            found = f"{size} bytes declared by a file of {self._length} bytes"
            if self._room < 0 and size <= held:
                found += f", with {free_memory()} bytes of memory free"
            raise self._refusal(f"as many values at {place} as the file holds", found)

    def _sparse(self, group: h5py.Group, place: str) -> sparse.csc_matrix:
        data, indices, indptr, shape = (
            self._item(group, name) for name in ("data", "indices", "indptr", "shape")
        )
        wrong = _wrong_parts(data, indices, indptr, shape)
        if wrong:
            raise self._refusal(f"a sparse matrix at {place}", wrong)
        return sparse.csc_matrix((data, indices, indptr), shape=tuple(int(side) for side in shape))

    def _refusal(self, expected: str, found: str) -> InputError:
        return InputError(explain(expected, f"{found} ({self._name})", _REPAIR))


def _wrong_parts(data: Any, indices: Any, indptr: Any, shape: Any) -> str | None:
    """Say what keeps four arrays from being the parts of a CSC matrix; None if nothing does."""
    parts = {
        "data": (data, "biufc"),
        "indices": (indices, "iu"),
        "indptr": (indptr, "iu"),
        "shape": (shape, "iu"),
    }
    for name, (part, kinds) in parts.items():
        if not isinstance(part, np.ndarray) or part.ndim != 1 or part.dtype.kind not in kinds:
            return f"{name} that isn't a row of numbers"
    if len(shape) != 2 or (shape < 0).any() or (shape >= 2**31).any():
        return f"a shape of {shape.tolist()[:4]}"
    n_rows, n_columns = (int(side) for side in shape)
    if len(indptr) != n_columns + 1:
        return f"{len(indptr)} column starts for {n_columns} columns"
    if (
        len(data) != len(indices)
        or indptr[0] != 0
        or indptr[-1] != len(data)
        or (indptr[1:] < indptr[:-1]).any()
    ):
        return f"columns that don't follow each other through the {len(data)} values and {len(indices)} rows"
    if len(indices) and (indices.min() < 0 or indices.max() >= n_rows):
        return f"rows {indices.min()} to {indices.max()} in a matrix of {n_rows} rows"
    return None


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
    if isinstance(value, np.ndarray) and not value.dtype.isnative:
        # Compiled code takes the machine's own byte order only.
        return value.astype(value.dtype.newbyteorder("="))
    return value
