"""
The lessons' figures: one figure a function, from arrays to a figure that the cell shows by itself.

A figure is shown when it is the last value of a cell (or is given to `display`), once, with a description in
words as the picture's alternative text. `figure.savefig` and everything else of matplotlib's `Figure` work as
usual.
"""

from __future__ import annotations

from workshop_utils.plots.anatomy import pixel_anatomy
from workshop_utils.plots.base import LessonFigure
from workshop_utils.plots.cnmfe import decomposition, patch_quilt, ring_figure
from workshop_utils.plots.components import contours, traces
from workshop_utils.plots.deconvolution import deconvolution_figure
from workshop_utils.plots.evaluation import (
    component_anatomy,
    decision_figure,
    implausible_figure,
    score_bars,
    snr_r_scatter,
)
from workshop_utils.plots.exposure import exposure_figure
from workshop_utils.plots.images import filter_preview, kernel_figure, stage_strip, summary_pair
from workshop_utils.plots.motion import (
    before_after,
    motion_quality,
    patch_shifts_plot,
    shift_comparison,
    shifts_plot,
    template_figure,
)
from workshop_utils.plots.motion_left import motion_left_figure
from workshop_utils.plots.movies import background_figure, movie_frames, movie_strip
from workshop_utils.plots.pipeline import pipeline_figure
from workshop_utils.plots.scores import fits_pair, score_map
from workshop_utils.plots.seeds import corr_pnr_figure, histograms, thresholds_pair
from workshop_utils.plots.stages import stages_figure
from workshop_utils.plots.stitching import stitching_figure

__all__ = [
    "LessonFigure",
    "background_figure",
    "before_after",
    "component_anatomy",
    "contours",
    "corr_pnr_figure",
    "decision_figure",
    "decomposition",
    "deconvolution_figure",
    "exposure_figure",
    "filter_preview",
    "fits_pair",
    "histograms",
    "implausible_figure",
    "kernel_figure",
    "motion_left_figure",
    "motion_quality",
    "movie_frames",
    "movie_strip",
    "patch_quilt",
    "patch_shifts_plot",
    "pipeline_figure",
    "pixel_anatomy",
    "ring_figure",
    "score_bars",
    "score_map",
    "shift_comparison",
    "shifts_plot",
    "snr_r_scatter",
    "stage_strip",
    "stages_figure",
    "stitching_figure",
    "summary_pair",
    "template_figure",
    "thresholds_pair",
    "traces",
]
