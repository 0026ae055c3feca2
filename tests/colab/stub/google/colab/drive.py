"""
A Drive that is a folder of this machine.

Of the environment variables, COLAB_STUB_DRIVE names that folder, COLAB_STUB_CALLS a file with a line for each
call, and COLAB_STUB_REFUSES is set for somebody who doesn't allow access. What is raised and printed is what
people report of Colab.
"""

from __future__ import annotations

import os
from pathlib import Path

from google.colab._message import MessageError


def mount(mountpoint, force_remount=False, timeout_ms=120000, readonly=False):
    """Make what the account has on Drive appear in a folder."""
    with open(os.environ["COLAB_STUB_CALLS"], "a", encoding="utf-8") as calls:
        calls.write(f"mount {mountpoint}\n")
    if os.environ.get("COLAB_STUB_REFUSES"):
        raise MessageError("Error: credential propagation was unsuccessful")
    place = Path(mountpoint)
    if (place / "MyDrive").exists() and not force_remount:
        again = f'drive.mount("{mountpoint}", force_remount=True)'
        print(f"Drive already mounted at {mountpoint}; to attempt to forcibly remount, call {again}.")
        return
    if place.is_dir() and any(place.iterdir()):
        raise ValueError("Mountpoint must not already contain files")
    place.mkdir(parents=True, exist_ok=True)
    for item in Path(os.environ["COLAB_STUB_DRIVE"]).iterdir():
        (place / item.name).symlink_to(item, target_is_directory=True)
    print(f"Mounted at {mountpoint}")
