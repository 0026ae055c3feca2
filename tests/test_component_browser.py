"""The component browser: what its page holds, how it is laid out, and what stands for it in a report."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import sparse
from synthetic import blob, flat_footprints

from cnmf_engine.base.errors import InputError, ParameterError
from workshop_utils.widgets.browser import binned, component_browser, component_table, pack_traces
from workshop_utils.widgets.browser.footprints import shrunk
from workshop_utils.widgets.browser.packing import LEVELS, MISSING, bin_width, binned_frames, compressed_bytes
from workshop_utils.widgets.browser.table import place_in_words, sort_orders

DIMS = (40, 60)
CENTRES = [(10, 12), (20, 40), (30, 20), (12, 50)]
FR = 10.0


def estimates_of(n_components=4, n_frames=200, **changes):
    """Estimates with what CaImAn's have, evaluated unless changed."""
    rng = np.random.default_rng(3)
    spots = [blob(DIMS, centre, 2.0 + k / 2) for k, centre in enumerate(CENTRES[:n_components])]
    A = flat_footprints(spots) if spots else sparse.csc_matrix((DIMS[0] * DIMS[1], 0), dtype=np.float32)
    S = np.zeros((n_components, n_frames))
    for k in range(n_components):
        S[k, 20 + 10 * k] = 5.0 - k
    C = np.stack([np.convolve(s, 0.9 ** np.arange(40))[:n_frames] for s in S]) if spots else S
    evaluated = {
        "SNR_comp": np.array([4.0, 9.0, np.nan, 9.0])[:n_components],
        "r_values": np.array([0.9, 0.5, 0.7, 0.8])[:n_components],
        "idx_components": np.arange(n_components)[:2],
        "idx_components_bad": np.arange(n_components)[2:],
    }
    known = {"A": A, "C": C, "S": S, "YrA": rng.normal(0, 0.3, C.shape), "dims": DIMS, **evaluated}
    return SimpleNamespace(**{**known, **changes})


UNKNOWN = dict.fromkeys(
    ("S", "YrA", "dims", "SNR_comp", "r_values", "idx_components", "idx_components_bad"), None
)


# --- traces ------------------------------------------------------------------------------------------------


def test_packed_traces_are_off_by_half_a_step_at_most(rng):
    traces = rng.normal(0, [[1], [1e-4], [300]], (3, 500))
    packed = pack_traces(traces)
    steps = np.ptp(traces, axis=1) / LEVELS
    assert np.all(np.abs(packed.values() - traces) <= 0.5000001 * steps[:, None])
    assert np.abs(packed.values() - traces).max() > 0
    assert packed.low.dtype == packed.high.dtype == np.uint8


def test_constant_traces_keep_their_value():
    assert np.array_equal(pack_traces(np.array([[7.0, 7.0], [0.0, 0.0]])).values(), [[7, 7], [0, 0]])


def test_values_that_are_not_finite_become_gaps():
    packed = pack_traces(np.array([[1.0, np.nan, 3.0, np.inf], [np.nan] * 4]))
    assert np.array_equal(np.isnan(packed.values()), [[0, 1, 0, 1], [1, 1, 1, 1]])
    assert packed.values()[0, [0, 2]].tolist() == [1.0, 3.0]
    assert packed.codes()[0, 1] == MISSING


def test_bins_keep_each_extreme_where_it_occurs(rng):
    traces = rng.normal(0, 1, (2, 1003))
    traces[0, 501], traces[1, 502] = 50, -50
    packed = pack_traces(traces)
    coarse = binned(packed, 10)
    frames = binned_frames(1003, 10)
    assert coarse.low.shape == (2, 2 * 101) == (2, frames.size)
    bins = packed.codes()[:, :1000].reshape(2, 100, 10)
    assert np.array_equal(coarse.codes()[:, :200].reshape(2, 100, 2).max(axis=2), bins.max(axis=2))
    assert np.array_equal(coarse.codes()[:, :200].reshape(2, 100, 2).min(axis=2), bins.min(axis=2))
    assert abs(frames[coarse.values()[0].argmax()] - 501) < 10
    assert np.all(np.diff(frames) >= 0)
    assert frames.max() <= 1002


