"""Whether a recording is exposed well: its pixel values, and the same movie made too bright."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes

from workshop_utils.figures.base import (
    COLORS,
    LessonFigure,
    clear_spines,
    image_height,
    message_figure,
    new_figure,
    show_image,
    styled,
)
from workshop_utils.measures.pieces import check_movie

__all__ = ["exposure_figure"]

_MOST_FRAMES, _MOST_VALUES = 600, 20_000_000
_BITS = (8, 10, 12, 14, 16)
#: Share of the pixel values that are cut off in the movie that is too bright on purpose.
_CLIPPED = 0.03


class _Scale(NamedTuple):
    """The smallest and largest value a camera writes, how the largest is known, and if values are whole."""

    low: float
    top: float
    name: str
    whole: bool


def _scale_of(frames: np.ndarray, dtype: Any) -> _Scale:
    """Tell the camera's range from the type of the numbers, or from the values if they are whole."""
    finite = frames[np.isfinite(frames)]
    high, low = float(finite.max()), float(finite.min())
    if np.dtype(dtype) == np.uint8:
        return _Scale(0.0, 255.0, "8 bits: 255", True)
    if low >= 0 and np.array_equal(finite, np.rint(finite)) and high < 2 ** _BITS[-1]:
        bits = next(bits for bits in _BITS if high < 2**bits)
        return _Scale(0.0, 2.0**bits - 1, f"{bits} bits: {2**bits - 1}", True)
    return _Scale(low, high, f"in this movie {high:.4g}", False)


def _too_bright(frames: np.ndarray, scale: _Scale) -> tuple[np.ndarray, float]:
    """Raise the light until a given share of the values is cut off; give the gain too."""
    level = float(np.nanpercentile(frames, 100 * (1 - _CLIPPED)))
    gain = max((scale.top - scale.low) / max(level - scale.low, 1e-9), 1.5)
    # Whole counts would turn into a comb; more light would have filled the gaps between its teeth.
    fill = np.random.default_rng(0).uniform(-0.5, 0.5, frames.shape).astype(np.float32) if scale.whole else 0
    return np.clip(scale.low + gain * (frames + fill - scale.low), scale.low, scale.top), gain


def _share(values: np.ndarray, at: float, above: bool) -> float:
    """Share of the finite values at the end of the scale."""
    finite = values[np.isfinite(values)]
    return float((finite >= at if above else finite <= at).mean()) if finite.size else 0.0


def _percent(share: float) -> str:
    """Write a share so that little isn't nothing."""
    return "none" if share == 0 else "below 0.001 %" if share < 1e-5 else f"{100 * share:.2g} %"


def _draw_values(ax: Axes, frames: np.ndarray, scale: _Scale, words: tuple[str, str]) -> None:
    """Draw how often each value occurs, with what is at both ends."""
    values = frames[np.isfinite(frames)]
    edges = np.linspace(scale.low, scale.top, 129)
    counts, _ = np.histogram(values, edges)
    share = 100 * counts / max(values.size, 1)
    ax.stairs(share, edges, fill=True, color=COLORS["raw"])
    ax.set_yscale("log")
    floor = 10 ** np.floor(np.log10(max(100 / max(values.size, 1), 1e-6)))
    ax.set_ylim(floor, 10 ** np.ceil(np.log10(max(share.max(), 1e-5)) + 1.2))
    ax.axvline(scale.top, color=COLORS["second"], lw=1.5, ls="--")
    ax.annotate(
        f"at the largest value\n({scale.name}):\n{words[1]}", (scale.top, max(share[-1], 10 * floor)),
        (0.66, 0.97), textcoords="axes fraction", ha="center", va="top",
        color=COLORS["second"], arrowprops={"arrowstyle": "->", "color": COLORS["second"], "lw": 1.5},
    )  # fmt: skip
    ax.text(0.02, 0.97, f"at the smallest:\n{words[0]}", transform=ax.transAxes, va="top")
    clear_spines(ax, xlabel="pixel value (counts)", ylabel="% of the values")
    ax.set_xlim(scale.low - 0.02 * (scale.top - scale.low), scale.top + 0.03 * (scale.top - scale.low))


