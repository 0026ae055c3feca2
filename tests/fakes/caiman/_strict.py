"""Let callers from outside see only what CaImAn has."""

from __future__ import annotations

import functools
import inspect
import os
import sys

# The engine itself, and what copies and pickles objects, may see everything.
_INSIDE = ("cnmf_engine", "caiman", "copy", "inspect", "functools")


def deviates(how):
    return how in os.environ.get("STAND_IN_DEVIATES", "").split(",")


def takes(signature, function):
    """Give a function CaImAn's signature: other arguments are a TypeError, the rest is passed on by name."""
    wanted = inspect.signature(eval(f"lambda {signature}: None", {"inf": float("inf"), "slice": slice}))

    @functools.wraps(function)
    def caller(*args, **kwargs):
        return function(**wanted.bind(*args, **kwargs).arguments)

    caller.__signature__ = wanted
    return caller


class Strict:
    """A class whose instances show only the attributes in `allowed` to callers from outside the engine."""

    allowed = frozenset()

    def __getattribute__(self, name):
        if not name.startswith("__") and name not in type(self).allowed:
            caller = sys._getframe(1).f_globals.get("__name__", "")
            if caller.split(".")[0] not in _INSIDE:
                raise AttributeError(f"CaImAn's {type(self).__name__} has no attribute {name!r}")
        return super().__getattribute__(name)
