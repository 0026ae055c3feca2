"""Measure components against their movie and decide which to accept."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from cnmf_engine._movie_access import check_movie, matching_pixels
from cnmf_engine.errors import InputError, ParameterError, explain

if TYPE_CHECKING:
    from cnmf_engine.estimates import Estimates
    from cnmf_engine.params import CNMFParams

__all__ = ["apply_thresholds", "check_classifier", "eccentricity", "measure"]

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
    estimates.idx_components = np.sort(accepted)
    estimates.idx_components_bad = np.setdiff1d(np.arange(len(estimates.SNR_comp)), accepted)
    estimates.cnn_preds = []


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
