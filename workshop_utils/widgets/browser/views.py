"""The plots of the browser's page: field of view, footprint, traces and spikes; the script fills them."""

from __future__ import annotations

from typing import Any

import numpy as np

from workshop_utils.figures.base import COLORS, limits
from workshop_utils.widgets.browser.table import STATUSES, ComponentTable

__all__ = ["crop_plot", "map_plot", "trace_plots"]

_RAW, _CHOSEN = "#8C8C8C", "#F0E442"
#: Colour and dashes of the outlines by status; never the colour alone.
_LINES = {0: (COLORS["mark"], "solid"), 1: (COLORS["accepted"], "solid"), 2: (COLORS["rejected"], "dashed")}


def _image_plot(shape: tuple[int, int], width: int, height: int, **settings: Any) -> Any:
    """Make a plot with square pixels whose rows count downwards."""
    from bokeh.models import Range1d
    from bokeh.plotting import figure

    plot = figure(
        frame_width=width, frame_height=height,
        x_range=Range1d(-0.5, shape[1] - 0.5), y_range=Range1d(shape[0] - 0.5, -0.5), **settings,
    )  # fmt: skip
    plot.grid.visible = False
    plot.axis.visible = False
    plot.toolbar.logo = None
    return plot


def map_plot(table: ComponentTable) -> dict[str, Any]:
    """Draw the field of view: image, outlines by status, and the selected one."""
    from bokeh.models import BoxZoomTool, ColumnDataSource, Legend, LegendItem, LinearColorMapper

    n_rows, n_cols = table.dims
    scale = min(400 / n_cols, 425 / n_rows)
    plot = _image_plot(
        table.dims, max(int(scale * n_cols), 40), max(int(scale * n_rows), 40), name="map",
        tools=["pan", "wheel_zoom", BoxZoomTool(match_aspect=True), "reset", "save"], active_drag="pan",
        toolbar_location="above", min_border=5,
    )  # fmt: skip
    low, high = limits(table.image, 20, 99.8)
    high += 0.35 * (high - low)  # lines stand out from an image that never gets white
    codes = np.rint(255 * ((table.image - low) / (high - low)).clip(0, 1)).astype(np.uint8)
    pixel = -(-max(table.dims) // max(codes.shape))  # an image's pixels are larger once it is shrunk
    plot.image([codes], x=-0.5, y=-0.5, dw=pixel * codes.shape[1], dh=pixel * codes.shape[0], name="image",
               color_mapper=LinearColorMapper(_palette("gray"), low=0, high=255))  # fmt: skip
    sources, entries = [], []
    for state in np.unique(table.status).tolist():
        source = ColumnDataSource({"xs": [], "ys": []}, name=f"outlines {STATUSES[state]}")
        drawn = _outline(plot, source, state)
        sources.append([source, state])
        n = np.count_nonzero(table.status == state)
        entries.append(LegendItem(label=f"{n} {STATUSES[state]}", renderers=[drawn]))
    highlight = ColumnDataSource({"xs": [], "ys": []}, name="highlight")
    entries.append(LegendItem(label="selected", renderers=_highlighted(plot, highlight)))
    legend = Legend(items=entries, orientation="horizontal", location=(0, 0), label_text_font_size="13px",
                    background_fill_color=None, border_line_color=None, padding=2, margin=6,
                    spacing=16)  # fmt: skip
    plot.add_layout(legend, "below")
    return {"map": plot, "outlines": sources, "highlight": highlight}


def _palette(name: str) -> list[str]:
    from cnmf_engine.view.bokeh_views import palette

    return palette(name)


def _outline(plot: Any, source: Any, state: int) -> Any:
    """Draw the outlines of one status."""
    color, dash = _LINES[state]
    return plot.multi_line("xs", "ys", source=source, line_color=color, line_dash=dash, line_width=1.6)


def _highlighted(plot: Any, source: Any) -> list[Any]:
    """Draw the selected outline: bright on a dark rim, so it stands out from any image."""
    rim = plot.multi_line("xs", "ys", source=source, line_color="black", line_width=6)
    return [rim, plot.multi_line("xs", "ys", source=source, line_color=_CHOSEN, line_width=3)]


def crop_plot(table: ComponentTable, outlines: list, highlight: Any) -> dict[str, Any]:
    """Draw the window around the selected footprint, with its neighbours' outlines."""
    from bokeh.models import ColumnDataSource, LinearColorMapper

    side = table.crops.pictures.shape[1]
    plot = _image_plot(
        (side, side), 150, 150, name="crop_plot", tools="", toolbar_location=None, min_border=0,
        title=f"footprint, {side} x {side} px",
    )  # fmt: skip
    plot.title.text_font_size = "12px"
    plot.title.text_font_style = "normal"
    source = ColumnDataSource(
        {"image": [np.zeros((side, side), np.uint8)], "x": [-0.5], "y": [-0.5]}, name="crop"
    )
    plot.image("image", x="x", y="y", dw=side, dh=side, source=source,
               color_mapper=LinearColorMapper(_palette("viridis"), low=0, high=255))  # fmt: skip
    for lines, state in outlines:
        _outline(plot, lines, state)
    plot.multi_line("xs", "ys", source=highlight, line_color="black", line_width=3.5)
    plot.multi_line("xs", "ys", source=highlight, line_color=_CHOSEN, line_width=1.8)
    return {"crop_plot": plot, "crop": source}


def trace_plots(table: ComponentTable, n_frames: int) -> dict[str, Any]:
    """Draw the traces, and the spikes below them on the same time axis, as long as the recording."""
    from bokeh.models import ColumnDataSource, Range1d
    from bokeh.plotting import figure

    rate = table.fr or 1.0
    end, step = max(n_frames - 1, 1) / rate, 1 / rate
    x_range = Range1d(
        0,
        end,
        reset_start=0,
        reset_end=end,
        bounds=(-2 * step, end + 2 * step),
        min_interval=min(5 * step, end),
    )
    settings = {"width": 518, "x_range": x_range, "y_range": Range1d(0, 1), "active_drag": "xbox_zoom",
                "tools": "xpan,xwheel_zoom,xbox_zoom,reset,save", "min_border_left": 66,
                "min_border_right": 34}  # fmt: skip
    has_spikes = "spikes" in table.traces
    plot = figure(height=210 if has_spikes else 335, name="trace_plot", toolbar_location="right",
                  y_axis_label="fluorescence (a.u.)", **settings)  # fmt: skip
    looks = {"raw": (_RAW, 1.0, "raw (C + YrA)"), "denoised": (COLORS["line"], 1.8, "denoised (C)")}
    lines = []
    for kind, (color, line_width, label) in looks.items():
        if kind in table.traces:
            source = ColumnDataSource({"x": [], "y": []}, name=kind)
            plot.line("x", "y", source=source, color=color, line_width=line_width, legend_label=label)
            lines.append([kind, source])
    plot.legend.orientation = "horizontal"
    plot.legend.click_policy = "hide"
    plot.legend.label_text_font_size = "12px"
    plot.legend.padding, plot.legend.margin = 0, 2
    plot.legend.border_line_color = None
    plot.add_layout(plot.legend[0], "above")  # inside it would hide peaks
    below, stems = None, None
    if has_spikes:
        stems = ColumnDataSource({"x": [], "y": []}, name="spikes")
        settings["y_range"] = Range1d(0, 1)
        below = figure(height=122, name="spike_plot", toolbar_location=None, y_axis_label="spikes (a.u.)",
                       **settings)  # fmt: skip
        below.segment("x", 0, "x", "y", source=stems, color=COLORS["second"], line_width=1.5)
        below.yaxis.ticker.desired_num_ticks = 3
        plot.xaxis.major_label_text_font_size = "0px"
    last = below or plot
    last.xaxis.axis_label = "frame" if table.fr is None else "time (s)"
    for drawn in (plot, below):
        if drawn is not None:
            drawn.toolbar.logo = None
            drawn.axis.axis_label_text_font_style = "normal"
            drawn.axis.axis_label_text_font_size = "12px"
            drawn.grid.grid_line_alpha = 0.5
            drawn.toolbar.logo = None
    return {"trace_plot": plot, "spike_plot": below, "lines": lines, "stems": stems}
