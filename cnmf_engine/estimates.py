"""What a fit found: footprints, traces, background and quality, with CaImAn's names and methods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from cnmf_engine import _estimates_quality as quality
from cnmf_engine import _estimates_selection as selection
from cnmf_engine._estimates_results import Results
from cnmf_engine._estimates_selection import COMPONENT_FIELDS
from cnmf_engine._estimates_views import Views
from cnmf_engine.errors import InputError, ParameterError, explain, nearest

if TYPE_CHECKING:
    from cnmf_engine.params import CNMFParams

__all__ = ["COMPONENT_FIELDS", "Estimates"]

# Fields of CaImAn's online analysis: always None here, kept so that files and code find them.
_ONLINE = (
    "noisyC C_on Ab Cf OASISinstances CY CC Ab_dense Yr_buf mn vr ind_new rho_buf AtA AtY_buf sv groups"
).split()


class Estimates(Results, Views):
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
        What tells cells from fibres, torn frames, haze, movement and doubles, see `cnmf_engine.plausibility`;
        None where it wasn't asked for.
    rejected_by : ndarray of shape (K,), str, or None
        Which of these speaks against a component, one of `cnmf_engine.plausibility.REASONS`; empty for none.
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
        quality.check_classifier(params.quality)
        quality.measure(self, imgs, params)
        quality.apply_thresholds(self, params)

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
        quality.check_classifier(params.quality)
        if self.SNR_comp is None or self.r_values is None:
            quality.measure(self, imgs, params)
        elif quality.checks_plausibility(params) and self.roundness is None and len(self.SNR_comp):
            quality.measure_plausibility(self, imgs, params)
        quality.apply_thresholds(self, params)
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
        kept = selection.component_indices(idx_components, n_components)
        if self.idx_kept is None:
            self.idx_kept = np.arange(n_components)
        others = np.setdiff1d(np.arange(n_components), kept)
        if save_discarded_components and len(others):
            aside = Estimates(dims=self.dims)
            aside._fill(selection.take(self, others))
            earlier = self.discarded_components
            if earlier is not None and earlier.A is not None:
                aside._fill(selection.join(earlier, aside))
            self.discarded_components = aside
        self._fill(selection.take(self, kept))
        return self

    def restore_discarded_components(self) -> None:
        """Put back what :meth:`select_components` took out, behind the rest; ``idx_kept`` names them."""
        if self.discarded_components is None or self.discarded_components.A is None:
            return
        self._fill(selection.join(self, self.discarded_components))
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
        gone = selection.component_indices(ind_rm, n_components)
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
        selection.scale(self)
        return self
