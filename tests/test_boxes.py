"""Patches as tasks: how many run side by side, and that plain pickling is enough for other pools."""

from __future__ import annotations

import logging
import multiprocessing
import threading
import time

import numpy as np
import pytest
from synthetic import make_scene
from test_model import PATCHES, fitted, same

from cnmf_engine.base import parallel


def overlap(budget, n=6, cost=10):
    """Greatest number of tasks that ran at the same time on four threads."""
    lock, now, most = threading.Lock(), [0], [0]

    def work(_):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.05)
        with lock:
            now[0] -= 1

    with parallel.Workers(4) as dview:
        run = parallel.Run(dview, memory=budget)
        run.map(work, range(n), limit=run.side_by_side(cost, 0.5, "buy more"))
    return most[0]


@pytest.mark.parametrize(("budget", "expected"), [(10, 1), (25, 2), (1000, 4)])
def test_as_many_run_side_by_side_as_memory_allows(budget, expected):
    assert overlap(budget) == expected


def test_what_never_fits_is_said_and_done_one_by_one(caplog):
    with caplog.at_level(logging.WARNING, logger="caiman"):
        assert overlap(3) == 1
    assert "buy more" in caplog.text


def test_a_task_that_fails_leaves_its_turn():
    def fail(item):
        raise ZeroDivisionError(str(item))

    with parallel.Workers(2) as dview:
        for item in range(3):
            with pytest.raises(ZeroDivisionError, match=str(item)):
                parallel.Run(dview).map(fail, [item, item], limit=1)


def test_a_memory_limit_changes_no_result(caplog):
    scene = make_scene((40, 44))
    free = fitted(scene.movie, **PATCHES)
    with parallel.Workers(2) as dview, caplog.at_level(logging.WARNING, logger="caiman"):
        same(fitted(scene.movie, dview=dview, memory_limit="100KB", **PATCHES), free)
    assert "rf" in caplog.text and "0 MB" in caplog.text


def test_a_pool_of_processes_from_elsewhere_fits_too():
    scene = make_scene((40, 44))
    alone = fitted(scene.movie, **PATCHES)
    with multiprocessing.get_context("spawn").Pool(1) as processes:
        pooled = fitted(scene.movie, dview=processes, **PATCHES)
        refitted = pooled.refit(scene.movie)
    same(pooled, alone)
    same(refitted, alone.refit(scene.movie))
    assert np.isfinite(pooled.estimates.C).all()