def test_a_gap_hides_no_extreme_of_its_bin():
    trace = np.arange(8.0)
    trace[[2, 5]] = np.nan
    assert binned(pack_traces(trace[None]), 4).values()[0].tolist() == [0, 3, 4, 7]


def test_traces_are_binned_only_as_far_as_the_page_needs(rng):
    kinds = [pack_traces(rng.normal(0, 1, (40, 8000)))]
    everything = compressed_bytes(kinds[0].low, kinds[0].high)
    assert bin_width(kinds, 8000, None) == 1
    assert bin_width(kinds, 8000, 1.1 * everything) == 1
    width = bin_width(kinds, 8000, everything / 4)
    coarse = binned(kinds[0], width)
    assert width > 3
    assert compressed_bytes(coarse.low, coarse.high) <= 1.1 * everything / 4
    assert 200 <= 8000 / bin_width(kinds, 8000, 1) <= 400


# --- the table ---------------------------------------------------------------------------------------------


def test_table_says_what_the_estimates_hold():
    table = component_table(estimates_of(), fr=FR)
    assert (table.n_components, table.n_frames, table.dims) == (4, 200, DIMS)
    assert table.status.tolist() == [1, 1, 2, 2]
    assert {name: words[1] for name, words in table.facts.items()} == {
        "SNR": "9.00",
        "r": "0.50",
        "size": f"{table.size[1]} px",
        "place": "row 20, column 40 (middle right)",
        "highest": "4 a.u. at 3.0 s",
    }
    assert table.facts["SNR"][2] == "not measured"
    assert component_table(estimates_of()).facts["highest"][1] == "4 a.u. at frame 30"


def test_outlines_of_all_lengths_come_back_within_half_a_unit():
    from cnmf_engine.view.contours import get_contours
    from workshop_utils.figures.components import split_loops

    estimates = estimates_of()
    table = component_table(estimates)
    lengths = set()
    for k, found in enumerate(get_contours(estimates.A, DIMS, 0.3, "max")):
        loops = split_loops(found["coordinates"])
        assert len(loops) == len(table.outlines.loops(k)) == 1
        np.testing.assert_allclose(table.outlines.loops(k)[0], loops[0], atol=0.51 * table.outlines.unit)
        lengths.add(len(loops[0]))
    assert len(lengths) > 1


def test_crops_show_each_footprint_in_its_middle():
    table = component_table(estimates_of())
    for k, (row, col) in enumerate(CENTRES):
        peak = np.unravel_index(table.crops.pictures[k].argmax(), table.crops.pictures[k].shape)
        assert (peak[0] + table.crops.top[k], peak[1] + table.crops.left[k]) == (row, col)
        assert table.crops.pictures[k].max() == 255


def test_footprints_that_are_empty_or_not_finite_are_components_too():
    estimates = estimates_of()
    A = estimates.A.toarray()
    A[:, 1] = 0
    A[A[:, 2] > 0, 2] = np.nan
    table = component_table(SimpleNamespace(**{**vars(estimates), "A": sparse.csc_matrix(A)}))
    assert table.facts["place"][1] == table.facts["place"][2] == "nowhere: the footprint is empty"
    assert table.size[1:3].tolist() == [0, 0]
    assert table.outlines.loops(1) == table.outlines.loops(2) == []
    assert len(table.outlines.loops(3)) == 1
    assert table.crops.pictures[1:3].max() == 0


def test_only_footprints_and_traces_are_needed():
    estimates = SimpleNamespace(**{**vars(estimates_of()), **UNKNOWN})
    table = component_table(estimates, image=np.zeros(DIMS))
    assert list(table.traces) == ["denoised"]
    assert set(table.status.tolist()) == {0}
    assert set(table.facts["SNR"] + table.facts["r"]) == {"not measured"}
    assert "SNR, highest first" not in table.orders


