"""Checks of lesson 4: the width of a patch, and what one changed parameter does to a fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from workshop_utils.exercises.reading import is_empty, whole_number
from workshop_utils.exercises.verdict import Verdict, answering, no_answer, not_yet, right

if TYPE_CHECKING:
    from workshop_utils.truth import Truth

__all__ = ["one_change", "patch_half_width"]

_CELLS = 5
# Below this a difference in F1, or in the traces' correlation, is one of rounding.
_LEAST_F1, _LEAST_R = 0.0005, 0.0015


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
        answer, "a half-width", "my_rf", "Patches are made of whole pixels: which way has it to be rounded?"
    )
    width = 2 * half + 1
    if half == best:
        return right(
            f"a patch is then {width} px wide, {width / cell:.1f} cells, and one less would be too narrow.",
            "One thing more: each patch fits its own background, from rings that must have room in"
            " it. That is why small"
            " patches are fast, but too small ones invent cells.",
        )
    if half == best - 1:
        return not_yet(
            f"one too small: {width} px are {width / cell:.2f} cells. Round up, so that five cells fit."
        )
    if half == best + 1:
        return not_yet(f"one more than needed: five cells are {wanted:g} px, and a patch is 2 * rf + 1.")
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
        return no_answer('set my_change to one parameter and its new value, such as {"merge_thr": 0.5}.')
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
    from workshop_utils.scoring import score

    old, new = (score(estimates.A, estimates.C, truth) for estimates in (before, after))
    f1, r = (
        np.nan_to_num(new.f1) - np.nan_to_num(old.f1),
        np.nan_to_num(new.trace_r_median - old.trace_r_median),
    )
    found, false = new.tp - old.tp, new.n_false - old.n_false
    numbers = (
        f"F1 went from {old.f1:.3f} to {new.f1:.3f}, found cells from {old.tp} to {new.tp} of {new.n_true},"
        f" false components from {old.n_false} to {new.n_false}, the traces' median correlation from"
        f" {old.trace_r_median:.3f} to {new.trace_r_median:.3f}."
    )
    if abs(f1) < _LEAST_F1:
        if abs(r) < _LEAST_R:
            return f"It neither helped nor hurt: {numbers} Other settings matter more on this movie."
        word = "helped a little: the traces are closer" if r > 0 else "hurt a little: the traces are farther"
        return f"It {word} {'to' if r > 0 else 'from'} the truth. {numbers}"
    if f1 > 0:
        why = (
            "more cells were found"
            if found > 0
            else "fewer components are false"
            if false < 0
            else "the balance is better"
        )
        return f"It helped: {why}. {numbers}"
    why = (
        "cells were lost"
        if found < 0
        else "more components are false"
        if false > 0
        else "the balance is worse"
    )
    return f"It hurt: {why}. {numbers}"


def _flat(changes: Mapping[Any, Any]) -> dict[str, Any]:
    """Take parameters out of their groups, as in {'init': {'min_corr': 0.7}}."""
    flat: dict[str, Any] = {}
    for key, value in changes.items():
        flat.update(_flat(value) if isinstance(value, Mapping) else {str(key): value})
    return flat


def _compare(before: Any, after: Any) -> tuple[int, int, int]:
    """Count components that both fits have, those of the first and those of the second."""
    from scipy.optimize import linear_sum_assignment

    from workshop_utils.scoring import unit_columns

    old, new = (unit_columns(estimates.A, estimates.A.shape[0]) for estimates in (before, after))
    if 0 in (old.shape[1], new.shape[1]):
        return 0, old.shape[1], new.shape[1]
    alike = (old.T @ new).toarray()
    rows, columns = linear_sum_assignment(np.where(alike > 0.6, alike, 0), maximize=True)
    return int(np.sum(alike[rows, columns] > 0.6)), old.shape[1], new.shape[1]


def _same_traces(before: Any, after: Any) -> bool:
    old, new = np.asarray(before.C), np.asarray(after.C)
    return old.shape == new.shape and bool(
        np.allclose(old, new, rtol=1e-3, atol=1e-3 * np.abs(old).max(initial=0))
    )
