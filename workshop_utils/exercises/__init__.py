"""
Checks of the lessons' exercises: each takes a learner's answer and says what is right, or what to look at.

A check never stops a notebook. It gives a `Verdict`, which shows itself as the last value of a cell.
"""

from __future__ import annotations

from workshop_utils.exercises.evaluation import beat, count_above
from workshop_utils.exercises.fit import one_change, patch_half_width
from workshop_utils.exercises.motion import failing_width, most_moved
from workshop_utils.exercises.mount_data import binned_rate, point_out
from workshop_utils.exercises.own import cell_diameter, own_set
from workshop_utils.exercises.saving import event_table, time_of_peak
from workshop_utils.exercises.seeds import count_passing, thresholds
from workshop_utils.exercises.verdict import Verdict

__all__ = [
    "Verdict",
    "beat",
    "binned_rate",
    "cell_diameter",
    "count_above",
    "count_passing",
    "event_table",
    "failing_width",
    "most_moved",
    "one_change",
    "own_set",
    "patch_half_width",
    "point_out",
    "thresholds",
    "time_of_peak",
]
