"""The whole path on a movie several times larger than the memory it may use."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from synthetic import make_scene

HERE = Path(__file__).parent
DIMS, FRAMES = (112, 112), 3600
#: Bytes of all frames as float32, and what each of two runs gets: memory budget, limit of what it may add.
#: The movie alone is 172 MiB; with the budget 75 to 97 MiB were needed (fragmentation differs between runs).
WHOLE = 4 * FRAMES * DIMS[0] * DIMS[1]
BUDGET, MARGIN = "16MB", 125 * 2**20


@pytest.fixture(scope="module")
def movies(tmp_path_factory):
    """A moving recording and a short one of the same scene, uint16 TIFF."""
    folder = tmp_path_factory.mktemp("movies")
    scene = make_scene(DIMS, T=FRAMES, noise=6)
    rng = np.random.default_rng(5)
    steps = np.clip(np.cumsum(rng.normal(0, 0.3, (FRAMES, 2)), axis=0) % 8 - 4, -2, 2)
    frames = np.empty((FRAMES, *DIMS), np.uint16)
    for frame, image, (down, right) in zip(frames, scene.movie, steps):
        matrix = np.array([[1, 0, right], [0, 1, down]])
        moved = cv2.warpAffine(
            image.astype(np.float32), matrix, DIMS[::-1], flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
        )
        frame[:] = np.clip(np.rint(4 * moved), 0, 65535)
    tifffile.imwrite(folder / "long.tif", frames, photometric="minisblack")
    tifffile.imwrite(folder / "short.tif", frames[:200], photometric="minisblack")
    return folder


def run(movies, folder, budget, margin):
    """Run the path in a new process; give what came out of it, or its last words."""
    temp = folder / "temp"
    temp.mkdir(parents=True)
    environment = os.environ | {
        "CAIMAN_TEMP": str(temp),
        "CNMF_ENGINE_MEMORY": budget,
        "TQDM_DISABLE": "1",
        "OMP_NUM_THREADS": "1",
        "MALLOC_ARENA_MAX": "2",
        "PYTHONPATH": str(HERE.parent),
    }
    files = [movies / "long.tif", movies / "short.tif", folder / "out.npz"]
    command = [sys.executable, str(HERE / "streaming_path.py"), *map(str, files), str(margin)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    if done.returncode:
        return done.stderr
    with np.load(folder / "out.npz") as file:
        return dict(file)


LINUX = pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_DATA counts mapped memory on Linux only")


@LINUX
def test_without_a_budget_the_limit_is_met(movies, tmp_path):
    """The movie in memory doesn't fit: so what fits below holds less than the movie."""
    assert "MemoryError in stage" in run(movies, tmp_path / "unbounded", "4GB", MARGIN)


@LINUX
def test_the_whole_path_fits_a_fraction_of_the_movie_and_finds_the_same(movies, tmp_path):
    assert MARGIN < 0.75 * WHOLE
    limited = run(movies, tmp_path / "limited", BUDGET, MARGIN)
    whole = run(movies, tmp_path / "whole", "4GB", "none")
    assert isinstance(limited, dict), limited
    assert isinstance(whole, dict), whole
    assert limited["stored"]
    assert not whole["stored"]
    np.testing.assert_array_equal(limited["maximum"], whole["maximum"])
    np.testing.assert_allclose(limited["local"], whole["local"], atol=1e-6)
    np.testing.assert_allclose(limited["shifts"], whole["shifts"], atol=1e-5)
    np.testing.assert_allclose(limited["pnr"], whole["pnr"], rtol=1e-4)
    assert np.median(np.abs(limited["cn"] - whole["cn"])) < 1e-6
    assert limited["A"].shape == whole["A"].shape
    assert len(limited["C"]) >= 4
    np.testing.assert_allclose(limited["A"], whole["A"], atol=1e-3 * whole["A"].max())
    for name in ("C", "S"):
        np.testing.assert_allclose(limited[name], whole[name], atol=1e-3 * whole[name].max())
    np.testing.assert_array_equal(limited["accepted"], whole["accepted"])
