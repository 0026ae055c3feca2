"""
Refining footprints over the whole field of view, with the ring background kept throughout.

The field is cut into tiles. A tile updates the components whose centre it holds, from the movie around it
less the background and with all other components that reach it; so every footprint is seen whole, every
component is updated once, and only the movie of a tile is in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from scipy import sparse

from cnmf_engine.base.memory import frame_blocks
from cnmf_engine.base.parallel import RUN, Run
from cnmf_engine.movies.boxes import BoxOfMovie, movie_file
from cnmf_engine.movies.geometry import Box, coarse_dims, decimate, flat_index, read_decimated
from cnmf_engine.stages.cnmfe.background import RingModel, fit_ring_movie, reconstruct_background
from cnmf_engine.stages.cnmfe.options import Ring, Search
from cnmf_engine.stages.cnmfe.patches import centres_of_mass
from cnmf_engine.stages.cnmfe.spatial import update_spatial
from cnmf_engine.stages.cnmfe.temporal import CORE, unshrunk, update_temporal
from cnmf_engine.stages.deconvolution.foopsi import Deconvolution

__all__ = ["PART", "Updated", "update_all"]

#: How far a footprint may grow in an update, px.
_GROWTH = 2
#: Sides of the tiles that are tried, px: the largest that memory allows.
_SIDES = (128, 96, 64, 48, 32, 16)
#: Part of the free memory for tasks that run side by side, unless the user said how much.
PART = 0.5
#: Bytes of one block of the background, whose pieces should stay in the processor's cache.
_BLOCK = 2**23


class Updated(NamedTuple):
    """
    Components after an update.

    Attributes
    ----------
    A : csc_matrix of shape (d, K'), float32
        Footprints.
    C : ndarray of shape (K', ceil(T/tsub)), float32
        Their traces, ``tsub`` frames a sample.
    kept : ndarray of shape (K',), int
        Which of the components that were given these are.
    """

    A: sparse.csc_matrix
    C: np.ndarray
    kept: np.ndarray


@dataclass(frozen=True)
class _How:
    """What all tiles have in common."""

    dims: tuple[int, int]
    tsub: int
    ssub: int
    side: int
    margin: int
    halo: int
    nrgthr: float
    max_radius: float
    deconvolution: Deconvolution

    def cost(self, T: int) -> int:
        """Bytes that a tile takes: its movie with the ring around it, and the part without background."""
        seen = self.side + 2 * self.margin
        return 4 * -(-T // self.tsub) * ((seen + 2 * self.halo) ** 2 + 2 * seen**2) + 3 * _BLOCK


class _Tile(NamedTuple):
    """One tile's work: where it lies and what is in it; `rows` are its rows of C."""

    how: _How
    movie: BoxOfMovie
    outer: Box
    far: Box
    mine: np.ndarray
    number: np.ndarray
    A: sparse.csc_matrix
    C: np.ndarray
    rows: np.ndarray
    model: RingModel
    sn: np.ndarray


def update_all(
    images: np.ndarray,
    A: sparse.csc_matrix,
    C: np.ndarray,
    *,
    sn: np.ndarray,
    search: Search,
    ring: Ring,
    deconvolution: Deconvolution,
    run: Run = RUN,
) -> Updated:
    """
    Fit the ring background to what components leave, and update them all once.

    Parameters
    ----------
    images : ndarray or memmap of shape (T, d1, d2)
        Movie.
    A : csc_matrix of shape (d, K)
        Footprints.
    C : ndarray of shape (K, T)
        Traces.
    sn : ndarray of shape (d,)
        Noise of each pixel.
    search, ring
        Averaging, size of footprints, and the background; see `cnmf_engine.stages.cnmfe.options`.
    deconvolution : Deconvolution
        Of order 1 at most.
    run : Run
        Workers that take the tiles, and the memory that these may take together.

    Returns
    -------
    Updated
        Components in their old order; those that vanished are left out. The same for any number of workers.

    References
    ----------
    Zhou et al. 2018, eLife 7:e28728, Methods, 'Estimating A', 'Estimating C'; Pnevmatikakis et al. 2016,
    Neuron 89:285, Methods.
    """
    T, *dims = images.shape
    A = sparse.csc_matrix(A, dtype=np.float32)
    C = decimate(np.asarray(C, dtype=np.float32), (1, len(C)), 1, search.tsub)
    model = fit_ring_movie(images, A, C, ring=ring, tsub=search.tsub, run=run)
    halo = (round(ring.radius / ring.ssub) + 1) * ring.ssub
    margin, shape = _reach(A, dims) + _GROWTH, (search.nrgthr, search.reach)
    how = _How(tuple(dims), search.tsub, ring.ssub, 0, margin, halo, *shape, deconvolution)
    sizes, room = [replace(how, side=side) for side in _SIDES], run.room(PART)
    how = next((size for size in sizes if run.workers * size.cost(T) <= room), sizes[-1])
    tiles = list(_tiles(images, A, C, model, sn, how, run))
    if not run.shared:
        # What travels is cut to what the tile needs.
        tiles = [tile._replace(C=C[tile.rows], rows=np.arange(len(tile.rows))) for tile in tiles]
    limit = run.side_by_side(how.cost(T), PART, "raise memory_limit, or fit fewer frames")
    done = run.map(_update_tile, tiles, "Refit", limit)
    return _in_order([part for part in done if len(part.kept)], A.shape[0], C.shape[1])


def _reach(A: sparse.csc_matrix, dims: tuple[int, int]) -> int:
    """Largest distance of a footprint's pixel from the footprint's centre, along rows or columns."""
    if not A.nnz:
        return 0
    place = np.stack([A.indices % dims[0], A.indices // dims[0]], axis=1)
    centre = np.repeat(centres_of_mass(A, dims), np.diff(A.indptr), axis=0)
    return int(np.ceil(np.abs(place - centre).max()))


def _aligned(box: Box, ssub: int, dims: tuple[int, int]) -> Box:
    """Box whose edges lie on the coarse grid, or on the border of the image."""
    r0, c0 = box.r0 // ssub * ssub, box.c0 // ssub * ssub
    r1, c1 = -(-box.r1 // ssub) * ssub, -(-box.c1 // ssub) * ssub
    return Box(r0, min(r1, dims[0]), c0, min(c1, dims[1]))


def _tiles(
    images: np.ndarray,
    A: sparse.csc_matrix,
    C: np.ndarray,
    model: RingModel,
    sn: np.ndarray,
    how: _How,
    run: Run,
) -> Iterator[_Tile]:
    """Cut the field into tiles that hold a component's centre."""
    file = None if run.shared else movie_file(images)
    dims, side, ssub = how.dims, how.side, how.ssub
    coarse = coarse_dims(dims, ssub)
    home = np.floor(centres_of_mass(A, dims) + 0.5).astype(int) // side
    rows, W, mean = A.tocsr(), sparse.csr_matrix(model.W), C.mean(axis=1)
    for r, c in np.unique(home, axis=0).tolist():
        core = Box(r * side, min((r + 1) * side, dims[0]), c * side, min((c + 1) * side, dims[1]))
        outer = _aligned(core.around(how.margin, dims), ssub, dims)
        far = _aligned(outer.around(how.halo, dims), ssub, dims)
        pixels = flat_index(far, dims)
        grid = flat_index(Box(far.r0 // ssub, -(-far.r1 // ssub), far.c0 // ssub, -(-far.c1 // ssub)), coarse)
        local = rows[pixels].tocsc()
        number = np.flatnonzero(np.diff(local.indptr))
        yield _Tile(
            how=how,
            movie=BoxOfMovie(images, far, file),
            outer=outer,
            far=far,
            mine=np.flatnonzero((home == (r, c)).all(axis=1)),
            number=number,
            A=local[:, number],
            C=C,
            rows=number,
            # The movie is read without its pixels' means, of which this is what the cells leave.
            model=RingModel(W[grid][:, grid], -(local @ mean)),
            sn=sn[flat_index(outer, dims)],
        )


def _without_background(tile: _Tile, C: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """Movie of the inner pixels of a tile, less the background that the ring around it predicts."""
    Y = read_decimated(tile.movie.images, tile.movie.box, 1, tile.how.tsub)
    R = np.empty((len(inner), Y.shape[1]), dtype=np.float32)
    for frames in frame_blocks(Y.shape[1], 5 * 4 * len(Y), _BLOCK):
        B = reconstruct_background(Y[:, frames], tile.A, C[:, frames], *tile.model, tile.far.dims)
        np.subtract(Y[inner, frames], B[inner], out=R[:, frames])
    return R


def _update_tile(tile: _Tile) -> Updated:
    """Update the components of one tile; footprints come back in pixels of the whole field."""
    inner = flat_index(tile.outer.within(tile.far), tile.far.dims)
    C = tile.C[tile.rows]
    R = _without_background(tile, C, inner)
    A = tile.A.tocsr()[inner].tocsc()
    near = np.flatnonzero(np.diff(A.indptr))
    options = dict(sn=tile.sn, nrgthr=tile.how.nrgthr, max_radius=tile.how.max_radius, closing=False)
    update = update_spatial(R, A[:, near], C[near], tile.outer.dims, **options)
    A, traces, alive = update_temporal(R, update.A, update.C, tile.how.deconvolution, core=CORE)
    number = tile.number[near][update.kept][alive]
    own = np.flatnonzero(np.isin(number, tile.mine))
    local = sparse.csc_matrix(A[:, own]).tocoo()
    pixels = flat_index(tile.outer, tile.how.dims)
    shape = tile.how.dims[0] * tile.how.dims[1], len(own)
    A = sparse.csc_matrix((local.data, (pixels[local.row], local.col)), shape, dtype=np.float32)
    return Updated(A, unshrunk(traces.C, traces.YrA)[own], number[own])


def _in_order(parts: list[Updated], d: int, T: int) -> Updated:
    """Put the components of all tiles together, in their old order."""
    if not parts:
        none = np.empty((0, T), dtype=np.float32)
        return Updated(sparse.csc_matrix((d, 0), dtype=np.float32), none, np.empty(0, dtype=int))
    kept = np.concatenate([part.kept for part in parts])
    order = np.argsort(kept)
    A = sparse.csc_matrix(sparse.hstack([part.A for part in parts], format="csc"), dtype=np.float32)
    return Updated(A[:, order], np.concatenate([part.C for part in parts])[order], kept[order])
