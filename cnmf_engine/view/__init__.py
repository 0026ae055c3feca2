"""
CaImAn's own viewers: contours, component browsers, summary-image inspectors, the patch quilt.

Nothing here is imported with `cnmf_engine`: each name brings in its module, and with it matplotlib, bokeh or
holoviews, when it is first used. No viewer needs a desktop.
"""

from __future__ import annotations

import importlib

_HOMES = {
    "contours": ["get_contours"],
    "matplotlib_views": [
        "inspect_correlation_pnr",
        "plot_contours",
        "plot_contours_estimates",
        "view_quilt",
    ],
    "matplotlib_browser": ["view_components"],
    "traces": ["raw_traces"],
    "bokeh_views": ["nb_plot_contour", "nb_view_quilt", "plot_contours_nb"],
    "bokeh_browser": ["component_browser", "hv_view_components", "nb_view_components", "nb_view_patches"],
    "holoviews_views": ["nb_inspect_correlation_pnr"],
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return __all__
