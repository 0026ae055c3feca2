"""
Look at a machine before the first lesson does, and say of each fault which command mends it.

This is what people run when things are broken: nothing here imports a library before it is asked about.
"""

from __future__ import annotations

from workshop_utils.classroom.doctor.checks import Check
from workshop_utils.classroom.doctor.examination import examine, show

__all__ = ["Check", "examine", "show"]
