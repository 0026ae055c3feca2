import numpy as np
import pytest
from scipy.optimize import nnls
from synthetic import blob, calcium, cosine, flat_footprints, make_scene

from cnmf_engine.stages.cnmfe import spatial
from cnmf_engine.stages.cnmfe.spatial import clean_footprint, grow_support, update_spatial

DIMS = (24, 28)


def cells_only(rng, centres, T=300, noise=2.0, dims=DIMS, sigma=2.5):
    """Background-free movie ``(d, T)``, footprints ``(d, K)`` and traces."""
    A = flat_footprints(np.stack([blob(dims, centre, sigma) for centre in centres]))
    C = np.stack([40 * calcium(rng, T)[0] for _ in centres]).astype(np.float32)
    R = A @ C + rng.normal(scale=noise, size=(A.shape[0], T))
    return np.ascontiguousarray(R, dtype=np.float32), A, C


def image(A, k, dims=DIMS):
    return A[:, [k]].toarray().reshape(dims, order="F")


def discs(centres, radius=1.5, dims=DIMS):
    """Rough first guesses: small discs at the cells' centres."""
    rows, columns = np.indices(dims)
    return flat_footprints(
        np.stack([(np.hypot(rows - r, columns - c) <= radius).astype(float) for r, c in centres])
    )


def repeated(R, A, C, times=3, **options):
    """Some updates in a row, as each one lets footprints grow by two pixels."""
    for _ in range(times):
        A = update_spatial(R, A, C, DIMS, sn=np.full(len(R), 2.0), **options).A
    return A


def test_footprints_are_recovered_from_true_traces(rng):
    centres = [(6, 6), (7, 20), (17, 13)]
    R, A, C = cells_only(rng, centres)
    grown = repeated(R, discs(centres), C)
    assert grown.dtype == np.float32
    for k in range(3):
        assert cosine(image(grown, k), image(A, k)) > 0.98


def test_footprints_are_in_units_of_the_movie(rng):
    R, A, C = cells_only(rng, [(12, 14)])
    update = update_spatial(R, A, C, DIMS, sn=np.full(len(R), 2.0))
    np.testing.assert_allclose(np.linalg.norm(update.C, axis=1), 1, rtol=1e-5)
    product = update.A @ update.C
    expected = A @ C
    assert np.abs(product - expected).max() < 0.15 * expected.max()
    assert np.polyfit(expected.ravel(), product.ravel(), 1)[0] == pytest.approx(1, abs=0.1)


def test_overlapping_cells_are_told_apart(rng):
    centres = [(12, 11), (12, 15)]
    R, A, C = cells_only(rng, centres)
    assert cosine(image(A, 0), image(A, 1)) > 0.4
    grown = repeated(R, discs(centres), C)
    for k in range(2):
        assert cosine(image(grown, k), image(A, k)) > 0.95
    alone = update_spatial(R, A[:, :1], C[:1], DIMS, sn=np.full(len(R), 2.0)).A
    assert cosine(image(alone, 0), image(A, 0)) < cosine(image(grown, 0), image(A, 0))


@pytest.mark.parametrize("centre", [(0, 14), (12, 0), (23, 27), (0, 0)])
@pytest.mark.parametrize("closing", [True, False])
def test_pixels_on_the_border_of_the_image_survive(rng, centre, closing):
    R, A, C = cells_only(rng, [centre])
    grown = update_spatial(R, A, C, DIMS, sn=np.full(len(R), 2.0), closing=closing).A
    assert image(grown, 0)[centre] > 0.5 * image(grown, 0).max()
    assert cosine(image(grown, 0), image(A, 0)) > 0.98


def test_components_without_trace_or_footprint_are_removed(rng):
    centres = [(6, 6), (7, 20), (17, 6), (17, 20), (12, 13)]
    R, A, C = cells_only(rng, centres)
    C[1] = 0
    C[2] = np.nan
    rows, columns = np.indices(DIMS).reshape(2, -1, order="F")
    R[np.hypot(rows - 17, columns - 20) < 12] = 0
    A = A.tolil()
    A[:, 4] = 0
    update = update_spatial(R, A.tocsc(), C, DIMS, sn=np.full(len(R), 2.0))
    assert update.kept.tolist() == [0]
    assert update.A.shape == (len(R), 1)
    assert update.C.shape == (1, C.shape[1])


def test_zero_components_are_no_accident(rng):
    R, A, C = cells_only(rng, [(6, 6)])
    update = update_spatial(R, A[:, :0], C[:0], DIMS, sn=np.ones(len(R)))
    assert update.A.shape == (len(R), 0)
    assert update.C.shape == (0, C.shape[1])


