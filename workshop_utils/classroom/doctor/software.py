"""Python, packages, engine, and what shows notebooks: whether they are here and work together."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from workshop_utils.classroom.doctor.checks import Check, Fault, looked, parts_of, pip_install

__all__ = ["Imports", "caiman", "front_end", "packages", "python", "version_of", "workshop"]

DISTRIBUTION = "calcium-workshop"
# Of the packages: a checkout, or where packages are installed.
_FOLDER = Path(__file__).resolve().parents[3]
# All of them hold the module cv2, and conda calls its own by any of these names.
_SAME = {
    "opencv-python-headless": ("opencv-python", "opencv-contrib-python-headless", "opencv-contrib-python")
}
#: Modules with compiled parts: installed isn't yet working, above all after a change of NumPy.
_COMPILED = {
    "numpy": "numpy",
    "scipy.sparse.linalg": "scipy",
    "numba": "numba",
    "cv2": "opencv-python-headless",
    "h5py": "h5py",
    "matplotlib.pyplot": "matplotlib",
    "bokeh.plotting": "bokeh",
    "tifffile": "tifffile",
}
# ipywidgets' Python part and its part in the browser change together.
_BROWSER_PART = {7: 1, 8: 3}
_MARK = "workshop doctor: "
_PATIENCE = 180.0
_CHILD = f"""
import importlib, json
told = {{"broken": {{}}}}
for name in {list(_COMPILED)!r}:
    try:
        importlib.import_module(name)
    except BaseException as error:
        told["broken"][name] = f"{{type(error).__name__}}: {{error}}"
try:
    from workshop_utils.engine import ENGINE, MotionCorrect, cm, cnmf, load_CNMF, params
    told["engine"] = str(ENGINE)
except BaseException as error:
    told["failed"] = f"{{type(error).__name__}}: {{error}}"
print({_MARK!r} + json.dumps(told))
"""


def packages() -> Iterator[Check]:
    """Say whether all packages are installed that the workshop needs at run time; a line each that isn't."""
    faults: list[Check] = []
    found: list[str] = []

    def look() -> str:
        for requirement in _needed():
            one = looked(requirement.name, lambda requirement=requirement: _package(requirement))
            (found if one.ok else faults).append(one.found if one.ok else one)
        wrong = f", {len(faults)} are not" if faults else ""
        return f"{len(found)} packages are installed in versions that fit{wrong}"

    summary = looked("packages", look)
    if not faults:
        yield summary
    yield from faults


class Imports:
    """
    Import the engine and the compiled libraries in a Python of their own.

    A broken library can end the process that imports it, and what is imported here first would be what the
    notebook gets. It runs while the other checks do.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen | None = None
        # What this process finds modules in, a checkout that isn't installed among it.
        path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH", ""), str(_FOLDER)]))
        with contextlib.suppress(OSError, ValueError):
            self._process = subprocess.Popen(
                [sys.executable, "-c", _CHILD],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": path, "PYTHONIOENCODING": "utf-8"},
            )

    def checks(self) -> Iterator[Check]:
        """Give what has been found: a line for each broken library, and one for the engine."""
        told: dict[str, Any] = {}
        engine = looked("engine", lambda: self._engine(told))
        for module, problem in told.get("broken", {}).items():
            # What isn't installed at all has its line among the packages.
            if f"No module named '{module.split('.')[0]}'" not in problem:
                found = f"is installed but can't be imported ({' '.join(problem.split())[:300]})"
                yield Check(module, False, found, pip_install("--force-reinstall", _COMPILED[module]))
        yield engine

    def _engine(self, told: dict[str, Any]) -> str:
        from workshop_utils.engine import find_engine

        chosen = find_engine()
        if self._process is None:
            return f"{str(chosen).removeprefix('Engine: ')} (not imported: no second Python could be started)"
        try:
            out, errors = self._process.communicate(timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
            raise Fault(
                f"importing it took longer than {_PATIENCE:.0f} s",
                "close other programs and try again; a slow network drive with Python on it can be the cause",
            ) from None
        lines = out.decode(errors="replace").splitlines()
        answer = next((line for line in reversed(lines) if line.startswith(_MARK)), None)
        if answer is None:
            last = (errors.decode(errors="replace").strip().splitlines() or ["without a word"])[-1]
            raise Fault(
                f"importing it ended Python (exit code {self._process.returncode}: {last})",
                "make a new environment and install the workshop into it",
            )
        told |= json.loads(answer.removeprefix(_MARK))
        if "engine" in told:
            return told["engine"].removeprefix("Engine: ")
        mends = pip_install("--force-reinstall", DISTRIBUTION) + ", or from the file you installed it from"
        if chosen.name == "caiman":
            mends = (
                "WORKSHOP_ENGINE=embedded runs the lessons without CaImAn; conda env create -f "
                "environment.yml makes a new environment with it"
            )
        _, found, fix = parts_of(told["failed"]) or ("", told["failed"], mends)
        raise Fault(f"{chosen.name} was chosen and can't be imported: {' '.join(found.split())}", fix)


def front_end() -> Iterator[Check]:
    """Look at the place, at Drive in Colab, and at what shows notebooks, widgets and plots."""
    from workshop_utils.places import where

    place = where()
    yield looked("place", lambda: str(place))
    if place.name == "Colab":
        yield looked("Drive", _drive)
        yield looked("workshop folder", _folder)
    if place.name == "terminal":
        yield looked("notebooks", _notebooks)
    yield looked("widgets", lambda: _widgets(place.name))
    yield looked("plots", _plots)
    yield looked("whole runs", _whole_runs)


def version_of(distribution: str) -> str | None:
    """Give the installed version of a package; None if it isn't installed."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def python() -> str:
    """Say whether this Python is one that the workshop runs on."""
    from packaging.specifiers import SpecifierSet

    version = ".".join(map(str, sys.version_info[:3]))
    wanted = _about()[0]
    if not SpecifierSet(wanted).contains(version, prereleases=True):
        raise Fault(
            f"{version}, and the workshop needs {wanted}",
            "conda create -n workshop python=3.12 (or Python 3.12 from python.org), and install the workshop "
            "there",
        )
    return f"{version} ({sys.executable})"


