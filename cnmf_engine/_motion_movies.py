"""Movies as motion correction sees them: cropped, corrected while they are read, saved block by block."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cnmf_engine.bad_pixels import RepairedMovie, find_bad_pixels
from cnmf_engine.blocks import frame_blocks, memory_budget
from cnmf_engine.errors import InputError, explain
from cnmf_engine.io import Target, open_movie, write_frames
from cnmf_engine.registration import apply_shifts, patch_grid, warp
from cnmf_engine.registration.passes import check_movie
from cnmf_engine.registration.warping import fill_missing

if TYPE_CHECKING:
    from cnmf_engine.motion import MotionCorrect

__all__ = [
    "CorrectedMovie",
    "CroppedMovie",
    "corrected_movie",
    "crop",
    "found_shifts",
    "largest_value",
    "opened",
    "smallest_value",
    "source_name",
    "stems",
    "writer",
]

logger = logging.getLogger("caiman")

_LARGEST_BLOCK = 64 * 2**20
_ARRAY_STEM = "tmp_mov_mot_corr"


class CroppedMovie:
    """
    Part of the image of a movie, cut out when frames are read.

    Parameters
    ----------
    movie : array_like of shape (T, d1, d2)
        The whole movie.
    rows, cols : slice
        What to keep.
    """

    def __init__(self, movie: Any, rows: slice, cols: slice) -> None:
        self._movie, self._rows, self._cols = movie, rows, cols
        kept = [len(range(*part.indices(d))) for part, d in zip((rows, cols), movie.shape[1:])]
        self.shape = (movie.shape[0], *kept)
        self.dtype = movie.dtype

    def __getitem__(self, frames: slice) -> np.ndarray:
        return np.asarray(self._movie[frames])[:, self._rows, self._cols]


class CorrectedMovie:
    """
    A movie whose frames are moved when they are read.

    Parameters
    ----------
    movie : array_like of shape (T, d1, d2)
        The original.
    move : callable
        Takes ``(frames, numbers)``, the frames (n, d1, d2) and a slice with their numbers; returns them
        corrected.
    """

    def __init__(self, movie: Any, move: Callable[[np.ndarray, slice], np.ndarray]) -> None:
        self._movie, self._move = movie, move
        self.shape = tuple(movie.shape)

    def __getitem__(self, frames: slice) -> np.ndarray:
        return self._move(np.asarray(self._movie[frames]), frames)

    def blocks(self, memory_limit: int | float | str | None = None) -> Iterator[np.ndarray]:
        """All corrected frames, in blocks that fit the memory budget and aren't larger than 64 MB."""
        budget = min(memory_budget(memory_limit), _LARGEST_BLOCK)
        for frames in frame_blocks(self.shape[0], 16 * self.shape[1] * self.shape[2], budget):
            yield self[frames]


@contextmanager
def opened(corrector: MotionCorrect, source: Any) -> Iterator[Any]:
    """
    Open a movie, cut out what the corrector's `indices` say, and fill its bad pixels.

    Parameters
    ----------
    corrector : MotionCorrect
        Its settings are used.
    source : str, Path, numpy.ndarray or list of those
        The movie.

    Yields
    ------
    array_like of shape (T, d1, d2)
        Frames on demand.
    """
    with open_movie(source, corrector.var_name_hdf5) as reader:
        movie = crop(reader, corrector.indices)
        if not corrector.repair_pixels:
            yield movie
            return
        name = source_name(source)
        if name not in corrector._bad:
            check_movie(movie)
            corrector._bad[name] = bad = find_bad_pixels(movie)
            if bad:
                logger.warning(
                    "Pixels that don't show light from their place are filled from their neighbours: %s "
                    "(repair_pixels=False leaves them as they are)",
                    bad,
                )
        bad = corrector._bad[name]
        yield RepairedMovie(movie, bad) if bad else movie


def source_name(source: Any) -> Any:
    """Tell movies apart: paths by their text, arrays by what they are."""
    if isinstance(source, list | tuple):
        return tuple(map(source_name, source))
    return str(source) if isinstance(source, str | os.PathLike) else id(source)


def crop(movie: Any, indices: tuple[slice, slice] | slice) -> Any:
    """
    Cut the image as the argument `indices` of `MotionCorrect` says.

    Parameters
    ----------
    movie : array_like of shape (T, d1, d2)
        The movie.
    indices : tuple of two slices
        Rows and columns to keep; CaImAn's default, the type ``slice`` itself, keeps everything.

    Returns
    -------
    array_like
        The movie itself if everything is kept.

    Raises
    ------
    InputError
        If nothing is left.
    """
    parts = indices if isinstance(indices, list | tuple) else (indices,)
    rows, cols = [part if isinstance(part, slice) else slice(None) for part in (*parts, None)][:2]
    check_movie(movie)
    if rows == cols == slice(None):
        return movie
    cropped = CroppedMovie(movie, rows, cols)
    if 0 in cropped.shape:
        raise InputError(
            explain(
                f"indices within {movie.shape[1]} rows and {movie.shape[2]} columns",
                f"{indices!r}, which leave nothing",
                "give two slices, e.g. indices=(slice(10, -10), slice(10, -10))",
            )
        )
    return cropped


