import numpy as np
import pytest
from scipy import sparse
from synthetic import make_scene

from cnmf_engine.base.parallel import ALONE, Run
from cnmf_engine.movies.geometry import decimate
from cnmf_engine.stages.cnmfe import readout
from cnmf_engine.stages.cnmfe.background import fit_ring, reconstruct_background
from cnmf_engine.stages.cnmfe.options import Ring
from cnmf_engine.stages.cnmfe.readout import read_out, reading_weights
from cnmf_engine.stages.cnmfe.temporal import core_weights, unshrunk
from cnmf_engine.stages.noise import spread_below_baseline


@pytest.fixture(scope="module")
def scene():
    return make_scene(T=301, seed=4)


def averaged(C, tsub):
    return decimate(C, (1, len(C)), tsub=tsub)


@pytest.mark.parametrize("core", [0, 0.3])
@pytest.mark.parametrize("ssub", [1, 2, 3])
def test_weights_see_what_cells_add_to_the_background(scene, ssub, core):
    A, C = scene.flat_A, scene.C
    ring = fit_ring(scene.Y, A, C, scene.dims, Ring(10, ssub))
    B = reconstruct_background(scene.Y, A, C, ring.W, ring.b0, scene.dims)
    left = core_weights(A, core).T @ (scene.Y - B - A @ C)
    weights = reading_weights(A, ring.W, scene.dims, ssub, core)
    centred = scene.Y - scene.Y.mean(axis=1, keepdims=True)
    read = weights.T @ centred - weights.T @ A @ (C - C.mean(axis=1, keepdims=True))
    np.testing.assert_allclose(read, left - left.mean(axis=1, keepdims=True), atol=0.05)


@pytest.mark.parametrize("tsub", [1, 2, 4])
def test_planted_traces_are_read_at_the_full_frame_rate(scene, tsub):
    result = read_out(scene.movie, scene.flat_A, averaged(scene.C, tsub), tsub=tsub, ring=Ring(10, 2))
    traces = result.traces
    assert traces.C.shape == traces.YrA.shape == scene.C.shape
    r = [np.corrcoef(found, true)[0, 1] for found, true in zip(traces.C, scene.C)]
    assert np.median(r) > 0.97
    assert min(r) > 0.9
    assert traces.C.min() >= 0
    W, b0 = result.background
    B = reconstruct_background(scene.Y, result.A, traces.C, W, b0, scene.dims)
    assert (scene.Y - B - result.A @ traces.C).std() == pytest.approx(scene.noise, rel=0.15)
    np.testing.assert_allclose(b0, scene.Y.mean(axis=1) - result.A @ traces.C.mean(axis=1), rtol=1e-3)


def test_neither_tiles_nor_workers_change_traces(scene, monkeypatch):
    options = dict(tsub=2, ring=Ring(10))
    C = averaged(scene.C, 2)
    whole = read_out(scene.movie, scene.flat_A, C, **options).traces
    monkeypatch.setattr(readout, "_READ_VALUES", 301 * 16**2)
    alone = read_out(scene.movie, scene.flat_A, C, **options).traces
    np.testing.assert_allclose(alone.C, whole.C, atol=0.02)
    shared = read_out(scene.movie, scene.flat_A, C, run=Run(3), **options).traces
    np.testing.assert_array_equal(shared.C, alone.C)
    np.testing.assert_array_equal(shared.YrA, alone.YrA)


def test_silent_components_are_left_out_and_none_is_a_result(scene):
    A = sparse.csc_matrix(scene.flat_A)
    C = averaged(scene.C, 2)
    nothing = read_out(scene.movie, A[:, :0], C[:0], tsub=2, ring=Ring(10, 2))
    assert nothing.A.shape == (len(scene.Y), 0)
    assert nothing.traces.C.shape == (0, 301)
    constant = np.full_like(scene.movie, 7)
    silent = read_out(constant, A, np.zeros_like(C), tsub=2, ring=Ring(10, 2))
    assert silent.A.shape[1] == len(silent.traces.C) == 0


def test_of_two_readings_the_quieter_is_kept(scene, monkeypatch):
    A, C = scene.flat_A, scene.C
    ring = fit_ring(scene.Y, A, C, scene.dims, Ring(10, 2))

    def noise(*cores):
        monkeypatch.setattr(readout, "_CORES", cores)
        YrA, shared = readout._quietest(scene.movie, A, C, ring.W, 2, ALONE)
        np.testing.assert_allclose(shared.diagonal(), 1, rtol=1e-5)
        return np.array([spread_below_baseline(np.sort(trace)) for trace in C + YrA])

    whole, core, either = noise(0.0, 0.0), noise(0.6, 0.6), noise(0.0, 0.6)
    np.testing.assert_array_equal(either, np.minimum(whole, core))
    assert (either < core).any(), "more pixels hold less noise"


def test_raw_traces_are_as_high_as_the_cells_though_calcium_was_shrunk(scene):
    """The ring takes a quarter of the light that it isn't told of, so it is told of what was shrunk too."""
    centred = scene.C - scene.C.mean(axis=1, keepdims=True)

    def slope(C):
        found = read_out(scene.movie, scene.flat_A, averaged(C, 2), tsub=2, ring=Ring(10, 2))
        raw = found.traces.C + found.traces.YrA
        return np.median((raw * centred[found.kept]).sum(axis=1) / (centred[found.kept] ** 2).sum(axis=1))

    shrunk = 0.8 * scene.C
    assert slope(shrunk) < 0.97
    assert slope(unshrunk(shrunk, scene.C - shrunk)) == pytest.approx(1, abs=0.01)
    np.testing.assert_allclose(unshrunk(shrunk, scene.C - shrunk), scene.C, rtol=1e-4)
    np.testing.assert_array_equal(unshrunk(scene.C, -0.1 * scene.C), scene.C)
