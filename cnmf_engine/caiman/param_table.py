"""
The table of parameters: one row each, from which defaults, validation, slider ranges and the docs follow.

What is only kept for CaImAn's files and code is listed apart, without words.

The groups, keys and defaults are those of CaImAn 1.12, so that code and files can be exchanged. One default
differs on purpose: ``quality/use_cnn`` is False, because this engine has no neural-network classifier. Keys are
added: ``patch/memory_limit``, ``temporal/dynamics``, ``temporal/measured_decay``, ``temporal/measured_rise``, and in
the group 'quality' those of the measures that CaImAn doesn't have.
"""
# One row a line, so that it reads and compares as a table.
# ruff: noqa: E501
# fmt: off

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from cnmf_engine.stages.thresholds import Thresholds

__all__ = ["ALIASES", "CONSTRUCTOR", "GROUPS", "TABLE", "Row"]


@dataclass(frozen=True)
class Row:
    """
    One parameter.

    Attributes
    ----------
    group, key : str
        Where the value lives: ``params.<group>['<key>']``.
    kind : str
        ``int, float, bool, str, dict, any, array, choice, names`` (file names), ``strs, slices``; ``axes`` and
        ``axes-int`` (one number an axis; a single number counts for every axis), ``int|axes-int``, ``floats``
        (a tuple), ``bool|int``, ``size`` (bytes, or text with a unit), ``seeds`` (a word or pixels). A question mark at the end means that None is allowed.
    default : object
        The value of a fresh ``CNMFParams``.
    stage : str
        The step that reads it, 'compatibility' if it is only kept for CaImAn's files and code.
    meaning : str
        What it does, in a sentence.
    unit : str
        Unit of the value, empty if it has none.
    limits : str
        What is allowed, as an interval such as ``[0, 1]`` or ``(0, inf)``; for several numbers, each of them.
    slider : tuple of float or None
        Sensible least value, greatest value and step for a control.
    choices : tuple
        The allowed values, if they can be listed.
    """

    group: str
    key: str
    kind: str
    default: Any
    stage: str
    meaning: str
    unit: str = ""
    limits: str = ""
    slider: tuple[float, float, float] | None = None
    choices: tuple = ()

    @property
    def range(self) -> tuple[float, float] | None:
        """Least and greatest value for a control, None if there is no sensible range."""
        return self.slider[:2] if self.slider else None

    @property
    def step(self) -> float | None:
        """Step of a control, None if there is no sensible range."""
        return self.slider[2] if self.slider else None

    @property
    def optional(self) -> bool:
        """True if None is allowed."""
        return self.kind.endswith("?")

    def allows(self, number: float) -> bool:
        """
        Tell whether a number lies within the limits.

        Parameters
        ----------
        number : float
            The value, or one of several.

        Returns
        -------
        bool
            True if it is allowed; NaN never is.
        """
        if math.isnan(number):
            return False
        if not self.limits:
            return True
        low, high = (float(end) for end in self.limits[1:-1].split(","))
        above = number >= low if self.limits[0] == "[" else number > low
        below = number <= high if self.limits[-1] == "]" else number < high
        return above and below


_POSITIVE, _NOT_NEGATIVE, _COUNT = "(0, inf)", "[0, inf)", "[1, inf)"
_WHOLE = (slice(None), slice(None))
_DIAMOND = ((0, 0, 1, 0, 0), (0, 1, 1, 1, 0), (1, 1, 1, 1, 1), (0, 1, 1, 1, 0), (0, 0, 1, 0, 0))

_DATA = (
    Row("data", "fnames", "names?", None, "movie", "The movie file or files, in order; they must exist when given."),
    Row("data", "dims", "axes-int?", None, "movie", "Rows and columns of the movie; read from `fnames` unless given.", "px", _COUNT),
    Row("data", "fr", "float", 30, "movie", "Frame rate.", "Hz", _POSITIVE, (1, 60, 1)),
    Row("data", "decay_time", "float", 0.4, "movie", "How long a typical transient takes to decay.", "s", _POSITIVE, (0.1, 3, 0.1)),
    Row("data", "var_name_hdf5", "str", "mov", "movie", "Name of the data set when the movie is an HDF5 file."),
)

