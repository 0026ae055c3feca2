"""How the field is cut into patches, and how the background is told from the cells."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from scipy import sparse

from cnmf_engine.base.errors import ParameterError, explain
from cnmf_engine.stages.cnmfe.background import fit_ring, reconstruct_background
from cnmf_engine.stages.cnmfe.options import Ring
from workshop_utils.figures.base import (
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
from workshop_utils.measures.pieces import check_movie

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

    from cnmf_engine.view.matplotlib_views import patch_starts

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


class _Ring(NamedTuple):
    """A pixel's ring as the engine fits it: places and weights, the pixel's trace, and its prediction."""

    rows: np.ndarray
    cols: np.ndarray
    weights: np.ndarray
    target: np.ndarray
    predicted: np.ndarray


def _ring_of(movie: Any, pixel: tuple[int, int], radius: float, ssub: int, most: int) -> _Ring:
    """Fit the engine's ring model around a pixel; the weights are those of the block that it is in."""
    # As far as the rings of the pixel's own block reach, beginning with a whole block.
    reach = math.ceil(radius) + 2 * ssub
    firsts = [max(place - reach, 0) // ssub * ssub for place in pixel]
    area = tuple(slice(first, place + reach + 1) for first, place in zip(firsts, pixel))
    part = np.nan_to_num(np.asarray(movie[slice(0, most), *area], dtype=np.float32))
    dims = part.shape[1:]
    Y = part.reshape(len(part), -1, order="F").T
    no_cells = sparse.csc_matrix((Y.shape[0], 0), dtype=np.float32), np.zeros((0, len(part)), np.float32)
    model = fit_ring(Y, *no_cells, dims, Ring(radius, ssub))
    own = tuple(place - first for place, first in zip(pixel, firsts))
    at = own[0] + dims[0] * own[1]
    background = reconstruct_background(Y, *no_cells, model.W, model.b0, dims)
    n_rows = -(-dims[0] // ssub)
    weights = model.W[own[0] // ssub + n_rows * (own[1] // ssub)].tocoo()
    rows, cols = (
        first + ssub * coarse + (ssub - 1) / 2
        for first, coarse in zip(firsts, (weights.col % n_rows, weights.col // n_rows))
    )
    return _Ring(rows, cols, weights.data, Y[at].astype(np.float64), background[at].astype(np.float64))


def _draw_ring(picture: Axes, movie: Any, pixel: tuple[int, int], ring: _Ring, radius: float) -> None:
    """Draw a pixel and its ring, with the weights, on the mean image of their surroundings."""
    reach = int(2.2 * radius) + 2
    area = (
        slice(max(pixel[0] - reach, 0), pixel[0] + reach),
        slice(max(pixel[1] - reach, 0), pixel[1] + reach),
    )
    step = max(movie.shape[0] // 300, 1)
    show_image(picture, np.asarray(movie[::step][:, *area]).mean(axis=0), "Mean image", cmap="gray")
    place = (pixel[1] - area[1].start, pixel[0] - area[0].start)
    largest = max(float(np.abs(ring.weights).max(initial=0)), 1e-12)
    for chosen, label, face in (
        (ring.weights >= 0, "ring", COLORS["rejected"]),
        (ring.weights < 0, "weight below 0", "none"),
    ):
        x, y = ring.cols[chosen] - area[1].start, ring.rows[chosen] - area[0].start
        size = 6 + 40 * np.abs(ring.weights[chosen]) / largest
        if chosen.any():
            picture.scatter(x, y, s=size, fc=face, ec=COLORS["rejected"], lw=0.8, label=label)
    picture.scatter(*place, s=36, c=COLORS["accepted"], marker="s", label="pixel")
    arrow = {"arrowstyle": "<-", "color": "white", "lw": 1.5, "shrinkA": 0, "shrinkB": 2}
    picture.annotate("", place, (place[0] - radius, place[1]), arrowprops=arrow)
    picture.set_xlabel(
        f"{len(ring.weights)} places of the ring, {radius:g} px away;\nlarger: more weight in the prediction"
    )
    picture.legend(loc="upper left", facecolor="0.25", labelcolor="white", frameon=True, handletextpad=0.1)


@styled
def ring_figure(
    movie: Any, pixel: Sequence[int], radius: float, fr: float, ssub: int = 2, most: int = 3000
) -> LessonFigure:
    """
    Show the idea of the ring background at one pixel, with the weights that the engine gives its ring.

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
    ssub : int
        Side of the blocks of pixels that are averaged for the ring, px (`ssub_B`).
    most : int
        Frames to use at most, from the start.

    Returns
    -------
    LessonFigure
        The pixel and its ring in the mean image; its trace, what its ring predicts before any cell is known,
        and what is left.

    Raises
    ------
    InputError
        If the ring lies outside the image.
    """
    check_movie(movie)
    pixel = (int(pixel[0]), int(pixel[1]))
    ring = _ring_of(movie, pixel, radius, ssub, most)
    target, predicted = ring.target, ring.predicted
    left = target - predicted
    figure = LessonFigure(figsize=(11.0, 4.2), layout="constrained", facecolor="white")
    grid = figure.add_gridspec(2, 3)
    picture, above = figure.add_subplot(grid[:, 0]), figure.add_subplot(grid[0, 1:])
    below = figure.add_subplot(grid[1, 1:], sharex=above)
    _draw_ring(picture, movie, pixel, ring, radius)
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
        f"A pixel at row {pixel[0]}, column {pixel[1]} and its ring of {len(ring.weights)} places at a "
        f"distance of {radius:g}. The ring's prediction correlates with the pixel with r = {together:.2f} "
        f"and explains {explained:.0%} of its variance. The rest, drawn below, reaches {left.max():.3g} "
        f"counts; its r with the prediction is {left_over:.2f}."
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
