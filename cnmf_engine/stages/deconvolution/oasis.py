"""OASIS for an autoregressive process of order 1: pools of samples that share one spike, in linear time."""

from __future__ import annotations

import numpy as np
from numba import njit

from cnmf_engine.stages.deconvolution.traces import checked_coefficients, checked_number, checked_trace

__all__ = ["oasis_ar1"]


@njit(cache=True, nogil=True)
def _pools(y, g, value, weight, start, length):  # pragma: no cover - compiled
    """Merge samples into pools so that calcium never falls faster than it decays; return their number."""
    n = 0
    for t in range(y.size):
        value[n], weight[n], start[n], length[n] = y[t], 1.0, t, 1
        n += 1
        while n > 1 and value[n - 2] / weight[n - 2] * g ** length[n - 2] > value[n - 1] / weight[n - 1]:
            decay = g ** length[n - 2]
            value[n - 2] += value[n - 1] * decay
            weight[n - 2] += weight[n - 1] * decay * decay
            length[n - 2] += length[n - 1]
            n -= 1
    return n


@njit(cache=True, nogil=True)
def solve_ar1(y, offset, lam, g, c, slope):  # pragma: no cover - compiled
    """
    Solve for calcium given an offset; write it to c, and minus its derivative by the offset to slope.

    The penalty is a part of the offset but in the last sample, whose calcium no later spike shares.
    """
    T = y.size
    if T == 0:
        return
    shifted, value, weight = np.empty(T), np.empty(T), np.empty(T)
    start = np.empty(T, np.int64)
    length = np.empty(T, np.int64)
    for t in range(T):
        shifted[t] = y[t] - offset
    shifted[T - 1] -= lam * g
    n = _pools(shifted, g, value, weight, start, length)
    for i in range(n):
        level = value[i] / weight[i]
        per_offset = (1 - g ** length[i]) / (1 - g) / weight[i]
        if level <= 0:
            level = 0.0
            per_offset = 0.0
        for t in range(start[i], start[i] + length[i]):
            c[t] = level
            slope[t] = per_offset
            level *= g
            per_offset *= g


def oasis_ar1(y: np.ndarray, g: float, lam: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """
    Non-negative deconvolution of one trace with known decay, baseline and penalty.

    Minimises ``sum((c - y)**2) / 2 + lam * sum(s)`` with ``s[t] = c[t] - g * c[t-1] >= 0``.

    Parameters
    ----------
    y : ndarray of shape (T,)
        Trace, baseline removed.
    g : float
        Decay of calcium per frame, between 0 and 1.
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
    Friedrich, Zhou & Paninski 2017, PLoS Comput Biol 13:e1005423, 'Methods', Algorithm 1.
    """
    y, lam = checked_trace(y), checked_number(lam, "lam", 0)
    # A decay of exactly 1 has no level that a penalty could work on.
    g = min(float(checked_coefficients(g, 1)[0]), 1 - 1e-12)
    c, slope, s = np.empty_like(y), np.empty_like(y), np.zeros_like(y)
    solve_ar1(y, lam * (1 - g), lam, g, c, slope)
    s[1:] = np.maximum(c[1:] - g * c[:-1], 0)
    return c, s
