"""
What tells a cell from fibres, torn frames, haze, moving tissue and doubles, which SNR and correlation can't.

A cell's light comes from one compact place about as wide as gSig says, in many frames, from there and not
from its surroundings, and is one component's. Each measure asks for one of these. Lengths are in gSig, times
in those of a transient, and all else is a ratio, so that neither unit nor brightness enters.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from scipy import ndimage, sparse

from cnmf_engine.movies.access import matching_pixels, pixel_numbers
from cnmf_engine.stages.evaluation import weighted_images
from cnmf_engine.stages.transients import transient_snr

__all__ = [
    "MEASURES",
    "REASONS",
    "Alike",
    "EventImage",
    "Shape",
    "alike",
    "doubles",
    "event_images",
    "implausible",
    "shape",
    "snr_rest",
]

#: What is measured of each component by itself.
MEASURES = ("width", "roundness", "snr_rest", "locality", "surround", "movement")
#: What a component can be instead of a cell, in the order in which it is asked.
REASONS = ("shape", "few frames", "haze", "movement", "double")

# Footprints: outline at this share of the maximum, after smoothing by this share of gSig that closes holes.
_OUTLINE, _OUTLINE_SMOOTHING = 0.35, 0.35
# A footprint as bright as this share of its maximum at the edge of the image is cut through by it. It counts
# as this much narrower than with its mirror image: registration leaves narrow bright spots at the edge.
_CUT_THROUGH, _CUT_WIDTH = 0.8, 0.7
# Highest frames left out: a fault of the camera or cable is one frame, two can hit one component.
_LEFT_OUT = 2
# Highest events that are averaged, as many as the spatial correlation has peaks; and frames taken of each,
# before it and after it. Their product decides what is read from disk.
_EVENTS, _FRAMES = 10, 6
# Active from half of the highest event; quiet below a quarter of it.
_ACTIVE, _QUIET = 0.5, 0.25
# Baseline of a smoothed trace: cells that fire without pause are quiet for at least this share of frames.
_BASELINE_PERCENTILE = 20
# Distances from the centre, in gSig: the window and what the footprint is compared with; where movement is
# looked for; the footprint's middle; and a ring that a cell half as wide again leaves dark.
_WINDOW, _CLOSE, _CORE, _RING = 4.0, 2.5, 0.8, (2.5, 3.0)
# Images are smoothed by this share of gSig: below it there is only noise.
_SMOOTHING = 0.45
# Pixels a gSig that are read: more would only cost time.
_SAMPLING = 3.0
# Haze: the footprint must explain at least the surroundings' share of the middle's light less this.
_HAZY = 0.35
# Components whose images are in memory at once.
_TOGETHER = 256
# Cosine of footprints above which two components can be one cell: neighbours reach 0.3.
_OVERLAP = 0.4


class Shape(NamedTuple):
    """
    Shape of footprints, in their main part (the brightest piece of what lies within the outline).

    Attributes
    ----------
    width : ndarray of shape (K,), float64
        Standard deviation along the short axis, in gSig, counted less the less round the part is: 0.8 to 1.5
        for cells, below 0.5 for fibres and single pixels.
    roundness : ndarray of shape (K,), float64
        1 for a disc, 0.8 for an ellipse twice as long as wide, less for crescents and branches.
    """

    width: np.ndarray
    roundness: np.ndarray


class EventImage(NamedTuple):
    """
    What the movie shows around a component when it is active, against when it is quiet.

    Attributes
    ----------
    locality : ndarray of shape (K,), float64
        Share of the image's contrast, without smooth background and noise, that the footprint explains.
    surround : ndarray of shape (K,), float64
        Brightening 2.5 to 3 gSig away, as a share of that in the middle; can be negative, and is infinite if
        there is none in the middle (background can fall by more than the cell rises).
    movement : ndarray of shape (K,), float64
        How much a displacement of the image explains that the footprint doesn't, against the other way round:
        0 for what appears, 1 for what moves.
    """

    locality: np.ndarray
    surround: np.ndarray
    movement: np.ndarray


def shape(A: sparse.spmatrix, dims: tuple[int, int], gSig: tuple[float, float]) -> Shape:
    """
    Measure how wide and how round footprints are.

    Parameters
    ----------
    A : sparse matrix of shape (d, K)
        Footprints, pixels in Fortran order.
    dims : tuple of int
        Rows and columns.
    gSig : tuple of float
        Half width of a cell along rows and columns, px.

    Returns
    -------
    Shape
        0 and 0 for an empty footprint.

    References
    ----------
    Zunic, Hirota & Rosin 2010, Pattern Recognition 43:47, section 3 (roundness from the first Hu moment).
    """
    A = sparse.csc_matrix(A)
    width, roundness = np.zeros(A.shape[1]), np.zeros(A.shape[1])
    sizes = np.asarray(gSig, dtype=np.float64)
    margin = int(np.ceil(2 * _OUTLINE_SMOOTHING * sizes.max())) + 1
    for k in range(A.shape[1]):
        part = slice(A.indptr[k], A.indptr[k + 1])
        values = np.asarray(A.data[part], dtype=np.float64)
        if not values.size or not values.max() > 0:
            continue
        rows, cols = A.indices[part] % dims[0], A.indices[part] // dims[0]
        image = np.zeros((np.ptp(rows) + 1, np.ptp(cols) + 1))
        image[rows - rows.min(), cols - cols.min()] = values
        seen = image
        for at, side in zip((rows, cols), dims):
            # Of a cell that the edge of the image cuts through, the other half is taken to mirror this one.
            for edge, pad in ((0, (len(image), 0)), (side - 1, (0, len(image)))):
                if values[at == edge].max(initial=0) > _CUT_THROUGH * values.max():
                    image = np.pad(image, (pad, (0, 0)), mode="symmetric")
            image = image.T
        width[k], roundness[k] = _shape_of(np.pad(seen, margin), sizes)
        if image.size > seen.size:
            wide, round_ = _shape_of(np.pad(image, margin), sizes)
            width[k], roundness[k] = max(width[k], _CUT_WIDTH * wide), max(roundness[k], round_)
    return Shape(width, roundness)


def _shape_of(image: np.ndarray, sizes: np.ndarray) -> tuple[float, float]:
    """Width and roundness of one footprint, cut out with a margin."""
    smooth = ndimage.gaussian_filter(image, _OUTLINE_SMOOTHING * sizes)
    pieces, n_pieces = ndimage.label(smooth > _OUTLINE * smooth.max())
    power = np.bincount(pieces.ravel(), (image**2).ravel(), n_pieces + 1)
    main = pieces == 1 + np.argmax(power[1:])
    at = np.argwhere(main)
    # A pixel is a square with a variance of 1/12 along each side.
    spread = ((at - at.mean(axis=0)) ** 2).sum() / len(at) + 1 / 6
    round_ = min(len(at) / (2 * np.pi * spread), 1.0)
    # The square of a Gaussian is narrower by the square root of two, and hangs less on what is cut off.
    weights = image[main] ** 2
    weights /= weights.sum()
    place = (at - weights @ at) / sizes
    yy, xx = weights @ place**2 + 1 / (12 * sizes**2)
    xy = weights @ place.prod(axis=1)
    short = (yy + xx) / 2 - np.hypot((yy - xx) / 2, xy)
    return float(np.sqrt(2 * max(short, 0.0)) * round_), float(round_)


def without_highest(traces: np.ndarray) -> np.ndarray:
    """Replace the two highest frames of each trace by what lies beside them."""
    traces = np.array(traces, dtype=np.float64)
    frames = np.arange(traces.shape[1])
    for trace in traces:
        left, top = np.nan_to_num(trace, nan=-np.inf), []
        for _ in range(min(_LEFT_OUT, len(trace))):
            top.append(int(np.argmax(left)))
            left[top[-1]] = -np.inf
        rest = np.delete(frames, top)
        if rest.size:
            trace[top] = np.interp(top, rest, trace[rest])
    return traces


def snr_rest(traces: np.ndarray, snr: np.ndarray, fr: float, decay_time: float) -> np.ndarray:
    """
    Tell how much of the SNR is left without the two highest frames.

    A torn frame or a flash is one frame, and nothing is left without it. A transient lasts for several
    frames, or, where the indicator is faster than the camera, there are several of them.

    Parameters
    ----------
    traces : ndarray of shape (K, T)
        Raw traces ``C + YrA``.
    snr : ndarray of shape (K,)
        SNR of the whole traces, from `transient_snr`.
    fr : float
        Frames a second, Hz.
    decay_time : float
        Length of a typical transient, s.

    Returns
    -------
    ndarray of shape (K,), float64
        Ratio of the two SNR; 1 where the SNR isn't positive.
    """
    snr = np.asarray(snr, dtype=np.float64)
    left = transient_snr(without_highest(traces), fr, decay_time)
    return np.divide(left, snr, out=np.ones(len(snr)), where=np.isfinite(snr) & (snr > 0))


class _Contrast(NamedTuple):
    """Frames of a component and their weights: active minus quiet, quiet before minus after, quiet alone."""

    frames: np.ndarray
    weights: np.ndarray


def _contrast(smooth: np.ndarray, base: float) -> _Contrast | None:
    """Choose frames in which a smoothed trace is active, and quiet ones beside them; None without any."""
    rise = smooth.max() - base
    if not rise > 0:
        return None
    edges = np.diff((smooth >= base + _ACTIVE * rise).astype(np.int8), prepend=0, append=0)
    starts, stops = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    heights = np.maximum.reduceat(np.append(smooth, -np.inf), np.stack([starts, stops], 1).ravel())[::2]
    highest = np.argsort(-heights, kind="stable")[:_EVENTS]
    starts, stops = starts[highest, None], stops[highest, None]
    active = np.full((len(highest), _FRAMES), -1)
    for event, (start, stop) in enumerate(zip(starts[:, 0], stops[:, 0])):
        top = np.argsort(-smooth[start:stop], kind="stable")[:_FRAMES]
        active[event, : len(top)] = start + top
    quiet, steps = np.flatnonzero(smooth < base + _QUIET * rise), np.arange(_FRAMES)
    if not quiet.size:
        return None
    before, after = np.searchsorted(quiet, starts) - 1 - steps, np.searchsorted(quiet, stops) + steps
    parts = ((active, active >= 0), (before, before >= 0), (after, after < len(quiet)))
    used = parts[1][1].any(axis=1) | parts[2][1].any(axis=1)
    both = (parts[1][1].any(axis=1) & parts[2][1].any(axis=1))[:, None]
    weights = np.zeros((len(smooth), 3))
    # Each event counts alike, and each of its sides.
    for (at, there), where, images in zip(parts, (None, quiet, quiet), ((1, 0, 0), (-1, 1, 1), (-1, -1, 1))):
        there = there & used[:, None]
        share = there / np.maximum(there.sum(axis=1, keepdims=True), 1)
        frames = at[there] if where is None else where[at[there]]
        for image, sign in enumerate(images):
            if sign:
                part = share if where is None else share * both if image == 1 else share / (1 + both)
                weights[:, image] += np.bincount(frames, sign * part[there], len(weights))
    if not used.any():
        return None
    frames = np.flatnonzero(weights.any(axis=1))
    return _Contrast(frames, weights[frames] / used.sum())


def event_images(
    movie: np.ndarray,
    A: sparse.spmatrix,
    C: np.ndarray,
    traces: np.ndarray,
    *,
    dims: tuple[int, int],
    gSig: tuple[float, float],
    fr: float,
    decay_time: float,
) -> EventImage:
    """
    Look at the movie around each component when it is active.

    The mean of the frames at its highest events, less that of quiet frames before and after them, less what
    other components do in these frames, is an image of what the component is: a cell is its footprint; haze
    goes on far beyond; where tissue moves, it is the difference of the tissue here and a little further.
    Only pixels around footprints and some frames of each component are read.

    Parameters
    ----------
    movie : ndarray or memmap of shape (T, d1, d2) or (d, T)
        Movie the components were found in.
    A : sparse matrix of shape (d, K)
        Footprints, pixels in Fortran order.
    C, traces : ndarray of shape (K, T)
        Denoised traces, and raw traces ``C + YrA``.
    dims : tuple of int
        Rows and columns.
    gSig : tuple of float
        Half width of a cell along rows and columns, px.
    fr : float
        Frames a second, Hz.
    decay_time : float
        Length of a typical transient, s.

    Returns
    -------
    EventImage
        NaN where a component has no event, no quiet frame or no footprint.
    """
    A = sparse.csc_matrix(A)
    C = np.asarray(C)
    found = EventImage(*(np.full(A.shape[1], np.nan) for _ in EventImage._fields))
    smooth = ndimage.uniform_filter1d(
        without_highest(np.nan_to_num(traces)), max(1, round(fr * decay_time / 2)), axis=1
    )
    base = np.percentile(smooth, _BASELINE_PERCENTILE, axis=1) if len(smooth) else []
    centres = _centres(A, dims)
    usable = np.isfinite(centres).all(axis=1)
    contrasts = {}
    for k in np.flatnonzero(usable):
        contrast = _contrast(smooth[k], base[k])
        if contrast is not None:
            contrasts[int(k)] = contrast
    number = pixel_numbers(movie, dims)
    Yr, _ = matching_pixels(movie, sparse.csc_matrix((A.shape[0], 0)))
    grid, by_pixel = _Grid.of(gSig), A.tocsr()
    some = list(contrasts)
    for start in range(0, len(some), _TOGETHER):
        chosen = np.array(some[start : start + _TOGETHER])
        rows = np.clip(np.rint(centres[chosen, 0]).astype(int)[:, None] + grid.rows, 0, dims[0] - 1)
        cols = np.clip(np.rint(centres[chosen, 1]).astype(int)[:, None] + grid.cols, 0, dims[1] - 1)
        parts = [contrasts[k] for k in chosen]
        pixels = [number[np.ix_(row, col)].ravel() for row, col in zip(rows, cols)]
        images = np.stack(weighted_images(Yr, pixels, [p.frames for p in parts], [p.weights for p in parts]))
        places = (rows[:, :, None] + dims[0] * cols[:, None]).reshape(len(chosen), -1)
        own = _take_others_off(images, by_pixel, places, chosen, C, parts)
        noise = np.array([(p.weights[:, :2] ** 2).sum(axis=0) for p in parts])
        for measure, values in zip(found, grid.measure(images, own, noise)):
            measure[chosen] = values
    return found


def _centres(A: sparse.csc_matrix, dims: tuple[int, int]) -> np.ndarray:
    """Centres of the squared footprints, ``(K, 2)``, px; NaN for an empty one."""
    power = A.multiply(A).T.tocsr()
    pixels = np.arange(A.shape[0])
    moments = power @ np.stack([pixels % dims[0], pixels // dims[0], np.ones(len(pixels))], 1)
    with np.errstate(invalid="ignore"):
        return np.where(moments[:, 2:] > 0, moments[:, :2] / moments[:, 2:], np.nan)


def _take_others_off(
    images: np.ndarray,
    by_pixel: sparse.csr_matrix,
    places: np.ndarray,
    chosen: np.ndarray,
    C: np.ndarray,
    parts: list,
) -> np.ndarray:
    """Subtract what others do in the frames of each component, in place; give footprints ``(n, p)``."""
    footprints = by_pixel[places.ravel()].tocoo()
    window, pixel = np.divmod(footprints.row, places.shape[1])
    own = np.zeros(places.shape)
    mine = footprints.col == chosen[window]
    own[window[mine], pixel[mine]] = footprints.data[mine]
    window, pixel, other, value = (v[~mine] for v in (window, pixel, footprints.col, footprints.data))
    pairs, which = np.unique(window.astype(np.int64) * len(C) + other, return_inverse=True)
    change = np.empty((len(pairs), 2))
    for k, part in enumerate(parts):
        here = slice(*np.searchsorted(pairs, [k * len(C), (k + 1) * len(C)]))
        change[here] = (
            C[np.ix_(pairs[here] - k * len(C), part.frames)].astype(np.float64) @ part.weights[:, :2]
        )
    for image in range(2):
        amount = np.bincount(window * places.shape[1] + pixel, value * change[which, image], places.size)
        images[:, :, image] -= amount.reshape(places.shape)
    return own


class _Grid(NamedTuple):
    """Pixels around a component, thinned out where it is large: steps from its centre, and in gSig."""

    rows: np.ndarray
    cols: np.ndarray
    y: np.ndarray
    x: np.ndarray

    @classmethod
    def of(cls, gSig: tuple[float, float]) -> _Grid:
        """Make the grid for cells of that size."""
        steps = [max(1, int(size / _SAMPLING)) for size in gSig]
        lines = [
            step * np.arange(-(r := int(_WINDOW * size / step)), r + 1) for size, step in zip(gSig, steps)
        ]
        return cls(*lines, *(line / size for line, size in zip(lines, gSig)))

    def measure(self, images: np.ndarray, own: np.ndarray, noise: np.ndarray) -> tuple[np.ndarray, ...]:
        """Locality, surround and movement from images ``(n, p, 3)``, footprints ``(n, p)`` and noise."""
        y, x = (part.ravel() for part in np.meshgrid(self.y, self.x, indexing="ij"))
        distance = np.hypot(y, x)
        spacing = (0, 0, _SMOOTHING / (self.y[1] - self.y[0]), _SMOOTHING / (self.x[1] - self.x[0]))
        layers = np.concatenate([images, own[:, :, None]], axis=2).transpose(2, 0, 1)
        layers = layers.reshape(4, len(own), len(self.y), len(self.x))
        layers = ndimage.gaussian_filter(layers, spacing, mode="nearest", truncate=3)
        flow = [part.reshape(own.shape) for part in np.gradient(layers[2], axis=(1, 2))]
        event, still, _, cell = layers.reshape(4, *own.shape)
        core = event[:, distance < _CORE].mean(axis=1)
        ring = np.median(event[:, (distance >= _RING[0]) & (distance <= _RING[1])], axis=1)
        surround = np.divide(ring, core, out=np.full(len(core), np.inf), where=core > 0)
        here = distance <= _WINDOW
        smooth = np.stack([np.ones_like(y), y, x, y * y, x * x, x * y], 1)
        basis, _ = np.linalg.qr(smooth[here])
        event_, still_, cell_ = (_without(part[:, here], basis) for part in (event, still, cell))
        explained, left = _explain(event_, cell_)
        # What two means of quiet frames differ by isn't explained either, and says nothing.
        noise = np.divide(noise[:, 0], noise[:, 1], out=np.zeros(len(noise)), where=noise[:, 1] > 0)
        left = np.maximum(left - noise * _explain(still_, cell_)[1], 0)
        # The middle may be darker than before: the background can fall by more than the cell rises.
        locality = np.divide(explained, explained + left, out=np.zeros(len(own)), where=explained > 0)
        close = distance <= _CLOSE
        basis, _ = np.linalg.qr(smooth[close, :3])
        target, cell_, *flow = (_without(part[:, close], basis) for part in (event, cell, *flow))
        both = _residual(target, [cell_, *flow])
        moved, appeared = _residual(target, [cell_]) - both, _residual(target, flow) - both
        total = moved + appeared
        return locality, surround, np.divide(moved, total, out=np.zeros(len(own)), where=total > 0)


def _without(images: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Images ``(n, p)`` less their part in an orthonormal basis ``(p, q)``."""
    return images - (images @ basis) @ basis.T


