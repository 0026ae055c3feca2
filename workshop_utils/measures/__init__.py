"""
Measure a raw recording, derive parameters from what was measured, and compare sets of parameters.

Lesson 7 uses it for recordings that nobody chose parameters for. Each function takes arrays and returns a
named result that prints as text with units.
"""

from __future__ import annotations

from workshop_utils.measures.compare import Comparison, SetResult, compare
from workshop_utils.measures.excerpt import Excerpt, excerpt
from workshop_utils.measures.health import Health, health
from workshop_utils.measures.motion import Motion, choose_width, motion, quadrants
from workshop_utils.measures.noise import Averaging, Noise, noise
from workshop_utils.measures.rate import Decay, Times, decay, find_rate, read_times
from workshop_utils.measures.size import Size, cell_profile, size
from workshop_utils.measures.suggestion import Suggestion, suggest

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
    "excerpt",
    "find_rate",
    "health",
    "motion",
    "noise",
    "quadrants",
    "read_times",
    "size",
    "suggest",
]