def test_orders_put_what_was_not_measured_last():
    snr, size = np.array([4.0, 9.0, np.nan, 9.0]), np.array([3, 1, 2, 2])
    orders = sort_orders(snr, None, size, np.array([np.nan, 1.0, 2.0, 3.0]))
    assert {name: order.tolist() for name, order in orders.items()} == {
        "number": [0, 1, 2, 3],
        "SNR, highest first": [1, 3, 0, 2],
        "SNR, lowest first": [0, 1, 3, 2],
        "size, largest first": [0, 2, 3, 1],
        "activity, highest peak first": [3, 2, 1, 0],
    }


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ((0, 0), "row 0, column 0 (upper left)"),
        ((20, 30), "row 20, column 30 (centre)"),
        ((39.4, 59.4), "row 39, column 59 (lower right)"),
        ((np.nan, 3), "nowhere: the footprint is empty"),
    ],
)
def test_places_in_words(place, words):
    assert place_in_words(*place, DIMS) == words


def test_image_is_averaged_until_it_is_small_enough(rng):
    image = rng.random((10, 25)).astype(np.float32)
    assert shrunk(image, 25) is image
    small = shrunk(image, 10)
    assert small.shape == (4, 9)
    assert small[1, 2] == pytest.approx(image[3:6, 6:9].mean())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"C": None}, "a trace in C for each footprint"),
        ({"C": np.zeros((3, 200))}, "3 traces for 4 footprints"),
        ({"YrA": np.zeros((4, 10))}, "YrA of the shape of C"),
        ({"A": None}, "estimates with footprints A"),
    ],
)
def test_parts_that_do_not_belong_together_are_refused(changes, words):
    with pytest.raises(InputError, match=words):
        component_table(estimates_of(**changes))


@pytest.mark.parametrize(
    ("changes", "options", "words"),
    [
        ({"dims": None}, {}, "dims"),
        ({}, {"fr": 0}, "frame rate above 0"),
        ({}, {"show": "acepted"}, "write show='accepted'"),
        ({}, {"sort_by": "snr"}, "write sort_by='SNR'"),
        ({}, {"budget_mb": 0}, "budget_mb above 0"),
        ({"SNR_comp": None}, {"sort_by": "SNR"}, "evaluate_components"),
        ({"idx_components": None, "idx_components_bad": None}, {"show": "accepted"}, "evaluate_components"),
    ],
)
def test_wishes_that_cannot_be_met_are_explained(changes, options, words):
    with pytest.raises(ParameterError, match=words):
        component_browser(estimates_of(**changes), **options)


# --- the page ----------------------------------------------------------------------------------------------


def models(layout):
    return {model.name: model for model in layout.references() if model.name}


def test_layout_has_the_controls_and_the_first_wishes():
    layout = component_browser(estimates_of(), fr=FR, show="rejected", sort_by="size").layout()
    page = models(layout)
    assert page["show"].value == "rejected"
    assert page["sort"].value == "size, largest first"
    assert {"previous", "next", "position", "min_snr", "min_r", "map", "trace_plot", "facts"} <= set(page)
    assert page["facts"].css_classes == ["cw-facts"]
    assert layout.width == 930
    assert page["spike_plot"].x_range is page["trace_plot"].x_range
    assert page["spike_plot"].xaxis.axis_label == "time (s)"


def test_layout_leaves_out_what_is_not_known():
    estimates = SimpleNamespace(**{**vars(estimates_of()), **UNKNOWN, "dims": DIMS})
    page = models(component_browser(estimates).layout())
    assert not {"min_snr", "min_r", "spike_plot", "raw"} & set(page)
    assert page["show"].disabled
    assert page["trace_plot"].xaxis.axis_label == "frame"
    assert "YrA" in page["hint"].text


def test_each_layout_is_a_new_one():
    browser = component_browser(estimates_of())
    assert browser.layout().id != browser.layout().id


def test_no_components_leave_a_message():
    browser = component_browser(estimates_of(0), show="accepted", sort_by="SNR")
    assert "no components" in browser.layout().text
    assert repr(browser) == "ComponentBrowser(No components)"
    assert browser.still().alt == "There are no components to show."


def test_one_component_has_nowhere_to_step():
    page = models(component_browser(estimates_of(1)).layout())
    assert page["previous"].disabled
    assert page["next"].disabled
    assert page["position"].disabled


def test_notebook_holds_less_where_the_recording_is_long():
    estimates = estimates_of(n_frames=20_000)
    browser = component_browser(estimates, budget_mb=0.03)
    assert "lowest and highest" in models(browser.layout())["hint"].text
    assert "lowest and highest" not in models(component_browser(estimates).layout())["hint"].text