def workshop() -> str:
    """Say which copy of the workshop this is."""
    from workshop_utils import __version__

    if version_of(DISTRIBUTION) is None:
        return (
            f"{__version__} in {_FOLDER}, not installed; {pip_install(str(_FOLDER))} makes the command "
            "`workshop` and brings the packages"
        )
    return f"{__version__} in {_FOLDER}"


def _about() -> tuple[str, list[str]]:
    """Tell the Python and the packages that are needed, of an installed workshop or of a checkout."""
    try:
        about = importlib.metadata.metadata(DISTRIBUTION)
        return about.get("Requires-Python") or "", importlib.metadata.requires(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        import tomllib

        project = tomllib.loads((_FOLDER / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        return project["requires-python"], project["dependencies"]


def _needed() -> Iterator[Any]:
    from packaging.requirements import Requirement

    for line in _about()[1]:
        requirement = Requirement(line)
        # Extras are marked as `extra == "name"`: with none chosen these aren't needed.
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield requirement


def _package(requirement: Any) -> str:
    wanted = f"{requirement.name}{requirement.specifier}"
    for name in (requirement.name, *_SAME.get(requirement.name, ())):
        version = version_of(name)
        if version is None:
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            raise Fault(f"{version} is installed, needed is {requirement.specifier}", pip_install(wanted))
        return f"{name} {version}"
    raise Fault(f"not installed, needed is {requirement.specifier or 'any version'}", pip_install(wanted))


def caiman() -> str:
    """Say whether there is a CaImAn, and whether it is CaImAn."""
    from workshop_utils.engine.installed import caiman_here

    here = caiman_here()
    if here.kind == "none":
        return f"{here.found}; the lessons run on the embedded engine"
    # A real one may be usable and still be mixed with its namesake.
    if here.fix:
        raise Fault(here.found, here.fix)
    return here.found


def _drive() -> str:
    from workshop_utils import colab

    point = colab.mount_point()
    if not colab.mounted():
        raise Fault(
            f"not mounted at {point}, so results are gone when this machine is closed",
            "run the lesson's first code cells again and allow access in the window that opens",
        )
    return f"mounted at {point}"


def _folder() -> str:
    from workshop_utils import colab

    copy = colab.mount_point().parent / colab.LOCAL_FOLDER
    if copy.is_dir():
        return f"copied to {copy.resolve()}"
    return f"{colab.find_folder()}, not copied yet: the lesson's first cell does that"


def _notebooks() -> str:
    lab, classic, kernel = (version_of(name) for name in ("jupyterlab", "notebook", "ipykernel"))
    if lab:
        return f"JupyterLab {lab}, started with `jupyter lab`"
    if classic:
        return f"Jupyter Notebook {classic}, started with `jupyter notebook`"
    if kernel:
        return f"ipykernel {kernel}, with which VS Code opens them; no JupyterLab here"
    raise Fault("nothing here opens notebooks", pip_install("jupyterlab"))


def _widgets(place: str) -> str:
    here, anywidget = version_of("ipywidgets"), version_of("anywidget")
    if here is None or anywidget is None:
        missing = [name for name, version in (("ipywidgets", here), ("anywidget", anywidget)) if not version]
        raise Fault(f"{' and '.join(missing)} not installed", pip_install(*missing))
    browser, wanted = version_of("jupyterlab_widgets"), _BROWSER_PART.get(int(here.split(".")[0]))
    # Colab, Kaggle and VS Code bring their own part for the browser.
    in_browser = place in ("JupyterLab", "Jupyter", "Binder", "terminal")
    if in_browser and browser and wanted and int(browser.split(".")[0]) != wanted:
        raise Fault(
            f"ipywidgets {here} and jupyterlab_widgets {browser} don't belong together: sliders stay empty",
            f"{pip_install(f'jupyterlab_widgets=={wanted}.*')}; then start Jupyter again",
        )
    hint = "; allow VS Code to download their scripts when it asks" if place == "VS Code" else ""
    return f"ipywidgets {here}, anywidget {anywidget}{hint}"


def _plots() -> str:
    from cnmf_engine.view.resources import bokeh_resources

    if bokeh_resources().mode == "cdn":
        return f"bokeh {version_of('bokeh')}, its scripts come from the internet"
    return f"bokeh {version_of('bokeh')}, its scripts come from the package: works without internet"


def _whole_runs() -> str:
    version = version_of("papermill")
    if version is None:
        return "no papermill; only `workshop run` needs it, and a lesson that offers to run others brings it"
    return f"papermill {version}, for `workshop run`"
