"""
Choose between CaImAn and the embedded engine, in one place.

A lesson's only line that knows about engines is::

    from workshop_utils.engine import cm, cnmf, params, MotionCorrect, load_CNMF

The environment variable ``WORKSHOP_ENGINE`` chooses: ``auto`` (CaImAn if the real one can be used, else the
embedded engine), ``caiman`` or ``embedded``. A choice that can't be met is an error, never another engine.
Nothing is imported before one of the names is asked for.

Where CaImAn itself would stop a lesson or mislead it, the function concerned is wrapped, see `ADAPTED`. The
comments name CaImAn's issues, and sections of the notes on its behaviour from which this project is written.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import inspect
import json
import logging
import os
from pathlib import Path
from typing import Any, NamedTuple

from cnmf_engine.base.errors import InputError, ParameterError, explain, nearest
from workshop_utils.engine.installed import UPDATE, CaimanHere, caiman_here, problem_of

__all__ = [
    "ADAPTED",
    "CHOICES",
    "CaimanHere",
    "ENGINE",
    "Engine",
    "EngineError",
    "MotionCorrect",
    "caiman_here",
    "cm",
    "cnmf",
    "find_engine",
    "load_CNMF",
    "params",
    "plain_filter",
]

CHOICES = ("auto", "caiman", "embedded")
_NAMES = ("cm", "cnmf", "params", "MotionCorrect", "load_CNMF", "ENGINE")
# What an installation that doesn't fit (wrong numpy, missing library) raises when it is imported.
_BROKEN = (ImportError, AttributeError, OSError, RuntimeError, TypeError, ValueError)
_WITHOUT = "WORKSHOP_ENGINE=auto or embedded runs the lessons without it"

log = logging.getLogger("caiman")

# Filled when first asked for, see __getattr__.
cm: Any
cnmf: Any
params: Any
MotionCorrect: Any
load_CNMF: Any
ENGINE: Engine


class EngineError(ImportError):
    """The engine that was asked for can't be used here."""

    def _render_traceback_(self) -> list[str]:
        # IPython shows this instead of a stack trace: nothing in the code is wrong.
        return str(self).splitlines()


class Engine(NamedTuple):
    """Which engine runs: its name (``'caiman'`` or ``'embedded'``), its version, and why this one."""

    name: str
    version: str
    reason: str

    def __str__(self) -> str:
        title = "CaImAn" if self.name == "caiman" else "embedded engine (cnmf_engine)"
        return f"Engine: {title} {self.version}: {self.reason}"


def find_engine(choice: str | None = None) -> Engine:
    """
    Say which engine would run, without importing it.

    Parameters
    ----------
    choice : {'auto', 'caiman', 'embedded'}, optional
        By default the environment variable ``WORKSHOP_ENGINE``, else ``'auto'``.

    Returns
    -------
    Engine
        Name, version and reason.

    Raises
    ------
    ParameterError
        The choice isn't one of the three.
    EngineError
        CaImAn was asked for and can't be used.
    """
    choice = _checked(choice)
    if choice == "embedded":
        return _embedded("chosen with WORKSHOP_ENGINE=embedded")
    here = caiman_here()
    if here.usable:
        why = "chosen with WORKSHOP_ENGINE=caiman" if choice == "caiman" else "it is installed"
        return Engine("caiman", here.version or "of unknown version", why)
    if choice == "caiman":
        raise _refusal(here.found, here.fix)
    return _embedded(f"{here.found} here" if here.kind == "none" else here.found)


def plain_filter() -> dict[str, str]:
    """
    Ask for CaImAn's own filter in motion correction, whichever engine runs.

    The embedded engine's default weights sizes by measured noise: a wrong `gSig_filt` hardly shows in it.

    Returns
    -------
    dict
        Further keywords for `MotionCorrect`; none for CaImAn, which has no other filter.
    """
    from workshop_utils.engine import ENGINE as engine

    return {"filter_mode": "caiman"} if engine.name == "embedded" else {}


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    loaded = _load()
    globals().update(loaded)
    print(loaded["ENGINE"])
    return loaded[name]


