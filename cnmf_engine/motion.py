"""Motion correction of movies under CaImAn's interface."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np

from cnmf_engine._motion_movies import largest_value, opened, smallest_value, source_name
from cnmf_engine._motion_runs import correct_piecewise, correct_rigidly, measured, moved_movie
from cnmf_engine.bad_pixels import BadPixels
from cnmf_engine.errors import InputError, ParameterError, explain
from cnmf_engine.movies import movie as Movie
from cnmf_engine.registration import (
    RegistrationQuality,
    high_pass,
    high_pass_filter_space,
    registration_quality,
)
from cnmf_engine.registration.estimator import limits
from cnmf_engine.registration.templates import check_filter_mode
from cnmf_engine.registration.warping import check_border

__all__ = ["MotionCorrect", "RegistrationQuality", "high_pass_filter_space", "registration_quality"]

logger = logging.getLogger("caiman")

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
        Workers, as `cnmf_engine.cluster.setup_cluster` returns them. The result doesn't depend on them.
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
        Bytes that blocks of frames may take, e.g. ``'500MB'``; see `cnmf_engine.blocks.memory_budget`.
    mask : {'auto', None} or ndarray of shape (d1, d2), bool
        True where tissue is that frames are aligned by, of the size of the frames (within `indices`).
        'auto' looks for what doesn't move while the tissue does (the rim of a lens, a round mask, dust),
        leaves it out and warns; None takes the whole field. All of the field is moved in any case.
    repair_pixels : bool
        Find pixels that lie (dead, hot, stuck and blinking ones, bad columns and rows, stripes) and fill them
        from their neighbours, before shifts are sought and in the corrected movie; a warning says which. See
        `cnmf_engine.bad_pixels.find_bad_pixels`.

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
        self.max_shifts = limits(max_shifts)
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
        found = [self._bad.get(source_name(source)) for source in self.fname]
        return found[0] if len(found) == 1 else found

    def __getitem__(self, name: str) -> Any:
        return getattr(self, name)

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
            with opened(self, self.fname[0]) as movie:
                self.min_mov = smallest_value(
                    movie, lambda frames: high_pass(frames, self.gSig_filt), _MINIMUM_FRAMES
                )
        if self.pw_rigid:
            self.motion_correct_pwrigid(save_movie=save_movie, template=template)
            self.mmap_file = self.fname_tot_els
            self.border_to_0 = largest_value(np.stack([self.x_shifts_els, self.y_shifts_els]))
        else:
            self.motion_correct_rigid(template=template, save_movie=save_movie)
            self.mmap_file = self.fname_tot_rig
            self.border_to_0 = largest_value(np.array(self.shifts_rig))
        found = measured(self)
        self.quality = found[0] if len(found) == 1 else found

    def motion_correct_rigid(self, template: np.ndarray | None = None, save_movie: bool = False) -> None:
        """
        Correct rigidly; `motion_correct` calls this.

        Parameters
        ----------
        template, save_movie
            As for `motion_correct`.
        """
        correct_rigidly(self, template, save_movie)

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
        if template is None:
            self.motion_correct_rigid(save_movie=False)
        correct_piecewise(self, template, save_movie)

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
        return moved_movie(
            self, fname, rigid, Path(save_base_name) if save_memmap else None, order, remove_min
        )
