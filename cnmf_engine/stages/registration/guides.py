"""What frames are compared with: a plain template, or one with weights that were measured on the movie."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from cnmf_engine.stages.registration.estimator import ShiftEstimator, shift_limits
from cnmf_engine.stages.registration.reduction import Reduction, within
from cnmf_engine.stages.registration.still import soft
from cnmf_engine.stages.registration.templates import filter_margin, high_pass, median_template
from cnmf_engine.stages.registration.weighting import Noise, Weights, shifted

__all__ = ["Guide", "PlainGuide", "WeightedGuide", "WeightedPieces", "contrast"]

# Contrast that is only rounding error beside that of the unfiltered frame counts as none.
_ROUNDING = 1e-5
# Of a shift in px that mean something.
_DIGITS = 3


class Guide(ABC):
    """
    Finds the shifts of frames; one movie's guide serves for the next of the recording.

    Attributes
    ----------
    mask : ndarray of shape (d1, d2), bool, or None
        Pixels that shifts come from; None if all of them.
    """

    mask: np.ndarray | None = None

    @abstractmethod
    def find(self, frames: np.ndarray) -> np.ndarray:
        """
        Find the shifts that bring frames to their place.

        Parameters
        ----------
        frames : ndarray of shape (n, d1, d2)
            Frames as recorded, without NaN.

        Returns
        -------
        ndarray of shape (n, 2), float64
            Translation to apply, rows then columns, px: minus the motion. 0 for frames without contrast.
        """

    @abstractmethod
    def refined(self, templates: np.ndarray) -> Guide:
        """
        Make a guide for another pass.

        Parameters
        ----------
        templates : ndarray of shape (n_splits, d1, d2)
            Mean corrected images, in the units of the movie.

        Returns
        -------
        Guide
            Compares frames with the median of these.
        """

    @abstractmethod
    def reaching(self, max_shifts: Any) -> Guide:
        """
        Make the same guide with other limits.

        Parameters
        ----------
        max_shifts : float or sequence of two floats
            Largest shift of rows and columns, px.

        Returns
        -------
        Guide
            Brings frames to the same place.
        """


class PlainGuide(Guide):
    """
    A filtered template and the plain cross-correlation with it, see `ShiftEstimator`.

    Parameters
    ----------
    template : ndarray of shape (d1, d2)
        Filtered like the frames.
    max_shifts : tuple of float
        Largest shift of rows and columns, px.
    gSig_filt : float or sequence of two floats, optional
        Width of the filter, px.
    mask : ndarray of shape (d1, d2), bool, optional
        True where tissue is.
    """

    def __init__(
        self, template: np.ndarray, max_shifts: Any, gSig_filt: Any, mask: np.ndarray | None = None
    ) -> None:
        self._template, self._max_shifts, self._gSig_filt, self.mask = template, max_shifts, gSig_filt, mask
        part = None if mask is None else soft(mask, 1, mask.shape)
        margin, clip = filter_margin(gSig_filt), gSig_filt is not None
        self._estimator = ShiftEstimator(template, max_shifts, margin, clip, part)

    def find(self, frames: np.ndarray) -> np.ndarray:
        """Find the shifts that bring frames onto the template."""
        filtered = high_pass(within(frames, self.mask), self._gSig_filt)
        return self._estimator.find(filtered, contrast(frames))

    def refined(self, templates: np.ndarray) -> PlainGuide:
        """Make a guide from the filtered median of templates."""
        template = median_template(within(templates, self.mask), self._gSig_filt)
        return PlainGuide(template, self._max_shifts, self._gSig_filt, self.mask)

    def reaching(self, max_shifts: Any) -> PlainGuide:
        """Make the same guide with other limits (px)."""
        return PlainGuide(self._template, max_shifts, self._gSig_filt, self.mask)


class WeightedGuide(Guide):
    """
    A template on a coarser grid, with weights for pixels and spatial frequencies, see `Weights`.

    Parameters
    ----------
    reduction : Reduction
        How frames are filtered.
    template : ndarray of shape `reduction.dims`
        Mean of aligned filtered frames.
    noise : Noise
        How frames differ from it.
    n_frames : int
        Frames in the template.
    max_shifts : tuple of float
        Largest shift of rows and columns, px.
    origin : ndarray of shape (2,)
        Shift from the template to where frames belong, px.
    part : ndarray, optional
        See `Weights`.
    """

    def __init__(
        self,
        reduction: Reduction,
        template: np.ndarray,
        noise: Noise,
        n_frames: int,
        max_shifts: Any,
        origin: np.ndarray | None = None,
        part: np.ndarray | None = None,
    ) -> None:
        self.reduction, self.template, self.noise, self.n_frames = reduction, template, noise, n_frames
        self.mask = reduction.mask
        self._max_shifts = np.array(shift_limits(max_shifts))
        self.origin = np.zeros(2) if origin is None else origin
        # A lag of a whole image leaves nothing to compare.
        allowed = np.minimum(self._max_shifts, reduction.factor * (np.array(reduction.dims) - 1))
        bounds = [(sign * allowed - self.origin) / reduction.factor for sign in (-1, 1)]
        self._weights = Weights(template, noise, n_frames, *bounds, part)

    def find(self, frames: np.ndarray) -> np.ndarray:
        """Find the shifts that bring frames to their place."""
        return self.find_reduced(self.reduction(frames), contrast(frames))

    def find_reduced(self, reduced: np.ndarray, level: np.ndarray) -> np.ndarray:
        """
        Find the shifts of frames that are filtered already.

        Parameters
        ----------
        reduced : ndarray of shape (n, *reduction.dims), float32
            What `reduction` made of the frames.
        level : ndarray of shape (n,)
            What `contrast` says of each frame.

        Returns
        -------
        ndarray of shape (n, 2), float64
            As from `find`.
        """
        shifts = self.reduction.factor * self._weights.find(reduced) + self.origin
        shifts = np.clip(shifts, -self._max_shifts, self._max_shifts)
        shifts[np.abs(reduced).max(axis=(1, 2)) <= _ROUNDING * level] = 0.0
        # What is smaller is rounding error, but would cost a whole pixel at the border.
        return np.round(shifts, _DIGITS) + 0.0

    def pieces(
        self, patches: Sequence[tuple[slice, slice]], deviation: Sequence[float], steady: bool
    ) -> WeightedPieces:
        """
        Prepare to find shifts of parts of the image as well.

        Parameters
        ----------
        patches : sequence of tuple of two slices
            Rows and columns of each part, px.
        deviation : sequence of two floats
            How far a part may move from the frame's shift, rows and columns, px.
        steady : bool
            See `Noise.patch`.

        Returns
        -------
        WeightedPieces
            Finds them.
        """
        factor = self.reduction.factor
        reach = np.array(deviation, float) / factor
        parts = []
        for patch in patches:
            rows, cols = (slice(side.start // factor, side.stop // factor) for side in patch)
            noise = self.noise.patch(rows, cols, steady)
            weights = Weights(self.template[rows, cols], noise, self.n_frames, -reach, reach)
            parts.append(((slice(None), rows, cols), weights))
        return WeightedPieces(self, parts)

    def refined(self, templates: np.ndarray) -> WeightedGuide:
        """Make a guide from the filtered median of templates; these lie where frames belong."""
        template = self.reduction(np.median(templates, axis=0)[None])[0]
        return WeightedGuide(self.reduction, template, self.noise, self.n_frames, self._max_shifts)

    def like(self, template: np.ndarray, noise: Noise, n_frames: int) -> WeightedGuide:
        """Make a guide to the same place with another template (mean of `n_frames`) and noise."""
        return WeightedGuide(self.reduction, template, noise, n_frames, self._max_shifts, self.origin)

    def reaching(self, max_shifts: Any) -> WeightedGuide:
        """Make the same guide with other limits (px)."""
        return WeightedGuide(
            self.reduction, self.template, self.noise, self.n_frames, max_shifts, self.origin
        )

    def at(self, origin: np.ndarray) -> WeightedGuide:
        """Make the same guide for another origin (px)."""
        return WeightedGuide(
            self.reduction, self.template, self.noise, self.n_frames, self._max_shifts, origin
        )


class WeightedPieces:
    """
    Finds shifts of frames and of their parts.

    Parameters
    ----------
    guide : WeightedGuide
        For whole frames.
    parts : list of tuple
        Where each part lies in reduced frames, and its weights.
    """

    def __init__(self, guide: WeightedGuide, parts: list[tuple[tuple[slice, ...], Weights]]) -> None:
        self._guide, self._parts = guide, parts

    def find(self, frames: np.ndarray) -> np.ndarray:
        """
        Find the shifts.

        Parameters
        ----------
        frames : ndarray of shape (n, d1, d2)
            Frames as recorded, without NaN.

        Returns
        -------
        ndarray of shape (n, 2, 1 + n_parts), float64
            Translation to apply to the whole frame and to each part, px.
        """
        return self.find_reduced(self._guide.reduction(frames), contrast(frames))

    def find_reduced(self, reduced: np.ndarray, level: np.ndarray) -> np.ndarray:
        """
        Find the shifts in frames that are filtered already.

        Parameters
        ----------
        reduced, level
            As for `WeightedGuide.find_reduced`.

        Returns
        -------
        ndarray of shape (n, 2, 1 + n_parts), float64
            As from `find`.
        """
        factor = self._guide.reduction.factor
        whole = self._guide.find_reduced(reduced, level)
        aligned = shifted(reduced, (whole - self._guide.origin) / factor)
        seen = (np.abs(reduced).max(axis=(1, 2)) > _ROUNDING * level)[:, None]
        found = [whole + factor * seen * weights.find(aligned[where]) for where, weights in self._parts]
        return np.round(np.stack([whole, *found], axis=2), _DIGITS) + 0.0


def contrast(frames: np.ndarray) -> np.ndarray:
    """Give the range of values in each frame, shape (n,)."""
    return frames.max(axis=(1, 2)).astype(float) - frames.min(axis=(1, 2)).astype(float)
