"""How strong the noise of a recording is, where it comes from, and what averaging would buy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from workshop_utils.measures.excerpt import as_movie
from workshop_utils.measures.rate import seed_traces

__all__ = ["Averaging", "Noise", "noise"]

_MOST_FRAMES = 1000
_GROUPS = 20


@dataclass(frozen=True)
class Averaging:
    """
    What averaging neighbouring frames (`tsub`) or pixels (`ssub`) does.

    Attributes
    ----------
    noise : float
        Noise afterwards, as a share of that before.
    peaks : float
        Height of the transients afterwards, as a share of that before.
    ideal : float
        What the noise would be if it were independent.
    """

    noise: float
    peaks: float
    ideal: float

    @property
    def gain(self) -> float:
        """Peak-to-noise afterwards over that before."""
        return self.peaks / self.noise if self.noise > 0 else float("nan")


@dataclass(frozen=True)
class Noise:
    """
    Noise of a recording; prints as a table.

    Attributes
    ----------
    per_pixel : ndarray of shape (d1, d2)
        Standard deviation of each pixel's noise, in the movie's unit.
    level : float
        Their median.
    brightness : float
        Median brightness.
    slope : float
        How the noise's variance grows with brightness, as a power: 1 for light (photons), 0 for the camera's
        own noise; NaN where brightness hardly varies.
    level_at, variance_at : ndarray of shape (n,)
        Brightness and median variance of groups of pixels, for the figure.
    peaks : float
        Median height of the highest transient at the seeds, in units of a pixel's noise; NaN without seeds.
    in_time, in_space : Averaging
        What averaging two frames, and two by two pixels, does.
    """

    per_pixel: np.ndarray
    level: float
    brightness: float
    slope: float
    level_at: np.ndarray
    variance_at: np.ndarray
    peaks: float
    in_time: Averaging
    in_space: Averaging

    @property
    def source(self) -> str:
        """Where the noise comes from, in words."""
        if not np.isfinite(self.slope):
            return "brightness varies too little to tell where the noise comes from"
        if 0.6 <= self.slope <= 1.5:
            return "mostly the light's own (photons): only more light, or averaging, helps"
        if self.slope < 0.6:
            return "hardly depends on the light: the camera's own, or smoothed by video compression"
        return "grows faster than light's own: movement or a flickering lamp is in it"

    @property
    def tsub(self) -> int:
        """Frames to average during initialisation: 2 where that raises peak-to-noise clearly, else 1."""
        return 2 if self.in_time.gain > 1.15 else 1

    def __str__(self) -> str:
        """Write the table."""
        power = (
            f"brightness to the power {round(self.slope, 1) + 0.0:.1f}: " if np.isfinite(self.slope) else ""
        )
        peaks = (
            f"{self.peaks:.1f} times a pixel's noise at the median seed"
            if np.isfinite(self.peaks)
            else "no seeds to look at"
        )
        lines = [
            f"noise        {self.level:.2f} grey levels (median pixel), "
            f"{_share(self.level, self.brightness)} of the brightness",
            f"variance     {power}{self.source}",
            f"peaks        {peaks}",
            f"tsub 2       {_words(self.in_time)}",
            f"ssub 2       {_words(self.in_space)}",
        ]
        return "\n".join(lines)

    __repr__ = __str__


def noise(images: Any, seeds: Any, gSig: float) -> Noise:
    """
    Measure the noise of a movie from its fast fluctuations.

    Parameters
    ----------
    images : array of shape (T, d1, d2)
        The movie, motion corrected, not filtered; up to 1000 frames are looked at.
    seeds : array of shape (n, 2)
        Row and column of places where cells are; may be empty.
    gSig : float
        Width of a cell, px.

    Returns
    -------
    Noise
        Levels, source and what averaging does; prints as a table.

    Raises
    ------
    InputError
        If `images` isn't a movie of 16 frames or more.
    """
    from cnmf_engine.stages.noise import pixel_noise

    movie = np.nan_to_num(np.asarray(as_movie(images, 16)[:_MOST_FRAMES], dtype=np.float32))
    per_pixel = pixel_noise(np.moveaxis(movie, 0, -1))
    mean = movie.mean(axis=0)
    level_at, variance_at = _groups(mean, per_pixel**2)
    seeds = np.asarray(seeds, dtype=int).reshape(-1, 2)[:60]
    traces = seed_traces(movie, seeds, gSig)
    at_seeds = per_pixel[tuple(seeds.T)] if len(seeds) else np.ones(0)
    height = _height(traces)
    clear = (height > 0) & (at_seeds > 0)
    level = float(np.median(per_pixel))
    return Noise(
        per_pixel=per_pixel,
        level=level,
        brightness=float(np.median(mean)),
        slope=_slope(level_at, variance_at),
        level_at=level_at,
        variance_at=variance_at,
        peaks=float(np.median(height[clear] / at_seeds[clear])) if clear.any() else float("nan"),
        in_time=_in_time(movie, level, traces[clear], height[clear]),
        in_space=_in_space(movie, level, seeds[clear], gSig, height[clear]),
    )


def _groups(mean: np.ndarray, variance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Median brightness and variance of pixels of similar brightness."""
    order = np.argsort(mean.ravel(), kind="stable")
    parts = np.array_split(order, min(_GROUPS, max(1, order.size // 20)))
    both = np.array(
        [[np.median(values.ravel()[part]) for part in parts if part.size] for values in (mean, variance)]
    )
    return both[0], both[1]


def _slope(level: np.ndarray, variance: np.ndarray) -> float:
    """Power with which variance grows with brightness."""
    from scipy.stats import theilslopes

    good = (level > 0) & (variance > 0)
    if good.sum() < 5 or level[good].max() < 1.3 * level[good].min():
        return float("nan")
    return float(theilslopes(np.log(variance[good]), np.log(level[good]))[0])


def _height(traces: np.ndarray) -> np.ndarray:
    """Highest value of each trace above its median, of single traces (n, T)."""
    if not len(traces):
        return np.zeros(0)
    return traces.max(axis=1) - np.median(traces, axis=1)


def _in_time(movie: np.ndarray, level: float, traces: np.ndarray, height: np.ndarray) -> Averaging:
    """Average pairs of frames."""
    from cnmf_engine.stages.noise import pixel_noise

    n = len(movie) // 2 * 2
    pairs = (movie[:n:2] + movie[1:n:2]) / 2
    after = float(np.median(pixel_noise(np.moveaxis(pairs, 0, -1))))
    flatter = (traces[:, :n:2] + traces[:, 1:n:2]) / 2
    return Averaging(_ratio(after, level), _median_ratio(_height(flatter), height), 2**-0.5)


def _in_space(
    movie: np.ndarray, level: float, seeds: np.ndarray, gSig: float, height: np.ndarray
) -> Averaging:
    """Average two by two pixels."""
    from cnmf_engine.stages.noise import pixel_noise

    T, d1, d2 = movie.shape
    if min(d1, d2) < 2:
        return Averaging(1.0, 1.0, 0.5)
    cut = movie[:, : d1 // 2 * 2, : d2 // 2 * 2]
    small = cut.reshape(T, d1 // 2, 2, d2 // 2, 2).mean(axis=(2, 4))
    after = float(np.median(pixel_noise(np.moveaxis(small, 0, -1))))
    places = np.minimum(seeds // 2, np.array(small.shape[1:]) - 1)
    flatter = _height(seed_traces(small, places, max(gSig / 2, 0.5)))
    return Averaging(_ratio(after, level), _median_ratio(flatter, height), 0.5)


def _ratio(after: float, before: float) -> float:
    """Divide; 1 where there is no noise."""
    return after / before if before > 0 else 1.0


def _median_ratio(after: np.ndarray, before: np.ndarray) -> float:
    """Median of ratios; 1 where there are none."""
    return float(np.median(after / before)) if len(before) else 1.0


def _share(part: float, whole: float) -> str:
    """Write a share in per cent; nothing can be said of a black movie."""
    return f"{part / whole:.1%}" if whole > 0 else "an unknown share"


def _words(averaging: Averaging) -> str:
    """Say what averaging does."""
    return (
        f"noise x {averaging.noise:.2f} (x {averaging.ideal:.2f} if pixels were independent), "
        f"peaks x {averaging.peaks:.2f}: peak-to-noise x {averaging.gain:.2f}"
    )
