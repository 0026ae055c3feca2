"""Execute the lessons for the site, or take what was executed before."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from workshop_utils.lessons import lessons
from workshop_utils.session import runner
from workshop_utils.session.notebooks import parameters_of

__all__ = ["Executed", "by_movie", "execute", "for_a_page", "found_in"]


@dataclass(frozen=True)
class Executed:
    """
    A lesson with its outputs.

    Attributes
    ----------
    number : int
        Of the lesson.
    source : pathlib.Path
        The learner's notebook, without outputs.
    notebook : pathlib.Path
        The executed one.
    movie : str
        What it was executed on.
    seconds : float
        How long that took.
    """

    number: int
    source: Path
    notebook: Path
    movie: str
    seconds: float


def by_movie(folder: Path | None = None) -> dict[str, dict[int, Path]]:
    """
    Sort the lessons by the movie that each names in its parameters.

    Parameters
    ----------
    folder : pathlib.Path, optional
        Of the notebooks; the workshop's own by default.

    Returns
    -------
    dict of str to dict of int to pathlib.Path
        Movie to lessons by number.
    """
    found: dict[str, dict[int, Path]] = {}
    for number, path in lessons(folder).items():
        movie = str(parameters_of(path).get("movie", "demo"))
        found.setdefault(movie, {})[number] = path
    return found


def execute(
    folder: Path,
    notebooks: Path | None = None,
    say: Callable[[str], None] = print,
    movies: dict[str, dict[int, Path]] | None = None,
) -> list[Executed]:
    """
    Execute all lessons, each on its movie, in one results folder a movie.

    Parameters
    ----------
    folder : pathlib.Path
        Holds the results folders. What is in them with the same movie, parameters, engine and notebook isn't
        executed again.
    notebooks : pathlib.Path, optional
        Folder of the notebooks; the workshop's own by default.
    say : callable
        Gets a line of text for each lesson.
    movies : dict, optional
        Which lessons on which movie; default what `by_movie` says.

    Returns
    -------
    list of Executed
        In the order of their numbers.
    """
    done: list[Executed] = []
    for movie, chosen in (movies or by_movie(notebooks)).items():
        with for_a_page():
            runner.run(movie, folder / movie, steps=list(chosen), folder=notebooks, say=say)
        done += found_in(folder / movie, movie, chosen)
    return sorted(done, key=lambda lesson: lesson.number)


def found_in(results: Path, movie: str, chosen: dict[int, Path]) -> list[Executed]:
    """
    Take lessons from a results folder.

    Parameters
    ----------
    results : pathlib.Path
        Of a run under `for_a_page`.
    movie : str
        What they were executed on.
    chosen : dict of int to pathlib.Path
        The learner's notebooks by number. The executed ones may hold more cells, as the instructor's do.

    Returns
    -------
    list of Executed
        One for each.
    """
    state = json.loads((results / runner.STATE).read_text(encoding="utf-8"))["steps"]
    return [
        Executed(number, source, results / "notebooks" / source.name, movie, state[str(number)]["seconds"])
        for number, source in chosen.items()
    ]


@contextlib.contextmanager
def for_a_page() -> Iterator[None]:
    """Ask the kernels that are started meanwhile for viewers that work in a saved page."""
    before = os.environ.get("WORKSHOP_SAVED_PAGE")
    os.environ["WORKSHOP_SAVED_PAGE"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["WORKSHOP_SAVED_PAGE"]
        else:
            os.environ["WORKSHOP_SAVED_PAGE"] = before
