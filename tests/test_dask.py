"""Fits on Dask workers in processes of their own, which share no memory with the caller."""

from __future__ import annotations

import functools
import os
import pickle
import signal
import threading
import time

import numpy as np
import pytest
from synthetic import make_scene
from test_model import PATCHES, SCENE, fitted, same

from cnmf_engine.base import parallel
from cnmf_engine.base.errors import MissingFileError
from cnmf_engine.caiman import cluster
from cnmf_engine.caiman.cnmf import CNMF
from cnmf_engine.caiman.params import CNMFParams
from cnmf_engine.movies import boxes
from cnmf_engine.movies.boxes import BoxOfMovie, movie_file
from cnmf_engine.movies.geometry import Box
from cnmf_engine.stages.cnmfe import background, fit, readout

MANY = PATCHES | {"rf": 12, "stride": 8}


@pytest.fixture(scope="module")
def scene():
    return make_scene()


@pytest.fixture(scope="module")
def mapped(scene, tmp_path_factory):
    """The movie as a view of an order-C memory map."""
    path = tmp_path_factory.mktemp("map") / "Yr_d1_48_d2_56_d3_1_order_C_frames_300.mmap"
    scene.Y.tofile(path)
    Yr = np.memmap(path, mode="r", dtype=np.float32, shape=scene.Y.shape)
    return np.reshape(Yr.T, scene.movie.shape, order="F")


@pytest.fixture(scope="module")
def client():
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            processes=True, n_workers=2, threads_per_worker=1, dashboard_address=None
        ) as workers,
        distributed.Client(workers) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def alone(scene):
    return fitted(scene.movie, **MANY)


def test_where_a_view_lies_in_its_file_is_found(mapped, scene):
    for view in (mapped, mapped[10:200:3], mapped[:, 5:40, ::-1], np.asarray(mapped)):
        place = movie_file(view)
        np.testing.assert_array_equal(place.open(), view)
        assert len(pickle.dumps(place)) < 500
    assert movie_file(scene.movie) is None
    assert movie_file(mapped * 2) is None


def test_a_file_that_was_replaced_is_not_read(tmp_path, scene):
    path = tmp_path / "movie.mmap"
    scene.Y.tofile(path)
    view = np.memmap(path, mode="r", dtype=np.float32, shape=scene.Y.shape).T.reshape(
        scene.movie.shape, order="F"
    )
    place = movie_file(view)
    other = tmp_path / "other.mmap"
    (scene.Y + 1).astype(np.float32).tofile(other)
    os.replace(other, path)
    assert movie_file(view) is None
    path.unlink()
    assert movie_file(view) is None
    with pytest.raises(MissingFileError, match="same path"):
        place.open()


def test_what_travels_is_small(mapped, scene):
    box = Box(4, 20, 6, 30)
    sent = pickle.dumps(BoxOfMovie(mapped, box, movie_file(mapped)))
    assert len(sent) < 1000
    np.testing.assert_array_equal(pickle.loads(sent).read(), BoxOfMovie(mapped, box).read())
    # A movie in memory travels box by box.
    sent = pickle.dumps(BoxOfMovie(scene.movie, box))
    assert len(sent) < 16 * 24 * 300 * 4 + 2000
    received = pickle.loads(sent)
    np.testing.assert_array_equal(received.read(), BoxOfMovie(mapped, box).read())
    assert len(pickle.dumps(received)) < len(sent) + 100


@pytest.mark.parametrize("n", [2, 4])
def test_threads_give_the_same_bits(scene, alone, n):
    with parallel.Workers(n) as dview:
        same(fitted(scene.movie, dview=dview, **MANY), alone)


@pytest.mark.parametrize("source", ["mapped", "memory"])
def test_processes_give_the_same_bits(scene, mapped, alone, client, source):
    _, dview, n = cluster.setup_cluster(backend="dask", client=client)
    assert n == 2
    assert not parallel.Run(dview).shared
    here = os.getpid()
    assert here not in parallel.Run(dview).map(lambda _: os.getpid(), range(4))
    same(fitted(mapped if source == "mapped" else scene.movie, dview=dview, **MANY), alone)


