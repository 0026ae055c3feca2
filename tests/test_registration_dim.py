"""Registration of what real one-photon movies hold: dim, blurred, flashing and bending tissue."""

from __future__ import annotations

import logging

import cv2
import numpy as np
import pytest
from short_forms import register_piecewise, register_rigid

from cnmf_engine.base.errors import ParameterError
from cnmf_engine.caiman.motion_correction import MotionCorrect
from cnmf_engine.stages.registration import patch_grid, warp


def tissue(size: int, n_blobs: int, width: float, seed: int) -> np.ndarray:
    """Random blobs of one width on a bright ground."""
    rng = np.random.default_rng(seed)
    rows, cols = np.indices((size, size))
    image = np.full((size, size), 60.0)
    for y, x in rng.uniform(0, size, (n_blobs, 2)):
        image += 8 * np.exp(-((rows - y) ** 2 + (cols - x) ** 2) / (2 * width**2))
    return image.astype(np.float32)


def shifted(image: np.ndarray, motion: np.ndarray, cut: int) -> np.ndarray:
    """Windows into an image that moves by `motion` (rows, columns, px)."""
    frames = []
    for down, right in motion:
        matrix = np.float32([[1, 0, right], [0, 1, down]])
        frames.append(cv2.warpAffine(image, matrix, image.shape[::-1], flags=cv2.INTER_CUBIC))
    return np.stack(frames)[:, cut:-cut, cut:-cut]


def error(shifts: np.ndarray, motion: np.ndarray) -> float:
    """RMS of the distance from the truth, after the mean."""
    left = shifts + motion
    return float(np.sqrt(((left - left.mean(axis=0)) ** 2).sum(axis=1).mean()))


@pytest.fixture(scope="module")
def dim() -> tuple[np.ndarray, np.ndarray]:
    """Blurred tissue of few photons that wanders by up to 4 px, and its motion."""
    rng = np.random.default_rng(0)
    motion = np.cumsum(rng.normal(0, 0.8, (150, 2)), axis=0)
    motion = 4 * np.tanh((motion - motion.mean(axis=0)) / 3)
    still = shifted(tissue(120, 70, 7.0, 1), motion, 10)
    return rng.poisson(still).astype(np.uint16), motion


def test_dim_blurred_movies_are_registered_with_a_small_gSig_filt(dim):
    movie, motion = dim
    wide = error(register_rigid(movie, 6, 3).shifts, motion)
    narrow = error(register_rigid(movie, 6, 3, filter_mode="caiman").shifts, motion)
    assert wide < 0.5
    assert wide < narrow / 2


def test_flashing_cells_leave_the_shifts_alone(dim):
    movie, motion = dim
    rng = np.random.default_rng(2)
    rows, cols = np.indices((120, 120))
    light = np.zeros((len(motion), 100, 100), np.float32)
    for y, x in rng.uniform(25, 95, (8, 2)):
        cell = 20 * np.exp(-((rows - y) ** 2 + (cols - x) ** 2) / (2 * 3.0**2)).astype(np.float32)
        active = rng.random(len(motion)) < 0.2
        light[active] += shifted(cell, motion[active], 10)
    found = register_rigid(movie + light, 6, 3).shifts
    assert error(found, motion) < 0.5


def test_quality_is_calm_when_dim_movies_come_out_well_and_warns_of_noise(dim, caplog):
    mc = MotionCorrect(dim[0], max_shifts=6, gSig_filt=3, border_nan="copy")
    with caplog.at_level(logging.WARNING, "caiman"):
        mc.motion_correct()
    assert mc.quality.improved and not caplog.records
    noise = np.random.default_rng(3).poisson(60, (100, 80, 80))
    with caplog.at_level(logging.WARNING, "caiman"):
        failed = MotionCorrect(noise, max_shifts=6, gSig_filt=3, border_nan="copy")
        failed.motion_correct()
    assert failed.quality.correlation_after < 0.25
    assert "mostly noise" in caplog.text


def test_a_filter_that_leaves_the_glow_in_is_reported(caplog):
    rng = np.random.default_rng(4)
    motion = rng.uniform(-3, 3, (80, 2))
    rows, cols = np.indices((100, 100))
    glow = 4000 * np.exp(-((rows - 50) ** 2 + (cols - 50) ** 2) / (2 * 30.0**2))
    movie = glow + shifted(tissue(120, 70, 3.0, 5), motion, 10) + rng.normal(0, 5, (80, 100, 100))
    with caplog.at_level(logging.WARNING, "caiman"):
        wide = MotionCorrect(movie, max_shifts=5, gSig_filt=40, border_nan="copy")
        wide.motion_correct()
    assert error(np.array(wide.shifts_rig), motion) > 1.5
    assert not wide.quality.improved and "did not make the frames more alike" in caplog.text


def test_bending_tissue_is_followed_within_a_third_of_a_pixel():
    rng = np.random.default_rng(6)
    n, size = 60, 160
    rows, cols = np.indices((size, size), dtype=np.float32) / (size - 1) - 0.5
    whole, bend = rng.uniform(-2, 2, (n, 2)), rng.uniform(-2.5, 2.5, (n, 2))
    # A smooth field of displacements: rows bend along columns and columns along rows.
    down = whole[:, 0, None, None] + bend[:, 0, None, None] * np.sin(np.pi * cols)
    right = whole[:, 1, None, None] + bend[:, 1, None, None] * np.sin(np.pi * rows)
    still = tissue(size, 250, 3.0, 7)
    at_row, at_col = np.indices((size, size), dtype=np.float32)
    frames = [
        cv2.remap(still, at_col - r, at_row - d, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
        for d, r in zip(down.astype(np.float32), right.astype(np.float32))
    ]
    movie = np.stack(frames) + rng.normal(0, 2, (n, size, size)).astype(np.float32)
    rigid = register_rigid(movie, 5, 3)
    found = register_piecewise(movie, rigid.template, 5, 3, (32, 32), (24, 24), 3)
    grid = patch_grid((size, size), (32, 32), (24, 24))
    fields = np.stack([grid.field(values) for values in found.row_shifts])
    sides = np.stack([grid.field(values) for values in found.col_shifts])
    inner = np.s_[:, 16:-16, 16:-16]

    def left(row_shifts: np.ndarray, col_shifts: np.ndarray) -> float:
        parts = [(row_shifts + down)[inner], (col_shifts + right)[inner]]
        return float(np.sqrt(np.mean([(part - part.mean()) ** 2 for part in parts])))

    of_pieces = left(fields, sides)
    of_rigid = left(rigid.shifts[:, 0, None, None], rigid.shifts[:, 1, None, None])
    assert of_pieces < 0.3
    assert of_pieces < of_rigid / 2
    corrected = warp(movie, found.row_shifts, found.col_shifts, grid)
    assert corrected.std(axis=0)[inner[1:]].mean() < movie.std(axis=0)[inner[1:]].mean()


def test_unknown_filters_are_refused(dim):
    with pytest.raises(ParameterError, match="filter_mode to be 'auto' or 'caiman'"):
        MotionCorrect(dim[0], filter_mode="narrow")
    with pytest.raises(ParameterError, match="filter_mode"):
        register_rigid(dim[0], filter_mode="")
