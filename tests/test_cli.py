from __future__ import annotations

import subprocess
import sys
import types

import nbformat
import numpy as np
import pytest
import tifffile
from click.testing import CliRunner
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from workshop_utils import __version__, cli
from workshop_utils.movies import data
from workshop_utils.session import runner


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "lessons"
    folder.mkdir()
    parameters = "movie = 'demo'\nresults = 'results'\nwidth = 3  # px: 1 = narrow"
    cells = [
        new_markdown_cell("# 1. Look at it"),
        new_code_cell(parameters, metadata={"tags": ["parameters"]}),
        new_code_cell("print(width)\nif width > 5:\n    raise ValueError('too wide')"),
    ]
    nbformat.write(new_notebook(cells=cells), folder / "01_look.ipynb")
    return folder


@pytest.fixture
def call(folder, tmp_path, monkeypatch):
    movie = tmp_path / "rec.tif"
    tifffile.imwrite(movie, np.zeros((3, 4, 5), np.uint8), photometric="minisblack")
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments):
        return CliRunner().invoke(
            cli.main, ["run", "--movie", "rec.tif", "--notebooks", str(folder), *arguments]
        )

    return invoke


def test_run_prints_a_line_a_step_and_the_report_last(call, tmp_path):
    pytest.importorskip("papermill")
    done = call("--results", "out put", "--engine", "embedded", "-p", "width=4")
    assert done.exit_code == 0, done.output
    assert "[1/1] 01_look: ok, " in done.output
    assert len(done.output.splitlines()) == 5, "nothing but the movie, the engine, the lesson and the report"
    assert done.output.splitlines()[-1] == str(tmp_path / "out put" / "report.html")
    assert "4\n" in (tmp_path / "out put" / "notebooks" / "01_look.ipynb").read_text().replace("\\n", "\n")


def test_failing_lesson_is_a_failing_command(call):
    pytest.importorskip("papermill")
    done = call("-p", "width=6")
    assert done.exit_code == 1
    assert "ValueError: too wide" in done.output and "01_look.partial.ipynb" in done.output
    assert "Traceback" not in done.output and "Report" not in done.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-p", "widht=4"), "did you mean 'width'"),
        (("-p", "width"), "name=value"),
        (("--steps", "x"), "--steps 2-4"),
        (("--engine", "caimann"), "WORKSHOP_ENGINE=caiman"),
        (("--movie", "rek.tif"), "did you mean 'rec.tif'"),
    ],
)
def test_wrong_options_are_explained(call, arguments, message):
    done = call(*arguments)
    assert done.exit_code == 1 and message in done.output and "Traceback" not in done.output


def test_missing_papermill_is_explained(call, monkeypatch):
    monkeypatch.setitem(sys.modules, "papermill", None)
    done = call()
    assert done.exit_code == 1
    assert "Expected papermill" in done.output and "pip install papermill" in done.output


def test_fault_of_the_workshop_keeps_its_traceback(call, monkeypatch):
    def broken(*args, **kwargs):
        raise ZeroDivisionError("a fault")

    monkeypatch.setattr(runner, "run", broken)
    assert isinstance(call().exception, ZeroDivisionError)


def test_list(folder):
    done = CliRunner().invoke(cli.main, ["list", "--notebooks", str(folder)])
    assert done.exit_code == 0
    assert "1  1. Look at it" in done.output and "width = 3" in done.output
    assert all(f"      {name}:" in done.output for name in data.DEMOS)


def test_report_without_results(tmp_path):
    done = CliRunner().invoke(cli.main, ["report", "--results", str(tmp_path)])
    assert done.exit_code == 1 and "no session.json there" in done.output


def test_help_names_every_command_in_a_whole_sentence():
    done = CliRunner().invoke(cli.main, ["--help"])
    listed = done.output.split("Commands:")[1].strip().split("\n\n")[0].splitlines()
    assert [line.split()[0] for line in listed] == sorted(cli.main.commands)
    assert all(line.endswith(".") and not line.endswith("...") for line in listed), done.output


@pytest.mark.parametrize("command", [[], ["bundle"]])
def test_examples_of_the_help_can_be_copied(command):
    lines = CliRunner().invoke(cli.main, [*command, "--help"], terminal_width=80).output.splitlines()
    assert any(line.endswith("  workshop bundle calcium-imaging-data") for line in lines), lines
    assert not [line for line in lines if "\\b" in line]


@pytest.mark.parametrize("option", [("--movie", "x.tif"), ("--drive-folder", "MyDrive/x"), ("-p", "a=1")])
def test_check_of_a_bundle_takes_no_other_options(option, tmp_path):
    done = CliRunner().invoke(cli.main, ["bundle", str(tmp_path), "--check", *option])
    assert done.exit_code == 2 and "give no other options" in done.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--movie", "rek.tif"), "did you mean 'rec.tif'"),
        (("--drive-folder", "courses"), "MyDrive/imaging-course"),
        (("--wheel", "gone.whl"), "no such file"),
        (("-p", "frame_rat=3"), "did you mean 'frame_rate'"),
        (("--check",), "no such folder"),
    ],
)
def test_wrong_options_of_a_bundle_are_explained(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tifffile.imwrite("rec.tif", np.zeros((3, 4, 5), np.uint8), photometric="minisblack")
    done = CliRunner().invoke(cli.main, ["bundle", "out", *arguments])
    assert done.exit_code == 1 and message in done.output and "Traceback" not in done.output
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("healthy", "code"), [(True, 0), (False, 1)])
def test_doctor_tells_the_shell_whether_something_is_wrong(healthy, code, monkeypatch):
    asked = []
    examination = types.SimpleNamespace(show=lambda *what: asked.append(what) or healthy)
    monkeypatch.setattr("workshop_utils.classroom.doctor", examination)
    done = CliRunner().invoke(cli.main, ["doctor", "--movie", "rec.tif", "--results", "out"])
    assert done.exit_code == code and asked == [("rec.tif", "out")]


def test_command_starts_without_what_it_may_find_missing():
    code = (
        "import sys; import workshop_utils.cli as cli; "
        "heavy = {'numpy', 'matplotlib', 'scipy', 'bokeh', 'papermill', 'yaml'} & set(sys.modules); "
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_missing_click_is_explained():
    code = "import sys; sys.modules['click'] = None; import workshop_utils.cli"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "Expected click" in done.stderr and "pip install click" in done.stderr


def test_version_as_a_module():
    command = [sys.executable, "-m", "workshop_utils.cli", "--version"]
    assert __version__ in subprocess.run(command, capture_output=True, text=True, check=True).stdout
