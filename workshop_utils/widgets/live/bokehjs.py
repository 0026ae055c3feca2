"""Where a widget gets BokehJS from: the internet, or the kernel's own installation of bokeh."""

from __future__ import annotations

from cnmf_engine.view.resources import CORE, address_of, bokeh_resources, installed_script

__all__ = ["bokehjs_file", "bokehjs_url"]


def bokehjs_url() -> str:
    """
    Give the address of the BokehJS that goes with the installed bokeh.

    Returns
    -------
    str
        Empty where the kernel has to send it: there is no internet, or ``BOKEH_RESOURCES`` says ``inline``.
    """
    resources = bokeh_resources((CORE,))
    return address_of(resources, CORE) if resources.mode == "cdn" else ""


def bokehjs_file() -> bytes:
    """
    Read the BokehJS that goes with the installed bokeh.

    Returns
    -------
    bytes
        A script that sets `window.Bokeh`.
    """
    return installed_script(CORE)
