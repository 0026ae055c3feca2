import os
import re
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import tifffile

from cnmf_engine.base.errors import InputError, MissingFileError, ParameterError
from cnmf_engine.caiman import mmapping as memmap
from cnmf_engine.movies import Target, write_frames
from cnmf_engine.movies.turning import FrameFile, write_series


def mapped(path):
    Yr, dims, T = memmap.load_memmap(path)
    return Yr.T.reshape((T, *dims), order="F")


@pytest.fixture
def tif(tmp_path, small_movie):
    path = tmp_path / "recording.tif"
    tifffile.imwrite(path, small_movie, compression="zlib", photometric="minisblack")
    return path


def test_name_follows_the_grammar_and_is_read_back():
    name = memmap.memmap_name("mouse_rig_", (110, 130), "F", 900)
    assert name == "mouse_rig__d1_110_d2_130_d3_1_order_F_frames_900.mmap"
    info = memmap.parse_memmap_name(f"somewhere/{name}")
    assert info == memmap.MemmapInfo(110, 130, 1, "F", 900)
    assert info.dims == (110, 130)


@pytest.mark.parametrize(
    "base", ["animal_d1_3_frames_2", "order_C", "a_d1_1_d2_2_d3_1_order_F_frames_7", "é ü"]
)
def test_words_of_the_grammar_may_be_part_of_the_base_name(base):
    info = memmap.parse_memmap_name(memmap.memmap_name(base, (5, 6, 7), "C", 8))
    assert info == memmap.MemmapInfo(5, 6, 7, "C", 8)
    assert info.dims == (5, 6, 7)


def test_older_grammar_with_a_trailing_underscore():
    assert memmap.parse_memmap_name("Yr_d1_5_d2_6_d3_1_order_C_frames_8_.mmap").T == 8


@pytest.mark.parametrize("order", ["C", "F"])
def test_bytes_are_in_the_order_the_name_says(order, tif, tmp_caiman, small_movie):
    path = memmap.save_memmap(tif, base_name="Yr", order=order)
    assert os.path.basename(path) == f"Yr_d1_20_d2_30_d3_1_order_{order}_frames_60.mmap"
    raw = np.fromfile(path, "<f4")
    flat = small_movie.transpose(0, 2, 1).reshape(60, -1)
    np.testing.assert_array_equal(raw, (flat.T if order == "C" else flat).ravel())
    np.testing.assert_array_equal(mapped(path), small_movie)


def test_reshaping_as_notebooks_do_copies_nothing(tif, tmp_caiman):
    path = memmap.save_memmap(tif, order="C")
    Yr, dims, T = memmap.load_memmap(path)
    images = Yr.T.reshape((T, *dims), order="F")
    assert isinstance(Yr, np.memmap)
    assert Yr.flags.c_contiguous
    assert np.shares_memory(images, Yr)
    assert str(images.filename) == path


@pytest.mark.parametrize("kind", ["str", "path", "array", "list", "map"])
def test_every_kind_of_input_gives_the_same_map(kind, tif, tmp_caiman, small_movie):
    source = {
        "str": str(tif),
        "path": tif,
        "array": small_movie,
        "list": [str(tif)],
        "map": memmap.save_memmap(tif, base_name="first", order="F"),
    }[kind]
    np.testing.assert_array_equal(mapped(memmap.save_memmap(source, order="C")), small_movie)


@pytest.mark.parametrize("order", ["C", "F"])
def test_several_files_become_one_map_whatever_the_block_size(order, tif, tmp_caiman, small_movie):
    path = memmap.save_memmap(
        [tif, small_movie[:7], tif], base_name="memmap_", order=order, memory_limit=20_000
    )
    assert os.path.basename(path) == f"memmap__d1_20_d2_30_d3_1_order_{order}_frames_127.mmap"
    np.testing.assert_array_equal(mapped(path), np.concatenate([small_movie, small_movie[:7], small_movie]))


def test_values_keep_their_units_and_borders_get_the_minimum(tif, tmp_caiman, small_movie):
    found = mapped(memmap.save_memmap(tif, order="C", border_to_0=3, add_to_movie=10))
    np.testing.assert_array_equal(found[:, 3:-3, 3:-3], small_movie[:, 3:-3, 3:-3] + 10)
    border = np.ones((20, 30), bool)
    border[3:-3, 3:-3] = False
    np.testing.assert_allclose(found[:, border], small_movie.min() + 10)


