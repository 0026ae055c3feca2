"""Rules for the whole repository: notebooks, dependencies, modules, and what no file may contain."""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import cnmf_engine
import workshop_utils

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
SPEC = importlib.util.spec_from_file_location("build_notebooks", ROOT / "tools" / "build_notebooks.py")
tool = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(tool)
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
MODULES = sorted(
    path for folder in ("cnmf_engine", "workshop_utils") for path in (ROOT / folder).rglob("*.py")
)


def tracked() -> list[Path]:
    """List the files that git keeps, or would keep at the next commit of everything."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        pytest.skip("not a git checkout, so nobody knows which files belong to the project")
    return [path for path in (ROOT / name for name in done.stdout.splitlines()) if path.is_file()]


def texts() -> list[tuple[Path, str]]:
    found = []
    for path in tracked():
        try:
            found.append((path.relative_to(ROOT), path.read_text(encoding="utf-8")))
        except UnicodeDecodeError:
            continue  # a movie or an array
    return found


def matches(pattern: str) -> list[str]:
    expression = re.compile(pattern)
    return [
        f"{name}:{number}: {line.strip()[:100]}"
        for name, text in texts()
        for number, line in enumerate(text.splitlines(), 1)
        if expression.search(line)
    ]


def test_notebooks_agree_with_their_sources():
    assert tool.check(NOTEBOOKS) == []


def test_all_lessons_are_there():
    numbers = [path.name[:2] for path in sorted(NOTEBOOKS.glob("*.ipynb"))]
    assert numbers == ["00", "01", "02", "03", "04", "05", "06", "07"]


@pytest.mark.parametrize("source", sorted((NOTEBOOKS / "py").glob("*.py")), ids=lambda path: path.stem)
def test_lessons_keep_the_rules(source):
    notebook = tool.lesson_notebook(source)
    assert tool.problems(notebook) == []
    assert [cell.id for cell in tool.lesson_notebook(source).cells] == [cell.id for cell in notebook.cells]
    declared = next(cell.source for cell in notebook.cells if "parameters" in cell.metadata.get("tags", []))
    if source.stem in tool.OPTIONAL:  # stands on its own, and may begin with another movie
        assert "\nresults = " in declared and declared.startswith("movie = ")
    else:
        assert 'movie = "demo"' in declared and 'results = "results"' in declared
    first_code = next(cell for cell in notebook.cells if cell.cell_type == "code")
    assert "parameters" in first_code.metadata.get("tags", [])


def test_nothing_of_this_machine_is_kept():
    places = {
        str(ROOT.parent) + "/",
        str(Path.home()) + "/",
        *("/" + "/".join(("root", "")), "/" + "/".join(("work", ""))),
    }
    places -= {"/", "//"}
    assert matches(r"(?<![\w.])(" + "|".join(map(re.escape, sorted(places))) + ")") == []


def test_no_package_index_is_named():
    config = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True
    ).stdout
    hosts = {
        host for host in re.findall(r"(?:https?|file)://([^'\"\s]+)", config) if "." in host or host[0] == "/"
    }
    names = [re.escape(host.rstrip("/")) for host in sorted(hosts)] + ["--(?:extra-)?index" + "-url"]
    assert matches("|".join(names)) == []


def test_nothing_is_left_to_do():
    assert matches(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X")) + r")\b") == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_module_says_what_is_public(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), "the module has no docstring"
    names = [
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    ]
    # A package that offers nothing but its modules has nothing to list.
    offers = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom | ast.ClassDef)]
    if path.name != "__init__.py" or any(getattr(node, "module", "") != "__future__" for node in offers):
        assert "__all__" in names


def test_imports_point_one_way():
    """The engine knows no lessons."""
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in (ROOT / "cnmf_engine").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, (ast.Import, ast.ImportFrom))
        and any(
            name.split(".")[0] in ("workshop_utils", "google", "ipywidgets")
            for name in [getattr(node, "module", None) or "", *(alias.name for alias in node.names)]
        )
    ]
    assert wrong == []


def test_requirement_files_install_what_they_say():
    files = sorted(ROOT.glob("requirements*.txt"))
    assert files, "requirements_caiman.txt is part of the project"
    for file in files:
        lines = [line.split("#")[0].strip() for line in file.read_text(encoding="utf-8").splitlines()]
        requirements = [Requirement(line) for line in lines if line]
        assert requirements, f"pip reads {file.name} as empty"
        # The package of that name on PyPI is another program.
        assert "caiman" not in {canonicalize_name(requirement.name) for requirement in requirements}


def test_installing_on_colab_changes_nothing_there():
    lines = (ROOT / "tests" / "colab" / "constraints.txt").read_text().splitlines()
    pairs = (line.split(";")[0].split("==") for line in lines if "==" in line.split(";")[0])
    preinstalled = {canonicalize_name(name): version for name, version in pairs}
    for text in PYPROJECT["project"]["dependencies"]:
        requirement = Requirement(text)
        name = canonicalize_name(requirement.name)
        assert name in preinstalled, f"{name} isn't preinstalled on Colab"
        assert requirement.specifier.contains(preinstalled[name].strip()), (
            f"{text} excludes Colab's {preinstalled[name]}"
        )


def test_versions_agree():
    assert PYPROJECT["project"]["version"] == workshop_utils.__version__ == cnmf_engine.__version__
    assert f"## [{workshop_utils.__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_files_stay_small():
    """A clone and a wheel have to be quick to fetch; only the demo movie may be large."""
    limits = {path: 12_000_000 if path.parent.name == "data" else 6_000_000 for path in tracked()}
    assert [
        f"{path}: {path.stat().st_size}" for path, limit in limits.items() if path.stat().st_size > limit
    ] == []
