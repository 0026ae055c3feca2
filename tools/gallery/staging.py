"""
Lay out what Sphinx reads: a folder like the repository, so that its pages' links hold on the site too.

Nothing in it is edited by hand, and it is made anew for each build.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Any

import nbformat

from tools.gallery.neutral import ROOT
from tools.gallery.outputs import size_of
from tools.gallery.pages import LessonPage

__all__ = ["Problem", "documents", "lay_out", "stage_texts"]

_HERE = Path(__file__).resolve().parent / "sphinx"
#: Pages in this order in the menu; what else is in docs/ follows.
_DOCUMENTS = ("docs/lessons.md", "docs/instructor.md", "docs/parameters.md", "docs/benchmarks.md")
_LAST = ("data/README.md", "CONTRIBUTING.md", "CHANGELOG.md")
_LINK = re.compile(r"\]\(([^)#\s:]+)(?:#[^)\s]*)?\)")
#: Notebooks that the site has to download but not as pages.
_UNREAD = re.compile(r"\[([^\]]+)\]\(([^)#\s:]*?((?:instructor/|00_)[\w./]*\.ipynb))\)")
_IMAGE = re.compile(r"!\[(?P<alt>[^\]]+)\]\((?P<path>[^)]+)\)")
_THUMBNAIL = (640, 320)


class Problem(ValueError):
    """The site can't be built from what is there; the text says why."""


def documents(root: Path = ROOT) -> list[str]:
    """List the pages beside the lessons that exist, in the order of the menu."""
    others = sorted(path.relative_to(root).as_posix() for path in (root / "docs").glob("*.md"))
    ordered = [*_DOCUMENTS, *(name for name in others if name not in _DOCUMENTS), *_LAST]
    return [name for name in ordered if (root / name).is_file()]


def stage_texts(folder: Path, root: Path = ROOT) -> list[str]:
    """Copy the pages beside the lessons, with the files that they link to, and Sphinx's configuration."""
    names = documents(root)
    for name in ["README.md", *names]:
        text = (root / name).read_text(encoding="utf-8")
        if name == "docs/instructor.md":
            lines = [f"- [{path.name}](../notebooks/instructor/{path.name})" for path in _instructors(root)]
            if lines:  # no lesson's page links to them
                text += "\n\n## The instructor's notebooks\n\nTo download:\n\n" + "\n".join(lines) + "\n"
        for target in _LINK.findall(text):  # files of the repository, other pages aside
            linked = (root / name).parent.joinpath(target).resolve()
            page = linked.suffix in (".md", ".ipynb")
            if linked.is_file() and not page and linked.is_relative_to(root.resolve()):
                _copy(linked, folder / linked.relative_to(root))
        # Notebooks without a page on the site are downloaded.
        link = rf'<a href="{"../" * name.count("/")}_static/download/\3" download>\1</a>'
        _write(folder / name, _UNREAD.sub(link, text))
    shutil.copy2(_HERE / "conf.py", folder / "conf.py")
    shutil.copytree(_HERE / "templates", folder / "templates")
    shutil.copytree(_HERE / "static", folder / "_static", dirs_exist_ok=True)
    return names


def lay_out(folder: Path, pages: list[LessonPage], root: Path = ROOT) -> None:
    """Write lessons, downloads, BokehJS and the front page to where `stage_texts` has written."""
    from cnmf_engine.view.resources import installed_script

    static = folder / "_static"
    for page in pages:
        (folder / "notebooks").mkdir(exist_ok=True)
        nbformat.write(page.notebook, folder / "notebooks" / f"{page.name}.ipynb")
        _copy(page.lesson.source, static / "download" / page.lesson.source.name)
    together = sorted((root / "notebooks").glob("00_*.ipynb"))
    for notebook in [*together, *_instructors(root)]:
        _copy(notebook, static / "download" / notebook.relative_to(root / "notebooks"))
    for component in set().union(*(page.bokeh for page in pages)):
        path = static / "bokeh" / f"{component}.min.js"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(installed_script(component))
    names = [str(Path(name).with_suffix("").as_posix()) for name in documents(root)]
    _write(folder / "index.md", _front(folder, pages, names, together, root))


def _front(folder: Path, pages: list[LessonPage], names: list[str], together: list[Path], root: Path) -> str:
    """Fill in the front page; what it says of the project is the README's."""
    import jinja2

    readme = (root / "README.md").read_text(encoding="utf-8")
    picture = _IMAGE.search(readme)
    if picture is None:
        raise Problem("Expected a picture in README.md, which the front page shows.\nFound none.")
    template = jinja2.Environment(keep_trailing_newline=True, autoescape=False).from_string(
        (_HERE / "index.md.j2").read_text(encoding="utf-8")
    )
    shutil.copy2(root / picture["path"], folder / "_static" / "front.png")
    width, height = size_of(root / picture["path"])
    return template.render(
        intro=readme[: picture.start()].split("\n", 1)[1].strip(),
        picture={"alt": picture["alt"], "width": width, "height": height},
        cards=[_card(page, folder / "_static" / "thumbnails") for page in pages],
        n_minutes=sum(page.header.minutes or 0 for page in pages),
        seconds=round(sum(page.lesson.seconds for page in pages)),
        cores=os.cpu_count(),
        all_in_one=together[0].name if together else "",
        table="docs/lessons" in names,
        documents=names,
    )


def _card(page: LessonPage, folder: Path) -> dict[str, Any]:
    from markdown_it import MarkdownIt

    if not page.thumbnail:
        raise Problem(f"Expected a figure in {page.name} for its card on the front page.\nFound none.")
    source, alt = page.thumbnail
    name = f"{page.name}.png"
    width, height = _shrink(source, folder / name)
    facts = [f"{page.header.minutes} minutes"] if page.header.minutes else []
    return {
        "name": page.name,
        "title": page.header.title,
        "learn": MarkdownIt().renderInline(page.header.learn),
        "facts": " · ".join([*facts, f"on {page.lesson.movie}"]),
        "thumbnail": name,
        "alt": alt,
        "width": width,
        "height": height,
    }


def _shrink(source: Path, target: Path) -> tuple[int, int]:
    """Write a small picture; give its size."""
    from PIL import Image

    target.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(source) as image:
        small = image.convert("RGB")
        small.thumbnail(_THUMBNAIL, Image.Resampling.LANCZOS)
        small.quantize(128).save(target, optimize=True)
        return small.size


def _instructors(root: Path) -> list[Path]:
    return sorted((root / "notebooks" / "instructor").glob("[0-9][0-9]_*.ipynb"))


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
