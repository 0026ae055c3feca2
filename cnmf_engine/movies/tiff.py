"""Frames of TIFF files."""

from __future__ import annotations

import logging
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cnmf_engine.base.errors import InputError, explain
from cnmf_engine.movies.finding import DAMAGED
from cnmf_engine.movies.reader import MovieReader

__all__ = ["TiffReader", "open_tiff"]

logger = logging.getLogger("caiman")

# What tifffile meets where a file ends too early.
_CUT_OFF = (struct.error, zlib.error, IndexError, KeyError, ValueError, OSError)


def open_tiff(path: Path, channel: int | None = None, allow_image: bool = False) -> MovieReader:
    """
    Open a TIFF file without loading it.

    Parameters
    ----------
    path : Path
        The file.
    channel : int, optional
        Channel to read, if there are several.
    allow_image : bool
        Take a single image for a movie of one frame.

    Returns
    -------
    MovieReader
        Frames on demand.

    Raises
    ------
    InputError
        If it isn't a TIFF file, or not of greyscale frames of one plane.
    """
    import tifffile

    try:
        tif = tifffile.TiffFile(path)
        tif.filehandle.set_lock(True)
        series = list(tif.series)
    except (tifffile.TiffFileError, *_CUT_OFF) as error:
        raise InputError(explain("a TIFF file", f"{path}, which isn't one ({error})", DAMAGED)) from error
    try:
        return TiffReader(path, tif, series, channel, allow_image)
    except InputError:
        tif.close()
        raise
    except _CUT_OFF as error:
        tif.close()
        found = f"{path}, which ends too early ({error})"
        raise InputError(explain("a whole TIFF file", found, DAMAGED)) from error


