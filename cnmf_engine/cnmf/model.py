"""
The class that runs CNMF-E with CaImAn's interface.

This is the only module that unpacks parameters; the stages below it take arrays and keywords.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from ..cluster import map_ordered
from ..errors import InputError, ParameterError, explain
from .background import RingModel, fit_ring_movie
from .deconvolution import check_method
from .geometry import Box, read_box
from .initialization import Initialized, initialize
from .merging import merge_components
from .patches import centres_of_mass, combine_patches, patch_grid
from .temporal import Traces

__all__ = ["CNMF"]

log = logging.getLogger("caiman")

_WHOLE = (slice(None), slice(None))
#: A patch whose values change less than this in all holds nothing.
_MIN_VARIATION = 0.1
#: Longest transient, in decay times of the indicator.
_TRANSIENT = 20
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
    Ain, Cin, b_in, f_in : array, optional
        Starting values; must be None in this version.
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
        from ..estimates import Estimates
        from ..params import CNMFParams

        own = {name: keywords.pop(name, None) for name in _OWN}
        given = [name for name in ("Ain", "Cin", "b_in", "f_in") if own[name] is not None]
        if given:
            raise ParameterError(
                explain(
                    "no starting values", ", ".join(given), "leave them out; seeds are found from the movie"
                )
            )
        keywords.pop("deconv_flag", None)
        self.params = CNMFParams(**keywords) if params is None else params
        self.params.patch["n_processes"] = n_processes or 1
        self.dview = own["dview"]
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
            If the movie doesn't have three axes, holds NaN, or is too small for the ring.
        ParameterError
            If the parameters ask for what this engine doesn't have.

        Notes
        -----
        Results go to ``estimates``. Nothing found is a result too: it is logged as a warning with what the
        thresholds met, and ``estimates`` holds zero components.
        """
        images = self._checked(images, indices)
        T, *dims = images.shape
        self.dims = tuple(dims)
        # A second fit must not keep the evaluation of the first.
        self.estimates = type(self.estimates)(dims=self.dims)
        self.params.data["dims"] = self.dims
        self.params.online["init_batch"] = T
        filename = getattr(images, "filename", None)
        self.mmap_file = str(Path(filename)) if filename else None
        patched = self.params.patch["rf"] is not None
        boxes = self._boxes() if patched else [Box(0, dims[0], 0, dims[1])]
        results = self._run_boxes(images, boxes, p=self.params.patch["p_patch"] if patched else None)
        A, traces, sn = combine_patches(results, boxes, self.dims, T, self.params.patch["del_duplicates"])
        if patched:
            A, traces = self._merge_all(A, traces)
        if patched or self._beyond_search():
            options = self._deconvolution() | self._finish()
            traces = Traces.from_raw(traces.C + traces.YrA, **options, p=self._order())
        background = self._background(images, A, traces.C)
        self._store(A, traces, sn, background)
        self._report(results)

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
        from ..storage import save

        return save(self, filename)

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
        _check_parameters(self.params)
        return images[(slice(None), *indices)]

    def _boxes(self) -> list[Box]:
        patch = self.params.patch
        return patch_grid(self.dims, patch["rf"], patch["stride"], patch["border_pix"])

    def _order(self) -> int:
        return int(self.params.preprocess["p"])

    def _finish(self) -> dict[str, Any]:
        """Keywords of the last deconvolution alone: they are slow, or in units of finished traces."""
        return {name: self.params.temporal[name] for name in ("method_deconvolution", "s_min", "optimize_g")}

    def _beyond_search(self) -> bool:
        """Whether the last deconvolution differs from those on the way."""
        plain = {"method_deconvolution": "oasis", "s_min": None, "optimize_g": False}
        return self._order() > 1 or (self._order() > 0 and self._finish() != plain)

    def _deconvolution(self) -> dict[str, Any]:
        temporal = self.params.temporal
        names = ("bas_nonneg", "noise_method", "lags", "fudge_factor")
        options = {name: temporal[name] for name in names}
        return options | {"noise_range": tuple(temporal["noise_range"])}

    def _options(self, p: int | None) -> dict[str, Any]:
        """Keywords of `initialize`."""
        init, merging, preprocess = self.params.init, self.params.merging, self.params.preprocess
        names = (
            "min_corr",
            "min_pnr",
            "K",
            "tsub",
            "ssub",
            "ssub_B",
            "ring_size_factor",
            "init_iter",
            "center_psf",
        )
        # A transient is over after some twenty decay times; what changes more slowly is background.
        window = round(_TRANSIENT * self.params.data["decay_time"] * self.params.data["fr"])
        noise = {name: preprocess[name] for name in ("noise_method", "max_num_samples_fft")}
        return {
            **{name: init[name] for name in names},
            "center_psf": init["center_psf"],
            "gSig": float(np.ravel(init["gSig"])[0]),
            "gSiz": int(np.ravel(init["gSiz"])[0]),
            "merge_thr": merging["merge_thr"],
            "do_merge": merging["do_merge"],
            "nrgthr": self.params.spatial["nrgthr"],
            # Rise and decay come last: on the way, traces change too much for two time constants.
            "p": min(self._order() if p is None else p, 1),
            "window": max(window, 3),
            "noise": noise | {"noise_range": tuple(preprocess["noise_range"])},
            **self._deconvolution(),
        }

    def _run_boxes(self, images, boxes: list[Box], p: int | None) -> list[Initialized | None]:
        """Run CNMF-E on every box."""
        options = self._options(p)

        def run(box: Box) -> Initialized | None:
            Y = read_box(images, box)
            _refuse_nan(Y, box)
            if np.abs(np.diff(Y[:: max(1, len(Y) // 500)], axis=1)).sum() <= _MIN_VARIATION:
                return None
            return initialize(Y, box.dims, **options)

        return map_ordered(run, boxes, self.dview, "CNMF-E patches" if len(boxes) > 1 else None)

    def _merge_all(self, A: sparse.csc_matrix, traces: Traces) -> tuple[sparse.csc_matrix, Traces]:
        """Merge twins of neighbouring patches until nothing merges."""
        merging = self.params.merging
        self.estimates.merged_ROIs = []
        while merging["do_merge"]:
            merged = merge_components(A, traces, merge_thr=merging["merge_thr"], p=0)
            A, traces = merged.A, merged.traces
            if not merged.groups:
                break
            self.estimates.merged_ROIs.append(merged.groups)
        return A, traces

    def _background(self, images, A: sparse.csc_matrix, C: np.ndarray) -> RingModel:
        init = self.params.init
        radius = init["ring_size_factor"] * np.ravel(init["gSiz"])[0]
        return fit_ring_movie(images, A, C, radius=radius, ssub=init["ssub_B"], dview=self.dview)

    def _store(self, A: sparse.csc_matrix, traces: Traces, sn: np.ndarray, background: RingModel) -> None:
        """Normalise footprints and write everything to the estimates."""
        norm = np.sqrt(np.asarray(A.multiply(A).sum(axis=0)).ravel())
        traces = traces.scale(norm)
        estimates = self.estimates
        estimates.A = sparse.csc_matrix(A @ sparse.diags(1 / norm) if len(norm) else A, dtype=np.float32)
        estimates.A.sort_indices()
        estimates.C, estimates.S, estimates.YrA = traces.C, traces.S, traces.YrA
        estimates.bl, estimates.c1, estimates.neurons_sn = traces.bl, traces.c1, traces.sn
        estimates.lam, estimates.g = traces.lam, traces.g
        estimates.W, estimates.b0 = background
        estimates.b = estimates.f = None
        estimates.sn = sn
        estimates.nr = len(traces.C)
        estimates.center = centres_of_mass(estimates.A, self.dims)

    def _report(self, results: list[Initialized | None]) -> None:
        """Log what was found; say what the thresholds met when nothing was."""
        n = len(self.estimates.C)
        if n:
            log.info("CNMF-E found %d components in %d patches", n, len(results))
            return
        seen = [result.seeds for result in results if result is not None]
        corr = max((s.max_corr for s in seen), default=0.0)
        pnr = max((s.max_pnr for s in seen), default=0.0)
        init = self.params.init
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


def _refuse_nan(Y: np.ndarray, box: Box) -> None:
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


def _check_parameters(params) -> None:
    """Raise ParameterError for what this engine doesn't have, before any work is done."""
    init = params.init
    if init["method_init"] != "corr_pnr" or init["nb"] != 0:
        raise ParameterError(
            explain(
                "method_init='corr_pnr' and nb=0 (one-photon data, ring background)",
                f"method_init={init['method_init']!r}, nb={init['nb']!r}",
                "set both with params.change_params; for two-photon data use CaImAn itself",
            )
        )
    temporal = params.temporal
    options = temporal["method_deconvolution"], temporal["s_min"], temporal["optimize_g"]
    check_method(params.preprocess["p"], *options)
    check_method(params.patch["p_patch"], "oasis")
