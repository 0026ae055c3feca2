"""
Write docs/lessons.md: how long each lesson is.

    python tools/lesson_table.py            write the page
    python tools/lesson_table.py --check    fail when the page disagrees with the lessons
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nbformat
from build_notebooks import OPTIONAL, lesson_notebook
from markdown_it import MarkdownIt

from workshop_utils.files import write_text

__all__ = ["CODE_LINES", "WORDS", "Counts", "count", "main", "render"]

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "docs" / "lessons.md"
#: Words of text and lines of code that a newcomer reads in a minute.
WORDS, CODE_LINES = 200, 12
_WIDGETS = {"play", "figure", "corr_pnr_tuner", "evaluation_explorer", "component_browser"}
_VIEWERS = ("view_", "nb_", "plot_")
_READER = MarkdownIt("commonmark").enable("table")

_INTRODUCTION = f"""# The lessons in numbers

Made from the lessons by `python tools/lesson_table.py`, which `make notebooks` runs. To change a number,
change the lesson.

- *in class*: minutes with figures, sliders and exercises, as the lesson's first cell says.
- *to read*: minutes for the words, {WORDS} a minute, and for the lines of code, {CODE_LINES} a minute.
- *words*: in text cells of the learner's version, headings and tables included; a name in backticks is one
  word. Hints count, solutions don't.
- *code*: lines of code that aren't empty and aren't only a comment. The cell that installs the workshop, the
  same in every lesson, isn't in any column.
