"""What to say and do when a lesson needs something that an earlier one makes."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from cnmf_engine.base.errors import MissingFileError, explain
from workshop_utils.lessons import STEPS, lessons

__all__ = ["MissingStep", "explain_missing", "offer", "steps_to_run"]


class MissingStep(MissingFileError):
    """A lesson asks for something that an earlier lesson makes, and it isn't there."""

    def _render_traceback_(self) -> list[str]:
        # IPython shows this instead of a stack trace: nothing in the code is wrong.
        return str(self).splitlines()


def steps_to_run(step: str, has: Callable[[str], bool]) -> list[int]:
    """
    List the lessons that have to be run for a step.

    Parameters
    ----------
    step : str
        One of `workshop_utils.lessons.STEPS`.
    has : callable
        Says of a step whether what it leaves is there.

    Returns
    -------
    list of int
        From the first lesson that left nothing to the one that makes `step`: each works on what the ones
        before it made.
    """
    last = STEPS[step]
    first = min((number for name, number in STEPS.items() if number < last and not has(name)), default=last)
    return list(range(first, last + 1))


def explain_missing(step: str, found: str, numbers: list[int], movie: str, results: Path) -> str:
    """
    Word what is missing, and what makes it.

    Parameters
    ----------
    step : str
        The step that is missing.
    found : str
        What is there.
    numbers : list of int
        The lessons to run.
    movie : str
        As it was asked for.
    results : pathlib.Path
        The results folder.

    Returns
    -------
    str
        Expected, found, what to do.
    """
    *_, chosen = run_arguments(movie, results, numbers)
    command = f'workshop run --movie "{movie}" --results "{results}" --steps {chosen}'
    return explain(
        f"what the step '{step}' leaves in {results}",
        found,
        f"run {_notebook(STEPS[step])} with the same movie and results, or in a cell: !{command}",
    )


def offer(numbers: list[int], movie: str, results: Path) -> bool:
    """
    Ask whether the missing lessons should be run now, and run them.

    Parameters
    ----------
    numbers : list of int
        The lessons.
    movie : str
        As it was asked for.
    results : pathlib.Path
        The results folder.

    Returns
    -------
    bool
        True if they were run; False if nobody is there to be asked, or the answer was no.
    """
    from workshop_utils.widgets.players.output import headless

    if headless():
        return False
    which = f"lessons {numbers[0]} to {numbers[-1]}" if len(numbers) > 1 else f"lesson {numbers[0]}"
    missing = importlib.util.find_spec("papermill") is None
    extra = " (this installs papermill first, which runs notebooks)" if missing else ""
    print(f"This needs what {which} would have left in {results}.")
    try:
        answer = input(f"Run {which} now, with the values they come with{extra}? yes or no: ")
    except (EOFError, RuntimeError):  # IPython's StdinNotImplementedError: the front end can't ask
        return False
    if answer.strip().lower() not in ("y", "yes"):
        return False
    if missing:
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "papermill"], check=True)
        importlib.invalidate_caches()
    _run(run_arguments(movie, results, numbers))
    return True


def _run(arguments: list[str]) -> None:
    """Run the command in a process of its own, and repeat in this cell what it says."""
    command = [sys.executable, "-u", "-m", "workshop_utils.cli", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as running:
        for line in running.stdout:
            print(line, end="")


def run_arguments(movie: str, results: Path, numbers: list[int]) -> list[str]:
    """Arguments of the command `workshop` that runs some lessons."""
    chosen = f"{numbers[0]}-{numbers[-1]}" if len(numbers) > 1 else str(numbers[0])
    return ["run", "--movie", str(movie), "--results", str(results), "--steps", chosen]


def _notebook(number: int) -> str:
    try:
        return f"the notebook {lessons()[number].name}"
    except (MissingFileError, KeyError):
        return f"lesson {number}"
