"""The challenge: attempts at a small synthetic movie, the board's file, and what it looks like."""

from __future__ import annotations

import json
from dataclasses import asdict
from types import SimpleNamespace

import numpy as np
import pytest
from synthetic import make_scene

from cnmf_engine.base.errors import ParameterError
from workshop_utils.engine.fitting import grouped
from workshop_utils.exercises import challenge
from workshop_utils.exercises.attempts import Attempt, read
from workshop_utils.movies.truth import Truth

VALUES = {
    "data": {"fr": 10, "decay_time": 0.4},
    "init": {
        "method_init": "corr_pnr",
        "K": None,
        "gSig": (3, 3),
        "gSiz": (7, 7),
        "min_corr": 0.7,
        "min_pnr": 6,
        "nb": 0,
        "center_psf": True,
        "ssub_B": 2,
    },
    "patch": {"rf": None, "only_init": True, "nb_patch": 0},
    "merging": {"merge_thr": 0.7},
    "quality": {"min_SNR": 2, "rval_thr": 0.85, "use_cnn": False},
}


@pytest.fixture(scope="module")
def scene():
    return make_scene(dims=(40, 46), T=250, seed=4)


@pytest.fixture(scope="module")
def fitted(scene):
    """The movie, the lessons' values and the evaluated fit with them."""
    from workshop_utils.engine import cnmf, params

    opts = params.CNMFParams(params_dict=VALUES)
    opts.change_params({"data": {"dims": scene.dims}})
    model = cnmf.CNMF(n_processes=1, params=opts, dview=None)
    model.fit(scene.movie)
    model.estimates.evaluate_components(scene.movie, model.params, dview=None)
    return scene.movie, opts, model.estimates


@pytest.fixture
def truth(scene):
    still = np.zeros((len(scene.movie), 2), np.float32)
    return Truth(scene.A, scene.C, scene.S, still, np.ones(len(scene.A), bool), fr=10.0)


class Folder(SimpleNamespace):
    """As much of a session as a board needs."""

    def has(self, step):
        return self.seconds > 0

    def need(self, step):
        return {"fit_seconds": self.seconds}


@pytest.fixture
def session(tmp_path, truth):
    return Folder(folder=tmp_path, truth=truth, seconds=0.0)


@pytest.fixture
def board(session, fitted):
    return challenge.start(session, *fitted)


def lines_in(folder):
    return json.loads((folder / challenge.FILE_NAME).read_text(encoding="utf-8"))["attempts"]


def test_the_first_line_is_the_lessons_fit_and_nothing_is_fitted_again(board, fitted):
    assert [one.name for one in board.attempts] == ["the lessons' values"]
    assert board.first.components == fitted[2].A.shape[1]
    assert board.first.marks["recall"] > 0.5, "else the other tests say little"
    assert "nothing" in str(board) and "Best so far: the lessons' values" in str(board)


def test_an_attempt_adds_a_line_and_changes_no_parameter(board, fitted, session):
    before = fitted[1].to_json()
    made = board.attempt("higher", min_pnr=1000)
    assert fitted[1].to_json() == before
    assert board.attempts[-1] is made
    assert made.changes == {"min_pnr": 1000}
    assert made.problem == "found no component"
    assert "found no component" in str(board)
    assert [line["name"] for line in lines_in(session.folder)] == ["the lessons' values", "higher"]
    assert board.best is board.first


def test_the_same_values_give_the_same_score(board):
    assert board.attempt("again", min_corr=0.7).marks == board.first.marks
    assert board.best is board.first, "of equals the earlier"


def test_stricter_evaluation_is_part_of_an_attempt(board):
    made = board.attempt("strict", min_SNR=10_000, rval_thr=1.0)
    assert made.components == board.first.components
    assert made.accepted == 0
    assert "precision" not in made.marks, "a share of nothing"
    assert "-" in made.cells()
    assert made.f1 == 0
    assert "strict: 0 of" in str(made)


def test_a_name_used_twice_is_numbered(board):
    names = [board.attempt("mine", min_pnr=1000).name for _ in range(3)]
    assert names == ["mine", "mine (2)", "mine (3)"]


