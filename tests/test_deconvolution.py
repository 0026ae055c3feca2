import sys
import types

import numpy as np
import pytest
from scipy.optimize import nnls
from synthetic import calcium

from cnmf_engine.base.errors import ParameterError
from cnmf_engine.stages.deconvolution import noise_constraint
from cnmf_engine.stages.deconvolution.ar import refine_decay
from cnmf_engine.stages.deconvolution.foopsi import (
    Deconvolution,
    constrained_foopsi,
    deconvolve_traces,
    estimate_ar,
    oasis_ar1,
)
from cnmf_engine.stages.noise import trace_noise


def design(T, g):
    """Calcium that unit spikes at each sample cause: ``c = H s``."""
    lag = np.subtract.outer(np.arange(T), np.arange(T))
    return np.where(lag >= 0, float(g) ** np.maximum(lag, 0), 0)


def reference_calcium(y, g, lam):
    """Minimiser of ``|c - y|^2 / 2 + lam * sum(s)`` over non-negative spikes, by least squares."""
    H = design(len(y), g)
    # The penalty is the same as a shift of the data by lam * H^-T 1.
    shift = np.linalg.solve(H.T, np.full(len(y), float(lam)))
    return H @ nnls(H, y - shift)[0]


def rise_and_decay(rng, T, d=0.95, r=0.6):
    """Calcium with peak 1 a unit spike, and the spikes, scaled along."""
    spikes = (rng.random(T) < 0.02) * rng.uniform(0.6, 1.4, T)
    spikes[[T // 4, T // 2]] = 1
    kernel = (d ** np.arange(1, 401) - r ** np.arange(1, 401)) / (d - r)
    return np.convolve(spikes, kernel)[:T] / kernel.max(), spikes / kernel.max()


def blurred_correlation(s, spikes):
    """Correlation of spike trains that are a frame or so apart."""
    window = np.exp(-0.5 * np.arange(-4, 5) ** 2.0)
    return np.corrcoef(np.convolve(s, window), np.convolve(spikes, window))[0, 1]


def noisy_trace(rng, T=300, g=0.9, noise=0.15, baseline=0.0):
    trace, spikes = calcium(rng, T, g)
    return trace + baseline + rng.normal(scale=noise, size=T), trace, spikes


@pytest.mark.parametrize("g", [0.3, 0.8, 0.95])
@pytest.mark.parametrize("lam", [0.0, 0.1, 1.0])
def test_oasis_solves_the_non_negative_regression(rng, g, lam):
    for T in (1, 2, 7, 60):
        y = rng.normal(size=T) + calcium(rng, 60, g)[0][-T:]
        c, s = oasis_ar1(y, g, lam)
        np.testing.assert_allclose(c, reference_calcium(y, g, lam), atol=1e-7)
        assert s[0] == 0
        np.testing.assert_allclose(s[1:], np.maximum(c[1:] - g * c[:-1], 0))


@pytest.mark.parametrize("lam", [0.0, 0.5])
def test_oasis_meets_the_conditions_of_an_optimum(rng, lam):
    g, T = 0.92, 400
    y = noisy_trace(rng, T, g)[0]
    c, _ = oasis_ar1(y, g, lam)
    spikes = c.copy()
    spikes[1:] -= g * c[:-1]
    gradient = design(T, g).T @ (c - y) + lam
    assert spikes.min() > -1e-9
    assert gradient.min() > -1e-8, "no spike would lower the cost"
    assert np.abs(gradient[spikes > 1e-6]).max() < 1e-8, "each spike is as large as is best"


def test_oasis_without_noise_returns_the_spikes(rng):
    trace, spikes = calcium(rng, 500, 0.9)
    c, s = oasis_ar1(trace, 0.9)
    np.testing.assert_allclose(c, trace, atol=1e-5)
    np.testing.assert_allclose(s[1:], spikes[1:], atol=1e-5)


def test_oasis_of_negative_data_is_silence():
    c, s = oasis_ar1(-np.ones(50), 0.9)
    assert not c.any()
    assert not s.any()


@pytest.mark.parametrize("q", [0, 15, 50, 100])
def test_percentile_is_numpys(rng, q):
    y = rng.normal(size=37)
    assert noise_constraint.percentile(y, q) == pytest.approx(np.percentile(y, q))


@pytest.mark.parametrize("baseline", [-3.0, 0.0, 40.0])
@pytest.mark.parametrize("T", [300, 2000])
def test_residual_is_as_large_as_the_noise(rng, baseline, T):
    noise = 0.2
    y, truth, _ = noisy_trace(rng, T, noise=noise, baseline=baseline)
    c, bl, c1, g, sn, s, lam = constrained_foopsi(y, sn=noise)
    assert ((y - c - bl) ** 2).sum() == pytest.approx(noise**2 * T, rel=0.02)
    assert bl == pytest.approx(baseline, abs=0.1)
    assert np.corrcoef(c, truth)[0, 1] > 0.97
    assert s.min() >= 0
    assert s[0] == 0
    assert c1 == 0


def test_spikes_stand_where_they_were_planted(rng):
    y, _, spikes = noisy_trace(rng, 3000, noise=0.1)
    s = constrained_foopsi(y)[5]
    window = np.ones(3)
    assert np.corrcoef(np.convolve(s, window), np.convolve(spikes, window))[0, 1] > 0.9
    silent = np.convolve(spikes, np.ones(7), mode="same") == 0
    assert s[silent].sum() < 0.1 * s.sum()


def test_solution_follows_scale_and_offset_of_the_trace(rng):
    y = noisy_trace(rng, 500)[0]
    c, bl, _, g, sn, s, lam = constrained_foopsi(y)
    scaled = constrained_foopsi(1000 * y + 5e4)
    np.testing.assert_allclose(scaled[0], 1000 * c, atol=1)
    assert scaled[1] == pytest.approx(1000 * bl + 5e4, abs=1)
    np.testing.assert_allclose(scaled[3], g, rtol=1e-6)
    assert scaled[4] == pytest.approx(1000 * sn, rel=1e-6)
    np.testing.assert_allclose(scaled[5], 1000 * s, atol=1)


def test_baseline_can_be_kept_from_going_below_zero(rng):
    y = noisy_trace(rng, 500, baseline=-5)[0]
    assert constrained_foopsi(y)[1] < -4.5
    assert constrained_foopsi(y, bas_nonneg=True)[1] >= 0


@pytest.mark.parametrize("g", [0.7, 0.9, 0.95])
def test_decay_is_recovered_from_the_autocovariance(rng, g):
    noise = 0.1
    estimates = [
        estimate_ar(noisy_trace(rng, 4000, g, noise)[0], 1, noise, fudge_factor=1)[0] for _ in range(5)
    ]
    assert np.median(estimates) == pytest.approx(g, abs=0.03)
    y = noisy_trace(rng, 4000, g, noise)[0]
    assert estimate_ar(y, 1, noise)[0] == pytest.approx(0.96 * estimate_ar(y, 1, noise, fudge_factor=1)[0])


def test_decay_of_order_two_is_recovered(rng):
    roots = 0.9, 0.4
    spikes = (rng.random(20000) < 0.02).astype(float)
    trace = np.zeros_like(spikes)
    for t in range(2, len(trace)):
        trace[t] = sum(roots) * trace[t - 1] - roots[0] * roots[1] * trace[t - 2] + spikes[t]
    np.testing.assert_allclose(
        estimate_ar(trace, 2, 0, fudge_factor=1), [sum(roots), -roots[0] * roots[1]], atol=0.05
    )


def test_estimated_process_is_always_stable(rng):
    for y in (rng.normal(size=300), np.arange(300.0), np.tile([1.0, -1.0], 150), np.zeros(300)):
        for p in (1, 2):
            coefficients = estimate_ar(y, p, trace_noise(y))
            roots = np.roots([1, *-coefficients])
            assert np.isfinite(coefficients).all()
            assert np.all(np.abs(roots) < 1)


@pytest.mark.parametrize("value", [0.0, 3.5, -2.0])
@pytest.mark.parametrize("T", [1, 2, 3, 50])
def test_flat_traces_are_baseline_without_spikes(value, T):
    c, bl, _, g, sn, s, lam = constrained_foopsi(np.full(T, value))
    assert not c.any()
    assert not s.any()
    assert bl == pytest.approx(value)
    assert np.isfinite([*g, sn, lam]).all()


@pytest.mark.parametrize("T", [1, 2, 3, 5, 9])
def test_short_traces_give_finite_numbers(rng, T):
    result = deconvolve_traces(rng.normal(size=(4, T)).astype(np.float32))
    for field in result:
        assert np.isfinite(field).all()


def test_order_zero_clips_and_nothing_else(rng):
    y = rng.normal(size=100)
    c, bl, c1, _, _, s, lam = constrained_foopsi(y, p=0)
    np.testing.assert_array_equal(c, np.maximum(y, 0))
    np.testing.assert_array_equal(s, c)
    assert bl == c1 == lam == 0


def test_many_traces_are_the_same_as_one_after_the_other(rng):
    raw = np.stack([noisy_trace(rng, baseline=b)[0] for b in (0, 5, -2)]).astype(np.float32)
    out = deconvolve_traces(raw)
    assert out.C.shape == out.S.shape == raw.shape
    assert out.g.shape == (3, 1)
    assert out.C.dtype == out.S.dtype == np.float32
    for k, y in enumerate(raw):
        c, bl, _, g, sn, s, lam = constrained_foopsi(y)
        np.testing.assert_allclose(out.C[k], c + bl, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(out.S[k], s, rtol=1e-6, atol=1e-6)
        assert (out.bl[k], out.sn[k], out.lam[k], out.g[k, 0]) == (bl, sn, lam, g[0])
    given = deconvolve_traces(raw, sn=np.array([0.1, 0.2, 0.3]))
    np.testing.assert_array_equal(given.sn, [0.1, 0.2, 0.3])
    assert deconvolve_traces(np.empty((0, 40), np.float32)).C.shape == (0, 40)


def test_numpys_global_generator_is_left_alone(rng):
    y = rng.normal(size=200)
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - it's the global state that is looked at
    constrained_foopsi(y)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"p": 3}, "p = 3"),
        ({"method_deconvolution": "debug"}, "'debug'"),
        ({"p": 2, "optimize_g": 5}, "optimize_g=5 with p = 2"),
        ({"p": 2, "g": (0.9,)}, r"g = \[0.9\]"),
        ({"p": 2, "g": (1.0, -0.9)}, "between 0 and 1"),
        ({"p": 2, "g": (2.0, -0.99)}, "between 0 and 1"),
    ],
)
def test_what_the_solver_does_not_have_is_refused(options, text):
    with pytest.raises(ParameterError, match=text):
        constrained_foopsi(np.arange(10.0), **options)


