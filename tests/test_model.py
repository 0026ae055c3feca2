import functools
import logging
from pathlib import Path

import numpy as np
import pytest
import tifffile
from synthetic import explained, flatten, make_scene

from cnmf_engine.base.errors import InputError, ParameterError
from cnmf_engine.base.parallel import Workers
from cnmf_engine.caiman.cnmf import CNMF
from cnmf_engine.caiman.params import CNMFParams
from cnmf_engine.stages.cnmfe import fit as fit_module
from cnmf_engine.stages.cnmfe.background import reconstruct_background
from workshop_utils.measures.scoring import match, score
from workshop_utils.movies.truth import load_truth

GOLDEN = Path(__file__).parent / "golden"
ONE_PHOTON = {
    "method_init": "corr_pnr",
    "K": None,
    "nb": 0,
    "nb_patch": 0,
    "center_psf": True,
    "normalize_init": False,
    "only_init": True,
    "low_rank_background": None,
    "update_background_components": False,
    "del_duplicates": True,
    "ssub": 1,
    "ssub_B": 2,
    "tsub": 2,
    "p": 1,
    "merge_thr": 0.7,
    "fr": 10,
    "decay_time": 1.0,
}
SCENE = ONE_PHOTON | {
    "gSig": (2.5, 2.5),
    "gSiz": (7, 7),
    "min_corr": 0.8,
    "min_pnr": 6,
    "ring_size_factor": 1.5,
    "rf": None,
    "stride": None,
}
PATCHES = {"rf": 16, "stride": 10}
REFERENCE = ONE_PHOTON | {
    "gSig": (3, 3),
    "gSiz": (7, 7),
    "min_corr": 0.8,
    "min_pnr": 10,
    "rf": 40,
    "stride": 20,
    "ring_size_factor": 1.4,
    "decay_time": 0.4,
}
FIELDS = ("C", "S", "YrA", "g", "bl", "c1", "neurons_sn", "lam", "b0", "sn", "center")


def fitted(movie, options=SCENE, dview=None, **changes):
    model = CNMF(1, params=CNMFParams(params_dict=options | changes), dview=dview)
    assert model.fit(movie) is None
    return model


def same(one, other):
    """Whether two fits agree in every bit."""
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(one.estimates, name), getattr(other.estimates, name), name)
    for name in ("A", "W"):
        a, b = (getattr(fit.estimates, name).sorted_indices() for fit in (one, other))
        np.testing.assert_array_equal(a.data, b.data, name)
        np.testing.assert_array_equal(a.indices, b.indices, name)


