"""How much sparsity a trace bears: one number is moved until the residual is as large as the noise."""

from __future__ import annotations

import numpy as np
from numba import njit

from cnmf_engine.stages.deconvolution.oasis import solve_ar1
from cnmf_engine.stages.deconvolution.pivoting import bands, solve_ar2, start_sides

__all__ = ["constrained"]

#: The noise constraint is met when the residual sum of squares is within this part of its target.
_TOLERANCE = 1e-4
_MAX_ROUNDS = 5
#: The search starts at this percentile of the trace.
_START = 15.0


@njit(cache=True, nogil=True)
def judge(y, c, slope, offset, per_lam, target, bl, nonneg):  # pragma: no cover - compiled
    """
    Measure a residual; return baseline, penalty, the next offset, and whether the search is over.

    `slope` is minus the derivative of calcium by the offset. A baseline that is given (`bl` not NaN) stays.
    """
    T = y.size
    fixed = not np.isnan(bl)
    left, highest, mean_slope = 0.0, 0.0, 0.0
    for t in range(T):
        left += y[t] - c[t]
        mean_slope += slope[t]
        highest = max(highest, c[t])
    baseline = bl if fixed else left / T
    if nonneg and baseline < 0 and not fixed:
        baseline = 0.0
    held = fixed or (nonneg and baseline == 0)
    mean_slope = 0.0 if held else mean_slope / T
    lam = (offset - baseline) / per_lam
    error, a, b = 0.0, 0.0, 0.0
    for t in range(T):
        residual = y[t] - c[t] - baseline
        change = slope[t] - mean_slope
        error += residual * residual
        a += change * change
        b += residual * change
    error -= target
    if abs(error) <= _TOLERANCE * target or highest <= 0 or a == 0:
        return baseline, lam, offset, True
    root = b * b - a * error
    offset += (-b + np.sqrt(root)) / a if root > 0 else -b / a
    if fixed:
        offset = max(offset, bl)
    return baseline, lam, offset, False


@njit(cache=True, nogil=True)
def constrained_ar1(y, g, sn, bl, nonneg, offset, c):  # pragma: no cover - compiled
    """Sparsest calcium of order 1 within the noise, from a first offset; return baseline and penalty."""
    slope = np.empty(y.size)
    solve_ar1(y, offset, 0.0, g, c, slope)
    for n_rounds in range(_MAX_ROUNDS + 1):
        baseline, lam, offset, over = judge(y, c, slope, offset, 1 - g, sn * sn * y.size, bl, nonneg)
        if over or n_rounds == _MAX_ROUNDS:
            break
        solve_ar1(y, offset, lam, g, c, slope)
    return baseline, lam


def percentile(y: np.ndarray, q: float) -> float:
    """Percentile with linear interpolation."""
    position = q / 100 * (y.size - 1)
    low = int(position)
    high = min(low + 1, y.size - 1)
    ordered = np.partition(y, (low, high))
    return float(ordered[low] + (ordered[high] - ordered[low]) * (position - low))


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


def constrained(
    y: np.ndarray, g1: float, g2: float, decay: float, sn: float, bl: float, nonneg: bool, c: np.ndarray
) -> tuple[float, float]:
    """
    Find the sparsest calcium whose residual has the variance of the noise.

    Calcium depends on baseline b and penalty lambda only through ``b + lambda * (1 - g1 - g2)`` (and on
    lambda in the last samples), so one number is moved until the residual is as large as the noise.

    Parameters
    ----------
    y : ndarray of shape (T,), float64
        Trace.
    g1, g2 : float
        Autoregressive coefficients; `g2` is 0 for order 1.
    decay : float
        Larger root of the process.
    sn : float
        Noise.
    bl : float
        Baseline; NaN to have it estimated.
    nonneg : bool
        Whether an estimated baseline has to be at least 0.
    c : ndarray of shape (T,), float64
        Calcium is written here.

    Returns
    -------
    baseline, lam : float
        Baseline and penalty.

    References
    ----------
    Friedrich, Zhou & Paninski 2017, PLoS Comput Biol 13:e1005423, 'Hard noise constraint' and 'Optimizing
    the baseline'.
    """
    bl = float(bl)
    offset = bl
    if np.isnan(bl):
        offset = percentile(y, _START)
        offset = max(offset, 0.0) if nonneg else offset
    if g2 == 0:
        return constrained_ar1(y, float(g1), float(sn), bl, bool(nonneg), offset, c)
    return constrained_ar2(y, float(g1), float(g2), float(decay), float(sn), bl, bool(nonneg), offset, c)
