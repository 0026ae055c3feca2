"""Fit the same piece of a recording with several sets of parameters, and put the results side by side."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cnmf_engine.base.errors import InputError, explain
from workshop_utils.engine.fitting import fit_with, grouped
from workshop_utils.measures.excerpt import as_movie

if TYPE_CHECKING:
    from workshop_utils.measures.scoring import Score
    from workshop_utils.movies.truth import Truth

__all__ = ["Comparison", "SetResult", "compare"]

_COLUMNS = ("found", "accepted", "SNR", "r", "left", "seconds")
_SCORES = ("precision", "recall", "F1")
#: Frames in which what is left is looked for; more doesn't change the picture.
_MOST_FRAMES = 400


@dataclass(frozen=True)
class SetResult:
    """
    What one set of parameters led to.

    Attributes
    ----------
    changes : dict of str to object
        The set: CNMFParams names and values.
    estimates : object
        The fit's estimates, evaluated: `A`, `C`, `idx_components`, `SNR_comp`, `r_values`.
    components, accepted : int
        How many were found, and how many of them passed the evaluation.
    snr_median, r_median : float
        Medians over the accepted ones of the traces' signal-to-noise ratio and of the footprints' r; NaN
        where nothing was accepted.
    left : float
        Structure that the fit left in the residual: mean local correlation of the filtered residual, over
        that of the filtered movie. 0: nothing was left; 1: as much as before.
    seconds : float
        How long fit and evaluation took, s.
    score : Score or None
        Against the answer key, accepted components only; None without one.
    """

    changes: dict[str, Any]
    estimates: Any
    components: int
    accepted: int
    snr_median: float
    r_median: float
    left: float
    seconds: float
    score: Score | None = None

    def cells(self) -> list[str]:
        """Write the numbers for the table, a dash for what isn't known."""
        values = [f"{self.components}", f"{self.accepted}", _number(self.snr_median, 1)]
        values += [_number(self.r_median, 2), _number(self.left, 2), f"{self.seconds:.1f}"]
        if self.score is not None:
            s = self.score
            values += [_number(value, 2) for value in (s.precision, s.recall, s.f1)]
        return values


@dataclass(frozen=True)
class Comparison(Mapping):
    """
    Fits of the same movie, by label; `compare` makes it.

    A mapping: ``results["mine"]`` is a `SetResult`, and iterating gives the labels in the order in which they
    were fitted. Prints as a table.

    Attributes
    ----------
    results : dict of str to SetResult
        Label to result.
    truth : Truth or None
        The answer key of the movie that was fitted.
    """

    results: dict[str, SetResult] = field(default_factory=dict)
    truth: Truth | None = None

    def __getitem__(self, label: str) -> SetResult:
        return self.results[label]

    def __iter__(self) -> Iterator[str]:
        return iter(self.results)

    def __len__(self) -> int:
        return len(self.results)

    def table(self) -> str:
        """Write the results as a table, a line a set."""
        width = _widest(self.results)
        scored = self.truth is not None
        return "\n".join([_head(width, scored), *(_line(k, r, width) for k, r in self.results.items())])

    def __str__(self) -> str:
        """Give the table."""
        return self.table()

    __repr__ = __str__

    def judged(self, truth: Truth) -> Comparison:
        """
        Score the fits that are there against an answer key.

        Parameters
        ----------
        truth : Truth
            Answer key of the piece that was fitted.

        Returns
        -------
        Comparison
            The same fits, with precision, recall and F1 of the accepted components.
        """
        scored = {
            label: replace(result, score=_score(result.estimates, truth))
            for label, result in self.results.items()
        }
        return Comparison(scored, truth)

    @property
    def fits(self) -> dict[str, Any]:
        """Estimates by label, as `workshop_utils.figures.fits_pair` draws them side by side."""
        return {label: result.estimates for label, result in self.results.items()}


