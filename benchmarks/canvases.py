"""What the plots in a page show, to the pixel: bokeh draws on canvases, in which nothing can be read."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

__all__ = ["pixels", "point", "wait_until_drawn", "wait_until_redrawn"]

_COLOURS = 12  # an empty plot has the colours of its frame and of smoothed text
_PATIENCE = 30_000  # ms


def wait_until_drawn(element: Any, colours: int = _COLOURS) -> None:
    """
    Wait until a plot shows more than an empty frame.

    Parameters
    ----------
    element : playwright.sync_api.Locator
        What the plot is in.
    colours : int
        How many a canvas in it must have.
    """
    _wait(element, "([element, most]) => workshopCanvases.colours(element) >= most", colours)


def pixels(element: Any) -> str:
    """
    Describe what plots show.

    Parameters
    ----------
    element : playwright.sync_api.Locator
        What they are in.

    Returns
    -------
    str
        Text that differs when one pixel does.
    """
    _bring_script(element.page)
    return element.evaluate("element => workshopCanvases.pixels(element)")


def wait_until_redrawn(element: Any, before: str) -> None:
    """
    Wait until plots show something else.

    Parameters
    ----------
    element : playwright.sync_api.Locator
        What they are in.
    before : str
        What they have shown, from `pixels`.
    """
    _wait(element, "([element, before]) => workshopCanvases.pixels(element) !== before", before)


def point(element: Any, plot: str, x: float, y: float) -> tuple[float, float]:
    """
    Find where a plot draws a point.

    Parameters
    ----------
    element : playwright.sync_api.Locator
        What the plot is in.
    plot : str
        Name of its bokeh model.
    x, y : float
        The point on the plot's axes.

    Returns
    -------
    (float, float)
        From the left and from the top of the window, px.
    """
    _bring_script(element.page)
    script = "(element, [plot, x, y]) => workshopCanvases.place(element, plot, x, y)"
    left, top = element.evaluate(script, [plot, x, y])
    return left, top


def _bring_script(page: Any) -> None:
    page.evaluate(files("benchmarks").joinpath("canvases.js").read_text(encoding="utf-8"))


def _wait(element: Any, script: str, argument: Any) -> None:
    element.wait_for()
    _bring_script(element.page)
    argument = [element.element_handle(), argument]
    element.page.wait_for_function(script, arg=argument, timeout=_PATIENCE)
