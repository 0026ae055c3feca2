"""Writing movies to files."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from cnmf_engine.base.errors import InputError, explain
from cnmf_engine.base.files import check_room
from cnmf_engine.movies import Target, iter_frames, replacing, write_frames

__all__ = ["save_movie", "to_8_bit", "write_video"]

logger = logging.getLogger("caiman")

# How large these become can't be said before.
_COMPRESSED = (".avi", ".mkv")


def save_movie(
    frames: Any,
    file_name: str | os.PathLike,
    to32: bool = True,
    order: str = "F",
    imagej: bool = False,
    bigtiff: bool = True,
    compress: int = 0,
    q_max: float = 99.75,
    q_min: float = 1,
    var_name_hdf5: str = "mov",
) -> str:
    """
    Write a movie to a file of the kind that its suffix says.

    Parameters
    ----------
    frames : movie of shape (T, d1, d2)
        The movie.
    file_name : str or path
        ``.tif``, ``.tiff``, ``.npy``, ``.npz``, ``.hdf5``, ``.h5``, ``.avi``, ``.mkv`` or ``.mmap``. CaImAn
        puts a name without a folder into its temporary folder; here it goes into the working directory.
    to32 : bool
        Write float32 whatever the type in memory is. Videos are always 8-bit.
    order : {'F', 'C'}
        Order of a ``.mmap`` file.
    imagej : bool
        Write a TIFF that ImageJ takes for a hyperstack in time (type float32, uint16 or uint8).
    bigtiff : bool
        Allow TIFF files above 4 GB.
    compress : int
        Zlib level of a TIFF, 0 for none.
    q_max, q_min : float
        Percentiles of the movie that become white and black in a video.
    var_name_hdf5 : str
        Name of the dataset in an HDF5 file.

    Returns
    -------
    str
        The file; for ``.mmap`` its name tells the shape.

    Raises
    ------
    InputError
        If the suffix is none of these, or the array isn't a movie.
    """
    path = Path(file_name).expanduser()
    if frames.ndim != 3:
        raise InputError(
            explain("frames of shape (T, d1, d2)", f"shape {frames.shape}", "add a frame axis: image[None]")
        )
    writers: dict[str, Callable[[Path], None]] = {
        ".tif": lambda part: _write_tiff(frames, part, to32, imagej, bigtiff, compress),
        ".npy": lambda part: _write_npy(frames, part, to32),
        ".npz": lambda part: _write_npz(frames, part, to32),
        ".hdf5": lambda part: _write_hdf5(frames, part, to32, var_name_hdf5),
        ".avi": lambda part: write_video(to_8_bit(frames, q_min, q_max), part, frames.fr),
    }
    same = {".tiff": ".tif", ".h5": ".hdf5", ".mkv": ".avi"}
    suffix = path.suffix.lower()
    if suffix == ".mmap":
        blocks = (block for _, block in iter_frames(_plain(frames)))
        # With a folder the writer stays there; without one it would choose the temporary folder.
        return write_frames(
            blocks, Target(path.with_suffix("").absolute(), order), frames.shape[1:], len(frames)
        )
    write = writers.get(same.get(suffix, suffix))
    if write is None:
        raise InputError(
            explain(
                f"a file name that ends in one of {', '.join([*writers, *same, '.mmap'])}",
                f"{str(path)!r}",
                "use .tif to open the movie elsewhere, .hdf5 to keep its frame rate",
            )
        )
    with replacing(path) as partial:
        if suffix not in _COMPRESSED and not compress:
            itemsize = 4 if to32 else np.dtype(frames.dtype).itemsize
            check_room(partial, itemsize * math.prod(frames.shape))
        write(partial)
    return str(path)


def to_8_bit(frames: np.ndarray, q_min: float = 1, q_max: float = 99.75) -> np.ndarray:
    """
    Stretch the contrast of a movie to 8 bits.

    Parameters
    ----------
    frames : numpy.ndarray of shape (T, d1, d2)
        The movie; NaN becomes black.
    q_min, q_max : float
        Percentiles, of up to 100 frames spread over the movie, that become black and white.

    Returns
    -------
    numpy.ndarray of shape (T, d1, d2)
        uint8.
    """
    sample = np.asarray(frames[:: max(len(frames) // 100, 1)])
    finite = sample[np.isfinite(sample)]
    low, high = np.percentile(finite, [q_min, q_max]) if finite.size else (0.0, 1.0)
    scale = 255 / (high - low) if high > low else 0.0
    stretched = np.empty(frames.shape, np.uint8)
    for part, block in iter_frames(_plain(frames)):
        stretched[part] = np.clip(np.nan_to_num((block - low) * scale, nan=0), 0, 255)
    return stretched


def write_video(frames: np.ndarray, path: str | os.PathLike, fr: float, codec: str = "MJPG") -> None:
    """
    Write a greyscale video with OpenCV.

    Parameters
    ----------
    frames : numpy.ndarray of shape (T, d1, d2)
        uint8.
    path : str or path
        An ``.avi`` or ``.mkv`` file.
    fr : float
        Frames a second.
    codec : str
        Four letters. Where OpenCV lacks it, ``MJPG`` is used.

    Raises
    ------
    InputError
        If OpenCV can't write videos, or wrote another number of frames: a full disk isn't told by it.
    """
    import cv2

    size = (frames.shape[2], frames.shape[1])
    for name in dict.fromkeys((codec, "MJPG")):
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*name), float(fr), size, True)
        if writer.isOpened():
            break
        logger.warning("This OpenCV can't write the codec %s", name)
    else:
        raise InputError(
            explain(
                "an OpenCV that writes video",
                f"one that can't write {path}",
                "save the movie as .tif instead",
            )
        )
    for frame in frames:
        writer.write(cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_GRAY2BGR))
    writer.release()
    _check_frames(path, len(frames))


def _check_frames(path: str | os.PathLike, n_expected: int) -> None:
    """Count the frames of a video: OpenCV goes on in silence when the disk takes no more."""
    import cv2

    capture = cv2.VideoCapture(str(path))
    n_frames = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture.isOpened() else 0
    readable = n_frames > 0 and capture.set(cv2.CAP_PROP_POS_FRAMES, n_frames - 1) and capture.grab()
    capture.release()
    if n_expected and not (n_frames == n_expected and readable):
        fix = "see whether the disk is full, or save the movie as .tif"
        raise InputError(explain(f"a video of {n_expected} frames", f"{n_frames} written", fix))


def _plain(frames: Any) -> Any:
    """View of a movie without its attributes; what isn't in memory stays where it is."""
    return np.asarray(frames) if isinstance(frames, np.ndarray) else frames


