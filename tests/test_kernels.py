import numpy as np
import pytest

from cnmf_engine.movies.geometry import Box, as_cube
from cnmf_engine.stages.cnmfe.kernels import signal_correlation, take_off

DIMS = (7, 9)


@pytest.fixture
def Y(rng):
    Y = rng.normal(size=(63, 200)).astype(np.float32)
    Y[1:] += 0.5 * Y[:-1]
    return Y


@pytest.mark.parametrize("box", [Box(0, 7, 0, 9), Box(2, 6, 1, 5), Box(6, 7, 0, 9), Box(3, 4, 3, 4)])
def test_correlation_is_the_mean_over_the_neighbours_in_the_box(Y, box, rng):
    floor = rng.uniform(-1, 0.5, size=box.dims)
    signal = as_cube(Y, DIMS)[box.slices].astype(float)
    signal[signal < floor[..., None]] = 0
    found = signal_correlation(Y, DIMS, box, floor)
    for i, j in np.ndindex(box.dims):
        near = [
            np.corrcoef(signal[i, j], signal[k, m])[0, 1]
            for k in range(max(i - 1, 0), min(i + 2, box.dims[0]))
            for m in range(max(j - 1, 0), min(j + 2, box.dims[1]))
            if (k, m) != (i, j)
        ]
        assert found[i, j] == pytest.approx(np.mean(near) if near else 0, abs=1e-5)


def test_pixels_that_do_not_count_correlate_with_nothing(Y):
    """A pixel without noise has an infinite floor; one that never reaches its floor is constant."""
    box = Box(0, 7, 0, 9)
    floor = np.full(DIMS, -np.inf)
    floor[3, 3], floor[3, 4] = np.inf, 1e6
    Y[3 + 7 * 5] = 5.0
    found = signal_correlation(Y, DIMS, box, floor)
    assert found[3, 3] == found[3, 4] == found[3, 5] == 0
    assert np.isfinite(found).all()


def test_a_cell_is_taken_off_where_it_lies(Y, rng):
    box = Box(2, 5, 4, 8)
    image = rng.random((3, 4)).astype(np.float32)
    image[0, 0] = 0
    trace = rng.random(200).astype(np.float32)
    expected = Y.copy()
    as_cube(expected, DIMS)[box.slices] -= image[..., None] * trace
    take_off(Y, DIMS, box, image, trace)
    np.testing.assert_allclose(Y, expected, atol=1e-6)
