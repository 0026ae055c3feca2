"""Parameters: defaults, wrong input, consistency, text and back."""

from __future__ import annotations

import ast
import copy
import importlib.util
import inspect
import json
import logging
import re
from pathlib import Path

import numpy as np
import pytest
import tifffile

from cnmf_engine.base.errors import MissingFileError, ParameterError
from cnmf_engine.caiman import params
from cnmf_engine.caiman.params import CNMFParams

LESSON = {
    "fr": 10,
    "decay_time": 0.4,
    "p": 1,
    "K": None,
    "gSig": (3, 3),
    "merge_thr": 0.7,
    "rf": 40,
    "stride": 20,
    "tsub": 2,
    "ssub": 1,
    "nb": 0,
    "nb_patch": 0,
    "low_rank_background": None,
    "method_init": "corr_pnr",
    "only_init": True,
    "method_deconvolution": "oasis",
    "update_background_components": True,
    "normalize_init": False,
    "center_psf": True,
    "ssub_B": 2,
    "ring_size_factor": 1.4,
    "del_duplicates": True,
    "border_pix": 0,
    "min_corr": 0.85,
    "min_pnr": 12,
}


@pytest.fixture
def movie(tmp_path):
    path = tmp_path / "demo.tif"
    tifffile.imwrite(path, np.zeros((170, 12, 20), np.uint8))
    return path


def test_every_default_is_valid_and_stands_in_the_table_once():
    paths = [(entry.group, entry.key) for entry in params.rows()]
    assert len(paths) == len(set(paths))
    fresh = CNMFParams()
    again = CNMFParams()
    for group in fresh.to_dict():
        again.change_params({group: fresh.get_group(group)})
    assert fresh == again


def test_every_row_explains_itself_and_its_slider_lies_within_its_limits():
    used = [entry for entry in params.rows() if entry.stage != "compatibility"]
    assert len(used) > 60
    for entry in used:
        assert entry.meaning[0].isupper() and entry.meaning.endswith("."), entry
        assert entry.stage, entry
        if entry.slider:
            low, high, step = entry.slider
            assert low < high and 0 < step <= high - low, entry
            assert entry.allows(low) and entry.allows(high), entry


def test_documented_defaults():
    fresh = CNMFParams()
    assert fresh.data["fr"] == 30
    assert fresh.init["gSig"] == (5, 5) and fresh.init["gSiz"] == (11, 11)
    assert (fresh.init["min_corr"], fresh.init["min_pnr"]) == (0.85, 20)
    assert fresh.motion["max_shifts"] == (6, 6) and fresh.motion["border_nan"] == "copy"
    assert fresh.online["N_samples_exceptionality"] == 12
    assert fresh.spatial["expandCore"].sum() == 13
    assert fresh.quality["use_cnn"] is False


def test_name_alone_is_set_in_every_group_that_has_it_and_group_form_in_one():
    p = CNMFParams(params_dict={"p": 1, "min_SNR": 4, "init": {"K": 7}})
    assert p.preprocess["p"] == p.temporal["p"] == 1
    assert p.quality["min_SNR"] == p.online["min_SNR"] == 4
    assert p.init["K"] == 7
    p.change_params({"quality": {"min_SNR": 5}})
    assert (p.quality["min_SNR"], p.online["min_SNR"]) == (5, 4)


def test_name_of_a_group_with_a_plain_value_is_a_parameter():
    p = CNMFParams(params_dict={"ring_CNN": True})
    assert p.online["ring_CNN"] is True
    assert p.ring_CNN["width"] == 5


def test_older_names_and_constructor_keywords():
    p = CNMFParams(gnb=0, k=3, merge_thresh=0.6, only_init_patch=False, center_psf=True, max_merge_area=4)
    assert (p.init["nb"], p.spatial["nb"], p.init["K"]) == (0, 0, 3)
    assert p.merging["merge_thr"] == 0.6 and p.patch["only_init"] is False
    assert "ring_size_factor" in inspect.signature(CNMFParams).parameters


