"""
Make an environment with the package versions of a Colab runtime, and this project installed into it.

    python tools/colab_env.py FOLDER               this checkout, editable
    python tools/colab_env.py FOLDER --wheel FILE  a wheel of it

Colab pairs a new bokeh with ipywidgets 7 and IPython 7, and its notebook page is of that age too: what works
in JupyterLab may fail there. The versions stand in tests/colab/constraints.txt.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import venv
from pathlib import Path

__all__ = ["CONSTRAINTS", "installed", "main", "make", "python_of", "stand_ins"]

ROOT = Path(__file__).resolve().parents[1]
CONSTRAINTS = ROOT / "tests" / "colab" / "constraints.txt"


def make(folder: Path, wheel: Path | None = None) -> None:
    """
    Make the environment, or bring one that is there up to date.

    Parameters
    ----------
    folder : pathlib.Path
        Where to put it.
    wheel : pathlib.Path, optional
        What to install of this project; by default this checkout, editable.

    Raises
    ------
    subprocess.CalledProcessError
        pip failed; it has said why.
    """
    if not python_of(folder).exists():
        venv.create(folder, with_pip=True)
    # First the pins as they are: the resolver then has nothing left to choose, and nothing is taken back.
    _pip(folder, "install", "--quiet", "--no-deps", "--requirement", str(CONSTRAINTS))
    project = [str(wheel)] if wheel else ["--editable", str(ROOT)]
    _pip(folder, "install", "--quiet", "--constraint", str(CONSTRAINTS), "notebook", *project)
    _pip(folder, "check")


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
    """Make what the command line asks for; returns 0, or 1 if pip failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--wheel", type=Path, help="install this wheel instead of the checkout")
    options = parser.parse_args(argv)
    try:
        make(options.folder, options.wheel)
    except subprocess.CalledProcessError as error:
        print(error.stdout + error.stderr, file=sys.stderr)
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
