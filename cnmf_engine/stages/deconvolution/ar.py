"""Rise and decay of a trace: autoregressive coefficients from its autocovariance or from its large events."""

from __future__ import annotations

import numpy as np

__all__ = ["estimate_ar", "refine_decay"]

#: Where a root of the autoregressive polynomial is moved if it is unstable (> 1) or oscillates (< 0).
_ROOT_HIGH, _ROOT_LOW = 0.95, 0.15
#: A refined decay is at most so many times as long or as short as the first: events don't show more.
_FARTHEST = 3
#: The window of an event ends before a spike of this part of its size, or after so many decay times.
_INTERRUPTION, _DECAY_TIMES = 0.15, 4
_SHORTEST_WINDOW = 4


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


def refine_decay(y: np.ndarray, s: np.ndarray, g: float, n_events: int, first: float | None = None) -> float:
    """
    Decay that fits the largest events of a trace best.

    Each event is followed from its spike until the next spike that would disturb it, and fitted with an
    exponential of its own height; the decay is common to all.

    Parameters
    ----------
    y : ndarray of shape (T,)
        Trace, baseline removed.
    s : ndarray of shape (T,)
        Spikes found with the decay so far.
    g : float
        Decay so far; bounds how long an event is followed.
    n_events : int
        How many events to use.
    first : float, optional
        Decay before any refinement, `g` if None; the result stays within a factor of three of its time.

    Returns
    -------
    float
        Decay per frame; `g` itself if no event lasts long enough.

    References
    ----------
    Friedrich, Zhou & Paninski 2017, PLoS Comput Biol 13:e1005423, 'Optimizing the AR coefficient'.
    """
    from scipy.optimize import minimize_scalar

    windows = _event_windows(y, s, g, n_events)
    if not windows:
        return g

    def misfit(decay: float) -> float:
        total = 0.0
        for window in windows:
            shape = decay ** np.arange(window.size)
            total -= max(window @ shape, 0) ** 2 / (shape @ shape)
        return total

    first = g if first is None else first
    bounds = first**_FARTHEST, first ** (1 / _FARTHEST)
    return float(minimize_scalar(misfit, bounds=bounds, method="bounded").x)


def _event_windows(y: np.ndarray, s: np.ndarray, g: float, n_events: int) -> list[np.ndarray]:
    """Pieces of the trace from each of the largest spikes to the next that disturbs it."""
    longest = int(np.ceil(_DECAY_TIMES / -np.log(g))) + _SHORTEST_WINDOW
    windows: list[np.ndarray] = []
    for start in np.argsort(s)[::-1]:
        if len(windows) == n_events or s[start] <= 0:
            break
        later = np.flatnonzero(s[start + 1 : start + longest] > _INTERRUPTION * s[start])
        stop = start + 1 + int(later[0]) if later.size else start + longest
        window = y[start : min(stop, y.size)]
        if window.size >= _SHORTEST_WINDOW:
            windows.append(window)
    return windows
