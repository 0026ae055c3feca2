import numpy as np
import pytest
from scipy import sparse
from synthetic import flatten

from cnmf_engine.movies.geometry import (
    Box,
    as_cube,
    as_image,
    bounding_box,
    coarse_dims,
    decimate,
    flat_index,
    read_box,
    upsample_image,
)

DIMS, T = (7, 10), 11


@pytest.fixture
def movie(rng):
    return rng.normal(size=(T, *DIMS)).astype(np.float32)


def slow_decimate(movie, ssub, tsub):
    """Means over blocks of frames, rows and columns, with whatever an incomplete block holds."""
    starts = [range(0, n, step) for n, step in zip(movie.shape, (tsub, ssub, ssub))]
    out = np.empty([len(s) for s in starts])
    for i, t in enumerate(starts[0]):
        for j, r in enumerate(starts[1]):
            for k, c in enumerate(starts[2]):
                frames = movie[t : t + tsub, r : r + ssub, c : c + ssub].astype(float)
                # Time first: an incomplete last block of frames weighs the same for all its pixels.
                out[i, j, k] = frames.mean(axis=0).mean()
    return out


@pytest.mark.parametrize("ssub", [1, 2, 3, 4])
@pytest.mark.parametrize("tsub", [1, 2, 4])
def test_decimation_averages_blocks_also_incomplete_ones(movie, ssub, tsub):
    expected = slow_decimate(movie, ssub, tsub)
    coarse = coarse_dims(DIMS, ssub)
    assert expected.shape[1:] == coarse
    result = decimate(flatten(movie), DIMS, ssub, tsub)
    assert result.shape == (coarse[0] * coarse[1], -(-T // tsub))
    np.testing.assert_allclose(result, flatten(expected), atol=1e-5)


def test_decimation_by_one_costs_no_copy_and_never_changes_its_input(movie):
    Y = flatten(movie)
    assert decimate(Y, DIMS) is Y
    before = Y.copy()
    decimate(Y, DIMS, 2, 3)
    np.testing.assert_array_equal(Y, before)


@pytest.mark.parametrize("ssub", [1, 2, 3, 8])
def test_upsampling_repeats_coarse_pixels_and_crops(rng, ssub):
    coarse = coarse_dims(DIMS, ssub)
    images = rng.normal(size=(3, *coarse))
    expected = np.stack(
        [[[i[r // ssub, c // ssub] for c in range(DIMS[1])] for r in range(DIMS[0])] for i in images]
    )
    result = upsample_image(flatten(images), coarse, DIMS, ssub)
    np.testing.assert_allclose(result, flatten(expected))


def test_decimating_what_was_upsampled_gives_it_back(rng):
    coarse = coarse_dims(DIMS, 3)
    values = rng.normal(size=(coarse[0] * coarse[1], 4)).astype(np.float32)
    full = upsample_image(values, coarse, DIMS, 3)
    np.testing.assert_allclose(decimate(full, DIMS, 3), values, rtol=1e-5, atol=1e-6)


def test_flattening_is_fortran_ordered_everywhere(movie):
    Y = flatten(movie)
    cube = as_cube(Y, DIMS)
    assert np.shares_memory(cube, Y)
    np.testing.assert_array_equal(cube, movie.transpose(1, 2, 0))
    np.testing.assert_array_equal(as_image(Y[:, 4], DIMS), movie[4])
    box = Box(2, 6, 3, 9)
    np.testing.assert_array_equal(Y[flat_index(box, DIMS)], flatten(movie[(slice(None), *box.slices)]))
    row, column = 5, 8
    assert flat_index(Box(row, row + 1, column, column + 1), DIMS).tolist() == [row + DIMS[0] * column]


@pytest.mark.parametrize("frames", [slice(None), slice(2, 9), slice(0, 11, 3)])
def test_a_box_is_read_the_same_from_memory_and_from_disk(movie, tmp_path, frames):
    d = DIMS[0] * DIMS[1]
    file = np.memmap(tmp_path / "Yr.mmap", mode="w+", dtype=np.float32, shape=(d, T))
    file[:] = flatten(movie)
    mapped = np.reshape(file.T, (T, *DIMS), order="F")
    box = Box(1, 5, 4, 10)
    expected = flatten(movie[frames][(slice(None), *box.slices)])
    for images in (mapped, movie, np.asfortranarray(movie), movie.astype(np.float64)):
        block = read_box(images[frames], box)
        np.testing.assert_array_equal(block, expected)
        assert type(block) is np.ndarray
        assert block.dtype == np.float32
        assert block.flags.c_contiguous
        assert block.flags.writeable
        assert not np.shares_memory(block, images)


def test_boxes_grow_within_the_image_and_move_into_each_other():
    box = Box(1, 4, 6, 9)
    assert box.dims == (3, 3)
    grown = box.around(2, DIMS)
    assert grown == Box(0, 6, 4, 10)
    assert box.within(grown) == Box(1, 4, 2, 5)


def test_bounding_box_holds_the_footprint_and_nothing_more():
    image = np.zeros(DIMS)
    image[2:5, 7] = 1
    image[3, 4] = 1
    A = sparse.csc_matrix(np.stack([image.ravel(order="F"), np.zeros(70)], axis=1))
    assert bounding_box(A, 0, DIMS) == Box(2, 5, 4, 8)
    assert bounding_box(A, 1, DIMS).dims == (0, 0)
