"""
Do what Colab does with a bundle: install from it, copy it, run lesson 1.

The new machine is a temporary folder: Drive in it, with the bundle in its place; an empty place that the
wheel is installed into, in front of the packages that are here; a working directory. What runs there is this
module again, as the wheel has it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from workshop_utils.classroom.bundle.wheels import PATTERN
from workshop_utils.classroom.doctor import Check
from workshop_utils.colab import LOCAL_FOLDER, RESULTS_FOLDER, find_folder

__all__ = ["main", "rehearse"]

# Not with -m: the package imports this module itself.
_PART = "import sys; from workshop_utils.classroom.bundle.rehearsal import main; print(main(sys.argv[1:]))"
# What is missing here, rather than in the bundle, and what brings it.
_MISSING = {
    "No module named pip": "python -m ensurepip",
    "No module named 'nb": "python -m pip install 'calcium-workshop[notebooks]'",
    "NoSuchKernel": "python -m pip install ipykernel",
}


def rehearse(folder: Path, drive_folder: str) -> Iterator[Check]:
    """
    Install, copy and run lesson 1 on a new machine; stop at the first that fails.

    Parameters
    ----------
    folder : pathlib.Path
        The bundle, with one wheel in it.
    drive_folder : str
        Where it is on Drive.

    Yields
    ------
    doctor.Check
        One for each, with how long it took.
    """
    with tempfile.TemporaryDirectory(prefix="workshop-check-", ignore_cleanup_errors=True) as temporary:
        machine = Path(temporary).resolve()
        site, content = machine / "site", machine / "content"
        content.mkdir()
        _put_on_drive(folder, machine / "drive" / drive_folder)
        (machine / "drive" / "MyDrive").mkdir(exist_ok=True)
        environment = _environment(machine, site)
        own = [sys.executable, "-c", _PART]
        lesson = next(folder.glob("01_*.ipynb"))
        steps = {
            "installing": ([*_pip(site), str(next(folder.glob(PATTERN)))], "mend what pip says"),
            "copying": ([*own, "copy", drive_folder], "mend what it says, then check again"),
            "lesson 1": ([*own, "lesson", str(lesson), str(machine / lesson.name)], "mend what it says"),
        }
        for name, (command, fix) in steps.items():
            start = time.perf_counter()
            done = subprocess.run(
                command,
                cwd=content,
                env=environment,
                capture_output=True,
                text=True,
                encoding="utf-8",
                errors="replace",
            )
            seconds = time.perf_counter() - start
            yield _judged(name, done, seconds, fix)
            if done.returncode:
                return


def main(arguments: list[str]) -> str:
    """
    Do one part on the new machine, in its working directory.

    Parameters
    ----------
    arguments : list of str
        ``copy DRIVE_FOLDER`` or ``lesson NOTEBOOK EXECUTED``.

    Returns
    -------
    str
        What was done.
    """
    what, *rest = arguments
    return _copy(*rest) if what == "copy" else _lesson(*map(Path, rest))


def _put_on_drive(folder: Path, place: Path) -> None:
    place.parent.mkdir(parents=True)
    try:
        # As a shortcut on Drive is one.
        place.symlink_to(folder, target_is_directory=True)
    except OSError:  # Windows allows links to few
        shutil.copytree(folder, place)


def _environment(machine: Path, site: Path) -> dict[str, str]:
    results = machine / "drive" / RESULTS_FOLDER / "{movie}"
    path = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH", "")]))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WORKSHOP_")}
    return kept | {
        "PYTHONPATH": path,
        "PYTHONUTF8": "1",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "WORKSHOP_DRIVE": str(machine / "drive"),
        "WORKSHOP_ENGINE": "embedded",  # the one that Colab has
        "WORKSHOP_HEADLESS": "1",
        "WORKSHOP_RESULTS": str(results),
        "WORKSHOP_SCRATCH": str(machine / "workshop_scratch"),
    }


def _pip(site: Path) -> list[str]:
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    return [*pip, "install", "--no-deps", "--no-index", "--target", str(site)]


def _judged(name: str, done: subprocess.CompletedProcess[str], seconds: float, fix: str) -> Check:
    if done.returncode == 0:
        said = done.stdout.strip().splitlines()
        return Check(name, True, f"{seconds:.1f} s" + (f", {said[-1]}" if said else ""), "")
    said = (done.stderr.strip() or done.stdout.strip()).splitlines() or ["no word"]
    fix = next((command for mark, command in _MISSING.items() if mark in said[-1]), fix)
    # The last line of a traceback says what happened; messages of the workshop have three.
    words = said[-1] if any(line.startswith("Traceback") for line in said) else " ".join(said[-12:])
    return Check(name, False, f"failed after {seconds:.1f} s: {words}", fix)


def _copy(drive_folder: str) -> str:
    from workshop_utils.movies.copying import copy_folder

    return str(copy_folder(find_folder(drive_folder), LOCAL_FOLDER, progress=False)).splitlines()[0]


def _lesson(notebook: Path, executed: Path) -> str:
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, DeadKernelError

    from workshop_utils.session.notebooks import find_failure

    lesson = nbformat.read(notebook, as_version=4)
    where = {"metadata": {"path": str(Path.cwd())}}
    client = NotebookClient(lesson, timeout=None, kernel_name="python3", resources=where)
    try:
        client.execute()
    except DeadKernelError:
        sys.exit("the kernel died, most often because the machine ran out of memory")
    except CellExecutionError as error:
        nbformat.write(lesson, executed)
        failure = find_failure(executed)
        sys.exit(f"cell {failure.number}: {failure.error}" if failure else str(error))
    results = sorted(Path(os.environ["WORKSHOP_RESULTS"]).parent.glob("*/session.json"))
    if not results:
        sys.exit("it left no results on Drive")
    return f"to its end, results in {RESULTS_FOLDER}/{results[0].parent.name}"
