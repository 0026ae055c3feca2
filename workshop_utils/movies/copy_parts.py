"""Files whose copying was cut off: how they are named, found, taken over by the next copy, and removed."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from cnmf_engine.base.files import OWNER, is_gone, owner

__all__ = ["SYNC", "Part", "abandoned", "find", "hold", "of_file", "remove", "resume_point", "version"]

#: So many bytes are sent to the disk at once: a power cut loses no more than this.
SYNC = 64 * 2**20
# The end of a part may never have reached the disk; so much of it is copied again.
_TAIL = 2**20
# So much before that is compared with the source.
_COMPARED = 2**20
# A process on another machine that hasn't written for so long has ended, or lost its connection.
_IDLE = 600.0
_NAME = re.compile(rf"\..*\.([0-9a-f]{{8}})\.([0-9a-f]+)-(-?[0-9a-f]+)\.({OWNER})\.part", re.DOTALL)
_STEM = 20

# The parts that this process is writing now, in any of its threads.
_mine: set[str] = set()
_lock = threading.Lock()


class Part(NamedTuple):
    """
    A part of a file, under its hidden name.

    Attributes
    ----------
    path : pathlib.Path
        ``.<start of the name>.<which file>.<version>.<owner>.part``.
    key : str
        Which file it is of, see `of_file`.
    version : str
        Which version of it, see `version`.
    owner : str
        Which process made it.
    size : int
        Bytes that are there.
    modified : float
        When it was last written, s since the epoch.
    """

    path: Path
    key: str
    version: str
    owner: str
    size: int
    modified: float


def of_file(name: str) -> str:
    """
    Shorten a file name to what parts carry of it; whole names could get too long.

    Parameters
    ----------
    name : str
        Without its folder.

    Returns
    -------
    str
        8 hexadecimal digits.
    """
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:8]


def version(status: os.stat_result) -> str:
    """
    Tell versions of a file apart.

    Parameters
    ----------
    status : os.stat_result
        Of the file.

    Returns
    -------
    str
        Its size and time.
    """
    return f"{status.st_size:x}-{status.st_mtime_ns:x}"


def find(folder: str | os.PathLike) -> dict[str, list[Part]]:
    """
    Find all parts in a folder.

    Parameters
    ----------
    folder : path-like
        Where the copies go; may be missing.

    Returns
    -------
    dict of str to list of Part
        By `of_file` of the files they belong to.
    """
    found: dict[str, list[Part]] = {}
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            match = _NAME.fullmatch(entry.name)
            if match:
                with contextlib.suppress(FileNotFoundError):
                    status = entry.stat()
                    belongs = Part(
                        Path(entry.path),
                        match[1],
                        f"{match[2]}-{match[3]}",
                        match[4],
                        status.st_size,
                        status.st_mtime,
                    )
                    found.setdefault(match[1], []).append(belongs)
    return found


def abandoned(part: Part) -> bool:
    """
    Say whether nobody is writing a part any more.

    Parameters
    ----------
    part : Part
        From `find`.

    Returns
    -------
    bool
        True if the process that made it has ended, or this process has stopped writing it.
    """
    if part.owner.split("-")[:2] == owner().split("-")[:2] and not is_gone(part.owner, part.modified):
        with _lock:
            return str(part.path) not in _mine
    return is_gone(part.owner, part.modified, _IDLE)


@contextmanager
def hold(target: Path, wanted: str, parts: Iterable[Part]) -> Iterator[Path]:
    """
    Give a part that is this caller's alone, with what an abandoned one holds already.

    An abandoned part is taken over by renaming it. That is one step of the file system: of several processes
    that try, one succeeds. Should a part be taken from a process that lives after all, both write the same
    bytes to the same places, and the one that has lost its name notices when it wants to rename it.

    Parameters
    ----------
    target : pathlib.Path
        The file that is being copied to.
    wanted : str
        Its `version`; parts of others aren't continued.
    parts : iterable of Part
        What `find` found of this file.

    Yields
    ------
    pathlib.Path
        A file, empty if there was nothing to go on with. It stays there if the block fails.
    """
    path = target.with_name(
        f".{target.name[:_STEM]}.{of_file(target.name)}.{wanted}.{owner()}.part".replace("\n", " ")
    )
    with _lock:
        _mine.add(str(path))
    try:
        if not _take_over(path, [part for part in parts if part.version == wanted]):
            path.open("xb").close()
        yield path
    finally:
        with _lock:
            _mine.discard(str(path))
        with contextlib.suppress(OSError):
            if not path.stat().st_size:  # nothing to go on with
                path.unlink()


def _take_over(path: Path, parts: list[Part]) -> bool:
    for part in sorted(parts, key=lambda part: -part.size):
        if abandoned(part):
            # Somebody else was faster, or (Windows) has it open: then try the next one.
            with contextlib.suppress(OSError):
                os.rename(part.path, path)
                return True
    return False


def remove(parts: Iterable[Part]) -> None:
    """
    Remove parts that nobody is writing.

    Parameters
    ----------
    parts : iterable of Part
        From `find`.
    """
    for part in parts:
        if abandoned(part):
            with contextlib.suppress(OSError):
                part.path.unlink(missing_ok=True)


def resume_point(part: BinaryIO, source: BinaryIO, size: int) -> int:
    """
    Say from where copying goes on.

    Parameters
    ----------
    part, source : file
        Both open for reading.
    size : int
        Of the source, bytes.

    Returns
    -------
    int
        Everything before this byte is kept. The end of the part is copied again, since a machine that went
        down may have left zeros there; what comes before it is compared with the source, and if it differs,
        what was written since the disk last confirmed is copied again too.
    """
    keep = min(part.seek(0, os.SEEK_END), size) - _TAIL
    while keep > 0:
        start = max(0, keep - _COMPARED)
        if _block(part, start, keep - start) == _block(source, start, keep - start):
            return keep
        keep = (keep - 1) // SYNC * SYNC
    return 0


def _block(file: BinaryIO, start: int, length: int) -> bytes:
    file.seek(start)
    return file.read(length)
