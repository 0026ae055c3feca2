"""Writing memory maps in blocks: what is done to the frames on the way, and in which order bytes go out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cnmf_engine.base.errors import InputError, ParameterError, explain
from cnmf_engine.base.files import check_room, replacing
from cnmf_engine.base.memory import pixel_blocks
from cnmf_engine.base.parallel import RUN, Run
from cnmf_engine.base.paths import get_tempdir
from cnmf_engine.movies.maps import memmap_name
from cnmf_engine.movies.opening import open_movie
from cnmf_engine.movies.reader import MovieReader
from cnmf_engine.movies.steps import Steps, check_shifts, final_dims, minimum, processed
from cnmf_engine.movies.turning import FrameFile, write_series

__all__ = ["Target", "map_writer", "write_frames", "write_map"]

# Frames go out one after the other: larger blocks gain nothing.
_ENOUGH_FOR_FRAMES = 32 * 2**20
_FRAMES_TURNED = 16


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
    run: Run = RUN,
) -> str:
    """
    Write a movie as a memory map.

    Parameters
    ----------
    source : str, Path, numpy.ndarray, list or MovieReader
        As for `cnmf_engine.movies.open_movie`.
    target : Target
        The file.
    steps : Steps
        What is done to the frames.
    var_name_hdf5 : str
        Dataset to read from HDF5 files.
    run : Run
        How much memory blocks may take, and which workers turn them.

    Returns
    -------
    str
        The file.
    """
    budget = run.budget
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
        parts = _frame_files(reader)
        if target.order == "C" and parts and steps.keep_frames:
            return _turn_files(parts, target, steps, floor, (dims, len(reader)), run)
        blocks = processed(reader, frames, steps, floor, min(budget, _ENOUGH_FOR_FRAMES))
        T = max(int(len(frames) * steps.resize_fact[2]), 1)
        if T == len(frames):
            return write_frames(blocks, target, dims, T, run)
        return _write_resampled(blocks, target, dims, (len(frames), T), run)


def _frame_files(reader: MovieReader) -> list[FrameFile]:
    """Raw files of frames that a movie consists of; none if any part is something else."""
    parts = getattr(reader, "readers", [reader])
    files = [FrameFile(part.frame_file, len(part)) for part in parts if part.frame_file]
    return files if len(files) == len(parts) else []


def _turn_files(
    parts: list[FrameFile],
    target: Target,
    steps: Steps,
    floor: float,
    size: tuple[tuple[int, int], int],
    run: Run,
) -> str:
    """Write order C straight from files of order F."""
    dims, T = size
    border = np.ones(dims, bool)
    width = int(steps.border_to_0)
    border[width : dims[0] - width, width : dims[1] - width] = False
    border = border.ravel(order="F")

    def finish(series: np.ndarray, pixels: slice) -> None:
        if width > 0:
            series[border[pixels]] = floor
        if steps.add_to_movie:
            series += np.float32(steps.add_to_movie)

    path = _free_path(target, dims, T)
    with replacing(path) as partial:
        check_room(partial, 4 * dims[0] * dims[1] * T)
        write_series(parts, partial, dims[0] * dims[1], finish, run)
    return str(path)


def write_frames(
    blocks: Iterator[np.ndarray],
    target: Target,
    dims: tuple[int, int],
    T: int,
    run: Run = RUN,
) -> str:
    """
    Write consecutive blocks of frames as a memory map.

    Order C is reached through a temporary file of order F beside it, so that each file is written from start
    to end once, whatever its size.

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
    run : Run
        How much memory may be held besides the blocks, and which workers turn them.

    Returns
    -------
    str
        The file.
    """
    path, d = _free_path(target, dims, T), dims[0] * dims[1]
    with replacing(path) as partial:
        framewise = partial if target.order == "F" else partial.with_suffix(".frames")
        check_room(partial, (2 if target.order == "C" else 1) * 4 * d * T)
        try:
            with open(framewise, "wb") as file:
                for block in blocks:
                    _write_block(file, block)
            _check_complete(framewise, 4 * d * T)
            if target.order == "C":
                write_series([FrameFile(framewise, T)], partial, d, run=run)
        finally:
            if target.order == "C":
                framewise.unlink(missing_ok=True)
    return str(path)


def map_writer(
    base: str | Path, shape: tuple[int, int, int], order: str = "F", run: Run = RUN
) -> Callable[[Iterator[np.ndarray]], str]:
    """
    Prepare to save frames as a memory map while they are made.

    Parameters
    ----------
    base : str or Path
        Start of the file's name; without a folder it goes to the temporary one.
    shape : tuple of int
        Frames, rows, columns.
    order : {'F', 'C'}
        Frames (F) or time series (C, which fits read fastest) together.
    run : Run
        How much memory may be held besides the blocks.

    Returns
    -------
    callable
        Takes an iterator of blocks ``(n, d1, d2)`` in order; returns the file's path.
    """
    target = Target(Path(base), order, collapse=False)
    return lambda blocks: write_frames(blocks, target, tuple(shape[1:]), shape[0], run)


def _write_block(file: Any, block: np.ndarray) -> None:
    """Write frames with their columns first: pixels are numbered in Fortran order."""
    import cv2

    columns_first = block.transpose(0, 2, 1)
    if columns_first.flags.c_contiguous and block.dtype == "<f4":
        # Motion correction makes its frames this way round.
        file.write(columns_first.data)
        return
    d1, d2 = block.shape[1:]
    room = np.empty((min(_FRAMES_TURNED, len(block)), d2, d1), "<f4")
    for first in range(0, len(block), len(room)):
        part = block[first : first + len(room)]
        for frame, turned in zip(part, room):
            cv2.transpose(np.ascontiguousarray(frame, dtype=np.float32), dst=turned)
        file.write(room[: len(part)].data)


def _write_resampled(
    blocks: Iterator[np.ndarray], target: Target, dims: tuple[int, int], lengths: tuple[int, int], run: Run
) -> str:
    """Change the number of frames, which needs whole time series: through a C-ordered intermediate map."""
    import cv2

    before, after = lengths
    scratch = write_frames(
        blocks, Target(target.base.with_name(f"{target.base.name}_resize"), "C"), dims, before, run
    )
    Yr = np.memmap(scratch, "<f4", "r", shape=(dims[0] * dims[1], before))
    path = _free_path(target, dims, after)
    try:
        with replacing(path) as partial:
            pixelwise = partial if target.order == "C" else partial.with_suffix(".series")
            check_room(partial, (1 if target.order == "C" else 2) * 4 * len(Yr) * after)
            try:
                # Written, not mapped: a full disk would end Python while values are put into a map.
                with open(pixelwise, "wb") as file:
                    for pixels in pixel_blocks(len(Yr), 8 * (before + after), run.budget):
                        series = np.asarray(Yr[pixels])
                        file.write(
                            cv2.resize(series, (after, len(series)), interpolation=cv2.INTER_AREA).data
                        )
                if target.order == "F":
                    # Turned the other way round: pixels take the place of frames.
                    write_series([FrameFile(pixelwise, len(Yr))], partial, after, run=run)
            finally:
                if target.order == "F":
                    pixelwise.unlink(missing_ok=True)
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


def _free_path(target: Target, dims: tuple[int, int], T: int) -> Path:
    """Give the file's path, with a number if an older file of that name is in use."""
    path = target.path(dims, T)
    return path if not path.exists() or _can_replace(path) else _unused(target, dims, T)


def _unused(target: Target, dims: tuple[int, int], T: int) -> Path:
    number = 2
    while True:
        other = Target(target.base.with_name(f"{target.base.name}-{number}"), target.order, target.collapse)
        path = other.path(dims, T)
        if not path.exists():
            return path
        number += 1
