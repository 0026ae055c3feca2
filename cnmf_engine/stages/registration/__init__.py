"""Registration of movies: shifts of frames from a template, rigid or in patches, and how well it went."""

from __future__ import annotations

from cnmf_engine.stages.registration.estimator import ShiftEstimator
from cnmf_engine.stages.registration.grid import PatchGrid, patch_grid
from cnmf_engine.stages.registration.guides import Guide
from cnmf_engine.stages.registration.quality import RegistrationQuality, registration_quality
from cnmf_engine.stages.registration.register import Limits, Passes, Pieces, Registration, register
from cnmf_engine.stages.registration.templates import Filter, high_pass, high_pass_filter_space, match_filter
from cnmf_engine.stages.registration.warping import apply_shifts, warp

__all__ = [
    "Filter",
    "Guide",
    "Limits",
    "PatchGrid",
    "Passes",
    "Pieces",
    "Registration",
    "RegistrationQuality",
    "ShiftEstimator",
    "apply_shifts",
    "high_pass",
    "high_pass_filter_space",
    "match_filter",
    "patch_grid",
    "register",
    "registration_quality",
    "warp",
]
