"""What is said when a movie can't be found or opened: what is there instead, and what to write."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cnmf_engine.base.errors import InputError, MissingFileError, explain, nearest
from workshop_utils import places
from workshop_utils.files import UNFINISHED, first_missing, human_bytes, listing
from workshop_utils.movies import copy_parts

__all__ = ["check_file", "not_found", "no_movie", "reaching", "several"]

_AGAIN = (
    "run the cell that copies or downloads it again (in Colab the first one): it goes on where it stopped"
)
_MOST = 10


@contextmanager
def reaching(path: Path) -> Iterator[None]:
    """
    Word what the system says when a path can't be looked at.

    Parameters
    ----------
    path : pathlib.Path
        A file or folder.

    Raises
    ------
    InputError
        Rights are missing, or the disk or the connection fails.
    """
    try:
        yield
    except MissingFileError:
        raise
    except PermissionError as error:
        fix = "ask its owner for the right to read it, or copy it to a folder of your own"
        raise InputError(
            explain(f"to read {path}", f"that it isn't allowed ({error.strerror})", fix)
        ) from error
    except OSError as error:
        fix = "check the path and the disk"
        if _on_drive(path):
            fix = "the connection to Drive may be lost: restart the runtime and run the first cell again"
        raise InputError(
            explain(f"to read {path}", f"{error.strerror or error}, error {error.errno}", fix)
        ) from error


def check_file(path: Path) -> Path:
    """
    Refuse files that can't be a movie, whatever their format.

    Parameters
    ----------
    path : pathlib.Path
        A file or folder that exists.

    Returns
    -------
    pathlib.Path
        The same.

    Raises
    ------
    InputError
        It is empty, incomplete, or can't be read.
    """
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


def several(expected: str, movies: list[Path]) -> InputError:
    """
    Say which movies are in a folder that should hold one.

    Parameters
    ----------
    expected : str
        First part of the message.
    movies : list of pathlib.Path
        At least one.

    Returns
    -------
    InputError
        To be raised; its last part is the line to write.
    """
    listed = ", ".join(f"'{movie.name}' ({_size(movie)})" for movie in movies[:_MOST])
    more = f" and {len(movies) - _MOST} more" if len(movies) > _MOST else ""
    whole = [movie for movie in movies if movie.is_dir() or movie.stat().st_size]
    fix = f"name one in the parameters, for example movie = {_quoted((whole or movies)[0])}"
    return InputError(explain(expected, f"{len(movies)}: {listed}{more}", fix))


def no_movie(expected: str, folder: Path, movies_in: Callable[[Path], list[Path]]) -> MissingFileError:
    """
    Say what is in a folder without movies.

    Parameters
    ----------
    expected : str
        First part of the message.
    folder : pathlib.Path
        The folder.
    movies_in : callable
        Lists the movies in a folder.

    Returns
    -------
    MissingFileError
        To be raised.
    """
    found = f"none, only {listing(folder)}"
    unfinished = [part for parts in copy_parts.find(folder).values() for part in parts]
    if unfinished:
        size = human_bytes(sum(part.size for part in unfinished))
        return MissingFileError(explain(expected, f"{found}, and {size} of a copy that was cut off", _AGAIN))
    inside = (item for item in sorted(folder.iterdir()) if item.is_dir() and not item.name.startswith("."))
    holder = next((item for item in inside if os.access(item, os.R_OK | os.X_OK) and movies_in(item)), None)
    fix = "name the folder or the file of the movie"
    return MissingFileError(explain(expected, found, f"{fix}, here {_quoted(holder)}" if holder else fix))


def not_found(text: str, path: Path, known: Iterable[str], is_movie: Callable[[Path], bool]) -> str:
    """
    Say what is there instead of a movie.

    Parameters
    ----------
    text : str
        What was asked for.
    path : pathlib.Path
        The same as a path.
    known : iterable of str
        Names from the registry.
    is_movie : callable
        Says whether a path looks like a movie.

    Returns
    -------
    str
        The message.
    """
    known = list(known)
    names = ", ".join(known) or "none"
    expected = f"a movie: 'demo', 'demo_hard', a known name ({names}), or the path of a file or folder"
    if _on_drive(path) and not places.mounted():
        return explain(f"a movie on Google Drive at {path}", *_unmounted())
    if re.match(r"[A-Za-z]:[\\/]", text) and os.name != "nt":
        fix = "bring the movie to this machine (in Colab: into Drive), and give its path here"
        return explain(expected, f"{text!r}, a path on a Windows computer", fix)
    if not path.parent.is_dir():
        return explain(expected, *_broken_path(path))
    unfinished = _unfinished(path)
    if unfinished:
        return explain(f"a complete movie at {path.absolute()}", unfinished, _AGAIN)
    there = path.parent
    items = [item for item in there.iterdir() if not item.name.startswith(".")]
    # Nearest by file name, offered as the path that would have worked.
    choices = {name: name for name in ("demo", "demo_hard", *known)}
    choices |= {item.name: str(there / item.name) for item in items if is_movie(item) or item.is_dir()}
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


def _broken_path(path: Path) -> tuple[str, str]:
    gone = first_missing(path.parent) or path.parent  # a file stands where a folder should
    above = gone if gone.exists() else gone.parent
    if above.is_file():
        return f"{above}, which is a file and no folder", f"name it as it is: movie = {_quoted(above)}"
    names = [item.name for item in above.iterdir() if not item.name.startswith(".")]
    found = f"no {gone.name!r} in {above}; there is {listing(above)}"
    hint = nearest(gone.name, names)
    if hint is None:
        return found, f"check the path from {gone.name!r} on, capital letters too"
    right = above / hint / path.absolute().relative_to(gone)
    return found, f"did you mean '{right if right.exists() else above / hint}'?"


def _unfinished(path: Path) -> str | None:
    parts = copy_parts.find(path.parent).get(copy_parts.of_file(path.name), [])
    if parts:
        part = max(parts, key=lambda part: part.size)
        whole = int(part.version.split("-")[0], 16)
        return f"{human_bytes(part.size)} of {human_bytes(whole)}: copying it was cut off"
    beside = [path.parent / (path.name + suffix) for suffix in UNFINISHED]
    return next((f"{item.name!r}, which isn't complete yet" for item in beside if item.is_file()), None)


def _on_drive(path: Path) -> bool:
    return any(place.is_relative_to(places.mount_point()) for place in (path, path.absolute()))


def _size(path: Path) -> str:
    return "folder" if path.is_dir() else human_bytes(path.stat().st_size)


def _quoted(path: Path) -> str:
    """Word a path as it can be pasted into a cell; backslashes would need doubling."""
    text = path.as_posix()
    return repr(text) if '"' in text else f'"{text}"'
