import numpy as np
import pytest
from scipy import ndimage
from short_forms import find_neurons
from synthetic import calcium, explained, flatten, make_scene

from cnmf_engine.movies.geometry import as_cube
from cnmf_engine.stages.cnmfe import seeding
from cnmf_engine.stages.cnmfe.options import Search
from cnmf_engine.stages.cnmfe.seeding import has_transients, seed_pixels
from cnmf_engine.stages.deconvolution.foopsi import CLIPPED
from cnmf_engine.stages.filters import filter_frames, mean_centred_kernel
from cnmf_engine.stages.summary_images import correlation_pnr
from workshop_utils.measures.scoring import match

SEARCH = {"gSig": 2.5, "gSiz": 7, "min_corr": 0.8, "min_pnr": 8}


@pytest.fixture(scope="module")
def scene():
    return make_scene()


def distance_to_nearest(points, targets):
    return np.linalg.norm(points[:, None] - np.asarray(targets)[None], axis=2).min(axis=1)


def test_every_planted_cell_is_found_once_and_nothing_else(scene):
    found = find_neurons(scene.Y, scene.dims, **SEARCH)
    pairs, cosine = match(found.A, scene.A)
    assert found.A.shape[1] == len(found.C) == len(pairs) == len(scene.A)
    assert cosine.min() > 0.95
    for i, j in pairs:
        assert np.corrcoef(found.C[i], scene.C[j])[0, 1] > 0.97
    assert found.C.min() >= 0
    assert found.A.dtype == found.C.dtype == np.float32
    assert found.max_corr > 0.95
    assert found.max_pnr > SEARCH["min_pnr"]


def test_what_was_found_is_taken_out_of_the_movie(scene):
    Y = scene.Y
    found = find_neurons(Y, scene.dims, **SEARCH)
    np.testing.assert_allclose(Y + found.A @ found.C, scene.Y, atol=0.05)
    cells = flatten(np.tensordot(scene.C.T, scene.A, axes=1))
    assert explained(cells, scene.Y - Y) > 0.9
    again = find_neurons(Y, scene.dims, known=(found.A, found.C), **SEARCH)
    assert len(again.C) == 0, "nothing is left to be found"


@pytest.mark.parametrize("centre", [(0, 25), (24, 0), (47, 30), (20, 55), (0, 0), (47, 55)])
def test_a_cell_on_the_border_is_found_once(centre):
    scene = make_scene(centres=[centre], brightness=200, seed=4)
    found = find_neurons(scene.Y, scene.dims, **SEARCH)
    assert len(found.C) == 1
    assert match(found.A, scene.A).cosine.min() > 0.9


@pytest.mark.parametrize("centre", [(0, 25), (24, 28), (47, 55)])
def test_filtered_movie_stays_that_of_what_is_left(centre):
    scene = make_scene(centres=[centre], seed=4)
    search = seeding._State(scene.Y, scene.dims, Search(**SEARCH))
    box, footprint, trace = seeding._grow(search, centre, CLIPPED)
    search.subtract(box, footprint, trace)
    filtered = filter_frames(as_cube(search.raw, scene.dims).transpose(2, 0, 1), mean_centred_kernel(2.5))
    filtered -= filtered.mean(axis=0)
    # A filtered cell has some tens of counts here.
    np.testing.assert_allclose(as_cube(search.filtered, scene.dims), filtered.transpose(1, 2, 0), atol=0.05)


def test_number_of_neurons_can_be_limited_and_the_brightest_come_first(scene):
    everything = find_neurons(scene.Y, scene.dims, **SEARCH)
    for K in (1, 3):
        some = find_neurons(scene.Y, scene.dims, K=K, **SEARCH)
        assert some.C.shape[0] == some.A.shape[1] == K
        np.testing.assert_array_equal(some.C, everything.C[:K])
    assert len(find_neurons(scene.Y, scene.dims, K=500, **SEARCH).C) == len(everything.C)
    assert len(find_neurons(scene.Y, scene.dims, K=0, **SEARCH).C) == len(everything.C)


@pytest.mark.parametrize("n_pixels", [1, 2, 4])
def test_a_cell_with_few_pixels_above_threshold_is_found_too(n_pixels):
    """Without a limit asked for there is none, however few pixels pass."""
    scene = make_scene(centres=[(24, 28)], seed=8)
    pnr = correlation_pnr(scene.movie, gSig=2.5, swap_dim=False).pnr
    min_pnr = float(np.sort(pnr[scene.A[0] > 0])[-n_pixels]) * 0.999
    found = find_neurons(scene.Y, scene.dims, **SEARCH | {"min_pnr": min_pnr})
    assert found.n_candidates == n_pixels
    assert match(found.A, scene.A).pairs.tolist() == [[0, 0]]
    assert len(found.C) == 1


