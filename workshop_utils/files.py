"""Write files so that a stopped run leaves nothing half-written."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cnmf_engine.base import files as partial
from cnmf_engine.base.errors import nearest

__all__ = [
    "UNFINISHED",
    "existing",
    "first_missing",
    "human_bytes",
    "listing",
    "replacing",
    "where_it_ends",
    "write_text",
]

#: What browsers and other programs append to the name of a file that isn't complete.
UNFINISHED = (".part", ".partial", ".crdownload", ".download")


@contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """
    Give a temporary name beside a file and rename it to the file when the block ends well.

    What a killed process left of the same file is removed.

    Parameters
    ----------
    path : path-like
        The file to write. Its folder is made when missing.

    Yields
    ------
    pathlib.Path
        The temporary name, with the same ending as `path` (writers choose their format by it).
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with partial.replacing(path) as temporary:
        yield temporary


def write_text(path: str | os.PathLike, text: str) -> Path:
    """
    Write a text file in UTF-8, all of it or none of it.

    Parameters
    ----------
    path : path-like
        The file to write.
    text : str
        Its content.

    Returns
    -------
    pathlib.Path
        The file.
    """
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return Path(path)


def human_bytes(count: float) -> str:
    """
    Word a number of bytes for people.

    Parameters
    ----------
    count : float
        Bytes.

    Returns
    -------
    str
        For example ``'12.7 GB'`` (decimal units, as disks and Colab count).
    """
    for unit in ("B", "kB", "MB", "GB"):
        if abs(count) < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def existing(path: str | os.PathLike) -> Path:
    """
    Find the place where a file or folder is, or would be made.

    Parameters
    ----------
    path : path-like
        A file or folder.

    Returns
    -------
    pathlib.Path
        The path itself if it exists, else the nearest folder above it that does.
    """
    path = Path(path).absolute()
    return next(place for place in (path, *path.parents) if place.exists())


def first_missing(path: str | os.PathLike) -> Path | None:
    """
    Find where a path stops being true.

    Parameters
    ----------
    path : path-like
        A file or folder.

    Returns
    -------
    pathlib.Path or None
        The first part of the path, from its root, that doesn't exist; None if all of it does.
    """
    path = Path(path).absolute()
    return next((part for part in (*reversed(path.parents), path) if not part.exists()), None)


def listing(folder: str | os.PathLike, most: int = 8) -> str:
    """
    Word what is in a folder, for a message.

    Parameters
    ----------
    folder : path-like
        The folder.
    most : int
        How many names to give.

    Returns
    -------
    str
        Quoted names, folders with a slash behind them; ``'nothing'`` for an empty folder. Hidden files
        aren't mentioned.
    """
    try:
        items = [item for item in Path(folder).iterdir() if not item.name.startswith(".")]
    except OSError as error:
        return f"what can't be listed ({error.strerror})"
    names = sorted(item.name + ("/" if item.is_dir() else "") for item in items)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(f"'{name}'" for name in names[:most]) or "nothing") + more


def where_it_ends(path: Path) -> tuple[Path, str, Path | None]:
    """Find the first part of a path that isn't there; word what is there, and give what it may mean."""
    gone = first_missing(path) or path
    above = gone if gone.is_file() else gone.parent
    if above.is_file():
        return above, f"{above}, which is a file and no folder", None
    names = []
    with contextlib.suppress(OSError):
        names = [item.name for item in above.iterdir() if not item.name.startswith(".")]
    hint = nearest(gone.name, names)
    return gone, f"no {gone.name!r} in {above}; there is {listing(above)}", above / hint if hint else None
