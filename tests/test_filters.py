import numpy as np
import pytest
from scipy import ndimage
from synthetic import blob

from cnmf_engine.base.errors import InputError
from cnmf_engine.base.parallel import ALONE, Run
from cnmf_engine.stages.filters import filter_frames, gaussian_kernel, mean_centred_kernel, motion_kernel


@pytest.mark.parametrize("gSig", [1, 2, 2.5, 3, 4.5, 6, (2, 3)])
def test_zero_mean_kernel_has_the_documented_size_and_sums_to_zero(gSig):
    kernel = mean_centred_kernel(gSig)
    gy, gx = np.broadcast_to(gSig, 2)
    assert kernel.shape == (2 * int(2 * gy) + 1, 2 * int(2 * gx) + 1)
    assert kernel.dtype == np.float32
    assert abs(kernel.sum(dtype=np.float64)) < 1e-6
    assert kernel[kernel.shape[0] // 2, kernel.shape[1] // 2] == kernel.max() > 0


@pytest.mark.parametrize("make", [mean_centred_kernel, motion_kernel])
@pytest.mark.parametrize("gSig", [2, 3, 5])
def test_kernel_is_a_symmetric_disk(make, gSig):
    kernel = make(gSig)
    np.testing.assert_array_equal(kernel, kernel.T)
    np.testing.assert_array_equal(kernel, kernel[::-1])
    assert kernel[0, 0] == 0, "corners lie outside the disk"
    rows, columns = np.indices(kernel.shape) - len(kernel) // 2
    radius = np.hypot(rows, columns)
    used = kernel != 0
    assert radius[used].max() <= len(kernel) // 2 + 1e-9


@pytest.mark.parametrize(("gSig", "side"), [(2, 7), (3, 9), (4, 13), (2.5, 7)])
def test_motion_kernel_is_smaller_and_sums_to_zero(gSig, side):
    kernel = motion_kernel(gSig)
    assert kernel.shape == (side, side)
    assert abs(kernel.sum(dtype=np.float64)) < 1e-6
    assert len(kernel) < len(mean_centred_kernel(gSig))


def test_plain_gaussian_sums_to_one():
    assert gaussian_kernel((2, 3)).shape == (9, 13)
    assert gaussian_kernel(3).sum() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("bad", [0, -1, np.nan, np.inf, (1, 2, 3), (3, 0)])
def test_width_that_is_no_width_is_refused(bad):
    with pytest.raises(InputError, match="Gaussian width"):
        mean_centred_kernel(bad)
    with pytest.raises(InputError, match="Gaussian width"):
        motion_kernel(bad)


def test_flat_background_is_filtered_to_zero_and_a_ramp_too():
    kernel = mean_centred_kernel(3)
    flat = np.full((30, 40), 500, np.float32)
    assert np.abs(filter_frames(flat, kernel)).max() < 1e-2
    ramp = np.add.outer(np.arange(30), 2 * np.arange(40)).astype(np.float32)
    assert np.abs(filter_frames(ramp, kernel)[6:-6, 6:-6]).max() < 1e-3


def test_a_blob_of_a_cells_size_passes_where_a_wide_one_does_not():
    dims, centre = (81, 81), (40, 40)
    kernel = mean_centred_kernel(3)
    cell = filter_frames(blob(dims, centre, 3), kernel)
    vessel = filter_frames(blob(dims, centre, 15), kernel)
    assert np.unravel_index(cell.argmax(), dims) == centre
    assert cell.max() > 0.1
    assert np.abs(vessel[20:-20, 20:-20]).max() < 0.1 * cell.max()


@pytest.mark.parametrize(
    ("border", "mode"), [("replicate", "nearest"), ("reflect", "reflect"), ("constant", "constant")]
)
@pytest.mark.parametrize("gSig", [1, 2, 3])
def test_filtering_is_correlation_with_the_named_border(rng, border, mode, gSig):
    frames = rng.normal(size=(5, 25, 33)).astype(np.float32)
    kernel = rng.normal(size=(2 * gSig + 1, 4 * gSig + 1)).astype(np.float32)
    expected = np.stack([ndimage.correlate(f.astype(float), kernel, mode=mode, cval=0) for f in frames])
    np.testing.assert_allclose(filter_frames(frames, kernel, border), expected, atol=1e-4)


def test_result_does_not_depend_on_threads_layout_or_place(rng):
    frames = rng.integers(0, 255, size=(70, 24, 31)).astype(np.uint8)
    kernel = mean_centred_kernel(2)
    one = filter_frames(frames, kernel, run=ALONE)
    assert one.dtype == np.float32
    np.testing.assert_array_equal(filter_frames(frames, kernel, run=Run(4)), one)
    np.testing.assert_array_equal(filter_frames(np.asfortranarray(frames), kernel), one)
    np.testing.assert_array_equal(filter_frames(frames.astype(np.float64), kernel), one)
    np.testing.assert_array_equal(filter_frames(frames[3], kernel), one[3])
    place = frames.astype(np.float32)
    assert filter_frames(place, kernel, out=place) is place
    np.testing.assert_array_equal(place, one)


def test_unknown_border_is_refused(rng):
    with pytest.raises(InputError, match="'wrap'"):
        filter_frames(np.zeros((2, 5, 5), np.float32), mean_centred_kernel(1), border="wrap")


@pytest.mark.parametrize("border", ["replicate", "reflect", "constant"])
@pytest.mark.parametrize("gSig", [2, 3, (3, 5), 4.5, 7, 12])
def test_large_kernels_give_the_plain_sum(rng, border, gSig):
    """Whichever way is chosen for the kernel's size, the result is that of the definition."""
    frames = (100 + 20 * rng.random((20, 45, 61))).astype(np.float32)
    mode = {"replicate": "nearest", "reflect": "reflect", "constant": "constant"}[border]
    for kernel in (mean_centred_kernel(gSig), gaussian_kernel(gSig), np.triu(gaussian_kernel(gSig))):
        expected = ndimage.correlate(frames[3].astype(float), kernel.astype(float), mode=mode)
        for run in (ALONE, Run(3)):
            found = filter_frames(frames, kernel, border, run=run)
            np.testing.assert_allclose(found[3], expected, atol=1e-4)
