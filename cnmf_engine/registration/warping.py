"""Move frames by their shifts, and mend what comes from outside the image."""

from __future__ import annotations

import numpy as np

from cnmf_engine.errors import InputError, ParameterError, explain

__all__ = ["BORDER_MODES", "apply_shifts", "check_border", "fill_missing", "moved", "set_borders"]

BORDER_MODES = (True, "min", "copy", False)


def check_border(border_nan: bool | str) -> None:
    """
    Check a border mode.

    Parameters
    ----------
    border_nan : bool or str
        See `apply_shifts`.

    Raises
    ------
    ParameterError
        If it isn't one of True, 'min', 'copy', False.
    """
    if not isinstance(border_nan, bool | str) or border_nan not in BORDER_MODES:
        raise ParameterError(
            explain(
                "border_nan to be True, 'min', 'copy' or False",
                repr(border_nan),
                "use 'copy' for one-photon movies: it leaves no NaN and no dark edge",
            )
        )


def moved(frames: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """
    Translate frames, with a reflected border.

    Parameters
    ----------
    frames : ndarray of shape (n, d1, d2)
        Frames without NaN.
    shifts : ndarray of shape (n, 2)
        Translation to apply to each, rows then columns, px.

    Returns
    -------
    ndarray of shape (n, d1, d2), float32
        Bicubic interpolation, kept within each frame's own range.
    """
    import cv2

    out = np.empty(frames.shape, dtype=np.float32)
    for t, (down, right) in enumerate(np.asarray(shifts, dtype=float)):
        image = np.ascontiguousarray(frames[t], dtype=np.float32)
        if down == 0 and right == 0:
            out[t] = image
            continue
        matrix = np.float32([[1, 0, right], [0, 1, down]])
        warped = cv2.warpAffine(
            image, matrix, image.shape[::-1], flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
        )
        np.clip(warped, image.min(), image.max(), out=out[t])
    return out


def apply_shifts(frames: np.ndarray, shifts: np.ndarray, border_nan: bool | str = "copy") -> np.ndarray:
    """
    Translate frames and treat the strips that come from outside the image.

    Parameters
    ----------
    frames : ndarray of shape (n, d1, d2)
        Frames in their own units, any numeric dtype.
    shifts : array_like of shape (n, 2)
        Translation to apply to each, rows then columns, px.
    border_nan : {True, 'min', 'copy', False}
        What the strips become: NaN, the frame's minimum, a copy of the nearest valid row or column, or the
        reflected image as it is (False).

    Returns
    -------
    ndarray of shape (n, d1, d2), float32
        Moved frames, in the units of `frames`.

    Raises
    ------
    InputError
        If there isn't one shift a frame.
    ParameterError
        If the border mode is unknown.
    """
    check_border(border_nan)
    shifts = np.asarray(shifts, dtype=float)
    if shifts.shape != (len(frames), 2):
        raise InputError(
            explain(
                f"one (row, column) shift a frame, shape ({len(frames)}, 2)",
                f"shape {shifts.shape}",
                "pass the shifts of this movie, for instance mc.shifts_rig",
            )
        )
    frames, _ = fill_missing(np.asarray(frames))
    out = moved(frames, shifts)
    set_borders(out, shifts, border_nan)
    return out


def set_borders(frames: np.ndarray, shifts: np.ndarray, border_nan: bool | str) -> None:
    """
    Treat the strips of moved frames that come from outside the image, in place.

    Parameters
    ----------
    frames : ndarray of shape (n, d1, d2), float32
        Moved frames.
    shifts : ndarray of shape (n, 2)
        The translations, px.
    border_nan : {True, 'min', 'copy', False}
        See `apply_shifts`.
    """
    if border_nan is False:
        return
    for frame, (down, right) in zip(frames, shifts):
        fill = np.nan if border_nan is True else frame.min()
        # A view with the axis in front, so that rows and columns are treated alike.
        for image, shift in ((frame, down), (frame.T, right)):
            size = len(image)
            first = min(int(np.ceil(max(shift, 0.0))), size - 1)
            last = max(size + int(np.floor(min(shift, 0.0))), 1)
            image[:first] = image[first].copy() if border_nan == "copy" else fill
            image[last:] = image[last - 1].copy() if border_nan == "copy" else fill


def fill_missing(frames: np.ndarray, numbers: np.ndarray | None = None) -> tuple[np.ndarray, int]:
    """
    Replace NaN and infinite pixels by the nearest finite pixel of their frame.

    Parameters
    ----------
    frames : ndarray of shape (n, d1, d2)
        Frames.
    numbers : ndarray of shape (n,), optional
        Which frames of the movie these are, for messages; counted from 0 if not given.

    Returns
    -------
    frames : ndarray of shape (n, d1, d2)
        The same array if nothing is missing, else a filled copy.
    n_filled : int
        How many frames had missing pixels.

    Raises
    ------
    InputError
        If a frame has no finite pixel at all.
    """
    if frames.dtype.kind != "f":
        return frames, 0
    missing = ~np.isfinite(frames)
    broken = np.flatnonzero(missing.any(axis=(1, 2)))
    if broken.size == 0:
        return frames, 0
    empty = np.flatnonzero(missing.all(axis=(1, 2)))
    if empty.size:
        which = empty if numbers is None else np.asarray(numbers)[empty]
        raise InputError(
            explain(
                "frames with an image in them",
                f"only NaN in frame(s) {', '.join(map(str, which[:10]))}",
                "leave such frames out: movie[np.isfinite(movie).any(axis=(1, 2))]",
            )
        )
    from scipy import ndimage

    frames = frames.copy()
    for t in broken:
        nearest = ndimage.distance_transform_edt(missing[t], return_distances=False, return_indices=True)
        frames[t] = frames[t][tuple(nearest)]
    return frames, int(broken.size)
