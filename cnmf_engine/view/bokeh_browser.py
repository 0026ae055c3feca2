"""A component browser that runs in the page itself, so it also works in a saved notebook or report."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp

from cnmf_engine.view.bokeh_views import image_figure
from cnmf_engine.view.common import background_image, checked_indices, image_of
from cnmf_engine.view.contours import get_contours, min_max_decimate
from cnmf_engine.view.front_end import in_notebook
from cnmf_engine.view.matplotlib_browser import DENOISED, NOTHING, RAW, Content
from cnmf_engine.view.resources import script
from cnmf_engine.view.showing import show_or_return
from cnmf_engine.view.stills import counted
from cnmf_engine.view.traces import has_raw, raw_traces

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["component_browser", "hv_view_components", "nb_view_components", "nb_view_patches"]

_RAW_COLOR, _FOOTPRINT_COLOR = "#0072B2", "#CC79A7"
#: Points of all traces together: 0.8 MB, because each notebook keeps its pages.
_POINT_BUDGET = 300_000
#: Whole numbers that values are packed into, and the one that stands for a gap in an outline.
_LEVELS, _GAP = 65_000, 65_535


def component_browser(
    estimates: Any,
    Yr: np.ndarray | None = None,
    img: np.ndarray | None = None,
    idx: Any = None,
    denoised_color: str | None = None,
    cmap: str = "viridis",
    thr: float = 0.99,
    max_points: int = 4000,
) -> Any:
    """
    Build the page that `nb_view_components` shows.

    Every outline is stored whole, whatever its length (CaImAn's browser cuts or pads outlines to the length
    of the first one). Traces are reduced to their extremes, and numbers to 16 bits, before they go to the
    page: 500 components of 12,000 frames take 2 MB.

    Parameters
    ----------
    estimates : Estimates
        With `A`, `C`, `dims` and, if known, `YrA`, `SNR_comp`, `r_values`, `cnn_preds`.
    Yr : ndarray of shape (d, T), optional
        Movie, for the raw traces if `YrA` is missing.
    img : ndarray of shape (d1, d2), optional
        Image below the footprint; default the mean footprint.
    idx : array of int, optional
        Components to show; default all.
    denoised_color : str, optional
        Colour of the denoised traces; without it only the raw ones are drawn.
    cmap : str
        Colour map of the image (CaImAn's default is 'jet', whose bands show edges that aren't there).
    thr : float
        Energy fraction inside the outline.
    max_points : int
        Points of a trace at most.

    Returns
    -------
    bokeh.models.LayoutDOM
        With a slider for two components or more, none for one, and a message for none.
    """
    from bokeh.layouts import column, row
    from bokeh.models import CustomJS, Div, Slider

    dims = image_of(estimates)
    members = checked_indices(idx, estimates.A.shape[1])
    if members.size == 0:
        return Div(text=NOTHING, name="message")
    outlines = get_contours(estimates.A.tocsc()[:, members], dims, thr, "nrg")
    reduced = _traces(estimates, members, Yr, denoised_color, max_points)
    store = {**_packed_outlines(outlines, dims), **_packed_traces(reduced)}
    metrics = [metrics_text(estimates, int(k)) for k in members]
    outline, traces = _first_component(outlines[0], reduced)
    picture = _footprint_figure(background_image(img, estimates.A, dims), cmap, outline)
    plot = _trace_figure(traces, denoised_color, RAW if has_raw(estimates, Yr) else DENOISED)
    facts = Div(text=metrics[0], name="metrics")
    panels = row(column(picture, facts), plot)
    if members.size == 1:
        return panels
    slider = Slider(start=1, end=int(members.size), step=1, value=1, title="Neuron Number", width=500)
    parts = {"outline": outline, "traces": traces, "facts": facts, "metrics": metrics}
    slider.js_on_change("value", CustomJS(args={**store, **parts}, code=script("browser.js")))
    return column(slider, panels)


def _traces(
    estimates: Any, members: np.ndarray, Yr: Any, denoised_color: str | None, max_points: int
) -> dict[str, np.ndarray]:
    """Reduce the traces of the chosen components to what the screen shows."""
    kinds = 2 if denoised_color else 1
    budget = int(np.clip(_POINT_BUDGET // (kinds * members.size), 400, max_points))
    raw = min_max_decimate(raw_traces(estimates, members, Yr), budget)
    reduced = {"frames": raw.frames, "raw": raw.values}
    if denoised_color:
        reduced["denoised"] = min_max_decimate(np.asarray(estimates.C)[members], budget).values
    return reduced


def _packed_outlines(outlines: list[dict[str, Any]], dims: tuple[int, int]) -> dict[str, Any]:
    """Put ragged outlines end to end as whole numbers; `ends` says where each component's outline stops."""
    points = [outline["coordinates"][1:-1] for outline in outlines]
    together = np.concatenate(points)
    pixels = max(dims) / _LEVELS
    packed = np.where(np.isnan(together), _GAP, np.round((together + 0.5) / pixels)).astype(np.uint16)
    ends = np.cumsum([len(p) for p in points]).astype(np.int32)
    x, y = np.ascontiguousarray(packed.T)
    return {"x": x, "y": y, "ends": ends, "pixels": pixels, "gap": _GAP}


