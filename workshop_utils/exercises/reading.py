"""Read what a learner wrote as an answer; what can't be used gets a line that says why."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from workshop_utils.exercises.verdict import Unusable, Verdict, no_answer, not_yet

__all__ = ["close", "is_empty", "one_number", "position", "recognised", "share_line", "whole_number"]


def is_empty(answer: Any) -> bool:
    """
    Say whether there is no answer yet.

    Parameters
    ----------
    answer : object
        What stands in the learner's cell.

    Returns
    -------
    bool
        True for None, ``...`` and an empty text.
    """
    return answer is None or answer is Ellipsis or (isinstance(answer, str) and not answer.strip())


def one_number(answer: Any, what: str, name: str, unit: str = "") -> float:
    """
    Read an answer that should be one number.

    Parameters
    ----------
    answer : object
        A Python or NumPy number, or an array with one.
    what : str
        What is asked for, with its article: ``'the frame rate'``.
    name : str
        The learner's variable.
    unit : str
        The unit, written out.

    Returns
    -------
    float
        Finite.

    Raises
    ------
    Unusable
        There is no answer, or it isn't one finite number.
    """
    wanted = f"{what} as one number" + (f", in {unit}" if unit else "")
    if is_empty(answer):
        raise Unusable(no_answer(f"set {name} to {wanted}, and run the cell again."))
    value = _plain(answer, wanted, name)
    if math.isnan(value):
        raise _refuse(
            f'{name} is NaN, "not a number": a step on the way divided 0 by 0, or the data has a gap.'
        )
    if math.isinf(value):
        raise _refuse(f"{name} is infinite: was something divided by zero?")
    return value


def whole_number(answer: Any, what: str, name: str, otherwise: str = "") -> int:
    """
    Read an answer that should be one whole number.

    Parameters
    ----------
    answer : object
        A number.
    what, name : str
        As for `one_number`.
    otherwise : str
        A sentence for a number with decimals.

    Returns
    -------
    int
        The number.

    Raises
    ------
    Unusable
        There is no answer, or it isn't one whole number.
    """
    value = one_number(answer, what, name)
    if value != round(value):
        raise _refuse(f"{what} is a whole number, {name} is {value:g}.", otherwise)
    return round(value)


def position(answer: Any, what: str, name: str, dims: Sequence[int]) -> tuple[int, int]:
    """
    Read an answer that should be a pixel, (row, column).

    Parameters
    ----------
    answer : object
        A pair of numbers.
    what, name : str
        As for `one_number`.
    dims : sequence of int
        Rows and columns of the image.

    Returns
    -------
    (int, int)
        Row and column, inside the image.

    Raises
    ------
    Unusable
        There is no answer, or it isn't a pixel of the image.
    """
    if is_empty(answer):
        raise Unusable(no_answer(f"set {name} to the (row, column) of {what}, and run the cell again."))
    try:
        values = np.asarray(answer, dtype=float).ravel()
    except (TypeError, ValueError):
        raise _refuse(f"{name} should be two numbers, like (40, 60); it is {_shown(answer)}.") from None
    if values.size != 2:
        raise _refuse(f"{name} should be two numbers, a row and a column; it has {values.size}.")
    if not np.isfinite(values).all():
        raise _refuse(f"{name} holds a NaN or an infinite number: {_shown(answer)}.")
    row, column = (int(v) for v in np.round(values))
    rows, columns = dims
    if 0 <= row < rows and 0 <= column < columns:
        return row, column
    swapped = " The other way round it would be inside: is it (column, row)? Rows come first."
    hint = swapped if 0 <= column < rows and 0 <= row < columns else ""
    raise _refuse(
        f"{name} is outside the image, which has rows 0 to {rows - 1} and columns 0 to {columns - 1}.{hint}"
    )


def close(value: float, other: float, share: float = 0.01) -> bool:
    """
    Say whether two numbers are the same but for rounding.

    Parameters
    ----------
    value, other : float
        The numbers.
    share : float
        Largest difference, as a share of the second.

    Returns
    -------
    bool
        False where the second isn't finite.
    """
    return math.isfinite(other) and abs(value - other) <= share * abs(other) + 1e-9


def recognised(value: float, slips: Iterable[tuple[float, str]], share: float = 0.01) -> str:
    """
    Find what a learner computed in place of what was asked for.

    Parameters
    ----------
    value : float
        The answer.
    slips : iterable of (float, str)
        Numbers that a typical slip leads to, and what to say about each; the first that fits counts.
    share : float
        As for `close`.

    Returns
    -------
    str
        What to say; empty if no slip fits.
    """
    return next((why for wrong, why in slips if close(value, float(wrong), share)), "")


def share_line(value: float, count: int, total: int, what: str) -> str:
    """
    Recognise a share or percentage that was given in place of a count.

    Parameters
    ----------
    value : float
        The answer.
    count, total : int
        The count asked for, and of how many.
    what : str
        What is counted.

    Returns
    -------
    str
        A sentence; empty if the answer is neither.
    """
    share = count / total if total else math.nan
    if 0 < value and (close(value, share) or close(value, 100 * share)):
        return f"that is a share of all {what}; asked for is their number."
    return ""


def _plain(answer: Any, wanted: str, name: str) -> float:
    if isinstance(answer, bool | np.bool_):
        raise _refuse(f"{name} is {answer}, a truth value; wanted is {wanted}.")
    if isinstance(answer, str):
        fix = f"without quotes and without a unit: {name} = 7, for example."
        raise _refuse(f"{name} is a text, {_shown(answer)}. Write {wanted},", fix)
    if isinstance(answer, numbers.Real):
        return float(answer)
    try:
        array = np.asarray(answer)
    except ValueError:  # rows of different lengths
        array = np.array(None)
    if array.dtype.kind not in "biuf":
        raise _refuse(f"{name} is {_shown(answer)}; wanted is {wanted}.")
    if array.size == 1 and array.dtype.kind != "b":
        return float(array.ravel()[0])
    kind = "True or False" if array.dtype.kind == "b" else "numbers"
    count = " np.sum counts the True." if array.dtype.kind == "b" else ""
    raise _refuse(f"{name} holds {array.size} {kind}; wanted is {wanted}.{count}")


def _refuse(*sentences: str) -> Unusable:
    verdict: Verdict = not_yet(*sentences)
    return Unusable(verdict)


def _shown(answer: Any, most: int = 60) -> str:
    text = " ".join(repr(answer).split())
    return text if len(text) <= most else text[:most] + " [...]"
