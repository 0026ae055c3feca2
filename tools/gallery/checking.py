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
#: Relations of `<link>` that only name an address.
_NAMING = {"canonical", "next", "prev", "search", "index", "author", "license", "genindex", "top", "up"}


def check(site: Path) -> list[str]:
    """
    Check all pages of a site.

    Parameters
    ----------
    site : pathlib.Path
        Its folder.

    Returns
    -------
    list of str
        One line a fault; empty when all is well.
    """
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
    framed = page.parent.name == "viewers"  # a page's part, in a frame
    found = _structure(tags, framed)
    for name, facts in tags:
        found += _words(name, facts)
        address = facts.get(_LOADED.get(name, ""))
        if address and not (name == "link" and _NAMING & set(facts.get("rel", []))):
            found += _loaded(name, address, page, site)
        if name == "a" and facts.get("href"):
            found += _led(facts["href"], page, site, read)
    return found


def _structure(tags: list[tuple[str, dict[str, Any]]], framed: bool) -> list[str]:
    headings = sum(name == "h1" for name, _ in tags)
    found = [] if framed or headings == 1 else [f"{headings} headings of the first rank, one is needed"]
    if not next((facts.get("lang") for name, facts in tags if name == "html"), ""):
        found.append("the page doesn't say its language")
    if not any(name == "meta" and facts.get("name") == "viewport" for name, facts in tags):
        found.append("no viewport: on a phone everything is tiny")
    return found


def _words(name: str, facts: dict[str, Any]) -> list[str]:
    if name == "img" and not (facts.get("alt") or "").strip():
        return [f"a picture without alt text: {facts.get('src')}"]
    if name == "iframe" and not (facts.get("title") or "").strip():
        return [f"a frame without a title: {facts.get('src')}"]
    if name == "video" and not (facts.get("aria-label") or "").strip():
        return ["a video that doesn't say what it shows"]
    return []


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
