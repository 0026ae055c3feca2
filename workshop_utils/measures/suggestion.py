"""Parameters that follow from what was measured, each with its reason."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workshop_utils.files import write_text

if TYPE_CHECKING:
    from workshop_utils.measures.motion import Motion
    from workshop_utils.measures.noise import Noise
    from workshop_utils.measures.rate import Decay
    from workshop_utils.measures.size import Size

__all__ = ["Suggestion", "suggest"]

#: Cells across a patch and across the overlap of two patches.
_PATCH, _OVERLAP = 6.0, 1.5
#: Which group of CNMFParams a lesson's parameter belongs to; pairs are written for both axes.
_GROUPS = {
    "frame_rate": ("data", "fr", False),
    "decay_time": ("data", "decay_time", False),
    "pw_rigid": ("motion", "pw_rigid", False),
    "gSig_filt": ("motion", "gSig_filt", True),
    "max_shift": ("motion", "max_shifts", True),
    "gSig": ("init", "gSig", True),
    "min_corr": ("init", "min_corr", False),
    "min_pnr": ("init", "min_pnr", False),
    "tsub": ("init", "tsub", False),
    "rf": ("patch", "rf", False),
    "stride": ("patch", "stride", False),
}


@dataclass(frozen=True)
class Suggestion:
    """
    Parameters under the names that the lessons give them, and why; prints as a table.

    Attributes
    ----------
    values : dict of str to object
        Name to value: `frame_rate`, `decay_time`, `gSig_filt`, `max_shift`, `pw_rigid`, `gSig`, `min_corr`,
        `min_pnr`, `tsub`, `rf`, `stride`.
    reasons : dict of str to str
        Name to reason.
    warning : str
        What stands above the table: that no cells are visible, and what to do. Empty where they are.
    """

    values: dict[str, Any] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    warning: str = ""

    def __str__(self) -> str:
        """Write the table."""
        lines = [
            f"{name:<11} {value!s:>6}  because {self.reasons[name]}" for name, value in self.values.items()
        ]
        return "\n".join([self.warning, *lines] if self.warning else lines)

    __repr__ = __str__

    def grouped(self) -> dict[str, dict[str, Any]]:
        """
        Give what `CNMFParams.change_params` takes.

        Returns
        -------
        dict of str to dict
            Values by group, sizes as pairs, with the box `gSiz` that goes with `gSig`.
        """
        groups: dict[str, dict[str, Any]] = {}
        for name, value in self.values.items():
            group, key, is_pair = _GROUPS[name]
            groups.setdefault(group, {})[key] = (value, value) if is_pair else value
        if "gSig" in self.values:
            box = 2 * self.values["gSig"] + 1
            groups["init"]["gSiz"] = (box, box)
        return groups

    def fitting(self) -> dict[str, Any]:
        """Give what concerns the fit only, by names of CNMFParams: a set for `recording.compare`."""
        names = ("gSig", "min_corr", "min_pnr", "rf", "stride")
        return {name: self.values[name] for name in names if name in self.values}

    def command(self, movie: Any, results: Any) -> str:
        """
        Write the line that runs all lessons with these parameters.

        Parameters
        ----------
        movie, results : path-like or str
            The movie, and a folder for its results.

        Returns
        -------
        str
            For a shell.
        """
        head = f"workshop run --movie {shlex.quote(str(movie))} --results {shlex.quote(str(results))}"
        return " ".join([head, *(f"-p {name}={_written(value)}" for name, value in self.values.items())])

    def save(self, path: Any) -> Path:
        """
        Write values and reasons to a JSON file.

        Parameters
        ----------
        path : path-like
            The file.

        Returns
        -------
        pathlib.Path
            The same.
        """
        content = {"parameters": self.values, "reasons": self.reasons}
        if self.warning:
            content["warning"] = self.warning
        return write_text(Path(path), json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def suggest(
    size: Size,
    shape: tuple[int, int],
    fr: float,
    decay_time: float,
    motion: Motion | None = None,
    gSig_filt: int | None = None,
    noise: Noise | None = None,
    decay: Decay | None = None,
) -> Suggestion:
    """
    Derive parameters from what was measured.

    Parameters
    ----------
    size : Size
        From `size`, with the cells that stand out.
    shape : (int, int)
        Rows and columns of the whole movie. Patches aren't larger.
    fr, decay_time : float
        Frames a second, Hz, and the indicator's time constant, s.
    motion : Motion, optional
        From `motion`; nothing is said of motion without it.
    gSig_filt : int, optional
        Width of the filter that was chosen by comparing several, px.
    noise : Noise, optional
        From `noise`; says whether to average in time.
    decay : Decay, optional
        From `decay`; says whether the rate is plausible.

    Returns
    -------
    Suggestion
        Values and reasons; prints as a table.
    """
    from workshop_utils.measures.thresholds import no_cells, suggest_thresholds

    why: dict[str, tuple[Any, str]] = {
        "frame_rate": (float(fr), _of_rate(decay)),
        "decay_time": (float(decay_time), "that is the indicator's"),
    }
    if gSig_filt is not None:
        why["gSig_filt"] = (
            int(gSig_filt),
            "of the widths compared it lies in the middle of those that align the frames"
            if motion is None or motion.measured
            else "no width aligns the frames here: a value to start from, not a measurement",
        )
    if motion is not None:
        why |= _of_motion(motion)
    sigma = (
        f"sigma {size.sigma:.1f} px measured" if math.isfinite(size.sigma) else "a guess: measure it by eye"
    )
    why["gSig"] = (size.gSig, f"cells are about {size.diameter} px wide ({sigma})")
    visible = size.cells is None or len(size.cells.places) > 0
    if not visible:
        why["gSig"] = (size.gSig, "that is the usual value: no cells are visible that could be measured")
    thresholds = suggest_thresholds(size.cells)
    why["min_corr"] = (thresholds.min_corr, thresholds.why_corr)
    why["min_pnr"] = (thresholds.min_pnr, thresholds.why_pnr)
    if noise is not None and np.isfinite(noise.peaks):
        gain = noise.in_time.gain
        why["tsub"] = (noise.tsub, f"averaging two frames changes peak-to-noise by a factor of {gain:.2f}")
    rf, stride = _patches(size.diameter, min(shape))
    why["rf"] = (rf, f"a patch of {2 * rf + 1} px is {(2 * rf + 1) / size.diameter:.1f} cells wide")
    why["stride"] = (
        stride,
        f"patches overlap by {stride + 1} px, {(stride + 1) / size.diameter:.1f} cells",
    )
    values, reasons = ({name: pair[k] for name, pair in why.items()} for k in (0, 1))
    return Suggestion(values, reasons, "" if visible else no_cells(size.cells))


def _of_rate(decay: Decay | None) -> str:
    """Say how far the rate can be believed."""
    believed = "the recording's notes say so"
    if decay is None or decay.plausible is None:
        return f"{believed}; nothing here could confirm it"
    if decay.plausible:
        return f"{believed}, and a decay in {decay.seconds:.2f} s is plausible"
    return f"{believed}, but transients would decay in {decay.seconds:.2f} s with it: look it up again"


def _of_motion(motion: Motion) -> Mapping[str, tuple[Any, str]]:
    """Say what the movement asks for."""
    together = "quadrants couldn't be compared, and rigid is the safer choice"
    if math.isfinite(motion.apart_px):
        together = f"quadrants of the field move {motion.apart_px:.2f} px apart"
    return {
        "max_shift": (motion.max_shift, motion.why_max_shift),
        "pw_rigid": (motion.pw_rigid, together),
    }


def _patches(diameter: int, shorter: int) -> tuple[int, int]:
    """Half width and overlap of patches: several cells wide, and no wider than the movie."""
    rf = max(1, min(math.ceil(_PATCH * diameter / 2), shorter // 2))
    stride = max(1, min(math.ceil(_OVERLAP * diameter), rf))
    return rf, stride


def _written(value: Any) -> str:
    """Write a value as the command line reads it."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)
