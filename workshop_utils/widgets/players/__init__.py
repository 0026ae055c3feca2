"""
Play movies inside the notebook, without a window on a desktop, and save them as videos.

The page asks the kernel for small pictures, one at a time, which works in Colab, JupyterLab and the classic
notebook alike. In a headless run nobody can press play, so a strip of still frames stands in.
"""

from __future__ import annotations

from workshop_utils.measures.pieces import FrameSource, fit_pieces
from workshop_utils.widgets.players.frames import Limits, compose_frame, encode, movie_limits
from workshop_utils.widgets.players.output import headless, saved_page, widget_bundle
from workshop_utils.widgets.players.player import MoviePlayer, play
from workshop_utils.widgets.players.video import write_video

__all__ = [
    "FrameSource",
    "Limits",
    "MoviePlayer",
    "compose_frame",
    "encode",
    "fit_pieces",
    "headless",
    "movie_limits",
    "play",
    "saved_page",
    "widget_bundle",
    "write_video",
]
