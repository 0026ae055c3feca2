"""Everything a browser's page holds, worked out from the estimates without drawing anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from cnmf_engine.base.errors import InputError, ParameterError, explain
from workshop_utils.widgets.browser.footprints import (
    Crops,
    Outlines,
    footprint_sizes,
    pack_crops,
    pack_outlines,
)
from workshop_utils.widgets.browser.packing import PackedTraces, pack_traces

__all__ = ["STATUSES", "ComponentTable", "component_table", "place_in_words", "sort_orders"]

#: What a component's status number means.
STATUSES = ("not evaluated", "accepted", "rejected")


@dataclass(frozen=True)
class ComponentTable:
    """
    What the page of a component browser holds.

    Attributes
    ----------
    dims : tuple of int
        Rows and columns of the image.
    fr : float or None
        Frame rate, Hz; None if unknown.
    image : ndarray of shape (d1, d2), float32
        Image below the outlines, 0 where it wasn't finite.
    status : ndarray of shape (K,), uint8
        Index into `STATUSES`.
    snr, r : ndarray of shape (K,), float64, or None
        Metrics; None if nothing was evaluated.
    size : ndarray of shape (K,), int
        Pixels above the outline's level.
    peak : ndarray of shape (K,), float64
        Largest denoised value; NaN if there is none.
    traces : dict of str to PackedTraces
        'raw' (C + YrA, if known), 'denoised' (C) and 'spikes' (S, if known).
    outlines : Outlines
        Outlines of all footprints.
    crops : Crops
        Window of the image around each footprint.
    facts : dict of str to list of str
        What is known about each component, in words.
    orders : dict of str to ndarray of int
        Component numbers in each order the list can have.
    """

    dims: tuple[int, int]
    fr: float | None
    image: np.ndarray
    status: np.ndarray
    snr: np.ndarray | None
    r: np.ndarray | None
    size: np.ndarray
    peak: np.ndarray
    traces: dict[str, PackedTraces]
    outlines: Outlines
    crops: Crops
    facts: dict[str, list[str]]
    orders: dict[str, np.ndarray]

    @property
    def n_components(self) -> int:
        """How many components there are."""
        return self.status.size

    @property
    def n_frames(self) -> int:
        """How many frames the recording has."""
        return self.traces["denoised"].low.shape[1]


def component_table(
    estimates: Any, image: Any = None, fr: float | None = None, thr: float = 0.3
) -> ComponentTable:
    """
    Take from the estimates what the browser shows.

    Nothing of the estimates is changed or kept, so evaluating them again doesn't change an open browser.

    Parameters
    ----------
    estimates : Estimates
        With `A` and `C`, and as far as they are known `S`, `YrA`, `dims`, `SNR_comp`, `r_values`,
        `idx_components`, `idx_components_bad` and `rejected_by`.
    image : array of shape (d1, d2), optional
        Correlation image; default the mean footprint.
    fr : float, optional
        Frame rate, Hz.
    thr : float
        Outline at this fraction of a footprint's maximum.

    Returns
    -------
    ComponentTable
        For none, one or many components.
    """
    from cnmf_engine.view.common import background_image
    from cnmf_engine.view.contours import get_contours

    A, C = _footprints(estimates), _traces_of(estimates, "C")
    dims = _dims_of(estimates, image, A.shape[0])
    if C is None or len(C) != A.shape[1]:
        found = "none" if C is None else f"{len(C)} traces for {A.shape[1]} footprints"
        raise InputError(explain("a trace in C for each footprint in A", found, "fit the model again"))
    if fr is not None and not fr > 0:
        raise ParameterError(explain("a frame rate above 0 Hz", f"fr={fr}", "pass opts.data['fr'] or None"))
    kinds = _kinds(estimates, C)
    found = get_contours(A, dims, thr, "max")
    known = {name: _metric(estimates, field, len(C)) for name, field in _METRICS.items()}
    status = _status(estimates, len(C))
    size = footprint_sizes(A, thr)
    peak = np.max(C, axis=1, where=np.isfinite(C), initial=-np.inf)
    peak = np.where(np.isfinite(peak), peak, np.nan)
    centres = np.array([outline["CoM"] for outline in found]).reshape(-1, 2)
    return ComponentTable(
        dims=dims,
        fr=None if fr is None else float(fr),
        image=background_image(image, A, dims),
        status=status,
        snr=known["SNR"],
        r=known["r"],
        size=size,
        peak=peak,
        traces=kinds,
        outlines=pack_outlines(found, dims),
        crops=pack_crops(A, dims, found),
        facts=_facts(known, size, centres, dims, C, fr) | _against(estimates, len(C)),
        orders=sort_orders(known["SNR"], known["r"], size, peak),
    )


_METRICS = {"SNR": "SNR_comp", "r": "r_values"}


def _footprints(estimates: Any) -> sp.csc_matrix:
    """Take the footprints, 0 where they aren't finite."""
    if estimates.A is None:
        raise InputError(explain("estimates with footprints A", "A is None", "fit the model first"))
    A = sp.csc_matrix(estimates.A, dtype=np.float32, copy=True)
    A.data = np.nan_to_num(A.data, posinf=0.0, neginf=0.0)
    return A


def _traces_of(estimates: Any, name: str) -> np.ndarray | None:
    """Take an attribute as traces (K, T), None if it isn't there."""
    values = getattr(estimates, name, None)
    return None if values is None else np.atleast_2d(np.asarray(values, dtype=np.float32))


