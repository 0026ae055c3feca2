"""The checks of lessons 4 to 7: right answers, typical wrong ones and empty ones."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from synthetic import blob, flat_footprints

from workshop_utils import exercises
from workshop_utils.attempts import Attempt
from workshop_utils.challenge import Board
from workshop_utils.scoring import score
from workshop_utils.truth import Truth

DIMS, T = (40, 50), 120


def says(verdict, right, words):
    """Assert what a verdict is and that it contains some words."""
    assert verdict.right is right, verdict
    assert words in verdict.message, verdict


@pytest.fixture
def scene():
    """Truth of four cells, and a function that makes the estimates of a fit that found some of them."""
    rng = np.random.default_rng(8)
    A = np.array([blob(DIMS, centre, 2.5) for centre in ((8, 8), (8, 35), (28, 12), (30, 40))])
    C = rng.gamma(1, 1, (4, T)).astype(np.float32)
    truth = Truth(A, C, (C > 2).astype(np.float32), np.zeros((T, 2), np.float32), np.ones(4, bool))
    false = blob(DIMS, (18, 25), 2.5)

    def fit(found, n_false=0, noise=0.0):
        images = np.array([*A[list(found)], *[np.roll(false, 6 * k, 1) for k in range(n_false)]])
        traces = np.vstack([C[list(found)], rng.gamma(1, 1, (n_false, T))])
        traces = traces + noise * rng.normal(size=traces.shape)
        return SimpleNamespace(
            A=flat_footprints(images.reshape(-1, *DIMS)) if len(images) else None, C=traces
        )

    return truth, fit


# Lesson 4


@pytest.mark.parametrize(("cell", "rf"), [(12, 30), (13, 32), (10, 25), (12.4, 31)])
def test_the_smallest_patch_of_five_cells(cell, rf):
    assert 2 * rf + 1 >= 5 * cell > 2 * (rf - 1) + 1
    says(exercises.patch_half_width(rf, cell), True, "one less would be too narrow")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (29, "one too small: 59 px are 4.92 cells"),
        (31, "one more than needed"),
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


# Lesson 5

SNR = np.array([1.0, 4.0, 5.0, 6.5, 9.0, 12.5, np.inf])


def test_components_above_a_threshold():
    says(exercises.count_above(4, SNR, 5), True, "4 of 7 components")
    says(exercises.count_above(np.sum(SNR > 5), SNR, 5), True, "SNR or r")
    says(exercises.count_above(0, [], 5), True, "0 of 0")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (5, "Use >, not >="),
        (3, "the other side: those with an SNR of 5 or less"),
        (2, "the other side: those with an SNR below 5"),
        (7, "all components"),
        (4 / 7, "a share"),
        (400 / 7, "a share"),
        (SNR > 5, "np.sum counts the True"),
        (SNR[SNR > 5], "holds 4 numbers"),
        (3.5, "a comparison gives one"),
        (8, "7 components in all"),
        (1, "compare each value with 5"),
    ],
)
def test_slips_with_the_components(answer, words):
    says(exercises.count_above(answer, SNR, 5), False, words)


def test_sums_of_the_values_are_recognised():
    snr = SNR[:-1]
    says(exercises.count_above(snr.sum(), snr, 5), False, "the sum of all SNRs")
    says(exercises.count_above(snr[snr > 5].sum(), snr, 5), False, "the sum of their SNRs")


def marks(precision, recall, f1, r=0.95):
    return {"precision": precision, "recall": recall, "f1": f1, "trace_r_median": r}


@pytest.fixture
def board(tmp_path):
    made = Board(tmp_path, None, None, truth=SimpleNamespace())
    made.attempts = [
        Attempt("the lessons' values", {}, 60, 55, marks(0.9, 0.8, 0.847)),
        Attempt("good", {"tsub": 1}, 60, 56, marks(0.95, 0.8, 0.869)),
        Attempt("more", {"min_pnr": 5}, 90, 80, marks(0.8, 0.9, 0.847)),
        Attempt("fewer", {"min_pnr": 30}, 20, 20, marks(0.95, 0.5, 0.655)),
        Attempt("invented", {"min_SNR": 1}, 90, 90, marks(0.6, 0.8, 0.686)),
        Attempt("traces", {"p": 2}, 60, 55, marks(0.9, 0.8, 0.847, 0.97)),
        Attempt("same", {"gSig": (4, 4)}, 60, 55, marks(0.9, 0.8, 0.847)),
        Attempt("broken", {"rf": 3}, problem="failed: no room"),
        Attempt("best", {"tsub": 1, "rf": 64}, 60, 57, marks(0.97, 0.85, 0.906)),
        Attempt("none", {"min_corr": 1}, 9, 0, {"recall": 0.0, "f1": 0.0}),
    ]
    return made


@pytest.mark.parametrize(
    ("answer", "right", "words"),
    [
        ({"tsub": 1}, True, "good beats the lessons: precision 0.950 (0.900 before)"),
        ({"tsub": 1}, True, "The best on the board is best"),
        ({"rf": 64, "tsub": 1}, True, "best beats the lessons"),
        ("good", True, "good beats"),
        ({"min_pnr": 5}, True, "finds more cells than the lessons"),
        ({"p": 2}, True, "closer to the truth"),
        ({"min_pnr": 30}, False, "Cells were lost"),
        ({"min_SNR": 1}, False, "evaluation be stricter"),
        ({"gSig": [4, 4]}, False, "as many invented"),
        ({"rf": 3}, False, "broken has no score: failed: no room"),
        ({"min_corr": 1}, False, "precision undefined (0.900 before)"),
        ({"tsub": 7}, None, "no such attempt"),
        ("typo", None, "no such attempt"),
        ({}, None, "set my_values"),
        (0.9, False, "as a dictionary"),
        ([1, 2], False, "as a dictionary"),
    ],
)
def test_attempts_are_held_against_the_lessons(board, answer, right, words):
    says(exercises.beat(answer, board), right, words)


def test_what_an_attempt_gave_can_be_the_answer(board):
    says(exercises.beat(board.attempts[1], board), True, "good beats")


def test_without_a_key_nobody_wins(tmp_path):
    board = Board(tmp_path, None, None, truth=None)
    board.attempts = [Attempt("the lessons' values", {}, 60, 55), Attempt("mine", {"tsub": 1}, 70, 60)]
    says(exercises.beat({"tsub": 1}, board), None, "55 components were accepted before, 60 with mine")


# Lesson 6

TRACE = np.r_[np.zeros(10), 3.0, 2, 1, np.zeros(70), 7.0, 6, np.zeros(14), -1]  # the peak is in frame 83


@pytest.mark.parametrize("answer", [8.3, np.float64(8.3), 8.33])
def test_the_time_of_the_peak(answer):
    says(exercises.time_of_peak(answer, TRACE, 10), True, "frame 83, at 8.3 s")


def test_any_of_several_equal_peaks_is_right():
    says(exercises.time_of_peak(0.3, [0, 2, 0, 2, 0], 10), True, "")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (83, "the number of the frame"),
        (8.4, "one frame beside it"),
        (8.2, "one frame beside it"),
        (8300, "milliseconds"),
        (8.3 / 60, "minutes"),
        (830, "times the frame rate"),
        (7, "the highest value itself"),
        (9.9, "the time of the lowest value"),
        (-2, "lasts from 0 to 10 s"),
        (5, "look at the row"),
    ],
)
def test_slips_with_the_time(answer, words):
    says(exercises.time_of_peak(answer, TRACE, 10), False, words)


def test_without_a_component_there_is_no_peak():
    says(exercises.time_of_peak(1.0, [], 10), None, "no component")


def table(tmp_path, text, name="events.csv"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "text",
    [
        "component,events_per_minute\n0,3.6\n1,0\n4,1.2\n",
        "0,3.6\n1,0\n4,1.2\n",
        "\ufeffcomponent;events_per_minute\n0;3.6\n1;0\n4;1.2\n",
        ",component,events_per_minute\n0,0,3.6\n1,1,0\n2,4,1.2\n",
        "events a minute,component\n3.6,0\n0,1\n1.2,4\n",
        "component,events_per_minute\n\n0,3.6\n1,0\n4,1.2\n\n",
    ],
)
def test_a_table_of_events(tmp_path, text):
    verdict = exercises.event_table(table(tmp_path, text), 3, 100)
    says(verdict, True, "median 1.2 events a minute, from 0.0 to 3.6")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("c,e\n0,6\n1,0\n2,2\n", "are they counts"),
        ("c,e\n0,0.06\n1,0\n2,0.02\n", "events a second"),
        ("c,e\n0,0.6\n1,1.2\n", "Is the first component missing"),
        ("c,e\n0,0.6\n1,1.2\n2,3\n3,3\n", "Are the rejected ones in it"),
        ("0,1,2\n0.6,1.2,0.6\n", "lies on its side"),
        ("c\n0.6\n1.2\n0\n", "each row needs two numbers"),
        ("c,e\n0,-0.6\n1,1.2\n2,0\n", "negative or not a number"),
        ("c,e\n0,nan\n1,1.2\n2,0\n", "negative or not a number"),
        ("c,e\n0,0\n1,0\n2,0\n", "no component has an event"),
        ("c,e\n0,1.2\n1,many\n2,0.6\n", "row 2 of the table isn't made of numbers only"),
        ("", "the table has 0 rows"),
    ],
)
def test_slips_with_the_table(tmp_path, text, words):
    says(exercises.event_table(table(tmp_path, text), 3, 100), False, words)


def test_rounded_rates_are_not_mistaken(tmp_path):
    rates = np.round(np.array([1, 5, 7]) * 60 / 90, 1)  # 0.7, 3.3, 4.7
    text = "\n".join(f"{k},{rate}" for k, rate in enumerate(rates))
    says(exercises.event_table(table(tmp_path, text), 3, 90), True, "3 rows")
    text = "\n".join(f"{k},{rate}" for k, rate in enumerate((0.7, 0.1, 0.4)))
    says(exercises.event_table(table(tmp_path, text), 3, 90), True, "3 rows")


def test_files_that_cannot_be_read(tmp_path):
    says(exercises.event_table(tmp_path / "no.csv", 3, 100), False, "there is no file")
    says(exercises.event_table(tmp_path, 3, 100), False, "it is a folder")
    says(exercises.event_table(3.5, 3, 100), False, "the path of a file")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00\x80")
    says(exercises.event_table(tmp_path / "binary.csv", 3, 100), False, "can't be read")


def test_an_empty_export_has_an_empty_table(tmp_path):
    says(exercises.event_table(table(tmp_path, "c,e\n"), 0, 100), True, "as it should be")


# Lesson 7


@pytest.mark.parametrize("answer", [12, 10, 15])
def test_a_diameter_by_eye(answer):
    says(exercises.cell_diameter(answer, 3), True, "px by eye, and 12 px from gSig 3")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (3, "gSig itself, a sigma"),
        (6, "a radius"),
        (-12, "larger than 0"),
        (30, "30 px is larger than the 12 px"),
        (8, "8 px is smaller than the 12 px"),
    ],
)
def test_slips_with_the_diameter(answer, words):
    says(exercises.cell_diameter(answer, 3), False, words)


@pytest.fixture
def compared(scene):
    truth, fit = scene

    def result(accepted, left, scored=None, snr=6.0):
        found = score(scored.A, scored.C, truth) if scored is not None else None
        return SimpleNamespace(components=9, accepted=accepted, left=left, snr_median=snr, score=found)

    return result, fit


def test_a_set_of_ones_own_with_a_key(compared):
    result, fit = compared
    sets = {"suggested": result(3, 0.3, fit([0, 1, 2])), "mine": result(4, 0.2, fit([0, 1, 2, 3]))}
    says(exercises.own_set("mine", sets), True, "F1 1.00 (0.86 with suggested)")
    says(exercises.own_set("suggested", sets), False, "cells are missing")
    sets["mine"] = result(5, 0.2, fit([0, 1, 2], 2))
    says(exercises.own_set("mine", sets), False, "more is invented")


def test_a_set_of_ones_own_without_a_key(compared):
    result, _ = compared
    sets = {"suggested": result(30, 0.3), "mine": result(32, 0.25)}
    says(exercises.own_set("mine", sets), True, "look at the outlines")
    says(exercises.own_set("suggested", sets), False, "More structure is left")


def test_sets_that_cannot_be_judged(compared):
    result, _ = compared
    sets = {"suggested": result(30, 0.3), "mine": result(0, 0.9)}
    says(exercises.own_set("mine", sets), False, "none was accepted")
    says(exercises.own_set("other", sets), False, "one of: suggested, mine")
    says(exercises.own_set(3, sets), False, "the label of your set")
    says(exercises.own_set("mine", {"mine": result(3, 0.2)}), None, "at least two sets")
    says(exercises.own_set("mine", {}), None, "run the whole cell again")
