"""
Build the notebooks from their sources.

``notebooks/py/NN_name.py`` (py:percent) is what people edit. ``notebooks/NN_name.ipynb`` is what learners
open, with the solutions folded away as text; ``notebooks/instructor/NN_name.ipynb`` is what instructors open,
with the solutions as cells that run, and with notes. The built notebooks hold no outputs, and their cell ids
follow from the content, so that building again changes nothing. ``00_all_in_one.ipynb`` is put together from
all lessons but the optional ones.

    python tools/build_notebooks.py            build
    python tools/build_notebooks.py --check    fail when a built notebook disagrees with its source
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import re
import sys
from collections import Counter
from pathlib import Path

try:
    import jupytext
    import nbformat
except ImportError as error:
    sys.exit(
        f"Expected jupytext and nbformat, which turn sources into notebooks.\nFound {error}.\n"
        "To go on: pip install -e '.[test]', or run `make notebooks`."
    )

__all__ = [
    "ALL_IN_ONE",
    "INSTRUCTOR",
    "OPTIONAL",
    "TAGS",
    "build",
    "check",
    "lesson_notebook",
    "main",
    "merge",
    "problems",
]

ROOT = Path(__file__).resolve().parents[1]
ALL_IN_ONE = "00_all_in_one"
#: Folder of the instructor's versions, beside the learner's.
INSTRUCTOR = "instructor"
#: Lessons that stand on their own and aren't part of the one that holds all.
OPTIONAL = frozenset({"07_your_own_data"})
#: Cells whose source is folded away until the reader opens it.
FOLDED = frozenset({"hide-input", "colab-only"})
#: The tags a cell may carry; papermill, nbval, Colab and the report know them, and the two versions differ by
#: `solution` and `instructor`.
TAGS = frozenset(
    {"parameters", "report", "hide-input", "solution", "instructor", "colab-only", "raises-exception"}
)
_LONGEST_CELL = 15
# What installs the workshop is the one cell that can't call it for help.
_LONGEST_INSTALL = 25
_METADATA = {
    "colab": {"provenance": [], "toc_visible": True},
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


class NotebookError(ValueError):
    """A source that can't become a lesson."""


def build(folder: Path) -> dict[Path, nbformat.NotebookNode]:
    """
    Build all notebooks of a folder, whose sources are in ``py`` inside it, in memory: by file.

    A NotebookError lists every rule that a source breaks.
    """
    sources = sorted((folder / "py").glob("[0-9][0-9]_*.py"))
    if not sources:
        raise NotebookError(
            f"Expected lesson sources like 01_name.py in {folder / 'py'}.\nFound none.\n"
            "To go on: restore them."
        )
    lessons = {source.stem: lesson_notebook(source) for source in sources}
    opened = {source.stem: lesson_notebook(source, instructor=True) for source in sources}
    broken = [f"{stem}: {problem}" for stem, notebook in opened.items() for problem in problems(notebook)]
    if broken:
        raise NotebookError("\n".join(broken))
    built = {folder / f"{stem}.ipynb": notebook for stem, notebook in lessons.items()}
    built |= {folder / INSTRUCTOR / f"{stem}.ipynb": notebook for stem, notebook in opened.items()}
    together = {stem: notebook for stem, notebook in lessons.items() if stem not in OPTIONAL}
    return built | {folder / f"{ALL_IN_ONE}.ipynb": merge(together)}


def lesson_notebook(source: Path, instructor: bool = False) -> nbformat.NotebookNode:
    """Turn one py:percent source into a notebook: the learner's, or the instructor's with open solutions."""
    read = jupytext.reads(source.read_text(encoding="utf-8"), fmt="py:percent")
    cells = [(cell.cell_type, cell.source, cell.metadata.get("tags", [])) for cell in read.cells]
    if not instructor:
        cells = [_folded(*cell) for cell in cells if "instructor" not in cell[2]]
    return _notebook(source.stem, cells)


