"""Writing memory maps in blocks: what is done to the frames on the way, and in which order bytes go out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cnmf_engine.blocks import memory_budget, pixel_blocks
from cnmf_engine.errors import InputError, ParameterError, explain
from cnmf_engine.io.files import replacing
from cnmf_engine.io.frame_steps import Steps, check_shifts, final_dims, minimum, processed
from cnmf_engine.io.mapnames import memmap_name
from cnmf_engine.io.readers import open_movie
from cnmf_engine.paths import get_tempdir

__all__ = ["Target", "write_frames", "write_map"]

# Pixels whose rows are written together in order C: keeps both sides of the transposition in the cache.
_TILE = 2048
_ENOUGH_FOR_FRAMES = 128 * 2**20


@dataclass(frozen=True)
class Target:
    """
    Which file to write.

    Attributes
    ----------
    base : Path
        Start of the name; without a folder the temporary one is meant.
    order : str
        ``'C'`` or ``'F'``.
    collapse : bool
        Make one of several underscores that follow each other, as CaImAn names single files.
    """

    base: Path
    order: str
    collapse: bool = True

    def __post_init__(self) -> None:
        if self.order not in ("C", "F"):
            raise ParameterError(
                explain("order 'C' or 'F'", repr(self.order), "use 'C' for CNMF-E, 'F' to read frames")
            )

    def path(self, dims: tuple[int, int], T: int) -> Path:
        """Give the full path for a movie of `dims` and `T` frames."""
        name = memmap_name(self.base.name, dims, self.order, T)
        has_folder = str(self.base) != self.base.name
        folder = self.base.expanduser().parent if has_folder else Path(get_tempdir())
        folder.mkdir(parents=True, exist_ok=True)
        return folder / (re.sub("_+", "_", name) if self.collapse else name)


def write_map(
    source: Any,
    target: Target,
    steps: Steps,
    var_name_hdf5: str = "mov",
    memory_limit: int | float | str | None = None,
) -> str:
    """
    Write a movie as a memory map.

    Parameters
    ----------
    source : str, Path, numpy.ndarray, list or MovieReader
        As for `cnmf_engine.io.open_movie`.
    target : Target
        The file.
    steps : Steps
        What is done to the frames.
    var_name_hdf5 : str
        Dataset to read from HDF5 files.
    memory_limit : int, float or str, optional
        Bytes to hold at once.

    Returns
    -------
    str
        The file.
    """
    budget = memory_budget(memory_limit)
    if target.order == "F":
        # Frames go out one after the other: larger blocks gain nothing.
        budget = min(budget, _ENOUGH_FOR_FRAMES)
    with open_movie(source, var_name_hdf5) as reader:
        frames = steps.frames(len(reader))
        check_shifts(steps.xy_shifts, len(reader))
        dims = final_dims(reader, steps)
        if not (len(frames) and min(dims) > 0):
            raise InputError(
                explain(
                    "a movie with at least one frame and one pixel",
                    f"{len(frames)} frames of {dims[0]} x {dims[1]} px after slicing {reader!r}",
                    "keep more: see remove_init, slices, idx_xy and resize_fact",
                )
            )
        floor = minimum(reader, frames, steps, budget) if steps.border_to_0 > 0 else 0.0
        blocks = processed(reader, frames, steps, floor, budget)
        T = max(int(len(frames) * steps.resize_fact[2]), 1)
        if T == len(frames):
            return write_frames(blocks, target, dims, T)
        return _write_resampled(blocks, target, dims, (len(frames), T), budget)


def write_frames(blocks: Iterator[np.ndarray], target: Target, dims: tuple[int, int], T: int) -> str:
    """
    Write consecutive blocks of frames as a memory map.

    Parameters
    ----------
    blocks : iterator of numpy.ndarray of shape (n, d1, d2)
        All frames in order.
    target : Target
        The file.
    dims : tuple of int
        Rows and columns.
    T : int
        Frames of all blocks together.

    Returns
    -------
    str
        The file.
    """
    path = target.path(dims, T)
    if path.exists() and not _can_replace(path):
        path = _unused(target, dims, T)
    with replacing(path) as partial:
        if target.order == "F":
            with open(partial, "wb") as file:
                for block in blocks:
                    # Columns first within a frame: pixels are numbered in Fortran order.
                    file.write(np.ascontiguousarray(block.transpose(0, 2, 1), dtype="<f4").data)
        else:
            _write_pixelwise(blocks, partial, dims[0] * dims[1], T)
        _check_complete(partial, 4 * dims[0] * dims[1] * T)
    return str(path)


def _write_pixelwise(blocks: Iterator[np.ndarray], path: Path, d: int, T: int) -> None:
    start = 0
    for block in blocks:
        n_frames = len(block)
        flat = block.transpose(0, 2, 1).reshape(n_frames, d)
        # Mapped anew for each block: pages already written then no longer count as this process's memory.
        out = np.memmap(path, dtype="<f4", mode="r+" if start else "w+", shape=(d, T))
        for first in range(0, d, _TILE):
            out[first : first + _TILE, start : start + n_frames] = flat[:, first : first + _TILE].T
        del out
        start += n_frames


def _write_resampled(
    blocks: Iterator[np.ndarray], target: Target, dims: tuple[int, int], lengths: tuple[int, int], budget: int
) -> str:
    """Change the number of frames, which needs whole time series: through a C-ordered intermediate map."""
    import cv2

    before, after = lengths
    scratch = write_frames(
        blocks, Target(target.base.with_name(f"{target.base.name}_resize"), "C"), dims, before
    )
    Yr = np.memmap(scratch, "<f4", "r", shape=(dims[0] * dims[1], before))
    path = target.path(dims, after)
    if path.exists() and not _can_replace(path):
        path = _unused(target, dims, after)
    try:
        with replacing(path) as partial:
            out = np.memmap(partial, "<f4", "w+", shape=(len(Yr), after), order=target.order)
            for pixels in pixel_blocks(len(Yr), 8 * (before + after), budget):
                out[pixels] = cv2.resize(
                    np.asarray(Yr[pixels]), (after, out[pixels].shape[0]), interpolation=cv2.INTER_AREA
                )
            del out
    finally:
        del Yr
        Path(scratch).unlink(missing_ok=True)
    return str(path)


def _check_complete(path: Path, needed: int) -> None:
    size = path.stat().st_size
    if size != needed:
        raise InputError(
            explain(f"{needed} bytes of frames", f"{size} bytes", "give as many frames as the name announces")
        )


def _can_replace(path: Path) -> bool:
    """Tell if an older file can be replaced: Windows refuses while someone has mapped it."""
    try:
        path.rename(path)
        with open(path, "r+b"):
            return True
    except OSError:
        return False


def _unused(target: Target, dims: tuple[int, int], T: int) -> Path:
    number = 2
    while True:
        other = Target(target.base.with_name(f"{target.base.name}-{number}"), target.order, target.collapse)
        path = other.path(dims, T)
        if not path.exists():
            return path
        number += 1
