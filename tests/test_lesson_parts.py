"""
Every lesson has the parts that learners look for: header, exercises, recap, what can go wrong, papers.

An exercise starts with `### Exercise N.M: title` or `### Exercise N.M (open): title`, holds a folded hint, a
code cell with `my_... = None  # your answer` and a call of `exercises.<check>` as its last line, and a cell
tagged `solution` that gives the same names a value and ends in the same check.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from prose import DOCUMENTS, EVERYTHING, SOURCES, Cell, Table, cells, name_of, passages, report, tables
from test_links import DOI

_EXERCISE = re.compile(r"^### Exercise (\d+)\.(\d+)( \(open\))?: (\S.*)$", re.MULTILINE)
_HINT = re.compile(r"<details><summary>Hint</summary>\n\n(.+?)\n\n</details>", re.DOTALL)
_HEADER = {
    r"\A# \d+\. \S": "a title '# N. Title'",
    r"\*\*You will learn\*\*": "'**You will learn** ...'",
    r"\*\*Time:\*\*\D*\d+ minutes": "'**Time:** about N minutes.'",
    r"\*\*You need:\*\*": "'**You need:** ...'",
}


@dataclass
class Exercise:
    """A heading and the cells up to the next heading."""

    number: tuple[int, int]
    open: bool
    line: int
    text: str
    cells: list[Cell] = field(default_factory=list)


def exercises_in(lesson: tuple[Cell, ...]) -> list[Exercise]:
    """Collect the exercises of a lesson, in order."""
    found: list[Exercise] = []
    current = None
    for cell in lesson:
        if cell.kind == "markdown":
            parts = re.split(r"^(?=#{1,3} )", cell.text, flags=re.MULTILINE)
            for part in parts:
                heading = _EXERCISE.match(part)
                if heading:
                    number = int(heading[1]), int(heading[2])
                    current = Exercise(number, bool(heading[3]), cell.line, part)
                    found.append(current)
                elif part.startswith("#"):
                    current = None
        elif current:
            current.cells.append(cell)
    return found


def check_called(text: str) -> str:
    """Name the check that a cell ends in; empty when it ends in something else."""
    last = ast.parse(text).body[-1] if text.strip() else None
    call = last.value if isinstance(last, ast.Expr) else None
    function = call.func if isinstance(call, ast.Call) else None
    if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
        return function.attr if function.value.id == "exercises" else ""
    return ""


def answers(text: str) -> dict[str, bool]:
    """Map the names `my_...` that a cell sets to whether they are left open (None)."""
    found = {}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Assign):
            for name in (target.id for target in node.targets if isinstance(target, ast.Name)):
                if name.startswith("my_"):
                    found[name] = isinstance(node.value, ast.Constant) and node.value.value is None
    return found


def exercise_problems(exercise: Exercise, known: set[str]) -> list[str]:
    """List what an exercise lacks."""
    found = []
    hint = _HINT.search(exercise.text)
    if not hint or len(hint[1].split()) < 5:
        found.append(
            "no hint: <details><summary>Hint</summary>, an empty line, text, an empty line, </details>"
        )
    asked = [cell for cell in exercise.cells if "solution" not in cell.tags]
    solved = [cell for cell in exercise.cells if "solution" in cell.tags]
    asked_check = next((name for cell in asked if (name := check_called(cell.text))), "")
    open_answers = {name for cell in asked for name, is_open in answers(cell.text).items() if is_open}
    given = {name for cell in solved for name, is_open in answers(cell.text).items() if not is_open}
    if not open_answers:
        found.append("no line `my_... = None  # your answer`")
    if not any("# your answer" in line for cell in asked for line in cell.text.splitlines() if "my_" in line):
        found.append("no comment '# your answer' behind `my_... = None`")
    if asked_check not in known:
        found.append(
            f"the learner's cell doesn't end in a check; there are {', '.join(sorted(known)) or 'none'}"
        )
    if not solved:
        found.append('no solution: a cell `# %% tags=["solution"]`')
    elif {check_called(cell.text) for cell in solved} - {asked_check} or not check_called(solved[-1].text):
        found.append(f"the solution has to end in the same check, exercises.{asked_check}(...)")
    if solved and open_answers - given:
        found.append(f"the solution doesn't set {', '.join(sorted(open_answers - given))}")
    if solved and not any("#" in cell.text for cell in solved):
        found.append("the solution doesn't say why it is one: write a comment")
    return found


def checks() -> set[str]:
    """List the checks of the workshop."""
    from workshop_utils import exercises

    return {name for name in exercises.__all__ if name.islower()}


def bullets(path: Path, section: str) -> list[str]:
    """List the items of a section."""
    text = "\n\n".join(
        cell.text for cell in cells(path) if cell.kind == "markdown" and "instructor" not in cell.tags
    )
    found = re.search(rf"^## {section}$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    return re.findall(r"^- .+?(?=^- |^$|\Z)", found[1], re.MULTILINE | re.DOTALL) if found else []


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_first_cell_says_what_to_expect(path):
    first = cells(path)[0]
    missing = [what for pattern, what in _HEADER.items() if not re.search(pattern, first.text)]
    assert missing == [], f"{name_of(path)}: the first cell needs these"
    assert first.text.startswith(f"# {int(path.stem[:2])}. "), "the title's number is the file's"


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_last_parts_are_there(path):
    for section, least in (("Recap", 3), ("When it goes wrong", 3), ("Read on", 1)):
        assert len(bullets(path, section)) >= least, (
            f"{name_of(path)}: '## {section}' needs {least} items or more"
        )
    for bullet in bullets(path, "When it goes wrong"):
        assert re.match(r"- \*[^*]+\*", bullet) and re.search(r":\*?\s", bullet), (
            f"start with the symptom, '- *What one sees:* what to do': {bullet}"
        )
    assert any(DOI.search(bullet) for bullet in bullets(path, "Read on")), "name a paper with its DOI"


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_exercises_are_numbered_and_one_is_open(path):
    found = exercises_in(cells(path))
    assert [exercise.number for exercise in found] == [(int(path.stem[:2]), n + 1) for n in range(len(found))]
    assert len(found) >= 2, "a lesson has two exercises or more"
    assert any(exercise.open for exercise in found), "one of them is '### Exercise N.M (open): title'"
    headings = [passage.text for passage in passages(path) if passage.kind in ("h2", "h3")]
    called = [heading for heading in headings if re.match(r"exercise \d", heading, re.IGNORECASE)]
    assert len(called) == len(found), "write '### Exercise N.M: title', with a colon and a title"


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_exercises_have_hint_check_and_solution(path):
    found = [
        f"{name_of(path)}:{exercise.line}: exercise {exercise.number[0]}.{exercise.number[1]}: {problem}"
        for exercise in exercises_in(cells(path))
        for problem in exercise_problems(exercise, checks())
    ]
    report(found)


@pytest.mark.parametrize("path", EVERYTHING, ids=name_of)
def test_lessons_and_exercises_that_text_points_to_exist(path):
    numbers = {int(source.stem[:2]) for source in SOURCES}
    known = {exercise.number for source in SOURCES for exercise in exercises_in(cells(source))}
    found = [
        f"{passage.at(match.start())}: {match.group()}"
        for passage in passages(path)
        for match in re.finditer(r"\b[Ee]xercises? (\d+)\.(\d+)|\b[Ll]essons? 0?(\d+)\b", passage.words)
        if (int(match[3]) not in numbers if match[3] else (int(match[1]), int(match[2])) not in known)
    ]
    report(found, "No such lesson or exercise.")


@pytest.mark.parametrize("path", EVERYTHING, ids=name_of)
def test_sections_that_text_points_to_exist(path):
    """Hold 'lesson 2, "Which width?"' to the lesson's headings."""
    headings = {
        (int(source.stem[:2]), passage.text.lower())
        for source in SOURCES
        for passage in passages(source)
        if passage.kind in ("h1", "h2", "h3")
    }
    found = [
        f"{passage.at(match.start())}: lesson {match[1]} has no heading '{match[2]}'"
        for passage in passages(path)
        for match in re.finditer(r'\b[Ll]esson (\d)(?: up to|, to|,|:)? "([^"]+)"', passage.text)
        if (int(match[1]), " ".join(match[2].lower().split()).rstrip(".,")) not in headings
    ]
    report(found)


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_timetables_add_up(path):
    wrong = [problem for table in tables(path) for problem in timetable_problems(table)]
    report(wrong)


