import numpy as np
import pytest
from synthetic import blob, calcium, cosine, smooth_background

from cnmf_engine.stages.cnmfe.extraction import (
    circular_constraint,
    connected_constraint,
    extract_neuron,
    trace_baseline,
)
from cnmf_engine.stages.filters import filter_frames, mean_centred_kernel


def box_movie(rng, centres, dims=(21, 21), T=400, sigma=2.5, noise=3.0, traces=None):
    """Raw and filtered movie ``(rows, columns, T)`` of a box, the footprints and the traces."""
    A = np.stack([blob(dims, centre, sigma) for centre in centres])
    C = np.stack([60 * calcium(rng, T)[0] for _ in centres]) if traces is None else traces
    frames = np.tensordot(C.T, A, axes=1) + smooth_background(rng, dims, T, sigma=25)
    frames = (frames + rng.normal(scale=noise, size=frames.shape)).astype(np.float32)
    filtered = filter_frames(frames, mean_centred_kernel(sigma))
    filtered -= filtered.mean(axis=0)
    return (
        np.ascontiguousarray(frames.transpose(1, 2, 0)),
        np.ascontiguousarray(filtered.transpose(1, 2, 0)),
        A,
        C,
    )


def test_footprint_and_trace_of_a_single_cell(rng):
    raw, filtered, A, C = box_movie(rng, [(10, 10)])
    neuron = extract_neuron(raw, filtered, (10, 10))
    assert cosine(neuron.footprint, A[0]) > 0.95
    assert np.corrcoef(neuron.trace, C[0])[0, 1] > 0.98
    assert neuron.footprint.dtype == neuron.trace.dtype == np.float32
    assert neuron.footprint.min() >= 0
    # The product is the cell in units of the movie, whatever the split between the two.
    peak = neuron.footprint[10, 10] * np.ptp(neuron.trace)
    assert peak == pytest.approx(np.ptp(C[0]), rel=0.15)


def test_seed_beside_the_centre_finds_the_same_cell(rng):
    raw, filtered, A, _ = box_movie(rng, [(10, 10)])
    assert cosine(extract_neuron(raw, filtered, (9, 11)).footprint, A[0]) > 0.95


def test_an_active_neighbour_stays_out(rng):
    raw, filtered, A, C = box_movie(rng, [(10, 8), (10, 16)])
    neuron = extract_neuron(raw, filtered, (10, 8))
    assert cosine(neuron.footprint, A[0]) > 0.9
    assert np.corrcoef(neuron.trace, C[0])[0, 1] > 0.95
    assert neuron.footprint[10, 16] < 0.1 * neuron.footprint.max()


def test_a_neighbour_that_partly_fires_along_is_cut_off(rng):
    own = np.stack([60 * calcium(rng, 400)[0] for _ in range(2)])
    traces = np.stack([own[0], 0.25 * own[0] + 0.3 * own[1]])
    raw, filtered, A, _ = box_movie(rng, [(10, 5), (10, 16)], noise=1.0, traces=traces)
    neuron = extract_neuron(raw, filtered, (10, 5))
    assert cosine(neuron.footprint, A[0]) > 0.9
    assert not neuron.footprint[8:13, 15:18].any()


@pytest.mark.parametrize("centre", [(0, 10), (10, 20), (20, 0)])
def test_a_cell_at_the_border_of_the_box(rng, centre):
    raw, filtered, A, C = box_movie(rng, [centre])
    neuron = extract_neuron(raw, filtered, centre)
    assert cosine(neuron.footprint, A[0]) > 0.9
    assert np.corrcoef(neuron.trace, C[0])[0, 1] > 0.95


def test_nothing_is_extracted_where_nothing_happens(rng):
    silent = np.full((9, 9, 100), 50, np.float32)
    assert extract_neuron(silent, np.zeros_like(silent), (4, 4)) is None


def test_arguments_are_left_as_they_were(rng):
    raw, filtered, *_ = box_movie(rng, [(10, 10)], T=150)
    copies = raw.copy(), filtered.copy()
    extract_neuron(raw, filtered, (10, 10))
    np.testing.assert_array_equal(raw, copies[0])
    np.testing.assert_array_equal(filtered, copies[1])


def test_circular_constraint_keeps_a_round_cell_and_cuts_a_dim_neighbour():
    dims = (25, 31)
    cell = blob(dims, (12, 10), 3)
    np.testing.assert_array_equal(circular_constraint(cell), cell)
    both = np.maximum(cell, 0.25 * blob(dims, (12, 22), 3))
    cut = circular_constraint(both)
    assert cut[12, 22] == 0
    assert cosine(cut, cell) > 0.97
    assert not circular_constraint(np.zeros(dims)).any()


def test_connected_constraint_removes_islands_and_thin_bridges():
    dims = (24, 40)
    cell = blob(dims, (12, 10), 3)
    bridged = cell + blob(dims, (12, 32), 2.5) * 0.5
    bridged[12, 15:30] = np.maximum(bridged[12, 15:30], 0.1)
    kept = connected_constraint(bridged)
    assert kept[12, 32] == 0
    np.testing.assert_array_equal(kept[8:17, 6:15], cell[8:17, 6:15])
    small = np.zeros((9, 9))
    small[4, 3:6] = 1
    np.testing.assert_array_equal(connected_constraint(small), small)


def test_baseline_is_where_the_trace_rests(rng):
    trace = calcium(rng, 800)[0] + 7 + rng.normal(scale=0.05, size=800)
    assert trace_baseline(trace) == pytest.approx(7, abs=0.15)
    assert np.isnan(trace_baseline(np.arange(50.0)[::-1]))
