"""The width of cells is measured in the movie: planted cells, and movies without."""

from __future__ import annotations

import numpy as np
import pytest

from cnmf_engine.base.errors import InputError
from cnmf_engine.stages.cell_size import cell_size

SIDE, T = 112, 300


def planted(sigma: float, n_cells: int = 12, noise: float = 8.0, seed: int = 0) -> np.ndarray:
    """Cells of one width that flash on a wide glow which wanders, with a bright fixed structure and noise."""
    rng = np.random.default_rng(seed)
    rows, cols = np.indices((SIDE, SIDE))
    glow = 10 * np.exp(-((rows - 60) ** 2 + (cols - 50) ** 2) / (2 * 30**2))
    movie = 500 + 80 * np.sin(rows / 3) + glow * np.cumsum(rng.normal(size=T))[:, None, None]
    for row, col in rng.uniform(14, SIDE - 14, (n_cells, 2)):
        calcium = np.zeros(T)
        for start in rng.integers(5, T - 20, 3):
            calcium[start:] += np.exp(-np.arange(T - start) / 8)
        cell = np.exp(-((rows - row) ** 2 + (cols - col) ** 2) / (2 * sigma**2))
        movie += 60 * calcium[:, None, None] * cell
    return (movie + rng.normal(0, noise, movie.shape)).astype(np.float32)


@pytest.mark.parametrize("sigma", [2.0, 3.0, 4.5, 6.0])
def test_width_of_planted_cells_is_recovered(sigma):
    size = cell_size(planted(sigma))
    assert size.gSig == pytest.approx(sigma, rel=0.1)
    assert len(size.widths) >= 6 and f"{size.gSig:.1f} px" in size.rule


def test_strong_noise_leaves_the_width_within_a_fifth():
    assert cell_size(planted(3.0, noise=25.0)).gSig == pytest.approx(3.0, rel=0.2)


def test_missing_pixels_do_not_matter():
    movie = planted(3.0)
    movie[:, :3], movie[7, 50, 60] = np.nan, np.inf
    assert cell_size(movie).gSig == pytest.approx(3.0, rel=0.15)


@pytest.mark.parametrize("shape", [(1, 40, 40), (6, 40, 40), (50, 8, 40), (60, 40, 44)])
def test_without_a_flash_the_rule_says_what_to_do(shape):
    size = cell_size(np.random.default_rng(0).normal(100, 1, shape))
    assert np.isnan(size.gSig) and "by eye" in size.rule


def test_constant_movie_has_no_cells():
    assert np.isnan(cell_size(np.full((40, 30, 30), 7)).gSig)


def test_image_is_refused():
    with pytest.raises(InputError, match=r"frames, rows, columns"):
        cell_size(np.zeros((40, 40)))
