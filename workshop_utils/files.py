"""Write files so that a stopped run leaves nothing half-written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["human_bytes", "replacing", "write_text"]


@contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """
    Give a temporary name beside a file and rename it to the file when the block ends well.

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
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


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
