"""
Links in lessons and documents lead somewhere, and papers are cited as docs/references.md has them.

Nothing is fetched: files and headings have to exist, addresses and DOIs have to be well formed. `make links`
asks the network.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from prose import EVERYTHING, ROOT, SOURCES, Link, Passage, anchors, name_of, passages, report

REFERENCES = ROOT / "docs" / "references.md"
# Prefix of the registrant, a slash, and a suffix that ends in a letter or digit.
DOI = re.compile(r"10\.\d{4,9}/[-._;()/:A-Za-z0-9]*[A-Za-z0-9]")
_ENTRY = re.compile(
    r"(?P<authors>[^\d]+?) (?P<year>\d{4})\. (?P<title>[^?]+?)\. (?P<journal>[^.]+)\. "
    rf"(?P<doi>{DOI.pattern})\. (?P<why>.+)",
    re.DOTALL,
)
_EMPTY_WORDS = {"here", "click here", "link", "this", "this link", "more"}


@dataclass(frozen=True)
class Paper:
    """An entry of docs/references.md."""

    authors: str
    year: str
    title: str
    journal: str
    doi: str
    why: str

    @property
    def surname(self) -> str:
        return re.split(r" et al| and ", self.authors)[0]


def papers() -> dict[str, Paper]:
    """Read docs/references.md."""
    found = {}
    for passage in passages(REFERENCES):
        if passage.links:
            entry = _ENTRY.fullmatch(" ".join(passage.text.split()))
            assert entry, (
                f"{passage.at(0)}: write 'Author et al. 2020. *Title*. Journal. [DOI](address). Why.'"
            )
            found[entry["doi"]] = Paper(**entry.groupdict())
    return found


def link_problem(link: Link, path: Path) -> str:
    """Say what is wrong with a link; empty when nothing is."""
    if not link.image and link.text.strip("` ").lower() in _EMPTY_WORDS:
        return f"'{link.text}' says nothing to somebody who hears links only: name the target"
    if link.image and len(link.text.split()) < 4:
        return f"the picture {link.target} needs a sentence that says what is seen: ![...]({link.target})"
    parts = urlsplit(link.target)
    if parts.scheme or parts.netloc:
        return address_problem(link)
    if path in SOURCES and parts.path:
        return f"{link.target}: a lesson is opened on its own, in Colab too; link to a web address"
    target = path if not parts.path else (path.parent / unquote(parts.path)).resolve()
    if not target.exists():
        return f"{link.target}: there is no {name_of(target)}"
    if parts.fragment and target.suffix in (".md", ".py"):
        known = anchors(target)
        return "" if parts.fragment in known else f"{link.target}: no such heading; there are {sorted(known)}"
    return ""


def address_problem(link: Link) -> str:
    """Say what is wrong with an address; empty when nothing is."""
    parts = urlsplit(link.target)
    if parts.scheme != "https" or "." not in parts.netloc or re.search(r"[\s\"<>]|[.,;:]$", link.target):
        return f"{link.target}: write https://host/path, without a full stop at the end"
    if parts.netloc in ("doi.org", "dx.doi.org"):
        doi = unquote(parts.path[1:])
        if parts.netloc != "doi.org" or not DOI.fullmatch(doi):
            return f"{link.target}: a DOI looks like https://doi.org/10.7554/eLife.28728"
        if DOI.search(link.text) and link.text != doi:
            return f"the text says {link.text}, the link leads to {doi}"
    return ""


def citation_problems(passage: Passage, known: dict[str, Paper]) -> list[str]:
    """List what the DOIs of a passage lack: an entry, or its author, year and journal before them."""
    text = " ".join(passage.text.split())
    found = []
    start = 0
    for match in DOI.finditer(text):
        paper = known.get(match.group())
        before, start = text[start : match.start()], match.end()
        if paper is None:
            found.append(f"{passage.at(0)}: {match.group()} isn't in docs/references.md: add it there")
            continue
        lacking = [part for part in (paper.surname, paper.year, paper.journal) if part not in before]
        if lacking:
            wanted = f"{paper.authors} {paper.year}, {paper.journal}, {paper.doi}"
            found.append(f"{passage.at(0)}: {', '.join(lacking)} isn't said before the DOI; write '{wanted}'")
    return found


@pytest.mark.parametrize("path", EVERYTHING, ids=name_of)
def test_links_lead_somewhere(path):
    found = [
        f"{passage.at(0)}: {problem}"
        for passage in passages(path)
        for link in passage.links
        if (problem := link_problem(link, path))
    ]
    report(found)


@pytest.mark.parametrize("path", EVERYTHING, ids=name_of)
def test_no_link_is_left_half_written(path):
    found = [
        f"{passage.at(match.start())}: {match.group()[:60]!r} isn't a link, because of a bracket or a name"
        for passage in passages(path)
        for match in re.finditer(r"\]\([^)]*\)?|\[[^\]]+\]\[[^\]]*\]", passage.words)
    ]
    report(found)


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_papers_are_cited_as_in_the_list(path):
    known = papers()
    found = [line for passage in passages(path) for line in citation_problems(passage, known)]
    report(found)


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_dois_can_be_clicked(path):
    found = [
        f"{passage.at(match.start())}: {match.group()}: write [{match.group()}](https://doi.org/{match.group()})"
        for passage in passages(path)
        for match in DOI.finditer(passage.text)
        if match.group() not in [link.text for link in passage.links]
    ]
    report(found)


def test_list_of_papers_is_complete_and_has_each_once():
    listed = re.findall(rf"\[({DOI.pattern})\]", REFERENCES.read_text(encoding="utf-8"))
    assert len(listed) == len(set(listed)) == len(papers()) >= 10
    for paper in papers().values():
        assert 1950 < int(paper.year) < 2100 and len(paper.why.split()) >= 4, paper


def test_wrong_links_are_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# One, two & `three`\n\n# Twice\n\n# Twice\n")
    assert anchors(page) == {"one-two--three", "twice", "twice-1"}
    good = [
        "#twice-1",
        "page.md",
        "page.md#one-two--three",
        "https://doi.org/10.7554/eLife.28728",
        "https://a.org/b?c",
    ]
    bad = [
        "#thrice",
        "pagee.md",
        "http://a.org",
        "https://nowhere",
        "https://a.org/b.",
        "https://doi.org/11.1/x",
    ]
    assert [link_problem(Link(target, "some text"), page) for target in good] == [""] * len(good)
    assert all(link_problem(Link(target, "some text"), page) for target in bad)
    assert "another" not in link_problem(Link("https://doi.org/10.1/x", "10.1000/abc"), page)
    assert "leads to" in link_problem(Link("https://doi.org/10.1000/abd", "10.1000/abc"), page)
    assert "says nothing" in link_problem(Link("page.md", "here"), page)
    assert "sentence" in link_problem(Link("page.md", "a picture", image=True), page)
    assert "opened on its own" in link_problem(Link("../README.md", "the front page"), SOURCES[0])


def test_wrong_citations_are_found():
    known = {"10.1000/abc": Paper("Who et al.", "2020", "A title", "Journal", "10.1000/abc", "Because.")}

    def problems(text: str) -> list[str]:
        return citation_problems(Passage("text", 1, text, "text", ""), known)

    assert problems("Who et al. 2020, Journal, 10.1000/abc.") == []
    assert "2020 isn't said" in problems("Who et al. 2021, Journal, 10.1000/abc")[0]
    assert "Who, 2020, Journal" in problems("Who et al. 2020, Journal, 10.1000/abc; Other, 10.1000/abc")[0]
    assert "isn't in docs/references.md" in problems("Else 2020, Journal, 10.1000/xyz")[0]
