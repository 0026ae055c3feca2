"""Whether a movie shows cells at all: what stands out of it, against what background and noise reach."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from cnmf_engine.base.errors import InputError, explain
from cnmf_engine.base.memory import memory_budget
from cnmf_engine.base.parallel import ALONE
from cnmf_engine.movies.geometry import Box
from cnmf_engine.movies.regions import read_blocks
from cnmf_engine.stages.cnmfe.seeding import seed_pixels
from cnmf_engine.stages.filters import filter_frames, mean_centred_kernel, one_size
from cnmf_engine.stages.peak_noise import filtered_images
from cnmf_engine.stages.summary_images import correlation_pnr

__all__ = ["FEW", "CellEvidence", "find_cells"]

#: Correlation and PNR from which on a local maximum is looked at; noise alone reaches both.
_LEAST_CORR, _LEAST_PNR = 0.3, 2.5
#: Most maxima of either sign that are looked at, the clearest ones: it bounds the time.
_MOST_PLACES = 200
#: A cell's product of correlation and PNR is so many times what the background reaches: two maxima of the
#: same noise differ by less. And so many times the PNR of the median pixel: a small field has few maxima to
#: tell by what noise may reach.
_CLEAR, _ABOVE_NOISE = 1.3, 2.0
#: Up to so many clear cells are few: then no maximum of the background may be as clear, and none is let in.
#: With more, at most this share of them may be (movement leaves dips beside bright cells), and for each
#: beyond six three are let in: a false seed costs less than a missed cell, and most cells aren't this clear.
FEW, _SHARE, _FALSE_EACH = 6, 0.25, 3
#: The filter's rim answers a flash with a dip of up to this part of it, within so many gSig.
_SHADOW, _SHADOW_REACH = 0.4, 4.0
#: Area at half height in units of gSig squared (4.4 for a Gaussian of that width, less once it is filtered),
#: and length over width, of what can be a cell; vessels that move are longer, haze is wider.
_AREA, _LONGEST = (0.8, 6.5), 2.2
#: Share of the frames, and the fewest, in which a place is brightest; they show what lights up there.
_BRIGHTEST, _FEWEST_FRAMES = 0.02, 5
#: Bounds of min_corr and the usual first guess. With few cells min_pnr is at most so many times what the
#: background reaches; with many both leave at most the top 15 % of the pixels, as cells cover no more.
_LEAST_MIN_CORR, _USUAL_CORR, _USUAL_PNR = 0.5, 0.8, 10.0
_ABOVE, _COVERED = 1.25, 15


class CellEvidence(NamedTuple):
    """
    What stands out of a movie as cells do, and what background and noise reach in it.

    Attributes
    ----------
    places : ndarray of shape (n, 2), int
        Row and column of what can only be cells, the clearest first; empty where nothing can.
    pnr : ndarray of shape (n,)
        Their peak-to-noise ratios.
    background_pnr : float
        Peak-to-noise ratio that background and noise reach where they correlate as cells do, but for some of
        the highest maxima where cells are many.
    min_corr, min_pnr : float
        Thresholds that let the cells in and hardly anything else; NaN without cells.
    rule : {'none', 'few', 'background', 'share', 'usual'}
        What set `min_pnr`: nothing, as there are no cells; with few cells, the background; with many what the
        background reaches, the share of the field that cells cover, or the usual first guess as the limit.
    """

    places: np.ndarray
    pnr: np.ndarray
    background_pnr: float
    min_corr: float
    min_pnr: float
    rule: str


def find_cells(images: Any, gSig: float, cn: Any = None, pnr: Any = None) -> CellEvidence:
    """
    Look for evidence of cells, and for thresholds that tell them from the rest of the same movie.

    Calcium only makes cells brighter; noise, vessels, haze and movement darken as much as they brighten. So
    the movie's negative tells what a recording without cells would have reached: local maxima of its two
    summary images, but for dips that the filter leaves around bright cells. Maxima that are too long or too
    wide for a cell count on neither side. What stands out of that clearly is a cell. With few cells the
    thresholds lie just above the background; with many they are lower, as a false seed can be rejected later
    and a missed cell can't be found again.

    Parameters
    ----------
    images : array of shape (T, d1, d2)
        Movie or memory map, motion corrected.
    gSig : float
        Width of a cell, px.
    cn, pnr : arrays of shape (d1, d2), optional
        `correlation_pnr` of the same movie and width, where they are there already.

    Returns
    -------
    CellEvidence
        Cells, background and thresholds.

    Raises
    ------
    InputError
        If `images` isn't a movie, or cn and pnr have another size.

    References
    ----------
    Elias & Gygi 2007, Nat Methods 4:207 (decoys tell how many false ones pass a threshold).
    Zhou et al. 2018, eLife 7:e28728, Methods, 'Initialization of A and C' (the two images).
    """
    gSig = float(one_size(gSig, "gSig"))
    if cn is None or pnr is None:
        cn, pnr = correlation_pnr(images, gSig=gSig, swap_dim=False)
    if np.shape(images)[1:] != np.shape(cn) or np.shape(cn) != np.shape(pnr):
        raise InputError(
            explain(
                "a movie (frames, rows, columns) and images cn and pnr of its rows and columns",
                f"shapes {np.shape(images)}, {np.shape(cn)} and {np.shape(pnr)}",
                "pass what correlation_pnr makes of this movie, or leave cn and pnr out",
            )
        )
    kernel = mean_centred_kernel(gSig)
    bright = tuple(np.nan_to_num(image, posinf=0.0) for image in (cn, pnr))
    dark = filtered_images(images, -kernel)
    found, decoys = (_maxima(*both, gSig) for both in (bright, dark))
    decoys = decoys[~_in_shadow(bright[1], dark[1], decoys, gSig)]
    noise = float(np.median(dark[1]))  # half of the pixels reach it by noise alone
    corr_no, ratio_no = _at(dark, decoys)
    # Only a dip that can keep a cell from being clear has to be looked at.
    rival = corr_no * ratio_no * _CLEAR >= _ABOVE_NOISE * noise
    mean = _mean_image(images)
    small, small_decoy = (
        np.array([_is_compact(images, mean, one, place, gSig) for place in places], dtype=bool)
        for one, places in ((kernel, found), (-kernel, decoys[rival]))
    )
    found = found[small]
    corr, ratio = _at(bright, found)
    product = corr * ratio
    n = _count_clear(product[product >= _ABOVE_NOISE * noise], (corr_no * ratio_no)[rival][small_decoy])
    many = n > FEW
    wanted = np.percentile(bright[0], 100 - _COVERED) if many else corr[:n].min(initial=_USUAL_CORR)
    min_corr = float(np.clip(wanted, _LEAST_MIN_CORR, _USUAL_CORR))
    level = max(noise, _barrier(ratio_no[corr_no >= min_corr], _FALSE_EACH * max(n - FEW, 0)))
    if not n:
        return CellEvidence(found[:0], ratio[:0], level, np.nan, np.nan, "none")
    if not many:
        above = ratio[(corr >= min_corr) & (ratio > level)].min(initial=np.inf)
        # What is clear stays in, even if wide or long background reaches higher.
        min_pnr = min(float(np.sqrt(above * level)), _ABOVE * level, float(ratio[:n].min()))
        return CellEvidence(found[:n], ratio[:n], level, min_corr, min_pnr, "few")
    share = float(np.percentile(bright[1], 100 - _COVERED))
    rule = "usual" if max(share, level) > _USUAL_PNR else "share" if share > level else "background"
    return CellEvidence(found[:n], ratio[:n], level, min_corr, min(max(share, level), _USUAL_PNR), rule)


def _maxima(cn: np.ndarray, pnr: np.ndarray, gSig: float) -> np.ndarray:
    """Local maxima away from the edge, where motion correction leaves traces; highest product first."""
    found = seed_pixels(cn, pnr, _LEAST_CORR, _LEAST_PNR, int(2 * gSig) + 1)
    edge = np.minimum(np.ceil(gSig), np.array(cn.shape) // 4)
    found = found[((found >= edge) & (found < np.array(cn.shape) - edge)).all(axis=1)]
    order = np.argsort(-(cn * pnr)[tuple(found.T)], kind="stable")
    return found[order][:_MOST_PLACES]


def _at(images: tuple[np.ndarray, np.ndarray], places: np.ndarray) -> np.ndarray:
    """Correlation and ratio at some places, (2, n)."""
    return np.array([image[tuple(places.T)] for image in images], dtype=float).reshape(2, len(places))


def _in_shadow(pnr: np.ndarray, dark: np.ndarray, places: np.ndarray, gSig: float) -> np.ndarray:
    """Tell which dips are the filter's answer to something bright beside them."""
    from scipy.ndimage import maximum_filter

    near = maximum_filter(pnr, 2 * int(np.ceil(_SHADOW_REACH * gSig)) + 1)
    return dark[tuple(places.T)] <= _SHADOW * near[tuple(places.T)]


