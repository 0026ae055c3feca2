"""The names of memory maps, which carry their shape."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

from cnmf_engine.errors import InputError, explain

__all__ = ["MemmapInfo", "memmap_name", "parse_memmap_name"]

# Anchored at the end, so that a base name may contain any of these words (an animal called d1).
_NAME = re.compile(r"_d1_(\d+)_d2_(\d+)_d3_(\d+)_order_([CF])_frames_(\d+)_?$")


class MemmapInfo(NamedTuple):
    """
    What the name of a memory map says.

    Attributes
    ----------
    d1, d2, d3 : int
        Rows, columns, planes (1 for a movie of images).
    order : str
        ``'C'`` or ``'F'``.
    T : int
        Frames.
    """

    d1: int
    d2: int
    d3: int
    order: str
    T: int

    @property
    def dims(self) -> tuple[int, ...]:
        """Rows and columns, and planes if there are several."""
        return (self.d1, self.d2) if self.d3 == 1 else (self.d1, self.d2, self.d3)


def memmap_name(base: str, dims: tuple[int, ...], order: str, T: int) -> str:
    """
    Make the file name of a memory map.

    Parameters
    ----------
    base : str
        First part of the name, with or without a folder.
    dims : tuple of int
        Rows and columns (and planes).
    order : {'C', 'F'}
        Which of a pixel's time series (C) or a frame (F) is contiguous.
    T : int
        Frames.

    Returns
    -------
    str
        For instance ``Yr_d1_110_d2_130_d3_1_order_C_frames_900.mmap``.
    """
    d1, d2, d3 = (*dims, 1)[:3]
    return f"{base}_d1_{d1}_d2_{d2}_d3_{d3}_order_{order}_frames_{T}.mmap"


def parse_memmap_name(path: str | os.PathLike) -> MemmapInfo:
    """
    Read the shape of a memory map from its name.

    Parameters
    ----------
    path : str or path
        The file; only its name is looked at.

    Returns
    -------
    MemmapInfo
        Rows, columns, planes, order, frames.

    Raises
    ------
    InputError
        If the name doesn't end as `memmap_name` makes it.
    """
    match = _NAME.search(Path(path).stem)
    if match is None:
        raise InputError(
            explain(
                "a name that ends in _d1_<rows>_d2_<columns>_d3_1_order_<C or F>_frames_<T>",
                f"{Path(path).name!r}",
                "give the file the name it was saved with: the shape is stored nowhere else",
            )
        )
    d1, d2, d3, order, T = match.groups()
    return MemmapInfo(int(d1), int(d2), int(d3), order, int(T))