_PATCH = (
    Row("patch", "border_pix", "int", 0, "patches", "Pixels left out along each edge, usually what motion correction leaves unseen.", "px", _NOT_NEGATIVE, (0, 20, 1)),
    Row("patch", "del_duplicates", "bool", False, "patches", "Keep a cell seen by several patches only from the patch whose centre is nearest."),
    Row("patch", "low_rank_background", "bool?", True, "patches", "Background of patches as a low-rank matrix; None with the ring model."),
    Row("patch", "memory_limit", "size?", None, "patches", "Memory the fit may use at once, as bytes or text such as '2GB': fewer patches run side by side under a lower one. None means a quarter of what is free. This engine's own; CaImAn ignores it."),
    Row("patch", "n_processes", "int", 1, "patches", "Number of workers; results are the same for any number.", "", _COUNT),
    Row("patch", "nb_patch", "int", 1, "patches", "Background components of a patch, with the meaning of `init/nb`."),
    Row("patch", "p_patch", "int", 0, "patches", "Order of the autoregressive model inside patches; 0 doesn't deconvolve there.", "", "[0, 2]"),
    Row("patch", "rf", "int|axes-int?", None, "patches", "Half-width of a patch, about four times the cell radius or more; None fits the whole field at once.", "px", _COUNT, (10, 100, 5)),
    Row("patch", "stride", "int|axes-int?", None, "patches", "Overlap of neighbouring patches, at least one cell; None means a tenth of the patch.", "px", _NOT_NEGATIVE, (5, 50, 5)),
)

_PREPROCESS = (
    Row("preprocess", "max_num_samples_fft", "int", 3072, "noise", "Most frames used for the noise of a pixel.", "frames", "[16, inf)"),
    Row("preprocess", "noise_method", "choice", "mean", "noise", "How the power spectrum is averaged to the noise of a pixel.", choices=("mean", "median", "logmexp")),
    Row("preprocess", "noise_range", "floats", (0.25, 0.5), "noise", "Part of the spectrum that holds only noise, as a fraction of the frame rate.", "cycles/frame", "[0, 0.5]"),
    Row("preprocess", "p", "int", 2, "temporal", "Order of the autoregressive model: 1 for a sharp rise, 2 for a visible rise, 0 for none.", "", "[0, 2]", (0, 2, 1)),
)

_INIT = (
    Row("init", "K", "int?", 30, "init", "Most cells to find, per patch if there are patches; None finds all that pass the thresholds.", "", _NOT_NEGATIVE, (1, 100, 1)),
    Row("init", "center_psf", "bool", False, "init", "Subtract the mean from the filter kernel, which removes one-photon background; True for CNMF-E."),
    Row("init", "gSig", "axes?", (5, 5), "init", "Standard deviation of the Gaussian that fits a cell, about a quarter of its diameter.", "px", _POSITIVE, (1, 12, 1)),
    Row("init", "gSiz", "axes-int?", None, "init", "Half-size of the box around a cell; 2*gSig+1 (made odd) unless given.", "px", _COUNT, (3, 51, 2)),
    Row("init", "init_iter", "int", 2, "init", "Rounds of seeding: the second looks for dimmer cells in what the first left.", "", _COUNT, (1, 3, 1)),
    Row("init", "method_init", "choice", "greedy_roi", "init", "How cells are first found; 'corr_pnr' is CNMF-E's for one-photon movies.", choices=("greedy_roi", "corr_pnr", "sparse_nmf", "graph_nmf", "compressed_nmf", "pca_ica")),
    Row("init", "min_corr", "float", 0.85, "init", "Least local correlation a seed pixel may have.", "", "[0, 1]", (0, 0.99, 0.01)),
    Row("init", "min_pnr", "float", 20, "init", "Least peak-to-noise ratio a seed pixel may have.", "", _NOT_NEGATIVE, (1, 40, 0.5)),
    Row("init", "nb", "int", 1, "background", "Background components: 0 ring model kept, -1 full rank, below -1 none, above 0 low rank.", "", "", (-1, 3, 1)),
    Row("init", "normalize_init", "bool", True, "init", "Scale pixels by their noise before seeding; set to False by the ring model."),
    Row("init", "ring_size_factor", "float?", 1.5, "background", "Radius of the background ring as a multiple of gSiz.", "", _POSITIVE, (1, 2, 0.1)),
    Row("init", "seed_method", "seeds", "auto", "init", "Where seed pixels come from: 'auto' finds them; or an array (n, 2) of the rows and columns of the cells' centres, then only these are used. 'manual' and 'semi', clicking in a window, are CaImAn's alone."),
    Row("init", "ssub", "int", 2, "init", "Spatial subsampling during initialisation; 1 for small cells.", "", _COUNT, (1, 4, 1)),
    Row("init", "ssub_B", "int", 2, "background", "Spatial subsampling of the ring model.", "", _COUNT, (1, 4, 1)),
    Row("init", "tsub", "int", 2, "init", "Temporal subsampling during initialisation.", "", _COUNT, (1, 5, 1)),
)

