"""A constant added to a movie, its units and rounding change nothing but the background."""

import numpy as np
import pytest
from scipy import sparse
from short_forms import register_rigid
from synthetic import make_scene

from cnmf_engine.caiman.params import CNMFParams
from cnmf_engine.cnmf import CNMF
from cnmf_engine.movies.geometry import centre
from cnmf_engine.stages.cell_size import cell_size
from cnmf_engine.stages.cnmfe.background import fit_ring, reconstruct_background
from cnmf_engine.stages.cnmfe.options import Ring
from cnmf_engine.stages.cnmfe.ring import ring_offsets
from cnmf_engine.stages.summary_images import correlation_pnr, local_correlations

SEARCH = dict(method_init="corr_pnr", gSig=(2, 2), gSiz=(7, 7), min_corr=0.7, min_pnr=8, nb=0, tsub=2, p=1)
#: What is added to counts: a camera's offset, signed 16-bit numbers written as unsigned, and a dark level.
OFFSETS = (100, 32768, -1000)


@pytest.fixture(scope="module")
def counts():
    """Whole numbers, with a noise of two of them."""
    scene = make_scene((40, 44), T=240, seed=4, noise=2, brightness=40)
    return np.round(scene.movie)


@pytest.fixture(scope="module")
def plain(counts):
    return fitted(counts)


def fitted(movie):
    model = CNMF(1, params=CNMFParams(params_dict=SEARCH))
    model.fit(movie.astype(np.float32))
    model.estimates.evaluate_components(movie.astype(np.float32), model.params)
    return model.estimates


@pytest.mark.parametrize("offset", OFFSETS)
def test_a_constant_added_to_counts_changes_no_bit_of_cells(counts, plain, offset):
    moved = fitted(counts + offset)
    assert len(plain.C) >= 4
    np.testing.assert_array_equal(moved.A.toarray(), plain.A.toarray())
    for name in ("C", "YrA", "S", "sn", "SNR_comp"):
        np.testing.assert_array_equal(getattr(moved, name), getattr(plain, name), err_msg=name)
    np.testing.assert_allclose(moved.r_values, plain.r_values, atol=1e-6)
    # float32 has steps of 0.004 at 32768.
    np.testing.assert_allclose(moved.b0 - offset, plain.b0, atol=0.01)


@pytest.mark.parametrize("factor", [1024.0, 1e-3, 1e-5, 1 + 1e-6])
def test_units_scale_traces_and_nothing_else(counts, plain, factor):
    """Also what rounding differs in between: it must not grow on its way through the fit."""
    scaled = fitted(counts.astype(np.float64) * factor)
    assert len(scaled.C) == len(plain.C)
    np.testing.assert_allclose((scaled.A.T @ plain.A).diagonal(), 1, atol=1e-4)
    raw, expected = (scaled.C + scaled.YrA) / factor, plain.C + plain.YrA
    change = np.linalg.norm(raw - expected, axis=1) / np.linalg.norm(expected, axis=1)
    assert change.max() < 5e-3
    np.testing.assert_array_equal(scaled.idx_components, plain.idx_components)


def test_centring_is_exact_for_counts_and_gives_the_mean(rng):
    Y = rng.integers(-900, 900, (30, 77)).astype(np.float32)
    alone, moved = Y.copy(), Y + np.float32(2**20 + 1)
    mean = centre(alone)
    np.testing.assert_allclose(mean, Y.mean(axis=1, dtype=np.float64), atol=1e-4)
    np.testing.assert_allclose(centre(moved) - mean, 2**20 + 1, atol=1e-6)
    np.testing.assert_array_equal(moved, alone)
    np.testing.assert_allclose(alone.mean(axis=1), 0, atol=1e-4)


@pytest.mark.parametrize("offset", OFFSETS)
def test_images_and_cell_size_keep_their_values(counts, offset):
    moved = counts + np.float32(offset)
    for image in (lambda movie: local_correlations(movie, swap_dim=False), cn_pnr):
        np.testing.assert_array_equal(image(counts), image(moved))
    assert cell_size(moved).gSig == pytest.approx(cell_size(counts).gSig, rel=1e-3, nan_ok=True)


def cn_pnr(movie):
    return correlation_pnr(movie, gSig=2, swap_dim=False)


def test_smooth_movies_aren_t_taken_for_constant_ones_because_they_are_bright(rng):
    """Denoised movies vary by a fraction of a count."""
    movie = 0.05 * np.cumsum(rng.normal(size=(200, 12, 13)), axis=0)
    bright = np.float32(movie + 32768)
    np.testing.assert_allclose(
        local_correlations(bright, swap_dim=False), local_correlations(movie, swap_dim=False), atol=0.05
    )
    assert (cn_pnr(bright).pnr > 0).all()


@pytest.mark.parametrize("filter_mode", ["auto", "caiman"])
@pytest.mark.parametrize("gSig_filt", [3, None])
def test_shifts_don_t_depend_on_a_constant(counts, gSig_filt, filter_mode):
    shifts = np.round(3 * np.sin(np.arange(60) / 5)).astype(int)
    movie = np.stack([np.roll(frame, s, axis=0) for frame, s in zip(counts[:60], shifts)])
    found = [
        register_rigid(movie + np.float32(c), (5, 5), gSig_filt, filter_mode=filter_mode).shifts
        for c in (0, 32768)
    ]
    np.testing.assert_allclose(*found, atol=0.02)


def test_ring_weights_are_exact_under_light_that_all_pixels_share(rng):
    """Noise of 1 under common light of 1000: products of float32 would hold no more than the light."""
    dims, T = (20, 21), 300
    light = np.cumsum(rng.normal(size=(3, T)), axis=1)
    Y = 100 * rng.uniform(0.5, 1, (420, 3)) @ light + rng.normal(size=(420, T))
    Y = np.float32(Y)
    model = fit_ring(Y, sparse.csc_matrix((420, 0)), np.zeros((0, T)), dims, Ring(4, 1))
    X = Y - Y.mean(axis=1, keepdims=True, dtype=np.float64)
    p = 10 + 20 * 10
    ring = [10 + dy + 20 * (10 + dx) for dy, dx in ring_offsets(4)]
    G = X[ring] @ X[ring].T
    exact = np.linalg.solve(G + 1e-5 * np.trace(G) * np.eye(len(ring)), X[ring] @ X[p])
    np.testing.assert_allclose(model.W.toarray()[p, ring], exact, atol=2e-5)


def test_the_background_is_the_same_movie_higher_up(counts):
    scene = make_scene((40, 44), T=60, seed=4)
    A, C = scene.flat_A, scene.C
    backgrounds = []
    for offset in (0, 32768):
        Y = scene.Y + np.float32(offset)
        ring = fit_ring(Y, A, C, scene.dims, Ring(8, 2))
        backgrounds.append(reconstruct_background(Y, A, C, ring.W, ring.b0, scene.dims) - offset)
    np.testing.assert_allclose(*backgrounds, atol=0.05)
