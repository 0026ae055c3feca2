"""Spatial filters that take slow background away and leave what has the size of a cell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from cnmf_engine.base.errors import InputError, ParameterError, explain
from cnmf_engine.base.parallel import RUN, Run

__all__ = [
    "filter_frames",
    "gaussian_kernel",
    "mean_centred_kernel",
    "middling",
    "motion_kernel",
    "one_size",
]

_BORDERS = ("replicate", "reflect", "constant")
# From so many taps on OpenCV filters by Fourier transform; above the second number that is faster indeed.
_FOURIER_TAPS, _MOST_TAPS = 130, 1000


def _profile(sigma: float, half: int) -> np.ndarray:
    """Normalised Gaussian of ``2 * half + 1`` samples, float64."""
    x = np.arange(-half, half + 1)
    values = np.exp(-0.5 * (x / sigma) ** 2)
    return values / values.sum()


def _pair(gSig: float | Sequence[float]) -> tuple[float, float]:
    """Gaussian widths for rows and columns; InputError unless both are positive and finite."""
    values = np.ravel(np.asarray(gSig, dtype=float))
    if values.size not in (1, 2) or not np.all(np.isfinite(values)) or np.any(values <= 0):
        raise InputError(
            explain(
                "a Gaussian width (px) above 0, or one for rows and one for columns",
                f"{gSig!r}",
                "pass about half the radius of a cell in px, e.g. 3",
            )
        )
    return float(values[0]), float(values[-1])


def _zero_mean_inside(kernel: np.ndarray, level: float) -> np.ndarray:
    """Subtract the mean over the disk where the kernel reaches ``level``; 0 outside the disk."""
    # A relative slack keeps the disk symmetric when two corners differ in the last bit.
    disk = kernel >= level * (1 - 1e-9)
    out = np.where(disk, kernel - kernel[disk].mean(), 0.0)
    return out.astype(np.float32)


def gaussian_kernel(gSig: float | Sequence[float]) -> np.ndarray:
    """
    Plain Gaussian of the size the one-photon filters use.

    Parameters
    ----------
    gSig : float or sequence of two floats
        Width (standard deviation) in px, for both axes or for rows and columns.

    Returns
    -------
    ndarray of shape (2*int(2*gy)+1, 2*int(2*gx)+1), float32
        Kernel that sums to 1.
    """
    gy, gx = _pair(gSig)
    return np.outer(_profile(gy, int(2 * gy)), _profile(gx, int(2 * gx))).astype(np.float32)


def mean_centred_kernel(gSig: float | Sequence[float]) -> np.ndarray:
    """
    Gaussian made zero-mean inside a disk: passes blobs of a cell's size, stops flat background.

    Parameters
    ----------
    gSig : float or sequence of two floats
        Width (standard deviation) in px, for both axes or for rows and columns.

    Returns
    -------
    ndarray of shape (2*int(2*gy)+1, 2*int(2*gx)+1), float32
        Kernel that sums to 0; the disk has a radius of about ``2 * gSig``.

    Raises
    ------
    InputError
        If a width is not positive.

    References
    ----------
    Zhou et al. 2018, eLife 7:e28728, Methods, 'Initialization of A and C'.
    """
    gy, gx = _pair(gSig)
    kernel = np.outer(_profile(gy, int(2 * gy)), _profile(gx, int(2 * gx)))
    return _zero_mean_inside(kernel, kernel[0].max())


def motion_kernel(gSig_filt: float | Sequence[float]) -> np.ndarray:
    """
    Zero-mean disk kernel used before frames are registered.

    Parameters
    ----------
    gSig_filt : float or sequence of two floats
        Width (standard deviation) in px, for both axes or for rows and columns.

    Returns
    -------
    ndarray of shape (2*(3*gy//2)+1, 2*(3*gx//2)+1), float32
        Kernel that sums to 0. It is smaller than that of `mean_centred_kernel` for the same width.
    """
    gy, gx = _pair(gSig_filt)
    half_y, half_x = max(int(3 * gy // 2), 1), max(int(3 * gx // 2), 1)
    kernel = np.outer(_profile(gy, half_y), _profile(gx, half_x))
    return _zero_mean_inside(kernel, kernel[:, 0].max())


def filter_frames(
    frames: np.ndarray,
    kernel: np.ndarray,
    border: str = "replicate",
    out: np.ndarray | None = None,
    run: Run = RUN,
) -> np.ndarray:
    """
    Correlate every frame with a kernel.

    Parameters
    ----------
    frames : ndarray of shape (T, d1, d2) or (d1, d2)
        Frames (or one frame), any numeric dtype.
    kernel : ndarray
        Kernel with odd sides.
    border : {'replicate', 'reflect', 'constant'}
        What lies outside the image: the nearest pixel, the mirror image (edge pixel repeated) or 0.
    out : ndarray of shape (T, d1, d2), float32, optional
        Where to write; may be `frames` itself.
    run : Run
        Its workers take frames, if they share memory. The result doesn't depend on them.

    Returns
    -------
    ndarray, float32
        Filtered frames, shape of `frames`.

    Raises
    ------
    InputError
        If these aren't frames of real numbers, a kernel with odd sides, or `out` is of another shape or type.
    """
    if border not in _BORDERS:
        raise InputError(explain(f"a border out of {_BORDERS}", f"{border!r}", "use one of them"))
    _check_filtering(frames, kernel, out)
    single = frames.ndim == 2
    stack = frames[None] if single else frames
    if out is None:
        out = np.empty(stack.shape, dtype=np.float32)
    elif single:
        out = out[None]
    correlate = _correlator(kernel, border)
    # What such a kernel stops is taken off beforehand: the sums would lose as many digits as it has.
    level = border != "constant" and abs(kernel.sum(dtype=np.float64)) < 1e-6 * np.abs(kernel).sum()

    def some(chunk: range) -> None:
        for t in chunk:
            image = np.ascontiguousarray(stack[t], dtype=np.float32)
            out[t] = correlate(image - middling(image) if level else image)

    n_frames = len(stack)
    n_parts = max(1, min(run.here.workers, n_frames // 16))
    step = -(-n_frames // n_parts) if n_frames else 1
    for _ in run.stream(some, [range(i, min(i + step, n_frames)) for i in range(0, n_frames, step)]):
        pass
    return out[0] if single else out


def _check_filtering(frames: np.ndarray, kernel: np.ndarray, out: np.ndarray | None) -> None:
    shape, kind = frames.shape, frames.dtype.kind
    if len(shape) not in (2, 3) or 0 in shape[-2:] or kind not in "biuf":
        found = f"shape {shape}, type {frames.dtype}"
        raise InputError(
            explain("frames (T, d1, d2) of real numbers", found, "pass a movie or one of its frames")
        )
    if kernel.ndim != 2 or not all(side % 2 for side in kernel.shape) or kernel.dtype.kind not in "biuf":
        fix = "make one with mean_centred_kernel or gaussian_kernel"
        raise InputError(explain("a kernel with odd sides", f"shape {kernel.shape}", fix))
    if out is not None and (out.shape != shape or out.dtype != np.float32 or not out.flags.writeable):
        found = f"shape {out.shape}, type {out.dtype}" + ("" if out.flags.writeable else ", read-only")
        raise InputError(explain(f"out of shape {shape}, float32, to write to", found, "call it without out"))


def middling(image: np.ndarray) -> np.float32:
    """Give a middling value of an image, the median of some pixels; a constant added moves it exactly."""
    some = np.sort(image[:: max(len(image) // 8, 1), :: max(image.shape[1] // 8, 1)], axis=None)
    # np.median takes as long as a small filter does.
    return some[(some.size - 1) // 2] / 2 + some[some.size // 2] / 2


def _correlator(kernel: np.ndarray, border: str) -> Callable[[np.ndarray], np.ndarray]:
    """
    Choose how an image is correlated with a kernel.

    OpenCV turns to Fourier transforms from 130 taps on, which for kernels of a cell's size takes several
    times as long as a plain sum that uses their symmetry.
    """
    import cv2

    mode = {
        "replicate": cv2.BORDER_REPLICATE,
        "reflect": cv2.BORDER_REFLECT,
        "constant": cv2.BORDER_CONSTANT,
    }[border]
    top, left = kernel.shape[0] // 2, kernel.shape[1] // 2
    symmetric = np.array_equal(kernel, kernel[::-1]) and np.array_equal(kernel, kernel[:, ::-1])
    if kernel.size < _FOURIER_TAPS or np.count_nonzero(kernel) > _MOST_TAPS or not symmetric:
        return lambda image: cv2.filter2D(image, cv2.CV_32F, kernel, borderType=mode)
    # Imported here: Numba takes longer to import than everything else in this module.
    from cnmf_engine.stages.folding import fold

    quarter = np.ascontiguousarray(kernel[top:, left:], dtype=np.float32)

    def correlate(image: np.ndarray) -> np.ndarray:
        out = np.empty_like(image)
        fold(cv2.copyMakeBorder(image, top, top, left, left, mode), quarter, out)
        return out

    return correlate


def one_size(size: Any, key: str) -> float | int:
    """
    Give the size of cells that holds for all axes.

    Parameters
    ----------
    size : float or sequence of float
        As it was given, px.
    key : {'gSig', 'gSiz'}
        Which size it is.

    Returns
    -------
    float or int
        The size, px.

    Raises
    ------
    ParameterError
        If axes differ: seeds, boxes and the ring are as wide as they are high.
    """
    sizes = tuple(np.ravel(size).tolist())
    if len(set(sizes)) > 1:
        mean = round(sum(sizes) / len(sizes), 1)
        # A box needs a centre pixel.
        mean = 2 * int(mean // 2) + 1 if key == "gSiz" else mean
        expected = f"init/{key} the same along all axes, because cells are sought with round filters"
        fix = (
            f"use one value, such as their mean, {key}={(mean,) * len(sizes)}; if cells are oval because "
            "pixels aren't square, resize the movie first (movie.resize)"
        )
        raise ParameterError(explain(expected, f"{key} = {sizes}", fix))
    return sizes[0]
