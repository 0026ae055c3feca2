"""The lessons' figures: each is drawn, described in words, and says what the numbers say."""

from __future__ import annotations

from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pytest
from plot_scene import D1, D2, FR, T, check_drawn, make_scene
from scipy import sparse
from test_plots_concepts import DRAW as CONCEPTS

from cnmf_engine.base.errors import InputError, ParameterError
from cnmf_engine.stages.cnmfe.background import fit_ring
from cnmf_engine.stages.cnmfe.options import Ring
from workshop_utils import figures
from workshop_utils.figures import recording
from workshop_utils.figures.cnmfe import _ring_of
from workshop_utils.figures.components import split_loops


@pytest.fixture(scope="module")
def scene() -> SimpleNamespace:
    return make_scene()


def score_of(value: float) -> SimpleNamespace:
    return SimpleNamespace(precision=value, recall=0.5, f1=0.6, trace_r_median=float("nan"))


def both_histograms(s, scale: float) -> figures.LessonFigure:
    return figures.corr_pnr_figure(
        scale * s.cn, scale * s.pnr, 0.5, 10, s.centers, s.truth, with_histograms=True
    )


def compared(s, truth=None) -> figures.LessonFigure:
    return figures.shift_comparison({"3": -s.truth.shifts, "60": 0 * s.truth.shifts}, FR, truth)


def deconvolved(s, scale: float) -> figures.LessonFigure:
    return figures.deconvolution_figure(scale * (s.C + s.YrA)[0], scale * s.C[0], scale * s.S[0], FR, s.S[0])


DRAW = {
    "movie_frames": lambda s: figures.movie_frames(s.movie, FR),
    "movie_frames of one": lambda s: figures.movie_frames(s.movie[:1], FR, n=3),
    "summary_pair": lambda s: figures.summary_pair(s.movie.max(axis=0), np.where(s.cn > 0.5, np.nan, s.cn)),
    "summary_pair constant": lambda s: figures.summary_pair(np.ones((D1, D2)), np.zeros((D1, D2))),
    "background_figure": lambda s: figures.background_figure(s.movie, FR),
    "movie_strip": lambda s: figures.movie_strip([s.movie, s.movie[:, :20]], FR, ["a", "b"]),
    "kernel_figure": lambda s: figures.kernel_figure(3),
    "kernel_figure with a frame": lambda s: figures.kernel_figure(2.5, frame=s.movie[0]),
    "kernel_figure, narrow, nothing in the frame": lambda s: figures.kernel_figure(0.4, frame=np.nan * s.cn),
    "filter_preview": lambda s: figures.filter_preview(s.movie[0], [s.movie[1], s.movie[2]], (3, 60)),
    "stage_strip": lambda s: figures.stage_strip({f"stage {k}": s.movie[k] for k in range(7)}, numbered=True),
    "shifts_plot": lambda s: figures.shifts_plot(-s.truth.shifts, FR, s.truth.shifts),
    "patch_shifts_plot": lambda s: figures.patch_shifts_plot(np.ones((T, 5)), np.zeros((T, 5)), FR),
    "shift_comparison": lambda s: compared(s, s.truth.shifts),
    "shift_comparison without truth": compared,
    "template_figure": lambda s: figures.template_figure(s.movie.mean(axis=0)),
    "before_after": lambda s: figures.before_after(s.movie[0], s.cn, s.movie[1], s.cn),
    "motion_quality": lambda s: figures.motion_quality({"crispness": (1.0, 2.0), "correlation": (0.8, 0.9)}),
    "corr_pnr_figure": lambda s: both_histograms(s, 1),
    "corr_pnr_figure, constant": lambda s: both_histograms(s, 0),
    "corr_pnr_figure, nothing left": lambda s: figures.corr_pnr_figure(s.cn, s.pnr, 2, 99, None, s.truth),
    "histograms": lambda s: figures.histograms(s.cn, s.pnr, 0.5, 10),
    "patch_quilt": lambda s: figures.patch_quilt(s.cn, 12, 6),
    "ring_figure": lambda s: figures.ring_figure(s.movie, (10, 12), 9.8, FR),
    "ring_figure, constant": lambda s: figures.ring_figure(0 * s.movie, (10, 12), 9.8, FR),
    "ring_figure, missing values": lambda s: figures.ring_figure(
        np.where(s.cn > 0.9, np.nan, s.movie), (10, 12), 9.8, FR
    ),
    "decomposition": lambda s: figures.decomposition(s.movie[0], s.cn, s.movie[0] - s.cn, 0 * s.cn),
    "contours": lambda s: figures.contours(s.A, s.cn, [0, 2], [1, 3]),
    "contours, all": lambda s: figures.contours(s.A, s.cn),
    "contours, one": lambda s: figures.contours(s.A[:, :1], s.cn),
    "contours, none": lambda s: figures.contours(s.A[:, :0], s.cn, [], []),
    "traces": lambda s: figures.traces(s.C, s.C + s.YrA, FR, spikes=s.S, most=3),
    "traces, one": lambda s: figures.traces(s.C[0], None, FR),
    "traces, none": lambda s: figures.traces(s.C[:0], s.C[:0], FR),
    "deconvolution_figure": lambda s: deconvolved(s, 1),
    "deconvolution_figure, silent": lambda s: deconvolved(s, 0),
    "deconvolution_figure, two frames": lambda s: figures.deconvolution_figure([1, 2], [1, 1], [0, 0], FR),
    "snr_r_scatter": lambda s: figures.snr_r_scatter(s.snr, s.r, 3, 0.85, real=[True, False, True, True]),
    "snr_r_scatter, one": lambda s: figures.snr_r_scatter([2.0], [0.2], 3, 0.85),
    "snr_r_scatter, none": lambda s: figures.snr_r_scatter([], [], 3, 0.85),
    "decision_figure, none": lambda s: figures.decision_figure([], [], 3, 0.85, [], [], s.cn),
    "component_anatomy": lambda s: figures.component_anatomy(s.movie, s.A, s.C, s.YrA, FR, 0, 1, s.snr, s.r),
    "implausible_figure": lambda s: figures.implausible_figure(
        s.movie, s.A, s.C, s.YrA, FR, ["shape", "haze", "", "shape"], [0, 1, 3], most=2
    ),
    "implausible_figure, none": lambda s: figures.implausible_figure(s.movie, s.A, s.C, s.YrA, FR, [], []),
    "score_bars": lambda s: figures.score_bars({"all": score_of(0.7), "accepted": score_of(1.0)}),
}  # fmt: skip


