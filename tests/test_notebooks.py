"""The lessons run from first to last: on the demo movie, on a movie without an answer key, and all in one."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

pytest.importorskip("papermill", reason="papermill runs the notebooks")

from workshop_utils import runner, session
from workshop_utils.notebook_files import cells, tags_of, text_of

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
]


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """Run all lessons on the demo movie; give the session they leave."""
    folder = tmp_path_factory.mktemp("demo") / "results"
    runner.run("demo", folder)
    return session.start(folder, "demo")


@pytest.fixture(scope="module")
def own_movie(tmp_path_factory):
    """Write a short movie of a bright disk in noise: no truth, no cells, as an attendee's could be."""
    rng = np.random.default_rng(7)
    rows, columns = np.indices((72, 80))
    disk = 400 * np.exp(-((rows - 36) ** 2 + (columns - 40) ** 2) / 900)
    movie = rng.normal(300 + disk, 8, (120, 72, 80)).astype(np.uint16)
    path = tmp_path_factory.mktemp("own") / "mouse 1.tif"
    tifffile.imwrite(path, movie, photometric="minisblack")
    return path


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


def test_the_six_lessons_are_there():
    assert [path.stem for path in LESSONS] == NAMES


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_lesson_keeps_to_its_limits(path):
    lesson = cells(path)
    code = [cell for cell in lesson if cell["cell_type"] == "code"]
    assert tags_of(code[0]) == ["parameters"]
    assert len(code) <= 25
    for cell in code:
        source = text_of(cell["source"])
        assert len(source.splitlines()) <= 15, source
        functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
        assert all(node.end_lineno - node.lineno <= 5 for node in functions), source
    words = "\n".join(text_of(cell["source"]) for cell in lesson if cell["cell_type"] == "markdown")
    for part in (
        "You will learn",
        "**Time:**",
        "**You need:**",
        "*Good:*",
        "## Exercise",
        "## Recap",
        "goes wrong",
    ):
        assert part in words, part


@pytest.mark.parametrize("name", NAMES)
def test_lesson_runs_on_the_demo_movie(demo, name):
    executed = demo.folder / "notebooks" / f"{name}.ipynb"
    assert executed.is_file()
    assert pictures(executed) >= 1
    assert "The solution is right: True" in printed(executed)
    assert "The solution is right: False" not in printed(executed)


def test_run_leaves_report_and_all_steps(demo):
    assert (demo.folder / "report.html").stat().st_size > 10_000
    assert all(
        demo.has(step)
        for step in ("movie", "motion", "summary_images", "params", "model", "evaluation", "export")
    )


def test_chosen_filter_corrects_the_demo_movie(demo):
    from workshop_utils.scoring import shift_error

    shifts = np.load(demo.need("motion")["shifts"])["shifts"]
    unmoved = shift_error(np.zeros_like(shifts), demo.truth.shifts)
    assert shift_error(shifts, demo.truth.shifts) <= 0.5 < unmoved


def test_evaluation_keeps_cells_of_the_demo_movie(demo):
    from cnmf_engine.storage import load_CNMF
    from workshop_utils.scoring import score

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


def test_movie_without_truth_or_cells_runs_to_the_end(own_movie, tmp_path):
    runner.run(own_movie, tmp_path / "results", parameters={"min_pnr": 60.0, "min_corr": 0.95})
    opened = session.start(tmp_path / "results", own_movie)
    assert opened.truth is None
    assert opened.need("model")["components"] == 0
    counts = opened.need("evaluation")
    assert (counts["total"], counts["accepted"], counts["rejected"]) == (0, 0, 0)
    assert np.loadtxt(opened.folder / "export" / "traces.csv", skiprows=1).shape == (120,)


def test_already_corrected_movie_is_only_mapped(own_movie, tmp_path):
    runner.run(own_movie, tmp_path / "results", steps=[2, 3], parameters={"motion_correct": False})
    opened = session.start(tmp_path / "results", own_movie)
    motion = opened.need("motion")
    assert motion["border"] == 0
    assert not np.load(motion["shifts"])["shifts"].any()
    stored = np.fromfile(motion["memmap"], np.float32).reshape(80, 72, 120).transpose(2, 1, 0)
    assert np.allclose(stored, tifffile.imread(own_movie), atol=0.01)


def test_papermill_runs_one_lesson_as_such(tmp_path):
    run_papermill(
        [str(NOTEBOOKS / "02_motion_correction.ipynb"), "out.ipynb", "-p", "max_shift", "8"], tmp_path
    )
    kept = json.loads((tmp_path / "results" / "params.json").read_text(encoding="utf-8"))
    assert kept["motion"]["max_shifts"] == [8, 8]


def test_all_in_one_runs(tmp_path):
    run_papermill([str(NOTEBOOKS / "00_all_in_one.ipynb"), "out.ipynb"], tmp_path)
    opened = session.start(tmp_path / "results", "demo")
    assert opened.has("export")
    assert "The solution is right: False" not in printed(tmp_path / "out.ipynb")
