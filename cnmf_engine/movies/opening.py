"""One door to movies: a file, an array, or a list of those, and their frames block by block."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from cnmf_engine.base.errors import InputError, explain
from cnmf_engine.base.memory import frame_blocks
from cnmf_engine.base.parallel import RUN, Run
from cnmf_engine.movies.formats import open_file
from cnmf_engine.movies.reader import ArrayReader, ChainReader, MovieReader

__all__ = ["iter_frames", "open_movie"]


def open_movie(source: Any, var_name_hdf5: str = "mov", channel: int | None = None) -> MovieReader:
    """
    Open a movie without loading it.

    Parameters
    ----------
    source : str, Path, list, numpy.ndarray, h5py.Dataset or MovieReader
        A file, an array of shape (T, d1, d2), or a list of those that follow each other in time. The files
        of a list may hold a single image each.
    var_name_hdf5 : str
        Dataset to read from an HDF5 file; not needed if it holds only one.
    channel : int, optional
        Channel to read from a TIFF that has several.

    Returns
    -------
    MovieReader
        Frames on demand.

    Raises
    ------
    MissingFileError
        If a file isn't there.
    InputError
        If it can't be read as a movie.
    """
    if isinstance(source, MovieReader):
        return source
    if isinstance(source, str | os.PathLike):
        return open_file(source, var_name_hdf5, channel)
    if hasattr(source, "shape") and hasattr(source, "dtype"):
        return ArrayReader(source, _file_behind(source))
    if isinstance(source, Iterable):
        parts = list(source)
        if parts:
            return _open_parts(parts, var_name_hdf5, channel)
    raise InputError(
        explain(
            "a movie: the path of a file, an array of shape (T, d1, d2), or a list of those",
            "an empty list" if isinstance(source, list | tuple) else f"{type(source).__name__} {source!r}",
            "give at least one file or array",
        )
    )


def iter_frames(
    source: Any,
    blocks: Iterable[slice] | None = None,
    dtype: Any = np.float32,
    run: Run = RUN,
    copies: int = 2,
) -> Iterator[tuple[slice, np.ndarray]]:
    """
    Walk through a movie in blocks of frames.

    Parameters
    ----------
    source : str, Path, list, numpy.ndarray or MovieReader
        As for `open_movie`.
    blocks : iterable of slice, optional
        Blocks of frames; by default consecutive ones that fit the memory budget.
    dtype : numpy dtype
        Type of the blocks.
    run : Run
        How much memory a block may take.
    copies : int
        How many arrays of a block's size the caller holds at once.

    Yields
    ------
    frames : slice
        Which frames.
    block : numpy.ndarray of shape (n, d1, d2)
        Their values.
    """
    owned = not isinstance(source, MovieReader)
    reader = open_movie(source)
    try:
        if blocks is None:
            per_frame = copies * reader.shape[1] * reader.shape[2] * np.dtype(dtype).itemsize
            blocks = frame_blocks(len(reader), per_frame, run.memory)
        for frames in blocks:
            yield frames, reader[frames].astype(dtype, copy=False)
    finally:
        if owned:
            reader.close()


def _open_parts(parts: list, var_name_hdf5: str, channel: int | None) -> MovieReader:
    many = len(parts) > 1
    opened = []
    try:
        for part in parts:
            if isinstance(part, str | os.PathLike):
                opened.append(open_file(part, var_name_hdf5, channel, allow_image=many))
            else:
                opened.append(open_movie(part))
        return ChainReader(opened) if many else opened[0]
    except (InputError, OSError):
        for reader in opened:
            reader.close()
        raise


def _file_behind(array: Any) -> Path | None:
    name = getattr(array, "filename", None)
    return Path(name) if isinstance(name, str | os.PathLike) else None
