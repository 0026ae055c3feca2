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

from .interior import guess_sides

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
def pivot(y, side, G, work, z, c):  # pragma: no cover - compiled
    """Move samples between spiking and silent until calcium is optimal; return the number of rounds."""
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
    for n_rounds in range(_MAX_ROUNDS + _POLISH):
        if n_rounds == _MAX_ROUNDS:
            _start_again(y, side, G)
            fewest, patience = T + 1, _PATIENCE
        face(y, side, G, work, z, c)
        n = _mark(side, G, z, c, scale, scale_z, wrong)
        if n == 0:
            return n_rounds
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
    return _MAX_ROUNDS + _POLISH


@njit(cache=True, nogil=True)
def _start_again(y, side, G):  # pragma: no cover - compiled
    """Sides from the interior-point method."""
    silent, barred = np.empty(y.size, np.bool_), np.empty(y.size, np.bool_)
    for t in range(y.size):
        barred[t] = side[t] == BARRED
    guess_sides(y, barred, G, silent)
    for t in range(y.size):
        if side[t] != BARRED:
            side[t] = SILENT if silent[t] else SPIKE


@njit(cache=True, nogil=True)
def start_sides(y, G):  # pragma: no cover - compiled
    """First guess: samples are silent where the trace falls faster than calcium decays."""
    side = np.empty(y.size, np.int8)
    for t in range(y.size):
        side[t] = SILENT if spike(y, G, t) < 0 else SPIKE
    return side


@njit(cache=True, nogil=True)
def solve_ar2(y, offset, lam, g1, g2, side, G, work, c, slope):  # pragma: no cover - compiled
    """
    Solve for calcium given an offset; write it to c, and minus its derivative by the offset to slope.

    The penalty is a part of the offset but in the last two samples, whose spikes rise and decay after the
    end.
    """
    T = y.size
    shifted, ones = np.empty(T), np.empty(T)
    for t in range(T):
        shifted[t], ones[t] = y[t] - offset, 1.0
    shifted[T - 1] -= lam * (g1 + g2)
    shifted[T - 2] -= lam * g2
    z = work[3]
    pivot(shifted, side, G, work, z, c)
    face(ones, side, G, work, z, slope)


@njit(cache=True, nogil=True)
def _bar(side, G, c, threshold, reach):  # pragma: no cover - compiled
    """Bar spikes below the threshold that are the smallest within reach; return how many."""
    T = c.size
    n = 0
    size = np.full(T, np.inf)
    for t in range(1, T):
        if side[t] == SPIKE:
            size[t] = spike(c, G, t)
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


@njit(cache=True, nogil=True)
def _lower(y, level, out):  # pragma: no cover - compiled
    """Write the trace less a level; return its largest size."""
    largest = 0.0
    for t in range(y.size):
        out[t] = y[t] - level
        largest = max(largest, abs(out[t]))
    return largest


@njit(cache=True, nogil=True)
def _refit(y, baseline, fixed, nonneg, side, G, work, c):  # pragma: no cover - compiled
    """Calcium and baseline by least squares, given where spikes may be; return the baseline."""
    T = y.size
    z, slope, shifted, ones = work[3], np.empty(T), np.empty(T), np.empty(T)
    for t in range(T):
        ones[t] = 1.0
    for _ in range(0 if fixed else 10):
        _lower(y, baseline, shifted)
        pivot(shifted, side, G, work, z, c)
        face(ones, side, G, work, z, slope)
        free, left = 0.0, 0.0
        for t in range(T):
            free += 1 - slope[t]
            left += shifted[t] - c[t]
        step = left / free if free > 1e-9 * T else 0.0
        if nonneg and baseline + step < 0:
            step = -baseline
        baseline += step
        if abs(step) <= 1e-9 * _lower(y, baseline, shifted):
            break
    _lower(y, baseline, shifted)
    pivot(shifted, side, G, work, z, c)
    return baseline


@njit(cache=True, nogil=True)
def thin_out(y, g1, g2, decay, sn, s_min, baseline, fixed, nonneg, c):  # pragma: no cover - compiled
    """
    Remove spikes below s_min, the smallest of a neighbourhood first, refitting the rest; return the baseline.

    For s_min = 0 the threshold rises until the residual would exceed the noise.
    """
    T = y.size
    target = sn * sn * T
    G, work = bands(T, g1, g2, decay), np.empty((4, T))
    shifted, trial = np.empty(T), np.empty(T)
    _lower(y, baseline, shifted)
    side = start_sides(shifted, G)
    pivot(shifted, side, G, work, work[3], c)
    for t in range(T):
        side[t] = BARRED if side[t] == SILENT else side[t]
    baseline = _refit(y, baseline, fixed, nonneg, side, G, work, c)
    largest = 0.0
    for t in range(T):
        trial[t] = c[t]
        if t > 0:
            largest = max(largest, spike(c, G, t))
    threshold = s_min if s_min > 0 else 1e-3 * largest
    while True:
        trial_baseline = baseline
        while _bar(side, G, trial, threshold, 3) > 0:
            trial_baseline = _refit(y, trial_baseline, fixed, nonneg, side, G, work, trial)
        left = 0.0
        for t in range(T):
            left += (y[t] - trial[t] - trial_baseline) ** 2
        if s_min <= 0 and left > target:
            return baseline
        for t in range(T):
            c[t] = trial[t]
        baseline = trial_baseline
        if s_min > 0 or threshold > largest:
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

    References
    ----------
    Friedrich, Zhou & Paninski 2017, PLoS Comput Biol 13:e1005423, 'Methods' (the problem); Portugal, Judice
    & Vicente 1994, Math Comput 63:625 (block pivoting); Nocedal & Wright 2006,
    Numerical Optimization, 16.6 (interior points).
    """
    y = np.ascontiguousarray(y, dtype=np.float64)
    if y.size < 3:
        return np.maximum(y - lam, 0), np.zeros_like(y)
    g1, g2 = float(g[0]), float(g[1])
    G = bands(y.size, g1, g2, decay_root(g1, g2))
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
