"""
Choose between CaImAn and the embedded engine, in one place.

A lesson's only line that knows about engines is::

    from workshop_utils.engine import cm, cnmf, params, MotionCorrect, load_CNMF

The environment variable ``WORKSHOP_ENGINE`` chooses: ``auto`` (CaImAn if the real one can be imported, else
the embedded engine), ``caiman`` or ``embedded``. A choice that can't be met is an error, never another
engine. Nothing is imported before one of the names is asked for.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
from importlib.machinery import PathFinder
from typing import Any, NamedTuple

from cnmf_engine.errors import ParameterError, explain, nearest

__all__ = [
    "CHOICES",
    "ENGINE",
    "Engine",
    "EngineError",
    "MotionCorrect",
    "cm",
    "cnmf",
    "find_engine",
    "load_CNMF",
    "params",
    "plain_filter",
]

CHOICES = ("auto", "caiman", "embedded")
_NAMES = ("cm", "cnmf", "params", "MotionCorrect", "load_CNMF", "ENGINE")
# What an installation that doesn't fit (wrong numpy, missing library) raises when it is imported.
_BROKEN = (ImportError, AttributeError, OSError, RuntimeError, TypeError, ValueError)
_INSTALL = (
    "conda env create -f environment.yml installs CaImAn from conda-forge; "
    "WORKSHOP_ENGINE=auto or embedded runs the lessons without it"
)

# Filled when first asked for, see __getattr__.
cm: Any
cnmf: Any
params: Any
MotionCorrect: Any
load_CNMF: Any
ENGINE: Engine


class EngineError(ImportError):
    """The engine that was asked for can't be used here."""

    def _render_traceback_(self) -> list[str]:
        # IPython shows this instead of a stack trace: nothing in the code is wrong.
        return str(self).splitlines()


class Engine(NamedTuple):
    """Which engine runs: its name (``'caiman'`` or ``'embedded'``), its version, and why this one."""

    name: str
    version: str
    reason: str

    def __str__(self) -> str:
        title = "CaImAn" if self.name == "caiman" else "embedded engine (cnmf_engine)"
        return f"Engine: {title} {self.version}: {self.reason}"


def find_engine(choice: str | None = None) -> Engine:
    """
    Say which engine would run, without importing it.

    Parameters
    ----------
    choice : {'auto', 'caiman', 'embedded'}, optional
        By default the environment variable ``WORKSHOP_ENGINE``, else ``'auto'``.

    Returns
    -------
    Engine
        Name, version and reason.

    Raises
    ------
    ParameterError
        The choice isn't one of the three.
    EngineError
        CaImAn was asked for and isn't installed.
    """
    choice = _checked(choice)
    if choice == "embedded":
        return Engine("embedded", _version("cnmf_engine"), "chosen with WORKSHOP_ENGINE=embedded")
    real, found = _look_for_caiman()
    if real:
        why = "chosen with WORKSHOP_ENGINE=caiman" if choice == "caiman" else "it is installed"
        return Engine("caiman", _version("caiman"), why)
    if choice == "caiman":
        raise EngineError(
            explain("CaImAn (the calcium imaging package), as WORKSHOP_ENGINE=caiman asks", found, _INSTALL)
        )
    return Engine("embedded", _version("cnmf_engine"), f"{found} here")


def plain_filter() -> dict[str, str]:
    """
    Ask for CaImAn's own filter in motion correction, whichever engine runs.

    The embedded engine's default weights sizes by measured noise: a wrong `gSig_filt` hardly shows in it.

    Returns
    -------
    dict
        Further keywords for `MotionCorrect`; none for CaImAn, which has no other filter.
    """
    from workshop_utils.engine import ENGINE as engine

    return {"filter_mode": "caiman"} if engine.name == "embedded" else {}


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    loaded = _load()
    globals().update(loaded)
    print(loaded["ENGINE"])
    return loaded[name]


def _load() -> dict[str, Any]:
    engine = find_engine()
    if engine.name == "embedded":
        return _import_embedded(engine)
    try:
        return _import_caiman(engine)
    except _BROKEN as error:
        found = (
            f"CaImAn {engine.version} is installed but can't be imported ({type(error).__name__}: {error})"
        )
        if _checked(None) == "caiman":
            message = explain(
                "a CaImAn that can be imported, as WORKSHOP_ENGINE=caiman asks", found, _INSTALL
            )
            raise EngineError(message) from error
        return _import_embedded(Engine("embedded", _version("cnmf_engine"), found))


def _import_caiman(engine: Engine) -> dict[str, Any]:
    cm = importlib.import_module("caiman")
    # The lessons reach these two as attributes of `cm`, which importing caiman alone doesn't promise.
    importlib.import_module("caiman.summary_images")
    importlib.import_module("caiman.utils.visualization")
    package = "caiman.source_extraction.cnmf"
    return {
        "cm": cm,
        "cnmf": importlib.import_module(package),
        "params": importlib.import_module(f"{package}.params"),
        "MotionCorrect": importlib.import_module("caiman.motion_correction").MotionCorrect,
        "load_CNMF": importlib.import_module(f"{package}.cnmf").load_CNMF,
        "ENGINE": engine,
    }


def _import_embedded(engine: Engine) -> dict[str, Any]:
    return {
        "cm": importlib.import_module("cnmf_engine"),
        "cnmf": importlib.import_module("cnmf_engine.cnmf"),
        "params": importlib.import_module("cnmf_engine.params"),
        "MotionCorrect": importlib.import_module("cnmf_engine.motion").MotionCorrect,
        "load_CNMF": importlib.import_module("cnmf_engine.storage").load_CNMF,
        "ENGINE": engine,
    }


def _checked(choice: str | None) -> str:
    value = (choice or os.environ.get("WORKSHOP_ENGINE") or "auto").strip().lower()
    if value not in CHOICES:
        hint = nearest(value, CHOICES) or "auto"
        raise ParameterError(
            explain(
                f"WORKSHOP_ENGINE to be one of {', '.join(CHOICES)}",
                f"{value!r}",
                f"set WORKSHOP_ENGINE={hint}",
            )
        )
    return value


def _look_for_caiman() -> tuple[bool, str]:
    """Tell the real CaImAn from its namesake on PyPI by what is in the package, without running either."""
    try:
        spec = importlib.util.find_spec("caiman")
    except ValueError:  # a module in sys.modules without a spec
        spec = None
    if spec is None:
        return False, "CaImAn isn't installed"
    inside = PathFinder.find_spec("caiman.source_extraction", spec.submodule_search_locations or [])
    if inside is not None:
        return True, "it is installed"
    where = spec.origin or "this environment"
    return False, f"the package 'caiman' in {where} is another one (a MicroPython tool), not CaImAn"


def _version(package: str) -> str:
    try:
        return importlib.metadata.version({"cnmf_engine": "calcium-workshop"}.get(package, package))
    except importlib.metadata.PackageNotFoundError:
        return "of unknown version"
