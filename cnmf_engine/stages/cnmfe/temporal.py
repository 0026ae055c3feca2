"""Traces from the background-free movie and the footprints, one component after the other."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
from scipy import sparse

from cnmf_engine.stages.deconvolution.foopsi import CLIPPED, Deconvolution, Deconvolved, deconvolve_traces

__all__ = [
    "CORE",
    "Traces",
    "core_weights",
    "project",
    "residual_traces",
    "unmix",
    "unshrunk",
    "update_temporal",
]

#: Traces are read from the part of a footprint above this part of its maximum.
CORE = 0.3
#: Deconvolved calcium is raised by this factor at most to the height of its raw trace.
_MOST_SHRUNK = 1.5


@dataclass
class Traces:
    """
    Everything that belongs to K traces, kept in step.

    Attributes
    ----------
    C, S, YrA : ndarray of shape (K, T), float32
        Denoised calcium, spikes, residual (raw trace = C + YrA).
    bl, c1, sn, lam : ndarray of shape (K,), float64
        Baseline, initial calcium, noise, sparsity penalty.
    g : ndarray of shape (K, p), float64
        Autoregressive coefficients.
    """

    C: np.ndarray
    S: np.ndarray
    YrA: np.ndarray
    bl: np.ndarray
    c1: np.ndarray
    sn: np.ndarray
    lam: np.ndarray
    g: np.ndarray

    @classmethod
    def from_raw(
        cls, raw: np.ndarray, deconvolution: Deconvolution = Deconvolution(), g: np.ndarray | None = None
    ) -> Traces:
        """Deconvolve raw traces ``(K, T)``, with known coefficients ``g`` (K, p) or estimated ones."""
        return cls.from_deconvolved(deconvolve_traces(raw, deconvolution, g=g), raw)

    @classmethod
    def from_deconvolved(cls, result: Deconvolved, raw: np.ndarray) -> Traces:
        """Join deconvolved traces with their residuals."""
        residual = (raw - result.C).astype(np.float32)
        return cls(result.C, result.S, residual, result.bl, result.c1, result.sn, result.lam, result.g)

    def take(self, index: np.ndarray) -> Traces:
        """Components at an index array, in its order."""
        return Traces(*(getattr(self, f.name)[index] for f in fields(self)))

    def join(self, other: Traces) -> Traces:
        """Components of both, these first; coefficients of the lower order are filled up with 0."""
        order = max(self.g.shape[1], other.g.shape[1])
        joined = {
            f.name: np.concatenate([getattr(self, f.name), getattr(other, f.name)])
            for f in fields(self)
            if f.name != "g"
        }
        wide = [np.pad(one.g, ((0, 0), (0, order - one.g.shape[1]))) for one in (self, other)]
        return Traces(**joined, g=np.concatenate(wide))

    def scale(self, factor: np.ndarray) -> Traces:
        """Traces multiplied by a factor a component; what is measured in their units scales along."""
        wide = factor[:, None].astype(np.float32)
        return Traces(
            self.C * wide,
            self.S * wide,
            self.YrA * wide,
            self.bl * factor,
            self.c1 * factor,
            self.sn * factor,
            self.lam,
            self.g,
        )


def project(R: np.ndarray, A: sparse.csc_matrix) -> np.ndarray:
    """
    Weighted sums of a movie under footprints, reading only the pixels a footprint has.

    Parameters
    ----------
    R : ndarray of shape (d, T), float32
        Movie.
    A : csc_matrix of shape (d, K)
        Footprints.

    Returns
    -------
    ndarray of shape (K, T), float32
        ``A.T @ R``.
    """
    out = np.empty((A.shape[1], R.shape[1]), dtype=np.float32)
    for k in range(A.shape[1]):
        part = slice(A.indptr[k], A.indptr[k + 1])
        out[k] = A.data[part] @ R[A.indices[part]]
    return out


def unshrunk(C: np.ndarray, YrA: np.ndarray) -> np.ndarray:
    """
    Raise deconvolved calcium to the height of its raw trace: what a background is fitted beside.

    The sparsest calcium within the noise is drawn towards 0, by a tenth or more. Of light that it isn't told
    of the ring takes about a quarter for background.

    Parameters
    ----------
    C : ndarray of shape (K, T), float32
        Calcium.
    YrA : ndarray of shape (K, T), float32
        What it leaves of the raw traces.

    Returns
    -------
    ndarray of shape (K, T), float32
        Each trace times the factor, 1 to 1.5, with which it explains its raw trace best.
    """
    centred = C - C.mean(axis=1, keepdims=True)
    power, left = (np.einsum("kt,kt->k", centred, one, dtype=np.float64) for one in (centred, YrA))
    factor = 1 + np.divide(left, power, out=np.zeros_like(left), where=power > 0)
    return C * np.clip(factor, 1, _MOST_SHRUNK).astype(np.float32)[:, None]


def core_weights(A: sparse.csc_matrix, core: float) -> sparse.csc_matrix:
    """
    Footprints cut to their brightest part: what traces are read from.

    What is left of the background is smooth, so it adds up over a footprint's wide, dim rim, while the
    cell's own light is in its core.

    Parameters
    ----------
    A : csc_matrix of shape (d, K)
        Footprints.
    core : float
        Pixels above this part of a footprint's maximum are kept; 0 keeps all.

    Returns
    -------
    csc_matrix of shape (d, K)
        Weights; `A` itself for 0.
    """
    if core <= 0 or not A.shape[1]:
        return A
    peak = A.max(axis=0).toarray().ravel()
    weights = A.copy()
    weights.data[weights.data < core * np.repeat(peak, np.diff(A.indptr))] = 0
    weights.eliminate_zeros()
    return weights


class _Reading(NamedTuple):
    """Traces as they are read from a movie: what is left under each core, and how components share it."""

    YrA: np.ndarray
    shared: sparse.csc_matrix


def _read(R: np.ndarray, A: sparse.csc_matrix, C: np.ndarray, core: float) -> _Reading:
    """Project what all components leave of a movie onto the footprints' cores."""
    weights = core_weights(A, core)
    overlap = sparse.csr_matrix(weights.T @ A)
    own = overlap.diagonal()
    scale = np.divide(1, own, out=np.zeros_like(own), where=own > 0)
    YrA = (project(R, weights) - overlap @ C) * scale[:, None]
    return _Reading(YrA.astype(np.float32), sparse.csc_matrix(sparse.diags(scale) @ overlap))


