"""A disk that takes no more: an error that says so, nothing under the final name, Python goes on."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

import cnmf_engine as cm
from cnmf_engine.base.errors import DiskFullError
from cnmf_engine.base.files import check_room, replacing

Usage = namedtuple("Usage", "total used free")
FORMATS = ("npy", "npz", "tif", "hdf5", "avi", "mkv", "mmap")
LIMIT = 200_000

# Every way to write, into a folder that takes no file above a limit (or is full); what each says.
WRITERS = """
import os, sys
import numpy as np
from scipy import sparse
import cnmf_engine as cm
from cnmf_engine.caiman.cnmf import CNMF
from cnmf_engine.base.errors import DiskFullError, InputError
from cnmf_engine.caiman.params import CNMFParams
from workshop_utils.session.export import export_csv, export_footprints

folder, limit = sys.argv[1], int(sys.argv[2])
if sys.argv[3] == "late":
    # As if another program took the room while the file is written.
    from cnmf_engine.base.files import check_room
    check_room.__code__ = (lambda path, size: None).__code__
rng = np.random.default_rng(0)
movie = cm.movie(rng.random((300, 64, 64), dtype=np.float32), fr=20)
cnm = CNMF(1, params=CNMFParams(dims=(64, 64)))
est, est_T = cnm.estimates, 4000
est.dims = (64, 64)
est.A = sparse.random(4096, 30, 0.5, "csc", np.float32, random_state=1)
est.C = est.S = est.YrA = rng.random((30, est_T), dtype=np.float32)
writers = {name: (lambda name=name: movie.save(f"{folder}/x.{name}")) for name in sys.argv[4:]}
writers |= {
    "tif compressed": lambda: movie.save(f"{folder}/x.tif", compress=1),
    "order C": lambda: cm.save_memmap(movie, base_name=f"{folder}/m", order="C"),
    "resized C": lambda: cm.save_memmap(movie, base_name=f"{folder}/r", order="C", resize_fact=(1, 1, 0.5)),
    "resized F": lambda: cm.save_memmap(movie, base_name=f"{folder}/r", order="F", resize_fact=(1, 1, 0.5)),
    "model": lambda: cnm.save(f"{folder}/fit.hdf5"),
    "table": lambda: export_csv(est, 20, folder),
    "footprints": lambda: export_footprints(est, folder),
    "played": lambda: movie.play(backend="pyplot", save_movie=True, movie_name=f"{folder}/p.avi"),
}
import matplotlib
matplotlib.use("Agg")
if limit:
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
for name, write in writers.items():
    try:
        write()
        print(f"{name}: written", flush=True)
    except (DiskFullError, InputError) if name in ("avi", "mkv", "played") else DiskFullError as error:
        print(f"{name}: {str(error).count(chr(10)) + 1} parts", flush=True)
    except Exception as error:
        print(f"{name}: {type(error).__name__} {error}".replace(chr(10), " "), flush=True)
    left = os.listdir(folder)
    if left:
        print(f"{name}: left {left}", flush=True)
"""


def run(folder, limit, early=True):
    command = [sys.executable, "-c", WRITERS, str(folder), str(limit), "early" if early else "late", *FORMATS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=Path(__file__).parents[1])
    assert done.returncode == 0, (done.returncode, done.stdout, done.stderr)
    lines = done.stdout.splitlines()
    assert len(lines) >= len(FORMATS)
    assert [line for line in lines if not line.endswith(": 3 parts")] == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows knows no limit of a file's size")
def test_every_writer_meets_the_end_of_the_disk(tmp_path):
    run(tmp_path, LIMIT)


@pytest.mark.parametrize("early", [True, False])
def test_every_writer_meets_a_small_disk(tmp_path, early):
    mounted = False
    with contextlib.suppress(OSError):
        command = ["mount", "-t", "tmpfs", "-o", f"size={LIMIT}", "tmpfs", str(tmp_path)]
        mounted = subprocess.run(command, capture_output=True).returncode == 0
    if not mounted:
        pytest.skip("needs the right to mount a disk")
    try:
        run(tmp_path, 0, early)
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


@pytest.mark.parametrize("name", ["x.npy", "x.npz", "x.tif", "x.hdf5", "x.mmap"])
def test_what_is_missing_is_said_before_anything_is_written(tmp_path, monkeypatch, name):
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(10**9, 10**9 - 10**6, 10**6))
    with pytest.raises(DiskFullError, match=r"(?s)room for 1\.\d MB.*'x.*1\.0 MB free.*0\.\d MB too little"):
        cm.movie(np.zeros((100, 64, 64), np.float32)).save(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_room_that_is_made_is_enough(tmp_path, monkeypatch):
    free = [10**6]
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(10**9, 0, free[0]))
    with pytest.raises(DiskFullError) as refused:
        check_room(tmp_path / "x", 3_500_000)
    missing = float(str(refused.value).split("free at least ")[1].split(" MB")[0])
    free[0] += int(missing * 1e6)
    check_room(tmp_path / "x", 3_500_000)


def test_an_older_file_stays(tmp_path):
    (tmp_path / "x.txt").write_text("old")
    with pytest.raises(DiskFullError, match="takes no more"), replacing(tmp_path / "x.txt") as partial:
        partial.write_text("ne")
        raise OSError(28, "No space left on device")
    assert [(item.name, item.read_text()) for item in tmp_path.iterdir()] == [("x.txt", "old")]


def test_other_errors_stay_what_they_are(tmp_path):
    with pytest.raises(ValueError, match="wrong"), replacing(tmp_path / "x.txt"):
        raise ValueError("wrong")


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_movie_with_other_frames_is_the_same_in_both_orders(tmp_path, order):
    movie = np.random.default_rng(0).random((12, 5, 4), dtype=np.float32)
    path = cm.save_memmap(movie, base_name=tmp_path / "r", order=order, resize_fact=(1, 1, 0.5))
    Yr, dims, T = cm.load_memmap(path)
    assert (dims, T) == ((5, 4), 6)
    pairs = movie.reshape(6, 2, 5, 4).mean(axis=1)
    np.testing.assert_allclose(Yr, pairs.transpose(0, 2, 1).reshape(6, -1).T, atol=1e-6)
    assert len(list(tmp_path.iterdir())) == 1
