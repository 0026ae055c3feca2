"""The bokeh layout of the evaluation explorer, and the columns that fill it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from workshop_utils.figures.base import COLORS, limits
from workshop_utils.widgets.live import LivePlot

__all__ = ["LEGEND", "Scatter", "decision_changes", "explorer_plot", "scatter_points"]

_SIDE = 400
_FONT = "11px"
_DARK = "#222222"
#: What the marks mean, as HTML: (sign, colour, words).
LEGEND = " &emsp; ".join(
    f"<span style='color:{color};font-weight:bold'>{sign}</span> {words}"
    for sign, color, words in (
        ("●──", COLORS["accepted"], "accepted"),
        ("▲╌╌", COLORS["rejected"], "rejected"),
        ("×", "black", "no true cell"),
    )
)
#: Smallest SNR on the axis: it is logarithmic, since a few components are far above all others.
_LEAST_SNR = 0.3


class Scatter(NamedTuple):
    """
    Where components are drawn when SNR is plotted against r.

    Attributes
    ----------
    x, y : ndarray of shape (K,)
        SNR and r, moved to the edge where they lie beyond it or aren't numbers.
    x_range, y_range : (float, float)
        Ends of the axes.
    """

    x: np.ndarray
    y: np.ndarray
    x_range: tuple[float, float]
    y_range: tuple[float, float]


def scatter_points(snr: np.ndarray, r: np.ndarray, min_SNR: float = 3.0, rval_thr: float = 0.85) -> Scatter:
    """
    Place components in a scatter of SNR against r.

    Parameters
    ----------
    snr, r : ndarray of shape (K,)
        SNR of the transients (may be infinite) and spatial correlation (may be NaN).
    min_SNR, rval_thr : float
        Thresholds, which the axes hold too.

    Returns
    -------
    Scatter
        Infinite SNR lies at the right edge, NaN at the lower or left one.
    """
    known = snr[np.isfinite(snr) & (snr > 0)]
    low = max(_LEAST_SNR, 0.8 * min(float(known.min(initial=1.0)), max(min_SNR, _LEAST_SNR)))
    high = 1.25 * max(float(known.max(initial=10.0)), min_SNR)
    bottom = min(float(np.nanmin(r, initial=0.0)), rval_thr) - 0.05
    x = np.nan_to_num(snr, nan=low, posinf=high).clip(low * 1.03, high / 1.03)
    return Scatter(x, np.nan_to_num(r, nan=bottom + 0.02), (low, high), (bottom, 1.04))


def decision_changes(
    min_SNR: float, rval_thr: float, accepted: np.ndarray, n_components: int, least_snr: float
) -> dict[str, dict[str, Any]]:
    """
    Describe what moved thresholds change in the plot.

    Parameters
    ----------
    min_SNR, rval_thr : float
        Thresholds.
    accepted : ndarray of int
        Accepted components.
    n_components : int
        How many there are.
    least_snr : float
        Left end of the axis, which has no zero.

    Returns
    -------
    dict
        For `LivePlot.update`.
    """
    keep = np.isin(np.arange(n_components), accepted)
    at = max(min_SNR, least_snr)
    return {
        "accepted_filter": {"booleans": keep.tolist()},
        "rejected_filter": {"booleans": (~keep).tolist()},
        "min_SNR_line": {"location": at},
        "rval_thr_line": {"location": rval_thr},
        "rejected_area": {"right": at, "top": rval_thr},
    }


def explorer_plot(
    snr: np.ndarray,
    r: np.ndarray,
    outlines: list[dict[str, Any]],
    picture: np.ndarray,
    real: np.ndarray | None,
    min_SNR: float,
    rval_thr: float,
) -> tuple[LivePlot, float]:
    """
    Build the plot: SNR against r, and the outlines on an image, with one selection for both.

    Parameters
    ----------
    snr, r : ndarray of shape (K,)
        The two metrics.
    outlines : list of dict
        From `get_contours`, one for each component.
    picture : ndarray of shape (d1, d2)
        Image below them.
    real : ndarray of shape (K,), bool, optional
        Which components match a true cell; those that don't are crossed out.
    min_SNR, rval_thr : float
        Thresholds to begin with.

    Returns
    -------
    (LivePlot, float)
        The plot, and the left end of its SNR axis.
    """
    from bokeh.layouts import row
    from bokeh.models import BooleanFilter, CDSView, ColumnDataSource

    points = scatter_points(snr, r, min_SNR, rval_thr)
    shapes = [np.asarray(outline["coordinates"], np.float32) for outline in outlines]
    source = ColumnDataSource(
        {
            "x": points.x, "y": points.y, "snr": [f"{v:.2f}" for v in snr], "r": [f"{v:.2f}" for v in r],
            "number": np.arange(len(snr)), "xs": [shape[:, 0] for shape in shapes],
            "ys": [shape[:, 1] for shape in shapes],
        },
        name="components",
    )  # fmt: skip
    views = {
        name: CDSView(filter=BooleanFilter(booleans=[True] * len(snr), name=f"{name}_filter"))
        for name in ("accepted", "rejected")
    }
    scatter = _scatter(points, source, views, real)
    image = _field(np.nan_to_num(picture, posinf=0.0, neginf=0.0), source, views)
    width = scatter.frame_width + image.frame_width + 130
    plot = LivePlot(
        row(scatter, image), width, max(scatter.frame_height, image.frame_height) + 75,
        "Left, SNR against spatial correlation r of each component with both thresholds. Right, the "
        "outlines: accepted solid, rejected dashed.",
    )  # fmt: skip
    return plot, points.x_range[0]


def _tools() -> list[Any]:
    """Zoom and move, point to read, click to mark; clicking beside everything takes the mark away."""
    from bokeh.models import BoxZoomTool, PanTool, ResetTool, TapTool, WheelZoomTool

    return [BoxZoomTool(), PanTool(), WheelZoomTool(), ResetTool(), TapTool()]


def _add_reader(plot: Any, renderers: list[Any]) -> None:
    from bokeh.models import HoverTool

    plot.toolbar.logo = None
    rows = [("component (from 0)", "@number"), ("SNR", "@snr"), ("r", "@r")]
    plot.add_tools(HoverTool(renderers=renderers, tooltips=rows))
    plot.title.text_font_size = "13px"
    plot.axis.major_label_text_font_size = plot.axis.axis_label_text_font_size = _FONT
    plot.axis.axis_label_text_font_style = "normal"


def _scatter(points: Scatter, source: Any, views: dict[str, Any], real: np.ndarray | None) -> Any:
    """Draw components as points, and the area in which none is accepted."""
    from bokeh.models import BoxAnnotation, Span
    from bokeh.plotting import figure

    plot = figure(
        frame_width=_SIDE - 20, frame_height=_SIDE - 40, title="Each component a point", tools=_tools(),
        x_axis_type="log", x_range=points.x_range, y_range=points.y_range, toolbar_location="above",
        x_axis_label="SNR of the transients (logarithmic)", y_axis_label="spatial correlation r",
    )  # fmt: skip
    plot.add_layout(
        BoxAnnotation(fill_color="#999999", fill_alpha=0.18, line_color=None, name="rejected_area")
    )
    for name, dimension in (("min_SNR_line", "height"), ("rval_thr_line", "width")):
        plot.add_layout(
            Span(dimension=dimension, location=1, line_color=COLORS["second"], line_width=2, name=name)
        )
    drawn = []
    for name, marker in (("accepted", "circle"), ("rejected", "triangle")):
        glyph = plot.scatter(
            "x", "y", source=source, view=views[name], marker=marker, size=9, line_color=_DARK,
            line_width=0.8, fill_color=COLORS[name], fill_alpha=0.85, name=f"{name}_points",
        )  # fmt: skip
        glyph.nonselection_glyph = None
        glyph.selection_glyph = glyph.glyph.clone(size=15, line_width=2.5)
        drawn.append(glyph)
    if real is not None and not np.all(real):
        false = ~np.asarray(real, bool)
        plot.scatter(
            points.x[false], points.y[false], marker="x", size=12, line_color="black", line_width=1.5
        )
    _add_reader(plot, drawn)
    plot.xaxis.ticker = [0.5, 1, 2, 3, 5, 10, 20, 30, 50, 100, 200, 500, 1000]
    return plot


def _field(picture: np.ndarray, source: Any, views: dict[str, Any]) -> Any:
    """Draw the outlines on the image."""
    from bokeh.models import LinearColorMapper, Range1d
    from bokeh.plotting import figure

    height, width = picture.shape
    scale = min((_SIDE - 40) / height, (_SIDE + 30) / width)
    plot = figure(
        frame_width=max(60, round(scale * width)), frame_height=max(60, round(scale * height)),
        tools=_tools(), toolbar_location="above",
        x_range=Range1d(-0.5, width - 0.5), y_range=Range1d(height - 0.5, -0.5),
        title="Click to mark a component in both",
    )  # fmt: skip
    plot.grid.visible = False
    low, high = limits(picture)
    # The brightest is a light grey, so that outlines stay visible on it.
    greys = LinearColorMapper(palette="Greys256", low=low, high=low + 1.4 * (high - low))
    plot.image(
        image=[np.ascontiguousarray(picture, np.float32)], x=-0.5, y=-0.5, dw=width, dh=height,
        color_mapper=greys, level="image",
    )  # fmt: skip
    drawn = []
    for name, dash in (("accepted", "solid"), ("rejected", "dashed")):
        shapes = plot.patches(
            "xs", "ys", source=source, view=views[name], fill_alpha=0.0, fill_color="white",
            line_color=COLORS[name], line_width=1.8, line_dash=dash, name=f"{name}_outlines",
        )  # fmt: skip
        shapes.nonselection_glyph = None
        shapes.selection_glyph = shapes.glyph.clone(
            line_color=COLORS["second"], line_width=4, fill_color=COLORS["second"], fill_alpha=0.35
        )
        drawn.append(shapes)
    _add_reader(plot, drawn)
    return plot
