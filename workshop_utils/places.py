"""Where a lesson runs: Colab, Kaggle, Binder, an editor or a browser on one's own machine, or a terminal."""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["Place", "in_colab", "in_kernel", "mount_point", "mounted", "where", "wish"]

_GONE = {
    "Colab": (
        "its disk is gone when it is closed. Results stay if they go to Drive: the first cells of a lesson "
        "see to that once access is allowed"
    ),
    "Kaggle": (
        "its disk is gone when the session ends. Results stay if they are written below /kaggle/working and "
        "a version of the notebook is saved with its output"
    ),
    "Binder": (
        "its disk is gone when it is closed, or left alone for some minutes. Download what is to stay (in "
        "the list of files: right click, Download)"
    ),
}
_STAYS = "what is written stays where it is"
_BINDER = ("BINDER_LAUNCH_HOST", "BINDER_REPO_URL", "BINDER_REQUEST", "BINDER_SERVICE_HOST")


class Place(NamedTuple):
    """
    Where this runs.

    Attributes
    ----------
    name : str
        ``'Colab'``, ``'Kaggle'``, ``'Binder'``, ``'VS Code'``, ``'JupyterLab'``, ``'Jupyter'`` (the classic
        notebook, or a front end that can't be told) or ``'terminal'``.
    temporary : bool
        Whether its disk is gone when it is closed.
    advice : str
        What becomes of results there, and what to do so that they stay.
    """

    name: str
    temporary: bool
    advice: str

    def __str__(self) -> str:
        return f"{self.name}: {self.advice}"


def where() -> Place:
    """
    Say where this runs, by what the place itself tells. A machine that tells nothing is the user's own.

    Returns
    -------
    Place
        Its name, whether its disk is gone afterwards, and what to do so that results stay.
    """
    name = _name()
    return Place(name, name in _GONE, _GONE.get(name, _STAYS))


def in_kernel() -> bool:
    """
    Say whether this is a notebook's process.

    Returns
    -------
    bool
        True if a Jupyter kernel runs it.
    """
    return _kernel() is not None


def _name() -> str:
    # Kaggle first: its machines are made from Colab's image, with that one's package and variables
    # (Kaggle/kagglehub, pull request 230). KAGGLE_USERNAME and KAGGLE_KEY say nothing: people set these
    # anywhere, to download data.
    if os.environ.get("KAGGLE_KERNEL_RUN_TYPE"):
        return "Kaggle"
    if in_colab():
        return "Colab"
    if any(os.environ.get(name) for name in _BINDER):
        return "Binder"
    kernel = _kernel()
    return "terminal" if kernel is None else _front_end(kernel)


def _front_end(kernel: Any) -> str:
    """
    Tell who has started the kernel.

    A kernel isn't told which page shows its output, and several may: all that can be known is the program
    that started it.
    """
    # VS Code's Jupyter extension gives the notebook's path to the kernel in this name.
    if "__vsc_ipynb_file__" in (getattr(kernel.shell, "user_ns", None) or {}):
        return "VS Code"
    starter = _starter()
    if _is_lab(starter):
        return "JupyterLab"
    # A server started in VS Code's terminal has inherited these, so they count only where there is none.
    if not _is_server(starter) and any(os.environ.get(name) for name in ("VSCODE_PID", "VSCODE_CWD")):
        return "VS Code"
    return "Jupyter"


def _kernel() -> Any:
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None)


def _starter() -> list[str]:
    """Give the command line of the process that started this one; nothing where it can't be seen."""
    try:
        import psutil
    except ImportError:
        return []
    try:
        me = psutil.Process()
        mine = me.cmdline()[1:]
        # On Windows a virtual environment's python.exe starts the real one with the same arguments.
        lines = (process.cmdline() for process in me.parents())
        return next((line for line in lines if line[1:] != mine), [])
    except (psutil.Error, OSError):
        return []


def _programs(line: list[str]) -> list[str]:
    """Take the first words of a command line without folders, and without what Windows appends."""
    names = [re.split(r"[\\/]", word)[-1].lower() for word in line[:4]]
    return [re.sub(r"(-script)?\.(exe|pyw?)$", "", name) for name in names]


def _is_lab(line: list[str]) -> bool:
    names = _programs(line)
    return bool({"jupyter-lab", "jupyterlab"} & set(names)) or {"jupyter", "lab"} <= set(names)


def _is_server(line: list[str]) -> bool:
    return any(name.startswith("jupyter") for name in _programs(line))


def in_colab() -> bool:
    """
    Say whether this runs in Colab.

    Returns
    -------
    bool
        True on a Colab machine. Kaggle's machines are built on Colab's and have its package too; they say
        who they are.
    """
    if "KAGGLE_KERNEL_RUN_TYPE" in os.environ:
        return False
    try:
        return importlib.util.find_spec("google.colab") is not None
    except (ModuleNotFoundError, ValueError):  # no package `google`, or a module without a spec
        return False


def mount_point() -> Path:
    """
    Say where Drive appears.

    Returns
    -------
    pathlib.Path
        ``/content/drive``, unless the environment variable ``WORKSHOP_DRIVE`` names another place.
    """
    return Path(os.environ.get("WORKSHOP_DRIVE") or "/content/drive")


def mounted() -> bool:
    """
    Say whether Drive is mounted.

    Returns
    -------
    bool
        True if ``MyDrive`` is at the mount point.
    """
    return (mount_point() / "MyDrive").is_dir()


def wish(variable: str) -> bool | None:
    """Read a switch of the environment, such as ``WORKSHOP_HEADLESS``: None where it isn't set."""
    value = os.environ.get(variable, "").strip().lower()
    return value not in {"0", "false", "no"} if value else None
