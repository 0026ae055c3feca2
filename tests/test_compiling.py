"""First use: kernels are kept where that is possible, and one line says that they are being compiled."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import cnmf_engine
from cnmf_engine.base import compiling

KERNEL = """
import numpy as np
import cnmf_engine
from cnmf_engine.base.compiling import announce_compilation
announce_compilation()
announce_compilation()
from cnmf_engine.stages.deconvolution.oasis import oasis_ar1
c, s = oasis_ar1(np.array([0.0, 1, 0.5, 0.25, 0.125]), 0.5)
assert np.allclose(c, [0, 1, 0.5, 0.25, 0.125])
"""


def run(code, folder, **environment):
    """Run code in a fresh process that finds the package in a folder."""
    keep = {
        name: value for name, value in os.environ.items() if name not in ("NUMBA_CACHE_DIR", "PYTHONPATH")
    }
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=keep | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"} | environment,
        capture_output=True,
        text=True,
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    return done


def read_only_copy(tmp_path):
    """A copy of the package in which no folder of compiled code can be made, also not by root."""
    source = Path(cnmf_engine.__file__).parent
    target = tmp_path / "site" / "cnmf_engine"
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    for folder in [target, *(path for path in target.rglob("*") if path.is_dir())]:
        (folder / "__pycache__").write_text("in the way")
    return target.parent


def test_kernels_are_compiled_once_and_a_line_says_so(tmp_path):
    package = Path(cnmf_engine.__file__).parents[1]
    cache = tmp_path / "cache"
    first = run(KERNEL, package, NUMBA_CACHE_DIR=str(cache))
    assert first.stderr.count("Compiling") == 1
    assert "once" in first.stderr and "10 s" in first.stderr
    assert list(cache.rglob("*.nbi"))
    second = run(KERNEL, package, NUMBA_CACHE_DIR=str(cache))
    assert second.stderr == ""


def test_it_works_where_nothing_can_be_written(tmp_path):
    site = read_only_copy(tmp_path)
    (tmp_path / "temp").mkdir()
    code = KERNEL + "\nimport os; print(cnmf_engine.__file__); print(os.environ['NUMBA_CACHE_DIR'])"
    nowhere = {"HOME": "/dev/null", "XDG_CACHE_HOME": "/dev/null/cache", "TMPDIR": str(tmp_path / "temp")}
    done = run(code, site, **nowhere)
    where, cache = done.stdout.split()
    assert Path(where).is_relative_to(site)
    assert Path(cache).parent == tmp_path / "temp"
    assert list(Path(cache).rglob("*.nbi"))
    assert run(code, site, **nowhere).stderr == "", "the folder is found again"


def test_a_folder_that_can_be_written_is_left_to_numba(tmp_path, monkeypatch):
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    compiling.ensure_cache()
    assert "NUMBA_CACHE_DIR" not in os.environ
    monkeypatch.setattr(compiling, "_writable", lambda folder: False)
    monkeypatch.setattr(compiling.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(compiling.tempfile, "mkdtemp", lambda prefix: str(tmp_path / "other"))
    monkeypatch.setattr(compiling.sys, "modules", {})
    compiling.ensure_cache()
    # Also the usual temporary folder can't be written: one more is made.
    assert os.environ["NUMBA_CACHE_DIR"] == str(tmp_path / "other")


def test_order_one_leaves_the_kernels_of_order_two_alone(tmp_path):
    # Kernels are compiled when they are first called.
    code = """
import numpy as np
from cnmf_engine.stages.deconvolution import pivoting
from cnmf_engine.stages.deconvolution.foopsi import constrained_foopsi
y = np.random.default_rng(0).normal(size=200)
constrained_foopsi(y, p=1)
assert not pivoting.start_sides.signatures
constrained_foopsi(y, p=2)
assert pivoting.start_sides.signatures
"""
    run(code, Path(cnmf_engine.__file__).parents[1])


def test_kernels_of_others_are_not_announced(capsys, monkeypatch):
    monkeypatch.setitem(compiling._state, "said", False)
    compiling._say("numba.np.arrayobj")
    assert capsys.readouterr().err == ""
    compiling._say("cnmf_engine.stages.deconvolution.oasis")
    compiling._say("cnmf_engine.stages.deconvolution.oasis")
    assert capsys.readouterr().err.count("\n") == 1
