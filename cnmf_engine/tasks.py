"""Running tasks: one linear algebra thread each, results in order, the first failure stops the rest."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, as_completed, wait
from contextlib import contextmanager
from typing import Any

import threadpoolctl

__all__ = [
    "MapResult",
    "collect",
    "in_worker",
    "mark_worker",
    "one_blas_thread",
    "progress_bar",
    "run_serially",
    "run_task",
]

_here = threading.local()
_blas_lock = threading.Lock()
_blas_state: dict[str, Any] = {"depth": 0, "limiter": None}


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


def collect(futures: list[Future], progress: str | None = None) -> list:
    """Results in order; on the first failure cancel the rest and raise what the task raised."""
    try:
        for future in progress_bar(as_completed(futures), len(futures), progress):
            future.result()
    except BaseException as error:
        for future in futures:
            future.cancel()
        # Somebody who interrupts the kernel wants it back at once.
        if isinstance(error, Exception):
            wait(futures)
        raise
    return [future.result() for future in futures]


def progress_bar(items: Iterable, total: int, progress: str | None) -> Iterable:
    """Wrap `items` in a bar with the text `progress`, or leave them as they are without a text."""
    if not progress:
        return items
    # Imported here: the bar is rarely wanted, and the import costs more than the module itself.
    from tqdm import tqdm

    return tqdm(items, desc=progress, total=total, leave=False, mininterval=0.5)


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
            _blas_state["limiter"] = threadpoolctl.threadpool_limits(limits=1, user_api="blas")
        _blas_state["depth"] += 1
    try:
        yield
    finally:
        with _blas_lock:
            _blas_state["depth"] -= 1
            if _blas_state["depth"] == 0:
                _blas_state["limiter"].restore_original_limits()
