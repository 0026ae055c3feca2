"""What single parameters of the fit do, as facts of small recordings."""

from __future__ import annotations

import numpy as np
import pytest
from synthetic import make_scene
from test_model import PATCHES, fitted, whole

from workshop_utils.measures.scoring import match

MODES = pytest.mark.parametrize("changes", [{}, PATCHES], ids=["plain", "patched"])


@pytest.fixture(scope="module")
def scene():
    return make_scene()


def correlations(estimates, scene):
    return [np.corrcoef(estimates.C[i], scene.C[j])[0, 1] for i, j in match(estimates.A, scene.A).pairs]


@MODES
@pytest.mark.parametrize("tsub", [1, 3, 4])
def test_averaging_frames_changes_what_is_sought_in_not_what_comes_out(tsub, changes):
    scene = make_scene(T=900)
    estimates = fitted(scene.movie, tsub=tsub, **changes).estimates
    whole(estimates, scene.dims, 900)
    assert len(match(estimates.A, scene.A).pairs) == len(scene.A)
    assert np.median(correlations(estimates, scene)) > 0.96


@MODES
@pytest.mark.parametrize("ssub_B", [1, 3])
def test_the_ring_can_be_fine_or_coarse(scene, ssub_B, changes):
    estimates = fitted(scene.movie, ssub_B=ssub_B, **changes).estimates
    coarse = -(-scene.dims[0] // ssub_B) * -(-scene.dims[1] // ssub_B)
    assert estimates.W.shape == (coarse, coarse)
    assert len(match(estimates.A, scene.A).pairs) == len(scene.A)


@MODES
def test_half_resolution_finds_the_same_cells(scene, changes):
    estimates = fitted(scene.movie, ssub=2, **changes).estimates
    pairs, cosine = match(estimates.A, scene.A)
    assert len(pairs) == len(scene.A)
    assert np.median(cosine) > 0.9
    assert np.median(correlations(estimates, scene)) > 0.9


@MODES
def test_merge_threshold_decides_about_cells_that_fire_together(changes):
    """Two spots that overlap and share their trace are one cell or two, as the threshold says."""
    pair = make_scene((40, 44), centres=[(20, 17), (20, 25), (9, 34)], seed=5)
    C = pair.C.copy()
    C[1] = C[0] + 0.35 * C[1]
    movie = pair.movie + np.tensordot((C - pair.C).T, pair.A, axes=1).astype(np.float32)
    r = np.corrcoef(C[0], C[1])[0, 1]
    assert 0.75 < r < 0.98
    strict = fitted(movie, merge_thr=0.995, **changes).estimates
    loose = fitted(movie, merge_thr=0.4, **changes).estimates
    assert len(strict.C) == 3
    assert len(loose.C) == 2


@pytest.mark.parametrize("rf", [14, (14, 20)])
def test_each_cell_comes_out_once_whatever_the_patches(scene, rf):
    for del_duplicates in (True, False):
        estimates = fitted(scene.movie, rf=rf, stride=8, del_duplicates=del_duplicates).estimates
        assert len(match(estimates.A, scene.A).pairs) == len(estimates.C) == len(scene.A)


def test_one_search_is_enough_for_bright_cells_and_two_find_dim_ones():
    """A dim cell beside a bright one is seen only once the bright one is out of the way."""
    scene = make_scene((44, 48), centres=[(14, 14), (14, 34), (32, 14), (32, 34), (22, 24)], seed=11)
    once = fitted(scene.movie, init_iter=1).estimates
    twice = fitted(scene.movie, init_iter=2).estimates
    assert len(match(once.A, scene.A).pairs) >= 4
    assert len(match(twice.A, scene.A).pairs) == 5
    assert len(twice.C) >= len(once.C)


def test_the_conic_solver_gives_the_same_traces(scene):
    pytest.importorskip("cvxpy", reason="the optional package cvxpy isn't installed")
    few = scene.movie[:150]
    usual = fitted(few, K=2).estimates
    conic = fitted(few, K=2, method_deconvolution="cvxpy").estimates
    for one, other in zip(usual.C, conic.C):
        assert np.corrcoef(one, other)[0, 1] > 0.99
    assert conic.S.min() > -1e-3 * conic.S.max()
