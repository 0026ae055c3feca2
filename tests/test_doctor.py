"""Each fault of a machine is a line that names it and says what mends it."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from cnmf_engine.base.errors import InputError, explain
from cnmf_engine.view import resources
from workshop_utils import colab, places, session, system
from workshop_utils.classroom import doctor
from workshop_utils.classroom.doctor import checks, software
from workshop_utils.classroom.doctor.checks import Check, Fault, looked

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def plain(monkeypatch, tmp_path):
    """No variables of the workshop, no wait for the internet, and a working directory of the test's own."""
    for name in [name for name in os.environ if name.startswith("WORKSHOP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(resources, "cdn_reachable", lambda: True)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def without_imports(monkeypatch):
    """Leave the engine's import to the tests that are about it."""
    monkeypatch.setattr(software.Imports, "__init__", lambda self: None)
    monkeypatch.setattr(software.Imports, "checks", lambda self: iter(()))


@pytest.fixture
def distribution(tmp_path, monkeypatch):
    """Make a package that counts as installed, before all others of its name."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))

    def make(name: str, version: str, *lines: str) -> Path:
        about = folder / f"{name.replace('-', '_')}-{version}.dist-info"
        about.mkdir()
        text = "\n".join(["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *lines])
        (about / "METADATA").write_text(text + "\n")
        return folder

    return make


def one(found: list[Check], name: str) -> Check:
    return next(check for check in found if check.name == name)


def test_a_sound_machine_is_well_and_nothing_is_left_behind(capsys, tmp_path):
    assert doctor.show("demo", tmp_path / "new" / "results")
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith("OK    ") for line in lines[:-2]) and lines[-1].startswith("All is well (")
    text = "\n".join(lines)
    for part in ("embedded engine", "1000 frames of 128 x 128 px", "answer key", "free of", "bokeh"):
        assert part in text
    assert list(tmp_path.iterdir()) == []


def test_faults_are_listed_with_what_mends_them(capsys, tmp_path, without_imports):
    assert not doctor.show("demmo", tmp_path)
    lines = capsys.readouterr().out.splitlines()
    place = next(i for i, line in enumerate(lines) if line.startswith("FAIL  movie: "))
    assert "'demo'" in lines[place + 1] and lines[place + 1].startswith("      -> ")
    assert lines[-1] == "To mend: movie."


def test_a_look_that_fails_is_a_line():
    def crash() -> str:
        raise ZeroDivisionError("by\nnought")

    check = looked("memory", crash)
    assert check == Check("memory", False, "couldn't be looked at (ZeroDivisionError: by nought)", check.fix)
    assert "report" in check.fix


def test_an_error_in_the_workshops_words_is_taken_apart():
    def refuse() -> str:
        raise InputError(explain("a movie", "two\nlines, e.g. a.tif", "name one"))

    assert looked("movie", refuse) == Check(
        "movie", False, "two lines, e.g. a.tif (expected: a movie)", "name one"
    )


def test_a_module_that_is_missing_is_installed_under_its_packages_name():
    def look() -> str:
        raise ModuleNotFoundError("No module named 'cv2'", name="cv2")

    assert looked("movie", look).fix.endswith("pip install opencv-python-headless")


def test_command_is_the_one_of_this_python(monkeypatch):
    monkeypatch.setattr(places, "in_kernel", lambda: False)
    monkeypatch.setattr(checks.shutil, "which", lambda name: sys.executable)
    assert checks.pip_install("numpy>=1.26") == 'python -m pip install "numpy>=1.26"'
    monkeypatch.setattr(checks.shutil, "which", lambda name: "/usr/bin/another")
    assert checks.pip_install("numpy").startswith(sys.executable)
    monkeypatch.setattr(sys, "executable", "C:\\Program Files\\python.exe")
    assert checks.pip_command() == '"C:\\Program Files\\python.exe" -m pip'
    monkeypatch.setattr(places, "in_kernel", lambda: True)
    assert checks.pip_install("numpy") == "%pip install numpy in a cell, then restart the kernel"


def test_python_that_is_too_old(monkeypatch):
    assert looked("Python", software.python).ok
    monkeypatch.setattr(sys, "version_info", (3, 9, 1, "final", 0))
    check = looked("Python", software.python)
    assert not check.ok and "3.9.1" in check.found and ">=3.11" in check.found
    assert "python=3.12" in check.fix


def test_package_that_is_too_old_or_missing_has_a_line_of_its_own(distribution, monkeypatch):
    assert [check.name for check in software.packages()] == ["packages"]
    distribution("bokeh", "2.4.3")
    distribution(
        "calcium-workshop",
        "0.1.0",
        "Requires-Dist: bokeh>=3.4",
        "Requires-Dist: no-such-thing>=2",
        "Requires-Dist: numpy>=1.26",
        'Requires-Dist: never-needed; extra == "dev"',
        'Requires-Dist: pywin32>=9999; sys_platform == "nowhere"',
    )
    old, missing = software.packages()
    assert (old.name, missing.name) == ("bokeh", "no-such-thing") and not (old.ok or missing.ok)
    assert "2.4.3 is installed" in old.found and old.fix.endswith('pip install "bokeh>=3.4"')
    assert "not installed" in missing.found and missing.fix.endswith('pip install "no-such-thing>=2"')


def test_another_build_of_opencv_counts(distribution):
    distribution("opencv-contrib-python", "4.12.0")
    distribution("calcium-workshop", "0.1.0", "Requires-Dist: opencv-python-headless>=4.9")
    real = importlib.metadata.version

    def version(name: str) -> str:
        if name in ("opencv-python-headless", "opencv-python"):
            raise importlib.metadata.PackageNotFoundError(name)
        return real(name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importlib.metadata, "version", version)
        assert [check.ok for check in software.packages()] == [True]


def test_checkout_that_is_not_installed_knows_its_packages(monkeypatch):
    def unknown(name: str):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "metadata", unknown)
    monkeypatch.setattr(software, "version_of", lambda name: None)
    found = list(software.packages())
    assert {"numpy", "bokeh", "click"} <= {check.name for check in found}
    assert looked("Python", software.python).ok
    own = looked("workshop", software.workshop).found
    assert "not installed" in own and str(ROOT) in own


def test_namesake_of_caiman_is_a_fault(distribution):
    assert looked("CaImAn", software.caiman).ok and "embedded" in looked("CaImAn", software.caiman).found
    folder = distribution("caiman", "2.2.1", "Summary: a build tool for MicroPython")
    (folder / "caiman").mkdir()
    (folder / "caiman" / "__init__.py").write_text("raise RuntimeError('imported')\n")
    check = looked("CaImAn", software.caiman)
    assert not check.ok and "not CaImAn" in check.found
    assert "pip uninstall caiman" in check.fix and "conda" in check.fix


def test_real_caiman_that_is_too_old_is_a_fault(distribution):
    folder = distribution("caiman", "1.9.1", "Summary: Advanced algorithms for calcium imaging")
    inside = folder / "caiman" / "source_extraction" / "cnmf"
    inside.mkdir(parents=True)
    (inside / "params.py").write_text("")
    check = looked("CaImAn", software.caiman)
    assert not check.ok and "too old" in check.found and "conda install" in check.fix


def test_engine_that_was_asked_for_and_is_missing(monkeypatch):
    monkeypatch.setenv("WORKSHOP_ENGINE", "caiman")
    (check,) = software.Imports().checks()
    assert check.name == "engine" and not check.ok and "embedded" in check.fix


def test_compiled_package_that_is_installed_and_broken(tmp_path, monkeypatch):
    # In the working directory, as in somebody's folder with a numba.py of their own.
    (tmp_path / "numba.py").write_text("raise ImportError('numpy.core.multiarray failed to import')\n")
    found = list(software.Imports().checks())
    broken = one(found, "numba")
    assert not broken.ok and "multiarray failed" in broken.found and "--force-reinstall numba" in broken.fix
    assert found[-1].name == "engine"


def test_import_that_ends_python_is_a_line(tmp_path):
    (tmp_path / "cv2.py").write_text("import os\nos._exit(139)\n")
    (check,) = software.Imports().checks()
    assert not check.ok and "exit code 139" in check.found and "new environment" in check.fix


def test_it_speaks_where_even_numpy_is_missing(tmp_path):
    code = (
        "import sys\n"
        "for name in ('numpy', 'psutil', 'packaging'):\n"
        "    sys.modules[name] = None\n"
        "from workshop_utils import doctor\n"
        f"print(doctor.show('demo', {str(tmp_path / 'results')!r}))\n"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT), "BOKEH_RESOURCES": "inline"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True)
    lines = done.stdout.splitlines()
    assert done.stderr == "" and lines[-1] == "False" and "Traceback" not in done.stdout
    assert any(line.startswith("FAIL  movie: ") for line in lines)
    assert any(line.startswith("FAIL  memory: ") for line in lines)
    assert any("pip install numpy" in line for line in lines)


def test_movie_that_is_cut_off(tmp_path, without_imports, caplog):
    whole = tmp_path / "whole.tif"
    tifffile.imwrite(whole, np.zeros((40, 32, 32), np.uint16), photometric="minisblack")
    found = doctor.examine(whole, tmp_path / "results")
    assert one(found, "movie").ok and "40 frames of 32 x 32 px" in one(found, "movie").found
    assert "real recording" in one(found, "answer key").found
    data = whole.read_bytes()
    (tmp_path / "part.tif").write_bytes(data[: len(data) // 2])
    check = one(doctor.examine(tmp_path / "part.tif", tmp_path / "results"), "movie")
    assert not check.ok and "part.tif" in check.found and "copy" in check.fix
    assert caplog.records == []


def test_known_movie_is_not_downloaded_by_looking(monkeypatch, tmp_path, without_imports):
    from workshop_utils.movies import known

    monkeypatch.setattr(known, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(known, "fetch", lambda movie: pytest.fail("downloaded"))
    check = one(doctor.examine("data_endoscope.tif", tmp_path / "results"), "movie")
    assert check.ok and "downloads it from http" in check.found and not (tmp_path / "cache").exists()


def with_room(monkeypatch, memory: float = 8e9, disk: float = 1e12) -> None:
    usage = shutil.disk_usage("/" if os.name != "nt" else "C:\\")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=int(disk)))
    here = system.Machine(2, int(memory), int(memory), int(1e12), int(disk), Path("."))
    monkeypatch.setattr(system, "machine", lambda folder=".": here)


@pytest.fixture
def huge(tmp_path):
    """A movie of 64 GB as numbers; its file takes no room, as nothing has been written into it."""
    path = tmp_path / "huge.npy"
    np.lib.format.open_memmap(path, "w+", np.uint8, (16_000, 1000, 1000)).flush()
    return path


def test_huge_movie_is_read_from_its_file(huge, tmp_path, monkeypatch, without_imports):
    with_room(monkeypatch)
    found = doctor.examine(huge, tmp_path / "results")
    assert one(found, "memory").ok and "block by block" in one(found, "memory").found
    assert one(found, "results folder").ok


def test_huge_movie_is_too_large_for_caiman(huge, tmp_path, monkeypatch, without_imports):
    from workshop_utils import engine

    with_room(monkeypatch)
    monkeypatch.setattr(engine, "find_engine", lambda: engine.Engine("caiman", "1.13", "it is installed"))
    check = one(doctor.examine(huge, tmp_path / "results"), "memory")
    assert not check.ok and "64.0 GB" in check.found and "at most 1000 frames" in check.fix


def test_full_disk(huge, tmp_path, monkeypatch, without_imports):
    with_room(monkeypatch, disk=100e9)
    check = one(doctor.examine(huge, tmp_path / "results"), "results folder")
    assert not check.ok and "100.0 GB free" in check.found and "128.2 GB" in check.found
    assert "delete 28.2 GB" in check.fix


def test_maps_of_an_earlier_run_count_as_room(huge, tmp_path, monkeypatch, without_imports):
    with_room(monkeypatch, disk=100e9)
    (tmp_path / "results").mkdir()
    with (tmp_path / "results" / "huge_d1_1.mmap").open("wb") as file:
        file.truncate(64_000_000_000)
    assert one(doctor.examine(huge, tmp_path / "results"), "results folder").ok


def test_little_memory(tmp_path, monkeypatch, without_imports):
    with_room(monkeypatch, memory=0.5e9)
    check = one(doctor.examine("demo", tmp_path / "results"), "memory")
    assert not check.ok and "500.0 MB free" in check.found and "close" in check.fix


def test_file_where_the_results_should_go(tmp_path, without_imports):
    (tmp_path / "results").write_text("notes")
    check = one(doctor.examine("demo", tmp_path / "results" / "mine"), "results folder")
    assert not check.ok and "is a file" in check.found and "--results" in check.fix


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="/proc refuses files even to root")
def test_folder_that_refuses_files(without_imports):
    check = one(doctor.examine("demo", "/proc/results"), "results folder")
    assert not check.ok and "/proc can't be written to" in check.found


def test_results_of_another_movie(tmp_path, without_imports):
    tifffile.imwrite(tmp_path / "mine.tif", np.zeros((9, 16, 16), np.uint16), photometric="minisblack")
    session.start(tmp_path / "results", tmp_path / "mine.tif")
    assert one(doctor.examine(tmp_path / "mine.tif", tmp_path / "results"), "results so far").ok
    check = one(doctor.examine("demo", tmp_path / "results"), "results so far")
    assert not check.ok and "mine.tif" in check.found and "another folder" in check.fix


def test_damaged_session_is_a_line(tmp_path, without_imports):
    (tmp_path / "session.json").write_text("{")
    check = one(doctor.examine("demo", tmp_path), "results so far")
    assert not check.ok and "can't be read" in check.found and "delete it" in check.fix


def test_folders_follow_the_variables(tmp_path, monkeypatch, without_imports):
    monkeypatch.setenv("WORKSHOP_RESULTS", str(tmp_path / "drive" / "{movie}"))
    monkeypatch.setenv("WORKSHOP_SCRATCH", str(tmp_path / "fast"))
    found = doctor.examine("demo", "results")
    assert str(tmp_path / "drive" / "demo_ca1") in one(found, "results folder").found
    assert str(tmp_path / "fast") in one(found, "working files").found
    (tmp_path / "fast").write_text("")
    check = one(doctor.examine("demo", "results"), "working files")
    assert not check.ok and "WORKSHOP_SCRATCH" in check.fix


def in_place(monkeypatch, name: str, temporary: bool = False) -> list[Check]:
    monkeypatch.setattr(places, "where", lambda: places.Place(name, temporary, "advice"))
    return list(software.front_end())


def test_colab_without_and_with_drive(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKSHOP_DRIVE", str(tmp_path / "drive"))
    found = in_place(monkeypatch, "Colab", True)
    assert not one(found, "Drive").ok and "allow access" in one(found, "Drive").fix
    (tmp_path / "drive" / "MyDrive").mkdir(parents=True)
    found = in_place(monkeypatch, "Colab", True)
    assert one(found, "Drive").ok and not one(found, "workshop folder").ok
    assert "shortcut" in one(found, "workshop folder").fix
    (tmp_path / "drive" / colab.DRIVE_FOLDER).mkdir(parents=True)
    assert one(in_place(monkeypatch, "Colab", True), "workshop folder").ok


def test_terminal_without_anything_that_opens_notebooks(monkeypatch):
    assert one(in_place(monkeypatch, "terminal"), "notebooks").ok
    monkeypatch.setattr(software, "version_of", lambda name: None)
    found = in_place(monkeypatch, "terminal")
    assert not one(found, "notebooks").ok and "jupyterlab" in one(found, "notebooks").fix
    assert "ipywidgets" in one(found, "widgets").fix
    assert one(found, "whole runs").ok and "papermill" in one(found, "whole runs").found


@pytest.mark.parametrize(("python", "browser", "ok"), [("8.1.5", "3.0.13", True), ("8.1.5", "1.1.1", False)])
def test_parts_of_ipywidgets_that_do_not_belong_together(python, browser, ok, monkeypatch):
    versions = {"ipywidgets": python, "jupyterlab_widgets": browser, "anywidget": "0.9.13", "bokeh": "3.7"}
    monkeypatch.setattr(software, "version_of", versions.get)
    check = one(in_place(monkeypatch, "JupyterLab"), "widgets")
    assert check.ok is ok
    assert ok or ("sliders stay empty" in check.found and "jupyterlab_widgets==3.*" in check.fix)
    assert one(in_place(monkeypatch, "Colab"), "widgets").ok


def test_plots_say_where_their_scripts_come_from(monkeypatch):
    monkeypatch.delenv("BOKEH_RESOURCES", raising=False)
    assert "from the internet" in one(in_place(monkeypatch, "Jupyter"), "plots").found
    monkeypatch.setattr(resources, "cdn_reachable", lambda: False)
    assert "works without internet" in one(in_place(monkeypatch, "Jupyter"), "plots").found


def test_fault_says_both():
    fault = Fault("found", "fix")
    assert (fault.found, fault.fix, str(fault)) == ("found", "fix", "found")
