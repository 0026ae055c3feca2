"""
Look at a machine before the first lesson does, and say of each fault which command mends it.

This is what people run when things are broken: nothing here imports a library before it is asked about.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator

from workshop_utils.classroom.doctor import recording as subject
from workshop_utils.classroom.doctor import software
from workshop_utils.classroom.doctor.checks import Check, looked

__all__ = ["Check", "examine", "show"]


def examine(movie: str | os.PathLike = "demo", results: str | os.PathLike = "results") -> list[Check]:
    """
    Look whether the lessons can run here; nothing raises, a look that fails is one that isn't OK.

    Parameters
    ----------
    movie : str or path-like
        What the lessons would be given: ``'demo'``, a known name, a file or a folder. Nothing is downloaded.
    results : path-like
        The folder that would be written to. A small file is written there and removed again.

    Returns
    -------
    list of Check
        In the order in which one fault explains the next.
    """
    return list(_looks(os.fspath(movie).strip(), os.fspath(results)))


def show(movie: str | os.PathLike = "demo", results: str | os.PathLike = "results") -> bool:
    """
    Print whether the lessons can run here, a line for each thing; under a fault, what mends it.

    Arguments are as for `examine`. True if nothing has to be mended.
    """
    faults = []
    total = 0
    for check in _looks(os.fspath(movie).strip(), os.fspath(results)):
        print(check)
        total += 1
        if not check.ok:
            faults.append(check.name)
    print(f"\nTo mend: {', '.join(faults)}." if faults else f"\nAll is well ({total} checks).")
    return not faults


def _looks(movie: str, results: str) -> Iterator[Check]:
    imports = software.Imports()
    yield looked("Python", software.python)
    yield looked("workshop", software.workshop)
    yield from software.packages()
    yield looked("CaImAn", software.caiman)
    recording = subject.Recording(movie, results)
    groups: tuple[Callable[[], Iterable[Check]], ...] = (
        software.front_end,
        lambda: subject.movie(recording),
        lambda: subject.memory(recording),
        lambda: subject.folders(recording),
        imports.checks,
    )
    for group in groups:
        yield from _safely(group)


def _safely(group: Callable[[], Iterable[Check]]) -> Iterator[Check]:
    """Go on where a group of looks can't even begin, such as for want of a package it begins with."""
    found: list[Check] = []

    def run() -> str:
        found.extend(group())
        return ""

    whole = looked("further looks", run)
    yield from found
    if not whole.ok:
        yield whole
