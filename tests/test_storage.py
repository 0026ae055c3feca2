"""Saving and loading: CaImAn's layout both ways, and its irregularities."""

from __future__ import annotations

import logging
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy import sparse

from cnmf_engine.base.errors import InputError, MissingFileError
from cnmf_engine.caiman.cnmf import CNMF, load_CNMF
from cnmf_engine.caiman.params import CNMFParams
from cnmf_engine.caiman.storage import save

GOLDEN = Path(__file__).parent / "golden" / "still_caiman.hdf5"
DIMS, T = (12, 10), 60


def model(n_components, *, patches=True):
    """A fitted model made by hand."""
    rng = np.random.default_rng(n_components)
    settings = {"fr": 15, "gSig": 2, "nb": 0, "method_init": "corr_pnr", "rf": 20 if patches else None}
    cnm = CNMF(
        2,
        params=CNMFParams(params_dict=settings | {"min_pnr": np.float32(7.5), "indices": (slice(1, 9),) * 2}),
    )
    d, est = DIMS[0] * DIMS[1], cnm.estimates
    cnm.dims, cnm.mmap_file = DIMS, "movie_d1_12_d2_10_d3_1_order_C_frames_60.mmap"
    est.dims = DIMS
    est.A = sparse.random(d, n_components, 0.1, "csc", np.float32, random_state=rng)
    est.C, est.S, est.YrA = (rng.random((n_components, T)).astype(np.float32) for _ in range(3))
    est.W = sparse.random(30, 30, 0.2, "csr", np.float32, random_state=rng)
    est.b0, est.sn = rng.random(d).astype(np.float32), rng.random(d)
    est.g = rng.random((n_components, 2))
    est.bl, est.c1, est.neurons_sn, est.lam = (rng.random(n_components) for _ in range(4))
    est.center = rng.random((n_components, 2))
    est.SNR_comp, est.r_values, est.cnn_preds = rng.random(n_components), rng.random(n_components), []
    est.idx_components = np.arange(0, n_components, 2)
    est.idx_components_bad = np.arange(1, n_components, 2)
    est.nr, est.Cn = n_components, rng.random(DIMS).astype(np.float32)
    return cnm


def assert_same(one, two):
    if sparse.issparse(one):
        assert type(one) is type(two) and one.dtype == two.dtype
        one, two = one.toarray(), two.toarray()
    if isinstance(one, np.ndarray):
        assert one.dtype == two.dtype and one.shape == two.shape
        np.testing.assert_array_equal(one, two)
    else:
        assert type(one) is type(two) and one == two, (one, two)


@pytest.mark.parametrize("n_components", [0, 1, 5])
@pytest.mark.parametrize("suffix", [".hdf5", ".h5"])
def test_round_trip(tmp_path, n_components, suffix):
    cnm = model(n_components)
    path = save(cnm, tmp_path / f"fit{suffix}", verify=True)
    assert path == str(tmp_path / f"fit{suffix}")
    assert [item.name for item in tmp_path.iterdir()] == [f"fit{suffix}"], "nothing temporary is left"
    again = load_CNMF(path, n_processes=2, dview="pool")
    assert again.params == cnm.params and again.params.patch["n_processes"] == 2
    assert again.dview == "pool" and again.dims == DIMS and again.mmap_file == cnm.mmap_file
    for name, value in vars(cnm.estimates).items():
        assert_same(value, getattr(again.estimates, name))
    assert len(again.estimates.C) == n_components


def test_loaded_model_goes_on(tmp_path):
    again = load_CNMF(save(model(5), tmp_path / "fit.hdf5"), n_processes=None)
    again.params.change_params({"gSig": 4, "min_SNR": 2})
    assert again.params.init["gSiz"] == (9, 9), "the box wasn't set by hand"
    again.estimates.select_components(use_object=True)
    third = load_CNMF(save(again, tmp_path / "fit.hdf5"))
    np.testing.assert_array_equal(third.estimates.idx_kept, [0, 2, 4])
    assert third.estimates.discarded_components.A.shape[1] == 2
    third.estimates.restore_discarded_components()
    assert len(third.estimates.C) == 5


