"""Put everything that a workshop on Colab needs into one folder."""

from __future__ import annotations

import os
import re
import tempfile
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cnmf_engine.base.errors import InputError, MissingFileError, ParameterError, explain
from workshop_utils import __version__
from workshop_utils.classroom.bundle import manifest
from workshop_utils.classroom.bundle.manifest import Manifest, Placer
from workshop_utils.classroom.bundle.wheels import checkout, find_wheel
from workshop_utils.colab import DRIVE_FOLDER, LOCAL_FOLDER, RESULTS_FOLDER
from workshop_utils.lessons import resource
from workshop_utils.movies import data
from workshop_utils.session.notebooks import parameters_of, set_parameters, title_of
from workshop_utils.session.options import check_parameters

__all__ = [
    "README",
    "REQUIREMENTS",
    "build",
    "notebooks",
    "on_drive",
    "requirements",
    "safe_name",
    "shape_of",
]

README = "README.md"
REQUIREMENTS = "requirements_caiman.txt"
_ROOTS = ("MyDrive", "Shareddrives")
# What Windows can't have in a name, and the names that are devices there.
_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f]')
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)", re.IGNORECASE)


def build(
    out: str | os.PathLike,
    *,
    movie: str | os.PathLike = "demo",
    wheel: str | os.PathLike | None = None,
    drive_folder: str = DRIVE_FOLDER,
    package: str = "",
    parameters: Mapping[str, Any] | None = None,
    say: Callable[[str], None] = print,
) -> Path:
    """
    Make the folder that an instructor puts on Drive, or bring it up to date.

    In it, with no folders inside: the wheel, the notebooks with their parameters set, the movie (with its
    truth, where it has one), ``requirements_caiman.txt``, ``README.md`` for attendees and instructor, and
    ``bundle.json``, the list of all these. Run again, only what is new is written; other files in the folder
    stay, and so does what was changed by hand, under another name.

    Parameters
    ----------
    out : path-like
        The folder; made if it is new.
    movie : str or path-like
        What `workshop_utils.movies.data.get` understands.
    wheel : path-like, optional
        The workshop's wheel; by default built from the checkout, or the one that was installed.
    drive_folder : str
        Where the folder will be on the instructor's Drive, starting with ``MyDrive`` or ``Shareddrives``.
    package : str
        Address that pip can install the workshop from, for attendees whose Drive hasn't got the folder.
    parameters : mapping of str to object, optional
        Further values for the notebooks, such as ``frame_rate``; each goes to all that declare it.
    say : callable
        Gets a line of text for each thing that is done.

    Returns
    -------
    pathlib.Path
        The folder, absolute.

    Raises
    ------
    InputError, MissingFileError
        Something that was asked for isn't there or doesn't fit. Nothing was written.
    """
    folder = Path(out).expanduser().resolve()
    drive_folder = on_drive(drive_folder)
    lessons = notebooks()
    declared = {int(path.name[:2]): parameters_of(path) for path in lessons}
    check_parameters(parameters or {}, declared, ("movie", "drive_folder", "package"))
    source = data.get(movie)
    frames, rows, columns = shape_of(source)
    name = safe_name(source.name)
    values = {
        **(parameters or {}),
        "movie": f"{LOCAL_FOLDER}/{name}",
        "drive_folder": drive_folder,
        "package": package,
    }
    texts = {path.name: set_parameters(path, values) for path in lessons}
    texts[REQUIREMENTS] = requirements().read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory(prefix="workshop-bundle-", ignore_cleanup_errors=True) as temporary:
        found = find_wheel(wheel, Path(temporary))
        before = _usable(folder)
        facts = {"frames": frames, "rows": rows, "columns": columns, "package": package, "wheel": found.name}
        texts[README] = _readme(drive_folder, name, lessons, facts)
        say(f"Bundle: {folder}\nMovie:  {source} ({frames} frames of {rows} x {columns} pixels)")
        if name != source.name:
            say(f"        called '{name}' in the bundle, a name that every system can have")
        try:
            placer = Placer(folder, before, say)
            own = source not in [data.folder() / demo for demo in data.DEMOS.values()]
            placer.copy(source, name, keep=own)
            truth = source.with_name(f"{source.stem}_truth.npz")
            if truth.is_file():
                placer.copy(truth, f"{Path(name).stem}_truth.npz", keep=own)
            placer.put(found.name, found.read_bytes())
            for file, text in texts.items():
                placer.put(file, text.encode())
            made = Manifest(__version__, name, drive_folder, package, dict(parameters or {}), placer.files)
            manifest.write(folder, made)
            placer.tidy()
        except PermissionError as error:  # a sync program, or a notebook that is open on Windows
            fix = (
                "close what has it open, or pause the sync, and run the command again: it goes on from there"
            )
            raise InputError(explain(f"to write the bundle to {folder}", str(error), fix)) from error
    _say_next(folder, made, declared, say)
    return folder


def notebooks() -> list[Path]:
    """List the workshop's notebooks in the order of their numbers, the one with all lessons first."""
    return sorted(resource("notebooks").glob("[0-9][0-9]_*.ipynb"))


