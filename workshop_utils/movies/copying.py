"""
Copy recordings to another disk: skip what is there, go on where it was cut off, leave no half file.

A file is filled under a hidden name beside its own, ``.<its beginning>.<which file>.<version>.<owner>.part``,
and gets its name when it is complete. The version is the source's size and time; the owner is the process
that writes it, so that the next copy can tell what a killed one has left from what another is writing.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from cnmf_engine.base.errors import InputError, MissingFileError, explain
from cnmf_engine.base.files import OWNER, is_gone, owner
from workshop_utils.files import UNFINISHED, existing, human_bytes, where_it_ends

__all__ = ["CopyReport", "copy_file", "copy_folder", "key_of", "not_allowed", "parts_in", "sha256", "word"]

_CHUNK = 4 * 2**20
# So many bytes are sent to the disk at once: a power cut loses no more than this.
_SYNC = 64 * 2**20
# The end of a part may never have reached the disk: so much is copied again, and as much before it compared.
_TAIL = 2**20
# A process on another machine that hasn't written for so many seconds has ended, or lost its connection.
_IDLE = 600.0
# Some file systems (Drive, FAT) keep times to two seconds.
_TIME_TOLERANCE = 2.0
_PART = re.compile(rf"\..*\.([0-9a-f]{{8}})\.([0-9a-f]+)-(-?[0-9a-f]+)\.({OWNER})\.part", re.DOTALL)
# Drive shows its own documents as files, but refuses to let them be read.
_GOOGLE = frozenset(
    f".g{kind}"
    for kind in "doc sheet slides form draw table script site jam map maillayout link note vid".split()
)
# A movie in a Zarr folder can't be read without these.
_NEEDED = frozenset((".zarray", ".zattrs", ".zgroup", ".zmetadata"))
_FULL = {getattr(errno, name, None) for name in ("ENOSPC", "EDQUOT")}
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS}
# A file system that can't be told to write to the disk says so; that's no reason not to copy to it.
_NO_SYNC = {getattr(errno, name, None) for name in ("EINVAL", "ENOSYS", "EOPNOTSUPP", "ENOTSUP")}
_AGAIN = "run the same again: it goes on from there"

# The parts that this process is writing now, in any of its threads.
_mine: set[str] = set()


class SourceError(InputError):
    """One file can't be read; the others may still be copied."""


@dataclass(frozen=True)
class CopyReport:
    """What a copy did: numbers of files and their bytes; as text, a line or two for people."""

    folder: Path
    copied: int
    skipped: int  # they were there already
    copied_bytes: int
    skipped_bytes: int
    seconds: float
    resumed_bytes: int = 0  # so many of `copied_bytes` an earlier copy, cut off, had left
    left_out: tuple[str, ...] = ()  # can't be read: Google's own documents, shortcuts that lead nowhere

    def __str__(self) -> str:
        kept = f"{self.skipped} file(s), {human_bytes(self.skipped_bytes)}, already there"
        text = f"Nothing to copy to {self.folder}: {kept}"
        if self.copied:
            speed = human_bytes((self.copied_bytes - self.resumed_bytes) / max(self.seconds, 1e-9))
            text = (
                f"Copied {self.copied} file(s), {human_bytes(self.copied_bytes)}, in {self.seconds:.1f} s "
                f"({speed}/s) to {self.folder}"
            )
            if self.resumed_bytes:
                text += f"; {human_bytes(self.resumed_bytes)} of it were left by a copy that was cut off"
            text += f"; {kept}" if self.skipped else ""
        if self.left_out:
            names = ", ".join(map(repr, self.left_out[:3])) + (", ..." if len(self.left_out) > 3 else "")
            text += (
                f"\nLeft out {len(self.left_out)} file(s) that a mounted Drive doesn't let read ({names}). "
                "To have a Google document here, download it in Drive (File > Download)"
            )
        return text