def stems(sources: list) -> list[str]:
    """
    Name the corrected movies.

    Parameters
    ----------
    sources : list of str, Path or array
        The movies.

    Returns
    -------
    list of str
        File names without suffix, made unique: files of one name may come from several folders.
    """
    names: list[str] = []
    for source in sources:
        stem = Path(source).stem if isinstance(source, str | os.PathLike) else _ARRAY_STEM
        number, name = 1, stem
        while name in names:
            number += 1
            name = f"{stem}-{number}"
        names.append(name)
    return names


def writer(
    base: str | Path, shape: tuple[int, int, int], order: str = "F"
) -> Callable[[Iterator[np.ndarray]], str]:
    """
    Prepare to save a movie as a memory map.

    Parameters
    ----------
    base : str or Path
        Start of the name; without a folder the map goes to the temporary one.
    shape : tuple of int
        Frames, rows, columns.
    order : {'F', 'C'}
        Which way round it is written.

    Returns
    -------
    callable
        Takes an iterator of blocks of frames, returns the path.
    """
    target = Target(Path(base), order, collapse=False)
    return lambda blocks: write_frames(blocks, target, tuple(shape[1:]), shape[0])


def smallest_value(movie: Any, prepare: Callable[[np.ndarray], np.ndarray], n_frames: int) -> float:
    """
    Find the minimum of the first frames, after some preparation.

    Parameters
    ----------
    movie : array_like of shape (T, d1, d2)
        The movie.
    prepare : callable
        Applied to blocks of frames.
    n_frames : int
        How many frames to look at.

    Returns
    -------
    float
        The minimum of what is finite.

    Raises
    ------
    InputError
        If a frame has no finite pixel.
    """
    found = []
    for index in np.array_split(np.arange(min(n_frames, movie.shape[0])), -(-n_frames // 50)):
        if index.size:
            frames = np.asarray(movie[int(index[0]) : int(index[-1]) + 1])
            found.append(prepare(fill_missing(frames, index)[0]).min())
    return float(min(found))


def largest_value(shifts: np.ndarray) -> int:
    """
    Tell how wide a border the shifts touch.

    Parameters
    ----------
    shifts : ndarray
        Shifts, px.

    Returns
    -------
    int
        The largest, rounded up.
    """
    return int(np.ceil(np.abs(shifts).max()))


def found_shifts(corrector: MotionCorrect, rigid: bool) -> np.ndarray:
    """
    Collect the shifts that were found.

    Parameters
    ----------
    corrector : MotionCorrect
        After `motion_correct`.
    rigid : bool
        Which kind.

    Returns
    -------
    ndarray of shape (T, 2), or (T, 2, n_patches) if not rigid
        Shifts of all frames, px.

    Raises
    ------
    InputError
        If there are none yet.
    """
    name = "shifts_rig" if rigid else "x_shifts_els"
    if not hasattr(corrector, name):
        raise InputError(explain("shifts to apply", f"no {name} yet", "call motion_correct() first"))
    if rigid:
        return np.array(corrector.shifts_rig)
    return np.stack([corrector.x_shifts_els, corrector.y_shifts_els], axis=1)


def corrected_movie(corrector: MotionCorrect, movie: Any, shifts: np.ndarray, rigid: bool) -> CorrectedMovie:
    """
    View a movie with its frames moved.

    Parameters
    ----------
    corrector : MotionCorrect
        Its patches and border mode are used.
    movie : array_like of shape (T, d1, d2)
        The movie.
    shifts : ndarray of shape (T, 2), or (T, 2, n_patches) if not rigid
        Its shifts, px.
    rigid : bool
        Which kind they are.

    Returns
    -------
    CorrectedMovie
        Frames are moved when they are read.

    Raises
    ------
    InputError
        If there isn't one shift a frame.
    """
    if movie.shape[0] != len(shifts):
        raise InputError(
            explain(
                f"a movie of {len(shifts)} frames, as many as were corrected",
                f"{movie.shape[0]} frames",
                "pass the movie that was recorded at the same time",
            )
        )
    border = corrector.border_nan
    if rigid:
        return CorrectedMovie(movie, lambda frames, index: apply_shifts(frames, shifts[index], border))
    grid = patch_grid(movie.shape[1:], corrector.strides, corrector.overlaps, corrector.shifts_interpolate)

    def move(frames: np.ndarray, index: slice) -> np.ndarray:
        return warp(fill_missing(frames)[0], shifts[index, 0], shifts[index, 1], grid, border)

    return CorrectedMovie(movie, move)