def test_a_new_width_brings_its_box_along(fitted):
    assert grouped(fitted[1], {"gSig": 4})["init"] == {"gSig": (4, 4), "gSiz": (9, 9)}
    assert grouped(fitted[1], {"gSig": np.array([4, 5])})["init"]["gSiz"] == (9, 11)
    assert grouped(fitted[1], {"gSig": (4, 4), "gSiz": (12, 12)})["init"]["gSiz"] == (12, 12)


@pytest.mark.parametrize("width", [3.5, "4", (3, 4, 5), (), float("nan")])
def test_an_odd_width_is_refused_before_anything_is_computed(board, width):
    with pytest.raises(ParameterError, match="gSig as whole pixels"):
        board.attempt("odd", gSig=width)
    assert len(board.attempts) == 1


def test_a_single_number_stands_for_both_axes(fitted):
    assert grouped(fitted[1], {"gSiz": 9}) == {"init": {"gSiz": (9, 9)}}
    with pytest.raises(ParameterError, match=r"gSiz as whole pixels(.|\n)*gSiz=\(9, 9\)"):
        grouped(fitted[1], {"gSiz": 8.5})
    assert grouped(fitted[1], {"decay_time": 0.6}) == {"data": {"decay_time": 0.6}}


def test_a_parameter_of_two_groups_is_set_in_both(fitted):
    assert set(grouped(fitted[1], {"p": 2})) == {"preprocess", "temporal"}


def test_an_unknown_name_is_refused_with_the_nearest(board):
    with pytest.raises(ParameterError, match="did you mean 'min_corr'"):
        board.attempt("typo", min_cor=0.5)
    with pytest.raises(ParameterError, match="lessons 3 to 5"):
        board.attempt("typo", zzz=0.5)
    assert len(board.attempts) == 1


def test_a_fit_that_fails_is_a_line_that_says_so(board, session):
    made = board.attempt("impossible", min_corr=7)
    assert made.problem.startswith("failed: ") and "min_corr" in made.problem
    assert "\n" not in made.problem
    assert lines_in(session.folder)[-1]["problem"] == made.problem
    assert made.problem[:20] in str(board) and 'colspan="7"' in board._repr_html_()
    assert board.best is board.first


@pytest.mark.parametrize(
    "error", [RuntimeError, IndexError, KeyError, TypeError, MemoryError, ZeroDivisionError]
)
def test_whatever_a_fit_ends_in_nothing_is_lost(board, monkeypatch, error):
    def fail(*args, **kwargs):
        raise error("no luck <here>")

    monkeypatch.setattr(challenge, "fit_with", fail)
    assert "no luck" in board.attempt("unlucky", rf=9).problem
    assert "&lt;here&gt;" in board._repr_html_()
    assert len(board.attempts) == 2


def test_a_fit_that_is_stopped_by_hand_is_stopped(board, monkeypatch):
    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(challenge, "fit_with", stop)
    with pytest.raises(KeyboardInterrupt):
        board.attempt("stopped", rf=9)
    assert len(board.attempts) == 1


def test_a_reopened_session_finds_the_earlier_lines(board, session, fitted):
    made = board.attempt("wide", gSig=(4, 4), min_pnr=1000)
    again = challenge.start(session, *fitted)
    assert again.attempts[1] == made
    assert again.attempts[1].has({"min_pnr": 1000, "gSig": [4, 4]})
    assert again.attempt("wide", min_pnr=1000).name == "wide (2)"
    assert "gSig=(4, 4)" in str(again)


@pytest.mark.parametrize(
    "content",
    [
        "{ half a fi",
        "[]",
        '{"version": 1}',
        '{"attempts": [{}, 3]}',
        '{"attempts": [{}, {"name": "x", "changes": {}, "colour": 3}]}',
        '{"attempts": [{}, {"name": "x", "changes": {}, "marks": null}]}',
        '{"attempts": [{}, {"name": "x", "changes": {}, "seconds": "long"}]}',
        '{"attempts": [{}, {"name": 4, "changes": {}}]}',
    ],
)
def test_a_damaged_board_is_put_aside(session, fitted, content, capsys):
    file = session.folder / challenge.FILE_NAME
    for aside in ("challenge.damaged.json", "challenge.damaged1.json"):
        file.write_text(content, encoding="utf-8")
        board = challenge.start(session, *fitted)
        assert len(board.attempts) == 1
        assert (session.folder / aside).read_text(encoding="utf-8") == content
        assert f"kept as {aside}" in capsys.readouterr().out
        assert not file.exists()