def _packed_traces(traces: dict[str, np.ndarray]) -> dict[str, Any]:
    """Put traces end to end as whole numbers; `lows` and `steps` bring them back to their values."""
    kinds = [kind for kind in traces if kind != "frames"]
    store: dict[str, Any] = {"frames": traces["frames"].astype(np.int32), "kinds": kinds}
    store |= {"levels": [], "lows": [], "steps": []}
    for kind in kinds:
        values = np.nan_to_num(traces[kind].astype(np.float32))
        low = values.min(axis=1)
        step = np.maximum(np.ptp(values, axis=1), np.finfo(np.float32).tiny * _LEVELS) / _LEVELS
        levels = np.round((values - low[:, None]) / step[:, None])
        store["levels"].append(levels.astype(np.uint16).ravel())
        store["lows"].append(low)
        store["steps"].append(step)
    return store


def _first_component(outline: dict[str, Any], reduced: dict[str, np.ndarray]) -> tuple[Any, Any]:
    """Make what the page shows first; the slider's script does the same for the other components."""
    from bokeh.models import ColumnDataSource

    x, y = outline["coordinates"][1:-1].T
    traces = {kind: values if kind == "frames" else values[0] for kind, values in reduced.items()}
    return ColumnDataSource({"x": x, "y": y}), ColumnDataSource(traces)


def _footprint_figure(image: np.ndarray, cmap: str, outline: Any) -> Any:
    """Draw the image with the current footprint filled."""
    plot = image_figure(image, cmap, width=270)
    plot.patch("x", "y", source=outline, fill_color=_FOOTPRINT_COLOR, fill_alpha=0.5, line_color="white",
               line_width=1.5, name="footprint")  # fmt: skip
    return plot


def _trace_figure(traces: Any, denoised_color: str | None, label: str) -> Any:
    """Draw the traces of the current component."""
    from bokeh.models import DataRange1d
    from bokeh.plotting import figure

    plot = figure(
        width=520, height=300, x_axis_label="frame number", y_axis_label="fluorescence (a.u.)",
        y_range=DataRange1d(only_visible=True), tools="xpan,xwheel_zoom,xbox_zoom,reset,save",
        active_drag="xbox_zoom",
    )  # fmt: skip
    plot.line("frames", "raw", source=traces, color=_RAW_COLOR, alpha=0.7, legend_label=label, name="raw")
    if denoised_color:
        plot.line("frames", "denoised", source=traces, color=denoised_color, line_width=2,
                  legend_label=DENOISED, name="denoised")  # fmt: skip
    legend = plot.legend[0]
    legend.update(orientation="horizontal", click_policy="hide", border_line_color=None, padding=2, margin=2)
    plot.add_layout(legend, "above")  # in the plot it would hide transients
    return plot


def metrics_text(estimates: Any, k: int) -> str:
    """Word what the evaluation found for one component."""
    lines = [f"Component {k} of the estimates (counted from 0)"]
    for verdict, field in (("accepted", "idx_components"), ("rejected", "idx_components_bad")):
        decided = getattr(estimates, field, None)
        if decided is not None and k in np.asarray(decided):
            lines.append(verdict)
    named = {"Spatial corr": "r_values", "SNR": "SNR_comp", "CNN": "cnn_preds"}
    known = {label: getattr(estimates, field, None) for label, field in named.items()}
    if known["Spatial corr"] is None and known["SNR"] is None:
        return "<br>".join([*lines, "not evaluated yet"])
    for label, values in known.items():
        has_one = values is not None and np.size(values) > k
        lines.append(f"{label}: {np.ravel(values)[k]:.2f}" if has_one else f"{label}: N/A")
    return "<br>".join(lines)


