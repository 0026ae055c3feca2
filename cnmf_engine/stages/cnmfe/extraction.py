"""One neuron from a seed pixel: its footprint and trace in a small box of the movie."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from cnmf_engine.stages.noise import shorten, trace_noise

__all__ = ["Neuron", "circular_constraint", "connected_constraint", "extract_neuron", "trace_baseline"]

#: Filtered traces this similar to the seed's belong to the neuron's core, this dissimilar to background.
_CORE, _BACKGROUND = 0.9, 0.3
_CROSS = ndimage.generate_binary_structure(2, 1)


class Neuron(NamedTuple):
    """
    Footprint and trace of one neuron.

    Attributes
    ----------
    footprint : ndarray of shape (rows, columns), float32
        In the box that was given.
    trace : ndarray of shape (T,), float32
        Baseline removed, about unit norm before that.
    """

    footprint: np.ndarray
    trace: np.ndarray


def circular_constraint(image: np.ndarray) -> np.ndarray:
    """
    Cut off what rises again away from the brightest pixel: most likely a neighbour.

    Parameters
    ----------
    image : ndarray of shape (rows, columns)
        Footprint, not negative.

    Returns
    -------
    ndarray of shape (rows, columns)
        Footprint that falls off around its maximum.
    """
    peak = np.unravel_index(np.argmax(image), image.shape)
    level = image[peak]
    if not level > 0:
        return image
    padded = np.pad(image, 1)
    slope_r, slope_c = (part[1:-1, 1:-1] for part in np.gradient(padded))
    rows, columns = np.indices(image.shape)
    outwards = slope_r * (peak[0] - rows) + slope_c * (peak[1] - columns) < 0
    kept = (image > 0) & ~(outwards & (image < level / 3))
    labels, _ = ndimage.label(kept, structure=_CROSS)
    return np.where(labels == labels[peak], image, 0)


def connected_constraint(image: np.ndarray) -> np.ndarray:
    """
    Keep what is connected to the brightest pixel after thin bridges have been opened.

    Parameters
    ----------
    image : ndarray of shape (rows, columns)
        Footprint, not negative.

    Returns
    -------
    ndarray of shape (rows, columns)
        Footprint in one piece; the input if opening leaves nothing.
    """
    opened = ndimage.grey_opening(image, size=(5, 5))
    level = opened.max()
    if not level > 0:
        return image
    labels, _ = ndimage.label(opened > 0.01 * level, structure=_CROSS)
    return np.where(labels == labels[np.unravel_index(np.argmax(opened), image.shape)], image, 0)


def trace_baseline(trace: np.ndarray) -> float:
    """
    Baseline of a trace: the median of samples at which it neither falls nor jumps.

    Parameters
    ----------
    trace : ndarray of shape (T,)
        Trace.

    Returns
    -------
    float
        Baseline; NaN if there is no such sample.
    """
    noise = trace_noise(shorten(trace, 3072), noise_method="logmexp", inclusive=True)
    rise = np.diff(trace)
    quiet = trace[1:][(rise >= 0) & (rise < noise)]
    return float(np.median(quiet)) if quiet.size else float("nan")


def _median_over_pixels(traces: np.ndarray) -> np.ndarray:
    """Median of each frame; sorting short rows is ten times faster than NumPy's median of columns."""
    ordered = np.sort(traces.T, axis=1)
    n = len(traces)
    return ordered[:, (n - 1) // 2 : n // 2 + 1].mean(axis=1)


def extract_neuron(raw: np.ndarray, filtered: np.ndarray, seed: tuple[int, int]) -> Neuron | None:
    """
    Estimate footprint and trace of the neuron at a seed pixel.

    Parameters
    ----------
    raw, filtered : ndarray of shape (rows, columns, T), float32
        The movie and the filtered movie in a box around the seed.
    seed : tuple of int
        Row and column of the seed in the box.

    Returns
    -------
    Neuron or None
        None if there is nothing to extract (no activity, or fewer than three pixels).

    References
    ----------
    Zhou et al. 2018, eLife 7:e28728, Methods, 'Initialization of A and C', Algorithm 1.
    """
    rows, columns, T = raw.shape
    unit = filtered.reshape(-1, T)
    unit = unit - unit.mean(axis=1, keepdims=True)
    norm = np.sqrt(np.einsum("it,it->i", unit, unit))
    unit *= np.where(norm > 0, 1 / np.where(norm > 0, norm, 1), 0)[:, None]
    similarity = unit @ unit[seed[0] * columns + seed[1]]
    core = similarity > _CORE
    if not core.any():
        return None
    trace = unit[core].mean(axis=0)
    flat = np.ascontiguousarray(raw.reshape(-1, T))
    outside = similarity < _BACKGROUND
    background = _median_over_pixels(flat[outside]) if outside.any() else np.ones(T)
    # Regressors are centred and of one size, so the intercept drops out and the small system stays well
    # conditioned whatever the movie's units.
    design = np.stack([trace - trace.mean(), background - background.mean()]).astype(np.float64)
    size = np.linalg.norm(design, axis=1)
    design /= np.where(size > 0, size, 1)[:, None]
    weights = np.linalg.pinv(design @ design.T, rcond=1e-10, hermitian=True)[0] / (size[0] or 1)
    amplitude = (flat @ (weights @ design).astype(np.float32)).reshape(rows, columns)
    footprint = connected_constraint(circular_constraint(np.maximum(amplitude, 0)))
    baseline = trace_baseline(trace)
    if np.count_nonzero(footprint) < 3 or not np.isfinite(baseline):
        return None
    return Neuron(footprint.astype(np.float32), (trace - baseline).astype(np.float32))
