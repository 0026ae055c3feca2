"""Movies as motion correction sees them: cropped, and corrected while they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from cnmf_engine.base.errors import InputError, explain
from cnmf_engine.base.memory import frame_blocks
from cnmf_engine.base.parallel import RUN, Run
from cnmf_engine.stages.registration.passes import check_movie
from cnmf_engine.stages.registration.warping import fill_missing

__all__ = ["CorrectedMovie", "CroppedMovie", "crop", "smallest_value"]

_LARGEST_BLOCK = 64 * 2**20


class CroppedMovie:
    """
    Part of the image of a movie, cut out when frames are read.

    Parameters
    ----------
    movie : array_like of shape (T, d1, d2)
        The whole movie.
    rows, cols : slice
        What to keep.
    """

    def __init__(self, movie: Any, rows: slice, cols: slice) -> None:
        self._movie, self._rows, self._cols = movie, rows, cols
        kept = [len(range(*part.indices(d))) for part, d in zip((rows, cols), movie.shape[1:])]
        self.shape = (movie.shape[0], *kept)
        self.dtype = movie.dtype

    def __getitem__(self, frames: slice) -> np.ndarray:
        return np.asarray(self._movie[frames])[:, self._rows, self._cols]


class CorrectedMovie:
    """
    A movie whose frames are moved when they are read.

    Parameters
    ----------
    movie : array_like of shape (T, d1, d2)
        The original.
    move : callable
        Takes ``(frames, numbers)``, the frames (n, d1, d2) and a slice with their numbers; returns them
        corrected.
    """

    def __init__(self, movie: Any, move: Callable[[np.ndarray, slice], np.ndarray]) -> None:
        self._movie, self._move = movie, move
        self.shape = tuple(movie.shape)

    def __getitem__(self, frames: slice) -> np.ndarray:
        return self._move(np.asarray(self._movie[frames]), frames)

    def blocks(self, run: Run = RUN) -> Iterator[np.ndarray]:
        """All corrected frames, in blocks that fit the memory budget and aren't larger than 64 MB."""
        budget = min(run.budget, _LARGEST_BLOCK)
        for frames in frame_blocks(self.shape[0], 16 * self.shape[1] * self.shape[2], budget):
            yield self[frames]


def crop(movie: Any, indices: tuple[slice, slice] | slice) -> Any:
    """
    Cut the image as the argument `indices` of `MotionCorrect` says.

    Parameters
    ----------
    movie : array_like of shape (T, d1, d2)
        The movie.
    indices : tuple of two slices
        Rows and columns to keep; CaImAn's default, the type ``slice`` itself, keeps everything.

    Returns
    -------
    array_like
        The movie itself if everything is kept.

    Raises
    ------
    InputError
        If nothing is left.
    """
    parts = indices if isinstance(indices, list | tuple) else (indices,)
    rows, cols = [part if isinstance(part, slice) else slice(None) for part in (*parts, None)][:2]
    check_movie(movie)
    if rows == cols == slice(None):
        return movie
    cropped = CroppedMovie(movie, rows, cols)
    if 0 in cropped.shape:
        raise InputError(
            explain(
                f"indices within {movie.shape[1]} rows and {movie.shape[2]} columns",
                f"{indices!r}, which leave nothing",
                "give two slices, e.g. indices=(slice(10, -10), slice(10, -10))",
            )
        )
    return cropped


def smallest_value(movie: Any, prepare: Callable[[np.ndarray], np.ndarray], n_frames: int) -> float:
    """
    Find the minimum of the first frames, after some preparation.

    Parameters
    ----------
    movie : array_like of shape (T, d1, d2)
        The movie.
    prepare : callable
        Applied to blocks of frames.
    n_frames : int
        How many frames to look at.

    Returns
    -------
    float
        The minimum of what is finite.

    Raises
    ------
    InputError
        If a frame has no finite pixel.
    """
    found = []
    for index in np.array_split(np.arange(min(n_frames, movie.shape[0])), -(-n_frames // 50)):
        if index.size:
            frames = np.asarray(movie[int(index[0]) : int(index[-1]) + 1])
            found.append(prepare(fill_missing(frames, index)[0]).min())
    return float(min(found))
