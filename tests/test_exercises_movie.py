"""The checks of lessons 1 and 2: right answers and typical slips."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from exercise_scenes import says, two_cells_and_a_vessel

from cnmf_engine.base.errors import InputError
from workshop_utils import exercises


class Binned(np.ndarray):
    """An array that carries a frame rate, as the engines' movies do."""

    fr = 5.0


BINNED = np.zeros((500, 4, 4), np.float32).view(Binned)


@pytest.fixture
def field():
    return two_cells_and_a_vessel()


# Lesson 1


@pytest.mark.parametrize("answer", [5, 5.0, np.float32(5), np.array([5.0]), 4.98])
def test_the_rate_after_averaging(answer):
    says(exercises.binned_rate(answer, BINNED), True, "500 frames in 100 s")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (10, "the rate before. After averaging pairs"),
        (20, "twice the rate before"),
        (2.5, "of two, not of four"),
        (0.2, "in seconds. The rate is one divided by it"),
        (200, "in milliseconds"),
        (0.1, "before averaging"),
        (5000, "a thousand times"),
        (300, "per minute"),
        (500, "the number of frames"),
        (100, "how long the recording lasts"),
        (-5, "larger than 0"),
        (7, "more than there are"),
        (3, "fewer than there are"),
    ],
)
def test_slips_with_the_rate_get_their_own_reply_but_not_the_answer(answer, words):
    verdict = exercises.binned_rate(answer, BINNED)
    says(verdict, False, words)
    assert "binned.fr" in verdict.message
    assert "5 frames per second" not in verdict.message


def test_a_movie_without_a_rate_is_refused():
    with pytest.raises(InputError, match="frame rate"):
        exercises.binned_rate(5, np.zeros((3, 4, 4)))
    unknown = BINNED.copy()
    unknown.fr = None
    with pytest.raises(InputError, match="frame rate"):
        exercises.binned_rate(5, unknown)


def test_a_movie_without_frames_has_a_rate_all_the_same():
    says(exercises.binned_rate(5, BINNED[:0]), True, "0 frames in 0 s")
    says(exercises.binned_rate(0, BINNED[:0]), False, "the number of frames")


def test_a_cell_and_a_vessel_are_pointed_out(field):
    correlation, truth = field
    verdict = exercises.point_out((11, 15), np.array([5, 41]), correlation, truth)
    says(verdict, True, "blood lets only 20% of the light through")
    assert "answer key" not in verdict.message


@pytest.mark.parametrize(
    ("cell", "vessel", "words"),
    [
        ((15, 10), (5, 41), "the other way round it is. Rows come first"),
        ((20, 30), (5, 41), "no cell that could be found"),
        ((11, 15), (5, 10), "100% of the light gets through"),
        ((11, 15), (5, 4), "no vessel"),
        ((50, 11), (5, 41), "is it (column, row)"),
        ((11, 15), (500, 41), "outside the image, which has rows 0 to 39"),
        ((11, 15, 3), (5, 41), "it has 3"),
        ("11, 15", (5, 41), "two numbers"),
        ((11, float("nan")), (5, 41), "NaN"),
        ((11, 15), (11, 15), "no vessel"),
        ((-1, 15), (5, 41), "outside"),
        (11, (5, 41), "it has 1"),
    ],
)
def test_slips_with_places(field, cell, vessel, words):
    correlation, truth = field
    says(exercises.point_out(cell, vessel, correlation, truth), False, words)


def test_one_place_alone_is_judged_and_the_other_asked_for(field):
    correlation, truth = field
    verdict = exercises.point_out((11, 15), None, correlation, truth)
    says(verdict, None, "there is a cell")
    assert "set my_vessel" in verdict.message
    says(exercises.point_out((20, 30), None, correlation, truth), False, "set my_vessel")


def test_a_vessel_with_its_place_swapped_is_recognised(field):
    correlation, truth = field
    wide = replace(truth, vessels=truth.vessels[:, :40].T.copy().repeat(1, axis=1), A=truth.A[:, :, :40])
    square = np.ones((40, 40), np.float32)
    square[:, 5:9] = 0.2
    square = replace(wide, vessels=square)
    verdict = exercises.point_out((11, 15), (6, 20), correlation[:, :40], square)
    says(verdict, False, "is no vessel, but the other way round it is")