_SPATIAL = (
    Row("spatial", "nb", "int", 1, "background", "Always equal to `init/nb`."),
    Row("spatial", "nrgthr", "float", 0.9999, "spatial", "Part of a footprint's energy that is kept.", "", "(0, 1]", (0.9, 0.9999, 0.0001)),
)

_TEMPORAL = (
    Row("temporal", "bas_nonneg", "bool", False, "temporal", "Keep the baseline at or above zero instead of above the smallest value."),
    Row("temporal", "dynamics", "choice", "pooled", "temporal", "Where rise and decay come from. 'pooled': measured once for the recording, each cell drawn towards it, order 2 where the rise is slower than a frame, whatever `p` says (0 still means no deconvolution); `fudge_factor`, `lags` and `optimize_g` then don't matter. 'per_trace': CaImAn's way, from each trace's autocovariance with the order `p`; also what is done where too few transients are clear. This engine's own; CaImAn ignores it.", choices=("pooled", "per_trace")),
    Row("temporal", "fudge_factor", "float", 0.96, "temporal", "Shrinks the estimated time constants, which noise makes too long.", "", "(0, 1]", (0.9, 1, 0.01)),
    Row("temporal", "lags", "int", 5, "temporal", "Autocovariance lags used for the time constants.", "frames", _COUNT),
    Row("temporal", "optimize_g", "bool|int", False, "temporal", "Number of large events that refine the time constant of each trace (order 1); True for 10, False for none.", "", _NOT_NEGATIVE),
    Row("temporal", "measured_decay", "float?", None, "temporal", "Time constant of the decay that the last fit measured, which keeps evaluation from averaging for longer than a transient lasts, whatever `decay_time` says; None if it measured none. This engine's own; CaImAn ignores it.", "s", _POSITIVE),
    Row("temporal", "measured_rise", "float?", None, "temporal", "Time constant of the rise that the last fit measured, 0 if it is over within a frame; None if it measured none. This engine's own; CaImAn ignores it.", "s", _NOT_NEGATIVE),
    Row("temporal", "method_deconvolution", "choice", "oasis", "temporal", "How spikes are inferred from a trace.", choices=("oasis", "cvxpy", "cvx")),
    Row("temporal", "nb", "int", 1, "background", "Always equal to `init/nb`."),
    Row("temporal", "noise_method", "choice", "mean", "temporal", "How the power spectrum is averaged to the noise of a trace.", choices=("mean", "median", "logmexp")),
    Row("temporal", "noise_range", "floats", (0.25, 0.5), "temporal", "Part of the spectrum that holds only noise, as a fraction of the frame rate.", "cycles/frame", "[0, 0.5]"),
    Row("temporal", "s_min", "float?", None, "temporal", "Smallest spike that counts; None lets the noise decide.", "trace units"),
)

