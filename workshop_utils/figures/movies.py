"""Movies as frames, brightness and what makes up their light."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from workshop_utils.figures.base import (
    COLORS,
    LessonFigure,
    as_image,
    clear_spines,
    image_height,
    limits,
    new_figure,
    show_image,
    styled,
)
from workshop_utils.measures.pieces import check_movie

__all__ = ["background_figure", "movie_frames", "movie_strip"]


def spread_frames(n_frames: int, n: int) -> np.ndarray:
    """Choose frames evenly over a movie, fewer if it is shorter."""
    return np.unique(np.linspace(0, n_frames - 1, max(int(n), 1)).round().astype(int))


def mean_brightness(movie: Any, most: int = 2000) -> tuple[np.ndarray, np.ndarray]:
    """Mean of each frame, of every n-th in a long movie; read frame by frame, so memory stays small."""
    step = -(-movie.shape[0] // most)
    chosen = np.arange(0, movie.shape[0], step)
    return chosen, np.array([float(np.nanmean(movie[int(t)])) for t in chosen])


@styled
def movie_frames(
    movie: Any,
    fr: float,
    frames: Sequence[int] | None = None,
    n: int = 4,
    q: tuple[float, float] = (1.0, 99.75),
) -> LessonFigure:
    """
    Show some frames with a common contrast, and the mean brightness over time below.

    Parameters
    ----------
    movie : array of shape (T, d1, d2)
        Movie or memory map.
    fr : float
        Frame rate, Hz.
    frames : sequence of int, optional
        Which frames; default `n` of them, evenly over the movie.
    n : int
        How many.
    q : tuple of float
        Percentiles for black and white.

    Returns
    -------
    LessonFigure
        The figure.
    """
    n_frames, n_rows, n_cols = check_movie(movie)
    chosen = spread_frames(n_frames, n) if frames is None else np.asarray(frames, dtype=int)
    pictures = [as_image(movie[int(t)]) for t in chosen]
    clim = limits(np.stack(pictures), *q)
    width = 10.0 / len(chosen)
    height = image_height((n_rows, n_cols), width, 0.4)
    figure = LessonFigure(figsize=(10.0, height + 1.7), layout="constrained", facecolor="white")
    grid = figure.add_gridspec(2, len(chosen), height_ratios=(height, 1.5))
    for place, (t, picture) in enumerate(zip(chosen, pictures)):
        show_image(figure.add_subplot(grid[0, place]), picture, f"{t / fr:.1f} s", clim, "gray")
    ax = figure.add_subplot(grid[1, :])
    read, brightness = mean_brightness(movie)
    ax.plot(read / fr, brightness, color=COLORS["line"])
    ax.plot(chosen / fr, [picture.mean() for picture in pictures], "o", color=COLORS["second"], ms=5)
    clear_spines(ax, xlabel="time (s)", ylabel="mean brightness\n(counts)")
    change = 100 * (brightness.max() - brightness.min()) / max(abs(float(brightness.mean())), 1e-9)
    figure.alt = (
        f"{len(chosen)} frames of a movie of {n_rows} by {n_cols} pixels and {n_frames / fr:.1f} s, at "
        + ", ".join(f"{t / fr:.1f}" for t in chosen)
        + f" s; below, the mean brightness over time, which varies by {change:.2g} percent."
    )
    return figure


@styled
def background_figure(movie: Any, fr: float, window: float = 5.0) -> LessonFigure:
    """
    Show what a one-photon background is made of: steady glow, its slow drift, and fast changes on top.

    Parameters
    ----------
    movie : array of shape (T, d1, d2)
        Movie or memory map; of a long one some 600 frames are read.
    fr : float
        Frame rate, Hz.
    window : float
        What takes longer than this many seconds counts as slow.

    Returns
    -------
    LessonFigure
        The figure.
    """
    from scipy.ndimage import uniform_filter1d

    n_frames, n_rows, n_cols = check_movie(movie)
    step = -(-n_frames // 600)
    part = np.asarray(movie[::step], dtype=np.float32)
    slow = uniform_filter1d(part, max(int(window * fr / step), 1), axis=0)
    images = {
        "Steady glow (mean)": part.mean(axis=0),
        f"Slower than {window:g} s (s.d.)": slow.std(axis=0),
        f"Faster than {window:g} s (s.d.)": (part - slow).std(axis=0),
    }
    figure, axes = new_figure(1, 3, (11.0, image_height((n_rows, n_cols), 3.0)))
    for ax, (title, image) in zip(axes[0], images.items()):
        show_image(ax, image, title, bar="counts")
    means = ", ".join(f"{title.lower()} {image.mean():.1f}" for title, image in images.items())
    figure.alt = (
        f"Three images that divide the movie's light by how fast it changes; averages in counts: {means}."
    )
    return figure


@styled
def movie_strip(
    movies: Sequence[Any],
    fr: float,
    titles: Sequence[str] | None = None,
    clims: Sequence[tuple[float, float]] | None = None,
    n: int = 5,
) -> LessonFigure:
    """
    Show a few frames of each movie, a movie a row: what a player leaves where nothing can play.

    Parameters
    ----------
    movies : sequence of arrays of shape (T, d1, d2)
        Movies with the same number of frames.
    fr : float
        Frame rate, Hz.
    titles : sequence of str, optional
        Name of each movie.
    clims : sequence of tuple of float, optional
        Black and white for each movie; default percentiles of the frames shown.
    n : int
        Frames of each.

    Returns
    -------
    LessonFigure
        The figure.
    """
    shapes = [check_movie(movie) for movie in movies]
    titles = list(titles or [f"movie {k}" for k in range(1, len(movies) + 1)])
    chosen = spread_frames(shapes[0][0], n)
    width = min(10.0 / len(chosen), 3.0)
    height = sum(image_height(shape[1:], width - 0.1, 0.1) for shape in shapes) + 0.3
    figure, axes = new_figure(len(movies), len(chosen), (width * len(chosen), height))
    for k, movie in enumerate(movies):
        pictures = [as_image(movie[int(t)]) for t in chosen]
        clim = clims[k] if clims else limits(np.stack(pictures))
        for ax, t, picture in zip(axes[k], chosen, pictures):
            show_image(ax, picture, f"{t / fr:.1f} s" if k == 0 else "", clim, "gray")
        axes[k, 0].set_ylabel(titles[k])
    times = ", ".join(f"{t / fr:.1f}" for t in chosen)
    figure.alt = f"Frames of {', '.join(titles)}, a movie a row, at {times} s."
    return figure
