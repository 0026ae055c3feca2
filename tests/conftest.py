"""Small seeded inputs that several test files share, one run of all lessons, and who runs beside whom."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import tifffile
from filelock import FileLock

import workshop_utils  # noqa: F401  (the engine follows its switches)

matplotlib.use("Agg")

#: With several workers, files that share what is dear to make stay together; the longest begin.
GROUPS: dict[str, tuple[str, ...]] = {
    "colab": ("tests/colab",),
    "demo": ("tests/test_lesson_outputs.py", "tests/test_lesson_table.py", "tests/browser"),
    "lessons": ("tests/test_notebooks.py",),
    "other engine": ("tests/test_contract.py",),
    "killed": ("tests/test_interrupted.py",),
}


def pytest_addoption(parser):
    parser.addoption(
        "--screenshots", metavar="FOLDER", help="keep a picture of each widget that the browser tests use"
    )
    parser.addoption(
        "--soak",
        action="store_true",
        help="with all that is slow and seldom finds anything",
    )


def pytest_configure(config):
    # Before there are workers, which inherit it: what is drawn by lot is the same for all of them.
    os.environ.setdefault("WORKSHOP_TEST_SEED", str(int(time.time()) // 3600))


def pytest_report_header(config):
    return f"WORKSHOP_TEST_SEED={os.environ['WORKSHOP_TEST_SEED']}"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Leave out what only `make soak` runs, and tell the workers which tests stay together."""
    if not config.getoption("--soak"):
        marks = {item: item.get_closest_marker("soak") for item in items}
        left_out = [item for item, mark in marks.items() if mark and not mark.kwargs.get("kept")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    names = list(GROUPS)
    items.sort(
        key=lambda item: names.index(group) if (group := group_of(item.nodeid)) in names else len(names)
    )


def group_of(nodeid: str) -> str:
    """Name the tests that a test stays with; its file's, unless `GROUPS` says otherwise."""
    groups = (name for name, starts in GROUPS.items() if nodeid.startswith(starts))
    return next(groups, nodeid.partition("::")[0])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Give each worker whole groups, in the order of the tests."""
    from xdist.scheduler import LoadScopeScheduling

    class Groups(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return group_of(nodeid)

    config.option.loadscopereorder = False
    return Groups(config, log)


@pytest.fixture(scope="session")
def once(tmp_path_factory):
    """Make something once for all workers: `once(name, make)` calls `make(folder)` and gives the folder."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def made(name: str, make: Callable[[Path], object]) -> Path:
        folder = shared / name
        done, failed = folder / "done", folder / "failed"
        with FileLock(shared / f"{name}.lock"):
            if failed.exists():
                pytest.fail(f"{name} was tried before: {failed.read_text(encoding='utf-8')}", pytrace=False)
            if not done.exists():
                folder.mkdir()
                try:
                    make(folder)
                except BaseException as error:
                    failed.write_text(str(error), encoding="utf-8")
                    raise
                done.touch()
        return folder

    return made


@pytest.fixture(scope="session")
def demo(once):
    """
    Run the instructor's lessons, with their solutions, on the demo movie; give the session they leave.

    Copy its folder before changing it. The learner's versions, whose code is part of it, are run on a movie
    of their own in test_notebooks.py.
    """
    pytest.importorskip("papermill", reason="papermill runs the notebooks")
    from workshop_utils import session
    from workshop_utils.lessons import resource
    from workshop_utils.session import runner

    def run(folder: Path) -> None:
        with pytest.MonkeyPatch.context() as wishes:
            # The gallery shows this run; it only adds to what the other tests look at.
            wishes.setenv("WORKSHOP_SAVED_PAGE", "1")
            runner.run("demo", folder / "results", folder=resource("notebooks") / "instructor")

    return session.start(once("demo", run) / "results", "demo")


@pytest.fixture(scope="session")
def short_demo(once):
    """Give the demo movie's first 400 frames, under its name, with their answer key beside them."""
    movie = Path(__file__).resolve().parents[1] / "data" / "demo_ca1.tif"

    def cut(folder: Path) -> None:
        tifffile.imwrite(folder / movie.name, tifffile.imread(movie)[:400], photometric="minisblack")
        with np.load(movie.with_name("demo_ca1_truth.npz")) as truth:
            known = {name: truth[name] for name in truth.files}
        known |= {name: known[name][:, :400] for name in ("C", "S")} | {"shifts": known["shifts"][:400]}
        np.savez(folder / "demo_ca1_truth.npz", **known)

    return once("short demo", cut) / movie.name


@pytest.fixture(scope="session")
def stand_in(tmp_path_factory):
    """Give a folder in which the stand-in for CaImAn is installed."""
    place = tmp_path_factory.mktemp("site")
    fake = Path(__file__).parent / "fakes" / "caiman"
    shutil.copytree(fake, place / "caiman", ignore=shutil.ignore_patterns("__pycache__"))
    dist = place / "caiman-1.13.0.dist-info"
    dist.mkdir()
    (dist / "METADATA").write_text("Metadata-Version: 2.1\nName: caiman\nVersion: 1.13.0\n")
    return place


@pytest.fixture(scope="session")
def wheel(once):
    """Build the wheel of this checkout."""
    from needed import missing

    from cnmf_engine.base.errors import MissingFileError
    from workshop_utils.classroom.bundle.wheels import find_wheel

    def build(folder: Path) -> None:
        try:
            find_wheel(None, folder)
        except MissingFileError as error:
            if "No matching distribution" not in str(error) and "Could not find" not in str(error):
                raise

    built = list(once("wheel", build).glob("*.whl"))
    if not built:
        missing("the build tool hatchling can't be fetched here")
    return built[0]


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
