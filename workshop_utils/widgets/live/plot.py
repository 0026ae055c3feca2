"""A bokeh layout in a widget: the kernel changes its named models."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import anywidget
import numpy as np
import traitlets

from cnmf_engine.base.errors import InputError, explain
from workshop_utils.widgets.live.bokehjs import bokehjs_file, bokehjs_url

__all__ = ["LivePlot", "packed"]

#: What the page can turn into arrays; other types are converted to the one that holds them.
_DTYPES = ("uint8", "int32", "uint32", "float32", "float64")


def packed(value: Any) -> Any:
    """
    Make a value ready to be sent: arrays as bytes with type and shape, everything else as JSON knows it.

    Parameters
    ----------
    value : Any
        Arrays, numbers, text, and lists and dicts of them.

    Returns
    -------
    Any
        The same without arrays; a number that isn't finite is None, which bokeh draws as nothing.
    """
    if isinstance(value, np.ndarray):
        if value.dtype.name not in _DTYPES:
            value = value.astype("uint8" if value.dtype == bool else "float64")
        array = np.ascontiguousarray(value)
        return {"bytes": array.tobytes(), "dtype": array.dtype.name, "shape": list(value.shape)}
    if isinstance(value, Mapping):
        return {str(key): packed(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [packed(each) for each in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


class LivePlot(anywidget.AnyWidget):
    """
    A bokeh layout in a notebook cell that the kernel keeps changing.

    The page gets BokehJS by itself: what is already there, else from the internet, else from the kernel. Each
    named model has a trait of its own with all that was set on it, so a view that is made later shows the
    same, and a change sends only the models that it touches: put big pictures and small marks into different
    data sources.

    Parameters
    ----------
    layout : bokeh.models.LayoutDOM
        A figure or a layout of figures, without bokeh's own widgets. Models with a `name` can be changed.
    width, height : int
        Room that it takes, px.
    alt : str
        What the plot shows, for those who can't see it.

    Raises
    ------
    InputError
        If two models have one name, or the layout holds bokeh widgets.
    """

    _esm = files("workshop_utils.widgets.live").joinpath("plot.js").read_text(encoding="utf-8")

    item = traitlets.Dict().tag(sync=True)
    version = traitlets.Unicode().tag(sync=True)
    url = traitlets.Unicode().tag(sync=True)
    names = traitlets.List(traitlets.Unicode()).tag(sync=True)
    width = traitlets.Int().tag(sync=True)
    height = traitlets.Int().tag(sync=True)
    alt = traitlets.Unicode().tag(sync=True)

    def __init__(self, layout: Any, width: int, height: int, alt: str = "") -> None:
        import bokeh
        from bokeh.embed import json_item

        self._known = _named_models(layout)
        self._changing = threading.RLock()
        self.add_traits(**{_trait(name): traitlets.Dict().tag(sync=True) for name in self._known})
        super().__init__(
            item=json_item(layout),
            version=bokeh.__version__,
            url=bokehjs_url(),
            names=list(self._known),
            width=width,
            height=height,
            alt=alt,
        )
        self.on_msg(self._answer)

    def update(self, **changes: Mapping[str, Any]) -> None:
        """
        Change bokeh models; all changes of one call go in one message.

        Parameters
        ----------
        **changes : mapping
            For each name the properties to set. Of `data`, the columns that aren't given stay; a column is an
            array, or a list of arrays (images, outlines).

        Raises
        ------
        InputError
            If there is no model of that name, or it has no such property.
        """
        for name, properties in changes.items():
            self._check(name, properties)
        with self._changing, self.hold_sync():
            for name, properties in changes.items():
                state = dict(getattr(self, _trait(name)))
                new = packed(properties)
                if "data" in new:
                    new["data"] = {**state.get("data", {}), **new["data"]}
                setattr(self, _trait(name), {**state, **new})

    def state(self, name: str) -> dict[str, Any]:
        """
        Give what was set on a model.

        Parameters
        ----------
        name : str
            Its name.

        Returns
        -------
        dict
            Properties as they are sent.
        """
        self._check(name, {})
        return dict(getattr(self, _trait(name)))

    def _check(self, name: str, properties: Mapping[str, Any]) -> None:
        if name not in self._known:
            raise InputError(
                explain("the name of a model", repr(name), "use one of: " + ", ".join(sorted(self._known)))
            )
        for unknown in set(properties) - self._known[name]:
            raise InputError(
                explain(f"a property of {name}", repr(unknown), "look it up in bokeh's reference")
            )

    def _answer(self, _widget: Any, content: Any, _buffers: Any) -> None:
        """Send BokehJS to a page that can't get it elsewhere."""
        if not isinstance(content, Mapping) or content.get("kind") != "bokehjs":
            return
        try:
            script = bokehjs_file()
        except OSError as error:
            self.send({"kind": "bokehjs", "error": f"the kernel has no BokehJS: {error}"})
            return
        self.send({"kind": "bokehjs"}, [script])


def _trait(name: str) -> str:
    return f"of_{name}"


def _named_models(layout: Any) -> dict[str, set[str]]:
    """Give the properties of each model with a name."""
    from bokeh.models import Widget

    known: dict[str, set[str]] = {}
    for model in layout.references():
        if isinstance(model, Widget):
            raise InputError(
                explain(
                    "a layout of figures",
                    f"bokeh's {type(model).__name__}",
                    "put text and controls beside the plot with ipywidgets",
                )
            )
        if model.name is None:
            continue
        if model.name in known:
            raise InputError(
                explain("a name for one model", f"several called {model.name!r}", "name each its own")
            )
        known[model.name] = set(model.properties())
    return known
