"""How viewers reach a page: where BokehJS comes from, how much is sent, what an unattended run leaves."""

from __future__ import annotations

import base64
import gzip
import http.server
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock

import cv2
import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
import scipy.sparse as sp
from bokeh.models import Div
from bokeh.plotting import figure
from matplotlib.figure import Figure

from cnmf_engine import view as visualization
from cnmf_engine.view import resources, showing
from cnmf_engine.view.bokeh_views import image_source, on_screen

matplotlib.use("Agg")

DIMS = (40, 60)


def fit(n: int, n_frames: int = 100, dims: tuple[int, int] = DIMS) -> SimpleNamespace:
    """Make components of a 9 x 9 square each, with noise for traces."""
    rng = np.random.default_rng(n)
    images = np.zeros((n, *dims), np.float32)
    for image in images:
        row, col = rng.integers(0, dims[0] - 9), rng.integers(0, dims[1] - 9)
        image[row : row + 9, col : col + 9] = rng.random((9, 9))
    A = sp.csc_matrix(images.transpose(2, 1, 0).reshape(dims[0] * dims[1], n))
    C = rng.random((n, n_frames), np.float32)
    return SimpleNamespace(
        A=A, C=C, YrA=0.1 * C, dims=dims, b=None, f=None, SNR_comp=C[:, 0], r_values=C[:, 1], cnn_preds=[],
        idx_components=np.arange(1), idx_components_bad=None,
    )  # fmt: skip


@pytest.fixture
def offline(monkeypatch):
    monkeypatch.delenv("BOKEH_RESOURCES", raising=False)
    monkeypatch.setattr(resources, "cdn_reachable", lambda: False)


@pytest.fixture
def outputs(monkeypatch, offline):
    """Pretend to be a cell of a notebook; what it shows is collected. Attended unless told otherwise."""
    shown = []
    monkeypatch.setenv("WORKSHOP_HEADLESS", "0")
    monkeypatch.setattr("IPython.get_ipython", lambda: MagicMock(kernel=SimpleNamespace()))
    monkeypatch.setattr(
        "IPython.display.publish_display_data",
        lambda data, metadata=None, **_: shown.append((data, metadata or {})),
    )
    return shown


@pytest.fixture
def server():
    """Answer HEAD requests as the path says: /js, /html, /404, /slow."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            if self.path == "/slow":
                time.sleep(3)
            self.send_response(404 if self.path == "/404" else 200)
            self.send_header("Content-Type", "text/html" if self.path == "/html" else "text/javascript")
            self.end_headers()

        def log_message(self, *_):
            pass

    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()


@pytest.mark.parametrize(
    ("path", "answer"), [("/js", True), ("/html", False), ("/404", False), ("/slow", False)]
)
def test_only_a_server_that_gives_the_script_in_time_counts(server, monkeypatch, path, answer):
    monkeypatch.setattr(resources, "address_of", lambda *_: server + path)
    monkeypatch.setattr(resources, "_PATIENCE", 0.5)
    resources.cdn_reachable.cache_clear()
    try:
        assert resources.cdn_reachable() is answer
    finally:
        resources.cdn_reachable.cache_clear()


def test_proxies_are_used_and_one_that_is_down_is_no_error(server, monkeypatch):
    monkeypatch.setenv("http_proxy", server)
    monkeypatch.delenv("no_proxy", raising=False)
    # A proxy is asked for the whole address; this one answers anything but its own paths as /js.
    assert resources._serves_script("http://nowhere.invalid/bokeh.js") is True
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert resources._serves_script("http://nowhere.invalid/bokeh.js") is False
    assert resources._serves_script("no address") is False


@pytest.mark.parametrize(("reachable", "mode"), [(True, "cdn"), (False, "inline")])
def test_the_network_decides_unless_bokeh_was_told(monkeypatch, reachable, mode):
    monkeypatch.setattr(resources, "cdn_reachable", lambda: reachable)
    monkeypatch.delenv("BOKEH_RESOURCES", raising=False)
    assert resources.bokeh_resources().mode == mode
    other = "inline" if mode == "cdn" else "cdn"
    monkeypatch.setenv("BOKEH_RESOURCES", other)
    assert resources.bokeh_resources().mode == other
    assert resources.bokeh_resources().components == ["bokeh", "bokeh-widgets"]


def wanted_of(page: str) -> dict:
    """Read what the page's script is called with."""
    return json.loads(page.split("showBokeh(")[-1].split(");\n})();")[0])


