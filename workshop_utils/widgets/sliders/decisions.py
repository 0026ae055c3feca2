"""What two thresholds on the quality of components mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cnmf_engine.base.errors import InputError, explain

if TYPE_CHECKING:
    from workshop_utils.movies.truth import Truth

__all__ = ["ExplorerView", "explorer_view", "real_components", "split_components"]


class ExplorerView(NamedTuple):
    """
    What two thresholds decide.

    Attributes
    ----------
    accepted, rejected : ndarray of int
        Components.
    summary : str
        Counts in a sentence, with precision and recall where the truth is known.
    reasons : ndarray of shape (K,), str, or None
        Why components are no cells though they may pass both thresholds; empty for none.
    """

    accepted: np.ndarray
    rejected: np.ndarray
    summary: str
    reasons: np.ndarray | None = None


def split_components(
    snr: Any,
    r: Any,
    min_SNR: float,
    rval_thr: float,
    SNR_lowest: float = 0.5,
    rval_lowest: float = -1.0,
    decide: Callable[..., Any] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """
    Divide components into accepted and rejected ones, by the rule of `evaluate_components`.

    Parameters
    ----------
    snr, r : arrays of shape (K,)
        SNR of the transients and spatial correlation.
    min_SNR, rval_thr : float
        Thresholds; passing one of them is enough to be accepted.
    SNR_lowest, rval_lowest : float
        A component at or below one of these is rejected all the same.
    decide : callable, optional
        Another rule than the engine's, with its arguments.

    Returns
    -------
    (ndarray of int, ndarray of int)
        Accepted and rejected components.
    """
    if decide is None:
        from cnmf_engine.stages.evaluation import decide
    snr, r = np.asarray(snr, dtype=np.float64).ravel(), np.asarray(r, dtype=np.float64).ravel()
    if snr.shape != r.shape:
        raise InputError(explain("one r for each SNR", f"{snr.size} SNR and {r.size} r", "evaluate again"))
    decision = decide(
        snr, r, min_SNR=min_SNR, rval_thr=rval_thr, SNR_lowest=SNR_lowest, rval_lowest=rval_lowest
    )
    return np.asarray(decision.accepted, dtype=int), np.asarray(decision.rejected, dtype=int)


def real_components(A: Any, truth: Truth | None) -> tuple[np.ndarray | None, np.ndarray | None]:
    """
    Find which components match a true cell.

    Parameters
    ----------
    A : array of shape (d, K)
        Footprints, pixels in Fortran order.
    truth : workshop_utils.movies.truth.Truth or None
        What the recording holds.

    Returns
    -------
    (ndarray of shape (K,), int or None, ndarray of shape (n,), int or None)
        The true cell of each component, -1 for none, and the cells that could be found; None without a truth.
    """
    if truth is None:
        return None, None
    from workshop_utils.measures.scoring import match

    cell = np.full(A.shape[1], -1)
    pairs = match(A, truth.A).pairs
    cell[pairs[:, 0]] = pairs[:, 1]
    return cell, np.flatnonzero(truth.detectable)


def explorer_view(
    snr: Any,
    r: Any,
    min_SNR: float,
    rval_thr: float,
    SNR_lowest: float = 0.5,
    rval_lowest: float = -1.0,
    cells: np.ndarray | None = None,
    detectable: np.ndarray | None = None,
    decide: Callable[..., Any] | None = None,
    implausible: Callable[[np.ndarray], np.ndarray] | None = None,
) -> ExplorerView:
    """
    Work out what two thresholds decide.

    Parameters
    ----------
    snr, r, min_SNR, rval_thr, SNR_lowest, rval_lowest, decide
        See `split_components`.
    cells, detectable : ndarray of int, optional
        The true cell of each component and the cells that could be found, from `real_components`.
    implausible : callable, optional
        Gives, for the components that pass the thresholds, why any of all components is no cell.

    Returns
    -------
    ExplorerView
        Components and a summary.
    """
    accepted, rejected = split_components(snr, r, min_SNR, rval_thr, SNR_lowest, rval_lowest, decide)
    total = len(accepted) + len(rejected)
    reasons = None if implausible is None else np.asarray(implausible(accepted))
    against = 0
    if reasons is not None:
        passed, accepted = accepted, accepted[reasons[accepted] == ""]
        against = len(passed) - len(accepted)
        rejected = np.setdiff1d(np.arange(total), accepted)
    summary = f"{len(accepted)} of {total} components accepted, {len(rejected)} rejected"
    if against:
        summary += f" ({against} that pass, but are no cells by other measures)"
    if cells is not None and detectable is not None:
        matched = cells[accepted]
        found = np.intersect1d(matched, detectable)
        false = int((matched < 0).sum())
        summary += (
            f"; {len(found)} of {len(detectable)} detectable cells are among the accepted, {false} accepted "
            "match no true cell"
        )
    return ExplorerView(accepted, rejected, summary, reasons)
