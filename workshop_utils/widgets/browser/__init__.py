"""
Browse components in the page: click a cell, step through the list, zoom into its trace, without a kernel.

The page holds its data, so it works in every front end, in a saved notebook, and as an HTML file of its own.
"""

from __future__ import annotations

import importlib

_HOMES = {
    "show": ["ComponentBrowser", "component_browser"],
    "table": ["ComponentTable", "component_table"],
    "packing": ["PackedTraces", "binned", "pack_traces"],
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return __all__
