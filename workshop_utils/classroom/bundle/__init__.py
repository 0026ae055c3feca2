"""Everything an instructor puts on Drive, in one folder: make it, and open it as an attendee would."""

from __future__ import annotations

from workshop_utils.classroom.bundle.checking import check
from workshop_utils.classroom.bundle.making import build

__all__ = ["build", "check"]
