"""
Measure how long an attendee in Colab waits, on new machines with Colab's packages.

    python -m benchmarks.colab [--runs 3] [--json FILE] [--colab .venv-colab]

Each run has new machines with empty caches: one on which pip installs the wheel, one for lesson 1, one for
all lessons in one, both as `workshop bundle` puts them on Drive. A notebook's time runs from the start of its
kernel; installing the workshop from Drive and copying the data are in it. What Colab's page and network add
is not: Drive is a folder of this machine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import report
from benchmarks.colab_machine import Machine, python_of, wheelhouse
from benchmarks.executing import Executed
from workshop_utils.classroom import bundle
from workshop_utils.classroom.bundle.wheels import find_wheel
from workshop_utils.colab import DRIVE_FOLDER

__all__ = ["BARS", "main", "markdown", "measure"]

#: What is measured, and the most seconds that it may take.
BARS = {
    "install the wheel": 10.0,
    "open lesson 1, to the first picture": 30.0,
    "run all lessons in one": 120.0,
}


def measure(replica: Path, folder: Path, runs: int = 3) -> dict[str, list[float]]:
    """
    Measure all there is, some times.

    Parameters
    ----------
    replica : pathlib.Path
        An environment made by ``tools/colab_env.py``.
    folder : pathlib.Path
        To work in.
    runs : int
        How often.

    Returns
    -------
    dict of str to list of float
        Seconds of each run, in the order of `BARS`.

    Raises
    ------
    RuntimeError
        A notebook stopped with an error.
    """
    wheel = find_wheel(None, folder / "wheel")
    wheels = wheelhouse(folder / "index", replica)
    seconds: dict[str, list[float]] = {what: [] for what in BARS}
    for number in range(runs):
        drive = folder / f"Drive {number}"
        bundle.build(drive / DRIVE_FOLDER, wheel=wheel, say=lambda line: None)
        machines = [Machine(folder / f"machine {number}.{k}", replica, drive, wheels) for k in range(3)]
        start = time.perf_counter()
        machines[0].pip("install", "--quiet", str(wheel))
        seconds["install the wheel"].append(time.perf_counter() - start)
        lesson = _run(machines[1], drive / DRIVE_FOLDER / "01_mount_data.ipynb")
        seconds["open lesson 1, to the first picture"].append(lesson.first_picture)
        seconds["run all lessons in one"].append(
            _run(machines[2], drive / DRIVE_FOLDER / "00_all_in_one.ipynb").seconds
        )
        for machine in machines:
            machine.remove()
    return seconds


def markdown(seconds: dict[str, list[float]]) -> str:
    """
    Make a table for the docs.

    Parameters
    ----------
    seconds : dict of str to list of float
        From `measure`.

    Returns
    -------
    str
        Median, shortest and longest time beside the bar.
    """
    lines = ["| | median | shortest to longest | at most |", "|---|---|---|---|"]
    for what, values in seconds.items():
        extent = f"{min(values):.1f} to {max(values):.1f} s"
        lines.append(f"| {what} | {statistics.median(values):.1f} s | {extent} | {BARS[what]:.0f} s |")
    return "\n".join(lines)


def _run(machine: Machine, notebook: Path) -> Executed:
    executed = machine.run(notebook)
    if executed.error:
        raise RuntimeError(f"{notebook.name} stopped: {executed.error}")
    return executed


def main(argv: list[str] | None = None) -> int:
    """Measure, print a table; returns 0, 1 if something takes too long, or 2 if nothing can be measured."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.colab", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write all times to this file")
    parser.add_argument(
        "--colab", type=Path, default=Path(".venv-colab"), help="environment of Colab's versions"
    )
    options = parser.parse_args(argv)
    replica = options.colab.absolute()
    if not python_of(replica).exists():
        print(f"Expected an environment with Colab's versions.\nFound no {python_of(replica)}.")
        print(f"To go on: make it with `python tools/colab_env.py {options.colab}`.")
        return 2
    told = subprocess.run([python_of(replica), "--version"], capture_output=True, text=True, check=True)
    # The versions that `report.machine` tells are of this process's environment, not of Colab's.
    machine = {name: report.machine()[name] for name in ("date", "cores", "memory", "system")}
    machine["Python"] = told.stdout.split()[1]
    print(", ".join(f"{name} {value}" for name, value in machine.items()))
    with tempfile.TemporaryDirectory(prefix="colab-") as folder:
        seconds = measure(replica, Path(folder), options.runs)
    print(markdown(seconds))
    if options.json:
        text = json.dumps({"machine": machine, "bars": BARS, "seconds": seconds}, indent=1)
        options.json.write_text(text, encoding="utf-8")
    return int(any(statistics.median(values) > BARS[what] for what, values in seconds.items()))


if __name__ == "__main__":
    sys.exit(main())
