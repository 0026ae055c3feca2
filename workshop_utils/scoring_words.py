"""Say in plain words what a score means, and why cells were missed."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from workshop_utils.scoring import Score
    from workshop_utils.truth import Truth

__all__ = ["in_words", "why_missed"]

# Footprints as alike as this share enough light for the brighter cell to be taken for both.
_OVERLAP = 0.3
_LAST_QUARTER, _DIM_THIRD = 75, 33
_UNKNOWN = "for no reason that the answer key knows"
# What a notebook shows without breaking lines of its own; what follows a name begins in the same column.
_WIDTH, _INDENT = 96, 11


def why_missed(missed: np.ndarray, truth: Truth) -> dict[str, int]:
    """
    Sort missed cells by what is likely to have hidden them.

    Parameters
    ----------
    missed : ndarray of int
        Numbers of the true cells that weren't found.
    truth : Truth
        What the recording holds.

    Returns
    -------
    dict of str to int
        Reason and number of cells, most frequent first. A cell counts once, by the first of: at the edge,
        beside a brighter cell, dim, blurred; else ``'for no reason that the answer key knows'``.
    """
    found: dict[str, int] = {}
    tests = _reasons(truth)
    for cell in missed:
        reason = next((name for name, hidden in tests.items() if hidden[cell]), _UNKNOWN)
        found[reason] = found.get(reason, 0) + 1
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def in_words(score: Score, missed: np.ndarray, truth: Truth) -> str:
    """
    Explain a score.

    Parameters
    ----------
    score : Score
        Of a fit, for the detectable cells.
    missed : ndarray of int
        Numbers of the true cells that weren't found.
    truth : Truth
        What the recording holds.

    Returns
    -------
    str
        Some lines of text, narrow enough for a notebook.
    """
    paragraphs = [_recall(score), _missed(missed, truth), _precision(score), _ignored(score)]
    if not np.isnan(score.f1):
        paragraphs.append(f"F1         {score.f1:.2f}: one number for both, high only if both are.")
    paragraphs.append(_traces(score))
    indent = " " * _INDENT
    return "\n".join(
        textwrap.fill(text, _WIDTH, subsequent_indent=indent, break_on_hyphens=False)
        for text in paragraphs
        if text
    )


def _recall(score: Score) -> str:
    if not score.n_true:
        return "Recall     undefined: the answer key lists no cell that could be found."
    if score.n_true == 1:
        was = "was" if score.tp else "was not"
        return f"Recall     {score.recall:.2f}: the only cell that could be found {was} found."
    were = "was" if score.tp == 1 else "were"
    share = f"{score.tp} of the {score.n_true} cells"
    return f"Recall     {score.recall:.2f}: {share} that could be found {were} found."


def _missed(missed: np.ndarray, truth: Truth) -> str:
    reasons = why_missed(missed, truth) if len(missed) else {}
    said = ", ".join(f"{count} {reason}" for reason, count in reasons.items())
    return f"{' ' * _INDENT}Missed: {said}." if said else ""


def _precision(score: Score) -> str:
    if not score.n_est:
        return "Precision  undefined: there are no components."
    if np.isnan(score.precision):
        those = f"all {score.n_est} components are cells"
        those = "the only component is a cell" if score.n_est == 1 else those
        return f"Precision  undefined: {those} that didn't have to be found."
    if score.n_est == 1:
        is_it = "is one of these cells" if score.tp else "is invented"
        return f"Precision  {score.precision:.2f}: the only component {is_it}."
    hits = "1 is such a cell" if score.tp == 1 else f"{score.tp} are these cells"
    hits = "none is such a cell" if not score.tp else hits
    invented = {0: "none is", 1: "1 is"}.get(score.n_false, f"{score.n_false} are")
    return f"Precision  {score.precision:.2f}: of {score.n_est} components, {hits}, and {invented} invented."


def _ignored(score: Score) -> str:
    if not score.n_ignored or score.n_ignored == score.n_est:  # then precision says it
        return ""
    are = "is a true cell" if score.n_ignored == 1 else "are true cells"
    return (
        f"{' ' * _INDENT}{score.n_ignored} more {are}, too dim or blurred to be asked for:"
        " no merit, and no mistake."
    )


def _traces(score: Score) -> str:
    if not score.tp:
        return ""
    if score.tp == 1:
        return (
            f"Traces     {score.trace_r_median:.3f}: correlation of the found cell's trace with the true one."
        )
    return (
        f"Traces     {score.trace_r_median:.3f}: median correlation with the true traces;"
        f" one in ten is below {score.trace_r_p10:.3f}."
    )


def _reasons(truth: Truth) -> dict[str, np.ndarray]:
    """For each reason, which of all cells it applies to."""
    rows, columns = truth.A.shape[1:]
    centers = truth.centers
    edge = np.minimum(centers, np.array([rows, columns]) - 1 - centers).min(axis=1)
    bright = truth.C.max(axis=1) if truth.snr is None else truth.snr
    reasons = {
        "at the edge": edge < _radius(truth),
        "beside a brighter cell": _overlaps(truth, bright),
        "dim": bright < np.percentile(bright[truth.detectable], _DIM_THIRD)
        if truth.detectable.any()
        else np.zeros(len(bright), bool),
    }
    if truth.blur_px is not None and truth.detectable.any():
        reasons["blurred"] = truth.blur_px > np.percentile(truth.blur_px[truth.detectable], _LAST_QUARTER)
    return reasons


def _radius(truth: Truth) -> float:
    """Radius of the disk that is as large as a typical footprint at half its height, px."""
    peaks = truth.A.max(axis=(1, 2), keepdims=True)
    area = (truth.A > peaks / 2).sum(axis=(1, 2))
    return float(np.sqrt(np.median(area) / np.pi)) if len(area) else 0.0


def _overlaps(truth: Truth, bright: np.ndarray) -> np.ndarray:
    flat = truth.A.reshape(len(truth.A), -1)
    unit = flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12)
    alike = unit @ unit.T
    return ((alike > _OVERLAP) & (bright[None, :] > bright[:, None])).any(axis=1)
