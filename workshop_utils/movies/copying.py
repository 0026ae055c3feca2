"""Copy recordings to another disk: skip what is there, go on where it was cut off, leave no half file."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnmf_engine.base.errors import InputError, MissingFileError, explain
from workshop_utils.files import UNFINISHED, existing, human_bytes
from workshop_utils.movies import copy_messages as messages
from workshop_utils.movies import copy_parts as parts
from workshop_utils.movies.copy_one import CopiedFile, copy, keep_time, sha256

__all__ = ["CopyReport", "copy_file", "copy_folder"]

# Some file systems (Drive, FAT) keep times to two seconds.
_TIME_TOLERANCE = 2.0
# Drive shows its own documents as files, but refuses to let them be read.
_GOOGLE = frozenset(
    f".g{kind}"
    for kind in "doc sheet slides form draw table script site jam map maillayout link note vid".split()
)
# A movie in a Zarr folder can't be read without these.
_NEEDED = frozenset((".zarray", ".zattrs", ".zgroup", ".zmetadata"))


@dataclass(frozen=True)
class CopyReport:
    """
    What a copy did.

    Attributes
    ----------
    folder : pathlib.Path
        The copy.
    copied, skipped : int
        Number of files completed, and of files that were there already.
    copied_bytes, skipped_bytes : int
        Their sizes.
    seconds : float
        How long it took.
    resumed_bytes : int
        How much of `copied_bytes` an earlier copy, cut off, had left.
    left_out : tuple of str
        Files that can't be read through Drive (Google's own documents, shortcuts that lead nowhere).
    """

    folder: Path
    copied: int
    skipped: int
    copied_bytes: int
    skipped_bytes: int
    seconds: float
    resumed_bytes: int = 0
    left_out: tuple[str, ...] = ()

    def __str__(self) -> str:
        kept = f"{self.skipped} file(s), {human_bytes(self.skipped_bytes)}, already there"
        if self.copied:
            speed = human_bytes((self.copied_bytes - self.resumed_bytes) / max(self.seconds, 1e-9))
            text = (
                f"Copied {self.copied} file(s), {human_bytes(self.copied_bytes)}, in {self.seconds:.1f} s "
                f"({speed}/s) to {self.folder}"
            )
            if self.resumed_bytes:
                text += f"; {human_bytes(self.resumed_bytes)} of it were left by a copy that was cut off"
            text += f"; {kept}" if self.skipped else ""
        else:
            text = f"Nothing to copy to {self.folder}: {kept}"
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

    A file gets its name when it is complete. Until then it is a hidden file beside it, which the next copy
    goes on with, however the one before ended. Nothing is ever deleted from the copy. Hidden files, such as
    notebook checkpoints, aren't copied; shortcuts on Drive are followed. A file that can't be read doesn't
    keep the others from being copied.

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
    _check(src, dst)
    start = time.perf_counter()
    found = list(_walk(src, (os.path.realpath(src),)))
    unreadable = [path for path in found if _unreadable(path)]
    files = _plan([(path, dst / path.relative_to(src)) for path in found if path not in set(unreadable)])
    new = _new(files, checksum, progress)
    _check_space(new, dst)
    with messages.writing(dst):
        dst.mkdir(parents=True, exist_ok=True)
    resumed = _copy_all(new, checksum, progress)
    copied, total = (sum(file.status.st_size for file in some) for some in (new, files))
    report = CopyReport(
        dst,
        len(new),
        len(files) - len(new),
        copied,
        total - copied,
        time.perf_counter() - start,
        resumed,
        tuple(path.name for path in unreadable),
    )
    if progress:
        print(report)
    return report


def copy_file(
    src: str | os.PathLike, dst: str | os.PathLike, *, checksum: bool = False, progress: bool = True
) -> bool:
    """
    Copy one file as `copy_folder` does.

    Parameters
    ----------
    src : path-like
        The file.
    dst : path-like
        The copy, or an existing folder for it. Folders are made when missing.
    checksum : bool
        Compare SHA-256 instead of size and time, and check the copy.
    progress : bool
        Show a progress bar.

    Returns
    -------
    bool
        True if something was copied, False if it was there already.

    Raises
    ------
    MissingFileError, InputError
        As for `copy_folder`.
    """
    src, dst = Path(src).expanduser(), Path(dst).expanduser()
    if not src.exists():
        raise messages.missing(src, "a file")
    if not src.is_file() or _unreadable(src):
        found = f"a folder, {src}" if src.is_dir() else f"{src}, which can't be read as a file"
        fix = "use copy_folder" if src.is_dir() else "download it in Drive (File > Download) and copy that"
        raise InputError(explain("a file to copy", found, fix))
    target = dst / src.name if dst.is_dir() else dst
    if target.exists() and target.samefile(src):
        return False
    new = _new(_plan([(src, target)]), checksum, progress)
    _check_space(new, target.parent)
    _copy_all(new, checksum, progress)
    return bool(new)


def _walk(folder: str | os.PathLike, above: tuple[str, ...]) -> Iterator[Path]:
    with messages.reading(Path(folder)), os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        if entry.name.startswith(".") and entry.name not in _NEEDED:
            continue
        if not entry.is_dir():
            if Path(entry.name).suffix.lower() not in UNFINISHED:
                yield Path(entry.path)
        elif (real := os.path.realpath(entry.path)) not in above:  # a shortcut may lead back to where we are
            yield from _walk(entry.path, (*above, real))


def _unreadable(path: Path) -> bool:
    return path.suffix.lower() in _GOOGLE or not path.is_file()


def _plan(pairs: list[tuple[Path, Path]]) -> list[CopiedFile]:
    found: dict[Path, dict[str, list[parts.Part]]] = {}
    files = []
    for source, target in pairs:
        if target.parent not in found:
            with messages.writing(target.parent):
                found[target.parent] = parts.find(target.parent)
        left = found[target.parent].get(parts.of_file(target.name), ())
        with messages.reading(source):
            files.append(CopiedFile(source, target, source.stat(), tuple(left)))
    return files


def _new(files: list[CopiedFile], checksum: bool, progress: bool) -> list[CopiedFile]:
    total = sum(file.status.st_size for file in files)
    with _bar(total, 0, progress and checksum, "comparing") as bar:
        new = []
        for file in files:
            if _same(file, checksum, bar.update):
                parts.remove(file.parts)
            else:
                new.append(file)
    return new


def _same(file: CopiedFile, checksum: bool, step: Callable[[int], Any]) -> bool:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        there = file.target.stat()
        if not file.target.is_file() or there.st_size != file.status.st_size:
            return False
        if not checksum:
            return abs(there.st_mtime - file.status.st_mtime) <= _TIME_TOLERANCE
        with messages.reading(file.source):
            wanted = sha256(file.source, step)
        same = wanted == sha256(file.target)
        if same:
            keep_time(file.target, file.status)
        return same
    return False


def _copy_all(files: list[CopiedFile], checksum: bool, progress: bool) -> int:
    total, held = sum(file.status.st_size for file in files), [file.held() for file in files]
    resumed, failed = 0, []
    with _bar(total, sum(held), progress and bool(files), "copying") as bar:
        for file, expected in zip(files, held):
            try:
                # Hidden parts may hold less than was thought: then the bar steps back.
                resumed += copy(file, checksum, bar.update, expected)
            except (messages.SourceError, MissingFileError) as error:
                failed.append((file.source, error))
    if len(failed) > 1:
        others = ", ".join(repr(path.name) for path, _ in failed[1:4])
        more = f"\nThe same goes for {others}{' and others' * (len(failed) > 4)}. All other files are copied."
        raise type(failed[0][1])(str(failed[0][1]) + more) from failed[0][1]
    if failed:
        raise failed[0][1]
    return resumed


def _bar(total: int, initial: int, show: bool, what: str) -> Any:
    from tqdm.auto import tqdm

    # Bars that are gone before anybody has read them only flicker.
    return tqdm(
        total=total,
        initial=initial,
        unit="B",
        unit_scale=True,
        desc=what,
        disable=not show,
        leave=False,
        delay=1,
    )


def _check(src: Path, dst: Path) -> None:
    if not src.exists():
        raise messages.missing(src, "a folder")
    if not src.is_dir():
        raise InputError(explain("a folder to copy", f"a file, {src}", f"name its folder, {src.parent}"))
    if dst.exists() and not dst.is_dir():
        raise InputError(
            explain("a folder to copy to", f"a file, {dst}", "name another folder, or move the file away")
        )
    if dst.resolve().is_relative_to(src.resolve()):
        raise InputError(
            explain(f"a place outside {src} for the copy", f"{dst}, inside it", "name a folder elsewhere")
        )


def _check_space(files: list[CopiedFile], dst: Path) -> None:
    needed = sum(file.status.st_size - file.held() for file in files)
    place = existing(dst)
    if needed > shutil.disk_usage(place).free:
        # Parts of other versions are of no use any more, and nobody sees the space they take.
        parts.remove(part for file in files for part in file.parts if part.version != file.version)
        free = shutil.disk_usage(place).free
        if needed > free:
            raise messages.no_room(needed, free, dst)
