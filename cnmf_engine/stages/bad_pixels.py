"""Pixels that lie: dead, hot and stuck ones, dead columns and rows, and stripes of the sensor."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import fft, sparse

from cnmf_engine.base.memory import drop_pages, frame_blocks
from cnmf_engine.base.parallel import ALONE
from cnmf_engine.movies.gaps import nearest_complete
from cnmf_engine.movies.regions import fill_frames

if TYPE_CHECKING:
    from cnmf_engine.movies.geometry import Box

__all__ = ["BadPixels", "RepairedMovie", "find_bad_pixels"]

# Frames that are looked at, in so many runs of successive ones spread over the movie, and bytes held at once.
_FRAMES, _RUNS, _BYTES = 120, 4, 64 * 2**20
# Optics blur a point of light over its neighbours. What a pixel differs from its surroundings by, these may
# differ by this share of it at most, or it is a thing that was seen.
_SHARPEST = 0.25
# Pixels of one cluster at most, and how far around it is looked, px.
_CLUSTER, _AROUND = 4, 2
# Deviations count from so many robust standard deviations, and from so many standard deviations of the
# pixel's own noise in single frames.
_SURE, _MATTERS = 8.0, 0.5
# Swing of a pixel beside its neighbours', as a factor, from which it blinks, or is stuck.
_BLINKS, _STUCK = 3.0, 5.0
# Bands that columns are looked at in, the least height of one, px, and frames beneath which all is chance.
_BANDS, _BAND_PX, _FEWEST = 4, 12, 10
# Share of a band's pixels that have to deviate alike.
_ALIKE = 0.8
# Correlation of the columns' offsets between bands from which they are stripes; these are what a Gaussian
# mean of this width, px, doesn't hold, and are estimated in so many bands of spatial frequency.
_STRIPES, _STRIPE_PX, _FREQUENCIES = 0.5, 8.0, 8
# Least size of stripes, in standard deviations of the noise.
_STRIPES_MATTER = 0.1
# Side of the squares in which the usual contrast is measured, px.
_SQUARE = 16
_MAD_TO_STD = 1.4826
_KINDS = ("dead", "stuck", "hot", "dark", "blinking", "column", "row")


@dataclass(frozen=True)
class BadPixels:
    """
    Pixels whose values aren't light from their place.

    Attributes
    ----------
    kind : ndarray of shape (d1, d2), uint8
        0 for good pixels, else 1 and more for dead (constant and dark), stuck (constant or nearly so), hot
        (too bright), dark (too dark), blinking, and part of a bad column or row; see `of_kind`.
    columns, rows : ndarray of shape (d2,) and (d1,), float32
        Stripes of the sensor: what is added to each column and row; 0 where there are none.
    """

    kind: np.ndarray
    columns: np.ndarray
    rows: np.ndarray

    @property
    def mask(self) -> np.ndarray:
        """Pixels that are filled from their neighbours, (d1, d2) bool."""
        return self.kind > 0

    @property
    def striped(self) -> bool:
        """Whether stripes are taken out."""
        return bool(self.columns.any() or self.rows.any())

    def __bool__(self) -> bool:
        return bool(self.kind.any()) or self.striped

    def of_kind(self, name: str) -> np.ndarray:
        """Pixels of a kind, 'dead', 'stuck', 'hot', 'dark', 'blinking', 'column' or 'row'; (d1, d2) bool."""
        return self.kind == 1 + _KINDS.index(name)

    def __str__(self) -> str:
        """Say how many of which kind there are, and where; empty if there are none."""
        parts = []
        for name in _KINDS:
            found = self.of_kind(name)
            if not found.any():
                continue
            if name in ("column", "row"):
                lines = np.flatnonzero(found.any(axis=0 if name == "column" else 1))
                some = ", ".join(map(str, lines[:4]))
                parts.append(
                    f"{len(lines)} bad {name}{'s' * (len(lines) > 1)} ({some}{', ...' * (len(lines) > 4)})"
                )
            else:
                places = [f"({row}, {col})" for row, col in np.argwhere(found)[:3]]
                more = ", ..." if found.sum() > 3 else ""
                parts.append(f"{int(found.sum())} {name} px at {', '.join(places)}{more}")
        for name, offsets in (("columns", self.columns), ("rows", self.rows)):
            if offsets.any():
                parts.append(f"stripes along {name} ({offsets.std():.2g} counts)")
        return "; ".join(parts)

    def fill(self, frames: np.ndarray) -> np.ndarray:
        """
        Put values of good neighbours in place of bad pixels, and take stripes out.

        Parameters
        ----------
        frames : ndarray of shape (n, d1, d2)
            Frames as recorded.

        Returns
        -------
        ndarray of shape (n, d1, d2)
            The same array if nothing is bad; else a copy, of the same dtype unless stripes are taken out
            (float32).
        """
        if not self:
            return frames
        out = np.array(frames, dtype=np.float32 if self.striped else frames.dtype, order="C")
        if self.striped:
            out -= self.columns
            out -= self.rows[:, None]
        bad, weights = self._neighbours
        if len(bad):
            flat = out.reshape(len(out), -1)
            values = (weights @ flat.T).T
            flat[:, bad] = np.rint(values) if out.dtype.kind in "iu" else values
        return out

    def inside(self, box: Box) -> BadPixels:
        """Give those in a box."""
        rows, columns = box.slices
        return BadPixels(self.kind[rows, columns], self.columns[columns], self.rows[rows])

    def fill_traces(self, Y: np.ndarray, sn: np.ndarray, ssub: int) -> None:
        """Fill in place the traces ``Y`` of pixels averaged by `ssub`, and noise ``sn`` of single ones."""
        mask = self.mask
        for values, step in ((Y, ssub), (sn[:, None], 1)):
            coarse = np.pad(mask, [(0, -d % step) for d in mask.shape])
            coarse = coarse.reshape(coarse.shape[0] // step, step, -1, step).any(axis=(1, 3))
            # Pixels are flattened in Fortran order: rows and columns change places.
            bad, weights = BadPixels(coarse.T.astype(np.uint8), self.rows, self.columns)._neighbours
            values[bad] = weights @ values

    @cached_property
    def _neighbours(self) -> tuple[np.ndarray, sparse.csr_matrix]:
        """Flat numbers of bad pixels, and weights ``(bad, pixels)`` of good ones that stand in for them."""
        mask = self.mask
        d1, d2 = mask.shape
        numbers, where, found = np.flatnonzero(mask), [], []
        if mask.all():
            return numbers[:0], sparse.csr_matrix((0, mask.size), dtype=np.float32)
        for row, col in np.argwhere(mask):
            reach = 1
            while True:
                rows = np.arange(max(row - reach, 0), min(row + reach + 1, d1))
                cols = np.arange(max(col - reach, 0), min(col + reach + 1, d2))
                good = ~mask[np.ix_(rows, cols)]
                if good.sum() >= min(3, (~mask).sum()):
                    break
                reach += 1
            at = np.argwhere(good) + (rows[0], cols[0])
            weight = 1.0 / ((at - (row, col)) ** 2).sum(axis=1)
            where.append(at @ (d2, 1))
            found.append(weight / weight.sum())
        ends = np.cumsum([0, *map(len, where)])
        data, columns = (np.concatenate(part) if part else np.zeros(0) for part in (found, where))
        shape = (len(numbers), mask.size)
        return numbers, sparse.csr_matrix((data.astype(np.float32), columns.astype(int), ends), shape=shape)


class RepairedMovie:
    """
    A movie whose bad pixels are filled when frames are read.

    Parameters
    ----------
    movie : array_like of shape (T, d1, d2)
        The movie.
    bad : BadPixels
        Of this movie.
    """

    def __init__(self, movie: Any, bad: BadPixels) -> None:
        self._movie, self._bad = movie, bad
        self.shape = tuple(movie.shape)
        self.dtype = np.dtype(np.float32) if bad.striped else movie.dtype

    def __getitem__(self, frames: slice) -> np.ndarray:
        raw = np.asarray(self._movie[frames])
        filled = self._bad.fill(raw)
        drop_pages(raw)
        return filled


def find_bad_pixels(movie: Any) -> BadPixels:
    """
    Find pixels that lie, in a movie that moves or one that is still.

    Two images of a movie tell about them: the mean and the swing (standard deviation over time) of each
    pixel. What the optics show is blurred over several pixels in both; a pixel, a cluster of few or a line
    one or two pixels wide that stands out sharply is the sensor's. Sharp small cells, vessels' edges and dust
    aren't: their neighbours stand out as well. Large regions that don't change are a mask and no bad pixels.

    Parameters
    ----------
    movie : array_like of shape (T, d1, d2)
        Anything with a shape that gives frames when it is sliced. At most 120 frames are read, in blocks.

    Returns
    -------
    BadPixels
        None in a movie of fewer than 10 frames or narrower than 8 px.
    """
    T, d1, d2 = movie.shape
    columns, rows = np.zeros(d2, np.float32), np.zeros(d1, np.float32)
    kind = np.zeros((d1, d2), np.uint8)
    if T < _FEWEST or min(d1, d2) < 8:
        return BadPixels(kind, columns, rows)
    look = _Look.at(movie)
    seen = look.seen
    if seen.sum() < 64:
        return BadPixels(kind, columns, rows)
    # What lies behind a mask would make an edge.
    mean, swing, noise = (
        nearest_complete(image[None].astype(np.float32), ~seen)[0]
        for image in (look.mean, look.swing, look.noise)
    )
    noise = _around(noise)
    # Chance moves a mean of n frames by its noise over their root, and a swing by a share.
    bright, dark = _standing_out(mean, seen, noise / np.sqrt(look.n), _MATTERS * noise)
    floor = max(0.01 * float(np.median(swing[seen])), 1e-6)
    log_swing, by_chance = np.log(np.maximum(swing, floor)), np.full((d1, d2), 1 / np.sqrt(2 * look.n))
    blinks, stuck = _standing_out(log_swing, seen, by_chance, np.log(_BLINKS), np.log(_STUCK))
    # One flash of a particle is no habit: both halves of the frames have to show it.
    for half in look.halves if blinks.any() else ():
        log_half = np.log(np.maximum(half, floor))
        blinks &= log_half - _around(log_half) > np.log(_BLINKS) / 2
    stuck &= ~look.at_end
    below = mean < _around(mean)
    constant = stuck & (look.swing == 0)
    for name, found in (
        ("dark", dark & ~look.at_end),
        ("hot", bright & ~look.at_end),
        ("blinking", blinks),
        ("stuck", stuck),
        ("dead", constant & below),
    ):
        kind[found] = 1 + _KINDS.index(name)
    for axis, name, offsets in ((0, "column", columns), (1, "row", rows)):
        image, swings, visible, spread = (
            np.swapaxes(part, 0, axis) for part in (mean, log_swing, seen, noise)
        )
        offsets[:] = _stripes(image, visible, float(np.median(noise[seen])))
        image = image - offsets
        lines = _lines(image, visible, spread / np.sqrt(look.n), _MATTERS * spread)
        lines |= _lines(swings, visible, np.swapaxes(by_chance, 0, axis), np.log(_BLINKS) + 0 * swings)
        lines &= ~np.swapaxes(look.at_end, 0, axis)
        np.swapaxes(kind, 0, axis)[lines] = 1 + _KINDS.index(name)
    return BadPixels(kind, columns, rows)


@dataclass(frozen=True)
class _Look:
    """What some frames tell of each pixel, all of shape (d1, d2)."""

    mean: np.ndarray
    swing: np.ndarray
    halves: tuple[np.ndarray, np.ndarray]
    noise: np.ndarray
    seen: np.ndarray
    at_end: np.ndarray
    n: int

    @classmethod
    def at(cls, movie: Any) -> _Look:
        T, d1, d2 = movie.shape
        # Where a pixel's frames lie side by side, each run costs pages of all pixels: so they are few.
        parts = min(_FRAMES, T) if T <= _FRAMES else _RUNS
        each = max(min(_FRAMES, T) // parts, 1)
        starts = np.unique(np.linspace(0, T - each, parts).round().astype(int)) if T > _FRAMES else [0]
        runs = [(int(s), int(min(s + each, T))) for s in starts] if T > _FRAMES else [(0, T)]
        sums = np.zeros((2, 2, d1, d2))
        count, changes, pairs = np.zeros(2), np.zeros((d1, d2)), 0
        low, high = np.full((d1, d2), np.inf), np.full((d1, d2), -np.inf)
        first = None
        missing = np.zeros((d1, d2), bool)
        for number, (start, stop) in enumerate(runs):
            for some in frame_blocks(stop - start, 16 * d1 * d2, _BYTES):
                frames = np.empty((some.stop - some.start, d1, d2), np.float32)
                fill_frames(frames, movie, slice(start + some.start, start + some.stop), run=ALONE)
                bad = ~np.isfinite(frames)
                if bad.any():
                    missing |= bad.any(axis=0)
                    frames[bad] = 0
                first = frames[0].copy() if first is None else first
                np.minimum(low, frames.min(axis=0), out=low)
                np.maximum(high, frames.max(axis=0), out=high)
                steps = np.diff(frames, axis=0)
                changes += (steps**2).sum(axis=0)
                pairs += len(steps)
                frames -= first
                cut = len(frames) // 2 if len(runs) == 1 else 0 if number >= len(runs) // 2 else len(frames)
                for half, part in enumerate((frames[:cut], frames[cut:])):
                    sums[half, 0] += part.sum(axis=0)
                    sums[half, 1] += (part**2).sum(axis=0)
                    count[half] += len(part)
        halves = tuple(_swing(*sums[half], count[half]) for half in range(2))
        total = sums.sum(axis=0)
        n = int(count.sum())
        swing = _swing(*total, n)
        swing[low == high] = 0.0
        noise = np.sqrt(changes / max(2 * pairs, 1))
        mean = (total[0] / n + first).astype(np.float32)
        constant, at_end = low == high, np.zeros((d1, d2), bool)
        for end in (low[~missing].min(initial=np.inf), high[~missing].max(initial=-np.inf)):
            # Where neighbours often reach the same end of the range, it is dark or saturated there.
            near = ~constant & (np.abs(mean - end) <= swing)
            at_end |= constant & (low == end) & _dilated(near)
        return cls(mean, swing, halves, noise, ~missing & (~constant | _small(constant)), at_end, n)


def _swing(total: np.ndarray, squares: np.ndarray, n: float) -> np.ndarray:
    n = max(n, 1)
    return np.sqrt(np.maximum(squares / n - (total / n) ** 2, 0.0))


def _small(mask: np.ndarray) -> np.ndarray:
    """Keep clusters of few pixels, and lines of at most two pixels' width."""
    import cv2

    wide = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3)))
    return mask & (cv2.dilate(wide, np.ones((5, 5))) == 0)


