"""Look at a bundle as an attendee's Colab would: whether everything is there and fits together."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cnmf_engine.base.errors import MissingFileError, explain
from workshop_utils import __version__
from workshop_utils.classroom.bundle import manifest, wheels
from workshop_utils.classroom.bundle.making import README, REQUIREMENTS, notebooks, requirements, shape_of
from workshop_utils.classroom.bundle.manifest import Manifest
from workshop_utils.classroom.doctor.checks import Check, Fault, looked
from workshop_utils.colab import DRIVE_FOLDER, LOCAL_FOLDER, RESULTS_FOLDER, find_folder
from workshop_utils.files import human_bytes
from workshop_utils.movies.copying import copy_folder, sha256
from workshop_utils.session.notebooks import (
    cells,
    find_failure,
    parameters_of,
    set_parameters,
    tags_of,
    text_of,
)

__all__ = ["check", "main"]

# Not with -m: the package imports this module itself.
_PART = "import sys; from workshop_utils.classroom.bundle.checking import main; print(main(sys.argv[1:]))"
# What is missing here, rather than in the bundle, and what brings it.
_MISSING = {
    "No module named pip": "python -m ensurepip",
    "No module named 'nb": "python -m pip install 'calcium-workshop[notebooks]'",
    "NoSuchKernel": "python -m pip install ipykernel",
}


def check(folder: str | os.PathLike, *, run: bool = True, say: Callable[[str], None] = print) -> list[Check]:
    """
    Check a bundle, then install from it and run lesson 1 as a new machine would.

    Parameters
    ----------
    folder : path-like
        The bundle.
    run : bool
        Also install, copy and run. It takes about half a minute; without it a few seconds.
    say : callable
        Gets a line for each thing that was looked at, and the command under each that isn't right.

    Returns
    -------
    list of doctor.Check
        What was looked at, in order.

    Raises
    ------
    InputError, MissingFileError
        The folder isn't there, or isn't a bundle.
    """
    folder = Path(folder).expanduser().resolve()
    made = _opened(folder)
    again = _command(folder, made)
    looks: dict[str, Callable[[], str]] = {
        "files": lambda: _files(folder, made, again),
        "wheel": lambda: _wheel(folder, again),
        "notebooks": lambda: _notebooks(folder, made, again),
        "place on Drive": lambda: _place(folder, made, again),
        "movie": lambda: _movie(folder, made, again),
        "requirements": lambda: _requirements(folder, again),
        "README": lambda: _readme(folder, made, again),
    }
    found = []

    def note(one: Check) -> None:
        found.append(one)
        say(str(one))

    for name, look in looks.items():
        note(looked(name, look, again))
    if run and all(one.ok for one in found):
        for one in _rehearse(folder, made.drive_folder):
            note(one)
    elif run:
        say("Not tried: installing from it and running lesson 1. Mend the above and check again.")
    return found


def _opened(folder: Path) -> Manifest:
    expected = f"the folder of a bundle, with {manifest.NAME} in it: {folder}"
    if not folder.is_dir():
        fix = f'check the path, or make it: workshop bundle "{folder}"'
        raise MissingFileError(explain(expected, "a file" if folder.exists() else "no such folder", fix))
    made = manifest.read(folder)
    if made is None:
        names = sorted(item.name for item in folder.iterdir())[:8]
        fix = f'name the bundle\'s folder, or make it: workshop bundle "{folder}"'
        raise MissingFileError(explain(expected, f"only {', '.join(map(repr, names)) or 'nothing'}", fix))
    return made


def _command(folder: Path, made: Manifest) -> str:
    """Word what makes the bundle again, with the options it was made with."""
    movie, entry = folder / made.movie, made.files.get(made.movie)
    words = [f'workshop bundle "{folder}"']
    if entry is None or entry.keep:
        # The instructor's own is at hand in the bundle, unless it is the file that is missing.
        words.append(f'--movie "{movie}"' if movie.is_file() else f'--movie "PATH OF {made.movie}"')
    if made.drive_folder != DRIVE_FOLDER:
        words.append(f'--drive-folder "{made.drive_folder}"')
    if made.package:
        words.append(f'--package "{made.package}"')
    words += [f'-p "{name}={json.dumps(value)}"' for name, value in made.parameters.items()]
    return " ".join(words)


def _files(folder: Path, made: Manifest, again: str) -> str:
    if made.workshop != __version__:
        raise Fault(f"made with version {made.workshop} of the workshop, this is {__version__}", again)
    missing = [name for name in made.files if not (folder / name).is_file()]
    if missing:
        raise Fault(f"missing: {', '.join(missing)}", again)
    changed = [name for name, entry in made.files.items() if sha256(folder / name) != entry.sha256]
    if changed:
        fix = f"{again} (what was changed is set aside, not lost)"
        raise Fault(f"not as they were made: {', '.join(changed)}", fix)
    size = human_bytes(sum(entry.bytes for entry in made.files.values()))
    strange = manifest.unknown(folder, made)
    also = f"; also there, and copied by everybody: {', '.join(strange)}" if strange else ""
    return f"{len(made.files)} as they were made, {size}{also}"


def _wheel(folder: Path, again: str) -> str:
    found = sorted(folder.glob(wheels.PATTERN))
    if not found:
        raise Fault(f"none ({wheels.PATTERN})", again)
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise Fault(
            f"{len(found)} of them, and Colab takes one of them: {names}", "delete all but the newest"
        )
    version = wheels.version_of(found[0])
    if version != __version__:
        raise Fault(f"{found[0].name} is version {version}, this is {__version__}", again)
    other = wheels.differences(found[0])
    if other:
        some = ", ".join(other[:3]) + (f" and {len(other) - 3} more" if len(other) > 3 else "")
        raise Fault(f"{found[0].name} isn't of the workshop that runs here; different: {some}", again)
    return f"{found[0].name}, {human_bytes(found[0].stat().st_size)}"


def _notebooks(folder: Path, made: Manifest, again: str) -> str:
    def installing(path: Path) -> list[str]:
        return [text_of(cell["source"]) for cell in cells(path) if "colab-only" in tags_of(cell)]

    for own in notebooks():
        path = folder / own.name
        if not path.is_file():
            raise Fault(f"{own.name} is missing", again)
        if installing(path) != installing(own):
            raise Fault(f"{own.name}: the cell that installs the workshop isn't this version's", again)
        values = parameters_of(path)
        if set_parameters(own, values) != set_parameters(path, {}):
            raise Fault(f"{own.name} isn't this version's, or was edited or run", again)
        _valid(path)
    return f"{len(notebooks())}, valid, this version's, without outputs"


def _valid(path: Path) -> None:
    try:
        import nbformat
    except ImportError as error:
        fix = "python -m pip install 'calcium-workshop[notebooks]'"
        raise Fault(f"notebooks can't be checked here ({error})", fix) from error
    try:
        nbformat.validate(json.loads(path.read_text(encoding="utf-8")))
    except nbformat.ValidationError as error:
        raise Fault(f"{path.name} isn't a valid notebook ({error.message})", "restore it") from error


def _place(folder: Path, made: Manifest, again: str) -> str:
    for name, values in _parameters(folder).items():
        if values.get("drive_folder") != made.drive_folder:
            found = (
                f"{name} looks for '{values.get('drive_folder')}', the bundle is for '{made.drive_folder}'"
            )
            raise Fault(found, again)
    last = made.drive_folder.rsplit("/", 1)[-1]
    if unicodedata.normalize("NFC", folder.name) != last:
        other = f"{made.drive_folder.rpartition('/')[0]}/{folder.name}"
        without = again.split(" --drive-folder ")[0]
        raise Fault(
            f"the notebooks look for a folder called '{last}', this one is called '{folder.name}'",
            f"call it '{last}', here and on Drive; or: {without} --drive-folder \"{other}\"",
        )
    return made.drive_folder


def _movie(folder: Path, made: Manifest, again: str) -> str:
    for name, values in _parameters(folder).items():
        home, _, file = str(values.get("movie")).partition("/")
        if home != LOCAL_FOLDER or not (folder / file).is_file():
            raise Fault(f"{name} opens '{values.get('movie')}', and there is no {file or 'such file'}", again)
    frames, rows, columns = shape_of(folder / made.movie)
    return f"{made.movie}, {frames} frames of {rows} x {columns} pixels"


def _parameters(folder: Path) -> dict[str, dict[str, Any]]:
    return {path.name: parameters_of(folder / path.name) for path in notebooks()}


def _requirements(folder: Path, again: str) -> str:
    from packaging.requirements import InvalidRequirement, Requirement

    lines = (folder / REQUIREMENTS).read_text(encoding="utf-8").splitlines()
    wanted = [line.partition("#")[0].strip() for line in lines]
    for line in filter(None, wanted):
        try:
            Requirement(line)
        except InvalidRequirement as error:
            raise Fault(f"{REQUIREMENTS}: pip can't read '{line}'", again) from error
    if lines != requirements().read_text(encoding="utf-8").splitlines():
        raise Fault(f"{REQUIREMENTS} isn't this version's", again)
    return f"{REQUIREMENTS}, {len(list(filter(None, wanted)))} packages"


def _readme(folder: Path, made: Manifest, again: str) -> str:
    text = (folder / README).read_text(encoding="utf-8")
    if made.movie not in text or made.drive_folder.rsplit("/", 1)[-1] not in text:
        raise Fault(f"{README} speaks of another movie or folder", again)
    return README


def _rehearse(folder: Path, drive_folder: str) -> Iterator[Check]:
    """
    Do what Colab does with a bundle, up to the first fault: install from it, copy it, run lesson 1.

    The new machine is a temporary folder: Drive in it, with the bundle in its place; an empty place that the
    wheel is installed into, in front of the packages that are here; a working directory. What runs there is
    this module again, as the wheel has it.
    """
    with tempfile.TemporaryDirectory(prefix="workshop-check-", ignore_cleanup_errors=True) as temporary:
        machine = Path(temporary).resolve()
        site, content = machine / "site", machine / "content"
        content.mkdir()
        _put_on_drive(folder, machine / "drive" / drive_folder)
        (machine / "drive" / "MyDrive").mkdir(exist_ok=True)
        environment = _environment(machine, site)
        own = [sys.executable, "-c", _PART]
        pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--no-deps"]
        pip += ["--no-index", "--target", str(site)]
        lesson = next(folder.glob("01_*.ipynb"))
        steps = {
            "installing": ([*pip, str(next(folder.glob(wheels.PATTERN)))], "mend what pip says"),
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
    """Do one part on the new machine: ``copy DRIVE_FOLDER`` or ``lesson NOTEBOOK EXECUTED``."""
    what, *rest = arguments
    if what == "lesson":
        return _lesson(*map(Path, rest))
    return str(copy_folder(find_folder(rest[0]), LOCAL_FOLDER, progress=False)).splitlines()[0]


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


def _judged(name: str, done: subprocess.CompletedProcess[str], seconds: float, fix: str) -> Check:
    if done.returncode == 0:
        said = done.stdout.strip().splitlines()
        return Check(name, True, f"{seconds:.1f} s" + (f", {said[-1]}" if said else ""), "")
    said = (done.stderr.strip() or done.stdout.strip()).splitlines() or ["no word"]
    fix = next((command for mark, command in _MISSING.items() if mark in said[-1]), fix)
    # The last line of a traceback says what happened; messages of the workshop have three.
    words = said[-1] if any(line.startswith("Traceback") for line in said) else " ".join(said[-12:])
    return Check(name, False, f"failed after {seconds:.1f} s: {words}", fix)


def _lesson(notebook: Path, executed: Path) -> str:
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, DeadKernelError

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
