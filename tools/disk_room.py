"""
Say before `make test` starts whether the disk has room for it.

    python tools/disk_room.py

A disk that fills halfway makes hundreds of tests fail that have nothing wrong with them, and none says why.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

__all__ = ["ENVIRONMENTS", "TEMPORARY", "complaint", "main"]

ROOT = Path(__file__).resolve().parents[1]
GB = 1e9
#: Bytes each environment takes when it has been made, and the file that make leaves then.
ENVIRONMENTS = {".venv/.test": 2.2 * GB, ".venv-colab/.made": 1.3 * GB}
#: Bytes the tests' own files take when they take most.
TEMPORARY = 2.5 * GB


def complaint(root: Path, temporary: Path) -> str | None:
    """
    Compare what the tests need with what is free.

    Parameters
    ----------
    root : pathlib.Path
        The checkout. An environment that is already made in it needs nothing more.
    temporary : pathlib.Path
        Where the tests put their files.

    Returns
    -------
    str or None
        What to do, or None where there is room.
    """
    needed: dict[int, float] = defaultdict(float)
    places: dict[int, Path] = {}
    missing = sum(size for made, size in ENVIRONMENTS.items() if not (root / made).exists())
    for folder, size in ((root, missing), (temporary, TEMPORARY)):
        # Both on one disk share what is free there.
        disk = _disk(folder)
        needed[disk] += size
        places.setdefault(disk, folder)
    for disk, folder in places.items():
        free = shutil.disk_usage(folder).free
        if free < needed[disk]:
            return (
                f"Expected {needed[disk] / GB:.1f} GB free on the disk of {folder} for the tests.\n"
                f"Found {free / GB:.1f} GB.\n"
                "To go on: delete something there (pytest keeps the files of failed tests in "
                f"{temporary / 'pytest-of-*'}), or let TMPDIR name a folder on another disk."
            )
    return None


def _disk(folder: Path) -> int:
    """Tell disks apart."""
    return os.stat(folder).st_dev


def main() -> int:
    """Print what is missing; give the exit code."""
    message = complaint(ROOT, Path(tempfile.gettempdir()))
    if message:
        print(message, file=sys.stderr)
    return 1 if message else 0


if __name__ == "__main__":
    raise SystemExit(main())
