"""Checks of lesson 6: reading a table back, and writing one."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any

import numpy as np

from workshop_utils.exercises.reading import is_empty, one_number, recognised
from workshop_utils.exercises.verdict import Unusable, Verdict, answering, no_answer, not_yet, right

__all__ = ["event_table", "time_of_peak"]


@answering
def time_of_peak(answer: Any, trace: Any, fr: float) -> Verdict:
    """
    Check when a trace has its highest value.

    Parameters
    ----------
    answer : float or None
        A time, s.
    trace : array of shape (T,)
        The trace; empty where there is no component.
    fr : float
        Frame rate, Hz.

    Returns
    -------
    Verdict
        Right for the time of the highest value, to half a frame.
    """
    trace = np.asarray(trace, dtype=float).ravel()
    if not trace.size:
        return no_answer("no component was exported, so there is nothing to look for.")
    if np.isnan(trace).all():
        return no_answer("the trace holds no numbers, so there is nothing to look for.")
    time = one_number(answer, "the time of the highest value", "my_time", "seconds")
    highest = np.flatnonzero(trace == np.nanmax(trace))  # all of them, should several frames be equal
    frame = int(highest[np.argmin(np.abs(time - highest / fr))])
    if abs(time - frame / fr) < 0.5 / fr:
        return right(
            f"the highest value is in frame {frame}, at {frame / fr:.1f} s.",
            "One thing more: the brightest moment is often a burst, not a single spike.",
        )
    if slip := _slip(time, frame, trace, fr):
        return not_yet(slip)
    if not 0 <= time <= len(trace) / fr:
        return not_yet(f"the recording lasts from 0 to {len(trace) / fr:g} s.")
    return not_yet("look at the row with the highest value in column 1, and at column 0 of the same row.")


def _slip(time: float, frame: int, trace: np.ndarray, fr: float) -> str:
    """Say what was computed in place of the time of the highest value."""
    wanted = frame / fr
    if abs(abs(time - wanted) - 1 / fr) < 0.1 / fr:
        return "that is one frame beside it. Frames are counted from 0, and frame 0 is at 0 s."
    slips = (
        (frame, "that is the number of the frame. Its time is in column 0, or divide by the frame rate."),
        (frame * fr, "that is the frame times the frame rate. Divide by it."),
        (wanted * 1000, "that is in milliseconds; asked for are seconds."),
        (wanted / 60, "that is in minutes; asked for are seconds."),
        (np.nanmax(trace), "that is the highest value itself. np.argmax gives where it is."),
        (np.nanargmin(trace) / fr, "that is the time of the lowest value."),
    )
    return recognised(time, slips, 0.001)


@answering
def event_table(answer: Any, n_components: int, duration: float) -> Verdict:
    """
    Check a table of events a minute.

    Parameters
    ----------
    answer : path-like or None
        A CSV file with a line of names, and a row for each component: its number, and its events a minute.
    n_components : int
        How many components were exported.
    duration : float
        Length of the recording, s.

    Returns
    -------
    Verdict
        Right for one row a component with plausible rates; what an event is, is the learner's choice.
    """
    if is_empty(answer):
        return no_answer(
            'write the file, set my_file to it, such as folder / "events.csv", and run the cell again.'
        )
    names, rows = _numbers(answer)
    if len(rows) != n_components:
        return not_yet(_how_many(rows, n_components))
    if not n_components:
        return right("no component was exported, and the table is empty, as it should be.")
    column = _column(names)
    if min(map(len, rows)) < max(2, column + 1):
        return not_yet("each row needs two numbers: the component, and its events a minute.")
    rates = np.array([row[column] for row in rows])
    if not np.isfinite(rates).all() or (rates < 0).any():
        return not_yet("a rate is negative or not a number. Was something divided by zero?")
    if not rates.any():
        return not_yet(
            "no component has an event: the definition is too strict, or S was not what was counted."
        )
    if slip := _wrong_unit(rates, duration):
        return not_yet(slip)
    return right(
        f"rows: {n_components}, median {np.median(rates):.1f} events a minute, from {rates.min():.1f}"
        f" to {rates.max():.1f}.",
        "One thing more: write the definition of an event down beside the table. With another one"
        " the same cells have other rates.",
    )


def _how_many(rows: list[list[float]], n_components: int) -> str:
    """Say why a table has the wrong number of rows."""
    text = f"{n_components} components were exported, the table has {len(rows)} rows of numbers."
    if rows and len(rows[0]) == n_components:
        return f"{text} It lies on its side: one row a component, not one column (.T turns it)."
    if len(rows) == n_components - 1:
        return f"{text} Is the first component missing, or did the loop stop one early?"
    if len(rows) > n_components:
        return f"{text} Are the rejected ones in it? keep has the numbers of those that were exported."
    return text


def _wrong_unit(rates: np.ndarray, duration: float) -> str:
    """Recognise counts and rates per second: what a unit makes of whole numbers of events gives them away."""
    if _whole(rates * duration / 60, duration / 60):
        return ""
    if _whole(rates, 1):
        return "all rates are whole numbers: are they counts? Divide by the minutes, and keep decimals."
    # Rates rounded to one decimal would pass as events a second of some recordings.
    if rates.max() < 1 and _whole(rates * duration, duration) and not _whole(rates * 10, 1):
        return "these look like events a second. Asked for are events a minute, 60 times as many."
    return ""


def _whole(counts: np.ndarray, factor: float) -> bool:
    """Say whether numbers are whole, but for three digits that a table may have been rounded to."""
    return bool(np.all(np.abs(counts - np.round(counts)) <= min(0.2, 0.0006 * max(factor, 1))))


def _column(names: list[str]) -> int:
    """Find the rates: in the column that says so, else in the last, as some programs put numbers in front."""
    says = [k for k, name in enumerate(names) if "min" in name.lower() or "rate" in name.lower()]
    return says[0] if len(says) == 1 else -1


def _numbers(answer: Any) -> tuple[list[str], list[list[float]]]:
    """Read a table: its names, if it has a first line of them, and its rows of numbers."""
    try:
        path = Path(os.fspath(answer))
        text = path.read_text(encoding="utf-8-sig")
    except TypeError:
        raise Unusable(not_yet("my_file should be the path of a file, in quotes or as a Path.")) from None
    except FileNotFoundError:
        raise Unusable(not_yet(f"there is no file {answer}. Was it written, and to this folder?")) from None
    except (OSError, ValueError) as error:
        why = "it is a folder" if path.is_dir() else type(error).__name__
        raise Unusable(not_yet(f"{answer} can't be read as a table ({why}).")) from None
    sign = _delimiter(text)
    point = "," if sign == "," else "."  # where ; or a tab separates columns, a comma may be the point
    try:
        lines = [line for line in csv.reader(text.splitlines(), delimiter=sign) if any(map(str.strip, line))]
    except csv.Error:
        raise Unusable(not_yet(f"{answer} can't be read as a table: is it another file?")) from None
    names: list[str] = []
    rows = []
    for line in lines:
        try:
            rows.append([float(cell.replace(",", point)) for cell in line])
        except ValueError:
            if names or rows:
                said = f"row {len(rows) + 1} of the table isn't made of numbers only: {', '.join(line)[:60]}."
                raise Unusable(not_yet(said)) from None
            names = line
    return names, rows


def _delimiter(text: str) -> str:
    """Choose what stands between the columns: programs set to some languages write ; for the comma."""
    first = text.partition("\n")[0]
    return next((sign for sign in ";\t," if sign in first), ",")
