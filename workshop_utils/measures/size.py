"""How large cells are, measured in two ways."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from workshop_utils.measures.excerpt import as_movie

if TYPE_CHECKING:
    from cnmf_engine.stages.cell_evidence import CellEvidence

__all__ = ["Size", "cell_profile", "size"]

#: Full width at half maximum of a Gaussian in units of its sigma.
_FWHM = 2.3548
_REACH = 16
_USUAL, _LEAST = 3.0, 1.5
#: Widths at which cells are looked for where none show at the width that was measured, px.
_OTHERS = (3, 5)


@dataclass(frozen=True)
class Size:
    """
    The width of cells; prints as sentences.

    Attributes
    ----------
    gSig, gSiz : int
        What goes into the parameters, px: the width as a sigma, and half the box around a cell.
    diameter : int
        Diameter of a cell, four sigmas, px.
    sigma : float
        The width as it was measured, px; NaN where no cell flashed clearly enough.
    by_profile : float
        The same from line profiles through the brightest spots of an image; NaN without any.
    rule : str
        How it was found.
    cells : CellEvidence or None
        Which cells stand out with this width, and what background and noise reach; None where nobody looked.
    """

    gSig: int
    gSiz: int
    diameter: int
    sigma: float
    by_profile: float
    rule: str
    cells: CellEvidence | None = None

    def __str__(self) -> str:
        """Say it."""
        profile = "no spot stands out in the image"
        if np.isfinite(self.by_profile):
            profile = f"line profiles through spots of the image say sigma {self.by_profile:.1f} px"
        verb = "is" if self.cells is None or len(self.cells.places) else "would be"
        return (
            f"{self.rule}\nFor comparison: {profile}.\n"
            f"gSig {self.gSig} px, gSiz {self.gSiz} px; a cell {verb} about {self.diameter} px wide."
        )

    __repr__ = __str__


def size(images: Any, cn: Any = None) -> Size:
    """
    Measure how wide cells are.

    The engine's measure (`cnmf_engine.stages.cell_size`, behind *Suggested start* in lesson 3) takes the
    clearest flashes: the difference of two frames around a rise is the cell without its background. Line
    profiles through the brightest spots of an image are the same by eye, and stand in where nothing flashes.
    Noise and vessels jump too, so cells have to stand out of both (`cnmf_engine.stages.cell_evidence`): with
    few of them, only they are measured; without any, the width is the usual one.

    Parameters
    ----------
    images : array of shape (T, d1, d2)
        The movie, motion corrected: movement makes cells wider.
    cn : array of shape (d1, d2), optional
        Correlation image, for the line profiles.

    Returns
    -------
    Size
        Width in pixels; prints as sentences.

    Raises
    ------
    InputError
        If `images` isn't a movie.
    """
    from cnmf_engine.stages.cell_evidence import FEW, find_cells
    from cnmf_engine.stages.cell_size import cell_size

    measured = cell_size(as_movie(images))
    sigma, rule = float(measured.gSig), measured.rule
    profile = float("nan")
    if cn is not None:
        spots = brightest_spots(cn)
        widths = np.array([cell_profile(cn, spot)[2] for spot in spots])
        widths = widths[np.isfinite(widths)]
        profile = float(np.median(widths)) / _FWHM if len(widths) else profile
    best = sigma
    if not np.isfinite(best):
        # A bump narrower than that is noise or a vessel, and no cell.
        clear = np.isfinite(profile) and profile >= _LEAST
        best = profile if clear else _USUAL
        source = f"{best:.1f} px, from line profiles," if clear else f"the usual {best:g} px"
        rule = f"{rule} Until then {source} is taken."
    gSig = int(max(2, round(best)))
    tried = list(dict.fromkeys((gSig, *_OTHERS)))
    for width in tried:
        cells = find_cells(images, width)
        if len(cells.places):
            break
    if not len(cells.places):
        sigma, gSig = float("nan"), round(_USUAL)
        cells = find_cells(images, gSig)
        rule = (
            "No cells are visible here, so there is nothing to measure: nothing of the size of a cell stands "
            f"out of background and noise (looked for with gSig {', '.join(map(str, tried))} px). The usual "
            f"{gSig} px is taken."
        )
    elif len(cells.places) <= FEW:
        measured = cell_size(images, cells.places)
        sigma, rule = float(measured.gSig), measured.rule
        gSig = int(max(2, round(sigma))) if np.isfinite(sigma) else width
    if gSig != width and len(cells.places):
        closer = find_cells(images, gSig)
        cells, gSig = (closer, gSig) if len(closer.places) else (cells, width)
    return Size(gSig, 2 * gSig + 1, 4 * gSig, sigma, profile, rule, cells)


def brightest_spots(image: Any, most: int = 12, gSig: float = 2.5) -> np.ndarray:
    """
    Find the spots of an image that stand out most, away from the edge.

    Parameters
    ----------
    image : array of shape (d1, d2)
        Correlation image, or one like it.
    most : int
        How many.
    gSig : float
        Width of the spots that are looked for, px.

    Returns
    -------
    ndarray of shape (n, 2), int
        Row and column, the clearest first.
    """
    from scipy.ndimage import gaussian_filter, maximum_filter

    image = np.nan_to_num(np.asarray(image, dtype=np.float32))
    bump = gaussian_filter(image, 0.4 * gSig) - gaussian_filter(image, 3.2 * gSig)
    peaks = (bump == maximum_filter(bump, 9)) & (bump > 0)
    edge = min(6, min(image.shape) // 4)
    inside = np.zeros_like(peaks)
    inside[edge : image.shape[0] - edge, edge : image.shape[1] - edge] = True
    places = np.argwhere(peaks & inside)
    return places[np.argsort(-bump[tuple(places.T)], kind="stable")][:most]


def cell_profile(image: Any, place: Any) -> tuple[np.ndarray, np.ndarray, float]:
    """
    Read brightness along a row and a column through a place, and how wide the bump is.

    Parameters
    ----------
    image : array of shape (d1, d2)
        Any image in which cells stand out.
    place : (int, int)
        Row and column of a spot.

    Returns
    -------
    (ndarray, ndarray, float)
        Distance from the place, px; mean brightness of the four directions at that distance; and the full
        width at half of the bump's height, px, NaN where it doesn't fall that far.
    """
    image = np.nan_to_num(np.asarray(image, dtype=np.float64))
    row, column = (int(value) for value in place)
    lines = [image[row, column:], image[row, column::-1], image[row:, column], image[row::-1, column]]
    reach = min(_REACH, max(len(line) for line in lines) - 1)
    padded = np.full((4, reach + 1), np.nan)
    for line, out in zip(lines, padded):
        out[: len(line)] = line[: reach + 1]
    profile = np.nanmean(padded, axis=0)
    # Behind the foot of the bump come the neighbours: the floor is the first low point.
    floor = profile[: _first_low(profile) + 1].min()
    half = (profile[0] + floor) / 2
    below = np.flatnonzero(profile < half)
    if profile[0] <= floor or not len(below):
        return np.arange(reach + 1), profile, float("nan")
    k = int(below[0])
    crossing = k - (half - profile[k]) / max(profile[k - 1] - profile[k], 1e-12)
    return np.arange(reach + 1), profile, 2 * float(crossing) if math.isfinite(crossing) else float("nan")


def _first_low(profile: np.ndarray) -> int:
    """Find where a falling line first rises again."""
    rising = np.flatnonzero(np.diff(profile) > 0)
    return int(rising[0]) if len(rising) else len(profile) - 1
