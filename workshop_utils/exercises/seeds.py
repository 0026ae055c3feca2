"""Checks of lesson 3: how many pixels pass both thresholds, and thresholds of one's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from workshop_utils.exercises.reading import (
    close,
    is_empty,
    one_number,
    recognised,
    share_line,
    whole_number,
)
from workshop_utils.exercises.verdict import Unusable, Verdict, answering, no_answer, not_yet, right

if TYPE_CHECKING:
    from workshop_utils.movies.truth import Truth

__all__ = ["count_passing", "thresholds"]

# "Hardly more" false seeds: what lesson 5 throws out again without effort.
_MORE_FALSE = 2
# Without an answer key: seeds so many times the first guess's are no longer cells.
_TOO_MANY = 4


@answering
def count_passing(answer: Any, cn: Any, pnr: Any, min_corr: float, min_pnr: float) -> Verdict:
    """
    Check how many pixels pass both thresholds.

    Parameters
    ----------
    answer : int or None
        Number of pixels.
    cn, pnr : arrays of shape (d1, d2)
        Correlation image and peak-to-noise ratio.
    min_corr, min_pnr : float
        The thresholds; a pixel that just reaches one passes.

    Returns
    -------
    Verdict
        Right for the exact number.
    """
    cn, pnr = np.asarray(cn), np.asarray(pnr)
    high, clear = cn >= min_corr, pnr >= min_pnr
    both, total = int(np.sum(high & clear)), high.size
    value = one_number(answer, "the number of pixels", "my_count")
    if close(value, both, 0):
        alone = f"{int(high.sum())} pass min_corr alone and {int(clear.sum())} min_pnr alone"
        return right(
            f"{both} of {total} pixels ({both / max(total, 1):.0%}) pass both thresholds; {alone}.",
            "One thing more: each seed is the best pixel of its surroundings, so there are far fewer"
            " seeds than pixels.",
        )
    if hint := share_line(value, both, total, "pixels"):
        return not_yet(hint)
    count = whole_number(answer, "the number of pixels", "my_count")
    strict = int(np.sum((cn > min_corr) & (pnr > min_pnr)))
    if slip := _slip(count, high, clear, strict):
        return not_yet(slip)
    if not 0 <= count <= total:
        return not_yet(f"the image has {total} pixels in all.")
    side = "more" if count > both else "fewer"
    return not_yet(
        f"{count} are {side} than pass. Print min_corr and min_pnr, and look at cn >= min_corr as an image."
    )


def _slip(count: int, high: np.ndarray, clear: np.ndarray, strict: int) -> str:
    """Say what was counted in place of the pixels that pass both."""
    slips = (
        (strict, "nearly: a pixel that just reaches a threshold passes. Use >=, not >."),
        (high.size, "that is the number of all pixels."),
        (len(high), "that is the number of rows. len() counts rows; np.sum counts the True."),
        (high.sum(), "that counts pixels that pass min_corr. They have to pass min_pnr as well."),
        (clear.sum(), "that counts pixels that pass min_pnr. They have to pass min_corr as well."),
        (
            np.sum(high | clear),
            'that counts pixels that pass one of the two, or both: | is "or". Both have to hold: &.',
        ),
        (
            np.sum(~high & ~clear),
            "that counts pixels that fail both: the wrong side of the thresholds. Is it <, and should be >=?",
        ),
        (
            np.sum(~(high & clear)),
            "that counts the pixels that don't pass: the wrong side of the thresholds.",
        ),
        (
            high.sum() + clear.sum(),
            "that adds two counts, so a pixel that passes both counts twice. Join the images with & first.",
        ),
    )
    return recognised(count, slips, 0)


@answering
def thresholds(
    answer: Any, seeds: Any, first_guess: Any, truth: Truth | None = None, radius: float = 6
) -> Verdict:
    """
    Check thresholds of one's own by the seeds that they lead to.

    Parameters
    ----------
    answer : dict, (float, float) or None
        `min_corr` and `min_pnr`.
    seeds, first_guess : array of shape (n, 2)
        Row and column of the seeds that they lead to, and of those of the first guess.
    truth : Truth, optional
        The answer key.
    radius : float
        How far from a cell's centre a seed may be, px.

    Returns
    -------
    Verdict
        Right where more cells have a seed with at most two false seeds more, or as many cells with fewer
        false ones. Without the truth it says how many seeds there are, and refuses what can't be cells.
    """
    min_corr, min_pnr = _two_thresholds(answer)
    named = f"min_corr {min_corr:g} and min_pnr {min_pnr:g}"
    if seeds is None:
        return no_answer(f"no seeds were given for {named}: run the whole cell again.")
    mine, first = (np.asarray(points, dtype=float).reshape(-1, 2) for points in (seeds, first_guess))
    if not len(mine):
        return not_yet(
            f"with {named} no pixel passes, so there is no seed and there would be no cell. Lower them."
        )
    if truth is None:
        return _by_number(named, len(mine), len(first))
    return _by_truth(named, mine, first, truth, radius)


def _by_truth(named: str, mine: np.ndarray, first: np.ndarray, truth: Truth, radius: float) -> Verdict:
    from workshop_utils.measures.scoring import score_seeds

    got, had = score_seeds(mine, truth, radius), score_seeds(first, truth, radius)
    hits, false = len(got.hits) - len(had.hits), len(got.false) - len(had.false)
    numbers = (
        f"with {named}, {len(got.hits)} of {len(got.hits) + len(got.missed)} cells have a seed"
        f" ({len(had.hits)} with the first guess), and {len(got.false)} of {len(mine)} seeds are"
        f" false ({len(had.false)} before)"
    )
    if (hits > 0 and false <= _MORE_FALSE) or (hits == 0 and false < 0):
        return right(
            f"{numbers}.",
            "One thing more: lesson 5 throws false components out again, but nothing brings a cell back"
            " that never had a seed. So a few false seeds are a fair price.",
        )
    if hits > 0:
        return not_yet(
            f"{numbers}. More cells, but {false} more false seeds: raise the threshold that the false"
            " ones barely pass."
        )
    if hits == 0 and false == 0:
        return not_yet(
            f"{numbers}. That is what the first guess gives. Lower one threshold and watch which one matters."
        )
    if hits < 0:
        return not_yet(
            f"{numbers}. Cells were lost: these thresholds are higher than the first guess where it"
            " matters. Lower them."
        )
    return not_yet(
        f"{numbers}. No cell more, only false seeds: it was the other threshold that kept cells out."
    )


def _by_number(named: str, mine: int, first: int) -> Verdict:
    counts = f"with {named} there are {mine} seeds; the first guess has {first}"
    if first and mine > _TOO_MANY * first:
        return not_yet(
            f"{counts}. So many more are hardly all cells: look where they lie, on vessels or in the noise?"
        )
    if mine < first:
        return not_yet(
            f"{counts}. Fewer seeds mean cells lost for good, unless you have seen that those were"
            " false. Lower one threshold."
        )
    if mine == first:
        return not_yet(f"{counts}. Nothing changed: move one threshold further.")
    return right(
        f"{counts}. This movie has no answer key, so look at the new ones in the tuner: round spots"
        " are cells, rows along a dark band are a vessel."
    )


def _two_thresholds(answer: Any) -> tuple[float, float]:
    """Read a dictionary or a pair; say what is wrong with it."""
    if is_empty(answer):
        raise Unusable(no_answer("set my_thresholds to (min_corr, min_pnr), and run the cell again."))
    if isinstance(answer, Mapping):
        if missing := [name for name in ("min_corr", "min_pnr") if name not in answer]:
            raise Unusable(not_yet(f"the dictionary has no {' and no '.join(missing)}."))
        pair = [answer["min_corr"], answer["min_pnr"]]
    else:
        pair = list(answer) if isinstance(answer, tuple | list | np.ndarray) else [answer]
        if len(pair) != 2:
            raise Unusable(not_yet("two numbers are wanted, (min_corr, min_pnr), such as (0.8, 10)."))
    corr, pnr = (one_number(v, "the threshold", n) for v, n in zip(pair, ("min_corr", "min_pnr")))
    if corr > 1 and 0 <= pnr <= 1:
        raise Unusable(
            not_yet(
                f"is it (min_pnr, min_corr)? A correlation is 1 at most, and min_corr is {corr:g}. It"
                " comes first."
            )
        )
    if not 0 <= corr <= 1:
        raise Unusable(not_yet(f"min_corr is a correlation, between 0 and 1, not {corr:g}."))
    if pnr < 0:
        raise Unusable(not_yet(f"min_pnr is a ratio, 0 or larger, not {pnr:g}."))
    return corr, pnr
