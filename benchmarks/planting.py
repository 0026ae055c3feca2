"""
Plant cells with a known answer into a recording, run the whole path on it, and see which come back.

    python -m benchmarks.planting RECORDING [--cells 40] [--batch 20] [--seed 1 ...] [-p NAME=VALUE ...]
                                  [--slow FACTOR] [--from RESULT.npz] [--keep FOLDER]
                                  [--json OUT] [--against OTHER.json] [--pictures FOLDER]

Footprints and raw traces are those of clear cells of the recording itself, moved elsewhere, turned, shifted
in time, scaled to a wanted SNR, and added to the raw frames before motion correction, where the tissue is in
each frame. So background, motion, noise and dynamics are real, and the answer is known.

**What it can't tell.** The sources are cells that the engine found and accepted in this recording; kinds that
it never finds can't be planted. Three things keep that from flattering: how clear a source was has no part in
what is asked of it (it is scaled down to the wanted SNR), places are drawn without looking at what the engine
would find there, and no planted cell is left out of the score. `--slow 2` stretches the traces in time, for
transients slower and rounder than those that were found. Two engines are compared on the same plants with
`--from`, the result of one of them (`--keep` stores it) from which sources, places and shifts are taken.

**SNR** is the peak of the planted calcium over the noise that its raw trace has: the noise of the recording
projected on the footprint at that place, less the median of its surroundings, and the scaled noise of the
planted trace, both as the spread below the baseline. So vignette, dim tissue and restless background count.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import scipy.sparse as sp
from scipy import ndimage

from benchmarks.report import machine
from benchmarks.run import PARAMETERS, measure_cold, overrides_from
from cnmf_engine.base.errors import InputError, explain
from cnmf_engine.movies.opening import iter_frames, open_movie
from cnmf_engine.stages.detrend import baseline, mode_percentiles
from cnmf_engine.stages.noise import spread_below_baseline
from cnmf_engine.stages.registration.warping import moved, translated
from workshop_utils.measures.scoring import match, unit_columns

__all__ = ["BANDS", "Planted", "clear_cells", "main", "plant", "prepare", "score_planted", "table"]

#: Lower ends of the bands of SNR, and the end of the last; each gets as many cells.
BANDS = (3.0, 5.0, 8.0, 12.0, 20.0)
# A footprint's core: pixels of at least this share of its peak that hang together with it.
CORE = 0.2
# Clear cells: cosine similarity with any other found footprint, short over long axis of the core, share of
# the footprint's energy in the core, and its area in multiples of that of a Gaussian of sigma gSig.
ALONE, ROUND, WHOLE, AREA = 0.3, 0.5, 0.8, (0.3, 2.5)
# And their first and last calcium is at most this share of its peak: a shift in time joins the two ends.
QUIET_ENDS = 0.2
# How many of the clear cells are used, those of the highest SNR first; fewer than FEW can't stand for all.
SOURCES, FEW = 20, 3
# A place is free where no found or planted footprint overlaps by more than this (cosine similarity) and no
# centre is nearer than this many gSig.
OVERLAP, NEAR = 0.1, 2.0
# And it is tissue where the frames vary at least this much of the median over the field.
ALIVE = 0.5
# Surroundings of a footprint: what is this much wider, but not nearer than this, px.
SURROUNDINGS = (2, 7)
# Frames over which a trace's baseline is followed.
BASELINE_FRAMES = 300
# Correlation of a planted trace with its source and its neighbours above which another time shift is tried.
UNRELATED = 0.1
# Noise of a pixel, in counts, above which it dithers its own rounding (uniform within a 20th of a count).
SELF_DITHERED = 0.5


@dataclass(frozen=True)
class Planted:
    """
    Cells to plant.

    Attributes
    ----------
    A : ndarray of shape (n, d1, d2), float32
        Footprints where the tissue is after correction, peak 1.
    C, raw : ndarray of shape (n, T), float32
        Denoised and raw trace, counts at the peak of the footprint.
    snr : ndarray of shape (n,)
        Peak of C over the noise at that place.
    noise : ndarray of shape (n,)
        That noise, counts at the peak.
    source, shift : ndarray of shape (n,), int
        Which component of the unplanted result it was, and by how many frames it is late.
    """

    A: np.ndarray
    C: np.ndarray
    raw: np.ndarray
    snr: np.ndarray
    noise: np.ndarray
    source: np.ndarray
    shift: np.ndarray


def clear_cells(base, dims: tuple[int, int], gSig: float) -> tuple[np.ndarray, list[np.ndarray]]:
    """
    Choose clear cells of a result, those with the highest SNR first.

    They are accepted, whole, alone, compact, and quiet at both ends of the recording.

    Parameters
    ----------
    base : namespace
        Arrays of `benchmarks.outcome.store`.
    dims : (int, int)
        Rows and columns.
    gSig : float
        Half width of a cell, px.

    Returns
    -------
    chosen : ndarray of int
        Their numbers, the highest SNR first.
    patches : list of ndarray
        The core of each with a soft edge, peak 1, on a square around its centre.
    """
    unit = unit_columns(base.A, base.A.shape[0])
    cosine = (unit.T @ unit).toarray()
    np.fill_diagonal(cosine, 0)
    chosen, patches, margin = [], [], _margin(base.shifts)
    for k in base.accepted[np.argsort(-base.SNR[base.accepted], kind="stable")]:
        image = base.A[:, k].reshape(dims, order="F")
        labels, _ = ndimage.label(image >= CORE * image.max())
        core = labels == labels.flat[image.argmax()]
        size = core.sum() / (2 * np.pi * np.log(1 / CORE) * gSig**2)
        share = (image[core] ** 2).sum() / (image**2).sum()
        axes = np.linalg.eigvalsh(np.cov(np.argwhere(core).T)) if core.sum() > 2 else (0, 1)
        inside = np.pad(np.ones(np.subtract(dims, 2 * margin), bool), margin)
        clear = (
            cosine[k].max(initial=0) <= ALONE,
            np.sqrt(max(axes[0], 0) / axes[1]) >= ROUND,
            share >= WHOLE,
            AREA[0] <= size <= AREA[1],
            inside[core].all(),
            max(base.C[k, 0], base.C[k, -1]) <= QUIET_ENDS * base.C[k].max(),
        )
        if all(clear):
            soft = image * ndimage.gaussian_filter(ndimage.binary_dilation(core).astype(float), 1.0)
            chosen.append(k)
            patches.append(_cut_out(soft / soft.max(), int(np.ceil(4 * gSig))))
        if len(chosen) == SOURCES:
            break
    if len(chosen) < FEW:
        raise InputError(
            explain(
                f"at least {FEW} clear cells to plant copies of",
                f"{len(chosen)} among {len(base.accepted)} accepted components of {base.A.shape[1]}",
                "check gSig, min_corr and min_pnr (-p NAME=VALUE) on this recording first",
            )
        )
    return np.array(chosen), patches


def prepare(
    recording, base, gSig: float, n: int, rng: np.random.Generator, slow: float = 1.0
) -> tuple[Planted, int]:
    """
    Draw cells to plant: what, where, when and how bright.

    Parameters
    ----------
    recording : str, Path or MovieReader
        The recording as it is.
    base : namespace
        Arrays of `benchmarks.outcome.store`, from the recording as it is.
    gSig : float
        Half width of a cell, px.
    n : int
        How many.
    rng : Generator
        Random numbers.
    slow : float
        Factor by which traces are stretched in time.

    Returns
    -------
    planted : Planted
        The cells; fewer than `n` where the field has no room for more.
    n_sources : int
        How many clear cells there were to choose from.
    """
    dims = open_movie(recording).shape[1:]
    chosen, patches = clear_cells(base, dims, gSig)
    raw = np.asarray(base.C + base.YrA, float)
    raw -= baseline(raw, mode_percentiles(raw), BASELINE_FRAMES)
    own = np.array([spread_below_baseline(np.sort(base.YrA[k].astype(float))) for k in chosen])
    peaks = base.C[chosen].max(axis=1)
    wanted = _wanted_snr(n, rng)
    picked = np.array([_pick(snr, peaks / own, rng) for snr in wanted])
    A = _places(recording, base, dims, gSig, [_turned(patches[i], rng) for i in picked], rng)
    there = [k for k, image in enumerate(A) if image is not None]
    A = np.array([A[k] for k in there], np.float32).reshape(-1, *dims)
    wanted, picked = wanted[there], picked[there]
    local = _noise_at(recording, base.shifts, A)
    centres, planted_at = _centres(base.A.T.reshape(-1, dims[1], dims[0]).transpose(0, 2, 1)), _centres(A)
    C, noisy, shifts, snr, noise = [], [], [], [], []
    for k, i in enumerate(picked):
        late = raw[chosen[i]] / peaks[i]
        near = np.linalg.norm(centres - planted_at[k], axis=1) < 6 * gSig
        others = [late, *raw[near]]
        others += [noisy[j] for j in range(k) if np.linalg.norm(planted_at[j] - planted_at[k]) < 6 * gSig]
        first = rng.uniform()
        late, calcium = (_stretched(trace, slow, first) for trace in (late, base.C[chosen[i]] / peaks[i]))
        calcium = calcium / max(calcium.max(), 1e-9)
        shift = _unrelated_shift(late, others, rng)
        # What the planted trace's own noise adds to that of the place is part of the SNR.
        height = wanted[k] * local[k] / np.sqrt(max(1 - (wanted[k] * own[i] / peaks[i]) ** 2, 0.1))
        total = np.hypot(local[k], height * own[i] / peaks[i])
        C.append(height * np.roll(calcium, shift))
        noisy.append(height * np.roll(late, shift))
        shifts.append(shift)
        noise.append(total)
        snr.append(height / total)
    return Planted(
        A,
        np.array(C, np.float32),
        np.array(noisy, np.float32),
        np.array(snr),
        np.array(noise),
        chosen[picked],
        np.array(shifts, int),
    ), len(chosen)


def plant(recording, planted: Planted, shifts: np.ndarray, target: Path, rng: np.random.Generator) -> dict:
    """
    Write a copy of a recording with planted cells.

    In frame t the cells lie where the tissue does: displaced by the negative of the correction `shifts[t]`.
    The dtype stays. For integers the sum is rounded as the camera did: a pixel that is noisier than half a
    count gets a new random fraction in each frame, a quieter one the same in all, so that nothing is lost on
    average and denoised movies get no noise.

    Parameters
    ----------
    recording : str, Path or MovieReader
        The recording as it is.
    planted : Planted
        What to add.
    shifts : ndarray of shape (T, 2)
        Estimated correction of each frame, rows then columns, px.
    target : Path
        The TIFF to write.
    rng : Generator
        For the rounding.

    Returns
    -------
    dict
        `clipped`: how many values the dtype's range has cut off; `changed`: how many differ.
    """
    import tifffile

    reader = open_movie(recording)
    shape, dtype = reader.shape, np.dtype(reader.dtype)
    whole, counts = dtype.kind in "iu", {"clipped": 0, "changed": 0}
    limits = (np.iinfo(dtype).min, np.iinfo(dtype).max) if whole else None
    fixed = rng.uniform(-0.5, 0.5, shape[1:])
    noisy = _pixel_noise(reader) >= SELF_DITHERED if whole else None

    def frames() -> Iterator[np.ndarray]:
        for span, block in iter_frames(reader, dtype=dtype):
            for t, frame in zip(range(shape[0])[span], block):
                light = np.tensordot(planted.raw[:, t], planted.A, axes=1).astype(np.float32)
                added = translated(light, *-np.asarray(shifts[t], float)).astype(float)
                if whole:
                    fraction = np.where(noisy, rng.uniform(-0.5, 0.5, frame.shape), fixed)
                    # Where nothing is planted nothing may change.
                    touched = np.abs(added) > 1e-6
                    total = frame + np.where(touched, np.floor(added + fraction + 0.5), 0)
                    counts["clipped"] += int(((total < limits[0]) | (total > limits[1])).sum())
                    total = np.clip(total, *limits)
                else:
                    total = frame + added
                total = total.astype(dtype)
                counts["changed"] += int((total != frame).sum())
                yield total

    tifffile.imwrite(target, frames(), shape=shape, dtype=dtype, photometric="minisblack")
    return counts


def score_planted(planted: Planted, result, base) -> tuple[list[dict], dict]:
    """
    Score what came back.

    Parameters
    ----------
    planted : Planted
        What was planted.
    result, base : namespace
        Arrays of `benchmarks.outcome.store` with and without the planted cells.

    Returns
    -------
    cells : list of dict
        Of each planted cell: `snr`, `noise`, `row`, `column`, `source`, `late` (frames), `found` (number of
        the component, or None), `accepted`, `cosine`, `r` (C against the planted C), `r_raw` (C + YrA against
        it), and evaluation's `SNR_comp` and `r_value`.
    existing : dict
        Of the components found without planting: how many, and how many of them are found again, for all and
        for the accepted ones.
    """
    # Two templates may differ by a constant.
    offset = np.median(result.shifts - base.shifts, axis=0)
    there = np.array([translated(image, *offset) for image in planted.A]).reshape(planted.A.shape)
    pairs, cosine = match(result.A, np.maximum(there, 0))
    of = {true: (est, value) for (est, true), value in zip(pairs.tolist(), cosine)}
    accepted, centres, cells = set(result.accepted.tolist()), _centres(planted.A), []
    for k, snr in enumerate(planted.snr):
        est, value = of.get(k, (None, None))
        found = est is not None
        cells.append(
            {
                "snr": float(snr),
                "noise": float(planted.noise[k]),
                "row": float(centres[k, 0]),
                "column": float(centres[k, 1]),
                "source": int(planted.source[k]),
                "late": int(planted.shift[k]),
                "found": est,
                "accepted": est in accepted,
                "cosine": float(value) if found else None,
                "r": _r(result.C[est], planted.C[k]) if found else None,
                "r_raw": _r(result.C[est] + result.YrA[est], planted.C[k]) if found else None,
                "SNR_comp": float(result.SNR[est]) if found else None,
                "r_value": float(result.r_values[est]) if found else None,
            }
        )
    dims = planted.A.shape[1:]
    before = base.A.T.reshape(-1, dims[1], dims[0]).transpose(0, 2, 1)
    again = match(result.A, before).pairs
    kept = np.isin(np.arange(len(before)), base.accepted)
    both = kept[again[:, 1]] & np.isin(again[:, 0], result.accepted)
    existing = {
        "found": len(before),
        "found again": len(again),
        "accepted": int(kept.sum()),
        "accepted again": int(both.sum()),
        "found now": result.A.shape[1],
        "accepted now": len(accepted),
    }
    return cells, existing


def table(cells: list[dict]) -> str:
    """
    Show recall and trace correlation by SNR.

    Parameters
    ----------
    cells : list of dict
        From `score_planted`.

    Returns
    -------
    str
        A Markdown table.
    """
    lines = [
        "| SNR | planted | found | recall, any | recall, accepted | median r of C | 10th percentile | "
        "median r of C + YrA |",
        "|---" * 8 + "|",
    ]
    ends = [*BANDS[:-1], np.inf]
    bands = [(f"{a:g} to {b:g}" if b < np.inf else f"{a:g} and more", a, b) for a, b in zip(ends, ends[1:])]
    for name, low, high in [*bands, (f"all, {BANDS[0]:g} and more", BANDS[0], np.inf)]:
        # Rounding puts a wanted SNR of exactly a band's end a hair below it.
        of = [cell for cell in cells if low <= round(cell["snr"], 6) < high]
        found = [cell for cell in of if cell["found"] is not None]
        r, r_raw = (np.array([cell[key] for cell in found] or [np.nan]) for key in ("r", "r_raw"))
        shares = [
            len(found) / max(len(of), 1),
            sum(c["accepted"] for c in of) / max(len(of), 1),
            np.median(r),
            np.percentile(r, 10),
            np.median(r_raw),
        ]
        told = " | ".join(f"{share:.3f}" for share in shares)
        lines.append(f"| {name} | {len(of)} | {len(found)} | {told} |")
    return "\n".join(lines)


def _wanted_snr(n: int, rng: np.random.Generator) -> np.ndarray:
    """Draw as many SNR values in each band, evenly over its logarithm."""
    band = np.arange(n) % (len(BANDS) - 1)
    low, high = np.log(BANDS)[band], np.log(BANDS)[band + 1]
    return rng.permutation(np.exp(rng.uniform(low, high)))


def _pick(snr: float, own: np.ndarray, rng: np.random.Generator) -> int:
    """Pick a source that is clearly better than what is wanted of it, or the best."""
    enough = np.flatnonzero(own >= 1.5 * snr)
    return int(rng.choice(enough)) if len(enough) else int(own.argmax())


def _cut_out(image: np.ndarray, half: int) -> np.ndarray:
    """Cut a square around an image's centre of mass."""
    row, col = np.round(ndimage.center_of_mass(image)).astype(int)
    return np.pad(image, half)[row : row + 2 * half + 1, col : col + 2 * half + 1]


