"""What becomes of the components that patches found: one set, and final traces."""

from __future__ import annotations

import logging
from dataclasses import fields
from functools import partial
from typing import Any

import numpy as np
from scipy import sparse

from cnmf_engine.base.parallel import map_ordered
from cnmf_engine.stages.cnmfe.dynamics import Dynamics, measure_dynamics
from cnmf_engine.stages.cnmfe.merging import merge_components
from cnmf_engine.stages.cnmfe.temporal import Traces

__all__ = ["deconvolve_all", "merge_all"]

log = logging.getLogger("caiman")

#: Traces deconvolved in one task.
_CHUNK = 8


def merge_all(
    A: sparse.csc_matrix, traces: Traces, *, do_merge: bool, merge_thr: float, **_: Any
) -> tuple[sparse.csc_matrix, Traces, list]:
    """
    Merge twins of neighbouring patches until nothing merges.

    Parameters
    ----------
    A : csc_matrix of shape (d, K)
        Footprints.
    traces : Traces
        Their traces.
    do_merge, merge_thr : bool, float
        The parameters of the group 'merging'; its others don't matter.

    Returns
    -------
    A : csc_matrix of shape (d, K')
        Footprints.
    traces : Traces
        Their traces.
    merged : list of list of ndarray
        The groups that were joined in each round.
    """
    rounds: list = []
    while do_merge:
        merged = merge_components(A, traces, merge_thr=merge_thr, p=0)
        A, traces = merged.A, merged.traces
        if not merged.groups:
            break
        rounds.append(merged.groups)
    return A, traces, rounds


def deconvolve_all(
    traces: Traces, options: dict[str, Any], dview: Any = None
) -> tuple[Traces, Dynamics | None]:
    """
    Deconvolve raw traces, a few a task, with the dynamics of the whole recording where they can be measured.

    Parameters
    ----------
    traces : Traces
        Raw trace = C + YrA.
    options : dict
        Keywords of `constrained_foopsi`; and `pooled_fr`, the frame rate in Hz, or None to estimate the
        dynamics of each trace on its own.
    dview : Workers, optional
        Pool that takes the tasks.

    Returns
    -------
    traces : Traces
        Deconvolved traces.
    dynamics : Dynamics or None
        What was measured; None if nothing was asked for, or too few transients are clear.
    """
    raw = traces.C + traces.YrA
    options = dict(options)
    fr = options.pop("pooled_fr", None)
    dynamics = None if fr is None else measure_dynamics(raw, fr)
    if dynamics is not None:
        if options.get("optimize_g"):
            log.warning(
                "optimize_g has no effect beside dynamics measured for the whole recording: set "
                "dynamics='per_trace' to have each trace refine its own decay"
            )
        options |= {"p": dynamics.order, "optimize_g": False}
        log.info("Dynamics of the indicator: %s", dynamics)
    elif fr is not None and len(raw):
        log.info(
            "Too few clear transients to measure the indicator's rise and decay by: each trace is "
            "deconvolved with an estimate of its own"
        )
    g = None if dynamics is None else dynamics.g
    chunks = [
        (raw[k : k + _CHUNK], None if g is None else g[k : k + _CHUNK])
        for k in range(0, max(len(raw), 1), _CHUNK)
    ]
    done = map_ordered(partial(_deconvolve, options=options), chunks, dview, "Deconvolution")
    joined = (np.concatenate([getattr(part, f.name) for part in done]) for f in fields(Traces))
    return Traces(*joined), dynamics


def _deconvolve(chunk: tuple[np.ndarray, np.ndarray | None], options: dict[str, Any]) -> Traces:
    """Deconvolve some traces (importable, so that it travels to other processes)."""
    raw, g = chunk
    return Traces.from_raw(raw, g=g, **options)
