"""The kernels of deconvolution against independent solvers."""

import time

import numpy as np
import pytest
from scipy.optimize import nnls
from scipy.signal import lfilter

from cnmf_engine.stages.deconvolution import foopsi as deconvolution
from cnmf_engine.stages.deconvolution import interior, noise_constraint, oasis, pivoting
from cnmf_engine.stages.deconvolution.foopsi import Deconvolution, constrained_foopsi, deconvolve_traces
from cnmf_engine.stages.deconvolution.pivoting import oasis_ar2

ROOTS = [(0.95, 0.6), (0.9, 0.3), (0.98, 0.8), (0.9, 0.9), (0.9, 0.0)]


def coefficients(d, r):
    return d + r, -d * r


def increments(T, d, r):
    """Matrix from calcium to spikes; what is there at the start decays."""
    G = np.eye(T) - (d + r) * np.eye(T, k=-1) + d * r * np.eye(T, k=-2)
    G[1, 0] = -d
    return G


def weights(T, r):
    """What a spike of each sample costs."""
    return np.concatenate([[1 - r], np.ones(T - 1)])


def trace(rng, T, d, r, noise):
    spikes = (rng.random(T) < 0.03) * rng.uniform(0.5, 1.5, T)
    spikes[:2] = 0
    return lfilter([1], [1, -d - r, d * r], spikes) + rng.normal(scale=noise, size=T)


@pytest.mark.parametrize(("d", "r"), ROOTS)
@pytest.mark.parametrize("lam", [0.0, 0.3, 2.0])
def test_order_two_solves_the_non_negative_regression(rng, d, r, lam):
    for T in (3, 5, 40, 80):
        y = trace(rng, T, d, r, 1.0) + rng.choice([0, 1, 3])
        G = increments(T, d, r)
        H = np.linalg.inv(G)
        # The penalty is the same as a shift of the data.
        expected = H @ nnls(H, y - G.T @ (lam * weights(T, r)))[0]
        c, s = oasis_ar2(y, coefficients(d, r), lam)
        np.testing.assert_allclose(c, expected, atol=1e-6)
        np.testing.assert_allclose(s[1:], np.maximum((G @ c)[1:], 0), atol=1e-7)
        assert s[0] == 0


@pytest.mark.parametrize(("d", "r"), [*ROOTS, (0.96, 0.95), (0.99, 0.95)])
def test_order_two_meets_the_conditions_of_an_optimum(rng, d, r):
    T, lam = 1000, 0.2
    for y in (
        trace(rng, T, d, r, 0.3),
        rng.normal(size=T),
        np.cumsum(rng.normal(size=T)),
        np.linspace(5, -5, T),
        np.tile([1.0, -1.0], T // 2),
    ):
        c, _ = oasis_ar2(y, coefficients(d, r), lam)
        G = increments(T, d, r)
        spikes = G @ c
        gradient = np.linalg.solve(G.T, c - y) + lam * weights(T, r)
        size = np.abs(y).max()
        gain = 1 / ((1 - d) * (1 - r))
        assert spikes.min() > -1e-7 * size
        assert gradient.min() > -1e-7 * size * gain, "no spike would lower the cost"
        assert np.abs(gradient[spikes > 1e-6 * size]).max(initial=0) < 1e-6 * size * gain


def test_without_rise_order_two_is_order_one(rng):
    y = trace(rng, 500, 0.9, 0.0, 0.3)
    for lam in (0.0, 0.5):
        mine, other = oasis_ar2(y, (0.9, 0.0), lam), oasis.oasis_ar1(y, 0.9, lam)
        np.testing.assert_allclose(mine[0], other[0], atol=1e-8)
        np.testing.assert_allclose(mine[1], other[1], atol=1e-8)


@pytest.mark.parametrize("baseline", [-3.0, 0.0, 40.0])
def test_residual_of_order_two_is_as_large_as_the_noise(rng, baseline):
    d, r, noise, T = 0.95, 0.6, 0.3, 2000
    y = trace(rng, T, d, r, noise) + baseline
    c, bl, _, g, _, s, lam = constrained_foopsi(y, p=2, g=coefficients(d, r), sn=noise)
    assert ((y - c - bl) ** 2).sum() == pytest.approx(noise**2 * T, rel=0.01)
    assert bl == pytest.approx(baseline, abs=0.15)
    assert lam > 0
    # The search ends at the optimum of the penalised problem with the baseline and penalty it reports.
    np.testing.assert_allclose(c, oasis_ar2(y - bl, g, lam)[0], atol=0.05)
    assert s.min() >= 0


def test_calcium_that_is_there_at_the_start_decays(rng):
    y = 5 * 0.95 ** np.arange(300) + rng.normal(scale=0.05, size=300)
    c, bl, _, _, _, s, _ = constrained_foopsi(y, p=2, g=coefficients(0.95, 0.6), sn=0.05)
    np.testing.assert_allclose(c + bl, 5 * 0.95 ** np.arange(300), atol=0.3)
    assert s.max() < 0.3


def plain(function, monkeypatch):
    """Run with all kernels as Python."""
    for module in (oasis, interior, pivoting, noise_constraint, deconvolution):
        for name, value in list(vars(module).items()):
            if hasattr(value, "py_func"):
                monkeypatch.setattr(module, name, value.py_func)
    return function()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"p": 2},
        {"bas_nonneg": True},
        {"bl": 0.2},
        {"s_min": 0.5},
        {"s_min": 0, "p": 2},
        {"optimize_g": 3},
    ],
)
def test_kernels_do_the_same_when_they_run_as_python(rng, monkeypatch, options):
    y = trace(rng, 120, 0.9, 0.4, 0.3)

    def run():
        return constrained_foopsi(y, sn=0.3, **options)

    compiled = run()
    for mine, other in zip(plain(run, monkeypatch), compiled):
        np.testing.assert_allclose(mine, other, atol=1e-7)


@pytest.mark.parametrize("p", [1, 2])
def test_many_long_traces_take_about_a_second(rng, p):
    raw = np.stack([trace(rng, 3000, 0.95, 0.6, 0.5) for _ in range(20)]).astype(np.float32)
    deconvolve_traces(raw[:1], Deconvolution(p=p))  # compile
    start = time.process_time()
    deconvolve_traces(raw, Deconvolution(p=p))
    # 200 of them a second on a usual core; the rest is room for slow and busy ones.
    assert time.process_time() - start < 1.0
