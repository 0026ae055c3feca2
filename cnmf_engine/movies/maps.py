"""
Movies as memory maps: the names, which carry their shape, and the files.

A map is raw little-endian float32 without a header, of shape (d, T): pixels in Fortran order, frames. Its
name says how to read it: ``<base>_d1_<rows>_d2_<columns>_d3_1_order_<C|F>_frames_<T>.mmap``. Order ``C``
keeps each pixel's time series together, as the stages after motion correction read it; order ``F`` keeps
each frame together.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cnmf_engine.base.errors import InputError, MissingFileError, explain, nearest
from cnmf_engine.base.paths import get_tempdir
from cnmf_engine.movies.arrays import ARRAY_ERRORS

__all__ = ["MemmapInfo", "load_memmap", "map_frames", "memmap_name", "parse_memmap_name"]

# Anchored at the end, so that a base name may contain any of these words (an animal called d1).
_NAME = re.compile(r"_d1_(\d+)_d2_(\d+)_d3_(\d+)_order_([CF])_frames_(\d+)_?$")


class MemmapInfo(NamedTuple):
    """
    What the name of a memory map says.

    Attributes
    ----------
    d1, d2, d3 : int
        Rows, columns, planes (1 for a movie of images).
    order : str
        ``'C'`` or ``'F'``.
    T : int
        Frames.
    """

    d1: int
    d2: int
    d3: int
    order: str
    T: int

    @property
    def dims(self) -> tuple[int, ...]:
        """Rows and columns, and planes if there are several."""
        return (self.d1, self.d2) if self.d3 == 1 else (self.d1, self.d2, self.d3)


def memmap_name(base: str, dims: tuple[int, ...], order: str, T: int) -> str:
    """
    Make the file name of a memory map.

    Parameters
    ----------
    base : str
        First part of the name, with or without a folder.
    dims : tuple of int
        Rows and columns (and planes).
    order : {'C', 'F'}
        Which of a pixel's time series (C) or a frame (F) is contiguous.
    T : int
        Frames.

    Returns
    -------
    str
        For instance ``Yr_d1_110_d2_130_d3_1_order_C_frames_900.mmap``.
    """
    d1, d2, d3 = (*dims, 1)[:3]
    return f"{base}_d1_{d1}_d2_{d2}_d3_{d3}_order_{order}_frames_{T}.mmap"


def parse_memmap_name(path: str | os.PathLike) -> MemmapInfo:
    """
    Read the shape of a memory map from its name.

    Parameters
    ----------
    path : str or path
        The file; only its name is looked at.

    Returns
    -------
    MemmapInfo
        Rows, columns, planes, order, frames.

    Raises
    ------
    InputError
        If the name doesn't end as `memmap_name` makes it.
    """
    match = _NAME.search(Path(path).stem)
    if match is None:
        raise InputError(
            explain(
                "a name that ends in _d1_<rows>_d2_<columns>_d3_1_order_<C or F>_frames_<T>",
                f"{Path(path).name!r}",
                "give the file the name it was saved with: the shape is stored nowhere else",
            )
        )
    d1, d2, d3, order, T = match.groups()
    return MemmapInfo(int(d1), int(d2), int(d3), order, int(T))


def load_memmap(filename: str | os.PathLike, mode: str = "r") -> tuple[np.memmap, tuple[int, ...], int]:
    """
    Map a movie that `save_memmap` wrote.

    Parameters
    ----------
    filename : str or path
        A ``.mmap`` file, or a ``.npy`` file with the same kind of name. A name without a folder is looked
        for in the working directory, then in the temporary folder.
    mode : str
        ``'r'`` to read, ``'r+'`` to write into the file, ``'c'`` to write into memory only.

    Returns
    -------
    Yr : numpy.memmap of shape (d, T)
        Pixels (in Fortran order) by frames, float32.
    dims : tuple of int
        Rows and columns (and planes).
    T : int
        Frames.

    Raises
    ------
    MissingFileError
        If there is no such file.
    InputError
        If the suffix is another, the name doesn't tell the shape, or the file hasn't the size its name tells.
    """
    path = Path(filename).expanduser()
    if path.suffix.lower() not in (".mmap", ".npy"):
        raise InputError(
            explain(
                "a .mmap or .npy file", f"{path}", "make a memory map first: cm.save_memmap(path, order='C')"
            )
        )
    if path.name == str(path) and not path.is_file():
        path = Path(get_tempdir()) / path
    if not path.is_file():
        raise MissingFileError(_missing_map(path))
    info = parse_memmap_name(path)
    n_pixels = info.d1 * info.d2 * info.d3
    if path.suffix.lower() == ".npy":
        try:
            Yr = np.load(path, mmap_mode=mode, allow_pickle=False)
        except ARRAY_ERRORS as error:
            raise InputError(_wrong_size(path, f"shape {(n_pixels, info.T)}", str(error))) from None
        if Yr.shape != (n_pixels, info.T):
            raise InputError(_wrong_size(path, f"shape {(n_pixels, info.T)}", f"shape {Yr.shape}"))
    else:
        if not n_pixels * info.T:
            raise InputError(_wrong_size(path, "a movie", f"{info.T} frames of {n_pixels} pixels"))
        needed, size = 4 * n_pixels * info.T, path.stat().st_size
        if size != needed:
            raise InputError(_wrong_size(path, f"{needed} bytes", f"{size} bytes"))
        Yr = np.memmap(path, dtype="<f4", mode=mode, shape=(n_pixels, info.T), order=info.order)
    return Yr, info.dims, info.T


def map_frames(filename: str | os.PathLike) -> np.ndarray:
    """
    Map a movie that `save_memmap` or `map_writer` wrote, as frames.

    Parameters
    ----------
    filename : str or path
        As for `load_memmap`.

    Returns
    -------
    ndarray of shape (T, d1, d2), float32
        A read-only view of the file.
    """
    Yr, dims, T = load_memmap(filename)
    return np.reshape(Yr.T, (T, *dims), order="F")


def _missing_map(path: Path) -> str:
    beside = sorted(entry.name for entry in path.parent.glob("*.mmap")) if path.parent.is_dir() else []
    closest = nearest(path.name, beside)
    listed = f"memory maps there: {', '.join(beside[:5])}" if beside else "that folder holds no memory maps"
    hint = (
        f"load {closest!r}, the nearest name" if closest else "make one with cm.save_memmap(movie, order='C')"
    )
    return explain(f"a memory map at {path}", f"nothing of that name ({listed})", hint)


def _wrong_size(path: Path, expected: str, found: str) -> str:
    return explain(
        f"{expected} in {path}, as its name says",
        found,
        "copy it again, or write it again with cm.save_memmap",
    )
