"""
What the lessons ask of an engine, as one list of calls; see `test_contract.py`.

As a program, ``python contract.py MOVIE FOLDER OTHER`` runs the calls on the engine that ``WORKSHOP_ENGINE``
chooses and opens what the other engine left in OTHER.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from workshop_utils.widgets.players import fit_pieces


class Names(NamedTuple):
    """The five names that a lesson takes from an engine."""

    cm: Any
    cnmf: Any
    params: Any
    MotionCorrect: Any
    load_CNMF: Any


# Shapes in letters: K components, T frames, y rows, x columns, d pixels, n of any length.
ESTIMATES = {
    "A": "dK", "C": "KT", "S": "KT", "YrA": "KT", "W": "nn", "b0": "d", "sn": "d", "SNR_comp": "K",
    "r_values": "K", "idx_components": "n", "idx_components_bad": "n", "Cn": "yx",
}  # fmt: skip
LEFT = ("b", "f", "F_dff", "discarded_components", "coordinates")


def the_engine() -> Names:
    from workshop_utils import engine

    return Names(*(getattr(engine, name) for name in Names._fields))


class Facts(dict):
    """What an engine gave, in words that don't depend on how many components it found."""

    def __init__(self, **sizes):
        super().__init__()
        self.sizes = sizes

    def note(self, name, value, letters=None):
        """Note type (of arrays only whether they are in a file), kind of number, and the shape in letters."""
        kind = getattr(getattr(value, "dtype", None), "kind", "")
        known = isinstance(value, np.ndarray) and not isinstance(value, np.memmap)
        what = "sparse" if sparse.issparse(value) else "array" if known else type(value).__name__
        words = [what, {"f": "float", "i": "int", "b": "bool"}.get(kind, kind)]
        if letters is not None:
            shape = np.shape(value)
            fits = len(shape) == len(letters) and all(
                letter == "n" or side == self.sizes[letter] for letter, side in zip(letters, shape)
            )
            words.append(letters if fits else f"{shape} instead of {letters}")
        self[name] = " ".join(filter(None, words))


def use_every_call(engine: Names, movie: str, folder: Path) -> Facts:
    """Do with an engine what the six lessons do, and leave its files in a folder."""
    cm, cnmf, params, MotionCorrect, load_CNMF = engine
    os.environ["CAIMAN_TEMP"] = str(folder)
    raw = cm.load(movie, fr=10)
    T, y, x = raw.shape
    facts = Facts(T=T, y=y, x=x, d=y * x)
    facts.note("movie", raw, "Tyx")
    facts["rate"] = float(raw.fr)
    facts.note("maximum", np.max(raw, axis=0), "yx")
    facts["resized rate"] = float(raw.resize(1, 1, 0.5).fr)
    image = cm.local_correlations(raw, swap_dim=False)
    facts.note("local correlations", image, "yx")
    facts["local correlations are some"] = bool(0.2 < np.nanmax(image) <= 1)
    frame = np.asarray(raw[0], np.float32)
    facts.note("filtered", cm.motion_correction.high_pass_filter_space(frame, gSig_filt=(3, 3)), "yx")
    cm.stop_server(dview=None)
    _, dview, _ = cm.cluster.setup_cluster(backend="multiprocessing", n_processes=None)
    cm.stop_server(dview=dview)
    _, dview, n_processes = cm.cluster.setup_cluster(backend="multiprocessing", n_processes=2)
    facts.note("workers", n_processes)
    opts = correct(engine, raw, movie, dview, facts)
    images, cn = summarise(engine, opts, folder, dview, facts)
    cnm = fit(engine, opts, images, dview, n_processes, facts)
    cnm.estimates.Cn = cn
    judge(cnm, images, dview, facts)
    cm.stop_server(dview=dview)
    cnm.save(str(folder / "cnmfe.hdf5"))
    loaded = load_CNMF(str(folder / "cnmfe.hdf5"), n_processes=1, dview=None)
    note_agreement(cnm.estimates, loaded.estimates, facts)
    loaded.save(str(folder / "again.hdf5"))
    facts["saved again"] = (folder / "again.hdf5").is_file()
    # The same parameters after loading, as text: lesson 5 does that.
    (folder / "params.json").write_text(loaded.params.to_json(), encoding="utf-8")
    return facts


