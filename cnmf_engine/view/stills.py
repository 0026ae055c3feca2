"""Pictures that stand in for the interactive viewers, drawn without a window and without pyplot."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from cnmf_engine.view.contours import image_limits, min_max_decimate

__all__ = ["contour_still", "counted", "draw_component", "draw_outlines", "images_still"]

_WIDTH = 11.0


def counted(n: int, what: str) -> str:
    """Word a number of things: '1 component', '3 components'."""
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def draw_outlines(
    ax: Any,
    image: np.ndarray,
    outlines: list[dict[str, Any]],
    cmap: str | None = "viridis",
    limits: tuple[float, float] | None = None,
    numbered: int | None = None,
    line: dict[str, Any] | None = None,
    number: dict[str, Any] | None = None,
) -> None:
    """
    Draw outlines over an image.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where.
    image : ndarray of shape (d1, d2)
        Image below them.
    outlines : list of dict
        As `get_contours` returns them.
    cmap : str, optional
        Colour map.
    limits : tuple of float, optional
        Colour limits; default the image's 1st and 99th percentile.
    numbered : int, optional
        Number this many of them at most; default all.
    line, number : dict, optional
        Passed to `Axes.plot` and `Axes.text`.
    """
    low, high = limits or image_limits(image)
    ax.imshow(image, interpolation=None, cmap=cmap, vmin=low, vmax=high)
    for outline in outlines:
        ax.plot(*outline["coordinates"].T, **{"c": "w", "lw": 1.0, **(line or {})})
    style = {"color": "w", "ha": "center", "va": "center", "fontsize": 8, **(number or {})}
    for outline in outlines[:numbered]:
        row, col = outline["CoM"]
        if np.isfinite(row):
            ax.text(col, row, str(outline["neuron_id"]), **style)
    ax.set(xlim=(-0.5, image.shape[1] - 0.5), ylim=(image.shape[0] - 0.5, -0.5))
    ax.set_axis_off()


def contour_still(
    panels: list[tuple[str, list[dict[str, Any]]]],
    image: np.ndarray,
    note: str = "",
    line: dict[str, Any] | None = None,
    new: Callable[..., Figure] = Figure,
    **style: Any,
) -> Figure:
    """
    Draw titled panels of outlines, rejected ones dashed.

    Parameters
    ----------
    panels : list of (str, list of dict)
        Title and outlines of each panel.
    image : ndarray of shape (d1, d2)
        Image below the outlines.
    note : str
        Written below.
    line : dict, optional
        Passed to `Axes.plot`.
    new : callable
        Makes the figure: `plt.figure` for one that pyplot knows.
    **style
        Passed to `draw_outlines`.

    Returns
    -------
    matplotlib.figure.Figure
        The picture.
    """
    width = _WIDTH / 2
    height = float(np.clip(width * image.shape[0] / image.shape[1], 1.5, 7)) + 0.5
    figure = new(figsize=(width * len(panels), height), layout="constrained")
    for ax, (title, outlines) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels):
        dashes = "--" if title.startswith("Rejected") else "-"
        draw_outlines(ax, image, outlines, line={"ls": dashes, **(line or {})}, **style)
        ax.set_title(title)
    if note:
        figure.supxlabel(note, fontsize=10)
    return figure


def draw_component(
    pair: Any, image: np.ndarray, outline: dict[str, Any], traces: dict[str, np.ndarray], title: str
) -> None:
    """
    Draw one component into two axes.

    Parameters
    ----------
    pair : two matplotlib.axes.Axes
        For the footprint and for the traces.
    image : ndarray of shape (d1, d2)
        Image below the outline.
    outline : dict
        One of what `get_contours` returns.
    traces : dict of ndarray of shape (T,)
        By their label; the denoised one, which comes last, in blue, one before it in grey.
    title : str
        Above the traces.
    """
    left, right = pair
    left.imshow(image, cmap="gray", clim=image_limits(image))
    left.plot(*outline["coordinates"].T, color="#E69F00", lw=1.5)
    left.set_axis_off()
    for (label, trace), color in zip(traces.items(), ("0.6", "#0072B2")[-len(traces) :]):
        envelope = min_max_decimate(trace)
        right.plot(envelope.frames, envelope.values[0], color=color, lw=1, label=label)
    right.set(title=title, xlabel="frame", ylabel="fluorescence (a.u.)")
    right.margins(x=0.01)
    right.legend(loc="upper right", frameon=False, ncols=2)


def images_still(images: dict[str, np.ndarray], num_bins: int = 100, cmap: str = "viridis") -> Figure:
    """
    Draw summary images with the histograms of their pixels.

    Parameters
    ----------
    images : dict of ndarray of shape (d1, d2)
        By their title.
    num_bins : int
        Bins of each histogram.
    cmap : str
        Colour map.

    Returns
    -------
    matplotlib.figure.Figure
        The picture.
    """
    figure = Figure(figsize=(_WIDTH, 6.2), layout="constrained")
    axes = figure.subplots(2, len(images), squeeze=False, height_ratios=(3, 1))
    for (above, below), (title, image) in zip(axes.T, images.items()):
        drawn = above.imshow(image, cmap=cmap, clim=image_limits(image))
        figure.colorbar(drawn, ax=above, fraction=0.046, pad=0.02)
        above.set(title=f"{title} image", xlabel="column (pixels)", ylabel="row (pixels)")
        counts, edges = np.histogram(image, num_bins)
        below.stairs(counts / image.size, edges, fill=True, color="#0072B2")
        below.set(xlabel=f"{title} value", ylabel="share of pixels")
        below.spines[["top", "right"]].set_visible(False)
    return figure
