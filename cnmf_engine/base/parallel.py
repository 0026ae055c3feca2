"""Working in parallel: tasks in pools of workers, and blocks in a few threads of this process."""

from __future__ import annotations

import os
import sys
import threading
import warnings
import weakref
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed, wait
from contextlib import contextmanager
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

import threadpoolctl

from cnmf_engine.base.errors import InputError, ParameterError, explain

__all__ = [
    "DaskWorkers",
    "MapResult",
    "Workers",
    "available_cpus",
    "checked_count",
    "collect",
    "in_worker",
    "map_ordered",
    "map_threads",
    "mark_worker",
    "one_blas_thread",
    "open_pools",
    "progress_bar",
    "run_serially",
    "run_task",
    "shares_memory",
    "thread_count",
]

_here = threading.local()
_blas_lock = threading.Lock()
_blas_state: dict[str, Any] = {"depth": 0, "limiter": None, "controller": None, "modules": 0}
#: A bar appears after this many seconds: what is over sooner needs none.
_DELAY = 2.0
#: Seconds between looks at the clock while tasks run.
_TICK = 1.0


class MapResult:
    """What `Workers.map_async` hands back: results on demand, in the order of the items."""

    def __init__(self, futures: list[Future]) -> None:
        self._futures = futures

    def get(self, timeout: float | None = None) -> list:
        """
        Wait for all results.

        Parameters
        ----------
        timeout : float, optional
            Seconds to wait at most.

        Returns
        -------
        list
            One result an item, in order.

        Raises
        ------
        TimeoutError
            If results are missing after `timeout`. Nothing is cancelled: ask again.
        """
        try:
            for future in as_completed(self._futures, timeout=timeout):
                future.result()
        except TimeoutError as error:
            pending = sum(not future.done() for future in self._futures)
            if not pending:
                raise
            text = f"{pending} of {len(self._futures)} tasks were unfinished after {timeout} s"
            raise TimeoutError(text) from error
        return [future.result() for future in self._futures]

    def wait(self, timeout: float | None = None) -> None:
        """Wait until all tasks are done or `timeout` seconds have passed."""
        wait(self._futures, timeout=timeout)

    def ready(self) -> bool:
        """Tell if all tasks are done."""
        return all(future.done() for future in self._futures)

    def successful(self) -> bool:
        """Tell if all tasks are done and none raised."""
        return self.ready() and all(not f.cancelled() and f.exception() is None for f in self._futures)


def run_serially(func: Callable, items: list, progress: str | None = None) -> list:
    """Apply `func` to every item in this thread, under the same limit as in a pool."""
    with one_blas_thread():
        return [func(item) for item in progress_bar(items, len(items), progress)]


def collect(
    submit: Callable[[Any], Future], items: list, progress: str | None = None, window: int | None = None
) -> list:
    """
    Submit one task an item and return the results in order.

    On the first failure the rest is cancelled and what the task raised is raised.

    Parameters
    ----------
    submit : callable
        Starts the task of an item.
    items : list
        The items.
    progress : str, optional
        Text of a progress bar.
    window : int, optional
        Most tasks under way at once, so that what travels to other processes doesn't pile up; None for all.

    Returns
    -------
    list
        One result an item.
    """
    futures: list[Future] = []
    finished: SimpleQueue[Future] = SimpleQueue()
    n_done, most = 0, len(items) if window is None else window
    bar = _bar(len(items), progress)
    try:
        while n_done < len(items):
            while len(futures) < min(n_done + most, len(items)):
                futures.append(submit(items[len(futures)]))
                futures[-1].add_done_callback(finished.put)
            try:
                # A wait that ends by itself can be interrupted on every system.
                future = finished.get(timeout=_TICK)
            except Empty:
                # No news, but the clock goes on.
                bar.update(0)
                continue
            future.result()
            n_done += 1
            bar.update(1)
    except BaseException as error:
        for future in futures:
            future.cancel()
        # Somebody who interrupts the kernel wants it back at once.
        if isinstance(error, Exception):
            wait(futures)
        raise
    finally:
        bar.close()
    return [future.result() for future in futures]


