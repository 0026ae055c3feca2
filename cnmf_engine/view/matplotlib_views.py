"""Contours, patches, summary images and components with matplotlib."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnmf_engine.view.common import as_dense_image, background_image, image_of, panels_of
from cnmf_engine.view.contours import get_contours, image_limits
from cnmf_engine.view.front_end import in_notebook, is_interactive
from cnmf_engine.view.showing import describe
from cnmf_engine.view.stills import contour_still, counted, draw_outlines

__all__ = [
    "inspect_correlation_pnr",
    "plot_contours",
    "plot_contours_estimates",
    "view_quilt",
]


def plot_contours(
    A: Any,
    Cn: np.ndarray,
    thr: float | None = None,
    thr_method: str = "max",
    maxthr: float = 0.2,
    nrgthr: float = 0.9,
    display_numbers: bool = True,
    max_number: int | None = None,
    cmap: str | None = None,
    swap_dim: bool = False,
    colors: str = "w",
    vmin: float | None = None,
    vmax: float | None = None,
    coordinates: list[dict[str, Any]] | None = None,
    contour_args: dict[str, Any] | None = None,
    number_args: dict[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """
    Draw outlines of footprints over an image, on the current axes.

    Parameters
    ----------
    A : sparse or dense array of shape (d, K)
        Footprints, pixels in Fortran order.
    Cn : ndarray of shape (d1, d2)
        Image below them.
    thr : float, optional
        Energy fraction; giving it switches to `thr_method='nrg'`.
    thr_method : {'max', 'nrg'}
        See `get_contours`.
    maxthr, nrgthr : float
        Level for each method.
    display_numbers : bool
        Write each component's number, counted from 1, at its centre of mass.
    max_number : int, optional
        Number this many components at most.
    cmap : str, optional
        Colour map of the image.
    swap_dim : bool
        Pixels of `A` are in C order.
    colors : str
        Colour of outlines and numbers.
    vmin, vmax : float, optional
        Limits of the image; default its 1st and 99th percentile.
    coordinates : list of dict, optional
        Outlines from an earlier call, used as they are.
    contour_args, number_args : dict, optional
        Passed to `Axes.plot` and `Axes.text`.

    Returns
    -------
    list of dict
        The outlines, as `get_contours` returns them.
    """
    import matplotlib.pyplot as plt

    image = as_dense_image(Cn)
    if thr is not None:
        thr_method, nrgthr = "nrg", thr
    if coordinates is None:
        level = maxthr if thr_method == "max" else nrgthr
        coordinates = get_contours(A, image.shape, level, thr_method, swap_dim)
    ax = plt.gca()
    low, high = image_limits(image)
    limits = (low if vmin is None else vmin, high if vmax is None else vmax)
    numbered = max_number if display_numbers else 0
    line, number = {"c": colors, **(contour_args or {})}, {"color": colors, **(number_args or {})}
    draw_outlines(ax, image, coordinates, cmap, limits, numbered, line, number)
    describe(ax.figure, outlines_alt([("components", coordinates)], image))
    return coordinates


def plot_contours_estimates(
    estimates: Any,
    img: np.ndarray | None = None,
    idx: Any = None,
    thr_method: str = "max",
    thr: float = 0.2,
    display_numbers: bool = True,
    params: Any = None,
    cmap: str = "viridis",
) -> Any:
    """
    Draw the outlines of a fit, accepted and rejected (dashed) side by side if `idx` says which are accepted.

    Outlines are found anew for each `thr` (CaImAn keeps those of the first call).

    Parameters
    ----------
    estimates : Estimates
        With `A` and `dims`.
    img : ndarray of shape (d1, d2), optional
        Image below the outlines; default the mean footprint.
    idx : array of int, optional
        Accepted components.
    thr_method, thr : str, float
        See `get_contours`.
    display_numbers : bool
        Number the components, from 1 in each panel.
    params : CNMFParams, optional
        Adds the thresholds of the evaluation below the panels.
    cmap : str
        Colour map.

    Returns
    -------
    matplotlib.figure.Figure or None
        The figure; None in a notebook, where the cell shows it.
    """
    import matplotlib.pyplot as plt

    dims = image_of(estimates)
    image = background_image(img, estimates.A, dims)
    panels = [
        (f"{title} ({len(members)})", get_contours(estimates.A.tocsc()[:, members], dims, thr, thr_method))
        for title, members in panels_of(estimates, idx)
    ]
    numbered = None if display_numbers else 0
    fig = contour_still(
        panels, image, cmap=cmap, numbered=numbered, note=thresholds_note(params), new=plt.figure
    )
    describe(fig, outlines_alt(panels, image))
    return None if in_notebook() else fig


def outlines_alt(panels: list[tuple[str, list[dict[str, Any]]]], image: np.ndarray) -> str:
    """Say in words what a plot of outlines shows; `panels` has their titles and outlines."""
    kinds = [(len(outlines), title.split(" (")[0].lower().removesuffix("s")) for title, outlines in panels]
    what = " and ".join(counted(n, kind) for n, kind in kinds)
    return f"Outlines of {what} over an image of {image.shape[0]} x {image.shape[1]} pixels."


def thresholds_note(params: Any) -> str:
    """Word the thresholds of the evaluation, nothing without parameters."""
    if params is None:
        return ""
    quality = params.quality
    names = {"SNR": "min_SNR", "r": "rval_thr"}
    if quality.get("use_cnn"):
        names["CNN"] = "min_cnn_thr"
    return ", ".join(f"{label} threshold {quality[key]:g}" for label, key in names.items() if key in quality)


def view_quilt(
    template_image: np.ndarray,
    stride: int,
    overlap: int,
    color: Any = "white",
    alpha: float = 0.2,
    vmin: float | None = None,
    vmax: float | None = None,
    figsize: tuple[float, float] = (6.0, 6.0),
    ax: Any = None,
) -> Any:
    """
    Show how an image is cut into overlapping patches; overlaps look brighter.

    Parameters
    ----------
    template_image : ndarray of shape (d1, d2)
        Image below the patches.
    stride : int
        Distance between the starts of patches, pixels.
    overlap : int
        Pixels that neighbours share; a patch is `stride + overlap` wide.
    color, alpha : colour and float
        Of the patches.
    vmin, vmax : float, optional
        Limits of the image; default its 1st and 99th percentile.
    figsize : tuple of float
        Size in inches if `ax` isn't given.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        The axes that were drawn on.
    """
    import matplotlib.pyplot as plt

    image = as_dense_image(template_image)
    if ax is None:
        _, ax = plt.subplots(figsize=figsize)
    low, high = image_limits(image)
    limits = (low if vmin is None else vmin, high if vmax is None else vmax)
    _draw_quilt(ax, image, stride, overlap, color, alpha, "gray", limits)
    shape = f"{image.shape[0]} x {image.shape[1]}"
    describe(
        ax.figure, f"An image of {shape} pixels under {len(ax.patches)} patches {overlap} pixels overlapping."
    )
    return ax


def _draw_quilt(
    ax: Any, image: np.ndarray, stride: int, overlap: int, color: Any, alpha: float, cmap: str, limits: Any
) -> None:
    """Draw an image and the patches over it."""
    from matplotlib.patches import Rectangle

    ax.imshow(image, cmap=cmap, clim=limits)
    width = stride + overlap
    height, across = min(width, image.shape[0]), min(width, image.shape[1])
    for row in patch_starts(image.shape[0], width, stride):
        for col in patch_starts(image.shape[1], width, stride):
            ax.add_patch(
                Rectangle((col - 0.5, row - 0.5), across, height, color=color, alpha=alpha, linewidth=0)
            )


def quilt_still(
    image: np.ndarray, stride: int, overlap: int, color: Any, alpha: float, cmap: str, title: str
) -> Any:
    """Draw what `view_quilt` draws, on a figure of its own that pyplot doesn't know."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 6.4), layout="constrained")
    ax = figure.subplots()
    _draw_quilt(ax, image, stride, overlap, color, alpha, cmap, image_limits(image))
    ax.set_title(title, fontsize=10)
    return figure


