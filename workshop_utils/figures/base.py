"""The look of the lessons' figures, and the figure that knows how to describe itself."""

from __future__ import annotations

import base64
import functools
import io
from collections.abc import Callable
from typing import Any, TypeVar

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cnmf_engine.base.errors import InputError, explain

__all__ = ["COLORS", "LessonFigure", "as_image", "figure_png", "limits", "new_figure", "show_image", "styled"]

#: Colours that people who are colour-blind can tell apart (Okabe and Ito's set), by what they stand for.
COLORS = {
    "accepted": "#56B4E9",
    "rejected": "#E69F00",
    "line": "#0072B2",
    "second": "#D55E00",
    "truth": "#009E73",
    "mark": "#CC79A7",
    "raw": "0.65",
}

_STYLE = {
    "font.size": 10,
    "axes.titlesize": 10.5,
    "axes.labelsize": 10,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.linewidth": 1.2,
    "legend.frameon": False,
    "image.interpolation": "nearest",
}
_DPI, _SCREEN_DPI = 130, 88

_Draw = TypeVar("_Draw", bound=Callable[..., Any])


class LessonFigure(Figure):
    """
    A matplotlib figure that shows itself in a notebook, with a description for those who can't see it.

    It is not registered with pyplot, so a cell shows it once, and it is freed with its last reference.

    Attributes
    ----------
    alt : str
        What the figure shows, in words. It becomes `alt` in the metadata of the output's `image/png`, where
        notebook front ends, nbconvert and the report find it.
    """

    alt: str = ""

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[dict, dict]:
        width, height = self.get_size_inches() * _SCREEN_DPI
        data = {"image/png": base64.b64encode(figure_png(self)).decode("ascii"), "text/plain": self.alt}
        return data, {"image/png": {"alt": self.alt, "width": int(width), "height": int(height)}}


def figure_png(figure: Figure, dpi: float = _DPI) -> bytes:
    """
    Render a figure.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        The figure.
    dpi : float
        Dots an inch.

    Returns
    -------
    bytes
        A PNG file.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def styled(draw: _Draw) -> _Draw:
    """Give a drawing function the lessons' style without touching the user's matplotlib settings."""

    @functools.wraps(draw)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        with mpl.rc_context(_STYLE):
            return draw(*args, **kwargs)

    return wrapper  # type: ignore[return-value]


def new_figure(
    n_rows: int = 1, n_cols: int = 1, size: tuple[float, float] = (9.0, 4.0), **subplots: Any
) -> tuple[LessonFigure, np.ndarray]:
    """
    Make a figure with a grid of axes.

    Parameters
    ----------
    n_rows, n_cols : int
        Grid.
    size : tuple of float
        Width and height in inches.
    **subplots
        Passed to `Figure.subplots`.

    Returns
    -------
    LessonFigure, ndarray of shape (n_rows, n_cols)
        The figure and its axes.
    """
    figure = LessonFigure(figsize=size, layout="constrained", facecolor="white")
    return figure, figure.subplots(n_rows, n_cols, squeeze=False, **subplots)


def as_image(image: Any, name: str = "image") -> np.ndarray:
    """Check that something is an image (rows, columns) and give it as float32, 0 where it isn't finite."""
    array = np.asarray(image)
    if array.ndim != 2 or array.size == 0:
        raise InputError(
            explain(f"{name} as an array (rows, columns)", f"shape {array.shape}", "pass one frame or image")
        )
    return np.nan_to_num(array.astype(np.float32), posinf=0.0, neginf=0.0)


def limits(image: np.ndarray, low: float = 1.0, high: float = 99.5) -> tuple[float, float]:
    """Percentiles of the finite values as colour limits, the upper one always larger than the lower."""
    values = np.asarray(image)[np.isfinite(image)]
    if values.size == 0:
        return 0.0, 1.0
    lower, upper = (float(v) for v in np.percentile(values, (low, high)))
    if upper <= lower:
        lower, upper = float(values.min()), float(values.max())
    return (lower, upper) if upper > lower else (lower - 0.5, lower + 0.5)


def image_height(shape: tuple[int, int], width: float, extra: float = 0.5, most: float = 6.0) -> float:
    """Choose the height in inches of axes that show an image at a width, with room for a title."""
    return float(np.clip(width * shape[0] / shape[1], 0.8, most)) + extra


def show_image(
    ax: Axes,
    image: np.ndarray,
    title: str = "",
    clim: tuple[float, float] | None = None,
    cmap: str = "viridis",
    bar: str | None = None,
) -> Any:
    """
    Draw an image without axes, rows downwards.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where.
    image : ndarray of shape (d1, d2)
        What.
    title : str
        Title.
    clim : tuple of float, optional
        Colour limits; default `limits(image)`.
    cmap : str
        Colour map.
    bar : str, optional
        Label of a colour bar; none without it.

    Returns
    -------
    matplotlib.image.AxesImage
        The drawn image.
    """
    drawn = ax.imshow(image, cmap=cmap, clim=clim or limits(image))
    ax.set(title=title, xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    if bar is not None:
        ax.figure.colorbar(drawn, ax=ax, label=bar, shrink=0.85, pad=0.02)
    return drawn


def message_figure(message: str, width: float = 8.0) -> LessonFigure:
    """Say in a figure why there is nothing to draw."""
    figure, axes = new_figure(1, 1, (width, 1.0))
    axes[0, 0].set_axis_off()
    axes[0, 0].text(0.5, 0.5, message, ha="center", va="center", wrap=True)
    figure.alt = message
    return figure


def seconds(n_frames: int, fr: float) -> np.ndarray:
    """Give the times of frames in seconds."""
    return np.arange(n_frames) / float(fr)


def clear_spines(ax: Axes, **labels: Any) -> None:
    """Leave only what a trace needs of the axes' frame, and set labels."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.set(**labels)
    ax.margins(x=0.01)
