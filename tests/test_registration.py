"""Registration of arrays: known shifts are found, frames are moved back, limits and borders are kept."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import numpy as np
import pytest
import tifffile
from short_forms import register_piecewise, register_rigid

from cnmf_engine.base.errors import InputError, ParameterError
from cnmf_engine.base.parallel import Run
from cnmf_engine.caiman.cluster import setup_cluster
from cnmf_engine.stages.registration import (
    ShiftEstimator,
    apply_shifts,
    high_pass,
    patch_grid,
    registration_quality,
    warp,
)

GOLDEN = Path(__file__).parent / "golden"


def rms(error: np.ndarray) -> float:
    """Error a coordinate after the mean, which no template fixes, is removed."""
    return float(np.sqrt(np.mean((error - error.mean(axis=0)) ** 2)))


def scene(height: int = 90, width: int = 90, seed: int = 0) -> np.ndarray:
    """A smooth image of random blobs, known at any sub-pixel position through its Fourier series."""
    rng = np.random.default_rng(seed)
    rows, cols = np.indices((height, width))
    image = np.zeros((height, width))
    for y, x, size in zip(rng.uniform(0, height, 60), rng.uniform(0, width, 60), rng.uniform(2, 4, 60)):
        image += 50 * np.exp(-((rows - y) ** 2 + (cols - x) ** 2) / (2 * size**2))
    return image


def displaced(image: np.ndarray, motion: np.ndarray, cut: int = 12) -> np.ndarray:
    """Frames of a camera window into `image` that moves by `motion` (rows, columns, px) exactly."""
    spectrum = np.fft.fft2(image)
    row_freq, col_freq = np.fft.fftfreq(image.shape[0]), np.fft.fftfreq(image.shape[1])
    frames = []
    for down, right in motion:
        ramp = np.exp(-2j * np.pi * (row_freq[:, None] * down + col_freq * right))
        frames.append(np.fft.ifft2(spectrum * ramp).real[cut:-cut, cut:-cut])
    return np.stack(frames).astype(np.float32)


@pytest.fixture(scope="module")
def jitter() -> tuple[np.ndarray, np.ndarray, dict]:
    movie = tifffile.imread(GOLDEN / "jitter.tif")
    truth = np.load(GOLDEN / "jitter_truth.npz")["shifts"]
    with np.load(GOLDEN / "jitter_motion.npz") as archive:
        return movie, truth, dict(archive)


@pytest.fixture(scope="module")
def rigid(jitter):
    return register_rigid(jitter[0], max_shifts=5, gSig_filt=3)


def test_estimator_finds_subpixel_shifts():
    motion = np.random.default_rng(1).uniform(-4, 4, (40, 2))
    frames = high_pass(displaced(scene(), motion), 3)
    template = high_pass(displaced(scene(), np.zeros((1, 2))), 3)[0]
    found = ShiftEstimator(template, 5, margin=4).find(frames)
    assert rms(found + motion) < 0.05
    assert np.abs(found + motion).max() < 0.15


@pytest.mark.parametrize(
    ("limit", "allowed"), [((3, 5), (3, 5)), ((0, 5), (0, 5)), (1.5, (1.5, 1.5)), (0, (0, 0))]
)
def test_limits_are_never_exceeded(limit, allowed):
    motion = np.random.default_rng(2).uniform(-8, 8, (60, 2))
    template = displaced(scene(), np.zeros((1, 2)))[0]
    found = ShiftEstimator(template, limit, clip=False).find(displaced(scene(), motion))
    assert np.all(np.abs(found) <= allowed)
    if allowed == (3, 5):
        inside = (np.abs(motion) < (2.9, 4.9)).all(axis=1)
        assert inside.sum() > 5
        assert np.abs(found + motion)[inside].max() < 0.3


def test_golden_shifts_are_as_accurate_as_the_reference(jitter, rigid):
    _, truth, reference = jitter
    of_reference = rms(reference["shifts_rig"] + truth)
    assert of_reference == pytest.approx(0.083, abs=5e-4)
    assert rms(rigid.shifts + truth) < 0.05
    assert np.sqrt(np.mean((rigid.shifts - reference["shifts_rig"]) ** 2)) < 0.12
    assert rigid.at_limit == 0


def test_golden_templates_agree_with_the_reference(jitter, rigid):
    movie, _, reference = jitter
    assert np.corrcoef(rigid.template.ravel(), reference["template"].ravel())[0, 1] > 0.99
    assert rigid.templates.shape == (14, 80, 80)
    mean = rigid.templates.mean(axis=0)
    assert np.corrcoef(mean.ravel(), reference["corrected_mean"].ravel())[0, 1] > 0.999
    # Original units: nothing was subtracted or added.
    assert mean.mean() == pytest.approx(movie.mean(), rel=2e-3)


def test_template_from_a_wide_filter_and_axes_of_different_width(jitter):
    movie, truth, _ = jitter
    found = register_rigid(movie[:120], max_shifts=5, gSig_filt=(2.5, 4.0)).shifts
    assert rms(found + truth[:120]) < 0.1


def test_more_rounds_and_fewer_splits_keep_the_accuracy(jitter):
    movie, truth, _ = jitter
    result = register_rigid(movie[:100], 5, 3, niter_rig=2, splits=4, num_splits_to_process=2)
    assert rms(result.shifts + truth[:100]) < 0.05
    assert result.templates.shape[0] == 4


@pytest.mark.parametrize("n_workers", [2, 3])
def test_result_is_the_same_bit_for_bit_for_any_number_of_workers(jitter, n_workers):
    movie = jitter[0][:90]
    alone, collected = [], []
    first = register_rigid(movie, 5, 3, write=lambda blocks: alone.extend(blocks))
    template = first.template
    patches = register_piecewise(movie, template, 5, 3, 48, 24)
    _, dview, _ = setup_cluster(n_processes=n_workers, ignore_preexisting=True)
    with dview:
        second = register_rigid(movie, 5, 3, run=Run(dview), write=lambda blocks: collected.extend(blocks))
        other = register_piecewise(movie, template, 5, 3, 48, 24, run=Run(dview))
    assert np.array_equal(first.shifts, second.shifts)
    assert np.array_equal(first.template, second.template)
    assert np.array_equal(np.concatenate(alone), np.concatenate(collected))
    assert np.array_equal(patches.row_shifts, other.row_shifts)
    assert np.array_equal(patches.templates, other.templates)


def test_block_by_block_reading_never_asks_for_the_whole_movie(jitter):
    class Counting:
        def __init__(self, movie):
            self.movie, self.shape, self.largest = movie, movie.shape, 0

        def __getitem__(self, frames):
            block = self.movie[frames]
            self.largest = max(self.largest, len(block))
            return block

    movie = Counting(np.concatenate([jitter[0]] * 2))
    result = register_rigid(movie, 5, 3, splits=2)
    assert len(result.shifts) == 500
    assert movie.largest <= 64


def test_active_cells_do_not_pull_the_shifts():
    rng = np.random.default_rng(3)
    motion = rng.uniform(-3, 3, (80, 2))
    still = scene()
    rows, cols = np.indices(still.shape)
    frames = []
    for shift in motion:
        y, x = rng.uniform(20, 70, 2)
        flash = 400 * np.exp(-((rows - y) ** 2 + (cols - x) ** 2) / (2 * 3**2))
        frames.append(displaced(still + flash, shift[None])[0])
    frames = high_pass(np.stack(frames), 3)
    template = high_pass(displaced(still, np.zeros((1, 2))), 3)[0]
    clipped = rms(ShiftEstimator(template, 5, 4).find(frames) + motion)
    plain = rms(ShiftEstimator(template, 5, 4, clip=False).find(frames) + motion)
    assert clipped < 0.2
    assert clipped < plain / 2


def test_still_edges_do_not_hold_the_shifts():
    motion = np.random.default_rng(4).uniform(-3, 3, (100, 2))
    frames = displaced(scene(), motion)
    # The edge of the field of view stays where it is, as bright as what moves.
    frames[:, :, 0] += 60
    frames[:, -1] += 60
    found = register_rigid(frames, 5, 3).shifts
    assert rms(found + motion) < 0.15


def test_moved_frames_match_the_unmoved_scene():
    motion = np.random.default_rng(6).uniform(-3, 3, (10, 2))
    back = apply_shifts(displaced(scene(), motion), -motion, border_nan=False)
    still = displaced(scene(), np.zeros((1, 2)))[0]
    assert np.abs(back - still)[:, 5:-5, 5:-5].max() < 0.02 * still.max()


def test_borders_are_treated_as_asked():
    frame = np.arange(1.0, 65.0).reshape(1, 8, 8)
    shift = [[1.4, -2.0]]
    lost_rows, lost_cols = slice(0, 2), slice(6, 8)
    with_nan = apply_shifts(frame, shift, True)[0]
    assert np.isnan(with_nan[lost_rows]).all() and np.isnan(with_nan[:, lost_cols]).all()
    assert np.isfinite(with_nan[2:, :6]).all()
    least = apply_shifts(frame, shift, "min")[0]
    assert (least[lost_rows] == least.min()).all() and (least[:, lost_cols] == least.min()).all()
    copied = apply_shifts(frame, shift, "copy")[0]
    assert (copied[lost_rows] == copied[2]).all() and (copied[:, lost_cols] == copied[:, 5:6]).all()
    reflected = apply_shifts(frame, shift, False)[0]
    assert np.array_equal(reflected[2:, :6], copied[2:, :6]) and np.isfinite(reflected).all()
    assert frame.min() <= reflected.min() and reflected.max() <= frame.max()


def test_a_shift_of_nothing_changes_nothing():
    movie = np.random.default_rng(7).integers(0, 4000, (4, 20, 30)).astype(np.uint16)
    assert np.array_equal(apply_shifts(movie, np.zeros((4, 2)), True), movie)


def test_piecewise_golden_shifts(jitter, rigid):
    movie, truth, _ = jitter
    result = register_piecewise(movie, rigid.template, 5, 3, (48, 48), (24, 24), 3)
    assert result.row_shifts.shape == result.col_shifts.shape == (250, 4)
    for patch in range(4):
        found = np.stack([result.row_shifts[:, patch], result.col_shifts[:, patch]], axis=1)
        assert rms(found + truth) < 0.06


def test_piecewise_follows_a_field_that_rigid_registration_cannot():
    rng = np.random.default_rng(8)
    n = 60
    grid = patch_grid((128, 128), 40, 24)
    stretch = rng.uniform(-2, 2, n)
    centre = np.array([(r.start + r.stop - 1) / 2 for r, _ in grid.patches])
    rows = stretch[:, None] * (centre - 63.5) / 40
    still = np.tile(scene(128, 128), (n, 1, 1)).astype(np.float32)
    bent = warp(still, rows, np.zeros_like(rows), grid)
    rigid = register_rigid(bent, 5, 3)
    result = register_piecewise(bent, rigid.template, 5, 3, 40, 24, 3)
    left_rigid = rms(rigid.shifts[:, :1] + rows)
    left_pieces = rms(result.row_shifts + rows)
    assert left_pieces < 0.3 * left_rigid
    corrected = warp(bent, result.row_shifts, result.col_shifts, grid)
    inner = np.s_[:, 8:-8, 8:-8]
    assert np.std(corrected[inner], axis=0).mean() < 0.3 * np.std(bent[inner], axis=0).mean()


def test_piecewise_without_deviation_is_rigid(jitter, rigid):
    result = register_piecewise(jitter[0][:30], rigid.template, 5, 3, 48, 24, max_deviation_rigid=0)
    assert np.ptp(result.row_shifts, axis=1).max() == 0
    assert np.allclose(result.row_shifts[:, 0], rigid.shifts[:30, 0], atol=0.1)


def test_piecewise_keeps_to_the_deviation(jitter, rigid):
    noise = np.random.default_rng(9).normal(0, 200, (20, 80, 80)).astype(np.float32)
    result = register_piecewise(jitter[0][:20] + noise, rigid.template, 2, 3, 20, 10, max_deviation_rigid=1)
    assert np.ptp(result.row_shifts, axis=1).max() <= 2
    assert np.abs(result.row_shifts).max() <= 3


@pytest.mark.parametrize("cubic", [False, True])
def test_patches_cover_the_image_and_spread_their_values(cubic):
    grid = patch_grid((100, 60), (30, 30), (12, 12), cubic)
    assert grid.rows == (0, 30, 58) and grid.cols == (0, 18) and grid.size == (42, 42)
    assert np.allclose(grid.field(np.full(6, 2.5)), 2.5, atol=1e-5)
    values = np.repeat([0.0, 3.0, 5.8], 2)
    field = grid.field(values)
    # Values are met at the patch centres and kept beyond the outer ones.
    assert field[20:22].mean() == pytest.approx(0.0, abs=0.06)
    assert field[50:52].mean() == pytest.approx(3.0, abs=0.06)
    assert np.allclose(field[:20], field[0, 0], atol=1e-5) and np.allclose(field[80:], 5.8, atol=1e-4)


def test_piecewise_borders():
    frames = np.tile(np.arange(40.0, dtype=np.float32)[:, None] + 5, (1, 1, 40))
    grid = patch_grid((40, 40), 16, 8)
    n = len(grid.patches)
    down = np.full((1, n), 3.0), np.zeros((1, n))
    assert np.isnan(warp(frames, *down, grid, True)[0, :3]).all()
    assert (warp(frames, *down, grid, "min")[0, :3] == 5).all()
    assert (warp(frames, *down, grid, False)[0, :3] == 0).all()
    assert np.allclose(warp(frames, *down, grid, "copy")[0, :3], 5)
    assert np.allclose(warp(frames, *down, grid, True)[0, 3:-3], frames[0, :-6], atol=0.05)


@pytest.mark.parametrize("level", [0.0, 731.0])
@pytest.mark.parametrize("gSig_filt", [None, 3, 6.5])
def test_constant_movie_has_no_shifts(level, gSig_filt):
    movie = np.full((30, 24, 31), level, np.float32)
    result = register_rigid(movie, 5, gSig_filt)
    assert np.array_equal(result.shifts, np.zeros((30, 2)))
    pieces = register_piecewise(movie, result.template, 5, gSig_filt, 10, 4)
    assert np.abs(pieces.row_shifts).max() == 0
    assert np.allclose(result.templates, level)


@pytest.mark.parametrize("T", [1, 2, 7, 15])
def test_short_movies_get_a_template_and_a_warning(T, caplog):
    motion = np.random.default_rng(10).uniform(-2, 2, (T, 2))
    with caplog.at_level(logging.WARNING, "caiman"):
        result = register_rigid(displaced(scene(), motion), 5, 3)
    assert f"only {T} frame(s)" in caplog.text
    assert result.shifts.shape == (T, 2)
    assert np.abs(rms(result.shifts + motion)) < 0.3


def test_one_blank_frame_stays_in_place(jitter):
    movie = jitter[0][:40].copy()
    movie[17] = 1000
    shifts = register_rigid(movie, 5, 3).shifts
    assert np.array_equal(shifts[17], (0, 0))
    assert rms(np.delete(shifts, 17, 0) + np.delete(jitter[1][:40], 17, 0)) < 0.06


def test_nan_borders_are_filled_and_reported(jitter, caplog):
    movie = jitter[0][:60].astype(np.float32)
    movie[:, :2] = np.nan
    movie[5, 40, 40] = np.inf
    seen = []
    with caplog.at_level(logging.WARNING, "caiman"):
        result = register_rigid(movie, 5, 3, write=lambda blocks: seen.extend(blocks))
    assert "60 of 60 frames had NaN" in caplog.text
    assert caplog.text.count("had NaN") == 1
    assert rms(result.shifts + jitter[1][:60]) < 0.06
    assert np.isfinite(np.concatenate(seen)).all()


def test_frames_of_nothing_but_nan_are_named(jitter):
    movie = jitter[0][:100].astype(np.float32)
    movie[[70, 81]] = np.nan
    with pytest.raises(InputError, match=r"only NaN in frame\(s\) 70, 81"):
        register_rigid(movie, 5, 3, template=np.zeros((80, 80)), splits=2)


def test_many_frames_at_the_limit_are_counted(jitter, caplog):
    with caplog.at_level(logging.WARNING, "caiman"):
        result = register_rigid(jitter[0], 1, 3)
    assert result.at_limit > 50
    share = (
        f"{result.at_limit} of 250 frames ({result.at_limit / 2.5:.0f} %) were shifted as far as max_shifts"
    )
    assert f"{share} = (1, 1) px allows: try max_shifts = (" in caplog.text
    advised = tuple(map(int, re.search(r"try max_shifts = \((\d+), (\d+)\)", caplog.text).groups()))
    caplog.clear()
    # Who follows the advice has no frames at the limit, and a limit that isn't much too wide.
    followed = register_rigid(jitter[0], advised, 3)
    assert followed.at_limit <= 5 and not caplog.records
    assert max(advised) <= 2 * np.abs(followed.shifts).max()
    assert rms(followed.shifts + jitter[1]) < 0.05


def test_a_given_template_is_kept(jitter, rigid):
    result = register_rigid(jitter[0][:30], 5, 3, template=rigid.template)
    assert np.array_equal(result.template, rigid.template)
    assert np.sqrt(np.mean((result.shifts - rigid.shifts[:30]) ** 2)) < 0.05
    moved_on = register_rigid(jitter[0][:30], 5, 3, template=rigid.template, keep_template=False)
    assert not np.array_equal(moved_on.template, rigid.template)


def test_quality_tells_success_from_failure(jitter, rigid, caplog):
    movie = jitter[0]
    corrected = apply_shifts(movie, rigid.shifts)
    good = registration_quality(movie, corrected, rigid.template, 3, border=5)
    assert good.improved and good.correlation_after > good.correlation_before + 0.1
    assert good.crispness_after > 1.2 * good.crispness_before
    assert not caplog.records
    with caplog.at_level(logging.WARNING, "caiman"):
        unchanged = registration_quality(movie, movie, rigid.template, 3)
    assert not unchanged.improved
    assert "did not make the frames more alike" in caplog.text


def test_quality_warns_when_shifts_follow_noise(caplog):
    noise = np.random.default_rng(11).normal(100, 20, (60, 64, 64)).astype(np.float32)
    result = register_rigid(noise, 5, 3)
    with caplog.at_level(logging.WARNING, "caiman"):
        quality = registration_quality(
            noise, apply_shifts(noise, result.shifts), result.template, 3, border=5
        )
    assert quality.correlation_after < 0.25
    assert "mostly noise" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_shifts": -1}, "max_shifts in px, 0 or more"),
        ({"max_shifts": (1, 2, 3)}, "max_shifts in px"),
        ({"border": "mirror"}, "border_nan to be True"),
        ({"niter_rig": 0}, "niter_rig of 1 or more"),
        ({"gSig_filt": -2}, "-2"),
        ({"template": np.zeros((5, 5))}, "a template of the movie's size, 20 x 20 px"),
        ({"splits": [np.arange(10)]}, "each of the 25 frames once"),
    ],
)
def test_bad_parameters_are_explained(arguments, message):
    with pytest.raises(InputError, match=message):
        register_rigid(np.ones((25, 20, 20)), **arguments)


def test_bad_movies_are_explained():
    with pytest.raises(InputError, match=r"shape \(20, 20\)"):
        register_rigid(np.ones((20, 20)))
    with pytest.raises(InputError, match="at least one frame"):
        register_rigid(np.ones((0, 20, 20)))
    with pytest.raises(InputError, match=r"shape \(3, 2\)"):
        apply_shifts(np.ones((3, 8, 8)), np.zeros((2, 2)))
    with pytest.raises(InputError, match="two movies of one shape"):
        registration_quality(np.ones((3, 8, 8)), np.ones((2, 8, 8)), np.ones((8, 8)))
    with pytest.raises(ParameterError, match="strides of at least 1 px"):
        patch_grid((20, 20), strides=0)
