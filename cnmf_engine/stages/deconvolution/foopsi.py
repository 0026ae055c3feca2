"""
From a noisy fluorescence trace to calcium and spikes.

The kernels are in `oasis` (order 1), `pivoting` (order 2, least spike size) and `noise_constraint`; they are
compiled with Numba and cached.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import numpy as np

from cnmf_engine.base.errors import InputError, ParameterError, explain
from cnmf_engine.stages.deconvolution.ar import estimate_ar, refine_decay
from cnmf_engine.stages.deconvolution.conic import load_cvxpy, solve_conic
from cnmf_engine.stages.deconvolution.noise_constraint import constrained
from cnmf_engine.stages.deconvolution.oasis import oasis_ar1
from cnmf_engine.stages.deconvolution.pivoting import decay_root, oasis_ar2, spikes, thin_out
from cnmf_engine.stages.deconvolution.traces import (
    checked_coefficients,
    checked_number,
    checked_trace,
    checked_traces,
)
from cnmf_engine.stages.noise import calcium_noise

__all__ = [
    "CLIPPED",
    "Deconvolution",
    "Deconvolved",
    "check_method",
    "constrained_foopsi",
    "deconvolve_traces",
    "estimate_ar",
    "oasis_ar1",
    "oasis_ar2",
]

_CONIC = ("cvxpy", "cvx")
#: Rounds of solving and refining the decay, the change that ends them, and the events used for True.
_REFINEMENTS, _SETTLED, _EVENTS = 5, 1e-3, 10


def check_method(p: int, method: str, s_min: float | None = None, optimize_g: int | bool = False) -> None:
    """
    Check what is asked of deconvolution.

    Parameters
    ----------
    p, method, s_min, optimize_g
        As in `constrained_foopsi`.

    Raises
    ------
    ParameterError
        If this module doesn't have it, or cvxpy is asked for and missing.
    """
    if p not in (0, 1, 2):
        raise ParameterError(
            explain(
                "p = 0 (no dynamics), 1 (instant rise, exponential decay) or 2 (rise and decay)",
                f"p = {p!r}",
                "use p = 1",
            )
        )
    if method not in ("oasis", *_CONIC):
        raise ParameterError(
            explain("method_deconvolution 'oasis', 'cvxpy' or 'cvx'", f"{method!r}", "use 'oasis'")
        )
    if method in _CONIC:
        load_cvxpy()
    if method != "oasis" and s_min is not None:
        raise ParameterError(
            explain(
                "s_min=None with cvxpy", f"s_min={s_min!r}", "use method_deconvolution='oasis' with s_min"
            )
        )
    if p == 2 and optimize_g:
        raise ParameterError(
            explain("optimize_g with p = 1", f"optimize_g={optimize_g!r} with p = 2", "use one of them")
        )


@dataclass(frozen=True)
class Deconvolution:
    """
    How traces are deconvolved.

    Attributes
    ----------
    p : {0, 1, 2}
        Order of the autoregressive process; 0 clips traces at 0.
    method_deconvolution, bas_nonneg, noise_range, noise_method, lags, fudge_factor, s_min, optimize_g
        As in `constrained_foopsi`.
    fr : float, optional
        Frame rate, Hz: in the last deconvolution the indicator's dynamics are measured for the whole
        recording. Without it each trace has an estimate of its own.
    """

    p: int = 1
    method_deconvolution: str = "oasis"
    bas_nonneg: bool = False
    noise_range: tuple[float, float] = (0.25, 0.5)
    noise_method: str = "mean"
    lags: int = 5
    fudge_factor: float = 0.96
    s_min: float | None = None
    optimize_g: int | bool = False
    fr: float | None = None

    def __post_init__(self) -> None:
        check_method(self.p, self.method_deconvolution, self.s_min, self.optimize_g)

    @property
    def keywords(self) -> dict:
        """Keywords of `constrained_foopsi`."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "fr"}

    def underway(self, p: int | None = None) -> Deconvolution:
        """
        Give what holds before the last deconvolution, in at most this order.

        Rise and decay come last: on the way traces change too much for two time constants. So does what is
        slow, or in units of finished traces.
        """
        order = min(self.p if p is None else p, 1)
        return replace(self, p=order, method_deconvolution="oasis", s_min=None, optimize_g=False, fr=None)


#: No deconvolution: traces are clipped at 0.
CLIPPED = Deconvolution(p=0)


