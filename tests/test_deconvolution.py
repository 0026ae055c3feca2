import numpy as np
import pytest
from scipy.optimize import nnls
from synthetic import calcium

from cnmf_engine.cnmf import deconvolution
from cnmf_engine.cnmf.deconvolution import (
    constrained_foopsi,
    deconvolve_traces,
    estimate_ar,
    oasis_ar1,
)
from cnmf_engine.errors import ParameterError
from cnmf_engine.noise import trace_noise


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


@pytest.mark.parametrize("name", ["_pools", "_solve", "_percentile", "_constrained_ar1"])
def test_kernels_do_the_same_when_they_run_as_python(rng, monkeypatch, name):
    y = noisy_trace(rng, T=120)[0]
    plain = oasis_ar1(y, 0.9, 0.2)[0], constrained_foopsi(y, g=0.9, sn=0.15)
    kernel = getattr(deconvolution, name)
    for caller in ("_solve", "_constrained_ar1"):
        # Every kernel runs as Python here, or the compiled caller would not see the replacement.
        monkeypatch.setattr(deconvolution, caller, getattr(deconvolution, caller).py_func)
    monkeypatch.setattr(deconvolution, name, getattr(kernel, "py_func", kernel))
    np.testing.assert_allclose(oasis_ar1(y, 0.9, 0.2)[0], plain[0], atol=1e-10)
    for mine, other in zip(constrained_foopsi(y, g=0.9, sn=0.15), plain[1]):
        np.testing.assert_allclose(mine, other, atol=1e-8)


@pytest.mark.parametrize("q", [0, 15, 50, 100])
def test_percentile_is_numpys(rng, q):
    y = rng.normal(size=37)
    assert deconvolution._percentile(y, q) == pytest.approx(np.percentile(y, q))


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
    ("options", "text"), [({"p": 2}, "p = 2"), ({"method_deconvolution": "cvxpy"}, "'cvxpy'")]
)
def test_what_the_solver_does_not_have_is_refused(options, text):
    with pytest.raises(ParameterError, match=text):
        constrained_foopsi(np.arange(10.0), **options)
