"""A component browser that runs in the page itself, so it also works in a saved notebook or report."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import scipy.sparse as sp

from ._common import background_image, checked_indices, image_of, show_or_return
from .bokeh_views import image_figure
from .contours import get_contours, min_max_decimate
from .traces import raw_traces

__all__ = ["component_browser", "hv_view_components", "nb_view_components", "nb_view_patches"]

_NOTHING = "There are no components to show."
_RAW, _FOOTPRINT = "#0072B2", "#CC79A7"
#: Points of all traces together; what a page holds without becoming slow to load.
_POINT_BUDGET = 1_000_000


def component_browser(
    estimates: Any,
    Yr: np.ndarray | None = None,
    img: np.ndarray | None = None,
    idx: Any = None,
    denoised_color: str | None = None,
    cmap: str = "jet",
    thr: float = 0.99,
    max_points: int = 4000,
) -> Any:
    """
    Build the page that `nb_view_components` shows.

    Every outline is stored whole, whatever its length, and traces are reduced to their extremes before they
    go to the page (CaImAn's browser cuts or pads outlines to the length of the first one).

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
        Colour map of the image.
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
        return Div(text=_NOTHING, name="message")
    outlines = get_contours(estimates.A.tocsc()[:, members], dims, thr, "nrg")
    store = _store(outlines, _traces(estimates, members, Yr, denoised_color, max_points))
    metrics = [_metrics_text(estimates, int(k)) for k in members]
    outline, traces = _first_component(store)
    picture = _footprint_figure(background_image(img, estimates.A, dims), cmap, outline)
    plot = _trace_figure(traces, denoised_color)
    facts = Div(text=metrics[0], name="metrics")
    panels = row(column(picture, facts), plot)
    if members.size == 1:
        return panels
    slider = Slider(start=1, end=int(members.size), step=1, value=1, title="Neuron Number", width=500)
    parts = {"outline": outline, "traces": traces, "facts": facts, "metrics": metrics}
    slider.js_on_change("value", CustomJS(args={**store, **parts}, code=_FOLLOW_JS))
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


def _store(outlines: list[dict[str, Any]], traces: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Put ragged outlines and traces end to end; `ends` says where each component's outline stops."""
    points = [outline["coordinates"][1:-1] for outline in outlines]
    together = np.concatenate(points) if points else np.zeros((0, 2))
    store = {
        "x": np.ascontiguousarray(together[:, 0], dtype=np.float32),
        "y": np.ascontiguousarray(together[:, 1], dtype=np.float32),
        "ends": np.cumsum([len(p) for p in points]).astype(np.int32),
    }
    for name, values in traces.items():
        kind = np.int32 if name == "frames" else np.float32
        store[name] = np.ascontiguousarray(values, dtype=kind).ravel()
    return store


def _first_component(store: dict[str, np.ndarray]) -> tuple[Any, Any]:
    """Cut the first component out of the store, as the slider's script does for the others."""
    from bokeh.models import ColumnDataSource

    n_points, n_frames = int(store["ends"][0]), len(store["frames"])
    traces = {"frames": store["frames"], "raw": store["raw"][:n_frames]}
    if "denoised" in store:
        traces["denoised"] = store["denoised"][:n_frames]
    outline = {"x": store["x"][:n_points], "y": store["y"][:n_points]}
    return ColumnDataSource(outline), ColumnDataSource(traces)


#: Runs in the page. `x`, `y`, `ends`, `frames`, `raw` and, if drawn, `denoised` are the store.
_FOLLOW_JS = """
const k = cb_obj.value - 1, n = frames.length;
const from = k > 0 ? ends[k - 1] : 0;
outline.data = {x: x.slice(from, ends[k]), y: y.slice(from, ends[k])};
const drawn = {frames: frames, raw: raw.slice(k * n, (k + 1) * n)};
if (typeof denoised !== "undefined") drawn.denoised = denoised.slice(k * n, (k + 1) * n);
traces.data = drawn;
facts.text = metrics[k];
"""


def _footprint_figure(image: np.ndarray, cmap: str, outline: Any) -> Any:
    """Draw the image with the current footprint filled."""
    plot = image_figure(image, cmap, width=270)
    plot.patch("x", "y", source=outline, fill_color=_FOOTPRINT, fill_alpha=0.5, line_color="white",
               line_width=1.5, name="footprint")  # fmt: skip
    return plot


def _trace_figure(traces: Any, denoised_color: str | None) -> Any:
    """Draw the traces of the current component."""
    from bokeh.models import DataRange1d
    from bokeh.plotting import figure

    plot = figure(
        width=520, height=300, x_axis_label="frame number", y_axis_label="fluorescence (a.u.)",
        y_range=DataRange1d(only_visible=True), tools="xpan,xwheel_zoom,xbox_zoom,reset,save",
        active_drag="xbox_zoom",
    )  # fmt: skip
    plot.line("frames", "raw", source=traces, color=_RAW, alpha=0.7, legend_label="raw (C + YrA)", name="raw")
    if denoised_color:
        plot.line("frames", "denoised", source=traces, color=denoised_color, line_width=2,
                  legend_label="denoised (C)", name="denoised")  # fmt: skip
    plot.legend.location = "top_right"
    plot.legend.click_policy = "hide"
    plot.legend.background_fill_alpha = 0.6
    return plot


def _metrics_text(estimates: Any, k: int) -> str:
    """Word what the evaluation found for one component."""
    lines = [f"Component {k} of the estimates (counted from 0)"]
    named = {"Spatial corr": "r_values", "SNR": "SNR_comp", "CNN": "cnn_preds"}
    known = {label: getattr(estimates, field, None) for label, field in named.items()}
    if known["Spatial corr"] is None and known["SNR"] is None:
        return lines[0] + "<br>not evaluated yet"
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
    cmap: str = "jet",
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
    return show_or_return(component_browser(estimates, Yr, img, idx, denoised_color, cmap, thr))


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
    cmap: str = "jet",
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
    estimates.YrA = raw - estimates.C
    show_or_return(component_browser(estimates, None, image_neurons, None, denoised_color, cmap, thr))
    return raw
