"""
What the lessons say agrees with what they do: values of parameters, names in backticks, units.

The rule for values. Prose that gives a name a value (`min_pnr` 12, `nb = 0`, a row of a table) has to give
one that the code of the same lesson gives it: by assignment, keyword, key, comparison or position in a call.
Rows of a table of parameters are compared with what is passed on as keyword or key. A lesson that doesn't
set the name itself is compared with the other lessons. Allowed without being in the code is advice: a value
after try, set, lower, raise, reduce, increase, if, when, unless, suppose, such as, as in, for example; what
stands under "When it goes wrong" or in a command line; and True or False after "with". Advice has to be
possible (the engine takes the value), and "lower to" has to lead below the lesson's value.

The rule for names. What is in backticks exists: in the lesson's code, in the engine, in the helpers, as a
file, a command, an environment variable.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from prose import EVERYTHING, ROOT, SOURCES, Passage, name_of, passages, read, tables
from prose_names import in_code, known_to, lesson_code, nearest, positional, unknown
from prose_values import NUMBER, UNITS, Code, Statement, same, statements, table_values

from workshop_utils.notebook_files import parameters_of

#: Functions of R and MATLAB, which no code here can show to exist.
FOREIGN = {"h5read", "rhdf5"}
# A history isn't about today's values, and pages that a program makes are tested with that program.
STATING = [*SOURCES, *(path for path in EVERYTHING if path.name in ("README.md", "instructor.md"))]
NAMING = [path for path in EVERYTHING if path.name not in ("parameters.md", "CHANGELOG.md")]
_UNIT_WORDS = re.compile(
    r"(?<![\w.'\"-])\d{1,3}(?:\s?(?:pix|pxs|secs?|fps|hz|HZ|Px|msec|kb|mb|gb)|(?:px|Hz|µm|ms|s|MB|GB|kB))\b"
)


@pytest.fixture(scope="session")
def parameters() -> dict[str, list]:
    """The lessons' and the engine's parameters, with their defaults."""
    from cnmf_engine.params import rows

    found = {entry.key: [entry.default] for entry in rows()}
    for path in SOURCES:
        for name, value in declared(path).items():
            found.setdefault(name, []).append(value)
    return found


def declared(path: Path) -> dict[str, object]:
    """Read the parameters cell of a lesson's source."""
    from prose import cells

    text = next(cell.text for cell in cells(path) if "parameters" in cell.tags)
    return {name: values[0] for name, values in Code(text).stated.items() if values}


def codes(path: Path) -> tuple[Code, list[Code]]:
    """Give the code that a file's prose is about, and the code of all lessons."""
    everything = [lesson_code(source) for source in SOURCES]
    return (lesson_code(path) if path in SOURCES else Code("")), everything


def stated_in(name: str, own: Code, others: list[Code]) -> list:
    """List the values of a name: the lesson's own, or the other lessons'."""
    return list(own.stated.get(name, [])) or [value for code in others for value in code.stated.get(name, [])]


def is_engines(name: str) -> bool:
    """Say whether CNMFParams knows the name."""
    from cnmf_engine.params import rows

    return name in {entry.key for entry in rows()}


def possible(name: str, value: object, values: list) -> bool:
    """Ask the engine whether a parameter takes a value; anything else has to be of the same kind."""
    from cnmf_engine.params import CNMFParams

    if is_engines(name):
        try:
            CNMFParams().change_params({name: value})
        except ValueError:
            return False
        return True
    kinds = {bool: "switch", int: "number", float: "number", str: "text"}
    return kinds.get(type(value)) in {kinds.get(type(other)) for other in values}


def wrong_value(said: Statement, own: Code, others: list[Code], parameters: dict[str, list]) -> str:
    """Say what is wrong with a statement; empty when it is right."""
    values = stated_in(said.name, own, others)
    if re.fullmatch(r"[A-Z]+_[A-Z_]+", said.name) or not (values or said.name in parameters):
        return ""
    if any(same(said.value, value) for value in values) and not said.direction:
        return ""
    if isinstance(said.value, str) and not is_engines(said.name) and in_code(said.value):
        return ""  # one of several names that the workshop knows, as for `movie`
    shown = ", ".join(map(repr, values)) or "no value"
    head = f"{said.where}: `{said.name}` {said.written}, but the code has {shown}."
    if said.kind == "states":
        return f"{head} Change the sentence or the code; a value to try needs a word such as 'try' or 'set'."
    if not possible(said.name, said.value, values + parameters.get(said.name, [])):
        return f"{head} This value isn't possible: the engine refuses it."
    numbers = [
        value for value in values if isinstance(value, (int, float)) and isinstance(said.value, (int, float))
    ]
    if said.direction and numbers and not any((value - said.value) * said.direction < 0 for value in numbers):
        return (
            f"{head} That isn't {'lower' if said.direction < 0 else 'higher'}: change the word or the value."
        )
    return ""


