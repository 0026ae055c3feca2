"""Evaluation: parity with the reference, facts about the two measures, and degenerate components."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import tifffile
from scipy import ndimage, sparse, stats

from cnmf_engine.base.errors import InputError, ParameterError
from cnmf_engine.stages import evaluation, transients
from cnmf_engine.stages.evaluation import decide, spatial_correlation, transient_snr

GOLDEN = Path(__file__).parent / "golden"
LIMITS = {"min_SNR": 3, "rval_thr": 0.85, "SNR_lowest": 0.5, "rval_lowest": -1}


@pytest.fixture(scope="module")
def golden():
    h5py = pytest.importorskip("h5py")
    with h5py.File(GOLDEN / "still_caiman.hdf5") as file:
        estimates = file["estimates"]
        A = estimates["A"]
        footprints = sparse.csc_matrix(
            (A["data"][()], A["indices"][()], A["indptr"][()]), shape=tuple(A["shape"][()])
        )
        C, YrA = estimates["C"][()], estimates["YrA"][()]
    movie = tifffile.imread(GOLDEN / "still.tif").astype(np.float32)
    Yr = np.ascontiguousarray(movie.reshape(len(movie), -1, order="F").T)
    with np.load(GOLDEN / "still_reference.npz") as archive:
        reference = {key: archive[key] for key in ("SNR_comp", "r_values", "idx_components")}
    return Yr, footprints, C, C + YrA, reference


def test_snr_is_the_reference_s(golden):
    *_, traces, reference = golden
    assert np.allclose(transient_snr(traces, fr=10, decay_time=0.4), reference["SNR_comp"], rtol=1e-3)


@pytest.mark.parametrize("order", ["C", "F"])
def test_spatial_correlation_is_the_reference_s(golden, order):
    Yr, A, C, _, reference = golden
    found = spatial_correlation(np.asarray(Yr, order=order), A, C, fr=10)
    assert np.allclose(found, reference["r_values"], atol=1e-4)


def test_the_same_components_are_accepted(golden):
    Yr, A, C, traces, reference = golden
    decision = decide(transient_snr(traces, 10, 0.4), spatial_correlation(Yr, A, C, 10), **LIMITS)
    assert np.array_equal(decision.accepted, reference["idx_components"])
    assert np.array_equal(decision.rejected, [1])


def noise(T: int = 2000, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1, T)


def test_snr_of_a_kept_up_level_is_a_third_of_it():
    trace = noise()
    for level in (9.0, 15.0, 30.0):
        raised = trace.copy()
        raised[1000:1004] = level
        expected = level / 3
        assert transient_snr(raised[None], 10, 0.4)[0] == pytest.approx(expected, rel=0.2)


def test_snr_ignores_scale_offset_and_slow_drift():
    trace = noise(4000)
    trace[2000:2006] += 12
    drift = 4 * np.sin(np.linspace(0, 2 * np.pi, 4000))
    plain, scaled, drifting = transient_snr(np.stack([trace, 50 * trace + 900, trace + drift]), 10, 0.4)
    assert scaled == pytest.approx(plain, rel=1e-6)
    assert drifting == pytest.approx(plain, rel=0.25)


def test_snr_of_noise_alone_is_low():
    traces = np.stack([noise(seed=seed) for seed in range(20)])
    assert transient_snr(traces, 10, 0.4).max() < 1.0


def test_very_large_transients_stay_finite_and_ordered():
    traces = np.stack([noise()] * 3)
    traces[0, 1000:1010], traces[1, 1000:1010], traces[2, 1000:1010] = 100, 1000, 1e5
    found = transient_snr(traces, 10, 0.4)
    # The tail of a normal distribution underflows from 38 standard deviations.
    assert stats.norm.sf(found[1]) == 0
    assert np.isfinite(found).all() and np.all(np.diff(found) > 0)


def test_degenerate_traces_score_zero(caplog):
    traces = np.stack([noise(300), np.full(300, 5.3), np.zeros(300), noise(300)])
    traces[3, 7] = np.nan
    with caplog.at_level(logging.WARNING, "caiman"):
        found = transient_snr(traces, 10, 0.4)
    assert np.array_equal(found[1:], np.zeros(3)) and found[0] != 0
    assert (
        "3 component(s) have a trace that is constant or holds NaN" in caplog.text
        and "1, 2, 3" in caplog.text
    )


@pytest.mark.parametrize("T", [1, 2, 3, 7, 11, 23])
def test_short_traces_give_a_number(T):
    assert np.isfinite(transient_snr(noise(T)[None], 10, 0.4)).all()


def two_cells(overlap: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Movie (d, T), footprints (d, 2) and traces of two cells that take turns."""
    rng = np.random.default_rng(1)
    rows, cols = np.indices((20, 40))
    centres = ((10, 12), (10, 17 if overlap else 30))
    images = [np.exp(-((rows - y) ** 2 + (cols - x) ** 2) / (2 * 2.5**2)) for y, x in centres]
    A = np.stack([np.where(image > 0.1, image, 0).ravel(order="F") for image in images], axis=1)
    C = np.zeros((2, 400))
    for start in (40, 140, 240, 340):
        C[0, start : start + 10] = np.exp(-np.arange(10) / 4) * 40
        C[1, start + 4 : start + 14] = np.exp(-np.arange(10) / 4) * 40
    C[0, 190:200] = C[1, 290:300] = np.exp(-np.arange(10) / 4) * 30
    return (A @ C + rng.normal(0, 0.5, (800, 400))).astype(np.float32), A, C


