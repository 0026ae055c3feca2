"""Runs of tiny lessons made here; the workshop's own are run in test_notebooks.py."""

from __future__ import annotations

import json
import os

import nbformat
import numpy as np
import pytest
import tifffile
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from cnmf_engine.base.errors import InputError, MissingFileError, ParameterError
from workshop_utils import session
from workshop_utils.session import runner
from workshop_utils.session.options import check_parameters, parse_parameters, parse_steps

SESSION = "from workshop_utils import session\ns = session.start(results, movie)"
FIRST = [
    SESSION,
    "s.path('made.npz').write_text(str(width))\ns.record('movie', file=s.path('made.npz'), width=width)",
]
SECOND = [SESSION, "s.record('motion', doubled=2 * s.need('movie')['width'], gain=gain)"]


@pytest.fixture(autouse=True)
def embedded(monkeypatch):
    monkeypatch.setenv("WORKSHOP_ENGINE", "embedded")


@pytest.fixture
def movie(tmp_path):
    path = tmp_path / "rec {a} & ü.tif"
    tifffile.imwrite(path, np.zeros((3, 4, 5), np.uint8), photometric="minisblack")
    return path


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "lessons"
    folder.mkdir()
    write(folder / "01_first.ipynb", "width = 3\nunit = 'px'", FIRST)
    write(folder / "02_second.ipynb", "gain = 1.0\nfast = False", SECOND)
    write(folder / "00_all_in_one.ipynb", "", ["raise ValueError('not part of a run')"])
    return folder


def write(path, parameters, codes, tags=()):
    lines = f"movie = 'demo'\nresults = 'results'\n{parameters}"
    made = [new_markdown_cell(f"# {path.stem}"), new_code_cell(lines, metadata={"tags": ["parameters"]})]
    made += [new_code_cell(code, metadata={"tags": list(tags)}) for code in codes]
    nbformat.write(new_notebook(cells=made), path)


def execute(movie, folder, **options):
    lines = []
    results = options.pop("results", folder.parent / "res {b} & more")
    try:
        report = runner.run(movie, results, folder=folder, say=lines.append, **options)
        assert report == results / "report.html" and report.is_file()
    finally:
        execute.lines = "\n".join(lines)
    return session.start(results, movie)


def test_lessons_run_in_order_with_movie_results_and_parameters(movie, folder):
    done = execute(movie, folder, parameters={"width": 7, "gain": 2})
    assert done.need("motion") == {"doubled": 14, "gain": 2}
    assert "[1/2] 01_first: ok, " in execute.lines and "[2/2] 02_second: ok, " in execute.lines
    assert str(movie) in execute.lines and "Engine: embedded" in execute.lines
    names = sorted(path.name for path in (done.folder / "notebooks").iterdir())
    assert names == ["01_first.ipynb", "02_second.ipynb"]
    executed = nbformat.read(done.folder / "notebooks" / "01_first.ipynb", as_version=4)
    assert all(cell.execution_count for cell in executed.cells if cell.cell_type == "code")


def test_second_run_skips_and_each_change_reruns_what_follows(movie, folder):
    execute(movie, folder)
    execute(movie, folder)
    assert execute.lines.count("skipped") == 2
    assert execute(movie, folder, parameters={"gain": 5}).need("motion")["gain"] == 5
    assert "01_first: skipped" in execute.lines and "02_second: ok" in execute.lines
    # A change in the first lesson reaches the second, whose own source and parameters stay.
    assert execute(movie, folder, parameters={"gain": 5, "width": 4}).need("motion")["doubled"] == 8
    assert execute.lines.count(": ok") == 2
    execute(movie, folder, parameters={"gain": 5}, force=True, steps=[2])
    assert "[1/1] 02_second: ok" in execute.lines


def test_changed_source_reruns_but_changed_text_does_not(movie, folder):
    execute(movie, folder, steps=[1])
    path = folder / "01_first.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[0].source = "# Another title"
    nbformat.write(notebook, path)
    execute(movie, folder, steps=[1])
    assert "skipped" in execute.lines
    notebook.cells[-1].source += "\nprint('more')"
    nbformat.write(notebook, path)
    execute(movie, folder, steps=[1])
    assert ": ok" in execute.lines


def test_cleaned_up_files_are_made_again_only_when_they_are_needed(movie, folder):
    done = execute(movie, folder)
    done.need("movie")["file"].unlink()
    execute(movie, folder)
    assert execute.lines.count("skipped") == 2
    execute(movie, folder, parameters={"gain": 5})
    assert execute.lines.count(": ok") == 2


def test_failure_names_cell_and_error_and_a_rerun_resumes(movie, folder):
    code = "\n".join([f"a{n} = {n}" for n in range(10)] + ["raise ValueError('Expected x.\\nFound y.')"])
    write(folder / "02_second.ipynb", "gain = 1.0", [SESSION, code, "s.record('motion')"])
    with pytest.raises(runner.RunError) as caught:
        execute(movie, folder)
    text = str(caught.value)
    partial = folder.parent / "res {b} & more" / "notebooks" / "02_second.partial.ipynb"
    assert "[2/2] 02_second: failed after" in text and "Cell 5:\n    a0 = 0" in text
    assert "    a5 = 5\n    ...\nValueError: Expected x.\nFound y." in text
    assert text.endswith(f"The notebook so far: {partial}") and partial.is_file()
    assert "Traceback" not in text and "\x1b" not in text and len(text.splitlines()) < 20
    write(folder / "02_second.ipynb", "gain = 1.0", SECOND)
    execute(movie, folder)
    assert "01_first: skipped" in execute.lines and "02_second: ok" in execute.lines
    assert not partial.exists()