def test_without_a_key_the_correlation_image_judges(field):
    correlation, _ = field
    verdict = exercises.point_out((11, 15), (5, 41), correlation)
    says(verdict, True, "no answer key")
    assert "where you said" not in verdict.message, "nobody can know that"
    says(exercises.point_out((11, 15), (11, 15), correlation), False, "what a cell looks like")
    says(exercises.point_out((5, 5), (5, 41), correlation), False, "Cells are round spots")
    says(exercises.point_out((11, 15), (30, 50), correlation), False, "what a cell looks like")


def test_where_vessels_cover_most_of_the_field_only_the_darkest_third_counts(field):
    correlation, truth = field
    dim = np.tile(np.linspace(0.1, 0.5, 60, dtype=np.float32), (40, 1))
    dim[0, 0] = 1.0
    truth = replace(truth, vessels=dim)
    says(exercises.point_out((11, 15), (20, 10), correlation, truth), True, "of the light through")
    says(exercises.point_out((11, 15), (20, 45), correlation, truth), False, "only the edge of one")


def test_one_pixel_is_not_two_places(field):
    correlation, truth = field
    everywhere = replace(truth, vessels=np.where(truth.A[0] > 0, 0.2, 1).astype(np.float32))
    says(exercises.point_out((11, 15), (11.2, 15), correlation, everywhere), False, "both are the same pixel")


def test_a_movie_without_vessels_or_without_clear_cells(field):
    correlation, truth = field
    bare = replace(truth, vessels=np.ones_like(truth.vessels))
    says(exercises.point_out((11, 15), (5, 41), correlation, bare), True, "no vessel crosses this movie")
    blurred = replace(truth, detectable=np.zeros(3, bool))
    says(exercises.point_out((11, 15), (5, 41), correlation, blurred), False, "no cell that could be found")
    none = replace(blurred, A=truth.A[:0], C=truth.C[:0], S=truth.S[:0], detectable=np.zeros(0, bool))
    says(exercises.point_out((11, 15), (5, 41), correlation, none), False, "no cell that could be found")


def test_a_key_without_vessels_leaves_them_to_the_images(field):
    correlation, truth = field
    says(
        exercises.point_out((11, 15), (5, 41), correlation, replace(truth, vessels=None)), True, "mean image"
    )


# Lesson 2


@pytest.fixture
def shifts():
    table = np.zeros((60, 2))
    table[:, 0] = 2.0  # the usual place isn't 0
    table[:, 1] += np.sin(np.arange(60)) * 0.3
    table[7] = -0.5, 0.0  # 2.5 px from the usual place
    table[20:23] = [[2.5, 1.5], [3.6, 2.2], [4.0, 2.6]]  # 22: the farthest from the usual place
    table[22] = -0.4, 2.4
    table[40] = 4.5, 0.4  # the largest from 0, 2.5 away
    table[50] = 2.0, -2.5  # the largest along the columns
    return table


def test_the_frame_that_moved_most(shifts):
    says(exercises.most_moved(22, shifts), True, "frame 22 is 3.4 px from the usual place")
    says(
        exercises.most_moved(np.argmax(np.linalg.norm(shifts - np.median(shifts, 0), axis=1)), shifts),
        True,
        "",
    )


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (23, "did you add or subtract one"),
        (21, "did you add or subtract one"),
        (40, "subtract it first"),
        (80, "counts rows and columns one after the other"),
        (50, "along one direction"),
        (2.2, "its axis is in seconds"),
        (60, "there are frames 0 to 59"),
        (-38, "counted from the start"),
        (10, "another one is farther"),
    ],
)
def test_slips_with_the_frame(shifts, answer, words):
    says(exercises.most_moved(answer, shifts), False, words)


def test_the_distance_in_place_of_the_frame_is_recognised(shifts):
    distance = np.linalg.norm(shifts - np.median(shifts, axis=0), axis=1).max()
    says(exercises.most_moved(distance, shifts), False, "the largest distance, in pixels")


def test_frames_that_never_moved_are_all_right():
    says(exercises.most_moved(0, np.zeros((5, 2))), True, "0.0 px")


