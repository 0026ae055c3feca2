"""The checks of lessons 1 to 3: right answers, typical wrong ones and empty ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from synthetic import blob

from cnmf_engine.errors import InputError
from workshop_utils import exercises
from workshop_utils.exercises import Verdict
from workshop_utils.truth import Truth


class Binned(np.ndarray):
    """An array that carries a frame rate, as the engines' movies do."""

    fr = 5.0


BINNED = np.zeros((500, 4, 4), np.float32).view(Binned)


def says(verdict, right, words):
    """Assert what a verdict is, that its text begins as it should, and that it contains some words."""
    assert verdict.right is right, verdict
    begins = {True: "Right: ", False: "Not yet: ", None: "No answer yet: "}[right]
    assert repr(verdict).startswith(begins)
    assert words in verdict.message, verdict


# The verdict itself


def test_a_verdict_shows_a_word_in_text_and_html_and_no_markup_of_the_answer():
    verdict = Verdict(np.True_, "a < b.\n- one & two\nthe end")
    assert verdict.right is True
    assert str(verdict) == repr(verdict) == "Right: a < b.\n- one & two\nthe end"
    page = verdict._repr_html_()
    assert "<b>Right:</b>" in page and "a &lt; b." in page and "• one &amp; two" in page
    assert "background" not in page and ";color:" not in page, "the notebook's own theme decides these"


@pytest.mark.parametrize(("right", "word"), [(True, "Right"), (False, "Not yet"), (None, "No answer yet")])
def test_the_word_stands_beside_the_colour(right, word):
    assert f"<b>{word}:</b>" in Verdict(right, "x")._repr_html_()


@pytest.mark.parametrize("empty", [None, ..., "", "  "])
@pytest.mark.parametrize(
    "check",
    [
        lambda answer: exercises.binned_rate(answer, BINNED),
        lambda answer: exercises.most_moved(answer, np.zeros((9, 2))),
        lambda answer: exercises.failing_width(answer, None, (0.9, 100), None),
        lambda answer: exercises.count_passing(answer, np.zeros((4, 4)), np.zeros((4, 4)), 0.8, 10),
        lambda answer: exercises.thresholds(answer, None, np.zeros((0, 2))),
        lambda answer: exercises.point_out(answer, answer, np.zeros((4, 4))),
        lambda answer: exercises.patch_half_width(answer, 12),
        lambda answer: exercises.one_change(answer, None, None),
        lambda answer: exercises.count_above(answer, [1.0, 2.0], 5),
        lambda answer: exercises.beat(answer, None),
        lambda answer: exercises.time_of_peak(answer, [1.0, 2.0], 10),
        lambda answer: exercises.event_table(answer, 2, 100),
        lambda answer: exercises.cell_diameter(answer, 3),
        lambda answer: exercises.own_set(answer, {}),
    ],
)
def test_an_empty_answer_is_no_answer(check, empty):
    assert check(empty).right is None
    assert len(check(empty).message) > 20, "it says what to do"


@pytest.mark.parametrize(
    ("odd", "words"),
    [
        (float("nan"), "not a number"),
        (float("inf"), "infinite"),
        ("5 Hz", "without quotes"),
        (True, "a truth value"),
        (np.array([True, False]), "np.sum counts the True"),
        ([1, 2, 3], "holds 3 numbers"),
        ({"a": 1}, "as one number"),
        (len, "as one number"),
        (2 + 1j, "as one number"),
        ([[1, 2], [3]], "as one number"),
        ("x" * 500, "..."),
    ],
)
@pytest.mark.parametrize(
    "check",
    [
        lambda answer: exercises.binned_rate(answer, BINNED),
        lambda answer: exercises.most_moved(answer, np.eye(9, 2)),
        lambda answer: exercises.failing_width(answer, np.eye(9, 2), (0.9, 100), (0.9, 100)),
        lambda answer: exercises.count_passing(answer, np.ones((4, 4)), np.ones((4, 4)), 0.8, 10),
        lambda answer: exercises.patch_half_width(answer, 12),
        lambda answer: exercises.count_above(answer, [1.0, 2.0], 5),
        lambda answer: exercises.time_of_peak(answer, [1.0, 2.0], 10),
        lambda answer: exercises.cell_diameter(answer, 3),
    ],
)
def test_what_is_not_one_number_gets_a_line_and_no_traceback(check, odd, words):
    says(check(odd), False, words)


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


