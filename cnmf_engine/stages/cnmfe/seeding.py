"""
Greedy search for neurons: take the best seed pixel, extract its neuron, subtract it, look again.

After each neuron only the images around it are computed anew.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage, sparse, special

from cnmf_engine.base.parallel import ALONE
from cnmf_engine.movies.geometry import Box, as_cube, as_image, flat_index
from cnmf_engine.stages.cnmfe.extraction import extract_neuron
from cnmf_engine.stages.cnmfe.kernels import signal_correlation, take_off
from cnmf_engine.stages.cnmfe.options import Search
from cnmf_engine.stages.deconvolution.foopsi import CLIPPED, Deconvolution, constrained_foopsi
from cnmf_engine.stages.filters import filter_frames, gaussian_kernel, mean_centred_kernel
from cnmf_engine.stages.noise import pixel_noise

__all__ = ["Seeds", "Skewness", "find_neurons", "has_transients", "seed_pixels", "transient_skewness"]

#: Samples below this many noise levels don't count towards the correlation image.
_SIGNAL_LEVEL = 2.0
#: Standard deviations of all rises that the largest one must reach: 3 for anything, 4 for a transient; and
#: in long recordings what noise alone reaches in this share of them.
_MIN_RISE, _CLEAR_RISE, _BY_CHANCE = 3.0, 4.0, 0.03
#: Frames that are filtered at a time.
_FRAMES = 64
#: Skewness of a trace without its slow part from which on it counts as made of transients.
_MIN_SKEWNESS = 1.5
#: The same with the slow part, which vessels have too.
_MIN_SLOW_SKEWNESS = 2.0
#: A trace leans to the bright side if its skewness is so large, and so many standard deviations of what a
#: symmetric process of the same slowness shows. Sparse transients reach 1 and more.
_LEANING, _SURELY = 0.9, 2.0
#: What a cell leaves of its light correlates so much with it.
_SAME = 0.7
#: Change a cell's size away, as a part of the seed's own, from which on the light isn't a cell's: in any
#: direction (the filter makes some around every cell), and on average; and how many directions are tried.
_BEYOND, _ALL_AROUND, _DIRECTIONS = 0.7, 0.3, 16
#: The widest running mean under which that is looked for, as a part of the window of a transient.
_WIDEST_SCALE = 1 / 8


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
        filter_frames(frames, np.ascontiguousarray(kernel.T), out=frames, run=ALONE)
        out[:, start : start + _FRAMES] = cv2.transpose(frames.reshape(len(frames), -1))
    return out


class _State:
    """State of one greedy pass over a movie ``(d, T)``, which loses the neurons that are found."""

    def __init__(
        self,
        Y: np.ndarray,
        dims: tuple[int, int],
        search: Search,
    ):
        self.dims, self.gSiz = dims, search.gSiz
        self.kernel = mean_centred_kernel(search.gSig) if search.center_psf else gaussian_kernel(search.gSig)
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
        passing = (self.cn >= search.min_corr) & (self.pnr >= search.min_pnr)
        self.done = ~(passing & (self.cn * self.pnr > 0))

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


def has_transients(trace: np.ndarray, window: int, clear: bool = False) -> bool:
    """
    Tell transients of a cell from slow background that survived the filter.

    Vessels and breathing glow reach a high PNR too, but they fall as they rise. Cells jump, or, where many
    transients run together, are strongly skewed to the bright side: these are clear. Transients that rise
    slowly, or were rounded by denoising, don't jump; their trace leans to the bright side on some time scale,
    by more than a symmetric process with as few independent samples would.

    Parameters
    ----------
    trace : ndarray of shape (T,)
        Filtered trace.
    window : int
        Frames within which a transient rises and falls; slower changes are background.
    clear : bool
        Whether to accept clear transients alone.

    Returns
    -------
    bool
        Whether there are any.

    References
    ----------
    Lomnicki 1961, Metrika 4:37 (variance of the skewness of correlated samples).
    """
    return _jumps(trace, window) or (not clear and _leans(trace, window))


def _jumps(trace: np.ndarray, window: int) -> bool:
    """Whether the largest rise stands out, or the trace less its slow part is strongly skewed."""
    rise = np.diff(trace)
    if not rise.size or not rise.max() > 0 or rise.max() < _MIN_RISE * rise.std():
        return False
    # The largest of many rises is large by chance.
    if rise.max() >= max(_CLEAR_RISE, -special.ndtri(_BY_CHANCE / rise.size)) * rise.std():
        return True
    fast, slow = transient_skewness(trace, window)
    return fast >= _MIN_SKEWNESS or slow >= _MIN_SLOW_SKEWNESS


def _leans(trace: np.ndarray, window: int) -> bool:
    """Whether the trace is skewed to the bright side on a time scale, beyond what chance does."""
    scale = 1
    while scale <= max(window * _WIDEST_SCALE, 1):
        smooth = ndimage.uniform_filter1d(trace, scale, mode="reflect")
        skewness = _skewness(smooth)
        if skewness >= _LEANING and skewness >= _SURELY * _chance_skewness(smooth):
            return True
        scale *= 2
    return False


def _chance_skewness(trace: np.ndarray) -> float:
    """Give the standard deviation of the skewness of a Gaussian process that is correlated as a trace is."""
    centred = trace - trace.mean()
    T = len(trace)
    covariance = np.fft.irfft(np.abs(np.fft.rfft(centred, 2 * T)) ** 2)[:T]
    # Beyond the first lag without correlation there is only its estimation error.
    negative = np.flatnonzero(covariance <= 0)
    lags = covariance[1 : negative[0] if negative.size else T] / covariance[0]
    return float(np.sqrt(6 * (1 + 2 * np.sum(lags**3)) / T))


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
    state: _State, seed: tuple[int, int], deconvolution: Deconvolution
) -> tuple[Box, np.ndarray, np.ndarray] | None:
    """Extract the neuron at a seed: its box, footprint and trace, or None."""
    box = Box(seed[0], seed[0] + 1, seed[1], seed[1] + 1).around(state.gSiz, state.dims)
    at = seed[0] - box.r0, seed[1] - box.c0
    neuron = extract_neuron(state.traces(state.raw, box), state.traces(state.filtered, box), at)
    if neuron is None:
        return None
    trace = np.maximum(neuron.trace, 0)
    if deconvolution.p > 0:
        trace = constrained_foopsi(neuron.trace, **deconvolution.keywords)[0].astype(np.float32)
    if not trace.sum() > 0:
        return None
    return box, neuron.footprint, trace


def find_neurons(
    Y: np.ndarray,
    dims: tuple[int, int],
    search: Search,
    deconvolution: Deconvolution = CLIPPED,
    *,
    seeds: np.ndarray | None = None,
    known: tuple[sparse.csc_matrix, np.ndarray] | None = None,
) -> Seeds:
    """
    Find neurons one after the other, brightest first; those with clear transients before the others.

    Parameters
    ----------
    Y : ndarray of shape (d, T), float32
        Movie, pixels in Fortran order; the neurons found are subtracted from it in place.
    dims : tuple of int
        Rows and columns.
    search : Search
        Sizes, thresholds and `window` in pixels and frames of this movie.
    deconvolution : Deconvolution
        Of order 1 at most: how traces are denoised; order 0 clips them at 0.
    seeds : ndarray of shape (n, 2), int, optional
        Rows and columns where neurons are. There and nowhere else one is extracted, whatever the thresholds.
    known : tuple of csc_matrix (d, K) and ndarray (K, T), optional
        Footprints and traces that were subtracted before.

    Returns
    -------
    Seeds
        Footprints and traces, and what the thresholds met.

    References
    ----------
    Zhou et al. 2018, eLife 7:e28728, Methods, 'Initialization of A and C', Algorithm 1.
    """
    state = _State(Y, dims, search)
    n_candidates = int(np.count_nonzero(~state.done))
    maxima = float(state.cn.max()), float(state.pnr.max())
    found: list[tuple[Box, np.ndarray, np.ndarray]] = []
    if seeds is not None:
        for seed in map(tuple, np.asarray(seeds, dtype=int).reshape(-1, 2).tolist()):
            _collect(state, seed, deconvolution, found)
        return Seeds(*_stack(found, dims, Y.shape[1]), n_candidates, *maxima)
    limit = search.K or n_candidates
    # What may be background must not take the light of cells: it comes after all that is clear.
    for clear in (True, False):
        tried = state.done.copy()
        progress = True
        while progress and len(found) < limit:
            before = len(found)
            done = state.done | tried
            seeding = search.min_corr, search.min_pnr, search.gSiz
            for seed in map(tuple, seed_pixels(state.cn, state.pnr, *seeding, done)):
                tried[seed] = True
                passing = state.cn[seed] >= search.min_corr and state.pnr[seed] >= search.min_pnr
                trace = state.filtered[seed[0] + dims[0] * seed[1]]
                new = passing and has_transients(trace, search.window, clear)
                if new and not clear:
                    new = not (_repeats(state, seed, found, known) or _reaches_beyond(state, seed))
                if new:
                    _collect(state, seed, deconvolution, found)
                if len(found) >= limit:
                    break
            progress = len(found) > before
    return Seeds(*_stack(found, dims, Y.shape[1]), n_candidates, *maxima)


def _repeats(state: _State, seed: tuple[int, int], found: list, known: tuple | None) -> bool:
    """Whether the trace at a seed is that of a cell nearby: the rim that was left of it, not a cell."""
    rows, columns = (slice(max(at - state.gSiz, 0), at + state.gSiz + 1) for at in seed)
    near = [trace for box, _, trace in found if box.r0 <= seed[0] < box.r1 and box.c0 <= seed[1] < box.c1]
    if known is not None:
        A, C = known
        around = as_image(np.arange(A.shape[0]), state.dims)[rows, columns].ravel()
        near += list(C[A[around].getnnz(axis=0) > 0])
    trace = state.filtered[seed[0] + state.dims[0] * seed[1]]
    return any(np.corrcoef(trace, other)[0, 1] > _SAME for other in near)


def _reaches_beyond(state: _State, seed: tuple[int, int]) -> bool:
    """Whether a cell's size away the movie goes along with the seed (waves), or against it (movement)."""
    angles = 2 * np.pi * np.arange(_DIRECTIONS) / _DIRECTIONS
    rows = np.round(seed[0] + state.gSiz * np.sin(angles)).astype(int)
    columns = np.round(seed[1] + state.gSiz * np.cos(angles)).astype(int)
    inside = (rows >= 0) & (rows < state.dims[0]) & (columns >= 0) & (columns < state.dims[1])
    own = state.filtered[seed[0] + state.dims[0] * seed[1]]
    around = state.filtered[rows[inside] + state.dims[0] * columns[inside]]
    along = around @ (own - own.mean()) / (own.var() * len(own))
    return bool(len(along) and (np.abs(along).max() > _BEYOND or along.mean() > _ALL_AROUND))


def _collect(state: _State, seed: tuple[int, int], deconvolution: Deconvolution, found: list) -> None:
    """Extract the neuron at a seed, if there is one, note it and take it out of the movie."""
    neuron = _grow(state, seed, deconvolution)
    if neuron is not None:
        box, footprint, _ = neuron
        found.append(neuron)
        state.done[box.slices] |= footprint > footprint.max() / 2
        state.subtract(*neuron)


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