def _dilated(mask: np.ndarray) -> np.ndarray:
    import cv2

    return cv2.dilate(mask.astype(np.uint8), np.ones((3, 3))) > 0


def _around(image: np.ndarray) -> np.ndarray:
    """Median of 5 x 5 pixels."""
    import cv2

    return cv2.medianBlur(np.ascontiguousarray(image, np.float32), 2 * _AROUND + 1)


def _standing_out(
    image: np.ndarray, seen: np.ndarray, chance: np.ndarray, *least: np.ndarray | float
) -> tuple[np.ndarray, np.ndarray]:
    """Clusters of few pixels that are sharply higher, and those that are lower, than their surroundings."""
    # At the image's edge a slope makes a pixel differ from those inside; it goes on beyond.
    inner = _around(image)
    beyond = np.pad(image, _AROUND, mode="reflect", reflect_type="odd")
    beyond = _around(beyond)[_AROUND:-_AROUND, _AROUND:-_AROUND]
    around = np.clip(image, np.minimum(inner, beyond), np.maximum(inner, beyond))
    contrast = image - around
    usual = np.hypot(_usual(contrast, seen), chance)
    out = []
    for sign, enough in ((1, least[0]), (-1, least[-1])):
        peak = seen & (sign * contrast > np.maximum(_SURE * usual, enough))
        out.append(_sharp(sign * image, sign * around, peak) if peak.any() else peak)
    return out[0], out[1]


