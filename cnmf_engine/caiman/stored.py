"""A movie that stays in its file: frames are read when they are used."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import numpy as np
import psutil
from numpy.lib.mixins import NDArrayOperatorsMixin

from cnmf_engine.base.errors import InputError, explain
from cnmf_engine.base.memory import frame_blocks, memory_budget
from cnmf_engine.base.parallel import progress_bar
from cnmf_engine.caiman.movie import movie
from cnmf_engine.movies.reader import MovieReader
from cnmf_engine.movies.reductions import axes_of, reduce_blocks

__all__ = ["StoredMovie", "check_memory"]

logger = logging.getLogger("caiman")

# Larger blocks make nothing faster.
_LARGEST_BLOCK = 32 * 2**20


def check_memory(needed: int, name: Any) -> None:
    """
    Refuse to load what the machine's memory can't hold.

    Parameters
    ----------
    needed : int
        Bytes.
    name : object
        What to call the movie in the message.

    Raises
    ------
    InputError
        If it is more than the machine has.
    """
    memory = psutil.virtual_memory()
    if needed > memory.total:
        raise InputError(
            explain(
                f"a movie that fits into {memory.total / 2**30:.1f} GB of memory",
                f"{needed / 2**30:.1f} GB in {name}",
                "load a part with subindices=slice(0, 1000), or go on from the file: motion correction, "
                "summary images and save_memmap read it block by block",
            )
        )
    if needed > memory.available:
        logger.warning("Loading %.1f GB with %.1f GB free", needed / 2**30, memory.available / 2**30)


class StoredMovie(NDArrayOperatorsMixin):
    """
    Frames of a recording that is too large to be held, read from its file when they are used.

    Use it like the array that `cnmf_engine.load` returns otherwise. ``m[3]``, ``m[10:20, :64]`` and other
    slices that fit the memory budget are read and come as a `movie`; larger ones stay in the file.
    ``m.max(axis=0)`` and other reductions (also as ``np.max(m, axis=0)``), summary images, motion correction,
    `save` and `save_memmap` go through it block by block. Everything else a movie can do first loads all of
    it, as ``numpy.asarray(m)`` does, if the machine can hold it. It can't be written to:
    ``load(..., in_memory=True)`` gives an array that can.

    Parameters
    ----------
    reader : MovieReader
        The file; it is closed when nothing refers to it any more.
    pick : tuple of three slices or arrays of int
        Frames, rows and columns of the file.
    like : movie
        Whose `fr`, `start_time`, `file_name`, `meta_data` and type to take; its frames don't matter.
    memory_limit : int, float or str, optional
        Size up to which a part of it is read, see `cnmf_engine.base.memory.memory_budget`.

    Attributes
    ----------
    shape, ndim, size, nbytes, dtype
        As for an array.
    fr, start_time, file_name, meta_data, time
        As for a `movie`.
    """

    ndim = 3

    def __init__(
        self,
        reader: MovieReader,
        pick: tuple[Any, Any, Any],
        like: movie,
        memory_limit: int | float | str | None = None,
    ) -> None:
        self._reader, self._limit = reader, memory_limit
        self._pick = tuple(np.arange(size)[one] for size, one in zip(reader.shape, pick))
        self._about = like[:0]
        self.shape = tuple(len(one) for one in self._pick)
        self.dtype = like.dtype

    @property
    def sequential(self) -> bool:
        """Whether frames are best read in their order, by one thread."""
        return self._reader.sequential

    @property
    def size(self) -> int:
        """Number of values."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def nbytes(self) -> int:
        """Bytes of all values in memory."""
        return self.size * self.dtype.itemsize

    @property
    def time(self) -> np.ndarray:
        """Time of each frame in s."""
        return self._about.start_time + np.arange(len(self)) / self._about.fr

    def in_memory(self, progress: str | None = None) -> movie:
        """
        Load all of it.

        Parameters
        ----------
        progress : str, optional
            Text of a progress bar.

        Returns
        -------
        movie of shape (T, d1, d2)
            An array.

        Raises
        ------
        InputError
            If the machine can't hold it.
        """
        check_memory(self.nbytes, self._name())
        whole, at = np.empty(self.shape, self.dtype), 0
        for block in progress_bar(self._blocks(), len(self._cuts()), progress):
            whole[at : at + len(block)] = block
            at += len(block)
        return self._as_movie(whole)

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[movie]:
        for block in self._blocks():
            yield from self._as_movie(block)

    def __getitem__(self, key: Any) -> Any:
        frames, rows, columns = _three_keys(key)
        if isinstance(frames, int | np.integer):
            return self._as_movie(self._read(self._pick[0][[frames]])[0])[rows, columns]
        if not (isinstance(rows, slice) and isinstance(columns, slice)):
            part = StoredMovie(
                self._reader, (self._pick[0][frames], *self._pick[1:]), self._about, self._limit
            )
            blocks = [block[:, rows, columns] for block in part._blocks()]
            return self._as_movie(np.concatenate(blocks or [self._read([])[:, rows, columns]]))
        pick = tuple(one[wanted] for one, wanted in zip(self._pick, (frames, rows, columns)))
        part = StoredMovie(self._reader, pick, self._about, self._limit)
        if part.nbytes > memory_budget(self._limit):
            return part
        return part._as_movie(part._read(part._pick[0])) if part.nbytes < _LARGEST_BLOCK else part.in_memory()

    def __setitem__(self, key: Any, value: Any) -> None:
        raise self._read_only()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("frames that are in a file can't become an array without a copy")
        whole = np.asarray(self.in_memory())
        return whole if dtype is None else whole.astype(dtype, copy=False)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        if any(isinstance(one, StoredMovie) for one in options.get("out", ())):
            raise self._read_only()
        held = [one.in_memory() if isinstance(one, StoredMovie) else one for one in inputs]
        return getattr(ufunc, method)(*held, **options)

    def __getattr__(self, name: str) -> Any:
        if name in ("fr", "start_time", "file_name", "meta_data"):
            return getattr(self._about, name)
        if name.startswith("_") or not hasattr(movie, name):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self.in_memory(), name)

    def __reduce__(self) -> tuple:
        # Another process may not see the file: the frames travel.
        return self.in_memory().__reduce__()

    def __repr__(self) -> str:
        frames, rows, columns = self.shape
        size = f"{frames} frames of {rows} x {columns} px, {self.dtype}, {self.nbytes / 2**30:.1f} GB"
        return f"<{type(self).__name__}: {size}, left in {self._name()}>"

    def max(self, axis: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        """Find the highest values, as `numpy.max`."""
        return self._reduced("max", axis, out, keepdims)

    def min(self, axis: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        """Find the lowest values, as `numpy.min`."""
        return self._reduced("min", axis, out, keepdims)

    def sum(self, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        """Add up, as `numpy.sum`; in float64."""
        return self._reduced("sum", axis, out, keepdims, dtype)

    def mean(self, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        """Average, as `numpy.mean`; in float64."""
        return self._reduced("mean", axis, out, keepdims, dtype)

    def var(
        self, axis: Any = None, dtype: Any = None, out: Any = None, ddof: float = 0, keepdims: bool = False
    ) -> Any:
        """Find variances, as `numpy.var`; in float64."""
        return self._reduced("var", axis, out, keepdims, dtype, ddof)

    def std(
        self, axis: Any = None, dtype: Any = None, out: Any = None, ddof: float = 0, keepdims: bool = False
    ) -> Any:
        """Find standard deviations, as `numpy.std`; in float64."""
        return self._reduced("std", axis, out, keepdims, dtype, ddof)

    def calc_min(self) -> movie:
        """Find the lowest value, NaN left aside, as `movie.calc_min`."""
        lowest = [np.fmin.reduce(block, axis=None) for block in self._blocks()]
        return self._as_movie(np.array([np.fmin.reduce(lowest)]))

    def local_correlations(
        self, eight_neighbours: bool = True, swap_dim: bool = False, **options: Any
    ) -> np.ndarray:
        """Correlate each pixel with its neighbours, as `movie.local_correlations`."""
        from cnmf_engine.stages.summary_images import local_correlations

        return local_correlations(self, eight_neighbours, swap_dim, **options)

    def save(self, file_name: Any, to32: bool = True, order: str = "F", **options: Any) -> str:
        """Write it to a file, as `movie.save`."""
        from cnmf_engine.movies.saving import save_movie

        return save_movie(self, file_name, to32=to32, order=order, **options)

    def _read_only(self) -> InputError:
        return InputError(
            explain(
                "a movie in memory, to be written to",
                repr(self),
                "load it with cm.load(..., in_memory=True), or a part with subindices=slice(0, 1000)",
            )
        )

    def _name(self) -> str:
        return str(self._reader.path or ", ".join(map(str, self._about.file_name)) or "the file")

    def _as_movie(self, frames: np.ndarray) -> movie:
        return movie(frames)._like(self._about)

    def _blocks(self) -> Iterator[np.ndarray]:
        """All frames, in blocks that fit the budget; plain arrays."""
        return (self._read(self._pick[0][block]) for block in self._cuts())

    def _cuts(self) -> list[slice]:
        stored = self._reader.shape[1] * self._reader.shape[2] * self._reader.dtype.itemsize
        per_frame = stored + 2 * self.nbytes // max(len(self), 1)
        budget = min(memory_budget(self._limit), _LARGEST_BLOCK)
        return frame_blocks(len(self), per_frame, budget)

    def _read(self, numbers: Any) -> np.ndarray:
        """Frames of the file with the chosen rows and columns, as an array of its own."""
        rows, columns = (_as_slice(one) for one in self._pick[1:])
        block = self._reader[_as_slice(np.asarray(numbers, np.intp))][:, rows, :][:, :, columns]
        # The reader's block may be a view of a map.
        own = block.flags.owndata and block.dtype == self.dtype
        return block if own else np.array(block, dtype=self.dtype, order="C")

    def _reduced(
        self, name: str, axis: Any, out: Any, keepdims: bool, dtype: Any = None, ddof: float = 0
    ) -> Any:
        """Apply a reduction block by block."""
        axes = axes_of(axis)
        found = reduce_blocks(self._blocks, self.shape, name, axes, ddof)
        kind = getattr(np.ones(2, self.dtype), name)(**({} if dtype is None else {"dtype": dtype})).dtype
        found = found.astype(kind, copy=False)
        if not keepdims:
            found = found.squeeze(axis=axes)
        if out is not None:
            out[...] = found
            return out
        return self._as_movie(found) if found.ndim else found[()]


def _three_keys(key: Any) -> tuple[Any, Any, Any]:
    """Give an index of frames, rows and columns its missing parts."""
    keys = list(key) if isinstance(key, tuple) else [key]
    dots = [at for at, one in enumerate(keys) if one is Ellipsis]
    if dots:
        keys[dots[0] : dots[0] + 1] = [slice(None)] * (4 - len(keys))
    if len(keys) > 3 or len(dots) > 1 or any(one is None for one in keys):
        raise IndexError(f"an index of frames, rows and columns is needed, not {key!r}")
    return tuple(keys + [slice(None)] * (3 - len(keys)))


def _as_slice(index: np.ndarray) -> Any:
    """Write consecutive numbers as a slice, which is quicker to read."""
    if len(index) and np.all(np.diff(index) == 1):
        return slice(int(index[0]), int(index[-1]) + 1)
    return index
