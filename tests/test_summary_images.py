from pathlib import Path

import numpy as np
import pytest
import tifffile
from scipy.ndimage import correlate
from synthetic import make_scene

from cnmf_engine.base.errors import InputError
from cnmf_engine.base.parallel import ALONE, Run
from cnmf_engine.stages import summary_images
from cnmf_engine.stages.filters import mean_centred_kernel
from cnmf_engine.stages.noise import pixel_noise
from cnmf_engine.stages.summary_images import (
    correlation_pnr,
    local_correlations,
    local_correlations_fft,
    max_correlation_image,
)

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="module")
def still():
    return tifffile.imread(GOLDEN / "still.tif")


@pytest.fixture(scope="module")
def reference():
    with np.load(GOLDEN / "still_reference.npz") as file:
        return dict(file)


def slow_correlations(movie, steps):
    """Mean of np.corrcoef with each neighbour inside the image; constant pixels count as 0."""
    T, d1, d2 = movie.shape
    out = np.zeros((d1, d2))
    for r in range(d1):
        for c in range(d2):
            values = []
            for dr, dc in steps:
                if 0 <= r + dr < d1 and 0 <= c + dc < d2:
                    a, b = movie[:, r, c].astype(float), movie[:, r + dr, c + dc].astype(float)
                    values.append(np.corrcoef(a, b)[0, 1] if np.ptp(a) and np.ptp(b) else 0.0)
            out[r, c] = np.mean(values)
    return out


FOUR = [(0, 1), (0, -1), (1, 0), (-1, 0)]
EIGHT = [*FOUR, (1, 1), (1, -1), (-1, 1), (-1, -1)]


def correlated_movie(rng, dtype=np.float32, dims=(9, 13), T=80):
    common = rng.normal(size=T).cumsum()[:, None, None]
    movie = 120 + 4 * common * rng.random(dims) + rng.normal(scale=6, size=(T, *dims))
    return np.clip(movie, 0, 255).astype(dtype)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32, np.float64])
@pytest.mark.parametrize("steps", [EIGHT, FOUR], ids=["eight", "four"])
def test_local_correlations_are_the_mean_of_corrcoef_over_neighbours(rng, dtype, steps):
    movie = correlated_movie(rng, dtype)
    image = local_correlations(movie, eight_neighbours=len(steps) == 8, swap_dim=False)
    np.testing.assert_allclose(image, slow_correlations(movie, steps), atol=1e-5)
    assert image.dtype == np.float64


def test_time_may_be_the_first_or_the_last_axis(rng):
    movie = correlated_movie(rng)
    first = local_correlations(movie, swap_dim=False)
    np.testing.assert_array_equal(local_correlations(np.moveaxis(movie, 0, -1)), first)
    second = correlation_pnr(np.moveaxis(movie, 0, -1), gSig=2)
    for a, b in zip(second, correlation_pnr(movie, gSig=2, swap_dim=False)):
        np.testing.assert_array_equal(a, b)


def test_constant_pixels_have_no_correlation_and_no_nan(rng):
    movie = correlated_movie(rng)
    movie[:, 3:5, 4:7] = 77.7
    image = local_correlations(movie, swap_dim=False)
    assert np.all(image[3:5, 4:7] == 0)
    np.testing.assert_allclose(image, slow_correlations(movie, EIGHT), atol=1e-5)
    assert not np.any(local_correlations(np.full((30, 6, 7), 0.1, np.float32), swap_dim=False))


def test_a_pixel_with_nan_counts_as_constant(rng):
    movie = correlated_movie(rng)
    missing = movie.copy()
    missing[5, 2, 2] = np.nan
    movie[:, 2, 2] = 0
    np.testing.assert_allclose(
        local_correlations(missing, swap_dim=False), local_correlations(movie, swap_dim=False), atol=1e-6
    )


def test_bright_offset_does_not_cost_accuracy(rng):
    movie = rng.normal(size=(100, 6, 6)) + rng.normal(size=(100, 1, 1))
    image = local_correlations((movie + 4000).astype(np.float32), swap_dim=False)
    np.testing.assert_allclose(image, slow_correlations(movie, EIGHT), atol=1e-3)


