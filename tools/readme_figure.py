"""
Draw the README's picture from a finished run on the demo recording.

Usage: ``python tools/readme_figure.py results docs/images/demo_result.png``
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from cnmf_engine.caiman.cnmf import load_CNMF
from cnmf_engine.view import get_contours

__all__ = ["draw"]

N_TRACES = 14


def draw(results: Path, target: Path) -> None:
    """
    Draw accepted cells on the correlation image, and some of their traces in the same colours.

    Parameters
    ----------
    results : Path
        Folder of a finished run.
    target : Path
        PNG to write.
    """
    estimates = load_CNMF(str(results / "cnmfe.hdf5")).estimates
    images = np.load(results / "summary_images.npz")
    cells = np.asarray(estimates.idx_components, dtype=int)
    shown = cells[np.linspace(0, len(cells) - 1, min(N_TRACES, len(cells))).round().astype(int)]
    colors = dict(zip(shown, plt.get_cmap("turbo")(np.linspace(0.05, 0.95, len(shown)))))
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(11, 4.6), width_ratios=(1, 1.45), layout="constrained"
    )
    left.imshow(images["cn"], cmap="gray", vmin=0.2, vmax=1)
    left.set(xticks=[], yticks=[], title=f"{len(cells)} cells in the demo recording")
    for k, contour in zip(
        cells, get_contours(estimates.A[:, cells], estimates.dims, thr=0.3, thr_method="max")
    ):
        outline = contour["coordinates"]
        left.plot(*outline.T, color=colors.get(k, "white"), lw=2 if k in colors else 0.7)
    time = np.arange(estimates.C.shape[1]) / 10
    for place, k in enumerate(shown):
        raw = estimates.C[k] + estimates.YrA[k]
        scale = 0.9 / np.ptp(raw)
        right.plot(time, (raw - raw.min()) * scale - place, color="0.75", lw=0.6)
        right.plot(time, (estimates.C[k] - raw.min()) * scale - place, color=colors[k], lw=1.2)
    right.set(yticks=[], xlabel="time (s)", title="their calcium, raw and denoised", xlim=(0, time[-1]))
    right.spines[["top", "left", "right"]].set_visible(False)
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target, dpi=110)


if __name__ == "__main__":
    draw(Path(sys.argv[1]), Path(sys.argv[2]))
