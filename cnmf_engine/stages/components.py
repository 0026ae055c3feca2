"""Take out, keep and bring back components, all their arrays together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import sparse

from cnmf_engine.base.errors import InputError, explain

__all__ = ["COMPONENT_FIELDS", "component_indices", "join", "present_fields", "scale", "take"]

# Everything with one entry a component, and the axis it is on: whoever selects or joins goes by this list.
COMPONENT_FIELDS: dict[str, int] = {
    "A": 1,
    "A_thr": 1,
    "C": 0,
    "S": 0,
    "YrA": 0,
    "R": 0,
    "F_dff": 0,
    "g": 0,
    "bl": 0,
    "c1": 0,
    "neurons_sn": 0,
    "lam": 0,
    "center": 0,
    "SNR_comp": 0,
    "r_values": 0,
    "cnn_preds": 0,
    "ecc": 0,
    "width": 0,
    "roundness": 0,
    "snr_rest": 0,
    "locality": 0,
    "surround": 0,
    "movement": 0,
    "likeness": 0,
    "rejected_by": 0,
    "idx_kept": 0,
}
# What is measured in the units of the traces, and so scales with them.
_TRACE_UNITS = ("C", "S", "YrA", "R", "bl", "c1", "neurons_sn")


def present_fields(fields: Mapping[str, Any]) -> dict[str, int]:
    """
    List which per-component fields are filled, and check that they agree.

    Parameters
    ----------
    fields : mapping
        Fields by name; those that don't belong to single components are left alone.

    Returns
    -------
    dict
        Axis of the components by field name.

    Raises
    ------
    InputError
        If there are no components, or a field has another number of them.
    """
    if fields.get("A") is None:
        raise InputError(
            explain("components", "estimates without A", "call fit first, or load a fitted model")
        )
    n_components = fields["A"].shape[1]
    present = {}
    for name, axis in COMPONENT_FIELDS.items():
        value = fields.get(name)
        # CaImAn writes an empty list for scores that weren't computed.
        if value is None or (n_components and not sparse.issparse(value) and not np.size(value)):
            continue
        found = np.shape(value)[axis] if np.ndim(value) or sparse.issparse(value) else None
        if found != n_components:
            fix = f"correct estimates.{name} or set it to None"
            raise InputError(
                explain(f"{n_components} components in estimates.{name}, as in A", f"{found}", fix)
            )
        present[name] = axis
    return present


def component_indices(index: Any, n_components: int) -> np.ndarray:
    """
    Check indices of components.

    Parameters
    ----------
    index : sequence of int or of bool
        Which components; a mask has one entry a component.
    n_components : int
        How many there are.

    Returns
    -------
    ndarray of int
        The indices, in the order given.

    Raises
    ------
    InputError
        If an index doesn't exist or comes twice.
    """
    index = np.atleast_1d(np.asarray(index))
    if index.dtype == bool and len(index) == n_components:
        return np.flatnonzero(index)
    if not index.size:
        return np.zeros(0, dtype=int)
    whole = index.dtype.kind in "iu" and index.ndim == 1
    if not whole or index.min() < 0 or index.max() >= n_components or len(np.unique(index)) != len(index):
        fix = "pass each index once, for example estimates.idx_components"
        expected = f"indices of components, 0 to {n_components - 1}"
        raise InputError(explain(expected, np.array2string(index, threshold=8), fix))
    return index.astype(int)


def take(fields: Mapping[str, Any], index: np.ndarray) -> dict[str, Any]:
    """
    Cut some components out of every field.

    Parameters
    ----------
    fields : mapping
        Fields by name.
    index : ndarray of int
        Which.

    Returns
    -------
    dict
        The fields, by name.
    """
    return {name: _part(fields[name], axis, index) for name, axis in present_fields(fields).items()}


def _part(value: Any, axis: int, index: np.ndarray) -> Any:
    if axis == 1:
        return sparse.csc_matrix(value)[:, index] if sparse.issparse(value) else np.asarray(value)[:, index]
    return np.asarray(value)[index]


def join(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """
    Put the components of two sets one after the other.

    Parameters
    ----------
    first, second : mapping
        Fields by name.

    Returns
    -------
    dict
        The fields that both have, by name; None for those that only one has.
    """
    have, other = present_fields(first), present_fields(second)
    result: dict[str, Any] = dict.fromkeys(have.keys() ^ other.keys())
    for name in have.keys() & other.keys():
        one, two = first[name], second[name]
        if have[name] == 1:
            result[name] = sparse.hstack([one, two], format="csc")
        elif name == "g":
            # Traces of different order: a coefficient that isn't there is 0.
            order = max(np.shape(one)[1], np.shape(two)[1])
            result[name] = np.concatenate(
                [np.pad(part, ((0, 0), (0, order - np.shape(part)[1]))) for part in (one, two)]
            )
        else:
            result[name] = np.concatenate([np.asarray(one), np.asarray(two)])
    return result


def scale(fields: Mapping[str, Any]) -> dict[str, Any]:
    """
    Give every footprint unit length and let its traces carry the size.

    Parameters
    ----------
    fields : mapping
        Fields by name. An empty footprint stays as it is.

    Returns
    -------
    dict
        The fields that change, by name; the low-rank background ``b`` and ``f`` too if there is one.
    """
    present = present_fields(fields)
    A = sparse.csc_matrix(fields["A"])
    norms = np.sqrt(np.asarray(A.multiply(A).sum(axis=0), dtype=np.float64)).ravel()
    norms[norms == 0] = 1
    result: dict[str, Any] = {"A": sparse.csc_matrix(A @ sparse.diags_array(1 / norms), dtype=A.dtype)}
    for name in _TRACE_UNITS:
        if name in present:
            value = np.asarray(fields[name])
            factor = norms.reshape((-1,) + (1,) * (value.ndim - 1))
            result[name] = (value * factor).astype(value.dtype)
    b, f = fields.get("b"), fields.get("f")
    if b is None or f is None or not np.size(f):
        return result
    b = b.toarray() if sparse.issparse(b) else np.asarray(b)
    size = np.linalg.norm(b, axis=0)
    size[size == 0] = 1
    return result | {"b": b / size, "f": np.asarray(f) * size[:, None]}
