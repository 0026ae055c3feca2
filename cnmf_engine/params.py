"""
Parameters of the whole pipeline, with CaImAn's groups, keys and methods.

Everything about a single parameter stands in one row of the table; see :func:`row`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import Any

from cnmf_engine._param_json import JsonText
from cnmf_engine._param_lookup import (
    UnknownParameterError,
    by_path,
    constructor_signature,
    describe,
    resolve,
    row,
    rows,
    unknown_group,
)
from cnmf_engine._param_rules import DERIVED, apply_rules, derive, read_movie_size
from cnmf_engine._param_table import GROUPS, Row
from cnmf_engine._param_text import from_text, same
from cnmf_engine._param_values import clean
from cnmf_engine.errors import ParameterError

__all__ = ["CNMFParams", "Row", "UnknownParameterError", "row", "rows"]

log = logging.getLogger("caiman")

# Keywords of CaImAn's constructor that no group holds.
_IGNORED = ("max_merge_area",)


def _log_changes(changes: Mapping[tuple[str, str], Any], verbose: bool) -> None:
    for (group, key), value in changes.items():
        log.log(logging.INFO if verbose else logging.DEBUG, "%s/%s set to %r", group, key, value)
    if changes.get(("quality", "use_cnn")):
        log.warning(
            "use_cnn=True can't be met, this engine has no classifier: set use_cnn=False to evaluate."
        )


class CNMFParams(JsonText):
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
