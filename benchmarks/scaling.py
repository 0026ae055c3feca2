"""How time and memory grow with frames, pixels and cells, and what that makes of a long recording."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.movies import scaling_cases
from benchmarks.recordings import make
from benchmarks.run import STAGES, measure_cold

__all__ = ["PowerLaw", "Scaling", "TARGET", "fit_power_law", "measure_scaling", "parallel_share", "table"]

#: An hour of a V3 at 7 Hz or 20 minutes at 20 Hz: frames, pixels, cells.
TARGET = (24_000, 480 * 752, 800)


@dataclass(frozen=True)
class PowerLaw:
    """
    A quantity as `scale * frames**a * pixels**b * cells**c`.

    Attributes
    ----------
    scale : float
        Factor.
    exponents : ndarray of shape (3,)
        Of frames, pixels and cells.
    error : float
        Root of the mean squared residual of the logarithm: 0.1 is about 10 %.
    """

    scale: float
    exponents: np.ndarray
    error: float

    def __call__(self, sizes: tuple[float, float, float]) -> float:
        """Evaluate it at (frames, pixels, cells)."""
        return float(self.scale * np.prod(np.asarray(sizes, float) ** self.exponents))


@dataclass(frozen=True)
class Scaling:
    """
    What the scaling runs gave.

    Attributes
    ----------
    sizes : ndarray of shape (n, 3)
        Frames, pixels and cells of each run.
    results : list of dict
        What was measured in each.
    share : dict of str to float
        Share of each stage that runs on all cores at once.
    """

    sizes: np.ndarray
    results: list[dict]
    share: dict[str, float]


def fit_power_law(sizes: np.ndarray, values: np.ndarray) -> PowerLaw:
    """
    Fit a power law by least squares of the logarithms.

    Parameters
    ----------
    sizes : array of shape (n, 3)
        Frames, pixels and cells of each run.
    values : array of shape (n,)
        Seconds, or megabytes; not negative.

    Returns
    -------
    PowerLaw
        Fitted law. A fixed cost that small runs are dominated by makes its exponents too small.
    """
    sizes, values = np.asarray(sizes, float), np.maximum(np.asarray(values, float), 1e-3)
    design = np.column_stack([np.ones(len(sizes)), np.log(sizes)])
    solution = np.linalg.lstsq(design, np.log(values), rcond=None)[0]
    residual = np.log(values) - design @ solution
    return PowerLaw(float(np.exp(solution[0])), solution[1:], float(np.sqrt((residual**2).mean())))


def parallel_share(one: float, many: float, workers: int) -> float:
    """
    Estimate the share of a stage that runs in parallel, after Amdahl (1967).

    Parameters
    ----------
    one, many : float
        Seconds with one worker and with `workers` of them.
    workers : int
        How many.

    Returns
    -------
    float
        Between 0 and 1.
    """
    if workers < 2 or one <= 0:
        return 0.0
    return float(np.clip((1 - many / one) / (1 - 1 / workers), 0, 1))


def measure_scaling(folder: Path | None, workers: int, overrides: dict) -> Scaling:
    """
    Run the scaling movies, and the largest by frames once more on one worker.

    Parameters
    ----------
    folder : Path or None
        Cache folder.
    workers : int
        Number of workers.
    overrides : dict
        Parameters that differ from the lessons'.

    Returns
    -------
    Scaling
        Sizes, measurements and parallel shares.
    """
    cases = scaling_cases()
    results = []
    for case in cases:
        results.append(measure_cold(make(case, folder), workers, overrides))
        print(f"{case.name:<20}{results[-1]['process_s']:8.2f} s", flush=True)
    longest = int(np.argmax([case.frames for case in cases]))
    serial = measure_cold(make(cases[longest], folder), 1, overrides)
    share = {
        stage: parallel_share(serial["stages"][stage], results[longest]["stages"][stage], workers)
        for stage in STAGES
    }
    sizes = np.array([(case.frames, case.px**2, case.cells) for case in cases])
    return Scaling(sizes, results, share)


def table(scaling: Scaling, target: tuple[int, int, int] = TARGET, cores: tuple[int, ...] = (2, 16)) -> str:
    """
    Write the exponents and what they predict.

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
    heads = ["stage, cpu s", "frames^", "pixels^", "cells^", "fit error", "parallel"]
    heads += [f"predicted s, {n} cores" for n in cores]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    sums = np.zeros(len(cores))
    for stage in STAGES:
        # Processor seconds: what other programs do meanwhile hardly changes them.
        law = fit_power_law(scaling.sizes, np.array([m["stages_cpu"][stage] for m in scaling.results]))
        share = scaling.share[stage]
        seconds = [law(target) * (1 - share + share / n) for n in cores]
        sums += seconds
        numbers = [f"{e:.2f}" for e in (*law.exponents, law.error, share)] + [f"{s:.1f}" for s in seconds]
        lines.append(f"| {stage} | " + " | ".join(numbers) + " |")
    lines.append("| sum |" + " |" * 5 + "".join(f" {s:.0f} |" for s in sums))
    for key, title in (("peak_MB", "resident MB"), ("private_MB", "private MB")):
        law = fit_power_law(scaling.sizes, np.array([m[key] for m in scaling.results]))
        numbers = [f"{e:.2f}" for e in (*law.exponents, law.error)]
        lines.append(
            f"| {title} | " + " | ".join(numbers) + f" | | {law(target):,.0f} |" + " |" * (len(cores) - 1)
        )
    return "\n".join(lines)
