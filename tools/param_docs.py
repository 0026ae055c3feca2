"""Write docs/parameters.md from the table of parameters: ``python tools/param_docs.py``."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from cnmf_engine.caiman.param_table import ALIASES, GROUPS
from cnmf_engine.caiman.params import Row, clean, rows

TARGET = Path(__file__).resolve().parents[1] / "docs" / "parameters.md"

_TITLES = {
    "data": "The recording",
    "patch": "Patches",
    "preprocess": "Noise",
    "init": "Initialisation and background",
    "spatial": "Footprints",
    "temporal": "Traces",
    "merging": "Merging",
    "quality": "Evaluation",
    "motion": "Motion correction",
    "online": "Online analysis",
    "ring_CNN": "Background network",
}

_INTRODUCTION = """# Parameters

Made from the parameter table by `python tools/param_docs.py`; change the table, not this page.

Names, groups and defaults are CaImAn's, with one exception: `use_cnn` is off, because the embedded engine has
no classifier. Set a value by name, `opts.change_params({"min_corr": 0.9})`, or by group,
`opts.change_params({"init": {"min_corr": 0.9}})`. A name that several groups share is set in all of them when
given alone. A wrong name, type or range is an error that says what was meant, and changes nothing.

Values that follow from others until they are set: `gSiz` from `gSig`; `dims`, `splits_rig` and `splits_els`
from the movie in `fnames`; `N_samples_exceptionality` from `fr` and `decay_time`; `thresh_fitness_raw` from
`min_SNR`. Set one to None to let it follow again.

The ring model of the background (`nb` 0) sets `nb_patch` to the same value, `low_rank_background` to None and
`normalize_init` to False.

"Limits" are refused when crossed; "slider" is what is sensible: least, greatest, step.
"""


def _value(entry: Row) -> str:
    value = clean(entry, entry.default)
    if isinstance(value, np.ndarray):
        return f"{' x '.join(map(str, value.shape))} diamond"
    if isinstance(value, tuple) and value and isinstance(value[0], slice):
        return "all"
    if isinstance(value, float) and math.isinf(value):
        return "inf"
    return f"`{value!r}`"


def _kind(entry: Row) -> str:
    names = {
        "axes": "per axis",
        "axes-int": "per axis, whole",
        "int|axes-int": "whole, or per axis",
        "int": "whole number",
        "float": "number",
        "floats": "numbers",
        "bool": "True/False",
        "str": "text",
        "strs": "texts",
        "names": "file(s)",
        "dict": "dictionary",
        "bool|int": "True/False, or whole number",
        "size": "bytes, or text",
        "seeds": "word, or rows and columns",
    }
    kind = entry.kind.rstrip("?")
    text = ", ".join(f"`{choice!r}`" for choice in entry.choices) if entry.choices else names.get(kind, kind)
    return f"{text} or None" if entry.optional else text


def _line(entry: Row) -> str:
    slider = ", ".join(f"{number:g}" for number in entry.slider) if entry.slider else ""
    limits = entry.limits and f"`{entry.limits}`"
    cells = (
        f"`{entry.key}`",
        _value(entry),
        _kind(entry),
        limits,
        slider,
        entry.unit,
        entry.stage,
        entry.meaning,
    )
    return "| " + " | ".join(cells) + " |"


def render() -> str:
    """
    Write the page.

    Returns
    -------
    str
        Markdown.
    """
    older = ", ".join(f"`{old}` for `{new}`" for old, new in ALIASES.items())
    parts = [_INTRODUCTION, f"Older names still work: {older}.\n"]
    for group in GROUPS:
        parts.append(f"## `{group}`: {_TITLES[group]}\n")
        used = [entry for entry in rows(group) if entry.stage != "compatibility"]
        kept = [f"`{entry.key}` ({_value(entry)})" for entry in rows(group) if entry not in used]
        if used:
            parts.append("| key | default | kind | limits | slider | unit | stage | meaning |")
            parts.append("|---|---|---|---|---|---|---|---|")
            parts.extend([*map(_line, used), ""])
        if kept:
            parts.append(f"Kept for CaImAn's files and code, and not used: {', '.join(kept)}.\n")
    return "\n".join(parts)


def main() -> None:
    """Write the page to its place."""
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(render(), encoding="utf-8")


if __name__ == "__main__":
    main()
