"""The rules of `test_prose.py` find what is wrong, and leave alone what is right."""

from __future__ import annotations

import re

import pytest
from prose import SOURCES, Passage, read
from prose_names import known_to, positional, unknown
from prose_values import NUMBER, Code, same, statements, table_values
from test_prose import unit_problem, wrong_row, wrong_units, wrong_value


def said(text: str) -> list[tuple]:
    return [(s.name, s.value, s.kind, s.direction) for block in read(text) for s in statements(block)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The guess is `min_corr` 0.85 and `min_pnr` 12.", [("min_corr", 0.85), ("min_pnr", 12)]),
        ("`nb = 0` switches it on; `use_cnn\n= False`", [("nb", 0), ("use_cnn", False)]),
        ("a `gSig` of 3 px, with `max_shifts` (5, 5)", [("gSig", 3), ("max_shifts", (5, 5))]),
        ("`gSig_filt` 3, 6 and 11 do", [("gSig_filt", 3), ("gSig_filt", 6), ("gSig_filt", 11)]),
        ("`rf` from 40 to 20", [("rf", 40), ("rf", 20)]),
        ("`change_params({'min_SNR': 2.5})`, `f(K=None)`", [("min_SNR", 2.5), ("K", None)]),
        ("`border_nan` is 'copy', and `only_init` is `True`", [("border_nan", "copy"), ("only_init", True)]),
        ("min_pnr 12 without backticks", [("min_pnr", 12)]),
        ("`cn`, 0 to 1; `C` (K, T); `p` for 2 of them; lesson 3; `rf` 3-4 cells; `A` 3D", []),
    ],
)
def test_statements_are_found(text, expected):
    assert [(name, value) for name, value, _, _ in said(text)][: len(expected) + 1] == expected


def test_advice_is_told_from_statement():
    assert said("lower `min_SNR` to 2")[0][2:] == ("advises", -1)
    assert said("Raise `rf` to 60.")[0][2:] == ("advises", 1)
    assert said("If in doubt, it is `p` 2")[0][2] == "advises"
    assert said("If it fails, stop. Here `p` 2")[0][2] == "states"
    assert said("With `motion_correct = False` it is left out")[0][2] == "advises"
    assert said("With `rf = 30` it is left out")[0][2] == "states"
    assert said("## When it goes wrong\n\n- `use_cnn` is True")[0][2] == "advises"


LESSON = """
gSig = 3
widths = (3, 6)
for g in widths:
    run(gSig_filt=(g, g))
fit({"gSiz": (2 * gSig + 1, 2 * gSig + 1), "rf": 40, "K": None, "nb": 0})
if opts.init["ssub"] == 2 or snr > 5:
    sliders.seed_pixels(cn, pnr, gSig, 0.8, 10)
"""


def test_code_says_which_values_names_have():
    code = Code(LESSON, positional)
    assert code.stated["gSig_filt"] == [(3, 3), (6, 6)]
    assert code.keyed["gSiz"] == [(7, 7)] and same(code.evaluate("2*gSig+1")[0], (7, 7))
    assert code.stated["snr"] == [5] and code.stated["ssub"] == [2]
    assert code.stated["min_corr"] == [0.8] and code.stated["min_pnr"] == [10]
    assert code.keyed["K"] == [None]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("`gSig` is 4 here", "but the code has 3"),
        ("`K` of 4", "but the code has None"),
        ("`gSig_filt` 3, 6 and 9", r"`gSig_filt` 9, but"),
        ("`nb = 2` is fine", "but the code has 0"),
        ("lower `rf` to 60", "isn't lower"),
        ("try `rf` -3", "isn't possible"),
        ("`min_corr` 0.9", "but the code has 0.8"),
        ("`fr` is 31 by default", "but the code has no value"),
    ],
)
def test_wrong_values_are_found(text, message):
    own = Code(LESSON, positional)
    found = [wrong_value(s, own, []) for block in read(text) for s in statements(block)]
    assert len(list(filter(None, found))) == 1
    assert re.search(message, "".join(found))


@pytest.mark.parametrize(
    "text",
    [
        "`gSig` 3",
        "`gSiz` is 7",
        "lower `rf` to 20",
        "try `gSig` 5",
        "`K` None",
        "`rf` is 40 px",
        "`fr` is 30 by default",
    ],
)
def test_right_values_pass(text):
    own = Code(LESSON, positional)
    assert [wrong_value(s, own, []) for block in read(text) for s in statements(block)] == [""]


def test_wrong_rows_are_found():
    head = "| key | value | meaning |\n|---|---|---|\n"
    right = (
        head + "| `rf` | 40 | a |\n| `gSiz` | 2*gSig+1 | b |\n| `K`, `nb` | None, 0 | c |\n"
        "| `min_corr` | lesson 3 | d |"
    )
    wrong = (
        right.replace("40", "30")
        .replace("2*gSig+1", "2*gSig")
        .replace("None", "4")
        .replace("lesson 3", "lesson 9")
    )
    own = Code(LESSON + "fit(rf=30)")  # another value in a call further down doesn't excuse the table
    for text, count in ((right, 0), (wrong, 4)):
        (table,) = [block for block in read(text) if not isinstance(block, Passage)]
        assert sum(bool(wrong_row(*row, own)) for row in table_values(table)) == count


@pytest.mark.parametrize(
    ("span", "lost"),
    [
        ("min_corr", []), ("min_cor", ["min_cor"]), ("cm.load", []), ("cm.laod", ["cm.laod"]),
        ("estimates.idx_components", []), ("estimates.idx_good", ["estimates.idx_good"]),
        ("A[:, k].toarray()", []), ("plots.no_such_figure(cn)", ["plots.no_such_figure"]),
        ("tools/build_notebooks.py", []), ("tools/no_such_tool.py", ["tools/no_such_tool.py"]),
        ("python -m pytest tests/no_such_test.py", ["tests/no_such_test.py"]),
        ("make run", []), ("make tea", ["make tea"]), ("workshop doctor", []),
        ("workshop party", ["workshop party"]),
        ("WORKSHOP_ENGINE=auto", []), ("WORKSHOP_MOTOR", ["WORKSHOP_MOTOR"]), ("opts.change_params", []),
        ("f(no_such_argument=1)", ["no_such_argument"]), ("'corr_pnr'", []), ("2 * rf + 1", []),
    ],
)  # fmt: skip
def test_unknown_names_are_found(span, lost):
    assert unknown(span, known_to(SOURCES[3]) | {"f"}) == lost


def test_wrong_units_are_found():
    def units(text: str) -> int:
        return sum(len(wrong_units(block)) for block in read(text))

    assert units("3 px, 10 Hz, 0.4 s, `3px`, 2D, the 1990s, 3.31 µm, 4 frames per second") == 0
    assert units("3px at 10 fps for 4 sec or 5s") == 4
    (unit,) = [unit_problem(s) for block in read("`decay_time` 0.4 px") for s in statements(block)]
    assert "its unit is s" in unit
    assert re.fullmatch(NUMBER, "-0.5")