def test_dictionary_wins_over_file_and_file_over_keywords(tmp_path):
    path = tmp_path / "p.json"
    path.write_text(json.dumps({"min_corr": 0.7, "min_pnr": 7}))
    p = CNMFParams(min_corr=0.6, min_pnr=6, tsub=3, params_from_file=path, params_dict={"min_corr": 0.8})
    assert (p.init["min_corr"], p.init["min_pnr"], p.init["tsub"]) == (0.8, 7, 3)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ({"min_cor": 0.8}, r"'min_cor'.*(?s:.*)did you mean 'min_corr'"),
        ({"init": {"min_SNR": 3}}, r"not in that group(?s:.*)'quality'"),
        ({"inti": {"K": 3}}, r"did you mean 'init'"),
        ({"min_corr": 1.5}, r"min_corr = 1.5(?s:.*)\[0, 1\]"),
        ({"min_corr": float("nan")}, r"min_corr = nan"),
        ({"min_pnr": "12"}, r"min_pnr = '12' \(str\)"),
        ({"K": True}, r"whole number or None"),
        ({"gSig": (3, 3, 3, 3)}, r"one for each axis"),
        ({"gSig": 0}, r"gSig = 0"),
        ({"rf": 40.5}, r"rf = 40.5"),
        ({"decay_time": 0}, r"decay_time = 0"),
        ({"method_init": "corr_prn"}, r"did you mean 'corr_pnr'"),
        ({"border_nan": 1}, r"'copy', 'min', True, False"),
        ({"center_psf": "yes"}, r"True or False"),
        ({"fr": None}, r"fr = None"),
        ({"gSig": None, "method_init": "corr_pnr"}, r"gSig to be given"),
        ({"spatial": {"nb": 3}}, r"'init' only"),
        (["K", 3], r"dictionary of parameters"),
    ],
)
def test_wrong_input_is_explained_and_changes_nothing(bad, words):
    p = CNMFParams(params_dict=LESSON)
    before = copy.deepcopy(p)
    with pytest.raises(ParameterError, match=words) as caught:
        p.change_params(bad)
    assert str(caught.value).startswith("Expected ") and "To go on: " in str(caught.value)
    assert p == before


def test_one_wrong_value_among_good_ones_changes_nothing():
    p = CNMFParams()
    with pytest.raises(ParameterError, match="min_pnr"):
        p.change_params({"min_corr": 0.5, "min_pnr": -1})
    assert p.init["min_corr"] == 0.85


def test_unknown_group_or_key_is_also_a_key_error():
    p = CNMFParams()
    with pytest.raises(KeyError, match="did you mean 'motion'"):
        p.get_group("motoin")
    with pytest.raises(KeyError, match="did you mean 'gSig'"):
        p.get("init", "gSigg")
    with pytest.raises(KeyError, match="doesn't exist"):
        p.set("init", {"nonsense": 1})
    with pytest.raises(KeyError, match="did you mean 'min_corr'"):
        params.row("init", "min_cor")


def test_box_follows_cell_size_until_it_is_set():
    p = CNMFParams(params_dict={"gSig": 3})
    assert p.init["gSiz"] == (7, 7)
    p.change_params({"gSig": (4, 4)})
    assert p.init["gSiz"] == (9, 9)
    p.change_params({"gSiz": (12, 12)})
    assert p.init["gSiz"] == (13, 13), "a box needs a centre pixel"
    p.change_params({"gSig": (3, 3)})
    assert p.init["gSiz"] == (13, 13)
    p.change_params({"gSiz": None})
    assert p.init["gSiz"] == (7, 7)


def test_samples_of_a_transient_follow_the_frame_rate():
    p = CNMFParams(params_dict={"fr": 10, "decay_time": 0.45})
    assert p.online["N_samples_exceptionality"] == 5
    # log of the normal tail above 2.5 is -5.0816
    assert p.online["thresh_fitness_raw"] == pytest.approx(-5.0816 * 5, rel=1e-4)


def test_ring_model_settles_what_contradicts_it(caplog):
    p = CNMFParams()
    with caplog.at_level(logging.DEBUG, logger="caiman"):
        p.change_params({"nb": 0, "method_init": "corr_pnr", "normalize_init": True})
    assert p.patch["nb_patch"] == 0 and p.patch["low_rank_background"] is None
    assert p.init["normalize_init"] is False
    assert p.spatial["nb"] == p.temporal["nb"] == 0
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.INFO]
    assert len(told) == 1 and "normalize_init" in told[0], "only what was asked for is worth telling"
    p.change_params({"nb": -1})
    assert p.patch["nb_patch"] == -1 and p.spatial["update_background_components"] is False


def test_small_patches_are_kept_and_the_warning_says_so(caplog):
    with caplog.at_level(logging.WARNING, logger="caiman"):
        p = CNMFParams(params_dict={"gSig": 5, "rf": 11, "stride": 5})
        assert "rf stays as it is" in caplog.text and p.patch["rf"] == 11
        caplog.clear()
        p.change_params({"min_corr": 0.8})
        assert not caplog.text, "no repetition when something else is set"
        p.change_params({"rf": (40, 40), "stride": 90})
        assert "can't advance" in caplog.text


def test_volumes_get_a_third_axis():
    p = CNMFParams(params_dict={"is3D": True, "max_shifts": 4})
    assert p.motion["max_shifts"] == (4, 4, 4) and p.motion["strides"] == (96, 96, 96)
    with pytest.raises(ParameterError, match="three axes"):
        p.change_params({"strides": (48, 96)})


