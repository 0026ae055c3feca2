"""
The lessons' figures: one figure a function, from arrays to a figure that the cell shows by itself.

A figure is shown when it is the last value of a cell (or is given to `display`), once, with a description in
words as the picture's alternative text. `figure.savefig` and everything else of matplotlib's `Figure` work as
usual.
"""

from __future__ import annotations

from workshop_utils.figures.anatomy import pixel_anatomy
from workshop_utils.figures.base import LessonFigure
from workshop_utils.figures.cnmfe import decomposition, patch_quilt, ring_figure
from workshop_utils.figures.components import contours, traces
from workshop_utils.figures.deconvolution import deconvolution_figure
from workshop_utils.figures.evaluation import (
    component_anatomy,
    decision_figure,
    implausible_figure,
    score_bars,
    snr_r_scatter,
)
from workshop_utils.figures.exposure import exposure_figure
from workshop_utils.figures.images import filter_preview, kernel_figure, stage_strip, summary_pair
from workshop_utils.figures.motion import (
    before_after,
    motion_quality,
    patch_shifts_plot,
    shift_comparison,
    shifts_plot,
    template_figure,
)
from workshop_utils.figures.motion_left import motion_left_figure
from workshop_utils.figures.movies import background_figure, movie_frames, movie_strip
from workshop_utils.figures.pipeline import pipeline_figure
from workshop_utils.figures.recording import (
    decay_figure,
    health_figure,
    motion_figure,
    noise_figure,
    size_figure,
)
from workshop_utils.figures.scores import fits_pair, score_map
from workshop_utils.figures.seeds import corr_pnr_figure, histograms, thresholds_pair
from workshop_utils.figures.stages import stages_figure
from workshop_utils.figures.stitching import stitching_figure

__all__ = [
    "LessonFigure",
    "background_figure",
    "before_after",
    "component_anatomy",
    "contours",
    "corr_pnr_figure",
    "decay_figure",
    "decision_figure",
    "decomposition",
    "deconvolution_figure",
    "exposure_figure",
    "filter_preview",
    "fits_pair",
    "health_figure",
    "histograms",
    "implausible_figure",
    "kernel_figure",
    "motion_figure",
    "motion_left_figure",
    "motion_quality",
    "movie_frames",
    "movie_strip",
    "noise_figure",
    "patch_quilt",
    "patch_shifts_plot",
    "pipeline_figure",
    "pixel_anatomy",
    "ring_figure",
    "score_bars",
    "score_map",
    "shift_comparison",
    "shifts_plot",
    "size_figure",
    "snr_r_scatter",
    "stage_strip",
    "stages_figure",
    "stitching_figure",
    "summary_pair",
    "template_figure",
    "thresholds_pair",
    "traces",
]
