"""Every name that the lessons take from CaImAn's interface exists in the embedded engine, and in CaImAn."""

from __future__ import annotations

import ast
import importlib
import importlib.util
from pathlib import Path
from types import SimpleNamespace

import pytest

SOURCES = sorted((Path(__file__).resolve().parents[1] / "notebooks" / "py").glob("[0-9][0-9]_*.py"))
ROOTS = ("cm", "cnmf", "params", "estimates", "opts", "cnm")


def chain(node: ast.AST) -> tuple[str, ...]:
    """Turn `a.b.c` into ('a', 'b', 'c'); empty for anything that doesn't start at a plain name."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return (node.id, *reversed(names)) if isinstance(node, ast.Name) else ()


def used_names(source: str) -> set[tuple[str, ...]]:
    """Collect what a source reads from the roots; `x.estimates.y` counts as `estimates.y`."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Attribute) or not isinstance(node.ctx, ast.Load):
            continue
        names = chain(node)
        if "estimates" in names[1:-1]:
            names = names[names.index("estimates") :]
        if names and names[0] in ROOTS:
            found.add(names)
    return found


def assigned_names(source: str) -> set[tuple[str, ...]]:
    """Collect what a source itself puts on the objects, as `estimates.Cn = cn` does."""
    stores = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute))
    return {chain(node)[-2:] for node in stores if isinstance(node.ctx, ast.Store)}


def missing(names: set[tuple[str, ...]], roots: dict[str, object]) -> list[str]:
    """List the names that can't be reached from the objects or modules of an engine."""
    absent = []
    for root, *rest in sorted(names):
        value = roots[root]
        for name in rest:
            if not hasattr(value, name):
                absent.append(".".join((root, *rest)))
                break
            value = getattr(value, name)
            if value is None:  # a result that only a fit fills, so nothing can be said of what is in it
                break
    return absent


def engine_roots(kind: str) -> dict[str, object]:
    """Give the objects that the lessons' names start from."""
    if kind == "embedded":
        cm, cnmf = importlib.import_module("cnmf_engine"), importlib.import_module("cnmf_engine.cnmf")
        params = importlib.import_module("cnmf_engine.caiman.params")
        Estimates = importlib.import_module("cnmf_engine.caiman.estimates").Estimates
    else:
        cm, package = pytest.importorskip("caiman"), "caiman.source_extraction.cnmf"
        if importlib.util.find_spec("caiman.source_extraction") is None:
            pytest.skip("the package 'caiman' here is not CaImAn")
        importlib.import_module("caiman.utils.visualization")
        cnmf, params = importlib.import_module(package), importlib.import_module(f"{package}.params")
        Estimates = importlib.import_module(f"{package}.estimates").Estimates
    opts = params.CNMFParams()
    cnm = cnmf.CNMF(1, params=opts)
    return {"cm": cm, "cnmf": cnmf, "params": params, "opts": opts, "cnm": cnm, "estimates": Estimates()}


def test_collector_finds_chains_and_ignores_other_objects():
    source = "cm.a.b(1)\nx.cm.no()\ncnm.estimates.f(opts.g['h'])\nestimates.mine = 1\nother.z()"
    found = used_names(source)
    assert found >= {("cm", "a", "b"), ("estimates", "f"), ("opts", "g")}
    assert not {names for names in found if "no" in names or "z" in names or "mine" in names}
    assert assigned_names(source) == {("estimates", "mine")}


def test_missing_names_are_reported():
    roots = {"cm": SimpleNamespace(a=SimpleNamespace(b=1, A=None))}
    names = {("cm", "a", "b"), ("cm", "a", "c"), ("cm", "d"), ("cm", "a", "A", "shape")}
    assert missing(names, roots) == ["cm.a.c", "cm.d"]


def test_lessons_are_found_and_use_the_interface():
    assert [path.stem[:2] for path in SOURCES] == ["01", "02", "03", "04", "05", "06", "07"]
    everything = set().union(*(used_names(path.read_text(encoding="utf-8")) for path in SOURCES))
    central = {("cm", "load"), ("cm", "save_memmap"), ("cnmf", "CNMF"), ("estimates", "evaluate_components")}
    assert everything >= central


@pytest.mark.parametrize("kind", ["embedded", "caiman"])
@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_engine_has_every_name(path, kind):
    source = path.read_text(encoding="utf-8")
    own = set().union(*(assigned_names(other.read_text(encoding="utf-8")) for other in SOURCES))
    names = {name for name in used_names(source) if name[-2:] not in own}
    assert missing(names, engine_roots(kind)) == []


def test_only_the_engine_line_differs_from_caiman():
    for path in SOURCES:
        imports = [
            node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.ImportFrom)
        ]
        assert not [node for node in imports if (node.module or "").startswith("cnmf_engine")], path.name
        assert sum(node.module == "workshop_utils.engine" for node in imports) == 1, path.name
