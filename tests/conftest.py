"""Small seeded inputs that several test files share, and one run of all lessons."""

from __future__ import annotations

import matplotlib
import numpy as np
import pytest

matplotlib.use("Agg")


def pytest_addoption(parser):
    parser.addoption(
        "--screenshots", metavar="FOLDER", help="keep a picture of each widget that the browser tests use"
    )


@pytest.fixture(scope="session")
def demo(tmp_path_factory):
    """
    Run the instructor's lessons, with their solutions, on the demo movie; give the session they leave.

    Copy its folder before changing it. The learner's versions, whose code is part of it, are run by nbval.
    """
    pytest.importorskip("papermill", reason="papermill runs the notebooks")
    from workshop_utils import runner, session
    from workshop_utils.lessons import resource

    folder = tmp_path_factory.mktemp("demo") / "results"
    with pytest.MonkeyPatch.context() as wishes:
        # The gallery shows this run; it only adds to what the other tests look at.
        wishes.setenv("WORKSHOP_SAVED_PAGE", "1")
        runner.run("demo", folder, folder=resource("notebooks") / "instructor")
    return session.start(folder, "demo")


@pytest.fixture
def rng():
    return np.random.default_rng(20240611)


@pytest.fixture
def small_movie(rng):
    """60 frames of 20 x 30 px, float32: static bright spots, noise, and a step in time."""
    rows, columns = np.mgrid[:20, :30]
    scene = 100 + 60 * np.exp(-((rows - 8) ** 2 + (columns - 11) ** 2) / 18.0)
    frames = scene[None] + rng.normal(scale=4, size=(60, 20, 30))
    frames[30:, 14:17, 20:23] += 25
    return frames.astype(np.float32)


@pytest.fixture
def tmp_caiman(tmp_path, monkeypatch):
    """A temporary folder of the engine's own for this test; gives its path."""
    folder = tmp_path / "caiman_temp"
    folder.mkdir()
    monkeypatch.setenv("CAIMAN_TEMP", str(folder))
    monkeypatch.setenv("CAIMAN_DATA", str(tmp_path / "caiman_data"))
    return folder
