"""
The class that runs CNMF-E with CaImAn's interface.

What it asks of the stages stands in `settings`; the stages below take arrays and keywords.
"""

from __future__ import annotations

import copy
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from cnmf_engine.base.compiling import announce_compilation
from cnmf_engine.base.errors import InputError, ParameterError, explain
from cnmf_engine.base.memory import memory_room
from cnmf_engine.base.parallel import map_ordered, shares_memory
from cnmf_engine.caiman import storage
from cnmf_engine.caiman.estimates import Estimates
from cnmf_engine.caiman.params import CNMFParams
from cnmf_engine.caiman.settings import (
    check_parameters,
    final_options,
    ring_options,
    search_options,
    update_options,
)
from cnmf_engine.movies.access import check_movie
from cnmf_engine.movies.geometry import Box
from cnmf_engine.stages.bad_pixels import BadPixels, find_bad_pixels
from cnmf_engine.stages.cnmfe.background import RingModel
from cnmf_engine.stages.cnmfe.boxes import BoxOfMovie, BoxTask, at_once, fit_box, movie_file
from cnmf_engine.stages.cnmfe.finishing import deconvolve_all, merge_all
from cnmf_engine.stages.cnmfe.initialization import Initialized
from cnmf_engine.stages.cnmfe.patches import centres_of_mass, combine_patches, patch_grid
from cnmf_engine.stages.cnmfe.readout import read_out
from cnmf_engine.stages.cnmfe.refit import refine
from cnmf_engine.stages.cnmfe.starting import Start, given_first, log_silent_seeds
from cnmf_engine.stages.cnmfe.temporal import Traces, unshrunk

__all__ = ["CNMF", "load_CNMF"]

log = logging.getLogger("caiman")

_WHOLE = (slice(None), slice(None))
#: Keywords of the constructor that belong to the object, not to the parameters.
_OWN = ("dview", "Ain", "Cin", "b_in", "f_in", "skip_refinement", "remove_very_bad_comps")
#: Copies of its averaged movie that a patch holds while it is fitted.
_COPIES = 3
#: Part of the free memory for patches that are fitted side by side, unless there is a memory_limit.
_PART = 0.5


