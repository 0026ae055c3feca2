"""
One-photon calcium imaging with the interface of CaImAn.

``import cnmf_engine as cm`` gives the names that ``import caiman as cm`` gives, as far as a one-photon
(CNMF-E) analysis uses them. Everything is imported when it is first used, so that the import itself costs
next to nothing.
"""

from __future__ import annotations

import importlib
from types import SimpleNamespace
from typing import Any

from .compiling import ensure_cache

__version__ = "0.1.0"

# CaImAn's name -> module, attribute (None: the module itself).
_WHERE: dict[str, tuple[str, str | None]] = {
    "cluster": ("cluster", None),
    "cnmf": ("cnmf", None),
    "concatenate": ("movies", "concatenate"),
    "get_file_size": ("loading", "get_file_size"),
    "load": ("loading", "load"),
    "load_memmap": ("memmap", "load_memmap"),
    "load_movie_chain": ("loading", "load_movie_chain"),
    "local_correlations": ("summary_images", "local_correlations"),
    "mmapping": ("memmap", None),
    "motion_correction": ("motion", None),
    "movie": ("movies", "movie"),
    "paths": ("paths", None),
    "play_movie": ("playing", "play_movie"),
    "save_memmap": ("memmap", "save_memmap"),
    "save_memmap_each": ("memmap", "save_memmap_each"),
    "save_memmap_join": ("memmap", "save_memmap_join"),
    "start_server": ("cluster", "start_server"),
    "stop_server": ("cluster", "stop_server"),
    "summary_images": ("summary_images", None),
    "utils": ("utils", None),
}
# Kernels need a place before the first of them is made, wherever that is.
ensure_cache()

_MOVIES = ("concatenate", "get_file_size", "load", "load_movie_chain", "movie", "play_movie")

__all__ = [
    "__version__",
    "base",
    "source_extraction",
    *_WHERE,
]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        module_name, attribute = _WHERE[name]
        module = importlib.import_module(f"cnmf_engine.{module_name}")
        value = module if attribute is None else getattr(module, attribute)
    elif name == "base":
        value = SimpleNamespace(movies=SimpleNamespace(**{key: __getattr__(key) for key in _MOVIES}))
    elif name == "source_extraction":
        value = SimpleNamespace(cnmf=__getattr__("cnmf"))
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
