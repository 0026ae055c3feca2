"""CaImAn's viewers: outlines, browsers and inspectors, for none, one and several components."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import matplotlib
import numpy as np
import pytest
import scipy.sparse as sp
from bokeh.embed import file_html
from bokeh.models import ColumnDataSource, CustomJS, Div, HoverTool, Patch, Patches, Plot, Slider
from bokeh.resources import CDN

from cnmf_engine import view as visualization
from cnmf_engine.base.errors import InputError, ParameterError
from cnmf_engine.view.bokeh_browser import component_browser
from cnmf_engine.view.contours import get_contours, image_limits, min_max_decimate
from cnmf_engine.view.traces import raw_traces, residual_traces

matplotlib.use("Agg")

DIMS = (40, 60)


def disk(row: float, col: float, radius: float, dims=DIMS) -> np.ndarray:
    rows, cols = np.indices(dims)
    return (1 - np.hypot(rows - row, cols - col) / (2 * radius)).clip(0).astype(np.float32)


def as_columns(images: list[np.ndarray]) -> sp.csc_matrix:
    flat = [image.ravel(order="F") for image in images]
    d = images[0].size if images else DIMS[0] * DIMS[1]
    return sp.csc_matrix(np.stack(flat, axis=1) if flat else np.zeros((d, 0), np.float32))


def make_estimates(n: int, n_frames: int = 200, seed: int = 0) -> SimpleNamespace:
    rng = np.random.default_rng(seed)
    images = [disk(8 + 3 * k, 8 + 7 * k, 2 + k) for k in range(n)]
    C = rng.random((n, n_frames)).astype(np.float32)
    return SimpleNamespace(
        A=as_columns(images), C=C, S=C, YrA=rng.normal(0, 0.1, C.shape), dims=DIMS, b=None, f=None,
        SNR_comp=np.linspace(2, 9, n), r_values=np.linspace(0.1, 0.9, n), cnn_preds=[],
    )  # fmt: skip


def test_nothing_heavy_is_imported_before_use():
    code = (
        "import sys, cnmf_engine.view as v; assert 'plot_contours' in dir(v);"
        "print([m for m in ('matplotlib', 'bokeh', 'holoviews') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", visualization.__all__)
def test_every_public_name_is_there(name):
    assert callable(getattr(visualization, name))


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="plot_contuors"):
        visualization.plot_contuors  # noqa: B018


def test_outline_of_a_cone_is_the_circle_at_its_level():
    outline = get_contours(as_columns([disk(20, 30, 8)]), DIMS, thr=0.5, thr_method="max")[0]
    x, y = outline["coordinates"][1:-1].T
    np.testing.assert_allclose(np.hypot(y - 20, x - 30), 8, atol=0.1)
    np.testing.assert_allclose(outline["CoM"], (20, 30), atol=1e-6)
    np.testing.assert_allclose(outline["bbox"], [12, 28, 22, 38], atol=0.1)
    assert outline["neuron_id"] == 1


def test_energy_outline_holds_the_wanted_energy():
    image = disk(20, 30, 8)
    x, y = get_contours(as_columns([image]), DIMS, 0.9, "nrg")[0]["coordinates"][1:-1].T
    rows, cols = np.indices(DIMS)
    inside = np.hypot(rows - 20, cols - 30) <= np.hypot(y - 20, x - 30).mean()
    assert (image[inside] ** 2).sum() / (image**2).sum() == pytest.approx(0.9, abs=0.03)


def test_loops_are_closed_at_the_edge_and_divided_by_nan():
    coordinates = get_contours(as_columns([disk(0, 0, 5) + disk(39, 59, 5)]), DIMS, 0.3, "max")[0][
        "coordinates"
    ]
    gaps = np.flatnonzero(np.isnan(coordinates[:, 0]))
    assert gaps[0] == 0 and gaps[-1] == len(coordinates) - 1 and len(gaps) == 3
    for start, stop in zip(gaps[:-1], gaps[1:]):
        loop = coordinates[start + 1 : stop]
        np.testing.assert_array_equal(loop[0], loop[-1])
        assert loop.min() >= -0.5 and loop[:, 0].max() <= 59.5 and loop[:, 1].max() <= 39.5


@pytest.mark.parametrize("method", ["max", "nrg"])
def test_empty_and_tiny_footprints_are_tolerated(method):
    single = np.zeros(DIMS, np.float32)
    single[5, 7] = 2
    outlines = get_contours(
        as_columns([np.zeros(DIMS, np.float32), single, np.full(DIMS, np.nan)]), DIMS, 0.9, method
    )
    for k in (0, 2):
        assert outlines[k]["coordinates"].shape == (1, 2) and np.isnan(outlines[k]["CoM"]).all()
        assert np.isnan(outlines[k]["bbox"]).all()
    np.testing.assert_allclose(outlines[1]["CoM"], (5, 7))
    assert len(outlines[1]["coordinates"]) > 4
    assert get_contours(as_columns([]), DIMS) == []


def test_each_threshold_gives_its_own_outline_and_both_pixel_orders_agree():
    image = disk(20, 30, 8)
    fortran = get_contours(as_columns([image]), DIMS, 0.5, "max")[0]["coordinates"]
    row_major = get_contours(image.ravel()[:, None], DIMS, 0.5, "max", swap_dim=True)[0]["coordinates"]
    np.testing.assert_allclose(fortran, row_major)
    wider = get_contours(as_columns([image]), DIMS, 0.2, "max")[0]["bbox"]
    assert wider[1] - wider[0] > np.nanmax(fortran[:, 1]) - np.nanmin(fortran[:, 1]) + 4


def test_wrong_arguments_are_explained():
    A = as_columns([disk(20, 30, 8)])
    with pytest.raises(ParameterError, match="write thr_method='nrg'"):
        get_contours(A, DIMS, thr_method="nrgy")
    with pytest.raises(ParameterError, match="2400 pixels"):
        get_contours(A, (40, 61))
    with pytest.raises(ParameterError, match=r"idx with \[7\]"):
        component_browser(make_estimates(3), idx=[0, 7])
    unknown = make_estimates(1)
    unknown.dims = None
    with pytest.raises(ParameterError, match=r"estimates\.dims = None"):
        visualization.plot_contours_nb(unknown)
    with pytest.raises(InputError, match=r"\(3, 3\)"):
        component_browser(make_estimates(1), img=np.zeros((3, 3)))


def test_decimation_keeps_every_extreme():
    rng = np.random.default_rng(1)
    traces = rng.normal(size=(3, 100_003))
    traces[1, 77_777], traces[2, 5] = 50, -50
    envelope = min_max_decimate(traces, 4000)
    assert envelope.values.shape == (3, envelope.frames.size) and envelope.frames.size <= 4000
    np.testing.assert_array_equal(envelope.values.max(axis=1), traces.max(axis=1))
    np.testing.assert_array_equal(envelope.values.min(axis=1), traces.min(axis=1))
    assert abs(envelope.frames[envelope.values[1].argmax()] - 77_777) < 60
    assert (np.diff(envelope.frames) >= 0).all() and envelope.frames[-1] < 100_003
    assert min_max_decimate(traces[:, :50]).values is not None
    np.testing.assert_array_equal(min_max_decimate(traces[:, :50]).values, traces[:, :50])


def test_limits_survive_constant_and_missing_pixels():
    assert image_limits(np.full((4, 4), 3.0)) == (3.0, 4.0)
    assert image_limits(np.full((4, 4), np.nan)) == (0.0, 1.0)
    spoiled = np.append(np.arange(1000.0), [np.inf, np.nan, 1e9])
    assert image_limits(spoiled)[1] < 1000


def test_residual_traces_recover_what_was_added():
    rng = np.random.default_rng(2)
    A = as_columns([disk(8, 8, 3), disk(30, 50, 3)])
    C, extra = rng.random((2, 50)), rng.random((2, 50))
    b, f = rng.random((A.shape[0], 1)), rng.random((1, 50))
    found = residual_traces(A @ (C + extra) + b @ f, A, C, b, f)
    np.testing.assert_allclose(found, extra, atol=1e-4)
    estimates = SimpleNamespace(A=A, C=C, YrA=None)
    np.testing.assert_allclose(
        raw_traces(estimates, np.array([1]), A @ (C + extra)), (C + extra)[1:], atol=1e-4
    )
    np.testing.assert_allclose(raw_traces(estimates, np.array([1])), C[1:], atol=1e-6)


def test_browser_without_components_says_so():
    page = component_browser(make_estimates(0))
    assert isinstance(page, Div) and "no components" in page.text
    assert component_browser(make_estimates(2), idx=[]).text == page.text


def test_browser_of_one_component_has_no_slider():
    page = component_browser(make_estimates(3), idx=[1], denoised_color="red")
    assert not list(page.select({"type": Slider}))
    assert "SNR: 5.50" in page.select_one({"name": "metrics"}).text
    assert "Component 1 " in page.select_one({"name": "metrics"}).text


def test_browser_stores_every_outline_whole():
    estimates = make_estimates(4)
    page = component_browser(estimates, denoised_color="red")
    slider = page.select_one({"type": Slider})
    assert (slider.start, slider.end, slider.title) == (1, 4, "Neuron Number")
    (script,) = slider.js_property_callbacks["change:value"]
    store, outlines = script.args, get_contours(estimates.A, DIMS, 0.99, "nrg")
    begin = 0
    for end, outline in zip(store["ends"], outlines):
        packed = np.stack([store["x"][begin:end], store["y"][begin:end]], axis=1)
        found = np.where(packed == store["gap"], np.nan, packed * store["pixels"] - 0.5)
        np.testing.assert_allclose(found, outline["coordinates"][1:-1], atol=0.001)
        begin = end
    assert begin == store["x"].size and len({len(o["coordinates"]) for o in outlines}) > 1
    n = store["frames"].size
    wanted = {"raw": estimates.C + estimates.YrA, "denoised": estimates.C}
    assert set(store["kinds"]) == set(wanted)
    for kind, levels, low, step in zip(store["kinds"], store["levels"], store["lows"], store["steps"]):
        found = low[:, None] + step[:, None] * levels.reshape(4, n)
        np.testing.assert_allclose(found, wanted[kind], atol=1e-4)
    first = page.select_one({"name": "footprint"}).data_source.data
    np.testing.assert_allclose(first["x"], outlines[0]["coordinates"][1:-1, 0])
    drawn = page.select_one({"name": "denoised"}).data_source.data
    np.testing.assert_array_equal(drawn["denoised"], estimates.C[0])
    assert len(store["metrics"]) == 4 and "Spatial corr: 0.90" in store["metrics"][3]


def test_browser_draws_the_denoised_trace_only_in_a_given_colour():
    plain = component_browser(make_estimates(2))
    assert plain.select_one({"name": "denoised"}) is None
    coloured = component_browser(make_estimates(2), denoised_color="red")
    assert coloured.select_one({"name": "denoised"}).glyph.line_color == "red"


def test_browser_page_stays_small_for_a_long_recording():
    page = file_html(component_browser(make_estimates(5, n_frames=120_000), denoised_color="red"), CDN)
    assert len(page) < 1_000_000


def test_unevaluated_components_are_named_so():
    estimates = make_estimates(1)
    estimates.SNR_comp = estimates.r_values = estimates.cnn_preds = None
    assert "not evaluated yet" in component_browser(estimates).select_one({"name": "metrics"}).text


@pytest.mark.parametrize("n", [0, 1, 3])
def test_browsers_return_the_page_where_there_is_no_notebook(n):
    estimates = make_estimates(n)
    for page in (visualization.nb_view_components(estimates), visualization.hv_view_components(estimates)):
        assert page is not None and "<script" in file_html(page, CDN)


@pytest.mark.parametrize("n", [0, 1, 3])
def test_nb_view_patches_returns_raw_traces(n):
    e = make_estimates(n)
    raw = visualization.nb_view_patches(None, e.A, e.C, None, None, *DIMS, YrA=e.YrA)
    np.testing.assert_allclose(raw, e.C + e.YrA, atol=1e-6)


def test_nb_plot_contour_puts_pixel_centres_on_whole_numbers_with_rows_downwards():
    image = np.arange(2400, dtype=np.float32).reshape(DIMS)
    plot = visualization.nb_plot_contour(
        image, as_columns([disk(20, 30, 8)]), *DIMS, face_color="blue", show=False
    )
    drawn = plot.select_one({"name": "image"})
    assert (drawn.glyph.x, drawn.glyph.y, drawn.glyph.dw, drawn.glyph.dh) == (-0.5, -0.5, 60, 40)
    assert (plot.y_range.start, plot.y_range.end) == (39.5, -0.5)
    shades, low, high = drawn.data_source.data["image"][0], *image_limits(image)
    np.testing.assert_allclose(low + shades * (high - low) / 255, image.clip(low, high), atol=5)
    centre = plot.select_one({"name": "centres"}).data_source.data
    np.testing.assert_allclose((centre["cx"][0], centre["cy"][0]), (30, 20), atol=1e-5)
    assert plot.frame_width / plot.frame_height == pytest.approx(1.5, rel=0.01)


@pytest.mark.parametrize(("n", "idx"), [(0, None), (1, None), (3, [0, 2]), (3, []), (0, [])])
def test_contour_plots_have_one_or_two_panels(n, idx):
    estimates = make_estimates(n)
    params = SimpleNamespace(quality={"min_SNR": 3, "rval_thr": 0.85, "use_cnn": False})
    layout = visualization.plot_contours_nb(estimates, idx=idx, params=params)
    plots = list(layout.select({"type": Plot}))
    counts = sorted(len(p.select_one({"name": "outlines"}).data_source.data["xs"]) for p in plots)
    assert counts == ([n] if idx is None else sorted([len(idx), n - len(idx)]))
    assert all(p.xaxis[0].axis_label == "SNR threshold 3, r threshold 0.85" for p in plots)
    figure = visualization.plot_contours_estimates(estimates, idx=idx, params=params)
    assert len(figure.axes) == len(plots)
    if idx is not None:
        titles = {p.title.text for p in plots}
        assert titles == {f"Accepted Components ({len(idx)})", f"Rejected Components ({n - len(idx)})"}
        assert titles == {ax.get_title() for ax in figure.axes}
    matplotlib.pyplot.close("all")


def test_hovering_names_the_component_by_its_number_in_the_estimates():
    layout = visualization.plot_contours_nb(make_estimates(4), idx=[1, 3])
    accepted = layout.children[0]
    assert accepted.select_one({"name": "outlines"}).data_source.data["neuron"] == [2, 4]
    assert accepted.select_one({"type": HoverTool}).tooltips[0] == ("neuron", "@neuron")
    assert accepted.select_one({"name": "outlines"}).data_source.data["index"] == [1, 3]
    assert isinstance(accepted.select_one({"name": "outlines"}).glyph, Patches)


def test_plot_contours_draws_on_the_current_axes_and_returns_outlines():
    figure, ax = matplotlib.pyplot.subplots()
    A = make_estimates(3).A
    outlines = visualization.plot_contours(A, np.random.default_rng(0).random(DIMS), thr=0.9, max_number=2)
    np.testing.assert_allclose(
        outlines[2]["coordinates"], get_contours(A, DIMS, 0.9, "nrg")[2]["coordinates"]
    )
    assert len(ax.lines) == 3 and [t.get_text() for t in ax.texts] == ["1", "2"]
    again = visualization.plot_contours(None, np.zeros(DIMS), coordinates=outlines, display_numbers=False)
    assert again is outlines
    matplotlib.pyplot.close(figure)


def test_view_quilt_covers_the_image_and_returns_its_axes():
    ax = visualization.view_quilt(np.random.default_rng(0).random((100, 150)), stride=20, overlap=21)
    covered = np.zeros((100, 150), int)
    for patch in ax.patches:
        x, y = round(patch.get_x() + 0.5), round(patch.get_y() + 0.5)
        assert (patch.get_width(), patch.get_height()) == (41, 41)
        covered[y : y + 41, x : x + 41] += 1
    assert covered.min() >= 1 and covered[50, 75] > 1
    small = visualization.view_quilt(np.zeros((20, 20)), stride=20, overlap=21)
    assert len(small.patches) == 1
    matplotlib.pyplot.close("all")


def test_nb_view_quilt_starts_from_the_given_patches():
    page = visualization.nb_view_quilt(np.zeros((100, 150)), rf=20, stride_input=20)
    rf, stride = page.select({"type": Slider})
    assert (rf.value, stride.value) == (20, 20)
    assert all(isinstance(s.js_property_callbacks["change:value"][0], CustomJS) for s in (rf, stride))
    assert "Patch width 41 px, overlap 21 px" in page.select_one({"type": Div}).text


@pytest.mark.parametrize("n", [0, 1, 6])
def test_view_components_without_a_window_shows_the_first_few(n):
    figure = visualization.view_components(make_estimates(n))
    titles = [ax.get_title() for ax in figure.axes if ax.get_title()]
    assert titles == [f"Component {k + 1}" for k in range(min(n, 4))]
    matplotlib.pyplot.close(figure)


def test_inspect_correlation_pnr_keeps_sliders_that_work():
    rng = np.random.default_rng(0)
    figure = visualization.inspect_correlation_pnr(rng.random(DIMS), 20 * rng.random(DIMS))
    figure.limit_sliders[1].set_val((2, 7))
    assert figure.axes[1].images[0].get_clim() == (2, 7)
    matplotlib.pyplot.close(figure)


@pytest.mark.parametrize("constant", [False, True])
def test_nb_inspect_links_each_image_to_its_histogram(constant):
    import holoviews as hv

    rng = np.random.default_rng(0)
    corr = np.zeros(DIMS) if constant else rng.random(DIMS)
    corr[0, 0] = np.nan
    pnr = 20 * rng.random(DIMS)
    layout = visualization.nb_inspect_correlation_pnr(corr, pnr, num_bins=30)
    image, _, histogram, _ = layout.values()
    assert image.bounds.lbrt() == (-0.5, -0.5, 59.5, 39.5)
    assert image[59, 0] == pytest.approx(np.float32(np.nan_to_num(corr)[0, 59]))
    shares = histogram.dimension_values(1)
    assert shares.sum() == pytest.approx(1) and len(shares) == 30
    assert isinstance(layout, hv.Layout)
    page = hv.render(layout, backend="bokeh")
    scripts = [s for s in page.select({"type": CustomJS}) if "bars" in s.args]
    assert len({id(s.args["bars"]) for s in scripts}) == 2
    first = next(s for s in scripts if s.args["low"] == 0)
    assert isinstance(first.args["bars"], ColumnDataSource) and len(first.args["bars"].data["top"]) == 30
    # The script counts the very pixels that are drawn, first row on top.
    pixels = first.args["image"].data["image"][0]
    np.testing.assert_array_equal(pixels, np.nan_to_num(corr).astype("f4"))


def test_nb_inspect_refuses_images_of_different_size():
    with pytest.raises(InputError, match="pnr"):
        visualization.nb_inspect_correlation_pnr(np.zeros((3, 4)), np.zeros((4, 3)))


def test_footprint_of_the_browser_is_a_filled_patch():
    assert isinstance(component_browser(make_estimates(2)).select_one({"name": "footprint"}).glyph, Patch)


def test_layout_without_a_notebook_prints_what_it_is(capsys):
    visualization.nb_inspect_correlation_pnr(np.zeros(DIMS), np.ones(DIMS))._ipython_display_()
    assert "Histogram" in capsys.readouterr().out
