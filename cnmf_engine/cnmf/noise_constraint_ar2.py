"""The noise constraint for order 2, apart from order 1 so that who doesn't use it needn't compile it."""

from __future__ import annotations

import numpy as np
from numba import njit

from .noise_constraint import _MAX_ROUNDS, judge
from .pivoting import bands, solve_ar2, start_sides

__all__ = ["constrained_ar2"]


@njit(cache=True, nogil=True)
def constrained_ar2(y, g1, g2, decay, sn, bl, nonneg, offset, c):  # pragma: no cover - compiled
    """Sparsest calcium of order 2 within the noise, from a first offset; return baseline and penalty."""
    slope, shifted = np.empty(y.size), np.empty(y.size)
    for t in range(y.size):
        shifted[t] = y[t] - offset
    G, work = bands(y.size, g1, g2, decay), np.empty((4, y.size))
    side = start_sides(shifted, G)
    solve_ar2(y, offset, 0.0, g1, g2, side, G, work, c, slope)
    for n_rounds in range(_MAX_ROUNDS + 1):
        baseline, lam, offset, over = judge(y, c, slope, offset, 1 - g1 - g2, sn * sn * y.size, bl, nonneg)
        if over or n_rounds == _MAX_ROUNDS:
            break
        solve_ar2(y, offset, lam, g1, g2, side, G, work, c, slope)
    return baseline, lam
