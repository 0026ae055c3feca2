"""What can be computed from a fit: detrended traces, background, residuals, and a file for other programs."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from cnmf_engine import _estimates_movies as movies

if TYPE_CHECKING:
    from cnmf_engine.estimates import Estimates

__all__ = ["Results"]

log = logging.getLogger("caiman")


class Results:
    """Methods of the estimates that compute something from the fit; fields are those of ``Estimates``."""

    def detrend_df_f(
        self,
        quantileMin: float = 8,
        frames_window: int = 500,
        flag_auto: bool = True,
        use_fast: bool = False,
        use_residuals: bool = True,
        detrend_only: bool = False,
    ) -> Estimates:
        """
        Remove slow changes from the traces; divide by the baseline only where there is one.

        With the ring model the background holds no resting level of a cell, so DF/F has no meaning:
        ``F_dff`` is then the detrended fluorescence, and ``dff_units`` says so.

        Parameters
        ----------
        quantileMin : float
            Percentile that is the resting level, %.
        frames_window : int
            Window of the running percentile, frames.
        flag_auto : bool
            Find the percentile for each trace from its most frequent value in the first window instead.
        use_fast : bool
            Take the percentile at every tenth of a window only.
        use_residuals : bool
            Start from ``C + YrA`` instead of ``C``.
        detrend_only : bool
            Never divide.

        Returns
        -------
        Estimates
            This object, with ``F_dff`` of shape (K, T), float32.

        Raises
        ------
        InputError
            If nothing was fitted.
        ParameterError
            If the window or the percentile can't be used.
        """
        from cnmf_engine._detrend import detrend

        raw = self.raw_traces() if use_residuals or self.C is None else np.asarray(self.C)
        ring = self.W is not None or self.b is None or self.f is None or not np.size(self.f)
        background = None if ring or detrend_only else (self.b, self.f)
        percentile = None if flag_auto else quantileMin
        self.F_dff = detrend(raw, self.A, background, percentile, frames_window, use_fast)
        self.dff_units = "detrended fluorescence" if background is None else "DF/F"
        if background is None:
            log.info("F_dff holds detrended fluorescence, not DF/F: there is no baseline to divide by")
        return self

    def compute_background(self, Yr: np.ndarray) -> np.ndarray:
        """
        Evaluate the background; the ring model if there is one, else the low-rank one.

        Parameters
        ----------
        Yr : ndarray or memmap of shape (d, T) or (T, d1, d2)
            The movie.

        Returns
        -------
        ndarray of shape (d, T), float32
            Background, pixels in Fortran order, in units of the movie. As large as the movie: for a look at
            some frames use :meth:`play_movie` with ``frame_range``.

        Raises
        ------
        InputError
            If there is no background model, or the movie has another size.
        """
        return movies.background(self, Yr)

    def compute_residuals(self, Yr: np.ndarray) -> Estimates:
        """
        Project onto each footprint what cells and background leave of the movie.

        Parameters
        ----------
        Yr : ndarray or memmap of shape (d, T) or (T, d1, d2)
            The movie.

        Returns
        -------
        Estimates
            This object, with ``R`` of shape (K, T), and ``YrA`` if there was none.

        Raises
        ------
        InputError
            If there is no background model, or the movie has another size.
        """
        self.R = movies.residual_traces(self, Yr)
        if self.YrA is None:
            self.YrA = self.R.copy()
        return self

    def save_NWB(self, filename: str | os.PathLike, **about: Any) -> None:
        """
        Write the components as a Neurodata Without Borders file.

        Parameters
        ----------
        filename : str or path
            Ends with ``.nwb``; replaced if it exists.
        **about
            What is known of the recording, see :func:`cnmf_engine.nwb.save_nwb`.
        """
        from cnmf_engine.nwb import save_nwb

        save_nwb(self, filename, **about)
