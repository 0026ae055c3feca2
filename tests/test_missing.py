"""A lesson that misses what an earlier one makes asks whether to run it."""

from __future__ import annotations

import builtins
import sys

import numpy as np
import pytest
import tifffile
from jupyter_client.manager import start_new_kernel

from workshop_utils import session
from workshop_utils.session import MissingStep, missing


@pytest.fixture
def opened(tmp_path, monkeypatch):
    movie = tmp_path / "rec.tif"
    tifffile.imwrite(movie, np.arange(60, dtype=np.uint8).reshape(3, 4, 5), photometric="minisblack")
    monkeypatch.setenv("WORKSHOP_HEADLESS", "0")
    return session.start(tmp_path / "results", movie)


@pytest.fixture
def ask(monkeypatch, opened):
    """Answer questions, and note them and the lessons that are run."""
    noted = {"questions": [], "runs": [], "answer": "yes"}

    def answer(question):
        noted["questions"].append(question)
        if isinstance(noted["answer"], Exception):
            raise noted["answer"]
        return noted["answer"]

    def run(arguments):
        noted["runs"].append(arguments)
        opened.record("motion", border=3)

    monkeypatch.setattr(builtins, "input", answer)
    monkeypatch.setattr(missing, "_run", run)
    return noted


def test_yes_runs_what_is_missing_and_goes_on(opened, ask):
    opened.record("movie", fr=10)
    assert opened.need("motion") == {"border": 3}
    assert ask["runs"] == [missing.run_arguments(opened.requested, opened.folder, [2])]
    assert "Run lesson 2 now" in ask["questions"][0]


def test_all_lessons_before_are_run_too(opened, ask):
    opened.need("motion")
    assert ask["runs"][0][-2:] == ["--steps", "1-2"] and "lessons 1 to 2" in ask["questions"][0]


@pytest.mark.parametrize("answer", ["no", "", "what?", RuntimeError("raw_input was called"), EOFError()])
def test_anything_but_yes_runs_nothing_and_says_how(opened, ask, answer):
    ask["answer"] = answer
    with pytest.raises(MissingStep, match=r"02_motion_correction.*!workshop run .* --steps 1-2\."):
        opened.need("motion")
    assert ask["runs"] == [] and len(ask["questions"]) == 1


def test_nobody_there_is_not_asked(opened, ask, monkeypatch):
    monkeypatch.setenv("WORKSHOP_HEADLESS", "1")
    with pytest.raises(MissingStep, match="--steps 1-2"):
        opened.need("motion")
    assert ask["questions"] == []


def test_run_that_did_not_help_is_said(opened, ask, monkeypatch):
    monkeypatch.setattr(missing, "_run", lambda arguments: None)
    with pytest.raises(MissingStep, match="empty session"):
        opened.need("motion")


def test_papermill_is_installed_when_it_is_needed(opened, ask, monkeypatch):
    commands = []
    monkeypatch.setattr(missing.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(missing.subprocess, "run", lambda command, check: commands.append(command))
    opened.need("motion")
    assert "installs papermill first" in ask["questions"][0]
    assert commands == [[sys.executable, "-m", "pip", "install", "--quiet", "papermill"]]


@pytest.mark.notebooks
def test_in_a_notebook_the_question_is_put_and_the_lesson_run(opened, monkeypatch):
    """A kernel whose front end can answer, and a real run of lesson 1."""
    monkeypatch.delenv("WORKSHOP_HEADLESS")
    questions, printed = [], []
    manager, client = start_new_kernel(kernel_name="python3", cwd=str(opened.folder.parent))
    try:

        def answer(message):
            questions.append(message["content"]["prompt"])
            client.input("yes")

        code = (
            "from workshop_utils import session\n"
            f"s = session.start({str(opened.folder)!r}, {str(opened.movie)!r})\n"
            "print('shape', s.need('movie')['shape'])"
        )
        reply = client.execute_interactive(
            code,
            allow_stdin=True,
            stdin_hook=answer,
            timeout=120,
            output_hook=lambda message: printed.append(message["content"].get("text", "")),
        )
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert reply["content"]["status"] == "ok", reply["content"]
    assert len(questions) == 1 and "Run lesson 1 now" in questions[0]
    assert "01_mount_data: ok" in "".join(printed) and "shape [3, 4, 5]" in "".join(printed)


def test_what_the_command_says_is_in_the_cell(capsys):
    missing._run(["--help"])
    assert "run" in capsys.readouterr().out
