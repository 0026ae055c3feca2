"""
How good a component is: how far its transients stand out, and whether the movie shows its footprint then.

Both measures look at the movie itself, background included, so in one-photon data the second is low for
many true cells and acceptance rests mostly on the first.
"""

from __future__ import annotations

from math import ceil, floor
from typing import NamedTuple

import numpy as np
from scipy import ndimage, signal, sparse, special

from .errors import InputError, explain

__all__ = [
    "Decision",
    "decide",
    "half_sample_mode",
    "remove_baseline",
    "spatial_correlation",
    "transient_snr",
]

_BASELINE_PERCENTILE = 8
_MAX_BIN = 800
#: Noise levels that count as one unit of a trace's height.
_NOISE_UNITS = 3
#: A peak lies above this part of the trace's range; so many of the highest count.
_PEAK_HEIGHT, _MAX_PEAKS = 0.3, 10
#: Components whose normalised footprints share more than this are each other's neighbours.
_MIN_OVERLAP = 0.1


class Decision(NamedTuple):
    """
    Which components are accepted.

    Attributes
    ----------
    accepted, rejected : ndarray of int
        Indices, ascending.
    """

    accepted: np.ndarray
    rejected: np.ndarray


def half_sample_mode(values: np.ndarray) -> float:
    """
    Mode of a sample: keep the densest half until two or three values are left.

    Parameters
    ----------
    values : ndarray of shape (n,)
        Sample.

    Returns
    -------
    float
        Mode; robust against any number of transients above a baseline.

    References
    ----------
    Robertson & Cryer 1974, J Am Stat Assoc 69:1012; Bickel & Frühwirth 2006, Comput Stat Data Anal 50:3500.
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    while ordered.size > 3:
        half = (ordered.size + 1) // 2
        # Only windows that start in the lower half: the one that ends at the largest sample is left out, as
        # in the reference, or a trace with many bright samples could take its mode from its transients.
        widths = (ordered[half - 1 :] - ordered[: ordered.size - half + 1])[:half]
        start = int(np.argmin(widths))
        ordered = ordered[start : start + half]
    if ordered.size == 3:
        low, high = np.diff(ordered)
        return float(ordered[1] if low == high else ordered[:2].mean() if low < high else ordered[1:].mean())
    return float(ordered.mean()) if ordered.size else 0.0


def remove_baseline(traces: np.ndarray) -> np.ndarray:
    """
    Subtract a slow baseline: a low percentile a bin, joined by a cubic spline.

    Parameters
    ----------
    traces : ndarray of shape (K, T)
        Raw traces.

    Returns
    -------
    ndarray of shape (K, T), float64
        Traces less their baseline.
    """
    traces = np.asarray(traces, dtype=np.float64)
    K, T = traces.shape
    width = min(T // 5, _MAX_BIN)
    if width < 1 or not K:
        return traces - np.percentile(traces, _BASELINE_PERCENTILE, axis=1, keepdims=True) if K else traces
    missing = -T % width
    before = missing // 2
    padded = np.pad(traces, ((0, 0), (before, missing - before)), mode="reflect")
    bins = np.percentile(padded.reshape(K, -1, width), _BASELINE_PERCENTILE, axis=2)
    baseline = np.stack([ndimage.zoom(row, width, order=3, mode="constant") for row in bins])
    return traces - baseline[:, before : before + T]


def transient_snr(traces: np.ndarray, fr: float, decay_time: float) -> np.ndarray:
    """
    Signal-to-noise ratio of the most improbable stretch of each trace.

    Parameters
    ----------
    traces : ndarray of shape (K, T)
        Raw traces, ``C + YrA``.
    fr : float
        Frame rate, Hz.
    decay_time : float
        Length of a typical transient, s: the stretch is ``ceil(fr * decay_time)`` frames.

    Returns
    -------
    ndarray of shape (K,), float64
        Mean height of the stretch in units of three noise levels (a value of 2 is six standard deviations
        of the noise); finite however high, 0 for a constant trace.

    References
    ----------
    Giovannucci et al. 2019, eLife 8:e38173, Methods, 'Transient detection'.
    """
    traces = np.atleast_2d(np.asarray(traces, dtype=np.float64))
    length = max(ceil(fr * decay_time), 1)
    out = np.zeros(len(traces))
    for k, trace in enumerate(remove_baseline(traces)):
        mode = half_sample_mode(trace)
        below = trace[trace < mode] - mode
        noise = np.sqrt(np.mean(below**2)) if below.size else 0.0
        if not noise > 1e-12 * np.abs(traces[k]).max(initial=0):
            continue
        height = (trace - mode) / (_NOISE_UNITS * noise)
        # In logarithms from end to end: the probability itself underflows for every bright cell.
        surprise = np.cumsum(special.log_ndtr(-height))
        surprise[length:] = surprise[length:] - surprise[:-length]
        out[k] = -special.ndtri_exp(surprise.min() / length)
    return np.nan_to_num(out)


def _peak_frames(trace: np.ndarray, fr: float) -> np.ndarray:
    """Frames around the highest peaks of a trace, as a mask."""
    low, high = trace.min(), trace.max()
    peaks, _ = signal.find_peaks(trace, height=_PEAK_HEIGHT * (high - low) + low)
    peaks = peaks[np.argsort(-trace[peaks], kind="stable")[:_MAX_PEAKS]]
    first, last = min(-2, floor(-5 / 30 * fr)), max(5, ceil(25 / 30 * fr))
    active = np.zeros(trace.size, dtype=bool)
    for peak in peaks if high > low else ():
        active[max(peak + first, 0) : peak + last] = True
    return active


def _pearson(a: np.ndarray, b: np.ndarray) -> float:
    """Correlation of two vectors, 0 if one is constant."""
    a, b = a - a.mean(), b - b.mean()
    scale = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / scale) if scale > 0 else 0.0


def spatial_correlation(Yr: np.ndarray, A: sparse.spmatrix, C: np.ndarray, fr: float) -> np.ndarray:
    """
    Correlation of each footprint with the movie's mean around the component's peaks.

    Parameters
    ----------
    Yr : ndarray or memmap of shape (d, T)
        Movie, background included; only the pixels of footprints are read.
    A : sparse matrix of shape (d, K)
        Footprints.
    C : ndarray of shape (K, T)
        Denoised traces.
    fr : float
        Frame rate, Hz.

    Returns
    -------
    ndarray of shape (K,), float64
        Correlation; 0 for a component without peaks or with fewer than three pixels, -1 where the movie is
        NaN. Frames in which an overlapping component peaks don't count, unless none would be left.

    References
    ----------
    Giovannucci et al. 2019, eLife 8:e38173, Methods, 'Spatial footprint consistency'.
    """
    A = sparse.csc_matrix(A)
    if A.shape[0] != len(Yr) or A.shape[1] != len(C):
        raise InputError(
            explain(
                "a movie (d, T), footprints (d, K) and traces (K, T)",
                f"{Yr.shape}, {A.shape} and {np.shape(C)}",
                "pass the movie the components were found in",
            )
        )
    norm = np.sqrt(np.asarray(A.multiply(A).sum(axis=0)).ravel())
    unit = A @ sparse.diags(1 / np.where(norm > 0, norm, 1))
    overlap = sparse.csr_matrix(unit.T @ unit)
    active = np.array([_peak_frames(np.asarray(trace, dtype=np.float64), fr) for trace in C], dtype=bool)
    out = np.zeros(len(C))
    for k in range(len(C)):
        part = slice(A.indptr[k], A.indptr[k + 1])
        used = A.data[part] > 0
        if np.count_nonzero(used) < 3 or not active[k].any():
            continue
        row = slice(overlap.indptr[k], overlap.indptr[k + 1])
        near = overlap.indices[row][overlap.data[row] > _MIN_OVERLAP]
        alone = active[k] & ~active[near[near != k]].any(axis=0)
        frames = np.flatnonzero(alone if alone.any() else active[k])
        pixels = A.indices[part][used]
        shown = np.asarray(Yr[pixels][:, frames], dtype=np.float64).mean(axis=1)
        r = _pearson(A.data[part][used].astype(np.float64), shown)
        out[k] = r if np.isfinite(r) else -1.0
    return out


def decide(
    snr: np.ndarray,
    r: np.ndarray,
    *,
    min_SNR: float,
    rval_thr: float,
    SNR_lowest: float = 0.5,
    rval_lowest: float = -1.0,
) -> Decision:
    """
    Accept components that are good in one measure and not hopeless in the other.

    Parameters
    ----------
    snr, r : ndarray of shape (K,)
        Signal-to-noise ratio and spatial correlation.
    min_SNR, rval_thr : float
        One of them has to be met: ``snr > min_SNR`` or ``r >= rval_thr``.
    SNR_lowest, rval_lowest : float
        Both have to be exceeded.

    Returns
    -------
    Decision
        Indices of accepted and rejected components.
    """
    snr, r = np.asarray(snr, dtype=float), np.asarray(r, dtype=float)
    good = ((r >= rval_thr) | (snr > min_SNR)) & (r > rval_lowest) & (snr > SNR_lowest)
    return Decision(np.flatnonzero(good), np.flatnonzero(~good))
