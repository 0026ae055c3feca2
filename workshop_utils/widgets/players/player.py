"""The player: movies side by side, in step, with their controls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from workshop_utils.figures.movies import movie_strip
from workshop_utils.widgets.players.clip import clip_bundle
from workshop_utils.widgets.players.film import MOST_WIDTH, Film
from workshop_utils.widgets.players.output import headless, saved_page, widget_bundle

__all__ = ["MoviePlayer", "play"]


class MoviePlayer(Film):
    """
    Movies side by side with play, pause, step, speed, time, loop, contrast and saving.

    Attributes
    ----------
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
        width: int = MOST_WIDTH,
    ) -> None:
        super().__init__(movies, fr, titles, q, gains, width)
        self.widget = None if headless() else _controls(self)

    def set_contrast(self, low: float = 0, high: float = 100, movie: int | None = None) -> None:
        """Change what is drawn black and white, in the page too; see `Film.set_contrast`."""
        super().set_contrast(low, high, movie)
        if self.widget is not None:
            self.widget.screen.dress()

    def still(self) -> Any:
        """
        Draw the strip of frames that stands in for the player.

        Returns
        -------
        LessonFigure
            The figure.
        """
        return movie_strip(self.movies, self.fr, self.titles, self.contrast)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[dict, dict]:
        nobody = headless()
        data, metadata = widget_bundle(None if nobody else self.widget, self.still)
        if nobody and saved_page():
            video, words = clip_bundle(self)
            return data | video, metadata | words
        return data, metadata


def _controls(player: MoviePlayer) -> Any:
    # Imported here: a headless run needs no widgets.
    from workshop_utils.widgets.players.controls import PlayerBox

    return PlayerBox(player)


def play(
    movies: Sequence[Any],
    fr: float = 10.0,
    titles: Sequence[str] | None = None,
    q: tuple[float, float] = (1.0, 99.75),
    gains: Sequence[float] | None = None,
    width: int = MOST_WIDTH,
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
        Most width on screen, pixels; at most 960.

    Returns
    -------
    MoviePlayer
        Shown when it is the last value of a cell; `display(player)` shows it elsewhere. Its `save` writes a
        video.

    Raises
    ------
    InputError
        If there is no movie, or the movies differ in their number of frames.
    """
    if getattr(movies, "ndim", None) == 3:
        movies = [movies]
    return MoviePlayer(movies, fr, titles, q, gains, width)
