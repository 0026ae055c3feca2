"""Numbers that tell whether motion correction helped."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnmf_engine.errors import InputError, explain
from cnmf_engine.registration.passes import check_movie, read_frames, spread
from cnmf_engine.registration.templates import check_template, filter_margin, match_filter
from cnmf_engine.registration.warping import fill_missing

__all__ = ["RegistrationQuality", "registration_quality"]

logger = logging.getLogger("caiman")

_LEAST_GAIN = 0.005
# Registered frames that agree less than this with their own median hold mostly noise.
_LEAST_CORRELATION = 0.25


@dataclass(frozen=True)
class RegistrationQuality:
    """
    How alike frames are before and after motion correction.

    Attributes
    ----------
    correlation_before, correlation_after : float
        Mean correlation of the (filtered) frames with the template, away from the image's border.
    crispness_before, crispness_after : float
        Norm of the gradient of the mean (filtered) image: blur lowers it.
    frames_at_limit : int
        Frames that were shifted as far as allowed.
    n_frames : int
        Frames that the numbers come from.
    """

    correlation_before: float
    correlation_after: float
    crispness_before: float
    crispness_after: float
    frames_at_limit: int
    n_frames: int

    @property
    def improved(self) -> bool:
        """Whether frames became more alike and their mean no less crisp."""
        return (
            self.correlation_after > self.correlation_before + _LEAST_GAIN
            and self.crispness_after >= self.crispness_before
        )


def registration_quality(
    movie_before: Any,
    movie_after: Any,
    template: np.ndarray,
    gSig_filt: float | Sequence[float] | None = None,
    border: int = 0,
    frames_at_limit: int = 0,
    n_frames: int = 200,
    filter_mode: str = "caiman",
) -> RegistrationQuality:
    """
    Compare a movie with its motion-corrected version.

    A warning is logged when nothing improved (the recording was still, or the filter leaves nothing that the
    frames could be aligned by) and when filtered frames hold little but noise: the shifts then follow it.

    Parameters
    ----------
    movie_before, movie_after : array_like of shape (T, d1, d2)
        The movies; anything with a shape that gives frames when it is sliced.
    template : ndarray of shape (d1, d2)
        What the frames were registered to, filtered like them.
    gSig_filt : float or sequence of two floats, optional
        Width of the high-pass filter, px.
    border : int
        Pixels at each edge to leave out, at least the largest shift.
    frames_at_limit : int
        Passed on to the result.
    n_frames : int
        At most this many frames, spread over the movie, are looked at.
    filter_mode : {'auto', 'caiman'}
        How frames are filtered; see `match_filter`.

    Returns
    -------
    RegistrationQuality
        The numbers.

    Raises
    ------
    InputError
        If the movies differ in shape, or the template has another size.

    References
    ----------
    Pnevmatikakis & Giovannucci 2017, J. Neurosci. Methods 291:83, section 2.5 (both measures).
    """
    dims = check_movie(movie_before)
    if tuple(movie_before.shape) != tuple(movie_after.shape):
        raise InputError(
            explain(
                f"two movies of one shape, {tuple(movie_before.shape)} like the first",
                f"{tuple(movie_after.shape)}",
                "pass the movie that was corrected and what came out of it",
            )
        )
    template = check_template(template, dims)
    cut = max(int(border), 0) + filter_margin(gSig_filt, filter_mode)
    # At least the middle half of a small image has to be left.
    inner = tuple(slice(min(cut, d // 4), d - min(cut, d // 4)) for d in dims)
    index = spread(movie_before.shape[0], n_frames)
    before = _agreement(movie_before, index, template, gSig_filt, inner, filter_mode)
    after = _agreement(movie_after, index, template, gSig_filt, inner, filter_mode)
    quality = RegistrationQuality(before[0], after[0], before[1], after[1], frames_at_limit, len(index))
    _warn(quality, gSig_filt)
    return quality


def _warn(quality: RegistrationQuality, gSig_filt: Any) -> None:
    if not quality.improved:
        logger.warning(
            "Motion correction did not make the frames more alike (correlation with the template %.3f "
            "before, %.3f after; crispness %.3g, %.3g): either the recording was still, or gSig_filt leaves "
            "nothing to align by. Look at a filtered frame and try other values of gSig_filt.",
            quality.correlation_before,
            quality.correlation_after,
            quality.crispness_before,
            quality.crispness_after,
        )
    elif quality.correlation_after < _LEAST_CORRELATION:
        logger.warning(
            "Corrected frames hardly agree with the template (correlation %.2f): with gSig_filt=%s they are "
            "mostly noise, and so are the shifts. Try twice that gSig_filt.",
            quality.correlation_after,
            gSig_filt,
        )


def _agreement(
    movie: Any,
    index: np.ndarray,
    template: np.ndarray,
    gSig_filt: Any,
    inner: tuple[slice, slice],
    filter_mode: str,
) -> tuple[float, float]:
    """Mean correlation of frames with the template, and crispness of their mean."""
    wanted = template[inner].astype(np.float64)
    wanted = wanted - wanted.mean()
    correlations = []
    total = np.zeros(wanted.shape)
    for numbers in np.array_split(index, -(-len(index) // 16)):
        frames, _ = fill_missing(read_frames(movie, numbers), numbers)
        frames = match_filter(frames, gSig_filt, filter_mode)[:, inner[0], inner[1]].astype(np.float64)
        total += frames.sum(axis=0)
        frames = frames - frames.mean(axis=(1, 2), keepdims=True)
        norms = np.sqrt((frames**2).sum(axis=(1, 2)) * (wanted**2).sum())
        products = (frames * wanted).sum(axis=(1, 2))
        correlations.append(np.where(norms > 0, products / np.where(norms > 0, norms, 1.0), 0.0))
    gradient = np.gradient(total / len(index)) if min(wanted.shape) > 1 else [np.zeros(1)]
    return float(np.concatenate(correlations).mean()), float(np.sqrt(sum((g**2).sum() for g in gradient)))
