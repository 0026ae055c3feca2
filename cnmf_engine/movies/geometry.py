"""Pixels, images and patches: how a flattened field of view (Fortran order) is laid out."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import sparse

from cnmf_engine.base.memory import drop_pages

__all__ = [
    "Box",
    "as_cube",
    "as_image",
    "bounding_box",
    "centre",
    "coarse_dims",
    "decimate",
    "flat_index",
    "read_box",
    "read_decimated",
    "upsample_image",
]


#: Values of a movie that are read at a time; 4 million float32 are 16 MB.
_READ_VALUES = 2**22
#: Frames that tell about how bright a pixel is.
_FEW_FRAMES = 16


class Box(NamedTuple):
    """Rows ``r0 .. r1-1`` and columns ``c0 .. c1-1`` of an image."""

    r0: int
    r1: int
    c0: int
    c1: int

    @property
    def dims(self) -> tuple[int, int]:
        """Rows and columns of the box."""
        return self.r1 - self.r0, self.c1 - self.c0

    @property
    def slices(self) -> tuple[slice, slice]:
        """Slices that cut the box out of an image."""
        return slice(self.r0, self.r1), slice(self.c0, self.c1)

    def around(self, margin: int, dims: tuple[int, int]) -> Box:
        """Box grown by a margin on each side and clipped to the image."""
        return Box(
            max(self.r0 - margin, 0),
            min(self.r1 + margin, dims[0]),
            max(self.c0 - margin, 0),
            min(self.c1 + margin, dims[1]),
        )

    def within(self, outer: Box) -> Box:
        """Return the same box in the coordinates of a box that holds it."""
        return Box(self.r0 - outer.r0, self.r1 - outer.r0, self.c0 - outer.c0, self.c1 - outer.c0)


def flat_index(box: Box, dims: tuple[int, int]) -> np.ndarray:
    """
    Flattened indices (Fortran order) of a box's pixels.

    Parameters
    ----------
    box : Box
        Part of the image.
    dims : tuple of int
        Rows and columns of the image.

    Returns
    -------
    ndarray of shape (rows * columns of the box,), int64
        Indices, in the box's own Fortran order.
    """
    rows = np.arange(box.r0, box.r1)
    columns = np.arange(box.c0, box.c1)
    return (rows[None, :] + dims[0] * columns[:, None]).ravel()


def as_image(values: np.ndarray, dims: tuple[int, int]) -> np.ndarray:
    """View of flattened values ``(d,)`` as an image ``(d1, d2)``."""
    return np.reshape(values, dims, order="F")


def as_cube(Y: np.ndarray, dims: tuple[int, int]) -> np.ndarray:
    """View of traces ``(d, T)``, C-contiguous, as ``(d1, d2, T)``; each pixel's trace stays contiguous."""
    return Y.reshape(dims[1], dims[0], -1).transpose(1, 0, 2)


def read_box(images: np.ndarray, box: Box) -> np.ndarray:
    """
    Read a box of a movie into memory.

    Parameters
    ----------
    images : ndarray or memmap of shape (T, d1, d2)
        Movie; on a view of an order-C memory map the read is contiguous.
    box : Box
        Part of the image.

    Returns
    -------
    ndarray of shape (rows * columns, T), float32
        Copy of the traces, pixels in Fortran order. Pages of a mapped file are given back.
    """
    block = images[(slice(None), *box.slices)]
    Y = np.array(block.transpose(2, 1, 0), dtype=np.float32, order="C").reshape(-1, len(images))
    drop_pages(block)
    return Y


