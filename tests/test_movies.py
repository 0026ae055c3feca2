import copy
import logging
import pickle
import re

import cv2
import h5py
import numpy as np
import pytest
import tifffile

import cnmf_engine as cm
from cnmf_engine.base.errors import InputError, MissingFileError, ParameterError
from cnmf_engine.base.parallel import Run
from cnmf_engine.movies import iter_frames, open_movie


@pytest.fixture
def counts(small_movie):
    return small_movie.astype(np.uint16)


@pytest.fixture
def tif(tmp_path, counts):
    path = tmp_path / "recording.tif"
    tifffile.imwrite(path, counts)
    return path


def frame_by_frame(path, frames, **options):
    with tifffile.TiffWriter(path) as tif:
        for frame in frames:
            tif.write(frame, photometric="minisblack", **options)


TIFF_KINDS = {
    "contiguous": lambda path, frames: tifffile.imwrite(path, frames),
    "compressed": lambda path, frames: tifffile.imwrite(
        path, frames, compression="zlib", photometric="minisblack"
    ),
    "big-endian": lambda path, frames: tifffile.imwrite(path, frames, byteorder=">"),
    "bigtiff": lambda path, frames: tifffile.imwrite(path, frames, bigtiff=True),
    "imagej": lambda path, frames: tifffile.imwrite(path, frames, imagej=True, metadata={"axes": "TYX"}),
    # The form that ImageJ gives stacks above 4 GB: one page listed, all frames behind it.
    "imagej, one page": lambda path, frames: tifffile.imwrite(path, frames, imagej=True, truncate=True),
    "ome": lambda path, frames: tifffile.imwrite(path, frames, ome=True, metadata={"axes": "TYX"}),
    "frame by frame": frame_by_frame,
    "frame by frame, plain": lambda path, frames: frame_by_frame(path, frames, metadata=None),
    # Stacks of three frames were written as colour planes by older versions of tifffile.
    "three frames": lambda path, frames: tifffile.imwrite(
        path, frames[:3], photometric="rgb", planarconfig="separate"
    ),
    "one frame": lambda path, frames: tifffile.imwrite(path, frames[:1]),
}


