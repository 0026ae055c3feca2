"""Read notebooks as they lie on disk: parameters (also to set them), source, and the cell that failed."""

from __future__ import annotations

import ast
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnmf_engine.base.errors import InputError, explain

__all__ = [
    "Failure",
    "cells",
    "find_failure",
    "parameters_of",
    "set_parameters",
    "source_hash",
    "tags_of",
    "text_of",
    "title_of",
]

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Failure:
    """
    The cell that stopped a notebook.

    Attributes
    ----------
    number : int
        Position of the cell among all cells, from 1.
    source : str
        Its code.
    error : str
        Kind and text of the error, without the stack trace.
    """

    number: int
    source: str
    error: str


def cells(path: str | Path) -> list[dict[str, Any]]:
    """
    Read the cells of a notebook.

    Parameters
    ----------
    path : path-like
        A notebook of format 4.

    Returns
    -------
    list of dict
        As in the file.

    Raises
    ------
    InputError
        It isn't a notebook.
    """
    try:
        return list(json.loads(Path(path).read_text(encoding="utf-8"))["cells"])
    except (ValueError, KeyError, TypeError) as error:
        found = f"a file that can't be read as one ({type(error).__name__}: {error})"
        raise InputError(explain(f"a notebook in {path}", found, "restore or build it again")) from error


def text_of(part: str | list[str] | None) -> str:
    """
    Join a text that notebooks keep either whole or in lines.

    Parameters
    ----------
    part : str, list of str or None
        ``source``, ``text`` or an entry of ``data``.

    Returns
    -------
    str
        The text.
    """
    return "".join(part) if isinstance(part, list) else (part or "")


def tags_of(cell: dict[str, Any]) -> list[str]:
    """
    List a cell's tags.

    Parameters
    ----------
    cell : dict
        From `cells`.

    Returns
    -------
    list of str
        Its tags.
    """
    return list(cell.get("metadata", {}).get("tags", []))


def title_of(path: str | Path) -> str:
    """
    Get a notebook's first heading.

    Parameters
    ----------
    path : path-like
        A notebook.

    Returns
    -------
    str
        The heading, or the file's name if it has none.
    """
    for cell in cells(path):
        heading = re.search(r"^#+ +(.+)$", text_of(cell["source"]), re.MULTILINE)
        if cell["cell_type"] == "markdown" and heading:
            return heading.group(1).strip()
    return Path(path).stem


def parameters_of(path: str | Path) -> dict[str, Any]:
    """
    Read the parameters that a notebook declares.

    Parameters
    ----------
    path : path-like
        A notebook with a cell tagged ``parameters``.

    Returns
    -------
    dict of str to object
        Name to default, in order. A default that isn't a plain value is given as its source text.
    """
    found: dict[str, Any] = {}
    for cell in cells(path):
        if "parameters" in tags_of(cell):
            for node in ast.parse(text_of(cell["source"])).body:
                if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                    found[node.targets[0].id] = _literal(node.value)
    return found


def set_parameters(path: str | Path, values: Mapping[str, Any]) -> str:
    """
    Give the parameters of a notebook other values; nothing else in it changes, and no file is written.

    Parameters
    ----------
    path : path-like
        A notebook with a cell tagged ``parameters``.
    values : mapping of str to object
        Name to plain value. Names that the notebook doesn't declare are left out.

    Returns
    -------
    str
        The notebook's text. Comments, cell ids and the order of everything stay as they are.

    Raises
    ------
    InputError
        It isn't a notebook.
    """
    cells(path)
    notebook = json.loads(Path(path).read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        if "parameters" in tags_of(cell):
            source = _assign(text_of(cell["source"]), values)
            cell["source"] = source.splitlines(keepends=True) if isinstance(cell["source"], list) else source
    # As Jupyter and nbformat write them.
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def source_hash(path: str | Path) -> str:
    """
    Recognise a notebook's code, whatever its outputs and texts are.

    Parameters
    ----------
    path : path-like
        A notebook.

    Returns
    -------
    str
        SHA-256 of its code cells, hexadecimal.
    """
    code = [text_of(cell["source"]) for cell in cells(path) if cell["cell_type"] == "code"]
    return hashlib.sha256(json.dumps(code).encode()).hexdigest()


def find_failure(path: str | Path) -> Failure | None:
    """
    Find the cell that failed in an executed notebook.

    Parameters
    ----------
    path : path-like
        A notebook, perhaps executed only in part.

    Returns
    -------
    Failure or None
        The first cell with an error that its tag ``raises-exception`` doesn't announce.
    """
    for number, cell in enumerate(cells(path), 1):
        if "raises-exception" in tags_of(cell):
            continue
        for output in cell.get("outputs", []):
            if output.get("output_type") == "error":
                error = _COLOURS.sub("", f"{output.get('ename', 'Error')}: {output.get('evalue', '')}")
                return Failure(number, text_of(cell["source"]), error.rstrip(": "))
    return None


def _assign(source: str, values: Mapping[str, Any]) -> str:
    """Replace values in lines like `name = value  # what it is`, from the last to the first."""
    lines = source.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line.encode()))
    raw = source.encode()  # ast counts columns in bytes of UTF-8
    for node in reversed(ast.parse(source).body):
        if not (isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)):
            continue
        name, old = node.targets[0].id, node.value
        if name in values and _literal(old) != values[name]:
            first = starts[old.lineno - 1] + old.col_offset
            last = starts[(old.end_lineno or old.lineno) - 1] + (old.end_col_offset or 0)
            raw = raw[:first] + _written(values[name]).encode() + raw[last:]
    return raw.decode()


def _written(value: Any) -> str:
    try:
        ast.literal_eval(repr(value))
    except (ValueError, SyntaxError) as error:
        fix = "put it into quotes, for example -p 'name=\"2024-01-01\"'"
        raise InputError(explain("a plain value (number, text, list)", repr(value), fix)) from error
    # The lessons write texts in double quotes; what JSON escapes, Python reads the same.
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        return ast.unparse(node)
