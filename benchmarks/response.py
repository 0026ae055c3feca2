"""
Measure how fast the widgets answer, in a real browser and with a real kernel.

    python -m benchmarks.response [--moves 30] [--json FILE] [--colab .venv-colab]

A scene of 256 x 256 pixels with 196 components is made, and each widget is shown in JupyterLab and, where
there is an environment with Colab's versions (`make test` makes it), in Notebook 6. A time runs from the
event in the page (key press, click) to the last refresh of the screen that changes the picture.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import nbformat

from benchmarks.canvases import point, wait_until_drawn
from benchmarks.front_ends import FRONT_ENDS, SCREEN, FrontEnd, Notebook6, browser_program
from benchmarks.servers import serving

__all__ = ["main", "markdown", "measure"]

_SCENE = """
import numpy as np, scipy.sparse as sp
from types import SimpleNamespace
from cnmf_engine.caiman.params import CNMFParams
from workshop_utils.widgets import browser
from workshop_utils.widgets import players
from workshop_utils.widgets import sliders
rng = np.random.default_rng(0)
side, n, n_frames = 256, 196, 3000
rows, cols = np.indices((side, side))
centres = np.stack(np.meshgrid(np.arange(14, 250, 17), np.arange(14, 250, 17)), -1).reshape(-1, 2)[:n]
A = np.stack([np.exp(-((rows - r) ** 2 + (cols - c) ** 2) / 18) for r, c in centres]).astype("f4")
A[A < 0.05] = 0
C = np.zeros((n, n_frames), "f4")
C[np.arange(n)[:, None], rng.integers(0, n_frames, (n, 20))] = 1
for t in range(1, n_frames):
    C[:, t] += 0.9 * C[:, t - 1]
noise = rng.normal(0, 0.05, C.shape).astype("f4")
signal = (A * np.linspace(0.3, 1, n)[:, None, None].astype("f4")).max(axis=0)
cn = (0.2 + 0.75 * signal + rng.normal(0, 0.03, signal.shape)).clip(0, 1).astype("f4")
pnr = (3 + 25 * signal + rng.normal(0, 0.5, signal.shape)).astype("f4")
opts = CNMFParams(params_dict={"init": {"gSig": (3, 3), "min_corr": 0.6, "min_pnr": 8}})
estimates = SimpleNamespace(
    A=sp.csc_matrix(A.transpose(0, 2, 1).reshape(n, -1).T), C=C, S=None, YrA=noise, dims=(side, side),
    SNR_comp=rng.uniform(1, 20, n), r_values=rng.uniform(0, 0.8, n), idx_components=np.arange(n),
    idx_components_bad=np.zeros(0, int))
