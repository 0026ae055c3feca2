"""The player: movies side by side, in step, with their controls."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

import numpy as np

from cnmf_engine.errors import InputError, explain
from workshop_utils.players.frames import GAP, FrameSource, compose_frame, encode, movie_limits
from workshop_utils.players.output import headless, widget_bundle
from workshop_utils.plots.movies import check_movie, movie_strip

__all__ = ["MoviePlayer", "play"]

#: Pictures a second that a hosted notebook shows without falling behind; faster movies leave frames out.
_MOST_UPDATES = 12.0


class MoviePlayer:
    """
    Movies side by side with play, pause, speed, time and contrast.

    Attributes
    ----------
    movies, titles : list
        What is played.
    fr : float
        Frame rate, Hz.
    limits : list of Limits
        Contrast of each movie before the slider.
    widget : ipywidgets.Widget or None
        The controls; None when headless.
    """

    def __init__(
        self,
        movies: Sequence[Any],
        fr: float,
        titles: Sequence[str] | None = None,
        q: tuple[float, float] = (1.0, 99.75),
        gains: Sequence[float] | None = None,
        width: int = 900,
    ) -> None:
        self.movies = list(movies)
        self.shapes = _checked(self.movies)
        self.fr = _checked_rate(fr)
        self.titles = list(titles or [f"movie {k}" for k in range(1, len(self.movies) + 1)])
        if len(self.titles) != len(self.movies):
            raise InputError(
                explain(f"{len(self.movies)} titles", f"{len(self.titles)}", "pass one title for each movie")
            )
        self.gains = list(gains) if gains is not None else [1.0] * len(self.movies)
        self.limits = [movie_limits(movie, q) for movie in self.movies]
        across = sum(shape[2] for shape in self.shapes) + GAP * (len(self.shapes) - 1)
        self.magnification = int(np.clip(width // across, 1, 6))
        self.width = min(width, across * self.magnification)
        self.widget = None if headless() else _PlayerControls(self).box

    @property
    def n_frames(self) -> int:
        """Frames of each movie."""
        return self.shapes[0][0]

    def picture(self, frame: int, contrast: tuple[float, float] = (0.0, 1.0)) -> np.ndarray:
        """
        Compose one frame.

        Parameters
        ----------
        frame : int
            Its number.
        contrast : (float, float)
            Black and white as shares of the movie's own limits.

        Returns
        -------
        ndarray of shape (rows, columns), uint8
            The picture.
        """
        low, high = contrast
        shown = [(lo + low * (hi - lo), lo + max(high, low + 1e-3) * (hi - lo)) for lo, hi in self.limits]
        return compose_frame([movie[int(frame)] for movie in self.movies], shown, self.gains)

    def still(self) -> Any:
        """
        Draw the strip of frames that stands in for the player.

        Returns
        -------
        LessonFigure
            The figure.
        """
        clims = [(lo, lo + (hi - lo) / max(g, 1e-6)) for (lo, hi), g in zip(self.limits, self.gains)]
        return movie_strip(self.movies, self.fr, self.titles, clims)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[dict, dict]:
        return widget_bundle(self.widget, self.still)


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


class _PlayerControls:
    """The widgets of a player."""

    def __init__(self, player: MoviePlayer) -> None:
        import ipywidgets as widgets

        self.player = player
        last = player.n_frames - 1
        self.image = widgets.Image(format="jpeg", layout=widgets.Layout(width=f"{player.width}px"))
        self.clock = widgets.Play(value=0, min=0, max=last, layout=widgets.Layout(width="140px"))
        self.time = widgets.IntSlider(
            value=0, min=0, max=last, description="frame", readout=False, layout=widgets.Layout(width="330px")
        )
        self.label = widgets.HTML(layout=widgets.Layout(width="190px"))
        self.speed = widgets.Dropdown(
            options=[("¼ ×", 0.25), ("½ ×", 0.5), ("1 ×", 1.0), ("2 ×", 2.0), ("4 ×", 4.0), ("8 ×", 8.0)],
            value=1.0,
            description="speed",
            layout=widgets.Layout(width="150px"),
        )
        self.contrast = widgets.FloatRangeSlider(
            value=(0.0, 1.0), min=-0.5, max=2.0, step=0.02, description="contrast", readout=False,
            layout=widgets.Layout(width="330px"),
        )  # fmt: skip
        # The link lives in the browser, so the slider follows even while the kernel is busy.
        self.link = widgets.jslink((self.clock, "value"), (self.time, "value"))
        self.time.observe(self._draw, "value")
        self.contrast.observe(self._draw, "value")
        self.speed.observe(self._set_pace, "value")
        self._set_pace()
        self._draw()
        first = widgets.HBox([self.clock, self.time, self.label])
        second = widgets.HBox([self.speed, self.contrast])
        self.box = widgets.VBox([widgets.HTML(self._headline()), self.image, first, second])

    def _headline(self) -> str:
        """Write each title above its movie."""
        across = [shape[2] for shape in self.player.shapes]
        parts = " ".join(f"{n}fr" for n in across)
        cells = "".join(f"<b>{html.escape(str(title))}</b>" for title in self.player.titles)
        style = f"display:grid;grid-template-columns:{parts};width:{self.player.width}px"
        return f'<div style="{style}">{cells}</div>'

    def _set_pace(self, _change: Any = None) -> None:
        """Keep to the movie's time: where it runs too fast for the connection, leave frames out."""
        rate = self.player.fr * self.speed.value
        step = max(1, int(np.ceil(rate / _MOST_UPDATES)))
        self.clock.step = step
        self.clock.interval = max(20, round(1000 * step / rate))

    def _draw(self, _change: Any = None) -> None:
        """Send the current frame."""
        frame = self.time.value
        picture = self.player.picture(frame, self.contrast.value)
        self.image.value = encode(picture, self.player.magnification)
        self.label.value = f"{frame + 1} of {self.player.n_frames} &nbsp; {frame / self.player.fr:.2f} s"


def play(
    movies: Sequence[Any],
    fr: float = 10.0,
    titles: Sequence[str] | None = None,
    q: tuple[float, float] = (1.0, 99.75),
    gains: Sequence[float] | None = None,
    width: int = 900,
) -> MoviePlayer:
    """
    Play movies side by side in the notebook.

    Frames are read when they are shown, so a memory map of any length can be played.

    Parameters
    ----------
    movies : sequence of arrays of shape (T, d1, d2)
        Movies, memory maps or `FrameSource` objects with the same number of frames, or a single one.
    fr : float
        Frame rate, Hz.
    titles : sequence of str, optional
        Name of each movie.
    q : (float, float)
        Percentiles for black and white.
    gains : sequence of float, optional
        Factor on the brightness of each movie.
    width : int
        Width on screen, pixels.

    Returns
    -------
    MoviePlayer
        Shown when it is the last value of a cell; `display(player)` shows it elsewhere.

    Raises
    ------
    InputError
        If there is no movie, or the movies differ in their number of frames.
    """
    if getattr(movies, "ndim", None) == 3 or isinstance(movies, FrameSource):
        movies = [movies]
    return MoviePlayer(movies, fr, titles, q, gains, width)
