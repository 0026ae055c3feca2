"""Read what the command line says: lesson numbers and parameter values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from cnmf_engine.base.errors import ParameterError, explain, nearest

__all__ = ["check_parameters", "parse_parameters", "parse_steps"]


def parse_steps(text: str) -> list[int]:
    """
    Read a choice of lessons.

    Parameters
    ----------
    text : str
        Numbers and ranges, for example ``'2-4'`` or ``'1,3-5'``.

    Returns
    -------
    list of int
        The numbers, in order, each once.

    Raises
    ------
    ParameterError
        It can't be read.
    """
    numbers: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", part)
        first, last = (int(match.group(1)), int(match.group(2) or match.group(1))) if match else (1, 0)
        if first > last:
            raise ParameterError(
                explain("lesson numbers and ranges such as 2-4 or 1,3-5", repr(text), "write --steps 2-4")
            )
        numbers.update(range(first, last + 1))
    return sorted(numbers)


def parse_parameters(pairs: Iterable[str]) -> dict[str, Any]:
    """
    Read parameters for the notebooks.

    Parameters
    ----------
    pairs : iterable of str
        Each ``name=value``; the value is YAML (``3``, ``0.8``, ``true``, ``[5, 5]``, ``text``).

    Returns
    -------
    dict of str to object
        Name to value.

    Raises
    ------
    ParameterError
        A pair has no ``=``, or its value isn't YAML.
    """
    import yaml

    found = {}
    for pair in pairs:
        name, separator, text = pair.partition("=")
        name = name.strip()
        if not separator or not name.isidentifier():
            raise ParameterError(
                explain("a parameter as name=value", repr(pair), "write for example -p min_corr=0.8")
            )
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            found_text = f"{text!r} ({str(error).splitlines()[0]})"
            fix = "put texts with special characters into quotes"
            raise ParameterError(explain(f"a YAML value for '{name}'", found_text, fix)) from error
        found[name] = _number(value)
    return found


def check_parameters(
    wanted: Mapping[str, Any], declared: Mapping[int, Mapping[str, Any]], own: Iterable[str] = ()
) -> None:
    """
    Make sure that each parameter is declared by a notebook and of the kind the notebook expects.

    Parameters
    ----------
    wanted : mapping of str to object
        Name to value.
    declared : mapping of int to mapping
        Lesson number to the names and defaults it declares.
    own : iterable of str
        Names that have an option of their own.

    Raises
    ------
    ParameterError
        A name isn't declared (the message suggests the nearest), or a value is of another kind than the
        default.
    """
    own = tuple(own)
    names = sorted({name for defaults in declared.values() for name in defaults} - set(own))
    numbers = ", ".join(map(str, declared))
    for name, value in wanted.items():
        if name in own:
            raise ParameterError(
                explain(f"'{name}' as an option of its own", f"-p {name}=...", f"write --{name} {value}")
            )
        if name not in names:
            hint = nearest(name, names)
            fix = f"did you mean '{hint}'? " if hint else ""
            raise ParameterError(
                explain(
                    f"a parameter that a chosen lesson ({numbers}) declares: {', '.join(names) or 'none'}",
                    f"'{name}'",
                    f"{fix}`workshop list` shows which lesson declares which",
                )
            )
        default = next(defaults[name] for defaults in declared.values() if name in defaults)
        if not _fits(value, default):
            example = str(default).lower() if isinstance(default, bool) else default
            expected = f"'{name}' to be {type(default).__name__} like its default {default!r}"
            raise ParameterError(explain(expected, repr(value), f"write for example -p {name}={example}"))


def _number(value: Any) -> Any:
    # YAML 1.1 reads 1e-3 as text, people mean a number.
    if isinstance(value, str) and re.fullmatch(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+", value):
        return float(value)
    return value


def _fits(value: Any, default: Any) -> bool:
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(value, bool) == isinstance(default, bool) or default is None
    if isinstance(default, (int, float)):
        return value is None or isinstance(value, (int, float))
    return True
