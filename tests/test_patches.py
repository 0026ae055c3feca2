import numpy as np
import pytest
from scipy import sparse
from synthetic import blob, calcium, flat_footprints

from cnmf_engine.base.errors import InputError
from cnmf_engine.movies.geometry import Box, flat_index
from cnmf_engine.stages.cnmfe.initialization import Initialized
from cnmf_engine.stages.cnmfe.patches import centres_of_mass, combine_patches, patch_grid
from cnmf_engine.stages.cnmfe.seeding import Seeds
from cnmf_engine.stages.cnmfe.temporal import Traces
from cnmf_engine.stages.deconvolution.foopsi import CLIPPED

T = 120


@pytest.mark.parametrize("dims", [(110, 130), (96, 96), (81, 200), (37, 500), (240, 376)])
@pytest.mark.parametrize(("rf", "stride"), [(40, 20), (15, 6), (20, None), ((20, 30), (8, 10)), (10, 0)])
def test_patches_cover_every_pixel_and_overlap(dims, rf, stride):
    boxes = patch_grid(dims, rf, stride)
    cover = np.zeros(dims, int)
    for box in boxes:
        assert 0 <= box.r0 < box.r1 <= dims[0]
        assert 0 <= box.c0 < box.c1 <= dims[1]
        cover[box.slices] += 1
    assert cover.min() >= 1
    for length, half in zip(dims, np.broadcast_to(rf, 2)):
        assert max(b.dims[dims.index(length)] for b in boxes) <= 2 * half + 1


def test_grid_of_a_field_just_larger_than_a_patch():
    boxes = patch_grid((110, 130), 40, 20)
    assert [b.dims for b in boxes] == [(81, 81), (81, 80), (80, 81), (80, 80)]
    assert boxes[0] == Box(0, 81, 0, 81)
    assert boxes[-1] == Box(30, 110, 50, 130)


def test_grid_steps_by_a_side_less_the_overlap():
    rows = sorted({(b.r0, b.r1) for b in patch_grid((200, 50), 25, 10)})
    assert rows == [(0, 51), (40, 91), (80, 131), (120, 171), (150, 200)]


def test_one_patch_for_a_small_field_of_view():
    assert patch_grid((60, 80), 40, 20) == [Box(0, 60, 0, 80)]
    assert {b.r1 - b.r0 for b in patch_grid((60, 200), 40, 20)} == {60}


def test_overlap_of_a_tenth_by_default_and_patches_row_by_row():
    boxes = patch_grid((100, 100), 20, None)
    assert boxes == patch_grid((100, 100), 20, 4)
    assert boxes == sorted(boxes)


def test_border_stays_out():
    boxes = patch_grid((90, 100), 20, 8, border_pix=5)
    assert min(b.r0 for b in boxes) == min(b.c0 for b in boxes) == 5
    assert max(b.r1 for b in boxes) == 85
    assert max(b.c1 for b in boxes) == 95


@pytest.mark.parametrize(
    ("rf", "stride", "border"), [(10, 20, 0), (10, 25, 0), (0, 0, 0), (10, 5, 30), ((10, 10), (5, 20), 0)]
)
def test_impossible_patches_are_refused(rf, stride, border):
    with pytest.raises(InputError, match="rf="):
        patch_grid((60, 60), rf, stride, border)


def patch_result(box, dims, cells):
    """Result of a patch that found cells ``(row, column, trace)``, in the field's coordinates."""
    A = flat_footprints(np.stack([blob(dims, cell[:2], 2.5) for cell in cells]))[flat_index(box, dims)]
    traces = Traces.from_raw(np.stack([trace for *_, trace in cells]).astype(np.float32), CLIPPED)
    nothing = Seeds(A, traces.C, 0, 0.0, 0.0)
    return Initialized(
        sparse.csc_matrix(A), traces, np.full(len(flat_index(box, dims)), 3, np.float32), nothing
    )


@pytest.fixture
def two_patches(rng):
    """Field of two patches side by side; the line between them lies at column 29.5 (of 60)."""
    dims = (30, 60)
    boxes = [Box(0, 30, 0, 41), Box(0, 30, 19, 60)]
    return dims, boxes, [calcium(rng, T)[0] for _ in range(4)]