@pytest.mark.parametrize("limit", ["100KB", "400KB", "10MB"])
def test_blocks_do_not_change_the_images(limit):
    movie = make_scene((45, 52), T=60).movie
    whole = local_correlations(movie, swap_dim=False), *correlation_pnr(movie, gSig=2, swap_dim=False)
    options = {"swap_dim": False, "run": Run(memory=limit)}
    blockwise = local_correlations(movie, **options), *correlation_pnr(movie, gSig=2, **options)
    for a, b in zip(whole, blockwise):
        np.testing.assert_allclose(b, a, rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("T", [200, 3300])
def test_images_are_the_same_for_any_number_of_threads(rng, T):
    movie = correlated_movie(rng, T=T, dims=(17, 19))
    for n_threads in (2, 3):
        for name, options in {"local_correlations": {}, "correlation_pnr": {"gSig": 2}}.items():
            function, options = getattr(summary_images, name), options | {"swap_dim": False}
            one, many = (function(movie, run=run, **options) for run in (ALONE, Run(n_threads)))
            np.testing.assert_array_equal(many, one)


def slow_pnr(movie, gSig):
    """Correlation and peak-to-noise ratio by their definition, with all frames held in float64."""
    kernel = mean_centred_kernel(gSig).astype(float)
    filtered = np.stack([correlate(frame.astype(float), kernel, mode="nearest") for frame in movie])
    filtered -= filtered.mean(axis=0)
    noise = pixel_noise(np.ascontiguousarray(filtered.transpose(1, 2, 0)))
    signal = np.where(filtered < 3 * noise, 0, filtered)
    return slow_correlations(signal, EIGHT), np.maximum(filtered.max(axis=0) / noise, 0)


@pytest.mark.parametrize("kind", ["frames", "series", "short"])
def test_images_of_a_long_recording_are_those_of_the_definition(rng, kind):
    """Above 3,072 frames another way is taken: everything but the noise is found while frames pass by."""
    dims, T = (12, 15), 600 if kind == "short" else 3500
    movie = rng.normal(300, 6, size=(T, *dims))
    movie[rng.random(T) < 0.02, 4:8, 5:10] += 60
    movie = movie.astype(np.float32)
    given = np.asfortranarray(movie) if kind == "series" else movie
    cn, pnr = correlation_pnr(given, gSig=2, swap_dim=False, run=Run(memory="200KB"))
    expected_cn, expected_pnr = slow_pnr(movie, 2)
    np.testing.assert_allclose(pnr, expected_pnr, rtol=2e-5)
    assert np.median(np.abs(cn - expected_cn)) < 1e-5
    # A sample at the very threshold may fall to either side of it.
    np.testing.assert_allclose(cn, expected_cn, atol=0.02)


def test_missing_values_of_a_long_recording_leave_the_rest_alone(rng):
    movie = rng.normal(300, 6, size=(3200, 30, 32)).astype(np.float32)
    movie[::150, 13:17, 14:18] += 80
    whole = correlation_pnr(movie, gSig=2, swap_dim=False)
    movie[:, :2] = movie[77] = np.nan
    cn, pnr = correlation_pnr(movie, gSig=2, swap_dim=False)
    assert not cn[:2].any()
    assert not pnr[:2].any()
    np.testing.assert_allclose(pnr[10:], whole.pnr[10:], rtol=0.05)
    np.testing.assert_allclose(cn[10:], whole.cn[10:], atol=0.05)
    assert local_correlations(movie, swap_dim=False).shape == (30, 32)


def test_view_of_an_order_c_memory_map_gives_the_same_images(tmp_path):
    scene = make_scene((20, 26), T=90)
    file = np.memmap(tmp_path / "Yr.mmap", mode="w+", dtype=np.float32, shape=(20 * 26, 90))
    file[:] = scene.Y
    file.flush()
    Yr = np.memmap(tmp_path / "Yr.mmap", mode="r", dtype=np.float32, shape=(20 * 26, 90))
    images = np.reshape(Yr.T, (90, 20, 26), order="F")
    np.testing.assert_array_equal(
        local_correlations(images, swap_dim=False), local_correlations(scene.movie, swap_dim=False)
    )
    for a, b in zip(
        correlation_pnr(images[10:80], gSig=2, swap_dim=False),
        correlation_pnr(scene.movie[10:80], gSig=2, swap_dim=False),
    ):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "function", [local_correlations, local_correlations_fft, max_correlation_image, correlation_pnr]
)
@pytest.mark.parametrize("shape", [(20, 30), (0, 8, 8), (3, 4, 5, 6)])
def test_what_is_not_a_movie_is_refused(function, shape):
    with pytest.raises(InputError, match="three axes"):
        function(np.zeros(shape, np.float32), swap_dim=False)