def merge(lessons: dict[str, nbformat.NotebookNode]) -> nbformat.NotebookNode:
    """
    Put all lessons, by file name without ending, into one notebook.

    It has a title, one cell with the parameters of all, which must agree, and the lessons without theirs.
    Installing, which all lessons do in the same words, happens once.
    """
    title = _title(lessons)
    cells = [("markdown", title, []), ("code", _merged_parameters(lessons), ["parameters"])]
    installed: set[str] = set()
    for notebook in lessons.values():
        for cell in notebook.cells:
            tags = cell.metadata.get("tags", [])
            if "parameters" in tags or ("colab-only" in tags and cell.source in installed):
                continue
            if "colab-only" in tags:
                installed.add(cell.source)
            cells.append((cell.cell_type, cell.source, tags))
    return _notebook(ALL_IN_ONE, cells)


def _folded(kind: str, source: str, tags: list[str]) -> tuple[str, str, list[str]]:
    """Turn a solution into text that the reader opens; running the whole notebook then gives nothing away."""
    if "solution" not in tags:
        return kind, source, tags
    text = f"<details><summary>Solution</summary>\n\n```python\n{source}\n```\n\n</details>"
    return "markdown", text, tags


def problems(notebook: nbformat.NotebookNode) -> list[str]:
    """List the rules a lesson breaks, one line a problem."""
    found = []
    parameter_cells = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    if len(parameter_cells) != 1:
        found.append(f"exactly one cell tagged 'parameters' is needed, found {len(parameter_cells)}")
    for number, cell in enumerate(notebook.cells, 1):
        tags = cell.metadata.get("tags", [])
        found += [
            f"cell {number}: unknown tag '{tag}', known are {', '.join(sorted(TAGS))}"
            for tag in set(tags) - TAGS
        ]
        length = len(cell.source.splitlines())
        limit = _LONGEST_INSTALL if "colab-only" in tags else _LONGEST_CELL
        if cell.cell_type == "code" and "parameters" not in tags and length > limit:
            found.append(f"cell {number}: {length} lines of code, at most {limit} are read in a lesson")
        if cell.get("outputs") or cell.get("execution_count") is not None:
            found.append(f"cell {number}: outputs are stored")
    repeated = [
        name for name, count in Counter(cell.get("id") for cell in notebook.cells).items() if count > 1
    ]
    return found + [f"cell id {name} is there more than once" for name in repeated]


def check(folder: Path) -> list[str]:
    """Compare the built notebooks with their sources; one line a disagreement."""
    built = build(folder)
    found = [
        f"{path.name}: no source of this name in py/"
        for place in (folder, folder / INSTRUCTOR)
        for path in sorted(place.glob("[0-9][0-9]_*.ipynb"))
        if path not in built
    ]
    for path, wanted in built.items():
        name = path.relative_to(folder).as_posix()
        if not path.is_file():
            found.append(f"{name}: not built yet")
            continue
        stored = nbformat.read(path, as_version=nbformat.NO_CONVERT)
        found += [f"{name}: {line}" for line in _differences(wanted, stored)]
    return found


def main(arguments: list[str] | None = None) -> int:
    """Build or check the notebooks; 0 when all is well, 1 otherwise."""
    parser = argparse.ArgumentParser(description="Build the notebooks from notebooks/py.")
    parser.add_argument("--check", action="store_true", help="only compare; fail when they disagree")
    parser.add_argument("--folder", type=Path, default=ROOT / "notebooks", help="folder of the notebooks")
    chosen = parser.parse_args(arguments)
    try:
        found = check(chosen.folder) if chosen.check else _write(build(chosen.folder))
    except NotebookError as error:
        found = str(error).splitlines()
    for line in found:
        print(line, file=sys.stderr)
    if found and chosen.check:
        print("To go on: edit notebooks/py, run `make notebooks`, commit both.", file=sys.stderr)
    return 1 if found else 0


def _write(built: dict[Path, nbformat.NotebookNode]) -> list[str]:
    for path, notebook in built.items():
        path.parent.mkdir(exist_ok=True)
        temporary = path.with_suffix(".part")
        temporary.write_text(nbformat.writes(notebook).rstrip("\n") + "\n", encoding="utf-8")
        temporary.replace(path)
        print(f"{path.parent.name}/{path.name}: {len(notebook.cells)} cells")
    return []


