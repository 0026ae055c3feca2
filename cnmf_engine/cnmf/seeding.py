"""
Greedy search for neurons: take the best seed pixel, extract its neuron, subtract it, look again.

After each neuron only the images around it are computed anew.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage, sparse

from ..filters import filter_frames, gaussian_kernel, mean_centred_kernel
from ..noise import pixel_noise
from .deconvolution import constrained_foopsi
from .extraction import extract_neuron
from .geometry import Box, as_cube, as_image, flat_index
from .kernels import signal_correlation, take_off

__all__ = ["Seeds", "Skewness", "find_neurons", "has_transients", "seed_pixels", "transient_skewness"]

#: Samples below this many noise levels don't count towards the correlation image.
_SIGNAL_LEVEL = 2.0
#: Standard deviations of all rises that the largest one must reach: 3 for anything, 4 for a transient.
_MIN_RISE, _CLEAR_RISE = 3.0, 4.0
#: Frames that are filtered at a time.
_FRAMES = 64
#: Skewness of a trace without its slow part from which on it counts as made of transients.
_MIN_SKEWNESS = 1.5
#: The same with the slow part, which vessels have too.
_MIN_SLOW_SKEWNESS = 2.0


class Seeds(NamedTuple):
    """
    Neurons found in one pass.

    Attributes
    ----------
    A : csc_matrix of shape (d, K), float32
        Footprints.
    C : ndarray of shape (K, T), float32
        Traces, not negative.
    n_candidates : int
        Pixels above both thresholds at the start.
    max_corr, max_pnr : float
        Maxima of the two images at the start.
    """

    A: sparse.csc_matrix
    C: np.ndarray
    n_candidates: int
    max_corr: float
    max_pnr: float


def seed_pixels(
    cn: np.ndarray,
    pnr: np.ndarray,
    min_corr: float,
    min_pnr: float,
    gSiz: int,
    done: np.ndarray | None = None,
) -> np.ndarray:
    """
    Pixels from which neurons would be grown, best first.

    The product of the two images is smoothed by a 3 x 3 median; seeds are its local maxima among the pixels
    where both images reach their thresholds. (CaImAn thresholds first, so the median also erases small cells
    whose centre passes.)

    Parameters
    ----------
    cn, pnr : ndarray of shape (d1, d2)
        Correlation image and peak-to-noise ratio.
    min_corr, min_pnr : float
        Thresholds.
    gSiz : int
        Size of a cell in px; maxima closer than about a quarter of it compete.
    done : ndarray of shape (d1, d2), bool, optional
        Pixels that can't be seeds.

    Returns
    -------
    ndarray of shape (n, 2), int
        Rows and columns.
    """
    value = ndimage.median_filter(cn * pnr, size=3, mode="reflect")
    # Equal neighbours must not both be maxima: a tiny ramp decides between them.
    rows, columns = np.indices(value.shape)
    value = value + 1e-5 * (10 * columns + rows)
    passing = (cn >= min_corr) & (pnr >= min_pnr)
    if done is not None:
        passing &= ~done
    value[~passing] = 0
    reach = max(round(gSiz / 4) // 2, 1)
    peaks = passing & (value == ndimage.maximum_filter(value, size=2 * reach + 1))
    found = np.argwhere(peaks)
    return found[np.argsort(-value[peaks], kind="stable")]


def _filter_traces(Y: np.ndarray, dims: tuple[int, int], kernel: np.ndarray) -> np.ndarray:
    """Filter a movie whose pixels lie one after the other, few frames at a time: they stay in the cache."""
    import cv2

    out = np.empty_like(Y)
    for start in range(0, Y.shape[1], _FRAMES):
        frames = cv2.transpose(Y[:, start : start + _FRAMES]).reshape(-1, dims[1], dims[0])
        # Pixels in Fortran order are images whose axes are swapped.
        filter_frames(frames, np.ascontiguousarray(kernel.T), out=frames, n_threads=1)
        out[:, start : start + _FRAMES] = cv2.transpose(frames.reshape(len(frames), -1))
    return out


class _Search:
    """State of one greedy pass over a movie ``(d, T)``, which loses the neurons that are found."""

    def __init__(
        self,
        Y: np.ndarray,
        dims: tuple[int, int],
        gSig: float,
        gSiz: int,
        min_corr: float,
        min_pnr: float,
        center_psf: bool,
    ):
        self.dims, self.gSiz, self.min_corr, self.min_pnr = dims, gSiz, min_corr, min_pnr
        self.kernel = mean_centred_kernel(gSig) if center_psf else gaussian_kernel(gSig)
        self.raw = Y
        level = as_image(np.maximum(Y.max(axis=1), -Y.min(axis=1)), dims)
        self.filtered = _filter_traces(Y, dims, self.kernel)
        self.filtered -= self.filtered.mean(axis=1, keepdims=True)
        noise = as_image(pixel_noise(self.filtered), dims)
        constant = ~(noise > 1e-6 * level)
        self.noise = np.where(constant, np.inf, noise)
        self.cn = np.zeros(dims)
        self.pnr = np.zeros(dims)
        everything = Box(0, dims[0], 0, dims[1])
        self.update_images(everything, everything)
        self.done = ~((self.cn >= min_corr) & (self.pnr >= min_pnr) & (self.cn * self.pnr > 0))

    def traces(self, Y: np.ndarray, box: Box) -> np.ndarray:
        """View of a box of the raw or the filtered movie, (rows, columns, T)."""
        return as_cube(Y, self.dims)[box.slices]

    def update_images(self, inner: Box, outer: Box) -> None:
        """Compute PNR in the outer box, and the correlation with neighbours in the inner one."""
        peak = self.traces(self.filtered, outer).max(axis=-1)
        self.pnr[outer.slices] = np.maximum(peak / self.noise[outer.slices], 0)
        near = inner.around(1, self.dims)
        cn = signal_correlation(self.filtered, self.dims, near, _SIGNAL_LEVEL * self.noise[near.slices])
        self.cn[inner.slices] = np.maximum(cn[inner.within(near).slices], 0)

    def subtract(self, box: Box, footprint: np.ndarray, trace: np.ndarray) -> None:
        """Take a neuron out of the movie and of the filtered movie, and look at its surroundings anew."""
        take_off(self.raw, self.dims, box, footprint, trace)
        outer = box.around(self.gSiz, self.dims)
        image = np.zeros(outer.dims, dtype=np.float32)
        image[box.within(outer).slices] = footprint
        spread = filter_frames(image, self.kernel)
        take_off(self.filtered, self.dims, outer, spread, trace - trace.mean())
        self.update_images(box, outer)


def has_transients(trace: np.ndarray, window: int) -> bool:
    """
    Tell transients of a cell from slow background that survived the filter.

    Vessels and breathing glow reach a high PNR too, but they rise slowly and fall as they rise. Cells jump,
    or, where many transients run together, are skewed to the bright side.

    Parameters
    ----------
    trace : ndarray of shape (T,)
        Filtered trace.
    window : int
        Frames of the running median that is taken as the slow part.

    Returns
    -------
    bool
        Whether the largest rise stands out, or the trace less its slow part is skewed.
    """
    rise = np.diff(trace)
    if not rise.size or not rise.max() > 0 or rise.max() < _MIN_RISE * rise.std():
        return False
    if rise.max() >= _CLEAR_RISE * rise.std():
        return True
    fast, slow = transient_skewness(trace, window)
    return fast >= _MIN_SKEWNESS or slow >= _MIN_SLOW_SKEWNESS


class Skewness(NamedTuple):
    """
    Skewness of a trace without its slow part, and of the trace as it is.

    Transients make them well above 0: fast ones above all the first, slow ones only the second. Noise and
    vessels rise as they fall and stay about 0.
    """

    fast: float
    slow: float


def transient_skewness(trace: np.ndarray, window: int) -> Skewness:
    """
    Measure how far a trace leans to the bright side.

    Parameters
    ----------
    trace : ndarray of shape (T,)
        Trace.
    window : int
        Frames of the running median that is taken as the slow part.

    Returns
    -------
    Skewness
        Both 0 for a constant trace.
    """
    rest = trace - ndimage.median_filter(trace, size=max(min(window, trace.size), 3), mode="reflect")
    return Skewness(_skewness(rest), _skewness(trace))


def _skewness(trace: np.ndarray) -> float:
    """Third moment in units of the second; 0 for a constant trace."""
    # Our own, as importing scipy.stats takes 0.6 s.
    centred = trace - trace.mean()
    spread = np.sqrt(np.mean(centred**2))
    return float(np.mean(centred**3) / spread**3) if np.ptp(trace) > 0 else 0.0


def _grow(
    search: _Search, seed: tuple[int, int], p: int, options: dict
) -> tuple[Box, np.ndarray, np.ndarray] | None:
    """Extract the neuron at a seed: its box, footprint and trace, or None."""
    box = Box(seed[0], seed[0] + 1, seed[1], seed[1] + 1).around(search.gSiz, search.dims)
    at = seed[0] - box.r0, seed[1] - box.c0
    neuron = extract_neuron(search.traces(search.raw, box), search.traces(search.filtered, box), at)
    if neuron is None:
        return None
    trace = np.maximum(neuron.trace, 0)
    if p > 0:
        trace = constrained_foopsi(neuron.trace, p=p, **options)[0].astype(np.float32)
    if not trace.sum() > 0:
        return None
    return box, neuron.footprint, trace


def find_neurons(
    Y: np.ndarray,
    dims: tuple[int, int],
    *,
    gSig: float,
    gSiz: int,
    min_corr: float,
    min_pnr: float,
    K: int | None = None,
    center_psf: bool = True,
    window: int = 80,
    p: int = 0,
    seeds: np.ndarray | None = None,
    **deconvolution,
) -> Seeds:
    """
    Find neurons one after the other, brightest first.

    Parameters
    ----------
    Y : ndarray of shape (d, T), float32
        Movie, pixels in Fortran order; the neurons found are subtracted from it in place.
    dims : tuple of int
        Rows and columns.
    gSig : float
        Half the width of a cell (standard deviation of a Gaussian), px.
    gSiz : int
        Size of a cell, px; neurons are extracted within this distance of the seed.
    min_corr, min_pnr : float
        Thresholds of a seed pixel.
    K : int, optional
        Most neurons to look for; None for as many as there are.
    center_psf : bool
        Zero-mean filter (one-photon data) or plain Gaussian.
    window : int
        Frames within which a transient rises and falls; slower changes are background.
    p : {0, 1}
        Order of the autoregressive process used to denoise traces; 0 clips them at 0.
    seeds : ndarray of shape (n, 2), int, optional
        Rows and columns where neurons are. There and nowhere else one is extracted, whatever the thresholds.
    **deconvolution
        Further keywords of `constrained_foopsi`.

    Returns
    -------
    Seeds
        Footprints and traces, and what the thresholds met.

    References
    ----------
    Zhou et al. 2018, eLife 7:e28728, Methods, 'Initialization of A and C', Algorithm 1.
    """
    search = _Search(Y, dims, gSig, gSiz, min_corr, min_pnr, center_psf)
    n_candidates = int(np.count_nonzero(~search.done))
    maxima = float(search.cn.max()), float(search.pnr.max())
    found: list[tuple[Box, np.ndarray, np.ndarray]] = []
    if seeds is not None:
        for seed in map(tuple, np.asarray(seeds, dtype=int).reshape(-1, 2).tolist()):
            _collect(search, seed, p, deconvolution, found)
        return Seeds(*_stack(found, dims, Y.shape[1]), n_candidates, *maxima)
    limit = K or n_candidates
    progress = True
    while progress and len(found) < limit:
        before = len(found)
        for seed in map(tuple, seed_pixels(search.cn, search.pnr, min_corr, min_pnr, gSiz, search.done)):
            search.done[seed] = True
            passing = search.cn[seed] >= min_corr and search.pnr[seed] >= min_pnr
            if passing and has_transients(search.filtered[seed[0] + dims[0] * seed[1]], window):
                _collect(search, seed, p, deconvolution, found)
            if len(found) >= limit:
                break
        progress = len(found) > before
    return Seeds(*_stack(found, dims, Y.shape[1]), n_candidates, *maxima)


def _collect(search: _Search, seed: tuple[int, int], p: int, options: dict, found: list) -> None:
    """Extract the neuron at a seed, if there is one, note it and take it out of the movie."""
    neuron = _grow(search, seed, p, options)
    if neuron is not None:
        box, footprint, _ = neuron
        found.append(neuron)
        search.done[box.slices] |= footprint > footprint.max() / 2
        search.subtract(*neuron)


def _stack(found: list, dims: tuple[int, int], T: int) -> tuple[sparse.csc_matrix, np.ndarray]:
    """Footprints and traces of all neurons as matrices."""
    columns = []
    for box, footprint, _ in found:
        values = footprint.ravel(order="F")
        used = values > 0
        index = flat_index(box, dims)[used]
        columns.append(
            sparse.csc_matrix((values[used], (index, np.zeros(len(index), int))), (dims[0] * dims[1], 1))
        )
    if not columns:
        return sparse.csc_matrix((dims[0] * dims[1], 0), dtype=np.float32), np.empty((0, T), np.float32)
    A = sparse.csc_matrix(sparse.hstack(columns, format="csc"), dtype=np.float32)
    return A, np.stack([trace for *_, trace in found]).astype(np.float32)