def test_options_that_have_no_meaning_here_are_refused(rng):
    movie = correlated_movie(rng)
    with pytest.raises(InputError, match="order_mean"):
        local_correlations(movie, order_mean=2)
    with pytest.raises(InputError, match="rolling_window"):
        local_correlations_fft(movie, rolling_window=10)
    with pytest.raises(InputError, match="'ring'"):
        correlation_pnr(movie, gSig=2, background_filter="ring")


def test_second_name_gives_the_same_image_in_float32(rng):
    movie = correlated_movie(rng)
    image = local_correlations_fft(movie, swap_dim=False)
    assert image.dtype == np.float32
    np.testing.assert_allclose(image, local_correlations(movie, swap_dim=False), atol=1e-6)


def test_maximum_over_time_bins_shows_what_happens_in_one_bin_only(rng):
    movie = rng.normal(size=(200, 8, 8)).astype(np.float32)
    movie[150:, 2:5, 2:5] += 3 * rng.normal(size=50)[:, None, None].astype(np.float32)
    best = max_correlation_image(movie, bin_size=50, swap_dim=False)
    assert best[3, 3] > 0.8 > local_correlations(movie, swap_dim=False)[3, 3]
    bins = [local_correlations(movie[i : i + 50], swap_dim=False) for i in range(0, 200, 50)]
    np.testing.assert_allclose(best, np.max(bins, axis=0), atol=1e-6)
    np.testing.assert_allclose(
        max_correlation_image(movie, bin_size=1000, swap_dim=False),
        local_correlations(movie, swap_dim=False),
        atol=1e-6,
    )


@pytest.mark.parametrize("gSig", [3, 6])
def test_golden_movie_gives_the_reference_images(still, reference, gSig):
    cn, pnr = correlation_pnr(still, gSig=gSig, swap_dim=False)
    difference = np.abs(cn - reference[f"cn_gsig{gSig}"])
    assert difference.max() <= 5e-3
    assert np.median(difference) <= 1e-4
    np.testing.assert_allclose(pnr, reference[f"pnr_gsig{gSig}"], rtol=1e-3)
    assert cn.dtype == pnr.dtype == np.float32


def test_golden_movie_gives_the_reference_local_correlations(still, reference):
    four = local_correlations(still, eight_neighbours=False, swap_dim=False)
    np.testing.assert_allclose(four, reference["local_corr_4"], atol=1e-4)
    eight = local_correlations(still, swap_dim=False)
    # The reference puts two of the four diagonal terms on the wrong pixel.
    np.testing.assert_allclose(eight, reference["local_corr_8"], atol=1e-2)


def test_widths_for_rows_and_columns_are_taken_apart():
    scene = make_scene((30, 34), T=80, centres=[(15, 17)])
    same = correlation_pnr(scene.movie, gSig=3, swap_dim=False)
    for pair in ((3, 3), [3, 3], np.array([3, 3])):
        for a, b in zip(same, correlation_pnr(scene.movie, gSig=pair, swap_dim=False)):
            np.testing.assert_array_equal(a, b)
    turned = correlation_pnr(scene.movie.transpose(0, 2, 1), gSig=(4, 2), swap_dim=False).pnr.T
    np.testing.assert_allclose(
        correlation_pnr(scene.movie, gSig=(2, 4), swap_dim=False).pnr, turned, rtol=1e-3
    )