@pytest.mark.parametrize("py_func", [False, True])
def test_pixel_kernel_solves_the_non_negative_regression(rng, py_func):
    K, T, pixels = 5, 60, 12
    C = rng.random((K, T)) + 0.3 * rng.random(T)
    gram = C @ C.T
    members = [np.flatnonzero(rng.random(K) < 0.6) for _ in range(pixels)]
    Y = rng.normal(size=(pixels, T)) + rng.normal(size=(pixels, K)) @ C
    indptr = np.concatenate([[0], np.cumsum([len(m) for m in members])]).astype(np.int32)
    index = np.concatenate(members).astype(np.int32)
    target = np.concatenate([C[m] @ y for m, y in zip(members, Y)])
    out = np.empty(len(index))
    kernel = spatial._nnls_pixels.py_func if py_func else spatial._nnls_pixels
    kernel(indptr, index, target, np.zeros(len(index)), gram, np.zeros(len(index)), out)
    for p, m in enumerate(members):
        if len(m):
            expected = nnls(C[m].T, Y[p])[0]
            np.testing.assert_allclose(out[indptr[p] : indptr[p + 1]], expected, atol=5e-3)


def test_penalty_lowers_weights_and_a_large_one_removes_them(rng):
    gram, target = np.array([[2.0]]), np.array([3.0])
    for penalty, expected in ((0, 1.5), (1, 1.0), (5, 0.0)):
        out = np.empty(1)
        spatial._nnls_pixels(
            np.array([0, 1], np.int32),
            np.array([0], np.int32),
            target,
            np.array([float(penalty)]),
            gram,
            np.ones(1),
            out,
        )
        assert out[0] == pytest.approx(expected)


def test_support_grows_by_a_diamond_and_ends_at_the_radius():
    single = np.zeros((1, *DIMS))
    single[0, 10, 12] = 2
    support = grow_support(flat_footprints(single), DIMS)
    rows, columns = np.indices(DIMS)
    diamond = abs(rows - 10) + abs(columns - 12) <= 2
    stored = np.zeros(DIMS[0] * DIMS[1], bool)
    stored[support.indices] = True
    np.testing.assert_array_equal(stored.reshape(DIMS, order="F"), diamond)
    np.testing.assert_array_equal(support.toarray(), flat_footprints(single).toarray())
    long = np.zeros((1, *DIMS))
    long[0, 5, 2:26] = 1
    long[0, 5, 10] = 2
    far = grow_support(flat_footprints(long), DIMS, max_radius=6)
    assert np.abs(far.indices // DIMS[0] - 10).max() == 6
    assert grow_support(flat_footprints(np.zeros((1, *DIMS))), DIMS).nnz == 0


def test_cleaning_keeps_the_strongest_connected_part():
    footprint = blob(DIMS, (12, 9), 2.5) + 0.6 * blob(DIMS, (12, 23), 2)
    cleaned = clean_footprint(footprint)
    assert cleaned[12, 9] > 0.8
    assert cleaned[12, 23] == 0
    speck = blob(DIMS, (12, 9), 2.5)
    speck[2, 24] = 3
    assert clean_footprint(speck)[2, 24] == 0, "a single hot pixel is no cell"


@pytest.mark.parametrize("closing", [True, False])
def test_cleaning_keeps_the_outermost_pixels_when_it_drops_a_part(closing):
    footprint = blob(DIMS, (0, 9), 2.5)
    cleaned = clean_footprint(footprint + 0.6 * blob(DIMS, (16, 23), 2), closing=closing)
    assert cleaned[16, 23] == 0
    assert np.count_nonzero(cleaned[0]) >= np.count_nonzero(footprint[0]) - 2


@pytest.mark.parametrize("nrgthr", [0.5, 0.9, 0.9999])
def test_cleaning_keeps_the_asked_part_of_the_energy(nrgthr):
    footprint = blob(DIMS, (12, 14), 3)
    smoothed = clean_footprint(footprint, nrgthr=1.0)
    cleaned = clean_footprint(footprint, nrgthr=nrgthr)
    share = (cleaned**2).sum() / (smoothed**2).sum()
    assert nrgthr - 1e-4 <= share < nrgthr + 0.1
    assert smoothed[cleaned == 0].max() <= cleaned[cleaned > 0].min()


def test_a_flat_disc_is_not_emptied_by_rounding():
    disc = discs([(12, 14)], radius=5).toarray().reshape(DIMS, order="F")
    kept = [np.count_nonzero(clean_footprint(disc * np.float32(v))) for v in np.linspace(0.01, 3, 40)]
    assert min(kept) > 0.9 * np.count_nonzero(disc)


def test_nothing_in_nothing_out():
    cleaned = clean_footprint(np.zeros(DIMS, np.float32))
    assert not cleaned.any()
    assert cleaned.shape == DIMS


def test_footprints_in_a_whole_scene_after_the_background_is_gone():
    scene = make_scene()
    R = scene.Y - np.ascontiguousarray(scene.background.reshape(len(scene.background), -1, order="F").T)
    update = update_spatial(R, scene.flat_A, scene.C, scene.dims, sn=np.full(len(R), scene.noise))
    assert len(update.kept) == len(scene.A)
    for k, truth in enumerate(scene.A):
        assert cosine(image(update.A, k, scene.dims), truth) > 0.98
