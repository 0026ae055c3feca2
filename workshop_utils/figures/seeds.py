"""Where cells are looked for: summary images, their thresholds and the seed pixels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes

from cnmf_engine.base.errors import InputError, explain
from workshop_utils.figures.base import (
    COLORS,
    LessonFigure,
    as_image,
    clear_spines,
    image_height,
    limits,
    new_figure,
    show_image,
    styled,
)

if TYPE_CHECKING:
    from workshop_utils.measures.scoring import SeedScore
    from workshop_utils.movies.truth import Truth

__all__ = ["corr_pnr_figure", "histograms", "thresholds_pair"]

_CELL_COLOR = {"marker": "o", "facecolors": "none", "s": 55, "linewidths": 1.1}


def _survivors(ax: Axes, image: np.ndarray, kept: np.ndarray, title: str) -> None:
    """Draw an image in grey, and in colour where it passes its threshold."""
    clim = limits(image, 1, 99.5)
    ax.imshow(image, cmap="gray", clim=(clim[0], clim[1] * 1.6))
    drawn = show_image(ax, np.ma.masked_where(~kept, image), title, clim)
    ax.figure.colorbar(drawn, ax=ax, shrink=0.8, pad=0.02)


def _mark_seeds(
    ax: Axes, seeds: np.ndarray, truth: Truth | None, score: SeedScore | None, legend: bool = True
) -> str:
    """Mark the seeds and, where the truth is known, what each of them is; give the counts in words."""
    if score is None or truth is None:
        size = float(np.clip(6000 / max(len(seeds), 1), 9, 32))
        ax.scatter(seeds[:, 1], seeds[:, 0], marker="+", s=size, c=COLORS["second"], lw=1.0, label="seed")
        return f"{len(seeds)} seeds"
    false = np.zeros(len(seeds), bool)
    false[score.false] = True
    centers = truth.centers
    for members, color, style, label in (
        (score.hits, COLORS["accepted"], "-", "cell hit"),
        (score.missed, "#F0E442", (0, (2, 1.2)), "cell missed (dashed)"),
    ):
        ax.scatter(
            centers[members, 1],
            centers[members, 0],
            edgecolors=color,
            linestyles=[style],
            label=label,
            **_CELL_COLOR,
        )
    good, bad = seeds[~false], seeds[false]
    ax.scatter(good[:, 1], good[:, 0], marker="+", s=30, c="white", linewidths=1.1, label="seed in a cell")
    ax.scatter(bad[:, 1], bad[:, 0], marker="x", s=30, c=COLORS["second"], linewidths=1.3, label="false seed")
    if legend:
        ax.legend(
            loc="upper center", bbox_to_anchor=(0.5, 0), ncols=2, handletextpad=0.1, columnspacing=0.9,
            facecolor="0.25", labelcolor="white", frameon=True, fontsize=8,
        )  # fmt: skip
    return f"{len(seeds)} seeds: {len(score.hits)} hit, {len(score.missed)} missed, {len(score.false)} false"


@styled
def corr_pnr_figure(
    cn: Any,
    pnr: Any,
    min_corr: float,
    min_pnr: float,
    seeds: Any = None,
    truth: Truth | None = None,
    radius: float = 6.0,
    with_histograms: bool = False,
) -> LessonFigure:
    """
    Show what two thresholds leave of the summary images, and where cells would be looked for.

    Parameters
    ----------
    cn : array of shape (d1, d2)
        Correlation image.
    pnr : array of shape (d1, d2)
        Peak-to-noise ratio.
    min_corr, min_pnr : float
        Thresholds.
    seeds : array of shape (n, 2), optional
        Row and column of each seed pixel.
    truth : workshop_utils.movies.truth.Truth, optional
        What the recording holds; marks cells that are hit or missed and seeds that are false.
    radius : float
        How far from a cell's centre a seed may be, px.
    with_histograms : bool
        Add a row with the histograms.

    Returns
    -------
    LessonFigure
        Both images, in colour where they pass, and their product where both pass, with the seeds.
    """
    cn, pnr = as_image(cn, "cn"), as_image(pnr, "pnr")
    seeds = np.zeros((0, 2)) if seeds is None or np.size(seeds) == 0 else np.asarray(seeds)
    score = None
    if truth is not None:
        from workshop_utils.measures.scoring import score_seeds

        score = score_seeds(seeds, truth, radius)
    kept_corr, kept_pnr = cn >= min_corr, pnr >= min_pnr
    height = image_height(cn.shape, 3.1, 0.6)
    figure = LessonFigure(
        figsize=(11.5, height + (2.0 if with_histograms else 0.1)), layout="constrained", facecolor="white"
    )
    grid = figure.add_gridspec(1 + with_histograms, 3, height_ratios=(height, 1.9)[: 1 + with_histograms])
    top = [figure.add_subplot(grid[0, k]) for k in range(3)]
    _survivors(top[0], cn, kept_corr, f"Correlation ≥ {min_corr:g}")
    _survivors(top[1], pnr, kept_pnr, f"Peak-to-noise ≥ {min_pnr:g}")
    product = cn * pnr
    show_image(top[2], np.where(kept_corr & kept_pnr, product, 0), clim=limits(product, 1, 99.8), cmap="gray")
    counts = _mark_seeds(top[2], seeds, truth, score)
    top[2].set_title(counts)
    if with_histograms:
        _histogram(figure.add_subplot(grid[1, 0]), cn, min_corr, "correlation")
        _histogram(figure.add_subplot(grid[1, 1]), pnr, min_pnr, "peak-to-noise ratio")
        _cloud(figure.add_subplot(grid[1, 2]), cn, pnr, min_corr, min_pnr)
    both = int((kept_corr & kept_pnr).sum())
    figure.alt = (
        f"Correlation image ({kept_corr.mean():.0%} of pixels reach {min_corr:g}), peak-to-noise image "
        f"({kept_pnr.mean():.0%} reach {min_pnr:g}) and their product in the {both} pixels that pass both. "
        f"{counts}."
    )
    return figure


def _histogram(ax: Axes, image: np.ndarray, threshold: float, name: str) -> float:
    """Draw the histogram of an image with its threshold; give the share of pixels that pass."""
    low, high = (float(v) for v in np.percentile(image, (0, 99.9)))
    edges = np.linspace(min(low, threshold), max(high, threshold, low + 1e-6), 101)
    ax.hist(image.ravel().clip(edges[0], edges[-1]), edges, color=COLORS["raw"])
    ax.axvspan(threshold, edges[-1], color=COLORS["accepted"], alpha=0.25, lw=0)
    ax.axvline(threshold, color=COLORS["second"], lw=1.5)
    passing = float((image >= threshold).mean())
    clear_spines(ax, xlabel=name, ylabel="pixels", title=f"{passing:.1%} of pixels reach {threshold:g}")
    return passing


def _cloud(ax: Axes, cn: np.ndarray, pnr: np.ndarray, min_corr: float, min_pnr: float) -> None:
    """Draw how many pixels have which correlation and peak-to-noise ratio, with the corner that passes."""
    from matplotlib.colors import LogNorm

    high = max(float(np.percentile(pnr, 99.9)), 1.1 * min_pnr, 1e-6)
    low = min(float(np.percentile(cn, 0.5)), min_corr)
    span = [[low, 1.0 if low < 1 else low + 1], [0, high]]
    ax.hist2d(cn.ravel(), pnr.ravel().clip(0, high), bins=60, range=span, cmap="Greys", norm=LogNorm())
    ax.plot([min_corr, min_corr, span[0][1]], [high, min_pnr, min_pnr], color=COLORS["second"], lw=1.5)
    clear_spines(ax, xlabel="correlation", ylabel="peak-to-noise", title="Both together")
    ax.margins(0)


@styled
def histograms(cn: Any, pnr: Any, min_corr: float, min_pnr: float) -> LessonFigure:
    """
    Show the histograms of the summary images with the thresholds drawn in.

    Parameters
    ----------
    cn : array of shape (d1, d2)
        Correlation image.
    pnr : array of shape (d1, d2)
        Peak-to-noise ratio.
    min_corr, min_pnr : float
        Thresholds.

    Returns
    -------
    LessonFigure
        The figure; values above the 99.9th percentile are counted in the last bar.
    """
    cn, pnr = as_image(cn, "cn"), as_image(pnr, "pnr")
    figure, axes = new_figure(1, 3, (11.0, 3.0))
    passing = [
        _histogram(axes[0, 0], cn, min_corr, "correlation"),
        _histogram(axes[0, 1], pnr, min_pnr, "peak-to-noise ratio"),
    ]
    _cloud(axes[0, 2], cn, pnr, min_corr, min_pnr)
    figure.alt = (
        f"Histograms of correlation and peak-to-noise ratio; {passing[0]:.1%} of the pixels reach "
        f"{min_corr:g} and {passing[1]:.1%} reach {min_pnr:g}. Right: both together."
    )
    return figure


@styled
def thresholds_pair(
    cn: Any,
    pnr: Any,
    gSig: float,
    choices: Mapping[str, tuple[float, float]],
    truth: Truth | None = None,
) -> LessonFigure:
    """
    Show the same images under several pairs of thresholds, such as too low, fitting and too high.

    Parameters
    ----------
    cn, pnr : arrays of shape (d1, d2)
        Correlation image and peak-to-noise ratio.
    gSig : float
        Width of a cell, px; a seed within twice that of a cell's centre hits it.
    choices : mapping of str to (float, float)
        Label, and min_corr and min_pnr.
    truth : workshop_utils.movies.truth.Truth, optional
        What the recording holds; marks cells that are hit or missed and seeds that are false.

    Returns
    -------
    LessonFigure
        A panel a choice: the product of the images, in colour where both pass, the seeds, and their counts.

    Raises
    ------
    InputError
        If there is no choice, or the images differ in shape.
    """
    from workshop_utils.measures.thresholds import tuner_view

    cn, pnr = as_image(cn, "cn"), as_image(pnr, "pnr")
    if not choices:
        raise InputError(
            explain("at least one choice", "none", "pass {'too low': (0.5, 5), 'fitting': (0.8, 10)}")
        )
    width = min(10.8 / len(choices), 5.4)
    height = image_height(cn.shape, width - 0.15, 1.5)
    figure, axes = new_figure(1, len(choices), (width * len(choices), height))
    product, words = cn * pnr, []
    clim = limits(product, 1, 99.8)
    for ax, (label, (min_corr, min_pnr)) in zip(axes[0], choices.items()):
        view = tuner_view(cn, pnr, min_corr, min_pnr, gSig, truth)
        show_image(ax, product, f"{label}:\nmin_corr {min_corr:g}, min_pnr {min_pnr:g}", clim, "gray")
        _tint(ax, view.mask)
        counts = _mark_seeds(ax, view.seeds, truth, view.score, legend=False)
        passing = f"{view.mask.mean():.1%} of the pixels pass"
        ax.set_xlabel(f"{passing}\n" + counts.replace(": ", "\n"))
        words.append(f"{label} (min_corr {min_corr:g}, min_pnr {min_pnr:g}): {passing}, {counts}")
    handles = {name: handle for ax in axes[0] for handle, name in zip(*ax.get_legend_handles_labels())}
    legend = figure.legend(
        handles.values(), handles.keys(), loc="outside lower center", ncols=4, facecolor="0.35", frameon=True
    )
    for text in legend.get_texts():
        text.set_color("white")
    figure.alt = "The same two images under different thresholds. " + "; ".join(words) + "."
    return figure


def _tint(ax: Axes, mask: np.ndarray) -> None:
    """Lay a colour over the pixels that pass, and a line around them."""
    from matplotlib.colors import ListedColormap

    if mask.any():
        ax.imshow(np.ma.masked_where(~mask, mask), cmap=ListedColormap([COLORS["mark"]]), alpha=0.4)
    if mask.any() and not mask.all():
        ax.contour(mask, levels=[0.5], colors="white", linewidths=0.5)
