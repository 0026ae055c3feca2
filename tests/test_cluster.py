import multiprocessing
import queue
import re
import sys
import threading
import time

import numpy as np
import psutil
import pytest
import threadpoolctl
from synthetic import make_scene
from test_model import PATCHES, fitted

from cnmf_engine.base import parallel
from cnmf_engine.base.errors import InputError, ParameterError
from cnmf_engine.base.parallel import RUN
from cnmf_engine.caiman import cluster
from cnmf_engine.caiman.mmapping import save_memmap
from cnmf_engine.caiman.motion_correction import MotionCorrect
from cnmf_engine.movies import map_frames
from cnmf_engine.stages.summary_images import correlation_pnr


@pytest.fixture
def pool():
    _, dview, _ = cluster.setup_cluster(n_processes=3)
    yield dview
    cluster.stop_server(dview=dview)


def linear_algebra(seed):
    matrix = np.random.default_rng(seed).normal(size=(250, 250)).astype(np.float32)
    return matrix @ matrix.T @ matrix


def test_results_are_bitwise_the_same_for_any_number_of_workers(pool):
    alone = parallel.ALONE.map(linear_algebra, range(8))
    for dview in (pool, parallel.Workers(1), parallel.Workers(7)):
        for mine, other in zip(alone, parallel.Run(dview).map(linear_algebra, range(8))):
            np.testing.assert_array_equal(mine, other)


def test_results_keep_the_order_of_the_items(pool):
    def late_first(item):
        time.sleep(0.02 * (5 - item))
        return item

    assert parallel.Run(pool).map(late_first, range(5)) == list(range(5))


def test_tasks_run_at_the_same_time(pool):
    meeting = threading.Barrier(3, timeout=10)
    assert sorted(parallel.Run(pool).map(lambda _: meeting.wait(), range(3))) == [0, 1, 2]


def test_blas_is_limited_in_tasks_and_free_again_after(pool):
    def blas_threads(_=None):
        return [lib["num_threads"] for lib in threadpoolctl.threadpool_info() if lib["user_api"] == "blas"]

    before = blas_threads()
    for dview in (pool, None):
        inside = parallel.Run(dview).map(blas_threads, range(4))
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
        parallel.Run(pool).map(work, range(300))
    settled = len(done)
    assert settled < 100
    time.sleep(0.05)
    assert len(done) == settled
    assert parallel.Run(pool).map(abs, [-1, -2]) == [1, 2]


def test_any_exception_of_a_task_is_passed_on(pool):
    def fail(_):
        raise queue.Empty("of the task's own")

    with pytest.raises(queue.Empty, match="of the task's own"):
        parallel.Run(pool).map(fail, range(3))


def test_nested_maps_do_not_wait_for_each_other(pool):
    table = parallel.Run(pool).map(lambda i: parallel.Run(pool).map(lambda j: i * j, range(4)), range(9))
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
    parallel.Run(dview, progress=True).map(abs, range(5), "Counting")
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(parallel, "_DELAY", 0.1)
    monkeypatch.setattr(parallel, "_TICK", 0.05)
    parallel.Run(dview, progress=True).map(lambda _: time.sleep(0.4), range(9), "Counting")
    shown = capsys.readouterr().err
    assert re.search(r"Counting: .*[1-8]/9 \[00:0\d<00:0\d", shown)
    assert shown.endswith("\r"), "the bar goes when the work is done"


def test_the_bar_moves_while_the_first_task_runs(pool, capsys, monkeypatch):
    monkeypatch.setattr(parallel, "_DELAY", 0.1)
    monkeypatch.setattr(parallel, "_TICK", 0.1)
    parallel.Run(pool, progress=True).map(lambda _: time.sleep(1.3), range(2), "Counting")
    assert re.search(r"0/2 \[00:01<\?", capsys.readouterr().err)


