"""Movies made from a fit that are larger than memory allows, and traces in honest units."""

from __future__ import annotations

import logging
import tracemalloc

import numpy as np
import pytest
from scipy import sparse
from synthetic import explained, flatten, make_scene

from cnmf_engine.base.errors import InputError
from cnmf_engine.caiman.estimates import Estimates
from cnmf_engine.stages.cnmfe.background import fit_ring
from cnmf_engine.stages.cnmfe.options import Ring

LIMIT = "4MB"


@pytest.fixture(scope="module")
def scene():
    return make_scene((40, 44), T=1500, seed=4)


@pytest.fixture
def estimates(scene):
    A = scene.flat_A
    norm = np.sqrt(np.asarray(A.multiply(A).sum(axis=0))).ravel()
    est = Estimates(
        A=sparse.csc_matrix(A / norm), C=scene.C * norm[:, None].astype(np.float32), dims=scene.dims
    )
    est.W, est.b0 = fit_ring(scene.Y, est.A, est.C, scene.dims, Ring(10, 2))
    est.compute_residuals(scene.movie)
    return est


@pytest.fixture
def mapped(scene, tmp_path):
    scene.Y.tofile(tmp_path / "Yr.mmap")
    Yr = np.memmap(tmp_path / "Yr.mmap", mode="r", dtype=np.float32, shape=scene.Y.shape)
    return np.reshape(Yr.T, scene.movie.shape, order="F")


def test_a_background_larger_than_memory_is_a_memory_map(scene, estimates, mapped, tmp_caiman, caplog):
    small = estimates.compute_background(scene.movie)
    assert not isinstance(small, np.memmap)
    with caplog.at_level(logging.WARNING, logger="caiman"):
        tracemalloc.start()
        large = estimates.compute_background(mapped, memory_limit=LIMIT)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert isinstance(large, np.memmap) and large.shape == small.shape
    np.testing.assert_allclose(large, small, rtol=1e-5)
    assert peak < 4 * 2**20 < large.nbytes
    (message,) = (record.getMessage() for record in caplog.records)
    (file,) = tmp_caiman.glob("*.mmap")
    for part in (str(file), "10 MB", "4 MB", "memory_limit"):
        assert part in message
    assert explained(flatten(scene.background), np.asarray(large)) > 0.9
    large[0, 0] = -1
    assert np.memmap(file, mode="r", dtype=np.float32)[0] != -1, "changes stay in memory"


def test_the_environment_sets_the_limit_too(estimates, scene, tmp_caiman, monkeypatch):
    monkeypatch.setenv("CNMF_ENGINE_MEMORY", LIMIT)
    assert isinstance(estimates.compute_background(scene.movie), np.memmap)


def test_panels_larger_than_memory_are_a_memory_map(scene, estimates, mapped, tmp_caiman):
    options = dict(display=False, bpx=2, frame_range=slice(None, None, 2), gain_res=2)
    small = np.asarray(estimates.play_movie(scene.movie, **options))
    large = estimates.play_movie(mapped, memory_limit=LIMIT, **options)
    assert list(tmp_caiman.glob("reconstruction*.mmap"))
    assert large.shape == small.shape == (750, 36, 120)
    np.testing.assert_allclose(np.asarray(large), small, rtol=1e-4, atol=1e-2)


def test_residual_traces_take_no_more_than_the_limit(scene, estimates, mapped):
    before = estimates.R.copy()
    tracemalloc.start()
    estimates.compute_residuals(mapped, memory_limit=LIMIT)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * 2**20
    np.testing.assert_allclose(estimates.R, before, rtol=1e-3, atol=1e-2)


def test_traces_of_a_ring_model_are_no_dff_and_a_line_says_so(estimates, caplog):
    with caplog.at_level(logging.WARNING, logger="caiman"):
        estimates.detrend_df_f()
    (message,) = (record.getMessage() for record in caplog.records)
    assert "not DF/F" in message and "noise_units=True" in message
    assert estimates.dff_units == "detrended fluorescence"
    caplog.clear()
    estimates.detrend_df_f(detrend_only=True)
    estimates.detrend_df_f(noise_units=True)
    assert not caplog.records


def test_noise_units_make_cells_comparable(scene, estimates):
    """A cell that is twice as bright and twice as noisy has the same trace in noise levels."""
    rng = np.random.default_rng(0)
    noise = np.array([0.5, 1, 2, 4, 8, 16])[: len(estimates.C), None]
    estimates.C = (12 * noise * scene.C[:1] / scene.C[0].max()).astype(np.float32)
    estimates.YrA = (noise * rng.normal(size=estimates.C.shape)).astype(np.float32)
    estimates.detrend_df_f(noise_units=True, flag_auto=False, quantileMin=20, frames_window=1500)
    assert estimates.dff_units == "noise levels"
    peaks = estimates.F_dff.max(axis=1)
    assert (
        peaks.max() < 1.4 * peaks.min() and estimates.C.max(axis=1).max() > 7 * estimates.C.max(axis=1).min()
    )
    assert np.median(peaks) == pytest.approx(12, rel=0.25)
    quiet = estimates.F_dff[:, scene.C[0] < 1]
    np.testing.assert_allclose(quiet.std(axis=1), 1, rtol=0.35)
    estimates.detrend_df_f(noise_units=True, use_residuals=False)
    assert np.isfinite(estimates.F_dff).all()


def test_removed_components_are_gone(estimates):
    before, n = estimates.C.copy(), len(estimates.C)
    estimates.idx_components = np.arange(n)
    estimates.remove_components([0, n - 1])
    np.testing.assert_array_equal(estimates.C, before[1:-1])
    np.testing.assert_array_equal(estimates.idx_kept, np.arange(1, n - 1))
    assert estimates.idx_components is None and estimates.discarded_components is None
    estimates.remove_components(np.arange(n - 2) == 0)
    np.testing.assert_array_equal(estimates.C, before[2:-1])
    with pytest.raises(InputError, match="indices of components"):
        estimates.remove_components([n])
    with pytest.raises(InputError, match="call fit first"):
        Estimates().remove_components([0])


def test_components_of_other_order_can_be_restored(estimates):
    n = len(estimates.C)
    estimates.g = np.full((n, 1), 0.9)
    estimates.select_components(np.arange(2))
    estimates.g = np.full((2, 2), 0.4)
    estimates.restore_discarded_components()
    assert estimates.g.tolist() == [[0.4, 0.4]] * 2 + [[0.9, 0.0]] * (n - 2)
