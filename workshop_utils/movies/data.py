"""Find movies: the demo, known ones that are downloaded once, and the attendee's own."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cnmf_engine.base.errors import InputError, MissingFileError, explain, nearest
from workshop_utils import places
from workshop_utils.files import UNFINISHED, human_bytes, listing, where_it_ends
from workshop_utils.lessons import resource
from workshop_utils.movies.copying import CopyReport, copy_folder, key_of, not_allowed, parts_in, word
from workshop_utils.movies.known import KnownMovie, cache_folder, fetch, registry

if TYPE_CHECKING:
    from workshop_utils.movies.truth import Truth

__all__ = [
    "DEMO",
    "DEMOS",
    "CopyReport",
    "KnownMovie",
    "cache_folder",
    "copy_folder",
    "folder",
    "frame_rate",
    "get",
    "movies_in",
    "registry",
    "truth_for",
]

#: Simulated movies that come with the workshop, by the names that the lessons know them by.
DEMOS = {"demo": "demo_ca1.tif", "demo_hard": "demo_l23.tif"}
DEMO = DEMOS["demo"]
_SUFFIXES = (".tif", ".tiff", ".btf", ".avi", ".mkv", ".npy", ".hdf5", ".h5", ".nwb", ".mat", ".sbx")
_FOLDER_SUFFIXES = (".zarr", ".n5")
_AGAIN = (
    "run the cell that copies or downloads it again (in Colab the first one): it goes on where it stopped"
)
_MOST = 10


def folder() -> Path:
    """Find the folder of the demo movie and the registry: the checkout's, or the installed package's."""
    return resource("data")


def get(name_or_path: str | os.PathLike) -> Path:
    """
    Find a movie, downloading it if it's a known one that isn't here yet.

    Parameters
    ----------
    name_or_path : str or path-like
        ``'demo'`` or ``'demo_hard'``, a file name from the registry, the path of a movie, or of a folder that
        holds one.

    Returns
    -------
    pathlib.Path
        The movie's absolute path.

    Raises
    ------
    MissingFileError
        There is no such movie, the folder holds none, or the download failed.
    InputError
        The folder holds several movies, or the movie is empty, incomplete or can't be read.
    """
    text = os.fspath(name_or_path).strip()
    if text in DEMOS or text in DEMOS.values():
        path = folder() / DEMOS.get(text, text)
        if path.is_file():
            return path
        fix = "install the package again, or name a movie of your own"
        raise MissingFileError(explain(f"the demo movie at {path}", "no such file", fix))
    path = Path(text).expanduser()
    with _reaching(path):
        if text and path.exists():
            found = path.resolve()
            return _checked(_in_folder(found) if found.is_dir() else found)
    known = registry()
    if text in known:
        return fetch(known[text])
    with _reaching(path):
        raise MissingFileError(_not_found(text, path, known))


def movies_in(path: str | os.PathLike) -> list[Path]:
    """
    List the movies in a folder, judged by the ends of their names, in alphabetical order.

    Folders inside it aren't searched. Memory maps (``.mmap``) are working files and don't count.
    """
    return sorted(item for item in Path(path).iterdir() if _is_movie(item) and not item.name.startswith("."))


def truth_for(path: str | os.PathLike) -> Truth | None:
    """Load a simulated movie's answer key, ``<name>_truth.npz`` beside it; None for every real recording."""
    path = Path(path)
    truth = path.with_name(f"{path.stem}_truth.npz")
    if not truth.is_file():
        return None
    from workshop_utils.movies.truth import load_truth

    return load_truth(truth)


def frame_rate(path: str | os.PathLike) -> float | None:
    """Look up the frame rate, Hz, that the registry has for a file of this name; None if it isn't known."""
    entry = registry().get(Path(path).name)
    return float(entry.frame_rate) if entry is not None and entry.frame_rate else None


def _is_movie(path: Path) -> bool:
    suffix = path.suffix.lower()
    return suffix in _FOLDER_SUFFIXES if path.is_dir() else suffix in _SUFFIXES


@contextmanager
def _reaching(path: Path) -> Iterator[None]:
    """Word what the system says when a path can't be looked at."""
    try:
        yield
    except MissingFileError:
        raise
    except PermissionError as error:
        raise InputError(not_allowed(path, error, "copy it to a folder of your own")) from error
    except OSError as error:
        fix = "check the path and the disk"
        if _on_drive(path):
            fix = "the connection to Drive may be lost: restart the runtime and run the first cell again"
        raise InputError(explain(f"to read {path}", word(error), fix)) from error


def _checked(path: Path) -> Path:
    """Refuse files that can't be a movie, whatever their format."""
    if not path.is_file():
        return path
    if path.suffix.lower() in UNFINISHED:
        found = f"{path.name!r}, {human_bytes(path.stat().st_size)}, which isn't complete yet"
        raise InputError(explain(f"a complete movie at {path}", found, f"wait until it is, or {_AGAIN}"))
    if not path.stat().st_size:
        found = "a file of 0 bytes: a recording, an upload or a download that didn't finish"
        fix = "copy it from where it was recorded again, or delete it and name another movie"
        raise InputError(explain(f"a movie with frames in it at {path}", found, fix))
    with path.open("rb") as stream:
        stream.read(1)
    return path