@pytest.mark.parametrize("kind", TIFF_KINDS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_every_kind_of_tiff_gives_its_frames(kind, dtype, tmp_path, small_movie):
    path = tmp_path / "recording.tif"
    frames = small_movie.astype(dtype)
    TIFF_KINDS[kind](path, frames)
    loaded = cm.load(path)
    assert isinstance(loaded, cm.movie)
    assert loaded.dtype == np.float32
    assert loaded.file_name == [str(path)]
    np.testing.assert_array_equal(loaded, frames[: len(loaded)])
    assert len(loaded) == {"three frames": 3, "one frame": 1}.get(kind, 60)
    with open_movie(path) as reader:
        assert reader.dtype == dtype
        np.testing.assert_array_equal(reader[-1], loaded[-1])


@pytest.mark.parametrize("suffix", [".tif", ".tiff", ".npy", ".npz", ".hdf5", ".h5", ".mmap"])
def test_what_is_saved_is_loaded(suffix, tmp_path, small_movie):
    recording = cm.movie(small_movie, fr=12.5)
    path = recording.save(tmp_path / f"saved{suffix}")
    loaded = cm.load(path)
    np.testing.assert_array_equal(loaded, small_movie)
    assert loaded.fr == (12.5 if suffix in (".npz", ".hdf5", ".h5") else 30)
    assert cm.load(path, fr=7).fr == 7
    assert [entry.name for entry in tmp_path.iterdir()] == [path.rsplit("/", 1)[-1]]


def test_bare_names_are_saved_where_the_user_is(tmp_path, tmp_caiman, small_movie, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cm.movie(small_movie).save("here.tif")
    cm.movie(small_movie).save("here.mmap", order="C")
    names = {path.name for path in tmp_path.iterdir()}
    assert {"here.tif", "here_d1_20_d2_30_d3_1_order_C_frames_60.mmap"} <= names
    assert list(tmp_caiman.iterdir()) == []


@pytest.mark.parametrize("part", [4e-4, 0.02, 0.5, 0.9999])
def test_tiff_that_was_cut_off_is_told(part, tmp_path, small_movie):
    """A download that ended too early: whatever it ends in, pages or their list."""
    whole, cut = tmp_path / "whole.tif", tmp_path / "cut.tif"
    tifffile.imwrite(whole, small_movie, compression="zlib", photometric="minisblack")
    content = whole.read_bytes()
    cut.write_bytes(content[: int(part * len(content))])
    # Of some stacks only the first image is left, which is a whole TIFF file.
    with pytest.raises(InputError, match=r"cut\.tif(.|\n)*(download it again|list of all image files)"):
        cm.load(str(cut))


def test_tiff_options(tmp_path, counts):
    recording = cm.movie(counts)
    small = recording.save(tmp_path / "small.tif", to32=False, compress=6)
    plain = recording.save(tmp_path / "plain.tif", to32=False, imagej=True)
    with tifffile.TiffFile(small) as one, tifffile.TiffFile(plain) as other:
        assert one.series[0].dtype == np.uint16
        assert other.is_imagej
        assert other.series[0].axes == "TYX"
    np.testing.assert_array_equal(cm.load(small), counts)
    np.testing.assert_array_equal(cm.load(plain), counts)


def test_video_is_read_frame_by_frame_and_from_anywhere(tmp_path, counts):
    path = str(tmp_path / "recording.avi")
    grey = np.repeat(np.repeat(counts.astype(np.uint8), 4, axis=1), 4, axis=2)
    writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*"FFV1"), 20, (120, 80), True)
    if not writer.isOpened():
        pytest.skip("this OpenCV can't write lossless video")
    for frame in grey:
        writer.write(cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR))
    writer.release()
    loaded = cm.load(path)
    assert loaded.shape == grey.shape
    # The colour space of the codec costs a count or two.
    np.testing.assert_allclose(loaded, grey, atol=2)
    with open_movie(path) as reader:
        np.testing.assert_array_equal(reader[[50, 3, 3, 59]], np.asarray(loaded)[[50, 3, 3, 59]])
        np.testing.assert_array_equal(reader[10:20], np.asarray(loaded)[10:20])


def test_saved_video_stretches_contrast(tmp_path, small_movie):
    path = cm.movie(small_movie, fr=20).save(tmp_path / "shown.avi")
    shown = np.asarray(cm.load(path))
    assert shown.shape == small_movie.shape
    assert shown.min() < 10
    assert shown.max() > 245
    assert np.corrcoef(shown.ravel(), small_movie.ravel())[0, 1] > 0.95


def test_parts_of_a_movie(tif, counts):
    frames = counts.astype(np.float32)
    for subindices in (slice(3, 50, 4), range(3, 20), np.array([5, 1, 1, -1]), [7, 8], slice(9, 2, -3), [2]):
        np.testing.assert_array_equal(
            cm.load(tif, subindices=subindices), frames[np.asarray(np.arange(60)[subindices])]
        )
    loaded = cm.load(tif, subindices=[slice(0, 9), slice(2, 9), slice(None, None, 3)])
    np.testing.assert_array_equal(loaded, frames[:9, 2:9, ::3])
    np.testing.assert_array_equal(cm.load(tif, top=1, bottom=2, left=3, right=4), frames[:, 1:-2, 3:-4])
    with pytest.raises(InputError, match="top, bottom"):
        cm.load(tif, top=10, bottom=10)


def test_several_files_follow_each_other(tif, tmp_path, counts):
    cm.movie(counts[:5]).save(tmp_path / "second.hdf5")
    files = [tif, tmp_path / "second.hdf5"]
    loaded = cm.load(files, fr=10)
    np.testing.assert_array_equal(loaded, np.concatenate([counts, counts[:5]]))
    assert loaded.fr == 10
    assert loaded.file_name == [str(name) for name in files]
    assert cm.get_file_size(files) == ((20, 30), (60, 5))
    assert cm.get_file_size(tif) == ((20, 30), 60)
    np.testing.assert_array_equal(cm.load_movie_chain(files, subindices=slice(2)), counts[[0, 1, 0, 1]])
    with open_movie(files) as chain:
        np.testing.assert_array_equal(chain[58:63], loaded[58:63])
        np.testing.assert_array_equal(chain[[64, 0, 60], 3], np.asarray(loaded)[[64, 0, 60], 3])


