"""Parameters as the options of the stages: nothing below the facade knows `CNMFParams`."""

from __future__ import annotations

from cnmf_engine.base.errors import ParameterError, explain
from cnmf_engine.caiman.params import CNMFParams
from cnmf_engine.stages.cnmfe.options import Merging, Patches, Ring, Search
from cnmf_engine.stages.deconvolution.foopsi import Deconvolution, check_method
from cnmf_engine.stages.filters import one_size
from cnmf_engine.stages.noise import PixelNoise
from cnmf_engine.stages.thresholds import Thresholds

__all__ = [
    "check_parameters",
    "deconvolution_options",
    "merging_options",
    "options_of",
    "params_of",
    "patch_options",
    "ring_options",
    "search_options",
]

#: Longest transient, in decay times of the indicator.
_TRANSIENT = 20
_SEARCH = ("min_corr", "min_pnr", "K", "tsub", "ssub", "init_iter", "center_psf")


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
    deconvolution_options(params)
    check_method(params.patch["p_patch"], "oasis")


def deconvolution_options(params: CNMFParams) -> Deconvolution:
    """How traces are deconvolved in the end; raises ParameterError for what this engine doesn't have."""
    temporal = params.temporal
    names = "method_deconvolution bas_nonneg noise_method lags fudge_factor s_min optimize_g".split()
    return Deconvolution(
        p=int(params.preprocess["p"]),
        noise_range=tuple(temporal["noise_range"]),
        fr=params.data["fr"] if temporal["dynamics"] == "pooled" else None,
        **{name: temporal[name] for name in names},
    )


def ring_options(params: CNMFParams) -> Ring:
    """Radius in px and decimation of the ring model."""
    radius = params.init["ring_size_factor"] * one_size(params.init["gSiz"], "gSiz")
    return Ring(radius, params.init["ssub_B"])


def search_options(params: CNMFParams) -> Search:
    """How cells are looked for."""
    init, preprocess = params.init, params.preprocess
    # A transient is over after some twenty decay times; what changes more slowly is background.
    window = round(_TRANSIENT * params.data["decay_time"] * params.data["fr"])
    noise = tuple(preprocess["noise_range"]), preprocess["noise_method"], preprocess["max_num_samples_fft"]
    return Search(
        gSig=float(one_size(init["gSig"], "gSig")),
        gSiz=int(one_size(init["gSiz"], "gSiz")),
        window=max(window, 3),
        nrgthr=params.spatial["nrgthr"],
        noise=PixelNoise(*noise),
        **{name: init[name] for name in _SEARCH},
    )


def patch_options(params: CNMFParams) -> Patches:
    """How the field is cut."""
    patch = params.patch
    names = ("rf", "stride", "border_pix", "del_duplicates")
    return Patches(**{name: patch[name] for name in names}, p=patch["p_patch"])


def merging_options(params: CNMFParams) -> Merging:
    """When components are joined."""
    return Merging(params.merging["merge_thr"] if params.merging["do_merge"] else None)


def options_of(params: CNMFParams) -> tuple[Search, Patches, Ring, Merging, Deconvolution]:
    """Everything that a fit is asked for, in the order of `fit_cnmfe`."""
    of = search_options, patch_options, ring_options, merging_options, deconvolution_options
    return tuple(function(params) for function in of)


def params_of(*options: Search | Patches | Ring | Merging | Deconvolution | Thresholds) -> CNMFParams:
    """
    Write options of the stages back into parameters, for a model's file.

    The reverse of `options_of`, but for `Search.window`, which follows from frame rate and decay time.
    """
    asked = {type(option): vars(option) for option in options}
    search, patches, ring = (dict(asked.get(kind, {})) for kind in (Search, Patches, Ring))
    merging, trace = dict(asked.get(Merging, {})), dict(asked.get(Deconvolution, {}))
    init = {name: search[name] for name in _SEARCH if search}
    init |= {"gSig": (search["gSig"],) * 2, "gSiz": (search["gSiz"],) * 2} if search else {}
    init |= {"ssub_B": ring["ssub"], "ring_size_factor": ring["radius"] / search["gSiz"]} if ring else {}
    fr, p = trace.pop("fr", None), trace.pop("p", None)
    groups = {
        "init": init | {"method_init": "corr_pnr", "nb": 0},
        "patch": {"p_patch" if name == "p" else name: value for name, value in patches.items()},
        "spatial": {"nrgthr": search["nrgthr"]} if search else {},
        "preprocess": (vars(search["noise"]) if search else {}) | ({} if p is None else {"p": p}),
        "temporal": trace | ({} if p is None else {"p": p, "dynamics": "pooled" if fr else "per_trace"}),
        "data": {"fr": fr} if fr else {},
        "quality": asked.get(Thresholds, {}),
    }
    if merging:
        thr = merging["merge_thr"]
        groups["merging"] = {"do_merge": thr is not None} | ({} if thr is None else {"merge_thr": thr})
    return CNMFParams(params_dict={group: values for group, values in groups.items() if values})
