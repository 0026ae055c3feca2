"""The movie: an array of frames that knows its frame rate and where it came from."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from cnmf_engine.base.errors import InputError, ParameterError, explain
from cnmf_engine.base.memory import frame_blocks, pixel_blocks

__all__ = ["concatenate", "movie"]

_METADATA = ("fr", "start_time", "file_name", "meta_data")


class movie(np.ndarray):  # CaImAn's name
    """
    Frames of one recording, an array of shape (T, d1, d2): frames, rows, columns.

    Slicing, arithmetic, reductions over an axis and pickling keep the class and the attributes. A movie
    given as input is returned as it is.

    Parameters
    ----------
    input_arr : numpy.ndarray, numpy.memmap or h5py.Dataset
        The frames.
    fr : float
        Frames a second.
    start_time : float
        Time of the first frame in s.
    file_name : str or list of str, optional
        Where the frames came from.
    meta_data : dict or list, optional
        Kept with the movie.

    Attributes
    ----------
    fr, start_time : float
        See above.
    file_name, meta_data : list
        See above.
    time : numpy.ndarray of shape (T,)
        Time of each frame in s.
    """

    def __new__(
        cls,
        input_arr: Any,
        fr: float = 30,
        start_time: float = 0,
        file_name: Any = None,
        meta_data: Any = None,
    ) -> movie:
        """View an array as a movie; see the class for the arguments."""
        if isinstance(input_arr, movie):
            return input_arr
        if hasattr(input_arr, "in_memory"):
            return input_arr.in_memory()
        if not isinstance(input_arr, np.ndarray):
            if not (
                hasattr(input_arr, "shape") and hasattr(input_arr, "dtype") and hasattr(input_arr, "file")
            ):
                raise InputError(
                    explain(
                        "an array of frames (numpy.ndarray, numpy.memmap or h5py.Dataset)",
                        f"{type(input_arr).__name__}",
                        "convert it first, cm.movie(numpy.asarray(frames)), or use cm.load for a file",
                    )
                )
            input_arr = input_arr[()]
        if not (np.isfinite(fr) and fr > 0):
            raise ParameterError(
                explain("a positive frame rate fr in Hz", repr(fr), "give the frames a second")
            )
        new = input_arr.view(cls)
        new.fr, new.start_time = float(fr), float(start_time)
        new.file_name, new.meta_data = _as_list(file_name), _as_list(meta_data)
        return new

    def __array_finalize__(self, source: Any) -> None:
        self.fr = getattr(source, "fr", 30.0)
        self.start_time = getattr(source, "start_time", 0.0)
        self.file_name = getattr(source, "file_name", [])
        self.meta_data = getattr(source, "meta_data", [])

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        # A single number is a number, not a movie.
        return array[()] if np.ndim(array) == 0 else np.asarray(array).view(type(self))._like(self)

    def __reduce__(self) -> tuple:
        rebuild, arguments, state = super().__reduce__()
        return rebuild, arguments, (state, {name: getattr(self, name) for name in _METADATA})

    def __setstate__(self, state: tuple) -> None:
        frames, metadata = state
        super().__setstate__(frames)
        self.__dict__.update(metadata)

    def _like(self, source: movie) -> movie:
        for name in _METADATA:
            setattr(self, name, getattr(source, name))
        return self

    @property
    def time(self) -> np.ndarray:
        """Time of each frame in s."""
        return self.start_time + np.arange(len(self)) / self.fr

    def calc_min(self) -> movie:
        """
        Find the lowest value.

        Returns
        -------
        movie of length 1
            The minimum, NaN left aside. CaImAn adds 1 to it; here it is the minimum.
        """
        return movie(np.array([np.fmin.reduce(np.asarray(self), axis=None)]))._like(self)

    def resize(self, fx: float = 1, fy: float = 1, fz: float = 1, interpolation: int | None = None) -> movie:
        """
        Scale a movie in space and time.

        Parameters
        ----------
        fx, fy, fz : float
            Scale of rows, of columns and of time.
        interpolation : int, optional
            An OpenCV constant, ``cv2.INTER_AREA`` if not given.

        Returns
        -------
        movie
            Sizes are rounded down, to at least 1; `fr` is multiplied by `fz`.
        """
        import cv2

        if min(fx, fy, fz) <= 0:
            raise ParameterError(explain("positive scales", f"{(fx, fy, fz)}", "use 0.5 to halve a size"))
        how = cv2.INTER_AREA if interpolation is None else interpolation
        T, d1, d2 = (max(int(size * scale), 1) for size, scale in zip(self.shape, (fz, fx, fy)))
        frames = np.asarray(self)
        frames = (
            frames
            if frames.dtype in (np.uint8, np.uint16, np.float64)
            else frames.astype(np.float32, copy=False)
        )
        if (d1, d2) != self.shape[1:]:
            frames = np.stack([cv2.resize(frame, (d2, d1), interpolation=how) for frame in frames])
        if len(self) != T:
            frames = _resize_time(frames, T, how)
        resized = np.array(frames) if np.shares_memory(frames, self) else frames
        new = movie(resized)._like(self)
        new.fr = self.fr * fz
        return new

    def bin_median(self, window: int = 10) -> np.ndarray:
        """
        Make a robust mean image: the median of means of interleaved frames.

        Of ``n = T // window`` bins, bin j holds the frames j, j + n, j + 2 n, ... A movie shorter than one
        window gives the median of its frames.

        Parameters
        ----------
        window : int
            Frames a bin.

        Returns
        -------
        numpy.ndarray of shape (d1, d2)
            The image, NaN left aside.
        """
        window = min(max(int(window), 1), len(self)) if len(self) >= window else 1
        n_bins = len(self) // window
        frames = np.asarray(self)[: n_bins * window].reshape(window, n_bins, *self.shape[1:])
        image = np.empty(self.shape[1:], dtype=np.result_type(self.dtype, np.float32))
        per_row = 3 * n_bins * window * self.shape[2] * image.itemsize
        for rows in frame_blocks(self.shape[1], per_row):
            part = frames[:, :, rows].astype(image.dtype, copy=False)
            has_nan = bool(np.isnan(part).any())
            image[rows] = _nan_median(part) if has_nan else np.median(part.mean(axis=0), axis=0)
        return image

    def local_correlations(
        self, eight_neighbours: bool = True, swap_dim: bool = False, **options: Any
    ) -> Any:
        """
        Correlate each pixel with its neighbours, see `cnmf_engine.stages.summary_images.local_correlations`.

        Parameters
        ----------
        eight_neighbours : bool
            Eight neighbours or four.
        swap_dim : bool
            Whether time is the last axis.
        **options
            Passed on.

        Returns
        -------
        numpy.ndarray of shape (d1, d2)
            Mean correlation with the neighbours.
        """
        from cnmf_engine.stages.summary_images import local_correlations

        return local_correlations(
            np.asarray(self), eight_neighbours=eight_neighbours, swap_dim=swap_dim, **options
        )

    def save(self, file_name: str | os.PathLike, to32: bool = True, order: str = "F", **options: Any) -> str:
        """
        Write the movie to a file, see `cnmf_engine.movies.saving.save_movie`.

        Parameters
        ----------
        file_name : str or path
            ``.tif``, ``.tiff``, ``.npy``, ``.npz``, ``.hdf5``, ``.h5``, ``.avi``, ``.mkv`` or ``.mmap``; a
            name without a folder is written into the working directory.
        to32 : bool
            Write float32 whatever the type in memory is.
        order : {'F', 'C'}
            Order of a ``.mmap`` file.
        **options
            `imagej`, `bigtiff`, `compress`, `var_name_hdf5`, `q_min`, `q_max`.

        Returns
        -------
        str
            The file; for ``.mmap`` its name tells the shape.
        """
        from cnmf_engine.movies.saving import save_movie

        return save_movie(self, file_name, to32=to32, order=order, **options)

    def play(self, **options: Any) -> Any:
        """
        Show the movie, see `cnmf_engine.view.playing.play_movie`.

        Parameters
        ----------
        **options
            Keywords of `play_movie`; `fr` is the movie's own if not given.

        Returns
        -------
        object
            What `play_movie` returns.
        """
        from cnmf_engine.view.playing import play_movie

        return play_movie(self, **options)


def concatenate(*args: Any, axis: int = 0, **kwargs: Any) -> movie:
    """
    Join movies, as `numpy.concatenate` does.

    Parameters
    ----------
    *args : list of movie
        The movies: one list, or one after the other.
    axis : int
        Axis to join along: 0 time, 1 rows, 2 columns.
    **kwargs
        Passed to `numpy.concatenate`.

    Returns
    -------
    movie
        With the attributes of the first and the file names of all; the inputs stay as they are.

    Raises
    ------
    InputError
        If there are none, or their frame rates differ.
    """
    parts = list(args[0]) if len(args) == 1 and not isinstance(args[0], np.ndarray) else list(args)
    if not parts:
        raise InputError(explain("at least one movie to join", "none", "pass a list of movies"))
    movies = [part for part in parts if isinstance(part, movie)]
    rates = sorted({part.fr for part in movies})
    if len(rates) > 1:
        raise InputError(
            explain(
                "movies of one frame rate",
                f"fr = {rates}",
                "load them with the same fr, or resize(fz=...) one",
            )
        )
    joined = movie(np.concatenate([np.asarray(part) for part in parts], axis=axis, **kwargs))
    if movies:
        joined._like(movies[0])
        joined.file_name = [name for part in movies for name in part.file_name]
        joined.meta_data = [entry for part in movies for entry in part.meta_data]
    return joined


def _as_list(value: Any) -> list:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def _resize_time(frames: np.ndarray, T: int, how: int) -> np.ndarray:
    import cv2

    flat = frames.reshape(len(frames), -1)
    resized = np.empty((T, flat.shape[1]), frames.dtype)
    for pixels in pixel_blocks(flat.shape[1], 2 * (len(flat) + T) * frames.itemsize):
        series = np.ascontiguousarray(flat[:, pixels].T)
        resized[:, pixels] = cv2.resize(series, (T, len(series)), interpolation=how).reshape(-1, T).T
    return resized.reshape(T, *frames.shape[1:])


def _nan_median(part: np.ndarray) -> np.ndarray:
    """Median over bins of the mean of each, where NaN doesn't count; NaN only where nothing else is."""
    counts = np.sum(~np.isnan(part), axis=0)
    with np.errstate(invalid="ignore"):
        means = np.nansum(part, axis=0) / counts
    # Empty bins sort last, so the median of the others lies where their count says.
    means.sort(axis=0)
    filled = np.sum(~np.isnan(means), axis=0)
    lower, upper = (filled - 1) // 2, filled // 2
    take = [np.take_along_axis(means, np.maximum(index, 0)[None], axis=0)[0] for index in (lower, upper)]
    return np.where(filled > 0, (take[0] + take[1]) / 2, np.nan)
