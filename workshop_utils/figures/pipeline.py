"""The whole path in one figure: from a raw frame to the traces of accepted cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes

from workshop_utils.figures.base import (
    COLORS,
    LessonFigure,
    as_image,
    image_height,
    styled,
)
from workshop_utils.figures.components import as_footprints
from workshop_utils.figures.pipeline_panels import STEPS, Parts, draw_part
from workshop_utils.measures.pieces import check_movie

if TYPE_CHECKING:
    from workshop_utils.movies.truth import Truth

__all__ = ["pipeline_figure"]

_MOST_FRAMES = 1000


def _undone(raw: Any, shifts: np.ndarray) -> np.ndarray:
    """Undo a known motion to whole pixels, in as many frames as a picture needs."""
    chosen = np.arange(0, raw.shape[0], -(-raw.shape[0] // _MOST_FRAMES))
    moves = np.rint(shifts[chosen]).astype(int)
    rows, cols = (np.arange(size) for size in raw.shape[1:])
    still = np.empty((len(chosen), *raw.shape[1:]), np.float32)
    for place, (t, (down, right)) in enumerate(zip(chosen, moves)):
        frame = np.asarray(raw[int(t)], np.float32)
        still[place] = frame[(rows + down).clip(0, rows[-1])[:, None], (cols + right).clip(0, cols[-1])]
    return still


def _from_truth(raw: Any, truth: Truth, gSig: float) -> Parts:
    """Make all parts from the answer key: only the correlation image has to be measured."""
    from workshop_utils.engine import cm

    still = _undone(raw, truth.shifts)
    cn, _ = cm.summary_images.correlation_pnr(still, gSig=gSig, swap_dim=False)
    edge = int(np.ceil(np.abs(truth.shifts).max(initial=0))) + 1
    inner = np.zeros(cn.shape, bool)
    inner[edge:-edge, edge:-edge] = True  # the rest was uncovered by motion and holds copies
    n_pixels = int(np.prod(truth.A.shape[1:]))
    A = truth.A[truth.detectable].transpose(2, 1, 0).reshape(n_pixels, int(truth.detectable.sum()))
    C = truth.C[truth.detectable]
    frame, seeds = _raw_frame(raw), truth.centers[truth.detectable]
    return Parts(frame, still.mean(axis=0), np.where(inner, cn, 0), seeds, A, C, np.arange(len(C)), True)


def _raw_frame(raw: Any) -> np.ndarray:
    """Take the frame in the middle of a movie."""
    return as_image(raw[raw.shape[0] // 2], "frame")


def _mean_image(movie: Any) -> np.ndarray:
    """Average some 200 frames, read one by one."""
    chosen = np.linspace(0, movie.shape[0] - 1, min(movie.shape[0], 200)).astype(int)
    return np.nan_to_num(np.mean([np.asarray(movie[int(t)], np.float32) for t in chosen], axis=0))


def _given(raw: Any, corrected: Any, cn: Any, seeds: Any, A: Any, C: Any, accepted: Any) -> Parts:
    """Take the parts that were made so far."""
    return Parts(
        _raw_frame(raw),
        None if corrected is None else _mean_image(corrected),
        None if cn is None else as_image(cn, "cn"),
        None if seeds is None else np.asarray(seeds, dtype=float).reshape(-1, 2),
        None if A is None else as_footprints(A, raw[0]),
        None if C is None else np.atleast_2d(np.asarray(C, dtype=np.float64)),
        None if accepted is None else np.asarray(accepted, dtype=int).ravel(),
        False,
    )


@styled
def pipeline_figure(
    raw: Any,
    corrected: Any = None,
    cn: Any = None,
    seeds: Any = None,
    A: Any = None,
    C: Any = None,
    fr: float | None = None,
    accepted: Any = None,
    *,
    truth: Truth | None = None,
    gSig: float = 3.0,
) -> LessonFigure:
    """
    Show the whole path, from a raw frame to the traces of accepted cells.

    What isn't made yet is left as an empty frame that says what will be there and in which lesson. With a
    truth and nothing but the raw movie, all pictures come from the answer key.

    Parameters
    ----------
    raw : array of shape (T, d1, d2)
        Movie as recorded.
    corrected : array of shape (T, d1, d2), optional
        Movie after motion correction.
    cn : array of shape (d1, d2), optional
        Correlation image.
    seeds : array of shape (n, 2), optional
        Row and column of each seed.
    A : sparse or dense array of shape (d, K), optional
        Footprints, pixels in Fortran order.
    C : array of shape (K, T), optional
        Traces.
    fr : float, optional
        Frame rate, Hz; time is given in frames without it.
    accepted : array of int, optional
        Components that evaluation accepted.
    truth : workshop_utils.movies.truth.Truth, optional
        What the recording holds; used where nothing but the movie is given.
    gSig : float
        Width of a cell, px; used with the truth only.

    Returns
    -------
    LessonFigure
        Six pictures, with the steps between them.
    """
    check_movie(raw, "raw")
    nothing = all(part is None for part in (corrected, cn, seeds, A, C, accepted))
    if truth is not None and nothing and truth.A.shape[1:] == tuple(raw.shape[1:]):
        parts = _from_truth(raw, truth, gSig)
    else:
        parts = _given(raw, corrected, cn, seeds, A, C, accepted)
    width, gap = 2.75, 0.95
    height = image_height(parts.raw.shape, width, 0.0, 3.6)
    figure = LessonFigure(figsize=(3 * width + 3 * gap, 2 * height + 1.95), facecolor="white")
    panels = _panels(figure, width, height, gap)
    words = [draw_part(panels[k], k, parts, fr) for k in range(6)]
    _draw_arrows(figure, panels)
    source = " All but the first are made from the answer key of the simulation." if parts.known else ""
    if parts.known:
        figure.text(0.5, 0.012, "Simulated recording: all but the first picture use its answer key.",
                    ha="center", fontsize=9, color="0.35")  # fmt: skip
    figure.alt = "The path from a movie to cells, in six pictures: " + "; ".join(words) + "." + source
    return figure


def _panels(figure: LessonFigure, width: float, height: float, gap: float) -> list[Axes]:
    """Place two rows of three axes with room for arrows between them."""
    all_width, all_height = figure.get_size_inches()
    places = []
    for k in range(6):
        left = 0.5 * gap + (k % 3) * (width + gap)
        bottom = 0.75 + (1 - k // 3) * (height + 0.85)
        places.append((left / all_width, bottom / all_height, width / all_width, height / all_height))
    return [figure.add_axes(place) for place in places]


def _draw_arrows(figure: LessonFigure, panels: list[Axes]) -> None:
    """Draw the steps between the panels, with what is done and the lesson's number."""
    places = [panel.get_position() for panel in panels]
    for k, (name, lesson) in enumerate(STEPS):
        here, there = places[k], places[k + 1]
        if k == 2:  # from the end of the first row to the start of the second
            y = (here.y0 + there.y1) / 2 + 0.015
            x, end = ((place.x0 + place.x1) / 2 for place in (here, there))
            _draw_arrow(figure, [(x, here.y0 - 0.012), (x, y), (end, y), (end, there.y1 + 0.045)])
            figure.text(
                0.5, y, f"{name.replace(chr(10), ' ')} (lesson {lesson})", ha="center", va="center",
                bbox={"fc": "white", "ec": "none", "pad": 2},
            )  # fmt: skip
        else:
            x, y = (here.x1 + there.x0) / 2, (here.y0 + here.y1) / 2
            _draw_arrow(figure, [(here.x1 + 0.012, y), (there.x0 - (0.028 if k == 3 else 0.008), y)])
            figure.text(x, y + 0.02, f"{name}\n(lesson {lesson})", ha="center", va="bottom", fontsize=9)


def _draw_arrow(figure: LessonFigure, corners: list[tuple[float, float]]) -> None:
    """Draw an arrow through corners given in parts of the figure."""
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    figure.add_artist(
        FancyArrowPatch(
            path=Path(corners), transform=figure.transFigure, arrowstyle="-|>", mutation_scale=16, lw=2.5,
            color=COLORS["line"], fill=False, joinstyle="miter",
        )
    )  # fmt: skip
