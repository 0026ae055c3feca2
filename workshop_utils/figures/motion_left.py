"""What motion that is left in does to the correlation image: one cell and one edge from close by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes

from cnmf_engine.base.errors import InputError, explain
from workshop_utils.figures.base import (
    COLORS,
    LessonFigure,
    as_image,
    clear_spines,
    limits,
    new_figure,
    show_image,
    styled,
)

__all__ = ["motion_left_figure"]

_BEFORE = {"color": COLORS["second"], "ls": "--", "lw": 1.8}
_AFTER = {"color": COLORS["line"], "ls": "-", "lw": 1.8}


class _Profile(NamedTuple):
    """A line through a place in both images: along rows (axis 1) or columns (axis 0), px from the place."""

    axis: int
    x: np.ndarray
    before: np.ndarray
    after: np.ndarray


def _window(shape: tuple[int, int], place: Sequence[int], reach: int) -> tuple[slice, slice]:
    """Cut out a square about a place, as far as the image goes."""
    return tuple(slice(max(v - reach, 0), min(v + reach + 1, size)) for v, size in zip(place, shape))


def _reaches(values: np.ndarray, at: int) -> tuple[float, float]:
    """How far a bump reaches to both sides at half its height above the lowest value, px."""
    level = (values[at] + values.min()) / 2
    ends = []
    for step in (-1, 1):
        k = at
        while 0 <= k + step < values.size and values[k + step] > level:
            k += step
        drop = values[k] - values[k + step] if 0 <= k + step < values.size else 0.0
        ends.append(abs(k - at) + (float((values[k] - level) / drop) if drop > 0 else 0.0))
    return ends[0], ends[1]


def _profile(before: np.ndarray, after: np.ndarray, place: Sequence[int], reach: int) -> _Profile:
    """Take the line, along a row or a column, on which the two images differ most."""
    lines = []
    for axis in (0, 1):
        window = _window(before.shape, place, reach)[axis]
        x = np.arange(window.start, window.stop) - place[axis]
        index = (window, place[1]) if axis == 0 else (place[0], window)
        lines.append(_Profile(axis, x, before[index], after[index]))
    return max(lines, key=lambda line: float(np.abs(line.before - line.after).sum()))


def _find_cell(before: np.ndarray, after: np.ndarray, reach: int) -> tuple[int, int] | None:
    """Find the clear spot that gets narrower most: a local maximum, well inside, in the corrected image."""
    from scipy.ndimage import gaussian_filter, maximum_filter

    smooth = gaussian_filter(after, 1.0)
    peaks = (smooth == maximum_filter(smooth, size=7)) & (smooth > np.percentile(smooth, 90))
    peaks &= np.ptp(after) > 0
    margin = min(reach, min(after.shape) // 4)
    inside = np.zeros(after.shape, bool)
    inside[margin : -margin or None, margin : -margin or None] = True
    places = [tuple(int(v) for v in place) for place in np.argwhere(peaks & inside)]

    def narrowing(place: tuple[int, int]) -> float:
        line = _profile(before, after, place, reach)
        at = int(np.flatnonzero(line.x == 0)[0])
        height = line.after[at] - line.after.min()
        return (sum(_reaches(line.before, at)) - sum(_reaches(line.after, at))) * height

    return max(places, key=narrowing) if places else None


def _find_edge(before: np.ndarray, after: np.ndarray, cell: tuple[int, int] | None) -> tuple[int, int] | None:
    """Find where correlation was highest without cause: it is gone once motion is undone."""
    from scipy.ndimage import gaussian_filter

    lost, smooth = gaussian_filter(before - after, 2.0), gaussian_filter(before, 2.0)
    lost[smooth < 0.25] = -np.inf
    if cell is not None:
        rows, cols = np.indices(lost.shape)
        lost[np.hypot(rows - cell[0], cols - cell[1]) < 10] = -np.inf
    place = np.unravel_index(int(np.argmax(lost)), lost.shape)
    return (int(place[0]), int(place[1])) if lost[place] > 0.05 else None


def _draw_row(
    row: np.ndarray, images: tuple, place: tuple[int, int], reach: int, names: Sequence[str]
) -> str:
    """Draw a place before and after, and a line through both; give it in words."""
    before, after = images
    window = _window(before.shape, place, reach)
    line = _profile(before, after, place, reach)
    clim = limits(np.concatenate([image[window].ravel() for image in images]), 5, 100)
    for ax, image, when, look in zip(row, images, ("before", "after"), (_BEFORE, _AFTER)):
        show_image(ax, image[window], f"{names[0]}, {when}", clim)
        at = [p - w.start for p, w in zip(place, window)]
        (ax.axhline if line.axis else ax.axvline)(at[1 - line.axis], color="white", ls=look["ls"], lw=1.2)
    ax = row[2]
    ax.plot(line.x, line.before, label="before (dashed)", **_BEFORE)
    ax.plot(line.x, line.after, label="after", **_AFTER)
    return _name_line(ax, line, names[1])


def _name_line(ax: Axes, line: _Profile, kind: str) -> str:
    """Write on the profile what it shows, and give that in words."""
    at = int(np.flatnonzero(line.x == 0)[0])
    clear_spines(ax, xlabel=f"px along the {'row' if line.axis else 'column'}", ylabel="correlation")
    if kind == "edge":
        words = f"at the line's middle {line.before[at]:.2f} before, {line.after[at]:.2f} after"
    else:
        widths = []
        for values, look in ((line.before, _BEFORE), (line.after, _AFTER)):
            left, right = _reaches(values, at)
            ax.hlines((values[at] + values.min()) / 2, -left, right, **look, alpha=0.6)
            widths.append(left + right)
        words = f"{widths[0]:.1f} px wide before, {widths[1]:.1f} px after"
    ax.set_title(words[0].upper() + words[1:])
    return words


@styled
def motion_left_figure(
    before: Any, after: Any, cell: Sequence[int] | None = None, reach: int = 12
) -> LessonFigure:
    """
    Show from close by what motion that was left in does to the correlation image.

    Parameters
    ----------
    before, after : arrays of shape (d1, d2)
        Local correlation images before and after motion correction.
    cell : (int, int), optional
        Row and column of a cell; default the spot that gets narrower most.
    reach : int
        Pixels to show to each side.

    Returns
    -------
    LessonFigure
        A cell before and after, with its width; and, if there is one, the place at which the correlation of
        before was highest without cause, such as an edge that moved. A line through both images beside them.

    Raises
    ------
    InputError
        If the images differ in shape.
    """
    images = before, after = as_image(before, "before"), as_image(after, "after")
    if before.shape != after.shape:
        raise InputError(
            explain("two images of one size", f"{before.shape} and {after.shape}", "pass both of one movie")
        )
    reach = max(int(reach), 3)
    if cell is None:
        found = _find_cell(before, after, reach)
        place = found or (before.shape[0] // 2, before.shape[1] // 2)
    else:
        found = place = (int(cell[0]), int(cell[1]))
    edge = _find_edge(before, after, found)
    n_rows = 1 if edge is None else 2
    figure, axes = new_figure(n_rows, 3, (10.2, 2.9 * n_rows + 0.2), width_ratios=(1, 1, 1.6))
    name = "A cell" if found else "The middle of the field"
    said = _draw_row(axes[0], images, place, reach, (name, "cell"))
    words = [f"{name} at row {place[0]}, column {place[1]}: {said}"]
    if edge is not None:
        said = _draw_row(axes[1], images, edge, reach, ("A false structure", "edge"))
        words.append(f"a false structure at row {edge[0]}, column {edge[1]}: correlation {said}")
    axes[0, 2].legend(loc="upper left", frameon=True, framealpha=0.8)
    figure.alt = f"Parts of the correlation image before and after motion correction. {'; '.join(words)}."
    return figure
