"""What a widget leaves in a notebook: itself where it can be used, else a figure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnmf_engine.view import front_end

__all__ = ["headless", "saved_page", "widget_bundle"]


def headless() -> bool:
    """
    Say whether nobody can press a button: a run without a front end.

    Returns
    -------
    bool
        True if the environment variable ``WORKSHOP_HEADLESS`` is set to something else than 0, if no Jupyter
        kernel runs this process, or if the request to run the cell says that nobody can answer questions
        (nbclient, nbconvert, papermill and nbval say so). ``WORKSHOP_HEADLESS=0`` always keeps the widgets.
    """
    return front_end.headless()


def saved_page() -> bool:
    """
    Say whether a headless run shall leave, beside figures, what works in a saved page without a kernel.

    Returns
    -------
    bool
        True if the environment variable ``WORKSHOP_SAVED_PAGE`` is set to something else than 0.
    """
    return front_end.saved_page()


def widget_bundle(widget: Any, still: Callable[[], Any], caption: str = "") -> tuple[dict, dict]:
    """
    Describe a widget to the notebook; without one, the figure that stands in for it.

    Only one of them is sent: of two, some front ends would pick the figure.

    Parameters
    ----------
    widget : ipywidgets.Widget or None
        None in a headless run.
    still : callable
        Draws the figure, a `workshop_utils.figures.LessonFigure`.
    caption : str
        What the figure can't do and the widget can; goes into the metadata of the output's ``image/png``.

    Returns
    -------
    (dict, dict)
        Data and metadata by MIME type.
    """
    if widget is None:
        data, metadata = still()._repr_mimebundle_()
        if caption:
            metadata["image/png"]["caption"] = caption
        return data, metadata
    view = {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}
    return {"application/vnd.jupyter.widget-view+json": view, "text/plain": type(widget).__name__}, {}
