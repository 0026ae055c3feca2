"""What a run of lessons leaves and finds: the results folder, its report, and running lessons unattended."""

from __future__ import annotations

from workshop_utils.session.folder import MissingStep, Session, results_folder, start

__all__ = ["MissingStep", "Session", "results_folder", "start"]
