"""Overlapping patches that cover an image, and values at their centres spread over it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cnmf_engine.base.errors import ParameterError, explain
from cnmf_engine.stages.registration.estimator import shift_limits

__all__ = ["PatchGrid", "patch_grid"]


@dataclass(frozen=True)
class PatchGrid:
    """
    Overlapping patches that cover an image.

    Attributes
    ----------
    dims : tuple of int
        Rows and columns of the image.
    size : tuple of int
        Rows and columns of a patch.
    rows, cols : tuple of int
        First row and first column of the patches.
    to_rows : ndarray of shape (d1, n_rows), float32
        Weights that spread one value a row of patches over the image's rows.
    to_cols : ndarray of shape (d2, n_cols), float32
        The same for columns.
    """

    dims: tuple[int, int]
    size: tuple[int, int]
    rows: tuple[int, ...]
    cols: tuple[int, ...]
    to_rows: np.ndarray
    to_cols: np.ndarray

    @property
    def patches(self) -> list[tuple[slice, slice]]:
        """Rows and columns of each patch, in C order over the grid."""
        height, width = self.size
        return [(slice(r, r + height), slice(c, c + width)) for r in self.rows for c in self.cols]

    def field(self, values: np.ndarray) -> np.ndarray:
        """Spread one value a patch ``(n_patches,)`` over the image ``(d1, d2)`` float32."""
        grid = np.asarray(values, dtype=np.float32).reshape(len(self.rows), len(self.cols))
        return self.to_rows @ grid @ self.to_cols.T

    def coarser(self, factor: int, dims: tuple[int, int]) -> PatchGrid:
        """Give the same grid for images of `dims` that keep every `factor`-th pixel; for `field` only."""
        to_rows, to_cols = self.to_rows[::factor][: dims[0]], self.to_cols[::factor][: dims[1]]
        return PatchGrid(dims, self.size, self.rows, self.cols, to_rows, to_cols)


def patch_grid(
    dims: tuple[int, int],
    strides: int | Sequence[int] = (96, 96),
    overlaps: int | Sequence[int] = (32, 32),
    cubic: bool = False,
) -> PatchGrid:
    """
    Cover an image with overlapping patches.

    Patches start every `strides` px; the last one is flush with the edge. Between patch centres shifts are
    interpolated, beyond the outer centres they stay as they are. (CaImAn's default spreads the grid evenly
    over the image instead, wherever the centres are.)

    Parameters
    ----------
    dims : tuple of int
        Rows and columns of the image.
    strides : int or sequence of two ints
        Distance between patch starts, px.
    overlaps : int or sequence of two ints
        Overlap of neighbouring patches, px; a patch is ``strides + overlaps`` wide, or as the image if that
        is smaller.
    cubic : bool
        Interpolate with cubic splines instead of linearly.

    Returns
    -------
    PatchGrid
        The patches.

    Raises
    ------
    ParameterError
        If strides aren't positive or overlaps are negative.
    """
    strides, overlaps = shift_limits(strides, "strides"), shift_limits(overlaps, "overlaps")
    if min(strides) < 1:
        raise ParameterError(
            explain("strides of at least 1 px", repr(strides), "use about twelve times gSig, e.g. (48, 48)")
        )
    starts, weights, size = [], [], []
    for dim, stride, overlap in zip(dims, strides, overlaps):
        width = min(int(stride + overlap), dim)
        first = [*range(0, dim - width, int(stride)), dim - width]
        starts.append(tuple(first))
        size.append(width)
        weights.append(_spreading(np.array(first) + (width - 1) / 2, dim, cubic))
    return PatchGrid(tuple(dims), tuple(size), *starts, *weights)


def _spreading(centres: np.ndarray, dim: int, cubic: bool) -> np.ndarray:
    """Weights ``(dim, n)`` that interpolate values at `centres` to every pixel, constant beyond the ends."""
    at = np.clip(np.arange(dim), centres[0], centres[-1])
    unit = np.eye(len(centres))
    if cubic and len(centres) > 2:
        from scipy.interpolate import make_interp_spline

        order = 3 if len(centres) > 3 else 2
        return make_interp_spline(centres, unit, k=order)(at).astype(np.float32)
    return np.stack([np.interp(at, centres, values) for values in unit], axis=1).astype(np.float32)
