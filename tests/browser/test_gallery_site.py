"""The whole site, built from the lessons as they ran, checked page by page and used in a browser."""

from __future__ import annotations

import functools
import http.server
import json
import re
import tempfile
import threading
from pathlib import Path

import pytest

pytest.importorskip("myst_nb", reason="the gallery needs its extra")

import bs4

from tools.gallery import building
from tools.gallery.checking import check
from tools.gallery.executing import by_movie, execute, found_in
from tools.gallery.neutral import ROOT

pytestmark = pytest.mark.notebooks

LESSONS = sorted(path.stem for path in (ROOT / "notebooks").glob("0[1-9]_*.ipynb"))
WIDTHS = (360, 768, 1024, 1366, 1920)


@pytest.fixture(scope="module")
def site(demo, tmp_path_factory):
    """Build the site from the run that all tests share, and what else there is from runs of its own."""
    folder = tmp_path_factory.mktemp("gallery")
    executed = []
    for movie, chosen in by_movie().items():
        if movie == "demo":
            executed += found_in(demo.folder, movie, chosen)
        else:
            executed += execute(folder / "results", movies={movie: chosen})
    return building.render(sorted(executed, key=lambda lesson: lesson.number), folder)


@pytest.fixture(scope="module")
def address(site):
    """Serve the site as a static host does, below a sub-path; gives its address."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(site.parent))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/{site.name}"
    server.shutdown()
    server.server_close()


def tree(path: Path):
    return bs4.BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def test_no_page_has_a_fault(site):
    assert check(site) == []
    assert {path.stem for path in (site / "notebooks").glob("*.html")} == set(LESSONS)


def test_the_front_page_has_a_card_for_each_lesson(site):
    front = tree(site / "index.html")
    cards = front.select(".cards > li")
    assert [card.a["href"] for card in cards] == [f"notebooks/{name}.html" for name in LESSONS]
    for card in cards:
        assert re.search(r"\d+ minutes · on \w+", card.text)
        assert "You will learn" in card.text
        assert card.img["alt"]


def test_the_flow_map_is_the_readmes(site):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    section = readme.split("## How a movie flows")[1].split("\n## ")[0]
    rows = [line.split("|")[1].strip() for line in section.splitlines() if line.startswith("| ")][1:]
    table = tree(site / "index.html").find(id="how-a-movie-flows").find("table")
    assert [row.td.text.strip() for row in table.select("tbody tr")] == rows
    assert [link["href"] for link in table.find_all("a")][0] == f"notebooks/{LESSONS[0]}.html"


@pytest.mark.parametrize("name", LESSONS)
def test_a_lesson_is_there_with_all_that_it_showed(site, name):
    page = tree(site / "notebooks" / f"{name}.html")
    learner = json.loads((ROOT / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8"))
    code = [cell for cell in learner["cells"] if cell["cell_type"] == "code"]
    assert len(page.select("div.cell_input")) == len(code)
    assert page.select("figure.shown img")
    assert re.search(r"ran in \d+ s on", page.select_one(".lesson-bar").text)
    text = "".join("".join(cell["source"]) for cell in learner["cells"])
    folded = [box for box in page.select("article details") if "hide" not in (box.get("class") or [])]
    assert len(folded) == text.count("<details>")
    solutions = [box for box in folded if box.summary.text == "Solution"]
    assert all(box.select(".highlight .n") for box in solutions)  # names, marked by the highlighter
    assert ("<math" in str(page)) == ("$$" in text)


def test_every_lesson_can_be_downloaded_as_learners_get_it(site):
    for name in LESSONS:
        sent = (site / "_static" / "download" / f"{name}.ipynb").read_bytes()
        assert sent == (ROOT / "notebooks" / f"{name}.ipynb").read_bytes()
        links = [link["href"] for link in tree(site / "notebooks" / f"{name}.html").find_all("a", href=True)]
        assert not any("instructor/" in link and link.endswith(".ipynb") for link in links)


def test_no_page_names_a_folder_of_this_machine(site, demo):
    folders = [ROOT, demo.folder.parent, site.parent, Path.home(), tempfile.gettempdir()]
    names = [f"{folder}/" for folder in folders]
    for path in [*site.rglob("*.html"), *site.glob("*.js")]:
        text = path.read_text(encoding="utf-8")
        assert [name for name in names if name in text] == [], path.name


def test_pages_stay_light(site):
    """What is heavy, pictures and viewers, comes when it is scrolled to."""
    for path in [site / "index.html", *(site / "notebooks").glob("*.html")]:
        assert path.stat().st_size < 400_000, path.name


def test_players_and_viewers_are_alive(site):
    pages = {name: tree(site / "notebooks" / f"{name}.html") for name in LESSONS}
    viewers = {name: len(page.find_all("iframe")) for name, page in pages.items()}
    videos = {name: len(page.find_all("video")) for name, page in pages.items()}
    assert viewers["03_corr_pnr"] >= 1 and viewers["05_evaluation"] >= 3
    assert videos["01_mount_data"] >= 1 and videos["02_motion_correction"] >= 1
    for name in ("03_corr_pnr", "05_evaluation"):
        assert "open the notebook to move the sliders" in pages[name].text


def test_search_finds_the_ring(page, address):
    page.goto(f"{address}/index.html")
    page.get_by_role("search").get_by_label("Search lessons and parameters").fill("ring")
    page.keyboard.press("Enter")
    found = page.locator("#search-results").get_by_role("link", name="CNMF-E")
    found.first.click()
    assert "04_cnmfe_fit" in page.url


def test_a_viewer_answers_to_a_click(page, address):
    page.goto(f"{address}/notebooks/05_evaluation.html")
    frame = page.locator("iframe[title^='Component browser']")
    frame.scroll_into_view_if_needed()
    viewer = frame.content_frame
    viewer.get_by_text("Component 0").wait_for(timeout=20_000)
    viewer.get_by_role("button", name="Next").click()
    viewer.get_by_text("this is number 2 in the list").wait_for(timeout=5000)
    viewer.get_by_role("button", name="Next").press("Enter")
    viewer.get_by_text("this is number 3 in the list").wait_for(timeout=5000)


def test_a_video_plays_from_the_keyboard(page, address):
    page.goto(f"{address}/notebooks/01_mount_data.html")
    video = page.locator("video").first
    video.scroll_into_view_if_needed()
    video.focus()
    page.keyboard.press("Space")
    page.wait_for_function("document.querySelector('video').currentTime > 0.2", timeout=10_000)


def test_no_page_is_wider_than_the_screen(page, address):
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        for name in ("index", f"notebooks/{LESSONS[4]}", "docs/parameters"):
            page.goto(f"{address}/{name}.html")
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (name, width)


def test_the_site_works_as_files(page, site):
    """Opened without any server, as out of an unpacked archive."""
    page.goto((site / "notebooks" / "03_corr_pnr.html").as_uri())
    frame = page.locator("iframe").first
    frame.scroll_into_view_if_needed()
    frame.content_frame.locator("canvas").first.wait_for(timeout=20_000)
