"""The component browser's exported page, opened as a file: no server, no kernel, no network."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from synthetic import blob, flat_footprints

from workshop_utils.widgets.browser import component_browser

DIMS = (60, 60)
CENTRES = [(12, 12), (12, 45), (45, 12), (45, 45), (30, 30)]
N_FRAMES, PEAK_AT, FR = 12_000, 7001, 10.0
#: What is drawn in a plot of this name, from the models of the page.
DRAWN = """(name) => {
    const data = Bokeh.documents[0].get_model_by_name(name).data;
    return Object.fromEntries(Object.entries(data).map(([key, values]) => [key, Array.from(values)]));
}"""
#: Where a place in the field of view, or a share of a plot's frame, lies on the screen.
ON_SCREEN = """([name, x, y]) => {
    const view = Bokeh.index.find_one(Bokeh.documents[0].get_model_by_name(name));
    const frame = view.frame.bbox, box = view.el.getBoundingClientRect();
    return [box.x + frame.x0 + x * frame.width, box.y + frame.y0 + y * frame.height];
}"""


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    rng = np.random.default_rng(8)
    A = flat_footprints([blob(DIMS, centre, 3.0) for centre in CENTRES])
    C = rng.random((5, N_FRAMES))
    C[:, PEAK_AT] = 50 + np.arange(5)
    S = np.where(C > 40, C, 0)
    estimates = SimpleNamespace(
        A=A, C=C, S=S, YrA=rng.normal(0, 0.5, C.shape), dims=DIMS,
        SNR_comp=np.array([5.0, 1.0, 9.0, 3.0, 7.0]), r_values=np.array([0.9, 0.1, 0.8, 0.7, 0.6]),
        idx_components=np.array([0, 2, 4]), idx_components_bad=np.array([1, 3]),
    )  # fmt: skip
    return component_browser(estimates, fr=FR).save(tmp_path_factory.mktemp("saved") / "cells.html")


class Opened:
    """The page, and what is in it."""

    def __init__(self, page, path):
        self.page = page
        page.goto(path.as_uri())
        self.expect("Component 0")

    def expect(self, *words):
        for text in words:
            self.page.locator(".cw-facts").get_by_text(text).wait_for(timeout=5000)

    def count(self):
        return self.page.locator(".cw-count").get_by_text("shown").inner_text()

    def drawn(self, name):
        return self.page.evaluate(DRAWN, name)

    def place(self, plot, x, y):
        return self.page.evaluate(ON_SCREEN, [plot, x, y])

    def click_cell(self, k):
        row, col = CENTRES[k]
        self.page.mouse.click(*self.place("map", (col + 0.5) / DIMS[1], (row + 0.5) / DIMS[0]))
        self.expect(f"Component {k}")

    def press(self, name):
        self.page.get_by_role("button", name=name).click()

    def choose(self, label, option):
        self.page.get_by_label(label).select_option(option)

    def at_least(self, label, value):
        self.page.get_by_label(f"{label} at least", exact=True).fill(value)
        self.page.keyboard.press("Enter")

    def drag(self, start, end):
        self.page.mouse.move(*self.place("trace_plot", start, 0.6))
        self.page.mouse.down()
        self.page.mouse.move(*self.place("trace_plot", end, 0.7), steps=4)
        self.page.mouse.up()


@pytest.fixture
def opened(page, saved):
    return Opened(page, saved)


def test_a_click_on_a_cell_shows_its_facts_and_traces(opened):
    before = opened.drawn("denoised")
    opened.click_cell(3)
    opened.expect("rejected", "3.00", "row 45, column 45 (lower right)")
    after = opened.drawn("denoised")
    assert max(before["y"]) == pytest.approx(50)
    assert max(after["y"]) == pytest.approx(53)
    assert opened.drawn("spikes")["x"] == pytest.approx([PEAK_AT / FR])
    assert np.mean(opened.drawn("highlight")["xs"][0][:-1]) == pytest.approx(45, abs=0.5)


def test_clicks_in_quick_succession_all_count(opened):
    opened.click_cell(3)
    opened.click_cell(4)
    opened.click_cell(1)


def test_a_click_beside_all_cells_changes_nothing(opened):
    opened.click_cell(4)
    opened.page.mouse.click(*opened.place("map", 0.5, 0.02))
    opened.page.wait_for_timeout(200)
    opened.expect("Component 4")


def test_next_and_previous_stop_at_the_ends(opened):
    previous = opened.page.get_by_role("button", name="Previous")
    following = opened.page.get_by_role("button", name="Next")
    assert previous.is_disabled()
    for k in range(1, 5):
        following.click()
        opened.expect(f"Component {k}")
    assert following.is_disabled()
    assert opened.count() == "5 of 5 shown"
    previous.click()
    opened.expect("Component 3")


def test_arrow_keys_step_but_stay_a_sliders_own(opened):
    opened.click_cell(2)
    opened.page.keyboard.press("ArrowRight")
    opened.expect("Component 3")
    opened.page.keyboard.press("ArrowLeft")
    opened.expect("Component 2")
    opened.page.get_by_role("slider").focus()
    opened.page.keyboard.press("ArrowRight")
    opened.expect("Component 3")
    opened.page.wait_for_timeout(200)
    opened.expect("Component 3")


def test_sorting_keeps_the_cell_and_changes_its_neighbours(opened):
    opened.choose("Sort by", "SNR, highest first")
    opened.expect("Component 0")
    opened.press("Next")
    opened.expect("Component 3")
    opened.press("Next")
    opened.expect("Component 1")
    assert opened.page.get_by_role("button", name="Next").is_disabled()


def test_filters_count_and_leave_out_outlines(opened):
    opened.choose("Show", "rejected")
    opened.expect("Component 1", "rejected")
    assert opened.count() == "2 of 5 shown"
    opened.choose("Show", "all")
    opened.at_least("SNR", "4")
    opened.expect("Component 0")
    assert opened.count() == "3 of 5 shown"
    assert len(opened.drawn("outlines accepted")["xs"]) == 3
    opened.at_least("r", "0.85")
    opened.page.get_by_text("1 of 5 shown").wait_for()
    assert opened.page.get_by_role("button", name="Next").is_disabled()
    opened.at_least("SNR", "100")
    opened.expect("No component passes the filters")
    assert opened.count() == "0 of 5 shown"
    opened.at_least("SNR", "")
    opened.at_least("r", "")
    opened.page.get_by_text("5 of 5 shown").wait_for()


def test_zooming_keeps_extremes_and_brings_every_frame(opened):
    whole = opened.drawn("raw")
    assert len(whole["x"]) < 2500
    assert max(opened.drawn("denoised")["y"]) == pytest.approx(50)
    around = PEAK_AT / N_FRAMES
    opened.drag(around - 0.03, around + 0.03)
    opened.page.wait_for_timeout(300)
    opened.drag(0.4, 0.6)
    opened.page.wait_for_timeout(300)
    close = opened.drawn("denoised")
    assert np.diff(close["x"]) == pytest.approx(1 / FR)
    assert max(close["y"]) == pytest.approx(50)
    assert close["x"][int(np.argmax(close["y"]))] == pytest.approx(PEAK_AT / FR)
    opened.page.mouse.dblclick(*opened.place("trace_plot", 0.5, 0.5))
    opened.page.wait_for_timeout(500)
    again = opened.drawn("raw")
    assert (again["x"][0], again["x"][-1]) == (whole["x"][0], whole["x"][-1])


def test_undoing_a_zoom_keeps_the_heights_of_this_component(opened):
    opened.press("Next")
    opened.expect("Component 1")
    opened.drag(0.4, 0.6)
    opened.page.wait_for_timeout(400)
    opened.page.mouse.dblclick(*opened.place("trace_plot", 0.5, 0.5))
    opened.page.wait_for_timeout(600)
    top = opened.page.evaluate("Bokeh.documents[0].get_model_by_name('trace_plot').y_range.end")
    assert 51 < top < 60
    assert opened.drawn("raw")["x"][-1] == pytest.approx(N_FRAMES / FR, abs=3)


def test_page_fits_on_a_laptop(opened):
    box = opened.page.locator(".cw-browser").bounding_box()
    assert box["width"] <= 930
    assert box["height"] <= 600
    assert opened.page.watch.from_cdn == []


@pytest.mark.parametrize("n_components", [0, 1])
def test_few_components_have_a_page_too(page, tmp_path, n_components):
    A = flat_footprints([blob(DIMS, CENTRES[0], 3.0)])[:, :n_components]
    estimates = SimpleNamespace(A=A, C=np.ones((n_components, 50)), dims=DIMS)
    page.goto(component_browser(estimates).save(tmp_path / "few.html").as_uri())
    if n_components == 0:
        page.get_by_text("There are no components to show").wait_for()
        return
    page.locator(".cw-state").get_by_text("not evaluated").wait_for()
    assert page.get_by_role("button", name="Next").is_disabled()
    assert page.get_by_role("button", name="Previous").is_disabled()
