"""
What the lessons say agrees with what they do: values of parameters, names in backticks, units.

The rule for values. Prose that gives a name a value (`min_pnr` 12, `nb = 0`, a row of a table) has to give
one that the code of the same lesson gives it: by assignment, keyword, key, comparison or position in a call.
Rows of a table of parameters are compared with what is passed on in a dictionary, or else as a keyword. A
lesson that doesn't set the name itself is compared with the other lessons. Allowed without being in the code
is advice: a value after try, set, lower, raise, reduce, increase, if, when, unless, suppose, such as, as in,
for example; what stands under "When it goes wrong" or in a command line; and True or False after "with".
Advice has to be possible (the engine takes the value), and "lower to" has to lead below the lesson's value. A
sentence that speaks of a default may give the engine's.

The rule for names. What is in backticks exists: in the lesson's code, in the engine, in the helpers, as a
file, a command, an environment variable.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path

import pytest
from prose import EVERYTHING, ROOT, SOURCES, Passage, name_of, passages, report, shell_lines, tables
from prose_names import command_problems, in_code, known_to, lesson_code, nearest, unknown
from prose_values import UNITS, Code, Statement, same, statements, table_values

from workshop_utils.notebook_files import parameters_of

#: Functions of R and MATLAB, which no code here can show to exist.
FOREIGN = {"h5read", "rhdf5"}
# A history isn't about today's values, and pages that a program makes are tested with that program.
STATING = [*SOURCES, *(path for path in EVERYTHING if path.name in ("README.md", "instructor.md"))]
NAMING = [path for path in EVERYTHING if path.name not in ("parameters.md", "CHANGELOG.md")]
_UNIT_WORDS = re.compile(
    r"(?<![\w.'\"-])\d{1,3}(?:\s?(?:pix|pxs|secs?|fps|hz|HZ|Px|msec|kb|mb|gb)|(?:px|Hz|µm|ms|s|MB|GB|kB))\b"
)


@functools.cache
def all_parameters() -> dict[str, list]:
    """List the lessons' and the engine's parameters, with their defaults."""
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


def engine_defaults(name: str) -> list:
    """Give the value that a parameter has in CNMFParams until it is set; empty when there is none."""
    from cnmf_engine.params import rows

    return [entry.default for entry in rows() if entry.key == name]


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


def wrong_value(said: Statement, own: Code, others: list[Code]) -> str:
    """Say what is wrong with a statement; empty when it is right."""
    values = stated_in(said.name, own, others)
    if re.fullmatch(r"[A-Z]+_[A-Z_]+", said.name) or not (values or said.name in all_parameters()):
        return ""
    if any(same(said.value, value) for value in values) and not said.direction:
        return ""
    if isinstance(said.value, str) and not is_engines(said.name) and in_code(said.value):
        return ""  # one of several names that the workshop knows, as for `movie`
    if said.kind == "defaults" and said.value in engine_defaults(said.name):
        return ""
    shown = ", ".join(map(repr, values)) or "no value"
    head = f"{said.where}: `{said.name}` {said.written}, but the code has {shown}."
    if said.kind != "advises":
        return f"{head} Change the sentence or the code; a value to try needs a word such as 'try' or 'set'."
    if not possible(said.name, said.value, values + all_parameters().get(said.name, [])):
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
        own.listed.get(name)
        or own.keyed.get(name)
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
def test_values_in_prose_are_those_in_code(path):
    own, others = codes(path)
    found = [
        wrong_value(said, own, others) or unit_problem(said)
        for passage in passages(path)
        for said in statements(passage)
    ]
    report(found)


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_tables_of_parameters_give_what_is_passed_on(path):
    found = [wrong_row(*row, lesson_code(path)) for table in tables(path) for row in table_values(table)]
    report(found)


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
    report(found)


@pytest.mark.parametrize("path", EVERYTHING, ids=name_of)
def test_units_are_written_alike(path):
    report(line for passage in passages(path) for line in wrong_units(passage))


@pytest.mark.parametrize("path", EVERYTHING, ids=name_of)
def test_command_lines_are_possible(path):
    parameters = {name for source in SOURCES for name in declared(source)}
    problems = []
    for place, line in shell_lines(path):
        command = re.search(r"(?:^|[/\s])((?:make|workshop|papermill|python) .*)", line.split("#")[0])
        if command:
            unknown_names = set(re.findall(r"\s-p (\w+)", command[1])) - parameters
            problems += [f"{place}: no lesson has the parameter {name}" for name in sorted(unknown_names)]
            problems += [f"{place}: there is no {name}" for name in command_problems(command[1])]
    report(problems)


def test_parameters_are_the_ones_that_papermill_sees():
    for path in SOURCES:
        built = ROOT / "notebooks" / f"{path.stem}.ipynb"
        if built.is_file():
            assert set(declared(path)) == set(parameters_of(built)), path.name
