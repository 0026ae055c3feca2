"""Readers of movie files: TIFF, HDF5, video, NumPy and CaImAn's memory maps."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from cnmf_engine.base.errors import InputError, explain, nearest
from cnmf_engine.base.paths import get_tempdir
from cnmf_engine.movies.arrays import ARRAY_ERRORS, read_npz
from cnmf_engine.movies.finding import DAMAGED, find_movie
from cnmf_engine.movies.reader import ArrayReader, LockedReader, MovieReader
from cnmf_engine.movies.tiff import open_tiff

__all__ = ["open_file"]


def open_file(
    name: str | os.PathLike, var_name_hdf5: str = "mov", channel: int | None = None, allow_image: bool = False
) -> MovieReader:
    """
    Open a movie file without loading it.

    Parameters
    ----------
    name : str or path
        The file; a memory map without a folder is also looked for in the temporary folder.
    var_name_hdf5 : str
        Dataset to read from an HDF5 file; not needed if it holds only one.
    channel : int, optional
        Channel to read from a TIFF that has several.
    allow_image : bool
        Take a single image for a movie of one frame.

    Returns
    -------
    MovieReader
        Frames on demand.

    Raises
    ------
    MissingFileError
        If the file isn't there.
    InputError
        If it can't be read as a movie.
    """
    is_map = Path(name).suffix.lower() == ".mmap"
    path = find_movie(name, folders=(get_tempdir(),) if is_map else ())
    suffix = path.suffix.lower()
    if suffix in (".tif", ".tiff", ".btf"):
        return open_tiff(path, channel, allow_image)
    if suffix in (".hdf5", ".h5"):
        return Hdf5Reader(path, var_name_hdf5)
    if suffix in (".avi", ".mkv"):
        return VideoReader(path)
    if suffix == ".npz":
        return _open_npz(path)
    return _open_npy(path) if suffix == ".npy" else _open_map(path)


def _open_map(path: Path) -> ArrayReader:
    from cnmf_engine.movies.maps import load_memmap, parse_memmap_name

    Yr, dims, T = load_memmap(path)
    reader = ArrayReader(Yr.T.reshape((T, *dims), order="F"), path)
    if parse_memmap_name(path).order == "F":
        reader.frame_file = path
    return reader


def _open_npy(path: Path) -> ArrayReader:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except ARRAY_ERRORS as error:
        raise InputError(explain("an array of numbers", f"{error} in {path}", DAMAGED)) from error
    return ArrayReader(array, path)


def _open_npz(path: Path) -> ArrayReader:
    arrays = read_npz(path)
    key = "input_arr" if "input_arr" in arrays or len(arrays) != 1 else next(iter(arrays))
    if key not in arrays:
        raise InputError(
            explain(
                f"one array, or one called 'input_arr', in {path}",
                ", ".join(arrays) or "none",
                "save the movie with movie.save, or load the array yourself and use cm.movie(array)",
            )
        )
    reader = ArrayReader(arrays[key], path)
    reader.rate = float(arrays["fr"]) if "fr" in arrays else None
    return reader


class Hdf5Reader(MovieReader):
    """
    Frames of a dataset in an HDF5 file.

    Parameters
    ----------
    path : Path
        The file.
    name : str
        The dataset; the only one of the file is taken whatever it is called.
    """

    def __init__(self, path: Path, name: str) -> None:
        import h5py

        self.path = path
        try:
            self._file = h5py.File(path, "r")
        except OSError as error:
            raise InputError(explain("an HDF5 file", f"{path}, which isn't ({error})", DAMAGED)) from error
        try:
            self._array = self._dataset(name, h5py)
            checked = ArrayReader(self._array, path)
        except InputError:
            self._file.close()
            raise
        self.shape, self.dtype = checked.shape, checked.dtype
        rate = self._array.attrs.get("fr")
        self.rate = None if rate is None else float(rate)

    def _dataset(self, name: str, h5py: Any) -> Any:
        found: list[str] = []
        self._file.visititems(lambda key, item: found.append(key) if isinstance(item, h5py.Dataset) else None)
        if name in found:
            return self._file[name]
        if len(found) == 1:
            return self._file[found[0]]
        movies = [key for key in found if self._file[key].ndim == 3] or found
        closest = nearest(name, movies)
        raise InputError(
            explain(
                f"the dataset {name!r} in {self.path}",
                f"{', '.join(movies[:8]) or 'no datasets'}",
                f"pass var_name_hdf5={closest or next(iter(movies), 'the name of the movie')!r}",
            )
        )

    def _read(self, frames: slice | np.ndarray) -> np.ndarray:
        return np.asarray(self._array[frames])

    def close(self) -> None:
        """Release the file."""
        self._file.close()


class VideoReader(LockedReader):
    """
    Frames of a video, its first colour channel, through OpenCV.

    Parameters
    ----------
    path : Path
        An AVI or MKV file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        import cv2

        self._cv2 = cv2
        self.path = path
        self._capture = cv2.VideoCapture(str(path))
        opened, frame = self._capture.read()
        if not opened:
            raise InputError(
                explain(
                    "a video that OpenCV can decode",
                    f"{path}, of which it can't read a frame",
                    "convert it to TIFF, or to FFV1: ffmpeg -i in.avi -c:v ffv1 out.avi",
                )
            )
        self.shape = (self._count(), *frame.shape[:2])
        self.dtype = np.dtype(np.uint8)
        self.rate = None
        self._next = -1

    def _count(self) -> int:
        """Count frames that can be read: the file's own count is often missing or too high."""
        claimed = int(self._capture.get(self._cv2.CAP_PROP_FRAME_COUNT))
        if claimed > 1:
            self._capture.set(self._cv2.CAP_PROP_POS_FRAMES, claimed - 1)
            if self._capture.grab() and not self._capture.grab():
                return claimed
        self._capture.set(self._cv2.CAP_PROP_POS_FRAMES, 0)
        count = 0
        while self._capture.grab():
            count += 1
        return count

    def _read_alone(self, frames: slice | np.ndarray) -> np.ndarray:
        index = np.arange(frames.start, frames.stop, frames.step) if isinstance(frames, slice) else frames
        block = np.empty((len(index), *self.shape[1:]), np.uint8)
        for position, frame in enumerate(index):
            self._go_to(int(frame))
            read, image = self._capture.read()
            if not read:
                raise InputError(
                    explain(
                        f"{len(self)} frames in {self.path}", f"that frame {frame} can't be read", DAMAGED
                    )
                )
            self._next += 1
            block[position] = image if image.ndim == 2 else image[..., 0]
        return block

    def _go_to(self, frame: int) -> None:
        # Seeking costs a decode from the last key frame, so short gaps are played through.
        if not 0 <= frame - self._next <= 50 or self._next < 0:
            self._capture.set(self._cv2.CAP_PROP_POS_FRAMES, frame)
            self._next = frame
        while self._next < frame:
            self._capture.grab()
            self._next += 1

    def close(self) -> None:
        """Release the file."""
        self._capture.release()
