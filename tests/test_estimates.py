"""Estimates: selection keeps fields in step, evaluation, background, residuals, detrending."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from cnmf_engine.base.errors import InputError, ParameterError
from cnmf_engine.caiman.estimates import COMPONENT_FIELDS, Estimates
from cnmf_engine.caiman.params import CNMFParams
from cnmf_engine.movies.access import frames_as_pixels, matching_pixels
from cnmf_engine.stages.cnmfe.background import fit_ring
from cnmf_engine.stages.cnmfe.options import Ring
from cnmf_engine.stages.evaluation import eccentricity

DIMS, T, NOISE = (36, 30), 300, 1.0
CENTRES = np.array([[7, 7], [7, 22], [18, 14], [28, 7], [28, 22]])


def footprints(centres=CENTRES, sigma=2.0):
    rows, columns = np.mgrid[: DIMS[0], : DIMS[1]]
    images = []
    for row, column in centres:
        image = np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * sigma**2))
        image[image < 0.1] = 0
        images.append(image.ravel(order="F") / np.linalg.norm(image))
    return sparse.csc_matrix(np.array(images, dtype=np.float32).reshape(len(centres), -1).T)


def traces(n, rng, size=120.0):
    spikes = (rng.random((n, T)) < 0.03) * rng.uniform(0.7, 1.3, (n, T)) * size
    spikes[:, 20] = size
    C = np.zeros((n, T))
    for t in range(1, T):
        C[:, t] = 0.85 * C[:, t - 1] + spikes[:, t]
    return C.astype(np.float32), spikes.astype(np.float32)


@pytest.fixture(scope="module")
def recording():
    """A movie (T, d1, d2) of five cells on a smooth background, its background (d, T) and its cells."""
    rng = np.random.default_rng(3)
    A = footprints()
    C, S = traces(len(CENTRES), rng)
    rows, columns = np.mgrid[: DIMS[0], : DIMS[1]]
    glow = np.exp(-((rows - 15) ** 2 + (columns - 18) ** 2) / (2 * 15**2)).ravel(order="F")
    slow = 100 + 20 * np.sin(np.arange(T) / 9)
    B = (50 + glow[:, None] * slow).astype(np.float32)
    Y = A @ C + B + rng.normal(0, NOISE, (len(glow), T)).astype(np.float32)
    images = np.ascontiguousarray(Y.T.reshape((T, *DIMS), order="F"))
    return images, B, A, C, S


def fitted(recording, extra=0):
    images, _, A, C, S = recording
    est = Estimates(A=A.copy(), C=C.copy(), dims=DIMS)
    n = A.shape[1]
    Yr = images.reshape(T, -1, order="F").T
    est.W, est.b0 = fit_ring(np.ascontiguousarray(Yr), A, C, DIMS, Ring(9, 1))
    est.S, est.YrA = S.copy(), np.zeros_like(C)
    est.g = np.full((n, 1), 0.85)
    est.bl, est.c1 = np.arange(n) + 0.5, np.zeros(n)
    est.neurons_sn, est.lam = np.ones(n), np.arange(n) * 10.0
    est.center = CENTRES[:n].astype(float)
    est.compute_residuals(Yr)
    est.YrA = est.R.copy()
    return est


def params(**quality):
    return CNMFParams(params_dict={"fr": 10, "gSig": 2, "quality": {"min_SNR": 3, "rval_thr": 0.9} | quality})


def test_fresh_estimates_have_every_field():
    est = Estimates()
    for name in (*COMPONENT_FIELDS, *"W b0 sn b f dims R shifts noisyC Yr_buf groups idx_components".split()):
        assert hasattr(est, name), name
    assert est["shifts"] == [] and est["A"] is None
    assert "nothing was fitted" in repr(est)
    with pytest.raises(KeyError, match="did you mean 'idx_components'"):
        est["idx_component"]


def test_names_and_sizes(recording):
    est = fitted(recording)
    assert len(est.C) == 5 and est["C"] is est.C
    assert "5 components, 300 frames" in repr(est)
    assert "YrA: (5, 300) float32" in str(est)


def test_selection_keeps_every_field_in_step_and_remembers_numbers(recording):
    est = fitted(recording)
    whole = fitted(recording)
    est.cnn_preds = []
    est.idx_components, est.idx_components_bad = np.array([0, 2, 4]), np.array([1, 3])
    est.select_components(use_object=True)
    for name, axis in COMPONENT_FIELDS.items():
        before, after = getattr(whole, name), getattr(est, name)
        if before is not None:
            before = before.toarray() if sparse.issparse(before) else before
            after = after.toarray() if sparse.issparse(after) else after
            np.testing.assert_array_equal(after, np.take(before, [0, 2, 4], axis), err_msg=name)
    assert est.nr == 3 and est.idx_components is None
    np.testing.assert_array_equal(est.idx_kept, [0, 2, 4])
    np.testing.assert_array_equal(est.discarded_components.lam, [10, 30])
    est.select_components([2, 0])
    np.testing.assert_array_equal(est.idx_kept, [4, 0])
    np.testing.assert_array_equal(est.lam, [40, 0])
    np.testing.assert_array_equal(est.discarded_components.idx_kept, [1, 3, 2])
    est.restore_discarded_components()
    np.testing.assert_array_equal(est.idx_kept, [4, 0, 1, 3, 2])
    np.testing.assert_array_equal(est.C, whole.C[est.idx_kept])
    np.testing.assert_array_equal(est.A.toarray(), whole.A.toarray()[:, est.idx_kept])
    assert est.discarded_components is None and est.nr == 5


def test_selecting_nothing_and_bringing_everything_back(recording):
    est = fitted(recording)
    assert est.select_components() is est and est.nr == 5
    est.select_components([])
    assert est.C.shape == (0, T) and est.A.shape == (np.prod(DIMS), 0) and len(est.bl) == 0
    est.restore_discarded_components()
    np.testing.assert_array_equal(est.lam, fitted(recording).lam)
    est.select_components(np.array([True, False, False, False, True]), save_discarded_components=False)
    assert est.nr == 2 and est.discarded_components is None


@pytest.mark.parametrize("wrong", [[5], [-1], [1, 1], [0.5], ["a"]])
def test_components_that_do_not_exist_are_refused(recording, wrong):
    est = fitted(recording)
    with pytest.raises(InputError, match="indices of components, 0 to 4"):
        est.select_components(wrong)
    assert est.nr == 5


def test_fields_out_of_step_are_named(recording):
    est = fitted(recording)
    est.SNR_comp = np.ones(4)
    with pytest.raises(InputError, match="estimates.SNR_comp"):
        est.select_components([0])
    with pytest.raises(InputError, match="accepted components"):
        est.select_components(use_object=True)


def test_normalising_leaves_the_movie_of_cells_as_it_is(recording):
    est = fitted(recording)
    scale = np.array([1, 2, 3, 0.5, 1], dtype=np.float32)
    est.A = sparse.csc_matrix(est.A.multiply(scale))
    before = est.A @ est.C
    bl = est.bl.copy()
    est.normalize_components()
    np.testing.assert_allclose(sparse.linalg.norm(est.A, axis=0), 1, rtol=1e-5)
    np.testing.assert_allclose(est.A @ est.C, before, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(est.bl, bl * scale, rtol=1e-5)
    np.testing.assert_array_equal(est.lam, np.arange(5) * 10.0)
    assert est.C.dtype == np.float32


def test_evaluation_tells_cells_from_noise_for_any_kind_of_movie(recording):
    images = recording[0]
    est = fitted(recording)
    rng = np.random.default_rng(5)
    false = Estimates(A=footprints([[14, 25], [33, 14]]), C=np.abs(rng.normal(0, 3, (2, T))), dims=DIMS)
    est.A = sparse.hstack([est.A, false.A], format="csc")
    est.C = np.vstack([est.C, false.C]).astype(np.float32)
    est.YrA = np.vstack([est.YrA, rng.normal(0, 1, (2, T))]).astype(np.float32)
    est.evaluate_components(images, params())
    np.testing.assert_array_equal(est.idx_components, np.arange(5))
    np.testing.assert_array_equal(est.idx_components_bad, [5, 6])
    assert len(est.SNR_comp) == len(est.r_values) == 7 and est.cnn_preds == []
    mapped = np.asfortranarray(images.reshape(T, -1, order="F").T)
    for other in (mapped, np.reshape(mapped.T, (T, *DIMS), order="F"), images[:, ::1]):
        snr, r = est.SNR_comp, est.r_values
        est.evaluate_components(other, params())
        np.testing.assert_allclose(est.SNR_comp, snr)
        np.testing.assert_allclose(est.r_values, r, rtol=1e-5)


def test_new_thresholds_decide_again_without_measuring(recording):
    images = recording[0]
    est, p = fitted(recording), params()
    est.filter_components(images, p, {"min_SNR": 0.6, "rval_thr": 1})
    assert len(est.idx_components) == 5
    snr = est.SNR_comp
    est.filter_components(None, p, {"min_SNR": float(np.median(snr))})
    assert est.SNR_comp is snr and p.quality["min_SNR"] == np.median(snr)
    np.testing.assert_array_equal(est.idx_components, np.flatnonzero(snr > np.median(snr)))
    est.accepted_list, est.rejected_list = np.array([0]), np.array([1])
    for mode, pool in (("Accepted", [0]), ("Rejected", [1]), ("Unassigned", [2, 3, 4])):
        est.filter_components(None, p, {"min_SNR": 0.6}, select_mode=mode)
        np.testing.assert_array_equal(est.idx_components, pool)
    with pytest.raises(ParameterError, match="select_mode"):
        est.filter_components(None, p, select_mode="Some")
    with pytest.raises(ParameterError, match="did you mean 'min_SNR'"):
        est.filter_components(None, p, {"min_snr": 2})


def test_classifier_is_refused_before_any_work(recording):
    est, p = fitted(recording), params(use_cnn=True)
    with pytest.raises(ParameterError, match="'use_cnn': False"):
        est.evaluate_components(recording[0], p)
    assert est.SNR_comp is None


def test_no_component_and_one_component(recording):
    images = recording[0]
    for n in (0, 1):
        est = fitted(recording)
        est.select_components(np.arange(n))
        est.evaluate_components(images, params())
        assert len(est.idx_components) + len(est.idx_components_bad) == n
        assert est.compute_background(images).shape == (np.prod(DIMS), T)
        assert est.detrend_df_f().F_dff.shape == (n, T)
        assert est.play_movie(images, display=False, frame_range=slice(0, 5)).shape == (5, 36, 90)


def test_movies_of_another_size_are_refused(recording):
    images, est = recording[0], fitted(recording)
    with pytest.raises(InputError, match=r"1080 pixels and 300 frames.*\n.*200 frames"):
        est.evaluate_components(images[:200], params())
    with pytest.raises(InputError, match="whole movie"):
        est.compute_background(images[:, 1:])
    with pytest.raises(InputError, match="components to evaluate"):
        Estimates().evaluate_components(images, params())


def test_elongated_footprints_are_rejected_on_request(recording):
    rows, columns = np.mgrid[: DIMS[0], : DIMS[1]]
    disc = np.exp(-((rows - 18) ** 2 + (columns - 15) ** 2) / 8)
    bar = np.exp(-((rows - 18) ** 2) / 72 - (columns - 15) ** 2 / 2)
    line = (columns == 3).astype(float)
    A = sparse.csc_matrix(np.stack([image.ravel(order="F") for image in (disc, bar, line, 0 * disc)], axis=1))
    ratio = eccentricity(A, DIMS)
    assert ratio[0] == pytest.approx(1, abs=0.02)
    assert 4 < ratio[1] < 6.5
    assert np.isinf(ratio[2]) and ratio[3] == 1
    est = fitted(recording)
    est.A = est.A.tolil()
    est.A[:, 2] = 0
    est.A[np.ravel_multi_index((np.full(20, 18), np.arange(5, 25)), DIMS, order="F"), 2] = 0.2
    est.A = est.A.tocsc()
    est.evaluate_components(recording[0], params(use_ecc=True, rval_lowest=-1))
    assert 2 in est.idx_components_bad and est.ecc[2] > 3


def test_ring_background_is_recovered_also_when_f_is_empty(recording):
    images, B = recording[:2]
    est = fitted(recording)
    est.b, est.f = np.zeros((np.prod(DIMS), 0)), np.zeros((0, T))
    inner = np.zeros(DIMS, bool)
    inner[4:-4, 4:-4] = True
    found = est.compute_background(images)
    error = (found - B)[inner.ravel(order="F")]
    assert found.dtype == np.float32
    assert np.sqrt(np.mean(error**2)) < NOISE
    np.testing.assert_allclose(est.compute_background(images.reshape(T, -1, order="F").T), found)


def test_low_rank_background_and_none(recording):
    images, B = recording[:2]
    est = fitted(recording)
    est.W = est.b0 = None
    with pytest.raises(InputError, match="background model"):
        est.compute_background(images)
    est.b, est.f = sparse.csc_matrix(np.ones((np.prod(DIMS), 1))), np.arange(T)[None]
    np.testing.assert_allclose(est.compute_background(images)[7], np.arange(T))


def test_residual_traces_hold_what_the_model_leaves(recording):
    images = recording[0]
    est = fitted(recording)
    est.YrA = None
    missing = 0.25 * est.C
    est.C = est.C - missing
    est.compute_residuals(images)
    for k in range(5):
        assert np.corrcoef(est.R[k], missing[k])[0, 1] > 0.9
    np.testing.assert_array_equal(est.YrA, est.R)


@pytest.mark.parametrize(
    "options", [{"flag_auto": True}, {"flag_auto": False}, {"flag_auto": False, "use_fast": True}]
)
def test_detrending_removes_drift_and_says_that_it_is_not_dff(recording, options):
    est = fitted(recording)
    drift = np.linspace(0, 400, T, dtype=np.float32)
    est.C = est.C + drift
    est.detrend_df_f(frames_window=60, **options)
    assert est.dff_units == "detrended fluorescence" and est.F_dff.dtype == np.float32
    truth = recording[3]
    for k in range(5):
        assert np.corrcoef(est.F_dff[k], truth[k])[0, 1] > 0.8
        assert np.corrcoef(est.C[k], truth[k])[0, 1] < 0.6
    with pytest.raises(ParameterError, match="frames_window"):
        est.detrend_df_f(frames_window=0)


def test_dff_with_a_low_rank_background_divides_by_it(recording):
    est = fitted(recording)
    est.W, est.YrA = None, np.zeros_like(est.C)
    est.b, est.f = np.ones((np.prod(DIMS), 1), np.float32), np.full((1, T), 10.0)
    est.detrend_df_f(quantileMin=0, frames_window=T, flag_auto=False)
    assert est.dff_units == "DF/F"
    resting = 10 * np.asarray(est.A.sum(axis=0)).ravel()
    np.testing.assert_allclose(est.F_dff, est.C / resting[:, None], rtol=1e-4, atol=1e-5)
    est.detrend_df_f(detrend_only=True)
    assert est.dff_units == "detrended fluorescence"


def test_three_panels_add_up(recording, monkeypatch):
    images = recording[0]
    est = fitted(recording)
    monkeypatch.setenv("CNMF_ENGINE_MEMORY", "1MB")
    panels = np.asarray(
        est.play_movie(images, display=False, bpx=2, frame_range=slice(10, 60, 2), gain_res=1)
    )
    assert panels.shape == (25, 32, 78) and panels.dtype == np.float32
    original, model, left = np.split(panels, 3, axis=2)
    np.testing.assert_array_equal(original, images[10:60:2, 2:-2, 2:-2])
    np.testing.assert_allclose(original, model + left, rtol=1e-4, atol=1e-2)
    assert left.std() < 1.5 * NOISE
    without = np.asarray(est.play_movie(images, display=False, include_bck=False, gain_res=2, thr=0.5))
    rest = without[:, :, 60:]
    np.testing.assert_allclose(without[:, :, :30] - without[:, :, 30:60], rest / 2, rtol=1e-3, atol=1e-2)
    backwards = est.play_movie(images, display=False, frame_range=slice(5, None, -1))
    np.testing.assert_array_equal(np.asarray(backwards)[:, :, :30], images[5::-1])
    with pytest.raises(ParameterError, match="use_color"):
        est.play_movie(images, use_color=True)
    with pytest.raises(InputError, match="bpx = 20"):
        est.play_movie(images, bpx=20)


def test_movies_are_flattened_alike_whichever_way_they_lie(recording):
    images, _, A = recording[:3]
    Yr = images.reshape(T, -1, order="F").T
    mapped = np.reshape(np.ascontiguousarray(Yr).T, (T, *DIMS), order="F")
    np.testing.assert_array_equal(frames_as_pixels(images, slice(3, 9)), Yr[:, 3:9])
    np.testing.assert_array_equal(frames_as_pixels(mapped, slice(3, 9)), Yr[:, 3:9])
    for movie in (images, mapped, Yr):
        flat, ordered = matching_pixels(movie, A)
        assert np.shares_memory(flat, movie)
        np.testing.assert_allclose(ordered.T @ flat, A.T @ Yr, rtol=1e-4)


def test_views_are_drawn(recording):
    pytest.importorskip("matplotlib").use("agg")
    est = fitted(recording)
    est.evaluate_components(recording[0], params())
    picture = recording[0].mean(axis=0)
    for method in ("plot_contours_nb", "nb_view_components", "hv_view_components"):
        getattr(est, method)(img=picture, idx=est.idx_components)
    est.plot_contours(img=picture, idx=est.idx_components, params=params())
    est.view_components(img=picture)