def compare(
    images: Any,
    sets: Mapping[str, Mapping[str, Any]],
    opts: Any,
    truth: Truth | None = None,
    dview: Any = None,
    n_processes: int = 1,
) -> Comparison:
    """
    Fit and evaluate a movie once for each set of parameters.

    Each fit starts from the same `opts`; a set only changes what it names. A line is printed as soon as a fit
    is done, so that a long comparison can be watched.

    Parameters
    ----------
    images : array of shape (T, d1, d2)
        The movie, motion corrected; take a piece of a long one (`excerpt`).
    sets : mapping of str to mapping
        Label to parameters of fit and evaluation by their names in CNMFParams, such as
        ``{"suggested": {"gSig": 4, "min_corr": 0.7}, "mine": {"gSig": 3}}``. A single number for `gSig` or
        `gSiz` stands for both axes, and `gSiz` follows `gSig` (``2 * gSig + 1``) unless it is named too.
    opts : CNMFParams
        What the sets have in common. It isn't changed.
    truth : Truth, optional
        Answer key of the same piece; adds precision, recall and F1 of the accepted components.
    dview, n_processes : object, int
        Workers from `cm.cluster.setup_cluster`.

    Returns
    -------
    Comparison
        Mapping of label to `SetResult` (`changes`, `estimates`, `components`, `accepted`, `snr_median`,
        `r_median`, `left`, `seconds`, `score`), in the order of `sets`. Prints as a table;
        ``figures.fits_pair(comparison.fits, cn, truth)`` draws it. A set whose thresholds no pixel reaches
        has 0 components.

    Raises
    ------
    InputError
        If `images` isn't a movie, or there is no set.
    ParameterError
        If a set names a parameter that doesn't exist, or a width that isn't in whole pixels.
    """
    as_movie(images, 10)
    if not sets:
        raise InputError(explain("at least one set of parameters", "none", "pass {'suggested': {...}}"))
    # A misspelt name or an impossible value is said before the first long fit.
    inits = []
    for changes in sets.values():
        own = grouped(opts, changes)
        copy.deepcopy(opts).change_params(own)
        inits.append(own.get("init", {}))
    gSig = next((init["gSig"] for init in inits if "gSig" in init), opts.init["gSig"])[0]
    before, width, done = _structure(images, gSig), _widest(sets), {}
    print(_head(width, truth is not None))
    for label, changes in sets.items():
        started = time.perf_counter()
        estimates = fit_with(images, opts, dview, n_processes, evaluate=True, **changes)
        seconds = time.perf_counter() - started
        left = _structure(_residual(images, estimates), gSig) / before if before > 0 else float("nan")
        done[label] = _result(dict(changes), estimates, left, seconds, truth)
        print(_line(label, done[label], width))
    return Comparison(done, truth)


def _residual(images: Any, estimates: Any) -> np.ndarray:
    """Take what the fit left of some frames."""
    from workshop_utils.measures.pieces import fit_pieces

    if not np.shape(estimates.A)[1]:
        return np.asarray(images[:_MOST_FRAMES])  # nothing was explained
    residual = fit_pieces(images, estimates)["residual"]
    return np.stack([residual[t] for t in range(min(len(images), _MOST_FRAMES))])


def _structure(movie: Any, gSig: float) -> float:
    """Mean local correlation of a filtered movie: how much in it has the size of a cell and is no noise."""
    from workshop_utils.engine import cm

    frames = np.asarray(movie[:_MOST_FRAMES], dtype=np.float32)
    cn, _ = cm.summary_images.correlation_pnr(frames, gSig=gSig, swap_dim=False)
    return float(np.mean(np.nan_to_num(cn)))


def _result(
    changes: dict[str, Any], estimates: Any, left: float, seconds: float, truth: Truth | None
) -> SetResult:
    """Count and take medians over the accepted components."""
    kept = np.asarray(estimates.idx_components, dtype=int)
    n = int(np.shape(estimates.A)[1])
    # A signal-to-noise ratio can be infinite, and then counts as the largest finite one that can be written.
    snr = np.nan_to_num(np.asarray(estimates.SNR_comp, dtype=float)[kept], posinf=1e3) if len(kept) else []
    r = np.asarray(estimates.r_values, dtype=float)[kept] if len(kept) else []
    scored = None if truth is None else _score(estimates, truth)
    medians = [float(np.median(values)) if len(values) else float("nan") for values in (snr, r)]
    return SetResult(changes, estimates, n, len(kept), *medians, left, seconds, scored)


def _score(estimates: Any, truth: Truth) -> Score:
    """Score the accepted components."""
    from workshop_utils.measures.scoring import score

    kept = np.asarray(estimates.idx_components, dtype=int)
    return score(estimates.A[:, kept], np.asarray(estimates.C)[kept], truth)


def _number(value: float, digits: int) -> str:
    """Write a number, or a dash where there is none."""
    return f"{value:.{digits}f}" if np.isfinite(value) else "-"


def _widest(labels: Any) -> int:
    """Room for the labels."""
    return max([len(str(label)) for label in labels] + [8])


def _head(width: int, scored: bool) -> str:
    """Write the table's head."""
    return " ".join([" " * width, *(f"{name:>9}" for name in _COLUMNS + (_SCORES if scored else ()))])


def _line(label: str, result: SetResult, width: int) -> str:
    """Write a line of the table."""
    return " ".join([f"{label:<{width}}", *(f"{value:>9}" for value in result.cells())])