def test_time_axis_reaches_the_end_of_a_binned_recording():
    layout = component_browser(estimates_of(n_frames=20_000), fr=FR, budget_mb=0.03).layout()
    shown = models(layout)["trace_plot"].x_range
    assert shown.end == shown.reset_end == pytest.approx(19_999 / FR)
    assert shown.bounds[1] >= shown.end


def links_in(page):
    """What the tags of a page ask for; BokehJS's code has texts that only look like tags."""
    links = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attributes):
            links.extend(value for name, value in attributes if name in {"src", "href", "data", "srcset"})

    Reader().feed(page)
    return links


def test_saved_page_asks_for_nothing(tmp_path):
    path = component_browser(estimates_of(), fr=FR).save(tmp_path / "new" / "cells")
    assert path == tmp_path / "new" / "cells.html"
    assert [entry.name for entry in path.parent.iterdir()] == ["cells.html"]
    page = path.read_text(encoding="utf-8")
    assert links_in(page) == []
    assert "<title>4 components: 2 accepted, 2 rejected</title>" in page


def test_saved_page_keeps_every_frame(tmp_path):
    path = component_browser(estimates_of(n_frames=5000), budget_mb=0.02).save(tmp_path / "cells.html")
    page = path.read_text(encoding="utf-8")
    assert "lowest and highest" not in page
    lengths = [int(n) for n in re.findall(r'"shape":\[(\d+)\]', page)]
    assert 4 * 5000 in lengths


def test_saved_page_may_take_its_scripts_from_the_internet(tmp_path):
    path = component_browser(estimates_of()).save(tmp_path / "cells.html", resources="cdn")
    links = links_in(path.read_text(encoding="utf-8"))
    assert links
    assert all(link.startswith("https://cdn.bokeh.org/") for link in links)
    with pytest.raises(ParameterError, match="resources='inline'"):
        component_browser(estimates_of()).save(tmp_path / "cells.html", resources="inlin")


# --- without anybody in front of it ------------------------------------------------------------------------


def test_picture_says_what_it_shows():
    figure = component_browser(estimates_of(), fr=FR).still()
    assert "2 accepted (solid) and 2 rejected (dashed) components" in figure.alt
    assert "components 1, 3, 0, 2" in figure.alt
    assert [ax.get_xlabel() for ax in figure.axes][1] == "time (s)"


@pytest.mark.parametrize("nobody", [True, False])
def test_display_leaves_a_picture_where_nobody_can_click(monkeypatch, nobody):
    from cnmf_engine.view import showing
    from workshop_utils.figures import LessonFigure
    from workshop_utils.widgets.players import output

    shown = []
    monkeypatch.setattr(output, "headless", lambda: nobody)
    monkeypatch.setattr("IPython.display.display", shown.append)
    monkeypatch.setattr(
        showing, "show_or_return", lambda layout, alt, still: shown.append((layout.name, alt))
    )
    component_browser(estimates_of())._ipython_display_()
    if nobody:
        assert isinstance(shown[0], LessonFigure)
        assert shown[0].alt
    else:
        assert shown == [("browser", "Component browser of 4 components: 2 accepted, 2 rejected.")]


def test_page_for_a_notebook_keeps_to_its_budget(monkeypatch):
    """500 components of 12,000 frames."""
    from cnmf_engine.view.resources import page_html

    monkeypatch.setenv("BOKEH_RESOURCES", "cdn")  # BokehJS isn't counted
    rng = np.random.default_rng(5)
    places = zip(rng.uniform(0, 200, 500), rng.uniform(0, 200, 500))
    A = flat_footprints([blob((200, 200), place, 3.0) for place in places])
    C = rng.gamma(0.3, 20, (500, 12_000)).astype(np.float32)
    estimates = SimpleNamespace(
        **{**UNKNOWN, "A": A, "C": C, "YrA": rng.normal(0, 8, C.shape), "dims": (200, 200)}
    )
    image = rng.random((200, 200))
    output = json.dumps(page_html(component_browser(estimates, image, 20.0).layout()))
    assert 1_500_000 < len(output) < 4_200_000
