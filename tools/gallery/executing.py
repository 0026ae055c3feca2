"""Execute the lessons for the site, or take what was executed before."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from workshop_utils.lessons import lessons
from workshop_utils.session import runner
from workshop_utils.session.notebooks import parameters_of

__all__ = ["Executed", "by_movie", "execute", "for_a_page", "found_in"]


@dataclass(frozen=True)
class Executed:
    """A lesson with its outputs: the learner's notebook, the executed one, on what, and how long it took."""

    number: int
    source: Path
    notebook: Path
    movie: str
    seconds: float


def by_movie(folder: Path | None = None) -> dict[str, dict[int, Path]]:
    """Sort the lessons, by number, by the movie that each names in its parameters."""
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

    What is there already with the same movie, parameters, engine and notebook isn't executed again.
    """
    done: list[Executed] = []
    for movie, chosen in (movies or by_movie(notebooks)).items():
        with for_a_page():
            runner.run(movie, folder / movie, steps=list(chosen), folder=notebooks, say=say)
        done += found_in(folder / movie, movie, chosen)
    return sorted(done, key=lambda lesson: lesson.number)


def found_in(results: Path, movie: str, chosen: dict[int, Path]) -> list[Executed]:
    """
    Take lessons from the results folder of a run under `for_a_page`.

    `chosen` are the learner's notebooks. The executed ones may hold more cells, as the instructor's do.
    """
    state = json.loads((results / runner.STATE).read_text(encoding="utf-8"))["steps"]
    return [
        Executed(number, source, results / "notebooks" / source.name, movie, state[str(number)]["seconds"])
        for number, source in chosen.items()
    ]


@contextlib.contextmanager
def for_a_page() -> Iterator[None]:
    """Ask the kernels that are started meanwhile for viewers that work in a saved page."""
    with mock.patch.dict(os.environ, WORKSHOP_SAVED_PAGE="1"):
        yield
