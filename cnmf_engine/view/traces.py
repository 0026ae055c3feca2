"""Raw traces of components: what was measured, with the fitted activity inside it."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

__all__ = ["has_raw", "raw_traces", "residual_traces"]


def has_raw(estimates: Any, Yr: np.ndarray | None = None) -> bool:
    """Say whether more than the denoised traces is known."""
    return Yr is not None or getattr(estimates, "YrA", None) is not None


def raw_traces(estimates: Any, members: np.ndarray, Yr: np.ndarray | None = None) -> np.ndarray:
    """
    Add the residual to the denoised traces.

    Parameters
    ----------
    estimates : Estimates
        With `C` and `YrA` (K, T); without `YrA` the residual is worked out from `Yr`, if that is given.
    members : ndarray of int, shape (n,)
        Which components.
    Yr : ndarray of shape (d, T), optional
        Movie.

    Returns
    -------
    ndarray of shape (n, T), float32
        Raw traces; the denoised ones where no residual is known.
    """
    C = np.asarray(estimates.C, dtype=np.float32)
    YrA = getattr(estimates, "YrA", None)
    if YrA is None and Yr is not None:
        YrA = residual_traces(
            Yr, estimates.A, C, getattr(estimates, "b", None), getattr(estimates, "f", None)
        )
    if YrA is None:
        return C[members]
    return C[members] + np.asarray(YrA, dtype=np.float32)[members]


def residual_traces(Yr: np.ndarray, A: Any, C: np.ndarray, b: Any = None, f: Any = None) -> np.ndarray:
    """
    Project what the model leaves of a movie on each footprint.

    Parameters
    ----------
    Yr : ndarray of shape (d, T)
        Movie, pixels in Fortran order.
    A : sparse or dense array of shape (d, K)
        Footprints.
    C : ndarray of shape (K, T)
        Denoised traces.
    b, f : arrays of shape (d, nb) and (nb, T), optional
        Background of low rank; None or of rank 0 for none.

    Returns
    -------
    ndarray of shape (K, T), float32
        In units of `C`; 0 for an empty footprint.
    """
    footprints = sp.csc_matrix(A, dtype=np.float32)
    left = np.asarray(footprints.T @ np.asarray(Yr)) - (footprints.T @ footprints) @ C
    if b is not None and f is not None and np.size(f):
        dense = b.toarray() if sp.issparse(b) else np.asarray(b)
        left = left - (footprints.T @ dense) @ np.asarray(f)
    weight = np.asarray(footprints.multiply(footprints).sum(axis=0)).ravel()
    return np.divide(left, weight[:, None], out=np.zeros_like(left), where=weight[:, None] > 0).astype(
        np.float32
    )