@pytest.fixture
def field():
    """Two clear cells, a blurred one, and a vertical vessel; the correlation image shows the clear cells."""
    dims = (40, 60)
    A = np.array([blob(dims, (10, 15), 2), blob(dims, (30, 50), 2), blob(dims, (20, 30), 6)])
    vessels = np.ones(dims, np.float32)
    vessels[:, 40:44] = 0.2
    truth = Truth(
        A=A,
        C=np.ones((3, 20), np.float32),
        S=np.zeros((3, 20), np.float32),
        shifts=np.zeros((20, 2), np.float32),
        detectable=np.array([True, True, False]),
        vessels=vessels,
    )
    return A[0] + A[1], truth


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
    says(exercises.point_out((11, 15), (5, 41), correlation), True, "no answer key")
    says(exercises.point_out((5, 5), (5, 41), correlation), False, "Cells are round spots")
    says(exercises.point_out((11, 15), (30, 50), correlation), False, "what a cell looks like")


def test_where_vessels_cover_most_of_the_field_only_the_darkest_third_counts(field):
    correlation, truth = field
    dim = np.tile(np.linspace(0.1, 0.5, 60, dtype=np.float32), (40, 1))
    dim[0, 0] = 1.0
    truth = replace(truth, vessels=dim)
    says(exercises.point_out((11, 15), (20, 10), correlation, truth), True, "of the light through")
    says(exercises.point_out((11, 15), (20, 45), correlation, truth), False, "only the edge of one")


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
    says(exercises.failing_width(6, good, BEFORE, BETTER, truth), False, "the width works")
    says(exercises.failing_width(25, 0.6 * good, BEFORE, BETTER, truth), False, "It begins to fail")
    says(exercises.failing_width(6, good, BEFORE, BETTER), False, "the shifts look sensible")


def test_a_correction_that_does_nothing_is_noticed(motion):
    *_, still = motion
    says(exercises.failing_width(200, still, BEFORE, BETTER), True, "Nothing was matched")


def test_a_width_alone_is_no_answer_and_a_negative_one_wrong(motion):
    says(exercises.failing_width(60, None, BEFORE, None), None, "run the whole cell again")
    says(exercises.failing_width(-3, motion[1], BEFORE, BETTER), False, "larger than 0")


# Lesson 3


@pytest.fixture
def summary():
    rng = np.random.default_rng(5)
    cn, pnr = rng.uniform(0, 1, (30, 40)), rng.uniform(0, 30, (30, 40))
    cn[0, :3], pnr[0, :3] = 0.8, 20  # just reach a threshold
    return cn, pnr