def test_solution_is_scored_better_with_rise_and_decay_when_calcium_has_both(rng):
    """Order 2 finds calcium and spikes of a slowly rising indicator better than order 1."""
    for noise in (0.05, 0.1, 0.2, 0.4):
        gain = []
        for _ in range(8):
            truth, spikes = rise_and_decay(rng, 3000)
            y = truth + rng.normal(scale=noise, size=truth.size)
            scores = []
            for p in (1, 2):
                c, _, _, _, _, s, _ = constrained_foopsi(y, p=p)
                scores.append([np.corrcoef(c, truth)[0, 1], blurred_correlation(s, spikes)])
            gain.append(np.subtract(scores[1], scores[0]))
        trace, spike = np.median(gain, axis=0)
        assert trace > 0, f"noise {noise}"
        assert spike > 0.02, f"noise {noise}"


@pytest.mark.parametrize("p", [1, 2])
def test_baseline_that_is_given_stays(rng, p):
    y = rise_and_decay(rng, 800)[0] + rng.normal(scale=0.1, size=800)
    c, bl, *_, lam = constrained_foopsi(y, bl=0.05, p=p, sn=0.1)
    assert bl == 0.05
    assert lam >= 0
    assert ((y - c - bl) ** 2).sum() <= 1.05 * 0.1**2 * 800


