"""Read notebooks as they lie on disk: their parameters, their source, and the cell that failed."""

from __future__ import annotations

import ast
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnmf_engine.errors import InputError, explain

__all__ = [
    "Failure",
    "cells",
    "find_failure",
    "parameters_of",
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


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        return ast.unparse(node)
