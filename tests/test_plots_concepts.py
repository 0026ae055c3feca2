"""The concept figures: each is drawn for any movie, describes itself, and says what the numbers say."""

from __future__ import annotations

import re
from dataclasses import replace
from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pytest
import scipy.sparse as sp
from plot_scene import D1, D2, FR, check_drawn, make_scene, with_stages

from cnmf_engine.base.errors import InputError, ParameterError
from workshop_utils import figures
from workshop_utils.movies.truth import Truth


@pytest.fixture(scope="module")
def scene() -> SimpleNamespace:
    return make_scene()


def anatomy(movie) -> figures.LessonFigure:
    return figures.pixel_anatomy(movie, 3, (10, 12), (20, 26), FR)


CHOICES = {"too low": (0.2, 2), "fitting": (0.5, 10), "too high": (1.1, 99)}


def fit_of(A, C, accepted=None) -> SimpleNamespace:
    return SimpleNamespace(A=A, C=C, idx_components=accepted)


def three_kinds(s) -> tuple[sp.csc_matrix, Truth]:
    """Give two footprints of true cells, one of them dim, and an invented one; two cells are missed."""
    empty = np.zeros((D1, D2))
    empty[18:22, 24:29] = 1
    A = sp.hstack([s.A[:, :2], sp.csc_matrix(empty.reshape(-1, 1, order="F"))], format="csc")
    return A, replace(s.truth, detectable=np.array([True, False, True, True]))


def whole_path(s, A, C, accepted) -> figures.LessonFigure:
    return figures.pipeline_figure(s.movie, s.movie, s.cn, s.centers, A, C, FR, accepted)


DRAW = {
    "motion_left_figure": lambda s: figures.motion_left_figure(np.roll(s.cn, 2, axis=1), s.cn),
    "motion_left_figure of a given cell": lambda s: figures.motion_left_figure(s.cn, s.cn, (0, 51)),
    "motion_left_figure, constant": lambda s: figures.motion_left_figure(0 * s.cn, np.nan * s.cn),
    "stitching_figure": lambda s: figures.stitching_figure(s.A, s.cn, 16, 14),
    "stitching_figure, rows": lambda s: figures.stitching_figure(s.A.toarray(), s.cn.T, 20, 15),
    "stitching_figure of one patch": lambda s: figures.stitching_figure(s.A, s.cn, 40, 20),
    "stitching_figure, no component": lambda s: figures.stitching_figure(s.A[:, :0], s.cn, 16, 14),
    "stitching_figure, one": lambda s: figures.stitching_figure(s.A[:, 1], 0 * s.cn, 20, 15, cell=0),
    "exposure_figure": lambda s: figures.exposure_figure(s.movie),
    "exposure_figure of counts": lambda s: figures.exposure_figure(s.movie.clip(0, 255).astype(np.uint8)),
    "exposure_figure, constant": lambda s: figures.exposure_figure(0 * s.movie),
    "exposure_figure, no value": lambda s: figures.exposure_figure(np.nan * s.movie),
    "exposure_figure, missing values": lambda s: figures.exposure_figure(
        np.where(s.cn > 0.9, np.nan, s.movie)
    ),
    "exposure_figure of one frame": lambda s: figures.exposure_figure(s.movie[:1]),
    "pipeline_figure": lambda s: whole_path(s, s.A, s.C, [0, 2, 3]),
    "pipeline_figure, no component": lambda s: whole_path(s, s.A[:, :0], s.C[:0], []),
    "pipeline_figure, one, dense": lambda s: whole_path(s, s.A[:, :1].toarray(), s.C[:1], [0]),
    "pipeline_figure from the truth": lambda s: figures.pipeline_figure(s.movie, fr=FR, truth=s.truth),
    "pipeline_figure of a real movie": lambda s: figures.pipeline_figure(s.movie, fr=FR),
    "pipeline_figure, constant": lambda s: figures.pipeline_figure(
        0 * s.movie[:2], 0 * s.movie[:2], 0 * s.cn
    ),
    "pipeline_figure, missing values": lambda s: figures.pipeline_figure(
        np.where(s.cn > 0.9, np.nan, s.movie), truth=s.truth
    ),
    "score_map": lambda s: figures.score_map(s.cn, *three_kinds(s), "fit"),
    "score_map without truth": lambda s: figures.score_map(s.cn, s.A, None),
    "score_map, no component": lambda s: figures.score_map(0 * s.cn, s.A[:, :0], s.truth),
    "score_map, one, dense": lambda s: figures.score_map(s.cn, s.A[:, :1].toarray(), s.truth),
    "fits_pair": lambda s: figures.fits_pair(
        {"all": fit_of(s.A, s.C), "two": fit_of(s.A, s.C, [0, 1])}, s.cn, s.truth
    ),
    "fits_pair without truth": lambda s: figures.fits_pair(
        {"all": fit_of(s.A, s.C), "none": fit_of(s.A[:, :0], s.C[:0]), "one": fit_of(s.A, s.C, [3])}, s.cn
    ),
    "thresholds_pair": lambda s: figures.thresholds_pair(s.cn, s.pnr, 3, CHOICES, s.truth),
    "thresholds_pair without truth": lambda s: figures.thresholds_pair(s.cn, s.pnr, 3, CHOICES),
    "thresholds_pair, constant": lambda s: figures.thresholds_pair(0 * s.cn, 0 * s.pnr, 3, {"one": (0, 0)}),
    "pixel_anatomy": lambda s: anatomy(s.movie),
    "pixel_anatomy, constant": lambda s: anatomy(np.full_like(s.movie, 7)),
    "pixel_anatomy, missing values": lambda s: anatomy(np.where(s.cn > 0.9, np.nan, s.movie)),
    "pixel_anatomy in a corner": lambda s: figures.pixel_anatomy(s.movie, 3, (0, 0), (D1 - 1, D2 - 1), FR),
    "stages_figure": lambda s: figures.stages_figure(with_stages(s)),
    "stages_figure without stages": lambda s: figures.stages_figure(s.truth),
    "stages_figure of a real movie": lambda s: figures.stages_figure(None),
}


