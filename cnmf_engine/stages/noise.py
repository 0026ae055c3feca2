"""How strong the noise of a pixel or of a trace is, read off its high frequencies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cnmf_engine.base.errors import ParameterError, explain

__all__ = [
    "ROUNDING",
    "PixelNoise",
    "baseline_and_spread",
    "calcium_noise",
    "pixel_noise",
    "spread_below_baseline",
    "trace_noise",
]

#: A spread up to this part of a pixel's brightness is rounding: float32 has steps of at most half of it.
ROUNDING = 2 * float(np.finfo(np.float32).eps)
#: Samples within so many spreads of the baseline are quiet; baseline and spread are found in so many rounds.
_QUIET, _BASELINE_ROUNDS = 2.5, 10
#: Standard deviation of a normal distribution in units of the median distance from its middle.
_NORMAL_MAD = 1.4826
#: The spread below the baseline varies more than the spectrum, so only a clear difference counts.
_CLEARLY_LESS = 0.75
#: Samples of a segment of Welch's spectrum.
_SEGMENT = 256
_METHODS = ("mean", "median", "logmexp")


def _average(power: np.ndarray, method: str) -> np.ndarray:
    """Average a half power spectrum over its last axis and return the standard deviation."""
    if method == "mean":
        return np.sqrt(power.mean(axis=-1))
    if method == "median":
        return np.sqrt(np.median(power, axis=-1))
    if method == "logmexp":
        # The floor keeps a constant trace at noise 0 instead of log(0).
        return np.sqrt(np.exp(np.log(np.maximum(power, 1e-30)).mean(axis=-1)))
    raise ParameterError(explain(f"noise_method out of {_METHODS}", f"{method!r}", "use one of them"))


def shorten(Y: np.ndarray, max_num_samples_fft: int) -> np.ndarray:
    """
    Take three pieces (start, middle, end) of long traces.

    Parameters
    ----------
    Y : ndarray of shape (..., T)
        Traces.
    max_num_samples_fft : int
        Traces up to this length are returned as they are.

    Returns
    -------
    ndarray of shape (..., min(T, 3 * (max_num_samples_fft // 3)))
        The traces, or their pieces joined.
    """
    T = Y.shape[-1]
    if T <= max_num_samples_fft:
        return Y
    piece = max_num_samples_fft // 3
    middle = T // 2 - piece // 2
    return np.concatenate(
        [Y[..., 1 : piece + 1], Y[..., middle : middle + piece], Y[..., T - piece :]], axis=-1
    )


@dataclass(frozen=True)
class PixelNoise:
    """
    How the noise of pixels is measured, see `pixel_noise`.

    Attributes
    ----------
    noise_range : tuple of two floats
        Band ``(low, high]`` in cycles per frame.
    noise_method : {'mean', 'median', 'logmexp'}
        How the band is averaged.
    max_num_samples_fft : int
        Longer traces are represented by three pieces (start, middle, end).
    """

    noise_range: tuple[float, float] = (0.25, 0.5)
    noise_method: str = "mean"
    max_num_samples_fft: int = 3072


def pixel_noise(
    Y: np.ndarray,
    noise_range: tuple[float, float] = (0.25, 0.5),
    noise_method: str = "mean",
    max_num_samples_fft: int = 3072,
) -> np.ndarray:
    """
    Noise of each pixel from the upper part of its power spectrum.

    Parameters
    ----------
    Y : ndarray of shape (..., T)
        Traces, time last.
    noise_range : tuple of two floats
        Band ``(low, high]`` in cycles per frame.
    noise_method : {'mean', 'median', 'logmexp'}
        How the band is averaged.
    max_num_samples_fft : int
        Longer traces are represented by three pieces (start, middle, end).

    Returns
    -------
    ndarray of shape (...), float32
        Standard deviation of the noise, in the units of `Y`; exact in expectation for white noise.

    References
    ----------
    Pnevmatikakis et al. 2016, Neuron 89:285, Supplement, 'Noise estimation'.
    """
    from scipy.fft import rfft

    flat = shorten(Y, max_num_samples_fft)
    lead = flat.shape[:-1]
    flat = flat.reshape(-1, flat.shape[-1])
    T = flat.shape[1]
    frequency = np.arange(T // 2 + 1) / T
    band = (frequency > noise_range[0]) & (frequency <= noise_range[1])
    if not band.any():
        return np.zeros(lead, dtype=np.float32)
    first, last = np.flatnonzero(band)[[0, -1]]
    out = np.empty(len(flat), dtype=np.float32)
    step = max(1, 2**18 // T)  # blocks that stay in the processor's cache
    for i in range(0, len(flat), step):
        block = np.asarray(flat[i : i + step], dtype=np.float32)
        # Relative to one sample, which is exact: a large mean would spill rounding over the spectrum.
        spectrum = rfft(block - block[:, :1], axis=-1)[:, first : last + 1]
        parts = spectrum.view(spectrum.real.dtype)
        if noise_method == "mean":
            out[i : i + step] = np.sqrt(np.einsum("ij,ij->i", parts, parts) / (T * spectrum.shape[1]))
        else:
            out[i : i + step] = _average((spectrum.real**2 + spectrum.imag**2) / T, noise_method)
    return out.reshape(lead)


def trace_noise(
    traces: np.ndarray,
    noise_range: tuple[float, float] = (0.25, 0.5),
    noise_method: str = "logmexp",
    inclusive: bool = False,
) -> np.ndarray:
    """
    Noise of temporal traces from Welch's power spectrum.

    Parameters
    ----------
    traces : ndarray of shape (T,) or (K, T)
        Traces.
    noise_range : tuple of two floats
        Band in cycles per frame.
    noise_method : {'mean', 'median', 'logmexp'}
        How the band is averaged.
    inclusive : bool
        Whether the band includes its two ends.

    Returns
    -------
    float64 or ndarray of shape (K,), float64
        Standard deviation of the noise, in the units of `traces`.

    References
    ----------
    Pnevmatikakis et al. 2016, Neuron 89:285, Supplement; Friedrich et al. 2017, PLoS Comput Biol
    13:e1005423, 'Parameter estimation'.
    """
    values = np.asarray(traces, dtype=np.float64)
    frequency, power = _welch(values, min(_SEGMENT, values.shape[-1]))
    low, high = noise_range
    band = (frequency >= low) & (frequency <= high) if inclusive else (frequency > low) & (frequency < high)
    if not band.any():
        return values.std(axis=-1)
    return _average(power[..., band] / 2, noise_method)


def _welch(values: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """
    Power spectral density from segments that overlap by half: what `scipy.signal.welch` gives.

    SciPy's own isn't used because importing it takes longer than all the spectra of a short recording.
    """
    step = length - length // 2
    segments = np.lib.stride_tricks.sliding_window_view(values, length, axis=-1)[..., ::step, :]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length) if length > 1 else np.ones(1)
    spectrum = np.fft.rfft((segments - segments.mean(axis=-1, keepdims=True)) * window, axis=-1)
    power = (spectrum.real**2 + spectrum.imag**2).mean(axis=-2) / (window**2).sum()
    # Each frequency but 0 and the highest of an even length stands for its negative twin as well.
    power[..., 1 : (length + 1) // 2] *= 2
    return np.fft.rfftfreq(length), power


def calcium_noise(
    traces: np.ndarray, noise_range: tuple[float, float] = (0.25, 0.5), noise_method: str = "mean"
) -> np.ndarray:
    """
    Noise of calcium traces, also where transients are as fast as the frames.

    Calcium only goes up, so what lies below the baseline is noise. That spread is taken where the estimate
    from high frequencies is clearly larger, because fast transients have leaked into it.

    Parameters
    ----------
    traces : ndarray of shape (T,) or (K, T)
        Raw traces.
    noise_range, noise_method
        As in `trace_noise`.

    Returns
    -------
    float64 or ndarray of shape (K,), float64
        Standard deviation of the noise, in the units of `traces`.
    """
    spectral = np.asarray(trace_noise(traces, noise_range, noise_method))
    ordered = np.sort(np.atleast_2d(traces), axis=1)
    spread = np.array([spread_below_baseline(row) for row in ordered]).reshape(spectral.shape)
    return np.where((spread > 0) & (spread < _CLEARLY_LESS * spectral), spread, spectral)[()]


def spread_below_baseline(ordered: np.ndarray) -> float:
    """
    Take the standard deviation of the samples below a trace's baseline.

    Parameters
    ----------
    ordered : ndarray of shape (T,)
        Samples of the trace, sorted.

    Returns
    -------
    float
        Spread in units of the trace; infinite if nothing lies below the baseline.
    """
    return baseline_and_spread(ordered)[1]


def baseline_and_spread(ordered: np.ndarray) -> tuple[float, float]:
    """Find the baseline of a trace from its sorted samples, and the standard deviation below it."""
    baseline, spread = _middle(ordered), np.inf
    for _ in range(_BASELINE_ROUNDS):
        first = np.searchsorted(ordered, baseline - _QUIET * spread)
        last = np.searchsorted(ordered, baseline + _QUIET * spread, side="right")
        baseline = _middle(ordered[first:last])
        below = ordered[: np.searchsorted(ordered, baseline)]
        if not below.size:
            return baseline, np.inf
        spread = _NORMAL_MAD * (baseline - _middle(below))
    return baseline, spread


def _middle(ordered: np.ndarray) -> float:
    """Median of sorted samples."""
    n = len(ordered)
    return float(ordered[(n - 1) // 2] + ordered[n // 2]) / 2
