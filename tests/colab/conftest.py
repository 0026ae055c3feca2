"""New Colab machines, and a Drive that outlives them."""

from __future__ import annotations

import itertools
import subprocess
from pathlib import Path

import pytest
from needed import missing

from benchmarks.colab_machine import Machine, python_of, wheelhouse
from workshop_utils.classroom import bundle
from workshop_utils.colab import DRIVE_FOLDER

ROOT = Path(__file__).resolve().parents[2]
REPLICA = ROOT / ".venv-colab"
COMMAND = "make test-colab"


def pytest_addoption(parser):
    parser.addoption("--every-lesson", action="store_true", help="a new Colab machine for each lesson")


@pytest.fixture(scope="session")
def replica():
    """Give the environment with Colab's versions."""
    if not python_of(REPLICA).exists():
        missing(f"no environment with Colab's versions (`{COMMAND}` makes it)")
    return REPLICA


@pytest.fixture(scope="session")
def wheels(tmp_path_factory, replica):
    """Fetch what Colab's pip fetches beside the wheel."""
    try:
        return wheelhouse(tmp_path_factory.mktemp("index"), replica)
    except subprocess.CalledProcessError as error:
        missing(f"no package index can be reached here: {error.stderr.strip().splitlines()[-1]}")


@pytest.fixture
def machine(tmp_path, replica, wheels):
    """Make new machines with a given Drive; each is removed with its test."""
    numbers = itertools.count(1)
    made = []

    def new(drive, **options):
        made.append(Machine(tmp_path / f"machine {next(numbers)}", replica, drive, wheels, **options))
        return made[-1]

    yield new
    for each in made:
        each.remove()


@pytest.fixture(scope="session")
def shared(tmp_path_factory, wheel):
    """Give an attendee's Drive with the workshop's folder on it, to look at or to copy."""
    drive = tmp_path_factory.mktemp("shared") / "Drive"
    bundle.build(drive / DRIVE_FOLDER, wheel=wheel)
    return drive
