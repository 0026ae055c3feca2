"""How a viewer reaches the page: an interactive plot, and in a run that nobody watches a picture as well."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from cnmf_engine.view.front_end import headless, in_notebook

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["describe", "show_or_return"]

_DPI, _SCREEN_DPI = 110, 80


def show_or_return(layout: Any, alt: str = "", still: Callable[[], Figure] | None = None) -> Any:
    """
    Show a bokeh layout below the running cell; without a notebook hand it back.

    A run that nobody watches leaves a picture first. It is an output of its own: GitHub, a PDF and a notebook
    that isn't trusted show the picture and nothing of the page, and of two forms of one output they would
    choose the page.

    Parameters
    ----------
    layout : bokeh.models.LayoutDOM
        What to show.
    alt : str
        What it shows, in words.
    still : callable, optional
        Draws the picture, a matplotlib figure that pyplot doesn't know; without it there is none.

    Returns
    -------
    bokeh.models.LayoutDOM or None
        None if it was shown.
    """
    if not in_notebook():
        return layout
    from IPython.display import publish_display_data

    from cnmf_engine.view.resources import page_html

    page = {"text/html": page_html(layout, alt), "text/plain": alt}
    if headless() and still is not None:
        publish_display_data(*_picture(still(), alt))
    publish_display_data(page)
    return None


def describe(figure: Figure, alt: str) -> None:
    """
    Give a matplotlib figure words that take its place for those who can't see it.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Jupyter writes the words into the output's metadata, where nbconvert and front ends look for `alt`.
        A figure that already says what it shows keeps its words.
    alt : str
        What it shows.
    """
    if not hasattr(figure, "_repr_mimebundle_"):
        figure._repr_mimebundle_ = partial(_only_words, alt)


def _only_words(alt: str, include: Any = None, exclude: Any = None) -> tuple[dict, dict]:
    """Leave the picture itself to the notebook's own settings for figures."""
    return {"text/plain": alt}, {"image/png": {"alt": alt}}


def _picture(figure: Figure, alt: str) -> tuple[dict, dict]:
    """Write a figure as an output of the notebook: data and metadata."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI)
    width, height = (int(inches * _SCREEN_DPI) for inches in figure.get_size_inches())
    data = {"image/png": base64.b64encode(buffer.getvalue()).decode("ascii"), "text/plain": alt}
    return data, {"image/png": {"alt": alt, "width": width, "height": height}}
