"""Sliders over the quality of components: which ones to keep."""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import Any

import numpy as np

from cnmf_engine.base.errors import InputError, explain
from workshop_utils.figures import LessonFigure, decision_figure
from workshop_utils.widgets.players.output import headless
from workshop_utils.widgets.sliders.decisions import (
    ExplorerView,
    explorer_view,
    real_components,
    split_components,
)
from workshop_utils.widgets.sliders.panel import SliderPanel

__all__ = ["EvaluationExplorer", "evaluation_explorer"]


class EvaluationExplorer(SliderPanel):
    """
    Sliders for `min_SNR` and `rval_thr`.

    Attributes
    ----------
    min_SNR, rval_thr : float
        Current values.
    estimates : Estimates
        The button writes its `idx_components` and `idx_components_bad`.
    """

    def __init__(
        self,
        estimates: Any,
        opts: Any,
        cn: Any = None,
        session: Any = None,
        truth: Any = None,
        decide: Callable[..., Any] | None = None,
    ) -> None:
        super().__init__(opts, session)
        self.estimates, self._decide = estimates, decide
        self._snr, self._r = _metrics(estimates)
        self._implausible = _other_measures(estimates, opts)
        self._cells, self._detectable = real_components(estimates.A, truth)
        dims = tuple(int(n) for n in estimates.dims)
        self._picture = np.zeros(dims, np.float32) if cn is None else np.asarray(cn)
        from cnmf_engine.view.contours import get_contours

        self._outlines = get_contours(estimates.A, dims, 0.3, "max")
        self.min_SNR = float(opts.quality["min_SNR"])
        self.rval_thr = float(opts.quality["rval_thr"])
        if not headless():
            self._make_controls()

    def view(self) -> ExplorerView:
        """Work out what the current values decide."""
        quality = self.opts.quality
        return explorer_view(
            self._snr, self._r, self.min_SNR, self.rval_thr, quality["SNR_lowest"], quality["rval_lowest"],
            self._cells, self._detectable, self._decide, self._implausible,
        )  # fmt: skip

    def _pass(self) -> np.ndarray:
        """Components that pass both thresholds."""
        quality = self.opts.quality
        limits = self.min_SNR, self.rval_thr, quality["SNR_lowest"], quality["rval_lowest"]
        return split_components(self._snr, self._r, *limits, self._decide)[0]

    def figure(self) -> LessonFigure:
        """Draw the scatter and the outlines."""
        view = self.view()
        real = None if self._cells is None else self._cells >= 0
        return decision_figure(
            self._snr,
            self._r,
            self.min_SNR,
            self.rval_thr,
            view.accepted,
            self._outlines,
            self._picture,
            real,
        )

    def changes(self) -> dict[str, dict[str, Any]]:
        """Give the current values as parameters."""
        return {"quality": {"min_SNR": round(self.min_SNR, 4), "rval_thr": round(self.rval_thr, 4)}}

    def apply(self) -> str:
        """
        Write the thresholds into the parameters, and the decision into the estimates.

        Returns
        -------
        str
            What was done.
        """
        done, view = super().apply(), self.view()
        self.estimates.idx_components, self.estimates.idx_components_bad = view.accepted, view.rejected
        if view.reasons is not None:
            passed = self._pass()
            self.estimates.rejected_by = view.reasons
            self.estimates.idx_components_implausible = passed[view.reasons[passed] != ""]
        return done

    def _make_controls(self) -> None:
        import ipywidgets as widgets

        from workshop_utils.widgets.sliders.explorer_plot import explorer_plot

        finite = self._snr[np.isfinite(self._snr)]
        top = max(10.0, 2 * self.min_SNR, float(np.ceil(np.percentile(finite, 98))) if finite.size else 0.0)
        lowest = float(np.nanmin(self._r, initial=0.0))
        bottom = max(-1.0, min(self.rval_thr, float(np.floor(10 * lowest) / 10)))
        slider = {"layout": widgets.Layout(width="440px"), "style": {"description_width": "70px"}}
        self._sliders = {
            "min_SNR": widgets.FloatSlider(
                value=self.min_SNR, min=0, max=top, step=0.1, description="min_SNR", readout_format=".1f",
                **slider,
            ),
            "rval_thr": widgets.FloatSlider(
                value=self.rval_thr, min=bottom, max=1.0, step=0.01, description="rval_thr",
                readout_format=".2f", **slider,
            ),
        }  # fmt: skip
        real = None if self._cells is None else self._cells >= 0
        self._plot, self._least_snr = explorer_plot(
            self._snr, self._r, self._outlines, self._picture, real, self.min_SNR, self.rval_thr
        )
        self.build("cw-explorer", list(self._sliders.values()), self._plot)
        self._draw()
        for name, control in self._sliders.items():
            control.observe(lambda change, name=name: self._move(name, change["new"]), "value")

    def _move(self, name: str, value: float) -> None:
        """Follow a slider."""
        with self.lock:
            setattr(self, name, float(value))
            self._draw()
            self.write_late()

    def _draw(self) -> None:
        """Show what the current thresholds decide."""
        from workshop_utils.widgets.sliders.explorer_plot import LEGEND, decision_changes

        view = self.view()
        changes = decision_changes(
            self.min_SNR, self.rval_thr, view.accepted, len(self._snr), self._least_snr
        )
        self._plot.update(**changes)
        # Without a truth nothing is crossed out.
        legend = LEGEND if self._cells is not None else LEGEND.rpartition(" &emsp; ")[0]
        self.show_words(f"<b>{html.escape(view.summary)}</b><br>{legend}")
        self.say("")


