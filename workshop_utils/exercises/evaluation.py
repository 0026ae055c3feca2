"""Checks of lesson 5: counting above a threshold, and the challenge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from workshop_utils.exercises.reading import is_empty, share_line, whole_number
from workshop_utils.exercises.verdict import Verdict, answering, no_answer, not_yet, right

if TYPE_CHECKING:
    from workshop_utils.challenge import Board

__all__ = ["beat", "count_above"]


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
    SNR = np.asarray(SNR, dtype=float).ravel()
    count = whole_number(answer, "a number of components", "my_count", "np.sum of a comparison gives one.")
    above = int(np.sum(SNR > threshold))
    if count == above:
        return right(
            f"{above} of {len(SNR)} components have an SNR above {threshold:g}.",
            "One thing more: evaluation asks for SNR or r, so it may accept more than these.",
        )
    if count == len(SNR) - above:
        return not_yet(f"that is the other side: those with an SNR of {threshold:g} or less.")
    if count == len(SNR):
        return not_yet("that is the number of all components. Compare first, then sum.")
    share = share_line(count, above, len(SNR), "components")
    return not_yet(share or f"compare each value with {threshold:g}, and count those that are larger.")


@answering
def beat(answer: Any, board: Board) -> Verdict:
    """
    Say whether an attempt beats the lessons' values.

    Parameters
    ----------
    answer : dict or None
        The parameters that were changed.
    board : Board
        With the attempt on it.

    Returns
    -------
    Verdict
        Right if the best attempt's F1 is higher, or is equal with better traces. Without an answer key: no
        answer, and what to look at.
    """
    if is_empty(answer):
        return no_answer("set my_values, such as dict(min_corr=0.8, min_pnr=10), and run the cell again.")
    if len(board.attempts) < 2:
        return no_answer("there is no attempt on the board yet: run board.attempt with your values.")
    last, first, best = board.attempts[-1], board.first, board.best
    if last.problem:
        return not_yet(f"{last.name} has no result: {last.problem}")
    if not board.has_truth:
        return no_answer(
            "this movie has no answer key, so nobody can say which is better.",
            f"{first.accepted} components were accepted before, {last.accepted} now: look at the ones"
            " that came and went.",
        )
    if best is first:
        return not_yet(_against(last.marks, first.marks), _advice(last.marks, first.marks))
    said = f"{best.name} beats the lessons: {_against(best.marks, first.marks)}"
    lesson = (
        "One thing more: it is better on this movie. Values that win by a hair on one recording rarely"
        " win on the next."
    )
    return right(said, lesson)


def _against(mine: dict[str, float], theirs: dict[str, float]) -> str:
    names = {"precision": "precision", "recall": "recall", "f1": "F1", "trace_r_median": "trace correlation"}
    return (
        ", ".join(f"{name} {mine[key]:.3f} ({theirs[key]:.3f} before)" for key, name in names.items()) + "."
    )


def _advice(mine: dict[str, float], theirs: dict[str, float]) -> str:
    if mine["recall"] < theirs["recall"]:
        return "Cells were lost: which threshold kept them out, that of the seeds or that of evaluation?"
    if mine["precision"] < theirs["precision"]:
        return "More components are invented: let evaluation be stricter (min_SNR, rval_thr)."
    return "As many cells, and as few invented: look at the map for what is still missed or invented."