def whole(estimates, dims, T):
    """Check that all fields of the estimates fit together."""
    d, K = dims[0] * dims[1], len(estimates.C)
    assert estimates.A.shape == (d, K)
    assert estimates.A.format == "csc"
    assert estimates.A.dtype == np.float32
    for name in ("C", "S", "YrA"):
        assert getattr(estimates, name).shape == (K, T)
        assert getattr(estimates, name).dtype == np.float32
    assert estimates.g.shape == (K, 1)  # calcium jumps in this scene
    for name in ("bl", "c1", "neurons_sn", "lam"):
        assert getattr(estimates, name).shape == (K,)
        assert getattr(estimates, name).dtype == np.float64
    coarse = -(-dims[0] // 2) * -(-dims[1] // 2)
    assert estimates.W.shape == (coarse, coarse)
    assert estimates.W.format == "csr"
    assert estimates.b0.shape == estimates.sn.shape == (d,)
    assert estimates.center.shape == (K, 2)
    assert estimates.b is None
    assert estimates.f is None
    assert estimates.nr == K
    assert tuple(estimates.dims) == tuple(dims)
    for name in FIELDS:
        assert np.isfinite(getattr(estimates, name)).all(), name


@pytest.fixture(scope="module")
def scene():
    return make_scene()


@pytest.fixture(scope="module")
def plain(scene):
    return fitted(scene.movie)


@pytest.fixture(scope="module")
def patched(scene):
    return fitted(scene.movie, **PATCHES)


@pytest.mark.parametrize("mode", ["plain", "patched"])
def test_planted_cells_are_found(request, scene, mode):
    estimates = request.getfixturevalue(mode).estimates
    whole(estimates, scene.dims, 300)
    pairs, cosine = match(estimates.A, scene.A)
    assert len(pairs) == len(scene.A) == len(estimates.C)
    assert cosine.min() > 0.95
    r = [np.corrcoef(estimates.C[i], scene.C[j])[0, 1] for i, j in pairs]
    assert np.median(r) > 0.97
    assert min(r) > 0.9
    for i, j in pairs:
        np.testing.assert_allclose(estimates.center[i], scene.centres[j], atol=0.5)


@pytest.mark.parametrize("mode", ["plain", "patched"])
def test_footprints_have_unit_length_and_traces_carry_the_units(request, scene, mode):
    estimates = request.getfixturevalue(mode).estimates
    np.testing.assert_allclose(np.sqrt(estimates.A.power(2).sum(axis=0)), 1, rtol=1e-5)
    for i, j in match(estimates.A, scene.A).pairs:
        raw = estimates.A[:, [i]].max() * (estimates.C + estimates.YrA)[i]
        assert np.polyfit(scene.C[j], raw, 1)[0] == pytest.approx(1, abs=0.25)


@pytest.mark.parametrize("mode", ["plain", "patched"])
def test_traces_are_deconvolved(request, mode):
    estimates = request.getfixturevalue(mode).estimates
    assert estimates.S.min() >= 0
    calcium = estimates.C - estimates.bl[:, None]
    rebuilt = calcium[:, 1:] - estimates.g * calcium[:, :-1]
    np.testing.assert_allclose(rebuilt, estimates.S[:, 1:], atol=1e-3 * calcium.max())
    assert np.all((estimates.g > 0.5) & (estimates.g < 1))
    assert np.all(estimates.neurons_sn > 0)


@pytest.mark.parametrize("mode", ["plain", "patched"])
def test_movie_is_cells_plus_background_plus_noise(request, scene, mode):
    e = request.getfixturevalue(mode).estimates
    B = reconstruct_background(scene.Y, e.A, e.C, e.W, e.b0, scene.dims)
    assert explained(flatten(scene.background), B) > 0.93
    assert (scene.Y - e.A @ e.C - B).std() == pytest.approx(scene.noise, rel=0.15)


@pytest.mark.parametrize("changes", [{}, PATCHES], ids=["plain", "patched"])
def test_number_of_workers_does_not_change_a_bit(request, scene, changes):
    alone = request.getfixturevalue("patched" if changes else "plain")
    with Workers(2) as dview:
        same(fitted(scene.movie, dview=dview, **changes), alone)


def test_memory_map_array_and_any_layout_give_the_same_result(scene, plain, patched, tmp_path):
    file = np.memmap(tmp_path / "Yr.mmap", mode="w+", dtype=np.float32, shape=scene.Y.shape)
    file[:] = scene.Y
    file.flush()
    Yr = np.memmap(tmp_path / "Yr.mmap", mode="r", dtype=np.float32, shape=scene.Y.shape)
    images = np.reshape(Yr.T, scene.movie.shape, order="F")
    mapped = fitted(images)
    same(mapped, plain)
    assert Path(mapped.mmap_file).name == "Yr.mmap"
    assert plain.mmap_file is None
    same(fitted(images, **PATCHES), patched)
    same(fitted(np.asfortranarray(scene.movie), **PATCHES), patched)
    same(fitted(images[20:220]), fitted(scene.movie[20:220]))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float64])
def test_movies_of_other_types_are_accepted(scene, dtype):
    movie = (scene.movie / 4).clip(0, 255).astype(dtype)
    model = fitted(movie)
    assert len(match(model.estimates.A, scene.A).pairs) >= len(scene.A) - 1
    same(model, fitted(movie.astype(np.float32)))


def test_rows_and_columns_can_be_chosen(scene):
    rows, columns = slice(4, 46), slice(2, 50)
    model = CNMF(1, params=CNMFParams(params_dict=SCENE))
    model.fit(scene.movie, indices=(rows, columns))
    assert model.dims == (42, 48)
    same(model, fitted(np.ascontiguousarray(scene.movie[:, rows, columns])))


def test_parameters_are_shared_and_know_the_movie(scene, plain):
    params = CNMFParams(params_dict=SCENE)
    model = CNMF(3, params=params)
    assert model.params is params
    assert params.patch["n_processes"] == 3
    assert tuple(plain.params.data["dims"]) == plain.dims == scene.dims
    assert plain.params.online["init_batch"] == len(scene.movie)


def test_without_params_keywords_make_them():
    model = CNMF(2, gSig=(3, 3), method_init="corr_pnr", min_corr=0.7, gnb=0)
    assert model.params.init["method_init"] == "corr_pnr"
    assert model.params.init["min_corr"] == 0.7
    assert model.dview is None


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("changes", [{}, PATCHES], ids=["plain", "patched"])
def test_order_zero_leaves_traces_clipped(scene, order, changes):
    estimates = fitted(scene.movie, p=order, **changes).estimates
    assert len(estimates.C) == len(scene.A)
    clipped = np.array_equal(estimates.C, np.maximum(estimates.C + estimates.YrA, 0))
    assert clipped == (order == 0)


