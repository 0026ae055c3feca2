"""What a stage costs by the size of a recording: the models that benchmarks.scaling fits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["MEMORY_TERMS", "TIME_TERMS", "Cost", "fit_cost", "parallel_share"]

#: What processor seconds, and what megabytes of a run with a small memory limit, are made of.
TIME_TERMS = ("fixed", "frames x pixels", "frames x cells")
MEMORY_TERMS = ("fixed", "frames", "pixels", "frames x cells")


@dataclass(frozen=True)
class Cost:
    """
    A quantity that grows with the size of a recording.

    Attributes
    ----------
    terms : dict of str to float
        Factor of each term, none negative.
    misfit : float
        Root of the mean squared relative error over the runs it was fitted to: 0.1 is 10 %.
    """

    terms: dict[str, float]
    misfit: float

    def __call__(self, size: tuple[float, float, float]) -> float:
        """Evaluate it at (frames, pixels, cells)."""
        return float((_design(np.array([size], float), tuple(self.terms)) @ list(self.terms.values()))[0])


def fit_cost(sizes: np.ndarray, values: np.ndarray, names: tuple[str, ...] = TIME_TERMS) -> Cost:
    """
    Fit a sum of terms to measured values.

    Parameters
    ----------
    sizes : array of shape (n, 3)
        Frames, pixels and cells of each run.
    values : array of shape (n,)
        Processor seconds, or megabytes.
    names : tuple of str
        The terms.

    Returns
    -------
    Cost
        The factors, none negative, that make the sum of squared relative errors smallest.
    """
    from scipy.optimize import nnls

    values = np.maximum(np.asarray(values, float), 1e-3)
    relative = _design(np.asarray(sizes, float), names) / values[:, None]
    # Columns of one size, so that rounding doesn't decide which terms are left out.
    scale = np.linalg.norm(relative, axis=0)
    terms = nnls(relative / scale, np.ones(len(values)))[0] / scale
    misfit = float(np.sqrt(((relative @ terms - 1) ** 2).mean()))
    return Cost(dict(zip(names, terms.tolist())), misfit)


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


def _design(sizes: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    frames, pixels, cells = sizes.T
    columns = {
        "fixed": np.ones_like(frames),
        "frames": frames,
        "pixels": pixels,
        "frames x pixels": frames * pixels,
        "frames x cells": frames * cells,
    }
    return np.stack([columns[name] for name in names], axis=1)