def test_the_linear_algebra_limit_costs_little():
    """The libraries are looked for once: a search of all that is loaded takes milliseconds."""
    with parallel.one_thread():
        pass
    found = parallel._limit["controller"]
    with parallel.one_thread():
        assert parallel._limit["controller"] is found


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
        parallel.Run(pool).map(abs, range(3))


def test_single_means_no_pool():
    assert cluster.setup_cluster(backend="single", n_processes=5) == (None, None, 1)
    assert cluster.setup_cluster(single_thread=True) == (None, None, 1)
    cluster.stop_server()


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
        assert parallel.Run(processes).map(abs, [-1, -2, -3]) == [1, 2, 3]
    assert not parallel.Run(processes).shared


def test_a_view_with_map_sync_is_used_and_its_cache_emptied():
    class View:
        def __init__(self):
            self.results = {"stale": 1}

        def map_sync(self, func, items):
            return map(func, items)

    view = View()
    assert parallel.Run(view).map(abs, [-1, -2]) == [1, 2]
    assert view.results == {}


def test_dask_gives_the_results_of_a_serial_run():
    distributed = pytest.importorskip("distributed")
    alone = parallel.ALONE.map(linear_algebra, range(4))
    with distributed.Client(
        processes=False, n_workers=1, threads_per_worker=2, dashboard_address=None
    ) as client:
        c, dview, n_processes = cluster.setup_cluster(backend="dask", client=client)
        assert c is client
        assert n_processes == 2
        assert not parallel.Run(dview).shared
        for mine, other in zip(alone, parallel.Run(dview).map(linear_algebra, range(4))):
            np.testing.assert_array_equal(mine, other)
        assert dview.map_async(abs, [-1, -2]).get(20) == [1, 2]
        with pytest.raises(ZeroDivisionError):
            parallel.Run(dview).map(lambda item: 1 / item, [1, 0, 2])
        cluster.stop_server(dview=dview)
        assert client.status == "running"


def test_dask_starts_a_cluster_of_its_own_and_closes_it():
    pytest.importorskip("distributed")
    client, dview, n_processes = cluster.setup_cluster(backend="dask", n_processes=2)
    assert parallel.Run(dview).map(abs, [-5]) == [5]
    assert n_processes == 2
    cluster.stop_server(dview=dview)
    assert client.status == "closed"


def test_single_uses_one_thread_from_motion_to_residuals(tmp_path, monkeypatch):
    """Other threads of this process compute next to nothing meanwhile, linear algebra included."""
    monkeypatch.setenv("CAIMAN_TEMP", str(tmp_path))
    scene = make_scene((64, 72), T=500)

    def computed():
        spent = {thread.id: thread.user_time + thread.system_time for thread in psutil.Process().threads()}
        own = spent[threading.get_native_id()]
        return own, sum(spent.values()) - own

    _, dview, _ = cluster.setup_cluster(backend="single")
    try:
        before = computed()
        correct = MotionCorrect(scene.movie, dview=dview, gSig_filt=3, max_shifts=(4, 4), border_nan="copy")
        correct.motion_correct(save_movie=True)
        images = map_frames(save_memmap(correct.mmap_file, base_name="single", order="C"))
        correlation_pnr(images, gSig=3, swap_dim=False)
        model = fitted(images, **PATCHES)
        model.estimates.evaluate_components(images, model.params)
        model.refit(images)
        model.estimates.compute_background(images)
        model.estimates.detrend_df_f(detrend_only=True)
        own, others = (after - start for after, start in zip(computed(), before))
    finally:
        cluster.stop_server(dview=dview)
    assert others < 0.1 * own
    assert RUN.workers == min(parallel.available_cpus(), 8), "stop_server lifts the limit"


def test_threads_that_were_asked_for_hold_where_no_pool_is_taken():
    _, dview, _ = cluster.setup_cluster(n_processes=3)
    assert RUN.workers == 3
    cluster.stop_server(dview=dview)
    assert RUN.workers == min(parallel.available_cpus(), 8)
