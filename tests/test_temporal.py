import numpy as np
import pytest
from synthetic import blob, calcium, flat_footprints

from cnmf_engine.stages.cnmfe.temporal import Traces, project, residual_traces, update_temporal
from cnmf_engine.stages.deconvolution.foopsi import CLIPPED, Deconvolution

DIMS = (22, 26)


def cells_only(rng, centres, T=400, noise=8.0, baseline=0.0):
    A = flat_footprints(np.stack([blob(DIMS, centre, 2.5) for centre in centres]))
    C = np.stack([40 * calcium(rng, T)[0] + baseline for _ in centres]).astype(np.float32)
    R = A @ C + rng.normal(scale=noise, size=(A.shape[0], T))
    return np.ascontiguousarray(R, dtype=np.float32), A, C


def correlations(a, b):
    return np.array([np.corrcoef(x, y)[0, 1] for x, y in zip(a, b)])


@pytest.mark.parametrize("p", [0, 1])
def test_planted_traces_are_recovered(rng, p):
    R, A, C = cells_only(rng, [(6, 6), (6, 19), (15, 12)])
    A2, traces, kept = update_temporal(R, A, np.ones_like(C), Deconvolution(p=p))
    assert kept.tolist() == [0, 1, 2]
    assert correlations(traces.C, C).min() > 0.98
    assert correlations(traces.C + traces.YrA, C).min() > 0.95
    # Footprints have peak 1 here, so traces come in units of the movie.
    np.testing.assert_allclose(traces.C.max(axis=1), C.max(axis=1), rtol=0.15)
    assert traces.C.dtype == traces.S.dtype == traces.YrA.dtype == np.float32


@pytest.mark.parametrize("p", [0, 1])
def test_overlapping_cells_are_unmixed(rng, p):
    R, A, C = cells_only(rng, [(10, 10), (10, 14)])
    plain = project(R, A) / A.power(2).sum(axis=0).A1[:, None]
    mixed = np.corrcoef(plain)[0, 1]
    _, traces, _ = update_temporal(R, A, np.zeros_like(C), Deconvolution(p=p), ITER=10)
    assert correlations(traces.C, C).min() > 0.96
    assert mixed > 0.4
    assert abs(np.corrcoef(traces.C)[0, 1] - np.corrcoef(C)[0, 1]) < 0.1


def test_more_sweeps_come_nearer_to_least_squares(rng):
    R, A, C = cells_only(rng, [(10, 9), (10, 12), (13, 11)], noise=0.5)
    dense = A.toarray()
    best = np.linalg.lstsq(dense, R, rcond=None)[0]
    distance = []
    for sweeps in (1, 2, 30):
        raw = update_temporal(R, A, np.zeros_like(C), CLIPPED, ITER=sweeps)[1]
        distance.append(np.linalg.norm(raw.C + raw.YrA - best) / np.linalg.norm(best))
    assert distance[2] < distance[1] < distance[0]
    assert distance[2] < 0.05


def test_denoised_plus_residual_is_the_projection(rng):
    R, A, C = cells_only(rng, [(10, 10), (10, 14), (4, 20)])
    A, traces, _ = update_temporal(R, A, C, Deconvolution(p=1))
    np.testing.assert_allclose(traces.YrA, residual_traces(R, A, traces.C), atol=1e-2)
    dense = A.toarray()
    left = R - dense @ traces.C
    np.testing.assert_allclose(
        residual_traces(R, A, traces.C), dense.T @ left / (dense**2).sum(axis=0)[:, None], atol=1e-3
    )


def test_projection_is_the_product_of_matrices(rng):
    R, A, _ = cells_only(rng, [(6, 6), (15, 12)], T=50)
    np.testing.assert_allclose(project(R, A), A.T @ R, rtol=1e-5, atol=1e-3)


