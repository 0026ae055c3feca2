from dataclasses import replace

import numpy as np
import pytest
from short_forms import find_neurons, initialize
from synthetic import explained, flatten, make_scene

from cnmf_engine.base.errors import InputError
from cnmf_engine.movies.geometry import centre, decimate
from cnmf_engine.stages.cnmfe import initialization, seeding
from cnmf_engine.stages.cnmfe.background import fit_ring, reconstruct_background
from cnmf_engine.stages.cnmfe.initialization import empty_traces
from cnmf_engine.stages.cnmfe.options import Ring
from cnmf_engine.stages.noise import pixel_noise
from workshop_utils.measures.scoring import match

SEARCH = {"gSig": 2.5, "gSiz": 7, "min_corr": 0.8, "min_pnr": 6}
OPTIONS = SEARCH | {"tsub": 2, "merge_thr": 0.7}


@pytest.fixture(scope="module")
def scene():
    return make_scene()


def trace_correlations(result, scene, pairs):
    tsub = -(-scene.C.shape[1] // result.traces.C.shape[1])
    C = decimate(scene.C, (1, len(scene.C)), tsub=tsub)
    return np.array([np.corrcoef(result.traces.C[i], C[j])[0, 1] for i, j in pairs])


@pytest.mark.parametrize(
    ("change", "lowest_median"),
    [
        ({}, 0.97),
        ({"p": 1}, 0.97),
        ({"tsub": 1}, 0.97),
        ({"tsub": 3}, 0.97),
        ({"ssub": 2}, 0.93),
        ({"ssub_B": 1}, 0.97),
        ({"ssub_B": 3}, 0.95),
        ({"init_iter": 1}, 0.97),
        ({"init_iter": 3}, 0.97),
    ],
    ids=str,
)
def test_planted_cells_are_found_whatever_the_decimation(scene, change, lowest_median):
    result = initialize(scene.movie, **OPTIONS | change)
    pairs, cosine = match(result.A, scene.A)
    assert len(pairs) >= len(scene.A) - 1
    assert len(pairs) == len(result.traces.C), "no false ones"
    assert result.A.shape == (len(scene.Y), len(pairs))
    assert np.median(cosine) > 0.98
    assert cosine.min() > 0.9
    r = trace_correlations(result, scene, pairs)
    assert np.median(r) > lowest_median
    assert r.min() > 0.85
    for traces in (result.traces.C, result.traces.S, result.traces.YrA):
        assert traces.shape == (len(pairs), -(-300 // change.get("tsub", 2)))
        assert traces.dtype == np.float32


def test_merging_can_be_turned_off(scene, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("merged although do_merge=False")

    monkeypatch.setattr(initialization, "merge_components", refuse)
    result = initialize(scene.movie, **OPTIONS | {"do_merge": False})
    assert len(match(result.A, scene.A).pairs) == len(scene.A)
    with pytest.raises(AssertionError, match="do_merge"):
        initialize(scene.movie, **OPTIONS)


def test_movie_is_cells_plus_background_plus_noise(scene):
    result = initialize(scene.movie, **OPTIONS)
    A, C = result.A, np.repeat(result.traces.C, 2, axis=1)
    ring = fit_ring(scene.Y, A, C, scene.dims, Ring(10.5, 2))
    B = reconstruct_background(scene.Y, A, C, ring.W, ring.b0, scene.dims)
    assert explained(flatten(scene.background), B) > 0.93
    left = scene.Y - A @ C - B
    assert left.std() == pytest.approx(scene.noise, rel=0.15)


def test_noise_of_each_pixel_is_returned(scene):
    result = initialize(scene.movie, **OPTIONS)
    fluctuations = scene.Y
    centre(fluctuations)
    np.testing.assert_array_equal(result.sn, pixel_noise(fluctuations))
    dark = scene.A.max(axis=0).ravel(order="F") == 0
    assert np.median(result.sn[dark]) == pytest.approx(scene.noise, rel=0.05)


@pytest.mark.parametrize(("tsub", "ssub"), [(1, 1), (2, 1), (3, 2)])
def test_first_threshold_rises_with_decimation_and_the_residual_meets_it_as_given(
    scene, monkeypatch, tsub, ssub
):
    """Averaging lowers the noise of the movie that is searched, so PNR means more there."""
    seen = []

    def noted(Y, dims, search, *args, **known):
        seen.append((search.min_pnr, Y.shape))
        return seeding.find_neurons(Y, dims, search, *args, **known)

    monkeypatch.setattr(initialization, "find_neurons", noted)
    initialize(scene.movie, **OPTIONS | {"tsub": tsub, "ssub": ssub, "init_iter": 3})
    # Three searches as asked for, and the one with the wider filter.
    assert [round(threshold / 6, 6) for threshold, _ in seen] == [round(tsub**0.5 * ssub, 6), 1, 1, 1]
    assert {shape for _, shape in seen} == {(48 * 56 // ssub**2, 300 // tsub)}


def test_cells_that_the_first_search_missed_are_found_in_the_residual():
    scene = make_scene(T=600, centres=[(24, 14), (24, 42)], background=False, seed=6)
    strict = {"min_pnr": 1e3}
    missed = find_neurons(scene.Y, scene.dims, **SEARCH | strict)
    assert len(missed.C) == 0
    first = []

    def blind_at_first(Y, dims, search, *args, **known):
        first.append(len(first) == 0)
        search = replace(search, **strict) if first[-1] else search
        return seeding.find_neurons(Y, dims, search, *args, **known)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(initialization, "find_neurons", blind_at_first)
        result = initialize(scene.movie, **OPTIONS)
    assert first == [True, False, False]
    assert len(match(result.A, scene.A).pairs) == len(result.traces.C) == 2


def test_cells_twice_as_wide_as_said_are_found_by_the_wider_filter():
    scene = make_scene(
        (60, 64), T=500, centres=[(18, 18), (20, 46), (42, 30)], sigma=4.0, brightness=25, seed=8
    )
    found = []
    for scales in ([1.0], [1.0, 1.5]):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(initialization, "_scales", lambda n, scales=scales: scales)
            result = initialize(scene.movie, **OPTIONS | {"gSig": 2.0, "min_pnr": 9})
        found.append(len(match(result.A, scene.A).pairs))
    assert found[1] > found[0]


def test_overlapping_cells_are_told_apart():
    scene = make_scene((40, 44), T=500, centres=[(18, 18), (20, 24), (28, 30)], seed=5)
    result = initialize(scene.movie, **OPTIONS)
    pairs, cosine = match(result.A, scene.A)
    assert len(pairs) == 3
    assert cosine.min() > 0.9
    assert trace_correlations(result, scene, pairs).min() > 0.9


@pytest.mark.parametrize("K", [1, 4])
@pytest.mark.parametrize("init_iter", [1, 2])
def test_no_more_components_than_asked_for(scene, K, init_iter):
    result = initialize(scene.movie, **OPTIONS | {"K": K, "init_iter": init_iter})
    assert len(result.traces.C) == K
    assert len(match(result.A, scene.A).pairs) == K


@pytest.mark.parametrize(
    "change", [{"min_pnr": 1e4}, {"min_corr": 1.01, "ssub": 2, "p": 1}, {"init_iter": 3, "min_pnr": 1e3}]
)
def test_nothing_found_is_a_clean_result(scene, change):
    result = initialize(scene.movie, **OPTIONS | change)
    assert result.A.shape == (len(scene.Y), 0)
    assert result.traces.C.shape == result.traces.YrA.shape == (0, 150)
    assert result.seeds.n_candidates == 0
    assert result.seeds.max_pnr > 6
    assert np.isfinite(result.sn).all()


def test_result_is_reproducible_and_independent_of_the_scale(scene):
    first, second = (initialize(scene.movie, **OPTIONS) for _ in range(2))
    np.testing.assert_array_equal(first.A.data, second.A.data)
    np.testing.assert_array_equal(first.traces.C, second.traces.C)
    large = initialize(64 * scene.movie, **OPTIONS)
    np.testing.assert_allclose(large.A @ large.traces.C, 64 * (first.A @ first.traces.C), rtol=1e-3, atol=1)


def test_cells_at_the_border_of_the_field_are_found():
    centres = [(0, 20), (24, 0), (47, 34), (20, 55), (1, 53)]
    scene = make_scene(centres=centres, seed=1)
    result = initialize(scene.movie, **OPTIONS)
    pairs, cosine = match(result.A, scene.A)
    assert len(pairs) == len(centres) == len(result.traces.C)
    assert cosine.min() > 0.95


def test_a_ring_wider_than_the_field_is_refused(scene):
    with pytest.raises(InputError, match="ring_size_factor"):
        initialize(scene.movie, **OPTIONS | {"ring_size_factor": 10})


def test_empty_traces_have_the_shapes_of_any_others():
    nothing = empty_traces(17)
    assert nothing.C.shape == nothing.S.shape == nothing.YrA.shape == (0, 17)
    assert nothing.g.shape == (0, 1)
    assert nothing.join(nothing).C.shape == (0, 17)
