"""How much of a movie to hold in memory at once, the blocks that follow from it, and giving memory back."""

from __future__ import annotations

import math
import mmap
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from cnmf_engine.base.errors import ParameterError, explain

__all__ = [
    "MEMORY_VARIABLE",
    "drop_pages",
    "frame_blocks",
    "free_memory",
    "memory_budget",
    "memory_room",
    "pixel_blocks",
]

MEMORY_VARIABLE = "CNMF_ENGINE_MEMORY"
# A stage holds a few arrays of the block's size at once, and the notebook's own arrays need room too.
_DEFAULT_FRACTION = 0.25
# Larger blocks than this make no stage faster; they only take memory from everything else.
_LARGEST_DEFAULT = 256 * 2**20
_SMALLEST_BUDGET = 16 * 2**20
_UNITS = {"": 1, "B": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_SIZE = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(?:I?B)?\s*$", re.IGNORECASE)
_CGROUP = Path("/sys/fs/cgroup")


def memory_budget(memory_limit: int | float | str | None = None) -> int:
    """
    Tell how many bytes a stage may hold at once.

    Parameters
    ----------
    memory_limit : int, float or str, optional
        Bytes, or text such as ``'500MB'`` or ``'2GB'`` (steps of 1024). Without it the environment
        variable ``CNMF_ENGINE_MEMORY`` is asked, in the same wording; without that it is a quarter of the
        memory that is free now, at most 256 MB: larger blocks make nothing faster.

    Returns
    -------
    int
        Bytes.

    Raises
    ------
    ParameterError
        If the limit isn't a positive size.
    """
    if memory_limit is not None:
        return _parse_size(memory_limit, "memory_limit")
    from_environment = os.environ.get(MEMORY_VARIABLE, "").strip()
    if from_environment:
        return _parse_size(from_environment, f"the environment variable {MEMORY_VARIABLE}")
    free = int(_DEFAULT_FRACTION * free_memory())
    return min(max(free, _SMALLEST_BUDGET), _LARGEST_DEFAULT)


def frame_blocks(
    n_frames: int, bytes_per_frame: float, budget: int | float | str | None = None, *, multiple: int = 1
) -> list[slice]:
    """
    Cut a movie into consecutive blocks of frames that fit a budget.

    Parameters
    ----------
    n_frames : int
        Number of frames.
    bytes_per_frame : float
        What one frame costs in the stage that asks, all its copies together.
    budget : int, float or str, optional
        Bytes a block may cost, see `memory_budget`.
    multiple : int
        Blocks start at multiples of this.

    Returns
    -------
    list of slice
        Blocks of nearly equal length (never shorter than `multiple`, but for the last), in order; empty for
        no frames.
    """
    return _equal_blocks(n_frames, bytes_per_frame, budget, multiple=max(int(multiple), 1))


def pixel_blocks(
    n_pixels: int, bytes_per_pixel: float, budget: int | float | str | None = None, *, multiple: int = 1
) -> list[slice]:
    """
    Cut the pixels of a movie into consecutive blocks that fit a budget.

    Parameters
    ----------
    n_pixels : int
        Number of pixels, in the Fortran order of `Yr`.
    bytes_per_pixel : float
        What one pixel's time series costs in the stage that asks, all its copies together.
    budget : int, float or str, optional
        Bytes a block may cost, see `memory_budget`.
    multiple : int
        Blocks start at multiples of this: the number of rows gives blocks of whole image columns.

    Returns
    -------
    list of slice
        Blocks of nearly equal length (never shorter than `multiple`, but for the last), in order.
    """
    return _equal_blocks(n_pixels, bytes_per_pixel, budget, multiple=max(int(multiple), 1))


def _equal_blocks(
    total: int, bytes_each: float, budget: int | float | str | None, multiple: int
) -> list[slice]:
    total = int(total)
    if total <= 0:
        return []
    units = math.ceil(total / multiple)
    fitting = max(int(memory_budget(budget) // max(bytes_each * multiple, 1)), 1)
    n_blocks = math.ceil(units / fitting)
    edges = [min(units * index // n_blocks * multiple, total) for index in range(n_blocks + 1)]
    return [slice(start, stop) for start, stop in zip(edges[:-1], edges[1:])]


def _parse_size(size: int | float | str, source: str) -> int:
    match = _SIZE.match(size) if isinstance(size, str) else None
    if match:
        n_bytes = float(match.group(1)) * _UNITS[match.group(2).upper()]
    else:
        countable = isinstance(size, int | float) and not isinstance(size, bool) and abs(size) < 2**63
        n_bytes = float(size) if countable else math.nan
    if not (math.isfinite(n_bytes) and n_bytes >= 1):
        raise ParameterError(
            explain(
                f"a size in {source}, such as 500000000, '500MB' or '2GB'",
                repr(size),
                "write a positive number of bytes, or a number with one of the units KB, MB, GB, TB",
            )
        )
    return int(n_bytes)


def free_memory() -> int:
    """Tell how many bytes are free now: of the machine, or of a container's limit if that is less."""
    free = psutil.virtual_memory().available
    try:
        limit = (_CGROUP / "memory.max").read_text().strip()
        used = int((_CGROUP / "memory.current").read_text())
        cached = re.search(r"^inactive_file (\d+)", (_CGROUP / "memory.stat").read_text(), re.MULTILINE)
    except (OSError, ValueError):
        return free
    if not limit.isdigit():
        return free
    # Pages that only mirror files are given back on demand, so they don't count as used.
    return max(min(free, int(limit) - used + (int(cached.group(1)) if cached else 0)), 0)


def memory_room(memory_limit: int | float | str | None = None, part: float = 0.25) -> int:
    """
    Tell how many bytes something may take that can't be made smaller by working in shorter blocks.

    Parameters
    ----------
    memory_limit : int, float or str, optional
        What the user said, see `cnmf_engine.base.memory.memory_budget`; the environment variable counts too.
    part : float
        Part of the free memory that is taken if nobody said anything.

    Returns
    -------
    int
        Bytes.
    """
    if memory_limit is not None or os.environ.get(MEMORY_VARIABLE, "").strip():
        return memory_budget(memory_limit)
    return int(part * free_memory())


_DROPPED = getattr(mmap, "MADV_DONTNEED", None)


def drop_pages(array: Any) -> None:
    """
    Tell the system that a part of a mapped file was read and isn't needed for now.

    The pages stay in the system's file cache, from where they come back at once when they are read again.
    Without it a program that walks through a mapped file ends with all of it in its resident memory. Does
    nothing to other arrays, to maps that hold unsaved changes, and where the system has no such call
    (Windows).

    Parameters
    ----------
    array : numpy.ndarray
        A memory map, or a view of one; its whole reach in the file is dropped.
    """
    source, first = _mapping(array)
    if source is None or _DROPPED is None or array.size == 0:
        return
    low = array.__array_interface__["data"][0]
    reach = [(size - 1) * stride for size, stride in zip(array.shape, array.strides)]
    high = low + sum(max(step, 0) for step in reach) + array.itemsize
    low += sum(min(step, 0) for step in reach)
    start = (low - first) // mmap.PAGESIZE * mmap.PAGESIZE
    source.madvise(_DROPPED, start, min(high - first, len(source)) - start)


def _mapping(array: Any) -> tuple[mmap.mmap | None, int]:
    """Find the map behind an array and the address where it starts; None if pages can't be dropped."""
    base, shared = array, False
    while isinstance(base, np.ndarray):
        # Changes to a copy-on-write map live in its pages alone.
        shared = getattr(base, "mode", None) in ("r", "r+", "w+") if isinstance(base, np.memmap) else shared
        base = base.base
    if not (shared and isinstance(base, mmap.mmap)):
        return None, 0
    return base, np.frombuffer(base, np.uint8).__array_interface__["data"][0]
