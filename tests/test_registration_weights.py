"""Weighted registration: what pixels and frequencies tell, how frames are moved, how much motion is left."""

from __future__ import annotations

import logging
import tracemalloc

import cv2
import numpy as np
import pytest
from short_forms import register_piecewise, register_rigid

from cnmf_engine.base.parallel import Run
from cnmf_engine.stages.registration import (
    ShiftEstimator,
    apply_shifts,
    registration_quality,
)
from cnmf_engine.stages.registration.quality import residual_motion
from cnmf_engine.stages.registration.reduction import Reduction
from cnmf_engine.stages.registration.templates import median_template
from cnmf_engine.stages.registration.warping import translated
from cnmf_engine.stages.registration.weighting import Noise, Weights, shifted

REACH = (np.full(2, -4.0), np.full(2, 4.0))


def tissue(size: int, seed: int = 0, width: float = 3.0) -> np.ndarray:
    """Random blobs, float64."""
    rng = np.random.default_rng(seed)
    rows, cols = np.indices((size, size))
    image = np.full((size, size), 100.0)
    for y, x in rng.uniform(0, size, (size * size // 120, 2)):
        image += 20 * np.exp(-((rows - y) ** 2 + (cols - x) ** 2) / (2 * width**2))
    return image


def displaced(image: np.ndarray, motion: np.ndarray, cut: int = 8) -> np.ndarray:
    """Windows into an image that moves by `motion` (rows, columns, px) exactly, float32."""
    spectrum = np.fft.fft2(image)
    rows, cols = np.fft.fftfreq(image.shape[0])[:, None], np.fft.fftfreq(image.shape[1])
    ramps = (np.exp(-2j * np.pi * (rows * down + cols * right)) for down, right in motion)
    return np.stack([np.fft.ifft2(spectrum * ramp).real[cut:-cut, cut:-cut] for ramp in ramps]).astype("f4")


def rms(shifts: np.ndarray, motion: np.ndarray) -> float:
    """Distance from the truth after the mean, both axes together."""
    error = shifts + motion
    return float(np.sqrt(((error - error.mean(axis=0)) ** 2).sum(axis=1).mean()))


def band_passed(frames: np.ndarray) -> np.ndarray:
    return np.stack([cv2.GaussianBlur(f, (0, 0), 1.0) - cv2.GaussianBlur(f, (0, 0), 6.0) for f in frames])


@pytest.fixture(scope="module")
def moving() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Motion, noiseless frames and the still image, filtered."""
    motion = np.random.default_rng(1).uniform(-2.5, 2.5, (80, 2))
    image = tissue(96)
    return motion, displaced(image, motion), band_passed(displaced(image, np.zeros((1, 2))))[0]


@pytest.mark.parametrize("exact", [False, True])
def test_translation_is_what_opencv_does_or_better(exact):
    image = cv2.GaussianBlur(np.random.default_rng(2).normal(0, 1, (40, 50)).astype(np.float32), (0, 0), 2)
    # A quarter of a pixel is on OpenCV's grid of a 32nd.
    for down, right in ((1.25, -3.75), (-2.0, 0.5), (0.0, 7.0)):
        matrix = np.float32([[1, 0, right], [0, 1, down]])
        expected = cv2.warpAffine(
            image, matrix, (50, 40), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
        )
        found = translated(image, down, right, exact)
        assert np.abs(found - expected).max() < (0.03 if exact else 1e-4) * np.abs(image).max()


def test_six_pixels_are_more_exact_than_four():
    image = tissue(80, 3, 2.0)
    motion = np.random.default_rng(4).uniform(-2, 2, (20, 2))
    frames, still = displaced(image, motion), displaced(image, np.zeros((1, 2)))[0]
    inner = np.s_[6:-6, 6:-6]
    errors = [
        np.mean([np.std((translated(f, *-m, exact) - still)[inner]) for f, m in zip(frames, motion)])
        for exact in (False, True)
    ]
    assert errors[1] < errors[0] / 3
    assert errors[1] < 0.01 * still.std()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.int32, np.float64, ">u2"])
def test_frames_of_any_type_are_moved_alike(dtype):
    frames = np.random.default_rng(5).integers(0, 255, (3, 30, 20))
    shifts = [[1.3, -2.2], [0.0, 0.0], [-4.0, 3.0]]
    expected = apply_shifts(frames.astype(np.float32), shifts, False)
    assert np.allclose(apply_shifts(frames.astype(dtype), shifts, False), expected, atol=1e-3)


def test_moved_frames_lie_as_they_are_written():
    moved = apply_shifts(np.ones((4, 10, 12), np.uint8), np.full((4, 2), 0.5), "copy")
    assert moved.shape == (4, 10, 12) and moved.transpose(0, 2, 1).flags.c_contiguous


def test_reduction_keeps_place_and_scale_of_cells():
    rows, cols = np.indices((120, 120))
    frames = [np.exp(-((rows - 60 - d) ** 2 + (cols - 60) ** 2) / (2 * 3.0**2)) for d in (0, 2, 4)]
    reduction = Reduction(3, (121, 120))
    assert reduction.factor == 2 and reduction.dims == (60, 60)
    reduced = reduction(np.pad(np.stack(frames) * 50 + 1000, ((0, 0), (0, 1), (0, 0)), "edge"))
    tops = [np.unravel_index(frame.argmax(), frame.shape) for frame in reduced]
    assert tops == [(30, 30), (31, 30), (32, 30)]
    # Narrow filters need every pixel, and small images are not made smaller.
    assert Reduction(2, (120, 120)).factor == 2 and Reduction(1.5, (120, 120)).factor == 1
    assert Reduction(3, (50, 50)).factor == 1


def test_weights_find_shifts_exactly_without_noise(moving):
    motion, frames, still = moving
    noise = Noise.of(np.zeros((2, *still.shape), np.float32), 8)
    found = Weights(still, noise, 100, *REACH).find(band_passed(frames))
    assert np.abs(found + motion).max() < 0.06


def test_pixels_that_vary_count_less(moving):
    motion, frames, still = moving
    rng = np.random.default_rng(6)
    loud = frames + rng.normal(0, 5, frames.shape)
    # A third of the image is full of light that comes and goes.
    loud[:, :, :27] += 30 * band_passed(rng.normal(0, 4, (*frames.shape[:2], 27)).astype(np.float32))
    filtered = band_passed(loud.astype(np.float32))
    noise = Noise.of(shifted(filtered, -motion) - still, 8)
    flat = Noise(np.full_like(noise.spread, noise.spread.mean()), np.ones_like(still), noise.power)
    weighted = rms(Weights(still, noise, 100, *REACH).find(filtered), motion)
    plain = rms(ShiftEstimator(still, 4, 8).find(filtered), motion)
    assert noise.window[20:60, 5:20].mean() < 0.5 * noise.window[20:60, 35:60].mean()
    assert weighted < 0.5 * rms(Weights(still, flat, 100, *REACH).find(filtered), motion)
    assert weighted < 0.5 * plain


def test_frequencies_that_are_mostly_noise_count_less(moving):
    motion, frames, still = moving
    rng = np.random.default_rng(7)
    clouds = np.stack([cv2.GaussianBlur(f, (0, 0), 5.0) for f in rng.normal(0, 150, frames.shape)])
    filtered = band_passed(frames + clouds.astype(np.float32) + rng.normal(0, 3, frames.shape).astype("f4"))
    noise = Noise.of(shifted(filtered, -motion) - still, 8)
    white = Noise(noise.spread, noise.window, np.full_like(noise.power, noise.power.mean()))
    found, without = (rms(Weights(still, n, 100, *REACH).find(filtered), motion) for n in (noise, white))
    assert found < 0.75 * without


def test_cells_that_flash_are_clipped(moving):
    motion, frames, still = moving
    rng = np.random.default_rng(8)
    rows, cols = np.indices((96, 96))
    light = np.stack(
        [
            sum(
                300 * np.exp(-((rows - y) ** 2 + (cols - x) ** 2) / (2 * 3.0**2))
                for y, x in rng.uniform(16, 80, (3, 2))
            )
            for _ in motion
        ]
    )
    filtered = band_passed(frames + light[:, 8:-8, 8:-8].astype(np.float32))
    quiet = Noise.of(band_passed(rng.normal(0, 5, frames.shape).astype(np.float32)), 8)
    found = Weights(still, quiet, 100, *REACH).find(filtered)
    assert rms(found, motion) < 0.2
    assert rms(found, motion) < 0.5 * rms(ShiftEstimator(still, 4, 8).find(filtered), motion)


def test_fading_doesn_t_pull_shifts(moving):
    motion, frames, _ = moving
    fading = frames * np.linspace(1.0, 0.4, len(frames))[:, None, None]
    assert rms(register_rigid(fading, 4, 3).shifts, motion) < 0.05


def test_shifts_beyond_the_image_are_not_sought():
    movie = np.random.default_rng(9).integers(0, 255, (25, 12, 14)).astype(np.uint8)
    shifts = register_rigid(movie, 50, 3).shifts
    assert np.isfinite(shifts).all() and np.abs(shifts).max() <= 50


@pytest.mark.parametrize("left", [0.0, 0.7, 1.6])
def test_motion_that_is_left_is_told_in_pixels(left):
    rng = np.random.default_rng(10)
    motion = rng.normal(0, left / np.sqrt(2), (120, 2))
    frames = displaced(tissue(112, 11), motion) + rng.normal(0, 6, (120, 96, 96))
    reduction = Reduction(3, (96, 96))
    told = residual_motion(reduction(frames), reduction, 4)
    true = np.sqrt((motion[1::2] ** 2).sum(axis=1).mean())
    assert abs(told - true) < 0.1 * left + 0.12
    assert np.isnan(residual_motion(reduction(frames[:19]), reduction))


def test_quality_shows_what_the_narrow_filter_missed(caplog):
    rng = np.random.default_rng(12)
    motion = np.clip(np.cumsum(rng.normal(0, 0.8, (160, 2)), axis=0) % 7 - 3.5, -3.5, 3.5)
    movie = rng.poisson(displaced(0.1 * tissue(136, 13, 7.0), motion)).astype(np.uint16)
    told, true = {}, {}
    for mode in ("auto", "caiman"):
        result = register_rigid(movie, 5, 3, filter_mode=mode)
        template = median_template(result.templates, 3, mode)
        with caplog.at_level(logging.WARNING, "caiman"):
            quality = registration_quality(
                movie, apply_shifts(movie, result.shifts), template, 3, 5, filter_mode=mode
            )
        told[mode], true[mode] = quality.residual_px, rms(result.shifts, motion)
        assert quality.motion_px == pytest.approx(rms(np.zeros_like(motion), motion), rel=0.15)
    assert true["auto"] < 0.5 < 1.0 < true["caiman"]
    assert told["auto"] == pytest.approx(true["auto"], rel=0.4)
    assert told["caiman"] == pytest.approx(true["caiman"], rel=0.4)
    assert len(caplog.records) == 1


class Endless:
    """A movie of any length that holds a few frames only."""

    def __init__(self, frames: np.ndarray, T: int) -> None:
        self.frames, self.shape, self.dtype = frames, (T, *frames.shape[1:]), frames.dtype
        self.largest = 0

    def __getitem__(self, index: slice) -> np.ndarray:
        numbers = np.arange(self.shape[0])[index]
        self.largest = max(self.largest, len(numbers))
        return self.frames[numbers % len(self.frames)]


@pytest.mark.parametrize("pieces", [False, True])
def test_memory_doesn_t_grow_with_the_movie(moving, pieces):
    frames = moving[1][:, :64, :64].astype(np.uint8)
    template = register_rigid(frames, 4, 3).template

    def run(T: int) -> int:
        movie = Endless(frames, T)
        tracemalloc.start()
        if pieces:
            register_piecewise(
                movie, template, 4, 3, 40, 16, splits=T // 40, run=Run(memory="16MB"), write=count
            )
        else:
            register_rigid(movie, 4, 3, splits=T // 40, run=Run(memory="16MB"), write=count)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert movie.largest <= 64
        return peak

    def count(blocks) -> int:
        return sum(len(block) for block in blocks)

    few, many = run(400), run(800)
    assert many < few + 2**20
    assert many < 24 * 2**20


def test_the_memory_limit_changes_nothing_but_memory(moving):
    frames = moving[1]
    shifts = [register_rigid(frames, 4, 3, run=Run(memory=limit)).shifts for limit in (None, "1MB", 10**9)]
    assert np.array_equal(shifts[0], shifts[1]) and np.array_equal(shifts[0], shifts[2])
