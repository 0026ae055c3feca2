"""
Working in parallel: the pools that callers open, and `Run`, the one way in which a stage uses them.

Inside a stage the tasks of the pool are the only parallelism: linear algebra and OpenCV keep to one thread
each, so that workers don't compete for processors and results are the same for any number of them.
"""

from __future__ import annotations

import logging
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
from dataclasses import dataclass, replace
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

import threadpoolctl

from cnmf_engine.base.errors import InputError, ParameterError, explain
from cnmf_engine.base.memory import memory_budget, memory_room

__all__ = [
    "ALONE",
    "RUN",
    "DaskWorkers",
    "MapResult",
    "Run",
    "Workers",
    "available_cpus",
    "checked_count",
    "collect",
    "in_worker",
    "limit_threads",
    "mark_worker",
    "one_thread",
    "open_pools",
    "progress_bar",
    "run_task",
]

log = logging.getLogger("caiman")

_here = threading.local()
_limit_lock = threading.Lock()
_limit: dict[str, Any] = {"depth": 0, "blas": None, "opencv": None, "controller": None, "modules": 0}
#: A bar appears after this many seconds: what is over sooner needs none.
_DELAY = 2.0
#: Seconds between looks at the clock while tasks run.
_TICK = 1.0
#: Beyond so many threads the memory's speed is the limit, and every thread holds a block.
_MOST_THREADS = 8


class MapResult:
    """What `Workers.map_async` hands back: results on demand, in the order of the items."""

    def __init__(self, futures: list[Future]) -> None:
        self._futures = futures

    def get(self, timeout: float | None = None) -> list:
        """Wait for all results, `timeout` seconds at most; a TimeoutError cancels nothing: ask again."""
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


def collect(
    submit: Callable[[Any], Future], items: list, progress: str | None = None, window: int | None = None
) -> list:
    """
    Submit one task an item, at most `window` under way at once, and return the results in order.

    On the first failure the rest is cancelled and what the task raised is raised.
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
        # Threads write into the caller's arrays until they end; processes don't, and those of a cluster may
        # never tell of a task that was cancelled. Who interrupts the kernel wants it back at once.
        if isinstance(error, Exception) and window is None:
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
    """Wrap `items` in a bar of this text, which appears after two seconds; without text, return them."""
    return _bar(total, progress, items) if progress else items


def mark_worker() -> None:
    """Note that this thread belongs to a pool of the engine."""
    _here.worker = True


def in_worker() -> bool:
    """Tell if this thread belongs to a pool of the engine."""
    return getattr(_here, "worker", False)


def run_task(func: Callable, item: Any) -> Any:
    """Apply `func` to `item` on one thread (importable, so that it travels to a cluster)."""
    with one_thread():
        return func(item)


@contextmanager
def one_thread() -> Iterator[None]:
    """
    Limit linear algebra and OpenCV to one thread while any task runs.

    The limit belongs to the process, so the first task sets it and the last one lifts it.
    """
    with _limit_lock:
        if _limit["depth"] == 0:
            _limit["blas"] = _blas_controller().limit(limits=1, user_api="blas")
        if _limit["opencv"] is None and (cv2 := sys.modules.get("cv2")):
            _limit["opencv"] = cv2.getNumThreads()
            cv2.setNumThreads(1)
        _limit["depth"] += 1
    try:
        yield
    finally:
        with _limit_lock:
            _limit["depth"] -= 1
            if _limit["depth"] == 0:
                _limit["blas"].restore_original_limits()
                if _limit["opencv"] is not None:
                    sys.modules["cv2"].setNumThreads(_limit["opencv"])
                    _limit["opencv"] = None


def _blas_controller() -> threadpoolctl.ThreadpoolController:
    """Find the linear algebra libraries; looked for again only when modules were imported meanwhile."""
    # The search through all loaded libraries takes milliseconds, as long as many a task.
    if _limit["controller"] is None or _limit["modules"] != len(sys.modules):
        _limit["controller"] = threadpoolctl.ThreadpoolController()
        _limit["modules"] = len(sys.modules)
    return _limit["controller"]


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
        Apply a function to every item, wait, and return the results in order.

        `chunksize` is accepted for callers of `multiprocessing.Pool`: each item is a task of its own.
        `progress` is the text of a bar. What a task raises is raised as soon as it does.
        """
        # The limit is held here too, so that it isn't lifted and set again between tasks.
        with one_thread():
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
    The engine's pool: `n_processes` threads that share the caller's memory.

    Threads, because all heavy work happens in compiled code that releases Python's lock (NumPy, SciPy,
    OpenCV, Numba): nothing is pickled or copied, there is no start-up, no worker process that can die
    silently, no need to guard a script's main part on Windows or macOS, and the result is the same for any
    number of workers. Methods have the names that callers of `multiprocessing.Pool` and of an ipyparallel
    view use.
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
            return _in_turn(func, items, progress)
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
    same. Items are sent when a worker is about to be free, not all at once. With `owned`, closing the
    workers closes the client.
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


class _Machine:
    """In place of a pool: threads of this process for the time of a call, as many as `limit_threads` says."""

    most: int | None = None

    @property
    def n_processes(self) -> int:
        return self.most or min(available_cpus(), _MOST_THREADS)


_MACHINE = _Machine()


def limit_threads(most: int | None) -> None:
    """Set how many threads calls without a pool use; None for the processors there are, at most eight."""
    _MACHINE.most = most


