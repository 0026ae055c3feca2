"""
Run the whole path on many small simulated recordings and show how the scores are spread.

    python -m benchmarks.sweep [--json OUT] [--only NAME ...] [--against OTHER.json] [--keep FOLDER]
                               [-p NAME=VALUE ...]

Parameters are those of the lessons for all of them; only frame rate and cell size follow the recording.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from benchmarks.movies import sweep_cases
from benchmarks.recordings import cache_folder, make
from benchmarks.report import machine
from benchmarks.run import measure_cold, overrides_from
from benchmarks.specs import Case

__all__ = ["THRESHOLDS", "arguments", "distribution", "figures", "main", "run", "tally"]

#: Thresholds of the seeds, the same for every recording.
THRESHOLDS = {"min_corr": 0.8, "min_pnr": 10}

# A decay is right within this share of the true one.
DECAY_WITHIN = 0.15

FIGURES = {
    "motion error px": lambda m: m["shift_error_px"],
    "F1, all": lambda m: m["all"]["f1"],
    "F1, accepted": lambda m: m["after_evaluation"]["f1"],
    "precision, all": lambda m: m["all"]["precision"],
    "recall, all": lambda m: m["all"]["recall"],
    "median trace r": lambda m: m["all"]["trace_r_median"],
    "10th percentile of r": lambda m: m["all"]["trace_r_p10"],
    "spikes, 100 ms": lambda m: _of_dynamics(m, "spikes_100"),
    "spikes, 200 ms": lambda m: _of_dynamics(m, "spikes_200"),
    "decay, off by": lambda m: abs(_of_dynamics(m, "decay_s") / _of_dynamics(m, "true_decay_s") - 1),
    "amplitude slope": lambda m: _of_dynamics(m, "amplitude_slope"),
    "seconds": lambda m: m["process_s"],
    "cpu seconds": lambda m: m["total_cpu_s"],
}
# Small is good for these; for the others large is.
SMALL_IS_GOOD = ("motion error px", "decay, off by", "seconds", "cpu seconds")


def _of_dynamics(measured: dict, name: str) -> float:
    """Look up a figure that earlier sweeps haven't measured."""
    return measured.get("dynamics", {}).get(name, np.nan)


def arguments(prog: str, description: str) -> argparse.ArgumentParser:
    """Give the options of a benchmark that measures many recordings."""
    parser = argparse.ArgumentParser(prog=prog, description=description)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="only these recordings")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--cache", type=Path, help="folder of the simulated movies")
    parser.add_argument("--keep", type=Path, help="store footprints, traces and images in this folder")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument("--against", type=Path, help="compare with the JSON file of an earlier run")
    parser.add_argument("-p", dest="parameters", action="append", default=[], metavar="NAME=VALUE")
    return parser


def run(
    cases: Iterable[Case],
    options: argparse.Namespace,
    line: Callable[[str, dict], str],
    parameters: Callable[[Case], dict] = lambda case: {},
) -> tuple[dict[str, dict], dict[str, dict]]:
    """
    Measure recordings, print a line of each, and keep all figures so far on disk.

    Parameters
    ----------
    cases : iterable of Case
        What to measure.
    options : argparse.Namespace
        From `arguments`.
    line : callable
        Says what was measured of a recording, from its name and figures.
    parameters : callable
        Parameters of a case beside the thresholds; those of `options` come last.

    Returns
    -------
    results, before : dict of str to dict
        What was measured, by name; and the same of the earlier run in `options.against`, empty without one.
    """
    before = json.loads(options.against.read_text())["recordings"] if options.against else {}
    for folder in filter(None, (options.keep, options.json and options.json.parent)):
        folder.mkdir(parents=True, exist_ok=True)
    overrides, cache = overrides_from(options.parameters), cache_folder(options.cache)
    results: dict[str, dict] = {}
    for case in cases:
        kept = options.keep.resolve() / f"{case.name}.npz" if options.keep else None
        chosen = THRESHOLDS | parameters(case) | overrides
        results[case.name] = measure_cold(make(case, cache), options.workers, chosen, keep=kept)
        print(line(case.name, results[case.name]), flush=True)
        if options.json:
            # After each: hours may have gone into it when the next one fails.
            options.json.write_text(json.dumps({"machine": machine(), "recordings": results}, indent=1))
    return results, before


