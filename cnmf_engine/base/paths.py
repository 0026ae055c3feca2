"""Where data and temporary files go."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from pathlib import Path

__all__ = [
    "caiman_datadir",
    "fn_relocated",
    "get_tempdir",
    "remove_temporary_files",
    "temporary_files",
]

logger = logging.getLogger("caiman")


def caiman_datadir() -> str:
    """
    Tell where data files live.

    Returns
    -------
    str
        The environment variable ``CAIMAN_DATA``, else ``caiman_data`` in the user's home. The folder is not
        created.
    """
    return os.environ.get("CAIMAN_DATA") or str(Path.home() / "caiman_data")


def get_tempdir() -> str:
    """
    Tell where temporary files go.

    Returns
    -------
    str
        The environment variable ``CAIMAN_TEMP`` if it names a folder (if it doesn't, a warning says so), else
        ``temp`` in the data folder, created when it is missing.
    """
    wanted = os.environ.get("CAIMAN_TEMP", "")
    if wanted and os.path.isdir(wanted):
        return wanted
    folder = Path(caiman_datadir()) / "temp"
    if wanted:
        logger.warning("CAIMAN_TEMP is %r, which isn't a folder: %s is used instead", wanted, folder)
    folder.mkdir(parents=True, exist_ok=True)
    return str(folder)


def fn_relocated(fn: str | os.PathLike, force_temp: bool = False) -> str:
    """
    Put a bare file name into the temporary folder.

    Parameters
    ----------
    fn : str or path
        A file name, with or without a folder.
    force_temp : bool
        Drop the folder a name has and use the temporary one.

    Returns
    -------
    str
        A name with a folder is returned as it is.
    """
    path = os.fspath(fn)
    if os.path.basename(path) != path and not force_temp:
        return path
    return os.path.join(get_tempdir(), os.path.basename(path))


def temporary_files(folder: str | os.PathLike | None = None) -> dict[Path, int]:
    """
    List the memory maps in a folder, so that they can be shown and removed.

    Parameters
    ----------
    folder : str or path, optional
        Where to look; the temporary folder if not given.

    Returns
    -------
    dict of Path to int
        Every ``.mmap`` file and every leftover of an interrupted write, with its size in bytes, largest
        first.
    """
    where = Path(folder) if folder is not None else Path(get_tempdir())
    sizes = {
        path: path.stat().st_size for pattern in ("*.mmap", ".*.part.mmap") for path in where.glob(pattern)
    }
    return dict(sorted(sizes.items(), key=lambda item: (-item[1], item[0])))


def remove_temporary_files(files: Iterable[str | os.PathLike]) -> int:
    """
    Delete files; those that are gone already or in use are skipped.

    Parameters
    ----------
    files : iterable of path
        For instance the keys of `temporary_files`.

    Returns
    -------
    int
        Bytes freed.
    """
    freed = 0
    for name in files:
        path = Path(name)
        try:
            size = path.stat().st_size
            path.unlink()
        except FileNotFoundError:
            continue
        except PermissionError:
            # Windows doesn't delete a file that is mapped.
            logger.warning("%s is in use and was not deleted", path)
            continue
        freed += size
    return freed
