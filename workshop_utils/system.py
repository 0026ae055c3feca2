"""What the machine has, and whether a movie will fit on it."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
import psutil

from cnmf_engine.base.errors import InputError, explain
from workshop_utils.files import existing, human_bytes

__all__ = ["Fit", "Machine", "machine", "will_it_fit"]

_CGROUP = Path("/sys/fs/cgroup")
# Motion correction writes one corrected copy, the memory map sorted by pixel is a second.
_COPIES_ON_DISK = 2
_WORKING_BYTES = 4
# The kernel, the libraries and the figures need room too.
_SHARE_OF_MEMORY = 0.5


@dataclass(frozen=True)
class Machine:
    """
    What a machine has.

    Attributes
    ----------
    cpus : int
        Processor cores that this process may use.
    memory, memory_free : int
        Bytes, as far as this process may use them.
    disk, disk_free : int
        Bytes on the disk of `folder`.
    folder : pathlib.Path
        The folder that was asked about.
    """

    cpus: int
    memory: int
    memory_free: int
    disk: int
    disk_free: int
    folder: Path

    def __str__(self) -> str:
        return (
            f"processor cores: {self.cpus}\n"
            f"memory:          {human_bytes(self.memory_free)} free of {human_bytes(self.memory)}\n"
            f"disk:            {human_bytes(self.disk_free)} free of {human_bytes(self.disk)} ({self.folder})"
        )


@dataclass(frozen=True)
class Fit:
    """
    Whether a movie fits.

    Attributes
    ----------
    memory_needed : int
        Bytes of the movie when it is loaded.
    disk_needed : int
        Bytes of the working copies.
    in_memory, on_disk : bool
        Whether there is room, in memory for the movie in one piece.
    advice : str
        What to do, in words.
    """

    memory_needed: int
    disk_needed: int
    in_memory: bool
    on_disk: bool
    advice: str

    def __bool__(self) -> bool:
        return self.in_memory and self.on_disk

    def __str__(self) -> str:
        return (
            f"the movie takes {human_bytes(self.memory_needed)} of memory, "
            f"its working copies {human_bytes(self.disk_needed)} of disk\n{self.advice}"
        )


def machine(folder: str | os.PathLike = ".") -> Machine:
    """
    Look at the machine.

    Parameters
    ----------
    folder : path-like
        Whose disk to look at.

    Returns
    -------
    Machine
        Processor cores, memory and disk. Limits of a container count.
    """
    folder = Path(folder).resolve()
    usage = shutil.disk_usage(existing(folder))
    memory = psutil.virtual_memory()
    total, free = memory.total, memory.available
    limit, used = _container("memory.max"), _container("memory.current")
    if limit is not None and limit < total:
        total, free = limit, max(0, min(free, limit - (used or 0)))
    return Machine(_cpus(), total, free, usage.total, usage.free, folder)


def will_it_fit(
    shape: tuple[int, ...],
    folder: str | os.PathLike = ".",
    dtype: str | np.dtype = "float32",
    on: Machine | None = None,
) -> Fit:
    """
    Say whether a movie fits into memory, and its working copies on the disk.

    Parameters
    ----------
    shape : tuple of int
        Frames, rows, columns.
    folder : path-like
        Where the results go.
    dtype : str or dtype
        Type of the movie in memory; `cm.load` makes float32 of everything.
    on : Machine, optional
        The machine; this one by default.

    Returns
    -------
    Fit
        True if both fit; printed, it says what to do.

    Raises
    ------
    InputError
        The shape isn't that of a movie.
    """
    if len(shape) < 3 or min(shape) < 1:
        raise InputError(
            explain("a movie's shape (frames, rows, columns)", f"{tuple(shape)}", "give movie.shape")
        )
    on = machine(folder) if on is None else on
    values = prod(int(length) for length in shape)
    memory_needed = values * np.dtype(dtype).itemsize
    disk_needed = values * _WORKING_BYTES * _COPIES_ON_DISK
    in_memory = memory_needed <= _SHARE_OF_MEMORY * on.memory_free
    on_disk = disk_needed <= on.disk_free
    return Fit(
        memory_needed, disk_needed, in_memory, on_disk, _advice(shape, memory_needed, in_memory, on_disk, on)
    )


def _advice(shape: tuple[int, ...], needed: int, in_memory: bool, on_disk: bool, on: Machine) -> str:
    if in_memory and on_disk:
        return "It fits."
    advice = []
    if not in_memory:
        frames = int(shape[0] * _SHARE_OF_MEMORY * on.memory_free / needed)
        advice.append(
            "Larger than the memory: the embedded engine leaves it in its file and reads what is looked at. "
            f"With CaImAn load a part, cm.load(path, subindices=slice(0, {max(1, frames)}))."
        )
    if not on_disk:
        advice.append(
            f"Not enough disk at {on.folder}: free some, name another results folder, or bin the recording."
        )
    return "\n".join(advice)


def _cpus() -> int:
    # Where the system can tell, what this process may use, not what the machine has.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)


def _container(name: str) -> int | None:
    try:
        return int((_CGROUP / name).read_text())
    except (OSError, ValueError):  # no such file, or "max"
        return None
