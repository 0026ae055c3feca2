"""Parameters as the options of the stages: nothing below the facade knows `CNMFParams`."""

from __future__ import annotations

from cnmf_engine.base.errors import ParameterError, explain
from cnmf_engine.caiman.params import CNMFParams
from cnmf_engine.stages.cnmfe.options import Merging, Patches, Ring, Search
from cnmf_engine.stages.deconvolution.foopsi import Deconvolution, check_method
from cnmf_engine.stages.filters import one_size
from cnmf_engine.stages.noise import PixelNoise

__all__ = [
    "check_parameters",
    "deconvolution_options",
    "merging_options",
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