def _turned(patch: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    turned = np.rot90(patch, rng.integers(4))
    return turned[:, ::-1] if rng.integers(2) else turned


def _places(recording, base, dims, gSig, patches, rng) -> list[np.ndarray | None]:
    """Put each patch on free tissue, where motion brings none of it over the edge; None if none is free."""
    alive = _restlessness(recording, base.shifts, gSig)
    alive = alive >= ALIVE * np.median(alive)
    margin = _margin(base.shifts)
    taken = unit_columns(base.A, base.A.shape[0]).T.tocsr()
    centres = _centres(base.A.T.reshape(-1, dims[1], dims[0]).transpose(0, 2, 1))
    half, images = patches[0].shape[0] // 2, []
    spots = np.argwhere(alive)
    for patch in patches:
        images.append(None)
        rows, cols = np.nonzero(patch > 0.01)
        for row, col in rng.permutation(spots):
            up, left = row - half, col - half
            inside = (
                rows.min() + up >= margin
                and cols.min() + left >= margin
                and rows.max() + up < dims[0] - margin
                and cols.max() + left < dims[1] - margin
            )
            if not inside or (np.hypot(*(centres - (row, col)).T) < NEAR * gSig).any():
                continue
            image = np.zeros(np.add(dims, 2 * half), np.float32)
            image[row : row + 2 * half + 1, col : col + 2 * half + 1] = np.where(patch > 0.01, patch, 0)
            image = image[half:-half, half:-half]
            flat = image.ravel(order="F")[:, None] / np.linalg.norm(image)
            if (taken @ flat).max(initial=0) <= OVERLAP:
                images[-1], centres = image, np.vstack([centres, (row, col)])
                taken = sp.vstack([taken, sp.csr_array(flat.T)]).tocsr()
                break
    return images


def _margin(shifts: np.ndarray) -> int:
    """Tell how far from the edge nothing leaves the field when it moves, px."""
    return int(np.ceil(np.abs(shifts).max())) + 2


def _noise_at(recording, shifts: np.ndarray, A: np.ndarray) -> np.ndarray:
    """Measure the noise of the corrected recording at footprints, counts at their peak."""
    wide = [[ndimage.binary_dilation(image > CORE, iterations=n) for n in SURROUNDINGS] for image in A]
    around = [outer & ~inner for inner, outer in wide]
    weights = [image[image > 0] / (image**2).sum() for image in A]
    parts = [
        # The median, since a neighbour's transients in the surroundings are no noise here.
        [
            frames[:, image > 0] @ weight - weight.sum() * np.median(frames[:, ring], axis=1)
            for image, ring, weight in zip(A, around, weights)
        ]
        for frames in _corrected(recording, shifts)
    ]
    traces = np.concatenate(parts, axis=1).astype(float)
    traces -= baseline(traces, np.full(len(traces), 50.0), BASELINE_FRAMES)
    return np.array([spread_below_baseline(np.sort(trace)) for trace in traces])


def _corrected(recording, shifts: np.ndarray) -> Iterator[np.ndarray]:
    for span, block in iter_frames(recording):
        yield moved(block, shifts[span])


def _restlessness(recording, shifts: np.ndarray, gSig: float) -> np.ndarray:
    """Measure how much the corrected frames vary, (d1, d2), over the size of a cell."""
    n, total, squares = 0, 0.0, 0.0
    for frames in _corrected(recording, shifts):
        frames = frames.astype(float)
        n, total = n + len(frames), total + frames.sum(axis=0)
        squares = squares + (frames**2).sum(axis=0)
    variance = np.maximum(squares / n - (total / n) ** 2, 0)
    return np.sqrt(ndimage.gaussian_filter(variance, gSig))


def _pixel_noise(reader) -> np.ndarray:
    """Measure each pixel's standard deviation from frame to frame, (d1, d2), counts."""
    squares, last, n = 0.0, None, 0
    for _, block in iter_frames(reader):
        frames = block.astype(float) if last is None else np.concatenate([last, block]).astype(float)
        change = np.diff(frames, axis=0)
        squares, n, last = squares + (change**2).sum(axis=0), n + len(change), block[-1:]
    return np.sqrt(squares / max(2 * n, 1))


def _stretched(trace: np.ndarray, slow: float, first: float) -> np.ndarray:
    """Stretch a part of a trace over the whole time; `first`, 0 to 1, says which part."""
    T = len(trace)
    start = first * (T - 1) * (1 - 1 / slow)
    return np.interp(start + np.arange(T) / slow, np.arange(T), trace)


def _unrelated_shift(trace: np.ndarray, others: list[np.ndarray], rng: np.random.Generator) -> int:
    """Find by how many frames to shift a trace, so that it has nothing to do with others."""
    T, least = len(trace), np.inf
    for candidate in rng.permutation(np.arange(T // 10, T - T // 10))[:40]:
        related = max(abs(_r(np.roll(trace, candidate), other)) for other in others)
        if related < least:
            least, best = related, int(candidate)
        if least < UNRELATED:
            break
    return best


def _centres(images: np.ndarray) -> np.ndarray:
    return np.array([ndimage.center_of_mass(image) for image in images]).reshape(-1, 2)


def _r(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a, b)[0, 1]) if np.ptp(a) and np.ptp(b) else 0.0


def _loaded(path: Path) -> SimpleNamespace:
    with np.load(path) as stored:
        return SimpleNamespace(**{name: stored[name] for name in stored.files})


def _pictures(
    folder: Path, name: str, movie: Path, planted: Planted, cells: list, shifts, gSig: float
) -> None:
    """Draw each cell that didn't come back: its footprint, the movie at its events, its trace there."""
    from matplotlib.figure import Figure

    lost = [k for k, cell in enumerate(cells) if cell["found"] is None]
    corrected = np.concatenate(list(_corrected(movie, shifts)))
    for k in lost:
        row, col = (int(cells[k][key]) for key in ("row", "column"))
        rows, cols = (slice(max(x - 20, 0), x + 21) for x in (row, col))
        part, image = corrected[:, rows, cols].astype(float), planted.A[k][rows, cols]
        band = part - ndimage.gaussian_filter(part, (0, 2 * gSig, 2 * gSig))
        band = ndimage.gaussian_filter(band, (0, gSig / 3, gSig / 3))
        events = planted.C[k] > 0.5 * planted.C[k].max()
        trace = (band * image).sum(axis=(1, 2)) / (image**2).sum()
        figure = Figure(figsize=(11, 3), layout="constrained")
        a, b, c = figure.subplots(1, 3, width_ratios=(1, 1, 3))
        a.imshow(image)
        a.set_title(f"cell {k}, SNR {cells[k]['snr']:.1f}")
        b.imshow(band[events].mean(axis=0) - band[~events].mean(axis=0))
        b.set_title(f"mean of {events.sum()} active frames")
        c.plot(trace, lw=0.5)
        c.plot(planted.C[k], lw=1)
        c.set_title("movie at the footprint, and what was planted (counts)")
        figure.savefig(folder / f"{name}_missed_{k:02d}.png", dpi=80)


def run(
    recording: Path,
    overrides: dict,
    cells: int = 40,
    batch: int = 20,
    seeds: tuple[int, ...] = (1,),
    slow: float = 1.0,
    start: Path | None = None,
    keep: Path | None = None,
    pictures: Path | None = None,
    workers: int = 1,
) -> dict:
    """
    Plant cells in batches and score them.

    Parameters
    ----------
    recording : Path
        Any movie that the engine reads.
    overrides : dict
        Parameters that differ from those of the lessons.
    cells, batch : int
        How many cells in all, and at once.
    seeds : tuple of int
        Each plants as many anew.
    slow : float
        Factor by which traces are stretched in time.
    start : Path, optional
        Result on the recording as it is (`unplanted.npz` that `keep` leaves); made if not given.
    keep : Path, optional
        Folder for the planted movies and all results.
    pictures : Path, optional
        Folder for a picture of each cell that was missed.
    workers : int
        Number of workers.

    Returns
    -------
    dict
        `cells` (from `score_planted`, with `seed` and `batch`) and `runs`: what each batch changed.
    """
    gSig = float(np.ravel((PARAMETERS | overrides)["gSig"])[0])
    told = {"recording": recording.name, "parameters": overrides, "slow": slow, "cells": [], "runs": []}
    with tempfile.TemporaryDirectory() as scratch:
        folder = (keep or Path(scratch)).resolve()
        if not start:
            start = folder / "unplanted.npz"
            measure_cold(recording, workers, overrides, keep=start)
        base = _loaded(start)
        if (base.A.shape[0], len(base.shifts)) != (
            int(np.prod(open_movie(recording).shape[1:])),
            len(open_movie(recording)),
        ):
            raise InputError(
                explain(
                    f"a result on {recording.name}",
                    f"{base.A.shape[0]} pixels and {len(base.shifts)} frames in {start}",
                    "give the unplanted.npz that --keep left for this recording, or leave --from out",
                )
            )
        for seed in seeds:
            for number, first in enumerate(range(0, cells, batch)):
                name, rng = f"seed{seed}_batch{number}", np.random.default_rng([seed, number])
                wanted = min(batch, cells - first)
                planted, n_sources = prepare(recording, base, gSig, wanted, rng, slow)
                movie, stored = folder / f"{name}.tif", folder / f"{name}.npz"
                counts = plant(recording, planted, base.shifts, movie, rng)
                measured = measure_cold(movie, workers, overrides, keep=stored)
                result = _loaded(stored)
                scored, existing = score_planted(planted, result, base)
                told["cells"] += [cell | {"seed": seed, "batch": number} for cell in scored]
                told["runs"].append(
                    {"seed": seed, "batch": number, "wanted": wanted, "planted": len(scored)}
                    | {"sources": n_sources, "existing": existing, "seconds": measured["process_s"]}
                    | counts
                )
                print(f"{name}: {_line(told['runs'][-1], scored)}", flush=True)
                if pictures:
                    _pictures(pictures, name, movie, planted, scored, result.shifts, gSig)
    return told


def _line(run: dict, cells: list[dict]) -> str:
    found = sum(cell["found"] is not None for cell in cells)
    existing = run["existing"]
    room = "" if run["planted"] == run["wanted"] else f" (room for no more; {run['wanted']} wanted)"
    return (
        f"{run['planted']} planted{room} from {run['sources']} sources, {found} found, "
        f"{sum(cell['accepted'] for cell in cells)} accepted; of {existing['accepted']} accepted before "
        f"{existing['accepted again']} are accepted again; {run['clipped']} values clipped"
    )


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns 0."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.planting", description="Plant cells into a recording and look for them."
    )
    parser.add_argument("recording", type=Path)
    parser.add_argument("--cells", type=int, default=40, help="how many to plant in all (40)")
    parser.add_argument("--batch", type=int, default=20, help="how many at once (20)")
    parser.add_argument("--seed", type=int, nargs="+", default=[1], help="each plants as many anew (1)")
    parser.add_argument("--slow", type=float, default=1.0, help="stretch traces in time by this factor")
    parser.add_argument("--from", dest="start", type=Path, help="unplanted.npz that --keep has left")
    parser.add_argument("--keep", type=Path, help="store planted movies and results in this folder")
    parser.add_argument("--pictures", type=Path, help="draw the missed ones into this folder")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument("--against", type=Path, help="compare with the JSON file of an earlier run")
    parser.add_argument("-p", dest="parameters", action="append", default=[], metavar="NAME=VALUE")
    options = parser.parse_args(argv)
    if options.slow < 1 or options.cells < 1 or options.batch < 1:
        parser.error("--slow, --cells and --batch start at 1")
    for folder in filter(None, (options.keep, options.pictures, options.json and options.json.parent)):
        folder.mkdir(parents=True, exist_ok=True)
    told = run(
        options.recording,
        overrides_from(options.parameters),
        options.cells,
        options.batch,
        tuple(options.seed),
        options.slow,
        options.start,
        options.keep,
        options.pictures,
        options.workers,
    )
    print("\n" + table(told["cells"]))
    if options.against:
        print(f"\nbefore:\n{table(json.loads(options.against.read_text())['cells'])}")
    if options.json:
        options.json.write_text(json.dumps({"machine": machine()} | told, indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
