from __future__ import annotations

import base64
import io
import json
import re

import nbformat
import numpy as np
import pytest
import tifffile
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from cnmf_engine.base.errors import InputError, MissingFileError
from workshop_utils import session
from workshop_utils.session import report


def picture() -> str:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1, 1))
    figure.subplots().plot([0, 1])
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    return base64.b64encode(stream.getvalue()).decode()


def shown(**data):
    metadata = data.pop("metadata", {})
    return new_output(
        "display_data", data={key.replace("_", "/"): value for key, value in data.items()}, metadata=metadata
    )


@pytest.fixture
def results(tmp_path):
    """A folder as a run leaves it, with every kind of output a lesson may have."""
    movie = tmp_path / "rec <1> & more.tif"
    tifffile.imwrite(movie, np.zeros((3, 4, 5), np.uint8), photometric="minisblack")
    s = session.start(tmp_path / "results", movie)
    s.record("movie", shape=[600, 4, 5], fr=20.0, seconds=2.5)
    s.path("params.json").write_text(json.dumps({"init": {"gSig": [3, 3], "min_corr": 0.8, "K": None}}))
    s.record("params", path=s.path("params.json"))
    s.record("model", components=41)
    s.record("evaluation", accepted=30, rejected=11, precision=0.9666, recall=None)
    notebooks = s.path("notebooks/01_look.ipynb").parent
    tagged = {"tags": ["report"]}
    cells = [
        new_markdown_cell("# 1. Look\ntext\n## Maximum projection"),
        new_code_cell("a", metadata=tagged, outputs=[shown(image_png=picture()), shown(image_png=picture())]),
        new_code_cell("b", outputs=[shown(image_png="bm90IHRhZ2dlZA==")]),
        new_markdown_cell("## Shifts"),
        new_code_cell(
            "c",
            metadata=tagged,
            outputs=[
                shown(image_png=picture(), metadata={"image/png": {"alt": "Shifts of <rows> & columns"}}),
                shown(text_html="<table id='fine'><tr><td>1</td></tr></table>"),
                shown(text_html="<script>alert('run')</script>"),
                shown(text_html="<img src='https://example.org/outside.png'>"),
                new_output("stream", name="stdout", text="error <0.2 px\n"),
                new_output("stream", name="stderr", text="a warning nobody needs"),
            ],
        ),
    ]
    metadata = {"papermill": {"parameters": {"movie": "x", "results": "y", "width": 3}}}
    nbformat.write(new_notebook(cells=cells, metadata=metadata), notebooks / "01_look.ipynb")
    error = new_output("error", ename="ValueError", evalue="\x1b[31mExpected <x>.\nFound y.", traceback=[])
    cells = [new_markdown_cell("# 2. Fit"), new_code_cell("d", outputs=[error])]
    nbformat.write(new_notebook(cells=cells), notebooks / "02_fit.partial.ipynb")
    s.path("run.json").write_text(json.dumps({"steps": {"1": {"notebook": "01_look", "seconds": 12.34}}}))
    return s.folder


@pytest.fixture
def page(results):
    path = report.build(results)
    assert path == results / "report.html"
    return path.read_text(encoding="utf-8")


def test_page_needs_nothing_from_outside(page):
    sources = re.findall(r"src=[\"']([^\"']{0,30})", page)
    assert sources and all(source.startswith("data:image/png;base64,") for source in sources)
    assert not re.search(r"<(script|link)\b|@import|url\(", page)
    assert set(re.findall(r"href=[\"']([^\"']+)", page)) == {
        "notebooks/01_look.ipynb",
        "notebooks/02_fit.partial.ipynb",
    }


def test_figures_of_tagged_cells_with_captions(page):
    assert page.count("<img ") == 3
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", page)
    assert captions == [
        "Maximum projection",
        "Maximum projection (2)",
        "Shifts of &lt;rows&gt; &amp; columns",
        "Shifts",
        "Shifts (2)",
    ]
    assert 'alt="Shifts of &lt;rows&gt; &amp; columns"' in page


def test_tables_and_text_but_no_scripts_and_no_strangers(page):
    assert "<table id='fine'>" in page and "<pre>error &lt;0.2 px</pre>" in page
    assert "alert(" not in page and "outside.png" not in page and "nobody needs" not in page


def test_numbers(page):
    tiles = re.findall(r"<li><b>(.*?)</b><span>(.*?)</span>", page)
    labels = ["components found", "accepted", "rejected", "precision (known truth)"]
    assert tiles == list(zip(["41", "30", "11", "0.97"], labels))
    assert "600 frames of 4 × 5 pixels" in page and "20 frames per second (30 s)" in page
    assert "width = 3" in page and ">12.3<" in page and ">2.5<" in page


def test_parameters_and_versions(page):
    assert "path: params.json" in page
    assert "<summary>init (3)</summary>" in page and "3, 3</td>" in page and "none</td>" in page
    assert f"numpy {np.__version__}" in page


def test_names_are_escaped_and_failures_are_shown(page):
    assert "rec &lt;1&gt; &amp; more.tif" in page and "<1>" not in page
    assert (
        '<span class="bad">failed</span>' in page
        and "ValueError: Expected &lt;x&gt;." in page
        and "\x1b" not in page
    )


def test_session_without_any_lesson(tmp_path):
    movie = tmp_path / "a.npy"
    np.save(movie, np.zeros((2, 3, 4), np.float32))
    s = session.start(tmp_path / "results", movie)
    assert "lessons 4 and 5 have not been run" in report.build(s.folder).read_text()


def test_figures_of_an_interactive_output_prefer_the_picture(results):
    output = shown(image_png=picture(), text_html="<div>interactive</div>")
    cells = [new_code_cell("x", metadata={"tags": ["report"]}, outputs=[output])]
    nbformat.write(new_notebook(cells=cells), results / "notebooks" / "03_x.ipynb")
    kinds = [figure.kind for lesson in report.collect(results) for figure in lesson.figures]
    assert kinds == ["png", "png", "png", "html", "text", "png"]


def test_folder_without_session(tmp_path):
    with pytest.raises(MissingFileError, match="no session.json there.\nTo go on: name the folder"):
        report.build(tmp_path)


def test_broken_session(results):
    (results / "session.json").write_text("{")
    with pytest.raises(InputError, match="can't be read"):
        report.build(results)
