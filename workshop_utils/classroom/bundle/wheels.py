"""Find or build the wheel that a new machine installs the workshop from."""

from __future__ import annotations

import email
import importlib.metadata
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from packaging.utils import canonicalize_name

from cnmf_engine.base.errors import InputError, MissingFileError, explain
from workshop_utils import __version__
from workshop_utils.lessons import resource
from workshop_utils.movies.copying import sha256

__all__ = ["PATTERN", "checkout", "differences", "find_wheel", "version_of"]

#: What the first cell of each lesson looks for.
PATTERN = "calcium_workshop-*.whl"
_PACKAGES = ("cnmf_engine", "workshop_utils")
_RESOURCES = "workshop_utils/_resources/"
_OWN_WHEEL = "give the wheel file that you have: --wheel calcium_workshop-....whl"


def checkout() -> Path | None:
    """Find the project's folder, with ``pyproject.toml``; None for an installed package."""
    root = _packages_folder()
    return root if (root / "pyproject.toml").is_file() else None


def find_wheel(given: str | Path | None, temporary: Path) -> Path:
    """
    Find this workshop's wheel, or build it into a temporary folder.

    The given one (a file, or its folder), else one that is built from the checkout, else the one this package
    was installed from. A MissingFileError says what to do if there is none.
    """
    if given is not None:
        return _checked(_given(Path(given).expanduser()))
    root = checkout()
    if root is not None:
        return _build(str(root), temporary)
    return _installed_from(temporary)


def version_of(wheel: Path) -> str:
    """Read the version of a wheel as it says it itself; an InputError if it isn't the workshop's."""
    expected = f"a wheel of the workshop ({PATTERN}): {wheel}"
    try:
        with zipfile.ZipFile(wheel) as archive:
            damaged = archive.testzip()
            names = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
            facts = email.message_from_bytes(archive.read(names[0])) if names else {}
    except (zipfile.BadZipFile, OSError, EOFError) as error:
        found = f"{type(error).__name__}: {error}; it may have been cut off"
        raise InputError(explain(expected, found, "copy or build it again")) from error
    name = facts.get("Name", "something else")
    if damaged or canonicalize_name(name) != "calcium-workshop" or "Version" not in facts:
        found = f"damaged content ({damaged})" if damaged else f"a file of {name}"
        raise InputError(explain(expected, found, "copy or build it again, or name another file"))
    return facts["Version"]


def differences(wheel: Path) -> list[str]:
    """List the files in which a wheel differs from the workshop that runs now."""
    root, found = _packages_folder(), []
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if name.startswith(tuple(f"{p}/" for p in _PACKAGES))}
        for name in sorted(names):
            here = root / name
            if name.startswith(_RESOURCES):  # a checkout keeps notebooks and data beside the packages
                kind, _, rest = name.removeprefix(_RESOURCES).partition("/")
                here = resource(kind) / rest if rest else (checkout() or root / _RESOURCES) / kind
            if not here.is_file() or _lines(here.read_bytes()) != _lines(archive.read(name)):
                found.append(name)
    modules = (path.relative_to(root).as_posix() for p in _PACKAGES for path in (root / p).rglob("*.py"))
    return found + sorted(name for name in modules if name not in names)


def _packages_folder() -> Path:
    return Path(__file__).resolve().parents[3]


def _lines(content: bytes) -> bytes:
    return content.replace(b"\r\n", b"\n")  # git on Windows checks texts out with other ends of lines


def _given(path: Path) -> Path:
    if path.is_file():
        return path
    found = sorted(path.glob(PATTERN)) if path.is_dir() else []
    if len(found) == 1:
        return found[0]
    what = ", ".join(f"'{wheel.name}'" for wheel in found) or (
        "no wheel in it" if path.is_dir() else "no such file"
    )
    raise MissingFileError(explain(f"a wheel of the workshop ({PATTERN}) at {path}", what, "name one file"))


def _checked(wheel: Path) -> Path:
    version = version_of(wheel)
    if version != __version__ or not wheel.match(PATTERN):
        raise InputError(
            explain(
                f"a wheel of version {__version__}, of which the notebooks are, called {PATTERN}",
                f"{wheel.name}, version {version}",
                f"install that wheel and make the bundle with it (python -m pip install '{wheel}'), "
                "or leave --wheel out",
            )
        )
    return wheel


def _build(what: str, temporary: Path) -> Path:
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]
    done = subprocess.run(
        [*command, "--wheel-dir", str(temporary), what], capture_output=True, text=True, errors="replace"
    )
    wheels = sorted(Path(temporary).glob(PATTERN))
    if done.returncode == 0 and len(wheels) == 1:
        return _checked(wheels[0])
    said = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    errors = (
        [line for line in said if line.startswith("ERROR:") or "No module" in line] or said or ["nothing"]
    )
    fix = f"connect to the internet, where pip gets the build tool (hatchling) from, or {_OWN_WHEEL}"
    if "No module named pip" in errors[-1]:
        fix = f"python -m ensurepip brings it, or {_OWN_WHEEL}"
    raise MissingFileError(
        explain(f"pip to build the workshop's wheel from {what}", f"its words: {errors[-1]}", fix)
    )


def _installed_from(temporary: Path) -> Path:
    """Follow what pip noted when it installed the workshop (PEP 610)."""
    origin = _origin()
    url = str(origin.get("url", ""))
    if not url:
        raise MissingFileError(_no_wheel("an installed package that doesn't say where it came from"))
    if urlsplit(url).scheme != "file":
        vcs = origin.get("vcs_info", {})
        address = f"{vcs['vcs']}+{url}@{vcs.get('commit_id', '')}".rstrip("@") if vcs else url
        folder = f"#subdirectory={origin['subdirectory']}" if origin.get("subdirectory") else ""
        return _build(f"calcium-workshop @ {address}{folder}", temporary)
    parts = urlsplit(url)
    share = f"//{parts.netloc}" if parts.netloc not in ("", "localhost") else ""  # of a Windows network
    path = Path(share + url2pathname(parts.path))
    if path.is_dir() and (path / "pyproject.toml").is_file():
        return _build(str(path), temporary)
    if not path.is_file():
        raise MissingFileError(_no_wheel(f"that {path}, which it was installed from, is gone"))
    hashes = origin.get("archive_info", {}).get("hashes", {})
    if "sha256" in hashes and sha256(path) != hashes["sha256"]:
        raise MissingFileError(_no_wheel(f"that {path}, which it was installed from, has changed since"))
    if path.suffix != ".whl":
        return _build(str(path), temporary)
    return _checked(path)


def _origin() -> dict[str, Any]:
    for distribution in importlib.metadata.distributions(name="calcium-workshop"):
        # Another copy, further down the path, came from elsewhere.
        if (
            Path(distribution.locate_file("workshop_utils")).resolve()
            == _packages_folder() / "workshop_utils"
        ):
            return dict(json.loads(distribution.read_text("direct_url.json") or "{}"))
    return {}


def _no_wheel(found: str) -> str:
    fix = f"{_OWN_WHEEL}; or run the command in a checkout of the project, where it builds one"
    return explain("the wheel that this workshop was installed from", found, fix)