class Deconvolved(NamedTuple):
    """
    Deconvolved traces of K components.

    Attributes
    ----------
    C : ndarray of shape (K, T), float32
        Denoised calcium, baseline and initial decay included.
    S : ndarray of shape (K, T), float32
        Spikes (increments of calcium), in units of `C`.
    bl, c1, sn, lam : ndarray of shape (K,), float64
        Baseline, initial calcium, noise, sparsity penalty.
    g : ndarray of shape (K, p), float64
        Autoregressive coefficients (one column of zeros for p = 0).
    """

    C: np.ndarray
    S: np.ndarray
    bl: np.ndarray
    c1: np.ndarray
    sn: np.ndarray
    g: np.ndarray
    lam: np.ndarray


def constrained_foopsi(
    fluor: np.ndarray,
    bl: float | None = None,
    c1: float | None = None,
    g: np.ndarray | float | None = None,
    sn: float | None = None,
    p: int = 1,
    method_deconvolution: str = "oasis",
    bas_nonneg: bool = False,
    noise_range: tuple[float, float] = (0.25, 0.5),
    noise_method: str = "mean",
    lags: int = 5,
    fudge_factor: float = 0.96,
    s_min: float | None = None,
    optimize_g: int | bool = False,
) -> tuple[np.ndarray, float, float, np.ndarray, float, np.ndarray, float]:
    """
    Deconvolve one trace: the sparsest spikes whose residual is as large as the noise.

    Parameters
    ----------
    fluor : ndarray of shape (T,)
        Fluorescence.
    bl : float, optional
        Baseline; estimated if None.
    c1 : float, optional
        Accepted for compatibility; calcium at the start is always estimated.
    g : float or ndarray of shape (p,), optional
        Autoregressive coefficients; estimated if None.
    sn : float, optional
        Noise; estimated from the upper half of the spectrum if None.
    p : {0, 1, 2}
        Order of the autoregressive process: 1 for instant rise and exponential decay, 2 for exponential rise
        and decay; 0 clips the trace at 0 and nothing else.
    method_deconvolution : {'oasis', 'cvxpy', 'cvx'}
        Solver. The last two are one: the same problem solved by the optional package cvxpy, far more slowly.
    bas_nonneg : bool
        Whether the baseline has to be at least 0.
    noise_range, noise_method, lags, fudge_factor
        How `sn` and `g` are estimated, see `calcium_noise` and `estimate_ar`.
    s_min : float, optional
        Smallest spike. None leaves small spikes to the sparsity penalty. With a number there is no penalty;
        spikes below it are removed and the others fitted without bias. A positive number is in units of the
        trace, a negative one stands for ``-s_min * sn * sqrt(1 - decay)``, and 0 takes the largest threshold
        whose residual is within the noise.
    optimize_g : int or bool
        Number of large events that refine the decay (p = 1); True for 10, 0 or False for none.

    Returns
    -------
    c : ndarray of shape (T,), float64
        Calcium, without baseline.
    bl, c1 : float
        Baseline and initial calcium (both 0 for p = 0; `c` holds the initial decay).
    g : ndarray of shape (p,), float64
        Coefficients used.
    sn : float
        Noise used.
    s : ndarray of shape (T,), float64
        Spikes.
    lam : float
        Sparsity penalty that meets the noise constraint; 0 with `s_min`.

    Raises
    ------
    InputError
        If `fluor` isn't one trace of finite numbers.
    ParameterError
        If `p`, the method or a combination isn't one of those above, `g` oscillates or grows, or cvxpy is
        asked for and missing.

    References
    ----------
    Friedrich, Zhou & Paninski 2017, PLoS Comput Biol 13:e1005423, 'Hard shrinkage and l1 penalty' and
    'Optimizing the baseline'.
    """
    check_method(p, method_deconvolution, s_min, optimize_g)
    y = checked_trace(fluor)
    sn, bl, s_min = (
        None if value is None else checked_number(value, name, least)
        for value, name, least in ((sn, "sn", 0.0), (bl, "bl", -np.inf), (s_min, "s_min", -np.inf))
    )
    if p == 0:
        c = np.maximum(y, 0)
        return c, 0.0, 0.0, np.zeros(1), float(sn or 0.0), c.copy(), 0.0
    if sn is None:
        sn = float(calcium_noise(y, noise_range, noise_method))
    g = estimate_ar(y, p, sn, lags, fudge_factor) if g is None else checked_coefficients(g, p)
    if y.size < 3 or not np.ptp(y) > 0:
        level = 0.0 if not y.size else float(y.mean()) if bl is None else float(bl)
        return np.zeros_like(y), level, 0.0, g, sn, np.zeros_like(y), 0.0
    options = dict(bl=bl, nonneg=bas_nonneg, method=method_deconvolution, s_min=s_min)
    c, baseline, lam = _calcium(y, g, sn, **options)
    # A flag that was read from a file may be NumPy's.
    flag = isinstance(optimize_g, (bool, np.bool_))
    n_events = _EVENTS * optimize_g if flag else int(optimize_g)
    first = _pair(g)[0]
    for _ in range(_REFINEMENTS if n_events else 0):
        g1 = _pair(g)[0]
        decay = refine_decay(y - baseline, spikes(c, g1, 0.0), g1, n_events, first)
        change, g = abs(decay - g[0]), np.array([decay])
        c, baseline, lam = _calcium(y, g, sn, **options)
        if change < _SETTLED:
            break
    return c, baseline, 0.0, g, sn, spikes(c, *_pair(g)), lam


