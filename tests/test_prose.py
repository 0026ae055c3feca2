"""
What lessons and documents put in backticks or into a command line exists.

In the lesson's code, in the engine, in the helpers, as a file, a goal, a command or an environment variable.
"""

from __future__ import annotations

import re

import pytest
from prose import EVERYTHING, ROOT, SOURCES, name_of, passages, report, shell_lines
from prose_names import command_problems, known_to, nearest, positional, unknown
from prose_values import Code, same

from workshop_utils.session.notebooks import parameters_of

#: Functions of R and MATLAB, which no code here can show to exist.
FOREIGN = {"h5read", "rhdf5"}
# A history isn't about today's names, and pages that a program makes are tested with that program.
NAMING = [path for path in EVERYTHING if path.name not in ("parameters.md", "CHANGELOG.md")]


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
def test_command_lines_are_possible(path):
    built = (ROOT / "notebooks" / f"{source.stem}.ipynb" for source in SOURCES)
    parameters = {name for notebook in built for name in parameters_of(notebook)}
    problems = []
    for place, line in shell_lines(path):
        command = re.search(r"(?:^|[/\s])((?:make|workshop|papermill|python) .*)", line.split("#")[0])
        if command:
            unknown_names = set(re.findall(r"\s-p (\w+)", command[1])) - parameters
            problems += [f"{place}: no lesson has the parameter {name}" for name in sorted(unknown_names)]
            problems += [f"{place}: there is no {name}" for name in command_problems(command[1])]
    report(problems)


@pytest.mark.parametrize(
    ("span", "lost"),
    [
        ("min_corr", []), ("min_cor", ["min_cor"]), ("cm.load", []), ("cm.laod", ["cm.laod"]),
        ("estimates.idx_components", []), ("estimates.idx_good", ["estimates.idx_good"]),
        ("A[:, k].toarray()", []), ("figures.no_such_figure(cn)", ["figures.no_such_figure"]),
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
