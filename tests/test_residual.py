import numpy as np
import pytest
from scipy import sparse
from synthetic import make_scene

from cnmf_engine.base.errors import InputError
from cnmf_engine.stages.cnmfe.background import fit_ring, reconstruct_background
from cnmf_engine.stages.cnmfe.options import Ring
from cnmf_engine.stages.cnmfe.residual import BackgroundFree


@pytest.mark.parametrize("ssub", [1, 2, 3])
@pytest.mark.parametrize(("dims", "T"), [((48, 56), 300), ((47, 53), 300), ((36, 38), 900)])
def test_what_is_left_is_the_movie_less_the_ring_of_the_latest_components(ssub, dims, T):
    """Of long movies the ring's products are kept, of short ones not."""
    scene = make_scene(dims, T=T, seed=3)
    movie = BackgroundFree(scene.Y.copy(), dims, radius=10, ssub=ssub)
    for n in (0, 2, len(scene.C)):
        A, C = sparse.csc_matrix(scene.flat_A[:, :n]), scene.C[:n]
        movie.refit(A, C)
        ring = fit_ring(scene.Y, A, C, dims, Ring(10, ssub))
        B = reconstruct_background(scene.Y, A, C, ring.W, ring.b0, dims)
        np.testing.assert_allclose(movie.R, scene.Y - B, atol=0.02)
        np.testing.assert_allclose(movie.b0, ring.b0, rtol=1e-5)


def test_cells_taken_off_and_put_back_leave_the_movie_as_it_was():
    scene = make_scene(seed=3)
    movie = BackgroundFree(scene.Y.copy(), scene.dims, radius=10, ssub=2)
    movie.add(scene.flat_A, scene.C, sign=-1)
    np.testing.assert_allclose(movie.R, scene.Y - scene.flat_A @ scene.C, atol=1e-2)
    movie.add(scene.flat_A, scene.C)
    np.testing.assert_allclose(movie.R, scene.Y, atol=1e-2)
    movie.add(scene.flat_A[:, :0], scene.C[:0])


def test_a_ring_wider_than_the_field_is_refused():
    scene = make_scene(seed=3)
    with pytest.raises(InputError, match="ring_size_factor"):
        BackgroundFree(scene.Y.copy(), scene.dims, radius=100, ssub=2)