def _bar(total: int, progress: str | None, items: Iterable | None = None) -> Any:
    """Make a bar with the time that is left, which appears only if the work takes long."""
    # Imported here: the bar is rarely wanted, and the import costs more than the module itself.
    from tqdm import tqdm

    # Text rather than a widget: it shows in terminals, notebooks and the output of headless runs alike.
    # Without the argument tqdm asks its own variable TQDM_DISABLE.
    silent = {} if progress else {"disable": True}
    return tqdm(
        items, desc=progress, total=total, leave=False, delay=_DELAY, mininterval=0.5, miniters=0, **silent
    )


def progress_bar(items: Iterable, total: int, progress: str | None) -> Iterable:
    """
    Wrap `items` in a bar with the time that is left.

    Parameters
    ----------
    items : iterable
        What is gone through.
    total : int
        How many there are.
    progress : str or None
        Text of the bar; without one the items are returned as they are.

    Returns
    -------
    iterable
        The same items. The bar appears after two seconds and goes when it is full.
    """
    return _bar(total, progress, items) if progress else items


def mark_worker() -> None:
    """Note that this thread belongs to a pool of the engine."""
    _here.worker = True


def in_worker() -> bool:
    """Tell if this thread belongs to a pool of the engine."""
    return getattr(_here, "worker", False)


def run_task(func: Callable, item: Any) -> Any:
    """Apply `func` to `item` on one linear algebra thread (importable, so that it travels to a cluster)."""
    with one_blas_thread():
        return func(item)


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """
    Limit linear algebra to one thread while any task runs.

    The limit belongs to the process for most BLAS builds, so the first task
    sets it and the last one lifts it.
    """
    with _blas_lock:
        if _blas_state["depth"] == 0:
            _blas_state["limiter"] = _blas_controller().limit(limits=1, user_api="blas")
        _blas_state["depth"] += 1
    try:
        yield
    finally:
        with _blas_lock:
            _blas_state["depth"] -= 1
            if _blas_state["depth"] == 0:
                _blas_state["limiter"].restore_original_limits()


def _blas_controller() -> threadpoolctl.ThreadpoolController:
    """Find the linear algebra libraries; looked for again only when modules were imported meanwhile."""
    # The search through all loaded libraries takes milliseconds, as long as many a task.
    if _blas_state["controller"] is None or _blas_state["modules"] != len(sys.modules):
        _blas_state["controller"] = threadpoolctl.ThreadpoolController()
        _blas_state["modules"] = len(sys.modules)
    return _blas_state["controller"]


_pools: weakref.WeakSet[Workers] = weakref.WeakSet()


class _Results:
    """Stand-in for the result cache of an ipyparallel view, which callers empty after each map."""

    def clear(self) -> None:
        """Forget cached results: there are none."""


class _PoolMethods(ABC):
    """The calls that CaImAn code makes on a `dview`, on top of one `_submit`."""

    n_processes: int
    results = _Results()
    #: Most tasks of a map under way at once; None for all.
    _window: int | None = None

    @abstractmethod
    def _submit(self, func: Callable, item: Any) -> Future:
        """Hand over one task."""

    def map(
        self, func: Callable, items: Iterable, chunksize: int | None = None, progress: str | None = None
    ) -> list:
        """
        Apply a function to every item and wait, as `cnmf_engine.base.parallel.map_ordered` does.

        Parameters
        ----------
        func : callable
            Takes one item.
        items : iterable
            The items.
        chunksize : int, optional
            Accepted for callers of `multiprocessing.Pool`; each item is a task of its own.
        progress : str, optional
            Text of a progress bar.

        Returns
        -------
        list
            One result an item, in order.
        """
        # The limit is held here too, so that it isn't lifted and set again between tasks.
        with one_blas_thread():
            return collect(partial(self._submit, func), list(items), progress, self._window)

    map_sync = map

    def map_async(self, func: Callable, items: Iterable, chunksize: int | None = None) -> MapResult:
        """Start applying a function to every item; ``.get(timeout)`` on the result waits for the list."""
        return MapResult([self._submit(func, item) for item in items])

    def __len__(self) -> int:
        return self.n_processes

    def __enter__(self) -> _PoolMethods:
        return self

    def __exit__(self, *_: object) -> None:
        self.terminate()

    @abstractmethod
    def terminate(self) -> None:
        """Cancel what hasn't started and close."""

    def close(self) -> None:
        """Take no more tasks."""
        self.terminate()


