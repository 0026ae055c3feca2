"""Checks of lesson 4: the width of a patch, and what one changed parameter does to a fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from workshop_utils.exercises.reading import is_empty, whole_number
from workshop_utils.exercises.verdict import Verdict, answering, no_answer, not_yet, right

if TYPE_CHECKING:
    from workshop_utils.measures.scoring import Score
    from workshop_utils.movies.truth import Truth

__all__ = ["LEAST", "LEAST_R", "one_change", "patch_half_width"]

_CELLS = 5
#: Smaller differences in F1, precision and recall, and in the traces' correlation, are chance.
LEAST, LEAST_R = 0.0005, 0.0015
# Cosine of two footprints from which on they are the same cell.
_SAME_CELL = 0.6


@answering
def patch_half_width(answer: Any, cell: float) -> Verdict:
    """
    Check the smallest `rf` with which a patch is at least five cells wide.

    Parameters
    ----------
    answer : int or None
        `rf`, px; a patch is ``2 * rf + 1`` pixels wide.
    cell : float
        Diameter of a cell, px.

    Returns
    -------
    Verdict
        Right for the smallest whole number.
    """
    wanted = _CELLS * float(cell)
    best = int(np.ceil((wanted - 1) / 2))
    half = whole_number(
        answer,
        "the half-width of a patch",
        "my_rf",
        "Patches are made of whole pixels: which way has it to be rounded?",
    )
    width = 2 * half + 1
    if half == best:
        return right(
            f"a patch is then {width} px wide, {width / cell:.1f} cells, and one less would be too narrow.",
            "One thing more: each patch fits its own background, from rings that must have room in it."
            " Small patches are fast, but too small ones invent cells.",
        )
    if half == best - 1:
        return not_yet(f"nearly: {width} px are {width / cell:.2f} cells. Which way has it to be rounded?")
    if half == best + 1:
        return not_yet(
            f"nearly: five cells are {wanted:g} px, and a patch is 2 * rf + 1 px. Would a smaller one do?"
        )
    if half in (round(wanted), 2 * best + 1):
        return not_yet(
            "that is the width of the whole patch. rf is half of it, without the pixel in the middle."
        )
    if half <= 0:
        return not_yet("a half-width is larger than 0.")
    side = "narrower than five cells" if half < best else "wider than needed"
    return not_yet(f"a patch is then {width} px wide: {width / cell:.1f} cells, {side}.")


@answering
def one_change(answer: Any, before: Any, after: Any, truth: Truth | None = None) -> Verdict:
    """
    Say what one changed parameter did to a fit.

    Parameters
    ----------
    answer : dict or None
        Exactly one parameter and its new value, such as ``{'merge_thr': 0.5}``. `gSig` with the `gSiz` that
        follows from it counts as one.
    before, after : estimates or None
        Of the fit without and with the change: `A` and `C` are looked at.
    truth : Truth, optional
        The answer key.

    Returns
    -------
    Verdict
        Right for one change that made a difference, for better or worse; the message says which.
    """
    if is_empty(answer):
        return no_answer(
            'set my_change to one parameter and its new value, such as {"merge_thr": 0.5},',
            "and run the cell again.",
        )
    if not isinstance(answer, Mapping):
        return not_yet('write the change as a dictionary: {"name": value}.')
    changes = _flat(answer)
    names = [name for name in changes if not (name == "gSiz" and "gSig" in changes)]
    if len(names) != 1:
        listed = ", ".join(names) or "none"
        return not_yet(
            f"{len(names)} parameters are in the dictionary ({listed}). With exactly one you know"
            " what did it."
        )
    label = f"{names[0]} = {changes[names[0]]}"
    if after is None or before is None:
        return no_answer(f"there is no fit with {label} yet: run the whole cell again.")
    kept, had, has = _compare(before, after)
    counts = f"{had} components before, {has} with {label}; {kept} of them are the same cells"
    if had == has == 0:
        return not_yet(
            "neither fit has a component, so there is nothing to compare. Change what finds cells."
        )
    if has == 0:
        return right(
            f"{label} leaves no component at all: it hurts. Whatever finds cells was set out of reach."
        )
    if kept == had == has and _same_traces(before, after):
        return not_yet(
            f"{label} changed nothing: the fits are equal. Was that the value before? If not, take"
            " one further away."
        )
    lesson = (
        "One thing more: change one thing at a time, and write down what it did. Two changes at once can"
        " hide each other."
    )
    if truth is None:
        return right(
            f"{counts}.",
            "This movie has no answer key: look at the new and the lost ones before you call it better.",
            lesson,
        )
    return right(f"{counts}.", _helped(before, after, truth), lesson)


def _helped(before: Any, after: Any, truth: Truth) -> str:
    from workshop_utils.measures.scoring import score

    old, new = (score(estimates.A, estimates.C, truth) for estimates in (before, after))
    f1 = np.nan_to_num(new.f1) - np.nan_to_num(old.f1)
    r = np.nan_to_num(new.trace_r_median - old.trace_r_median)
    numbers = (
        f"F1 went from {_digits(old.f1)} to {_digits(new.f1)}, found cells from {old.tp} to {new.tp} of"
        f" {new.n_true}, false components from {old.n_false} to {new.n_false}, the traces' median correlation"
        f" from {_digits(old.trace_r_median)} to {_digits(new.trace_r_median)}."
    )
    if abs(f1) >= LEAST:
        return f"It {'helped' if f1 > 0 else 'hurt'}: {_why(old, new, 1 if f1 > 0 else -1)}. {numbers}"
    if abs(r) < LEAST_R:
        return f"It neither helped nor hurt: {numbers} Other settings matter more on this movie."
    if r > 0:
        return f"It helped a little: the traces are closer to the truth. {numbers}"
    return f"It hurt a little: the traces are farther from the truth. {numbers}"


def _why(old: Score, new: Score, sign: int) -> str:
    """Say what made F1 rise (`sign` 1) or fall (-1): cells first, then false components."""
    better = sign > 0
    if sign * (new.tp - old.tp) > 0:
        return "more cells were found" if better else "cells were lost"
    if sign * (old.n_false - new.n_false) > 0:
        return "fewer components are false" if better else "more components are false"
    return "the balance is better" if better else "the balance is worse"


def _digits(value: float) -> str:
    return f"{value:.3f}" if np.isfinite(value) else "undefined"


def _flat(changes: Mapping[Any, Any]) -> dict[str, Any]:
    """Take parameters out of their groups, as in {'init': {'min_corr': 0.7}}."""
    flat: dict[str, Any] = {}
    for key, value in changes.items():
        flat.update(_flat(value) if isinstance(value, Mapping) else {str(key): value})
    return flat


def _compare(before: Any, after: Any) -> tuple[int, int, int]:
    """Count components that both fits have, those of the first and those of the second."""
    from scipy.optimize import linear_sum_assignment

    from workshop_utils.measures.scoring import unit_columns

    had, has = (0 if fit.A is None else fit.A.shape[1] for fit in (before, after))
    if 0 in (had, has):
        return 0, had, has
    old, new = (unit_columns(fit.A, fit.A.shape[0]) for fit in (before, after))
    alike = (old.T @ new).toarray()
    rows, columns = linear_sum_assignment(np.where(alike > _SAME_CELL, alike, 0), maximize=True)
    return int(np.sum(alike[rows, columns] > _SAME_CELL)), had, has


def _same_traces(before: Any, after: Any) -> bool:
    old, new = np.asarray(before.C), np.asarray(after.C)
    return old.shape == new.shape and bool(
        np.allclose(old, new, rtol=1e-3, atol=1e-3 * np.abs(old).max(initial=0))
    )
