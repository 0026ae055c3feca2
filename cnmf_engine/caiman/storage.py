"""
Save a fitted model and load it again, in CaImAn's HDF5 layout.

A file made here is read by CaImAn and by programs that read CaImAn's files, and the other way round. Numbers
that CaImAn wrote as text, and other irregularities of its files, are repaired when reading.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy import sparse

from cnmf_engine.base.errors import InputError, MissingFileError, explain, nearest
from cnmf_engine.base.files import check_room, replacing
from cnmf_engine.base.hdf5 import written_hdf5
from cnmf_engine.caiman.estimates import Estimates
from cnmf_engine.caiman.hdf5_values import DAMAGED, check_heaps, numbers, read_group, write_value
from cnmf_engine.caiman.model_checks import (
    check_estimates,
    check_groups,
    disagreement,
    kind_of,
    whole_numbers,
)
from cnmf_engine.caiman.params import CNMFParams
from cnmf_engine.stages.components import COMPONENT_FIELDS

if TYPE_CHECKING:
    import h5py

__all__ = ["FORMAT_VERSION", "load", "save"]

log = logging.getLogger("caiman")

# A root attribute that CaImAn reads as one more text of the model.
FORMAT_VERSION = "1"
_VERSION_NAME = "cnmf_engine_format"
_SUFFIXES = (".hdf5", ".h5")
_ROOT = ("dims", "mmap_file", "skip_refinement", "remove_very_bad_comps")
_NOT_SAVED = frozenset(
    "groups idx_tot ind_A Ab_epoch coordinates loaded_model optional_outputs merged_ROIs tf_in tf_out".split()
)
# One number a component; CaImAn's fits without patches write them as text.
_PER_COMPONENT = ("bl", "c1", "lam", "neurons_sn", "SNR_comp", "r_values", "cnn_preds", "ecc")
_TEXTS = ("rejected_by",)
_INDICES = (
    "idx_components",
    "idx_components_bad",
    "idx_components_implausible",
    "idx_kept",
    "accepted_list",
    "rejected_list",
)


def save(cnm: Any, filename: str | os.PathLike, verify: bool = False) -> str:
    """
    Save parameters and estimates.

    The file appears under its name only when it is complete. A bare name is saved in the working directory;
    CaImAn would use its temporary directory.

    Parameters
    ----------
    cnm : CNMF
        The model. Its ``params.data['dims']`` is set if it wasn't.
    filename : str or path
        Ends with ``.hdf5`` or ``.h5``; replaced if it exists.
    verify : bool
        Read the file again before it gets its name, and compare.

    Returns
    -------
    str
        The full path.

    Raises
    ------
    InputError
        If the name has another ending, or what is read back differs.
    MissingFileError
        If the folder doesn't exist.
    """
    target = _checked_name(filename)
    if not target.parent.is_dir():
        fix = f"make it first, for example Path({str(target.parent)!r}).mkdir(parents=True)"
        raise MissingFileError(
            explain(f"a folder to save {target.name!r} in", f"no folder {target.parent}", fix)
        )
    dims = next((d for d in (cnm.estimates.dims, cnm.dims, cnm.params.data["dims"]) if d is not None), None)
    if dims is not None:
        dims = tuple(int(side) for side in dims)
        cnm.params.data["dims"] = dims
        if cnm.estimates.dims is None:
            cnm.estimates.dims = dims
    with replacing(target) as partial:
        check_room(partial, _size(cnm.estimates))
        _write(cnm, partial, dims)
        if verify:
            _compare(cnm.estimates, load(partial).estimates)
    log.info("Saved %s", target)
    return str(target)


def _checked_name(filename: str | os.PathLike) -> Path:
    path = Path(filename).expanduser()
    if path.suffix.lower() not in _SUFFIXES:
        fix = f"use a name such as {path.stem + '.hdf5'!r}"
        raise InputError(explain("a file name that ends with .hdf5 or .h5", repr(str(filename)), fix))
    return path.absolute()


def _size(estimates: Estimates) -> int:
    """Bytes of the numbers in the estimates, at least."""
    size = 0
    for value in vars(estimates).values():
        parts = (
            (value.data, value.indices)
            if sparse.issparse(value) and value.format in ("csc", "csr")
            else (value,)
        )
        size += sum(part.nbytes for part in parts if isinstance(part, np.ndarray))
    return size


def _write(cnm: Any, path: Path, dims: tuple[int, ...] | None) -> None:
    # Since HDF5 1.8 (2008) groups and headers may have checksums.
    with written_hdf5(path, libver=("v108", "v108")) as file:
        file.attrs[_VERSION_NAME] = FORMAT_VERSION
        write_value(file, "dview", None)
        for name in _ROOT:
            write_value(file, name, dims if name == "dims" else getattr(cnm, name, None))
        params = file.create_group("params")
        for group, values in cnm.params.to_dict().items():
            inner = params.create_group(group)
            for key, value in values.items():
                write_value(inner, key, value)
        _write_estimates(file.create_group("estimates"), cnm.estimates)


def _write_estimates(group: h5py.Group, estimates: Estimates) -> None:
    for name, value in vars(estimates).items():
        if name == "discarded_components" and value is not None:
            _write_estimates(group.create_group(name), value)
        elif name not in _NOT_SAVED and not name.startswith("_"):
            write_value(group, name, value)


class Saved(NamedTuple):
    """What a file holds: parameters, estimates, and the model's other attributes by name."""

    params: CNMFParams
    estimates: Estimates
    others: dict[str, Any]


