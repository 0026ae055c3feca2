"""The site's parts: neutral paths, outputs as HTML, pages, faults that the check finds, links."""

from __future__ import annotations

import base64
import functools
import http.server
import io
import json
import threading
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("myst_nb", reason="the gallery needs its extra")

import bs4
import nbformat

from tools.gallery.building import check_links, external
from tools.gallery.checking import check
from tools.gallery.executing import Executed, by_movie
from tools.gallery.neutral import Neutral, machine_folders
from tools.gallery.outputs import LessonOutputs, UndescribedError
from tools.gallery.pages import header_of, lesson_page, reading_times
from tools.gallery.staging import Problem, documents, stage_texts
from workshop_utils.widgets import players

ROOT = Path(__file__).resolve().parents[1]


def png(width=40, height=20):
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", (width, height), "teal").save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def picture(alt="A teal field.", **facts):
    metadata = {"image/png": {"alt": alt, **facts}}
    return nbformat.v4.new_output("display_data", {"image/png": png(), "text/plain": alt}, metadata=metadata)


def viewer(label="Five outlines to click."):
    from bokeh.plotting import figure

    from cnmf_engine.view.resources import page_html

    plot = figure(width=300, height=200)
    plot.line([1, 2], [3, 4])
    return nbformat.v4.new_output("display_data", {"text/html": page_html(plot, label)})


def tree(outputs):
    """Read the HTML that outputs were turned into."""
    return bs4.BeautifulSoup("".join(output["data"]["text/html"] for output in outputs), "html.parser")


@pytest.fixture
def writer(tmp_path):
    return LessonOutputs("01_seeing", tmp_path / "_static", Neutral([("/home/ann/results", "results")]))


def test_folders_of_the_machine_get_neutral_names():
    neutral = Neutral([("/srv/ann/results", "results"), ("/srv/ann", ""), ("/srv", "disk")])
    assert neutral("kept in /srv/ann/results/a.json") == "kept in results/a.json"
    assert neutral("/srv/ann/data/demo.tif, 2 MB (/srv/ann/results)") == "data/demo.tif, 2 MB (results)"
    assert neutral("in /srv/ann: nothing") == "in .: nothing"
    assert neutral("/srv/other and /srvice/x and ~/srv/ann") == "disk/other and /srvice/x and ~/srv/ann"


def test_windows_paths_are_known_in_text_and_in_json():
    neutral = Neutral([("C:\\Users\\ann\\results", "results")])
    assert neutral(r"kept in C:\Users\ann\results\a.json") == r"kept in results\a.json"
    assert neutral(json.dumps({"kept": r"C:\Users\ann\results\a"})) == '{"kept": "results\\\\a"}'


def test_folders_of_this_machine_are_listed(tmp_path):
    neutral = Neutral(machine_folders(tmp_path / "results"))
    assert neutral(f"{tmp_path}/results/x {ROOT}/data/demo_ca1.tif") == "results/x data/demo_ca1.tif"


def test_a_figure_becomes_a_described_picture_in_a_file(writer):
    (image,) = tree(writer.transformed([picture("A <b> field.", width=400, height=200)])).find_all("img")
    assert image["alt"] == "A <b> field."
    assert (image["width"], image["height"], image["loading"]) == ("400", "200", "lazy")
    assert (writer.static / image["src"].removeprefix("../_static/")).is_file()
    assert [alt for _, alt in writer.pictures] == ["A <b> field."]


def test_a_picture_without_a_size_gets_its_own(writer):
    (image,) = tree(writer.transformed([picture()])).find_all("img")
    assert (image["width"], image["height"]) == ("40", "20")


def test_a_panel_says_that_it_is_a_picture(writer):
    page = tree(writer.transformed([picture(caption="Open the notebook to move the sliders.")]))
    assert page.figcaption.text == "Open the notebook to move the sliders."


