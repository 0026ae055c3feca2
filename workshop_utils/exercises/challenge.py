"""The whole pipeline as a game: change parameters, fit and evaluate anew, see if the score gets better."""

from __future__ import annotations

import copy
import html
import itertools
import json
import textwrap
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workshop_utils.engine.fitting import fit_with, grouped
from workshop_utils.exercises.attempts import HEADS, MARKS, Attempt, read, tuples
from workshop_utils.files import write_text

if TYPE_CHECKING:
    from workshop_utils.figures import LessonFigure
    from workshop_utils.movies.truth import Truth
    from workshop_utils.session import Session

__all__ = ["FILE_NAME", "Attempt", "Board", "fit_with", "start"]

#: Where a board is kept, in the results folder.
FILE_NAME = "challenge.json"
_FIRST = "the lessons' values"
# What a fit with odd values may end in, in either engine.
_FAILURES = (ArithmeticError, AttributeError, LookupError, MemoryError, RuntimeError, TypeError, ValueError)
_WIDEST = (20, 26)  # columns of text: a notebook on a laptop shows some 115 letters in a line
_LONG = 2.0  # s; what takes longer says so before it starts


class Board:
    """
    The attempts at one movie, kept in the results folder; shows itself as a table.

    Made by `start`.

    Attributes
    ----------
    attempts : list of Attempt
        In the order they were made; the first has the lessons' values.
    """

    def __init__(self, folder: Path, images: Any, opts: Any, truth: Truth | None, dview: Any = None) -> None:
        self.attempts: list[Attempt] = []
        self._path = Path(folder) / FILE_NAME
        self._images, self._opts, self._truth, self._dview = images, opts, truth, dview
        self._results: dict[str, Any] = {}

    @property
    def first(self) -> Attempt:
        """The lessons' values."""
        return self.attempts[0]

    @property
    def best(self) -> Attempt:
        """The attempt with the highest F1, and of equals the one with the better traces, then the earlier."""
        return max(self.attempts, key=lambda one: one.rank)

    @property
    def has_truth(self) -> bool:
        """Whether the movie has an answer key."""
        return self._truth is not None

    def attempt(self, name: str = "mine", **changes: Any) -> Attempt:
        """
        Fit and evaluate with other values, and add a line.

        Parameters
        ----------
        name : str
            What to call it; one that is taken gets a number.
        **changes
            Parameters by their CNMFParams names, such as ``min_corr=0.8, min_pnr=10, min_SNR=2.5``. A new
            `gSig` brings ``gSiz = 2 * gSig + 1`` along.

        Returns
        -------
        Attempt
            The new line. A fit that fails, or finds nothing, is a line too, which says so.

        Raises
        ------
        ParameterError
            There is no parameter of that name; nothing was computed.
        """
        grouped(self._opts, changes)  # a name that doesn't exist is no attempt
        changes = {key: tuples(value) for key, value in changes.items()}
        label, started = self._free_name(name), time.perf_counter()
        if self.first.seconds > _LONG:
            print(
                f"{label}: fit and evaluation; the lessons' fit took {self.first.seconds:.0f} s", flush=True
            )
        try:
            estimates = fit_with(self._images, self._opts, self._dview, evaluate=True, **changes)
        except _FAILURES as error:
            # Words that say what is wrong belong on the board, beside the attempts that worked.
            problem = " ".join(str(error).split()) or type(error).__name__
            made = Attempt(
                label, changes, seconds=time.perf_counter() - started, problem=f"failed: {problem}"
            )
        else:
            made = self._line(label, changes, estimates, time.perf_counter() - started)
            self._results[label] = estimates
        self._add(made)
        self._forget_all_but_the_best()
        return made

    def figure(self, image: Any) -> LessonFigure:
        """
        Draw what the best attempt found, missed and invented.

        Parameters
        ----------
        image : array of shape (d1, d2)
            Image below the outlines, such as the correlation image.

        Returns
        -------
        LessonFigure
            Of the best attempt whose fit was made in this session; without an answer key its accepted and
            rejected components.
        """
        from workshop_utils import figures

        here = [one for one in self.attempts if one.name in self._results]
        best = max(here, key=lambda one: one.rank)
        estimates = self._results[best.name]
        kept = _accepted(estimates)
        if self._truth is None:
            rejected = np.setdiff1d(np.arange(estimates.A.shape[1]), kept)
            return figures.contours(estimates.A, image, kept, rejected)
        return figures.score_map(image, estimates.A[:, kept], self._truth, title=best.name)

    def __str__(self) -> str:
        """Write the table as text."""
        lines = [list(HEADS)] + [one.cells() for one in self.attempts]
        # A failed attempt's message would make its column as wide as itself: it takes the columns that are
        # empty beside it.
        numbers = [max(len(line[k]) for line in lines if line[3]) for k in range(2, len(HEADS))]
        texts = [min(max(len(line[k]) for line in lines), _WIDEST[k]) for k in range(len(_WIDEST))]
        rows = []
        for line in lines:
            widths = [*texts, *(numbers if line[3] else [sum(numbers) + 2 * len(numbers) - 2])]
            columns = [textwrap.wrap(text, width) for text, width in zip(line, widths)]
            for parts in itertools.zip_longest(*columns, fillvalue=""):
                rows.append("  ".join(f"{part:<{width}}" for part, width in zip(parts, widths)).rstrip())
        return "\n".join([*rows, self._verdict()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        head = "".join(f'<th style="text-align:left">{name}</th>' for name in HEADS)
        rows = "".join(self._row(one) for one in self.attempts)
        caption = html.escape(self._verdict())
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table><p>{caption}</p>"

    def _row(self, one: Attempt) -> str:
        texts = [html.escape(text) for text in one.cells()]
        if one is self.best and self.has_truth:
            texts[0] = f"<b>★ {texts[0]}</b>"
        left = 'style="text-align:left"'
        if one.problem:
            cells = (
                f'<td {left}>{texts[0]}</td><td {left}>{texts[1]}</td><td {left} colspan="7">{texts[2]}</td>'
            )
        else:
            cells = "".join(f"<td {left}>{text}</td>" for text in texts)
        return f"<tr>{cells}</tr>"

    def _verdict(self) -> str:
        if not self.has_truth:
            return "This movie has no answer key, so there are counts and no score. More is not better."
        best = self.best
        return f"Best so far: {best.name}, F1 {best.f1:.3f}." if best.f1 >= 0 else "No score yet."

    def _forget_all_but_the_best(self) -> None:
        """Free the results that no figure will show; those of a long recording are large."""
        here = [one for one in self.attempts if one.name in self._results]
        best = max(here, key=lambda one: one.rank).name
        self._results = {name: result for name, result in self._results.items() if name in (best, _FIRST)}

    def _free_name(self, name: str) -> str:
        taken = {one.name for one in self.attempts}
        number, label = 2, str(name)
        while label in taken:
            number, label = number + 1, f"{name} ({number})"
        return label

    def _line(self, name: str, changes: dict[str, Any], estimates: Any, seconds: float) -> Attempt:
        from workshop_utils.measures.scoring import score

        kept = _accepted(estimates)
        marks = {}
        if self._truth is not None:
            found = score(estimates.A[:, kept], estimates.C[kept], self._truth)
            marks = {key: float(value) for key in MARKS if np.isfinite(value := getattr(found, key))}
        count = int(estimates.A.shape[1])
        problem = "" if count else "found no component"
        return Attempt(name, changes, count, len(kept), marks if count else {}, float(seconds), problem)

    def _add(self, made: Attempt) -> None:
        self.attempts.append(made)
        content = {"version": 1, "attempts": [asdict(one) for one in self.attempts]}
        write_text(self._path, json.dumps(content, indent=1, default=_plain) + "\n")

    def _resume(self) -> None:
        """Take over the lines of an earlier session, but not its first, which is made anew."""
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
            earlier = [read(line) for line in content["attempts"][1:]]
        except FileNotFoundError:
            return
        except (ValueError, KeyError, TypeError, AttributeError):
            aside = self._put_aside()
            print(f"{self._path.name} is damaged; it was kept as {aside.name}, and a new board begins.")
            return
        self.attempts += earlier

    def _put_aside(self) -> Path:
        """Rename the file, never onto one that was put aside before."""
        names = (f"challenge.damaged{number or ''}.json" for number in itertools.count())
        aside = next(path for path in map(self._path.with_name, names) if not path.exists())
        self._path.replace(aside)
        return aside


def start(session: Session, images: Any, opts: Any, estimates: Any, dview: Any = None) -> Board:
    """
    Open the board of a movie.

    Parameters
    ----------
    session : Session
        Whose results folder keeps the board, and whose movie may have an answer key.
    images : array of shape (T, d1, d2)
        The corrected movie.
    opts : CNMFParams
        The lessons' values, of either engine; never changed.
    estimates : Estimates
        The evaluated fit with these values, for the first line; nothing is fitted again.
    dview : object, optional
        Workers for the fits to come.

    Returns
    -------
    Board
        With the lines of earlier sessions on this movie, if there are any.
    """
    board = Board(session.folder, images, copy.deepcopy(opts), session.truth, dview)
    fitted = session.need("model").get("fit_seconds", 0.0) if session.has("model") else 0.0
    board.attempts.append(board._line(_FIRST, {}, estimates, fitted))
    board._results[_FIRST] = estimates
    board._resume()
    return board


def _accepted(estimates: Any) -> np.ndarray:
    kept = getattr(estimates, "idx_components", None)
    return np.arange(estimates.A.shape[1]) if kept is None else np.asarray(kept, dtype=int)


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else str(value)


def __getattr__(name: str) -> Any:
    if name == "refit":  # as lessons handed out earlier call it
        return fit_with
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
