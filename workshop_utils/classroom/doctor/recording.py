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

__all__ = ["Recording", "folders", "memory", "movie"]

# Below this even the demo runs into trouble: Python and its libraries take half of it.
_LEAST_MEMORY = 1_000_000_000
# Figures, tables, models and the report.
_SMALL_FILES = 200_000_000
_FRAMES = 3


@dataclass
class Recording:
    """What is examined, as it was asked for; its file and (frames, rows, columns), once they are known."""

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


def movie(recording: Recording) -> Iterator[Check]:
    """Find the movie, read its first frames and its last, and say whether it has an answer key."""
    yield looked("movie", lambda: _movie(recording))
    if recording.path is not None:
        yield looked("answer key", lambda: _truth(recording))


def memory(recording: Recording) -> Iterator[Check]:
    """Say how many processor cores there are, and whether the memory is enough for the movie."""

    def cores() -> str:
        from workshop_utils import system

        return str(system.machine(recording.folder).cpus)

    yield looked("processor cores", cores)
    yield looked("memory", lambda: _memory(recording))


def folders(recording: Recording) -> Iterator[Check]:
    """Write to the folder of results and to the one for working files, and see whether there is room."""
    scratch = os.environ.get("WORKSHOP_SCRATCH")
    other = "name a folder on another disk (in a lesson results = '...', in a terminal --results ...)"
    # With a folder for working files, only what later lessons need is kept with the results: one copy of two.
    share = 0.5 if scratch else 1.0
    yield looked("results folder", lambda: _room(recording, recording.folder, share, other))
    from workshop_utils.session import file as session_file

    if (recording.folder / session_file.FILE_NAME).is_file():
        yield looked("results so far", lambda: _whose(recording))
    if scratch:
        place = Path(scratch).expanduser().resolve()
        fix = "name another folder in WORKSHOP_SCRATCH, or unset it"
        yield looked("working files", lambda: _room(recording, place, 1.0, fix))


def _movie(recording: Recording) -> str:
    from cnmf_engine.movies.opening import open_movie
    from workshop_utils.files import human_bytes
    from workshop_utils.movies import data, known

    entry = None
    if not Path(recording.requested).expanduser().exists():
        entry = known.registry().get(recording.requested)
    if entry is None or not entry.address:
        path = data.get(recording.requested)
    else:
        path = known.cache_folder() / entry.name
        if not path.exists():
            return f"{entry.name} isn't here yet: the first lesson downloads it from {entry.address}"
    recording.path = path
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


def _truth(recording: Recording) -> str:
    from workshop_utils.movies import data

    key = data.truth_for(recording.path)
    if key is None:
        return "none, as for every real recording; the lessons go without a score"
    return "it is there; the lessons score what you find"


def _memory(recording: Recording) -> str:
    from workshop_utils import system
    from workshop_utils.engine import find_engine
    from workshop_utils.files import human_bytes

    here = system.machine(recording.folder)
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


def _room(recording: Recording, folder: Path, share: float, fix: str) -> str:
    """Write to a folder, or where it would be made, and compare what is free with what is needed."""
    from workshop_utils import system
    from workshop_utils.files import existing, human_bytes

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
    # A further run writes over the maps of the one before.
    maps = folder.rglob("*.mmap") if folder.is_dir() else ()
    free = shutil.disk_usage(place).free + sum(file.stat().st_size for file in maps)
    needed = _SMALL_FILES
    if recording.shape is not None:
        needed += int(share * system.will_it_fit(recording.shape, recording.folder).disk_needed)
    if free < needed:
        raise Fault(
            f"{human_bytes(free)} free in {folder}, and this movie needs {human_bytes(needed)}",
            f"delete {human_bytes(needed - free)} there, or {fix}",
        )
    return f"{folder} can be written to, {human_bytes(free)} free, {human_bytes(needed)} needed at most"


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
