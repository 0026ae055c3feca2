"""NumPy's own files, whose account of themselves is checked before room is made for them."""

from __future__ import annotations

import os
import tokenize
import zipfile
import zlib
from pathlib import Path

import numpy as np

from cnmf_engine.base.errors import InputError, explain
from cnmf_engine.base.memory import free_memory

__all__ = ["ARRAY_ERRORS", "read_npz"]

#: What NumPy and zipfile raise when a file is damaged, or cut off.
ARRAY_ERRORS = (
    ValueError, EOFError, OSError, KeyError, TypeError, OverflowError, MemoryError, RuntimeError,
    NotImplementedError, zipfile.BadZipFile, zlib.error, SyntaxError, tokenize.TokenError,
)  # fmt: skip
_DAMAGED = "copy or download it again"


def read_npz(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """
    Read all arrays of an archive.

    Parameters
    ----------
    path : path
        An ``.npz`` file.

    Returns
    -------
    dict of str to ndarray
        The arrays by name.

    Raises
    ------
    InputError
        If it is no archive of arrays, is damaged, or unfolds to more than the memory holds.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check_sizes(archive, Path(path))
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (InputError, FileNotFoundError):
        raise
    except ARRAY_ERRORS as error:
        found = f"{error or type(error).__name__} in {path}"
        raise InputError(explain("a NumPy archive", found, _DAMAGED)) from error


def _check_sizes(archive: zipfile.ZipFile, path: Path) -> None:
    """Refuse arrays whose head promises other values than follow, and more than there is memory for."""
    total = sum(entry.file_size for entry in archive.infolist())
    if total > free_memory():
        found = f"{total} bytes in {path}, unfolded, with {free_memory()} free"
        raise InputError(explain("arrays that fit into memory", found, "free memory, or open a smaller file"))
    for entry in archive.infolist():
        if not entry.filename.endswith(".npy"):
            continue
        with archive.open(entry) as stream:
            version = np.lib.format.read_magic(stream)
            heads = {(1, 0): np.lib.format.read_array_header_1_0}
            shape, _, dtype = heads.get(version, np.lib.format.read_array_header_2_0)(stream)
            size = dtype.itemsize
            for side in shape:
                size *= side
            if size != entry.file_size - stream.tell():
                found = f"{entry.file_size - stream.tell()} bytes for {entry.filename} in {path}"
                raise InputError(explain(f"{size} bytes, as the array's head says", found, _DAMAGED))