def _load() -> dict[str, Any]:
    engine = find_engine()
    if engine.name == "embedded":
        return _import_embedded(engine)
    try:
        return _import_caiman(engine)
    except _BROKEN as error:
        found = (
            f"CaImAn {engine.version} is installed but can't be imported ({type(error).__name__}: {error})"
        )
        if _checked(None) == "caiman":
            raise _refusal(found, UPDATE) from error
        return _import_embedded(_embedded(found))


def _import_caiman(engine: Engine) -> dict[str, Any]:
    cm = importlib.import_module("caiman")
    # Where no installer left a version, only the package itself can say that it is too old.
    version = str(getattr(cm, "__version__", engine.version))
    problem = problem_of(version)
    if problem:
        raise ImportError(problem)
    # The lessons reach these as attributes of `cm`, which importing caiman alone doesn't promise.
    for name in ("cluster", "motion_correction", "summary_images", "utils.visualization"):
        importlib.import_module(f"caiman.{name}")
    _adapt()
    known = engine if engine.version[:1].isdigit() else engine._replace(version=version)
    return _names("caiman") | {"ENGINE": known}


def _import_embedded(engine: Engine) -> dict[str, Any]:
    return _names("cnmf_engine") | {"ENGINE": engine}


def _names(package: str) -> dict[str, Any]:
    """Import what lessons use, from CaImAn or from the engine, which has its modules' paths."""
    cnmf = importlib.import_module(f"{package}.source_extraction.cnmf")
    return {
        "cm": importlib.import_module(package),
        "cnmf": cnmf,
        "params": importlib.import_module(f"{cnmf.__name__}.params"),
        "MotionCorrect": importlib.import_module(f"{package}.motion_correction").MotionCorrect,
        "load_CNMF": importlib.import_module(f"{cnmf.__name__}.cnmf").load_CNMF,
    }


def _embedded(reason: str) -> Engine:
    try:
        version = importlib.metadata.version("calcium-workshop")
    except importlib.metadata.PackageNotFoundError:
        version = "of unknown version"
    return Engine("embedded", version, reason)


def _refusal(found: str, fix: str) -> EngineError:
    expected = "CaImAn (the calcium imaging package), as WORKSHOP_ENGINE=caiman asks"
    return EngineError(explain(expected, found, f"{fix}; {_WITHOUT}"))


def _checked(choice: str | None) -> str:
    value = (choice or os.environ.get("WORKSHOP_ENGINE") or "auto").strip().lower()
    if value not in CHOICES:
        expected, hint = (
            f"WORKSHOP_ENGINE to be one of {', '.join(CHOICES)}",
            nearest(value, CHOICES) or "auto",
        )
        raise ParameterError(explain(expected, f"{value!r}", f"set WORKSHOP_ENGINE={hint}"))
    return value


# What the lessons meet in CaImAn 1.12 and 1.13 and can't live with. Each function gets the original first.


def _setup_cluster(original: Any, *args: Any, **kwargs: Any) -> Any:
    # Any child process, of whatever library, counts as a cluster that is already running (CaImAn #519). The
    # number of workers may be NumPy's.
    if "ignore_preexisting" in inspect.signature(original).parameters:
        kwargs.setdefault("ignore_preexisting", True)
    client, dview, n_processes = original(*args, **kwargs)
    return client, dview, int(n_processes)


def _stop_server(original: Any, *args: Any, **kwargs: Any) -> Any:
    # Without workers there is nothing to stop; CaImAn would run `ipcluster stop` (behaviour notes 2, 10.22).
    if "dview" in kwargs and kwargs["dview"] is None:
        return None
    return original(*args, **kwargs)


def _motion_correct(original: Any, self: Any, fname: Any, *args: Any, **kwargs: Any) -> None:
    # The names of the files it writes begin with the movie's, and are read back word by word: a mouse called
    # d1 is taken for the number of rows (behaviour notes 5.1, 10.3).
    for name in fname if isinstance(fname, list | tuple) else [fname]:
        words = set(Path(name).stem.split("_")[1:]) if isinstance(name, str | os.PathLike) else set()
        if words & {"d1", "d2", "d3", "order", "frames"}:
            expected = "a movie's name without the words d1, d2, d3, order and frames between underscores"
            fix = "rename the movie, with hyphens for example; CaImAn takes these words for the movie's size"
            raise InputError(explain(expected, repr(str(name)), fix))
    widths = kwargs.get("gSig_filt")
    if widths is not None:  # anything but whole numbers stops the filter (behaviour notes 4.2, 10.18)
        kwargs["gSig_filt"] = whole = tuple(max(1, round(float(width))) for width in _pair(widths))
        if whole != _pair(widths):
            log.warning("CaImAn filters with whole numbers only: gSig_filt is %s", whole)
    original(self, fname, *args, **kwargs)


