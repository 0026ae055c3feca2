"""Numbers that tell whether motion correction helped."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnmf_engine.base.errors import InputError, explain
from cnmf_engine.base.parallel import one_thread
from cnmf_engine.stages.registration.guide_making import weights_of
from cnmf_engine.stages.registration.passes import check_movie, read_frames, spread
from cnmf_engine.stages.registration.reduction import PLAIN_WIDTH, Reduction, within
from cnmf_engine.stages.registration.still import soft
from cnmf_engine.stages.registration.templates import check_template, filter_margin, match_filter
from cnmf_engine.stages.registration.warping import fill_missing
from cnmf_engine.stages.registration.weighting import Weights

__all__ = ["RegistrationQuality", "registration_quality", "residual_motion"]

logger = logging.getLogger("caiman")

_LEAST_GAIN = 0.005
# Registered frames that agree less than this with their own median hold mostly noise.
_LEAST_CORRELATION = 0.25
# Motion that is left, px, which blurs cells and costs some of them.
_MOST_RESIDUAL = 0.5
_FEWEST = 20
# Of filtered frames that are held at once.
_MOST_PIXELS = 2**23
# Width of the squares of the two halves, and how far motion that is left may reach; px.
_SQUARE_PX, _LEAST_REACH = 16, 3.0
# Least share of a mask that has to be left when its edge is taken off.
_LEAST_LEFT = 0.2
# Motion, px, below which a recording is still, or held.
_HARDLY_MOVES = 0.3
_HELD = (
    "the recording hardly moves and can be used as it is. If you see its tissue move, something that "
    "doesn't (rim of a lens, mask, dust, dead pixels) holds the frames in place: say where tissue is with "
    "mask=..., or cut the field to it with indices=..."
)
_UNFIT = (
    "either the recording was still, or gSig_filt leaves nothing to align by. Look at a filtered frame and "
    "try other values of gSig_filt."
)


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
    motion_px, residual_px : float
        Estimate of how far frames lie from their place before and after, RMS, px, see `residual_motion`; NaN
        for fewer than 20 frames.
    left_out : float
        Share of the field that frames were not aligned by.
    """

    correlation_before: float
    correlation_after: float
    crispness_before: float
    crispness_after: float
    frames_at_limit: int
    n_frames: int
    motion_px: float = float("nan")
    residual_px: float = float("nan")
    left_out: float = 0.0

    @property
    def improved(self) -> bool:
        """Whether frames became more alike, their mean no less crisp, and less motion is left."""
        return (
            self.correlation_after > self.correlation_before + _LEAST_GAIN
            and self.crispness_after >= self.crispness_before
            and not self.residual_px > self.motion_px
        )


