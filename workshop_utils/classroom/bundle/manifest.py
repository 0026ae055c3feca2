"""
What a bundle made in its folder, so that a later one touches nothing else.

``bundle.json`` lists each file with its size and SHA-256. A file that was changed since, or was there before,
is set aside under another name before it is replaced; recordings are never deleted.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cnmf_engine.base.errors import InputError, explain
from workshop_utils.files import human_bytes, replacing, write_text
from workshop_utils.movies.copying import copy_file, sha256

__all__ = ["NAME", "Entry", "Manifest", "Placer", "read", "unknown", "write"]

NAME = "bundle.json"
_VERSION = 1
# What systems and sync programs leave in every folder.
_NOISE = ("desktop.ini", "thumbs.db", "icon\r")


@dataclass(frozen=True)
class Entry:
    """One file of a bundle; `keep` marks a recording, which a later bundle doesn't delete."""

    bytes: int
    sha256: str
    keep: bool = False


@dataclass(frozen=True)
class Manifest:
    """What a folder was made of: the workshop's version, the movie, values for notebooks, files by name."""

    workshop: str
    movie: str
    drive_folder: str  # where the folder belongs on Drive
    package: str = ""  # address the notebooks install from if there is no wheel
    parameters: dict[str, Any] = field(default_factory=dict)
    files: dict[str, Entry] = field(default_factory=dict)


def read(folder: Path) -> Manifest | None:
    """Read what a bundle made; None if none was made there, an InputError if it can't be read."""
    path = folder / NAME
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        files = {str(name): Entry(**entry) for name, entry in content["files"].items()}
        if any(Path(name).name != name for name in files):
            raise ValueError("a file outside the folder")
        known = {
            name: content[name] for name in ("workshop", "movie", "drive_folder", "package", "parameters")
        }
        return Manifest(**known, files=files)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        fix = f"delete {NAME} and make the bundle again; files that differ from it are set aside, not lost"
        expected = f"the list of a bundle's files in {path}"
        raise InputError(explain(expected, f"{type(error).__name__}: {error}", fix)) from error


def write(folder: Path, manifest: Manifest) -> None:
    """Write what a bundle made; a file that says so already stays, for sync programs' sake."""
    text = json.dumps({"version": _VERSION, **asdict(manifest)}, indent=1, ensure_ascii=False) + "\n"
    path = folder / NAME
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        write_text(path, text)


def unknown(folder: Path, manifest: Manifest) -> list[str]:
    """List what lies in a bundle's folder and isn't of it, without what systems leave in every folder."""
    names = sorted(item.name for item in folder.iterdir())
    return [
        name
        for name in names
        if name not in manifest.files
        and name != NAME
        and not name.startswith((".", "~$"))
        and name.lower() not in _NOISE
    ]


class Placer:
    """Puts files into a bundle's folder, which exists, and notes them; says what it writes and sets aside."""

    def __init__(self, folder: Path, before: Manifest | None, say: Callable[[str], None]) -> None:
        self.folder = folder
        self.files: dict[str, Entry] = {}
        self._before = before.files if before else {}
        self._say = say

    def put(self, name: str, content: bytes) -> None:
        """Write a file, unless it is there already."""
        path = self.folder / name
        new = hashlib.sha256(content).hexdigest()
        self.files[name] = Entry(len(content), new)
        if path.exists():
            if path.is_file() and sha256(path) == new:
                return
            self._set_aside(path)
        with replacing(path) as temporary:
            temporary.write_bytes(content)
        self._say(f"{name}: written, {human_bytes(len(content))}")

    def copy(self, source: Path, name: str, keep: bool) -> None:
        """Copy a large file, unless it is there already; `keep` a recording."""
        path = self.folder / name
        in_place = path.exists() and os.path.samefile(path, source)
        self.files[name] = Entry(source.stat().st_size, sha256(source), keep or in_place)
        if in_place:
            self._say(f"{name}: is in the folder already")
            return
        if path.exists() and not (path.is_file() and sha256(path) == self.files[name].sha256):
            self._set_aside(path)
        if copy_file(source, path, checksum=True):
            self._say(f"{name}: copied, {human_bytes(self.files[name].bytes)}")

    def tidy(self) -> None:
        """Delete what only the earlier bundle had, as far as nobody changed it and it is no recording."""
        for name, entry in self._before.items():
            path = self.folder / name
            if name in self.files or not path.is_file():
                continue
            if not entry.keep and sha256(path) == entry.sha256:
                path.unlink()
                self._say(f"{name}: deleted, it belonged to the bundle before")

    def _set_aside(self, path: Path) -> None:
        before = self._before.get(path.name)
        if before and path.is_file() and not before.keep and sha256(path) == before.sha256:
            return  # as an earlier bundle left it: nobody's work is lost
        # In front of the name: what looks for `calcium_workshop-*.whl` must not find it.
        names = (f"{mark} {path.name}" for mark in ("changed", *(f"changed {n}" for n in range(2, 1000))))
        aside = next(path.with_name(name) for name in names if not path.with_name(name).exists())
        os.replace(path, aside)
        self._say(f"{path.name}: there was one with other content, which is now '{aside.name}'")
