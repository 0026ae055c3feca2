"""How the field is cut into patches, and how the background is told from the cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from cnmf_engine.errors import ParameterError, explain
from workshop_utils.plots.base import (
    COLORS,
    LessonFigure,
    as_image,
    clear_spines,
    image_height,
    limits,
    new_figure,
    seconds,
    show_image,
    styled,
)
from workshop_utils.plots.movies import check_movie

__all__ = ["decomposition", "patch_quilt", "ring_figure"]


@styled
def patch_quilt(image: Any, rf: int, stride: int, gSig: float = 3.0) -> LessonFigure:
    """
    Show how the field is cut into overlapping patches, beside the size of a cell.

    Parameters
    ----------
    image : array of shape (d1, d2)
        Correlation image.
    rf, stride : int
        The parameters of that name: a patch is `2 * rf + 1` px wide and shares `stride + 1` px with the next.
    gSig : float
        Width of a cell, px; four times that is taken for its diameter.

    Returns
    -------
    LessonFigure
        The figure.
    """
    from matplotlib.patches import Circle, Rectangle

    from cnmf_engine.visualization.matplotlib_views import patch_starts

    image = as_image(image)
    width, overlap = 2 * int(rf) + 1, int(stride) + 1
    if rf < 1 or overlap >= width:
        raise ParameterError(
            explain(
                "a patch wider than its overlap (stride < 2 * rf)",
                f"rf={rf}, stride={stride}",
                "raise rf or lower stride",
            )
        )
    starts = [patch_starts(size, width, width - overlap) for size in image.shape]
    figure, axes = new_figure(1, 1, (7.0, image_height(image.shape, 6.2, 0.7)))
    ax = axes[0, 0]
    show_image(ax, image, clim=limits(image, 50, 99.5), cmap="gray")
    for row in starts[0]:
        for col in starts[1]:
            size = (min(width, image.shape[1]), min(width, image.shape[0]))
            ax.add_patch(Rectangle((col - 0.5, row - 0.5), *size, color=COLORS["accepted"], alpha=0.16, lw=0))
            ax.add_patch(
                Rectangle((col - 0.5, row - 0.5), *size, fill=False, ec=COLORS["accepted"], lw=0.8, alpha=0.7)
            )
    ax.add_patch(
        Rectangle(
            (-0.5, -0.5),
            min(width, image.shape[1]),
            min(width, image.shape[0]),
            fill=False,
            ec=COLORS["rejected"],
            lw=2,
        )
    )
    middle = (min(width, image.shape[1]) / 2, min(width, image.shape[0]) / 2)
    ax.add_patch(Circle(middle, 2 * gSig, fill=False, ec=COLORS["rejected"], lw=1.6))
    ax.set(xlim=(-1.5, image.shape[1] + 0.5), ylim=(image.shape[0] + 0.5, -1.5))
    n_patches, cells = len(starts[0]) * len(starts[1]), width / (4 * gSig)
    ax.set_title(
        f"{n_patches} patches, {width} px wide = {cells:.1f} cells (circle: a cell of gSig {gSig:g});"
        f"\noverlap {overlap} px = {overlap / (4 * gSig):.1f} cells, stride {width - overlap} px"
    )
    figure.alt = (
        f"The field of {image.shape[0]} by {image.shape[1]} pixels cut into {n_patches} patches of {width} "
        f"pixels, {cells:.1f} cells wide, which overlap by {overlap} pixels."
    )
    return figure


def _ring_pixels(
    pixel: Sequence[int], radius: float, shape: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the pixels of the image whose distance rounds to the radius."""
    rows, cols = np.indices(shape)
    distance = np.hypot(rows - pixel[0], cols - pixel[1])
    ring = (distance >= radius) & (distance < radius + 1)
    if not ring.any():
        raise ParameterError(
            explain(
                f"a ring that lies at least partly in the image of {shape[0]} x {shape[1]} pixels",
                f"radius {radius:g} around pixel {tuple(int(p) for p in pixel)}",
                "lower ring_size_factor or gSiz, or choose another pixel",
            )
        )
    return np.nonzero(ring)


def _predict(target: np.ndarray, ring: np.ndarray) -> np.ndarray:
    """
    Predict a pixel's changes from its ring by damped least squares.

    Undamped, as many weights as ring pixels would also fit the cell's transients in a short recording. The
    damping leaves what the whole ring has in common, which carries most of the variance, nearly untouched.
    """
    centred = ring - ring.mean(axis=1, keepdims=True)
    gram = centred @ centred.T
    gram[np.diag_indices_from(gram)] += max(1e-2 * float(np.trace(gram)), 1e-9)
    weights = np.linalg.solve(gram, centred @ (target - target.mean()))
    return target.mean() + weights @ centred