def test_a_page_brings_the_parts_it_needs_packed(offline):
    plot = figure()
    plot.line([0, 1], [np.nan, 2])
    wanted = wanted_of(resources.page_html(plot))
    assert [library["name"] for library in wanted["libraries"]] == ["bokeh"]
    assert b"bokeh" in gzip.decompress(base64.b64decode(wanted["libraries"][0]["packed"]))[:2000]
    assert wanted["item"]["target_id"] == wanted["target"]
    page = resources.page_html(Div(text="</script><b>"), 'says "so"')
    assert [library["name"] for library in wanted_of(page)["libraries"]] == ["bokeh", "bokeh-widgets"]
    assert page.count("</script>") == 1 and 'aria-label="says &quot;so&quot;"' in page
    assert len(page) < 700_000


def test_panel_in_the_process_adds_nothing_to_a_page(monkeypatch):
    pytest.importorskip("panel")
    monkeypatch.setenv("BOKEH_RESOURCES", "cdn")
    (library,) = wanted_of(resources.page_html(figure()))["libraries"]
    assert "/bokeh-" in library["url"] and library["url"].endswith(".min.js")


def test_an_attended_cell_gets_one_page_and_nothing_is_returned(outputs):
    assert visualization.nb_view_components(fit(2)) is None
    layout = visualization.nb_inspect_correlation_pnr(np.zeros(DIMS), np.ones(DIMS))
    assert len(outputs) == 1, "a layout is shown when the cell shows its value, not before"
    layout._ipython_display_()
    assert [set(data) for data, _ in outputs] == [{"text/html", "text/plain"}] * 2
    assert "2 components" in outputs[0][0]["text/plain"] and "</script>" in outputs[0][0]["text/html"]


VIEWERS = {
    "contours": lambda e: visualization.plot_contours_nb(e, idx=[0]),
    "browser": lambda e: visualization.nb_view_components(e),
    "hv": lambda e: visualization.hv_view_components(e),
    "patches": lambda e: visualization.nb_view_patches(None, e.A, e.C, None, None, *e.dims, YrA=e.YrA),
    "contour": lambda e: visualization.nb_plot_contour(np.ones(e.dims), e.A, *e.dims),
    "quilt": lambda e: visualization.nb_view_quilt(np.eye(*e.dims), 10, 5),
    "inspect": lambda e: visualization.nb_inspect_correlation_pnr(
        np.eye(*e.dims), np.ones(e.dims)
    )._ipython_display_(),
}


@pytest.mark.parametrize("name", VIEWERS)
def test_an_unattended_run_leaves_a_described_picture_before_the_page(outputs, monkeypatch, name):
    monkeypatch.setenv("WORKSHOP_HEADLESS", "1")
    VIEWERS[name](fit(6))
    (still, metadata), (page, _) = outputs
    picture = cv2.imdecode(np.frombuffer(base64.b64decode(still["image/png"]), np.uint8), 0)
    assert picture.std() > 10
    assert metadata["image/png"]["alt"] == still["text/plain"] == page["text/plain"] != ""
    assert metadata["image/png"]["width"] <= 960 and metadata["image/png"]["height"] <= 700
    assert "image/png" not in page


def test_no_components_are_a_sentence(outputs, capsys):
    assert visualization.nb_view_components(fit(0)) is None
    assert outputs == [] and "no components" in capsys.readouterr().out


def test_a_large_fit_stays_below_what_a_server_lets_through(outputs):
    visualization.nb_view_components(fit(500, 12_000, (256, 256)), denoised_color="red")
    assert len(json.dumps(outputs[0][0])) < 2_600_000


def test_large_images_are_reduced_for_the_screen_and_sent_once(outputs):
    image = np.add.outer(np.arange(1201.0), np.arange(1600.0)).astype("f4")
    small = on_screen(image, 300_000)
    assert small.size <= 300_000 and small[0, 0] == image[:3, :3].mean()
    assert small.shape[1] / small.shape[0] == pytest.approx(1600 / 1201, rel=0.01)
    shades = image_source(image).data["image"][0]
    assert (
        shades.dtype == np.uint8 and shades.shape == small.shape and (shades.min(), shades.max()) == (0, 255)
    )
    e = fit(2, 10, (600, 500))
    visualization.plot_contours_nb(e, img=np.random.default_rng(0).random(e.dims), idx=[0])
    assert len(outputs[0][0]["text/html"]) < 467_632 + 600_000


