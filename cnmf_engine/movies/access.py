"""Read frames or pixels of a movie, whichever way round it lies in memory or on disk."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from cnmf_engine.base.errors import InputError, explain

__all__ = ["check_movie", "frames_as_pixels", "matching_pixels", "pixel_numbers"]


def check_movie(movie: np.ndarray, n_pixels: int, n_frames: int | None = None) -> np.ndarray:
    """
    Check that a movie is the one that components came from.

    Parameters
    ----------
    movie : ndarray or memmap of shape (T, d1, d2) or (d, T)
        The movie.
    n_pixels : int
        Pixels of a footprint.
    n_frames : int, optional
        Frames of a trace.

    Returns
    -------
    ndarray or memmap
        The movie itself.

    Raises
    ------
    InputError
        If it isn't an array of that size.
    """
    shape = np.shape(movie)
    wanted = f"a movie of {n_pixels} pixels" + (f" and {n_frames} frames" if n_frames is not None else "")
    if len(shape) == 3:
        pixels, frames = shape[1] * shape[2], shape[0]
    elif len(shape) == 2:
        pixels, frames = shape
    else:
        fix = "pass the movie as an array (frames, rows, columns), for example what load_memmap gave"
        raise InputError(explain(wanted, f"{type(movie).__name__} of shape {shape}", fix))
    if pixels != n_pixels or n_frames not in (None, frames):
        fix = "pass the whole movie that the components were found in"
        raise InputError(explain(wanted, f"shape {shape}: {pixels} pixels and {frames} frames", fix))
    return movie if isinstance(movie, np.ndarray) else np.asarray(movie)


def frames_as_pixels(movie: np.ndarray, frames: slice) -> np.ndarray:
    """
    Read some frames with their pixels flattened.

    Parameters
    ----------
    movie : ndarray or memmap of shape (T, d1, d2) or (d, T)
        The movie.
    frames : slice
        Which frames.

    Returns
    -------
    ndarray of shape (d, n), float32
        Pixels in Fortran order by frames.
    """
    if movie.ndim == 2:
        return np.asarray(movie[:, frames], dtype=np.float32)
    block = np.asarray(movie[frames], dtype=np.float32)
    return block.transpose(2, 1, 0).reshape(-1, len(block))


def matching_pixels(movie: np.ndarray, A: sparse.csc_matrix) -> tuple[np.ndarray, sparse.csc_matrix]:
    """
    Flatten a movie without copying it where that can be done, and order footprints' pixels alike.

    Parameters
    ----------
    movie : ndarray or memmap of shape (T, d1, d2) or (d, T)
        The movie.
    A : csc_matrix of shape (d, K)
        Footprints, pixels in Fortran order.

    Returns
    -------
    Yr : ndarray or memmap of shape (d, T)
        The movie; a view if rows or columns of a frame lie one after the other.
    A : csc_matrix of shape (d, K)
        Footprints, pixels in the order of ``Yr``.
    """
    if movie.ndim == 2:
        return movie, A
    n_frames, d1, d2 = movie.shape
    number = pixel_numbers(movie, (d1, d2))
    if d1 == 1 or number[1, 0] == 1:
        return movie.transpose(0, 2, 1).reshape(n_frames, -1).T, A
    # Pixels of this movie run along rows: it is cheaper to reorder the footprints than the movie.
    order = np.empty(d1 * d2, dtype=int)
    order[number.ravel(order="F")] = np.arange(d1 * d2)
    return movie.reshape(n_frames, -1).T, A.tocsr()[order].tocsc()


def pixel_numbers(movie: np.ndarray, dims: tuple[int, int]) -> np.ndarray:
    """
    Tell where `matching_pixels` puts each pixel of the image.

    Parameters
    ----------
    movie : ndarray or memmap of shape (T, d1, d2) or (d, T)
        The movie.
    dims : tuple of int
        Rows and columns.

    Returns
    -------
    ndarray of shape (d1, d2), int
        Row of ``Yr`` that holds each pixel.
    """
    d1, d2 = dims
    fortran = movie.ndim == 2 or d1 == 1 or movie.strides[2] == d1 * movie.strides[1]
    return np.arange(d1 * d2).reshape(d1, d2, order="F" if fortran else "C")
