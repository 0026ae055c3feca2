"""The folder in which the lessons keep what they make, so that each finds what the ones before it left."""

from __future__ import annotations

import datetime
import functools
import json
import os
import time
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING, Any

from cnmf_engine.base.errors import InputError, ParameterError, explain, nearest
from workshop_utils.engine import find_engine
from workshop_utils.files import write_text
from workshop_utils.lessons import STEPS
from workshop_utils.movies import data
from workshop_utils.session import file as session_file
from workshop_utils.session import scratch
from workshop_utils.session.missing import MissingStep, explain_missing, offer, steps_to_run
from workshop_utils.session.records import decode, encode, fingerprint, renamed, same_movie, versions

if TYPE_CHECKING:
    from workshop_utils.movies.truth import Truth

__all__ = ["MissingStep", "Session", "results_folder", "start"]

# What the lessons' parameters say; lesson 7 has a folder of its own, since it begins with another movie.
_DEFAULT, _OWN = "results", "results_own"
# If the step on the right was run again after the one on the left, the left one may describe old results.
_DEPENDS = {"summary_images": "motion", "model": "motion", "evaluation": "model", "export": "model"}


def start(results: str | os.PathLike = "results", movie: str | os.PathLike = "demo") -> Session:
    """
    Open the folder of results, making it if it's new.

    Parameters
    ----------
    results : path-like
        The folder, relative to the working directory. Where it is left at ``'results'``, the environment
        variable ``WORKSHOP_RESULTS`` may name another; ``{movie}`` in it stands for the movie's name. Without
        that, lesson 7's ``'results_own'`` becomes a folder beside it.
    movie : str or path-like
        What `workshop_utils.movies.data.get` understands: ``'demo'``, a known name, or a path.

    Returns
    -------
    Session
        The session, ready for `need` and `record`.

    Raises
    ------
    InputError
        The folder holds the results of another movie, or of a newer version of the workshop, or can't be
        written to.
    """
    found = data.get(movie)
    session = Session(results_folder(results, found), found, str(movie))
    session._open()
    return session


def results_folder(results: str | os.PathLike, movie: Path) -> Path:
    """
    Say which folder `start` opens.

    Parameters
    ----------
    results : path-like
        As for `start`.
    movie : pathlib.Path
        The movie's file.

    Returns
    -------
    pathlib.Path
        Absolute; there or not.
    """
    folder = Path(os.fspath(results)).expanduser()
    named = os.environ.get("WORKSHOP_RESULTS")
    if named and str(folder) in (_DEFAULT, _OWN):
        if str(folder) == _OWN and "{movie}" not in named:
            named += _OWN.removeprefix(_DEFAULT)
        folder = Path(named.replace("{movie}", movie.stem)).expanduser()
    return folder.resolve()


