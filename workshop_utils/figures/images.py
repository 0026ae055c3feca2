"""Summary images, kernels and what filters do to a frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from cnmf_engine.base.errors import InputError, explain
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

__all__ = ["filter_preview", "kernel_figure", "stage_strip", "summary_pair"]


def _summary_limits(image: np.ndarray) -> tuple[float, float]:
    """Choose the contrast at which summary images are usually judged: the dim half of the pixels dark."""
    return limits(image, 50, 99.5)


@styled
def summary_pair(max_projection: Any, correlation: Any) -> LessonFigure:
    """
    Show the maximum projection beside the local correlation image.

    Contrast runs from the 50th to the 99.5th percentile; NaN is drawn as 0.

    Parameters
    ----------
    max_projection : array of shape (d1, d2)
        Brightest value of each pixel, counts.
    correlation : array of shape (d1, d2)
        Correlation of each pixel with its neighbours.

    Returns
    -------
    LessonFigure
        The figure.
    """
    images = {
        "Maximum projection": (max_projection, "counts"),
        "Local correlation": (correlation, "correlation"),
    }
    shape = as_image(max_projection).shape
    figure, axes = new_figure(1, 2, (10.0, image_height(shape, 4.2)))
    for ax, (title, (image, unit)) in zip(axes[0], images.items()):
        clean = as_image(image, title)
        show_image(ax, clean, title, _summary_limits(clean), bar=unit)
    figure.alt = (
        f"Two images of {shape[0]} by {shape[1]} pixels. Left: the maximum of each pixel over time. Right: "
        f"its correlation with its neighbours, up to {np.nanmax(correlation):.2f}."
    )
    return figure


@styled
def kernel_figure(gSig: float, kernel: Any = None, frame: Any = None) -> LessonFigure:
    """
    Show the kernel that finds cells: a Gaussian minus its mean over a disk.

    Parameters
    ----------
    gSig : float
        Width of a cell (sigma of the Gaussian), px.
    kernel : array of shape (k, k), optional
        Another kernel than the engine's.
    frame : array of shape (d1, d2), optional
        A frame of the movie; adds it before and after filtering with the kernel.

    Returns
    -------
    LessonFigure
        The kernel as an image, and its middle row with the widths marked; with a frame, the frame and what
        the kernel leaves of it.
    """
    from cnmf_engine.stages.filters import filter_frames, mean_centred_kernel

    kernel = as_image(mean_centred_kernel(gSig) if kernel is None else kernel, "kernel")
    wide = 2 if frame is None else 4
    figure, axes = new_figure(
        1, wide, (8.5, 3.1) if frame is None else (11.0, 3.3), width_ratios=(1, 1.4, 1.35, 1.35)[:wide]
    )
    half = kernel.shape[1] // 2
    top = float(np.abs(kernel).max()) or 1.0
    image = axes[0, 0]
    drawn = image.imshow(kernel, cmap="PuOr_r", clim=(-top, top), extent=(-half - 0.5, half + 0.5) * 2)
    image.set(title=f"Kernel, gSig = {gSig:g} px", xlabel="columns (px)", ylabel="rows (px)")
    if frame is None:
        figure.colorbar(drawn, ax=image, shrink=0.85, pad=0.02, label="weight")
    _draw_profile(axes[0, 1], kernel, gSig)
    figure.alt = (
        f"The kernel for gSig {gSig:g}: a bump in a negative ring, {kernel.shape[1]} pixels wide in all; its "
        "weights sum to zero, so even brightness gives zero. Beside it, its middle row."
    )
    if frame is not None:
        frame = as_image(frame, "frame")
        filtered = filter_frames(frame, kernel)
        for ax, picture, title in (
            (axes[0, 2], frame, "One frame"),
            (axes[0, 3], filtered, "Filtered: small things stand out"),
        ):
            show_image(ax, picture, title, cmap="gray")
            ax.set_xlabel(f"mean {picture.mean():.1f}, highest {picture.max():.1f} counts")
        figure.alt += (
            f" Then a frame before and after: its mean goes from {frame.mean():.1f} to {filtered.mean():.1f} "
            f"counts, and what has the size of a cell reaches up to {filtered.max():.1f}."
        )
    return figure


def _draw_profile(ax: Axes, kernel: np.ndarray, gSig: float) -> None:
    """Draw the kernel's middle row with its zero line, what adds and what subtracts, and its widths."""
    from matplotlib.ticker import MaxNLocator

    half = kernel.shape[1] // 2
    x, y = np.arange(-half, half + 1), kernel[kernel.shape[0] // 2]
    fine = np.linspace(-half, half, 40 * half + 1)
    curve = np.interp(fine, x, y)
    ax.fill_between(fine, curve, 0, where=curve >= 0, color=COLORS["rejected"], alpha=0.5, lw=0)
    ax.fill_between(
        fine, curve, 0, where=curve <= 0, color=COLORS["mark"], alpha=0.5, lw=0, hatch="////", ec="w"
    )
    ax.plot(x, y, "o-", ms=3, color=COLORS["line"])
    ax.axhline(0, color="0.2", lw=1)
    top, low = max(float(y.max()), 1e-9), min(float(y.min()), 0.0)
    for reach, height, name in ((gSig, 1.14, "gSig"), (2 * gSig, 1.40, "2 gSig")):
        at = height * top
        arrow = {"arrowstyle": "<->", "color": COLORS["second"], "lw": 1.4, "shrinkA": 0, "shrinkB": 0}
        ax.annotate("", (-reach, at), (reach, at), arrowprops=arrow)
        ax.text(
            0, at, f"± {name} = ± {reach:g} px", ha="center", va="bottom", color=COLORS["second"], fontsize=9
        )
        ax.vlines((-reach, reach), 0, at, color=COLORS["second"], lw=0.8, ls=":")
    ax.text(0, 0.35 * top, "adds", ha="center", va="center")
    ax.text(0, 1.15 * low - 0.1 * top, "around it: subtracts (hatched)", ha="center", va="top", fontsize=9)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    clear_spines(ax, title="Its middle row", xlabel="distance (px)", ylabel="weight")
    ax.set_ylim(1.3 * low - 0.32 * top, 1.72 * top)


@styled
def filter_preview(frame: Any, filtered: Sequence[Any], widths: Sequence[float]) -> LessonFigure:
    """
    Show a frame and what is left of it after high-pass filters of several widths.

    Parameters
    ----------
    frame : array of shape (d1, d2)
        The frame as recorded.
    filtered : sequence of arrays of shape (d1, d2)
        The frame after each filter.
    widths : sequence of float
        Width `gSig_filt` of each filter, px.

    Returns
    -------
    LessonFigure
        The figure; each image has its own contrast.
    """
    if len(filtered) != len(widths):
        raise InputError(
            explain(
                "one width for each filtered frame",
                f"{len(filtered)} frames, {len(widths)} widths",
                "pass both",
            )
        )
    images = {"as recorded": frame} | {f"gSig_filt = {w:g} px": f for w, f in zip(widths, filtered)}
    figure = stage_strip(images, per_row=3)
    figure.alt = (
        "A frame as recorded and after high-pass filters of width "
        + ", ".join(f"{w:g}" for w in widths)
        + " px, each with its own contrast."
    )
    return figure


@styled
def stage_strip(
    stages: Mapping[str, Any], per_row: int = 5, cmap: str = "gray", numbered: bool = False
) -> LessonFigure:
    """
    Show the stages of something side by side, such as how a microscope turns cells into a frame.

    Parameters
    ----------
    stages : mapping of str to array of shape (d1, d2)
        Title and image of each stage, in order.
    per_row : int
        Images in a row.
    cmap : str
        Colour map.
    numbered : bool
        Put the stage's number before its title.

    Returns
    -------
    LessonFigure
        The figure; each image has its own contrast.
    """
    images = {title: as_image(image, title) for title, image in stages.items()}
    if not images:
        raise InputError(explain("at least one stage", "none", "pass a mapping of titles to images"))
    n_cols = min(per_row, len(images))
    n_rows = -(-len(images) // n_cols)
    shape = next(iter(images.values())).shape
    width = min(10.5 / n_cols, 3.6)
    figure, axes = new_figure(
        n_rows, n_cols, (width * n_cols, n_rows * image_height(shape, width - 0.15, 0.4))
    )
    for ax in axes.flat[len(images) :]:
        ax.set_axis_off()
    for number, (ax, (title, image)) in enumerate(zip(axes.flat, images.items()), start=1):
        show_image(ax, image, f"{number}  {title}" if numbered else title, cmap=cmap)
    figure.alt = f"{len(images)} images in order: " + "; ".join(images) + "."
    return figure
