"""
Parts of a movie as tasks for workers: what crosses to another process is small.

A task carries the place of its box: for a movie in a file the file's path and layout, for a movie in memory
the values of the box alone, and only when the task is sent.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cnmf_engine.base.errors import InputError, MissingFileError, explain
from cnmf_engine.base.parallel import Run
from cnmf_engine.movies.geometry import Box, read_box

__all__ = ["BoxOfMovie", "MovieFile", "boxes_of", "movie_file"]

#: Pixels compared to make sure that a file still holds the movie that was mapped.
_PROBES = 16


class MovieFile(NamedTuple):
    """
    Where a mapped movie lies on disk.

    Attributes
    ----------
    path : str
        The file.
    offset : int
        Bytes before the movie's first value.
    shape, strides : tuple of int
        Layout of the movie (T, d1, d2).
    dtype : str
        Type of a value.
    """

    path: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: str

    def open(self) -> np.ndarray:
        """
        Map the movie.

        Returns
        -------
        ndarray of shape (T, d1, d2)
            A read-only view of the file.

        Raises
        ------
        MissingFileError
            If this computer doesn't see the file.
        """
        if not Path(self.path).is_file():
            raise MissingFileError(
                explain(
                    f"the movie {self.path!r} on every worker",
                    "no such file on this one",
                    "keep the memory map in a folder that all workers see under the same path",
                )
            )
        whole = np.memmap(self.path, dtype=np.uint8, mode="r")
        reach = sum((side - 1) * step for side, step in zip(self.shape, self.strides))
        needed = self.offset + max(reach, 0) + np.dtype(self.dtype).itemsize
        if needed > len(whole):
            fix = "copy the memory map to that place again, whole"
            found = f"{len(whole)} bytes on this computer"
            raise InputError(explain(f"{needed} bytes or more in {self.path!r}", found, fix))
        return np.ndarray(self.shape, self.dtype, whole, self.offset, self.strides)


def movie_file(images: np.ndarray) -> MovieFile | None:
    """
    Find the file behind a movie.

    Parameters
    ----------
    images : ndarray of shape (T, d1, d2)
        The movie, for instance a view of a memory map.

    Returns
    -------
    MovieFile or None
        Where it lies; None for a movie in memory, and for a map whose file is gone or was replaced.
    """
    root = images
    while isinstance(root.base, np.ndarray):
        root = root.base
    filename = getattr(root, "filename", None)
    if filename is None or not isinstance(root, np.memmap) or not Path(filename).is_file():
        return None
    place = images.__array_interface__["data"][0] - root.__array_interface__["data"][0]
    found = MovieFile(
        str(Path(filename).absolute()), root.offset + place, images.shape, images.strides, images.dtype.str
    )
    return found if _same_values(found, images) else None


def _same_values(place: MovieFile, images: np.ndarray) -> bool:
    """Compare some values of a file with the map that is open."""
    if not images.size:
        return False
    probes = np.linspace(0, images.size - 1, _PROBES).astype(np.int64)
    index = np.unravel_index(probes, images.shape)
    try:
        return bool(np.array_equal(place.open()[index], images[index], equal_nan=images.dtype.kind == "f"))
    except (ValueError, TypeError, OSError):
        # The file has become shorter than the map.
        return False


class BoxOfMovie:
    """
    A box of a movie that can be sent to another process.

    Parameters
    ----------
    images : ndarray of shape (T, d1, d2)
        The movie.
    box : Box
        Its part.
    file : MovieFile, optional
        What `movie_file` says of the movie.
    """

    def __init__(self, images: np.ndarray, box: Box, file: MovieFile | None = None) -> None:
        self.box = box
        self._images: np.ndarray | None = images
        self._file = file

    @property
    def images(self) -> np.ndarray:
        """The movie (T, d1, d2) that `box` is a part of."""
        # A map of its own for each box: what was read leaves memory with it.
        return self._file.open() if self._images is None else self._images

    def read(self) -> np.ndarray:
        """
        Read the box.

        Returns
        -------
        ndarray of shape (d_box, T), float32
            A copy, pixels in Fortran order.
        """
        return read_box(self.images, self.box)

    def __getstate__(self) -> dict[str, Any]:
        if self._file is not None or self._images is None:
            return {"box": self.box, "_images": None, "_file": self._file}
        rows, columns = self.box.dims
        part = np.ascontiguousarray(self._images[(slice(None), *self.box.slices)])
        return {"box": Box(0, rows, 0, columns), "_images": part, "_file": None}


def boxes_of(images: np.ndarray, boxes: Iterable[Box], run: Run) -> list[BoxOfMovie]:
    """Boxes of a movie, such that workers that share no memory read them from the file, if there is one."""
    file = None if run.shared else movie_file(images)
    return [BoxOfMovie(images, box, file) for box in boxes]
