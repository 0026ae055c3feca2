"""Blocks of frames from a movie on disk or in memory, whatever its format."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from cnmf_engine.base.errors import InputError, explain

__all__ = ["ArrayReader", "ChainReader", "LockedReader", "MovieReader"]


class MovieReader(ABC):
    """
    A movie that hands out frames without being loaded.

    Index it like an array of shape ``(T, d1, d2)``: ``reader[10:20]`` or ``reader[::5, :64, :64]`` reads
    just these frames. Blocks may be read from several threads at once. Use it in a ``with`` block, or call
    `close`.

    Attributes
    ----------
    shape : tuple of int
        ``(T, d1, d2)``: frames, rows, columns.
    dtype : numpy.dtype
        Type of the stored values, in the machine's byte order.
    path : Path or None
        The file; None for arrays and for several files.
    rate : float or None
        Frames a second if the file states it in a form that this package writes.
    mapped : numpy.ndarray or None
        The whole movie where it can be used as an array: in memory, or mapped from a raw file.
    frame_file : Path or None
        The file if it is raw float32, frame after frame with columns first.
    sequential : bool
        Whether frames are best read in their order, by one thread.
    """

    shape: tuple[int, int, int]
    dtype: np.dtype
    path: Path | None = None
    rate: float | None = None
    mapped: np.ndarray | None = None
    frame_file: Path | None = None
    sequential = False
    ndim = 3

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> np.ndarray:
        frames, *pixels = key if isinstance(key, tuple) else (key,)
        if isinstance(frames, int | np.integer):
            index = range(self.shape[0])[frames]
            block = self._native(self._read(slice(index, index + 1, 1)))[0]
        else:
            block = self._frames(frames)
        if len(pixels) == 1:
            pixels.append(slice(None))
        return block[(..., *pixels)] if pixels else block

    def _frames(self, frames: Any) -> np.ndarray:
        if isinstance(frames, range):
            frames = np.asarray(frames, dtype=np.intp)
        if isinstance(frames, slice):
            start, stop, step = frames.indices(self.shape[0])
            if step > 0:
                return self._native(self._read(slice(start, max(start, stop), step)))
            frames = np.arange(start, stop, step)
        index = np.arange(self.shape[0])[np.asarray(frames)]
        # Formats read forwards: each wanted frame once, in the order of the file.
        wanted, position = np.unique(index, return_inverse=True)
        return self._native(self._read(wanted))[position.reshape(-1)]

    def _native(self, block: np.ndarray) -> np.ndarray:
        return block if block.dtype == self.dtype else block.astype(self.dtype)

    @abstractmethod
    def _read(self, frames: slice | np.ndarray) -> np.ndarray:
        """Read frames given as a forward slice with definite ends or as increasing indices."""

    def close(self) -> None:  # noqa: B027  (most readers hold nothing open)
        """Release the file."""

    def __enter__(self) -> MovieReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        frames, rows, columns = self.shape
        return f"<{type(self).__name__}: {frames} frames of {rows} x {columns} px, {self.dtype}>"


class ArrayReader(MovieReader):
    """
    Frames of an array, a memory map or an HDF5 dataset.

    Parameters
    ----------
    array : array_like of shape (T, d1, d2)
        Anything that slices like an array.
    path : Path, optional
        The file behind it.
    name : str
        What to call it in messages.
    """

    def __init__(self, array: Any, path: Path | None = None, name: str = "the array") -> None:
        _check_movie_shape(tuple(array.shape), array.dtype, str(path or name))
        self._array = array
        self.mapped = array if isinstance(array, np.ndarray) else None
        self.path = path
        self.shape = tuple(int(size) for size in array.shape)
        self.dtype = np.dtype(array.dtype).newbyteorder("=")

    def _read(self, frames: slice | np.ndarray) -> np.ndarray:
        return np.asarray(self._array[frames])


class ChainReader(MovieReader):
    """
    Several movies one after the other.

    Parameters
    ----------
    readers : list of MovieReader
        Parts of one recording: same rows and columns.
    """

    def __init__(self, readers: list[MovieReader]) -> None:
        sizes = [reader.shape[1:] for reader in readers]
        odd = next((i for i, size in enumerate(sizes) if size != sizes[0]), None)
        if odd is not None:
            raise InputError(
                explain(
                    f"one size, {sizes[0][0]} x {sizes[0][1]} px like {readers[0].path or 'the first'}",
                    f"{sizes[odd][0]} x {sizes[odd][1]} px in {readers[odd].path or f'number {odd + 1}'}",
                    "give only the parts of one recording, or resize or crop them first",
                )
            )
        self.readers = readers
        self.sequential = any(reader.sequential for reader in readers)
        self._edges = np.cumsum([0] + [len(reader) for reader in readers])
        self.shape = (int(self._edges[-1]), *sizes[0])
        self.dtype = np.result_type(*(reader.dtype for reader in readers))
        rates = {reader.rate for reader in readers}
        self.rate = rates.pop() if len(rates) == 1 else None

    def _read(self, frames: slice | np.ndarray) -> np.ndarray:
        index = np.arange(frames.start, frames.stop, frames.step) if isinstance(frames, slice) else frames
        block = np.empty((len(index), *self.shape[1:]), self.dtype)
        cuts = np.searchsorted(index, self._edges)
        for reader, offset, (first, last) in zip(self.readers, self._edges, pairwise(cuts)):
            if last > first:
                block[first:last] = reader[index[first:last] - offset]
        return block

    def close(self) -> None:
        """Release all files."""
        for reader in self.readers:
            reader.close()


class LockedReader(MovieReader):
    """Base of readers whose library isn't safe to use from several threads at once."""

    sequential = True

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def _read(self, frames: slice | np.ndarray) -> np.ndarray:
        with self._lock:
            return self._read_alone(frames)

    @abstractmethod
    def _read_alone(self, frames: slice | np.ndarray) -> np.ndarray:
        """Read frames while no other thread does."""


def _check_movie_shape(shape: tuple[int, ...], dtype: Any, name: str) -> None:
    if len(shape) == 2:
        raise InputError(
            explain(
                "a movie of shape (frames, rows, columns)",
                f"a single image of {shape[0]} x {shape[1]} in {name}",
                "give the list of all image files, or an array with a frame axis: image[None]",
            )
        )
    if len(shape) != 3 or 0 in shape[1:] or np.dtype(dtype).kind not in "buif":
        raise InputError(
            explain(
                "a movie of numbers of shape (frames, rows, columns)",
                f"shape {shape}, type {dtype} in {name}",
                "take one plane and one channel of greyscale values and save them as a multi-page TIFF",
            )
        )
