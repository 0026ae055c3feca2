"""The choice of the engine, each in a process of its own: modules are imported only once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cnmf_engine.base.errors import ParameterError
from workshop_utils import engine

IMPORT = "from workshop_utils.engine import cm, cnmf, params, MotionCorrect, load_CNMF, ENGINE\n"


REAL = "Metadata-Version: 2.1\nName: caiman\nVersion: {}\nSummary: Calcium imaging analysis\n"
NAMESAKE = (
    "Metadata-Version: 2.1\nName: caiman\nVersion: 0.1.0\nSummary: A build system for MicroPython projects\n"
)


def installed(folder: Path, metadata: str) -> None:
    """Write what an installer notes."""
    version = metadata.split("Version: ")[-1].split()[0]
    dist = folder / f"caiman-{version}.dist-info"
    dist.mkdir()
    (dist / "METADATA").write_text(metadata)


@pytest.fixture
def fake(tmp_path):
    """Build a package that looks like CaImAn from outside and imports in no time."""

    def build(broken: str = "", version: str = "1.13.0", noted: bool = True) -> Path:
        package = tmp_path / "caiman"
        files = {
            "__init__.py": f"{broken}\n__version__ = '{version}'\n",
            "cluster.py": "",
            "summary_images.py": "",
            "motion_correction.py": "class MotionCorrect: pass\n",
            "utils/__init__.py": "",
            "utils/visualization.py": "def view_quilt(): return 'quilt'\n",
            "source_extraction/__init__.py": "",
            "source_extraction/cnmf/__init__.py": "from .cnmf import CNMF\n",
            "source_extraction/cnmf/cnmf.py": "class CNMF: pass\ndef load_CNMF(name): return 'loaded'\n",
            "source_extraction/cnmf/estimates.py": "class Estimates: pass\n",
            "source_extraction/cnmf/params.py": "class CNMFParams: pass\n",
        }
        for name, text in files.items():
            path = package / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        if noted:
            installed(tmp_path, REAL.format(version))
        return tmp_path

    return build


@pytest.fixture
def namesake(tmp_path):
    """Install the files that the tool of that name on PyPI consists of; it has no `__init__.py`."""
    for name in ("config.py", "deployment.py", "run.py", "plugins/base.py", "proc/__init__.py"):
        path = tmp_path / "caiman" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("raise SystemExit('MicroPython here')\n")
    installed(tmp_path, NAMESAKE)
    return tmp_path


def here(path: Path) -> engine.CaimanHere:
    """Ask in a fresh process what is installed."""
    code = "import json; from workshop_utils.engine import caiman_here; print(json.dumps(caiman_here()))"
    return engine.CaimanHere(*json.loads(run(code, path).stdout))


def run(code: str, path: Path | None = None, choice: str | None = None) -> subprocess.CompletedProcess:
    env = {key: value for key, value in os.environ.items() if key not in ("WORKSHOP_ENGINE", "PYTHONPATH")}
    here = str(Path(__file__).parents[1])
    env["PYTHONPATH"] = os.pathsep.join([str(path), here] if path else [here])
    if choice:
        env["WORKSHOP_ENGINE"] = choice
    return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=120)


def test_auto_takes_the_real_caiman(fake):
    done = run(IMPORT + "print(cm.__name__, cm.utils.visualization.view_quilt(), load_CNMF.__name__)", fake())
    assert done.stdout.splitlines() == ["Engine: CaImAn 1.13.0: it is installed", "caiman quilt load_CNMF"]


def test_names_come_from_where_caiman_has_them(fake):
    code = IMPORT + "print(cnmf.__name__, params.__name__, MotionCorrect.__module__, ENGINE.name)"
    last = run(code, fake(), "caiman").stdout.splitlines()[-1].split()
    package = "caiman.source_extraction.cnmf"
    assert last == [package, f"{package}.params", "caiman.motion_correction", "caiman"]


def test_embedded_can_be_chosen_beside_caiman(fake):
    done = run(
        "from workshop_utils.engine import cm, ENGINE; print(cm.__name__, ENGINE.name)", fake(), "embedded"
    )
    first, second = done.stdout.splitlines()
    assert first.startswith("Engine: embedded engine (cnmf_engine) ") and "WORKSHOP_ENGINE=embedded" in first
    assert second == "cnmf_engine embedded"


def test_line_is_printed_once():
    code = "from workshop_utils.engine import cm\nfrom workshop_utils.engine import params, ENGINE"
    assert run(code, choice="embedded").stdout.count("Engine:") == 1


def test_importing_the_module_alone_loads_no_engine(fake):
    code = (
        "import sys, workshop_utils.engine as _; print({'caiman', 'cnmf_engine.caiman'} & set(sys.modules))"
    )
    assert run(code, fake()).stdout.strip() == "set()"


def test_namesake_from_pypi_is_not_run(namesake):
    done = run(IMPORT + "print(ENGINE.name)", namesake)
    assert done.returncode == 0 and done.stdout.endswith("embedded\n")
    assert "the package 'caiman' 0.1.0 in " in done.stdout
    assert "is another one (a build tool for MicroPython), not CaImAn" in done.stdout
    forced = run(IMPORT, namesake, "caiman")
    assert forced.returncode != 0 and "Expected CaImAn" in forced.stderr
    assert "python -m pip uninstall caiman" in forced.stderr and "conda-forge" in forced.stderr
    found = here(namesake)
    assert (found.kind, found.version, found.usable) == ("namesake", "0.1.0", False)
    assert found.where == str(namesake / "caiman")


def test_remains_of_caiman_under_the_namesake_are_not_taken_for_it(namesake):
    (namesake / "caiman" / "source_extraction" / "cnmf" / "__pycache__").mkdir(parents=True)
    (namesake / "caiman" / "source_extraction" / "__init__.py").touch()
    assert here(namesake).kind == "namesake"


def test_caiman_mixed_with_its_namesake_runs_with_its_own_version(fake, namesake):
    found = here(fake())
    assert (found.kind, found.version, found.usable) == ("real", "1.13.0", True)
    assert "mixed with another package" in found.found and "new environment" in found.fix
    assert run("from workshop_utils.engine import ENGINE", namesake).stdout.startswith(
        "Engine: CaImAn 1.13.0"
    )


def test_ones_own_module_of_that_name_is_not_called_a_tool(tmp_path):
    (tmp_path / "caiman.py").write_text("raise SystemExit(3)\n")
    assert "is another one, not CaImAn" in run(IMPORT, tmp_path).stdout
    found = here(tmp_path)
    assert found.kind == "namesake" and found.fix.startswith("rename or remove ")


def test_folder_that_only_has_the_name_is_nothing(tmp_path):
    (tmp_path / "caiman").mkdir()
    (tmp_path / "caiman" / "mouse.tif").touch()
    assert here(tmp_path)[:2] == ("none", "CaImAn isn't installed")


@pytest.mark.parametrize("noted", [True, False])
def test_too_old_caiman_is_said_and_not_run(fake, noted):
    path = fake(version="1.9.10", noted=noted)
    done = run(IMPORT + "print(ENGINE.name)", path)
    assert "CaImAn 1.9.10 is too old for the lessons, which need 1.12 or newer" in done.stdout
    assert done.stdout.endswith("embedded\n")
    forced = run(IMPORT, path, "caiman")
    assert forced.returncode != 0 and 'conda install -c conda-forge "caiman>=1.12"' in forced.stderr


def test_caiman_1_12_is_not_run_on_numpy_2(fake):
    found = here(fake(version="1.12.2"))
    assert found.usable == np.__version__.startswith("1.")
    assert ("needs NumPy below 2, and NumPy 2" in found.found) != found.usable


def test_version_that_nobody_noted_is_asked_of_the_package(fake):
    done = run("from workshop_utils.engine import ENGINE", fake(noted=False))
    assert done.stdout == "Engine: CaImAn 1.13.0: it is installed\n"


def test_adapted_functions_keep_their_names_and_are_wrapped_once(fake):
    code = (
        "from workshop_utils import engine\n"
        "from workshop_utils.engine import load_CNMF, cm\n"
        "engine._adapt()\n"
        "print(load_CNMF.__name__, load_CNMF.__wrapped__('x'), hasattr(load_CNMF.__wrapped__, 'adapted'))"
    )
    assert run(code, fake()).stdout.splitlines()[-1] == "load_CNMF loaded False"


def test_explicit_caiman_never_falls_back():
    if engine.find_engine("auto").name == "caiman":
        pytest.skip("CaImAn is installed here")
    with pytest.raises(
        engine.EngineError, match=r"Expected CaImAn.*\nFound CaImAn isn't installed.*\nTo go on: conda"
    ):
        engine.find_engine("caiman")


def test_broken_caiman_auto_says_why(fake):
    done = run(IMPORT + "print(ENGINE.name)", fake("import tensorflow_that_is_not_there"))
    assert (
        "can't be imported (ModuleNotFoundError: No module named 'tensorflow_that_is_not_there')"
        in done.stdout
    )
    assert done.stdout.endswith("embedded\n")


def test_broken_caiman_explicit_is_an_error(fake):
    done = run(IMPORT, fake("raise ValueError('numpy.dtype size changed')"), "caiman")
    assert done.returncode != 0 and "numpy.dtype size changed" in done.stderr and "To go on:" in done.stderr


def test_misspelt_choice_is_named(monkeypatch):
    monkeypatch.setenv("WORKSHOP_ENGINE", "embeded")
    with pytest.raises(ParameterError, match=r"'embeded'.\nTo go on: set WORKSHOP_ENGINE=embedded"):
        engine.find_engine()


def test_unknown_attribute():
    with pytest.raises(AttributeError, match="no attribute 'dview'"):
        engine.dview  # noqa: B018


def test_plain_filter_asks_the_embedded_engine_only(fake):
    code = "from workshop_utils.engine import plain_filter, cm; print(plain_filter())"
    assert run(code, choice="embedded").stdout.splitlines()[-1] == "{'filter_mode': 'caiman'}"
    assert run(code, fake(), "caiman").stdout.splitlines()[-1] == "{}"
