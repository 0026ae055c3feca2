"""Read the prose of lessons and documents: sentences with their place, code spans, tables, links."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import jupytext
import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.dollarmath import dollarmath_plugin

ROOT = Path(__file__).resolve().parents[1]
#: Lessons as people edit them, and documents as people read them.
SOURCES = sorted((ROOT / "notebooks" / "py").glob("[0-9][0-9]_*.py"))
DOCUMENTS = sorted(
    [*(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "data/README.md"))]
    + list((ROOT / "docs").rglob("*.md"))
)
EVERYTHING = [*SOURCES, *DOCUMENTS]
#: Pages that are filled in later: the README of a class's folder, the gallery's front page.
TEMPLATES = sorted(path for name in ("workshop_utils", "tools") for path in (ROOT / name).rglob("*.md.j2"))

_FILLED = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)
_MARKER = re.compile(r"^# %%")
# What a passage is, from the token that opens or closes what it stands in; a heading is called by its tag.
_KINDS = {"heading_open": "", "heading_close": "text", "table_open": "table", "table_close": "text"}
_READER = MarkdownIt("commonmark").enable("table").use(dollarmath_plugin)


@dataclass(frozen=True)
class Cell:
    """A cell of a lesson; a document is one text cell. Lines count from 1 in the file, cells from 1."""

    number: int
    kind: str
    text: str
    line: int
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Link:
    """Where a link leads and what it says; a picture is one whose text is its description."""

    target: str
    text: str
    image: bool = False


@dataclass(frozen=True)
class Passage:
    """
    One paragraph, list item, heading or table cell.

    `text` keeps code spans in backticks and loses every other mark; newlines are the source's.
    """

    file: str
    line: int
    text: str
    kind: str
    section: str
    links: tuple[Link, ...] = ()
    tags: tuple[str, ...] = ()

    def at(self, position: int) -> str:
        """Name the file and line of a character."""
        return f"{self.file}:{self.line + self.text.count(chr(10), 0, position)}"

    @property
    def words(self) -> str:
        """The text without what is in backticks."""
        return re.sub(r"`[^`]*`", lambda match: " " * len(match.group()), self.text)


@dataclass
class Table:
    """A table: its headings, and for each row its line and cells."""

    file: str
    section: str
    headings: list[str] = field(default_factory=list)
    rows: list[tuple[int, list[str]]] = field(default_factory=list)


def name_of(path: Path) -> str:
    """Give the path as messages show it."""
    try:
        return path.relative_to(ROOT).as_posix()
    except ValueError:
        return path.name


def report(problems: Iterable[str], fix: str = "") -> None:
    """Fail with all problems, one a line and none cut short; empty ones don't count."""
    found = [problem for problem in problems if problem]
    if found:
        pytest.fail("\n".join([f"{len(found)} to mend. {fix}".strip(), *found]), pytrace=False)


@functools.cache
def cells(path: Path) -> tuple[Cell, ...]:
    """Read the cells of a lesson's source; a document is one cell."""
    content = path.read_text(encoding="utf-8")
    if path.suffix == ".j2":
        content = _FILLED.sub(lambda match: "\n" * match.group().count("\n"), content)
    if path.suffix in (".md", ".j2"):
        return (Cell(1, "markdown", content, 1),)
    markers = [number for number, line in enumerate(content.splitlines(), 1) if _MARKER.match(line)]
    read = jupytext.reads(content, fmt="py:percent").cells
    assert len(markers) == len(read), f"{path.name}: every cell has to start with a line `# %%`"
    return tuple(
        Cell(number, cell.cell_type, cell.source, line + 1, tuple(cell.metadata.get("tags", [])))
        for number, (cell, line) in enumerate(zip(read, markers), 1)
    )


def code(path: Path) -> str:
    """Join the code cells of a lesson."""
    return "\n".join(cell.text for cell in cells(path) if cell.kind == "code")


def passages(path: Path) -> list[Passage]:
    """List all prose of a file, in order."""
    return [passage for passage in _blocks(path) if isinstance(passage, Passage)]


