"""
The lessons run from first to last.

The instructor's on the demo movie by papermill; the learner's, cell by cell with nbval, on a movie without an
answer key and with the stand-in for CaImAn. The notebook that holds them all is run with Colab's packages in
tests/colab.
"""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
import tifffile

pytest.importorskip("papermill", reason="papermill runs the notebooks")

from workshop_utils import session
from workshop_utils.session import runner
from workshop_utils.session.notebooks import cells, tags_of, text_of

pytestmark = pytest.mark.notebooks

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
LESSONS = sorted(path for path in NOTEBOOKS.glob("[0-9][0-9]_*.ipynb") if not path.stem.startswith("00"))
NAMES = [
    "01_mount_data",
    "02_motion_correction",
    "03_corr_pnr",
    "04_cnmfe_fit",
    "05_evaluation",
    "06_save_load",
    "07_your_own_data",
]
_MOST_CELLS = 30

EVENTS = (60, 145, 230)


@pytest.fixture(scope="module")
def own_movie(tmp_path_factory):
    """Write a short movie without a truth: one cell, a glow and noise."""
    rng = np.random.default_rng(7)
    rows, columns = np.indices((72, 80))
    glow = 400 + 300 * np.exp(-((rows - 36) ** 2 + (columns - 40) ** 2) / 900)
    # Fine lines that stay where they are, as vessels do: without them only the cell could be aligned.
    vessels = 60 * np.cos(rows / 2.5 + columns / 9) * np.cos(columns / 3 - rows / 11)
    cell = np.exp(-((rows - 30) ** 2 + (columns - 44) ** 2) / 18)
    calcium = np.zeros(300)
    for start in EVENTS:
        calcium[start:] += 250 * 0.93 ** np.arange(300 - start)
    calcium = np.convolve(calcium, np.ones(4) / 4)[:300]  # a sharp rise would count as noise
    movie = glow + vessels + calcium[:, None, None] * cell + rng.normal(0, 8, (300, 72, 80))
    path = tmp_path_factory.mktemp("own") / "mouse 1.tif"
    tifffile.imwrite(path, movie.astype(np.uint16), photometric="minisblack")
    return path


@pytest.fixture(scope="module")
def own_session(own_movie, stand_in, tmp_path_factory):
    """Have nbval run every cell of the learner's lessons on that movie, with CaImAn's stand-in."""
    folder = tmp_path_factory.mktemp("own")
    for path in LESSONS:
        lesson = nbformat.read(path, as_version=4)
        declared = next(cell for cell in lesson.cells if "parameters" in cell.metadata.get("tags", []))
        declared.source += f"\nmovie, results = {str(own_movie)!r}, 'results'"
        nbformat.write(lesson, folder / path.name)
    environment = os.environ | {
        "WORKSHOP_HEADLESS": "1",
        "WORKSHOP_ENGINE": "caiman",
        "PYTHONPATH": os.pathsep.join([str(stand_in), str(NOTEBOOKS.parent)]),
    }
    command = [sys.executable, "-m", "pytest", "-p", "no:xdist", "--nbval-lax", "--nbval-current-env", "."]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stdout[-6000:]
    return session.start(folder / "results", own_movie)


@pytest.fixture(scope="module")
def corrected_before(own_movie, tmp_path_factory):
    """Run lessons 2 to 6 on that movie, taken as corrected, with thresholds that nobody passes."""
    folder = tmp_path_factory.mktemp("corrected")
    chosen = {"motion_correct": "False", "max_shift": "8", "movie": str(own_movie)}
    options = [word for name, value in chosen.items() for word in ("-p", name, value)]
    run_papermill([str(NOTEBOOKS / "02_motion_correction.ipynb"), "out.ipynb", *options], folder)
    runner.run(own_movie, folder / "results", steps=[3, 4, 5, 6], parameters={"min_pnr": 1000.0})
    return session.start(folder / "results", own_movie)


def printed(path: Path) -> str:
    """Join what the cells of an executed notebook have printed."""
    outputs = [output for cell in cells(path) for output in cell.get("outputs", [])]
    return "".join(text_of(output.get("text")) for output in outputs if output["output_type"] == "stream")


def pictures(path: Path) -> int:
    """Count the pictures in an executed notebook."""
    outputs = [output for cell in cells(path) for output in cell.get("outputs", [])]
    return sum("image/png" in output.get("data", {}) for output in outputs)


def run_papermill(arguments: list[str], folder: Path) -> None:
    """Call papermill as somebody in a shell does."""
    environment = os.environ | {"WORKSHOP_HEADLESS": "1"}
    command = [sys.executable, "-m", "papermill", "--no-progress-bar", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]


