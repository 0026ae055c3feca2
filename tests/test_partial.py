from __future__ import annotations

import os
import subprocess
import sys
import time

import psutil
import pytest

from cnmf_engine.base.files import is_gone, owner, replacing
from workshop_utils import files

KILLED = """
import os, signal, sys
from {module} import replacing
with replacing(sys.argv[1]) as partial:
    partial.write_bytes(b"half")
    os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
"""


def killed(module: str, path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED.format(module=module), str(path)], capture_output=True
    )
    assert done.returncode != 0 and b"Traceback" not in done.stderr


@pytest.mark.parametrize("module", ["cnmf_engine.base.files", "workshop_utils.files"])
def test_next_write_removes_what_a_killed_one_left(tmp_path, module):
    path = tmp_path / "mäuse & [1].npz"
    path.write_bytes(b"whole")
    killed(module, path)
    killed(module, path.with_name("other.npz"))
    assert path.read_bytes() == b"whole" and len(list(tmp_path.iterdir())) == 3
    with replacing(path) as partial:
        partial.write_bytes(b"new")
        assert partial.suffix == ".npz"
    left = sorted(item.name for item in tmp_path.iterdir())
    assert left[1:] == [path.name] and left[0].startswith(".other.") and path.read_bytes() == b"new"


def test_writers_that_live_are_left_alone(tmp_path):
    path = tmp_path / "a.csv"
    with replacing(path) as mine, files.replacing(path) as second:
        mine.write_text("1")
        second.write_text("2")
        start = int(psutil.Process(os.getppid()).create_time())
        machine = owner().split("-")[0]
        parent = tmp_path / f".a.{machine}-{os.getppid()}-{start}-0.part.csv"
        parent.write_text("3")
        with replacing(path) as third:
            third.write_text("4")
        assert all(item.exists() for item in (mine, second, parent))
    assert path.read_text() == "1"


def test_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "new" / "a.txt"
    files.write_text(path, "old")
    with pytest.raises(ZeroDivisionError), files.replacing(path) as partial:
        partial.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "old" and [item.name for item in path.parent.iterdir()] == ["a.txt"]


def test_owners_are_told_apart():
    mine, now = owner(), time.time()
    machine, pid, start, number = mine.split("-")
    assert owner() != mine and not is_gone(mine, 0)
    assert is_gone(f"{machine}-{pid}-{int(start) - 100}-{number}", now), "the number was used again"
    assert is_gone(f"{machine}-{2**40}-{start}-{number}", now)
    assert not is_gone(f"abcdef-{pid}-{start}-{number}", now)
    assert is_gone(f"abcdef-{pid}-{start}-{number}", now - 60, idle=30)


def test_path_is_followed_to_where_it_ends(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "a.txt").write_text("")
    (tmp_path / ".hidden").write_text("")
    assert files.first_missing(tmp_path / "c" / "d") == tmp_path / "c"
    assert files.first_missing(tmp_path / "a.txt") is None
    assert files.listing(tmp_path) == "'a.txt', 'b/'" and files.listing(tmp_path, 1) == "'a.txt' and 1 more"
    assert files.listing(tmp_path / "b") == "nothing" and "can't be listed" in files.listing(tmp_path / "c")