def test_cells_stand_out_of_the_background_only_with_the_zero_mean_filter():
    scene = make_scene(noise=3)
    cells = tuple(scene.centres.astype(int).T)
    cn, pnr = correlation_pnr(scene.movie, gSig=2.5, swap_dim=False)
    elsewhere = scene.A.max(axis=0) == 0
    assert cn[cells].min() > 0.9
    assert pnr[cells].min() > 2 * np.median(pnr[elsewhere])
    raw = correlation_pnr(scene.movie, gSig=None, swap_dim=False).cn
    assert np.median(cn[elsewhere]) < 0.5 < np.median(raw[elsewhere])


@pytest.mark.parametrize(
    "options", [{"center_psf": False}, {"background_filter": "box"}, {"gSig": None}, {"gSig": 0}]
)
def test_every_kind_of_filter_gives_finite_images(options):
    movie = make_scene((24, 24), T=60, centres=[(12, 12)]).movie
    cn, pnr = correlation_pnr(movie, **{"gSig": 2, "swap_dim": False} | options)
    assert np.isfinite(cn).all()
    assert np.isfinite(pnr).all()
    assert pnr.min() >= 0
    assert np.abs(cn).max() <= 1 + 1e-5


@pytest.mark.parametrize("value", [0.0, 0.1, 3000.0])
def test_constant_movie_and_constant_pattern_give_zero_images(rng, value):
    movie = np.full((40, 20, 20), value, np.float32) + rng.random((20, 20)).astype(np.float32)
    for image in correlation_pnr(movie, gSig=3, swap_dim=False):
        assert not image.any()


@pytest.mark.parametrize("gSig", [2, 3])
def test_pixels_that_were_never_seen_are_zero_and_leave_the_rest_alone(gSig):
    """Borders left NaN by motion correction must neither blank the images nor light up in them."""
    scene = make_scene((40, 44), T=200, centres=[(22, 24)])
    missing = scene.movie.copy()
    missing[:, :3] = np.nan
    cn, pnr = correlation_pnr(missing, gSig=gSig, swap_dim=False)
    assert not cn[:3].any()
    assert not pnr[:3].any()
    whole = correlation_pnr(scene.movie, gSig=gSig, swap_dim=False)
    np.testing.assert_allclose(cn[14:], whole.cn[14:], atol=5e-3)
    np.testing.assert_allclose(pnr[14:], whole.pnr[14:], rtol=1e-3)
    assert pnr[3:14].max() < 1.5 * whole.pnr[3:14].max(), "no seam"


@pytest.mark.parametrize("gSig", [2, 3])
def test_what_is_missing_in_some_frames_makes_no_false_peaks(gSig):
    """Each frame may lack another part of the border, and a dropped frame lacks everything."""
    scene = make_scene((40, 44), T=200, centres=[(22, 24)])
    missing = scene.movie.copy()
    missing[7, :2] = missing[[3, 50, 99], :, -1] = missing[120] = np.nan
    whole = correlation_pnr(scene.movie, gSig=gSig, swap_dim=False)
    cn, pnr = correlation_pnr(missing, gSig=gSig, swap_dim=False)
    assert np.isfinite(cn).all()
    assert np.isfinite(pnr).all()
    border = np.ones(pnr.shape, bool)
    border[14:-14, 14:-14] = False
    assert pnr[border].max() < 1.3 * whole.pnr[border].max()
    np.testing.assert_allclose(pnr[16:28, 16:29], whole.pnr[16:28, 16:29], rtol=0.2)


def test_a_movie_of_nan_has_zero_images():
    for image in correlation_pnr(np.full((20, 15, 15), np.nan, np.float32), gSig=3, swap_dim=False):
        assert not image.any()


@pytest.mark.parametrize("T", [1, 2, 5])
def test_very_short_movies_give_finite_images(rng, T):
    movie = rng.normal(size=(T, 20, 20)).astype(np.float32)
    for image in (*correlation_pnr(movie, gSig=2, swap_dim=False), local_correlations(movie, swap_dim=False)):
        assert np.isfinite(image).all()
