import numpy as np
import pytest
from scipy import sparse
from synthetic import blob, calcium, explained, flat_footprints, flatten, make_scene, smooth_background

from cnmf_engine.base.errors import InputError
from cnmf_engine.base.parallel import Run, Workers
from cnmf_engine.movies.geometry import coarse_dims, decimate, upsample_image
from cnmf_engine.stages.cnmfe import background, ring
from cnmf_engine.stages.cnmfe.background import fit_ring, fit_ring_movie, reconstruct_background
from cnmf_engine.stages.cnmfe.options import Ring
from cnmf_engine.stages.cnmfe.ring import ring_offsets


def no_cells(d, T):
    return sparse.csc_matrix((d, 0), dtype=np.float32), np.empty((0, T), np.float32)


@pytest.mark.parametrize("radius", [1, 2, 5, 9, 15])
def test_ring_is_one_pixel_thick_and_closed(radius):
    offsets = ring_offsets(radius)
    distance = np.hypot(*offsets.T)
    assert distance.min() > radius
    assert distance.max() <= radius + 1
    assert len({tuple(o) for o in offsets}) == len(offsets)
    assert {tuple(o) for o in -offsets} == {tuple(o) for o in offsets}
    grid = np.hypot(*np.indices((2 * radius + 3,) * 2) - radius - 1)
    assert len(offsets) == np.count_nonzero((grid > radius) & (grid <= radius + 1))
    angles = np.sort(np.arctan2(*offsets.T))
    assert np.diff(angles).max() < 1.6 / radius, "no gap wider than a pixel or two"


