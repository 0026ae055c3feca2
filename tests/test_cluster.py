import multiprocessing
import queue
import re
import sys
import threading
import time

import numpy as np
import pytest
import threadpoolctl

from cnmf_engine.base import parallel
from cnmf_engine.base.errors import InputError, ParameterError
from cnmf_engine.caiman import cluster


@pytest.fixture
def pool():
    _, dview, _ = cluster.setup_cluster(n_processes=3)
    yield dview
    cluster.stop_server(dview=dview)


def linear_algebra(seed):
    matrix = np.random.default_rng(seed).normal(size=(250, 250)).astype(np.float32)
    return matrix @ matrix.T @ matrix


def test_results_are_bitwise_the_same_for_any_number_of_workers(pool):
    alone = parallel.map_ordered(linear_algebra, range(8))
    for dview in (pool, parallel.Workers(1), parallel.Workers(7)):
        for mine, other in zip(alone, parallel.map_ordered(linear_algebra, range(8), dview)):
            np.testing.assert_array_equal(mine, other)


def test_results_keep_the_order_of_the_items(pool):
    def late_first(item):
        time.sleep(0.02 * (5 - item))
        return item

    assert parallel.map_ordered(late_first, range(5), pool) == list(range(5))


def test_tasks_run_at_the_same_time(pool):
    meeting = threading.Barrier(3, timeout=10)
    assert sorted(parallel.map_ordered(lambda _: meeting.wait(), range(3), pool)) == [0, 1, 2]


def test_blas_is_limited_in_tasks_and_free_again_after(pool):
    def blas_threads(_=None):
        return [lib["num_threads"] for lib in threadpoolctl.threadpool_info() if lib["user_api"] == "blas"]

    before = blas_threads()
    for dview in (pool, None):
        inside = parallel.map_ordered(blas_threads, range(4), dview)
        assert all(count == 1 for counts in inside for count in counts)
        assert blas_threads() == before


def test_first_failure_is_raised_and_the_rest_is_dropped(pool):
    done = []

    def work(item):
        if item == 1:
            raise ZeroDivisionError("item 1")
        time.sleep(0.01)
        done.append(item)

    with pytest.raises(ZeroDivisionError, match="item 1"):
        parallel.map_ordered(work, range(300), pool)
    settled = len(done)
    assert settled < 100
    time.sleep(0.05)
    assert len(done) == settled
    assert parallel.map_ordered(abs, [-1, -2], pool) == [1, 2]


def test_any_exception_of_a_task_is_passed_on(pool):
    def fail(_):
        raise queue.Empty("of the task's own")

    with pytest.raises(queue.Empty, match="of the task's own"):
        parallel.map_ordered(fail, range(3), pool)


def test_nested_maps_do_not_wait_for_each_other(pool):
    table = parallel.map_ordered(
        lambda i: parallel.map_ordered(lambda j: i * j, range(4), pool), range(9), pool
    )
    assert table == [[i * j for j in range(4)] for i in range(9)]


def test_calls_of_a_multiprocessing_pool_and_of_an_ipyparallel_view(pool):
    assert pool.map(abs, [-1, 2]) == pool.map_sync(abs, [-1, 2]) == [1, 2]
    assert pool.map_async(abs, [-3, 4]).get(4294967) == [3, 4]
    pool.results.clear()
    assert len(pool) == pool.n_processes == 3


def test_map_async_can_be_asked_again_after_a_timeout(pool):
    gate = threading.Event()
    running = pool.map_async(lambda _: gate.wait(10), range(2))
    with pytest.raises(TimeoutError, match="2 of 2 tasks"):
        running.get(timeout=0.01)
    assert not running.ready()
    gate.set()
    assert running.get(timeout=10) == [True, True]
    assert running.successful()


@pytest.mark.parametrize("workers", [0, 3])
def test_progress_bar_shows_the_time_left_of_long_work_only(workers, pool, capsys, monkeypatch):
    dview = pool if workers else None
    parallel.map_ordered(abs, range(5), dview, progress="Counting")
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(parallel, "_DELAY", 0.1)
    monkeypatch.setattr(parallel, "_TICK", 0.05)
    parallel.map_ordered(lambda _: time.sleep(0.4), range(9), dview, progress="Counting")
    shown = capsys.readouterr().err
    assert re.search(r"Counting: .*[1-8]/9 \[00:0\d<00:0\d", shown)
    assert shown.endswith("\r"), "the bar goes when the work is done"


def test_the_bar_moves_while_the_first_task_runs(pool, capsys, monkeypatch):
    monkeypatch.setattr(parallel, "_DELAY", 0.1)
    monkeypatch.setattr(parallel, "_TICK", 0.1)
    parallel.map_ordered(lambda _: time.sleep(1.3), range(2), pool, progress="Counting")
    assert re.search(r"0/2 \[00:01<\?", capsys.readouterr().err)