def _draw_ring(
    picture: Axes, movie: Any, pixel: tuple[int, int], ring: tuple[np.ndarray, np.ndarray], radius: float
) -> None:
    """Draw a pixel and its ring on the mean image of their surroundings."""
    rows, cols = ring
    reach = int(2.2 * radius) + 2
    area = (
        slice(max(pixel[0] - reach, 0), pixel[0] + reach),
        slice(max(pixel[1] - reach, 0), pixel[1] + reach),
    )
    step = max(movie.shape[0] // 300, 1)
    show_image(picture, np.asarray(movie[::step][:, *area]).mean(axis=0), "Mean image", cmap="gray")
    place = (pixel[1] - area[1].start, pixel[0] - area[0].start)
    picture.scatter(cols - area[1].start, rows - area[0].start, s=9, c=COLORS["rejected"], label="ring")
    picture.scatter(*place, s=36, c=COLORS["accepted"], marker="s", label="pixel")
    arrow = {"arrowstyle": "<-", "color": "white", "lw": 1.5, "shrinkA": 0, "shrinkB": 2}
    picture.annotate("", place, (place[0] - radius, place[1]), arrowprops=arrow)
    picture.set_xlabel(f"{len(rows)} ring pixels, {radius:g} px away;\nthe mean image of the surroundings")
    picture.legend(loc="upper left", facecolor="0.25", labelcolor="white", frameon=True, handletextpad=0.1)


@styled
def ring_figure(movie: Any, pixel: Sequence[int], radius: float, fr: float, most: int = 3000) -> LessonFigure:
    """
    Show the idea of the ring background at one pixel.

    Parameters
    ----------
    movie : array of shape (T, d1, d2)
        Movie or memory map, motion corrected.
    pixel : (int, int)
        Row and column of a pixel in a cell.
    radius : float
        Radius of the ring, px (`ring_size_factor * gSiz`).
    fr : float
        Frame rate, Hz.
    most : int
        Frames to use at most, from the start.

    Returns
    -------
    LessonFigure
        The pixel and its ring in the mean image; its trace, what its ring predicts, and what is left.
    """
    n_frames, n_rows, n_cols = check_movie(movie)
    pixel = (int(pixel[0]), int(pixel[1]))
    rows, cols = _ring_pixels(pixel, radius, (n_rows, n_cols))
    part = slice(0, min(n_frames, most))
    ring = np.stack([np.asarray(movie[part, r, c], dtype=np.float64) for r, c in zip(rows, cols)])
    target = np.asarray(movie[part, pixel[0], pixel[1]], dtype=np.float64)
    ring, target = np.nan_to_num(ring), np.nan_to_num(target)
    predicted = _predict(target, ring)
    left = target - predicted
    figure = LessonFigure(figsize=(11.0, 4.2), layout="constrained", facecolor="white")
    grid = figure.add_gridspec(2, 3)
    picture, above = figure.add_subplot(grid[:, 0]), figure.add_subplot(grid[0, 1:])
    below = figure.add_subplot(grid[1, 1:], sharex=above)
    _draw_ring(picture, movie, pixel, (rows, cols), radius)
    time = seconds(target.size, fr)
    together, left_over = _correlation(target, predicted), _correlation(left, predicted)
    above.plot(time, target, color=COLORS["line"], lw=0.9, label="pixel")
    above.plot(
        time, predicted, color=COLORS["rejected"], lw=1.4, ls=(0, (5, 1)), label="predicted from its ring"
    )
    above.legend(loc="lower right", bbox_to_anchor=(1, 0.97), ncols=2, borderaxespad=0)
    above.tick_params(labelbottom=False)
    above.set_title(f"Both together: r = {together:.2f}", loc="left")
    clear_spines(above, ylabel="counts")
    below.plot(time, left, color=COLORS["line"], lw=0.9)
    below.axhline(0, color="0.6", lw=0.8)
    clear_spines(below, xlabel="time (s)", ylabel="counts")
    below.set_title(
        f"Pixel minus prediction: cell and noise; r with the prediction {left_over:.2f}", loc="left"
    )
    explained = 1 - left.var() / max(float(target.var()), 1e-12)
    figure.alt = (
        f"A pixel at row {pixel[0]}, column {pixel[1]} and its ring of {len(rows)} pixels at a distance of "
        f"{radius:g}. The ring's prediction correlates with the pixel with r = {together:.2f} and explains "
        f"{explained:.0%} of its variance. The rest, drawn below, reaches {left.max():.3g} counts; its r "
        f"with the prediction is {left_over:.2f}."
    )
    return figure


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Correlate two traces; 0 where one of them is constant or misses values."""
    a, b = a - a.mean(), b - b.mean()
    length = float(np.linalg.norm(a) * np.linalg.norm(b))
    r = float(a @ b) / length if length > 0 else 0.0
    return 0.0 if abs(r) < 0.005 else r


@styled
def decomposition(movie: Any, cells: Any, background: Any, residual: Any) -> LessonFigure:
    """
    Show one frame as the sum of cells, background and residual.

    Parameters
    ----------
    movie, cells, background, residual : arrays of shape (d1, d2)
        The same frame of the movie and of the model's parts, counts.

    Returns
    -------
    LessonFigure
        Four images. Movie and background share one contrast; the others have their own, given by their bars.
    """
    parts = {
        "Movie": as_image(movie, "movie"),
        "= background": as_image(background, "background"),
        "+ cells": as_image(cells, "cells"),
        "+ residual": as_image(residual, "residual"),
    }
    shape = parts["Movie"].shape
    shared = limits(parts["Movie"], 0.5, 99.9)
    edge = float(np.percentile(np.abs(parts["+ residual"]), 99.5)) or 1.0
    clims = [shared, shared, limits(parts["+ cells"], 0, 99.9), (-edge, edge)]
    figure, axes = new_figure(2, 2, (9.5, 2 * image_height(shape, 3.9, 0.35)))
    for ax, (title, image), clim in zip(axes.flat, parts.items(), clims):
        show_image(ax, image, title, clim, "gray" if clim is shared else "viridis", bar="counts")
    share = float(parts["+ residual"].std() / max(float(parts["Movie"].std()), 1e-12))
    figure.alt = (
        "One frame of the movie, and the background, cells and residual that add up to it. The residual's "
        f"standard deviation is {share:.1%} of the movie's."
    )
    return figure
