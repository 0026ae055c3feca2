"""The runs of motion correction over the files of a recording."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cnmf_engine._motion_movies import corrected_movie, found_shifts, opened, smallest_value, stems, writer
from cnmf_engine.movies import movie as Movie
from cnmf_engine.registration import (
    RegistrationQuality,
    register_piecewise,
    register_rigid,
    registration_quality,
)
from cnmf_engine.registration.templates import median_template

if TYPE_CHECKING:
    from cnmf_engine.motion import MotionCorrect

__all__ = ["correct_piecewise", "correct_rigidly", "measured", "moved_movie"]

logger = logging.getLogger("caiman")


def correct_rigidly(corrector: MotionCorrect, template: np.ndarray | None, save_movie: bool) -> None:
    """
    Find rigid shifts of all movies and note them on the corrector.

    Parameters
    ----------
    corrector : MotionCorrect
        Its settings are used, its attributes of the rigid correction are set.
    template : ndarray of shape (d1, d2), optional
        See `MotionCorrect.motion_correct`.
    save_movie : bool
        Write the corrected movies.
    """
    corrector.shifts_rig, corrector.templates_rig, corrector.fname_tot_rig = [], [], []
    corrector._at_limit, corrector._lengths = [], []
    start, guide = template, None
    for source, stem in zip(corrector.fname, stems(corrector.fname)):
        with opened(corrector, source) as movie:
            result = register_rigid(
                movie,
                corrector.max_shifts,
                corrector.gSig_filt,
                start,
                corrector.niter_rig,
                corrector.splits_rig,
                corrector.num_splits_to_process_rig,
                corrector.border_nan,
                corrector.dview,
                writer(f"{stem}_rig_", movie.shape) if save_movie else None,
                keep_template=template is not None,
                filter_mode=corrector.filter_mode,
                guide=guide,
                memory_limit=corrector.memory_limit,
                mask=corrector.mask,
            )
        start, guide = result.template, result.guide
        corrector.shifts_rig += [(float(row), float(col)) for row, col in result.shifts]
        corrector.templates_rig += list(result.templates)
        corrector.fname_tot_rig.append(result.saved)
        corrector._at_limit.append(result.at_limit)
        corrector._lengths.append(len(result.shifts))
    corrector.total_template_rig, corrector._guide = start, guide
    corrector.aligned_by = guide.mask


def correct_piecewise(corrector: MotionCorrect, template: np.ndarray | None, save_movie: bool) -> None:
    """
    Find piecewise shifts of all movies and note them on the corrector.

    Parameters
    ----------
    corrector : MotionCorrect
        Its settings are used, its attributes of the piecewise correction are set. Without a template it has
        been corrected rigidly.
    template : ndarray of shape (d1, d2), optional
        See `MotionCorrect.motion_correct`.
    save_movie : bool
        Write the corrected movies.
    """
    start, guide = template, None
    if template is None:
        start, guide = corrector.total_template_rig, corrector._guide
    corrector.x_shifts_els, corrector.y_shifts_els, corrector.coord_shifts_els = [], [], []
    corrector.templates_els, corrector.fname_tot_els = [], []
    corrector._at_limit, corrector._lengths = [], []
    for source, stem in zip(corrector.fname, stems(corrector.fname)):
        with opened(corrector, source) as movie:
            result = register_piecewise(
                movie,
                start,
                corrector.max_shifts,
                corrector.gSig_filt,
                corrector.strides,
                corrector.overlaps,
                corrector.max_deviation_rigid,
                corrector.splits_els,
                corrector.border_nan,
                corrector.shifts_interpolate,
                corrector.dview,
                writer(f"{stem}_els_", movie.shape) if save_movie else None,
                corrector.filter_mode,
                guide,
                corrector.memory_limit,
                corrector.mask,
            )
        if template is None:
            start = result.template
        corrector.x_shifts_els += list(result.row_shifts)
        corrector.y_shifts_els += list(result.col_shifts)
        corrector.coord_shifts_els += [None] * len(result.row_shifts)
        corrector.templates_els += list(result.templates)
        corrector.fname_tot_els.append(result.saved)
        corrector._at_limit.append(result.at_limit)
        corrector._lengths.append(len(result.row_shifts))
    corrector.total_template_els, corrector.aligned_by = result.template, result.mask


def moved_movie(
    corrector: MotionCorrect, source: Any, rigid: bool, base: Path | None, order: str, remove_min: bool
) -> Movie | str:
    """
    Move another movie by the shifts that were found.

    Parameters
    ----------
    corrector : MotionCorrect
        After `motion_correct`.
    source : str, Path, numpy.ndarray or list of those
        The movie.
    rigid : bool
        Which shifts.
    base : Path, optional
        Start of the name of a memory map; without it the movie is returned.
    order : {'F', 'C'}
        Which way round the map is written.
    remove_min : bool
        Subtract a negative minimum.

    Returns
    -------
    movie or str
        The corrected movie in memory, or the path of the map.
    """
    with opened(corrector, source) as movie:
        corrected = corrected_movie(corrector, movie, found_shifts(corrector, rigid), rigid)
        # Frames stay within their range, so that unsigned ones needn't be searched.
        search = remove_min and np.dtype(getattr(movie, "dtype", float)).kind not in "bu"
        floor = smallest_value(corrected, np.asarray, movie.shape[0]) if search else 0.0
        if floor < 0:
            logger.info("The minimum of the movie, %g, is subtracted (remove_min=False keeps it)", floor)
        blocks = (block - np.float32(min(floor, 0.0)) for block in corrected.blocks(corrector.memory_limit))
        if base is not None:
            # A bare name goes to the working directory, not to the temporary one.
            base = base if base.name != str(base) else Path.cwd() / base
            return writer(base, movie.shape, order)(blocks)
        whole, start = np.empty(corrected.shape, np.float32), 0
        for block in blocks:
            whole[start : start + len(block)] = block
            start += len(block)
        return Movie(whole)


def measured(corrector: MotionCorrect) -> list[RegistrationQuality]:
    """
    Compare movies before and after correction.

    Parameters
    ----------
    corrector : MotionCorrect
        With shifts.

    Returns
    -------
    list of RegistrationQuality
        One a movie.
    """
    rigid = not corrector.pw_rigid
    shifts, first, found = found_shifts(corrector, rigid), 0, []
    templates = np.stack(corrector.templates_rig if rigid else corrector.templates_els)
    template = median_template(templates, corrector.gSig_filt, corrector.filter_mode)
    for source, length, at_limit in zip(corrector.fname, corrector._lengths, corrector._at_limit):
        with opened(corrector, source) as movie:
            after = corrected_movie(corrector, movie, shifts[first : first + length], rigid)
            quality = registration_quality(
                movie,
                after,
                template,
                corrector.gSig_filt,
                corrector.border_to_0,
                at_limit,
                filter_mode=corrector.filter_mode,
                mask=corrector.aligned_by,
            )
        found.append(quality)
        first += length
    return found
