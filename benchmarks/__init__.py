"""Whole-run measurements of the pipeline: time, memory and accuracy."""