@pytest.mark.parametrize("name", DRAW)
def test_every_figure_is_drawn_and_described(scene, name, recwarn):
    before = dict(mpl.rcParams)
    check_drawn(DRAW[name](scene), recwarn, before)


def test_stages_say_what_each_adds(scene):
    truth = with_stages(scene)
    alt = figures.stages_figure(truth).alt
    mean = truth.stages[1].mean()
    assert f"adds a soft glow: +50 counts, {5000 / mean:.0f}\N{NO-BREAK SPACE}% of the light now" in alt
    assert "± 2 counts a pixel" in alt and alt.count("marked cell: +") == 3


def test_pixel_anatomy_gives_the_numbers_of_the_images(scene):
    from workshop_utils.engine import cm

    cn, pnr = cm.summary_images.correlation_pnr(scene.movie, gSig=3, swap_dim=False)
    alt = anatomy(scene.movie).alt
    assert f"its highest peak is {pnr[10, 12]:.1f} times" in alt
    assert f"it correlates {cn[10, 12]:.2f} with" in alt
    with pytest.raises(ParameterError, match=r"\(40, 2\)"):
        figures.pixel_anatomy(scene.movie, 3, (40, 2), (20, 26), FR)


def test_thresholds_are_compared_by_their_seeds(scene):
    figure = figures.thresholds_pair(scene.cn, scene.pnr, 3, CHOICES, scene.truth)
    assert "fitting (min_corr 0.5, min_pnr 10)" in figure.alt
    assert "4 seeds: 4 hit, 0 missed, 0 false" in figure.alt
    assert "0.0% of the pixels pass, 0 seeds: 0 hit, 4 missed, 0 false" in figure.alt
    with pytest.raises(InputError, match="at least one choice"):
        figures.thresholds_pair(scene.cn, scene.pnr, 3, {})


def test_score_map_tells_found_missed_invented_and_dim(scene):
    A, truth = three_kinds(scene)
    figure = figures.score_map(scene.cn, A, truth, "fit")
    assert figure.axes[0].get_title() == "fit: 1 found, 2 missed, 1 invented, 1 not asked for"
    drawn = figure.axes[0].collections
    styles = {(c.get_label(), str(c.get_linestyle()), c.get_edgecolor().tobytes()) for c in drawn}
    assert len(styles) == len(drawn), "two kinds of outline look alike"


def test_fits_are_scored_by_what_was_accepted(scene):
    fits = {"all": fit_of(scene.A, scene.C), "two": fit_of(scene.A, scene.C, np.array([0, 1]))}
    alt = figures.fits_pair(fits, scene.cn, scene.truth).alt
    assert "all: 4 components, 4 found, 0 missed, 0 invented, precision 1.00, recall 1.00" in alt
    assert "two: 2 accepted, 2 found, 2 missed, 0 invented, precision 1.00, recall 0.50" in alt
    without = figures.fits_pair(fits, scene.cn).alt
    assert "all: 4 components, no answer key; two: 2 accepted, no answer key." in without


