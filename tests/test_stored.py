"""A movie left in its file does what the same movie in memory does."""

import copy
import pickle

import h5py
import numpy as np
import pytest
import tifffile

import cnmf_engine as cm
from cnmf_engine.base.errors import InputError
from cnmf_engine.base.parallel import Run
from cnmf_engine.caiman.stored import StoredMovie
from cnmf_engine.stages.summary_images import correlation_pnr, local_correlations, max_correlation_image

LIMIT = "20KB"


@pytest.fixture(params=["tif", "compressed", "hdf5", "chain"])
def pair(request, tmp_path, small_movie):
    """The same recording in its file and in memory."""
    frames = small_movie.astype(np.uint16)
    path = tmp_path / "recording.tif"
    options = {"compression": "zlib"} if request.param == "compressed" else {}
    tifffile.imwrite(path, frames, photometric="minisblack", **options)
    if request.param == "hdf5":
        path = tmp_path / "recording.h5"
        with h5py.File(path, "w") as file:
            file["mov"] = frames
    if request.param == "chain":
        path, whole = [path, path], np.concatenate([frames, frames])
    else:
        whole = frames
    stored = cm.load(path, fr=12, memory_limit=LIMIT)
    held = cm.load(path, fr=12, in_memory=True)
    np.testing.assert_array_equal(held, whole)
    return stored, held


def test_a_movie_above_the_limit_stays_in_its_file(pair):
    stored, held = pair
    assert isinstance(stored, StoredMovie)
    assert isinstance(held, cm.movie)
    for name in ("shape", "ndim", "size", "nbytes", "dtype", "fr", "start_time", "file_name", "meta_data"):
        assert getattr(stored, name) == getattr(held, name), name
    np.testing.assert_array_equal(stored.time, held.time)
    assert len(stored) == len(held)
    assert "recording" in repr(stored)
    np.testing.assert_array_equal(np.asarray(stored), held)
    assert isinstance(cm.movie(stored), cm.movie)


@pytest.mark.parametrize(
    "key",
    [
        3,
        -1,
        np.int64(5),
        slice(4, 9),
        slice(None),
        slice(50, 3, -4),
        np.array([5, 1, 1]),
        np.arange(60) % 7 == 0,
        (slice(2, 40, 3), slice(None, 9), slice(5, -2)),
        (slice(None), 4),
        (slice(None), 4, 5),
        (7, slice(2, 4)),
        (3, 4, 5),
        (Ellipsis, slice(0, 3)),
        (slice(None), [1, 5], slice(None)),
        (slice(None), [1, 5], [2, 7]),
        (slice(5, 5),),
    ],
    ids=str,
)
def test_an_index_gives_what_an_array_gives(pair, key):
    stored, held = pair
    if isinstance(key, np.ndarray) and key.dtype == bool:
        key = np.resize(key, len(held))
    found = stored[key]
    assert found.shape == held[key].shape
    np.testing.assert_array_equal(np.asarray(found), held[key])


def test_parts_that_fit_are_read_and_larger_ones_stay(pair):
    stored, held = pair
    small, large = stored[10:14], stored[2:, 1:-1]
    assert isinstance(small, cm.movie)
    assert small.fr == 12
    small[:] = 0
    assert isinstance(large, StoredMovie)
    np.testing.assert_array_equal(np.asarray(large[5:9, :, 3]), held[7:11, 1:-1, 3])
    np.testing.assert_array_equal(list(stored)[7], held[7])


@pytest.mark.parametrize("name", ["max", "min", "sum", "mean", "var", "std"])
@pytest.mark.parametrize("axis", [0, None, (1, 2), 2, (0, -1)])
def test_reductions_go_through_the_file(pair, name, axis):
    stored, held = pair
    exact = getattr(np.asarray(held, np.float64), name)(axis=axis)
    for found in (getattr(stored, name)(axis=axis), getattr(np, name)(stored, axis=axis)):
        np.testing.assert_allclose(found, exact, rtol=1e-6)
        assert np.shape(found) == np.shape(exact)
        assert found.dtype == getattr(held, name)(axis=axis).dtype
    kept = getattr(stored, name)(axis=axis, keepdims=True)
    assert kept.shape == getattr(held, name)(axis=axis, keepdims=True).shape