class TiffReader(MovieReader):
    """
    Frames of a TIFF file: one page a frame, or one contiguous block.

    Of uncompressed stacks only the frames asked for are read, in one piece; that includes ImageJ's files
    above 4 GB, which list a single page. Frames written one by one by other software, which TIFF takes for
    separate images, are joined.
    """

    def __init__(self, path: Path, tif: Any, series: list, channel: int | None, allow_image: bool) -> None:
        self.path, self._tif = path, tif
        shape, axes = _squeezed(series[0])
        if axes.endswith("S"):
            raise InputError(
                explain(
                    "greyscale frames",
                    f"colour frames (shape {shape}) in {path}",
                    "convert the movie: in ImageJ, Image > Type > 8-bit or 16-bit, then save it",
                )
            )
        pages = np.arange(int(np.prod(shape[:-2], dtype=int))).reshape(shape[:-2])
        if len(shape) == 4 and "C" in axes[:2]:
            pages = self._channel_pages(pages, axes, channel)
        elif len(shape) == 2:
            pages = self._joined_images(series, shape, allow_image)
        if pages.ndim != 1:
            raise InputError(
                explain(
                    "a movie of one plane: frames, rows, columns",
                    f"shape {shape} (axes {axes}) in {path}",
                    "save one plane as a multi-page TIFF: in ImageJ, Image > Stacks > Tools > Make Substack",
                )
            )
        self._pages = pages
        self.shape = (len(pages), int(shape[-2]), int(shape[-1]))
        self.dtype = np.dtype(series[0].dtype).newbyteorder("=")
        self._raw, self._frames_on_disk = self._plan(series, shape)

    def _channel_pages(self, pages: np.ndarray, axes: str, channel: int | None) -> np.ndarray:
        axis = axes.index("C")
        if channel is None or not 0 <= channel < pages.shape[axis]:
            raise InputError(
                explain(
                    f"the number of a channel, 0 to {pages.shape[axis] - 1}",
                    f"channel={channel} for the {pages.shape[axis]} channels of {self.path}",
                    "call cm.load(..., channel=0), or save one channel only",
                )
            )
        return pages.take(channel, axis=axis)

    def _joined_images(self, series: list, shape: tuple[int, ...], allow_image: bool) -> np.ndarray:
        alike = sum(_squeezed(one)[0] == shape for one in series)
        if alike < len(series):
            logger.warning("%s holds %d images of another size, left out", self.path, len(series) - alike)
        if alike == 1 and not allow_image:
            raise InputError(
                explain(
                    "a movie of shape (frames, rows, columns)",
                    f"a single image of {shape[0]} x {shape[1]} px in {self.path}",
                    "give the list of all image files, cm.load([...]), or an array with a frame axis",
                )
            )
        return np.arange(alike)

    def _plan(self, series: list, shape: tuple[int, ...]) -> tuple[_RawFrames | None, list | None]:
        """Choose how to read: raw values, page by page, or (neither) the whole series at once."""
        first = series[0]
        stacked = (int(np.prod(shape[:-2], dtype=int)), *self.shape[1:])
        if len(shape) > 2 and first.dataoffset is not None:
            return self._raw_frames(first, stacked), None
        if len(shape) == 2:
            # The list of pages is read here, once: doing that on demand isn't safe in threads.
            return None, [one.pages[0] for one in series if _squeezed(one)[0] == shape]
        pages = list(first.pages)
        return None, pages if len(pages) == stacked[0] else None

    def _raw_frames(self, series: Any, stacked: tuple[int, ...]) -> _RawFrames:
        needed = series.dataoffset + int(np.prod(stacked, dtype=np.int64)) * self.dtype.itemsize
        size = self.path.stat().st_size
        if size < needed:
            raise InputError(
                explain(f"{stacked[0]} frames ({needed} bytes) in {self.path}", f"only {size} bytes", DAMAGED)
            )
        return _RawFrames(self.path, series.dataoffset, self.dtype.newbyteorder(self._tif.byteorder), stacked)

    def _read(self, frames: slice | np.ndarray) -> np.ndarray:
        pages = self._pages[frames]
        if self._raw is not None:
            return self._raw.read(pages)
        if self._frames_on_disk is None:
            with self._tif.filehandle.lock:
                return self._tif.asarray(series=0).reshape(-1, *self.shape[1:])[pages]
        block = np.empty((len(pages), *self.shape[1:]), self.dtype)
        for position, page in enumerate(pages):
            try:
                block[position] = self._frames_on_disk[page].asarray().reshape(self.shape[1:])
            except _CUT_OFF as error:
                found = f"frame {page} of {self.path} incomplete ({str(error).splitlines()[0]})"
                raise InputError(explain("a whole TIFF file", found, DAMAGED)) from error
        return block

    def close(self) -> None:
        """Release the file."""
        self._tif.close()


@dataclass(frozen=True)
class _RawFrames:
    """
    Frames that lie one after the other in a file, as numbers.

    They are read and not mapped: pages of a mapped file would count as this process's memory.
    """

    path: Path
    offset: int
    dtype: np.dtype
    shape: tuple[int, int, int]

    def read(self, frames: np.ndarray) -> np.ndarray:
        """Read frames given by increasing numbers, those that follow each other in one go."""
        if not len(frames):
            return np.empty((0, *self.shape[1:]), self.dtype)
        each = self.shape[1] * self.shape[2]
        blocks = []
        for run in np.split(frames, np.flatnonzero(np.diff(frames) != 1) + 1):
            start = self.offset + int(run[0]) * each * self.dtype.itemsize
            values = np.fromfile(self.path, self.dtype, len(run) * each, offset=start)
            blocks.append(values.reshape(len(run), *self.shape[1:]))
        return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)


def _squeezed(series: Any) -> tuple[tuple[int, ...], str]:
    """Shape and axes without axes of length one, but for the frame axis of a one-frame movie."""
    shape, axes = tuple(series.shape), series.axes
    if axes == "SYX":
        # TIFF takes stacks of three or four frames for the planes of a colour image.
        return shape, "QYX"
    kept = [i for i, size in enumerate(shape) if size > 1 or i >= len(shape) - 2 or len(shape) == 3]
    return tuple(shape[i] for i in kept), "".join(axes[i] for i in kept)
