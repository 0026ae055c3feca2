"""The browser's page: bokeh plots and controls around the table, joined by one script in the page itself."""

from __future__ import annotations

import uuid
from dataclasses import replace
from importlib.resources import files
from typing import Any

import numpy as np

from workshop_utils.widgets.browser.footprints import shrunk
from workshop_utils.widgets.browser.packing import bin_width, binned, binned_frames, compressed_bytes
from workshop_utils.widgets.browser.table import STATUSES, ComponentTable
from workshop_utils.widgets.browser.views import crop_plot, map_plot, trace_plots

__all__ = ["browser_page", "page_title"]

_WIDTH = 930
#: Pixels on a side that are enough for an image in a notebook, more than the screen has for it.
_IMAGE_SIDE = 640
_NOTHING = (
    "There are no components to show. Lower <code>min_corr</code> and <code>min_pnr</code> and fit again, "
    "or check that <code>gSig</code> is about the half width of a cell."
)
_TEXT = {"color": "#222222", "font-size": "13px", "line-height": "1.35"}
_TABLE_CSS = """
.cw-number { font-size: 18px; } .cw-state { margin-left: 8px; font-size: 15px; }
.cw-facts-text table { border-collapse: collapse; margin-top: 6px; }
.cw-facts-text th { text-align: left; font-weight: normal; color: #555; padding: 1px 14px 1px 0; }
.cw-facts-text td { padding: 1px 0; }
"""


def page_title(table: ComponentTable) -> str:
    """Say in a few words what the page shows."""
    counts = [
        f"{np.count_nonzero(table.status == state)} {STATUSES[state]}" for state in np.unique(table.status)
    ]
    return f"{table.n_components} components: " + ", ".join(counts) if counts else "No components"


def browser_page(
    table: ComponentTable, show: str = "all", sort_by: str = "number", budget: float | None = None
) -> Any:
    """
    Lay out the page.

    Parameters
    ----------
    table : ComponentTable
        What to show.
    show : {'all', 'accepted', 'rejected'}
        Components in the list at first.
    sort_by : str
        Key of `table.orders`, the order of the list at first.
    budget : float, optional
        Bytes that the data may take in the page; default as many as they need.

    Returns
    -------
    bokeh.models.LayoutDOM
        930 by at most 600 screen pixels, as wide as JupyterLab leaves on a laptop; a message if there are no
        components.
    """
    from bokeh.layouts import column, row
    from bokeh.models import ColumnDataSource, Div

    if table.n_components == 0:
        return Div(text=_NOTHING, name="message", css_classes=["cw-browser"], width=_WIDTH, styles=_TEXT)
    n_frames = table.n_frames  # of the recording; binned traces have fewer samples
    table, frames, width = _within(table, budget)
    ident = f"cw-{uuid.uuid4().hex[:12]}"
    controls = _controls(table, show, sort_by)
    state = ColumnDataSource({"selected": []}, name="state")
    field = map_plot(table)
    crop = crop_plot(table, field["outlines"], field["highlight"])
    traces = trace_plots(table, n_frames)
    texts = {
        "facts": Div(text="", width=340, height=150, name="facts", css_classes=["cw-facts"],
                     margin=(5, 5, 5, 14), styles={**_TEXT, "font-size": "14px"}, stylesheets=[_TABLE_CSS]),
        "count": Div(text="", width=300, name="count", css_classes=["cw-count"], styles=_TEXT),
    }  # fmt: skip
    parts = {**controls, **field, **crop, **traces, **texts, "state": state}
    _connect(parts, _in_script(table, frames), ident)
    order = ("previous", "next", "position", "sort", "show", "min_snr", "min_r")
    above = row(*(controls[name] for name in order if controls[name] is not None), width=_WIDTH)
    hint = Div(text=_hint(table, width), width=600, name="hint", styles={**_TEXT, "font-size": "12px"})
    plots = [traces["trace_plot"]] + ([traces["spike_plot"]] if traces["spike_plot"] is not None else [])
    right = column(row(crop["crop_plot"], texts["facts"]), *plots)
    return column(
        above,
        row(texts["count"], hint),
        row(field["map"], right),
        width=_WIDTH,
        css_classes=["cw-browser", ident],
        name="browser",
        styles={"background": "white", "color": "#222222"},
    )


def _within(table: ComponentTable, budget: float | None) -> tuple[ComponentTable, np.ndarray, int]:
    """Reduce the page to a budget; give the table, the frames of its samples and the frames in a bin."""
    if budget is not None:
        table = replace(table, image=shrunk(table.image, _IMAGE_SIDE))
        budget -= table.image.size * 4 / 3 + compressed_bytes(
            table.crops.pictures, table.outlines.x, table.outlines.y
        )
    width = bin_width(list(table.traces.values()), table.n_frames, budget)
    frames = binned_frames(table.n_frames, width)
    return replace(table, traces={k: binned(v, width) for k, v in table.traces.items()}), frames, width


