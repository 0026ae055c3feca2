import logging
from pathlib import Path

from cnmf_engine.base import paths


def test_temporary_folder_follows_the_environment(tmp_caiman):
    assert paths.get_tempdir() == str(tmp_caiman)
    assert paths.fn_relocated("a.mmap") == str(tmp_caiman / "a.mmap")
    assert paths.fn_relocated("there/a.mmap") == "there/a.mmap"
    assert paths.fn_relocated("there/a.mmap", force_temp=True) == str(tmp_caiman / "a.mmap")


def test_temporary_folder_is_made_on_demand(tmp_path, monkeypatch):
    monkeypatch.delenv("CAIMAN_TEMP", raising=False)
    monkeypatch.setenv("CAIMAN_DATA", str(tmp_path / "data"))
    assert paths.caiman_datadir() == str(tmp_path / "data")
    assert not (tmp_path / "data").exists()
    assert paths.get_tempdir() == str(tmp_path / "data" / "temp")
    assert (tmp_path / "data" / "temp").is_dir()


def test_a_folder_that_is_none_warns_and_is_not_used(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("CAIMAN_TEMP", str(tmp_path / "gone"))
    monkeypatch.setenv("CAIMAN_DATA", str(tmp_path))
    with caplog.at_level(logging.WARNING, logger="caiman"):
        assert paths.get_tempdir() == str(tmp_path / "temp")
    assert str(tmp_path / "gone") in caplog.text


def test_data_folder_is_in_the_home_by_default(monkeypatch):
    monkeypatch.delenv("CAIMAN_DATA", raising=False)
    assert Path(paths.caiman_datadir()) == Path.home() / "caiman_data"


def test_temporary_files_are_listed_with_sizes_and_removed(tmp_caiman):
    (tmp_caiman / "small.mmap").write_bytes(b"12")
    (tmp_caiman / "large.mmap").write_bytes(b"1234")
    (tmp_caiman / "notes.txt").write_bytes(b"keep")
    files = paths.temporary_files()
    assert list(files.items()) == [(tmp_caiman / "large.mmap", 4), (tmp_caiman / "small.mmap", 2)]
    assert paths.remove_temporary_files([*files, tmp_caiman / "never.mmap"]) == 6
    assert [path.name for path in tmp_caiman.iterdir()] == ["notes.txt"]