@pytest.mark.parametrize("T", [1, 2, 3, 4, 6])
def test_short_traces_have_a_rise_and_decay_too(rng, T):
    result = deconvolve_traces(rng.normal(size=(4, T)).astype(np.float32), Deconvolution(p=2))
    assert result.g.shape == (4, 2)
    for field in result:
        assert np.isfinite(field).all()


def test_order_two_follows_scale_and_offset_of_the_trace(rng):
    y = rise_and_decay(rng, 600)[0] + rng.normal(scale=0.1, size=600)
    c, bl, _, g, _, s, _ = constrained_foopsi(y, p=2)
    scaled = constrained_foopsi(1000 * y + 5e4, p=2)
    np.testing.assert_allclose(scaled[0], 1000 * c, atol=1)
    np.testing.assert_allclose(scaled[3], g, rtol=1e-6)
    np.testing.assert_allclose(scaled[5], 1000 * s, atol=1)


@pytest.mark.parametrize("p", [1, 2])
def test_least_spike_size_leaves_no_smaller_spike(rng, p):
    truth, spikes = rise_and_decay(rng, 1500, r=0.0 if p == 1 else 0.6)
    y = truth + 2 + rng.normal(scale=0.1, size=truth.size)
    smallest = 0.4 * spikes[spikes > 0].min()
    c, bl, _, _, _, s, lam = constrained_foopsi(y, p=p, s_min=smallest)
    loose = constrained_foopsi(y, p=p)[5]
    assert lam == 0
    assert s[s > 0].min() >= smallest * (1 - 1e-6)
    assert np.count_nonzero(s) < 0.7 * np.count_nonzero(loose)
    assert bl == pytest.approx(2, abs=0.1)
    assert blurred_correlation(s, spikes) > 0.85
    # Without a penalty nothing shrinks: calcium is as high as the truth.
    assert np.polyfit(truth, c, 1)[0] == pytest.approx(1, abs=0.1)


