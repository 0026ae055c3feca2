"""BokehJS for the cell that shows a plot: from the internet where there is one, else out of the package."""

from __future__ import annotations

import base64
import functools
import gzip
import html
import http.client
import importlib.resources
import json
import os
import re
import threading
import urllib.request
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bokeh.resources import Resources

__all__ = [
    "CORE",
    "WIDGETS",
    "address_of",
    "bokeh_resources",
    "cdn_reachable",
    "components_of",
    "installed_script",
    "page_html",
    "script",
]

#: The parts of BokehJS that plots need, and what sliders and texts need in addition.
CORE, WIDGETS = "bokeh", "bokeh-widgets"
#: The patience of somebody who waits for a plot, in seconds.
_PATIENCE = 1.0


def bokeh_resources(components: tuple[str, ...] = (CORE, WIDGETS)) -> Resources:
    """
    Choose where a page gets BokehJS from.

    Parameters
    ----------
    components : tuple of str
        Parts of BokehJS. Tables, WebGL and formulas (4 of its 5 MB) are left out unless asked for.

    Returns
    -------
    bokeh.resources.Resources
        As bokeh's own setting says (the environment variable ``BOKEH_RESOURCES``) if there is one; else
        ``cdn`` where the internet can be reached and ``inline`` where it can't.
    """
    from bokeh.resources import Resources
    from bokeh.settings import settings

    if os.environ.get("BOKEH_RESOURCES"):
        mode = settings.resources()
    else:
        mode = "cdn" if cdn_reachable() else "inline"
    return Resources(mode=mode, components=list(components))


@functools.cache
def cdn_reachable() -> bool:
    """Say whether BokehJS's public server can be reached; asked once a process, for at most a second."""
    from bokeh.resources import Resources

    url = address_of(Resources(mode="cdn", components=[CORE]), CORE)
    answers: list[bool] = []
    # A look-up of a name can't be given a time limit, so it is left behind in a thread of its own.
    asking = threading.Thread(target=lambda: answers.append(_serves_script(url)), daemon=True)
    asking.start()
    asking.join(_PATIENCE)
    return answers == [True]


def _serves_script(url: str) -> bool:
    """Ask for a script's header; the log-in page of a public network isn't a script."""
    try:
        request = urllib.request.Request(url, method="HEAD")
        # An opener of its own: the shared one keeps the proxies of the first request of this process.
        with urllib.request.build_opener().open(request, timeout=_PATIENCE) as answer:
            return answer.status == 200 and "javascript" in answer.headers.get("Content-Type", "")
    except (OSError, ValueError, http.client.HTTPException):
        return False


def components_of(layout: Any) -> tuple[str, ...]:
    """Name the parts of BokehJS that a layout needs."""
    from bokeh.models import Widget

    has_widgets = any(isinstance(model, Widget) for model in layout.references())
    return (CORE, WIDGETS) if has_widgets else (CORE,)


def page_html(layout: Any, alt: str = "") -> str:
    """
    Write a layout as HTML that brings all it needs.

    Parameters
    ----------
    layout : bokeh.models.LayoutDOM
        What to show.
    alt : str
        What it shows, in words, for screen readers.

    Returns
    -------
    str
        An element and the script that draws into it. BokehJS out of the package is compressed (to 0.6 MB
        instead of 1.6), because each plot keeps its own copy in the notebook's file.
    """
    from bokeh import __version__
    from bokeh.core.json_encoder import serialize_json
    from bokeh.embed import json_item
    from bokeh.util.serialization import make_globally_unique_id

    target = f"bokeh-{make_globally_unique_id()}"
    resources = bokeh_resources(components_of(layout))
    wanted = {"version": __version__, "libraries": _libraries(resources), "target": target}
    item = serialize_json(json_item(layout, target))
    # In a script "</" could end it; in a text of JavaScript "<\/" is the same.
    literal = (json.dumps(wanted)[:-1] + f', "item": {item}}}').replace("</", "<\\/")
    label = f' role="group" aria-label="{html.escape(alt)}"' if alt else ""
    return (
        f'<div id="{target}"{label}></div>\n'
        f"<script>\n(() => {{\n{script('show.js')}\nshowBokeh({literal});\n}})();\n</script>"
    )


@functools.cache
def script(name: str) -> str:
    """Read one of the scripts that lie beside this module."""
    return importlib.resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _libraries(resources: Resources) -> list[dict[str, str]]:
    """List the parts of BokehJS in the order in which they are loaded."""
    if resources.mode == "inline":
        return [{"name": name, "packed": _packed(name)} for name in resources.components]
    return [{"name": name, "url": address_of(resources, name)} for name in resources.components]


def address_of(resources: Resources, component: str) -> str:
    """Find a part of BokehJS among the files of a page; panel adds its own to each once it is imported."""
    name = re.compile(rf"/{re.escape(component)}(-\d[^/]*?)?(\.min)?\.js(\?.*)?$")
    return next(url for url in resources.js_files if name.search(url))


@functools.cache
def _packed(component: str) -> str:
    """Compress a part of BokehJS out of the bokeh package."""
    return base64.b64encode(gzip.compress(installed_script(component), mtime=0)).decode("ascii")


def installed_script(component: str) -> bytes:
    """Read a part of BokehJS out of the bokeh package."""
    return importlib.resources.files("bokeh").joinpath(f"server/static/js/{component}.min.js").read_bytes()
