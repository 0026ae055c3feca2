"""Sets of parameters are compared on a piece of a movie, and what is suggested can be run."""

from __future__ import annotations

import json
import math
import shlex
from types import SimpleNamespace

import numpy as np
import pytest

from cnmf_engine.base.errors import InputError, ParameterError
from cnmf_engine.stages.cell_evidence import CellEvidence
from workshop_utils import figures, measures, session
from workshop_utils.engine import cm, params
from workshop_utils.lessons import lessons
from workshop_utils.session import options
from workshop_utils.session.notebooks import parameters_of


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """A corner of the demo movie as it moved, with its answer key: its motion is small enough here."""
    opened = session.start(tmp_path_factory.mktemp("own"), "demo")
    moved = cm.load(str(opened.movie), fr=10)
    still = np.stack(
        [np.roll(f, -np.rint(s).astype(int), (0, 1)) for f, s in zip(moved, opened.truth.shifts)]
    )
    return measures.excerpt(still, opened.truth, most_frames=400, most_px=72)


@pytest.fixture(scope="module")
def common():
    opts = params.CNMFParams(params_dict={"data": {"fr": 10.0, "decay_time": 0.4}})
    init = {"method_init": "corr_pnr", "K": None, "nb": 0, "normalize_init": False, "center_psf": True}
    opts.change_params({"init": init, "patch": {"nb_patch": 0, "low_rank_background": None}})
    opts.change_params({"quality": {"min_SNR": 2.5, "rval_thr": 0.8, "use_cnn": False}})
    return opts


@pytest.fixture(scope="module")
def compared(demo, common):
    good = {"gSig": 3, "min_corr": 0.8, "min_pnr": 8.0}
    sets = {"good": good, "nothing": {**good, "min_pnr": 1000.0}}
    return measures.compare(demo.images, sets, common, truth=demo.truth)


def test_piece_has_its_own_answer_key(demo):
    T, d1, d2 = demo.images.shape
    assert (T, d1, d2) == (400, 72, 72)
    assert demo.truth.A.shape[1:] == (d1, d2)
    assert demo.truth.C.shape[1] == T
    assert 5 <= demo.truth.detectable.sum() < len(demo.truth.A)
    centers = demo.truth.centers[demo.truth.detectable]
    assert (centers > 0).all()
    assert (centers < 72).all()


def test_piece_is_where_something_happens():
    rng = np.random.default_rng(2)
    movie = rng.normal(100, 1, (80, 60, 90)).astype(np.float32)
    movie[20:40, 40:50, 70:80] += 30
    piece = measures.excerpt(movie, most_px=32)
    assert piece.rows.start <= 40
    assert piece.rows.stop >= 50
    assert piece.columns.start <= 70
    assert piece.columns.stop >= 80


def test_fits_are_counted_and_scored(compared):
    good = compared["good"]
    assert list(compared) == ["good", "nothing"]
    assert good.components >= good.accepted > 5
    assert good.score.f1 > 0.6
    assert 0 < good.left < 0.9
    assert np.isfinite([good.snr_median, good.r_median]).all()


def test_set_that_finds_nothing_has_empty_columns(compared):
    nothing = compared["nothing"]
    assert (nothing.components, nothing.accepted) == (0, 0)
    assert nothing.left == pytest.approx(1.0)
    assert math.isnan(nothing.snr_median)
    assert "-" in str(compared).splitlines()[2].split()


def test_comparison_prints_a_table_and_draws(compared, demo):
    lines = str(compared).splitlines()
    assert lines[0].split()[-3:] == ["precision", "recall", "F1"]
    assert len({len(line) for line in lines}) == 1
    figure = figures.fits_pair(compared.fits, demo.images.max(axis=0), demo.truth)
    assert "good" in figure.alt


def test_scores_can_be_had_later(compared, demo):
    blind = measures.Comparison(dict(compared.results))
    assert "F1" not in str(blind)
    assert blind.judged(demo.truth)["good"].score == compared["good"].score


