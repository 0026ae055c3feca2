"""What the slider widgets share: counts in words, a line of code to copy, a button that writes, a status."""

from __future__ import annotations

import html
import threading
import time
from abc import ABC, abstractmethod
from typing import Any

from cnmf_engine.base.errors import InputError
from workshop_utils.figures.base import LessonFigure
from workshop_utils.widgets.players.output import headless, widget_bundle

__all__ = ["LATE", "SliderPanel", "add_class"]

#: A button in plain HTML: unlike the clipboard's newer interface, this works in frames and without https.
_COPY = (
    "<button type='button' class='cw-copy' style='font-size:12px;margin-left:8px' onclick=\""
    "const code=this.parentNode.querySelector('code');getSelection().selectAllChildren(code);"
    "this.textContent=document.execCommand('copy')?'Copied':'Press Ctrl+C'\">Copy</button>"
)


#: A front end holds back moves of a slider while the kernel is busy, and sends the last one when it is free;
#: a press of a button overtakes it. So a move that comes within this time, s, was made before the press.
LATE = 0.7

_STILL = "A picture of the panel: open the notebook to move the sliders."


class SliderPanel(ABC):
    """
    Sliders, a plot that follows them and a button that writes their values into the parameters.

    A subclass says what its values lead to (`view`), how that looks (`figure`) and which parameters they are
    (`changes`). Front ends may handle sliders in another thread than cells, so the values are read and
    changed under `lock`.

    Attributes
    ----------
    opts : CNMFParams
        Where the button writes.
    session : workshop_utils.session.Session or None
        Where the parameters are kept.
    widget : ipywidgets.Widget or None
        None when headless.
    lock : threading.RLock
        Held while the values change.
    """

    def __init__(self, opts: Any, session: Any = None) -> None:
        self.opts, self.session = opts, session
        self.widget: Any = None
        self.lock = threading.RLock()
        self._pressed = -LATE

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
        with self.lock:
            self.opts.change_params(self.changes())
            if self.session is None:
                return "Written into the parameters."
            saved = self.session.save_params(self.opts)
        return f"Written into the parameters and kept in {saved or 'the session'}."

    def build(self, name: str, controls: list[Any], plot: Any, extra: list[Any] | None = None) -> None:
        """
        Put the widget together.

        Parameters
        ----------
        name : str
            DOM class of the whole.
        controls : list of ipywidgets.Widget
            Sliders in the order of the screen, which is that of the Tab key.
        plot : ipywidgets.Widget
            Follows them.
        extra : list of ipywidgets.Widget, optional
            Beside the button that writes.
        """
        import ipywidgets as widgets

        self._count, self._code, self._status = (
            add_class(widgets.HTML(), f"cw-{part}") for part in ("count", "code", "status")
        )
        button = widgets.Button(description="Use these values", button_style="primary", icon="check")
        button.on_click(self._press)
        row = widgets.Layout(flex_flow="row wrap", align_items="center", max_width="960px")
        self.widget = add_class(
            widgets.VBox(
                [
                    widgets.HBox(controls, layout=row),
                    self._count,
                    plot,
                    self._code,
                    widgets.HBox([button, *(extra or []), self._status], layout=row),
                ],
                layout=widgets.Layout(max_width="960px"),
            ),
            name,
        )

    def show_words(self, count: str) -> None:
        """
        Show counts and the line of code.

        Parameters
        ----------
        count : str
            HTML.
        """
        self._count.value = f"<div style='line-height:1.4;font-size:13px'>{count}</div>"
        self._code.value = (
            "<div style='line-height:1.4;font-size:12px'>"
            f"<code style='user-select:all' tabindex='0'>{html.escape(self.code(), quote=False)}</code>"
            f"{_COPY}</div>"
        )

    def say(self, message: str) -> None:
        """
        Show a message in the status line; an error's own layout is kept.

        Parameters
        ----------
        message : str
            Plain text; empty clears the line.
        """
        self._status.value = (
            f"<div style='white-space:pre-wrap;line-height:1.3;font-size:12px'>{html.escape(message)}</div>"
            if message
            else ""
        )

    def _press(self, _button: Any = None) -> None:
        self._pressed = time.monotonic()
        self._write()

    def write_late(self) -> None:
        """Write again if a slider's move was overtaken by a press of the button."""
        if time.monotonic() - self._pressed < LATE:
            self._write()

    def _write(self) -> None:
        try:
            self.say(self.apply())
        except (InputError, OSError) as error:
            self.say(str(error))

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[dict, dict]:
        return widget_bundle(None if headless() else self.widget, self.figure, _STILL)


def add_class(widget: Any, name: str) -> Any:
    """
    Give a widget a DOM class.

    Parameters
    ----------
    widget : ipywidgets.DOMWidget
        The widget.
    name : str
        The class.

    Returns
    -------
    ipywidgets.DOMWidget
        The same widget.
    """
    widget.add_class(name)
    return widget