def test_nan_borders_are_filled_by_border_to_0_and_kept_without(tmp_caiman, small_movie):
    small_movie[:, :2] = np.nan
    filled = mapped(memmap.save_memmap(small_movie, order="C", border_to_0=2))
    assert np.all(filled[:, :2] == np.nanmin(small_movie))
    np.testing.assert_array_equal(mapped(memmap.save_memmap(small_movie, order="C")), small_movie)


def test_frames_rows_and_columns_can_be_cut(tif, tmp_caiman, small_movie):
    by_slices = memmap.save_memmap(tif, slices=(slice(4, 50, 3), slice(2, 15), slice(None, 9)))
    np.testing.assert_array_equal(mapped(by_slices), small_movie[4:50:3, 2:15, :9])
    by_keywords = memmap.save_memmap(tif, remove_init=11, idx_xy=(slice(5, 9), slice(0, 30, 2)), order="C")
    np.testing.assert_array_equal(mapped(by_keywords), small_movie[11:, 5:9, ::2])


def test_resizing_averages_in_space_and_time(tif, tmp_caiman, small_movie):
    found = mapped(memmap.save_memmap(tif, resize_fact=(0.5, 0.5, 0.25), order="C", memory_limit=30_000))
    expected = small_movie.reshape(15, 4, 10, 2, 15, 2).mean(axis=(1, 3, 5))
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert len(list(tmp_caiman.iterdir())) == 1


def test_shifts_move_the_scene(tmp_caiman, small_movie):
    shifts = np.tile([2.0, -3.0], (60, 1))
    found = mapped(memmap.save_memmap(small_movie, xy_shifts=shifts, order="C"))
    np.testing.assert_allclose(
        found[:, 4:-4, 4:-4], np.roll(small_movie, (2, -3), (1, 2))[:, 4:-4, 4:-4], rtol=1e-5
    )
    with pytest.raises(InputError, match=re.escape("(60, 2)")):
        memmap.save_memmap(small_movie, xy_shifts=shifts[:-1])


def test_integers_become_float32(tmp_caiman, small_movie):
    counts = small_movie.astype(">u2")
    Yr, _, _ = memmap.load_memmap(memmap.save_memmap(counts, order="C"))
    assert Yr.dtype == np.float32
    np.testing.assert_array_equal(Yr, counts.transpose(0, 2, 1).reshape(60, -1).T)


def test_a_folder_in_the_base_name_is_honoured(tif, tmp_path, tmp_caiman):
    path = memmap.save_memmap(tif, base_name=tmp_path / "results" / "memmap_", order="C")
    assert os.path.dirname(path) == str(tmp_path / "results")
    assert os.path.basename(path).startswith("memmap_d1_20")
    assert list(tmp_caiman.iterdir()) == []


def test_replacing_a_map_leaves_the_one_in_use_alone(tmp_caiman, small_movie):
    first = memmap.save_memmap(small_movie, order="C")
    in_use = mapped(first)
    second = memmap.save_memmap(small_movie + 1000, order="C")
    np.testing.assert_array_equal(in_use, small_movie)
    np.testing.assert_array_equal(mapped(second), small_movie + 1000)
    np.testing.assert_array_equal(
        mapped(memmap.save_memmap(second, order="C", add_to_movie=1)), small_movie + 1001
    )


def test_a_map_that_cannot_be_replaced_gets_a_number(tmp_caiman, small_movie, monkeypatch):
    first = memmap.save_memmap(small_movie, order="C")
    monkeypatch.setattr("cnmf_engine.movies.writing._can_replace", lambda path: False)
    second = memmap.save_memmap(small_movie + 1, order="C")
    assert os.path.basename(second) == "Yr-2_d1_20_d2_30_d3_1_order_C_frames_60.mmap"
    np.testing.assert_array_equal(mapped(first), small_movie)


def test_an_interrupted_write_leaves_nothing(tmp_caiman, small_movie):
    def frames():
        yield small_movie[:30]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_frames(frames(), Target(tmp_caiman / "Yr", "C"), (20, 30), 60)
    with pytest.raises(InputError, match="144000 bytes"):
        write_frames(iter([small_movie[:30]]), Target(tmp_caiman / "Yr", "F"), (20, 30), 60)
    assert list(tmp_caiman.iterdir()) == []


def test_one_map_for_each_file_and_their_join(tif, tmp_caiman, small_movie):
    each = memmap.save_memmap_each([tif, small_movie[:9]], base_name="part")
    assert [os.path.basename(path)[:10] for path in each] == ["part0000_d", "part0001_d"]
    joined = memmap.save_memmap_join(each, base_name="whole")
    assert os.path.basename(joined) == "whole_d1_20_d2_30_d3_1_order_C_frames_69.mmap"
    np.testing.assert_array_equal(mapped(joined), np.concatenate([small_movie, small_movie[:9]]))
    assert os.path.basename(memmap.save_memmap_each(str(tif))[0]).startswith("recording_d1")


