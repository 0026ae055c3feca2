"""
Run the whole path on simulated recordings of what goes wrong in real ones, and hold each against its bar.

    python -m benchmarks.conditions [--only NAME ...] [--json OUT] [--against OTHER.json] [--keep FOLDER]
                                    [-p NAME=VALUE ...]

Names are those of a condition (`fibres`) or of one recording of it (`fibres-1`). Parameters are the lessons'
for all of them; frame rate, cell size and `decay_time` follow the recording.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.specs import Case
from benchmarks.sweep import arguments, run

__all__ = ["CONDITIONS", "Condition", "bars", "cases", "main", "table"]


@dataclass(frozen=True)
class Condition:
    """
    A kind of recording, and what must be reached on it.

    Attributes
    ----------
    case : Case
        The recording; its seed is that of the first of `seeds`.
    bars : tuple of str
        Names in `BARS`.
    seeds : int
        How many recordings of it there are.
    """

    case: Case
    bars: tuple[str, ...] = ("F1",)
    seeds: int = 2

    def recordings(self) -> list[Case]:
        """List its recordings, numbered from 1."""
        return [
            replace(self.case, name=f"{self.case.name}-{n + 1}", seed=self.case.seed + n)
            for n in range(self.seeds)
        ]


#: What a recording must reach: a test of what was measured.
BARS: dict[str, Callable[[dict], bool]] = {
    "at most 1 accepted": lambda m: m["accepted"] <= 1,
    "F1": lambda m: m["after_evaluation"]["f1"] >= 0.9,
    "precision": lambda m: m["after_evaluation"]["precision"] >= 0.85,
    "motion": lambda m: m["shift_error_px"] <= 0.35,
    "no doubles": lambda m: m["duplicates"] == 0,
    "spikes": lambda m: all(
        m["dynamics"][f"spikes_{ms}"] >= m["dynamics"][f"spikes_{ms}_known"] - 0.03 for ms in (100, 200)
    ),
}

_SLOW, _FAST = {"rise": 0.15, "decay": 1.4}, {"rise": 0.02, "decay": 0.12}
#: minisim simulates no decay that is over within a frame.
_FAST_5HZ = _FAST | {"decay": 0.2}
_CORTEX = {"region": "cortex"}
#: The conditions; seeds are none of the sweep's.
CONDITIONS = [
    Condition(
        Case("no-cells", cells=0, neuropil=2.0, vessels=1.5, frames=600, seed=101), ("at most 1 accepted",)
    ),
    Condition(
        Case(
            "no-cells-pulsating",
            cells=0,
            vessels=1.5,
            frames=600,
            effects=("pulsating vessels",),
            seed=103,
        ),
        ("at most 1 accepted",),
    ),
    Condition(Case("few-cells", cells=4, frames=600, seed=105)),
    Condition(
        Case("fibres", cells=40, frames=600, effects=("fibres",), seed=107), ("precision", "no doubles")
    ),
    Condition(
        Case("vessels", cells=40, vessels=1.5, frames=600, effects=("pulsating vessels",), seed=109),
        ("precision", "F1"),
    ),
    Condition(
        Case("bad-pixels", density=0.5, frames=600, effects=("bad pixels",), seed=111), ("motion", "F1")
    ),
    Condition(
        Case("non-rigid", density=0.5, frames=600, motion_px=2.0, effects=("non-rigid motion",), seed=113),
        ("no doubles", "F1"),
    ),
    *(
        Condition(
            Case(f"{kind}-{rate}", density=0.5, fr=float(rate), frames=frames, seed=seed, **kinetics),
            ("F1", "spikes"),
        )
        for rate, frames, kind, kinetics, seed in (
            (5, 600, "slow", _SLOW, 115),
            (5, 600, "fast", _FAST_5HZ, 117),
            (20, 900, "slow", _SLOW, 119),
            (20, 900, "fast", _FAST, 121),
            (30, 900, "slow", _SLOW, 123),
            (30, 900, "fast", _FAST, 125),
        )
    ),
    Condition(
        Case(
            "rounded",
            density=0.4,
            frames=800,
            rise=0.4,
            decay=1.0,
            effects=("denoised",),
            seed=127,
        )
    ),
    Condition(Case("tonic", density=0.5, frames=600, tonic_hz=1.5, seed=129)),
    Condition(Case("dense-ctx", density=3.0, frames=700, seed=131, **_CORTEX)),
    Condition(Case("dense-ca1", density=3.0, frames=700, seed=133)),
    Condition(Case("torn", cells=40, frames=600, effects=("torn frames",), seed=135)),
    Condition(Case("neuropil", density=0.5, frames=700, neuropil=5.0, seed=137)),
]

COLUMNS: dict[str, Callable[[dict], float]] = {
    "cells": lambda m: m["all"]["n_true"],
    "found": lambda m: m["found"],
    "accepted": lambda m: m["accepted"],
    "doubles": lambda m: m["duplicates"],
    "motion px": lambda m: m["shift_error_px"],
    "F1, all": lambda m: m["all"]["f1"],
    "F1, accepted": lambda m: m["after_evaluation"]["f1"],
    "precision, accepted": lambda m: m["after_evaluation"]["precision"],
    "recall, accepted": lambda m: m["after_evaluation"]["recall"],
    "median r": lambda m: m["all"]["trace_r_median"],
    "spikes 100 ms": lambda m: m["dynamics"]["spikes_100"],
    "known": lambda m: m["dynamics"]["spikes_100_known"],
    "spikes 200 ms": lambda m: m["dynamics"]["spikes_200"],
    "known ": lambda m: m["dynamics"]["spikes_200_known"],
    "decay s": lambda m: m["dynamics"]["decay_s"],
    "true": lambda m: m["dynamics"]["true_decay_s"],
    "slope": lambda m: m["dynamics"]["amplitude_slope"],
    "raw slope": lambda m: m["dynamics"].get("raw_slope", np.nan),
}
_COUNTS = ("cells", "found", "accepted", "doubles")


def cases() -> dict[str, tuple[Case, tuple[str, ...]]]:
    """Give each recording and its bars by its name."""
    return {case.name: (case, of.bars) for of in CONDITIONS for case in of.recordings()}


def bars(name: str, measured: dict) -> dict[str, bool]:
    """Tell which of a recording's bars are reached."""
    return {bar: bool(BARS[bar](measured)) for bar in cases()[name][1]}


