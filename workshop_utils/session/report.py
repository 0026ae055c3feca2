"""One page about a movie's results that can be read anywhere: no network, no files beside it."""

from __future__ import annotations

import datetime
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cnmf_engine.base.errors import MissingFileError, explain
from workshop_utils import __version__
from workshop_utils.files import human_bytes, write_text
from workshop_utils.lessons import STEPS
from workshop_utils.session import file as session_file
from workshop_utils.session.notebooks import cells, find_failure, tags_of, text_of, title_of
from workshop_utils.session.records import decode

__all__ = ["FILE", "Figure", "Lesson", "build", "collect"]

FILE = "report.html"
_LARGEST_HTML = 200_000
_LONGEST_TEXT = 4_000
# What would reach outside the page, or run in it.
_NOT_SELF_CONTAINED = re.compile(
    r"<(script|iframe|link|object|embed)\b|\b(src|href)\s*=\s*[\"']?(https?:)?//", re.I
)
#: What the page shows first, where a step has recorded it: step, key, label, number format.
_HEADLINES = (
    ("motion", "error_px", "px motion left (RMS, known truth)", "{:.2f}"),
    ("model", "components", "components found", "{:.0f}"),
    ("evaluation", "accepted", "accepted", "{:.0f}"),
    ("evaluation", "rejected", "rejected", "{:.0f}"),
    ("evaluation", "precision", "precision (known truth)", "{:.2f}"),
    ("evaluation", "recall", "recall (known truth)", "{:.2f}"),
    ("evaluation", "f1", "F1 (known truth)", "{:.2f}"),
    ("evaluation", "trace_r_median", "median trace correlation", "{:.2f}"),
)


@dataclass(frozen=True)
class Figure:
    """
    Something a lesson drew or printed for the report.

    Attributes
    ----------
    kind : {'png', 'html', 'text'}
        What `content` is: base64, markup or plain text.
    content : str
        The figure.
    caption : str
        What it shows, also as the text for people who can't see it.
    """

    kind: str
    content: str
    caption: str


@dataclass(frozen=True)
class Lesson:
    """
    What the report says about one executed notebook.

    Attributes
    ----------
    title : str
        Its heading.
    link : str
        Address relative to the report.
    seconds : float or None
        How long it ran.
    figures : list of Figure
        In order.
    parameters : dict
        What was passed to it.
    error : str
        Kind and text of the error if it failed, else empty.
    """

    title: str
    link: str
    seconds: float | None = None
    figures: list[Figure] = field(default_factory=list)
    parameters: dict[str, Any] = field(default_factory=dict)
    error: str = ""


def build(results: str | os.PathLike) -> Path:
    """
    Write the report of a results folder.

    Parameters
    ----------
    results : path-like
        A folder with a session in it.

    Returns
    -------
    pathlib.Path
        ``report.html`` in that folder.

    Raises
    ------
    MissingFileError
        There is no session in the folder.
    InputError
        The session can't be read.
    """
    import jinja2

    folder = Path(results).expanduser().resolve()
    session = _session(folder)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("workshop_utils.session", ""),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["value"] = _show
    page = environment.get_template("report.html.j2").render(
        movie=session["movie"],
        size=human_bytes(session["movie"]["bytes"]),
        facts=_movie_facts(session),
        headlines=_headlines(session["steps"]),
        engine=session["engine"],
        versions=session["versions"],
        lessons=list(collect(folder)),
        steps=session["steps"],
        parameters=_parameters(session["steps"], folder),
        made=datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M"),
        workshop=__version__,
    )
    return write_text(folder / FILE, page)


def collect(folder: Path) -> Iterator[Lesson]:
    """
    Read what the executed notebooks show.

    Parameters
    ----------
    folder : pathlib.Path
        The results folder.

    Yields
    ------
    Lesson
        One for each notebook in ``notebooks``, in order; a failed one with what it got to.
    """
    times = _run_times(folder)
    for path in sorted((folder / "notebooks").glob("[0-9][0-9]_*.ipynb")):
        failure = find_failure(path)
        yield Lesson(
            title=title_of(path),
            link=path.relative_to(folder).as_posix(),
            seconds=times.get(path.name.split(".")[0]),
            figures=list(_figures(path)),
            parameters=_passed(path),
            error=failure.error if failure else "",
        )


