"""How fast a recording was taken: what its files say, and whether the transients in it agree."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cnmf_engine.base.errors import InputError, explain
from workshop_utils.measures.excerpt import as_movie

__all__ = ["Decay", "Times", "decay", "find_rate", "read_times"]

#: A step this much longer than the usual one is a gap in the recording.
_GAP = 1.5
_TIME_FILES = ("timeStamps.csv", "timestamps.csv", "timestamp.dat")
#: A transient is looked at for so many frames, which also have to be free of another one.
_WINDOWS = (60, 30, 15)
_LEAST_PEAK, _LEAST_EVENTS = 6.0, 8
#: Peaks below this share of a trace's highest are as likely a neighbour's.
_OWN = 0.4
#: Transients last from half of what is written down for the indicator to four times that, in bursts.
_SHORTER, _LONGER = 2.0, 4.0
#: No miniscope is faster than this, Hz.
_FASTEST = 120.0


@dataclass(frozen=True)
class Times:
    """
    What a list of time stamps says.

    Attributes
    ----------
    frame_rate : float
        Frames a second, from the median step, Hz.
    jitter_ms : float
        How much steps vary: the middle 90 % of them span this, ms.
    gaps : ndarray of int
        Frames before which something is missing.
    missing : int
        How many frames would fit into the gaps.
    n : int
        Time stamps in the file.
    """

    frame_rate: float
    jitter_ms: float
    gaps: np.ndarray
    missing: int
    n: int

    def __str__(self) -> str:
        """Say it in a sentence."""
        lost = "no gaps"
        if len(self.gaps):
            lost = f"{self.missing} frames dropped in {len(self.gaps)} gaps, the first before {self.gaps[0]}"
        return (
            f"{self.n} time stamps: {self.frame_rate:.2f} Hz, steps vary by {self.jitter_ms:.1f} ms; {lost}"
        )

    __repr__ = __str__


@dataclass(frozen=True)
class Decay:
    """
    How long transients last; prints as sentences.

    Attributes
    ----------
    frames : float
        Time constant of the decay, in frames; NaN where too few transients are clear.
    low, high : float
        Range in which the median of other transients of the same recording would lie, 90 %.
    events : int
        Transients that were measured.
    mean : ndarray of shape (n,)
        Their median course from the peak on, the peak being 1.
    fr, decay_time : float
        The rate that was believed, Hz, and the indicator's time constant, s.
    """

    frames: float
    low: float
    high: float
    events: int
    mean: np.ndarray
    fr: float
    decay_time: float

    @property
    def seconds(self) -> float:
        """The time constant at the rate that was believed, s."""
        return self.frames / self.fr

    @property
    def rates(self) -> tuple[float, float]:
        """The rates at which transients would last between half and four times the indicator's time, Hz."""
        return self.low / (_LONGER * self.decay_time), self.high * _SHORTER / self.decay_time

    @property
    def plausible(self) -> bool | None:
        """Whether the believed rate lies in that range; None where nothing could be measured."""
        low, high = self.rates
        return bool(low <= self.fr <= high) if np.isfinite(self.frames) else None

    def __str__(self) -> str:
        """Say what was measured and what follows."""
        if self.plausible is None:
            few = f"{self.events} clear transients that are alone are too few to measure a decay by."
            return f"{few} Trust the recording's notes."
        low, high = self.rates
        between = f"between {low:.0f} and {high:.0f} Hz" if high < _FASTEST else f"above {low:.0f} Hz"
        verdict = "is plausible" if self.plausible else "does not fit, so look the rate up again"
        return (
            f"{self.events} transients decay with a time constant of {self.frames:.1f} frames "
            f"({self.low:.1f} to {self.high:.1f}), {self.seconds:.2f} s at {self.fr:g} Hz.\n"
            f"For an indicator with {self.decay_time:g} s (half that, or four times in bursts) the rate lies "
            f"{between}: {self.fr:g} Hz {verdict}."
        )

    __repr__ = __str__


