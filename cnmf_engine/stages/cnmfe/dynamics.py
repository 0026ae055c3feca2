"""
Rise and decay of the indicator, measured once for a recording.

Spikes only make calcium fall more slowly, so of all the falls of a recording the steepest are free of spikes
and fall as the indicator does. The rate of fall is read in every short stretch that starts high above the
noise, all cells together, and taken for the sum of three things: the indicator's rate; noise, whose size in
each stretch is known; and in some of the stretches a loss to spikes, exponentially distributed. The
likelihood of that mixture has its maximum at the indicator's rate, whether cells fire single spikes or in
bursts. The rise is measured in the same way, from the pulses that are left of the traces once the decay is
undone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit

from cnmf_engine.stages.noise import baseline_and_spread

__all__ = ["Dynamics", "measure_dynamics"]

#: A stretch starts after a sample this many standard deviations above the baseline, and stays above this part
#: of that on average: below it rates are noise.
_CLEAR, _STAYS = 5.0, 0.6
#: Frames are averaged until a decay takes at least so many of them: fewer are noisier, more say nothing new.
_COARSE = 4
#: A stretch is as long as this part of the decay, and has so many samples: in longer ones spikes are rarely
#: absent, from shorter ones a rate can't be read.
_LENGTH, _SHORTEST, _LONGEST = 1.3, 3, 8
#: Stretches that are used of a cell and in all, spread evenly over time (the highest ones would be those with
#: most spikes); silent ones whose noise is measured, and samples a baseline is found from: more cost time and
#: change nothing.
_MOST_A_CELL, _MOST, _MOST_SILENT, _MOST_SAMPLES = 10, 3000, 1000, 3000
#: Fewer stretches, transients, and pulses of a rise than that tell nothing about an indicator.
_LEAST, _LEAST_TRANSIENTS, _LEAST_PULSES = 20, 8, 60
#: Decays start to be sought at so many frames; a round changes the rate by this factor at most, and the last
#: one by no more than this part.
_FIRST_GUESS, _STRIDE, _SETTLED = 5.0, 1.6, 0.01
_ROUNDS = 6
#: No stretch tells a rate better than to this part: neighbours and background leak into each cell.
_FLOOR = 0.1
#: Part of the pulses of a rise that single spikes must make for the rise to be seen.
_SEEN = 0.05
#: Part of the stretches that obey none of this.
_OUTLIERS = 0.03
#: Order 2 from a rise of this many frames on, a faster one is over before it can be seen; and from this part
#: of the frames that were averaged to see it.
_SLOW_RISE, _RESOLVED = 1.0, 0.75
#: Cells differ by one of these parts, whichever is the most likely, and a single cell by at most that.
_BETWEEN, _FARTHEST = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3), 0.8
_LOG_ROOT_2PI = 0.5 * math.log(2 * math.pi)


@dataclass(frozen=True)
class Dynamics:
    """
    What was measured of an indicator.

    Attributes
    ----------
    decay, rise : float
        Time constants of the recording, s; a rise of 0 is over within a frame.
    order : {1, 2}
        Of the autoregressive process that describes it: 2 where the rise takes longer than a frame.
    transients, cells : int
        How many were used.
    error : float
        Standard error of the decay, as a part of it.
    spread : float
        How much cells differ, standard deviation as a part of the decay.
    decays : ndarray of shape (K,), float64
        Decay of each cell, drawn towards that of the recording, s.
    fr : float
        Frames a second, Hz.
    """

    decay: float
    rise: float
    order: int
    transients: int
    cells: int
    error: float
    spread: float
    decays: np.ndarray
    fr: float

    @property
    def g(self) -> np.ndarray:
        """Autoregressive coefficients of each cell, (K, order)."""
        decay = np.exp(-1 / (self.decays * self.fr))
        if self.order == 1:
            return decay[:, None]
        rise = np.minimum(math.exp(-1 / (self.rise * self.fr)), decay)
        return np.stack([decay + rise, -decay * rise], axis=1)

    def __str__(self) -> str:
        """Say it in a line."""
        rise = f"{self.rise:.2g} s" if self.rise else "within a frame"
        return (
            f"decay {self.decay:.2f} s, rise {rise} "
            f"(from {self.transients} transients of {self.cells} cells): order {self.order}"
        )


def measure_dynamics(traces: np.ndarray, fr: float) -> Dynamics | None:
    """
    Measure rise and decay of an indicator from the raw traces of all cells.

    Parameters
    ----------
    traces : ndarray of shape (K, T)
        Raw traces, with their noise.
    fr : float
        Frames a second, Hz.

    Returns
    -------
    Dynamics or None
        None where fewer than eight transients are clear.

    Notes
    -----
    The light of a frame is that of its whole exposure; an exponential stays one, and averaged frames have the
    same decay in time. Noise needn't be white: its effect on a rate is measured where cells are silent.

    References
    ----------
    The time constants of a population from its clearest events: Deneux et al. 2016, Nat Commun 7:12190,
    'Autocalibration'. Kernels fitted in alternation with spikes: Friedrich, Zhou & Paninski 2017, PLoS Comput
    Biol 13:e1005423, 'Optimizing the AR coefficient'. Exponentially modified normal distribution: Grushka
    1972, Anal Chem 44:1733.
    """
    levels = np.asarray(traces, dtype=np.float64)
    if levels.ndim != 2 or not levels.size or not np.all(np.isfinite(levels)):
        return None
    levels = levels - _quiet(levels)[0][:, None]
    falls = _measure(levels, _FIRST_GUESS)
    if falls is None:
        return None
    decay = 1 / (falls.rate * fr)
    rise = _rise(levels, falls.rate)
    change, spread, error = _each_cell(falls, len(levels))
    return Dynamics(
        decay, rise / fr, 2 if rise else 1, falls.transients, len(np.unique(falls.cell)), error, spread,
        decay * np.exp(change), float(fr),
    )  # fmt: skip


def _rise(levels: np.ndarray, rate: float) -> float:
    """
    Time constant of the rise in frames, given the rate of the decay; 0 if it is over within a frame.

    Once the decay is undone a spike leaves a pulse that falls as the rise goes on; others only add to it.
    """
    frames, free, averaged, least = 0.0, 0.0, 1, _SLOW_RISE
    # Undoing a slow decay leaves much noise: more frames are averaged until pulses of single spikes are seen.
    while free < _SEEN and (averaged == 1 or averaged * rate <= 1 / _COARSE):
        Y = _averaged(levels, averaged)
        pulses = Y[:, 1:] - math.exp(-rate * averaged) * Y[:, :-1]
        noise = _quiet(pulses)[1]
        # The noise of a sample is in two that follow each other: a pulse is compared with itself two later.
        cell, start = np.nonzero(pulses[:, :-2] > _CLEAR * noise[:, None])
        pick = _evenly(cell)
        cell, start = cell[pick], start[pick]
        if len(cell) >= _LEAST_PULSES:
            height = pulses[cell, start]
            sigma = np.hypot(noise[cell] / height, _FLOOR)
            part = -pulses[cell, start + 2] / height
            left, _, free = _mixture(part, sigma, -0.1, 0.3, 0.5, (-0.95, -0.001))
            frames, least = -2 * averaged / math.log(-left), max(_SLOW_RISE, _RESOLVED * averaged)
        averaged *= 2
    return frames if frames >= least and frames * rate < 1 else 0.0


def _quiet(traces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Baseline and noise of each trace; the noise is infinite where there is none to be seen."""
    step = -(-traces.shape[1] // _MOST_SAMPLES)
    found = [baseline_and_spread(ordered) for ordered in np.sort(traces[:, ::step], axis=1)]
    baseline, noise = np.transpose(found)
    return baseline, np.where(noise > 0, noise, np.inf)


def _averaged(levels: np.ndarray, averaged: int) -> np.ndarray:
    """Average so many frames; what is left at the end is left out."""
    n = levels.shape[1] // averaged
    return levels[:, : n * averaged].reshape(len(levels), n, averaged).mean(axis=2)


@dataclass(frozen=True)
class _Falls:
    """Rates of fall in single stretches, and the mixture that describes them; rates a frame."""

    rate: float
    loss: float
    free: float
    each: np.ndarray
    noise: np.ndarray
    cell: np.ndarray
    length: int
    transients: int


def _measure(levels: np.ndarray, guess: float) -> _Falls | None:
    """Find the rate at which spike-free stretches fall; None if there are too few."""
    frames, averaged = guess, 1
    found = None
    for _ in range(6):
        found = _at_sampling(levels, averaged, frames)
        if found is None:
            return None
        frames = 1 / found.rate
        wanted = max(int(frames / _COARSE), 1)
        if wanted == averaged:
            break
        averaged = wanted
    return found


def _at_sampling(levels: np.ndarray, averaged: int, frames: float) -> _Falls | None:
    """Find the rate with so many frames averaged, starting from a guess in frames."""
    Y = _averaged(levels, averaged)
    n = Y.shape[1]
    rate = averaged / frames
    length = int(np.clip(round(_LENGTH / rate), _SHORTEST, _LONGEST))
    last = n - length
    if last < 1:
        return None
    noise = _quiet(Y)[1]
    cell, start = np.nonzero(Y[:, :last] > _CLEAR * noise[:, None])
    X = Y[cell[:, None], start[:, None] + 1 + np.arange(length)]
    step = -(-last // _MOST_SILENT)
    windows = np.lib.stride_tricks.sliding_window_view(Y, length, axis=1)[:, ::step].copy()
    loss, free = 0.5 * rate, 0.5
    for _ in range(_ROUNDS):
        shape, slope = _contrast(rate, length)
        height = X @ shape
        spread = _quiet_spread(windows, shape, slope, noise)
        used = height > _STAYS * _CLEAR * noise[cell]
        sigma = spread[cell[used]] / height[used]
        used = np.flatnonzero(used)[np.isfinite(sigma)]
        sigma = sigma[np.isfinite(sigma)]
        pick = _evenly(cell[used])
        used, sigma = used[pick], sigma[pick]
        if len(used) < _LEAST:
            return None
        sigma = np.hypot(sigma, _FLOOR * rate)
        each = rate + (X[used] @ slope) / height[used]
        new, loss, free = _mixture(each, sigma, rate, loss, free, (rate / _STRIDE, rate * _STRIDE))
        settled = abs(new - rate) < _SETTLED * rate
        rate = new
        if settled:
            break
    place = cell[used] * (n + 2 * length) + start[used]
    transients = 1 + int(np.sum(np.diff(np.sort(place)) > length))
    if transients < _LEAST_TRANSIENTS:
        return None
    return _Falls(
        rate / averaged, loss / averaged, free, each / averaged, sigma / averaged, cell[used], length,
        transients,
    )  # fmt: skip


def _contrast(rate: float, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights that read the height of an exponential fall, and those that read what its rate is more."""
    t = np.arange(length)
    fall = np.exp(-rate * t)
    change = -t * fall
    change = change - fall * (change @ fall) / (fall @ fall)
    return fall / (fall @ fall), change / (change @ change)


def _quiet_spread(windows: np.ndarray, shape: np.ndarray, slope: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Measure what noise, of whatever colour, adds to slopes where traces are silent: a deviation."""
    height, steep = windows @ shape, windows @ slope
    spread = np.full(len(windows), np.inf)
    for k in range(len(windows)):
        silent = np.sort(steep[k, np.abs(height[k]) < _STAYS * _CLEAR * noise[k]])
        if len(silent) >= _LEAST:
            # Small spikes make slopes flatter (negative), so the steeper half is noise alone.
            middle = silent[len(silent) // 2]
            spread[k] = np.sqrt(np.mean((silent[len(silent) // 2 :] - middle) ** 2))
    return spread


def _evenly(cell: np.ndarray) -> np.ndarray:
    """Choose stretches of each cell evenly; they come sorted by cell and time."""
    cells, first, count = np.unique(cell, return_index=True, return_counts=True)
    most = max(_MOST // max(len(cells), 1), _MOST_A_CELL)
    rank = np.arange(len(cell)) - np.repeat(first, count)
    share = np.repeat(np.minimum(most / count, 1.0) if len(count) else count, count)
    return np.flatnonzero(np.floor((rank + 1) * share) > np.floor(rank * share))


@njit(cache=True, nogil=True)
def _log_normal_below(z):  # pragma: no cover - compiled
    """Logarithm of the normal distribution function, also far below zero."""
    if z > -10:
        return math.log(0.5 * math.erfc(-z / math.sqrt(2.0)))
    return -0.5 * z * z - math.log(-z) - _LOG_ROOT_2PI + math.log(1 - 1 / (z * z))


@njit(cache=True, nogil=True)
def _terms(x, sigma, rate, loss, free, far):  # pragma: no cover - compiled
    """Log densities of a rate without and with a loss to spikes, and of an outlier; and the expected loss."""
    short = rate - x
    plain = math.log(free) - 0.5 * (short / sigma) ** 2 - math.log(sigma) - _LOG_ROOT_2PI
    mean = short - sigma * sigma / loss
    below = _log_normal_below(mean / sigma)
    lost = math.log(1 - free) - math.log(loss) + 0.5 * (sigma / loss) ** 2 - short / loss + below
    expected = mean + sigma * math.exp(-0.5 * (mean / sigma) ** 2 - _LOG_ROOT_2PI - below)
    return plain, lost, math.log(_OUTLIERS / far), expected


@njit(cache=True, nogil=True)
def _misfit(x, sigma, far, rate, loss, free, slope):  # pragma: no cover - compiled
    """Minus the log likelihood of the mixture; derivatives by rate, log loss, logit of free go to slope."""
    total = slope[0] = slope[1] = slope[2] = 0.0
    for i in range(x.size):
        a, b, c, expected = _terms(x[i], sigma[i], rate, loss, free, far)
        top = max(a, b, c)
        a, b, c = math.exp(a - top), math.exp(b - top), math.exp(c - top)
        total -= top + math.log(a + b + c)
        a, b = a / (a + b + c), b / (a + b + c)
        slope[0] -= ((a + b) * (x[i] - rate) + b * expected) / (sigma[i] * sigma[i])
        slope[1] -= b * (expected / loss - 1)
        slope[2] -= a * (1 - free) - b * free
    return total


def _mixture(
    x: np.ndarray, sigma: np.ndarray, rate: float, loss: float, free: float, limits: tuple[float, float]
) -> tuple[float, float, float]:
    """Most likely rate, mean loss to spikes, and part of the stretches without any; from a first guess."""
    from scipy.optimize import minimize

    usual, unit, slope = float(np.median(sigma)), abs(rate), np.empty(3)
    far = 10 * (usual + unit)
    # In units of the first guess, so that all three have steps of one size.
    bounds = [tuple(np.array(limits) / unit), tuple(np.log([0.1 * usual, 10 * unit])), (-4.0, 4.0)]

    def misfit(at: np.ndarray) -> tuple[float, np.ndarray]:
        total = _misfit(x, sigma, far, at[0] * unit, math.exp(at[1]), 1 / (1 + math.exp(-at[2])), slope)
        return total, slope * (unit, 1, 1)

    start = np.clip((rate / unit, math.log(loss), math.log(free / (1 - free))), *np.transpose(bounds))
    best = minimize(misfit, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    return float(best[0] * unit), math.exp(best[1]), 1 / (1 + math.exp(-best[2]))


@njit(cache=True, nogil=True)
def _likelihoods(x, sigma, cell, rates, loss, free, out):  # pragma: no cover - compiled
    """Add up each cell's log likelihood for each of some rates in `out` (K, n)."""
    far = 10 * (np.median(sigma) + rates[rates.size // 2])
    for i in range(x.size):
        for j in range(rates.size):
            a, b, c, _ = _terms(x[i], sigma[i], rates[j], loss, free, far)
            top = max(a, b, c)
            out[cell[i], j] += top + math.log(math.exp(a - top) + math.exp(b - top) + math.exp(c - top))


def _each_cell(falls: _Falls, K: int) -> tuple[np.ndarray, float, float]:
    """
    Logarithm of each cell's decay over that of all, how much cells differ, and the error of the common one.

    Cells come from a normal distribution whose width is the most likely one: with little evidence of its
    own a cell takes the common decay.
    """
    change = np.linspace(-_FARTHEST, _FARTHEST, 65)
    own = np.zeros((K, len(change)))
    _likelihoods(
        falls.each, falls.noise, falls.cell, falls.rate * np.exp(-change), falls.loss, falls.free, own
    )
    # Neighbouring stretches share samples.
    own /= falls.length
    together = np.exp(own.sum(axis=0) - own.sum(axis=0).max())
    together /= together.sum()
    error = np.sqrt(together @ (change - together @ change) ** 2)
    best = (-np.inf, 0.0, np.zeros(K))
    for width in _BETWEEN:
        prior = np.exp(-0.5 * (change / width) ** 2) if width else (change == 0).astype(float)
        with np.errstate(divide="ignore"):
            joint = own + np.log(prior / prior.sum())
        top = joint.max(axis=1, keepdims=True)
        posterior = np.exp(joint - top)
        evidence = float(np.sum(top[:, 0] + np.log(posterior.sum(axis=1))))
        if evidence > best[0]:
            best = evidence, width, posterior @ change / posterior.sum(axis=1)
    return best[2], best[1], float(error)
