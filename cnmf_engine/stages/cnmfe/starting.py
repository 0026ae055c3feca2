"""Where a fit starts if somebody knows the cells already: their footprints, or their centres."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from cnmf_engine.base.errors import InputError, explain
from cnmf_engine.movies.geometry import Box, flat_index

__all__ = ["Start", "checked_footprints", "given_first", "log_silent_seeds"]

log = logging.getLogger("caiman")

#: A footprint with less than this part of its weight in a patch is the neighbour's business.
_MIN_INSIDE = 0.1
#: Footprints less alike than this aren't of the same cell.
_MIN_COSINE = 0.3


@dataclass(frozen=True)
class Start:
    """
    What is known of the cells before the fit.

    Attributes
    ----------
    dims : tuple of int
        Rows and columns of the field of view.
    footprints : csc_matrix of shape (d, K), float32, or None
        Footprints.
    seeds : ndarray of shape (n, 2), int, or None
        Rows and columns of the centres.
    """

    dims: tuple[int, int]
    footprints: sparse.csc_matrix | None = None
    seeds: np.ndarray | None = None

    @classmethod
    def checked(cls, dims: tuple[int, int], Ain: Any, seed_method: str | np.ndarray) -> Start:
        """
        Check what was given against the field of view.

        Parameters
        ----------
        dims : tuple of int
            Rows and columns.
        Ain : array or sparse matrix of shape (d, K), or None
            Footprints.
        seed_method : str or ndarray of shape (n, 2)
            The parameter of this name.

        Returns
        -------
        Start
            Both None if the fit has to find the cells itself.

        Raises
        ------
        InputError
            If footprints or seeds don't lie in the field of view, or both are given.
        """
        seeds = None if isinstance(seed_method, str) else np.asarray(seed_method, dtype=int).reshape(-1, 2)
        if Ain is None and seeds is None:
            return cls(dims)
        if Ain is not None and seeds is not None:
            fix = "leave out Ain, or set seed_method to 'auto'"
            raise InputError(explain("footprints (Ain) or seeds (seed_method)", "both", fix))
        if seeds is None:
            return cls(dims, footprints=checked_footprints(Ain, dims))
        outside = ((seeds < 0) | (seeds >= dims)).any(axis=1)
        if outside.any():
            first = tuple(seeds[outside][0].tolist())
            found = f"{int(outside.sum())} outside, the first at (row, column) = {first}"
            fix = "give (row, column), not (x, y), in pixels of the movie that is fitted"
            raise InputError(explain(f"seeds inside {dims[0]} x {dims[1]} pixels", found, fix))
        return cls(dims, seeds=seeds)

    @property
    def known(self) -> bool:
        """Whether anything was given."""
        return self.footprints is not None or self.seeds is not None

    def inside(self, box: Box) -> dict[str, Any]:
        """
        Cut what is known down to a box.

        Parameters
        ----------
        box : Box
            Part of the field of view.

        Returns
        -------
        dict
            Keywords of `initialize`: ``footprints`` of shape (d_box, K'), or ``seeds`` in pixels of the box;
            empty if nothing is known.
        """
        if self.footprints is not None:
            part = self.footprints.tocsr()[flat_index(box, self.dims)].tocsc()
            whole = _weight(self.footprints)
            return {"footprints": part[:, np.flatnonzero(_weight(part) > _MIN_INSIDE * whole)]}
        if self.seeds is not None:
            row, column = self.seeds.T
            here = (row >= box.r0) & (row < box.r1) & (column >= box.c0) & (column < box.c1)
            return {"seeds": self.seeds[here] - (box.r0, box.c0)}
        return {}


def _weight(A: sparse.csc_matrix) -> np.ndarray:
    """Sum of each footprint."""
    return np.asarray(A.sum(axis=0)).ravel()


def checked_footprints(Ain: Any, dims: tuple[int, int]) -> sparse.csc_matrix:
    """
    Bring footprints into one form.

    Parameters
    ----------
    Ain : array or sparse matrix of shape (d, K), or array of shape (K, d1, d2)
        Numbers or masks, pixels of a matrix in Fortran order.
    dims : tuple of int
        Rows and columns.

    Returns
    -------
    csc_matrix of shape (d, K), float32
        Footprints.

    Raises
    ------
    InputError
        If they have another size, hold negative values or NaN, or one is empty.
    """
    d = dims[0] * dims[1]
    if not sparse.issparse(Ain):
        Ain = np.asarray(Ain)
        if Ain.ndim == 3 and Ain.shape[1:] == tuple(dims):
            Ain = Ain.reshape(len(Ain), d, order="F").T
    if Ain.ndim != 2 or Ain.shape[0] != d or np.dtype(Ain.dtype).kind not in "biuf":
        found = f"{type(Ain).__name__} of shape {Ain.shape}, {Ain.dtype}"
        fix = "flatten each footprint with image.ravel(order='F') and stack them as columns"
        raise InputError(
            explain(f"footprints Ain of shape ({d}, K) for {dims[0]} x {dims[1]} pixels", found, fix)
        )
    A = sparse.csc_matrix(Ain, dtype=np.float32)
    A.sum_duplicates()
    A.eliminate_zeros()
    if not np.isfinite(A.data).all() or (A.data < 0).any():
        fix = "set them to 0, for example np.maximum(np.nan_to_num(Ain), 0)"
        raise InputError(explain("footprints Ain without negative values or NaN", "some of them", fix))
    empty = np.flatnonzero(np.diff(A.indptr) == 0)
    if len(empty):
        raise InputError(
            explain("footprints Ain with some pixels each", f"nothing in column {empty[0]}", "leave it out")
        )
    return A


def given_first(A: sparse.csc_matrix, given: sparse.csc_matrix) -> np.ndarray:
    """
    Order components as the footprints that they started from.

    Parameters
    ----------
    A : csc_matrix of shape (d, K)
        Components of the fit.
    given : csc_matrix of shape (d, K')
        The footprints that the fit started from.

    Returns
    -------
    ndarray of shape (K,), int
        Indices into the components: those that continue a given footprint in its order, then new ones.
    """
    from scipy.optimize import linear_sum_assignment

    norms = [np.sqrt(np.asarray(M.multiply(M).sum(axis=0))).ravel() for M in (A, given)]
    cosine = (A.T @ given).toarray() / np.maximum(np.outer(*norms), 1e-12)
    mine, theirs = linear_sum_assignment(cosine, maximize=True)
    alike = cosine[mine, theirs] >= _MIN_COSINE
    mine, theirs = mine[alike], theirs[alike]
    lost = sorted(set(range(given.shape[1])) - set(theirs.tolist()))
    if lost:
        log.warning("No component is left of the given footprints %s: merged, or silent in this movie", lost)
    return np.concatenate([mine[np.argsort(theirs)], np.setdiff1d(np.arange(A.shape[1]), mine)]).astype(int)


def log_silent_seeds(seeds: np.ndarray, A: sparse.csc_matrix, dims: tuple[int, int]) -> None:
    """
    Say which seeds have no component.

    Parameters
    ----------
    seeds : ndarray of shape (n, 2)
        Rows and columns.
    A : csc_matrix of shape (d, K)
        Components.
    dims : tuple of int
        Rows and columns of the field of view.
    """
    covered = np.asarray(A.sum(axis=1)).ravel() > 0
    silent = [tuple(seed) for seed in seeds.tolist() if not covered[seed[0] + dims[0] * seed[1]]]
    if silent:
        log.warning("No component at the seeds (row, column) %s: they are silent in this movie", silent)