def _metrics(estimates: Any) -> tuple[np.ndarray, np.ndarray]:
    """Take the two metrics from evaluated estimates."""
    if estimates.SNR_comp is None or estimates.r_values is None:
        raise InputError(
            explain(
                "components that have been evaluated",
                "estimates without SNR_comp and r_values",
                "run estimates.evaluate_components(images, opts, dview=dview) first",
            )
        )
    return (
        np.asarray(estimates.SNR_comp, np.float64).ravel(),
        np.asarray(estimates.r_values, np.float64).ravel(),
    )


def _other_measures(estimates: Any, opts: Any) -> Callable[[np.ndarray], np.ndarray] | None:
    """Give the engine's rule for components that pass both thresholds; None where it doesn't apply."""
    # CaImAn's estimates and parameters have neither.
    if not opts.quality.get("reject_implausible") or getattr(estimates, "roundness", None) is None:
        return None
    rule = estimates.plausibility_rule(opts)
    return lambda passed: rule(passed)[0]


def evaluation_explorer(
    estimates: Any,
    opts: Any,
    cn: Any = None,
    session: Any = None,
    truth: Any = None,
    decide: Callable[..., Any] | None = None,
) -> EvaluationExplorer:
    """
    Tune which components are kept.

    Parameters
    ----------
    estimates : Estimates
        Evaluated components, with `A`, `dims`, `SNR_comp` and `r_values`.
    opts : CNMFParams
        The sliders start from its `quality` values, and the button writes there.
    cn : array of shape (d1, d2), optional
        Correlation image, below the outlines.
    session : workshop_utils.session.Session, optional
        Keeps the parameters when the button is pressed; its truth is used if `truth` isn't given.
    truth : workshop_utils.movies.truth.Truth, optional
        What the recording holds: adds the cells found and the false components.
    decide : callable, optional
        Another rule than `cnmf_engine.stages.evaluation.decide`, with its arguments.

    Returns
    -------
    EvaluationExplorer
        Shown when it is the last value of a cell; headless, a figure of the values in `opts`.
    """
    if truth is None:
        truth = getattr(session, "truth", None)
    return EvaluationExplorer(estimates, opts, cn, session, truth, decide)