class Session:
    """
    One movie's results: a folder, and ``session.json`` in it that says what is there.

    Attributes
    ----------
    folder : pathlib.Path
        The results folder, absolute.
    movie : pathlib.Path
        The movie, absolute.
    requested : str
        The movie as it was asked for (``'demo'``, a name, a path).
    scratch : pathlib.Path
        Folder for heavy working files: on the machine's own disk if the environment variable
        ``WORKSHOP_SCRATCH`` names a place there, else the results folder.
    """

    def __init__(self, folder: Path, movie: Path, requested: str) -> None:
        self.folder = folder
        self.scratch = scratch.folder_for(folder)
        self.movie = movie
        self.requested = requested
        self._clock = time.perf_counter()

    def __repr__(self) -> str:
        done = [step for step in STEPS if self.has(step)]
        return f"Session(folder='{self.folder}', movie='{self.movie.name}', done={done})"

    @functools.cached_property
    def truth(self) -> Truth | None:
        """The answer key of a simulated movie; None for a real recording."""
        return data.truth_for(self.movie)

    @property
    def frame_rate(self) -> float | None:
        """Frames a second, Hz, from the truth or the registry; None if neither knows it."""
        known = self.truth.fr if self.truth is not None else None
        # NaN (a truth file that doesn't say) isn't equal to itself.
        return float(known) if known is not None and known == known else data.frame_rate(self.movie)

    def path(self, name: str) -> Path:
        """
        Name a file in the results folder.

        Parameters
        ----------
        name : str
            File name, with folders if wanted; these are made.

        Returns
        -------
        pathlib.Path
            The absolute path.
        """
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def record(self, step: str, **values: Any) -> None:
        """
        Note what a step made, in ``session.json``. Files in the scratch folder are copied to the results.

        Parameters
        ----------
        step : str
            One of `workshop_utils.lessons.STEPS`.
        **values
            Paths (kept relative to the folder when inside it), numbers, texts, lists, dictionaries and small
            arrays. ``seconds`` is how long the step took; without it the time since the session was opened
            or the last record is taken.

        Raises
        ------
        ParameterError
            There is no such step.
        InputError
            A value can't be kept in a text file.
        """
        self._check_step(step)
        values = {key: scratch.keep(value, self.scratch, self.folder) for key, value in values.items()}
        seconds = float(values.pop("seconds", time.perf_counter() - self._clock))
        self._clock = time.perf_counter()
        content = session_file.read(self.folder)
        content["steps"][step] = {
            "recorded": _now(),
            "seconds": round(seconds, 3),
            "engine": find_engine()._asdict(),
            "values": {key: encode(value, self.folder, f"{step}: {key}") for key, value in values.items()},
        }
        session_file.write(self.folder, content)

    def forget(self, step: str) -> None:
        """
        Take a step's note back before its files are replaced.

        A run that is stopped in between then leaves a step that has to be done again, rather than new files
        under an old note.

        Parameters
        ----------
        step : str
            One of `workshop_utils.lessons.STEPS`.
        """
        self._check_step(step)
        content = session_file.read(self.folder)
        if content["steps"].pop(step, None) is not None:
            session_file.write(self.folder, content)

    def has(self, step: str) -> bool:
        """
        Say whether a step was done and what it made is still there.

        Parameters
        ----------
        step : str
            One of `workshop_utils.lessons.STEPS`.

        Returns
        -------
        bool
            True if `need` would give its values.
        """
        self._check_step(step)
        return step in session_file.read(self.folder)["steps"] and not self.lost(step)

    def lost(self, step: str) -> list[Path]:
        """
        List the files that a step noted and that aren't there any more.

        Parameters
        ----------
        step : str
            One of `workshop_utils.lessons.STEPS`.

        Returns
        -------
        list of pathlib.Path
            Empty also for a step that wasn't done.
        """
        self._check_step(step)
        values = decode(
            session_file.read(self.folder)["steps"].get(step, {}).get("values", {}), self.folder
        ).values()
        return [value for value in values if isinstance(value, Path) and not value.exists()]

    def need(self, step: str) -> dict[str, Any]:
        """
        Get what an earlier step noted; where it is missing, offer to run the lessons that make it.

        Parameters
        ----------
        step : str
            One of `workshop_utils.lessons.STEPS`.

        Returns
        -------
        dict
            The values as they were recorded; paths are absolute, arrays and tuples come back as lists.

        Raises
        ------
        MissingStep
            The step wasn't done, or its files are gone, and nobody said yes to running it now. The message
            names the notebook and the command.
        """
        self._check_step(step)
        found = self._what_is_missing(step)
        if found:
            numbers = steps_to_run(step, self.has)
            offer(numbers, self.requested, self.folder)
            # What was run may have left less than was hoped for.
            found = self._what_is_missing(step)
            if found:
                raise MissingStep(explain_missing(step, found, numbers, self.requested, self.folder))
        steps = session_file.read(self.folder)["steps"]
        before = _DEPENDS.get(step)
        if before in steps and steps[before]["recorded"] > steps[step]["recorded"]:
            advice = f"If it changed, run lesson {STEPS[step]} again too."
            print(f"Note: '{before}' was run again after '{step}'. {advice}")
        values = decode(steps[step]["values"], self.folder)
        return {key: scratch.fetch(value, self.scratch, self.folder) for key, value in values.items()}

    def _what_is_missing(self, step: str) -> str:
        """Say what is there instead of what a step leaves; nothing if all of it is there."""
        steps = session_file.read(self.folder)["steps"]
        if step not in steps:
            return f"only {', '.join(steps) or 'an empty session'}"
        lost = self.lost(step)
        return f"that {', '.join(map(str, lost))} has been deleted or moved" if lost else ""

    def save_params(self, opts: Any) -> Path:
        """
        Keep the parameters for the next lesson.

        Parameters
        ----------
        opts : CNMFParams
            Of either engine.

        Returns
        -------
        pathlib.Path
            ``params.json`` in the results folder, as `CNMFParams.to_json` words it.
        """
        path = write_text(self.path("params.json"), opts.to_json())
        self.record("params", path=path)
        return path

    def load_params(self) -> Any:
        """
        Get the parameters that an earlier lesson kept.

        Returns
        -------
        CNMFParams
            Of the engine in use. Movie files that were moved along with the results folder are found again.

        Raises
        ------
        MissingStep
            No lesson has kept any.
        """
        path = self.need("params")["path"]
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            names = content.get("data", {}).get("fnames")
            names = [Path(name) for name in ([names] if isinstance(names, str) else names or [])]
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            found = f"a file that can't be read ({type(error).__name__}: {error})"
            raise InputError(explain(f"parameters in {path}", found, "run lesson 3 again")) from error
        # Only now: choosing the engine takes seconds and prints a line.
        from workshop_utils.engine import params

        if names:
            content["data"]["fnames"] = [str(self._find_again(name)) for name in names]
        opts = params.CNMFParams()
        opts.change_params_from_json(json.dumps(content))
        return opts

    def summary(self) -> dict[str, Any]:
        """
        Give everything the session knows, for a report.

        Returns
        -------
        dict
            ``movie``, ``engine``, ``versions``, ``created`` and ``steps``; each step has ``recorded``,
            ``seconds``, ``engine`` and ``values``.
        """
        content = session_file.read(self.folder)
        for entry in content["steps"].values():
            entry["values"] = decode(entry["values"], self.folder)
        return content

    def _open(self) -> None:
        if self.folder.exists() and not self.folder.is_dir():
            raise InputError(
                explain("a folder for the results", f"a file, {self.folder}", "name another folder")
            )
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._take_over()
        except OSError as error:
            if isinstance(error, FileNotFoundError):  # something else is missing, and says so itself
                raise
            expected = f"a folder for the results that can be written to: {self.folder}"
            fix = "name another with results=..., one of your own (a shared folder is often read-only)"
            raise InputError(explain(expected, f"{type(error).__name__}: {error}", fix)) from error

    def _take_over(self) -> None:
        known = session_file.read(self.folder)
        mine = fingerprint(self.movie)
        theirs = known.get("movie", mine)
        if not same_movie(theirs, mine):
            raise InputError(
                explain(
                    f"{self.folder} to hold the results of {self.movie}",
                    f"the results of another movie there: {theirs['path']} (as '{theirs['requested']}')",
                    f"name another folder (results=..., or --results on the command line), set movie to "
                    f"'{theirs['requested']}', or delete that folder's {session_file.FILE_NAME}",
                )
            )
        if "movie" in known:
            known["steps"] = renamed(known["steps"], theirs["path"], self.movie)
        known["movie"] = {**mine, "path": str(self.movie), "requested": self.requested}
        known["engine"] = find_engine()._asdict()
        known["versions"] = versions()
        known.setdefault("created", _now())
        session_file.write(self.folder, known)

    def _find_again(self, path: Path) -> Path:
        if path.exists():
            return path
        # A folder may have been written on Windows and be read here; this understands paths of both kinds.
        if PureWindowsPath(path).name == self.movie.name:
            return self.movie
        # The results folder may have moved (Drive on another machine): try the end of the path inside it.
        parts = Path(str(path).replace("\\", "/")).parts
        tails = (self.folder.joinpath(*parts[start:]) for start in range(1, len(parts)))
        return next((tail for tail in tails if tail.exists()), path)

    @staticmethod
    def _check_step(step: str) -> None:
        if step not in STEPS:
            hint = nearest(step, STEPS)
            fix = f"use '{hint}'" if hint else "use one of them"
            raise ParameterError(explain(f"a step of the pipeline ({', '.join(STEPS)})", repr(step), fix))


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
