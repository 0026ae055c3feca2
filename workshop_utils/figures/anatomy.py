"""How peak-to-noise ratio and correlation come about at one pixel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes

from cnmf_engine.base.errors import ParameterError, explain
from workshop_utils.figures.base import (
    COLORS,
    LessonFigure,
    clear_spines,
    limits,
    new_figure,
    seconds,
    show_image,
    styled,
)
from workshop_utils.measures.pieces import check_movie

__all__ = ["pixel_anatomy"]

#: What doesn't rise to so many noise levels isn't counted in the correlation.
_SIGNAL_LEVEL = 3.0
_MOST_FRAMES = 3000


class _Pixel(NamedTuple):
    """
    A pixel of the filtered movie.

    Attributes
    ----------
    picture : ndarray
        Highest value of the filtered movie around the pixel, counts.
    at : (int, int)
        Where the pixel is in the picture.
    trace : ndarray of shape (T,)
        Its filtered trace in units of its noise; zeros where it has none.
    neighbours : ndarray of shape (up to 8, T)
        The same of its neighbours.
    cn, pnr, noise : float
        The engine's correlation and peak-to-noise ratio, and the noise (counts) that follows from them.
    """

    picture: np.ndarray
    at: tuple[int, int]
    trace: np.ndarray
    neighbours: np.ndarray
    cn: float
    pnr: float
    noise: float


def _measure(movie: Any, gSig: float, pixel: Sequence[int]) -> _Pixel:
    """Filter the surroundings of a pixel and let the engine measure them."""
    from cnmf_engine.stages.filters import filter_frames, mean_centred_kernel
    from workshop_utils.engine import cm

    n_frames, n_rows, n_cols = check_movie(movie)
    row, col = (int(v) for v in pixel)
    if not (0 <= row < n_rows and 0 <= col < n_cols):
        raise ParameterError(
            explain(f"a pixel of an image of {n_rows} x {n_cols}", f"({row}, {col})", "give (row, column)")
        )
    kernel = mean_centred_kernel(gSig)
    reach = int(4 * gSig) + 1
    around = reach + kernel.shape[0] // 2 + 1
    rows, cols = (slice(max(v - around, 0), v + around + 1) for v in (row, col))
    crop = np.asarray(movie[:: -(-n_frames // _MOST_FRAMES), rows, cols], dtype=np.float32)
    cn, pnr = (np.nan_to_num(v, posinf=0.0) for v in cm.summary_images.correlation_pnr(
        crop, gSig=gSig, swap_dim=False
    ))  # fmt: skip
    filtered = np.nan_to_num(filter_frames(crop, kernel))
    filtered -= filtered.mean(axis=0)
    r, c = row - rows.start, col - cols.start
    noise = filtered.max(axis=0) / np.maximum(pnr, 1e-9)
    scaled = np.where(pnr > 0, filtered / np.maximum(noise, 1e-9), 0.0)
    near = [
        scaled[:, y, x]
        for y in range(max(r - 1, 0), min(r + 2, crop.shape[1]))
        for x in range(max(c - 1, 0), min(c + 2, crop.shape[2]))
        if (y, x) != (r, c)
    ]
    inner = slice(max(r - reach, 0), r + reach + 1), slice(max(c - reach, 0), c + reach + 1)
    return _Pixel(
        filtered.max(axis=0)[inner],
        (r - inner[0].start, c - inner[1].start),
        scaled[:, r, c],
        np.array(near).reshape(-1, len(crop)),
        max(float(cn[r, c]), 0.0) if abs(cn[r, c]) < 0.005 else float(cn[r, c]),
        float(pnr[r, c]),
        float(noise[r, c]) if pnr[r, c] > 0 else 0.0,
    )


def _draw_place(ax: Axes, pixel: _Pixel, name: str) -> None:
    """Draw the surroundings, the pixel and its neighbours."""
    from matplotlib.patches import Rectangle

    row, col = pixel.at
    show_image(ax, pixel.picture, name, limits(pixel.picture, 1, 100), "gray")
    for size, color, style in ((3, COLORS["rejected"], "--"), (1, COLORS["accepted"], "-")):
        corner = (col - size / 2, row - size / 2)
        ax.add_patch(Rectangle(corner, size, size, fill=False, ec=color, ls=style, lw=1.6))
    ax.set_xlabel("filtered movie, highest value;\nsolid: the pixel,\ndashed: its 8 neighbours", fontsize=9)


def _draw_peak(ax: Axes, pixel: _Pixel, fr: float, top: float) -> None:
    """Draw the pixel's trace in units of its noise, with the peak marked."""
    time = seconds(pixel.trace.size, fr)
    ax.axhspan(-1, 1, color=COLORS["rejected"], alpha=0.45, lw=0)
    ax.plot(time, pixel.trace, color=COLORS["line"], lw=0.8)
    if pixel.pnr > 0:
        at = int(np.argmax(pixel.trace))
        late, tall = time[at] > 0.6 * time[-1], pixel.pnr > 0.3 * top
        arrow = {"arrowstyle": "<->", "color": COLORS["second"], "lw": 1.5}
        ax.annotate("", (time[at], pixel.pnr), (time[at], 0), arrowprops=arrow)
        ax.annotate(
            f"highest peak: {pixel.pnr:.3g} × the noise",
            (time[at], pixel.pnr),
            (-8 if late else 8, -3 if tall else 12),
            textcoords="offset points",
            ha="right" if late else "left",
            va="top",
            color=COLORS["second"],
            bbox={"fc": "white", "ec": "none", "alpha": 0.8, "pad": 1} if tall else None,
        )
        title = f"peak-to-noise ratio {pixel.pnr:.1f}   (band: ± the noise, {pixel.noise:.2g} counts)"
    else:
        title = "no peak-to-noise ratio: constant, or values are missing"
    clear_spines(
        ax,
        title=title,
        ylabel="times its noise",
        ylim=(min(-0.14 * top, 1.2 * float(pixel.trace.min())), 1.08 * top),
    )


