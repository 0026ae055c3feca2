"""Why a component is good or bad, and scores against the truth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from cnmf_engine.base.errors import InputError, explain
from workshop_utils.figures.base import (
    COLORS,
    LessonFigure,
    as_image,
    clear_spines,
    limits,
    new_figure,
    seconds,
    show_image,
    styled,
)
from workshop_utils.figures.components import draw_outlines
from workshop_utils.measures.pieces import check_movie

__all__ = ["component_anatomy", "decision_figure", "implausible_figure", "score_bars", "snr_r_scatter"]


@styled
def snr_r_scatter(
    snr: Any, r: Any, min_SNR: float, rval_thr: float, accepted: Any = None, real: Any = None
) -> LessonFigure:
    """
    Show SNR against spatial correlation, each component a point.

    Parameters
    ----------
    snr, r : arrays of shape (K,)
        Metrics; infinite ones are drawn at the edge.
    min_SNR, rval_thr : float
        Thresholds.
    accepted : array of int, optional
        Accepted components; default those that pass either threshold.
    real : array of shape (K,), bool, optional
        Which components match a true cell, where the truth is known; the others are crossed out.

    Returns
    -------
    LessonFigure
        The figure.
    """
    figure, axes = new_figure(1, 1, (6.4, 4.6))
    figure.alt = f"{_draw_scatter(axes[0, 0], snr, r, min_SNR, rval_thr, accepted, real)}."
    return figure


def _draw_scatter(
    ax: Axes, snr: Any, r: Any, min_SNR: float, rval_thr: float, accepted: Any, real: Any
) -> str:
    """Draw SNR against r into axes; word it for those who can't see it, with how many passed in vain."""
    snr, r = np.asarray(snr, dtype=np.float64).ravel(), np.asarray(r, dtype=np.float64).ravel()
    if snr.size != r.size:
        raise InputError(explain("one r for each SNR", f"{snr.size} SNR and {r.size} r", "evaluate again"))
    finite = snr[np.isfinite(snr)]
    # A few huge values would squeeze the others together; they are drawn at the edge.
    edge = max(1.3 * min_SNR, float(np.percentile(finite, 98)) * 1.15 if finite.size else 1.0)
    x, y = np.nan_to_num(snr, nan=0.0, posinf=edge).clip(None, edge), np.nan_to_num(r, nan=-1.0)
    passes = beyond = (r >= rval_thr) | (snr > min_SNR)
    if accepted is not None:
        passes = np.zeros(snr.size, bool)
        passes[np.asarray(accepted, dtype=int)] = True
    for members, name, marker in ((passes, "accepted", "o"), (~passes, "rejected", "s")):
        ax.scatter(x[members], y[members], s=22, c=COLORS[name], marker=marker, ec="0.3", lw=0.4,
                   label=f"{members.sum()} {name}")  # fmt: skip
    if real is not None:
        wrong = ~np.asarray(real, bool)
        ax.scatter(
            x[wrong], y[wrong], s=55, c="black", marker="x", lw=1.1, label=f"{wrong.sum()} match no true cell"
        )
    ax.axvline(min_SNR, color=COLORS["second"], lw=1.2)
    ax.axhline(rval_thr, color=COLORS["second"], lw=1.2, ls="--")
    low = min(float(y.min()) if y.size else 0.0, rval_thr) - 0.06
    clear_spines(ax, xlabel="SNR of the transients", ylabel="spatial correlation r", ylim=(low, 1.05))
    ax.set_xlim(min(0.0, float(x.min()) if x.size else 0.0), edge * 1.04)
    ax.legend(
        loc="lower right", bbox_to_anchor=(1, 1), ncols=3, borderaxespad=0, handletextpad=0.2, columnspacing=1
    )
    in_vain = int((beyond & ~passes).sum())
    besides = f", and {in_vain} that reach one of them are rejected all the same" if in_vain else ""
    return (
        f"SNR against spatial correlation: {passes.sum()} of {snr.size} components are accepted with SNR "
        f"above {min_SNR:g} or correlation of at least {rval_thr:g}{besides}"
    )


@styled
def decision_figure(
    snr: Any,
    r: Any,
    min_SNR: float,
    rval_thr: float,
    accepted: Any,
    outlines: list[dict[str, Any]],
    image: Any,
    real: Any = None,
) -> LessonFigure:
    """
    Show what two thresholds decide: SNR against r, and where the accepted and rejected components are.

    Parameters
    ----------
    snr, r : arrays of shape (K,)
        Metrics.
    min_SNR, rval_thr : float
        Thresholds.
    accepted : array of int
        Accepted components.
    outlines : list of dict
        Outline of each component, from `get_contours`.
    image : array of shape (d1, d2)
        Correlation image.
    real : array of shape (K,), bool, optional
        Which components match a true cell.

    Returns
    -------
    LessonFigure
        The figure.
    """
    image = as_image(image)
    chosen = set(np.asarray(accepted, dtype=int).tolist())
    figure, axes = new_figure(1, 2, (11.5, 4.6))
    words = _draw_scatter(axes[0, 0], snr, r, min_SNR, rval_thr, accepted, real)
    low, high = limits(image, 20, 99.8)
    show_image(
        axes[0, 1], image, "accepted: solid, rejected: dashed", (low, 1.35 * high - 0.35 * low), "gray"
    )
    draw_outlines(axes[0, 1], [o for k, o in enumerate(outlines) if k in chosen], COLORS["accepted"])
    draw_outlines(
        axes[0, 1], [o for k, o in enumerate(outlines) if k not in chosen], COLORS["rejected"], "--"
    )
    figure.alt = f"{words}; and the outlines of both kinds on the correlation image."
    return figure


