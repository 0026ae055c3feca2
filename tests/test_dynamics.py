"""Rise and decay of the indicator, measured once for a recording."""

import numpy as np
import pytest
from scipy.signal import oaconvolve

from cnmf_engine.caiman import params
from cnmf_engine.caiman.estimates import transient_length
from cnmf_engine.caiman.settings import deconvolution_options
from cnmf_engine.stages.cnmfe.dynamics import measure_dynamics
from cnmf_engine.stages.cnmfe.fit import deconvolve_all
from cnmf_engine.stages.cnmfe.temporal import Traces
from cnmf_engine.stages.deconvolution.foopsi import CLIPPED, Deconvolution, deconvolve_traces

FINE = 20


def recorded(fr, decay, rise, frames=600, cells=20, seed=0, snr=(10, 30), burst=0.6):
    """Traces of cells that fire in bursts and then are silent, light averaged over frames; their spikes."""
    rng = np.random.default_rng(seed)
    hz, n = fr * FINE, (frames + int(6 * decay * fr)) * FINE
    t = np.arange(int(8 * decay * hz)) / hz
    kernel = np.exp(-t / decay) - np.exp(-t / rise)
    kernel /= kernel.max()
    traces, spikes = [], []
    for _ in range(cells):
        active = np.repeat(rng.random(n // int(hz / 2) + 1) < min(0.12, 0.06 / decay), int(hz / 2))[:n]
        fired = (rng.random(n) < active * burst * 10 / hz).astype(float)
        light = oaconvolve(fired, kernel)[:n].reshape(-1, FINE).mean(axis=1)[-frames:]
        noise = light.max() / rng.uniform(*snr)
        traces.append(light + rng.normal(0, noise, frames))
        spikes.append(fired.reshape(-1, FINE).sum(axis=1)[-frames:])
    return np.array(traces, np.float32), np.array(spikes)


@pytest.mark.parametrize(
    ("fr", "decay", "rise"),
    [(5, 0.5, 0.02), (10, 0.12, 0.02), (10, 0.5, 0.05), (20, 0.5, 0.05), (20, 1.4, 0.15), (30, 0.12, 0.02)],
)
def test_decay_is_recovered_at_any_rate(fr, decay, rise):
    found = measure_dynamics(recorded(fr, decay, rise, frames=max(600, int(40 * decay * fr)))[0], fr)
    # What the error of a measurement with noise, and the steps of frames, leave.
    assert found.decay == pytest.approx(decay, rel=0.12)
    assert found.error < 0.1
    assert found.transients >= 8 and found.cells > 10


def test_slow_noise_and_bursts_do_not_change_the_decay():
    traces, _ = recorded(10, 0.5, 0.05, burst=1.0)
    rng = np.random.default_rng(1)
    noise = oaconvolve(rng.normal(size=traces.shape), np.exp(-np.arange(40) / 8)[None], axes=1)[:, :600]
    slow = traces + (0.03 * np.ptp(traces, axis=1, keepdims=True) * noise / noise.std()).astype(np.float32)
    assert measure_dynamics(slow, 10).decay == pytest.approx(0.5, rel=0.15)


def test_order_follows_the_rise():
    assert measure_dynamics(recorded(10, 0.5, 0.02)[0], 10).order == 1
    slow = measure_dynamics(recorded(20, 1.0, 0.2)[0], 20)
    assert slow.order == 2
    assert 0.08 < slow.rise < 0.3
    roots = np.sort(np.roots([1, *-slow.g[0]]))
    assert roots == pytest.approx(np.exp(-1 / (20 * np.array([slow.rise, slow.decays[0]]))))


def test_cells_are_drawn_towards_the_recording_as_far_as_they_say_nothing_else():
    fast, slow = recorded(10, 0.5, 0.02, cells=16)[0], recorded(10, 1.0, 0.02, cells=8, seed=2)[0]
    silent = np.random.default_rng(3).normal(size=(1, 600))
    found = measure_dynamics(np.concatenate([fast, slow, silent]), 10)
    assert found.spread > 0.05
    assert np.median(found.decays[:16]) < found.decays[24] * 1.001 <= np.median(found.decays[16:24])
    assert found.decays[24] == pytest.approx(found.decay, rel=0.15)


def options(**changed):
    return deconvolution_options(params.CNMFParams(params_dict={"fr": 10.0, "p": 1} | changed))


def test_too_few_transients_leave_each_trace_to_itself(caplog):
    noise = np.random.default_rng(0).normal(size=(3, 300)).astype(np.float32)
    assert measure_dynamics(noise, 10) is None
    assert measure_dynamics(np.zeros((0, 300)), 10) is None
    assert measure_dynamics(np.ones((2, 5)), 10) is None
    with caplog.at_level("INFO", logger="caiman"):
        pooled, dynamics = deconvolve_all(Traces.from_raw(noise, CLIPPED), options())
    assert dynamics is None and "Too few clear transients" in caplog.text
    assert np.array_equal(pooled.C, deconvolve_traces(noise, Deconvolution(p=1)).C)


def test_caimans_way_is_a_setting_away(caplog):
    raw = recorded(10, 0.5, 0.05, cells=10)[0]
    given = Traces(raw, raw, np.zeros_like(raw), *(np.zeros(10) for _ in range(4)), np.zeros((10, 1)))
    own, dynamics = deconvolve_all(given, options(dynamics="per_trace"))
    alone = deconvolve_traces(raw, Deconvolution(p=1))
    assert dynamics is None
    assert np.array_equal(own.S, alone.S) and np.array_equal(own.g, alone.g)
    with caplog.at_level("INFO", logger="caiman"):
        pooled, dynamics = deconvolve_all(given, options())
    assert np.array_equal(pooled.g, dynamics.g)
    assert "transients of 10 cells" in caplog.text
    none, dynamics = deconvolve_all(given, options(p=0))
    assert dynamics is None and np.array_equal(none.C, np.maximum(raw, 0))


def test_spikes_are_as_good_as_with_the_true_dynamics():
    raw, spikes = recorded(20, 1.4, 0.15, frames=1000)
    decay, rise = np.exp(-1 / (20 * 1.4)), np.exp(-1 / (20 * 0.15))
    found = measure_dynamics(raw, 20)
    known = np.tile([decay + rise, -decay * rise], (len(raw), 1))

    def agreement(S):
        binned = [x.reshape(len(x), -1, 4).sum(axis=2) for x in (S, spikes)]
        return np.median([np.corrcoef(a, b)[0, 1] for a, b in zip(*binned) if b.any()])

    measured = agreement(deconvolve_traces(raw, Deconvolution(p=found.order), g=found.g).S)
    assert measured > agreement(deconvolve_traces(raw, Deconvolution(p=2), g=known).S) - 0.05
    assert measured > agreement(deconvolve_traces(raw, Deconvolution(p=1)).S)


def test_evaluation_uses_what_was_measured_until_the_rate_changes():
    opts = params.CNMFParams(params_dict={"fr": 10.0, "decay_time": 0.4})
    assert transient_length(opts) == 0.4
    opts.change_params({"measured_decay": 0.5, "measured_rise": 0.0})
    assert transient_length(opts) == pytest.approx(0.5 * np.log(2))
    opts.change_params({"decay_time": 0.2})
    assert transient_length(opts) == 0.2
    opts.change_params({"decay_time": 0.4, "dynamics": "per_trace"})
    assert transient_length(opts) == 0.4
    opts.change_params({"dynamics": "pooled", "fr": 20.0})
    assert opts.temporal["measured_decay"] is None
    assert transient_length(opts) == 0.4


def test_measured_values_travel_in_json(tmp_path):
    opts = params.CNMFParams(params_dict={"fr": 10.0, "measured_decay": 0.5, "measured_rise": 0.0})
    opts.to_jsonfile(tmp_path / "params.json")
    again = params.CNMFParams(params_from_file=tmp_path / "params.json")
    assert (again.temporal["measured_decay"], again.temporal["measured_rise"]) == (0.5, 0.0)
