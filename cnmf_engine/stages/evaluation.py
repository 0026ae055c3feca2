"""How trustworthy components are: size of their transients, and likeness of footprint and movie."""

from __future__ import annotations

import logging
from mmap import PAGESIZE
from typing import NamedTuple

import numpy as np
from scipy import sparse

from cnmf_engine.base.errors import InputError, explain
from cnmf_engine.base.memory import drop_pages, frame_blocks
from cnmf_engine.base.parallel import one_thread
from cnmf_engine.stages.transients import listed, transient_snr

__all__ = ["Decision", "decide", "eccentricity", "spatial_correlation", "transient_snr", "weighted_images"]

logger = logging.getLogger("caiman")

_PEAK_HEIGHT = 0.3
_MOST_PEAKS = 10
_OVERLAP = 0.1
_FEWEST_PIXELS = 3
# Bytes of a mapped movie's pages that stay in memory: dropping them after each component costs time.
_MAPPED_BYTES = 2**25


class Decision(NamedTuple):
    """
    Components by verdict.

    Attributes
    ----------
    accepted, rejected : ndarray of int
        Indices in increasing order; every component is in one of them.
    """

    accepted: np.ndarray
    rejected: np.ndarray


@one_thread()
def spatial_correlation(
    Yr: np.ndarray, A: sparse.spmatrix | np.ndarray, C: np.ndarray, fr: float
) -> np.ndarray:
    """
    Compare each footprint with the mean of the movie at the moments when the component is active.

    The movie is taken as it is: its background isn't subtracted. In one-photon movies the static background
    is bright, so true cells reach low values here, and the SNR decides for most of them. All overlapping
    components count as neighbours, whatever their order. Only pixels of footprints and frames around peaks
    are kept in memory.

    Parameters
    ----------
    Yr : ndarray or memmap of shape (d, T)
        Movie, pixels in Fortran order. Both memory orders are read along the grain.
    A : sparse matrix or ndarray of shape (d, K)
        Footprints.
    C : ndarray of shape (K, T)
        Denoised traces.
    fr : float
        Frames a second, Hz.

    Returns
    -------
    ndarray of shape (K,), float64
        Pearson correlation over the pixels of the footprint, from frames around the ten highest peaks of the
        trace that no overlapping component shares. 0 for a trace without peaks or a footprint of fewer than
        three pixels; -1 (and a warning) where it isn't defined.

    Raises
    ------
    InputError
        If the shapes don't fit each other.

    References
    ----------
    Giovannucci et al. 2019, eLife 8:e38173, Methods, 'Component quality assessment'.
    """
    A = sparse.csc_matrix(A)
    C = np.atleast_2d(np.asarray(C))
    if np.ndim(Yr) != 2 or Yr.shape != (A.shape[0], C.shape[1]) or A.shape[1] != C.shape[0]:
        raise InputError(
            explain(
                "movie (d, T), footprints (d, K) and traces (K, T) of the same components",
                f"shapes {np.shape(Yr)}, {A.shape} and {C.shape}",
                "pass the movie that the components were found in",
            )
        )
    T = Yr.shape[1]
    windows = [_active_frames(trace, fr, T) for trace in C]
    pixels = [
        A.indices[A.indptr[k] : A.indptr[k + 1]][A.data[A.indptr[k] : A.indptr[k + 1]] > 0]
        for k in range(len(C))
    ]
    frames = _own_frames(windows, A, T)
    usable = [k for k in range(len(C)) if frames[k].size and pixels[k].size >= _FEWEST_PIXELS]
    sums = weighted_images(
        Yr,
        [pixels[k] for k in usable],
        [frames[k] for k in usable],
        [np.ones((len(frames[k]), 1)) for k in usable],
    )
    found = np.zeros(len(C))
    for k, total in zip(usable, sums):
        weights = A[:, [k]].toarray().ravel()[pixels[k]].astype(np.float64)
        found[k] = _pearson(total[:, 0] / len(frames[k]), weights)
    undefined = np.flatnonzero(np.isnan(found))
    if undefined.size:
        logger.warning(
            "%d component(s) have a footprint or a mean image without contrast; their r is set to -1: %s",
            undefined.size,
            listed(undefined),
        )
        found[undefined] = -1.0
    return found