def requirements() -> Path:
    """Find the list of what a CaImAn environment needs beside CaImAn, in checkout or installed package."""
    packaged = Path(__file__).resolve().parents[2] / "_resources" / REQUIREMENTS
    root = checkout()
    path = root / REQUIREMENTS if root else packaged
    if path.is_file():
        return path
    fix = "install the package again (pip install --force-reinstall calcium-workshop)"
    raise MissingFileError(explain(f"the workshop's file {REQUIREMENTS} at {path}", "no such file", fix))


def shape_of(movie: Path) -> tuple[int, int, int]:
    """Open a movie with the engine that Colab has, read its first frame, and give frames, rows, columns."""
    from cnmf_engine.caiman.movies import get_file_size, load

    try:
        (rows, columns), frames = get_file_size(movie)
        load(movie, subindices=slice(0, 1))
    except (InputError, MissingFileError):
        raise
    except Exception as error:  # a damaged file: each format's reader has errors of its own
        fix = "open it in Fiji, say, and save it again, or copy it again if it was cut off"
        raise InputError(
            explain(f"a movie that can be read: {movie}", f"{type(error).__name__}: {error}", fix)
        ) from error
    return int(frames), int(rows), int(columns)  # type: ignore[arg-type]


def on_drive(text: str) -> str:
    r"""
    Read where a folder is on Drive, however it was written down.

    As Colab has it (``MyDrive/...``), with Colab's mount point in front, or as Drive for desktop has it
    (``G:\My Drive\...``).
    """
    parts = [
        part for part in unicodedata.normalize("NFC", text).replace("\\", "/").split("/") if part.strip()
    ]
    joined = ["".join(part.split()) for part in parts]  # "My Drive", "Shared drives"
    first = next((n for n, part in enumerate(joined) if part.lower() in ("mydrive", "shareddrives")), None)
    if first is None or len(parts) < first + 2 or ".." in parts:
        expected = f"a folder on Drive, starting with {' or '.join(_ROOTS)}"
        fix = "write for example --drive-folder MyDrive/imaging-course"
        raise ParameterError(explain(expected, repr(text), fix))
    root = _ROOTS[joined[first].lower() == "shareddrives"]
    return "/".join([root, *parts[first + 1 :]])


def safe_name(name: str) -> str:
    """Give a file a name that all systems and Drive can have; umlauts, spaces and ``&`` stay."""
    # macOS may take letters and their dots apart; the notebooks have to name the file as it is on Drive.
    name = _FORBIDDEN.sub("_", unicodedata.normalize("NFC", name)).rstrip(" .")
    return f"_{name}" if _DEVICES.fullmatch(name.split(".")[0].strip()) or not name else name


def _usable(folder: Path) -> Manifest | None:
    """Refuse a folder that is something else, before anything is written; read what is in a bundle."""
    fix = "name another folder, for example calcium-imaging-data in your home folder"
    expected = f"a folder for the bundle: {folder}"
    if folder.exists() and not folder.is_dir():
        raise InputError(explain(expected, "a file", fix))
    own = {resource("notebooks"), resource("data"), checkout()}
    if folder in own or (folder / "pyproject.toml").is_file():
        raise InputError(explain(expected, "a folder of the project's own files", fix))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        found = f"one that can't be written to ({type(error).__name__}: {error})"
        raise InputError(explain(expected, found, fix)) from error
    return manifest.read(folder)


def _readme(drive_folder: str, movie: str, lessons: list[Path], facts: dict[str, Any]) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    # Plain text, so nothing is escaped: an '&' has to stay one.
    loader = PackageLoader("workshop_utils.classroom.bundle", "")
    environment = Environment(
        loader=loader, undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True
    )
    root, *parts = drive_folder.split("/")
    return environment.get_template("readme.md.j2").render(
        folder=parts[-1],
        place=" > ".join([{"MyDrive": "My Drive", "Shareddrives": "Shared drives"}[root], *parts]),
        shared_drive=root == "Shareddrives",
        movie=movie,
        demo=movie in data.DEMOS.values(),
        all_in_one=lessons[0].name,
        lessons=[(path.name, title_of(path)) for path in lessons[1:]],
        results=RESULTS_FOLDER.replace("MyDrive/", "My Drive > ") + f" > {Path(movie).stem}",
        local_folder=LOCAL_FOLDER,
        requirements=REQUIREMENTS,
        version=__version__,
        **facts,
    )


def _say_next(
    folder: Path, made: Manifest, declared: dict[int, dict[str, Any]], say: Callable[[str], None]
) -> None:
    default = next((values["frame_rate"] for values in declared.values() if "frame_rate" in values), None)
    if default and "frame_rate" not in made.parameters and data.frame_rate(made.movie) is None:
        say(f"Note: the lessons take {made.movie} to have {default:g} frames per second.")
        say("      If it has another rate, add for example -p frame_rate=20.")
    strange = manifest.unknown(folder, made)
    if strange:
        say(f"Note: in the folder, but not of this bundle: {', '.join(map(repr, strange))}")
        say("      Attendees would copy them too. Move away what they don't need.")
    last = made.drive_folder.rsplit("/", 1)[-1]
    if unicodedata.normalize("NFC", folder.name) != last:
        say(f"Note: the notebooks look for a folder called '{last}', this one is called '{folder.name}'.")
        say("      Rename it, or make it with --drive-folder and the name it has.")
    say(f'Next: workshop bundle --check "{folder}", then put the folder on Drive as {made.drive_folder}')
