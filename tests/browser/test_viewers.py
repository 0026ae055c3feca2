"""Viewers that live in the page: the component browser, CaImAn's viewers, and where they get BokehJS from."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from benchmarks.canvases import pixels, point, wait_until_drawn, wait_until_redrawn

# A component that no other overlaps, and where its brightest pixel is.
ALONE = """
A = estimates.A.tocsc()
peaks = np.asarray(A.argmax(axis=0)).ravel()
alone = [k for k, peak in enumerate(peaks) if A[peak].nnz == 1 and k > 0]
row, column = np.unravel_index(peaks[alone[0]], estimates.dims, order="F")
print(alone[0], column, row)
"""
IMAGES = """
import numpy as np
from workshop_utils.engine import cm
stored = np.load("results/summary_images.npz")
"""
INSPECT = 'cm.utils.visualization.nb_inspect_correlation_pnr(stored["cn"], stored["pnr"])'
ONLINE = """
import os
os.environ["BOKEH_RESOURCES"] = "cdn"
from bokeh.plotting import figure
from cnmf_engine.view.showing import show_or_return
from workshop_utils.widgets.live import LivePlot
def plot():
    dots = figure(width=300, height=200)
    dots.scatter([0, 1, 2], [0, 3, 1], fill_color=["red", "green", "blue"], size=20)
    return dots
"""
ONCE, LIVE = "show_or_return(plot())", "LivePlot(plot(), 300, 200)"


@pytest.fixture
def lesson(front_end, results):
    """Run lesson 5 down to CaImAn's browser."""
    front_end.open("05_evaluation.ipynb")
    front_end.run_to("estimates.nb_view_components(img=estimates.Cn, idx=estimates.idx_components, ")
    return front_end


def test_viewers_of_the_evaluation(lesson, picture):
    cell = lesson.cell(lesson.find("estimates.plot_contours_nb("))
    wait_until_drawn(cell)
    picture(cell, "plot_contours_nb")

    at = lesson.find("estimates.nb_view_components(img=estimates.Cn, idx=estimates.idx_components, ")
    cell = lesson.cell(at)
    wait_until_drawn(cell)
    picture(cell, "nb_view_components")
    before = pixels(cell)
    cell.locator(".noUi-handle").press("ArrowRight")
    wait_until_redrawn(cell, before)

    at = lesson.find("browser.component_browser(estimates, estimates.Cn, fr)")
    k, column, row = lesson.ask(at, ALONE).split()
    browser = lesson.cell(at).locator(".cw-browser")
    wait_until_drawn(browser)
    picture(browser, "component_browser")
    facts = browser.locator(".cw-number")
    expect(facts).to_have_text("Component 0")
    browser.scroll_into_view_if_needed()
    before = pixels(browser)
    lesson.page.mouse.click(*point(browser, "map", float(column), float(row)))
    expect(facts).to_have_text(f"Component {k}")
    wait_until_redrawn(browser, before)


def test_correlation_and_peak_to_noise_can_be_inspected(front_end, notebook, results, picture):
    notebook(IMAGES, INSPECT)
    front_end.run(0)
    front_end.run(1)
    wait_until_drawn(front_end.cell(1))
    picture(front_end.cell(1), "nb_inspect_correlation_pnr")


@pytest.mark.parametrize("source", [ONCE, LIVE], ids=["once", "live"])
def test_bokehjs_comes_from_its_public_server(page, notebook, source):
    front_end = notebook(ONLINE, source)
    front_end.run(0)
    front_end.run(1)
    wait_until_drawn(front_end.cell(1))
    assert len(page.watch.from_cdn) == 1


def test_kernel_stands_in_for_the_public_server(page, notebook):
    page.watch.cdn_is_down = True
    front_end = notebook(ONLINE, LIVE, ONCE)
    front_end.run(0)
    front_end.run(1)
    wait_until_drawn(front_end.cell(1))
    # The live plot has got BokehJS from the kernel, and the page keeps it for the other.
    front_end.run(2)
    wait_until_drawn(front_end.cell(2))
    assert len(page.watch.from_cdn) == 1


def test_plot_without_the_public_server_says_what_to_do(page, notebook):
    page.watch.cdn_is_down = True
    front_end = notebook(ONLINE, ONCE, "%env BOKEH_RESOURCES=inline")
    front_end.run(0)
    front_end.run(1)
    front_end.cell(1).get_by_text("%env BOKEH_RESOURCES=inline").wait_for()
    front_end.run(2)
    front_end.run(1)
    wait_until_drawn(front_end.cell(1))
