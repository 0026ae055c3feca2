"""
How processor seconds and memory grow with frames, pixels and cells, and what that makes of a long recording.

The model of a stage's processor seconds is

    fixed + a * frames * pixels + b * frames * cells

with terms that aren't negative, fitted to the medians of repeated runs by least squares of the relative
error. Every stage is a loop over blocks of the movie, so its main term is `a`; `b` stands for traces. What
grows faster than that (merging compares cells in pairs) would show in the misfit. A run that the fit hasn't
seen, many times larger than the others, is predicted and measured: how far that is off says what a prediction
is worth. A movie that exceeds the memory limit isn't loaded, so above it loading costs nothing.

A prediction for n cores is `cpu * (1 - p + p / n)`, with the share p that runs on all cores at once, found
for each stage from the seconds on one core and on all (Amdahl 1967). It assumes memory and disk that keep up.

Peak memory is measured in runs with a memory limit below the size of every movie, as a long recording meets
it, and modelled as fixed + frames + pixels + frames * cells; the limit that holds otherwise comes on top.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.costs import MEMORY_TERMS, TIME_TERMS, Cost, fit_cost, parallel_share
from benchmarks.movies import SIZES, scaling_cases
from benchmarks.recordings import make
from benchmarks.run import STAGES, measure_cold

__all__ = ["TARGET", "Scaling", "growth", "measure_scaling", "table"]

#: 20 minutes of a Miniscope at 20 Hz: frames, pixels, cells.
TARGET = (24_000, 480 * 752, 800)
#: Runs of each movie; and the memory limit of the runs that memory is taken from, bytes.
REPEATS, LIMIT = 3, 16 * 2**20
_MEMORY = {"peak_MB": "resident", "private_MB": "private"}


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
        Peak memory with the limit `LIMIT`, MB: `peak_MB` resident, `private_MB` without pages of mapped
        files.
    share : dict of str to float
        Share of each stage that runs on all cores at once.
    check : dict
        A larger run that isn't fitted: its `size` and `cpu`; empty if there was none.
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
    Run the scaling movies: several times each, the longest also on one core, all once in little memory.

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
        Name of a larger movie to compare the prediction with.

    Returns
    -------
    Scaling
        Medians, and parallel shares.
    """
    cases = scaling_cases()
    movies = [make(case, folder) for case in cases]

    def measured(at: int, note: str = "", n: int = workers, **options) -> dict:
        result = measure_cold(movies[at], n, overrides, **options)
        print(f"{cases[at].name:<20}{result['process_s']:8.2f} s {note}", flush=True)
        return result

    longest = int(np.argmax([case.frames for case in cases]))
    runs: list[list[dict]] = [[] for _ in cases]
    single = []
    measured(0, "to compile what isn't yet")
    # One round after the other: what else the machine does meets all movies alike.
    for _ in range(repeats):
        for at, results in enumerate(runs):
            results.append(measured(at))
        single.append(measured(longest, "on one core", n=1, cpus=1))
    lean = [measured(at, "in little memory", memory=str(LIMIT)) for at in range(len(cases))]
    share = {
        stage: parallel_share(
            _median(single, "stages", stage), _median(runs[longest], "stages", stage), workers
        )
        for stage in STAGES
    }
    cpu = {stage: np.array([_median(one, "stages_cpu", stage) for one in runs]) for stage in STAGES}
    memory = {key: np.array([one[key] for one in lean]) for key in _MEMORY}
    sizes = np.array([(case.frames, case.px**2, case.cells) for case in cases])
    checked = {}
    if check:
        case = SIZES[check]
        larger = measure_cold(make(case, folder), workers, overrides)
        print(f"{case.name:<20}{larger['process_s']:8.2f} s", flush=True)
        checked = {"size": (case.frames, case.px**2, case.cells), "cpu": larger["stages_cpu"]}
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
        ratios = zip(("frames", "pixels", "cells"), size / base)
        heads.append(", ".join(f"{name} x {ratio:.3g}" for name, ratio in ratios if ratio != 1))
    first = "{} frames, {} px, {} cells".format(*map(int, base))
    lines = [f"| | {first} | " + " | ".join(heads) + " |", "|---" * (len(heads) + 2) + "|"]
    rows = [(f"{stage}, cpu s", scaling.cpu[stage], 2) for stage in STAGES]
    rows.append(("sum, cpu s", sum(scaling.cpu[stage] for stage in STAGES), 2))
    rows += [
        (f"{title} MB, limit {LIMIT >> 20} MB", scaling.memory[key], 0) for key, title in _MEMORY.items()
    ]
    for title, values, digits in rows:
        ratios = [f"{value / max(values[0], 1e-3):.2f}" for value in values[1:]]
        lines.append(f"| {title} | {values[0]:.{digits}f} | " + " | ".join(ratios) + " |")
    return "\n".join(lines)


