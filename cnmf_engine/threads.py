"""Blocks worked on in a few threads at once, handed back in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from cnmf_engine.tasks import in_worker, mark_worker
from cnmf_engine.workers import available_cpus, checked_count

__all__ = ["map_threads", "thread_count"]

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
