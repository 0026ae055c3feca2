"""What happens to the frames of a movie on their way into a memory map."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnmf_engine.base.errors import InputError, ParameterError, explain
from cnmf_engine.base.memory import frame_blocks
from cnmf_engine.movies.reader import MovieReader

__all__ = ["Steps", "check_shifts", "final_dims", "minimum", "processed"]


@dataclass(frozen=True)
class Steps:
    """
    What happens to the frames on the way: see `cnmf_engine.caiman.mmapping.save_memmap`.

    Attributes
    ----------
    resize_fact, remove_init, idx_xy, slices, xy_shifts, add_to_movie, border_to_0
        As in `save_memmap`.
    """

    resize_fact: tuple[float, ...] = (1, 1, 1)
    remove_init: int = 0
    idx_xy: Any = None
    slices: Any = None
    xy_shifts: Any = None
    add_to_movie: float = 0
    border_to_0: int = 0

    def __post_init__(self) -> None:
        if len(self.resize_fact) != 3 or min(self.resize_fact) <= 0:
            raise ParameterError(
                explain(
                    "three positive scales (rows, columns, time) in resize_fact",
                    repr(self.resize_fact),
                    "use (0.5, 0.5, 1) to halve rows and columns",
                )
            )

    def frames(self, n_frames: int) -> np.ndarray:
        """Which frames are kept, of `n_frames`."""
        kept = np.arange(n_frames)[self.remove_init :]
        return kept[self.slices[0]] if self.slices is not None else kept

    @property
    def keep_frames(self) -> bool:
        """Whether all frames stay as they are, but for their border and a constant."""
        changed = any(step is not None for step in (self.idx_xy, self.slices, self.xy_shifts))
        return tuple(self.resize_fact) == (1, 1, 1) and not self.remove_init and not changed

    def pixels(self) -> tuple[Any, Any]:
        """Which rows and columns are kept."""
        rows, columns = (slice(None), slice(None)) if self.slices is None else tuple(self.slices[1:3])
        return (rows, columns) if self.idx_xy is None else tuple(self.idx_xy[:2])


def processed(
    reader: MovieReader, frames: np.ndarray, steps: Steps, floor: float, budget: int
) -> Iterator[np.ndarray]:
    """Yield the frames of a movie in blocks, with all steps but the change of length applied."""
    rows, columns = steps.pixels()
    scaled = tuple(steps.resize_fact[:2]) != (1, 1)
    for block, _ in _read_blocks(reader, frames, steps, budget):
        block = block[:, rows, :][:, :, columns]
        border = int(steps.border_to_0)
        if border > 0:
            block = block.copy()
            for edge in (np.s_[:, :border], np.s_[:, -border:], np.s_[..., :border], np.s_[..., -border:]):
                block[edge] = floor
        if scaled:
            block = _scaled(block, steps.resize_fact)
        yield block + np.float32(steps.add_to_movie) if steps.add_to_movie else block


def _read_blocks(
    reader: MovieReader, frames: np.ndarray, steps: Steps, budget: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    # The block as stored, as float32, and one more copy while it is worked on.
    per_frame = reader.shape[1] * reader.shape[2] * (reader.dtype.itemsize + 8)
    for part in frame_blocks(len(frames), per_frame, budget):
        chosen = frames[part]
        consecutive = len(chosen) > 0 and chosen[-1] - chosen[0] == len(chosen) - 1
        block = reader[int(chosen[0]) : int(chosen[-1]) + 1] if consecutive else reader[chosen]
        block = block.astype(np.float32, copy=False)
        if steps.xy_shifts is not None:
            block = _shifted(block, np.asarray(steps.xy_shifts, dtype=float)[chosen])
        yield block, chosen


def minimum(reader: MovieReader, frames: np.ndarray, steps: Steps, budget: int) -> float:
    """Find the lowest value that is kept, NaN left aside; 0 if there is none."""
    rows, columns = steps.pixels()
    lowest = np.inf
    for block, _ in _read_blocks(reader, frames, steps, budget):
        # fmin passes over NaN borders without a copy.
        lowest = min(lowest, float(np.fmin.reduce(block[:, rows, :][:, :, columns], axis=None)))
    return lowest if np.isfinite(lowest) else 0.0


def _shifted(block: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    import cv2

    moved = np.empty_like(block)
    for index, (down, right) in enumerate(shifts):
        matrix = np.array([[1, 0, right], [0, 1, down]], dtype=np.float32)
        size = (block.shape[2], block.shape[1])
        moved[index] = cv2.warpAffine(
            block[index], matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
        )
    return moved


def _scaled(block: np.ndarray, factors: tuple[float, ...]) -> np.ndarray:
    import cv2

    d1, d2 = (max(int(size * factor), 1) for size, factor in zip(block.shape[1:], factors))
    frames = (
        cv2.resize(frame, (d2, d1), interpolation=cv2.INTER_AREA) for frame in np.ascontiguousarray(block)
    )
    return np.stack(list(frames))


def final_dims(reader: MovieReader, steps: Steps) -> tuple[int, int]:
    """Tell how many rows and columns are left."""
    kept = np.empty(reader.shape[1:], dtype=bool)
    rows, columns = steps.pixels()
    d1, d2 = kept[rows, :][:, columns].shape
    scale_rows, scale_columns, _ = steps.resize_fact
    if (scale_rows, scale_columns) == (1, 1) or 0 in (d1, d2):
        return d1, d2
    return max(int(d1 * scale_rows), 1), max(int(d2 * scale_columns), 1)


def check_shifts(shifts: Any, n_frames: int) -> None:
    """Raise an `InputError` unless there is one (row, column) shift a frame."""
    if shifts is not None and np.shape(shifts) != (n_frames, 2):
        raise InputError(
            explain(
                f"one (row, column) shift a frame in xy_shifts, shape ({n_frames}, 2)",
                f"shape {np.shape(shifts)}",
                "pass the shifts of this movie, for instance mc.shifts_rig",
            )
        )
