"""Rules that keep parameters consistent with each other, and values that follow from others."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Any

from cnmf_engine.errors import MissingFileError, ParameterError, explain

__all__ = ["DERIVED", "apply_rules", "derive", "read_movie_size"]

log = logging.getLogger("caiman")

Groups = dict[str, dict[str, Any]]

# Values that follow from others until someone sets them.
DERIVED = frozenset(
    {
        ("init", "gSiz"),
        ("online", "N_samples_exceptionality"),
        ("online", "thresh_fitness_raw"),
        ("data", "dims"),
        ("motion", "splits_rig"),
        ("motion", "splits_els"),
    }
)


def read_movie_size(data: Mapping[str, Any], needed: bool = True) -> tuple[tuple[int, ...], int] | None:
    """
    Read how large the movie is without loading it.

    Parameters
    ----------
    data : dict
        The group 'data': ``fnames`` (the first file counts) and ``var_name_hdf5``.
    needed : bool
        False if the movie may be elsewhere, as with parameters from another computer.

    Returns
    -------
    tuple or None
        Rows and columns in px, and the frames of the first file; None without a movie.

    Raises
    ------
    MissingFileError
        If a file doesn't exist but is needed; names those beside it.
    InputError
        If a file can't be read, or files differ in size.
    """
    if not data["fnames"]:
        return None
    # Imported here: reading movies brings in much that parameters alone don't need.
    from cnmf_engine.loading import get_file_size

    try:
        dims, n_frames = get_file_size(data["fnames"], var_name_hdf5=data["var_name_hdf5"])
    except MissingFileError:
        if needed:
            raise
        log.info("The movie %s isn't here; the other parameters are used as they are", data["fnames"])
        return None
    return tuple(int(side) for side in dims), int(n_frames[0])


def derive(groups: Groups, explicit: set[tuple[str, str]], movie: tuple[tuple[int, ...], int] | None) -> None:
    """
    Compute the values that follow from others, except those that were set.

    Parameters
    ----------
    groups : dict of dict
        All parameters; changed in place.
    explicit : set of tuple of str
        The derived values that somebody set, as (group, key).
    movie : tuple or None
        Size of the movie in ``fnames``, as :func:`read_movie_size` gives it, if known.
    """
    values: dict[tuple[str, str], Any] = {}
    if movie is not None:
        dims, n_frames = movie
        values["data", "dims"] = dims
        splits = max(n_frames // max(groups["motion"]["num_frames_split"], 10), 1)
        values["motion", "splits_rig"] = values["motion", "splits_els"] = splits
    gSig = groups["init"]["gSig"]
    values["init", "gSiz"] = tuple(math.ceil(2 * sigma + 1) for sigma in gSig) if gSig else None
    frames = math.ceil(groups["data"]["fr"] * groups["data"]["decay_time"])
    values["online", "N_samples_exceptionality"] = frames
    for (group, key), value in values.items():
        if (group, key) not in explicit:
            groups[group][key] = value
    if ("online", "thresh_fitness_raw") not in explicit:
        from scipy.special import log_ndtr

        online = groups["online"]
        online["thresh_fitness_raw"] = (
            float(log_ndtr(-online["min_SNR"])) * online["N_samples_exceptionality"]
        )
    if groups["init"]["gSiz"]:
        # A box needs a centre pixel.
        groups["init"]["gSiz"] = tuple(size + (size % 2 == 0) for size in groups["init"]["gSiz"])


def apply_rules(groups: Groups, changed: set[tuple[str, str]]) -> None:
    """
    Make parameters agree with each other, as CaImAn does after each change.

    Parameters
    ----------
    groups : dict of dict
        All parameters; changed in place.
    changed : set of tuple of str
        What was set just now, as (group, key): only those are worth telling the reader about.

    Raises
    ------
    ParameterError
        If two of the values can't both hold.
    """
    _size_rules(groups, changed)
    _background_rules(groups, changed)
    _motion_rules(groups)
    measured = {("temporal", "measured_decay"), ("temporal", "measured_rise")}
    if ("data", "fr") in changed and not measured & changed:
        # Measured at another rate: seconds that were others.
        groups["temporal"] |= {"measured_decay": None, "measured_rise": None}
    online = groups["online"]
    if 0 in (online["max_num_added"], online["min_num_trial"]):
        online["update_num_comps"] = False


def _size_rules(groups: Groups, changed: set[tuple[str, str]]) -> None:
    init, patch = groups["init"], groups["patch"]
    if init["gSig"] is None and init["method_init"] == "corr_pnr":
        fix = "set gSig to about a quarter of the diameter of a cell in pixels, for example gSig=(3, 3)"
        raise ParameterError(
            explain("init/gSig to be given when method_init is 'corr_pnr'", "gSig = None", fix)
        )
    rf, stride = patch["rf"], patch["stride"]
    if (
        rf is None
        or init["gSig"] is None
        or not changed & {("patch", "rf"), ("patch", "stride"), ("init", "gSiz"), ("init", "gSig")}
    ):
        return
    half = min(rf) if isinstance(rf, tuple) else rf
    if half <= init["gSiz"][0]:
        log.warning(
            "Patches are small for these cells: rf=%s gives patches %d px wide, the box around a cell (gSiz) "
            "is %d px. rf stays as it is; cells near patch edges may be missed. Try rf=%d or more.",
            rf, 2 * half + 1, init["gSiz"][0], math.ceil(4 * max(init["gSig"])) + init["gSiz"][0],
        )  # fmt: skip
    overlap = max(stride) if isinstance(stride, tuple) else stride
    if overlap is not None and overlap >= 2 * half:
        log.warning(
            "Patches can't advance: the overlap stride=%s is as wide as a patch (rf=%s, 2*rf=%d). "
            "Set stride to less than 2*rf before the fit, for example stride=%d.",
            stride, rf, 2 * half, max(half // 2, 1),
        )  # fmt: skip


def _background_rules(groups: Groups, changed: set[tuple[str, str]]) -> None:
    init, patch, spatial = groups["init"], groups["patch"], groups["spatial"]
    nb = init["nb"]

    def settle(group: str, key: str, value: Any, why: str) -> None:
        if groups[group][key] != value or groups[group][key] is not value:
            level = logging.INFO if (group, key) in changed else logging.DEBUG
            log.log(level, "%s/%s: %r becomes %r, because %s", group, key, groups[group][key], value, why)
            groups[group][key] = value

    if nb <= 0 and (patch["nb_patch"] != nb or patch["low_rank_background"] is not None):
        settle("patch", "nb_patch", nb, f"nb={nb} and patches must treat the background alike")
        settle("patch", "low_rank_background", None, f"nb={nb} leaves no low-rank background")
    if nb == -1 and spatial["update_background_components"]:
        settle("spatial", "update_background_components", False, "nb=-1 leaves nothing to update")
    if init["method_init"] == "corr_pnr" and init["ring_size_factor"] is not None and init["normalize_init"]:
        settle("init", "normalize_init", False, "the ring model works in units of brightness")
    for group in ("spatial", "temporal"):
        if (group, "nb") in changed and groups[group]["nb"] != nb:
            found = f"{group}/nb = {groups[group]['nb']}, init/nb = {nb}"
            fix = f"set nb in 'init' only: {{'init': {{'nb': {groups[group]['nb']}}}}}"
            raise ParameterError(explain("one number of background components", found, fix))
        groups[group]["nb"] = nb


def _motion_rules(groups: Groups) -> None:
    motion = groups["motion"]
    if not motion["is3D"]:
        return
    for key in ("max_shifts", "overlaps", "strides"):
        value = motion[key]
        if len(value) == 3:
            continue
        if value[0] != value[1]:
            fix = f"give {key} one number for each of three axes, or set is3D to False"
            raise ParameterError(explain(f"motion/{key} for three axes with is3D", f"{key} = {value!r}", fix))
        motion[key] = (value[0],) * 3