def test_images_of_single_frames_are_joined(tmp_path, counts):
    names = [tmp_path / f"{index:03d}.tif" for index in range(4)]
    for name, frame in zip(names, counts):
        tifffile.imwrite(name, frame)
    np.testing.assert_array_equal(cm.load(tuple(names)), counts[:4])


def test_files_of_different_size_are_named(tif, tmp_path, counts):
    tifffile.imwrite(tmp_path / "odd.tif", counts[:, :-1])
    with pytest.raises(InputError, match=r"20 x 30 px[\s\S]*19 x 30 px in .*odd\.tif"):
        cm.load([tif, tif, tmp_path / "odd.tif"])


def test_maps_are_not_copied_unless_asked(tmp_path, small_movie):
    path = cm.movie(small_movie).save(tmp_path / "m.npy")
    assert not cm.load(path).flags.owndata
    assert not cm.load(path).flags.writeable
    assert cm.load(path, in_memory=True).flags.writeable
    flat = small_movie.transpose(0, 2, 1).reshape(60, -1).T
    np.save(tmp_path / "flat.npy", flat)
    np.testing.assert_array_equal(cm.load(tmp_path / "flat.npy", shape=(20, 30)), small_movie)


def test_hdf5_takes_the_only_dataset_and_names_the_others(tmp_path, small_movie):
    with h5py.File(tmp_path / "one.h5", "w") as file:
        file["anything"] = small_movie
    np.testing.assert_array_equal(cm.load(tmp_path / "one.h5"), small_movie)
    with h5py.File(tmp_path / "two.h5", "w") as file:
        file["raw/movie"] = small_movie
        file["trace"] = small_movie[:, 0, 0]
    with pytest.raises(InputError, match="var_name_hdf5='raw/movie'"):
        cm.load(tmp_path / "two.h5")
    np.testing.assert_array_equal(cm.load(tmp_path / "two.h5", var_name_hdf5="raw/movie"), small_movie)


def test_nan_is_kept(tmp_path, small_movie):
    small_movie[:, :2] = np.nan
    path = cm.movie(small_movie).save(tmp_path / "nan.tif")
    np.testing.assert_array_equal(cm.load(path), small_movie)


def test_missing_file_lists_what_is_there_and_the_nearest_name(tif):
    with pytest.raises(MissingFileError, match=r"recroding\.tif[\s\S]*nearest name is 'recording\.tif'"):
        cm.load(tif.with_name("recroding.tif"))
    with pytest.raises(FileNotFoundError, match="no folder"):
        cm.get_file_size(tif.parent / "nowhere" / "recording.tif")
    with pytest.raises(InputError, match=r"the folder [\s\S]*recording\.tif"):
        cm.load(tif.parent)


def test_files_that_are_no_movies(tmp_path, counts):
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "broken.tif").write_text("hello")
    (tmp_path / "broken.h5").write_text("hello")
    (tmp_path / "broken.avi").write_text("hello")
    (tmp_path / "broken.npy").write_text("hello")
    (tmp_path / "broken.npz").write_text("hello")
    tifffile.imwrite(tmp_path / "image.tif", counts[0])
    tifffile.imwrite(tmp_path / "colour.tif", np.stack([counts] * 3, -1).astype(np.uint8), photometric="rgb")
    np.save(tmp_path / "image.npy", counts[0])
    expected = {
        "notes.txt": r"suffix '\.txt'",
        "broken.tif": "a TIFF file",
        "broken.h5": "an HDF5 file",
        "broken.avi": "OpenCV can decode",
        "broken.npy": "an array of numbers",
        "broken.npz": "NumPy archive",
        "image.tif": "single image of 20 x 30",
        "image.npy": "single image of 20 x 30",
        "colour.tif": "greyscale",
    }
    for name, message in expected.items():
        with pytest.raises(InputError, match=message) as caught:
            cm.load(tmp_path / name)
        assert name in str(caught.value)
    with pytest.raises(InputError, match="empty list"):
        cm.load([])