def test_announced_exception_is_no_failure(movie, folder):
    write(folder / "01_first.ipynb", "", ["1 / 0"], tags=["raises-exception"])
    done = execute(movie, folder, steps=[1])
    stored = nbformat.read(done.folder / "notebooks" / "01_first.ipynb", as_version=4)
    assert stored.cells[-1].outputs[0].ename == "ZeroDivisionError"
    assert not any("papermill" in tag for cell in stored.cells for tag in cell.metadata.get("tags", []))


def test_dead_kernel_is_explained(movie, folder):
    write(folder / "01_first.ipynb", "", ["import os\nos._exit(1)"])
    with pytest.raises(runner.RunError, match="The kernel died .*ran out of memory"):
        execute(movie, folder, steps=[1])


def test_kernel_is_headless_and_still_draws(movie, folder, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "Agg")
    draw = (
        "import os\nimport matplotlib.pyplot as plt\n"
        "assert os.environ['WORKSHOP_HEADLESS'] == '1' and os.environ['WORKSHOP_ENGINE'] == 'auto'\n"
        "plt.plot([1, 2])"
    )
    write(folder / "01_first.ipynb", "", [draw], tags=["report"])
    done = execute(movie, folder, steps=[1], engine="auto")
    assert "data:image/png;base64," in (done.folder / "report.html").read_text()
    assert os.environ["MPLBACKEND"] == "Agg" and "WORKSHOP_HEADLESS" not in os.environ


def test_stopped_run_is_not_taken_for_done(movie, folder):
    done = execute(movie, folder, steps=[1])
    state = json.loads((done.folder / runner.STATE).read_text())
    state["steps"]["1"]["status"] = "started"
    (done.folder / runner.STATE).write_text(json.dumps(state))
    execute(movie, folder, steps=[1])
    assert ": ok" in execute.lines
    (done.folder / runner.STATE).write_text("{")
    execute(movie, folder, steps=[1])
    assert ": ok" in execute.lines


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"parameters": {"widht": 3}}, ParameterError, "Found 'widht'.\nTo go on: did you mean 'width'"),
        (
            {"parameters": {"width": 3}, "steps": [2]},
            ParameterError,
            r"chosen lesson \(2\) declares: fast, gain",
        ),
        ({"parameters": {"movie": "x"}}, ParameterError, "write --movie x"),
        ({"steps": [1, 9]}, ParameterError, "among 1, 2.\nFound 9"),
        ({"steps": []}, ParameterError, "Found none"),
        ({"engine": "embeded"}, ParameterError, "WORKSHOP_ENGINE=embedded"),
    ],
)
def test_wrong_wishes_are_refused_before_anything_is_made(movie, folder, options, error, message):
    with pytest.raises(error, match=message):
        execute(movie, folder, **options)
    assert not (folder.parent / "res {b} & more").exists()


def test_missing_movie_and_foreign_results(movie, folder, tmp_path):
    with pytest.raises(MissingFileError, match="did you mean"):
        execute(movie.with_name("rec {a} & u.tif"), folder)
    session.start(tmp_path / "taken", movie)
    other = tmp_path / "other.tif"
    tifffile.imwrite(other, np.ones((3, 4, 5), np.uint8), photometric="minisblack")
    with pytest.raises(InputError, match="the results of another movie"):
        execute(other, folder, results=tmp_path / "taken")


def test_parse_steps():
    assert parse_steps("2-4") == [2, 3, 4]
    assert parse_steps(" 3, 1,5-6,3") == [1, 3, 5, 6]
    for text in ("", "a", "4-2", "1-", "1;2"):
        with pytest.raises(ParameterError, match="write --steps 2-4"):
            parse_steps(text)


def test_parse_parameters_reads_yaml():
    pairs = ["a=3", "b=0.8", "c=true", "d=[5, 5]", "e=hello = world", "f=", "g=1e-3", "h='7'"]
    assert parse_parameters(pairs) == {
        "a": 3,
        "b": 0.8,
        "c": True,
        "d": [5, 5],
        "e": "hello = world",
        "f": None,
        "g": 0.001,
        "h": "7",
    }
    with pytest.raises(ParameterError, match="name=value.\nFound 'width'"):
        parse_parameters(["width"])
    with pytest.raises(ParameterError, match="a YAML value for 'a'"):
        parse_parameters(["a=[1"])


@pytest.mark.parametrize(
    ("name", "value"), [("width", "wide"), ("width", True), ("fast", 1), ("fast", "yes")]
)
def test_values_of_another_kind_are_refused(name, value):
    declared = {1: {"width": 3, "fast": False, "path": "x"}}
    with pytest.raises(ParameterError, match=f"'{name}' to be (int|bool) like its default"):
        check_parameters({name: value}, declared)
    check_parameters({"width": 2.5, "fast": True, "path": 3}, declared)
