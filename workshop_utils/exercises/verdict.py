"""What a check answers, and how it looks in a notebook."""

from __future__ import annotations

import functools
import html
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ParamSpec

__all__ = ["Unusable", "Verdict", "answering", "no_answer", "not_yet", "right"]

_Arguments = ParamSpec("_Arguments")

# Words and signs carry the meaning; the colours of the bar only repeat it. Both stand out on white and on
# black, and the text keeps the notebook's own colour.
_LOOKS = {
    True: ("Right", "✓", "#1a9e77"),
    False: ("Not yet", "✗", "#d9772b"),
    None: ("No answer yet", "…", "#8a8f98"),
}
_STYLE = "border-left:5px solid {colour};padding:.35em .9em;margin:.3em 0;max-width:60em;line-height:1.45"


@dataclass(frozen=True)
class Verdict:
    """
    What a check says about an answer.

    Attributes
    ----------
    right : bool or None
        True or False; None where there is no answer yet.
    message : str
        What is right and why, or what to look at; sentences. A line that begins with ``'- '`` is an item of
        a list.
    """

    right: bool | None
    message: str

    def __post_init__(self) -> None:
        # NumPy's truth values would not be found in the table of looks by identity checks elsewhere.
        object.__setattr__(self, "right", None if self.right is None else bool(self.right))

    @property
    def word(self) -> str:
        """``'Right'``, ``'Not yet'`` or ``'No answer yet'``."""
        return _LOOKS[self.right][0]

    def __str__(self) -> str:
        """Say it as plain text."""
        return f"{self.word}: {self.message}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        word, sign, colour = _LOOKS[self.right]
        style = _STYLE.format(colour=colour)
        head = f'<span aria-hidden="true">{sign}</span>&ensp;<b>{word}:</b> '
        first, *lines = html.escape(self.message).split("\n")
        body = "".join(
            f'<div style="padding-left:1.2em">• {line[2:]}</div>'
            if line.startswith("- ")
            else f"<div>{line}</div>"
            for line in lines
        )
        return f'<div role="status" style="{style}">{head}{first}{body}</div>'


def right(*sentences: str) -> Verdict:
    """Say that an answer is right."""
    return Verdict(True, " ".join(filter(None, sentences)))


def not_yet(*sentences: str) -> Verdict:
    """Say that an answer isn't right yet."""
    return Verdict(False, " ".join(filter(None, sentences)))


def no_answer(*sentences: str) -> Verdict:
    """Say that there is nothing to judge yet."""
    return Verdict(None, " ".join(filter(None, sentences)))


class Unusable(Exception):
    """An answer that can't be judged; `answering` turns it into its verdict."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(str(verdict))
        self.verdict = verdict


def answering(check: Callable[_Arguments, Verdict]) -> Callable[_Arguments, Verdict]:
    """
    Let a check answer where its answer is empty, of the wrong type or out of range.

    Parameters
    ----------
    check : callable
        A check that raises `Unusable`, mostly by way of `workshop_utils.exercises.reading`.

    Returns
    -------
    callable
        The same check, which gives a verdict in these cases too.
    """

    @functools.wraps(check)
    def wrapper(*args: Any, **kwargs: Any) -> Verdict:
        try:
            return check(*args, **kwargs)
        except Unusable as problem:
            return problem.verdict

    return wrapper