def test_figures_say_what_they_show_where_jupyter_looks(outputs):
    e = fit(3)
    estimates_plot = visualization.plot_contours_estimates
    calls = {
        "Outlines of 1 accepted component and 2 rejected": lambda: estimates_plot(e, idx=[0]),
        "Outlines of 3 components": lambda: visualization.plot_contours(e.A, np.ones(DIMS)),
        "Footprints and traces of 3 of 3 components": lambda: visualization.view_components(e),
        "patches": lambda: visualization.view_quilt(np.ones(DIMS), 10, 5),
        "correlation image": lambda: visualization.inspect_correlation_pnr(np.ones(DIMS), np.ones(DIMS)),
    }
    for words, call in calls.items():
        call()
        _, metadata = plt.gcf()._repr_mimebundle_()
        assert words in metadata["image/png"]["alt"]
        plt.close("all")
    own = Figure()
    own._repr_mimebundle_ = "kept"
    showing.describe(own, "other words")
    assert own._repr_mimebundle_ == "kept"


def test_a_notebook_without_live_figures_gets_no_dead_sliders(outputs):
    visualization.inspect_correlation_pnr(np.ones(DIMS), np.ones(DIMS))
    figure = plt.gcf()
    assert figure.limit_sliders == [] and len(figure.axes) == 4  # two images with their colour bars
    plt.close(figure)


def test_rejected_components_are_told_apart_without_colour():
    layout = visualization.plot_contours_nb(fit(4), idx=[1, 2])
    looks = [
        (p.select_one({"name": "outlines"}).glyph.line_dash, p.select_one({"name": "centres"}).glyph.marker)
        for p in layout.children
    ]
    assert looks[0] != looks[1] and looks[0][0] == [] and looks[0][1] != looks[1][1]
    drawn = visualization.plot_contours_estimates(fit(4), idx=[1, 2])
    assert [ax.lines[0].get_linestyle() for ax in drawn.axes] == ["-", "--"]
    plt.close("all")


def test_with_caiman_its_own_viewers_are_called(tmp_path):
    viewers = "plot_contours nb_plot_contour nb_view_patches nb_inspect_correlation_pnr view_quilt".split()
    files = {
        "__init__.py": "__version__ = '1.13.0'",
        "summary_images.py": "",
        "motion_correction.py": "class MotionCorrect: pass",
        "utils/__init__.py": "",
        "utils/visualization.py": "\n".join(f"def {name}(*a, **k): return 'own {name}'" for name in viewers),
        "source_extraction/__init__.py": "",
        "source_extraction/cnmf/__init__.py": "",
        "cluster.py": "",
        "source_extraction/cnmf/cnmf.py": "class CNMF: pass\ndef load_CNMF(): pass",
        "source_extraction/cnmf/estimates.py": (
            "class Estimates:\n    A = __import__('numpy').eye(4)\n"
            "    def plot_contours_nb(self, *a, **k): return 'own'"
        ),
        "source_extraction/cnmf/params.py": "class CNMFParams: pass",
    }
    for name, text in files.items():
        path = tmp_path / "caiman" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    code = (
        "import sys; from workshop_utils.engine import cm\n"
        "from caiman.source_extraction.cnmf.estimates import Estimates\n"
        f"print([getattr(cm.utils.visualization, n)() for n in {viewers}], Estimates().plot_contours_nb())\n"
        "print([m for m in sys.modules if m.startswith('cnmf_engine.view')])"
    )
    env = {**os.environ, "WORKSHOP_ENGINE": "caiman"}
    env["PYTHONPATH"] = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[1])])
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    called, loaded = done.stdout.splitlines()[-2:]
    assert called == f"{[f'own {n}' for n in viewers]} own"
    # Where output goes is asked of the engine; its viewers stay unloaded.
    assert loaded == "['cnmf_engine.view', 'cnmf_engine.view.front_end']"
