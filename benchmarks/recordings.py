"""
Simulated recordings with their truth, made with minisim in blocks of frames and kept in a cache folder.

Whatever its length, a movie is streamed to a file (`minisim.simulate_video`), so that memory stays bounded.
Which cells could be found is decided by the rule of the demo movie, in tools/make_demo.py.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np

from benchmarks import effects
from benchmarks.specs import Case, demo_module, half_size, recipe_of, spec_of

__all__ = ["cache_folder", "make", "sensor_gain", "truth_recording"]

# Resting light of the brightest pixel, in counts of 255: transients need the room above it.
RESTING_COUNTS = 130


def cache_folder(folder: Path | None = None) -> Path:
    """Give the folder of simulated movies: the one asked for, or one in the user's cache."""
    import pooch

    chosen = Path(folder) if folder else Path(pooch.os_cache("calcium-workshop")) / "benchmarks"
    chosen.mkdir(parents=True, exist_ok=True)
    return chosen


def truth_recording(spec):
    """
    Run a specification without its pixels: the truth of a movie of any length in little memory.

    The steps draw their random numbers in the order of `minisim.simulate`, so the truth is that of its movie.

    Parameters
    ----------
    spec : minisim.Spec
        A full specification with an explicit motion trajectory.

    Returns
    -------
    minisim.Recording
        Without frames; `ground_truth` is complete but for the diffuse background.
    """
    from minisim.recording import finalize
    from minisim.scene import Scene
    from minisim.simulate import build_context
    from minisim.steps import motion, sensor, tissue

    acq, rng = spec.acquisition, np.random.default_rng(spec.seed)
    steps = {step.kind: step for step in spec.steps}
    reach = np.abs(steps["brain_motion"].trajectory_um).max()
    # The margin that minisim gives the tissue: whole pixels, and one more for the interpolation.
    scene = Scene.zeros(acq, rng, margin_px=int(np.ceil(acq.um_to_px(reach))) + 1)
    context, canvas, frames = build_context(spec, acq), scene.canvas_shape, acq.n_frames
    for step in spec.steps:
        if step.domain == "cell":
            built = step.build(acq, rng)
            built.prepare(context)
            built(scene)
        elif step.kind == "neuropil":
            tissue.neuropil_components(step, acq, scene.cells, canvas, frames, rng)
        elif step.kind == "vasculature":
            focal = tissue.vasculature_focal(scene, acq)
            scene.truth.vasculature_mask = tissue.vasculature_mask_field(step, acq, canvas, focal, rng)
        elif step.kind == "brain_motion":
            scene.truth.shifts = motion.brain_motion_shifts(step, acq, frames, rng)
    recording = finalize(scene, spec)
    fov = recording.ground_truth.fov_shape
    fields = {
        kind: sensor.combined_falloff_field(acq, *((steps[kind], None) if first else (None, steps[kind])))
        for kind, first in (("illumination_profile", True), ("vignette", False))
    }
    truth = recording.ground_truth.model_copy(
        update={
            "illumination": np.broadcast_to(fields["illumination_profile"], fov),
            "vignette": np.broadcast_to(fields["vignette"], fov),
        }
    )
    return recording.model_copy(update={"ground_truth": truth})


def make(case: Case, folder: Path | None = None) -> Path:
    """
    Simulate a case, or find it in the cache.

    Parameters
    ----------
    case : Case
        What to make.
    folder : Path, optional
        Cache folder.

    Returns
    -------
    Path
        The movie, uint8 TIFF; `NAME_truth.npz` beside it holds its truth.
    """
    key = json.dumps(asdict(case), sort_keys=True) + version("minisim")
    if case.effects:
        # They are this project's own, and change without a version.
        key += Path(effects.__file__).read_text(encoding="utf-8")
    stem = f"{case.name}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"
    folder = cache_folder(folder)
    movie, truth_file = folder / f"{stem}.tif", folder / f"{stem}_truth.npz"
    if movie.exists() and truth_file.exists():
        return movie
    import minisim
    from threadpoolctl import threadpool_limits

    with tempfile.TemporaryDirectory(dir=folder) as work, threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gain = sensor_gain(case)
        spec = spec_of(case, gain)
        sensed = None
        if case.effects:
            counts, sensed = _with_effects(case, spec)
            frames = iter(counts)
        else:
            # Its progress lines would drown the benchmark's own.
            with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
                video = minisim.simulate_video(spec, Path(work) / "counts.avi", progress=False)
            frames = _read_video(video)
        mean = _write_tiff(frames, Path(work) / "movie.tif", (case.frames, case.px, case.px))
        # What the sensor saw decides what can be detected, not what was made of it.
        mean = mean if sensed is None else sensed
        np.savez_compressed(Path(work) / "truth.npz", **_truth(case, spec, gain, mean))
        os.replace(Path(work) / "truth.npz", truth_file)
        os.replace(Path(work) / "movie.tif", movie)
    return movie


