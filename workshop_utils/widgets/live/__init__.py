"""
Bokeh figures that the kernel keeps changing while they are on the screen.

A bokeh figure in a notebook is a picture once it is shown. `LivePlot` puts one into a widget, so that a
slider's handler can send it new data, whatever the front end is.
"""

from __future__ import annotations

from workshop_utils.widgets.live.plot import LivePlot

__all__ = ["LivePlot"]
