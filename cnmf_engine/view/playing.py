"""Showing a movie: in the notebook, in matplotlib, or in a window where there is a display."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from cnmf_engine.base.errors import ParameterError, explain, nearest
from cnmf_engine.base.files import replacing
from cnmf_engine.movies.saving import write_video

__all__ = ["play_movie"]

logger = logging.getLogger("caiman")

_BACKENDS = ("opencv", "embed_opencv", "notebook", "pyplot")
# A notebook keeps every frame of an animation inside its file.
_MOST_EMBEDDED = 100
# Seconds in which a display has to answer.
_LONGEST_ATTEMPT = 20


def play_movie(
    movie: Any,
    gain: float = 1,
    fr: float | None = None,
    magnification: float = 1,
    offset: float = 0,
    interpolation: int | None = None,
    backend: str = "opencv",
    do_loop: bool = False,
    bord_px: int | None = None,
    q_max: float = 99.75,
    q_min: float = 1,
    plot_text: bool = False,
    save_movie: bool = False,
    opencv_codec: str = "MJPG",
    movie_name: str = "movie.avi",
) -> Any:
    """
    Show a movie.

    The value shown is ``(offset + frame - low) * gain / (high - low)``, where low and high are percentiles of
    ten frames spread over the movie (CaImAn takes the first ten).

    Parameters
    ----------
    movie : movie of shape (T, d1, d2)
        The movie.
    gain, offset : float
        See above.
    fr : float, optional
        Frames a second on the screen; the movie's own if not given.
    magnification : float
        Size of a pixel.
    interpolation : int, optional
        An OpenCV constant for the magnification, ``cv2.INTER_LINEAR`` if not given.
    backend : {'opencv', 'embed_opencv', 'notebook', 'pyplot'}
        ``'opencv'``: a window (key q closes it). Inside a notebook ``'notebook'`` is used instead, because
        the kernel may be on another computer than the screen; elsewhere, without a display or with an OpenCV
        that has no windows, ``'pyplot'``. ``'embed_opencv'``: frames one
        after the other in the notebook. ``'notebook'``: an animation with controls, of at most 100 frames
        spread over the movie. ``'pyplot'``: a matplotlib animation.
    do_loop : bool
        Start again at the end.
    bord_px : int, optional
        Border to cut off, in pixels.
    q_max, q_min : float
        Percentiles that become white and black.
    plot_text : bool
        Write the number of the frame into it.
    save_movie : bool
        Write what is shown to a video file as well.
    opencv_codec : str
        Codec of that file. CaImAn asks for H264, which the OpenCV of PyPI lacks; there MJPG is used.
    movie_name : str
        That file.

    Returns
    -------
    IPython.display.HTML, matplotlib.animation.FuncAnimation or None
        The player for ``'notebook'`` and ``'pyplot'`` (keep a reference to the latter), else None.
    """
    import cv2

    if backend not in _BACKENDS:
        closest = nearest(str(backend), _BACKENDS)
        raise ParameterError(
            explain(
                f"a backend among {', '.join(_BACKENDS)}", repr(backend), f"use {closest or 'notebook'!r}"
            )
        )
    show = _Frames(movie, gain, offset, (q_min, q_max), magnification, interpolation or cv2.INTER_LINEAR)
    show.border, show.text = bord_px or 0, plot_text
    _check_border(show.border, np.shape(movie))
    rate = float(fr) if fr else float(getattr(movie, "fr", 30))
    if save_movie:
        with replacing(movie_name) as partial:
            write_video(show, partial, rate, opencv_codec)
    if backend == "opencv":
        backend = _backend_for_window()
    players = {"opencv": _window, "embed_opencv": _embedded, "notebook": _html, "pyplot": _pyplot}
    return players[backend](show, rate, do_loop)


class _Frames:
    """Frames as they are shown: cut, stretched to 8 bits, magnified."""

    border = 0
    text = False

    def __init__(
        self,
        frames: Any,
        gain: float,
        offset: float,
        percentiles: tuple[float, float],
        magnification: float,
        interpolation: int,
    ) -> None:
        # A movie that stays in its file is read frame by frame.
        self._frames = frames if hasattr(frames, "shape") else np.asarray(frames)
        self._gain, self._offset = gain, offset
        self._magnification, self._interpolation = magnification, interpolation
        sample = self._frames[np.linspace(0, len(self._frames) - 1, min(10, len(self._frames))).astype(int)]
        finite = sample[np.isfinite(sample)]
        self._low, high = np.percentile(finite, percentiles) if finite.size else (0.0, 1.0)
        self._range = (high - self._low) or 1.0

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Frames, rows and columns as they are shown."""
        return (len(self), *self[0].shape)

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> np.ndarray:
        import cv2

        frame = self._frames[index].astype(np.float32)
        if self.border:
            frame = frame[self.border : -self.border, self.border : -self.border]
        frame = np.nan_to_num((self._offset + frame - self._low) * (self._gain / self._range), nan=0)
        image = (np.clip(frame, 0, 1) * 255).astype(np.uint8)
        if self._magnification != 1:
            scale = self._magnification
            image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=self._interpolation)
        if self.text:
            cv2.putText(image, f"{index + 1}/{len(self)}", (5, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.4, 255)
        return image


def _check_border(border: int, shape: tuple[int, ...]) -> None:
    if not 0 <= 2 * border < min(shape[1:3]):
        expected = f"a border of less than half of {shape[1]} x {shape[2]} pixels"
        raise ParameterError(explain(expected, f"bord_px={border}", "choose a smaller one, 0 for none"))


def _backend_for_window() -> str:
    """Choose what shows the movie where a window was asked for."""
    if _in_notebook():
        backend = "notebook"
    else:
        backend = "opencv" if _has_window() else "pyplot"
    if backend != "opencv":
        logger.info("No window is opened here: backend %r is used", backend)
    return backend


def _has_window() -> bool:
    import cv2

    built_headless = "GUI:                           NONE" in cv2.getBuildInformation()
    if built_headless or not hasattr(cv2, "imshow"):
        return False
    if sys.platform in ("win32", "darwin"):
        return not os.environ.get("SSH_CONNECTION")
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return False
    # A display that doesn't answer ends the whole process, and with it all that was computed.
    attempt = [sys.executable, "-c", "import cv2; cv2.namedWindow('x'); cv2.destroyAllWindows()"]
    try:
        return subprocess.run(attempt, capture_output=True, timeout=_LONGEST_ATTEMPT).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _in_notebook() -> bool:
    get_ipython = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)
    return type(get_ipython()).__name__ in ("ZMQInteractiveShell", "Shell")