def copy_folder(
    src: str | os.PathLike, dst: str | os.PathLike, *, checksum: bool = False, progress: bool = True
) -> CopyReport:
    """
    Copy a folder with everything in it; run again, it copies only what is new or changed, or was cut off.

    Nothing is ever deleted from the copy. Hidden files, such as notebook checkpoints, aren't copied;
    shortcuts on Drive are followed. A file that can't be read doesn't keep the others from being copied.

    Parameters
    ----------
    src : path-like
        The folder to copy.
    dst : path-like
        Where to; may exist already.
    checksum : bool
        Files are the same when their SHA-256 is, instead of their size and time, and what was copied is read
        again and compared. Reads everything, so it takes as long as copying all.
    progress : bool
        Show a progress bar and, at the end, a line that says how much and how fast.

    Returns
    -------
    CopyReport
        Numbers of files, bytes and seconds.

    Raises
    ------
    MissingFileError
        `src` isn't there, or vanishes.
    InputError
        `src` isn't a folder, `dst` is a file or lies inside `src`, the disk is too small or can't be written
        to, or a file can't be read, changes while it is copied, or can't be copied without a difference.
    """
    src, dst = Path(src).expanduser(), Path(dst).expanduser()
    if not src.exists():
        raise _missing(src, "a folder")
    if not src.is_dir():
        raise InputError(explain("a folder to copy", f"a file, {src}", f"name its folder, {src.parent}"))
    if dst.exists() and not dst.is_dir():
        fix = "name another folder, or move the file away"
        raise InputError(explain("a folder to copy to", f"a file, {dst}", fix))
    if dst.resolve().is_relative_to(src.resolve()):
        expected = f"a place outside {src} for the copy"
        raise InputError(explain(expected, f"{dst}, inside it", "name a folder elsewhere"))
    start = time.perf_counter()
    readable, left_out = [], []
    for path in _walk(src, (os.path.realpath(src),)):
        (readable if _can_be_read(path) else left_out).append(path)
    files = [(path, dst / path.relative_to(src)) for path in readable]
    new, skipped, resumed = _transfer(files, dst, checksum, progress)
    seconds = time.perf_counter() - start
    report = CopyReport(
        dst, len(new), len(skipped), sum(new), sum(skipped), seconds, resumed, tuple(p.name for p in left_out)
    )
    if progress:
        print(report)
    return report


def copy_file(
    src: str | os.PathLike, dst: str | os.PathLike, *, checksum: bool = False, progress: bool = True
) -> bool:
    """
    Copy one file as `copy_folder` does, and say whether there was something to copy.

    `dst` is the copy, or an existing folder for it; folders are made when missing.
    """
    src, dst = Path(src).expanduser(), Path(dst).expanduser()
    if not src.exists():
        raise _missing(src, "a file")
    if src.is_dir():
        raise InputError(explain("a file to copy", f"a folder, {src}", "use copy_folder"))
    if not _can_be_read(src):
        fix = "download it in Drive (File > Download) and copy that"
        raise InputError(explain("a file to copy", f"{src}, which can't be read as a file", fix))
    target = dst / src.name if dst.is_dir() else dst
    if target.exists() and target.samefile(src):
        return False
    new, _, _ = _transfer([(src, target)], target.parent, checksum, progress)
    return bool(new)


def sha256(path: Path, bar: Any = None) -> str:
    """Give a file's SHA-256, hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_CHUNK):
            digest.update(block)
            if bar is not None:
                bar.update(len(block))
    return digest.hexdigest()


class Part(NamedTuple):
    """A part of a file under its hidden name; `version` is the whole file's size in bytes and time in ns."""

    path: Path
    version: tuple[int, int]
    owner: str
    size: int
    modified: float

    @property
    def free(self) -> bool:
        """Whether nobody is writing it: its process has ended, or is this one and has stopped."""
        if self.owner.split("-")[:3] == owner().split("-")[:3]:
            return str(self.path) not in _mine
        return is_gone(self.owner, self.modified, _IDLE)


def parts_in(folder: str | os.PathLike) -> dict[str, list[Part]]:
    """Find what copies that were cut off have left in a folder, by `key_of` the files."""
    found: dict[str, list[Part]] = {}
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if match := _PART.fullmatch(entry.name):
                with contextlib.suppress(FileNotFoundError):
                    status, version = entry.stat(), (int(match[2], 16), int(match[3], 16))
                    part = Part(Path(entry.path), version, match[4], status.st_size, status.st_mtime)
                    found.setdefault(match[1], []).append(part)
    return found