def test_a_figure_without_words_stops_the_build(writer):
    with pytest.raises(UndescribedError, match="01_seeing: a figure without alt text, after 1 others"):
        writer.transformed([picture(), picture(alt=" ")])


def test_a_viewer_without_words_stops_the_build(writer):
    with pytest.raises(UndescribedError, match="viewer that doesn't say"):
        writer.transformed([viewer(label="")])


def test_a_viewer_takes_the_place_of_its_picture(writer):
    page = tree(writer.transformed([picture("Five outlines."), viewer()]))
    assert page.iframe["title"] == "Five outlines to click."
    assert page.iframe["loading"] == "lazy"
    assert page.select_one(".on-paper img")["alt"] == "Five outlines."
    assert writer.pictures == []
    frame = (writer.static / page.iframe["src"].removeprefix("../_static/")).read_text()
    assert '"url": "../bokeh/bokeh.min.js"' in frame
    assert "cdn.bokeh.org" not in frame and '"packed"' not in frame
    assert writer.bokeh == {"bokeh"}


def test_a_picture_before_other_outputs_stays(writer):
    text = nbformat.v4.new_output("stream", text="kept in /home/ann/results/a.json\n")
    shown = writer.transformed([picture(), text, picture("Another."), viewer()])
    assert [output.output_type for output in shown] == ["display_data", "stream", "display_data"]
    assert shown[1].text == "kept in results/a.json\n"


def test_a_progress_bar_shows_its_last_state(writer):
    said = [
        "CNMF-E patches:  75%|##- | 3/4\r",
        "CNMF-E patches: 100%|####| 4/4\n",
        "other: 9%|\nother: 99%|\nx\n",
    ]
    printed = [nbformat.v4.new_output("stream", name="stderr", text=text) for text in said]
    done = nbformat.v4.new_output("stream", name="stdout", text="done\n")
    progress, after = writer.transformed([*printed, done])
    assert progress.text == "CNMF-E patches: 100%|####| 4/4\nother: 99%|\nx\n"
    assert after.text == "done\n"


def test_a_player_leaves_a_video_where_a_page_is_saved(writer, monkeypatch):
    monkeypatch.setenv("WORKSHOP_HEADLESS", "1")
    monkeypatch.setenv("WORKSHOP_SAVED_PAGE", "1")
    movie = np.random.default_rng(3).random((400, 31, 40)).astype(np.float32)
    data, metadata = players.play([movie], fr=10, titles=["raw"])._repr_mimebundle_()
    page = tree(writer.transformed([nbformat.v4.new_output("display_data", data, metadata=metadata)]))
    assert page.video["aria-label"] == "Video of raw, the first 30 s of 40 s."
    assert page.video["preload"] == "none" and page.video.has_attr("controls")
    from PIL import Image

    with Image.open(writer.static / page.video["poster"].removeprefix("../_static/")) as poster:
        assert poster.size == (40, 32)  # videos have even sides
    video = (writer.static / page.source["src"].removeprefix("../_static/")).read_bytes()
    assert b"ftyp" in video[:16] and len(video) < 1_000_000


def test_without_that_wish_a_player_leaves_the_strip_alone(monkeypatch):
    monkeypatch.setenv("WORKSHOP_HEADLESS", "1")
    monkeypatch.delenv("WORKSHOP_SAVED_PAGE", raising=False)
    data, _ = players.play([np.zeros((4, 8, 8), np.float32)])._repr_mimebundle_()
    assert sorted(data) == ["image/png", "text/plain"]


def test_a_panel_of_sliders_says_that_it_is_a_picture(monkeypatch):
    from types import SimpleNamespace

    from cnmf_engine.caiman.params import CNMFParams
    from workshop_utils.widgets import sliders

    monkeypatch.setenv("WORKSHOP_HEADLESS", "1")
    A = np.random.default_rng(1).random((1200, 2))
    fit = SimpleNamespace(A=A, dims=(30, 40), SNR_comp=np.array([2.0, 9.0]), r_values=np.array([0.2, 0.9]))
    _, metadata = sliders.evaluation_explorer(fit, CNMFParams())._repr_mimebundle_()
    assert "open the notebook to move the sliders" in metadata["image/png"]["caption"]


