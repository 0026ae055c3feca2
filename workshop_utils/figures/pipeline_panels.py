"""The six pictures of the pipeline's figure, and what stands in place of one that isn't made yet."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes

from workshop_utils.figures.base import COLORS, clear_spines, limits, seconds, show_image
from workshop_utils.figures.components import draw_outlines

__all__ = ["STEPS", "Parts", "draw_part"]

_LEVEL, _N_TRACES = 0.3, 6
#: Between the pictures: what is done, and in which lesson.
STEPS = (
    ("motion\ncorrection", 2),
    ("filter,\nmeasure", 3),
    ("fit", 4),
    ("follow\nin time", 4),
    ("evaluate", 5),
)
_TITLES = (
    "One raw frame",
    "Motion undone: mean image",
    "Correlation, with seeds",
    "Footprints",
    "Traces",
    "Accepted cells",
)
_MISSING = (
    "the movie",
    "sharp tissue",
    "where to look\nfor cells",
    "where each\ncell is",
    "when each\nis active",
    "what you can\nbelieve",
)


class Parts(NamedTuple):
    """What there is to draw; None for what isn't made yet."""

    raw: np.ndarray
    mean: np.ndarray | None
    cn: np.ndarray | None
    seeds: np.ndarray | None
    A: Any
    C: np.ndarray | None
    accepted: np.ndarray | None
    known: bool


def draw_part(ax: Axes, k: int, parts: Parts, fr: float | None) -> str:
    """Draw a panel, or what will be there; give it in words."""
    draw = (_draw_raw, _draw_mean, _draw_seeds, _draw_footprints, _draw_traces, _draw_accepted)[k]
    name = _TITLES[k] if k != 2 or parts.cn is None or parts.seeds is not None else "Correlation image"
    title = f"{k + 1}  {name}"
    words = draw(ax, parts, fr)
    if words:
        ax.set_title(title)
        return f"{k + 1} {words}"
    lesson = STEPS[k - 1][1]
    ax.set(xticks=[], yticks=[], title=title)
    ax.spines[:].set_visible(True)
    ax.spines[:].set(color="0.6", linestyle=(0, (4, 3)))
    ax.text(0.5, 0.5, f"{_MISSING[k]}\n\n(not made yet: lesson {lesson})", ha="center", va="center",
            transform=ax.transAxes, color="0.35")  # fmt: skip
    return f"{k + 1} {_TITLES[k].lower()}, not made yet (lesson {lesson})"


def _draw_raw(ax: Axes, parts: Parts, fr: float | None) -> str:
    show_image(ax, parts.raw, cmap="gray")
    return f"a raw frame of {parts.raw.shape[0]} by {parts.raw.shape[1]} pixels"


def _draw_mean(ax: Axes, parts: Parts, fr: float | None) -> str:
    if parts.mean is None:
        return ""
    show_image(ax, parts.mean, cmap="gray")
    return "the mean image once motion is undone"


def _draw_seeds(ax: Axes, parts: Parts, fr: float | None) -> str:
    if parts.cn is None:
        return ""
    show_image(ax, parts.cn, clim=limits(parts.cn, 50, 99.5))
    if parts.seeds is None:
        return "the correlation image"
    ax.scatter(parts.seeds[:, 1], parts.seeds[:, 0], marker="+", s=26, c=COLORS["second"], linewidths=1.3)
    _note(ax, f"{len(parts.seeds)} seeds (+)")
    return f"the correlation image with {len(parts.seeds)} seeds"


def _note(ax: Axes, text: str) -> None:
    """Write into the lower left corner of a picture."""
    box = {"fc": "0.2", "ec": "none", "pad": 2}
    ax.text(0.02, 0.02, text, transform=ax.transAxes, color="white", fontsize=9, bbox=box)


def _outlines(parts: Parts) -> list[dict[str, Any]]:
    from cnmf_engine.view.contours import get_contours

    return get_contours(parts.A, parts.raw.shape, _LEVEL, "max")