def test_channels_of_a_tiff(tmp_path, counts):
    path = tmp_path / "two.tif"
    tifffile.imwrite(path, np.stack([counts, counts + 1], 1), imagej=True, metadata={"axes": "TCYX"})
    np.testing.assert_array_equal(cm.load(path, channel=1), counts + 1)
    with pytest.raises(InputError, match="channel=0"):
        cm.load(path)


def test_a_file_cut_short_is_noticed(tif):
    with open(tif, "r+b") as file:
        file.truncate(tif.stat().st_size // 2)
    with pytest.raises(InputError, match=re.escape(str(tif))):
        cm.load(tif)


def test_a_movie_larger_than_memory_says_so(tif, monkeypatch, caplog):
    class Memory:
        total, available = 1000, 1000

    monkeypatch.setattr("cnmf_engine.caiman.stored.psutil.virtual_memory", lambda: Memory)
    with pytest.raises(InputError, match="subindices"):
        cm.load(tif)
    Memory.total = 10**12
    monkeypatch.setenv("CNMF_ENGINE_MEMORY", "1MB")
    with caplog.at_level(logging.WARNING, logger="caiman"):
        assert len(cm.load(tif)) == 60
    assert "free" in caplog.text


@pytest.mark.parametrize("option", [{"is_behavior": True}, {"is3D": True}])
def test_what_is_not_read_is_refused(option, tif):
    with pytest.raises(ParameterError, match="True"):
        cm.load(tif, **option)


def test_iter_frames_covers_a_movie_in_blocks(tif, counts):
    parts = list(iter_frames(tif, run=Run(memory=20_000)))
    assert len(parts) > 3
    np.testing.assert_array_equal(np.concatenate([block for _, block in parts]), counts)
    assert all(block.dtype == np.float32 for _, block in parts)
    chosen = list(iter_frames(counts, [slice(0, 3), slice(50, 60)], dtype=np.float64))
    np.testing.assert_array_equal(chosen[1][1], counts[50:])


def test_readers_serve_several_threads_at_once(tmp_path, counts):
    path = tmp_path / "compressed.tif"
    tifffile.imwrite(path, counts, compression="zlib", photometric="minisblack")
    _, dview, _ = cm.cluster.setup_cluster(n_processes=4, ignore_preexisting=True)
    with open_movie(path) as reader:
        blocks = Run(dview).map(lambda start: reader[start : start + 3], range(0, 60, 3))
    cm.stop_server(dview=dview)
    np.testing.assert_array_equal(np.concatenate(blocks), counts)


def test_attributes_survive_slicing_arithmetic_and_pickling(small_movie):
    recording = cm.movie(small_movie, fr=20, start_time=3, file_name="a.tif", meta_data={"animal": 1})
    images = (np.max(recording, axis=0), recording.mean(axis=0))
    copies = (pickle.loads(pickle.dumps(recording)), copy.deepcopy(recording))
    for derived in (recording[5:9], recording - recording.mean(axis=0), np.sqrt(recording), *images, *copies):
        assert isinstance(derived, cm.movie)
        assert (derived.fr, derived.start_time) == (20, 3)
        assert derived.file_name == ["a.tif"]
        assert derived.meta_data == [{"animal": 1}]
    np.testing.assert_array_equal(copies[0], small_movie)
    assert isinstance(recording.sum(), np.floating)
    assert cm.movie(recording, fr=99) is recording
    np.testing.assert_allclose(recording.time[:3], [3, 3.05, 3.1])


def test_movie_wants_an_array_and_a_rate(tmp_path, small_movie):
    with pytest.raises(InputError, match="list"):
        cm.movie([[1, 2], [3, 4]])
    with pytest.raises(ParameterError, match="fr"):
        cm.movie(small_movie, fr=0)
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file["mov"] = small_movie
        np.testing.assert_array_equal(cm.movie(file["mov"]), small_movie)


def test_concatenate_keeps_attributes_and_leaves_its_input(small_movie):
    one, two = (cm.movie(small_movie, fr=15, file_name=name) for name in "ab")
    joined = cm.concatenate([one, two])
    assert joined.shape == (120, 20, 30)
    assert joined.fr == 15
    assert joined.file_name == ["a", "b"]
    assert one.file_name == ["a"]
    assert cm.concatenate([one, two], axis=2).shape == (60, 20, 60)
    with pytest.raises(InputError, match="frame rate"):
        cm.concatenate([one, cm.movie(small_movie, fr=16)])
    with pytest.raises(InputError, match="none"):
        cm.concatenate([])


def test_resize_averages_and_scales_the_rate(small_movie):
    recording = cm.movie(small_movie, fr=20)
    half = recording.resize(0.5, 1 / 3, 0.2)
    expected = small_movie.reshape(12, 5, 10, 2, 10, 3).mean(axis=(1, 3, 5))
    np.testing.assert_allclose(half, expected, rtol=1e-4)
    assert half.fr == 4
    assert recording.resize(1, 1, 0.001).shape == (1, 20, 30)
    assert not np.shares_memory(recording.resize(), recording)


def test_bin_median_ignores_outlier_frames_and_nan(small_movie):
    recording = cm.movie(small_movie)
    clean = recording.bin_median(10)
    np.testing.assert_allclose(
        clean, np.median(small_movie.reshape(10, 6, 20, 30).mean(axis=0), axis=0), rtol=1e-5
    )
    flashed = small_movie.copy()
    flashed[20] += 10_000
    assert np.abs(cm.movie(flashed).bin_median(10) - clean).max() < 5
    flashed[:, 0] = np.nan
    flashed[:4, 5, 5] = np.nan
    robust = cm.movie(flashed).bin_median(10)
    assert np.isnan(robust[0]).all()
    assert np.abs(robust[1:] - clean[1:]).max() < 15
    for length in (1, 4, 9, 10, 11):
        assert np.isfinite(recording[:length].bin_median(10)).all()


def test_minimum_is_the_minimum(small_movie):
    small_movie[0, 0, 0] = np.nan
    assert cm.movie(small_movie).calc_min()[0] == np.nanmin(small_movie)


def test_correlation_image_marks_pixels_that_move_together(small_movie):
    image = cm.movie(small_movie).local_correlations()
    assert image.shape == (20, 30)
    assert image[15, 21] > 0.5
    assert abs(image[3, 3]) < 0.3


def test_playing_never_opens_a_window_without_a_display(small_movie, tmp_path, monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr(cv2, "imshow", lambda *_: pytest.fail("a window was opened"), raising=False)
    recording = cm.movie(small_movie, fr=20)
    saved = str(tmp_path / "shown.avi")
    options = {"magnification": 2, "plot_text": True, "bord_px": 2, "save_movie": True, "movie_name": saved}
    animation = recording.play(fr=40, gain=0.5, **options)
    animation._draw_was_started = True
    assert animation._interval == 25
    assert cm.load(saved).shape == (60, 32, 52)


def test_notebook_player_holds_a_limited_number_of_frames(rng, monkeypatch):
    monkeypatch.setattr("cnmf_engine.view.playing._MOST_EMBEDDED", 20)
    recording = cm.movie(rng.normal(size=(45, 8, 8)).astype(np.float32), fr=30)
    player = cm.play_movie(recording, backend="notebook")
    frames = re.findall(r'frames\[\d+\] = "data:image/png', player.data)
    assert len(frames) == 15


def test_unknown_player_is_refused(small_movie):
    with pytest.raises(ParameterError, match="'notebook'"):
        cm.movie(small_movie).play(backend="notebok")
