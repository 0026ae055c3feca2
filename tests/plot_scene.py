"""A small scene for tests of figures, and what every figure has to be."""

from __future__ import annotations

import base64
from types import SimpleNamespace

import cv2
import matplotlib as mpl
import numpy as np
import scipy.sparse as sp

from workshop_utils.movies.truth import Truth

T, D1, D2, K, FR = 120, 40, 52, 4, 10.0


def make_scene() -> SimpleNamespace:
    """Four cells on a background that swings, with noise."""
    rng = np.random.default_rng(0)
    rows, cols = np.indices((D1, D2))
    centers = np.array([(10, 12), (10, 38), (28, 14), (29, 40)])
    A = np.stack([np.exp(-((rows - r) ** 2 + (cols - c) ** 2) / 18) for r, c in centers]).astype(np.float32)
    S = (rng.random((K, T)) < 0.04) * rng.uniform(1, 2, (K, T))
    C = np.zeros((K, T))
    for t in range(T):
        C[:, t] = 0.85 * C[:, t - 1] * (t > 0) + S[:, t]
    swing = 100 + 20 * np.sin(np.arange(T) / 15)
    movie = np.einsum("kij,kt->tij", A, 10 * C) + swing[:, None, None] + rng.normal(0, 1, (T, D1, D2))
    footprints = sp.csc_matrix(A.transpose(0, 2, 1).reshape(K, -1).T)
    truth = Truth(A, C.astype("f4"), S.astype("f4"), rng.normal(0, 1, (T, 2)), np.ones(K, bool), FR)
    return SimpleNamespace(
        A=footprints, C=C, S=S, YrA=rng.normal(0, 0.1, C.shape), movie=movie.astype(np.float32), truth=truth,
        cn=A.max(axis=0), pnr=20 * A.max(axis=0), centers=centers,
        snr=np.array([6.0, 2.0, np.inf, 4.0]), r=np.array([0.9, 0.3, 0.95, np.nan]),
    )  # fmt: skip


def with_stages(scene: SimpleNamespace) -> SimpleNamespace:
    """Give the scene's truth stages of one frame: cells, a glow of 50 counts, and noise."""
    truth = scene.truth
    frame = int(truth.C.sum(axis=0).argmax())
    cells = np.einsum("kij,k->ij", truth.A, 10 * truth.C[:, frame])
    noise = np.random.default_rng(5).normal(0, 2, cells.shape)
    stages = np.stack([cells, cells + 50, cells + 50 + noise])
    known = {name: getattr(truth, name) for name in ("A", "C", "S", "shifts", "detectable", "fr", "centers")}
    names = np.array(["cells", "+ neuropil", "+ sensor"])
    return SimpleNamespace(**known, stages=stages, stage_names=names, stage_frame=frame)


def check_drawn(figure, recwarn, settings) -> None:
    """Fail unless a figure is drawn, described, silent, and leaves the user's settings alone."""
    data, metadata = figure._repr_mimebundle_()
    picture = cv2.imdecode(np.frombuffer(base64.b64decode(data["image/png"]), np.uint8), cv2.IMREAD_GRAYSCALE)
    assert picture.std() > 1, "the picture is blank"
    assert len(figure.alt) > 20 and metadata["image/png"]["alt"] == figure.alt == data["text/plain"]
    assert dict(mpl.rcParams) == settings, "the user's matplotlib settings were changed"
    assert not [w for w in recwarn if "layout" in str(w.message) or issubclass(w.category, RuntimeWarning)]
