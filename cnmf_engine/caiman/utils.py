"""CaImAn's public demo recordings by name."""

from __future__ import annotations

from pathlib import Path

from cnmf_engine.base.errors import MissingFileError, ParameterError, explain, nearest
from cnmf_engine.base.paths import caiman_datadir

__all__ = ["DEMO_MOVIES", "download_demo"]

# Served by CaImAn's developers. They publish no checksums, so none can be checked here.
_SERVER = "https://caiman.flatironinstitute.org/~neuro/caiman_downloadables/"
DEMO_MOVIES = (
    "data_endoscope.tif",
    "demoMovie.tif",
    "demoMovieJ.tif",
    "Sue_2x_3000_40_-46.tif",
    "gmc_960_30mw_00001_red.tif",
    "gmc_960_30mw_00001_green.tif",
    "Tolias_mesoscope_1.hdf5",
    "Tolias_mesoscope_2.hdf5",
    "Tolias_mesoscope_3.hdf5",
    "msCam13.avi",
)


def download_demo(name: str = "Sue_2x_3000_40_-46.tif", save_folder: str = "") -> str:
    """
    Give the path of a demo recording, downloading it the first time.

    Parameters
    ----------
    name : str
        One of `DEMO_MOVIES`; ``data_endoscope.tif`` is the one-photon one.
    save_folder : str
        Folder inside ``example_movies`` of the data folder (`cnmf_engine.base.paths.caiman_datadir`).

    Returns
    -------
    str
        The file. CaImAn wants ``example_movies`` to exist; here it is made.

    Raises
    ------
    ParameterError
        If there is no such recording.
    MissingFileError
        If it isn't there yet and can't be downloaded.
    """
    target = Path(caiman_datadir()) / "example_movies" / save_folder / name
    if target.is_file():
        return str(target)
    if name not in DEMO_MOVIES:
        closest = nearest(name, DEMO_MOVIES)
        raise ParameterError(
            explain(
                f"the name of a demo recording ({', '.join(DEMO_MOVIES)})",
                repr(name),
                f"use {closest!r}" if closest else f"or copy your file to {target}",
            )
        )
    # Imported here: the download is rare.
    import pooch
    from requests.exceptions import RequestException

    try:
        return pooch.retrieve(_SERVER + name, known_hash=None, fname=target.name, path=target.parent)
    except (OSError, RequestException) as error:
        raise MissingFileError(
            explain(
                f"to download {_SERVER + name}",
                f"that it failed: {error}",
                f"check the connection, or download it in a browser and put it at {target}",
            )
        ) from error
