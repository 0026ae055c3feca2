from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

pytest.importorskip("jupytext", reason="building notebooks needs the test extra")
nbformat = pytest.importorskip("nbformat")

SPEC = importlib.util.spec_from_file_location(
    "build_notebooks", Path(__file__).parents[1] / "tools" / "build_notebooks.py"
)
tool = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(tool)

INSTALL = '# %% tags=["colab-only"]\nprint("install", package)\n'
FIRST = f"""# %% [markdown]
# # 1. Look
#
# Some *text*.

# %% tags=["parameters"]
movie = "demo"  # which movie
package = "x"

{INSTALL}
# %%
import os

# %% tags=["report"]
print(movie)
"""
SECOND = f"""# %% [markdown]
# # 2. Fit

# %% tags=["parameters"]
movie = "demo"  # the same movie
package = "x"
width = (
    3,
    3,
)  # two numbers

{INSTALL}
# %%
import os
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "py").mkdir()
    (tmp_path / "py" / "01_look.py").write_text(FIRST)
    (tmp_path / "py" / "02_fit.py").write_text(SECOND)
    return tmp_path


def call(folder, *arguments):
    return tool.main(["--folder", str(folder), *arguments])


def cells(folder, name):
    return nbformat.read(folder / name, as_version=4).cells


def test_built_notebooks_are_valid_and_in_sync(folder):
    assert call(folder) == 0
    names = sorted(path.name for path in folder.glob("*.ipynb"))
    assert names == ["00_all_in_one.ipynb", "01_look.ipynb", "02_fit.ipynb"]
    for name in names:
        notebook = nbformat.read(folder / name, as_version=nbformat.NO_CONVERT)
        nbformat.validate(notebook)
        assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
        assert notebook.metadata.kernelspec.name == "python3" and "jupytext" not in notebook.metadata
    assert call(folder, "--check") == 0


def test_content_and_tags_arrive(folder):
    call(folder)
    title, parameters, install, code, report = cells(folder, "01_look.ipynb")
    assert title.source == "# 1. Look\n\nSome *text*."
    assert parameters.source == 'movie = "demo"  # which movie\npackage = "x"'
    assert [cell.metadata.get("tags") for cell in (parameters, install, code, report)] == [
        ["parameters"],
        ["colab-only"],
        None,
        ["report"],
    ]
    assert set(code.metadata) <= {"tags"}


def test_building_again_changes_no_byte(folder):
    call(folder)
    before = {path.name: path.read_bytes() for path in folder.glob("*.ipynb")}
    call(folder)
    assert {path.name: path.read_bytes() for path in folder.glob("*.ipynb")} == before


def test_adding_a_cell_keeps_the_other_ids(folder):
    call(folder)
    before = [cell.id for cell in cells(folder, "01_look.ipynb")]
    source = folder / "py" / "01_look.py"
    source.write_text(source.read_text().replace("# %%\nimport os", "# %%\nimport sys\n\n# %%\nimport os"))
    call(folder)
    after = [cell.id for cell in cells(folder, "01_look.ipynb")]
    assert len(after) == len(before) + 1 and [name for name in after if name in before] == before


def test_equal_cells_get_different_ids(folder):
    source = folder / "py" / "01_look.py"
    source.write_text(source.read_text() + "\n# %%\nimport os\n\n# %%\nimport os\n")
    assert call(folder) == 0
    ids = [cell.id for cell in cells(folder, "01_look.ipynb")]
    assert len(set(ids)) == len(ids)


def test_all_in_one_merges_parameters_and_installs_once(folder):
    call(folder)
    merged = cells(folder, "00_all_in_one.ipynb")
    assert "- 1. Look\n- 2. Fit" in merged[0].source
    assert merged[1].source == (
        '# lesson 1\nmovie = "demo"  # which movie\npackage = "x"\n\n'
        "# lesson 2\nwidth = (\n    3,\n    3,\n)  # two numbers"
    )
    tags = [tag for cell in merged for tag in cell.metadata.get("tags", [])]
    assert tags.count("parameters") == 1 and tags.count("colab-only") == 1
    assert [cell.source.splitlines()[0] for cell in merged].count("import os") == 2


EXERCISE = """
# %%
my_rate = None  # your answer
print(my_rate)

# %% tags=["solution"]
my_rate = 5
print(my_rate)