@pytest.mark.parametrize("wish, leaves", [("1", ["page with a picture"]), ("0", ["picture"])])
def test_the_component_browser_stays_alive_where_a_page_is_saved(monkeypatch, wish, leaves):
    from types import SimpleNamespace

    from cnmf_engine.view import showing
    from workshop_utils.widgets.browser import component_browser

    monkeypatch.setenv("WORKSHOP_HEADLESS", "1")
    monkeypatch.setenv("WORKSHOP_SAVED_PAGE", wish)
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda figure: shown.append("picture"))
    monkeypatch.setattr(
        showing,
        "show_or_return",
        lambda page, alt, still: shown.append("page with a picture" if still() else ""),
    )
    A = np.zeros((1200, 1))
    A[400:405] = 1
    unknown = dict.fromkeys(("S", "YrA", "SNR_comp", "r_values", "idx_components", "idx_components_bad"))
    fit = SimpleNamespace(A=A, C=np.ones((1, 50)), dims=(30, 40), **unknown)
    component_browser(fit)._ipython_display_()
    assert shown == leaves


@pytest.mark.parametrize(
    "n_frames, fr, pixels, kept",
    [(1000, 10, 128**2, 300), (50, 10, 128**2, 50), (9000, 20, 1000 * 1000, 20), (10, 10, 10**9, 1)],
)
def test_a_clip_keeps_to_its_budget(n_frames, fr, pixels, kept):
    from workshop_utils.widgets.players.clip import clip_frames

    assert clip_frames(n_frames, fr, pixels) == kept


FIRST = "# 1. Seeing\n\n**You will learn** to\nlook.\n\n**Time:** about 12 minutes. **You need:** eyes."


def lesson_of(tmp_path, learner, executed, movie="demo"):
    """Write a lesson and its executed notebook; outputs are given with each executed cell."""
    new = {"markdown": nbformat.v4.new_markdown_cell, "code": nbformat.v4.new_code_cell}
    paths = []
    for name, cells in (("01_seeing.ipynb", learner), ("ran.ipynb", executed)):
        nodes = [new[kind](source, **extra) for kind, source, extra in cells]
        book = nbformat.v4.new_notebook(cells=nodes)
        book.metadata["papermill"] = {"parameters": {"results": "/home/ann/results"}}
        nbformat.write(book, tmp_path / name)
        paths.append(tmp_path / name)
    return Executed(1, *paths, movie, 3.2)


def test_a_page_joins_the_learners_text_with_what_was_executed(tmp_path):
    colab = {"metadata": {"tags": ["colab-only"]}}
    said = nbformat.v4.new_output("stream", text="/home/ann/results/x\n")
    learner = [("markdown", FIRST, {}), ("code", "install()", colab), ("code", "a", {}), ("code", "b", {})]
    executed = [
        ("code", "results = '/home/ann/results'", {"metadata": {"tags": ["injected-parameters"]}}),
        ("code", "install()", colab),
        ("code", "a", {"outputs": [picture("Of a.")]}),
        ("code", "the_solution()", {"outputs": [picture("Of the solution.")]}),
        ("code", "b", {"outputs": [said]}),
    ]
    page = lesson_page(lesson_of(tmp_path, learner, executed), tmp_path / "_static", 5)
    install, a, b = page.notebook.cells[1:]
    assert "hide-input" in install.metadata["tags"]
    assert [alt for _, alt in page.pictures] == ["Of a."] and page.thumbnail == page.pictures[0]
    assert a.outputs[0]["data"]["text/html"].startswith('<figure class="shown"><img')
    assert b.outputs[0].text == "results/x\n"
    first = page.notebook.cells[0].source
    assert "about 12 minutes in class, 5 to read · 4 cells, 3 of them code · ran in 3 s on demo" in first
    assert 'href="../_static/download/01_seeing.ipynb" download' in first


