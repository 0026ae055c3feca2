"""Paths of the machine that executed a lesson, as a reader elsewhere should see them."""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

__all__ = ["ROOT", "Neutral", "machine_folders"]

ROOT = Path(__file__).resolve().parents[2]


class Neutral:
    """Replaces folders of this machine in texts; one that nothing stands for leaves what comes after it."""

    def __init__(self, folders: Iterable[tuple[str | Path, str]]) -> None:
        pairs: dict[str, str] = {}
        for folder, name in folders:
            for path in (Path(folder), Path(folder).resolve()):
                for written in (str(path), path.as_posix(), json.dumps(str(path))[1:-1]):
                    pairs.setdefault(written, name)
        # The longest first: a folder inside another has a name of its own.
        ordered = sorted(pairs, key=len, reverse=True)
        self._names = pairs
        self._pattern = re.compile(
            r"(?<![\w.~-])(" + "|".join(map(re.escape, ordered)) + r")(?![\w.-])([\\/]*)"
        )

    def __call__(self, text: str) -> str:
        """Give the text with neutral paths."""
        return self._pattern.sub(self._replaced, text)

    def _replaced(self, match: re.Match) -> str:
        name = self._names[match[1]]
        if name:
            return name + match[2]
        return "" if match[2] else "."  # the folder itself


def machine_folders(results: str | Path | None = None) -> list[tuple[str | Path, str]]:
    """List the folders that may appear in what a lesson prints, with neutral names for them."""
    known: list[tuple[str | Path, str]] = [
        (ROOT, ""),
        (sys.prefix, ".venv"),
        (sys.base_prefix, "python"),
        (tempfile.gettempdir(), "tmp"),
        (Path.home(), "~"),
    ]
    if os.environ.get("WORKSHOP_SCRATCH"):
        known.insert(0, (os.environ["WORKSHOP_SCRATCH"], "scratch"))
    if results:
        known.insert(0, (results, "results"))
    # A system's Python lies in /usr, which says nothing about anybody, and may be part of other words.
    return [(path, name) for path, name in known if len(Path(path).parts) > 2 or name in ("tmp", "~")]
