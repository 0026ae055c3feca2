"""What compiled deconvolution may be given: it follows a trace to its end without looking."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnmf_engine.base.errors import InputError, ParameterError, explain

__all__ = ["checked_coefficients", "checked_number", "checked_trace", "checked_traces"]


def checked_trace(y: Any) -> np.ndarray:
    """
    Bring a trace into the form that kernels take.

    Parameters
    ----------
    y : array_like of shape (T,)
        Numbers of any real type.

    Returns
    -------
    ndarray of shape (T,), float64
        The same in one piece; a copy where it wasn't.

    Raises
    ------
    InputError
        If it isn't one row of real, finite numbers, at least one.
    """
    trace = _real(y, "a trace")
    if trace.ndim != 1:
        fix = "pass one trace, such as C[0]; deconvolve_traces takes several, of shape (K, T)"
        raise InputError(explain("a trace of shape (T,)", f"shape {trace.shape}", fix))
    _check_samples(trace, trace.size, "a trace")
    return np.ascontiguousarray(trace, dtype=np.float64)


def checked_traces(traces: Any) -> np.ndarray:
    """
    Check several traces as `checked_trace` does one; none at all are several too.

    Parameters
    ----------
    traces : array_like of shape (K, T)
        Numbers of any real type.

    Returns
    -------
    ndarray of shape (K, T)
        The traces, of their own type.

    Raises
    ------
    InputError
        If they aren't rows of real, finite numbers.
    """
    rows = _real(traces, "traces")
    if rows.ndim != 2:
        fix = "pass one trace as trace[None], images as Yr of cm.load_memmap"
        raise InputError(explain("traces of shape (K, T)", f"shape {rows.shape}", fix))
    if len(rows):
        _check_samples(rows, rows.shape[1], "traces")
    return rows


def _real(values: Any, name: str) -> np.ndarray:
    try:
        array = np.asarray(values)
    except ValueError:
        array = np.array(None)
    if array.dtype.kind not in "biuf":
        fix = "pass an array of numbers, for example np.asarray(trace, dtype=float)"
        raise InputError(explain(f"{name} of real numbers", f"{type(values).__name__} of {array.dtype}", fix))
    return array


def _check_samples(values: np.ndarray, n_frames: int, name: str) -> None:
    if not n_frames:
        fix = "see why there are no frames: a slice or a mask may have left none"
        raise InputError(explain(f"{name} of at least one frame", f"shape {values.shape}", fix))
    finite = np.isfinite(values)
    if not finite.all():
        missing = values.size - np.count_nonzero(finite)
        fix = "leave these frames out, or fill them first, for example with np.nan_to_num(trace)"
        raise InputError(explain(f"{name} without gaps", f"{missing} values that are NaN or infinite", fix))


def checked_number(value: Any, name: str, least: float = -np.inf) -> float:
    """
    Check that an option is a finite number.

    Parameters
    ----------
    value : object
        What was given.
    name : str
        The option.
    least : float
        The smallest it may be.

    Returns
    -------
    float
        The number.

    Raises
    ------
    ParameterError
        If it isn't.
    """
    array = np.asarray(value)
    if array.dtype.kind in "biuf" and array.size == 1 and np.isfinite(array).all() and array >= least:
        return float(array.ravel()[0])
    limit = "a finite number" + (f" of at least {least:g}" if np.isfinite(least) else "")
    raise ParameterError(
        explain(f"{name} as {limit}", f"{name} = {value!r}", f"leave {name} out, or correct it")
    )


def checked_coefficients(g: Any, p: int) -> np.ndarray:
    """
    Check autoregressive coefficients.

    Parameters
    ----------
    g : float or array_like of shape (p,)
        Coefficients.
    p : {1, 2}
        Order.

    Returns
    -------
    ndarray of shape (p,), float64
        The coefficients.

    Raises
    ------
    ParameterError
        If there aren't p of them, or they oscillate or grow.
    """
    values = np.atleast_1d(np.asarray(g))
    good = values.dtype.kind in "biuf" and values.shape == (p,) and bool(np.isfinite(values).all())
    if good:
        roots = np.roots(np.concatenate([[1.0], -values.astype(float)]))
        # Order 1 is kept off 1 by its users; two roots at 1 would be no process at all.
        below = roots.real <= 1 if p == 1 else roots.real < 1
        good = not np.iscomplex(roots).any() and bool(np.all((roots.real >= 0) & below))
    if not good:
        wanted = " (rise + decay, -rise * decay), both between 0 and 1" if p == 2 else " between 0 and 1"
        expected = f"p = {p} autoregressive coefficient{'s' if p > 1 else ''}{wanted}"
        raise ParameterError(explain(expected, f"g = {values.tolist()}", "leave g out to have it estimated"))
    return values.astype(float)