class CNMF:
    """
    Footprints, traces and background of a one-photon movie by CNMF-E.

    Parameters
    ----------
    n_processes : int or None
        Workers; kept in ``params.patch['n_processes']``. The pool itself is `dview`.
    dview : Workers, optional
        Pool from ``cm.cluster.setup_cluster``; None runs everything in this thread. The result is the same.
    Ain : array or sparse matrix of shape (d, K), optional
        Footprints to start from, as numbers or masks, pixels in Fortran order. They take the place of the
        first search for cells; with ``init_iter`` above 1 more cells are sought in what they leave.
        Components come out in this order, new ones behind them.
    Cin : array, optional
        Accepted and not used: traces are read from the movie anew.
    b_in, f_in : array, optional
        Low-rank background of two-photon data; must be None.
    params : CNMFParams, optional
        Parameters; shared with the caller, not copied. Without it they are made from the keywords.
    skip_refinement, remove_very_bad_comps : bool
        Kept for compatibility.
    **keywords
        Single parameters by name, as in CaImAn's constructor; ignored when `params` is given.

    Attributes
    ----------
    params : CNMFParams
        Parameters.
    estimates : Estimates
        What was found.
    dims : tuple of int or None
        Rows and columns, after `fit`.
    mmap_file : str or None
        File behind the movie, if it was a memory map.

    References
    ----------
    Zhou et al. 2018, eLife 7:e28728 (CNMF-E); Giovannucci et al. 2019, eLife 8:e38173 (CaImAn).
    """

    def __init__(self, n_processes: int | None = 1, *, params=None, **keywords: Any):
        own = {name: keywords.pop(name, None) for name in _OWN}
        given = [name for name in ("b_in", "f_in") if own[name] is not None]
        if given:
            fix = "leave them out: the ring model of the background needs no start"
            raise ParameterError(explain("no low-rank background", ", ".join(given), fix))
        keywords.pop("deconv_flag", None)
        self.params = CNMFParams(**keywords) if params is None else params
        self.params.patch["n_processes"] = n_processes or 1
        self.dview = own["dview"]
        self.Ain = own["Ain"]
        self.skip_refinement = bool(own["skip_refinement"])
        self.remove_very_bad_comps = bool(own["remove_very_bad_comps"])
        self.dims: tuple[int, int] | None = None
        self.mmap_file: str | None = None
        self.empty_merged = None
        self.estimates = Estimates(dims=self.params.data["dims"])

    def __repr__(self) -> str:
        return f"CNMF({self.estimates!r})"

    def fit(self, images: np.ndarray, indices: tuple[slice, slice] = _WHOLE) -> None:
        """
        Find the components of a movie.

        Parameters
        ----------
        images : ndarray or memmap of shape (T, d1, d2)
            Motion-corrected movie. Any array does; a view of an order-C memory map is read fastest, and
            only patch by patch.
        indices : tuple of two slices
            Rows and columns to use.

        Raises
        ------
        InputError
            If the movie doesn't have three axes, holds NaN, or is too small for the ring; if footprints or
            seeds don't lie in it.
        ParameterError
            If the parameters ask for what this engine doesn't have.

        Notes
        -----
        Results go to ``estimates``. Nothing found is a result too: it is logged as a warning with what the
        thresholds met, and ``estimates`` holds zero components.
        """
        images = self._checked(images, indices)
        start = Start.checked(images.shape[1:], self.Ain, self.params.init["seed_method"])
        self._remember(images)
        bad = find_bad_pixels(images)
        if bad.mask.any():
            log.warning("Pixels that don't show light from their place are left out of footprints: %s", bad)
        patched = self.params.patch["rf"] is not None
        boxes = self._boxes()
        p_patch = self.params.patch["p_patch"] if patched else None
        results = self._run_boxes(images, boxes, start, p_patch, bad if bad.mask.any() else None)
        # Patches that know the same cells find the same cells: twins are no question of taste then.
        single = self.params.patch["del_duplicates"] or start.known
        samples = -(-len(images) // self.params.init["tsub"])
        A, traces, sn = combine_patches(results, boxes, self.dims, samples, single)
        if patched:
            A, traces, self.estimates.merged_ROIs = merge_all(A, traces, **self.params.merging)
        if start.footprints is not None:
            order = given_first(A, start.footprints)
            A, traces = A[:, order], traces.take(order)
        if start.seeds is not None:
            log_silent_seeds(start.seeds, A, self.dims)
        if bad.mask.any():
            A = sparse.csc_matrix(A.multiply(~bad.mask.ravel(order="F")[:, None]), dtype=A.dtype)
        self._finish(images, A, unshrunk(traces.C, traces.YrA), sn)
        log.info("CNMF-E found %d components in %d patches", len(self.estimates.C), len(boxes))
        if not (len(self.estimates.C) or start.known):
            _log_nothing(results, self.params.init)

    def refit(self, images: np.ndarray, dview: Any = None) -> CNMF:
        """
        Update the accepted components over the whole field of view, with the ring background.

        The background is fitted anew without the rejected components, then all footprints and traces are
        updated once, traces are deconvolved, and the background is fitted to what came out. The field is
        worked on in tiles, so that memory doesn't grow with it. (CaImAn's refit leaves the ring background
        out, which makes it useless for one-photon data.)

        Parameters
        ----------
        images : ndarray or memmap of shape (T, d1, d2)
            The movie that was fitted.
        dview : Workers, optional
            Pool of workers; this object's own if None.

        Returns
        -------
        CNMF
            A new model with the same parameters; this one stays as it is. Components that were not accepted
            are in its ``estimates.discarded_components``; ``estimates.idx_kept`` says which ones the others
            were. It is not evaluated.

        Raises
        ------
        InputError
            If nothing was fitted, or the movie has another size.
        """
        if self.estimates.A is None or self.estimates.C is None:
            raise InputError(explain("a fitted model", "estimates without A and C", "call fit first"))
        images = self._checked(images, _WHOLE)
        check_movie(images, self.estimates.A.shape[0], self.estimates.C.shape[1])
        new = CNMF(self.params.patch["n_processes"], params=self.params, dview=dview or self.dview)
        new._remember(images)
        old = copy.copy(self.estimates)
        old.select_components(use_object=old.idx_components is not None)
        A = sparse.csc_matrix(old.A)
        sn = np.zeros(A.shape[0], np.float32) if old.sn is None else np.asarray(old.sn)
        done = refine(
            images,
            A,
            np.asarray(old.C, dtype=np.float32),
            sn=sn,
            tsub=self.params.init["tsub"],
            **ring_options(self.params),
            **update_options(self.params),
            budget=memory_room(self.params.patch["memory_limit"], _PART),
            dview=new.dview,
        )
        alive = new._finish(images, done.A, done.C, sn)
        kept = np.arange(A.shape[1]) if old.idx_kept is None else np.asarray(old.idx_kept)
        new.estimates.idx_kept = kept[done.kept[alive]]
        new.estimates.discarded_components = old.discarded_components
        lost = np.setdiff1d(kept, new.estimates.idx_kept)
        if len(lost):
            log.warning("Nothing is left of %d components after the update: %s", len(lost), lost.tolist())
        return new

    def remove_components(self, ind_rm: Any) -> None:
        """
        Take components out for good.

        Parameters
        ----------
        ind_rm : sequence of int or bool
            Which.

        Raises
        ------
        InputError
            If an index doesn't exist.
        """
        self.estimates.remove_components(ind_rm)

    def compute_residuals(self, Yr: np.ndarray) -> None:
        """
        Project onto each footprint what cells and background leave of the movie.

        Parameters
        ----------
        Yr : ndarray or memmap of shape (d, T) or (T, d1, d2)
            The movie.
        """
        self.estimates.compute_residuals(Yr)

    def save(self, filename: str | Path) -> str:
        """
        Save parameters and estimates in CaImAn's HDF5 layout.

        Parameters
        ----------
        filename : str or path
            Name ending in ``.hdf5`` or ``.h5``; without a folder it goes to the working directory.

        Returns
        -------
        str
            Full path of the file.
        """
        return storage.save(self, filename)

    def _checked(self, images: np.ndarray, indices: tuple[slice, slice]) -> np.ndarray:
        """Movie cut to the indices; raises for what can't be fitted."""
        if getattr(images, "ndim", 0) != 3 or 0 in images.shape:
            raise InputError(
                explain(
                    "a movie of shape (T, d1, d2): frames, rows, columns",
                    f"{type(images).__name__} of shape {getattr(images, 'shape', None)}",
                    "reshape a memory map with Yr.T.reshape((T,) + dims, order='F')",
                )
            )
        check_parameters(self.params)
        announce_compilation()
        return images[(slice(None), *indices)]

    def _remember(self, images: np.ndarray) -> None:
        """Note what the movie is; a second fit must not keep the evaluation of the first."""
        T, *dims = images.shape
        self.dims = tuple(dims)
        self.estimates = type(self.estimates)(dims=self.dims)
        self.params.data["dims"] = self.dims
        self.params.online["init_batch"] = T
        filename = getattr(images, "filename", None)
        self.mmap_file = str(Path(filename)) if filename else None

    def _boxes(self) -> list[Box]:
        """Patches, or the whole field less its border."""
        patch = self.params.patch
        # A patch as large as the field is the field.
        rf = patch["rf"] if patch["rf"] is not None else max(self.dims)
        return patch_grid(
            self.dims, rf, patch["stride"] if patch["rf"] is not None else 0, patch["border_pix"]
        )

    def _run_boxes(
        self, images: np.ndarray, boxes: list[Box], start: Start, p: int | None, bad: BadPixels | None
    ) -> list[Initialized | None]:
        """Run CNMF-E on every box."""
        options = search_options(self.params, p)
        shared = shares_memory(self.dview)
        file = None if shared else movie_file(images)
        tasks = [
            BoxTask(
                BoxOfMovie(images, box, file),
                box,
                options | start.inside(box) | ({"bad": bad.inside(box)} if bad else {}),
            )
            for box in boxes
        ]
        run = fit_box
        if shared:
            # Processes elsewhere have a memory of their own.
            frames = len(images) // self.params.init["tsub"] + 1
            cost = _COPIES * 4 * frames * max(box.dims[0] * box.dims[1] for box in boxes)
            hint = "use smaller patches (rf), fewer frames, or a computer with more memory; going on as it is"
            run = at_once(run, cost, memory_room(self.params.patch["memory_limit"], _PART), hint)
        return map_ordered(run, tasks, self.dview, "CNMF-E patches" if len(boxes) > 1 else None)

    def _finish(self, images: np.ndarray, A: sparse.csc_matrix, C: np.ndarray, sn: np.ndarray) -> np.ndarray:
        """Read traces from the movie, deconvolve and store them; return which components are left."""
        # What all cells share would have to travel with each tile: other processes are no help here.
        local = self.dview if shares_memory(self.dview) else None
        tsub = self.params.init["tsub"]
        found = read_out(
            images, A, C, tsub=tsub, **ring_options(self.params), dview=local, progress="Background"
        )
        traces, dynamics = deconvolve_all(found.traces, final_options(self.params), self.dview)
        self.params.temporal["measured_decay"] = None if dynamics is None else dynamics.decay
        self.params.temporal["measured_rise"] = None if dynamics is None else dynamics.rise
        # The constant background is what the final traces leave of each pixel's mean.
        change = found.traces.C.mean(axis=1) - traces.C.mean(axis=1)
        b0 = (found.background.b0 + found.A @ change).astype(np.float32)
        _store(self.estimates, found.A, traces, sn, RingModel(found.background.W, b0))
        return found.kept


def load_CNMF(filename: str | os.PathLike, n_processes: int | None = 1, dview: Any = None) -> CNMF:
    """
    Load a model that was saved here or by CaImAn.

    Parameters
    ----------
    filename : str or path
        Ends with ``.hdf5`` or ``.h5``.
    n_processes : int, optional
        Number of workers for what follows.
    dview : Workers, optional
        The workers.

    Returns
    -------
    CNMF
        The model, with the parameters and estimates of the file.

    Raises
    ------
    MissingFileError
        If the file doesn't exist; names those beside it.
    InputError
        If it isn't such a file.
    """
    saved = storage.load(filename)
    cnm = CNMF(n_processes, dview=dview, params=saved.params)
    for name, value in saved.others.items():
        setattr(cnm, name, value)
    cnm.estimates = saved.estimates
    return cnm


def _store(
    estimates: Estimates, A: sparse.csc_matrix, traces: Traces, sn: np.ndarray, background: RingModel
) -> None:
    """Normalise footprints and write everything to fresh estimates that know ``dims``."""
    norm = np.sqrt(np.asarray(A.multiply(A).sum(axis=0)).ravel())
    traces = traces.scale(norm)
    estimates.A = sparse.csc_matrix(A @ sparse.diags(1 / norm) if len(norm) else A, dtype=np.float32)
    estimates.A.sort_indices()
    estimates.C, estimates.S, estimates.YrA = traces.C, traces.S, traces.YrA
    estimates.bl, estimates.c1, estimates.neurons_sn = traces.bl, traces.c1, traces.sn
    estimates.lam, estimates.g = traces.lam, traces.g
    estimates.W, estimates.b0 = background
    estimates.b = estimates.f = None
    estimates.sn = sn
    estimates.nr = len(traces.C)
    estimates.center = centres_of_mass(estimates.A, estimates.dims)


def _log_nothing(results: Sequence[Initialized | None], init: Mapping[str, Any]) -> None:
    """Say what the thresholds met when nothing was found."""
    seen = [result.seeds for result in results if result is not None]
    corr = max((s.max_corr for s in seen), default=0.0)
    pnr = max((s.max_pnr for s in seen), default=0.0)
    # The first search averages frames, which lowers the noise, and asks for that much more.
    raised = init["min_pnr"] * (init["tsub"] * init["ssub"] ** 2) ** 0.5
    log.warning(
        explain(
            f"pixels with correlation >= {init['min_corr']:g} and PNR >= {init['min_pnr']:g} (which is "
            f"{raised:.3g} after averaging {init['tsub']} frames and {init['ssub']} px a side)",
            f"{sum(s.n_candidates for s in seen)} of them, no component; the images reach {corr:.2f} and "
            f"{pnr:.1f}",
            "lower min_corr or min_pnr, or check gSig and the motion correction",
        )
    )
