"""Say where accuracy is lost: why cells are missed, and what the false components are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import scipy.sparse as sp

from workshop_utils.measures.scoring import match
from workshop_utils.movies.truth import Truth

__all__ = ["losses"]

# A false component that overlaps a true cell this much (cosine similarity) is about that cell.
RELATED = 0.3
# And one whose pixels lie this far under a vessel, in the mean, is about the vessel.
UNDER_VESSEL = 0.75
# Half width of the square around a cell's centre in which seeds are sought, px.
REACH = 2


def losses(
    estimates, pictures: tuple, truth: Truth, truth_file: Path, min_corr: float, min_pnr: float
) -> dict:
    """
    Sort misses and false components by their cause.

    Parameters
    ----------
    estimates : Estimates
        With `A`, `C` and `idx_components`.
    pictures : (ndarray, ndarray)
        Correlation and peak-to-noise image, (d1, d2).
    truth : Truth
        What the recording holds.
    truth_file : Path
        Where the vessels' transmission is kept, if anywhere.
    min_corr, min_pnr : float
        Thresholds of the seeds.

    Returns
    -------
    dict
        `missed`: detectable cells without a component, each under the first that holds: no pixel near its
        centre reaches `min_pnr`; none reaches `min_corr`; none reaches both; a component is near but doesn't
        look like it ("misshapen"), or lies on it together with a neighbour ("taken by a neighbour"); "no
        seed kept". `rejected`: found, but rejected by evaluation. `false`: components of no true cell, each
        under: a second one on a found cell, part of a cell, under a vessel, at the border, other.
        `false_accepted`: how many of those evaluation accepts.
    """
    A = sp.csc_array(estimates.A)
    found = match(A, truth.A)
    accepted = np.isin(np.arange(A.shape[1]), estimates.idx_components)
    cosine = _cosine(A, truth.A)
    hit = np.isin(np.arange(len(truth.A)), found.pairs[:, 1])
    missed = np.flatnonzero(truth.detectable & ~hit)
    false = np.setdiff1d(np.arange(A.shape[1]), found.pairs[:, 0])
    on_detectable = truth.detectable[found.pairs[:, 1]]
    vessels = _vessels(truth_file, truth.A.shape[1:])
    why_missed = [
        _why_missed(k, truth, pictures, min_corr, min_pnr, cosine, found.pairs[:, 0]) for k in missed
    ]
    why_false = [_why_false(A[:, [i]], cosine[i], hit, truth.A.shape[1:], vessels) for i in false]
    return {
        "missed": _count(why_missed),
        "rejected": int((on_detectable & ~accepted[found.pairs[:, 0]]).sum()),
        "false": _count(why_false),
        "false_accepted": _count([why for i, why in zip(false, why_false) if accepted[i]]),
    }


def _why_missed(k, truth, pictures, min_corr, min_pnr, cosine, taken) -> str:
    row, col = np.round(truth.centers[k]).astype(int)
    rows, cols = slice(max(row - REACH, 0), row + REACH + 1), slice(max(col - REACH, 0), col + REACH + 1)
    corr, pnr = (np.nan_to_num(picture[rows, cols]) for picture in pictures)
    if pnr.max(initial=0) < min_pnr:
        return "PNR below threshold"
    if corr.max(initial=0) < min_corr:
        return "correlation below threshold"
    if not ((corr >= min_corr) & (pnr >= min_pnr)).any():
        return "never both above threshold"
    if not len(cosine) or cosine[:, k].max() < RELATED:
        return "no seed kept"
    return "taken by a neighbour" if cosine[:, k].argmax() in taken else "misshapen"


def _why_false(component, cosine, hit, dims, vessels) -> str:
    related = cosine > RELATED
    if (related & hit).any():
        return "second on a found cell"
    if related.any():
        return "part of a missed cell"
    image = component.toarray().reshape(dims, order="F").astype(float)
    mass = image.sum()
    if not mass:
        return "empty"
    if (image * vessels).sum() / mass < UNDER_VESSEL:
        return "under a vessel"
    rows, cols = np.indices(dims)
    center = np.array([(image * rows).sum(), (image * cols).sum()]) / mass
    at_border = (np.minimum(center, np.array(dims) - 1 - center) < 5).any()
    return "at the border" if at_border else "other"


def _cosine(A: sp.csc_array, A_true: np.ndarray) -> np.ndarray:
    """Cosine similarity of every component with every true cell, (K, K_true)."""
    true = A_true.transpose(0, 2, 1).reshape(len(A_true), A.shape[0])
    product = A.T @ true.T
    lengths = np.sqrt(A.multiply(A).sum(axis=0))
    return product / np.maximum(np.outer(np.asarray(lengths).ravel(), np.linalg.norm(true, axis=1)), 1e-12)


def _vessels(truth_file: Path, dims: tuple[int, int]) -> np.ndarray:
    """Transmission of the vessels, 1 where there is none."""
    with np.load(truth_file) as stored:
        return stored["vessels"].astype(float) if "vessels" in stored else np.ones(dims)


def _count(names: list[str]) -> dict[str, int]:
    """Count equal names, the most frequent first."""
    counts = {name: names.count(name) for name in set(names)}
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
