"""Blocks of a movie as float32 frames, read along the grain whichever way round it lies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from cnmf_engine.base.memory import drop_pages, frame_blocks
from cnmf_engine.base.parallel import ALONE, RUN, Run

__all__ = ["GROUP", "fill_frames", "is_time_major", "read_blocks", "typical_frame"]

#: Frames that sums keep together; blocks start at multiples of it, so that their length hardly changes sums.
GROUP = 32

# Mapped pages that a thread may have resident, and frames or columns that it reads at once.
_MAPPED_BYTES, _MOST_FRAMES, _MOST_COLUMNS = 2**25, 32, 16
# Frames that tell a pixel's level.
_FEW_FRAMES = 16


def is_time_major(movie: Any) -> bool:
    """
    Tell if each pixel's time series lies together, as in a memory map of order C.

    Parameters
    ----------
    movie : array_like of shape (T, d1, d2)
        The movie.

    Returns
    -------
    bool
        False for frames that lie together, and for movies that aren't arrays.
    """
    if not isinstance(movie, np.ndarray) or len(movie) == 1:
        return False
    return abs(movie.strides[0]) < min(abs(step) for step in movie.strides[1:])


def fill_frames(
    out: np.ndarray,
    movie: Any,
    frames: slice,
    columns: slice = slice(None),
    run: Run = RUN,
) -> None:
    """
    Read consecutive frames, whole or some of their columns.

    Parameters
    ----------
    out : ndarray of shape (n, d1, n_columns), float32
        Where to write, frame after frame.
    movie : array_like of shape (T, d1, d2)
        An array, a memory map of either order, or anything that gives frames when it is sliced. Pages of
        mapped files are given back.
    frames, columns : slice
        What to read.
    run : Run
        Its workers read, if they share memory.
    """
    first, stop, _ = frames.indices(movie.shape[0])
    run = ALONE if getattr(movie, "sequential", False) else run
    if is_time_major(movie):
        part = movie[first:stop, :, columns]
        step = int(np.clip(_MAPPED_BYTES / abs(part.strides[2]), 1, _MOST_COLUMNS))
        work, length = _columns_into, part.shape[2]
    else:
        part, step = _Columns(movie, first, columns), _MOST_FRAMES
        work, length = _frames_into, stop - first
    blocks = [slice(at, min(at + step, length)) for at in range(0, length, step)]
    for _ in run.stream(partial(work, out, part), blocks):
        pass


def read_blocks(movie: Any, span: slice, budget: int, run: Run = RUN) -> Iterator[tuple[slice, np.ndarray]]:
    """
    Walk through a movie in blocks of frames, each read in several threads.

    Parameters
    ----------
    movie : array_like of shape (T, d1, d2)
        As for `fill_frames`.
    span : slice
        Which frames, with definite ends.
    budget : int
        Bytes a block may take.
    run : Run
        Its workers read, if they share memory.

    Yields
    ------
    frames : slice
        Which frames.
    block : ndarray of shape (n, d1, d2), float32
        The same memory each time: change it at will, but don't keep it.
    """
    d1, d2 = movie.shape[1:]
    most = int(budget / (4 * d1 * d2))
    if not is_time_major(movie):
        # Frames come as they lie; of time series a long piece has to be read for the file's sake.
        most = min(most, run.here.workers * 4 * _MOST_FRAMES)
    most = max(most, 1)
    blocks = frame_blocks(span.stop - span.start, 1, most, multiple=GROUP if most >= GROUP else 1)
    room = np.empty((max(block.stop - block.start for block in blocks), d1, d2), np.float32)
    for block in blocks:
        frames = slice(span.start + block.start, span.start + block.stop)
        part = room[: block.stop - block.start]
        fill_frames(part, movie, frames, run=run)
        yield frames, part


def typical_frame(movie: Any, span: slice, run: Run = RUN) -> np.ndarray:
    """
    Average a few frames in the middle: about the level of each pixel.

    What is summed over time is summed relative to it, or the brightness of a movie would leave no digits
    for its fluctuations.

    Parameters
    ----------
    movie : array_like of shape (T, d1, d2)
        The movie.
    span : slice
        Frames to choose from, with definite ends.

    Returns
    -------
    ndarray of shape (d1, d2), float32
        The mean; 0 where a value is missing.
    """
    middle = (span.start + span.stop - _FEW_FRAMES) // 2
    chosen = slice(max(middle, span.start), min(middle + _FEW_FRAMES, span.stop))
    frames = np.empty((chosen.stop - chosen.start, *movie.shape[1:]), np.float32)
    fill_frames(frames, movie, chosen, run=run)
    mean, spread = frames.mean(axis=0, dtype=np.float64), np.ptp(frames, axis=0).astype(np.float64)
    # A level in whole numbers keeps the difference to a camera's counts exact; in values that vary by less,
    # halving the number until it is below their spread.
    step = np.exp2(np.floor(np.log2(np.clip(spread, np.finfo(np.float32).tiny, 1))))
    return np.nan_to_num(np.where(spread > 0, np.floor(mean / step + 0.5) * step, mean)).astype(np.float32)


@dataclass(frozen=True)
class _Columns:
    """Some columns of a movie from some frame on."""

    movie: Any
    first: int
    columns: slice


def _frames_into(out: np.ndarray, part: _Columns, frames: slice) -> None:
    """Copy frames that lie one after the other."""
    import cv2

    block = part.movie[part.first + frames.start : part.first + frames.stop][:, :, part.columns]
    if isinstance(block, np.ndarray) and 0 < block.strides[1] < block.strides[2]:
        # Columns lie together within a frame, as in a memory map of order F.
        for target, image in zip(out[frames], block):
            cv2.transpose(_float32(image.T), dst=target)
    else:
        out[frames] = block
    drop_pages(block)


def _columns_into(out: np.ndarray, part: np.ndarray, columns: slice) -> None:
    """Turn time series that lie together into frames, so many at once as the processor's cache holds."""
    import cv2

    block = part[:, :, columns]
    T, d1, d2 = block.shape
    between = np.empty((min(_MOST_FRAMES * 8, T), d2, d1), np.float32)
    for first in range(0, T, len(between)):
        n_frames = min(len(between), T - first)
        for column in range(d2):
            series = block[first : first + n_frames, :, column].T
            cv2.transpose(_float32(series), dst=between[:n_frames, column])
        for turned, target in zip(between[:n_frames], out[first : first + n_frames, :, columns]):
            cv2.transpose(turned, dst=target)
    drop_pages(block)


def _float32(image: np.ndarray) -> np.ndarray:
    """View or copy of an image that OpenCV takes: its rows may lie apart, but not their values."""
    if image.dtype == np.float32 and image.dtype.isnative and image.strides[1] == 4:
        return np.asarray(image)
    return np.ascontiguousarray(image, dtype=np.float32)
