"""A simulated recording taken apart: one frame as it grows, and what each stage does to it."""

from __future__ import annotations

import textwrap
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes

from workshop_utils.figures.base import (
    COLORS,
    LessonFigure,
    as_image,
    clear_spines,
    image_height,
    message_figure,
    new_figure,
    show_image,
    styled,
)

__all__ = ["stages_figure"]

#: The stage from which on the scene is where motion has put it.
_MOTION = "motion"
#: From here to 3 px farther away, in px, lies what surrounds a cell.
_REACH = 7


class _Cell(NamedTuple):
    """The cell that is followed through the stages: its number, and where it is before and after motion."""

    number: int
    still: tuple[float, float]
    moved: tuple[float, float]


def _stages_of(truth: Any) -> dict[str, np.ndarray]:
    """Names and pictures of the stages that a truth holds; none where it holds none."""
    pictures = getattr(truth, "stages", None)
    if pictures is None or len(pictures) == 0:
        return {}
    if isinstance(pictures, dict):
        return {str(name): as_image(picture, str(name)) for name, picture in pictures.items()}
    names = getattr(truth, "stage_names", None)
    names = [f"stage {k}" for k in range(1, len(pictures) + 1)] if names is None else names
    return {str(name): as_image(picture, str(name)) for name, picture in zip(names, pictures)}


def _frame_of(truth: Any) -> int | None:
    """Say which frame the stages show; None where that isn't known or isn't a frame of the truth."""
    frame = getattr(truth, "stage_frame", None)
    n_frames = truth.C.shape[1]
    return int(frame) if frame is not None and 0 <= int(frame) < n_frames else None


def _followed_cell(truth: Any, frame: int | None, first: np.ndarray, last: np.ndarray) -> _Cell | None:
    """Choose the bright cell, well inside the picture, that loses most of itself on the way."""
    if frame is None or not len(truth.A) or first.shape != truth.A.shape[1:]:
        return None
    shift = np.asarray(truth.shifts[frame], dtype=np.float64)
    centers = truth.centers
    margin = _REACH + 2
    inside = ((centers > margin) & (centers < np.array(first.shape) - 1 - margin)).all(axis=1)
    inside &= truth.detectable
    rises = {int(k): _rise(first, centers[k]) for k in np.flatnonzero(inside)}
    if not rises or max(rises.values()) <= 0:
        return None
    bright = [k for k, rise in rises.items() if rise >= 0.15 * first.max()] or [max(rises, key=rises.get)]
    number = min(bright, key=lambda k: _rise(last, centers[k] + shift) / rises[k])
    still, moved = centers[number], centers[number] + shift
    return _Cell(number, (float(still[0]), float(still[1])), (float(moved[0]), float(moved[1])))


def _rise(picture: np.ndarray, place: Any) -> float:
    """Brightness at a place minus that around it, counts."""
    rows, cols = np.indices(picture.shape)
    distance = np.hypot(rows - place[0], cols - place[1])
    around = picture[(distance > _REACH) & (distance <= _REACH + 3)]
    return float(picture[distance <= 2].mean() - around.mean())


def _what_it_does(name: str, picture: np.ndarray, before: np.ndarray | None, motion: Any) -> str:
    """Say in a sentence what a stage does to the picture before it."""
    mean = float(picture.mean())
    if before is None:
        return f"the light of the cells alone: {mean:.3g} counts a pixel"
    level = max(float(before.mean()), 1e-9)
    change = mean - level
    share, lost = _percent(change / max(mean, 1e-9)), _percent(-change / level)
    sentences = {
        "motion": "adds no light: the tissue slides"
        + ("" if motion is None else f" by {motion[0]:+.1f} rows, {motion[1]:+.1f} columns"),
        "sensor": "adds no light but grain: single photons and whole counts, "
        f"± {(picture - before).std():.2g} counts a pixel",
        "neuropil": f"adds a soft glow: {change:+.3g} counts, {share} of the light now",
        "vessel": f"blood absorbs light: {change:+.3g} counts, {lost} of it lost",
        "uneven": f"darker towards the corners: {change:+.2g} counts, {lost} lost",
        "stray": f"light that never met the tissue: {change:+.2g} counts, {share} of it now",
    }
    known = [sentence for word, sentence in sentences.items() if word in name.lower()]
    sentence = known[0] if known else f"changes the mean brightness by {change:+.2g} counts"
    return sentence.replace("-", "\N{MINUS SIGN}")


