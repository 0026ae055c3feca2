"""Viewing methods of the estimates: thin calls of the visualization package, imported when first used."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from cnmf_engine.errors import ParameterError, explain

__all__ = ["Views"]


class Views:
    """What CaImAn's estimates can show; each method returns what the viewer of the same name returns."""

    def plot_contours(
        self,
        img: np.ndarray | None = None,
        idx: Any = None,
        thr_method: str = "max",
        thr: float = 0.2,
        display_numbers: bool = True,
        params: Any = None,
        cmap: str = "viridis",
    ) -> Any:
        """
        Draw outlines with matplotlib, accepted and rejected side by side if ``idx`` is given.

        Parameters
        ----------
        img : ndarray of shape (d1, d2), optional
            Image below; default the mean footprint.
        idx : sequence of int, optional
            Accepted components.
        thr_method, thr : str and float
            'max': part of the footprint's maximum; 'nrg': part of its energy.
        display_numbers : bool
            Write numbers.
        params : CNMFParams, optional
            Adds the thresholds to the labels.
        cmap : str
            Colour map.

        Returns
        -------
        object
            See :func:`cnmf_engine.visualization.plot_contours_estimates`.
        """
        from cnmf_engine import visualization

        return visualization.plot_contours_estimates(
            self, img, idx, thr_method, thr, display_numbers, params=params, cmap=cmap
        )

    def plot_contours_nb(
        self,
        img: np.ndarray | None = None,
        idx: Any = None,
        thr_method: str = "max",
        thr: float = 0.2,
        params: Any = None,
        line_color: str = "white",
        cmap: str = "viridis",
    ) -> Any:
        """
        Draw outlines with bokeh; arguments as in :meth:`plot_contours`.

        Parameters
        ----------
        img, idx, thr_method, thr, params, cmap
            As in :meth:`plot_contours`.
        line_color : str
            Colour of the outlines.

        Returns
        -------
        object
            See :func:`cnmf_engine.visualization.plot_contours_nb`.
        """
        from cnmf_engine import visualization

        return visualization.plot_contours_nb(
            self, img, idx, thr_method, thr, params=params, line_color=line_color, cmap=cmap
        )

    def nb_view_components(
        self,
        Yr: np.ndarray | None = None,
        img: np.ndarray | None = None,
        idx: Any = None,
        denoised_color: str | None = None,
        cmap: str = "viridis",
        thr: float = 0.99,
    ) -> Any:
        """
        Browse footprints, traces and quality with bokeh.

        Parameters
        ----------
        Yr : ndarray of shape (d, T), optional
            Movie, for raw traces where there are no residual traces.
        img : ndarray of shape (d1, d2), optional
            Image below; default the mean footprint.
        idx : sequence of int, optional
            Which components; default all.
        denoised_color : str, optional
            Also draw the denoised trace, in this colour.
        cmap : str
            Colour map (CaImAn's default is 'jet').
        thr : float
            Part of the footprint's energy inside the outline.

        Returns
        -------
        object
            See :func:`cnmf_engine.visualization.nb_view_components`.
        """
        from cnmf_engine import visualization

        return visualization.nb_view_components(self, Yr, img, idx, denoised_color, cmap=cmap, thr=thr)

    def hv_view_components(
        self,
        Yr: np.ndarray | None = None,
        img: np.ndarray | None = None,
        idx: Any = None,
        denoised_color: str | None = None,
        cmap: str = "viridis",
    ) -> Any:
        """
        Browse components as :meth:`nb_view_components` does; CaImAn's second name for it.

        Parameters
        ----------
        Yr, img, idx, denoised_color, cmap
            As in :meth:`nb_view_components`.

        Returns
        -------
        object
            See :func:`cnmf_engine.visualization.hv_view_components`.
        """
        from cnmf_engine import visualization

        return visualization.hv_view_components(self, Yr, img, idx, denoised_color, cmap=cmap)

    def view_components(
        self, Yr: np.ndarray | None = None, img: np.ndarray | None = None, idx: Any = None
    ) -> Any:
        """
        Browse components with matplotlib.

        Parameters
        ----------
        Yr, img, idx
            As in :meth:`nb_view_components`.

        Returns
        -------
        object
            See :func:`cnmf_engine.visualization.view_components`.
        """
        from cnmf_engine import visualization

        return visualization.view_components(self, Yr, img, idx)

    def play_movie(
        self,
        imgs: np.ndarray,
        q_max: float = 99.75,
        q_min: float = 2,
        gain_res: float = 1,
        magnification: float = 1,
        include_bck: bool = True,
        frame_range: slice = slice(None),
        bpx: int = 0,
        thr: float = 0.0,
        save_movie: bool = False,
        movie_name: str | os.PathLike = "results_movie.avi",
        display: bool = True,
        opencv_codec: str = "H264",
        use_color: bool = False,
        gain_color: float = 4,
        gain_bck: float = 0.2,
        memory_limit: int | float | str | None = None,
    ) -> Any:
        """
        Put the movie, its reconstruction and what is left over side by side.

        Computed block by block. A result that is larger than memory allows becomes a memory map in the
        temporary folder, which the log names; ``frame_range`` makes it shorter.

        Parameters
        ----------
        imgs : ndarray or memmap of shape (T, d1, d2)
            The movie.
        q_max, q_min : float
            Percentiles that are white and black, %.
        gain_res : float
            Factor on what is left over.
        magnification : float
            Size on screen.
        include_bck : bool
            False leaves the background out of the first two panels.
        frame_range : slice
            Which frames.
        bpx : int
            Pixels cut off along each edge.
        thr : float
            Footprint values below this part of the maximum are left out.
        save_movie : bool
            Also write it to ``movie_name``.
        movie_name : str or path
            File to write.
        display : bool
            Show it.
        opencv_codec : str
            Kept for CaImAn's code: the writer of movies chooses the codec by the file's name.
        use_color, gain_color, gain_bck
            CaImAn's coloured components; only ``use_color=False`` is known here.
        memory_limit : int, float or str, optional
            Bytes, or text such as '2GB'; a quarter of what is free if None.

        Returns
        -------
        movie of shape (n, d1, 3*d2), float32
            The panels, in units of the movie.

        Raises
        ------
        ParameterError
            If ``use_color`` is True.
        InputError
            If nothing was fitted, there is no background model, or the movie has another size.
        """
        if use_color:
            fix = "leave use_color out; plot_contours shows which component is which"
            raise ParameterError(explain("use_color=False, movies here are grey", "use_color = True", fix))
        from cnmf_engine._estimates_movies import three_panels
        from cnmf_engine.movies import movie

        panels = movie(three_panels(self, imgs, frame_range, gain_res, include_bck, bpx, thr, memory_limit))
        if save_movie:
            panels.save(movie_name, q_max=q_max, q_min=q_min)
        if display:
            panels.play(q_max=q_max, q_min=q_min, magnification=magnification)
        return panels
