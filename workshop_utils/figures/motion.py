"""Shifts, templates and whether motion correction helped."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

import numpy as np

from cnmf_engine.base.errors import InputError, explain
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

__all__ = [
    "before_after",
    "motion_quality",
    "patch_shifts_plot",
    "shift_comparison",
    "shifts_plot",
    "template_figure",
]

_AXES = ("rows", "columns")


def _as_shifts(shifts: Any) -> np.ndarray:
    """Check that shifts are (frames, 2)."""
    array = np.asarray(shifts, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] != 2 or len(array) == 0:
        raise InputError(
            explain(
                "shifts (frames, 2), rows then columns",
                f"shape {array.shape}",
                "pass np.array(mc.shifts_rig)",
            )
        )
    return array


def _expected(truth: Any, shifts: np.ndarray) -> np.ndarray:
    """Turn a known motion into what would undo it, at the estimate's mean: only changes can be known."""
    undone = -_as_shifts(truth)
    if undone.shape != shifts.shape:
        raise InputError(
            explain(
                f"true shifts of {len(shifts)} frames", f"{len(undone)} frames", "use the truth of this movie"
            )
        )
    return undone - undone.mean(axis=0) + shifts.mean(axis=0)


def _rms(shifts: np.ndarray, expected: np.ndarray) -> float:
    """Length of the error, root mean square over frames, px."""
    return float(np.sqrt(((shifts - expected) ** 2).sum(axis=1).mean()))


@styled
def shifts_plot(shifts: Any, fr: float, truth: Any = None) -> LessonFigure:
    """
    Show the shifts that were applied against time.

    Parameters
    ----------
    shifts : array of shape (T, 2)
        Rows and columns, px.
    fr : float
        Frame rate, Hz.
    truth : array of shape (T, 2), optional
        Motion of the scene, where it is known; what would undo it is drawn too.

    Returns
    -------
    LessonFigure
        The figure.
    """
    found = _as_shifts(shifts)
    time = seconds(len(found), fr)
    expected = None if truth is None else _expected(truth, found)
    figure, axes = new_figure(2, 1, (10.0, 4.2), sharex=True)
    for k, (ax, name) in enumerate(zip(axes[:, 0], _AXES)):
        if expected is not None:
            ax.plot(
                time,
                expected[:, k],
                color=COLORS["truth"],
                lw=3.0,
                alpha=0.45,
                label="would undo the true motion",
            )
        ax.plot(time, found[:, k], color=COLORS["line"], lw=1.0, label="applied")
        clear_spines(ax, ylabel=f"{name} (px)")
    axes[1, 0].set_xlabel("time (s)")
    axes[0, 0].legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0)
    axes[0, 0].set_title("Shift of each frame", loc="left")
    spans = " and ".join(
        f"{name} from {low:.1f} to {high:.1f}"
        for name, low, high in zip(_AXES, found.min(axis=0), found.max(axis=0))
    )
    figure.alt = f"Shifts of {len(found)} frames over {len(found) / fr:.0f} s in pixels: {spans}."
    if expected is not None:
        figure.alt += f" They differ from the truth by {_rms(found, expected):.2f} px (RMS)."
    return figure


@styled
def patch_shifts_plot(row_shifts: Any, column_shifts: Any, fr: float) -> LessonFigure:
    """
    Show the shifts of each patch of a piecewise-rigid correction, and their mean.

    Parameters
    ----------
    row_shifts, column_shifts : arrays of shape (T, n_patches)
        Shifts, px (`mc.x_shifts_els`, `mc.y_shifts_els`).
    fr : float
        Frame rate, Hz.

    Returns
    -------
    LessonFigure
        The figure.
    """
    both = [np.asarray(shifts, dtype=np.float64) for shifts in (row_shifts, column_shifts)]
    if both[0].ndim != 2 or both[0].shape != both[1].shape or both[0].size == 0:
        raise InputError(
            explain(
                "two arrays of shifts (frames, patches)",
                f"shapes {both[0].shape} and {both[1].shape}",
                "pass np.array(mc.x_shifts_els) and np.array(mc.y_shifts_els)",
            )
        )
    time = seconds(len(both[0]), fr)
    figure, axes = new_figure(2, 1, (10.0, 4.2), sharex=True)
    for ax, name, shifts in zip(axes[:, 0], _AXES, both):
        ax.plot(time, shifts, color=COLORS["accepted"], lw=0.6, alpha=0.5)
        ax.plot(time, shifts.mean(axis=1), color=COLORS["line"], lw=1.2)
        clear_spines(ax, ylabel=f"{name} (px)")
    axes[1, 0].set_xlabel("time (s)")
    axes[0, 0].set_title(
        f"Shift of each of {both[0].shape[1]} patches (light) and their mean (dark)", loc="left"
    )
    apart = max(float(np.ptp(shifts, axis=1).max()) for shifts in both)
    figure.alt = (
        f"Shifts of {both[0].shape[1]} patches over {len(both[0]) / fr:.0f} s; within one frame they differ "
        f"by up to {apart:.1f} px."
    )
    return figure


