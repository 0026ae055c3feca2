"""Fit a movie anew with some parameters changed, and leave the given parameters as they are."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np

from cnmf_engine.base.errors import ParameterError, explain, nearest

__all__ = ["fit_with", "grouped"]

# What a fit and its evaluation depend on; the movie's own and the motion's values are settled before.
_GROUPS = ("patch", "preprocess", "init", "spatial", "temporal", "merging", "quality")
_OF_DATA = ("decay_time",)


def fit_with(
    images: Any, opts: Any, dview: Any = None, n_processes: int = 1, evaluate: bool = False, **changes: Any
) -> Any:
    """
    Fit a movie, and evaluate if asked to, with some parameters changed; give the new estimates.

    `images` is the corrected movie (T, d1, d2), `opts` the CNMFParams of either engine, which stay as they
    are, and `changes` are named as there. `grouped` says what they may be and raises before anything is
    computed.
    """
    from workshop_utils.engine import cnmf

    changed = copy.deepcopy(opts)
    changed.change_params(grouped(opts, changes))
    model = cnmf.CNMF(n_processes=n_processes, dview=dview, params=changed)
    model.fit(images)
    if evaluate:
        model.estimates.evaluate_components(images, model.params, dview=dview)
    return model.estimates


def grouped(opts: Any, changes: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """
    Sort parameters into their groups, as `change_params` takes them; a name like `p` is in several.

    A single number for `gSig` or `gSiz` stands for both axes. Without `gSiz`, a new `gSig` brings
    ``gSiz = 2 * gSig + 1`` along. A name that fit and evaluation don't have, or a width that isn't in whole
    pixels, is a ParameterError.
    """
    known = opts.to_dict()
    groups = {name: tuple(known[name]) for name in _GROUPS if name in known} | {"data": _OF_DATA}
    full = dict(changes)
    for name in ("gSig", "gSiz"):
        if full.get(name) is not None:
            full[name] = _both_axes(name, full[name])
    if full.get("gSig") is not None and "gSiz" not in full:
        full["gSiz"] = tuple(2 * width + 1 for width in full["gSig"])
    sorted_out: dict[str, dict[str, Any]] = {}
    for key, value in full.items():
        homes = [name for name, keys in groups.items() if key in keys]
        if not homes:
            hint = nearest(key, sorted({name for keys in groups.values() for name in keys}))
            fix = f"did you mean '{hint}'?" if hint else "lessons 3 to 5 list the ones that matter"
            raise ParameterError(explain("the name of a parameter of fit or evaluation", repr(key), fix))
        for home in homes:
            sorted_out.setdefault(home, {})[key] = value
    return sorted_out


def _both_axes(name: str, given: Any) -> tuple[int, ...]:
    """Write a width in whole pixels as a pair."""
    width = np.asarray(given).ravel()
    if width.size not in (1, 2) or width.dtype.kind not in "iuf" or not np.all(width == np.round(width)):
        example = 4 if name == "gSig" else 9
        fix = f"give one whole number or two, such as {name}={example} or {name}=({example}, {example})"
        raise ParameterError(explain(f"{name} as whole pixels", repr(given), fix))
    return tuple(int(w) for w in np.broadcast_to(width, 2))
