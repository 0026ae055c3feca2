"""
Measure the whole one-photon path: seconds and memory of each stage, and scores where the truth is known.

    python -m benchmarks [MOVIE ...]      the demo and the small simulated movie, or the movies named
    python -m benchmarks --full           all three sizes
    python -m benchmarks --stage fit      profile one stage
    python -m benchmarks --scaling        how time grows, and a prediction for a long recording

A movie is a file, `demo`, or a simulated one: `small`, `medium`, `large`. Each runs in a process of its own,
cold, as a user would start it. Where CaImAn is installed, it runs on the same movies in the same call.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from benchmarks import report
from benchmarks.movies import SIZES
from benchmarks.recordings import cache_folder, make
from benchmarks.run import STAGES, engines, measure_cold, overrides_from
from benchmarks.sweep import THRESHOLDS

__all__ = ["main", "parse"]


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("movies", nargs="*", metavar="MOVIE")
    parser.add_argument("--full", action="store_true", help="the demo and all three sizes")
    parser.add_argument("--stage", choices=STAGES, help="profile this stage, on one worker")
    parser.add_argument("--scaling", action="store_true", help="vary frames, pixels and cells, predict")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--engine", choices=("embedded", "caiman", "both"), default="both", help="which to measure"
    )
    parser.add_argument("--cache", type=Path, help="folder of the simulated movies")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument("--against", type=Path, help="compare with the JSON file of an earlier run")
    parser.add_argument("--markdown", action="store_true", help="print a table for the docs as well")
    parser.add_argument("-p", dest="parameters", action="append", default=[], metavar="NAME=VALUE")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Measure what the command line asks for; returns 0, or 2 if no engine asked for is installed."""
    options = parse(argv)
    overrides = THRESHOLDS | overrides_from(options.parameters)
    folder = cache_folder(options.cache)
    print(", ".join(f"{name} {value}" for name, value in report.machine().items()))
    if options.scaling:
        return _scaling(options, folder, overrides)
    wanted = _engines(options.engine)
    if not wanted:
        return 2
    results = []
    for movie in _movies(options, folder):
        for engine in wanted:
            workers = 1 if options.stage else options.workers
            measured = measure_cold(movie, workers, overrides, engine=engine, profiled=options.stage)
            report.show(measured)
            results.append(measured)
            # After each, so that a later failure costs nothing.
            _write(options.json, {"machine": report.machine(), "movies": results})
    if options.markdown:
        print("\n" + report.markdown(results))
    if options.against:
        print("\n" + report.against(results, json.loads(options.against.read_text())["movies"]))
    return 0


def _movies(options: argparse.Namespace, folder: Path) -> list[Path]:
    """Find or make the movies asked for."""
    from workshop_utils.movies import data

    names = options.movies or ["demo", *(SIZES if options.full else ["small"])]
    return [make(SIZES[name], folder) if name in SIZES else Path(data.get(name)) for name in names]


def _engines(asked: str) -> list[str]:
    """Choose the engines to measure, and say which isn't there."""
    there = engines()
    if "caiman" not in there and asked != "embedded":
        print("CaImAn isn't installed here: only the embedded engine is measured.")
    return [name for name in there if asked in (name, "both")]


def _scaling(options: argparse.Namespace, folder: Path, overrides: dict) -> int:
    from benchmarks.scaling import TARGET, growth, measure_scaling, table

    scaling = measure_scaling(folder, options.workers, overrides)
    _write(options.json, {"machine": report.machine(), "scaling": scaling.stored()})
    print(f"\n{growth(scaling)}\n")
    print(f"Prediction for {TARGET[0]} frames of {TARGET[1]} pixels with {TARGET[2]} cells:\n")
    print(table(scaling))
    return 0


def _write(target: Path | None, content: dict) -> None:
    if target:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(content, indent=1))


if __name__ == "__main__":
    raise SystemExit(main())