def centre(Y: np.ndarray) -> np.ndarray:
    """
    Take off each pixel's mean, in place.

    A camera's counts lie about a brightness of hundreds or tens of thousands, and whatever is summed on top
    of it in float32 loses that many digits of the fluctuations. First a whole number is taken off, which is
    exact for counts: a constant added to the movie, then, changes no bit of the result.

    Parameters
    ----------
    Y : ndarray of shape (d, T), float32
        Traces.

    Returns
    -------
    ndarray of shape (d,), float64
        What was taken off; NaN or infinite for pixels that aren't finite.
    """
    step = max(Y.shape[1] // _FEW_FRAMES, 1)
    level = np.floor(Y[:, ::step].mean(axis=1, dtype=np.float64) + 0.5).astype(np.float32)
    with np.errstate(invalid="ignore"):
        Y -= level[:, None]
        rest = Y.mean(axis=1, dtype=np.float64).astype(np.float32)
        Y -= rest[:, None]
    return level + rest.astype(np.float64)


def read_decimated(
    images: np.ndarray,
    box: Box,
    ssub: int = 1,
    tsub: int = 1,
    look: Callable[[np.ndarray, np.ndarray, Box], None] | None = None,
) -> np.ndarray:
    """
    Read a box of a movie, take off each pixel's mean, and average blocks of pixels and frames on the way.

    A few columns are read at a time, so that the full movie of the box is never in memory.

    Parameters
    ----------
    images : ndarray or memmap of shape (T, d1, d2)
        Movie.
    box : Box
        Part of the image.
    ssub, tsub : int
        Block sizes in px and in frames.
    look : callable, optional
        Called for each strip with its traces, (pixels, T) float32, the means that were taken off them,
        (pixels,) float64, and its box.

    Returns
    -------
    ndarray of shape (ceil(rows/ssub) * ceil(columns/ssub), ceil(T/tsub)), float32
        What `decimate` makes of the centred box.
    """
    T = len(images)
    rows, columns = coarse_dims(box.dims, ssub)
    out = np.empty((rows * columns, -(-T // tsub)), dtype=np.float32)
    width = max(_READ_VALUES // (T * box.dims[0] * ssub), 1) * ssub
    for c in range(box.c0, box.c1, width):
        strip = box._replace(c0=c, c1=min(c + width, box.c1))
        Y = read_box(images, strip)
        mean = centre(Y)
        if look:
            look(Y, mean, strip)
        part = decimate(Y, strip.dims, ssub, tsub)
        first = (c - box.c0) // ssub * rows
        out[first : first + len(part)] = part
    return out


def decimate(Y: np.ndarray, dims: tuple[int, int], ssub: int = 1, tsub: int = 1) -> np.ndarray:
    """
    Average blocks of pixels and of frames; incomplete blocks at the ends average what is there.

    Parameters
    ----------
    Y : ndarray of shape (d, T), float32
        Traces, pixels in Fortran order.
    dims : tuple of int
        Rows and columns.
    ssub, tsub : int
        Block sizes in px and in frames.

    Returns
    -------
    ndarray of shape (ceil(d1/ssub) * ceil(d2/ssub), ceil(T/tsub)), float32
        Decimated traces, pixels in Fortran order; `Y` itself if there is nothing to do.
    """
    if tsub > 1:
        Y = _block_mean(Y, axis=1, block=tsub)
    if ssub > 1:
        cube = Y.reshape(dims[1], dims[0], -1)
        cube = _block_mean(_block_mean(cube, axis=1, block=ssub), axis=0, block=ssub)
        Y = cube.reshape(-1, cube.shape[-1])
    return Y


def coarse_dims(dims: tuple[int, int], ssub: int) -> tuple[int, int]:
    """Rows and columns of a grid coarser by blocks of ``ssub`` px."""
    return -(-dims[0] // ssub), -(-dims[1] // ssub)


def _block_mean(Y: np.ndarray, axis: int, block: int) -> np.ndarray:
    """Mean over consecutive blocks of one axis."""
    n = Y.shape[axis]
    whole = n // block

    def part(start: int, step: int | None, stop: int | None = None) -> tuple:
        return (slice(None),) * axis + (slice(start, stop, step),)

    shape = list(Y.shape)
    shape[axis] = -(-n // block)
    out = np.empty(shape, dtype=np.float32)
    target = out[part(0, None, whole)]
    np.copyto(target, Y[part(0, block, whole * block)])
    for i in range(1, block):
        target += Y[part(i, block, whole * block)]
    target /= block
    if n % block:
        out[part(whole, None)] = Y[part(whole * block, None)].mean(axis=axis, keepdims=True)
    return out


def upsample_image(
    values: np.ndarray, coarse: tuple[int, int], dims: tuple[int, int], ssub: int
) -> np.ndarray:
    """
    Repeat coarse pixels, the reverse of `decimate` in space.

    Parameters
    ----------
    values : ndarray of shape (coarse pixels, n)
        Values on the coarse grid, Fortran order.
    coarse, dims : tuple of int
        Rows and columns of the coarse and of the full grid.
    ssub : int
        Block size in px.

    Returns
    -------
    ndarray of shape (d, n)
        Values on the full grid, cropped to the image.
    """
    if ssub == 1:
        return values
    cube = values.reshape(coarse[1], coarse[0], -1)
    cube = cube.repeat(ssub, axis=1)[:, : dims[0]].repeat(ssub, axis=0)[: dims[1]]
    return cube.reshape(dims[0] * dims[1], -1)


def bounding_box(A: sparse.csc_matrix, k: int, dims: tuple[int, int]) -> Box:
    """Smallest box that holds the stored pixels of footprint k; an empty footprint gives an empty box."""
    index = A.indices[A.indptr[k] : A.indptr[k + 1]]
    if not index.size:
        return Box(0, 0, 0, 0)
    rows, columns = index % dims[0], index // dims[0]
    return Box(int(rows.min()), int(rows.max()) + 1, int(columns.min()), int(columns.max()) + 1)