@styled
def component_anatomy(
    movie: Any, A: Any, C: Any, YrA: Any, fr: float, good: int, bad: int, snr: Any = None, r: Any = None
) -> LessonFigure:
    """
    Show what SNR and spatial correlation measure, in a good and a bad component.

    Parameters
    ----------
    movie : array of shape (T, d1, d2)
        Movie or memory map.
    A : sparse or dense array of shape (d, K)
        Footprints, pixels in Fortran order.
    C, YrA : arrays of shape (K, T)
        Denoised traces and residuals.
    fr : float
        Frame rate, Hz.
    good, bad : int
        Components to show, from 0.
    snr, r : arrays of shape (K,), optional
        Metrics, for the titles.

    Returns
    -------
    LessonFigure
        A row for each: the footprint; the movie in the frames in which it is active minus those in which
        it is not, which should look the same (r); and its trace with the spread of the noise (SNR).
    """
    check_movie(movie)
    C, YrA = np.asarray(C, dtype=np.float64), np.asarray(YrA, dtype=np.float64)
    figure, axes = new_figure(2, 3, (11.5, 4.8), width_ratios=(1, 1, 3))
    words = []
    for row, (name, k) in zip(axes, (("good", int(good)), ("bad", int(bad)))):
        active = _draw_place(row, movie, A, C[k], k, 40)
        numbers = [
            f"{label} {float(np.asarray(v)[k]):.2f}" for label, v in (("SNR", snr), ("r", r)) if v is not None
        ]
        row[0].set_ylabel(f"{name}: component {k}")
        row[1].set_xlabel("alike?" + (f"  r = {float(np.asarray(r)[k]):.2f}" if r is not None else ""))
        rise = _trace_with_noise(row[2], C[k], C[k] + YrA[k], active, fr)
        row[2].set_title("   ".join([f"{name.capitalize()} component", *numbers]), loc="left")
        about = f"component {k} ({name}" + "".join(f", {n}" for n in numbers) + ")"
        words.append(f"{about}, whose trace rises to {rise:.0f} times its noise")
    axes[0, 2].set_xlabel("")
    axes[1, 2].legend(loc="upper center", bbox_to_anchor=(0.5, -0.3), ncols=4, borderaxespad=0)
    figure.alt = f"Footprint, mean change of the movie during activity, and trace of {' and '.join(words)}."
    return figure


@styled
def implausible_figure(
    movie: Any, A: Any, C: Any, YrA: Any, fr: float, reasons: Any, components: Any, most: int = 4
) -> LessonFigure:
    """
    Show components that pass SNR and spatial correlation and are no cells, with the reason.

    Parameters
    ----------
    movie : array of shape (T, d1, d2)
        Movie or memory map.
    A : sparse or dense array of shape (d, K)
        Footprints, pixels in Fortran order.
    C, YrA : arrays of shape (K, T)
        Denoised traces and residuals.
    fr : float
        Frame rate, Hz.
    reasons : array of shape (K,), str
        Why a component is no cell.
    components : array of int
        Components to choose from: one of each reason first.
    most : int
        Rows at most.

    Returns
    -------
    LessonFigure
        A row for each: the footprint; the movie in the frames in which it is active minus those in which it
        is not; and its trace.
    """
    check_movie(movie)
    components, reasons = np.asarray(components, dtype=int), np.asarray(reasons)
    # The first of every reason, then the second of every reason, and so on.
    turn = [np.sum(reasons[components[:i]] == reasons[k]) for i, k in enumerate(components)]
    shown = components[np.argsort(turn, kind="stable")][:most]
    figure, axes = new_figure(
        max(len(shown), 1), 3, (11.5, 0.6 + 1.8 * max(len(shown), 1)), width_ratios=(1, 1, 4)
    )
    for row, k in zip(axes, shown):
        _draw_place(row, movie, A, np.asarray(C[k]), k, 12)
        row[0].set_ylabel(f"component {k}")
        raw = np.asarray(C[k]) + np.asarray(YrA[k])
        row[2].plot(seconds(raw.size, fr), raw, color=COLORS["raw"], lw=0.8)
        row[2].set_title(f"Rejected as: {reasons[k]}", loc="left")
        clear_spines(row[2], ylabel="a.u.", xlabel="time (s)" if k == shown[-1] else "")
    if not len(shown):
        for ax in axes[0]:
            ax.axis("off")
        axes[0, 1].text(0.5, 0.5, "None was rejected by these measures.", ha="center", va="center")
    listed = ", ".join(f"component {k} as {reasons[k]}" for k in shown)
    figure.alt = (
        f"Rejected components: footprint, change of the movie during activity, and trace of {listed}."
        if listed
        else "No component was rejected by measures besides SNR and r."
    )
    return figure