def test_a_cell_that_was_not_executed_stops_the_build(tmp_path):
    lesson = lesson_of(tmp_path, [("markdown", FIRST, {}), ("code", "new()", {})], [("code", "old()", {})])
    with pytest.raises(ValueError, match=r"ran.ipynb was not executed with this cell:\nnew\(\)"):
        lesson_page(lesson, tmp_path / "_static")


def test_a_header_is_read_from_the_first_cell():
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(FIRST)])
    header = header_of(book)
    assert (header.title, header.learn, header.minutes) == ("1. Seeing", "to look.", 12)
    book.cells[0].source = "# 1. Seeing\n\nWithout a word of what for."
    with pytest.raises(ValueError, match="You will learn"):
        header_of(book)


def test_reading_times_are_those_of_the_table(tmp_path):
    page = tmp_path / "lessons.md"
    page.write_text(
        "# Numbers\n\n| lesson | in class | to read |\n|---|---|---|\n"
        "| [1. Seeing](../notebooks/01_seeing.ipynb) | 25 | 13 |\n| total | 25 | 13 |\n"
    )
    assert reading_times(page) == {"01_seeing": 13}
    assert reading_times(tmp_path / "none.md") == {}


def test_each_lesson_runs_on_the_movie_that_it_names(tmp_path):
    for name, movie in (("01_a", "demo"), ("02_b", "demo"), ("07_c", "demo_hard")):
        cell = nbformat.v4.new_code_cell(f'movie = "{movie}"', metadata={"tags": ["parameters"]})
        nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / f"{name}.ipynb")
    assert {movie: list(found) for movie, found in by_movie(tmp_path).items()} == {
        "demo": [1, 2],
        "demo_hard": [7],
    }


GOOD = """<!doctype html><html lang="en"><head><meta name="viewport" content="width=device-width">
<link rel="stylesheet" href="a.css"></head><body><h1 id="top">One</h1><img src="a.png" alt="A field.">
<a href="sub/two.html#end">on</a> <a href="#top">up</a> <a href="https://example.org/x">away</a>{}</body></html>"""


def site_of(folder, addition=""):
    (folder / "sub").mkdir(parents=True)
    (folder / "index.html").write_text(GOOD.format(addition))
    (folder / "sub" / "two.html").write_text(
        '<html lang="en"><meta name="viewport"><h1>Two</h1><p id="end"><a href="../index.html">back</a></p>'
    )
    for name in ("a.css", "a.png"):
        (folder / name).write_text("")
    return folder


def test_a_site_without_faults_passes(tmp_path):
    assert check(site_of(tmp_path / "site")) == []


@pytest.mark.parametrize(
    "addition, fault",
    [
        ('<img src="a.png" alt=" ">', "a picture without alt text: a.png"),
        ('<img src="a.png">', "a picture without alt text: a.png"),
        ('<img src="b.png" alt="B.">', "img asks for b.png, which isn't there"),
        ('<iframe src="sub/two.html"></iframe>', "a frame without a title: sub/two.html"),
        ("<video></video>", "a video that doesn't say what it shows"),
        ("<h1>Again</h1>", "2 headings of the first rank, one is needed"),
        ('<a href="three.html">x</a>', "a link to three.html, which isn't there"),
        ('<a href="sub/two.html#begin">x</a>', "a link to sub/two.html#begin: no such place in that page"),
        ('<a href="/index.html">x</a>', "a link out of the site's folder: /index.html"),
        ('<a href="../x.html">x</a>', "a link out of the site's folder: ../x.html"),
        ('<script src="https://cdn.example.org/x.js"></script>', "script loads https://cdn.example.org/x.js"),
        ('<link rel="stylesheet" href="//fonts.example.org/f">', "link loads //fonts.example.org/f"),
    ],
)
def test_each_fault_is_found(tmp_path, addition, fault):
    (found,) = check(site_of(tmp_path / "site", addition))
    assert found.startswith(f"index.html: {fault}")


