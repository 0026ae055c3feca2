"""What the other browser tests build on: notebooks open, cells run, a slider reaches kernel and page."""

from __future__ import annotations

import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from benchmarks.front_ends import JupyterLab
from benchmarks.servers import serving

SLIDER = """
import ipywidgets
slider = ipywidgets.IntSlider(description="cells", min=0, max=9, value=3)
text = ipywidgets.HTML()
slider.observe(lambda change: setattr(text, "value", f"<b class='answer'>{2 * change['new']}</b>"), "value")
ipywidgets.VBox([slider, text])
"""
PLOT = """
from bokeh.plotting import figure, show
from bokeh.io import output_notebook
from bokeh.resources import CDN, INLINE
output_notebook(resources=INLINE, hide_banner=True)
"""
LINE = """
plot = figure(width=300, height=200)
plot.line([0, 1, 2], [0, 3, 1])
show(plot)
"""


def test_slider_moves_by_keyboard_and_the_kernel_answers(notebook, picture):
    front_end = notebook(SLIDER, "print(slider.value)")
    front_end.run(0)
    handle = front_end.slider(front_end.cell(0))
    handle.press("ArrowRight")
    handle.press("ArrowRight")
    front_end.cell(0).locator(".answer").get_by_text("10", exact=True).wait_for()
    assert front_end.ask(1, "print(slider.value)") == "5"
    picture(front_end.cell(0), "slider")


def test_bokeh_draws(notebook, picture):
    front_end = notebook(PLOT, LINE)
    front_end.run_to("show(plot)")
    canvas = front_end.cell(1).locator("canvas").first
    canvas.wait_for()
    picture(front_end.cell(1), "line")


def test_error_in_a_cell_is_told(notebook):
    front_end = notebook("1 + 1", "1 / 0")
    front_end.run(0)
    assert front_end.ask(0, "print('first')\nprint(2 + 2)") == "first\n4"
    with pytest.raises(RuntimeError, match="division by zero"):
        front_end.run(2)


def test_server_that_has_ended_by_itself_is_no_fault(tmp_path):
    """As one does that nobody uses for ten minutes, while other tests run."""
    with serving(JupyterLab.program, Path(sys.executable), tmp_path) as server:
        request = urllib.request.Request(f"{server.url}/api/shutdown", method="POST")
        with urllib.request.urlopen(request, timeout=30):
            pass
        with pytest.raises(urllib.error.URLError):
            for _ in range(100):
                urllib.request.urlopen(f"{server.url}/api", timeout=30).close()
                time.sleep(0.1)