def decide(
    snr: np.ndarray,
    r: np.ndarray,
    *,
    min_SNR: float,
    rval_thr: float,
    SNR_lowest: float,
    rval_lowest: float,
) -> Decision:
    """
    Accept components that pass one of two thresholds and fail neither of two lower ones.

    Parameters
    ----------
    snr : ndarray of shape (K,)
        From `transient_snr`.
    r : ndarray of shape (K,)
        From `spatial_correlation`.
    min_SNR, rval_thr : float
        An SNR above the first or a correlation of at least the second is enough.
    SNR_lowest, rval_lowest : float
        An SNR or a correlation not above these rejects, whatever the other is.

    Returns
    -------
    Decision
        Indices of accepted and of rejected components. NaN passes no threshold.

    Raises
    ------
    InputError
        If there isn't one correlation an SNR.
    """
    snr, r = np.atleast_1d(np.asarray(snr, dtype=float)), np.atleast_1d(np.asarray(r, dtype=float))
    if snr.ndim != 1 or snr.shape != r.shape:
        raise InputError(
            explain(
                "one SNR and one r a component", f"shapes {snr.shape} and {r.shape}", "evaluate them again"
            )
        )
    good = ((r >= rval_thr) | (snr > min_SNR)) & (r > rval_lowest) & (snr > SNR_lowest)
    return Decision(np.flatnonzero(good), np.flatnonzero(~good))


def _active_frames(trace: np.ndarray, fr: float, T: int) -> np.ndarray:
    """Frames around the highest peaks of a trace, as a mask ``(T,)``."""
    mask = np.zeros(T, dtype=bool)
    trace = np.nan_to_num(np.asarray(trace, dtype=np.float64))
    low, high = trace.min(), trace.max()
    if not high > low:
        return mask
    peaks = _peaks(trace)
    peaks = peaks[trace[peaks] >= _PEAK_HEIGHT * (high - low) + low]
    highest = peaks[np.argsort(-trace[peaks], kind="stable")[:_MOST_PEAKS]]
    before = min(-2, int(np.floor(-5 / 30 * fr)))
    after = max(5, int(np.ceil(25 / 30 * fr)))
    for peak in highest:
        mask[max(peak + before, 0) : peak + after] = True
    return mask


def _peaks(trace: np.ndarray) -> np.ndarray:
    """
    Local maxima of a trace, the middle of those that are flat: what `scipy.signal.find_peaks` gives.

    SciPy's own isn't used because importing it takes longer than the evaluation of a short recording.
    """
    last = np.append(np.flatnonzero(np.diff(trace)), len(trace) - 1)
    first = np.append(0, last[:-1] + 1)
    level = trace[first]
    higher = np.flatnonzero((level[1:-1] > level[:-2]) & (level[1:-1] > level[2:])) + 1
    return (first[higher] + last[higher]) // 2


def _own_frames(windows: list[np.ndarray], A: sparse.csc_matrix, T: int) -> list[np.ndarray]:
    """Active frames of each component that none of its overlapping neighbours shares."""
    norms = np.sqrt(np.asarray(A.multiply(A).sum(axis=0)).ravel().astype(np.float64))
    unit = A @ sparse.diags(1.0 / np.where(norms > 0, norms, 1.0))
    overlap = sparse.csr_matrix(unit.T @ unit)
    own, crowded = [], []
    for k, window in enumerate(windows):
        row = slice(overlap.indptr[k], overlap.indptr[k + 1])
        near = overlap.indices[row][overlap.data[row] > _OVERLAP]
        others = np.zeros(T, dtype=bool)
        for i in near[near != k]:
            others |= windows[i]
        alone = window & ~others
        if window.any() and not alone.any():
            crowded.append(k)
            alone = window
        own.append(np.flatnonzero(alone))
    if crowded:
        logger.warning(
            "%d component(s) are never active without an overlapping one; r counts shared frames there: %s",
            len(crowded),
            listed(crowded),
        )
    return own


