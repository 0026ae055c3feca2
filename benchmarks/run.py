"""The whole one-photon path on a movie: what is measured, and the cold process it is measured in."""

from __future__ import annotations

import cProfile
import importlib.util
import io
import json
import os
import pstats
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.memory import MemoryWatch
from benchmarks.outcome import outcome, store

__all__ = [
    "PARAMETERS",
    "STAGES",
    "Stages",
    "engines",
    "measure",
    "measure_cold",
    "overrides_from",
    "parameters_for",
]

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

#: The stages in their order.
STAGES = ("import", "load", "local correlations", "motion", "memory map", "corr/PNR", "fit", "evaluate")

PACKAGES = {"embedded": "cnmf_engine", "caiman": "caiman"}


class Stages:
    """
    Time each stage, and profile one of them if asked to.

    Parameters
    ----------
    profiled : str, optional
        Name of the stage to profile.
    """

    def __init__(self, profiled: str | None = None) -> None:
        self.seconds: dict[str, float] = {}
        self.cpu: dict[str, float] = {}
        self.spans: dict[str, tuple[float, float]] = {}
        self.profile = ""
        self._profiled = profiled

    def run(self, name: str, function, *args, **keywords):
        """Call a function, note how long it took, return its result."""
        profiler = cProfile.Profile() if name == self._profiled else None
        began, start, busy = time.time(), time.perf_counter(), time.process_time()
        result = profiler.runcall(function, *args, **keywords) if profiler else function(*args, **keywords)
        self.seconds[name] = round(time.perf_counter() - start, 3)
        self.cpu[name] = round(time.process_time() - busy, 3)
        self.spans[name] = (began, time.time())
        if profiler:
            table = io.StringIO()
            pstats.Stats(profiler, stream=table).sort_stats("tottime").print_stats(25)
            self.profile = table.getvalue()
        return result


def engines() -> list[str]:
    """Name the engines that can be imported: the embedded one, and CaImAn if it is installed."""
    return [name for name, package in PACKAGES.items() if importlib.util.find_spec(package)]


def overrides_from(pairs: list[str]) -> dict:
    """
    Read parameters from a command line.

    Parameters
    ----------
    pairs : list of str
        `name=value`, the value in JSON.

    Returns
    -------
    dict
        Parameters by name.
    """
    return {name: json.loads(value) for name, value in (pair.split("=", 1) for pair in pairs)}


def parameters_for(truth_file: Path) -> dict:
    """
    Derive what depends on the recording: frame rate and cell size, if its truth is known.

    Parameters
    ----------
    truth_file : Path
        The truth of a simulated movie; it needn't exist.

    Returns
    -------
    dict
        `fr`, and `gSig` and `gSiz` where the file says how wide a cell is.
    """
    import numpy as np

    if not truth_file.exists():
        return {}
    found = {}
    with np.load(truth_file) as truth:
        if "fr" in truth:
            found["fr"] = round(float(truth["fr"]), 3)
        if "gSig" in truth:
            size = int(truth["gSig"])
            found |= {"gSig": (size, size), "gSiz": (2 * size + 1,) * 2}
    return found


