"""
One-photon calcium imaging with the interface of CaImAn.

``import cnmf_engine as cm`` gives the names that ``import caiman as cm`` gives, as far as a one-photon
(CNMF-E) analysis uses them; modules are importable under CaImAn's paths too, for instance
``cnmf_engine.source_extraction.cnmf.params``. Beside them stand the stages themselves, functions with arrays
and options in and named results out; docs/stages.md shows the whole path in ten lines. Everything is imported
when it is first used, so that the import itself costs next to nothing.

Packages, each of which imports only those named after it: `caiman` (CaImAn's objects and files), `view`
(pictures), `stages` (the pipeline: arrays in, results out), `movies` (files and frames), `base` (errors,
memory, parallel work).
"""

from __future__ import annotations

import importlib
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from cnmf_engine.base.compiling import ensure_cache

__version__ = "0.1.0"

_CNMF = "source_extraction.cnmf"
# CaImAn's modules and ours.
_MODULES = {
    "base.movies": "caiman.movies",
    "cluster": "caiman.cluster",
    "cnmf": _CNMF,
    "mmapping": "caiman.mmapping",
    "motion_correction": "caiman.motion_correction",
    "paths": "base.paths",
    f"{_CNMF}.background": "stages.cnmfe.background",
    f"{_CNMF}.cnmf": "caiman.cnmf",
    f"{_CNMF}.deconvolution": "stages.deconvolution.foopsi",
    f"{_CNMF}.estimates": "caiman.estimates",
    f"{_CNMF}.initialization": "stages.cnmfe.initialization",
    f"{_CNMF}.merging": "stages.cnmfe.merging",
    f"{_CNMF}.params": "caiman.params",
    f"{_CNMF}.spatial": "stages.cnmfe.spatial",
    f"{_CNMF}.temporal": "stages.cnmfe.temporal",
    "summary_images": "stages.summary_images",
    "utils.utils": "caiman.utils",
    "utils.visualization": "view",
}
# CaImAn's packages, and where the other names are that they offer.
_PACKAGES = {
    "source_extraction": {},
    _CNMF: {"CNMF": "caiman.cnmf", "load_CNMF": "caiman.cnmf"},
    "utils": {},
}
_NAMES = {
    "concatenate": "caiman.movies",
    "get_file_size": "caiman.movies",
    "load": "caiman.movies",
    "load_movie_chain": "caiman.movies",
    "movie": "caiman.movies",
    "play_movie": "caiman.movies",
    "load_memmap": "caiman.mmapping",
    "save_memmap": "caiman.mmapping",
    "save_memmap_each": "caiman.mmapping",
    "save_memmap_join": "caiman.mmapping",
    "local_correlations": "stages.summary_images",
    "start_server": "caiman.cluster",
    "stop_server": "caiman.cluster",
}
# The pipeline as functions: arrays and options in, named results out (docs/stages.md).
_STAGES = {
    "Deconvolution": "stages.deconvolution.foopsi",
    "Filter": "stages.registration",
    "Limits": "stages.registration",
    "Merging": "stages.cnmfe.options",
    "Passes": "stages.registration",
    "Patches": "stages.cnmfe.options",
    "Pieces": "stages.registration",
    "Ring": "stages.cnmfe.options",
    "Run": "base.parallel",
    "Search": "stages.cnmfe.options",
    "Thresholds": "stages.thresholds",
    "background": "stages.reconstruction",
    "correlation_pnr": "stages.summary_images",
    "decide": "stages.quality",
    "fit_cnmfe": "stages.cnmfe.fit",
    "load_fit": "caiman.cnmf",
    "map_frames": "movies",
    "map_writer": "movies",
    "measure": "stages.quality",
    "open_movie": "movies",
    "refine": "stages.cnmfe.fit",
    "register": "stages.registration",
    "residual_traces": "stages.reconstruction",
    "save_fit": "caiman.cnmf",
}
_NAMES |= _STAGES
_TOP = sorted({name.split(".")[0] for name in (*_MODULES, *_PACKAGES)})

__all__ = ["__version__", *sorted(_NAMES), *_TOP]


def _below(package: str) -> list[str]:
    """Names of the modules and packages of CaImAn's directly below a package of CaImAn's."""
    inside = [
        name.removeprefix(f"{package}.") for name in (*_MODULES, *_PACKAGES) if name.startswith(f"{package}.")
    ]
    return sorted({name.split(".")[0] for name in inside})


class _CaimanPaths(MetaPathFinder, Loader):
    """Finds modules under CaImAn's paths: ours, or a package that has them as members."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        top, _, name = fullname.partition(".")
        name = f"source_extraction.{name}" if name.startswith("cnmf.") else name
        if top != __name__ or name not in (*_MODULES, *_PACKAGES):
            return None
        return ModuleSpec(fullname, self, loader_state=name, is_package=name in _PACKAGES)

    def exec_module(self, module: ModuleType) -> None:
        name = module.__spec__.loader_state
        if name in _MODULES:
            sys.modules[module.__name__] = importlib.import_module(f"{__name__}.{_MODULES[name]}")
            return
        members, names = _below(name), _PACKAGES[name]

        def member(wanted: str) -> Any:
            if wanted in members:
                return importlib.import_module(f"{module.__name__}.{wanted}")
            if wanted in names:
                return getattr(importlib.import_module(f"{__name__}.{names[wanted]}"), wanted)
            raise AttributeError(f"module {module.__name__!r} has no attribute {wanted!r}")

        module.__doc__ = "What CaImAn keeps in its package of this name."
        module.__all__ = sorted([*members, *names])
        module.__getattr__, module.__dir__ = member, lambda: module.__all__


sys.meta_path.append(_CaimanPaths())
# Kernels need a place before the first of them is made, wherever that is.
ensure_cache()


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        value = getattr(importlib.import_module(f"{__name__}.{_NAMES[name]}"), name)
    elif name in _TOP:
        value = importlib.import_module(f"{__name__}.{name}")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