def correct(engine: Names, raw: Any, movie: str, dview: Any, facts: Facts) -> Any:
    """Lesson 2, correction of an array (a trial) and of the file."""
    motion = {"gSig_filt": (3, 3), "max_shifts": (5, 5), "strides": (48, 48), "overlaps": (24, 24)}
    motion |= {"max_deviation_rigid": 3, "border_nan": "copy", "pw_rigid": False}
    data = {"fnames": [movie], "fr": 10.0, "decay_time": 0.4}
    opts = engine.params.CNMFParams(params_dict={"data": data, "motion": motion})
    facts["dims from the file"] = tuple(int(n) for n in opts.data["dims"]) == raw.shape[1:]
    facts["motion's keys"] = set(motion) <= set(opts.get_group("motion"))
    trial = engine.MotionCorrect(raw[:100], dview=dview, **{**opts.get_group("motion"), "pw_rigid": True})
    trial.motion_correct(save_movie=True)
    facts.note("x shifts", trial.x_shifts_els)
    facts["x shifts for each frame"] = len(trial.x_shifts_els) == len(trial.y_shifts_els) == 100
    facts["patches"] = np.shape(trial.x_shifts_els[0])
    facts.note("template of patches", trial.total_template_els, "yx")
    mc = engine.MotionCorrect(movie, dview=dview, **opts.get_group("motion"))
    mc.motion_correct(save_movie=True)
    facts.note("shifts", mc.shifts_rig)
    facts["shift of a frame"] = (len(mc.shifts_rig) == facts.sizes["T"], len(mc.shifts_rig[0]))
    facts.note("template", mc.total_template_rig, "yx")
    facts.note("border", int(mc.border_to_0))
    facts.note("written", mc.mmap_file)
    facts["its name"] = Path(mc.mmap_file[0]).name
    facts.note("written movie", engine.cm.load(mc.mmap_file[0]), "Tyx")
    facts.corrected = mc.mmap_file
    return opts


def summarise(engine: Names, opts: Any, folder: Path, dview: Any, facts: Facts) -> tuple[Any, Any]:
    """End of lesson 2, and lesson 3."""
    name = engine.cm.save_memmap(facts.corrected, base_name="memmap", order="C", border_to_0=0, dview=dview)
    facts["map"] = Path(name).name
    facts["map in the temporary folder"] = Path(name).parent.resolve() == folder.resolve()
    Yr, dims, T = engine.cm.load_memmap(name)
    images = Yr.T.reshape((T,) + tuple(dims), order="F")
    facts.note("Yr", Yr, "dT")
    facts.note("dims", dims)
    facts.note("T", T)
    facts.note("images", images, "Tyx")
    for width in (3, (3, 3)):
        cn, pnr = engine.cm.summary_images.correlation_pnr(images, gSig=width, swap_dim=False)
    facts.note("cn", cn, "yx")
    facts.note("pnr", pnr, "yx")
    facts["cn and pnr are finite"] = bool(np.isfinite(cn).all() and np.isfinite(pnr).all())
    chosen = {"gSig": (3, 3), "gSiz": (7, 7), "min_corr": 0.8, "min_pnr": 10}
    opts.change_params({"init": chosen})
    carried = engine.params.CNMFParams()
    carried.change_params_from_json(opts.to_json())
    for group, key in (("init", "gSig"), ("init", "gSiz"), ("motion", "strides"), ("data", "dims")):
        same = np.array_equal(np.ravel(getattr(carried, group)[key]), np.ravel(getattr(opts, group)[key]))
        facts[f"{key} through JSON"] = same
    facts.note("expandCore through JSON", carried.spatial["expandCore"], "nn")
    facts.note("indices through JSON", carried.motion["indices"][0])
    np.savez(folder / "images.npz", cn=cn, pnr=pnr)
    return images, cn