def _in_folder(path: Path) -> Path:
    """Find the one movie in a folder, or say what is in it instead."""
    if _is_movie(path):
        return path
    movies = movies_in(path)
    if len(movies) == 1:
        return movies[0]
    expected = f"a folder with one movie ({', '.join(_SUFFIXES + _FOLDER_SUFFIXES)}): {path}"
    if movies:
        sizes = ("folder" if item.is_dir() else human_bytes(item.stat().st_size) for item in movies[:_MOST])
        listed = ", ".join(f"'{movie.name}' ({size})" for movie, size in zip(movies, sizes))
        more = f" and {len(movies) - _MOST} more" if len(movies) > _MOST else ""
        whole = [movie for movie in movies if movie.is_dir() or movie.stat().st_size]
        fix = f"name one in the parameters, for example movie = {_quoted((whole or movies)[0])}"
        raise InputError(explain(expected, f"{len(movies)}: {listed}{more}", fix))
    found = f"none, only {listing(path)}"
    unfinished = [part.size for parts in parts_in(path).values() for part in parts]
    if unfinished:
        found += f", and {human_bytes(sum(unfinished))} of a copy that was cut off"
        raise MissingFileError(explain(expected, found, _AGAIN))
    inside = (item for item in sorted(path.iterdir()) if item.is_dir() and not item.name.startswith("."))
    holder = next((item for item in inside if os.access(item, os.R_OK | os.X_OK) and movies_in(item)), None)
    fix = "name the folder or the file of the movie"
    raise MissingFileError(explain(expected, found, f"{fix}, here {_quoted(holder)}" if holder else fix))


def _not_found(text: str, path: Path, known: Iterable[str]) -> str:
    """Say what is there instead of a movie that was asked for."""
    names = ", ".join(known) or "none"
    expected = f"a movie: 'demo', 'demo_hard', a known name ({names}), or the path of a file or folder"
    if _on_drive(path) and not places.mounted():
        return explain(f"a movie on Google Drive at {path}", *_unmounted())
    if re.match(r"[A-Za-z]:[\\/]", text) and os.name != "nt":
        fix = "bring the movie to this machine (in Colab: into Drive), and give its path here"
        return explain(expected, f"{text!r}, a path on a Windows computer", fix)
    there = path.parent
    if not there.is_dir():
        gone, found, hint = where_it_ends(there)
        if gone.exists():  # a file stands where a folder should
            return explain(expected, found, f"name it as it is: movie = {_quoted(gone)}")
        if hint is None:
            fix = f"check the path from {gone.name!r} on, capital letters too"
        else:
            right = hint / path.absolute().relative_to(gone)
            fix = f"did you mean '{right if right.exists() else hint}'?"
        return explain(expected, found, fix)
    unfinished = _unfinished(path)
    if unfinished:
        return explain(f"a complete movie at {path.absolute()}", unfinished, _AGAIN)
    items = [item for item in there.iterdir() if not item.name.startswith(".")]
    # Nearest by file name, offered as the path that would have worked.
    choices = {name: name for name in ("demo", "demo_hard", *known)}
    choices |= {item.name: str(there / item.name) for item in items if _is_movie(item) or item.is_dir()}
    hint = nearest(text, choices) or nearest(path.name, choices)
    fix = f"did you mean '{choices[hint]}'? " if hint else ""
    found = f"no file or folder at {path.absolute()}; in {there.absolute()} there is {listing(there)}"
    return explain(expected, found, f"{fix}Check the spelling, and capital letters too, of {text!r}")


def _unmounted() -> tuple[str, str]:
    if places.in_colab():
        fix = "run the notebook's first cells again and allow access, or in a cell: "
        return "that Drive isn't mounted", fix + "from workshop_utils import colab; colab.mount_drive()"
    fix = "set movie to a path on this machine or to 'demo', or open the notebook in Colab"
    return "a machine that isn't Colab, so there is no Drive", fix


def _unfinished(path: Path) -> str | None:
    if parts := parts_in(path.parent).get(key_of(path.name)):
        part = max(parts, key=lambda part: part.size)
        return f"{human_bytes(part.size)} of {human_bytes(part.version[0])}: copying it was cut off"
    beside = [path.parent / (path.name + suffix) for suffix in UNFINISHED]
    return next((f"{item.name!r}, which isn't complete yet" for item in beside if item.is_file()), None)


def _on_drive(path: Path) -> bool:
    return any(place.is_relative_to(places.mount_point()) for place in (path, path.absolute()))


def _quoted(path: Path) -> str:
    """Word a path as it can be pasted into a cell; backslashes would need doubling."""
    text = path.as_posix()
    return repr(text) if '"' in text else f'"{text}"'
