"""The names that prose may put in backticks: of code, files, commands and environment variables."""

from __future__ import annotations

import ast
import builtins
import difflib
import functools
import importlib
import inspect
import io
import itertools
import keyword
import re
import tokenize
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from prose import ROOT, SOURCES, code
from prose_values import Code
from test_notebook_names import chain

_PACKAGES = ("cnmf_engine", "workshop_utils")
_ENDINGS = "csv|py|ipynb|tif|tiff|npz|npy|json|html|hdf5|h5|mmap|md|txt|toml|yml|nwb|whl|mp4|webm|avi|js|ini"
_FILE = re.compile(rf"[^\s()=,\"']*(?:\.(?:{_ENDINGS})|/[^\s()=,\"']*)", re.IGNORECASE)
#: What stands for something else: `..._d1_ROWS_...`, `*.mmap`, `{movie}`, `NN_name.py`, `<folder>`.
_PATTERN = re.compile(r"\.\.\.|[*{}<>|$^]|\b(NN|\d\d)_name|_[A-Z]{3,}_|\bd1_")
#: Checksums; and a sentence quoted as somebody would type it, such as the subject of a commit.
_QUOTED = re.compile(r"[0-9a-f]{32,}|[A-Z]?[a-z]+( [a-z]+){3,}")
_PROGRAMS = {
    "workshop", "make", "jupyter", "pip", "python", "conda", "papermill", "git", "nbval", "pre-commit",
    "ruff", "pytest", "jupytext", "mamba", "typos",
}  # fmt: skip


@functools.cache
def sources_text() -> str:
    """Join all code, and the files that hold names: what no file says doesn't exist."""
    folders = [ROOT / name for name in (*_PACKAGES, "tools", "benchmarks", "gallery", "notebooks/py")]
    files = [path for folder in folders if folder.is_dir() for path in folder.rglob("*.*")]
    files += [
        ROOT / "Makefile",
        ROOT / "pyproject.toml",
        ROOT / "data" / "registry.json",
        ROOT / ".gitignore",
        ROOT / "tests" / "conftest.py",
    ]
    kept = {".py", ".js", ".j2", ".json", ".toml", ""}
    return "\n".join(
        path.read_text(encoding="utf-8", errors="replace")
        if path.suffix != ".py" or "notebooks" not in path.parts
        else code(path)  # a lesson's text is no evidence for what it says
        for path in sorted(files)
        if path.suffix in kept and path.is_file() and "__pycache__" not in path.parts
    )


@functools.cache
def roots() -> dict[str, Any]:
    """Give the objects that the lessons' dotted names start from."""
    from cnmf_engine.caiman.estimates import Estimates
    from cnmf_engine.caiman.params import CNMFParams
    from cnmf_engine.cnmf import CNMF

    opts = CNMFParams()
    modules = {
        "cm": "cnmf_engine",
        "cnmf": "cnmf_engine.cnmf",
        "params": "cnmf_engine.caiman.params",
        "np": "numpy",
    }
    modules |= {"plt": "matplotlib.pyplot", "scipy": "scipy", "os": "os"}
    for path in (ROOT / "workshop_utils").iterdir():
        if path.suffix == ".py" or (path / "__init__.py").is_file():
            modules[path.stem] = f"workshop_utils.{path.stem}"
    for path in SOURCES:
        for node in ast.walk(ast.parse(code(path))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("workshop_utils."):
                inside = ROOT.joinpath(*node.module.split("."))
                named = {alias.name for alias in node.names if (inside / f"{alias.name}.py").is_file()}
                named |= {
                    alias.name for alias in node.names if (inside / alias.name / "__init__.py").is_file()
                }
                modules |= {name: f"{node.module}.{name}" for name in named}
    found: dict[str, Any] = {name: _Lazy(module) for name, module in modules.items()}
    found |= {"opts": opts, "cnm": CNMF(1, params=opts), "estimates": Estimates()}
    return found


class _Lazy:
    """A module that is imported when its names are asked for."""

    def __init__(self, module: str) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module(self._module), name)


@functools.cache
def positional(name: str) -> tuple[str, ...]:
    """Name the parameters of a function of the workshop or the engine; none when it is another function."""
    first, *rest = name.split(".")
    value = roots().get(first)
    for part in rest:
        value = getattr(value, part, None)
    if not rest or not callable(value) or isinstance(value, _Lazy):
        return ()
    try:
        return tuple(inspect.signature(value).parameters)
    except (TypeError, ValueError):
        return ()


@functools.cache
def lesson_code(path: Path) -> Code:
    """Read what the code of a lesson says."""
    return Code(code(path), positional)


@functools.cache
def common() -> frozenset[str]:
    """List the names that exist for every lesson: Python's, NumPy's, the engine's, the helpers'."""
    import matplotlib.pyplot
    import numpy as np
    import scipy.sparse

    from cnmf_engine.caiman.motion_correction import MotionCorrect
    from cnmf_engine.caiman.movie import movie
    from cnmf_engine.caiman.param_table import ALIASES
    from cnmf_engine.caiman.params import rows

    found = {entry.key for entry in rows()} | {entry.group for entry in rows()} | set(ALIASES)
    objects = (
        builtins,
        np,
        np.ndarray,
        np.linalg,
        scipy.sparse.csc_matrix,
        str,
        dict,
        Path,
        MotionCorrect,
        movie,
    )
    for value in (*objects, matplotlib.pyplot, *(roots()[name] for name in ("opts", "cnm", "estimates"))):
        found |= set(dir(value))
    found |= {*keyword.kwlist, *roots(), "caiman", *_declared()}
    for path in itertools.chain(
        *((ROOT / name).rglob("*.py") for name in _PACKAGES), [ROOT / "tests/conftest.py"]
    ):
        found |= {path.stem, path.parent.name, *_defined(ast.parse(path.read_text(encoding="utf-8")))}
    return frozenset(found)


