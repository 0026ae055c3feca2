"""Components that overlap and fire together are one neuron."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from cnmf_engine.stages.cnmfe.temporal import Traces
from cnmf_engine.stages.deconvolution.foopsi import CLIPPED, Deconvolution

__all__ = ["Merged", "merge_all", "merge_components", "merge_groups"]

_ALTERNATIONS = 10
#: Footprints this similar are one cell taken apart, unless their traces have next to nothing in common.
_SAME_PLACE, _SAME_TIME = 0.7, 0.3


class Merged(NamedTuple):
    """
    Components after merging.

    Attributes
    ----------
    A : csc_matrix of shape (d, K'), float32
        Footprints; merged ones stand last.
    traces : Traces
        Their traces.
    groups : list of ndarray of int
        Which components were joined; empty if none were.
    """

    A: sparse.csc_matrix
    traces: Traces
    groups: list


def merge_groups(A: sparse.csc_matrix, C: np.ndarray, merge_thr: float) -> list[np.ndarray]:
    """
    Find components to be joined.

    Parameters
    ----------
    A : csc_matrix of shape (d, K)
        Footprints.
    C : ndarray of shape (K, T)
        Traces.
    merge_thr : float
        Overlapping components whose traces correlate above it belong together. Where footprints nearly
        coincide, a correlation of 0.3 is enough.

    Returns
    -------
    list of ndarray of int
        Groups of two or more, most correlated first.
    """
    if A.shape[1] < 2:
        return []
    overlap = sparse.triu(A.T @ A, k=1).tocoo()
    pairs = overlap.data > 0
    i, j = overlap.row[pairs], overlap.col[pairs]
    centred = C - C.mean(axis=1, keepdims=True)
    norm = np.sqrt(np.einsum("kt,kt->k", centred, centred))
    product = np.einsum("nt,nt->n", centred[i], centred[j])
    scale = norm[i] * norm[j]
    correlation = np.where(scale > 0, product / np.where(scale > 0, scale, 1), 0)
    norm = np.sqrt(np.asarray(A.multiply(A).sum(axis=0)).ravel())
    cosine = overlap.data[pairs] / (norm[i] * norm[j])
    close = (correlation > merge_thr) | ((cosine > _SAME_PLACE) & (correlation > _SAME_TIME))
    graph = sparse.coo_matrix((correlation[close], (i[close], j[close])), shape=(A.shape[1],) * 2)
    _, label = connected_components(graph, directed=False)
    strength = np.bincount(label[i[close]], correlation[close], minlength=label.max() + 1)
    several = np.flatnonzero(np.bincount(label) > 1)
    several = several[np.argsort(-strength[several], kind="stable")]
    return [np.flatnonzero(label == group) for group in several]


def _join(A: sparse.csc_matrix, raw: np.ndarray) -> tuple[sparse.csc_matrix, np.ndarray] | None:
    """Best single footprint and trace for a group: rank-1 fit to the sum of its members."""
    norm = np.sqrt(np.asarray(A.multiply(A).sum(axis=0)).ravel()) * np.linalg.norm(raw, axis=1)
    rows = np.unique(A.indices)
    local = A[rows].toarray().astype(np.float64)
    raw = raw.astype(np.float64)
    a = local @ norm
    for _ in range(_ALTERNATIONS):
        c = np.maximum((a @ local) @ raw / max(a @ a, 1e-30), 0)
        if not c.any():
            return None
        a = np.maximum(local @ (raw @ c) / (c @ c), 0)
        if not a.any():
            return None
    a /= np.linalg.norm(a)
    used = a > 0
    column = sparse.csc_matrix(
        (a[used].astype(np.float32), (rows[used], np.zeros(used.sum(), dtype=int))), shape=(A.shape[0], 1)
    )
    return column, ((a @ local) @ raw).astype(np.float32)


def merge_components(
    A: sparse.csc_matrix, traces: Traces, merge_thr: float, deconvolution: Deconvolution = Deconvolution()
) -> Merged:
    """
    Merge overlapping components with correlated traces.

    Parameters
    ----------
    A : csc_matrix of shape (d, K)
        Footprints.
    traces : Traces
        Their traces.
    merge_thr : float
        Correlation above which overlapping components are joined.
    deconvolution : Deconvolution
        For the traces of merged components.

    Returns
    -------
    Merged
        Components and the groups that were joined. Groups that cancel out are dropped.

    References
    ----------
    Pnevmatikakis et al. 2016, Neuron 89:285, Methods, 'Merging existing components'.
    """
    groups = merge_groups(A, traces.C, merge_thr)
    if not groups:
        return Merged(A, traces, [])
    joined = [_join(sparse.csc_matrix(A[:, group]), (traces.C + traces.YrA)[group]) for group in groups]
    joined = [pair for pair in joined if pair is not None]
    single = np.setdiff1d(np.arange(A.shape[1]), np.concatenate(groups))
    rest = traces.take(single)
    if joined:
        raw = np.stack([trace for _, trace in joined])
        rest = rest.join(Traces.from_raw(raw, deconvolution))
    footprints = sparse.hstack([A[:, single], *(column for column, _ in joined)], format="csc")
    return Merged(sparse.csc_matrix(footprints, dtype=np.float32), rest, groups)


def merge_all(
    A: sparse.csc_matrix, traces: Traces, merge_thr: float
) -> tuple[sparse.csc_matrix, Traces, list[list[np.ndarray]]]:
    """Merge twins of neighbouring patches until nothing merges; also the groups joined in each round."""
    rounds: list = []
    while True:
        merged = merge_components(A, traces, merge_thr, CLIPPED)
        A, traces = merged.A, merged.traces
        if not merged.groups:
            return A, traces, rounds
        rounds.append(merged.groups)
