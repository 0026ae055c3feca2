"""What doesn't move while the tissue does: a lens's rim, a round mask, dust, the edge of a vignette."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cnmf_engine.base.errors import InputError, explain
from cnmf_engine.base.parallel import RUN, Run
from cnmf_engine.stages.registration.groupwise import groupwise
from cnmf_engine.stages.registration.passes import spread
from cnmf_engine.stages.registration.weighting import shifted

__all__ = ["check_mask", "moving_part", "soft"]

# Frames that are looked at: those farthest from the usual place and as many of the nearest.
_FRAMES = 90
# Images are compared in squares, blurred over so many pixels.
_BLUR = 1.5
# Energy beyond so many times that of the noise counts; and by which factor one explanation has to be better.
_SURE, _BETTER = 4.0, 1.08
# Contrast that stands still as a share of that which moves (and of all), from which it is left out.
_HOLDS, _LEAST = 0.25, 0.01
# And as a share of what moves, below which nothing further is sought.
_CALM = 0.15
# Shares of the field with the least steady contrast, from which motion is sought without the rest.
_SHARES = (0.7, 0.5, 0.3)
# Two halves of the tissue have to agree about its motion: least correlation of their shifts.
_AGREE = 0.6
# Parts that don't move are widened by this much, and those left out end softly; px of the filtered frames.
_WIDEN, _SOFT = 2, 1.0
# A region in which less than this share moves lies outside of the lens; smaller ones are filled up.
_OUTSIDE, _SPECK = 0.02, 20
# Tissue that is left has to be this share of the field.
_TISSUE = 0.04


def check_mask(mask: Any, dims: tuple[int, int]) -> np.ndarray | None:
    """Check a mask of the tissue against the movie's size; None for 'auto', None and one that is all True."""
    if mask is None or isinstance(mask, str):
        if mask in (None, "auto"):
            return None
        found = repr(mask)
    else:
        array = np.asarray(mask)
        found = f"shape {array.shape}, dtype {array.dtype}"
        if array.shape == tuple(dims) and (array.dtype == bool or np.isin(array, (0, 1)).all()):
            array = array.astype(bool)
            if array.any():
                return None if array.all() else array
            found = "a mask that is False everywhere"
    raise InputError(
        explain(
            f"mask to be 'auto', None, or True where tissue is, of the movie's size {dims[0]} x {dims[1]} px",
            found,
            "make one of the mean image, e.g. mask = mean > 0.3 * np.percentile(mean, 99)",
        )
    )


def soft(mask: np.ndarray, factor: int, dims: tuple[int, int]) -> np.ndarray:
    """Weights ``dims`` of reduced pixels, float32, from a mask ``(d1, d2)``: 0 outside, with a soft edge."""
    import cv2

    rows, cols = (size * factor for size in dims)
    part = mask[:rows, :cols].reshape(dims[0], factor, dims[1], factor).all(axis=(1, 3)).astype(np.float32)
    # Only inwards: what doesn't move gets no weight at all.
    part = cv2.erode(part, np.ones((3, 3)), borderType=cv2.BORDER_REPLICATE)
    return cv2.GaussianBlur(part, (0, 0), _SOFT, borderType=cv2.BORDER_REPLICATE) * part