def key_of(name: str) -> str:
    """Shorten a file's name to what its parts carry of it; whole names could get too long."""
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:8]


class _File(NamedTuple):
    """A file to copy, as it was when the copy was planned, with what earlier copies have left of it."""

    source: Path
    target: Path
    status: os.stat_result
    parts: list[Part]

    @property
    def size(self) -> int:
        return self.status.st_size

    @property
    def version(self) -> tuple[int, int]:
        return self.status.st_size, self.status.st_mtime_ns

    def usable(self) -> list[Part]:
        """List the parts that the copy can go on with, the largest first."""
        found = [part for part in self.parts if part.version == self.version and part.free]
        return sorted(found, key=lambda part: -part.size)

    def held(self) -> int:
        return min(max((part.size for part in self.usable()), default=0), self.size)


def _walk(folder: str | os.PathLike, above: tuple[str, ...]) -> Iterator[Path]:
    with _reading(Path(folder)), os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        if entry.name.startswith(".") and entry.name not in _NEEDED:
            continue
        if not entry.is_dir():
            if Path(entry.name).suffix.lower() not in UNFINISHED:
                yield Path(entry.path)
        elif (real := os.path.realpath(entry.path)) not in above:  # a shortcut may lead back to where we are
            yield from _walk(entry.path, (*above, real))


def _can_be_read(path: Path) -> bool:
    return path.suffix.lower() not in _GOOGLE and path.is_file()


def _transfer(
    pairs: list[tuple[Path, Path]], dst: Path, checksum: bool, progress: bool
) -> tuple[list[int], list[int], int]:
    """Copy what isn't there; give the sizes of new files and of others, and how much was resumed."""
    left: dict[Path, dict[str, list[Part]]] = {}
    files = []
    for source, target in pairs:
        if target.parent not in left:
            with _writing(target.parent):
                left[target.parent] = parts_in(target.parent)
        with _reading(source):
            parts = left[target.parent].get(key_of(target.name), [])
            files.append(_File(source, target, source.stat(), parts))
    new, skipped = [], []
    with _bar("comparing", sum(file.size for file in files), 0, progress and checksum) as bar:
        for file in files:
            if _same(file, checksum, bar):
                _remove(file.parts)
                skipped.append(file.size)
            else:
                new.append(file)
    _check_room(new, dst)
    with _writing(dst):
        dst.mkdir(parents=True, exist_ok=True)
    resumed, failed = 0, []
    sizes, held = [file.size for file in new], [file.held() for file in new]
    with _bar("copying", sum(sizes), sum(held), progress and bool(new)) as bar:
        for file, counted in zip(new, held):
            try:
                resumed += _copy(file, checksum, bar, counted)
            except (SourceError, MissingFileError) as error:
                failed.append((file.source, error))
    if failed:
        first, names = failed[0][1], [repr(path.name) for path, _ in failed[1:]]
        if not names:
            raise first
        others = ", ".join(names[:3]) + " and others" * (len(names) > 3)
        raise type(first)(f"{first}\nThe same goes for {others}. All other files are copied.") from first
    return sizes, skipped, resumed


def _bar(what: str, total: int, initial: int, show: bool) -> Any:
    from tqdm.auto import tqdm

    options = {"unit": "B", "unit_scale": True, "desc": what, "disable": not show, "leave": False}
    # Bars that are gone before anybody has read them only flicker.
    return tqdm(total=total, initial=initial, delay=1, **options)


def _same(file: _File, checksum: bool, bar: Any) -> bool:
    try:
        there = file.target.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    if not file.target.is_file() or there.st_size != file.size:
        return False
    if not checksum:
        return abs(there.st_mtime - file.status.st_mtime) <= _TIME_TOLERANCE
    with _reading(file.source):
        wanted = sha256(file.source, bar)
    if wanted != sha256(file.target):
        return False
    _keep_time(file.target, file.status)
    return True


