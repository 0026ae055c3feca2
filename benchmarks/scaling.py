"""
How processor seconds and memory grow with frames, pixels and cells, and what that makes of a long recording.

The model of a stage's processor seconds, and of peak memory, is

    fixed + a * frames * pixels + b * frames * cells   (+ c * pixels for memory)

with terms that aren't negative, fitted to all runs by least squares of the relative error. Every stage is a
loop over blocks of the movie, so its main term is `a`; `b` stands for traces. What grows faster than that
(merging compares cells in pairs) would show in the misfit. A run that the fit hasn't seen, many times larger
than the others, is predicted and measured: how far that is off says what a prediction is worth.

A prediction for n cores is `cpu * (1 - p + p / n)`, with the share p that runs on all cores at once, found
for each stage from the seconds on one core and on all (Amdahl 1967). It assumes memory and disk that keep up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.costs import Cost, fit_cost, parallel_share
from benchmarks.movies import SIZES, scaling_cases
from benchmarks.recordings import make
from benchmarks.run import STAGES, measure_cold

__all__ = [
    "Scaling",
    "TARGET",
    "growth",
    "measure_scaling",
    "predictions",
    "table",
]

#: 20 minutes of a Miniscope at 20 Hz: frames, pixels, cells.
TARGET = (24_000, 480 * 752, 800)
#: Runs of each movie; medians are taken.
REPEATS = 3


@dataclass(frozen=True)
class Scaling:
    """
    What the scaling runs gave, medians over repeated runs.

    Attributes
    ----------
    sizes : ndarray of shape (n, 3)
        Frames, pixels and cells of each movie; the first is the base.
    cpu : dict of str to ndarray of shape (n,)
        Processor seconds of each stage.
    memory : dict of str to ndarray of shape (n,)
        Peak memory, MB: `peak_MB` resident, `private_MB` without pages of mapped files.
    share : dict of str to float
        Share of each stage that runs on all cores at once.
    check : dict
        A larger run that isn't fitted: `size`, and `cpu` and `memory` as above with one value; may be empty.
    """

    sizes: np.ndarray
    cpu: dict[str, np.ndarray]
    memory: dict[str, np.ndarray]
    share: dict[str, float]
    check: dict = field(default_factory=dict)

    def stored(self) -> dict:
        """Give all of it in types that JSON knows."""

        def plain(value):
            if isinstance(value, dict):
                return {key: plain(one) for key, one in value.items()}
            return np.asarray(value).tolist()

        return {name: plain(getattr(self, name)) for name in ("sizes", "cpu", "memory", "share", "check")}


def measure_scaling(
    folder: Path | None, workers: int, overrides: dict, repeats: int = REPEATS, check: str | None = "medium"
) -> Scaling:
    """
    Run the scaling movies several times each, the longest also on one core, and a larger one as a check.

    Parameters
    ----------
    folder : Path or None
        Cache folder.
    workers : int
        Number of workers.
    overrides : dict
        Parameters that differ from the lessons'.
    repeats : int
        Runs of each movie.
    check : str, optional
        Name of the movie to compare the prediction with.

    Returns
    -------
    Scaling
        Medians, and parallel shares.
    """
    cases = scaling_cases()
    longest = int(np.argmax([case.frames for case in cases]))
    runs: list[list[dict]] = [[] for _ in cases]
    single: list[dict] = []
    # One round after the other: what else the machine does meets all movies alike.
    for _ in range(repeats):
        for case, measured in zip(cases, runs):
            measured.append(measure_cold(make(case, folder), workers, overrides))
            print(f"{case.name:<20}{measured[-1]['process_s']:8.2f} s", flush=True)
        single.append(measure_cold(make(cases[longest], folder), 1, overrides, cpus=1))
        print(f"{'on one core':<20}{single[-1]['process_s']:8.2f} s", flush=True)
    share = {
        stage: parallel_share(
            _median(single, "stages", stage), _median(runs[longest], "stages", stage), workers
        )
        for stage in STAGES
    }
    cpu, memory = _collected(runs)
    sizes = np.array([(case.frames, case.px**2, case.cells) for case in cases])
    checked = _measured_check(SIZES[check], folder, workers, overrides) if check else {}
    return Scaling(sizes, cpu, memory, share, checked)


def growth(scaling: Scaling) -> str:
    """
    Write how many times the base's processor seconds and memory each larger movie takes.

    Parameters
    ----------
    scaling : Scaling
        From `measure_scaling`.

    Returns
    -------
    str
        A Markdown table.
    """
    base = scaling.sizes[0]
    heads = []
    for size in scaling.sizes[1:]:
        ratio = size / base
        name = ("frames", "pixels", "cells")[int(np.argmax(ratio))]
        heads.append(f"{name} x {ratio.max():.3g}")
    frames, pixels, cells = base
    first = f"{frames} frames, {pixels} px, {cells} cells"
    lines = [f"| | {first} | " + " | ".join(heads) + " |", "|---" * (len(heads) + 2) + "|"]
    rows = [(f"{stage}, cpu s", scaling.cpu[stage], 2) for stage in STAGES]
    rows.append(("sum, cpu s", sum(scaling.cpu[stage] for stage in STAGES), 2))
    rows += [(title, scaling.memory[key], 0) for key, title in _MEMORY]
    for title, values, digits in rows:
        ratios = [f"{value / max(values[0], 1e-3):.2f}" for value in values[1:]]
        lines.append(f"| {title} | {values[0]:.{digits}f} | " + " | ".join(ratios) + " |")
    return "\n".join(lines)


def predictions(scaling: Scaling) -> dict[str, Cost]:
    """
    Fit every stage and the memory.

    Parameters
    ----------
    scaling : Scaling
        From `measure_scaling`.

    Returns
    -------
    dict of str to Cost
        By the stage's name, and `peak_MB` and `private_MB`.
    """
    costs = {stage: fit_cost(scaling.sizes, scaling.cpu[stage]) for stage in STAGES}
    return costs | {key: fit_cost(scaling.sizes, scaling.memory[key], per_pixel=True) for key, _ in _MEMORY}


def table(scaling: Scaling, target: tuple[int, int, int] = TARGET, cores: tuple[int, ...] = (2, 16)) -> str:
    """
    Write the model of each stage and what it predicts.

    Parameters
    ----------
    scaling : Scaling
        From `measure_scaling`.
    target : (int, int, int)
        Frames, pixels and cells to predict for.
    cores : tuple of int
        Numbers of cores to predict for.

    Returns
    -------
    str
        A Markdown table.
    """
    costs, check = predictions(scaling), scaling.check
    heads = ["stage", "fixed", "1e-9 per frame and pixel", "1e-6 per frame and cell", "misfit", "parallel"]
    heads += ["check: predicted / measured", *(f"predicted s, {n} cores" for n in cores)]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    sums = np.zeros(len(cores))
    for stage in STAGES:
        cost, share = costs[stage], scaling.share[stage]
        seconds = [cost(target) * (1 - share + share / n) for n in cores]
        sums += seconds
        known = check.get("cpu", {}).get(stage)
        cells = [f"{cost.fixed:.2f} s", f"{1e9 * cost.frame_pixel:.2f}", f"{1e6 * cost.frame_cell:.2f}"]
        cells += [f"{cost.misfit:.0%}", f"{share:.2f}", _compared(cost, check, known)]
        lines.append(f"| {stage} | " + " | ".join(cells + [f"{s:.1f}" for s in seconds]) + " |")
    total = _compared(
        lambda size: sum(costs[s](size) for s in STAGES), check, sum(check.get("cpu", {}).values())
    )
    lines.append(f"| sum | | | | | | {total} |" + "".join(f" {s:.0f} |" for s in sums))
    for key, title in _MEMORY:
        cost = costs[key]
        cells = [f"{cost.fixed:.0f} MB", f"{1e9 * cost.frame_pixel:.1f}", f"{1e6 * cost.frame_cell:.1f}"]
        cells += [f"{cost.misfit:.0%}", "", _compared(cost, check, check.get("memory", {}).get(key))]
        same = [f"{cost(target):,.0f} MB"] * len(cores)
        lines.append(f"| {title} ({1e6 * cost.pixel:.1f}e-6 per pixel) | " + " | ".join(cells + same) + " |")
    return "\n".join(lines)


_MEMORY = (("peak_MB", "resident MB"), ("private_MB", "private MB"))


def _median(measured: list[dict], *keys: str) -> float:
    values = []
    for one in measured:
        for key in keys:
            one = one[key]
        values.append(one)
    return float(np.median(values))


def _collected(runs: list[list[dict]]) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    cpu = {stage: np.array([_median(one, "stages_cpu", stage) for one in runs]) for stage in STAGES}
    return cpu, {key: np.array([_median(one, key) for one in runs]) for key, _ in _MEMORY}


def _measured_check(case, folder: Path | None, workers: int, overrides: dict) -> dict:
    """Run a movie once, for comparison with what the model says of it."""
    measured = measure_cold(make(case, folder), workers, overrides)
    print(f"{case.name:<20}{measured['process_s']:8.2f} s", flush=True)
    return {
        "size": (case.frames, case.px**2, case.cells),
        "cpu": measured["stages_cpu"],
        "memory": {key: measured[key] for key, _ in _MEMORY},
    }


def _compared(cost: Callable, check: dict, known: float | None) -> str:
    return f"{cost(check['size']) / known:.2f}" if check and known else ""
