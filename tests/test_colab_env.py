"""The environment with Colab's versions: what is pinned, and what an older Python gets instead."""

from __future__ import annotations

import importlib.util
import json
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


def test_only_older_pythons_get_something_else():
    older = [pin for pin in PINS if pin.marker == Marker('python_version < "3.12"')]
    assert [pin.name for pin in older] == ["tifffile", "overrides"]
    assert all(str(pin.specifier).startswith("==") for pin in PINS if pin not in older)
    exact = {pin.name: str(pin.specifier)[2:] for pin in PINS if pin not in older}
    assert tool.stand_ins(tool.CONSTRAINTS.read_text(encoding="utf-8")) == {"tifffile": exact["tifffile"]}


def test_pins_are_what_colab_has():
    image = ROOT.parent / "shared" / "colab" / "constraints-2026-08.txt"
    if not image.is_file():
        pytest.skip("the list of all that Colab has isn't here")
    lines = [line for line in image.read_text(encoding="utf-8").splitlines() if "==" in line]
    there = dict(map(str.strip, line.split("==")) for line in lines)
    versions = {tool.normal(name): version for name, version in there.items()}
    for pin in PINS:
        if not pin.marker or pin.marker.evaluate({"python_version": "3.13"}):
            assert str(pin.specifier) == f"=={versions.get(tool.normal(pin.name))}", pin.name
    assert "jedi" not in versions


def test_it_is_colabs_old_front_end():
    versions = {pin.name: str(pin.specifier) for pin in PINS}
    assert versions["notebook"] == "==6.5.7" and versions["ipywidgets"] == "==7.7.1"
    assert versions["ipython"] == "==7.34.0" and versions["widgetsnbextension"] == "==3.6.10"


@pytest.fixture
def pip(monkeypatch):
    """Note pip's calls instead of making them; `there` is what it finds, `said` what it complains about."""

    class Pip:
        calls = []
        there = {"tifffile": "2026.3.3", "bokeh": "3.8.2"}
        said = ""

    def run(command, **_options):
        called = command[command.index("--disable-pip-version-check") + 1 :]
        Pip.calls.append(called)
        if called[0] == "check":
            return subprocess.CompletedProcess(command, int(bool(Pip.said)), Pip.said, "")
        listed = json.dumps([{"name": name, "version": version} for name, version in Pip.there.items()])
        return subprocess.CompletedProcess(command, 0, listed if called[0] == "list" else "", "")

    def create(folder, with_pip, clear):
        Pip.calls.append(["clear" if clear else "create", folder])

    Pip.calls = []
    monkeypatch.setattr(tool.subprocess, "run", run)
    monkeypatch.setattr(tool.venv, "create", create)
    return Pip


@pytest.fixture
def made(tmp_path):
    """Give a folder that looks like an environment."""
    tool.python_of(tmp_path).parent.mkdir()
    tool.python_of(tmp_path).touch()
    return tmp_path


def test_only_the_pins_are_installed_and_stand_ins_are_told(pip, tmp_path, capsys):
    assert tool.main([str(tmp_path / "env")]) == 0
    assert [call[0] for call in pip.calls] == ["create", "install", "check", "list"]
    assert pip.calls[1][-3:] == ["--no-deps", "--requirement", str(tool.CONSTRAINTS)]
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 1 and printed[0].startswith("tifffile 2026.3.3 stands in for Colab's ")


def test_environment_that_is_there_is_brought_up_to_date(pip, made):
    assert tool.main([str(made)]) == 0
    assert [call[0] for call in pip.calls] == ["list", "install", "check", "list"]


@pytest.mark.parametrize("name", ["papermill", "calcium-workshop"])
def test_environment_with_more_than_colab_has_is_made_anew(pip, made, name):
    pip.there = pip.there | {name: "1.0"}
    assert tool.main([str(made)]) == 0
    assert [call[0] for call in pip.calls][:3] == ["list", "clear", "install"]


def test_versions_that_do_not_go_together_are_told(pip, made, capsys):
    pip.said = "ipython 7.34.0 requires jedi, which is not installed.\n"
    assert tool.main([str(made)]) == 0
    pip.said += "panel 1.9.4 has requirement bokeh<3.9, but you have bokeh 4.0.\n"
    assert tool.main([str(made)]) == 1
    told = capsys.readouterr().err
    assert "panel 1.9.4" in told and "jedi" not in told


def test_what_pip_complains_about_is_told(monkeypatch, tmp_path, capsys):
    def fail(command, **_options):
        raise subprocess.CalledProcessError(1, command, "collecting\n", "no such version\n")

    monkeypatch.setattr(tool.subprocess, "run", fail)
    monkeypatch.setattr(tool.venv, "create", lambda *_args, **_options: None)
    assert tool.main([str(tmp_path)]) == 1
    assert "no such version" in capsys.readouterr().err


def test_this_environment_is_another_one():
    """Two front ends of one version would be one test run twice."""
    pinned = {pin.name: str(pin.specifier)[2:] for pin in PINS}
    assert version("ipywidgets").split(".")[0] > pinned["ipywidgets"].split(".")[0]
