"""
Images that summarise a movie: correlation of neighbouring pixels and peak-to-noise ratio.

The movie is read in tiles (a square of pixels, every frame), so that memory depends on the tile and
not on the field of view, and on a memory map of order C each tile is read contiguously.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from .errors import InputError, explain
from .filters import filter_frames, gaussian_kernel, mean_centred_kernel
from .noise import pixel_noise

__all__ = [
    "CorrelationPNR",
    "correlation_pnr",
    "local_correlations",
    "local_correlations_fft",
    "max_correlation_image",
    "neighbour_correlation",
]

#: Steps to the neighbours that lie after a pixel; the four before it follow by symmetry.
_HALF_8 = ((0, 1), (1, 0), (1, 1), (1, -1))
_HALF_4 = ((0, 1), (1, 0))

#: Values of one tile of the movie, all frames; 16 million float32 are 64 MB.
_TILE_VALUES = 2**24

#: Samples below this many noise levels don't count towards the correlation image.
_SIGNAL_LEVEL = 3.0


class CorrelationPNR(NamedTuple):
    """The two images that initialisation seeds from; unpacks as ``cn, pnr``."""

    cn: np.ndarray
    pnr: np.ndarray


class _Tile(NamedTuple):
    """Part of the image to compute, the larger part it needs, and where the first lies in the second."""

    inner: tuple[slice, slice]
    outer: tuple[slice, slice]
    crop: tuple[slice, slice]


def _tiles(shape: tuple[int, int, int], halo: int) -> Iterator[_Tile]:
    """Cut an image of a ``(T, d1, d2)`` movie into tiles whose outer parts hold `_TILE_VALUES` at most."""
    T, d1, d2 = shape
    side = max(16, int((_TILE_VALUES / max(T, 1)) ** 0.5) - 2 * halo)
    for r in range(0, d1, side):
        for c in range(0, d2, side):
            inner = slice(r, min(r + side, d1)), slice(c, min(c + side, d2))
            outer = tuple(
                slice(max(i.start - halo, 0), min(i.stop + halo, d)) for i, d in zip(inner, (d1, d2))
            )
            crop = tuple(slice(i.start - o.start, i.stop - o.start) for i, o in zip(inner, outer))
            yield _Tile(inner, outer, crop)


def _frames_first(Y: np.ndarray, swap_dim: bool) -> np.ndarray:
    """View of the movie as ``(T, d1, d2)``; InputError unless it has three axes and a frame."""
    movie = np.asanyarray(Y)
    if movie.ndim != 3 or 0 in movie.shape:
        raise InputError(
            explain(
                "a movie with three axes (frames, rows, columns), none of them empty",
                f"an array of shape {movie.shape}",
                "pass the whole movie; a single image has no correlation over time",
            )
        )
    return np.moveaxis(movie, -1, 0) if swap_dim else movie


def standardise(traces: np.ndarray, spread: np.ndarray | None = None) -> np.ndarray:
    """z-score traces over the last axis in place; constant or NaN traces become 0."""
    traces -= traces.mean(axis=-1, keepdims=True, dtype=np.float64).astype(np.float32)
    std = np.sqrt(np.einsum("...t,...t->...", traces, traces) / traces.shape[-1])
    # A pixel that varies by rounding only is constant: its correlation would be noise of the arithmetic.
    floor = 1e-6 * (np.abs(spread) if spread is not None else 0)
    good = np.isfinite(std) & (std > floor)
    traces *= np.where(good, 1 / np.where(good, std, 1), 0)[..., None].astype(np.float32)
    if not good.all():
        traces[~good] = 0
    return traces


def neighbour_correlation(Z: np.ndarray, eight_neighbours: bool = True) -> np.ndarray:
    """
    Mean correlation of each pixel with its neighbours inside the image.

    Parameters
    ----------
    Z : ndarray of shape (d1, d2, T), float32
        Traces with mean 0 and standard deviation 1 (or 0 for pixels that don't count).
    eight_neighbours : bool
        Eight neighbours or the four that share an edge.

    Returns
    -------
    ndarray of shape (d1, d2), float64
        Mean of the correlations; a corner pixel has three (two) neighbours, an edge pixel five (three).
    """
    d1, d2, T = Z.shape
    total = np.zeros((d1, d2))
    count = np.zeros((d1, d2))
    for dr, dc in _HALF_8 if eight_neighbours else _HALF_4:
        here = slice(0, d1 - dr), slice(max(-dc, 0), d2 - max(dc, 0))
        there = slice(dr, d1), slice(max(dc, 0), d2 - max(-dc, 0))
        product = np.einsum("ijt,ijt->ij", Z[here], Z[there]) / T
        for part in (here, there):
            total[part] += product
            count[part] += 1
    return total / np.maximum(count, 1)


def local_correlations(
    Y: np.ndarray, eight_neighbours: bool = True, swap_dim: bool = True, order_mean: int = 1
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
    out = np.empty(movie.shape[1:], dtype=np.float64)
    for tile in _tiles(movie.shape, halo=1):
        traces = np.array(movie[(slice(None), *tile.outer)].transpose(1, 2, 0), dtype=np.float32, order="C")
        level = np.abs(traces).max(axis=-1)
        out[tile.inner] = neighbour_correlation(standardise(traces, level), eight_neighbours)[tile.crop]
    return out


def local_correlations_fft(
    Y: np.ndarray,
    eight_neighbours: bool = True,
    swap_dim: bool = True,
    opencv: bool = True,
    rolling_window: int | None = None,
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
    return local_correlations(Y, eight_neighbours, swap_dim).astype(np.float32)


def max_correlation_image(
    Y: np.ndarray, bin_size: int = 1000, eight_neighbours: bool = True, swap_dim: bool = True
) -> np.ndarray:
    """
    Maximum over time bins of the local correlation image.

    Parameters
    ----------
    Y, eight_neighbours, swap_dim
        As in `local_correlations`.
    bin_size : int
        Frames in a bin, about: the movie is cut into bins of equal length.

    Returns
    -------
    ndarray of shape (d1, d2), float32
        Correlation image that also shows cells active in one bin only.
    """
    movie = _frames_first(Y, swap_dim)
    n_bins = max(1, round(len(movie) / bin_size))
    edges = np.linspace(0, len(movie), n_bins + 1).astype(int)
    images = (
        local_correlations(movie[start:stop], eight_neighbours, swap_dim=False)
        for start, stop in zip(edges[:-1], edges[1:])
    )
    out = next(images)
    for image in images:
        np.maximum(out, image, out=out)
    return out.astype(np.float32)


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
    movie = _frames_first(Y, swap_dim)
    kernel = _kernel(gSig, center_psf, background_filter)
    cn = np.empty(movie.shape[1:], dtype=np.float32)
    pnr = np.empty(movie.shape[1:], dtype=np.float32)
    halo = 1 + (0 if kernel is None else max(kernel.shape) // 2)
    for tile in _tiles(movie.shape, halo):
        frames = np.array(movie[(slice(None), *tile.outer)], dtype=np.float32)
        incomplete = _fill_nan(frames)
        level = np.abs(frames).max(axis=0)
        level[incomplete] = np.inf  # no noise is above the floor then, so both images are 0 there
        if kernel is not None:
            filter_frames(frames, kernel, out=frames)
        traces = np.ascontiguousarray(frames.transpose(1, 2, 0))
        del frames
        tile_cn, tile_pnr = pnr_and_correlation(traces, signal_level=_SIGNAL_LEVEL, level=level)
        cn[tile.inner], pnr[tile.inner] = tile_cn[tile.crop], tile_pnr[tile.crop]
    return CorrelationPNR(cn, pnr)


def _fill_nan(frames: np.ndarray) -> np.ndarray:
    """
    Fill what is missing in place, or the filter would spread NaN over the image; return incomplete pixels.

    Incomplete pixels take the values of the nearest complete one: a constant instead would make an edge that
    lights up whenever the background does. Frames without any value take the mean.
    """
    missing = np.isnan(frames)
    seen = ~missing.all(axis=(1, 2))
    incomplete = missing[seen].any(axis=0)
    if not seen.any() or incomplete.all():
        frames[:] = 0
        return np.ones_like(incomplete)
    if incomplete.any():
        rows, columns = ndimage.distance_transform_edt(
            incomplete, return_distances=False, return_indices=True
        )
        frames[:, incomplete] = frames[:, rows[incomplete], columns[incomplete]]
    if not seen.all():
        frames[~seen] = frames[seen].mean(axis=0)
    return incomplete


def pnr_and_correlation(
    traces: np.ndarray, signal_level: float, level: np.ndarray | None = None
) -> CorrelationPNR:
    """
    PNR and local correlation of traces that are filtered already.

    Parameters
    ----------
    traces : ndarray of shape (d1, d2, T), float32
        Filtered traces; overwritten.
    signal_level : float
        Samples below this many noise levels are set to 0 before they are correlated.
    level : ndarray of shape (d1, d2), optional
        Brightness of the unfiltered movie: a noise below one millionth of it is rounding.

    Returns
    -------
    CorrelationPNR
        The two images, float32.
    """
    traces -= traces.mean(axis=-1, keepdims=True, dtype=np.float64).astype(np.float32)
    noise = pixel_noise(traces)
    good = noise > (1e-6 * level if level is not None else 0)
    safe = np.where(good, noise, 1)
    pnr = np.where(good, np.maximum(traces.max(axis=-1) / safe, 0), 0)
    traces[~good] = 0
    traces[traces < signal_level * safe[..., None]] = 0
    cn = neighbour_correlation(standardise(traces))
    return CorrelationPNR(cn.astype(np.float32), pnr.astype(np.float32))
