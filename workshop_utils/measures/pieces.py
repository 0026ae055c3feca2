"""What a fit takes a movie apart into, frame by frame."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from scipy import sparse

from cnmf_engine.base.errors import InputError, explain

__all__ = ["FrameSource", "check_movie", "fit_pieces"]


class FrameSource:
    """
    A movie whose frames are made when they are looked at.

    Parameters
    ----------
    shape : (int, int, int)
        Frames, rows, columns.
    read : callable
        Gives the frame (rows, columns) of a number.
    """

    ndim = 3

    def __init__(self, shape: tuple[int, int, int], read: Callable[[int], Any]) -> None:
        self.shape = tuple(int(n) for n in shape)
        self._read = read

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, frame: int) -> np.ndarray:
        frame = int(frame)
        if not -len(self) <= frame < len(self):
            raise IndexError(f"frame {frame} of a movie with {len(self)} frames")
        return np.asarray(self._read(frame % len(self)))


def check_movie(movie: Any, name: str = "movie") -> tuple[int, int, int]:
    """Check that something is a movie (frames, rows, columns) with at least one frame; give its shape."""
    shape = tuple(getattr(movie, "shape", ()))
    if len(shape) != 3 or 0 in shape:
        raise InputError(
            explain(
                f"{name} as an array (frames, rows, columns) with at least one frame",
                f"shape {shape}",
                "load it with cm.load, or reshape a memory map with Yr.T.reshape((T,) + dims, order='F')",
            )
        )
    return shape


def fit_pieces(movie: Any, estimates: Any) -> dict[str, FrameSource]:
    """
    Take a movie apart into what a fit explains, and what is left.

    Nothing is computed but the frames that are looked at, so the movie may be longer than the memory.

    Parameters
    ----------
    movie : array of shape (T, d1, d2)
        The movie that was fitted, or a memory map of it.
    estimates : Estimates
        The fit, with its background (``W`` and ``b0``, or ``b`` and ``f``).

    Returns
    -------
    dict of str to FrameSource of shape (T, d1, d2)
        ``movie``, ``cells`` (A C), ``background`` (B) and ``residual`` (Y - A C - B), in the movie's unit.

    Raises
    ------
    InputError
        If the movie has another size than the fit.
    """
    shape = check_movie(movie)
    fitted = (np.shape(estimates.C)[1], np.shape(estimates.A)[0])
    if fitted != (shape[0], shape[1] * shape[2]):
        raise InputError(
            explain(
                f"the movie of the fit, {fitted[0]} frames of {fitted[1]} pixels",
                f"{shape[0]} frames of {shape[1]} x {shape[2]} pixels",
                "pass the movie that fit was called with",
            )
        )
    A = sparse.csc_matrix(estimates.A)

    # Background and residual of a frame are looked at together, and the background is the slow part.
    @lru_cache(maxsize=4)
    def pieces(frame: int) -> dict[str, np.ndarray]:
        Y = np.asarray(movie[frame], np.float32).reshape((-1, 1), order="F")
        at = _at(estimates, slice(frame, frame + 1))
        cells, background = A @ at.C, at.compute_background(Y)
        matrices = {"movie": Y, "cells": cells, "background": background, "residual": Y - cells - background}
        return {name: np.asarray(M).reshape(shape[1:], order="F") for name, M in matrices.items()}

    names = ("movie", "cells", "background", "residual")
    return {name: FrameSource(shape, lambda frame, name=name: pieces(frame)[name]) for name in names}


def _at(estimates: Any, frames: slice) -> Any:
    """Give the model of some frames only: its background of the whole movie is as large as the movie."""
    part = copy.copy(estimates)
    part.C = np.asarray(estimates.C)[:, frames]
    if estimates.f is not None and np.size(estimates.f):
        part.f = np.atleast_2d(estimates.f)[:, frames]
    return part
