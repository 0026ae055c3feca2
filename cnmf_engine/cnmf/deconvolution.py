"""
From a noisy fluorescence trace to calcium and spikes: OASIS for an autoregressive process of order 1.

The kernels are compiled with Numba and cached; everything around them is plain NumPy.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from ..errors import ParameterError, explain
from ..noise import trace_noise

__all__ = ["Deconvolved", "constrained_foopsi", "deconvolve_traces", "estimate_ar", "oasis_ar1"]

#: The noise constraint is met when the residual sum of squares is within this part of its target.
_TOLERANCE = 1e-4
_MAX_ROUNDS = 5
#: Where a root of the autoregressive polynomial is moved if it is unstable (> 1) or oscillates (< 0).
_ROOT_HIGH, _ROOT_LOW = 0.95, 0.15


class Deconvolved(NamedTuple):
    """
    Deconvolved traces of K components.

    Attributes
    ----------
    C : ndarray of shape (K, T), float32
        Denoised calcium, baseline and initial decay included.
    S : ndarray of shape (K, T), float32
        Spikes (increments of calcium), in units of `C`.
    bl, c1, sn, lam : ndarray of shape (K,), float64
        Baseline, initial calcium, noise, sparsity penalty.
    g : ndarray of shape (K, p), float64
        Autoregressive coefficients (one column of zeros for p = 0).
    """

    C: np.ndarray
    S: np.ndarray
    bl: np.ndarray
    c1: np.ndarray
    sn: np.ndarray
    g: np.ndarray
    lam: np.ndarray


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
def _solve(y, offset, last, g, c, slope, work):  # pragma: no cover - compiled
    """
    Solve for calcium given an offset; write it to c, and minus its derivative by the offset to slope.

    ``last`` is taken off the last sample, whose calcium no later spike shares.
    """
    T = y.size
    shifted, value, weight = work[0], work[1], work[2]
    start = np.empty(T, np.int64)
    length = np.empty(T, np.int64)
    for t in range(T):
        shifted[t] = y[t] - offset
    shifted[T - 1] -= last
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


@njit(cache=True, nogil=True)
def _percentile(y, q):  # pragma: no cover - compiled
    """Percentile with linear interpolation."""
    ordered = np.sort(y)
    position = q / 100 * (y.size - 1)
    low = int(position)
    high = min(low + 1, y.size - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)


@njit(cache=True, nogil=True)
def _constrained_ar1(y, g, sn, nonneg, c):  # pragma: no cover - compiled
    """
    Sparsest calcium whose residual has the variance of the noise; return baseline and penalty.

    Calcium depends on baseline b and penalty lambda only through ``b + lambda * (1 - g)`` (and on lambda in
    the last sample), so one number is moved until the residual is as large as the noise.
    """
    T = y.size
    target = sn * sn * T
    slope = np.empty(T)
    work = np.empty((3, T))
    offset = _percentile(y, 15.0)
    if nonneg and offset < 0:
        offset = 0.0
    _solve(y, offset, 0.0, g, c, slope, work)
    baseline = (y - c).mean()
    if nonneg and baseline < 0:
        baseline = 0.0
    lam = (offset - baseline) / (1 - g)
    for _ in range(_MAX_ROUNDS):
        residual = y - c - baseline
        error = (residual * residual).sum() - target
        if abs(error) <= _TOLERANCE * target or c.max() <= 0:
            break
        change = slope if nonneg and baseline == 0 else slope - slope.mean()
        a = (change * change).sum()
        b = (residual * change).sum()
        if a == 0:
            break
        root = b * b - a * error
        step = (-b + np.sqrt(root)) / a if root > 0 else -b / a
        offset += step
        _solve(y, offset, lam * g, g, c, slope, work)
        baseline = (y - c).mean()
        if nonneg and baseline < 0:
            baseline = 0.0
        lam = (offset - baseline) / (1 - g)
    return baseline, lam


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

    References
    ----------
    Friedrich, Zhou & Paninski 2017, PLoS Comput Biol 13:e1005423, 'Methods', Algorithm 1.
    """
    y = np.ascontiguousarray(y, dtype=np.float64)
    c, slope = np.empty_like(y), np.empty_like(y)
    _solve(y, lam * (1 - g), lam * g, g, c, slope, np.empty((3, y.size)))
    return c, _spikes(c, g)


def _spikes(c: np.ndarray, g: float) -> np.ndarray:
    """Increments of calcium over its decay; the first sample has none."""
    s = np.zeros_like(c)
    s[1:] = np.maximum(c[1:] - g * c[:-1], 0)
    return s


def estimate_ar(y: np.ndarray, p: int, sn: float, lags: int = 5, fudge_factor: float = 0.96) -> np.ndarray:
    """
    Autoregressive coefficients from the autocovariance of a noisy trace.

    Parameters
    ----------
    y : ndarray of shape (T,)
        Trace.
    p : int
        Order.
    sn : float
        Noise; its variance is taken off the autocovariance at lag 0.
    lags : int
        Lags used beyond the order.
    fudge_factor : float
        Roots are multiplied by it, because noise makes decays look longer than they are.

    Returns
    -------
    ndarray of shape (p,), float64
        Coefficients of a stable process without oscillation.

    References
    ----------
    Pnevmatikakis et al. 2016, Neuron 89:285, Supplement, 'Estimation of the time constants'.
    """
    centred = np.asarray(y, dtype=np.float64) - np.mean(y, dtype=np.float64)
    T = centred.size
    n_lags = min(lags + p, T - 1)
    covariance = np.array([centred[: T - k] @ centred[k:] / T for k in range(n_lags + 1)])
    if n_lags < p or covariance[0] <= 0:
        return np.full(p, _ROOT_LOW * fudge_factor) if p == 1 else np.zeros(p)
    # Row k says: the covariance at lag k is the weighted sum of those one and two lags earlier.
    index = np.abs(np.arange(1, n_lags + 1)[:, None] - np.arange(1, p + 1)[None, :])
    design = covariance[index]
    design[index == 0] -= sn**2
    coefficients = np.linalg.lstsq(design, covariance[1:], rcond=None)[0]
    roots = np.roots(np.concatenate([[1.0], -coefficients])).real
    roots = np.where(roots > 1, _ROOT_HIGH, np.where(roots < 0, _ROOT_LOW, roots)) * fudge_factor
    # np.roots leaves trailing zero coefficients out; they are roots at 0.
    roots = np.concatenate([roots, np.zeros(p - roots.size)])
    return -np.poly(roots)[1:]


