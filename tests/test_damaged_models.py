"""Saved models that were damaged, or made to do harm: an error that names the place."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from test_storage import DIMS, GOLDEN, T, model

from cnmf_engine.base.errors import InputError
from cnmf_engine.caiman.cnmf import load_CNMF
from cnmf_engine.caiman.storage import save

TIME_LIMIT = 300

# Loads a file again and again with changed bits; prints how often which end was met.
FUZZ = """
import faulthandler, logging, random, sys
from collections import Counter
import numpy as np
from scipy import sparse
from cnmf_engine.base.errors import InputError
from cnmf_engine.caiman.cnmf import load_CNMF

source, target, n_rounds, n_bits, seed = *sys.argv[1:3], *map(int, sys.argv[3:6])
faulthandler.enable()
logging.disable()

def content(cnm):
    fields = vars(cnm.estimates).items()
    return {name: value.toarray() if sparse.issparse(value) else value for name, value in fields}

def same(one, two):
    if one.keys() != two.keys():
        return False
    for name, value in one.items():
        if isinstance(value, np.ndarray) and value.dtype.kind == "f":
            equal = np.array_equal(value, two[name], equal_nan=True)
        else:
            equal = str(value) == str(two[name])
        if not equal:
            return False
    return True

right = content(load_CNMF(source))
raw = open(source, "rb").read()
rng, ends = random.Random(seed), Counter()
for _ in range(n_rounds):
    changed = bytearray(raw)
    places = [rng.randrange(len(raw)) for _ in range(n_bits)]
    for place in places:
        changed[place] ^= 1 << rng.randrange(8)
    with open(target, "wb") as file:
        file.write(changed)
    # A hang ends the process and says where it was.
    faulthandler.dump_traceback_later(30, exit=True)
    print(places, file=sys.stderr, flush=True)
    try:
        cnm = load_CNMF(target)
        cnm.estimates.raw_traces(), cnm.estimates.A @ cnm.estimates.C if cnm.estimates.A is not None else 0
        ends["equal" if same(right, content(cnm)) else "other"] += 1
    except InputError as error:
        ends["named" if str(error).count("\\n") == 2 else "not in three parts"] += 1