def _draw_footprints(ax: Axes, parts: Parts, fr: float | None) -> str:
    if parts.A is None:
        return ""
    image = np.asarray(parts.A @ (1 / np.maximum(_column_tops(parts.A), 1e-12)).ravel(), dtype=np.float64)
    image = image.reshape(parts.raw.shape, order="F")
    show_image(ax, image, clim=limits(image, 1, 99.8) if image.any() else (0, 1), cmap="magma")
    chosen = _examples(parts)
    places = _places(parts) if chosen else []
    for k, number in zip(chosen, "abcdefgh"):
        row, col = np.clip(places[k], 4, np.array(parts.raw.shape) - 5)
        ax.text(col, row, number, color="white", fontsize=9, ha="center", va="center", weight="bold",
                bbox={"fc": "0.1", "ec": "none", "pad": 1, "alpha": 0.6})  # fmt: skip
    return f"{parts.A.shape[1]} footprints"


def _column_tops(A: Any) -> np.ndarray:
    """Largest value of each footprint."""
    if A.shape[1] == 0:
        return np.ones((1, 0))
    tops = A.max(axis=0)
    return np.asarray(tops.toarray() if hasattr(tops, "toarray") else tops).reshape(1, -1)


def _examples(parts: Parts) -> list[int]:
    """Choose the components whose traces are drawn: lively ones that lie apart."""
    if parts.C is None or not parts.C.size:
        return []
    members = np.arange(len(parts.C)) if parts.accepted is None else parts.accepted
    lively = members[np.argsort(-np.ptp(parts.C[members], axis=1), kind="stable")]
    if parts.A is None:
        return lively[:_N_TRACES].tolist()
    lively = lively[_column_tops(parts.A)[0, lively] > 0]
    places, chosen = _places(parts), []
    apart = 0.2 * min(parts.raw.shape)
    for k in lively:
        if len(chosen) < _N_TRACES and all(np.hypot(*(places[k] - places[j])) > apart for j in chosen):
            chosen.append(int(k))
    return sorted(chosen, key=lambda k: places[k][0])


def _places(parts: Parts) -> np.ndarray:
    """Row and column of each footprint's largest value."""
    peaks = np.asarray(parts.A.argmax(axis=0)).ravel()
    return np.stack(np.unravel_index(peaks, parts.raw.shape, order="F"), axis=1)


def _draw_traces(ax: Axes, parts: Parts, fr: float | None) -> str:
    if parts.C is None:
        return ""
    chosen = _examples(parts)
    time = seconds(parts.C.shape[1], fr or 1.0)
    for place, k in enumerate(chosen):
        trace = parts.C[k] - parts.C[k].min()
        ax.plot(
            time, len(chosen) - 1 - place + 0.9 * trace / max(trace.max(), 1e-9), color=COLORS["line"], lw=0.9
        )
    clear_spines(ax)
    ax.set_xlabel("time (s)" if fr else "frame", labelpad=1)
    ax.set(yticks=np.arange(len(chosen))[::-1] + 0.2, yticklabels=list("abcdefgh"[: len(chosen)]))
    ax.tick_params(axis="y", length=0)
    if not chosen:
        ax.text(0.5, 0.5, "no components", transform=ax.transAxes, ha="center", color="0.35")
    return f"{len(parts.C)} traces, of which {len(chosen)} are drawn"


def _draw_accepted(ax: Axes, parts: Parts, fr: float | None) -> str:
    if parts.accepted is None or parts.A is None:
        return ""
    image = parts.mean if parts.mean is not None else parts.raw
    low, high = limits(image, 1, 99.8)
    show_image(ax, image, clim=(low, 1.3 * high - 0.3 * low), cmap="gray")
    outlines, chosen = _outlines(parts), set(parts.accepted.tolist())
    draw_outlines(ax, [o for k, o in enumerate(outlines) if k not in chosen], COLORS["rejected"], "--")
    draw_outlines(ax, [outlines[k] for k in sorted(chosen)], COLORS["accepted"])
    n_rejected = len(outlines) - len(chosen)
    rejected = f", {n_rejected} rejected (dashed)" if n_rejected else ""
    _note(ax, f"{len(chosen)} accepted{rejected}")
    return f"{len(chosen)} accepted cells{rejected}"