_MERGING = (
    Row("merging", "do_merge", "bool", True, "merge", "Merge components that overlap and whose traces agree."),
    Row("merging", "merge_thr", "float", 0.8, "merge", "Trace correlation above which overlapping components are merged.", "", "[-1, 1]", (0.3, 0.99, 0.01)),
)

_QUALITY = (
    Row("quality", "SNR_lowest", "float", Thresholds.SNR_lowest, "evaluation", "Components with a lower signal-to-noise ratio are rejected whatever else.", "", "", (0, 5, 0.1)),
    Row("quality", "min_SNR", "float", Thresholds.min_SNR, "evaluation", "A component with a higher signal-to-noise ratio of its transients is accepted.", "", "", (0, 15, 0.1)),
    Row("quality", "rval_lowest", "float", Thresholds.rval_lowest, "evaluation", "Components with a lower spatial correlation are rejected whatever else.", "", "[-1, 1]", (-1, 1, 0.01)),
    Row("quality", "rval_thr", "float", Thresholds.rval_thr, "evaluation", "A component with a higher correlation of footprint and movie is accepted.", "", "[-1, 1]", (0, 1, 0.01)),
    Row("quality", "max_likeness", "float", Thresholds.max_likeness, "evaluation", "Greatest likeness of an accepted component to a better one in its place; above it is a double.", "", "[0, 1]", (0, 1, 0.01)),
    Row("quality", "max_movement", "float", Thresholds.max_movement, "evaluation", "Greatest share of movement in what is seen at the events of an accepted component.", "", "[0, 1]", (0, 1, 0.01)),
    Row("quality", "max_surround", "float", Thresholds.max_surround, "evaluation", "Brightening around an accepted component, as a share of its own, above which it must explain what is seen.", "", _NOT_NEGATIVE, (0, 2, 0.01)),
    Row("quality", "min_locality", "float", Thresholds.min_locality, "evaluation", "Share of what is seen at the events that an accepted component as wide as gSig must explain if its surroundings brighten too.", "", "[0, 1]", (0, 1, 0.01)),
    Row("quality", "min_roundness", "float", Thresholds.min_roundness, "evaluation", "Least roundness of an accepted footprint; 1 is a disc.", "", "[0, 1]", (0, 1, 0.01)),
    Row("quality", "min_snr_rest", "float", Thresholds.min_snr_rest, "evaluation", "Least share of the signal-to-noise ratio that the two highest frames of an accepted component leave.", "", "[0, 1]", (0, 1, 0.01)),
    Row("quality", "min_width", "float", Thresholds.min_width, "evaluation", "Least width of an accepted footprint.", "gSig", _NOT_NEGATIVE, (0, 2, 0.01)),
    Row("quality", "reject_implausible", "bool", True, "evaluation", "Also reject what passes both thresholds but is a fibre, a torn frame, haze, movement or a double; False decides as CaImAn does."),
    Row("quality", "use_cnn", "bool", False, "evaluation", "Use a neural-network classifier; this engine has none, so it must stay False."),
    Row("quality", "use_ecc", "bool", False, "evaluation", "Also reject elongated components."),
    Row("quality", "max_ecc", "float", Thresholds.max_ecc, "evaluation", "Greatest elongation of an accepted component, with `use_ecc`.", "", _POSITIVE, (1, 6, 0.1)),
)

