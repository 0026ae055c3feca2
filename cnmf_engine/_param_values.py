"""Check parameter values and bring them into one form."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from cnmf_engine._param_table import Row
from cnmf_engine.errors import ParameterError, explain, nearest

__all__ = ["clean", "plain_scalar"]

_DESCRIPTION = {
    "int": "a whole number",
    "float": "a number",
    "bool": "True or False",
    "str": "text",
    "dict": "a dictionary",
    "array": "an array of numbers",
    "axes": "one number, or one for each axis",
    "axes-int": "one whole number, or one for each axis",
    "int|axes-int": "one whole number, or one for each axis",
    "floats": "a list of numbers",
    "names": "a file name or a list of them",
    "strs": "a list of names",
    "slices": "one slice for each axis",
    "bool|int": "True, False or a whole number",
    "size": "a number of bytes or text such as '500MB' or '2GB'",
    "seeds": "'auto', or an array (n, 2) of rows and columns",
}
_SEED_WORDS = ("auto", "manual", "semi")


class _Refused(Exception):
    """A value isn't of the kind it should be."""


def clean(row: Row, value: Any) -> Any:
    """
    Check a value and bring it into the form in which it is kept.

    NumPy scalars become Python's, bytes become text, sequences become tuples (file names a list), so that a
    value is the same whether it was typed, read from JSON or read from HDF5.

    Parameters
    ----------
    row : Row
        What the parameter must be.
    value : object
        What it was set to.

    Returns
    -------
    object
        The value to keep.

    Raises
    ------
    ParameterError
        If the value is of another kind or outside the limits.
    """
    if value is None:
        if row.optional:
            return None
        raise _error(row, value, f"set it to {_describe(row)}, for example {row.default!r}")
    kind = row.kind.rstrip("?")
    if kind == "any":
        return plain_scalar(value)
    try:
        kept = _choice(row, value) if kind == "choice" else _CLEANERS[kind](value)
    except _Refused as refusal:
        raise _error(
            row, value, f"{refusal}set it to {_describe(row)}, for example {row.default!r}"
        ) from None
    numbers = kept if isinstance(kept, tuple) else (kept,)
    if row.limits and not all(row.allows(number) for number in numbers):
        raise _error(row, value, f"choose a value within {row.limits}; the default is {row.default!r}")
    return kept


def _error(row: Row, value: Any, fix: str) -> ParameterError:
    unit = f" in {row.unit}" if row.unit else ""
    limits = f" within {row.limits}" if row.limits else ""
    found = f"{row.key} = {value!r} ({type(value).__name__})"
    return ParameterError(explain(f"{row.group}/{row.key} to be {_describe(row)}{limits}{unit}", found, fix))


def _describe(row: Row) -> str:
    kind = row.kind.rstrip("?")
    text = (
        "one of " + ", ".join(map(repr, row.choices))
        if kind == "choice"
        else _DESCRIPTION.get(kind, "a value")
    )
    return text + " or None" if row.optional else text


def plain_scalar(value: Any) -> Any:
    """
    Make Python's scalars and text of NumPy's scalars and bytes.

    Parameters
    ----------
    value : object
        Anything.

    Returns
    -------
    object
        The scalar; anything else as it is.
    """
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0):
        value = value.item()
    return value.decode() if isinstance(value, bytes) else value


