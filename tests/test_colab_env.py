"""The environment with Colab's versions: what is pinned, and what stands in on an older Python."""

from __future__ import annotations

import importlib.util
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
SPEC = importlib.util.spec_from_file_location("colab_env", ROOT / "tools" / "colab_env.py")
tool = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(tool)
PINS = [
    Requirement(line)
    for line in tool.CONSTRAINTS.read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_each_package_has_one_version_for_every_python(python):
    names = [pin.name for pin in PINS if not pin.marker or pin.marker.evaluate({"python_version": python})]
    assert len(names) == len(set(names)) > 100


def test_only_older_pythons_get_stand_ins():
    loose = [pin for pin in PINS if not str(pin.specifier).startswith("==")]
    assert [pin.name for pin in loose] == ["tifffile"]
    assert all(pin.marker == Marker('python_version < "3.12"') for pin in loose)
    exact = {pin.name: str(pin.specifier)[2:] for pin in PINS if str(pin.specifier).startswith("==")}
    assert tool.stand_ins(tool.CONSTRAINTS.read_text(encoding="utf-8")) == {"tifffile": exact["tifffile"]}


def test_it_is_colabs_old_front_end():
    versions = {pin.name: str(pin.specifier) for pin in PINS}
    assert versions["notebook"] == "==6.5.7" and versions["ipywidgets"] == "==7.7.1"
    assert versions["ipython"] == "==7.34.0" and versions["widgetsnbextension"] == "==3.6.10"


@pytest.fixture
def pip(monkeypatch):
    """Note pip's calls instead of making them."""
    calls = []

    def run(command, **_options):
        calls.append(command[command.index("--disable-pip-version-check") + 1 :])
        listed = '[{"name": "tifffile", "version": "2026.3.3"}, {"name": "bokeh", "version": "3.8.2"}]'
        return subprocess.CompletedProcess(command, 0, listed if "list" in command else "", "")

    monkeypatch.setattr(tool.subprocess, "run", run)
    monkeypatch.setattr(
        tool.venv, "create", lambda folder, with_pip: calls.append(["venv", folder, with_pip])
    )
    return calls


def test_pins_come_before_the_project_and_stand_ins_are_told(pip, tmp_path, capsys):
    assert tool.main([str(tmp_path / "env")]) == 0
    assert [call[0] for call in pip] == ["venv", "install", "install", "check", "list"]
    assert pip[1][-3:] == ["--no-deps", "--requirement", str(tool.CONSTRAINTS)]
    assert pip[2][-2:] == ["--editable", str(ROOT)] and "--constraint" in pip[2]
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 1 and printed[0].startswith("tifffile 2026.3.3 stands in for Colab's ")


def test_environment_that_is_there_is_brought_up_to_date_with_a_wheel(pip, tmp_path):
    tool.python_of(tmp_path).parent.mkdir()
    tool.python_of(tmp_path).touch()
    assert tool.main([str(tmp_path), "--wheel", "dist/some.whl"]) == 0
    assert [call[0] for call in pip] == ["install", "install", "check", "list"]
    assert pip[1][-1] == str(Path("dist/some.whl"))


def test_what_pip_complains_about_is_told(monkeypatch, tmp_path, capsys):
    def fail(command, **_options):
        raise subprocess.CalledProcessError(1, command, "collecting\n", "no such version\n")

    monkeypatch.setattr(tool.subprocess, "run", fail)
    monkeypatch.setattr(tool.venv, "create", lambda folder, with_pip: None)
    assert tool.main([str(tmp_path)]) == 1
    assert "no such version" in capsys.readouterr().err


def test_this_environment_is_another_one():
    """Two front ends of one version would be one test run twice."""
    pinned = {pin.name: str(pin.specifier)[2:] for pin in PINS}
    assert version("ipywidgets").split(".")[0] > pinned["ipywidgets"].split(".")[0]
