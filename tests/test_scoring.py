from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.sparse as sp

from cnmf_engine.base.errors import InputError, MissingFileError
from workshop_utils.measures.scoring import match, score, score_seeds, shift_error
from workshop_utils.movies.truth import Truth, load_truth

DIMS = (30, 40)


def gaussian_cells(centers, dims=DIMS, width=2.0):
    rows, cols = np.indices(dims)
    return np.stack(
        [np.exp(-((rows - r) ** 2 + (cols - c) ** 2) / (2 * width**2)) for r, c in centers]
    ).astype(np.float32)


def flat(A):
    """(K, d1, d2) to (d, K), pixels in Fortran order."""
    return np.stack([a.ravel(order="F") for a in A], axis=1)


@pytest.fixture
def truth():
    rng = np.random.default_rng(1)
    centers = [(6, 6), (6, 30), (20, 10), (22, 25), (14, 18)]
    C = rng.gamma(1.0, 1.0, (5, 200)).astype(np.float32)
    return Truth(
        A=gaussian_cells(centers),
        C=C,
        S=(C > 2).astype(np.float32),
        shifts=rng.normal(0, 1, (200, 2)).astype(np.float32),
        detectable=np.array([True, True, True, False, True]),
        fr=10.0,
        pixel_size_um=2.0,
    )


def test_the_truth_scores_perfectly_in_any_order_and_scale(truth):
    order = np.array([4, 2, 0, 1])
    A = flat(truth.A[order]) * np.array([1, 7, 0.1, 300])
    result = score(sp.csc_matrix(A), 5 * truth.C[order] + 2, truth)
    assert (result.n_est, result.n_true, result.tp, result.n_false) == (4, 4, 4, 0)
    assert result.precision == result.recall == result.f1 == 1
    assert result.trace_r_median == pytest.approx(1)
    assert result.cosine_median == pytest.approx(1)
    np.testing.assert_array_equal(match(A, truth.A).pairs, np.stack([np.arange(4), order], axis=1))


@pytest.mark.parametrize(
    "form", [sp.csc_matrix, sp.csr_matrix, sp.coo_matrix, sp.csc_array, np.asfortranarray]
)
def test_sparse_and_dense_agree(truth, form):
    A = flat(truth.A[:3]) + 0.05 * flat(truth.A[2:])
    expected = match(A, truth.A)
    found = match(form(A), truth.A)
    np.testing.assert_array_equal(found.pairs, expected.pairs)
    np.testing.assert_allclose(found.cosine, expected.cosine, rtol=1e-6)


def test_undetectable_cells_are_neither_hits_nor_false(truth):
    noise = gaussian_cells([(26, 36)])
    A = flat(np.concatenate([truth.A[[0, 3]], noise]))
    C = np.concatenate([truth.C[[0, 3]], np.ones((1, 200))])
    result = score(A, C, truth)
    assert (result.tp, result.n_ignored, result.n_false) == (1, 1, 1)
    assert result.precision == 0.5
    assert result.recall == 0.25
    assert result.f1 == pytest.approx(2 * 0.5 * 0.25 / 0.75)
    everything = score(A, C, truth, detectable_only=False)
    assert (everything.tp, everything.n_true, everything.n_false) == (2, 5, 1)


def test_one_estimate_cannot_hit_two_cells(truth):
    two_copies = score(flat(truth.A[[0, 0]]), truth.C[[0, 0]], truth)
    assert two_copies.tp == 1
    assert two_copies.n_false == 1
    merged = score(flat(truth.A[:1] + truth.A[1:2]), truth.C[:1], truth)
    assert merged.tp == 1


def test_a_displaced_footprint_stops_counting_where_cosine_says(truth):
    # Two equal Gaussians of width s at distance x have cosine exp(-x^2 / 4 s^2): 0.6 lies at x = 1.43 s.
    near, far = gaussian_cells([(20, 10 + 2.6)]), gaussian_cells([(20, 10 + 3.2)])
    assert score(flat(near), truth.C[2:3], truth).tp == 1
    assert score(flat(far), truth.C[2:3], truth).tp == 0
    assert score(flat(far), truth.C[2:3], truth, threshold=0.4).tp == 1
    assert match(flat(near), truth.A).cosine[0] == pytest.approx(math.exp(-(2.6**2) / 16), abs=1e-3)


def test_assignment_prefers_the_larger_sum_to_the_best_single_pair():
    # The first estimate is nearest to cell 0, but only it can stand for cell 1.
    A_true = gaussian_cells([(10, 10), (10, 13)])
    pairs = match(flat(gaussian_cells([(10, 11.4), (10, 10)])), A_true).pairs
    assert pairs.tolist() == [[0, 1], [1, 0]]


def test_no_components_and_no_cells_are_input(truth):
    d = DIMS[0] * DIMS[1]
    empty = score(sp.csc_matrix((d, 0)), np.zeros((0, 200)), truth)
    assert (empty.n_est, empty.tp, empty.recall, empty.f1) == (0, 0, 0.0, 0.0)
    assert math.isnan(empty.precision)
    assert math.isnan(empty.trace_r_median)
    assert "found 0 of 4" in str(empty)
    no_cells = truth.select(np.zeros(5, bool))
    invented = score(flat(truth.A[:2]), truth.C[:2], no_cells)
    assert (invented.n_true, invented.n_false, invented.precision) == (0, 2, 0.0)
    assert "undefined" in str(score(np.zeros((d, 0)), [], no_cells))


