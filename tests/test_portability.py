"""What Windows and macOS do otherwise: spawned processes, files in use, names, paths of both kinds."""

from __future__ import annotations

import ast
import functools
import multiprocessing
import os
import pickle
import re
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np
import psutil
import pytest

import cnmf_engine as cm
from cnmf_engine.base import files as partial
from cnmf_engine.base import parallel as workers
from cnmf_engine.base.errors import FileInUseError
from cnmf_engine.caiman.params import CNMFParams
from cnmf_engine.movies.maps import memmap_name, parse_memmap_name
from workshop_utils import system

ROOT = Path(__file__).resolve().parents[1]
OWN = [*(ROOT / "cnmf_engine").rglob("*.py"), *(ROOT / "workshop_utils").rglob("*.py")]
# https://learn.microsoft.com/windows/win32/fileio/naming-a-file
ILLEGAL = re.compile(r'[<>:"|?*\\\x00-\x1f]|[. ]$|^(con|prn|aux|nul|com\d|lpt\d)(\.|$)', re.IGNORECASE)
# Only some systems have these. `os` names that are asked for with hasattr or getattr are found by the test.
POSIX_ONLY = {"fcntl", "grp", "posix", "pwd", "pty", "resource", "syslog", "termios", "tty"}
POSIX_CALLS = {"fork", "forkpty", "getuid", "geteuid", "killpg", "mkfifo", "sched_getaffinity", "setsid"}


def correct(path: str) -> tuple[str, list[float], int]:
    """Correct a movie's motion with threads, as a script does in its process."""
    _, dview, n = cm.cluster.setup_cluster(backend="multiprocessing", n_processes=2)
    try:
        done = cm.motion_correction.MotionCorrect(path, dview=dview, max_shifts=(4, 4), pw_rigid=False)
        done.motion_correct(save_movie=True)
    finally:
        cm.stop_server(dview=dview)
    Yr, dims, T = cm.load_memmap(done.fname_tot_rig[0])
    assert Yr.shape == (dims[0] * dims[1], T)
    return (
        multiprocessing.get_start_method(),
        np.ravel(done.shifts_rig).tolist(),
        len(psutil.Process().children()),
    )


def test_engine_works_in_a_spawned_process(small_movie, tmp_path, tmp_caiman):
    path = tmp_path / "small.npy"
    np.save(path, small_movie)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        method, shifts, children = pool.submit(correct, str(path)).result(timeout=120)
    assert method == "spawn" and children == 0
    assert shifts == correct(str(path))[1]


def test_cluster_starts_no_process():
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    _, dview, n = cm.cluster.setup_cluster(backend="multiprocessing", n_processes=3)
    try:
        dview.map(np.square, range(20))
        after = {child.pid for child in psutil.Process().children(recursive=True)}
        assert after <= before and multiprocessing.active_children() == []
    finally:
        cm.stop_server(dview=dview)


def test_what_a_script_hands_to_its_processes_can_be_pickled(small_movie):
    movie = pickle.loads(pickle.dumps(cm.movie(small_movie, fr=12.5)))
    assert movie.fr == 12.5 and np.array_equal(movie, small_movie)
    copy = pickle.loads(pickle.dumps(CNMFParams(params_dict={"gSig": (3, 3), "min_corr": 0.7})))
    assert tuple(copy.init["gSig"]) == (3, 3) and copy.init["min_corr"] == 0.7


