"""Checks of lesson 6: reading a table back, and writing one."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any

import numpy as np

from workshop_utils.exercises.reading import close, is_empty, one_number
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
    time = one_number(answer, "the time of the highest value", "my_time", "seconds")
    frame = int(np.argmax(trace))
    wanted = frame / fr
    if abs(time - wanted) <= 0.5 / fr + 1e-9:
        return right(
            f"the highest value is in frame {frame}, at {wanted:.1f} s.",
            "One thing more: the brightest moment is often a burst, not a single spike.",
        )
    if close(time, frame):
        return not_yet(
            "that is the number of the frame. Its time is in column 0, or divide by the frame rate."
        )
    if close(time, wanted * 1000):
        return not_yet("that is in milliseconds; asked for are seconds.")
    if close(time, trace.max()):
        return not_yet("that is the highest value itself. np.argmax gives where it is.")
    if close(time, np.argmin(trace) / fr):
        return not_yet("that is the time of the lowest value.")
    return not_yet("look at the row with the highest value in column 1, and at column 0 of the same row.")


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
    rows = _numbers(answer)
    if len(rows) != n_components:
        return not_yet(f"{n_components} components were exported, the table has {len(rows)} rows of numbers.")
    if not n_components:
        return right("no component was exported, and the table is empty, as it should be.")
    if min(map(len, rows)) < 2:
        return not_yet("each row needs two numbers: the component, and its events a minute.")
    rates = np.array([row[1] for row in rows])
    if not np.isfinite(rates).all() or (rates < 0).any():
        return not_yet("a rate is negative or not a number. Was something divided by zero?")
    counts = rates * duration / 60
    if not rates.any():
        return not_yet(
            "no component has an event: the definition is too strict, or S was not what was counted."
        )
    if np.allclose(rates, np.round(rates)) and not np.allclose(counts, np.round(counts), atol=0.1):
        return not_yet("all rates are whole numbers: are they counts? Divide by the length in minutes.")
    return right(
        f"{n_components} rows, median {np.median(rates):.1f} events a minute, from {rates.min():.1f}"
        f" to {rates.max():.1f}.",
        "One thing more: write the definition of an event down beside the table. With another one"
        " the same cells have other rates.",
    )


def _numbers(answer: Any) -> list[list[float]]:
    """Read the rows of numbers of a table; a first line of names doesn't count."""
    try:
        path = Path(os.fspath(answer))
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = [line for line in csv.reader(file) if any(text.strip() for text in line)]
    except TypeError:
        raise Unusable(not_yet("my_file should be the path of a file, in quotes or as a Path.")) from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise Unusable(
            not_yet(f"{answer} can't be read as a table ({type(error).__name__}). Was it written?")
        ) from None
    rows = []
    for number, line in enumerate(lines):
        try:
            rows.append([float(text) for text in line])
        except ValueError:
            if number:
                text = f"row {number} of the table isn't made of numbers only: {', '.join(line)[:60]}"
                raise Unusable(not_yet(text)) from None
    return rows
