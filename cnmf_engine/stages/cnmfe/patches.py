"""Overlapping patches of a field of view: where they lie, and how their results become one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import sparse

from cnmf_engine.base.errors import InputError, explain
from cnmf_engine.movies.geometry import Box, flat_index
from cnmf_engine.stages.cnmfe.initialization import Initialized, empty_traces
from cnmf_engine.stages.cnmfe.temporal import Traces

__all__ = ["centres_of_mass", "combine_patches", "patch_grid"]

#: Two patches may place a cell's centre a little differently; within this distance (px) of the line between
#: them the cell is kept by either, unless its twin is there already.
_DOUBT = 2.0
_TWIN_COSINE, _TWIN_CORRELATION = 0.5, 0.7


def _pair(value: int | Sequence[int]) -> tuple[int, int]:
    """Value for rows and columns."""
    values = np.ravel(value)
    return int(values[0]), int(values[-1])


def _starts(length: int, rf: int, step: int) -> list[tuple[int, int]]:
    """First and last-plus-one pixel of the patches along one axis."""
    if length <= 2 * rf:
        return [(0, length)]
    centres = [*range(rf, length - rf, step), length - rf]
    return [(centre - rf, min(centre + rf + 1, length)) for centre in centres]


def patch_grid(
    dims: tuple[int, int], rf: int | Sequence[int], stride: int | Sequence[int] | None, border_pix: int = 0
) -> list[Box]:
    """
    Cut a field of view into overlapping patches.

    Parameters
    ----------
    dims : tuple of int
        Rows and columns.
    rf : int or two ints
        Half the side of a patch, px.
    stride : int or two ints, optional
        Overlap of neighbouring patches, px; 10 % of a side if None.
    border_pix : int
        Pixels left out on each side of the field of view.

    Returns
    -------
    list of Box
        Patches, row of patches by row of patches; the last of each row and column is flush with the border.

    Raises
    ------
    InputError
        If the overlap is as large as a patch or the border leaves nothing.
    """
    halves = _pair(rf)
    overlaps = _pair(stride if stride is not None else [round(0.2 * half) for half in halves])
    inner = dims[0] - 2 * border_pix, dims[1] - 2 * border_pix
    for half, overlap, length in zip(halves, overlaps, inner):
        if half < 1 or overlap >= 2 * half or length < 1:
            raise InputError(
                explain(
                    "patches with rf of at least 1 px, an overlap (stride) below 2 * rf, and some image left",
                    f"rf={rf!r}, stride={stride!r}, border_pix={border_pix!r} for {dims[0]} x {dims[1]} px",
                    "raise rf or lower stride (rules of thumb: a patch 3 to 4 cells wide, an overlap of one)",
                )
            )
    rows, columns = (
        _starts(length, half, 2 * half - overlap) for length, half, overlap in zip(inner, halves, overlaps)
    )
    b = border_pix
    return [Box(r0 + b, r1 + b, c0 + b, c1 + b) for r0, r1 in rows for c0, c1 in columns]


def centres_of_mass(A: sparse.spmatrix, dims: tuple[int, int]) -> np.ndarray:
    """
    Centres of footprints.

    Parameters
    ----------
    A : sparse matrix of shape (d, K)
        Footprints.
    dims : tuple of int
        Rows and columns.

    Returns
    -------
    ndarray of shape (K, 2), float64
        Rows and columns; NaN for an empty footprint.
    """
    index = np.arange(dims[0] * dims[1])
    weight = np.asarray(A.sum(axis=0)).ravel()
    safe = np.where(weight > 0, weight, np.nan)
    return np.stack([A.T @ (index % dims[0]) / safe, A.T @ (index // dims[0]) / safe], axis=1)


def _own_components(
    A: sparse.csc_matrix, C: np.ndarray, owner: np.ndarray, boxes: Sequence[Box], dims
) -> np.ndarray:
    """Components that lie nearest to the centre of the patch they come from, and those in doubt."""
    middle = np.array([[(b.r0 + b.r1 - 1) / 2, (b.c0 + b.c1 - 1) / 2] for b in boxes])
    distance = np.linalg.norm(centres_of_mass(A, dims)[:, None] - middle[None], axis=2)
    excess = distance[np.arange(len(owner)), owner] - distance.min(axis=1)
    norm = np.sqrt(np.asarray(A.multiply(A).sum(axis=0)).ravel())
    cosine = (A.T @ A).toarray() / np.maximum(np.outer(norm, norm), 1e-12)
    unit = C - C.mean(axis=1, keepdims=True)
    unit /= np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-12)
    kept: list[int] = []
    for k in np.argsort(excess, kind="stable"):
        others = [j for j in kept if owner[j] != owner[k] and cosine[k, j] > _TWIN_COSINE]
        if excess[k] <= _DOUBT and not np.any(unit[others] @ unit[k] > _TWIN_CORRELATION):
            kept.append(int(k))
    return np.sort(np.array(kept, dtype=int))


def _share_overlaps(A: sparse.csc_matrix, boxes: Sequence[Box], dims) -> sparse.csc_matrix:
    """Divide footprints by the number of patches that cover each pixel."""
    cover = np.zeros(dims[0] * dims[1], dtype=np.float32)
    for box in boxes:
        cover[flat_index(box, dims)] += 1
    return sparse.csc_matrix(sparse.diags(1 / np.maximum(cover, 1)) @ A, dtype=np.float32)


def combine_patches(
    results: Sequence[Initialized | None],
    boxes: Sequence[Box],
    dims: tuple[int, int],
    T: int,
    del_duplicates: bool = True,
) -> tuple[sparse.csc_matrix, Traces, np.ndarray]:
    """
    Put the components of all patches into one field of view.

    Parameters
    ----------
    results : sequence of Initialized or None
        Result of each patch; None for one that was skipped.
    boxes : sequence of Box
        Where each patch lies.
    dims : tuple of int
        Rows and columns of the field of view.
    T : int
        Frames.
    del_duplicates : bool
        Keep a component only in the patch whose centre is nearest (True), or keep both twins, each divided
        by the number of patches that cover a pixel, for merging to join (False).

    Returns
    -------
    A : csc_matrix of shape (d, K), float32
        Footprints.
    traces : Traces
        Their traces.
    sn : ndarray of shape (d,), float32
        Noise of each pixel; 0 where no patch lies.
    """
    d = dims[0] * dims[1]
    sn = np.zeros(d, dtype=np.float32)
    columns, owner = [], []
    traces = empty_traces(T)
    for number, (result, box) in enumerate(zip(results, boxes)):
        if result is None:
            continue
        index = flat_index(box, dims)
        sn[index] = result.sn
        local = result.A.tocoo()
        columns.append(sparse.csc_matrix((local.data, (index[local.row], local.col)), (d, local.shape[1])))
        owner += [number] * local.shape[1]
        traces = traces.join(result.traces)
    if not owner:
        return sparse.csc_matrix((d, 0), dtype=np.float32), traces, sn
    A = sparse.csc_matrix(sparse.hstack(columns, format="csc"), dtype=np.float32)
    if not del_duplicates:
        return _share_overlaps(A, boxes, dims), traces, sn
    kept = _own_components(A, traces.C, np.array(owner), boxes, dims)
    return A[:, kept], traces.take(kept), sn
