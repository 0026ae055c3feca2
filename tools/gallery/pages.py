"""A lesson's page: the learner's notebook, with the outputs of the executed one."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat

from tools.gallery.executing import Executed
from tools.gallery.neutral import Neutral, machine_folders
from tools.gallery.outputs import LessonOutputs

__all__ = ["Header", "LessonPage", "header_of", "lesson_page", "reading_times"]

_TITLE = re.compile(r"^# +(.+)$", re.MULTILINE)
_LEARN = re.compile(r"\*\*You will learn\*\*\s*(.+?)(?:\n\s*\n|\Z)", re.DOTALL)
_TIME = re.compile(r"\*\*Time:\*\*\D*(\d+)\s+minutes")
_ROW_OF = re.compile(r"\]\([^)]*?(\w+)\.ipynb\)")


@dataclass(frozen=True)
class Header:
    """What the first cell of a lesson says: heading, what one learns, and how long it takes."""

    title: str
    learn: str
    minutes: int | None


@dataclass
class LessonPage:
    """What the site holds of a lesson: what Sphinx renders, the figures and what they show, and a card."""

    lesson: Executed
    header: Header
    notebook: Any
    pictures: list[tuple[Path, str]] = field(default_factory=list)
    bokeh: set[str] = field(default_factory=set)  # parts of BokehJS that its viewers need
    thumbnail: tuple[Path, str] | None = None  # the first picture for the report, else the first at all

    @property
    def name(self) -> str:
        """File name without ending."""
        return self.lesson.source.stem


def header_of(notebook: Any) -> Header:
    """Read a lesson's first cell; a ValueError if it has no heading or doesn't say what one learns."""
    text = notebook.cells[0].source
    title, learn, time = _TITLE.search(text), _LEARN.search(text), _TIME.search(text)
    if not (title and learn):
        raise ValueError(
            f"Expected '# title' and '**You will learn** ...' in the first cell, found {text[:80]!r}"
        )
    words = " ".join(learn[1].split())
    return Header(title[1].strip(), words, int(time[1]) if time else None)


def reading_times(table: Path) -> dict[str, int]:
    """Read from the table of lessons, by file name without ending, how many minutes each takes to read."""
    if not table.is_file():
        return {}
    lines = [line for line in table.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    column = next((row.index("to read") for row in rows if "to read" in row), None)
    if column is None:
        return {}
    named = [(_ROW_OF.search(row[0]), row) for row in rows]
    return {name[1]: int(row[column]) for name, row in named if name}


def lesson_page(lesson: Executed, static: Path, to_read: int | None = None) -> LessonPage:
    """
    Put a lesson's page together, its pictures, videos and viewers into a folder.

    Texts are the learner's notebook's, whatever they were when it was executed; a code cell that wasn't
    executed is a ValueError.
    """
    notebook = nbformat.read(lesson.source, as_version=4)
    executed = nbformat.read(lesson.notebook, as_version=4)
    given = executed.metadata.get("papermill", {}).get("parameters", {})
    writer = LessonOutputs(lesson.source.stem, static, Neutral(machine_folders(given.get("results"))))
    left = iter(cell for cell in executed.cells if cell.cell_type == "code")
    reported = None
    for cell in notebook.cells:
        if cell.cell_type == "code":
            ran = next((other for other in left if other.source == cell.source), None)
            if ran is None:
                raise ValueError(
                    f"{lesson.notebook.name} was not executed with this cell:\n{cell.source[:200]}"
                )
            before = len(writer.pictures)
            cell.outputs = writer.transformed(ran.outputs)
            tags = cell.metadata.get("tags", [])
            if "report" in tags and reported is None:
                reported = next(iter(writer.pictures[before:]), None)
            if "colab-only" in tags:
                cell.metadata["tags"] = [*tags, "hide-input"]
                cell.metadata["mystnb"] = {
                    "code_prompt_show": "Show the cell that installs the workshop in Colab"
                }
    header = header_of(notebook)
    _add_bar(notebook, lesson, header, to_read)
    thumbnail = reported or next(iter(writer.pictures), None)
    return LessonPage(lesson, header, notebook, writer.pictures, writer.bokeh, thumbnail)


def _add_bar(notebook: Any, lesson: Executed, header: Header, to_read: int | None) -> None:
    """Write below the heading how long the lesson takes, and where it can be had."""
    facts = [f"about {header.minutes} minutes in class"] if header.minutes else []
    if to_read is not None:
        facts = [", ".join([*facts, f"{to_read} to read" if facts else f"{to_read} minutes to read"])]
    code = sum(cell.cell_type == "code" for cell in notebook.cells)
    facts.append(f"{len(notebook.cells)} cells, {code} of them code")
    facts.append(f"ran in {lesson.seconds:.0f} s on {html.escape(lesson.movie)}")
    bar = (
        f'<div class="lesson-bar"><span>{" · ".join(facts)}</span>'
        f'<a href="../_static/download/{lesson.source.name}" download>Download the notebook</a>'
        '<button type="button" class="print-page">Print</button></div>'
    )
    first = notebook.cells[0]
    first.source = _TITLE.sub(lambda match: f"{match[0]}\n\n{bar}\n", first.source, count=1)