def test_footprints_of_another_movie_are_explained(scene):
    with pytest.raises(InputError, match="image with 2080 pixels"):
        figures.score_map(scene.cn, scene.A[:100], scene.truth)
    with pytest.raises(InputError, match="at least one fit"):
        figures.fits_pair({}, scene.cn)


def test_pipeline_says_what_is_not_made_yet(scene):
    alt = figures.pipeline_figure(scene.movie, scene.movie, fr=FR, truth=scene.truth).alt
    assert "2 the mean image once motion is undone; 3 correlation, with seeds, not made yet (lesson 3)" in alt
    assert "answer key" not in alt
    assert "answer key" in figures.pipeline_figure(scene.movie, fr=FR, truth=scene.truth).alt
    assert "3 accepted cells, 1 rejected (dashed)" in whole_path(scene, scene.A, scene.C, [0, 2, 3]).alt


def test_pipeline_undoes_a_known_motion():
    from workshop_utils.figures.pipeline import _undone

    scene = np.random.default_rng(1).normal(size=(20, 24)).astype(np.float32)
    shifts = np.array([(0, 0), (2, -1), (-3, 2)])
    movie = np.stack([np.roll(scene, tuple(shift), axis=(0, 1)) for shift in shifts])
    still = _undone(movie, shifts)
    np.testing.assert_array_equal(still[:, 4:-4, 4:-4], np.stack([scene[4:-4, 4:-4]] * 3))


def test_exposure_counts_both_ends_of_the_scale():
    frames = np.full((4, 10, 10), 100, np.uint16)
    frames[:, 0, 0], frames[:, 0, 1:3] = 4095, 0
    alt = figures.exposure_figure(frames).alt
    assert (
        "12 bits: 4095" in alt and "as recorded: at the largest value 1 %, at the smallest 2 %" in alt.lower()
    )
    frames[frames == 4095] = 3000
    alt = figures.exposure_figure(frames).alt
    assert "12 bits: 4095" in alt and "As recorded: at the largest value none" in alt


def test_exposure_pair_is_cut_off_as_it_says(scene):
    from workshop_utils.figures.exposure import _scale_of, _too_bright

    counts = np.random.default_rng(0).poisson(30, (50, 20, 20)).astype(np.float32)
    scale = _scale_of(counts, counts.dtype)
    bright, gain = _too_bright(counts, scale)
    assert (scale.top, bright.max()) == (255, 255) and gain > 5
    assert 0.01 < (bright == 255).mean() < 0.05


def test_stitching_measures_what_each_patch_sees():
    """Patch 1 ends at column 10 and holds three of the four columns of the cell, patch 2 starts at 3."""
    footprint = np.zeros((11, 14))
    footprint[4:8, 8:12] = 1
    A = footprint.reshape(-1, 1, order="F")
    alt = figures.stitching_figure(A, footprint, 5, 7).alt
    assert "overlap by 8 pixels, and 1 cells are seen by both" in alt
    assert f"patch 1 sees 75% of the light, patch 2 100%; the two views agree to {0.75**0.5:.2f}" in alt
    assert "isn't one" in figures.stitching_figure(A, footprint, 5, 7, cell=3).alt
    with pytest.raises(ParameterError, match="stride=10"):
        figures.stitching_figure(A, footprint, 5, 10)


def test_motion_left_in_is_measured_as_width():
    """A Gaussian of sigma 2 is 2 * sqrt(2 ln 2) * 2 = 4.7 px wide at half its height, one of 4 twice that."""
    rows, cols = np.indices((60, 60))
    sharp, smeared = (np.exp(-((rows - 30) ** 2 / 8 + (cols - 28) ** 2 / (2 * s**2))) for s in (2, 4))
    edge = 0.4 * np.exp(-((rows - 45) ** 2 + (cols - 50) ** 2) / 18)
    alt = figures.motion_left_figure(smeared + edge, sharp, reach=14).alt
    widths = re.search(r"A cell at row 30, column 28: ([\d.]+) px wide before, ([\d.]+) px after", alt)
    assert [float(width) for width in widths.groups()] == pytest.approx([9.4, 4.7], abs=0.15)
    assert (
        "a false structure at row 45, column 50: correlation at the line's middle 0.40 before, 0.00 after"
        in alt
    )
    with pytest.raises(InputError, match="two images of one size"):
        figures.motion_left_figure(sharp, sharp[1:])
