"""Write results in forms that any program reads: tables, pictures and arrays."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cnmf_engine.base.errors import InputError, ParameterError, explain
from workshop_utils.files import replacing

__all__ = ["export_csv", "export_footprints"]


def export_csv(
    estimates: Any, fr: float, folder: str | os.PathLike, components: Sequence[int] | None = None
) -> dict[str, Path]:
    """
    Write traces, spikes and a list of the components as tables.

    Parameters
    ----------
    estimates : Estimates
        Of either engine: `C`, `S`, `YrA` of shape (K, T), `A` of shape (d, K), and, where they were computed,
        `dims`, `SNR_comp`, `r_values` and `idx_components`.
    fr : float
        Frames a second, Hz.
    folder : path-like
        Where to write; made if missing.
    components : sequence of int, optional
        Which to write; all by default. Columns are named by these numbers.

    Returns
    -------
    dict of str to pathlib.Path
        ``traces`` (`C`), ``raw`` (`C + YrA`), ``spikes`` (`S`): one row a frame, first column ``time_s``, the
        others ``component_<number>``. ``components``: one row a component with centre (pixels), SNR, r,
        accepted, and what else speaks against it; what wasn't computed is empty. A quantity that `estimates`
        doesn't have has no file.

    Raises
    ------
    ParameterError
        `fr` isn't a positive number, or a component doesn't exist.
    InputError
        `estimates` holds no traces.
    """
    if not (isinstance(fr, (int, float, np.number)) and np.isfinite(fr) and fr > 0):
        raise ParameterError(
            explain("the frame rate as a positive number of Hz", repr(fr), "give fr, for example fr=20")
        )
    traces = _array(estimates, "C")
    if traces is None:
        fix = "fit a model first (lesson 4), or load one with load_CNMF"
        raise InputError(explain("estimates with traces C", "none", fix))
    keep = _components(components, len(traces))
    seconds = np.arange(traces.shape[1]) / float(fr)
    residual = _array(estimates, "YrA")
    tables = {
        "traces": traces,
        "raw": None if residual is None else traces + residual,
        "spikes": _array(estimates, "S"),
    }
    folder = Path(folder)
    written = {
        name: _write_table(folder / f"{name}.csv", seconds, values[keep], keep)
        for name, values in tables.items()
        if values is not None
    }
    written["components"] = _write_components(folder / "components.csv", estimates, keep)
    return written


def export_footprints(
    estimates: Any,
    folder: str | os.PathLike,
    dims: tuple[int, int] | None = None,
    components: Sequence[int] | None = None,
) -> dict[str, Path]:
    """
    Write footprints as a stack of pictures and as arrays.

    Parameters
    ----------
    estimates : Estimates
        `A` of shape (d, K), pixels in Fortran order.
    folder : path-like
        Where to write; made if missing.
    dims : tuple of int, optional
        Rows and columns; by default what `estimates.dims` says.
    components : sequence of int, optional
        Which to write; all by default.

    Returns
    -------
    dict of str to pathlib.Path
        ``npz``: `footprints` (n, rows, columns) float32, `components` (n,), and `correlation` (rows, columns)
        if there is a `Cn`. ``tif``: the footprints, one page a component; missing when there is no component.

    Raises
    ------
    ParameterError
        `dims` don't fit, or a component doesn't exist.
    """
    dims = _dims(estimates, dims)
    keep = _components(components, estimates.A.shape[1])
    footprints = _dense(estimates.A, keep).T.reshape((-1, *dims), order="F").astype(np.float32)
    folder = Path(folder)
    arrays = {"footprints": footprints, "components": keep}
    correlation = _array(estimates, "Cn")
    if correlation is not None:
        arrays["correlation"] = correlation
    written = {"npz": folder / "footprints.npz"}
    with replacing(written["npz"]) as temporary:
        np.savez_compressed(temporary, **arrays)
    if len(footprints):
        import tifffile

        written["tif"] = folder / "footprints.tif"
        with replacing(written["tif"]) as temporary:
            tifffile.imwrite(temporary, footprints, photometric="minisblack")
    return written


def _write_table(path: Path, seconds: np.ndarray, values: np.ndarray, keep: np.ndarray) -> Path:
    header = ",".join(["time_s", *(f"component_{number}" for number in keep)])
    table = np.column_stack([seconds, values.T])
    with replacing(path) as temporary:
        np.savetxt(
            temporary, table, fmt=["%.6f"] + ["%.6g"] * len(keep), delimiter=",", header=header, comments=""
        )
    return path


def _write_components(path: Path, estimates: Any, keep: np.ndarray) -> Path:
    centres = _centres(estimates)
    snr, r_values = _array(estimates, "SNR_comp"), _array(estimates, "r_values")
    accepted, reasons = _array(estimates, "idx_components"), _array(estimates, "rejected_by")
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["component", "row", "column", "snr", "r", "accepted", "rejected_by"])
        for number in keep:
            row, column = ("", "") if centres is None else (f"{value:.3f}" for value in centres[number])
            metrics = ("" if values is None else f"{values[number]:.4g}" for values in (snr, r_values))
            judged = "" if accepted is None else int(number in accepted)
            against = "" if reasons is None else reasons[number]
            writer.writerow([number, row, column, *metrics, judged, against])
    return path


def _centres(estimates: Any) -> np.ndarray | None:
    """Centres of mass of the footprints, (K, 2), row and column in pixels; NaN for an empty footprint."""
    if getattr(estimates, "A", None) is None or getattr(estimates, "dims", None) is None:
        return None
    rows, columns = estimates.dims
    pixel = np.arange(rows * columns)
    weights = np.asarray(estimates.A.sum(axis=0), dtype=float).ravel()
    # Fortran order: the row runs fastest.
    moments = np.stack(
        [np.asarray(estimates.A.T @ place).ravel() for place in (pixel % rows, pixel // rows)], axis=1
    )
    return np.divide(
        moments, weights[:, None], out=np.full(moments.shape, np.nan), where=weights[:, None] > 0
    )


def _components(components: Sequence[int] | None, count: int) -> np.ndarray:
    if components is None:
        return np.arange(count)
    keep = np.asarray(components, dtype=int).ravel()
    wrong = keep[(keep < 0) | (keep >= count)]
    if wrong.size:
        fix = "use for example estimates.idx_components"
        raise ParameterError(explain(f"components among 0 to {count - 1}", f"{wrong[:5].tolist()}", fix))
    return keep


def _dims(estimates: Any, dims: tuple[int, int] | None) -> tuple[int, int]:
    dims = getattr(estimates, "dims", None) if dims is None else dims
    pixels = estimates.A.shape[0]
    if dims is None or len(dims) != 2 or dims[0] * dims[1] != pixels:
        fix = "give dims=(rows, columns), as cm.load_memmap returns them"
        raise ParameterError(explain(f"dims whose product is the {pixels} pixels of A", repr(dims), fix))
    return int(dims[0]), int(dims[1])


def _dense(footprints: Any, keep: np.ndarray) -> np.ndarray:
    chosen = footprints[:, keep]
    return chosen.toarray() if hasattr(chosen, "toarray") else np.asarray(chosen)


def _array(estimates: Any, name: str) -> np.ndarray | None:
    value = getattr(estimates, name, None)
    return None if value is None else np.asarray(value)
