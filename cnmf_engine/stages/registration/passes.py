"""Walk through a movie in blocks of frames that are corrected by workers, with results in order."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cnmf_engine.base.errors import InputError, ParameterError, explain
from cnmf_engine.base.memory import drop_pages
from cnmf_engine.base.parallel import RUN, Run

__all__ = ["FramePass", "Sink", "StepResult", "check_movie", "chunks_of", "read_frames", "some", "spread"]

logger = logging.getLogger("caiman")

_BLOCK_PIXELS = 2**20
# Of one frame: as it was read, filtered, and corrected.
_BYTES_PER_PIXEL = 16

Sink = Callable[[Iterator[np.ndarray]], Any]


class StepResult:
    """
    What one block of frames gave.

    Attributes
    ----------
    found : ndarray of shape (n, ...)
        The shifts of its frames.
    total : ndarray of shape (d1, d2)
        Sum of its corrected frames.
    corrected : ndarray of shape (n, d1, d2), float32
        Corrected frames with their borders treated.
    """

    __slots__ = ("corrected", "found", "n_missing", "total")

    def __init__(self, found: np.ndarray, total: np.ndarray, corrected: np.ndarray, n_missing: int) -> None:
        self.found, self.total, self.corrected, self.n_missing = found, total, corrected, n_missing


@dataclass
class FramePass:
    """
    One walk over the frames of a movie, some blocks at a time, with results in order.

    Parameters
    ----------
    movie : array_like of shape (T, d1, d2)
        The movie.
    chunks : list of index arrays
        Frames of each part of the movie.
    step : callable
        Takes ``(frame numbers, frames)``, returns a `StepResult`.
    run : Run
        Workers, and how much memory blocks of frames may take.
    """

    movie: Any
    chunks: list[np.ndarray]
    step: Callable[[tuple[np.ndarray, np.ndarray]], StepResult]
    run: Run = RUN
    found: list[np.ndarray] = field(default_factory=list)
    _sums: dict[int, np.ndarray] = field(default_factory=dict)

    def drain(self, sink: Sink | None) -> Any:
        """Run to the end, with the corrected blocks going to `sink`; return what that returned."""
        blocks = self._blocks()
        if sink is not None:
            return sink(blocks)
        for _ in blocks:
            pass
        return None

    def templates(self) -> np.ndarray:
        """Mean corrected image of each part, ``(n_chunks, d1, d2)`` float32."""
        return np.stack([self._sums[i] / len(chunk) for i, chunk in enumerate(self.chunks)]).astype(
            np.float32
        )

    def _blocks(self) -> Iterator[np.ndarray]:
        # The length of a block depends on the image alone, so that results don't depend on the workers.
        pixels = self.movie.shape[1] * self.movie.shape[2]
        length = int(np.clip(_BLOCK_PIXELS // pixels, 1, 64))
        plan = [
            (i, chunk[start : start + length])
            for i, chunk in enumerate(self.chunks)
            for start in range(0, len(chunk), length)
        ]
        fitting = self.run.budget // (2 * length * pixels * _BYTES_PER_PIXEL)
        batch = int(np.clip(fitting, 1, 2 * self.run.workers))
        batches = [plan[first : first + batch] for first in range(0, len(plan), batch)]
        n_missing = 0
        for part, results in zip(batches, self._computed(batches)):
            for (i, _), result in zip(part, results):
                self.found.append(result.found)
                self._sums[i] = self._sums.get(i, 0.0) + result.total.astype(np.float64)
                n_missing += result.n_missing
                yield result.corrected
        if n_missing:
            logger.warning(
                "%d of %d frames had NaN or infinite pixels; these were filled with the nearest pixel of the "
                "frame, in the corrected movie too",
                n_missing,
                sum(map(len, self.chunks)),
            )

    def _computed(self, batches: list[list[tuple[int, np.ndarray]]]) -> Iterator[list[StepResult]]:
        if not self.run.shared or self.run.pool is None:
            yield from map(self._compute, batches)
            return
        # Workers go on with the next frames while these are written.
        with ThreadPoolExecutor(1) as ahead:
            waiting = ahead.submit(self._compute, batches[0])
            for following in [*batches[1:], []]:
                results, waiting = waiting.result(), ahead.submit(self._compute, following)
                yield results

    def _compute(self, batch: list[tuple[int, np.ndarray]]) -> list[StepResult]:
        items = [(numbers, read_frames(self.movie, numbers)) for _, numbers in batch]
        results = self.run.map(self.step, items)
        for _, frames in items:
            drop_pages(frames)
        return results


def read_frames(movie: Any, index: np.ndarray) -> np.ndarray:
    """Read frames given by increasing numbers, as one slice where they follow each other."""
    first, last = int(index[0]), int(index[-1])
    if last - first == len(index) - 1:
        return np.asarray(movie[first : last + 1])
    return np.concatenate([np.asarray(movie[int(t) : int(t) + 1]) for t in index])


def spread(T: int, n: int) -> np.ndarray:
    """Numbers of at most `n` frames spread evenly over `T`."""
    return np.unique(np.linspace(0, T - 1, min(T, n)).round().astype(int))


def check_movie(movie: Any) -> tuple[int, int]:
    """
    Check that something is a movie.

    Parameters
    ----------
    movie : array_like
        What to look at.

    Returns
    -------
    tuple of int
        Rows and columns.

    Raises
    ------
    InputError
        If it hasn't three axes, or an axis is empty.
    """
    shape = tuple(getattr(movie, "shape", ()))
    if len(shape) != 3 or 0 in shape:
        raise InputError(
            explain(
                "a movie of shape (frames, rows, columns)",
                f"shape {shape}",
                "give a movie with at least one frame; one image becomes a movie with image[None]",
            )
        )
    return shape[1], shape[2]


def chunks_of(T: int, splits: int | Sequence[np.ndarray]) -> list[np.ndarray]:
    """
    Cut a movie into consecutive parts.

    Parameters
    ----------
    T : int
        Frames.
    splits : int or sequence of index arrays
        How many parts (at most one a frame), or the frames of each.

    Returns
    -------
    list of ndarray
        Frame numbers of each part.

    Raises
    ------
    ParameterError
        If the parts don't hold every frame once and in order.
    """
    if np.ndim(splits) == 0 and not isinstance(splits, list | tuple):
        return np.array_split(np.arange(T), int(np.clip(splits, 1, T)))
    chunks = [np.asarray(chunk, dtype=int) for chunk in splits if len(chunk)]
    if not np.array_equal(np.concatenate(chunks) if chunks else [], np.arange(T)):
        raise ParameterError(
            explain(
                f"splits that hold each of the {T} frames once and in order",
                f"{len(chunks)} parts that don't",
                "give a number of parts, e.g. 14",
            )
        )
    return chunks


def some(chunks: list[np.ndarray], n: int) -> list[np.ndarray]:
    """
    Choose parts spread over a movie.

    Parameters
    ----------
    chunks : list of ndarray
        Frame numbers of each part.
    n : int
        How many to keep.

    Returns
    -------
    list of ndarray
        At most `n` of them, in order.
    """
    return [chunks[i] for i in spread(len(chunks), max(int(n), 1))]
