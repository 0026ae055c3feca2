"""Giving back the pages of mapped files, which otherwise count as this process's memory."""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np

__all__ = ["drop_pages"]

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
