"""Which CaImAn is installed: the real one, its namesake on PyPI, both mixed, one too old, or none."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
from pathlib import Path
from typing import NamedTuple

__all__ = ["INSTALL", "UPDATE", "CaimanHere", "caiman_here", "problem_of"]

INSTALL = "conda env create -f environment.yml installs CaImAn from conda-forge"
UPDATE = f'conda install -c conda-forge "caiman>=1.12", or a new environment: {INSTALL}'
_REMOVE = f"python -m pip uninstall caiman removes it (repeat until pip finds none); {INSTALL}"
_OLDEST = (1, 12)


class CaimanHere(NamedTuple):
    """
    What is installed under the name ``caiman``.

    Attributes
    ----------
    kind : {'real', 'namesake', 'none'}
        CaImAn, the MicroPython tool that has its name on PyPI, or neither.
    found : str
        The same in words.
    version : str
        Of what was found; empty if it isn't known.
    where : str
        Its folder; empty if there is none.
    usable : bool
        The lessons can run on it, as far as can be said without importing it.
    fix : str
        What to do where something is wrong, with the command; else empty.
    """

    kind: str
    found: str
    version: str
    where: str
    usable: bool
    fix: str


def caiman_here() -> CaimanHere:
    """
    Tell CaImAn from its namesake on PyPI by the files that are there, without running either.

    Returns
    -------
    CaimanHere
        What was found.
    """
    try:
        spec = importlib.util.find_spec("caiman")
    except ValueError:  # a module in sys.modules without a spec
        spec = None
    folders = [Path(folder) for folder in (spec and spec.submodule_search_locations) or ()]
    # Uninstalling leaves empty folders behind, so a file it must be.
    real = next((f for f in folders if (f / "source_extraction" / "cnmf" / "params.py").is_file()), None)
    versions = _distributions()
    if real is not None:
        return _judged(real, versions)
    folder = next((folder for folder in folders if next(folder.glob("*.py"), None)), None)
    where = folder or (spec and spec.origin)
    if not where:
        return CaimanHere("none", "CaImAn isn't installed", "", "", False, INSTALL)
    version = versions.get("namesake")
    if version is None:  # somebody's own module, or a copy that no installer knows of
        found = f"the package 'caiman' in {where} is another one, not CaImAn"
        return CaimanHere("namesake", found, "", str(where), False, f"rename or remove {where}; {INSTALL}")
    found = (
        f"the package 'caiman' {version} in {where} is another one (a build tool for MicroPython), not CaImAn"
    )
    return CaimanHere("namesake", found, version, str(where), False, _REMOVE)


def _distributions() -> dict[str, str]:
    """Give the versions that installers noted, of each kind: both packages call themselves caiman."""
    versions = {}
    for found in importlib.metadata.distributions(name="caiman"):
        about = found.metadata
        text = f"{about.get('Summary', '')} {about.get('Home-page', '')} {about.get_all('Project-URL') or ''}"
        kind = "namesake" if re.search(r"micropython|andreicsp", text, re.IGNORECASE) else "real"
        versions.setdefault(kind, found.version or "")
    return versions


def _judged(folder: Path, versions: dict[str, str]) -> CaimanHere:
    """Say whether the lessons can run on the CaImAn in a folder."""
    version = versions.get("real", "")
    found, problem, fix = f"CaImAn {version or 'of unknown version'} in {folder}", problem_of(version), ""
    if problem:
        found, fix = f"{problem} (in {folder})", UPDATE
    elif "namesake" in versions or (folder / "deployment.py").is_file():
        found += ", mixed with another package called caiman (a build tool for MicroPython)"
        fix = f"it may work; better make a new environment ({INSTALL}) and never pip install caiman into it"
    return CaimanHere("real", found, version, str(folder), not problem, fix)


def problem_of(version: str) -> str:
    """
    Say why a version of CaImAn can't be used.

    Parameters
    ----------
    version : str
        Of CaImAn.

    Returns
    -------
    str
        The reason; empty if it can be used, or if the version isn't known.
    """
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if len(numbers) < 2:
        return ""
    if numbers < _OLDEST:
        return f"CaImAn {version} is too old for the lessons, which need 1.12 or newer"
    numpy = importlib.metadata.version("numpy")
    # 1.12 pins numpy below 2 and uses names that 2 has dropped; it fails late, when it saves (CaImAn #1354).
    if numbers < (1, 13) and int(numpy.split(".")[0]) >= 2:
        return f"CaImAn {version} needs NumPy below 2, and NumPy {numpy} is installed"
    return ""
