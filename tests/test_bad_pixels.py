"""Pixels that lie are found, whatever the movie does, and filled; what the optics show isn't called bad."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from cnmf_engine.caiman.motion_correction import MotionCorrect
from cnmf_engine.cnmf import CNMF
from cnmf_engine.stages.bad_pixels import RepairedMovie, find_bad_pixels

PX, FRAMES = 72, 120


def recording(seed: int, moves: bool = True, noise: float = 12.0) -> tuple[np.ndarray, np.ndarray]:
    """Textured tissue that moves by whole pixels, and where it was moved."""
    rng = np.random.default_rng(seed)
    field = gaussian_filter(rng.standard_normal((PX + 20, PX + 20)), 1.5)
    field = 500 * (1 + 0.05 * field / field.std())
    shifts = rng.integers(-4, 5, (FRAMES, 2)) * moves
    frames = np.stack([np.roll(field, s, (0, 1))[10:-10, 10:-10] for s in shifts])
    return (frames + rng.normal(0, noise, frames.shape)).astype(np.float32), shifts


def spoil(movie: np.ndarray, kind: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Plant bad pixels of a kind; the movie, and where they are."""
    rng = np.random.default_rng(seed)
    movie, bad = movie.copy(), np.zeros((PX, PX), bool)
    column = int(rng.integers(5, PX - 5))
    if kind in ("column", "row"):
        bad[:, column] = True
        bad = bad if kind == "column" else bad.T
        movie[:, bad] = 0
    else:
        bad.ravel()[rng.choice(PX * PX, 30, replace=False)] = True
        value = {"dead": 0.0, "stuck": 700.0}.get(kind)
        if kind == "hot":
            movie[:, bad] += 400
        elif kind == "blinking":
            movie[:, bad] += 250 * (rng.random((FRAMES, 30)) < 0.2)
        else:
            movie[:, bad] = value
    return movie, bad


