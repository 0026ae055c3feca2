"""What the corr/PNR tuner tells its plot: columns, limits and marks, as plain data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from workshop_utils.figures.base import COLORS, limits

if TYPE_CHECKING:
    from workshop_utils.measures.thresholds import SliderRange, SliderRanges, TunerView
    from workshop_utils.movies.truth import Truth

__all__ = ["MARKS", "histogram", "image_changes", "legend", "threshold_changes"]

_BINS = 60
#: What the marks on the product mean: glyph, sign in words, colour.
MARKS = {
    "seeds": ("cross", "+", "#FFFFFF"),
    "hits": ("circle", "○", COLORS["accepted"]),
    "missed": ("square", "□", "#F0E442"),
    "false_seeds": ("x", "×", COLORS["second"]),
}


def histogram(image: np.ndarray, span: SliderRange) -> dict[str, np.ndarray]:
    """
    Count pixels between the ends of a slider.

    Parameters
    ----------
    image : ndarray of shape (d1, d2)
        Any image.
    span : SliderRange
        Ends; what lies beyond is counted in the last bar at that end.

    Returns
    -------
    dict of str to ndarray
        `left`, `right` and `middle` of the bars, `top` in pixels.
    """
    edges = np.linspace(span.low, span.high, _BINS + 1)
    count, _ = np.histogram(image.clip(span.low, span.high), edges)
    left, right = edges[:-1], edges[1:]
    return {"left": left, "right": right, "middle": (left + right) / 2, "top": count.astype(float)}


def image_changes(cn: np.ndarray, pnr: np.ndarray, ranges: SliderRanges) -> dict[str, dict[str, Any]]:
    """
    Describe what a new pair of summary images changes in the plot.

    Parameters
    ----------
    cn, pnr : ndarray of shape (d1, d2)
        Correlation image and peak-to-noise ratio.
    ranges : SliderRanges
        Ends of the sliders, and with them of the histograms.

    Returns
    -------
    dict
        For `LivePlot.update`.
    """
    product = cn * pnr
    changes: dict[str, dict[str, Any]] = {
        "pictures": {"data": {"cn": [cn], "pnr": [pnr], "product": [product]}}
    }
    for name, image in (("corr", cn), ("pnr", pnr), ("product", product)):
        low, high = limits(image, 1, 99.7)
        changes[f"{name}_colors"] = {"low": low, "high": high}
    for name, image, span in (("corr", cn, ranges.min_corr), ("pnr", pnr, ranges.min_pnr)):
        bars = histogram(image, span)
        # The first and last bar hold what lies outside; they mustn't flatten the others.
        top = float(bars["top"][1:-1].max(initial=1.0))
        changes[f"{name}_bars"] = {"data": bars}
        changes[f"{name}_span"] = {"start": span.low, "end": span.high}
        changes[f"{name}_counts"] = {"end": 1.08 * top}
    return changes | _cloud_changes(cn, pnr, ranges)


def _cloud_changes(cn: np.ndarray, pnr: np.ndarray, ranges: SliderRanges) -> dict[str, dict[str, Any]]:
    """Count pixels by both values; logarithmic, since the background is most of them."""
    (left, right, _), (low, high, _) = ranges
    count, _, _ = np.histogram2d(
        pnr.ravel().clip(low, high), cn.ravel().clip(left, right), (40, 90), ((low, high), (left, right))
    )
    level = np.log1p(count).astype(np.float32)
    place = {"x": left, "y": low, "dw": right - left, "dh": high - low}
    data = {"image": [level]} | {key: np.array([value]) for key, value in place.items()}
    return {"cloud": {"data": data}, "cloud_colors": {"high": float(level.max(initial=1.0))}}


def threshold_changes(
    min_corr: float, min_pnr: float, view: TunerView, truth: Truth | None = None
) -> dict[str, dict[str, Any]]:
    """
    Describe what moved thresholds change in the plot.

    Parameters
    ----------
    min_corr, min_pnr : float
        Thresholds.
    view : TunerView
        What they leave.
    truth : workshop_utils.movies.truth.Truth, optional
        What the recording holds.

    Returns
    -------
    dict
        For `LivePlot.update`: small numbers and points only; the page dims the images by itself.
    """
    points = {"seeds": view.seeds}
    if truth is not None and view.score is not None:
        good = np.ones(len(view.seeds), bool)
        good[view.score.false] = False
        points = {
            "seeds": view.seeds[good],
            "false_seeds": view.seeds[~good],
            "hits": truth.centers[view.score.hits],
            "missed": truth.centers[view.score.missed],
        }
    marks = {
        name: {"data": {"x": np.asarray(at, "f4")[:, 1], "y": np.asarray(at, "f4")[:, 0]}}
        for name, at in points.items()
    }
    return {"min_corr_line": {"location": min_corr}, "min_pnr_line": {"location": min_pnr}, **marks}


def legend(view: TunerView) -> str:
    """
    Explain the marks.

    Parameters
    ----------
    view : TunerView
        What is marked.

    Returns
    -------
    str
        HTML; signs on a dark ground, as on the image.
    """
    words = {"seeds": "seed"}
    if view.score is not None:
        words = {
            "seeds": "seed on a cell",
            "hits": f"cell hit ({len(view.score.hits)})",
            "missed": f"cell missed ({len(view.score.missed)})",
            "false_seeds": f"false seed ({len(view.score.false)})",
        }
    return " &emsp; ".join(
        "<span style='background:#333;padding:0 5px;border-radius:3px;font-weight:bold;"
        f"color:{MARKS[name][2]}'>{MARKS[name][1]}</span> {text}"
        for name, text in words.items()
    )
