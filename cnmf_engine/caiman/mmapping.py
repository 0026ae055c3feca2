"""Saving movies as memory maps under CaImAn's names; what a map is, says `cnmf_engine.movies.maps`."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from cnmf_engine.base.errors import InputError, explain
from cnmf_engine.caiman.cluster import run_of
from cnmf_engine.movies.maps import MemmapInfo, load_memmap, memmap_name, parse_memmap_name
from cnmf_engine.movies.steps import Steps
from cnmf_engine.movies.writing import Target, write_map

__all__ = [
    "MemmapInfo",
    "load_memmap",
    "memmap_name",
    "parse_memmap_name",
    "save_memmap",
    "save_memmap_each",
    "save_memmap_join",
]


def save_memmap(
    filenames: Any,
    base_name: str | os.PathLike = "Yr",
    resize_fact: tuple[float, float, float] = (1, 1, 1),
    remove_init: int = 0,
    idx_xy: Any = None,
    order: str = "F",
    var_name_hdf5: str = "mov",
    xy_shifts: Any = None,
    is_3D: bool = False,
    add_to_movie: float = 0,
    border_to_0: int = 0,
    dview: Any = None,
    n_chunks: int = 100,
    slices: Any = None,
    memory_limit: int | float | str | None = None,
) -> str:
    """
    Write a movie as a memory map, block by block, without loading it.

    Order C is written straight from files of order F, which motion correction leaves; from anything else a
    temporary copy of order F, as large as the map, is written beside it first.

    Values stay in the movie's own units. CaImAn adds 0.0001 to all of them, and sets a border to the minimum
    plus one; here nothing is added, and a border is set to the minimum. CaImAn writes C-ordered bytes under
    an F-ordered name for a single file; here the bytes are what the name says.

    Parameters
    ----------
    filenames : str, Path, numpy.ndarray or list of those
        One movie, or the parts of one recording in order, which become one map.
    base_name : str or path
        First part of the file's name. With a folder the map is written there (CaImAn drops the folder),
        without one into the temporary folder.
    resize_fact : tuple of float
        Scale of rows, columns and time.
    remove_init : int
        Frames to leave out at the start.
    idx_xy : tuple of slice, optional
        Rows and columns to keep.
    order : {'F', 'C'}
        ``'F'`` keeps frames together, ``'C'`` each pixel's time series, as CNMF-E needs it.
    var_name_hdf5 : str
        Dataset to read from HDF5 files.
    xy_shifts : array_like of shape (T, 2), optional
        Rows and columns to move each frame by, in pixels, before anything else; bicubic, border reflected.
    is_3D : bool
        Must be False: movies here have one plane.
    add_to_movie : float
        Added to every value.
    border_to_0 : int
        Width of the outer border that is set to the movie's minimum, in pixels.
    dview, n_chunks : optional
        Accepted for CaImAn's callers; the block size follows `memory_limit`.
    slices : tuple of slice, optional
        Frames, rows and columns to keep.
    memory_limit : int, float or str, optional
        Bytes to hold at once, see `cnmf_engine.base.memory.memory_budget`.

    Returns
    -------
    str
        The file. One of the same name is replaced; who has mapped it keeps the old content. Where the
        system can't replace a mapped file (Windows), the base name gets a number.

    Raises
    ------
    MissingFileError
        If a file isn't there.
    InputError
        If the input isn't a movie or nothing is left of it.
    """
    steps = Steps(
        resize_fact=tuple(resize_fact),
        remove_init=remove_init,
        idx_xy=idx_xy,
        slices=slices,
        xy_shifts=xy_shifts,
        add_to_movie=add_to_movie,
        border_to_0=border_to_0,
    )
    if is_3D:
        raise InputError(
            explain(
                "movies of one plane", "is_3D=True", "leave is_3D out and save each plane as its own movie"
            )
        )
    if isinstance(filenames, list | tuple) and len(filenames) == 1:
        filenames = filenames[0]
    several = isinstance(filenames, list | tuple)
    target = Target(Path(base_name), order, collapse=not several)
    return write_map(filenames, target, steps, var_name_hdf5, run_of(dview, memory_limit))


def save_memmap_each(
    fnames: Iterable[Any],
    dview: Any = None,
    base_name: str | os.PathLike | None = None,
    resize_fact: tuple[float, float, float] = (1, 1, 1),
    remove_init: int = 0,
    idx_xy: Any = None,
    var_name_hdf5: str = "mov",
    xy_shifts: Iterable[Any] | None = None,
    is_3D: bool = False,
    add_to_movie: float = 0,
    border_to_0: int = 0,
    order: str = "C",
    slices: Any = None,
    memory_limit: int | float | str | None = None,
) -> list[str]:
    """
    Write each of several movies as a memory map of its own.

    Parameters
    ----------
    fnames : list of str, Path or numpy.ndarray
        The movies.
    dview : object, optional
        Accepted for CaImAn's callers.
    base_name : str or path, optional
        Start of the names, completed by a four-digit number; each file's own name if not given.
    xy_shifts : list of array_like of shape (T, 2), optional
        Shifts of each movie.
    resize_fact, remove_init, idx_xy, var_name_hdf5, is_3D, add_to_movie, border_to_0, order, slices
        As for `save_memmap`.
    memory_limit : int, float or str, optional
        Bytes to hold at once, see `cnmf_engine.base.memory.memory_budget`.

    Returns
    -------
    list of str
        The maps, in the order of the movies.
    """
    if isinstance(fnames, str | os.PathLike | np.ndarray):
        fnames = [fnames]
    fnames = list(fnames)
    shifts = [None] * len(fnames) if xy_shifts is None else list(xy_shifts)
    saved = []
    for number, (source, moved) in enumerate(zip(fnames, shifts, strict=True)):
        stem = Path(source).stem if isinstance(source, str | os.PathLike) else f"Yr{number:04d}"
        saved.append(
            save_memmap(
                source,
                base_name=stem if base_name is None else f"{os.fspath(base_name)}{number:04d}",
                resize_fact=resize_fact,
                remove_init=remove_init,
                idx_xy=idx_xy,
                order=order,
                var_name_hdf5=var_name_hdf5,
                xy_shifts=moved,
                is_3D=is_3D,
                add_to_movie=add_to_movie,
                border_to_0=border_to_0,
                slices=slices,
                memory_limit=memory_limit,
            )
        )
    return saved


def save_memmap_join(
    mmap_fnames: Iterable[Any],
    base_name: str | os.PathLike | None = None,
    n_chunks: int = 20,
    dview: Any = None,
    add_to_mov: float = 0,
    memory_limit: int | float | str | None = None,
) -> str:
    """
    Join the parts of one recording into one C-ordered memory map.

    Parameters
    ----------
    mmap_fnames : list of str or Path
        The parts in order.
    base_name : str or path, optional
        Start of the new name, ``Yr`` if not given.
    n_chunks, dview : optional
        Accepted for CaImAn's callers.
    add_to_mov : float
        Added to every value.
    memory_limit : int, float or str, optional
        Bytes to hold at once, see `cnmf_engine.base.memory.memory_budget`.

    Returns
    -------
    str
        The new map.
    """
    return save_memmap(
        list(mmap_fnames),
        base_name=base_name or "Yr",
        order="C",
        add_to_movie=add_to_mov,
        memory_limit=memory_limit,
    )
