"""The checks of lessons 3 and 4: right answers and typical slips."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from exercise_scenes import DIMS, T, four_cells, says, two_cells_and_a_vessel
from synthetic import flat_footprints

from workshop_utils import exercises


@pytest.fixture
def field():
    return two_cells_and_a_vessel()


@pytest.fixture
def scene():
    return four_cells()


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


def test_a_count_is_no_percentage_of_a_hundred_pixels():
    image = (np.arange(100) < 12).reshape(10, 10).astype(float)
    says(exercises.count_passing(12, image, image, 0.5, 0.5), True, "12 of 100 pixels (12%)")


def test_images_in_which_nothing_passes():
    for image in (np.zeros((4, 5)), np.full((4, 5), np.nan), np.zeros((0, 0))):
        says(exercises.count_passing(0, image, image, 0.8, 10), True, "0 of ")
    says(exercises.count_passing(20, np.zeros((4, 5)), np.zeros((4, 5)), 0.8, 10), False, "of all pixels")


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
        ((None, 10), None, "set min_corr"),
        ((0.8, "10"), False, "without quotes"),
        ({}, False, "no min_corr and no min_pnr"),
        ([], False, "two numbers"),
        (np.array([0.8, 10]), None, "run the whole cell again"),
        ((0.8, 10), None, "run the whole cell again"),
    ],
)
def test_thresholds_that_cannot_be_used(answer, right, words):
    says(exercises.thresholds(answer, None, CENTRES), right, words)


def test_the_first_guess_may_have_had_no_seed(field):
    _, truth = field
    says(exercises.thresholds((0.7, 7), CENTRES, np.zeros((0, 2)), truth), True, "2 of 2 cells")
    says(exercises.thresholds((0.7, 7), CENTRES, np.zeros((0, 2))), True, "the first guess has 0")


def test_seeds_where_there_is_no_cell_are_all_false(field):
    _, truth = field
    blurred = replace(truth, detectable=np.zeros(3, bool))
    far = np.array([[38.0, 5.0], [38.0, 20.0]])
    says(exercises.thresholds((0.7, 7), far, far[:1], blurred), False, "0 of 0 cells")


def test_how_far_a_seed_may_be_counts(field):
    _, truth = field
    beside = CENTRES + [3, 0]
    says(exercises.thresholds((0.7, 7), beside, CENTRES[:1], truth, radius=4), True, "2 of 2 cells")
    says(exercises.thresholds((0.7, 7), beside, CENTRES[:1], truth, radius=2), False, "Cells were lost")


# Lesson 4


@pytest.mark.parametrize(("cell", "rf"), [(12, 30), (13, 32), (10, 25), (12.4, 31)])
def test_the_smallest_patch_of_five_cells(cell, rf):
    assert 2 * rf + 1 >= 5 * cell > 2 * (rf - 1) + 1
    says(exercises.patch_half_width(rf, cell), True, "one less would be too narrow")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (29, "nearly: 59 px are 4.92 cells"),
        (31, "Would a smaller one do?"),
        (60, "the width of the whole patch"),
        (61, "the width of the whole patch"),
        (29.5, "whole pixels: which way"),
        (0, "larger than 0"),
        (12, "2.1 cells, narrower than five cells"),
        (40, "6.8 cells, wider than needed"),
    ],
)
def test_slips_with_the_patch(answer, words):
    says(exercises.patch_half_width(answer, 12), False, words)


def test_a_change_that_helps(scene):
    truth, fit = scene
    verdict = exercises.one_change({"min_pnr": 8}, fit([0, 1]), fit([0, 1, 2]), truth)
    says(verdict, True, "It helped: more cells were found")
    assert "2 components before, 3 with min_pnr = 8; 2 of them are the same cells" in verdict.message
    says(
        exercises.one_change({"rf": 64}, fit([0, 1], 1), fit([0, 1]), truth),
        True,
        "fewer components are false",
    )


def test_a_change_that_hurts(scene):
    truth, fit = scene
    says(
        exercises.one_change({"min_pnr": 30}, fit([0, 1]), fit([0]), truth), True, "It hurt: cells were lost"
    )
    says(
        exercises.one_change({"rf": 9}, fit([0]), fit([0], 2), truth),
        True,
        "It hurt: more components are false",
    )


def test_a_change_of_the_traces_alone(scene):
    truth, fit = scene
    good, bad = fit([0, 1, 2]), fit([0, 1, 2], noise=0.7)
    says(
        exercises.one_change({"p": 2}, good, bad, truth),
        True,
        "It hurt a little: the traces are farther from",
    )
    says(
        exercises.one_change({"p": 2}, bad, good, truth), True, "It helped a little: the traces are closer to"
    )
    slightly = fit([0, 1, 2], noise=0.02)
    says(exercises.one_change({"p": 2}, good, slightly, truth), True, "neither helped nor hurt")


def test_a_change_without_a_key(scene):
    _, fit = scene
    says(exercises.one_change({"min_pnr": 8}, fit([0, 1]), fit([0, 1, 2])), True, "no answer key")


def test_a_change_that_leaves_nothing(scene):
    truth, fit = scene
    nothing = SimpleNamespace(A=flat_footprints(np.zeros((1, *DIMS)))[:, :0], C=np.zeros((0, T)))
    says(exercises.one_change({"min_pnr": 90}, fit([0]), nothing, truth), True, "no component at all")


@pytest.mark.parametrize(
    ("answer", "right", "words"),
    [
        ({"min_pnr": 8, "rf": 20}, False, "2 parameters are in the dictionary (min_pnr, rf)"),
        ({"init": {"min_pnr": 8}, "patch": {"rf": 20}}, False, "2 parameters"),
        ({}, False, "0 parameters"),
        (("min_pnr", 8), False, "as a dictionary"),
        ("min_pnr=8", False, "as a dictionary"),
        (8, False, "as a dictionary"),
        ({"min_pnr": 8}, None, "run the whole cell again"),
    ],
)
def test_changes_that_cannot_be_judged(scene, answer, right, words):
    says(exercises.one_change(answer, scene[1]([0]), None), right, words)


def test_a_width_and_the_box_that_follows_are_one_change(scene):
    truth, fit = scene
    changes = {"init": {"gSig": (4, 4), "gSiz": (9, 9)}}
    says(exercises.one_change(changes, fit([0]), fit([0, 1]), truth), True, "gSig = (4, 4)")


def test_a_change_that_changes_nothing_is_not_one(scene):
    truth, fit = scene
    same = fit([0, 1])
    says(exercises.one_change({"rf": 40}, same, same, truth), False, "changed nothing")


NOTHING = SimpleNamespace(A=None, C=None)


def test_two_fits_without_components_cannot_be_compared(scene):
    truth, fit = scene
    for key in (truth, None):
        says(
            exercises.one_change({"min_pnr": 8}, NOTHING, NOTHING, key), False, "neither fit has a component"
        )
        says(exercises.one_change({"min_pnr": 8}, fit([0]), NOTHING, key), True, "no component at all")


def test_a_fit_that_had_nothing_before_is_scored(scene):
    truth, fit = scene
    empty = SimpleNamespace(A=flat_footprints(np.zeros((1, *DIMS)))[:, :0], C=np.zeros((0, T)))
    verdict = exercises.one_change({"min_pnr": 8}, empty, fit([0, 1]), truth)
    says(verdict, True, "It helped: more cells were found")
    assert "correlation from undefined to 1.000" in verdict.message
