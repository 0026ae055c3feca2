"""The sliders: what thresholds mean is tested without widgets, the widgets only for what they join."""

from __future__ import annotations

import base64
import threading
import time
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import scipy.sparse as sp
from synthetic import make_scene

from cnmf_engine.base.errors import InputError
from cnmf_engine.caiman.params import CNMFParams
from cnmf_engine.stages.summary_images import correlation_pnr
from workshop_utils.movies.truth import Truth
from workshop_utils.widgets import sliders
from workshop_utils.widgets.live import LivePlot

D1, D2, K, T = 44, 56, 6, 100
CENTERS = np.array([(8, 9), (8, 28), (9, 46), (30, 10), (32, 30), (31, 47)])


def footprints(sigma: float = 2.5) -> np.ndarray:
    rows, cols = np.indices((D1, D2))
    return np.stack(
        [np.exp(-((rows - r) ** 2 + (cols - c) ** 2) / (2 * sigma**2)) for r, c in CENTERS]
    ).astype("f4")


@pytest.fixture
def summary():
    """Six cells of different strength above a noisy background."""
    rng = np.random.default_rng(0)
    strength = np.array([1, 0.95, 0.9, 0.85, 0.8, 0.75])[:, None, None]
    signal = (footprints() * strength).max(axis=0)
    cn = (0.25 + 0.7 * signal + rng.normal(0, 0.02, signal.shape)).clip(0, 0.99)
    pnr = 3 + 25 * signal + rng.normal(0, 0.3, signal.shape)
    return cn.astype("f4"), pnr.astype("f4")


@pytest.fixture
def truth():
    traces = np.zeros((K, T), np.float32)
    return Truth(footprints(), traces, traces, np.zeros((T, 2), np.float32), np.ones(K, bool))


@pytest.fixture
def opts():
    values = {
        "init": {"gSig": (3, 3), "min_corr": 0.8, "min_pnr": 10},
        "quality": {"min_SNR": 3, "rval_thr": 0.85},
    }
    return CNMFParams(params_dict=values)


@pytest.fixture
def live(monkeypatch):
    monkeypatch.setenv("WORKSHOP_HEADLESS", "0")


class Session:
    truth = None

    def __init__(self):
        self.saved = []

    def save_params(self, opts):
        self.saved.append((opts.init["min_corr"], opts.quality["min_SNR"]))
        return "params.json"


def part(widget, name):
    """Find the widget with a DOM class, and a button by its words."""
    for child in widget.children:
        if name in child._dom_classes or getattr(child, "description", None) == name:
            return child
        found = part(child, name) if hasattr(child, "children") else None
        if found is not None:
            return found
    return None


def decide(snr, r, *, min_SNR, rval_thr, SNR_lowest, rval_lowest):
    good = ((r >= rval_thr) | (snr > min_SNR)) & ~((r <= rval_lowest) | (snr <= SNR_lowest))
    return SimpleNamespace(accepted=np.flatnonzero(good), rejected=np.flatnonzero(~good))


@pytest.fixture
def estimates():
    A = sp.csc_matrix(footprints().transpose(0, 2, 1).reshape(K, -1).T)
    return SimpleNamespace(
        A=A, dims=(D1, D2), SNR_comp=np.array([9, 4, 2.5, 2, 0.2, np.inf]),
        r_values=np.array([0.9, 0.2, 0.5, 0.88, 0.95, np.nan]), idx_components=None, idx_components_bad=None,
    )  # fmt: skip


def test_ranges_come_from_the_data_and_hold_the_current_values(summary):
    corr, ratio = sliders.slider_ranges(*summary)
    assert 0 <= corr.low <= np.percentile(summary[0], 1) and np.percentile(summary[0], 99.9) <= corr.high <= 1
    assert ratio.low <= np.percentile(summary[1], 1) and ratio.high >= np.percentile(summary[1], 99.9)
    corr, ratio = sliders.slider_ranges(*summary, keep=(0.05, 200.5))
    assert corr.low <= 0.05 and ratio.high >= 200.5


