"""What a fit found: footprints, traces, background and quality, with CaImAn's names and methods."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy import sparse

from cnmf_engine import view
from cnmf_engine.base.errors import InputError, ParameterError, explain, nearest
from cnmf_engine.caiman.cluster import run_of
from cnmf_engine.caiman.movie import movie
from cnmf_engine.caiman.nwb import save_nwb
from cnmf_engine.caiman.params import CNMFParams
from cnmf_engine.movies.access import check_movie
from cnmf_engine.stages import components, evaluation, plausibility, reconstruction
from cnmf_engine.stages.components import COMPONENT_FIELDS
from cnmf_engine.stages.detrend import detrend, in_noise_units
from cnmf_engine.stages.quality import Cells, Quality, decide, plausibility_measures, snr_and_r
from cnmf_engine.stages.thresholds import Thresholds

__all__ = ["COMPONENT_FIELDS", "Estimates", "transient_length"]

log = logging.getLogger("caiman")

# Fields of CaImAn's online analysis: always None here, kept so that files and code find them.
_ONLINE = (
    "noisyC C_on Ab Cf OASISinstances CY CC Ab_dense Yr_buf mn vr ind_new rho_buf AtA AtY_buf sv groups"
).split()


class Estimates:
    """
    Components and background of a movie. K is the number of components, d that of pixels, T that of frames.

    Attributes
    ----------
    A : csc_matrix of shape (d, K), float32
        Footprints of unit length, pixels in Fortran order.
    C, S, YrA, R : ndarray of shape (K, T), float32
        Denoised traces, spikes, residual traces (raw trace = C + YrA), and residual traces of
        :meth:`compute_residuals`. All in units of the movie times the footprint's unit.
    F_dff : ndarray of shape (K, T) or None
        Result of :meth:`detrend_df_f`; ``dff_units`` says what it is.
    b, f : arrays of shape (d, nb) and (nb, T), or None
        Low-rank background.
    W : csr_matrix of shape (d', d'), float32; b0 : ndarray of shape (d,), float32
        Ring model: weights on the grid coarser by ``ssub_B``, and constant background.
    sn : ndarray of shape (d,)
        Noise of each pixel.
    g : ndarray of shape (K, p); bl, c1, neurons_sn, lam : ndarray of shape (K,), float64
        Autoregressive coefficients; baseline, initial calcium, noise and sparsity penalty of each trace.
    center : ndarray of shape (K, 2) or None
        Row and column of each component's centre, px.
    dims : tuple of int
        Rows and columns.
    SNR_comp, r_values, ecc, cnn_preds
        Quality of each component: signal-to-noise ratio of its transients, spatial correlation, elongation;
        no classifier, so ``cnn_preds`` is empty.
    width, roundness, snr_rest, locality, surround, movement, likeness
        What tells cells from fibres, torn frames, haze, movement and doubles, None where it wasn't asked
        for; see `cnmf_engine.stages.plausibility`.
    rejected_by : ndarray of shape (K,), str, or None
        Which of these speaks against a component, one of `cnmf_engine.stages.plausibility.REASONS`; empty
        for none.
    idx_components, idx_components_bad : ndarray of int or None
        Accepted and rejected components; None until evaluated and after a selection.
    idx_components_implausible : ndarray of int or None
        Those of the rejected ones that SNR and spatial correlation accept.
    idx_kept : ndarray of shape (K,), int, or None
        Number of each component before the first selection; None if there was none.
    discarded_components : Estimates or None
        What :meth:`select_components` took out.
    """

    def __init__(
        self,
        A: sparse.spmatrix | np.ndarray | None = None,
        b: np.ndarray | None = None,
        C: np.ndarray | None = None,
        f: np.ndarray | None = None,
        R: np.ndarray | None = None,
        dims: tuple[int, int] | None = None,
    ) -> None:
        self.A = A if A is None or sparse.issparse(A) else sparse.csc_matrix(np.asarray(A))
        self.C, self.b, self.f, self.R, self.dims = C, b, f, R, dims
        self.W = self.b0 = self.sn = None
        self.S = self.YrA = self.F_dff = None
        self.g = self.bl = self.c1 = self.neurons_sn = self.lam = None
        self.center = self.merged_ROIs = self.coordinates = self.A_thr = None
        self.SNR_comp = self.r_values = self.cnn_preds = self.ecc = None
        self.width = self.roundness = self.snr_rest = self.locality = self.surround = self.movement = None
        self.likeness = self.rejected_by = self.idx_components_implausible = None
        self.idx_components = self.idx_components_bad = self.idx_kept = None
        self.accepted_list = self.rejected_list = None
        self.discarded_components: Estimates | None = None
        self.nr = None if self.A is None else self.A.shape[1]
        self.shifts: list = []
        for name in _ONLINE:
            setattr(self, name, None)

    def __getitem__(self, name: str) -> Any:
        if isinstance(name, str) and hasattr(self, name):
            return getattr(self, name)
        guess = nearest(str(name), vars(self))
        fix = f"did you mean {guess!r}" if guess else "print(estimates) lists what there is"
        raise KeyError(explain("a field of estimates", repr(name), fix))

    def __repr__(self) -> str:
        if self.A is None or self.C is None:
            return "Estimates without components (nothing was fitted yet)"
        n_components, n_frames = np.shape(self.C)
        parts = [f"{n_components} components, {n_frames} frames, dims {self.dims}"]
        if self.idx_components is not None:
            rejected = 0 if self.idx_components_bad is None else len(self.idx_components_bad)
            parts.append(f"{len(self.idx_components)} accepted, {rejected} rejected")
        if self.discarded_components is not None and self.discarded_components.A is not None:
            parts.append(f"{self.discarded_components.A.shape[1]} discarded")
        return f"Estimates({'; '.join(parts)})"

    def __str__(self) -> str:
        lines = [repr(self)]
        for name, value in vars(self).items():
            if value is None or name in ("dims", "discarded_components"):
                continue
            shape = getattr(value, "shape", None)
            shown = (
                f"{shape} {value.dtype}"
                if shape is not None and hasattr(value, "dtype")
                else repr(value)[:60]
            )
            lines.append(f"  {name}: {shown}")
        return "\n".join(lines)

    def raw_traces(self) -> np.ndarray:
        """
        Return the traces before denoising.

        Returns
        -------
        ndarray of shape (K, T)
            ``C + YrA``; ``C`` alone if there are no residual traces.

        Raises
        ------
        InputError
            If nothing was fitted.
        """
        if self.C is None:
            fix = "call fit first, or load a fitted model"
            raise InputError(explain("traces in estimates", "estimates without C", fix))
        return np.asarray(self.C) if self.YrA is None else np.asarray(self.C) + np.asarray(self.YrA)

    def image_size(self, params: CNMFParams | None = None) -> tuple[int, int]:
        """
        Return the size of the image that footprints lie in.

        Parameters
        ----------
        params : CNMFParams, optional
            Where to look if ``dims`` wasn't set.

        Returns
        -------
        tuple of int
            Rows and columns, px.

        Raises
        ------
        InputError
            If it isn't known or doesn't fit the footprints.
        """
        dims = self.dims if self.dims is not None or params is None else params.data["dims"]
        n_pixels = None if self.A is None else self.A.shape[0]
        if dims is None or (n_pixels is not None and np.prod(dims) != n_pixels):
            expected = "estimates.dims to hold rows and columns" + (
                f" of {n_pixels} pixels" if n_pixels else ""
            )
            raise InputError(explain(expected, f"dims = {dims}", "set estimates.dims = images.shape[1:]"))
        return int(dims[0]), int(dims[1])

    def _model(self) -> reconstruction.Model:
        """Return what a movie is put together from."""
        if self.A is None or self.C is None:
            fix = "call fit first, or load a fitted model"
            raise InputError(explain("a fitted model", "estimates without A and C", fix))
        A, C = sparse.csc_matrix(self.A), np.asarray(self.C)
        return reconstruction.Model(A, C, self.image_size(), self.W, self.b0, self.b, self.f)

    def evaluate_components(self, imgs: np.ndarray, params: CNMFParams, dview: Any = None) -> None:
        """
        Measure every component against the movie and decide which to accept.

        Accepted is what has a transient SNR above ``min_SNR`` or a spatial correlation of at least
        ``rval_thr``, unless one of them is at or below its lowest limit: CaImAn's decision. Of these, a
        fibre, a torn frame, haze, movement or a double is rejected and listed in
        ``idx_components_implausible``, with the reason in ``rejected_by``; ``quality/reject_implausible`` =
        False keeps it. Sets ``SNR_comp``, ``r_values``, ``idx_components`` and ``idx_components_bad``, and
        the other measures.

        Parameters
        ----------
        imgs : ndarray or memmap of shape (T, d1, d2)
            The movie the components were found in; an array in memory will do, and a (d, T) matrix.
        params : CNMFParams
            The groups 'data' and 'quality' are used.
        dview : Workers, optional
            Not needed: the evaluation is quick.

        Raises
        ------
        ParameterError
            If ``use_cnn`` is True; nothing is computed then.
        InputError
            If nothing was fitted, or the movie has another size.
        """
        _check_classifier(params)
        self._measure(imgs, params)
        self._decide(params)

    def _measure(self, imgs: np.ndarray, params: CNMFParams) -> None:
        """Set ``SNR_comp``, ``r_values`` and, where asked for, the other measures."""
        if self.A is None or self.C is None:
            fix = "call fit first, or load a fitted model"
            raise InputError(explain("components to evaluate", "estimates without A and C", fix))
        cells = self._cells(params)
        if not len(cells.C):
            check_movie(imgs, cells.A.shape[0], cells.C.shape[1])
            log.info("There are no components to evaluate")
            self.SNR_comp, self.r_values, self.ecc = np.zeros(0), np.zeros(0), None
            return
        self.SNR_comp, self.r_values = snr_and_r(imgs, cells, params.data["fr"], transient_length(params))
        self.ecc = evaluation.eccentricity(cells.A, cells.dims) if params.quality["use_ecc"] else None
        if _checks_plausibility(params):
            self._measure_plausibility(imgs, params)

    def _measure_plausibility(self, imgs: np.ndarray, params: CNMFParams) -> None:
        """Set what tells cells from fibres, torn frames, haze and movement."""
        about = {"fr": params.data["fr"], "decay_time": _decay_time(params), "gSig": params.init["gSig"]}
        for name, values in plausibility_measures(imgs, self._cells(params), self.SNR_comp, **about).items():
            setattr(self, name, values)

    def _cells(self, params: CNMFParams) -> Cells:
        """Collect what is judged."""
        # Older models may not know their size, which SNR and r don't need.
        sized = _checks_plausibility(params) or params.quality["use_ecc"]
        dims = self.image_size(params) if sized else self.dims
        return Cells(sparse.csc_matrix(self.A), np.asarray(self.C), self.raw_traces(), dims)

    def _decide(self, params: CNMFParams) -> None:
        """Set ``idx_components`` and ``idx_components_bad`` from what was measured."""
        if params.quality["use_ecc"] and self.ecc is None:
            self.ecc = evaluation.eccentricity(sparse.csc_matrix(self.A), self.image_size(params))
        measures = pairs = None
        if _checks_plausibility(params) and len(self.SNR_comp):
            measures, pairs = self._plausibility(params)
        ecc = self.ecc if params.quality["use_ecc"] else None
        # CaImAn's own parameters lack those of measures that it doesn't have.
        known = {name: params.quality[name] for name in vars(Thresholds()) if name in params.quality}
        thresholds = Thresholds(**known)
        verdict = decide(Quality(self.SNR_comp, self.r_values, measures, pairs, ecc), thresholds)
        reasons = self.rejected_by = verdict.reasons
        if verdict.likeness is not None:
            self.likeness = verdict.likeness
        self.idx_components, self.idx_components_bad = verdict.accepted, verdict.rejected
        self.idx_components_implausible = verdict.implausible
        self.cnn_preds = []
        found = reasons[verdict.implausible]
        counts = {reason: int((found == reason).sum()) for reason in plausibility.REASONS}
        if len(found):
            log.info(
                "%d of %d components that pass SNR or r rejected by other measures: %s. "
                "quality/reject_implausible = False keeps them",
                len(found),
                len(verdict.accepted) + len(found),
                ", ".join(f"{count} as {reason}" for reason, count in counts.items() if count),
            )

    def plausibility_rule(self, params: CNMFParams) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
        """
        Prepare to say, for changing thresholds of SNR and r, which components are no cells.

        Parameters
        ----------
        params : CNMFParams
            The groups 'data' and 'quality' are used.

        Returns
        -------
        callable
            Takes the components that pass; gives reasons ``(K,)`` and likeness ``(K,)``, see
            `cnmf_engine.stages.plausibility.implausible`.
        """
        measures, pairs = self._plausibility(params)
        return lambda passed: plausibility.implausible(measures, self.SNR_comp, passed, pairs, params.quality)

    def _plausibility(self, params: CNMFParams) -> tuple[dict[str, np.ndarray], plausibility.Alike]:
        """Collect what was measured beside SNR and r, and which components lie upon each other."""
        measures = {name: getattr(self, name) for name in plausibility.MEASURES}
        return measures, plausibility.alike(self.A, self.raw_traces(), params.data["fr"], _decay_time(params))

    def filter_components(
        self,
        imgs: np.ndarray,
        params: CNMFParams,
        new_dict: Mapping[str, Any] | None = None,
        dview: Any = None,
        select_mode: str = "All",
    ) -> None:
        """
        Decide anew with other thresholds; measures only what wasn't measured yet.

        Parameters
        ----------
        imgs : ndarray or memmap of shape (T, d1, d2)
            The movie.
        params : CNMFParams
            Its group 'quality' is changed.
        new_dict : dict, optional
            New values of 'quality', for example ``{'min_SNR': 4}``.
        dview : Workers, optional
            Not needed.
        select_mode : str
            'All'; or accept only among the components in ``accepted_list`` ('Accepted'), in ``rejected_list``
            ('Rejected') or in neither ('Unassigned').

        Raises
        ------
        ParameterError
            If a value or ``select_mode`` can't be used.
        """
        modes = ("All", "Accepted", "Rejected", "Unassigned")
        if select_mode not in modes:
            raise ParameterError(explain(f"select_mode among {modes}", repr(select_mode), "use 'All'"))
        params.change_params({"quality": dict(new_dict or {})})
        _check_classifier(params)
        if self.SNR_comp is None or self.r_values is None:
            self._measure(imgs, params)
        elif _checks_plausibility(params) and self.roundness is None and len(self.SNR_comp):
            self._measure_plausibility(imgs, params)
        self._decide(params)
        if select_mode == "All":
            return
        listed = {
            "Accepted": np.asarray(self.accepted_list if self.accepted_list is not None else [], dtype=int),
            "Rejected": np.asarray(self.rejected_list if self.rejected_list is not None else [], dtype=int),
        }
        everything = np.arange(len(self.SNR_comp))
        unassigned = np.setdiff1d(everything, np.concatenate(list(listed.values())))
        pool = listed.get(select_mode, unassigned)
        self.idx_components = np.intersect1d(self.idx_components, pool)
        self.idx_components_implausible = np.intersect1d(self.idx_components_implausible, pool)
        self.idx_components_bad = np.setdiff1d(everything, self.idx_components)

    def select_components(
        self,
        idx_components: Any = None,
        use_object: bool = False,
        save_discarded_components: bool = True,
    ) -> Estimates:
        """
        Keep some components in every field and put the others aside.

        Afterwards ``idx_components`` is None, as in CaImAn; ``idx_kept`` tells which ones these were.

        Parameters
        ----------
        idx_components : sequence of int or bool, optional
            Which to keep, in this order; None keeps all.
        use_object : bool
            Keep the accepted ones.
        save_discarded_components : bool
            Keep the others in ``discarded_components``.

        Returns
        -------
        Estimates
            This object.

        Raises
        ------
        InputError
            If an index doesn't exist, or ``use_object`` comes before an evaluation.
        """
        if use_object:
            if self.idx_components is None:
                fix = "call evaluate_components first, or name the components to keep"
                raise InputError(explain("accepted components", "idx_components = None", fix))
            idx_components = self.idx_components
        if idx_components is None:
            return self
        n_components = self.A.shape[1] if self.A is not None else 0
        kept = components.component_indices(idx_components, n_components)
        if self.idx_kept is None:
            self.idx_kept = np.arange(n_components)
        others = np.setdiff1d(np.arange(n_components), kept)
        if save_discarded_components and len(others):
            aside = Estimates(dims=self.dims)
            aside._fill(components.take(vars(self), others))
            earlier = self.discarded_components
            if earlier is not None and earlier.A is not None:
                aside._fill(components.join(vars(earlier), vars(aside)))
            self.discarded_components = aside
        self._fill(components.take(vars(self), kept))
        return self

    def restore_discarded_components(self) -> None:
        """Put back what :meth:`select_components` took out, behind the rest; ``idx_kept`` names them."""
        if self.discarded_components is None or self.discarded_components.A is None:
            return
        self._fill(components.join(vars(self), vars(self.discarded_components)))
        self.discarded_components = None

    def remove_components(self, ind_rm: Any) -> Estimates:
        """
        Take components out for good; what :meth:`select_components` takes out can be restored.

        Parameters
        ----------
        ind_rm : sequence of int or bool
            Which.

        Returns
        -------
        Estimates
            This object.

        Raises
        ------
        InputError
            If nothing was fitted, or an index doesn't exist.
        """
        if self.A is None:
            fix = "call fit first, or load a fitted model"
            raise InputError(explain("components to remove from", "estimates without A", fix))
        n_components = self.A.shape[1]
        gone = components.component_indices(ind_rm, n_components)
        rest = np.setdiff1d(np.arange(n_components), gone)
        return self.select_components(rest, save_discarded_components=False)

    def _fill(self, fields: Mapping[str, Any]) -> None:
        """Replace per-component fields together, and forget what was said about the old ones."""
        for name, value in fields.items():
            setattr(self, name, value)
        self.nr = self.A.shape[1]
        self.idx_components = self.idx_components_bad = self.idx_components_implausible = None
        self.coordinates = None
        self.accepted_list = self.rejected_list = None

    def normalize_components(self) -> Estimates:
        """
        Give every footprint unit length and let its traces carry the size.

        Returns
        -------
        Estimates
            This object.
        """
        for name, value in components.scale(vars(self)).items():
            setattr(self, name, value)
        return self

    def detrend_df_f(
        self,
        quantileMin: float = 8,
        frames_window: int = 500,
        flag_auto: bool = True,
        use_fast: bool = False,
        use_residuals: bool = True,
        detrend_only: bool = False,
        noise_units: bool = False,
    ) -> Estimates:
        """
        Remove slow changes from the traces; divide by the resting fluorescence only where that is known.

        DF/F divides by F0, the light of the resting cell. In a one-photon recording that light can't be told
        from what lies above and below the cell: the ring model takes all of it for background. A quotient
        would have an arbitrary denominator, often near zero, so it is not computed. ``F_dff`` is then one of

        - detrended fluorescence, in units of the movie (default): sizes can be compared within a cell, and
          between recordings with the same gain and exposure;
        - with ``noise_units=True``, detrended fluorescence in units of each trace's own noise: sizes can be
          compared between cells as signal-to-noise ratios, and a common threshold (3, say) means the same
          for all.

        ``dff_units`` says which it is.

        Parameters
        ----------
        quantileMin : float
            Percentile that is the resting level, %.
        frames_window : int
            Window of the running percentile, frames.
        flag_auto : bool
            Find the percentile for each trace from its most frequent value in the first window instead.
        use_fast : bool
            Take the percentile at every tenth of a window only.
        use_residuals : bool
            Start from ``C + YrA`` instead of ``C``.
        detrend_only : bool
            Never divide.
        noise_units : bool
            Divide by the noise of each trace; this engine's own.

        Returns
        -------
        Estimates
            This object, with ``F_dff`` of shape (K, T), float32.

        Raises
        ------
        InputError
            If nothing was fitted.
        ParameterError
            If the window or the percentile can't be used.
        """
        # Noise is in the raw traces only.
        raw = self.raw_traces()
        traces = raw if use_residuals else np.asarray(self.C)
        ring = self.W is not None or self.b is None or self.f is None or not np.size(self.f)
        background = None if ring or detrend_only or noise_units else (self.b, self.f)
        percentile = None if flag_auto else quantileMin
        self.F_dff = detrend(traces, self.A, background, percentile, frames_window, use_fast)
        if noise_units:
            self.F_dff = in_noise_units(self.F_dff, self.A, raw)
            self.dff_units = "noise levels"
        else:
            self.dff_units = "detrended fluorescence" if background is None else "DF/F"
        if ring and not (detrend_only or noise_units):
            log.warning(
                "F_dff holds detrended fluorescence in units of the movie, not DF/F: the ring background "
                "leaves no resting fluorescence to divide by. Say detrend_only=True if that is what you "
                "want, or noise_units=True for traces that can be compared between cells."
            )
        return self

    def compute_background(self, Yr: np.ndarray, memory_limit: int | float | str | None = None) -> np.ndarray:
        """
        Evaluate the background; the ring model if there is one, else the low-rank one.

        Computed block by block. A result that is larger than memory allows becomes a memory map in the
        temporary folder, which the log names.

        Parameters
        ----------
        Yr : ndarray or memmap of shape (d, T) or (T, d1, d2)
            The movie.
        memory_limit : int, float or str, optional
            Bytes, or text such as '2GB'; a quarter of what is free if None.

        Returns
        -------
        ndarray or memmap of shape (d, T), float32
            Background, pixels in Fortran order, in units of the movie. As large as the movie: for a look at
            some frames use :meth:`play_movie` with ``frame_range``.

        Raises
        ------
        InputError
            If there is no background model, or the movie has another size.
        """
        return reconstruction.background(self._model(), Yr, run_of(None, memory_limit))

    def compute_residuals(self, Yr: np.ndarray, memory_limit: int | float | str | None = None) -> Estimates:
        """
        Project onto each footprint what cells and background leave of the movie.

        Parameters
        ----------
        Yr : ndarray or memmap of shape (d, T) or (T, d1, d2)
            The movie.
        memory_limit : int, float or str, optional
            Bytes to hold at once, or text such as '2GB'.

        Returns
        -------
        Estimates
            This object, with ``R`` of shape (K, T), and ``YrA`` if there was none.

        Raises
        ------
        InputError
            If there is no background model, or the movie has another size.
        """
        self.R = reconstruction.residual_traces(self._model(), Yr, run_of(None, memory_limit))
        if self.YrA is None:
            self.YrA = self.R.copy()
        return self

    def save_NWB(self, filename: str | os.PathLike, **about: Any) -> None:
        """
        Write the components as a Neurodata Without Borders file.

        Parameters
        ----------
        filename : str or path
            Ends with ``.nwb``; replaced if it exists.
        **about
            What is known of the recording, see :func:`cnmf_engine.caiman.nwb.save_nwb`.
        """
        save_nwb(self, filename, **about)

    def plot_contours(
        self,
        img: np.ndarray | None = None,
        idx: Any = None,
        thr_method: str = "max",
        thr: float = 0.2,
        display_numbers: bool = True,
        params: Any = None,
        cmap: str = "viridis",
    ) -> Any:
        """
        Draw outlines with matplotlib, accepted and rejected side by side if ``idx`` is given.

        Parameters
        ----------
        img : ndarray of shape (d1, d2), optional
            Image below; default the mean footprint.
        idx : sequence of int, optional
            Accepted components.
        thr_method, thr : str and float
            'max': part of the footprint's maximum; 'nrg': part of its energy.
        display_numbers : bool
            Write numbers.
        params : CNMFParams, optional
            Adds the thresholds to the labels.
        cmap : str
            Colour map.

        Returns
        -------
        object
            See :func:`cnmf_engine.view.plot_contours_estimates`.
        """
        return view.plot_contours_estimates(
            self, img, idx, thr_method, thr, display_numbers, params=params, cmap=cmap
        )

    def plot_contours_nb(
        self,
        img: np.ndarray | None = None,
        idx: Any = None,
        thr_method: str = "max",
        thr: float = 0.2,
        params: Any = None,
        line_color: str = "white",
        cmap: str = "viridis",
    ) -> Any:
        """
        Draw outlines with bokeh; arguments as in :meth:`plot_contours`.

        Parameters
        ----------
        img, idx, thr_method, thr, params, cmap
            As in :meth:`plot_contours`.
        line_color : str
            Colour of the outlines.

        Returns
        -------
        object
            See :func:`cnmf_engine.view.plot_contours_nb`.
        """
        return view.plot_contours_nb(
            self, img, idx, thr_method, thr, params=params, line_color=line_color, cmap=cmap
        )

    def nb_view_components(
        self,
        Yr: np.ndarray | None = None,
        img: np.ndarray | None = None,
        idx: Any = None,
        denoised_color: str | None = None,
        cmap: str = "viridis",
        thr: float = 0.99,
    ) -> Any:
        """
        Browse footprints, traces and quality with bokeh.

        Parameters
        ----------
        Yr : ndarray of shape (d, T), optional
            Movie, for raw traces where there are no residual traces.
        img : ndarray of shape (d1, d2), optional
            Image below; default the mean footprint.
        idx : sequence of int, optional
            Which components; default all.
        denoised_color : str, optional
            Also draw the denoised trace, in this colour.
        cmap : str
            Colour map (CaImAn's default is 'jet').
        thr : float
            Part of the footprint's energy inside the outline.

        Returns
        -------
        object
            See :func:`cnmf_engine.view.nb_view_components`.
        """
        return view.nb_view_components(self, Yr, img, idx, denoised_color, cmap=cmap, thr=thr)

    def hv_view_components(
        self,
        Yr: np.ndarray | None = None,
        img: np.ndarray | None = None,
        idx: Any = None,
        denoised_color: str | None = None,
        cmap: str = "viridis",
    ) -> Any:
        """
        Browse components as :meth:`nb_view_components` does; CaImAn's second name for it.

        Parameters
        ----------
        Yr, img, idx, denoised_color, cmap
            As in :meth:`nb_view_components`.

        Returns
        -------
        object
            See :func:`cnmf_engine.view.hv_view_components`.
        """
        return view.hv_view_components(self, Yr, img, idx, denoised_color, cmap=cmap)

    def view_components(
        self, Yr: np.ndarray | None = None, img: np.ndarray | None = None, idx: Any = None
    ) -> Any:
        """
        Browse components with matplotlib.

        Parameters
        ----------
        Yr, img, idx
            As in :meth:`nb_view_components`.

        Returns
        -------
        object
            See :func:`cnmf_engine.view.view_components`.
        """
        return view.view_components(self, Yr, img, idx)

    def play_movie(
        self,
        imgs: np.ndarray,
        q_max: float = 99.75,
        q_min: float = 2,
        gain_res: float = 1,
        magnification: float = 1,
        include_bck: bool = True,
        frame_range: slice = slice(None),
        bpx: int = 0,
        thr: float = 0.0,
        save_movie: bool = False,
        movie_name: str | os.PathLike = "results_movie.avi",
        display: bool = True,
        opencv_codec: str = "H264",
        use_color: bool = False,
        gain_color: float = 4,
        gain_bck: float = 0.2,
        memory_limit: int | float | str | None = None,
    ) -> Any:
        """
        Put the movie, its reconstruction and what is left over side by side.

        Computed block by block. A result that is larger than memory allows becomes a memory map in the
        temporary folder, which the log names; ``frame_range`` makes it shorter.

        Parameters
        ----------
        imgs : ndarray or memmap of shape (T, d1, d2)
            The movie.
        q_max, q_min : float
            Percentiles that are white and black, %.
        gain_res : float
            Factor on what is left over.
        magnification : float
            Size on screen.
        include_bck : bool
            False leaves the background out of the first two panels.
        frame_range : slice
            Which frames.
        bpx : int
            Pixels cut off along each edge.
        thr : float
            Footprint values below this part of the maximum are left out.
        save_movie : bool
            Also write it to ``movie_name``.
        movie_name : str or path
            File to write.
        display : bool
            Show it.
        opencv_codec : str
            Kept for CaImAn's code: the writer of movies chooses the codec by the file's name.
        use_color, gain_color, gain_bck
            CaImAn's coloured components; only ``use_color=False`` is known here.
        memory_limit : int, float or str, optional
            Bytes, or text such as '2GB'; a quarter of what is free if None.

        Returns
        -------
        movie of shape (n, d1, 3*d2), float32
            The panels, in units of the movie.

        Raises
        ------
        ParameterError
            If ``use_color`` is True.
        InputError
            If nothing was fitted, there is no background model, or the movie has another size.
        """
        if use_color:
            fix = "leave use_color out; plot_contours shows which component is which"
            raise ParameterError(explain("use_color=False, movies here are grey", "use_color = True", fix))
        options = frame_range, gain_res, include_bck, bpx, thr, run_of(None, memory_limit)
        panels = movie(reconstruction.three_panels(self._model(), imgs, *options))
        if save_movie:
            panels.save(movie_name, q_max=q_max, q_min=q_min)
        if display:
            panels.play(q_max=q_max, q_min=q_min, magnification=magnification)
        return panels


def _check_classifier(params: CNMFParams) -> None:
    """Refuse the classifier before any work is done."""
    if params.quality["use_cnn"]:
        fix = "call params.change_params({'use_cnn': False}); SNR and spatial correlation then decide alone"
        expected = "use_cnn to be False, since this engine has no classifier"
        raise ParameterError(explain(expected, "use_cnn = True", fix))


def _checks_plausibility(params: CNMFParams) -> bool:
    """Tell whether the measures that CaImAn doesn't have are asked for."""
    return bool(params.quality.get("reject_implausible", False))


def _decay_time(params: CNMFParams) -> float:
    """Length of a transient, s: the measured one, if it was."""
    return params.temporal.get("measured_decay") or params.data["decay_time"]


def transient_length(params: CNMFParams) -> float:
    """
    Tell over how long a transient is averaged to judge it, s: `decay_time`, or less where transients end.

    They last for their width at half height, 0.4 s for an indicator that decays with the usual 0.5 s.
    """
    given, measured = params.data["decay_time"], params.temporal.get("measured_decay")
    if params.temporal["dynamics"] != "pooled" or measured is None:
        return given
    return min(given, math.log(2) * (measured + (params.temporal.get("measured_rise") or 0.0)))