def constrained_foopsi(
    fluor: np.ndarray,
    bl: float | None = None,
    c1: float | None = None,
    g: np.ndarray | float | None = None,
    sn: float | None = None,
    p: int = 1,
    method_deconvolution: str = "oasis",
    bas_nonneg: bool = False,
    noise_range: tuple[float, float] = (0.25, 0.5),
    noise_method: str = "mean",
    lags: int = 5,
    fudge_factor: float = 0.96,
) -> tuple[np.ndarray, float, float, np.ndarray, float, np.ndarray, float]:
    """
    Deconvolve one trace: the sparsest spikes whose residual is as large as the noise.

    Parameters
    ----------
    fluor : ndarray of shape (T,)
        Fluorescence.
    bl, c1 : float, optional
        Accepted for compatibility; both are estimated.
    g : float or ndarray of shape (p,), optional
        Autoregressive coefficients; estimated if None.
    sn : float, optional
        Noise; estimated from the upper half of the spectrum if None.
    p : {0, 1}
        Order of the autoregressive process; 0 clips the trace at 0 and nothing else.
    method_deconvolution : {'oasis'}
        Solver.
    bas_nonneg : bool
        Whether the baseline has to be at least 0.
    noise_range, noise_method, lags, fudge_factor
        How `sn` and `g` are estimated, see `trace_noise` and `estimate_ar`.

    Returns
    -------
    c : ndarray of shape (T,), float64
        Calcium, without baseline.
    bl, c1 : float
        Baseline and initial calcium (both 0 for p = 0; `c` holds the initial decay).
    g : ndarray of shape (p,), float64
        Coefficients used.
    sn : float
        Noise used.
    s : ndarray of shape (T,), float64
        Spikes.
    lam : float
        Sparsity penalty that meets the noise constraint.

    Raises
    ------
    ParameterError
        If `p` or the method isn't one of those above.

    References
    ----------
    Friedrich, Zhou & Paninski 2017, PLoS Comput Biol 13:e1005423, 'Hard shrinkage and l1 penalty' and
    'Optimizing the baseline'.
    """
    _check(p, method_deconvolution)
    y = np.ascontiguousarray(fluor, dtype=np.float64)
    if p == 0:
        c = np.maximum(y, 0)
        return c, 0.0, 0.0, np.zeros(1), float(sn or 0.0), c.copy(), 0.0
    if sn is None:
        sn = float(trace_noise(y, noise_range, noise_method))
    g = estimate_ar(y, p, sn, lags, fudge_factor) if g is None else np.atleast_1d(np.asarray(g, float))
    c = np.zeros_like(y)
    if y.size < 3 or not np.ptp(y) > 0:
        return c, float(y.mean()) if y.size else 0.0, 0.0, g, sn, np.zeros_like(y), 0.0
    decay = float(np.clip(g[0], 1e-6, 1 - 1e-6))
    baseline, lam = _constrained_ar1(y, decay, sn, bas_nonneg, c)
    return c, float(baseline), 0.0, g, sn, _spikes(c, decay), float(lam)


def _check(p: int, method: str) -> None:
    """Raise ParameterError for an order or a solver that this module doesn't have."""
    if p not in (0, 1):
        raise ParameterError(
            explain(
                "p = 0 (no dynamics) or p = 1 (instant rise, exponential decay)", f"p = {p!r}", "use p = 1"
            )
        )
    if method != "oasis":
        raise ParameterError(explain("method_deconvolution 'oasis'", f"{method!r}", "use 'oasis'"))


def deconvolve_traces(
    traces: np.ndarray, *, p: int = 1, sn: np.ndarray | None = None, **options
) -> Deconvolved:
    """
    Deconvolve K traces.

    Parameters
    ----------
    traces : ndarray of shape (K, T)
        Raw traces.
    p : {0, 1}
        Order of the autoregressive process.
    sn : ndarray of shape (K,), optional
        Noise of each trace; estimated if None.
    **options
        Further keywords of `constrained_foopsi`.

    Returns
    -------
    Deconvolved
        Traces and parameters; `C` includes the baseline.
    """
    K, T = traces.shape
    order = max(p, 1)
    out = Deconvolved(
        np.empty((K, T), np.float32),
        np.empty((K, T), np.float32),
        *(np.zeros(K) for _ in range(3)),
        np.zeros((K, order)),
        np.zeros(K),
    )
    for k in range(K):
        noise = None if sn is None else float(sn[k])
        c, bl, c1, g, noise, s, lam = constrained_foopsi(traces[k], p=p, sn=noise, **options)
        out.C[k], out.S[k] = c + bl, s
        out.bl[k], out.c1[k], out.sn[k], out.g[k], out.lam[k] = bl, c1, noise, g, lam
    return out