def _declared() -> set[str]:
    """List the packages that the project asks for, whatever is installed here."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    texts = [*project["dependencies"], *itertools.chain(*project["optional-dependencies"].values())]
    names = {Requirement(text).name for text in texts}
    return names | {name.replace("-", "_") for name in names}


def _defined(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from (part for alias in node.names for part in alias.name.split("."))
            yield from (getattr(node, "module", None) or "").split(".")
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
        elif isinstance(node, ast.Module):
            for line in node.body:
                if isinstance(line, ast.Assign):
                    yield from (target.id for target in line.targets if isinstance(target, ast.Name))


def known_to(path: Path) -> set[str]:
    """List the names that the prose of a file may use; a document may use those of all lessons."""
    lessons = [path] if path in SOURCES else SOURCES
    return set(common()).union(*(lesson_code(lesson).names for lesson in lessons))


def unknown(span: str, known: Iterable[str]) -> list[str]:
    """
    List what a code span names that doesn't exist.

    Parameters
    ----------
    span : str
        What is between the backticks.
    known : iterable of str
        Names that exist.

    Returns
    -------
    list of str
        Names as written. Single letters, quoted text, numbers, placeholders (`NN_name.py`, `*.mmap`) and
        options are never in it; a file has to exist or to be named in code, so has an environment variable.
    """
    text = " ".join(span.split())
    known = set(known)
    if _PATTERN.search(text) or _QUOTED.fullmatch(text) or not re.search(r"[A-Za-z]{2}", text):
        return []
    if text.startswith("-") or (text.split()[0].rsplit("/", 1)[-1] in _PROGRAMS and text not in known):
        return command_problems(text)
    if re.fullmatch(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+(=.*)?", text):
        return [] if text.split("=")[0] in sources_text() else [text.split("=")[0]]
    if _FILE.fullmatch(text):
        return [] if _exists(text) or Path(text).name in sources_text() else [text]
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return [word for word in _words(text) if word not in known and not in_code(word)]
    chains = [chain(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    lost = [".".join(names) for names in chains if names and not _reachable(names, known)]
    single = [name for node in ast.walk(tree) for name in _simple(node)]
    return lost + [name for name in single if len(name) > 1 and name not in known and not in_code(name)]


@functools.cache
def _files() -> tuple[str, ...]:
    kept = [folder for folder in ROOT.iterdir() if folder.is_dir() and not folder.name.startswith(".")]
    kept = [folder for folder in kept if folder.name not in ("results", "build", "dist")]
    return tuple(f"/{path.relative_to(ROOT).as_posix()}/" for folder in kept for path in folder.rglob("*"))


def _exists(name: str) -> bool:
    """Say whether a file or folder is there, by the end of its path."""
    wanted = f"/{name.rstrip('/')}/"
    return (ROOT / name).exists() or any(path.endswith(wanted) for path in _files())


def nearest(name: str, known: Iterable[str]) -> str:
    """Suggest what was meant."""
    found = difflib.get_close_matches(name.split(".")[-1], list(known), 1)
    return f"; did you mean `{found[0]}`?" if found else ""


def in_code(name: str) -> bool:
    """Quoted words in backticks without quotes, as tags and columns of tables are."""
    return bool(re.search(rf"[\"'/.-]{re.escape(name)}[\"'/.,-]", sources_text()))


def _words(text: str) -> list[str]:
    """Take the identifiers out of something that isn't Python."""
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    except (tokenize.TokenError, IndentationError, SyntaxError):
        return []
    return [t.string for t in tokens if t.type == tokenize.NAME and len(t.string) > 1]


def command_problems(text: str) -> list[str]:
    """List the goals, subcommands and files in a command line that don't exist."""
    program, *rest = text.split()
    program, first = program.rsplit("/", 1)[-1], rest[0] if rest else ""
    if program == "make" and first and "=" not in first:
        goals = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
        return [] if first in goals else [f"make {first}"]
    if program == "workshop" and first and not first.startswith("-"):
        from workshop_utils.cli import main

        return [] if first in main.commands else [f"workshop {first}"]
    return [
        word
        for word in rest
        if _FILE.fullmatch(word) and word.startswith(("tools/", "tests/", "notebooks/")) and unknown(word, ())
    ]


def _reachable(names: tuple[str, ...], known: set[str]) -> bool:
    value = roots().get(names[0])
    if names[0] not in roots():
        return True  # its parts are looked up one by one
    for name in names[1:]:
        if value is None or isinstance(value, (dict, int, float)):
            return True
        if not hasattr(value, name):
            return name in known and names[0] in ("estimates", "opts", "cnm")
        value = getattr(value, name)
    return True


def _simple(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Name):
        yield node.id
    elif isinstance(node, ast.Attribute):
        if not chain(node) or chain(node)[0] not in roots():
            yield node.attr
    elif isinstance(node, ast.keyword) and node.arg:
        yield node.arg
