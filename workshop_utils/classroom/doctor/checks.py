"""One line of an examination: what was looked at, whether it is well, and what to do if it isn't."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable
from typing import NamedTuple

__all__ = ["Check", "Fault", "parts_of", "pip_command", "pip_install", "looked"]

_PARTS = re.compile(
    r"Expected (?P<expected>.*?)\.\nFound (?P<found>.*)\.\nTo go on: (?P<fix>.*)\.", re.DOTALL
)
#: Modules whose package on PyPI has another name.
_PACKAGES = {"cv2": "opencv-python-headless", "PIL": "pillow", "imageio_ffmpeg": "imageio-ffmpeg"}


class Check(NamedTuple):
    """
    What one look has shown.

    Attributes
    ----------
    name : str
        What was looked at.
    ok : bool
        Whether the lessons can go on with it.
    found : str
        What is there.
    fix : str
        The command or the step that mends it; empty if it is well.
    """

    name: str
    ok: bool
    found: str
    fix: str = ""

    def __str__(self) -> str:
        line = f"{'OK  ' if self.ok else 'FAIL'}  {self.name}: {self.found}"
        return line if self.ok or not self.fix else f"{line}\n      -> {self.fix}"


class Fault(Exception):
    """Something that has to be mended: what was found, and what mends it."""

    def __init__(self, found: str, fix: str) -> None:
        super().__init__(found)
        self.found, self.fix = found, fix


def looked(name: str, look: Callable[[], str]) -> Check:
    """
    Look at one thing, whatever happens.

    Parameters
    ----------
    name : str
        What is looked at.
    look : callable
        Returns what it found; raises `Fault`, or an error worded by `cnmf_engine.base.errors.explain`, if
        that has to be mended.

    Returns
    -------
    Check
        The result. A look that itself fails is one that isn't OK and names the error.
    """
    try:
        return Check(name, True, look())
    except Fault as fault:
        return Check(name, False, fault.found, fault.fix)
    except ModuleNotFoundError as error:
        missing = (error.name or "").split(".")[0]
        if missing and missing != "caiman":
            found = f"the module {missing} is missing, so this couldn't be looked at"
            return Check(name, False, found, pip_install(_PACKAGES.get(missing, missing)))
        return _failed(name, error)
    except Exception as error:  # whatever is wrong here: it must not hide the lines after it
        return _failed(name, error)


def parts_of(error: BaseException | str) -> tuple[str, str, str] | None:
    """
    Take an error's message apart.

    Parameters
    ----------
    error : exception or str
        Worded by `cnmf_engine.base.errors.explain`, or not.

    Returns
    -------
    tuple of str or None
        What was expected, what was found and what to do; None for another message.
    """
    match = _PARTS.search(str(error))
    return None if match is None else (match["expected"], match["found"], match["fix"])


def pip_command() -> str:
    """
    Name the pip of the Python that runs this.

    Returns
    -------
    str
        ``'%pip'`` in a notebook; in a terminal ``'python -m pip'`` if `python` is this one there, else with
        its path: another Python's pip mends nothing.
    """
    from workshop_utils.places import in_kernel

    if in_kernel():
        return "%pip"
    if _same_file(shutil.which("python"), sys.executable):
        return "python -m pip"
    return f'"{sys.executable}" -m pip' if " " in sys.executable else f"{sys.executable} -m pip"


def pip_install(*requirements: str) -> str:
    """
    Word the command that installs packages.

    Parameters
    ----------
    *requirements : str
        As pip understands them.

    Returns
    -------
    str
        The command, quoted for every shell; in a notebook with the words that it needs a restart.
    """
    quoted = " ".join(f'"{one}"' if re.search(r"[<>=!~\[ ;&]", one) else one for one in requirements)
    command = f"{pip_command()} install {quoted}"
    return f"{command} in a cell, then restart the kernel" if command.startswith("%") else command


def _failed(name: str, error: Exception) -> Check:
    parts = parts_of(error)
    if parts is not None:
        expected, found, fix = map(_one_line, parts)
        return Check(name, False, f"{found} (expected: {expected})", fix)
    found = f"couldn't be looked at ({type(error).__name__}: {_one_line(error)})"
    return Check(name, False, found, "show your instructor this line, or report it with the line above it")


def _one_line(text: object) -> str:
    return " ".join(str(text).split())


def _same_file(one: str | None, other: str) -> bool:
    # Not resolved: in a virtual environment every python is a link to the same file.
    return bool(one) and os.path.normcase(os.path.abspath(one)) == os.path.normcase(os.path.abspath(other))