def _draw_place(row: Any, movie: Any, A: Any, trace: np.ndarray, k: int, n: int) -> np.ndarray:
    """Draw a footprint, and the movie while it is active minus while it isn't; give the active frames."""
    column = A.tocsc()[:, [k]].toarray() if hasattr(A, "tocsc") else np.asarray(A)[:, k]
    footprint = np.asarray(column, dtype=np.float64).reshape(movie.shape[1:], order="F")
    rows, cols = np.nonzero(footprint > 0.1 * footprint.max()) if footprint.any() else ([0], [0])
    area = tuple(slice(max(int(np.min(v)) - 8, 0), int(np.max(v)) + 9) for v in (rows, cols))
    n = max(min(n, trace.size // 4), 1)
    order = np.argsort(trace, kind="stable")
    # Read one by one, as the movie may be a memory map.
    active, quiet = (
        np.mean([np.asarray(movie[t], dtype=np.float64)[area] for t in frames], axis=0)
        for frames in (np.sort(order[-n:]), np.sort(order[:n]))
    )
    change = active - quiet
    show_image(row[0], footprint[area], "Footprint", limits(footprint[area], 0, 100))
    show_image(row[1], change, "Movie, active − quiet", limits(change, 1, 99.5))
    return np.sort(order[-n:])


def _trace_with_noise(ax: Any, denoised: np.ndarray, raw: np.ndarray, active: np.ndarray, fr: float) -> float:
    """Draw a trace, the band of its noise, its highest peak and the active frames; give peak over noise."""
    time = seconds(raw.size, fr)
    noise, middle = float((raw - denoised).std()), float(np.median(raw))
    ax.axhspan(middle - noise, middle + noise, color=COLORS["rejected"], alpha=0.35, lw=0, label="± noise")
    ax.plot(time, raw, color=COLORS["raw"], lw=0.8, label="raw")
    ax.plot(time, denoised, color=COLORS["line"], lw=1.2, label="denoised")
    marks = np.full(active.size, raw.min())
    ax.plot(time[active], marks, "|", color=COLORS["second"], ms=6, label="active frames")
    clear_spines(ax, xlabel="time (s)", ylabel="fluorescence (a.u.)")
    if noise <= 0:
        return 0.0
    at = int(np.argmax(denoised))
    rise, late = (float(denoised[at]) - middle) / noise, time[at] > 0.6 * time[-1]
    arrow = {"arrowstyle": "<->", "color": COLORS["second"], "lw": 1.4, "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", (time[at], middle), (time[at], denoised[at]), arrowprops=arrow)
    ax.annotate(
        f"highest: {rise:.0f} × the noise", (time[at], denoised[at]), (-6 if late else 6, 0),
        textcoords="offset points", ha="right" if late else "left", va="top", color=COLORS["second"],
    )  # fmt: skip
    return rise


@styled
def score_bars(scores: Mapping[str, Any]) -> LessonFigure:
    """
    Compare results with the truth: precision, recall, F1 and trace correlation.

    Parameters
    ----------
    scores : mapping of str to workshop_utils.measures.scoring.Score
        Label and score of each result.

    Returns
    -------
    LessonFigure
        Bars from 0 to 1; a value that can't be known (NaN) is left out.
    """
    if not scores:
        raise InputError(explain("at least one score", "none", "pass {'label': scoring.score(A, C, truth)}"))
    measures = {
        "precision": "precision",
        "recall": "recall",
        "F1": "f1",
        "trace correlation\n(median)": "trace_r_median",
    }
    palette = [COLORS[name] for name in ("line", "rejected", "truth", "mark", "accepted", "second")]
    figure, axes = new_figure(1, 1, (max(6.0, 1.6 * len(measures) + 0.5 * len(scores)), 3.4))
    ax = axes[0, 0]
    width = 0.8 / len(scores)
    for place, (label, result) in enumerate(scores.items()):
        values = np.array([float(getattr(result, field)) for field in measures.values()])
        at = np.arange(len(measures)) + (place - (len(scores) - 1) / 2) * width
        drawn = ax.bar(
            at, np.nan_to_num(values), 0.92 * width, color=palette[place % len(palette)], label=label,
            hatch=("", "//", "..", "xx")[place % 4], edgecolor="white", linewidth=0.6,
        )  # fmt: skip
        words = ["n/a" if np.isnan(v) else f"{v:.2f}" for v in values]
        ax.bar_label(drawn, words, padding=2, fontsize=9 if len(scores) < 4 else 7)
    clear_spines(ax, ylim=(0, 1.12), ylabel="share, correlation")
    ax.set(xticks=range(len(measures)), xticklabels=list(measures))
    ax.tick_params(axis="x", length=0)
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4, borderaxespad=0)
    marks = [
        f"{label}: precision {result.precision:.2f}, recall {result.recall:.2f}, F1 {result.f1:.2f}"
        for label, result in scores.items()
    ]
    figure.alt = f"Bars of scores. {'; '.join(marks)}."
    return figure
