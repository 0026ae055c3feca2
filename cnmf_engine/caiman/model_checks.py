"""Whether the parts of a saved model agree with each other, before anything is computed from them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from cnmf_engine.base.errors import InputError, explain
from cnmf_engine.stages.components import COMPONENT_FIELDS

if TYPE_CHECKING:
    from cnmf_engine.caiman.estimates import Estimates

__all__ = ["check_estimates", "check_groups", "disagreement", "kind_of", "whole_numbers"]

_PER_FRAME = ("C", "S", "YrA", "R", "F_dff")
_PER_PIXEL = ("b0", "sn")
_TEXTS = ("rejected_by",)
_WITHIN = (
    "idx_components",
    "idx_components_bad",
    "idx_components_implausible",
    "accepted_list",
    "rejected_list",
)
_FLAGS = ("skip_refinement", "remove_very_bad_comps")


def disagreement(path: Path, expected: str, found: str) -> InputError:
    """Word what doesn't fit together in a file."""
    fix = "load a copy of the file from before it was damaged, or fit and save again"
    return InputError(explain(f"{expected} in {str(path)!r}", found, fix))


def kind_of(value: Any) -> str:
    """Name the kind of a value, for a message."""
    if isinstance(value, np.ndarray) or sparse.issparse(value):
        return f"an array of shape {value.shape}, type {value.dtype}"
    return "a group" if isinstance(value, Mapping) else f"{value!r:.60}"


def whole_numbers(value: Any) -> np.ndarray:
    """Make a row of int of numbers; ValueError if they aren't whole, or aren't a row."""
    array = np.atleast_1d(value)
    if array.size and array.dtype.kind not in "iuf":
        raise TypeError("not numbers")
    if array.ndim != 1 or (array.dtype.kind == "f" and not np.array_equal(array, np.rint(array))):
        raise ValueError("not whole numbers")
    if array.size and np.abs(array.astype(np.float64)).max() >= 2.0**53:
        raise ValueError("numbers that nothing counts")
    return array.astype(int)


def check_groups(content: Mapping[str, Any], path: Path) -> None:
    """
    Check that groups are groups, and what stands beside them is of its kind.

    Parameters
    ----------
    content : dict
        All of a file.
    path : Path
        The file, for the message.

    Raises
    ------
    InputError
        If one is something else.
    """
    params = content["params"]
    groups = {"params": params, "estimates": content["estimates"]}
    if isinstance(params, Mapping):
        groups |= {f"params/{name}": group for name, group in params.items() if name in _groups()}
    for name, group in groups.items():
        if not isinstance(group, Mapping):
            raise disagreement(path, f"a group {name}", kind_of(group))
    name = content.get("mmap_file")
    if name is not None and not isinstance(name, str):
        raise disagreement(path, "the name of a file in mmap_file", kind_of(name))
    for key in _FLAGS:
        if not isinstance(content.get(key), bool | int | None):
            raise disagreement(path, f"True or False in {key}", kind_of(content[key]))
    dims = content.get("dims")
    if dims is not None and not isinstance(dims, str):
        _check_dims(dims, path)


def _groups() -> tuple[str, ...]:
    from cnmf_engine.caiman.param_table import GROUPS

    return tuple(GROUPS)


def _check_dims(dims: Any, path: Path) -> None:
    try:
        sides = whole_numbers(dims)
    except (TypeError, ValueError):
        raise disagreement(path, "whole numbers in dims", kind_of(dims)) from None
    if len(sides) not in (2, 3) or (sides < 1).any():
        raise disagreement(path, "rows and columns in dims", f"{sides.tolist()[:4]}")


def check_estimates(estimates: Estimates, path: Path) -> None:
    """
    Check that components, pixels and frames are as many in each field as in A, dims and C.

    Parameters
    ----------
    estimates : Estimates
        As read, with footprints that are sparse.
    path : Path
        The file, for the message.

    Raises
    ------
    InputError
        If two of them disagree.
    """
    dims, A = estimates.dims, estimates.A
    if dims is not None:
        _check_dims(dims, path)
    d = None if A is None else A.shape[0]
    if None not in (dims, d) and math.prod(dims) != d:
        raise disagreement(
            path, f"footprints of {' x '.join(map(str, dims))} pixels, as dims says", f"{d} pixels"
        )
    d = math.prod(dims) if dims is not None else d
    n_frames = _check_components(estimates, path)
    _check_images(estimates, d, path)
    for name, axis, length in (("b", 0, d), ("f", 1, n_frames)):
        value = getattr(estimates, name)
        if value is not None and np.ndim(value) + sparse.issparse(value):
            fits = _is_numeric(value) and len(value.shape) == 2 and length in (None, value.shape[axis])
            _need(fits, path, f"{length} along axis {axis} of {name}", value)
    _check_ring(estimates, path)
    if estimates.discarded_components is not None:
        aside = estimates.discarded_components
        if aside.dims is None:
            aside.dims = dims
        check_estimates(aside, path)
        for name in ("A", "C"):
            one, two = (getattr(which, name) for which in (aside, estimates))
            fits = one is None or two is None or np.shape(one)[name == "C"] == np.shape(two)[name == "C"]
            _need(fits and aside.dims == dims, path, "discarded components of the same movie", one)
        _need(aside.discarded_components is None, path, "discarded components once", aside.C)