def _explain(images: np.ndarray, footprints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Power of each image that its footprint explains (0 if it is negative), and power that it leaves."""
    norm = (footprints**2).sum(axis=1)
    along = np.divide(
        (footprints * images).sum(axis=1), np.sqrt(norm), out=np.zeros(len(norm)), where=norm > 0
    )
    return np.maximum(along, 0) ** 2, (images**2).sum(axis=1) - along**2


def _residual(images: np.ndarray, regressors: list[np.ndarray]) -> np.ndarray:
    """Power of each image that its regressors leave."""
    left, done = images, []
    for part in regressors:
        # Gram-Schmidt, image by image: a regressor that depends on the others explains nothing.
        size = (part**2).sum(axis=1)
        for other in done:
            part = part - (part * other).sum(axis=1, keepdims=True) * other
        rest = (part**2).sum(axis=1)
        norm = np.where(rest > 1e-8 * size, np.sqrt(rest), np.inf)
        done.append(part / norm[:, None])
        left = left - (left * done[-1]).sum(axis=1, keepdims=True) * done[-1]
    return (left**2).sum(axis=1)


class Alike(NamedTuple):
    """
    Components whose footprints overlap.

    Attributes
    ----------
    first, second : ndarray of int
        The two of each pair.
    likeness : ndarray of float64
        Cosine of their footprints or correlation of their traces, whichever is higher: two components in one
        place are one cell, even if they share out its transients.
    """

    first: np.ndarray
    second: np.ndarray
    likeness: np.ndarray


def alike(A: sparse.spmatrix, traces: np.ndarray, fr: float, decay_time: float) -> Alike:
    """
    Compare components that lie upon each other.

    Parameters
    ----------
    A : sparse matrix of shape (d, K)
        Footprints.
    traces : ndarray of shape (K, T)
        Raw traces ``C + YrA``.
    fr : float
        Frames a second, Hz.
    decay_time : float
        Length of a typical transient, s; traces are smoothed over half of it.

    Returns
    -------
    Alike
        All pairs whose footprints have a cosine above 0.4.
    """
    A = sparse.csc_matrix(A, dtype=np.float64)
    norm = np.sqrt(np.asarray(A.multiply(A).sum(axis=0)).ravel())
    unit = A @ sparse.diags(1 / np.where(norm > 0, norm, 1))
    pairs = sparse.triu(unit.T @ unit, k=1).tocoo()
    close = pairs.data > _OVERLAP
    first, second, likeness = pairs.row[close], pairs.col[close], pairs.data[close].copy()
    steps = max(1, round(fr * decay_time / 2))
    for pair, both in enumerate(zip(first, second)):
        smooth = ndimage.uniform_filter1d(np.asarray(traces[list(both)], dtype=np.float64), steps, axis=1)
        smooth -= smooth.mean(axis=1, keepdims=True)
        size = np.sqrt((smooth**2).sum(axis=1)).prod()
        if size > 0:
            likeness[pair] = max(likeness[pair], smooth[0] @ smooth[1] / size)
    return Alike(first, second, likeness)


def doubles(pairs: Alike, snr: np.ndarray, among: np.ndarray) -> np.ndarray:
    """
    Tell how alike a component and a better one in its place are.

    Parameters
    ----------
    pairs : Alike
        From `alike`.
    snr : ndarray of shape (K,)
        SNR; of two components the one with the higher SNR is better, of equal ones the first.
    among : ndarray of shape (K,), bool
        Components that count: what was rejected is no reason to reject another.

    Returns
    -------
    ndarray of shape (K,), float64
        Highest likeness to a better component; 0 without one.
    """
    found = np.zeros(len(among))
    for first, second, likeness in zip(*pairs):
        if among[first] and among[second]:
            worse = second if snr[first] >= snr[second] else first
            found[worse] = max(found[worse], likeness)
    return found


def implausible(
    measures: Mapping[str, np.ndarray],
    snr: np.ndarray,
    passed: np.ndarray,
    pairs: Alike,
    limits: Mapping[str, float],
) -> tuple[np.ndarray, np.ndarray]:
    """
    Say of each component what it is if it is no cell.

    Parameters
    ----------
    measures : mapping of str to ndarray of shape (K,)
        ``width, roundness, snr_rest, locality, surround, movement``. NaN, what couldn't be measured, rejects
        nothing.
    snr : ndarray of shape (K,)
        SNR, by which the better of two is told.
    passed : ndarray of int
        Components that the other criteria accept; only these can have doubles.
    pairs : Alike
        From `alike`.
    limits : mapping of str to float
        The keys of the parameters' group 'quality': 'shape' is below ``min_width`` or ``min_roundness``; 'few
        frames' below ``min_snr_rest``, unless what is left of the SNR exceeds ``min_SNR``; 'haze' has a
        surround above ``max_surround``, and a locality below it less 0.35 (glow seen through a gap between
        vessels is as narrow as a cell) or below ``min_locality`` times the fourth power of the width (the
        wider a footprint, the better it explains what is wider still); 'movement' is above ``max_movement``;
        'double' above ``max_likeness``.

    Returns
    -------
    reasons : ndarray of shape (K,), str
        One of `REASONS`, the first that holds; empty for none.
    likeness : ndarray of shape (K,), float64
        From `doubles`.
    """
    width, rest, surround = (
        np.asarray(measures[name], dtype=np.float64) for name in ("width", "snr_rest", "surround")
    )
    # A dark middle, whose share is infinite, says nothing of how narrow the glow is.
    narrow = np.where(np.isfinite(surround), np.minimum(surround, 1) - _HAZY, 0)
    least = np.maximum(limits["min_locality"] * width**4, narrow)
    held = (
        (width < limits["min_width"]) | (measures["roundness"] < limits["min_roundness"]),
        (rest < limits["min_snr_rest"]) & ~(rest * snr > limits["min_SNR"]),
        (surround > limits["max_surround"]) & (measures["locality"] < least),
        measures["movement"] > limits["max_movement"],
    )
    reasons = np.select(held, REASONS[: len(held)], "").astype("U10")
    among = np.isin(np.arange(len(width)), passed) & (reasons == "")
    likeness = doubles(pairs, snr, among)
    reasons[likeness > limits["max_likeness"]] = REASONS[-1]
    return reasons, likeness
