"""
Measure a raw recording, derive parameters from what was measured, and compare sets of parameters.

Lesson 7 uses it for recordings that nobody chose parameters for. Each function takes arrays and returns a
named result that prints as text with units.
"""

from __future__ import annotations

from workshop_utils.recording.compare import Comparison, SetResult, compare
from workshop_utils.recording.excerpt import Excerpt, excerpt

__all__ = ["Comparison", "Excerpt", "SetResult", "compare", "excerpt"]
