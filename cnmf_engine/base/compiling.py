"""First use of compiled kernels: a folder where they are kept, and a line that says why it takes longer."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from pathlib import Path

__all__ = ["announce_compilation", "ensure_cache"]

_VARIABLE = "NUMBA_CACHE_DIR"
_PACKAGE = __name__.partition(".")[0]
_TEXT = "Compiling numerical code for this computer: once, up to 10 s. Later runs find it ready.\n"
_lock = threading.Lock()
_state = {"listening": False, "said": False}


def ensure_cache() -> None:
    """
    Make sure that compiled kernels can be kept somewhere; without a place Numba refuses to compile them.

    Numba keeps them beside the code or in the user's cache folder, unless the environment variable
    ``NUMBA_CACHE_DIR`` names another. Where none of these can be written (a system-wide installation and no
    home) the variable is set to a temporary folder. To be called before the first kernel is made.
    """
    if os.environ.get(_VARIABLE):
        return
    beside = Path(__file__).parents[1] / "stages" / "__pycache__"
    if _writable(beside) or _writable(_user_cache()):
        return
    os.environ[_VARIABLE] = str(_temporary_folder())
    if "numba" in sys.modules:
        from numba.core import config

        config.reload_config()


def _user_cache() -> Path:
    """Name the folder of a user's caches, as Numba has it."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path("~/AppData/Local").expanduser())
    if sys.platform == "darwin":
        return Path("~/Library/Caches").expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())


def _writable(folder: Path) -> bool:
    """Whether a folder can be written, or made."""
    while not os.path.lexists(folder) and folder.parent != folder:
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)


def _temporary_folder() -> Path:
    """Make a folder of this user's own, the same one every time if possible."""
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    folder = Path(tempfile.gettempdir()) / f"{_PACKAGE}-numba-{user}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        # Kernels are code: a folder that somebody else made isn't trusted.
        mine = not hasattr(os, "getuid") or folder.stat().st_uid == os.getuid()
    except OSError:
        mine = False
    return folder if mine and _writable(folder) else Path(tempfile.mkdtemp(prefix=f"{_PACKAGE}-numba-"))


def announce_compilation() -> None:
    """
    Say in one line, if a kernel of the engine has to be compiled from now on, that this takes a while.

    Nothing is said when kernels are found in the cache. The line goes to the standard error stream, once a
    process; calling this again does nothing.
    """
    with _lock:
        if _state["listening"]:
            return
        _state["listening"] = True
    from numba.core import event

    class Announcer(event.Listener):
        def on_start(self, ev: event.Event) -> None:
            _say(ev.data["dispatcher"].py_func.__module__)

        def on_end(self, ev: event.Event) -> None:
            pass

    event.register("numba:compile", Announcer())


def _say(module: str) -> None:
    """Write the line, the first time that a kernel of this package is compiled."""
    with _lock:
        if _state["said"] or module.partition(".")[0] != _PACKAGE:
            return
        _state["said"] = True
    sys.stderr.write(_TEXT)
    sys.stderr.flush()