def test_bare_names_are_found_in_the_temporary_folder(tif, tmp_caiman, small_movie):
    name = os.path.basename(memmap.save_memmap(tif, order="C"))
    np.testing.assert_array_equal(mapped(name), small_movie)


def test_npy_maps_with_such_a_name(tmp_path, small_movie):
    flat = small_movie.transpose(0, 2, 1).reshape(60, -1).T
    path = tmp_path / "Yr_d1_20_d2_30_d3_1_order_C_frames_60.npy"
    np.save(path, flat)
    np.testing.assert_array_equal(mapped(path), small_movie)
    np.save(path, flat[:, :-1])
    with pytest.raises(InputError, match="shape"):
        memmap.load_memmap(path)


def test_what_is_wrong_with_a_file_is_said(tmp_path, tmp_caiman, small_movie):
    path = memmap.save_memmap(small_movie, order="C")
    with pytest.raises(MissingFileError, match="frames_60.mmap"):
        memmap.load_memmap(path.replace("frames_60", "frames_61"))
    with pytest.raises(ValueError, match=r"\.mmap or \.npy"):
        memmap.load_memmap(tmp_path / "a.tif")
    with open(path, "r+b") as file:
        file.truncate(1000)
    with pytest.raises(InputError, match=r"144000 bytes[\s\S]*1000 bytes"):
        memmap.load_memmap(path)
    renamed = tmp_path / "copy.mmap"
    os.rename(path, renamed)
    with pytest.raises(InputError, match="copy.mmap"):
        memmap.load_memmap(renamed)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"order": "A"}, "'A'"),
        ({"remove_init": 60}, "remove_init"),
        ({"resize_fact": (0, 1, 1)}, "resize_fact"),
        ({"is_3D": True}, "is_3D"),
        ({"slices": (slice(None), slice(5, 5), slice(None))}, "slices"),
    ],
)
def test_settings_that_leave_nothing_or_mean_nothing(options, named, tmp_caiman, small_movie):
    with pytest.raises((InputError, ParameterError), match=named):
        memmap.save_memmap(small_movie, **options)


def test_one_frame_is_a_movie(tmp_caiman, small_movie):
    np.testing.assert_array_equal(mapped(memmap.save_memmap(small_movie[:1], order="C")), small_movie[:1])


@pytest.mark.parametrize("order", ["C", "F"])
def test_memory_follows_the_budget_not_the_length(order, tmp_path, tmp_caiman):
    path = tmp_path / "long.tif"
    movie = np.zeros((3000, 50, 60), np.uint8)
    movie[:, 7, 9] = np.arange(3000) % 251
    tifffile.imwrite(path, movie)
    tracemalloc.start()
    try:
        saved = memmap.save_memmap(path, order=order, memory_limit="2MB")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert os.path.getsize(saved) == 4 * movie.size
    assert peak < 6 * 2**20
    np.testing.assert_array_equal(mapped(saved)[:, 7, 9], movie[:, 7, 9])


@pytest.mark.parametrize("limit", ["20KB", "1MB", None])
def test_corrected_movies_are_turned_straight_from_their_files(limit, tmp_caiman, small_movie):
    parts = [
        memmap.save_memmap(m, base_name=f"p{i}") for i, m in enumerate((small_movie, small_movie[:7] - 9))
    ]
    whole = np.concatenate([small_movie, small_movie[:7] - 9])
    options = {"order": "C", "memory_limit": limit}
    np.testing.assert_array_equal(mapped(memmap.save_memmap(parts, **options)), whole)
    found = mapped(memmap.save_memmap(parts, border_to_0=2, add_to_movie=3, **options))
    np.testing.assert_array_equal(found[:, 2:-2, 2:-2], whole[:, 2:-2, 2:-2] + 3)
    assert np.all(found[:, :2] == whole.min() + np.float32(3))
    assert np.all(found[:, :, -2:] == whole.min() + np.float32(3))
    assert not [entry for entry in tmp_caiman.iterdir() if entry.suffix != ".mmap"]


def test_a_file_that_shrinks_while_it_is_turned_is_noticed(tmp_caiman, small_movie):
    path = memmap.save_memmap(small_movie)
    with pytest.raises(EOFError, match="frames_60"):
        write_series([FrameFile(Path(path), 61)], tmp_caiman / "out.mmap", 600, 10**6)
