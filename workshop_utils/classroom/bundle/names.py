"""Names that fit: a folder's on Drive, and a file's on every system."""

from __future__ import annotations

import re
import unicodedata

from cnmf_engine.base.errors import ParameterError, explain

__all__ = ["on_drive", "safe_name"]

_ROOTS = ("MyDrive", "Shareddrives")
# What Windows can't have in a name, and the names that are devices there.
_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f]')
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)", re.IGNORECASE)


def on_drive(text: str) -> str:
    r"""
    Read where a folder is on Drive, however it was written down.

    Parameters
    ----------
    text : str
        As Colab has it (``MyDrive/...``), with Colab's mount point in front, or as Drive for desktop has it
        (``G:\My Drive\...``).

    Returns
    -------
    str
        Starting with ``MyDrive`` or ``Shareddrives``, with forward slashes.

    Raises
    ------
    ParameterError
        It isn't a folder on Drive.
    """
    parts = [
        part for part in unicodedata.normalize("NFC", text).replace("\\", "/").split("/") if part.strip()
    ]
    joined = ["".join(part.split()) for part in parts]  # "My Drive", "Shared drives"
    first = next((n for n, part in enumerate(joined) if part.lower() in ("mydrive", "shareddrives")), None)
    if first is None or len(parts) < first + 2 or ".." in parts:
        expected = f"a folder on Drive, starting with {' or '.join(_ROOTS)}"
        fix = "write for example --drive-folder MyDrive/imaging-course"
        raise ParameterError(explain(expected, repr(text), fix))
    root = _ROOTS[joined[first].lower() == "shareddrives"]
    return "/".join([root, *parts[first + 1 :]])


def safe_name(name: str) -> str:
    """
    Give a file a name that Windows, macOS, Linux and Drive can all have.

    Parameters
    ----------
    name : str
        A file's name.

    Returns
    -------
    str
        The same name, in most cases. Umlauts, spaces and ``&`` stay.
    """
    # macOS may take letters and their dots apart; the notebooks have to name the file as it is on Drive.
    name = _FORBIDDEN.sub("_", unicodedata.normalize("NFC", name)).rstrip(" .")
    return f"_{name}" if _DEVICES.fullmatch(name.split(".")[0].strip()) or not name else name