def tables(path: Path) -> list[Table]:
    """List the tables of a file, in order."""
    return [table for table in _blocks(path) if isinstance(table, Table)]


@functools.cache
def _blocks(path: Path) -> tuple[Passage | Table, ...]:
    found: list[Passage | Table] = []
    section = ""
    for cell in cells(path):
        if cell.kind == "markdown":
            blocks = list(read(cell.text, name_of(path), cell.line, section, cell.tags))
            found += blocks
            section = next((b.section for b in reversed(blocks)), section)
    return tuple(found)


def read(
    text: str, file: str = "text", line: int = 1, section: str = "", tags: tuple[str, ...] = ()
) -> Iterator[Passage | Table]:
    """
    Read Markdown.

    Parameters
    ----------
    text : str
        What to read.
    file : str
        Name for messages.
    line : int
        Line of the file at which the text starts.
    section : str
        The heading that it stands under.
    tags : tuple of str
        Of the cell it stands in.

    Yields
    ------
    Passage or Table
        Cells of a table come as passages, and then as the table.
    """
    kind, table, row = "text", None, line
    for token in _READER.parse(text):
        if token.map:
            row = line + token.map[0]
        kind = _KINDS.get(token.type, kind) or token.tag
        if token.type == "table_open":
            table = Table(file, section)
        elif token.type == "table_close" and table is not None:
            yield table
            table = None
        elif table is not None:
            _fill(table, token, row)
        if token.type == "html_block":
            plain = re.sub(r"<[^>]*>", " ", token.content).strip()
            yield Passage(file, row, plain, "text", section, (), tags)
        elif token.type == "inline":
            plain = flat(token)
            section = plain if kind in ("h1", "h2", "h3", "h4") else section
            yield Passage(file, row, plain, kind, section, tuple(_links(token.children or [])), tags)


def _fill(table: Table, token: Token, row: int) -> None:
    if token.type == "tr_open":
        table.rows.append((row, []))
    elif token.type == "inline":
        table.rows[-1][1].append(flat(token))
    elif token.type == "thead_close":
        table.headings = table.rows.pop()[1]


def shell_lines(path: Path) -> Iterator[tuple[str, str]]:
    """Give place and text of each line in the code blocks that aren't Python."""
    for cell in cells(path):
        if cell.kind == "markdown":
            for token in _READER.parse(cell.text):
                if token.type == "fence" and token.map and not token.info.startswith("py"):
                    for number, line in enumerate(token.content.splitlines(), cell.line + token.map[0] + 1):
                        yield f"{name_of(path)}:{number}", line


def flat(token: Token) -> str:
    """Write a paragraph without its marks, but with backticks."""
    parts = []
    for child in token.children or []:
        if child.type == "code_inline":
            parts.append(f"`{child.content}`")
        elif child.type in ("text", "text_special"):
            parts.append(child.content)
        elif child.type in ("softbreak", "hardbreak"):
            parts.append("\n")
        elif child.type == "image":
            parts.append(child.content)
    return "".join(parts)


def _links(children: list[Token]) -> Iterator[Link]:
    target, words = None, []
    for child in children:
        if child.type == "link_open":
            target, words = str(child.attrs["href"]), []
        elif child.type == "link_close" and target is not None:
            yield Link(target, "".join(words))
            target = None
        elif child.type == "image":
            yield Link(str(child.attrs["src"]), child.content, image=True)
        elif child.content:
            words.append(child.content)


def anchors(path: Path) -> set[str]:
    """List what a link to a place in a document may name, as GitHub and GitLab make it from headings."""
    found: dict[str, int] = {}
    for passage in passages(path):
        if re.fullmatch(r"h\d", passage.kind):
            plain = passage.text.replace("`", "").lower()
            slug = re.sub(r"[^\w\- ]", "", plain).strip().replace(" ", "-")
            found[slug] = found.get(slug, -1) + 1
    return {slug if not n else f"{slug}-{n}" for slug, most in found.items() for n in range(most + 1)}
