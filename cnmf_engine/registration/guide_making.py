"""Guides made from frames spread over a movie."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from cnmf_engine.cluster import map_ordered
from cnmf_engine.registration.estimator import ShiftEstimator, clipped, limits
from cnmf_engine.registration.guides import Guide, PlainGuide, WeightedGuide
from cnmf_engine.registration.passes import read_frames, spread
from cnmf_engine.registration.reduction import Reduction
from cnmf_engine.registration.templates import (
    bin_median,
    filter_margin,
    high_pass,
    match_filter,
    reliable_part,
)
from cnmf_engine.registration.warping import fill_missing, moved
from cnmf_engine.registration.weighting import Noise, Weights, shifted

__all__ = ["guide_from", "guide_to", "image_of", "mean_images", "reduced_sample", "weights_of"]

logger = logging.getLogger("caiman")

_FIRST_FRAMES = 100
_ROUNDS = 3
_FEW_FRAMES = 20
# Frames that make a weighted template, and pixels of them that are held at once at most.
_SAMPLE_FRAMES, _SAMPLE_PIXELS = 400, 3 * 2**22
_NOISE_FRAMES = 200
_BLOCK, _AT_ONCE = 25, 4
_MEAN_FRAMES, _MEANS = 400, 14


def guide_from(
    movie: Any, max_shifts: Any, gSig_filt: Any = None, dview: Any = None, filter_mode: str = "auto"
) -> Guide:
    """
    Make a guide from frames spread over a movie.

    At most 100 frames, in two halves, are aligned with each other in three rounds. With `filter_mode` 'auto'
    at most 400 are then aligned with their mean, the noise is measured, and both again with its weights.
    Movies of any length work, but fewer than 20 frames give a noisy template and a warning.

    Parameters
    ----------
    movie : array_like of shape (T, d1, d2)
        Anything with a shape that gives frames when it is sliced.
    max_shifts, gSig_filt, dview, filter_mode
        As for `cnmf_engine.registration.register_rigid`.

    Returns
    -------
    Guide
        For this movie.
    """
    T = movie.shape[0]
    if T < _FEW_FRAMES:
        logger.warning(
            "The movie has only %d frame(s): the template of the motion correction is made from all of them "
            "and is noisy. Check the shifts, or pass template=... from a longer recording.",
            T,
        )
    if gSig_filt is None or filter_mode == "caiman":
        sample = _sample(movie, _FIRST_FRAMES, partial(high_pass, gSig_filt=gSig_filt), dview)
        clip, margin = gSig_filt is not None, filter_margin(gSig_filt)
        template = _aligned_mean(sample, max_shifts, margin, clip, clip, dview)
        guide = PlainGuide(template, max_shifts, gSig_filt)
        means, shifts = mean_images(movie, guide, dview)
        # The mean position becomes the origin, so that the limits reach about as far on both sides.
        image = _joined(high_pass(means, gSig_filt), clip)
        return PlainGuide(moved(image[None], -shifts.mean(axis=0)[None])[0], max_shifts, gSig_filt)
    reduction = Reduction(gSig_filt, tuple(movie.shape[1:]))
    n = int(np.clip(_SAMPLE_PIXELS // np.prod(reduction.dims), _FIRST_FRAMES, _SAMPLE_FRAMES))
    return _weighted(_sample(movie, n, reduction, dview), reduction, max_shifts, dview)


def guide_to(
    movie: Any,
    template: np.ndarray,
    max_shifts: Any,
    gSig_filt: Any = None,
    dview: Any = None,
    filter_mode: str = "auto",
) -> Guide:
    """
    Make a guide to a given template.

    A template of CaImAn's kind lacks what its filter removed. So the movie's own mean image is laid onto it,
    which is exact because that image holds little noise, and frames are compared with the image.

    Parameters
    ----------
    movie : array_like of shape (T, d1, d2)
        As for `guide_from`.
    template : ndarray of shape (d1, d2)
        The template, filtered by `high_pass`.
    max_shifts, gSig_filt, dview, filter_mode
        As for `guide_from`.

    Returns
    -------
    Guide
        Brings frames to the place of the template. It compares them with the template itself if that has no
        contrast or the movie is too short for an image of its own.
    """
    blank = np.ptp(template) == 0
    if gSig_filt is None or filter_mode == "caiman" or blank or movie.shape[0] < _FEW_FRAMES:
        return PlainGuide(template, max_shifts, gSig_filt)
    guide = guide_from(movie, max_shifts, gSig_filt, dview, filter_mode)
    image = high_pass(mean_images(movie, guide, dview)[0].mean(axis=0)[None], gSig_filt)
    return guide.at(ShiftEstimator(template, max_shifts, filter_margin(gSig_filt)).find(image)[0])


def mean_images(movie: Any, guide: Guide, dview: Any = None) -> tuple[np.ndarray, np.ndarray]:
    """
    Align at most 400 frames of a movie with a guide.

    Parameters
    ----------
    movie : array_like of shape (T, d1, d2)
        As for `guide_from`.
    guide : Guide
        Finds the shifts.
    dview : object, optional
        Workers.

    Returns
    -------
    means : ndarray of shape (n, d1, d2), float32
        Mean aligned frame of each of at most 14 parts of the movie.
    shifts : ndarray of shape (frames, 2)
        Shifts of the frames, px.
    """
    index, means, shifts = spread(movie.shape[0], _MEAN_FRAMES), [], []
    for numbers in np.array_split(index, min(_MEANS, len(index))):
        frames = fill_missing(read_frames(movie, numbers), numbers)[0]
        found = map_ordered(partial(_moved_sum, guide), np.array_split(frames, min(4, len(frames))), dview)
        shifts += [part[0] for part in found]
        means.append(sum(part[1] for part in found) / len(frames))
    return np.stack(means).astype(np.float32), np.concatenate(shifts)


def _moved_sum(guide: Guide, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    shifts = guide.find(frames)
    return shifts, moved(frames, shifts).sum(axis=0, dtype=np.float64)


def image_of(
    movie: Any, guide: Guide, gSig_filt: Any = None, dview: Any = None, filter_mode: str = "auto"
) -> np.ndarray:
    """
    Show what a guide brings frames to, at full resolution.

    Parameters
    ----------
    movie : array_like of shape (T, d1, d2)
        As for `guide_from`.
    guide : Guide
        Of this movie.
    gSig_filt, dview, filter_mode
        As for `guide_from`.

    Returns
    -------
    ndarray of shape (d1, d2), float32
        Median of mean images, filtered by `match_filter`, without what odd and even ones don't agree on.
    """
    means, _ = mean_images(movie, guide, dview)
    return _joined(match_filter(means, gSig_filt, filter_mode), gSig_filt is not None)


def _joined(parts: np.ndarray, wiener: bool) -> np.ndarray:
    if not wiener or len(parts) < 4:
        return np.median(parts, axis=0)
    return reliable_part(np.median(parts[::2], axis=0), np.median(parts[1::2], axis=0))


def weights_of(aligned: np.ndarray, margin: int, n_noise: int = _NOISE_FRAMES) -> tuple[np.ndarray, Noise]:
    """
    Give the mean of aligned frames and how they differ from it.

    Parameters
    ----------
    aligned : ndarray of shape (n, d1, d2), float32
        Aligned filtered frames.
    margin : int
        Width of the border to leave out, px.
    n_noise : int
        At most this many frames, spread over all, are compared with the mean.

    Returns
    -------
    template : ndarray of shape (d1, d2), float32
        The mean.
    noise : Noise
        The differences.
    """
    total = np.zeros(aligned.shape[1:])
    for frame in aligned:
        total += frame
    template = (total / len(aligned)).astype(np.float32)
    differences = aligned[spread(len(aligned), n_noise)]
    differences -= template
    return template, Noise.of(differences, margin)


def _weighted(sample: np.ndarray, reduction: Reduction, max_shifts: Any, dview: Any) -> WeightedGuide:
    """Align a sample with its own mean, which gets better by it, and measure the noise that is left."""
    reach = np.array(limits(max_shifts)) / reduction.factor
    first = clipped(sample[spread(len(sample), _FIRST_FRAMES)])
    template = _aligned_mean(first, reach, reduction.margin, False, True, dview)
    find = ShiftEstimator(template, reach, reduction.margin).find
    # The first weights need no more frames than the noise is measured on.
    for used in (sample[spread(len(sample), _NOISE_FRAMES)], sample):
        parts = np.array_split(np.arange(len(used)), -(-len(used) // _BLOCK))
        shifts = np.concatenate(map_ordered(find, [used[part] for part in parts], dview))
        # The mean position becomes the origin, so that the limits reach about as far on both sides.
        shifts -= shifts.mean(axis=0)
        aligned = np.empty_like(used)
        for some in (parts[first : first + _AT_ONCE] for first in range(0, len(parts), _AT_ONCE)):
            done = map_ordered(_shift_pair, [(used[part], shifts[part]) for part in some], dview)
            aligned[some[0][0] : some[-1][-1] + 1] = np.concatenate(done)
        template, noise = weights_of(aligned, reduction.margin)
        find = Weights(template, noise, len(used), -reach, reach).find
    return WeightedGuide(reduction, template, noise, len(sample), max_shifts)


def reduced_sample(movie: Any, guide: WeightedGuide, dview: Any = None) -> np.ndarray:
    """
    Read at most 200 frames spread over a movie, filtered as a guide compares them.

    Parameters
    ----------
    movie : array_like of shape (T, d1, d2)
        The movie.
    guide : WeightedGuide
        Of this movie.
    dview : object, optional
        Workers.

    Returns
    -------
    ndarray of shape (n, *guide.reduction.dims), float32
        Filtered frames.
    """
    most = int(np.clip(_SAMPLE_PIXELS // np.prod(guide.reduction.dims), _FEW_FRAMES, _NOISE_FRAMES))
    return _sample(movie, most, guide.reduction, dview)


def _shift_pair(pair: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    return shifted(*pair)


def _sample(movie: Any, n: int, prepare: Any, dview: Any) -> np.ndarray:
    """Read frames spread over a movie, and filter them."""
    found = []
    for _, frames in _blocks(movie, spread(movie.shape[0], n)):
        found += map_ordered(prepare, np.array_split(frames, min(4, len(frames))), dview)
    return np.concatenate(found)


def _blocks(movie: Any, index: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for numbers in np.array_split(index, -(-len(index) // (2 * _BLOCK))):
        yield numbers, fill_missing(read_frames(movie, numbers), numbers)[0]


def _aligned_mean(
    frames: np.ndarray, max_shifts: Any, margin: int, clip: bool, wiener: bool, dview: Any
) -> np.ndarray:
    """Align filtered frames with each other: every other frame with the mean of those between, and so on."""
    parts = [frames[::2], frames[1::2]] if len(frames) > 1 else [frames, frames]
    means = [bin_median(part) for part in parts]
    for turn in range(2 * _ROUNDS):
        own, part = turn % 2, parts[turn % 2]
        # A frame that is part of the template it is compared with would stay where it is.
        guide = reliable_part(means[1 - own], means[own], weight=1) if wiener else means[1 - own]
        find = ShiftEstimator(guide, max_shifts, margin, clip).find
        blocks = np.array_split(np.arange(len(part)), -(-len(part) // 10))
        shifts = np.concatenate(map_ordered(find, [part[block] for block in blocks], dview))
        means[own] = bin_median(moved(part, shifts - shifts.mean(axis=0)))
    return reliable_part(*means) if wiener else 0.5 * (means[0] + means[1])
