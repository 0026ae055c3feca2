"""Where output goes: to a notebook's cell, to a run that nobody watches, or nowhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

__all__ = ["headless", "in_notebook", "is_interactive", "saved_page", "unattended"]


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
        False also where there is no kernel, and for kernels that don't tell. Where one tells wrongly,
        the environment variable ``WORKSHOP_HEADLESS=0`` decides.
    """
    content = _request().get("content")
    return isinstance(content, Mapping) and content.get("allow_stdin") is False


def headless() -> bool:
    """
    Say whether nobody can press a button.

    Returns
    -------
    bool
        True if the environment variable ``WORKSHOP_HEADLESS`` is set to something else than 0, if no Jupyter
        kernel runs this process, or if the running cell is part of an unattended run.
    """
    wish = os.environ.get("WORKSHOP_HEADLESS", "").strip().lower()
    if wish:
        return wish not in {"0", "false", "no"}
    return not in_notebook() or unattended()


def saved_page() -> bool:
    """
    Say whether the executed notebook will be read as a page, with scripts but without a kernel.

    What a viewer leaves in a headless run then includes what works there: the viewer itself if it needs no
    kernel, a short video in a player's place. A notebook's file gets larger by it, so it isn't the default.

    Returns
    -------
    bool
        True if the environment variable ``WORKSHOP_SAVED_PAGE`` is set to something else than 0.
    """
    return os.environ.get("WORKSHOP_SAVED_PAGE", "").strip().lower() not in {"", "0", "false", "no"}


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
