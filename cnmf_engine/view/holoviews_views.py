"""Correlation and PNR image with histograms of what is in view, with holoviews."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import holoviews as hv
import numpy as np

from cnmf_engine.base.errors import InputError, explain
from cnmf_engine.view.bokeh_views import on_screen
from cnmf_engine.view.common import as_dense_image
from cnmf_engine.view.contours import image_limits
from cnmf_engine.view.resources import script
from cnmf_engine.view.showing import show_or_return
from cnmf_engine.view.stills import images_still

__all__ = ["nb_inspect_correlation_pnr"]

#: Values travel to the page as they are, so that hovering tells them; larger images are reduced.
_MOST_PIXELS = 100_000
#: Screen pixels of an image, so that two of them and their histograms fit into 960 x 600.
_WIDEST, _TALLEST = 350, 300


def nb_inspect_correlation_pnr(
    corr: np.ndarray, pnr: np.ndarray, cmap: str = "viridis", num_bins: int = 100
) -> hv.Layout:
    """
    Show the correlation and the PNR image, each above the histogram of the pixels in view.

    Dragging a box zooms, and the two images zoom together. The histograms follow the view in the browser, so
    they do so in a saved page too. Axes count pixels (in CaImAn they run from -0.5 to 0.5).

    Parameters
    ----------
    corr : ndarray of shape (d1, d2)
        Correlation image.
    pnr : ndarray of shape (d1, d2)
        Peak-to-noise ratio.
    cmap : str
        Colour map (CaImAn's default is 'jet', whose bands show edges that aren't there).
    num_bins : int
        Bins of each histogram.

    Returns
    -------
    holoviews.Layout
        The two images, then their histograms; shown when it is the last value of a cell.
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
    pairs = [_image_and_histogram(name, image, cmap, num_bins) for name, image in images.items()]
    layout = LinkedLayout([part for row in zip(*pairs) for part in row], group="LinkedLayout").cols(2)
    layout.still = partial(images_still, images, num_bins, cmap)
    return layout


class LinkedLayout(hv.Layout):
    """
    A layout that a notebook shows as plain bokeh.

    So it needs no `hv.extension` first and no scripts besides BokehJS, which are loaded into the cell itself.
    """

    #: Draws the picture for a run that nobody watches.
    still: Callable[[], Any] | None = None

    def _ipython_display_(self) -> None:
        _use_bokeh()
        alt = "The correlation image and the PNR image, and a histogram of the pixels in view of each."
        grid = hv.render(self, backend="bokeh")
        _drag_zooms(grid)
        if show_or_return(grid, alt, self.still) is not None:
            print(repr(self))


def _drag_zooms(grid: Any) -> None:
    """Mark the zoom in the grid's own toolbar too; it would show, not do, moving the image."""
    from bokeh.models import BoxZoomTool

    for tool in grid.toolbar.tools:
        if any(isinstance(one, BoxZoomTool) for one in getattr(tool, "tools", [])):
            grid.toolbar.active_drag = tool


def _use_bokeh() -> None:
    """Make bokeh the backend whose options are understood, and teach it the layout."""
    if hv.Store.current_backend != "bokeh" or "bokeh" not in hv.Store.registry:
        hv.renderer("bokeh")
        hv.Store.set_current_backend("bokeh")
    known = hv.Store.registry["bokeh"]
    known[LinkedLayout] = known[hv.Layout]


def _image_and_histogram(name: str, image: np.ndarray, cmap: str, num_bins: int) -> tuple[Any, Any]:
    """Make an image and a histogram that looks at the part of it in view."""
    n_rows, n_cols = image.shape
    bounds = (-0.5, -0.5, n_cols - 0.5, n_rows - 0.5)
    drawn = on_screen(image, _MOST_PIXELS)
    low, high = float(drawn.min()), float(drawn.max())
    edges = np.linspace(low, high if high > low else low + 1.0, int(num_bins) + 1)
    shares = np.histogram(drawn, edges)[0] / drawn.size
    link = _HistogramLink(n_cols / drawn.shape[1], n_rows / drawn.shape[0], edges)
    # Rows count downwards: holoviews puts an array's first row at the largest value of a turned axis.
    picture = hv.Image(drawn[::-1], kdims=["column (pixels)", "row (pixels)"], vdims=[name], bounds=bounds)
    width = int(np.clip(_TALLEST * n_cols / n_rows, 150, _WIDEST))
    shown = picture.opts(
        cmap=cmap, clim=image_limits(drawn), colorbar=True, invert_yaxis=True, frame_width=width,
        frame_height=int(np.clip(width * n_rows / n_cols, 60, _TALLEST)), clabel="",
        tools=["hover"], title=f"{name} image", hooks=[link.take_image],
    )  # fmt: skip
    bars = hv.Histogram((edges, shares), kdims=[f"{name} value"], vdims=[f"{name}: share of pixels in view"])
    histogram = bars.opts(
        frame_width=width, frame_height=100, axiswise=True, ylabel="share of pixels", default_tools=["save"],
        active_tools=[], color="#0072B2", line_color=None, hooks=[link.take_histogram],
    )  # fmt: skip
    return shown, histogram


class _HistogramLink:
    """Joins an image to its histogram as soon as holoviews has turned both into bokeh models."""

    def __init__(self, column: float, row: float, edges: np.ndarray):
        # Pixels of the movie in a pixel of the drawn image, which may be reduced.
        self.column, self.row, self.edges = column, row, edges
        self.ranges: list[Any] = []
        self.image: Any = None
        self.bars: Any = None
        self.height: Any = None

    def take_image(self, plot: Any, _element: Any) -> None:
        """Remember the pixels, and the ranges that zooming changes; dragging draws the box to zoom into."""
        from bokeh.models import BoxZoomTool

        plot.state.sizing_mode = None
        plot.state.toolbar.active_drag = plot.state.select_one({"type": BoxZoomTool})
        self.ranges = [plot.state.x_range, plot.state.y_range]
        self.image = plot.handles["source"]
        self._join()

    def take_histogram(self, plot: Any, _element: Any) -> None:
        """Remember the columns that hold the bars."""
        plot.state.sizing_mode = None
        self.bars, self.height = plot.handles["source"], plot.state.y_range
        self._join()

    def _join(self) -> None:
        from bokeh.models import CustomJS

        if self.image is None or self.bars is None:
            return
        args = {
            "image": self.image, "bars": self.bars, "height": self.height,
            "across": self.ranges[0], "down": self.ranges[1], "column": self.column, "row": self.row,
            "low": float(self.edges[0]), "step": float(self.edges[1] - self.edges[0]),
            "n_bins": len(self.edges) - 1,
        }  # fmt: skip
        follow = CustomJS(args=args, code=script("histogram.js"))
        for axis in self.ranges:
            axis.js_on_change("start", follow)
            axis.js_on_change("end", follow)
