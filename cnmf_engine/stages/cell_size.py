"""How wide cells are, measured in the movie before anything is known about them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from cnmf_engine.base.errors import InputError, explain
from cnmf_engine.stages.filters import middling

__all__ = ["CellSize", "cell_size"]

#: Frames, and rows and columns in the middle, that are looked at; more brings more cells, not another width.
_MOST_FRAMES, _MOST_PIXELS = 800, 256
#: Frames between the two that are compared: within a rise, and short against drift.
_LAG = 4
#: Sigmas of the band-pass with which flashes are found; it lets cells of sigma 2 to 6 px through.
_BAND = (2.0, 8.0)
#: Half the width of the surroundings in which a flash is measured, px.
_REACH = 16
#: Flashes clearer than this share of the ten clearest ones count; those below are noise and background.
_CLEAR, _MOST_FLASHES = 0.5, 80
#: Smallest rise that can be a flash, in units of the pixel's noise.
_LEAST_RISE = 5.0
#: Of the widths this percentile is taken: out-of-focus cells only make them wider.
_SHARP = 33
_RULE = (
    "Where the brightness jumps within {lag} frames, the difference of the two frames is the cell without "
    "its background. Sigma {width:.1f} px fits the sharper third of the {count} clearest jumps."
)
_RULE_AT_CELLS = (
    "Where the brightness of a cell jumps within {lag} frames, the difference of the two frames is the cell "
    "without its background. Sigma {width:.1f} px fits the sharper third of the {count} that are clear."
)
_NO_RULE = (
    "No cell flashes clearly enough to be measured, so choose gSig by eye: a quarter of a cell's diameter."
)


class CellSize(NamedTuple):
    """
    The width of cells, and how it was found.

    Attributes
    ----------
    gSig : float
        Sigma of a Gaussian that fits a cell, px; NaN where no cell could be measured.
    rule : str
        The rule in a sentence.
    widths : ndarray of shape (n,)
        Sigma of each flash that was measured, px.
    """

    gSig: float
    rule: str
    widths: np.ndarray


def cell_size(images: Any, places: Any = None) -> CellSize:
    """
    Measure how wide cells are from the clearest flashes of a movie.

    A cell lights up within a few frames; the glow around it, vessels and drift stay. So the difference of two
    frames around the rise is the cell alone plus noise, and the width of its radial profile is the cell's.
    On simulated recordings of several scopes, regions and sizes (sigma 3 to 5.5 px) the result lies within
    0.9 to 1.4 times the true width, and within 1.15 times on most.

    Parameters
    ----------
    images : array of shape (T, d1, d2)
        Movie or memory map; the middle (256 px) of its first 800 frames is used.
    places : array of shape (n, 2), optional
        Row and column of places that are known to be cells; only they are measured, and one is enough.

    Returns
    -------
    CellSize
        Width and rule; NaN where nothing flashes.

    Raises
    ------
    InputError
        If `images` isn't a movie.
    """
    shape = np.shape(images)
    if len(shape) != 3 or 0 in shape:
        raise InputError(
            explain("a movie (frames, rows, columns)", f"shape {shape}", "pass the images of cm.load_memmap")
        )
    rows, cols = (slice(max(0, (n - _MOST_PIXELS) // 2), (n + _MOST_PIXELS + 1) // 2) for n in shape[1:])
    movie = np.nan_to_num(np.asarray(images[:_MOST_FRAMES, rows, cols], np.float32), posinf=0.0, neginf=0.0)
    if len(movie) <= 2 * _LAG or min(shape[1:]) < 12:
        return CellSize(np.nan, _NO_RULE, np.zeros(0))
    frames, rise = _sharpest_rise(movie)
    if places is None:
        places, fewest = _clear_places(rise), 3
    else:
        corner = rows.start, cols.start
        places, fewest = np.asarray(places, dtype=int).reshape(-1, 2) - corner, 1
        places = places[((places >= 0) & (places < rise.shape)).all(axis=1)]
    widths = np.array([_width_at(movie, frames[:, row, col], row, col) for row, col in places])
    widths = widths[np.isfinite(widths)]
    if widths.size < fewest:
        return CellSize(np.nan, _NO_RULE, widths)
    width = float(np.percentile(widths, _SHARP))
    rule = _RULE if fewest > 1 else _RULE_AT_CELLS
    return CellSize(width, rule.format(lag=_LAG, count=widths.size, width=width), widths)


def _sharpest_rise(movie: np.ndarray, n_best: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """
    Find when each pixel's surroundings brighten most.

    Returns
    -------
    (ndarray of shape (n_best, d1, d2), int; ndarray of shape (d1, d2))
        Frames of the largest rises, the largest first, -1 for those below half of it; and the largest rise in
        units of the pixel's noise.
    """
    import cv2

    near, far = ((0, 0), _BAND[0]), ((0, 0), _BAND[1])
    band = np.empty_like(movie)
    for frame, out in zip(movie, band):
        image = frame - middling(frame)
        np.subtract(cv2.GaussianBlur(image, *near), cv2.GaussianBlur(image, *far), out=out)
    least_noise = 1e-6 * (float(np.ptp(movie)) or 1.0)
    # A few rows at a time: sorting takes several times the room of what is sorted.
    parts = [_largest(band[:, row : row + 16], n_best, least_noise) for row in range(0, band.shape[1], 16)]
    frames, top = (np.concatenate(each, axis=-2) for each in zip(*parts))
    return frames, top


def _largest(band: np.ndarray, n_best: int, least_noise: float) -> tuple[np.ndarray, np.ndarray]:
    """Do for some rows what `_sharpest_rise` does for all."""
    rise = band[_LAG:] - band[:-_LAG]
    noise = np.median(np.abs(rise), axis=0) / 0.6745
    rise /= np.maximum(noise, least_noise)
    n_best = min(n_best, len(rise))
    best = np.argpartition(rise, -n_best, axis=0)[-n_best:]
    best = np.take_along_axis(best, np.argsort(-np.take_along_axis(rise, best, 0), axis=0), 0)
    values = np.take_along_axis(rise, best, 0)
    return np.where(values > 0.5 * values[:1], best + _LAG, -1), values[0]


def _clear_places(rise: np.ndarray) -> np.ndarray:
    """Give rows and columns of the clearest flashes, away from the edge and from each other."""
    from scipy.ndimage import maximum_filter

    edge = 6
    peaks = (rise == maximum_filter(rise, 9)) & (rise >= _LEAST_RISE)
    peaks[:edge] = peaks[-edge:] = peaks[:, :edge] = peaks[:, -edge:] = False
    places = np.argwhere(peaks)
    clarity = rise[tuple(places.T)]
    order = np.argsort(-clarity, kind="stable")[:_MOST_FLASHES]
    if order.size == 0:
        return places
    top = clarity[order[:10]].mean()
    clear = clarity[order] >= _CLEAR * top
    clear[:10] = True  # with few cells the tenth may be weak, and all the same the best there is
    return places[order[clear]]


def _width_at(movie: np.ndarray, frames: np.ndarray, row: int, col: int) -> float:
    """Fit a Gaussian to the radial profile of what lit up at a place; NaN where it doesn't fit."""
    from scipy.optimize import curve_fit

    rows = slice(max(0, row - _REACH), row + _REACH + 1)
    cols = slice(max(0, col - _REACH), col + _REACH + 1)
    frames = frames[frames >= 0]
    lit = movie[frames, rows, cols].mean(axis=0) - movie[frames - _LAG, rows, cols].mean(axis=0)
    at_row, at_col = np.ogrid[rows.start : rows.start + lit.shape[0], cols.start : cols.start + lit.shape[1]]
    ring = np.rint(np.hypot(at_row - row, at_col - col)).astype(int)
    radius = np.arange(_REACH + 1)
    # The median of a ring leaves out a neighbour that lit up at the same time.
    profile = np.array([np.median(lit[ring == r]) for r in radius])

    def gaussian(r: np.ndarray, height: float, width: float, base: float) -> np.ndarray:
        return height * np.exp(-(r**2) / (2 * width**2)) + base

    start = (max(float(profile[0] - profile[-1]), 1e-6), 3.0, float(profile[-1]))
    bounds = ((0, 0.5, -np.inf), (np.inf, _REACH, np.inf))
    try:
        (_, width, _), _ = curve_fit(
            gaussian, radius, profile, start, 1 / np.sqrt(np.maximum(radius, 0.5)), bounds=bounds
        )
    except RuntimeError:  # no convergence: not a single bump
        return np.nan
    return float(width)
