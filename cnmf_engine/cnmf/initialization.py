"""
From a movie to footprints, traces and ring background: CNMF-E on one field of view or patch.

`initialize` reads as the algorithm: find bright neurons, fit the background they leave, update, look for
the dimmer ones in the residual, update, and bring everything to full resolution.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import sparse

from ..noise import pixel_noise
from .background import fit_ring, reconstruct_background
from .geometry import coarse_dims, decimate, upsample_image
from .merging import merge_components
from .seeding import Seeds, find_neurons, seed_pixels, transient_skewness
from .spatial import update_spatial
from .temporal import Traces, residual_traces, update_temporal

__all__ = ["Initialized", "empty_traces", "initialize", "seed_pixels"]

#: Traces are read from the part of a footprint above this part of its maximum.
_CORE = 0.3
#: The last search uses a filter wider by this factor: cells larger than the user's gSig stand out only there.
_WIDE = 1.5
#: Components whose raw trace is less skewed than this hold no transients; cells lie above 1.
_MIN_SKEWNESS = 0.3
#: Farthest a footprint reaches from its brightest pixel, in units of gSiz.
_MAX_RADIUS = 2.0


class Initialized(NamedTuple):
    """
    Components of a field of view or patch.

    Attributes
    ----------
    A : csc_matrix of shape (d, K), float32
        Footprints.
    traces : Traces
        Traces at the full frame rate.
    sn : ndarray of shape (d,), float32
        Noise of each pixel.
    seeds : Seeds
        What the first pass saw: candidates and image maxima (its footprints are the raw seeds).
    """

    A: sparse.csc_matrix
    traces: Traces
    sn: np.ndarray
    seeds: Seeds


def empty_traces(T: int, order: int = 1) -> Traces:
    """Traces of zero components."""
    none = [np.empty((0, T), np.float32) for _ in range(3)]
    return Traces(*none, *(np.empty(0) for _ in range(4)), np.empty((0, order)))


def _scales(init_iter: int) -> list[float]:
    """Filter widths, in units of gSig, of the searches after the first."""
    return [1.0] * (init_iter - 1) + [_WIDE] if init_iter > 1 else []


def _refine(R, A, C, dims, sn, *, p: int, merge_thr: float | None, space: dict, options: dict):
    """Merge (if a threshold is given), then one spatial and one temporal update."""
    if merge_thr is not None:
        traces = Traces.from_raw(C, p=0)
        traces.C, traces.YrA = C, residual_traces(R, A, C, _CORE)
        merged = merge_components(A, traces, merge_thr=merge_thr, p=p, **options)
        A, C = merged.A, merged.traces.C
    update = update_spatial(R, A, C, dims, sn=sn, **space)
    A, traces, _ = update_temporal(R, update.A, update.C, p=p, core=_CORE, **options)
    return A, traces


def initialize(
    Y: np.ndarray,
    dims: tuple[int, int],
    *,
    gSig: float,
    gSiz: int,
    min_corr: float,
    min_pnr: float,
    K: int | None = None,
    tsub: int = 1,
    ssub: int = 1,
    ssub_B: int = 2,
    ring_size_factor: float = 1.5,
    init_iter: int = 2,
    center_psf: bool = True,
    merge_thr: float = 0.8,
    do_merge: bool = True,
    nrgthr: float = 0.9999,
    p: int = 0,
    window: int = 80,
    noise: dict | None = None,
    **deconvolution,
) -> Initialized:
    """
    Run CNMF-E on a movie in memory.

    Parameters
    ----------
    Y : ndarray of shape (d, T), float32
        Movie, pixels in Fortran order; overwritten.
    dims : tuple of int
        Rows and columns.
    gSig, gSiz : float, int
        Half the width and the size of a cell, px.
    min_corr, min_pnr : float
        Thresholds of a seed pixel.
    K : int, optional
        Most components; None for as many as the thresholds let through.
    tsub, ssub : int
        Decimation in time (frames) and space (px) while components are sought.
    ssub_B : int
        Further decimation in space for the ring background.
    ring_size_factor : float
        Ring radius in units of `gSiz`.
    init_iter : int
        Searches for neurons, from the second on in the residual; if there is a second, one more with a wider
        filter follows.
    center_psf : bool
        Zero-mean filter (one-photon data).
    merge_thr : float
        Overlapping components whose traces correlate above it are joined.
    do_merge : bool
        Whether to merge at all.
    nrgthr : float
        Part of a footprint's energy that is kept.
    p : {0, 1}
        Order of the autoregressive process of the final traces; while components are sought it is min(p, 1).
    window : int
        Frames (before decimation) within which a transient rises and falls.
    noise : dict, optional
        Keywords of `pixel_noise`.
    **deconvolution
        Keywords of `constrained_foopsi`.

    Returns
    -------
    Initialized
        Components, and what the first search saw.

    References
    ----------
    Zhou et al. 2018, eLife 7:e28728, Methods, 'CNMF-E' and Algorithm 1-3; Giovannucci et al. 2019,
    eLife 8:e38173, Methods (the same steps in patches).
    """
    sn = pixel_noise(Y, **(noise or {}))
    merge = merge_thr if do_merge else None
    small = decimate(Y, dims, ssub, tsub)
    coarse = coarse_dims(dims, ssub)
    sn_small = sn if ssub == 1 else decimate(sn[:, None], dims, ssub)[:, 0]
    search = dict(min_corr=min_corr, center_psf=center_psf, p=min(p, 1), window=max(window // tsub, 3))
    search |= deconvolution
    width = dict(gSig=gSig / ssub, gSiz=max(round(gSiz / ssub), 3))
    ring = dict(radius=ring_size_factor * gSiz / ssub, ssub=ssub_B)
    space = dict(nrgthr=nrgthr, max_radius=_MAX_RADIUS * gSiz / ssub)
    step = dict(p=min(p, 1), space=space, options=deconvolution)

    # Averaging frames lowers the noise, so the first threshold on PNR rises with it.
    gain = (Y.size / small.size) ** 0.5
    seeds = find_neurons(small.copy(), coarse, min_pnr=min_pnr * gain, K=K, **width, **search)
    R = _without_background(small, seeds.A, seeds.C, coarse, ring)
    A, traces = _refine(R, seeds.A, seeds.C, coarse, sn_small, merge_thr=None, **step)
    for scale in _scales(init_iter):
        left = K - len(traces.C) if K else None
        if left is not None and left <= 0:
            break
        residual = R - A @ traces.C
        wide = dict(gSig=width["gSig"] * scale, gSiz=round(width["gSiz"] * scale))
        more = find_neurons(residual, coarse, min_pnr=min_pnr, K=left, **wide, **search)
        A = sparse.csc_matrix(sparse.hstack([A, more.A], format="csc"), dtype=np.float32)
        A, traces = _refine(
            R, A, np.concatenate([traces.C, more.C]), coarse, sn_small, merge_thr=merge, **step
        )
        # The ring had taken part of the cells it didn't know of for background.
        R = _without_background(small, A, traces.C, coarse, ring)
        A, traces = _refine(R, A, traces.C, coarse, sn_small, merge_thr=None, **step)
    if not len(traces.C):
        return Initialized(
            sparse.csc_matrix((len(Y), 0), dtype=np.float32), empty_traces(Y.shape[1]), sn, seeds
        )

    model = fit_ring(small, A, traces.C, coarse, **ring)
    del small, R
    A, C = _to_full_size(A, traces.C, coarse, dims, ssub, tsub, Y.shape[1])
    Y -= _full_background(Y, A, C, model, dims, ssub)
    space |= dict(max_radius=_MAX_RADIUS * gSiz, closing=False)
    A, traces = _refine(Y, A, C, dims, sn, p=p, merge_thr=merge, space=space, options=deconvolution)
    raw = traces.C + traces.YrA
    alive = np.flatnonzero([max(transient_skewness(trace, window)) >= _MIN_SKEWNESS for trace in raw])
    return Initialized(A[:, alive], traces.take(alive), sn, seeds)


def _without_background(Y, A, C, dims, ring: dict) -> np.ndarray:
    """Movie less the ring background that its components leave."""
    model = fit_ring(Y, A, C, dims, **ring)
    return Y - reconstruct_background(Y, A, C, model.W, model.b0, dims)


def _to_full_size(A, C, coarse, dims, ssub: int, tsub: int, T: int):
    """Components of the decimated movie on the full grid, at the full frame rate."""
    if ssub > 1:
        A = sparse.csc_matrix(upsample_image(A.toarray(), coarse, dims, ssub))
    return A, np.repeat(C, tsub, axis=1)[:, :T] if tsub > 1 else C


def _full_background(Y, A, C, model, dims, ssub: int) -> np.ndarray:
    """Background at the full frame rate from a model of the movie decimated in space by ``ssub``."""
    coarse = coarse_dims(dims, ssub)
    if ssub == 1:
        return reconstruct_background(Y, A, C, model.W, model.b0, dims)
    small = decimate(Y, dims, ssub)
    footprints = sparse.csc_matrix(decimate(A.toarray(), dims, ssub))
    B = reconstruct_background(small, footprints, C, model.W, model.b0, coarse)
    return upsample_image(B, coarse, dims, ssub)