def test_a_cell_seen_by_two_patches_is_kept_by_the_nearer_one(two_patches):
    dims, boxes, (a, b, c, _) = two_patches
    results = [
        patch_result(boxes[0], dims, [(15, 8, a), (15, 25, b)]),
        patch_result(boxes[1], dims, [(15, 25, b), (15, 50, c)]),
    ]
    A, traces, sn = combine_patches(results, boxes, dims, T)
    np.testing.assert_allclose(centres_of_mass(A, dims), [(15, 8), (15, 25), (15, 50)], atol=0.3)
    np.testing.assert_array_equal(traces.C, np.stack([a, b, c]))
    assert np.all(sn == 3)


@pytest.mark.parametrize(
    "columns", [(29.5, 29.5), (28.9, 30.1), (30.1, 28.9), (28.2, 30.3), (29, 29), (30.5, 30.5)]
)
def test_a_cell_on_the_line_between_patches_is_kept_once(two_patches, columns):
    """Each patch may place it a little to its own side or to the other's; it is neither lost nor doubled."""
    dims, boxes, (a, *_) = two_patches
    results = [patch_result(box, dims, [(15, column, a)]) for box, column in zip(boxes, columns)]
    A, traces, _ = combine_patches(results, boxes, dims, T)
    assert A.shape[1] == len(traces.C) == 1


def test_a_cell_on_the_line_that_only_one_patch_found_is_kept(two_patches):
    dims, boxes, (a, b, *_) = two_patches
    results = [patch_result(boxes[0], dims, [(15, 30.5, a)]), patch_result(boxes[1], dims, [(15, 50, b)])]
    assert combine_patches(results, boxes, dims, T)[0].shape[1] == 2


@pytest.mark.parametrize("columns", [(27, 32), (28.5, 31.5), (29, 33)])
def test_two_cells_on_either_side_of_the_line_are_both_kept_once(two_patches, columns):
    dims, boxes, (a, b, *_) = two_patches
    cells = [(15, columns[0], a), (15, columns[1], b)]
    A, traces, _ = combine_patches([patch_result(box, dims, cells) for box in boxes], boxes, dims, T)
    assert A.shape[1] == 2
    np.testing.assert_allclose(np.sort(centres_of_mass(A, dims)[:, 1]), columns, atol=0.5)


def test_without_removal_overlaps_are_shared_out(two_patches):
    dims, boxes, (a, b, *_) = two_patches
    cells = [(15, 29.5, a)]
    results = [patch_result(boxes[0], dims, [(15, 6, b), *cells]), patch_result(boxes[1], dims, cells)]
    A, traces, _ = combine_patches(results, boxes, dims, T, del_duplicates=False)
    assert A.shape[1] == len(traces.C) == 3
    whole = flat_footprints(np.stack([blob(dims, (15, 29.5), 2.5)])).toarray().ravel()
    np.testing.assert_allclose(A[:, [1, 2]].toarray().sum(axis=1), whole, atol=1e-6)
    np.testing.assert_allclose(A[:, 0].toarray().max(), 1, atol=0.01)


def test_skipped_patches_leave_no_trace(two_patches):
    dims, boxes, (a, *_) = two_patches
    A, traces, sn = combine_patches([patch_result(boxes[0], dims, [(15, 8, a)]), None], boxes, dims, T)
    assert A.shape == (30 * 60, 1)
    assert not sn.reshape(dims, order="F")[:, 41:].any()
    A, traces, sn = combine_patches([None, None], boxes, dims, T)
    assert A.shape == (30 * 60, 0)
    assert traces.C.shape == (0, T)
    assert not sn.any()


def test_centres_of_mass_are_rows_and_columns():
    dims = (20, 33)
    A = flat_footprints(np.stack([blob(dims, (7, 21), 2), np.zeros(dims)]))
    centres = centres_of_mass(A, dims)
    np.testing.assert_allclose(centres[0], (7, 21), atol=0.01)
    assert np.isnan(centres[1]).all()
