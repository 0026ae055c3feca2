"""What every viewer needs: whose components it shows, on which image."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from cnmf_engine.base.errors import InputError, ParameterError, explain
from cnmf_engine.view.showing import show_or_return

__all__ = ["as_dense_image", "background_image", "checked_indices", "image_of", "panels_of", "show_or_return"]


def as_dense_image(image: Any, dims: tuple[int, int] | None = None) -> np.ndarray:
    """Bring an image to float32 (d1, d2) with 0 for what isn't finite."""
    dense = np.nan_to_num(np.asarray(image, dtype=np.float32), posinf=0.0, neginf=0.0)
    if dense.ndim == 1 and dims is not None:
        dense = dense.reshape(dims, order="F")
    if dense.ndim != 2 or (dims is not None and dense.shape != tuple(dims)):
        raise InputError(
            explain(
                "an image (rows, columns)" + (f" of {dims[0]} x {dims[1]} pixels" if dims else ""),
                f"an array of shape {np.shape(image)}",
                "pass an image of the movie's size, such as the correlation image",
            )
        )
    return dense


def image_of(estimates: Any) -> tuple[int, int]:
    """Rows and columns of the image that the components of a fit belong to."""
    dims = getattr(estimates, "dims", None)
    if dims is None or len(dims) != 2:
        raise ParameterError(
            explain(
                "estimates.dims with the rows and columns of the image",
                f"estimates.dims = {dims}",
                "set estimates.dims to the dims that cm.load_memmap returned",
            )
        )
    return int(dims[0]), int(dims[1])


def background_image(img: Any, A: Any, dims: tuple[int, int]) -> np.ndarray:
    """Take the image that was given, else the mean footprint."""
    if img is not None:
        return as_dense_image(img, dims)
    if A is None or A.shape[1] == 0:
        return np.zeros(dims, np.float32)
    mean = np.asarray(A.mean(axis=1)).ravel() if sp.issparse(A) else np.asarray(A).mean(axis=1)
    return as_dense_image(mean, dims)


def panels_of(estimates: Any, idx: Any) -> list[tuple[str, np.ndarray]]:
    """
    Divide components into the panels of a contour plot.

    Parameters
    ----------
    estimates : Estimates
        Fitted components.
    idx : array of int, bool mask or None
        The accepted ones; None for a single panel of all.

    Returns
    -------
    list of (str, ndarray)
        Title and component numbers of each panel.
    """
    n_components = estimates.A.shape[1]
    if idx is None:
        return [("Components", np.arange(n_components))]
    accepted = checked_indices(idx, n_components)
    rejected = np.setdiff1d(np.arange(n_components), accepted)
    return [("Accepted Components", accepted), ("Rejected Components", rejected)]


def checked_indices(idx: Any, n_components: int) -> np.ndarray:
    """Bring component numbers, a mask or None (all of them) to an integer array."""
    if idx is None:
        return np.arange(n_components)
    indices = np.atleast_1d(np.asarray(idx))
    if indices.dtype == bool:
        indices = np.flatnonzero(indices)
    indices = indices.astype(int).ravel()
    wrong = indices[(indices < 0) | (indices >= n_components)]
    if wrong.size:
        raise ParameterError(
            explain(
                f"component numbers from 0 to {n_components - 1}",
                f"idx with {wrong[:5].tolist()}",
                "evaluate the components again after selecting or merging them",
            )
        )
    return indices
