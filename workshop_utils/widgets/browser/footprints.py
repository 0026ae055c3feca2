"""Outlines and pictures of footprints, as the page of a browser holds them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

__all__ = ["Crops", "Outlines", "footprint_sizes", "pack_crops", "pack_outlines", "shrunk"]

_MARGIN = 6
_SMALLEST, _LARGEST = 24, 96


@dataclass(frozen=True)
class Outlines:
    """
    Outlines of all lengths, end to end.

    Attributes
    ----------
    x, y : ndarray of shape (n,), uint16
        Points; a place is `unit * code - 0.5` pixels, so pixel centres lie on whole numbers.
    unit : float
        Pixels; no point is off by more than half of it.
    ends : ndarray of shape (n_loops,), int32
        Where each loop stops.
    owners : ndarray of shape (n_loops,), int32
        Component of each loop; a component without a footprint has none.
    """

    x: np.ndarray
    y: np.ndarray
    unit: float
    ends: np.ndarray
    owners: np.ndarray

    def loops(self, k: int) -> list[np.ndarray]:
        """Give the loops of a component, each (n, 2) float64, x and y in pixels."""
        starts = np.concatenate([[0], self.ends[:-1]])
        places = self.unit * np.stack([self.x, self.y], axis=1) - 0.5
        return [places[starts[i] : self.ends[i]] for i in np.flatnonzero(self.owners == k)]


def pack_outlines(outlines: list[dict[str, Any]], dims: tuple[int, int]) -> Outlines:
    """
    Put outlines end to end.

    Parameters
    ----------
    outlines : list of dict
        From `cnmf_engine.view.get_contours`.
    dims : tuple of int
        Rows and columns of the image.

    Returns
    -------
    Outlines
        Off by less than 0.01 px in an image of 1,000 px.
    """
    from workshop_utils.figures.components import split_loops

    unit = max(dims) / np.iinfo(np.uint16).max
    loops, owners = [np.zeros((0, 2))], []
    for k, outline in enumerate(outlines):
        found = split_loops(outline["coordinates"])
        loops += found
        owners += [k] * len(found)
    codes = np.rint((np.concatenate(loops) + 0.5) / unit).astype(np.uint16)
    ends = np.cumsum([len(loop) for loop in loops[1:]])
    return Outlines(
        codes[:, 0].copy(), codes[:, 1].copy(), unit, ends.astype(np.int32), np.array(owners, np.int32)
    )


@dataclass(frozen=True)
class Crops:
    """
    A window of the image around each footprint, of one size, so that sizes can be compared by eye.

    Attributes
    ----------
    pictures : ndarray of shape (K, side, side), uint8
        Footprints as a share of their maximum, 255 for all of it.
    top, left : ndarray of shape (K,), int32
        First row and column of each window in the image; windows may reach beyond it.
    """

    pictures: np.ndarray
    top: np.ndarray
    left: np.ndarray


def pack_crops(A: sp.csc_matrix, dims: tuple[int, int], outlines: list[dict[str, Any]]) -> Crops:
    """
    Cut out each footprint.

    Parameters
    ----------
    A : csc_matrix of shape (d, K)
        Footprints, pixels in Fortran order, finite.
    dims : tuple of int
        Rows and columns of the image.
    outlines : list of dict
        From `cnmf_engine.view.get_contours`.

    Returns
    -------
    Crops
        Windows wide enough for the largest outline, 24 to 96 px. An empty footprint has an empty picture.
    """
    boxes = np.array([outline["bbox"] for outline in outlines], np.float64).reshape(-1, 4)
    empty = ~np.isfinite(boxes).all(axis=1)
    boxes[empty] = [0, dims[0] - 1, 0, dims[1] - 1]
    spans = np.maximum(boxes[:, 1] - boxes[:, 0], boxes[:, 3] - boxes[:, 2])[~empty]
    widest = float(spans.max()) if spans.size else 0.0
    side = int(np.clip(np.ceil(widest) + 2 * _MARGIN, _SMALLEST, _LARGEST))
    top = np.rint((boxes[:, 0] + boxes[:, 1] - side + 1) / 2).astype(np.int32)
    left = np.rint((boxes[:, 2] + boxes[:, 3] - side + 1) / 2).astype(np.int32)
    pictures = np.zeros((A.shape[1], side, side), np.uint8)
    for k in range(A.shape[1]):
        span = slice(A.indptr[k], A.indptr[k + 1])
        rows, cols = np.unravel_index(A.indices[span], dims, order="F")
        rows, cols = rows - top[k], cols - left[k]
        inside = (rows >= 0) & (rows < side) & (cols >= 0) & (cols < side)
        values = A.data[span].clip(0)
        share = values / max(float(values.max(initial=0.0)), np.finfo(np.float32).tiny)
        pictures[k, rows[inside], cols[inside]] = np.rint(255 * share[inside])
    return Crops(pictures, top, left)


def footprint_sizes(A: sp.csc_matrix, thr: float) -> np.ndarray:
    """
    Count the pixels of each footprint above a fraction of its maximum.

    Parameters
    ----------
    A : csc_matrix of shape (d, K)
        Footprints, finite.
    thr : float
        Fraction.

    Returns
    -------
    ndarray of shape (K,), int
        Pixels; 0 for an empty footprint.
    """
    parts = (A.data[a:b] for a, b in zip(A.indptr[:-1], A.indptr[1:]))
    return np.array([np.count_nonzero(v > max(thr * v.max(initial=0.0), 0.0)) for v in parts], dtype=int)


def shrunk(image: np.ndarray, most: int) -> np.ndarray:
    """
    Average an image over squares of pixels until its sides are no longer than this.

    Parameters
    ----------
    image : ndarray of shape (d1, d2), float32
        Image, finite.
    most : int
        Pixels.

    Returns
    -------
    ndarray of shape (ceil(d1 / n), ceil(d2 / n)), float32
        Means of n x n pixels; the image itself if it is small enough.
    """
    n = -(-max(image.shape) // most)
    if n == 1:
        return image
    padded = np.pad(image, [(0, -side % n) for side in image.shape], mode="edge")
    rows, cols = (side // n for side in padded.shape)
    return padded.reshape(rows, n, cols, n).mean(axis=(1, 3))