def _hint(table: ComponentTable, width: int) -> str:
    """Say how the page is used, and what was left out of it."""
    words = "Click a cell, or use the arrow keys. Drag across a trace to zoom, double-click for all of it."
    if width > 1:
        words += (
            f" Of every {width} frames only the lowest and highest are here; <code>save()</code> keeps all."
        )
    if "raw" not in table.traces:
        words += " Raw traces need <code>YrA</code>."
    return words


def _controls(table: ComponentTable, show: str, sort_by: str) -> dict[str, Any]:
    """Make the buttons and choices above the plots."""
    from bokeh.models import Button, Select, Slider, Spinner

    def at_least(label: str, values: np.ndarray | None, step: float) -> Any:
        if values is None:
            return None
        return Spinner(title=f"{label} at least", value=None, placeholder="any", step=step, width=86,
                       name=f"min_{label}".lower())  # fmt: skip

    choices = ["all", "accepted", "rejected"] if table.status.any() else ["all"]
    return {
        "previous": Button(label="\u25c0 Previous", width=90, align="end", name="previous", disabled=True),
        "next": Button(label="Next \u25b6", width=80, align="end", name="next", disabled=True),
        "position": Slider(title="Place in the list", start=1, end=max(table.n_components, 2), value=1,
                           step=1, width=185, align="end", name="position",
                           margin=(5, 15, 11, 15), disabled=True),
        "sort": Select(title="Sort by", value=sort_by, options=list(table.orders), width=205, name="sort"),
        "show": Select(title="Show", value=show, options=choices, width=100, name="show",
                       disabled=len(choices) == 1),
        "min_snr": at_least("SNR", table.snr, 0.5),
        "min_r": at_least("r", table.r, 0.05),
    }  # fmt: skip


def _in_script(table: ComponentTable, frames: np.ndarray) -> dict[str, Any]:
    """Bring the table to what the script reads: flat arrays, numbers and texts."""
    kinds = {
        kind: {
            "low": packed.low.ravel(),
            "high": packed.high.ravel(),
            "floor": packed.floor,
            "step": packed.step,
        }
        for kind, packed in table.traces.items()
    }
    return {
        "traces": kinds,
        "frames": frames,
        "rate": table.fr or 1.0,
        "status": table.status,
        "snr": table.snr,
        "r": table.r,
        "size": table.size.astype(np.int32),
        "states": list(STATUSES),
        "facts": table.facts,
        "orders": table.orders,
        "outline_x": table.outlines.x,
        "outline_y": table.outlines.y,
        "unit": table.outlines.unit,
        "ends": table.outlines.ends,
        "owners": table.outlines.owners,
        "crops": table.crops.pictures.ravel(),
        "side": int(table.crops.pictures.shape[1]),
        "left": table.crops.left,
        "top": table.crops.top,
    }


def _connect(parts: dict[str, Any], table: dict[str, Any], ident: str) -> None:
    """Make every event of the page run the script."""
    from bokeh.events import DoubleTap, Tap
    from bokeh.models import CustomJS

    code = files("workshop_utils.widgets.browser").joinpath("browser.js").read_text(encoding="utf-8")
    script = CustomJS(args={"table": table, "parts": parts, "ident": ident}, code=code)

    def run(action: str, more: str = "") -> Any:
        # The table is written into the page once, with the one script that reads it.
        return CustomJS(
            args={"script": script}, code=f"script.execute(cb_obj, {{script, action: '{action}'{more}}})"
        )

    parts["map"].js_on_change("inner_width", run("start"))  # set when the page has been laid out
    for kind in (Tap, DoubleTap):  # two clicks on two cells in quick succession count as a double one
        parts["map"].js_on_event(kind, run("click", ", x: cb_obj.x, y: cb_obj.y"))
    parts["trace_plot"].js_on_event(DoubleTap, run("whole"))
    parts["trace_plot"].js_on_change("inner_width", run("zoom"))
    for axis in (parts["trace_plot"].x_range, parts["trace_plot"].y_range):
        axis.js_on_change("start", run("zoom"))
        axis.js_on_change("end", run("zoom"))
    if parts["spike_plot"] is not None:
        parts["spike_plot"].js_on_event(DoubleTap, run("whole"))
    parts["previous"].js_on_event("button_click", run("step", ", by: -1"))
    parts["next"].js_on_event("button_click", run("step", ", by: 1"))
    parts["position"].js_on_change("value", run("position"))
    for name in ("sort", "show", "min_snr", "min_r"):
        if parts[name] is not None:
            parts[name].js_on_change("value", run("filter"))
