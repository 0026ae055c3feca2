"""
New Colab machines, for tests and measurements: Colab's packages, a Drive to mount, no workshop.

A machine is a virtual environment without packages that sees those of an environment with Colab's versions
(`tools/colab_env.py`). To pip they are preinstalled, and what it installs is gone with the machine. So a new
one takes a second, and each notebook can have its own, as in Colab.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat

from benchmarks.executing import Executed, execute
from benchmarks.servers import own_environment
from workshop_utils.session.notebooks import tags_of

__all__ = ["Machine", "python_of", "wheelhouse"]

_ROOT = Path(__file__).resolve().parents[1]
_STUB = _ROOT / "tests" / "colab" / "stub"
_SITE = "import sysconfig; print(sysconfig.get_path('purelib'))"
#: IPython asks for it and Colab leaves it out, so that pip fetches it with anything that needs ipywidgets.
_FETCHED = "jedi>=0.16"


class Machine:
    """
    A new Colab machine.

    Parameters
    ----------
    folder : pathlib.Path
        Where to make it; its ``content`` plays ``/content``.
    replica : pathlib.Path
        An environment made by ``tools/colab_env.py``.
    drive : pathlib.Path
        What the attendee has on Drive, with ``MyDrive`` in it.
    wheels : pathlib.Path
        Folder that stands in for the package index, from `wheelhouse`.
    refuses : bool
        The attendee doesn't allow access to Drive.

    Attributes
    ----------
    content : pathlib.Path
        The working directory of its notebooks.
    """

    def __init__(
        self, folder: Path, replica: Path, drive: Path, wheels: Path, *, refuses: bool = False
    ) -> None:
        self._folder = folder
        self.content = folder / "content"
        self.content.mkdir(parents=True)
        self._environment_folder = folder / "environment"
        outer = python_of(replica)
        subprocess.run([outer, "-m", "venv", "--without-pip", self._environment_folder], check=True)
        self.python = python_of(self._environment_folder)
        shared, own = (_output([python, "-c", _SITE]).strip() for python in (outer, self.python))
        (Path(own) / "preinstalled.pth").write_text(f"import site; site.addsitedir({shared!r})\n")
        self._variables = own_environment(folder / "home", self.python) | {
            # What isn't there can't be fetched: nothing but the wheel may be needed.
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": wheels.as_uri(),
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # its remark isn't of interest
            "PIP_LOG": str(folder / "pip.log"),
            "COLAB_STUB_DRIVE": str(drive),
            "COLAB_STUB_CALLS": str(folder / "calls"),
            "COLAB_STUB_REFUSES": "1" if refuses else "",
            "WORKSHOP_DRIVE": str(self.content / "drive"),
        }
        (folder / "home").mkdir()

    @property
    def mounts(self) -> int:
        """How often Drive was asked for."""
        calls = self._folder / "calls"
        return len(calls.read_text(encoding="utf-8").splitlines()) if calls.exists() else 0

    @property
    def pip_log(self) -> str:
        """All that pip has done here."""
        log = self._folder / "pip.log"
        return log.read_text(encoding="utf-8") if log.exists() else ""

    def pip(self, *arguments: str) -> str:
        """
        Call pip.

        Parameters
        ----------
        *arguments : str
            After ``python -m pip``.

        Returns
        -------
        str
            What it prints.

        Raises
        ------
        subprocess.CalledProcessError
            It failed.
        """
        return _output([self.python, "-m", "pip", *arguments], env=self._variables, cwd=self.content)

    def installed(self) -> dict[str, str]:
        """
        List the packages that programs find here.

        Returns
        -------
        dict of str to str
            Version by name.
        """
        return {each["name"]: each["version"] for each in json.loads(self.pip("list", "--format=json"))}

    def would_install(self, wheel: str | Path) -> dict[str, str]:
        """
        Ask pip what installing a wheel would bring or change.

        Parameters
        ----------
        wheel : path-like
            The wheel.

        Returns
        -------
        dict of str to str
            Version by name, the wheel's own package included.
        """
        told = json.loads(self.pip("install", "--quiet", "--dry-run", "--report", "-", str(wheel)))
        return {each["metadata"]["name"]: each["metadata"]["version"] for each in told["install"]}

    def run(self, notebook: Path, *, again: bool = False, until: str = "", **parameters: Any) -> Executed:
        """
        Open a notebook and run all its cells.

        Parameters
        ----------
        notebook : pathlib.Path
            A lesson; ``/content`` in it becomes this machine's.
        again : bool
            Run the bootstrap cell once more at the end.
        until : str
            Leave the cells after the first one with this in its code.
        **parameters
            Values for parameters of the lesson.

        Returns
        -------
        Executed
            What came of it. An error in a cell stops the notebook.
        """
        written = nbformat.read(notebook, as_version=4)
        if until:
            code = [cell for cell in written.cells if cell.cell_type == "code"]
            last = next(cell for cell in code if until in cell.source)
            del written.cells[written.cells.index(last) + 1 :]
        if again:
            bootstrap = next(cell for cell in written.cells if "colab-only" in tags_of(cell))
            written.cells.append(nbformat.v4.new_code_cell(bootstrap.source, metadata=bootstrap.metadata))
        if parameters:
            place = next(k for k, cell in enumerate(written.cells) if "parameters" in tags_of(cell))
            lines = "\n".join(f"{name} = {value!r}" for name, value in parameters.items())
            written.cells.insert(place + 1, nbformat.v4.new_code_cell(lines))
        for cell in written.cells:
            cell.source = cell.source.replace("/content", self.content.as_posix())
        # Only the kernel has Colab's package: no other program on Colab finds it imported either.
        variables = self._variables | {"PYTHONPATH": str(_STUB)}
        start = [str(self.python), "-m", "colab_kernel_launcher", "-f", "{connection_file}"]
        return execute(written, start, variables, self.content)

    def remove(self) -> None:
        """Disconnect: what is on Drive stays, all else is gone."""
        shutil.rmtree(self._folder)


def python_of(environment: Path) -> Path:
    """
    Give the Python of an environment.

    Parameters
    ----------
    environment : pathlib.Path
        Its folder.

    Returns
    -------
    pathlib.Path
        The program, there or not.
    """
    return environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def wheelhouse(folder: Path, replica: Path) -> Path:
    """
    Fetch what an install on Colab fetches beside the workshop, so that each machine needn't.

    Parameters
    ----------
    folder : pathlib.Path
        Where to put it.
    replica : pathlib.Path
        An environment made by ``tools/colab_env.py``.

    Returns
    -------
    pathlib.Path
        The folder.

    Raises
    ------
    subprocess.CalledProcessError
        There is no package index here.
    """
    _output([python_of(replica), "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, _FETCHED])
    return folder


def _output(command: list[Any], **options: Any) -> str:
    command = [str(part) for part in command]
    return subprocess.run(command, capture_output=True, text=True, check=True, **options).stdout
