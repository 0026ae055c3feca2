from __future__ import annotations

import errno
import functools
import hashlib
import http.server
import json
import os
import threading
from pathlib import Path

import numpy as np
import pytest
import tifffile

from cnmf_engine.base.errors import InputError, MissingFileError
from workshop_utils import lessons
from workshop_utils.files import human_bytes
from workshop_utils.movies import copying, data, known


@pytest.fixture
def movie(tmp_path):
    path = tmp_path / "mäuse & Hirn" / "my movie.tif"
    path.parent.mkdir()
    tifffile.imwrite(path, np.zeros((3, 4, 5), np.uint8), photometric="minisblack")
    return path


@pytest.fixture
def server(tmp_path):
    """Serve a folder at a local address."""
    root = tmp_path / "served"
    root.mkdir()
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(root))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, daemon=True)
        thread.start()
        yield root, f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()
        thread.join()


@pytest.fixture
def known_movie(server, tmp_path, monkeypatch):
    """Register one movie at the local address; give its registry entry to be changed."""
    root, address = server
    content = os.urandom(5000)
    (root / "known.tif").write_bytes(content)
    entry = {
        "address": f"{address}/known.tif",
        "sha256": hashlib.sha256(content).hexdigest(),
        "frame_rate": 20,
    }

    def register(**changes):
        folder = tmp_path / "data"
        folder.mkdir(exist_ok=True)
        registry = {"movies": {"known.tif": entry | changes}}
        (folder / "registry.json").write_text(json.dumps(registry))
        monkeypatch.setattr(known, "resource", lambda kind: folder)
        return content

    monkeypatch.setenv("CAIMAN_DATA", str(tmp_path / "caiman data"))
    return register


@pytest.mark.parametrize(
    ("name", "file", "fr"), [("demo", "demo_ca1.tif", 10), ("demo_hard", "demo_l23.tif", 20)]
)
def test_demos_are_there_with_their_truth(name, file, fr):
    path = data.get(name)
    assert path == data.get(file) == data.folder() / file and path.is_file()
    assert data.frame_rate(path) == fr == data.truth_for(path).fr


@pytest.mark.parametrize("name", data.DEMOS)
def test_demo_that_is_gone_says_where_it_should_be(name, tmp_path, monkeypatch):
    monkeypatch.setattr(data, "folder", lambda: tmp_path)
    with pytest.raises(MissingFileError, match=rf"(?s){data.DEMOS[name]}.*install the package again"):
        data.get(name)


def test_file_by_path(movie, monkeypatch):
    assert data.get(movie) == movie
    monkeypatch.chdir(movie.parent)
    assert data.get("my movie.tif") == movie
    assert data.truth_for(movie) is None


def test_folder_with_one_movie(movie):
    (movie.parent / "requirements_caiman.txt").write_text("numpy\n")
    (movie.parent / ".hidden.tif").write_bytes(b"")
    assert data.get(movie.parent) == movie


def test_folder_with_several_movies_lists_them(movie):
    other = movie.with_name("second.AVI")
    other.write_bytes(b"")
    with pytest.raises(InputError) as caught:
        data.get(movie.parent)
    assert "Found 2: 'my movie.tif' (" in str(caught.value) and ", 'second.AVI' (0 B)." in str(caught.value)
    assert f'To go on: name one in the parameters, for example movie = "{movie.as_posix()}"' in str(
        caught.value
    )


def test_many_movies_are_not_all_listed(movie):
    for number in range(20):
        movie.with_name(f"a{number:02}.tif").write_bytes(b"")
    with pytest.raises(InputError, match=r"(?s)Found 21: .*'a09.tif' \(0 B\) and 11 more"):
        data.get(movie.parent)


def test_folder_without_movie_says_what_is_there(tmp_path):
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / "x.mmap").write_text("")
    with pytest.raises(MissingFileError, match=r"none, only 'notes.txt', 'x.mmap'"):
        data.get(tmp_path)


def test_zarr_folder_is_a_movie(tmp_path):
    (tmp_path / "rec.zarr").mkdir()
    assert data.get(tmp_path / "rec.zarr") == tmp_path / "rec.zarr"
    assert data.get(tmp_path) == tmp_path / "rec.zarr"


