"""Frames as they are compared in mode 'auto': on a coarser grid, band-passed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cnmf_engine.movies.gaps import nearest_complete
from cnmf_engine.stages.filters import middling
from cnmf_engine.stages.registration.still import soft
from cnmf_engine.stages.registration.templates import band_widths

__all__ = ["PLAIN_WIDTH", "Reduction", "within"]

# Width of the fine Gaussian, px, from which every other pixel is enough.
_ENOUGH_DETAIL = 1.25
_SMALLEST_SIDE = 32
# Filter for looking at movies that are corrected without one, px.
PLAIN_WIDTH = 3.0


class Reduction:
    """
    Filter frames by a difference of Gaussians and keep as many pixels as its pass band needs.

    Above a quarter of a cycle per pixel a Gaussian of 2 px passes nearly nothing, so that every other pixel
    is enough and all that follows costs a quarter.

    Parameters
    ----------
    gSig_filt : float or sequence of two floats
        Scale of the smallest structures, px.
    dims : tuple of int
        Rows and columns of the frames.
    mask : ndarray of shape `dims`, bool, optional
        True where tissue is. Other pixels take the values of the nearest ones that are, so that the filter
        doesn't carry what lies outside into the tissue.

    Attributes
    ----------
    factor : int
        Pixels of a frame that make one of the result, along each axis: 1 or 2.
    dims : tuple of int
        Rows and columns of the result.
    margin : int
        How far the filter sees beyond the image's edge, in pixels of the result.
    part : ndarray of shape (*dims), float32, or None
        Weights of the result's pixels, 0 outside of the mask.
    """

    def __init__(
        self, gSig_filt: float | Sequence[float], dims: tuple[int, int], mask: np.ndarray | None = None
    ) -> None:
        self.gSig_filt, self.mask = gSig_filt, mask
        detail, surround = (np.array(pair) for pair in band_widths(gSig_filt))
        self.factor = 2 if detail.min() >= _ENOUGH_DETAIL and min(dims) >= 2 * _SMALLEST_SIDE else 1
        self.dims = (dims[0] // self.factor, dims[1] // self.factor)
        self._detail, self._surround = detail / self.factor, surround / self.factor
        # Twice the standard deviation: beyond that the filter sees little.
        self.margin = int(np.ceil(2 * self._surround.max()))
        self.part = None if mask is None else soft(mask, self.factor, self.dims)

    def __call__(self, frames: np.ndarray) -> np.ndarray:
        """
        Filter frames.

        Parameters
        ----------
        frames : ndarray of shape (n, d1, d2)
            Frames without NaN, any numeric dtype.

        Returns
        -------
        ndarray of shape (n, *dims), float32
            Filtered frames.
        """
        frames = within(frames, self.mask)
        out = np.empty((len(frames), *self.dims), np.float32)
        for t, frame in enumerate(frames):
            image = self.averaged(frame)
            image -= middling(image)
            np.subtract(_smooth(image, self._detail), _smooth(image, self._surround), out=out[t])
        return out

    def averaged(self, image: np.ndarray) -> np.ndarray:
        """
        Take an image to the coarser grid without filtering it.

        Parameters
        ----------
        image : ndarray of shape (d1, d2)
            The image.

        Returns
        -------
        ndarray of shape `dims`, float32
            Means of `factor` x `factor` pixels.
        """
        import cv2

        rows, cols = (size * self.factor for size in self.dims)
        whole = image[:rows, :cols].astype(np.float32)
        if self.factor == 1:
            return whole
        return cv2.resize(whole, self.dims[::-1], interpolation=cv2.INTER_AREA)


def within(frames: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """Give frames ``(n, d1, d2)`` whose pixels outside of a mask are those of the nearest one inside."""
    return frames if mask is None else nearest_complete(np.array(frames), ~mask)


def _smooth(image: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    import cv2

    size = [2 * max(int(np.ceil(2.5 * s)), 1) + 1 for s in sigma]
    return cv2.GaussianBlur(
        image, (size[1], size[0]), sigma[1], sigmaY=sigma[0], borderType=cv2.BORDER_REFLECT
    )
