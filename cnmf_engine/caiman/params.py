"""
Parameters of the whole pipeline, with CaImAn's groups, keys and methods.

Everything about a single parameter stands in one row of the table, `cnmf_engine.caiman.param_table`; here are
the checks of values, the rules between them, and the class that holds them.
"""

from __future__ import annotations

import inspect
import json
import logging
import math
import os
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from cnmf_engine.base.errors import MissingFileError, ParameterError, explain, nearest
from cnmf_engine.base.files import replacing
from cnmf_engine.base.memory import memory_budget
from cnmf_engine.caiman.param_table import ALIASES, CONSTRUCTOR, GROUPS, TABLE, Row
from cnmf_engine.stages.filters import one_size

__all__ = ["CNMFParams", "Row", "UnknownParameterError", "clean", "row", "rows", "to_plain"]

log = logging.getLogger("caiman")

_DESCRIPTION = {
    "int": "a whole number",
    "float": "a number",
    "bool": "True or False",
    "str": "text",
    "dict": "a dictionary",
    "array": "an array of numbers",
    "axes": "one number, or one for each axis",
    "axes-int": "one whole number, or one for each axis",
    "int|axes-int": "one whole number, or one for each axis",
    "floats": "a list of numbers",
    "names": "a file name or a list of them",
    "strs": "a list of names",
    "slices": "one slice for each axis",
    "bool|int": "True, False or a whole number",
    "size": "a number of bytes or text such as '500MB' or '2GB'",
    "seeds": "'auto', or an array (n, 2) of rows and columns",
}
_SEED_WORDS = ("auto", "manual", "semi")


class _Refused(Exception):
    """A value isn't of the kind it should be."""


def clean(row: Row, value: Any) -> Any:
    """
    Check a value and bring it into the form in which it is kept.

    NumPy scalars become Python's, bytes become text, sequences become tuples (file names a list), so that a
    value is the same whether it was typed, read from JSON or read from HDF5.
    """
    if value is None:
        if row.optional:
            return None
        raise _error(row, value, f"set it to {_describe(row)}, for example {row.default!r}")
    kind = row.kind.rstrip("?")
    if kind == "any":
        return plain_scalar(value)
    try:
        kept = _choice(row, value) if kind == "choice" else _CLEANERS[kind](value)
        _within_reach(kept)
    except (_Refused, OverflowError) as refusal:
        hint = refusal if isinstance(refusal, _Refused) else ""
        raise _error(row, value, f"{hint}set it to {_describe(row)}, for example {row.default!r}") from None
    numbers = kept if isinstance(kept, tuple) else (kept,)
    if row.limits and not all(row.allows(number) for number in numbers):
        raise _error(row, value, f"choose a value within {row.limits}; the default is {row.default!r}")
    return kept


def _within_reach(value: Any) -> None:
    """Raise OverflowError for whole numbers that no float comes near: JSON has no largest one."""
    for number in value if isinstance(value, tuple) else (value,):
        if isinstance(number, int):
            float(number)


def _error(row: Row, value: Any, fix: str) -> ParameterError:
    unit = f" in {row.unit}" if row.unit else ""
    limits = f" within {row.limits}" if row.limits else ""
    found = f"{row.key} = {value!r} ({type(value).__name__})"
    return ParameterError(explain(f"{row.group}/{row.key} to be {_describe(row)}{limits}{unit}", found, fix))


def _describe(row: Row) -> str:
    kind = row.kind.rstrip("?")
    text = (
        "one of " + ", ".join(map(repr, row.choices))
        if kind == "choice"
        else _DESCRIPTION.get(kind, "a value")
    )
    return text + " or None" if row.optional else text


def plain_scalar(value: Any) -> Any:
    """Make Python's scalars and text of NumPy's scalars and bytes."""
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0):
        value = value.item()
    return value.decode() if isinstance(value, bytes) else value


