"""Running tasks: one linear algebra thread each, results in order, the first failure stops the rest."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, as_completed, wait
from contextlib import contextmanager
from queue import Empty, SimpleQueue
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
