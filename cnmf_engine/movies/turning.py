"""Files of frames turned into files of time series, in little memory."""

from __future__ import annotations

import queue
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cnmf_engine.base.memory import pixel_blocks
from cnmf_engine.base.parallel import RUN, Run

__all__ = ["FrameFile", "write_series"]

# What a thread holds at most, and frames that it turns at once: few enough for the processor's cache.
_LARGEST_TILE, _MOST_FRAMES = 64 * 2**20, 128


@dataclass(frozen=True)
class FrameFile:
    """
    A raw float32 file of frames, one after the other.

    Attributes
    ----------
    path : Path
        The file.
    n_frames : int
        Its frames.
    """

    path: Path
    n_frames: int


def write_series(
    parts: list[FrameFile],
    path: Path,
    n_pixels: int,
    finish: Callable[[np.ndarray, slice], None] | None = None,
    run: Run = RUN,
) -> None:
    """
    Write the time series of all pixels one after the other.

    Some pixels are read from every frame, turned, and written in one piece; so each file is read and written
    once, whatever its size. Plain reading and writing leaves no pages of the files in this process's memory.

    Parameters
    ----------
    parts : list of FrameFile
        The frames, in files that follow each other in time.
    path : Path
        The file to write: float32 of shape (d, T), order C.
    n_pixels : int
        Pixels of a frame.
    finish : callable, optional
        Called with time series, shape (n, T), and a slice with the numbers of their pixels, to change them in
        place before they are written.
    run : Run
        Its workers that share memory turn, within its memory.
    """
    run = run.here
    T = sum(part.n_frames for part in parts)
    tiles = pixel_blocks(n_pixels, 4 * (T + _MOST_FRAMES), min(run.budget // run.workers, _LARGEST_TILE))
    widest = max(tile.stop - tile.start for tile in tiles)
    rooms: queue.SimpleQueue = queue.SimpleQueue()
    for _ in range(min(run.workers, len(tiles))):
        rooms.put(_Room(np.empty((widest, T), np.float32), np.empty((_MOST_FRAMES, widest), np.float32)))
    with open(path, "wb") as file:
        file.truncate(4 * n_pixels * T)

    def work(pixels: slice) -> None:
        room = rooms.get()
        try:
            series = room.series[: pixels.stop - pixels.start]
            _read_series(parts, pixels, n_pixels, series, room.frames)
            if finish is not None:
                finish(series, pixels)
            with open(path, "r+b", buffering=0) as file:
                file.seek(4 * pixels.start * T)
                _write_all(file, series)
        finally:
            rooms.put(room)

    for _ in run.stream(work, tiles):
        pass


@dataclass(frozen=True)
class _Room:
    """Memory of one thread, used again for each tile."""

    series: np.ndarray
    frames: np.ndarray


def _read_series(
    parts: list[FrameFile], pixels: slice, n_pixels: int, series: np.ndarray, room: np.ndarray
) -> None:
    """Read some pixels of every frame and turn them."""
    import cv2

    frames, at = room.ravel()[: len(room) * len(series)].reshape(len(room), len(series)), 0
    for part in parts:
        with open(part.path, "rb", buffering=0) as file:
            for first in range(0, part.n_frames, len(frames)):
                n_frames = min(len(frames), part.n_frames - first)
                for row in range(n_frames):
                    file.seek(4 * ((first + row) * n_pixels + pixels.start))
                    _read_all(file, frames[row])
                cv2.transpose(frames[:n_frames], dst=series[:, at : at + n_frames])
                at += n_frames


def _read_all(file, row: np.ndarray) -> None:
    """Fill an array; a file that ends too early is an error."""
    view = memoryview(row).cast("B")
    done = 0
    while done < len(view):
        count = file.readinto(view[done:])
        if not count:
            raise EOFError(f"{file.name} ended while frames were read from it")
        done += count


def _write_all(file, series: np.ndarray) -> None:
    """Write an array; the system may take it in pieces."""
    view = memoryview(series).cast("B")
    done = 0
    while done < len(view):
        done += file.write(view[done:])
