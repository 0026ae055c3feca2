"""Which components are cells: all measures of them against the movie, and the decision."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from cnmf_engine.base.parallel import one_thread
from cnmf_engine.movies.access import check_movie, matching_pixels
from cnmf_engine.stages import evaluation, plausibility
from cnmf_engine.stages.thresholds import Thresholds

__all__ = ["Cells", "Quality", "Thresholds", "Verdict", "decide", "plausibility_measures", "measure"]


class Cells(NamedTuple):
    """
    What is judged.

    Attributes
    ----------
    A : csc_matrix of shape (d, K)
        Footprints, pixels in Fortran order.
    C, raw : ndarray of shape (K, T)
        Calcium, and traces with their noise.
    dims : tuple of int
        Rows and columns, px.
    """

    A: sparse.csc_matrix
    C: np.ndarray
    raw: np.ndarray
    dims: tuple[int, int]


class Quality(NamedTuple):
    """
    Measures of K components.

    Attributes
    ----------
    snr, r : ndarray of shape (K,), float64
        Transient SNR, and spatial correlation with the movie at the moments of activity.
    measures : dict of str to ndarray of shape (K,)
        What tells cells from fibres, torn frames, haze and movement: `plausibility.MEASURES`.
    pairs : Alike
        Components that lie upon each other.
    ecc : ndarray of shape (K,), optional
        Elongation of footprints.

    Without `measures` and `pairs` SNR and r decide alone, as in CaImAn.
    """

    snr: np.ndarray
    r: np.ndarray
    measures: dict[str, np.ndarray] | None = None
    pairs: plausibility.Alike | None = None
    ecc: np.ndarray | None = None


class Verdict(NamedTuple):
    """
    Components by verdict.

    Attributes
    ----------
    accepted, rejected : ndarray of int
        Indices in increasing order; every component is in one of them.
    implausible : ndarray of int
        Those of the rejected that pass SNR or r.
    reasons : ndarray of shape (K,), str
        What speaks against a component, whatever its SNR and r: one of `plausibility.REASONS`, else empty.
    likeness : ndarray of shape (K,), float64, or None
        How much a component is like a better one in the same place.
    thresholds : Thresholds
        From which values on.
    """

    accepted: np.ndarray
    rejected: np.ndarray
    implausible: np.ndarray
    reasons: np.ndarray
    likeness: np.ndarray | None
    thresholds: Thresholds


@one_thread()
def measure(
    movie: np.ndarray,
    cells: Any,
    *,
    fr: float,
    decay_time: float,
    gSig: float | tuple[float, float],
    transient: float | None = None,
) -> Quality:
    """
    Measure components against the movie they were found in.

    Parameters
    ----------
    movie : ndarray or memmap of shape (T, d1, d2) or (d, T)
        The movie.
    cells : Fit or Cells
        The components.
    fr : float
        Frames a second, Hz.
    decay_time : float
        Length of a typical transient, s.
    gSig : float or two floats
        Half width of a cell (along rows and columns), px.
    transient : float, optional
        Over how long a transient is averaged for the SNR, s; `decay_time` if None.

    Returns
    -------
    Quality
        One value a component in each measure.

    Raises
    ------
    InputError
        If the movie has another size.

    References
    ----------
    Giovannucci et al. 2019, eLife 8:e38173, Methods, 'Component quality assessment'; the other measures have
    theirs in `cnmf_engine.stages.plausibility`.
    """
    snr, r = snr_and_r(movie, cells, fr, decay_time if transient is None else transient)
    measures = plausibility_measures(movie, cells, snr, fr=fr, decay_time=decay_time, gSig=gSig)
    return Quality(snr, r, measures, plausibility.alike(cells.A, cells.raw, fr, decay_time))


def snr_and_r(movie: np.ndarray, cells: Any, fr: float, transient: float) -> tuple[np.ndarray, np.ndarray]:
    """CaImAn's two measures, (K,) float64 each."""
    frames = check_movie(movie, cells.A.shape[0], cells.C.shape[1])
    snr = np.asarray(evaluation.transient_snr(cells.raw, fr, transient), dtype=np.float64)
    Yr, ordered = matching_pixels(frames, cells.A)
    return snr, np.asarray(evaluation.spatial_correlation(Yr, ordered, cells.C, fr), dtype=np.float64)


def plausibility_measures(
    movie: np.ndarray,
    cells: Any,
    snr: np.ndarray,
    *,
    fr: float,
    decay_time: float,
    gSig: float | tuple[float, float],
) -> dict[str, np.ndarray]:
    """Measures that CaImAn doesn't have, one array (K,) for each of `plausibility.MEASURES`."""
    frames, times = check_movie(movie, cells.A.shape[0], cells.C.shape[1]), dict(fr=fr, decay_time=decay_time)
    rows, columns = np.broadcast_to(gSig, 2)
    size = dict(dims=cells.dims, gSig=(float(rows), float(columns)))
    found = plausibility.shape(cells.A, **size)._asdict()
    found["snr_rest"] = plausibility.snr_rest(cells.raw, snr, **times)
    return found | plausibility.event_images(frames, cells.A, cells.C, cells.raw, **size, **times)._asdict()


def decide(quality: Quality, thresholds: Thresholds = Thresholds()) -> Verdict:
    """
    Accept what passes SNR or r and is no fibre, torn frame, haze, movement or double.

    Parameters
    ----------
    quality : Quality
        From `measure`.
    thresholds : Thresholds
        From which values on.

    Returns
    -------
    Verdict
        Accepted and rejected components, and why.
    """
    limits = vars(thresholds)
    lowest = {name: limits[name] for name in ("min_SNR", "rval_thr", "SNR_lowest", "rval_lowest")}
    passed = evaluation.decide(quality.snr, quality.r, **lowest).accepted
    if quality.ecc is not None:
        passed = passed[quality.ecc[passed] < thresholds.max_ecc]
    reasons, likeness = np.full(len(quality.snr), "", dtype="U10"), None
    if quality.measures is not None:
        reasons, likeness = plausibility.implausible(
            quality.measures, quality.snr, passed, quality.pairs, limits
        )
    accepted, implausible = passed[reasons[passed] == ""], passed[reasons[passed] != ""]
    rejected = np.setdiff1d(np.arange(len(reasons)), accepted)
    return Verdict(accepted, rejected, implausible, reasons, likeness, thresholds)