def test_the_linear_algebra_limit_costs_little():
    """The libraries are looked for once: a search of all that is loaded takes milliseconds."""
    with parallel.one_blas_thread():
        pass
    found = parallel._blas_state["controller"]
    with parallel.one_blas_thread():
        assert parallel._blas_state["controller"] is found


def test_a_second_pool_needs_consent(pool):
    with pytest.raises(RuntimeError, match="already running"):
        cluster.setup_cluster()
    with pytest.raises(InputError, match="ignore_preexisting=True"):
        cluster.setup_cluster(backend="multiprocessing")
    _, second, n_processes = cluster.setup_cluster(n_processes=2, ignore_preexisting=True)
    assert not pool.is_open
    assert second.is_open
    assert n_processes == 2
    cluster.stop_server(dview=second)


def test_children_of_other_libraries_are_none_of_our_business():
    child = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(20,))
    child.start()
    try:
        _, dview, _ = cluster.setup_cluster(n_processes=1)
        cluster.stop_server(dview=dview)
        assert child.is_alive()
    finally:
        child.terminate()
        child.join()


def test_closing_twice_is_safe_and_a_closed_pool_says_so(pool):
    cluster.stop_server()
    cluster.stop_server(dview=None)
    cluster.stop_server(dview=pool)
    cluster.stop_server(dview=pool)
    pool.close()
    pool.join()
    with pytest.raises(InputError, match="setup_cluster"):
        parallel.map_ordered(abs, range(3), pool)


def test_single_means_no_pool():
    assert cluster.setup_cluster(backend="single", n_processes=5) == (None, None, 1)
    assert cluster.setup_cluster(single_thread=True) == (None, None, 1)


def test_default_leaves_one_processor_free():
    _, dview, n_processes = cluster.setup_cluster()
    cluster.stop_server(dview=dview)
    assert n_processes == max(cluster.available_cpus() - 1, 1)


@pytest.mark.parametrize("wrong", [0, -1, 1.5, "two"])
def test_number_of_workers_is_checked(wrong):
    with pytest.raises(ParameterError, match="n_processes"):
        cluster.setup_cluster(n_processes=wrong)


def test_unknown_backend_gets_a_suggestion():
    with pytest.raises(ParameterError, match="backend='multiprocessing'"):
        cluster.setup_cluster(backend="multiprocesing")


@pytest.mark.parametrize(
    ("backend", "package"),
    [("dask", "distributed"), ("ipyparallel", "ipyparallel"), ("SLURM", "ipyparallel")],
)
def test_missing_package_is_named_with_the_command(backend, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ParameterError, match=f"pip install {package}"):
        cluster.setup_cluster(backend=backend)


def test_a_pool_of_processes_from_elsewhere_is_used():
    with multiprocessing.get_context("spawn").Pool(1) as processes:
        assert parallel.map_ordered(abs, [-1, -2, -3], processes) == [1, 2, 3]
    assert not parallel.shares_memory(processes)


def test_a_view_with_map_sync_is_used_and_its_cache_emptied():
    class View:
        def __init__(self):
            self.results = {"stale": 1}

        def map_sync(self, func, items):
            return map(func, items)

    view = View()
    assert parallel.map_ordered(abs, [-1, -2], view) == [1, 2]
    assert view.results == {}


def test_dask_gives_the_results_of_a_serial_run():
    distributed = pytest.importorskip("distributed")
    alone = parallel.map_ordered(linear_algebra, range(4))
    with distributed.Client(
        processes=False, n_workers=1, threads_per_worker=2, dashboard_address=None
    ) as client:
        c, dview, n_processes = cluster.setup_cluster(backend="dask", client=client)
        assert c is client
        assert n_processes == 2
        assert not parallel.shares_memory(dview)
        for mine, other in zip(alone, parallel.map_ordered(linear_algebra, range(4), dview)):
            np.testing.assert_array_equal(mine, other)
        assert dview.map_async(abs, [-1, -2]).get(20) == [1, 2]
        with pytest.raises(ZeroDivisionError):
            parallel.map_ordered(lambda item: 1 / item, [1, 0, 2], dview)
        cluster.stop_server(dview=dview)
        assert client.status == "running"


def test_dask_starts_a_cluster_of_its_own_and_closes_it():
    pytest.importorskip("distributed")
    client, dview, n_processes = cluster.setup_cluster(backend="dask", n_processes=2)
    assert parallel.map_ordered(abs, [-5], dview) == [5]
    assert n_processes == 2
    cluster.stop_server(dview=dview)
    assert client.status == "closed"