def test_true_footprints_match_and_wrong_ones_do_not():
    Yr, A, C = two_cells(overlap=False)
    assert spatial_correlation(Yr, A, C, 10).min() > 0.95
    backwards = A[::-1]
    assert spatial_correlation(Yr, backwards, C[::-1], 10).max() < 0.99
    shuffled = A.copy()
    inside = A[:, 0] > 0
    shuffled[inside, 0] = np.random.default_rng(2).permutation(A[inside, 0])
    assert spatial_correlation(Yr, shuffled, C, 10)[0] < 0.3


def test_frames_of_an_overlapping_neighbour_are_left_out():
    Yr, A, C = two_cells(overlap=True)
    alone = spatial_correlation(Yr, A, C, 10)
    assert alone.min() > 0.97
    # Without the neighbour its light is counted in.
    single = spatial_correlation(Yr, A[:, :1], C[:1], 10)
    assert single[0] < alone[0] - 0.02


def test_neighbours_count_whatever_the_order():
    Yr, A, C = two_cells(overlap=True)
    # Sixty small components far off in between, as many as would fill a group.
    filler = np.zeros((800, 60))
    filler[np.arange(60) + 700, np.arange(60)] = 1
    apart_A = np.hstack([A[:, :1], filler, A[:, 1:]])
    apart_C = np.vstack([C[:1], np.zeros((60, 400)), C[1:]])
    assert np.allclose(
        spatial_correlation(Yr, apart_A, apart_C, 10)[[0, -1]], spatial_correlation(Yr, A, C, 10)
    )


def test_components_that_always_share_their_frames_are_reported(caplog):
    Yr, A, C = two_cells(overlap=True)
    with caplog.at_level(logging.WARNING, "caiman"):
        found = spatial_correlation(Yr, A, np.stack([C[0], C[0]]), 10)
    assert "2 component(s) are never active without" in caplog.text
    assert np.isfinite(found).all()


def test_degenerate_components(caplog):
    Yr, A, C = two_cells(overlap=False)
    traces = np.stack([np.ones(400), C[0], C[0], C[0], np.full(400, np.nan)])
    footprints = np.stack([A[:, 0], np.zeros(800), A[:, 0] > 0, A[:, 0], A[:, 0]], axis=1).astype(float)
    footprints[:, 1][[0, 1]] = 1.0
    constant = Yr.copy()
    with caplog.at_level(logging.WARNING, "caiman"):
        found = spatial_correlation(constant, footprints, traces, 10)
    assert found[0] == 0 and found[1] == 0 and found[4] == 0
    assert found[2] == -1 and "without contrast; their r is set to -1: 2" in caplog.text


def test_nan_pixels_of_the_movie_are_left_out():
    Yr, A, C = two_cells(overlap=False)
    whole = spatial_correlation(Yr, A, C, 10)
    holed = Yr.copy()
    holed[np.flatnonzero(A[:, 0] > 0)[:5]] = np.nan
    found = spatial_correlation(holed, A, C, 10)
    assert found[1] == whole[1] and found[0] == pytest.approx(whole[0], abs=0.05)


def test_one_and_no_component():
    Yr, A, C = two_cells(overlap=False)
    assert spatial_correlation(Yr, A[:, :1], C[0], 10).shape == (1,)
    assert spatial_correlation(Yr, np.zeros((800, 0)), np.zeros((0, 400)), 10).shape == (0,)
    assert transient_snr(np.zeros((0, 400)), 10, 0.4).shape == (0,)
    nothing = decide(np.zeros(0), np.zeros(0), **LIMITS)
    assert nothing.accepted.size == nothing.rejected.size == 0
    assert nothing.accepted.dtype.kind == "i"


def test_decision_rule():
    snr = np.array([5.0, 1.0, 1.0, 0.4, 5.0, np.nan, 3.0])
    r = np.array([0.0, 0.9, 0.1, 0.95, -1.0, 0.9, 0.85])
    decision = decide(snr, r, **LIMITS)
    assert decision.accepted.tolist() == [0, 1, 6]
    assert decision.rejected.tolist() == [2, 3, 4, 5]


def test_bad_input_is_explained():
    Yr, A, C = two_cells(overlap=False)
    with pytest.raises(InputError, match=r"shape \(400,\)"):
        transient_snr(np.zeros(400), 10, 0.4)
    with pytest.raises(ParameterError, match="a positive decay_time"):
        transient_snr(np.zeros((1, 40)), 10, 0)
    with pytest.raises(InputError, match="of the same components"):
        spatial_correlation(Yr[:, :100], A, C, 10)
    with pytest.raises(InputError, match="one SNR and one r"):
        decide(np.zeros(3), np.zeros(2), **LIMITS)


def test_peaks_are_those_of_scipy(rng):
    from scipy.signal import find_peaks

    for levels in (3, 20, 1000):
        trace = rng.integers(0, levels, size=500).astype(float)
        np.testing.assert_array_equal(evaluation._peaks(trace), find_peaks(trace)[0])


@pytest.mark.parametrize("T", [2, 3, 9, 47, 1000, 4321])
def test_the_baseline_joins_its_bins_as_scipy_does(T, rng):
    width = max(min(T // 5, 800), 1)
    bins = rng.normal(100, 3, -(-T // width))
    joined = transients._splines(len(bins), width) @ ndimage.spline_filter(bins, order=3, mode="constant")
    np.testing.assert_allclose(joined, ndimage.zoom(bins, width, order=3, mode="constant"), rtol=1e-12)
