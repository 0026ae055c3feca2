"""The checks of the exercises in general: what a verdict looks like, and answers that are none."""

from __future__ import annotations

import numpy as np
import pytest
from exercise_scenes import says
from prose import SOURCES, cells
from test_lesson_parts import check_called, exercises_in

from workshop_utils import exercises
from workshop_utils.exercises import Verdict


class Binned(np.ndarray):
    """An array that carries a frame rate, as the engines' movies do."""

    fr = 5.0


BINNED = np.zeros((500, 4, 4), np.float32).view(Binned)


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


def test_what_a_learner_wrote_is_no_markup():
    page = exercises.binned_rate("<script>alert(1)</script>", BINNED)._repr_html_()
    assert "<script" not in page and "&lt;script&gt;" in page


@pytest.mark.parametrize("check", sorted(set(exercises.__all__) - {"Verdict"}))
def test_every_check_is_asked_and_solved_in_a_lesson(check):
    found = [exercise for source in SOURCES for exercise in exercises_in(cells(source))]
    cells_with = [cell for exercise in found for cell in exercise.cells if check_called(cell.text) == check]
    assert sorted("solution" in cell.tags for cell in cells_with) == [False, True]


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
    says(check(empty), None, "run the ")


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
