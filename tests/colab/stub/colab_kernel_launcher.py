"""Start a kernel as Colab does: with its package imported before the first cell."""

from __future__ import annotations

import google.colab  # noqa: F401

if __name__ == "__main__":
    from ipykernel import kernelapp

    kernelapp.launch_new_instance()
