"""The widgets of a player: the screen, the contrast and the saving of a video."""

from __future__ import annotations

import html
import threading
import time
from collections.abc import Iterator
from typing import Any

import ipywidgets as widgets

from cnmf_engine.base.errors import InputError
from workshop_utils.widgets.players.film import Film
from workshop_utils.widgets.players.screen import Screen

__all__ = ["PlayerBox"]

_ALL = -1
_ROW = {"flex_flow": "row wrap", "align_items": "center", "max_width": "960px"}


class _Stopped(Exception):
    """The button was pressed again while a video was being written."""


class PlayerBox(widgets.VBox):
    """
    Screen, contrast and saving of a player.

    Parameters
    ----------
    player : Film
        What is shown.

    Attributes
    ----------
    screen : Screen
        Picture and transport.
    which, contrast, reset : ipywidgets.Widget
        Whose contrast; black and white in percent of the range found in the data; back to that range.
    path, part, button, status : ipywidgets.Widget
        File of the video, its first and last frame, the button that writes it, and what came of it. A movie
        of one frame has no `part`.
    """

    def __init__(self, player: Film) -> None:
        self._player = player
        self._stop = threading.Event()
        self._saving: threading.Thread | None = None
        self.screen = Screen(player)
        self.status = widgets.HTML()
        self.status.add_class("cw-status")
        rows = [self.screen, self._contrast_row(), self._saving_row(), self.status]
        super().__init__(rows, layout=widgets.Layout(max_width="960px", overflow="hidden"))
        self.add_class("cw-player")

    def _contrast_row(self) -> widgets.HBox:
        names = self._player.titles
        everyone = [("all movies", _ALL)] if len(names) > 1 else []
        self.which = widgets.Dropdown(
            options=everyone + list(zip(names, range(len(names)))), description="contrast of",
            layout=widgets.Layout(width="240px"),
        )  # fmt: skip
        self.contrast = widgets.IntRangeSlider(
            value=(0, 100), min=-50, max=200, readout_format="d", description="range (%)",
            layout=widgets.Layout(width="440px"),
        )  # fmt: skip
        self.reset = widgets.Button(
            description="Reset contrast", layout=widgets.Layout(width="130px"),
            tooltip="Back to the contrast that was chosen from the movies",
        )  # fmt: skip
        self.which.observe(self._choose, "value")
        self.contrast.observe(self._change, "value")
        self.reset.on_click(self._reset)
        # What was set, so that choosing another movie shows its own.
        self._set = {k: (0, 100) for k in (_ALL, *range(len(names)))}
        return widgets.HBox([self.which, self.contrast, self.reset], layout=widgets.Layout(**_ROW))

    def _saving_row(self) -> widgets.HBox:
        n = self._player.n_frames
        self.path = widgets.Text(
            value="movie.mp4", description="video file", continuous_update=False,
            placeholder="name.mp4 or name.webm", layout=widgets.Layout(width="340px"),
        )  # fmt: skip
        self.button = widgets.Button(
            description="Save video", icon="download", layout=widgets.Layout(width="130px"),
            tooltip="Write what is shown, with titles and time, to this file",
        )  # fmt: skip
        self.button.on_click(self._press)
        row = [self.path, self.button]
        self.part = None
        if n > 1:
            self.part = widgets.IntRangeSlider(
                value=(1, n), min=1, max=n, description="frames", readout_format="d",
                layout=widgets.Layout(width="440px"),
            )  # fmt: skip
            row.insert(1, self.part)
        return widgets.HBox(row, layout=widgets.Layout(**_ROW))

    def _choose(self, _change: Any) -> None:
        with self.contrast.hold_trait_notifications():
            self.contrast.value = self._set[self.which.value]

    def _change(self, _change: Any) -> None:
        which, (low, high) = self.which.value, self.contrast.value
        if self._set[which] == (low, high):
            return
        for k in self._set if which == _ALL else [which]:
            self._set[k] = (low, high)
        self._player.set_contrast(low, high, None if which == _ALL else which)

    def _reset(self, _button: Any) -> None:
        self._set = dict.fromkeys(self._set, (0, 100))
        self.contrast.value = (0, 100)
        self._player.set_contrast()

    def _press(self, _button: Any) -> None:
        """Start to write; while it writes, stop."""
        if self._saving is not None and self._saving.is_alive():
            self._stop.set()
            return
        self._stop.clear()
        self.button.description = "Stop"
        # In a thread, so that the kernel can go on showing frames and running cells.
        self._saving = threading.Thread(target=self._save, daemon=True)
        self._saving.start()

    def _save(self) -> None:
        from workshop_utils.widgets.players.video import write_video

        player, path = self._player, self.path.value.strip() or "movie.mp4"
        first, last = self.part.value if self.part else (1, 1)
        frames = range(first - 1, last)
        try:
            pictures = self._watched(player.video_pictures(frames), len(frames))
            saved = write_video(pictures, path, player.fr).resolve()
            size = saved.stat().st_size / 1e6
            self._say(f"Saved {len(frames)} frames, {len(frames) / player.fr:.1f} s, {size:.1f} MB: {saved}")
        except _Stopped:
            self._say("Stopped; no file was written.")
        # In a thread nobody else would tell the user, whatever a reader of frames raises.
        except Exception as error:
            self._say(str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}")
        finally:
            self.button.description = "Save video"

    def _watched(self, pictures: Iterator[Any], total: int) -> Iterator[Any]:
        """Tell now and then how far it is, and end when the button is pressed again."""
        told = time.monotonic()
        for done, picture in enumerate(pictures, start=1):
            if self._stop.is_set():
                raise _Stopped
            yield picture
            if time.monotonic() - told > 0.5:
                told = time.monotonic()
                self._say(f"Writing frame {done} of {total}")

    def _say(self, message: str) -> None:
        style = "white-space:pre-wrap;line-height:1.3;font-size:12px"
        self.status.value = f"<div style='{style}' role='status'>{html.escape(message)}</div>"
