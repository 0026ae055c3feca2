"""docs/lessons.md says what is in the lessons."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import nbformat
import pytest
from prose import SOURCES

from workshop_utils.session.notebooks import cells, tags_of

TOOLS = Path(__file__).resolve().parents[1] / "tools"
LESSON = """# 1. Words

**Time:** about 20 minutes. **You need:** `some_name` and a [link](https://example.org/not-counted).

```python
not_counted = 1
```

### Exercise 1.1: a

### Exercise 1.2 (open): b
"""


@pytest.fixture(scope="module")
def tool():
    sys.path.insert(0, str(TOOLS))
    try:
        return importlib.import_module("lesson_table")
    finally:
        sys.path.remove(str(TOOLS))


@pytest.fixture
def notebook():
    new = nbformat.v4
    made = [
        new.new_markdown_cell(LESSON),
        new.new_code_cell("movie = 'demo'\nresults = ''\nfr = 1\nx = 2", metadata={"tags": ["parameters"]}),
        new.new_code_cell("import a\n" * 20, metadata={"tags": ["colab-only"]}),
        new.new_code_cell("# a comment\nfigures.traces(C)\n\nbrowser.component_browser(e).save('p.html')"),
        new.new_code_cell("cm.view_quilt(cn)\nb.component_browser(e)\nsliders.seed_pixels(cn)"),
    ]
    return new.new_notebook(cells=made)


def test_page_agrees_with_the_lessons(tool, capsys):
    assert tool.main(["--check"]) == 0, capsys.readouterr().err


@pytest.mark.notebooks
@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_figures_counted_are_figures_shown(tool, demo, source):
    """Solutions aside, which the page doesn't count."""
    executed = cells(demo.folder / "notebooks" / f"{source.stem}.ipynb")
    learners = [cell for cell in executed if "solution" not in tags_of(cell)]
    shown = sum(
        "image/png" in output.get("data", {}) for cell in learners for output in cell.get("outputs", [])
    )
    counted = tool.count(tool.lesson_notebook(source), source.stem).figures
    assert counted == shown, "a call that tools/lesson_table.py doesn't know as a figure, or takes for one"


def test_counts_are_right(tool, notebook):
    row = tool.count(notebook, "01_words")
    assert (row.title, row.in_class, row.words) == ("1. Words", 20, 19)
    assert (row.text_cells, row.code_cells, row.code_lines, row.longest) == (1, 3, 9, 4)
    assert (row.figures, row.exercises, row.open_exercises) == (3, 2, 1)
    assert row.to_read == round(19 / tool.WORDS + 9 / tool.CODE_LINES)


def test_lesson_without_time_is_named(tool, notebook):
    notebook.cells[0].source = "# 1. Words"
    with pytest.raises(ValueError, match=r"first cell of 01_words.\nFound '1. Words' and None"):
        tool.count(notebook, "01_words")


def test_page_that_disagrees_is_found(tool, tmp_path, capsys):
    page = tmp_path / "lessons.md"
    assert tool.main(["--target", str(page)]) == 0
    assert tool.main(["--target", str(page), "--check"]) == 0
    page.write_text(page.read_text(encoding="utf-8").replace("open)", "closed)"), encoding="utf-8")
    assert tool.main(["--target", str(page), "--check"]) == 1
    assert "python tools/lesson_table.py" in capsys.readouterr().err