def _check_images(estimates: Estimates, d: int | None, path: Path) -> None:
    """Check what has one entry a pixel."""
    for name in _PER_PIXEL:
        value = getattr(estimates, name)
        if value is not None and d is not None and np.size(value):
            _need(_is_numeric(value) and np.size(value) == d, path, f"{d} pixels in {name}", value)
    dims, Cn = estimates.dims, getattr(estimates, "Cn", None)
    if None not in (dims, d) and Cn is not None:
        _need(_is_numeric(Cn) and np.shape(Cn) == dims, path, f"an image Cn of {dims}", Cn)


def _check_components(estimates: Estimates, path: Path) -> int | None:
    """Check what has one entry a component, or one a frame; return the number of frames."""
    if estimates.A is None:
        for name in COMPONENT_FIELDS:
            value = getattr(estimates, name, None)
            _need(value is None or not np.size(value), path, f"no {name} without footprints A", value)
        return None
    K, n_frames = estimates.A.shape[1], None
    _need(estimates.A.dtype.kind in "biuf", path, "real numbers in A", estimates.A)
    for name, axis in COMPONENT_FIELDS.items():
        value = getattr(estimates, name, None)
        # CaImAn writes an empty list for scores that weren't computed.
        if value is None or (K and not sparse.issparse(value) and not np.size(value)):
            continue
        shape = value.shape if sparse.issparse(value) else np.shape(value)
        kinds = "U" if name in _TEXTS else "biuf"
        fits = _is_numeric(value, kinds) and len(shape) > axis and shape[axis] == K
        _need(fits or (K == 0 and np.size(value) == 0), path, f"{K} components in {name}, as in A", value)
        if name in _PER_FRAME:
            n_frames = shape[-1] if n_frames is None else n_frames
            _need(shape == (K, n_frames), path, f"{K} x {n_frames} values in {name}", value)
    if estimates.A_thr is not None:
        _need(np.shape(estimates.A_thr) == estimates.A.shape, path, "A_thr of A's shape", estimates.A_thr)
    if estimates.center is not None and np.size(estimates.center):
        _need(
            np.shape(estimates.center)[1:] in ((2,), (3,)),
            path,
            "two coordinates in center",
            estimates.center,
        )
    _check_indices(estimates, K, path)
    return n_frames


def _check_indices(estimates: Estimates, K: int, path: Path) -> None:
    """Check that lists of components name those that exist, each once."""
    for name in _WITHIN:
        index = getattr(estimates, name)
        if index is not None and len(index):
            good = index.min() >= 0 and index.max() < K and len(np.unique(index)) == len(index)
            found = f"{len(index)} numbers from {index.min()} to {index.max()}"
            if not good:
                raise disagreement(path, f"each of the components 0 to {K - 1} at most once in {name}", found)
    kept = estimates.idx_kept
    if kept is not None and len(kept) and (kept.min() < 0 or len(np.unique(kept)) != len(kept)):
        raise disagreement(path, "different numbers from 0 on in idx_kept", kind_of(kept))


def _check_ring(estimates: Estimates, path: Path) -> None:
    """Check that the ring model's grid is that of the image at some coarseness."""
    from cnmf_engine.movies.geometry import coarse_dims

    W, dims = estimates.W, estimates.dims
    if W is None:
        return
    square = W.shape[0] == W.shape[1] and W.dtype.kind in "biuf"
    if dims is not None and len(dims) == 2 and W.shape[0]:
        square &= any(math.prod(coarse_dims(dims, step)) == W.shape[0] for step in range(1, max(dims) + 1))
    _need(square, path, f"weights W between the pixels of an image of {dims}", W)


def _is_numeric(value: Any, kinds: str = "biuf") -> bool:
    if not sparse.issparse(value):
        value = np.asarray(value) if not isinstance(value, Mapping) else None
    return value is not None and (value.dtype.kind in kinds or not value.size)


def _need(good: bool, path: Path, expected: str, value: Any) -> None:
    if not good:
        raise disagreement(path, expected, kind_of(value))