def test_the_lessons_are_there():
    assert [path.stem for path in LESSONS] == NAMES


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_lesson_keeps_to_its_limits(path):
    lesson = cells(path)
    code = [cell for cell in lesson if cell["cell_type"] == "code"]
    assert tags_of(code[0]) == ["parameters"]
    assert len(code) <= _MOST_CELLS
    for cell in code:
        source = text_of(cell["source"])
        assert len(source.splitlines()) <= (25 if "colab-only" in tags_of(cell) else 15), source
        functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
        assert all(node.end_lineno - node.lineno <= 5 for node in functions), source
    words = "\n".join(text_of(cell["source"]) for cell in lesson if cell["cell_type"] == "markdown")
    for part in (
        "You will learn",
        "**Time:**",
        "**You need:**",
        "*Good:*",
        "*Bad",
        "## Exercises",
        "## Recap",
        "## When it goes wrong",
        "## Read on",
    ):
        assert part in words, part


@pytest.mark.parametrize("name", NAMES)
def test_lesson_runs_on_the_demo_movie(demo, name):
    executed = demo.folder / "notebooks" / f"{name}.ipynb"
    assert executed.is_file()
    assert pictures(executed) >= 1


def test_run_leaves_report_and_all_steps(demo):
    assert (demo.folder / "report.html").stat().st_size > 10_000
    assert all(
        demo.has(step)
        for step in ("movie", "motion", "summary_images", "params", "model", "evaluation", "export")
    )


def test_chosen_filter_corrects_the_demo_movie(demo):
    from workshop_utils.measures.scoring import shift_error

    shifts = np.load(demo.need("motion")["shifts"])["shifts"]
    unmoved = shift_error(np.zeros_like(shifts), demo.truth.shifts)
    assert shift_error(shifts, demo.truth.shifts) <= 0.5 < unmoved


def test_evaluation_keeps_cells_of_the_demo_movie(demo):
    from cnmf_engine.caiman.cnmf import load_CNMF
    from workshop_utils.measures.scoring import score

    estimates = load_CNMF(str(demo.need("export")["file"])).estimates
    kept = estimates.idx_components
    result = score(estimates.A[:, kept], estimates.C[kept], demo.truth)
    assert result.precision >= 0.8
    assert result.recall >= 0.6
    assert result.trace_r_median >= 0.9
    assert estimates.Cn.shape == demo.truth.A.shape[1:]


def test_export_can_be_read_back(demo):
    export = demo.need("export")
    folder = Path(export["folder"])
    table = np.loadtxt(folder / "traces.csv", delimiter=",", skiprows=1, ndmin=2)
    assert table.shape == (len(demo.truth.shifts), export["components"] + 1)
    assert np.allclose(np.diff(table[:, 0]), 1 / demo.frame_rate, atol=1e-3)
    footprints = tifffile.imread(folder / "footprints.tif")
    assert footprints.reshape(-1, *demo.truth.A.shape[1:]).shape[0] == export["components"]


def test_saved_and_loaded_agree_and_working_files_are_gone(demo):
    text = printed(demo.folder / "notebooks" / "06_save_load.ipynb")
    assert "the same components" in text
    assert "DIFFERENT" not in text
    assert [path for path in demo.folder.glob("*.mmap")] == [Path(demo.need("motion")["memmap"])]


def test_movie_without_truth_and_one_cell_runs_to_the_end(own_session):
    assert own_session.truth is None
    assert own_session.need("evaluation")["accepted"] == 1
    table = np.loadtxt(own_session.need("export")["folder"] / "traces.csv", delimiter=",", skiprows=1)
    assert table.shape == (300, 2)
    assert min(abs(np.argmax(table[:, 1]) - np.array(EVENTS))) <= 4


def test_lessons_ask_for_nothing_that_caiman_does_not_have(own_session):
    steps = own_session.summary()["steps"]
    assert {entry["engine"]["name"] for entry in steps.values()} == {"caiman"}
    assert {entry["engine"]["version"] for entry in steps.values()} == {"1.13.0"}
    assert "export" in steps


def test_nothing_accepted_breaks_nothing(own_session, tmp_path):
    folder = shutil.copytree(own_session.folder, tmp_path / "results")
    runner.run(own_session.movie, folder, steps=[5, 6], parameters={"min_SNR": 1000.0, "rval_thr": 1.0})
    counts = session.start(folder, own_session.movie).need("evaluation")
    assert counts["accepted"] == 0 < counts["rejected"] == counts["total"]


def test_papermill_runs_one_lesson_as_such(corrected_before):
    kept = json.loads((corrected_before.folder / "params.json").read_text(encoding="utf-8"))
    assert kept["motion"]["max_shifts"] == [8, 8]


def test_already_corrected_movie_is_only_mapped(corrected_before):
    motion = corrected_before.need("motion")
    assert motion["border"] == 0
    assert not np.load(motion["shifts"])["shifts"].any()
    stored = np.fromfile(motion["memmap"], np.float32).reshape(80, 72, 300).transpose(2, 1, 0)
    assert np.allclose(stored, tifffile.imread(corrected_before.movie), atol=0.01)


def test_no_components_at_all_break_nothing(corrected_before):
    assert corrected_before.need("model")["components"] == 0
    counts = corrected_before.need("evaluation")
    assert (counts["total"], counts["accepted"], counts["rejected"]) == (0, 0, 0)
    exported = np.loadtxt(corrected_before.need("export")["folder"] / "traces.csv", skiprows=1)
    assert exported.shape == (300,)
