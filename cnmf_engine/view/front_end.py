"""Where output goes: to a notebook's cell, to a run that nobody watches, or nowhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["follow", "headless", "in_notebook", "is_interactive", "saved_page", "unattended"]


# What the program around the engine decides, asked each time something is shown.
_wishes: dict[str, Callable[[], bool | None]] = {}


def follow(*, headless: Callable[[], bool | None], saved_page: Callable[[], bool | None]) -> None:
    """Let the program around the engine decide; where it answers None, what can be seen here does."""
    _wishes.update(headless=headless, saved_page=saved_page)


def in_notebook() -> bool:
    """Say whether output goes to a notebook's cell (a Jupyter kernel is running)."""
    return _kernel() is not None


def unattended() -> bool:
    """
    Say whether the running cell belongs to a run that nobody sits in front of.

    Front ends in which somebody could answer `input()` say so in each request to run a cell. What runs whole
    notebooks (nbclient and with it nbconvert, papermill and nbval) says that nobody can.

    Returns
    -------
    bool
        False also where there is no kernel, and for kernels that don't tell.
    """
    content = _request().get("content")
    return isinstance(content, Mapping) and content.get("allow_stdin") is False


def headless() -> bool:
    """
    Say whether nobody can press a button.

    Returns
    -------
    bool
        What the program around the engine says (`follow`); else True if no Jupyter kernel runs this process,
        or if the running cell is part of an unattended run.
    """
    wish = _wishes["headless"]() if _wishes else None
    return (not in_notebook() or unattended()) if wish is None else wish


def saved_page() -> bool:
    """
    Say whether the executed notebook will be read as a page, with scripts but without a kernel.

    What a viewer leaves in a headless run then includes what works there: the viewer itself if it needs no
    kernel, a short video in a player's place. A notebook's file gets larger by it, so it isn't the default.

    Returns
    -------
    bool
        What the program around the engine says (`follow`), else False.
    """
    return bool(_wishes and _wishes["saved_page"]())


def is_interactive(fig: Any) -> bool:
    """Say whether a slider in this figure can be moved: in a window, or in a cell tied to the kernel."""
    if getattr(fig.canvas, "required_interactive_framework", None) is not None:
        return True
    home = type(fig.canvas).__module__
    return any(name in home for name in ("nbagg", "ipympl", "webagg"))


def _kernel() -> Any:
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None)


def _request() -> Mapping[str, Any]:
    """Give the message that the kernel is answering; nothing if the kernel has no way to tell."""
    get_parent = getattr(_kernel(), "get_parent", None)
    if get_parent is None:
        return {}
    try:
        parent = get_parent("shell")
    except TypeError:  # kernels outside ipykernel may have channels under another name, or none
        return {}
    return parent if isinstance(parent, Mapping) else {}