def _figures(path: Path) -> Iterator[Figure]:
    heading, shown = "", 0
    for cell in cells(path):
        if cell["cell_type"] == "markdown":
            headings = re.findall(r"^#+ +(.+)$", text_of(cell["source"]), re.MULTILINE)
            heading, shown = (headings[-1].strip(), 0) if headings else (heading, shown)
        elif "report" in tags_of(cell):
            for output in cell.get("outputs", []):
                caption = heading if not shown else f"{heading} ({shown + 1})"
                figure = _figure(output, caption)
                if figure is not None:
                    # Outputs that say themselves what they show don't count.
                    shown += figure.caption == caption
                    yield figure


def _figure(output: dict[str, Any], caption: str) -> Figure | None:
    """Take the first form of an output that a page can hold without help from outside."""
    data = output.get("data", {})
    if "image/png" in data:
        content = "".join(text_of(data["image/png"]).split())
        return Figure("png", content, _alt(output.get("metadata", {}), "image/png") or caption)
    html = text_of(data.get("text/html"))
    if html and len(html) <= _LARGEST_HTML and not _NOT_SELF_CONTAINED.search(html):
        return Figure("html", html, _alt(output.get("metadata", {}), "text/html") or caption)
    text = text_of(output.get("text")) if output.get("name") == "stdout" else ""
    if text.strip() and len(text) <= _LONGEST_TEXT:
        return Figure("text", text.rstrip(), caption)
    return None


def _alt(metadata: dict[str, Any], kind: str) -> str:
    inner = metadata.get(kind, {})
    return str(metadata.get("alt") or (inner.get("alt") if isinstance(inner, dict) else "") or "")


def _passed(path: Path) -> dict[str, Any]:
    """Take the values that papermill noted in the notebook."""
    content = json.loads(path.read_text(encoding="utf-8"))
    return dict(content.get("metadata", {}).get("papermill", {}).get("parameters", {}))


def _run_times(folder: Path) -> dict[str, float]:
    try:
        steps = json.loads((folder / "run.json").read_text(encoding="utf-8"))["steps"]
    except (FileNotFoundError, ValueError, KeyError):
        return {}
    return {entry["notebook"]: entry["seconds"] for entry in steps.values() if "seconds" in entry}


def _session(folder: Path) -> dict[str, Any]:
    if not (folder / session_file.FILE_NAME).is_file():
        fix = "name the folder of an earlier run, or start one: workshop run"
        raise MissingFileError(explain(f"results in {folder}", f"no {session_file.FILE_NAME} there", fix))
    content = session_file.read(folder)
    content["steps"] = {
        # Paths inside the folder stay relative: the page may be read on another machine.
        name: content["steps"][name] | {"values": decode(content["steps"][name]["values"], Path())}
        for name in STEPS
        if name in content["steps"]
    }
    return content


def _headlines(steps: dict[str, Any]) -> list[tuple[str, str]]:
    found = []
    for step, key, label, form in _HEADLINES:
        value = steps.get(step, {}).get("values", {}).get(key)
        if isinstance(value, (int, float)) and value == value:  # a share of nothing is NaN
            found.append((form.format(value), label))
    return found


def _movie_facts(session: dict[str, Any]) -> list[tuple[str, str]]:
    values = session["steps"].get("movie", {}).get("values", {})
    shape, rate = values.get("shape"), values.get("fr")
    facts = []
    if isinstance(shape, list) and len(shape) == 3:
        facts.append(("size", f"{shape[0]} frames of {shape[1]} × {shape[2]} pixels"))
    if rate:
        length = f" ({shape[0] / rate:.0f} s)" if facts else ""
        facts.append(("frame rate", f"{rate:g} frames per second{length}"))
    return facts


def _parameters(steps: dict[str, Any], folder: Path) -> dict[str, dict[str, Any]]:
    """Read the groups of CaImAn parameters that the lessons have kept."""
    path = steps.get("params", {}).get("values", {}).get("path")
    if not isinstance(path, Path) or not (folder / path).is_file():
        return {}
    try:
        groups = json.loads((folder / path).read_text(encoding="utf-8")).items()
    except (ValueError, AttributeError, RecursionError):
        return {}  # the report has what can be read
    return {name: group for name, group in groups if isinstance(group, dict) and group}


def _show(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list) and len(value) > 12:
        return f"{len(value)} values"
    if isinstance(value, list):
        return ", ".join(_show(item) for item in value)
    return str(value)