def test_processors_are_counted_where_nothing_tells_of_affinity(monkeypatch):
    for name in ("sched_getaffinity", "process_cpu_count"):
        monkeypatch.delattr(os, name, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert workers.available_cpus() == 6 and system.machine().cpus == 6
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert workers.available_cpus() == 1 and system.machine().cpus == 1


@functools.cache
def parsed(text: str | None = None) -> list[tuple[str, ast.Module]]:
    """Read the project's modules, or one text in their place."""
    if text is not None:
        return [("text", ast.parse(text))]
    return [(path.relative_to(ROOT).as_posix(), ast.parse(path.read_text(encoding="utf-8"))) for path in OWN]


def guarded(tree: ast.Module) -> set[str]:
    """Names of `os` that a module asks for before it uses them."""
    calls = (
        node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    )
    asked = (call.args[1] for call in calls if call.func.id in ("hasattr", "getattr") and len(call.args) > 1)
    return {node.value for node in asked if isinstance(node, ast.Constant)}


def posix_only(modules: list[tuple[str, ast.Module]]) -> list[tuple[str, str]]:
    found = set()
    for name, tree in modules:
        used = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                used |= {alias.name for alias in node.names} & POSIX_ONLY
            elif isinstance(node, ast.ImportFrom):
                used |= {node.module} & POSIX_ONLY
            elif isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "os":
                used |= {node.attr} & POSIX_CALLS
        found |= {(name, one) for one in used - guarded(tree)}
    return sorted(found)


def test_nothing_needs_what_only_posix_has():
    assert posix_only(parsed()) == []
    unguarded = "import fcntl\nimport os\nos.fork()\nos.getuid() if hasattr(os, 'getuid') else 0\n"
    assert posix_only(parsed(unguarded)) == [("text", "fcntl"), ("text", "fork")]


def without_encoding(modules: list[tuple[str, ast.Module]]) -> list[tuple[str, int]]:
    found = []
    for module, tree in modules:
        for node in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            texts = {arg.value for arg in node.args if isinstance(arg, ast.Constant)}
            opens = name == "open" and texts & {"r", "rt", "w", "wt", "a", "x"}
            # The project's own write_text(path, text) has two arguments and writes UTF-8.
            writes = name == "write_text" and len(node.args) == 1
            if (opens or writes) and "encoding" not in {keyword.arg for keyword in node.keywords}:
                found.append((module, node.lineno))
    return found


def test_text_is_written_in_utf_8():
    """Windows takes its own encoding for text unless it is told."""
    assert without_encoding(parsed()) == []
    assert without_encoding(parsed("open(path, 'w')\npath.write_text('é')\n")) == [("text", 1), ("text", 2)]


def test_file_that_another_program_holds_is_named(tmp_path, monkeypatch):
    target = tmp_path / "traces.csv"
    target.write_text("old")

    def refuse(source, destination):
        raise PermissionError(13, "The process cannot access the file")

    monkeypatch.setattr(partial.os, "replace", refuse)
    monkeypatch.setattr(partial, "_WAITS", (0.0, 0.0))
    with pytest.raises(FileInUseError, match="traces.csv.*\n.*cannot access.*\n.*Excel") as raised:
        with partial.replacing(target) as temporary:
            temporary.write_text("new")
    assert isinstance(raised.value, PermissionError)
    assert target.read_text() == "old" and list(tmp_path.iterdir()) == [target]


def test_file_that_a_scanner_holds_for_a_moment_is_replaced(tmp_path, monkeypatch):
    real, refusals = os.replace, [1, 2]

    def replace(source, destination):
        if refusals:
            refusals.pop()
            raise PermissionError(13, "Access is denied")
        real(source, destination)

    monkeypatch.setattr(partial.os, "replace", replace)
    monkeypatch.setattr(partial, "_WAITS", (0.0, 0.0, 0.0))
    with partial.replacing(tmp_path / "a.csv") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "a.csv").read_text() == "new" and not refusals


def test_writers_own_error_is_shown_where_its_file_cannot_be_removed(tmp_path, monkeypatch):
    def held(self, missing_ok=False):
        raise PermissionError(13, "Access is denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", held)
        with pytest.raises(ValueError, match="half way"), partial.replacing(tmp_path / "a.tif") as temporary:
            temporary.write_bytes(b"x")
            raise ValueError("half way")


@pytest.mark.parametrize(
    "path",
    [
        PureWindowsPath("D:\\my data\\mouse_d1_7"),
        PureWindowsPath("\\\\server\\share\\Mäuse\\rec"),
        PurePosixPath("/Volumes/My Drive/d2_rec"),
    ],
)
def test_names_of_memory_maps_are_read_with_paths_of_either_kind(path):
    name = memmap_name(str(path), (110, 130), "C", 900)
    assert parse_memmap_name(name) == (110, 130, 1, "C", 900)
    assert not ILLEGAL.search(type(path)(name).name)


def test_temporary_names_are_legal_on_windows(tmp_path):
    with partial.replacing(tmp_path / ("recording " * 20 + ".tif")) as temporary:
        temporary.write_bytes(b"")
        assert not ILLEGAL.search(temporary.name) and len(temporary.name) < 130


def test_run_leaves_names_that_every_system_can_hold(demo):
    names = [path.relative_to(demo.folder) for path in demo.folder.rglob("*")]
    assert len(names) > 20
    assert [name for name in names if any(ILLEGAL.search(part) for part in name.parts)] == []
    # macOS and Windows take these for one file.
    assert len({name.as_posix().casefold() for name in names}) == len(names)
    # 260 are what Windows allows, the folder included.
    assert max(len(name.as_posix()) for name in names) < 120


def test_session_file_of_a_run_names_no_path_of_this_machine_inside_the_folder(demo):
    text = (demo.folder / "session.json").read_text(encoding="utf-8")
    assert demo.folder.as_posix() not in text and "\\\\" not in text
