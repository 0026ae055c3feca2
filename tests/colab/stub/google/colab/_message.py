"""What Colab's page answers to its kernel."""

from __future__ import annotations


class MessageError(Exception):
    """The page says no. Colab derives it from Exception directly."""
