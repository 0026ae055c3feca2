"""When cells fire, how fast the indicator is and how large transients are: a fit against the truth."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from scipy import ndimage

from workshop_utils.measures.scoring import match, unit_columns
from workshop_utils.movies.truth import Truth

__all__ = ["WIDTHS", "amplitude_slopes", "coefficients", "decay_times", "duplicates", "dynamics", "spike_r"]

#: Standard deviations of the Gaussian that spikes are smoothed with before they are compared, s.
WIDTHS = (0.1, 0.2)
# Two components are one cell twice if their footprints have this cosine similarity, and their traces this
# correlation.
DOUBLE_COSINE, DOUBLE_R = 0.3, 0.8


def spike_r(S: np.ndarray, S_true: np.ndarray, fr: float, width: float) -> np.ndarray:
    """
    Correlate inferred with true spikes, both smoothed by a Gaussian.

    Parameters
    ----------
    S, S_true : ndarray of shape (n, T)
        Inferred spikes of any scale, and true counts.
    fr : float
        Frames a second.
    width : float
        Standard deviation of the Gaussian, s.

    Returns
    -------
    ndarray of shape (n,)
        Pearson correlation of each cell; 0 where nothing was inferred, NaN where it never fires.

    References
    ----------
    Rupprecht et al. 2021, Nat Neurosci 24:1324, Methods (correlation after Gaussian smoothing).
    """
    smooth = [ndimage.gaussian_filter1d(np.asarray(x, float), width * fr, axis=-1) for x in (S, S_true)]
    a, b = (x - x.mean(axis=-1, keepdims=True) for x in smooth)
    length = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    r = np.divide((a * b).sum(axis=-1), length, out=np.zeros(len(a)), where=length > 0)
    return np.where(np.linalg.norm(b, axis=-1) > 0, r, np.nan)


def decay_times(g, fr: float) -> np.ndarray:
    """
    Turn autoregressive coefficients into decay times.

    Parameters
    ----------
    g : sequence of array_like
        Coefficients of each cell, one or two.
    fr : float
        Frames a second.

    Returns
    -------
    ndarray of shape (K,)
        Time constant of the slower exponential, s; NaN where there is none.
    """
    slowest = np.array([_slowest(np.atleast_1d(of)) for of in g if of is not None], float)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where((slowest > 0) & (slowest < 1), -1 / (fr * np.log(slowest)), np.nan)


def _slowest(g: np.ndarray) -> float:
    return float(np.abs(np.roots([1, *-g])).max(initial=0)) if g.size and np.isfinite(g).all() else np.nan


def coefficients(rise: float, decay: float, fr: float) -> tuple[list[float], list[float]]:
    """Give the autoregressive coefficients of order 1 and 2 that belong to a rise and a decay, s."""
    d, r = np.exp(-1 / (fr * decay)), np.exp(-1 / (fr * rise))
    return [float(d)], [float(d + r), float(-d * r)]


def amplitude_slopes(A, C: np.ndarray, truth: Truth, pairs: np.ndarray) -> np.ndarray:
    """
    Regress the light that components stand for on the light that is there.

    Footprint times trace is what a component says of the movie. Its image is measured by the least-squares
    multiple of the true footprint, so that the norm of A doesn't matter and the unit is the truth's: counts
    at the footprint's peak. A straight drift (bleaching of resting light, which C leaves out) is fitted
    beside it.

    Parameters
    ----------
    A : sparse array of shape (d, K)
        Footprints, pixels in Fortran order.
    C : ndarray of shape (K, T)
        Traces.
    truth : Truth
        What the recording holds.
    pairs : ndarray of shape (n, 2)
        Component and true cell.

    Returns
    -------
    ndarray of shape (n,)
        1 where the amplitude is right, 0.9 where it is 10 % too small.
    """
    A, slopes, time = sp.csc_array(A), [], np.linspace(-1, 1, C.shape[1])
    for i, j in pairs:
        true = truth.A[j].ravel(order="F").astype(float)
        scale = float((A[:, [i]].T @ true)[0]) / (true @ true)
        known = np.stack([truth.C[j], np.ones_like(time), time], axis=1)
        slopes.append(np.linalg.lstsq(known, scale * C[i], rcond=None)[0][0])
    return np.array(slopes)


def duplicates(A, C: np.ndarray) -> int:
    """Count pairs of components that are one cell twice: overlapping footprints and the same trace."""
    unit = unit_columns(A, A.shape[0])
    near = sp.coo_array(sp.triu(unit.T @ unit, 1))
    pairs = zip(*(index[near.data >= DOUBLE_COSINE] for index in near.coords))
    moving = C.std(axis=1) > 0
    return sum(bool(np.corrcoef(C[i], C[j])[0, 1] >= DOUBLE_R) for i, j in pairs if moving[i] and moving[j])


def dynamics(estimates, truth: Truth, rise: float, decay: float) -> dict:
    """
    Compare spikes, decay and amplitude of the detectable cells that were found with the truth.

    Parameters
    ----------
    estimates : Estimates
        With `A`, `C`, `S`, `YrA` and `g`.
    truth : Truth
        What the recording holds.
    rise, decay : float
        Time constants of the indicator, s.

    Returns
    -------
    dict
        Medians over the cells: `spikes_100`, `spikes_200` (correlation at that many ms), the same with
        `_known` (the found raw traces deconvolved with the true rise and decay, by the better order),
        `decay_s`, `true_decay_s`, `amplitude_slope` of C, and `raw_slope` of C + YrA, which the
        sparsity penalty hasn't shrunk.
    """
    found = match(estimates.A, truth.A).pairs
    found = found[truth.detectable[found[:, 1]]]
    est, true = found.T
    S = truth.S[true]
    told = {
        "decay_s": _median(decay_times([estimates.g[i] for i in est], truth.fr)),
        "true_decay_s": decay,
        "amplitude_slope": _median(amplitude_slopes(estimates.A, np.asarray(estimates.C), truth, found)),
    }
    raw = np.asarray(estimates.C + estimates.YrA)
    told["raw_slope"] = _median(amplitude_slopes(estimates.A, raw, truth, found))
    raw = raw[est]
    known = [_deconvolved(raw, g) for g in coefficients(rise, decay, truth.fr)]
    for width in WIDTHS:
        name = f"spikes_{width * 1000:.0f}"
        told[name] = _median(spike_r(np.asarray(estimates.S)[est], S, truth.fr, width))
        # NaN, for no cells, is the same for both orders.
        told[f"{name}_known"] = max(_median(spike_r(s, S, truth.fr, width)) for s in known)
    return told


def _deconvolved(raw: np.ndarray, g: list[float]) -> np.ndarray:
    from cnmf_engine.stages.deconvolution.foopsi import constrained_foopsi

    spikes = [constrained_foopsi(trace, g=np.array(g), p=len(g))[5] for trace in raw]
    return np.array(spikes).reshape(raw.shape)


def _median(values: np.ndarray) -> float:
    values = values[np.isfinite(values)]
    return float(np.median(values)) if len(values) else float("nan")
