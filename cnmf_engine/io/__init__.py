"""Reading and writing movies block by block: files of any supported format, arrays, memory maps."""

from __future__ import annotations

from cnmf_engine.io.files import MOVIE_SUFFIXES, find_movie, replacing
from cnmf_engine.io.mapwriter import Target, write_frames
from cnmf_engine.io.readers import MovieReader, iter_frames, open_movie

__all__ = [
    "MOVIE_SUFFIXES",
    "MovieReader",
    "Target",
    "find_movie",
    "iter_frames",
    "open_movie",
    "replacing",
    "write_frames",
]
