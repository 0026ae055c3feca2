"""What a stage costs by the size of a recording: the model that benchmarks.scaling fits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Cost", "fit_cost", "parallel_share"]


@dataclass(frozen=True)
class Cost:
    """
    A quantity that grows with the size of a recording, as `benchmarks.scaling` says.

    Attributes
    ----------
    fixed, frame_pixel, frame_cell, pixel : float
        The terms: whatever the size; a frame and pixel; a frame and cell; a pixel.
    misfit : float
        Root of the mean squared relative error over the runs: 0.1 is 10 %.
    """

    fixed: float
    frame_pixel: float
    frame_cell: float
    pixel: float
    misfit: float

    def __call__(self, size: tuple[float, float, float]) -> float:
        """Evaluate it at (frames, pixels, cells)."""
        return float(_terms(np.array([size], float))[0] @ self.terms)

    @property
    def terms(self) -> np.ndarray:
        """The four terms in order."""
        return np.array([self.fixed, self.frame_pixel, self.frame_cell, self.pixel])


def fit_cost(sizes: np.ndarray, values: np.ndarray, per_pixel: bool = False) -> Cost:
    """
    Fit the model to measured values.

    Parameters
    ----------
    sizes : array of shape (n, 3)
        Frames, pixels and cells of each run.
    values : array of shape (n,)
        Processor seconds, or megabytes.
    per_pixel : bool
        Whether pixels alone are a term.

    Returns
    -------
    Cost
        The terms, none negative, that make the sum of squared relative errors smallest.
    """
    from scipy.optimize import nnls

    values = np.maximum(np.asarray(values, float), 1e-3)
    design = _terms(np.asarray(sizes, float))
    used = design if per_pixel else design[:, :3]
    relative = used / values[:, None]
    # Columns of one size, so that rounding doesn't decide which terms are left out.
    scale = np.linalg.norm(relative, axis=0)
    terms = np.zeros(4)
    terms[: used.shape[1]] = nnls(relative / scale, np.ones(len(values)))[0] / scale
    misfit = design @ terms / values - 1
    return Cost(*terms.tolist(), misfit=float(np.sqrt((misfit**2).mean())))


def parallel_share(one: float, many: float, workers: int) -> float:
    """
    Estimate the share of a stage that runs in parallel, after Amdahl (1967).

    Parameters
    ----------
    one, many : float
        Seconds with one core and with `workers` of them.
    workers : int
        How many.

    Returns
    -------
    float
        Between 0 and 1.
    """
    if workers < 2 or one <= 0:
        return 0.0
    return float(np.clip((1 - many / one) / (1 - 1 / workers), 0, 1))


def _terms(sizes: np.ndarray) -> np.ndarray:
    frames, pixels, cells = sizes.T
    return np.stack([np.ones_like(frames), frames * pixels, frames * cells, pixels], axis=1)
