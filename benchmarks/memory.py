"""
Watch the memory of a process and its children.

Resident memory counts pages of mapped files, which the system can drop whenever it needs room; private memory
is what the process holds for itself. Both are sampled from outside, so the one measured doesn't notice.
"""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

import psutil

__all__ = ["MemoryWatch"]


class MemoryWatch:
    """
    Sample resident and private memory of a process tree in a thread.

    Parameters
    ----------
    pid : int
        The process at the root.
    every : float
        Seconds between samples.

    Attributes
    ----------
    samples : list of (float, float, float)
        Time since the epoch in s, resident and private memory in MB (2**20 bytes), children included.
    """

    def __init__(self, pid: int, every: float = 0.03) -> None:
        self.samples: list[tuple[float, float, float]] = []
        self._root, self._every = psutil.Process(pid), every
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> MemoryWatch:
        self._thread.start()
        return self

    def __exit__(self, *_exception) -> None:
        self._stop.set()
        self._thread.join()

    def peak(self, start: float = 0.0, stop: float = float("inf")) -> tuple[float, float]:
        """
        Give the largest values between two times.

        Parameters
        ----------
        start, stop : float
            Seconds since the epoch.

        Returns
        -------
        resident, private : float
            MB; 0 where nothing was sampled.
        """
        between = [sample[1:] for sample in self.samples if start <= sample[0] <= stop]
        return tuple(round(max((values[i] for values in between), default=0.0), 1) for i in (0, 1))

    def _watch(self) -> None:
        tree, listed = [self._root], 0.0
        while not self._stop.is_set():
            # To list children reads every process of the machine: too dear for each sample.
            if time.monotonic() - listed > 0.2:
                try:
                    tree, listed = [self._root, *self._root.children(recursive=True)], time.monotonic()
                except psutil.NoSuchProcess:
                    return
            found = [memory for process in tree if (memory := _memory(process))]
            if found:
                resident, private = (sum(values) for values in zip(*found))
                self.samples.append((time.time(), resident / 2**20, private / 2**20))
            self._stop.wait(self._every)


def _memory(process: psutil.Process) -> tuple[int, int] | None:
    """Resident and private bytes of one process; None if it has ended."""
    try:
        if sys.platform == "linux":
            lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
            fields = dict(line.split(":", 1) for line in lines if ":" in line)
            size = {name: int(fields[name].split()[0]) * 1024 for name in ("VmRSS", "RssAnon", "RssShmem")}
            return size["VmRSS"], size["RssAnon"] + size["RssShmem"]
        return process.memory_info().rss, process.memory_full_info().uss
    except (psutil.Error, OSError, KeyError):
        # It ended between the listing and the reading; a process about to end has no memory left to tell.
        return None
