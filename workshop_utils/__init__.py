"""What the lessons need around the engine: movies, sessions, figures, sliders, reports, a command."""

from __future__ import annotations

import importlib
from functools import partial
from typing import Any

from cnmf_engine.view import front_end
from workshop_utils.places import wish

__all__ = ["__version__"]

__version__ = "0.1.0"

front_end.follow(headless=partial(wish, "WORKSHOP_HEADLESS"), saved_page=partial(wish, "WORKSHOP_SAVED_PAGE"))

# Modules under the names by which lessons handed out earlier import them.
_EARLIER = {
    "browser": "widgets.browser",
    "bundle": "classroom.bundle",
    "challenge": "exercises.challenge",
    "data": "movies.data",
    "doctor": "classroom.doctor",
    "export": "session.export",
    "players": "widgets.players",
    "plots": "figures",
    "recording": "measures",
    "report": "session.report",
    "runner": "session.runner",
    "scoring": "measures.scoring",
    "sliders": "widgets.sliders",
}


def __getattr__(name: str) -> Any:
    if name in _EARLIER:
        return importlib.import_module(f"{__name__}.{_EARLIER[name]}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
