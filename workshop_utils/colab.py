"""What only Colab has: a Drive to mount. The one module that knows `google.colab`."""

from __future__ import annotations

import importlib
import importlib.util
import os
from pathlib import Path

from cnmf_engine.errors import MissingFileError, explain
from workshop_utils.copying import copy_folder

__all__ = ["MOUNT_POINT", "copy_from_drive", "in_colab", "mount_drive"]

MOUNT_POINT = Path("/content/drive")


def in_colab() -> bool:
    """
    Say whether this runs in Colab.

    Returns
    -------
    bool
        True on a Colab machine.
    """
    try:
        return importlib.util.find_spec("google.colab") is not None
    except (ModuleNotFoundError, ValueError):  # no package `google`, or a module without a spec
        return False


def mount_drive(mount_point: str | os.PathLike = MOUNT_POINT) -> Path:
    """
    Mount Google Drive, asking for permission if it isn't mounted yet.

    Parameters
    ----------
    mount_point : path-like
        Where Drive appears.

    Returns
    -------
    pathlib.Path
        The mount point, with ``MyDrive`` in it.

    Raises
    ------
    MissingFileError
        This isn't Colab, or permission wasn't given.
    """
    mount_point = Path(mount_point)
    if (mount_point / "MyDrive").is_dir():
        return mount_point
    expected = f"Google Drive at {mount_point}"
    if not in_colab():
        fix = "open the notebook in Colab, or set movie to a path on this machine"
        raise MissingFileError(explain(expected, "a machine that isn't Colab", fix))
    drive = importlib.import_module("google.colab.drive")
    fix = (
        "run the cell again and allow access in the window that opens; without Drive, movie='demo' works too"
    )
    try:
        drive.mount(str(mount_point))
    except (ValueError, OSError, RuntimeError) as error:  # refused, timed out, or a folder in the way
        raise MissingFileError(explain(expected, f"{type(error).__name__}: {error}", fix)) from error
    if not (mount_point / "MyDrive").is_dir():
        raise MissingFileError(explain(expected, f"no MyDrive in {mount_point}", fix))
    return mount_point


def copy_from_drive(
    drive_folder: str | os.PathLike,
    local_folder: str | os.PathLike,
    mount_point: str | os.PathLike = MOUNT_POINT,
) -> Path | None:
    """
    Copy a folder of recordings from Drive to the machine's own disk, which is many times faster to read.

    Run again, it copies only what is new or changed. Outside Colab there is no Drive, and in a run without
    anybody to ask for permission none can be mounted; that is said, and all goes on.

    Parameters
    ----------
    drive_folder : path-like
        The folder on Drive, starting with ``MyDrive`` (or ``Shareddrives``).
    local_folder : path-like
        The copy, relative to the working directory.
    mount_point : path-like
        Where Drive appears.

    Returns
    -------
    pathlib.Path or None
        The copy; None where there is no Drive, or the folder isn't on it.
    """
    if not in_colab():
        print(
            "Not in Colab, so there is no Drive to copy from: set movie to a path, a known name, or 'demo'."
        )
        return None
    if os.environ.get("WORKSHOP_HEADLESS") and not (Path(mount_point) / "MyDrive").is_dir():
        print("Nobody is here to allow access to Drive, so it stays unmounted.")
        return None
    source = mount_drive(mount_point) / Path(drive_folder)
    if not source.is_dir():
        # Not an error: the demo movie needs no Drive, and a movie missing from the copy is reported later.
        print(_no_folder(source))
        return None
    return copy_folder(source, local_folder).folder


def _no_folder(source: Path) -> str:
    existing = next(place for place in source.parents if place.is_dir())
    inside = sorted(item.name for item in existing.iterdir() if item.is_dir())[:8]
    return explain(
        f"the workshop's folder on your Drive at {source}",
        f"in {existing} only {', '.join(map(repr, inside)) or 'no folder'}",
        "add a shortcut to the shared folder to My Drive, or change drive_folder; the demo needs neither",
    )
