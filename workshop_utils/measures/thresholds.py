"""What two thresholds on the summary images mean: ranges, a suggestion, and the seeds they leave."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cnmf_engine.base.errors import InputError, explain

if TYPE_CHECKING:
    from cnmf_engine.stages.cell_evidence import CellEvidence
    from workshop_utils.measures.scoring import SeedScore
    from workshop_utils.movies.truth import Truth

__all__ = [
    "SliderRange",
    "SliderRanges",
    "Thresholds",
    "TunerView",
    "no_cells",
    "seed_pixels",
    "slider_ranges",
    "suggest_thresholds",
    "tuner_view",
]

_FIRST_GUESS = (0.8, 10.0)
_PNR_RULES = {
    "background": "background and noise reach {background:.1f} here, and what is higher is likely a cell",
    "share": "the top 15 % of pixels reach it, and cells cover no more of a field",
    "usual": "that is the usual first guess and the limit here; the images alone would ask for more",
}


class SliderRange(NamedTuple):
    """
    The ends of a slider and its step.

    Attributes
    ----------
    low, high, step : float
        In the unit of the value.
    """

    low: float
    high: float
    step: float


class SliderRanges(NamedTuple):
    """
    Ranges for the two thresholds.

    Attributes
    ----------
    min_corr, min_pnr : SliderRange
        One for each.
    """

    min_corr: SliderRange
    min_pnr: SliderRange


class Thresholds(NamedTuple):
    """
    Two thresholds, and how they were found.

    Attributes
    ----------
    min_corr, min_pnr : float
        The thresholds.
    rule : str
        The rule in a sentence or two.
    why_corr, why_pnr : str
        What set each of them.
    """

    min_corr: float
    min_pnr: float
    rule: str
    why_corr: str
    why_pnr: str


class TunerView(NamedTuple):
    """
    What two thresholds leave.

    Attributes
    ----------
    mask : ndarray of shape (d1, d2), bool
        Pixels that reach both.
    product : ndarray of shape (d1, d2), float32
        Correlation times peak-to-noise ratio in these pixels, 0 elsewhere.
    seeds : ndarray of shape (n, 2), int
        Row and column of each pixel from which a cell would be grown.
    score : SeedScore or None
        Cells hit and missed, and false seeds, where the truth is known.
    summary : str
        All of it in a sentence.
    """

    mask: np.ndarray
    product: np.ndarray
    seeds: np.ndarray
    score: SeedScore | None
    summary: str


def clean_images(cn: Any, pnr: Any) -> tuple[np.ndarray, np.ndarray]:
    """
    Check two summary images.

    Parameters
    ----------
    cn, pnr : arrays of shape (d1, d2)
        Correlation image and peak-to-noise ratio.

    Returns
    -------
    (ndarray, ndarray)
        Both as float32, 0 where they aren't finite.
    """
    both = [np.asarray(image, dtype=np.float32) for image in (cn, pnr)]
    if both[0].ndim != 2 or both[0].shape != both[1].shape or both[0].size == 0:
        raise InputError(
            explain(
                "cn and pnr as images (rows, columns) of one size",
                f"shapes {both[0].shape} and {both[1].shape}",
                "pass the two results of one call of correlation_pnr",
            )
        )
    return tuple(np.nan_to_num(image, posinf=0.0, neginf=0.0) for image in both)


def slider_ranges(cn: Any, pnr: Any, keep: tuple[float, float] | None = None) -> SliderRanges:
    """
    Choose ranges in which moving a slider changes something.

    Parameters
    ----------
    cn, pnr : arrays of shape (d1, d2)
        Correlation image and peak-to-noise ratio.
    keep : (float, float), optional
        Values of min_corr and min_pnr that have to lie inside.

    Returns
    -------
    SliderRanges
        From the first to the 99.9th percentile, rounded outwards; correlations end at 1 at most.
    """
    cn, pnr = clean_images(cn, pnr)
    kept = keep or (float(np.median(cn)), float(np.median(pnr)))
    low, high = np.percentile(cn, (1, 99.9))
    top = float(min(1.0, max(np.ceil(high * 20) / 20, kept[0], 0.05)))
    bottom = float(max(0.0, min(np.floor(low * 20) / 20, kept[0], top - 0.05)))
    corr = SliderRange(bottom, top, 0.01)
    low, high = np.percentile(pnr, (1, 99.9))
    ratio = SliderRange(
        float(max(0.0, min(np.floor(low), kept[1]))),
        float(max(np.ceil(high), np.ceil(kept[1]), low + 1.0)),
        0.1,
    )
    return SliderRanges(corr, ratio)


def suggest_thresholds(cells: CellEvidence | None) -> Thresholds:
    """
    Suggest where to start, and say why.

    With few cells the thresholds lie just above what background and noise reach in the same movie, with many
    they are low on purpose: a false seed can be rejected later, a missed cell can't be found again.

    Parameters
    ----------
    cells : cnmf_engine.stages.cell_evidence.CellEvidence or None
        What `find_cells` found; without it, or without cells, the usual first guess is all there is.

    Returns
    -------
    Thresholds
        Rounded down to what the sliders can show.
    """
    if cells is None or not len(cells.places):
        why = "the usual first guess, not a measurement"
        found = "The movie isn't here to be looked at." if cells is None else no_cells(cells)
        return Thresholds(*_FIRST_GUESS, f"{found} 0.8 and 10 are the usual first guess.", why, why)
    corr, ratio = math.floor(cells.min_corr * 100 + 1e-6) / 100, math.floor(cells.min_pnr * 10 + 1e-6) / 10
    n, plural = len(cells.places), "" if len(cells.places) == 1 else "s"
    if cells.rule == "few":
        why = (
            "all of them reach it; never above the usual 0.8, nor below 0.5",
            f"background and noise reach {cells.background_pnr:.1f} here, the weakest of the clear cells "
            f"{cells.pnr.min():.1f}",
        )
        rule = (
            f"Only {n} cell{plural} stand{'' if plural else 's'} out: min_pnr: {why[1]}; min_corr: {why[0]}."
        )
        return Thresholds(corr, ratio, rule, *why)
    why = (
        "the top 15 % of pixels reach it; never above 0.8, nor below 0.5",
        _PNR_RULES[cells.rule].format(background=cells.background_pnr),
    )
    return Thresholds(corr, ratio, f"{n} cells stand out. min_corr: {why[0]}. min_pnr: {why[1]}.", *why)


def no_cells(cells: CellEvidence) -> str:
    """Say that no cells are visible, by how much, and what to do."""
    return (
        "No cells are visible here: nothing of their size stands out of background and noise, which reach a "
        f"peak-to-noise ratio of {cells.background_pnr:.1f} even in the movie's negative. "
        "Look at focus and light, try another gSig, or take a longer or livelier part of the recording."
    )


def box_size(gSig: float) -> int:
    """
    Size of the box around a cell that goes with its width.

    Parameters
    ----------
    gSig : float
        Width of a cell, px.

    Returns
    -------
    int
        The parameter gSiz, px.
    """
    return int(round(2 * float(gSig))) + 1


def seed_pixels(cn: Any, pnr: Any, gSig: float, min_corr: float, min_pnr: float) -> np.ndarray:
    """
    Find the pixels from which initialisation would grow cells.

    Parameters
    ----------
    cn, pnr : arrays of shape (d1, d2)
        Correlation image and peak-to-noise ratio.
    gSig : float
        Width of a cell, px.
    min_corr, min_pnr : float
        Thresholds.

    Returns
    -------
    ndarray of shape (n, 2), int
        Row and column of each, best first.
    """
    from cnmf_engine.stages.cnmfe.seeding import seed_pixels as rule

    cn, pnr = clean_images(cn, pnr)
    return rule(cn, pnr, min_corr, min_pnr, box_size(gSig))


def tuner_view(
    cn: Any,
    pnr: Any,
    min_corr: float,
    min_pnr: float,
    gSig: float = 3,
    truth: Truth | None = None,
    seed_rule: Callable[..., np.ndarray] | None = None,
) -> TunerView:
    """
    Work out what two thresholds leave.

    Parameters
    ----------
    cn, pnr : arrays of shape (d1, d2)
        Correlation image and peak-to-noise ratio.
    min_corr, min_pnr : float
        Thresholds; a pixel that equals one reaches it.
    gSig : float
        Width of a cell, px; a seed within twice that of a cell's centre hits it.
    truth : workshop_utils.movies.truth.Truth, optional
        What the recording holds.
    seed_rule : callable, optional
        Another way to find seeds, called as `seed_pixels` is.

    Returns
    -------
    TunerView
        Mask, product, seeds, score and a summary.
    """
    cn, pnr = clean_images(cn, pnr)
    mask = (cn >= min_corr) & (pnr >= min_pnr)
    found = np.asarray((seed_rule or seed_pixels)(cn, pnr, gSig, min_corr, min_pnr), dtype=int).reshape(-1, 2)
    summary = (
        f"{len(found)} seeds in {int(mask.sum())} pixels that reach both ({mask.mean():.1%} of the field)"
    )
    score = None
    if truth is not None:
        from workshop_utils.measures.scoring import score_seeds

        score = score_seeds(found, truth, radius=2 * float(gSig))
        summary += f"; {score}"
    return TunerView(mask, np.where(mask, cn * pnr, 0).astype(np.float32), found, score, summary)
