"""Finding movie files, and messages for those that aren't there."""

from __future__ import annotations

import os
from pathlib import Path

from cnmf_engine.base.errors import InputError, MissingFileError, explain, nearest
from cnmf_engine.base.files import replacing

__all__ = ["DAMAGED", "MOVIE_SUFFIXES", "find_movie", "replacing"]

MOVIE_SUFFIXES = (".tif", ".tiff", ".btf", ".avi", ".mkv", ".npy", ".npz", ".hdf5", ".h5", ".mmap")
DAMAGED = "copy or download it again; if it opens in ImageJ, save it from there as a TIFF"
_MOST_NAMES = 8


def find_movie(name: str | os.PathLike, folders: tuple[str, ...] = ()) -> Path:
    """
    Check that a movie file is there and of a known kind.

    Parameters
    ----------
    name : str or path
        The file.
    folders : tuple of str
        Where else a name without a folder may be.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    MissingFileError
        If it isn't there; the message lists the movies beside it and the nearest name.
    InputError
        If it is a folder or has a suffix that can't be read.
    """
    path = Path(name).expanduser()
    candidates = [path]
    if path.name == str(path):
        candidates += [Path(folder) / path for folder in folders]
    found = next((candidate for candidate in candidates if candidate.is_file()), None)
    if found is None:
        raise _missing(path)
    if found.suffix.lower() not in MOVIE_SUFFIXES:
        raise InputError(
            explain(
                f"a movie file ({', '.join(MOVIE_SUFFIXES)})",
                f"{found} with the suffix {found.suffix!r}",
                "export the recording as a multi-page TIFF, or load it yourself and use cm.movie(array)",
            )
        )
    return found


def _missing(path: Path) -> FileNotFoundError | InputError:
    if path.is_dir():
        return InputError(
            explain("a movie file", f"the folder {path}", f"name one of its files{_beside(path, path.name)}")
        )
    folder = path.parent
    if not folder.is_dir():
        return MissingFileError(
            explain(
                f"a movie file at {path}",
                f"no folder {folder.absolute()}",
                "check the path; in Colab, mount Drive and copy the data first",
            )
        )
    return MissingFileError(
        explain(
            f"a movie file at {path}",
            f"nothing of that name in {folder.absolute()}",
            f"correct the path{_beside(folder, path.name)}",
        )
    )


def _beside(folder: Path, name: str) -> str:
    names = sorted(entry.name for entry in folder.iterdir() if entry.suffix.lower() in MOVIE_SUFFIXES)
    if not names:
        return "; there are no movie files in that folder"
    listed = ", ".join(names[:_MOST_NAMES]) + (
        f" and {len(names) - _MOST_NAMES} more" * (len(names) > _MOST_NAMES)
    )
    closest = nearest(name, names)
    return f"; movie files there: {listed}" + (f"; the nearest name is {closest!r}" if closest else "")
