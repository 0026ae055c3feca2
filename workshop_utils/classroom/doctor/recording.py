"""The movie, the machine it has to fit on, and the folders that are written to."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from workshop_utils.classroom.doctor.checks import Check, Fault, looked

__all__ = ["Recording", "folders", "memory", "movie", "truth"]

# Below this even the demo runs into trouble: Python and its libraries take half of it.
_LEAST_MEMORY = 1_000_000_000
# Figures, tables, models and the report.
_SMALL_FILES = 200_000_000
_FRAMES = 3


@dataclass
class Recording:
    """
    What is examined, and what has been learnt of it so far.

    Attributes
    ----------
    requested, results : str
        The movie and the folder of results as they were asked for.
    path : pathlib.Path or None
        The movie's file, once found.
    shape : tuple of int or None
        Frames, rows, columns, once read.
    """

    requested: str
    results: str
    path: Path | None = None
    shape: tuple[int, ...] | None = None

    @functools.cached_property
    def folder(self) -> Path:
        """The folder of results that a lesson would take."""
        from workshop_utils import session
        from workshop_utils.movies import data

        named = Path(data.DEMOS.get(self.requested, self.requested))
        return session.results_folder(self.results, self.path or named)


def movie(recording: Recording) -> Check:
    """Find the movie, and read its first frames and its last."""
    return looked("movie", lambda: _movie(recording))


def truth(recording: Recording) -> Iterator[Check]:
    """Say whether there is an answer key beside the movie."""
    if recording.path is not None:
        yield looked("answer key", lambda: _truth(recording))


def memory(recording: Recording) -> Iterator[Check]:
    """Say how many processor cores there are, and whether the memory is enough for the movie."""
    yield looked("processor cores", lambda: str(_machine(recording.folder).cpus))
    yield looked("memory", lambda: _memory(recording))


def folders(recording: Recording) -> Iterator[Check]:
    """Write to the folder of results and to the one for working files, and see whether there is room."""
    from workshop_utils.files import human_bytes

    def look(folder: Path, share: float, fix: str) -> str:
        _write(folder, fix)
        free, needed = _free(folder), _SMALL_FILES + int(share * _copies(recording))
        if free < needed:
            raise Fault(
                f"{human_bytes(free)} free in {folder}, and this movie needs {human_bytes(needed)}",
                f"delete {human_bytes(needed - free)} there, or {fix}",
            )
        return f"{folder} can be written to, {human_bytes(free)} free, {human_bytes(needed)} needed at most"

    scratch = os.environ.get("WORKSHOP_SCRATCH")
    other = "name a folder on another disk (in a lesson results = '...', in a terminal --results ...)"
    # With a folder for working files, only what later lessons need is kept with the results: one copy of two.
    yield looked("results folder", lambda: look(recording.folder, 0.5 if scratch else 1.0, other))
    yield from _session(recording)
    if scratch:
        place = Path(scratch).expanduser().resolve()
        other = "name another folder in WORKSHOP_SCRATCH, or unset it"
        yield looked("working files", lambda: look(place, 1.0, other))


def _movie(recording: Recording) -> str:
    from cnmf_engine.movies.opening import open_movie
    from workshop_utils.files import human_bytes
    from workshop_utils.movies import data

    known = None if Path(recording.requested).expanduser().exists() else _known(recording.requested)
    if known is not None and not known[0].exists():
        return f"{recording.requested} isn't here yet: the first lesson downloads it from {known[1]}"
    recording.path = path = known[0] if known is not None else data.get(recording.requested)
    with _silent("tifffile"), open_movie(path) as reader:
        shape = tuple(int(length) for length in reader.shape)
        recording.shape = shape
        # The end as well: a copy that was cut off begins well.
        reader[:_FRAMES]
        reader[shape[0] - 1 :]
    files = [path] if path.is_file() else [item for item in path.rglob("*") if item.is_file()]
    size = human_bytes(sum(file.stat().st_size for file in files))
    return f"{path}, {shape[0]} frames of {shape[1]} x {shape[2]} px, {size}"


@contextlib.contextmanager
def _silent(name: str) -> Iterator[None]:
    """Keep a library's log out of the lines: what it remarks on is said in one of them."""
    logger = logging.getLogger(name)
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