@pytest.mark.parametrize("value", [0.0, 1.0, np.nan])
def test_ranges_of_constant_images_are_usable(value):
    image = np.full((9, 9), value)
    for span in sliders.slider_ranges(image, image):
        assert span.low < span.high and np.isfinite(span).all()


@pytest.mark.parametrize("n", [1, 4, 7])
def test_suggestion_lets_every_cell_through_and_little_else(n):
    centres = [(14, 14), (14, 42), (42, 14), (42, 42), (28, 28), (56, 28), (28, 56)][:n]
    scene = make_scene((70, 70), 300, centres, seed=n)
    cn, pnr = correlation_pnr(scene.movie, gSig=2.5, swap_dim=False)
    suggested = sliders.suggest_thresholds(sliders.find_cells(scene.movie, 2.5, cn, pnr))
    seeds = sliders.seed_pixels(cn, pnr, 2.5, suggested.min_corr, suggested.min_pnr)
    away = np.linalg.norm(scene.centres[:, None] - seeds, axis=2)
    assert (away.min(axis=1) < 4).all() and (away.min(axis=0) >= 4).sum() <= (0 if n < 7 else 2)
    assert f"{n} cell" in suggested.rule and type(suggested.min_corr) is type(suggested.min_pnr) is float


def test_without_cells_the_usual_first_guess_is_given_and_called_so():
    scene = make_scene((60, 60), 300, [], seed=5)
    suggested = sliders.suggest_thresholds(sliders.find_cells(scene.movie, 2.5))
    assert suggested[:2] == (0.8, 10.0) and suggested.rule.startswith("No cells are visible")
    assert sliders.suggest_thresholds(None).rule.endswith("the usual first guess.")


def test_view_keeps_exactly_what_reaches_both_thresholds(summary, truth):
    cn, pnr = summary
    view = sliders.tuner_view(cn, pnr, 0.5, 12, truth=truth)
    np.testing.assert_array_equal(view.mask, (cn >= 0.5) & (pnr >= 12))
    np.testing.assert_allclose(view.product, np.where(view.mask, cn * pnr, 0), rtol=1e-6)
    assert view.seeds.shape == (6, 2) and view.mask[tuple(view.seeds.T)].all()
    assert "6 of 6 detectable cells have a seed" in view.summary and view.summary.startswith("6 seeds")


def test_higher_thresholds_lose_the_weaker_cells(summary, truth):
    missed = [len(sliders.tuner_view(*summary, 0.5, p, truth=truth).score.missed) for p in (10, 24, 26, 99)]
    assert missed[0] == 0 and missed == sorted(missed) and missed[-1] == 6


def test_view_can_use_another_seed_rule_and_needs_no_truth(summary):
    view = sliders.tuner_view(*summary, 0.5, 10, seed_rule=lambda *_: np.array([[1, 2]]))
    assert view.seeds.tolist() == [[1, 2]] and view.score is None
    none = sliders.tuner_view(*summary, 0.5, 10, seed_rule=lambda *_: np.zeros((0, 2)))
    assert none.summary.startswith("0 seeds")


def test_images_of_different_size_are_refused():
    with pytest.raises(InputError, match=r"\(3, 4\) and \(4, 3\)"):
        sliders.slider_ranges(np.zeros((3, 4)), np.zeros((4, 3)))


