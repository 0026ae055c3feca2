"""The choice of the engine, each in a process of its own: modules are imported only once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cnmf_engine.errors import ParameterError
from workshop_utils import engine

IMPORT = "from workshop_utils.engine import cm, cnmf, params, MotionCorrect, load_CNMF, ENGINE\n"


@pytest.fixture
def fake(tmp_path):
    """Build a package that looks like CaImAn from outside and imports in no time."""

    def build(broken: str = "") -> Path:
        package = tmp_path / "caiman"
        files = {
            "__init__.py": f"{broken}\n__version__ = '1.13.0'\n",
            "summary_images.py": "",
            "motion_correction.py": "class MotionCorrect: pass\n",
            "utils/__init__.py": "",
            "utils/visualization.py": "def view_quilt(): return 'quilt'\n",
            "source_extraction/__init__.py": "",
            "source_extraction/cnmf/__init__.py": "from .cnmf import CNMF\n",
            "source_extraction/cnmf/cnmf.py": "class CNMF: pass\ndef load_CNMF(): return 'loaded'\n",
            "source_extraction/cnmf/params.py": "class CNMFParams: pass\n",
        }
        for name, text in files.items():
            path = package / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        dist = tmp_path / "caiman-1.13.0.dist-info"
        dist.mkdir()
        (dist / "METADATA").write_text("Metadata-Version: 2.1\nName: caiman\nVersion: 1.13.0\n")
        return tmp_path

    return build


def run(code: str, path: Path | None = None, choice: str | None = None) -> subprocess.CompletedProcess:
    env = {key: value for key, value in os.environ.items() if key not in ("WORKSHOP_ENGINE", "PYTHONPATH")}
    here = str(Path(__file__).parents[1])
    env["PYTHONPATH"] = os.pathsep.join([str(path), here] if path else [here])
    if choice:
        env["WORKSHOP_ENGINE"] = choice
    return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=120)


def test_auto_takes_the_real_caiman(fake):
    done = run(IMPORT + "print(cm.__name__, cm.utils.visualization.view_quilt(), load_CNMF())", fake())
    assert done.stdout.splitlines() == ["Engine: CaImAn 1.13.0: it is installed", "caiman quilt loaded"]


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
    code = "import sys, workshop_utils.engine; print({'caiman', 'cnmf_engine.params'} & set(sys.modules))"
    assert run(code, fake()).stdout.strip() == "set()"


def test_namesake_from_pypi_is_not_run(tmp_path):
    package = tmp_path / "caiman"
    package.mkdir()
    (package / "__init__.py").write_text("print('MicroPython here'); raise SystemExit(3)\n")
    done = run(IMPORT + "print(ENGINE.name)", tmp_path)
    assert done.returncode == 0 and "MicroPython here" not in done.stdout
    assert "is another one" in done.stdout and done.stdout.endswith("embedded\n")
    forced = run(IMPORT, tmp_path, "caiman")
    assert forced.returncode != 0
    assert "Expected CaImAn" in forced.stderr and "is another one" in forced.stderr


def test_namesake_that_is_a_single_module(tmp_path):
    (tmp_path / "caiman.py").write_text("raise SystemExit(3)\n")
    assert "is another one" in run(IMPORT, tmp_path).stdout


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
