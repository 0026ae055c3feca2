"""
Make an environment with the package versions of a Colab runtime, and nothing else.

    python tools/colab_env.py FOLDER

Colab pairs a new bokeh with ipywidgets 7 and IPython 7, and its notebook page is of that age too: what works
in JupyterLab may fail there. The versions stand in tests/colab/constraints.txt. This project isn't installed:
the browser tests take it from the checkout, and the tests in tests/colab install its wheel as Colab does.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import venv
from pathlib import Path

__all__ = [
    "CONSTRAINTS",
    "complaints",
    "installed",
    "main",
    "make",
    "normal",
    "pinned",
    "python_of",
    "stand_ins",
]

ROOT = Path(__file__).resolve().parents[1]
CONSTRAINTS = ROOT / "tests" / "colab" / "constraints.txt"
#: What `pip check` says on Colab itself.
_COLABS_OWN = re.compile(r"ipython \S+ requires jedi, which is not installed\.")


def make(folder: Path) -> None:
    """
    Make the environment, or bring one that is there up to date.

    Parameters
    ----------
    folder : pathlib.Path
        Where to put it.

    Raises
    ------
    subprocess.CalledProcessError
        pip failed; it has said why.
    RuntimeError
        The versions don't go together.
    """
    wanted = pinned(CONSTRAINTS.read_text(encoding="utf-8"))
    there = python_of(folder).exists()
    # What Colab doesn't have would hide that the wheel needs it, and taking it out could leave a part behind.
    if not there or {normal(name) for name in installed(folder)} - wanted:
        venv.create(folder, with_pip=True, clear=there)
    # The pins as they are: the resolver has nothing to choose.
    _pip(folder, "install", "--quiet", "--no-deps", "--requirement", str(CONSTRAINTS))
    wrong = complaints(python_of(folder))
    if wrong:
        raise RuntimeError("\n".join(["Expected versions that go together.", *wrong]))


def installed(folder: Path) -> dict[str, str]:
    """
    List what an environment holds.

    Parameters
    ----------
    folder : pathlib.Path
        From `make`.

    Returns
    -------
    dict of str to str
        Version by name, as pip writes them.
    """
    return {each["name"]: each["version"] for each in json.loads(_pip(folder, "list", "--format=json"))}


def complaints(python: Path) -> list[str]:
    """
    Ask pip which packages don't go together, apart from what it says on Colab itself.

    Parameters
    ----------
    python : pathlib.Path
        Of the environment.

    Returns
    -------
    list of str
        A line each, as pip words it.
    """
    command = [str(python), "-m", "pip", "--disable-pip-version-check", "check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return []
    said = (done.stdout + done.stderr).strip().splitlines()
    return [line for line in said if not _COLABS_OWN.fullmatch(line)]


def pinned(pins: str) -> set[str]:
    """
    List the packages of a constraints file.

    Parameters
    ----------
    pins : str
        Its text.

    Returns
    -------
    set of str
        Their names, `normal`.
    """
    lines = [line for line in pins.splitlines() if line and not line.startswith("#")]
    return {normal(re.split(r"[=<>]", line)[0]) for line in lines}


def normal(name: str) -> str:
    """
    Write a package's name as indexes do.

    Parameters
    ----------
    name : str
        However it is written.

    Returns
    -------
    str
        In small letters, with hyphens.
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def stand_ins(pins: str) -> dict[str, str]:
    """
    Find the packages for which another version than Colab's is taken.

    Parameters
    ----------
    pins : str
        Text of a constraints file.

    Returns
    -------
    dict of str to str
        Colab's version by name, of what this Python is too old for.
    """
    lines = [line.split(";")[0].strip() for line in pins.splitlines() if "<=" in line.split(";")[0]]
    return dict(line.split("<=") for line in lines)


def python_of(folder: Path) -> Path:
    """
    Give the Python of an environment.

    Parameters
    ----------
    folder : pathlib.Path
        The environment's.

    Returns
    -------
    pathlib.Path
        The program, there or not.
    """
    return folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def main(argv: list[str] | None = None) -> int:
    """Make what the command line asks for; returns 0, or 1 if it can't be made."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    options = parser.parse_args(argv)
    try:
        make(options.folder)
    except subprocess.CalledProcessError as error:
        print(error.stdout + error.stderr, file=sys.stderr)
        return 1
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    there = installed(options.folder)
    for name, version in stand_ins(CONSTRAINTS.read_text(encoding="utf-8")).items():
        if there[name] != version:
            print(f"{name} {there[name]} stands in for Colab's {version}, which needs a newer Python")
    return 0


def _pip(folder: Path, *arguments: str) -> str:
    command = [str(python_of(folder)), "-m", "pip", "--disable-pip-version-check", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    raise SystemExit(main())
