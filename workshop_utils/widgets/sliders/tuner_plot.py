"""The bokeh layout of the corr/PNR tuner; `tuner_columns` fills it."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from workshop_utils.figures.base import COLORS
from workshop_utils.widgets.live import LivePlot
from workshop_utils.widgets.sliders.tuner_columns import MARKS

__all__ = ["tuner_plot"]

#: Largest size of an image on the screen, px.
_SIDE, _BARS_HEIGHT = 254, 66
_FONT = "11px"
#: Room for the numbers of both axes in the first column, so that image and histogram are equally wide, px.
_LEFT = 60


def tuner_plot(dims: tuple[int, int]) -> LivePlot:
    """
    Build the plot: three images with one zoom, and below them the histograms and both values together.

    Parameters
    ----------
    dims : (int, int)
        Rows and columns of the images.

    Returns
    -------
    LivePlot
        Empty; filled with `image_changes` and `threshold_changes`.
    """
    from bokeh.layouts import gridplot
    from bokeh.models import ColumnDataSource, CustomJS, Range1d

    scale = min(_SIDE / dims[0], _SIDE / dims[1])
    height, width = (max(40, round(scale * n)) for n in dims)
    pictures = ColumnDataSource({"cn": [], "pnr": [], "product": []}, name="pictures")
    veils = ColumnDataSource({"corr": [], "pnr": [], "product": []}, name="veils")
    ranges = {
        "x_range": Range1d(-0.5, dims[1] - 0.5),
        "y_range": Range1d(dims[0] - 0.5, -0.5),
    }
    titles = {"corr": ("cn", "Correlation"), "pnr": ("pnr", "Peak-to-noise ratio"),
              "product": ("product", "Product, with seeds")}  # fmt: skip
    images, mappers = [], {}
    for name, (column, title) in titles.items():
        figure, mappers[name] = _image(name, column, title, pictures, veils, dims, (width, height), ranges)
        images.append(figure)
    _add_marks(images[2])
    _add_inspectors(images)
    bars, lines = zip(
        *(
            _bars(name, line, words, mappers[name], width)
            for name, line, words in (
                ("corr", "min_corr_line", "correlation"),
                ("pnr", "min_pnr_line", "peak-to-noise ratio"),
            )
        )
    )
    script = files("workshop_utils.widgets.sliders").joinpath("veil.js").read_text(encoding="utf-8")
    veil = CustomJS(
        args={"pictures": pictures, "veils": veils, "corr": lines[0], "pnr": lines[1]}, code=script
    )
    pictures.js_on_change("data", veil)
    for line in lines:
        line.js_on_change("location", veil)
    cloud = _cloud(bars, lines, width)
    layout = gridplot([images, [*bars, cloud]], toolbar_location="right", toolbar_options={"logo": None})
    return LivePlot(
        layout,
        3 * width + 110,
        height + _BARS_HEIGHT + 95,
        "Correlation image, peak-to-noise image and their product; pixels that don't reach the thresholds "
        "are dimmed, seeds are marked. Below, the histograms of both with the thresholds.",
    )


def _image(
    name: str,
    column: str,
    title: str,
    pictures: Any,
    veils: Any,
    dims: tuple[int, int],
    size: tuple[int, int],
    ranges: dict[str, Any],
) -> tuple[Any, Any]:
    """Make the figure of one image, and its colours."""
    from bokeh.models import BoxZoomTool, LinearColorMapper, ResetTool, WheelZoomTool
    from bokeh.plotting import figure

    plot = figure(
        frame_width=size[0], frame_height=size[1], title=title, toolbar_location=None, min_border=4,
        tools=[BoxZoomTool(match_aspect=True), WheelZoomTool(), ResetTool()],
        background_fill_color="#222222", **ranges,
    )  # fmt: skip
    _tidy(plot)
    plot.grid.visible = False
    plot.yaxis.visible = name == "corr"
    if name == "corr":
        plot.min_border_left = _LEFT
    # Grey below the marks, as in the printed figure.
    palette = _greys() if name == "product" else "Viridis256"
    mapper = LinearColorMapper(palette=palette, low=0, high=1, name=f"{name}_colors")
    place = {"x": -0.5, "y": -0.5, "dw": dims[1], "dh": dims[0]}
    picture = plot.image(image=column, source=pictures, color_mapper=mapper, **place)
    picture.name = f"{name}_picture"
    hidden = LinearColorMapper(palette=["#00000000", "#101010D8"], low=0, high=1)
    plot.image(image=name, source=veils, color_mapper=hidden, level="glyph", **place)
    return plot, mapper


def _tidy(plot: Any) -> None:
    """Set the sizes of text, and leave out what takes room."""
    plot.title.text_font_size = "13px"
    plot.axis.major_label_text_font_size = _FONT
    plot.axis.axis_label_text_font_size = _FONT
    plot.axis.axis_label_text_font_style = "normal"
    plot.axis.minor_tick_line_color = None
    plot.outline_line_color = "#999999"


def _add_marks(plot: Any) -> None:
    """Mark seeds and cells; a dark line below each bright one keeps it visible on any grey."""
    from bokeh.models import ColumnDataSource

    for name, (marker, _sign, color) in MARKS.items():
        source = ColumnDataSource({"x": [], "y": []}, name=name)
        size = {"hits": 13, "missed": 12}.get(name, 8)
        for line_color, line_width in (("#000000", 3.5), (color, 1.6)):
            plot.scatter(
                "x", "y", source=source, marker=marker, size=size, fill_color=None, line_color=line_color,
                line_width=line_width,
            )  # fmt: skip


def _add_inspectors(images: list[Any]) -> None:
    """Read the values of a pixel on any image, with a cross hair on all of them."""
    from bokeh.models import CrosshairTool, HoverTool, Span

    cross = [Span(dimension=way, line_color="#FFFFFF", line_alpha=0.6, line_dash="dotted")
             for way in ("width", "height")]  # fmt: skip
    rows = [
        ("row, column", "$y{0}, $x{0}"),
        ("cn", "@cn{0.000}"),
        ("pnr", "@pnr{0.0}"),
        ("product", "@product{0.0}"),
    ]
    for plot in images:
        picture = next(r for r in plot.renderers if r.name and r.name.endswith("_picture"))
        plot.add_tools(HoverTool(renderers=[picture], tooltips=rows), CrosshairTool(overlay=cross))


def _bars(name: str, line_name: str, words: str, mapper: Any, width: int) -> tuple[Any, Any]:
    """Make the histogram of one image in the image's colours, and the line of its threshold."""
    from bokeh.models import BoxAnnotation, ColumnDataSource, CustomJS, Range1d, Span
    from bokeh.plotting import figure

    source = ColumnDataSource({"left": [], "right": [], "middle": [], "top": []}, name=f"{name}_bars")
    plot = figure(
        frame_width=width, frame_height=_BARS_HEIGHT, tools="", toolbar_location=None, min_border=4,
        x_range=Range1d(0, 1, name=f"{name}_span"), y_range=Range1d(0, 1, name=f"{name}_counts"),
        x_axis_label=words, y_axis_label="pixels" if name == "corr" else None,
    )  # fmt: skip
    _tidy(plot)
    plot.grid.visible = False
    plot.yaxis.visible = name == "corr"
    if name == "corr":
        plot.min_border_left = _LEFT
    plot.yaxis.ticker.desired_num_ticks = 3
    plot.quad(
        left="left", right="right", bottom=0, top="top", source=source, line_color="#777777", line_width=0.5,
        fill_color={"field": "middle", "transform": mapper},
    )  # fmt: skip
    line = Span(dimension="height", location=0, line_color=COLORS["second"], line_width=2, name=line_name)
    passing = BoxAnnotation(fill_color=COLORS["accepted"], fill_alpha=0.18, line_color=None)
    line.js_on_change("location", CustomJS(args={"box": passing}, code="box.left = cb_obj.location"))
    plot.add_layout(passing)
    plot.add_layout(line)
    return plot, line


