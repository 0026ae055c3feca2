"""
The class that runs CNMF-E with CaImAn's interface.

What it asks of the stages stands in `settings`; the stages below take arrays and keywords.
"""

from __future__ import annotations

import copy
import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from cnmf_engine.base.compiling import announce_compilation
from cnmf_engine.base.errors import InputError, ParameterError, explain
from cnmf_engine.base.parallel import Run
from cnmf_engine.caiman import storage
from cnmf_engine.caiman.estimates import Estimates
from cnmf_engine.caiman.params import CNMFParams
from cnmf_engine.caiman.settings import (
    check_parameters,
    deconvolution_options,
    options_of,
    params_of,
    ring_options,
    search_options,
)
from cnmf_engine.movies.access import check_movie
from cnmf_engine.stages.cnmfe.background import RingModel
from cnmf_engine.stages.cnmfe.fit import Fit, fit_cnmfe, refine
from cnmf_engine.stages.cnmfe.starting import Start
from cnmf_engine.stages.cnmfe.temporal import Traces
from cnmf_engine.stages.quality import Quality, Verdict

__all__ = ["CNMF", "load_CNMF", "load_fit", "save_fit"]

log = logging.getLogger("caiman")

_WHOLE = (slice(None), slice(None))
#: Keywords of the constructor that belong to the object, not to the parameters.
_OWN = ("dview", "Ain", "Cin", "b_in", "f_in", "skip_refinement", "remove_very_bad_comps")


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
        self._take(fit_cnmfe(images, *options_of(self.params), start=start, run=self._run))

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
        fit = refine(
            images,
            A,
            np.asarray(old.C, dtype=np.float32),
            sn=sn,
            search=search_options(self.params),
            ring=ring_options(self.params),
            deconvolution=deconvolution_options(self.params),
            run=new._run,
        )
        new._take(fit)
        kept = np.arange(A.shape[1]) if old.idx_kept is None else np.asarray(old.idx_kept)
        new.estimates.idx_kept = kept[fit.kept]
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

    @property
    def _run(self) -> Run:
        return Run(self.dview, self.params.patch["memory_limit"], progress=True)

    def _take(self, fit: Fit) -> None:
        """Fill fresh estimates, and note what was measured."""
        estimates, traces, dynamics = self.estimates, fit.traces, fit.dynamics
        estimates.A, estimates.sn, estimates.center, estimates.nr = fit.A, fit.sn, fit.centre, len(fit.C)
        for name in ("C", "S", "YrA", "bl", "c1", "lam", "g"):
            setattr(estimates, name, getattr(traces, name))
        estimates.neurons_sn = traces.sn
        estimates.W, estimates.b0 = fit.background
        estimates.b = estimates.f = None
        if self.params.patch["rf"] is not None:
            estimates.merged_ROIs = list(fit.merged)
        self.params.temporal["measured_decay"] = None if dynamics is None else dynamics.decay
        self.params.temporal["measured_rise"] = None if dynamics is None else dynamics.rise


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


def save_fit(
    filename: str | os.PathLike,
    fit: Fit,
    quality: Quality | None = None,
    verdict: Verdict | None = None,
    *,
    fr: float | None = None,
    decay_time: float | None = None,
) -> str:
    """
    Save what the stage functions found as a model that CaImAn and `load_CNMF` read.

    Parameters
    ----------
    filename : str or path
        Ends with ``.hdf5`` or ``.h5``.
    fit : Fit
        From `fit_cnmfe`.
    quality, verdict : Quality, Verdict, optional
        From `measure` and `decide`.
    fr, decay_time : float, optional
        Frame rate, Hz, and length of a transient, s, which no option of a fit needs; CaImAn's defaults are
        written where they aren't given.

    Returns
    -------
    str
        Full path of the file. Its other parameters are the options of the fit and of the decision.
    """
    asked = [] if verdict is None else [verdict.thresholds]
    model = CNMF(params=params_of(*fit.options, *asked))
    times = {"fr": fr, "decay_time": decay_time}
    model.params.change_params({"data": {name: value for name, value in times.items() if value is not None}})
    model.params.data["dims"] = model.estimates.dims = model.dims = fit.dims
    model._take(fit)
    if quality is not None:
        model.estimates.SNR_comp, model.estimates.r_values = quality.snr, quality.r
        for name, values in quality.measures.items():
            setattr(model.estimates, name, values)
    if verdict is not None:
        model.estimates.idx_components, model.estimates.idx_components_bad = verdict[:2]
        model.estimates.idx_components_implausible = verdict.implausible
        model.estimates.rejected_by, model.estimates.likeness = verdict.reasons, verdict.likeness
    return model.save(filename)


def load_fit(filename: str | os.PathLike) -> Fit:
    """
    Load the components and background of a model that was fitted with a ring background.

    Parameters
    ----------
    filename : str or path
        Saved by `save_fit`, `CNMF.save` or CaImAn.

    Returns
    -------
    Fit
        For `refine`, `measure` and `background`. Its `dynamics` and `merged` aren't kept in files.

    Raises
    ------
    InputError
        If the file holds no such model.
    """
    saved = storage.load(filename)
    estimates = saved.estimates
    if any(value is None for value in (estimates.A, estimates.C, estimates.S, estimates.W, estimates.b0)):
        fix = "fit with nb=0 (ring model), or use load_CNMF"
        expected = "a model with footprints, traces, spikes and a ring background"
        raise InputError(explain(expected, f"{filename} without all of them", fix))
    C, K = np.asarray(estimates.C), len(estimates.C)
    rest = {"YrA": np.zeros_like(C), "g": np.zeros((K, 1)), "sn": np.zeros(estimates.A.shape[0], np.float32)}
    rest |= {name: np.zeros(K) for name in ("bl", "c1", "neurons_sn", "lam")}
    bl, c1, noise, lam, g, YrA, sn = (
        rest[name] if getattr(estimates, name) is None else np.asarray(getattr(estimates, name))
        for name in ("bl", "c1", "neurons_sn", "lam", "g", "YrA", "sn")
    )
    traces = Traces(C, np.asarray(estimates.S), YrA, bl, c1, noise, lam, g)
    A, background = sparse.csc_matrix(estimates.A, dtype=np.float32), RingModel(estimates.W, estimates.b0)
    kept, options = np.arange(K), options_of(saved.params)
    return Fit(estimates.image_size(), A, traces, background, sn, kept, options=options)
