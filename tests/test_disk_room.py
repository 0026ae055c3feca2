"""Whether the disk has room for the tests is said before they start, not by hundreds that fail."""

from __future__ import annotations

import importlib.util
from collections import namedtuple
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SPEC = importlib.util.spec_from_file_location("disk_room", ROOT / "tools" / "disk_room.py")
tool = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(tool)
Usage = namedtuple("Usage", "total used free")
ENVIRONMENTS = sum(tool.ENVIRONMENTS.values())


@pytest.fixture
def free(monkeypatch):
    """Let every disk have so many bytes free."""
    return lambda size: monkeypatch.setattr(tool.shutil, "disk_usage", lambda folder: Usage(0, 0, size))


@pytest.fixture
def made(tmp_path):
    """A checkout whose environments are there."""
    for name in tool.ENVIRONMENTS:
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    return tmp_path


def test_one_disk_needs_room_for_environments_and_tests_together(free, tmp_path):
    free(ENVIRONMENTS + tool.TEMPORARY)
    assert tool.complaint(tmp_path, tmp_path) is None
    free(ENVIRONMENTS + tool.TEMPORARY - 1)
    message = tool.complaint(tmp_path, tmp_path)
    expected, found, advice = message.split("\n")
    assert expected.startswith("Expected 6.0 GB free") and str(tmp_path) in expected
    assert found == "Found 6.0 GB."
    assert advice.startswith("To go on: delete") and "TMPDIR" in advice


def test_environments_that_are_made_need_nothing_more(free, made):
    free(tool.TEMPORARY)
    assert tool.complaint(made, made) is None
    free(tool.TEMPORARY - 1)
    assert "Expected 2.5 GB" in tool.complaint(made, made)


def test_two_disks_are_asked_apart(monkeypatch, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    space = {tmp_path: ENVIRONMENTS, other: tool.TEMPORARY - 1}
    monkeypatch.setattr(tool, "_disk", [tmp_path, other].index)
    monkeypatch.setattr(tool.shutil, "disk_usage", lambda folder: Usage(0, 0, space[folder]))
    assert f"the disk of {other}" in tool.complaint(tmp_path, other)
    space[other] += 1
    assert tool.complaint(tmp_path, other) is None
    space[tmp_path] -= 1
    assert f"the disk of {tmp_path}" in tool.complaint(tmp_path, other)


def test_make_stops_with_it(free, capsys):
    free(1e9)
    assert tool.main() == 1
    assert "To go on" in capsys.readouterr().err
    free(1e12)
    assert tool.main() == 0
    rule = next(line for line in (ROOT / "Makefile").read_text().splitlines() if line.startswith("test:"))
    assert rule.split()[1] == "room"


def test_files_of_passing_tests_do_not_pile_up(pytestconfig):
    assert pytestconfig.getini("tmp_path_retention_policy") == "failed"
    assert int(pytestconfig.getini("tmp_path_retention_count")) == 1
