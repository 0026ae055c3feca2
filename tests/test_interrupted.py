"""
Kernels that are killed in the middle of a lesson, as Colab and full memories do.

A lesson is killed in a random cell, and those that write most once more while they give a file its name. One
lesson drawn by lot in each run, all with --soak (`make soak`).
What the lessons before left must stay what it was, everything that the session lists must be whole at every
moment, and the next run must finish.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import threading

import h5py
import nbformat
import numpy as np
import pytest
import tifffile

pytest.importorskip("papermill", reason="papermill runs the notebooks")

from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError

from workshop_utils import session
from workshop_utils.engine import cm, load_CNMF
from workshop_utils.lessons import STEPS, lesson
from workshop_utils.movies import data
from workshop_utils.session import runner

pytestmark = pytest.mark.notebooks

# The first line of a run names its seed: WORKSHOP_TEST_SEED=5 python -m pytest tests/test_interrupted.py
SEED = int(os.environ["WORKSHOP_TEST_SEED"])
CHOSEN = int(np.random.default_rng(SEED).integers(1, 7))
FRAMES = 160
# What a lesson writes anew on purpose, though an earlier one made it.
REWRITTEN = {4: {"params.json"}, 5: {"params.json", "cnmfe.hdf5"}}
# What a lesson may leave besides what it records; lesson 6 deletes the movie copies.
BESIDES = ("session.json", "run.json", "report.html", "components.html", "params.json", "motion.npz")

# Those that write large files, or write one again: they are also killed at a renaming.
WRITERS = (2, 4, 5, 6)

DIE = """
import os as _os, signal as _signal
_left, _real = [{count}], _os.replace

def _replace(*args, **options):
    _left[0] -= 1
    if _left[0] == 0 and not {after}:
        _os.kill(_os.getpid(), getattr(_signal, "SIGKILL", _signal.SIGTERM))
    _real(*args, **options)
    if _left[0] == 0:
        _os.kill(_os.getpid(), getattr(_signal, "SIGKILL", _signal.SIGTERM))

