"""How much each pixel and each spatial frequency tells about a shift, and shifts found with these weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import fft

from cnmf_engine.stages.registration.estimator import clipped, peak_offset, taper, zoom_matrices
from cnmf_engine.stages.registration.warping import translated

__all__ = ["Noise", "Weights", "shifted"]

# Bands of spatial frequency (per px) in which signal and noise are compared.
_BANDS = 64
# Noise where there is least of it counts as this share of the loudest band: the filter removed the rest.
_NOISE_FLOOR = 0.3
# Pixels steadier than this share of the median don't count for more.
_STEADIEST = 0.5
# Exponent of the weights of pixels within a part of the image; 1 for whole frames.
_OF_PARTS = 0.35
# A band of the template has to hold this many times its noise.
_LEAST_SIGNAL = 2.0
# Gauss-Newton steps after the whole pixels at most, the longest of them, and the last of them, px.
_STEPS, _LONGEST, _SHORTEST = 6, 1.0, 0.01
# Standard deviations from the template beyond which a pixel is mostly an active cell.
_CLIP = 1.5
# And the least such standard deviation, in those of the template over the image.
_LEAST_CLIP = 0.1
# Frames whose spectra are held at once.
_AT_ONCE = 32
# Contrast of a frame beside the template's.
_CONTRAST = (0.25, 4.0)


def shifted(frames: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """
    Translate filtered frames.

    Parameters
    ----------
    frames : ndarray of shape (n, d1, d2), float32
        Frames.
    shifts : ndarray of shape (n, 2)
        Translation of each, rows then columns, px.

    Returns
    -------
    ndarray of shape (n, d1, d2), float32
        Moved frames.
    """
    out = np.empty_like(frames)
    for t, (down, right) in enumerate(np.asarray(shifts, dtype=float)):
        out[t] = translated(frames[t], down, right, exact=True)
    return out


@dataclass(frozen=True)
class Noise:
    """
    How aligned frames differ from their template.

    Attributes
    ----------
    spread : ndarray of shape (d1, d2), float32
        Standard deviation of each pixel over time; active cells stand out.
    window : ndarray of shape (d1, d2), float32
        Weight of each pixel: small where it varies, 0 at the border.
    power : ndarray of shape (bands,)
        Power of the weighted difference in each band of spatial frequency.
    part : ndarray of shape (d1, d2), float32, or None
        Further weights of pixels, 0 where there is no tissue.
    """

    spread: np.ndarray
    window: np.ndarray
    power: np.ndarray
    part: np.ndarray | None = None

    @classmethod
    def of(cls, differences: np.ndarray, margin: int, part: np.ndarray | None = None) -> Noise:
        """
        Measure it.

        Parameters
        ----------
        differences : ndarray of shape (n, d1, d2), float32
            Aligned frames minus the template.
        margin : int
            Width of the border to leave out, px.
        part : ndarray of shape (d1, d2), optional
            Further weights of pixels, 0 where there is no tissue.

        Returns
        -------
        Noise
            The figures.
        """
        import cv2

        dims = differences.shape[1:]
        window = np.outer(taper(dims[0], margin), taper(dims[1], margin)).astype(np.float32)
        square = np.zeros(dims)
        for frame in differences:
            square += frame.astype(np.float64) ** 2
        spread = np.sqrt(square / len(differences)).astype(np.float32)
        spread = cv2.GaussianBlur(spread, (3, 3), 0.5, borderType=cv2.BORDER_REFLECT)
        middle = _middle(spread, part)
        if middle > 0:
            window /= np.maximum(spread / middle, _STEADIEST)
        if part is not None:
            window *= part
        band, counts = _bands(dims)
        power = np.zeros(len(counts))
        for frame in differences:
            power += np.bincount(band, np.abs(fft.rfft2(frame * window)).ravel() ** 2, len(counts))
        return cls(spread, window, power / (counts * len(differences)), part)

    def patch(self, rows: slice, cols: slice, steady: bool) -> Noise:
        """
        Cut out what belongs to a part of the image.

        Parameters
        ----------
        rows, cols : slice
            The part.
        steady : bool
            Let pixels that vary count less. Not before bending tissue was followed: there those vary most
            that move most, and without them a part would seem to stand still.

        Returns
        -------
        Noise
            The power is that of the image on the area of the part.
        """
        spread = self.spread[rows, cols]
        window = np.outer(*(taper(size, 0) for size in spread.shape)).astype(np.float32)
        middle = _middle(self.spread, self.part)
        if steady and middle > 0:
            # Less than for whole frames: some of what varies is tissue that bends within the part.
            window /= np.maximum(spread / middle, _STEADIEST) ** _OF_PARTS
        part = None if self.part is None else self.part[rows, cols]
        if part is not None:
            window *= part
        share = np.sum(window**2) / max(np.sum(self.window**2), 1e-30)
        return Noise(spread, window, self.power * share, part)


def _middle(spread: np.ndarray, part: np.ndarray | None) -> float:
    """Give the usual spread of tissue."""
    return float(np.median(spread if part is None else spread[part > 0]))


class Weights:
    """
    Shifts of frames from a template by generalised least squares.

    What a frame differs in from the template is partly its shift, partly noise: of the sensor, and of cells
    that are active now. Near its place a frame is the template plus the template's gradients times the
    shift plus that noise, so the best estimate weights pixels and spatial frequencies by the inverse of the
    noise that was measured there. It is a sum over pixels of the frame times fixed weights. The start is the
    whole pixel at which the cross-correlation with the weighted template is largest; from there a few steps
    of Gauss-Newton, for the shift and the frame's contrast and offset at once.

    Parameters
    ----------
    template : ndarray of shape (d1, d2), float32
        Mean of aligned filtered frames.
    noise : Noise
        How frames differ from it.
    n_frames : int
        Frames in the template.
    lowest, highest : sequence of two floats
        Least and greatest shift of rows and columns, px.
    part : ndarray of shape (d1, d2), optional
        Further weights of pixels, 0 to 1, to look at a part of the image only.

    References
    ----------
    Lucas & Kanade 1981, Proc. IJCAI, section 4 (shifts from gradients by weighted least squares).
    Baker & Matthews 2004, Int. J. Comput. Vis. 56:221, section 3.2 (with gradients of the template).
    """

    def __init__(
        self,
        template: np.ndarray,
        noise: Noise,
        n_frames: int,
        lowest: Sequence[float],
        highest: Sequence[float],
        part: np.ndarray | None = None,
    ) -> None:
        self.dims = dims = template.shape
        self._template = template.ravel()
        self._most = _CLIP * np.maximum(noise.spread, _LEAST_CLIP * template.std()).ravel()
        self.lowest, self.highest = np.array(lowest, float), np.array(highest, float)
        window = noise.window if part is None else noise.window * part
        gain, whiten = _gains(template * window, noise.power, n_frames)
        spectrum = fft.rfft2(template) * gain
        rows, cols = 2j * np.pi * fft.fftfreq(dims[0])[:, None], 2j * np.pi * fft.rfftfreq(dims[1])
        slopes = [fft.irfft2(spectrum * factor, s=dims) for factor in (rows, cols)]
        design = np.stack([*slopes, template, np.ones(dims)])

        def weighted(image: np.ndarray) -> np.ndarray:
            return window * fft.irfft2(fft.rfft2(image * window) * whiten, s=dims)

        self._steps = _solved(design, np.stack([weighted(image) for image in design]))
        # Lags: a frame that has to be shifted by s lies at -s from the template.
        self._lags = [np.arange(-np.ceil(h), -np.floor(low) + 1) for low, h in zip(lowest, highest)]
        reach = [int(np.abs(lags).max()) for lags in self._lags]
        self._padded = tuple(fft.next_fast_len(int(d + r), real=True) for d, r in zip(dims, reach))
        matched = weighted(fft.irfft2(spectrum, s=dims)).astype(np.float32)
        self._spectrum = np.conj(fft.rfft2(matched, s=self._padded))
        self._to_rows, self._to_cols = zoom_matrices(self._padded, self._lags)

    def find(self, frames: np.ndarray) -> np.ndarray:
        """
        Find the shifts that bring frames onto the template.

        Parameters
        ----------
        frames : ndarray of shape (n, d1, d2), float32
            Frames, filtered like those that made the template.

        Returns
        -------
        ndarray of shape (n, 2), float64
            Translation to apply, rows then columns, px, within the limits.
        """
        parts = np.split(frames, range(_AT_ONCE, len(frames), _AT_ONCE))
        return np.concatenate([self._found(part) for part in parts])

    def _found(self, frames: np.ndarray) -> np.ndarray:
        shifts = self._start(clipped(frames))
        moving, contrast = np.arange(len(frames)), np.ones((len(frames), 1), np.float32)
        for _ in range(_STEPS):
            left = shifted(frames[moving], shifts[moving]).reshape(len(moving), -1)
            left -= contrast[moving] * self._template
            # Cells that are active now stand out; the template doesn't hold them.
            np.clip(left, -self._most, self._most, out=left)
            found = left @ self._steps
            contrast[moving] = np.clip(contrast[moving] + found[:, 2:], *_CONTRAST)
            step = np.clip(found[:, :2] / contrast[moving], -_LONGEST, _LONGEST)
            shifts[moving] = np.clip(shifts[moving] + step, self.lowest, self.highest)
            moving = moving[np.abs(step).max(axis=1) > _SHORTEST]
            if not len(moving):
                break
        return shifts

    def _start(self, frames: np.ndarray) -> np.ndarray:
        """Shifts ``(n, 2)`` where the cross-correlation is largest, with a parabola through its top."""
        product = fft.rfft2(frames, s=self._padded) * self._spectrum
        surface = (self._to_rows @ product @ self._to_cols).real
        n, _, width = surface.shape
        best = surface.reshape(n, -1).argmax(axis=1)
        frame, at_row, at_col = np.arange(n), best // width, best % width
        down = self._lags[0][at_row] + peak_offset(surface[frame, :, at_col], at_row)
        right = self._lags[1][at_col] + peak_offset(surface[frame, at_row, :], at_col)
        found = -np.stack([down, right], axis=1)
        found[surface[frame, at_row, at_col] <= 0] = 0.0
        return np.clip(found, self.lowest, self.highest)


def _solved(design: np.ndarray, weighted: np.ndarray) -> np.ndarray:
    """Weights ``(pixels, 3)`` that give row shift, column shift and contrast of a frame."""
    design, weighted = design.reshape(len(design), -1), weighted.reshape(len(weighted), -1)
    normal = weighted @ design.T
    scale = np.sqrt(np.maximum(np.diag(normal), 0.0))
    scale[scale == 0] = 1.0
    # The pseudo-inverse leaves at 0 what the image can't tell, such as shifts of a blank one.
    inverse = np.linalg.pinv(normal / np.outer(scale, scale), rcond=1e-10)
    steps = (inverse / np.outer(scale, scale)) @ weighted
    return np.ascontiguousarray(steps[:3].T, dtype=np.float32)


def _gains(image: np.ndarray, power: np.ndarray, n_frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Share of the template that is signal, and inverse of the noise, at each spatial frequency."""
    band, counts = _bands(image.shape)
    held = np.bincount(band, np.abs(fft.rfft2(image)).ravel() ** 2, len(counts)) / counts
    kept = np.clip(1 - _LEAST_SIGNAL * power / (n_frames * np.where(held > 0, held, np.inf)), 0, None)
    kept[held <= 0] = 0.0
    loudest = power.max()
    noise = power + _NOISE_FLOOR * (loudest if loudest > 0 else 1.0)
    at = _frequency(image.shape) * _BANDS - 0.5
    bands = np.arange(len(counts))
    return np.interp(at, bands, kept), np.interp(at, bands, 1 / noise)


def _frequency(dims: tuple[int, int]) -> np.ndarray:
    return np.hypot(fft.fftfreq(dims[0])[:, None], fft.rfftfreq(dims[1]))


def _bands(dims: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Band of each coefficient of a half spectrum, and how many there are in each (1 where none)."""
    band = np.minimum((_frequency(dims) * _BANDS).astype(int), _BANDS // 2 - 1).ravel()
    return band, np.maximum(np.bincount(band, minlength=_BANDS // 2), 1)
