"""Pools of workers with the calls that CaImAn code makes on a `dview`."""

from __future__ import annotations

import os
import warnings
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

from cnmf_engine.errors import InputError, ParameterError, explain
from cnmf_engine.tasks import (
    MapResult,
    collect,
    in_worker,
    mark_worker,
    one_blas_thread,
    run_serially,
    run_task,
)

__all__ = ["DaskWorkers", "Workers", "available_cpus", "checked_count", "open_pools"]

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
        Apply a function to every item and wait, as `cnmf_engine.cluster.map_ordered` does.

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
