"""What a cell left, as HTML: pictures and videos in files, viewers in frames that load when they are seen."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat

from tools.gallery.neutral import Neutral
from workshop_utils.session.notebooks import text_of

__all__ = ["LessonOutputs", "UndescribedError", "size_of"]

#: From a page in `notebooks/` to the files that all pages share.
_STATIC = "../_static"
#: In the page that `cnmf_engine.view.resources.page_html` writes: where it takes BokehJS from.
_LIBRARIES = re.compile(r'"libraries": (\[.*?\])', re.DOTALL)
_LABEL = re.compile(r'aria-label="([^"]*)"')
#: What tqdm writes, once for each step: a label, and how far it is.
_PROGRESS = re.compile(r"^(?P<label>[^|]*?)\s*\d+%\|")
_VIEWER_SIZE = (960, 620)
_VIEWER = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="stylesheet" href="../viewer.css">
</head>
<body>
<main>
{content}
</main>
<script src="../viewer.js"></script>
</body>
</html>
"""


class UndescribedError(ValueError):
    """A picture or a viewer without words that take its place."""


class LessonOutputs:
    """
    Turns the outputs of one lesson into HTML, and files whose names start with the lesson's.

    `bokeh` are the parts of BokehJS that the viewers need, `pictures` the figures with what they show, in
    order, without those that only stand in for a viewer.
    """

    def __init__(self, name: str, static: Path, neutral: Neutral) -> None:
        self.name, self.static, self.neutral = name, static, neutral
        self.bokeh: set[str] = set()
        self.pictures: list[tuple[Path, str]] = []
        self._count = 0

    def transformed(self, outputs: list[Any]) -> list[Any]:
        """
        Replace the outputs of one cell: texts, and HTML in place of pictures, videos and viewers.

        One without words that take its place is an `UndescribedError`.
        """
        return list(self._each(outputs))

    def _each(self, outputs: list[Any]) -> Iterator[Any]:
        picture = None  # that the next output, a viewer, may bring to life
        for output in _joined(outputs):
            data = output.get("data", {})
            viewer = _is_viewer(text_of(data.get("text/html")))
            if picture is not None and not viewer:
                yield _html(self._figure(picture))
            if viewer:
                yield _html(self._viewer(text_of(data["text/html"]), picture))
                picture = None
            elif "video/mp4" in data:
                picture = None
                yield _html(self._video(output))
            elif "image/png" in data:
                picture = output
            else:
                picture = None
                yield self._text(output)
        if picture is not None:
            yield _html(self._figure(picture))

    def _text(self, output: Any) -> Any:
        shown = nbformat.from_dict(output)
        if "text" in shown:
            shown["text"] = self.neutral(_last_states(text_of(shown["text"])))
        for kind, content in shown.get("data", {}).items():
            shown["data"][kind] = self.neutral(text_of(content))
        if "evalue" in shown:
            shown["evalue"] = self.neutral(shown["evalue"])
        if "traceback" in shown:
            shown["traceback"] = [self.neutral(line) for line in shown["traceback"]]
        return shown

    def _figure(self, output: Any) -> str:
        image, caption = self._image(output)
        return f'<figure class="shown">{image}{_caption(caption)}</figure>'

    def _image(self, output: Any, stands_in: bool = False) -> tuple[str, str]:
        facts = output.get("metadata", {}).get("image/png", {})
        alt = self.neutral(facts.get("alt") or "")
        if not alt.strip():
            raise UndescribedError(
                f"{self.name}: a figure without alt text, after {len(self.pictures)} others"
            )
        path = self._write(base64.b64decode(text_of(output["data"]["image/png"])), ".png")
        if not stands_in:
            self.pictures.append((path, alt))
        width, height = facts.get("width"), facts.get("height")
        if not (width and height):
            width, height = size_of(path)
        tag = (
            f'<img src="{_STATIC}/lessons/{path.name}" alt="{html.escape(alt)}" width="{width}" '
            f'height="{height}" loading="lazy" decoding="async">'
        )
        return tag, self.neutral(facts.get("caption", ""))

    def _video(self, output: Any) -> str:
        facts = output["metadata"]["video/mp4"]
        path = self._write(base64.b64decode(text_of(output["data"]["video/mp4"])), ".mp4")
        poster = path.with_suffix(".jpg")
        _write_poster(path, poster)
        return (
            '<figure class="shown clip">'
            f'<video controls preload="none" playsinline width="{facts["width"]}" height="{facts["height"]}" '
            f'poster="{_STATIC}/lessons/{poster.name}" aria-label="{html.escape(facts["alt"])}">'
            f'<source src="{_STATIC}/lessons/{path.name}" type="video/mp4"></video>'
            f"{_caption(facts['caption'])}</figure>"
        )

    def _viewer(self, page: str, picture: Any) -> str:
        label = _LABEL.search(page[:2000])
        title = html.unescape(label[1]) if label else ""
        if not title.strip():
            raise UndescribedError(f"{self.name}: a viewer that doesn't say what it shows")
        libraries = [entry["name"] for entry in json.loads(_LIBRARIES.search(page)[1])]
        self.bokeh |= set(libraries)
        local = json.dumps([{"name": name, "url": f"../bokeh/{name}.min.js"} for name in libraries])
        content = self.neutral(_LIBRARIES.sub(lambda _: f'"libraries": {local}', page, count=1))
        path = self._write(
            _VIEWER.format(title=html.escape(title), content=content).encode(), ".html", "viewers"
        )
        still = ""
        if picture is not None:
            still = f'<div class="on-paper">{self._image(picture, stands_in=True)[0]}</div>'
        width, height = _VIEWER_SIZE
        address = f"{_STATIC}/viewers/{path.name}"
        return (
            f'<figure class="shown viewer"><iframe src="{address}" title="{html.escape(title)}" '
            f'width="{width}" height="{height}" loading="lazy"></iframe>{still}'
            f'<figcaption>Try it: this works here, without Python. <a href="{address}">On a page of its own'
            '</a> <span class="if-wide">It is wider than this screen: move it sideways.</span></figcaption>'
            "</figure>"
        )

    def _write(self, content: bytes, suffix: str, folder: str = "lessons") -> Path:
        self._count += 1
        # A page that was seen before must not show an old picture under the same name.
        mark = hashlib.sha256(content).hexdigest()[:8]
        path = self.static / folder / f"{self.name}-{self._count:02d}-{mark}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path


