"""Registration of movies: shifts of frames from a template, rigid or in patches, and how well it went."""

from __future__ import annotations

from cnmf_engine.stages.registration.estimator import ShiftEstimator
from cnmf_engine.stages.registration.grid import PatchGrid, patch_grid
from cnmf_engine.stages.registration.guides import Guide
from cnmf_engine.stages.registration.piecewise import PiecewiseResult, register_piecewise, warp
from cnmf_engine.stages.registration.quality import RegistrationQuality, registration_quality
from cnmf_engine.stages.registration.rigid import RigidResult, register_rigid
from cnmf_engine.stages.registration.templates import high_pass, high_pass_filter_space, match_filter
from cnmf_engine.stages.registration.warping import apply_shifts

__all__ = [
    "Guide",
    "PatchGrid",
    "PiecewiseResult",
    "RegistrationQuality",
    "RigidResult",
    "ShiftEstimator",
    "apply_shifts",
    "high_pass",
    "high_pass_filter_space",
    "match_filter",
    "patch_grid",
    "register_piecewise",
    "register_rigid",
    "registration_quality",
    "warp",
]