@dataclass(frozen=True)
class Run:
    """
    How a stage works: with which workers, within which memory, with or without bars.

    Attributes
    ----------
    pool : Workers, DaskWorkers, multiprocessing.Pool, ipyparallel view, int or None
        What `setup_cluster` returned; or a number of threads, for the time of a call. None does all work in
        the calling thread. The result is the same.
    memory : int, float or str, optional
        Bytes that blocks may take, or text such as ``'500MB'``; see `cnmf_engine.base.memory.memory_budget`.
    progress : bool
        Show bars with the time that is left of what takes long.
    """

    pool: Any = None
    memory: int | float | str | None = None
    progress: bool = False

    @property
    def workers(self) -> int:
        """Tasks that run at the same time; 1 inside a worker, which has its processor to itself."""
        if self.pool is None or (self.shared and in_worker()):
            return 1
        if isinstance(self.pool, int):
            return checked_count(self.pool)
        return getattr(self.pool, "n_processes", None) or 1

    @property
    def shared(self) -> bool:
        """Whether workers see the caller's arrays; where they don't, results have to be returned."""
        return self.pool is None or isinstance(self.pool, Workers | _Machine | int)

    @property
    def here(self) -> Run:
        """The same without workers that share no memory, for what isn't worth sending."""
        return self if self.shared else replace(self, pool=None)

    @property
    def budget(self) -> int:
        """Bytes that blocks may take."""
        return memory_budget(self.memory)

    def room(self, part: float = 0.25) -> int:
        """Bytes for what can't be cut into blocks: `memory`, else this part of what is free."""
        return memory_room(self.memory, part)

    def side_by_side(self, cost: int, part: float, hint: str) -> int | None:
        """
        Tell how many tasks that take `cost` bytes fit the memory (or this part of what is free) together.

        None where workers have a memory of their own. If one alone takes more, the log says so, with `hint`.
        """
        if not self.shared:
            return None
        room = self.room(part)
        if cost > room:
            found = f"a need of about {cost / 2**20:.0f} MB"
            log.warning(explain(f"work that fits {room / 2**20:.0f} MB", found, hint))
        return max(int(room // max(cost, 1)), 1)

    def map(self, func: Callable, items: Iterable, text: str | None = None, limit: int | None = None) -> list:
        """
        Apply a function to every item and return the results in order.

        Linear algebra runs on one thread a task, with or without a pool. A call from inside a worker runs in
        that worker, so nested calls can't wait for each other. What a task raises is raised as soon as it
        does: tasks that haven't started are cancelled, those that run in threads are waited for, so that none
        writes into the caller's arrays afterwards.

        Parameters
        ----------
        func : callable
            Takes one item. Must not depend on the order in which tasks run.
        items : iterable
            The items.
        text : str, optional
            Of the bar, if there is to be one.
        limit : int, optional
            Most tasks side by side, for workers that share memory.
        """
        items, text = list(items), text if self.progress else None
        if self.workers > 1 and limit is not None and limit < self.workers and self.shared:
            func = _taking_turns(func, limit)
        if isinstance(self.pool, Workers | DaskWorkers):
            return self.pool.map(func, items, progress=text)
        if self.shared:
            return list(progress_bar(self.stream(func, items), len(items), text))
        task = partial(run_task, func)
        if hasattr(self.pool, "map_sync"):
            found = list(self.pool.map_sync(task, items))
            self.pool.results.clear()
            return found
        return list(self.pool.map(task, items))

    def stream(self, func: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        """
        Apply a function to every item in threads and yield the results in order.

        No more results than threads wait to be taken, so memory stays bounded however many items there are.
        Workers that share no memory are left out.
        """
        items = list(items)
        n_threads = min(self.here.workers, len(items))
        if n_threads < 2:
            with one_thread():
                yield from map(func, items)
            return
        with ThreadPoolExecutor(n_threads, "cnmf-block", initializer=mark_worker) as pool, one_thread():
            running: deque = deque()
            try:
                for item in items:
                    running.append(pool.submit(func, item))
                    if len(running) > n_threads:
                        yield running.popleft().result()
                while running:
                    yield running.popleft().result()
            finally:
                for future in running:
                    future.cancel()


#: For calls whose caller said nothing: threads of this process, no bar.
RUN = Run(_MACHINE)
#: The calling thread alone.
ALONE = Run()


def _in_turn(func: Callable, items: list, progress: str | None = None) -> list:
    """Apply `func` to every item in this thread, under the same limit as in a pool."""
    with one_thread():
        return [func(item) for item in progress_bar(items, len(items), progress)]


def _taking_turns(func: Callable[[Any], Any], limit: int) -> Callable[[Any], Any]:
    """Let only so many tasks run side by side; for threads."""
    turns = threading.BoundedSemaphore(max(limit, 1))

    def in_turn(item: Any) -> Any:
        with turns:
            return func(item)

    return in_turn


def available_cpus() -> int:
    """Count the processors this process may use, as a container or a batch system limits them."""
    if hasattr(os, "process_cpu_count"):
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1


def checked_count(n_processes: Any) -> int:
    """Return a number of workers as an int; raise ParameterError if it isn't a whole number of at least 1."""
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
    """List the engine's own pools that still take tasks, in no particular order."""
    return [pool for pool in list(_pools) if pool.is_open]
