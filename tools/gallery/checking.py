"""What must hold for every built page: words for pictures, links that lead somewhere, no stranger's files."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

__all__ = ["check"]

#: Tags and the attribute by which each brings something into the page.
_LOADED = {
    "script": "src", "link": "href", "img": "src", "iframe": "src", "video": "src", "source": "src",
    "embed": "src", "object": "data", "audio": "src", "input": "src",
}  # fmt: skip
#: Tags that need words, the attribute that holds them, and what is said without.
_WORDED = {
    "img": ("alt", "a picture without alt text: {}"),
    "iframe": ("title", "a frame without a title: {}"),
    "video": ("aria-label", "a video that doesn't say what it shows"),
}
#: Relations of `<link>` that only name an address.
_NAMING = {"canonical", "next", "prev", "search", "index", "author", "license", "genindex", "top", "up"}


def check(site: Path) -> list[str]:
    """Check all pages of a site; one line a fault, empty when all is well."""
    pages = sorted(site.rglob("*.html"))
    if not pages:
        return [f"no page in {site.name}"]
    read = lru_cache(maxsize=None)(_read)
    return [
        f"{page.relative_to(site).as_posix()}: {fault}"
        for page in pages
        for fault in _faults(page, site, read)
    ]


def _read(path: Path) -> tuple[list[tuple[str, dict[str, Any]]], set[str]]:
    """Give the tags of a page with their attributes, and its anchors."""
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
    tags = [(tag.name, tag.attrs) for tag in soup.find_all(True)]
    anchors = {facts["id"] for _, facts in tags if "id" in facts}
    return tags, anchors | {facts["name"] for name, facts in tags if name == "a" and "name" in facts}


def _faults(page: Path, site: Path, read: Any) -> list[str]:
    tags, _ = read(page)
    found = []
    headings = sum(name == "h1" for name, _ in tags)
    framed = page.parent.name == "viewers"  # a page's part, in a frame
    if not framed and headings != 1:
        found.append(f"{headings} headings of the first rank, one is needed")
    if not next((facts.get("lang") for name, facts in tags if name == "html"), ""):
        found.append("the page doesn't say its language")
    if not any(name == "meta" and facts.get("name") == "viewport" for name, facts in tags):
        found.append("no viewport: on a phone everything is tiny")
    for name, facts in tags:
        words, fault = _WORDED.get(name, ("", ""))
        if words and not (facts.get(words) or "").strip():
            found.append(fault.format(facts.get("src")))
        address = facts.get(_LOADED.get(name, ""))
        if address and not (name == "link" and _NAMING & set(facts.get("rel", []))):
            found += _loaded(name, address, page, site)
        if name == "a" and facts.get("href"):
            found += _led(facts["href"], page, site, read)
    return found


def _loaded(name: str, address: str, page: Path, site: Path) -> list[str]:
    parts = urlsplit(address)
    if parts.scheme == "data":
        return []
    if parts.scheme or parts.netloc:
        return [f"{name} loads {address[:100]} from elsewhere"]
    return (
        [] if _target(parts.path, page, site).is_file() else [f"{name} asks for {address}, which isn't there"]
    )


def _led(address: str, page: Path, site: Path, read: Any) -> list[str]:
    parts = urlsplit(address)
    if parts.scheme or parts.netloc:
        return []
    target = _target(parts.path, page, site) if parts.path else page
    if target.is_dir():
        target /= "index.html"
    if parts.path.startswith("/") or not target.is_relative_to(site.resolve()):
        return [f"a link out of the site's folder: {address}"]
    if not target.is_file():
        return [f"a link to {address}, which isn't there"]
    anchor = unquote(parts.fragment)
    if anchor and target.suffix == ".html" and anchor not in read(target)[1]:
        return [f"a link to {address}: no such place in that page"]
    return []


def _target(path: str, page: Path, site: Path) -> Path:
    """Find a file; an address that starts at the server's root would break below a sub-path."""
    return (page.parent / unquote(path)).resolve()
