"""Contours and patches with bokeh: pictures that zoom without a kernel."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnmf_engine.view.common import as_dense_image, background_image, image_of, panels_of
from cnmf_engine.view.contours import get_contours, image_limits
from cnmf_engine.view.matplotlib_views import outlines_alt, patch_starts, quilt_still, thresholds_note
from cnmf_engine.view.resources import script
from cnmf_engine.view.showing import show_or_return
from cnmf_engine.view.stills import contour_still

__all__ = ["nb_plot_contour", "nb_view_quilt", "plot_contours_nb"]


#: Pixels of an image that travel to the page; a larger one is reduced, as the screen would reduce it.
_MOST_PIXELS = 300_000
#: Screen pixels; with sliders above and an axis below it stays within 600.
_TALLEST = 420


def image_source(image: np.ndarray) -> Any:
    """
    Prepare an image for the page: 256 shades between its 1st and 99th percentile, a byte a pixel.

    Parameters
    ----------
    image : ndarray of shape (d1, d2)
        Image.

    Returns
    -------
    bokeh.models.ColumnDataSource
        For `image_figure`; panels that share it send it once.
    """
    from bokeh.models import ColumnDataSource

    low, high = image_limits(image)
    shades = np.clip((on_screen(image) - low) * (255 / (high - low)), 0, 255)
    return ColumnDataSource({"image": [np.ascontiguousarray(np.round(shades), dtype=np.uint8)]})


def on_screen(image: np.ndarray, most: int = _MOST_PIXELS) -> np.ndarray:
    """Average blocks of pixels until at most `most` are left; (d1, d2) float32 to (rows, columns) float32."""
    block = int(np.ceil(np.sqrt(image.size / most)))
    if block <= 1:
        return image
    n_rows, n_cols = (max(size // block, 1) * block for size in image.shape)
    # What doesn't fill a block is dropped: less than a pixel of the screen.
    tiles = image[:n_rows, :n_cols].reshape(n_rows // block, block, -1, block)
    return tiles.mean(axis=(1, 3)).astype(np.float32)


def image_figure(
    image: np.ndarray, cmap: str = "viridis", width: int = 360, title: str = "", source: Any = None
) -> Any:
    """
    Draw an image so that pixel centres lie on whole numbers and rows count downwards.

    Parameters
    ----------
    image : ndarray of shape (d1, d2)
        Image; limits are its 1st and 99th percentile.
    cmap : str
        A colour map of matplotlib.
    width : int
        Screen pixels between the axes.
    title : str
        Title.
    source : bokeh.models.ColumnDataSource, optional
        What `image_source` made of the image, to share it between figures.

    Returns
    -------
    bokeh.plotting.figure
        Its frame has the image's proportions, so that pixels are square; a tall one is narrower.
    """
    from bokeh.models import BoxZoomTool, LinearColorMapper, Range1d
    from bokeh.plotting import figure

    n_rows, n_cols = image.shape
    width = int(min(width, max(_TALLEST * n_cols / n_rows, 60)))
    plot = figure(
        frame_width=width,
        frame_height=int(np.clip(width * n_rows / n_cols, 60, _TALLEST)),
        title=title,
        x_range=Range1d(-0.5, n_cols - 0.5),
        y_range=Range1d(n_rows - 0.5, -0.5),
        tools=["pan", "wheel_zoom", BoxZoomTool(match_aspect=True), "reset", "save"],
        active_drag=None,
    )
    plot.grid.visible = False
    plot.image(
        image="image",
        source=source or image_source(image),
        x=-0.5,
        y=-0.5,
        dw=n_cols,
        dh=n_rows,
        color_mapper=LinearColorMapper(palette=palette(cmap), low=0, high=255),
        name="image",
    )
    return plot


def palette(cmap: str) -> list[str]:
    """Turn a colour map of matplotlib into 256 colours that bokeh understands."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    return [to_hex(color) for color in colormaps[cmap](np.linspace(0, 1, 256))]


def outline_columns(outlines: list[dict[str, Any]]) -> dict[str, list]:
    """Bring outlines to the columns that bokeh's `patches` takes; loops stay separated by NaN."""
    drawn = [outline for outline in outlines if len(outline["coordinates"]) > 1]
    return {
        "xs": [outline["coordinates"][1:-1, 0].astype(np.float32) for outline in drawn],
        "ys": [outline["coordinates"][1:-1, 1].astype(np.float32) for outline in drawn],
        "cx": [float(outline["CoM"][1]) for outline in drawn],
        "cy": [float(outline["CoM"][0]) for outline in drawn],
        "neuron": [int(outline["neuron_id"]) for outline in drawn],
        "index": [int(outline["neuron_id"]) - 1 for outline in drawn],
    }