@pytest.mark.parametrize("name", DRAW)
def test_every_figure_is_drawn_and_described(scene, name, recwarn):
    before = dict(mpl.rcParams)
    check_drawn(DRAW[name](scene), recwarn, before)


def test_every_public_figure_is_drawn_above():
    drawn = {name.split(" ")[0].rstrip(",") for name in (*DRAW, *CONCEPTS)}
    # What is measured of a recording is drawn in test_recording.py.
    elsewhere = {"LessonFigure", *recording.__all__}
    assert set(figures.__all__) - elsewhere == drawn


def test_figures_are_not_kept_by_pyplot(scene):
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    figures.template_figure(scene.cn)
    assert plt.get_fignums() == before


def test_shift_figures_know_the_error(scene):
    true = scene.truth.shifts
    assert "0.00 px (RMS)" in figures.shifts_plot(3 - true, FR, true).alt
    alt = figures.shift_comparison({"good": -true, "none": 0 * true}, FR, true).alt
    size = np.sqrt(((true - true.mean(axis=0)) ** 2).sum(axis=1).mean())
    assert "good (error 0.00 px)" in alt and f"none (error {size:.2f} px)" in alt


def test_seeds_are_counted_against_the_truth(scene):
    seeds = np.array([(10, 12), (11, 38), (20, 26)])
    alt = figures.corr_pnr_figure(scene.cn, scene.pnr, 0.5, 10, seeds, scene.truth).alt
    assert "3 seeds: 2 hit, 2 missed, 1 false" in alt


def test_deconvolution_measures_the_decay():
    spikes = np.zeros(200)
    spikes[[20, 120]] = 1, 3
    signal = np.convolve(spikes, np.exp(-np.arange(100) / (0.7 * FR)))[:200]
    noisy = signal + np.random.default_rng(0).normal(0, 0.05, 200)
    alt = figures.deconvolution_figure(noisy, signal, spikes, FR).alt
    assert "2 spikes" in alt and "event at 12.0 s" in alt and "falls to 37 percent in 0.7 s" in alt