def test_online_without_candidates_looks_for_no_components():
    assert CNMFParams(max_num_added=0).online["update_num_comps"] is False


def test_asking_for_the_classifier_is_answered_at_once(caplog):
    CNMFParams(params_dict={"use_cnn": True})
    assert "no classifier" in caplog.text


def test_movie_gives_dims_and_splits(movie):
    for given in (str(movie), movie, [movie], [str(movie)]):
        p = CNMFParams(fnames=given)
        assert p.data["fnames"] == [str(movie)]
        assert p.data["dims"] == (12, 20)
        assert p.motion["splits_rig"] == p.motion["splits_els"] == 2
    name = p.online["movie_name_online"]
    p.change_params({"num_frames_split": 20})
    assert p.motion["splits_rig"] == 8
    assert p.online["movie_name_online"] == name
    p.change_params({"splits_rig": 3, "num_frames_split": 40})
    assert (p.motion["splits_rig"], p.motion["splits_els"]) == (3, 4)
    p.change_params({"dims": (6, 10)})
    p.change_params({"fr": 20})
    assert p.data["dims"] == (6, 10)


def test_movie_that_is_not_there_is_named_with_those_beside_it(movie):
    with pytest.raises(MissingFileError, match=r"demo_.tif(?s:.*)demo.tif(?s:.*)nearest name is .demo.tif"):
        CNMFParams(fnames=movie.with_name("demo_.tif"))
    with pytest.raises(FileNotFoundError, match="no folder"):
        CNMFParams(fnames=str(movie.parent / "nowhere" / "demo.tif"))


def test_json_round_trip_is_exact(tmp_path):
    p = CNMFParams(
        params_dict=LESSON | {"gSiz": (9, 9), "indices": (slice(2, 60), slice(None)), "medw": [5, 5]}
    )
    p.change_params({"fr": np.float32(7.5), "min_pnr": np.int16(9), "use_ecc": np.bool_(True)})
    p.change_params({"se": np.ones((3, 3), np.uint8), "gSig": np.array([4, 4])})
    again = CNMFParams()
    again.change_params_from_json(p.to_json())
    assert again == p
    for group, values in p.to_dict().items():
        for key, value in values.items():
            assert type(again.get(group, key)) is type(value), (group, key)
    assert again.motion["indices"] == (slice(2, 60), slice(None))
    assert isinstance(again.spatial["expandCore"], np.ndarray)
    p.to_jsonfile(tmp_path / "p.json")
    assert CNMFParams(params_from_file=tmp_path / "p.json") == p
    assert [item.name for item in tmp_path.iterdir()] == ["p.json"]
    assert not again == CNMFParams()


def test_box_from_json_follows_the_cell_size_unless_it_was_set():
    p = CNMFParams(params_dict={"gSig": 3})
    again = CNMFParams()
    again.change_params_from_json(p.to_json())
    again.change_params({"gSig": 5})
    assert again.init["gSiz"] == (11, 11)
    p.change_params({"gSiz": 15})
    again.change_params_from_json(p.to_json())
    again.change_params({"gSig": 5})
    assert again.init["gSiz"] == (15, 15)


def test_parameters_travel_without_their_movie(movie, tmp_path):
    p = CNMFParams(fnames=movie)
    movie.unlink()
    again = CNMFParams()
    again.change_params_from_json(p.to_json())
    assert again == p
    again.change_params({"min_corr": 0.7})
    assert again.data["dims"] == (12, 20)


def test_json_that_is_not_there_or_broken(tmp_path):
    (tmp_path / "mine.json").write_text("{'a'")
    with pytest.raises(MissingFileError, match=r"yours.json(?s:.*)mine.json"):
        CNMFParams(params_from_file=tmp_path / "yours.json")
    with pytest.raises(ParameterError, match="parameters as JSON"):
        CNMFParams(params_from_file=tmp_path / "mine.json")


def test_set_writes_without_rules():
    p = CNMFParams()
    p.set("init", {"nb": 0})
    assert p.init["nb"] == 0 and p.spatial["nb"] == 1
    p.set("init", {"own": 5}, set_if_not_exists=True)
    assert p.get("init", "own") == 5
    with pytest.raises(ParameterError, match="min_corr"):
        p.set("init", {"min_corr": 3})


def test_groups_are_live_and_objects_independent():
    p, other = CNMFParams(), CNMFParams()
    assert p.to_dict()["init"] is p.init is p.get_group("init")
    p.change_params({"K": 4})
    p.spatial["expandCore"][0, 0] = 1
    assert p.get("init", "K") == 4
    assert other.init["K"] == 30 and other.spatial["expandCore"][0, 0] == 0


