"""The wheel alone runs the workshop: lessons, demo movie and report template travel in it."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_wheel_holds_what_a_run_needs(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    resources = "workshop_utils/_resources"
    assert {
        "workshop_utils/session/report.html.j2",
        "cnmf_engine/__init__.py",
        f"{resources}/notebooks/00_all_in_one.ipynb",
        f"{resources}/data/demo_ca1.tif",
        f"{resources}/data/demo_ca1_truth.npz",
        f"{resources}/data/registry.json",
        f"{resources}/requirements_caiman.txt",
    } <= names
    assert sum(name.startswith(f"{resources}/notebooks/0") and name.endswith(".ipynb") for name in names) == 8
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/"))]


def test_wheel_works_without_the_checkout(wheel, tmp_path):
    place = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(place)
    code = (
        "from workshop_utils import data, lessons, report, session\n"
        "s = session.start('out', 'demo')\n"
        "found = [data.get('demo'), lessons.lesson(6), s.truth is not None and s.movie]\n"
        "print(*found, report.build('out'), sep='\\n')"
    )
    env = os.environ | {"PYTHONPATH": str(place)}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    *found, page = map(Path, done.stdout.splitlines())
    assert len(found) == 3 and all(path.is_relative_to(place) for path in found), done.stdout
    assert "demo_ca1.tif" in page.read_text(encoding="utf-8")