def _usual(contrast: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Robust standard deviation in squares, at least that of the whole field, at every pixel."""
    import cv2

    d1, d2 = contrast.shape
    size = np.abs(contrast)
    whole = float(np.median(size[seen]))
    rows, cols = max(d1 // _SQUARE, 1), max(d2 // _SQUARE, 1)
    inside = size[: rows * (d1 // rows), : cols * (d2 // cols)]
    squares = inside.reshape(rows, d1 // rows, cols, d2 // cols).transpose(0, 2, 1, 3)
    local = np.median(squares.reshape(rows, cols, -1), axis=2).astype(np.float32)
    local = cv2.resize(local, (d2, d1), interpolation=cv2.INTER_LINEAR)
    return _MAD_TO_STD * np.maximum(local, whole)


def _sharp(image: np.ndarray, around: np.ndarray, peak: np.ndarray) -> np.ndarray:
    """Of candidate pixels those in small clusters whose neighbours are much lower."""
    from scipy import ndimage

    labels, n = ndimage.label(peak, np.ones((3, 3)))
    out = np.zeros(peak.shape, bool)
    for number, (rows, cols) in enumerate(ndimage.find_objects(labels), 1):
        rows = slice(max(rows.start - 1, 0), rows.stop + 1)
        cols = slice(max(cols.start - 1, 0), cols.stop + 1)
        here = labels[rows, cols] == number
        if here.sum() > 2 * _CLUSTER:
            continue
        values = image[rows, cols] - around[rows, cols][here].mean()
        # A candidate may be a neighbour that a bad pixel was smeared over: half of the top makes the cluster.
        core = here & (values >= 0.5 * values[here].max())
        ring = ndimage.binary_dilation(core, np.ones((3, 3))) & ~core
        if core.sum() <= _CLUSTER and np.sort(values[ring])[-2:].mean() <= _SHARPEST * values[core].mean():
            out[rows, cols] |= core
    return out


def _lines(image: np.ndarray, seen: np.ndarray, chance: np.ndarray, least: np.ndarray) -> np.ndarray:
    """Pixels of columns, or of halves of them, that differ sharply from the columns beside them."""
    d1, d2 = image.shape
    out = np.zeros((d1, d2), bool)
    # Steps from each column to the next, and whether both are seen.
    steps = np.diff(image, axis=1)
    steps[~(seen[:, 1:] & seen[:, :-1])] = np.nan
    median = np.median if seen.all() else np.nanmedian
    for half in np.array_split(np.arange(d1), 2):
        part = steps[half]
        known = np.isfinite(part).mean(axis=0) > 0.5
        step = np.zeros(d2 - 1)
        if known.sum() < 8:
            continue
        step[known] = median(part[:, known], axis=0)
        alike = (np.sign(part) == np.sign(step)).mean(axis=0)
        by_chance = float(np.median(chance[half])) / np.sqrt(len(half))
        usual = np.hypot(_MAD_TO_STD * float(np.median(np.abs(step[known]))), by_chance)
        needed = max(_SURE * usual, float(np.median(least[half])))
        if not (np.abs(step) > needed).any():
            continue
        steep = np.where(known & (alike > _ALIKE) & (np.abs(step) > needed), step, 0.0)
        # Beyond the image nothing is known: what happens there is no reason against.
        wide, size = np.pad(steep, 3), np.pad(np.abs(step), 3)
        for width in (1, 2):
            for col in range(d2 - width + 1):
                left, right = wide[col + 2], wide[col + 2 + width]
                inner = size[col + 3 : col + 2 + width].max(initial=0.0)
                outer = max(size[col : col + 2].max(), size[col + 3 + width : col + 5 + width].max())
                at_edge = col == 0 or col + width == d2
                enough = max(abs(left), abs(right)) if at_edge else min(abs(left), abs(right))
                if enough > 0 and (at_edge or left * right < 0):
                    limit = _SHARPEST * enough
                    if outer <= (limit / 2 if at_edge else limit) and inner <= 2 * limit:
                        out[half, col : col + width] = True
    return out


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks of some values, equal ones sharing theirs: importing scipy.stats for them takes a second."""
    _, at, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[at]


def _stripes(image: np.ndarray, seen: np.ndarray, noise: float) -> np.ndarray:
    """Estimate what the sensor adds to each column, (d2,); 0 if it isn't alike from top to bottom."""
    from scipy.ndimage import gaussian_filter1d

    d1, d2 = image.shape
    offsets = np.zeros(d2, np.float32)
    if d2 < 4 * _STRIPE_PX or d1 < _BANDS * _BAND_PX or seen.mean() < 0.5:
        return offsets
    # What the optics show is smooth: its fourth difference is nearly nothing.
    wide = np.pad(image, ((0, 0), (2, 2)), mode="reflect")
    sharp = sum(w * wide[:, k : k + d2] for k, w in enumerate((1, -4, 6, -4, 1)))
    profile = np.median(sharp, axis=0)
    # Random offsets are taken times 8.4 by the fourth difference.
    if _MAD_TO_STD * np.median(np.abs(profile)) / np.sqrt(70) < _STRIPES_MATTER * noise:
        return offsets
    bands = np.array_split(np.arange(d1), _BANDS)
    ranks = np.stack([_ranks(np.median(sharp[band], axis=0)) for band in bands])
    pairs = np.triu_indices(_BANDS, 1)
    if ranks.std(axis=1).min() == 0 or np.corrcoef(ranks)[pairs].min() < _STRIPES:
        return offsets
    fine = image - gaussian_filter1d(image, _STRIPE_PX, axis=1)
    spectra = fft.rfft([np.median(fine[band], axis=0) for band in bands])
    # Of each frequency as much as the bands agree on: the rest is tissue.
    at = np.arange(spectra.shape[1]) * _FREQUENCIES // spectra.shape[1]
    common = np.bincount(at, (spectra[pairs[0]] * np.conj(spectra[pairs[1]])).real.mean(axis=0))
    power = np.bincount(at, (np.abs(spectra.mean(axis=0)) ** 2))
    gain = np.clip(common / np.where(power > 0, power, 1.0), 0, 1)[at]
    return fft.irfft(spectra.mean(axis=0) * gain, d2).astype(np.float32)
