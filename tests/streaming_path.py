"""The whole path on one movie in a process of its own, its memory limited if asked to: see test_streaming."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import numpy as np

from benchmarks.run import PARAMETERS

#: The lessons' parameters, for smaller cells and patches.
CHANGES = {
    "fr": 20,
    "decay_time": 0.5,
    "max_shifts": (4, 4),
    "gSig": (2.5, 2.5),
    "min_corr": 0.8,
    "min_pnr": 6,
    "rf": 16,
    "stride": 10,
    "ring_size_factor": 1.5,
    "min_SNR": 2.5,
}


def data_bytes() -> int:
    """Private writable memory of this process, which is what RLIMIT_DATA limits."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmData"))


class Path1p:
    """Each stage of the path, in its order, with what comes out of it."""

    def __init__(self, movie: str) -> None:
        import cnmf_engine as cm
        from cnmf_engine import cnmf
        from cnmf_engine.cnmf import params

        self.cm, self.cnmf, self.movie = cm, cnmf, movie
        self.opts = params.CNMFParams(params_dict=PARAMETERS | CHANGES)
        self.out: dict[str, np.ndarray] = {}
        self.stage = "start"

    def run(self) -> None:
        cm, out = self.cm, self.out
        self.stage = "load"
        loaded = cm.load(self.movie)
        out["stored"] = np.array(not isinstance(loaded, np.ndarray))
        out["maximum"] = np.asarray(np.max(loaded, axis=0))
        self.stage = "local correlations"
        out["local"] = cm.local_correlations(loaded, swap_dim=False)
        self.stage = "motion"
        correct = cm.motion_correction.MotionCorrect(self.movie, **self.opts.get_group("motion"))
        correct.motion_correct(save_movie=True)
        out["shifts"] = np.array(correct.shifts_rig)
        self.stage = "memory map"
        Yr, dims, T = cm.load_memmap(cm.save_memmap(correct.mmap_file, base_name="stream_", order="C"))
        images = Yr.T.reshape((T, *dims), order="F")
        self.stage = "corr/PNR"
        out["cn"], out["pnr"] = cm.summary_images.correlation_pnr(images, gSig=2.5, swap_dim=False)
        self.stage = "fit"
        model = self.cnmf.CNMF(1, params=self.opts)
        model.fit(images)
        self.stage = "evaluation"
        model.estimates.evaluate_components(images, self.opts)
        found = model.estimates
        out |= {"A": found.A.toarray(), "C": found.C, "S": found.S}
        out["accepted"] = np.asarray(found.idx_components)
        self.stage = "end"


def main(movie: str, small: str, target: str, margin: str) -> int:
    """Run on a small movie first, for what is imported and compiled once, then with the limit."""
    Path1p(small).run()
    path = Path1p(movie)
    if margin != "none":
        limit = data_bytes() + int(margin)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    try:
        path.run()
    except MemoryError as error:
        print(f"MemoryError in stage {path.stage!r}: {error}", file=sys.stderr)
        return 3
    np.savez(target, **path.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