print(dict(ends))
"""


def fuzz(source, target, n_rounds, n_bits, seed=0):
    arguments = [source, target, n_rounds, n_bits, seed]
    done = subprocess.run(
        [sys.executable, "-c", FUZZ, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=TIME_LIMIT,
        cwd=Path(__file__).parents[1],
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return eval(done.stdout)


def small(path):
    """Leave out what only takes time: most parameters and the fields of online analysis."""
    with h5py.File(path, "a") as file:
        for name in set(file["params"]) - {"data"}:
            del file["params"][name]
        for name, item in list(file["estimates"].items()):
            if isinstance(item, h5py.Dataset) and item.shape == ():
                del file["estimates"][name]
    return path


def plain_copy(source, target):
    """The same content as CaImAn would write it: without checksums."""

    def copy(one, other):
        for name, value in one.attrs.items():
            other.attrs[name] = value
        for name, item in one.items():
            if isinstance(item, h5py.Group):
                copy(item, other.create_group(name))
            else:
                other[name] = item[()]

    with h5py.File(source) as one, h5py.File(target, "w") as other:
        copy(one, other)
    return target


@pytest.fixture
def path(tmp_path):
    return save(model(5), tmp_path / "fit.hdf5")


@pytest.mark.parametrize("n_bits", [1, 30])
def test_changed_bits_are_noticed(tmp_path, path, n_bits):
    ends = fuzz(small(path), tmp_path / "changed.hdf5", 80, n_bits)
    assert set(ends) <= {"equal", "named"} and ends["named"] > 10


@pytest.mark.parametrize("n_bits", [1, 30])
def test_changed_bits_do_no_harm_in_a_file_without_checksums(tmp_path, path, n_bits):
    plain = plain_copy(small(path), tmp_path / "plain.hdf5")
    ends = fuzz(plain, tmp_path / "changed.hdf5", 80, n_bits, seed=1)
    assert set(ends) <= {"equal", "named", "other"} and ends["named"] > 5


@pytest.mark.parametrize("part", [0.0, 0.001, 0.1, 0.5, 0.9, 0.999])
def test_a_file_that_was_cut_off_is_refused(tmp_path, path, part):
    whole = Path(path).read_bytes()
    Path(path).write_bytes(whole[: int(part * len(whole))])
    with pytest.raises(InputError, match="fit.hdf5"):
        load_CNMF(path)


def replace(group, name, value):
    del group[name]
    group[name] = value


def change(part, index, value):
    """Change one number of a part of A."""

    def damage(file):
        array = file[f"estimates/A/{part}"][()]
        array[index] = value
        replace(file["estimates/A"], part, array)

    return damage


def drop(name):
    """One entry less along the first axis."""
    return lambda file: replace(file["estimates"], name, file[f"estimates/{name}"][:-1])


def put(name, value):
    return lambda file: replace(file["estimates"], name, value)


DAMAGES = {
    "a row beyond the image": (change("indices", 0, 2**30), "rows 0 to 1073741824|to 1073741824"),
    "a row before the first": (change("indices", 0, -7), "rows -7 to"),
    "a column that starts late": (change("indptr", 0, 3), "follow each other"),
    "columns that go back": (change("indptr", 2, 2**20), "follow each other"),
    "columns beyond the values": (change("indptr", -1, 2**20), "follow each other"),
    "more columns": (change("shape", 1, 2**20), "1048576 columns"),
    "more rows": (change("shape", 0, 2**30), "12 x 10 pixels"),
    "no rows": (change("shape", 0, -1), "a shape of"),
    "rows that are no numbers": (
        lambda file: replace(file["estimates/A"], "indices", np.zeros(60, np.float32)),
        "indices that isn't",
    ),
    "other lengths": (
        lambda file: replace(file["estimates/A"], "data", np.zeros(3, np.float32)),
        "follow each other",
    ),
    "fewer traces": (drop("C"), "5 components in C"),
    "fewer spikes": (drop("S"), "5 components in S"),
    "shorter residuals": (put("YrA", np.zeros((5, T - 1))), f"5 x {T} values in YrA"),
    "fewer scores": (drop("SNR_comp"), "5 components in SNR_comp"),
    "fewer correlations": (drop("r_values"), "5 components in r_values"),
    "fewer decays": (drop("g"), "5 components in g"),
    "fewer pixels": (drop("b0"), "120 pixels in b0"),
    "less noise": (drop("sn"), "120 pixels in sn"),
    "another image": (put("Cn", np.zeros((10, 12))), r"Cn of \(12, 10\)"),
    "another size": (put("dims", np.array([12, 11])), "12 x 11 pixels"),
    "no size": (put("dims", np.array([-12, -10])), "rows and columns in dims"),
    "half a pixel": (put("dims", np.array([12.5, 10])), "numbers in estimates/dims"),
    "an accepted one too many": (put("idx_components", np.array([0, 5])), "components 0 to 4"),
    "an accepted one before the first": (put("idx_components", np.array([-1])), "components 0 to 4"),
    "one accepted twice": (put("idx_components", np.array([1, 1])), "at most once"),
    "rejected by half": (
        put("idx_components_bad", np.array([0.5])),
        "numbers in estimates/idx_components_bad",
    ),
    "weights of another image": (put("W", np.eye(7)), "weights W"),
    "weights in a row": (put("W", np.zeros(9)), "weights W"),
    "text for traces": (put("C", "nonsense"), "no text in estimates/C"),
    "texts for scores": (put("SNR_comp", np.array([b"a"] * 5)), "numbers in estimates/SNR_comp"),
    "complex traces": (put("C", np.zeros((5, T), complex)), "5 components in C"),
    "a background of another length": (put("f", np.zeros((1, T + 1))), "along axis 1 of f"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_parts_that_disagree_are_named(path, name):
    damage, words = DAMAGES[name]
    with h5py.File(path, "a") as file:
        damage(file)
    with pytest.raises(InputError, match=words) as refused:
        load_CNMF(path)
    assert str(refused.value).count("\n") == 2 and "fit.hdf5" in str(refused.value)


def parent_soft(file):
    file["estimates/up"] = h5py.SoftLink("/estimates")


def parent_hard(file):
    file["estimates/up"] = file["estimates"]


def root_inside(file):
    file["params/init/root"] = file["/"]


def to_itself(file):
    file["estimates/self"] = h5py.SoftLink("/estimates/self")


def to_nothing(file):
    file["estimates/gone"] = h5py.SoftLink("/nowhere")


def outside(file):
    file["estimates/out"] = h5py.ExternalLink(str(GOLDEN), "/estimates/C")


def outside_by_two(file):
    outside(file)
    file["estimates/further"] = h5py.SoftLink("/estimates/out")
    del file["estimates/out"]
    file["a"] = h5py.ExternalLink(str(GOLDEN), "/")
    replace(file["estimates"], "further", h5py.SoftLink("/a/estimates/C"))
    # The link itself is met after the estimates.
    file.move("a", "zz")
    replace(file["estimates"], "further", h5py.SoftLink("/zz/estimates/C"))


def values_outside(file):
    file["estimates"].create_dataset("raw", (10,), "f4", external=[(str(GOLDEN), 0, 40)])


def virtual(file):
    layout = h5py.VirtualLayout((5, T), "f4")
    layout[:] = h5py.VirtualSource(str(GOLDEN), "estimates/C", (18, 400))[:5, :T]
    file["estimates"].create_virtual_dataset("seen", layout)


def deep(file):
    group = file["estimates"]
    for _ in range(60):
        group = group.create_group("in")


def never_written(file):
    file["estimates"].create_dataset("vast", (10**6, 10**6), "f8", chunks=(1000, 1000))


def reference(file):
    file["estimates"].create_dataset("ref", data=file.ref, dtype=h5py.ref_dtype)


def params_are_numbers(file):
    replace(file, "params", np.zeros(3))


def group_is_numbers(file):
    replace(file["params"], "init", np.zeros(3))


def estimates_are_numbers(file):
    replace(file, "estimates", 1.0)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (parent_soft, "in a circle"), (parent_hard, "in a circle"), (root_inside, "in a circle"),
        (to_itself, "isn't readable HDF5"), (to_nothing, "isn't readable HDF5"), (outside, "to another file"),
        (outside_by_two, "to another file"), (values_outside, "elsewhere"), (virtual, "elsewhere"),
        (deep, "groups that end"), (never_written, "8000000000000 bytes declared"),
        (reference, "numbers or text"),
        (params_are_numbers, "a group params"), (group_is_numbers, "a group params/init"),
        (estimates_are_numbers, "a group estimates"),
    ],
)  # fmt: skip
def test_links_and_sizes_are_not_followed_blindly(path, damage, words):
    with h5py.File(path, "a") as file:
        damage(file)
    with pytest.raises(InputError, match=words) as refused:
        load_CNMF(path)
    assert str(refused.value).count("\n") == 2


def test_groups_with_many_names_are_read_once(path):
    with h5py.File(path, "a") as file:
        group = file.create_group("more")
        for _ in range(14):
            inner = group.create_group("a")
            for number in range(9):
                group[f"b{number}"] = inner
            group = inner
        group["x"] = 1
    assert len(load_CNMF(path).estimates.C) == 5


def test_a_text_store_without_lengths_is_refused(path):
    raw = bytearray(Path(path).read_bytes())
    store = raw.index(b"GCOL")
    # Number and length of the first text: HDF5 would stay there for ever.
    raw[store + 16 : store + 18] = bytes(2)
    raw[store + 24 : store + 32] = bytes(8)
    Path(path).write_bytes(raw)
    with pytest.raises(InputError, match="one after the other"):
        load_CNMF(path)


def test_numbers_of_the_other_byte_order_are_turned(path):
    with h5py.File(path, "a") as file:
        C = file["estimates/C"][()]
        replace(file["estimates"], "C", C.astype(">f4"))
    C2 = load_CNMF(path).estimates.C
    assert C2.dtype.isnative
    np.testing.assert_array_equal(C2, C)


def test_compressed_models_are_read(path):
    """Labs repack files to save room."""
    with h5py.File(path, "a") as file:
        S = np.zeros((5, T), np.float32)
        del file["estimates/S"]
        file["estimates"].create_dataset("S", data=S, compression="gzip", compression_opts=9)
    assert load_CNMF(path).estimates.dims == DIMS


def test_checksums_do_not_keep_others_from_changing_a_file(path):
    with h5py.File(path, "a") as file:
        file["estimates/C"][:] = 7
        file["params/data/fr"][()] = 11
    cnm = load_CNMF(path)
    assert cnm.params.data["fr"] == 11 and (cnm.estimates.C == 7).all()