def _pair(g: np.ndarray) -> tuple[float, float]:
    """Both coefficients, the second 0 for order 1; decays are kept off 0 and 1."""
    if len(g) == 1:
        return float(np.clip(g[0], 1e-6, 1 - 1e-6)), 0.0
    return float(g[0]), float(g[1])


def _calcium(
    y: np.ndarray,
    g: np.ndarray,
    sn: float,
    *,
    bl: float | None,
    nonneg: bool,
    method: str,
    s_min: float | None,
) -> tuple[np.ndarray, float, float]:
    """Calcium, baseline and penalty for known dynamics."""
    if method in _CONIC:
        return solve_conic(y, g, sn, nonneg, bl)
    g1, g2 = _pair(g)
    decay = decay_root(g1, g2)
    c = np.zeros_like(y)
    baseline, lam = constrained(y, g1, g2, decay, sn, np.nan if bl is None else bl, nonneg, c)
    if s_min is None:
        return c, float(baseline), float(lam)
    threshold = s_min if s_min >= 0 else -s_min * sn * np.sqrt(1 - decay)
    baseline = thin_out(y, g1, g2, decay, sn, threshold, baseline, bl is not None, nonneg, c)
    return np.maximum(c, 0), float(baseline), 0.0


def deconvolve_traces(
    traces: np.ndarray,
    deconvolution: Deconvolution = Deconvolution(),
    *,
    sn: np.ndarray | None = None,
    g: np.ndarray | None = None,
) -> Deconvolved:
    """
    Deconvolve K traces.

    Parameters
    ----------
    traces : ndarray of shape (K, T)
        Raw traces.
    deconvolution : Deconvolution
        How; its `fr` doesn't matter here.
    sn : ndarray of shape (K,), optional
        Noise of each trace; estimated if None.
    g : ndarray of shape (K, p), optional
        Autoregressive coefficients of each trace; estimated if None.

    Returns
    -------
    Deconvolved
        Traces and parameters; `C` includes the baseline.

    Raises
    ------
    InputError
        If these aren't traces of finite numbers, or `sn` or `g` are of others.
    """
    traces = checked_traces(traces)
    K, T = traces.shape
    for name, value in (("sn", sn), ("g", g)):
        if value is not None and (np.ndim(value) == 0 or len(value) != K):
            fix = f"pass one entry a trace, or leave {name} out to have it estimated"
            raise InputError(explain(f"{name} of {K} traces", f"shape {np.shape(value)}", fix))
    order, options = max(deconvolution.p, 1), deconvolution.keywords
    out = Deconvolved(
        np.empty((K, T), np.float32),
        np.empty((K, T), np.float32),
        *(np.zeros(K) for _ in range(3)),
        np.zeros((K, order)),
        np.zeros(K),
    )
    for k in range(K):
        noise = None if sn is None else float(sn[k])
        own = None if g is None else g[k]
        c, bl, c1, own, noise, s, lam = constrained_foopsi(traces[k], sn=noise, g=own, **options)
        out.C[k], out.S[k] = c + bl, s
        out.bl[k], out.c1[k], out.sn[k], out.g[k], out.lam[k] = bl, c1, noise, own, lam
    return out
