"""Motion correction of movies under CaImAn's interface."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from cnmf_engine.base.errors import InputError, ParameterError, explain
from cnmf_engine.base.parallel import Run
from cnmf_engine.caiman.movie import movie as Movie
from cnmf_engine.movies.opening import open_movie
from cnmf_engine.movies.writing import map_writer
from cnmf_engine.stages.bad_pixels import BadPixels, RepairedMovie, find_bad_pixels
from cnmf_engine.stages.filters import motion_kernel
from cnmf_engine.stages.registration import (
    Filter,
    Guide,
    Limits,
    Passes,
    Pieces,
    Registration,
    RegistrationQuality,
    apply_shifts,
    high_pass,
    high_pass_filter_space,
    patch_grid,
    register,
    registration_quality,
    warp,
)
from cnmf_engine.stages.registration.corrected import CorrectedMovie, crop, smallest_value
from cnmf_engine.stages.registration.estimator import shift_limits
from cnmf_engine.stages.registration.passes import check_movie
from cnmf_engine.stages.registration.templates import check_filter_mode, median_template
from cnmf_engine.stages.registration.warping import check_border, fill_missing

__all__ = ["MotionCorrect", "RegistrationQuality", "high_pass_filter_space", "registration_quality"]

logger = logging.getLogger("caiman")

_ARRAY_STEM = "tmp_mov_mot_corr"

_MINIMUM_FRAMES = 400


class MotionCorrect:
    """
    Rigid or piecewise-rigid motion correction of one movie or of several that belong together.

    Arguments, attributes and file names are CaImAn's. What differs, because CaImAn's way surprises:

    - the saved movie has the units of the original; nothing is subtracted or added, whatever `nonneg_movie`
      and `min_mov` say;
    - `max_shifts` is kept exactly, and 0 means no motion on that axis;
    - `gSig_filt` may be fractional and differ between rows and columns;
    - movies of a few frames give a template and a warning, and arrays are taken as they are;
    - `quality` tells if the correction helped, and a warning is logged if it didn't.

    Parameters
    ----------
    fname : str, Path, numpy.ndarray or list of those
        The movie, or several of the same field of view: all are registered to the template of the first.
    min_mov : float, optional
        Kept as the attribute of that name; found in the first 400 frames if not given. It isn't subtracted.
    dview : object, optional
        Workers, as `cm.cluster.setup_cluster` returns them. The result doesn't depend on them.
    max_shifts : float or tuple of two
        Largest shift of rows and columns, px.
    niter_rig : int
        Rigid passes over the movie.
    splits_rig, splits_els : int or list of index arrays
        Parts of the movie that give a template each.
    num_splits_to_process_rig : int, optional
        Parts used in all rigid passes but the last.
    strides, overlaps : int or tuple of two
        Distance and overlap of patches, px (piecewise).
    num_splits_to_process_els, upsample_factor_grid, num_frames_split, nonneg_movie, use_cuda : optional
        Accepted for CaImAn's callers; they change nothing here.
    max_deviation_rigid : float, optional
        How far patches may move from the rigid shift, px (piecewise).
    shifts_opencv : bool
        Frames are always interpolated with OpenCV; False logs a warning.
    gSig_filt : float or tuple of two, optional
        Width of the high-pass filter that frames pass before they are compared, px. One-photon movies need
        it: about `gSig` for sharp recordings, two to three times that for dim and blurred ones.
    border_nan : {True, 'min', 'copy', False}
        What pixels from outside the image become: NaN, the frame's minimum, the nearest valid pixel, or the
        reflected image (False; 0 when piecewise).
    pw_rigid : bool
        Correct patches as well.
    var_name_hdf5 : str
        Dataset to read from HDF5 files.
    is3D : bool
        Must be False: movies here have one plane.
    indices : tuple of two slices
        Rows and columns to keep.
    shifts_interpolate : bool
        Interpolate shifts between patches with cubic splines instead of linearly.
    filter_mode : {'auto', 'caiman'}
        How frames are compared. 'auto': filtered by a difference of Gaussians, two thirds of `gSig_filt` (at
        most 2 px) and twice `gSig_filt` wide, and with pixels and spatial frequencies weighted by how much
        the recording shows them to tell about shifts; this holds on dim and blurred recordings too. 'caiman':
        with CaImAn's narrower kernel and the plain cross-correlation. Templates are shown with CaImAn's
        kernel in both.
    memory_limit : int, float or str, optional
        Bytes that blocks of frames may take, e.g. ``'500MB'``; see `cnmf_engine.base.memory.memory_budget`.
    mask : {'auto', None} or ndarray of shape (d1, d2), bool
        True where tissue is that frames are aligned by, of the size of the frames (within `indices`).
        'auto' looks for what doesn't move while the tissue does (the rim of a lens, a round mask, dust),
        leaves it out and warns; None takes the whole field. All of the field is moved in any case.
    repair_pixels : bool
        Find pixels that lie (dead, hot, stuck and blinking ones, bad columns and rows, stripes) and fill them
        from their neighbours, before shifts are sought and in the corrected movie; a warning says which. See
        `cnmf_engine.stages.bad_pixels.find_bad_pixels`.

    Attributes
    ----------
    shifts_rig : list of tuple
        Translation ``(rows, columns)`` applied to each frame of all movies, px: minus the motion.
    total_template_rig : ndarray of shape (d1, d2), float32
        Template, high-pass filtered with `gSig_filt`; the one that was passed, if one was.
    templates_rig : list of ndarray
        Mean corrected image of each part.
    fname_tot_rig : list of str
        Saved movies, None where nothing was saved.
    x_shifts_els, y_shifts_els : list of ndarray
        Row and column shift of each patch, one array a frame (piecewise).
    total_template_els, templates_els, fname_tot_els, coord_shifts_els
        The same as above for the piecewise correction; the last is a list of None.
    mmap_file : list of str
        `fname_tot_els` or `fname_tot_rig`, whichever was made last.
    min_mov : float
        Minimum of the first 400 frames, filtered if `gSig_filt` is set.
    border_to_0 : int
        Largest shift, rounded up, px.
    aligned_by : ndarray of shape (d1, d2), bool, or None
        Pixels that shifts came from: `mask`, or what was found for 'auto'; None for all of them.
    bad_pixels : BadPixels or list of those
        What was found to lie and filled; a list for several movies.
    quality : RegistrationQuality or list of those
        How alike frames are before and after; a list for several movies.

    References
    ----------
    Pnevmatikakis & Giovannucci 2017, J. Neurosci. Methods 291:83.
    """

    def __init__(
        self,
        fname: Any,
        min_mov: float | None = None,
        dview: Any = None,
        max_shifts: Any = (6, 6),
        niter_rig: int = 1,
        splits_rig: Any = 14,
        num_splits_to_process_rig: int | None = None,
        strides: Any = (96, 96),
        overlaps: Any = (32, 32),
        splits_els: Any = 14,
        num_splits_to_process_els: int | None = None,
        upsample_factor_grid: int = 4,
        max_deviation_rigid: float | None = 3,
        shifts_opencv: bool = True,
        nonneg_movie: bool = True,
        gSig_filt: Any = None,
        use_cuda: bool = False,
        border_nan: bool | str = True,
        pw_rigid: bool = False,
        num_frames_split: int = 80,
        var_name_hdf5: str = "mov",
        is3D: bool = False,
        indices: tuple[slice, slice] = (slice(None), slice(None)),
        shifts_interpolate: bool = False,
        filter_mode: str = "auto",
        memory_limit: int | float | str | None = None,
        mask: Any = "auto",
        repair_pixels: bool = True,
    ) -> None:
        self.fname = list(fname) if isinstance(fname, list | tuple) else [fname]
        self.min_mov = min_mov
        self.dview = dview
        self.max_shifts = shift_limits(max_shifts)
        self.niter_rig = niter_rig
        self.splits_rig = splits_rig
        self.num_splits_to_process_rig = num_splits_to_process_rig
        self.strides = strides
        self.overlaps = overlaps
        self.splits_els = splits_els
        self.num_splits_to_process_els = num_splits_to_process_els
        self.upsample_factor_grid = upsample_factor_grid
        self.max_deviation_rigid = max_deviation_rigid
        self.shifts_opencv = shifts_opencv
        self.nonneg_movie = nonneg_movie
        self.gSig_filt = gSig_filt
        self.use_cuda = use_cuda
        self.border_nan = border_nan
        self.pw_rigid = pw_rigid
        self.num_frames_split = num_frames_split
        self.var_name_hdf5 = var_name_hdf5
        self.is3D = is3D
        self.indices = indices
        self.shifts_interpolate = shifts_interpolate
        self.filter_mode = filter_mode
        self.memory_limit = memory_limit
        self.mask = mask
        self.repair_pixels = repair_pixels
        self._bad: dict[Any, BadPixels] = {}
        self._check()

    def _check(self) -> None:
        check_border(self.border_nan)
        check_filter_mode(self.filter_mode)
        if self.gSig_filt is not None:
            motion_kernel(self.gSig_filt)  # refuses what is no width
        if not self.fname:
            raise InputError(
                explain("at least one movie", "an empty list", "give the path of a movie file or an array")
            )
        if self.is3D:
            raise ParameterError(
                explain("movies of one plane", "is3D=True", "leave it out and correct each plane by itself")
            )
        if self.use_cuda:
            logger.warning("use_cuda=True has no effect: this engine registers on the processor")
        if not self.shifts_opencv:
            logger.warning("shifts_opencv=False has no effect: frames are always interpolated with OpenCV")

    @property
    def bad_pixels(self) -> BadPixels | list[BadPixels] | None:
        """What was found to lie and filled; None before a movie was looked at."""
        found = [self._bad.get(_source_name(source)) for source in self.fname]
        return found[0] if len(found) == 1 else found

    def __getitem__(self, name: str) -> Any:
        return getattr(self, name)

    @contextmanager
    def _opened(self, source: Any) -> Iterator[Any]:
        """Open a movie, cut out what `indices` say, and fill its bad pixels."""
        with open_movie(source, self.var_name_hdf5) as reader:
            movie = crop(reader, self.indices)
            if not self.repair_pixels:
                yield movie
                return
            name = _source_name(source)
            if name not in self._bad:
                check_movie(movie)
                self._bad[name] = bad = find_bad_pixels(movie)
                if bad:
                    logger.warning(
                        "Pixels that don't show light from their place are filled from their neighbours: %s "
                        "(repair_pixels=False leaves them as they are)",
                        bad,
                    )
            bad = self._bad[name]
            yield RepairedMovie(movie, bad) if bad else movie

    def _shifts(self, rigid: bool) -> np.ndarray:
        """Shifts of all frames, px: (T, 2), or (T, 2, n_patches) if not rigid."""
        name = "shifts_rig" if rigid else "x_shifts_els"
        if not hasattr(self, name):
            raise InputError(explain("shifts to apply", f"no {name} yet", "call motion_correct() first"))
        if rigid:
            return np.array(self.shifts_rig)
        return np.stack([self.x_shifts_els, self.y_shifts_els], axis=1)

    def _corrected(self, movie: Any, shifts: np.ndarray, rigid: bool) -> CorrectedMovie:
        """View a movie with its frames moved when they are read."""
        if movie.shape[0] != len(shifts):
            raise InputError(
                explain(
                    f"a movie of {len(shifts)} frames, as many as were corrected",
                    f"{movie.shape[0]} frames",
                    "pass the movie that was recorded at the same time",
                )
            )
        border = self.border_nan
        if rigid:
            return CorrectedMovie(movie, lambda frames, index: apply_shifts(frames, shifts[index], border))
        grid = patch_grid(movie.shape[1:], self.strides, self.overlaps, self.shifts_interpolate)

        def move(frames: np.ndarray, index: slice) -> np.ndarray:
            return warp(fill_missing(frames)[0], shifts[index, 0], shifts[index, 1], grid, border)

        return CorrectedMovie(movie, move)

    def _measured(self) -> list[RegistrationQuality]:
        """Compare movies before and after correction, one result a movie."""
        rigid = not self.pw_rigid
        shifts, first, found = self._shifts(rigid), 0, []
        templates = np.stack(self.templates_rig if rigid else self.templates_els)
        template = median_template(templates, self.gSig_filt, self.filter_mode)
        for source, length, at_limit in zip(self.fname, self._lengths, self._at_limit):
            with self._opened(source) as movie:
                after = self._corrected(movie, shifts[first : first + length], rigid)
                quality = registration_quality(
                    movie,
                    after,
                    template,
                    self.gSig_filt,
                    self.border_to_0,
                    at_limit,
                    filter_mode=self.filter_mode,
                    mask=self.aligned_by,
                )
            found.append(quality)
            first += length
        return found

    def motion_correct(self, template: np.ndarray | None = None, save_movie: bool = False) -> None:
        """
        Find the shifts of all frames and, if asked, save the corrected movie.

        Parameters
        ----------
        template : ndarray of shape (d1, d2), optional
            Template to register to; with `gSig_filt` it has to be high-pass filtered already, see
            `high_pass_filter_space`.
        save_movie : bool
            Write each corrected movie as a memory map of order F into the temporary folder. A file of the
            same name is replaced; who has mapped it keeps the old content.

        Raises
        ------
        MissingFileError
            If a movie isn't there.
        InputError
            If a movie can't be used.
        """
        if self.min_mov is None:
            with self._opened(self.fname[0]) as movie:
                self.min_mov = smallest_value(
                    movie, lambda frames: high_pass(frames, self.gSig_filt), _MINIMUM_FRAMES
                )
        if self.pw_rigid:
            self.motion_correct_pwrigid(save_movie=save_movie, template=template)
            self.mmap_file = self.fname_tot_els
            self.border_to_0 = _border(np.stack([self.x_shifts_els, self.y_shifts_els]))
        else:
            self.motion_correct_rigid(template=template, save_movie=save_movie)
            self.mmap_file = self.fname_tot_rig
            self.border_to_0 = _border(np.array(self.shifts_rig))
        found = self._measured()
        self.quality = found[0] if len(found) == 1 else found

    def motion_correct_rigid(self, template: np.ndarray | None = None, save_movie: bool = False) -> None:
        """
        Correct rigidly; `motion_correct` calls this.

        Parameters
        ----------
        template, save_movie
            As for `motion_correct`.
        """
        results = self._register(None, template, None, template is not None, save_movie)
        self.shifts_rig = [(float(row), float(col)) for result in results for row, col in result.shifts]
        self.templates_rig = [image for result in results for image in result.templates]
        self.fname_tot_rig = [result.saved for result in results]
        self.total_template_rig, self._guide = results[-1].template, results[-1].guide

    def motion_correct_pwrigid(
        self, save_movie: bool = True, template: np.ndarray | None = None, show_template: bool = False
    ) -> None:
        """
        Correct piecewise; `motion_correct` calls this.

        Parameters
        ----------
        save_movie, template
            As for `motion_correct`. Without a template the movies are corrected rigidly first, for one.
        show_template : bool
            Accepted for CaImAn's callers.
        """
        start, guide = template, None
        if template is None:
            self.motion_correct_rigid(save_movie=False)
            start, guide = self.total_template_rig, self._guide
        pieces = Pieces(self.strides, self.overlaps, self.shifts_interpolate)
        results = self._register(pieces, start, guide, template is not None, save_movie)
        self.x_shifts_els = [row for result in results for row in result.row_shifts]
        self.y_shifts_els = [row for result in results for row in result.col_shifts]
        self.coord_shifts_els = [None] * len(self.x_shifts_els)
        self.templates_els = [image for result in results for image in result.templates]
        self.fname_tot_els = [result.saved for result in results]
        self.total_template_els = results[-1].template

    def _register(
        self,
        pieces: Pieces | None,
        template: np.ndarray | None,
        guide: Guide | None,
        keep_template: bool,
        save_movie: bool,
    ) -> list[Registration]:
        """Register all movies: to one template if it is kept, else each to that of the one before."""
        kind, splits = ("rig", self.splits_rig) if pieces is None else ("els", self.splits_els)
        results: list[Registration] = []
        for source, stem in zip(self.fname, _stems(self.fname)):
            with self._opened(source) as movie:
                found = register(
                    movie,
                    filter=Filter(self.gSig_filt, self.filter_mode, self.mask),
                    limits=Limits(self.max_shifts, self.max_deviation_rigid),
                    pieces=pieces,
                    passes=Passes(self.niter_rig, splits, self.num_splits_to_process_rig),
                    border=self.border_nan,
                    template=template,
                    keep_template=keep_template,
                    guide=guide,
                    write=map_writer(f"{stem}_{kind}_", movie.shape, run=self._run) if save_movie else None,
                    run=self._run,
                )
            results.append(found)
            template = template if keep_template else found.template
            guide = found.guide if pieces is None else guide
        self._at_limit = [result.at_limit for result in results]
        self._lengths = [len(result.shifts) for result in results]
        self.aligned_by = results[-1].guide.mask
        return results

    @property
    def _run(self) -> Run:
        return Run(self.dview, self.memory_limit, progress=True)

    def apply_shifts_movie(
        self,
        fname: Any,
        rigid_shifts: bool | None = None,
        save_memmap: bool = False,
        save_base_name: str = "MC",
        order: str = "F",
        remove_min: bool = True,
    ) -> Movie | str:
        """
        Move another movie (of the same frames) by the shifts that were found.

        Parameters
        ----------
        fname : str, Path, numpy.ndarray or list of those
            The movie.
        rigid_shifts : bool, optional
            Use the rigid shifts; by default those of the last kind of correction.
        save_memmap : bool
            Write a memory map instead of returning the movie.
        save_base_name : str
            Start of its name; without a folder it goes into the working directory.
        order : {'F', 'C'}
            Which way round the map is written.
        remove_min : bool
            If the movie has negative values, subtract its minimum (and log that).

        Returns
        -------
        movie or str
            The corrected movie in memory, or the path of the map.

        Raises
        ------
        InputError
            If nothing was corrected yet, or the movie has another number of frames.
        """
        rigid = not self.pw_rigid if rigid_shifts is None else bool(rigid_shifts)
        base = Path(save_base_name) if save_memmap else None
        with self._opened(fname) as movie:
            corrected = self._corrected(movie, self._shifts(rigid), rigid)
            # Frames stay within their range, so that unsigned ones needn't be searched.
            search = remove_min and np.dtype(getattr(movie, "dtype", float)).kind not in "bu"
            floor = smallest_value(corrected, np.asarray, movie.shape[0]) if search else 0.0
            if floor < 0:
                logger.info("The minimum of the movie, %g, is subtracted (remove_min=False keeps it)", floor)
            blocks = (block - np.float32(min(floor, 0.0)) for block in corrected.blocks(self._run))
            if base is not None:
                # A bare name goes to the working directory, not to the temporary one.
                base = base if base.name != str(base) else Path.cwd() / base
                return map_writer(base, movie.shape, order, self._run)(blocks)
            whole, start = np.empty(corrected.shape, np.float32), 0
            for block in blocks:
                whole[start : start + len(block)] = block
                start += len(block)
            return Movie(whole)


def _source_name(source: Any) -> Any:
    """Tell movies apart: paths by their text, arrays by what they are."""
    if isinstance(source, list | tuple):
        return tuple(map(_source_name, source))
    return str(source) if isinstance(source, str | os.PathLike) else id(source)


def _stems(sources: list) -> list[str]:
    """Names of the corrected movies: file names without suffix, made unique since folders may differ."""
    names: list[str] = []
    for source in sources:
        stem = Path(source).stem if isinstance(source, str | os.PathLike) else _ARRAY_STEM
        number, name = 1, stem
        while name in names:
            number += 1
            name = f"{stem}-{number}"
        names.append(name)
    return names


def _border(shifts: np.ndarray) -> int:
    """Tell how wide a border the shifts touch, px."""
    return int(np.ceil(np.abs(shifts).max()))
