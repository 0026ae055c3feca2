"""How much sparsity a trace bears: one number is moved until the residual is as large as the noise."""

from __future__ import annotations

import numpy as np
from numba import njit

from .oasis import solve_ar1
from .pivoting import bands, solve_ar2, start_sides

__all__ = ["constrained"]

#: The noise constraint is met when the residual sum of squares is within this part of its target.
_TOLERANCE = 1e-4
_MAX_ROUNDS = 5


@njit(cache=True, nogil=True)
def percentile(y, q):  # pragma: no cover - compiled
    """Percentile with linear interpolation."""
    ordered = np.sort(y)
    position = q / 100 * (y.size - 1)
    low = int(position)
    high = min(low + 1, y.size - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)


@njit(cache=True, nogil=True)
def _solve(y, offset, lam, g1, g2, side, G, work, c, slope):  # pragma: no cover - compiled
    """Calcium and minus its derivative by the offset, for either order."""
    if g2 == 0:
        solve_ar1(y, offset, lam, g1, c, slope)
    else:
        solve_ar2(y, offset, lam, g1, g2, side, G, work, c, slope)


@njit(cache=True, nogil=True)
def constrained(y, g1, g2, decay, sn, bl, nonneg, c):  # pragma: no cover - compiled
    """
    Sparsest calcium whose residual has the variance of the noise; return baseline and penalty.

    Calcium depends on baseline b and penalty lambda only through ``b + lambda * (1 - g1 - g2)`` (and on
    lambda in the last samples), so one number is moved until the residual is as large as the noise. A
    baseline that is given (not NaN) stays.
    """
    T = y.size
    target = sn * sn * T
    per_lam = 1 - g1 - g2
    fixed = not np.isnan(bl)
    slope = np.empty(T)
    offset = bl if fixed else percentile(y, 15.0)
    if nonneg and offset < 0 and not fixed:
        offset = 0.0
    second = g2 != 0
    G = bands(T if second else 1, g1, g2, decay)
    work = np.empty((4, T if second else 1))
    side = start_sides(y - offset, G) if second else np.empty(1, np.int8)
    _solve(y, offset, 0.0, g1, g2, side, G, work, c, slope)
    lam = 0.0
    for n_rounds in range(_MAX_ROUNDS + 1):
        baseline = bl if fixed else (y - c).mean()
        if nonneg and baseline < 0 and not fixed:
            baseline = 0.0
        lam = (offset - baseline) / per_lam
        residual = y - c - baseline
        error = (residual * residual).sum() - target
        if n_rounds == _MAX_ROUNDS or abs(error) <= _TOLERANCE * target or c.max() <= 0:
            break
        held = fixed or (nonneg and baseline == 0)
        change = slope if held else slope - slope.mean()
        a = (change * change).sum()
        b = (residual * change).sum()
        if a == 0:
            break
        root = b * b - a * error
        offset += (-b + np.sqrt(root)) / a if root > 0 else -b / a
        if fixed:
            offset = max(offset, bl)
        _solve(y, offset, lam, g1, g2, side, G, work, c, slope)
    return baseline, lam