def _window(show: _Frames, rate: float, loop: bool) -> None:
    import cv2

    title = "movie (q closes)"
    going = True
    while going:
        for index in range(len(show)):
            cv2.imshow(title, show[index])
            if cv2.waitKey(max(int(1000 / rate), 1)) & 0xFF == ord("q"):
                going = False
                break
        going = going and loop
    cv2.destroyWindow(title)


def _embedded(show: _Frames, rate: float, loop: bool) -> None:
    import cv2
    from IPython.display import Image, display

    handle = display(display_id=True)
    going = True
    # The cell's own stop button interrupts; that is the wanted end of the show, not an error.
    try:
        while going:
            for index in range(len(show)):
                started = time.monotonic()
                handle.update(Image(data=cv2.imencode(".jpg", show[index])[1].tobytes()))
                time.sleep(max(1 / rate - (time.monotonic() - started), 0))
            going = loop
    except KeyboardInterrupt:
        return


def _animation(show: _Frames, rate: float, loop: bool, indices: np.ndarray) -> Any:
    import matplotlib.pyplot as plt
    from matplotlib.animation import FuncAnimation

    first = show[0]
    figure = plt.figure(figsize=(5, 5 * first.shape[0] / first.shape[1]))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    picture = axes.imshow(first, cmap="gray", vmin=0, vmax=255, interpolation="none")

    def draw(index: int) -> list:
        picture.set_data(show[int(index)])
        return [picture]

    return FuncAnimation(figure, draw, frames=indices, interval=1000 / rate, repeat=loop, blit=True)


def _pyplot(show: _Frames, rate: float, loop: bool) -> Any:
    return _animation(show, rate, loop, np.arange(len(show)))


def _html(show: _Frames, rate: float, loop: bool) -> Any:
    import matplotlib.pyplot as plt
    from IPython.display import HTML

    step = -(-len(show) // _MOST_EMBEDDED)
    animation = _animation(show, rate / step, loop, np.arange(0, len(show), step))
    player = HTML(animation.to_jshtml(fps=rate / step, default_mode="loop" if loop else "once"))
    plt.close(animation._fig)
    return player
