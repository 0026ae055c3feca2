"""The checks of lessons 5 to 7: right answers and typical slips."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from exercise_scenes import four_cells, says

from workshop_utils import exercises
from workshop_utils.exercises.attempts import Attempt
from workshop_utils.exercises.challenge import Board
from workshop_utils.measures.scoring import score


@pytest.fixture
def scene():
    return four_cells()


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


def test_components_that_were_not_evaluated_cannot_be_counted():
    says(exercises.count_above(0, None, 5), None, "haven't been evaluated")


def test_a_component_without_an_snr_is_not_above():
    says(exercises.count_above(1, [np.nan, 9.0], 5), True, "1 of 2 components")


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
        (np.array([0.8, 10]), False, "as a dictionary"),
        ("the lessons' values", None, "no such attempt"),
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
    says(exercises.time_of_peak(0.3, [0, 2, 0, 2, 0], 10), True, "frame 3, at 0.3 s")
    says(exercises.time_of_peak(0.1, [0, 2, 0, 2, 0], 10), True, "frame 1, at 0.1 s")


def test_gaps_in_a_trace_are_no_peak():
    says(exercises.time_of_peak(0.2, [0, np.nan, 2, 1], 10), True, "frame 2")
    says(exercises.time_of_peak(0.2, [np.nan, np.nan], 10), None, "holds no numbers")


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
        "component;events_per_minute\n0;3,6\n1;0\n4;1,2\n",
        "0;3,6\n1;0\n4;1,2\n",
        "component\tevents_per_minute\n0\t3.6\n1\t0\n4\t1.2\n",
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
        ("0,1.2\n1,0.6\n2,many\n", "row 3 of the table"),
        ("cell,size,rate\n0,1,0.6\n1,2\n2,3,0.6\n", "each row needs two numbers"),
        ("x" * 200_000, "is it another file"),
    ],
)
def test_slips_with_the_table(tmp_path, text, words):
    says(exercises.event_table(table(tmp_path, text), 3, 100), False, words)


def test_rounded_rates_are_not_mistaken(tmp_path):
    rates = np.round(np.array([1, 5, 7]) * 60 / 90, 1)  # 0.7, 3.3, 4.7
    text = "\n".join(f"{k},{rate}" for k, rate in enumerate(rates))
    says(exercises.event_table(table(tmp_path, text), 3, 90), True, "rows: 3, ")
    text = "\n".join(f"{k},{rate}" for k, rate in enumerate((0.7, 0.1, 0.4)))
    says(exercises.event_table(table(tmp_path, text), 3, 90), True, "rows: 3, ")


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
        (30, "30 px is clearly larger than"),
        (8, "8 px is clearly smaller than"),
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
    unknown = {"suggested": result(30, 0.3), "mine": result(32, np.nan)}
    for label in unknown:
        says(exercises.own_set(label, unknown), None, "couldn't be measured")
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
