"""What CaImAn keeps in ``caiman.utils``: the viewers and the demo data."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["utils", "visualization"]


def __getattr__(name: str) -> Any:
    if name == "visualization":
        # Imported when first used: the viewers load the plotting libraries.
        value = importlib.import_module("cnmf_engine.visualization")
    elif name == "utils":
        value = importlib.import_module("cnmf_engine.utils.utils")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
