import numpy as np
import pytest

from cnmf_engine.base.errors import ParameterError
from cnmf_engine.stages.noise import pixel_noise, trace_noise


@pytest.mark.parametrize("sd", [0.3, 5.0])
@pytest.mark.parametrize("T", [1000, 2001])
def test_noise_of_white_noise_is_its_standard_deviation(rng, sd, T):
    Y = rng.normal(scale=sd, size=(60, T)).astype(np.float32) + 300
    assert np.median(pixel_noise(Y)) == pytest.approx(sd, rel=0.05)
    assert np.median(trace_noise(Y, noise_method="mean")) == pytest.approx(sd, rel=0.05)


@pytest.mark.parametrize("estimate", [pixel_noise, trace_noise])
def test_slow_signal_does_not_count_as_noise(rng, estimate):
    T = 1500
    noise = rng.normal(scale=2, size=(40, T))
    t = np.arange(T)
    slow = 100 * np.sin(2 * np.pi * 15 * t / T) + 400
    with_signal = estimate((noise + slow).astype(np.float32), noise_method="mean")
    alone = estimate(noise.astype(np.float32), noise_method="mean")
    np.testing.assert_allclose(with_signal, alone, rtol=0.02)


@pytest.mark.parametrize("method", ["median", "logmexp"])
def test_other_averages_follow_the_scale_and_resist_a_line_in_the_band(rng, method):
    T = 2000
    noise = rng.normal(size=(30, T)).astype(np.float32)
    hum = noise + np.float32(3) * np.cos(2 * np.pi * 0.4 * np.arange(T)).astype(np.float32)
    for estimate in (pixel_noise, trace_noise):
        plain = estimate(noise, noise_method=method)
        np.testing.assert_allclose(estimate(4 * noise, noise_method=method), 4 * plain, rtol=1e-4)
        robust = np.median(estimate(hum, noise_method=method)) / np.median(plain)
        mean = np.median(estimate(hum, noise_method="mean")) / np.median(estimate(noise, noise_method="mean"))
        assert robust < 1.15 < 1.5 < mean


def test_long_traces_are_represented_by_start_middle_and_end(rng):
    T = 20000
    Y = rng.normal(scale=3, size=(8, T)).astype(np.float32)
    np.testing.assert_allclose(pixel_noise(Y), 3, rtol=0.1)
    np.testing.assert_allclose(pixel_noise(Y), pixel_noise(Y, max_num_samples_fft=T), rtol=0.1)
    quiet = Y.copy()
    quiet[:, 4000:8000] *= 50
    np.testing.assert_array_equal(pixel_noise(quiet), pixel_noise(Y))


def test_parseval_holds_over_the_whole_band(rng):
    Y = rng.normal(size=(5, 601)).astype(np.float32)
    Y -= Y.mean(axis=1, keepdims=True)
    # An odd length has no Nyquist sample, so half the spectrum holds half the variance exactly.
    np.testing.assert_allclose(
        pixel_noise(Y, noise_range=(0, 0.5)) ** 2 * 600 / 601, Y.var(axis=1), rtol=1e-4
    )


def test_shape_is_that_of_the_pixels(rng):
    cube = rng.normal(size=(4, 6, 200)).astype(np.float32)
    noise = pixel_noise(cube)
    assert noise.shape == (4, 6)
    assert noise.dtype == np.float32
    np.testing.assert_array_equal(noise.ravel(), pixel_noise(cube.reshape(24, 200)))
    assert np.ndim(trace_noise(cube[0, 0])) == 0


@pytest.mark.parametrize("T", [1, 2, 3, 8, 64])
@pytest.mark.parametrize("method", ["mean", "median", "logmexp"])
def test_flat_and_short_traces_have_finite_noise(T, method):
    flat = np.full((3, T), 42, np.float32)
    assert np.all(np.isfinite(pixel_noise(flat, noise_method=method)))
    assert np.all(np.abs(pixel_noise(flat, noise_method=method)) < 1e-4)
    assert np.all(np.abs(trace_noise(flat, noise_method=method)) < 1e-4)


@pytest.mark.parametrize("estimate", [pixel_noise, trace_noise])
def test_unknown_average_is_refused(estimate):
    with pytest.raises(ParameterError, match="'mode'"):
        estimate(np.random.default_rng(0).normal(size=(2, 100)), noise_method="mode")


@pytest.mark.parametrize("T", [40, 255, 256, 300, 1001])
def test_spectrum_of_traces_is_that_of_welch(rng, T):
    from scipy.signal import welch

    traces = rng.normal(size=(3, T)).cumsum(axis=1)
    frequency, power = welch(traces, nperseg=min(256, T), axis=-1)
    expected = np.sqrt(power[:, (frequency > 0.25) & (frequency < 0.5)].mean(axis=-1) / 2)
    np.testing.assert_allclose(trace_noise(traces, noise_method="mean"), expected, rtol=1e-9)
