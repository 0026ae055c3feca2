"""What is planted in a movie is found: broken frames, movement, the size of cells, decay, noise."""

from __future__ import annotations

import json

import numpy as np
import pytest

from cnmf_engine.base.errors import InputError
from workshop_utils import figures, measures
from workshop_utils.measures.motion_check import MotionCheck

SHAPE = (400, 64, 72)
FR, TAU = 10.0, 6.0


@pytest.fixture(scope="module")
def quiet():
    """A camera's frames: a smooth field with the scatter of light, in whole numbers."""
    rng = np.random.default_rng(1)
    rows, columns = np.indices(SHAPE[1:])
    field = 60 + 80 * np.exp(-((rows - 30) ** 2 + (columns - 40) ** 2) / 700)
    return rng.poisson(field, SHAPE).astype(np.uint16)


def flashing(sigma: float, tau: float = TAU, n: int = 9, seed: int = 3, frames: int = 500) -> tuple:
    """Cells of a width that flash one by one and decay; and where they are."""
    rng = np.random.default_rng(seed)
    rows, columns = np.indices((96, 96))
    centers = [(18 + 30 * (k // 3), 18 + 30 * (k % 3)) for k in range(n)]
    movie = np.full((frames, 96, 96), 100.0) + rng.normal(0, 2, (frames, 96, 96))
    for k, (row, column) in enumerate(centers):
        cell = np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * sigma**2))
        trace = np.zeros(frames)
        for start in range(10 + 5 * k, frames - 5, 90):
            trace[start:] += 60 * np.exp(-np.arange(frames - start) / tau)
        movie += trace[:, None, None] * cell
    return movie.astype(np.float32), np.array(centers)


def test_healthy_movie_gets_no_advice(quiet):
    found = measures.health(quiet, FR)
    assert found.advice == []
    assert found.whole
    assert found.bits == 8
    assert "40 s at 10 Hz" in str(found)


def test_values_cut_off_at_the_top_are_counted(quiet):
    cut = np.minimum(quiet.astype(int) * 2, 255).astype(np.uint8)
    found = measures.health(cut, FR)
    assert found.top_share == pytest.approx(np.mean(cut == 255))
    assert np.array_equal(found.top_pixels, (cut == 255).any(axis=0))
    assert any(line.startswith("at the top: less light") for line in found.advice)


def test_repeated_blank_and_damaged_frames_are_named(quiet):
    movie = quiet.astype(np.float32)
    movie[51], movie[120] = movie[50], 0
    movie[200, 3, 4] = np.nan
    found = measures.health(movie, FR)
    assert found.duplicates.tolist() == [51]
    assert found.blank.tolist() == [120]
    assert found.damaged.tolist() == [200]
    assert found.jumps.size == 0, "a single dark frame is no step"


def test_step_of_the_lamp_is_found_where_it_is(quiet):
    movie = quiet.astype(np.float32)
    movie[250:] *= 1.15
    assert np.abs(measures.health(movie, FR).jumps - 250).max() <= 2


def test_odd_and_even_frames_that_differ_are_measured(quiet):
    movie = quiet.astype(np.float32)
    movie[1::2] *= 1.03
    assert measures.health(movie, FR).flicker == pytest.approx(0.03, abs=0.005)
    assert measures.health(quiet, FR).flicker == 0


def test_bleaching_is_measured(quiet):
    movie = quiet * np.linspace(1, 0.7, len(quiet))[:, None, None]
    assert measures.health(movie, FR).fading == pytest.approx(0.3, abs=0.03)


def test_border_without_signal_is_measured(quiet):
    movie = quiet.copy()
    movie[:, :5], movie[:, :, -3:] = 0, 0
    assert measures.health(movie, FR).border == (5, 0, 0, 3)


def test_bad_pixels_and_a_mask_are_named_and_told_apart(quiet):
    movie = quiet.copy()
    rows, columns = np.indices(SHAPE[1:])
    movie[:, np.hypot(rows - 32, columns - 36) > 30] = 0
    movie[:, :, 40], movie[:, 30, 20], movie[:, 25, 50] = 0, 0, 900
    found = measures.health(movie, FR)
    named = str(found.bad_pixels)
    assert named.startswith("1 dead px at (30, 20); 1 stuck px at (25, 50); 1 bad column (40)")
    # The corners of the field; whole rows and columns beside the lens are the border.
    assert any(found.border) and 0.2 < found.masked < 0.3
    assert {line.split(":")[0] for line in found.advice} >= {"bad pixels", "mask"}


def test_constant_movie_and_movie_of_nan_are_said_to_be_none():
    assert any("isn't a recording" in line for line in measures.health(np.full((20, 8, 9), 7.0), FR).advice)
    found = measures.health(np.full((20, 8, 9), np.nan), FR)
    assert len(found.damaged) == 20


@pytest.mark.parametrize("movie", [np.zeros((5, 5)), np.zeros((0, 5, 5))])
def test_what_is_no_movie_is_refused(movie):
    with pytest.raises(InputError, match="Expected a movie"):
        measures.health(movie, FR)


def test_one_frame_is_looked_at_and_called_too_short():
    found = measures.health(np.arange(30.0).reshape(1, 5, 6), FR)
    assert any("too short" in line for line in found.advice)


def planted_motion(fr: float = 20.0) -> np.ndarray:
    rng = np.random.default_rng(5)
    t = np.arange(1200) / fr
    drift = np.stack([6 * t / t[-1], np.zeros_like(t)], axis=1)
    return drift + rng.normal(0, 0.8, (1200, 2))


def test_jitter_and_drift_are_told_apart():
    found = measures.motion(planted_motion(), 20.0)
    assert found.drift_px == pytest.approx(6.0, abs=0.8)
    assert found.jitter_px == pytest.approx(0.8 * 2**0.5, rel=0.1)
    assert found.max_shift >= found.reach_px + 1
    assert not found.pw_rigid


def test_quadrants_that_only_err_are_not_apart_and_those_that_move_are():
    rng = np.random.default_rng(6)
    shifts = planted_motion()
    noisy = [shifts + rng.normal(0, 0.4, shifts.shape) for _ in range(4)]
    assert measures.motion(shifts, 20.0, noisy).apart_px < 0.2
    wave = np.sin(np.arange(len(shifts)) / 30)[:, None]
    bent = [part + sign * 1.5 * wave for part, sign in zip(noisy, (1, -1, 1, -1))]
    found = measures.motion(shifts, 20.0, bent)
    assert found.apart_px == pytest.approx(1.5, abs=0.3)
    assert found.pw_rigid


@pytest.mark.parametrize(("error", "said"), [(2.5, "stay with rigid"), (4, "can't be measured")])
def test_quadrants_that_are_lost_are_not_compared(error, said):
    """Where they err by more than they could differ they still tell whether the field moves, up to 3 px."""
    rng = np.random.default_rng(8)
    shifts = planted_motion()
    lost = [shifts + rng.normal(0, error, shifts.shape) for _ in range(4)]
    found = measures.motion(shifts, 20.0, lost)
    assert np.isnan(found.apart_px)
    assert not found.pw_rigid
    assert said in str(found)


def test_movement_is_measured_only_where_parts_of_the_field_agree():
    rng = np.random.default_rng(9)
    noise = rng.uniform(-20, 20, (300, 2))
    found = measures.motion(noise, FR, [rng.uniform(-20, 20, (300, 2)) for _ in range(4)], 20.0)
    assert not found.measured and found.max_shift == 5 and np.isnan(found.apart_px)
    assert "can't be measured" in str(found)
    still = np.zeros((300, 2))
    assert measures.motion(still, FR, [still] * 4, 20.0).measured, "no movement is a measurement too"


def test_frames_that_the_quadrants_contradict_do_not_set_the_limit():
    shifts = planted_motion()[:300]
    lost = shifts.copy()
    lost[40:50] = 19.0
    found = measures.motion(lost, 20.0, [shifts] * 4, 20.0)
    assert found.measured and found.seen == pytest.approx(290 / 300)
    assert found.max_shift <= measures.motion(shifts, 20.0).max_shift + 1
    assert "not believed" in str(found)


def test_shifts_at_the_limit_are_counted():
    shifts = np.zeros((100, 2))
    shifts[:10, 0] = 5.0
    assert measures.motion(shifts, FR, limit=5.0).at_limit == pytest.approx(0.1)
    with pytest.raises(InputError, match="shifts"):
        measures.motion(np.zeros(5), FR)


def test_width_of_the_filter_is_the_middle_of_the_good_ones():
    def check(agreement: float, jitter: float) -> MotionCheck:
        return MotionCheck(agreement, 10.0, 5.0, jitter)

    checks = {2: check(0.90, 1.5), 4: check(0.95, 0.5), 8: check(0.9499, 0.5), 16: check(0.9498, 0.51)}
    assert measures.choose_width(checks, check(0.8, 0.0)) == 8
    checks[2] = check(0.95, 2.0)  # as good, but it jumps about
    assert measures.choose_width(checks, check(0.8, 0.0)) == 8
    with pytest.raises(InputError, match="at least one correction"):
        measures.choose_width({}, check(0.8, 0.0))


@pytest.mark.parametrize("sigma", [2.5, 4.0])
def test_cell_size_is_measured(sigma):
    movie, centers = flashing(sigma)
    found = measures.size(movie, movie.max(axis=0))
    assert found.sigma == pytest.approx(sigma, rel=0.2)
    assert abs(found.gSig - sigma) <= 1
    assert (found.gSiz, found.diameter) == (2 * found.gSig + 1, 4 * found.gSig)
    _, _, width = measures.cell_profile(movie.max(axis=0), centers[4])
    assert width == pytest.approx(2.355 * sigma, rel=0.25)


def test_size_of_a_movie_without_flashes_is_the_usual_one_and_says_so():
    found = measures.size(np.random.default_rng(0).normal(50, 3, (60, 40, 40)))
    assert found.gSig == 3
    assert "the usual 3 px" in str(found).lower()
    assert "No cells are visible" in str(found) and len(found.cells.places) == 0


def test_few_cells_alone_are_measured():
    movie, centers = flashing(3.0, n=2, frames=300)
    found = measures.size(movie, movie.max(axis=0))
    assert len(found.cells.places) == 2
    assert found.sigma == pytest.approx(3.0, rel=0.2) and "2 that are clear" in found.rule


@pytest.mark.parametrize("tau", [4.0, 8.0])
def test_decay_is_measured_and_the_rate_judged(tau):
    movie, centers = flashing(3.0, tau=tau)
    found = measures.decay(movie, centers, 3, FR, tau / FR)
    assert found.frames == pytest.approx(tau, rel=0.15)
    assert found.low <= found.frames <= found.high
    assert found.plausible
    assert not measures.decay(movie, centers, 3, 10 * FR, tau / FR).plausible
    assert "does not fit" in str(measures.decay(movie, centers, 3, 10 * FR, tau / FR))


def test_decay_without_transients_says_so():
    found = measures.decay(np.full((100, 30, 30), 5.0), np.array([[15, 15]]), 3, FR, 0.4)
    assert found.plausible is None
    assert "too few" in str(found)


def test_noise_of_a_camera_and_of_light_are_told_apart(quiet):
    light = measures.noise(quiet, np.zeros((0, 2)), 3)
    assert light.slope == pytest.approx(1.0, abs=0.2)
    assert light.level == pytest.approx(np.sqrt(np.median(quiet.mean(axis=0))), rel=0.1)
    rng = np.random.default_rng(4)
    camera = measures.noise(quiet.mean(axis=0) + rng.normal(0, 3, SHAPE), np.zeros((0, 2)), 3)
    assert camera.level == pytest.approx(3.0, rel=0.05)
    assert abs(camera.slope) < 0.2
    assert camera.in_time.noise == pytest.approx(2**-0.5, rel=0.05)
    assert camera.in_space.noise == pytest.approx(0.5, rel=0.05)


def test_noise_of_a_constant_movie_is_zero():
    found = measures.noise(np.full((40, 20, 20), 9.0), np.array([[10, 10]]), 3)
    assert found.level == pytest.approx(0, abs=1e-6)
    assert np.isnan(found.peaks)
    with pytest.raises(InputError, match="16 frames or more"):
        measures.noise(np.zeros((1, 20, 20)), np.zeros((0, 2)), 3)


def test_time_stamps_give_rate_and_dropped_frames(tmp_path):
    times = np.delete(np.arange(200) * 50, [80, 81, 150])
    lines = [f"{k},{t},0" for k, t in enumerate(times)]
    path = tmp_path / "timeStamps.csv"
    path.write_text("\n".join(["Frame Number,Time Stamp (ms),Buffer Index", *lines]), encoding="utf-8")
    found = measures.read_times(path)
    assert found.frame_rate == pytest.approx(20.0)
    assert (found.missing, found.gaps.tolist()) == (3, [80, 148])
    (tmp_path / "metaData.json").write_text(json.dumps({"frameRate": "20FPS"}), encoding="utf-8")
    said = measures.find_rate(tmp_path / "day1_20Hz.avi")
    assert [line.partition(":")[0] for line in said] == ["timeStamps.csv", "metaData.json", "the file's name"]


def test_table_without_times_is_refused(tmp_path):
    path = tmp_path / "timeStamps.csv"
    path.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(InputError, match="column of times"):
        measures.read_times(path)


def test_figures_describe_themselves(quiet):
    movie, centers = flashing(3.0)
    drawn = [
        figures.health_figure(quiet, measures.health(quiet, FR)),
        figures.motion_figure(measures.motion(planted_motion(), 20.0), 20.0),
        figures.size_figure(movie.max(axis=0), 3),
        figures.decay_figure(measures.decay(movie, centers, 3, FR, 0.6)),
        figures.noise_figure(measures.noise(quiet, np.zeros((0, 2)), 3)),
        figures.size_figure(np.zeros((30, 30)), 3),
    ]
    for figure in drawn:
        assert len(figure.alt.split()) > 8
        assert figure.alt.endswith(".")
        assert "nan" not in figure.alt.split()