def _draw_frame(ax: Axes, frame: np.ndarray, scale: _Scale, title: str) -> None:
    """Draw a frame on the camera's whole scale, with the pixels at its top in colour."""
    from matplotlib.colors import ListedColormap

    show_image(ax, np.nan_to_num(frame), title, (scale.low, scale.top), "gray")
    lost = frame >= scale.top
    if lost.any() and not lost.all():
        ax.imshow(np.ma.masked_where(~lost, lost), cmap=ListedColormap([COLORS["second"]]))
        ax.set_xlabel(f"orange: at the largest\nvalue, {lost.mean():.1%} of the pixels", fontsize=9)
    else:
        ax.set_xlabel("black to white: the whole\nscale of the camera", fontsize=9)


@styled
def exposure_figure(movie: Any) -> LessonFigure:
    """
    Show whether a movie is exposed well, beside the same movie made too bright.

    Parameters
    ----------
    movie : array of shape (T, d1, d2)
        Movie as recorded; of a long one some 600 frames are read.

    Returns
    -------
    LessonFigure
        A row for the movie and one for a copy whose light was raised until 3 % of the values are cut off: a
        frame, how often each value occurs with the shares at both ends of the scale, and one pixel over time.
    """
    n_frames, n_rows, n_cols = check_movie(movie)
    most = min(_MOST_FRAMES, max(_MOST_VALUES // (n_rows * n_cols), 1))
    step = -(-n_frames // most)
    dtype = getattr(movie, "dtype", np.float32)
    frames = np.asarray(movie[::step], dtype=np.float32)
    finite = frames[np.isfinite(frames)]
    if finite.size == 0 or finite.min() == finite.max():
        value = "no value at all" if finite.size == 0 else f"the value {finite.min():g} everywhere"
        return message_figure(f"This movie holds {value}: nothing was recorded.")
    scale = _scale_of(frames, dtype)
    bright, gain = _too_bright(frames, scale)
    spread = np.nan_to_num(frames.std(axis=0))  # a pixel that misses a value isn't taken
    pixel = np.unravel_index(int(np.argmax(spread)), frames.shape[1:])
    at = int(np.argmax(np.nan_to_num(frames[:, *pixel], nan=-np.inf)))
    rows = {"As recorded": frames, f"The same with\n{gain:.1f} times the light": bright}
    height = max(image_height(frames.shape[1:], 2.5, 0.0, 3.2), 2.1)
    figure, axes = new_figure(2, 3, (10.8, 2 * height + 1.7), width_ratios=(1, 1.6, 1.6))
    words = []
    for row, (title, values) in zip(axes, rows.items()):
        ends = _percent(_share(values, scale.low, False)), _percent(_share(values, scale.top, True))
        _draw_frame(row[0], values[at], scale, title)
        _draw_values(row[1], values, scale, ends)
        _draw_pixel(row[2], values[:, *pixel], scale, step)
        name = title.lower().replace("\n", " ")
        words.append(f"{name}: at the largest value {ends[1]}, at the smallest {ends[0]}")
    axes[0, 1].set_title("How often each value occurs")
    axes[0, 2].set_title(f"One pixel over time (row {pixel[0]}, column {pixel[1]})")
    figure.alt = (
        f"Pixel values of a movie on the camera's scale ({scale.name}), and of the same made too bright. "
        + "; ".join(words).capitalize()
        + ". In the second, the peaks of the pixel are flat where they reach the largest value."
    )
    return figure


def _draw_pixel(ax: Axes, trace: np.ndarray, scale: _Scale, step: int) -> None:
    """Draw a pixel over time, with what was cut off marked."""
    time = np.arange(trace.size) * step
    ax.plot(time, trace, color=COLORS["line"], lw=0.8)
    ax.axhline(scale.top, color=COLORS["second"], lw=1.5, ls="--")
    lost = trace >= scale.top
    ax.plot(time[lost], trace[lost], "s", ms=3, color=COLORS["second"])
    clear_spines(ax, xlabel="frame", ylabel="counts")
    reach = scale.top - scale.low
    ax.set_ylim(scale.low - 0.03 * reach, scale.top + 0.16 * reach)
    note = f"cut off in {int(lost.sum())} frames" if lost.any() else "room above the peaks"
    ax.text(0.99, 0.99, note, transform=ax.transAxes, ha="right", va="top", color=COLORS["second"])