def test_layout_is_that_of_caiman(tmp_path):
    path = save(model(5), tmp_path / "fit.hdf5")
    with h5py.File(path) as ours, h5py.File(GOLDEN) as theirs:
        for group in theirs["params"]:
            for key in {*theirs["params"][group], *theirs["params"][group].attrs}:
                assert key in ours["params"][group] or key in ours["params"][group].attrs, (group, key)
        for name, item in theirs["estimates"].items():
            assert name in ours["estimates"], name
            if isinstance(item, h5py.Dataset):
                assert isinstance(ours["estimates"][name], h5py.Dataset), name
                assert ours["estimates"][name].ndim == item.ndim or name == "center", name
            else:
                assert set(ours["estimates"][name]) == set(item), name
        assert set(theirs) <= set(ours)
        assert ours["estimates/A/data"].dtype == np.float32 and ours["estimates/A/indices"].dtype == np.int32
        assert ours["dview"][()] == theirs["dview"][()] == b"NoneType"
        assert tuple(ours["params/data/dims"][()]) == DIMS
        assert ours["params/data/fr"][()] == 15
        assert isinstance(ours["params/data"].attrs["caiman_version"], str)
        assert all(isinstance(value, str) for value in ours.attrs.values())


def test_reads_a_file_of_caiman(tmp_path):
    cnm = load_CNMF(GOLDEN)
    est = cnm.estimates
    with h5py.File(GOLDEN) as file:
        for name in "C S YrA b0 sn bl c1 g lam neurons_sn Cn SNR_comp r_values idx_components".split():
            np.testing.assert_array_equal(getattr(est, name), file["estimates"][name][()], err_msg=name)
        for name in ("A", "W"):
            for part in ("data", "indices", "indptr"):
                np.testing.assert_array_equal(
                    getattr(est[name].tocsc(), part), file["estimates"][name][part][()]
                )
    assert sparse.isspmatrix_csc(est.A) and est.A.shape == (9216, 18)
    assert sparse.isspmatrix_csr(est.W) and est.W.shape == (2304, 2304)
    assert est.dims == cnm.dims == cnm.params.data["dims"] == (96, 96)
    assert est.nr == 18 and len(est.idx_components) == 17 and list(est.idx_components_bad) == [1]
    for name in "b f R F_dff center ecc A_thr discarded_components noisyC Yr_buf".split():
        assert est[name] is None, name
    assert est.cnn_preds == [] and est.shifts == []
    p = cnm.params
    assert p.data["fnames"] == ["still.tif"] and p.data["caiman_version"] == "1.12.2"
    assert p.temporal["solvers"] == ("ECOS", "SCS")
    assert p.motion["indices"] == (slice(None), slice(None))
    assert (p.init["gSig"], p.init["gSiz"], p.init["K"]) == ((3, 3), (7, 7), None)
    assert p.patch["low_rank_background"] is None and p.quality["use_cnn"] is False
    assert p.spatial["expandCore"].shape == (5, 5) and p.motion["border_nan"] == "copy"
    assert cnm.mmap_file.endswith("order_C_frames_400.mmap") and cnm.skip_refinement is False
    again = load_CNMF(save(cnm, tmp_path / "again.hdf5", verify=True))
    assert again.params == p


def test_background_of_a_loaded_file_explains_the_movie():
    est = load_CNMF(GOLDEN).estimates
    flat = np.tile(est.b0[:, None], 400) + est.A @ est.C
    np.testing.assert_allclose(est.compute_background(flat), est.b0[:, None] + np.zeros(400), atol=1e-2)


