"""Movies side by side as pictures, one a frame, and as a video: what a player shows, without any widget."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cnmf_engine.base.errors import InputError, explain
from workshop_utils.measures.pieces import check_movie
from workshop_utils.widgets.players.frames import (
    GAP,
    Limits,
    compose_frame,
    frame_label,
    frame_numbers,
    magnification,
    movie_limits,
    resized,
)
from workshop_utils.widgets.players.video import caption, write_video

__all__ = ["MOST_WIDTH", "Film"]

#: Room for the picture on the screen, px: with the controls the player is at most 960 x 600.
MOST_WIDTH, _MOST_HEIGHT = 960, 420
#: Small movies are enlarged up to this in a video, and none is wider than what video players can show.
_VIDEO_WIDTH, _VIDEO_HEIGHT, _WIDEST_VIDEO = 1280, 960, 3840


class Film:
    """
    Movies of the same length side by side, with their contrast.

    Attributes
    ----------
    movies, titles : list
        What is played.
    fr : float
        Frame rate, Hz.
    limits : list of Limits
        Contrast of each movie as chosen from its data.
    contrast : list of Limits
        Contrast of each movie as it is shown and saved.
    magnification : float
        Size of a pixel on the screen.
    """

    def __init__(
        self,
        movies: Sequence[Any],
        fr: float,
        titles: Sequence[str] | None = None,
        q: tuple[float, float] = (1.0, 99.75),
        gains: Sequence[float] | None = None,
        width: int = MOST_WIDTH,
    ) -> None:
        self.movies = list(movies)
        self.shapes = _checked(self.movies)
        self.fr = _checked_rate(fr)
        self.titles = [str(t) for t in titles or [f"movie {k}" for k in range(1, len(self.movies) + 1)]]
        gains = [1.0] * len(self.movies) if gains is None else list(gains)
        for name, given in (("titles", self.titles), ("gains", gains)):
            if len(given) != len(self.movies):
                fix = "pass one for each movie"
                raise InputError(explain(f"{len(self.movies)} {name}", f"{len(given)}", fix))
        found = [movie_limits(movie, q) for movie in self.movies]
        self.limits = [Limits(lo, lo + (hi - lo) / max(gain, 1e-6)) for (lo, hi), gain in zip(found, gains)]
        self.contrast = list(self.limits)
        self.magnification = magnification(self.shapes, min(width, MOST_WIDTH), _MOST_HEIGHT)
        # Front ends may ask for frames in another thread than cells and the saving button.
        self._reading = threading.Lock()

    @property
    def n_frames(self) -> int:
        """Frames of each movie."""
        return self.shapes[0][0]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the picture on the screen, px."""
        columns = self._columns()
        across = columns[-1] + self.shapes[-1][2]
        tall = max(shape[1] for shape in self.shapes)
        return max(1, round(across * self.magnification)), max(1, round(tall * self.magnification))

    def picture(self, frame: int) -> np.ndarray:
        """
        Compose one frame.

        Parameters
        ----------
        frame : int
            Its number, from 0.

        Returns
        -------
        ndarray of shape (rows, columns), uint8
            The picture, in the movie's pixels.
        """
        with self._reading:
            frames = [movie[int(frame)] for movie in self.movies]
        return compose_frame(frames, self.contrast)

    def set_contrast(self, low: float = 0, high: float = 100, movie: int | None = None) -> None:
        """
        Change what is drawn black and white.

        Parameters
        ----------
        low, high : float
            In percent of the range chosen from the data (`limits`): 0 and 100 are that range itself.
        movie : int, optional
            Which movie, from 0; all if left out.
        """
        high = max(high, low + 0.1)
        for k in range(len(self.movies)) if movie is None else [movie]:
            lo, hi = self.limits[k]
            self.contrast[k] = Limits(lo + low / 100 * (hi - lo), lo + high / 100 * (hi - lo))

    def save(
        self,
        path: str | os.PathLike,
        frames: Any = None,
        fr: float | None = None,
        text: bool = True,
        quality: float = 7,
        scale: float | None = None,
        progress: str | None = "Video",
    ) -> Path:
        """
        Write the movies side by side, as they are shown, to a video for slides or the web.

        Parameters
        ----------
        path : str or path
            File that ends in ``.mp4`` (H.264; plays nearly everywhere) or ``.webm`` (VP9).
        frames : None, (int, int), slice, range or sequence of int
            Which frames: all, from one up to and without another, or their numbers.
        fr : float, optional
            Frames a second in the video; the movie's own if left out.
        text : bool
            Write the titles above, and frame and time below.
        quality : float
            1 (small file) to 10 (as good as the movie).
        scale : float, optional
            Size of a pixel; as chosen for a video of about 1280 x 960 if left out.
        progress : str or None
            Text of the progress bar, which comes when it takes long.

        Returns
        -------
        pathlib.Path
            The file.

        Raises
        ------
        InputError
            If the name, a frame or a value can't be used, or the file can't be written.
        """
        numbers = frame_numbers(frames, self.n_frames)
        rate = self.fr if fr is None else fr
        pictures = self.video_pictures(numbers, text, scale)
        return write_video(pictures, path, rate, quality, len(numbers), progress)

    def video_pictures(
        self, frames: Sequence[int], text: bool = True, scale: float | None = None
    ) -> Iterator[np.ndarray]:
        """
        Draw frames as they are in a video, one at a time.

        Parameters
        ----------
        frames : sequence of int
            Their numbers.
        text, scale
            As for `save`.

        Yields
        ------
        ndarray of shape (rows, columns), uint8
            The picture with its text.
        """
        columns = self._columns()
        across = columns[-1] + self.shapes[-1][2]
        if scale is None:
            scale = magnification(self.shapes, _VIDEO_WIDTH, _VIDEO_HEIGHT)
            scale = scale if scale >= 1 else min(1, _WIDEST_VIDEO / across)
        elif not 0 < scale <= _WIDEST_VIDEO / across:
            fix = "leave it out, or pass 1 for the movie's own pixels"
            raise InputError(explain(f"a scale up to {_WIDEST_VIDEO / across:.1f}", f"scale={scale}", fix))
        above = None
        for frame in frames:
            picture = resized(self.picture(frame), scale)
            if text:
                width = picture.shape[1]
                if above is None:
                    above = caption(width, self.titles, [round(start * scale) for start in columns])
                below = caption(width, [frame_label(frame, self.n_frames, self.fr)], [0])
                picture = np.concatenate([above, picture, below])
            yield picture

    def _columns(self) -> list[int]:
        """Where each movie begins in the picture, px of the movie."""
        widths = [shape[2] + GAP for shape in self.shapes]
        return [0, *np.cumsum(widths)[:-1].tolist()]


def _checked(movies: list[Any]) -> list[tuple[int, int, int]]:
    """Check that there are movies, and that they can run side by side."""
    shapes = [check_movie(movie, f"movie {k}") for k, movie in enumerate(movies, start=1)]
    if len({shape[0] for shape in shapes}) != 1:
        raise InputError(
            explain(
                "a list of movies with the same number of frames",
                f"{[shape[0] for shape in shapes]} frames" if shapes else "an empty list",
                "cut them to the same frames, for example movie[:n]",
            )
        )
    return shapes


def _checked_rate(fr: float) -> float:
    """Check that a frame rate can divide."""
    if not np.isfinite(fr) or fr <= 0:
        raise InputError(explain("a frame rate above 0 Hz", f"fr={fr}", "pass the rate of the recording"))
    return float(fr)