def test_reductions_know_their_arguments(pair):
    stored, held = pair
    out = np.empty(held.shape[1:], np.float32)
    assert np.max(stored, axis=0, out=out) is out
    np.testing.assert_array_equal(out, held.max(axis=0))
    assert stored.mean(dtype=np.float64).dtype == np.float64
    np.testing.assert_allclose(stored.std(axis=0, ddof=1), held.std(axis=0, ddof=1, dtype=float), rtol=1e-6)
    with pytest.raises(np.exceptions.AxisError):
        stored.max(axis=3)


def test_everything_else_works_as_on_an_array(pair, tmp_path):
    stored, held = pair
    np.testing.assert_array_equal(stored - 5, held - 5)
    np.testing.assert_array_equal(2 * stored, 2 * held)
    np.testing.assert_array_equal(np.sqrt(stored), np.sqrt(held))
    np.testing.assert_array_equal(stored > 100, held > 100)
    np.testing.assert_array_equal(np.percentile(stored, 20), np.percentile(held, 20))
    np.testing.assert_array_equal(stored.resize(0.5, 0.5, 0.5), held.resize(0.5, 0.5, 0.5))
    np.testing.assert_array_equal(stored.bin_median(), held.bin_median())
    np.testing.assert_array_equal(stored.T, held.T)
    assert stored.calc_min() == held.calc_min()
    np.testing.assert_array_equal(cm.concatenate([stored, held]), np.concatenate([held, held]))
    for one in (pickle.loads(pickle.dumps(stored)), copy.deepcopy(stored)):
        np.testing.assert_array_equal(one, held)
        assert one.fr == 12
    with pytest.raises(AttributeError, match="no_such"):
        _ = stored.no_such
    with pytest.raises(ValueError, match="copy"):
        stored.__array__(copy=False)


@pytest.mark.parametrize("suffix", [".tif", ".npy", ".npz", ".hdf5", ".mmap", ".avi"])
def test_it_is_saved_as_an_array_is(pair, suffix, tmp_path):
    stored, held = pair
    one, other = stored.save(tmp_path / f"one{suffix}"), held.save(tmp_path / f"other{suffix}")
    np.testing.assert_array_equal(cm.load(one), cm.load(other))


def test_stages_take_it_for_the_movie(pair, tmp_caiman):
    stored, held = pair
    options = {"swap_dim": False, "run": Run(memory=LIMIT)}
    for function in (local_correlations, max_correlation_image):
        np.testing.assert_array_equal(function(stored, **options), function(held, **options))
    for a, b in zip(correlation_pnr(stored, gSig=2, **options), correlation_pnr(held, gSig=2, **options)):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(stored.local_correlations(), held.local_correlations())
    np.testing.assert_array_equal(
        local_correlations(stored[:, 2:]), local_correlations(held[:, 2:]), "time last, as by default"
    )
    Yr, dims, T = cm.load_memmap(cm.save_memmap(stored, order="C"))
    np.testing.assert_array_equal(Yr.T.reshape((T, *dims), order="F"), held)


def test_it_cannot_be_written_to(pair):
    stored, _ = pair
    with pytest.raises(InputError, match="in_memory=True"):
        stored[3] = 0
    with pytest.raises(InputError, match="in_memory=True"):
        stored += 1


def test_what_the_machine_cannot_hold_is_refused_with_a_way_out(pair, monkeypatch):
    stored, _ = pair

    class Memory:
        total = available = 1000

    monkeypatch.setattr("cnmf_engine.caiman.stored.psutil.virtual_memory", lambda: Memory)
    with pytest.raises(InputError, match="block by block"):
        np.asarray(stored)
    assert stored.max() > 0


def test_options_of_load_hold_for_it_too(tmp_path, small_movie):
    path = tmp_path / "recording.tif"
    tifffile.imwrite(path, small_movie)
    part = cm.load(path, subindices=slice(3, 57, 2), top=1, left=2, memory_limit=LIMIT, outtype=np.float64)
    assert isinstance(part, StoredMovie)
    assert part.dtype == np.float64
    np.testing.assert_array_equal(np.asarray(part), small_movie[3:57:2, 1:, 2:])
    assert isinstance(cm.load(path, memory_limit="1MB"), cm.movie)
