"""What the tests of the exercises' checks share: reading a verdict, and small scenes with an answer key."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
from synthetic import blob, flat_footprints

from workshop_utils.exercises import Verdict
from workshop_utils.movies.truth import Truth

DIMS, T = (40, 50), 120

_BEGINS = {True: "Right: ", False: "Not yet: ", None: "No answer yet: "}


def says(verdict: Verdict, right: bool | None, words: str) -> None:
    """Assert what a verdict is, that it reads as sentences do, and that it contains some words."""
    assert verdict.right is right, verdict
    assert repr(verdict) == str(verdict) == _BEGINS[right] + verdict.message
    assert words in verdict.message, verdict
    for line in verdict.message.split("\n"):
        assert line.endswith((".", "?", ":")), f"a line that isn't finished: {line!r}"
    assert not verdict.message.endswith(":"), "something should follow"
    for slip in ("  ", " .", " ,", "?.", ":.", "None"):
        assert slip not in verdict.message, f"{slip!r} in {verdict}"


def two_cells_and_a_vessel():
    """Two clear cells, a blurred one, and a vertical vessel; the correlation image shows the clear cells."""
    dims = (40, 60)
    A = np.array([blob(dims, (10, 15), 2), blob(dims, (30, 50), 2), blob(dims, (20, 30), 6)])
    vessels = np.ones(dims, np.float32)
    vessels[:, 40:44] = 0.2
    truth = Truth(
        A=A,
        C=np.ones((3, 20), np.float32),
        S=np.zeros((3, 20), np.float32),
        shifts=np.zeros((20, 2), np.float32),
        detectable=np.array([True, True, False]),
        vessels=vessels,
    )
    return A[0] + A[1], truth


def four_cells():
    """Truth of four cells, and a function that makes the estimates of a fit that found some of them."""
    rng = np.random.default_rng(8)
    A = np.array([blob(DIMS, centre, 2.5) for centre in ((8, 8), (8, 35), (28, 12), (30, 40))])
    C = rng.gamma(1, 1, (4, T)).astype(np.float32)
    truth = Truth(A, C, (C > 2).astype(np.float32), np.zeros((T, 2), np.float32), np.ones(4, bool))
    false = blob(DIMS, (18, 25), 2.5)

    def fit(found, n_false=0, noise=0.0):
        images = np.array([*A[list(found)], *[np.roll(false, 6 * k, 1) for k in range(n_false)]])
        traces = np.vstack([C[list(found)], rng.gamma(1, 1, (n_false, T))])
        traces = traces + noise * rng.normal(size=traces.shape)
        return SimpleNamespace(
            A=flat_footprints(images.reshape(-1, *DIMS)) if len(images) else None, C=traces
        )

    return truth, fit