_os.replace = _replace
"""


class Course:
    """A results folder in which the lessons are run one after another."""

    def __init__(self, folder):
        self.folder = folder / "results & more"
        self.movie = folder / "mouse 1.tif"
        tifffile.imwrite(self.movie, tifffile.imread(data.get("demo"))[:FRAMES], photometric="minisblack")
        self.done = 0

    def run(self, number):
        lines = []
        runner.run(self.movie, self.folder, engine="embedded", steps=[number], say=lines.append)
        self.done = number
        return "\n".join(lines)

    def before(self, number):
        """Have all lessons before this one run; those that were interrupted here are finished."""
        for missing in range(self.done + 1, number):
            self.run(missing)

    def start(self, number, kill):
        """Execute a lesson until its kernel is dead; say in which code cell that was."""
        notebook = nbformat.read(lesson(number), as_version=4)
        position = next(
            n for n, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", [])
        )
        own = f"movie = {str(self.movie)!r}\nresults = {str(self.folder)!r}\n{kill.code}"
        notebook.cells.insert(position + 1, nbformat.v4.new_code_cell(own))
        inside = self.folder.parent / "kernel"
        inside.mkdir(exist_ok=True)
        environment = os.environ | {"WORKSHOP_HEADLESS": "1", "WORKSHOP_ENGINE": "embedded"}
        environment["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
        client = NotebookClient(
            notebook,
            timeout=120,
            kernel_name="python3",
            resources={"metadata": {"path": str(inside)}},
            extra_arguments=["--log-level=CRITICAL"],
        )
        with client.setup_kernel(env=environment):
            codes = [n for n, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
            chosen = codes[kill.cell % len(codes)] if kill.cell is not None else -1
            try:
                for n in codes:
                    if n == chosen:
                        process = client.km.provisioner.process
                        threading.Timer(kill.delay, process.kill).start()
                    client.execute_cell(notebook.cells[n], n)
            except DeadKernelError:
                return codes.index(n)
            client.km.provisioner.process.kill()  # it had less to write, or was faster
            return len(codes)

    def steps(self):
        return session.start(self.folder, self.movie).summary()["steps"]

    def kept(self, number):
        """Hash what the lessons before this one left; also what the session says of it."""
        entries = {
            name: entry
            for name, entry in self.steps().items()
            if STEPS[name] < number and not (name == "params" and number in REWRITTEN)
        }
        rewritten = REWRITTEN.get(number, set())
        paths = {
            item
            for entry in entries.values()
            for value in entry["values"].values()
            if hasattr(value, "is_file") and value != self.movie and value.name not in rewritten
            for item in ([value] if value.is_file() else value.rglob("*"))
        }
        hashes = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths if path.is_file()}
        return hashes, json.dumps(entries, default=str, sort_keys=True)


class Kill:
    """Where a kernel is to die: in a cell after a while, or at a renaming."""

    def __init__(self, cell=None, delay=0.0, code=""):
        self.cell, self.delay, self.code = cell, delay, code


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    return Course(tmp_path_factory.mktemp("course"))


def load(path):
    """Read all of a file; a torn one raises."""
    if path.is_dir():
        for item in path.iterdir():
            load(item)
    elif path.suffix == ".mmap":
        Yr, dims, T = cm.load_memmap(str(path))
        assert Yr.shape == (dims[0] * dims[1], T) and np.isfinite(Yr[:, -1]).all() and Yr[-1].any()
    elif path.suffix == ".npz":
        with np.load(path) as arrays:
            assert [arrays[name] for name in arrays.files]
    elif path.name.endswith("hdf5"):
        assert load_CNMF(str(path)).estimates.A.shape[0] == 128 * 128
    elif path.suffix == ".nwb":
        with h5py.File(path) as file:
            file.visititems(lambda name, item: item[()] if isinstance(item, h5py.Dataset) else None)
    elif path.suffix == ".csv":
        with path.open(newline="") as stream:
            assert len({len(row) for row in csv.reader(stream)}) == 1
    elif path.suffix == ".json":
        json.loads(path.read_text(encoding="utf-8"))
    else:
        assert tifffile.imread(path).size


def check_complete(course):
    """Everything that the session lists is there, and whole."""
    for entry in course.steps().values():
        for value in entry["values"].values():
            if hasattr(value, "is_file"):
                load(value)
    for name in ("session.json", "run.json"):
        if (course.folder / name).is_file():
            load(course.folder / name)


def check_tidy(course, number):
    """Nothing is left but what a lesson that nobody killed leaves."""
    recorded = {
        value
        for entry in course.steps().values()
        for value in entry["values"].values()
        if hasattr(value, "is_file")
    }
    inside = {item for value in recorded if value.is_dir() for item in value.iterdir()}
    names = [f"notebooks/{lesson(n).name}" for n in range(1, number + 1)]
    expected = recorded | inside | {course.folder / name for name in (*names, *BESIDES)}
    found = {path for path in course.folder.rglob("*") if path.is_file()}
    surplus = {path for path in found - expected if number == 6 or path.suffix != ".mmap"}
    hidden = {path for path in found if path.name.startswith(".") or ".part" in path.name}
    assert sorted(surplus | hidden) == []


@pytest.mark.parametrize(
    "number", [pytest.param(n, marks=pytest.mark.soak(kept=n == CHOSEN)) for n in range(1, 7)]
)
def test_lesson_survives_killed_kernels(course, number):
    rng = np.random.default_rng([SEED, number])
    course.before(number)
    kept = course.kept(number)
    assert bool(kept[0]) == (number > 2)
    kills = [Kill(cell=int(rng.integers(1000)), delay=float(rng.uniform(0, 0.5)))]
    if number in WRITERS:
        kills.append(Kill(code=DIE.format(count=int(rng.integers(1, 8)), after=bool(rng.integers(2)))))
    for kill in kills:
        where = course.start(number, kill)
        print(f"lesson {number}: killed in code cell {where}")
        assert course.kept(number) == kept
        check_complete(course)
    said = course.run(number)
    assert "[1/1]" in said and ": ok, " in said
    assert course.kept(number) == kept
    check_complete(course)
    check_tidy(course, number)
    assert all(name in course.steps() for name, step in STEPS.items() if step == number)