def _percent(share: float) -> str:
    """Write a share so that no line ends before its sign."""
    return f"{100 * share:.0f}\N{NO-BREAK SPACE}%"


def _draw_bars(ax: Axes, stages: dict[str, np.ndarray]) -> None:
    """Draw the mean brightness after each stage, and in each bar what the cells alone had."""
    means = [float(picture.mean()) for picture in stages.values()]
    places = np.arange(1, len(means) + 1)
    colors = [COLORS["line"]] + [COLORS["raw"]] * (len(means) - 1)
    drawn = ax.barh(places, means, color=colors, height=0.7)
    ax.bar_label(drawn, [f"{mean:.3g}" for mean in means], padding=3)
    ax.axvline(means[0], color=COLORS["line"], ls="--", lw=1)
    ax.text(means[0], 0.45, " cells alone", color=COLORS["line"], va="bottom", fontsize=9)
    clear_spines(ax, title="Mean brightness (counts)", yticks=places, xlim=(0, 1.25 * max(*means, 1e-9)))
    ax.set(ylim=(len(means) + 0.5, 0.1), xticks=[])
    ax.spines["bottom"].set_visible(False)
    ax.tick_params(axis="y", length=0)


@styled
def stages_figure(truth: Any, per_row: int = 4) -> LessonFigure:
    """
    Show a simulated recording taken apart: one frame as it grows, and what each stage adds.

    Parameters
    ----------
    truth : workshop_utils.movies.truth.Truth
        Truth of a simulated recording, with `stages` (n, d1, d2), the frame after each stage in counts,
        `stage_names` (n,) and `stage_frame`.
    per_row : int
        Pictures in a row.

    Returns
    -------
    LessonFigure
        A picture a stage, each with its own contrast and with what it adds to the one before, the same cell
        marked in all of them; last, the mean brightness after each stage. A figure that says so if the
        truth is None or knows no stages.
    """
    stages = {} if truth is None else _stages_of(truth)
    if not stages:
        return message_figure("This recording's parts aren't known: only a simulated one can be taken apart.")
    frame = _frame_of(truth)
    pictures = list(stages.values())
    cell = _followed_cell(truth, frame, pictures[0], pictures[-1])
    motion = None if frame is None else tuple(float(v) for v in truth.shifts[frame])
    n_cols = max(min(per_row, len(stages) + 1), 2)
    n_rows = -(-(len(stages) + 1) // n_cols)
    width = 10.6 / n_cols
    shape = pictures[0].shape
    figure, axes = new_figure(
        n_rows, n_cols, (10.6, n_rows * (image_height(shape, width - 0.2, 0.0) + 0.95) + 0.3)
    )
    for ax in axes.flat[len(stages) + 1 :]:
        ax.set_axis_off()
    words, before, moved = [], None, False
    for number, (ax, (name, picture)) in enumerate(zip(axes.flat, stages.items()), start=1):
        moved = moved or _MOTION in name
        show_image(ax, picture, f"{number}  {name}", cmap="gray")
        sentence = _what_it_does(name, picture, before, motion)
        rise = "" if cell is None else f"marked cell: {_mark_cell(ax, picture, cell, moved):+.0f} counts"
        rise = rise.replace("-", "\N{MINUS SIGN}")
        ax.set_xlabel("\n".join([*textwrap.wrap(sentence, int(width * 13.5)), rise]), fontsize=9)
        words.append(f"{number} {name.lstrip('+ ')}: {sentence}" + (f" ({rise})" if rise else ""))
        before = picture
    _draw_bars(axes.flat[len(stages)], stages)
    about = "" if cell is None else "  (circle: the same cell, with its rise above what surrounds it)"
    figure.suptitle(f"One frame as it grows, each picture with its own contrast{about}", fontsize=10.5)
    figure.alt = f"One frame of the simulated recording as it grows, in {len(stages)} pictures. " + "; ".join(
        words
    )
    figure.alt += "."
    return figure


def _mark_cell(ax: Axes, picture: np.ndarray, cell: _Cell, moved: bool) -> float:
    """Circle the followed cell; give its rise above its surroundings."""
    place = cell.moved if moved else cell.still
    ax.scatter(place[1], place[0], s=220, facecolors="none", edgecolors=COLORS["rejected"], linewidths=1.6)
    return _rise(picture, place)
