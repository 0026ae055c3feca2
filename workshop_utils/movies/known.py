"""Movies the workshop knows by name: where they come from, and how they are downloaded once."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from cnmf_engine.base.errors import InputError, MissingFileError, explain
from workshop_utils.files import human_bytes
from workshop_utils.lessons import resource

__all__ = ["KnownMovie", "cache_folder", "fetch", "registry"]


@dataclass(frozen=True)
class KnownMovie:
    """A movie that the registry knows, by its file name."""

    name: str
    address: str | None = None  # None for a file that comes with the workshop
    sha256: str | None = None  # lower case hexadecimal
    frame_rate: float | None = None  # Hz
    licence: str | None = None
    description: str = ""


def cache_folder() -> Path:
    """
    Say where downloaded movies are kept.

    That is ``example_movies`` in the folder that the environment variable ``CAIMAN_DATA`` names, where CaImAn
    keeps its own, else the platform's cache folder.
    """
    caiman_data = os.environ.get("CAIMAN_DATA")
    if caiman_data:
        return Path(caiman_data).expanduser() / "example_movies"
    import pooch

    return Path(pooch.os_cache("calcium-workshop"))


def registry(path: str | os.PathLike | None = None) -> dict[str, KnownMovie]:
    """Read a list of known movies, the workshop's ``data/registry.json`` by default; by file name."""
    path = resource("data") / "registry.json" if path is None else Path(path)
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))["movies"]
        fields = KnownMovie.__dataclass_fields__
        return {
            name: KnownMovie(
                name, **{key: value for key, value in entry.items() if key in fields and key != "name"}
            )
            for name, entry in entries.items()
        }
    except FileNotFoundError:
        return {}
    except (KeyError, AttributeError, ValueError) as error:
        raise InputError(
            explain(
                f"a registry of movies in {path}: {{'movies': {{name: {{'address': ..., 'sha256': ...}}}}}}",
                f"something else ({type(error).__name__}: {error})",
                "restore the file from the project",
            )
        ) from error


def fetch(movie: KnownMovie) -> Path:
    """
    Get a known movie, downloading it if it isn't here yet.

    It is checked against its SHA-256 where the registry knows one; where not, a line says so. No connection,
    no such file or another than was expected is a MissingFileError.
    """
    if not movie.address:
        path = resource("data") / movie.name
        if path.is_file():
            return path
        fix = "install the package again, or name another movie"
        raise MissingFileError(explain(f"'{movie.name}' at {path}", "no such file", fix))
    import pooch
    import requests

    target = cache_folder()
    checksum = f"sha256:{movie.sha256}" if movie.sha256 else None
    if not (target / movie.name).is_file():
        print(f"Downloading {movie.name} to {target}")
    try:
        path = pooch.retrieve(
            movie.address, checksum, movie.name, target, downloader=_downloader(movie.address)
        )
    except (requests.exceptions.RequestException, OSError) as error:
        expected = f"to download '{movie.name}' from {movie.address}"
        fix = (
            f"check the connection, or put the file at {target / movie.name}; movie='demo' needs no download"
        )
        raise MissingFileError(explain(expected, f"{type(error).__name__}: {error}", fix)) from error
    except ValueError as error:  # pooch's word for a checksum that doesn't agree
        expected = f"'{movie.name}' from {movie.address} with SHA-256 {movie.sha256}"
        fix = "try again; if it stays so, the file has changed at its source: ask the workshop's people"
        raise MissingFileError(explain(expected, str(error).splitlines()[0], fix)) from error
    unchecked = "" if checksum else " (its checksum isn't known, so it wasn't checked)"
    print(f"{movie.name}: {human_bytes(Path(path).stat().st_size)} in {target}{unchecked}")
    return Path(path)


def _downloader(address: str):
    if not address.lower().startswith(("http:", "https:")):
        return None
    import pooch

    return pooch.HTTPDownloader(progressbar=True, timeout=30)