def _cloud(bars: tuple[Any, ...], lines: tuple[Any, ...], width: int) -> Any:
    """Show how many pixels have which pair of values, with both thresholds: cells are the arm to the top."""
    from bokeh.models import ColumnDataSource, LinearColorMapper, Span
    from bokeh.plotting import figure

    plot = figure(
        frame_width=width, frame_height=_BARS_HEIGHT, tools="", toolbar_location=None, min_border=4,
        x_range=bars[0].x_range, y_range=bars[1].x_range,
        x_axis_label="correlation (right) and peak-to-noise (up)",
    )  # fmt: skip
    _tidy(plot)
    plot.grid.visible = False
    plot.yaxis.visible = False
    source = ColumnDataSource({name: [] for name in ("image", "x", "y", "dw", "dh")}, name="cloud")
    greys = LinearColorMapper(palette=list(_greys())[::-1], low=0, high=1, name="cloud_colors")
    plot.image("image", x="x", y="y", dw="dw", dh="dh", source=source, color_mapper=greys)
    for line, dimension in zip(lines, ("height", "width")):
        twin = Span(dimension=dimension, location=0, line_color=COLORS["second"], line_width=2)
        line.js_link("location", twin, "location")
        plot.add_layout(twin)
    return plot


def _greys() -> tuple[str, ...]:
    """Give the greys from black to white."""
    return tuple(f"#{level:02x}{level:02x}{level:02x}" for level in range(256))
