"""From frames to a grey picture: what a player does without any widget."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from cnmf_engine.errors import InputError, explain
from workshop_utils.plots.movies import check_movie, spread_frames

__all__ = ["FrameSource", "GAP", "Limits", "compose_frame", "encode", "movie_limits"]

#: Black pixels between two movies.
GAP = 4


class FrameSource:
    """
    A movie whose frames are made when they are looked at.

    Parameters
    ----------
    shape : (int, int, int)
        Frames, rows, columns.
    read : callable
        Gives the frame (rows, columns) of a number.
    """

    def __init__(self, shape: tuple[int, int, int], read: Callable[[int], Any]) -> None:
        self.shape = tuple(int(n) for n in shape)
        self._read = read

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, frame: int) -> np.ndarray:
        return np.asarray(self._read(int(frame)))


class Limits(NamedTuple):
    """
    Brightness that is drawn black, and brightness that is drawn white.

    Attributes
    ----------
    low, high : float
        In the movie's unit.
    """

    low: float
    high: float


def movie_limits(movie: Any, q: tuple[float, float] = (1.0, 99.75), n: int = 12) -> Limits:
    """
    Choose a contrast from some frames, spread over the whole movie.

    Parameters
    ----------
    movie : array of shape (T, d1, d2)
        Movie, memory map or `FrameSource`.
    q : (float, float)
        Percentiles for black and white.
    n : int
        Frames to look at.

    Returns
    -------
    Limits
        In the movie's unit; `high` is always larger than `low`.
    """
    shape = check_movie(movie)
    sample = np.concatenate(
        [np.asarray(movie[int(t)], np.float32).ravel() for t in spread_frames(shape[0], n)]
    )
    sample = sample[np.isfinite(sample)]
    if sample.size == 0:
        return Limits(0.0, 1.0)
    low, high = (float(v) for v in np.percentile(sample, q))
    return Limits(low, high) if high > low else Limits(low - 0.5, low + 0.5)


def compose_frame(
    frames: Sequence[Any], limits: Sequence[tuple[float, float]], gains: Sequence[float] | None = None
) -> np.ndarray:
    """
    Set frames side by side in one grey picture.

    Parameters
    ----------
    frames : sequence of arrays of shape (d1, d2)
        One frame of each movie; smaller ones are padded with black below.
    limits : sequence of (float, float)
        What is drawn black and white in each.
    gains : sequence of float, optional
        Factor on the brightness of each, after the limits.

    Returns
    -------
    ndarray of shape (rows, columns), uint8
        The picture. NaN is black, values outside the limits are cut off.
    """
    gains = [1.0] * len(frames) if gains is None else gains
    if not len(frames) == len(limits) == len(gains) or len(frames) == 0:
        raise InputError(
            explain(
                "as many limits and gains as frames, at least one",
                f"{len(frames)} frames, {len(limits)} limits and {len(gains)} gains",
                "pass one (low, high) and one gain for each movie",
            )
        )
    height = max(np.shape(frame)[0] for frame in frames)
    columns = []
    for frame, (low, high), gain in zip(frames, limits, gains):
        values = (np.asarray(frame, np.float32) - low) * (255.0 * gain / max(high - low, 1e-12))
        grey = np.nan_to_num(values, posinf=255.0, neginf=0.0).clip(0, 255).astype(np.uint8)
        columns += [np.pad(grey, ((0, height - grey.shape[0]), (0, 0))), np.zeros((height, GAP), np.uint8)]
    return np.concatenate(columns[:-1], axis=1)


def encode(picture: np.ndarray, magnification: int = 1) -> bytes:
    """
    Make the bytes of a JPEG file from a picture.

    Parameters
    ----------
    picture : ndarray of shape (rows, columns), uint8
        The picture.
    magnification : int
        Each pixel becomes this many squared, so that pixels stay sharp on screen.

    Returns
    -------
    bytes
        The file.
    """
    import cv2

    if magnification > 1:
        picture = cv2.resize(
            picture, None, fx=magnification, fy=magnification, interpolation=cv2.INTER_NEAREST
        )
    done, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 88])
    if not done:
        raise InputError(
            explain("a picture that JPEG can hold", f"{picture.shape}", "play fewer movies at once")
        )
    return data.tobytes()
