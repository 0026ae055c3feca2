"""The part of a player that lives in the page: picture and transport."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import anywidget
import traitlets

from workshop_utils.widgets.players.film import Film
from workshop_utils.widgets.players.frames import GAP, encode, frame_label, limits_label, resized

__all__ = ["Screen"]

#: Pictures a second at most. The eye sees movement from about 12 on, and a room of people shares the
#: network; faster movies leave frames out.
_MOST = 15.0


class Screen(anywidget.AnyWidget):
    """
    Picture, play, step, time, speed and loop of a player.

    The page asks for a frame (a custom message ``{"kind": "frame", "frame": 12, "view": ...}``) and gets it
    as JPEG with its label. It asks for the next when it has got the last: nothing queues up.

    Parameters
    ----------
    player : Film
        Draws the frames.
    """

    _esm = files("workshop_utils.widgets.players").joinpath("screen.js").read_text(encoding="utf-8")
    _css = files("workshop_utils.widgets.players").joinpath("screen.css").read_text(encoding="utf-8")

    last = traitlets.Int().tag(sync=True)
    rate = traitlets.Float().tag(sync=True)
    most = traitlets.Float(_MOST).tag(sync=True)
    width = traitlets.Int().tag(sync=True)
    height = traitlets.Int().tag(sync=True)
    sharp = traitlets.Bool().tag(sync=True)
    gap = traitlets.Float().tag(sync=True)
    heads = traitlets.List(traitlets.Dict()).tag(sync=True)

    def __init__(self, player: Film) -> None:
        width, height = player.size
        super().__init__(
            last=player.n_frames - 1,
            rate=player.fr,
            width=width,
            height=height,
            sharp=player.magnification >= 2,
            gap=GAP * player.magnification,
        )
        self._player = player
        self.dress()
        self.on_msg(self._answer)

    def dress(self) -> None:
        """Send titles with the present contrast; the page then asks for its frame again."""
        self.heads = [
            {"title": title, "range": limits_label(contrast), "share": shape[2]}
            for title, contrast, shape in zip(self._player.titles, self._player.contrast, self._player.shapes)
        ]

    def _answer(self, _widget: Any, content: Any, _buffers: Any) -> None:
        if not isinstance(content, Mapping) or content.get("kind") != "frame":
            return
        player = self._player
        frame = min(max(int(content.get("frame", 0)), 0), player.n_frames - 1)
        about = {"kind": "frame", "view": content.get("view"), "frame": frame}
        # Whatever a reader of frames raises, the page must hear of it: it waits for an answer.
        try:
            picture = resized(player.picture(frame), min(player.magnification, 1))
        except Exception as error:
            self.send({**about, "error": f"Frame {frame + 1} can't be shown: {error}"})
            return
        self.send({**about, "label": frame_label(frame, player.n_frames, player.fr)}, [encode(picture)])