- *figures*: calls that draw a figure or show a player, a browser or sliders.
- *exercises*: all, and how many of them are open, which means that they have more than one right answer.
- *longest*: lines of the longest code cell, without the parameters.
"""
_HEADINGS = (
    "lesson", "in class", "to read", "words", "text cells", "code cells", "code", "figures", "exercises",
    "longest",
)  # fmt: skip


@dataclass(frozen=True)
class Counts:
    """What is counted in one lesson; times are in minutes."""

    stem: str
    title: str
    in_class: int
    words: int
    text_cells: int
    code_cells: int
    code_lines: int
    figures: int
    exercises: int
    open_exercises: int
    longest: int

    @property
    def to_read(self) -> int:
        """Minutes to read words and code, rounded."""
        return round(self.words / WORDS + self.code_lines / CODE_LINES)


def count(notebook: nbformat.NotebookNode, stem: str) -> Counts:
    """
    Count what is in a lesson.

    Parameters
    ----------
    notebook : NotebookNode
        The learner's version.
    stem : str
        Its file name without ending.

    Returns
    -------
    Counts
        A row of the table.

    Raises
    ------
    ValueError
        The lesson doesn't say its title or how long it takes.
    """
    text = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    code = [cell for cell in notebook.cells if cell.cell_type == "code" and "colab-only" not in _tags(cell)]
    joined = "\n\n".join(text)
    title = re.search(r"^# +(.+)$", joined, re.MULTILINE)
    minutes = re.search(r"\*\*Time:\*\*\D*(\d+) minutes", joined)
    if not (title and minutes):
        raise ValueError(
            f"Expected a title '# N. ...' and '**Time:** about N minutes' in the first cell of {stem}.\n"
            f"Found {title and title.group(1)!r} and {minutes and minutes.group()!r}.\n"
            f"To go on: write both in notebooks/py/{stem}.py."
        )
    exercises = re.findall(r"^### Exercise \d+\.\d+(.*)$", joined, re.MULTILINE)
    shown = [cell for cell in code if "parameters" not in _tags(cell)]
    return Counts(
        stem=stem,
        title=title.group(1),
        in_class=int(minutes.group(1)),
        words=sum(len(_words(part)) for part in text),
        text_cells=len(text),
        code_cells=len(code),
        code_lines=sum(len(_code_lines(cell.source)) for cell in code),
        figures=sum(1 for cell in code for _ in _figures(cell.source)),
        exercises=len(exercises),
        open_exercises=sum(rest.startswith(" (open)") for rest in exercises),
        longest=max((len(cell.source.splitlines()) for cell in shown), default=0),
    )


def render(folder: Path) -> str:
    """
    Write the page.

    Parameters
    ----------
    folder : pathlib.Path
        The folder of the notebooks, with the sources in ``py``.

    Returns
    -------
    str
        Markdown.
    """
    sources = sorted((folder / "py").glob("[0-9][0-9]_*.py"))
    rows = [count(lesson_notebook(source), source.stem) for source in sources]
    lines = [
        _line(_HEADINGS),
        "|---|" + "---:|" * (len(_HEADINGS) - 1),
        *(_line(_cells(row)) for row in rows),
    ]
    afternoon = [row for row in rows if row.stem not in OPTIONAL]
    total = (
        f"The {len(afternoon)} lessons of an afternoon take {_hours(sum(row.in_class for row in afternoon))}"
    )
    reading = f"of which {_hours(sum(row.to_read for row in afternoon))} are reading."
    return _INTRODUCTION + "\n" + "\n".join(lines) + f"\n\n{total}, {reading}\n"


def main(arguments: list[str] | None = None) -> int:
    """
    Write or check the page.

    Parameters
    ----------
    arguments : list of str, optional
        Of the command line.

    Returns
    -------
    int
        0 when all is well, 1 otherwise.
    """
    parser = argparse.ArgumentParser(description="Write docs/lessons.md from the lessons.")
    parser.add_argument("--check", action="store_true", help="only compare; fail when they disagree")
    parser.add_argument("--folder", type=Path, default=ROOT / "notebooks", help="folder of the notebooks")
    parser.add_argument("--target", type=Path, default=TARGET, help="the page")
    chosen = parser.parse_args(arguments)
    wanted = render(chosen.folder)
    if not chosen.check:
        write_text(chosen.target, wanted)
        return 0
    if chosen.target.is_file() and chosen.target.read_text(encoding="utf-8") == wanted:
        return 0
    print(f"{chosen.target.name} disagrees with the lessons.", file=sys.stderr)
    print("To go on: python tools/lesson_table.py, and commit the page.", file=sys.stderr)
    return 1


def _tags(cell: nbformat.NotebookNode) -> list[str]:
    return cell.metadata.get("tags", [])


def _words(text: str) -> list[str]:
    """Split text without code blocks, formulas' marks, addresses and HTML."""
    spoken = []
    for token in _READER.parse(text):
        for child in token.children or ():
            if child.type in ("text", "code_inline"):
                spoken.append("code" if child.type == "code_inline" else child.content)
    return re.findall(r"[^\W_][\w'’.,-]*", " ".join(spoken))


def _code_lines(source: str) -> list[str]:
    stripped = [line.strip() for line in source.splitlines()]
    return [line for line in stripped if line and not line.startswith("#")]


def _figures(source: str) -> Iterator[str]:
    tree = ast.parse(source)
    saved = [
        node.func.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "save"
    ]
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node not in saved:
            name, owner = node.func.attr, node.func.value
            drawn = isinstance(owner, ast.Name) and owner.id == "figures"
            if drawn or name in _WIDGETS or name.endswith("_figure") or name.startswith(_VIEWERS):
                yield name


def _cells(row: Counts) -> tuple[str, ...]:
    numbers = (
        row.in_class,
        row.to_read,
        row.words,
        row.text_cells,
        row.code_cells,
        row.code_lines,
        row.figures,
    )
    exercises = f"{row.exercises} ({row.open_exercises} open)"
    title = row.title + (" (optional)" if row.stem in OPTIONAL else "")
    return (f"[{title}](../notebooks/{row.stem}.ipynb)", *map(str, numbers), exercises, str(row.longest))


def _line(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cells) + " |"


def _hours(minutes: int) -> str:
    return f"{minutes // 60} h {minutes % 60} min"


if __name__ == "__main__":
    sys.exit(main())
