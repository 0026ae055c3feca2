"""
Files under a temporary name until they are complete, and what is left of those that never were.

A temporary name says which process writes it, so that what a killed process left can be told from what
another one is writing at this moment.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import itertools
import os
import platform
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cnmf_engine.base.errors import DiskFullError, FileInUseError, explain

__all__ = ["OWNER", "check_room", "is_gone", "owner", "replacing"]

#: What `owner` looks like, for names that hold it.
OWNER = r"[0-9a-f]{6}-\d+-\d+-\d+"
# The clock may be set while a process runs, and the time at which it started is told to the second.
_SAME_START = 2.0
_DAY = 24 * 3600.0
#: The disk, the user's share of it, and the largest file that its format can hold.
_FULL = {getattr(errno, name) for name in ("ENOSPC", "EDQUOT", "EFBIG") if hasattr(errno, name)}
#: Libraries that lose the reason of a failure leave less than this free, bytes.
_NEXT_TO_NOTHING = 2**16
_LONGEST_STEM = 80
# On Windows virus scanners and Drive's own program open new files for a moment; seconds.
_WAITS = (0.1, 0.3, 0.6) if os.name == "nt" else ()
_numbers = itertools.count()


def owner() -> str:
    """
    Say who writes a file, for its temporary name.

    Returns
    -------
    str
        Machine, process number, the time at which the process started (numbers are used again), and a number
        that no other file of this process has.
    """
    return f"{_machine()}-{os.getpid()}-{_own_start(os.getpid())}-{next(_numbers)}"


def is_gone(text: str, modified: float, idle: float = _DAY) -> bool:
    """
    Say whether the process that wrote a file has ended.

    Parameters
    ----------
    text : str
        From `owner`.
    modified : float
        When the file was last changed, s since the epoch.
    idle : float
        Processes on another machine can't be seen from here: they count as ended when the file hasn't
        changed for so long, s.

    Returns
    -------
    bool
        False for files of this process.
    """
    import psutil

    machine, pid, start, _ = text.split("-")
    if machine != _machine():
        return time.time() - modified > idle
    try:
        process = psutil.Process(int(pid))
        if process.status() == psutil.STATUS_ZOMBIE:
            return True
        return abs(process.create_time() - int(start)) > _SAME_START
    except (psutil.NoSuchProcess, OverflowError):
        return True
    except psutil.AccessDenied:
        return False


@contextmanager
def replacing(target: str | os.PathLike) -> Iterator[Path]:
    """
    Write a file under a temporary name beside it and rename it when the block ends well.

    A map of an older file of that name stays valid on POSIX, since renaming leaves its content alone. Windows
    refuses to replace a file that is mapped or open in another program. What a killed process left of the
    same file is removed.

    Parameters
    ----------
    target : path
        The file to write.

    Yields
    ------
    Path
        Where to write, with the same ending as `target`; removed if the block fails.

    Raises
    ------
    FileInUseError
        The system refuses to replace the file.
    DiskFullError
        The disk takes no more.
    """
    target = Path(target)
    stem = target.stem[:_LONGEST_STEM]
    _remove_leftovers(target.parent, stem)
    partial = target.with_name(f".{stem}.{owner()}.part{target.suffix}")
    try:
        yield partial
        _rename(partial, target)
    except (OSError, RuntimeError, ValueError) as error:
        if isinstance(error, DiskFullError) or not _is_full(error, target.parent):
            raise
        raise DiskFullError(_no_room(target, partial)) from error
    finally:
        # Windows doesn't remove what a writer that failed still holds; the next write of this file does.
        with contextlib.suppress(PermissionError):
            partial.unlink(missing_ok=True)


def check_room(path: str | os.PathLike, size: int) -> None:
    """
    Refuse to begin a file that its disk can't hold.

    Parameters
    ----------
    path : path
        The file, or its temporary name from `replacing`.
    size : int
        Bytes that it will have.

    Raises
    ------
    DiskFullError
        Less is free.
    """
    path = Path(path)
    try:
        free = shutil.disk_usage(path.parent).free
    except OSError:
        # Some mounted folders don't tell; writing does.
        return
    if free < size:
        raise DiskFullError(
            explain(
                f"room for {_megabytes(size)} in {path.parent}, to write {_final_name(path)!r}",
                f"{_megabytes(free)} free on that disk, {_megabytes(size - free)} too little",
                f"free at least {_megabytes(size - free)} there, or name a folder on another disk",
            )
        )


def _is_full(error: Exception, folder: Path) -> bool:
    """Say whether a disk without room is behind an error; some libraries tell the reason in words only."""
    told = re.search(r"errno = (\d+)", str(error))
    if getattr(error, "errno", None) in _FULL or (told and int(told[1]) in _FULL):
        return True
    if re.search(r"\d+ requested and \d+ written", str(error)):
        return True  # NumPy's words, which leave the reason out
    with contextlib.suppress(OSError):
        return shutil.disk_usage(folder).free < _NEXT_TO_NOTHING
    return False


def _no_room(target: Path, partial: Path) -> str:
    written = partial.stat().st_size if partial.exists() else 0
    free = "what is free isn't known"
    with contextlib.suppress(OSError):
        free = f"{_megabytes(shutil.disk_usage(target.parent).free)} are free"
    return explain(
        f"room for all of {target}",
        f"that its disk takes no more after {_megabytes(written)}; {free}",
        "free more than that there, or name a folder on another disk",
    )


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size < 1e9 else f"{size / 1e9:.1f} GB"


def _final_name(path: Path) -> str:
    return re.sub(rf"^\.(.*)\.{OWNER}\.part", r"\1", path.name)


def _rename(partial: Path, target: Path) -> None:
    for wait in (*_WAITS, None):
        try:
            return os.replace(partial, target)
        except PermissionError as error:
            if wait is None:
                raise FileInUseError(_in_use(target, error)) from error
            time.sleep(wait)


def _in_use(target: Path, error: PermissionError) -> str:
    return explain(
        f"to replace {target}",
        f"that the system refuses it ({error.strerror or error}): the file is open elsewhere, or protected",
        "close it in other programs and notebooks (Excel and viewers hold what they show) and run this again",
    )


def _remove_leftovers(folder: Path, stem: str) -> None:
    pattern = re.compile(rf"\.{re.escape(stem)}\.({OWNER})\.part(\.\w+)?")
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            match = pattern.fullmatch(entry.name)
            if match and is_gone(match[1], entry.stat().st_mtime):
                os.unlink(entry.path)


@functools.cache
def _machine() -> str:
    return hashlib.sha256(platform.node().encode()).hexdigest()[:6]


@functools.cache
def _own_start(pid: int) -> int:
    import psutil

    return int(psutil.Process(pid).create_time())