def test_an_address_is_enough_and_refit_runs_there_too(scene, mapped, alone, client):
    c, dview, _ = cluster.setup_cluster(backend="dask", client=client.scheduler.address)
    same(alone.refit(mapped, dview=dview), alone.refit(scene.movie))
    cluster.stop_server(dview=dview)
    assert c.status == "closed" and client.status == "running"


def test_linear_algebra_is_limited_in_the_workers(client):
    threadpoolctl = pytest.importorskip("threadpoolctl")
    _, dview, _ = cluster.setup_cluster(backend="dask", client=client)

    def threads(_):
        import scipy.linalg  # noqa: F401

        return [lib["num_threads"] for lib in threadpoolctl.threadpool_info() if lib["user_api"] == "blas"]

    for counts in parallel.Run(dview).map(threads, range(4)):
        assert counts and set(counts) == {1}


def test_a_file_that_workers_do_not_see_is_named(client, mapped, monkeypatch):
    _, dview, _ = cluster.setup_cluster(backend="dask", client=client)
    elsewhere = movie_file(mapped)._replace(path="/nowhere/movie.mmap")
    monkeypatch.setattr("cnmf_engine.movies.boxes.movie_file", lambda _: elsewhere)
    model = CNMF(2, params=CNMFParams(params_dict=SCENE | MANY), dview=dview)
    with pytest.raises(MissingFileError, match=r"/nowhere/movie\.mmap"):
        model.fit(mapped)


def test_the_fit_completes_when_a_worker_is_killed(mapped, alone, client, tmp_path, monkeypatch):
    """One of two processes dies while it works on a patch; the patch is done again by another."""
    _, dview, _ = cluster.setup_cluster(backend="dask", client=client)
    flag = tmp_path / "working"

    class Slow(boxes.BoxOfMovie):
        """Tells that it is being read, and takes its time."""

        flag_file = str(flag)

        @property
        def images(self):
            with open(self.flag_file, "a") as file:
                file.write(f"{os.getpid()} {tuple(self.box)}\n")
            time.sleep(0.5)
            return super().images

    monkeypatch.setattr("cnmf_engine.movies.boxes.BoxOfMovie", Slow)
    killed = []

    def kill_one():
        for _ in range(300):
            time.sleep(0.1)
            if flag.exists() and len(flag.read_text().splitlines()) >= 3:
                killed.append(int(flag.read_text().splitlines()[-1].split()[0]))
                os.kill(killed[0], signal.SIGKILL)
                return

    killer = threading.Thread(target=kill_one)
    killer.start()
    model = fitted(mapped, dview=dview, **MANY)
    killer.join()
    assert killed, "no worker was at work"
    started = [line.split(maxsplit=1) for line in flag.read_text().splitlines()]
    lost = {box for pid, box in started if int(pid) == killed[0]}
    assert any(box in lost for pid, box in started if int(pid) != killed[0]), "what was lost starts again"
    same(model, alone)


def test_every_stage_of_a_fit_runs_in_the_workers(mapped, alone, client, monkeypatch):
    """Patches, ring, traces and deconvolution: the caller only joins what comes back."""
    _, dview, _ = cluster.setup_cluster(backend="dask", client=client)
    here = []

    def noted(function):
        @functools.wraps(function)
        def task(*args):
            here.append(function.__name__)
            return function(*args)

        return task

    for module, name in (
        (fit, "_fit_patch"),
        (background, "_fit_tile"),
        (readout, "_read_tile"),
        (fit, "_deconvolve"),
    ):
        monkeypatch.setattr(module, name, noted(getattr(module, name)))
    same(fitted(mapped, dview=dview, **MANY), alone)
    assert here == []
