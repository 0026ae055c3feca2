"""The noise constraint for order 2, apart from order 1 so that who doesn't use it needn't compile it."""

from __future__ import annotations

import numpy as np

from .noise_constraint import _MAX_ROUNDS, judge
from .pivoting import bands, solve_ar2, start_sides

__all__ = ["constrained_ar2"]


def constrained_ar2(
    y: np.ndarray,
    g1: float,
    g2: float,
    decay: float,
    sn: float,
    bl: float,
    nonneg: bool,
    offset: float,
    c: np.ndarray,
) -> tuple[float, float]:
    """
    Find the sparsest calcium of order 2 within the noise.

    Parameters
    ----------
    y, g1, g2, decay, sn, bl, nonneg, c
        As in `constrained`.
    offset : float
        Where the search starts.

    Returns
    -------
    baseline, lam : float
        Baseline and penalty.
    """
    T, slope = y.size, np.empty(y.size)
    G, work = bands(T, g1, g2, decay), np.empty((4, T))
    side = start_sides(y - offset, G)
    solve_ar2(y, offset, 0.0, g1, g2, side, G, work, c, slope)
    for n_rounds in range(_MAX_ROUNDS + 1):
        baseline, lam, offset, over = judge(y, c, slope, offset, 1 - g1 - g2, sn * sn * T, bl, nonneg)
        if over or n_rounds == _MAX_ROUNDS:
            break
        solve_ar2(y, offset, lam, g1, g2, side, G, work, c, slope)
    return baseline, lam
