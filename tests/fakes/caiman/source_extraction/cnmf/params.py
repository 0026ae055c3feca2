import json
from pathlib import Path

import numpy as np

import cnmf_engine.caiman.params as _embedded
from caiman._strict import Strict

GROUPS = "data patch preprocess init spatial temporal merging quality motion online ring_CNN".split()


_QUALITY = "SNR_lowest cnn_lowest gSig_range min_SNR min_cnn_thr rval_lowest rval_thr".split()
_QUALITY += ["use_cnn", "use_ecc", "max_ecc"]


def _plain(value):
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, slice):
        return [value.start, value.stop, value.step]
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


class CNMFParams(Strict, _embedded.CNMFParams):
    allowed = frozenset(
        [*GROUPS, "change_params", "set", "get", "get_group", "to_dict", "to_json", "to_jsonfile"]
        + ["change_params_from_json", "change_params_from_jsonfile"]
    )

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._keep_known()

    def restore(self, stored):
        super().restore(stored)
        self._keep_known()

    def _keep_known(self):
        self.quality = {key: value for key, value in self.quality.items() if key in _QUALITY}

    def to_json(self):
        return json.dumps(self.to_dict(), default=_plain)

    def change_params(self, params_dict, allow_legacy=True, warn_unused=True, verbose=False):
        for name in (params_dict.get("data", {}).get("fnames") or self.data["fnames"]) or ():
            if not Path(name).exists():
                raise Exception("File not found!")
        for group in ("spatial", "temporal"):
            if "nb" in params_dict.get(group, {}):
                raise AssertionError(f"a warning for each copy of nb would be shown: {group}")
        super().change_params(params_dict)

    def change_params_from_json(self, jsonstring, verbose=False):
        values = json.loads(jsonstring)
        self.change_params(values)
        for group, key in (("spatial", "expandCore"), ("motion", "indices")):
            if key in values.get(group, {}):
                getattr(self, group)[key] = values[group][key]
