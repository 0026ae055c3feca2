"""
What learners read under the cells, on the demo movie: descriptions of pictures, no noise, sensible numbers.

The rules, with what is allowed:

- a picture has a description of a sentence (six words or more, capital, full stop), and anything else that is
  shown, as a player, a widget or a table, has six words or more in its place;
- only progress bars go to stderr, and warnings whose first six words the lesson quotes;
- no line has the form of a log, a warning or a stack trace, and none shows how Python writes an object;
- numbers have at most four decimals, and a length, time or rate has its unit behind it;
- a number in a sentence about the demo movie is printed by the lesson, or in its code;
- an exercise without an answer says so, and its solution is right.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from prose import SOURCES, code, passages, report, tables
from prose_names import lesson_code
from prose_values import same, table_values

from workshop_utils.session.notebooks import cells, tags_of, text_of

pytestmark = pytest.mark.notebooks

LESSONS = [path.stem for path in SOURCES]
_BAR = re.compile(r"[^\r\n]{0,60}\d+%\|[^\r\n]*\|[^\r\n]*")
_LOG = re.compile(r"\w*Warning\b|\bwarning:|(?i:deprecat)|Traceback|\b(?:INFO|DEBUG|WARNING|ERROR)\b")
_PYTHON = re.compile(
    r"\barray\(|<(?:Axes|Figure|function|class|module|bound|generator|[\w.]+ object)|\bat 0x[0-9a-f]+"
    r"|\bnp\.(?:float|int|str|bool)\w*\(|\bdtype\b|\b(?:Posix|Windows)Path\(|\bnan\b|\[?Text\(|\bNone\b"
)
_LONG = re.compile(r"(?<![\w.])\d+\.\d{5,}")
_BARE = re.compile(
    r"\b(?:shift|radius|overlap|border|diameter|motion|distance|duration|took|rate|decay)s?:?\s+"
    r"(?:of |is |about |up to )?(?P<number>\d+(?:\.\d+)?)(?!\.?\d)(?P<rest>.{0,14})"
)
_UNIT = re.compile(
    r"\s?(?:px|pixels?|µm|s\b|ms\b|Hz|min|h\b|seconds?|minutes?|frames?|cells?|%|times|x\b|of|to)"
)


@dataclass(frozen=True)
class Output:
    """Something under a cell: printed text, or what is shown with its description."""

    place: str
    kind: str
    text: str
    alt: str = ""
    picture: str = ""


def outputs(path: Path) -> Iterator[Output]:
    """List what is under the cells of an executed notebook."""
    for number, cell in enumerate(cells(path), 1):
        head = (text_of(cell["source"]).strip().splitlines() or [""])[-1]
        place = f"{path.stem}, cell {number} (`{head[:50]}`)"
        for output in cell.get("outputs", []):
            if output["output_type"] == "stream":
                yield Output(place, output["name"], text_of(output["text"]))
            elif output["output_type"] == "error":
                yield Output(place, "error", f"{output['ename']}: {output['evalue']}")
            else:
                data, about = output.get("data", {}), output.get("metadata", {})
                text = text_of(data.get("text/plain"))
                picture = text_of(data.get("image/png"))
                alt = about.get("image/png", {}).get("alt", "")
                kind = "picture" if picture else "shown" if len(data) > 1 else "result"
                yield Output(place, kind, text, alt, picture)


def is_sentence(text: str) -> bool:
    """Say whether a description is one: six words or more, from a capital or number to a full stop."""
    return len(text.split()) >= 6 and bool(re.match(r"[A-Z\d]", text)) and text.rstrip()[-1] in ".!"


def description_problems(found: list[Output]) -> list[str]:
    """List pictures and widgets without a sentence of their own."""
    problems = []
    for output in found:
        if output.kind == "picture" and not is_sentence(output.alt):
            problems.append(f"{output.place}: the picture's description isn't a sentence: '{output.alt}'")
        elif output.kind == "shown" and (len(output.text.split()) < 6 or output.text.startswith("<")):
            problems.append(f"{output.place}: no words for those who don't see it: '{output.text[:80]}'")
    return problems


def line_problems(text: str) -> list[str]:
    """List what is wrong with the lines of a printed text."""
    found = []
    for line in text.splitlines():
        words = re.sub(r"\S*[/\\]\S*", "", line)  # a path may hold anything
        for what, pattern in (("a log or warning", _LOG), ("how Python writes it", _PYTHON)):
            if pattern.search(words):
                found.append(f"{what}: '{line.strip()}'")
        if _LONG.search(words):
            found.append(f"more than four decimals: '{line.strip()}'")
        found += [
            f"a unit is missing behind {match['number']}: '{line.strip()}'"
            for match in _BARE.finditer(words)
            if not _UNIT.match(match["rest"])
        ]
    return found


@pytest.fixture(params=LESSONS)
def executed(request, demo) -> Path:
    """A lesson as it was executed with its solutions."""
    return demo.folder / "notebooks" / f"{request.param}.ipynb"


def test_pictures_and_widgets_are_described(executed):
    report(description_problems(list(outputs(executed))))


def test_only_progress_bars_and_announced_warnings_go_to_stderr(executed):
    source = next(path for path in SOURCES if path.stem == executed.stem)
    prose = " ".join(passage.text for passage in passages(source))
    found = [
        f"{output.place}: {line.strip()}"
        for output in outputs(executed)
        if output.kind == "stderr"
        for line in re.split(r"[\r\n]", output.text)
        if line.strip() and not _BAR.fullmatch(line) and not announced(line, prose)
    ]
    report(
        found, "Keep it from being written, or quote its first words in the lesson and say what they mean."
    )


#: Said once on a new machine, as a bar would: how long the wait is, and that it won't come again.
_WAIT = "Compiling numerical code for this computer: once,"


def announced(line: str, prose: str) -> bool:
    """Say whether a lesson quotes the first words of a message, so that nobody is startled by it."""
    first = " ".join(line.split()[:6])
    return line.startswith(_WAIT) or len(first.split()) == 6 and f'"{first}' in " ".join(prose.split())


def test_what_is_printed_reads_well(executed):
    found = [
        f"{output.place}: {problem}"
        for output in outputs(executed)
        if output.kind in ("stdout", "result", "error")
        for problem in line_problems(output.text)
    ]
    report(found)


def test_solutions_pass_their_own_checks(executed):
    verdicts = 0
    for cell in cells(executed):
        source = text_of(cell["source"])
        if cell["cell_type"] != "code" or not re.search(r"^exercises\.\w+\(", source, re.MULTILINE):
            continue
        said = [text_of(output.get("data", {}).get("text/plain")) for output in cell["outputs"]]
        said = [text for text in said if re.match("Right|Not yet|No answer yet", text)]
        expected = "Right" if "solution" in tags_of(cell) else "No answer yet"
        assert len(said) == 1 and said[0].startswith(expected), (
            f"{executed.stem}: {said} instead of {expected}:\n{source}"
        )
        verdicts += 1
    assert verdicts >= 4, "two exercises or more, each with the learner's cell and the solution's"


def test_nothing_failed(executed):
    assert [output.place for output in outputs(executed) if output.kind == "error"] == []


def test_tables_of_parameters_give_what_reached_the_engine(demo):
    groups = json.loads((demo.folder / "params.json").read_text(encoding="utf-8")).values()
    rows = [(path, *row) for path in SOURCES for table in tables(path) for row in table_values(table)]
    for path, place, name, text in rows:
        other = re.search(r"\blesson (\d)", text)  # the value is that lesson's
        own = lesson_code(next(p for p in SOURCES if p.name.startswith(f"0{other[1]}_")) if other else path)
        reached = [group[name] for group in groups if isinstance(group, dict) and name in group]
        wanted = own.evaluate(text) + own.keyed.get(name, [])  # a first guess may be changed further down
        assert reached, f"{place}: `{name}` is no parameter of the engine"
        assert not wanted or any(same(one, other) for one in wanted for other in reached), (
            f"{place}: the table gives `{name}` {text}, but {reached} was kept"
        )


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_numbers_said_about_the_demo_movie_are_there(demo, source):
    path = demo.folder / "notebooks" / f"{source.stem}.ipynb"
    seen = " ".join(f"{output.text} {output.alt}" for output in outputs(path)) + code(source)
    found = [
        f"{passage.at(position)}: {number} is neither printed nor in the code"
        for passage in passages(source)
        for position, number in unfounded(passage.words, seen)
    ]
    report(found)


def unfounded(text: str, seen: str) -> list[tuple[int, str]]:
    """List the numbers in sentences about the demo movie that a lesson doesn't show, rounded or not."""
    known = [float(number) for number in re.findall(r"(?<![\w.])\d+(?:\.\d+)?", seen)]
    found = []
    for sentence in re.finditer(r"[^.;!?]*\bdemo (?:movie|recording)\b(?:[^.;!?]|[.](?=\d))*", text):
        words = re.sub(
            r"(?:[Ll]esson|[Ee]xercise)s? [\d.]+", lambda match: " " * len(match.group()), sentence.group()
        )
        for match in re.finditer(r"(?<![\w.-])\d+(?:\.\d+)?(?![\w-])", words):
            decimals = len(match.group().partition(".")[2])
            near = 0.5 * 10**-decimals + 1e-9
            if not any(abs(number - float(match.group())) <= near for number in known):
                found.append((sentence.start() + match.start(), match.group()))
    return found


