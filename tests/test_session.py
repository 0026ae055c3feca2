from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile

from cnmf_engine.base.errors import InputError, ParameterError
from workshop_utils import session
from workshop_utils.session import MissingStep
from workshop_utils.session.file import FILE_NAME


@pytest.fixture
def movie(tmp_path):
    path = tmp_path / "rec & more.tif"
    tifffile.imwrite(path, np.arange(60, dtype=np.uint8).reshape(3, 4, 5), photometric="minisblack")
    return path


@pytest.fixture
def opened(movie, tmp_path):
    return session.start(tmp_path / "results", movie)


def test_start_makes_the_folder_and_says_what_it_is(opened, movie):
    content = json.loads((opened.folder / FILE_NAME).read_text())
    assert content["version"] == 1
    assert content["movie"]["path"] == str(movie) and content["movie"]["bytes"] == movie.stat().st_size
    assert content["engine"]["name"] in ("caiman", "embedded")
    assert content["versions"]["numpy"] == np.__version__
    assert opened.truth is None and opened.frame_rate is None


def test_default_folder_follows_the_environment(movie, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORKSHOP_RESULTS", str(tmp_path / "elsewhere"))
    assert session.start(movie=movie).folder == tmp_path / "elsewhere"
    assert session.start("chosen", movie).folder == tmp_path / "chosen"
    monkeypatch.delenv("WORKSHOP_RESULTS")
    assert session.start(movie=movie).folder == tmp_path / "results"


def test_lesson_7_keeps_to_the_same_place_and_out_of_the_way(movie, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert session.results_folder("results_own", movie) == tmp_path / "results_own"
    # In Colab a folder a movie, on Drive; what lessons 1 to 6 keep of this movie stays as it is.
    monkeypatch.setenv("WORKSHOP_RESULTS", str(tmp_path / "drive" / "{movie}"))
    assert session.results_folder("results_own", movie) == tmp_path / "drive" / movie.stem
    # One folder for all: there the results of another movie may lie.
    monkeypatch.setenv("WORKSHOP_RESULTS", str(tmp_path / "elsewhere"))
    assert session.results_folder("results_own", movie) == tmp_path / "elsewhere_own"
    assert session.results_folder("chosen", movie) == tmp_path / "chosen"


def test_values_come_back(opened, movie, tmp_path):
    memmap = opened.path("maps/memmap_d1_4.mmap")
    memmap.write_bytes(b"x")
    opened.record(
        "motion",
        memmap=memmap,
        raw=movie,
        shifts=np.array([[0.5, -1.0]], np.float32),
        border=np.int64(3),
        nested={"files": [memmap], "good": np.True_},
        score=float("nan"),
        pair=(1, 2),
    )
    values = session.start(opened.folder, movie).need("motion")
    assert values["memmap"] == memmap and values["raw"] == movie
    assert values["shifts"] == [[0.5, -1.0]] and values["border"] == 3
    assert values["nested"] == {"files": [memmap], "good": True}
    assert values["score"] is None and values["pair"] == [1, 2]


def test_file_is_plain_json_with_relative_paths(opened):
    memmap = opened.path("a.mmap")
    memmap.write_bytes(b"x")
    opened.record("motion", memmap=memmap, bad=float("inf"))
    text = (opened.folder / FILE_NAME).read_text()
    entry = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} isn't JSON"))["steps"]["motion"]
    assert entry["values"]["memmap"] == {"path:": "a.mmap"}
    assert entry["engine"]["name"] and entry["recorded"].endswith("+00:00")


def test_relative_path_is_meant_from_the_working_directory(opened, monkeypatch):
    (opened.folder / "a.npz").write_bytes(b"x")
    monkeypatch.chdir(opened.folder.parent)
    opened.record("summary_images", images=Path("results/a.npz"))
    assert opened.need("summary_images")["images"] == opened.folder / "a.npz"


def test_seconds_are_measured_or_given(opened):
    opened.record("movie", seconds=12.5)
    opened.record("motion")
    steps = opened.summary()["steps"]
    assert steps["movie"]["seconds"] == 12.5 and "seconds" not in steps["movie"]["values"]
    assert 0 <= steps["motion"]["seconds"] < 5


def test_unfit_values_are_refused(opened):
    with pytest.raises(InputError, match=r"for 'model: fit'.\nFound object"):
        opened.record("model", fit=object())
    with pytest.raises(InputError, match="ndarray of 20000 values"):
        opened.record("model", fit=np.zeros(20000))
    assert not opened.has("model")


def test_unknown_step_suggests(opened):
    with pytest.raises(ParameterError, match="use 'summary_images'"):
        opened.need("summary_image")
    with pytest.raises(ParameterError, match="a step of the pipeline"):
        opened.record("xyz")


def test_missing_step_names_notebook_and_command(opened, movie):
    with pytest.raises(MissingStep) as caught:
        opened.need("motion")
    text = str(caught.value)
    assert "02_" in text and f'workshop run --movie "{movie}" --results "{opened.folder}" --steps 1-2' in text
    assert isinstance(caught.value, FileNotFoundError)
    assert caught.value._render_traceback_() == text.splitlines()


def test_missing_step_is_shown_in_a_notebook_without_a_stack_trace(opened, capsys):
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell()
    shell.push({"s": opened})
    shell.run_cell("s.need('motion')")
    shown = capsys.readouterr()
    text = shown.out + shown.err
    assert "Expected what the step 'motion' leaves" in text and "workshop run" in text
    assert "Traceback" not in text and "folder.py" not in text


def test_command_runs_only_what_is_missing(opened):
    for step in ("movie", "motion"):
        opened.record(step)
    with pytest.raises(MissingStep, match=r"--steps 3-4\."):
        opened.need("model")
    opened.record("summary_images")
    opened.record("params")
    with pytest.raises(MissingStep, match=r"--steps 4\."):
        opened.need("model")


def test_deleted_file_is_a_missing_step(opened):
    model = opened.path("cnmfe.hdf5")
    model.write_bytes(b"x")
    opened.record("model", file=model)
    assert opened.has("model")
    model.unlink()
    assert not opened.has("model")
    with pytest.raises(MissingStep, match=r"cnmfe\.hdf5 has been deleted or moved"):
        opened.need("model")


def test_another_movie_is_refused(opened, movie, tmp_path):
    other = tmp_path / "other.tif"
    tifffile.imwrite(other, np.zeros((3, 4, 5), np.uint8), photometric="minisblack")
    before = (opened.folder / FILE_NAME).read_text()
    with pytest.raises(InputError) as caught:
        session.start(opened.folder, other)
    text = str(caught.value)
    assert str(other) in text and str(movie) in text and "--results" in text
    assert (opened.folder / FILE_NAME).read_text() == before


def test_folder_moves_with_the_movie(opened, movie, tmp_path):
    memmap = opened.path("a.mmap")
    memmap.write_bytes(b"x")
    opened.record("motion", memmap=memmap)
    opened.record("movie", path=movie, both=[movie])
    there = tmp_path / "other machine"
    shutil.move(opened.folder, there)
    moved = shutil.move(movie, tmp_path / "renamed.tif")
    reopened = session.start(there, moved)
    assert reopened.need("motion")["memmap"] == there / "a.mmap"
    assert reopened.need("movie") == {"path": moved, "both": [moved]}


def test_results_that_are_a_file(movie, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="a folder for the results"):
        session.start(tmp_path / "file", movie)


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "can't be read"), ("[]", "can't be read"), ('{"version": 99}', "newer workshop")],
)
def test_unreadable_session(movie, tmp_path, text, message):
    (tmp_path / FILE_NAME).write_text(text)
    with pytest.raises(InputError, match=message):
        session.start(tmp_path, movie)


