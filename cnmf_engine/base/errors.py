"""Messages that say what was expected, what was found and what to do next."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "DiskFullError",
    "FileInUseError",
    "InputError",
    "MissingFileError",
    "ParameterError",
    "explain",
    "nearest",
]


class _ShortInNotebooks:
    """In a notebook the message stands alone: the reader can mend the input, not the code below it."""

    def _render_traceback_(self) -> list[str]:
        return str(self).splitlines()


class InputError(_ShortInNotebooks, ValueError):
    """Input of the wrong kind, shape, type or content."""


class ParameterError(InputError):
    """A parameter that doesn't exist or whose value can't be used."""


class MissingFileError(_ShortInNotebooks, FileNotFoundError):
    """A file or folder that isn't where it was looked for."""


class FileInUseError(_ShortInNotebooks, PermissionError):
    """A file that can't be replaced because another program holds it."""


class DiskFullError(_ShortInNotebooks, OSError):
    """A file that doesn't fit onto its disk."""


def explain(expected: str, found: str, fix: str) -> str:
    """
    Word an error in three parts.

    Parameters
    ----------
    expected, found, fix : str
        What was needed, what was there instead, and what to do next; sentences without a full stop.

    Returns
    -------
    str
        The message, one part a line.
    """
    return f"Expected {expected}.\nFound {found}.\nTo go on: {fix}."


def nearest(name: str, choices: Iterable[str]) -> str | None:
    """
    Find the choice that looks most like a name.

    Parameters
    ----------
    name : str
        What was written.
    choices : iterable of str
        What could have been meant.

    Returns
    -------
    str or None
        The nearest choice, None if nothing is close.
    """
    lowered = {str(choice).lower(): str(choice) for choice in choices}
    match = difflib.get_close_matches(str(name).lower(), list(lowered), n=1, cutoff=0.6)
    return lowered[match[0]] if match else None
