"""
Make the demo movies and their truth with minisim.

    python tools/make_demo.py              writes both movies and their truth into data
    python tools/make_demo.py demo_hard    only that one
    python tools/make_demo.py --check      makes them anew and compares them with the files

demo_recipe.py says what the recordings are made of, data/README.md what is in the files.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import warnings
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import minisim
import numpy as np
import tifffile
from demo_recipe import RECIPES, Recipe, spec_of
from minisim.spec import SpecWarning
from threadpoolctl import threadpool_limits

__all__ = ["Demo", "check", "digest", "main", "make", "write"]

# What the picture of each stage is called, and the last minisim step it holds.
STAGES = {
    "cells": "cells_only",
    "+ neuropil": "neuropil",
    "+ vessels": "vasculature",
    "+ brain motion": "brain_motion",
    "+ uneven light": "vignette",
    "+ stray light": "leakage",
    "+ sensor": "sensor",
}


@dataclass(frozen=True)
class Demo:
    """
    A recording and its truth.

    Attributes
    ----------
    movie : ndarray of shape (T, d1, d2), uint8
        The recording.
    truth : dict of str to ndarray
        Arrays of the truth file, described in data/README.md.
    file : str
        Name of the movie's file without its ending.
    """

    movie: np.ndarray
    truth: dict[str, np.ndarray]
    file: str


def make(recipe: Recipe | None = None) -> Demo:
    """
    Simulate the recording and put its truth in the frame and the units of the movie.

    Parameters
    ----------
    recipe : Recipe, optional
        What to make; the first demo if not given.

    Returns
    -------
    Demo
        The movie and its truth.
    """
    recipe = recipe or Recipe()
    spec = spec_of(recipe)
    # More threads may add up in another order; then a count here and there would differ.
    with threadpool_limits(1), warnings.catch_warnings():
        # minisim finds motion beyond 5 % of this small field unusual; here it is meant.
        warnings.simplefilter("ignore", SpecWarning)
        recording = minisim.simulate(spec)
        stages, expected = stage_pictures(spec, recipe, recording)
        truth = in_counts(recording, recipe)
        truth |= detectable_cells(recording, recipe, truth, expected)
    keep = in_view(recording, recipe)
    truth = {name: array[keep] for name, array in truth.items()}
    truth["A"] = np.round(truth["A"] * 255).astype(np.uint8)
    gt = recording.ground_truth
    truth |= {
        "shifts": gt.shifts.astype(np.float32),
        "fr": np.float32(recipe.fr),
        "pixel_size_um": np.float32(spec.acquisition.pixel_size_um),
        "vessels": gt.vasculature_mask.astype(np.float16),
        "stages": stages,
        "stage_names": np.array(list(STAGES)),
        "stage_frame": np.int32(stage_frame(recording)),
    }
    return Demo(recording.observed.astype(np.uint8), truth, recipe.file)


def stage_frame(recording: minisim.Recording) -> int:
    """Pick the frame with the most light from cells, which shows the stages best."""
    return int(recording.ground_truth.C.sum(axis=0).argmax())


def stage_pictures(
    spec: minisim.Spec, recipe: Recipe, recording: minisim.Recording
) -> tuple[np.ndarray, np.ndarray]:
    """
    Take one frame apart into the stages of the forward model.

    Parameters
    ----------
    spec : minisim.Spec
        The specification; every run of it draws the same random numbers.
    recipe : Recipe
        What it was made from.
    recording : minisim.Recording
        The whole run.

    Returns
    -------
    stages : ndarray of shape (n_stages, d1, d2), float16
        The frame after each stage, in counts.
    expected : ndarray of shape (d1, d2)
        Mean over time of the light that falls on the sensor, in electrons.
    """
    frame = stage_frame(recording)
    electrons = recipe.photons * spec.acquisition.image_sensor.quantum_efficiency
    pictures, expected = [], None
    for stage in STAGES.values():
        if stage == "sensor":
            pictures.append(recording.observed[frame])
            continue
        light = minisim.simulate(spec, until=stage).observed
        expected = light.mean(axis=0) * electrons
        pictures.append(light[frame] * electrons * recipe.gain)
    return np.stack(pictures).astype(np.float16), expected


def in_counts(recording: minisim.Recording, recipe: Recipe) -> dict[str, np.ndarray]:
    """
    Express footprints and traces as the sensor sees them at rest.

    The optics have blurred the footprint, vessels and uneven light have shaded it; its peak is one. The trace
    is what the cell adds to the movie at that peak, in counts, bleaching included.
    """
    gt = recording.ground_truth
    electrons = recipe.photons * recording.spec.acquisition.image_sensor.quantum_efficiency
    shade = gt.vasculature_mask * gt.illumination * gt.vignette * electrons * recipe.gain
    seen = gt.A_observed * shade
    peak = np.maximum(seen.max(axis=(1, 2)), np.finfo(float).tiny)
    return {
        "A": seen / peak[:, None, None],
        "C": (gt.C * gt.bleaching * peak[:, None]).astype(np.float32),
        "S": gt.S.astype(np.uint8),
        "depth_um": gt.depth_um.astype(np.float32),
        "centers": pixel_centers(recording).astype(np.float32),
    }


def pixel_centers(recording: minisim.Recording) -> np.ndarray:
    """Give the centres of the somata, (K, 2), row and column in px of the movie."""
    acq, gt = recording.spec.acquisition, recording.ground_truth
    return np.array([acq.um_to_index(y, x, gt.fov_shape) for _, y, x in gt.centers_um]).reshape(-1, 2)


def detectable_cells(
    recording: minisim.Recording, recipe: Recipe, truth: dict[str, np.ndarray], expected: np.ndarray
) -> dict[str, np.ndarray]:
    """
    Decide which cells could be found, by the simulator's own quantities alone.

    A cell is detectable if

    - the largest transient stands out: summed over the footprint with the best weights, it is at least
      `min_snr` times the noise of one frame, the noise of a pixel being photon noise of its mean light plus
      read noise;
    - it is sharp: the optics blur it by a Gaussian of at most `max_blur_px`;
    - it is in view: its centre is `min_border_px` or more from the edge;
    - it stands alone: no brighter cell has a footprint with a cosine similarity beyond `max_cosine`, from
      which its place couldn't tell it.
    """
    gt, sensor = recording.ground_truth, recording.spec.acquisition.image_sensor
    noise = np.sqrt(expected + sensor.read_noise_e**2) * recipe.gain
    transient = truth["C"].max(axis=1) - np.median(truth["C"], axis=1)
    A = truth["A"]
    snr = transient * np.sqrt(((A / noise) ** 2).sum(axis=(1, 2)))
    flat = A.reshape(len(A), -1)
    flat = flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), np.finfo(float).tiny)
    brighter = snr[None, :] > snr[:, None]
    hidden = ((flat @ flat.T > recipe.max_cosine) & brighter).any(axis=1)
    border = np.minimum(truth["centers"], recipe.n_px - 1 - truth["centers"]).min(axis=1)
    sharp = gt.observed_sigma_px <= recipe.max_blur_px
    return {
        "snr": snr.astype(np.float32),
        "blur_px": gt.observed_sigma_px.astype(np.float32),
        "detectable": (snr >= recipe.min_snr) & sharp & (border >= recipe.min_border_px) & ~hidden,
    }


def in_view(recording: minisim.Recording, recipe: Recipe) -> np.ndarray:
    """Choose the cells whose centre is in the frame, or is brought into it by motion."""
    reach = np.abs(recording.ground_truth.shifts).max()
    centers = pixel_centers(recording)
    return ((centers > -reach) & (centers < recipe.n_px - 1 + reach)).all(axis=1)


def digest(array: np.ndarray | bytes) -> str:
    """
    Compute the SHA-256 of some values.

    Parameters
    ----------
    array : ndarray or bytes
        An array (its bytes in C order) or the bytes of a file.

    Returns
    -------
    str
        The digest in hexadecimal.
    """
    return hashlib.sha256(array if isinstance(array, bytes) else array.tobytes()).hexdigest()


def write(demo: Demo, folder: Path) -> tuple[Path, Path]:
    """
    Write movie and truth.

    Deflate with horizontal differencing needs nothing but Python's own zlib to be read.

    Parameters
    ----------
    demo : Demo
        What to write.
    folder : Path
        Where to; made if missing.

    Returns
    -------
    movie, truth : Path
        The two files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    movie, truth = folder / f"{demo.file}.tif", folder / f"{demo.file}_truth.npz"
    partial = movie.with_suffix(".part.tif")
    with tifffile.TiffWriter(partial) as tif:
        tif.write(
            demo.movie,
            photometric="minisblack",
            compression="zlib",
            compressionargs={"level": 9},
            predictor=True,
            rowsperstrip=demo.movie.shape[1],
            metadata={"axes": "TYX"},
        )
    os.replace(partial, movie)
    partial = truth.with_suffix(".part.npz")
    np.savez_compressed(partial, **demo.truth)
    os.replace(partial, truth)
    return movie, truth


