"""Parameters as the keywords of the stages: nothing below the model knows `CNMFParams`."""

from __future__ import annotations

from typing import Any

from cnmf_engine.base.errors import ParameterError, explain
from cnmf_engine.caiman.params import CNMFParams
from cnmf_engine.stages.deconvolution.foopsi import check_method
from cnmf_engine.stages.filters import one_size

__all__ = [
    "check_parameters",
    "deconvolution_options",
    "final_options",
    "ring_options",
    "search_options",
    "update_options",
]

#: Longest transient, in decay times of the indicator.
_TRANSIENT = 20
#: Farthest a footprint reaches from its brightest pixel, in units of gSiz.
_MAX_RADIUS = 2.0
_SEARCH = (
    "min_corr", "min_pnr", "K", "tsub", "ssub", "ssub_B", "ring_size_factor", "init_iter", "center_psf"
)  # fmt: skip


def check_parameters(params: CNMFParams) -> None:
    """
    Refuse what this engine doesn't have, before any work is done.

    Parameters
    ----------
    params : CNMFParams
        The parameters.

    Raises
    ------
    ParameterError
        If they ask for another method than CNMF-E, or for seeds clicked by hand.
    """
    init = params.init
    if init["method_init"] != "corr_pnr" or init["nb"] != 0:
        raise ParameterError(
            explain(
                "method_init='corr_pnr' and nb=0 (one-photon data, ring background)",
                f"method_init={init['method_init']!r}, nb={init['nb']!r}",
                "set both with params.change_params; for two-photon data use CaImAn itself",
            )
        )
    if isinstance(init["seed_method"], str) and init["seed_method"] != "auto":
        raise ParameterError(
            explain(
                "seed_method='auto', or an array (n, 2) with the row and column of each cell's centre",
                f"seed_method={init['seed_method']!r}: clicking in a window doesn't work in a notebook",
                "look at the correlation and PNR images, write down the cells' pixels, and set for example "
                "{'seed_method': [(31, 40), (55, 62)]}",
            )
        )
    temporal = params.temporal
    options = temporal["method_deconvolution"], temporal["s_min"], temporal["optimize_g"]
    check_method(params.preprocess["p"], *options)
    check_method(params.patch["p_patch"], "oasis")


def deconvolution_options(params: CNMFParams) -> dict[str, Any]:
    """
    Collect the keywords of `constrained_foopsi` that hold throughout a fit.

    Parameters
    ----------
    params : CNMFParams
        The parameters.

    Returns
    -------
    dict
        Keywords.
    """
    names = ("bas_nonneg", "noise_method", "lags", "fudge_factor")
    options = {name: params.temporal[name] for name in names}
    return options | {"noise_range": tuple(params.temporal["noise_range"])}


def final_options(params: CNMFParams) -> dict[str, Any]:
    """
    Collect the keywords of the last deconvolution.

    Parameters
    ----------
    params : CNMFParams
        The parameters.

    Returns
    -------
    dict
        Keywords of `deconvolve_all`, the order `p` included. Some are for the last one alone: they are slow,
        or in units of finished traces.
    """
    last = {name: params.temporal[name] for name in ("method_deconvolution", "s_min", "optimize_g")}
    pooled = params.temporal["dynamics"] == "pooled" and int(params.preprocess["p"]) > 0
    last |= {"p": int(params.preprocess["p"]), "pooled_fr": params.data["fr"] if pooled else None}
    return deconvolution_options(params) | last


def ring_options(params: CNMFParams) -> dict[str, Any]:
    """
    Collect the keywords of the ring model.

    Parameters
    ----------
    params : CNMFParams
        The parameters.

    Returns
    -------
    dict
        Radius in px and decimation.
    """
    init = params.init
    return {
        "radius": init["ring_size_factor"] * one_size(init["gSiz"], "gSiz"),
        "ssub": init["ssub_B"],
    }


def search_options(params: CNMFParams, p: int | None = None) -> dict[str, Any]:
    """
    Collect the keywords of `initialize`.

    Parameters
    ----------
    params : CNMFParams
        The parameters.
    p : int, optional
        Order of the autoregressive process, if it isn't that of the parameters.

    Returns
    -------
    dict
        Keywords.
    """
    init, preprocess = params.init, params.preprocess
    # A transient is over after some twenty decay times; what changes more slowly is background.
    window = round(_TRANSIENT * params.data["decay_time"] * params.data["fr"])
    noise = {name: preprocess[name] for name in ("noise_method", "max_num_samples_fft")}
    return {
        **{name: init[name] for name in _SEARCH},
        "gSig": float(one_size(init["gSig"], "gSig")),
        "gSiz": int(one_size(init["gSiz"], "gSiz")),
        "merge_thr": params.merging["merge_thr"],
        "do_merge": params.merging["do_merge"],
        "nrgthr": params.spatial["nrgthr"],
        # Rise and decay come last: on the way, traces change too much for two time constants.
        "p": min(int(preprocess["p"]) if p is None else p, 1),
        "window": max(window, 3),
        "noise": noise | {"noise_range": tuple(preprocess["noise_range"])},
        **deconvolution_options(params),
    }


def update_options(params: CNMFParams) -> dict[str, Any]:
    """
    Collect the keywords of a single update of footprints and traces.

    Parameters
    ----------
    params : CNMFParams
        The parameters.

    Returns
    -------
    dict
        ``space``, keywords of `update_spatial`, and ``deconvolution``, those of `update_temporal`.
    """
    reach = _MAX_RADIUS * one_size(params.init["gSiz"], "gSiz")
    return {
        "space": {"nrgthr": params.spatial["nrgthr"], "max_radius": reach, "closing": False},
        "deconvolution": deconvolution_options(params) | {"p": min(int(params.preprocess["p"]), 1)},
    }