def test_weights_lie_on_the_ring_and_only_inside_the_image(rng):
    dims, radius = (19, 23), 5
    Y = rng.normal(size=(dims[0] * dims[1], 60)).astype(np.float32)
    W = fit_ring(Y, *no_cells(*Y.shape), dims, Ring(radius, 1)).W.tocoo()
    assert W.shape == (len(Y), len(Y))
    assert W.dtype == np.float32
    step = np.hypot(W.row % dims[0] - W.col % dims[0], W.row // dims[0] - W.col // dims[0])
    assert step.min() > radius
    assert step.max() <= radius + 1
    offsets = {tuple(o) for o in ring_offsets(radius)}
    for r, c in [(0, 0), (9, 11), (18, 3)]:
        expected = sum(0 <= r + dr < dims[0] and 0 <= c + dc < dims[1] for dr, dc in offsets)
        assert np.count_nonzero(W.row == r + dims[0] * c) == expected


def slow_ring(X, dims, radius):
    """Ridge regression of each pixel on its ring, one after the other."""
    W = np.zeros((len(X), len(X)))
    for p in range(len(X)):
        r, c = p % dims[0], p // dims[0]
        ring = [
            r + dr + dims[0] * (c + dc)
            for dr, dc in ring_offsets(radius)
            if 0 <= r + dr < dims[0] and 0 <= c + dc < dims[1]
        ]
        G = X[ring] @ X[ring].T
        W[p, ring] = np.linalg.solve(G + 1e-5 * np.trace(G) * np.eye(len(ring)), X[ring] @ X[p])
    return W


@pytest.mark.parametrize("ssub", [1, 2])
def test_weights_are_those_of_a_regression_pixel_by_pixel(rng, monkeypatch, ssub):
    dims, T = (13, 16), 90
    Y = rng.normal(size=(dims[0] * dims[1], T)).cumsum(axis=1).astype(np.float32)
    A = flat_footprints(blob(dims, (6, 7), 1.5)[None])
    C = calcium(rng, T)[0][None]
    coarse = coarse_dims(dims, ssub)
    X = decimate(Y, dims, ssub) - decimate(A.toarray(), dims, ssub) @ C
    expected = slow_ring((X - X.mean(axis=1, keepdims=True)).astype(float), coarse, round(4 / ssub))
    model = fit_ring(Y, A, C, dims, Ring(4, ssub))
    np.testing.assert_allclose(model.W.toarray(), expected, atol=2e-3)
    np.testing.assert_allclose(model.b0, Y.mean(axis=1) - A @ C.mean(axis=1), atol=1e-4)
    monkeypatch.setattr(ring, "_TILE", 5)
    tiled = fit_ring(Y, A, C, dims, Ring(4, ssub))
    np.testing.assert_allclose(tiled.W.toarray(), model.W.toarray(), atol=2e-3)


@pytest.mark.parametrize("ssub", [1, 2])
def test_smooth_background_is_predicted_and_cells_are_not_eaten(ssub):
    scene = make_scene()
    model = fit_ring(scene.Y, scene.flat_A, scene.C, scene.dims, Ring(11, ssub))
    B = reconstruct_background(scene.Y, scene.flat_A, scene.C, model.W, model.b0, scene.dims)
    assert explained(flatten(scene.background), B) > 0.95
    np.testing.assert_allclose(B.mean(axis=1), flatten(scene.background).mean(axis=1), atol=1.5)


def test_cells_not_known_yet_stay_in_the_residual():
    """The first fit knows no cells: what it calls background must leave most of each cell behind."""
    scene = make_scene()
    nothing = no_cells(*scene.Y.shape)
    model = fit_ring(scene.Y, *nothing, scene.dims, Ring(11, 2))
    R = scene.Y - reconstruct_background(scene.Y, *nothing, model.W, model.b0, scene.dims)
    for centre, trace in zip(scene.centres.astype(int), scene.C):
        left = R[centre[0] + scene.dims[0] * centre[1]]
        assert np.corrcoef(left, trace)[0, 1] > 0.75
        assert np.polyfit(trace, left, 1)[0] > 0.5


@pytest.mark.parametrize("tile", [5, 32])
@pytest.mark.parametrize("ssub", [1, 2, 3])
def test_a_movie_on_disk_gives_the_model_of_a_movie_in_memory(monkeypatch, tmp_path, tile, ssub):
    monkeypatch.setattr(ring, "_TILE", tile)
    monkeypatch.setattr(background, "_READ_TILE", 2 * tile)
    scene = make_scene((25, 31), T=80, centres=[(8, 9), (15, 22)])
    memory = fit_ring(scene.Y, scene.flat_A, scene.C, scene.dims, Ring(8, ssub))
    file = np.memmap(tmp_path / "Yr.mmap", mode="w+", dtype=np.float32, shape=scene.Y.shape)
    file[:] = scene.Y
    for images in (scene.movie, np.reshape(file.T, scene.movie.shape, order="F")):
        model = fit_ring_movie(images, scene.flat_A, scene.C, ring=Ring(8, ssub))
        np.testing.assert_allclose(model.b0, memory.b0, atol=1e-2)
        np.testing.assert_array_equal(model.W.indices, memory.W.indices)
        a, b = (
            reconstruct_background(scene.Y, scene.flat_A, scene.C, m.W, m.b0, scene.dims)
            for m in (model, memory)
        )
        np.testing.assert_allclose(a, b, atol=0.05)


def test_workers_do_not_change_a_bit(monkeypatch):
    monkeypatch.setattr(ring, "_TILE", 8)
    monkeypatch.setattr(background, "_READ_TILE", 16)
    scene = make_scene()
    alone = fit_ring_movie(scene.movie, scene.flat_A, scene.C, ring=Ring(11))
    with Workers(2) as dview:
        shared = fit_ring_movie(scene.movie, scene.flat_A, scene.C, ring=Ring(11), run=Run(dview))
    np.testing.assert_array_equal(shared.W.data, alone.W.data)
    np.testing.assert_array_equal(shared.W.indices, alone.W.indices)
    np.testing.assert_array_equal(shared.b0, alone.b0)


@pytest.mark.parametrize(("dims", "ssub"), [((12, 15), 1), ((12, 15), 2), ((13, 11), 3), ((7, 7), 3)])
def test_reconstruction_is_the_formula_in_dense_algebra(rng, dims, ssub):
    d, T = dims[0] * dims[1], 20
    coarse = coarse_dims(dims, ssub)
    n = coarse[0] * coarse[1]
    Y, b0 = rng.normal(size=(d, T)).astype(np.float32), rng.normal(size=d).astype(np.float32)
    A, C = rng.random((d, 2)).astype(np.float32), rng.random((2, T)).astype(np.float32)
    W = sparse.random(n, n, 0.3, format="csr", random_state=3, dtype=np.float32)
    up = upsample_image(np.eye(n), coarse, dims, ssub)
    down = up.T / up.sum(axis=0)[:, None]
    dense = b0[:, None] + up @ (W.toarray() @ (down @ (Y - A @ C - b0[:, None])))
    B = reconstruct_background(Y, sparse.csc_matrix(A), C, W, b0, dims)
    assert B.dtype == np.float32
    np.testing.assert_allclose(B, dense, atol=1e-4)
    some = reconstruct_background(Y, sparse.csc_matrix(A), C, W, b0, dims, frames=slice(3, 15, 2))
    np.testing.assert_allclose(some, dense[:, 3:15:2], atol=1e-4)
    without = reconstruct_background(Y, *no_cells(d, T), W, b0, dims)
    np.testing.assert_allclose(
        without, b0[:, None] + up @ (W.toarray() @ (down @ (Y - b0[:, None]))), atol=1e-4
    )


@pytest.mark.parametrize("radius", [9, 14, 40])
@pytest.mark.parametrize("dims", [(10, 10), (8, 12)])
def test_a_ring_outside_the_image_is_refused(rng, radius, dims):
    movie = rng.normal(size=(40, *dims)).astype(np.float32)
    nothing = no_cells(dims[0] * dims[1], 40)
    for fit, data in ((fit_ring_movie, (movie,)), (fit_ring, (flatten(movie),))):
        extra = (dims,) if fit is fit_ring else ()
        with pytest.raises(InputError, match="ring_size_factor"):
            fit(*data, *nothing, *extra, ring=Ring(radius, 1))


def test_a_ring_partly_outside_is_fine_as_long_as_every_pixel_has_some_of_it(rng):
    movie = smooth_background(rng, (12, 12), 60) + rng.normal(size=(60, 12, 12)).astype(np.float32)
    model = fit_ring_movie(movie, *no_cells(144, 60), ring=Ring(6, 1))
    assert np.diff(model.W.indptr).min() > 0


def test_a_constant_movie_has_a_constant_background():
    Y = np.full((14 * 15, 30), 9, np.float32)
    nothing = no_cells(*Y.shape)
    model = fit_ring(Y, *nothing, (14, 15), Ring(4, 2))
    np.testing.assert_allclose(model.b0, 9)
    assert np.isfinite(model.W.data).all()
    np.testing.assert_allclose(reconstruct_background(Y, *nothing, model.W, model.b0, (14, 15)), 9)
