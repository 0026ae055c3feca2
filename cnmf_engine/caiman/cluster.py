"""Worker pools: the engine's own threads, or an existing Dask or ipyparallel cluster."""

from __future__ import annotations

import logging
from typing import Any

from cnmf_engine.base.errors import InputError, ParameterError, explain, nearest
from cnmf_engine.base.parallel import (
    RUN,
    DaskWorkers,
    Run,
    Workers,
    available_cpus,
    checked_count,
    limit_threads,
    open_pools,
)

__all__ = [
    "ClusterRunningError",
    "DaskWorkers",
    "Workers",
    "available_cpus",
    "run_of",
    "setup_cluster",
    "start_server",
    "stop_server",
]

logger = logging.getLogger("caiman")

_BACKENDS = ("multiprocessing", "local", "single", "ipyparallel", "SLURM", "dask")


class ClusterRunningError(InputError, RuntimeError):
    """A pool of this process is still open."""


def setup_cluster(
    backend: str = "multiprocessing",
    n_processes: int | None = None,
    single_thread: bool = False,
    ignore_preexisting: bool = False,
    maxtasksperchild: int | None = None,
    client: Any = None,
) -> tuple[Any, Any, int]:
    """
    Open a pool of workers.

    Parameters
    ----------
    backend : str
        ``'multiprocessing'`` (or its old name ``'local'``): the engine's own threads, see `Workers`.
        ``'single'``: no pool, everything runs in turn on one thread, until `stop_server` or the next call.
        ``'dask'``: workers of a Dask cluster.
        ``'ipyparallel'``, ``'SLURM'``: engines of a running ipyparallel cluster.
    n_processes : int, optional
        Number of workers; one less than the processors this process may use if not given. If given, calls
        that take no `dview` use no more threads than that either.
    single_thread : bool
        True means the same as ``backend='single'``.
    ignore_preexisting : bool
        Close a pool that is still open and replace it, instead of complaining.
    maxtasksperchild : int, optional
        Accepted for CaImAn's callers; threads need no restart.
    client : distributed.Client, distributed cluster, ipyparallel.Client or str, optional
        An existing client, or the cluster or address of the scheduler that a Dask client should connect to.
        Without it ``'dask'`` starts a local cluster of `n_processes` threads, and ``'ipyparallel'`` connects
        to the cluster of the default profile.

    Returns
    -------
    c : object or None
        The client of a Dask or ipyparallel cluster, else None.
    dview : Workers, DaskWorkers, ipyparallel view or None
        What stages take as `dview`; None for ``'single'``.
    n_processes : int
        Number of workers.

    Raises
    ------
    ClusterRunningError
        If an earlier pool of the engine is still open. Children of other libraries don't count.
    ParameterError
        If the backend is unknown, its package is missing, or the number of workers isn't positive.
    """
    if backend not in _BACKENDS:
        hint = nearest(str(backend), _BACKENDS)
        raise ParameterError(
            explain(
                f"a backend among {', '.join(_BACKENDS)}",
                repr(backend),
                f"use backend={hint!r}" if hint else "use backend='multiprocessing'",
            )
        )
    most = None if n_processes is None else checked_count(n_processes)
    n_processes = most or max(available_cpus() - 1, 1)
    if single_thread or backend == "single":
        limit_threads(1)
        return None, None, 1
    _settle_preexisting(ignore_preexisting)
    limit_threads(most)
    if backend == "dask":
        return _dask_cluster(client, n_processes)
    if backend in ("ipyparallel", "SLURM"):
        return _ipyparallel_cluster(client)
    if backend == "local":
        logger.warning("backend 'local' is an old name: use 'multiprocessing'")
    return None, Workers(n_processes), n_processes


def run_of(dview: Any, memory_limit: int | float | str | None = None) -> Run:
    """Tell a stage what CaImAn's `dview` and a memory limit mean; without a pool, threads of this process."""
    pool = RUN.pool if dview is None else dview
    return Run(pool, memory_limit, progress=True)


def start_server(
    slurm_script: str | None = None, ipcluster: str = "ipcluster", ncpus: int | None = None
) -> None:
    """
    Do nothing: the engine's threads need no server.

    It is here so that scripts written for CaImAn run unchanged. An ipyparallel cluster is started with its
    own command ``ipcluster start``, and is then used through ``setup_cluster(backend='ipyparallel')``.

    Parameters
    ----------
    slurm_script, ipcluster, ncpus : optional
        Accepted for CaImAn's callers.
    """
    logger.info("No server is needed: setup_cluster() opens threads of this process")


def stop_server(
    ipcluster: str = "ipcluster", pdir: str | None = None, profile: str | None = None, dview: Any = None
) -> None:
    """
    Close a pool of workers; harmless without one or when called twice.

    Parameters
    ----------
    ipcluster, pdir, profile : str, optional
        Accepted for CaImAn's callers. No external command is run.
    dview : Workers, DaskWorkers, multiprocessing.Pool, ipyparallel view or None
        What `setup_cluster` returned. A connection to an ipyparallel cluster is closed; the cluster itself
        goes on.
    """
    limit_threads(None)
    if dview is None:
        return
    if hasattr(dview, "terminate"):
        dview.terminate()
    elif hasattr(dview, "client"):
        dview.client.close()


def _settle_preexisting(ignore_preexisting: bool) -> None:
    still_open = open_pools()
    if not still_open:
        return
    if not ignore_preexisting:
        raise ClusterRunningError(
            explain(
                "no open pool of workers",
                f"a cluster is already running ({still_open[0]!r})",
                "close it with cm.stop_server(dview=dview), or pass ignore_preexisting=True to replace it",
            )
        )
    logger.warning("A pool of workers was still open: it is closed and replaced")
    for pool in still_open:
        pool.terminate()


def _missing_package(backend: str, package: str) -> ParameterError:
    return ParameterError(
        explain(
            f"the package {package!r}, which backend={backend!r} needs",
            "that it isn't installed",
            f"run 'pip install {package}' and restart, or use backend='multiprocessing'",
        )
    )


def _dask_cluster(client: Any, n_processes: int) -> tuple[Any, DaskWorkers, int]:
    try:
        from distributed import Client
    except ImportError as error:
        raise _missing_package("dask", "distributed") from error
    owned = not isinstance(client, Client)
    if client is None:
        client = Client(processes=False, n_workers=1, threads_per_worker=n_processes, dashboard_address=None)
    elif owned:
        client = Client(client)
    workers = DaskWorkers(client, owned=owned)
    return client, workers, workers.n_processes


def _ipyparallel_cluster(client: Any) -> tuple[Any, Any, int]:
    try:
        import ipyparallel
    except ImportError as error:
        raise _missing_package("ipyparallel", "ipyparallel") from error
    client = ipyparallel.Client() if client is None else client
    dview = client[:]
    # Stages hand over closures, which plain pickle refuses.
    dview.use_cloudpickle()
    return client, dview, len(client)
