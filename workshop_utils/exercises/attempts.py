"""One attempt of the challenge: what was changed, what came of it, and how it is kept in a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["HEADS", "MARKS", "Attempt", "read", "tuples"]

#: What a score is kept by, and the columns of the table.
MARKS = ("precision", "recall", "f1", "trace_r_median")
HEADS = ("attempt", "changed", "accepted", "of", "precision", "recall", "F1", "trace r", "time")


@dataclass(frozen=True)
class Attempt:
    """
    One line of the board.

    Attributes
    ----------
    name : str
        What it is called.
    changes : dict
        The parameters that differ from the lessons', with their values.
    components, accepted : int
        Components of the fit, and how many of them evaluation accepted.
    marks : dict of str to float
        `precision`, `recall`, `f1` and `trace_r_median` of the accepted ones, without those that are
        undefined; empty without an answer key.
    seconds : float
        How long fit and evaluation took, s.
    problem : str
        Why there is no result; empty if there is one.
    """

    name: str
    changes: dict[str, Any] = field(default_factory=dict)
    components: int = 0
    accepted: int = 0
    marks: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    problem: str = ""

    @property
    def f1(self) -> float:
        """F1, -1 where there is none, so that any score is better."""
        return float(self.marks.get("f1", -1.0))

    @property
    def rank(self) -> tuple[float, float]:
        """What attempts are sorted by: F1 to three digits, then the traces."""
        return round(self.f1, 3), round(float(self.marks.get("trace_r_median", 0.0)), 3)

    def has(self, changes: Mapping[str, Any]) -> bool:
        """
        Say whether these are the parameters that were changed.

        Parameters
        ----------
        changes : Mapping of str to object
            Names and values; a list counts as the tuple with the same numbers.

        Returns
        -------
        bool
            True if all names and values are the same.
        """
        one, other = ({key: str(tuples(value)) for key, value in c.items()} for c in (self.changes, changes))
        return one == other

    def cells(self) -> list[str]:
        """Write the line, one text a column."""
        changed = ", ".join(f"{key}={_written(value)}" for key, value in self.changes.items()) or "nothing"
        if self.problem:
            return [self.name, changed, self.problem, *[""] * (len(HEADS) - 3)]
        marks = [f"{self.marks[key]:.3f}" if key in self.marks else "-" for key in MARKS]
        return [self.name, changed, str(self.accepted), str(self.components), *marks, f"{self.seconds:.1f} s"]

    def __str__(self) -> str:
        """Say it in one sentence."""
        if self.problem:
            return f"{self.name}: {self.problem}"
        text = f"{self.name}: {self.accepted} of {self.components} components accepted"
        if self.marks:
            names = zip(MARKS, ("precision", "recall", "F1", "trace correlation"))
            text += "".join(f", {name} {self.marks[key]:.3f}" for key, name in names if key in self.marks)
        return f"{text}, in {self.seconds:.1f} s"


def read(line: dict[str, Any]) -> Attempt:
    """
    Read a line that was kept in a file.

    Parameters
    ----------
    line : dict
        As `dataclasses.asdict` wrote it, after JSON.

    Returns
    -------
    Attempt
        The line.

    Raises
    ------
    TypeError, ValueError, KeyError, AttributeError
        It isn't a line of a board.
    """
    made = Attempt(**{**line, "changes": {k: tuples(v) for k, v in line["changes"].items()}})
    made.cells()  # fails where a value has the wrong type
    _ = made.rank
    if not isinstance(made.name, str):
        raise TypeError("a name that isn't a text")
    return made


def tuples(value: Any) -> Any:
    """
    Write a value as it is the same before and after a file.

    Parameters
    ----------
    value : object
        A parameter's value.

    Returns
    -------
    object
        Tuples in place of lists and arrays, Python's numbers in place of NumPy's.
    """
    value = value.tolist() if hasattr(value, "tolist") else value
    return tuple(tuples(item) for item in value) if isinstance(value, list | tuple) else value


def _written(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
