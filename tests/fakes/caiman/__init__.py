"""CaImAn's names in front of the embedded engine's objects. See ../README.md."""
# ruff: noqa: F401

from __future__ import annotations

import cnmf_engine as _embedded
from caiman import base, cluster, mmapping, motion_correction, paths, summary_images
from caiman._strict import takes as _takes
from caiman.cluster import start_server, stop_server
from caiman.mmapping import load_memmap, save_memmap
from caiman.summary_images import local_correlations

__version__ = "1.13.0"

load = _takes(
    "file_name, fr=30, start_time=0, meta_data=None, subindices=None, shape=None, var_name_hdf5='mov', "
    "in_memory=False, is_behavior=False, bottom=0, top=0, left=0, right=0, channel=None, outtype=None, "
    "is3D=False",
    lambda file_name, fr=30, **kwargs: _embedded.load(file_name, fr=fr, **kwargs),
)
movie = _embedded.movie
concatenate = _embedded.concatenate