movie = rng.normal(100, 10, (300, side, side)).astype("f4")
"""
_WIDGETS = {
    "tuner": "sliders.corr_pnr_tuner(None, cn, pnr, opts)",
    "explorer": "sliders.evaluation_explorer(estimates, opts, cn)",
    "browser": "browser.component_browser(estimates, cn, 20.0)",
    "player": "players.play([movie, movie, movie], fr=30.0)",
}
#: Row and column of two cells of the scene, which are clicked in turn.
_CELLS = ((65, 82), (150, 167))
_PLAYED = 5000  # ms


def measure(front_end: FrontEnd, moves: int = 30) -> dict[str, list[float]]:
    """
    Measure all widgets in one front end.

    Parameters
    ----------
    front_end : FrontEnd
        With a server whose folder holds `response.ipynb`.
    moves : int
        Moves of each slider, and clicks.

    Returns
    -------
    dict of str to list of float
        What was done, and ms of each time; of the player, pictures a second.
    """
    front_end.open("response.ipynb")
    front_end.run(0)
    page = front_end.page
    for number in range(1, len(_WIDGETS) + 1):
        front_end.run(number)
    roots = dict(
        zip(_WIDGETS, (front_end.cell(k).locator(f".cw-{name}") for k, name in enumerate(_WIDGETS, 1)))
    )
    for name in ("tuner", "explorer", "browser"):
        wait_until_drawn(roots[name])
    page.evaluate(files("benchmarks").joinpath("response.js").read_text(encoding="utf-8"))
    times: dict[str, list[float]] = {}
    for name, label in (("tuner", "min_corr"), ("tuner", "min_pnr"), ("explorer", "min_SNR")):
        root = roots[name]
        root.scroll_into_view_if_needed()
        handle, words = front_end.slider(root, label), root.locator(".cw-code")
        handle.focus()
        keys = ["ArrowRight"] * (moves // 2) + ["ArrowLeft"] * (moves - moves // 2)
        times[f"{name}: {label}"] = [
            _answer(page, root, words, "keydown", partial(handle.press, key)) for key in keys
        ]
    root = roots["browser"]
    root.scroll_into_view_if_needed()
    times["component browser: click to trace"] = [
        _answer(page, root, root.locator(".cw-facts"), "pointerup", partial(_click, page, root, k))
        for k in range(moves)
    ]
    times["player: pictures a second"] = [_pictures_a_second(page, roots["player"])]
    return times


def _answer(page: Any, root: Any, words: Any, event: str, act: Any) -> float:
    """Act, and give the ms until the page has answered."""
    page.evaluate(
        "([root, words, event]) => workshopResponse.begin(root, words, event)",
        [root.element_handle(), words.element_handle(), event],
    )
    act()
    page.wait_for_function("() => workshopResponse.answer !== null")
    return float(page.evaluate("() => workshopResponse.answer"))


def _click(page: Any, root: Any, k: int) -> None:
    row, column = _CELLS[k % 2]
    page.mouse.click(*point(root, "map", float(column), float(row)))


def _pictures_a_second(page: Any, player: Any) -> float:
    """Play for some seconds and count what is shown."""
    count = "player => Number(player.querySelector('.cw-picture').dataset.count)"
    player.locator(".cw-play").click()
    before = player.evaluate(count)
    start = page.evaluate("() => performance.now()")
    page.wait_for_timeout(_PLAYED)
    shown = player.evaluate(count) - before
    seconds = (page.evaluate("() => performance.now()") - start) / 1000
    player.locator(".cw-play").click()
    return shown / seconds


def markdown(measured: dict[str, dict[str, list[float]]]) -> str:
    """
    Make a table for the docs.

    Parameters
    ----------
    measured : dict of str to dict
        For each front end what `measure` gives.

    Returns
    -------
    str
        Median and 90th percentile in ms, or pictures a second.
    """
    titles = list(measured)
    lines = ["| | " + " | ".join(titles) + " |", "|---" * (len(titles) + 1) + "|"]
    for what in next(iter(measured.values())):
        cells = [_summary(measured[title][what]) for title in titles]
        lines.append(f"| {what} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _summary(values: list[float]) -> str:
    if len(values) == 1:
        return f"{values[0]:.1f}"
    high = statistics.quantiles(values, n=10)[-1]
    return f"{statistics.median(values):.0f} ms, 90 % below {high:.0f} ms"


def _write_notebook(folder: Path) -> None:
    cells = [nbformat.v4.new_code_cell(source) for source in (_SCENE, *_WIDGETS.values())]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    nbformat.write(notebook, folder / "response.ipynb")


def main(argv: list[str] | None = None) -> int:
    """Measure, print a table; returns 0, or 2 without a browser."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.response", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--moves", type=int, default=30)
    parser.add_argument("--json", type=Path, help="write all times to this file")
    parser.add_argument("--colab", type=Path, default=Path(".venv-colab"), help="environment of Notebook 6")
    options = parser.parse_args(argv)
    program = browser_program()
    if program is None:
        print("Expected Chromium or Chrome.\nFound none.\nTo go on: install it, or set CHROME_PATH.")
        return 2
    from playwright.sync_api import sync_playwright

    measured = {}
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        chromium = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        _write_notebook(Path(folder))
        for kind in FRONT_ENDS:
            python = options.colab / "bin" / "python" if kind is Notebook6 else Path(sys.executable)
            if not python.exists():
                print(f"{kind.title} is left out: there is no {python} (`make test` makes it)")
                continue
            with serving(kind.program, python.absolute(), Path(folder)) as server:
                page = chromium.new_context(viewport=SCREEN).new_page()
                measured[kind.title] = measure(kind(page, server), options.moves)
                page.context.close()
    print(markdown(measured))
    if options.json:
        options.json.write_text(json.dumps(measured, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
