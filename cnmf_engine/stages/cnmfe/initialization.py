"""
From a movie to footprints, traces and ring background: CNMF-E on one field of view or patch.

`initialize` reads as the algorithm: find bright neurons, fit the background they leave, update, look for
the dimmer ones in the residual, update, and bring the footprints to full resolution. Traces at the full
frame rate are read later, from the whole movie (`cnmf_engine.stages.cnmfe.readout`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from scipy import sparse

from cnmf_engine.base.errors import InputError, explain
from cnmf_engine.movies.geometry import Box, as_image, coarse_dims, decimate, read_decimated, upsample_image
from cnmf_engine.stages.bad_pixels import BadPixels
from cnmf_engine.stages.cnmfe.background import coarse_footprints
from cnmf_engine.stages.cnmfe.merging import merge_components
from cnmf_engine.stages.cnmfe.options import Merging, Ring, Search
from cnmf_engine.stages.cnmfe.residual import BackgroundFree
from cnmf_engine.stages.cnmfe.seeding import Seeds, find_neurons, seed_pixels, transient_skewness
from cnmf_engine.stages.cnmfe.spatial import update_spatial
from cnmf_engine.stages.cnmfe.temporal import CORE, Traces, residual_traces, update_temporal
from cnmf_engine.stages.deconvolution.foopsi import CLIPPED, Deconvolution
from cnmf_engine.stages.noise import PixelNoise, pixel_noise

__all__ = ["Initialized", "empty_traces", "initialize", "seed_pixels"]

#: The last search uses a filter wider by this factor: cells larger than the user's gSig stand out only there.
_WIDE = 1.5
#: Components whose raw trace is less skewed than this hold no transients; cells lie above 1.
_MIN_SKEWNESS = 0.3


class Initialized(NamedTuple):
    """
    Components of a field of view or patch.

    Attributes
    ----------
    A : csc_matrix of shape (d, K), float32
        Footprints.
    traces : Traces
        Traces; ``tsub`` frames are one sample.
    sn : ndarray of shape (d,), float32
        Noise of each pixel, of single frames.
    seeds : Seeds
        What the first search saw: candidates and image maxima (its footprints are the raw seeds).
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


@dataclass(frozen=True)
class _Updates:
    """How components are refined: everything but the movie and the components themselves."""

    dims: tuple[int, int]
    sn: np.ndarray
    merge_thr: float | None
    nrgthr: float
    max_radius: float
    deconvolution: Deconvolution

    def merge(self, R: np.ndarray, A: sparse.csc_matrix, C: np.ndarray):
        """Join components that overlap and fire together."""
        if self.merge_thr is None or not len(C):
            return A, C
        traces = Traces.from_raw(C, CLIPPED)
        traces.C, traces.YrA = C, residual_traces(R, A, C, CORE)
        merged = merge_components(A, traces, self.merge_thr, self.deconvolution)
        return merged.A, merged.traces.C

    def refine(self, R: np.ndarray, A: sparse.csc_matrix, C: np.ndarray, closing: bool = True):
        """One spatial and one temporal update."""
        options = dict(sn=self.sn, closing=closing, nrgthr=self.nrgthr, max_radius=self.max_radius)
        update = update_spatial(R, A, C, self.dims, **options)
        A, traces, _ = update_temporal(R, update.A, update.C, self.deconvolution, core=CORE)
        return A, traces


