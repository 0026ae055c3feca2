from __future__ import annotations

import csv
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse
import tifffile

from cnmf_engine.base.errors import InputError, ParameterError
from workshop_utils.session.export import export_csv, export_footprints

DIMS = (4, 5)


@pytest.fixture
def estimates():
    """Three components, one pixel each, at (1, 2), (3, 0) and nowhere."""
    rng = np.random.default_rng(3)
    A = np.zeros((20, 3), np.float32)
    A[1 + 4 * 2, 0] = 2
    A[3 + 4 * 0, 1] = 1
    C = rng.random((3, 50)).astype(np.float32)
    return SimpleNamespace(
        A=scipy.sparse.csc_matrix(A),
        C=C,
        S=np.clip(C - 0.5, 0, None),
        YrA=rng.normal(size=C.shape).astype(np.float32),
        dims=DIMS,
        Cn=np.eye(4, 5),
        SNR_comp=np.array([5.0, 2.0, np.inf]),
        r_values=np.array([0.9, 0.1, 0.95]),
        idx_components=np.array([0, 2]),
    )


def table(path):
    with path.open() as stream:
        header = next(csv.reader(stream))
    return header, np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2)


def test_tables_hold_time_in_seconds_and_one_row_a_frame(estimates, tmp_path):
    written = export_csv(estimates, 20.0, tmp_path / "new" / "folder")
    assert sorted(written) == ["components", "raw", "spikes", "traces"]
    for name, values in {
        "traces": estimates.C,
        "spikes": estimates.S,
        "raw": estimates.C + estimates.YrA,
    }.items():
        header, numbers = table(written[name])
        assert header == ["time_s", "component_0", "component_1", "component_2"]
        np.testing.assert_allclose(numbers[:, 0], np.arange(50) / 20)
        np.testing.assert_allclose(numbers[:, 1:], values.T, rtol=1e-5, atol=1e-6)


def test_time_of_a_long_recording_stays_exact(estimates, tmp_path):
    estimates.C = np.zeros((1, 100_000), np.float32)
    estimates.S = estimates.YrA = None
    seconds = table(export_csv(estimates, 30.0, tmp_path)["traces"])[1][:, 0]
    np.testing.assert_allclose(np.diff(seconds), 1 / 30, atol=2e-6)


def test_component_list(estimates, tmp_path):
    with export_csv(estimates, 10, tmp_path)["components"].open() as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["row"], row["column"]) for row in rows] == [
        ("1.000", "2.000"),
        ("3.000", "0.000"),
        ("nan", "nan"),
    ]
    assert [row["accepted"] for row in rows] == ["1", "0", "1"]
    assert (float(rows[1]["snr"]), float(rows[1]["r"]), rows[2]["snr"]) == (2.0, 0.1, "inf")


def test_chosen_components_keep_their_numbers(estimates, tmp_path):
    written = export_csv(estimates, 10, tmp_path, components=estimates.idx_components)
    header, numbers = table(written["traces"])
    assert header == ["time_s", "component_0", "component_2"]
    np.testing.assert_allclose(numbers[:, 2], estimates.C[2], rtol=1e-5)
    with np.load(export_footprints(estimates, tmp_path, components=[2, 0])["npz"]) as stored:
        assert stored["components"].tolist() == [2, 0] and stored["footprints"][1].sum() == 2


def test_not_evaluated_leaves_cells_empty(estimates, tmp_path):
    estimates.SNR_comp = estimates.r_values = estimates.idx_components = estimates.S = estimates.YrA = None
    written = export_csv(estimates, 10, tmp_path)
    assert sorted(written) == ["components", "traces"]
    assert written["components"].read_text().splitlines()[1] == "0,1.000,2.000,,,,"


def test_footprints_are_pictures_with_rows_and_columns(estimates, tmp_path):
    written = export_footprints(estimates, tmp_path)
    with np.load(written["npz"]) as stored:
        footprints = stored["footprints"]
        np.testing.assert_array_equal(stored["correlation"], estimates.Cn)
    assert footprints.shape == (3, 4, 5) and footprints.dtype == np.float32
    assert footprints[0, 1, 2] == 2 and footprints[1, 3, 0] == 1 and footprints.sum() == 3
    np.testing.assert_array_equal(tifffile.imread(written["tif"]), footprints)


@pytest.mark.parametrize("sparse", [True, False])
def test_no_component_and_dense_footprints(estimates, tmp_path, sparse):
    empty = scipy.sparse.csc_matrix((20, 0)) if sparse else np.zeros((20, 0))
    nothing = SimpleNamespace(A=empty, C=np.zeros((0, 50)), S=None, YrA=None, dims=None)
    written = export_footprints(nothing, tmp_path, dims=DIMS)
    assert sorted(written) == ["npz"]
    header, numbers = table(export_csv(nothing, 10, tmp_path)["traces"])
    assert header == ["time_s"] and numbers.shape == (50, 1)
    estimates.A = estimates.A.toarray()
    with np.load(export_footprints(estimates, tmp_path)["npz"]) as stored:
        assert stored["footprints"][0, 1, 2] == 2


@pytest.mark.parametrize("fr", [0, -1, float("nan"), None, "20"])
def test_frame_rate_is_checked(estimates, tmp_path, fr):
    with pytest.raises(ParameterError, match="the frame rate as a positive number of Hz"):
        export_csv(estimates, fr, tmp_path)
    assert not list(tmp_path.iterdir())


def test_wrong_input_is_named(estimates, tmp_path):
    with pytest.raises(ParameterError, match=r"among 0 to 2.\nFound \[3, -1\]"):
        export_csv(estimates, 10, tmp_path, components=[0, 3, -1])
    with pytest.raises(ParameterError, match=r"the 20 pixels of A.\nFound \(5, 5\)"):
        export_footprints(estimates, tmp_path, dims=(5, 5))
    estimates.C = None
    with pytest.raises(InputError, match="estimates with traces C"):
        export_csv(estimates, 10, tmp_path)
