"""Seeded one-photon movies with known cells, for the tests of the CNMF-E core."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage, sparse


@dataclass(frozen=True)
class Scene:
    """Movie ``(T, d1, d2)`` = cells + background + noise, and what it was made of."""

    movie: np.ndarray
    A: np.ndarray
    C: np.ndarray
    S: np.ndarray
    background: np.ndarray
    centres: np.ndarray
    noise: float

    @property
    def dims(self) -> tuple[int, int]:
        return self.movie.shape[1:]

    @property
    def Y(self) -> np.ndarray:
        """Traces ``(d, T)``, pixels in Fortran order."""
        return flatten(self.movie)

    @property
    def flat_A(self) -> sparse.csc_matrix:
        """Footprints ``(d, K)``, pixels in Fortran order."""
        return flat_footprints(self.A)


def flatten(frames: np.ndarray) -> np.ndarray:
    """Movie ``(T, d1, d2)`` as traces ``(d, T)``, pixels in Fortran order, C-contiguous."""
    return np.ascontiguousarray(frames.reshape(len(frames), -1, order="F").T, dtype=np.float32)


def flat_footprints(images: np.ndarray) -> sparse.csc_matrix:
    """Images ``(K, d1, d2)`` as a sparse matrix ``(d, K)``, pixels in Fortran order."""
    columns = np.stack([image.ravel(order="F") for image in images], axis=1)
    return sparse.csc_matrix(columns.astype(np.float32))


def blob(dims: tuple[int, int], centre: tuple[float, float], sigma: float) -> np.ndarray:
    """Gaussian spot with peak 1, cut off at 5 % of it."""
    rows, columns = np.mgrid[: dims[0], : dims[1]]
    image = np.exp(-((rows - centre[0]) ** 2 + (columns - centre[1]) ** 2) / (2 * sigma**2))
    return np.where(image > 0.05, image, 0).astype(np.float32)


def calcium(rng: np.random.Generator, T: int, g: float = 0.92, rate: float = 0.01) -> tuple:
    """Calcium and spikes of one cell: an autoregressive process of order 1 driven by sparse events."""
    spikes = (rng.random(T) < rate) * rng.uniform(0.7, 1.5, T)
    spikes[rng.integers(5, T - 20, size=3)] += 1.2
    trace = np.zeros(T)
    for t in range(1, T):
        trace[t] = g * trace[t - 1] + spikes[t]
    return trace.astype(np.float32), spikes.astype(np.float32)


def smooth_background(
    rng: np.random.Generator, dims: tuple[int, int], T: int, sigma: float = 12
) -> np.ndarray:
    """Bright static vignette and wide blobs that glow up and down slowly, ``(T, d1, d2)``."""
    rows, columns = np.mgrid[: dims[0], : dims[1]]
    middle = (dims[0] - 1) / 2, (dims[1] - 1) / 2
    reach = max(dims)
    static = 400 * np.exp(-((rows - middle[0]) ** 2 + (columns - middle[1]) ** 2) / reach**2)
    frames = np.repeat(static[None], T, axis=0)
    for _ in range(4):
        centre = rng.uniform(0, dims[0]), rng.uniform(0, dims[1])
        wide = np.exp(-((rows - centre[0]) ** 2 + (columns - centre[1]) ** 2) / (2 * sigma**2))
        glow = ndimage.gaussian_filter1d(rng.normal(size=T), 12)
        frames += 60 * (1 + 0.4 * glow / glow.std())[:, None, None] * wide
    return frames.astype(np.float32)


def make_scene(
    dims: tuple[int, int] = (48, 56),
    T: int = 300,
    centres: np.ndarray | list | None = None,
    *,
    seed: int = 0,
    sigma: float = 2.5,
    noise: float = 4.0,
    brightness: float = 60.0,
    background: bool = True,
) -> Scene:
    """Movie of cells 2.5 px wide (standard deviation) at given places, by default on a grid."""
    rng = np.random.default_rng(seed)
    if centres is None:
        grid = [(r, c) for r in range(10, dims[0] - 7, 14) for c in range(10, dims[1] - 7, 15)]
        centres = np.array(grid) + rng.integers(-1, 2, size=(len(grid), 2))
    centres = np.asarray(centres, dtype=float).reshape(-1, 2)
    A = np.array([blob(dims, centre, sigma) for centre in centres]).reshape(-1, *dims)
    pairs = [calcium(rng, T) for _ in centres]
    C = np.array([brightness * trace for trace, _ in pairs], dtype=np.float32).reshape(-1, T)
    S = np.array([brightness * spikes for _, spikes in pairs], dtype=np.float32).reshape(-1, T)
    B = smooth_background(rng, dims, T) if background else np.zeros((T, *dims), dtype=np.float32)
    frames = np.tensordot(C.T, A, axes=1) + B + rng.normal(scale=noise, size=(T, *dims))
    return Scene(frames.astype(np.float32), A, C, S, B, centres, noise)


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    """Cosine similarity of two arrays."""
    a, b = np.ravel(a).astype(float), np.ravel(b).astype(float)
    return float(a @ b / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-12))


def explained(truth: np.ndarray, estimate: np.ndarray) -> float:
    """Share of the variance over time (last axis) of `truth` that `estimate` accounts for."""
    change = truth - truth.mean(axis=-1, keepdims=True)
    left = truth - estimate
    left = left - left.mean(axis=-1, keepdims=True)
    return 1 - float((left**2).sum() / (change**2).sum())
