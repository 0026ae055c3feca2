import numpy as np

import cnmf_engine.caiman.cluster as _embedded
from caiman._strict import takes

_running = []


def _setup(backend="multiprocessing", n_processes=None, ignore_preexisting=False, **_):
    if _running and not ignore_preexisting:
        raise Exception("A cluster is already running")
    client, dview, count = _embedded.setup_cluster(backend, n_processes, ignore_preexisting=True)
    _running.append(dview)
    return client, dview, np.int64(count)


def _stop(dview=None, **_):
    if dview is None:
        raise FileNotFoundError("[Errno 2] No such file or directory: 'ipcluster'")
    _running[:] = [other for other in _running if other is not dview]
    _embedded.stop_server(dview=dview)


setup_cluster = takes(
    "backend='multiprocessing', n_processes=None, single_thread=False, ignore_preexisting=False, "
    "maxtasksperchild=None",
    _setup,
)
stop_server = takes("ipcluster='ipcluster', pdir=None, profile=None, dview=None", _stop)
start_server = takes("slurm_script=None, ipcluster='ipcluster', ncpus=None", lambda **_: None)
