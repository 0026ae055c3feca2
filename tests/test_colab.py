from __future__ import annotations

import importlib.machinery
import os
import sys
import types
from pathlib import Path

import pytest

from cnmf_engine.base.errors import MissingFileError
from workshop_utils import colab

FOLDER = colab.DRIVE_FOLDER


class MessageError(Exception):
    """What Colab raises when access to Drive is refused."""


@pytest.fixture
def drive(tmp_path, monkeypatch):
    """Pretend to be Colab: a `google.colab` whose Drive appears when it is mounted."""
    content = tmp_path / "content"
    content.mkdir()
    mount_point = content / "drive"
    calls = []

    def mount(place):
        calls.append(place)
        if drive_module.refuses:
            raise MessageError("Error: credential propagation was unsuccessful")
        (mount_point / FOLDER).mkdir(parents=True)
        (mount_point / FOLDER / "mäuse 1.tif").write_bytes(b"movie")

    modules = {}
    for name in ("google", "google.colab", "google.colab.drive"):
        modules[name] = types.ModuleType(name)
        modules[name].__spec__ = importlib.machinery.ModuleSpec(
            name, None, is_package=name != "google.colab.drive"
        )
        modules[name].__path__ = []
        monkeypatch.setitem(sys.modules, name, modules[name])
    drive_module = modules["google.colab.drive"]
    drive_module.mount, drive_module.refuses = mount, False
    monkeypatch.chdir(content)
    monkeypatch.setenv("WORKSHOP_DRIVE", str(mount_point))
    for name in ("WORKSHOP_HEADLESS", "WORKSHOP_RESULTS", "WORKSHOP_SCRATCH"):
        # Set first, so that what `start` sets is taken back at the end, too.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    return types.SimpleNamespace(point=mount_point, calls=calls, module=drive_module)


@pytest.fixture
def elsewhere(monkeypatch):
    monkeypatch.setitem(sys.modules, "google.colab", None)
    monkeypatch.setattr(colab, "in_colab", lambda: False)


def test_outside_colab_says_so_and_goes_on(elsewhere, tmp_path, monkeypatch, capsys):
    assert colab.copy_from_drive(FOLDER, tmp_path / "copy") is None
    assert "Not in Colab" in capsys.readouterr().out and not (tmp_path / "copy").exists()
    monkeypatch.setenv("WORKSHOP_DRIVE", str(tmp_path / "drive"))
    with pytest.raises(MissingFileError, match="a machine that isn't Colab"):
        colab.mount_drive()


def test_outside_colab_a_lesson_starts_without_a_word(elsewhere, monkeypatch, capsys):
    monkeypatch.delenv("WORKSHOP_RESULTS", raising=False)
    assert colab.start() is None
    assert capsys.readouterr().out == "" and "WORKSHOP_RESULTS" not in os.environ


def test_this_machine_is_recognised():
    assert not colab.in_colab()


def test_kaggle_is_not_colab(drive, monkeypatch):
    """Its machines are made from Colab's and have Colab's package."""
    assert colab.in_colab()
    monkeypatch.setenv("KAGGLE_KERNEL_RUN_TYPE", "Interactive")
    assert not colab.in_colab()


def test_drive_is_where_colab_puts_it(monkeypatch):
    monkeypatch.delenv("WORKSHOP_DRIVE", raising=False)
    assert colab.mount_point() == Path("/content/drive")


def test_a_lesson_finds_its_data_and_keeps_its_results_on_drive(drive, capsys):
    copy = colab.start()
    assert (copy / "mäuse 1.tif").read_bytes() == b"movie" and copy.name == "workshop_data"
    assert os.environ["WORKSHOP_RESULTS"] == str(drive.point / "MyDrive" / "workshop_results" / "{movie}")
    scratch = Path(os.environ["WORKSHOP_SCRATCH"])
    assert not scratch.is_relative_to(drive.point) and scratch.parent == drive.point.parent
    assert os.environ["WORKSHOP_HEADLESS"] == "0"
    first = capsys.readouterr().out
    colab.start()
    assert len(drive.calls) == 1 and "Copied" in first and "Copied" not in capsys.readouterr().out


def test_lesson_that_runs_elsewhere_makes_no_copy_of_its_own(drive, monkeypatch):
    """As one that another lesson has run, with its results on Drive for a working directory."""
    copy = colab.start()
    results = drive.point / "MyDrive" / "workshop_results"
    results.mkdir()
    monkeypatch.chdir(results)
    assert colab.start() == copy and not list(results.iterdir())


def test_what_was_chosen_before_stays(drive, monkeypatch):
    monkeypatch.setenv("WORKSHOP_RESULTS", "mine")
    colab.start()
    assert os.environ["WORKSHOP_RESULTS"] == "mine"


def test_refused_access_leaves_the_demo(drive, capsys):
    drive.module.refuses = True
    assert colab.start() is None
    shown = capsys.readouterr().out
    assert "credential propagation" in shown and "allow access" in shown and "movie='demo'" in shown
    assert "gone when it is closed" in shown and "WORKSHOP_RESULTS" not in os.environ


def test_missing_folder_leaves_the_demo_and_keeps_results_on_drive(drive, capsys):
    assert colab.start("MyDrive/nowhere") is None
    assert "Expected the workshop's folder" in capsys.readouterr().out
    assert "WORKSHOP_RESULTS" in os.environ


def test_folder_with_ampersand_is_copied_once(drive, capsys):
    copy = colab.copy_from_drive(FOLDER, "workshop data")
    assert (copy / "mäuse 1.tif").read_bytes() == b"movie"
    assert "Copied 1 file(s)" in capsys.readouterr().out
    colab.copy_from_drive(FOLDER, "workshop data")
    assert "Nothing to copy" in capsys.readouterr().out
    assert drive.calls == [str(drive.point)]


def test_shortcut_in_my_drive_is_found(drive):
    colab.mount_drive()
    moved = drive.point / "MyDrive" / "calcium-imaging-data"
    (drive.point / FOLDER).rename(moved)
    assert colab.find_folder(FOLDER) == moved


def test_missing_folder_says_what_is_there_and_the_nearest_name(drive, capsys):
    wanted = "MyDrive/behaviour&calcium-imaging-workshop/data/calcium-imaging-data"
    assert colab.copy_from_drive(wanted, "copy") is None
    text = capsys.readouterr().out
    assert "only 'behavior&calcium-imaging-workshop/'" in text and "shortcut" in text
    assert "did you mean 'MyDrive/behavior&calcium-imaging-workshop' in drive_folder?" in text


def test_folder_names_may_hold_what_patterns_use(drive):
    colab.mount_drive()
    folder = drive.point / "MyDrive" / "lab [2026] a*b"
    folder.mkdir()
    assert colab.find_folder("MyDrive/elsewhere/lab [2026] a*b") == folder


def test_nobody_is_asked_in_a_run_without_people(drive, monkeypatch, capsys):
    monkeypatch.setenv("WORKSHOP_HEADLESS", "1")
    assert colab.copy_from_drive(FOLDER, "copy") is None
    assert drive.calls == [] and "stays unmounted" in capsys.readouterr().out
    drive.module.mount(drive.point)
    assert colab.copy_from_drive(FOLDER, "copy") is not None


def test_refused_permission_is_explained(drive):
    drive.module.refuses = True
    with pytest.raises(MissingFileError, match=r"(?s)Found MessageError: .*credential.*allow access"):
        colab.mount_drive()


def test_mount_without_mydrive(drive):
    drive.module.mount = lambda place: None
    with pytest.raises(MissingFileError, match="no MyDrive in"):
        colab.mount_drive()
