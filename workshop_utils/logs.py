"""Show what CaImAn reports, and keep it in a file if wanted."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from cnmf_engine.base.errors import ParameterError, explain, nearest
from workshop_utils.files import human_bytes

__all__ = ["FORMAT", "LOGGER", "start", "stop"]

#: CaImAn's logger; the embedded engine reports there too, so that one setting serves both.
LOGGER = "caiman"
FORMAT = "%(asctime)s %(levelname)s [%(filename)s:%(lineno)d %(funcName)s() process %(process)d] %(message)s"
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_MARK = "workshop"


def start(level: str = "WARNING", file: str | os.PathLike | None = None, fmt: str = FORMAT) -> logging.Logger:
    """
    Show the log on the screen and, if wanted, write it to a file too.

    Called again, it replaces what it set up before: no line appears twice, and the old file is closed.

    Parameters
    ----------
    level : {'DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL'}
        How much to show. A file gets the same.
    file : path-like, optional
        The log file; its folder is made. An existing file is continued.
    fmt : str
        Layout of a line, in the words of `logging.Formatter`.

    Returns
    -------
    logging.Logger
        CaImAn's logger.

    Raises
    ------
    ParameterError
        There is no such level.
    """
    name = str(level).upper()
    if name not in _LEVELS:
        fix = f"use '{nearest(name, _LEVELS) or 'WARNING'}'"
        raise ParameterError(explain(f"a log level among {', '.join(_LEVELS)}", repr(level), fix))
    stop()
    logger = logging.getLogger(LOGGER)
    handlers: list[logging.Handler] = [logging.StreamHandler()]
    if file:
        path = Path(file).expanduser()
        path.parent.mkdir(parents=True, exist_ok=True)
        handlers.append(logging.FileHandler(path, encoding="utf-8"))
    for handler in handlers:
        handler.set_name(_MARK)
        handler.setFormatter(logging.Formatter(fmt))
        logger.addHandler(handler)
    logger.setLevel(name)
    # Colab puts a handler on the root logger, which would show every line a second time.
    logger.propagate = False
    return logger


def stop() -> list[str]:
    """
    Close the log.

    Returns
    -------
    list of str
        One line for each file that was closed, with its path and size.
    """
    logger = logging.getLogger(LOGGER)
    closed = []
    for handler in [handler for handler in logger.handlers if handler.get_name() == _MARK]:
        logger.removeHandler(handler)
        handler.close()
        if isinstance(handler, logging.FileHandler):
            path = Path(handler.baseFilename)
            size = human_bytes(path.stat().st_size) if path.exists() else "deleted meanwhile"
            closed.append(f"{path} ({size})")
    logger.propagate = True
    return closed
