from __future__ import annotations

import importlib.machinery
import sys
import types

import pytest

from cnmf_engine.errors import MissingFileError
from workshop_utils import colab

FOLDER = "MyDrive/behavior&calcium-imaging-workshop/data/calcium-imaging-data"


@pytest.fixture
def drive(tmp_path, monkeypatch):
    """Pretend to be Colab: a `google.colab` whose Drive appears when it is mounted."""
    mount_point = tmp_path / "drive"
    calls = []

    def mount(place):
        calls.append(place)
        if drive_module.refuses:
            raise ValueError("mount failed")
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
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WORKSHOP_HEADLESS", raising=False)
    return types.SimpleNamespace(point=mount_point, calls=calls, module=drive_module)


@pytest.fixture
def elsewhere(monkeypatch):
    monkeypatch.setitem(sys.modules, "google.colab", None)
    monkeypatch.setattr(colab, "in_colab", lambda: False)


def test_outside_colab_says_so_and_goes_on(elsewhere, tmp_path, capsys):
    assert colab.copy_from_drive(FOLDER, tmp_path / "copy") is None
    assert "Not in Colab" in capsys.readouterr().out and not (tmp_path / "copy").exists()
    with pytest.raises(MissingFileError, match="a machine that isn't Colab"):
        colab.mount_drive(tmp_path / "drive")


def test_this_machine_is_recognised():
    assert not colab.in_colab()


def test_folder_with_ampersand_is_copied_once(drive, tmp_path, capsys):
    assert colab.in_colab()
    copy = colab.copy_from_drive(FOLDER, "workshop data", drive.point)
    assert (copy / "mäuse 1.tif").read_bytes() == b"movie"
    assert "Copied 1 file(s)" in capsys.readouterr().out
    colab.copy_from_drive(FOLDER, "workshop data", drive.point)
    assert "Nothing to copy" in capsys.readouterr().out
    assert drive.calls == [str(drive.point)]


def test_missing_folder_says_what_is_there_and_goes_on(drive, capsys):
    assert colab.copy_from_drive("MyDrive/behavior&calcium-imaging-workshop/dta", "copy", drive.point) is None
    shown = capsys.readouterr().out
    assert "only 'data'" in shown and "shortcut" in shown


def test_nobody_is_asked_in_a_run_without_people(drive, monkeypatch, capsys):
    monkeypatch.setenv("WORKSHOP_HEADLESS", "1")
    assert colab.copy_from_drive(FOLDER, "copy", drive.point) is None
    assert drive.calls == [] and "stays unmounted" in capsys.readouterr().out
    drive.module.mount(drive.point)
    assert colab.copy_from_drive(FOLDER, "copy", drive.point) is not None


def test_refused_permission_is_explained(drive):
    drive.module.refuses = True
    with pytest.raises(MissingFileError, match=r"(?s)Found ValueError: mount failed.*allow access"):
        colab.mount_drive(drive.point)


def test_mount_without_mydrive(drive):
    drive.module.mount = lambda place: None
    with pytest.raises(MissingFileError, match="no MyDrive in"):
        colab.mount_drive(drive.point)