@pytest.mark.parametrize(
    ("asked", "meant"),
    [("my movi.tif", "my movie.tif"), ("My Movie.tif", "my movie.tif")],
    ids=["typo", "case"],
)
def test_misspelt_path_suggests_the_movie_beside_it(movie, asked, meant):
    with pytest.raises(MissingFileError) as caught:
        data.get(movie.parent / asked)
    assert f"did you mean '{movie.with_name(meant)}'" in str(caught.value)


@pytest.mark.parametrize(("asked", "meant"), [("demmo", "demo"), ("demo_hrad", "demo_hard")])
def test_misspelt_name_suggests_the_known_one(asked, meant):
    with pytest.raises(MissingFileError, match=f"did you mean '{meant}'"):
        data.get(asked)


@pytest.mark.parametrize(
    ("asked", "found", "fix"),
    [
        ("mause & Hirn/deep/my movie.tif", "no 'mause & Hirn' in ", "did you mean '{tmp}/mäuse & Hirn'?"),
        ("mause & Hirn/my movie.tif", "there is 'mäuse & Hirn/'", "mean '{tmp}/mäuse & Hirn/my movie.tif'?"),
        ("xyz/a/b/rec.tif", "no 'xyz' in ", "check the path from 'xyz' on, capital letters too"),
        ("mäuse & Hirn/my movie.tif/x/y.tif", "which is a file and no folder", "name it as it is: movie = "),
        ("mause & Hirn", "no file or folder at ", "did you mean '{tmp}/mäuse & Hirn'?"),
    ],
)
def test_broken_path_is_followed_to_where_it_ends(movie, tmp_path, asked, found, fix):
    with pytest.raises(MissingFileError) as caught:
        data.get(tmp_path / asked)
    assert found in str(caught.value) and fix.format(tmp=tmp_path) in str(caught.value)


@pytest.mark.skipif(os.name == "nt", reason="there it is a path like any other")
def test_path_of_a_windows_computer():
    with pytest.raises(MissingFileError, match="a path on a Windows computer"):
        data.get(r"C:\data\rec.tif")


@pytest.fixture
def drive(tmp_path, monkeypatch):
    """Expect Drive at a place of this test's; nothing is mounted there."""
    monkeypatch.setenv("WORKSHOP_DRIVE", str(tmp_path / "drive"))
    return tmp_path / "drive"


def test_drive_that_is_not_mounted(drive, monkeypatch):
    with pytest.raises(MissingFileError, match=r"a machine that isn't Colab(.|\n)*a path on this machine"):
        data.get(drive / "MyDrive" / "rec.tif")
    monkeypatch.setattr("workshop_utils.places.in_colab", lambda: True)
    with pytest.raises(MissingFileError, match=r"Drive isn't mounted(.|\n)*colab.mount_drive\(\)"):
        data.get(drive / "MyDrive" / "rec.tif")
    (drive / "MyDrive" / "data").mkdir(parents=True)
    with pytest.raises(
        MissingFileError, match=r"no 'dta' in .*; there is 'data/'(.|\n)*did you mean '.*data'"
    ):
        data.get(drive / "MyDrive" / "dta" / "rec.tif")


def test_connection_that_is_lost(drive, movie, monkeypatch):
    (drive / "MyDrive").mkdir(parents=True)

    def lost(*args, **options):
        raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "exists", lost)
        with pytest.raises(InputError, match=r"endpoint is not connected(.|\n)*restart the runtime"):
            data.get(drive / "MyDrive" / "rec.tif")
        with pytest.raises(InputError, match=r"endpoint is not connected(.|\n)*check the path and the disk"):
            data.get(movie)


def test_empty_and_incomplete_movies(movie):
    empty = movie.with_name("empty.tif")
    empty.write_bytes(b"")
    with pytest.raises(InputError, match=r"a file of 0 bytes"):
        data.get(empty)
    part = movie.with_name("new.tif.crdownload")
    part.write_bytes(b"half")
    with pytest.raises(InputError, match=r"'new.tif.crdownload', 4 B, which isn't complete yet"):
        data.get(part)
    with pytest.raises(MissingFileError, match=r"'new.tif.crdownload', which isn't complete yet"):
        data.get(movie.with_name("new.tif"))


def test_movie_whose_copy_was_cut_off(movie, tmp_path, monkeypatch):
    def some(file, source, stream, *rest):
        stream.write(b"II*")
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(copying, "_pour", some)
        with pytest.raises(InputError):
            data.copy_folder(movie.parent, tmp_path / "copy", progress=False)
    size = human_bytes(movie.stat().st_size)
    with pytest.raises(
        MissingFileError, match=rf"Found 3 B of {size}: copying it was cut off.\nTo go on: run the"
    ):
        data.get(tmp_path / "copy" / movie.name)
    with pytest.raises(MissingFileError, match="none, only nothing, and 3 B of a copy that was cut off"):
        data.get(tmp_path / "copy")


