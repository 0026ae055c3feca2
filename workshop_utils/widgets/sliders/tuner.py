"""Sliders over the summary images: where initialisation looks for cells."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from cnmf_engine.base.errors import InputError
from cnmf_engine.stages.cell_evidence import CellEvidence, find_cells
from cnmf_engine.stages.cell_size import CellSize, cell_size
from workshop_utils.figures import LessonFigure, corr_pnr_figure
from workshop_utils.measures.thresholds import (
    SliderRanges,
    TunerView,
    box_size,
    clean_images,
    slider_ranges,
    suggest_thresholds,
    tuner_view,
)
from workshop_utils.widgets.players.output import headless
from workshop_utils.widgets.sliders.background import NewestWish
from workshop_utils.widgets.sliders.panel import LATE, SliderPanel, add_class
from workshop_utils.widgets.sliders.tuner_columns import image_changes, legend, threshold_changes

__all__ = ["CorrPnrTuner", "corr_pnr_tuner"]

_STEP = 0.5


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
        self.gSig = self._drawn = _number(opts.init["gSig"] if gSig is None else gSig)
        self._images = {self.gSig: clean_images(cn, pnr)}
        self._computing = threading.Lock()
        self._filtering = NewestWish(self._images_of, self._arrived, self._failed)
        self._sizing = NewestWish(lambda _: cell_size(self._movie), self._sized, self._not_sized)
        #: What stands out with each width; None where it couldn't be looked for.
        self._cells: dict[float, CellEvidence | None] = {}
        self._weighing = NewestWish(self._weigh, self._weighed, lambda width, _: self._weighed(width, None))
        suggested = suggest_thresholds(None)
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
        return self._images_of(self.gSig)

    def view(self) -> TunerView:
        """Work out what the current values leave."""
        with self.lock:
            width, min_corr, min_pnr = self.gSig, self.min_corr, self.min_pnr
        images = self._images_of(width)
        return tuner_view(*images, min_corr, min_pnr, width, self._truth, self._seed_rule)

    def figure(self) -> LessonFigure:
        """Draw both images, what passes, the seeds and the histograms."""
        return corr_pnr_figure(
            *self.images(), self.min_corr, self.min_pnr, self.view().seeds, self._truth,
            radius=2 * self.gSig, with_histograms=True,
        )  # fmt: skip

    def changes(self) -> dict[str, dict[str, Any]]:
        """Give the current values as parameters; the box around a cell follows its width."""
        with self.lock:
            size = box_size(self.gSig)
            return {
                "init": {
                    "gSig": (self.gSig, self.gSig),
                    "gSiz": (size, size),
                    "min_corr": round(self.min_corr, 4),
                    "min_pnr": round(self.min_pnr, 4),
                }
            }

    def wait(self, timeout: float | None = None) -> None:
        """
        Wait for the images that are being worked out.

        Parameters
        ----------
        timeout : float, optional
            Seconds to wait at most.
        """
        self._sizing.wait(timeout)
        self._filtering.wait(timeout)
        self._weighing.wait(timeout)

    def _images_of(self, width: float) -> tuple[np.ndarray, np.ndarray]:
        with self._computing:
            if width not in self._images:
                compute = self._compute or _engine_compute
                self._images[width] = clean_images(*compute(self._movie, gSig=width, swap_dim=False))
            return self._images[width]

    def _make_controls(self) -> None:
        import ipywidgets as widgets

        from workshop_utils.widgets.sliders.tuner_plot import tuner_plot

        self._size: CellSize | None = None
        self._suggesting = False
        self._suggested, self._suggested_at = {}, -LATE
        ranges = slider_ranges(*self.images(), keep=(self.min_corr, self.min_pnr))
        slider = {"layout": widgets.Layout(width="300px"), "style": {"description_width": "70px"}}
        self._sliders = {
            "gSig": widgets.FloatSlider(
                value=self.gSig, min=1, max=max(12, int(np.ceil(2 * self.gSig))), step=_STEP,
                description="gSig (px)", readout_format=".1f", continuous_update=False, **slider,
            )
        }  # fmt: skip
        for name, span, shown in (("min_corr", ranges.min_corr, ".2f"), ("min_pnr", ranges.min_pnr, ".1f")):
            self._sliders[name] = widgets.FloatSlider(
                value=getattr(self, name), min=span.low, max=span.high, step=span.step, description=name,
                readout_format=shown, continuous_update=True, **slider,
            )  # fmt: skip
        suggest = widgets.Button(description="Suggested start", icon="magic")
        suggest.on_click(self._suggest)
        self._busy = add_class(widgets.HTML(), "cw-busy")
        self._rule = add_class(widgets.HTML(), "cw-rule")
        self._plot = tuner_plot(self.images()[0].shape)
        self.build("cw-tuner", list(self._sliders.values()), self._plot, [suggest, self._busy])
        self.widget.children = (*self.widget.children, self._rule)
        self._draw_images(ranges)
        self._draw()
        for name, control in self._sliders.items():
            control.observe(lambda change, name=name: self._move(name, change["new"]), "value")
        if getattr(self._movie, "ndim", 0) == 3:
            self._sizing.wish(None)
        self._look_for_cells()

    def _move(self, name: str, value: float) -> None:
        """Follow a slider."""
        with self.lock:
            wanted = self._suggested.get(name, value)
            if value != wanted and time.monotonic() - self._suggested_at < LATE:
                self._sliders[name].value = wanted
                return
            setattr(self, name, _number(value))
            if name != "gSig":
                self._draw()
            elif self.gSig in self._images:
                self._filtering.forget()
                self._show_width()
            else:
                self._show_busy()
                self._draw_words()
                self._filtering.wish(self.gSig)
            self.write_late()

    def _arrived(self, width: float, _images: Any) -> None:
        """Show images that were worked out, if their width is still wanted."""
        with self.lock:
            if width == self.gSig:
                self._show_width()

    def _failed(self, width: float, error: Exception) -> None:
        """Say why images couldn't be worked out, and go back to those that are shown."""
        with self.lock:
            if width != self.gSig:
                return
            self.gSig, self._suggesting, self._suggested = self._drawn, False, {}
            self._sliders["gSig"].value = self._drawn
            self._show_busy()
            self._draw_words()
            self.say(f"gSig {width:g} didn't work, so {self._drawn:g} is kept. {error}")

    def _show_width(self) -> None:
        """Show the images of the current width; sliders and histograms get their ranges."""
        self._drawn = self.gSig
        ranges = slider_ranges(*self.images(), keep=(self.min_corr, self.min_pnr))
        for name, span in zip(("min_corr", "min_pnr"), ranges):
            control = self._sliders[name]
            # The end that grows goes first: a range may never be empty.
            control.min = min(control.min, span.low)
            control.max, control.min = span.high, span.low
        self._draw_images(ranges)
        self._show_busy()
        self._look_for_cells()
        if self._suggesting:
            self._set_thresholds()
        self._draw()

    def _look_for_cells(self) -> None:
        """Look for what stands out with the width that is shown, unless that is known."""
        if getattr(self._movie, "ndim", 0) != 3:
            self._cells[self._drawn] = None
        elif self._drawn not in self._cells:
            self._weighing.wish(self._drawn)
        self._show_rule()

    def _weigh(self, width: float) -> CellEvidence:
        return find_cells(self._movie, width, *self._images_of(width))

    def _weighed(self, width: float, cells: CellEvidence | None) -> None:
        """Take over what was found; a press of the button may be waiting for it."""
        with self.lock:
            self._cells[width] = cells
            self._show_rule()
            if self._suggesting and width == self.gSig == self._drawn:
                self._set_thresholds()

    def _draw_images(self, ranges: SliderRanges) -> None:
        self._plot.update(**image_changes(*self.images(), ranges))

    def _draw(self) -> None:
        """Show what the current thresholds leave, in the images that are there."""
        images = self._images[self._drawn]
        try:
            view = tuner_view(*images, self.min_corr, self.min_pnr, self._drawn, self._truth, self._seed_rule)
        except InputError as error:
            self.say(str(error))
            return
        self._plot.update(**threshold_changes(self.min_corr, self.min_pnr, view, self._truth))
        self._counted = f"<b>{view.summary}</b><br>{legend(view)}"
        self._draw_words()
        self.say("")

    def _draw_words(self) -> None:
        self.show_words(self._counted)

    def _show_busy(self) -> None:
        busy = self.gSig != self._drawn
        self._busy.value = f"<b>⏳ filtering the movie with gSig {self.gSig:g} …</b>" if busy else ""

    def _sized(self, _wish: Any, size: CellSize) -> None:
        with self.lock:
            self._size = size
            self._show_rule()

    def _not_sized(self, _wish: Any, error: Exception) -> None:
        self._sized(
            None, CellSize(np.nan, f"The size of the cells couldn't be measured. {error}", np.zeros(0))
        )

    def _suggested_width(self) -> float:
        """Give the measured width on a step of the slider, or the current one where it isn't known."""
        if self._size is None or not np.isfinite(self._size.gSig):
            return self.gSig
        control = self._sliders["gSig"]
        return _number(np.clip(round(self._size.gSig / _STEP) * _STEP, control.min, control.max))

    def _show_rule(self) -> None:
        """Write down the suggestion and the rules behind it."""
        size = "" if self._size is None else f"gSig {self._suggested_width():g}: {self._size.rule} "
        thresholds = f"⏳ looking for cells with gSig {self._drawn:g} …"
        if self._drawn in self._cells:
            suggested = suggest_thresholds(self._cells[self._drawn])
            thresholds = (
                f"min_corr {suggested.min_corr:g}, min_pnr {suggested.min_pnr:g} (with gSig "
                f"{self._drawn:g}): {suggested.rule}"
            )
        self._rule.value = (
            "<div style='line-height:1.3;font-size:12px;color:#444'>Suggested start: "
            f"{size}{thresholds}</div>"
        )

    def _suggest(self, _button: Any = None) -> None:
        """Move the sliders to the suggestion; the thresholds follow once the images are there."""
        with self.lock:
            width = self._suggested_width()
            self._suggesting = True
            self._pressed = -LATE
            self._suggested, self._suggested_at = {"gSig": width}, time.monotonic()
            if width != self.gSig:
                self._sliders["gSig"].value = width
            elif width == self._drawn:
                self._set_thresholds()  # at once, or as soon as cells have been looked for

    def _set_thresholds(self) -> None:
        """Move the sliders of the thresholds to the suggestion for the images that are shown."""
        if self._drawn not in self._cells:
            return
        self._suggesting = False
        suggested = suggest_thresholds(self._cells[self._drawn])
        for name in ("min_corr", "min_pnr"):
            control = self._sliders[name]
            value = float(np.clip(getattr(suggested, name), control.min, control.max))
            self._suggested[name] = value
            control.value = value
        self._suggested_at = time.monotonic()


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
    truth : workshop_utils.movies.truth.Truth, optional
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