class Workers(_PoolMethods):
    """
    The engine's pool: threads that share the caller's memory.

    Threads, because all heavy work happens in compiled code that releases Python's lock (NumPy, SciPy,
    OpenCV, Numba): nothing is pickled or copied, there is no start-up, no worker process that can die
    silently, no need to guard a script's main part on Windows or macOS, and the result is the same for any
    number of workers. Methods have the names that callers of `multiprocessing.Pool` and of an ipyparallel
    view use.

    Parameters
    ----------
    n_processes : int
        Number of threads.
    """

    def __init__(self, n_processes: int) -> None:
        self.n_processes = checked_count(n_processes)
        self._executor = ThreadPoolExecutor(self.n_processes, "cnmf", initializer=mark_worker)
        self._open = True
        _pools.add(self)

    @property
    def is_open(self) -> bool:
        """Whether the pool still takes tasks."""
        return self._open

    def map(
        self, func: Callable, items: Iterable, chunksize: int | None = None, progress: str | None = None
    ) -> list:
        """Apply a function to every item and wait; in this thread where a second one would not help."""
        items = list(items)
        self._check_open()
        # A worker that waited for tasks queued behind its own would wait for ever.
        if self.n_processes == 1 or len(items) < 2 or in_worker():
            return run_serially(func, items, progress)
        return super().map(func, items, chunksize, progress)

    map_sync = map

    def _submit(self, func: Callable, item: Any) -> Future:
        self._check_open()
        return self._executor.submit(run_task, func, item)

    def _check_open(self) -> None:
        if not self._open:
            raise InputError(
                explain(
                    "an open pool of workers",
                    "one that was closed by stop_server, terminate or close",
                    "open a new one: c, dview, n_processes = cm.cluster.setup_cluster()",
                )
            )

    def terminate(self) -> None:
        """Cancel what hasn't started and close; harmless when called twice."""
        self._open = False
        self._executor.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        """Take no more tasks; those given are finished. Harmless when called twice."""
        self._open = False
        self._executor.shutdown(wait=False)

    def join(self) -> None:
        """Wait until all threads have ended; call after `close` or `terminate`."""
        self._executor.shutdown(wait=True)

    def __repr__(self) -> str:
        return f"<Workers: {self.n_processes} threads, {'open' if self._open else 'closed'}>"


class DaskWorkers(_PoolMethods):
    """
    The same calls on a Dask cluster, for work spread over several machines.

    Functions, items and results travel to other processes, so they have to be picklable (by cloudpickle),
    results have to be returned rather than written into the caller's arrays, and files have to be visible
    to every worker under the same path. A task whose worker dies is run again by another; the result is the
    same. Items are sent when a worker is about to be free, not all at once.

    Parameters
    ----------
    client : distributed.Client
        A connected client.
    owned : bool
        Whether closing the workers closes the client.
    """

    def __init__(self, client: Any, owned: bool = False) -> None:
        self.client = client
        self._owned = owned
        self._executor = client.get_executor(pure=False)

    @property
    def n_processes(self) -> int:
        """Threads of all workers that are there now; a cluster may grow and shrink."""
        return max(sum(self.client.nthreads().values()), 1)

    @property
    def _window(self) -> int:
        return 2 * self.n_processes

    def _submit(self, func: Callable, item: Any) -> Future:
        with warnings.catch_warnings():
            # A box of a movie in memory is large, and has to travel.
            warnings.filterwarnings("ignore", "Sending large graph")
            return self._executor.submit(run_task, func, item)

    def terminate(self) -> None:
        """Close the client if `setup_cluster` opened it; someone else's client stays open."""
        if self._owned:
            self.client.close()

    def join(self) -> None:
        """Return at once: closing a client waits for it."""

    def __repr__(self) -> str:
        return f"<DaskWorkers of {self.client!r}>"


