"""What copying says when it can't go on: what is kept, and what to do."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cnmf_engine.base.errors import InputError, MissingFileError, explain, nearest
from workshop_utils.files import first_missing, human_bytes, listing

__all__ = ["SourceError", "changed", "cut_short", "differs", "missing", "no_room", "reading", "writing"]

_FULL = {errno.ENOSPC, errno.EDQUOT} if hasattr(errno, "EDQUOT") else {errno.ENOSPC}
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS}
_AGAIN = "run the same again: it goes on from there"


class SourceError(InputError):
    """One file can't be read; the others may still be copied."""


@contextmanager
def reading(path: Path, held: int | None = None) -> Iterator[None]:
    """
    Word what goes wrong while a source is read.

    Parameters
    ----------
    path : pathlib.Path
        The source.
    held : int, optional
        Bytes of it that are copied.

    Raises
    ------
    SourceError
        It can't be read, or not to its end.
    MissingFileError
        It isn't there any more.
    """
    try:
        yield
    except (InputError, MissingFileError):
        raise
    except FileNotFoundError as error:
        found = "that it has gone since the copy began"
        fix = "put it back, or check that Drive is still mounted, and run the same again"
        raise MissingFileError(explain(f"to copy {path}", found, fix)) from error
    except OSError as error:
        if error.errno in _REFUSED:
            fix = "ask its owner for the right to read it, or move it out of the folder"
            raise SourceError(
                explain(f"to read {path}", f"that it isn't allowed ({_word(error)})", fix)
            ) from error
        raise SourceError(_broken(path, _word(error), held)) from error


@contextmanager
def writing(path: Path, held: int = 0) -> Iterator[None]:
    """
    Word what goes wrong while a copy is written.

    Parameters
    ----------
    path : pathlib.Path
        The copy.
    held : int
        Bytes of it that are there.

    Raises
    ------
    InputError
        The disk is full, or the place can't be written to.
    """
    try:
        yield
    except (InputError, MissingFileError):
        raise
    except OSError as error:
        if error.errno in _FULL:
            expected, found = f"room for all of {path}", f"the disk full ({_word(error)})"
            fix = f"free some space and {_AGAIN}; nothing that was copied is lost"
        elif error.errno in _REFUSED:
            expected = f"to write {path}"
            found = f"that the folder or the file can't be written to ({_word(error)})"
            fix = "name another folder, or close the program that has the file open"
        else:
            expected, found = f"to write {path}", _word(error)
            fix = f"check the disk and the name of the file, then {_AGAIN}; or name another folder"
        raise InputError(explain(expected, found, fix)) from error


def missing(src: Path, kind: str) -> MissingFileError:
    """
    Say what is there instead of a source.

    Parameters
    ----------
    src : pathlib.Path
        What was to be copied.
    kind : str
        ``'a folder'`` or ``'a file'``.

    Returns
    -------
    MissingFileError
        To be raised.
    """
    gone = first_missing(src) or src
    there = gone.parent
    hint = nearest(gone.name, os.listdir(there)) if there.is_dir() and os.access(there, os.R_OK) else None
    found = f"no {gone.name!r} in {there}, only {listing(there)}"
    fix = (
        f"use '{there / hint}'"
        if hint
        else "check the path; a shared Drive folder needs a shortcut in My Drive"
    )
    return MissingFileError(explain(f"{kind} to copy at {src}", found, fix))


def no_room(needed: int, free: int, dst: Path) -> InputError:
    """
    Say that the disk is too small.

    Parameters
    ----------
    needed, free : int
        Bytes.
    dst : pathlib.Path
        Where the copy was to go.

    Returns
    -------
    InputError
        To be raised.
    """
    fix = "free some space, name a folder on another disk, or copy fewer files"
    return InputError(
        explain(f"room for {human_bytes(needed)} in {dst}", f"{human_bytes(free)} free there", fix)
    )


def changed(path: Path) -> SourceError:
    """
    Say that a source was written to while it was copied.

    Parameters
    ----------
    path : pathlib.Path
        The source.

    Returns
    -------
    SourceError
        To be raised.
    """
    fix = "wait until the recording or upload is finished, then run the same again"
    return SourceError(explain(f"{path} to stay as it is while it is copied", "that it changed", fix))


def cut_short(path: Path, held: int) -> SourceError:
    """
    Say that a source ended before its size.

    Parameters
    ----------
    path : pathlib.Path
        The source.
    held : int
        Bytes of it that are copied.

    Returns
    -------
    SourceError
        To be raised.
    """
    return SourceError(_broken(path, "its end too early", held))


def differs(path: Path) -> SourceError:
    """
    Say that a copy has another checksum, twice.

    Parameters
    ----------
    path : pathlib.Path
        The source.

    Returns
    -------
    SourceError
        To be raised.
    """
    found = "another SHA-256 in the copy, also after copying it again from the start"
    fix = "run the same again; if it stays so, the disk or the connection is faulty: copy to another disk"
    return SourceError(explain(f"an identical copy of {path}", found, fix))


def _broken(path: Path, what: str, held: int | None) -> str:
    after = "" if held is None else f" after {human_bytes(held)}, which are kept"
    fix = (
        f"{_AGAIN}; if it stops again, mount Drive anew (it limits how often a file is read: a copy of the "
        "file in your own Drive has a limit of its own)"
    )
    return explain(f"to read {path} to its end", f"{what}{after}", fix)


def _word(error: OSError) -> str:
    number = f", error {error.errno}" if error.errno is not None else ""
    return f"{error.strerror or error or type(error).__name__}{number}"
