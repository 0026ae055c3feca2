"""Slow changes of traces: the baseline as a running percentile."""

from __future__ import annotations

import numpy as np
from scipy import ndimage, sparse, stats

from cnmf_engine.base.errors import ParameterError, explain
from cnmf_engine.base.parallel import one_thread

__all__ = ["baseline", "detrend", "in_noise_units", "mode_percentiles"]


@one_thread()
def detrend(
    raw: np.ndarray,
    A: sparse.spmatrix,
    background: tuple[np.ndarray | sparse.spmatrix, np.ndarray] | None,
    percentile: float | None,
    window: int,
    fast: bool = False,
) -> np.ndarray:
    """
    Subtract the resting level of traces and, if there is a background, divide by it.

    Parameters
    ----------
    raw : ndarray of shape (K, T)
        Traces.
    A : sparse matrix of shape (d, K)
        Footprints; traces are brought to the units of footprints of unit length.
    background : tuple of arrays of shape (d, nb) and (nb, T), or None
        Low-rank background b and f.
    percentile : float or None
        Percentile of the window that is the resting level, %; None finds it for each trace.
    window : int
        Frames.
    fast : bool
        Take the percentile only every tenth of a window.

    Returns
    -------
    ndarray of shape (K, T), float32
        Detrended traces, or DF/F.

    Raises
    ------
    ParameterError
        If the window or the percentile can't be used.
    """
    if not (isinstance(window, (int, np.integer)) and window > 0):
        fix = "use a window of some hundred frames"
        raise ParameterError(explain("frames_window to be a whole number above 0", repr(window), fix))
    if percentile is not None and not 0 <= percentile <= 100:
        raise ParameterError(explain("quantileMin from 0 to 100", repr(percentile), "use for example 8"))
    A = sparse.csc_matrix(A)
    norms = np.sqrt(np.asarray(A.multiply(A).sum(axis=0), dtype=np.float64)).ravel()
    F = raw * norms[:, None]
    percentiles = (
        mode_percentiles(F[:, :window]) if percentile is None else np.full(len(F), float(percentile))
    )
    resting = baseline(F, percentiles, window, fast)
    if background is None:
        return (F - resting).astype(np.float32)
    b, f = background
    # The projection of the background on footprints of unit length.
    weight = sparse.csc_matrix(A @ sparse.diags_array(1 / np.where(norms > 0, norms, 1)))
    behind = baseline(np.asarray(weight.T @ b @ np.asarray(f)), percentiles, window, fast)
    return ((F - resting) / (behind + resting)).astype(np.float32)


@one_thread()
def in_noise_units(detrended: np.ndarray, A: sparse.spmatrix, raw: np.ndarray) -> np.ndarray:
    """
    Divide traces by their noise.

    Parameters
    ----------
    detrended : ndarray of shape (K, T)
        What `detrend` made of the traces.
    A : sparse matrix of shape (d, K)
        Footprints.
    raw : ndarray of shape (K, T)
        Traces with their noise, before they were brought to the units of footprints of unit length.

    Returns
    -------
    ndarray of shape (K, T), float32
        Traces in noise levels; 0 for a trace without noise.
    """
    from cnmf_engine.stages.noise import calcium_noise

    norms = np.sqrt(np.asarray(A.multiply(A).sum(axis=0), dtype=np.float64)).ravel()
    noise = norms * np.array([calcium_noise(np.asarray(trace, dtype=np.float64)) for trace in raw])
    safe = np.where(noise > 0, noise, np.inf).reshape(-1, 1)
    return (detrended / safe).astype(np.float32)


def mode_percentiles(traces: np.ndarray) -> np.ndarray:
    """
    Tell at which percentile of each trace its most frequent value lies, which is its resting level.

    Parameters
    ----------
    traces : ndarray of shape (K, T)
        Traces.

    Returns
    -------
    ndarray of shape (K,), float64
        Percentiles, 0 to 100; 50 for a constant trace.
    """
    result = np.full(len(traces), 50.0)
    for k, trace in enumerate(np.asarray(traces, dtype=np.float64)):
        if np.ptp(trace) == 0 or len(trace) < 3:
            continue
        grid = np.linspace(trace.min(), trace.max(), 200)
        mode = grid[np.argmax(stats.gaussian_kde(trace)(grid))]
        result[k] = 100 * np.mean(trace <= mode)
    return result


def baseline(traces: np.ndarray, percentiles: np.ndarray, window: int, fast: bool = False) -> np.ndarray:
    """
    Follow the resting level of traces.

    Parameters
    ----------
    traces : ndarray of shape (K, T)
        Traces.
    percentiles : ndarray of shape (K,)
        Percentile of the window that is the resting level, for each trace.
    window : int
        Frames; at T or more the whole trace has one level.
    fast : bool
        Take the percentile only every tenth of a window and interpolate.

    Returns
    -------
    ndarray of shape (K, T), float64
        The level.
    """
    traces = np.asarray(traces, dtype=np.float64)
    n_frames = traces.shape[1]
    result = np.empty_like(traces)
    for k, (trace, percentile) in enumerate(zip(traces, percentiles)):
        if window >= n_frames:
            result[k] = np.percentile(trace, percentile)
        elif fast:
            result[k] = _sparse_percentile(trace, percentile, window)
        else:
            result[k] = ndimage.percentile_filter(trace, percentile, size=window)
    return result


def _sparse_percentile(trace: np.ndarray, percentile: float, window: int) -> np.ndarray:
    # Half a window at each end is mirrored, as the full filter does.
    padded = np.pad(trace, (window // 2, window - window // 2), mode="symmetric")
    centres = np.unique(np.append(np.arange(0, len(trace), max(window // 10, 1)), len(trace) - 1))
    levels = [np.percentile(padded[centre : centre + window], percentile) for centre in centres]
    return np.interp(np.arange(len(trace)), centres, levels)
