"""Blocks of a movie are the same whichever way round it lies and whatever holds it."""

import mmap
import sys

import numpy as np
import pytest

from cnmf_engine.base.memory import drop_pages
from cnmf_engine.base.parallel import ALONE, RUN, Run
from cnmf_engine.movies.regions import GROUP, fill_frames, is_time_major, read_blocks, typical_frame

THREE = Run(3)


def mapped(path, movie, order):
    """The movie as the view that notebooks make of a memory map."""
    T, d1, d2 = movie.shape
    written = np.memmap(path, np.float32, "w+", shape=(d1 * d2, T), order=order)
    written[:] = movie.transpose(2, 1, 0).reshape(-1, T)
    written.flush()
    return np.memmap(path, np.float32, "r", shape=(d1 * d2, T), order=order).T.reshape(movie.shape, order="F")


KINDS = {
    "array": lambda movie, path: movie,
    "order C map": lambda movie, path: mapped(path, movie, "C"),
    "order F map": lambda movie, path: mapped(path, movie, "F"),
    "float64": lambda movie, path: movie.astype(np.float64),
    "time last": lambda movie, path: np.moveaxis(np.ascontiguousarray(np.moveaxis(movie, 0, -1)), -1, 0),
    "turned": lambda movie, path: np.ascontiguousarray(movie[:, ::-1, ::-1])[:, ::-1, ::-1],
    "big-endian": lambda movie, path: movie.astype(">f4"),
    "integers in time": lambda movie, path: np.asfortranarray(movie.astype(np.uint16)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_any_layout_gives_the_same_frames(kind, tmp_path, rng):
    movie = rng.integers(0, 4000, (301, 21, 37)).astype(np.float32)
    given = KINDS[kind](movie, tmp_path / "m.mmap")
    for frames, columns in (
        (slice(0, 301), slice(None)),
        (slice(7, 290), slice(3, 20)),
        (slice(5, 6), slice(1)),
    ):
        expected = movie[frames][:, :, columns]
        out = np.empty(expected.shape, np.float32)
        for run in (ALONE, THREE):
            out[:] = -1
            fill_frames(out, given, frames, columns, run)
            np.testing.assert_array_equal(out, expected)
    rebuilt = np.empty_like(movie)
    for where, block in read_blocks(given, slice(0, 301), 100 * 21 * 37 * 4, THREE):
        assert where.start % GROUP == 0
        assert len(block) <= 100
        rebuilt[where] = block
    np.testing.assert_array_equal(rebuilt, movie)


def test_only_series_that_lie_together_are_time_major(rng):
    movie = rng.random((5, 6, 7))
    assert not is_time_major(movie)
    assert is_time_major(np.asfortranarray(movie))
    assert not is_time_major(movie[:1])
    assert not is_time_major(movie.tolist())


def test_level_is_near_the_movie_and_keeps_differences_exact(rng):
    movie = rng.integers(1500, 1700, (60, 8, 9)).astype(np.float32)
    level = typical_frame(movie, slice(0, 60))
    assert np.abs(level - movie.mean(axis=0)).max() < 60
    exact = movie.astype(np.float64) - level.astype(np.float64)
    np.testing.assert_array_equal((movie - level).astype(np.float64), exact)
    movie[:, 2, 2] = np.nan
    assert np.isfinite(typical_frame(movie, slice(0, 60))).all()


@pytest.mark.skipif(sys.platform != "linux", reason="resident pages are counted in /proc")
def test_dropped_pages_leave_resident_memory_and_come_back(tmp_path):
    def resident():
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("RssFile")) / 1024

    movie = np.arange(20 * 2**20 // 4, dtype=np.float32).reshape(-1, 64, 64)
    movie.tofile(tmp_path / "m.raw")
    file = np.memmap(tmp_path / "m.raw", np.float32, "r", shape=movie.shape)
    before = resident()
    total = file.sum(dtype=np.float64)
    assert resident() > before + 15
    drop_pages(file[3:].transpose(0, 2, 1)[::-1])
    assert resident() < before + 3
    assert file.sum(dtype=np.float64) == total


@pytest.mark.parametrize("mode", ["c", "r+"])
def test_changes_to_a_map_survive(mode, tmp_path):
    np.arange(4 * mmap.PAGESIZE, dtype=np.float32).tofile(tmp_path / "m.raw")
    file = np.memmap(tmp_path / "m.raw", np.float32, mode)
    file[5] = 77
    drop_pages(file)
    drop_pages(np.asarray(file)[1:])
    drop_pages(np.zeros(3))
    assert file[5] == 77


def test_threads_keep_the_order_and_pass_on_failures():
    for run in (ALONE, RUN, THREE):
        assert list(run.stream(lambda x: x * x, range(50))) == [x * x for x in range(50)]
        with pytest.raises(ZeroDivisionError):
            list(run.stream(lambda x: 1 // x, [1, 0, 2]))
    # Inside a thread of the engine there is no second layer of threads.
    assert set(THREE.stream(lambda _: THREE.workers, range(6))) == {1}
    assert THREE.workers == 3