def wrong_row(place: str, name: str, text: str, own: Code) -> str:
    """Say what is wrong with a row of a table of parameters; empty when it is right."""
    if re.search(r"\blesson \d\b", text):
        lesson = next(
            (path for path in SOURCES if path.name.startswith(f"0{text.split('lesson ')[1][0]}_")), None
        )
        return "" if lesson else f"{place}: `{name}` is said to come from {text}, which isn't there."
    said = own.evaluate(text) or [value for path in SOURCES for value in lesson_code(path).evaluate(text)]
    passed = (
        own.keyed.get(name)
        or own.stated.get(name)
        or [value for path in SOURCES for value in lesson_code(path).keyed.get(name, [])]
    )
    if not said and text:
        fix = "write a number, True, None, a word in quotes, or 'lesson 3'"
        return f"{place}: `{name}` has the value {text}, which isn't one: {fix}."
    if any(same(one, other) for one in said for other in passed):
        return ""
    return f"{place}: the table gives `{name}` {text}, the code passes on {passed}. Change one of them."


def wrong_units(passage: Passage) -> list[str]:
    """List units that are written another way than everywhere else."""
    fix = "write px, s, Hz, µm, ms, MB with a space before it, or words: pixels, seconds, frames per second"
    return [
        f"{passage.at(match.start())}: '{match.group()}': {fix}"
        for match in _UNIT_WORDS.finditer(passage.words)
    ]


def unit_problem(said: Statement) -> str:
    """Compare the unit behind a value with the engine's unit of that parameter."""
    from cnmf_engine.params import rows

    units = {entry.unit for entry in rows() if entry.key == said.name} - {""}
    if not said.unit or not units or UNITS[said.unit] in units:
        return ""
    return (
        f"{said.where}: `{said.name}` {said.written} {said.unit}, but its unit is {', '.join(sorted(units))}."
    )


@pytest.mark.parametrize("path", STATING, ids=name_of)
def test_values_in_prose_are_those_in_code(path, parameters):
    own, others = codes(path)
    found = [
        wrong_value(said, own, others, parameters) or unit_problem(said)
        for passage in passages(path)
        for said in statements(passage)
    ]
    assert "\n".join(filter(None, found)) == ""


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_tables_of_parameters_give_what_is_passed_on(path):
    found = [wrong_row(*row, lesson_code(path)) for table in tables(path) for row in table_values(table)]
    assert "\n".join(filter(None, found)) == ""


@pytest.mark.parametrize("path", NAMING, ids=name_of)
def test_names_in_backticks_exist(path):
    known = known_to(path) | FOREIGN
    found = [
        f"{passage.at(match.start())}: `{' '.join(match.group(1).split())}`: nothing is called "
        f"{', '.join(lost)}{nearest(lost[0], known)}"
        for passage in passages(path)
        for match in re.finditer(r"`([^`]+)`", passage.text)
        if (lost := unknown(match.group(1), known))
    ]
    assert "\n".join(found) == ""


@pytest.mark.parametrize("path", EVERYTHING, ids=name_of)
def test_units_are_written_alike(path):
    assert "\n".join(line for passage in passages(path) for line in wrong_units(passage)) == ""


def test_parameters_are_the_ones_that_papermill_sees():
    for path in SOURCES:
        built = ROOT / "notebooks" / f"{path.stem}.ipynb"
        if built.is_file():
            assert set(declared(path)) == set(parameters_of(built)), path.name


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
    ],
)
def test_wrong_values_are_found(text, message, parameters):
    own = Code(LESSON, positional)
    found = [wrong_value(s, own, [], parameters) for block in read(text) for s in statements(block)]
    assert len(list(filter(None, found))) == 1
    assert re.search(message, "".join(found))


@pytest.mark.parametrize(
    "text", ["`gSig` 3", "`gSiz` is 7", "lower `rf` to 20", "try `gSig` 5", "`K` None", "`rf` is 40 px"]
)
def test_right_values_pass(text, parameters):
    own = Code(LESSON, positional)
    assert [wrong_value(s, own, [], parameters) for block in read(text) for s in statements(block)] == [""]


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
    own = Code(LESSON)
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
