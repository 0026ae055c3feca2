"""The figure that stands for a component browser where nobody can use one."""

from __future__ import annotations

from typing import Any

import numpy as np

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
from workshop_utils.widgets.browser.table import STATUSES, ComponentTable

__all__ = ["still_figure"]

_LINES = {0: (COLORS["mark"], "-"), 1: (COLORS["accepted"], "-"), 2: (COLORS["rejected"], "--")}


@styled
def still_figure(table: ComponentTable, most: int = 5) -> LessonFigure:
    """
    Draw the outlines on the image beside some traces.

    Parameters
    ----------
    table : ComponentTable
        What the browser would show.
    most : int
        Traces to draw at most: those with the highest SNR, or without one the highest peaks.

    Returns
    -------
    LessonFigure
        The figure, with a description in words.
    """
    if table.n_components == 0:
        figure, axes = new_figure(1, 1, (6.0, 1.0))
        axes[0, 0].set_axis_off()
        axes[0, 0].text(0.5, 0.5, "There are no components to show.", ha="center", va="center")
        figure.alt = "There are no components to show."
        return figure
    figure, axes = new_figure(1, 2, (11.0, 4.4), width_ratios=(2, 3))
    counts = _draw_map(axes[0, 0], table)
    by_clarity = "activity, highest peak first" if table.snr is None else "SNR, highest first"
    chosen = table.orders[by_clarity][:most]
    _draw_traces(axes[0, 1], table, chosen)
    figure.alt = (
        f"Component browser: outlines of {counts} components on the image, and the traces of components "
        f"{', '.join(str(k) for k in chosen)}. Run the cell in a notebook to click through them."
    )
    return figure


def _draw_map(ax: Any, table: ComponentTable) -> str:
    """Draw the image with the outlines; give the counts in words."""
    from matplotlib.collections import LineCollection

    low, high = limits(table.image, 20, 99.8)
    counts = []
    for state in np.unique(table.status).tolist():
        members = np.flatnonzero(table.status == state)
        color, style = _LINES[state]
        loops = [loop for k in members for loop in table.outlines.loops(int(k))]
        ax.add_collection(LineCollection(loops, colors=color, linestyles=style, linewidths=1.4))
        line = {1: " (solid)", 2: " (dashed)"}.get(state, "")
        counts.append(f"{members.size} {STATUSES[state]}{line}")
    show_image(ax, table.image, ", ".join(counts), (low, 1.35 * high - 0.35 * low), "gray")
    return " and ".join(counts)


def _draw_traces(ax: Any, table: ComponentTable, chosen: np.ndarray) -> None:
    """Draw some traces below each other, each scaled to its own height."""
    time = seconds(table.n_frames, table.fr or 1.0)
    looks = {"raw": (COLORS["raw"], 0.7), "denoised": (COLORS["line"], 1.1)}
    kinds = {kind: table.traces[kind].values() for kind in looks if kind in table.traces}
    for place, k in enumerate(chosen):
        together = np.concatenate([values[k] for values in kinds.values()])
        low, high = (np.nanmin(together), np.nanmax(together)) if np.isfinite(together).any() else (0.0, 1.0)
        base = len(chosen) - 1 - place
        for kind, values in kinds.items():
            color, width = looks[kind]
            scaled = base + 0.85 * (values[k] - low) / max(high - low, 1e-9)
            ax.plot(time, scaled, color=color, lw=width, label=None if place else kind)
    clear_spines(ax, xlabel="frame" if table.fr is None else "time (s)", ylabel="component")
    ax.set(yticks=np.arange(len(chosen))[::-1] + 0.3, yticklabels=[str(k) for k in chosen])
    ax.tick_params(axis="y", length=0)
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0)
