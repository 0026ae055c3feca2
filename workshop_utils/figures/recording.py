"""Lesson 7's figures: what was measured in a recording."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from workshop_utils.figures.base import (
    COLORS,
    LessonFigure,
    as_image,
    image_height,
    message_figure,
    new_figure,
    show_image,
    styled,
)
from workshop_utils.measures.size import brightest_spots, cell_profile

if TYPE_CHECKING:
    from workshop_utils.measures.health import Health
    from workshop_utils.measures.motion import Motion
    from workshop_utils.measures.noise import Noise
    from workshop_utils.measures.rate import Decay

__all__ = ["decay_figure", "health_figure", "motion_figure", "noise_figure", "size_figure"]


@styled
def health_figure(movie: Any, health: Health) -> LessonFigure:
    """
    Show a frame with the pixels that were cut off, and the brightness over time with odd frames marked.

    Parameters
    ----------
    movie : array of shape (T, d1, d2)
        The recording.
    health : Health
        What was found in it.

    Returns
    -------
    LessonFigure
        Two panels.
    """
    frame = np.nan_to_num(np.asarray(movie[len(movie) // 2], dtype=np.float32))
    figure, axes = new_figure(1, 2, (10.0, 3.6), width_ratios=(1, 2))
    image, line = axes[0]
    show_image(image, frame, f"frame {len(movie) // 2}", cmap="gray")
    cut = np.argwhere(health.top_pixels)
    if len(cut):
        image.scatter(cut[:, 1], cut[:, 0], s=6, c=COLORS["second"], marker="s", linewidths=0)
        image.set_xlabel(f"orange: {len(cut)} px that were cut off")
    times = np.arange(len(movie)) / health.fr
    line.plot(times, health.brightness, color=COLORS["line"], lw=0.8)
    marks = {"duplicates": "o", "blank": "v", "jumps": "|", "damaged": "x"}
    odd = [(name, mark, getattr(health, name)) for name, mark in marks.items()]
    for name, mark, frames in odd:
        if len(frames):
            line.plot(
                times[frames], health.brightness[frames], mark, ms=8, color=COLORS["second"], label=name
            )
    line.set(xlabel="time (s)", ylabel="mean brightness (grey levels)", title="each frame's brightness")
    line.margins(x=0.01)
    if any(len(frames) for *_, frames in odd):
        line.legend()
    found = ", ".join(f"{len(frames)} {name}" for name, _, frames in odd if len(frames))
    figure.alt = (
        f"A frame of the recording and the mean brightness of its {len(movie)} frames over "
        f"{len(movie) / health.fr:.0f} s, marked: {found or 'nothing, all frames look alike'}; "
        f"{len(cut)} pixels were cut off at the top."
    )
    return figure


@styled
def motion_figure(motion: Motion, fr: float, quadrants: Any = ()) -> LessonFigure:
    """
    Show the course of the movement, and that of the four quadrants.

    Parameters
    ----------
    motion : Motion
        What was measured.
    fr : float
        Frames a second, Hz.
    quadrants : sequence of arrays of shape (T, 2)
        Shifts found in the quadrants on their own.

    Returns
    -------
    LessonFigure
        Rows above columns: the whole field in blue, quadrants in grey dashes.
    """
    figure, axes = new_figure(2, 1, (10.0, 4.4), sharex=True)
    times = np.arange(len(motion.course)) / fr
    for axis, (ax, name) in enumerate(zip(axes[:, 0], ("rows", "columns"))):
        for k, part in enumerate(quadrants):
            course = np.asarray(part)[:, axis] - np.median(np.asarray(part)[:, axis])
            label = "quadrants" if k == 0 else None
            ax.plot(times[: len(course)], course, "--", color="0.55", lw=0.7, label=label)
        ax.plot(times, motion.course[:, axis], color=COLORS["line"], lw=1.0, label="whole field")
        for limit in (-motion.max_shift, motion.max_shift):
            ax.axhline(limit, color=COLORS["second"], ls=":", lw=1.2)
        ax.set(ylabel=f"{name} (px)")
        ax.margins(x=0.01)
    limit = f"suggested limit, {motion.max_shift} px"
    if not motion.measured:
        limit = f"usual limit, {motion.max_shift} px, as parts of the field don't agree on a movement"
    axes[0, 0].set_title(f"shifts; dotted: the {limit}")
    axes[0, 0].legend(loc="upper right", ncols=2, frameon=True)
    axes[1, 0].set_xlabel("time (s)")
    apart = f", quadrants {motion.apart_px:.2f} px apart" if np.isfinite(motion.apart_px) else ""
    figure.alt = (
        f"Shifts of rows and columns over time, up to {motion.reach_px:.1f} px from the usual place, inside "
        f"the suggested limit of {motion.max_shift} px{apart}."
        if motion.measured
        else "Shifts of rows and columns over time that jump about, and those of the quadrants, which agree "
        f"in only {motion.seen:.0%} of the frames; dotted lines at the {limit}."
    )
    return figure


@styled
def decay_figure(decay: Decay) -> LessonFigure:
    """
    Show the median transient from its peak on, and the exponential that fits it.

    Parameters
    ----------
    decay : Decay
        What was measured.

    Returns
    -------
    LessonFigure
        One panel, in frames below and seconds above.
    """
    if not np.isfinite(decay.frames):
        return message_figure(str(decay))
    figure, axes = new_figure(1, 1, (7.0, 3.4))
    ax = axes[0, 0]
    frames = np.arange(len(decay.mean))
    ax.plot(frames, decay.mean, "o-", ms=4, color=COLORS["line"], label="median transient")
    base = float(np.median(decay.mean[len(frames) // 2 :]))
    start = float(decay.mean[1]) - base
    for tau, style, label in (
        (decay.frames, "-", f"time constant {decay.frames:.1f} frames"),
        (decay.low, ":", f"range: {decay.low:.1f} to {decay.high:.1f} frames"),
        (decay.high, ":", None),
    ):
        curve = base + start * np.exp(-(frames[1:] - 1) / tau)
        ax.plot(frames[1:], curve, style, color=COLORS["second"], label=label)
    ax.set(xlabel="frames after the peak", ylabel="brightness (peak = 1)", title=f"{decay.events} transients")
    above = ax.secondary_xaxis("top", functions=(lambda t: t / decay.fr, lambda t: t * decay.fr))
    above.set_xlabel(f"s, if the rate is {decay.fr:g} Hz")
    ax.legend()
    figure.alt = (
        f"Median of {decay.events} transients from the peak on, falling with a time constant of "
        f"{decay.frames:.1f} frames, {decay.seconds:.2f} s at {decay.fr:g} Hz."
    )
    return figure


@styled
def size_figure(image: Any, gSig: int) -> LessonFigure:
    """
    Put circles of half, the right and the double size on the brightest spots, and a line through one of them.

    Parameters
    ----------
    image : array of shape (d1, d2)
        Correlation image.
    gSig : int
        The suggested width, px. Circles have a diameter of four times it.

    Returns
    -------
    LessonFigure
        Three images and a profile.
    """
    image = as_image(image)
    spots = brightest_spots(image, 25, gSig)
    figure, axes = new_figure(2, 2, (9.6, 2 * image_height(image.shape, 4.6, 0.3)))
    low, high = np.percentile(image, (5, 99.9))
    high = max(high + 0.25 * (high - low), low + 1e-6)  # so that circles stand out on what is brightest
    sizes = (("too small", gSig / 2), ("suggested", gSig), ("too large", 2 * gSig))
    for ax, (label, width) in zip(axes.ravel(), sizes):
        show_image(ax, image, f"{label}: gSig {width:g}, circles {4 * width:g} px wide", (low, high), "gray")
        _circles(ax, spots, 2 * width, COLORS["accepted" if label == "suggested" else "rejected"])
    ax = axes[1, 1]
    if len(spots):
        lines = [cell_profile(image, spot) for spot in spots[:8]]
        for k, (distance, profile, _) in enumerate(lines):
            ax.plot(distance, profile, color="0.75", lw=0.8, label="eight spots" if k == 0 else None)
        length = min(len(profile) for _, profile, _ in lines)
        middle = np.median([profile[:length] for _, profile, _ in lines], axis=0)
        ax.plot(np.arange(length), middle, color=COLORS["line"], lw=2, label="their median")
        ax.axvline(2 * gSig, color=COLORS["second"], ls="--", label=f"radius of the circles, {2 * gSig} px")
        ax.legend()
    ax.set(xlabel="distance from the spot's middle (px)", ylabel="correlation", title="lines through cells")
    figure.alt = (
        f"Circles on the {len(spots)} clearest spots of the correlation image: half the suggested width, the "
        f"suggested gSig of {gSig} px, and twice that; and line profiles through eight spots."
    )
    return figure


def _circles(ax: Any, places: np.ndarray, radius: float, color: str) -> None:
    """Draw circles of a size in pixels of the image."""
    from matplotlib.collections import EllipseCollection

    widths = np.full(len(places), 2 * radius)
    circles = EllipseCollection(
        widths,
        widths,
        np.zeros(len(places)),
        units="xy",
        offsets=places[:, ::-1],
        offset_transform=ax.transData,
        facecolors="none",
        edgecolors=color,
        linewidths=1.3,
    )
    ax.add_collection(circles)


@styled
def noise_figure(noise: Noise) -> LessonFigure:
    """
    Show each pixel's noise, and how it grows with brightness.

    Parameters
    ----------
    noise : Noise
        What was measured.

    Returns
    -------
    LessonFigure
        An image, and variance against brightness.
    """
    figure, axes = new_figure(1, 2, (10.0, 3.8))
    show_image(axes[0, 0], noise.per_pixel, "noise of each pixel", bar="grey levels")
    ax = axes[0, 1]
    good = (noise.level_at > 0) & (noise.variance_at > 0)
    level, variance = noise.level_at[good], noise.variance_at[good]
    ax.plot(level, variance, "o", color=COLORS["line"], label="pixels of similar brightness")
    if len(level) > 1:
        middle = np.exp(np.mean(np.log(level))), np.exp(np.mean(np.log(variance)))
        # From zero: light without a camera's black level has no noise where there is no light.
        line = np.array([0.0, level.max()])
        ax.plot(line, middle[1] * line / middle[0], "--", color=COLORS["second"], label="photons alone")
        ax.legend()
    ax.set(
        xlabel="brightness (grey levels)", ylabel="variance of the noise", title="does it come from light?"
    )
    power = (
        f"to the power {round(noise.slope, 1) + 0.0:.1f}" if np.isfinite(noise.slope) else "in an unknown way"
    )
    figure.alt = (
        f"The noise of each pixel, {noise.level:.2f} grey levels in the median, and its variance, which "
        f"grows with brightness {power}; a dashed line shows what photons alone would do."
    )
    return figure
