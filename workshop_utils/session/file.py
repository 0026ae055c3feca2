"""Read and write `session.json`, the account of what is in a results folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cnmf_engine.base.errors import InputError, explain
from workshop_utils.files import write_text

__all__ = ["FILE_NAME", "VERSION", "read", "write"]

FILE_NAME = "session.json"
#: Raised when an older workshop could no longer read the file.
VERSION = 1


def read(folder: Path) -> dict[str, Any]:
    """
    Read the session of a results folder.

    Parameters
    ----------
    folder : pathlib.Path
        The results folder.

    Returns
    -------
    dict
        ``version`` and ``steps`` at least; without a file an empty session.

    Raises
    ------
    InputError
        The file can't be read, or a newer version of the workshop made it.
    """
    file = folder / FILE_NAME
    if not file.is_file():
        return {"version": VERSION, "steps": {}}
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        version = int(content["version"])
        if version <= VERSION:
            _check_steps(content["steps"])
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        found = f"a file that can't be read ({type(error).__name__}: {error})"
        raise InputError(
            explain(f"a session in {file}", found, "delete it and run the lessons again")
        ) from error
    if version > VERSION:
        found = f"version {version}, made by a newer workshop"
        fix = "update (pip install --upgrade calcium-workshop) or name another results folder"
        raise InputError(explain(f"a session of version {VERSION} in {file}", found, fix))
    return content


def _check_steps(steps: Any) -> None:
    """Raise TypeError unless each step is a dictionary that holds another, of values."""
    kinds = [steps, *steps.values()] if isinstance(steps, dict) else [steps]
    kinds += [step.get("values", {}) for step in kinds[1:] if isinstance(step, dict)]
    if not all(isinstance(one, dict) for one in kinds):
        raise TypeError("steps that aren't dictionaries")


def write(folder: Path, content: dict[str, Any]) -> None:
    """
    Write the session of a results folder, all of it or none of it.

    Parameters
    ----------
    folder : pathlib.Path
        The results folder.
    content : dict
        As `read` gives it.
    """
    write_text(folder / FILE_NAME, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
