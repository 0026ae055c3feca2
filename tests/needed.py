"""Leaving out tests that need what isn't here."""

from __future__ import annotations

import os

import pytest


def missing(what: str):
    """Skip where somebody works without it; in CI nothing may be left out unnoticed."""
    if os.environ.get("CI"):
        pytest.fail(what, pytrace=False)
    pytest.skip(what)