def check(demo: Demo, folder: Path) -> list[str]:
    """
    Compare a fresh simulation with the files.

    Parameters
    ----------
    demo : Demo
        The fresh one.
    folder : Path
        Where the files are.

    Returns
    -------
    list of str
        Names of the arrays that differ.
    """
    differing = []
    if not np.array_equal(tifffile.imread(folder / f"{demo.file}.tif"), demo.movie):
        differing.append("movie")
    with np.load(folder / f"{demo.file}_truth.npz") as stored:
        names = set(stored.files) | set(demo.truth)
        for name in sorted(names):
            if (
                name not in stored
                or name not in demo.truth
                or digest(stored[name]) != digest(demo.truth[name])
            ):
                differing.append(name)
    return differing


def describe(demo: Demo, files: tuple[Path, ...]) -> str:
    """Sum up what was made, for data/README.md."""
    shifts, truth = demo.truth["shifts"], demo.truth
    radius = np.hypot(*shifts.T)
    lines = [
        f"movie {demo.movie.shape} {demo.movie.dtype}, mean {demo.movie.mean():.1f}, max {demo.movie.max()}",
        f"{len(truth['A'])} cells, {truth['detectable'].sum()} detectable",
        f"motion: median {np.median(radius):.2f} px, 95 % below {np.percentile(radius, 95):.2f} px, "
        f"largest on one axis {np.abs(shifts).max():.2f} px",
        "made with "
        + ", ".join(f"{name} {version(name)}" for name in ("minisim", "numpy", "scipy", "tifffile"))
        + f", opencv {version('opencv-python-headless')}, Python {sys.version.split()[0]}",
        f"SHA-256 of the movie's pixels: {digest(demo.movie)}",
    ]
    for path in files:
        lines.append(f"{path.name}: {path.stat().st_size} bytes, SHA-256 {digest(path.read_bytes())}")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """
    Run the command line.

    Parameters
    ----------
    argv : list of str, optional
        Arguments; those of the process if not given.

    Returns
    -------
    int
        0, or 1 if `--check` finds a difference.
    """
    parser = argparse.ArgumentParser(description="Make the demo movies and their truth with minisim.")
    default = Path(__file__).resolve().parent.parent / "data"
    parser.add_argument("--out", type=Path, default=default, help="folder of the files (default: data)")
    parser.add_argument("--check", action="store_true", help="compare with the files instead of writing them")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"which: {', '.join(RECIPES)}; all by default"
    )
    options = parser.parse_args(argv)
    unknown = set(options.names) - set(RECIPES)
    if unknown:
        parser.error(f"expected names among {', '.join(RECIPES)}, found {', '.join(sorted(unknown))}")
    worst = 0
    for name in options.names or RECIPES:
        demo = make(RECIPES[name])
        if not options.check:
            print(f"{name}: {describe(demo, write(demo, options.out))}")
            continue
        differing = check(demo, options.out)
        worst |= bool(differing)
        print(f"{name}: " + (f"differs: {', '.join(differing)}" if differing else "same as the files"))
    return int(worst)


if __name__ == "__main__":
    sys.exit(main())