def test_misspelt_parameter_is_found_before_the_first_fit(demo, common):
    with pytest.raises(ParameterError, match="min_corr"):
        measures.compare(demo.images, {"a": {}, "b": {"min_cor": 0.8}}, common)
    with pytest.raises(InputError, match="at least one set"):
        measures.compare(demo.images, {}, common)


SEVEN = CellEvidence(np.zeros((7, 2), int), np.full(7, 20.0), 6.0, 0.75, 8.0, "share")
NONE = CellEvidence(np.zeros((0, 2), int), np.zeros(0), 11.3, np.nan, np.nan, "none")


def suggested(**changes) -> measures.Suggestion:
    size = measures.Size(4, 9, 16, 4.2, 4.0, "measured", changes.pop("cells", SEVEN))
    moved = measures.motion(np.column_stack([np.linspace(-3, 3, 50), np.zeros(50)]), 10.0)
    shape = changes.pop("shape", (100, 120))
    return measures.suggest(size, shape, 10.0, 0.4, changes.pop("motion", moved), 4, **changes)


def test_each_parameter_has_a_reason():
    found = suggested()
    assert found.values.keys() == found.reasons.keys()
    assert all(len(reason.split()) > 3 for reason in found.reasons.values())
    assert (found.values["gSig"], found.values["max_shift"]) == (4, 5)
    assert 2 * found.values["rf"] + 1 >= 4 * 16
    assert found.values["stride"] >= 16


def test_patches_are_not_larger_than_the_movie():
    assert suggested(shape=(40, 500)).values["rf"] <= 20


def test_suggestion_fits_the_parameters_and_the_lessons(tmp_path):
    found = suggested()
    opts = params.CNMFParams()
    opts.change_params(found.grouped())
    assert tuple(opts.init["gSiz"]) == (9, 9)
    words = shlex.split(found.command("my movie.tif", "out"))
    assert words[3] == "my movie.tif"
    given = options.parse_parameters(words[k + 1] for k, word in enumerate(words) if word == "-p")
    assert given == pytest.approx(found.values)
    declared = {number: parameters_of(path) for number, path in lessons().items() if number < 7}
    options.check_parameters(given, declared)
    kept = json.loads(found.save(tmp_path / "own.json").read_text(encoding="utf-8"))
    assert kept["parameters"] == found.values


def test_without_cells_usual_values_are_called_usual_and_the_first_line_says_why(tmp_path):
    found = suggested(cells=NONE)
    assert str(found).startswith("No cells are visible here") and "11.3" in str(found).splitlines()[0]
    assert (found.values["min_corr"], found.values["min_pnr"]) == (0.8, 10.0)
    assert all("usual" in found.reasons[name] for name in ("gSig", "min_corr", "min_pnr"))
    kept = json.loads(found.save(tmp_path / "own.json").read_text(encoding="utf-8"))
    assert kept["warning"].startswith("No cells")
    assert "warning" not in json.loads(suggested().save(tmp_path / "own.json").read_text(encoding="utf-8"))


def test_limit_that_no_movement_set_is_called_usual():
    rng = np.random.default_rng(0)
    course = rng.uniform(-20, 20, (60, 2))
    parts = [rng.uniform(-20, 20, (60, 2)) for _ in range(4)]
    found = suggested(motion=measures.motion(course, 10.0, parts, 20.0))
    assert found.values["max_shift"] == 5
    assert "usual value" in found.reasons["max_shift"]
    assert "not a measurement" in found.reasons["gSig_filt"]


def test_rate_that_does_not_fit_is_no_quiet_suggestion():
    slow = measures.Decay(30.0, 28.0, 33.0, 20, np.ones(10), 10.0, 0.4)
    assert "look it up again" in suggested(decay=slow).reasons["frame_rate"]
    fitting = SimpleNamespace(plausible=True, seconds=0.5)
    assert "plausible" in suggested(decay=fitting).reasons["frame_rate"]