def read_times(path: Any) -> Times:
    """
    Read the time stamps that acquisition software wrote beside a movie.

    Parameters
    ----------
    path : path-like
        ``timeStamps.csv`` of a Miniscope V4, ``timestamp.dat`` of a V3, or another table with a column of
        milliseconds whose heading has "time" or "clock" in it.

    Returns
    -------
    Times
        Rate, jitter and gaps.

    Raises
    ------
    InputError
        There is no such column, or fewer than three time stamps.
    """
    path = Path(path)
    text = path.read_text(encoding="utf-8-sig")
    delimiter = "\t" if "\t" in text.partition("\n")[0] else ","
    rows = [row for row in csv.reader(text.splitlines(), delimiter=delimiter) if row]
    head = [name.strip().lower() for name in rows[0]] if rows else []
    column = next((k for k, name in enumerate(head) if "time" in name or "clock" in name), None)
    try:
        stamps = np.array([float(row[column]) for row in rows[1:]]) if column is not None else np.zeros(0)
    except (ValueError, IndexError):
        stamps = np.zeros(0)
    steps = np.diff(stamps)
    if len(steps) < 2 or np.median(steps) <= 0:
        raise InputError(
            explain(
                f"a table with a column of times in milliseconds, three rows or more, in {path}",
                f"columns {head}, {len(stamps)} times",
                "give the file that the acquisition software wrote, or set frame_rate yourself",
            )
        )
    usual = float(np.median(steps))
    gaps = np.flatnonzero(steps > _GAP * usual)
    missing = int(np.sum(np.rint(steps[gaps] / usual) - 1))
    ordinary = np.delete(steps, gaps)
    low, high = np.percentile(ordinary, (5, 95))
    return Times(1000.0 / usual, float(high - low), gaps + 1, missing, len(stamps))


def find_rate(movie: Any) -> list[str]:
    """
    Look for a frame rate in and beside a movie's file.

    Parameters
    ----------
    movie : path-like
        The movie.

    Returns
    -------
    list of str
        What was found, a line each: time stamps, metadata, the file's name; empty if nothing was.
    """
    path = Path(movie)
    found = []
    for name in _TIME_FILES:
        for place in {path.with_name(name), path.with_name(f"{path.stem}_{name}")}:
            if place.is_file():
                found.append(f"{place.name}: {read_times(place)}")
    about = path.with_name("metaData.json")
    if about.is_file():
        try:
            rate = json.loads(about.read_text(encoding="utf-8")).get("frameRate")
        except (ValueError, AttributeError, RecursionError):
            rate = None  # another program's file, or a damaged one: it says nothing
        if rate is not None:
            found.append(f"{about.name}: frameRate {rate}")
    named = re.search(r"(\d+(?:\.\d+)?)\s?(?:hz|fps)", path.stem, re.IGNORECASE)
    if named:
        found.append(f"the file's name: {named[1]} Hz")
    if path.suffix.lower() in (".tif", ".tiff"):
        found += _in_tiff(path)
    return found


def _in_tiff(path: Path) -> list[str]:
    """Look into ImageJ's metadata, which knows a frame interval."""
    import tifffile

    with tifffile.TiffFile(path) as file:
        about = file.imagej_metadata or {}
    if about.get("fps"):
        return [f"the TIFF's metadata: {float(about['fps']):g} Hz"]
    if about.get("finterval"):
        return [f"the TIFF's metadata: {1 / float(about['finterval']):g} Hz"]
    return []