def test_unfounded_numbers_are_found():
    seen = "error 0.17 px; 71 of 71 cells; widths = (3, 6)"
    assert unfounded("On the demo movie 3 and 6 give 0.2 px, see lesson 4. Here 99.", seen) == []
    assert unfounded("On the demo movie it is 0.3 px.", seen) == [(24, "0.3")]
    assert unfounded("All 70 are found in the demo recording; 5 aren't", seen) == [(4, "70")]


def test_noise_is_found():
    noisy = {
        "cn is array([1, 2])": "Python", "<Axes: xlabel='x'>": "Python", "x = np.float64(0.5)": "Python",
        "<function f at 0x7f>": "Python", "2026-01-01 INFO loaded": "log", "UserWarning: old": "log",
        "DeprecationWarning": "log", "F1 is 0.123456": "decimals", "largest shift 4.1 px": "",
        "border 3": "unit", "the fit took 3.5.": "unit", "r is nan": "Python",
    }  # fmt: skip
    for line, problem in noisy.items():
        assert (problem in " ".join(line_problems(line))) and bool(line_problems(line)) == bool(problem), line
    quiet = (
        "error 0.17 px",
        "It took 3.4 s.",
        "border 0 px; radius 9.8 px",
        "/tmp/0.123456/INFO.csv",
        "rate: 10 Hz",
    )
    assert line_problems("\n".join(quiet)) == []


def test_missing_descriptions_are_found():
    good = Output("a", "picture", "", "Two images of the demo movie, side by side.", "x")
    assert description_problems([good, good]) == []
    assert "isn't a sentence" in description_problems([Output("a", "picture", "", "Two images.", "x")])[0]
    assert "no words" in description_problems([Output("c", "shown", "<Player object>")])[0]
    assert announced(
        "Motion correction did not make the frames alike", 'It says "Motion correction did not\nmake the".'
    )
    assert not announced(
        "Motion correction did not make the frames alike", "Motion correction did not make the frames"
    )
    assert not announced("Short", 'It says "Short".')
    assert _BAR.fullmatch("CNMF-E patches:  75%|███████▌  | 3/4 [00:02<00:00,  1.27it/s]")
    assert not _BAR.fullmatch("Motion correction did not make the frames more alike")