def _joined(outputs: list[Any]) -> list[Any]:
    """Join what was printed in pieces, one right after the other."""
    joined: list[Any] = []
    for output in outputs:
        last = joined[-1] if joined else {}
        if output["output_type"] == "stream" == last.get("output_type") and output["name"] == last["name"]:
            last["text"] = text_of(last["text"]) + text_of(output["text"])
        else:
            joined.append(nbformat.from_dict(dict(output)))
    return joined


def _last_states(text: str) -> str:
    """Leave of each progress bar its last state, as a terminal does that writes over the line."""
    kept: list[str] = []
    for line in text.split("\n"):
        line = next((part for part in reversed(line.split("\r")) if part.strip()), "")
        bar, before = _PROGRESS.match(line), _PROGRESS.match(kept[-1]) if kept else None
        if bar and before and bar["label"] == before["label"]:
            kept.pop()
        kept.append(line)
    return "\n".join(kept)


def _is_viewer(page: str) -> bool:
    return "showBokeh(" in page and _LIBRARIES.search(page) is not None


def _html(content: str) -> Any:
    return nbformat.v4.new_output("display_data", data={"text/html": content})


def _caption(text: str) -> str:
    return f"<figcaption>{html.escape(text)}</figcaption>" if text else ""


def size_of(path: Path) -> tuple[int, int]:
    """Read a picture's width and height, pixels."""
    from PIL import Image

    with Image.open(path) as image:
        return image.size


def _write_poster(video: Path, poster: Path) -> None:
    """Write the first frame, which is shown until somebody presses play."""
    import imageio_ffmpeg
    from PIL import Image

    frames = imageio_ffmpeg.read_frames(str(video))
    size = next(frames)["size"]
    picture = Image.frombytes("RGB", size, next(frames))
    frames.close()
    picture.convert("L").save(poster, quality=85)
