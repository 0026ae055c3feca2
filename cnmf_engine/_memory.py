"""How much memory results and whole tasks may take, as opposed to the blocks that a stage works in."""

from __future__ import annotations

import os

from cnmf_engine.blocks import MEMORY_VARIABLE, free_memory, memory_budget

__all__ = ["memory_room"]


def memory_room(memory_limit: int | float | str | None = None, part: float = 0.25) -> int:
    """
    Tell how many bytes something may take that can't be made smaller by working in shorter blocks.

    Parameters
    ----------
    memory_limit : int, float or str, optional
        What the user said, see `cnmf_engine.blocks.memory_budget`; the environment variable counts too.
    part : float
        Part of the free memory that is taken if nobody said anything.

    Returns
    -------
    int
        Bytes.
    """
    if memory_limit is not None or os.environ.get(MEMORY_VARIABLE, "").strip():
        return memory_budget(memory_limit)
    return int(part * free_memory())
