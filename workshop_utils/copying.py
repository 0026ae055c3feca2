"""Copy a folder of recordings to a faster disk, skipping what is already there."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from cnmf_engine.errors import InputError, MissingFileError, explain, nearest
from workshop_utils.files import human_bytes, replacing

__all__ = ["CopyReport", "copy_folder"]

# Some file systems (Drive, FAT) keep times to two seconds.
_TIME_TOLERANCE = 2.0


@dataclass(frozen=True)
class CopyReport:
    """
    What a copy did.

    Attributes
    ----------
    folder : pathlib.Path
        The copy.
    copied, skipped : int
        Number of files written, and of files that were there already.
    copied_bytes, skipped_bytes : int
        Their sizes.
    seconds : float
        How long it took.
    """

    folder: Path
    copied: int
    skipped: int
    copied_bytes: int
    skipped_bytes: int
    seconds: float

    def __str__(self) -> str:
        kept = f"{self.skipped} file(s), {human_bytes(self.skipped_bytes)}, already there"
        if not self.copied:
            return f"Nothing to copy to {self.folder}: {kept}"
        speed = human_bytes(self.copied_bytes / max(self.seconds, 1e-9))
        done = f"Copied {self.copied} file(s), {human_bytes(self.copied_bytes)}, in {self.seconds:.1f} s"
        return f"{done} ({speed}/s) to {self.folder}" + (f"; {kept}" if self.skipped else "")


def copy_folder(src: str | os.PathLike, dst: str | os.PathLike, *, progress: bool = True) -> CopyReport:
    """
    Copy a folder with everything in it; run again, it copies only what is new or changed.

    A file counts as the same when size and time agree. Each file is written under a temporary name and
    renamed, so a copy that was stopped leaves no half file behind. Nothing is ever deleted from the copy.

    Parameters
    ----------
    src : path-like
        The folder to copy.
    dst : path-like
        Where to; may exist already.
    progress : bool
        Show a progress bar and, at the end, a line that says how much and how fast.

    Returns
    -------
    CopyReport
        Numbers of files, bytes and seconds.

    Raises
    ------
    MissingFileError
        `src` isn't there.
    InputError
        `src` isn't a folder, `dst` is a file or lies inside `src`, or the disk is too small.
    """
    src, dst = Path(src).expanduser(), Path(dst).expanduser()
    _check(src, dst)
    start = time.perf_counter()
    files = [path for path in sorted(src.rglob("*")) if path.is_file()]
    new = [path for path in files if not _same(path, dst / path.relative_to(src))]
    copied_bytes = sum(path.stat().st_size for path in new)
    _check_space(copied_bytes, dst)
    _copy_all(new, src, dst, copied_bytes, progress)
    skipped_bytes = sum(path.stat().st_size for path in files) - copied_bytes
    seconds = time.perf_counter() - start
    report = CopyReport(dst, len(new), len(files) - len(new), copied_bytes, skipped_bytes, seconds)
    if progress:
        print(report)
    return report


def _copy_all(files: list[Path], src: Path, dst: Path, total: int, progress: bool) -> None:
    from tqdm.auto import tqdm

    dst.mkdir(parents=True, exist_ok=True)
    with tqdm(total=total, unit="B", unit_scale=True, disable=not (progress and files), leave=False) as bar:
        for path in files:
            with replacing(dst / path.relative_to(src)) as temporary:
                shutil.copyfile(path, temporary)
                shutil.copystat(path, temporary)
            bar.update(path.stat().st_size)


def _same(path: Path, copy: Path) -> bool:
    if not copy.is_file():
        return False
    one, other = path.stat(), copy.stat()
    return one.st_size == other.st_size and abs(one.st_mtime - other.st_mtime) <= _TIME_TOLERANCE


def _check(src: Path, dst: Path) -> None:
    if not src.exists():
        there = src.parent
        names = [item.name for item in there.iterdir()] if there.is_dir() else []
        hint = nearest(src.name, names)
        found = (
            f"in {there} only {', '.join(map(repr, sorted(names)[:8])) or 'nothing'}"
            if names
            else f"no {there} either"
        )
        fix = (
            f"use '{there / hint}'"
            if hint
            else "check the path; a shared Drive folder needs a shortcut in My Drive"
        )
        raise MissingFileError(explain(f"a folder to copy at {src}", found, fix))
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


def _check_space(needed: int, dst: Path) -> None:
    existing = next(parent for parent in (dst, *dst.absolute().parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    if needed > free:
        fix = "free some space, name a folder on another disk, or copy fewer files"
        found = f"{human_bytes(free)} free there"
        raise InputError(explain(f"room for {human_bytes(needed)} in {dst}", found, fix))
