"""What deconvolution does to a trace: from fluorescence to the calcium signal to spikes."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from cnmf_engine.base.errors import InputError, explain
from workshop_utils.figures.base import COLORS, LessonFigure, clear_spines, seconds, styled

__all__ = ["deconvolution_figure"]


def _checked(trace: Any, denoised: Any, spikes: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give three arrays of the same length; InputError if they aren't."""
    trace, denoised, spikes = (np.asarray(v, dtype=np.float64).ravel() for v in (trace, denoised, spikes))
    if not trace.size == denoised.size == spikes.size:
        raise InputError(
            explain(
                "trace, denoised trace and spikes of the same length",
                f"{trace.size}, {denoised.size} and {spikes.size} frames",
                "take the same row of C + YrA, C and S",
            )
        )
    return trace, denoised, spikes


def _decay(denoised: np.ndarray, spikes: np.ndarray, fr: float) -> float | None:
    """Time in which the signal falls to 37 % without spikes, s; None where it can't be told."""
    before, after = denoised[:-1], denoised[1:]
    falls = (spikes[1:] <= 0) & (before > 0.1 * denoised.max(initial=0)) & (before > 0)
    if falls.sum() < 3:
        return None
    ratio = float(np.median(after[falls] / before[falls]))
    return -1 / (fr * np.log(ratio)) if 0 < ratio < 1 else None


def _event(denoised: np.ndarray, spikes: np.ndarray, fr: float, decay: float) -> int | None:
    """Choose the frame of the highest peak after which no other event comes for a while."""
    tail = max(int(2 * decay * fr), 3)
    height = 0.2 * denoised.max(initial=0)
    peaks = np.flatnonzero((denoised[1:-1] >= denoised[:-2]) & (denoised[1:-1] > denoised[2:])) + 1
    calm = [p for p in peaks if p + tail < denoised.size and spikes[p + 1 : p + tail].max() < 0.1 * height]
    calm = [p for p in calm if denoised[p] > height]
    return int(max(calm, key=lambda p: denoised[p])) if calm else None


def _draw_event(axes: tuple[Axes, Axes], signals: tuple, fr: float, decay: float, peak: int) -> None:
    """Draw one event from close by, with the jump and the decay marked."""
    trace, denoised, spikes = signals
    above, below = axes
    n = trace.size
    part = slice(max(peak - max(int(1.5 * decay * fr), 6), 0), min(peak + max(int(4 * decay * fr), 12), n))
    time = seconds(n, fr)
    above.plot(time[part], trace[part], ".-", color=COLORS["raw"], lw=0.8, ms=4)
    above.plot(time[part], denoised[part], color=COLORS["line"], lw=1.8)
    top, level = denoised[peak], denoised[peak] / np.e
    arrow = {"arrowstyle": "<->", "color": COLORS["second"], "lw": 1.5, "shrinkA": 0, "shrinkB": 0}
    above.plot([time[peak], time[peak]], [level, top], color=COLORS["second"], ls=":", lw=1)
    above.annotate("", (time[peak], level), (time[peak] + decay, level), arrowprops=arrow)
    above.text(
        time[peak] + decay, level + 0.06 * top, f" falls to 37 %\n in {decay:.2g} s", color=COLORS["second"],
        va="bottom",
    )  # fmt: skip
    fired = np.arange(part.start, part.stop)[spikes[part] > 0]
    below.vlines(time[fired], 0, spikes[fired], color=COLORS["second"], lw=2.5)
    below.text(
        0.98, 0.95, "spikes: the jumps\nthat are left when\nthe decay is undone", transform=below.transAxes,
        ha="right", va="top",
    )  # fmt: skip
    above.set_title("One event from close by", loc="left")


@styled
def deconvolution_figure(
    trace: Any, denoised: Any, spikes: Any, fr: float, true_spikes: Any = None
) -> LessonFigure:
    """
    Show what deconvolution makes of one trace.

    Parameters
    ----------
    trace : array of shape (T,)
        Raw trace.
    denoised : array of shape (T,)
        The calcium signal that was fitted to it.
    spikes : array of shape (T,)
        Its jumps.
    fr : float
        Frame rate, Hz.
    true_spikes : array of shape (T,), optional
        Spikes of the simulation, where they are known.

    Returns
    -------
    LessonFigure
        Raw trace, denoised trace and spikes below each other; beside them one event from close by, with the
        time in which it decays, where there is such an event.

    Raises
    ------
    InputError
        If the three differ in length.
    """
    signals = trace, denoised, spikes = _checked(trace, denoised, spikes)
    decay = _decay(denoised, spikes, fr)
    peak = None if decay is None else _event(denoised, spikes, fr, decay)
    figure = LessonFigure(figsize=(11.0, 4.8), layout="constrained", facecolor="white")
    grid = figure.add_gridspec(3, 1 if peak is None else 2, width_ratios=(1,) if peak is None else (2.2, 1))
    left = [figure.add_subplot(grid[0, 0])]
    left += [figure.add_subplot(grid[k, 0], sharex=left[0]) for k in (1, 2)]
    time = seconds(trace.size, fr)
    left[1].sharey(left[0])
    left[0].plot(time, trace, color="0.45", lw=0.8)
    left[1].plot(time, denoised, color=COLORS["line"], lw=1.3)
    fired = np.flatnonzero(spikes > 0)
    left[2].vlines(time[fired], 0, spikes[fired], color=COLORS["second"], lw=1.2, label="estimated")
    noise = float((trace - denoised).std())
    titles = (
        f"1  Raw trace: signal and noise (± {noise:.2g})",
        "2  Denoised: jumps, and a decay after each",
        "3  Deconvolved: the jumps alone, as spikes",
    )
    for ax, title in zip(left, titles):
        clear_spines(ax, ylabel="a.u.")
        ax.set_title(title, loc="left")
        ax.tick_params(labelbottom=ax is left[2])
    left[2].set_xlabel("time (s)")
    if true_spikes is not None:
        _draw_truth(left[2], time, spikes, np.asarray(true_spikes).ravel())
    figure.alt = (
        f"A raw trace of {trace.size / fr:.0f} s with noise of {noise:.2g}, the calcium signal in it, which "
        f"reaches {denoised.max(initial=0):.3g}, and its {fired.size} spikes, below each other."
    )
    if peak is not None:
        right = figure.add_subplot(grid[:2, 1])
        below = figure.add_subplot(grid[2, 1], sharex=right)
        _draw_event((right, below), signals, fr, decay, peak)
        right.tick_params(labelbottom=False)
        clear_spines(right)
        clear_spines(below, xlabel="time (s)")
        figure.alt += (
            f" Beside them the event at {time[peak]:.1f} s: it rises with its spikes, then falls to 37 "
            f"percent in {decay:.2g} s."
        )
    return figure


def _draw_truth(ax: Axes, time: np.ndarray, spikes: np.ndarray, true_spikes: np.ndarray) -> None:
    """Mark the spikes of the simulation below the estimated ones."""
    known = np.flatnonzero(true_spikes > 0)
    top = spikes.max(initial=0.0) or 1.0
    ax.plot(time[known], np.full(known.size, -0.12 * top), "|", color=COLORS["truth"], ms=7, label="true")
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0)