def test_half_resolution_works(scene):
    estimates = fitted(scene.movie, ssub=2).estimates
    whole(estimates, scene.dims, 300)
    assert len(match(estimates.A, scene.A).pairs) >= len(scene.A) - 1
    whole(fitted(scene.movie[:, :47, :53], ssub=2, **PATCHES).estimates, (47, 53), 300)


@pytest.mark.parametrize("K", [1, 2])
def test_components_can_be_limited(scene, K):
    assert len(fitted(scene.movie, K=K).estimates.C) == K
    n_patches = 12
    assert 0 < len(fitted(scene.movie, K=K, **PATCHES).estimates.C) <= K * n_patches


def test_twins_are_removed_or_merged(scene, patched):
    """Both ways to deal with cells seen by several patches end with each cell once."""
    merged = fitted(scene.movie, del_duplicates=False, **PATCHES)
    assert merged.estimates.merged_ROIs, "twins were joined"
    pairs, cosine = match(merged.estimates.A, scene.A)
    assert len(pairs) == len(merged.estimates.C) == len(scene.A)
    assert cosine.min() > 0.9
    assert len(patched.estimates.C) == len(scene.A)


def test_merging_can_be_turned_off(scene):
    twins = fitted(scene.movie, del_duplicates=False, do_merge=False, **PATCHES).estimates
    assert len(twins.C) > len(scene.A)
    assert not twins.merged_ROIs
    once = fitted(scene.movie, do_merge=False, **PATCHES).estimates
    assert len(once.C) < len(twins.C)


@pytest.mark.parametrize("changes", [{}, PATCHES], ids=["plain", "patched"])
def test_nothing_found_is_a_result_and_is_said(scene, caplog, changes):
    with caplog.at_level(logging.WARNING, logger="caiman"):
        model = fitted(scene.movie, min_pnr=5e3, **changes)
    whole(model.estimates, scene.dims, 300)
    assert len(model.estimates.C) == 0
    (text,) = (r.getMessage() for r in caplog.records if r.name == "caiman" and r.levelno == logging.WARNING)
    for part in ("Expected", "5000", "Found 0", "To go on", "min_pnr", "min_corr"):
        assert part in text
    np.testing.assert_allclose(model.estimates.b0, scene.Y.mean(axis=1), rtol=1e-5)
    assert "0 components" in repr(model)


def test_one_component():
    scene = make_scene((30, 32), centres=[(14, 16)], seed=3)
    for changes in ({}, {"rf": 10, "stride": 6}):
        estimates = fitted(scene.movie, **changes).estimates
        whole(estimates, scene.dims, 300)
        assert match(estimates.A, scene.A).pairs.tolist() == [[0, 0]]
        assert len(estimates.C) == 1


@pytest.mark.parametrize("changes", [{}, PATCHES], ids=["plain", "patched"])
@pytest.mark.parametrize("shape", [(60, 40, 44), (1, 40, 44), (3, 40, 44)])
def test_constant_and_very_short_movies_have_no_components(caplog, changes, shape):
    model = fitted(np.full(shape, 12, np.uint16), **changes)
    whole(model.estimates, shape[1:], shape[0])
    assert len(model.estimates.C) == 0
    assert "Found 0" in caplog.text


@pytest.mark.parametrize("changes", [{}, PATCHES], ids=["plain", "patched"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_missing_values_are_refused_with_their_place(scene, changes, value):
    movie = scene.movie.copy()
    movie[7, 3, 40:43] = value
    with pytest.raises(InputError, match=r"(?s)3 of \d+ pixels.*rows 0-.*border_nan"):
        fitted(movie, **changes)


@pytest.mark.parametrize(
    "bad", [np.zeros((30, 40)), np.zeros((0, 10, 10)), np.zeros((2, 3, 4, 5)), [1, 2, 3]]
)
def test_what_is_not_a_movie_is_refused(bad):
    with pytest.raises(InputError, match="frames, rows, columns"):
        fitted(bad)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"method_init": "greedy_roi"}, "greedy_roi"),
        ({"nb": 2, "nb_patch": 2}, "nb=2"),
        ({"method_deconvolution": "debug"}, "'debug'"),
        ({"p": 2, "optimize_g": True}, "optimize_g=True with p = 2"),
    ],
    ids=str,
)
@pytest.mark.parametrize("patches", [{}, PATCHES], ids=["plain", "patched"])
def test_what_the_engine_does_not_have_is_refused_before_any_work(scene, monkeypatch, change, text, patches):
    def refuse(*_, **__):
        raise AssertionError("started before the parameters were checked")

    monkeypatch.setattr(fit_module, "initialize", refuse)
    with pytest.raises(ParameterError, match=text):
        fitted(scene.movie, **patches | change)


