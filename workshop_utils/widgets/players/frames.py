"""From frames to a grey picture: what a player does without any widget."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from cnmf_engine.base.errors import InputError, explain
from workshop_utils.figures.movies import spread_frames
from workshop_utils.measures.pieces import check_movie

__all__ = [
    "GAP",
    "Limits",
    "compose_frame",
    "encode",
    "frame_label",
    "frame_numbers",
    "limits_label",
    "magnification",
    "movie_limits",
    "resized",
]

#: Black pixels between two movies.
GAP = 4


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
    if low == high:  # few pixels differ from the rest: these are what there is to see
        low, high = float(sample.min()), float(sample.max())
    return Limits(low, high) if high > low else Limits(low - 0.5, low + 0.5)


def compose_frame(frames: Sequence[Any], limits: Sequence[tuple[float, float]]) -> np.ndarray:
    """
    Set frames side by side in one grey picture.

    Parameters
    ----------
    frames : sequence of arrays of shape (d1, d2)
        One frame of each movie; smaller ones are padded with black below.
    limits : sequence of (float, float)
        What is drawn black and white in each.

    Returns
    -------
    ndarray of shape (rows, columns), uint8
        The picture. NaN is black, values outside the limits are cut off.
    """
    if len(frames) != len(limits) or len(frames) == 0:
        raise InputError(
            explain(
                "as many limits as frames, at least one",
                f"{len(frames)} frames and {len(limits)} limits",
                "pass one (low, high) for each movie",
            )
        )
    height = max(np.shape(frame)[0] for frame in frames)
    columns = []
    for frame, (low, high) in zip(frames, limits):
        values = (np.asarray(frame, np.float32) - low) * (255.0 / max(high - low, 1e-12))
        grey = np.nan_to_num(values, posinf=255.0, neginf=0.0).clip(0, 255).astype(np.uint8)
        columns += [np.pad(grey, ((0, height - grey.shape[0]), (0, 0))), np.zeros((height, GAP), np.uint8)]
    return np.concatenate(columns[:-1], axis=1)


def magnification(
    shapes: Sequence[tuple[int, int, int]], width: float, height: float, most: float = 6
) -> float:
    """
    Choose how much larger movies side by side are drawn, so that they fill a rectangle.

    Parameters
    ----------
    shapes : sequence of (int, int, int)
        Frames, rows, columns of each movie.
    width, height : float
        The rectangle, pixels.
    most : float
        Upper end.

    Returns
    -------
    float
        From 2 up a whole number, so that every pixel stays a square of the same size.
    """
    across = sum(shape[2] for shape in shapes) + GAP * (len(shapes) - 1)
    fit = min(width / across, height / max(shape[1] for shape in shapes), most)
    return float(int(fit)) if fit >= 2 else float(fit)


def resized(picture: np.ndarray, scale: float) -> np.ndarray:
    """
    Enlarge or shrink a picture.

    Parameters
    ----------
    picture : ndarray of shape (rows, columns), uint8
        The picture.
    scale : float
        Size of a pixel. Whole numbers keep pixels sharp; below 1, pixels are averaged.

    Returns
    -------
    ndarray of shape (rows, columns), uint8
        The picture, at least one pixel large.
    """
    import cv2

    if scale == 1:
        return picture
    size = tuple(max(1, round(n * scale)) for n in picture.shape[::-1])
    if scale < 1:
        way = cv2.INTER_AREA
    else:
        way = cv2.INTER_NEAREST if float(scale).is_integer() else cv2.INTER_LINEAR
    return cv2.resize(picture, size, interpolation=way)


def encode(picture: np.ndarray, quality: int = 80) -> bytes:
    """
    Make the bytes of a JPEG file from a picture.

    Parameters
    ----------
    picture : ndarray of shape (rows, columns), uint8
        The picture.
    quality : int
        Of JPEG, 1 to 100.

    Returns
    -------
    bytes
        The file.
    """
    import cv2

    done, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise InputError(
            explain("a picture that JPEG can hold", f"{picture.shape}", "play fewer movies at once")
        )
    return data.tobytes()


def frame_label(frame: int, n_frames: int, fr: float) -> str:
    """
    Say which frame is shown, counted from 1, and when it was taken.

    Parameters
    ----------
    frame : int
        Its number, from 0.
    n_frames : int
        Frames of the movie.
    fr : float
        Frame rate, Hz.

    Returns
    -------
    str
        For example ``'frame 12 of 1000, 1.10 s'``.
    """
    return f"frame {frame + 1} of {n_frames}, {frame / fr:.2f} s"


def limits_label(limits: tuple[float, float]) -> str:
    """
    Say what is drawn black and white.

    Parameters
    ----------
    limits : (float, float)
        In the movie's unit.

    Returns
    -------
    str
        For example ``'black 103, white 540'``, with as many decimals as tell the two apart.
    """
    low, high = limits
    decimals = int(np.clip(2 - np.floor(np.log10(max(high - low, 1e-12))), 0, 12))
    return f"black {low:.{decimals}f}, white {high:.{decimals}f}"


def frame_numbers(frames: Any, n_frames: int) -> list[int]:
    """
    Make a list of frame numbers from what a user may pass.

    Parameters
    ----------
    frames : None, slice, (int, int), range or sequence of int
        All frames, a slice, from a frame up to and without another, or the numbers themselves.
    n_frames : int
        Frames of the movie.

    Returns
    -------
    list of int
        Numbers from 0 to ``n_frames - 1``, at least one.

    Raises
    ------
    InputError
        If there is none, or one of them isn't in the movie.
    """
    if frames is None:
        return list(range(n_frames))
    if isinstance(frames, tuple) and len(frames) == 2:
        frames = slice(*frames)
    if isinstance(frames, slice):
        frames = range(*frames.indices(n_frames))
    numbers = [int(t) for t in frames]
    outside = [t for t in numbers if not -n_frames <= t < n_frames]
    if outside or not numbers:
        raise InputError(
            explain(
                f"frames from 0 to {n_frames - 1}",
                f"frame {outside[0]}" if outside else "no frame",
                f"pass for example frames=(0, {n_frames}), or leave it out for the whole movie",
            )
        )
    return [t % n_frames for t in numbers]
