"""The whole of CNMF-E: patches searched, their cells joined, traces read from the movie and deconvolved."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any, ClassVar, NamedTuple

import numpy as np
from scipy import sparse

from cnmf_engine.base.errors import explain
from cnmf_engine.base.parallel import RUN, Run, one_thread
from cnmf_engine.movies.boxes import BoxOfMovie, boxes_of
from cnmf_engine.stages.bad_pixels import find_bad_pixels
from cnmf_engine.stages.cnmfe.background import RingModel
from cnmf_engine.stages.cnmfe.dynamics import Dynamics, measure_dynamics
from cnmf_engine.stages.cnmfe.initialization import Initialized, initialize
from cnmf_engine.stages.cnmfe.merging import merge_all
from cnmf_engine.stages.cnmfe.options import Merging, Patches, Ring, Search
from cnmf_engine.stages.cnmfe.patches import centres_of_mass, combine_patches, patch_grid
from cnmf_engine.stages.cnmfe.readout import read_out
from cnmf_engine.stages.cnmfe.refit import PART, update_all
from cnmf_engine.stages.cnmfe.starting import Start, given_first, log_silent_seeds
from cnmf_engine.stages.cnmfe.temporal import Traces, unshrunk
from cnmf_engine.stages.deconvolution.foopsi import Deconvolution

__all__ = ["Fit", "deconvolve_all", "fit_cnmfe", "refine"]

log = logging.getLogger("caiman")

#: Copies of its averaged movie that a patch holds while it is fitted.
_COPIES = 3
#: Traces deconvolved in one task.
_CHUNK = 8


@dataclass(frozen=True)
class Fit:
    """
    Cells and background of a movie.

    Attributes
    ----------
    dims : tuple of int
        Rows and columns, px.
    A : csc_matrix of shape (d, K), float32
        Footprints of unit length, pixels in Fortran order.
    traces : Traces
        Calcium, spikes, what is left of the raw traces, and the parameters of the deconvolution.
    background : RingModel
        The ring background that these components leave.
    sn : ndarray of shape (d,), float32
        Noise of each pixel; 0 where nothing was fitted.
    kept : ndarray of shape (K,), int
        Which of the components that the last step was given these are.
    dynamics : Dynamics or None
        Rise and decay of the indicator, if they were measured.
    merged : list of list of ndarray
        Components of neighbouring patches that were joined, in each round.
    options : tuple
        What was asked for: `Search`, `Ring`, `Deconvolution`, and `Patches` and `Merging` of a search.
    """

    dims: tuple[int, int]
    A: sparse.csc_matrix
    traces: Traces
    background: RingModel
    sn: np.ndarray
    kept: np.ndarray
    dynamics: Dynamics | None = None
    merged: Sequence = ()
    options: tuple = ()
    #: Low-rank background, which this kind of fit doesn't have.
    b: ClassVar[None] = None
    f: ClassVar[None] = None

    @property
    def C(self) -> np.ndarray:
        """Calcium, shape (K, T), float32."""
        return self.traces.C

    @property
    def raw(self) -> np.ndarray:
        """Traces with their noise, shape (K, T), float32."""
        return self.traces.C + self.traces.YrA

    @property
    def W(self) -> sparse.csr_matrix:
        """Weights of the ring, on its coarse grid."""
        return self.background.W

    @property
    def b0(self) -> np.ndarray:
        """Constant background of each pixel, shape (d,), float32."""
        return self.background.b0

    @property
    def centre(self) -> np.ndarray:
        """Rows and columns of the footprints' centres, shape (K, 2)."""
        return centres_of_mass(self.A, self.dims)


