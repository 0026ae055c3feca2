"""The truth of a simulated recording: its arrays, and the file they come in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cnmf_engine.base.errors import InputError, MissingFileError, explain
from cnmf_engine.movies.arrays import read_npz

__all__ = ["Truth", "load_truth"]


@dataclass(frozen=True)
class Truth:
    """
    What a simulated recording holds.

    Attributes
    ----------
    A : ndarray of shape (K, d1, d2), float32
        Footprints of the cells, rows then columns, in the frame of the scene without motion.
    C, S : ndarray of shape (K, T), float32
        Calcium traces and spikes.
    shifts : ndarray of shape (T, 2), float32
        Motion applied to the scene, rows then columns, in pixels. A perfect estimate of the correction is its
        negative, up to a constant.
    detectable : ndarray of shape (K,), bool
        Cells that are bright and sharp enough to be found; the file that came with the movie says by what
        rule.
    fr : float
        Frames a second, Hz; NaN where the file doesn't say.
    pixel_size_um : float
        Width of a pixel in the tissue, µm; NaN where the file doesn't say.
    snr, blur_px : ndarray of shape (K,), float32, or None
        Signal to noise of each cell's largest transient, and sigma of its optical blur in pixels: the numbers
        behind `detectable`.
    vessels : ndarray of shape (d1, d2), float32, or None
        Share of the light that vessels let through, 0 to 1.
    stages : ndarray of shape (n, d1, d2), float32, or None
        One frame of the recording after each stage of the simulation, counts.
    stage_names : tuple of str
        The names of the stages.
    stage_frame : int or None
        Which frame they show.
    """

    A: np.ndarray
    C: np.ndarray
    S: np.ndarray
    shifts: np.ndarray
    detectable: np.ndarray
    fr: float = float("nan")
    pixel_size_um: float = float("nan")
    snr: np.ndarray | None = None
    blur_px: np.ndarray | None = None
    vessels: np.ndarray | None = None
    stages: np.ndarray | None = None
    stage_names: tuple[str, ...] = ()
    stage_frame: int | None = None

    @property
    def centers(self) -> np.ndarray:
        """Centres of mass of the footprints, (K, 2), row and column in pixels."""
        rows, cols = np.indices(self.A.shape[1:])
        mass = np.maximum(self.A.sum(axis=(1, 2)), np.finfo(np.float32).tiny)
        return (
            np.stack([(self.A * rows).sum(axis=(1, 2)), (self.A * cols).sum(axis=(1, 2))], axis=1)
            / mass[:, None]
        )

    def select(self, keep: np.ndarray) -> Truth:
        """
        Keep some of the cells.

        Parameters
        ----------
        keep : ndarray of shape (K,) bool or (n,) int
            The cells to keep.

        Returns
        -------
        Truth
            The same recording with those cells.
        """
        names = ("A", "C", "S", "detectable", "snr", "blur_px")
        cells = {name: getattr(self, name) for name in names}
        return replace(self, **{name: None if of is None else of[keep] for name, of in cells.items()})


def load_truth(path: str | Path) -> Truth:
    """
    Read the truth of a simulated recording.

    Parameters
    ----------
    path : str or Path
        An .npz file with `A` (K, d1, d2) and `C` (K, T). `A` of an integer type is divided by 255 and
        multiplied by `A_scale` (K,) where the file has it. `S`, `shifts`, `detectable`, `fr` and
        `pixel_size_um` are optional: no spikes, no motion, all cells detectable, NaN. The others become None.

    Returns
    -------
    Truth
        The arrays in the form that scoring wants.

    Raises
    ------
    MissingFileError
        If there is no such file.
    InputError
        If `A` or `C` is missing, or their sizes disagree.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(
            explain("a truth file (.npz)", f"nothing at {path}", "give the path of the file beside the movie")
        )
    data = read_npz(path)
    if absent := {"A", "C"} - set(data):
        raise InputError(
            explain(f"arrays A and C in {path}", f"no {' and no '.join(sorted(absent))}", "use a truth file")
        )
    C = data["C"].astype(np.float32)
    A = _unpack_footprints(data["A"], data.get("A_scale"))
    if A.ndim != 3 or C.ndim != 2 or len(A) != len(C):
        raise InputError(
            explain(
                f"A (K, d1, d2) and C (K, T) with the same K in {path}",
                f"A {A.shape} and C {C.shape}",
                "write the file anew",
            )
        )
    return Truth(
        A=A,
        C=C,
        S=data.get("S", np.zeros_like(C)).astype(np.float32),
        shifts=data.get("shifts", np.zeros((C.shape[1], 2))).astype(np.float32),
        detectable=data.get("detectable", np.ones(len(A))).astype(bool),
        fr=float(data.get("fr", np.nan)),
        pixel_size_um=float(data.get("pixel_size_um", np.nan)),
        **{name: _as_float(data.get(name)) for name in ("snr", "blur_px", "vessels", "stages")},
        stage_names=tuple(str(name) for name in data.get("stage_names", ())),
        stage_frame=int(data["stage_frame"]) if "stage_frame" in data else None,
    )


def _as_float(array: np.ndarray | None) -> np.ndarray | None:
    return None if array is None else array.astype(np.float32)


def _unpack_footprints(A: np.ndarray, scale: np.ndarray | None) -> np.ndarray:
    """Turn stored footprints into float32, undoing the packing into integers."""
    unpacked = A.astype(np.float32)
    if np.issubdtype(A.dtype, np.integer):
        unpacked /= 255
    if scale is not None:
        unpacked *= np.asarray(scale, dtype=np.float32)[:, None, None]
    return unpacked