def test_text_for_numbers_and_missing_entries_are_repaired(tmp_path, caplog):
    path = save(model(3, patches=False), tmp_path / "fit.hdf5")
    with h5py.File(path, "a") as file:
        est, params = file["estimates"], file["params"]
        for name in ("bl", "lam", "neurons_sn"):
            del est[name]
            est[name] = np.array([b"0.5", b"1.25", b"-3e-2"], dtype="S32")
        del est["g"], est["c1"], est["sn"], est["dims"], est["W"]
        est["g"] = np.array([b"[0.85]", b"[0.9]", b"[0.8]"], dtype="S32")
        est["sn"] = "NoneType"
        del params["init/min_corr"], params["motion/indices"], params["data/fr"], params["patch/rf"]
        params["data/fr"] = b"7.5"
        params["patch/rf"] = "NoneType"
        params["motion/indices"] = np.array([b"slice(None, 40, None)", b"slice(2, None, 3)"], dtype="S32")
        params["init/from_the_future"] = 3
        params.create_group("new_group")["x"] = 1
        del params["merging/merge_thr"]
        params["merging/merge_thr"] = "high"
        file["also_new"] = 5
    with caplog.at_level(logging.DEBUG, logger="caiman"):
        cnm = load_CNMF(path)
    for name in ("bl", "lam", "neurons_sn"):
        np.testing.assert_array_equal(cnm.estimates[name], [0.5, 1.25, -0.03])
        assert cnm.estimates[name].dtype == np.float64
    np.testing.assert_array_equal(cnm.estimates.g, [[0.85], [0.9], [0.8]])
    assert cnm.estimates.c1 is None and cnm.estimates.sn is None and cnm.estimates.W is None
    assert cnm.estimates.dims == DIMS
    assert cnm.params.data["fr"] == 7.5 and cnm.params.patch["rf"] is None
    assert cnm.params.motion["indices"] == (slice(None, 40), slice(2, None, 3))
    assert cnm.params.init["min_corr"] == 0.85
    assert cnm.params.merging["merge_thr"] == 0.8
    assert "merge_thr = 'high'" in caplog.text
    for name in ("init/from_the_future", "new_group/x", "also_new"):
        assert name in caplog.text


def test_fields_that_caiman_keeps_as_objects_are_saved_as_numbers(tmp_path):
    cnm = model(3)
    est = cnm.estimates
    est.bl = np.array([np.float32(1), 2.5, np.int16(3)], dtype=object)
    est.g = [np.array([0.5]), np.array([0.6, 0.1]), np.array([0.7])]
    est.b, est.f = sparse.csc_matrix(np.ones((120, 1))), np.ones((1, T))
    est.note, est.table, est.flag, est.small = (
        "seen by two people",
        {"a": 1, "b": "x"},
        np.bool_(True),
        np.uint8(7),
    )
    again = load_CNMF(save(cnm, tmp_path / "fit.hdf5"))
    np.testing.assert_array_equal(again.estimates.bl, [1, 2.5, 3])
    np.testing.assert_array_equal(again.estimates.g, [[0.5, 0], [0.6, 0.1], [0.7, 0]])
    assert again.estimates.b.shape == (120, 1) and not sparse.issparse(again.estimates.b)
    assert again.estimates.note == "seen by two people" and again.estimates.table == {"a": 1, "b": "x"}
    assert again.estimates.flag is True and again.estimates.small == 7


def test_what_hdf5_cannot_hold_is_left_out_and_named(tmp_path, caplog):
    cnm = model(1)
    cnm.estimates.viewer = object()
    again = load_CNMF(save(cnm, tmp_path / "fit.hdf5"))
    assert "viewer isn't saved" in caplog.text and not hasattr(again.estimates, "viewer")
    assert len(again.estimates.C) == 1


def test_names_of_files_may_hold_any_letter(tmp_path):
    cnm = model(1)
    cnm.params.data["fnames"] = ["/données/behavior&imaging/мышь 1.tif", "b.tif"]
    again = load_CNMF(save(cnm, tmp_path / "fit é.hdf5"))
    assert again.params.data["fnames"] == cnm.params.data["fnames"]