def table(
    scaling: Scaling,
    target: tuple[int, int, int] = TARGET,
    cores: tuple[int, ...] = (2, 16),
    limit: int | None = None,
) -> str:
    """
    Write the models and what they predict.

    Parameters
    ----------
    scaling : Scaling
        From `measure_scaling`.
    target : (int, int, int)
        Frames, pixels and cells to predict for.
    cores : tuple of int
        Numbers of cores to predict for.
    limit : int, optional
        Memory limit of the predicted run, bytes; the engine's default here if not given.

    Returns
    -------
    str
        Two Markdown tables: seconds, and memory.
    """
    from cnmf_engine.base.memory import memory_budget

    limit = memory_budget() if limit is None else limit
    heads = ["stage", "fixed s", "ns per frame and pixel", "µs per frame and cell", "misfit", "parallel"]
    heads += ["larger run: predicted / measured", *(f"predicted s, {n} cores" for n in cores)]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    sums, checks = np.zeros(len(cores)), np.zeros(2)
    for stage in STAGES:
        cost, share = _cost(scaling, stage), scaling.share[stage]
        busy = _seconds(stage, cost, target, limit)
        seconds = np.array([busy * (1 - share + share / n) for n in cores])
        sums += seconds
        cells = [f"{cost.terms['fixed']:.2f}", f"{1e9 * cost.terms['frames x pixels']:.2f}"]
        cells += [f"{1e6 * cost.terms['frames x cells']:.2f}", f"{cost.misfit:.0%}", f"{share:.2f}", ""]
        if scaling.check:
            both = _seconds(stage, cost, scaling.check["size"], limit), scaling.check["cpu"][stage]
            checks += both
            cells[-1] = f"{both[0]:.2f} / {both[1]:.2f}"
        lines.append(f"| {stage} | " + " | ".join(cells + [f"{s:.1f}" for s in seconds]) + " |")
    total = f"{checks[0]:.1f} / {checks[1]:.1f}" if scaling.check else ""
    lines.append(f"| sum | | | | | | {total} |" + "".join(f" {s:.0f} |" for s in sums))
    return "\n".join([*lines, "", *_memory_table(scaling, target, limit)])


def _memory_table(scaling: Scaling, target: tuple[int, int, int], limit: int) -> list[str]:
    heads = ["peak memory", "fixed MB", "MB per 1000 frames", "MB per 1000 pixels"]
    heads += ["MB per 1000 frames and 100 cells", "misfit", f"predicted MB, limit {limit >> 20} MB"]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for key, title in _MEMORY.items():
        cost = fit_cost(scaling.sizes, scaling.memory[key], MEMORY_TERMS)
        scales = {"fixed": 1, "frames": 1e3, "pixels": 1e3, "frames x cells": 1e5}
        cells = [f"{scale * cost.terms[name]:.1f}" for name, scale in scales.items()]
        predicted = cost(target) + (limit - LIMIT) / 2**20
        lines.append(f"| {title} | " + " | ".join([*cells, f"{cost.misfit:.0%}", f"{predicted:,.0f}"]) + " |")
    return lines


def _cost(scaling: Scaling, stage: str) -> Cost:
    """Cost of a stage; an import costs the same whatever follows."""
    if stage == "import":
        values = scaling.cpu[stage]
        middle = float(np.median(values))
        misfit = float(np.sqrt(((middle / np.maximum(values, 1e-3) - 1) ** 2).mean()))
        return Cost(dict.fromkeys(TIME_TERMS, 0.0) | {"fixed": middle}, misfit)
    return fit_cost(scaling.sizes, scaling.cpu[stage])


def _seconds(stage: str, cost: Cost, size: tuple[int, int, int], limit: int) -> float:
    """Processor seconds of a stage; a movie above the limit stays in its file when it is loaded."""
    stays = stage == "load" and 4 * size[0] * size[1] > limit
    return cost.terms["fixed"] if stays else cost(size)


def _median(measured: list[dict], group: str, stage: str) -> float:
    return float(np.median([one[group][stage] for one in measured]))