def decay(images: Any, seeds: Any, gSig: float, fr: float, decay_time: float) -> Decay:
    """
    Measure how many frames transients take to decay, and compare with the indicator.

    At each seed the mean of a disk minus the median of a ring around it is followed. Peaks of at least six
    times the noise, with no other peak for a while after them, are laid on top of each other, and an
    exponential is fitted to their median from one frame after the peak on. How much that depends on which
    transients happened to be recorded is found by drawing them anew, 200 times.

    Parameters
    ----------
    images : array of shape (T, d1, d2)
        The movie, motion corrected.
    seeds : array of shape (n, 2)
        Row and column of places where cells are.
    gSig : float
        Width of a cell, px.
    fr : float
        Rate that is believed, Hz.
    decay_time : float
        Time constant of the indicator, s.

    Returns
    -------
    Decay
        In frames, with its range, and what follows for the rate.

    Raises
    ------
    InputError
        If `images` isn't a movie.
    """
    as_movie(images)
    traces = seed_traces(images, np.asarray(seeds, dtype=int).reshape(-1, 2)[:80], gSig)
    events = np.zeros((0, 1))
    for window in _WINDOWS:  # in a lively recording few transients are alone for long
        events = _events(traces, window)
        if len(events) >= _LEAST_EVENTS:
            break
    tau = _fit(np.median(events, axis=0)) if len(events) >= 3 else float("nan")
    low = high = float("nan")
    if np.isfinite(tau):
        rng = np.random.default_rng(0)
        drawn = [
            _fit(np.median(events[rng.integers(0, len(events), len(events))], axis=0)) for _ in range(200)
        ]
        low, high = (float(value) for value in np.nanpercentile(drawn, (5, 95)))
    mean = np.median(events, axis=0) if len(events) else np.zeros(0)
    return Decay(tau, low, high, len(events), mean, float(fr), float(decay_time))


def seed_traces(images: Any, seeds: np.ndarray, gSig: float) -> np.ndarray:
    """
    Follow brightness at some places against their surroundings.

    Parameters
    ----------
    images : array of shape (T, d1, d2)
        The movie.
    seeds : ndarray of shape (n, 2)
        Row and column.
    gSig : float
        Width of a cell, px: the disk has this radius, the ring lies between three and four times it.

    Returns
    -------
    ndarray of shape (n, T)
        Mean of the disk minus median of the ring.
    """
    d1, d2 = np.shape(images)[1:]
    outer = int(np.ceil(4 * gSig))
    traces = []
    for row, column in seeds:
        rows = slice(max(0, row - outer), min(d1, row + outer + 1))
        columns = slice(max(0, column - outer), min(d2, column + outer + 1))
        at_row, at_column = np.ogrid[rows, columns]
        distance = np.hypot(at_row - row, at_column - column)
        box = np.asarray(images[:, rows, columns], dtype=np.float32)
        ring = box[:, (distance >= 3 * gSig) & (distance <= outer)]
        around = np.median(ring, axis=1) if ring.shape[1] else 0.0
        traces.append(box[:, distance <= gSig].mean(axis=1) - around)
    return np.array(traces).reshape(len(seeds), len(images))


def _events(traces: np.ndarray, window: int) -> np.ndarray:
    """Cut out transients that are clear and alone, from the peak on, the peak being 1."""
    from scipy.signal import find_peaks

    from cnmf_engine.stages.noise import pixel_noise

    found = []
    for trace in traces if traces.shape[1:] > (window + 5,) else ():
        trace = trace - np.median(trace)
        # A compressed video has hardly any fast noise; its slow swings then decide what is a peak.
        swings = 1.4826 * float(np.median(np.abs(trace)))
        noise = max(float(pixel_noise(trace[None])[0]), swings)
        if noise <= 0:
            continue
        peaks, _ = find_peaks(trace, prominence=max(_LEAST_PEAK * noise, _OWN * trace.max()))
        after = np.append(peaks[1:], len(trace) + window)
        for peak, following in zip(peaks, after):
            stop = peak + window
            if stop <= len(trace) and following >= stop and trace[peak] > 0:
                found.append(trace[peak:stop] / trace[peak])
    return np.array(found).reshape(-1, window)


def _fit(course: np.ndarray) -> float:
    """Fit an exponential with an offset, from one frame after the peak on; NaN where it doesn't fit."""
    from scipy.optimize import curve_fit

    frames = np.arange(len(course) - 1)
    values = course[1:]

    def falling(t: np.ndarray, height: float, tau: float, base: float) -> np.ndarray:
        return height * np.exp(-t / tau) + base

    try:
        (_, tau, _), _ = curve_fit(
            falling,
            frames,
            values,
            (max(float(values[0]), 0.1), len(course) / 5, 0.0),
            bounds=((0, 0.2, -0.5), (2.0, 2.0 * len(course), 0.9)),
        )
    except RuntimeError:  # no convergence: not a decay
        return float("nan")
    return float(tau) if tau < 1.9 * len(course) else float("nan")
