"""Find rows of the parameter table by name, and say what was meant when there is none."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import numpy as np

from cnmf_engine._param_table import ALIASES, CONSTRUCTOR, GROUPS, TABLE, Row
from cnmf_engine._param_text import same, to_plain
from cnmf_engine._param_values import clean
from cnmf_engine.errors import ParameterError, explain, nearest

__all__ = [
    "UnknownParameterError",
    "by_path",
    "constructor_signature",
    "row",
    "rows",
    "unknown_group",
    "unknown_key",
]


class UnknownParameterError(ParameterError, KeyError):
    """A parameter or a group of parameters that doesn't exist."""

    def __str__(self) -> str:
        return str(self.args[0])


@cache
def by_path() -> dict[tuple[str, str], Row]:
    """
    Index the table.

    Returns
    -------
    dict
        Rows by (group, key).
    """
    return {(entry.group, entry.key): entry for entry in TABLE}


def rows(group: str | None = None) -> tuple[Row, ...]:
    """
    List the table of parameters.

    Parameters
    ----------
    group : str, optional
        Only the rows of this group.

    Returns
    -------
    tuple of Row
        The rows, in the order of the table.
    """
    if group is not None and group not in GROUPS:
        raise unknown_group(group)
    return tuple(entry for entry in TABLE if group in (None, entry.group))


def row(group: str, key: str) -> Row:
    """
    Look up what is known about a parameter.

    Parameters
    ----------
    group, key : str
        For example 'init' and 'min_corr'.

    Returns
    -------
    Row
        Its kind, default, limits, range and step for a control, stage, meaning and unit.

    Raises
    ------
    UnknownParameterError
        If there is no such parameter; suggests the nearest.
    """
    if group not in GROUPS:
        raise unknown_group(group)
    found = by_path().get((group, ALIASES.get(key, key)))
    if found is None:
        raise unknown_key(key, group)
    return found


def unknown_group(group: object) -> UnknownParameterError:
    """
    Word the error for a group that doesn't exist.

    Parameters
    ----------
    group : object
        What was written.

    Returns
    -------
    UnknownParameterError
        To be raised.
    """
    guess = nearest(str(group), GROUPS)
    fix = f"did you mean {guess!r}? Else use one of those groups" if guess else "use one of those groups"
    return UnknownParameterError(explain("one of the groups " + ", ".join(GROUPS), f"{group!r}", fix))


def unknown_key(key: object, group: str | None = None) -> UnknownParameterError:
    """
    Word the error for a name that doesn't exist, or not in that group.

    Parameters
    ----------
    key : object
        What was written.
    group : str, optional
        The group it was looked for in.

    Returns
    -------
    UnknownParameterError
        To be raised; suggests the nearest name.
    """
    elsewhere = [entry for entry in TABLE if entry.key == key]
    if elsewhere:
        fix = (
            f"set it in {' and '.join(repr(entry.group) for entry in elsewhere)}, or give it without a group"
        )
        return UnknownParameterError(
            explain(f"a parameter of {group!r}", f"{key!r}, which is not in that group", fix)
        )
    guess = nearest(str(key), [entry.key for entry in rows(group)]) or nearest(
        str(key), [e.key for e in TABLE]
    )
    groups = " and ".join(repr(entry.group) for entry in TABLE if entry.key == guess)
    where = f" in group {group!r}" if group else ""
    fix = f"did you mean {guess!r} (group {groups})? " if guess else ""
    fix += "All names are listed by print(CNMFParams()) and explained in docs/parameters.md"
    return UnknownParameterError(
        explain(f"the name of a parameter{where}", f"{key!r}, which doesn't exist", fix)
    )


def constructor_signature() -> inspect.Signature:
    """
    Write out the keywords of the constructor, so that help() and completion show them.

    Returns
    -------
    inspect.Signature
        CaImAn's keywords in their order, with the defaults of the table.
    """
    defaults = {entry.key: entry.default for entry in reversed(TABLE)}
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    keywords = [
        inspect.Parameter(name, kind, default=defaults.get(ALIASES.get(name, name))) for name in CONSTRUCTOR
    ]
    last = [inspect.Parameter(name, kind, default=None) for name in ("params_from_file", "params_dict")]
    return inspect.Signature([*keywords, *last])


def resolve(params_dict: Mapping[str, Any], by_name: bool = True) -> Iterator[tuple[Row, Any]]:
    """
    Find the rows that a dictionary of parameters means.

    Parameters
    ----------
    params_dict : dict
        Values by name, by group, or mixed.
    by_name : bool
        Whether a name without a group is allowed; it means every group that has the name.

    Yields
    ------
    tuple of Row and object
        The row and its new value, not checked yet.

    Raises
    ------
    ParameterError
        If a name doesn't exist, or it isn't a dictionary.
    """
    if not isinstance(params_dict, Mapping):
        fix = "write for example {'gSig': (3, 3)} or {'init': {'gSig': (3, 3)}}"
        raise ParameterError(explain("a dictionary of parameters", f"{type(params_dict).__name__}", fix))
    for name, value in params_dict.items():
        # A parameter may have the name of a group (ring_CNN).
        if name in GROUPS and isinstance(value, Mapping):
            yield from ((row(name, key), item) for key, item in value.items())
            continue
        targets = [entry for entry in TABLE if entry.key == ALIASES.get(name, name)]
        if not targets:
            raise unknown_group(name) if isinstance(value, Mapping) else unknown_key(name)
        if not by_name:
            fix = f"write {{{targets[0].group!r}: {{{targets[0].key!r}: ...}}}}"
            raise ParameterError(explain("parameters by group", f"{name!r} without a group", fix))
        yield from ((entry, value) for entry in targets)


def describe(groups: Mapping[str, Mapping[str, Any]]) -> str:
    """
    List parameters for reading.

    Parameters
    ----------
    groups : dict of dict
        Values by group and key.

    Returns
    -------
    str
        One parameter a line, those that differ from the default marked.
    """
    lines = ["CNMFParams (* differs from the default)"]
    for group, values in groups.items():
        lines.append(f"[{group}]")
        for key, value in values.items():
            entry = by_path().get((group, key))
            mark = " " if entry and same(value, clean(entry, entry.default)) else "*"
            shown = to_plain(value) if isinstance(value, np.ndarray) else value
            lines.append(f"  {mark} {key} = {shown!r}")
    return "\n".join(lines)
