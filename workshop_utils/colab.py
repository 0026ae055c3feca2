"""What only Colab has: a Drive to mount, and a disk that is gone tomorrow. Nothing else knows Colab."""

from __future__ import annotations

import glob
import importlib
import importlib.util
import os
from pathlib import Path

from cnmf_engine.base.errors import InputError, MissingFileError, explain, nearest
from workshop_utils.files import first_missing, listing
from workshop_utils.movies.copying import copy_folder
from workshop_utils.places import in_colab, mount_point, mounted

__all__ = [
    "DRIVE_FOLDER",
    "LOCAL_FOLDER",
    "RESULTS_FOLDER",
    "copy_from_drive",
    "find_folder",
    "in_colab",
    "mount_drive",
    "mount_point",
    "mounted",
    "start",
]

#: The workshop's folder on Drive, unless a lesson's parameter says otherwise.
DRIVE_FOLDER = "MyDrive/behavior&calcium-imaging-workshop/data/calcium-imaging-data"
#: Its copy on the machine's own disk, in Colab's working directory.
LOCAL_FOLDER = "workshop_data"
#: Where results go on Drive: the attendee's own, as the workshop's folder is often shared and read-only.
RESULTS_FOLDER = "MyDrive/workshop_results"


def start(drive_folder: str = DRIVE_FOLDER, local_folder: str | os.PathLike = LOCAL_FOLDER) -> Path | None:
    """
    Make a Colab machine ready for a lesson; anywhere else do nothing.

    Mounts Drive, copies the workshop's folder to the local disk, and sets where results go: into a folder on
    Drive with the movie's name, with heavy working files on the local disk. Run again, it copies only what is
    new. Without Drive (access refused, folder missing) it says so and goes on: the demo needs none.

    Parameters
    ----------
    drive_folder : str
        The folder on Drive, starting with ``MyDrive`` (or ``Shareddrives``).
    local_folder : path-like
        The copy, beside the mount point unless absolute: that is Colab's working directory, and stays it
        where a lesson is run from another one.

    Returns
    -------
    pathlib.Path or None
        The copy; None where there is none.
    """
    if not in_colab():
        return None
    # Colab's page is always in front of somebody, whatever its kernel says of the cell that runs.
    os.environ.setdefault("WORKSHOP_HEADLESS", "0")
    copy = copy_from_drive(drive_folder, local_folder)
    if mounted():
        os.environ.setdefault("WORKSHOP_RESULTS", str(mount_point() / RESULTS_FOLDER / "{movie}"))
        os.environ.setdefault("WORKSHOP_SCRATCH", str(mount_point().parent / "workshop_scratch"))
    else:
        print("Without Drive the results stay on this machine, and are gone when it is closed.")
    return copy


def mount_drive() -> Path:
    """
    Mount Google Drive, asking for permission if it isn't mounted yet.

    Returns
    -------
    pathlib.Path
        The mount point, with ``MyDrive`` in it.

    Raises
    ------
    MissingFileError
        This isn't Colab, or permission wasn't given.
    """
    place = mount_point()
    if mounted():
        return place
    expected = f"Google Drive at {place}"
    if not in_colab():
        fix = "open the notebook in Colab, or set movie to a path on this machine"
        raise MissingFileError(explain(expected, "a machine that isn't Colab", fix))
    drive = importlib.import_module("google.colab.drive")
    fix = (
        "run the cell again and allow access in the window that opens, with the account that you use Colab "
        "with; without Drive, movie='demo' works too"
    )
    try:
        drive.mount(str(place))
    except Exception as error:  # a refusal is a MessageError of Colab's own, derived from Exception directly
        raise MissingFileError(explain(expected, f"{type(error).__name__}: {error}", fix)) from error
    if not mounted():
        raise MissingFileError(explain(expected, f"no MyDrive in {place}", fix))
    return place


def find_folder(drive_folder: str = DRIVE_FOLDER) -> Path:
    """
    Find the workshop's folder on a mounted Drive.

    Parameters
    ----------
    drive_folder : str
        The folder on Drive, starting with ``MyDrive`` (or ``Shareddrives``).

    Returns
    -------
    pathlib.Path
        The folder, or a shortcut of its name in My Drive: that is how a shared folder gets there.

    Raises
    ------
    MissingFileError
        There is none; the message says what is there.
    """
    folder = mount_point() / drive_folder
    # The bootstrap cell looks in the same places for the wheel.
    for place in (folder, *sorted(mount_point().glob(f"*/{glob.escape(folder.name)}"))):
        if place.is_dir():
            return place
    raise MissingFileError(_no_folder(folder))


def copy_from_drive(
    drive_folder: str = DRIVE_FOLDER, local_folder: str | os.PathLike = LOCAL_FOLDER
) -> Path | None:
    """
    Copy a folder of recordings from Drive to the machine's own disk, which is many times faster to read.

    Run again, it copies only what is new or changed. What is in the way is said, and all goes on, because the
    demo needs no Drive: this isn't Colab, access was refused, nobody is there to be asked, the folder isn't
    on Drive, the copy doesn't fit. A movie that is missing afterwards is told when it is opened.

    Parameters
    ----------
    drive_folder : str
        The folder on Drive, starting with ``MyDrive`` (or ``Shareddrives``).
    local_folder : path-like
        The copy, beside the mount point unless absolute: that is Colab's working directory, and stays it
        where a lesson is run from another one.

    Returns
    -------
    pathlib.Path or None
        The copy; None where there is none.
    """
    if not in_colab():
        print(
            "Not in Colab, so there is no Drive to copy from: set movie to a path, a known name, or 'demo'."
        )
        return None
    if os.environ.get("WORKSHOP_HEADLESS", "0") != "0" and not mounted():
        print("Nobody is here to allow access to Drive, so it stays unmounted.")
        return None
    try:
        mount_drive()
        return copy_folder(find_folder(drive_folder), mount_point().parent / local_folder).folder
    except (InputError, MissingFileError) as problem:
        print(problem)
        return None


def _no_folder(folder: Path) -> str:
    """Follow the path as far as it goes, and say what is there instead of the next part."""
    wanted = first_missing(folder) or folder
    there = wanted.parent
    hint = nearest(wanted.name, [item.name for item in there.iterdir() if item.is_dir()])
    fix = (
        "add a shortcut to the shared folder to My Drive (in Drive: right click, Organise, Add shortcut), or "
        "change drive_folder; the demo needs neither"
    )
    if hint:
        right = (there / hint).relative_to(mount_point())
        fix = f"did you mean '{right.as_posix()}' in drive_folder? Otherwise {fix}"
    expected = f"the workshop's folder on your Drive at {folder}"
    return explain(expected, f"in {there} only {listing(there)}", fix)
