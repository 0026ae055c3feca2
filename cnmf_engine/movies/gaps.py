"""What is missing (NaN) in a movie, and what stands in for it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Gaps", "nearest_complete"]


@dataclass(frozen=True)
class Gaps:
    """
    What is missing (NaN) in a movie.

    Attributes
    ----------
    unseen : ndarray of shape (T,), bool
        Frames without any value.
    incomplete : ndarray of shape (d1, d2), bool
        Pixels that miss a value in another frame.
    mean : ndarray of shape (d1, d2), float32
        Mean of the seen frames at complete pixels.
    """

    unseen: np.ndarray
    incomplete: np.ndarray
    mean: np.ndarray

    def fill(self, frames: np.ndarray, numbers: np.ndarray, columns: slice) -> None:
        """
        Fill what is missing in place, or a filter would spread NaN over the image.

        Incomplete pixels take the values of the nearest complete one: a constant instead would make an edge
        that lights up whenever the background does. Frames without any value take the mean.

        Parameters
        ----------
        frames : ndarray of shape (n, d1, n_columns), float32
            Some columns of some frames.
        numbers : ndarray of shape (n,), int
            Which frames.
        columns : slice
            Which columns.
        """
        nearest_complete(frames, self.incomplete[:, columns])
        unseen = self.unseen[numbers]
        if unseen.any():
            frames[unseen] = self.mean[:, columns]


def nearest_complete(frames: np.ndarray, incomplete: np.ndarray) -> np.ndarray:
    """
    Give incomplete pixels the values of the nearest complete one, in place.

    Parameters
    ----------
    frames : ndarray of shape (n, d1, d2)
        Frames; all 0 afterwards if no pixel is complete.
    incomplete : ndarray of shape (d1, d2), bool
        Which pixels.

    Returns
    -------
    ndarray of shape (n, d1, d2)
        `frames`.
    """
    from scipy import ndimage

    if incomplete.all():
        frames[:] = 0
    elif incomplete.any():
        rows, columns = ndimage.distance_transform_edt(
            incomplete, return_distances=False, return_indices=True
        )
        frames[:, incomplete] = frames[:, rows[incomplete], columns[incomplete]]
    return frames