def nb_plot_contour(
    image: np.ndarray,
    A: Any,
    d1: int,
    d2: int,
    thr: float | None = None,
    thr_method: str = "max",
    maxthr: float = 0.2,
    nrgthr: float = 0.9,
    face_color: str | None = None,
    line_color: str = "red",
    alpha: float = 0.4,
    line_width: float = 2,
    coordinates: list[dict[str, Any]] | None = None,
    show: bool = True,
    cmap: str = "viridis",
) -> Any:
    """
    Draw outlines of footprints over an image with bokeh.

    Parameters
    ----------
    image : ndarray of shape (d1, d2)
        Image below them.
    A : sparse or dense array of shape (d, K)
        Footprints, pixels in Fortran order.
    d1, d2 : int
        Rows and columns.
    thr : float, optional
        Energy fraction; giving it switches to `thr_method='nrg'`.
    thr_method, maxthr, nrgthr : str, float, float
        Method and its level, see `get_contours`.
    face_color : str, optional
        Fill of the outlines.
    line_color, line_width : str, float
        Of the outlines.
    alpha : float
        Opacity of the fill.
    coordinates : list of dict, optional
        Outlines from an earlier call, used as they are.
    show : bool
        Show the figure in the running notebook.
    cmap : str
        Colour map of the image.

    Returns
    -------
    bokeh.plotting.figure
        The figure.
    """
    if thr is not None:
        thr_method, nrgthr = "nrg", thr
    if coordinates is None:
        coordinates = get_contours(A, (d1, d2), maxthr if thr_method == "max" else nrgthr, thr_method)
    below = as_dense_image(image, (d1, d2))
    plot = image_figure(below, cmap)
    fill = {"fill_color": face_color, "fill_alpha": alpha if face_color else 0.0}
    _add_outlines(plot, coordinates, line_color=line_color, line_width=line_width, **fill)
    if show:
        panels = [("Components", coordinates)]
        style = {"line": {"c": line_color, "lw": line_width}, "cmap": cmap}
        show_or_return(plot, outlines_alt(panels, below), lambda: contour_still(panels, below, **style))
    return plot


def _add_outlines(plot: Any, outlines: list[dict[str, Any]], marker: str = "circle", **style: Any) -> None:
    """Draw outlines, a mark at each centre, and say on hovering which component it is."""
    from bokeh.models import ColumnDataSource, HoverTool

    columns = outline_columns(outlines)
    shapes = plot.patches("xs", "ys", source=ColumnDataSource(columns), name="outlines", **style)
    centres = {name: columns[name] for name in ("cx", "cy", "neuron")}
    plot.scatter(
        "cx", "cy", source=ColumnDataSource(centres), size=10, marker=marker, name="centres",
        line_color="black", fill_color=None,
    )  # fmt: skip
    numbers = [("neuron", "@neuron"), ("index in the estimates", "@index")]
    plot.add_tools(HoverTool(renderers=[shapes], tooltips=numbers))