def moving_part(
    sample: np.ndarray, shifts: np.ndarray, reach: Any, margin: int, run: Run = RUN
) -> np.ndarray | None:
    """
    Tell what moves from what stands still.

    The mean of frames as they were recorded keeps the contrast of what stands still and blurs what moves; the
    mean of aligned frames does the opposite. Where the first holds more, something stands still. When nothing
    moves, both are the same, and nothing is left out. The frames' shifts may have been found by the very
    thing that stands still; so motion is also sought in parts of the field that have little steady contrast,
    and the shifts that sharpen the most tissue are taken, if two halves of it agree about them.

    Parameters
    ----------
    sample : ndarray of shape (n, d1, d2), float32
        Band-passed frames, spread over a movie.
    shifts : ndarray of shape (n, 2)
        Shifts that align them, as far as is known, px.
    reach : array_like of two floats
        Largest shift, px.
    margin : int
        Width of the border to leave out, px.
    run : Run
        Its workers share the work.

    Returns
    -------
    ndarray of shape (d1, d2), bool
        True where tissue moves, or might; None if nothing has to be left out.
    """
    if len(sample) < 10 or min(sample.shape[1:]) < 16:
        return None
    index = spread(len(sample), _FRAMES)
    sample, shifts = sample[index], shifts[index]
    edge = min(margin, min(sample.shape[1:]) // 4)
    inner = np.zeros(sample.shape[1:], bool)
    inner[edge : sample.shape[1] - edge, edge : sample.shape[2] - edge] = True
    known = _Contrast(sample, shifts, inner)
    if known.calm:
        return None

    def align(part: np.ndarray) -> _Contrast:
        return _Contrast(sample, groupwise(sample, reach, margin, False, True, run, part)[1], inner)

    steady = _blurred(sample.mean(axis=0) ** 2, 2 * _BLUR)
    trials = [align((steady <= np.quantile(steady, share)).astype(np.float32)) for share in _SHARES]
    for trial in sorted([known, *trials], key=lambda trial: -trial.gain):
        tissue = trial.tissue(sample)
        if tissue is None:
            # These shifts sharpen the most of what is left, and nothing stands still beside.
            return None
        # Once more with all that may be tissue: more pixels tell the shifts, and these the place of its edge.
        again = align(soft(tissue, 1, tissue.shape))
        if again.gain > trial.gain:
            tissue = again.tissue(sample)
        if tissue is not None and _halves_agree(align, tissue):
            return tissue
    return None


class _Contrast:
    """Energy of contrast in the mean of frames as recorded, and in that of frames moved by some shifts."""

    def __init__(self, sample: np.ndarray, shifts: np.ndarray, inner: np.ndarray) -> None:
        self.found = shifts = shifts - np.median(shifts, axis=0)
        # Most frames may lie in one place: those few that don't have to count.
        order, third = np.argsort(np.hypot(*shifts.T), kind="stable"), len(shifts) // 3
        self._index = np.sort(np.concatenate([order[:third], order[-third:]]))
        self._shifts, self._inner = shifts[self._index], inner
        frames = sample[self._index]
        means, spreads = zip(*[_moments(some) for some in (frames, shifted(frames, self._shifts))])
        self.still, self.moving = (_blurred(mean**2, _BLUR) for mean in means)
        self.noise = _SURE * _blurred(np.minimum(*spreads), _BLUR) / len(frames)
        total = max(float(self.moving[inner].sum()), 1e-30)
        self.gain = float(np.maximum(self.moving - self.still - self.noise, 0)[inner].sum()) / total
        self.loss = float(np.maximum(self.still - self.moving - self.noise, 0)[inner].sum()) / total

    @property
    def calm(self) -> bool:
        """Whether the shifts move much, and nothing stands still beside."""
        return self.gain > _LEAST and self.loss < _CALM * self.gain

    def tissue(self, sample: np.ndarray) -> np.ndarray | None:
        """Where something moves or may; None if too little stands still, or too little is left."""
        import cv2
        from scipy import ndimage

        if self.loss < max(_HOLDS * self.gain, _LEAST):
            return None
        # What bends moves less in places; it doesn't stand still where a part of the motion fits better.
        partly = _moments(shifted(sample[self._index], 0.25 * self._shifts))[0]
        still = (self.still > _BETTER * self.moving) & (self.still - self.moving > self.noise)
        still &= self.still >= _blurred(partly**2, _BLUR)
        left = cv2.dilate(still.astype(np.uint8), np.ones((2 * _WIDEN + 1,) * 2)) == 0
        moves = (self.moving > _BETTER * self.still) & (self.moving - self.still > self.noise)
        labels, n = ndimage.label(left)
        sizes = np.bincount(labels.ravel(), minlength=n + 1)
        moving = np.bincount(labels.ravel(), moves.ravel(), minlength=n + 1)
        kept = (moving >= _OUTSIDE * sizes) & (sizes >= _SPECK)
        kept[0] = False
        tissue = kept[labels]
        return tissue if tissue.mean() >= _TISSUE else None


def _halves_agree(align: Callable[[np.ndarray], _Contrast], tissue: np.ndarray) -> bool:
    """Whether the left and the right half of the tissue move alike: noise doesn't."""
    columns = np.arange(tissue.shape[1])
    left = columns <= np.median(np.nonzero(tissue)[1])
    found = [align(soft(tissue & half, 1, tissue.shape)).found.ravel() for half in (left, ~left)]
    return bool(min(map(np.ptp, found)) > 0 and np.corrcoef(*found)[0, 1] >= _AGREE)


def _moments(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return frames.mean(axis=0), frames.var(axis=0)


def _blurred(image: np.ndarray, sigma: float) -> np.ndarray:
    import cv2

    return cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