def residual_traces(R: np.ndarray, A: sparse.csc_matrix, C: np.ndarray, core: float = 0.0) -> np.ndarray:
    """
    Project onto each footprint what is left of the movie after all components have been subtracted.

    Parameters
    ----------
    R : ndarray of shape (d, T), float32
        Movie without background.
    A : csc_matrix of shape (d, K)
        Footprints.
    C : ndarray of shape (K, T)
        Traces.
    core : float
        As in `core_weights`.

    Returns
    -------
    ndarray of shape (K, T), float32
        ``YrA``: in units of `C`.
    """
    return _read(R, A, C, core).YrA


def update_temporal(
    R: np.ndarray,
    A: sparse.csc_matrix,
    C: np.ndarray,
    deconvolution: Deconvolution = Deconvolution(),
    *,
    ITER: int = 2,
    core: float = 0.0,
) -> tuple[sparse.csc_matrix, Traces, np.ndarray]:
    """
    Re-estimate all traces by block-coordinate descent.

    Parameters
    ----------
    R : ndarray of shape (d, T), float32
        Movie without background.
    A : csc_matrix of shape (d, K)
        Footprints.
    C : ndarray of shape (K, T)
        Current traces.
    deconvolution : Deconvolution
        How traces are deconvolved on the way.
    ITER : int
        Sweeps over all components.
    core : float
        As in `core_weights`.

    Returns
    -------
    A : csc_matrix of shape (d, K'), float32
        Footprints of the components whose trace isn't empty.
    traces : Traces
        Their traces.
    kept : ndarray of shape (K',), int
        Which of the components that were given these are.

    References
    ----------
    Pnevmatikakis et al. 2016, Neuron 89:285, Methods, 'Updating temporal components'; Friedrich et al.
    2017, PLoS Comput Biol 13:e1005685 (HALS for traces).
    """
    traces = unmix(C, *_read(R, A, C, core), deconvolution, ITER=ITER)
    kept = np.flatnonzero(np.ptp(traces.C, axis=1) > 0)
    return A[:, kept], traces.take(kept), kept


def unmix(
    C: np.ndarray,
    YrA: np.ndarray,
    shared: sparse.csc_matrix,
    deconvolution: Deconvolution = Deconvolution(),
    *,
    ITER: int = 2,
) -> Traces:
    """
    Sweep over traces that were read from a movie until each explains what the others leave.

    Parameters
    ----------
    C : ndarray of shape (K, T)
        Current traces.
    YrA : ndarray of shape (K, T)
        What is left of the movie where each trace is read, in units of `C`.
    shared : csc_matrix of shape (K, K)
        Column k tells how much of a change of trace k is seen where each trace is read; its diagonal is 1.
    deconvolution, ITER
        As in `update_temporal`.

    Returns
    -------
    Traces
        All K of them.
    """
    C, YrA = np.array(C, dtype=np.float32), np.array(YrA, dtype=np.float32)
    traces = Traces.from_raw(C + YrA, CLIPPED)
    for _ in range(ITER):
        before = C.copy()
        for k in range(len(C)):
            raw = C[k] + YrA[k]
            one = Traces.from_raw(raw[None], deconvolution)
            change = one.C[0] - C[k]
            part = slice(shared.indptr[k], shared.indptr[k + 1])
            YrA[shared.indices[part]] -= np.outer(shared.data[part], change).astype(np.float32)
            C[k], YrA[k] = one.C[0], raw - one.C[0]
            _put(traces, k, one)
        if np.linalg.norm(before - C) <= 1e-3 * np.linalg.norm(C):
            break
    traces.C, traces.YrA = C, YrA
    return traces


def _put(traces: Traces, k: int, one: Traces) -> None:
    """Write the parameters of a single trace to place k."""
    if traces.g.shape[1] != one.g.shape[1]:
        traces.g = np.zeros((len(traces.g), one.g.shape[1]))
    for name in ("S", "bl", "c1", "sn", "lam", "g"):
        getattr(traces, name)[k] = getattr(one, name)[0]