@pytest.mark.parametrize("thresholds", [{"min_pnr": 1e4}, {"min_corr": 1.01}])
def test_impossible_thresholds_find_nothing_and_say_what_they_met(scene, thresholds):
    found = find_neurons(scene.Y, scene.dims, **SEARCH | thresholds)
    assert found.A.shape == (len(scene.Y), 0)
    assert found.C.shape == (0, scene.Y.shape[1])
    assert found.n_candidates == 0
    assert 0.9 < found.max_corr <= 1 + 1e-5
    assert found.max_pnr > 8


def test_a_movie_of_noise_or_of_background_alone_holds_no_cells():
    for noise in (1.0, 4.0):
        scene = make_scene(centres=[], noise=noise, seed=2)
        assert len(find_neurons(scene.Y, scene.dims, **SEARCH).C) == 0
    constant = np.full((30 * 30, 100), 7, np.float32)
    found = find_neurons(constant, (30, 30), **SEARCH)
    assert len(found.C) == found.n_candidates == found.max_pnr == found.max_corr == 0


def test_footprints_hold_nothing_but_their_own_cell(scene):
    """Whatever was tried and rejected before must not be left in a footprint."""
    found = find_neurons(scene.Y, scene.dims, **SEARCH)
    for k in range(len(found.C)):
        index = found.A[:, k].indices
        points = np.stack([index % scene.dims[0], index // scene.dims[0]], axis=1)
        peak = points[np.argmax(found.A[:, k].data)]
        assert np.abs(points - peak).max() <= SEARCH["gSiz"] + 2
    assert found.A.min() >= 0


@pytest.mark.parametrize("options", [{"p": 1}, {"center_psf": False, "min_corr": 0.9}])
def test_other_ways_to_search_find_cells_without_background(options):
    scene = make_scene(background=False)
    found = find_neurons(scene.Y, scene.dims, **SEARCH | options)
    assert len(match(found.A, scene.A).pairs) == len(scene.A) == len(found.C)


def image_of(points, values, dims=(40, 44)):
    image = np.zeros(dims)
    for (r, c), value in zip(points, values):
        rows, columns = np.indices(dims)
        image = np.maximum(image, value * np.exp(-((rows - r) ** 2 + (columns - c) ** 2) / 18))
    return image


def test_seeds_are_the_peaks_best_first():
    points = [(10, 12), (30, 30), (10, 35)]
    pnr = image_of(points, (20, 30, 10))
    cn = np.clip(pnr / 10, 0, 0.99)
    seeds = seed_pixels(cn, pnr, 0.6, 5, 7)
    assert len(seeds) == 3
    assert np.abs(seeds - [points[1], points[0], points[2]]).max() <= 1
    done = np.zeros(cn.shape, bool)
    done[20:] = True
    assert len(seed_pixels(cn, pnr, 0.6, 5, 7, done)) == 2
    assert len(seed_pixels(cn, pnr, 0.6, 25, 7)) == 1
    assert len(seed_pixels(cn, pnr, 1.1, 5, 7)) == 0


def test_every_seed_passes_both_thresholds(rng):
    cn, pnr = rng.random((40, 50)), 30 * rng.random((40, 50))
    seeds = seed_pixels(cn, pnr, 0.7, 12, 7)
    assert len(seeds) > 10
    at = tuple(seeds.T)
    assert cn[at].min() >= 0.7
    assert pnr[at].min() >= 12
    assert len({tuple(s) for s in seeds}) == len(seeds)


def test_a_flat_top_gives_one_seed():
    cn, pnr = np.zeros((30, 30)), np.zeros((30, 30))
    cn[12:17, 12:17], pnr[12:17, 12:17] = 0.9, 20
    assert len(seed_pixels(cn, pnr, 0.8, 10, 9)) <= 4
    seeds = seed_pixels(cn, pnr, 0.8, 10, 9)
    assert len(seeds) >= 1
    assert distance_to_nearest(seeds, [(14, 14)]).max() <= 4


RATES = [5, 10, 20, 30, 60]


def rounded(rng, fr, seconds, decay, rise, every, snr, smooth=0.0):
    """Transients that rise over several frames, `every` s on average, with noise 1, then denoised."""
    T = int(seconds * fr)
    t = np.arange(int(8 * decay * fr)) / fr
    shape = np.exp(-t / decay) - np.exp(-t / rise)
    spikes = (rng.random(T) < 1 / (every * fr)) * rng.uniform(0.5, 1.5, T)
    trace = snr * np.convolve(spikes, shape / shape.max())[:T] + rng.normal(size=T)
    return ndimage.gaussian_filter1d(trace, smooth * fr, mode="reflect") if smooth else trace


def share_passing(traces, fr, clear=False):
    return np.mean([has_transients(np.asarray(trace), round(20 * 0.4 * fr), clear) for trace in traces])


@pytest.mark.parametrize("fr", RATES)
@pytest.mark.parametrize("smooth", [0, 0.3])
def test_slow_rounded_transients_pass(rng, fr, smooth):
    """Decay 1.4 s, rise 0.3 s, as recorded, or smoothed over a third of a second as denoised movies are."""
    traces = [rounded(rng, fr, 90, 1.4, 0.3, 15, 8, smooth) for _ in range(40)]
    assert share_passing(traces, fr) > 0.85
    quantised = [np.round(trace / 2) for trace in traces]
    assert share_passing(quantised, fr) > 0.85


@pytest.mark.parametrize("fr", RATES)
def test_one_slow_transient_in_a_recording_passes(rng, fr):
    t = np.arange(60 * fr) / fr - 20
    event = 10 * np.where(t > 0, np.exp(-t / 1.4) - np.exp(-t / 0.4), 0)
    assert share_passing([event + rng.normal(size=t.size) for _ in range(20)], fr) > 0.9


@pytest.mark.parametrize("fr", RATES)
@pytest.mark.parametrize("seconds", [0.3, 1.5])
def test_what_rises_as_it_falls_does_not_pass(rng, fr, seconds):
    """Vessels, waves and flicker: Gaussian fluctuations that last as long as transients do, up to +-10."""
    T = 90 * fr
    waves = [ndimage.gaussian_filter1d(rng.normal(size=T), seconds * fr, mode="wrap") for _ in range(100)]
    traces = [4 * wave / wave.std() + 0.2 * rng.normal(size=T) for wave in waves]
    # A normal distribution is beyond two standard deviations on one side in 2.3 % of all cases; some time
    # scales are looked at, and of 100 traces.
    assert share_passing(traces, fr) <= 0.1


def test_pulse_and_bleaching_do_not_pass(rng):
    t = np.arange(1800) / 20
    for pulse in (np.sin(2 * np.pi * 3 * t), np.sin(2 * np.pi * 3 * t) + 0.4 * np.sin(2 * np.pi * 6 * t)):
        assert share_passing([5 * pulse + rng.normal(size=t.size) for _ in range(10)], 20) == 0
    bleaching = 30 * np.exp(-t / 30)
    assert share_passing([bleaching + rng.normal(size=t.size) for _ in range(10)], 20) == 0


@pytest.mark.parametrize("T", [300, 3000, 30000])
def test_noise_passes_by_chance_alone_however_long_it_is(rng, T):
    traces = rng.normal(size=(100, T))
    assert share_passing(traces, 10) <= 0.06


def swell(T):
    """Rounded rises to 1 every 40 frames: one-sided, but without a jump."""
    slow = ndimage.gaussian_filter1d(np.maximum(np.arange(T) % 40 - 33.0, 0), 4, mode="wrap")
    return slow / slow.max()


def test_what_is_clear_comes_first_and_leaves_nothing_of_itself():
    """A bright slow cell beside a dim fast one: the fast one comes first, both come once."""
    scene = make_scene(centres=[(16, 16), (30, 40)], background=False, brightness=60, seed=5)
    slow = 60 * swell(scene.Y.shape[1])
    Y = scene.Y + flatten(np.multiply.outer(slow - scene.C[0], scene.A[0])).astype(np.float32)
    assert not share_passing([slow], 10, clear=True)
    found = find_neurons(Y.astype(np.float32), scene.dims, **SEARCH)
    assert match(found.A, scene.A).pairs[:, 1].tolist() == [1, 0]
    assert len(found.C) == 2


@pytest.mark.parametrize("kind", ["wave", "cloud", "movement"])
def test_light_that_reaches_beyond_a_cell_is_no_slow_cell(kind):
    """Slow one-sided changes of a stripe, of a spot three times as wide as a cell, of an edge that moves."""
    rng = np.random.default_rng(3)
    T, dims = 400, (48, 56)
    slow = swell(T)
    across = np.arange(dims[1])[None] - 28 + 0 * np.arange(dims[0])[:, None]
    down = np.arange(dims[0])[:, None] - 24
    profile = {
        "wave": np.exp(-((across / 3) ** 2)),
        "cloud": np.exp(-(across**2 + down**2) / (2 * 7.5**2)),
        "movement": -across / 3 * np.exp(-((across / 3) ** 2)),
    }[kind]
    Y = flatten(np.multiply.outer(slow, 40 * profile)) + rng.normal(size=(dims[0] * dims[1], T))
    assert share_passing([slow], 10)
    assert not share_passing([slow], 10, clear=True)
    assert len(find_neurons(Y.astype(np.float32), dims, **SEARCH).C) == 0


def test_transients_are_told_from_slow_background(rng):
    T = 500
    noise = rng.normal(scale=0.1, size=T)
    assert has_transients(calcium(rng, T)[0] + noise, 80)
    slow = 3 * np.sin(2 * np.pi * np.arange(T) / 150)
    assert not has_transients(slow + noise, 80)
    assert not has_transients(noise, 80)
    assert has_transients(calcium(rng, T)[0] + slow + noise, 80)
    for short in (np.zeros(50), np.zeros(1), np.arange(5.0)[::-1]):
        assert not has_transients(short, 80)