def fit(engine: Names, opts: Any, images: Any, dview: Any, n_processes: int, facts: Facts) -> Any:
    """Lesson 4."""
    init = {"method_init": "corr_pnr", "K": None, "nb": 0, "tsub": 2, "ssub": 1, "ssub_B": 2}
    init |= {"ring_size_factor": 1.4, "normalize_init": False, "center_psf": True}
    patch = {"rf": 40, "stride": 20, "nb_patch": 0, "low_rank_background": None, "only_init": True}
    opts.change_params(
        {
            "init": init,
            "patch": patch | {"del_duplicates": True, "border_pix": 0},
            "preprocess": {"p": 1},
            "temporal": {"p": 1, "method_deconvolution": "oasis"},
            "merging": {"merge_thr": 0.7},
            "quality": {"min_SNR": 3.0, "rval_thr": 0.85, "use_cnn": False},
        }
    )
    cnm = engine.cnmf.CNMF(n_processes=n_processes, dview=dview, params=opts)
    facts["params are shared"] = cnm.params is opts
    facts["fit gives"] = str(cnm.fit(images))
    facts.sizes["K"] = cnm.estimates.A.shape[1]
    for name, frames in fit_pieces(images, cnm.estimates).items():
        facts.note(f"{name} of a frame", frames[5], "yx")
    return cnm


def judge(cnm: Any, images: Any, dview: Any, facts: Facts) -> None:
    """Lesson 5."""
    estimates = cnm.estimates
    estimates.evaluate_components(images, cnm.params, dview=dview)
    accepted = np.array(estimates.idx_components)
    estimates.filter_components(images, cnm.params, new_dict={"min_SNR": 1e3, "rval_thr": 1.0}, dview=dview)
    facts["impossible thresholds accept"] = [
        int(number) for number in estimates.idx_components if np.isfinite(estimates.SNR_comp[number])
    ]
    estimates.filter_components(images, cnm.params, new_dict={"min_SNR": 3.0, "rval_thr": 0.85}, dview=dview)
    facts["thresholds put back"] = np.array_equal(accepted, estimates.idx_components)
    for name, letters in ESTIMATES.items():
        facts.note(name, getattr(estimates, name, "missing"), letters)
    for name in LEFT:
        facts[name] = getattr(estimates, name, "missing") is None


def note_agreement(one: Any, other: Any, facts: Facts) -> None:
    """Lesson 6: is what was loaded what was saved?"""
    for name in ESTIMATES:
        pair = [getattr(side, name, None) for side in (one, other)]
        pair = [side.toarray() if sparse.issparse(side) else side for side in pair]
        same = None not in [type(side) if side is not None else None for side in pair]
        facts[f"{name} loaded"] = bool(same and np.array_equal(*pair, equal_nan=pair[0].dtype.kind == "f"))
    facts.note("accepted loaded", other.idx_components, "n")


def open_the_others(engine: Names, folder: Path) -> dict[str, Any]:
    """Open the files that another engine left, and carry on with them."""
    cnm = engine.load_CNMF(str(folder / "cnmfe.hdf5"), n_processes=1, dview=None)
    name = next(folder.glob("memmap*_order_C_*.mmap"))
    Yr, dims, T = engine.cm.load_memmap(str(name))
    images = Yr.T.reshape((T,) + tuple(dims), order="F")
    before = np.array(cnm.estimates.idx_components)
    cnm.params.change_params({"quality": {"min_SNR": 3.0, "rval_thr": 0.85, "use_cnn": False}})
    cnm.estimates.evaluate_components(images, cnm.params, dview=None)
    opts = engine.params.CNMFParams()
    opts.change_params_from_json((folder / "params.json").read_text(encoding="utf-8"))
    return {
        "components": int(cnm.estimates.A.shape[1]),
        "changed their minds": len(set(before) ^ set(cnm.estimates.idx_components)),
        "frames": int(T),
        "gSig": [int(side) for side in np.ravel(opts.init["gSig"])],
        "fnames": [Path(str(name)).name for name in opts.data["fnames"] or ()],
        "pixels": bool(Yr.shape[0] == cnm.estimates.A.shape[0]),
    }


def differences(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Say what two engines gave differently."""
    return [
        f"{name}: {one.get(name)!r}, {other.get(name)!r}"
        for name in sorted({*one, *other})
        if plain(one.get(name)) != plain(other.get(name))
    ]


def plain(value: Any) -> Any:
    """Give facts the form they have after a while in a file."""
    return json.loads(json.dumps(value))


def main() -> None:
    movie, folder, other = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    engine = the_engine()
    told = {"facts": use_every_call(engine, movie, folder), "opened": open_the_others(engine, other)}
    (folder / "told.json").write_text(json.dumps(told), encoding="utf-8")


if __name__ == "__main__":
    main()