@one_thread()
def registration_quality(
    movie_before: Any,
    movie_after: Any,
    template: np.ndarray,
    gSig_filt: float | Sequence[float] | None = None,
    border: int = 0,
    frames_at_limit: int = 0,
    n_frames: int = 200,
    filter_mode: str = "caiman",
    mask: np.ndarray | None = None,
) -> RegistrationQuality:
    """
    Compare a movie with its motion-corrected version.

    A warning is logged when nothing improved (the recording was still, or the filter leaves nothing that the
    frames could be aligned by), when filtered frames hold little but noise: the shifts then follow it, and
    when more than half a pixel of motion is left.

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
        At most this many frames, spread over the movie, are looked at; fewer of large ones.
    filter_mode : {'auto', 'caiman'}
        How frames are filtered; see `match_filter`. With 'auto' they are compared on the coarser grid of
        `Reduction`.
    mask : ndarray of shape (d1, d2), bool, optional
        Pixels that shifts came from; frames are compared there, `border` px from its edge.

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
    inside = None if mask is None else _inner(mask, int(border))
    reduction = Reduction(PLAIN_WIDTH if gSig_filt is None else gSig_filt, dims, inside)
    weighted = gSig_filt is not None and filter_mode == "auto"
    cut = max(int(border), 0) + filter_margin(gSig_filt, filter_mode)
    part = None if inside is None else soft(inside, 1, dims)
    if weighted:
        template, cut = reduction.averaged(template), -(-cut // reduction.factor)
        part = reduction.part
    # At least the middle half of a small image has to be left.
    inner = tuple(slice(min(cut, d // 4), d - min(cut, d // 4)) for d in template.shape)
    most = int(max(_MOST_PIXELS // np.prod(reduction.dims), 2 * _FEWEST))
    index = spread(movie_before.shape[0], min(n_frames, most))
    seen = None if part is None or not part[inner].any() else part[inner] > 0
    sums = [_Agreement(template[inner], seen) for _ in range(2)]
    reduced: list[list[np.ndarray]] = [[], []]
    for numbers in np.array_split(index, -(-len(index) // 16)):
        for movie, total, kept in zip((movie_before, movie_after), sums, reduced):
            frames, _ = fill_missing(read_frames(movie, numbers), numbers)
            kept.append(reduction(frames))
            filtered = kept[-1] if weighted else match_filter(within(frames, inside), gSig_filt, filter_mode)
            total.add(filtered[:, inner[0], inner[1]])
    before, after = sums
    quality = RegistrationQuality(
        before.correlation,
        after.correlation,
        before.crispness,
        after.crispness,
        frames_at_limit,
        len(index),
        *(residual_motion(np.concatenate(kept), reduction, border) for kept in reduced),
        left_out=0.0 if mask is None else float(1 - mask.mean()),
    )
    _warn(quality, gSig_filt)
    return quality


def _inner(mask: np.ndarray, border: int) -> np.ndarray:
    """Give the part of a mask that stays inside of it whichever way frames are moved."""
    import cv2

    kernel = np.ones((2 * border + 1,) * 2)
    inner = cv2.erode(mask.astype(np.uint8), kernel, borderType=cv2.BORDER_REPLICATE) > 0
    return inner if inner.sum() >= _LEAST_LEFT * mask.sum() else mask


def residual_motion(frames: np.ndarray, reduction: Reduction, border: int = 0) -> float:
    """
    Estimate how far corrected frames still lie from their place.

    Two halves of the image, interleaved like a chess board, give shifts whose errors are independent. If they
    agree, what they agree on is motion that is left. If they don't, half their difference tells the error of
    shifts of the whole image. As much again is common to both halves and went into the shifts, so that it
    doesn't show: so it is in simulated recordings, where the estimate is within a third of the truth.

    Parameters
    ----------
    frames : ndarray of shape (n, *reduction.dims), float32
        Corrected frames, filtered by `reduction`.
    reduction : Reduction
        The filter.
    border : int
        Pixels of the movie at each edge to leave out, at least the largest shift.

    Returns
    -------
    float
        RMS distance, both axes together, px of the movie; NaN for fewer than 20 frames.
    """
    if len(frames) < _FEWEST:
        return float("nan")
    # Frames that are part of the template they are compared with would stay where they are.
    known, asked = frames[::2], frames[1::2]
    margin = max(reduction.margin, -(-int(border) // reduction.factor))
    template, noise = weights_of(known, margin, reduction.part)
    reach = np.full(2, max(border, _LEAST_REACH) / reduction.factor)
    rows, cols = np.indices(reduction.dims) // (_SQUARE_PX // reduction.factor)
    white = ((rows + cols) % 2).astype(np.float32)
    found = [
        Weights(template, noise, len(known), -reach, reach, part).find(asked) for part in (white, 1 - white)
    ]
    # What both see is common; the origin is free.
    common, different = (found[0] + found[1]) / 2, (found[0] - found[1]) / 2 * np.sqrt(2)
    spreads = [np.sqrt(((part - part.mean(axis=0)) ** 2).sum(axis=1).mean()) for part in (common, different)]
    return float(reduction.factor * max(spreads))


def _warn(quality: RegistrationQuality, gSig_filt: Any) -> None:
    if quality.correlation_before < quality.correlation_after < _LEAST_CORRELATION:
        logger.warning(
            "Corrected frames hardly agree with the template (correlation %.2f): with gSig_filt=%s they are "
            "mostly noise, and so are the shifts. Try twice that gSig_filt.",
            quality.correlation_after,
            gSig_filt,
        )
    elif not quality.improved:
        logger.warning(
            "Motion correction did not make the frames more alike (correlation with the template %.3f "
            "before, %.3f after; crispness %.3g, %.3g; motion about %.2f px, %.2f px): "
            + (_HELD if quality.motion_px < _HARDLY_MOVES and not quality.left_out else _UNFIT),
            quality.correlation_before,
            quality.correlation_after,
            quality.crispness_before,
            quality.crispness_after,
            quality.motion_px,
            quality.residual_px,
        )
    elif quality.residual_px > _MOST_RESIDUAL:
        logger.warning(
            "Corrected frames still lie about %.1f px from their place, as two halves of the image show: "
            "cells are blurred by that. Try a gSig_filt wider than %s (if frames are noisy) and a narrower "
            "one (if clouds of light pull the shifts), and look at the corrected movies.",
            quality.residual_px,
            gSig_filt,
        )


class _Agreement:
    """Mean correlation of frames with a template, and crispness of their mean."""

    def __init__(self, template: np.ndarray, part: np.ndarray | None = None) -> None:
        self._part = np.ones(template.shape, bool) if part is None else part
        wanted = template[self._part].astype(np.float32)
        self._wanted = wanted - template[self._part].mean()
        self._total = np.zeros(template.shape)
        self._found: list[np.ndarray] = []

    def add(self, frames: np.ndarray) -> None:
        """Take some filtered frames into account."""
        self._total += frames.sum(axis=0, dtype=np.float64)
        flat = frames[:, self._part]
        flat = flat - flat.mean(axis=1, keepdims=True)
        norms = np.linalg.norm(flat, axis=1) * np.linalg.norm(self._wanted)
        products = flat @ self._wanted
        self._found.append(np.where(norms > 0, products / np.where(norms > 0, norms, 1.0), 0.0))

    @property
    def correlation(self) -> float:
        """Mean over all frames."""
        return float(np.concatenate(self._found).mean())

    @property
    def crispness(self) -> float:
        """Norm of the gradient of the mean frame."""
        mean = self._total / sum(map(len, self._found))
        gradient = np.gradient(mean) if min(mean.shape) > 1 else [np.zeros(1)]
        return float(np.sqrt(sum((g[self._part] ** 2).sum() for g in gradient)))
