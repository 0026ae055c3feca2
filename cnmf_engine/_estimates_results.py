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
        noise_units: bool = False,
    ) -> Estimates:
        """
        Remove slow changes from the traces; divide by the resting fluorescence only where that is known.

        DF/F divides by F0, the light of the resting cell. In a one-photon recording that light can't be told
        from what lies above and below the cell: the ring model takes all of it for background. A quotient
        would have an arbitrary denominator, often near zero, so it is not computed. ``F_dff`` is then one of

        - detrended fluorescence, in units of the movie (default): sizes can be compared within a cell, and
          between recordings with the same gain and exposure;
        - with ``noise_units=True``, detrended fluorescence in units of each trace's own noise: sizes can be
          compared between cells as signal-to-noise ratios, and a common threshold (3, say) means the same
          for all.

        ``dff_units`` says which it is.

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
        noise_units : bool
            Divide by the noise of each trace; this engine's own.

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
        from cnmf_engine._detrend import detrend, in_noise_units

        # Noise is in the raw traces only.
        raw = self.raw_traces()
        traces = raw if use_residuals else np.asarray(self.C)
        ring = self.W is not None or self.b is None or self.f is None or not np.size(self.f)
        background = None if ring or detrend_only or noise_units else (self.b, self.f)
        percentile = None if flag_auto else quantileMin
        self.F_dff = detrend(traces, self.A, background, percentile, frames_window, use_fast)
        if noise_units:
            self.F_dff = in_noise_units(self.F_dff, self.A, raw)
            self.dff_units = "noise levels"
        else:
            self.dff_units = "detrended fluorescence" if background is None else "DF/F"
        if ring and not (detrend_only or noise_units):
            log.warning(
                "F_dff holds detrended fluorescence in units of the movie, not DF/F: the ring background "
                "leaves no resting fluorescence to divide by. Say detrend_only=True if that is what you "
                "want, or noise_units=True for traces that can be compared between cells."
            )
        return self

    def compute_background(self, Yr: np.ndarray, memory_limit: int | float | str | None = None) -> np.ndarray:
        """
        Evaluate the background; the ring model if there is one, else the low-rank one.

        Computed block by block. A result that is larger than memory allows becomes a memory map in the
        temporary folder, which the log names.

        Parameters
        ----------
        Yr : ndarray or memmap of shape (d, T) or (T, d1, d2)
            The movie.
        memory_limit : int, float or str, optional
            Bytes, or text such as '2GB'; a quarter of what is free if None.

        Returns
        -------
        ndarray or memmap of shape (d, T), float32
            Background, pixels in Fortran order, in units of the movie. As large as the movie: for a look at
            some frames use :meth:`play_movie` with ``frame_range``.

        Raises
        ------
        InputError
            If there is no background model, or the movie has another size.
        """
        return movies.background(self, Yr, memory_limit)

    def compute_residuals(self, Yr: np.ndarray, memory_limit: int | float | str | None = None) -> Estimates:
        """
        Project onto each footprint what cells and background leave of the movie.

        Parameters
        ----------
        Yr : ndarray or memmap of shape (d, T) or (T, d1, d2)
            The movie.
        memory_limit : int, float or str, optional
            Bytes to hold at once, or text such as '2GB'.

        Returns
        -------
        Estimates
            This object, with ``R`` of shape (K, T), and ``YrA`` if there was none.

        Raises
        ------
        InputError
            If there is no background model, or the movie has another size.
        """
        self.R = movies.residual_traces(self, Yr, memory_limit)
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
