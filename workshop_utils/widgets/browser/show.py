"""The browser as an object that shows itself, in a notebook's cell or in a file of its own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from cnmf_engine.base.errors import ParameterError, explain, nearest
from workshop_utils.figures.base import LessonFigure
from workshop_utils.widgets.browser.page import browser_page, page_title
from workshop_utils.widgets.browser.table import ComponentTable, component_table

__all__ = ["ComponentBrowser", "component_browser"]

_SORTS = {
    "number": "number",
    "SNR": "SNR, highest first",
    "r": "r, highest first",
    "size": "size, largest first",
    "activity": "activity, highest peak first",
}
_SHOWS = ("all", "accepted", "rejected")
_MEGABYTE = 1_000_000


def component_browser(
    estimates: Any,
    image: Any = None,
    fr: float | None = None,
    *,
    show: str = "all",
    sort_by: str = "number",
    thr: float = 0.3,
    budget_mb: float | None = 4.0,
) -> ComponentBrowser:
    """
    Browse components: outlines to click, footprint, traces, spikes and metrics of the selected one.

    Everything runs in the page, so it goes on working in a saved notebook and without a kernel. It reads the
    estimates of this engine and those of CaImAn alike.

    Parameters
    ----------
    estimates : Estimates
        With `A` and `C`, and as far as they are known `S`, `YrA`, `dims`, `SNR_comp`, `r_values`,
        `idx_components` and `idx_components_bad`.
    image : array of shape (d1, d2), optional
        Image below the outlines, such as the correlation image; default the mean footprint.
    fr : float, optional
        Frame rate, Hz; without it the time axis counts frames.
    show : {'all', 'accepted', 'rejected'}
        Components in the list at first.
    sort_by : {'number', 'SNR', 'r', 'size', 'activity'}
        Order of the list at first.
    thr : float
        Outlines at this fraction of a footprint's maximum.
    budget_mb : float or None
        Megabytes that the data may take in the notebook. Longer traces are shown there by the smallest and
        largest value of every few frames; `save` keeps every frame. None keeps all in the notebook too,
        which gets as much larger each time the browser is shown and saved.

    Returns
    -------
    ComponentBrowser
        Shows itself as the last value of a cell.

    Raises
    ------
    ParameterError
        If `show`, `sort_by`, `fr` or `budget_mb` isn't one of these, or dims aren't known.
    InputError
        If footprints, traces and image don't belong together.
    """
    _check_choice("show", show, _SHOWS)
    _check_choice("sort_by", sort_by, tuple(_SORTS))
    if budget_mb is not None and not budget_mb > 0:
        raise ParameterError(
            explain("budget_mb above 0, or None", f"budget_mb={budget_mb}", "leave it out for 4 MB")
        )
    table = component_table(estimates, image, fr, thr)
    order = _SORTS[sort_by]
    if table.n_components and order not in table.orders:
        raise ParameterError(
            explain(
                f"components with {sort_by} to sort by",
                f"sort_by={sort_by!r}, but they were not evaluated",
                "run estimates.evaluate_components first, or sort by 'number', 'size' or 'activity'",
            )
        )
    if table.n_components and show != "all" and not table.status.any():
        raise ParameterError(
            explain(
                f"evaluated components for show={show!r}",
                "idx_components is None",
                "run estimates.evaluate_components first, or leave out show",
            )
        )
    return ComponentBrowser(table, show, order, budget_mb)


def _check_choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    """Refuse a word that isn't one of the choices, and guess which one was meant."""
    if value not in choices:
        guess = nearest(str(value), choices) or choices[0]
        raise ParameterError(
            explain(f"{name} as one of {', '.join(choices)}", f"{name}={value!r}", f"write {name}={guess!r}")
        )


class ComponentBrowser:
    """
    A component browser; make one with `component_browser`.

    Attributes
    ----------
    table : ComponentTable
        What it shows, a copy of what the estimates held when it was made.
    """

    def __init__(self, table: ComponentTable, show: str, order: str, budget_mb: float | None) -> None:
        self.table = table
        self._show, self._order, self._budget_mb = show, order, budget_mb

    def __repr__(self) -> str:
        return f"ComponentBrowser({page_title(self.table)})"

    def layout(self) -> Any:
        """
        Lay out the page as it is shown in a notebook.

        Returns
        -------
        bokeh.models.LayoutDOM
            A new one with each call, with data within `budget_mb`.
        """
        return self._layout(self._budget_mb)

    def _layout(self, budget_mb: float | None) -> Any:
        budget = None if budget_mb is None else budget_mb * _MEGABYTE
        return browser_page(self.table, self._show, self._order, budget)

    def save(
        self, path: str | os.PathLike, resources: str = "inline", budget_mb: float | None = None
    ) -> Path:
        """
        Write the browser as an HTML page that works by itself.

        Parameters
        ----------
        path : path-like
            The file to write; '.html' is added where there is no ending.
        resources : {'inline', 'cdn'}
            Where the page takes BokehJS from: itself, or the internet, which makes it 2 MB smaller.
        budget_mb : float, optional
            Megabytes that the data may take; default every frame and every pixel.

        Returns
        -------
        pathlib.Path
            The file.
        """
        from bokeh.embed import file_html
        from bokeh.resources import Resources

        from workshop_utils.files import write_text

        _check_choice("resources", resources, ("inline", "cdn"))
        path = Path(path)
        if not path.suffix:
            path = path.with_suffix(".html")
        page = file_html(self._layout(budget_mb), Resources(mode=resources), title=page_title(self.table))
        return write_text(path, page)

    def still(self) -> LessonFigure:
        """
        Draw what stands for the browser where nobody can use one.

        Returns
        -------
        LessonFigure
            Outlines on the image, and the traces of some components.
        """
        from workshop_utils.widgets.browser.still import still_figure

        return still_figure(self.table)

    def _ipython_display_(self) -> None:
        from workshop_utils.widgets.players.output import headless, saved_page

        if headless() and not saved_page():
            from IPython.display import display

            display(self.still())
            return
        from cnmf_engine.view.showing import show_or_return

        show_or_return(self.layout(), f"Component browser of {page_title(self.table)}.", self.still)
