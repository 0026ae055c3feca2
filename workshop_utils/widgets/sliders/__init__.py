"""
Sliders for the two choices that decide a result: where to look for cells, and which components to keep.

Each widget is a thin layer: a pure function turns thresholds into a view, a function of
`workshop_utils.figures` draws it, and the widget joins them. A headless run leaves the figure of the values.
"""

from __future__ import annotations

from cnmf_engine.stages.cell_evidence import find_cells
from cnmf_engine.stages.cell_size import CellSize, cell_size
from workshop_utils.measures.thresholds import (
    SliderRange,
    SliderRanges,
    Thresholds,
    TunerView,
    no_cells,
    seed_pixels,
    slider_ranges,
    suggest_thresholds,
    tuner_view,
)
from workshop_utils.widgets.sliders.decisions import ExplorerView, explorer_view, split_components
from workshop_utils.widgets.sliders.explorer import EvaluationExplorer, evaluation_explorer
from workshop_utils.widgets.sliders.tuner import CorrPnrTuner, corr_pnr_tuner

__all__ = [
    "CellSize",
    "CorrPnrTuner",
    "EvaluationExplorer",
    "ExplorerView",
    "SliderRange",
    "SliderRanges",
    "Thresholds",
    "TunerView",
    "cell_size",
    "find_cells",
    "corr_pnr_tuner",
    "evaluation_explorer",
    "explorer_view",
    "no_cells",
    "seed_pixels",
    "slider_ranges",
    "split_components",
    "suggest_thresholds",
    "tuner_view",
]
