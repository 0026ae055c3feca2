"""Noise-constrained deconvolution as a second-order cone programme, solved by the optional package cvxpy."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from cnmf_engine.base.errors import ParameterError, explain
from cnmf_engine.stages.deconvolution.pivoting import decay_root

__all__ = ["load_cvxpy", "solve_conic"]


def load_cvxpy():
    """
    Import cvxpy when it's needed.

    Returns
    -------
    module
        Package cvxpy.

    Raises
    ------
    ParameterError
        If it isn't installed.
    """
    try:
        import cvxpy
    except ImportError as error:
        raise ParameterError(
            explain(
                "the package cvxpy for method_deconvolution='cvxpy'",
                "it isn't installed",
                "install it with: pip install cvxpy, or use method_deconvolution='oasis' (the same problem)",
            )
        ) from error
    return cvxpy


def _increments(T: int, g1: float, g2: float) -> sparse.csr_matrix:
    """Matrix that turns calcium into spikes; the first row keeps calcium, the second has the decay alone."""
    matrix = sparse.diags([1.0, -g1, -g2], [0, -1, -2], shape=(T, T), format="lil")
    matrix[1, 0] = -decay_root(g1, g2)
    return matrix.tocsr()


def solve_conic(
    y: np.ndarray, g: np.ndarray, sn: float, nonneg: bool = False, bl: float | None = None
) -> tuple[np.ndarray, float, float]:
    """
    Sparsest spikes whose calcium is within the noise of a trace.

    Minimises the sum of spikes subject to ``|y - c - b| <= sn * sqrt(T)`` and spikes >= 0. Calcium that was
    there at the start decays, and counts as a spike of the same sum of calcium.

    Parameters
    ----------
    y : ndarray of shape (T,)
        Trace.
    g : ndarray of shape (1,) or (2,)
        Autoregressive coefficients.
    sn : float
        Noise.
    nonneg : bool
        Whether the baseline has to be at least 0.
    bl : float, optional
        Baseline; estimated if None.

    Returns
    -------
    c : ndarray of shape (T,), float64
        Calcium.
    bl : float
        Baseline.
    lam : float
        Sparsity penalty that belongs to the noise constraint.

    Raises
    ------
    ParameterError
        If cvxpy isn't installed.

    References
    ----------
    Pnevmatikakis et al. 2016, Neuron 89:285, Supplement, 'Constrained deconvolution'.
    """
    cvxpy = load_cvxpy()
    T = y.size
    g1, g2 = float(g[0]), float(g[1]) if len(g) > 1 else 0.0
    # Solvers stop at absolute accuracies: the trace is brought to a height of one.
    level, scale = float(np.median(y)), float(np.ptp(y))
    c = cvxpy.Variable(T)
    b = cvxpy.Variable() if bl is None else cvxpy.Constant((bl - level) / scale)
    increments = _increments(T, g1, g2) @ c
    weight = np.ones(T)
    decay = decay_root(g1, g2)
    weight[0] = 1 - (g1 - decay)
    misfit = cvxpy.norm((y - level) / scale - c - b)
    within = misfit <= sn / scale * np.sqrt(T)
    bounds = [increments >= 0] + ([b >= -level / scale] if nonneg and bl is None else [])
    problem = cvxpy.Problem(cvxpy.Minimize(weight @ increments), [within, *bounds])
    problem.solve(solver=cvxpy.CLARABEL)
    price = within.dual_value
    if c.value is None:
        # The noise is smaller than any fit can be: the best fit it is.
        problem = cvxpy.Problem(cvxpy.Minimize(misfit), bounds)
        problem.solve(solver=cvxpy.CLARABEL)
        price = None
    # At the optimum the constraint's price relates the sum of spikes to the residual's norm.
    lam = sn * np.sqrt(T) / float(price) if price is not None and float(price) > 1e-12 else 0.0
    return np.maximum(c.value, 0) * scale, float(b.value) * scale + level, lam
