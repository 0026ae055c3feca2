"""Measure components against their movie and decide which to accept."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from cnmf_engine._movie_access import check_movie, matching_pixels
from cnmf_engine.errors import InputError, ParameterError, explain

if TYPE_CHECKING:
    from cnmf_engine.estimates import Estimates
    from cnmf_engine.params import CNMFParams

__all__ = [
    "apply_thresholds",
    "check_classifier",
    "checks_plausibility",
    "eccentricity",
    "measure",
    "measure_plausibility",
    "plausibility_rule",
]

log = logging.getLogger("caiman")


def check_classifier(quality: Mapping[str, Any]) -> None:
    """
    Refuse the classifier before any work is done.

    Parameters
    ----------
    quality : dict
        The group 'quality' of the parameters.

    Raises
    ------
    ParameterError
        If ``use_cnn`` is True.
    """
    if quality["use_cnn"]:
        found = "use_cnn = True"
        fix = "call params.change_params({'use_cnn': False}); SNR and spatial correlation then decide alone"
        raise ParameterError(explain("use_cnn to be False, since this engine has no classifier", found, fix))


def measure(estimates: Estimates, imgs: np.ndarray, params: CNMFParams) -> None:
    """
    Set ``SNR_comp``, ``r_values`` and, where asked for, ``ecc``.

    Parameters
    ----------
    estimates : Estimates
        Components; changed in place.
    imgs : ndarray or memmap of shape (T, d1, d2) or (d, T)
        The movie they were found in.
    params : CNMFParams
        Frame rate and decay time are used.

    Raises
    ------
    InputError
        If there was no fit, or the movie has another size.
    """
    from cnmf_engine.cnmf.dynamics import transient_length
    from cnmf_engine.evaluation import spatial_correlation, transient_snr

    if estimates.A is None or estimates.C is None:
        fix = "call fit first, or load a fitted model"
        raise InputError(explain("components to evaluate", "estimates without A and C", fix))
    A = sparse.csc_matrix(estimates.A)
    C = np.asarray(estimates.C)
    movie = check_movie(imgs, A.shape[0], C.shape[1])
    if not len(C):
        log.info("There are no components to evaluate")
        estimates.SNR_comp, estimates.r_values, estimates.ecc = np.zeros(0), np.zeros(0), None
        return
    fr = params.data["fr"]
    estimates.SNR_comp = np.asarray(
        transient_snr(estimates.raw_traces(), fr, transient_length(params)), dtype=np.float64
    )
    Yr, ordered = matching_pixels(movie, A)
    estimates.r_values = np.asarray(spatial_correlation(Yr, ordered, C, fr), dtype=np.float64)
    estimates.ecc = None
    if params.quality["use_ecc"]:
        estimates.ecc = eccentricity(A, estimates.image_size(params))
    if checks_plausibility(params):
        measure_plausibility(estimates, imgs, params)


def checks_plausibility(params: CNMFParams) -> bool:
    """Tell whether the measures that CaImAn doesn't have are asked for."""
    return bool(params.quality.get("reject_implausible", False))


def measure_plausibility(estimates: Estimates, imgs: np.ndarray, params: CNMFParams) -> None:
    """
    Set what tells cells from fibres, torn frames, haze and movement.

    Parameters
    ----------
    estimates : Estimates
        Components with ``SNR_comp``; changed in place.
    imgs : ndarray or memmap of shape (T, d1, d2) or (d, T)
        The movie they were found in.
    params : CNMFParams
        Frame rate, decay time and cell size are used.
    """
    from cnmf_engine import plausibility

    A, C, traces = sparse.csc_matrix(estimates.A), np.asarray(estimates.C), estimates.raw_traces()
    movie = check_movie(imgs, A.shape[0], C.shape[1])
    times = {"fr": params.data["fr"], "decay_time": decay_time(params)}
    size = {"dims": estimates.image_size(params), "gSig": cell_size(params)}
    found = plausibility.shape(A, **size)._asdict()
    found["snr_rest"] = plausibility.snr_rest(traces, estimates.SNR_comp, **times)
    found |= plausibility.event_images(movie, A, C, traces, **size, **times)._asdict()
    for name, values in found.items():
        setattr(estimates, name, values)


def decay_time(params: CNMFParams) -> float:
    """Length of a transient, s: the measured one, if it was."""
    return params.temporal.get("measured_decay") or params.data["decay_time"]


def cell_size(params: CNMFParams) -> tuple[float, float]:
    """Half width of a cell along rows and columns, px."""
    rows, columns = np.broadcast_to(params.init["gSig"], 2)
    return float(rows), float(columns)


def apply_thresholds(estimates: Estimates, params: CNMFParams) -> None:
    """
    Set ``idx_components`` and ``idx_components_bad`` from what was measured.

    Parameters
    ----------
    estimates : Estimates
        Measured components; changed in place.
    params : CNMFParams
        The group 'quality' is used.
    """
    from cnmf_engine.evaluation import decide

    quality = params.quality
    names = ("min_SNR", "rval_thr", "SNR_lowest", "rval_lowest")
    decision = decide(estimates.SNR_comp, estimates.r_values, **{name: quality[name] for name in names})
    accepted = np.asarray(decision.accepted, dtype=int)
    if quality["use_ecc"]:
        if estimates.ecc is None:
            estimates.ecc = eccentricity(sparse.csc_matrix(estimates.A), estimates.image_size(params))
        accepted = accepted[estimates.ecc[accepted] < quality["max_ecc"]]
    accepted = np.sort(accepted)
    reasons = np.full(len(estimates.SNR_comp), "", dtype="U10")
    if checks_plausibility(params) and len(reasons):
        reasons, estimates.likeness = plausibility_rule(estimates, params)(accepted)
    estimates.rejected_by = reasons
    estimates.idx_components = accepted[reasons[accepted] == ""]
    estimates.idx_components_implausible = accepted[reasons[accepted] != ""]
    estimates.idx_components_bad = np.setdiff1d(np.arange(len(reasons)), estimates.idx_components)
    estimates.cnn_preds = []
    _report(reasons[accepted])


def plausibility_rule(
    estimates: Estimates, params: CNMFParams
) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """
    Prepare to say, for changing thresholds of SNR and r, which components are no cells.

    Parameters
    ----------
    estimates : Estimates
        With the measures of `measure_plausibility`.
    params : CNMFParams
        The groups 'data' and 'quality' are used.

    Returns
    -------
    callable
        Takes the components that pass; gives reasons ``(K,)`` and likeness ``(K,)``, see
        `cnmf_engine.plausibility.implausible`.
    """
    from cnmf_engine.plausibility import MEASURES, alike, implausible

    measures = {name: getattr(estimates, name) for name in MEASURES}
    pairs = alike(estimates.A, estimates.raw_traces(), params.data["fr"], decay_time(params))
    return lambda passed: implausible(measures, estimates.SNR_comp, passed, pairs, params.quality)


def _report(reasons: np.ndarray) -> None:
    """Log how many of the components that passed SNR and r were rejected, and as what."""
    from cnmf_engine.plausibility import REASONS

    counts = {reason: int((reasons == reason).sum()) for reason in REASONS}
    if sum(counts.values()):
        log.info(
            "%d of %d components that pass SNR or r rejected by other measures: %s. "
            "quality/reject_implausible = False keeps them",
            sum(counts.values()),
            len(reasons),
            ", ".join(f"{count} as {reason}" for reason, count in counts.items() if count),
        )


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
