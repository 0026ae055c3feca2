"""The whole pipeline as a game: change parameters, fit and evaluate anew, see if the score gets better."""

from __future__ import annotations

import copy
import html
import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cnmf_engine.errors import ParameterError, explain, nearest
from workshop_utils.files import write_text

if TYPE_CHECKING:
    from workshop_utils.plots import LessonFigure
    from workshop_utils.session import Session
    from workshop_utils.truth import Truth

__all__ = ["FILE_NAME", "Attempt", "Board", "refit", "start"]

#: Where a board is kept, in the results folder.
FILE_NAME = "challenge.json"
_FIRST = "the lessons' values"
# What a fit and its evaluation depend on; the movie's own and the motion's values are settled before.
_GROUPS = ("patch", "preprocess", "init", "spatial", "temporal", "merging", "quality")
_MARKS = ("precision", "recall", "f1", "trace_r_median")
_HEADS = ("attempt", "changed", "accepted", "of", "precision", "recall", "F1", "trace r", "time")


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
        `precision`, `recall`, `f1` and `trace_r_median` of the accepted ones; empty without an answer key.
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
        value = self.marks.get("f1", np.nan)
        return -1.0 if np.isnan(value) else float(value)

    @property
    def rank(self) -> tuple[float, float]:
        """What attempts are sorted by: F1 to three digits, then the traces."""
        return round(self.f1, 3), float(np.nan_to_num(self.marks.get("trace_r_median", 0.0)))

    def cells(self) -> list[str]:
        """Write the line, one text a column."""
        changed = ", ".join(f"{key}={_written(value)}" for key, value in self.changes.items()) or "nothing"
        if self.problem:
            return [self.name, changed, self.problem, *[""] * (len(_HEADS) - 3)]
        marks = [f"{self.marks[key]:.3f}" if key in self.marks else "-" for key in _MARKS]
        return [self.name, changed, str(self.accepted), str(self.components), *marks, f"{self.seconds:.1f} s"]

    def __str__(self) -> str:
        """Say it in one sentence."""
        if self.problem:
            return f"{self.name}: {self.problem}"
        text = f"{self.name}: {self.accepted} of {self.components} components accepted"
        if self.marks:
            precision, recall, f1, r = (self.marks[key] for key in _MARKS)
            text += (
                f", precision {precision:.3f}, recall {recall:.3f}, F1 {f1:.3f}, trace correlation {r:.3f}"
            )
        return f"{text}, in {self.seconds:.1f} s"


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
        grouped = _grouped(self._opts, changes)
        label, started = self._free_name(name), time.perf_counter()
        try:
            estimates = _fit(self._images, self._opts, grouped, self._dview, evaluate=True)
        except (ValueError, ArithmeticError, np.linalg.LinAlgError) as error:
            # Words that say what is wrong belong on the board, beside the attempts that worked.
            problem = " ".join(str(error).split()) or type(error).__name__
            made = Attempt(
                label, changes, seconds=time.perf_counter() - started, problem=f"failed: {problem}"
            )
        else:
            made = self._line(label, changes, estimates, time.perf_counter() - started)
            self._results[label] = estimates
        self._add(made)
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
        from workshop_utils import plots

        here = [one for one in self.attempts if one.name in self._results]
        best = max(here, key=lambda one: one.rank)
        estimates = self._results[best.name]
        kept = _accepted(estimates)
        if self._truth is None:
            return plots.contours(estimates.A, image, kept, estimates.idx_components_bad)
        return plots.score_map(image, estimates.A[:, kept], self._truth, title=best.name)

    def __str__(self) -> str:
        """Write the table as text."""
        lines = [list(_HEADS)] + [one.cells() for one in self.attempts]
        # A failed attempt's message would make its column, and the table, as wide as itself.
        widths = [
            max(len(line[k]) for line in lines if k < 2 or len(line[2]) < 12) for k in range(len(_HEADS))
        ]
        rows = ["  ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip() for line in lines]
        return "\n".join([*rows, self._verdict()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        head = "".join(f'<th style="text-align:left">{name}</th>' for name in _HEADS)
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

    def _free_name(self, name: str) -> str:
        taken = {one.name for one in self.attempts}
        number, label = 2, str(name)
        while label in taken:
            number, label = number + 1, f"{name} ({number})"
        return label

    def _line(self, name: str, changes: dict[str, Any], estimates: Any, seconds: float) -> Attempt:
        from workshop_utils.scoring import score

        kept = _accepted(estimates)
        marks = {}
        if self._truth is not None:
            found = score(estimates.A[:, kept], estimates.C[kept], self._truth)
            marks = {key: float(getattr(found, key)) for key in _MARKS}
        return Attempt(name, changes, int(estimates.A.shape[1]), len(kept), marks, float(seconds))

    def _add(self, made: Attempt) -> None:
        self.attempts.append(made)
        content = {"version": 1, "attempts": [asdict(one) for one in self.attempts]}
        write_text(self._path, json.dumps(content, indent=1, default=_plain) + "\n")

    def _resume(self) -> None:
        """Take over the lines of an earlier session, but not its first, which is made anew."""
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
            earlier = [Attempt(**line) for line in content["attempts"][1:]]
        except FileNotFoundError:
            return
        except (ValueError, KeyError, TypeError) as error:
            aside = self._path.with_suffix(".damaged.json")
            self._path.replace(aside)
            print(
                f"The board in {self._path.name} can't be read ({error}); it is now {aside.name}, and"
                " a new one begins."
            )
            return
        self.attempts += earlier


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


def refit(images: Any, opts: Any, dview: Any = None, **changes: Any) -> Any:
    """
    Fit a movie with some parameters changed.

    Parameters
    ----------
    images : array of shape (T, d1, d2)
        The corrected movie.
    opts : CNMFParams
        Of either engine; not changed.
    dview : object, optional
        Workers.
    **changes
        Parameters by their CNMFParams names; a new `gSig` brings `gSiz` along.

    Returns
    -------
    Estimates
        Of the new fit, not evaluated.

    Raises
    ------
    ParameterError
        There is no parameter of that name.
    """
    return _fit(images, opts, _grouped(opts, changes), dview)


def _fit(images: Any, opts: Any, grouped: dict[str, dict], dview: Any, evaluate: bool = False) -> Any:
    from workshop_utils.engine import cnmf

    changed = copy.deepcopy(opts)
    changed.change_params(grouped)
    model = cnmf.CNMF(n_processes=1, dview=dview, params=changed)
    model.fit(images)
    if evaluate:
        model.estimates.evaluate_components(images, model.params, dview=dview)
    return model.estimates


def _grouped(opts: Any, changes: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Sort parameters into their groups; some, like `p`, are in several."""
    known = opts.to_dict()
    groups = {name: known[name] for name in _GROUPS if name in known}
    changes = dict(changes)
    if changes.get("gSig") is not None and "gSiz" not in changes:
        width = np.broadcast_to(np.asarray(changes["gSig"], dtype=int).ravel(), 2)
        changes["gSig"] = tuple(int(w) for w in width)
        changes["gSiz"] = tuple(int(2 * w + 1) for w in width)
    grouped: dict[str, dict[str, Any]] = {}
    for key, value in changes.items():
        homes = [name for name, values in groups.items() if key in values]
        if not homes:
            choices = sorted({name for values in groups.values() for name in values})
            hint = nearest(key, choices)
            fix = f"did you mean '{hint}'?" if hint else "lessons 3 to 5 list the ones that matter"
            raise ParameterError(explain("the name of a parameter of fit or evaluation", repr(key), fix))
        for home in homes:
            grouped.setdefault(home, {})[key] = value
    return grouped


def _accepted(estimates: Any) -> np.ndarray:
    kept = getattr(estimates, "idx_components", None)
    return np.arange(estimates.A.shape[1]) if kept is None else np.asarray(kept, dtype=int)


def _written(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else str(value)
