"""Look at a bundle as an attendee's Colab would: whether everything is there and fits together."""

from __future__ import annotations

import json
import os
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cnmf_engine.base.errors import InputError, MissingFileError, explain
from workshop_utils import __version__
from workshop_utils.classroom.bundle import manifest, wheels
from workshop_utils.classroom.bundle.making import README, REQUIREMENTS, notebooks, requirements, shape_of
from workshop_utils.classroom.bundle.manifest import Manifest
from workshop_utils.classroom.bundle.rehearsal import rehearse
from workshop_utils.classroom.doctor.checks import Check, Fault
from workshop_utils.colab import DRIVE_FOLDER, LOCAL_FOLDER
from workshop_utils.files import human_bytes
from workshop_utils.movies.copying import sha256
from workshop_utils.session.notebooks import cells, parameters_of, set_parameters, tags_of, text_of

__all__ = ["check"]


_OWN = (InputError, MissingFileError)


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
        note(_looked(name, look, again))
    if run and all(one.ok for one in found):
        for one in rehearse(folder, made.drive_folder):
            note(one)
    elif run:
        say("Not tried: installing from it and running lesson 1. Mend the above and check again.")
    return found


def _looked(name: str, look: Callable[[], str], again: str) -> Check:
    try:
        return Check(name, True, look(), "")
    except Fault as fault:
        return Check(name, False, fault.found, fault.fix)
    except (ValueError, KeyError, SyntaxError, OSError) as error:  # a damaged file, in its reader's words
        text = " ".join(str(error).splitlines())
        return Check(
            name, False, text if isinstance(error, _OWN) else f"{type(error).__name__}: {text}", again
        )


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
    for own in notebooks():
        path = folder / own.name
        if not path.is_file():
            raise Fault(f"{own.name} is missing", again)
        if _first_cell(path) != _first_cell(own):
            raise Fault(f"{own.name}: the cell that installs the workshop isn't this version's", again)
        values = parameters_of(path)
        if set_parameters(own, values) != set_parameters(path, {}):
            raise Fault(f"{own.name} isn't this version's, or was edited or run", again)
        _valid(path)
    return f"{len(notebooks())}, valid, this version's, without outputs"


def _first_cell(path: Path) -> list[str]:
    return [text_of(cell["source"]) for cell in cells(path) if "colab-only" in tags_of(cell)]


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
        raise Fault(
            f"the notebooks look for a folder called '{last}', this one is called '{folder.name}'",
            f"call it '{last}', here and on Drive; or: {_without_drive(again)} --drive-folder \"{other}\"",
        )
    return made.drive_folder


def _without_drive(again: str) -> str:
    return again.split(" --drive-folder ")[0]


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
