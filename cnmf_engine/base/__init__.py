"""What knows nothing of movies or calcium: messages, files, memory, parallel work, compiled code."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["movies"]


def __getattr__(name: str) -> Any:
    # CaImAn's package of this name holds its movies.
    if name == "movies":
        return importlib.import_module(f"{__name__}.movies")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