def test_relative_spike_size_is_in_units_of_the_noise(rng):
    y = rise_and_decay(rng, 1000, r=0.0)[0] + rng.normal(scale=0.1, size=1000)
    relative = constrained_foopsi(y, g=0.95, sn=0.1, s_min=-3)
    absolute = constrained_foopsi(y, g=0.95, sn=0.1, s_min=3 * 0.1 * np.sqrt(1 - 0.95))
    np.testing.assert_allclose(relative[5], absolute[5], rtol=1e-9)


@pytest.mark.parametrize("p", [1, 2])
def test_automatic_spike_size_keeps_the_residual_within_the_noise(rng, p):
    r = 0.0 if p == 1 else 0.6
    truth, spikes = rise_and_decay(rng, 1500, r=r)
    y = truth + rng.normal(scale=0.15, size=truth.size)
    g = (0.95,) if p == 1 else (0.95 + r, -0.95 * r)
    c, bl, _, _, _, s, _ = constrained_foopsi(y, p=p, g=g, sn=0.15, s_min=0)
    assert ((y - c - bl) ** 2).mean() <= 0.15**2 * (1 + 1e-9)
    assert np.count_nonzero(s) < 2 * np.count_nonzero(spikes)
    assert blurred_correlation(s, spikes) > 0.85


