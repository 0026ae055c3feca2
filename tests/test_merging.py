import numpy as np
import pytest
from scipy import sparse
from synthetic import blob, calcium, cosine, flat_footprints

from cnmf_engine.stages.cnmfe.merging import merge_components, merge_groups
from cnmf_engine.stages.cnmfe.temporal import Traces
from cnmf_engine.stages.deconvolution.foopsi import CLIPPED, Deconvolution

DIMS, T = (20, 40), 300


def component_set(rng, images, traces, noise=0.05):
    """Footprints ``(d, K)`` and traces with some noise of their own."""
    raw = np.stack(traces) + rng.normal(scale=noise, size=(len(traces), T))
    return flat_footprints(np.stack(images)), Traces.from_raw(raw.astype(np.float32), CLIPPED)


def halves(image):
    """Left and right half of a footprint, sharing the middle columns."""
    column = int(np.argmax(image.sum(axis=0)))
    left, right = image.copy(), image.copy()
    left[:, column + 2 :] = 0
    right[:, : column - 1] = 0
    return left, right


@pytest.mark.parametrize("p", [0, 1])
def test_a_cell_split_in_two_is_joined_again(rng, p):
    cell, other = blob(DIMS, (10, 10), 3), blob(DIMS, (10, 30), 3)
    trace, stranger = calcium(rng, T)[0], calcium(rng, T)[0]
    left, right = halves(cell)
    A, traces = component_set(rng, [left, other, right], [trace, stranger, trace])
    merged = merge_components(A, traces, 0.7, Deconvolution(p=p))
    assert [group.tolist() for group in merged.groups] == [[0, 2]]
    assert merged.A.shape[1] == len(merged.traces.C) == 2
    np.testing.assert_array_equal(merged.A[:, 0].toarray(), A[:, 1].toarray())
    assert cosine(merged.A[:, 1].toarray(), flat_footprints(cell[None]).toarray()) > 0.95
    assert np.corrcoef(merged.traces.C[1], trace)[0, 1] > 0.97
    assert np.linalg.norm(merged.A[:, 1].toarray()) == pytest.approx(1, rel=1e-4)


def test_the_merged_component_is_as_bright_as_its_parts_together(rng):
    cell = blob(DIMS, (10, 10), 3)
    trace = calcium(rng, T)[0]
    A, traces = component_set(rng, [0.6 * cell, 0.4 * cell], [trace, trace], noise=0.01)
    merged = merge_components(A, traces, 0.7, CLIPPED)
    before, after = A @ traces.C, merged.A @ merged.traces.C
    assert np.linalg.norm(after - before) < 0.05 * np.linalg.norm(before)


def test_neighbours_with_different_traces_stay_apart(rng):
    near = [blob(DIMS, (10, 10), 3), blob(DIMS, (10, 14), 3)]
    A, traces = component_set(rng, near, [calcium(rng, T)[0], calcium(rng, T)[0]])
    merged = merge_components(A, traces, 0.7)
    assert merged.groups == []
    assert merged.A is A
    assert merged.traces is traces


def test_cells_far_apart_that_fire_together_stay_apart(rng):
    trace = calcium(rng, T)[0]
    A, traces = component_set(rng, [blob(DIMS, (10, 8), 2), blob(DIMS, (10, 30), 2)], [trace, trace])
    assert merge_groups(A, traces.C, 0.7) == []


def test_chains_become_one_group_and_the_most_correlated_comes_first(rng):
    one, two = calcium(rng, T)[0], calcium(rng, T)[0]
    images = [blob(DIMS, (10, c), 2) for c in (6, 9, 12)] + [blob(DIMS, (10, c), 2) for c in (28, 31)]
    A, traces = component_set(rng, images, [one, one, one, two, two])
    groups = merge_groups(A, traces.C, 0.6)
    assert [g.tolist() for g in groups] == [[0, 1, 2], [3, 4]]
    merged = merge_components(A, traces, 0.6, CLIPPED)
    assert merged.A.shape[1] == 2
    assert np.corrcoef(merged.traces.C[0], one)[0, 1] > 0.97
    assert np.corrcoef(merged.traces.C[1], two)[0, 1] > 0.97


def test_threshold_decides(rng):
    trace = calcium(rng, T)[0]
    half = trace + 0.8 * calcium(rng, T)[0]
    A, traces = component_set(rng, [blob(DIMS, (10, 10), 2), blob(DIMS, (10, 14), 2)], [trace, half])
    r = np.corrcoef(traces.C)[0, 1]
    assert 0.3 < r < 0.99
    assert merge_groups(A, traces.C, r - 0.01)
    assert not merge_groups(A, traces.C, r + 0.01)


def test_one_cell_taken_apart_is_joined_although_its_pieces_correlate_less(rng):
    trace, stranger = calcium(rng, T)[0], calcium(rng, T)[0]
    half = trace + 1.2 * calcium(rng, T)[0]
    same_place = [blob(DIMS, (10, 10), 2), blob(DIMS, (10, 11), 2)]
    A, traces = component_set(rng, same_place, [trace, half])
    assert 0.3 < np.corrcoef(traces.C)[0, 1] < 0.9
    assert merge_groups(A, traces.C, 0.99)
    A, traces = component_set(rng, same_place, [trace, stranger])
    assert not merge_groups(A, traces.C, 0.99), "two cells above each other"


def test_all_that_belongs_to_a_component_moves_with_it(rng):
    cell, other = blob(DIMS, (10, 10), 3), blob(DIMS, (10, 30), 3)
    trace, stranger = calcium(rng, T)[0], calcium(rng, T)[0]
    left, right = halves(cell)
    A, traces = component_set(rng, [left, right, other], [trace, trace, stranger])
    merged = merge_components(A, traces, 0.7, Deconvolution(p=1))
    for field in ("C", "S", "YrA", "bl", "c1", "sn", "lam", "g"):
        assert len(getattr(merged.traces, field)) == 2, field
    raw = traces.C + traces.YrA
    np.testing.assert_allclose((merged.traces.C + merged.traces.YrA)[0], raw[2], atol=1e-5)
    assert merged.traces.S[1].min() >= 0
    assert 0 < merged.traces.g[1, 0] < 1


def test_constant_traces_and_few_components_are_no_accident(rng):
    cell = blob(DIMS, (10, 10), 3)
    A, _ = component_set(rng, [cell, cell], [np.zeros(T), np.zeros(T)])
    flat = Traces.from_raw(np.full((2, T), 5, np.float32), CLIPPED)
    assert merge_components(A, flat, 0.7).groups == []
    for k in (0, 1):
        some = flat.take(np.arange(k))
        assert merge_components(sparse.csc_matrix(A[:, :k]), some, 0.7).groups == []
