"""
Play movies inside the notebook, without a window on a desktop.

The kernel sends small pictures to an image widget, which works in Colab, JupyterLab and the classic notebook
alike. In a headless run nobody can press play, so a strip of still frames stands in.
"""

from __future__ import annotations

from workshop_utils.players.frames import FrameSource, Limits, compose_frame, encode, movie_limits
from workshop_utils.players.output import headless, widget_bundle
from workshop_utils.players.player import MoviePlayer, play

__all__ = [
    "FrameSource",
    "Limits",
    "MoviePlayer",
    "compose_frame",
    "encode",
    "headless",
    "movie_limits",
    "play",
    "widget_bundle",
]