def _notebook(stem: str, cells: list[tuple[str, str, list[str]]]) -> nbformat.NotebookNode:
    seen: Counter[str] = Counter()
    nodes = []
    for kind, source, tags in cells:
        key = f"{stem}\n{kind}\n{source}"
        seen[key] += 1
        # From the content, not the position: adding a cell leaves the other ids alone.
        name = hashlib.sha256(f"{key}\n{seen[key]}".encode()).hexdigest()[:12]
        new = nbformat.v4.new_code_cell if kind == "code" else nbformat.v4.new_markdown_cell
        metadata = {"tags": list(tags)} if tags else {}
        if FOLDED & set(tags):
            # JupyterLab and Notebook fold by the first, Colab by the second.
            metadata |= {"jupyter": {"source_hidden": True}, "cellView": "form"}
        nodes.append(new(source, id=name, metadata=metadata))
    return nbformat.v4.new_notebook(cells=nodes, metadata=_METADATA)


def _title(lessons: dict[str, nbformat.NotebookNode]) -> str:
    headings = []
    for stem, notebook in lessons.items():
        heading = re.search(r"^# +(.+)$", notebook.cells[0].source, re.MULTILINE)
        headings.append(f"- {heading.group(1) if heading else stem}")
    return "\n".join(
        [
            "# One-photon calcium imaging, all lessons in one",
            "",
            "The same lessons as in the single notebooks, in one file: on Colab each notebook gets a machine",
            "of its own, and here everything stays in one place. Run it from top to bottom, or stop after",
            "any lesson.",
            "",
            *headings,
            "",
            "The first cell holds what you may want to change. Everything else follows from it.",
        ]
    )


def _merged_parameters(lessons: dict[str, nbformat.NotebookNode]) -> str:
    values: dict[str, tuple[str, str]] = {}
    lines = []
    for stem, notebook in lessons.items():
        source = next(cell.source for cell in notebook.cells if "parameters" in cell.metadata.get("tags", []))
        new = []
        for name, value, text in _assignments(stem, source):
            before = values.setdefault(name, (value, stem))
            if before[0] != value:
                raise NotebookError(
                    f"Expected one default for the parameter '{name}'.\n"
                    f"Found {before[0]} in {before[1]} and {value} in {stem}.\n"
                    "To go on: give both the same value."
                )
            if before[1] == stem:
                new.append(text)
        if new:
            lines += ([""] if lines else []) + [f"# lesson {int(stem[:2])}", *new]
    return "\n".join(lines)


def _assignments(stem: str, source: str) -> list[tuple[str, str, str]]:
    """List name, value and source text (with its comment) of each assignment."""
    lines = source.splitlines()
    found = []
    for node in ast.parse(source).body:
        if not (
            isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name)
        ):
            raise NotebookError(
                f"Expected only lines like `name = value` in the parameters cell of {stem}.\n"
                f"Found `{lines[node.lineno - 1]}`.\nTo go on: move it to the next cell."
            )
        text = "\n".join(lines[node.lineno - 1 : node.end_lineno])
        found.append((node.targets[0].id, ast.unparse(node.value), text))
    return found


def _differences(wanted: nbformat.NotebookNode, stored: nbformat.NotebookNode) -> list[str]:
    found = [line for line in problems(stored) if "outputs" in line]
    for number, (one, other) in enumerate(zip(wanted.cells, stored.cells), 1):
        if _essence(one) != _essence(other):
            shown = (one.source or other.source).splitlines() or [""]
            return [*found, f"cell {number} disagrees with the source: {shown[0][:60]}"]
    if len(wanted.cells) != len(stored.cells):
        found.append(f"{len(stored.cells)} cells, the source has {len(wanted.cells)}")
    return found


def _essence(cell: nbformat.NotebookNode) -> tuple:
    folded = bool(cell.metadata.get("jupyter", {}).get("source_hidden"))
    return cell.cell_type, cell.get("id"), cell.source, tuple(cell.metadata.get("tags", [])), folded


if __name__ == "__main__":
    sys.exit(main())
