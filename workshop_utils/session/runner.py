"""Run the lessons one after another without anybody watching, and carry on where a stopped run ended."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cnmf_engine.base.errors import ParameterError, explain
from workshop_utils import __version__, session
from workshop_utils.engine import Engine, find_engine
from workshop_utils.files import write_text
from workshop_utils.lessons import STEPS, lessons
from workshop_utils.movies import data
from workshop_utils.session.notebooks import find_failure, parameters_of, source_hash
from workshop_utils.session.options import check_parameters

__all__ = ["STATE", "RunError", "Step", "run"]

STATE = "run.json"
_OWN = ("movie", "results")
# Figures have to arrive in the notebook as pictures, whatever back end the shell asks for.
_INLINE = "module://matplotlib_inline.backend_inline"
_HEAD = 6
_MOST_LINES = 30


class RunError(RuntimeError):
    """A lesson stopped; the text says where and why."""


@dataclass(frozen=True)
class Step:
    """
    One lesson of a run.

    Attributes
    ----------
    number : int
        Of the lesson.
    source : pathlib.Path
        The notebook as it comes.
    target : pathlib.Path
        The executed notebook.
    parameters : dict
        What is passed to it.
    """

    number: int
    source: Path
    target: Path
    parameters: dict[str, Any] = field(default_factory=dict)

    @property
    def partial(self) -> Path:
        """Name of the notebook while it runs, and if it fails."""
        return self.target.with_name(f"{self.target.stem}.partial.ipynb")


def run(
    movie: str | os.PathLike = "demo",
    results: str | os.PathLike = "results",
    *,
    engine: str | None = None,
    steps: list[int] | None = None,
    parameters: Mapping[str, Any] | None = None,
    force: bool = False,
    folder: str | os.PathLike | None = None,
    say: Callable[[str], None] = print,
) -> Path:
    """
    Execute lessons on a movie and write the report.

    Parameters
    ----------
    movie : str or path-like
        What `workshop_utils.movies.data.get` understands.
    results : path-like
        Folder of the results.
    engine : {'auto', 'caiman', 'embedded'}, optional
        By default what the environment variable ``WORKSHOP_ENGINE`` says.
    steps : list of int, optional
        Numbers of the lessons; all by default.
    parameters : mapping of str to object, optional
        Values for what the notebooks declare in their ``parameters`` cell. Each goes to every chosen notebook
        that declares it.
    force : bool
        Execute also what an earlier run has done with the same movie, parameters, engine and notebook.
    folder : path-like, optional
        Folder of the notebooks; the workshop's own by default.
    say : callable
        Gets a line of text for each step.

    Returns
    -------
    pathlib.Path
        ``report.html`` in the results folder.

    Raises
    ------
    RunError
        A lesson failed.
    InputError, MissingFileError
        Something that was asked for doesn't exist or doesn't fit; nothing was executed.
    """
    _need_papermill()
    with _environment(engine):
        chosen_engine = find_engine()
        known = _chosen(lessons(folder), steps)
        declared = {number: parameters_of(source) for number, source in known.items()}
        check_parameters(parameters or {}, declared, _OWN)
        opened = session.start(results, movie)
        passed = {**_session_parameters(opened, str(movie)), **(parameters or {})}
        chosen = [
            Step(
                number,
                source,
                opened.folder / "notebooks" / source.name,
                {name: passed[name] for name in declared[number] if name in passed},
            )
            for number, source in known.items()
        ]
        say(f"Movie: {opened.movie}\n{chosen_engine}")
        state = _State(opened.folder / STATE)
        todo = {step.number for step in _outdated(chosen, state, opened, chosen_engine)}
        if force:
            todo = {step.number for step in chosen}
        for position, step in enumerate(chosen, 1):
            name = f"[{position}/{len(chosen)}] {step.source.stem}"
            if step.number not in todo:
                say(f"{name}: skipped, done already with the same movie, parameters, engine and notebook")
                continue
            seconds = _execute(step, state, opened, chosen_engine, name)
            say(f"{name}: ok, {seconds:.1f} s")
    from workshop_utils.session import report

    return report.build(opened.folder)


class _State:
    """What earlier runs have done, in ``run.json``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            self.steps: dict[str, dict[str, Any]] = dict(content["steps"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            # Without a readable account of earlier runs every step is simply done again.
            self.steps = {}

    def finished(self, before: int) -> list[str]:
        """When the lessons before this one were executed: a later one is only as fresh as they are."""
        return [entry["finished"] for key, entry in sorted(self.steps.items()) if int(key) < before]

    def complete(self, step: Step, key: str) -> bool:
        entry = self.steps.get(str(step.number), {})
        return entry.get("status") == "ok" and entry.get("key") == key and step.target.is_file()

    def note(self, step: Step, **entry: Any) -> None:
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        self.steps[str(step.number)] = {"notebook": step.source.stem, "finished": now, **entry}
        write_text(self.path, json.dumps({"version": 1, "steps": self.steps}, indent=1) + "\n")


def _chosen(known: dict[int, Path], steps: list[int] | None) -> dict[int, Path]:
    if steps is None:
        return known
    unknown = [number for number in steps if number not in known]
    if unknown or not steps:
        found = ", ".join(map(str, unknown)) or "none"
        fix = "choose among these, for example --steps 2-4; `workshop list` says what each does"
        raise ParameterError(explain(f"numbers of lessons among {', '.join(map(str, known))}", found, fix))
    return {number: known[number] for number in sorted(set(steps))}


def _session_parameters(opened: session.Session, movie: str) -> dict[str, str]:
    # A name stays a name, so that the executed notebook can be run anywhere; a path has to be absolute.
    named = movie in data.DEMOS or movie in data.registry()
    return {"movie": movie if named else str(opened.movie), "results": str(opened.folder)}


def _outdated(chosen: list[Step], state: _State, opened: session.Session, engine: Engine) -> list[Step]:
    """From the first step that has to be done again, all: each works on what the ones before it made."""
    first = next(
        (n for n, step in enumerate(chosen) if not state.complete(step, _key(step, state, opened, engine))),
        None,
    )
    if first is None:
        return []
    # What a skipped step made may have been cleaned up since; the ones that are done again would miss it.
    lost = [n for n, step in enumerate(chosen[:first]) if _lost_files(step, opened)]
    return chosen[min([first, *lost]) :]


def _lost_files(step: Step, opened: session.Session) -> bool:
    return any(opened.lost(name) for name, number in STEPS.items() if number == step.number)


def _key(step: Step, state: _State, opened: session.Session, engine: Engine) -> str:
    movie = opened.summary()["movie"]
    parts = [
        source_hash(step.source),
        {name: value for name, value in step.parameters.items() if name not in _OWN},
        movie["bytes"],
        movie["sha256"],
        engine.name,
        engine.version,
        __version__,
        state.finished(step.number),
    ]
    return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()


def _execute(step: Step, state: _State, opened: session.Session, engine: Engine, name: str) -> float:
    key = _key(step, state, opened, engine)
    step.target.parent.mkdir(parents=True, exist_ok=True)
    step.target.unlink(missing_ok=True)
    state.note(step, status="started")
    start = time.perf_counter()
    error = _papermill(step)
    seconds = round(time.perf_counter() - start, 2)
    if error is not None:
        state.note(step, status="failed", seconds=seconds, error=error)
        raise RunError(f"{name}: failed after {seconds:.1f} s\n{error}\nThe notebook so far: {step.partial}")
    os.replace(step.partial, step.target)
    state.note(step, status="ok", seconds=seconds, key=key)
    return seconds


def _papermill(step: Step) -> str | None:
    """Execute a notebook; say what went wrong, or None."""
    import nbformat
    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.exceptions import PapermillExecutionError
    from papermill.execute import remove_error_markers

    # It reads the parameters' comments with a parser of its own and remarks on what that can't parse.
    logging.getLogger("papermill").setLevel(logging.ERROR)
    escaped = [str(path).replace("{", "{{").replace("}", "}}") for path in (step.source, step.partial)]
    try:
        papermill.execute_notebook(
            *escaped,
            parameters=step.parameters,
            kernel_name="python3",
            language="python",
            progress_bar=False,
            cwd=step.target.parent,
            # The kernel's own remarks about its sockets and its end aren't for people who run lessons.
            extra_arguments=["--log-level=CRITICAL"],
        )
    except DeadKernelError as error:
        memory = "most often because the machine ran out of memory: use a shorter or smaller movie"
        return f"The kernel died ({error}), {memory}"
    except CellTimeoutError as error:
        return f"A cell took too long: {error}"
    except PapermillExecutionError:
        # papermill marks the notebook, and stops at an error that a cell announces by its tag, too.
        notebook = remove_error_markers(nbformat.read(step.partial, as_version=4))
        nbformat.write(notebook, step.partial)
        failure = find_failure(step.partial)
        return None if failure is None else _word(failure.number, failure.source, failure.error)
    return None


def _word(number: int, source: str, error: str) -> str:
    head = source.strip().splitlines()
    shown = [f"    {line}" for line in head[:_HEAD]] + (["    ..."] if len(head) > _HEAD else [])
    return "\n".join([f"Cell {number}:", *shown, *error.splitlines()[:_MOST_LINES]])


@contextlib.contextmanager
def _environment(engine: str | None) -> Iterator[None]:
    """Set what the kernels inherit, and put everything back."""
    wanted = {"WORKSHOP_HEADLESS": "1", "MPLBACKEND": _INLINE}
    if engine:
        wanted["WORKSHOP_ENGINE"] = engine
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _need_papermill() -> None:
    try:
        import papermill  # noqa: F401
    except ImportError as error:
        raise RunError(
            explain(
                "papermill, which runs the notebooks",
                f"{error}",
                "python -m pip install papermill, or in a checkout `make run`",
            )
        ) from error
