"""Components: their outlines, traces and spikes."""

from __future__ import annotations

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
    message_figure,
    new_figure,
    seconds,
    show_image,
    styled,
)

__all__ = ["as_footprints", "contours", "draw_outlines", "split_loops", "traces"]


def draw_outlines(ax: Axes, outlines: list[dict[str, Any]], color: str, style: str = "-") -> Any:
    """Draw outlines as one collection, which is quick for hundreds of them."""
    from matplotlib.collections import LineCollection

    lines = [loop for outline in outlines for loop in split_loops(outline["coordinates"])]
    return ax.add_collection(LineCollection(lines, colors=color, linestyles=style, linewidths=1.4))


def split_loops(coordinates: np.ndarray) -> list[np.ndarray]:
    """Divide an outline at its rows of NaN."""
    gaps = np.flatnonzero(np.isnan(coordinates[:, 0]))
    return [loop for loop in (coordinates[a + 1 : b] for a, b in zip(gaps[:-1], gaps[1:])) if len(loop)]


def as_footprints(A: Any, image: np.ndarray) -> Any:
    """Give footprints as columns; InputError unless they are as long as the image is large."""
    A = A if hasattr(A, "tocsc") else np.asarray(A)
    if len(A.shape) != 2 or A.shape[0] != image.size:
        raise InputError(
            explain(
                f"footprints (pixels, components) of an image with {image.size} pixels",
                f"shape {A.shape}",
                "pass estimates.A and an image of the same movie",
            )
        )
    return A


@styled
def contours(
    A: Any,
    image: Any,
    accepted: Any = None,
    rejected: Any = None,
    thr: float = 0.3,
    numbers: bool | None = None,
) -> LessonFigure:
    """
    Show the outlines of components on an image.

    Parameters
    ----------
    A : sparse or dense array of shape (d, K)
        Footprints, pixels in Fortran order.
    image : array of shape (d1, d2)
        Correlation image.
    accepted, rejected : array of int, optional
        Components of the left and right panel; without both, one panel of all.
    thr : float
        Outline at this fraction of a footprint's maximum.
    numbers : bool, optional
        Write each component's number in the estimates, from 0; default with up to 40 in a panel.

    Returns
    -------
    LessonFigure
        The figure.
    """
    from matplotlib.patheffects import withStroke

    from cnmf_engine.view.contours import get_contours

    image = as_image(image)
    outlines = get_contours(A, image.shape, thr, "max")
    panels = _panels(len(outlines), accepted, rejected)
    low, high = limits(image, 20, 99.8)
    width = 6.2 if len(panels) == 1 else 5.3
    figure, axes = new_figure(1, len(panels), (width * len(panels), image_height(image.shape, width - 0.2)))
    for ax, (name, members) in zip(axes[0], panels.items()):
        show_image(ax, image, f"{len(members)} {name}", (low, 1.35 * high - 0.35 * low), "gray")
        color, style = (COLORS["rejected"], "--") if name == "rejected" else (COLORS["accepted"], "-")
        draw_outlines(ax, [outlines[k] for k in members], color, style)
        if numbers or (numbers is None and len(members) <= 40):
            for k in members:
                row, col = outlines[k]["CoM"]
                if np.isfinite(row):
                    label = ax.text(col, row, str(k), color="white", fontsize=7.5, ha="center", va="center")
                    label.set_path_effects([withStroke(linewidth=1.5, foreground="black")])
    figure.alt = (
        "Outlines on the correlation image: " + ", ".join(f"{len(m)} {n}" for n, m in panels.items()) + "."
    )
    return figure


def _panels(n_components: int, accepted: Any, rejected: Any) -> dict[str, np.ndarray]:
    """Name the panels of the contour figure."""
    if accepted is None and rejected is None:
        return {"components": np.arange(n_components)}
    given = {"accepted": accepted, "rejected": rejected}
    return {name: np.asarray(m, dtype=int).ravel() for name, m in given.items() if m is not None}


@styled
def traces(C: Any, raw: Any, fr: float, spikes: Any = None, most: int = 12) -> LessonFigure:
    """
    Show traces below each other, each scaled to its own height.

    Parameters
    ----------
    C : array of shape (K, T)
        Denoised traces.
    raw : array of shape (K, T) or None
        Raw traces, `C + YrA`.
    fr : float
        Frame rate, Hz.
    spikes : array of shape (K, T), optional
        Deconvolved activity, drawn below each trace, scaled to its largest spike.
    most : int
        Traces to draw at most: a sample from the clearest to the noisiest; without a residual the first.

    Returns
    -------
    LessonFigure
        The figure.
    """
    C = np.atleast_2d(np.asarray(C, dtype=np.float64))
    if C.size == 0:
        return message_figure("There are no components to show.", 6.0)
    raw = C if raw is None else np.atleast_2d(np.asarray(raw, dtype=np.float64))
    if raw.shape != C.shape:
        raise InputError(explain(f"raw traces of shape {C.shape}", f"shape {raw.shape}", "pass C + YrA"))
    chosen = _sample(C, raw, most)
    time = seconds(C.shape[1], fr)
    figure, axes = new_figure(1, 1, (10.5, 0.62 * len(chosen) + 1.0))
    ax = axes[0, 0]
    for place, k in enumerate(chosen):
        low, high = min(raw[k].min(), C[k].min()), max(raw[k].max(), C[k].max(), 1e-9)
        scale = 0.85 / max(high - low, 1e-9)
        base = len(chosen) - 1 - place
        ax.plot(
            time,
            base + (raw[k] - low) * scale,
            color=COLORS["raw"],
            lw=0.7,
            label="raw" if not place else None,
        )
        ax.plot(
            time,
            base + (C[k] - low) * scale,
            color=COLORS["line"],
            lw=1.1,
            label="denoised" if not place else None,
        )
        if spikes is not None:
            # Heights, not ticks: deconvolution leaves many tiny spikes that explain noise.
            height = np.asarray(spikes, dtype=np.float64)[k] / max(np.max(spikes[k]), 1e-9)
            fired = np.flatnonzero(height > 0)
            ax.vlines(
                time[fired],
                base - 0.2,
                base - 0.2 + 0.17 * height[fired],
                color=COLORS["second"],
                lw=0.8,
                label=None if place else "spikes",
            )
    clear_spines(ax, xlabel="time (s)", ylabel="component")
    ax.set(
        yticks=np.arange(len(chosen))[::-1] + 0.3,
        yticklabels=[str(k) for k in chosen],
        ylim=(-0.25, len(chosen)),
    )
    ax.tick_params(axis="y", length=0)
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, borderaxespad=0)
    ax.set_title(f"{len(chosen)} of {len(C)} components, each scaled to its own height", loc="left")
    figure.alt = (
        f"Traces of {len(chosen)} of {len(C)} components over {C.shape[1] / fr:.0f} s, raw and denoised."
    )
    return figure


def _sample(C: np.ndarray, raw: np.ndarray, most: int) -> np.ndarray:
    """Choose traces from the clearest to the noisiest in equal steps, in the order of the components."""
    noise = (raw - C).std(axis=1)
    if len(C) <= most or not noise.any():
        return np.arange(min(len(C), most))
    by_clarity = np.argsort(-np.ptp(C, axis=1) / np.maximum(noise, 1e-9), kind="stable")
    return np.sort(by_clarity[np.linspace(0, len(C) - 1, most).round().astype(int)])