def weighted_images(
    Yr: np.ndarray, pixels: list[np.ndarray], frames: list[np.ndarray], weights: list[np.ndarray]
) -> list[np.ndarray]:
    """
    Add up frames at some pixels, for each component.

    Only these pixels and frames are read where time series lie together; where frames do, the movie is read
    once from start to end in blocks.

    Parameters
    ----------
    Yr : ndarray or memmap of shape (d, T)
        Movie, in either memory order.
    pixels, frames : list of ndarray of int
        Rows and columns of ``Yr`` for each component.
    weights : list of ndarray of shape (n_frames, n_images)
        Weight of each frame in each image.

    Returns
    -------
    list of ndarray of shape (n_pixels, n_images), float64
        The sums.
    """
    if Yr.strides[0] >= Yr.strides[1]:
        images, mapped = [], 0
        for where, when, weight in zip(pixels, frames, weights):
            images.append(Yr[np.ix_(where, when)].astype(np.float64) @ weight)
            mapped += len(where) * min(abs(Yr.strides[0]), len(when) * PAGESIZE)
            if mapped > _MAPPED_BYTES:
                drop_pages(Yr)
                mapped = 0
        drop_pages(Yr)
        return images
    sums = [np.zeros((len(where), weight.shape[1])) for where, weight in zip(pixels, weights)]
    for block in frame_blocks(Yr.shape[1], 8 * Yr.shape[0]):
        inside = [np.flatnonzero((when >= block.start) & (when < block.stop)) for when in frames]
        if not any(map(len, inside)):
            continue
        images = np.asarray(Yr[:, block]).T
        for total, where, when, weight, here in zip(sums, pixels, frames, weights, inside):
            total += images[np.ix_(when[here] - block.start, where)].T.astype(np.float64) @ weight[here]
        drop_pages(Yr)
    return sums


def _pearson(image: np.ndarray, weights: np.ndarray) -> float:
    """Pearson correlation over finite pixels; NaN without contrast, 0 for too few pixels."""
    finite = np.isfinite(image)
    if finite.sum() < _FEWEST_PIXELS:
        return 0.0
    image, weights = image[finite] - image[finite].mean(), weights[finite] - weights[finite].mean()
    norm = np.sqrt((image @ image) * (weights @ weights))
    return float(image @ weights / norm) if norm > 0 else np.nan


def eccentricity(A: sparse.csc_matrix, dims: tuple[int, int]) -> np.ndarray:
    """
    Tell how elongated footprints are.

    Parameters
    ----------
    A : csc_matrix of shape (d, K)
        Footprints.
    dims : tuple of int
        Rows and columns, px.

    Returns
    -------
    ndarray of shape (K,), float64
        Long over short axis of the ellipse with the same second moments; 1 for a disc and for an empty
        footprint, infinite for a line.
    """
    A = sparse.csc_matrix(A)
    result = np.ones(A.shape[1])
    for k in range(A.shape[1]):
        pixels = A.indices[A.indptr[k] : A.indptr[k + 1]]
        weights = A.data[A.indptr[k] : A.indptr[k + 1]].astype(np.float64)
        if weights.sum() <= 0:
            continue
        place = np.stack([pixels % dims[0], pixels // dims[0]]).astype(np.float64)
        moments = np.cov(place, aweights=weights, bias=True)
        short, long = np.linalg.eigvalsh(moments)
        # A single pixel has no extent at all, so no direction either.
        if long > 0:
            result[k] = np.sqrt(long / short) if short > 1e-12 * long else np.inf
    return result