def nb_view_components(
    estimates: Any,
    Yr: np.ndarray | None = None,
    img: np.ndarray | None = None,
    idx: Any = None,
    denoised_color: str | None = None,
    cmap: str = "viridis",
    thr: float = 0.99,
) -> Any:
    """
    Browse footprints, traces and metrics in the notebook.

    Parameters
    ----------
    estimates, Yr, img, idx, denoised_color, cmap, thr
        See `component_browser`.

    Returns
    -------
    bokeh.models.LayoutDOM or None
        None in a notebook, where it is shown.
    """
    members = checked_indices(idx, estimates.A.shape[1])
    if members.size == 0 and in_notebook():
        print(NOTHING)  # a sentence needs no BokehJS
        return None
    page = component_browser(estimates, Yr, img, idx, denoised_color, cmap, thr)

    def still() -> Figure:
        from matplotlib.figure import Figure

        image = background_image(img, estimates.A, image_of(estimates))
        content = Content.of(estimates, members, Yr, image, thr, "nrg")
        return content.fill(Figure(layout="constrained"))

    what = (
        f"A browser of {counted(members.size, 'component')}: footprint, traces and metrics of one at a time."
    )
    return show_or_return(page, what, still)


def hv_view_components(
    estimates: Any,
    Yr: np.ndarray | None = None,
    img: np.ndarray | None = None,
    idx: Any = None,
    denoised_color: str | None = None,
    cmap: str = "viridis",
) -> Any:
    """
    Browse footprints, traces and metrics, under the name of CaImAn's holoviews browser.

    It is the same browser as `nb_view_components`: one made of holoviews' dynamic maps stops reacting as soon
    as no kernel answers.

    Parameters
    ----------
    estimates, Yr, img, idx, denoised_color, cmap
        See `component_browser`.

    Returns
    -------
    bokeh.models.LayoutDOM or None
        None in a notebook, where it is shown.
    """
    return nb_view_components(estimates, Yr, img, idx, denoised_color, cmap)


def nb_view_patches(
    Yr: np.ndarray | None,
    A: Any,
    C: np.ndarray,
    b: Any,
    f: Any,
    d1: int,
    d2: int,
    YrA: np.ndarray | None = None,
    image_neurons: np.ndarray | None = None,
    thr: float = 0.99,
    denoised_color: str | None = None,
    cmap: str = "viridis",
    r_values: np.ndarray | None = None,
    SNR: np.ndarray | None = None,
    cnn_preds: np.ndarray | None = None,
) -> np.ndarray:
    """
    Browse components given as arrays.

    Parameters
    ----------
    Yr : ndarray of shape (d, T) or None
        Movie, for the raw traces if `YrA` is None.
    A, C : arrays of shape (d, K) and (K, T)
        Footprints, pixels in Fortran order, and denoised traces.
    b, f : arrays of shape (d, nb) and (nb, T), or None
        Background of low rank.
    d1, d2 : int
        Rows and columns.
    YrA : ndarray of shape (K, T), optional
        Residual of each trace.
    image_neurons : ndarray of shape (d1, d2), optional
        Image below the footprint; default the mean footprint.
    thr : float
        Energy fraction inside the outline.
    denoised_color : str, optional
        Colour of the denoised traces.
    cmap : str
        Colour map of the image.
    r_values, SNR, cnn_preds : arrays of shape (K,), optional
        Metrics to show.

    Returns
    -------
    ndarray of shape (K, T), float32
        The raw traces, `C + YrA`.
    """
    footprints = sp.csc_matrix(A)
    estimates = SimpleNamespace(
        A=footprints, C=np.asarray(C), YrA=YrA, b=b, f=f, dims=(d1, d2),
        r_values=r_values, SNR_comp=SNR, cnn_preds=cnn_preds,
    )  # fmt: skip
    raw = raw_traces(estimates, np.arange(footprints.shape[1]), Yr)
    if has_raw(estimates, Yr):
        estimates.YrA = raw - estimates.C
    nb_view_components(estimates, None, image_neurons, None, denoised_color, cmap, thr)
    return raw