def _check_room(files: list[_File], dst: Path) -> None:
    needed = sum(file.size - file.held() for file in files)
    place = existing(dst)
    if needed > shutil.disk_usage(place).free:
        # Parts of other versions are of no use any more, and nobody sees the space they take.
        _remove(part for file in files for part in file.parts if part.version != file.version)
        free = shutil.disk_usage(place).free
        if needed > free:
            found = f"{human_bytes(free)} free there"
            fix = "free some space, name a folder on another disk, or copy fewer files"
            raise InputError(explain(f"room for {human_bytes(needed)} in {dst}", found, fix))


def _remove(parts: Iterable[Part]) -> None:
    for part in parts:
        if part.free:
            with contextlib.suppress(OSError):
                part.path.unlink(missing_ok=True)


def _copy(file: _File, checksum: bool, bar: Any, counted: int) -> int:
    """Copy a file of which the bar has counted some bytes; give how many an earlier copy had left."""
    with _writing(file.target):
        file.target.parent.mkdir(parents=True, exist_ok=True)
        for attempt in (1, 2):
            try:
                with _part_of(file) as part:
                    start, digest = _fill(file, part, bar, counted, checksum)
                    if not checksum or sha256(part) == digest:
                        # A copy from a read-only place has to be writable all the same.
                        with contextlib.suppress(OSError):
                            os.chmod(part, file.status.st_mode & 0o777 | 0o600)
                        _keep_time(part, file.status)
                        os.replace(part, file.target)
                        _remove(file.parts)
                        return start
                    part.unlink()
            except MissingFileError:
                raise
            except FileNotFoundError:  # another process took the part for an abandoned one
                if attempt == 2:
                    raise
            counted = file.size  # once more, in a part of its own
    found = "another SHA-256 in the copy, also after copying it again from the start"
    fix = "run the same again; if it stays so, the disk or the connection is faulty: copy to another disk"
    raise SourceError(explain(f"an identical copy of {file.source}", found, fix))


@contextmanager
def _part_of(file: _File) -> Iterator[Path]:
    """
    Give a part that is this caller's alone, with what a free one holds; it stays there if the block fails.

    A part is taken over by renaming it. That is one step of the file system: of several processes that try,
    one succeeds. Should a part be taken from a process that lives after all, both write the same bytes to the
    same places, and the one that has lost its name notices when it wants to rename it.
    """
    name = file.target.name
    mark = f"{key_of(name)}.{file.version[0]:x}-{file.version[1]:x}.{owner()}"
    path = file.target.with_name(f".{name[:20]}.{mark}.part".replace("\n", " "))
    _mine.add(str(path))
    try:
        for part in file.usable():
            # Somebody else was faster, or (Windows) has it open: then try the next one.
            with contextlib.suppress(OSError):
                os.rename(part.path, path)
                break
        else:
            path.open("xb").close()
        yield path
    finally:
        _mine.discard(str(path))
        with contextlib.suppress(OSError):
            if not path.stat().st_size:  # nothing to go on with
                path.unlink()


def _fill(file: _File, part: Path, bar: Any, counted: int, checksum: bool) -> tuple[int, str]:
    """Complete a part; give where it went on, and the source's SHA-256 if that is asked for."""
    digest = hashlib.sha256()
    with _reading(file.source):
        source = file.source.open("rb")
    with source, part.open("r+b") as stream:
        with _reading(file.source):
            start = _resume_point(stream, source, file.size)
            source.seek(0 if checksum else start)
        bar.update(start - counted)  # less than was thought: then it steps back
        stream.truncate(start)
        stream.seek(start)
        done = _pour(file, source, stream, bar, digest if checksum else None)
    with _reading(file.source):
        now = file.source.stat()
    if (now.st_size, now.st_mtime_ns) != file.version:
        part.unlink()
        expected = f"{file.source} to stay as it is while it is copied"
        fix = "wait until the recording or upload is finished, then run the same again"
        raise SourceError(explain(expected, "that it changed", fix))
    if done < file.size:
        raise _broken(file.source, "its end too early", done)
    return start, digest.hexdigest()