def test_tuner_writes_what_the_sliders_show(summary, truth, opts, live):
    session = Session()
    tuner = sliders.corr_pnr_tuner(None, *summary, opts, session, truth)
    assert part(tuner.widget, "min_corr").value == 0.8 and part(tuner.widget, "min_pnr").value == 10
    before = part(tuner.widget, "cw-count").value
    part(tuner.widget, "min_corr").value, part(tuner.widget, "min_pnr").value = 0.6, 14.5
    count, code = part(tuner.widget, "cw-count").value, part(tuner.widget, "cw-code").value
    assert count != before and "detectable cells" in count
    assert "opts.change_params({'init': {'gSig': (3, 3), 'gSiz': (7, 7), 'min_corr': 0.6" in code
    part(tuner.widget, "Use these values").click()
    assert (opts.init["min_corr"], opts.init["min_pnr"]) == (0.6, 14.5)
    assert tuple(opts.init["gSiz"]) == (7, 7) and session.saved == [(0.6, 3)]
    assert "params.json" in part(tuner.widget, "cw-status").value


def test_plot_is_told_only_what_moved_thresholds_change(summary, truth, opts, live):
    tuner = sliders.corr_pnr_tuner(None, *summary, opts, truth=truth)
    plot = next(child for child in tuner.widget.children if isinstance(child, LivePlot))
    pictures = plot.state("pictures")
    part(tuner.widget, "min_pnr").value = 24
    assert plot.state("min_pnr_line") == {"location": 24}
    assert plot.state("pictures") == pictures
    x = np.frombuffer(plot.state("hits")["data"]["x"]["bytes"], "f4")
    assert len(x) == len(tuner.view().score.hits) < K
    np.testing.assert_allclose(x, truth.centers[tuner.view().score.hits][:, 1], rtol=1e-6)


def test_line_of_code_does_the_same_as_the_button(summary, opts, live):
    tuner = sliders.corr_pnr_tuner(None, *summary, opts)
    tuner.min_corr, tuner.min_pnr = 0.7000000001, 9.5
    exec(tuner.code(), {"opts": opts})
    assert (opts.init["min_corr"], opts.init["min_pnr"], tuple(opts.init["gSig"])) == (0.7, 9.5, (3, 3))


def test_another_width_is_worked_out_once(summary, opts, live):
    calls = []

    def compute(images, gSig, swap_dim):
        calls.append((images, gSig, swap_dim))
        return summary[0] * 0.5, summary[1]

    tuner = sliders.corr_pnr_tuner("movie", *summary, opts, compute=compute)
    for value in (6, 3, 6, 4.5):
        part(tuner.widget, "gSig (px)").value = value
        tuner.wait(10)
    assert calls == [("movie", 6, False), ("movie", 4.5, False)]
    assert tuner.changes()["init"]["gSig"] == (4.5, 4.5) and tuner.changes()["init"]["gSiz"] == (10, 10)
    np.testing.assert_allclose(tuner.images()[0], summary[0] * 0.5)


def test_sliders_stay_usable_while_another_width_is_worked_out(summary, truth, opts, live):
    begun, begin, calls = threading.Event(), threading.Event(), []

    def compute(images, gSig, swap_dim):
        calls.append(gSig)
        begun.set()
        assert begin.wait(20)
        return summary[0] * 0.5, summary[1]

    tuner = sliders.corr_pnr_tuner("movie", *summary, opts, truth=truth, compute=compute)
    part(tuner.widget, "gSig (px)").value = 5
    assert begun.wait(20)
    part(tuner.widget, "gSig (px)").value = 6
    part(tuner.widget, "gSig (px)").value = 7
    assert "filtering the movie with gSig 7" in part(tuner.widget, "cw-busy").value
    before = part(tuner.widget, "cw-count").value
    part(tuner.widget, "min_pnr").value = 24
    assert part(tuner.widget, "cw-count").value != before
    begin.set()
    tuner.wait(20)
    assert calls == [5, 7] and part(tuner.widget, "cw-busy").value == ""
    # The images became half as bright; the range still holds the threshold that was chosen.
    assert part(tuner.widget, "min_corr").max == pytest.approx(0.8)