def _kinds(estimates: Any, C: np.ndarray) -> dict[str, PackedTraces]:
    """Pack the traces that are known."""
    residual, spikes = _traces_of(estimates, "YrA"), _traces_of(estimates, "S")
    for name, values in (("YrA", residual), ("S", spikes)):
        if values is not None and values.shape != C.shape:
            raise InputError(
                explain(
                    f"{name} of the shape of C, {C.shape}", f"shape {values.shape}", f"set {name} to None"
                )
            )
    kinds = {} if residual is None else {"raw": pack_traces(C + residual)}
    kinds["denoised"] = pack_traces(C)
    if spikes is not None:
        kinds["spikes"] = pack_traces(np.maximum(spikes, 0))
    return kinds


def _dims_of(estimates: Any, image: Any, n_pixels: int) -> tuple[int, int]:
    """Take rows and columns from the estimates, else from the image."""
    dims = getattr(estimates, "dims", None)
    if dims is None and image is not None:
        dims = np.shape(image)
    if dims is None or len(dims) != 2 or int(dims[0]) * int(dims[1]) != n_pixels:
        raise ParameterError(
            explain(
                f"estimates.dims (rows, columns) of an image with {n_pixels} pixels",
                f"dims = {dims}",
                "set estimates.dims to the dims that cm.load_memmap returned",
            )
        )
    return int(dims[0]), int(dims[1])


def _metric(estimates: Any, field: str, n_components: int) -> np.ndarray | None:
    """Take a metric; None if it wasn't measured, or was for other components than these."""
    values = getattr(estimates, field, None)
    values = np.ravel([] if values is None else values).astype(np.float64)
    return values if values.size and values.size == n_components else None


def _status(estimates: Any, n_components: int) -> np.ndarray:
    """Say of each component whether it was accepted, rejected or not evaluated."""
    from cnmf_engine.view.common import checked_indices

    status = np.zeros(n_components, np.uint8)
    accepted, rejected = (getattr(estimates, f, None) for f in ("idx_components", "idx_components_bad"))
    if accepted is not None:
        status[:] = 2
        status[checked_indices(accepted, n_components)] = 1
    elif rejected is not None:
        status[:] = 1
        status[checked_indices(rejected, n_components)] = 2
    return status


def sort_orders(
    snr: np.ndarray | None, r: np.ndarray | None, size: np.ndarray, peak: np.ndarray
) -> dict[str, np.ndarray]:
    """
    Order components in each way the list can be ordered.

    Parameters
    ----------
    snr, r : ndarray of shape (K,) or None
        Metrics.
    size, peak : ndarray of shape (K,)
        Size of the footprint and largest denoised value.

    Returns
    -------
    dict of str to ndarray of int32
        Component numbers; equal ones in the order of their numbers, NaN always last.
    """
    orders = {"number": np.arange(size.size)}
    for name, values, words in (("SNR", snr, "highest"), ("r", r, "highest")):
        if values is not None:
            orders[f"{name}, {words} first"] = np.argsort(-values, kind="stable")
            orders[f"{name}, lowest first"] = np.argsort(values, kind="stable")
    orders["size, largest first"] = np.argsort(-size.astype(np.float64), kind="stable")
    orders["activity, highest peak first"] = np.argsort(-peak, kind="stable")
    return {name: order.astype(np.int32) for name, order in orders.items()}


def place_in_words(row: float, col: float, dims: tuple[int, int]) -> str:
    """
    Say where in an image a place is.

    Parameters
    ----------
    row, col : float
        Place in pixels; NaN if there is none.
    dims : tuple of int
        Rows and columns of the image.

    Returns
    -------
    str
        Such as 'row 12, column 90 (upper right)'.
    """
    if not (np.isfinite(row) and np.isfinite(col)):
        return "nowhere: the footprint is empty"
    down = ("upper", "middle", "lower")[min(int(3 * max(row, 0) / dims[0]), 2)]
    across = ("left", "centre", "right")[min(int(3 * max(col, 0) / dims[1]), 2)]
    part = "centre" if (down, across) == ("middle", "centre") else f"{down} {across}"
    return f"row {row:.0f}, column {col:.0f} ({part})"


def _facts(
    known: dict[str, np.ndarray | None],
    size: np.ndarray,
    centres: np.ndarray,
    dims: tuple[int, int],
    C: np.ndarray,
    fr: float | None,
) -> dict[str, list[str]]:
    """Word what is known about each component."""
    facts = {name: [_metric_in_words(value) for value in values] for name, values in known.items()
             if values is not None}  # fmt: skip
    facts |= {name: ["not measured"] * len(C) for name in known if name not in facts}
    facts["size"] = [f"{pixels} px" for pixels in size]
    facts["place"] = [place_in_words(row, col, dims) for row, col in centres]
    facts["highest"] = [_peak_in_words(trace, fr) for trace in C]
    return facts


def _against(estimates: Any, n_components: int) -> dict[str, list[str]]:
    """Word what else speaks against each component; CaImAn doesn't say."""
    reasons = getattr(estimates, "rejected_by", None)
    if reasons is None or len(reasons) != n_components:
        return {}
    return {"against it": [str(reason) or "nothing" for reason in reasons]}


def _metric_in_words(value: float) -> str:
    return f"{value:.2f}" if np.isfinite(value) else "not measured"


def _peak_in_words(trace: np.ndarray, fr: float | None) -> str:
    """Say how high a denoised trace gets, and when."""
    finite = np.isfinite(trace)
    if not finite.any():
        return "no trace"
    at = int(np.argmax(np.where(finite, trace, -np.inf)))
    return f"{trace[at]:.4g} a.u. at " + (f"frame {at}" if fr is None else f"{at / fr:.1f} s")