@styled
def shift_comparison(shifts: Mapping[str, Any], fr: float, truth: Any = None) -> LessonFigure:
    """
    Compare corrections made with different settings, such as widths of the high-pass filter.

    Parameters
    ----------
    shifts : mapping of str to array of shape (T, 2)
        Label and shifts (rows, columns; px) of each setting.
    fr : float
        Frame rate, Hz.
    truth : array of shape (T, 2), optional
        Motion of the scene; adds what would undo it, and each setting's error.

    Returns
    -------
    LessonFigure
        The row shifts of each setting below each other, and bars of the errors if the truth is known.
    """
    found = {label: _as_shifts(values) for label, values in shifts.items()}
    if not found:
        raise InputError(explain("at least one setting", "none", "pass a mapping of labels to shifts"))
    errors = {} if truth is None else {k: _rms(v, _expected(truth, v)) for k, v in found.items()}
    figure = LessonFigure(figsize=(10.5, 1.1 * len(found) + 0.9), layout="constrained", facecolor="white")
    grid = figure.add_gridspec(len(found), 4 if errors else 3)
    first = None
    for k, (label, values) in enumerate(found.items()):
        ax = first = figure.add_subplot(grid[k, :3], sharex=first, sharey=first)
        time = seconds(len(values), fr)
        if errors:
            ax.plot(time, _expected(truth, values)[:, 0], color=COLORS["truth"], lw=3, alpha=0.45)
        ax.plot(time, values[:, 0], color=COLORS["line"], lw=1)
        clear_spines(ax, ylabel="rows (px)")
        ax.set_title(label, loc="left", pad=3)
        ax.tick_params(labelbottom=k == len(found) - 1)
    first.set_xlabel("time (s)" + ("; wide green: would undo the true motion" if errors else ""))
    if errors:
        bars = figure.add_subplot(grid[:, 3])
        drawn = bars.barh(range(len(errors)), list(errors.values()), color=COLORS["second"], height=0.5)
        bars.bar_label(drawn, fmt="%.2f", padding=3)
        bars.set(yticks=range(len(errors)), yticklabels=list(errors), xlabel="error (px, RMS)")
        bars.set_xlim(0, 1.25 * max(max(errors.values()), 0.1))
        bars.invert_yaxis()
    named = [label + (f" (error {errors[label]:.2f} px)" if errors else "") for label in found]
    figure.alt = f"Row shifts over time for {', '.join(named)}."
    return figure


@styled
def template_figure(template: Any) -> LessonFigure:
    """
    Show the image that the frames were aligned to.

    Parameters
    ----------
    template : array of shape (d1, d2)
        Template, counts after high-pass filtering.

    Returns
    -------
    LessonFigure
        The figure.
    """
    image = as_image(template, "template")
    figure, axes = new_figure(1, 1, (6.0, image_height(image.shape, 4.8)))
    show_image(axes[0, 0], image, "Template", cmap="gray", bar="counts, filtered")
    figure.alt = f"The template of motion correction, {image.shape[0]} by {image.shape[1]} pixels."
    return figure


@styled
def before_after(max_before: Any, corr_before: Any, max_after: Any, corr_after: Any) -> LessonFigure:
    """
    Show maximum projection and correlation image before and after motion correction.

    Parameters
    ----------
    max_before, max_after : arrays of shape (d1, d2)
        Maximum projections, counts.
    corr_before, corr_after : arrays of shape (d1, d2)
        Local correlation images.

    Returns
    -------
    LessonFigure
        Two by two images; each row has one contrast, so that left and right can be compared.
    """
    rows = {
        "Maximum projection": (max_before, max_after, "counts"),
        "Local correlation": (corr_before, corr_after, ""),
    }
    shape = as_image(max_before).shape
    figure, axes = new_figure(2, 2, (9.5, 2 * image_height(shape, 4.2, 0.35)))
    for pair, (title, (before, after, unit)) in zip(axes, rows.items()):
        images = [as_image(before, title), as_image(after, title)]
        clim = limits(np.concatenate([image.ravel() for image in images]), 50, 99.5)
        for ax, image, when in zip(pair, images, ("before", "after")):
            drawn = show_image(ax, image, f"{title}, {when}", clim)
        figure.colorbar(drawn, ax=list(pair), label=unit or "correlation", shrink=0.85, pad=0.02)
    medians = [float(np.median(as_image(image))) for image in (corr_before, corr_after)]
    figure.alt = (
        "Maximum projection (top) and local correlation (bottom), before (left) and after (right) motion "
        f"correction; the median correlation goes from {medians[0]:.2f} to {medians[1]:.2f}."
    )
    return figure


@styled
def motion_quality(measures: Mapping[str, tuple[float, float]]) -> LessonFigure:
    """
    Show measures of quality before and after motion correction as bars.

    Parameters
    ----------
    measures : mapping of str to (float, float)
        Name of each measure, such as the mean correlation of frames with the template or the crispness of the
        mean image, and its value before and after. Larger is better.

    Returns
    -------
    LessonFigure
        One panel a measure, since their units differ.
    """
    if not measures:
        raise InputError(explain("at least one measure", "none", "pass {'crispness': (before, after)}"))
    figure, axes = new_figure(1, len(measures), (2.8 * len(measures) + 0.6, 2.8))
    colors = (COLORS["rejected"], COLORS["line"])
    for ax, (name, values) in zip(axes[0], measures.items()):
        drawn = ax.bar(("before", "after"), values, color=colors, width=0.55)
        ax.bar_label(drawn, fmt="%.3g", padding=2)
        clear_spines(ax, title=textwrap.fill(name, 24))
        ax.set_ylim(min(0, *values) * 1.2, max(*values, 1e-9) * 1.18)
        ax.margins(x=0.2)
    changes = [f"{name}: {a:.3g} before, {b:.3g} after" for name, (a, b) in measures.items()]
    figure.alt = f"Bars before and after motion correction. {'; '.join(changes)}."
    return figure
