"""Arrays, maps, parameters and sessions that were damaged: errors in words, and nothing that isn't there."""

from __future__ import annotations

import io
import json
import random
import zipfile

import numpy as np
import pytest

import cnmf_engine as cm
from cnmf_engine.base.errors import InputError, ParameterError
from cnmf_engine.caiman.params import CNMFParams
from cnmf_engine.movies.arrays import read_npz
from cnmf_engine.movies.boxes import MovieFile
from workshop_utils.movies.truth import load_truth
from workshop_utils.session import file as session_file

MOVIE = np.random.default_rng(0).random((6, 5, 4), dtype=np.float32)


def loaders(tmp_path):
    """Files of arrays, and how each is read."""
    pixels = MOVIE.reshape(6, 20).T
    np.save(tmp_path / "m.npy", MOVIE)
    np.save(tmp_path / "flat.npy", pixels)
    np.savez(tmp_path / "m.npz", input_arr=MOVIE, fr=20)
    np.savez_compressed(tmp_path / "truth.npz", A=np.ones((2, 5, 4), np.float32), C=np.ones((2, 6)))
    np.save(tmp_path / "x_d1_5_d2_4_d3_1_order_C_frames_6.npy", pixels)
    return {
        "m.npy": cm.load,
        "m.npz": cm.load,
        "flat.npy": lambda path: cm.load(path, shape=(5, 4)),
        "truth.npz": load_truth,
        "x_d1_5_d2_4_d3_1_order_C_frames_6.npy": cm.load_memmap,
    }


def test_changed_bits_and_cut_files_do_no_harm(tmp_path):
    rng = random.Random(0)
    for name, load in loaders(tmp_path).items():
        path, raw = tmp_path / name, (tmp_path / name).read_bytes()
        load(path)
        for number in range(150):
            changed = bytearray(raw)
            # The heads are short: half of the changes are put there.
            for _ in range(1 + number % 3):
                changed[rng.randrange(min(160, len(raw)) if number % 2 else len(raw))] ^= 1 << rng.randrange(
                    8
                )
            if number % 10 == 0:
                del changed[rng.randrange(len(raw)) :]
            target = tmp_path / "changed" / name
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(changed)
            try:
                load(target)
            except InputError as error:
                assert str(error).count("\n") == 2


def npz_with_head(path, shape, n_bytes):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        head = io.BytesIO()
        np.lib.format.write_array_header_1_0(head, {"descr": "<f4", "fortran_order": False, "shape": shape})
        archive.writestr("a.npy", head.getvalue() + bytes(n_bytes))


def test_archives_hold_what_their_heads_say(tmp_path):
    npz_with_head(tmp_path / "right.npz", (3, 2), 24)
    assert read_npz(tmp_path / "right.npz")["a"].shape == (3, 2)
    npz_with_head(tmp_path / "vast.npz", (10**6, 10**6), 24)
    with pytest.raises(InputError, match="4000000000000 bytes, as the array's head says"):
        read_npz(tmp_path / "vast.npz")


def test_archives_fit_into_memory(tmp_path, monkeypatch):
    npz_with_head(tmp_path / "large.npz", (10**6,), 4 * 10**6)
    monkeypatch.setattr("cnmf_engine.movies.arrays.free_memory", lambda: 10**6)
    with pytest.raises(InputError, match="unfolded, with 1000000 free"):
        read_npz(tmp_path / "large.npz")


@pytest.mark.parametrize(
    "name", ["m_d1_5_d2_4_d3_1_order_C_frames_7.mmap", "m_d1_0_d2_4_d3_1_order_F_frames_6.mmap"]
)
def test_maps_hold_what_their_names_promise(tmp_path, name):
    (tmp_path / name).write_bytes(bytes(4 * 6 * 20) if "_0_" not in name else b"")
    for load in (cm.load_memmap, cm.load):
        with pytest.raises(InputError, match="as its name says"):
            load(tmp_path / name)


def test_workers_do_not_read_beyond_a_map(tmp_path):
    (tmp_path / "short").write_bytes(bytes(100))
    place = MovieFile(str(tmp_path / "short"), 0, (6, 5, 4), (80, 4, 20), "<f4")
    with pytest.raises(InputError, match="480 bytes or more"):
        place.open()


@pytest.mark.parametrize(
    "value", [None, True, -1, float("nan"), 1e400, 10**400, "x", [], {}, [[]], [10**400, 1]]
)
def test_odd_values_in_parameter_files_are_refused_by_name(value):
    for group, values in CNMFParams().to_dict().items():
        for key in values:
            try:
                CNMFParams().change_params_from_json(json.dumps({group: {key: value}}))
            except ParameterError as error:
                assert str(error).count("\n") == 2


@pytest.mark.parametrize(
    "text", [b"[" * 10**5, b'{"a":' * 10**5, b'{"init": "\xff"}', b"null", b"3", bytes(9)]
)
def test_odd_parameter_files_are_refused(tmp_path, text):
    (tmp_path / "p.json").write_bytes(text)
    with pytest.raises(ParameterError):
        CNMFParams().change_params_from_jsonfile(tmp_path / "p.json")


@pytest.mark.parametrize(
    "content",
    [
        "[" * 10**5, "[]", "null", "{}", '{"version": 1}', '{"version": 1, "steps": []}',
        '{"version": 1e400}',
        '{"version": 1, "steps": {"movie": 3}}', '{"version": 1, "steps": {"movie": {"values": []}}}',
    ],
)  # fmt: skip
def test_odd_sessions_are_refused(tmp_path, content):
    (tmp_path / session_file.FILE_NAME).write_text(content)
    with pytest.raises(InputError, match="delete it and run the lessons again"):
        session_file.read(tmp_path)