def test_one_component_may_be_a_plain_vector(truth):
    result = score(flat(truth.A)[:, 0], truth.C[0], truth)
    assert (result.n_est, result.tp) == (1, 1)
    assert result.trace_r_median == pytest.approx(1)


def test_empty_footprints_and_constant_traces_do_not_pass(truth):
    A = flat(truth.A[:2]).copy()
    A[:, 1] = 0
    C = truth.C[:2].copy()
    C[0] = 3
    result = score(A, C, truth)
    assert (result.tp, result.n_false) == (1, 1)
    assert result.trace_r_median == 0


def test_trace_correlation_falls_as_noise_grows(truth):
    rng = np.random.default_rng(3)
    noise = rng.normal(0, truth.C.std(), truth.C.shape)
    result = score(flat(truth.A), truth.C + noise, truth)
    # Signal and noise of equal variance: r = 1 / sqrt(2).
    assert 0.6 < result.trace_r_median < 0.8
    assert result.trace_r_p10 <= result.trace_r_median


def test_score_prints_what_an_attendee_wants_to_know(truth):
    text = str(score(flat(truth.A[:3]), truth.C[:3], truth))
    assert "found 3 of 4 detectable cells (recall 0.75)" in text
    assert "0 of 3 components are false (precision 1.00)" in text


def test_shift_error_ignores_a_constant_and_wants_the_negative(truth):
    assert shift_error(-truth.shifts + [3, -2], truth.shifts) == pytest.approx(0, abs=1e-6)
    assert shift_error(truth.shifts, truth.shifts) > 2
    residual = np.zeros((4, 2))
    residual[:, 0] = [0.3, -0.3, 0.3, -0.3]
    residual[:, 1] = [0.4, -0.4, 0.4, -0.4]
    assert shift_error(residual, np.zeros((4, 2))) == pytest.approx(0.5)


def test_seeds_hit_miss_and_miss_the_point(truth):
    seeds = [(6, 7), (7, 6), (20, 10), (22, 25), (2, 20)]
    result = score_seeds(seeds, truth, radius=3)
    np.testing.assert_array_equal(result.hits, [0, 2])
    np.testing.assert_array_equal(result.missed, [1, 4])
    np.testing.assert_array_equal(result.false, [4])
    assert str(result) == "2 of 4 detectable cells have a seed, 1 seed is false"
    nothing = score_seeds([], truth, radius=3)
    assert (len(nothing.hits), len(nothing.missed), len(nothing.false)) == (0, 4, 0)
    assert len(score_seeds(seeds, truth.select(np.zeros(5, bool)), radius=3).false) == 5


def test_centers_are_centres_of_mass(truth):
    np.testing.assert_allclose(truth.centers[2:], [(20, 10), (22, 25), (14, 18)], atol=0.05)


def test_load_truth_reads_packed_footprints_and_fills_gaps(tmp_path, truth):
    packed = np.round(truth.A / truth.A.max(axis=(1, 2), keepdims=True) * 255).astype(np.uint8)
    path = tmp_path / "truth.npz"
    np.savez_compressed(path, A=packed, A_scale=np.arange(1, 6), C=truth.C, fr=20.0)
    loaded = load_truth(path)
    assert loaded.A.dtype == np.float32
    np.testing.assert_allclose(loaded.A.max(axis=(1, 2)), np.arange(1, 6), rtol=1e-6)
    assert loaded.detectable.all()
    assert loaded.shifts.shape == (200, 2)
    assert not loaded.S.any()
    assert loaded.fr == 20
    assert math.isnan(loaded.pixel_size_um)


def test_wrong_input_says_what_to_do(tmp_path, truth):
    with pytest.raises(InputError, match=r"d = 1200 pixels(.|\n)*Fortran order"):
        score(np.ones((900, 2)), np.ones((2, 200)), truth)
    with pytest.raises(InputError, match=r"traces of 2 components in 200 frames"):
        score(flat(truth.A[:2]), truth.C[:2, :100], truth)
    with pytest.raises(InputError, match=r"NaN or infinity"):
        score(np.full((1200, 1), np.nan), truth.C[:1], truth)
    with pytest.raises(InputError, match=r"\(150, 2\) estimated and \(200, 2\) true"):
        shift_error(truth.shifts[:150], truth.shifts)
    with pytest.raises(InputError, match=r"seeds \(n, 2\)"):
        score_seeds([1, 2, 3], truth)
    with pytest.raises(MissingFileError, match=r"nothing at .*absent\.npz"):
        load_truth(tmp_path / "absent.npz")
    np.savez(tmp_path / "bad.npz", C=truth.C)
    with pytest.raises(InputError, match=r"no A"):
        load_truth(tmp_path / "bad.npz")
