"""One component at a time with matplotlib."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ._common import background_image, checked_indices, image_of
from .contours import get_contours, image_limits, min_max_decimate
from .front_end import in_notebook
from .traces import raw_traces

__all__ = ["view_components"]

_STATIC = 4


def view_components(estimates: Any, Yr: np.ndarray | None = None, img: Any = None, idx: Any = None) -> Any:
    """
    Browse footprints and traces with matplotlib.

    With an interactive backend (a window, or `%matplotlib widget`) a slider chooses the component. Without
    one the first few components are shown below each other.

    Parameters
    ----------
    estimates : Estimates
        With `A`, `C`, `dims` and, if there is one, `YrA`.
    Yr : ndarray of shape (d, T), optional
        Movie, for the raw traces if `YrA` is missing.
    img : ndarray of shape (d1, d2), optional
        Image below the outlines; default the mean footprint.
    idx : array of int, optional
        Components to show; default all.

    Returns
    -------
    matplotlib.figure.Figure or None
        The figure; None in a notebook, where the cell shows it.
    """
    import matplotlib.pyplot as plt

    dims = image_of(estimates)
    members = checked_indices(idx, estimates.A.shape[1])
    image = background_image(img, estimates.A, dims)
    if members.size == 0:
        fig, ax = plt.subplots(figsize=(6, 1.2))
        ax.text(0.5, 0.5, "There are no components to show.", ha="center", va="center")
        ax.set_axis_off()
        return None if in_notebook() else fig
    subset = estimates.A.tocsc()[:, members]
    content = _Content(
        image=image,
        outlines=get_contours(subset, dims, 0.2, "max"),
        raw=raw_traces(estimates, members, Yr),
        C=np.asarray(estimates.C)[members],
        members=members,
    )
    fig = plt.figure(layout="constrained")
    live = _is_interactive(fig)
    shown = 1 if live else min(_STATIC, members.size)
    fig.set_size_inches(11, 2.6 * shown + 0.6)
    rows, track = fig.subfigures(2, 1, height_ratios=(2.6 * shown, 0.3))
    axes = rows.subplots(shown, 2, squeeze=False, width_ratios=(1, 3))
    for place, pair in enumerate(axes):
        content.draw(pair, place)
    if live and members.size > 1:
        _add_slider(fig, track, axes[0], content)
    return None if in_notebook() else fig


@dataclass(frozen=True)
class _Content:
    """What the browser can draw: everything is in the order of `members`."""

    image: np.ndarray
    outlines: list[dict[str, Any]]
    raw: np.ndarray
    C: np.ndarray
    members: np.ndarray

    def draw(self, pair: Any, place: int) -> None:
        """Draw the component at a place of the list into two axes."""
        left, right = pair
        left.clear()
        right.clear()
        left.imshow(self.image, cmap="gray", clim=image_limits(self.image))
        left.plot(*self.outlines[place]["coordinates"].T, color="#E69F00", lw=1.5)
        left.set_axis_off()
        for traces, color, label in ((self.raw, "0.6", "raw"), (self.C, "#0072B2", "denoised")):
            envelope = min_max_decimate(traces[place])
            right.plot(envelope.frames, envelope.values[0], color=color, lw=1, label=label)
        right.set(title=f"Component {self.members[place] + 1}", xlabel="frame", ylabel="fluorescence (a.u.)")
        right.legend(loc="upper right", frameon=False, ncols=2)


def _is_interactive(fig: Any) -> bool:
    """Say whether a slider in this figure can be moved: in a window, or in a cell tied to the kernel."""
    if getattr(fig.canvas, "required_interactive_framework", None) is not None:
        return True
    home = type(fig.canvas).__module__
    return any(name in home for name in ("nbagg", "ipympl", "webagg"))


def _add_slider(fig: Any, track: Any, pair: Any, content: _Content) -> None:
    """Let a slider choose the component; the figure keeps it alive."""
    from matplotlib.widgets import Slider

    slider = Slider(track.subplots(), "Neuron Number", 1, len(content.members), valinit=1, valstep=1)

    def follow(number: float) -> None:
        content.draw(pair, int(number) - 1)
        fig.canvas.draw_idle()

    slider.on_changed(follow)
    fig.component_slider = slider
