"""
Heavy working files on a fast disk, and a copy of those that later lessons need with the results.

In Colab the results lie on Drive, which stays but is slow; the machine's own disk is fast but gone after a
disconnect. A memory map is read in many small pieces, so it is used from the fast disk, and fetched from the
results folder when a new machine has none. The environment variable ``WORKSHOP_SCRATCH`` names a folder on
the fast disk; without it everything is in the results folder and nothing here copies anything.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from cnmf_engine.base.errors import InputError, explain
from workshop_utils.files import human_bytes
from workshop_utils.movies.copying import copy_file

__all__ = ["fetch", "folder_for", "keep"]

_HEAVY = (".mmap",)


def folder_for(results: Path) -> Path:
    """
    Say where the working files of a results folder go.

    Parameters
    ----------
    results : pathlib.Path
        The results folder, absolute.

    Returns
    -------
    pathlib.Path
        A folder inside the one that ``WORKSHOP_SCRATCH`` names, one for each results folder; it is made. The
        results folder itself where nothing is named.

    Raises
    ------
    InputError
        The folder can't be made.
    """
    root = os.environ.get("WORKSHOP_SCRATCH")
    if not root:
        return results
    # Two results folders may have the same name.
    mark = hashlib.sha256(str(results).encode()).hexdigest()[:8]
    folder = Path(root).expanduser().resolve() / f"{results.name}-{mark}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        expected = f"a folder for working files at {folder}, as WORKSHOP_SCRATCH asks"
        fix = "name a folder that can be written to in WORKSHOP_SCRATCH, or unset it"
        raise InputError(explain(expected, f"{type(error).__name__}: {error}", fix)) from error
    return folder


def keep(value: Any, scratch: Path, results: Path) -> Any:
    """
    Copy a working file that a step notes into the results folder.

    Parameters
    ----------
    value : object
        What is noted; only a path inside `scratch` is touched.
    scratch, results : pathlib.Path
        Of the session.

    Returns
    -------
    object
        The copy's path; `value` for everything else. A file that doesn't fit stays where it is: a line says
        what that means, because losing the step's result would be worse.
    """
    if scratch == results or not isinstance(value, Path) or not value.is_relative_to(scratch):
        return value
    target = results / value.relative_to(scratch)
    try:
        copy_file(value, target)
    except (InputError, OSError) as problem:
        size = human_bytes(value.stat().st_size)
        print(
            f"{value.name} ({size}) is not kept in {results}: {problem}\n"
            "It is used from this machine's disk; after a disconnect its lesson has to be run again."
        )
        return value
    return target


def fetch(value: Any, scratch: Path, results: Path) -> Any:
    """
    Give a working file on the fast disk, copying it there if it isn't yet.

    Parameters
    ----------
    value : object
        What a step noted; only a memory map inside `results` is touched.
    scratch, results : pathlib.Path
        Of the session.

    Returns
    -------
    object
        The path on the fast disk; `value` for everything else.
    """
    if scratch == results or not isinstance(value, Path) or value.suffix not in _HEAVY:
        return value
    if not value.is_relative_to(results):
        return value
    local = scratch / value.relative_to(results)
    copy_file(value, local)
    return local
