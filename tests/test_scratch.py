"""Working files on a fast disk, and what of them survives a disconnect."""

from __future__ import annotations

import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile

from cnmf_engine.base.errors import InputError
from workshop_utils import session
from workshop_utils.session import MissingStep, scratch


@pytest.fixture
def colab(tmp_path, monkeypatch):
    """Two disks as in Colab: results on the one that stays, working files on the one that goes."""
    disks = SimpleNamespace(
        drive=tmp_path / "drive" / "MyDrive", content=tmp_path / "content", movie=tmp_path / "mouse 1.tif"
    )
    tifffile.imwrite(disks.movie, np.arange(60, dtype=np.uint8).reshape(3, 4, 5), photometric="minisblack")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORKSHOP_RESULTS", str(disks.drive / "workshop_results" / "{movie}"))
    monkeypatch.setenv("WORKSHOP_SCRATCH", str(disks.content / "workshop_scratch"))
    monkeypatch.setenv("WORKSHOP_HEADLESS", "1")
    return disks


def make_map(opened, content=b"0123" * 1000):
    path = opened.scratch / "memmap_d1_4_d2_5_d3_1_order_C_frames_3.mmap"
    path.write_bytes(content)
    return path


def test_each_movie_has_a_results_folder_of_its_name(colab):
    opened = session.start(movie=colab.movie)
    assert opened.folder == colab.drive / "workshop_results" / "mouse 1"
    assert opened.scratch.parent == colab.content / "workshop_scratch" and opened.scratch.is_dir()


def test_results_folders_of_one_name_have_scratch_folders_of_their_own(colab, tmp_path):
    assert scratch.folder_for(tmp_path / "a" / "results") != scratch.folder_for(tmp_path / "b" / "results")


def test_without_a_fast_disk_all_is_in_the_results(colab, monkeypatch):
    monkeypatch.delenv("WORKSHOP_SCRATCH")
    opened = session.start(movie=colab.movie)
    assert opened.scratch == opened.folder
    made = make_map(opened)
    opened.record("motion", memmap=made)
    assert opened.need("motion")["memmap"] == made


def test_memory_map_is_used_from_the_fast_disk_and_kept_on_the_other(colab):
    opened = session.start(movie=colab.movie)
    made = make_map(opened)
    opened.record("motion", memmap=made, border=2)
    assert (opened.folder / made.name).read_bytes() == made.read_bytes()
    assert opened.need("motion") == {"memmap": made, "border": 2}


def test_after_a_disconnect_the_next_lesson_finds_everything(colab):
    opened = session.start(movie=colab.movie)
    made = make_map(opened)
    opened.record("motion", memmap=made, shifts=opened.path("motion.npz"))
    opened.path("motion.npz").write_bytes(b"shifts")
    shutil.rmtree(colab.content)
    found = session.start(movie=colab.movie).need("motion")
    assert found["memmap"] == made and made.read_bytes() == b"0123" * 1000
    # Small files are read where they are.
    assert found["shifts"] == opened.folder / "motion.npz"


def test_changed_memory_map_replaces_the_old_one(colab):
    opened = session.start(movie=colab.movie)
    opened.record("motion", memmap=make_map(opened))
    opened.record("motion", memmap=make_map(opened, b"9876" * 2000))
    shutil.rmtree(colab.content)
    assert session.start(movie=colab.movie).need("motion")["memmap"].read_bytes() == b"9876" * 2000


def test_file_that_does_not_fit_is_used_where_it_is(colab, monkeypatch, capsys):
    opened = session.start(movie=colab.movie)
    made = make_map(opened)
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=100))
    opened.record("motion", memmap=made)
    said = capsys.readouterr().out
    assert "is not kept in" in said and "100 B free" in said and "has to be run again" in said
    assert opened.need("motion")["memmap"] == made
    shutil.rmtree(colab.content)
    with pytest.raises(MissingStep, match="deleted or moved"):
        session.start(movie=colab.movie).need("motion")


def test_place_for_working_files_that_cannot_be_made(colab, monkeypatch, tmp_path):
    (tmp_path / "taken").write_text("a file")
    monkeypatch.setenv("WORKSHOP_SCRATCH", str(tmp_path / "taken"))
    with pytest.raises(InputError, match="WORKSHOP_SCRATCH"):
        session.start(movie=colab.movie)


def test_results_folder_that_cannot_be_written_to(colab, monkeypatch):
    monkeypatch.delenv("WORKSHOP_SCRATCH")
    colab.drive.parent.mkdir()
    colab.drive.write_text("a file where a folder should be")
    with pytest.raises(InputError, match=r"(?s)can be written to.*often read-only"):
        session.start(movie=colab.movie)
