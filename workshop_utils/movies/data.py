"""Find movies: the demo, known ones that are downloaded once, and the attendee's own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from cnmf_engine.base.errors import MissingFileError, explain
from workshop_utils.lessons import resource
from workshop_utils.movies import data_messages
from workshop_utils.movies.copying import CopyReport, copy_folder
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


def folder() -> Path:
    """
    Find the folder of the demo movie and the registry.

    Returns
    -------
    pathlib.Path
        The checkout's ``data`` folder, or the one inside the installed package.
    """
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
        return _demo(DEMOS.get(text, text))
    path = Path(text).expanduser()
    with data_messages.reaching(path):
        if text and path.exists():
            found = path.resolve()
            return data_messages.check_file(_in_folder(found) if found.is_dir() else found)
    known = registry()
    if text in known:
        return fetch(known[text])
    with data_messages.reaching(path):
        raise MissingFileError(data_messages.not_found(text, path, known, _is_movie))


def movies_in(path: str | os.PathLike) -> list[Path]:
    """
    List the movies in a folder, judged by the ends of their names.

    Parameters
    ----------
    path : path-like
        The folder; folders inside it aren't searched.

    Returns
    -------
    list of pathlib.Path
        In alphabetical order. Memory maps (``.mmap``) are working files and don't count.
    """
    return sorted(item for item in Path(path).iterdir() if _is_movie(item) and not item.name.startswith("."))


def truth_for(path: str | os.PathLike) -> Truth | None:
    """
    Load the answer key of a simulated movie.

    Parameters
    ----------
    path : path-like
        The movie.

    Returns
    -------
    Truth or None
        From ``<name>_truth.npz`` beside the movie; None for a movie without one (every real recording).
    """
    path = Path(path)
    truth = path.with_name(f"{path.stem}_truth.npz")
    if not truth.is_file():
        return None
    from workshop_utils.movies.truth import load_truth

    return load_truth(truth)


def frame_rate(path: str | os.PathLike) -> float | None:
    """
    Look up a movie's frame rate.

    Parameters
    ----------
    path : path-like
        The movie.

    Returns
    -------
    float or None
        Frames a second as the registry has it for a file of this name, Hz; None if it isn't known.
    """
    entry = registry().get(Path(path).name)
    return float(entry.frame_rate) if entry is not None and entry.frame_rate else None


def _demo(name: str) -> Path:
    path = folder() / name
    if path.is_file():
        return path
    raise MissingFileError(
        explain(
            f"the demo movie at {path}",
            "no such file",
            "install the package again, or name a movie of your own",
        )
    )


def _is_movie(path: Path) -> bool:
    suffix = path.suffix.lower()
    return suffix in _FOLDER_SUFFIXES if path.is_dir() else suffix in _SUFFIXES


def _in_folder(path: Path) -> Path:
    if _is_movie(path):
        return path
    movies = movies_in(path)
    if len(movies) == 1:
        return movies[0]
    expected = f"a folder with one movie ({', '.join(_SUFFIXES + _FOLDER_SUFFIXES)}): {path}"
    raise (
        data_messages.several(expected, movies)
        if movies
        else data_messages.no_movie(expected, path, movies_in)
    )
