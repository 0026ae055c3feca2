"""A short video that stands in a saved page where a player would need a kernel."""

from __future__ import annotations

import base64
import tempfile
from pathlib import Path

from workshop_utils.widgets.players.film import Film

__all__ = ["clip_bundle", "clip_frames"]

#: Of a clip at most: seconds of the movie, and pixels in all its frames, which keeps it near 1 MB.
_LONGEST, _MOST_PIXELS = 30.0, 20_000_000
_QUALITY = 5


def clip_frames(n_frames: int, fr: float, pixels: int) -> int:
    """
    Choose how many frames, from the first, make a clip that a page can carry.

    Parameters
    ----------
    n_frames : int
        Frames of the movie.
    fr : float
        Frame rate, Hz.
    pixels : int
        Of one frame.

    Returns
    -------
    int
        At least one.
    """
    return max(1, min(n_frames, round(_LONGEST * fr), _MOST_PIXELS // max(pixels, 1)))


def clip_bundle(player: Film) -> tuple[dict, dict]:
    """
    Write the beginning of a movie as an MP4 for the notebook's file.

    Parameters
    ----------
    player : Film
        What to write, with its contrast.

    Returns
    -------
    (dict, dict)
        Data and metadata for ``video/mp4``: the size on the screen, what it shows, and how much of the movie
        it is.
    """
    columns, rows = (round(side / player.magnification) for side in player.size)
    n_frames = clip_frames(player.n_frames, player.fr, rows * columns)
    with tempfile.TemporaryDirectory() as folder:
        # The page enlarges it: the movie's own pixels hold all there is to see, in a fraction of the bytes.
        path = player.save(
            Path(folder) / "clip.mp4", (0, n_frames), text=False, quality=_QUALITY, scale=1, progress=None
        )
        video = base64.b64encode(path.read_bytes()).decode("ascii")
    names = ", ".join(player.titles)
    length = f"the first {n_frames / player.fr:.0f} s of {player.n_frames / player.fr:.0f} s"
    if n_frames == player.n_frames:
        length = f"all of it, {n_frames / player.fr:.0f} s"
    width, height = player.size
    words = {
        "width": width,
        "height": height,
        "alt": f"Video of {names}, {length}.",
        "caption": f"{_side_by_side(player.titles)}: {length}. In the opened notebook the player has every "
        "frame, single steps and contrast.",
    }
    return {"video/mp4": video}, {"video/mp4": words}


def _side_by_side(titles: list[str]) -> str:
    first = titles[0][:1].upper() + titles[0][1:]
    return first if len(titles) == 1 else f"{', '.join([first, *titles[1:]])} (from left to right)"