_MOTION = (
    Row("motion", "border_nan", "choice", "copy", "motion", "What fills pixels shifted in from outside: 'copy' the edge, the 'min', True for NaN, False for 0.", choices=("copy", "min", True, False)),
    Row("motion", "gSig_filt", "axes?", None, "motion", "Width of the high-pass filter, about the radius of a cell; None doesn't filter.", "px", _POSITIVE, (1, 15, 0.5)),
    Row("motion", "max_deviation_rigid", "int", 3, "motion", "How far a piece may move away from the rigid shift.", "px", _NOT_NEGATIVE, (0, 10, 1)),
    Row("motion", "max_shifts", "axes-int", (6, 6), "motion", "Greatest rigid shift on each axis.", "px", _NOT_NEGATIVE, (1, 40, 1)),
    Row("motion", "niter_rig", "int", 1, "motion", "Rounds of rigid correction, each with a better template.", "", _COUNT, (1, 3, 1)),
    Row("motion", "num_frames_split", "int", 80, "motion", "Frames corrected at once.", "frames", _COUNT),
    Row("motion", "num_splits_to_process_rig", "any?", None, "motion", "How many pieces of the movie make the template."),
    Row("motion", "overlaps", "axes-int", (32, 32), "motion", "Overlap of pieces in piecewise-rigid correction.", "px", _NOT_NEGATIVE, (0, 96, 8)),
    Row("motion", "pw_rigid", "bool", False, "motion", "Correct pieces of the field separately."),
    Row("motion", "shifts_interpolate", "bool", False, "motion", "Spread piecewise shifts over pixels by interpolation."),
    Row("motion", "shifts_opencv", "bool", True, "motion", "Apply shifts by interpolation instead of in the Fourier domain."),
    Row("motion", "splits_els", "int", 14, "motion", "Pieces of the movie in time for piecewise correction; from its length unless given.", "", _COUNT),
    Row("motion", "splits_rig", "int", 14, "motion", "Pieces of the movie in time for rigid correction; from its length unless given.", "", _COUNT),
    Row("motion", "strides", "axes-int", (96, 96), "motion", "Distance between pieces in piecewise-rigid correction.", "px", _COUNT, (16, 192, 8)),
    Row("motion", "upsample_factor_grid", "int", 4, "motion", "How much finer the field of piecewise shifts is made.", "", _COUNT),
    Row("motion", "indices", "slices", _WHOLE, "motion", "Rows and columns used for estimating motion."),
)

