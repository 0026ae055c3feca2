"""How patches are put together again: a cell that two of them see becomes one."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from matplotlib.axes import Axes

from cnmf_engine.base.errors import ParameterError, explain
from workshop_utils.figures.base import (
    COLORS,
    LessonFigure,
    as_image,
    limits,
    message_figure,
    show_image,
    styled,
)
from workshop_utils.figures.components import as_footprints, draw_outlines

__all__ = ["stitching_figure"]

_LEVEL, _MARGIN = 0.3, 9
_FIRST, _SECOND = COLORS["accepted"], COLORS["rejected"]


class _Pair(NamedTuple):
    """
    Two neighbouring patches.

    Attributes
    ----------
    first, second : (int, int, int, int)
        First row, first column, rows and columns of each.
    """

    first: tuple[int, int, int, int]
    second: tuple[int, int, int, int]

    @property
    def overlap(self) -> tuple[int, int, int, int]:
        """First row, first column, rows and columns of what both see."""
        top, left = (max(self.first[k], self.second[k]) for k in (0, 1))
        bottom, right = (min(p[k] + p[k + 2] for p in self) for k in (0, 1))
        return top, left, bottom - top, right - left


class _Seen(NamedTuple):
    """A cell, the part of its light that each of two patches sees, and how alike the two parts are."""

    number: int
    first: float
    second: float
    cosine: float


def _patches(shape: tuple[int, int], rf: int, stride: int) -> _Pair | None:
    """Choose two patches side by side, or one below the other where there is only one column of them."""
    from cnmf_engine.view.matplotlib_views import patch_starts

    width, overlap = 2 * int(rf) + 1, int(stride) + 1
    if rf < 1 or overlap >= width:
        raise ParameterError(
            explain(
                "a patch wider than its overlap (stride < 2 * rf)",
                f"rf={rf}, stride={stride}",
                "raise rf or lower stride",
            )
        )
    rows, cols = (list(patch_starts(size, width, width - overlap)) for size in shape)
    height, breadth = min(width, shape[0]), min(width, shape[1])
    if len(cols) > 1:
        return _Pair((rows[0], cols[0], height, breadth), (rows[0], cols[1], height, breadth))
    if len(rows) > 1:
        return _Pair((rows[0], cols[0], height, breadth), (rows[1], cols[0], height, breadth))
    return None


def _inside(shape: tuple[int, int], box: tuple[int, int, int, int]) -> np.ndarray:
    """Mark the pixels of a box, flattened in Fortran order."""
    mask = np.zeros(shape, bool)
    mask[box[0] : box[0] + box[2], box[1] : box[1] + box[3]] = True
    return mask.ravel(order="F")


def _seen(A: Any, shape: tuple[int, int], pair: _Pair) -> list[_Seen]:
    """Find the cells of which both patches see a part worth the name."""
    light = sp.csr_array(A, dtype=np.float64)
    squared = light.power(2)
    masks = [_inside(shape, box) for box in (*pair, pair.overlap)]
    whole = np.maximum(light.sum(axis=0), 1e-12)
    shares = [light[mask].sum(axis=0) / whole for mask in masks[:2]]
    first, second, both = (np.asarray(squared[mask].sum(axis=0)) for mask in masks)
    cosine = both / np.maximum(np.sqrt(first * second), 1e-12)
    worth = np.flatnonzero(np.minimum(*shares) > 0.3)
    return [_Seen(int(k), float(shares[0][k]), float(shares[1][k]), float(cosine[k])) for k in worth]


def _choose(seen: list[_Seen]) -> _Seen:
    """Take a cell that one patch sees whole and the other in part: the fullest of those that are well cut."""
    cut = [s for s in seen if max(s.first, s.second) > 0.97 and 0.5 < min(s.first, s.second) < 0.93]
    return min(cut, key=lambda s: abs(min(s.first, s.second) - 0.7)) if cut else seen[0]


def _draw_field(ax: Axes, image: np.ndarray, pair: _Pair, outlines: list, chosen: int, n_twice: int) -> None:
    """Draw both patches on the image, their overlap hatched, and the chosen cell."""
    from matplotlib.patches import Rectangle

    low, high = limits(image, 20, 99.8)
    show_image(ax, image, "Two neighbouring patches", (low, 1.35 * high - 0.35 * low), "gray")
    row, col, height, width = pair.overlap
    ax.add_patch(
        Rectangle((col - 0.5, row - 0.5), width, height, fc="none", ec="white", hatch="//", lw=0, alpha=0.55)
    )
    looks = ((pair.first, _FIRST, "-", "patch 1"), (pair.second, _SECOND, "--", "patch 2"))
    across = pair.second[1] > pair.first[1]
    for box, color, style, name in looks:
        ax.add_patch(
            Rectangle((box[1] - 0.5, box[0] - 0.5), box[3], box[2], fill=False, ec=color, ls=style, lw=2.5)
        )
        first = box is pair.first
        x = box[1] + 2 if first or not across else box[1] + box[3] - 3
        y = box[0] + 2 if first or across else box[0] + box[2] - 3
        ax.text(
            x, y, name, color="black", ha="left" if first or not across else "right",
            va="top" if first or across else "bottom", bbox={"fc": color, "ec": "none", "pad": 2},
        )  # fmt: skip
    draw_outlines(ax, [outlines[chosen]], "white")
    row, col = outlines[chosen]["CoM"]
    below = row < 0.6 * image.shape[0]
    ax.annotate(
        "this cell", (col, row + (4 if below else -4)), (0, -38 if below else 38), textcoords="offset points",
        ha="center", va="center", color="white", bbox={"fc": "0.2", "ec": "none", "pad": 2},
        arrowprops={"arrowstyle": "->", "color": "white", "lw": 1.6},
    )  # fmt: skip
    ax.set(xlim=(-1.5, image.shape[1] + 0.5), ylim=(image.shape[0] + 0.5, -1.5))
    ax.set_xlabel(
        f"hatched: the overlap, {min(width, height)} px wide;\n{n_twice} cells are seen by both patches"
    )


def _draw_close(ax: Axes, part: np.ndarray, area: tuple[slice, slice], title: str, words: str) -> None:
    """Draw a cell, with what is out of sight blanked."""
    top = max(float(np.nanmax(part[area], initial=0)), 1e-9)
    show_image(ax, part[area], title, (0, top), "magma")
    ax.set_facecolor("0.8")
    ax.set_xlabel(words)


def _draw_edge(ax: Axes, box: tuple[int, int, int, int], area: tuple[slice, slice], **look: Any) -> None:
    """Draw the edges of a patch that cross the part of the image that is shown."""
    for axis, draw in ((0, ax.axhline), (1, ax.axvline)):
        size = area[axis].stop - area[axis].start
        for edge in (box[axis] - 0.5, box[axis] + box[axis + 2] - 0.5):
            at = edge - area[axis].start
            if 0 < at < size - 1:
                draw(at, lw=2.5, **look)


def _verdict(chosen: _Seen) -> str:
    """Say what stitching makes of the two views."""
    if max(chosen.first, chosen.second) < 0.97:
        return "no patch sees all of it:\nthe overlap is narrower than the cell"
    return f"the two views agree to {chosen.cosine:.2f} (cosine):\none cell, and the whole view is kept"


@styled
def stitching_figure(A: Any, image: Any, rf: int, stride: int, cell: int | None = None) -> LessonFigure:
    """
    Show how patches are put together: a cell in the overlap of two is found twice and kept once.

    Parameters
    ----------
    A : sparse or dense array of shape (d, K)
        Footprints, pixels in Fortran order.
    image : array of shape (d1, d2)
        Correlation image.
    rf, stride : int
        The parameters of that name: a patch is `2 * rf + 1` px wide and shares `stride + 1` px with the next,
        or more where the last ones are moved back into the field.
    cell : int, optional
        Which component to follow; default one that one patch sees whole and the other only in part.

    Returns
    -------
    LessonFigure
        The two patches on the image; what each of them sees of the cell; and the cell as it was kept. A
        figure that says so where one patch covers the field, or both patches see no cell.

    Raises
    ------
    ParameterError
        If the overlap is as wide as the patch.
    """
    from cnmf_engine.view.contours import get_contours

    image = as_image(image)
    A = as_footprints(A, image)
    pair = _patches(image.shape, rf, stride)
    if pair is None:
        return message_figure(
            f"One patch of {2 * int(rf) + 1} px covers the field: nothing has to be stitched."
        )
    seen = _seen(A, image.shape, pair)
    by_number = {s.number: s for s in seen}
    if not seen or (cell is not None and int(cell) not in by_number):
        found = "there is none" if cell is None else f"component {cell} isn't one"
        return message_figure(f"No figure of a cell that two neighbouring patches see: {found}.")
    chosen = by_number[int(cell)] if cell is not None else _choose(seen)
    outlines = get_contours(A, image.shape, _LEVEL, "max")
    column = A[:, [chosen.number]]
    footprint = np.asarray(column.toarray() if hasattr(column, "toarray") else column, dtype=np.float64)
    footprint = footprint.reshape(image.shape, order="F")
    figure = LessonFigure(figsize=(11.0, 5.0), layout="constrained", facecolor="white")
    grid = figure.add_gridspec(2, 4, width_ratios=(2.3, 0.95, 0.1, 1.5))
    _draw_field(figure.add_subplot(grid[:, 0]), image, pair, outlines, chosen.number, len(seen))
    area = _around(footprint)
    looks = ({"color": _FIRST, "ls": "-"}, {"color": _SECOND, "ls": "--"})
    for k, (box, share, look) in enumerate(zip(pair, (chosen.first, chosen.second), looks)):
        ax = figure.add_subplot(grid[k, 1])
        part = np.where(_inside(image.shape, box).reshape(image.shape, order="F"), footprint, np.nan)
        words = f"{share:.0%} of its light" + ("; the rest is cut off" if share < 0.97 else "")
        _draw_close(ax, part, area, f"Seen by patch {k + 1}", words)
        _draw_edge(ax, box, area, **look)
    last = figure.add_subplot(grid[:, 3])
    _draw_close(last, footprint, area, "After stitching: one cell", _verdict(chosen))
    _arrow_between(figure.add_subplot(grid[:, 2]))
    verdict = _verdict(chosen).replace("\n", " ")
    figure.alt = (
        f"Two neighbouring patches overlap by {min(pair.overlap[2:])} pixels, and {len(seen)} cells are seen "
        f"by both. Of component {chosen.number} patch 1 sees {chosen.first:.0%} of the light, patch 2 "
        f"{chosen.second:.0%}; {verdict}."
    )
    return figure


def _around(footprint: np.ndarray) -> tuple[slice, slice]:
    """Cut out a footprint with a margin."""
    rows, cols = np.nonzero(footprint > 0.1 * footprint.max())
    ends = (
        (max(int(v.min()) - _MARGIN, 0), min(int(v.max()) + _MARGIN + 1, size))
        for v, size in zip((rows, cols), footprint.shape)
    )
    return tuple(slice(*end) for end in ends)


def _arrow_between(ax: Axes) -> None:
    """Draw an arrow from the two views to the one cell."""
    ax.set_axis_off()
    style = {"arrowstyle": "-|>", "color": COLORS["line"], "lw": 2.5, "mutation_scale": 18}
    ax.annotate("", (1.6, 0.5), (-0.6, 0.5), xycoords="axes fraction", arrowprops=style)