def patch_starts(size: int, width: int, stride: int) -> list[int]:
    """First pixel of each patch along one axis; the last patch ends with the image."""
    last = max(size - width, 0)
    return [*range(0, last, max(int(stride), 1)), last]


def inspect_correlation_pnr(correlation_image_pnr: np.ndarray, pnr_image: np.ndarray) -> Any:
    """
    Show the correlation and the PNR image with sliders for their limits.

    The sliders move where matplotlib is interactive (a window, or `%matplotlib widget`); other notebooks show
    the images between their 1st and 99th percentile.

    Parameters
    ----------
    correlation_image_pnr : ndarray of shape (d1, d2)
        Correlation image.
    pnr_image : ndarray of shape (d1, d2)
        Peak-to-noise ratio.

    Returns
    -------
    matplotlib.figure.Figure or None
        The figure, which keeps its sliders alive; None in a notebook, where the cell shows it.
    """
    import matplotlib.pyplot as plt
    from matplotlib.widgets import RangeSlider

    images = {"Correlation": as_dense_image(correlation_image_pnr), "PNR": as_dense_image(pnr_image)}
    fig, axes = plt.subplots(1, 2, figsize=(11, 5.5))
    fig.subplots_adjust(left=0.04, right=0.96, bottom=0.16, top=0.92, wspace=0.15)
    fig.limit_sliders = []
    for place, (ax, (title, image)) in enumerate(zip(axes, images.items())):
        drawn = ax.imshow(image, cmap="viridis", clim=image_limits(image))
        ax.set_title(title)
        fig.colorbar(drawn, ax=ax, fraction=0.046, pad=0.02)
        if in_notebook() and not is_interactive(fig):
            continue  # a picture of a slider would only look as if it moved
        track = fig.add_axes((0.12 + 0.48 * place, 0.05, 0.26, 0.03))
        span = image_limits(image, 0, 100)
        slider = RangeSlider(track, "limits", *span, valinit=image_limits(image))
        slider.on_changed(lambda limits, drawn=drawn: drawn.set_clim(*limits))
        fig.limit_sliders.append(slider)
    shape = " x ".join(str(n) for n in images["PNR"].shape)
    describe(fig, f"The correlation image and the PNR image, {shape} pixels.")
    return None if in_notebook() else fig
