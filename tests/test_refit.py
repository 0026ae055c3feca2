"""Refining a fit with the ring background kept."""

from __future__ import annotations

import logging
import tracemalloc

import numpy as np
import pytest
from scipy import sparse
from short_forms import update_all
from synthetic import cosine, explained, flatten, make_scene
from test_model import PATCHES, fitted, same, whole

from cnmf_engine.base.errors import InputError
from cnmf_engine.base.parallel import Run, Workers
from cnmf_engine.caiman.cnmf import load_CNMF
from cnmf_engine.stages.cnmfe.background import reconstruct_background
from cnmf_engine.stages.cnmfe.options import Ring
from workshop_utils.measures.scoring import match


@pytest.fixture(scope="module")
def scene():
    return make_scene()


@pytest.fixture(scope="module")
def model(scene):
    model = fitted(scene.movie, **PATCHES)
    model.estimates.evaluate_components(scene.movie, model.params)
    return model


def correlations(estimates, scene):
    return {
        j: np.corrcoef(estimates.C[i], scene.C[j])[0, 1]
        for i, j in match(estimates.A, scene.A).pairs.tolist()
    }


def test_refit_keeps_cells_and_background(scene, model):
    before = model.estimates
    kept = before.A.copy(), before.C.copy()
    new = model.refit(scene.movie)
    after = new.estimates
    whole(after, scene.dims, 300)
    np.testing.assert_array_equal(before.A.toarray(), kept[0].toarray(), "the old model stays")
    np.testing.assert_array_equal(before.C, kept[1])
    assert model.params.patch["rf"] == PATCHES["rf"] and new.params is model.params
    old_r, new_r = correlations(before, scene), correlations(after, scene)
    assert set(new_r) == set(old_r)
    for cell, r in old_r.items():
        assert new_r[cell] > r - 0.01
    assert np.median(list(new_r.values())) >= np.median(list(old_r.values())) - 0.002
    B = reconstruct_background(scene.Y, after.A, after.C, after.W, after.b0, scene.dims)
    assert explained(flatten(scene.background), B) > 0.93
    assert (scene.Y - after.A @ after.C - B).std() == pytest.approx(scene.noise, rel=0.15)


def test_refit_repairs_what_was_spoilt(scene, model):
    """Footprints cut in half and traces shrunk come back."""
    spoilt = fitted(scene.movie, **PATCHES)
    A = spoilt.estimates.A.toarray().reshape(*scene.dims, -1, order="F")
    for k, (row, _) in enumerate(spoilt.estimates.center):
        A[: int(row), :, k] = 0
    spoilt.estimates.A = sparse.csc_matrix(A.reshape(-1, A.shape[-1], order="F"))
    half = [
        cosine(spoilt.estimates.A[:, [i]].toarray(), model.estimates.A[:, [i]].toarray()) for i in range(9)
    ]
    again = spoilt.refit(scene.movie).refit(scene.movie).estimates
    better = [cosine(again.A[:, [i]].toarray(), model.estimates.A[:, [i]].toarray()) for i in range(9)]
    assert max(half) < 0.9
    assert min(better) > max(half)
    assert np.mean(better) > 0.95


def test_only_accepted_components_are_kept_and_the_others_set_aside(scene, model):
    chosen = fitted(scene.movie, **PATCHES)
    chosen.estimates.evaluate_components(scene.movie, chosen.params)
    chosen.estimates.idx_components = np.array([1, 3, 4, 6])
    chosen.estimates.idx_components_bad = np.array([0, 2, 5, 7, 8])
    one = chosen.refit(scene.movie).estimates
    assert chosen.estimates.A.shape[1] == 9 and chosen.estimates.idx_kept is None
    np.testing.assert_array_equal(one.idx_kept, [1, 3, 4, 6])
    assert one.discarded_components.A.shape[1] == 5
    assert one.idx_components is None and one.SNR_comp is None
    # The same after a selection, numbers included.
    chosen.estimates.select_components(use_object=True)
    two = chosen.refit(scene.movie).estimates
    np.testing.assert_array_equal(one.C, two.C)
    np.testing.assert_array_equal(two.idx_kept, [1, 3, 4, 6])
    for k, old in enumerate(one.idx_kept):
        assert cosine(one.A[:, [k]].toarray(), model.estimates.A[:, [old]].toarray()) > 0.95
    two.evaluate_components(scene.movie, chosen.params)
    assert len(two.idx_components) == 4
    two.restore_discarded_components()
    assert two.C.shape[0] == two.A.shape[1] == two.nr == 9
    assert two.idx_components is None and len(two.SNR_comp) == 9
    np.testing.assert_array_equal(two.idx_kept, [1, 3, 4, 6, 0, 2, 5, 7, 8])
    two.evaluate_components(scene.movie, chosen.params)
    assert len(two.SNR_comp) == 9


