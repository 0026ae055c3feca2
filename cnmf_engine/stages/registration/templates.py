"""Templates: how they are filtered, joined and checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnmf_engine.base.errors import InputError, ParameterError, explain
from cnmf_engine.base.parallel import ALONE
from cnmf_engine.stages.filters import filter_frames, middling, motion_kernel
from cnmf_engine.stages.registration.warping import fill_missing

__all__ = [
    "FILTER_MODES",
    "Filter",
    "band_widths",
    "bin_median",
    "check_filter_mode",
    "check_template",
    "filter_margin",
    "high_pass",
    "high_pass_filter_space",
    "match_filter",
    "median_template",
    "reliable_part",
]

FILTER_MODES = ("auto", "caiman")
# The background is averaged over a Gaussian this much wider than gSig_filt.
_SURROUND = 2.0
# And detail over one this much narrower, px at most.
_DETAIL, _DETAIL_PX = 2 / 3, 2.0
# Bands of spatial frequency (per px) in which two templates are compared.
_BANDS = 64


@dataclass(frozen=True)
class Filter:
    """
    How frames are compared.

    Attributes
    ----------
    gSig_filt : float or sequence of two floats, optional
        Width of the high-pass filter, px; see `match_filter`. No filter if None.
    mode : {'auto', 'caiman'}
        Which filter; see `match_filter`.
    mask : {'auto', None} or ndarray of shape (d1, d2), bool
        True where tissue is that shifts come from. 'auto' leaves out what doesn't move with the tissue, see
        `cnmf_engine.stages.registration.still.moving_part`, and warns; None takes the whole field.
    """

    gSig_filt: float | Sequence[float] | None = None
    mode: str = "auto"
    mask: np.ndarray | str | None = "auto"

    def __post_init__(self) -> None:
        check_filter_mode(self.mode)
        if self.gSig_filt is not None:
            motion_kernel(self.gSig_filt)  # refuses what is no width


def high_pass(frames: np.ndarray, gSig_filt: float | Sequence[float] | None) -> np.ndarray:
    """
    Filter frames before they are compared with each other.

    Parameters
    ----------
    frames : ndarray of shape (n, d1, d2) or (d1, d2)
        Frames.
    gSig_filt : float or sequence of two floats, optional
        Width of the Gaussian in `cnmf_engine.stages.filters.motion_kernel`, for both axes or for rows and
        columns, px. No filter without it.

    Returns
    -------
    ndarray, float32
        Filtered frames, shape of `frames`.
    """
    frames = np.asarray(frames, dtype=np.float32)
    if gSig_filt is None:
        return frames
    return filter_frames(frames, motion_kernel(gSig_filt), border="reflect", run=ALONE)


def check_filter_mode(filter_mode: str) -> None:
    """
    Check the name of a filter.

    Parameters
    ----------
    filter_mode : str
        See `match_filter`.

    Raises
    ------
    ParameterError
        If it isn't one of 'auto' and 'caiman'.
    """
    if filter_mode not in FILTER_MODES:
        raise ParameterError(
            explain(
                "filter_mode to be 'auto' or 'caiman'",
                repr(filter_mode),
                "leave it out, or use 'caiman' for shifts found as CaImAn finds them",
            )
        )


def match_filter(
    frames: np.ndarray, gSig_filt: float | Sequence[float] | None, filter_mode: str = "auto"
) -> np.ndarray:
    """
    Filter frames as they are when shifts are found.

    CaImAn's kernel passes a narrow band of sizes. On dim or blurred recordings little but noise lies in it.
    The difference of a narrow and a wide Gaussian keeps more: fine detail of cells, and vessels that are
    several times wider.

    Parameters
    ----------
    frames : ndarray of shape (n, d1, d2)
        Frames.
    gSig_filt : float or sequence of two floats, optional
        Scale of the smallest structures, px. No filter without it.
    filter_mode : {'auto', 'caiman'}
        Gaussian mean of two thirds of this width, at most 2 px, minus one of twice `gSig_filt`; or
        `high_pass`.

    Returns
    -------
    ndarray, float32
        Filtered frames, shape of `frames`.
    """
    if gSig_filt is None or filter_mode == "caiman":
        return high_pass(frames, gSig_filt)
    import cv2

    sigmas, surround = band_widths(gSig_filt)
    widths = [_box_width(sigma) for sigma in surround]
    out = np.empty(frames.shape, dtype=np.float32)
    for t, frame in enumerate(frames):
        image = np.ascontiguousarray(frame, dtype=np.float32)
        image = mean = image - middling(image)
        # Three running means are nearly a Gaussian, at a cost that doesn't grow with its width.
        for _ in range(3):
            mean = cv2.blur(mean, widths[::-1], borderType=cv2.BORDER_REFLECT)
        # Noise goes before frames are clipped: under it active cells wouldn't stand out.
        image = cv2.GaussianBlur(image, (0, 0), sigmas[-1], sigmaY=sigmas[0], borderType=cv2.BORDER_REFLECT)
        np.subtract(image, mean, out=out[t])
    return out


def band_widths(gSig_filt: float | Sequence[float]) -> tuple[tuple[float, float], tuple[float, float]]:
    """
    Tell which two Gaussians the filter of mode 'auto' is the difference of.

    Parameters
    ----------
    gSig_filt : float or sequence of two floats
        See `match_filter`.

    Returns
    -------
    detail, surround : tuple of two floats
        Standard deviations along rows and columns, px.

    Raises
    ------
    InputError
        If `gSig_filt` is no width.
    """
    motion_kernel(gSig_filt)  # refuses what is no width
    pair = np.ravel(np.asarray(gSig_filt, dtype=float))
    rows, cols = float(pair[0]), float(pair[-1])
    detail = (min(_DETAIL * rows, _DETAIL_PX), min(_DETAIL * cols, _DETAIL_PX))
    return detail, (_SURROUND * rows, _SURROUND * cols)


def _box_width(sigma: float) -> int:
    """Odd width of three running means that have the variance of the Gaussian."""
    return max(2 * round((np.sqrt(4 * sigma**2 + 1) - 1) / 2) + 1, 3)


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


def filter_margin(gSig_filt: Any, filter_mode: str = "caiman") -> int:
    """How far the filter sees beyond the image's edge, px."""
    if gSig_filt is None:
        return 0
    if filter_mode == "caiman":
        return max(motion_kernel(gSig_filt).shape) // 2
    # Twice the standard deviation: beyond that it sees little.
    return int(np.ceil(2 * _SURROUND * np.max(gSig_filt)))


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


