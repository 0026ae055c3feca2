"""A real browser, notebook servers with real kernels, and pages in which nothing may go wrong unseen."""

from __future__ import annotations

import re
import shutil
import sys
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import nbformat
import pytest
from needed import missing

from benchmarks.front_ends import FRONT_ENDS, SCREEN, Notebook6, browser_program
from benchmarks.servers import end_kernels, serving

ROOT = Path(__file__).resolve().parents[2]
COLAB = ROOT / ".venv-colab"
CDN = "cdn.bokeh.org"


@pytest.fixture(scope="session")
def chromium():
    """Start the browser, once for all tests."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("playwright, which drives the browser, isn't installed")
    program = browser_program()
    if program is None:
        missing("no chromium or google-chrome here (CHROME_PATH can name one)")
    with sync_playwright() as playwright:
        # With its sandbox it doesn't start as root, as whom CI runs; the pages are all our own.
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


class Watch:
    """
    Keeps the requests of a page on this machine, and notes all that goes wrong in it.

    BokehJS's public server is played by the installed bokeh: `from_cdn` lists what was asked for. With
    `cdn_is_down` nobody answers.
    """

    def __init__(self, page):
        self.faults = []
        self.from_cdn = []
        self.cdn_is_down = False
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.faults.append(f"exception: {error.stack}"))
        page.on("requestfailed", self._failed)
        page.on("response", self._answered)
        page.context.route(lambda url: urlsplit(url).hostname not in (None, "", "127.0.0.1"), self._elsewhere)

    def _console(self, message):
        # A file that can't be had is noted below, with its address.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.faults.append(f"console: {message.text}")

    def _failed(self, request):
        # What is asked for when the page is closed or goes elsewhere isn't missing.
        if request.failure != "net::ERR_ABORTED" and not (self.cdn_is_down and CDN in request.url):
            self.faults.append(f"{request.failure}: {request.url}")

    def _answered(self, response):
        if response.status >= 400:
            self.faults.append(f"{response.status}: {response.url}")

    def _elsewhere(self, route):
        """Answer for BokehJS's public server; nothing else outside this machine may be asked for."""
        script = bokeh_script(route.request.url)
        if script is None:
            self.faults.append(f"asked for {route.request.url}")
            route.abort()
            return
        self.from_cdn.append(route.request.url)
        if self.cdn_is_down:
            route.abort("internetdisconnected")
        else:
            route.fulfill(
                path=script,
                content_type="application/javascript",
                headers={"Access-Control-Allow-Origin": "*"},
            )


def bokeh_script(url: str) -> Path | None:
    """Find in an installed bokeh of that version what a page wants from the public server."""
    name = re.fullmatch(rf"https://{CDN}/bokeh/release/(bokeh[a-z-]*?)-([\d.]+)\.min\.js", url)
    for environment in (Path(sys.prefix), COLAB) if name else ():
        for packages in environment.glob("lib/python*/site-packages"):
            if (packages / f"bokeh-{name[2]}.dist-info").is_dir():
                return packages / "bokeh" / "server" / "static" / "js" / f"{name[1]}.min.js"
    return None


@pytest.fixture
def page(chromium):
    """Open an empty page; the test fails if anything in it does. `page.watch` tells what happened."""
    with chromium.new_context(viewport=SCREEN) as context:
        page = context.new_page()
        page.watch = Watch(page)
        yield page
        assert page.watch.faults == []


@pytest.fixture(scope="session")
def servers(tmp_path_factory):
    """Start a front end's server at its first use; all are ended with the tests."""
    running = {}
    with ExitStack() as stack:

        def server(front_end):
            if front_end not in running:
                python = Path(sys.executable)
                if front_end is Notebook6:
                    python = COLAB / "bin" / "python"
                    if not python.exists():
                        missing("no environment with Colab's versions (`make test` makes it)")
                folder = tmp_path_factory.mktemp(front_end.name)
                shutil.copytree(ROOT / "notebooks", folder, dirs_exist_ok=True)
                running[front_end] = stack.enter_context(serving(front_end.program, python, folder))
            return running[front_end]

        yield server


@pytest.fixture(params=FRONT_ENDS, ids=lambda kind: kind.name)
def front_end(request, page, servers):
    """Give a notebook interface without an open notebook: each of them in turn."""
    server = servers(request.param)
    yield request.param(page, server)
    page.close()  # first, or it would complain that its kernel is gone
    end_kernels(server)


@pytest.fixture
def results(front_end, demo):
    """Put the results of all lessons where the notebooks look for them; gives the folder."""
    folder = front_end.server.folder / "results"
    shutil.rmtree(folder, ignore_errors=True)
    return shutil.copytree(demo.folder, folder)


@pytest.fixture
def notebook(front_end):
    """Open a new notebook with these code cells."""

    def opened(*sources):
        cells = [nbformat.v4.new_code_cell(source) for source in sources]
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        written = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
        nbformat.write(written, front_end.server.folder / "test.ipynb")
        front_end.open("test.ipynb")
        return front_end

    return opened


@pytest.fixture
def picture(request, front_end):
    """Keep a picture of an element if pictures are wanted (--screenshots FOLDER)."""
    folder = request.config.getoption("--screenshots")

    def take(element, name):
        if folder:
            # Front ends keep bars above the cells, which would hide the top of a large element.
            front_end.page.set_viewport_size({**SCREEN, "height": 2 * SCREEN["height"]})
            element.scroll_into_view_if_needed()
            element.screenshot(path=Path(folder) / f"{name}-{front_end.name}.png", animations="disabled")
            front_end.page.set_viewport_size(SCREEN)

    return take