def _write_npy(frames: Any, path: Path, to32: bool) -> None:
    # Written, not mapped: a full disk would end Python while values are put into a map.
    dtype = np.dtype(np.float32 if to32 else frames.dtype)
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": frames.shape}
    with open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for _, block in iter_frames(_plain(frames), dtype=dtype):
            file.write(np.ascontiguousarray(block, dtype=dtype).data)


def _typed(frames: np.ndarray, to32: bool) -> np.ndarray:
    return np.asarray(frames).astype(np.float32, copy=False) if to32 else np.asarray(frames)


def _write_tiff(
    frames: np.ndarray, path: Path, to32: bool, imagej: bool, bigtiff: bool, compress: int
) -> None:
    import tifffile

    # ImageJ's own format has no BigTIFF variant: tifffile writes its single-page form above 4 GB.
    with tifffile.TiffWriter(path, bigtiff=bigtiff and not imagej, imagej=imagej) as tif:
        options: dict[str, Any] = (
            {"compression": "zlib", "compressionargs": {"level": compress}} if compress else {}
        )
        options |= {"photometric": "minisblack", "metadata": {"axes": "TYX"}}
        dtype = np.float32 if to32 else frames.dtype
        blocks = (frame for _, block in iter_frames(_plain(frames), dtype=dtype) for frame in block)
        tif.write(blocks, shape=frames.shape, dtype=dtype, **options)


def _write_npz(frames: Any, path: Path, to32: bool) -> None:
    np.savez(
        path,
        input_arr=_typed(frames, to32),
        fr=frames.fr,
        start_time=frames.start_time,
        file_name=np.array([str(name) for name in frames.file_name], dtype=str),
        meta_data=np.array([str(entry) for entry in frames.meta_data], dtype=str),
    )


def _write_hdf5(frames: Any, path: Path, to32: bool, name: str) -> None:
    from cnmf_engine.base.hdf5 import written_hdf5

    dtype = np.float32 if to32 else frames.dtype
    with written_hdf5(path) as file:
        dataset = file.create_dataset(name, shape=frames.shape, dtype=dtype)
        for part, block in iter_frames(_plain(frames), dtype=dtype):
            dataset[part] = block
        dataset.attrs["fr"] = frames.fr
        dataset.attrs["start_time"] = frames.start_time
        dataset.attrs["file_name"] = [str(source) for source in frames.file_name] or [""]
