"""One component at a time with matplotlib."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cnmf_engine.view.common import background_image, checked_indices, image_of
from cnmf_engine.view.contours import get_contours
from cnmf_engine.view.front_end import in_notebook, is_interactive
from cnmf_engine.view.showing import describe
from cnmf_engine.view.stills import counted, draw_component
from cnmf_engine.view.traces import has_raw, raw_traces

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["DENOISED", "NOTHING", "RAW", "Content", "view_components"]

NOTHING = "There are no components to show."
RAW, DENOISED = "raw (C + YrA)", "denoised (C)"
#: Components that a picture shows.
_FIRST = 4


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
    content = Content.of(estimates, members, Yr, background_image(img, estimates.A, dims), 0.2, "max")
    fig = plt.figure(layout="constrained")
    if members.size > 1 and is_interactive(fig):
        fig.set_size_inches(11, 3.2)
        rows, track = fig.subfigures(2, 1, height_ratios=(2.6, 0.3))
        pair = rows.subplots(1, 2, width_ratios=(1, 3))
        content.draw(pair, 0)
        _add_slider(fig, track, pair, content)
    else:
        content.fill(fig)
        describe(fig, content.alt())
    return None if in_notebook() else fig


@dataclass(frozen=True)
class Content:
    """
    What a browser can draw; everything is in the order of `members`.

    Attributes
    ----------
    image : ndarray of shape (d1, d2)
        Image below the outlines.
    outlines : list of dict
        As `get_contours` returns them.
    traces : dict of ndarray of shape (n, T)
        By their label: raw ones if they are known, and denoised ones.
    members : ndarray of int, shape (n,)
        Which components.
    """

    image: np.ndarray
    outlines: list[dict[str, Any]]
    traces: dict[str, np.ndarray]
    members: np.ndarray

    @classmethod
    def of(
        cls, estimates: Any, members: np.ndarray, Yr: Any, image: np.ndarray, thr: float, method: str
    ) -> Content:
        """Gather what is drawn of some components."""
        outlines = get_contours(estimates.A.tocsc()[:, members], image.shape, thr, method)
        traces = {DENOISED: np.asarray(estimates.C)[members]}
        if has_raw(estimates, Yr):
            traces = {RAW: raw_traces(estimates, members, Yr), **traces}
        return cls(image, outlines, traces, members)

    def draw(self, pair: Any, place: int) -> None:
        """Draw the component at a place of the list into two axes."""
        for ax in pair:
            ax.clear()
        traces = {label: values[place] for label, values in self.traces.items()}
        draw_component(pair, self.image, self.outlines[place], traces, f"Component {self.members[place] + 1}")

    def fill(self, figure: Figure) -> Figure:
        """Draw the first components below each other into an empty figure, and give it back."""
        n_all = self.members.size
        n = min(_FIRST, n_all)
        if n == 0:
            figure.set_size_inches(6, 0.8)
            figure.text(0.5, 0.5, NOTHING, ha="center", va="center")
            return figure
        figure.set_size_inches(11, 1.8 * n + 0.4)
        for place, pair in enumerate(figure.subplots(n, 2, squeeze=False, width_ratios=(1, 3))):
            self.draw(pair, place)
        if n_all > n:
            figure.supxlabel(f"The first {n} of {n_all} components", fontsize=10)
        return figure

    def alt(self) -> str:
        """Say in words what `fill` draws."""
        n = min(_FIRST, self.members.size)
        return f"Footprints and traces of {n} of {counted(self.members.size, 'component')}." if n else NOTHING


def _add_slider(fig: Any, track: Any, pair: Any, content: Content) -> None:
    """Let a slider choose the component; the figure keeps it alive."""
    from matplotlib.widgets import Slider

    slider = Slider(track.subplots(), "Neuron Number", 1, len(content.members), valinit=1, valstep=1)

    def follow(number: float) -> None:
        content.draw(pair, int(number) - 1)
        fig.canvas.draw_idle()

    slider.on_changed(follow)
    fig.component_slider = slider