@one_thread()
def fit_cnmfe(
    movie: np.ndarray,
    search: Search,
    patches: Patches,
    ring: Ring,
    merging: Merging = Merging(),
    deconvolution: Deconvolution = Deconvolution(),
    *,
    start: Start | None = None,
    run: Run = RUN,
) -> Fit:
    """
    Find the cells of a movie, their traces and its background.

    The field is searched patch by patch (`cnmf_engine.stages.cnmfe.initialization.initialize`); what patches
    found twice is joined; traces are read from the whole movie at its full frame rate, beside the background
    that all cells leave; and they are deconvolved with the dynamics of the indicator. Nothing found is a
    result too: it is logged as a warning with what the thresholds met.

    Parameters
    ----------
    movie : ndarray or memmap of shape (T, d1, d2)
        Motion-corrected movie without NaN. A view of an order-C memory map is read fastest, and only patch by
        patch.
    search, patches, ring, merging
        See `cnmf_engine.stages.cnmfe.options`.
    deconvolution : Deconvolution
        Of the final traces.
    start : Start, optional
        Footprints or centres that are known.
    run : Run
        Workers that take patches, tiles and traces; a Dask cluster too. The result is the same.

    Returns
    -------
    Fit
        Components in the order of the patches; those that continue given footprints first, in their order.

    Raises
    ------
    InputError
        If the movie holds NaN, or is too small for the ring.

    References
    ----------
    Zhou et al. 2018, eLife 7:e28728, Methods, 'CNMF-E'; Giovannucci et al. 2019, eLife 8:e38173, Methods,
    'CaImAn batch'.
    """
    T, *dims = movie.shape
    dims = tuple(dims)
    start = Start(dims) if start is None else start
    bad = find_bad_pixels(movie)
    if bad.mask.any():
        log.warning("Pixels that don't show light from their place are left out of footprints: %s", bad)
    patched = patches.rf is not None
    # A patch as large as the field is the field.
    size = (patches.rf, patches.stride) if patched else (max(dims), 0)
    boxes = patch_grid(dims, *size, patches.border_pix)
    options = search, ring, merging, deconvolution.underway(patches.p if patched else None)
    tasks = [
        _Patch(part, start.inside(box) | ({"bad": bad.inside(box)} if bad.mask.any() else {}))
        for part, box in zip(boxes_of(movie, boxes, run), boxes)
    ]
    cost = _COPIES * 4 * (T // search.tsub + 1) * max(box.dims[0] * box.dims[1] for box in boxes)
    hint = "use smaller patches (rf), fewer frames, or a computer with more memory; going on as it is"
    text = "CNMF-E patches" if len(boxes) > 1 else None
    found = run.map(partial(_fit_patch, options), tasks, text, run.side_by_side(cost, PART, hint))
    # Patches that know the same cells find the same cells: twins are no question of taste then.
    single = patches.del_duplicates or start.known
    A, traces, sn = combine_patches(found, boxes, dims, -(-T // search.tsub), single)
    merged: list = []
    if patched and merging.merge_thr is not None:
        A, traces, merged = merge_all(A, traces, merging.merge_thr)
    if start.footprints is not None:
        order = given_first(A, start.footprints)
        A, traces = A[:, order], traces.take(order)
    if start.seeds is not None:
        log_silent_seeds(start.seeds, A, dims)
    if bad.mask.any():
        A = sparse.csc_matrix(A.multiply(~bad.mask.ravel(order="F")[:, None]), dtype=A.dtype)
    C = unshrunk(traces.C, traces.YrA)
    fit = _finished(movie, A, C, sn, search, ring, deconvolution, run)
    fit = replace(fit, merged=merged, options=(*fit.options, patches, merging))
    log.info("CNMF-E found %d components in %d patches", len(fit.C), len(boxes))
    if not (len(fit.C) or start.known):
        _log_nothing(found, search)
    return fit


@one_thread()
def refine(
    movie: np.ndarray,
    A: sparse.csc_matrix,
    C: np.ndarray,
    *,
    sn: np.ndarray,
    search: Search,
    ring: Ring,
    deconvolution: Deconvolution = Deconvolution(),
    run: Run = RUN,
) -> Fit:
    """
    Update known components once over the whole field of view, with the ring background they leave.

    Parameters
    ----------
    movie : ndarray or memmap of shape (T, d1, d2)
        The movie that was fitted.
    A : csc_matrix of shape (d, K)
        Footprints.
    C : ndarray of shape (K, T)
        Traces.
    sn : ndarray of shape (d,)
        Noise of each pixel.
    search, ring, deconvolution, run
        As for `fit_cnmfe`.

    Returns
    -------
    Fit
        Its `kept` tells which components are left.

    References
    ----------
    Zhou et al. 2018, eLife 7:e28728, Methods, 'Estimating A', 'Estimating C'.
    """
    options = dict(sn=sn, search=search, ring=ring, deconvolution=deconvolution.underway(), run=run)
    done = update_all(movie, A, C, **options)
    fit = _finished(movie, done.A, done.C, sn, search, ring, deconvolution, run)
    return replace(fit, kept=done.kept[fit.kept])


class _Patch(NamedTuple):
    """One patch's work: the movie there, and what is known of it as keywords of `initialize`."""

    movie: BoxOfMovie
    known: dict[str, Any]


def _fit_patch(options: tuple[Search, Ring, Merging, Deconvolution], patch: _Patch) -> Initialized:
    """Run CNMF-E on a patch (importable, so that it travels to other processes)."""
    return initialize(patch.movie.images, patch.movie.box, *options, **patch.known)


def _finished(
    movie: np.ndarray,
    A: sparse.csc_matrix,
    C: np.ndarray,
    sn: np.ndarray,
    search: Search,
    ring: Ring,
    deconvolution: Deconvolution,
    run: Run,
) -> Fit:
    """Read traces of components from the movie, deconvolve them, and bring footprints to unit length."""
    found = read_out(movie, A, C, ring=ring, tsub=search.tsub, run=run)
    traces, dynamics = deconvolve_all(found.traces, deconvolution, run)
    # The constant background is what the final traces leave of each pixel's mean.
    change = found.traces.C.mean(axis=1) - traces.C.mean(axis=1)
    b0 = (found.background.b0 + found.A @ change).astype(np.float32)
    norm = np.sqrt(np.asarray(found.A.multiply(found.A).sum(axis=0)).ravel())
    A = sparse.csc_matrix(found.A @ sparse.diags(1 / norm) if len(norm) else found.A, dtype=np.float32)
    A.sort_indices()
    background = RingModel(found.background.W, b0)
    fit = Fit(tuple(movie.shape[1:]), A, traces.scale(norm), background, sn, found.kept, dynamics)
    return replace(fit, options=(search, ring, deconvolution))


def deconvolve_all(
    traces: Traces, deconvolution: Deconvolution, run: Run = RUN
) -> tuple[Traces, Dynamics | None]:
    """
    Deconvolve raw traces, a few a task, with the dynamics of the whole recording where they can be measured.

    Parameters
    ----------
    traces : Traces
        Raw trace = C + YrA.
    deconvolution : Deconvolution
        How; with its `fr` the dynamics are measured first.
    run : Run
        Workers that take the tasks.

    Returns
    -------
    traces : Traces
        Deconvolved traces.
    dynamics : Dynamics or None
        What was measured; None if nothing was asked for, or too few transients are clear.
    """
    raw = traces.C + traces.YrA
    pooled = deconvolution.fr is not None and deconvolution.p > 0
    dynamics = measure_dynamics(raw, deconvolution.fr) if pooled else None
    if dynamics is not None:
        if deconvolution.optimize_g:
            log.warning(
                "optimize_g has no effect beside dynamics measured for the whole recording: set "
                "dynamics='per_trace' to have each trace refine its own decay"
            )
        deconvolution = replace(deconvolution, p=dynamics.order, optimize_g=False)
        log.info("Dynamics of the indicator: %s", dynamics)
    elif pooled and len(raw):
        log.info(
            "Too few clear transients to measure the indicator's rise and decay by: each trace is "
            "deconvolved with an estimate of its own"
        )
    g = None if dynamics is None else dynamics.g
    chunks = [
        (raw[k : k + _CHUNK], None if g is None else g[k : k + _CHUNK])
        for k in range(0, max(len(raw), 1), _CHUNK)
    ]
    done = run.map(partial(_deconvolve, deconvolution), chunks, "Deconvolution")
    return Traces(
        *(np.concatenate([getattr(part, f.name) for part in done]) for f in fields(Traces))
    ), dynamics


def _deconvolve(deconvolution: Deconvolution, chunk: tuple[np.ndarray, np.ndarray | None]) -> Traces:
    """Deconvolve some traces (importable, so that it travels to other processes)."""
    return Traces.from_raw(chunk[0], deconvolution, chunk[1])


def _log_nothing(results: Sequence[Initialized], search: Search) -> None:
    """Say what the thresholds met when nothing was found."""
    seen = [result.seeds for result in results]
    corr = max((s.max_corr for s in seen), default=0.0)
    pnr = max((s.max_pnr for s in seen), default=0.0)
    # The first search averages frames, which lowers the noise, and asks for that much more.
    raised = search.min_pnr * (search.tsub * search.ssub**2) ** 0.5
    log.warning(
        explain(
            f"pixels with correlation >= {search.min_corr:g} and PNR >= {search.min_pnr:g} (which is "
            f"{raised:.3g} after averaging {search.tsub} frames and {search.ssub} px a side)",
            f"{sum(s.n_candidates for s in seen)} of them, no component; the images reach {corr:.2f} and "
            f"{pnr:.1f}",
            "lower min_corr or min_pnr, or check gSig and the motion correction",
        )
    )
