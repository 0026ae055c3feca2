"""
Meet the faults of CaImAn's stand-in, without and with the adaptation; see `test_contract.py`.

Runs as a program where the stand-in is installed and prints what happened as JSON.
"""

from __future__ import annotations

import functools
import importlib
import json
from pathlib import Path

import numpy as np
from scipy import sparse

from workshop_utils.engine import ADAPTED, MotionCorrect, cm, cnmf, load_CNMF, params


def fails(call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def both(function, *args, **kwargs):
    """Say how the original fails, and how the adapted one does."""
    return fails(function.__wrapped__, *args, **kwargs), fails(function, *args, **kwargs)


told = {}
cm.cluster.setup_cluster(n_processes=1)
told["second pool"] = both(cm.cluster.setup_cluster, n_processes=1)
told["no pool"] = both(cm.stop_server, dview=None)
told["number of workers"] = type(cm.cluster.setup_cluster(n_processes=2)[2]).__name__
frames = np.random.default_rng(1).normal(size=(30, 20, 24)).astype(np.float32)
frames[:, :3] = 7
start, new = MotionCorrect.__init__, MotionCorrect.__new__(MotionCorrect)
told["half a pixel"] = both(start, new, frames, gSig_filt=(4.5, 4.5))
told["width used"] = MotionCorrect(frames, gSig_filt=(4.6, 4.6)).gSig_filt
told["words"] = both(start, new, "mouse_d1_left.tif")
told["tuple"] = both(cm.summary_images.correlation_pnr, frames, gSig=(3, 3), swap_dim=False)
pnr = cm.summary_images.correlation_pnr(frames, gSig=3, swap_dim=False)
told["finite"] = bool(np.isfinite(pnr).all())
opts = params.CNMFParams(params_dict={"data": {"dims": (20, 24)}})
opts.quality["min_SNR"], opts.quality["use_cnn"] = np.float32(3), np.bool_(False)
told["numbers as text"] = both(params.CNMFParams.to_json, opts)
text = json.loads(opts.to_json())
text["data"]["fnames"] = ["gone.tif"]
text["init"]["of_another_version"] = 1
told["lost movie"] = both(params.CNMFParams.change_params_from_json, params.CNMFParams(), json.dumps(text))
carried = params.CNMFParams()
carried.change_params_from_json(json.dumps(text))
shape = carried.spatial["expandCore"].shape
told["slices"] = str(carried.motion["indices"][0]), shape, carried.data["fnames"]
Estimates = importlib.import_module("caiman.source_extraction.cnmf.estimates").Estimates
none = Estimates()
none.A, none.C, none.dims = sparse.csc_matrix((480, 0)), np.zeros((0, 30)), (20, 24)
images = np.memmap("m", np.float32, "w+", shape=(30, 20, 24))
told["no components"] = both(Estimates.evaluate_components, none, images, opts)
told["accepted of none"] = none.idx_components.dtype.kind, len(none.idx_components)
told["contours of none"] = both(Estimates.plot_contours_nb, none, idx=[])
told["browser of none"] = both(Estimates.nb_view_components, none, idx=[])
cnm = cnmf.CNMF(1, params=opts)
cnm.estimates.A, cnm.estimates.C = none.A, none.C
opts.quality["use_cnn"] = False
cnm.save("bare.hdf5")
told["beside the notebook"] = Path("bare.hdf5").is_file()
loaded = load_CNMF("bare.hdf5")
told["truth value loaded"] = type(loaded.params.quality["use_cnn"]).__name__
told["saved again"] = both(type(loaded).save, loaded, "again.hdf5")[1]
places = []
for place in ADAPTED:
    module, _, names = place.partition(":")
    target = functools.reduce(getattr, names.split("."), importlib.import_module(module))
    places.append(hasattr(target, "adapted"))
told["all in place"] = all(places)
print(json.dumps(told))