def test_width_that_fails_is_explained_and_taken_back(summary, opts, live):
    def compute(images, gSig, swap_dim):
        raise InputError("the movie is gone")

    tuner = sliders.corr_pnr_tuner("movie", *summary, opts, compute=compute)
    part(tuner.widget, "gSig (px)").value = 5
    tuner.wait(20)
    assert "the movie is gone" in part(tuner.widget, "cw-status").value
    assert tuner.gSig == part(tuner.widget, "gSig (px)").value == 3


def test_width_uses_the_engines_summary_images(opts, live, monkeypatch):
    monkeypatch.setenv("WORKSHOP_ENGINE", "embedded")
    rng = np.random.default_rng(0)
    images = rng.normal(10, 1, (60, 30, 32)).astype(np.float32)
    tuner = sliders.corr_pnr_tuner(images, np.ones((30, 32)), np.ones((30, 32)), opts)
    part(tuner.widget, "gSig (px)").value = 2
    tuner.wait(60)
    cn, pnr = tuner.images()
    assert cn.shape == (30, 32) and 0 < pnr.mean() < 10


def test_suggest_button_moves_the_sliders(summary, opts, live):
    tuner = sliders.corr_pnr_tuner(None, *summary, opts)
    part(tuner.widget, "Suggested start").click()
    suggested = sliders.suggest_thresholds(None)
    assert tuner.min_corr == pytest.approx(suggested.min_corr) and tuner.min_pnr == pytest.approx(
        suggested.min_pnr
    )


def test_move_that_the_press_of_a_button_overtook_counts(summary, opts, live, monkeypatch):
    tuner = sliders.corr_pnr_tuner(None, *summary, opts)
    part(tuner.widget, "Use these values").click()
    part(tuner.widget, "min_pnr").value = 14
    assert opts.init["min_pnr"] == 14
    part(tuner.widget, "Suggested start").click()
    part(tuner.widget, "min_pnr").value = 20
    suggested = sliders.suggest_thresholds(None).min_pnr
    assert tuner.min_pnr == part(tuner.widget, "min_pnr").value == pytest.approx(suggested)


def test_move_after_a_press_is_not_written(summary, opts, live, monkeypatch):
    tuner = sliders.corr_pnr_tuner(None, *summary, opts)
    part(tuner.widget, "Use these values").click()
    part(tuner.widget, "Suggested start").click()
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 5)
    part(tuner.widget, "min_pnr").value = 20
    assert tuner.min_pnr == 20 and opts.init["min_pnr"] == 10


def test_headless_tuner_leaves_a_figure_of_the_chosen_values(summary, truth, opts, monkeypatch):
    monkeypatch.setenv("WORKSHOP_HEADLESS", "1")
    tuner = sliders.corr_pnr_tuner(None, *summary, opts, truth=truth)
    data, metadata = tuner._repr_mimebundle_()
    assert tuner.widget is None and set(data) == {"image/png", "text/plain"}
    assert "reach 0.8" in metadata["image/png"]["alt"]
    assert cv2.imdecode(np.frombuffer(base64.b64decode(data["image/png"]), np.uint8), 0).std() > 10


def test_live_widgets_show_themselves(summary, opts, live):
    tuner = sliders.corr_pnr_tuner(None, *summary, opts)
    data, _ = tuner._repr_mimebundle_()
    assert data["application/vnd.jupyter.widget-view+json"]["model_id"] == tuner.widget.model_id


def test_components_are_split_by_the_rule_given():
    accepted, rejected = sliders.split_components([5, 1, 0.1], [0.1, 0.9, 0.95], 3, 0.85, 0.5, -1, decide)
    assert accepted.tolist() == [0, 1] and rejected.tolist() == [2]
    none = sliders.split_components([], [], 3, 0.85, decide=decide)
    assert [len(part) for part in none] == [0, 0]
    with pytest.raises(InputError, match="2 SNR and 1 r"):
        sliders.split_components([1, 2], [1], 3, 0.85, decide=decide)