def test_model_before_its_fit(tmp_path):
    again = load_CNMF(save(CNMF(1, params=CNMFParams(dims=DIMS)), tmp_path / "fit.hdf5"))
    assert again.estimates.A is None and again.estimates.dims == again.params.data["dims"] == DIMS


def test_bare_name_is_saved_where_the_user_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert save(model(1), "fit.hdf5") == str(tmp_path / "fit.hdf5")
    assert len(load_CNMF("fit.hdf5").estimates.C) == 1


def test_failed_save_leaves_the_older_file(tmp_path, monkeypatch):
    path = Path(save(model(2), tmp_path / "fit.hdf5"))
    cnm = model(5)
    monkeypatch.setattr(
        "cnmf_engine.caiman.storage._write_estimates", lambda *_: (_ for _ in ()).throw(OSError("disk full"))
    )
    with pytest.raises(OSError, match="disk full"):
        save(cnm, path)
    assert [item.name for item in tmp_path.iterdir()] == ["fit.hdf5"]
    assert len(load_CNMF(path).estimates.C) == 2


def test_verifying_finds_a_difference(tmp_path, monkeypatch):
    other = model(1)
    other.estimates.C = other.estimates.C + 1
    monkeypatch.setattr("cnmf_engine.caiman.storage.load", lambda _: other)
    with pytest.raises(InputError, match="estimates.C to be the same"):
        save(model(1), tmp_path / "fit.hdf5", verify=True)
    assert not list(tmp_path.iterdir())


def test_wrong_files_are_explained(tmp_path):
    with pytest.raises(InputError, match="'fit.hdf5'"):
        save(model(1), tmp_path / "fit.mat")
    with pytest.raises(MissingFileError, match="mkdir"):
        save(model(1), tmp_path / "nowhere" / "fit.hdf5")
    path = save(model(1), tmp_path / "fit.hdf5")
    with pytest.raises(MissingFileError, match=r"fit2.hdf5(?s:.*)did you mean 'fit.hdf5'"):
        load_CNMF(tmp_path / "fit2.hdf5")
    with pytest.raises(InputError, match="ends with .hdf5 or .h5"):
        load_CNMF(path.replace(".hdf5", ".nwb"))
    (tmp_path / "text.h5").write_text("no")
    with pytest.raises(InputError, match="isn't readable HDF5"):
        load_CNMF(tmp_path / "text.h5")
    with h5py.File(tmp_path / "movie.h5", "w") as file:
        file["mov"] = np.zeros(3)
    with pytest.raises(InputError, match=r"movie.h5' with mov(?s:.*)cm.load"):
        load_CNMF(tmp_path / "movie.h5")


@pytest.mark.parametrize("n_components", [1, 5])
def test_roiextractors_reads_it(tmp_path, n_components):
    roiextractors = pytest.importorskip("roiextractors", reason="roiextractors isn't installed")
    cnm = model(n_components)
    extractor = roiextractors.CaimanSegmentationExtractor(save(cnm, tmp_path / "fit.hdf5"))
    assert extractor.get_num_rois() == n_components
    assert extractor.get_sampling_frequency() == 15
    # Older versions call it get_image_size.
    shape = getattr(extractor, "get_frame_shape", None) or extractor.get_image_size
    assert tuple(shape()) == DIMS
    np.testing.assert_allclose(extractor.get_traces(name="denoised"), cnm.estimates.C.T)
    np.testing.assert_allclose(extractor.get_traces(name="raw"), cnm.estimates.raw_traces().T)
    masks = np.asarray(extractor.get_roi_image_masks())
    expected = cnm.estimates.A.toarray().reshape((*DIMS, n_components), order="F")
    np.testing.assert_allclose(masks.reshape(expected.shape), expected)
    if hasattr(extractor, "get_accepted_list"):
        accepted = extractor.get_accepted_list()
    else:
        accepted = np.flatnonzero(extractor.get_property("is_accepted", extractor.get_roi_ids()))
    assert list(accepted) == list(cnm.estimates.idx_components)
