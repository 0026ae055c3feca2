"""How far the largest transient of a trace stands out of its noise."""

from __future__ import annotations

import logging
from functools import lru_cache

import numpy as np
from scipy import ndimage, sparse, special

from cnmf_engine.base.errors import InputError, ParameterError, explain

__all__ = ["listed", "transient_snr"]

logger = logging.getLogger("caiman")

_BASELINE_PERCENTILE = 8
_LARGEST_BIN = 800


def transient_snr(traces: np.ndarray, fr: float, decay_time: float) -> np.ndarray:
    """
    Measure how far the largest transient of each trace stands out of its noise.

    The slow baseline is subtracted; centre and spread of what is left come from its mode and from the samples
    below it, where there are no transients. The probability that noise alone stays as high as the trace does
    for the length of a transient is turned into the number of standard deviations that is as unlikely in a
    single sample. As in CaImAn the spread is multiplied by three first, so a value of 3 means nine standard
    deviations, kept up for ``fr * decay_time`` samples. It is computed from the logarithm of that
    probability, so it stays finite where CaImAn's becomes infinite.

    Parameters
    ----------
    traces : ndarray of shape (K, T)
        Raw traces ``C + YrA``.
    fr : float
        Frames a second, Hz.
    decay_time : float
        Length of a typical transient, s.

    Returns
    -------
    ndarray of shape (K,), float64
        SNR; 0 (and a warning) for traces that are constant or hold NaN.

    Raises
    ------
    InputError
        If `traces` isn't an array of shape (K, T).
    ParameterError
        If `fr` or `decay_time` isn't positive.

    References
    ----------
    Giovannucci et al. 2019, eLife 8:e38173, Methods, 'Component quality assessment'.
    Bickel & Fruehwirth 2006, Comput. Stat. Data Anal. 50:3500 (half-sample mode).
    """
    traces = np.asarray(traces, dtype=np.float64)
    if traces.ndim != 2:
        raise InputError(
            explain(
                "traces of shape (components, frames)",
                f"shape {traces.shape}",
                "use traces[None] for a single one",
            )
        )
    for name, value in (("fr", fr), ("decay_time", decay_time)):
        if not (np.isfinite(value) and value > 0):
            raise ParameterError(
                explain(f"a positive {name}", repr(value), f"set it with change_params({{'{name}': ...}})")
            )
    length = int(np.ceil(fr * decay_time))
    found = np.array([_snr(trace, length) for trace in traces], dtype=np.float64)
    unusable = np.flatnonzero(~np.isfinite(found))
    if unusable.size:
        logger.warning(
            "%d component(s) have a trace that is constant or holds NaN; their SNR is set to 0: %s",
            unusable.size,
            listed(unusable),
        )
        found[unusable] = 0.0
    return found


def _snr(trace: np.ndarray, length: int) -> float:
    """SNR of one trace, NaN if it can't be told."""
    if trace.size == 0 or not np.all(np.isfinite(trace)):
        return np.nan
    flat = trace - _baseline(trace)
    mode = _half_sample_mode(np.sort(flat))
    below = flat[flat < mode] - mode
    spread = np.sqrt(np.mean(below**2)) if below.size else 0.0
    # Rounding errors of a constant trace aren't noise.
    if spread <= 1e-12 * np.abs(trace).max():
        return np.nan
    log_tail = special.log_ndtr(-(flat - mode) / (3 * spread))
    sums = np.convolve(log_tail, np.ones(length))[: len(flat)]
    return float(-special.ndtri_exp(sums.min() / length))


def _baseline(trace: np.ndarray) -> np.ndarray:
    """Low percentile in long bins, joined by a cubic spline."""
    T = len(trace)
    width = max(min(T // 5, _LARGEST_BIN), 1)
    missing = -T % width
    padded = np.pad(trace, (missing // 2, missing - missing // 2), mode="reflect")
    bins = np.percentile(padded.reshape(-1, width), _BASELINE_PERCENTILE, axis=1)
    slow = _splines(len(bins), width) @ ndimage.spline_filter(bins, order=3, mode="constant")
    return slow[missing // 2 : missing // 2 + T]


@lru_cache(maxsize=4)
def _splines(n: int, width: int) -> sparse.csr_matrix:
    """
    Give the weights of n cubic B-splines in each of ``n * width`` frames.

    With them `scipy.ndimage.zoom`, which would find them again for each trace and takes longer than all else
    that is asked of a trace, is a product with the few coefficients of the bins.
    """
    place = np.arange(n * width) * ((n - 1) / max(n * width - 1, 1))
    first = np.floor(place).astype(int)
    t = place - first
    # Outside of the first and the last bin, which rounding may lead to, it gives 0.
    weights = np.stack([(1 - t) ** 3, 4 - 6 * t**2 + 3 * t**3, 1 + 3 * t + 3 * t**2 - 3 * t**3, t**3], axis=1)
    weights *= (place <= n - 1)[:, None] / 6
    near = np.abs(first[:, None] + np.arange(-1, 3))
    mirrored = np.abs(np.where(near >= n, 2 * (n - 1) - near, near)) if n > 1 else np.zeros_like(near)
    frames = np.repeat(np.arange(n * width), 4)
    return sparse.csr_matrix((weights.ravel(), (frames, mirrored.ravel())), shape=(n * width, n))


def _half_sample_mode(values: np.ndarray) -> float:
    """Mode of sorted values: the densest half is kept again and again."""
    while len(values) > 3:
        half = len(values) - len(values) // 2
        # Halves start in the lower half: of an even number of values the topmost half isn't looked at, which
        # keeps to the reference.
        widths = values[half - 1 : 2 * half - 1]
        widths = widths - values[: len(widths)]
        first = int(np.argmin(widths))
        # Equal values can't be told apart further.
        if widths[first] == 0:
            return float(values[first])
        values = values[first : first + half]
    if len(values) == 3:
        lower, upper = np.diff(values)
        return float(values[:2].mean() if lower < upper else values[1])
    return float(values.mean())


def listed(indices: np.ndarray | list[int]) -> str:
    """Write the first numbers of a list."""
    shown = ", ".join(map(str, indices[:10]))
    return shown + (", ..." if len(indices) > 10 else "")
