"""Execute, lay out, call Sphinx, check: from lessons to a folder that any web server can serve."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tools.gallery.checking import check
from tools.gallery.executing import Executed, execute
from tools.gallery.neutral import ROOT
from tools.gallery.pages import lesson_page, reading_times
from tools.gallery.staging import Problem, lay_out, stage_texts

__all__ = ["SITE", "build", "check_links", "render", "sphinx"]

SITE = "site"
_PAGES, _RESULTS = "pages", "results"


def build(folder: Path, notebooks: Path | None = None, say: Callable[[str], None] = print) -> Path:
    """Make the site from the lessons as they are; give its folder, beside those of results and sources."""
    start = time.perf_counter()
    executed = execute(folder / _RESULTS, notebooks, say)
    say(f"Lessons: {sum(lesson.seconds for lesson in executed):.0f} s of execution, of these now "
        f"{time.perf_counter() - start:.0f} s")  # fmt: skip
    return render(executed, folder, say)


def render(executed: list[Executed], folder: Path, say: Callable[[str], None] = print) -> Path:
    """Make the site from executed lessons; a `Problem` lists what is wrong in it."""
    start = time.perf_counter()
    pages, site = folder / _PAGES, folder / SITE
    for old in (pages, site):
        shutil.rmtree(old, ignore_errors=True)
    stage_texts(pages)
    times = reading_times(ROOT / "docs" / "lessons.md")
    static = pages / "_static"
    lay_out(pages, [lesson_page(lesson, static, times.get(lesson.source.stem)) for lesson in executed])
    sphinx(pages, site, "html")
    shutil.rmtree(site / ".doctrees", ignore_errors=True)
    built = time.perf_counter()
    found = check(site)
    if found:
        raise Problem("\n".join(["Expected a site without faults.", "Found:", *found]))
    checked = time.perf_counter()
    say(f"Site: {built - start:.0f} s; its links, anchors and alt texts: {checked - built:.1f} s, no fault")
    say(_sizes(site))
    return site


def sphinx(source: Path, target: Path, builder: str, settings: tuple[str, ...] = ()) -> str:
    """Call Sphinx, with settings like 'name=value', and give what it printed; a warning is a `Problem`."""
    command = [sys.executable, "-m", "sphinx", "-b", builder, "-W", "--keep-going", "-q"]
    command += [part for setting in settings for part in ("-D", setting)]
    command += ["-d", str(target.parent / f"doctrees-{builder}"), str(source), str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    printed = (done.stdout + done.stderr).strip()
    if done.returncode:
        raise Problem(f"Sphinx stopped:\n{printed}")
    return printed


def check_links(folder: Path, say: Callable[[str], None] = print, settings: tuple[str, ...] = ()) -> None:
    """Ask every address outside the site that a lesson or document names whether it is still there."""
    from workshop_utils.lessons import lessons

    pages = folder / "links-pages"
    shutil.rmtree(pages, ignore_errors=True)
    names = stage_texts(pages)
    for path in lessons().values():
        (pages / "notebooks").mkdir(exist_ok=True)
        shutil.copy2(path, pages / "notebooks" / path.name)
    entries = ["README", *(name.removesuffix(".md") for name in names)]
    entries += [f"notebooks/{path.stem}" for path in lessons().values()]
    contents = "\n".join(["# Links", "", "```{toctree}", *entries, "```", ""])
    (pages / "index.md").write_text(contents, encoding="utf-8")
    # The README is a page here, not only a source of parts.
    external(pages, folder / "links", ("exclude_patterns=templates", *settings), say)


def external(
    source: Path, target: Path, settings: tuple[str, ...] = (), say: Callable[[str], None] = print
) -> None:
    """Check the addresses outside the site in a folder of sources; a `Problem` lists those that fail."""
    shutil.rmtree(target, ignore_errors=True)
    try:
        sphinx(source, target, "linkcheck", settings)
    except Problem as problem:
        report = target / "output.txt"
        lines = report.read_text(encoding="utf-8").splitlines() if report.is_file() else []
        broken = [line for line in lines if "[broken]" in line or "[timeout]" in line]
        raise Problem(
            "\n".join(["Expected addresses that answer.", "Found:", *broken]) if broken else str(problem)
        ) from None
    checked = (target / "output.json").read_text(encoding="utf-8").splitlines()
    say(f"{len(checked)} links, none broken")


def _sizes(site: Path) -> str:
    """Say what a reader downloads: each page, and what comes when it is scrolled to."""
    total = sum(path.stat().st_size for path in site.rglob("*") if path.is_file())
    lines = [f"The whole site: {total / 1e6:.1f} MB"]
    for page in [site / "index.html", *sorted((site / "notebooks").glob("*.html"))]:
        files = sorted((site / "_static").glob(f"*/{page.stem}-*"))
        later = sum(path.stat().st_size for path in files)
        name = page.relative_to(site).as_posix()
        lines.append(
            f"{name}: {page.stat().st_size / 1e3:.0f} kB"
            + (f", and {later / 1e6:.1f} MB in {len(files)} files as they come into view" if files else "")
        )
    return "\n".join(lines)
