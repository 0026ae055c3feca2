"""
Traces at the full frame rate, read from the movie on disk.

Background and cells are linear in the movie, so a trace is a weighted sum of pixels: those of the
footprint or of its core, less what the ring predicts for them from the pixels around. One pass over the file
reads all traces; what they share is sorted out afterwards, among traces alone.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import sparse

from cnmf_engine.base.parallel import RUN, Run
from cnmf_engine.movies.boxes import BoxOfMovie, boxes_of
from cnmf_engine.movies.geometry import Box, centre, flat_index
from cnmf_engine.stages.cnmfe.background import RingModel, block_average, fit_ring_movie
from cnmf_engine.stages.cnmfe.options import Ring
from cnmf_engine.stages.cnmfe.temporal import CORE, Traces, core_weights, unmix
from cnmf_engine.stages.deconvolution.foopsi import CLIPPED
from cnmf_engine.stages.noise import spread_below_baseline

__all__ = ["Readout", "read_out", "reading_weights"]

#: Values of the movie that are read at a time, and the fewest pixels a side of such a tile.
_READ_VALUES, _SMALLEST_TILE = 2**23, 16
#: Tiles whose parts of the traces are held at a time.
_TILES_AT_ONCE = 16
#: Parts of footprints that traces are read from: all, and what is above this part of the maximum.
_CORES = (0.0, CORE)


class Readout(NamedTuple):
    """
    Components read from the whole movie.

    Attributes
    ----------
    A : csc_matrix of shape (d, K), float32
        Footprints of the components whose trace isn't empty.
    traces : Traces
        Their traces at the full frame rate.
    background : RingModel
        The ring background that these components leave.
    kept : ndarray of shape (K',), int
        Which of the components that were given these are.
    """

    A: sparse.csc_matrix
    traces: Traces
    background: RingModel
    kept: np.ndarray


def reading_weights(
    A: sparse.csc_matrix, W: sparse.csr_matrix, dims: tuple[int, int], ssub: int, core: float = 0.0
) -> sparse.csc_matrix:
    """
    Weights that read traces from a movie with background.

    Parameters
    ----------
    A : csc_matrix of shape (d, K)
        Footprints.
    W : csr_matrix of shape (d', d')
        Ring weights.
    dims : tuple of int
        Rows and columns.
    ssub : int
        Block size of the ring's grid, px.
    core : float
        Part of the footprint that is read, as in `core_weights`.

    Returns
    -------
    csc_matrix of shape (d, K), float32
        Column k, times the movie less each pixel's mean, gives what component k sees beyond the background.
    """
    weights = core_weights(A, core)
    average = block_average(dims, ssub)
    repeat = average.astype(bool).astype(np.float32)
    predicted = average.T @ (W.T @ (repeat @ weights))
    return sparse.csc_matrix(weights - predicted, dtype=np.float32)


def _tiles(dims: tuple[int, int], T: int) -> list[Box]:
    """Cut the field of view into tiles whose movies can be read at once."""
    side = max(int((_READ_VALUES / T) ** 0.5), _SMALLEST_TILE)
    return [
        Box(r, min(r + side, dims[0]), c, min(c + side, dims[1]))
        for c in range(0, dims[1], side)
        for r in range(0, dims[0], side)
    ]


def _weighted_sums(images: np.ndarray, weights: sparse.csc_matrix, run: Run) -> np.ndarray:
    """Products of weights with a movie less each pixel's mean, shape (K, T)."""
    T, *dims = images.shape
    rows = sparse.csr_matrix(weights)
    out = np.zeros((weights.shape[1], T), dtype=np.float32)
    tiles, near = [], []
    for movie, box in zip(boxes_of(images, boxes := _tiles(dims, T), run), boxes):
        part = rows[flat_index(box, dims)]
        used = np.unique(part.indices)
        if used.size:
            near.append(used)
            tiles.append((movie, sparse.csr_matrix(part[:, used].T)))
    for first in range(0, len(tiles), _TILES_AT_ONCE):
        some = slice(first, first + _TILES_AT_ONCE)
        for index, part in zip(near[some], run.map(_read_tile, tiles[some])):
            out[index] += part
    return out


def _read_tile(tile: tuple[BoxOfMovie, sparse.csr_matrix]) -> np.ndarray:
    """Weighted sums over a tile, (K', T); a task for a worker."""
    movie, weights = tile
    Y = movie.read()
    centre(Y)
    return weights @ Y


def _quietest(
    images: np.ndarray,
    A: sparse.csc_matrix,
    C: np.ndarray,
    W: sparse.csr_matrix,
    ssub: int,
    run: Run,
) -> tuple[np.ndarray, sparse.csc_matrix]:
    """
    Read each trace from the whole footprint and from its core, and keep the quieter: what is left and shared.

    A whole footprint averages the noise of more pixels, its dim rim also collects background that the ring
    missed. Which of the two counts differs from recording to recording, and from cell to cell.
    """
    K, dims = A.shape[1], images.shape[1:]
    weights = sparse.hstack([reading_weights(A, W, dims, ssub, core) for core in _CORES], format="csc")
    seen = sparse.csr_matrix(weights.T @ A)
    own = np.concatenate([part.diagonal() for part in (seen[:K], seen[K:])])
    # A footprint that the ring explains away is read as it is seen, not blown up.
    scale = np.divide(1, own, out=np.zeros(len(own), dtype=np.float32), where=own > 0).astype(np.float32)
    sums = _weighted_sums(images, weights, run)
    YrA = (sums - seen @ (C - C.mean(axis=1, keepdims=True))) * scale[:, None]
    noise = [
        [spread_below_baseline(np.sort(c + left)) for c, left in zip(C, part)] for part in (YrA[:K], YrA[K:])
    ]
    chosen = np.arange(K) + K * np.argmin(np.reshape(noise, (2, K)), axis=0)
    return YrA[chosen], sparse.csc_matrix(sparse.diags(scale[chosen]) @ seen[chosen])


def read_out(
    images: np.ndarray,
    A: sparse.csc_matrix,
    C: np.ndarray,
    *,
    ring: Ring,
    tsub: int = 1,
    ITER: int = 2,
    run: Run = RUN,
) -> Readout:
    """
    Fit the ring background of the whole movie and read all traces from it.

    Parameters
    ----------
    images : ndarray or memmap of shape (T, d1, d2)
        Movie.
    A : csc_matrix of shape (d, K)
        Footprints.
    C : ndarray of shape (K, ceil(T/tsub))
        Traces, `tsub` frames a sample.
    ring : Ring
        As in `fit_ring`.
    tsub : int
        Frames averaged in `C`; the ring is fitted to the movie averaged alike.
    ITER : int
        Sweeps over all traces.
    run : Run
        Workers that read tiles.

    Returns
    -------
    Readout
        Traces that are not negative (p = 0), and the background consistent with them.

    References
    ----------
    Zhou et al. 2018, eLife 7:e28728, Methods, 'Estimating background' and 'Estimating C'.
    """
    T, *dims = images.shape
    model = fit_ring_movie(images, A, C, ring=ring, tsub=tsub, run=run)
    C = np.repeat(C, tsub, axis=1)[:, :T]
    average = C.mean(axis=1, dtype=np.float64)
    mean = model.b0 + A @ average
    readings = _quietest(images, A, C, model.W, ring.ssub, run)
    traces = unmix(C, *readings, CLIPPED, ITER=ITER)
    kept = np.flatnonzero(np.ptp(traces.C, axis=1) > 0) if len(C) else np.empty(0, dtype=int)
    A, traces = sparse.csc_matrix(A[:, kept]), traces.take(kept)
    b0 = (mean - A @ traces.C.mean(axis=1, dtype=np.float64)).astype(np.float32)
    return Readout(A, traces, RingModel(model.W, b0), kept)
