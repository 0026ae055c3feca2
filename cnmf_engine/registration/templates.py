"""Templates: how they are filtered, joined and checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cnmf_engine.errors import InputError, ParameterError, explain
from cnmf_engine.filters import filter_frames, motion_kernel
from cnmf_engine.registration.warping import fill_missing

__all__ = [
    "bin_median",
    "check_template",
    "filter_margin",
    "high_pass",
    "high_pass_filter_space",
    "median_template",
]


def high_pass(frames: np.ndarray, gSig_filt: float | Sequence[float] | None) -> np.ndarray:
    """
    Filter frames before they are compared with each other.

    Parameters
    ----------
    frames : ndarray of shape (n, d1, d2) or (d1, d2)
        Frames.
    gSig_filt : float or sequence of two floats, optional
        Width of the Gaussian in `cnmf_engine.filters.motion_kernel`, for both axes or for rows and columns,
        px. No filter without it.

    Returns
    -------
    ndarray, float32
        Filtered frames, shape of `frames`.
    """
    frames = np.asarray(frames, dtype=np.float32)
    if gSig_filt is None:
        return frames
    return filter_frames(frames, motion_kernel(gSig_filt), border="reflect", n_threads=1)


def high_pass_filter_space(
    img_or_movie: Any,
    gSig_filt: Any = None,
    freq: float | None = None,
    order: int | None = None,
) -> np.ndarray:
    """
    Remove what is larger than a cell from an image or a movie.

    Parameters
    ----------
    img_or_movie : array_like of shape (d1, d2) or (T, d1, d2)
        What to filter.
    gSig_filt : float or tuple of two, optional
        Width of the zero-mean Gaussian that motion correction uses, px.
    freq : float, optional
        With `order`, cut-off of a Butterworth filter instead, in cycles a pixel (0 to 0.5).
    order : int, optional
        Order of the Butterworth filter.

    Returns
    -------
    ndarray, float32
        Filtered, shape of the input.

    Raises
    ------
    InputError
        If the input is no image or movie.
    ParameterError
        If neither `gSig_filt` nor both of `freq` and `order` are given, or one can't be used.
    """
    frames = np.asarray(img_or_movie, dtype=np.float32)
    if frames.ndim not in (2, 3):
        raise InputError(
            explain("an image (d1, d2) or a movie (T, d1, d2)", f"shape {frames.shape}", "pass one of those")
        )
    if gSig_filt is not None and freq is None and order is None:
        return high_pass(frames, gSig_filt)
    if gSig_filt is not None or not freq or not order or not 0 < freq <= 0.5 or order < 1:
        raise ParameterError(
            explain(
                "either gSig_filt, or freq (0 to 0.5 cycles/px) with order (1 or more)",
                f"gSig_filt={gSig_filt!r}, freq={freq!r}, order={order!r}",
                "use gSig_filt=(3, 3) for one-photon movies",
            )
        )
    distance = np.hypot(np.fft.fftfreq(frames.shape[-2])[:, None], np.fft.rfftfreq(frames.shape[-1]))
    with np.errstate(divide="ignore"):
        gain = 1.0 / (1.0 + (freq / distance) ** (2 * int(order)))
    return np.fft.irfft2(np.fft.rfft2(frames) * gain, s=frames.shape[-2:]).astype(np.float32)


def filter_margin(gSig_filt: Any) -> int:
    """How far the filter sees beyond the image's edge, px."""
    return 0 if gSig_filt is None else max(motion_kernel(gSig_filt).shape) // 2


def check_template(template: Any, dims: tuple[int, int]) -> np.ndarray:
    """
    Check that a template fits a movie.

    Parameters
    ----------
    template : array_like
        The template.
    dims : tuple of int
        Rows and columns of the movie.

    Returns
    -------
    ndarray of shape (d1, d2), float32
        The template, missing pixels filled.

    Raises
    ------
    InputError
        If its shape is another.
    """
    template = np.asarray(template, dtype=np.float32)
    if template.shape != tuple(dims):
        raise InputError(
            explain(
                f"a template of the movie's size, {dims[0]} x {dims[1]} px",
                f"shape {template.shape}",
                "use total_template_rig of a movie of the same field of view, or leave template out",
            )
        )
    return fill_missing(template[None])[0][0]


def bin_median(frames: np.ndarray) -> np.ndarray:
    """Median over bins of the mean of ten frames spread over the sample: robust, and little noise."""
    n_bins = max(len(frames) // 10, 1)
    return np.median([frames[i::n_bins].mean(axis=0) for i in range(n_bins)], axis=0).astype(np.float32)


def median_template(templates: np.ndarray, gSig_filt: float | Sequence[float] | None) -> np.ndarray:
    """
    Join the templates of the parts of a movie.

    Parameters
    ----------
    templates : ndarray of shape (n_splits, d1, d2)
        Mean image of each part.
    gSig_filt : float or sequence of two floats, optional
        See `high_pass`.

    Returns
    -------
    ndarray of shape (d1, d2), float32
        Median of the filtered images: slow changes of brightness are gone before the median is taken.
    """
    return np.median(high_pass(templates, gSig_filt), axis=0).astype(np.float32)
