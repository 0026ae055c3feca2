"""The thresholds of the decision, apart from what measures: parameters are read without waiting for SciPy."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Thresholds"]


@dataclass(frozen=True)
class Thresholds:
    """
    From which measures on a component is a cell; the names and defaults of the parameters' group 'quality'.

    Attributes
    ----------
    min_SNR, rval_thr : float
        An SNR above the first or a spatial correlation of at least the second is enough.
    SNR_lowest, rval_lowest : float
        An SNR or a correlation not above these rejects, whatever the other is.
    max_likeness, max_movement, max_surround, min_locality, min_roundness, min_snr_rest, min_width : float
        What speaks against a cell, see `cnmf_engine.stages.plausibility.implausible`.
    max_ecc : float
        An elongation of at least this rejects, where it was measured.
    """

    min_SNR: float = 2.5
    rval_thr: float = 0.8
    SNR_lowest: float = 0.5
    rval_lowest: float = -1
    max_likeness: float = 0.75
    max_movement: float = 0.7
    max_surround: float = 0.55
    min_locality: float = 0.2
    min_roundness: float = 0.6
    min_snr_rest: float = 0.5
    min_width: float = 0.5
    max_ecc: float = 3
