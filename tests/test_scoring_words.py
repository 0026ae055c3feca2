"""What a score means in words: reasons that were planted are named, and the lines read well."""

from __future__ import annotations

import numpy as np
import pytest

from workshop_utils.measures import scoring
from workshop_utils.measures.scoring import in_words, why_missed
from workshop_utils.movies.truth import Truth

DIMS = (60, 80)
UNKNOWN = "for no reason that the answer key knows"
# Six ordinary cells far from each other, and one for each reason.
ORDINARY = [(12, 12), (12, 40), (12, 66), (48, 12), (48, 40), (48, 66)]
EDGE, BRIGHTER, BESIDE, DIM, BLURRED = range(6, 11)
CENTRES = [*ORDINARY, (30, 0.5), (30, 20), (30, 22.5), (30, 45), (30, 66)]


@pytest.fixture(scope="module")
def truth():
    rows, columns = np.indices(DIMS)
    A = np.stack([np.exp(-((rows - r) ** 2 + (columns - c) ** 2) / 8) for r, c in CENTRES]).astype(np.float32)
    snr = np.array([20, 21, 22, 23, 24, 25, 26, 40, 30, 4, 27], np.float32)
    blur = np.array([1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 3], np.float32)
    C = np.random.default_rng(5).gamma(1.0, 1.0, (len(A), 200)).astype(np.float32)
    still = np.zeros((200, 2), np.float32)
    return Truth(A, C, C > 2, still, np.ones(len(A), bool), fr=10.0, snr=snr, blur_px=blur)


def flat(A):
    """(K, d1, d2) to (d, K), pixels in Fortran order."""
    return A.transpose(2, 1, 0).reshape(DIMS[0] * DIMS[1], len(A))


def said(truth, found, extra=()):
    """Explain a fit that found these cells, and invented some at other places."""
    places = np.zeros((len(extra), *DIMS), np.float32)
    for image, (row, column) in zip(places, extra):
        image[row, column] = 1
    A = np.concatenate([truth.A[found], places])
    return scoring.explain(flat(A), np.concatenate([truth.C[found], truth.C[: len(extra)]]), truth)


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        (EDGE, "at the edge"),
        (BESIDE, "beside a brighter cell"),
        (DIM, "dim"),
        (BLURRED, "blurred"),
        (BRIGHTER, UNKNOWN),
        (3, UNKNOWN),
    ],
)
def test_a_planted_reason_is_recognised(truth, cell, reason):
    assert why_missed(np.array([cell]), truth) == {reason: 1}


def test_each_cell_counts_once_and_the_most_frequent_comes_first(truth):
    reasons = why_missed(np.arange(len(CENTRES)), truth)
    assert sum(reasons.values()) == len(CENTRES)
    counts = list(reasons.values())
    assert counts == sorted(counts, reverse=True)
    assert reasons["beside a brighter cell"] == reasons["at the edge"] == reasons["blurred"] == 1


def test_of_two_reasons_the_first_counts(truth):
    snr = truth.snr.copy()
    snr[EDGE] = 1
    both = Truth(**{**vars(truth), "snr": snr})
    assert why_missed(np.array([EDGE]), both) == {"at the edge": 1}


def test_an_answer_key_without_brightness_and_blur_has_its_traces(truth):
    C = truth.C / truth.C.max(axis=1, keepdims=True) * truth.snr[:, None]
    plain = Truth(**{**vars(truth), "C": C, "snr": None, "blur_px": None})
    assert why_missed(np.array([DIM, BESIDE, BLURRED]), plain) == {
        "dim": 1,
        "beside a brighter cell": 1,
        UNKNOWN: 1,
    }


def test_a_score_is_explained(truth):
    lines = said(truth, [0, 1, 2, 3, BRIGHTER, BLURRED], extra=[(20, 60), (40, 3)]).splitlines()
    assert lines[0] == "Recall     0.55: 6 of the 11 cells that could be found were found."
    assert lines[1].startswith("           Missed: ")
    for reason in ("1 at the edge", "1 beside a brighter cell", "1 dim", f"2 {UNKNOWN}"):
        assert reason in " ".join(" ".join(lines[1:3]).split())
    assert "Precision  0.75: of 8 components, 6 are these cells, and 2 are invented." in lines
    assert "F1         0.63: one number for both, high only if both are." in lines
    assert (
        lines[-1] == "Traces     1.000: median correlation with the true traces; one in ten is below 1.000."
    )


def test_all_found_leaves_nothing_to_explain(truth):
    text = said(truth, list(range(len(CENTRES))))
    assert "Recall     1.00: 11 of the 11 cells" in text
    assert "none is invented" in text
    assert "Missed" not in text


def test_an_empty_fit_has_no_precision(truth):
    text = said(truth, [])
    assert "Recall     0.00: 0 of the 11 cells that could be found were found." in text
    assert "Precision  undefined: there are no components." in text
    assert "Traces" not in text
    assert "nan" not in text


def test_a_movie_without_detectable_cells(truth):
    hidden = Truth(**{**vars(truth), "detectable": np.zeros(len(CENTRES), bool)})
    text = said(hidden, [0, 1])
    assert "Recall     undefined: the answer key lists no cell that could be found." in text
    assert "Precision  undefined: all 2 components are cells that didn't have to be found." in text
    assert "more" not in text
    assert "nan" not in text
    assert why_missed(np.array([EDGE, 0]), hidden) == {"at the edge": 1, UNKNOWN: 1}
    no_cells = truth.select(np.zeros(len(CENTRES), bool))
    invented = scoring.explain(flat(truth.A[:1]), truth.C[:1], no_cells)
    assert "Precision  0.00: the only component is invented." in invented


def test_one_and_several_read_well(truth):
    one = truth.select([0, DIM, 1])
    one = Truth(**{**vars(one), "detectable": np.array([True, False, False])})
    lines = said(one, [0, 1], [(40, 3)]).splitlines()
    assert lines[0] == "Recall     1.00: the only cell that could be found was found."
    assert lines[1] == "Precision  0.50: of 3 components, 1 is such a cell, and 1 is invented."
    assert lines[2] == (
        "           1 more is a true cell, too dim or blurred to be asked for: no merit, and no mistake."
    )
    assert lines[-1] == "Traces     1.000: correlation of the found cell's trace with the true one."
    several = said(one, [0, 1, 2]).splitlines()
    assert several[1] == "Precision  1.00: of 3 components, 1 is such a cell, and none is invented."
    assert several[2].startswith("           2 more are true cells")
    assert "1.00: the only component is one of these cells." in said(one, [0])
    assert "the only component is a cell that didn't have to be found." in said(one, [1])
    assert "0.00: the only cell that could be found was not found." in said(one, [1])
    assert "Precision  0.00: of 2 components, none is such a cell, and 2 are invented." in said(
        one, [], [(40, 3), (30, 3)]
    )


def test_lines_fit_a_notebook(truth):
    many = Truth(
        **{
            k: np.repeat(v, 30, axis=0) if np.ndim(v) else v
            for k, v in vars(truth).items()
            if k in ("A", "C", "S", "detectable", "snr", "blur_px")
        },
        shifts=truth.shifts,
    )
    found = scoring.Score(1000, 990, 500, 0.5, 0.505, 0.5, 0.9, 0.8, 0.9, n_ignored=123)
    lines = in_words(found, np.arange(len(many.A)), many).splitlines()
    assert max(map(len, lines)) <= 100
    names = [line[:11].strip() for line in lines]
    assert [name for name in names if name] == ["Recall", "Precision", "F1", "Traces"]
