"""Motion correction under CaImAn's interface: attributes, files, input of every kind."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import tifffile

import cnmf_engine as cm
from cnmf_engine.base.errors import InputError, MissingFileError, ParameterError
from cnmf_engine.caiman.cluster import setup_cluster
from cnmf_engine.caiman.motion_correction import MotionCorrect, high_pass_filter_space
from cnmf_engine.caiman.params import CNMFParams
from cnmf_engine.stages.registration import apply_shifts

JITTER = Path(__file__).parent / "golden" / "jitter.tif"
SETTINGS = {"max_shifts": (5, 5), "gSig_filt": (3, 3), "border_nan": "copy", "strides": 48, "overlaps": 24}


def load_map(path: str) -> np.ndarray:
    Yr, dims, T = cm.load_memmap(path)
    return np.asarray(Yr.T.reshape((T, *dims), order="F"))


@pytest.fixture
def short(tmp_path) -> Path:
    """The first 60 frames of the golden movie as a file."""
    path = tmp_path / "short.tif"
    tifffile.imwrite(path, tifffile.imread(JITTER)[:60])
    return path


def test_rigid_attributes_are_caimans(tmp_caiman):
    mc = MotionCorrect(str(JITTER), **SETTINGS)
    assert mc.motion_correct(save_movie=True) is None
    assert mc.fname == [str(JITTER)]
    assert isinstance(mc.shifts_rig, list) and len(mc.shifts_rig) == 250
    assert all(type(shift) is tuple and type(shift[0]) is float for shift in mc.shifts_rig)
    assert mc.total_template_rig.shape == (80, 80) and mc.total_template_rig.dtype == np.float32
    assert len(mc.templates_rig) == 14 and mc.templates_rig[0].shape == (80, 80)
    assert type(mc.min_mov) is float and type(mc.border_to_0) is int
    assert mc.border_to_0 == np.ceil(np.abs(mc.shifts_rig).max())
    assert mc.mmap_file is mc.fname_tot_rig and mc["mmap_file"] is mc.mmap_file
    assert not hasattr(mc, "fname_tot_els")
    assert Path(mc.mmap_file[0]) == tmp_caiman / "jitter_rig__d1_80_d2_80_d3_1_order_F_frames_250.mmap"
    assert [path.name for path in tmp_caiman.iterdir()] == [Path(mc.mmap_file[0]).name]
    assert mc.quality.improved and mc.quality.frames_at_limit == 0


def test_saved_movie_is_the_shifted_original_in_its_own_units(tmp_caiman, short):
    for nonneg in (True, False):
        mc = MotionCorrect(short, nonneg_movie=nonneg, **SETTINGS)
        mc.motion_correct(save_movie=True)
        saved = load_map(mc.mmap_file[0])
        assert saved.dtype == np.float32
        expected = apply_shifts(tifffile.imread(short), mc.shifts_rig, "copy")
        assert np.array_equal(saved, expected)
        loaded = cm.load(mc.mmap_file)
        assert np.array_equal(np.asarray(loaded), saved)


def test_without_filter_nothing_is_subtracted_either(tmp_caiman, short):
    mc = MotionCorrect(short, max_shifts=5, border_nan="copy")
    mc.motion_correct(save_movie=True)
    movie = tifffile.imread(short)
    assert mc.min_mov == movie.min()
    assert load_map(mc.mmap_file[0]).mean() == pytest.approx(movie.mean(), rel=0.01)


def test_default_border_is_nan_as_in_caiman(tmp_caiman, short):
    mc = MotionCorrect(short, max_shifts=5, gSig_filt=3)
    mc.motion_correct(save_movie=True)
    saved = load_map(mc.mmap_file[0])
    assert np.isnan(saved).any()
    border = mc.border_to_0
    assert np.isfinite(saved[:, border:-border, border:-border]).all()
    assert np.isfinite(mc.total_template_rig).all() and np.isfinite(mc.templates_rig).all()


def test_piecewise_attributes_are_caimans(tmp_caiman, short):
    mc = MotionCorrect(short, pw_rigid=True, **SETTINGS)
    mc.motion_correct(save_movie=True)
    assert len(mc.x_shifts_els) == len(mc.y_shifts_els) == 60
    assert mc.x_shifts_els[0].shape == (4,)
    assert mc.coord_shifts_els == [None] * 60
    assert mc.total_template_els.shape == (80, 80) and len(mc.templates_els) == 14
    assert mc.fname_tot_rig == [None]
    assert mc.mmap_file is mc.fname_tot_els
    assert Path(mc.mmap_file[0]).name == "short_els__d1_80_d2_80_d3_1_order_F_frames_60.mmap"
    assert len(mc.shifts_rig) == 60
    assert mc.border_to_0 == np.ceil(max(np.abs(mc.x_shifts_els).max(), np.abs(mc.y_shifts_els).max()))
    assert mc.quality.improved


def test_piecewise_with_a_template_skips_the_rigid_run(tmp_caiman, short):
    first = MotionCorrect(short, **SETTINGS)
    first.motion_correct()
    mc = MotionCorrect(short, pw_rigid=True, **SETTINGS)
    mc.motion_correct(template=first.total_template_rig)
    assert not hasattr(mc, "shifts_rig") and mc.fname_tot_els == [None]
    assert np.allclose(np.mean(mc.x_shifts_els, axis=1), np.array(first.shifts_rig)[:, 0], atol=0.2)


def test_several_files_share_the_template(tmp_caiman, tmp_path):
    movie = tifffile.imread(JITTER)
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder, part in zip(folders, (movie[:120], movie[120:240])):
        folder.mkdir()
        tifffile.imwrite(folder / "m.tif", part)
    mc = MotionCorrect([folder / "m.tif" for folder in folders], **SETTINGS)
    mc.motion_correct(save_movie=True)
    assert len(mc.shifts_rig) == 240
    assert len(set(mc.mmap_file)) == 2 and all(Path(path).is_file() for path in mc.mmap_file)
    assert len(mc.quality) == 2 and all(quality.improved for quality in mc.quality)
    truth = np.load(JITTER.with_name("jitter_truth.npz"))["shifts"][:240]
    error = np.array(mc.shifts_rig) + truth
    # One origin for both: the mean error of the second file is that of the first.
    assert np.sqrt(np.mean((error - error.mean(axis=0)) ** 2)) < 0.05
    assert np.abs(error[:120].mean(axis=0) - error[120:].mean(axis=0)).max() < 0.05


def test_arrays_are_taken_as_they_are(tmp_caiman, short):
    movie = tifffile.imread(short)
    of_file, of_array, of_movie = (
        MotionCorrect(source, **SETTINGS)
        for source in (short, movie, cm.movie(movie.astype(np.float32), fr=10))
    )
    for mc in (of_file, of_array, of_movie):
        mc.motion_correct(save_movie=True)
    assert of_array.shifts_rig == of_file.shifts_rig == of_movie.shifts_rig
    assert Path(of_array.mmap_file[0]).name.startswith("tmp_mov_mot_corr_rig__d1_80")


def test_workers_change_nothing_and_files_in_use_stay_whole(tmp_caiman, short):
    first = MotionCorrect(short, **SETTINGS)
    first.motion_correct(save_movie=True)
    Yr, _, _ = cm.load_memmap(first.mmap_file[0])
    before = np.array(Yr)
    _, dview, _ = setup_cluster(n_processes=2, ignore_preexisting=True)
    with dview:
        again = MotionCorrect(short, dview=dview, **{**SETTINGS, "border_nan": "min"})
        again.motion_correct(save_movie=True)
    assert again.shifts_rig == first.shifts_rig
    assert np.array_equal(again.total_template_rig, first.total_template_rig)
    # The first file may have been replaced by name, but who has it open keeps it.
    assert np.array_equal(Yr, before)


def test_params_of_group_motion_fit_the_constructor(tmp_caiman, short):
    opts = CNMFParams(params_dict={"fnames": [str(short)], "gSig_filt": (3, 3), "max_shifts": (5, 5)})
    mc = MotionCorrect([str(short)], dview=None, **opts.get_group("motion"))
    mc.motion_correct()
    assert mc.border_nan == "copy" and len(mc.shifts_rig) == 60


@pytest.mark.parametrize("pw_rigid", [False, True])
def test_shifts_apply_to_another_movie(tmp_caiman, short, monkeypatch, tmp_path, pw_rigid):
    monkeypatch.chdir(tmp_path)
    mc = MotionCorrect(short, pw_rigid=pw_rigid, **SETTINGS)
    mc.motion_correct(save_movie=True)
    moved = mc.apply_shifts_movie(short)
    assert isinstance(moved, cm.movie)
    assert np.array_equal(np.asarray(moved), load_map(mc.mmap_file[0]))
    path = mc.apply_shifts_movie([str(short)], save_memmap=True, order="C")
    assert Path(path) == tmp_path / "MC_d1_80_d2_80_d3_1_order_C_frames_60.mmap"
    assert np.array_equal(load_map(path), np.asarray(moved))
    negative = tifffile.imread(short).astype(np.float32) - 3000
    assert mc.apply_shifts_movie(negative).min() == 0
    assert mc.apply_shifts_movie(negative, remove_min=False).min() < -500
    with pytest.raises(InputError, match="a movie of 60 frames"):
        mc.apply_shifts_movie(negative[:10])


@pytest.mark.parametrize("pw_rigid", [False, True])
def test_border_modes_reach_the_saved_movie(tmp_caiman, short, pw_rigid):
    movie = tifffile.imread(short)
    saved, shifts = {}, None
    for border in (True, "min", "copy", False):
        mc = MotionCorrect(short, pw_rigid=pw_rigid, **{**SETTINGS, "border_nan": border})
        mc.motion_correct(save_movie=True)
        saved[border] = load_map(mc.mmap_file[0])
        found = mc.x_shifts_els if pw_rigid else mc.shifts_rig
        # How borders are filled has no influence on shifts.
        assert shifts is None or np.array_equal(found, shifts)
        shifts = found
    lost = np.isnan(saved[True])
    assert 0 < lost.mean() < 0.1
    for border in ("min", "copy", False):
        assert np.isfinite(saved[border]).all()
        assert np.array_equal(saved[border][~lost], saved[True][~lost])
    least = np.broadcast_to(saved["min"].min(axis=(1, 2), keepdims=True), lost.shape)
    assert np.array_equal(saved["min"][lost], least[lost])
    assert saved["copy"][lost].min() >= movie.min()
    if pw_rigid:
        assert (saved[False][lost] == 0).all()
    else:
        assert saved[False][lost].min() >= movie.min()


def test_a_given_template_sets_the_place_of_all_files(tmp_caiman, short):
    movie = tifffile.imread(short)
    first = MotionCorrect(movie[:40], **SETTINGS)
    first.motion_correct()
    template = np.roll(first.total_template_rig, (2, -1), (0, 1))
    for pw_rigid in (False, True):
        mc = MotionCorrect([movie[:30], movie[30:]], pw_rigid=pw_rigid, **{**SETTINGS, "max_shifts": (8, 8)})
        mc.motion_correct(template=template)
        found = (
            np.array(mc.shifts_rig)
            if not pw_rigid
            else np.stack([np.mean(mc.x_shifts_els, axis=1), np.mean(mc.y_shifts_els, axis=1)], axis=1)
        )
        moved = found[:40] - np.array(first.shifts_rig)
        assert np.abs(moved - (2, -1)).mean() < 0.1
        if not pw_rigid:
            assert np.array_equal(mc.total_template_rig, template)


def test_several_files_in_pieces(tmp_caiman, short, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    movie = tifffile.imread(short)
    parts = [tmp_path / "one.tif", tmp_path / "two.tif"]
    for path, part in zip(parts, (movie[:35], movie[35:])):
        tifffile.imwrite(path, part)
    mc = MotionCorrect(parts, pw_rigid=True, **{**SETTINGS, "max_deviation_rigid": None})
    mc.motion_correct(save_movie=True)
    assert len(mc.x_shifts_els) == len(mc.shifts_rig) == 60 and mc.fname_tot_rig == [None, None]
    assert [Path(path).name.split("__")[0] for path in mc.mmap_file] == ["one_els", "two_els"]
    assert len(mc.quality) == 2 and all(quality.improved for quality in mc.quality)
    truth = np.load(JITTER.with_name("jitter_truth.npz"))["shifts"][:60]
    error = np.stack([np.mean(mc.x_shifts_els, axis=1), np.mean(mc.y_shifts_els, axis=1)], axis=1) + truth
    assert np.sqrt(np.mean((error - error.mean(axis=0)) ** 2)) < 0.09
    # The shifts of all files serve another recording of the same frames, given in as many parts or one.
    whole, again = mc.apply_shifts_movie(short), mc.apply_shifts_movie(parts)
    assert np.array_equal(np.asarray(whole), np.asarray(again))
    assert np.array_equal(np.asarray(whole)[:35], load_map(mc.mmap_file[0]))
    rigid = mc.apply_shifts_movie(short, rigid_shifts=True)
    assert np.array_equal(np.asarray(rigid), apply_shifts(movie, mc.shifts_rig, "copy"))


def test_memory_limit_is_taken_and_checked(tmp_caiman, short):
    shifts = []
    for limit in (None, "16MB"):
        mc = MotionCorrect(short, memory_limit=limit, **SETTINGS)
        mc.motion_correct(save_movie=True)
        shifts.append(mc.shifts_rig)
    assert shifts[0] == shifts[1]
    with pytest.raises(ParameterError, match="memory_limit"):
        MotionCorrect(short, memory_limit="much", **SETTINGS).motion_correct()


def test_quality_tells_motion_in_pixels(tmp_caiman):
    mc = MotionCorrect(JITTER, **SETTINGS)
    mc.motion_correct()
    truth = np.load(JITTER.with_name("jitter_truth.npz"))["shifts"]
    moved = np.sqrt(((truth - truth.mean(axis=0)) ** 2).sum(axis=1).mean())
    assert mc.quality.motion_px == pytest.approx(moved, rel=0.1)
    assert mc.quality.residual_px < 0.1


def test_apply_before_correcting_is_explained(short):
    with pytest.raises(InputError, match=r"call motion_correct\(\) first"):
        MotionCorrect(short).apply_shifts_movie(short)


def test_indices_crop_the_image(tmp_caiman, short):
    mc = MotionCorrect(short, indices=(slice(10, 70), slice(None, -16)), **SETTINGS)
    mc.motion_correct(save_movie=True)
    assert mc.total_template_rig.shape == (60, 64)
    assert load_map(mc.mmap_file[0]).shape == (60, 60, 64)
    whole = MotionCorrect(short, indices=(slice, slice), **SETTINGS)
    whole.motion_correct()
    assert whole.total_template_rig.shape == (80, 80)
    with pytest.raises(InputError, match="which leave nothing"):
        MotionCorrect(short, indices=(slice(90, 95), slice(None))).motion_correct()


def test_a_still_movie_is_reported(tmp_caiman, caplog):
    still = np.tile(tifffile.imread(JITTER)[:1], (30, 1, 1))
    mc = MotionCorrect(still, **SETTINGS)
    with caplog.at_level(logging.WARNING, "caiman"):
        mc.motion_correct()
    assert not mc.quality.improved and "did not make the frames more alike" in caplog.text
    assert np.abs(mc.shifts_rig).max() < 0.03


@pytest.mark.parametrize("pw_rigid", [False, True])
def test_constant_and_one_frame_movies(tmp_caiman, pw_rigid):
    constant = MotionCorrect(np.full((25, 60, 60), 7.0), pw_rigid=pw_rigid, **SETTINGS)
    constant.motion_correct(save_movie=True)
    assert constant.border_to_0 == 0 and np.array_equal(constant.shifts_rig, np.zeros((25, 2)))
    assert (load_map(constant.mmap_file[0]) == 7).all()
    single = tifffile.imread(JITTER)[:1]
    one = MotionCorrect(single, pw_rigid=pw_rigid, **SETTINGS)
    one.motion_correct(save_movie=True)
    assert len(one.shifts_rig) == 1 and np.abs(one.shifts_rig).max() < 0.02
    assert np.allclose(load_map(one.mmap_file[0]), single, rtol=0.05)


def test_frames_with_nan_are_filled_frames_of_nan_refused(tmp_caiman, short, caplog):
    movie = tifffile.imread(short).astype(np.float32)
    movie[3, :5] = np.nan
    mc = MotionCorrect(movie, **SETTINGS)
    with caplog.at_level(logging.WARNING, "caiman"):
        mc.motion_correct(save_movie=True)
    assert "1 of 60 frames had NaN" in caplog.text
    assert np.isfinite(load_map(mc.mmap_file[0])).all() and np.isfinite(mc.min_mov)
    movie[3] = np.nan
    with pytest.raises(InputError, match=r"only NaN in frame\(s\) 3"):
        MotionCorrect(movie, **SETTINGS).motion_correct()


def test_a_failed_run_leaves_no_file(tmp_caiman, short):
    movie = np.concatenate([tifffile.imread(short)] * 8).astype(np.float32)
    movie[450] = np.nan
    template = np.zeros((80, 80), np.float32)
    with pytest.raises(InputError, match="450"):
        MotionCorrect(movie, **SETTINGS).motion_correct(template=template, save_movie=True)
    assert list(tmp_caiman.iterdir()) == []


def test_bad_input_is_explained(tmp_path, short):
    with pytest.raises(MissingFileError, match=r"shrot\.tif"):
        MotionCorrect(tmp_path / "shrot.tif").motion_correct()
    with pytest.raises(InputError, match="single image"):
        MotionCorrect(np.zeros((30, 30))).motion_correct()
    with pytest.raises(InputError, match="at least one movie"):
        MotionCorrect([])
    with pytest.raises(ParameterError, match="is3D=True"):
        MotionCorrect(short, is3D=True)
    with pytest.raises(ParameterError, match="border_nan"):
        MotionCorrect(short, border_nan="mirror")
    with pytest.raises(InputError, match="template of the movie's size"):
        MotionCorrect(short, **SETTINGS).motion_correct(template=np.zeros((3, 3)))


def test_arguments_without_effect_are_reported(short, caplog):
    with caplog.at_level(logging.WARNING, "caiman"):
        MotionCorrect(short, use_cuda=True, shifts_opencv=False)
    assert "use_cuda=True has no effect" in caplog.text and "shifts_opencv=False has no effect" in caplog.text


def test_high_pass_removes_what_is_flat_or_wide():
    rows, cols = np.indices((60, 60))
    wide = 500 + 3.0 * rows
    cell = 40 * np.exp(-((rows - 30) ** 2 + (cols - 28) ** 2) / (2 * 2.5**2))
    for options in ({"gSig_filt": (3, 3)}, {"gSig_filt": 2.5}, {"freq": 0.05, "order": 2}):
        filtered = high_pass_filter_space(wide + cell, **options)
        assert filtered.shape == (60, 60) and filtered.dtype == np.float32
        assert np.unravel_index(filtered[10:-10, 10:-10].argmax(), (40, 40)) == (20, 18)
        assert abs(filtered[10:-10, 10:-10].mean()) < 0.1 * filtered.max()
    movie = np.stack([wide, wide + cell])
    assert np.allclose(high_pass_filter_space(movie, 3)[1], high_pass_filter_space(movie[1], 3))
    with pytest.raises(ParameterError, match="either gSig_filt, or freq"):
        high_pass_filter_space(wide)
    with pytest.raises(InputError, match="an image"):
        high_pass_filter_space(np.zeros(5), 3)
