"""Reading and writing movies block by block: files of any supported format, arrays, memory maps."""

from __future__ import annotations

from cnmf_engine.base.files import replacing
from cnmf_engine.movies.finding import MOVIE_SUFFIXES, find_movie
from cnmf_engine.movies.maps import map_frames
from cnmf_engine.movies.opening import iter_frames, open_movie
from cnmf_engine.movies.reader import MovieReader
from cnmf_engine.movies.writing import Target, map_writer, write_frames

__all__ = [
    "MOVIE_SUFFIXES",
    "MovieReader",
    "Target",
    "find_movie",
    "iter_frames",
    "map_frames",
    "map_writer",
    "open_movie",
    "replacing",
    "write_frames",
]