def test_pixels_that_pass_both(summary):
    cn, pnr = summary
    count = np.sum((cn >= 0.8) & (pnr >= 10))
    says(exercises.count_passing(count, cn, pnr, 0.8, 10), True, "of 1200 pixels")
    says(exercises.count_passing(float(count), cn, pnr, 0.8, 10), True, "far fewer seeds")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda c, p: np.sum((c >= 0.8) | (p >= 10)), "Both have to hold"),
        (lambda c, p: np.sum(c >= 0.8), "pass min_pnr as well"),
        (lambda c, p: np.sum(p >= 10), "pass min_corr as well"),
        (lambda c, p: np.sum((c < 0.8) & (p < 10)), "wrong side"),
        (lambda c, p: np.sum(~((c >= 0.8) & (p >= 10))), "wrong side"),
        (lambda c, p: np.sum((c > 0.8) & (p > 10)), "Use >="),
        (lambda c, p: np.sum(c >= 0.8) + np.sum(p >= 10), "counts twice"),
        (lambda c, p: np.mean((c >= 0.8) & (p >= 10)), "share"),
        (lambda c, p: 100 * np.mean((c >= 0.8) & (p >= 10)), "share"),
        (lambda c, p: (c >= 0.8) & (p >= 10), "np.sum counts the True"),
        (lambda c, p: c.size, "the number of all pixels"),
        (lambda c, p: len(c), "len() counts rows"),
        (lambda c, p: -1, "1200 pixels in all"),
        (lambda c, p: 1199, "more than pass"),
        (lambda c, p: 1, "fewer than pass"),
        (lambda c, p: 7.5, "whole number"),
    ],
)
def test_slips_with_the_count(summary, answer, words):
    says(exercises.count_passing(answer(*summary), *summary, 0.8, 10), False, words)


CENTRES = np.array([[10.0, 15.0], [30.0, 50.0]])


def test_thresholds_that_reach_more_cells(field):
    _, truth = field
    says(
        exercises.thresholds((0.7, 7), CENTRES, CENTRES[:1], truth), True, "2 of 2 cells have a seed (1 with"
    )
    dictionary = {"min_corr": 0.7, "min_pnr": 7}
    says(exercises.thresholds(dictionary, CENTRES, CENTRES[:1], truth), True, "min_corr 0.7 and min_pnr 7")


def test_thresholds_that_only_drop_a_false_seed_are_right(field):
    _, truth = field
    false = np.vstack([CENTRES, [5, 35]])
    says(exercises.thresholds((0.9, 10), CENTRES, false, truth), True, "0 of 2 seeds are false (1 before)")


def test_thresholds_that_do_not_help(field):
    _, truth = field
    false = np.array([[5, 35], [38, 5], [38, 20]])
    says(exercises.thresholds((0.8, 10), CENTRES, CENTRES, truth), False, "what the first guess gives")
    says(exercises.thresholds((0.95, 30), CENTRES[:1], CENTRES, truth), False, "Cells were lost")
    many = np.vstack([CENTRES, false])
    says(exercises.thresholds((0.3, 3), many, CENTRES[:1], truth), False, "3 more false seeds")
    says(exercises.thresholds((0.3, 3), many, CENTRES, truth), False, "only false seeds")
    says(exercises.thresholds((0.99, 90), np.zeros((0, 2)), CENTRES, truth), False, "no pixel passes")


def test_thresholds_without_a_key_are_judged_by_their_number():
    seeds = np.arange(40.0).reshape(-1, 2)
    says(exercises.thresholds((0.7, 7), seeds[:12], seeds[:8]), True, "no answer key")
    says(exercises.thresholds((0.1, 1), seeds, seeds[:4]), False, "hardly all cells")
    says(exercises.thresholds((0.9, 20), seeds[:4], seeds[:8]), False, "Fewer seeds")
    says(exercises.thresholds((0.8, 10), seeds[:8], seeds[:8]), False, "Nothing changed")


@pytest.mark.parametrize(
    ("answer", "right", "words"),
    [
        ((10, 0.8), False, "is it (min_pnr, min_corr)"),
        ((1.2, 10), False, "between 0 and 1"),
        ((0.8, -1), False, "0 or larger"),
        ({"min_corr": 0.8}, False, "no min_pnr"),
        ((0.8,), False, "two numbers"),
        (0.8, False, "two numbers"),
        ("0.8, 10", False, "two numbers"),
        ((0.8, float("nan")), False, "not a number"),
        ((0.8, None), None, "min_pnr"),
        ((0.8, 10), None, "run the whole cell again"),
    ],
)
def test_thresholds_that_cannot_be_used(answer, right, words):
    says(exercises.thresholds(answer, None, CENTRES), right, words)