def reliable_part(first: np.ndarray, second: np.ndarray, weight: float = 0.5) -> np.ndarray:
    """
    Join two images of one scene, and keep of each scale as much as they agree on.

    Noise in a template makes frames that are part of it stay where they are. What is noise shows where
    templates of different frames differ; in a blurred first template that is all fine detail.

    Parameters
    ----------
    first, second : ndarray of shape (d1, d2)
        Means of different frames.
    weight : float
        Share of the first in the result, 0 to 1.

    Returns
    -------
    ndarray of shape (d1, d2), float32
        Their weighted mean, each spatial frequency times its signal's share of the power (a Wiener filter).

    References
    ----------
    Rosenthal & Henderson 2003, J. Mol. Biol. 333:721, section 'Resolution' (from the correlation of half
    averages to the signal-to-noise ratio of the full one).
    """
    from scipy import fft

    # The cosine transform mirrors the image at its edges, so that these add nothing to high frequencies.
    a, b = (fft.dctn(image.astype(np.float64), norm="ortho") for image in (first, second))
    frequency = np.hypot(*np.meshgrid(*[np.arange(d) / (2 * d) for d in first.shape], indexing="ij"))
    band = np.minimum(frequency * _BANDS, _BANDS - 1).astype(int)
    shared = np.bincount(band.ravel(), (a * b).ravel(), _BANDS)
    power = np.bincount(band.ravel(), (0.5 * (a**2 + b**2)).ravel(), _BANDS)
    agreement = np.clip(shared / np.where(power > 0, power, 1.0), 0.0, 1.0)
    counted = np.bincount(band.ravel(), minlength=_BANDS) > 0
    at = (np.arange(_BANDS) + 0.5) / _BANDS
    # The mean of two images holds half the noise of each.
    gain = agreement if weight in (0, 1) else 2 * agreement / (1 + agreement)
    gain = np.interp(frequency, at[counted], gain[counted])
    return fft.idctn((weight * a + (1 - weight) * b) * gain, norm="ortho").astype(np.float32)


def median_template(
    templates: np.ndarray, gSig_filt: float | Sequence[float] | None, filter_mode: str = "caiman"
) -> np.ndarray:
    """
    Join the templates of the parts of a movie.

    Parameters
    ----------
    templates : ndarray of shape (n_splits, d1, d2)
        Mean image of each part.
    gSig_filt : float or sequence of two floats, optional
        See `high_pass`.
    filter_mode : {'auto', 'caiman'}
        See `match_filter`.

    Returns
    -------
    ndarray of shape (d1, d2), float32
        Median of the filtered images: slow changes of brightness are gone before the median is taken.
    """
    return np.median(match_filter(templates, gSig_filt, filter_mode), axis=0).astype(np.float32)
