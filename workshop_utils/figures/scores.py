"""Found, missed and invented: outlines of fits against the truth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes

from cnmf_engine.base.errors import InputError, explain
from workshop_utils.figures.base import (
    COLORS,
    LessonFigure,
    as_image,
    image_height,
    limits,
    new_figure,
    show_image,
    styled,
)
from workshop_utils.figures.components import as_footprints, draw_outlines

if TYPE_CHECKING:
    from workshop_utils.movies.truth import Truth

__all__ = ["fits_pair", "score_map"]

_LEVEL = 0.3
#: What each kind of outline looks like: colour, line style, and what is written in the legend.
_KINDS = {
    "found": (COLORS["accepted"], "-", "found: a true cell"),
    "ignored": ("0.85", (0, (1, 1.2)), "true, but not asked for (dotted)"),
    "missed": ("#F0E442", (0, (4, 2)), "missed (dashed, its true outline)"),
    "invented": (COLORS["second"], "-", "invented: no such cell (with a cross)"),
    "component": (COLORS["accepted"], "-", "component"),
}


class _Verdict(NamedTuple):
    """Which components are which, and which detectable cells no component matches."""

    found: np.ndarray
    ignored: np.ndarray
    invented: np.ndarray
    missed: np.ndarray

    def __str__(self) -> str:
        """Say it in counts."""
        parts = f"{len(self.found)} found, {len(self.missed)} missed, {len(self.invented)} invented"
        return parts + (f", {len(self.ignored)} not asked for" if len(self.ignored) else "")


def _judge(A: Any, truth: Truth) -> _Verdict:
    """Sort components by what they match, as `workshop_utils.measures.scoring.score` counts them."""
    from workshop_utils.measures.scoring import match

    pairs = match(A, truth.A).pairs
    wanted = truth.detectable[pairs[:, 1]]
    return _Verdict(
        pairs[wanted, 0],
        pairs[~wanted, 0],
        np.setdiff1d(np.arange(A.shape[1]), pairs[:, 0]),
        np.setdiff1d(np.flatnonzero(truth.detectable), pairs[wanted, 1]),
    )


def _draw_map(ax: Axes, image: np.ndarray, A: Any, truth: Truth | None) -> tuple[str, dict[str, Any]]:
    """Draw the outlines; give the counts in words, and what was drawn by its kind."""
    from cnmf_engine.view.contours import get_contours

    low, high = limits(image, 20, 99.8)
    show_image(ax, image, clim=(low, 1.35 * high - 0.35 * low), cmap="gray")
    outlines = get_contours(A, image.shape, _LEVEL, "max")
    if truth is None:
        drawn = {"component": _draw_kind(ax, outlines, "component")} if outlines else {}
        return f"{len(outlines)} components (no answer key)", drawn
    verdict = _judge(A, truth)
    missed = truth.A[verdict.missed].transpose(2, 1, 0).reshape(image.size, len(verdict.missed))
    groups = {
        "ignored": [outlines[k] for k in verdict.ignored],
        "found": [outlines[k] for k in verdict.found],
        "missed": get_contours(missed, image.shape, _LEVEL, "max"),
        "invented": [outlines[k] for k in verdict.invented],
    }
    return str(verdict), {kind: _draw_kind(ax, group, kind) for kind, group in groups.items() if group}


def _draw_kind(ax: Axes, outlines: list[dict[str, Any]], kind: str) -> Any:
    """Draw outlines in the way of their kind; invented ones are crossed out as well."""
    color, style, _ = _KINDS[kind]
    if kind == "invented":
        at = np.array([outline["CoM"] for outline in outlines], dtype=np.float64)
        ax.scatter(at[:, 1], at[:, 0], marker="x", s=36, c=color, linewidths=1.8)
    return draw_outlines(ax, outlines, color, style)


def _explain_kinds(figure: LessonFigure, drawn: dict[str, Any]) -> None:
    """Put a legend of the kinds that occur below the picture."""
    kinds = [kind for kind in _KINDS if kind in drawn]
    if not kinds:
        return
    legend = figure.legend(
        [drawn[kind] for kind in kinds], [_KINDS[kind][2] for kind in kinds], loc="outside lower center",
        ncols=2, facecolor="0.3", frameon=True, handlelength=2.6,
    )  # fmt: skip
    for text in legend.get_texts():
        text.set_color("white")


@styled
def score_map(image: Any, A: Any, truth: Truth | None, title: str = "") -> LessonFigure:
    """
    Show which cells were found, which were missed, and which components are none.

    Parameters
    ----------
    image : array of shape (d1, d2)
        Correlation image.
    A : sparse or dense array of shape (d, K)
        Footprints, pixels in Fortran order.
    truth : workshop_utils.movies.truth.Truth or None
        What the recording holds; without it all outlines are drawn alike.
    title : str
        Title; the counts follow it.

    Returns
    -------
    LessonFigure
        Found: solid blue. Missed: dashed yellow, at the true outline. Invented: orange with a cross. A match
        with a cell that nobody is asked to find (dim, blurred, at the edge): dotted grey, neither right nor
        wrong.
    """
    image = as_image(image)
    figure, axes = new_figure(1, 1, (7.2, image_height(image.shape, 6.4, 1.1, most=7.0)))
    counts, drawn = _draw_map(axes[0, 0], image, as_footprints(A, image), truth)
    axes[0, 0].set_title(f"{title}: {counts}" if title else counts)
    _explain_kinds(figure, drawn)
    figure.alt = f"Outlines on the correlation image{f', {title}' if title else ''}: {counts}."
    return figure


@styled
def fits_pair(results: Mapping[str, Any], image: Any, truth: Truth | None = None) -> LessonFigure:
    """
    Show two or three fits side by side.

    Parameters
    ----------
    results : mapping of str to estimates
        Label and estimates (with `A`, `C` and, once evaluated, `idx_components`: then only the accepted).
    image : array of shape (d1, d2)
        Correlation image.
    truth : workshop_utils.movies.truth.Truth, optional
        What the recording holds; adds what was found, missed and invented, and the scores.

    Returns
    -------
    LessonFigure
        A panel a fit, drawn as in `score_map`, with precision and recall below.

    Raises
    ------
    InputError
        If there is no fit, or one of another movie.
    """
    image = as_image(image)
    if not results:
        raise InputError(explain("at least one fit", "none", "pass {'gSig 3': cnm.estimates}"))
    width = min(10.8 / len(results), 5.4)
    figure, axes = new_figure(
        1, len(results), (width * len(results), image_height(image.shape, width - 0.15, 1.6))
    )
    words, drawn = [], {}
    for ax, (label, estimates) in zip(axes[0], results.items()):
        A, C, kind = _of_fit(estimates, image)
        counts, kinds = _draw_map(ax, image, A, truth)
        drawn |= kinds
        counts = "no answer key" if truth is None else counts  # the title has the number already
        ax.set_title(f"{label}: {A.shape[1]} {kind}")
        score = _score_words(A, C, truth)
        ax.set_xlabel("\n".join(part for part in (counts, score) if part))
        words.append(f"{label}: {A.shape[1]} {kind}, {counts}{', ' if score else ''}{score}")
    _explain_kinds(figure, drawn)
    figure.alt = f"Outlines of {len(results)} fits on the correlation image. {'; '.join(words)}."
    return figure


def _of_fit(estimates: Any, image: np.ndarray) -> tuple[Any, np.ndarray, str]:
    """Footprints and traces of a fit, the accepted ones if it was evaluated; and what to call them."""
    A, C = as_footprints(estimates.A, image), np.asarray(estimates.C)
    A = A.tocsc() if hasattr(A, "tocsc") else A
    accepted = getattr(estimates, "idx_components", None)
    if accepted is None:
        return A, C, "components"
    accepted = np.asarray(accepted, dtype=int)
    return A[:, accepted], C[accepted], "accepted"


def _score_words(A: Any, C: np.ndarray, truth: Truth | None) -> str:
    """Precision, recall and F1 in a line; nothing without a truth."""
    if truth is None:
        return ""
    from workshop_utils.measures.scoring import score

    result = score(A, C, truth)
    named = {"precision": result.precision, "recall": result.recall, "F1": result.f1}
    return ", ".join(f"{name} {'n/a' if np.isnan(v) else f'{v:.2f}'}" for name, v in named.items())