def _correlation_pnr(original: Any, Y: Any, gSig: Any = None, *args: Any, **kwargs: Any) -> Any:
    import numpy as np

    # A list is understood, a tuple or an array isn't; pixels that never change come out as NaN or infinite
    # (behaviour notes 1.5, 10.36).
    gSig = None if gSig is None else np.asarray(gSig).tolist()
    return tuple(np.nan_to_num(image, posinf=0, neginf=0) for image in original(Y, gSig, *args, **kwargs))


def _to_json(original: Any, self: Any) -> str:
    from cnmf_engine.caiman.params import to_plain

    # NumPy's floats, truth values and byte strings, all of which load_CNMF leaves behind, are refused
    # (behaviour notes 3.2, 9.2; lesson 5 writes the parameters of a loaded model).
    return json.dumps(to_plain(self.to_dict()), indent=1)


def _change_params_from_json(original: Any, self: Any, jsonstring: str, *args: Any, **kwargs: Any) -> None:
    # expandCore and indices would stay lists, and break the fit and MotionCorrect; keys that another version
    # or the embedded engine wrote, and the copies of nb, would each be warned of (behaviour notes 3.2).
    content, own = json.loads(jsonstring), {"data": ("caiman_version", "last_commit")}
    skipped = own | dict.fromkeys(("spatial", "temporal"), ("nb",))
    stored = {group: content[group] for group in self.to_dict() if group in content}
    for group, known in self.to_dict().items():
        if group in stored:
            keys = set(known) & set(stored[group]) - set(skipped.get(group, ()))
            stored[group] = {key: stored[group][key] for key in keys}
    self.change_params(_as_numbers(stored))


def _load_cnmf(original: Any, filename: Any, *args: Any, **kwargs: Any) -> Any:
    # A bare name would be looked up in the temporary folder. Names come back as bytes and slices as text
    # (CaImAn #990, #1264), truth values as NumPy's, which can't be saved again (behaviour notes 9.2, 10.48).
    cnm = original(str(Path(filename).expanduser().absolute()), *args, **kwargs)
    for group, values in _as_numbers(cnm.params.to_dict()).items():
        cnm.params.set(group, values)
    _whole_indices(cnm.estimates)
    return cnm


def _save(original: Any, self: Any, filename: Any) -> None:
    from workshop_utils.files import replacing

    # A bare name would go to the temporary folder, and a stopped run would leave half a file (behaviour
    # notes 9.1, 10.9).
    with replacing(Path(filename).expanduser().absolute()) as temporary:
        original(self, str(temporary))


def _evaluate(original: Any, self: Any, *args: Any, **kwargs: Any) -> Any:
    import numpy as np

    # Without components there is nothing to measure: some versions stop (CaImAn #807, #900). An empty
    # list of rejected ones must still be usable as an index.
    if self.A.shape[1] == 0:
        self.SNR_comp = self.r_values = self.cnn_preds = np.zeros(0)
        self.idx_components = self.idx_components_bad = np.zeros(0, int)
        return None
    result = original(self, *args, **kwargs)
    _whole_indices(self)
    return result


def _plot_contours_nb(
    original: Any, self: Any, img: Any = None, idx: Any = None, *args: Any, **kwargs: Any
) -> Any:
    count = self.A.shape[1]
    # Of no components no contours can be drawn, neither of all nor of the accepted or rejected ones
    # (CaImAn #162, #396).
    if idx is not None and len(idx) in (0, count):
        print(f"{len(idx)} of {count} components accepted" + (": the picture shows all" if count else ""))
        idx = None
    return _show(original, self, img, idx, *args, **kwargs) if count else None


def _nb_view_components(original: Any, self: Any, *args: Any, **kwargs: Any) -> Any:
    chosen = kwargs.get("idx", args[2] if len(args) > 2 else None)
    if (self.A.shape[1] if chosen is None else len(chosen)) == 0:
        print("No components to show.")  # CaImAn: IndexError (#162, #396)
        return None
    return _show(original, self, *args, **kwargs)


