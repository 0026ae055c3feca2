"""
Images that summarise a movie: correlation of neighbouring pixels and peak-to-noise ratio.

The movie is read in blocks, so that memory depends on their size and not on its length, and each is read
along the grain, whether frames or time series lie together.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from cnmf_engine.base.errors import InputError, explain
from cnmf_engine.base.parallel import RUN, Run
from cnmf_engine.movies.regions import GROUP, read_blocks, typical_frame
from cnmf_engine.stages.filters import gaussian_kernel, mean_centred_kernel
from cnmf_engine.stages.neighbours import N_SUMS, Sums, add_products, neighbour_correlation, standardise
from cnmf_engine.stages.noise import ROUNDING

__all__ = [
    "CorrelationPNR",
    "correlation_pnr",
    "local_correlations",
    "local_correlations_fft",
    "max_correlation_image",
    "neighbour_correlation",
    "standardise",
]

# Frames that a thread works on at once.
_MOST_FRAMES = 4 * GROUP


class CorrelationPNR(NamedTuple):
    """The two images that initialisation seeds from; unpacks as ``cn, pnr``."""

    cn: np.ndarray
    pnr: np.ndarray


def _frames_first(Y: Any, swap_dim: bool) -> Any:
    """View of the movie as ``(T, d1, d2)``; InputError unless it has three axes, a frame and real numbers."""
    movie = Y if hasattr(Y, "shape") and hasattr(Y, "dtype") else np.asanyarray(Y)
    if len(movie.shape) != 3 or 0 in movie.shape:
        raise InputError(
            explain(
                "a movie with three axes (frames, rows, columns), none of them empty",
                f"an array of shape {movie.shape}",
                "pass the whole movie; a single image has no correlation over time",
            )
        )
    if np.dtype(movie.dtype).kind not in "biuf":
        fix = "convert it first, for example movie.real.astype('float32')"
        raise InputError(explain("a movie of real numbers", f"values of type {movie.dtype}", fix))
    if swap_dim:
        return np.moveaxis(np.asarray(movie), -1, 0)
    return np.asarray(movie) if isinstance(movie, np.ndarray) else movie


def local_correlations(
    Y: np.ndarray,
    eight_neighbours: bool = True,
    swap_dim: bool = True,
    order_mean: int = 1,
    run: Run = RUN,
) -> np.ndarray:
    """
    Correlation of each pixel's trace with those of its neighbours, averaged.

    Parameters
    ----------
    Y : ndarray of shape (d1, d2, T), or (T, d1, d2) with ``swap_dim=False``
        Movie.
    eight_neighbours : bool
        Eight neighbours or the four that share an edge.
    swap_dim : bool
        Whether time is the last axis (CaImAn's default); lessons pass False.
    order_mean : int
        Only 1, the arithmetic mean, is defined for correlations of either sign.
    run : Run
        Workers that share memory, and how much blocks may take; the image doesn't depend on it.

    Returns
    -------
    ndarray of shape (d1, d2), float64
        Correlations from -1 to 1; constant pixels count as 0.

    Raises
    ------
    InputError
        If the movie doesn't have three axes, or `order_mean` isn't 1.

    Notes
    -----
    This is the exact mean over the neighbours; release 1.12 of CaImAn adds two of the four diagonal
    terms to the wrong pixel (its pull request 1304), which differs by about 0.01.

    References
    ----------
    Smith & Häusser 2010, Nat Neurosci 13:1144 (correlation image of a two-photon movie).
    """
    if order_mean != 1:
        raise InputError(explain("order_mean = 1", f"{order_mean!r}", "leave order_mean out"))
    movie = _frames_first(Y, swap_dim)
    return _correlations(movie, [slice(0, len(movie))], eight_neighbours, run)[0]


def _correlations(
    movie: Any,
    spans: Sequence[slice],
    eight_neighbours: bool,
    run: Run,
) -> list[np.ndarray]:
    """Local correlations over each of several spans of frames."""
    dims, images = movie.shape[1:], []
    for span in spans:
        level, sums = typical_frame(movie, span, run), Sums(dims)
        for _, frames in read_blocks(movie, span, run.budget // 2, run):
            work = partial(_count, level)
            parts = [frames[at : at + _MOST_FRAMES] for at in range(0, len(frames), _MOST_FRAMES)]
            sums.add(run.stream(work, parts))
        brightness = np.abs(level + sums.mean)
        images.append(sums.correlation(eight_neighbours, np.nan_to_num(ROUNDING * brightness)))
    return images


def _count(level: np.ndarray, frames: np.ndarray) -> tuple[np.ndarray, int]:
    """Give sums over a block of frames, which is overwritten, and their number."""
    frames -= level
    sums = np.zeros((N_SUMS, *level.shape))
    add_products(frames, sums)
    return sums, len(frames)


def local_correlations_fft(
    Y: np.ndarray,
    eight_neighbours: bool = True,
    swap_dim: bool = True,
    opencv: bool = True,
    rolling_window: int | None = None,
    run: Run = RUN,
) -> np.ndarray:
    """
    Compute the image of `local_correlations` under CaImAn's second name for it, in float32.

    Parameters
    ----------
    Y, eight_neighbours, swap_dim
        As in `local_correlations`.
    opencv : bool
        Accepted for compatibility; no meaning here.
    rolling_window : int, optional
        Accepted for compatibility; must be None.
    run
        As in `local_correlations`.

    Returns
    -------
    ndarray of shape (d1, d2), float32
        Correlation image.

    Raises
    ------
    InputError
        If a rolling window is asked for.
    """
    if rolling_window is not None:
        raise InputError(
            explain(
                "rolling_window=None",
                f"{rolling_window!r}",
                "use max_correlation_image(Y, bin_size=...) for correlations over time bins",
            )
        )
    image = local_correlations(Y, eight_neighbours, swap_dim, run=run)
    return image.astype(np.float32)


def max_correlation_image(
    Y: np.ndarray,
    bin_size: int = 1000,
    eight_neighbours: bool = True,
    swap_dim: bool = True,
    run: Run = RUN,
) -> np.ndarray:
    """
    Maximum over time bins of the local correlation image.

    Parameters
    ----------
    Y, eight_neighbours, swap_dim
        As in `local_correlations`.
    bin_size : int
        Frames in a bin, about: the movie is cut into bins of equal length.
    run
        As in `local_correlations`.

    Returns
    -------
    ndarray of shape (d1, d2), float32
        Correlation image that also shows cells active in one bin only.
    """
    movie = _frames_first(Y, swap_dim)
    n_bins = max(1, round(len(movie) / bin_size))
    edges = np.linspace(0, len(movie), n_bins + 1).astype(int).tolist()
    spans = [slice(start, stop) for start, stop in zip(edges[:-1], edges[1:])]
    images = _correlations(movie, spans, eight_neighbours, run)
    return np.maximum.reduce(images).astype(np.float32)


def _kernel(gSig, center_psf: bool, background_filter: str) -> np.ndarray | None:
    """Filter of `correlation_pnr`, None for no filtering."""
    if gSig is None or not np.any(np.asarray(gSig, dtype=float)):
        return None
    if not center_psf:
        return gaussian_kernel(gSig)
    if background_filter == "disk":
        return mean_centred_kernel(gSig)
    if background_filter == "box":
        kernel = gaussian_kernel(gSig)
        return kernel - np.float32(1 / kernel.size)
    raise InputError(
        explain("background_filter 'disk' or 'box'", f"{background_filter!r}", "use one of the two")
    )


def correlation_pnr(
    Y: np.ndarray,
    gSig: float | tuple[float, float] | None = None,
    center_psf: bool = True,
    swap_dim: bool = True,
    background_filter: str = "disk",
    run: Run = RUN,
) -> CorrelationPNR:
    """
    Correlation image and peak-to-noise ratio of the filtered movie.

    Each frame is filtered so that blobs of a cell's size stand out from the background; of each pixel's
    filtered trace the peak is divided by the noise (PNR), and the samples at least three noise levels
    high are correlated with those of the eight neighbours.

    Parameters
    ----------
    Y : ndarray of shape (d1, d2, T), or (T, d1, d2) with ``swap_dim=False``
        Movie.
    gSig : float or two floats, optional
        Half the width of a cell in px (standard deviation of a Gaussian); None or 0 for no filtering.
    center_psf : bool
        Zero-mean kernel (one-photon data) or plain Gaussian.
    swap_dim : bool
        Whether time is the last axis (CaImAn's default); lessons pass False.
    background_filter : {'disk', 'box'}
        Where the zero-mean kernel takes its mean.
    run
        As in `local_correlations`.

    Returns
    -------
    CorrelationPNR
        Named tuple ``cn, pnr`` of two float32 images of shape (d1, d2); both 0 where a pixel is constant.
        So they are where a value is missing (NaN, as motion correction may leave at the border); frames
        without any value don't count.

    Raises
    ------
    InputError
        If the movie doesn't have three axes or `gSig` isn't positive.

    References
    ----------
    Zhou et al. 2018, eLife 7:e28728, Methods, 'Initialization of A and C'.
    """
    from cnmf_engine.stages.peak_noise import filtered_images

    movie = _frames_first(Y, swap_dim)
    kernel = _kernel(gSig, center_psf, background_filter)
    return CorrelationPNR(*filtered_images(movie, kernel, run))
