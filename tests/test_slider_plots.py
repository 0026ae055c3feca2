"""What the sliders tell their plots: columns and limits, checked without a widget or a browser."""

from __future__ import annotations

import numpy as np
import pytest

from workshop_utils.measures.thresholds import SliderRange, slider_ranges, tuner_view
from workshop_utils.movies.truth import Truth
from workshop_utils.widgets.sliders.explorer_plot import decision_changes, explorer_plot, scatter_points
from workshop_utils.widgets.sliders.tuner_columns import histogram, image_changes, legend, threshold_changes
from workshop_utils.widgets.sliders.tuner_plot import tuner_plot

DIMS = (40, 52)
CENTERS = [(10, 12), (28, 36)]


@pytest.fixture
def images():
    rows, cols = np.indices(DIMS)
    bumps = sum(np.exp(-((rows - r) ** 2 + (cols - c) ** 2) / 18) for r, c in CENTERS)
    noise = np.random.default_rng(2).normal(0, 0.01, DIMS)
    return (0.2 + 0.7 * bumps + noise).astype("f4"), (3 + 20 * bumps).astype("f4")


@pytest.fixture
def truth():
    rows, cols = np.indices(DIMS)
    places = [*CENTERS, (34, 8)]
    A = np.stack([np.exp(-((rows - r) ** 2 + (cols - c) ** 2) / 18) for r, c in places]).astype("f4")
    traces = np.zeros((3, 20), np.float32)
    return Truth(A, traces, traces, np.zeros((20, 2), np.float32), np.ones(3, bool))


def test_histogram_counts_every_pixel_once():
    image = np.array([[-5.0, 0.0, 0.5], [1.0, 2.0, 9.0]])
    bars = histogram(image, SliderRange(0, 2, 0.1))
    assert bars["top"].sum() == 6 and bars["top"][0] == 2 and bars["top"][-1] == 2
    np.testing.assert_allclose(bars["middle"], (bars["left"] + bars["right"]) / 2)
    assert (bars["left"][0], bars["right"][-1]) == (0, 2)


def test_images_histograms_and_both_values_together_follow_the_data(images):
    changes = image_changes(*images, slider_ranges(*images))
    np.testing.assert_array_equal(changes["pictures"]["data"]["product"][0], images[0] * images[1])
    assert changes["corr_span"]["end"] <= 1 and changes["pnr_span"]["end"] >= 20
    counts = np.expm1(changes["cloud"]["data"]["image"][0])
    assert counts.sum() == pytest.approx(DIMS[0] * DIMS[1], rel=1e-4)


def test_constant_images_can_be_drawn():
    flat = np.zeros(DIMS, np.float32)
    changes = image_changes(flat, flat, slider_ranges(flat, flat))
    assert changes["corr_colors"]["high"] > changes["corr_colors"]["low"]


def test_marks_say_which_cells_were_hit(images, truth):
    view = tuner_view(*images, 0.6, 10, 3, truth)
    changes = threshold_changes(0.6, 10, view, truth)
    assert changes["min_corr_line"] == {"location": 0.6} and changes["min_pnr_line"] == {"location": 10}
    hits, missed = (changes[name]["data"] for name in ("hits", "missed"))
    found = {(round(float(y)), round(float(x))) for x, y in zip(hits["x"], hits["y"])}
    assert found == set(CENTERS)
    assert (missed["x"].round().tolist(), missed["y"].round().tolist()) == ([8], [34])
    assert "cell hit (2)" in legend(view) and "cell missed (1)" in legend(view)


def test_without_a_truth_there_are_only_seeds(images):
    view = tuner_view(*images, 0.6, 10, 3)
    changes = threshold_changes(0.6, 10, view)
    assert set(changes) == {"seeds", "min_corr_line", "min_pnr_line"}
    assert len(changes["seeds"]["data"]["x"]) == len(view.seeds) > 0
    assert "hit" not in legend(view)


def test_every_change_is_understood_by_the_plot(images, truth):
    plot = tuner_plot(DIMS)
    plot.update(**image_changes(*images, slider_ranges(*images)))
    plot.update(**threshold_changes(0.6, 10, tuner_view(*images, 0.6, 10, 3, truth), truth))
    assert plot.state("min_pnr_line") == {"location": 10} and plot.width <= 960


@pytest.mark.parametrize("dims", [(30, 200), (200, 30), (16, 16)])
def test_plot_of_any_proportions_fits_the_screen(dims):
    plot = tuner_plot(dims)
    assert plot.width <= 960 and plot.height <= 460


def test_scatter_holds_infinite_and_missing_values_inside_its_axes():
    snr, r = np.array([4.0, np.inf, 0.0, np.nan]), np.array([0.5, np.nan, -0.2, 1.0])
    points = scatter_points(snr, r)
    low, high = points.x_range
    bottom, top = points.y_range
    assert ((points.x > low) & (points.x < high)).all() and ((points.y > bottom) & (points.y < top)).all()
    assert points.x[0] == 4 and points.y[0] == 0.5 and points.x[1] == points.x.max()
    assert low < 3 < high and bottom < 0.85 < top


def test_decision_divides_components_and_moves_the_lines():
    changes = decision_changes(0.0, 0.9, np.array([0, 2]), 4, 0.3)
    assert changes["accepted_filter"]["booleans"] == [True, False, True, False]
    assert changes["rejected_filter"]["booleans"] == [False, True, False, True]
    # A logarithmic axis has no zero.
    assert changes["min_SNR_line"]["location"] == changes["rejected_area"]["right"] == 0.3


@pytest.mark.parametrize("n", [0, 1, 3])
def test_explorer_takes_any_number_of_components(n):
    square = np.array([[np.nan, np.nan], [2, 2], [2, 5], [5, 5], [2, 2], [np.nan, np.nan]])
    outlines = [{"coordinates": square + k} for k in range(n)]
    snr, r = np.linspace(2, 9, n), np.linspace(0.1, 0.9, n)
    plot, least = explorer_plot(snr, r, outlines, np.zeros((30, 40)), None, 3, 0.85)
    plot.update(**decision_changes(3, 0.85, np.arange(n)[:1], n, least))
    assert plot.state("accepted_filter")["booleans"] == [True, False, False][:n] and plot.width <= 960