def test_folder_above_the_one_with_the_movie(movie, tmp_path):
    with pytest.raises(MissingFileError) as caught:
        data.get(tmp_path)
    assert f'here "{movie.parent.as_posix()}"' in str(caught.value)


@pytest.mark.parametrize("what", ["file", "folder"])
def test_no_right_to_read(movie, monkeypatch, what):
    def refuse(*args, **options):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open" if what == "file" else "iterdir", refuse)
    with pytest.raises(
        InputError, match=r"isn't allowed \(Permission denied, error 13\)(.|\n)*ask its owner"
    ):
        data.get(movie if what == "file" else movie.parent)


def test_empty_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MissingFileError, match="Expected a movie"):
        data.get("")


def test_known_movie_is_downloaded_once(known_movie, server, tmp_path):
    content = known_movie()
    path = data.get("known.tif")
    assert path == tmp_path / "caiman data" / "example_movies" / "known.tif"
    assert path.read_bytes() == content
    assert data.frame_rate(path) == 20
    (server[0] / "known.tif").unlink()
    assert data.get("known.tif") == path


def test_download_that_differs_is_refused(known_movie, tmp_path):
    known_movie(sha256="0" * 64)
    with pytest.raises(
        MissingFileError, match=r"with SHA-256 000(.|\n)*Found .*does not match(.|\n)*To go on: try again"
    ):
        data.get("known.tif")
    assert not list((tmp_path / "caiman data").rglob("*.tif"))


def test_download_without_a_known_checksum_says_so(known_movie, capsys):
    content = known_movie(sha256=None)
    assert data.get("known.tif").read_bytes() == content
    assert "its checksum isn't known, so it wasn't checked" in capsys.readouterr().out


def test_file_missing_at_the_address(known_movie, server):
    known_movie(address=f"{server[1]}/gone.tif")
    with pytest.raises(MissingFileError, match=r"(?s)Found HTTPError: 404.*movie='demo' needs no download"):
        data.get("known.tif")


def test_offline(known_movie):
    # Port 9 (discard) answers nobody: the connection is refused at once.
    known_movie(address="http://127.0.0.1:9/known.tif")
    with pytest.raises(MissingFileError, match=r"(?s)Found ConnectionError.*put the file at .*known.tif"):
        data.get("known.tif")


def test_cache_without_caiman_data(monkeypatch):
    monkeypatch.delenv("CAIMAN_DATA", raising=False)
    assert data.cache_folder().name == "calcium-workshop"


def test_broken_registry(tmp_path):
    path = tmp_path / "registry.json"
    path.write_text('{"films": {}}')
    with pytest.raises(InputError, match=r"KeyError: 'movies'"):
        data.registry(path)


def test_registry_of_the_workshop():
    entries = data.registry()
    assert {"data_endoscope.tif", "demoMovie.tif"} <= set(entries)
    for entry in entries.values():
        assert entry.address is None or entry.address.startswith("https://"), entry
        assert entry.sha256 is None or len(entry.sha256) == 64, entry
        if entry.address is None:
            assert hashlib.sha256(data.get(entry.name).read_bytes()).hexdigest() == entry.sha256


def test_resource_missing(monkeypatch, tmp_path):
    monkeypatch.setattr(lessons, "__file__", str(tmp_path / "workshop_utils" / "lessons.py"))
    with pytest.raises(MissingFileError, match="the workshop's folder 'data'"):
        lessons.resource("data")


def test_lessons_are_found_by_number(tmp_path):
    for name in ("00_all_in_one.ipynb", "02_b.ipynb", "01_a.ipynb", "draft.ipynb"):
        (tmp_path / name).write_text("{}")
    assert [path.name for path in lessons.lessons(tmp_path).values()] == ["01_a.ipynb", "02_b.ipynb"]
    assert lessons.lesson(2, tmp_path).name == "02_b.ipynb"
    with pytest.raises(InputError, match="number among 1, 2.\nFound 7"):
        lessons.lesson(7, tmp_path)
    with pytest.raises(MissingFileError, match="make notebooks"):
        lessons.lessons(tmp_path / "empty")
