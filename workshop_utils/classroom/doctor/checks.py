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
    """What one look has shown: what is there, whether the lessons can go on, and if not, what mends it."""

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


def looked(name: str, look: Callable[[], str], mends: str = "") -> Check:
    """
    Look at one thing, whatever happens: a look that itself fails is one that isn't OK and names the error.

    `look` gives what it found, or raises `Fault` or any error. `mends` is what mends those that don't say so.
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
        return _failed(name, error, mends)
    except Exception as error:  # whatever is wrong here: it must not hide the lines after it
        return _failed(name, error, mends)


def parts_of(error: BaseException | str) -> tuple[str, str, str] | None:
    """Take a message of `cnmf_engine.base.errors.explain` apart: expected, found, to do; None for another."""
    match = _PARTS.search(str(error))
    return None if match is None else (match["expected"], match["found"], match["fix"])


def pip_command() -> str:
    """
    Name the pip of the Python that runs this; another Python's pip mends nothing.

    That is `%pip` in a notebook; in a terminal `python -m pip` if that is this one there, else with its path.
    """
    from workshop_utils.places import in_kernel

    if in_kernel():
        return "%pip"
    if _same_file(shutil.which("python"), sys.executable):
        return "python -m pip"
    return f'"{sys.executable}" -m pip' if " " in sys.executable else f"{sys.executable} -m pip"


def pip_install(*requirements: str) -> str:
    """Word the command that installs packages, quoted for every shell; in a notebook with a restart."""
    quoted = " ".join(f'"{one}"' if re.search(r"[<>=!~\[ ;&]", one) else one for one in requirements)
    command = f"{pip_command()} install {quoted}"
    return f"{command} in a cell, then restart the kernel" if command.startswith("%") else command


def _failed(name: str, error: Exception, mends: str) -> Check:
    if parts := parts_of(error):
        expected, found, fix = (" ".join(part.split()) for part in parts)
        return Check(name, False, f"{found} (expected: {expected})", mends or fix)
    found = f"couldn't be looked at ({type(error).__name__}: {' '.join(str(error).split())})"
    report = "show your instructor this line, or report it with the line above it"
    return Check(name, False, found, mends or report)


def _same_file(one: str | None, other: str) -> bool:
    # Not resolved: in a virtual environment every python is a link to the same file.
    return bool(one) and os.path.normcase(os.path.abspath(one)) == os.path.normcase(os.path.abspath(other))