def plot_contours_nb(
    estimates: Any,
    img: np.ndarray | None = None,
    idx: Any = None,
    thr_method: str = "max",
    thr: float = 0.2,
    params: Any = None,
    line_color: str = "white",
    cmap: str = "viridis",
) -> Any:
    """
    Draw the outlines of a fit with bokeh; with `idx`, accepted and rejected ones (dashed) side by side.

    Outlines are found anew for each `thr`, and what goes wrong is raised (CaImAn keeps the outlines of the
    first call and falls back to matplotlib without a reason).

    Parameters
    ----------
    estimates : Estimates
        With `A` and `dims`.
    img : ndarray of shape (d1, d2), optional
        Image below the outlines; default the mean footprint.
    idx : array of int, optional
        Accepted components.
    thr_method, thr : str, float
        See `get_contours`.
    params : CNMFParams, optional
        Adds the thresholds of the evaluation below the panels.
    line_color, cmap : str
        Colours.

    Returns
    -------
    bokeh.models.LayoutDOM or None
        None in a notebook, where it is shown.
    """
    from bokeh.layouts import row

    dims = image_of(estimates)
    image = background_image(img, estimates.A, dims)
    footprints = estimates.A.tocsc()
    note = thresholds_note(params)
    source = image_source(image)
    panels, plots = [], []
    for title, members in panels_of(estimates, idx):
        outlines = get_contours(footprints[:, members], dims, thr, thr_method)
        # In the figure's numbering a component keeps the number it has in the estimates.
        for outline, member in zip(outlines, members):
            outline["neuron_id"] = int(member) + 1
        panels.append((f"{title} ({len(members)})", outlines))
        plot = image_figure(image, cmap, title=panels[-1][0], source=source)
        marks = {"marker": "triangle", "line_dash": "dashed"} if title.startswith("Rejected") else {}
        _add_outlines(plot, outlines, line_color=line_color, line_width=2, fill_alpha=0.0, **marks)
        plot.xaxis.axis_label = note or None
        if plots:
            plot.x_range, plot.y_range = plots[0].x_range, plots[0].y_range
        plots.append(plot)
    style = {"line": {"c": line_color}, "cmap": cmap, "note": note}
    return show_or_return(
        row(*plots), outlines_alt(panels, image), lambda: contour_still(panels, image, **style)
    )


def nb_view_quilt(
    template_image: np.ndarray,
    rf: int,
    stride_input: int,
    color: str = "white",
    alpha: float = 0.2,
    cmap: str = "gray",
) -> Any:
    """
    Cut an image into patches with sliders for their half width and overlap.

    The sliders work in the browser, also in a saved page.

    Parameters
    ----------
    template_image : ndarray of shape (d1, d2)
        Image below the patches.
    rf : int
        Half width of a patch, pixels; a patch is `2 * rf + 1` wide.
    stride_input : int
        The parameter `stride`: neighbours share `stride + 1` pixels.
    color, alpha : str, float
        Of the patches.
    cmap : str
        Colour map of the image.

    Returns
    -------
    bokeh.models.LayoutDOM or None
        None in a notebook, where it is shown.
    """
    from bokeh.layouts import column
    from bokeh.models import ColumnDataSource, CustomJS, Div, Slider

    image = as_dense_image(template_image)
    plot = image_figure(image, cmap, title="Patches")
    source = ColumnDataSource(quilt_rectangles(image.shape, rf, stride_input))
    plot.quad("left", "right", "bottom", "top", source=source, fill_color=color, fill_alpha=alpha,
              line_color="#E69F00", line_alpha=0.9)  # fmt: skip
    half = max(image.shape) // 2
    rf_slider = Slider(start=2, end=max(half, rf, 3), step=1, value=rf, title="rf")
    stride_slider = Slider(
        start=1, end=max(half, stride_input, 2), step=1, value=stride_input, title="stride"
    )
    text = Div(text=_quilt_text(rf, stride_input, len(source.data["left"])))
    follow = CustomJS(
        args={"source": source, "rf": rf_slider, "stride": stride_slider, "text": text, "dims": image.shape},
        code=script("quilt.js"),
    )
    rf_slider.js_on_change("value", follow)
    stride_slider.js_on_change("value", follow)
    return show_or_return(
        column(rf_slider, stride_slider, text, plot),
        f"An image of {image.shape[0]} x {image.shape[1]} pixels cut into patches. {text.text}.",
        lambda: quilt_still(image, 2 * rf - stride_input, stride_input + 1, color, alpha, cmap, text.text),
    )


def quilt_rectangles(shape: tuple[int, int], rf: int, stride_input: int) -> dict[str, list[float]]:
    """Edges of the patches of width `2 * rf + 1` that share `stride_input + 1` pixels."""
    width, step = 2 * rf + 1, max(2 * rf - stride_input, 1)
    columns: dict[str, list[float]] = {"left": [], "right": [], "bottom": [], "top": []}
    for top in patch_starts(shape[0], width, step):
        for left in patch_starts(shape[1], width, step):
            columns["left"].append(left - 0.5)
            columns["right"].append(min(left + width, shape[1]) - 0.5)
            columns["top"].append(top - 0.5)
            columns["bottom"].append(min(top + width, shape[0]) - 0.5)
    return columns


def _quilt_text(rf: int, stride: int, n_patches: int) -> str:
    """Word the geometry of the patches."""
    return f"Patch width {2 * rf + 1} px, overlap {stride + 1} px, {n_patches} patches"
