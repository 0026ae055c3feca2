"""Copy one file: fill its part, going on where it was cut off, check it, and give it its name."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from cnmf_engine.base.errors import MissingFileError
from workshop_utils.movies import copy_messages as messages
from workshop_utils.movies import copy_parts as parts

__all__ = ["CopiedFile", "copy", "keep_time", "sha256"]

_CHUNK = 4 * 2**20
# A file system that can't be told to write to the disk says so; that's no reason not to copy to it.
_NO_SYNC = {getattr(errno, name, None) for name in ("EINVAL", "ENOSYS", "EOPNOTSUPP", "ENOTSUP")}


@dataclass(frozen=True)
class CopiedFile:
    """
    One file to copy, as it was when the copy was planned.

    Attributes
    ----------
    source, target : pathlib.Path
        From where to where.
    status : os.stat_result
        Of the source.
    parts : tuple of copy_parts.Part
        What earlier copies left of it.
    """

    source: Path
    target: Path
    status: os.stat_result
    parts: tuple[parts.Part, ...]

    @property
    def version(self) -> str:
        """Size and time of the source, as parts have them in their names."""
        return parts.version(self.status)

    def held(self) -> int:
        """
        Say how much is there already.

        Returns
        -------
        int
            Bytes in the part that the copy would go on with.
        """
        usable = [part.size for part in self.parts if part.version == self.version and parts.abandoned(part)]
        return min(max(usable, default=0), self.status.st_size)


def copy(file: CopiedFile, checksum: bool, step: Callable[[int], Any], expected: int) -> int:
    """
    Copy a file.

    Parameters
    ----------
    file : CopiedFile
        Which, and where to.
    checksum : bool
        Read the copy again and compare its SHA-256.
    step : callable
        Gets the number of bytes done since the last call; fewer than none when some have to be done again.
    expected : int
        Bytes that were counted as done before the copy began.

    Returns
    -------
    int
        Bytes that were there already and stayed.

    Raises
    ------
    SourceError, MissingFileError
        The source can't be read, or its copy isn't the same; what is right of it is kept.
    InputError
        The copy can't be written.
    """
    with messages.writing(file.target):
        file.target.parent.mkdir(parents=True, exist_ok=True)
        try:
            resumed = _copy_once(file, checksum, step, expected)
        except MissingFileError:
            raise
        except FileNotFoundError:
            # Another process took the part for an abandoned one: once more, in a part of its own.
            resumed = _copy_once(file, checksum, step, file.status.st_size)
        parts.remove(file.parts)
    return resumed


def _copy_once(file: CopiedFile, checksum: bool, step: Callable[[int], Any], expected: int) -> int:
    with parts.hold(file.target, file.version, file.parts) as part:
        resumed = _fill_checked(file, part, checksum, step, expected)
        _publish(file, part)
    return resumed


def _fill_checked(
    file: CopiedFile, part: Path, checksum: bool, step: Callable[[int], Any], expected: int
) -> int:
    if not checksum:
        return _fill(file, part, step, expected)
    for _ in range(2):
        digest = hashlib.sha256()
        resumed = _fill(file, part, step, expected, digest.update)
        if sha256(part) == digest.hexdigest():
            return resumed
        os.truncate(part, 0)
        expected = file.status.st_size
    part.unlink()
    raise messages.differs(file.source)


def _fill(
    file: CopiedFile,
    part: Path,
    step: Callable[[int], Any],
    expected: int,
    tell: Callable[[bytes], Any] | None = None,
) -> int:
    """Complete a part; give where it went on."""
    with messages.reading(file.source):
        source = file.source.open("rb")
    with source, part.open("r+b") as stream:
        with messages.reading(file.source):
            start = parts.resume_point(stream, source, file.status.st_size)
            source.seek(0)
            if tell is None:
                source.seek(start)
            else:
                _read_to(source, start, tell)
        step(start - expected)
        stream.truncate(start)
        stream.seek(start)
        done = _pour(file, source, stream, step, tell)
    with messages.reading(file.source):
        now = parts.version(file.source.stat())
    if now != file.version:
        part.unlink()
        raise messages.changed(file.source)
    if done < file.status.st_size:
        raise messages.cut_short(file.source, done)
    return start


def _pour(
    file: CopiedFile,
    source: BinaryIO,
    stream: BinaryIO,
    step: Callable[[int], Any],
    tell: Callable[[bytes], Any] | None,
) -> int:
    view = memoryview(bytearray(_CHUNK))
    done = synced = stream.tell()
    while done < file.status.st_size:
        with messages.reading(file.source, done):
            count = source.readinto(view[: min(len(view), file.status.st_size - done)])
        if not count:
            break
        if tell is not None:
            tell(view[:count])
        stream.write(view[:count])
        done += count
        step(count)
        if done - synced >= parts.SYNC:
            _sync(stream)
            synced = done
    _sync(stream)
    return done


def _publish(file: CopiedFile, part: Path) -> None:
    # A copy from a read-only place has to be writable all the same.
    with contextlib.suppress(OSError):
        os.chmod(part, file.status.st_mode & 0o777 | 0o600)
    keep_time(part, file.status)
    os.replace(part, file.target)


def keep_time(path: Path, status: os.stat_result) -> None:
    """
    Give a copy the time of its source.

    Parameters
    ----------
    path : pathlib.Path
        The copy.
    status : os.stat_result
        Of the source.
    """
    # Where it isn't allowed the file is copied again next time, and that's all.
    with contextlib.suppress(PermissionError, NotImplementedError):
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def _sync(stream: BinaryIO) -> None:
    stream.flush()
    try:
        os.fsync(stream.fileno())
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise


def _read_to(stream: BinaryIO, end: int, tell: Callable[[bytes], Any]) -> None:
    while left := end - stream.tell():
        block = stream.read(min(_CHUNK, left))
        if not block:
            return
        tell(block)


def sha256(path: Path, step: Callable[[int], Any] = lambda count: None) -> str:
    """
    Calculate a checksum.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    step : callable
        Gets the number of bytes read since the last call.

    Returns
    -------
    str
        SHA-256, hexadecimal.
    """
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_CHUNK):
            digest.update(block)
            step(len(block))
    return digest.hexdigest()
