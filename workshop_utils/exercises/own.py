"""Checks of lesson 7: the size of a cell, and a set of parameters of one's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from workshop_utils.exercises.reading import close, is_empty, one_number
from workshop_utils.exercises.verdict import Verdict, answering, no_answer, not_yet, right

__all__ = ["cell_diameter", "own_set"]

# Two people who measure the same cell by eye agree to about this share.
_TOLERANCE = 0.3
_SAME = 0.005


@answering
def cell_diameter(answer: Any, gSig: float) -> Verdict:
    """
    Check a cell's diameter, measured by eye, against the width that was measured from the movie.

    Parameters
    ----------
    answer : float or None
        Diameter, px.
    gSig : float
        Width of a cell as the sigma of a Gaussian, px.

    Returns
    -------
    Verdict
        Right within 30 % of four times `gSig`.
    """
    diameter = one_number(answer, "the diameter of a cell", "my_diameter", "pixels")
    wanted = 4 * float(gSig)
    if abs(diameter - wanted) <= _TOLERANCE * wanted:
        return right(
            f"{diameter:g} px by eye, and {wanted:g} px from gSig {gSig:g}: they agree as well as two"
            " people would.",
            "One thing more: measure three cells, a small one too, and divide the middle value by four.",
        )
    if close(diameter, gSig, 0.3):
        return not_yet("that is about gSig itself, a sigma. A diameter is about four of them.")
    if close(2 * diameter, wanted, 0.2):
        return not_yet("that is about half of it: a radius? The diameter goes from edge to edge.")
    if diameter <= 0:
        return not_yet("a diameter is larger than 0.")
    size = "larger" if diameter > wanted else "smaller"
    return not_yet(
        f"{diameter:g} px is clearly {size} than what the movie's own measure gives.",
        "Where the line profile has fallen to a tenth of its height is the edge.",
        "If you are sure of yours, believe your eyes, and give gSig a quarter of it.",
    )


@answering
def own_set(answer: Any, results: Mapping[str, Any]) -> Verdict:
    """
    Say how a set of parameters of one's own compares with the others.

    Parameters
    ----------
    answer : str or None
        Label of one's own set in `results`.
    results : Mapping of str to SetResult
        From `workshop_utils.measures.compare`, one's own set among them.

    Returns
    -------
    Verdict
        With an answer key: right if no other set has a higher F1. Without: right if it accepts something and
        leaves no more structure behind than the best other set; the message says what to look at.
    """
    if is_empty(answer):
        return no_answer("set my_set to parameters of your own, fit with them, and run the cell again.")
    if not results:
        return no_answer("nothing was compared yet: run the whole cell again.")
    if not isinstance(answer, str) or answer not in results:
        return not_yet(f"the answer is the label of your set, one of: {', '.join(results)}.")
    mine = results[answer]
    others = {label: result for label, result in results.items() if label != answer}
    if not others:
        return no_answer("there is nothing to compare it with: fit at least two sets.")
    if not mine.accepted:
        return not_yet(
            f"of {mine.components} components none was accepted: lower the thresholds, or the width is wrong."
        )
    if mine.score is not None:
        return _scored(answer, mine, others)
    label, best = min(others.items(), key=lambda item: np.nan_to_num(item[1].left, nan=np.inf))
    numbers = (
        f"{mine.accepted} accepted ({best.accepted} with {label}), median SNR {mine.snr_median:.1f}"
        f" ({best.snr_median:.1f}), structure left {mine.left:.2f} ({best.left:.2f})"
    )
    if not np.isfinite([mine.left, best.left]).all():
        return no_answer(f"{numbers}.", "What is left couldn't be measured, so only the outlines can tell.")
    if mine.left <= best.left + _SAME:
        return right(
            f"{numbers}.", "Without an answer key that is as far as numbers go: now look at the outlines."
        )
    return not_yet(f"{numbers}. More structure is left: cells were missed. Look for them in the residual.")


def _scored(name: str, mine: Any, others: Mapping[str, Any]) -> Verdict:
    label, best = max(others.items(), key=lambda item: np.nan_to_num(item[1].score.f1, nan=-1))
    own, theirs = mine.score, best.score
    numbers = (
        f"F1 {own.f1:.2f} ({theirs.f1:.2f} with {label}), precision {own.precision:.2f}"
        f" ({theirs.precision:.2f}),"
        f" recall {own.recall:.2f} ({theirs.recall:.2f})"
    )
    if np.nan_to_num(own.f1, nan=-1) >= np.nan_to_num(theirs.f1, nan=-1) - _SAME:
        return right(
            f"{numbers}.",
            "One thing more: would you have chosen it without these numbers, by outlines, SNR and"
            " what is left?",
        )
    missing = "cells are missing" if own.recall < theirs.recall else "more is invented"
    return not_yet(f"{name}: {numbers}. What it lacks: {missing}.")
