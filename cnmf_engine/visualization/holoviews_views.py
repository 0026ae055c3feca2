"""Correlation and PNR image with histograms of what is in view, with holoviews."""

from __future__ import annotations

from typing import Any

import holoviews as hv
import numpy as np

from ..errors import InputError, explain
from ._common import as_dense_image, show_or_return

__all__ = ["nb_inspect_correlation_pnr"]


def nb_inspect_correlation_pnr(
    corr: np.ndarray, pnr: np.ndarray, cmap: str = "jet", num_bins: int = 100
) -> hv.Layout:
    """
    Show the correlation and the PNR image, each beside the histogram of the pixels in view.

    The two images zoom together. The histograms follow the view in the browser, so they do so in a saved page
    too. Axes count pixels (in CaImAn they run from -0.5 to 0.5).

    Parameters
    ----------
    corr : ndarray of shape (d1, d2)
        Correlation image.
    pnr : ndarray of shape (d1, d2)
        Peak-to-noise ratio.
    cmap : str
        Colour map.
    num_bins : int
        Bins of each histogram.

    Returns
    -------
    holoviews.Layout
        Two images, each followed by its histogram; shown when it is the last value of a cell.
    """
    images = {"corr": as_dense_image(corr), "pnr": as_dense_image(pnr)}
    if images["corr"].shape != images["pnr"].shape:
        raise InputError(
            explain(
                "two images of the same size",
                f"corr {images['corr'].shape} and pnr {images['pnr'].shape}",
                "pass the two results of one call of correlation_pnr",
            )
        )
    _use_bokeh()
    parts = []
    for name, image in images.items():
        parts += _image_and_histogram(name, image, cmap, num_bins)
    return LinkedLayout(parts, group="LinkedLayout").cols(2)


class LinkedLayout(hv.Layout):
    """
    A layout that a notebook shows as plain bokeh.

    So it needs no `hv.extension` first and no scripts besides BokehJS, which are loaded into the cell itself.
    """

    def _ipython_display_(self) -> None:
        if show_or_return(hv.render(self, backend="bokeh")) is not None:
            print(repr(self))


def _use_bokeh() -> None:
    """Make bokeh the backend whose options are understood, and teach it the layout."""
    if hv.Store.current_backend != "bokeh" or "bokeh" not in hv.Store.registry:
        hv.renderer("bokeh")
        hv.Store.set_current_backend("bokeh")
    known = hv.Store.registry["bokeh"]
    known[LinkedLayout] = known[hv.Layout]


def _image_and_histogram(name: str, image: np.ndarray, cmap: str, num_bins: int) -> list[Any]:
    """Make an image and a histogram that looks at the part of it in view."""
    n_rows, n_cols = image.shape
    bounds = (-0.5, -0.5, n_cols - 0.5, n_rows - 0.5)
    low, high = float(image.min()), float(image.max())
    edges = np.linspace(low, high if high > low else low + 1.0, int(num_bins) + 1)
    shares = np.histogram(image, edges)[0] / image.size
    link = _HistogramLink(image, edges)
    # Rows count downwards: holoviews puts an array's first row at the largest value of a turned axis.
    picture = hv.Image(image[::-1], kdims=["column", "row"], vdims=[name], bounds=bounds)
    height = int(np.clip(360 * n_rows / n_cols, 150, 600))
    shown = picture.opts(
        cmap=cmap, colorbar=True, invert_yaxis=True, frame_width=360, frame_height=height, tools=["hover"],
        title=f"{name} image", hooks=[link.take_image],
    )  # fmt: skip
    bars = hv.Histogram((edges, shares), kdims=[f"{name} value"], vdims=[f"{name}: share of pixels in view"])
    histogram = bars.opts(
        frame_width=260,
        frame_height=height,
        title=f"{name} histogram",
        axiswise=True,
        hooks=[link.take_histogram],
    )
    return [shown, histogram]


class _HistogramLink:
    """Joins an image to its histogram as soon as holoviews has turned both into bokeh models."""

    def __init__(self, image: np.ndarray, edges: np.ndarray):
        self.image, self.edges = image, edges
        self.ranges: list[Any] = []
        self.source: Any = None

    def take_image(self, plot: Any, _element: Any) -> None:
        """Remember the ranges that zooming changes."""
        plot.state.sizing_mode = None
        self.ranges = [plot.state.x_range, plot.state.y_range]
        self._join()

    def take_histogram(self, plot: Any, _element: Any) -> None:
        """Remember the columns that hold the bars."""
        plot.state.sizing_mode = None
        self.source = plot.handles["source"]
        self._join()

    def _join(self) -> None:
        from bokeh.models import CustomJS

        if not self.ranges or self.source is None:
            return
        n_rows, n_cols = self.image.shape
        args = {
            "pixels": np.ascontiguousarray(self.image).ravel(), "n_rows": n_rows, "n_cols": n_cols,
            "low": float(self.edges[0]), "step": float(self.edges[1] - self.edges[0]),
            "n_bins": len(self.edges) - 1, "across": self.ranges[0], "down": self.ranges[1],
            "source": self.source,
        }  # fmt: skip
        follow = CustomJS(args=args, code=_COUNT_JS)
        for axis in self.ranges:
            axis.js_on_change("start", follow)
            axis.js_on_change("end", follow)


_COUNT_JS = """
const clamp = (v, n) => Math.min(Math.max(Math.round(v), 0), n - 1);
const rows = [clamp(Math.min(down.start, down.end), n_rows), clamp(Math.max(down.start, down.end), n_rows)];
const cols = [
  clamp(Math.min(across.start, across.end), n_cols), clamp(Math.max(across.start, across.end), n_cols)];
const top = new Float64Array(n_bins);
for (let r = rows[0]; r <= rows[1]; r++) {
  for (let c = cols[0]; c <= cols[1]; c++) {
    const bin = Math.floor((pixels[r * n_cols + c] - low) / step);
    top[Math.min(Math.max(bin, 0), n_bins - 1)] += 1;
  }
}
const in_view = (rows[1] - rows[0] + 1) * (cols[1] - cols[0] + 1);
for (let bin = 0; bin < n_bins; bin++) top[bin] /= in_view;
source.data = {...Object.fromEntries(Object.entries(source.data)), top: top};
"""
