"""What came out of a run: stored for a closer look, and scored where the truth is known."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

__all__ = ["outcome", "store"]


def store(target: Path, estimates, pictures, correct) -> None:
    """
    Store what a closer look needs.

    Parameters
    ----------
    target : Path
        The .npz file.
    estimates : Estimates
        An evaluated fit.
    pictures : (ndarray, ndarray)
        Correlation and peak-to-noise image, (d1, d2).
    correct : MotionCorrect
        With `shifts_rig` (T, 2).
    """
    import numpy as np
    import scipy.sparse as sp

    cn, pnr = pictures
    A = sp.csc_array(estimates.A)
    np.savez_compressed(
        target,
        A=A.toarray().astype(np.float32),
        C=np.asarray(estimates.C, np.float32),
        S=np.asarray(estimates.S, np.float32),
        YrA=np.asarray(estimates.YrA, np.float32),
        accepted=np.asarray(estimates.idx_components, int),
        SNR=estimates.SNR_comp,
        r_values=estimates.r_values,
        cn=cn,
        pnr=pnr,
        shifts=np.asarray(correct.shifts_rig, np.float32),
    )


def outcome(movie: Path, correct, estimates, pictures, parameters: dict) -> dict:
    """
    Count components, and score them against the truth if it lies beside the movie.

    Parameters
    ----------
    movie : Path
        The recording.
    correct, estimates, pictures
        As for `store`.
    parameters : dict
        With the thresholds `min_corr` and `min_pnr`.

    Returns
    -------
    dict
        `found` and `accepted`; with a truth also `motion_px` (what there was), `shift_error_px` (what is
        left), `all`, `after_evaluation`, `losses`, `duplicates` (pairs among the accepted), and `dynamics`
        where the truth has the indicator's time constants.
    """
    import numpy as np

    from benchmarks.dynamics import duplicates, dynamics
    from benchmarks.losses import losses
    from workshop_utils.measures import scoring

    kept = estimates.idx_components
    counts = {"found": len(estimates.C), "accepted": len(kept)}
    truth_file = movie.with_name(f"{movie.stem}_truth.npz")
    if not truth_file.exists():
        return counts
    truth = scoring.load_truth(truth_file)
    everything = scoring.score(estimates.A, estimates.C, truth)
    accepted = scoring.score(estimates.A[:, kept], estimates.C[kept], truth)
    thresholds = parameters["min_corr"], parameters["min_pnr"]
    with np.load(truth_file) as stored:
        kinetics = [float(stored[name]) for name in ("rise", "decay") if name in stored]
    return counts | {
        "motion_px": round(float(scoring.shift_error(np.zeros_like(truth.shifts), truth.shifts)), 4),
        "shift_error_px": round(float(scoring.shift_error(correct.shifts_rig, truth.shifts)), 4),
        "all": asdict(everything),
        "after_evaluation": asdict(accepted),
        "losses": losses(estimates, pictures, truth, truth_file, *thresholds),
        "duplicates": duplicates(estimates.A[:, kept], np.asarray(estimates.C)[kept]),
        "dynamics": dynamics(estimates, truth, *kinetics) if len(kinetics) == 2 else {},
    }
