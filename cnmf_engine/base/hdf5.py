"""HDF5 files that are written to the end, whatever the disk says."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["written_hdf5"]


class _Patient:
    """
    A file that takes everything it is given, and tells at the end what went wrong.

    HDF5 can't put its own house in order after a write that failed: Python ends, then or when it is left.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self._file = open(path, "w+b", buffering=0)
        self.error: OSError | None = None

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def read(self, size: int = -1) -> bytes:
        # h5py tells a file by this; it is never called.
        return self._file.read(size)

    def readinto(self, buffer: Any) -> int:
        view, done = memoryview(buffer).cast("B"), 0
        while done < len(view):
            count = self._file.readinto(view[done:])
            if not count:
                # What was never written.
                view[done:] = bytes(len(view) - done)
                break
            done += count
        return len(view)

    def write(self, content: Any) -> int:
        view, done = memoryview(content).cast("B"), 0
        try:
            # The system may take it in pieces.
            while self.error is None and done < len(view):
                done += self._file.write(view[done:])
        except OSError as error:
            self.error = error
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        try:
            return self._file.truncate(size)
        except OSError as error:
            self.error = self.error or error
            return size or 0

    def flush(self) -> None:
        """Nothing waits to be written."""

    def close(self) -> None:
        try:
            self._file.close()
        except OSError as error:
            self.error = self.error or error


@contextmanager
def written_hdf5(path: str | os.PathLike, **options: Any) -> Iterator[Any]:
    """
    Open an HDF5 file to write it.

    Parameters
    ----------
    path : path
        The file; replaced if it exists.
    **options
        Keywords of `h5py.File`.

    Yields
    ------
    h5py.File
        The file.

    Raises
    ------
    OSError
        When the block has ended, if not everything could be written.
    """
    import h5py

    target = _Patient(path)
    try:
        with h5py.File(target, "w", **options) as file:
            yield file
    except (RuntimeError, OSError, KeyError):
        # What HDF5 reads back of a file that wasn't written makes no sense to it.
        if target.error is None:
            raise
    finally:
        target.close()
    if target.error is not None:
        raise target.error
