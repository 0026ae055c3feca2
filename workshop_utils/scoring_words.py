"""Say in plain words what a score means, and why cells were missed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from workshop_utils.scoring import Score
    from workshop_utils.truth import Truth

__all__ = ["in_words", "why_missed"]

# Footprints as alike as this share enough light for the brighter cell to be taken for both.
_OVERLAP = 0.3
_LAST_QUARTER, _DIM_THIRD = 75, 33


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
        beside a brighter cell, dim, blurred; else ``'no reason that the answer key knows'``.
    """
    found: dict[str, int] = {}
    tests = _reasons(truth)
    for cell in missed:
        reason = next(
            (name for name, hidden in tests.items() if hidden[cell]), "no reason that the answer key knows"
        )
        found[reason] = found.get(reason, 0) + 1
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def in_words(score: Score, missed: np.ndarray, truth: Truth) -> str:
    """
    Explain a score.

    Parameters
    ----------
    score : Score
        Of a fit.
    missed : ndarray of int
        Numbers of the true cells that weren't found.
    truth : Truth
        What the recording holds.

    Returns
    -------
    str
        Some lines of text.
    """
    lines = [_recall(score), *_missed(missed, truth), _precision(score)]
    if not np.isnan(score.f1):
        lines.append(f"F1         {score.f1:.2f}: one number for both, high only if both are.")
    if score.tp:
        lines.append(
            f"Traces     {score.trace_r_median:.3f}: median correlation of the found cells' traces"
            " with the true "
            f"ones; one in ten is below {score.trace_r_p10:.3f}."
        )
    return "\n".join(lines)


def _recall(score: Score) -> str:
    if not score.n_true:
        return "Recall     undefined: the answer key lists no cell that could be found."
    return (
        f"Recall     {score.recall:.2f}: {score.tp} of the {score.n_true} cells that could be found were"
        " found."
    )


def _missed(missed: np.ndarray, truth: Truth) -> list[str]:
    reasons = why_missed(missed, truth)
    if not reasons:
        return []
    return ["           Missed: " + ", ".join(f"{count} {reason}" for reason, count in reasons.items()) + "."]


def _precision(score: Score) -> str:
    if not score.n_est:
        return "Precision  undefined: there are no components."
    if np.isnan(score.precision):
        return f"Precision  undefined: all {score.n_est} components are cells that didn't have to be found."
    invented = {0: "none is", 1: "1 is"}.get(score.n_false, f"{score.n_false} are")
    text = (
        f"Precision  {score.precision:.2f}: of {score.n_est} components, {score.tp} are these cells, and"
        f" {invented} invented."
    )
    if score.n_ignored:
        text += (
            f"\n           {score.n_ignored} more are true cells, too dim or blurred to be asked for:"
            " no merit, and no "
            "mistake."
        )
    return text


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