@pytest.mark.parametrize("ssub", [1, 2])
def test_ring_has_the_weights_of_the_engine(scene, ssub):
    dims, nothing = (D1, D2), (sparse.csc_matrix((D1 * D2, 0)), np.zeros((0, len(scene.movie)), np.float32))
    Y = scene.movie.astype(np.float32).reshape(len(scene.movie), -1, order="F").T
    W = fit_ring(Y, *nothing, dims, Ring(9.8, ssub)).W
    ring = _ring_of(scene.movie, (20, 24), 9.8, ssub, 3000)
    place = (ring.rows - (ssub - 1) / 2) / ssub + -(-D1 // ssub) * (ring.cols - (ssub - 1) / 2) / ssub
    row = W[20 // ssub + -(-D1 // ssub) * (24 // ssub)].toarray().ravel()
    np.testing.assert_allclose(row[place.astype(int)], ring.weights, atol=2e-3)
    assert np.count_nonzero(row) == len(ring.weights)
    distance = np.hypot(ring.rows - 20, ring.cols - 24)
    assert abs(distance - 9.8).max() < 2 * ssub


def test_ring_predicts_the_background_and_leaves_the_cell():
    rng = np.random.default_rng(3)
    swing = 20 * np.sin(np.arange(600) / 15)
    cell = 15 * np.convolve(rng.random(600) < 0.02, 0.85 ** np.arange(40))[:600]
    movie = 100 + swing[:, None, None] + rng.normal(0, 0.8, (600, 40, 40))
    movie[:, 18:23, 18:23] += cell[:, None, None]
    ring = _ring_of(movie, (20, 20), 10, 2, 3000)
    left = ring.target - ring.predicted
    assert np.corrcoef(left, cell)[0, 1] > 0.95
    assert abs(np.corrcoef(left, swing)[0, 1]) < 0.1 < 0.7 < np.corrcoef(ring.target, swing)[0, 1]


def test_ring_outside_the_image_is_explained(scene):
    with pytest.raises(InputError, match="ring_size_factor"):
        figures.ring_figure(scene.movie, (10, 12), 200, FR)


def test_quilt_counts_patches_and_refuses_an_overlap_as_wide_as_the_patch(scene):
    figure = figures.patch_quilt(np.zeros((100, 160)), 40, 20, gSig=3)
    assert "6 patches, 81 px wide = 6.8 cells" in figure.axes[0].get_title()
    with pytest.raises(ParameterError, match="stride=24"):
        figures.patch_quilt(scene.cn, 12, 24)


def test_contour_panels_hold_what_they_say(scene):
    figure = figures.contours(scene.A, scene.cn, [0, 2, 3], [1])
    assert [ax.get_title() for ax in figure.axes] == ["3 accepted", "1 rejected"]
    assert [len(ax.collections[0].get_segments()) for ax in figure.axes] == [3, 1]


def test_loops_are_divided_at_nan():
    nan = [[np.nan, np.nan]]
    loops = split_loops(np.concatenate([nan, [[0, 0], [1, 1]], nan, [[2, 2]], nan]))
    assert [len(loop) for loop in loops] == [2, 1]
    assert split_loops(np.array(nan)) == []


def test_scatter_counts_by_the_thresholds(scene):
    assert "3 of 4 components are accepted" in figures.snr_r_scatter(scene.snr, scene.r, 3, 0.85).alt
    forced = figures.snr_r_scatter(scene.snr, scene.r, 3, 0.85, accepted=[1])
    assert "1 of 4 components are accepted" in forced.alt


def test_traces_go_from_the_clearest_to_the_noisiest(scene):
    YrA = scene.YrA * np.array([20, 1, 50, 20])[:, None]
    figure = figures.traces(scene.C, scene.C + YrA, FR, most=2)
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["1", "2"]


@pytest.mark.parametrize(
    ("draw", "words"),
    [
        (lambda s: figures.movie_frames(s.cn, FR), r"shape \(40, 52\)"),
        (lambda s: figures.movie_frames(s.movie[:0], FR), r"shape \(0, 40, 52\)"),
        (lambda s: figures.template_figure(s.movie), r"shape \(120, 40, 52\)"),
        (lambda s: figures.shifts_plot(np.zeros((5, 3)), FR), r"shape \(5, 3\)"),
        (lambda s: figures.shifts_plot(np.zeros((5, 2)), FR, np.zeros((6, 2))), "6 frames"),
        (lambda s: figures.filter_preview(s.cn, [s.cn], (3, 6)), "1 frames, 2 widths"),
        (lambda s: figures.traces(s.C, s.C[:2], FR), r"shape \(2, 120\)"),
        (lambda s: figures.deconvolution_figure(s.C[0], s.C[0][:3], s.S[0], FR), "120, 3 and 120"),
        (lambda s: figures.snr_r_scatter([1, 2], [1], 3, 0.85), "2 SNR and 1 r"),
        (lambda s: figures.score_bars({}), "at least one score"),
        (lambda s: figures.stage_strip({}), "at least one stage"),
    ],
)
def test_wrong_arrays_are_explained(scene, draw, words):
    with pytest.raises(InputError, match=words):
        draw(scene)