def _is_compact(images: Any, mean: np.ndarray, kernel: np.ndarray, place: np.ndarray, gSig: float) -> bool:
    """Say whether what lights up at a place is as small and as round as a cell."""
    from scipy.ndimage import label

    dims = mean.shape
    row, column = (int(value) for value in place)
    one, half = Box(row, row + 1, column, column + 1), kernel.shape[0] // 2
    near, whole = one.around(half, dims), Box(row - half, row + half + 1, column - half, column + half + 1)
    trace = np.tensordot(_seen(images, slice(None), near), kernel[near.within(whole).slices], axes=2)
    most = max(_FEWEST_FRAMES, int(_BRIGHTEST * len(trace)))
    box = one.around(int(np.ceil(3 * gSig)) + half, dims)
    # Only these frames are read of all that is around.
    brightest = np.sort(np.argsort(-trace, kind="stable")[:most])
    lit = _seen(images, brightest, box).mean(axis=0) - mean[box.slices]
    lit = filter_frames(lit.astype(np.float32), kernel)
    at = row - box.r0, column - box.c0
    if not lit[at] > 0:
        return False
    names, _ = label(lit > 0.5 * lit[at])
    inside = np.argwhere(names == names[at])
    low, high = (limit * gSig**2 for limit in _AREA)
    if not max(low, 4) <= len(inside) <= high:
        return False
    # A pixel is a square: it has a width of its own.
    narrow, wide = np.linalg.eigvalsh(np.cov(inside.T)) + 1 / 12
    return bool(wide <= _LONGEST**2 * narrow)


