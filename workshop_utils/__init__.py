"""What the lessons need around the engine: movies, sessions, figures, sliders, reports, a command."""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.1.0"
