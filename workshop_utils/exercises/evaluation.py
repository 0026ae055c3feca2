"""Checks of lesson 5: counting above a threshold, and the challenge."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from workshop_utils.exercises.fit import LEAST, LEAST_R
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
    from workshop_utils.exercises.challenge import Attempt, Board

__all__ = ["beat", "count_above"]

_NAMES = {"precision": "precision", "recall": "recall", "f1": "F1", "trace_r_median": "trace correlation"}


@answering
def count_above(answer: Any, SNR: Any, threshold: float) -> Verdict:
    """
    Check how many components have an SNR above a threshold.

    Parameters
    ----------
    answer : int or None
        A number of components.
    SNR : array of shape (K,)
        One number a component.
    threshold : float
        The threshold.

    Returns
    -------
    Verdict
        Right for the number of components whose SNR is larger.
    """
    if SNR is None:
        return no_answer("the components haven't been evaluated yet: run the cells above first.")
    SNR = np.asarray(SNR, dtype=float).ravel()
    above, total = int(np.sum(SNR > threshold)), len(SNR)
    value = one_number(answer, "the number of components", "my_count")
    if close(value, above, 0):
        return right(
            f"{above} of {total} components have an SNR above {threshold:g}.",
            "One thing more: evaluation asks for SNR or r, so it may accept more than these.",
        )
    if slip := _slip(value, SNR, threshold, above):
        return not_yet(slip)
    whole_number(answer, "the number of components", "my_count", "np.sum of a comparison gives one.")
    if not 0 <= value <= total:
        return not_yet(f"there are {total} components in all.")
    return not_yet(f"compare each value with {threshold:g}, and count those that are larger.")


def _slip(value: float, SNR: np.ndarray, threshold: float, above: int) -> str:
    """Say what was computed in place of the count."""
    slips = (
        (len(SNR) - above, f"that is the other side: those with an SNR of {threshold:g} or less."),
        (np.sum(SNR < threshold), f"that is the other side: those with an SNR below {threshold:g}."),
        (np.sum(SNR >= threshold), f"nearly: above means larger than {threshold:g}. Use >, not >=."),
        (len(SNR), "that is the number of all components. Compare first, then sum."),
        (np.sum(SNR), "that is the sum of all SNRs. Compare first, then sum: each True counts as 1."),
        (np.sum(SNR[SNR > threshold]), "that is the sum of their SNRs. Sum the comparison itself."),
    )
    return recognised(value, slips, 1e-4) or share_line(value, above, len(SNR), "components")


@answering
def beat(answer: Any, board: Board) -> Verdict:
    """
    Say whether an attempt beats the lessons' values.

    Parameters
    ----------
    answer : dict, str, Attempt or None
        The parameters that were changed, or the attempt's name, or what `board.attempt` gave.
    board : Board
        With the attempt on it.

    Returns
    -------
    Verdict
        Right if the attempt's F1 or recall is higher than with the lessons' values, or if F1 is the same and
        the traces are better. Without an answer key: no answer, and what to look at.
    """
    if is_empty(answer) or (isinstance(answer, Mapping) and not answer):
        return no_answer("set my_values, such as dict(min_corr=0.8, min_pnr=10), and run the cell again.")
    if board is None:
        return no_answer("there is no board yet: run the whole cell again.")
    mine, first = _attempt(answer, board), board.first
    if mine.problem:
        return not_yet(f"{mine.name} has no score: {mine.problem.rstrip('.')}.")
    if not board.has_truth:
        return no_answer(
            "this movie has no answer key, so nobody can say which is better.",
            f"{first.accepted} components were accepted before, {mine.accepted} with {mine.name}: look at the"
            " ones that came and went.",
        )
    gain = {key: mine.marks.get(key, 0.0) - first.marks.get(key, 0.0) for key in _NAMES}
    said = _against(mine.marks, first.marks)
    if gain["f1"] >= LEAST:
        best = "" if board.best is mine else f"The best on the board is {board.best.name}."
        lesson = (
            "One thing more: it is better on this movie. Values that win by a hair on one recording rarely"
            " win on the next."
        )
        return right(f"{mine.name} beats the lessons: {said}", best, lesson)
    if gain["recall"] >= LEAST:
        return right(
            f"{mine.name} finds more cells than the lessons: {said}",
            "One thing more: F1 is no higher, so they were paid for. Which is worse for your question, a"
            " missed cell or an invented one?",
        )
    if abs(gain["f1"]) < LEAST and gain["trace_r_median"] >= LEAST_R:
        return right(f"{mine.name} finds as many cells, and its traces are closer to the truth: {said}")
    return not_yet(f"{mine.name}: {said}", _advice(gain))


def _attempt(answer: Any, board: Board) -> Attempt:
    """Find on the board what an answer means; of several the last."""
    mine = board.attempts[1:]
    if isinstance(answer, str):
        found = [one for one in mine if one.name == answer]
    elif isinstance(answer, Mapping):
        found = [one for one in mine if one.has(answer)]
    else:
        found = [one for one in mine if one is answer]
    if found:
        return found[-1]
    if isinstance(answer, str | Mapping) or hasattr(answer, "marks"):
        raise Unusable(no_answer("no such attempt is on the board yet: run board.attempt with your values."))
    raise Unusable(not_yet("write your values as a dictionary, such as dict(min_corr=0.8, min_pnr=10)."))


def _against(mine: Mapping[str, float], theirs: Mapping[str, float]) -> str:
    parts = [f"{name} {_digits(mine, key)} ({_digits(theirs, key)} before)" for key, name in _NAMES.items()]
    return ", ".join(parts) + "."


def _digits(marks: Mapping[str, float], key: str) -> str:
    return f"{marks[key]:.3f}" if key in marks else "undefined"


def _advice(gain: Mapping[str, float]) -> str:
    if gain["recall"] <= -LEAST:
        return "Cells were lost: which threshold kept them out, that of the seeds or that of evaluation?"
    if gain["precision"] <= -LEAST:
        return "More components are invented: let evaluation be stricter (min_SNR, rval_thr)."
    return "As many cells, and as many invented: look at the map for what is still missed or invented."