def test_spikes_and_baseline_belong_to_the_trace(rng):
    R, A, C = cells_only(rng, [(10, 10)], baseline=15)
    _, traces, _ = update_temporal(R, A, C, Deconvolution(p=1))
    assert traces.bl[0] == pytest.approx(15, abs=4)
    assert traces.g.shape == (1, 1)
    c = traces.C[0] - traces.bl[0]
    assert np.abs(c[1:] - traces.g[0, 0] * c[:-1] - traces.S[0, 1:]).max() < 1e-3 * c.max()


def test_noise_of_a_trace_is_that_of_its_pixels_averaged(rng):
    R, A, C = cells_only(rng, [(10, 10)], T=1000, noise=40)
    _, traces, _ = update_temporal(R, A, C, Deconvolution(p=1))
    # A weighted mean with weights a / |a|^2 of independent pixels.
    assert traces.sn[0] == pytest.approx(40 / A.power(2).sum() ** 0.5, rel=0.15)


def test_order_zero_never_goes_below_zero(rng):
    R, A, C = cells_only(rng, [(6, 6)])
    _, traces, _ = update_temporal(R, A, C, CLIPPED)
    assert traces.C.min() == 0
    np.testing.assert_array_equal(traces.S, traces.C)


def test_silent_components_are_removed_with_everything_that_is_theirs(rng):
    R, A, C = cells_only(rng, [(6, 6), (6, 19), (15, 12)])
    R[A[:, 1].nonzero()[0]] = 0
    A2, traces, kept = update_temporal(R, A, np.zeros_like(C), CLIPPED)
    assert kept.tolist() == [0, 2]
    assert A2.shape[1] == len(traces.C) == len(traces.bl) == len(traces.g) == 2
    np.testing.assert_array_equal(A2.toarray(), A[:, [0, 2]].toarray())


def test_a_cell_on_a_negative_baseline_stays(rng):
    """Where the background was taken off too strongly a cell's trace sums to less than zero."""
    R, A, C = cells_only(rng, [(6, 6)], baseline=-60)
    assert C.sum() < 0
    _, traces, kept = update_temporal(R, A, C, Deconvolution(p=1))
    assert kept.tolist() == [0]
    assert correlations(traces.C, C)[0] > 0.97


def test_arguments_are_left_as_they_were(rng):
    R, A, C = cells_only(rng, [(10, 10), (10, 14)], T=100)
    copies = R.copy(), A.copy(), C.copy()
    update_temporal(R, A, C)
    np.testing.assert_array_equal(R, copies[0])
    np.testing.assert_array_equal(A.data, copies[1].data)
    np.testing.assert_array_equal(C, copies[2])


@pytest.mark.parametrize("p", [0, 1])
def test_zero_components_are_no_accident(rng, p):
    R, A, C = cells_only(rng, [(6, 6)], T=30)
    A0, traces, kept = update_temporal(R, A[:, :0], C[:0], Deconvolution(p=p))
    assert A0.shape == (len(R), 0)
    assert traces.C.shape == traces.S.shape == traces.YrA.shape == (0, 30)
    assert len(kept) == 0
    assert residual_traces(R, A0, C[:0]).shape == (0, 30)


def test_traces_stay_in_step_when_taken_joined_and_scaled(rng):
    raw = np.stack([calcium(rng, 100)[0] + 0.05 * rng.normal(size=100) for _ in range(3)]).astype(np.float32)
    traces = Traces.from_raw(raw)
    np.testing.assert_allclose(traces.C + traces.YrA, raw, atol=1e-5)
    turned = traces.take(np.array([2, 0]))
    np.testing.assert_array_equal(turned.S, traces.S[[2, 0]])
    np.testing.assert_array_equal(turned.bl, traces.bl[[2, 0]])
    both = traces.join(turned)
    np.testing.assert_array_equal(both.C, traces.C[[0, 1, 2, 2, 0]])
    np.testing.assert_array_equal(both.g, traces.g[[0, 1, 2, 2, 0]])
    factor = np.array([2.0, 1.0, 0.5])
    scaled = traces.scale(factor)
    np.testing.assert_allclose(scaled.C + scaled.YrA, raw * factor[:, None], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(scaled.sn, traces.sn * factor)
    np.testing.assert_array_equal(scaled.g, traces.g)