def test_components_are_split_as_the_evaluation_splits_them():
    evaluation = pytest.importorskip(
        "cnmf_engine.stages.evaluation", reason="the evaluation is not installed"
    )
    rng = np.random.default_rng(0)
    snr, r = rng.uniform(0, 8, 50), rng.uniform(-1, 1, 50)
    wanted = evaluation.decide(snr, r, min_SNR=3, rval_thr=0.85, SNR_lowest=0.5, rval_lowest=-1)
    accepted, rejected = sliders.split_components(snr, r, 3, 0.85)
    np.testing.assert_array_equal(accepted, wanted.accepted)
    np.testing.assert_array_equal(rejected, wanted.rejected)
    assert 0 < len(accepted) < 50


def test_explorer_counts_cells_where_the_truth_is_known(estimates, truth):
    cells, detectable = sliders.decisions.real_components(estimates.A, truth)
    np.testing.assert_array_equal(cells, np.arange(K))
    cells[0] = -1
    view = sliders.explorer_view(
        estimates.SNR_comp, estimates.r_values, 3, 0.85, 0.5, -1, cells, detectable, decide
    )
    assert view.accepted.tolist() == [0, 1, 3, 5] and view.rejected.tolist() == [2, 4]
    assert view.summary == (
        "4 of 6 components accepted, 2 rejected; 3 of 6 detectable cells are among the accepted, "
        "1 accepted match no true cell"
    )


def test_explorer_follows_its_sliders_and_writes_its_decision(estimates, opts, truth, summary, live):
    session = Session()
    session.truth = truth
    explorer = sliders.evaluation_explorer(estimates, opts, summary[0], session, decide=decide)
    snr, r = part(explorer.widget, "min_SNR"), part(explorer.widget, "rval_thr")
    assert (snr.value, r.value) == (3, 0.85)
    assert "4 of 6 components accepted" in part(explorer.widget, "cw-count").value
    snr.value = 5
    assert "3 of 6 components accepted" in part(explorer.widget, "cw-count").value
    r.value = 1.0
    part(explorer.widget, "Use these values").click()
    assert estimates.idx_components.tolist() == [0, 5]
    assert estimates.idx_components_bad.tolist() == [1, 2, 3, 4]
    assert (opts.quality["min_SNR"], opts.quality["rval_thr"]) == (5, 1.0)
    assert session.saved == [(0.8, 5)]


def test_value_that_the_parameters_refuse_is_explained_below_the_button(estimates, opts, live):
    explorer = sliders.evaluation_explorer(estimates, opts, decide=decide)
    explorer.rval_thr = 1.5
    part(explorer.widget, "Use these values").click()
    assert "rval_thr = 1.5" in part(explorer.widget, "cw-status").value
    assert estimates.idx_components is None


@pytest.mark.parametrize("n", [0, 1])
def test_explorer_of_none_and_one_component(estimates, opts, live, n):
    few = SimpleNamespace(
        A=estimates.A[:, :n], dims=(D1, D2), SNR_comp=estimates.SNR_comp[:n], r_values=estimates.r_values[:n]
    )
    explorer = sliders.evaluation_explorer(few, opts, decide=decide)
    assert f"{n} of {n} components accepted" in part(explorer.widget, "cw-count").value


def test_headless_explorer_leaves_a_figure(estimates, opts, summary, monkeypatch):
    monkeypatch.setenv("WORKSHOP_HEADLESS", "1")
    data, metadata = sliders.evaluation_explorer(
        estimates, opts, summary[0], decide=decide
    )._repr_mimebundle_()
    assert set(data) == {"image/png", "text/plain"}
    assert "4 of 6 components are accepted" in metadata["image/png"]["alt"]


def test_explorer_needs_an_evaluation(estimates, opts):
    estimates.SNR_comp = None
    with pytest.raises(InputError, match="evaluate_components"):
        sliders.evaluation_explorer(estimates, opts)