def _number(value: Any) -> float:
    value = plain_scalar(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _Refused
    return value


def _whole(value: Any) -> int:
    number = _number(value)
    if number != number or number in (float("inf"), float("-inf")) or number != int(number):
        raise _Refused
    return int(number)


def _flag(value: Any) -> bool:
    value = plain_scalar(value)
    if not isinstance(value, bool):
        raise _Refused
    return value


def _text(value: Any) -> str:
    value = plain_scalar(value)
    if not isinstance(value, (str, os.PathLike)):
        raise _Refused
    return os.fspath(value)


def _dictionary(value: Any) -> dict:
    if not isinstance(value, dict):
        raise _Refused
    return dict(value)


def _choice(row: Row, value: Any) -> Any:
    value = plain_scalar(value)
    # True == 1, so the type must agree too.
    for choice in row.choices:
        if type(choice) is type(value) and choice == value:
            return choice
    guess = nearest(value, [choice for choice in row.choices if isinstance(choice, str)])
    raise _Refused(f"did you mean {guess!r}? Else " if guess else "")


def _sequence(value: Any) -> list:
    if isinstance(value, np.ndarray):
        return list(np.atleast_1d(value))
    if not isinstance(value, (list, tuple)):
        raise _Refused
    return list(value)


def _each(item: Callable[[Any], Any]) -> Callable[[Any], tuple]:
    return lambda value: tuple(item(part) for part in _sequence(value))


def _per_axis(item: Callable[[Any], Any], single: bool = False) -> Callable[[Any], Any]:
    def per_axis(value: Any) -> Any:
        value = plain_scalar(value)
        if not isinstance(value, (list, tuple, np.ndarray)):
            return item(value) if single else (item(value),) * 2
        numbers = _each(item)(value)
        if len(numbers) not in (2, 3):
            raise _Refused
        return numbers

    return per_axis


def _array(value: Any) -> np.ndarray:
    try:
        array = np.array(value)
    except ValueError:
        raise _Refused from None
    if array.dtype.kind not in "biuf" or not array.size:
        raise _Refused
    return array


def _names(value: Any) -> list[str]:
    value = plain_scalar(value)
    if isinstance(value, (str, os.PathLike)):
        return [os.fspath(value)]
    names = [_text(name) for name in _sequence(value)]
    if not names:
        raise _Refused
    return names


def _slice(value: Any) -> slice:
    """Read a slice that is one, or that JSON or HDF5 turned into a list or into text."""
    value = plain_scalar(value)
    if isinstance(value, slice):
        return value
    if isinstance(value, str):
        parts = re.fullmatch(r"slice\((.*)\)", value.strip())
        if not parts:
            raise _Refused
        value = [None if part.strip() == "None" else _integer_text(part) for part in parts[1].split(",")]
    ends = [None if end is None else _whole(end) for end in _sequence(value)]
    if len(ends) != 3:
        raise _Refused
    return slice(*ends)


def _integer_text(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise _Refused from None


def _flag_or_whole(value: Any) -> bool | int:
    value = plain_scalar(value)
    return value if isinstance(value, bool) else _whole(value)


def _size(value: Any) -> int | str:
    from cnmf_engine.blocks import memory_budget

    value = plain_scalar(value)
    if isinstance(value, float):
        value = _whole(value)
    try:
        memory_budget(value)
    except ParameterError:
        raise _Refused from None
    return value


def _seeds(value: Any) -> str | np.ndarray:
    value = plain_scalar(value)
    if isinstance(value, str):
        if value in _SEED_WORDS:
            return value
        guess = nearest(value, _SEED_WORDS)
        raise _Refused(f"did you mean {guess!r}? Else " if guess else "")
    try:
        pixels = np.array(value, dtype=float)
    except (TypeError, ValueError):
        raise _Refused from None
    if pixels.ndim != 2 or pixels.shape[1] != 2 or not np.isfinite(pixels).all() or (pixels < 0).any():
        raise _Refused
    return np.rint(pixels).astype(int)


_CLEANERS: dict[str, Callable[[Any], Any]] = {
    "int": _whole,
    "float": _number,
    "bool": _flag,
    "str": _text,
    "dict": _dictionary,
    "array": _array,
    "axes": _per_axis(_number),
    "axes-int": _per_axis(_whole),
    "int|axes-int": _per_axis(_whole, single=True),
    "floats": _each(_number),
    "names": _names,
    "strs": _each(_text),
    "slices": _each(_slice),
    "bool|int": _flag_or_whole,
    "size": _size,
    "seeds": _seeds,
}