def _resume_point(part: BinaryIO, source: BinaryIO, size: int) -> int:
    """
    Say before which byte everything is kept.

    The end of the part is copied again, since a machine that went down may have left zeros there. What comes
    before it is compared with the source; if it differs, all since the disk last confirmed is copied again.
    """

    def block(file: BinaryIO, start: int, length: int) -> bytes:
        file.seek(start)
        return file.read(length)

    keep = min(part.seek(0, os.SEEK_END), size) - _TAIL
    while keep > 0:
        start = max(0, keep - _TAIL)
        if block(part, start, keep - start) == block(source, start, keep - start):
            return keep
        keep = (keep - 1) // _SYNC * _SYNC
    return 0


def _pour(file: _File, source: BinaryIO, stream: BinaryIO, bar: Any, digest: Any) -> int:
    """Read the source to its end, write what the part lacks; give how many bytes it has."""
    view = memoryview(bytearray(_CHUNK))
    done, synced = source.tell(), stream.tell()
    while done < file.size:
        with _reading(file.source, max(done, stream.tell())):
            count = source.readinto(view[: min(len(view), file.size - done)])
        if not count:
            break
        if digest is not None:
            digest.update(view[:count])
        # With a checksum the source is read from its start, and what is there isn't written again.
        bar.update(stream.write(view[max(stream.tell() - done, 0) : count]))
        done += count
        if done - synced >= _SYNC:
            _sync(stream)
            synced = done
    _sync(stream)
    return done


def _sync(stream: BinaryIO) -> None:
    stream.flush()
    try:
        os.fsync(stream.fileno())
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise


def _keep_time(path: Path, status: os.stat_result) -> None:
    # Where it isn't allowed the file is copied again next time, and that's all.
    with contextlib.suppress(PermissionError, NotImplementedError):
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@contextmanager
def _reading(path: Path, held: int | None = None) -> Iterator[None]:
    """Word what goes wrong while a source is read of which so many bytes are copied."""
    try:
        yield
    except (InputError, MissingFileError):
        raise
    except FileNotFoundError as error:
        found = "that it has gone since the copy began"
        fix = "put it back, or check that Drive is still mounted, and run the same again"
        raise MissingFileError(explain(f"to copy {path}", found, fix)) from error
    except OSError as error:
        if error.errno in _REFUSED:
            raise SourceError(not_allowed(path, error, "move it out of the folder")) from error
        raise _broken(path, word(error), held) from error


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Word what goes wrong while a copy is written."""
    try:
        yield
    except (InputError, MissingFileError):
        raise
    except OSError as error:
        expected, found = f"to write {path}", word(error)
        if error.errno in _FULL:
            expected, found = f"room for all of {path}", f"the disk full ({found})"
            fix = f"free some space and {_AGAIN}; nothing that was copied is lost"
        elif error.errno in _REFUSED:
            found = f"that the folder or the file can't be written to ({found})"
            fix = "name another folder, or close the program that has the file open"
        else:
            fix = f"check the disk and the name of the file, then {_AGAIN}; or name another folder"
        raise InputError(explain(expected, found, fix)) from error


def not_allowed(path: Path, error: OSError, otherwise: str) -> str:
    """Word that a file can't be read for want of rights, and what else can be done than to ask for them."""
    found = f"that it isn't allowed ({word(error)})"
    return explain(f"to read {path}", found, f"ask its owner for the right to read it, or {otherwise}")


def _broken(path: Path, what: str, held: int | None) -> SourceError:
    after = "" if held is None else f" after {human_bytes(held)}, which are kept"
    fix = (
        f"{_AGAIN}; if it stops again, mount Drive anew (it limits how often a file is read: a copy of the "
        "file in your own Drive has a limit of its own)"
    )
    return SourceError(explain(f"to read {path} to its end", f"{what}{after}", fix))


def _missing(src: Path, kind: str) -> MissingFileError:
    _, found, hint = where_it_ends(src)
    fix = f"use '{hint}'" if hint else "check the path; a shared Drive folder needs a shortcut in My Drive"
    return MissingFileError(explain(f"{kind} to copy at {src}", found, fix))


def word(error: OSError) -> str:
    """Give what the system says, with its number."""
    number = f", error {error.errno}" if error.errno is not None else ""
    return f"{error.strerror or error or type(error).__name__}{number}"
