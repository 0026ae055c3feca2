"""What the slider widgets share: a picture that follows, a line of code to copy, and a button that writes."""

from __future__ import annotations

import html
from abc import ABC, abstractmethod
from typing import Any

from cnmf_engine.errors import InputError
from workshop_utils.players.output import headless, widget_bundle
from workshop_utils.plots.base import LessonFigure, figure_png

__all__ = ["SliderPanel"]

_SCREEN_DPI = 80


class SliderPanel(ABC):
    """
    Sliders, a figure that follows them and a button that writes their values into the parameters.

    A subclass says what its values lead to (`view`), how that looks (`figure`) and which parameters they are
    (`changes`).

    Attributes
    ----------
    opts : CNMFParams
        Where the button writes.
    session : workshop_utils.session.Session or None
        Where the parameters are kept.
    widget : ipywidgets.Widget or None
        None when headless.
    """

    def __init__(self, opts: Any, session: Any = None) -> None:
        self.opts, self.session = opts, session
        self.widget: Any = None

    @abstractmethod
    def view(self) -> Any:
        """Work out what the current values lead to."""

    @abstractmethod
    def figure(self) -> LessonFigure:
        """Draw what the current values lead to."""

    @abstractmethod
    def changes(self) -> dict[str, dict[str, Any]]:
        """Give the current values as parameters, by group."""

    def code(self) -> str:
        """
        Write the current values as a line of code.

        Returns
        -------
        str
            Does the same as the button when it is run.
        """
        return f"opts.change_params({self.changes()!r})"

    def apply(self) -> str:
        """
        Write the current values into the parameters and keep them.

        Returns
        -------
        str
            What was done.
        """
        self.opts.change_params(self.changes())
        if self.session is None:
            return "Written into the parameters."
        saved = self.session.save_params(self.opts)
        return f"Written into the parameters and kept in {saved or 'the session'}."

    def build(self, controls: list[Any], extra_buttons: list[Any] | None = None) -> None:
        """
        Put the widget together, unless nobody could use it.

        Parameters
        ----------
        controls : list of ipywidgets.Widget
            Sliders in the order of the screen.
        extra_buttons : list of ipywidgets.Widget, optional
            Buttons beside the one that writes.
        """
        import ipywidgets as widgets

        self._image = widgets.Image(format="png", layout=widgets.Layout(max_width="100%"))
        self._summary, self._code, self._status = widgets.HTML(), widgets.HTML(), widgets.HTML()
        button = widgets.Button(description="Use these values", button_style="primary", icon="check")
        button.on_click(self._press)
        self.widget = widgets.VBox(
            [
                widgets.HBox(controls, layout=widgets.Layout(flex_flow="row wrap")),
                self._summary,
                self._image,
                self._code,
                widgets.HBox([button, *(extra_buttons or [])]),
                self._status,
            ]
        )
        self.refresh()

    def refresh(self, _change: Any = None) -> None:
        """Draw anew after a slider has moved."""
        try:
            figure, words = self.figure(), self.view().summary
        except InputError as error:
            self._status.value = f"<pre>{html.escape(str(error))}</pre>"
            return
        self._image.value = figure_png(figure, _SCREEN_DPI)
        self._summary.value = f"<b>{html.escape(words)}</b>"
        self._code.value = f"<pre style='user-select:all;margin:0'>{html.escape(self.code())}</pre>"
        self._status.value = ""

    def _press(self, _button: Any = None) -> None:
        try:
            self._status.value = html.escape(self.apply())
        except InputError as error:
            self._status.value = f"<pre>{html.escape(str(error))}</pre>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[dict, dict]:
        return widget_bundle(None if headless() else self.widget, self.figure)
