"""
What minisim's forward model lacks: done to the light before the sensor, or to the counts behind it.

Each effect takes what it changes and an `At`: where and when. Footprints stay where they are on average.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

__all__ = ["COUNTS", "LIGHT", "At"]

# Active fibres: how many cross the field, their sigma in px once blurred, and their transients' peak as a
# share of the recording's mean light.
FIBRES, FIBRE_SIGMA, FIBRE_PEAK = 10, 1.2, 0.6
# Pulsating vessels: relative change of the blood volume, slow vasomotion and heart beat, Hz.
PULSE, VASOMOTION_HZ, HEART_HZ = (0.35, 0.2), 0.1, 9.3
# Non-rigid motion: largest displacement at two opposite edges, px, and how long it lasts, s.
STRETCH_PX, STRETCH_S = 2.5, 1.0
# Bad pixels: one dead column, and hot ones per pixel, these that much brighter.
HOT_SHARE, HOT_COUNTS = 0.007, (60, 140)
# Torn frames: how many, and the height of the band in each as a share of the frame.
TORN, TORN_BAND = 3, 0.3
# Denoised: sigma in space, px, weights in time, sigma of the glow that is taken off, px, percentile that
# becomes 0, and the counts that the brightest hundredth of a thousandth gets.
DENOISED_SIGMA, DENOISED_WEIGHTS, GLOW_SIGMA = 1.0, (0.25, 0.5, 0.25), 12.0
DENOISED_FLOOR, DENOISED_COUNTS = 0.1, 60


@dataclass(frozen=True)
class At:
    """
    Where and when.

    Attributes
    ----------
    fr : float
        Frames a second.
    shifts : ndarray of shape (T, 2)
        Where the tissue lies in each frame, rows then columns, px.
    vessels : ndarray of shape (d1, d2)
        Share of the light that vessels let through.
    tau : (float, float)
        Rise and decay of the indicator, s.
    rng : Generator
        Random numbers.
    """

    fr: float
    shifts: np.ndarray
    vessels: np.ndarray
    tau: tuple[float, float]
    rng: np.random.Generator


def fibres(light: np.ndarray, at: At) -> np.ndarray:
    """Add thin curved axons or dendrites across the field, each with transients of its own."""
    from minisim.steps.cell import calcium_kernel

    T, d1, d2 = light.shape
    times = np.linspace(0, 1, 20 * max(d1, d2))
    kernel = calcium_kernel(*at.tau, at.fr)
    for _ in range(FIBRES):
        # A wavy line through the field at any angle.
        angle, bend = at.rng.uniform(0, np.pi), at.rng.normal(0, 8, 3)
        along = (times - 0.5) * 1.5 * max(d1, d2)
        aside = sum(b * np.sin((n + 1) * np.pi * times) for n, b in enumerate(bend))
        middle = np.array([d1, d2]) * at.rng.uniform(0.15, 0.85, 2)
        rows = middle[0] + along * np.sin(angle) + aside * np.cos(angle)
        cols = middle[1] + along * np.cos(angle) - aside * np.sin(angle)
        line = np.histogram2d(rows, cols, [np.arange(d1 + 1) - 0.5, np.arange(d2 + 1) - 0.5])[0]
        # Boutons and bends make some parts brighter.
        line = np.minimum(line, 1) * (1 + 0.5 * ndimage.gaussian_filter(at.rng.normal(size=(d1, d2)), 3) * 10)
        image = ndimage.gaussian_filter(np.maximum(line, 0), FIBRE_SIGMA)
        events = (at.rng.random(T) < 0.15 / at.fr) * at.rng.uniform(0.5, 1.5, T)
        trace = np.convolve(events, kernel)[:T]
        trace *= FIBRE_PEAK * light.mean() / max(trace.max(), 1e-9) / max(image.max(), 1e-9)
        for t in np.flatnonzero(trace > 1e-9):
            light[t] += trace[t] * ndimage.shift(image, at.shifts[t], order=1)
    return light


def pulsating_vessels(light: np.ndarray, at: At) -> np.ndarray:
    """Let the blood volume change, slowly and with the heart: a power of the transmission (Beer, Lambert)."""
    seconds, phase = np.arange(len(light)) / at.fr, at.rng.uniform(0, 2 * np.pi, 2)
    # Vasomotion isn't a clock: its phase wanders.
    wander = np.cumsum(at.rng.normal(0, 0.15 / np.sqrt(at.fr), len(light)))
    slow = np.sin(2 * np.pi * VASOMOTION_HZ * seconds + wander + phase[0])
    beat = np.sin(2 * np.pi * HEART_HZ * seconds + phase[1])
    for t, more in enumerate(PULSE[0] * slow + PULSE[1] * beat):
        there = ndimage.shift(at.vessels, at.shifts[t], order=1, mode="nearest")
        light[t] *= np.clip(there, 0.05, 1) ** more
    return light


def non_rigid(light: np.ndarray, at: At) -> np.ndarray:
    """Stretch and shear the tissue about its middle; nothing moves on average."""
    import cv2

    T, d1, d2 = light.shape
    strength = ndimage.gaussian_filter1d(at.rng.normal(size=(T, 4)), STRETCH_S * at.fr, axis=0)
    strength -= strength.mean(axis=0)
    strength *= STRETCH_PX / np.abs(strength).max(axis=0)
    rows, cols = np.mgrid[:d1, :d2].astype(np.float32)
    down, right = (2 * rows / (d1 - 1) - 1), (2 * cols / (d2 - 1) - 1)
    for t, (a, b, c, d) in enumerate(strength / 2):
        light[t] = cv2.remap(
            light[t].astype(np.float32),
            (cols + c * down + d * right).astype(np.float32),
            (rows + a * down + b * right).astype(np.float32),
            cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REFLECT,
        )
    return light


def bad_pixels(counts: np.ndarray, at: At) -> np.ndarray:
    """Kill a column, and make some pixels hot."""
    _, d1, d2 = counts.shape
    hot = at.rng.random((d1, d2)) < HOT_SHARE
    counts[:, hot] += at.rng.uniform(*HOT_COUNTS, hot.sum()).round()
    counts[:, :, at.rng.integers(d2 // 4, 3 * d2 // 4)] = 0
    return counts


def torn_frames(counts: np.ndarray, at: At) -> np.ndarray:
    """Fill a band of a few frames with rubbish: rows of another place and of noise, as a bad cable gives."""
    T, d1, _ = counts.shape
    height = int(TORN_BAND * d1)
    for t in at.rng.choice(np.arange(T // 10, T), TORN, replace=False):
        top = at.rng.integers(0, d1 - height)
        band = np.roll(counts[t, top : top + height], at.rng.integers(20, 60), axis=1)
        counts[t, top : top + height] = band[::-1] * at.rng.uniform(0.5, 1.8, (height, 1))
    return counts


def denoised(counts: np.ndarray, at: At) -> np.ndarray:
    """Smooth in space and time, take the glow off and leave few counts, as people's preprocessing does."""
    smooth = ndimage.gaussian_filter(counts, (0, DENOISED_SIGMA, DENOISED_SIGMA))
    smooth = ndimage.convolve1d(smooth, np.array(DENOISED_WEIGHTS), axis=0, mode="nearest")
    smooth -= ndimage.gaussian_filter(smooth.mean(axis=0), GLOW_SIGMA)
    smooth -= np.percentile(smooth, DENOISED_FLOOR)
    return smooth * (DENOISED_COUNTS / np.percentile(smooth, 99.999))


Effect = Callable[[np.ndarray, At], np.ndarray]
#: Effects on the light, (T, d1, d2) float, in the order in which they are done.
LIGHT: dict[str, Effect] = {
    "fibres": fibres,
    "pulsating vessels": pulsating_vessels,
    "non-rigid motion": non_rigid,
}
#: Effects on the counts, (T, d1, d2) float; they are cut to 0..255 and to whole numbers afterwards.
COUNTS: dict[str, Effect] = {"bad pixels": bad_pixels, "torn frames": torn_frames, "denoised": denoised}
