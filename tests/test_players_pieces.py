"""A movie taken apart into cells, background and residual, frame by frame."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from cnmf_engine.base.errors import InputError
from cnmf_engine.caiman.estimates import Estimates
from workshop_utils.widgets import players

DIMS, T = (6, 9), 20


@pytest.fixture
def fit() -> Estimates:
    rng = np.random.default_rng(0)
    d = DIMS[0] * DIMS[1]
    A = sparse.csc_matrix(rng.random((d, 3)).astype(np.float32))
    estimates = Estimates(A=A, C=rng.random((3, T)).astype(np.float32), dims=DIMS)
    estimates.b0 = np.full(d, 2, np.float32)
    return estimates


def images(fit, noise=0.1) -> np.ndarray:
    Y = fit.A @ fit.C + 2 + noise * np.random.default_rng(1).normal(size=(DIMS[0] * DIMS[1], T))
    return Y.T.reshape((T, *DIMS), order="F").astype(np.float32)


def test_pieces_are_the_fit_and_add_up_to_the_movie(fit):
    movie = images(fit)
    pieces = players.fit_pieces(movie, fit)
    assert list(pieces) == ["movie", "cells", "background", "residual"]
    assert {piece.shape for piece in pieces.values()} == {(T, *DIMS)}
    whole = (fit.A @ fit.C).T.reshape((T, *DIMS), order="F")
    for t in (0, 7, T - 1):
        np.testing.assert_allclose(pieces["cells"][t], whole[t], rtol=1e-5)
        np.testing.assert_array_equal(pieces["background"][t], np.full(DIMS, 2))
        np.testing.assert_array_equal(pieces["movie"][t], movie[t])
        total = pieces["cells"][t] + pieces["background"][t] + pieces["residual"][t]
        np.testing.assert_allclose(total, movie[t], rtol=1e-5)
    assert pieces["residual"][3].std() < 0.2


def test_background_of_few_images_changes_with_time(fit):
    rng = np.random.default_rng(2)
    fit.b0, fit.b, fit.f = None, rng.random((DIMS[0] * DIMS[1], 2)), rng.random((2, T))
    background = players.fit_pieces(images(fit), fit)["background"]
    np.testing.assert_allclose(background[11], (fit.b @ fit.f[:, 11]).reshape(DIMS, order="F"), rtol=1e-5)
    assert fit.C.shape == (3, T) and fit.f.shape == (2, T), "the fit itself stays whole"


def test_background_is_computed_once_for_all_pieces_of_a_frame(fit, monkeypatch):
    calls = []
    original = Estimates.compute_background
    monkeypatch.setattr(
        Estimates, "compute_background", lambda self, Yr: calls.append(1) or original(self, Yr)
    )
    pieces = players.fit_pieces(images(fit), fit)
    assert calls == []
    for piece in pieces.values():
        piece[4]
    assert len(calls) == 1


def test_a_fit_without_components_has_dark_cells(fit):
    fit.A, fit.C = sparse.csc_matrix((DIMS[0] * DIMS[1], 0), dtype=np.float32), np.zeros((0, T), np.float32)
    pieces = players.fit_pieces(np.full((T, *DIMS), 5, np.float32), fit)
    assert (pieces["cells"][0] == 0).all() and (pieces["residual"][0] == 3).all()
    assert players.play(list(pieces.values()), titles=list(pieces)).picture(0).shape == (6, 4 * 9 + 3 * 4)


@pytest.mark.parametrize("shape", [(T + 1, *DIMS), (T, 5, 9)])
def test_another_movie_is_refused(fit, shape):
    with pytest.raises(InputError, match=f"20 frames of 54 pixels.*\n.*{shape[0]} frames of {shape[1]} x 9"):
        players.fit_pieces(np.zeros(shape), fit)
