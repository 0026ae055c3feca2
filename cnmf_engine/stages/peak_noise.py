"""Peak-to-noise ratio and local correlation of the spatially filtered movie, block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numba
import numpy as np

from cnmf_engine.base.memory import drop_pages, frame_blocks
from cnmf_engine.base.parallel import ALONE, RUN, Run
from cnmf_engine.movies.gaps import Gaps, nearest_complete
from cnmf_engine.movies.regions import GROUP, fill_frames, is_time_major, read_blocks, typical_frame
from cnmf_engine.stages.filters import filter_frames
from cnmf_engine.stages.neighbours import N_SUMS, Sums, add_products
from cnmf_engine.stages.noise import ROUNDING, pixel_noise

__all__ = ["filtered_images"]

#: Longer movies tell their noise from three pieces of a third of this.
_NOISE_FRAMES = 3072
#: Samples below this many noise levels don't count towards the correlation image.
_SIGNAL_LEVEL = 3.0
# Frames worked on at once by a thread, and pixels whose noise it finds at once: enough to keep it busy, few
# enough for the processor's cache.
_MOST_FRAMES, _PIXELS = 4 * GROUP, 128


@dataclass(frozen=True)
class _Task:
    """
    A movie with the filter for it, and what the work may take.

    Attributes
    ----------
    level : ndarray of shape (d1, d2), float32
        Subtracted from every frame: all that follows depends on fluctuations alone, and rounding then goes
        with them and not with the brightness.
    """

    movie: Any
    kernel: np.ndarray | None
    level: np.ndarray
    gaps: Gaps | None
    run: Run

    @property
    def halo(self) -> int:
        """Columns beside a strip that its pixels depend on: the filter's reach and one neighbour."""
        return 1 + (0 if self.kernel is None else max(self.kernel.shape) // 2)


class _MissingValues(Exception):
    """Values are missing; the work starts again with knowledge of where."""


def filtered_images(movie: Any, kernel: np.ndarray | None, run: Run = RUN) -> tuple[np.ndarray, np.ndarray]:
    """
    Compute correlation and peak-to-noise ratio of a movie whose frames are filtered first.

    A movie of up to 3,072 frames is read once, in strips of columns. Of a longer one the noise is found from
    as many frames, and everything else while all frames pass by in blocks: each frame is filtered at most
    twice, and no time series are held.

    Parameters
    ----------
    movie : array_like of shape (T, d1, d2)
        The movie.
    kernel : ndarray, optional
        The filter.
    run : Run
        Workers that share memory, and how much blocks may take. The images don't depend on it.

    Returns
    -------
    cn, pnr : ndarray of shape (d1, d2), float32
        The images.
    """
    level = typical_frame(movie, slice(0, len(movie)), run)
    task = _Task(movie, kernel, level, None, run)
    images = _short if len(movie) <= _NOISE_FRAMES else _long
    try:
        return images(task)
    except _MissingValues:
        gaps = _find_gaps(task)
        return images(replace(task, level=gaps.mean, gaps=gaps))


def _short(task: _Task) -> tuple[np.ndarray, np.ndarray]:
    """Images of a movie whose strips can be held with all frames."""
    T, d1, d2 = task.movie.shape
    cn, pnr = np.empty((2, d1, d2), np.float32)
    for inner, outer, frames in _strips(task, [slice(0, T)]):
        brightness = _filter_strip(task, frames, np.arange(T), outer)
        mean, noise = _mean_and_noise(frames, task.run)
        floor, safe = _levels(task, noise, brightness, outer)
        parts = [frames[block] for block in _blocks(T)]
        counts = task.run.stream(partial(_count, mean, floor), parts)
        strip_cn, strip_pnr = _images(counts, mean.shape, safe)
        crop = slice(inner.start - outer.start, inner.stop - outer.start)
        cn[:, inner], pnr[:, inner] = strip_cn[:, crop], strip_pnr[:, crop]
    return cn, pnr


def _long(task: _Task) -> tuple[np.ndarray, np.ndarray]:
    """Images of a movie of any length: noise from three pieces, the rest in passing."""
    T, d1, d2 = task.movie.shape
    piece = _NOISE_FRAMES // 3
    middle = T // 2 - piece // 2
    pieces = [slice(1, piece + 1), slice(middle, middle + piece), slice(T - piece, T)]
    numbers = np.concatenate([np.arange(T)[one] for one in pieces])
    noise = np.empty((d1, d2), np.float32)
    for inner, outer, frames in _strips(task, pieces):
        _filter_strip(task, frames, numbers, outer)
        _, strip_noise = _mean_and_noise(frames, task.run)
        noise[:, inner] = strip_noise[:, inner.start - outer.start : inner.stop - outer.start]
        # The strips' memory is free for the blocks that follow.
        del frames
    mean = _raw_mean(task)
    floor, safe = _levels(task, noise, mean + task.level, slice(None))
    if task.kernel is not None:
        # The filter is linear: the mean of the filtered frames is the filtered mean.
        mean = filter_frames(mean, task.kernel)

    def work(job: tuple[np.ndarray, np.ndarray]) -> tuple:
        frames, numbers = job
        _prepare(task, frames, numbers, slice(None))
        if task.kernel is not None:
            filter_frames(frames, task.kernel, out=frames, run=ALONE)
        return _count(mean, floor, frames)

    return _images(_in_passing(task, work), (d1, d2), safe)


def _in_passing(task: _Task, work: Callable[[tuple[np.ndarray, np.ndarray]], Any]) -> Iterator[Any]:
    """Apply a function to blocks of all frames and their numbers, in order."""
    T = len(task.movie)
    for where, frames in read_blocks(task.movie, slice(0, T), int(0.8 * task.run.budget), task.run):
        numbers = np.arange(where.start, where.stop)
        jobs = [(frames[block], numbers[block]) for block in _blocks(len(frames))]
        yield from task.run.stream(work, jobs)


def _blocks(n_frames: int) -> list[slice]:
    return [slice(at, at + _MOST_FRAMES) for at in range(0, n_frames, _MOST_FRAMES)]


def _strips(task: _Task, pieces: list[slice]) -> Iterator[tuple[slice, slice, np.ndarray]]:
    """Columns to compute; those needed for them, such that the latter fit the budget; their frames."""
    _, d1, d2 = task.movie.shape
    n_frames = sum(piece.stop - piece.start for piece in pieces)
    most = int(0.8 * task.run.budget / (4 * n_frames * d1))
    inner = frame_blocks(d2, 1, d2 if most >= d2 else max(most - 2 * task.halo, 8))
    outer = [slice(max(one.start - task.halo, 0), min(one.stop + task.halo, d2)) for one in inner]
    # The same memory for all: fresh memory costs time.
    room = np.empty(n_frames * d1 * max(one.stop - one.start for one in outer), np.float32)
    for strip, columns in zip(inner, outer):
        shape = n_frames, d1, columns.stop - columns.start
        frames, at = room[: int(np.prod(shape))].reshape(shape), 0
        for piece in pieces:
            length = piece.stop - piece.start
            fill_frames(frames[at : at + length], task.movie, piece, columns, task.run)
            at += length
        yield strip, columns, frames


def _prepare(task: _Task, frames: np.ndarray, numbers: np.ndarray, columns: slice) -> None:
    """Fill what is missing and subtract the level, in place."""
    if task.gaps is not None:
        task.gaps.fill(frames, numbers, columns)
    frames -= task.level[:, columns]


def _filter_strip(task: _Task, frames: np.ndarray, numbers: np.ndarray, columns: slice) -> np.ndarray:
    """Filter frames in place; return their mean before that."""

    def work(block: slice) -> np.ndarray:
        part = frames[block]
        _prepare(task, part, numbers[block], columns)
        total = _sum(part)
        if task.kernel is not None:
            filter_frames(part, task.kernel, out=part, run=ALONE)
        return total

    mean = sum(task.run.stream(work, _blocks(len(frames)))) / len(frames)
    if task.gaps is None and np.isnan(mean).any():
        raise _MissingValues
    return mean + task.level[:, columns]


def _raw_mean(task: _Task) -> np.ndarray:
    """Mean of all frames above the level, float32."""
    T, d1, d2 = task.movie.shape
    if task.gaps is not None:
        return np.zeros((d1, d2), np.float32)
    if is_time_major(task.movie):

        def column_mean(column: int) -> np.ndarray:
            series = task.movie[:, :, column]
            mean = series.mean(axis=0, dtype=np.float64)
            drop_pages(series)
            return mean

        mean = np.stack(list(task.run.stream(column_mean, range(d2))), axis=1) - task.level
    else:
        mean = sum(_in_passing(task, lambda job: _sum(job[0] - task.level))) / T
    if np.isnan(mean).any():
        raise _MissingValues
    return mean.astype(np.float32)


def _sum(frames: np.ndarray) -> np.ndarray:
    """Sum of frames, float64, from short sums in the frames' own type."""
    total = np.zeros(frames.shape[1:])
    for first in range(0, len(frames), 16):
        total += frames[first : first + 16].sum(axis=0)
    return total


def _mean_and_noise(frames: np.ndarray, run: Run) -> tuple[np.ndarray, np.ndarray]:
    """Mean over time and noise of each pixel, (d1, d2) both, float32."""
    import cv2

    flat = frames.reshape(len(frames), -1)

    def work(pixels: slice) -> tuple[np.ndarray, np.ndarray]:
        traces = cv2.transpose(flat[:, pixels]).reshape(-1, len(flat))
        mean = traces.mean(axis=1, dtype=np.float64).astype(np.float32)
        traces -= mean[:, None]
        return mean, pixel_noise(traces)

    blocks = [slice(first, first + _PIXELS) for first in range(0, flat.shape[1], _PIXELS)]
    mean, noise = zip(*run.stream(work, blocks))
    return np.concatenate(mean).reshape(frames.shape[1:]), np.concatenate(noise).reshape(frames.shape[1:])


def _levels(
    task: _Task, noise: np.ndarray, brightness: np.ndarray, columns: slice
) -> tuple[np.ndarray, np.ndarray]:
    """Height from which a sample counts, and the noise; both infinite where a pixel has no signal."""
    # The filter averages what pixels were rounded by.
    part = ROUNDING * (1.0 if task.kernel is None else float(np.linalg.norm(task.kernel)))
    good = noise > part * np.abs(brightness)
    if task.gaps is not None:
        good &= ~task.gaps.incomplete[:, columns]
    safe = np.where(good, noise, np.inf).astype(np.float32)
    return np.float32(_SIGNAL_LEVEL) * safe, safe


def _count(mean: np.ndarray, floor: np.ndarray, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Peaks, and sums over what rises above the floor, of frames that are overwritten."""
    peak = np.full(mean.shape, -np.inf, np.float32)
    _keep_signal(frames, mean, floor, peak)
    sums = np.zeros((N_SUMS, *mean.shape))
    add_products(frames, sums)
    return peak, sums, len(frames)


def _images(
    parts: Iterator[tuple], dims: tuple[int, int], noise: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Put the counts of all blocks together."""
    peak, sums = np.full(dims, -np.inf, np.float32), Sums(dims)
    for block_peak, block_sums, n_frames in parts:
        np.maximum(peak, block_peak, out=peak)
        sums.add([(block_sums, n_frames)])
    pnr = np.where(np.isfinite(noise), np.maximum(peak / noise, 0), 0)
    return sums.correlation().astype(np.float32), pnr.astype(np.float32)


@numba.njit(nogil=True, cache=True)
def _keep_signal(frames, mean, floor, peak):
    """Subtract the mean, note the highest value, and set to 0 what lies below the floor; all in place."""
    n_frames, rows, columns = frames.shape
    for t in range(n_frames):
        for r in range(rows):
            for c in range(columns):
                value = frames[t, r, c] - mean[r, c]
                peak[r, c] = max(peak[r, c], value)
                frames[t, r, c] = value if value >= floor[r, c] else np.float32(0)


def _find_gaps(task: _Task) -> Gaps:
    """Look for missing values, block by block."""
    T, d1, d2 = task.movie.shape
    unseen, incomplete, total = np.zeros(T, bool), np.zeros((d1, d2), bool), np.zeros((d1, d2))

    def work(job: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        frames, numbers = job
        missing = np.isnan(frames)
        unseen[numbers] = empty = missing.all(axis=(1, 2))
        return missing[~empty].any(axis=0), np.nansum(frames[~empty], axis=0, dtype=np.float64)

    for block_incomplete, block_total in _in_passing(task, work):
        incomplete |= block_incomplete
        total += block_total
    if unseen.all():
        incomplete[:] = True
    mean = (total / max(T - unseen.sum(), 1)).astype(np.float32)
    return Gaps(unseen, incomplete, nearest_complete(mean[None], incomplete)[0])