def test_repr_marks_what_differs():
    text = repr(CNMFParams(params_dict={"min_corr": 0.9}))
    assert "  * min_corr = 0.9" in text and "    min_pnr = 20" in text


def test_slider_rows():
    entry = params.row("init", "min_corr")
    assert entry.range == (0, 0.99) and entry.step == 0.01 and entry.default == 0.85
    assert params.row("merging", "merge_thresh").key == "merge_thr"
    assert params.row("data", "fnames").range is None


def test_documentation_agrees_with_the_table():
    root = Path(__file__).resolve().parents[1]
    spec = importlib.util.spec_from_file_location("param_docs", root / "tools" / "param_docs.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    written = (root / "docs" / "parameters.md").read_text(encoding="utf-8")
    assert written == tool.render(), "run python tools/param_docs.py"
    for entry in params.rows():
        assert f"`{entry.key}`" in written


def test_seeds_are_a_word_or_pixels(tmp_path):
    p = CNMFParams(params_dict={"seed_method": [[3, 4], [5.0, 6.2]]})
    assert p.init["seed_method"].tolist() == [[3, 4], [5, 6]]
    again = CNMFParams()
    again.change_params_from_json(p.to_json())
    assert again == p and again.init["seed_method"].dtype.kind == "i"
    p.change_params({"seed_method": "auto"})
    assert p.init["seed_method"] == "auto"
    for wrong in ("autmatic", [[1, 2, 3]], [4, 5], [[-1, 2]], [[np.nan, 1]], 7):
        with pytest.raises(ParameterError, match="rows and columns"):
            p.change_params({"seed_method": wrong})
    with pytest.raises(ParameterError, match="did you mean 'auto'"):
        p.change_params({"seed_method": "atuo"})


@pytest.mark.parametrize(
    ("given", "kept"), [(True, True), (np.bool_(False), False), (7, 7), (3.0, 3), (np.int64(2), 2)]
)
def test_optimize_g_is_a_flag_or_a_number_of_events(given, kept):
    p = CNMFParams(params_dict={"optimize_g": given})
    assert p.temporal["optimize_g"] == kept and type(p.temporal["optimize_g"]) is type(kept)
    for wrong in (-1, 0.5, "yes"):
        with pytest.raises(ParameterError, match="optimize_g"):
            p.change_params({"optimize_g": wrong})


def test_memory_limit_is_a_size():
    p = CNMFParams()
    assert p.patch["memory_limit"] is None
    for size in (500_000_000, "2GB", "750 mb"):
        p.change_params({"memory_limit": size})
        assert p.patch["memory_limit"] == size
    for wrong in (0, -5, "two", "2XB", True):
        with pytest.raises(ParameterError, match="memory_limit"):
            p.change_params({"memory_limit": wrong})


def test_a_method_that_does_not_exist_is_not_offered():
    assert "debug" not in params.row("temporal", "method_deconvolution").choices
    with pytest.raises(ParameterError, match="'debug'"):
        CNMFParams(params_dict={"method_deconvolution": "debug"})


@pytest.mark.parametrize(
    "given",
    [{"gSig": (3, 6)}, {"gSig": (3, 6), "gSiz": (7, 7)}, {"gSig": 3, "gSiz": (7, 13)}, {"gSiz": [7, 13]}],
)
def test_sizes_that_differ_between_axes_are_refused_and_the_advice_works(given):
    with pytest.raises(ParameterError, match="the same along all axes") as refused:
        CNMFParams(params_dict=given)
    params = CNMFParams(params_dict={"gSig": 4})
    with pytest.raises(ParameterError):
        params.change_params(given)
    assert params.init["gSig"] == (4, 4), "nothing is changed by what is refused"
    key, value = re.search(r"their mean, (\w+)=(\([^)]*\))", str(refused.value)).groups()
    params.change_params(given | {key: ast.literal_eval(value)})
    assert params.init[key] == ast.literal_eval(value)


@pytest.mark.parametrize("same", [3, 3.0, (3, 3), [3, 3], np.array([3, 3]), (3, 3, 3)])
def test_sizes_that_are_the_same_stay_tuples(same):
    params = CNMFParams(params_dict={"gSig": same})
    assert set(params.init["gSig"]) == {3} and set(params.init["gSiz"]) == {7}


def test_sizes_of_a_file_that_differ_are_kept_but_not_fitted():
    from cnmf_engine.caiman.settings import ring_options, search_options

    params = CNMFParams()
    params.restore({"init": {"gSig": np.array([3, 6]), "gSiz": np.array([7, 13])}})
    assert params.init["gSig"] == (3, 6), "CaImAn's models may have it"
    for options in (ring_options, search_options):
        with pytest.raises(ParameterError, match="the same along all axes"):
            options(params)
