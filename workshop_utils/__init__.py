"""Helpers that keep the lessons short."""
