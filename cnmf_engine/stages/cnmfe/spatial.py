"""Footprints from the background-free movie and the traces: one small non-negative regression a pixel."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from scipy import ndimage, sparse

from cnmf_engine.base.errors import InputError, explain
from cnmf_engine.movies.geometry import Box, bounding_box

__all__ = ["SpatialUpdate", "clean_footprint", "grow_support", "update_spatial"]

_MAX_SWEEPS = 200
_TOLERANCE = 1e-5
_EIGHT = np.ones((3, 3), dtype=bool)
#: Pixels within two steps along rows and columns: how far a footprint may grow in one update.
_DIAMOND = ndimage.iterate_structure(ndimage.generate_binary_structure(2, 1), 2)


class SpatialUpdate(NamedTuple):
    """
    Result of a spatial update.

    Attributes
    ----------
    A : csc_matrix of shape (d, K'), float32
        Footprints that aren't empty.
    C : ndarray of shape (K', T), float32
        Their traces, of unit norm.
    kept : ndarray of shape (K',), int
        Which of the components that were given these are.
    """

    A: sparse.csc_matrix
    C: np.ndarray
    kept: np.ndarray


@njit(cache=True, nogil=True)
def _nnls_pixels(indptr, index, target, penalty, gram, start, out):  # pragma: no cover - compiled
    """Solve ``min ||y - C^T a||^2 / 2 + penalty a, a >= 0`` for every pixel by coordinate descent."""
    for p in range(indptr.size - 1):
        first, last = indptr[p], indptr[p + 1]
        for i in range(first, last):
            out[i] = start[i]
        for _ in range(_MAX_SWEEPS):
            change, size = 0.0, 0.0
            for i in range(first, last):
                k = index[i]
                value = target[i] - penalty[i]
                for j in range(first, last):
                    if j != i:
                        value -= gram[k, index[j]] * out[j]
                value = max(value / gram[k, k], 0.0)
                change = max(change, abs(value - out[i]))
                size = max(size, value)
                out[i] = value
            if change <= _TOLERANCE * size:
                break


def grow_support(
    A: sparse.csc_matrix, dims: tuple[int, int], max_radius: float = np.inf
) -> sparse.csc_matrix:
    """
    Pixels that each footprint may use: its own and those within a diamond of 13 px around them.

    Parameters
    ----------
    A : csc_matrix of shape (d, K)
        Footprints.
    dims : tuple of int
        Rows and columns.
    max_radius : float
        Largest distance from the brightest pixel, px: a cell has an end, a vessel or a fold doesn't.

    Returns
    -------
    csc_matrix of shape (d, K), float32
        Current values, with zeros stored where the footprint may grow.
    """
    indices, data, indptr = [], [], [0]
    for k in range(A.shape[1]):
        box = bounding_box(A, k, dims)
        if box.r1 == box.r0:
            indptr.append(indptr[-1])
            continue
        box = box.around(2, dims)
        image = footprint_image(A, k, box, dims)
        support = ndimage.binary_dilation(image > 0, structure=_DIAMOND)
        peak = np.unravel_index(np.argmax(image), image.shape)
        columns, rows = np.nonzero(support.T)
        near = (rows - peak[0]) ** 2 + (columns - peak[1]) ** 2 <= max_radius**2
        rows, columns = rows[near], columns[near]
        indices.append(rows + box.r0 + dims[0] * (columns + box.c0))
        data.append(image[rows, columns])
        indptr.append(indptr[-1] + len(rows))
    return _csc(indices, data, indptr, A.shape[0])


def _csc(indices: list, data: list, indptr: list, d: int) -> sparse.csc_matrix:
    """Sparse matrix from columns."""
    index = np.concatenate(indices) if indices else np.empty(0, dtype=np.int32)
    values = np.concatenate(data) if data else np.empty(0, dtype=np.float32)
    return sparse.csc_matrix(
        (values.astype(np.float32), index.astype(np.int32), np.asarray(indptr, dtype=np.int32)),
        shape=(d, len(indptr) - 1),
    )


def footprint_image(A: sparse.csc_matrix, k: int, box: Box, dims: tuple[int, int]) -> np.ndarray:
    """Footprint k inside a box that holds it, as an image."""
    part = slice(A.indptr[k], A.indptr[k + 1])
    image = np.zeros(box.dims, dtype=np.float32)
    image[A.indices[part] % dims[0] - box.r0, A.indices[part] // dims[0] - box.c0] = A.data[part]
    return image


def clean_footprint(image: np.ndarray, nrgthr: float = 0.9999, closing: bool = True) -> np.ndarray:
    """
    Denoise a footprint and keep its strongest connected part.

    Parameters
    ----------
    image : ndarray of shape (rows, columns)
        Footprint.
    nrgthr : float
        Part of the energy that the brightest pixels kept must hold.
    closing : bool
        Whether holes and gaps of one pixel are closed before parts are told apart.

    Returns
    -------
    ndarray of shape (rows, columns), float32
        Cleaned footprint; all zeros if nothing is left.
    """
    image = ndimage.median_filter(image, size=3, mode="reflect")
    ordered = np.sort(image.ravel())[::-1]
    energy = ordered.astype(np.float64) ** 2
    total = energy.sum()
    if not total > 0:
        return np.zeros_like(image)
    n_kept = max(int(np.searchsorted(np.cumsum(energy), nrgthr * total)), 1)
    image = np.where(image >= ordered[n_kept - 1], image, 0)
    support = image > 0
    if closing:
        # Padding keeps pixels on the border of the image, which erosion would take off.
        support = ndimage.binary_closing(np.pad(support, 2), structure=_EIGHT)[2:-2, 2:-2]
    labels, n_labels = ndimage.label(support, structure=_EIGHT)
    if n_labels > 1:
        strength = ndimage.sum_labels(image**2, labels, index=np.arange(1, n_labels + 1))
        image = np.where(labels == 1 + np.argmax(strength), image, 0)
    return image.astype(np.float32)


def _clean_all(
    A: sparse.csc_matrix, dims: tuple[int, int], nrgthr: float, closing: bool
) -> sparse.csc_matrix:
    """Clean every footprint in its own box."""
    indices, data, indptr = [], [], [0]
    for k in range(A.shape[1]):
        box = bounding_box(A, k, dims)
        if box.r1 > box.r0:
            box = box.around(2, dims)
            image = clean_footprint(footprint_image(A, k, box, dims), nrgthr, closing)
            columns, rows = np.nonzero(image.T)
            indices.append(rows + box.r0 + dims[0] * (columns + box.c0))
            data.append(image[rows, columns])
            indptr.append(indptr[-1] + len(rows))
        else:
            indptr.append(indptr[-1])
    return _csc(indices, data, indptr, A.shape[0])


def update_spatial(
    R: np.ndarray,
    A: sparse.csc_matrix,
    C: np.ndarray,
    dims: tuple[int, int],
    *,
    sn: np.ndarray,
    nrgthr: float = 0.9999,
    closing: bool = True,
    max_radius: float = np.inf,
) -> SpatialUpdate:
    """
    Re-estimate all footprints.

    Each pixel is regressed, with an intercept, non-negative weights and a small penalty on their sum, on the
    traces of the footprints that reach it; footprints are then denoised.

    Parameters
    ----------
    R : ndarray of shape (d, T), float32
        Movie without background, pixels in Fortran order.
    A : csc_matrix of shape (d, K)
        Current footprints.
    C : ndarray of shape (K, T)
        Traces; components whose trace is constant or not finite are dropped.
    dims : tuple of int
        Rows and columns.
    sn : ndarray of shape (d,)
        Noise of each pixel, in Fortran order.
    nrgthr, closing
        As in `clean_footprint`.
    max_radius
        As in `grow_support`.

    Returns
    -------
    SpatialUpdate
        Footprints, unit-norm traces and which components they are.

    References
    ----------
    Pnevmatikakis et al. 2016, Neuron 89:285, Methods, 'Updating spatial components'; Zhou et al. 2018,
    eLife 7:e28728, Methods, 'Estimating A'. Weights are in units of the movie (CaImAn 1.12 returns those of
    the standardised traces).
    """
    C = np.asarray(C, dtype=np.float32)
    d = dims[0] * dims[1]
    fits = C.ndim == 2 and A.shape == (d, len(C)) and R.shape == (d, C.shape[1]) and np.shape(sn) == (d,)
    if not fits:
        found = f"A {A.shape}, C {C.shape}, movie {R.shape}, sn {np.shape(sn)}"
        expected = f"A (d, K), C (K, T), a movie (d, T) and sn (d,) of {dims[0]} x {dims[1]} pixels"
        raise InputError(explain(expected, found, "pass parts of one fit"))
    norm = np.sqrt(np.einsum("kt,kt->k", C, C, dtype=np.float64))
    alive = np.flatnonzero(np.isfinite(norm) & (np.nan_to_num(C).std(axis=1) > 1e-6 * np.nan_to_num(norm)))
    C = C[alive] / norm[alive, None].astype(np.float32)
    A = sparse.csc_matrix(A[:, alive].multiply(norm[None, alive]), dtype=np.float32)
    support = grow_support(A, dims, max_radius)
    centred = C - C.mean(axis=1, keepdims=True)
    gram = (centred @ centred.T).astype(np.float64)
    spread = centred.std(axis=1).astype(np.float64)
    target = np.empty(support.nnz, dtype=np.float64)
    for k in range(len(C)):
        part = slice(support.indptr[k], support.indptr[k + 1])
        target[part] = R[support.indices[part]] @ centred[k]
    penalty = (
        0.5 * np.asarray(sn, dtype=np.float64)[support.indices] * np.repeat(spread, np.diff(support.indptr))
    )
    # One pass from columns (components) to rows (pixels) carries all three sets of numbers.
    rows = sparse.csc_matrix((np.arange(support.nnz), support.indices, support.indptr), support.shape).tocsr()
    order = rows.data
    solved = np.empty(support.nnz, dtype=np.float64)
    _nnls_pixels(
        rows.indptr,
        rows.indices,
        target[order],
        penalty[order],
        gram,
        support.data[order].astype(np.float64),
        solved,
    )
    values = np.empty(support.nnz, dtype=np.float32)
    values[order] = solved
    grown = sparse.csc_matrix((values, support.indices, support.indptr), shape=support.shape)
    grown.eliminate_zeros()
    cleaned = _clean_all(grown, dims, nrgthr, closing)
    full = np.flatnonzero(np.diff(cleaned.indptr))
    return SpatialUpdate(cleaned[:, full], C[full], alive[full])
