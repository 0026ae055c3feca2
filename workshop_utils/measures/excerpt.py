"""Cut a piece out of a recording that is small enough to try things on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cnmf_engine.base.errors import InputError, explain

if TYPE_CHECKING:
    from workshop_utils.movies.truth import Truth

__all__ = ["Excerpt", "as_movie", "excerpt"]

#: A cell belongs to the excerpt when this share of its light does.
_INSIDE = 0.8


class Excerpt(NamedTuple):
    """
    A piece of a movie, and of its answer key.

    Attributes
    ----------
    images : ndarray of shape (T, d1, d2), float32
        The piece.
    frames, rows, columns : slice
        Where it was cut from.
    truth : Truth or None
        The answer key of the piece: cells that lie in it and fire in it count as detectable.
    """

    images: np.ndarray
    frames: slice
    rows: slice
    columns: slice
    truth: Truth | None

    def __str__(self) -> str:
        """Say what the piece is."""
        T, d1, d2 = self.images.shape
        cells = "" if self.truth is None else f", {int(self.truth.detectable.sum())} detectable cells in it"
        return (
            f"{T} frames of {d1} x {d2} pixels (frames {self.frames.start} to {self.frames.stop - 1}, "
            f"rows {self.rows.start} to {self.rows.stop - 1}, "
            f"columns {self.columns.start} to {self.columns.stop - 1}){cells}"
        )

    __repr__ = __str__


def as_movie(movie: Any, least_frames: int = 1) -> Any:
    """
    Check that something is a movie.

    Parameters
    ----------
    movie : array of shape (T, d1, d2)
        What was given.
    least_frames : int
        Frames that are needed at least.

    Returns
    -------
    array of shape (T, d1, d2)
        The same.

    Raises
    ------
    InputError
        It isn't a movie, or too short.
    """
    shape = np.shape(movie)
    if len(shape) != 3 or 0 in shape or shape[0] < least_frames:
        raise InputError(
            explain(
                f"a movie (frames, rows, columns) of {least_frames} frames or more",
                f"shape {shape}",
                "pass what cm.load returns, or another movie: a single image can't be measured over time",
            )
        )
    return movie


def excerpt(images: Any, truth: Truth | None = None, most_frames: int = 600, most_px: int = 128) -> Excerpt:
    """
    Cut out the liveliest piece of a movie.

    Trying parameters on a piece takes seconds where the whole takes minutes. The piece starts with the first
    frame; its place is where brightness changes most compared with its noise, because an empty corner teaches
    nothing.

    Parameters
    ----------
    images : array of shape (T, d1, d2)
        Movie, best after motion correction.
    truth : Truth, optional
        The answer key of the same movie.
    most_frames : int
        Longest piece.
    most_px : int
        Most rows and columns.

    Returns
    -------
    Excerpt
        The piece; prints as a line.

    Raises
    ------
    InputError
        If `images` isn't a movie.
    """
    T, *dims = np.shape(as_movie(images))
    frames = slice(0, min(T, most_frames))
    part = np.asarray(images[frames], dtype=np.float32)
    rows, columns = (slice(start, start + min(n, most_px)) for start, n in zip(_place(part, most_px), dims))
    piece = np.nan_to_num(part[:, rows, columns], posinf=0.0, neginf=0.0)
    return Excerpt(
        piece, frames, rows, columns, None if truth is None else _part_of(truth, frames, rows, columns)
    )


def _place(movie: np.ndarray, most_px: int) -> tuple[int, int]:
    """Find the corner of the box in which most happens."""
    from scipy.ndimage import uniform_filter

    if max(movie.shape[1:]) <= most_px:
        return 0, 0
    sample = np.nan_to_num(movie[:: max(1, len(movie) // 200)])
    smooth = uniform_filter(sample, (0, 5, 5))
    noise = np.median(np.abs(np.diff(smooth, axis=0)), axis=0) + 1e-6
    swing = (np.percentile(smooth, 99, axis=0) - np.median(smooth, axis=0)) / noise
    box = [min(n, most_px) for n in swing.shape]
    mean = uniform_filter(np.minimum(swing, np.percentile(swing, 99)), box, mode="constant")
    low = [n // 2 for n in box]
    high = [n - size + half for n, size, half in zip(swing.shape, box, low)]
    inner = mean[low[0] : high[0] + 1, low[1] : high[1] + 1]
    row, column = np.unravel_index(np.argmax(inner), inner.shape)
    return int(row), int(column)


def _part_of(truth: Truth, frames: slice, rows: slice, columns: slice) -> Truth:
    """Cut the answer key; cells that are mostly outside, or silent, needn't be found."""
    A = truth.A[:, rows, columns]
    light = A.sum(axis=(1, 2)) / np.maximum(truth.A.sum(axis=(1, 2)), 1e-12)
    C, S = truth.C[:, frames], truth.S[:, frames]
    swing, usual = np.ptp(C, axis=1), np.ptp(truth.C, axis=1)
    detectable = truth.detectable & (light >= _INSIDE) & (swing >= 0.3 * usual) & (swing > 0)
    cut = replace(truth, A=A, C=C, S=S, shifts=truth.shifts[frames], detectable=detectable)
    return cut.select(np.flatnonzero(light > 0.2))