def _truth(case: Case, spec, gain: float, mean: np.ndarray) -> dict[str, np.ndarray]:
    """Assemble the arrays of the truth file; `mean` is the mean frame in counts."""
    rule, recipe = demo_module("make_demo"), recipe_of(case, gain)
    recording = truth_recording(spec)
    if case.cells == 0:
        # minisim leaves out what it has none of.
        T, dims = case.frames, (case.px, case.px)
        truth = {"A": np.zeros((0, *dims), np.uint8), "C": np.zeros((0, T)), "S": np.zeros((0, T), np.uint8)}
        truth |= {"detectable": np.zeros(0, bool), "blur_px": np.zeros(0)}
    else:
        truth = rule.in_counts(recording, recipe)
        # The sensor cuts off the fraction of a count: half a count on average.
        truth |= rule.detectable_cells(recording, recipe, truth, (mean + 0.5) / gain)
        keep = rule.in_view(recording, recipe)
        truth = {name: array[keep] for name, array in truth.items()}
        truth["A"] = np.round(truth["A"] * 255).astype(np.uint8)
    sharp = truth["blur_px"][truth["detectable"]]
    return truth | {
        "shifts": recording.ground_truth.shifts.astype(np.float32),
        "fr": np.float32(case.fr),
        "rise": np.float32(case.rise),
        "decay": np.float32(case.decay),
        "pixel_size_um": np.float32(case.pixel_um),
        "gSig": np.int32(half_size(case, sharp if len(sharp) else truth["blur_px"])),
        "vessels": recording.ground_truth.vasculature_mask.astype(np.float16),
    }


def _with_effects(case: Case, spec) -> tuple[np.ndarray, np.ndarray]:
    """Simulate in memory, with what minisim lacks; give the counts (T, d1, d2) and the sensor's mean."""
    import minisim

    before = minisim.simulate(spec, until="leakage")
    truth, acq = before.ground_truth, spec.acquisition
    rng = np.random.default_rng([case.seed, 3])
    at = effects.At(case.fr, truth.shifts, truth.vasculature_mask, (case.rise, case.decay), rng)
    light = before.observed.astype(float)
    for name in filter(case.effects.__contains__, effects.LIGHT):
        light = effects.LIGHT[name](light, at)
    sensor = acq.image_sensor
    counts = np.array([sensor.photons_to_counts(f, rng) for f in np.maximum(light * case.photons, 0)], float)
    sensed = counts.mean(axis=0)
    for name in filter(case.effects.__contains__, effects.COUNTS):
        counts = effects.COUNTS[name](counts, at)
    return np.clip(counts, 0, 255).astype(np.uint8), sensed


def _write_tiff(frames: Iterator[np.ndarray], target: Path, shape: tuple[int, int, int]) -> np.ndarray:
    """Write frames to a TIFF one by one; give the mean frame."""
    import tifffile

    total = np.zeros(shape[1:])

    def summed() -> Iterator[np.ndarray]:
        for frame in frames:
            total[...] += frame
            yield frame

    tifffile.imwrite(
        target, summed(), shape=shape, dtype=np.uint8, photometric="minisblack", metadata={"axes": "TYX"}
    )
    return total / shape[0]


def _read_video(video: Path) -> Iterator[np.ndarray]:
    """Yield the frames of an uncompressed grey video."""
    import cv2

    capture = cv2.VideoCapture(str(video))
    try:
        while True:
            there, frame = capture.read()
            if not there:
                return
            yield np.ascontiguousarray(frame[..., 0] if frame.ndim == 3 else frame)
    finally:
        capture.release()


def sensor_gain(case: Case) -> float:
    """Set the sensor's gain as a user would: bright, without clipping."""
    import minisim

    few = spec_of(replace(case, frames=max(20, int(2 * case.fr))))
    light = minisim.simulate(few, until="leakage").observed
    electrons = light.mean(axis=0).max() * case.photons * few.acquisition.image_sensor.quantum_efficiency
    return float(RESTING_COUNTS / electrons)
