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
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from cnmf_engine._estimates_selection import COMPONENT_FIELDS
from cnmf_engine.errors import InputError, MissingFileError, explain, nearest
from cnmf_engine.io.files import replacing

if TYPE_CHECKING:
    import h5py

    from cnmf_engine.cnmf.model import CNMF
    from cnmf_engine.estimates import Estimates

__all__ = ["FORMAT_VERSION", "load_CNMF", "save"]

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


def save(cnm: CNMF, filename: str | os.PathLike, verify: bool = False) -> str:
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
        _write(cnm, partial, dims)
        if verify:
            _compare(cnm, load_CNMF(partial))
    log.info("Saved %s", target)
    return str(target)


def _checked_name(filename: str | os.PathLike) -> Path:
    path = Path(filename).expanduser()
    if path.suffix.lower() not in _SUFFIXES:
        fix = f"use a name such as {path.stem + '.hdf5'!r}"
        raise InputError(explain("a file name that ends with .hdf5 or .h5", repr(str(filename)), fix))
    return path.absolute()


def _write(cnm: CNMF, path: Path, dims: tuple[int, ...] | None) -> None:
    import h5py

    from cnmf_engine._hdf5_values import write_value

    with h5py.File(path, "w") as file:
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
    from cnmf_engine._hdf5_values import write_value

    for name, value in vars(estimates).items():
        if name == "discarded_components" and value is not None:
            _write_estimates(group.create_group(name), value)
        elif name not in _NOT_SAVED and not name.startswith("_"):
            write_value(group, name, value)


def load_CNMF(filename: str | os.PathLike, n_processes: int | None = 1, dview: Any = None) -> CNMF:
    """
    Load a model that was saved here or by CaImAn.

    Parameters
    ----------
    filename : str or path
        Ends with ``.hdf5`` or ``.h5``.
    n_processes : int, optional
        Number of workers for what follows.
    dview : Workers, optional
        The workers.

    Returns
    -------
    CNMF
        The model, with the parameters and estimates of the file.

    Raises
    ------
    MissingFileError
        If the file doesn't exist; names those beside it.
    InputError
        If it isn't such a file.
    """
    from cnmf_engine.cnmf.model import CNMF
    from cnmf_engine.params import CNMFParams

    content = _read(_checked_name(filename))
    params = CNMFParams()
    params.restore(content["params"])
    cnm = CNMF(n_processes, dview=dview, params=params)
    for name in _ROOT:
        if name in content:
            setattr(cnm, name, content[name])
    cnm.estimates = _make_estimates(content["estimates"])
    cnm.dims = _dims(cnm.dims)
    if cnm.estimates.dims is None:
        cnm.estimates.dims = cnm.dims if cnm.dims is not None else params.data["dims"]
    unknown = set(content) - {*_ROOT, "params", "estimates", "dview", _VERSION_NAME}
    if unknown:
        log.debug("Left out of %s: %s", filename, ", ".join(sorted(unknown)))
    return cnm


def _read(path: Path) -> dict[str, Any]:
    import h5py

    from cnmf_engine._hdf5_values import read_group

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
        with h5py.File(path, "r") as file:
            names = sorted(file)
            if not {"params", "estimates"} <= set(names):
                raise InputError(
                    explain(expected, f"{str(path)!r} with {', '.join(names) or 'nothing'}", fix)
                )
            return read_group(file)
    except OSError as error:
        raise InputError(
            explain(expected, f"{str(path)!r}, which isn't readable HDF5 ({error})", fix)
        ) from None


def _make_estimates(content: Mapping[str, Any]) -> Estimates:
    from cnmf_engine.estimates import Estimates

    estimates = Estimates()
    for name, value in content.items():
        setattr(estimates, name, _repaired(name, value))
    if estimates.A is not None and not sparse.issparse(estimates.A):
        estimates.A = sparse.csc_matrix(estimates.A)
    if estimates.A is not None:
        estimates.nr = estimates.A.shape[1]
    return estimates


def _repaired(name: str, value: Any) -> Any:
    """Give a field the form it has after a fit."""
    from cnmf_engine._hdf5_values import numbers

    if value is None:
        return None
    if name == "discarded_components":
        return _make_estimates(value) if isinstance(value, Mapping) else None
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
        return np.atleast_1d(value).astype(int)
    if name in _PER_COMPONENT:
        return numbers(value) if np.asarray(value).dtype.kind == "O" else np.atleast_1d(value)
    return value


def _coefficients(value: Any) -> np.ndarray | None:
    """Shape autoregressive coefficients (K, p); CaImAn writes 0 where there are none."""
    from cnmf_engine._hdf5_values import numbers

    if np.ndim(value) == 0:
        return None
    result = numbers(value)
    return result[:, None] if result is not None and result.ndim == 1 else result


def _dims(value: Any) -> tuple[int, ...] | None:
    if value is None or np.ndim(value) != 1:
        return None
    return tuple(int(side) for side in value)


def _compare(saved: CNMF, loaded: CNMF) -> None:
    for name in (*COMPONENT_FIELDS, "W", "b0", "sn"):
        one, two = (
            part.toarray() if sparse.issparse(part) else part
            for part in (getattr(saved.estimates, name, None), getattr(loaded.estimates, name, None))
        )
        has_nan = one is not None and np.asarray(one).dtype.kind == "f"
        if (one is None) == (two is None) and (one is None or np.array_equal(one, two, equal_nan=has_nan)):
            continue
        fix = "save it in another folder, and check that the disk isn't full"
        raise InputError(explain(f"estimates.{name} to be the same when read back", "a difference", fix))