def table(results: dict[str, dict], before: dict[str, dict] | None = None) -> str:
    """
    Show all figures of each recording, and which bars it misses.

    Parameters
    ----------
    results : dict of str to dict
        From `sweep.run`.
    before : dict of str to dict, optional
        Those of an earlier run, written before the new ones where they differ.

    Returns
    -------
    str
        A Markdown table.
    """
    lines = [f"| recording | {' | '.join(COLUMNS)} | bars |", "|---" * (len(COLUMNS) + 2) + "|"]
    for name, measured in results.items():
        old, cells = (before or {}).get(name), []
        for column, get in COLUMNS.items():
            now, was = _told(column, get(measured)), _told(column, get(old)) if old else ""
            cells.append(now if was in ("", now) else f"{was} -> {now}")
        missed = [bar for bar, reached in bars(name, measured).items() if not reached]
        cells.append(f"misses {', '.join(missed)}" if missed else "reached")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _told(column: str, value: float) -> str:
    if np.isnan(value):
        return "-"
    return str(int(value)) if column in _COUNTS else f"{value:.3f}"


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns 0."""
    parser = arguments("python -m benchmarks.conditions", "Scores on recordings of what goes wrong.")
    options = parser.parse_args(argv)
    groups = {of.case.name: [case.name for case in of.recordings()] for of in CONDITIONS}
    names = [name for asked in options.only or () for name in groups.get(asked, [asked])]
    if unknown := set(names) - set(cases()):
        parser.error(f"no such condition: {', '.join(sorted(unknown))}; there are {', '.join(groups)}")
    results, before = run(
        [case for name, (case, _) in cases().items() if not names or name in names],
        options,
        lambda name, measured: table({name: measured}).splitlines()[-1],
        # What a user enters who knows the indicator.
        lambda case: {"decay_time": case.decay},
    )
    print("\n" + table(results, before))
    reached = [all(bars(name, measured).values()) for name, measured in results.items()]
    print(f"\n{sum(reached)} of {len(reached)} recordings reach their bars")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
