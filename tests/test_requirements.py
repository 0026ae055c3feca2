"""Two ways to the lessons on CaImAn: what conda reads, and what pip adds to a CaImAn that is there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

yaml = pytest.importorskip("yaml", reason="PyYAML reads environment.yml")

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENTS = ROOT / "requirements_caiman.txt"
ENVIRONMENT = ROOT / "environment.yml"
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
# What CaImAn's own installation brings, by itself or with what it needs, and under which name conda has it.
COMES_WITH_CAIMAN = {
    "bokeh",
    "h5py",
    "holoviews",
    "ipywidgets",
    "matplotlib",
    "numba",
    "numpy",
    "opencv-python-headless",
    "psutil",
    "scipy",
    "tifffile",
    "tqdm",
} | {"jinja2", "packaging", "pillow"}  # bokeh needs them
COMES_WITH_CAIMAN |= {"threadpoolctl"}  # scikit-learn needs it
CONDA_NAMES = {"opencv-python-headless": "opencv"}
# Release 1.12 pins numpy below 2 and runs on bokeh 3 (CaImAn #1127, #1354).
BESIDE = ["numpy<2", "bokeh>=3.1"]
NEVER = {
    "caiman",
    "numpy",
    "bokeh",
    "tensorflow",
    "keras",
    "torch",
    "opencv-python",
    "opencv-python-headless",
}


def lines() -> list[str]:
    text = REQUIREMENTS.read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


def runtime() -> set[str]:
    return {canonicalize_name(Requirement(line).name) for line in PYPROJECT["project"]["dependencies"]}


def environment() -> tuple[dict, dict[str, str]]:
    content = yaml.safe_load(ENVIRONMENT.read_text(encoding="utf-8"))
    named = [re.fullmatch(r"([a-z0-9_.-]+)(.*)", line) for line in content["dependencies"]]
    assert all(named), "one package a line, as conda writes them"
    return content, {line[1]: line[2] for line in named}


def test_each_line_is_one_pinned_requirement_that_pip_can_read():
    names = []
    for line in lines():
        found = Requirement(line)
        names.append(canonicalize_name(found.name))
        assert [part.operator for part in found.specifier] == ["=="], line
        Version(next(iter(found.specifier)).version)
    assert names == sorted(set(names))
    assert not NEVER & set(names)


def test_pinned_versions_are_what_the_package_wants():
    project = PYPROJECT["project"]
    asked = map(Requirement, [*project["dependencies"], *project["optional-dependencies"]["notebooks"]])
    wanted = {canonicalize_name(one.name): one for one in asked}
    for line in lines():
        found = Requirement(line)
        version = next(iter(found.specifier)).version
        assert version in wanted[canonicalize_name(found.name)].specifier, line


def test_with_caiman_every_dependency_is_there():
    brought = {canonicalize_name(Requirement(line).name) for line in lines()} | {
        "click"
    }  # papermill needs it
    assert runtime() <= brought | COMES_WITH_CAIMAN
    assert not brought & COMES_WITH_CAIMAN, "pip would replace what conda has installed"


def test_environment_comes_from_conda_forge_alone():
    content, packages = environment()
    assert content["name"] and content["channels"] == ["conda-forge", "nodefaults"]
    assert packages["caiman"] == ">=1.12"
    assert Version("3.11") >= Version(re.search(r">=([\d.]+)", packages["python"])[1])
    assert {"pip", "jupyterlab", "papermill", "pynwb"} <= set(packages)
    assert not NEVER - {"caiman", "bokeh"} & set(packages)


def test_environment_covers_every_dependency():
    _, packages = environment()
    missing = {CONDA_NAMES.get(name, name) for name in runtime()} - set(packages)
    assert missing <= COMES_WITH_CAIMAN
    assert missing <= {"numpy", "scipy"}, "CaImAn pins these itself"


def test_environment_says_how_the_package_gets_in():
    text = ENVIRONMENT.read_text(encoding="utf-8")
    # pip reads a `pip:` section of the file without options, so it would put its own copies over conda's.
    assert "python -m pip install --no-deps --editable ." in text
    assert not [entry for entry in yaml.safe_load(text)["dependencies"] if isinstance(entry, dict)]


def resolved(folder: Path, python: str) -> dict[str, str]:
    """Ask pip what it would install for a Python version beside CaImAn."""
    (folder / "beside.txt").write_text("\n".join(BESIDE))
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet"]
    command += ["--only-binary", ":all:", "--python-version", python, "--target", str(folder / "nothing")]
    command += ["--report", str(folder / "report.json"), "--constraint", str(folder / "beside.txt")]
    done = subprocess.run(
        [*command, "--requirement", str(REQUIREMENTS)], capture_output=True, text=True, timeout=300
    )
    unreachable = (
        "NewConnectionError",
        "Failed to establish",
        "Could not fetch",
        "ConnectTimeout",
        "ProxyError",
    )
    if done.returncode and any(word in done.stderr for word in unreachable):
        pytest.skip("no package index can be reached here")
    assert done.returncode == 0, done.stderr
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    found = (item["metadata"] for item in report["install"])
    return {canonicalize_name(about["name"]): about["version"] for about in found}


@pytest.mark.parametrize("python", ["3.11", pytest.param("3.12", marks=pytest.mark.soak)])
def test_pip_installs_every_line_and_leaves_caimans_packages_alone(python, tmp_path):
    installed = resolved(tmp_path, python)
    for line in lines():
        wanted = Requirement(line)
        assert installed[canonicalize_name(wanted.name)] in wanted.specifier, line
    assert not NEVER & set(installed)
