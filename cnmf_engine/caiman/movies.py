"""Loading movies into memory."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from typing import Any

import numpy as np

from cnmf_engine.base.errors import InputError, ParameterError, explain
from cnmf_engine.base.memory import memory_budget
from cnmf_engine.caiman.movie import concatenate, movie
from cnmf_engine.caiman.stored import StoredMovie
from cnmf_engine.movies import MovieReader, open_movie
from cnmf_engine.movies.arrays import ARRAY_ERRORS
from cnmf_engine.movies.finding import DAMAGED
from cnmf_engine.movies.reader import ArrayReader
from cnmf_engine.view.playing import play_movie

__all__ = ["concatenate", "get_file_size", "load", "load_movie_chain", "movie", "play_movie"]

logger = logging.getLogger("caiman")

_DEFAULT_RATE = 30.0


def load(
    file_name: Any,
    fr: float | None = None,
    start_time: float = 0,
    meta_data: Any = None,
    subindices: Any = None,
    shape: tuple[int, int] | None = None,
    var_name_hdf5: str = "mov",
    in_memory: bool = False,
    is_behavior: bool = False,
    bottom: int = 0,
    top: int = 0,
    left: int = 0,
    right: int = 0,
    channel: int | None = None,
    outtype: Any = np.float32,
    is3D: bool = False,
    memory_limit: int | float | str | None = None,
) -> movie | StoredMovie:
    """
    Load a movie, or leave a large one in its file until its frames are used.

    Reads multi-page TIFF (``.tif``, ``.tiff``, ``.btf``; BigTIFF, ImageJ stacks above 4 GB), ``.npy``,
    ``.npz``, HDF5 (``.hdf5``, ``.h5``), memory maps (``.mmap``), and video (``.avi``, ``.mkv``; its first
    colour channel). NaN values are kept.

    Parameters
    ----------
    file_name : str, Path, list or tuple
        The file, or the files of one recording in order; files of a list may hold a single image each.
    fr : float, optional
        Frames a second. Without it the rate that `movie.save` stored, else 30; other metadata isn't read.
    start_time : float
        Time of the first frame in s.
    meta_data : dict, optional
        Kept with the movie.
    subindices : slice, range, array of int, or list of up to three slices
        Frames to load (of each file), or frames, rows and columns.
    shape : tuple of int, optional
        Rows and columns of a ``.npy`` file that holds pixels (in Fortran order) by frames.
    var_name_hdf5 : str
        Dataset of an HDF5 file; not needed if it holds only one.
    in_memory : bool
        Load all frames whatever their size. Otherwise ``.mmap`` and ``.npy`` files stay mapped where
        `outtype` allows it, and a movie larger than the memory limit is left in its file.
    bottom, top, left, right : int
        Rows and columns to cut off.
    channel : int, optional
        Channel of a TIFF that has several.
    outtype : numpy dtype
        Type of the values.
    is_behavior, is3D : bool
        Must be False: behaviour videos and movies of volumes aren't read here.
    memory_limit : int, float or str, optional
        Size up to which frames are loaded, see `cnmf_engine.base.memory.memory_budget`.

    Returns
    -------
    movie or StoredMovie
        Shape (T, d1, d2). The second is used like the first, but reads frames from the file when they are
        used and can't be written to.

    Raises
    ------
    MissingFileError
        If a file isn't there; the message lists the movies beside it.
    InputError
        If a file can't be read as a movie, or `in_memory` asks for more than the machine's memory.
    """
    if is_behavior or is3D:
        wrong = "is_behavior=True" if is_behavior else "is3D=True"
        raise ParameterError(
            explain("a movie of images", wrong, "leave it out, or load the data yourself: cm.movie(array)")
        )
    if isinstance(file_name, list | tuple):
        return load_movie_chain(
            list(file_name), fr, start_time, meta_data, subindices, var_name_hdf5, bottom, top, left, right,
            channel=channel, outtype=outtype, in_memory=in_memory, memory_limit=memory_limit,
        )  # fmt: skip
    reader = _opened(file_name, shape, var_name_hdf5, channel)
    kept_open = False
    try:
        pick = _selection(subindices, reader.shape, (top, bottom, left, right))
        rate = fr if fr is not None else reader.rate or _DEFAULT_RATE
        names = [os.fspath(file_name)] if isinstance(file_name, str | os.PathLike) else None
        about = {"fr": rate, "start_time": start_time, "file_name": names, "meta_data": meta_data}
        view = _mapped(reader, pick, np.dtype(outtype), in_memory)
        if view is not None:
            return movie(view, **about)
        stored = StoredMovie(reader, pick, movie(np.empty((0, 1, 1), outtype), **about), memory_limit)
        kept_open = not in_memory and stored.nbytes > memory_budget(memory_limit)
        if kept_open:
            logger.info("%r: frames are read when they are used, in_memory=True loads them", stored)
        return stored if kept_open else stored.in_memory()
    finally:
        if not kept_open:
            reader.close()


def load_movie_chain(
    file_list: Iterable[Any],
    fr: float | None = None,
    start_time: float = 0,
    meta_data: Any = None,
    subindices: Any = None,
    var_name_hdf5: str = "mov",
    bottom: int = 0,
    top: int = 0,
    left: int = 0,
    right: int = 0,
    z_top: int = 0,
    z_bottom: int = 0,
    is3D: bool = False,
    channel: int | None = None,
    outtype: Any = np.float32,
    in_memory: bool = False,
    memory_limit: int | float | str | None = None,
) -> movie | StoredMovie:
    """
    Load the files of one recording as one movie, or leave large ones where they are until they are used.

    Parameters
    ----------
    file_list : list of str or Path
        The files in order; they may hold a single image each.
    fr, start_time, meta_data, subindices, var_name_hdf5, bottom, top, left, right, channel, outtype
        As for `load`; `subindices` and the cut-off apply to each file.
    in_memory, memory_limit
        As for `load`.
    z_top, z_bottom, is3D : optional
        Accepted for CaImAn's callers; must be 0 and False.

    Returns
    -------
    movie or StoredMovie
        Shape (T, d1, d2), T the frames of all files together.

    Raises
    ------
    MissingFileError, InputError
        As for `load`, and if the files differ in size. All of it before anything is loaded.
    """
    if z_top or z_bottom or is3D:
        raise ParameterError(
            explain("a movie of images", "planes (z_top, z_bottom or is3D)", "save one plane and load that")
        )
    files = list(file_list)
    chain, kept_open = open_movie(files, var_name_hdf5, channel), False
    try:
        parts = getattr(chain, "readers", [chain])
        picks = [_selection(subindices, part.shape, (top, bottom, left, right)) for part in parts]
        starts = np.cumsum([0] + [len(part) for part in parts])
        frames = np.concatenate(
            [start + np.arange(len(part))[pick[0]] for start, part, pick in zip(starts, parts, picks)]
        )
        rate = fr if fr is not None else chain.rate or _DEFAULT_RATE
        names = [os.fspath(name) for name in files if isinstance(name, str | os.PathLike)]
        about = {"fr": rate, "start_time": start_time, "file_name": names or None, "meta_data": meta_data}
        like = movie(np.empty((0, 1, 1), outtype), **about)
        stored = StoredMovie(chain, (frames, *picks[0][1:]), like, memory_limit)
        kept_open = not in_memory and stored.nbytes > memory_budget(memory_limit)
        if kept_open:
            logger.info("%r: frames are read when they are used, in_memory=True loads them", stored)
            return stored
        return stored.in_memory("Loading" if len(files) > 1 else None)
    finally:
        if not kept_open:
            chain.close()


def get_file_size(
    file_name: Any, var_name_hdf5: str = "mov"
) -> tuple[tuple[int, int], int | tuple[int, ...]]:
    """
    Tell the size of a movie without loading it.

    Parameters
    ----------
    file_name : str, Path or list
        The file, or the files of one recording.
    var_name_hdf5 : str
        Dataset of an HDF5 file.

    Returns
    -------
    dims : tuple of int
        Rows and columns.
    T : int or tuple of int
        Frames; one number a file for a list.

    Raises
    ------
    MissingFileError
        If a file isn't there.
    InputError
        If a file can't be read, or the files differ in size.
    """
    several = isinstance(file_name, list | tuple)
    with open_movie(list(file_name) if several else file_name, var_name_hdf5) as reader:
        dims = reader.shape[1:]
        if not several:
            return dims, len(reader)
        return dims, tuple(len(part) for part in getattr(reader, "readers", [reader]))


def _opened(
    source: Any, shape: tuple[int, int] | None, var_name_hdf5: str, channel: int | None
) -> MovieReader:
    if shape is None:
        return open_movie(source, var_name_hdf5, channel)
    try:
        is_file = isinstance(source, str | os.PathLike)
        flat = np.load(source, mmap_mode="r", allow_pickle=False) if is_file else np.asarray(source)
    except FileNotFoundError:
        raise
    except ARRAY_ERRORS as error:
        raise InputError(explain("an array of numbers (.npy)", f"{error} in {source}", DAMAGED)) from error
    if flat.ndim != 2 or flat.shape[0] != np.prod(shape):
        raise InputError(
            explain(
                f"{np.prod(shape)} pixels by frames, to be unfolded to shape={tuple(shape)}",
                f"shape {flat.shape} in {source}",
                "leave shape out for a file of shape (frames, rows, columns)",
            )
        )
    return ArrayReader(flat.T.reshape((flat.shape[1], *shape), order="F"))


def _selection(
    subindices: Any, shape: tuple[int, ...], cut: tuple[int, int, int, int]
) -> tuple[Any, Any, Any]:
    """Frames, rows and columns to load; the cut-off comes first, as when a cropped file is sliced."""
    top, bottom, left, right = cut
    per_axis = isinstance(subindices, list | tuple) and any(isinstance(one, slice) for one in subindices)
    wanted = list(subindices) if per_axis else [slice(None) if subindices is None else subindices]
    wanted += [slice(None)] * (3 - len(wanted))
    rows = np.arange(shape[1])[top : shape[1] - bottom][wanted[1]]
    columns = np.arange(shape[2])[left : shape[2] - right][wanted[2]]
    if len(rows) == 0 or len(columns) == 0:
        raise InputError(
            explain(
                "at least one row and one column to load",
                f"none left of {shape[1]} x {shape[2]} px",
                "check subindices, top, bottom, left and right",
            )
        )
    return wanted[0], _as_slice(rows), _as_slice(columns)


def _as_slice(index: np.ndarray) -> Any:
    if len(index) > 1 and not np.all(np.diff(index) == 1):
        # An outer index: rows and columns are chosen independently.
        return index
    return slice(int(index[0]), int(index[-1]) + 1)


def _mapped(
    reader: MovieReader, pick: tuple[Any, Any, Any], dtype: np.dtype, in_memory: bool
) -> np.ndarray | None:
    """View of a mapped file, if that is what `load` should return."""
    mapped = reader.mapped
    if mapped is None or mapped.dtype != dtype or in_memory or not isinstance(pick[0], slice):
        return None
    return mapped[pick[0]][:, pick[1], :][:, :, pick[2]]