# %% [markdown] tags=["instructor"]
# > Ask before you show it.
"""


@pytest.fixture
def exercise(folder):
    source = folder / "py" / "01_look.py"
    source.write_text(source.read_text() + EXERCISE)
    assert call(folder) == 0 == call(folder, "--check")
    return folder


def test_learners_get_solutions_as_folded_text(exercise):
    for name in ("01_look.ipynb", "00_all_in_one.ipynb"):
        lesson = cells(exercise, name)
        folded = [cell for cell in lesson if "<summary>Solution</summary>" in cell.source]
        assert [cell.cell_type for cell in folded] == ["markdown"]
        assert "```python\nmy_rate = 5\nprint(my_rate)\n```" in folded[0].source
        assert not any("Ask before" in cell.source or cell.metadata.get("tags") == [] for cell in lesson)
        assert not any(cell.cell_type == "code" and "my_rate = 5" in cell.source for cell in lesson)


def test_instructors_get_solutions_that_run_and_notes(exercise):
    *_, answer, solution, note = cells(exercise, "instructor/01_look.ipynb")
    assert answer.source.startswith("my_rate = None")
    assert (solution.cell_type, solution.source) == ("code", "my_rate = 5\nprint(my_rate)")
    assert (note.cell_type, note.source) == ("markdown", "> Ask before you show it.")
    assert not (exercise / "instructor" / "00_all_in_one.ipynb").exists()


def test_optional_lesson_stays_out_of_all_in_one(folder):
    optional = folder / "py" / "07_your_own_data.py"
    optional.write_text(SECOND.replace("2. Fit", "7. Own").replace('movie = "demo"', 'movie = "own"'))
    assert call(folder) == 0
    assert "7. Own" not in cells(folder, "00_all_in_one.ipynb")[0].source
    assert "7. Own" in cells(folder, "07_your_own_data.ipynb")[0].source


def test_different_defaults_are_refused(folder, capsys):
    source = folder / "py" / "02_fit.py"
    source.write_text(source.read_text().replace('movie = "demo"', 'movie = "other"'))
    assert call(folder) == 1
    assert "Found 'demo' in 01_look and 'other' in 02_fit" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('tags=["report"]', 'tags=["figure"]', "cell 5: unknown tag 'figure'"),
        ('tags=["parameters"]', "", "exactly one cell tagged 'parameters' is needed, found 0"),
        ('tags=["report"]', 'tags=["parameters"]', "needed, found 2"),
        ("print(movie)", "print(movie)\n" * 16, "cell 5: 16 lines of code"),
    ],
)
def test_broken_rules_are_named(folder, capsys, old, new, message):
    source = folder / "py" / "01_look.py"
    source.write_text(source.read_text().replace(old, new))
    assert call(folder) == 1
    error = capsys.readouterr().err
    assert "01_look: " in error and message in error
    assert not list(folder.glob("*.ipynb"))


def test_statement_among_the_parameters_is_refused(folder, capsys):
    source = folder / "py" / "02_fit.py"
    source.write_text(source.read_text().replace("width = (", "import os\nwidth = ("))
    assert call(folder) == 1
    assert "Found `import os`" in capsys.readouterr().err


def edit(folder, change):
    path = folder / "01_look.ipynb"
    content = json.loads(path.read_text())
    change(content["cells"])
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda cells: cells[3].update(source=["import sys"]), "cell 4 disagrees with the source: import os"),
        (lambda cells: cells[4]["metadata"].clear(), "cell 5 disagrees"),
        (lambda cells: cells[3].update(id="abc"), "cell 4 disagrees"),
        (lambda cells: cells.pop(), "4 cells, the source has 5"),
        (
            lambda cells: cells[3].update(outputs=[{"output_type": "stream", "name": "stdout", "text": "x"}]),
            "cell 4: outputs are stored",
        ),
    ],
    ids=["source", "tags", "id", "missing", "outputs"],
)
def test_check_finds_what_was_edited_by_hand(folder, capsys, change, message):
    call(folder)
    edit(folder, change)
    assert call(folder, "--check") == 1
    error = capsys.readouterr().err
    assert f"01_look.ipynb: {message}" in error and "make notebooks" in error


def test_check_ignores_what_only_a_tool_version_changes(folder):
    call(folder)
    path = folder / "01_look.ipynb"
    content = json.loads(path.read_text())
    content["metadata"]["kernelspec"]["display_name"] = "Python 3 (ipykernel)"
    path.write_text(json.dumps(content))
    assert call(folder, "--check") == 0


def test_check_finds_unbuilt_and_orphaned(folder, capsys):
    call(folder)
    (folder / "02_fit.ipynb").rename(folder / "03_old.ipynb")
    (folder / "instructor" / "01_look.ipynb").unlink()
    assert call(folder, "--check") == 1
    error = capsys.readouterr().err
    assert "\n02_fit.ipynb: not built yet" in error and "03_old.ipynb: no source" in error
    assert "instructor/01_look.ipynb: not built yet" in error


def test_no_sources(tmp_path, capsys):
    assert call(tmp_path) == 1
    assert "Expected lesson sources" in capsys.readouterr().err
