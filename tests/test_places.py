"""Where a lesson finds itself: hosted machines by their variables, front ends by who started the kernel."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest

from workshop_utils import colab, places

_ALL = ("KAGGLE", "BINDER", "VSCODE", "COLAB", "JPY")


@pytest.fixture(autouse=True)
def nowhere(monkeypatch):
    """A machine that says nothing of itself."""
    import os

    for name in list(os.environ):
        if name.startswith(_ALL):
            monkeypatch.delenv(name)
    monkeypatch.setattr(places, "in_colab", lambda: False)
    monkeypatch.setattr(places, "_starter", list)


@pytest.fixture
def kernel(monkeypatch):
    """A running kernel, as IPython shows it to the code that runs in it; gives the names in the notebook."""
    names: dict[str, str] = {}
    shell = SimpleNamespace(user_ns=names)
    shell.kernel = SimpleNamespace(shell=shell)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    return names


def test_a_machine_that_says_nothing_is_ones_own():
    place = places.where()
    assert place.name == "terminal" and not place.temporary and "stays" in place.advice


def test_kaggle_is_not_taken_for_colab(monkeypatch, kernel):
    monkeypatch.setenv("KAGGLE_KERNEL_RUN_TYPE", "Interactive")
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release-colab_20250219")
    monkeypatch.setattr(places, "in_colab", lambda: True)
    place = places.where()
    assert place.name == "Kaggle" and place.temporary and "/kaggle/working" in place.advice


@pytest.mark.parametrize("name", ["KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_API_TOKEN"])
def test_colab_with_a_login_for_kaggle_is_colab(name, monkeypatch, kernel):
    monkeypatch.undo()
    monkeypatch.setenv(name, "x")
    monkeypatch.delenv("KAGGLE_KERNEL_RUN_TYPE", raising=False)
    monkeypatch.setattr(colab.importlib.util, "find_spec", lambda module: module)
    assert colab.in_colab()
    place = places.where()
    assert place.name == "Colab" and place.temporary and "Drive" in place.advice


@pytest.mark.parametrize("name", ["BINDER_LAUNCH_HOST", "BINDER_REPO_URL", "BINDER_SERVICE_HOST"])
def test_binder(name, monkeypatch, kernel):
    monkeypatch.setenv(name, "https://mybinder.org/")
    place = places.where()
    assert place.name == "Binder" and place.temporary and "Download" in place.advice


def test_vs_code_by_the_name_it_leaves_in_the_notebook(kernel):
    kernel["__vsc_ipynb_file__"] = "c:\\lessons\\01.ipynb"
    assert places.where().name == "VS Code" and not places.where().temporary


def test_vs_code_by_its_variables_unless_a_server_stands_between(monkeypatch, kernel):
    monkeypatch.setenv("VSCODE_CWD", "/home/me")
    assert places.where().name == "VS Code"
    monkeypatch.setattr(places, "_starter", lambda: ["python", "/env/bin/jupyter-lab"])
    assert places.where().name == "JupyterLab"
    monkeypatch.setattr(places, "_starter", lambda: ["python", "/env/bin/jupyter-notebook"])
    assert places.where().name == "Jupyter"


def test_variables_of_vs_code_in_its_terminal_are_a_terminal(monkeypatch):
    monkeypatch.setenv("VSCODE_PID", "1")
    assert places.where().name == "terminal"


@pytest.mark.parametrize(
    ("line", "name"),
    [
        (["/env/bin/python3", "/env/bin/jupyter-lab", "--port=8889"], "JupyterLab"),
        (["/env/bin/python", "-m", "jupyterlab"], "JupyterLab"),
        (["/env/bin/python", "-m", "jupyter", "lab"], "JupyterLab"),
        (["C:\\env\\python.exe", "C:\\env\\Scripts\\jupyter-lab-script.py"], "JupyterLab"),
        (["C:\\env\\python.exe", "C:\\env\\Scripts\\Jupyter-Lab.EXE"], "JupyterLab"),
        (["/env/bin/python3", "/env/bin/jupyter-notebook", "my lab book"], "Jupyter"),
        (["/opt/python", "/opt/bin/jupyterhub-singleuser"], "Jupyter"),
        (["/env/bin/python", "/env/bin/papermill", "jupyter-labbook.ipynb"], "Jupyter"),
        ([], "Jupyter"),
    ],
)
def test_jupyterlab_is_said_only_where_the_server_is_one(line, name, monkeypatch, kernel):
    monkeypatch.setattr(places, "_starter", lambda: line)
    assert places.where().name == name


def test_starter_is_the_process_above(tmp_path, monkeypatch):
    server = tmp_path / "jupyter-lab"
    server.write_text(
        "import subprocess, sys\n"
        "code = 'from workshop_utils import places; print(places._is_lab(places._starter()))'\n"
        "print(subprocess.run([sys.executable, '-c', code], capture_output=True, text=True).stdout)\n"
    )
    done = subprocess.run([sys.executable, server], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True"]
