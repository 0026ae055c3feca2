"""Find how far frames lie from a template."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import fft

from cnmf_engine.base.errors import ParameterError, explain

__all__ = ["ShiftEstimator", "clipped", "shift_limits", "peak_offset", "taper", "zoom_matrices"]

# Deviations above this many robust standard deviations are mostly active cells, which aren't in the template.
_CLIP = 2.0
_FINE = 0.1
_MAD_TO_STD = 1.4826


def shift_limits(value: float | Sequence[float], name: str = "max_shifts") -> tuple[float, float]:
    """
    Read a limit for rows and columns.

    Parameters
    ----------
    value : float or sequence of two floats
        Pixels, for both axes or for rows and columns.
    name : str
        What to call it in messages.

    Returns
    -------
    tuple of float
        Rows, columns; px.

    Raises
    ------
    ParameterError
        If a limit is negative or not a number.
    """
    pair = np.ravel(np.asarray(value, dtype=float))
    if pair.size not in (1, 2) or not np.all(np.isfinite(pair)) or np.any(pair < 0):
        raise ParameterError(
            explain(
                f"{name} in px, 0 or more, for rows and columns",
                repr(value),
                f"use for example {name}=(5, 5)",
            )
        )
    return float(pair[0]), float(pair[-1])


class ShiftEstimator:
    """
    Rigid displacement of frames from a template, to a small fraction of a pixel.

    The cross-correlation is computed by FFT with zero padding, so that opposite edges don't meet. Its
    maximum within the allowed lags gives the whole pixels; the frame is moved by these and compared again on
    a grid of 0.1 px by the matrix-multiply DFT, with a parabola through the top. Three things make it more
    accurate than the plain cross-correlation. The image border is tapered, because the filter's response to
    the edge stays in place while the tissue moves; comparing again after the whole-pixel move keeps the taper
    from pulling shifts towards 0. Frames are clipped at two robust standard deviations, because a cell that
    is active now and isn't in the template pulls the shift towards its neighbours. Lags beyond the limit are
    not looked at.

    Parameters
    ----------
    template : ndarray of shape (d1, d2)
        What frames are compared with; filtered like the frames.
    max_shifts : float or sequence of two floats
        Largest shift of rows and columns, px; 0 keeps that axis in place.
    margin : int
        Width of the border where the filter sees beyond the image, px.
    clip : bool
        Clip frames as above; for high-pass filtered frames.
    part : ndarray of shape (d1, d2), optional
        Further weights of pixels, 0 to 1: what isn't tissue counts nothing.

    References
    ----------
    Guizar-Sicairos et al. 2008, Optics Letters 33:156 (refinement by matrix-multiply DFT).
    Pnevmatikakis & Giovannucci 2017, J. Neurosci. Methods 291:83, section 2.1 (registration to a template).
    """

    def __init__(
        self,
        template: np.ndarray,
        max_shifts: float | Sequence[float],
        margin: int = 0,
        clip: bool = True,
        part: np.ndarray | None = None,
    ) -> None:
        self.max_shifts = np.array(shift_limits(max_shifts))
        self.clip = clip
        template = np.asarray(template, dtype=np.float32)
        dims = template.shape
        # A lag of a whole image leaves nothing to compare.
        reach = np.minimum(np.ceil(self.max_shifts), np.array(dims) - 1).astype(int)
        self._lags = [np.arange(-r, r + 1) for r in reach]
        self._steps = [np.arange(-10, 11) * _FINE if r else np.zeros(1) for r in reach]
        self._window = np.outer(taper(dims[0], margin), taper(dims[1], margin)).astype(np.float32)
        if part is not None:
            self._window *= part
        self._weight = max(float(self._window.sum()), 1e-30) if part is not None else self._window.sum()
        self._padded = tuple(fft.next_fast_len(int(d + r), real=True) for d, r in zip(dims, reach))
        self._spectrum = np.conj(fft.rfft2(self._windowed(template[None])[0], s=self._padded))
        self._to_rows, self._to_cols = zoom_matrices(self._padded, self._steps)

    def find(self, frames: np.ndarray, level: np.ndarray | None = None) -> np.ndarray:
        """
        Find the shifts that bring frames onto the template.

        Parameters
        ----------
        frames : ndarray of shape (n, d1, d2)
            Frames, filtered like the template, without NaN.
        level : ndarray of shape (n,), optional
            Range of values in each frame before it was filtered: contrast that is only rounding error beside
            it counts as none.

        Returns
        -------
        ndarray of shape (n, 2), float64
            Translation to apply, rows then columns, px: minus the motion. 0 for frames without contrast.
        """
        frames = np.asarray(frames, dtype=np.float32)
        if self.clip:
            frames = clipped(frames)
        flat = self._windowed(frames)
        blank = np.abs(flat).max(axis=(1, 2)) <= 1e-5 * (0.0 if level is None else np.asarray(level))
        whole, height = self._whole_lags(flat)
        blank |= height <= 0
        lags = whole + self._fine_lags(self._windowed(_rolled(frames, whole)))
        shifts = -np.clip(lags, -self.max_shifts, self.max_shifts)
        shifts[blank] = 0.0
        return shifts + 0.0

    def _whole_lags(self, flat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Whole-pixel lags ``(n, 2)`` of the correlation's maximum within the limits, and its height."""
        product = fft.rfft2(flat, s=self._padded) * self._spectrum
        surface = fft.irfft2(product, s=self._padded)[:, self._lags[0]][:, :, self._lags[1]]
        n, _, width = surface.shape
        surface = surface.reshape(n, -1)
        best = surface.argmax(axis=1)
        whole = np.stack([self._lags[0][best // width], self._lags[1][best % width]], axis=1)
        return whole, surface[np.arange(n), best]

    def _fine_lags(self, flat: np.ndarray) -> np.ndarray:
        """Lags ``(n, 2)`` of frames that lie within a pixel of the template."""
        product = fft.rfft2(flat, s=self._padded) * self._spectrum
        rows, cols = self._steps
        fine = (self._to_rows @ product @ self._to_cols).real
        n, _, width = fine.shape
        best = fine.reshape(n, -1).argmax(axis=1)
        frame, at_row, at_col = np.arange(n), best // width, best % width
        down = _FINE * peak_offset(fine[frame, :, at_col], at_row)
        right = _FINE * peak_offset(fine[frame, at_row, :], at_col)
        return np.stack([rows[at_row] + down, cols[at_col] + right], axis=1)

    def _windowed(self, frames: np.ndarray) -> np.ndarray:
        frames = frames - frames[:, :1, :1]
        mean = frames.reshape(len(frames), -1) @ self._window.ravel() / self._weight
        return (frames - mean[:, None, None]) * self._window


def clipped(frames: np.ndarray) -> np.ndarray:
    """
    Limit what stands out of each frame, mostly active cells.

    Parameters
    ----------
    frames : ndarray of shape (n, d1, d2), float32
        High-pass filtered frames.

    Returns
    -------
    ndarray of shape (n, d1, d2), float32
        Frames within two robust standard deviations of their median; unchanged where that is 0.
    """
    # Neighbouring filtered pixels are alike, so a grid of some thousand tells the spread.
    step = max(int(np.ceil(np.sqrt(frames.shape[1] * frames.shape[2] / 2.5e3))), 1)
    sample = frames[:, ::step, ::step].reshape(len(frames), -1)
    middle = np.median(sample, axis=1)[:, None, None]
    spread = _MAD_TO_STD * np.median(np.abs(sample - middle[:, 0]), axis=1)[:, None, None]
    limit = np.where(spread > 0, _CLIP * spread, np.inf).astype(np.float32)
    return np.clip(frames, middle - limit, middle + limit)


def _rolled(frames: np.ndarray, lags: np.ndarray) -> np.ndarray:
    """Frames moved back by whole pixels: their window then covers what the template's does."""
    out = np.empty_like(frames)
    d1, d2 = frames.shape[1:]
    for t, (down, right) in enumerate(lags):
        rows = np.clip(np.arange(d1) + down, 0, d1 - 1)
        cols = np.clip(np.arange(d2) + right, 0, d2 - 1)
        out[t] = frames[t].take(rows, axis=0).take(cols, axis=1)
    return out


def zoom_matrices(dims: tuple[int, int], lags: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """
    Prepare the inverse DFT of a half spectrum at chosen lags only: a product with a matrix for each axis.

    Parameters
    ----------
    dims : tuple of int
        Rows and columns of the (padded) image.
    lags : sequence of two ndarray
        Lags of rows and columns, px, whole or not.

    Returns
    -------
    to_rows : ndarray of shape (row lags, rows), complex64
        Stands before the spectrum.
    to_cols : ndarray of shape (columns // 2 + 1, column lags), complex64
        Stands behind it.

    References
    ----------
    Guizar-Sicairos et al. 2008, Optics Letters 33:156.
    """
    row_freq, col_freq = fft.fftfreq(dims[0]), fft.rfftfreq(dims[1])
    # A real image's spectrum is stored half: all columns but the first (and a middle one) count twice.
    weight = np.full(len(col_freq), 2.0)
    weight[0] = 1.0
    if dims[1] % 2 == 0:
        weight[-1] = 1.0
    to_rows = np.exp(2j * np.pi * np.outer(lags[0], row_freq))
    to_cols = np.exp(2j * np.pi * np.outer(col_freq, lags[1])) * weight[:, None]
    return to_rows.astype(np.complex64), to_cols.astype(np.complex64)


def taper(size: int, margin: int) -> np.ndarray:
    """
    Weight pixels along an axis: 0 at the ends, 1 inside.

    Parameters
    ----------
    size : int
        Pixels.
    margin : int
        Width of the border where a filter sees beyond the image, px.

    Returns
    -------
    ndarray of shape (size,)
        Rise over a tenth of the image (more if the filter is wide, a quarter at most), and fall.
    """
    width = min(max(0.1 * size, margin), 0.25 * size)
    edge = np.minimum(np.arange(size), np.arange(size)[::-1]) + 0.5
    return np.sin(0.5 * np.pi * np.minimum(edge / max(width, 1e-9), 1.0)) ** 2


def peak_offset(values: np.ndarray, at: np.ndarray) -> np.ndarray:
    """
    Find the top of a parabola through the largest value and its neighbours.

    Parameters
    ----------
    values : ndarray of shape (n, size)
        Values on a grid.
    at : ndarray of shape (n,)
        Where each row is largest.

    Returns
    -------
    ndarray of shape (n,)
        Distance of the top from there, -0.5 to 0.5 grid steps; 0 at the end of the grid.
    """
    n, size = values.shape
    if size < 3:
        return np.zeros(n)
    frame, inner = np.arange(n), np.clip(at, 1, size - 2)
    left, mid, right = (values[frame, inner + k].astype(np.float64) for k in (-1, 0, 1))
    bend = left - 2 * mid + right
    usable = (bend < 0) & (inner == at)
    offset = 0.5 * (left - right) / np.where(usable, bend, 1.0)
    return np.where(usable, np.clip(offset, -0.5, 0.5), 0.0)
