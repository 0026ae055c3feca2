"""Move frames by their shifts, and mend what comes from outside the image."""

from __future__ import annotations

import numpy as np

from cnmf_engine.base.errors import InputError, ParameterError, explain
from cnmf_engine.stages.registration.grid import PatchGrid

__all__ = [
    "BORDER_MODES",
    "apply_shifts",
    "check_border",
    "fill_missing",
    "moved",
    "set_borders",
    "set_outside",
    "translated",
    "warp",
    "warped",
]

BORDER_MODES = (True, "min", "copy", False)
# Weights of neighbouring pixels as polynomials of the fraction of a pixel, lowest power first: OpenCV's cubic
# kernel (Keys' with a = -0.75) and Keys' kernel of fourth order.
_FOUR = np.array([[0, -0.75, 1.5, -0.75], [1, 0, -2.25, 1.25], [0, 0.75, 1.5, -1.25], [0, 0, -0.75, 0.75]])
_SIX = (
    np.array(
        [[0, 1, -2, 1], [0, -8, 15, -7], [12, 0, -28, 16], [0, 8, 20, -16], [0, -1, -6, 7], [0, 0, 1, -1]]
    )
    / 12
)
_OPENCV_TYPES = (np.uint8, np.uint16, np.int16, np.float32)


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
        Bicubic interpolation, kept within each frame's own range. Each frame lies column after column in
        memory, as in a memory map of order F, so that writing it needs no copy.
    """
    import cv2

    n, d1, d2 = frames.shape
    out = np.empty((n, d2, d1), dtype=np.float32)
    for t, (down, right) in enumerate(np.asarray(shifts, dtype=float)):
        image = frames[t]
        if down == 0 and right == 0:
            out[t] = image.T
            continue
        side = cv2.transpose(_for_opencv(image))
        np.clip(translated(side, right, down), image.min(), image.max(), out=out[t])
    return out.transpose(0, 2, 1)


def translated(image: np.ndarray, down: float, right: float, exact: bool = False) -> np.ndarray:
    """
    Translate one image by cubic convolution, with a reflected border.

    A translation is the same for all pixels, so that a few weights an axis do it: faster than a general
    interpolation, and not rounded to a 32nd of a pixel.

    Parameters
    ----------
    image : ndarray of shape (d1, d2)
        uint8, uint16, int16 or float32, without NaN.
    down, right : float
        Translation, px.
    exact : bool
        Use the kernel of six pixels, exact to fourth order, instead of OpenCV's of four, which blurs noise
        less.

    Returns
    -------
    ndarray of shape (d1, d2), float32
        The moved image.

    References
    ----------
    Keys 1981, IEEE Trans. Acoust. Speech Signal Process. 29:1153 (cubic convolution; both kernels).
    """
    import cv2

    d1, d2 = image.shape
    taps = _six_taps if exact else _four_taps
    (row, by_row), (col, by_col) = (taps(-shift) for shift in (down, right))
    more = len(by_row) - 1
    top, bottom, left, far = max(-row, 0), max(row + more, 0), max(-col, 0), max(col + more, 0)
    wide = cv2.copyMakeBorder(image, top, bottom, left, far, cv2.BORDER_REFLECT)
    part = wide[row + top : row + top + d1 + more, col + left : col + left + d2 + more]
    found = cv2.sepFilter2D(part, cv2.CV_32F, by_col, by_row, anchor=(0, 0), borderType=cv2.BORDER_REPLICATE)
    return found[:d1, :d2]


def _four_taps(offset: float) -> tuple[int, np.ndarray]:
    """First of the four pixels that make the value `offset` px away, and their weights."""
    whole = int(np.floor(offset))
    return whole - 1, _weights(_FOUR, offset - whole)


def _six_taps(offset: float) -> tuple[int, np.ndarray]:
    whole = int(np.floor(offset))
    return whole - 2, _weights(_SIX, offset - whole)


def _weights(polynomials: np.ndarray, part: float) -> np.ndarray:
    return (polynomials @ (1.0, part, part**2, part**3)).astype(np.float32)


def _for_opencv(image: np.ndarray) -> np.ndarray:
    return image if image.dtype in _OPENCV_TYPES else image.astype(np.float32)


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
        fill = frame.min() if border_nan == "min" else np.nan
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
    with np.errstate(invalid="ignore", over="ignore"):
        if np.isfinite(frames.sum(dtype=np.float64)):
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


def warp(
    frames: np.ndarray,
    row_shifts: np.ndarray,
    col_shifts: np.ndarray,
    grid: PatchGrid,
    border: bool | str = "copy",
) -> np.ndarray:
    """
    Move frames by one shift a patch.

    Parameters
    ----------
    frames : ndarray of shape (n, d1, d2)
        Frames without NaN.
    row_shifts, col_shifts : ndarray of shape (n, n_patches)
        Translation to apply at each patch's centre, px.
    grid : PatchGrid
        The patches.
    border : {True, 'min', 'copy', False}
        See `register`.

    Returns
    -------
    ndarray of shape (n, d1, d2), float32
        Bicubic interpolation, kept within each frame's own range.
    """
    out, outside = warped(frames, row_shifts, col_shifts, grid)
    set_outside(out, outside, border)
    return out


def warped(
    frames: np.ndarray, row_shifts: np.ndarray, col_shifts: np.ndarray, grid: PatchGrid
) -> tuple[np.ndarray, np.ndarray]:
    """Frames moved by one shift a patch, and where they come from outside the image (both of their shape)."""
    import cv2

    out = np.empty(frames.shape, dtype=np.float32)
    outside = np.empty(frames.shape, dtype=bool)
    rows, cols = np.indices(grid.dims, dtype=np.float32)
    for t, frame in enumerate(frames):
        image = np.ascontiguousarray(frame, dtype=np.float32)
        from_row = rows - grid.field(row_shifts[t])
        from_col = cols - grid.field(col_shifts[t])
        found = cv2.remap(image, from_col, from_row, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        np.clip(found, image.min(), image.max(), out=out[t])
        outside[t] = (from_row < 0) | (from_row > grid.dims[0] - 1)
        outside[t] |= (from_col < 0) | (from_col > grid.dims[1] - 1)
    return out, outside


def set_outside(frames: np.ndarray, outside: np.ndarray, border: bool | str) -> None:
    """Set what comes from outside to NaN (True), the frame's minimum ('min') or 0 (False), in place."""
    if border == "copy":
        return
    for frame, where in zip(frames, outside):
        frame[where] = np.nan if border is True else frame.min() if border == "min" else 0.0
