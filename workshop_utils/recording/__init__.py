"""
Measure a raw recording, derive parameters from what was measured, and compare sets of parameters.

Lesson 7 uses it for recordings that nobody chose parameters for. Each function takes arrays and returns a
named result that prints as text with units.
"""

from __future__ import annotations

from workshop_utils.recording.compare import Comparison, SetResult, compare
from workshop_utils.recording.excerpt import Excerpt, excerpt
from workshop_utils.recording.figures import (
    decay_figure,
    health_figure,
    motion_figure,
    noise_figure,
    size_figure,
)
from workshop_utils.recording.health import Health, health
from workshop_utils.recording.motion import Motion, choose_width, motion, quadrants
from workshop_utils.recording.noise import Averaging, Noise, noise
from workshop_utils.recording.rate import Decay, Times, decay, find_rate, read_times
from workshop_utils.recording.size import Size, cell_profile, size
from workshop_utils.recording.suggestion import Suggestion, suggest

__all__ = [
    "Averaging",
    "Comparison",
    "Decay",
    "Excerpt",
    "Health",
    "Motion",
    "Noise",
    "SetResult",
    "Size",
    "Suggestion",
    "Times",
    "cell_profile",
    "choose_width",
    "compare",
    "decay",
    "decay_figure",
    "excerpt",
    "find_rate",
    "health",
    "health_figure",
    "motion",
    "motion_figure",
    "noise",
    "noise_figure",
    "quadrants",
    "read_times",
    "size",
    "size_figure",
    "suggest",
]
