"""Print what was measured: a movie's figures, ratios to an earlier run, tables for the docs."""

from __future__ import annotations

import platform
from datetime import date
from importlib.metadata import PackageNotFoundError, version

import psutil

__all__ = ["against", "machine", "markdown", "show", "told"]


def machine() -> dict[str, str]:
    """
    Name the machine and the versions that figures depend on.

    Returns
    -------
    dict of str to str
        Date, processor count, memory, system, and versions.
    """
    names = ("numpy", "scipy", "opencv-python-headless", "numba", "minisim")
    return {
        "date": date.today().isoformat(),
        "cores": str(psutil.cpu_count()),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.machine()}",
        "Python": platform.python_version(),
        **{name: found for name in names if (found := _version(name))},
    }


def show(measured: dict) -> None:
    """
    Print one movie's figures.

    Parameters
    ----------
    measured : dict
        From `benchmarks.run.measure_cold`.
    """
    shape = " x ".join(map(str, [measured["frames"], *measured["dims"]]))
    print(f"\n{measured['movie']} ({shape}), {measured['engine']}, {measured['workers']} workers")
    print(f"  {'stage':<20}{'s':>8}{'cpu s':>8}  {'MB resident':>12}{'MB private':>12}")
    for name, seconds in measured["stages"].items():
        resident, private = measured["stage_MB"][name]
        cpu = measured["stages_cpu"][name]
        print(f"  {name:<20}{seconds:8.2f}{cpu:8.2f}  {resident:12.0f}{private:12.0f}")
    whole = f"  {'whole process':<20}{measured['process_s']:8.2f}{measured['total_cpu_s']:8.2f}"
    print(f"{whole}  {measured['peak_MB']:12.0f}{measured['private_MB']:12.0f}")
    print(f"  found {measured['found']}, accepted {measured['accepted']}")
    if "shift_error_px" in measured:
        moved = f"{measured['motion_px']:.3f} px RMS of motion"
        print(f"  {moved}, {measured['shift_error_px']:.3f} px left after correction")
    for name, title in (("all", "all"), ("after_evaluation", "after evaluation")):
        if name in measured:
            print(f"  {title}: {_score(measured[name])}")
    if dynamics := measured.get("dynamics"):
        print(
            f"  spikes' correlation {dynamics['spikes_100']:.3f} at 100 ms, {dynamics['spikes_200']:.3f} at "
            f"200 ms; decay {dynamics['decay_s']:.2f} s (true {dynamics['true_decay_s']:.2f}); "
            f"amplitude slope {dynamics['amplitude_slope']:.3f}"
        )
    for name, counts in measured.get("losses", {}).items():
        if counts:
            print(f"  {name.replace('_', ', ')}: {told(counts)}")
    if measured.get("profile"):
        print(measured["profile"])


def against(now: list[dict], before: list[dict]) -> str:
    """
    Set figures beside those of an earlier run of the same movies.

    Parameters
    ----------
    now, before : list of dict
        Both from `benchmarks.run.measure_cold`.

    Returns
    -------
    str
        A line for each figure with both values and the ratio now / before.
    """
    earlier = {(m["movie"], m["engine"].split()[0]): m for m in before}
    lines = []
    for measured in now:
        old = earlier.get((measured["movie"], measured["engine"].split()[0]))
        if old is None:
            lines.append(f"{measured['movie']}: not in the earlier run")
            continue
        lines += [measured["movie"], f"  {'':<24}{'before':>10}{'now':>10}{'ratio':>8}"]
        lines += [f"  {name:<24}{a:10.3f}{b:10.3f}{_ratio(b, a):>8}" for name, a, b in _pairs(old, measured)]
    return "\n".join(lines)


def markdown(results: list[dict]) -> str:
    """
    Write results as a table for the docs.

    Parameters
    ----------
    results : list of dict
        From `benchmarks.run.measure_cold`.

    Returns
    -------
    str
        A Markdown table.
    """
    head = "| movie | engine | import | motion | corr/PNR | fit | total s | cpu s | resident MB | private MB "
    head += "| motion error px | F1 (all) | F1 (accepted) | median r of C |"
    lines = [head, "|---" * 14 + "|"]
    for m in results:
        stages = m["stages"]
        cells = [f"{m['movie'].split('.')[0]}, {m['frames']} x {m['dims'][0]} x {m['dims'][1]}", m["engine"]]
        cells += [f"{stages[name]:.1f}" for name in ("import", "motion", "corr/PNR", "fit")]
        cells += [
            f"{m['process_s']:.1f}",
            f"{m['total_cpu_s']:.1f}",
            f"{m['peak_MB']:,.0f}",
            f"{m['private_MB']:,.0f}",
        ]
        if "all" in m:
            cells += [f"{m['shift_error_px']:.2f}", f"{m['all']['f1']:.3f}"]
            cells += [f"{m['after_evaluation']['f1']:.3f}", f"{m['all']['trace_r_median']:.3f}"]
        else:
            cells += ["", f"{m['found']} found", f"{m['accepted']} accepted", ""]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def told(counts: dict[str, int] | int) -> str:
    """Write counts by cause, or a single one, in a line."""
    if isinstance(counts, dict):
        return ", ".join(f"{n} {why}" for why, n in counts.items()) or "none"
    return str(counts)


def _pairs(old: dict, new: dict) -> list[tuple[str, float, float]]:
    """Figures that both runs have."""
    names = ["process_s", "total_cpu_s", "peak_MB", "private_MB", "shift_error_px", "found", "accepted"]
    pairs = [(name, old[name], new[name]) for name in names if name in old and name in new]
    pairs += [
        (f"{name} s", old["stages"][name], s) for name, s in new["stages"].items() if name in old["stages"]
    ]
    for group in ("all", "after_evaluation"):
        if group in old and group in new:
            for name in ("precision", "recall", "f1", "trace_r_median"):
                pairs.append((f"{name}, {group.replace('_', ' ')}", old[group][name], new[group][name]))
    return pairs


def _score(score: dict) -> str:
    names = {"precision": "precision", "recall": "recall", "f1": "F1", "trace_r_median": "median trace r"}
    text = ", ".join(f"{title} {score[name]:.3f}" for name, title in names.items())
    return f"{text} ({score['tp']} of {score['n_true']} detectable cells)"


def _ratio(now: float, before: float) -> str:
    return f"{now / before:.2f}" if before else "-"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
