"""What a session file holds: values as JSON, the movie's fingerprint, and the versions in use."""

from __future__ import annotations

import hashlib
import importlib.metadata
import math
import os
import platform
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from cnmf_engine.base.errors import InputError, explain

__all__ = ["decode", "encode", "fingerprint", "renamed", "same_movie", "versions"]

_PATH = "path:"
_LARGEST_ARRAY = 10_000
_PACKAGES = (
    "calcium-workshop",
    "caiman",
    "numpy",
    "scipy",
    "numba",
    "opencv-python-headless",
    "h5py",
    "bokeh",
)


def encode(value: Any, folder: Path, name: str) -> Any:
    """
    Turn a value into something JSON holds.

    Parameters
    ----------
    value : object
        A path, number, text, list, tuple, dictionary, small array, or None.
    folder : pathlib.Path
        Paths inside it are kept relative to it.
    name : str
        What to call the value in an error.

    Returns
    -------
    object
        Plain JSON types. A number that isn't finite becomes None.

    Raises
    ------
    InputError
        JSON can't hold it, or it's a large array.
    """
    if isinstance(value, Path):
        return {_PATH: _relative(value, folder)}
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): encode(item, folder, f"{name}[{key!r}]") for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [encode(item, folder, name) for item in value]
    # numpy's arrays and scalars, without importing numpy for it
    if hasattr(value, "tolist") and getattr(value, "size", 0) <= _LARGEST_ARRAY:
        return encode(value.tolist(), folder, name)
    size = f" of {value.size} values" if hasattr(value, "size") else ""
    raise InputError(
        explain(
            f"a path, number, text, list, dictionary or small array for '{name}'",
            f"{type(value).__name__}{size}",
            "save it to a file (session.path gives the name) and record the path",
        )
    )


def decode(value: Any, folder: Path) -> Any:
    """
    Undo `encode`.

    Parameters
    ----------
    value : object
        What JSON held.
    folder : pathlib.Path
        What relative paths are relative to.

    Returns
    -------
    object
        The value; paths are absolute.
    """
    if isinstance(value, dict):
        if set(value) == {_PATH}:
            return _absolute(value[_PATH], folder)
        return {key: decode(item, folder) for key, item in value.items()}
    return [decode(item, folder) for item in value] if isinstance(value, list) else value


def renamed(value: Any, old: str, new: Path) -> Any:
    """
    Exchange a path wherever it was encoded.

    Parameters
    ----------
    value : object
        What `encode` made.
    old : str
        The absolute path as it was encoded, perhaps on another system: a `Path` would write it otherwise.
    new : pathlib.Path
        The absolute path that stands for it here.

    Returns
    -------
    object
        The same with `new` for `old`.
    """
    if value == {_PATH: old}:
        return {_PATH: str(new)}
    if isinstance(value, dict):
        return {key: renamed(item, old, new) for key, item in value.items()}
    return [renamed(item, old, new) for item in value] if isinstance(value, list) else value


def fingerprint(path: str | os.PathLike) -> dict[str, Any]:
    """
    Recognise a movie whatever its folder is called, without reading all of it.

    Parameters
    ----------
    path : path-like
        A file, or a folder that is a movie (Zarr).

    Returns
    -------
    dict
        ``name``, ``bytes``, and ``sha256`` of the first and the last MiB.
    """
    path = Path(path)
    digest = hashlib.sha256()
    files = [path] if path.is_file() else sorted(item for item in path.rglob("*") if item.is_file())
    for file in files[:1] + files[-1:] if len(files) > 1 else files:
        with file.open("rb") as stream:
            digest.update(stream.read(2**20))
            stream.seek(max(0, file.stat().st_size - 2**20))
            digest.update(stream.read())
    size = sum(file.stat().st_size for file in files)
    return {"name": path.name, "bytes": size, "sha256": digest.hexdigest()}


def same_movie(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """
    Compare two movies by their content, whatever they are called.

    Parameters
    ----------
    one, other : dict
        From `fingerprint`.

    Returns
    -------
    bool
        True if size and checksum agree.
    """
    return (one["bytes"], one["sha256"]) == (other["bytes"], other["sha256"])


def versions() -> dict[str, str]:
    """
    List what the results depend on.

    Returns
    -------
    dict of str to str
        Package to version, for those installed, and ``python`` and ``system``.
    """
    found = {"python": platform.python_version(), "system": platform.platform(terse=True)}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _absolute(text: str, folder: Path) -> Path:
    # An absolute path of another system isn't inside the folder; messages show it as it was written.
    absolute = PureWindowsPath(text).is_absolute() or PurePosixPath(text).is_absolute()
    return Path(text) if absolute else folder / text


def _relative(path: Path, folder: Path) -> str:
    absolute = path if path.is_absolute() else Path.cwd() / path
    inside = absolute.is_relative_to(folder) or absolute.resolve().is_relative_to(folder.resolve())
    if not inside:
        return str(absolute)
    base = folder if absolute.is_relative_to(folder) else folder.resolve()
    start = absolute if absolute.is_relative_to(folder) else absolute.resolve()
    return start.relative_to(base).as_posix()