def load(filename: str | os.PathLike) -> Saved:
    """
    Read a model that was saved here or by CaImAn; `cnmf_engine.caiman.cnmf.load_CNMF` makes a CNMF of it.

    Raises
    ------
    MissingFileError
        If the file doesn't exist; names those beside it.
    InputError
        If it isn't such a file.
    """
    path = _checked_name(filename)
    content = _read(path)
    params = CNMFParams()
    params.restore(content["params"])
    estimates = _make_estimates(content["estimates"], path)
    others = {name: content[name] for name in _ROOT if name in content}
    dims = others["dims"] = _dims(others.get("dims"))
    if estimates.dims is None:
        estimates.dims = dims if dims is not None else params.data["dims"]
    check_estimates(estimates, path)
    if dims is not None and dims != estimates.dims:
        raise disagreement(path, f"dims = {dims} as in the estimates", f"{estimates.dims} there")
    unknown = set(content) - {*_ROOT, "params", "estimates", "dview", _VERSION_NAME}
    if unknown:
        log.debug("Left out of %s: %s", filename, ", ".join(sorted(unknown)))
    return Saved(params, estimates, others)


def _read(path: Path) -> dict[str, Any]:
    import h5py

    if not path.is_file():
        beside = sorted(item.name for item in path.parent.glob("*") if item.suffix.lower() in _SUFFIXES)
        found = f"no such file; HDF5 files in {str(path.parent)!r}: {', '.join(beside) or 'none'}"
        guess = nearest(path.name, beside)
        fix = (
            f"correct the name (did you mean {guess!r}?)"
            if guess
            else "correct the path, or fit and save first"
        )
        raise MissingFileError(explain(f"a saved model at {str(path)!r}", found, fix))
    expected = "a model saved by CNMF.save"
    fix = "load the file that cnm.save wrote; a movie is loaded with cm.load"
    try:
        check_heaps(path)
        with h5py.File(path, "r") as file:
            names = sorted(file)
            if not {"params", "estimates"} <= set(names):
                raise InputError(
                    explain(expected, f"{str(path)!r} with {', '.join(names) or 'nothing'}", fix)
                )
            content = read_group(file)
    except InputError:
        raise
    except DAMAGED as error:
        why = str(error) or type(error).__name__
        raise InputError(
            explain(expected, f"{str(path)!r}, which isn't readable HDF5 ({why})", fix)
        ) from None
    check_groups(content, path)
    return content


def _make_estimates(content: Mapping[str, Any], path: Path) -> Estimates:
    estimates = Estimates()
    fields = set(vars(estimates))
    for name, value in content.items():
        if name in fields and isinstance(value, str):
            raise disagreement(path, f"no text in estimates/{name}", kind_of(value))
        setattr(estimates, name, _repaired(name, value, path))
    if estimates.A is not None and not sparse.issparse(estimates.A):
        if np.ndim(estimates.A) != 2 or np.asarray(estimates.A).dtype.kind not in "biuf":
            raise disagreement(path, "footprints A of shape (pixels, components)", kind_of(estimates.A))
        estimates.A = sparse.csc_matrix(estimates.A)
    if estimates.A is not None:
        estimates.nr = estimates.A.shape[1]
    return estimates


def _repaired(name: str, value: Any, path: Path) -> Any:
    """Give a field the form it has after a fit; what can't have it is refused."""
    if value is None:
        return None
    if name == "discarded_components":
        return _make_estimates(value, path) if isinstance(value, Mapping) else None
    if name == "W" and not sparse.issparse(value) and (np.ndim(value) != 2 or isinstance(value, str)):
        raise disagreement(path, "weights W of shape (pixels, pixels)", kind_of(value))
    try:
        return _formed(name, value)
    except (TypeError, ValueError, OverflowError):
        raise disagreement(path, f"numbers in estimates/{name}", kind_of(value)) from None


def _formed(name: str, value: Any) -> Any:
    from cnmf_engine.caiman.hdf5_values import numbers

    if name == "dims":
        return _dims(value)
    if name == "W":
        return sparse.csr_matrix(value)
    if name == "g":
        return _coefficients(value)
    if name in ("shifts", "cnn_preds") and not np.size(value):
        return []
    if name in _TEXTS:
        return np.atleast_1d(value).astype(str)
    if name in _INDICES:
        return whole_numbers(value)
    if name in _PER_COMPONENT:
        result = numbers(value) if np.asarray(value).dtype.kind == "O" else np.atleast_1d(value)
        if result is None:
            raise ValueError("text that isn't numbers")
        return result
    return value


def _coefficients(value: Any) -> np.ndarray | None:
    """Shape autoregressive coefficients (K, p); CaImAn writes 0 where there are none."""
    if np.ndim(value) == 0 and not isinstance(value, str):
        return None
    result = numbers(value)
    if result is None:
        raise ValueError("text that isn't numbers")
    return result[:, None] if result.ndim == 1 else result


def _dims(value: Any) -> tuple[int, ...] | None:
    if value is None or np.ndim(value) != 1:
        return None
    return tuple(int(side) for side in whole_numbers(value))


def _compare(saved: Estimates, loaded: Estimates) -> None:
    for name in (*COMPONENT_FIELDS, "W", "b0", "sn"):
        one, two = (
            part.toarray() if sparse.issparse(part) else part
            for part in (getattr(saved, name, None), getattr(loaded, name, None))
        )
        has_nan = one is not None and np.asarray(one).dtype.kind == "f"
        if (one is None) == (two is None) and (one is None or np.array_equal(one, two, equal_nan=has_nan)):
            continue
        fix = "save it in another folder, and check that the disk isn't full"
        raise InputError(explain(f"estimates.{name} to be the same when read back", "a difference", fix))
