"""
Measure the whole one-photon path on a movie: seconds a stage, peak memory, scores where the truth is known.

Each movie runs in a process of its own, cold, as a user would start it. Usage::

    python -m benchmarks.run [MOVIE ...] [--json OUT] [--workers N] [-p name=value ...]

Without a movie it measures the demo recording.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

#: Parameters of the lessons.
PARAMETERS = {
    "fr": 10.0,
    "decay_time": 0.4,
    "max_shifts": (5, 5),
    "gSig_filt": (3, 3),
    "pw_rigid": False,
    "border_nan": "copy",
    "method_init": "corr_pnr",
    "K": None,
    "gSig": (3, 3),
    "gSiz": (7, 7),
    "min_corr": 0.85,
    "min_pnr": 12,
    "merge_thr": 0.7,
    "p": 1,
    "rf": 40,
    "stride": 20,
    "tsub": 2,
    "ssub": 1,
    "ssub_B": 2,
    "ring_size_factor": 1.4,
    "nb": 0,
    "nb_patch": 0,
    "low_rank_background": None,
    "only_init": True,
    "center_psf": True,
    "normalize_init": False,
    "del_duplicates": True,
    "min_SNR": 3,
    "rval_thr": 0.85,
    "use_cnn": False,
}


class Stages:
    """Seconds of each stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def run(self, name: str, function, *args, **keywords):
        """Call a function, note how long it took, return its result."""
        start = time.perf_counter()
        result = function(*args, **keywords)
        self.seconds[name] = round(time.perf_counter() - start, 3)
        return result


def measure(movie: Path, workers: int, overrides: dict) -> dict:
    """Run the whole path in this process and return what was measured."""
    start = time.perf_counter()
    stages = Stages()

    def imports():
        import cnmf_engine as cm
        from cnmf_engine import cnmf
        from cnmf_engine.cnmf import params

        return cm, cnmf, params

    cm, cnmf, params = stages.run("import", imports)
    opts = params.CNMFParams(params_dict=PARAMETERS | overrides)
    _, dview, n_processes = cm.cluster.setup_cluster(n_processes=workers)
    loaded = stages.run("load", cm.load, movie)
    stages.run("local correlations", cm.local_correlations, loaded, swap_dim=False)
    frames, pixels = len(loaded), loaded.shape[1:]
    del loaded
    correct = cm.motion_correction.MotionCorrect(str(movie), dview=dview, **opts.get_group("motion"))
    stages.run("motion", correct.motion_correct, save_movie=True)
    path = stages.run("memory map", cm.save_memmap, correct.mmap_file, base_name="bench_", order="C")
    Yr, dims, T = cm.load_memmap(path)
    images = Yr.T.reshape((T, *dims), order="F")
    gSig = float(opts.init["gSig"][0])
    stages.run("corr/PNR", cm.summary_images.correlation_pnr, images, gSig=gSig, swap_dim=False)
    model = cnmf.CNMF(n_processes, dview=dview, params=opts)
    stages.run("fit", model.fit, images)
    stages.run("evaluate", model.estimates.evaluate_components, images, opts, dview=dview)
    cm.stop_server(dview=dview)
    total = time.perf_counter() - start
    return {
        "movie": movie.name,
        "frames": frames,
        "dims": list(pixels),
        "stages": stages.seconds,
        "total_s": round(total, 2),
        "peak_MB": _peak_memory(),
        **_scores(movie, correct, model.estimates),
    }


def _peak_memory() -> float:
    """Peak resident memory of this process, MB."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 1024), 1)


def _scores(movie: Path, correct, estimates) -> dict:
    """Count components, and score them against the truth if it lies beside the movie."""
    from workshop_utils import scoring

    counts = {"found": len(estimates.C), "accepted": len(estimates.idx_components)}
    truth_file = movie.with_name(f"{movie.stem}_truth.npz")
    if not truth_file.exists():
        return counts
    truth = scoring.load_truth(truth_file)
    kept = estimates.idx_components
    everything = scoring.score(estimates.A, estimates.C, truth)
    accepted = scoring.score(estimates.A[:, kept], estimates.C[kept], truth)
    return counts | {
        "shift_error_px": round(float(scoring.shift_error(correct.shifts_rig, truth.shifts)), 4),
        "all": everything._asdict() if hasattr(everything, "_asdict") else vars(everything),
        "after_evaluation": accepted._asdict() if hasattr(accepted, "_asdict") else vars(accepted),
    }


def measure_cold(movie: Path, workers: int, overrides: dict) -> dict:
    """Measure in a new process with a temporary folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "measured.json"
        command = [sys.executable, "-m", "benchmarks.run", "--inside", str(out), "--workers", str(workers)]
        command += [f"-p{name}={json.dumps(value)}" for name, value in overrides.items()]
        start = time.perf_counter()
        subprocess.run([*command, str(movie)], check=True, env=os.environ | {"CAIMAN_TEMP": folder})
        measured = json.loads(out.read_text())
        return measured | {"process_s": round(time.perf_counter() - start, 2)}


def show(measured: dict) -> None:
    """Print one movie's figures."""
    shape = " x ".join(map(str, [measured["frames"], *measured["dims"]]))
    print(f"\n{measured['movie']} ({shape})")
    for name, seconds in measured["stages"].items():
        print(f"  {name:<20}{seconds:8.2f} s")
    print(f"  {'whole process':<20}{measured['process_s']:8.2f} s, peak {measured['peak_MB']:.0f} MB")
    print(f"  found {measured['found']}, accepted {measured['accepted']}")
    for name in ("shift_error_px", "all", "after_evaluation"):
        if name in measured:
            print(f"  {name}: {measured[name]}")


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("movies", nargs="*", type=Path)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument("-p", dest="parameters", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    pairs = (text.split("=", 1) for text in arguments.parameters)
    overrides = {name: json.loads(value) for name, value in pairs}
    movies = arguments.movies
    if not movies:
        from workshop_utils import data

        movies = [Path(data.get("demo"))]
    if arguments.inside:
        arguments.inside.write_text(json.dumps(measure(movies[0], arguments.workers, overrides)))
        return
    results = [measure_cold(movie, arguments.workers, overrides) for movie in movies]
    for measured in results:
        show(measured)
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