def _show(original: Any, *args: Any, **kwargs: Any) -> Any:
    from cnmf_engine.view.front_end import in_notebook

    # CaImAn's notebooks load BokehJS and holoviews at their top; Colab wants it in each cell with a plot.
    if in_notebook():
        import holoviews
        from bokeh.io import output_notebook

        from cnmf_engine.view.resources import bokeh_resources

        output_notebook(bokeh_resources(), hide_banner=True)
        holoviews.extension("bokeh", logo=False)
    return original(*args, **kwargs)


def _save_nwb(original: Any, self: Any, filename: str, *args: Any, **kwargs: Any) -> Any:
    from cnmf_engine.caiman.nwb import save_nwb

    # CaImAn writes b and f, which a fit with the ring model doesn't have (CaImAn #759, #1146).
    return (
        original(self, filename, *args, **kwargs)
        if self.b is not None
        else save_nwb(self, filename, **kwargs)
    )


_CNMF = "caiman.source_extraction.cnmf"
#: Where in CaImAn, and what is put around it. A name that a version doesn't have is left alone.
ADAPTED = {
    "caiman:stop_server": _stop_server,
    "caiman.cluster:stop_server": _stop_server,
    "caiman.cluster:setup_cluster": _setup_cluster,
    "caiman.motion_correction:MotionCorrect.__init__": _motion_correct,
    "caiman.summary_images:correlation_pnr": _correlation_pnr,
    f"{_CNMF}.params:CNMFParams.to_json": _to_json,
    f"{_CNMF}.params:CNMFParams.change_params_from_json": _change_params_from_json,
    f"{_CNMF}.cnmf:CNMF.save": _save,
    f"{_CNMF}.cnmf:load_CNMF": _load_cnmf,
    f"{_CNMF}.estimates:Estimates.evaluate_components": _evaluate,
    f"{_CNMF}.estimates:Estimates.filter_components": _evaluate,
    f"{_CNMF}.estimates:Estimates.plot_contours_nb": _plot_contours_nb,
    f"{_CNMF}.estimates:Estimates.nb_view_components": _nb_view_components,
    f"{_CNMF}.estimates:Estimates.save_NWB": _save_nwb,
    "caiman.utils.visualization:nb_inspect_correlation_pnr": _show,
}


def _adapt() -> None:
    for place, wrapper in ADAPTED.items():
        module, _, names = place.partition(":")
        *owners, name = names.split(".")
        owner = functools.reduce(getattr, owners, importlib.import_module(module))
        original = getattr(owner, name, None)
        if original is not None and not hasattr(original, "adapted"):
            setattr(owner, name, _around(original, wrapper))


def _around(original: Any, wrapper: Any) -> Any:
    @functools.wraps(original)
    def adapted(*args: Any, **kwargs: Any) -> Any:
        return wrapper(original, *args, **kwargs)

    adapted.adapted = True
    return adapted


def _as_numbers(stored: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Give stored parameters the types they had; a movie that isn't there any more is forgotten."""
    import numpy as np

    from cnmf_engine.caiman.params import CNMFParams

    reader = CNMFParams()  # of the embedded engine, which reads all forms that files have
    reader.restore({g: {k: v for k, v in stored[g].items() if np.ndim(v)} for g in stored})
    values = {group: dict(entries) for group, entries in stored.items()}
    for group, entries in values.items():
        read = reader.to_dict().get(group, {})
        for key, value in entries.items():
            if np.ndim(value):
                entries[key] = read.get(key, value)
            elif isinstance(value, np.generic):
                entries[key] = value.item()
    lost = [name for name in values.get("data", {}).get("fnames") or () if not Path(name).exists()]
    if lost:  # CaImAn would stop at the next change of a parameter: "File not found!" (#1033)
        log.warning("The parameters name a movie that isn't there any more, %s: left out", ", ".join(lost))
        values["data"]["fnames"] = None
    return values


def _whole_indices(estimates: Any) -> None:
    import numpy as np

    for name in ("idx_components", "idx_components_bad"):  # an empty list has become an array of floats
        value = getattr(estimates, name, None)
        if value is not None:
            setattr(estimates, name, np.atleast_1d(value).astype(int))


def _pair(value: Any) -> tuple[Any, ...]:
    return tuple(value) if hasattr(value, "__len__") else (value, value)