def timetable_problems(table: Table) -> list[str]:
    """Compare each row's end with the next row's start, in a table that begins with 'from' and 'minutes'."""
    if table.headings[:2] != ["from", "minutes"]:
        return []
    rows = [(line, *(int(part) for part in row[0].split(":")), int(row[1])) for line, row in table.rows]
    return [
        f"{table.file}:{line}: {hours}:{minutes:02} and {length} minutes isn't {then[1]}:{then[2]:02}"
        for (line, hours, minutes, length), then in zip(rows, rows[1:])
        if 60 * hours + minutes + length != 60 * then[1] + then[2]
    ]


def test_timetable_that_does_not_add_up_is_found():
    table = Table(
        "plan.md", "", ["from", "minutes"], [(1, ["0:50", "20"]), (2, ["1:10", "5"]), (3, ["1:20", "5"])]
    )
    assert timetable_problems(table) == ["plan.md:2: 1:10 and 5 minutes isn't 1:20"]


def lesson(text: str, asked: str, solved: str) -> tuple[Cell, ...]:
    return (
        Cell(1, "markdown", text, 1),
        Cell(2, "code", asked, 10),
        Cell(3, "code", solved, 20, ("solution",)),
        Cell(4, "markdown", "## Recap", 30),
        Cell(5, "code", "my_other = None", 31),
    )


TEXT = """## Exercises

### Exercise 1.1 (open): count

How many?

<details><summary>Hint</summary>

Look at it, then count what you see.

</details>
"""
ASKED = "import x\nmy_count = None  # your answer\nexercises.count(my_count, x)"
SOLVED = "my_count = 3  # one, two, three\nexercises.count(my_count, x)"


def test_good_exercise_passes():
    (exercise,) = exercises_in(lesson(TEXT, ASKED, SOLVED))
    assert (exercise.number, exercise.open, len(exercise.cells)) == ((1, 1), True, 2)
    assert exercise_problems(exercise, {"count"}) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ((TEXT.replace("Hint", "Help"), ASKED, SOLVED), "no hint"),
        ((TEXT, ASKED.replace("None", "3"), SOLVED), "no line `my_"),
        ((TEXT, ASKED.replace("  # your answer", ""), SOLVED), "no comment"),
        ((TEXT, ASKED.replace("exercises.count", "print"), SOLVED), "doesn't end in a check"),
        ((TEXT, ASKED + "\nx", SOLVED), "doesn't end in a check"),
        ((TEXT, ASKED, SOLVED.replace("count(my_count, x)", "other(my_count)")), "the same check"),
        ((TEXT, ASKED, SOLVED.replace("my_count = 3", "mine = 3")), "doesn't set my_count"),
        ((TEXT, ASKED, SOLVED.replace("  # one, two, three", "")), "doesn't say why"),
    ],
)
def test_lacking_parts_are_found(change, problem):
    (exercise,) = exercises_in(lesson(*change))
    assert any(problem in line for line in exercise_problems(exercise, {"count"}))
