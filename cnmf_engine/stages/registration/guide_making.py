"""Guides made from frames spread over a movie."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from cnmf_engine.base.parallel import RUN, Run
from cnmf_engine.stages.registration.estimator import ShiftEstimator, clipped, shift_limits
from cnmf_engine.stages.registration.groupwise import groupwise
from cnmf_engine.stages.registration.guides import Guide, PlainGuide, WeightedGuide
from cnmf_engine.stages.registration.passes import read_frames, spread
from cnmf_engine.stages.registration.reduction import PLAIN_WIDTH, Reduction, within
from cnmf_engine.stages.registration.still import check_mask, moving_part, soft
from cnmf_engine.stages.registration.templates import (
    Filter,
    filter_margin,
    high_pass,
    match_filter,
    reliable_part,
)
from cnmf_engine.stages.registration.warping import fill_missing, moved
from cnmf_engine.stages.registration.weighting import Noise, Weights, shifted

__all__ = ["guide_from", "guide_to", "image_of", "mean_images", "reduced_sample", "weights_of"]

logger = logging.getLogger("caiman")

_FIRST_FRAMES = 100
_FEW_FRAMES = 20
# Frames that make a weighted template, and pixels of them that are held at once at most.
_SAMPLE_FRAMES, _SAMPLE_PIXELS = 400, 3 * 2**22
_NOISE_FRAMES = 200
_BLOCK, _AT_ONCE = 25, 4
_MEAN_FRAMES, _MEANS = 400, 14


def guide_from(
    movie: Any,
    max_shifts: Any,
    filter: Filter,
    run: Run = RUN,
) -> Guide:
    """
    Make a guide from frames spread over a movie.

    At most 100 frames, in two halves, are aligned with each other in three rounds. With the filter's mode
    'auto' at most 400 are then aligned with their mean, the noise is measured, and both again with its
    weights. Movies of any length work, but fewer than 20 frames give a noisy template and a warning.

    Parameters
    ----------
    movie : array_like of shape (T, d1, d2)
        Anything with a shape that gives frames when it is sliced.
    max_shifts : float or sequence of two floats
        Largest shift of rows and columns, px.
    filter, run
        As for `cnmf_engine.stages.registration.register`.

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
    gSig_filt, mask = filter.gSig_filt, check_mask(filter.mask, movie.shape[1:])
    look = isinstance(filter.mask, str)
    if gSig_filt is None or filter.mode == "caiman":
        if look:
            mask = _found_mask(movie, max_shifts, gSig_filt, run)
        if mask is None or filter.mode == "caiman":
            return _plain(movie, max_shifts, gSig_filt, mask, run)
        # Unfiltered tissue is still shaded by what stands around it.
        gSig_filt, look = PLAIN_WIDTH, False
    reduction = Reduction(gSig_filt, tuple(movie.shape[1:]), mask)
    n = int(np.clip(_SAMPLE_PIXELS // np.prod(reduction.dims), _FIRST_FRAMES, _SAMPLE_FRAMES))
    sample = _sample(movie, n, reduction, run)
    guide, shifts = _weighted(sample, reduction, max_shifts, run)
    if look:
        mask = _full_mask(sample, shifts, reduction, max_shifts, tuple(movie.shape[1:]), run)
        if mask is not None:
            reduction = Reduction(gSig_filt, mask.shape, mask)
            guide, _ = _weighted(_sample(movie, n, reduction, run), reduction, max_shifts, run)
    return guide


def _plain(movie: Any, max_shifts: Any, gSig_filt: Any, mask: np.ndarray | None, run: Run) -> PlainGuide:
    """Make a guide without weights."""
    clip, margin = gSig_filt is not None, filter_margin(gSig_filt)
    sample = _sample(movie, _FIRST_FRAMES, partial(_high_passed, mask=mask, gSig_filt=gSig_filt), run)
    part = None if mask is None else soft(mask, 1, mask.shape)
    template, _ = groupwise(sample, max_shifts, margin, clip, clip, run, part)
    means, shifts = mean_images(movie, PlainGuide(template, max_shifts, gSig_filt, mask), run)
    # The mean position becomes the origin, so that the limits reach about as far on both sides.
    image = _joined(high_pass(within(means, mask), gSig_filt), clip)
    return PlainGuide(moved(image[None], -shifts.mean(axis=0)[None])[0], max_shifts, gSig_filt, mask)


def _high_passed(frames: np.ndarray, mask: np.ndarray | None, gSig_filt: Any) -> np.ndarray:
    return high_pass(within(frames, mask), gSig_filt)


def _found_mask(movie: Any, max_shifts: Any, gSig_filt: Any, run: Run) -> np.ndarray | None:
    """Look for what stands still in a movie whose shifts aren't known; mask ``(d1, d2)`` of the tissue."""
    reduction = Reduction(PLAIN_WIDTH if gSig_filt is None else gSig_filt, tuple(movie.shape[1:]))
    sample = _sample(movie, _FIRST_FRAMES, reduction, run)
    reach = np.array(shift_limits(max_shifts)) / reduction.factor
    _, shifts = groupwise(sample, reach, reduction.margin, False, True, run)
    return _full_mask(sample, shifts, reduction, max_shifts, tuple(movie.shape[1:]), run)


def _full_mask(
    sample: np.ndarray,
    shifts: np.ndarray,
    reduction: Reduction,
    max_shifts: Any,
    dims: tuple[int, int],
    run: Run,
) -> np.ndarray | None:
    """Mask ``(d1, d2)`` of the tissue as far as filtered frames tell; None if nothing stands still."""
    reach = np.array(shift_limits(max_shifts)) / reduction.factor
    tissue = moving_part(sample, shifts, reach, reduction.margin, run)
    if tissue is None:
        return None
    rows, cols = (np.minimum(np.arange(d) // reduction.factor, r - 1) for d, r in zip(dims, reduction.dims))
    mask = tissue[np.ix_(rows, cols)]
    logger.warning(
        "%.0f %% of the field doesn't move with the tissue, but would hold the frames in place (rim of a "
        "lens, mask, dust): it is left out when shifts are sought. If that is wrong, give mask=... (True "
        "where tissue is) or mask=None (all of it); indices=... cuts the field to the tissue.",
        100 * (1 - mask.mean()),
    )
    return mask


def guide_to(
    movie: Any,
    template: np.ndarray,
    max_shifts: Any,
    filter: Filter,
    run: Run = RUN,
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
    max_shifts, filter, run
        As for `guide_from`.

    Returns
    -------
    Guide
        Brings frames to the place of the template. It compares them with the template itself if that has no
        contrast or the movie is too short for an image of its own.
    """
    gSig_filt, blank = filter.gSig_filt, np.ptp(template) == 0
    if gSig_filt is None or filter.mode == "caiman" or blank or movie.shape[0] < _FEW_FRAMES:
        return PlainGuide(template, max_shifts, gSig_filt, check_mask(filter.mask, movie.shape[1:]))
    guide = guide_from(movie, max_shifts, filter, run)
    image = mean_images(movie, guide, run)[0].mean(axis=0)[None]
    return guide.at(PlainGuide(template, max_shifts, gSig_filt, guide.mask).find(image)[0])


def mean_images(movie: Any, guide: Guide, run: Run = RUN) -> tuple[np.ndarray, np.ndarray]:
    """
    Align at most 400 frames of a movie with a guide.

    Parameters
    ----------
    movie : array_like of shape (T, d1, d2)
        As for `guide_from`.
    guide : Guide
        Finds the shifts.
    run : Run
        Its workers share the work.

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
        found = run.map(partial(_moved_sum, guide), np.array_split(frames, min(4, len(frames))))
        shifts += [part[0] for part in found]
        means.append(sum(part[1] for part in found) / len(frames))
    return np.stack(means).astype(np.float32), np.concatenate(shifts)


def _moved_sum(guide: Guide, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    shifts = guide.find(frames)
    return shifts, moved(frames, shifts).sum(axis=0, dtype=np.float64)


def image_of(movie: Any, guide: Guide, filter: Filter, run: Run = RUN) -> np.ndarray:
    """
    Show what a guide brings frames to, at full resolution.

    Parameters
    ----------
    movie : array_like of shape (T, d1, d2)
        As for `guide_from`.
    guide : Guide
        Of this movie.
    filter, run
        As for `guide_from`.

    Returns
    -------
    ndarray of shape (d1, d2), float32
        Median of mean images, filtered by `match_filter`, without what odd and even ones don't agree on.
    """
    means = within(mean_images(movie, guide, run)[0], guide.mask)
    return _joined(match_filter(means, filter.gSig_filt, filter.mode), filter.gSig_filt is not None)


def _joined(parts: np.ndarray, wiener: bool) -> np.ndarray:
    if not wiener or len(parts) < 4:
        return np.median(parts, axis=0)
    return reliable_part(np.median(parts[::2], axis=0), np.median(parts[1::2], axis=0))


def weights_of(
    aligned: np.ndarray, margin: int, part: np.ndarray | None = None, n_noise: int = _NOISE_FRAMES
) -> tuple[np.ndarray, Noise]:
    """
    Give the mean of aligned frames and how they differ from it.

    Parameters
    ----------
    aligned : ndarray of shape (n, d1, d2), float32
        Aligned filtered frames.
    margin : int
        Width of the border to leave out, px.
    part : ndarray of shape (d1, d2), optional
        Further weights of pixels, 0 where there is no tissue.
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
    return template, Noise.of(differences, margin, part)


def _weighted(
    sample: np.ndarray, reduction: Reduction, max_shifts: Any, run: Run
) -> tuple[WeightedGuide, np.ndarray]:
    """Align a sample with its own mean, which gets better by it, and measure the noise that is left."""
    reach = np.array(shift_limits(max_shifts)) / reduction.factor
    first = clipped(sample[spread(len(sample), _FIRST_FRAMES)])
    template, _ = groupwise(first, reach, reduction.margin, False, True, run, reduction.part)
    find = ShiftEstimator(template, reach, reduction.margin, part=reduction.part).find
    # The first weights need no more frames than the noise is measured on.
    for used in (sample[spread(len(sample), _NOISE_FRAMES)], sample):
        parts = np.array_split(np.arange(len(used)), -(-len(used) // _BLOCK))
        shifts = np.concatenate(run.map(find, [used[part] for part in parts]))
        # The mean position becomes the origin, so that the limits reach about as far on both sides.
        shifts -= shifts.mean(axis=0)
        aligned = np.empty_like(used)
        for some in (parts[first : first + _AT_ONCE] for first in range(0, len(parts), _AT_ONCE)):
            done = run.map(_shift_pair, [(used[part], shifts[part]) for part in some])
            aligned[some[0][0] : some[-1][-1] + 1] = np.concatenate(done)
        template, noise = weights_of(aligned, reduction.margin, reduction.part)
        find = Weights(template, noise, len(used), -reach, reach).find
    return WeightedGuide(reduction, template, noise, len(sample), max_shifts), shifts


def reduced_sample(movie: Any, guide: WeightedGuide, run: Run = RUN) -> np.ndarray:
    """
    Read at most 200 frames spread over a movie, filtered as a guide compares them.

    Parameters
    ----------
    movie : array_like of shape (T, d1, d2)
        The movie.
    guide : WeightedGuide
        Of this movie.
    run : Run
        Its workers share the work.

    Returns
    -------
    ndarray of shape (n, *guide.reduction.dims), float32
        Filtered frames.
    """
    most = int(np.clip(_SAMPLE_PIXELS // np.prod(guide.reduction.dims), _FEW_FRAMES, _NOISE_FRAMES))
    return _sample(movie, most, guide.reduction, run)


def _shift_pair(pair: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    return shifted(*pair)


def _sample(movie: Any, n: int, prepare: Any, run: Run) -> np.ndarray:
    """Read frames spread over a movie, and filter them."""
    found = []
    for _, frames in _blocks(movie, spread(movie.shape[0], n)):
        found += run.map(prepare, np.array_split(frames, min(4, len(frames))))
    return np.concatenate(found)


def _blocks(movie: Any, index: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for numbers in np.array_split(index, -(-len(index) // (2 * _BLOCK))):
        yield numbers, fill_missing(read_frames(movie, numbers), numbers)[0]