def test_a_loaded_model_can_be_refitted(scene, model, tmp_path):
    model.save(tmp_path / "fit.hdf5")
    loaded = load_CNMF(tmp_path / "fit.hdf5")
    same(loaded.refit(scene.movie), model.refit(scene.movie))


@pytest.mark.parametrize("options", [{"p": 0}, {"p": 2}, {"s_min": 0}], ids=str)
def test_refit_ends_with_the_deconvolution_that_is_asked_for(scene, options):
    model = fitted(scene.movie, **PATCHES | {"dynamics": "per_trace"} | options)
    estimates = model.refit(scene.movie).estimates
    assert estimates.g.shape == (9, max(options.get("p", 1), 1))
    assert len(match(estimates.A, scene.A).pairs) == 9


@pytest.mark.parametrize("ssub_B", [1, 2, 3])
def test_tiles_do_not_show(scene, model, ssub_B):
    """Components come out the same however the field is cut."""
    estimates = model.estimates
    options = dict(sn=estimates.sn, tsub=2, ring=Ring(10.5, ssub_B), p=1)
    whole_field = update_all(scene.movie, estimates.A, estimates.C, run=Run(memory=2**33), **options)
    cut = update_all(scene.movie, estimates.A, estimates.C, run=Run(memory=1), **options)
    np.testing.assert_array_equal(cut.kept, whole_field.kept)
    for k in range(len(cut.kept)):
        assert cosine(cut.A[:, [k]].toarray(), whole_field.A[:, [k]].toarray()) > 0.999
        assert np.corrcoef(cut.C[k], whole_field.C[k])[0, 1] > 0.999


def test_number_of_workers_does_not_change_a_bit(scene, model):
    limited = fitted(scene.movie, **PATCHES, memory_limit="5MB")
    limited.estimates.idx_components = None
    alone = limited.refit(scene.movie)
    for n in (2, 4):
        with Workers(n) as dview:
            same(limited.refit(scene.movie, dview=dview), alone)


def test_memory_follows_the_limit_not_the_field():
    scene = make_scene((96, 120), T=800, seed=2)
    options = dict(sn=np.full(96 * 120, scene.noise), tsub=1, ring=Ring(10.5), p=0, gSiz=1000)
    peaks = []
    for budget in (60 * 2**20, 2**33):
        tracemalloc.start()
        update_all(scene.movie, scene.flat_A, scene.C, run=Run(memory=budget), **options)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[0] < 60 * 2**20
    assert peaks[0] < 0.6 * peaks[1]


def test_refit_needs_a_fit_and_its_movie(scene, model):
    from cnmf_engine.caiman.cnmf import CNMF

    with pytest.raises(InputError, match="call fit first"):
        CNMF(1, params=model.params).refit(scene.movie)
    with pytest.raises(InputError, match="whole movie"):
        model.refit(scene.movie[:200])


def test_refit_of_nothing_is_nothing(scene, caplog):
    model = fitted(scene.movie, min_pnr=5e3)
    with caplog.at_level(logging.WARNING, logger="caiman"):
        estimates = model.refit(scene.movie).estimates
    whole(estimates, scene.dims, 300)
    assert len(estimates.C) == 0
