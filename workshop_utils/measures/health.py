"""What a movie's own numbers say about the recording, before anything is computed from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from cnmf_engine.stages.bad_pixels import BadPixels, find_bad_pixels
from workshop_utils.measures.excerpt import as_movie

__all__ = ["Health", "health"]

#: Largest values that cameras write: 8, 10, 12, 14 and 16 bits.
_TOPS = (255, 1023, 4095, 16383, 65535)
#: Shares and changes from which a line gets a piece of advice.
_MANY_AT_END, _FLICKER, _FADING = 1e-4, 0.005, 0.10
_BLANK, _JUMP_SIGMAS, _JUMP = 0.5, 12.0, 0.02
_FRAMES_AT_ONCE = 64
#: A slow change counts when it is this many times the usual swing of the brightness.
_CLEAR_TREND = 2.0
#: Share of the field without a signal that is a mask.
_MASKED = 0.01


@dataclass(frozen=True)
class Health:
    """
    What is odd about a recording, as far as its numbers tell; prints as a table with advice.

    Attributes
    ----------
    shape : tuple of int
        Frames, rows, columns.
    fr : float
        Frames a second that the times were worked out with, Hz.
    lowest, highest : float
        Smallest and largest value.
    whole : bool
        Whether all values are whole numbers, as a camera writes them.
    bits : int
        Bits that the values need; 0 where they aren't whole numbers.
    top_share, bottom_share : float
        Share of all values that lie at the camera's largest, or at the lowest value; 0 where the values don't
        pile up there.
    top_pixels : ndarray of shape (d1, d2), bool
        Pixels that were at the largest value at least once, if values pile up there.
    duplicates, blank, jumps, damaged : ndarray of int
        Frames that equal the one before; frames darker than half of the usual; frames at which the brightness
        of the whole field steps; frames with NaN or infinite values.
    flicker : float
        Difference between odd and even frames, as a share of the brightness; 0 where it isn't clear.
    fading : float
        Share of the brightness that is lost from the beginning to the end (negative: it gets brighter); 0
        where that isn't clear.
    border : tuple of int
        Rows at the top and bottom, columns at the left and right, that never change.
    brightness : ndarray of shape (T,)
        Mean of each frame.
    bad_pixels : BadPixels
        Pixels that are dead, hot, stuck or blinking, bad columns and rows, stripes.
    masked : float
        Share of the field, beside such pixels and the border, that never changes: outside of a lens.
    """

    shape: tuple[int, int, int]
    fr: float
    lowest: float
    highest: float
    whole: bool
    bits: int
    top_share: float
    bottom_share: float
    top_pixels: np.ndarray
    duplicates: np.ndarray
    blank: np.ndarray
    jumps: np.ndarray
    damaged: np.ndarray
    flicker: float
    fading: float
    border: tuple[int, int, int, int]
    brightness: np.ndarray
    bad_pixels: BadPixels
    masked: float

    def rows(self) -> list[tuple[str, str, str]]:
        """Give what was measured, in words: name, value, and advice, which is empty where all is well."""
        T, d1, d2 = self.shape
        kind = f"whole numbers, {self.bits} bits" if self.whole else "not whole numbers"
        return [
            ("length", f"{T} frames, {T / self.fr:.0f} s at {self.fr:g} Hz", self._length()),
            ("field", f"{d1} x {d2} px", ""),
            ("values", f"{self.lowest:g} to {self.highest:g} ({kind})", self._values()),
            ("at the top", f"{self.top_share:.2%} of values, {int(self.top_pixels.sum())} px", self._top()),
            ("at the bottom", f"{self.bottom_share:.2%} of values", self._bottom()),
            ("duplicates", _frames(self.duplicates), self._duplicates()),
            ("blank", _frames(self.blank), "cut them out, or fill them in" if len(self.blank) else ""),
            ("steps", _frames(self.jumps), "lamp, plug or focus? look there" if len(self.jumps) else ""),
            ("NaN", _frames(self.damaged), "ask where they come from" if len(self.damaged) else ""),
            ("odd/even", f"{self.flicker:.2%} apart", self._flicker()),
            (
                "fading",
                f"{abs(self.fading):.1%} {'darker' if self.fading >= 0 else 'brighter'} at the end",
                self._fading(),
            ),
            ("border", self._border_words(), "crop it before motion correction" if any(self.border) else ""),
            ("bad pixels", str(self.bad_pixels) or "none", self._bad_pixels()),
            ("mask", f"{self.masked:.0%} of the field never changes", self._mask()),
        ]

    @property
    def advice(self) -> list[str]:
        """What should be looked at, a sentence a point."""
        return [f"{name}: {advice}" for name, _, advice in self.rows() if advice]

    def __str__(self) -> str:
        """Write the table, with a mark at what should be looked at."""
        lines = []
        for name, value, advice in self.rows():
            mark = "look" if advice else "  ok"
            lines.append(f"{mark}  {name:<13} {value:<44} {advice}".rstrip())
        return "\n".join(lines)

    __repr__ = __str__

    def _length(self) -> str:
        return "" if self.shape[0] >= 100 else "too short to find cells in: record minutes, not seconds"

    def _values(self) -> str:
        if self.highest <= self.lowest:
            return "every value is the same: this isn't a recording"
        return "few grey levels: use more light or gain" if self.whole and self.bits < 7 else ""

    def _top(self) -> str:
        return (
            "less light or gain next time; peaks there are cut off" if self.top_share > _MANY_AT_END else ""
        )

    def _bottom(self) -> str:
        if self.bottom_share <= _MANY_AT_END:
            return ""
        return "" if any(self.border) else "black level too high, or a mask: dim light is lost"

    def _duplicates(self) -> str:
        return "the camera or the computer was too slow: check the times" if len(self.duplicates) else ""

    def _flicker(self) -> str:
        return "average pairs of frames, or correct each half" if self.flicker > _FLICKER else ""

    def _bad_pixels(self) -> str:
        return (
            "dust or defects of the sensor; they are filled when motion is corrected"
            if self.bad_pixels
            else ""
        )

    def _mask(self) -> str:
        return "outside of the lens? crop to the tissue, or check the shifts" if self.masked > _MASKED else ""

    def _fading(self) -> str:
        if abs(self.fading) <= _FADING:
            return ""
        return (
            "bleaching: less light, shorter sessions"
            if self.fading > 0
            else "it gets brighter: lamp or focus?"
        )

    def _border_words(self) -> str:
        top, bottom, left, right = self.border
        return f"top {top}, bottom {bottom}, left {left}, right {right} px without a signal"


def health(movie: Any, fr: float) -> Health:
    """
    Look at a raw movie for what commonly goes wrong in recordings.

    Parameters
    ----------
    movie : array of shape (T, d1, d2)
        The recording as it came; an array or a memory map, read in pieces.
    fr : float
        Frames a second, Hz; only times depend on it.

    Returns
    -------
    Health
        What was found; prints as a table with advice.

    Raises
    ------
    InputError
        If `movie` isn't a movie.
    """
    shape = tuple(int(n) for n in np.shape(as_movie(movie)))
    brightness, same, damaged, low, high = _first_look(movie)
    whole, top_share, top_pixels, bottom_share = _ends(movie, low, high)
    constant = high <= low
    usual = float(np.median(brightness))
    blank = np.flatnonzero(brightness < _BLANK * usual) if usual > 0 else np.zeros(0, int)
    good = np.setdiff1d(np.arange(shape[0]), np.union1d(blank, damaged))
    moved = not constant
    still = _still(movie, good) if moved else np.zeros(shape[1:], bool)
    border, bad = _border(still), find_bad_pixels(movie)
    top, bottom, left, right = border
    inside = (still & ~bad.mask)[top : shape[1] - bottom, left : shape[2] - right]
    return Health(
        shape=shape,
        fr=float(fr),
        lowest=low,
        highest=high,
        whole=whole,
        bits=int(max(high, 1)).bit_length() if whole else 0,
        top_share=top_share if moved else 0.0,
        bottom_share=bottom_share if moved else 0.0,
        top_pixels=top_pixels & moved,
        duplicates=np.flatnonzero(same) if moved else np.zeros(0, int),
        blank=blank,
        jumps=_jumps(brightness, good),
        damaged=damaged,
        flicker=_flicker(brightness, good),
        fading=_fading(brightness[good]),
        border=border,
        brightness=brightness,
        bad_pixels=bad,
        masked=float(inside.mean()) if inside.size else 0.0,
    )


def _blocks(movie: Any) -> Any:
    """Give a movie in pieces that fit into any memory."""
    for start in range(0, len(movie), _FRAMES_AT_ONCE):
        yield start, np.asarray(movie[start : start + _FRAMES_AT_ONCE], dtype=np.float32)


def _first_look(movie: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, float, float]:
    """Brightness of the frames, which equal the one before, which are damaged, and the range of values."""
    means, same, damaged, low, high, last = [], [], [], np.inf, -np.inf, None
    for _, block in _blocks(movie):
        finite = np.isfinite(block)
        broken = ~finite.all(axis=(1, 2))
        if broken.any():
            low = min(low, float(np.min(block, where=finite, initial=np.inf)))
            high = max(high, float(np.max(block, where=finite, initial=-np.inf)))
            block = np.where(finite, block, 0)
        else:
            low, high = min(low, float(block.min())), max(high, float(block.max()))
        sums = np.maximum(finite.sum(axis=(1, 2)), 1)
        means.append(block.sum(axis=(1, 2), dtype=np.float64) / sums)
        before = block[:1] + np.nan if last is None else last
        joined = np.concatenate([before, block])
        same.append((joined[1:] == joined[:-1]).all(axis=(1, 2)))
        damaged.append(broken)
        last = block[-1:]
    if not np.isfinite(low):
        low = high = 0.0
    return np.concatenate(means), np.concatenate(same), np.flatnonzero(np.concatenate(damaged)), low, high


def _ends(movie: Any, low: float, high: float) -> tuple[bool, float, np.ndarray, float]:
    """Say whether values are whole, and which share of them piles up at the two ends of the range."""
    whole, at_top, near_top, at_bottom, near_bottom, total = True, 0, 0, 0, 0, 0
    pixels = np.zeros(np.shape(movie)[1:], bool)
    for _, block in _blocks(movie):
        block = np.nan_to_num(block, nan=(low + high) / 2 // 1, posinf=high, neginf=low)
        whole = whole and bool((block == np.rint(block)).all())
        top, step = block >= high, 4 if whole else 0.02 * (high - low)
        at_top, pixels = at_top + int(top.sum()), pixels | top.any(axis=0)
        near_top += int(((block < high) & (block >= high - step)).sum())
        at_bottom += int((block <= low).sum())
        near_bottom += int(((block > low) & (block <= low + step)).sum())
        total += block.size
    # Values pile up where the last one is more frequent than the four before it are on average.
    end_of_camera = not whole or high in _TOPS
    piled = at_top > 2 * near_top / 4 and at_top > 3 and (end_of_camera or at_top > 1e-3 * total)
    piled_low = at_bottom > 2 * near_bottom / 4 and at_bottom > 3
    return (
        whole,
        at_top / total if piled else 0.0,
        pixels & piled,
        at_bottom / total if piled_low else 0.0,
    )


def _jumps(brightness: np.ndarray, good: np.ndarray) -> np.ndarray:
    """Find frames at which the whole field gets brighter or darker and stays so."""
    values = brightness[good]
    if len(values) < 20:
        return np.zeros(0, int)
    # Medians of five frames on either side: a flash of one frame is no step.
    windows = np.lib.stride_tricks.sliding_window_view(values, 5)
    medians = np.median(windows, axis=1)
    step = np.abs(medians[5:] - medians[:-5])
    noise = 1.4826 * np.median(np.abs(step - np.median(step))) + 1e-9
    large = (step > np.median(step) + _JUMP_SIGMAS * noise) & (step > _JUMP * abs(np.median(values)))
    peaks = [k for k in np.flatnonzero(large) if step[k] == step[max(0, k - 5) : k + 6].max()]
    kept = [k for n, k in enumerate(peaks) if n == 0 or k - peaks[n - 1] > 5]
    return good[np.asarray(kept, dtype=int) + 5]


def _flicker(brightness: np.ndarray, good: np.ndarray) -> float:
    """Difference between odd and even frames as a share of the brightness, if it is more than chance."""
    values = brightness[good]
    if len(values) < 20 or values.mean() <= 0:
        return 0.0
    sign = np.where(np.arange(len(values)) % 2, -1.0, 1.0)[1:-1]
    bent = (values[1:-1] - (values[:-2] + values[2:]) / 2) * sign
    middle = float(np.median(bent))
    chance = 1.4826 * float(np.median(np.abs(bent - middle))) / np.sqrt(len(bent))
    return abs(middle) / float(values.mean()) if abs(middle) > 5 * chance else 0.0


def _fading(values: np.ndarray) -> float:
    """Share of the brightness that goes from start to end, by a line that outliers don't bend."""
    from scipy.stats import theilslopes

    if len(values) < 10 or np.median(values) <= 0:
        return 0.0
    short = np.array([part.mean() for part in np.array_split(values, min(len(values), 200))])
    slope, start, *_ = theilslopes(short)
    lost = slope * (len(short) - 1)
    # Neuropil swings for seconds: a slope within those swings is no fading.
    left = short - start - slope * np.arange(len(short))
    swings = 1.4826 * np.median(np.abs(left - np.median(left)))
    return float(-lost / start) if start > 0 and abs(lost) > _CLEAR_TREND * swings else 0.0


def _still(movie: Any, good: np.ndarray) -> np.ndarray:
    """Find pixels that never change, (d1, d2) bool."""
    some = good[:: max(1, len(good) // 200)]
    if len(some) < 2:
        return np.zeros(np.shape(movie)[1:], bool)
    return np.ptp(np.asarray(movie[some], dtype=np.float32), axis=0) == 0


def _border(still: np.ndarray) -> tuple[int, int, int, int]:
    """Count rows and columns at the edges that never change."""
    rows, columns = still.all(axis=1), still.all(axis=0)
    return tuple(_leading(line) for line in (rows, rows[::-1], columns, columns[::-1]))


def _leading(line: np.ndarray) -> int:
    """Count how many values at the beginning are True."""
    return int(len(line) if line.all() else np.argmin(line))


def _frames(frames: np.ndarray) -> str:
    """Say which frames, the first ones by number."""
    if not len(frames):
        return "none"
    first = ", ".join(str(int(frame)) for frame in frames[:4])
    return f"{len(frames)} frames: {first}{', ...' if len(frames) > 4 else ''}"