@pytest.mark.parametrize("moves", [True, False])
@pytest.mark.parametrize("kind", ["dead", "stuck", "hot", "blinking", "column", "row"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_bad_pixels_are_found_and_no_others(kind, moves, dtype):
    movie, bad = spoil(recording(3, moves)[0], kind, seed=4)
    scale = 0.2 if dtype == np.uint8 else 1.0
    found = find_bad_pixels(np.clip(movie * scale, 0, 65535).astype(dtype))
    assert (found.mask & bad).sum() >= 0.95 * bad.sum()
    assert not (found.mask & ~bad).any()
    if kind in ("dead", "column", "row"):
        assert found.of_kind(kind).sum() >= 0.95 * bad.sum()


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of resident memory is reset in /proc")
def test_a_mapped_movie_is_looked_at_without_taking_it_into_memory(tmp_path):
    def memory(name):
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024

    T, side = 2048, 128
    noise = np.random.default_rng(0).normal(500, 12, (side * side, 64)).astype(np.float32)
    traces = np.tile(noise, T // 64)
    traces[777] = 0
    traces.tofile(tmp_path / "m.raw")
    expected = find_bad_pixels(traces.T.reshape((T, side, side), order="F"))
    del traces
    file = np.memmap(tmp_path / "m.raw", np.float32, "r", shape=(side * side, T))
    Path("/proc/self/clear_refs").write_text("5")
    before = memory("VmRSS")
    found = find_bad_pixels(file.T.reshape((T, side, side), order="F"))
    # The movie is 128 MB, of which 32 are mapped at a time; frames and images take some 20.
    assert memory("VmHWM") < before + 80
    np.testing.assert_array_equal(found.kind, expected.kind)
    assert found.of_kind("dead").sum() == 1


def test_stripes_are_taken_out():
    movie, _ = recording(5)
    stripes = 20 * np.random.default_rng(6).standard_normal(PX).astype(np.float32)
    found = find_bad_pixels(movie + stripes)
    assert found.striped and not found.rows.any() and not found.mask.any()
    assert np.corrcoef(found.columns, stripes)[0, 1] > 0.9
    assert (found.fill(movie + stripes) - movie).mean(axis=(0, 1)).std() < 0.5 * stripes.std()


@pytest.mark.parametrize("sigma", [1.5, 2.0])
@pytest.mark.parametrize("frames", [30, 150])
def test_small_sharp_cells_saturation_and_masks_are_not_called_bad(sigma, frames):
    rng = np.random.default_rng(7)
    rows, columns = np.indices((PX, PX))
    movie = np.full((frames, PX, PX), 90.0)
    for row, column in rng.uniform(4, PX - 4, (20, 2)):
        light = 60 + 150 * rng.random(frames) * (rng.random(frames) < 0.3)
        movie += light[:, None, None] * np.exp(
            -((rows - row) ** 2 + (columns - column) ** 2) / (2 * sigma**2)
        )
    movie = np.clip(movie + rng.normal(0, 3, movie.shape), 0, 255).astype(np.uint8)
    assert (movie == 255).any()
    assert not find_bad_pixels(movie)
    # Outside of a round lens nothing changes: a mask, not thousands of dead pixels.
    movie[:, np.hypot(rows - PX / 2, columns - PX / 2) > 0.42 * PX] = 0
    assert not find_bad_pixels(movie)


def test_filling_keeps_dtype_and_good_pixels():
    movie = recording(8)[0].astype(np.uint16)
    clean = find_bad_pixels(movie)
    assert not clean and clean.fill(movie) is movie and str(clean) == ""
    spoiled, bad = spoil(movie, "column", 9)
    found = find_bad_pixels(spoiled)
    filled = RepairedMovie(spoiled, found)[10:20]
    assert filled.dtype == np.uint16 and np.array_equal(filled[:, ~bad], movie[10:20][:, ~bad])
    # Tissue of 1.5 px width between two known columns, beside noise of 12.
    assert np.abs(filled[:, bad].astype(float) - movie[10:20][:, bad]).mean() < 25


def test_blinking_pixels_of_a_still_movie_are_no_cells(caplog):
    rng = np.random.default_rng(13)
    rows, columns = np.indices((48, 48))
    cell = np.exp(-((rows - 24) ** 2 + (columns - 20) ** 2) / (2 * 2.5**2))
    light = np.convolve(rng.random(300) < 0.03, 0.8 ** np.arange(20))[:300]
    clean = 100 + 80 * light[:, None, None] * cell + rng.normal(0, 3, (300, 48, 48))
    spoiled = clean.copy()
    # Three of them anywhere, one on the cell.
    for row, column in ((8, 8), (38, 12), (12, 36), (24, 21)):
        spoiled[:, row, column] += 150 * (rng.random(300) < 0.2)
    with caplog.at_level(logging.WARNING, "caiman"):
        model = CNMF(gSig=(2.5, 2.5), gSiz=(7, 7), min_corr=0.7, min_pnr=6, p=0, method_init="corr_pnr", nb=0)
        model.fit(spoiled.astype(np.float32))
    assert "are left out of footprints: " in caplog.text and "4 blinking px" in caplog.text
    assert model.estimates.A.shape[1] == 1
    footprint = model.estimates.A.toarray().reshape((48, 48), order="F")
    assert footprint[24, 21] == 0 and footprint[24, 20] > 0
    assert np.corrcoef(model.estimates.C[0], light)[0, 1] > 0.95


@pytest.mark.parametrize("seed", [11, 12])
def test_bad_pixels_do_not_hold_the_registration(tmp_caiman, caplog, seed):
    movie, shifts = recording(seed)
    spoiled, bad = spoil(movie, "column", seed)
    spoiled, more = spoil(spoiled, "hot", seed + 1)
    with caplog.at_level(logging.WARNING, "caiman"):
        mc = MotionCorrect(spoiled, max_shifts=8, gSig_filt=3, border_nan="copy")
        mc.motion_correct()
    error = np.array(mc.shifts_rig) + shifts
    assert np.sqrt(np.mean((error - error.mean(axis=0)) ** 2)) < 0.1
    assert (mc.bad_pixels.mask == (bad | more)).mean() > 0.999
    assert caplog.text.count("are filled from their neighbours") == 1 and "1 bad column" in caplog.text
    left = MotionCorrect(
        spoiled, max_shifts=8, gSig_filt=3, border_nan="copy", repair_pixels=False, mask=None
    )
    left.motion_correct()
    worse = np.array(left.shifts_rig) + shifts
    assert left.bad_pixels is None
    assert np.sqrt(np.mean((worse - worse.mean(axis=0)) ** 2)) > 0.15
