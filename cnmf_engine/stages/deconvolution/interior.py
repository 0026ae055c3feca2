"""
Which samples spike, by an interior-point method: the slow and certain way where pivoting stalls.

The problem is that of `pivoting`: ``s = G y + G G' z`` with s, z >= 0 and one of both 0 in each sample.
"""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["guess_sides"]

_MAX_STEPS = 150
#: The search ends when the mean product of s and z, and what the equation misses, are this small.
_CLOSE = 1e-15
#: Steps end this part of the way before the first sample reaches 0.
_MARGIN = 0.98


@njit(cache=True, nogil=True)
def _solve(G, extra, rhs, work, x):  # pragma: no cover - compiled
    """Solve ``(G G' + diag(extra)) x = rhs``."""
    T = rhs.size
    low1, low2, inverse = work[0], work[1], work[2]
    for t in range(T):
        pivot, value = G[2, t] + extra[t], rhs[t]
        low1[t] = low2[t] = 0.0
        if t > 1:
            low2[t] = G[4, t] * inverse[t - 2]
            pivot -= low2[t] * G[4, t]
            value -= low2[t] * x[t - 2]
        if t > 0:
            off = G[3, t] - G[4, t] * low1[t - 1]
            low1[t] = off * inverse[t - 1]
            pivot -= low1[t] * off
            value -= low1[t] * x[t - 1]
        inverse[t] = 1 / pivot
        x[t] = value
    for t in range(T - 1, -1, -1):
        x[t] *= inverse[t]
        if t + 1 < T:
            x[t] -= low1[t + 1] * x[t + 1]
        if t + 2 < T:
            x[t] -= low2[t + 2] * x[t + 2]


@njit(cache=True, nogil=True)
def _missing(y, G, z, s, c, out):  # pragma: no cover - compiled
    """Write to out what s lacks of the spikes that z implies; return the largest."""
    T = y.size
    largest = 0.0
    for t in range(T):
        c[t] = y[t] + z[t]
        if t + 1 < T:
            c[t] += G[0, t + 1] * z[t + 1]
        if t + 2 < T:
            c[t] += G[1, t + 2] * z[t + 2]
    for t in range(T):
        value = c[t] - s[t]
        if t > 0:
            value += G[0, t] * c[t - 1]
        if t > 1:
            value += G[1, t] * c[t - 2]
        out[t] = value
        largest = max(largest, abs(value))
    return largest


@njit(cache=True, nogil=True)
def _longest_step(z, s, dz, ds, free):  # pragma: no cover - compiled
    """Part of a step that keeps z and s positive where signs matter."""
    step = 1.0
    for t in range(z.size):
        if free[t]:
            continue
        if dz[t] < 0:
            step = min(step, -_MARGIN * z[t] / dz[t])
        if ds[t] < 0:
            step = min(step, -_MARGIN * s[t] / ds[t])
    return step


@njit(cache=True, nogil=True)
def _mean_product(z, s, free):  # pragma: no cover - compiled
    """Mean of z times s over the samples where signs matter."""
    total, n = 0.0, 0
    for t in range(z.size):
        if not free[t]:
            total += z[t] * s[t]
            n += 1
    return total / max(n, 1)


@njit(cache=True, nogil=True)
def guess_sides(data, free, G, silent):  # pragma: no cover - compiled
    """
    Write to silent which samples have no spike at the optimum.

    Samples in free must not spike, so their multiplier may have either sign.
    """
    # Loops over samples: each array expression here would cost a third of a second to compile.
    T = data.size
    y, z, s, dz, ds = np.empty(T), np.empty(T), np.empty(T), np.empty(T), np.empty(T)
    extra, missing, rhs, c = np.empty(T), np.empty(T), np.empty(T), np.empty(T)
    work = np.empty((3, T))
    scale = 1e-300
    for t in range(T):
        scale = max(scale, abs(data[t]))
    for t in range(T):
        y[t], z[t], s[t] = data[t] / scale, 1.0, 0.0 if free[t] else 1.0
    centring = 0.3
    for _ in range(_MAX_STEPS):
        largest = _missing(y, G, z, s, c, missing)
        product = _mean_product(z, s, free)
        if product < _CLOSE and largest < 1e-9:
            break
        for t in range(T):
            extra[t] = 0.0 if free[t] else s[t] / z[t]
            rhs[t] = -missing[t] + (0.0 if free[t] else centring * product / z[t] - s[t])
        _solve(G, extra, rhs, work, dz)
        for t in range(T):
            ds[t] = 0.0 if free[t] else centring * product / z[t] - s[t] - extra[t] * dz[t]
        step = _longest_step(z, s, dz, ds, free)
        for t in range(T):
            z[t] += step * dz[t]
            s[t] += step * ds[t]
        centring = min(max((1 - step) ** 2, 0.05), 0.8)
    for t in range(T):
        silent[t] = free[t] or z[t] > s[t]