def test_only_the_best_and_the_first_fit_stay_in_memory(board):
    for _ in range(3):
        board.attempt("worse", min_pnr=1000)
    assert set(board._results) == {"the lessons' values"}


def test_a_long_fit_says_so_before_it_starts(session, fitted, capsys):
    session.seconds = 7.2
    board = challenge.start(session, *fitted)
    board.attempt("mine", min_pnr=1000)
    assert "mine: fit and evaluation; the lessons' fit took 7 s" in capsys.readouterr().out


def test_without_a_key_there_are_counts_and_no_score(session, fitted):
    session.truth = None
    board = challenge.start(session, *fitted)
    made = board.attempt("mine", min_SNR=10_000, rval_thr=1.0)
    assert made.marks == {}
    assert "no answer key" in str(board) and "★" not in board._repr_html_()
    figure = board.figure(np.ones((40, 46)))
    assert figure.alt


def test_the_map_is_that_of_the_best(board, monkeypatch):
    from workshop_utils import figures

    drawn = []
    monkeypatch.setattr(
        figures, "score_map", lambda image, A, truth, title: drawn.append((A.shape[1], title))
    )
    board.attempt("worse", min_SNR=10_000, rval_thr=1.0)
    board.figure(np.ones((40, 46)))
    assert drawn == [(board.first.accepted, "the lessons' values")]


def test_without_an_evaluation_all_components_are_drawn(session, fitted):
    session.truth = None
    movie, opts, estimates = fitted
    plain = SimpleNamespace(A=estimates.A, C=estimates.C, idx_components=None, idx_components_bad=None)
    board = challenge.start(session, movie, opts, plain)
    assert board.first.accepted == board.first.components
    assert board.figure(np.ones((40, 46))).alt


def test_the_map_can_be_drawn(board):
    assert board.figure(np.ones((40, 46))).alt


def test_the_table_marks_the_best_and_escapes_names(board):
    board.attempts.append(Attempt("<b>mine", {"tsub": 1}, 9, 9, dict.fromkeys(board.first.marks, 1.0), 2.0))
    page = board._repr_html_()
    assert "★ &lt;b&gt;mine" in page
    assert page.count("★") == 1
    assert "Best so far: <b>mine, F1 1.000." in str(board)
    assert page.count("<tr>") == 3 and page.count("<th ") == 9


def test_the_text_is_not_wider_than_a_notebook(board):
    many = {"min_corr": 0.7, "min_pnr": 8, "gSig": (3, 3), "merge_thr": 0.6, "ring_size_factor": 1.5}
    board.attempts.append(Attempt("a name that is rather long", many, 9, 9, {"f1": 0.5}, 20.0))
    board.attempts.append(Attempt("patches", many, problem="failed: " + "much to say, " * 20 + "the end"))
    text = str(board)
    assert max(map(len, text.splitlines())) <= 112
    words = text.split()
    assert words.count("ring_size_factor=1.5") == 2
    assert words.count("much") == 20 and "end" in words


def test_fit_with_gives_estimates_and_leaves_the_parameters(fitted):
    movie, opts, estimates = fitted
    before = opts.to_json()
    made = challenge.fit_with(movie, opts, min_corr=0.7)
    assert made.A.shape == estimates.A.shape
    assert opts.to_json() == before
    assert challenge.refit is challenge.fit_with, "as lessons handed out earlier call it"


def test_a_line_is_the_same_after_a_file():
    line = Attempt("x", {"gSig": (3, 3), "rf": None}, 3, 2, {"f1": 0.5}, 1.0)
    assert read(json.loads(json.dumps(asdict(line)))) == line