def measure(
    movie: Path,
    workers: int,
    overrides: dict,
    engine: str = "embedded",
    profiled: str | None = None,
    keep: Path | None = None,
    cpus: int | None = None,
) -> dict:
    """
    Run the whole path in this process and return what was measured.

    Parameters
    ----------
    movie : Path
        The recording; `NAME_truth.npz` beside it is its truth.
    workers : int
        Number of workers.
    overrides : dict
        Parameters that differ from `PARAMETERS`.
    engine : {"embedded", "caiman"}
        Whose code to run.
    profiled : str, optional
        A stage to profile.
    keep : Path, optional
        An .npz file for footprints, traces, summary images, shifts and evaluation.
    cpus : int, optional
        Processors that this process may use from now on; ignored where the system can't say so.

    Returns
    -------
    dict
        Seconds, processor seconds of this process (all its threads; no other process's) and time spans of the
        stages, counts, and scores where the truth is known.
    """
    if cpus and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cpus])
    start, stages = time.perf_counter(), Stages(profiled)
    cm, cnmf, params = stages.run("import", _imports, engine)
    opts = params.CNMFParams(params_dict=PARAMETERS | overrides)
    _, dview, n_processes = cm.cluster.setup_cluster(n_processes=workers)
    loaded = stages.run("load", cm.load, str(movie))
    stages.run("local correlations", cm.local_correlations, loaded, swap_dim=False)
    frames, pixels = len(loaded), loaded.shape[1:]
    del loaded
    correct = cm.motion_correction.MotionCorrect(str(movie), dview=dview, **opts.get_group("motion"))
    stages.run("motion", correct.motion_correct, save_movie=True)
    path = stages.run("memory map", cm.save_memmap, correct.mmap_file, base_name="bench_", order="C")
    Yr, dims, T = cm.load_memmap(path)
    images = Yr.T.reshape((T, *dims), order="F")
    gSig = float(opts.init["gSig"][0])
    pictures = stages.run("corr/PNR", cm.summary_images.correlation_pnr, images, gSig=gSig, swap_dim=False)
    model = cnmf.CNMF(n_processes, dview=dview, params=opts)
    stages.run("fit", model.fit, images)
    stages.run("evaluate", model.estimates.evaluate_components, images, opts, dview=dview)
    cm.stop_server(dview=dview)
    total, busy, ended = time.perf_counter() - start, time.process_time(), time.time()
    if keep:
        store(keep, model.estimates, pictures, correct)
    return {
        "movie": movie.name,
        "engine": f"{engine} {cm.__version__}",
        "frames": frames,
        "dims": list(map(int, pixels)),
        "workers": workers,
        "stages": stages.seconds,
        "stages_cpu": stages.cpu,
        "total_s": round(total, 2),
        "total_cpu_s": round(busy, 2),
        "ended": ended,
        "spans": stages.spans,
        "profile": stages.profile,
        **outcome(movie, correct, model.estimates, pictures, PARAMETERS | overrides),
    }


def measure_cold(movie: Path, workers: int, overrides: dict | None = None, **options) -> dict:
    """
    Measure in a new process with a temporary folder of its own, as a user would start it.

    Parameters
    ----------
    movie, workers
        As for `measure`.
    overrides : dict, optional
        Parameters that differ; frame rate and cell size follow the movie's truth unless given.
    **options
        `engine`, `profiled`, `keep`, `cpus` of `measure`; `memory`, the limit for the engine's stages.

    Returns
    -------
    dict
        What `measure` returns; `process_s`, the seconds from the start of the process to the end of
        evaluation; its peak memory, whole and for each stage: `peak_MB` resident, `private_MB` without the
        pages of mapped files.
    """
    movie, memory = Path(movie).resolve(), options.pop("memory", None)
    truth = movie.with_name(f"{movie.stem}_truth.npz")
    job = {"movie": str(movie), "workers": workers, "overrides": parameters_for(truth) | (overrides or {})}
    job |= {
        name: value if isinstance(value, int) else str(value)
        for name, value in options.items()
        if value is not None
    }
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "measured.json"
        command = [sys.executable, "-m", "benchmarks.run", json.dumps(job), str(out)]
        places = [str(Path(__file__).resolve().parent.parent), os.environ.get("PYTHONPATH", "")]
        environment = {
            "CAIMAN_TEMP": folder,
            "TQDM_DISABLE": "1",
            "PYTHONPATH": os.pathsep.join(filter(None, places)),
        }
        environment |= {"CNMF_ENGINE_MEMORY": memory} if memory else {}
        start = time.time()
        process = subprocess.Popen(command, env=os.environ | environment, cwd=folder)
        with MemoryWatch(process.pid) as watch:
            code = process.wait()
        if code:
            raise subprocess.CalledProcessError(code, command)
        measured = json.loads(out.read_text())
    # What comes after is the benchmark's own: scores.
    spans, ended = measured.pop("spans"), measured.pop("ended")
    resident, private = watch.peak(stop=ended)
    by_stage = {name: watch.peak(*span) for name, span in spans.items()}
    return measured | {
        "process_s": round(ended - start, 2),
        "peak_MB": resident,
        "private_MB": private,
        "stage_MB": by_stage,
    }


def _imports(engine: str):
    """Import the engine as the notebooks do."""
    if engine == "caiman":
        import caiman as cm
        from caiman.source_extraction.cnmf import cnmf, params
    else:
        import cnmf_engine as cm
        from cnmf_engine import cnmf
        from cnmf_engine.cnmf import params
    return cm, cnmf, params


if __name__ == "__main__":
    job = json.loads(sys.argv[1])
    for name in ("movie", "keep"):
        if name in job:
            job[name] = Path(job[name])
    Path(sys.argv[2]).write_text(json.dumps(measure(**job)))
