"""Checks of lesson 1: the rate of a binned movie, and what is a cell and what a vessel."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from cnmf_engine.base.errors import InputError, explain
from workshop_utils.exercises.reading import close, is_empty, one_number, position, recognised
from workshop_utils.exercises.verdict import Unusable, Verdict, answering, no_answer, not_yet, right

if TYPE_CHECKING:
    from workshop_utils.movies.truth import Truth

__all__ = ["binned_rate", "point_out"]

# A footprint reaches this share of its peak where a pixel still counts as inside the cell.
_INSIDE = 0.35
# Motion moves the tissue by a pixel or two below the place that somebody points at.
_REACH = 1
# Without an answer key: a cell's pixel is among the most correlated tenth of all.
_BRIGHT = 90
# A field in which the light that gets through varies by less has no vessel.
_CLEAR = 0.01


@answering
def binned_rate(answer: Any, movie: Any) -> Verdict:
    """
    Check the frame rate of a movie whose frames were averaged in pairs.

    Parameters
    ----------
    answer : float or None
        Frames a second, Hz.
    movie : movie (T, d1, d2)
        The averaged movie, which carries its rate in `fr`.

    Returns
    -------
    Verdict
        Right within 1 %.

    Raises
    ------
    InputError
        The movie has no frame rate.
    """
    rate = float(getattr(movie, "fr", None) or 0)
    if not rate > 0:
        raise InputError(
            explain("a movie with its frame rate in .fr", f"fr = {rate:g}", "pass what movie.resize gave")
        )
    value, n_frames = one_number(answer, "the frame rate", "my_rate", "frames per second"), len(movie)
    if close(value, rate):
        return right(
            f"{n_frames} frames in {n_frames / rate:g} s are {rate:g} frames per second.",
            "One thing more: the mean of two frames has less noise, by about 1.4 times (the root of 2),",
            f"but an event shorter than {1 / rate:g} s is smeared over the whole new frame.",
            "So bin only as far as your fastest event allows, and give every later step the new rate.",
        )
    look = "Look at binned.shape and binned.fr."
    slips = (
        (
            2 * rate,
            "that is the rate before. After averaging pairs there are half as many frames in the same time.",
        ),
        (4 * rate, "that is twice the rate before: averaging leaves fewer frames, not more."),
        (rate / 2, "that is a quarter of the rate before: one frame was made of two, not of four."),
        (1 / rate, "that is the time from one frame to the next, in seconds. The rate is one divided by it."),
        (
            1000 / rate,
            "that is the time from one frame to the next, in milliseconds. The rate counts frames a second.",
        ),
        (
            0.5 / rate,
            "that is the time from frame to frame before averaging. The rate counts frames a second.",
        ),
        (1000 * rate, "that is a thousand times too much: frames per second, not per 1000 s."),
        (60 * rate, "that is frames per minute."),
        (n_frames, "that is the number of frames. Divide it by how long the recording lasts."),
        (n_frames / rate, "that is how long the recording lasts, in seconds."),
    )
    if slip := recognised(value, slips):
        return not_yet(slip, look)
    if value <= 0:
        return not_yet("a frame rate is larger than 0.", look)
    side = "more" if value > rate else "fewer"
    return not_yet(f"{value:g} frames per second are {side} than there are.", look)


@answering
def point_out(cell: Any, vessel: Any, correlation: Any, truth: Truth | None = None) -> Verdict:
    """
    Check that one pixel lies in a cell and another one in a blood vessel.

    Parameters
    ----------
    cell, vessel : (row, column) or None
        The two pixels.
    correlation : array of shape (d1, d2)
        Local correlation image.
    truth : Truth, optional
        The answer key; its `vessels` is used where it is there.

    Returns
    -------
    Verdict
        With the truth, whether they lie there; without it, whether the correlation image speaks for it.
    """
    image = np.nan_to_num(np.asarray(correlation, dtype=float))
    if is_empty(cell) and is_empty(vessel):
        return no_answer(
            "set my_cell and my_vessel, each to a (row, column) such as (40, 60), and run the cell again."
        )
    parts = [
        _part(_judge_cell, cell, "a cell", "my_cell", image, truth),
        _part(_judge_vessel, vessel, "a blood vessel", "my_vessel", image, truth),
    ]
    verdicts = [part.right for part in parts]
    lines = "\n".join(f"- {label}: {part.message}" for label, part in zip(("cell", "vessel"), parts))
    if False in verdicts:
        head = "one of the two is not where you think." if True in verdicts else "look again."
        return not_yet(f"{head}\n{lines}")
    if None in verdicts:
        return no_answer(f"one of the two is still missing.\n{lines}")
    both = np.array_equal(np.round(np.ravel(cell)), np.round(np.ravel(vessel)))
    if both:
        return not_yet("both are the same pixel: point at two places.")
    lesson = (
        "One thing more: find both in the player. The cell flashes and fades within a second or two;"
        " the vessel keeps its darkness, and its edge moves when the tissue does."
    )
    head = "both are where you said."
    if truth is None:
        head = "this movie has no answer key, and nothing in the correlation image speaks against you."
    return right(f"{head}\n{lines}\n{lesson}")


def _part(
    judge: Callable[..., Verdict], answer: Any, what: str, name: str, image: np.ndarray, truth: Truth | None
) -> Verdict:
    """Judge one of two answers, so that a slip in one leaves the other its verdict."""
    try:
        return judge(position(answer, what, name, image.shape), image, truth)
    except Unusable as problem:
        return problem.verdict


def _judge_cell(pixel: tuple[int, int], image: np.ndarray, truth: Truth | None) -> Verdict:
    row, column = pixel
    where = f"({row}, {column})"
    if truth is None:
        limit = float(np.percentile(image, _BRIGHT))
        near = float(_window(image, pixel, _REACH).max())
        if near > limit:
            return right(
                f"{where} and its neighbours are correlated up to {near:.2f}, among the top tenth of"
                " all pixels."
            )
        return not_yet(
            f"around {where} the correlation is {near:.2f} at most, and nine of ten pixels have less"
            f" than {limit:.2f}.",
            "Cells are round spots that stand out in the correlation image.",
        )
    if _on_cell(pixel, truth):
        return right(f"at {where} there is a cell that is bright and sharp enough to be found.")
    if column < image.shape[0] and row < image.shape[1] and _on_cell((column, row), truth):
        return not_yet(f"{where} is no cell, but the other way round it is. Rows come first, then columns.")
    distance = float(
        np.linalg.norm(truth.centers[truth.detectable] - np.array(pixel), axis=1).min(initial=np.inf)
    )
    hint = f"The nearest clear cell is {distance:.0f} px away." if np.isfinite(distance) else ""
    return not_yet(
        f"no cell that could be found lies at {where}.",
        hint,
        "Look for a round spot in the correlation image.",
    )


def _judge_vessel(pixel: tuple[int, int], image: np.ndarray, truth: Truth | None) -> Verdict:
    row, column = pixel
    where = f"({row}, {column})"
    passes = getattr(truth, "vessels", None)
    if passes is None:
        limit = float(np.percentile(image, 99))
        if float(image[pixel]) < limit:
            return right(
                f"nothing at {where} flashes like a cell (correlation {image[pixel]:.2f}).",
                "Whether it is a vessel the mean image must say: a dark band that goes on and branches.",
            )
        return not_yet(
            f"{where} is one of the most correlated pixels of all: that is what a cell looks like."
        )
    passes = np.asarray(passes, dtype=float)
    if np.ptp(passes) < _CLEAR:
        return right("no vessel crosses this movie, so any place will do.")
    share, dark = float(_window(passes, pixel, _REACH).min()), _dark(passes)
    if share <= dark:
        return right(f"at {where} blood lets only {share:.0%} of the light through.")
    if column < image.shape[0] and row < image.shape[1] and passes[column, row] <= dark:
        return not_yet(f"{where} is no vessel, but the other way round it is. Rows come first, then columns.")
    return not_yet(
        f"at {where} {share:.0%} of the light gets through: no vessel, or only the edge of one.",
        "Look for a dark band in the mean image that goes on over many pixels.",
    )


def _on_cell(pixel: tuple[int, int], truth: Truth) -> bool:
    clear = truth.A[truth.detectable]
    peaks = clear.max(axis=(1, 2), initial=0)
    around = _window(clear, pixel, _REACH).max(axis=(1, 2), initial=0)
    return bool(np.any((peaks > 0) & (around >= _INSIDE * peaks)))


def _window(images: np.ndarray, pixel: tuple[int, int], reach: int) -> np.ndarray:
    row, column = pixel
    return images[..., max(0, row - reach) : row + reach + 1, max(0, column - reach) : column + reach + 1]


def _dark(passes: np.ndarray) -> float:
    """
    Say how much light a vessel lets through at most.

    Half-way between the thickest vessel and clear tissue; but the darkest third where vessels are so wide and
    blurred that more of the field would pass.
    """
    return float(min((np.min(passes) + np.max(passes)) / 2, np.percentile(passes, 100 / 3)))