def test_a_page_without_language_or_viewport_is_found(tmp_path):
    site = site_of(tmp_path / "site")
    (site / "sub" / "two.html").write_text('<h1>Two</h1><p id="end">')
    assert check(site) == [
        "sub/two.html: the page doesn't say its language",
        "sub/two.html: no viewport: on a phone everything is tiny",
    ]


def test_an_empty_site_is_a_fault(tmp_path):
    assert check(tmp_path) == [f"no page in {tmp_path.name}"]


def test_documents_come_with_what_they_link_to(tmp_path):
    root = tmp_path / "root"
    for name, text in {
        "README.md": "# R\n\n[a](docs/a.md) ![i](docs/images/i.png) [e](environment.yml) [x](https://x.org)",
        "docs/a.md": "# A\n\n[r](../README.md#r)",
        "docs/instructor.md": "# For instructors",
        "notebooks/instructor/01_seeing.ipynb": "{}",
        "docs/images/i.png": "",
        "environment.yml": "",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    assert documents(root) == ["docs/instructor.md", "docs/a.md"]
    stage_texts(tmp_path / "pages", root)
    assert (tmp_path / "pages" / "environment.yml").is_file()
    assert (tmp_path / "pages" / "docs" / "images" / "i.png").is_file()
    text = (tmp_path / "pages" / "docs" / "instructor.md").read_text()
    assert '- <a href="../_static/download/instructor/01_seeing.ipynb" download>01_seeing.ipynb</a>' in text


@pytest.fixture
def elsewhere(tmp_path):
    """Serve one page with one anchor; gives its address."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "there.html").write_text('<html><body><h1 id="here">x</h1></body></html>')

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def sources_with(tmp_path, *addresses):
    source, root = tmp_path / "source", tmp_path / "root"
    root.mkdir()
    (root / "README.md").write_text("# R")
    stage_texts(source, root)
    listed = "\n".join(f"- <{address}>" for address in addresses)
    (source / "index.md").write_text(f"# Links\n\n{listed}\n")
    return source


def test_addresses_elsewhere_are_asked(tmp_path, elsewhere):
    said = []
    source = sources_with(tmp_path, f"{elsewhere}/there.html", f"{elsewhere}/there.html#here")
    external(source, tmp_path / "out", say=said.append)
    assert said == ["2 links, none broken"]


def test_addresses_that_do_not_answer_are_named(tmp_path, elsewhere):
    gone, place = f"{elsewhere}/gone.html", f"{elsewhere}/there.html#nowhere"
    with pytest.raises(Problem) as problem:
        external(sources_with(tmp_path, f"{elsewhere}/there.html", gone, place), tmp_path / "out")
    lines = str(problem.value).splitlines()
    assert lines[:2] == ["Expected addresses that answer.", "Found:"]
    assert sum(gone in line for line in lines) == 1 and sum(place in line for line in lines) == 1
    assert len(lines) == 4


def test_lessons_and_documents_can_be_asked_for_their_addresses(tmp_path):
    """All that `make links` does, but for the asking itself, which needs the internet."""
    said = []
    check_links(tmp_path, say=said.append, settings=("linkcheck_ignore=.*",))
    listed = (tmp_path / "links" / "output.json").read_text(encoding="utf-8").splitlines()
    found = [json.loads(line) for line in listed]
    assert {entry["status"] for entry in found} <= {"ignored", "unchecked", "local"}
    assert any("github.com/flatironinstitute/CaImAn" in entry["uri"] for entry in found)
    assert said == [f"{len(found)} links, none broken"]
