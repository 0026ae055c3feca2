"""Fits that start from what somebody knows: footprints, or the cells' centres."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from scipy import ndimage, sparse
from synthetic import blob, cosine, flat_footprints, make_scene
from test_model import PATCHES, SCENE, fitted, whole

from cnmf_engine.base.errors import InputError, ParameterError
from cnmf_engine.caiman.cnmf import CNMF
from cnmf_engine.caiman.params import CNMFParams
from cnmf_engine.stages.cnmfe.starting import checked_footprints, given_first
from workshop_utils.measures.scoring import match

MODES = pytest.mark.parametrize("changes", [{}, PATCHES], ids=["plain", "patched"])


@pytest.fixture(scope="module")
def scene():
    return make_scene()


def masks(scene):
    """Discs a person would draw: a pixel beside the cell, and too large."""
    images = np.array([blob(scene.dims, centre + (1, -1), 3.2) > 0.3 for centre in scene.centres])
    return images.reshape(len(images), -1, order="F").T


def started(scene, Ain, **changes):
    model = CNMF(1, params=CNMFParams(params_dict=SCENE | changes), Ain=Ain)
    model.fit(scene.movie)
    return model


@MODES
@pytest.mark.parametrize("kind", ["mask", "dense", "sparse"])
def test_given_footprints_come_back_refined_and_in_their_order(scene, changes, kind):
    drawn = masks(scene)
    Ain = {"mask": drawn, "dense": drawn * 2.5, "sparse": sparse.csr_matrix(drawn, dtype=float)}[kind]
    estimates = started(scene, Ain, init_iter=1, **changes).estimates
    whole(estimates, scene.dims, 300)
    assert len(estimates.C) == len(scene.A)
    for k, truth in enumerate(scene.A):
        before = cosine(drawn[:, k], truth.ravel(order="F"))
        after = cosine(estimates.A[:, [k]].toarray(), truth.ravel(order="F"))
        assert before < 0.9 < 0.95 < after
        assert np.corrcoef(estimates.C[k], scene.C[k])[0, 1] > 0.9


@MODES
def test_more_cells_are_sought_in_what_given_footprints_leave(scene, changes):
    some = masks(scene)[:, [4, 1]]
    only = started(scene, some, init_iter=1, **changes).estimates
    assert len(only.C) == 2
    more = started(scene, some, init_iter=2, **changes).estimates
    pairs, similar = match(more.A, scene.A)
    assert len(pairs) >= len(scene.A) - 1
    assert dict(pairs.tolist())[0] == 4 and dict(pairs.tolist())[1] == 1
    assert similar.min() > 0.9


def test_a_started_fit_can_be_evaluated_and_saved(scene, tmp_path):
    model = started(scene, masks(scene), init_iter=1, rf=16, stride=10)
    model.estimates.evaluate_components(scene.movie, model.params)
    assert len(model.estimates.idx_components) == len(scene.A)
    model.save(tmp_path / "started.hdf5")


@MODES
def test_a_silent_footprint_is_named(scene, caplog, changes):
    nothing = np.zeros(scene.dims, bool)
    nothing[40:45, 48:53] = True
    still = make_scene(centres=scene.centres[:3])
    Ain = np.column_stack([flat_footprints(still.A).toarray(), nothing.ravel(order="F")])
    with caplog.at_level(logging.WARNING, logger="caiman"):
        found = started(still, Ain, init_iter=1, min_pnr=20, **changes).estimates
    pairs, _ = match(found.A[:, :3], still.A)
    assert pairs.tolist() == [[0, 0], [1, 1], [2, 2]]
    if len(found.C) == 3:
        assert "given footprints [3]" in caplog.text


@MODES
def test_given_seeds_give_exactly_those_cells(scene, changes):
    chosen = [7, 2, 5]
    seeds = np.rint(scene.centres[chosen]).astype(int) + [[1, 0], [0, -1], [0, 0]]
    # Thresholds that nothing passes: they aren't asked.
    estimates = fitted(scene.movie, seed_method=seeds, min_corr=0.99, min_pnr=500, **changes).estimates
    whole(estimates, scene.dims, 300)
    pairs, similar = match(estimates.A, scene.A)
    assert len(estimates.C) == 3
    assert sorted(pairs[:, 1].tolist()) == sorted(chosen)
    assert similar.min() > 0.9


def test_seeds_work_at_half_resolution(scene):
    seeds = np.rint(scene.centres[:4]).astype(int)
    estimates = fitted(scene.movie, seed_method=seeds, ssub=2).estimates
    assert sorted(match(estimates.A, scene.A).pairs[:, 1].tolist()) == [0, 1, 2, 3]
    assert len(estimates.C) == 4


def test_seeds_without_a_cell_are_named(scene, caplog):
    still = make_scene(centres=scene.centres[:2], background=False)
    seeds = [*np.rint(still.centres).astype(int).tolist(), (40, 50)]
    with caplog.at_level(logging.WARNING, logger="caiman"):
        estimates = fitted(still.movie, seed_method=seeds).estimates
    assert len(match(estimates.A, still.A).pairs) == 2
    covered = estimates.A[40 + still.dims[0] * 50].nnz > 0
    assert covered or "(40, 50)" in caplog.text


@pytest.mark.parametrize("method", ["manual", "semi"])
def test_clicking_is_refused_with_what_to_do_instead(scene, method):
    with pytest.raises(ParameterError, match=r"(?s)array \(n, 2\).*clicking.*seed_method"):
        fitted(scene.movie, seed_method=method)


def test_seeds_outside_the_movie_are_refused(scene):
    with pytest.raises(InputError, match=r"(?s)48 x 56.*1 outside.*\(20, 56\).*not \(x, y\)"):
        fitted(scene.movie, seed_method=[(3, 4), (20, 56)])
    with pytest.raises(InputError, match="both"):
        started(scene, masks(scene), seed_method=[(3, 4)])


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda A: A[:-1], r"shape \(2688, K\).*\n.*2687"),
        (lambda A: A.astype(str), "shape"),
        (lambda A: -A.astype(float), "negative"),
        (lambda A: np.where(A, np.nan, 0), "NaN"),
        (lambda A: np.column_stack([A, 0 * A[:, 0]]), "column 9"),
    ],
)
def test_footprints_that_cannot_be_used_are_refused(scene, change, text):
    with pytest.raises(InputError, match=text):
        started(scene, change(masks(scene)))


def test_images_are_flattened_and_components_ordered(scene):
    A = checked_footprints(scene.A, scene.dims)
    np.testing.assert_array_equal(A.toarray(), scene.flat_A.toarray())
    smooth = np.array([ndimage.gaussian_filter(image, 1) for image in scene.A])
    shuffled = flat_footprints(smooth[[3, 0, 8, 1]])
    np.testing.assert_array_equal(given_first(shuffled, A[:, [0, 1, 2, 3]]), [1, 3, 0, 2])