def test_large_events_mend_a_decay_that_starts_off_wrong(rng):
    errors, scores = [], []
    for _ in range(6):
        truth, _ = rise_and_decay(rng, 3000, r=0.0)
        y = truth + rng.normal(scale=0.1, size=truth.size)
        plain, refined = constrained_foopsi(y), constrained_foopsi(y, optimize_g=10)
        errors.append([abs(result[3][0] - 0.95) for result in (plain, refined)])
        scores.append([np.corrcoef(result[0], truth)[0, 1] for result in (plain, refined)])
    before, after = np.median(errors, axis=0)
    assert after < 0.5 * before
    assert after < 0.015
    assert np.median(np.diff(scores, axis=1)) > 0
    flag = constrained_foopsi(y, optimize_g=True)
    np.testing.assert_array_equal(flag[0], refined[0])


def test_refined_decay_stays_near_the_first(rng):
    drift = np.linspace(0, 1, 400) + rng.normal(scale=0.01, size=400)
    for y in (drift, drift[::-1], np.ones(400), rng.normal(size=400)):
        c, bl, _, g, *_ = constrained_foopsi(y, g=0.8, sn=0.1, optimize_g=5)
        assert 0.8**3 <= g[0] <= 0.8 ** (1 / 3)
        assert np.isfinite(c).all()
        assert np.isfinite(bl)


def test_decay_stays_when_no_event_lasts(rng):
    y = rng.normal(size=50)
    assert refine_decay(y, np.zeros(50), 0.9, 5) == 0.9
    assert refine_decay(y, np.ones(50), 0.9, 5) == 0.9


@pytest.mark.parametrize("g", [(0.9,), (1.4, -0.45)])
def test_cvxpy_solves_the_same_problem(rng, g):
    pytest.importorskip("cvxpy", reason="the optional package cvxpy isn't installed")
    truth, _ = rise_and_decay(rng, 300, 0.9, 0.5 if len(g) == 2 else 0.0)
    y = truth + 1 + rng.normal(scale=0.15, size=truth.size)
    for options in ({"sn": 0.15}, {"sn": 0.15, "bl": 0.9}, {"sn": 0.15, "bas_nonneg": True}):
        c, bl, _, _, _, s, lam = constrained_foopsi(y, p=len(g), g=g, **options)
        for name in ("cvxpy", "cvx"):
            other = constrained_foopsi(y, p=len(g), g=g, method_deconvolution=name, **options)
            np.testing.assert_allclose(other[0], c, atol=0.01)
            assert other[1] == pytest.approx(bl, abs=0.005)
            assert other[5].sum() == pytest.approx(s.sum(), rel=0.005)
            assert other[6] == pytest.approx(lam, rel=0.02, abs=0.01)


def test_cvxpy_gives_the_best_fit_when_the_noise_is_too_small(rng):
    pytest.importorskip("cvxpy", reason="the optional package cvxpy isn't installed")
    y = rise_and_decay(rng, 300, 0.9, 0.0)[0] + rng.normal(scale=0.15, size=300)
    mine, other = (
        constrained_foopsi(y, g=0.9, sn=1e-3, bl=-1.0, method_deconvolution=m) for m in ("oasis", "cvxpy")
    )
    np.testing.assert_allclose(other[0], oasis_ar1(y + 1, 0.9)[0], atol=0.01)
    np.testing.assert_allclose(other[0], mine[0], atol=0.01)


def test_missing_cvxpy_is_said_in_three_parts(monkeypatch):
    monkeypatch.setitem(sys.modules, "cvxpy", None)
    with pytest.raises(ParameterError, match="pip install cvxpy"):
        constrained_foopsi(np.arange(10.0), method_deconvolution="cvxpy")


@pytest.mark.parametrize("method", ["cvxpy", "cvx"])
def test_cvxpy_has_no_least_spike_size(monkeypatch, method):
    monkeypatch.setitem(sys.modules, "cvxpy", types.ModuleType("cvxpy"))
    with pytest.raises(ParameterError, match="s_min=0.1"):
        constrained_foopsi(np.arange(10.0), method_deconvolution=method, s_min=0.1)