def _draw_together(ax: Axes, pixel: _Pixel, fr: float) -> None:
    """Draw the pixel and its neighbours on top of each other around the highest peak."""
    at, half = int(np.argmax(pixel.trace)), max(int(5 * fr), 8)
    part = slice(max(at - half, 0), at + half)
    time = seconds(pixel.trace.size, fr)[part]
    for k, neighbour in enumerate(pixel.neighbours):
        label = "neighbours" if k == 0 else None
        ax.plot(time, neighbour[part], color=COLORS["rejected"], lw=1, ls="--", label=label)
    ax.plot(time, pixel.trace[part], color=COLORS["line"], lw=1.8, label="pixel")
    ax.axhspan(-_SIGNAL_LEVEL, _SIGNAL_LEVEL, color="0.5", alpha=0.2, lw=0, label="below 3: left out")
    low = min(-1.3 * _SIGNAL_LEVEL, float(pixel.neighbours[:, part].min(initial=0)))
    high = max(float(pixel.trace[part].max()), float(pixel.neighbours[:, part].max(initial=0)), 6.0)
    clear_spines(ax, title=f"correlation {pixel.cn:.2f}", ylim=(1.1 * low, 1.1 * high))


@styled
def pixel_anatomy(
    movie: Any, gSig: float, cell_pixel: Sequence[int], background_pixel: Sequence[int], fr: float
) -> LessonFigure:
    """
    Show how peak-to-noise ratio and correlation come about, in a cell and in the background.

    Parameters
    ----------
    movie : array of shape (T, d1, d2)
        Movie or memory map, motion corrected; only the surroundings of the pixels are read, and of a long
        movie some 3000 frames.
    gSig : float
        Width of a cell, px.
    cell_pixel, background_pixel : (int, int)
        Row and column of a pixel in a cell, and of one outside.
    fr : float
        Frame rate, Hz.

    Returns
    -------
    LessonFigure
        A row for each: where the pixel is in the filtered movie; its filtered trace in units of its noise, in
        which the peak's height is the peak-to-noise ratio; and, around that peak, the pixel and its
        neighbours on top of each other, whose likeness is the correlation. Both numbers are the engine's.

    Raises
    ------
    ParameterError
        If a pixel lies outside the movie.
    """
    n_frames = check_movie(movie)[0]
    rate = float(fr) / -(-n_frames // _MOST_FRAMES)
    pixels = {
        "Pixel in a cell": _measure(movie, gSig, cell_pixel),
        "Pixel in the background": _measure(movie, gSig, background_pixel),
    }
    figure, axes = new_figure(2, 3, (11.0, 5.8), width_ratios=(1, 2.1, 1.5))
    top = max(*(float(pixel.trace.max()) for pixel in pixels.values()), 4.0)
    for row, (name, pixel) in zip(axes, pixels.items()):
        _draw_place(row[0], pixel, name)
        _draw_peak(row[1], pixel, rate, top)
        _draw_together(row[2], pixel, rate)
    for ax in axes[1, 1:]:
        ax.set_xlabel("time (s)")
    axes[1, 2].legend(
        loc="upper center", bbox_to_anchor=(0.5, -0.22), ncols=3, handlelength=1.4, columnspacing=1
    )
    about = [
        f"{name.lower()} at row {int(place[0])}, column {int(place[1])}: its highest peak is {pixel.pnr:.1f} "
        f"times its noise of {pixel.noise:.2g} counts, and it correlates {pixel.cn:.2f} with its neighbours"
        for (name, pixel), place in zip(pixels.items(), (cell_pixel, background_pixel))
    ]
    figure.alt = f"Two pixels of the filtered movie. {about[0].capitalize()}. {about[1].capitalize()}."
    return figure