def test_redone_motion_is_noted(opened, capsys):
    opened.record("motion")
    opened.record("model")
    opened.need("model")
    assert capsys.readouterr().out == ""
    content = json.loads((opened.folder / FILE_NAME).read_text())
    content["steps"]["motion"]["recorded"] = "2999-01-01T00:00:00.000+00:00"
    (opened.folder / FILE_NAME).write_text(json.dumps(content))
    opened.need("model")
    assert (
        "'motion' was run again after 'model'. If it changed, run lesson 4 again too."
        in capsys.readouterr().out
    )


def test_stopped_write_keeps_the_old_file(opened, monkeypatch):
    opened.record("movie", frames=3)
    before = (opened.folder / FILE_NAME).read_bytes()

    def stop(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr("os.replace", stop)
    with pytest.raises(KeyboardInterrupt):
        opened.record("motion", border=2)
    assert (opened.folder / FILE_NAME).read_bytes() == before
    assert [path.name for path in opened.folder.iterdir()] == [FILE_NAME]


def test_params_survive_and_follow_the_folder(opened, movie, tmp_path):
    from workshop_utils.engine import params

    copy = opened.path("maps/rec.tif")
    shutil.copy(movie, copy)
    opts = params.CNMFParams(params_dict={"fnames": [str(copy)], "gSig": (4, 4), "min_corr": 0.83, "rf": 40})
    opened.save_params(opts)
    assert opened.load_params() == opts
    there = shutil.move(opened.folder, tmp_path / "moved")
    loaded = session.start(there, movie).load_params()
    assert [str(name) for name in loaded.get("data", "fnames")] == [str(Path(there) / "maps" / "rec.tif")]
    assert loaded.get("init", "min_corr") == 0.83


def test_params_missing(opened):
    with pytest.raises(MissingStep, match="'params'"):
        opened.load_params()


def test_demo_session_knows_truth_and_rate(tmp_path):
    s = session.start(tmp_path, "demo")
    assert s.truth.A.shape[0] > 5
    assert s.frame_rate == pytest.approx(s.truth.fr)


def test_forgotten_step_has_to_be_done_again(opened):
    opened.record("motion", border=1)
    opened.record("model", components=2)
    opened.forget("motion")
    opened.forget("motion")
    assert not opened.has("motion") and opened.need("model") == {"components": 2}
    with pytest.raises(ParameterError, match="'motoin'"):
        opened.forget("motoin")