def shares_memory(dview: Any) -> bool:
    """
    Tell if workers see the caller's arrays.

    Parameters
    ----------
    dview : object or None
        What `setup_cluster` returned.

    Returns
    -------
    bool
        True for no pool and for threads, where a task may write into the caller's array; False where
        results have to be returned.
    """
    return dview is None or isinstance(dview, Workers)


def map_ordered(func: Callable, items: Iterable, dview: Any = None, progress: str | None = None) -> list:
    """
    Apply a function to every item and return the results in order.

    Linear algebra runs on one thread a task, with or without a pool, so that results are the same bit for
    bit for any number of workers and workers don't compete for processors. A call from inside a worker runs
    in that worker, so nested calls can't wait for each other.

    Parameters
    ----------
    func : callable
        Takes one item. Must not depend on the order in which tasks run.
    items : iterable
        The items.
    dview : Workers, DaskWorkers, multiprocessing.Pool, ipyparallel view or None
        What `setup_cluster` returned; None or a single worker runs in the calling thread.
    progress : str, optional
        Text of a progress bar; no bar without it.

    Returns
    -------
    list
        One result an item.

    Raises
    ------
    Exception
        What a task raised, as soon as it does: tasks that haven't started are cancelled, those that run in
        threads are waited for, so that none writes into the caller's arrays afterwards.
    """
    if dview is None:
        return run_serially(func, list(items), progress)
    if isinstance(dview, Workers | DaskWorkers):
        return dview.map(func, items, progress=progress)
    task = partial(run_task, func)
    if hasattr(dview, "map_sync"):
        found = list(dview.map_sync(task, list(items)))
        dview.results.clear()
        return found
    return list(dview.map(task, list(items)))


def available_cpus() -> int:
    """
    Count the processors this process may use.

    Returns
    -------
    int
        At least 1; respects the affinity set by a container or a batch system where Python can tell.
    """
    if hasattr(os, "process_cpu_count"):
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1


def checked_count(n_processes: Any) -> int:
    """
    Check a number of workers.

    Parameters
    ----------
    n_processes : int
        What the caller gave.

    Returns
    -------
    int
        The same as an int.

    Raises
    ------
    ParameterError
        If it isn't a whole number of at least 1.
    """
    try:
        count = int(n_processes)
    except (TypeError, ValueError):
        count = 0
    if count < 1 or count != n_processes:
        raise ParameterError(
            explain(
                "a whole number of workers, 1 or more, in n_processes",
                repr(n_processes),
                f"leave n_processes out, or give at most {available_cpus()} on this machine",
            )
        )
    return count


def open_pools() -> list[Workers]:
    """
    List the engine's own pools that still take tasks.

    Returns
    -------
    list of Workers
        In no particular order.
    """
    return [pool for pool in list(_pools) if pool.is_open]


# Beyond this the memory's speed is the limit, and every thread holds a block.
_MOST_THREADS = 8


def thread_count(n_threads: int | None = None) -> int:
    """
    Tell how many threads a stage may use.

    Parameters
    ----------
    n_threads : int, optional
        What the caller wants; the processors this process may use, at most eight, if not given.

    Returns
    -------
    int
        At least 1; always 1 inside a worker of the engine, which has the processor to itself.
    """
    if in_worker():
        return 1
    return checked_count(n_threads) if n_threads is not None else min(available_cpus(), _MOST_THREADS)


def map_threads(
    function: Callable[[Any], Any], items: Iterable[Any], n_threads: int | None = None
) -> Iterator[Any]:
    """
    Apply a function to every item in threads and yield the results in order.

    No more results than threads wait to be taken, so memory stays bounded however many items there are.

    Parameters
    ----------
    function : callable
        Takes one item; spends its time in compiled code that releases Python's lock.
    items : iterable
        The items.
    n_threads : int, optional
        See `thread_count`.

    Yields
    ------
    object
        One result an item, in the order of the items.
    """
    items, n_threads = list(items), thread_count(n_threads)
    if min(n_threads, len(items)) < 2:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(n_threads, "cnmf-block", initializer=mark_worker) as pool:
        running: deque = deque()
        try:
            for item in items:
                running.append(pool.submit(function, item))
                if len(running) > n_threads:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            for future in running:
                future.cancel()
