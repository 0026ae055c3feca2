"""Sliders over the summary images: where initialisation looks for cells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from workshop_utils.players.output import headless
from workshop_utils.plots import LessonFigure, corr_pnr_figure
from workshop_utils.sliders.panel import SliderPanel
from workshop_utils.sliders.thresholds import (
    TunerView,
    box_size,
    clean_images,
    slider_ranges,
    suggest_thresholds,
    tuner_view,
)

__all__ = ["CorrPnrTuner", "corr_pnr_tuner"]


class CorrPnrTuner(SliderPanel):
    """
    Sliders for `gSig`, `min_corr` and `min_pnr`.

    Attributes
    ----------
    gSig, min_corr, min_pnr : float
        Current values.
    """

    def __init__(
        self,
        images: Any,
        cn: Any,
        pnr: Any,
        opts: Any,
        session: Any = None,
        truth: Any = None,
        gSig: float | None = None,
        compute: Callable[..., Any] | None = None,
        seed_rule: Callable[..., np.ndarray] | None = None,
    ) -> None:
        super().__init__(opts, session)
        self._movie, self._truth, self._compute, self._seed_rule = images, truth, compute, seed_rule
        self.gSig = _number(opts.init["gSig"] if gSig is None else gSig)
        self._images = {self.gSig: clean_images(cn, pnr)}
        suggested = suggest_thresholds(cn, pnr)
        self.min_corr = _value_or(opts.init.get("min_corr"), suggested.min_corr)
        self.min_pnr = _value_or(opts.init.get("min_pnr"), suggested.min_pnr)
        if not headless():
            self._make_controls()

    def images(self) -> tuple[np.ndarray, np.ndarray]:
        """
        Give the summary images of the current `gSig`, working them out the first time it is chosen.

        Returns
        -------
        (ndarray of shape (d1, d2), ndarray of shape (d1, d2))
            Correlation image and peak-to-noise ratio.
        """
        if self.gSig not in self._images:
            compute = self._compute or _engine_compute
            self._images[self.gSig] = clean_images(*compute(self._movie, gSig=self.gSig, swap_dim=False))
        return self._images[self.gSig]

    def view(self) -> TunerView:
        """Work out what the current values leave."""
        return tuner_view(
            *self.images(), self.min_corr, self.min_pnr, self.gSig, self._truth, self._seed_rule
        )

    def figure(self) -> LessonFigure:
        """Draw both images, what passes, the seeds and the histograms."""
        return corr_pnr_figure(
            *self.images(), self.min_corr, self.min_pnr, self.view().seeds, self._truth,
            radius=2 * self.gSig, with_histograms=True,
        )  # fmt: skip

    def changes(self) -> dict[str, dict[str, Any]]:
        """Give the current values as parameters; the box around a cell follows its width."""
        size = box_size(self.gSig)
        return {
            "init": {
                "gSig": (self.gSig, self.gSig),
                "gSiz": (size, size),
                "min_corr": round(self.min_corr, 4),
                "min_pnr": round(self.min_pnr, 4),
            }
        }

    def _make_controls(self) -> None:
        import ipywidgets as widgets

        ranges = slider_ranges(*self.images(), keep=(self.min_corr, self.min_pnr))
        style = {"continuous_update": False, "layout": widgets.Layout(width="300px")}
        most = max(12, int(np.ceil(2 * self.gSig)))
        self._sliders = {
            "gSig": widgets.FloatSlider(
                value=self.gSig,
                min=1,
                max=most,
                step=0.5,
                description="gSig (px)",
                readout_format=".1f",
                **style,
            )
        }
        for name, span, shown in (("min_corr", ranges.min_corr, ".2f"), ("min_pnr", ranges.min_pnr, ".1f")):
            self._sliders[name] = widgets.FloatSlider(
                value=getattr(self, name), min=span.low, max=span.high, step=span.step, description=name,
                readout_format=shown, **style,
            )  # fmt: skip
        suggest = widgets.Button(
            description="Suggest thresholds", tooltip=suggest_thresholds(*self.images()).rule
        )
        suggest.on_click(self._suggest)
        for name, slider in self._sliders.items():
            slider.observe(lambda change, name=name: self._move(name, change["new"]), "value")
        self.build(list(self._sliders.values()), [suggest])

    def _move(self, name: str, value: float) -> None:
        """Follow a slider."""
        setattr(self, name, _number(value))
        if name == "gSig" and self.gSig not in self._images:
            self._status.value = f"Filtering the movie with gSig {self.gSig:g} ..."
        self.refresh()

    def _suggest(self, _button: Any = None) -> None:
        """Move the sliders to the suggestion for the current images."""
        suggested = suggest_thresholds(*self.images())
        for name in ("min_corr", "min_pnr"):
            slider = self._sliders[name]
            slider.value = float(np.clip(getattr(suggested, name), slider.min, slider.max))
        self._status.value = suggested.rule


def _number(value: Any) -> float | int:
    """Take the first of a pair; a whole number stays one, so that code written from it is tidy."""
    single = float(np.ravel(value)[0])
    return int(single) if single.is_integer() else single


def _value_or(value: Any, default: float) -> float:
    """Take a parameter's value, or a default where there is none."""
    return float(default) if value is None else float(value)


def _engine_compute(images: Any, gSig: float, swap_dim: bool) -> Any:
    """Make the summary images with the engine that the notebooks use."""
    from workshop_utils.engine import cm

    return cm.summary_images.correlation_pnr(images, gSig=gSig, swap_dim=swap_dim)


def corr_pnr_tuner(
    images: Any,
    cn: Any,
    pnr: Any,
    opts: Any,
    session: Any = None,
    truth: Any = None,
    gSig: float | None = None,
    compute: Callable[..., Any] | None = None,
    seed_rule: Callable[..., np.ndarray] | None = None,
) -> CorrPnrTuner:
    """
    Tune where CNMF-E looks for cells.

    Parameters
    ----------
    images : array of shape (T, d1, d2)
        Movie or memory map, for other values of `gSig`.
    cn, pnr : arrays of shape (d1, d2)
        Correlation image and peak-to-noise ratio of the current `gSig`.
    opts : CNMFParams
        The sliders start from its `init` values, and the button writes there.
    session : workshop_utils.session.Session, optional
        Keeps the parameters when the button is pressed.
    truth : workshop_utils.scoring.Truth, optional
        What the recording holds: adds cells hit and missed, and false seeds.
    gSig : float, optional
        Width that `cn` and `pnr` were made with, px; default that of `opts`.
    compute : callable, optional
        Makes the two images, called as `compute(images, gSig=..., swap_dim=False)`; default the engine's
        `correlation_pnr`.
    seed_rule : callable, optional
        Finds the seeds, called as `seed_pixels` is.

    Returns
    -------
    CorrPnrTuner
        Shown when it is the last value of a cell; headless, a figure of the values in `opts`.
    """
    return CorrPnrTuner(images, cn, pnr, opts, session, truth, gSig, compute, seed_rule)