def test_a_jump_and_the_stillest_frame_are_recognised():
    table = np.cumsum(np.full((30, 2), 0.2), axis=0)
    table[25:] += 0.1
    table[14] += 1.5  # jumps out and back, yet the end is farther away
    says(exercises.most_moved(14, table), False, "largest jump")
    away = np.linalg.norm(table - np.median(table, axis=0), axis=1)
    says(exercises.most_moved(int(np.argmin(away)), table), False, "argmax, not argmin")


def test_other_things_than_shifts_are_refused():
    with pytest.raises(InputError, match="rows and columns"):
        exercises.most_moved(1, np.zeros(9))


def test_shifts_that_are_no_numbers_leave_no_farthest_frame(shifts):
    shifts[3, 0] = np.nan
    says(exercises.most_moved(22, shifts), None, "NaN or infinite")


@pytest.fixture
def motion():
    """True motion, a correction that undoes it, one that follows noise and one that does nothing."""
    rng = np.random.default_rng(3)
    truth = np.cumsum(rng.normal(0, 0.4, (300, 2)), axis=0)
    truth -= truth.mean(axis=0)
    noise = np.clip(rng.normal(0, 5, (300, 2)), -5, 5)
    return truth, -truth, noise, np.zeros_like(truth)


BEFORE, BETTER, WORSE = (0.90, 175.0), (0.93, 181.0), (0.87, 154.0)


def test_a_width_that_follows_noise_fails_in_every_number(motion):
    truth, _, noise, _ = motion
    verdict = exercises.failing_width(1, noise, BEFORE, WORSE, truth)
    says(verdict, True, "You would have noticed without the truth")
    for clue in ("- crispness: 154.0 after 175.0", "- agreement: 0.870 after 0.900", "- range:", "- jitter:"):
        assert clue in verdict.message
    says(exercises.failing_width(1, noise, BEFORE, WORSE), True, "What gives it away")


def test_a_width_that_fails_unseen_is_said_to_be_nasty(motion):
    truth, good, _, _ = motion
    says(exercises.failing_width(30, 0.4 * good, BEFORE, BETTER, truth), True, "A nasty one")


def test_a_width_that_works_is_not_the_answer(motion):
    truth, good, _, _ = motion
    says(exercises.failing_width(6, good, BEFORE, BETTER, truth), False, "The width works")
    says(exercises.failing_width(25, 0.6 * good, BEFORE, BETTER, truth), False, "It begins to fail")
    says(exercises.failing_width(6, good, BEFORE, BETTER), False, "the shifts look sensible")


def test_a_correction_that_does_nothing_is_noticed(motion):
    *_, still = motion
    says(exercises.failing_width(200, still, BEFORE, BETTER), True, "Nothing was matched")


def test_a_width_alone_is_no_answer_and_a_negative_one_wrong(motion):
    says(exercises.failing_width(60, None, BEFORE, None), None, "run the whole cell again")
    says(exercises.failing_width(-3, motion[1], BEFORE, BETTER), False, "larger than 0")


@pytest.mark.parametrize("width", [0, -3])
def test_a_filter_has_a_width(motion, width):
    says(exercises.failing_width(width, motion[1], BEFORE, BETTER, motion[0]), False, "larger than 0")


def test_where_nothing_moved_nothing_can_fail(motion):
    *_, still = motion
    says(exercises.failing_width(3, still, BEFORE, BETTER, still), False, "Nothing moved here")


def test_shifts_that_follow_noise_on_a_still_movie_do_fail(motion):
    _, _, noise, still = motion
    says(exercises.failing_width(3, noise, BEFORE, WORSE, still), True, "noticed without the truth")


def test_nan_gives_a_correction_away(motion):
    _, good, _, _ = motion
    says(exercises.failing_width(3, good, BEFORE, (np.nan, np.nan)), True, "- crispness: nan after 175.0")
    lost = good.copy()
    lost[:30] = np.nan
    says(exercises.failing_width(3, lost, BEFORE, BETTER), True, "- shifts: 10% of them are NaN")


def test_shifts_at_the_limit_are_noticed(motion):
    _, good, _, _ = motion
    stuck = np.clip(good, -1.5, 1.5)
    says(exercises.failing_width(9, stuck, BEFORE, BETTER), True, "stick to the limit")


def test_other_frames_than_the_keys_are_refused(motion):
    truth, good, _, _ = motion
    with pytest.raises(InputError):
        exercises.failing_width(9, good[:-1], BEFORE, BETTER, truth)