def _seen(images: Any, frames: slice | np.ndarray, box: Box) -> np.ndarray:
    """Frames of a box, float32, with 0 for what is missing."""
    return _complete(np.array(images[(frames, *box.slices)], dtype=np.float32, order="C"))


def _complete(frames: np.ndarray) -> np.ndarray:
    """Put 0 for what is missing: replacing takes longer than all the rest, and seldom anything is."""
    return frames if np.isfinite(frames.sum()) else np.nan_to_num(frames)


def _mean_image(images: Any) -> np.ndarray:
    """Mean of all frames, with 0 for what is missing."""
    total = np.zeros(np.shape(images)[1:])
    for _, block in read_blocks(images, slice(0, len(images)), memory_budget(), ALONE):
        total += _complete(block).sum(axis=0, dtype=np.float64)
    return total / len(images)


def _count_clear(cells: np.ndarray, others: np.ndarray) -> int:
    """How many of the best candidates stand out of what is none, by products that fall."""
    reached = np.array([np.count_nonzero(others * _CLEAR >= value) for value in cells])
    number = np.arange(1, len(cells) + 1)
    good = np.flatnonzero(reached <= np.where(number > FEW, _SHARE * number, 0))
    return int(good[-1]) + 1 if good.size else 0


def _barrier(values: np.ndarray, allowed: int) -> float:
    """Give the highest value but for as many as are allowed to be higher; 0 where there are fewer."""
    return float(np.sort(values)[::-1][allowed]) if len(values) > allowed else 0.0