# What CaImAn's files and code hold and nothing here reads: group, key, kind, default, limits, choices.
_ONLY_KEPT = (
    ("data", "dxy", "axes", (1, 1), _POSITIVE),
    ("data", "caiman_version", "str", "cnmf_engine"),
    ("data", "last_commit", "str?", None),
    ("patch", "in_memory", "bool", True),
    ("patch", "memory_fact", "float", 1, _POSITIVE),
    ("patch", "only_init", "bool", True),
    ("patch", "remove_very_bad_comps", "bool", False),
    ("patch", "skip_refinement", "bool", False),
    ("patch", "p_ssub", "int", 2, _COUNT),
    ("patch", "p_tsub", "int", 2, _COUNT),
    ("preprocess", "check_nan", "bool", True),
    ("preprocess", "compute_g", "bool", False),
    ("preprocess", "include_noise", "bool", False),
    ("preprocess", "lags", "int", 5, _COUNT),
    ("preprocess", "n_pixels_per_process", "int?", None, _COUNT),
    ("preprocess", "pixels", "any?", None),
    ("preprocess", "sn", "any?", None),
    ("init", "SC_kernel", "choice", "heat", "", ("heat", "cos", "binary")),
    ("init", "SC_sigma", "float", 1, _POSITIVE),
    ("init", "SC_thr", "float", 0),
    ("init", "SC_normalize", "bool", True),
    ("init", "SC_use_NN", "bool", False),
    ("init", "SC_nnn", "int", 20, _COUNT),
    ("init", "alpha_snmf", "float", 0.5, _NOT_NEGATIVE),
    ("init", "greedyroi_nmf_init_method", "str", "nndsvdar"),
    ("init", "greedyroi_nmf_max_iter", "int", 200, _COUNT),
    ("init", "kernel", "any?", None),
    ("init", "lambda_gnmf", "float", 1, _NOT_NEGATIVE),
    ("init", "snmf_l1_ratio", "float", 0.0, "[0, 1]"),
    ("init", "maxIter", "int", 5, _COUNT),
    ("init", "max_iter_snmf", "int", 500, _COUNT),
    ("init", "nIter", "int", 5, _COUNT),
    ("init", "options_local_NMF", "dict?", None),
    ("init", "perc_baseline_snmf", "float", 20, "[0, 100]"),
    ("init", "rolling_length", "int", 100, _COUNT),
    ("init", "rolling_sum", "bool", True),
    ("init", "sigma_smooth_snmf", "floats", (0.5, 0.5, 0.5), _NOT_NEGATIVE),
    ("spatial", "dist", "float", 3, _POSITIVE),
    ("spatial", "expandCore", "array", _DIAMOND),
    ("spatial", "extract_cc", "bool", True),
    ("spatial", "maxthr", "float", 0.1, "[0, 1]"),
    ("spatial", "medw", "axes-int?", None, _COUNT),
    ("spatial", "method_exp", "choice", "dilate", "", ("dilate", "ellipse")),
    ("spatial", "method_ls", "choice", "lasso_lars", "", ("lasso_lars", "nnls_L0")),
    ("spatial", "n_pixels_per_process", "int?", None, _COUNT),
    ("spatial", "normalize_yyt_one", "bool", True),
    ("spatial", "num_blocks_per_run_spat", "int", 20, _COUNT),
    ("spatial", "se", "array?", None),
    ("spatial", "ss", "array?", None),
    ("spatial", "thr_method", "choice", "nrg", "", ("nrg", "max")),
    ("spatial", "update_background_components", "bool", True),
    ("temporal", "ITER", "int", 2, _COUNT),
    ("temporal", "block_size_temp", "int", 5000, _COUNT),
    ("temporal", "num_blocks_per_run_temp", "int", 20, _COUNT),
    ("temporal", "p", "int", 2, "[0, 2]"),
    ("temporal", "solvers", "strs", ("ECOS", "SCS")),
    ("temporal", "verbosity", "bool", False),
    ("merging", "merge_parallel", "bool", False),
    ("quality", "cnn_lowest", "float", 0.1, "[0, 1]"),
    ("quality", "gSig_range", "any?", None),
    ("quality", "min_cnn_thr", "float", 0.9, "[0, 1]"),
    ("motion", "is3D", "bool", False),
    ("motion", "min_mov", "float?", None),
    ("motion", "nonneg_movie", "bool", True),
    ("motion", "num_splits_to_process_els", "any?", None),
    ("motion", "use_cuda", "bool", False),
    ("online", "N_samples_exceptionality", "int?", None, _COUNT),
    ("online", "batch_update_suff_stat", "bool", False),
    ("online", "dist_shape_update", "bool", False),
    ("online", "ds_factor", "float", 1, _POSITIVE),
    ("online", "epochs", "int", 1, _COUNT),
    ("online", "expected_comps", "int", 500, _NOT_NEGATIVE),
    ("online", "full_XXt", "bool", False),
    ("online", "init_batch", "int", 200, _COUNT),
    ("online", "init_method", "choice", "bare", "", ("bare", "cnmf", "seeded")),
    ("online", "iters_shape", "int", 5, _NOT_NEGATIVE),
    ("online", "max_comp_update_shape", "float", math.inf),
    ("online", "max_num_added", "int", 5, _NOT_NEGATIVE),
    ("online", "max_shifts_online", "int", 10, _NOT_NEGATIVE),
    ("online", "min_SNR", "float", 2.5),
    ("online", "min_num_trial", "int", 5, _NOT_NEGATIVE),
    ("online", "minibatch_shape", "int", 100, _COUNT),
    ("online", "minibatch_suff_stat", "int", 5, _COUNT),
    ("online", "motion_correct", "bool", True),
    ("online", "movie_name_online", "str", "online_movie.mp4"),
    ("online", "normalize", "bool", False),
    ("online", "n_refit", "int", 0, _NOT_NEGATIVE),
    ("online", "num_times_comp_updated", "float", math.inf),
    ("online", "opencv_codec", "str", "H264"),
    ("online", "path_to_model", "str?", "cnn_model_online.h5"),
    ("online", "ring_CNN", "bool", False),
    ("online", "rval_thr", "float", 0.8, "[-1, 1]"),
    ("online", "save_online_movie", "bool", False),
    ("online", "show_movie", "bool", False),
    ("online", "simultaneously", "bool", False),
    ("online", "sniper_mode", "bool", False),
    ("online", "stop_detection", "bool", False),
    ("online", "test_both", "bool", False),
    ("online", "thresh_CNN_noisy", "float", 0.5, "[0, 1]"),
    ("online", "thresh_fitness_delta", "float", -50),
    ("online", "thresh_fitness_raw", "float?", None),
    ("online", "thresh_overlap", "float", 0.5, "[0, 1]"),
    ("online", "update_freq", "int", 200, _COUNT),
    ("online", "update_num_comps", "bool", True),
    ("online", "use_corr_img", "bool", False),
    ("online", "use_dense", "bool", True),
    ("online", "use_peak_max", "bool", True),
    ("online", "W_update_factor", "float", 1, _POSITIVE),
    ("ring_CNN", "n_channels", "int", 2, _COUNT),
    ("ring_CNN", "use_bias", "bool", False),
    ("ring_CNN", "use_add", "bool", False),
    ("ring_CNN", "pct", "float", 0.01, "[0, 1]"),
    ("ring_CNN", "patience", "int", 3, _NOT_NEGATIVE),
    ("ring_CNN", "max_epochs", "int", 100, _COUNT),
    ("ring_CNN", "width", "int", 5, _COUNT),
    ("ring_CNN", "loss_fn", "str", "pct"),
    ("ring_CNN", "lr", "float", 1e-3, _POSITIVE),
    ("ring_CNN", "lr_scheduler", "any?", None),
    ("ring_CNN", "path_to_model", "str?", None),
    ("ring_CNN", "remove_activity", "bool", False),
    ("ring_CNN", "reuse_model", "bool", False),
)