def initialize(
    images: np.ndarray,
    box: Box | None,
    search: Search,
    ring: Ring,
    merging: Merging = Merging(),
    deconvolution: Deconvolution = CLIPPED,
    *,
    footprints: sparse.csc_matrix | None = None,
    seeds: np.ndarray | None = None,
    bad: BadPixels | None = None,
) -> Initialized:
    """
    Run CNMF-E on a movie or on a box of it.

    The box is read piece by piece and averaged on the way. What is held in memory is about two and a half
    times its averaged movie.

    Parameters
    ----------
    images : ndarray or memmap of shape (T, d1, d2)
        Movie.
    box : Box, optional
        Part of the image; the whole of it if None.
    search, ring, merging
        See `cnmf_engine.stages.cnmfe.options`.
    deconvolution : Deconvolution
        Of order 1 at most: how traces are denoised.
    footprints : csc_matrix of shape (d, K), optional
        Known footprints in the pixels of the box; they take the place of the first search.
    seeds : ndarray of shape (n, 2), int, optional
        Rows and columns in the box where neurons are; the only search is there.
    bad : BadPixels, optional
        Pixels of the box that lie; components are sought with their neighbours' values in them.

    Returns
    -------
    Initialized
        Components, and what the first search saw.

    Raises
    ------
    InputError
        If the movie holds NaN or infinite values, or the ring lies outside the image.

    References
    ----------
    Zhou et al. 2018, eLife 7:e28728, Methods, 'CNMF-E' and Algorithm 1-3; Giovannucci et al. 2019,
    eLife 8:e38173, Methods (the same steps in patches).
    """
    box = Box(0, images.shape[1], 0, images.shape[2]) if box is None else box
    tsub, ssub = search.tsub, search.ssub
    small, sn = _read(images, box, ssub, tsub, search.noise)
    if bad:
        bad.fill_traces(small, sn, ssub)
    coarse = coarse_dims(box.dims, ssub)
    updates = _Updates(
        coarse,
        sn if ssub == 1 else decimate(sn[:, None], box.dims, ssub)[:, 0],
        merging.merge_thr,
        search.nrgthr,
        search.reach / ssub,
        deconvolution,
    )
    window = max(search.window // tsub, 3)
    coarser = replace(search, gSig=search.gSig / ssub, gSiz=max(round(search.gSiz / ssub), 3), window=window)
    movie = BackgroundFree(small, coarse, radius=ring.radius / ssub, ssub=ring.ssub)
    if footprints is None:
        # Averaging frames and pixels lowers the noise, so the first threshold on PNR rises with it.
        gain = (tsub * ssub**2) ** 0.5
        pixels = None if seeds is None else np.asarray(seeds) // ssub
        raised = replace(coarser, min_pnr=search.min_pnr * gain)
        first = find_neurons(movie.R, coarse, raised, deconvolution, seeds=pixels)
        movie.add(first.A, first.C)
        movie.refit(first.A, first.C)
    else:
        first = _trace_known(movie, coarse_footprints(footprints, box.dims, ssub))
    A, traces = updates.refine(movie.R, first.A, first.C)
    for scale in _scales(search.init_iter) if seeds is None else []:
        if search.K and len(traces.C) >= search.K:
            break
        wider = replace(
            coarser,
            gSig=coarser.gSig * scale,
            gSiz=round(coarser.gSiz * scale),
            K=search.K - len(traces.C) if search.K else None,
        )
        A, C = updates.merge(movie.R, *_search_residual(movie, A, traces.C, wider, deconvolution))
        A, traces = updates.refine(movie.R, A, C)
        # The ring had taken part of the cells it didn't know of for background.
        movie.refit(A, traces.C)
        A, traces = updates.refine(movie.R, A, traces.C)
    A, C = updates.merge(movie.R, A, traces.C)
    if ssub > 1:
        fine = read_decimated(images, box, 1, tsub)
        if bad:
            bad.fill_traces(fine, sn, 1)
        movie = BackgroundFree(fine, box.dims, radius=ring.radius, ssub=ssub * ring.ssub)
        A = sparse.csc_matrix(upsample_image(A.toarray(), coarse, box.dims, ssub))
        movie.refit(A, C)
        updates = replace(updates, dims=box.dims, sn=sn, max_radius=search.reach)
    A, traces = updates.refine(movie.R, A, C, closing=False)
    if footprints is None and seeds is None:
        raw = traces.C + traces.YrA
        alive = [k for k, trace in enumerate(raw) if max(transient_skewness(trace, window)) >= _MIN_SKEWNESS]
        A, traces = A[:, alive], traces.take(alive)
    return Initialized(A, traces, sn, first)


def _read(
    images: np.ndarray, box: Box, ssub: int, tsub: int, noise: PixelNoise
) -> tuple[np.ndarray, np.ndarray]:
    """Averaged movie of a box, and the noise of its pixels before averaging; raises for missing values."""
    sn = np.empty(images.shape[1:], dtype=np.float32)

    def look(Y: np.ndarray, _: np.ndarray, strip: Box) -> None:
        _refuse_missing(Y, strip)
        sn[strip.slices] = as_image(pixel_noise(Y, **vars(noise)), strip.dims)

    small = read_decimated(images, box, ssub, tsub, look)
    return small, sn[box.slices].ravel(order="F")


def _refuse_missing(Y: np.ndarray, box: Box) -> None:
    """Raise InputError if a box of the movie holds NaN or infinity."""
    bad = ~np.isfinite(Y.sum(axis=1))
    if bad.any():
        raise InputError(
            explain(
                "a movie without NaN or infinite values",
                f"{int(bad.sum())} of {bad.size} pixels with some, in rows {box.r0}-{box.r1 - 1}, "
                f"columns {box.c0}-{box.c1 - 1}",
                "run motion correction with border_nan='copy', or replace them with np.nan_to_num",
            )
        )


def _trace_known(movie: BackgroundFree, A: sparse.spmatrix) -> Seeds:
    """Traces of known footprints, and the background that they leave."""
    A = sparse.csc_matrix(A, dtype=np.float32)
    movie.refit(A, np.zeros((A.shape[1], movie.R.shape[1]), dtype=np.float32))
    A, traces, _ = update_temporal(movie.R, A, np.zeros((A.shape[1], movie.R.shape[1])), CLIPPED, core=CORE)
    movie.refit(A, traces.C)
    return Seeds(A, traces.C, 0, 0.0, 0.0)


def _search_residual(
    movie: BackgroundFree,
    A: sparse.csc_matrix,
    C: np.ndarray,
    search: Search,
    deconvolution: Deconvolution,
) -> tuple[sparse.csc_matrix, np.ndarray]:
    """Components and those that another search finds in what they leave."""
    movie.add(A, C, sign=-1)
    more = find_neurons(movie.R, movie.dims, search, deconvolution, known=(A, C))
    A = sparse.csc_matrix(sparse.hstack([A, more.A], format="csc"), dtype=np.float32)
    C = np.concatenate([C, more.C])
    movie.add(A, C)
    return A, C
