"""Grey pictures, one after the other, into a video file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import closing
from functools import lru_cache
from itertools import chain
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np

from cnmf_engine.base.errors import InputError, explain
from cnmf_engine.base.parallel import progress_bar
from workshop_utils.files import replacing

__all__ = ["FORMATS", "caption", "write_video"]

#: What each kind of file is written with. Constant quality in both; VP9 needs a bit rate of 0 for it, and is
#: slow unless told otherwise. The index comes first in MP4, so that a browser starts before all is loaded.
FORMATS = {
    ".mp4": ("libx264", lambda quality: ["-crf", f"{36 - 2 * quality:g}", "-movflags", "+faststart"]),
    ".webm": (
        "libvpx-vp9",
        lambda quality: [
            *("-crf", f"{50 - 3 * quality:g}", "-b:v", "0"),
            *("-deadline", "realtime", "-cpu-used", "6", "-row-mt", "1"),
        ],
    ),
}
#: Of the text in a video: pixels of a line, of the letters, and beside them.
_LINE, _LETTERS, _MARGIN = 24, 15, 4


def caption(width: int, texts: Sequence[str], columns: Sequence[int]) -> np.ndarray:
    """
    Write texts into a line, each into its column.

    Parameters
    ----------
    width : int
        Of the line, pixels.
    texts : sequence of str
        What to write; what is too long for its column is shortened.
    columns : sequence of int
        Where each text begins, pixels.

    Returns
    -------
    ndarray of shape (24, width), uint8
        White on black.
    """
    from PIL import Image, ImageDraw

    font = _font()
    line = Image.new("L", (width, _LINE))
    draw = ImageDraw.Draw(line)
    for text, start, end in zip(texts, columns, [*columns[1:], width]):
        room = end - start - 2 * _MARGIN
        shown = text
        while shown and font.getlength(shown) > room:
            shown = shown.rstrip("…")[:-1] + "…" if len(shown.rstrip("…")) > 1 else ""
        draw.text((start + _MARGIN, _LINE / 2), shown, fill=255, font=font, anchor="lm")
    return np.asarray(line)


@lru_cache(maxsize=1)
def _font() -> Any:
    """Load the letters that come with matplotlib: they know µ, Δ and × on every system."""
    from matplotlib.font_manager import findfont
    from PIL import ImageFont

    return ImageFont.truetype(findfont("DejaVu Sans"), _LETTERS)


def write_video(
    pictures: Iterable[np.ndarray],
    path: str | os.PathLike,
    fr: float,
    quality: float = 7,
    total: int = 0,
    progress: str | None = None,
) -> Path:
    """
    Write grey pictures to a video, one at a time.

    MP4 (H.264) plays in browsers, PowerPoint, Keynote and QuickTime; WebM (VP9) in browsers. Noise is what
    takes room: a lower quality makes small files of it.

    Parameters
    ----------
    pictures : iterable of ndarray of shape (rows, columns), uint8
        All of one size; odd ones get a black row or column, because the formats need even sizes.
    path : str or path
        File to write, which ends in ``.mp4`` or ``.webm``. Its folder is made when missing.
    fr : float
        Frames a second.
    quality : float
        1 (small file) to 10 (as good as the movie).
    total : int
        How many pictures there are, for the progress bar.
    progress : str, optional
        Text of a progress bar; without one there is none.

    Returns
    -------
    pathlib.Path
        The file. It appears when it is complete.

    Raises
    ------
    InputError
        If the name, rate or quality can't be used, there is no picture, the folder can't be written to, or
        ffmpeg is missing or stopped.
    """
    path = Path(path).expanduser()
    _check(path, fr, quality)
    pictures = iter(pictures)
    first = next(pictures, None)
    if first is None:
        raise InputError(explain("at least one picture", "none", "choose frames that the movie has"))
    _check_folder(path.parent)
    with replacing(path) as temporary:
        n_written = _stream(
            progress_bar(chain([first], pictures), total, progress), first.shape, temporary, fr, quality
        )
        _check_written(temporary, n_written)
    return path


def _check(path: Path, fr: float, quality: float) -> None:
    """Check what can be wrong before anything is drawn."""
    if path.suffix.lower() not in FORMATS:
        fix = f"use {str(path.with_suffix('.mp4'))!r}, which plays nearly everywhere"
        raise InputError(explain("a file name that ends in .mp4 or .webm", f"{str(path)!r}", fix))
    if not np.isfinite(fr) or fr <= 0:
        raise InputError(explain("a frame rate above 0 Hz", f"fr={fr}", "pass the rate of the recording"))
    if not 1 <= quality <= 10:
        raise InputError(explain("a quality from 1 to 10", f"quality={quality}", "use 7"))
    fix = "run: pip install imageio-ffmpeg (it brings ffmpeg), then restart the kernel"
    try:
        from imageio_ffmpeg import get_ffmpeg_exe

        get_ffmpeg_exe()
    except (ImportError, RuntimeError) as error:
        raise InputError(explain("ffmpeg, which writes videos", str(error), fix)) from error


def _check_folder(folder: Path) -> None:
    """Check that a file can be made in a folder, which is made when missing."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        fix = "choose another folder; in Colab, /content or your Drive"
        found = f"{folder}: {error.strerror or error}"
        raise InputError(explain("a folder that can be written to", found, fix)) from error


def _stream(
    pictures: Iterable[np.ndarray], shape: tuple[int, int], path: Path, fr: float, quality: float
) -> int:
    """Hand pictures to ffmpeg; give how many."""
    from imageio_ffmpeg import write_frames

    height, width = (n + n % 2 for n in shape)
    codec, options = FORMATS[path.suffix.lower()]
    writer = write_frames(
        str(path),
        (width, height),
        pix_fmt_in="gray",
        fps=float(fr),
        quality=None,
        codec=codec,
        macro_block_size=1,
        ffmpeg_log_level="error",
        output_params=options(quality),
    )
    n_written = 0
    with closing(writer):
        writer.send(None)  # starts ffmpeg
        for picture in pictures:
            padded = np.pad(picture, ((0, height - shape[0]), (0, width - shape[1])))
            try:
                writer.send(np.ascontiguousarray(padded))
            except OSError as error:
                raise _stopped(path, n_written) from error
            n_written += 1
    return n_written


def _check_written(path: Path, n_expected: int) -> None:
    """Count the frames in the file: ffmpeg may have stopped without a word (disk full, no such codec)."""
    from imageio_ffmpeg import count_frames_and_secs

    try:
        n_found, _ = count_frames_and_secs(str(path))
    except RuntimeError as error:
        raise _stopped(path, 0) from error
    if n_found != n_expected:
        raise _stopped(path, n_found)


def _stopped(path: Path, n_written: int) -> InputError:
    codec = FORMATS[path.suffix.lower()][0]
    other = next(suffix for suffix in FORMATS if suffix != path.suffix.lower())
    return InputError(
        explain(
            "ffmpeg to write the whole video",
            f"that it stopped after {n_written} frames",
            f"check that {path.parent} has free space and that your ffmpeg has the encoder {codec} "
            f"(pip install imageio-ffmpeg brings one that has); a name in {other} uses another encoder",
        )
    )
