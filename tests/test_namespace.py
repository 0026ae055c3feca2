import logging
import subprocess
import sys

import pytest

import cnmf_engine as cm
from cnmf_engine.base.errors import MissingFileError, ParameterError


def test_importing_loads_nothing_heavy():
    heavy = {"numpy", "cv2", "numba", "h5py", "bokeh", "matplotlib", "holoviews", "ipywidgets"}
    code = f"import sys, cnmf_engine; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_names_of_caiman_are_there():
    assert callable(cm.load)
    assert cm.base.movies.load is cm.load
    assert cm.mmapping.load_memmap is cm.load_memmap
    assert cm.cluster.stop_server is cm.stop_server
    assert cm.source_extraction.cnmf is cm.cnmf
    assert cm.paths.get_tempdir
    assert cm.utils.utils.download_demo
    assert set(cm.__all__) <= set(dir(cm))
    assert "load_memmap" in dir(cm)
    assert isinstance(cm.movie, type)


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="laod"):
        _ = cm.laod
    with pytest.raises(AttributeError, match="visualisation"):
        _ = cm.utils.visualisation


def test_server_calls_are_harmless(caplog):
    with caplog.at_level(logging.INFO, logger="caiman"):
        cm.start_server()
    assert "setup_cluster" in caplog.text
    cm.stop_server()


def test_demo_that_is_there_is_not_downloaded_again(tmp_caiman):
    folder = tmp_caiman.parent / "caiman_data" / "example_movies"
    folder.mkdir(parents=True)
    (folder / "mine.tif").write_bytes(b"1")
    assert cm.utils.utils.download_demo("mine.tif") == str(folder / "mine.tif")


def test_demo_is_fetched_from_where_caiman_keeps_it(tmp_caiman, monkeypatch):
    import pooch

    asked = {}
    monkeypatch.setattr(pooch, "retrieve", lambda url, **options: asked.update(url=url, **options) or "there")
    assert cm.utils.utils.download_demo("data_endoscope.tif") == "there"
    assert asked["url"].endswith("/data_endoscope.tif")
    assert asked["path"] == tmp_caiman.parent / "caiman_data" / "example_movies"


def test_demo_that_does_not_exist_or_cannot_be_fetched(tmp_caiman, monkeypatch):
    import pooch

    with pytest.raises(ParameterError, match=r"data_endoscope\.tif"):
        cm.utils.utils.download_demo("data_endscope.tif")

    def offline(*_, **__):
        raise ConnectionError("no network")

    monkeypatch.setattr(pooch, "retrieve", offline)
    with pytest.raises(MissingFileError, match=r"no network[\s\S]*in a browser"):
        cm.utils.utils.download_demo("data_endoscope.tif")
