"""Traces in the few bits that a screen can show, and in fewer of them where a page has to stay small."""

from __future__ import annotations

import gzip
from dataclasses import dataclass, replace

import numpy as np

__all__ = [
    "LEVELS",
    "MISSING",
    "PackedTraces",
    "bin_width",
    "binned",
    "binned_frames",
    "compressed_bytes",
    "pack_traces",
]

#: Steps between the lowest and the highest value of a trace: five a pixel in the tallest plot of the page.
LEVELS = 1022
#: The code of a value that isn't finite.
MISSING = 1023
#: Bokeh compresses arrays at this level before it writes them as base64.
_GZIP_LEVEL = 2
#: Traces, spread evenly over all, that tell how well all of them compress.
_SAMPLE = 16
#: Bins of a trace below which its shape would get lost, whatever the page takes.
_FEWEST_BINS = 400


@dataclass(frozen=True)
class PackedTraces:
    """
    Traces of whole numbers from 0 to `LEVELS`, each trace with its own scale.

    Low and high bytes lie apart, because the high ones hardly change and compress to nearly nothing.

    Attributes
    ----------
    low, high : ndarray of shape (K, n), uint8
        The two bytes of each code; a value is `floor + step * (low + 256 * high)`, or NaN for `MISSING`.
    floor, step : ndarray of shape (K,), float64
        Lowest value and size of a step, in the trace's unit; no value is off by more than half a step.
    """

    low: np.ndarray
    high: np.ndarray
    floor: np.ndarray
    step: np.ndarray

    def codes(self) -> np.ndarray:
        """Put the bytes together, as uint16 (K, n)."""
        return self.low.astype(np.uint16) + (self.high.astype(np.uint16) << 8)

    def values(self) -> np.ndarray:
        """Give the traces as the page draws them, as float64 (K, n)."""
        codes = self.codes()
        values = self.floor[:, None] + self.step[:, None] * codes
        return np.where(codes == MISSING, np.nan, values)


def _from_codes(codes: np.ndarray, floor: np.ndarray, step: np.ndarray) -> PackedTraces:
    return PackedTraces((codes & 255).astype(np.uint8), (codes >> 8).astype(np.uint8), floor, step)


def pack_traces(traces: np.ndarray) -> PackedTraces:
    """
    Round traces to `LEVELS` steps between the lowest and the highest value of each.

    Parameters
    ----------
    traces : ndarray of shape (K, T)
        Traces; NaN and infinite values become gaps.

    Returns
    -------
    PackedTraces
        Off by half a step at most, 1 part in 2,044 of the trace's range.
    """
    traces = np.asarray(traces, dtype=np.float64)
    finite = np.isfinite(traces)
    floor = np.min(traces, axis=1, where=finite, initial=np.inf)
    top = np.max(traces, axis=1, where=finite, initial=-np.inf)
    nothing = ~finite.any(axis=1) if traces.size else np.ones(len(traces), bool)
    floor[nothing], top[nothing] = 0.0, 0.0
    step = (top - floor) / LEVELS
    safe = np.where(step > 0, step, 1.0)
    scaled = np.where(finite, traces - floor[:, None], 0.0) / safe[:, None]
    codes = np.where(finite, np.rint(scaled).clip(0, LEVELS), MISSING).astype(np.uint16)
    return _from_codes(codes, floor, step)


def binned(traces: PackedTraces, width: int) -> PackedTraces:
    """
    Keep of every few frames the smallest and the largest value, in the order in which they occur.

    A peak of one frame keeps its height, however wide the bins are.

    Parameters
    ----------
    traces : PackedTraces
        Traces of T frames.
    width : int
        Frames in a bin; below 3 nothing is won and the traces come back as they are.

    Returns
    -------
    PackedTraces
        Two values a bin; at the frames `binned_frames` gives.
    """
    if width < 3:
        return traces
    codes = traces.codes()
    n_traces, n_frames = codes.shape
    n_bins = -(-n_frames // width)
    padded = np.pad(codes, ((0, 0), (0, n_bins * width - n_frames)), mode="edge")
    bins = padded.reshape(n_traces, n_bins, width).astype(np.int32)
    lowest = bins.argmin(axis=2)  # a missing value has the highest code, so it is never taken for the lowest
    highest = np.where(bins == MISSING, -1, bins).argmax(axis=2)
    pick = np.sort(np.stack([lowest, highest], axis=2), axis=2)
    kept = np.take_along_axis(bins, pick, axis=2).reshape(n_traces, 2 * n_bins)
    return _from_codes(kept, traces.floor, traces.step)


def binned_frames(n_frames: int, width: int) -> np.ndarray:
    """Give the frames, int32, at which the values of `binned` are drawn."""
    if width < 3:
        return np.arange(n_frames, dtype=np.int32)
    starts = np.arange(-(-n_frames // width)) * width
    frames = np.stack([starts + width // 4, starts + (3 * width) // 4], axis=1).ravel()
    return np.minimum(frames, n_frames - 1).astype(np.int32)


def compressed_bytes(*arrays: np.ndarray) -> float:
    """Count what arrays take in a page, compressed and as base64."""
    return 4 / 3 * sum(len(gzip.compress(array.tobytes(), _GZIP_LEVEL)) for array in arrays)


def bin_width(kinds: list[PackedTraces], n_frames: int, budget: float | None) -> int:
    """
    Choose how many frames share a bin so that the traces fit into a page.

    Parameters
    ----------
    kinds : list of PackedTraces
        All traces of the page.
    n_frames : int
        Frames of the recording.
    budget : float or None
        Bytes that the traces may take; None for as many as they need. Some 400 bins are always left.

    Returns
    -------
    int
        Frames in a bin; 1 if every frame is kept.
    """
    n_traces = len(kinds[0].low)
    if budget is None or n_traces == 0:
        return 1
    taken = np.unique(np.linspace(0, n_traces - 1, min(_SAMPLE, n_traces)).astype(int))
    samples = [replace(k, low=k.low[taken], high=k.high[taken]) for k in kinds]
    allowed = budget * taken.size / n_traces
    width = 1
    while n_frames / width > _FEWEST_BINS:
        thinned = [binned(sample, width) for sample in samples]
        if compressed_bytes(*(part for packed in thinned for part in (packed.low, packed.high))) <= allowed:
            break
        width = 4 if width == 1 else 2 * width
    return width