def _number(value: Any) -> float:
    value = plain_scalar(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _Refused
    return value


def _whole(value: Any) -> int:
    number = _number(value)
    if number != number or number in (float("inf"), float("-inf")) or number != int(number):
        raise _Refused
    return int(number)


def _flag(value: Any) -> bool:
    value = plain_scalar(value)
    if not isinstance(value, bool):
        raise _Refused
    return value


def _text(value: Any) -> str:
    value = plain_scalar(value)
    if not isinstance(value, (str, os.PathLike)):
        raise _Refused
    return os.fspath(value)


def _dictionary(value: Any) -> dict:
    if not isinstance(value, dict):
        raise _Refused
    return dict(value)


def _choice(row: Row, value: Any) -> Any:
    value = plain_scalar(value)
    # True == 1, so the type must agree too.
    for choice in row.choices:
        if type(choice) is type(value) and choice == value:
            return choice
    guess = nearest(value, [choice for choice in row.choices if isinstance(choice, str)])
    raise _Refused(f"did you mean {guess!r}? Else " if guess else "")


def _sequence(value: Any) -> list:
    if isinstance(value, np.ndarray):
        return list(np.atleast_1d(value))
    if not isinstance(value, (list, tuple)):
        raise _Refused
    return list(value)


def _each(item: Callable[[Any], Any]) -> Callable[[Any], tuple]:
    return lambda value: tuple(item(part) for part in _sequence(value))


def _per_axis(item: Callable[[Any], Any], single: bool = False) -> Callable[[Any], Any]:
    def per_axis(value: Any) -> Any:
        value = plain_scalar(value)
        if not isinstance(value, (list, tuple, np.ndarray)):
            return item(value) if single else (item(value),) * 2
        numbers = _each(item)(value)
        if len(numbers) not in (2, 3):
            raise _Refused
        return numbers

    return per_axis


def _array(value: Any) -> np.ndarray:
    try:
        array = np.array(value)
    except ValueError:
        raise _Refused from None
    if array.dtype.kind not in "biuf" or not array.size:
        raise _Refused
    return array


def _names(value: Any) -> list[str]:
    value = plain_scalar(value)
    if isinstance(value, (str, os.PathLike)):
        return [os.fspath(value)]
    names = [_text(name) for name in _sequence(value)]
    if not names:
        raise _Refused
    return names


def _slice(value: Any) -> slice:
    """Read a slice that is one, or that JSON or HDF5 turned into a list or into text."""
    value = plain_scalar(value)
    if isinstance(value, slice):
        return value
    if isinstance(value, str):
        parts = re.fullmatch(r"slice\((.*)\)", value.strip())
        if not parts:
            raise _Refused
        value = [None if part.strip() == "None" else _integer_text(part) for part in parts[1].split(",")]
    ends = [None if end is None else _whole(end) for end in _sequence(value)]
    if len(ends) != 3:
        raise _Refused
    return slice(*ends)


def _integer_text(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise _Refused from None


def _flag_or_whole(value: Any) -> bool | int:
    value = plain_scalar(value)
    return value if isinstance(value, bool) else _whole(value)


def _size(value: Any) -> int | str:

    value = plain_scalar(value)
    if isinstance(value, float):
        value = _whole(value)
    try:
        memory_budget(value)
    except ParameterError:
        raise _Refused from None
    return value


def _seeds(value: Any) -> str | np.ndarray:
    value = plain_scalar(value)
    if isinstance(value, str):
        if value in _SEED_WORDS:
            return value
        guess = nearest(value, _SEED_WORDS)
        raise _Refused(f"did you mean {guess!r}? Else " if guess else "")
    try:
        pixels = np.array(value, dtype=float)
    except (TypeError, ValueError):
        raise _Refused from None
    if pixels.ndim != 2 or pixels.shape[1] != 2 or not np.isfinite(pixels).all() or (pixels < 0).any():
        raise _Refused
    return np.rint(pixels).astype(int)


_CLEANERS: dict[str, Callable[[Any], Any]] = {
    "int": _whole,
    "float": _number,
    "bool": _flag,
    "str": _text,
    "dict": _dictionary,
    "array": _array,
    "axes": _per_axis(_number),
    "axes-int": _per_axis(_whole),
    "int|axes-int": _per_axis(_whole, single=True),
    "floats": _each(_number),
    "names": _names,
    "strs": _each(_text),
    "slices": _each(_slice),
    "bool|int": _flag_or_whole,
    "size": _size,
    "seeds": _seeds,
}


def from_text(row: Row, value: Any) -> Any:
    """Make a number of text where a number is wanted, as files may hold it."""
    value = plain_scalar(value)
    if not isinstance(value, str) or row.kind.rstrip("?") not in (
        "int",
        "float",
        "bool",
        "axes",
        "int|axes-int",
        "bool|int",
    ):
        return value
    words: dict[str, Any] = {"True": True, "False": False, "None": None, "NoneType": None}
    if value in words:
        return words[value]
    try:
        return float(value)
    except ValueError:
        return value


def to_plain(value: Any) -> Any:
    """Turn a value into what JSON can hold; :func:`clean` turns it back."""
    if isinstance(value, (np.ndarray, np.generic)):
        return to_plain(value.tolist())
    if isinstance(value, slice):
        return [to_plain(value.start), to_plain(value.stop), to_plain(value.step)]
    if isinstance(value, dict):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(item) for item in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return value.decode() if isinstance(value, bytes) else value


def same(one: Any, other: Any) -> bool:
    """Compare two values, arrays included."""
    return to_plain(one) == to_plain(other)


class UnknownParameterError(ParameterError, KeyError):
    """A parameter or a group of parameters that doesn't exist."""

    def __str__(self) -> str:
        return str(self.args[0])


@cache
def by_path() -> dict[tuple[str, str], Row]:
    """Index the table."""
    return {(entry.group, entry.key): entry for entry in TABLE}


def rows(group: str | None = None) -> tuple[Row, ...]:
    """
    List the table of parameters.

    Parameters
    ----------
    group : str, optional
        Only the rows of this group.

    Returns
    -------
    tuple of Row
        The rows, in the order of the table.
    """
    if group is not None and group not in GROUPS:
        raise unknown_group(group)
    return tuple(entry for entry in TABLE if group in (None, entry.group))


def row(group: str, key: str) -> Row:
    """
    Look up what is known about a parameter.

    Parameters
    ----------
    group, key : str
        For example 'init' and 'min_corr'.

    Returns
    -------
    Row
        Its kind, default, limits, range and step for a control, stage, meaning and unit.

    Raises
    ------
    UnknownParameterError
        If there is no such parameter; suggests the nearest.
    """
    if group not in GROUPS:
        raise unknown_group(group)
    found = by_path().get((group, ALIASES.get(key, key)))
    if found is None:
        raise unknown_key(key, group)
    return found


def unknown_group(group: object) -> UnknownParameterError:
    """Word the error for a group that doesn't exist."""
    guess = nearest(str(group), GROUPS)
    fix = f"did you mean {guess!r}? Else use one of those groups" if guess else "use one of those groups"
    return UnknownParameterError(explain("one of the groups " + ", ".join(GROUPS), f"{group!r}", fix))


def unknown_key(key: object, group: str | None = None) -> UnknownParameterError:
    """Word the error for a name that doesn't exist, or not in that group."""
    elsewhere = [entry for entry in TABLE if entry.key == key]
    if elsewhere:
        fix = (
            f"set it in {' and '.join(repr(entry.group) for entry in elsewhere)}, or give it without a group"
        )
        return UnknownParameterError(
            explain(f"a parameter of {group!r}", f"{key!r}, which is not in that group", fix)
        )
    guess = nearest(str(key), [entry.key for entry in rows(group)]) or nearest(
        str(key), [e.key for e in TABLE]
    )
    groups = " and ".join(repr(entry.group) for entry in TABLE if entry.key == guess)
    where = f" in group {group!r}" if group else ""
    fix = f"did you mean {guess!r} (group {groups})? " if guess else ""
    fix += "All names are listed by print(CNMFParams()) and explained in docs/parameters.md"
    return UnknownParameterError(
        explain(f"the name of a parameter{where}", f"{key!r}, which doesn't exist", fix)
    )


def constructor_signature() -> inspect.Signature:
    """Write out the keywords of the constructor, so that help() and completion show them."""
    defaults = {entry.key: entry.default for entry in reversed(TABLE)}
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    keywords = [
        inspect.Parameter(name, kind, default=defaults.get(ALIASES.get(name, name))) for name in CONSTRUCTOR
    ]
    last = [inspect.Parameter(name, kind, default=None) for name in ("params_from_file", "params_dict")]
    return inspect.Signature([*keywords, *last])


def resolve(params_dict: Mapping[str, Any], by_name: bool = True) -> Iterator[tuple[Row, Any]]:
    """Find the rows that a dictionary of parameters means."""
    if not isinstance(params_dict, Mapping):
        fix = "write for example {'gSig': (3, 3)} or {'init': {'gSig': (3, 3)}}"
        raise ParameterError(explain("a dictionary of parameters", f"{type(params_dict).__name__}", fix))
    for name, value in params_dict.items():
        # A parameter may have the name of a group (ring_CNN).
        if name in GROUPS and isinstance(value, Mapping):
            yield from ((row(name, key), item) for key, item in value.items())
            continue
        targets = [entry for entry in TABLE if entry.key == ALIASES.get(name, name)]
        if not targets:
            raise unknown_group(name) if isinstance(value, Mapping) else unknown_key(name)
        if not by_name:
            fix = f"write {{{targets[0].group!r}: {{{targets[0].key!r}: ...}}}}"
            raise ParameterError(explain("parameters by group", f"{name!r} without a group", fix))
        yield from ((entry, value) for entry in targets)


def describe(groups: Mapping[str, Mapping[str, Any]]) -> str:
    """List parameters for reading."""
    lines = ["CNMFParams (* differs from the default)"]
    for group, values in groups.items():
        lines.append(f"[{group}]")
        for key, value in values.items():
            entry = by_path().get((group, key))
            mark = " " if entry and same(value, clean(entry, entry.default)) else "*"
            shown = to_plain(value) if isinstance(value, np.ndarray) else value
            lines.append(f"  {mark} {key} = {shown!r}")
    return "\n".join(lines)


Groups = dict[str, dict[str, Any]]

# Values that follow from others until someone sets them.
DERIVED = frozenset(
    {
        ("init", "gSiz"),
        ("online", "N_samples_exceptionality"),
        ("online", "thresh_fitness_raw"),
        ("data", "dims"),
        ("motion", "splits_rig"),
        ("motion", "splits_els"),
    }
)


def read_movie_size(data: Mapping[str, Any], needed: bool = True) -> tuple[tuple[int, ...], int] | None:
    """Read how large the movie is without loading it."""
    if not data["fnames"]:
        return None
    # Imported here: reading movies brings in much that parameters alone don't need.
    from cnmf_engine.caiman.movies import get_file_size

    try:
        dims, n_frames = get_file_size(data["fnames"], var_name_hdf5=data["var_name_hdf5"])
    except MissingFileError:
        if needed:
            raise
        log.info("The movie %s isn't here; the other parameters are used as they are", data["fnames"])
        return None
    return tuple(int(side) for side in dims), int(n_frames[0])


def derive(groups: Groups, explicit: set[tuple[str, str]], movie: tuple[tuple[int, ...], int] | None) -> None:
    """Compute the values that follow from others, except those that were set."""
    values: dict[tuple[str, str], Any] = {}
    if movie is not None:
        dims, n_frames = movie
        values["data", "dims"] = dims
        splits = max(n_frames // max(groups["motion"]["num_frames_split"], 10), 1)
        values["motion", "splits_rig"] = values["motion", "splits_els"] = splits
    gSig = groups["init"]["gSig"]
    values["init", "gSiz"] = tuple(math.ceil(2 * sigma + 1) for sigma in gSig) if gSig else None
    frames = math.ceil(groups["data"]["fr"] * groups["data"]["decay_time"])
    values["online", "N_samples_exceptionality"] = frames
    for (group, key), value in values.items():
        if (group, key) not in explicit:
            groups[group][key] = value
    if ("online", "thresh_fitness_raw") not in explicit:
        from scipy.special import log_ndtr

        online = groups["online"]
        online["thresh_fitness_raw"] = (
            float(log_ndtr(-float(online["min_SNR"]))) * online["N_samples_exceptionality"]
        )
    if groups["init"]["gSiz"]:
        # A box needs a centre pixel.
        groups["init"]["gSiz"] = tuple(size + (size % 2 == 0) for size in groups["init"]["gSiz"])


def apply_rules(groups: Groups, changed: set[tuple[str, str]]) -> None:
    """Make parameters agree with each other, as CaImAn does after each change."""
    _size_rules(groups, changed)
    _background_rules(groups, changed)
    _motion_rules(groups)
    measured = {("temporal", "measured_decay"), ("temporal", "measured_rise")}
    if ("data", "fr") in changed and not measured & changed:
        # Measured at another rate: seconds that were others.
        groups["temporal"] |= {"measured_decay": None, "measured_rise": None}
    online = groups["online"]
    if 0 in (online["max_num_added"], online["min_num_trial"]):
        online["update_num_comps"] = False


def _size_rules(groups: Groups, changed: set[tuple[str, str]]) -> None:
    init, patch = groups["init"], groups["patch"]
    for key in ("gSig", "gSiz"):
        one_size(init[key], key)
    if init["gSig"] is None and init["method_init"] == "corr_pnr":
        fix = "set gSig to about a quarter of the diameter of a cell in pixels, for example gSig=(3, 3)"
        raise ParameterError(
            explain("init/gSig to be given when method_init is 'corr_pnr'", "gSig = None", fix)
        )
    rf, stride = patch["rf"], patch["stride"]
    if (
        rf is None
        or init["gSig"] is None
        or not changed & {("patch", "rf"), ("patch", "stride"), ("init", "gSiz"), ("init", "gSig")}
    ):
        return
    half = min(rf) if isinstance(rf, tuple) else rf
    if half <= init["gSiz"][0]:
        log.warning(
            "Patches are small for these cells: rf=%s gives patches %d px wide, the box around a cell (gSiz) "
            "is %d px. rf stays as it is; cells near patch edges may be missed. Try rf=%d or more.",
            rf, 2 * half + 1, init["gSiz"][0], math.ceil(4 * max(init["gSig"])) + init["gSiz"][0],
        )  # fmt: skip
    overlap = max(stride) if isinstance(stride, tuple) else stride
    if overlap is not None and overlap >= 2 * half:
        log.warning(
            "Patches can't advance: the overlap stride=%s is as wide as a patch (rf=%s, 2*rf=%d). "
            "Set stride to less than 2*rf before the fit, for example stride=%d.",
            stride, rf, 2 * half, max(half // 2, 1),
        )  # fmt: skip


def _background_rules(groups: Groups, changed: set[tuple[str, str]]) -> None:
    init, patch, spatial = groups["init"], groups["patch"], groups["spatial"]
    nb = init["nb"]

    def settle(group: str, key: str, value: Any, why: str) -> None:
        if groups[group][key] != value or groups[group][key] is not value:
            level = logging.INFO if (group, key) in changed else logging.DEBUG
            log.log(level, "%s/%s: %r becomes %r, because %s", group, key, groups[group][key], value, why)
            groups[group][key] = value

    if nb <= 0 and (patch["nb_patch"] != nb or patch["low_rank_background"] is not None):
        settle("patch", "nb_patch", nb, f"nb={nb} and patches must treat the background alike")
        settle("patch", "low_rank_background", None, f"nb={nb} leaves no low-rank background")
    if nb == -1 and spatial["update_background_components"]:
        settle("spatial", "update_background_components", False, "nb=-1 leaves nothing to update")
    if init["method_init"] == "corr_pnr" and init["ring_size_factor"] is not None and init["normalize_init"]:
        settle("init", "normalize_init", False, "the ring model works in units of brightness")
    for group in ("spatial", "temporal"):
        if (group, "nb") in changed and groups[group]["nb"] != nb:
            found = f"{group}/nb = {groups[group]['nb']}, init/nb = {nb}"
            fix = f"set nb in 'init' only: {{'init': {{'nb': {groups[group]['nb']}}}}}"
            raise ParameterError(explain("one number of background components", found, fix))
        groups[group]["nb"] = nb


def _motion_rules(groups: Groups) -> None:
    motion = groups["motion"]
    if not motion["is3D"]:
        return
    for key in ("max_shifts", "overlaps", "strides"):
        value = motion[key]
        if len(value) == 3:
            continue
        if value[0] != value[1]:
            fix = f"give {key} one number for each of three axes, or set is3D to False"
            raise ParameterError(explain(f"motion/{key} for three axes with is3D", f"{key} = {value!r}", fix))
        motion[key] = (value[0],) * 3


def _read_file(path: Path) -> str:
    if path.is_file():
        try:
            return path.read_text(encoding="utf-8").strip() or "{}"
        except UnicodeDecodeError as error:
            fix = "write the parameters again with to_jsonfile, or save the file as UTF-8"
            raise ParameterError(explain(f"text in {str(path)!r}", str(error), fix)) from None
    folder = path.parent
    beside = sorted(item.name for item in folder.glob("*.json")) if folder.is_dir() else []
    found = f"no such file in {str(folder.absolute())!r}; JSON files there: {', '.join(beside) or 'none'}"
    fix = "correct the path, or write the file with params.to_jsonfile(...)"
    raise MissingFileError(explain(f"the parameter file {str(path)!r}", found, fix))


# Keywords of CaImAn's constructor that no group holds.
_IGNORED = ("max_merge_area",)


def _log_changes(changes: Mapping[tuple[str, str], Any], verbose: bool) -> None:
    for (group, key), value in changes.items():
        log.log(logging.INFO if verbose else logging.DEBUG, "%s/%s set to %r", group, key, value)
    if changes.get(("quality", "use_cnn")):
        log.warning(
            "use_cnn=True can't be met, this engine has no classifier: set use_cnn=False to evaluate."
        )


class CNMFParams:
    """
    All parameters, in groups that are dictionaries: ``params.init['min_corr']``.

    Values can be set by name alone (``{'min_corr': 0.9}``, in every group that has the name) or by group
    (``{'init': {'min_corr': 0.9}}``), in any mixture. A wrong name, type or range raises a ``ParameterError``
    and then nothing is changed. Values that follow from others (``gSiz`` from ``gSig``, ``dims`` from
    ``fnames``) do so until they are set themselves; set them to None to let them follow again.

    Parameters
    ----------
    fnames : str, path or list, optional
        The movie file or files; their size is read at once.
    dims : tuple of int, optional
        Rows and columns of the movie, px.
    params_from_file : str or path, optional
        A JSON file to start from.
    params_dict : dict, optional
        Values to set, by name or by group. Wins over the file, and the file over keywords.
    **keywords
        Any parameter by name, as CaImAn's constructor takes them, older names (gnb, k, merge_thresh,
        only_init_patch) included.

    Raises
    ------
    ParameterError
        If a name doesn't exist or a value can't be used.
    MissingFileError
        If a file in ``fnames`` doesn't exist.
    """

    __signature__ = constructor_signature()

    data: dict[str, Any]
    patch: dict[str, Any]
    preprocess: dict[str, Any]
    init: dict[str, Any]
    spatial: dict[str, Any]
    temporal: dict[str, Any]
    merging: dict[str, Any]
    quality: dict[str, Any]
    motion: dict[str, Any]
    online: dict[str, Any]
    ring_CNN: dict[str, Any]

    def __init__(
        self,
        fnames: str | os.PathLike | list | None = None,
        dims: tuple[int, int] | None = None,
        *,
        params_from_file: str | os.PathLike | None = None,
        params_dict: Mapping[str, Any] | None = None,
        **keywords: Any,
    ) -> None:
        from cnmf_engine import __version__

        for group in GROUPS:
            setattr(self, group, {entry.key: clean(entry, entry.default) for entry in rows(group)})
        self.data["caiman_version"] = f"cnmf_engine {__version__}"
        self.data["last_commit"] = f"cnmf_engine-{__version__}"
        self._explicit: set[tuple[str, str]] = set()
        self._movie: tuple[tuple[int, ...], int] | None = None
        for name in _IGNORED:
            if keywords.pop(name, None) is not None:
                log.debug("%s has no effect", name)
        given = {"fnames": fnames, "dims": dims}
        self.change_params({key: value for key, value in given.items() if value is not None} | keywords)
        if params_from_file is not None:
            self.change_params_from_jsonfile(params_from_file)
        if params_dict:
            self.change_params(params_dict)

    def change_params(
        self,
        params_dict: Mapping[str, Any],
        allow_legacy: bool = True,
        warn_unused: bool = True,
        verbose: bool = False,
    ) -> None:
        """
        Set parameters, then make the rest consistent with them. Nothing changes if anything is wrong.

        Parameters
        ----------
        params_dict : dict
            Values by name (``{'K': 5}``) or by group (``{'init': {'K': 5}}``).
        allow_legacy : bool
            False refuses values given by name alone.
        warn_unused : bool
            Kept for CaImAn's code: an unknown name always raises here.
        verbose : bool
            Log every change at level INFO.

        Raises
        ------
        ParameterError
            If a name doesn't exist, a value can't be used, or two values contradict each other.
        MissingFileError
            If a file in ``fnames`` doesn't exist.
        """
        self._change(params_dict, allow_legacy, verbose)

    def _change(
        self,
        params_dict: Mapping[str, Any],
        allow_legacy: bool = True,
        verbose: bool = False,
        movie_needed: bool = True,
    ) -> None:
        changes = {
            (entry.group, entry.key): clean(entry, value)
            for entry, value in resolve(params_dict, allow_legacy)
        }
        groups = {group: dict(getattr(self, group)) for group in GROUPS}
        for (group, key), value in changes.items():
            groups[group][key] = value
        explicit = self._now_explicit(changes)
        movie = self._movie
        if ("data", "fnames") in changes or ("data", "var_name_hdf5") in changes:
            movie = read_movie_size(groups["data"], movie_needed)
        derive(groups, explicit, movie)
        apply_rules(groups, set(changes))
        self._explicit, self._movie = explicit, movie
        for group in GROUPS:
            getattr(self, group).update(groups[group])
        _log_changes(changes, verbose)

    def _now_explicit(self, changes: Mapping[tuple[str, str], Any]) -> set[tuple[str, str]]:
        given = {path for path, value in changes.items() if path in DERIVED and value is not None}
        reset = {path for path, value in changes.items() if path in DERIVED and value is None}
        return (self._explicit | given) - reset

    def set(
        self,
        group: str,
        val_dict: Mapping[str, Any],
        set_if_not_exists: bool = False,
        verbose: bool = False,
    ) -> None:
        """
        Set values of one group without applying the rules of consistency.

        Parameters
        ----------
        group : str
            The group.
        val_dict : dict
            Keys and values.
        set_if_not_exists : bool
            Also keep keys that aren't in the table, unchecked.
        verbose : bool
            Log every change at level INFO.

        Raises
        ------
        UnknownParameterError
            If the group doesn't exist, or a key doesn't and ``set_if_not_exists`` is False.
        ParameterError
            If a value can't be used.
        """
        target = self.get_group(group)
        changes = {}
        for key, value in val_dict.items():
            known = (group, key) in by_path()
            changes[key] = value if set_if_not_exists and not known else clean(row(group, key), value)
        target.update(changes)
        self._explicit = self._now_explicit({(group, key): value for key, value in changes.items()})
        _log_changes({(group, key): value for key, value in changes.items()}, verbose)

    def get(self, group: str, key: str) -> Any:
        """
        Return one value.

        Parameters
        ----------
        group, key : str
            For example 'init' and 'gSig'.

        Returns
        -------
        object
            The value.

        Raises
        ------
        UnknownParameterError
            If it doesn't exist (also a ``KeyError``).
        """
        values = self.get_group(group)
        return values[key] if key in values else values[row(group, key).key]

    def get_group(self, group: str) -> dict[str, Any]:
        """
        Return the values of a group.

        Parameters
        ----------
        group : str
            The group.

        Returns
        -------
        dict
            The group itself, not a copy.

        Raises
        ------
        UnknownParameterError
            If it doesn't exist (also a ``KeyError``).
        """
        if group not in GROUPS:
            raise unknown_group(group)
        return getattr(self, group)

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """
        Return all groups.

        Returns
        -------
        dict of dict
            The groups themselves, not copies.
        """
        return {group: getattr(self, group) for group in GROUPS}

    def to_json(self) -> str:
        """
        Write all parameters as text.

        Returns
        -------
        str
            JSON, from which :meth:`change_params_from_json` makes equal parameters.
        """
        return json.dumps(to_plain(self.to_dict()), indent=1)

    def to_jsonfile(self, targfn: str | os.PathLike) -> None:
        """
        Write all parameters to a file.

        Parameters
        ----------
        targfn : str or path
            The file; replaced if it exists.
        """
        with replacing(targfn) as partial:
            partial.write_text(self.to_json() + "\n", encoding="utf-8")

    def change_params_from_json(self, jsonstring: str | os.PathLike, verbose: bool = False) -> None:
        """
        Set parameters from text.

        Derived values that equal what the rules give (``gSiz`` for the ``gSig`` beside it) go on following.

        Parameters
        ----------
        jsonstring : str or path
            JSON, or the name of a file that holds it.
        verbose : bool
            Log every change at level INFO.

        Raises
        ------
        ParameterError
            If the text isn't JSON, or a value can't be used.
        MissingFileError
            If a parameter file is named that doesn't exist. Movies named in it may be missing: parameters are
            carried from one computer to another.
        """
        text = str(jsonstring)
        if isinstance(jsonstring, os.PathLike) or not text.lstrip().startswith(("{", "[")):
            text = _read_file(Path(jsonstring))
        try:
            values = json.loads(text)
        except (json.JSONDecodeError, RecursionError) as error:
            fix = "write the parameters again with to_jsonfile, or correct that place"
            raise ParameterError(explain("parameters as JSON", str(error), fix)) from None
        self._adopt(values, verbose)

    def change_params_from_jsonfile(self, file_path: str | os.PathLike, verbose: bool = False) -> None:
        """
        Set parameters from a file.

        Parameters
        ----------
        file_path : str or path
            A JSON file.
        verbose : bool
            Log every change at level INFO.

        Raises
        ------
        ParameterError
            If it isn't JSON, or a value can't be used.
        MissingFileError
            If it doesn't exist.
        """
        self.change_params_from_json(Path(file_path), verbose)

    def _adopt(self, values: Mapping[str, Any], verbose: bool = False) -> None:
        """Change parameters that come from a file: the movie may be elsewhere, and derived values stay so."""
        before = set(self._explicit)
        self._change(values, verbose=verbose, movie_needed=False)
        self._forget_followers(self._explicit - before)

    def _forget_followers(self, candidates: set[tuple[str, str]]) -> None:
        """Let values follow again that are what they would be anyway."""
        groups = {group: dict(getattr(self, group)) for group in GROUPS}
        derive(groups, self._explicit - candidates, self._movie)
        self._explicit -= {
            (group, key) for group, key in candidates if same(groups[group][key], getattr(self, group)[key])
        }

    def restore(self, stored: Mapping[str, Mapping[str, Any]]) -> None:
        """
        Take over saved values as they are, without the rules of consistency.

        Unknown groups and keys, which other versions may have, and values that can't be used are left out;
        the log says so.

        Parameters
        ----------
        stored : dict of dict
            Values by group and key; numbers may have become text.
        """
        restored = set()
        for (group, key), entry in by_path().items():
            values = stored.get(group, {})
            if key not in values:
                continue
            try:
                getattr(self, group)[key] = clean(entry, from_text(entry, values[key]))
                restored.add((group, key))
            except ParameterError as error:
                log.warning("A saved parameter is left at its default. %s", error)
        unknown = {
            f"{group}/{key}" for group in stored for key in stored[group] if (group, key) not in by_path()
        }
        if unknown:
            log.debug("Saved parameters that don't exist here: %s", ", ".join(sorted(unknown)))
        self._movie = None
        self._explicit = restored & DERIVED
        self._forget_followers(self._explicit)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CNMFParams):
            return NotImplemented
        return same(self.to_dict(), other.to_dict())

    __hash__ = None

    def __repr__(self) -> str:
        return describe(self.to_dict())
