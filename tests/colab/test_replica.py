"""
The notebooks on new machines with Colab's packages: installed from Drive in the first cell, changing nothing.

In `make test`: what an install changes, the first two lessons, all lessons in one, and what goes
wrong with Drive. With --every-lesson (`make test-colab`) all lessons, each on a machine of its own.
"""

from __future__ import annotations

import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from benchmarks.executing import printed
from workshop_utils.colab import DRIVE_FOLDER
from workshop_utils.lessons import STEPS
from workshop_utils.session import file as session_file
from workshop_utils.session.notebooks import tags_of

pytestmark = pytest.mark.notebooks

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("0[0-7]_*.ipynb"))
ALL_IN_ONE, *LESSONS = NOTEBOOKS
FIRST = LESSONS[0]
#: What Colab lacks although its IPython asks for it: new there, and in nobody's way.
HARMLESS = {"jedi"}
WORKSHOP = "calcium-workshop"
RESULTS = "MyDrive/workshop_results/demo_ca1"
#: In the cell of lesson 1 that opens the session.
OPENED = "session.start("


@pytest.fixture
def drive(tmp_path, shared):
    """Give an attendee's Drive of this test's own."""
    return shutil.copytree(shared, tmp_path / "Drive")


def steps(drive: Path) -> set[str]:
    """Name the steps that the results on Drive hold."""
    return set(session_file.read(drive / RESULTS)["steps"])


def bootstraps(executed) -> list:
    """List the bootstrap cells of an executed notebook."""
    return [cell for cell in executed.notebook.cells if "colab-only" in tags_of(cell)]


def verdicts(executed) -> list[str]:
    """List what the checks of an executed notebook's exercises said, by their first words."""
    shown = (output for cell in executed.notebook.cells for output in cell.get("outputs", ()))
    texts = ("".join(output.get("data", {}).get("text/plain", "")) for output in shown)
    return [text.split(":")[0] for text in texts if text.startswith(("Right:", "Not yet:", "No answer yet:"))]


def test_install_changes_nothing(machine, drive, wheel):
    new = machine(drive)
    before = new.installed()
    assert len(before) > 100 and WORKSHOP not in before
    assert set(new.would_install(wheel)) - HARMLESS == {WORKSHOP}
    new.pip("install", "--quiet", str(wheel))
    after = new.installed()
    assert {name: after.get(name) for name in before} == before
    assert set(after) - set(before) - HARMLESS == {WORKSHOP}
    assert new.pip("check").strip() == "No broken requirements found."


def test_wheel_that_would_change_a_package_is_noticed(machine, drive, tmp_path):
    """What the test above relies on: pip doesn't take what it finds for good enough."""
    wheel = tmp_path / "greedy-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        wants = "Metadata-Version: 2.1\nName: greedy\nVersion: 1.0\nRequires-Dist: ipywidgets>=8\n"
        archive.writestr("greedy-1.0.dist-info/METADATA", wants)
        archive.writestr("greedy-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("greedy-1.0.dist-info/RECORD", "")
    with pytest.raises(subprocess.CalledProcessError) as problem:
        machine(drive).would_install(wheel)
    assert "No matching distribution found for ipywidgets>=8" in problem.value.stderr


def test_each_lesson_on_a_machine_of_its_own(machine, drive, request):
    """A session that was disconnected after each lesson loses nothing: only Drive is kept."""
    every = request.config.getoption("--every-lesson", default=False)
    before = set()
    for path in LESSONS if every else LESSONS[:2]:
        new = machine(drive)
        # As attendees have it: on Drive, where `workshop bundle` has put it, made for the movie beside it.
        executed = new.run(drive / DRIVE_FOLDER / path.name, again=path is FIRST)
        assert executed.error == "", f"{path.stem}: {executed.error}"
        assert executed.first_picture > 0
        assert len(verdicts(executed)) >= 2 and set(verdicts(executed)) == {"No answer yet"}
        assert new.mounts == 1
        assert steps(drive) > before, f"{path.stem} has noted nothing on Drive, or lost what was there"
        before = steps(drive)
        if path is FIRST:
            again = bootstraps(executed)[-1]
            assert len(bootstraps(executed)) == 2 and len(printed(again).splitlines()) <= 1
            assert new.pip_log.count("Successfully installed") == 1
            copied = new.content / "workshop_data"
            kept = drive / DRIVE_FOLDER
            assert {item.name for item in copied.iterdir()} == {item.name for item in kept.iterdir()}
        assert not list((drive / "MyDrive" / "workshop_results").rglob("*.part*"))
        shutil.rmtree(new.content)
    if every:
        assert before == set(STEPS)


def test_all_in_one(machine, drive, short_demo):
    for path in short_demo.parent.glob("demo_ca1*"):
        shutil.copy(path, drive / DRIVE_FOLDER)
    new = machine(drive)
    executed = new.run(ALL_IN_ONE, movie=f"workshop_data/{short_demo.name}")
    assert executed.error == ""
    assert steps(drive) >= {"movie", "motion", "summary_images", "params", "model", "evaluation", "export"}
    assert new.mounts == 1


def test_shortcut_in_my_drive_will_do(machine, drive):
    """A folder that was shared lies outside My Drive; a shortcut there is a link to it."""
    target = drive / ".shortcut-targets-by-id" / "1a2B3c" / Path(DRIVE_FOLDER).name
    target.parent.mkdir(parents=True)
    (drive / DRIVE_FOLDER).rename(target)
    shutil.rmtree(drive / "MyDrive")
    (drive / "MyDrive").mkdir()
    (drive / "MyDrive" / target.name).symlink_to(target, target_is_directory=True)
    new = machine(drive)
    executed = new.run(FIRST, until=OPENED)
    assert executed.error == ""
    assert (new.content / "workshop_data" / "demo_ca1.tif").stat().st_size > 1_000_000
    assert (drive / RESULTS / "session.json").is_file()


def test_access_that_is_refused_is_told(machine, drive):
    new = machine(drive, refuses=True)
    executed = new.run(FIRST)
    assert executed.error.startswith("SystemExit")
    assert "credential propagation" in executed.printed and "allow access" in executed.printed
    assert WORKSHOP not in new.installed()


def test_demo_runs_where_access_is_refused_and_the_package_named(machine, drive, wheel):
    new = machine(drive, refuses=True)
    executed = new.run(FIRST, package=str(wheel))
    assert executed.error == ""
    assert "allow access" in executed.printed and "gone when it is closed" in executed.printed
    assert executed.first_picture > 0 and (new.content / "results" / "session.json").is_file()
    assert not (drive / RESULTS).exists()


def test_missing_folder_is_told_with_what_is_there(machine, drive):
    (drive / DRIVE_FOLDER).parents[1].rename(drive / "MyDrive" / "Workshop (1)")
    new = machine(drive)
    executed = new.run(FIRST)
    assert executed.error.startswith("SystemExit")
    assert "Workshop (1)" in executed.error and "shortcut" in executed.error
    assert WORKSHOP not in new.installed()


def test_folder_without_a_wheel_will_do_with_the_package_named(machine, drive, wheel):
    for each in (drive / DRIVE_FOLDER).glob("*.whl"):
        each.unlink()
    new = machine(drive)
    executed = new.run(FIRST, until=OPENED, package=str(wheel))
    assert executed.error == ""
    assert (new.content / "workshop_data" / "demo_ca1.tif").is_file()
    assert (drive / RESULTS / "session.json").is_file()
