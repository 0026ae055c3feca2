"""A class's folder for Drive: what is in it, what a second bundle leaves alone, what its check finds."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import unicodedata
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tifffile
from click.testing import CliRunner

from cnmf_engine.base.errors import InputError, MissingFileError, ParameterError
from workshop_utils import cli
from workshop_utils.classroom import bundle
from workshop_utils.classroom.bundle import checking, making, manifest, wheels
from workshop_utils.colab import DRIVE_FOLDER
from workshop_utils.lessons import resource
from workshop_utils.movies import data
from workshop_utils.movies.copying import sha256
from workshop_utils.session.notebooks import cells, parameters_of

FOLDER = "calcium-imaging-data"
WHEEL = "calcium_workshop-0.1.0-py3-none-any.whl"
LESSONS = sorted(path.name for path in resource("notebooks").glob("*.ipynb"))
QUIET = {"say": lambda line: None}


@pytest.fixture(scope="module")
def whole(wheel, tmp_path_factory):
    return bundle.build(tmp_path_factory.mktemp("demo") / FOLDER, wheel=wheel, **QUIET)


@pytest.fixture
def copy(whole, tmp_path):
    return Path(shutil.copytree(whole, tmp_path / FOLDER))


@pytest.fixture
def own(tmp_path):
    """A recording with a name that is hard on paths."""
    path = tmp_path / "mine" / "Maus & Käfig 3.tif"
    path.parent.mkdir()
    frames = np.random.default_rng(3).integers(0, 200, (6, 12, 10), np.uint8)
    tifffile.imwrite(path, frames, photometric="minisblack")
    return path


def files_of(folder):
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir()}


def failed(folder):
    return {one.name: one for one in bundle.check(folder, run=False, **QUIET) if not one.ok}


def edit(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_bundle_holds_what_a_class_needs_and_nothing_else(whole):
    expected = {WHEEL, *LESSONS, "demo_ca1.tif", "demo_ca1_truth.npz", "requirements_caiman.txt", "README.md"}
    assert {path.name for path in whole.iterdir()} == expected | {"bundle.json"}
    made = manifest.read(whole)
    assert set(made.files) == expected and made.movie == "demo_ca1.tif" and made.drive_folder == DRIVE_FOLDER
    assert (whole / "demo_ca1.tif").read_bytes() == data.get("demo").read_bytes()
    assert str(Path.home()) not in (whole / "bundle.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", LESSONS)
def test_only_parameters_change_in_a_notebook(name, own, wheel, tmp_path):
    out = bundle.build(
        tmp_path / "out", movie=own, wheel=wheel, drive_folder="MyDrive/Kurs & Übung", package="x", **QUIET
    )
    before = (resource("notebooks") / name).read_text(encoding="utf-8").splitlines()
    after = (out / name).read_text(encoding="utf-8").splitlines()
    changed = [(one, other) for one, other in zip(before, after, strict=True) if one != other]
    assert [other.split(" =")[0].strip(' "') for _, other in changed] == ["movie", "drive_folder", "package"]
    assert [one.partition("  # ")[2] for one, _ in changed] == [
        two.partition("  # ")[2] for _, two in changed
    ]
    values = parameters_of(out / name)
    assert values["movie"] == "workshop_data/Maus & Käfig 3.tif"
    assert values["drive_folder"] == "MyDrive/Kurs & Übung" and values["package"] == "x"
    assert [cell["id"] for cell in cells(out / name)] == [
        cell["id"] for cell in cells(resource("notebooks") / name)
    ]


def test_own_movie_with_further_parameters(own, wheel, tmp_path):
    said = []
    given = {"frame_rate": 20, "gSig": 4}
    out = bundle.build(tmp_path / FOLDER, movie=own, wheel=wheel, parameters=given, say=said.append)
    assert parameters_of(out / "02_motion_correction.ipynb")["frame_rate"] == 20
    assert parameters_of(out / "03_corr_pnr.ipynb")["gSig"] == 4
    assert "-p frame_rate" not in "\n".join(said)
    assert not failed(out)
    readme = (out / "README.md").read_text(encoding="utf-8")
    assert (
        "Maus & Käfig 3.tif: 6 frames of 12 x 10 pixels" in readme
        and "workshop_results > Maus & Käfig 3" in readme
    )
    (out / WHEEL).unlink()
    # What mends it makes the same bundle, not one with other values.
    command = failed(out)["wheel"].fix
    assert f'--movie "{out / own.name}"' in command and '-p "frame_rate=20" -p "gSig=4"' in command


def test_rate_of_an_unknown_movie_is_asked_for(own, wheel, tmp_path):
    said = []
    bundle.build(tmp_path / FOLDER, movie=own, wheel=wheel, say=said.append)
    assert "10 frames per second" in "\n".join(said)


def test_letters_that_macos_takes_apart_are_put_together(own, wheel, tmp_path):
    apart = own.rename(own.with_name(unicodedata.normalize("NFD", own.name)))
    out = bundle.build(tmp_path / FOLDER, movie=apart, wheel=wheel, **QUIET)
    assert (out / "Maus & Käfig 3.tif").is_file() and not failed(out)


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("Maus & Käfig 3.tif", "Maus & Käfig 3.tif"),
        ('a:b<c>"d"|e?f*.tif', "a_b_c__d__e_f_.tif"),
        ("ends. ", "ends"),
        ("con.tif", "_con.tif"),
        ("LPT1.avi", "_LPT1.avi"),
        ("console.tif", "console.tif"),
    ],
)
def test_names_for_every_system(name, safe):
    assert making.safe_name(name) == safe


@pytest.mark.parametrize(
    "text",
    [
        "MyDrive/Kurs & Übung",
        "/content/drive/MyDrive/Kurs & Übung/",
        "G:\\My Drive\\Kurs & Übung",
        "my drive/Kurs & Übung",
    ],
)
def test_folder_on_drive_is_understood(text):
    assert making.on_drive(text) == "MyDrive/Kurs & Übung"
    shared = (
        text.replace("MyDrive", "Shareddrives")
        .replace("My Drive", "Shared drives")
        .replace("my drive", "Shareddrives")
    )
    assert making.on_drive(shared) == "Shareddrives/Kurs & Übung"


@pytest.mark.parametrize("text", ["", "MyDrive", "data/movies", "MyDrive/../other"])
def test_folder_that_is_not_on_drive(text):
    with pytest.raises(ParameterError, match="--drive-folder MyDrive/"):
        making.on_drive(text)


def test_second_bundle_writes_nothing_new(copy, wheel):
    before, said = files_of(copy), []
    bundle.build(copy, wheel=wheel, say=said.append)
    assert files_of(copy) == before
    assert not [line for line in said if "written" in line or "copied" in line or "deleted" in line]


def test_other_movie_replaces_the_demo_but_never_a_recording(copy, own, wheel):
    bundle.build(copy, movie=own, wheel=wheel, **QUIET)
    assert (copy / own.name).is_file() and not list(copy.glob("demo_ca1*"))
    said = []
    bundle.build(copy, wheel=wheel, say=said.append)
    assert (copy / own.name).read_bytes() == own.read_bytes(), "a recording was deleted"
    assert f"not of this bundle: '{own.name}'" in "\n".join(said)


def test_own_files_and_own_changes_are_kept(copy, wheel):
    (copy / "notes.txt").write_text("room 12")
    (copy / ".DS_Store").write_bytes(b"x")
    edit(copy / "README.md", "# Calcium imaging workshop", "# Our course")
    (copy / "changed README.md").write_text("an earlier one")
    said = []
    bundle.build(copy, wheel=wheel, say=said.append)
    assert (copy / "notes.txt").read_text() == "room 12"
    assert (copy / "changed README.md").read_text() == "an earlier one"
    assert (copy / "changed 2 README.md").read_text(encoding="utf-8").startswith("# Our course")
    assert "# Calcium" in (copy / "README.md").read_text(encoding="utf-8")
    assert "'changed 2 README.md', 'changed README.md', 'notes.txt'" in "\n".join(said)
    files = next(one for one in bundle.check(copy, run=False, **QUIET) if one.name == "files")
    assert files.ok and "notes.txt" in files.found and "DS_Store" not in files.found


def test_files_that_were_there_before_the_bundle_are_set_aside(tmp_path, wheel):
    folder = tmp_path / FOLDER
    folder.mkdir()
    (folder / "README.md").write_text("mine")
    (folder / "demo_ca1.tif").write_bytes(b"another recording")
    bundle.build(folder, wheel=wheel, **QUIET)
    assert (folder / "changed README.md").read_text() == "mine"
    assert (folder / "changed demo_ca1.tif").read_bytes() == b"another recording"
    assert not failed(folder)


def test_bundle_of_a_movie_that_lies_in_the_folder(own, wheel):
    before = own.stat().st_mtime_ns
    bundle.build(own.parent, movie=own, wheel=wheel, **QUIET)
    bundle.build(own.parent, wheel=wheel, **QUIET)
    assert own.stat().st_mtime_ns == before


def test_wheel_of_an_earlier_version_is_replaced(copy, wheel):
    old = copy / "calcium_workshop-0.0.9-py3-none-any.whl"
    old.write_bytes(b"old")
    content = json.loads((copy / "bundle.json").read_text(encoding="utf-8"))
    content["files"][old.name] = {"bytes": 3, "sha256": sha256(old)}
    (copy / "bundle.json").write_text(json.dumps(content), encoding="utf-8")
    bundle.build(copy, wheel=wheel, **QUIET)
    assert not old.exists() and (copy / WHEEL).is_file()


def test_damaged_wheel_is_replaced_and_not_found_beside_the_new_one(copy, wheel):
    (copy / WHEEL).write_bytes(b"cut off")
    bundle.build(copy, wheel=wheel, **QUIET)
    assert not failed(copy) and (copy / f"changed {WHEEL}").read_bytes() == b"cut off"


def test_stopped_bundle_is_finished_by_the_next(copy, wheel):
    (copy / "bundle.json").unlink()
    (copy / "06_save_load.ipynb").unlink()
    before = files_of(copy)
    bundle.build(copy, wheel=wheel, **QUIET)
    after = files_of(copy)
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) == {"bundle.json", "06_save_load.ipynb"}


def test_folder_of_movies_is_explained(own, wheel, tmp_path):
    shutil.copy(own, own.with_name("second.tif"))
    with pytest.raises(InputError, match="Found 2: 'Maus.*'second.tif'.*\n.*name one"):
        bundle.build(tmp_path / "out", movie=own.parent, wheel=wheel, **QUIET)
    assert not (tmp_path / "out").exists()


def test_what_does_not_fit_is_said_before_anything_is_written(own, wheel, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(ParameterError, match="did you mean 'frame_rate'"):
        bundle.build(out, wheel=wheel, parameters={"frame_rat": 3}, **QUIET)
    with pytest.raises(ParameterError, match="write --movie"):
        bundle.build(out, wheel=wheel, parameters={"movie": "x"}, **QUIET)
    broken = own.with_name("broken.tif")
    broken.write_bytes(b"II*\0 not a movie")
    with pytest.raises(InputError, match="broken.tif"):
        bundle.build(out, movie=broken, wheel=wheel, **QUIET)
    with pytest.raises(MissingFileError, match="did you mean"):
        bundle.build(out, movie=own.with_name("Maus & Kafig 3.tif"), wheel=wheel, **QUIET)
    assert not out.exists()
    with pytest.raises(InputError, match="Found a file"):
        bundle.build(own, wheel=wheel, **QUIET)
    with pytest.raises(InputError, match="project's own files"):
        bundle.build(resource("notebooks"), wheel=wheel, **QUIET)


def test_wheels_that_can_not_be_taken(wheel, tmp_path):
    with pytest.raises(MissingFileError, match="no such file"):
        wheels.find_wheel(tmp_path / "gone.whl", tmp_path)
    with pytest.raises(MissingFileError, match="no wheel in it"):
        wheels.find_wheel(tmp_path, tmp_path)
    assert wheels.find_wheel(wheel.parent, tmp_path) == wheel
    cut = tmp_path / WHEEL
    cut.write_bytes(wheel.read_bytes()[:5000])
    with pytest.raises(InputError, match="cut off"):
        wheels.find_wheel(cut, tmp_path)
    other = tmp_path / "calcium_workshop-0.0.9-py3-none-any.whl"
    rewritten(wheel, other, "calcium_workshop-0.1.0.dist-info/METADATA", "Version: 0.1.0", "Version: 0.0.9")
    with pytest.raises(InputError, match="version 0.0.9"):
        wheels.find_wheel(other, tmp_path)
    foreign = tmp_path / "calcium_workshop-0.1.0-py2-none-any.whl"
    rewritten(wheel, foreign, "calcium_workshop-0.1.0.dist-info/METADATA", "calcium-workshop", "another-tool")
    with pytest.raises(InputError, match="a file of another-tool"):
        wheels.find_wheel(foreign, tmp_path)


def rewritten(wheel, target, name, old, new):
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(target, "w") as copy:
        for item in source.infolist():
            content = source.read(item)
            if item.filename == name:
                assert old.encode() in content
                content = content.replace(old.encode(), new.encode())
            copy.writestr(item, content)


def test_build_that_needs_the_internet_is_explained(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(MissingFileError, match=r"(?s)its words: ERROR.*hatchling.*--wheel"):
        wheels.find_wheel(None, tmp_path)


@pytest.fixture
def installed(wheel, tmp_path):
    """The workshop installed from a wheel, without the checkout; gives how to call its command."""
    source, site = tmp_path / "downloads" / wheel.name, tmp_path / "site"
    source.parent.mkdir()
    shutil.copy(wheel, source)
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--target",
        str(site),
    ]
    subprocess.run([*pip, str(source)], check=True, capture_output=True)

    def call(*arguments):
        command = [sys.executable, "-m", "workshop_utils.cli", *map(str, arguments)]
        env = os.environ | {"PYTHONPATH": str(site), "PYTHONUTF8": "1"}
        return subprocess.run(
            command, cwd=tmp_path, env=env, capture_output=True, text=True, encoding="utf-8"
        )

    return source, call


def test_bundle_from_an_installed_wheel(installed, tmp_path, whole):
    source, call = installed
    done = call("bundle", FOLDER)
    assert done.returncode == 0, done.stderr
    made, same = manifest.read(tmp_path / FOLDER), manifest.read(whole)
    assert made == same, "an installed workshop makes the bundle that a checkout makes"
    source.unlink()
    done = call("bundle", "second")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert f"{source}, which it was installed from, is gone" in done.stderr and "--wheel" in done.stderr
    assert not (tmp_path / "second").exists()


@pytest.mark.parametrize(
    ("origin", "wanted"),
    [
        (
            {"url": "https://host/p.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}},
            "calcium-workshop @ git+https://host/p.git@abc",
        ),
        ({"url": "https://host/p.whl", "archive_info": {}}, "calcium-workshop @ https://host/p.whl"),
        (
            {"url": "https://host/p.zip", "archive_info": {}, "subdirectory": "sub"},
            "calcium-workshop @ https://host/p.zip#subdirectory=sub",
        ),
    ],
)
def test_address_that_was_installed_from_is_asked_again(origin, wanted, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(wheels, "checkout", lambda: None)
    monkeypatch.setattr(wheels, "_origin", lambda: origin)
    monkeypatch.setattr(wheels, "_build", lambda what, temporary: asked.append(what))
    wheels.find_wheel(None, tmp_path)
    assert asked == [wanted]


def test_origin_without_a_wheel(wheel, tmp_path, monkeypatch):
    monkeypatch.setattr(wheels, "checkout", lambda: None)
    monkeypatch.setattr(wheels, "_origin", dict)
    with pytest.raises(MissingFileError, match="doesn't say where"):
        wheels.find_wheel(None, tmp_path)
    changed = {"url": wheel.as_uri(), "archive_info": {"hashes": {"sha256": "0" * 64}}}
    monkeypatch.setattr(wheels, "_origin", lambda: changed)
    with pytest.raises(MissingFileError, match="has changed since"):
        wheels.find_wheel(None, tmp_path)
    spaced = tmp_path / "Kurs & Übung" / wheel.name
    spaced.parent.mkdir()
    shutil.copy(wheel, spaced)
    monkeypatch.setattr(wheels, "_origin", lambda: {"url": spaced.as_uri()})
    assert wheels.find_wheel(None, tmp_path) == spaced


def second_wheel(folder):
    shutil.copy(folder / WHEEL, folder / "calcium_workshop-0.0.9-py3-none-any.whl")


def other_wheel(folder):
    wheel = (folder / WHEEL).rename(folder / "x")
    rewritten(wheel, folder / WHEEL, "workshop_utils/session/folder.py", "def start(", "def begin(")
    wheel.unlink()


def outputs(folder):
    path = folder / "02_motion_correction.ipynb"
    notebook = json.loads(path.read_text(encoding="utf-8"))
    cell = next(cell for cell in notebook["cells"] if cell["cell_type"] == "code")
    cell["execution_count"] = 1
    path.write_text(json.dumps(notebook), encoding="utf-8")


def older_version(folder):
    edit(folder / "bundle.json", '"workshop": "0.1.0"', '"workshop": "0.0.9"')


def other_movie(folder):
    edit(folder / "04_cnmfe_fit.ipynb", "workshop_data/demo_ca1.tif", "workshop_data/demo.tif")


def other_drive_folder(folder):
    edit(folder / "04_cnmfe_fit.ipynb", "data/calcium-imaging-data", "data/calcium-imaging")


FAULTS = [
    (second_wheel, "wheel", "2 of them", "delete all but"),
    (lambda folder: (folder / WHEEL).unlink(), "wheel", "none", "workshop bundle"),
    (lambda folder: (folder / WHEEL).write_bytes(b"PK cut off"), "wheel", "cut off", "workshop bundle"),
    (other_wheel, "wheel", "different: workshop_utils/session/folder.py", "workshop bundle"),
    (
        lambda folder: edit(folder / "03_corr_pnr.ipynb", "colab.start", "colab.go"),
        "notebooks",
        "installs",
        "bundle",
    ),
    (
        lambda folder: edit(folder / "03_corr_pnr.ipynb", "# 3.", "# 4."),
        "notebooks",
        "03_corr_pnr.ipynb isn't",
        "bundle",
    ),
    (
        lambda folder: (folder / "03_corr_pnr.ipynb").write_text("{"),
        "notebooks",
        "03_corr_pnr.ipynb",
        "bundle",
    ),
    (
        lambda folder: (folder / "03_corr_pnr.ipynb").unlink(),
        "notebooks",
        "03_corr_pnr.ipynb is missing",
        "bundle",
    ),
    (outputs, "notebooks", "edited or run", "workshop bundle"),
    (lambda folder: (folder / "demo_ca1.tif").unlink(), "movie", "no demo_ca1.tif", "workshop bundle"),
    (
        lambda folder: (folder / "demo_ca1.tif").write_bytes(b"II*\0"),
        "movie",
        "demo_ca1.tif",
        "workshop bundle",
    ),
    (other_movie, "movie", "04_cnmfe_fit.ipynb opens 'workshop_data/demo.tif'", "workshop bundle"),
    (other_drive_folder, "place on Drive", "04_cnmfe_fit.ipynb looks for", "workshop bundle"),
    (older_version, "files", "version 0.0.9", "workshop bundle"),
    (
        lambda folder: (folder / "demo_ca1_truth.npz").unlink(),
        "files",
        "missing: demo_ca1_truth.npz",
        "bundle",
    ),
    (
        lambda folder: (folder / "requirements_caiman.txt").write_text("a==1=2\n"),
        "requirements",
        "a==1=2",
        "bundle",
    ),
    (
        lambda folder: (folder / "requirements_caiman.txt").write_text("numpy\n"),
        "requirements",
        "isn't",
        "bundle",
    ),
    (lambda folder: (folder / "README.md").write_text("Hello\n"), "README", "another movie", "bundle"),
    (lambda folder: (folder / "README.md").unlink(), "README", "README.md", "workshop bundle"),
]


@pytest.mark.parametrize(("harm", "name", "found", "fix"), FAULTS)
def test_check_finds(harm, name, found, fix, copy):
    harm(copy)
    problems = failed(copy)
    assert found in problems[name].found and fix in problems[name].fix
    assert set(problems) <= {name, "files", "movie", "place on Drive"}


def test_bundle_mends_what_check_finds(copy, wheel):
    for harm in (
        other_wheel,
        outputs,
        other_movie,
        older_version,
        lambda folder: (folder / "README.md").unlink(),
    ):
        harm(copy)
    (copy / "demo_ca1.tif").write_bytes(b"II*\0")
    assert {"files", "wheel", "notebooks", "movie", "README"} <= set(failed(copy))
    bundle.build(copy, wheel=wheel, **QUIET)
    assert not failed(copy)


def test_check_finds_a_folder_with_another_name(copy):
    moved = copy.rename(copy.with_name("course data"))
    problem = failed(moved)["place on Drive"]
    assert "called 'calcium-imaging-data', this one is called 'course data'" in problem.found
    assert '--drive-folder "MyDrive/behavior&calcium-imaging-workshop/data/course data"' in problem.fix


def test_check_of_what_is_no_bundle(tmp_path):
    with pytest.raises(MissingFileError, match="no such folder"):
        bundle.check(tmp_path / "gone")
    (tmp_path / "a.txt").write_text("")
    with pytest.raises(MissingFileError, match="only 'a.txt'"):
        bundle.check(tmp_path)
    (tmp_path / "bundle.json").write_text("[]")
    with pytest.raises(InputError, match="delete bundle.json and make the bundle again"):
        bundle.check(tmp_path)
    entry = {"../a.txt": {"bytes": 0, "sha256": "0"}}
    facts = {"workshop": "0.1.0", "movie": "m", "drive_folder": "MyDrive/x", "package": "", "parameters": {}}
    (tmp_path / "bundle.json").write_text(json.dumps({**facts, "files": entry}))
    with pytest.raises(InputError, match="a file outside the folder"):
        bundle.check(tmp_path)


@pytest.mark.soak  # in each run the next but two fails in it, and tests/colab does the same on a new machine
def test_check_installs_copies_and_runs_lesson_1(wheel, tmp_path):
    movie = tmp_path / "Maus & Käfig 3.tif"
    shutil.copy(data.get("demo"), movie)
    out = bundle.build(
        tmp_path / "Kurs & Übung", movie=movie, wheel=wheel, drive_folder="MyDrive/a/Kurs & Übung", **QUIET
    )
    before = files_of(out)
    done = CliRunner().invoke(cli.main, ["bundle", str(out), "--check"])
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert [line.split(":")[0] for line in lines[-3:]] == [
        "OK    installing",
        "OK    copying",
        "OK    lesson 1",
    ]
    assert "results in MyDrive/workshop_results/Maus & Käfig 3" in lines[-1]
    assert files_of(out) == before


def test_check_does_without_links(whole, tmp_path, monkeypatch):
    def refused(*arguments, **keywords):
        raise OSError("a required privilege is not held by the client")

    monkeypatch.setattr(Path, "symlink_to", refused)
    place = tmp_path / "drive" / "MyDrive" / FOLDER
    checking._put_on_drive(whole, place)
    assert not place.is_symlink() and {path.name for path in place.iterdir()} == {
        path.name for path in whole.iterdir()
    }


@pytest.mark.parametrize(
    ("stderr", "found", "fix"),
    [
        ("/usr/bin/python: No module named pip", "No module named pip", "ensurepip"),
        (
            "Traceback\n  File x\nModuleNotFoundError: No module named 'nbclient'",
            ": ModuleNotFound",
            "[notebooks]",
        ),
        ("Expected room.\nFound none.\nTo go on: free some.", "Expected room. Found none. To go on", "mend"),
        ("", "no word", "mend"),
    ],
)
def test_part_that_fails_is_put_into_words(stderr, found, fix):
    done = subprocess.CompletedProcess([], 1, "", stderr)
    one = checking._judged("copying", done, 1.0, "mend it")
    assert not one.ok and found in one.found and fix in one.fix and "Traceback" not in one.found


def test_check_says_which_cell_of_lesson_1_fails(wheel, tmp_path):
    out = bundle.build(tmp_path / FOLDER, wheel=wheel, parameters={"log_level": "LOUD"}, **QUIET)
    done = CliRunner().invoke(cli.main, ["bundle", "--check", str(out)])
    assert done.exit_code == 1
    last = next(line for line in done.output.splitlines() if line.startswith("FAIL"))
    assert last.startswith("FAIL  lesson 1: failed after") and "cell " in last and "LOUD" in last


def test_check_does_not_run_what_is_not_whole(copy):
    (copy / "demo_ca1.tif").unlink()
    done = CliRunner().invoke(cli.main, ["bundle", "--check", str(copy)])
    assert done.exit_code == 1 and "FAIL  movie: " in done.output
    assert done.output.splitlines()[-1].startswith("Not tried")