GROUPS: tuple[str, ...] = tuple(
    "data patch preprocess init spatial temporal merging quality motion online ring_CNN".split()
)


def _kept(group: str, key: str, kind: str, default: Any, limits: str = "", choices: tuple = ()) -> Row:
    return Row(group, key, kind, default, "compatibility", "", limits=limits, choices=choices)


TABLE: tuple[Row, ...] = tuple(
    sorted(
        (
            *_DATA, *_PATCH, *_PREPROCESS, *_INIT, *_SPATIAL, *_TEMPORAL, *_MERGING, *_QUALITY, *_MOTION,
            *(_kept(*entry) for entry in _ONLY_KEPT),
        ),
        key=lambda row: GROUPS.index(row.group),
    )
)

# CaImAn's older names, still accepted by its constructors.
ALIASES: dict[str, str] = {"k": "K", "gnb": "nb", "merge_thresh": "merge_thr", "only_init_patch": "only_init"}

# The keywords of CaImAn's constructor, in its order; each is a key of the table or an alias of one.
CONSTRUCTOR: tuple[str, ...] = tuple(
    """fnames dims dxy border_pix del_duplicates low_rank_background memory_fact n_processes nb_patch p_ssub p_tsub
    remove_very_bad_comps rf stride check_nan n_pixels_per_process k alpha_snmf center_psf gSig gSiz init_iter
    method_init min_corr min_pnr gnb normalize_init options_local_NMF ring_size_factor rolling_length rolling_sum
    ssub ssub_B tsub num_blocks_per_run_spat block_size_temp num_blocks_per_run_temp update_background_components
    method_deconvolution p s_min do_merge merge_thresh decay_time fr min_SNR rval_thr N_samples_exceptionality
    batch_update_suff_stat expected_comps iters_shape max_comp_update_shape max_num_added min_num_trial
    minibatch_shape minibatch_suff_stat n_refit num_times_comp_updated simultaneously sniper_mode test_both
    thresh_CNN_noisy thresh_fitness_delta thresh_fitness_raw thresh_overlap update_freq update_num_comps use_dense
    use_peak_max only_init_patch var_name_hdf5 max_merge_area use_corr_img""".split()
)
