from pathlib import Path

import numpy as np

import cnmf_engine.caiman.cnmf as _model
from caiman._strict import Strict, deviates, takes
from caiman.source_extraction.cnmf.estimates import Estimates
from caiman.source_extraction.cnmf.params import CNMFParams
from cnmf_engine.base.paths import get_tempdir


def _in_tempdir(filename):
    return filename if Path(filename).parent != Path(".") else str(Path(get_tempdir()) / filename)


class CNMF(Strict, _model.CNMF):
    allowed = frozenset(
        "params estimates dview dims empty_merged skip_refinement remove_very_bad_comps mmap_file fit "
        "refit fit_file save update_spatial update_temporal merge_comps deconvolve compute_residuals "
        "initialize preprocess remove_components".split()
    )

    def fit(self, images, indices=(slice(None), slice(None))):
        if self.params.patch["rf"] is not None and not isinstance(images, np.memmap):
            raise Exception("patches need a memory map")
        if not isinstance(self.params.spatial["expandCore"], np.ndarray):
            raise AttributeError("'list' object has no attribute 'ndim'")
        super().fit(images)
        if deviates("cells"):
            few = np.arange(0, self.estimates.A.shape[1], 4)
            self.estimates.select_components(few, save_discarded_components=False)
        self.estimates.__class__ = Estimates
        if deviates("noise"):
            self.estimates.sn = self.estimates.sn[None]

    def save(self, filename):
        if ".hdf5" not in filename:
            raise Exception("File extension not supported")
        for group, values in self.params.to_dict().items():
            for key, value in values.items():
                if isinstance(value, np.bool_):
                    raise ValueError(f"Cannot save {group}/{key}")
        super().save(_in_tempdir(filename))


def _load(filename, n_processes=1, dview=None):
    cnm = _model.load_CNMF(_in_tempdir(filename), n_processes, dview)
    cnm.__class__, cnm.params.__class__, cnm.estimates.__class__ = CNMF, CNMFParams, Estimates
    for values in cnm.params.to_dict().values():
        for key, value in values.items():
            if isinstance(value, bool):
                values[key] = np.bool_(value)
            elif isinstance(value, float):
                values[key] = np.float32(value) if value == np.float32(value) else np.float64(value)
    data, motion, temporal = (getattr(cnm.params, name) for name in ("data", "motion", "temporal"))
    if data["fnames"] is not None:
        data["fnames"] = np.array(data["fnames"]).astype(bytes)
    motion["indices"] = np.array([str(index) for index in motion["indices"]]).astype(bytes)
    temporal["solvers"] = np.array(temporal["solvers"]).astype(bytes)
    bad = cnm.estimates.idx_components_bad
    if bad is not None and not len(bad):
        cnm.estimates.idx_components_bad = np.array([])
    return cnm


load_CNMF = takes("filename, n_processes=1, dview=None", _load)