def figures(results: dict[str, dict]) -> dict[str, np.ndarray]:
    """Collect each figure over all recordings, in their order."""
    return {name: np.array([get(m) for m in results.values()], float) for name, get in FIGURES.items()}


def distribution(results: dict[str, dict]) -> str:
    """
    Show the spread of each figure and name the worst recordings.

    Parameters
    ----------
    results : dict of str to dict
        From `run`.

    Returns
    -------
    str
        A Markdown table: minimum, quartiles, maximum, and the three worst.
    """
    names = np.array(list(results))
    lines = ["| figure | min | 25 % | median | 75 % | max | worst |", "|---" * 7 + "|"]
    for figure, values in figures(results).items():
        quartiles = np.nanpercentile(values, [0, 25, 50, 75, 100])
        # A score that doesn't exist, since nothing was found, is the worst there is.
        badness = np.where(np.isnan(values), np.inf, values if figure in SMALL_IS_GOOD else -values)
        worst = np.argsort(badness)[::-1][:3]
        told = ", ".join(f"{names[i]} {values[i]:.3g}" for i in worst)
        lines.append(f"| {figure} | " + " | ".join(f"{q:.3g}" for q in quartiles) + f" | {told} |")
    return "\n".join(lines)


def tally(results: dict[str, dict]) -> dict[str, dict[str, int]]:
    """Add up the causes of misses and of false components over all recordings."""
    totals: dict[str, dict[str, int]] = {}
    for measured in results.values():
        for kind, counts in measured["losses"].items():
            counts = counts if isinstance(counts, dict) else {"by evaluation": counts}
            total = totals.setdefault(kind, {})
            for why, n in counts.items():
                total[why] = total.get(why, 0) + n
    return {kind: dict(sorted(total.items(), key=lambda item: -item[1])) for kind, total in totals.items()}


def _line(name: str, m: dict) -> str:
    score = m["all"]
    return (
        f"{name:<24} motion {m['motion_px']:.2f} -> {m['shift_error_px']:.2f} px  F1 {score['f1']:.3f} "
        f"(precision {score['precision']:.2f}, recall {score['recall']:.2f}), "
        f"accepted {m['after_evaluation']['f1']:.3f}  r {score['trace_r_median']:.3f}  {m['process_s']:.1f} s"
    )


def _ratios(now: dict[str, dict], before: dict[str, dict]) -> str:
    """Compare the recordings that both sweeps have: medians, and which changed most in F1."""
    both = [name for name in now if name in before]
    if not both:
        return "no recording in common"
    new, old = (figures({name: results[name] for name in both}) for results in (now, before))
    lines = [
        f"{figure:<22} median {np.nanmedian(old[figure]):.3f} -> {np.nanmedian(new[figure]):.3f}, "
        f"mean change {np.nanmean(new[figure] - old[figure]):+.4f}"
        for figure in new
    ]
    change = new["F1, all"] - old["F1, all"]
    order = np.argsort(change)
    told = [f"{both[i]} {change[i]:+.3f}" for i in dict.fromkeys([*order[:3], *order[-3:]])]
    return "\n".join([*lines, "F1 changed most in " + ", ".join(told)])


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns 0."""
    parser = arguments("python -m benchmarks.sweep", "Scores over many recordings.")
    options = parser.parse_args(argv)
    unknown = set(options.only or ()) - {case.name for case in sweep_cases()}
    if unknown:
        parser.error(f"no such recording: {', '.join(sorted(unknown))}")
    chosen = [case for case in sweep_cases() if not options.only or case.name in options.only]
    results, before = run(chosen, options, _line)
    print("\n" + distribution(results))
    off = figures(results)["decay, off by"]
    print(f"decay within {DECAY_WITHIN:.0%} of the true one in {(off <= DECAY_WITHIN).sum()} of {len(off)}")
    for kind, counts in tally(results).items():
        print(
            f"{kind.replace('_', ', ')}: " + (", ".join(f"{n} {why}" for why, n in counts.items()) or "none")
        )
    if before:
        print("\n" + _ratios(results, before))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
