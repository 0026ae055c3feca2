"""Work that takes seconds, done beside the kernel's own thread so that sliders stay usable."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

__all__ = ["NewestWish"]

_NOTHING = object()


class NewestWish:
    """
    A thread that works on one wish at a time; of those that come meanwhile only the newest counts.

    Parameters
    ----------
    work : callable
        Called with a wish, in the thread.
    done : callable
        Called with the wish and what `work` returned, in the thread.
    failed : callable
        Called with the wish and the exception of `work` or `done`, in the thread.
    """

    def __init__(
        self,
        work: Callable[[Any], Any],
        done: Callable[[Any, Any], None],
        failed: Callable[[Any, Exception], None],
    ) -> None:
        self._work, self._done, self._failed = work, done, failed
        self._lock = threading.Lock()
        self._next: Any = _NOTHING
        self._thread: threading.Thread | None = None

    def wish(self, value: Any) -> None:
        """
        Ask for work; replaces a wish that hasn't been begun.

        Parameters
        ----------
        value : Any
            Passed on to `work`.
        """
        with self._lock:
            self._next = value
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, daemon=True)
                self._thread.start()

    def forget(self) -> None:
        """Drop the wish that hasn't been begun."""
        with self._lock:
            self._next = _NOTHING

    def wait(self, timeout: float | None = None) -> None:
        """
        Wait until all is done.

        Parameters
        ----------
        timeout : float, optional
            Seconds to wait at most.
        """
        with self._lock:
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)

    def _run(self) -> None:
        while True:
            with self._lock:
                value, self._next = self._next, _NOTHING
                if value is _NOTHING:
                    self._thread = None
                    return
            try:
                self._done(value, self._work(value))
            # Whatever a user's function raises belongs on the screen: a thread has nobody to raise it to.
            except Exception as error:
                self._failed(value, error)
