"""
Score components, shifts and seeds against the truth of a simulated recording.

Footprints are matched by cosine similarity and the Hungarian method; matched traces are compared by their
Pearson correlation. Real recordings have no such answer key.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from scipy.optimize import linear_sum_assignment

from cnmf_engine.base import errors
from workshop_utils.movies.truth import Truth, load_truth

__all__ = [
    "Match",
    "Score",
    "SeedScore",
    "Truth",
    "explain",
    "load_truth",
    "match",
    "score",
    "score_seeds",
    "shift_error",
    "unit_columns",
]

# Footprints as alike as this share enough light for the brighter cell to be taken for both.
_OVERLAP = 0.3
_LAST_QUARTER, _DIM_THIRD = 75, 33
_UNKNOWN = "for no reason that the answer key knows"
# What a notebook shows without breaking lines of its own; what follows a name begins in the same column.
_WIDTH, _INDENT = 96, 11


class Match(NamedTuple):
    """
    Estimated and true footprints that belong together.

    Attributes
    ----------
    pairs : ndarray of shape (n, 2), int
        Index of the estimate and of the true cell, in order of the estimates.
    cosine : ndarray of shape (n,), float64
        Cosine similarity of each pair.
    """

    pairs: np.ndarray
    cosine: np.ndarray


@dataclass(frozen=True)
class Score:
    """
    How well the components of a fit agree with the truth.

    Attributes
    ----------
    n_est : int
        Components that were scored.
    n_true : int
        True cells that could be found.
    tp : int
        Those that were found.
    precision, recall, f1 : float
        Shares between 0 and 1; NaN where there is nothing to take a share of.
    trace_r_median, trace_r_p10 : float
        Median and tenth percentile of the trace correlation over the found cells; NaN if none was found.
    cosine_median : float
        Median cosine similarity of footprints over the found cells; NaN if none was found.
    n_ignored : int
        Components that match a true cell outside the detectable ones; neither hits nor false.
    detectable_only : bool
        Whether only detectable cells were asked for.
    """

    n_est: int
    n_true: int
    tp: int
    precision: float
    recall: float
    f1: float
    trace_r_median: float
    trace_r_p10: float
    cosine_median: float
    n_ignored: int = 0
    detectable_only: bool = True

    @property
    def n_false(self) -> int:
        """Components that match no true cell."""
        return self.n_est - self.tp - self.n_ignored

    def __str__(self) -> str:
        """Say it in one sentence."""
        kind = "detectable cells" if self.detectable_only else "cells"
        text = (
            f"found {self.tp} of {self.n_true} {kind} (recall {_share(self.recall)}), "
            f"{self.n_false} of {self.n_est} components are false "
            f"(precision {_share(self.precision)}), F1 {_share(self.f1)}"
        )
        if self.n_ignored:
            matches = "1 matches a dim cell" if self.n_ignored == 1 else f"{self.n_ignored} match dim cells"
            text += f"; {matches} that didn't have to be found"
        if self.tp:
            text += (
                f"; trace correlation median {self.trace_r_median:.3f}, "
                f"10th percentile {self.trace_r_p10:.3f}; footprint cosine median {self.cosine_median:.2f}"
            )
        return text


class SeedScore(NamedTuple):
    """
    How seed pixels meet the true cells.

    Attributes
    ----------
    hits : ndarray of int
        Detectable cells with a seed.
    missed : ndarray of int
        Detectable cells without one.
    false : ndarray of int
        Seeds with no true cell near them, as indices of the seeds.
    """

    hits: np.ndarray
    missed: np.ndarray
    false: np.ndarray

    def __str__(self) -> str:
        """Say it in one sentence."""
        total = len(self.hits) + len(self.missed)
        false = "1 seed is false" if len(self.false) == 1 else f"{len(self.false)} seeds are false"
        return f"{len(self.hits)} of {total} detectable cells have a seed, {false}"


def match(A_est: np.ndarray | sp.sparray | sp.spmatrix, A_true: np.ndarray, threshold: float = 0.6) -> Match:
    """
    Pair estimated with true footprints.

    Every estimate gets at most one true cell and the other way round, such that the sum of the similarities
    that reach the threshold is as large as can be.

    Parameters
    ----------
    A_est : sparse or dense array of shape (d, K)
        Estimated footprints, pixels in Fortran order. Their scale is of no account.
    A_true : ndarray of shape (K_true, d1, d2)
        True footprints.
    threshold : float
        A pair counts when its cosine similarity exceeds this.

    Returns
    -------
    Match
        `pairs` (n, 2) and `cosine` (n,).

    Raises
    ------
    InputError
        If the two have different numbers of pixels, or values that aren't finite.
    """
    A_true = np.asarray(A_true)
    if A_true.ndim != 3:
        raise errors.InputError(
            errors.explain("true footprints (K, d1, d2)", f"shape {A_true.shape}", "pass truth.A")
        )
    n_true, d1, d2 = A_true.shape
    true_rows = unit_columns(sp.csr_array(A_true.transpose(0, 2, 1).reshape(n_true, d1 * d2)).T, d1 * d2).T
    cosine = (true_rows @ unit_columns(A_est, d1 * d2)).toarray().T
    est, true = linear_sum_assignment(np.where(cosine > threshold, cosine, 0.0), maximize=True)
    counts = cosine[est, true] > threshold
    pairs = np.stack([est[counts], true[counts]], axis=1).astype(int)
    return Match(pairs, cosine[pairs[:, 0], pairs[:, 1]])


def score(
    A: np.ndarray | sp.sparray | sp.spmatrix,
    C: np.ndarray,
    truth: Truth,
    detectable_only: bool = True,
    threshold: float = 0.6,
) -> Score:
    """
    Score the components of a fit.

    With `detectable_only`, recall is over the detectable cells. The estimates are still matched with all true
    cells, and one that matches a true but undetectable cell is neither a hit nor a false positive: to find a
    cell that nobody could be asked to find is no mistake.

    Parameters
    ----------
    A : sparse or dense array of shape (d, K)
        Footprints, pixels in Fortran order.
    C : ndarray of shape (K, T)
        Traces in the same order. A constant one has correlation 0 with everything.
    truth : Truth
        What the recording holds.
    detectable_only : bool
        Ask for the detectable cells only.
    threshold : float
        Cosine similarity that a pair must exceed.

    Returns
    -------
    Score
        Counts, shares and correlations; prints as a sentence.

    Raises
    ------
    InputError
        If A, C and the truth disagree in the number of pixels, components or frames.
    """
    C = np.atleast_2d(np.asarray(C)) if np.size(C) else np.zeros((0, truth.C.shape[1]))
    found = match(A, truth.A, threshold)
    n_est = 1 if np.ndim(A) == 1 else A.shape[1]
    if C.shape != (n_est, truth.C.shape[1]):
        raise errors.InputError(
            errors.explain(
                f"traces of {n_est} components in {truth.C.shape[1]} frames",
                f"C of shape {C.shape}",
                "score all frames of the movie that the truth belongs to, and give A and C of the same fit",
            )
        )
    wanted = truth.detectable if detectable_only else np.ones(len(truth.A), bool)
    is_hit = wanted[found.pairs[:, 1]]
    pairs, cosine = found.pairs[is_hit], found.cosine[is_hit]
    r = np.array([_pearson(C[i], truth.C[j]) for i, j in pairs])
    tp, n_true, n_ignored = len(pairs), int(wanted.sum()), int((~is_hit).sum())
    n_judged = n_est - n_ignored
    return Score(
        n_est=n_est,
        n_true=n_true,
        tp=tp,
        precision=_ratio(tp, n_judged),
        recall=_ratio(tp, n_true),
        f1=_ratio(2 * tp, n_judged + n_true),
        trace_r_median=float(np.median(r)) if tp else float("nan"),
        trace_r_p10=float(np.percentile(r, 10)) if tp else float("nan"),
        cosine_median=float(np.median(cosine)) if tp else float("nan"),
        n_ignored=n_ignored,
        detectable_only=detectable_only,
    )


def explain(
    A: np.ndarray | sp.sparray | sp.spmatrix, C: np.ndarray, truth: Truth, threshold: float = 0.6
) -> str:
    """
    Score the components of a fit, and say in words what the numbers mean and why cells were missed.

    Parameters
    ----------
    A : sparse or dense array of shape (d, K)
        Footprints, pixels in Fortran order.
    C : ndarray of shape (K, T)
        Traces in the same order.
    truth : Truth
        What the recording holds.
    threshold : float
        Cosine similarity that a pair must exceed.

    Returns
    -------
    str
        Some lines of text.

    Raises
    ------
    InputError
        As `score`.
    """
    found = match(A, truth.A, threshold).pairs[:, 1]
    missed = np.setdiff1d(np.flatnonzero(truth.detectable), found)
    return in_words(score(A, C, truth, threshold=threshold), missed, truth)


def shift_error(shifts_est: np.ndarray, truth_shifts: np.ndarray) -> float:
    """
    Measure how well motion was estimated.

    An estimate of the correction is the negative of the motion up to a constant, which depends on the
    template and doesn't matter; so the sum of both is taken and its mean removed.

    Parameters
    ----------
    shifts_est : array of shape (T, 2)
        Estimated correction of each frame, rows then columns, px.
    truth_shifts : array of shape (T, 2)
        Motion applied to the scene, rows then columns, px.

    Returns
    -------
    float
        Root of the mean squared distance, both axes together, px.

    Raises
    ------
    InputError
        If the shapes differ or aren't (T, 2).
    """
    estimate, truth = np.asarray(shifts_est, dtype=float), np.asarray(truth_shifts, dtype=float)
    if estimate.ndim != 2 or estimate.shape[1] != 2 or estimate.shape != truth.shape or not len(estimate):
        raise errors.InputError(
            errors.explain(
                "shifts (T, 2) of the same frames",
                f"{estimate.shape} estimated and {truth.shape} true",
                "give one row and one column shift for each frame, e.g. MotionCorrect's shifts_rig",
            )
        )
    residual = estimate + truth
    residual -= residual.mean(axis=0)
    return float(np.sqrt((residual**2).sum(axis=1).mean()))


def score_seeds(seeds: np.ndarray, truth: Truth, radius: float = 3.0) -> SeedScore:
    """
    See which cells initialisation would start from.

    Parameters
    ----------
    seeds : array of shape (n, 2)
        Row and column of each seed pixel.
    truth : Truth
        What the recording holds.
    radius : float
        How far from the centre of a cell a seed may be, px.

    Returns
    -------
    SeedScore
        `hits` and `missed` among the detectable cells, `false` among the seeds. A seed on an undetectable
        cell is neither a hit nor false; several seeds on one cell are one hit.

    Raises
    ------
    InputError
        If the seeds aren't pairs of a row and a column.
    """
    seeds = np.asarray(seeds, dtype=float)
    if seeds.size == 0:
        seeds = np.zeros((0, 2))
    if seeds.ndim != 2 or seeds.shape[1] != 2:
        raise errors.InputError(
            errors.explain("seeds (n, 2), row and column", f"shape {seeds.shape}", "pass np.argwhere(mask)")
        )
    distance = np.linalg.norm(seeds[:, None] - truth.centers[None], axis=2)
    near = distance <= radius
    detectable = np.flatnonzero(truth.detectable)
    to_detectable = distance[:, detectable]
    hit = np.zeros(len(detectable), bool)
    if len(seeds) and len(detectable):
        # One seed can't stand for two neighbours: it goes to the nearer one.
        nearest = to_detectable.argmin(axis=1)
        hit[nearest[to_detectable.min(axis=1) <= radius]] = True
    return SeedScore(detectable[hit], detectable[~hit], np.flatnonzero(~near.any(axis=1)))


def unit_columns(A: np.ndarray | sp.sparray | sp.spmatrix, d: int) -> sp.csc_array:
    """
    Scale each footprint to length one.

    Parameters
    ----------
    A : sparse or dense array of shape (d, K)
        Footprints; empty ones stay empty.
    d : int
        Number of pixels.

    Returns
    -------
    csc_array of shape (d, K)
        The scaled footprints.

    Raises
    ------
    InputError
        If there are other than d pixels, or values that aren't finite.
    """
    A = A if sp.issparse(A) else np.asarray(A).reshape(len(A), -1)
    if A.shape[0] != d:
        raise errors.InputError(
            errors.explain(
                f"footprints (d, K) with d = {d} pixels",
                f"shape {A.shape}",
                "flatten pixels in Fortran order, and use the truth of the same movie",
            )
        )
    A = sp.csc_array(A)
    if not np.isfinite(A.data).all():
        raise errors.InputError(
            errors.explain("finite footprints", "NaN or infinity in A", "drop those components first")
        )
    norm = np.sqrt(np.asarray(A.multiply(A).sum(axis=0), dtype=float)).ravel()
    return (A @ sp.diags_array(np.divide(1.0, norm, out=np.zeros_like(norm), where=norm > 0))).tocsc()


def _pearson(a: np.ndarray, b: np.ndarray) -> float:
    """Correlate two traces; 0 where one of them is constant."""
    a, b = a - a.mean(dtype=float), b - b.mean(dtype=float)
    length = np.linalg.norm(a) * np.linalg.norm(b)
    return float(a @ b / length) if length > 0 else 0.0


def _ratio(part: float, whole: float) -> float:
    """Divide; NaN for nothing out of nothing."""
    return part / whole if whole else float("nan")


def _share(value: float) -> str:
    """Write a share, or say that there is none."""
    return "undefined" if np.isnan(value) else f"{value:.2f}"


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
