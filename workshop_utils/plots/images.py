"""Summary images, kernels and what filters do to a frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cnmf_engine.errors import InputError, explain
from workshop_utils.plots.base import (
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
def kernel_figure(gSig: float, kernel: Any = None) -> LessonFigure:
    """
    Show the kernel that finds cells: a Gaussian minus its mean over a disk.

    Parameters
    ----------
    gSig : float
        Width of a cell (sigma of the Gaussian), px.
    kernel : array of shape (k, k), optional
        Another kernel than the engine's.

    Returns
    -------
    LessonFigure
        The figure: the kernel as an image, and its middle row.
    """
    if kernel is None:
        from cnmf_engine.filters import mean_centred_kernel

        kernel = mean_centred_kernel(gSig)
    kernel = as_image(kernel, "kernel")
    half = kernel.shape[1] // 2
    figure, axes = new_figure(1, 2, (8.5, 3.1), width_ratios=(1, 1.5))
    top = float(np.abs(kernel).max())
    image, profile = axes[0]
    drawn = image.imshow(kernel, cmap="PuOr_r", clim=(-top, top), extent=(-half - 0.5, half + 0.5) * 2)
    image.set(title=f"Kernel, gSig = {gSig:g} px", xlabel="columns (px)", ylabel="rows (px)")
    figure.colorbar(drawn, ax=image, shrink=0.85, pad=0.02, label="weight")
    profile.axhline(0, color="0.6", lw=0.8)
    profile.plot(np.arange(-half, half + 1), kernel[kernel.shape[0] // 2], "o-", ms=3, color=COLORS["line"])
    profile.axvspan(-gSig, gSig, color=COLORS["accepted"], alpha=0.25, label="± gSig")
    profile.legend(loc="upper right")
    clear_spines(profile, title="Its middle row", xlabel="distance (px)", ylabel="weight")
    figure.alt = (
        f"The kernel for gSig {gSig:g}: a bump of {kernel.shape[1]} pixels in a negative ring; its weights "
        f"sum to zero, so even brightness gives zero. Right: its middle row."
    )
    return figure


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
