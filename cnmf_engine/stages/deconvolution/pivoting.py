"""
Non-negative deconvolution by pivoting: exact for order 2 (rise and decay), and for spikes of a least size.

With ``s = G c`` the problem ``min |c - y|^2 / 2, s >= 0`` has the dual ``s = G y + G G' z``, where z >= 0 is
what a silent sample would gain from a negative spike, and z or s is 0 in each sample. ``G G'`` has five
diagonals, so for a given set of silent samples calcium costs a few operations a sample. Samples of the wrong
sign change sides all at once, which needs some ten rounds. Where that stalls, only the last of each cluster
changes side, and in the end an interior-point method finds the sides.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from cnmf_engine.stages.deconvolution.interior import guess_sides
from cnmf_engine.stages.deconvolution.traces import checked_coefficients, checked_number, checked_trace

__all__ = ["oasis_ar2"]

#: What a sample is: it may spike, it's silent because that is best, or it has to be silent.
SPIKE, SILENT, BARRED = 0, 1, 2
#: Wrong signs up to this part of the largest value are rounding.
_ROUNDING = 1e-10
#: Rounds without progress before only the last sample of each cluster changes side.
_PATIENCE = 5
#: Samples further apart than this aren't of one cluster.
_CLUSTER_GAP = 20
#: Rounds before an interior-point method finds the sides, and rounds to polish what it found.
_MAX_ROUNDS, _POLISH = 60, 60


@njit(cache=True, nogil=True)
def bands(T, g1, g2, decay):  # pragma: no cover - compiled
    """
    Rows of ``G`` (one and two samples back) and the diagonals of ``G G'``, as an array ``(5, T)``.

    Calcium of the first sample was there before; it decays without rising, so the second row has the decay
    alone.
    """
    out = np.zeros((5, T))
    for t in range(T):
        back = -g1 if t > 1 else (-decay if t == 1 else 0.0)
        back2 = -g2 if t > 1 else 0.0
        out[0, t], out[1, t] = back, back2
        out[2, t] = 1 + back * back + back2 * back2
        out[3, t] = back + (back2 * out[0, t - 1] if t > 0 else 0.0)
        out[4, t] = back2
    return out


@njit(cache=True, nogil=True)
def face(y, side, G, work, z, c):  # pragma: no cover - compiled
    """Calcium nearest to y whose spikes are 0 in silent samples, and the multipliers z of these."""
    T = y.size
    low1, low2, inverse = work[0], work[1], work[2]
    for t in range(T):
        low1[t] = low2[t] = z[t] = 0.0
        inverse[t] = 1.0
        if side[t] == SPIKE:
            continue
        pivot, value = G[2, t], -y[t]
        if t > 1:
            value -= G[1, t] * y[t - 2]
            if side[t - 2] != SPIKE:
                low2[t] = G[4, t] * inverse[t - 2]
                pivot -= low2[t] * G[4, t]
                value -= low2[t] * z[t - 2]
        if t > 0:
            value -= G[0, t] * y[t - 1]
            if side[t - 1] != SPIKE:
                off = G[3, t] - G[4, t] * low1[t - 1]
                low1[t] = off * inverse[t - 1]
                pivot -= low1[t] * off
                value -= low1[t] * z[t - 1]
        inverse[t] = 1 / pivot
        z[t] = value
    next1 = next2 = 0.0
    for t in range(T - 1, -1, -1):
        value, level = z[t] * inverse[t], y[t]
        if t + 1 < T:
            value -= low1[t + 1] * next1
            level += G[0, t + 1] * next1
        if t + 2 < T:
            value -= low2[t + 2] * next2
            level += G[1, t + 2] * next2
        z[t], c[t] = value, level + value
        next2, next1 = next1, value


@njit(cache=True, nogil=True)
def spike(c, G, t):  # pragma: no cover - compiled
    """Spike at sample t (calcium itself at sample 0)."""
    s = c[t]
    if t > 0:
        s += G[0, t] * c[t - 1]
    if t > 1:
        s += G[1, t] * c[t - 2]
    return s


@njit(cache=True, nogil=True)
def _mark(side, G, z, c, tolerance, tolerance_z, wrong):  # pragma: no cover - compiled
    """Mark samples of the wrong sign; return how many there are."""
    n = 0
    for t in range(c.size):
        if side[t] == SILENT:
            wrong[t] = z[t] < -tolerance_z
        elif side[t] == SPIKE:
            wrong[t] = spike(c, G, t) < -tolerance
        else:
            wrong[t] = False
        n += wrong[t]
    return n


@njit(cache=True, nogil=True)
def _change_sides(y, side, G, work, z, c, most):  # pragma: no cover - compiled
    """Move samples between spiking and silent until calcium is optimal; tell if that took so many rounds."""
    T = y.size
    wrong = np.empty(T, np.bool_)
    # Slow dynamics sum up spikes: multipliers are that much larger than the data, and rounding along.
    gain = 1 / max(1 + G[0, T - 1] + G[1, T - 1], 1e-6)
    largest = 0.0
    for t in range(T):
        largest = max(largest, abs(y[t]))
    scale = max(_ROUNDING, 1e-15 * gain * gain) * largest
    scale_z = scale * gain
    fewest, patience = T + 1, _PATIENCE
    for _ in range(most):
        face(y, side, G, work, z, c)
        n = _mark(side, G, z, c, scale, scale_z, wrong)
        if n == 0:
            return True
        patience -= 1
        if n < fewest:
            fewest, patience = n, _PATIENCE
        gap = 0 if patience > 0 else _CLUSTER_GAP
        last = 2 * T
        for t in range(T - 1, -1, -1):
            if wrong[t]:
                if last - t > gap:
                    side[t] = SILENT - side[t]
                last = t
    return False


def pivot(y: np.ndarray, side: np.ndarray, G: np.ndarray, work: np.ndarray, c: np.ndarray) -> None:
    """Write the optimal calcium to c, starting from sides, which become those of the optimum."""
    z = work[3]
    if _change_sides(y, side, G, work, z, c, _MAX_ROUNDS):
        return
    # Rare, so the interior-point kernels are compiled only for those who need them.
    barred, silent = side == BARRED, np.empty(y.size, np.bool_)
    guess_sides(y, barred, G, silent)
    side[~barred] = np.where(silent, SILENT, SPIKE)[~barred]
    _change_sides(y, side, G, work, z, c, _POLISH)


@njit(cache=True, nogil=True)
def start_sides(y, G):  # pragma: no cover - compiled
    """First guess: samples are silent where the trace falls faster than calcium decays."""
    side = np.empty(y.size, np.int8)
    for t in range(y.size):
        side[t] = SILENT if spike(y, G, t) < 0 else SPIKE
    return side


def solve_ar2(
    y: np.ndarray,
    offset: float,
    lam: float,
    g1: float,
    g2: float,
    side: np.ndarray,
    G: np.ndarray,
    work: np.ndarray,
    c: np.ndarray,
    slope: np.ndarray,
) -> None:
    """
    Solve for calcium given an offset; write it to c, and minus its derivative by the offset to slope.

    The penalty is a part of the offset but in the last two samples, whose spikes rise and decay after the
    end.
    """
    shifted = y - offset
    shifted[-1] -= lam * (g1 + g2)
    shifted[-2] -= lam * g2
    pivot(shifted, side, G, work, c)
    face(np.ones(y.size), side, G, work, work[3], slope)


@njit(cache=True, nogil=True)
def _bar(side, G, c, threshold, reach):  # pragma: no cover - compiled
    """Bar spikes below the threshold that are the smallest within reach; return how many."""
    T = c.size
    n = 0
    size = np.empty(T)
    for t in range(T):
        size[t] = spike(c, G, t) if t > 0 and side[t] == SPIKE else np.inf
    for t in range(1, T):
        if size[t] >= threshold:
            continue
        smallest = True
        for u in range(max(t - reach, 1), min(t + reach + 1, T)):
            if size[u] < size[t] or (size[u] == size[t] and u < t):
                smallest = False
                break
        if smallest:
            side[t] = BARRED
            n += 1
    return n


def _refit(
    y: np.ndarray,
    baseline: float,
    fixed: bool,
    nonneg: bool,
    side: np.ndarray,
    G: np.ndarray,
    work: np.ndarray,
    c: np.ndarray,
) -> float:
    """Calcium and baseline by least squares, given where spikes may be; return the baseline."""
    slope, ones = np.empty(y.size), np.ones(y.size)
    for _ in range(0 if fixed else 10):
        pivot(y - baseline, side, G, work, c)
        face(ones, side, G, work, work[3], slope)
        free = 1 - slope.mean()
        step = (y - c - baseline).mean() / free if free > 1e-9 else 0.0
        if nonneg and baseline + step < 0:
            step = -baseline
        baseline += step
        if abs(step) <= 1e-9 * np.abs(y - baseline).max():
            break
    pivot(y - baseline, side, G, work, c)
    return baseline


def thin_out(
    y: np.ndarray,
    g1: float,
    g2: float,
    decay: float,
    sn: float,
    s_min: float,
    baseline: float,
    fixed: bool,
    nonneg: bool,
    c: np.ndarray,
) -> float:
    """
    Remove spikes below s_min, the smallest of a neighbourhood first, refitting the rest; return the baseline.

    For s_min = 0 the threshold rises until the residual would exceed the noise.
    """
    T, target = y.size, sn * sn * y.size
    G, work = bands(T, g1, g2, decay), np.empty((4, T))
    side = start_sides(y - baseline, G)
    pivot(y - baseline, side, G, work, c)
    side[side == SILENT] = BARRED
    baseline = _refit(y, baseline, fixed, nonneg, side, G, work, c)
    increments = c[1:] + G[0, 1:] * c[:-1]
    increments[1:] += G[1, 2:] * c[:-2]
    largest = max(float(increments.max()), 0.0)
    threshold = float(s_min) if s_min > 0 else 1e-3 * largest
    trial = c.copy()
    while True:
        trial_baseline = baseline
        while _bar(side, G, trial, threshold, 3) > 0:
            trial_baseline = _refit(y, trial_baseline, fixed, nonneg, side, G, work, trial)
        if s_min <= 0 and ((y - trial - trial_baseline) ** 2).sum() > target:
            return baseline
        c[:] = trial
        baseline = trial_baseline
        # Without any spike no threshold would ever be above the largest.
        if s_min > 0 or threshold > largest or largest <= 0:
            return baseline
        threshold *= 1.15


def oasis_ar2(
    y: np.ndarray, g: tuple[float, float] | np.ndarray, lam: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """
    Non-negative deconvolution of one trace with known rise and decay, baseline and penalty.

    Minimises ``sum((c - y)**2) / 2 + lam * (sum(s[1:]) + (1 - r) * c[0])`` with ``s >= 0``, where
    ``s[t] = c[t] - g1 * c[t-1] - g2 * c[t-2]`` and ``s[1] = c[1] - d * c[0]``; d (decay) and r (rise) are the
    roots of the process. Calcium of the first sample decays with d and is weighted as a spike of that sum.

    Parameters
    ----------
    y : ndarray of shape (T,)
        Trace, baseline removed.
    g : (float, float)
        Autoregressive coefficients ``d + r`` and ``-d * r``.
    lam : float
        Sparsity penalty, in units of `y`.

    Returns
    -------
    c, s : ndarray of shape (T,), float64
        Calcium and spikes; ``s[0]`` is 0.

    Raises
    ------
    InputError
        If `y` isn't one trace of finite numbers.
    ParameterError
        If `g` or `lam` can't be.

    References
    ----------
    Friedrich, Zhou & Paninski 2017, PLoS Comput Biol 13:e1005423, 'Methods' (the problem); Portugal, Judice
    & Vicente 1994, Math Comput 63:625 (block pivoting); Nocedal & Wright 2006,
    Numerical Optimization, 16.6 (interior points).
    """
    y, lam = checked_trace(y), checked_number(lam, "lam", 0)
    g1, g2 = map(float, checked_coefficients(g, 2))
    decay = decay_root(g1, g2)
    if y.size == 1:
        return np.maximum(y - lam * (1 - (g1 - decay)), 0), np.zeros_like(y)
    G = bands(y.size, g1, g2, decay)
    c, slope = np.empty_like(y), np.empty_like(y)
    offset = lam * (1 - g1 - g2)
    side = start_sides(y - offset, G)
    solve_ar2(y, offset, lam, g1, g2, side, G, np.empty((4, y.size)), c, slope)
    return c, spikes(c, g1, g2)


def decay_root(g1: float, g2: float) -> float:
    """Larger root of the process (its decay per frame)."""
    return float(np.roots([1.0, -g1, -g2]).real.max()) if g2 else g1


def spikes(c: np.ndarray, g1: float, g2: float) -> np.ndarray:
    """Increments of calcium over its dynamics; the first sample has none, the second none of its decay."""
    s = np.zeros_like(c)
    if c.size > 1:
        s[1] = c[1] - decay_root(g1, g2) * c[0]
    s[2:] = c[2:] - g1 * c[1:-1] - g2 * c[:-2]
    # What rounding leaves of silent samples isn't a spike.
    return np.where(s > _ROUNDING * np.abs(c).max(initial=0), s, 0)