def _known(name: str) -> tuple[Path, str] | None:
    """Give the file and the address of a movie that is downloaded when it is first used."""
    from workshop_utils.movies.known import cache_folder, registry

    entry = registry().get(name)
    return None if entry is None or not entry.address else (cache_folder() / name, entry.address)


def _truth(recording: Recording) -> str:
    from workshop_utils.movies import data

    key = data.truth_for(recording.path)
    if key is None:
        return "none, as for every real recording; the lessons go without a score"
    return "it is there; the lessons score what you find"


def _machine(folder: Path):
    from workshop_utils import system

    return system.machine(folder)


def _memory(recording: Recording) -> str:
    from workshop_utils import system
    from workshop_utils.engine import find_engine
    from workshop_utils.files import human_bytes

    here = _machine(recording.folder)
    found = f"{human_bytes(here.memory_free)} free of {human_bytes(here.memory)}"
    if here.memory_free < _LEAST_MEMORY:
        raise Fault(found, "close other programs and shut down other notebooks' kernels, then look again")
    if recording.shape is None:
        return found
    fit = system.will_it_fit(recording.shape, recording.folder, on=here)
    found += f"; the movie takes {human_bytes(fit.memory_needed)}"
    if fit.in_memory:
        return found
    if find_engine().name == "embedded":
        return f"{found}, so it is read from its file, block by block"
    frames = max(1, int(recording.shape[0] * 0.5 * here.memory_free / fit.memory_needed))
    raise Fault(
        f"{found}, more than CaImAn can load here",
        f"WORKSHOP_ENGINE=embedded, which reads it from its file, or a movie of at most {frames} frames",
    )


def _copies(recording: Recording) -> int:
    """Count the bytes of working copies that this movie still has to get; some may be there from before."""
    from workshop_utils import system

    if recording.shape is None:
        return 0
    return system.will_it_fit(recording.shape, recording.folder).disk_needed


def _free(folder: Path) -> int:
    """Count what is free, with what a further run would write over."""
    from workshop_utils.files import existing

    old = sum(file.stat().st_size for file in folder.rglob("*.mmap")) if folder.is_dir() else 0
    return shutil.disk_usage(existing(folder)).free + old


def _write(folder: Path, fix: str) -> None:
    """Write a file and remove it again, in the folder or in the one that it would be made in."""
    from workshop_utils.files import existing

    place = existing(folder)
    if not place.is_dir():
        raise Fault(f"{place} is a file, not a folder", fix)
    try:
        with tempfile.NamedTemporaryFile(dir=place, prefix=".workshop-doctor-") as file:
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise Fault(f"{place} can't be written to ({error.strerror or error})", fix) from error


def _session(recording: Recording) -> Iterator[Check]:
    """Say whose results are in the folder, where there are any."""
    from workshop_utils.session import file as session_file

    if (recording.folder / session_file.FILE_NAME).is_file():
        yield looked("results so far", lambda: _whose(recording))


def _whose(recording: Recording) -> str:
    from workshop_utils.session import file as session_file
    from workshop_utils.session.records import fingerprint, same_movie

    content = session_file.read(recording.folder)
    theirs = content.get("movie")
    if theirs and recording.path is not None:
        if not same_movie(theirs, fingerprint(recording.path)):
            raise Fault(
                f"{recording.folder} holds the results of another movie, {theirs['path']}",
                "name another folder (in a lesson results = '...', in a terminal --results ...)",
            )
    return f"of this movie: {', '.join(content['steps']) or 'nothing yet'}"
