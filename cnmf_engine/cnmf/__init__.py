"""CNMF-E, under the names that CaImAn's package of this name offers."""

from __future__ import annotations

import importlib
from types import SimpleNamespace
from typing import Any

__all__ = ["CNMF", "cnmf", "deconvolution", "estimates", "initialization", "load_CNMF", "params"]

_ELSEWHERE = {"estimates": "cnmf_engine.estimates", "params": "cnmf_engine.params"}
_HERE = ("background", "deconvolution", "initialization", "merging", "model", "spatial", "temporal")


def __getattr__(name: str) -> Any:
    if name == "CNMF":
        return importlib.import_module(".model", __name__).CNMF
    if name == "load_CNMF":
        return importlib.import_module("cnmf_engine.storage").load_CNMF
    if name == "cnmf":
        return SimpleNamespace(CNMF=__getattr__("CNMF"), load_CNMF=__getattr__("load_CNMF"))
    if name in _ELSEWHERE:
        return importlib.import_module(_ELSEWHERE[name])
    if name in _HERE:
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
