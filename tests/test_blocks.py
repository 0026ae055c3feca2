import numpy as np
import psutil
import pytest

from cnmf_engine.base.errors import ParameterError
from cnmf_engine.base.memory import MEMORY_VARIABLE, frame_blocks, memory_budget, pixel_blocks


def covers(blocks, total):
    return np.array_equal(np.concatenate([np.arange(total)[block] for block in blocks]), np.arange(total))


def test_budget_is_a_fraction_of_what_is_free(monkeypatch):
    monkeypatch.delenv(MEMORY_VARIABLE, raising=False)
    assert 2**24 <= memory_budget() <= psutil.virtual_memory().total / 2


@pytest.mark.parametrize(
    ("text", "n_bytes"),
    [
        ("500MB", 500 * 2**20),
        ("2GB", 2**31),
        (" 1.5 g ", 1.5 * 2**30),
        ("64KiB", 2**16),
        ("123", 123),
        (7e6, 7e6),
    ],
)
def test_sizes_are_read_as_people_write_them(text, n_bytes):
    assert memory_budget(text) == n_bytes


def test_environment_sets_the_budget_and_an_argument_wins(monkeypatch):
    monkeypatch.setenv(MEMORY_VARIABLE, "100MB")
    assert memory_budget() == 100 * 2**20
    assert memory_budget("3MB") == 3 * 2**20


@pytest.mark.parametrize("wrong", ["lots", "-3MB", "0", 0, float("nan"), True])
def test_a_size_that_is_none_is_named(wrong):
    with pytest.raises(ParameterError, match="memory_limit"):
        memory_budget(wrong)


def test_a_wrong_environment_is_blamed_on_the_environment(monkeypatch):
    monkeypatch.setenv(MEMORY_VARIABLE, "half")
    with pytest.raises(ParameterError, match=MEMORY_VARIABLE):
        frame_blocks(10, 1)


@pytest.mark.parametrize(("n_frames", "budget"), [(1, 100), (999, 10_000), (1000, 10_000), (17, 1)])
def test_frame_blocks_cover_all_frames_within_the_budget(n_frames, budget):
    blocks = frame_blocks(n_frames, 100, budget)
    lengths = [block.stop - block.start for block in blocks]
    assert covers(blocks, n_frames)
    assert max(lengths) * 100 <= max(budget, 100)
    assert max(lengths) - min(lengths) <= 1


def test_no_frames_no_blocks():
    assert frame_blocks(0, 100, 1000) == []


def test_pixel_blocks_hold_whole_columns():
    blocks = pixel_blocks(11 * 9, 50, 11 * 50 * 4, multiple=11)
    assert covers(blocks, 99)
    assert all(block.start % 11 == 0 for block in blocks)
    assert len(blocks) == 3
