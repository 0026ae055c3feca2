"""A folder of results that was written on another system, or on another drive."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest

from workshop_utils import session
from workshop_utils.engine import params
from workshop_utils.session.records import decode, encode, renamed


@pytest.mark.parametrize(
    "there", ["D:\\\\my data\\\\Mäuse\\\\demo_ca1.tif", "/Volumes/Lab/Mäuse/demo_ca1.tif"]
)
def test_results_of_another_system_open_here(there, tmp_path):
    there = there.replace("\\\\", "\\")
    s = session.start(tmp_path, "demo")
    s.record("movie", path=s.movie, parts=[s.movie], frames=9)
    opts = params.CNMFParams()
    s.save_params(opts)
    here = str(s.movie)
    for name in ("session.json", "params.json"):
        content = json.loads((tmp_path / name).read_text(encoding="utf-8"))
        if name == "params.json":
            content.setdefault("data", {})["fnames"] = [here]
        text = json.dumps(content).replace(json.dumps(here), json.dumps(there))
        assert here not in text and json.dumps(there) in text
        (tmp_path / name).write_text(text, encoding="utf-8")
    again = session.start(tmp_path, "demo")
    assert again.need("movie")["path"] == again.movie and again.need("movie")["parts"] == [again.movie]
    assert again.load_params().data["fnames"] == [here]


def test_path_is_exchanged_as_it_was_written():
    # On Windows str(Path("/home/me/rec.tif")) is "\\home\\me\\rec.tif".
    new = PureWindowsPath("D:\\data\\rec.tif")
    assert renamed([{"path:": "/home/me/rec.tif"}], "/home/me/rec.tif", new) == [{"path:": str(new)}]


@pytest.mark.parametrize("text", ["C:\\scratch\\a.mmap", "\\\\server\\share\\a.mmap", "/content/a.mmap"])
def test_absolute_path_of_any_system_is_not_put_inside_the_folder(text, tmp_path):
    assert str(decode({"path:": text}, tmp_path)) == str(Path(text))


def test_paths_inside_are_kept_with_slashes(tmp_path):
    kept = encode(tmp_path / "notebooks" / "02.ipynb", tmp_path, "notebook")
    assert kept == {"path:": "notebooks/02.ipynb"}
    assert PurePosixPath(kept["path:"]) == PurePosixPath(*PureWindowsPath("notebooks\\02.ipynb").parts)
    assert decode(kept, tmp_path) == tmp_path / "notebooks" / "02.ipynb"
