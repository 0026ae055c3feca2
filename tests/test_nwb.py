"""Export as NWB, read back."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import numpy as np
import pytest
from scipy import sparse

from cnmf_engine.base.errors import InputError, MissingFileError, ParameterError
from cnmf_engine.caiman.estimates import Estimates

DIMS, T = (12, 10), 40


def estimates(n_components):
    rng = np.random.default_rng(n_components)
    A = sparse.random(DIMS[0] * DIMS[1], n_components, 0.1, "csc", np.float32, random_state=rng)
    est = Estimates(A=A, C=rng.random((n_components, T)).astype(np.float32), dims=DIMS)
    est.S, est.YrA = (rng.random((n_components, T)).astype(np.float32) for _ in range(2))
    est.SNR_comp, est.r_values = rng.random(n_components), rng.random(n_components)
    est.idx_components = np.arange(0, n_components, 2)
    est.Cn = rng.random(DIMS).astype(np.float32)
    return est


@pytest.mark.parametrize("n_components", [1, 4])
def test_export_is_read_back(tmp_path, n_components):
    pynwb = pytest.importorskip("pynwb", reason="pynwb isn't installed")
    est = estimates(n_components)
    est.F_dff, est.dff_units = est.C - 0.1, "detrended fluorescence"
    start = datetime(2024, 5, 17, 9, 30, tzinfo=UTC)
    path = str(tmp_path / "fit.nwb")
    est.save_NWB(path, imaging_rate=15, session_start_time=start, location="CA1", starting_time=2.0)
    assert [item.name for item in tmp_path.iterdir()] == ["fit.nwb"]
    with pynwb.NWBHDF5IO(path, "r") as file:
        nwb = file.read()
        assert nwb.session_start_time == start
        assert nwb.imaging_planes["ImagingPlane"].location == "CA1"
        ophys = nwb.processing["ophys"]
        rois = ophys["ImageSegmentation"]["PlaneSegmentation"]
        for k in range(n_components):
            expected = est.A[:, [k]].toarray().reshape(DIMS, order="F")
            np.testing.assert_array_equal(np.asarray(rois["image_mask"][k]).T, expected)
        np.testing.assert_array_equal(rois["accepted"][:], np.arange(n_components) % 2 == 0)
        np.testing.assert_allclose(rois["snr"][:], est.SNR_comp)
        series = ophys["Fluorescence"].roi_response_series
        wanted = {"Raw": est.C + est.YrA, "Denoised": est.C, "Deconvolved": est.S, "Detrended": est.F_dff}
        assert set(series) == set(wanted)
        for name, data in wanted.items():
            np.testing.assert_array_equal(series[name].data[:], data.T)
            assert (series[name].rate, series[name].starting_time) == (15, 2)
        assert "DfOverF" not in ophys.data_interfaces
        np.testing.assert_array_equal(ophys["SummaryImages"]["correlation"].data[:].T, est.Cn)
    assert not pynwb.validate(path=path)


def test_real_dff_is_labelled_as_such(tmp_path):
    pynwb = pytest.importorskip("pynwb", reason="pynwb isn't installed")
    est = estimates(2)
    est.F_dff, est.dff_units = est.C.copy(), "DF/F"
    est.save_NWB(tmp_path / "fit.nwb", imaging_rate=10)
    with pynwb.NWBHDF5IO(str(tmp_path / "fit.nwb"), "r") as file:
        ophys = file.read().processing["ophys"]
        np.testing.assert_array_equal(ophys["DfOverF"]["DfOverF"].data[:], est.C.T)
        assert "Detrended" not in ophys["Fluorescence"].roi_response_series


def test_no_component_is_a_result_too(tmp_path):
    pynwb = pytest.importorskip("pynwb", reason="pynwb isn't installed")
    estimates(0).save_NWB(tmp_path / "fit.nwb", imaging_rate=10)
    with pynwb.NWBHDF5IO(str(tmp_path / "fit.nwb"), "r") as file:
        ophys = file.read().processing["ophys"]
        assert set(ophys.data_interfaces) == {"SummaryImages"}


def test_without_pynwb_the_reader_is_told_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pynwb", None)
    with pytest.raises(InputError, match="pip install pynwb"):
        estimates(1).save_NWB(tmp_path / "fit.nwb", imaging_rate=10)


def test_wrong_input(tmp_path):
    pytest.importorskip("pynwb", reason="pynwb isn't installed")
    est = estimates(1)
    with pytest.raises(InputError, match="'fit.nwb'"):
        est.save_NWB(tmp_path / "fit.hdf5", imaging_rate=10)
    with pytest.raises(MissingFileError, match="mkdir"):
        est.save_NWB(tmp_path / "nowhere" / "fit.nwb", imaging_rate=10)
    with pytest.raises(ParameterError, match="imaging_rate = 0"):
        est.save_NWB(tmp_path / "fit.nwb", imaging_rate=0)
    with pytest.raises(InputError, match="components to export"):
        Estimates().save_NWB(tmp_path / "fit.nwb", imaging_rate=10)


def test_noise_levels_are_named_as_the_unit(tmp_path):
    pynwb = pytest.importorskip("pynwb", reason="pynwb isn't installed")
    est = estimates(2)
    est.F_dff, est.dff_units = est.C.copy(), "noise levels"
    est.save_NWB(tmp_path / "fit.nwb", imaging_rate=10)
    with pynwb.NWBHDF5IO(str(tmp_path / "fit.nwb"), "r") as file:
        series = file.read().processing["ophys"]["Fluorescence"].roi_response_series["Detrended"]
        assert "noise" in series.description