@pytest.fixture(scope="module")
def usually(scene):
    """Fit as most people do, each way once."""
    return functools.cache(lambda **changes: fitted(scene.movie, **changes))


@pytest.mark.parametrize(
    "change", [{"p": 2}, {"s_min": -2.0}, {"s_min": 0}, {"optimize_g": True}, {"p": 2, "p_patch": 2}], ids=str
)
@pytest.mark.parametrize("patches", [{}, PATCHES], ids=["plain", "patched"])
def test_the_last_deconvolution_can_be_another(scene, usually, change, patches):
    patches = patches | {"dynamics": "per_trace"}
    usual = patches | {"p_patch": min(change.get("p_patch", 0), 1)}
    plain = usually(**usual).estimates
    other = fitted(scene.movie, **patches | change).estimates
    # Cells and raw traces are those of the usual search; what is made of the traces differs.
    np.testing.assert_allclose(other.A.toarray(), plain.A.toarray(), atol=1e-6)
    raw = plain.C + plain.YrA
    np.testing.assert_allclose(other.C + other.YrA, raw, atol=2e-5 * np.abs(raw).max())
    assert other.g.shape == (len(plain.C), change.get("p", 1))
    assert not np.allclose(other.S, plain.S)
    for mine, before in zip(other.C, plain.C):
        assert np.corrcoef(mine, before)[0, 1] > 0.9


def test_what_measured_dynamics_leave_without_effect_is_said(scene, plain, caplog):
    with caplog.at_level("WARNING", logger="caiman"):
        other = fitted(scene.movie, optimize_g=True)
    assert "dynamics='per_trace'" in caplog.text
    same(other, plain)


def test_a_low_rank_start_of_the_background_is_refused():
    with pytest.raises(ParameterError, match="b_in"):
        CNMF(1, params=CNMFParams(params_dict=SCENE), b_in=np.zeros((5, 1)))


@pytest.mark.parametrize(
    "changes", [{"ring_size_factor": 12}, {"ring_size_factor": 4, "rf": 10, "stride": 4}]
)
def test_a_ring_outside_the_patch_is_refused(scene, changes):
    with pytest.raises(InputError, match="ring_size_factor"):
        fitted(scene.movie, **changes)


def test_a_second_fit_leaves_nothing_of_the_first(scene):
    model = fitted(scene.movie, **PATCHES)
    estimates = model.estimates
    estimates.idx_components, estimates.idx_components_bad = np.arange(5), np.arange(5, 9)
    estimates.SNR_comp = estimates.r_values = np.ones(9)
    estimates.coordinates = [{}] * 9
    model.params.change_params({"K": 1, "rf": None})
    model.fit(scene.movie)
    after = model.estimates
    assert len(after.C) == 1
    for name in ("idx_components", "idx_components_bad", "SNR_comp", "r_values", "coordinates"):
        assert getattr(after, name) is None, name
    assert not after.merged_ROIs


@pytest.mark.parametrize("changes", [{}, PATCHES], ids=["plain", "patched"])
def test_no_component_reaches_into_the_border(scene, changes):
    estimates = fitted(scene.movie, border_pix=4, **changes).estimates
    whole(estimates, scene.dims, 300)
    image = np.asarray(estimates.A.sum(axis=1)).reshape(scene.dims, order="F")
    assert image.any()
    assert not image[:4].any()
    assert not image[:, -4:].any()


def test_golden_movie_is_as_good_as_the_reference():
    """CaImAn finds 18 of the 30 cells, none false, with a median trace correlation of 0.976."""
    movie = tifffile.imread(GOLDEN / "still.tif")
    model = fitted(movie, REFERENCE)
    whole(model.estimates, (96, 96), 400)
    result = score(model.estimates.A, model.estimates.C, load_truth(GOLDEN / "still_truth.npz"))
    assert result.precision >= 0.95
    assert result.recall >= 0.60
    assert result.trace_r_median >= 0.97
    assert result.cosine_median >= 0.95
