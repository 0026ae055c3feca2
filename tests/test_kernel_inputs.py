"""What compiled code is given: empty, short, flat, broken and foreign arrays end in results or in words."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import minimize

from cnmf_engine.base.errors import InputError, ParameterError
from cnmf_engine.movies.geometry import Box
from cnmf_engine.stages.cnmfe.dynamics import measure_dynamics
from cnmf_engine.stages.cnmfe.kernels import signal_correlation, take_off
from cnmf_engine.stages.cnmfe.spatial import update_spatial
from cnmf_engine.stages.deconvolution.foopsi import (
    constrained_foopsi,
    deconvolve_traces,
    oasis_ar1,
    oasis_ar2,
)
from cnmf_engine.stages.filters import filter_frames, mean_centred_kernel
from cnmf_engine.stages.summary_images import correlation_pnr, local_correlations

G2 = (1.4, -0.45)
ONE_TRACE = {
    "ar1": lambda y: oasis_ar1(y, 0.9, 0.1),
    "ar2": lambda y: oasis_ar2(y, G2, 0.1),
    "foopsi1": lambda y: constrained_foopsi(y, p=1),
    "foopsi2": lambda y: constrained_foopsi(y, p=2),
    "foopsi0": lambda y: constrained_foopsi(y, p=0),
    "least spike": lambda y: constrained_foopsi(y, p=1, s_min=0),
    "given": lambda y: constrained_foopsi(y, p=2, g=G2, sn=1, bl=0),
}
TRACE = np.random.default_rng(0).normal(size=40) + 3 * (np.arange(40) % 13 == 0)


@pytest.fixture(params=ONE_TRACE)
def solve(request):
    return ONE_TRACE[request.param]


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (np.zeros(0), "at least one frame"),
        (np.zeros((3, 40)), "shape"),
        (np.zeros((0, 40)), "shape"),
        (np.zeros((1, 40)), "deconvolve_traces"),
        (np.float64(3), "shape"),
        (np.where(np.arange(40) == 7, np.nan, TRACE), "1 values that are NaN"),
        (np.where(np.arange(40) < 2, np.inf, TRACE), "2 values that are NaN or inf"),
        (TRACE.astype(complex), "real numbers"),
        (["a", "b"], "real numbers"),
        ([1.0, None], "real numbers"),
        ([[1.0], [1.0, 2.0]], "real numbers"),
        (None, "real numbers"),
    ],
)
def test_what_is_no_trace_is_refused(solve, bad, words):
    with pytest.raises(InputError, match=words) as refused:
        solve(bad)
    assert str(refused.value).count("\n") == 2


@pytest.mark.parametrize(
    "foreign",
    [
        lambda y: y.tolist(),
        lambda y: np.repeat(y, 3)[::3],
        lambda y: y[::-1].copy()[::-1],
        lambda y: y.astype(">f8"),
        lambda y: np.asfortranarray(np.stack([y, y]))[1],
        lambda y: np.frombuffer(y.tobytes()),
    ],
)
def test_the_same_numbers_give_the_same_result(solve, foreign):
    y = np.round(TRACE * 8) / 8
    same = foreign(y)
    for one, two in zip(solve(y), solve(same), strict=True):
        np.testing.assert_array_equal(one, two)


def test_integers_are_numbers(solve):
    whole = np.rint(TRACE * 4).astype(np.int16)
    for one, two in zip(solve(whole.astype(float)), solve(whole), strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("T", [1, 2, 3])
@pytest.mark.parametrize("lam", [0.0, 0.7])
def test_the_shortest_traces_are_solved_exactly(T, lam):
    rng = np.random.default_rng(T)
    d, r = max(np.roots([1, -G2[0], -G2[1]])), min(np.roots([1, -G2[0], -G2[1]]))
    for y in rng.normal(1, 2, (5, T)):
        c1, s1 = oasis_ar1(y, 0.9, lam)
        c2, s2 = oasis_ar2(y, G2, lam)
        assert c1.shape == s1.shape == c2.shape == s2.shape == (T,)
        decay = np.eye(T) - 0.9 * np.eye(T, k=-1)
        both = np.eye(T) - G2[0] * np.eye(T, k=-1) - G2[1] * np.eye(T, k=-2)
        if T > 1:
            both[1, 0] = -d
        for c, matrix, first in ((c1, decay, 1.0), (c2, both, 1 - r)):
            weight = lam * np.r_[first, np.ones(T - 1)] @ matrix

            def cost(x, matrix=matrix, weight=weight, y=y):
                return ((x - y) ** 2).sum() / 2 + weight @ x

            held = {"type": "ineq", "fun": lambda x, matrix=matrix: matrix @ x}
            best = minimize(cost, np.ones(T), constraints=held, options={"ftol": 1e-12})
            assert (matrix @ c > -1e-9).all() and cost(c) <= best.fun + 1e-6


@pytest.mark.parametrize("T", [1, 2, 3, 4])
@pytest.mark.parametrize("p", [0, 1, 2])
@pytest.mark.parametrize("s_min", [None, 0, 1, -2])
def test_short_and_constant_traces_have_results(T, p, s_min):
    for y in (np.zeros(T), np.ones(T), np.arange(T, dtype=float), -np.ones(T)):
        c, bl, c1, g, sn, s, lam = constrained_foopsi(y, p=p, s_min=s_min)
        assert c.shape == s.shape == (T,) and np.isfinite([*c, *s, bl, c1, *g, sn, lam]).all()


def test_a_trace_without_spikes_ends_the_search_for_a_threshold():
    c, *_, s, _ = constrained_foopsi(-(np.arange(30.0) ** 2), p=1, g=0.9, bl=0, sn=1e3, s_min=0)
    assert c.shape == s.shape == (30,) and not s.any()


@pytest.mark.parametrize(
    "options",
    [
        {"g": np.nan}, {"g": 1.2}, {"g": -0.1}, {"g": (0.5, 0.2)}, {"g": "fast"}, {"sn": np.nan}, {"sn": -1},
        {"sn": np.inf}, {"bl": np.nan}, {"bl": "low"}, {"s_min": np.nan}, {"s_min": np.inf},
        {"p": 2, "g": (2.0, -1.0)}, {"p": 2, "g": (np.nan, 0)}, {"p": 2, "g": 0.9}, {"p": 2, "g": (0, -0.9)},
    ],
)  # fmt: skip
def test_options_that_cannot_be_are_refused(options):
    with pytest.raises(ParameterError):
        constrained_foopsi(TRACE, **options)


@pytest.mark.parametrize(
    "call", [lambda g, lam: oasis_ar1(TRACE, g, lam), lambda g, lam: oasis_ar2(TRACE, (g, 0), lam)]
)
@pytest.mark.parametrize(
    ("g", "lam"), [(np.nan, 0), (1.5, 0), (-0.2, 0), (0.9, np.nan), (0.9, -1), (0.9, np.inf)]
)
def test_dynamics_that_cannot_be_are_refused(call, g, lam):
    with pytest.raises(ParameterError):
        call(g, lam)


@pytest.mark.parametrize("g", [0.0, 1.0])
def test_decays_at_the_limits_have_results(g):
    for lam in (0.0, 0.3):
        assert np.isfinite(oasis_ar1(TRACE, g, lam)).all()
    assert np.isfinite(constrained_foopsi(TRACE, g=g)[0]).all()


@pytest.mark.parametrize(
    ("traces", "options", "words"),
    [
        (TRACE, {}, r"trace\[None\]"),
        (np.zeros((2, 3, 40)), {}, r"shape \(K, T\)"),
        (np.zeros((2, 0)), {}, "at least one frame"),
        (np.full((2, 40), np.nan), {}, "80 values"),
        (np.stack([TRACE, TRACE]), {"sn": np.ones(3)}, "sn of 2"),
        (np.stack([TRACE, TRACE]), {"sn": 1.0}, "sn of 2"),
        (np.stack([TRACE, TRACE]), {"g": np.ones((1, 1))}, "g of 2"),
    ],
)
def test_what_are_no_traces_is_refused(traces, options, words):
    with pytest.raises(InputError, match=words):
        deconvolve_traces(traces, **options)


def test_no_traces_and_lists_of_traces_have_results():
    assert deconvolve_traces(np.zeros((0, 40))).C.shape == (0, 40)
    np.testing.assert_array_equal(deconvolve_traces([TRACE.tolist()]).C, deconvolve_traces(TRACE[None]).C)


@pytest.mark.parametrize("T", [0, 1, 2, 3, 5])
def test_dynamics_of_short_recordings_are_unknown(T):
    assert measure_dynamics(np.ones((2, T)), 10) is None
    assert measure_dynamics(np.random.default_rng(0).normal(size=(2, T)), 10) is None
    assert measure_dynamics(np.ones(T), 10) is None


@pytest.fixture
def pixels():
    return np.random.default_rng(0).normal(size=(30, 9)).astype(np.float32)


@pytest.mark.parametrize("box", [Box(0, 7, 0, 5), Box(-1, 3, 0, 5), Box(0, 6, 2, 6), Box(4, 2, 0, 5)])
def test_boxes_stay_within_their_image(pixels, box):
    image = np.ones((abs(box.dims[0]), box.dims[1]), np.float32)
    with pytest.raises(InputError, match="a box of an image of 6 x 5"):
        take_off(pixels, (6, 5), box, image, pixels[0])
    with pytest.raises(InputError, match="a box of an image of 6 x 5"):
        signal_correlation(pixels, (6, 5), box, image)


def test_images_and_traces_belong_to_their_box(pixels):
    box, image = Box(1, 4, 0, 2), np.ones((3, 2), np.float32)
    for Y, dims, wrong, trace in (
        (pixels, (6, 5), image[:2], pixels[0]),
        (pixels, (6, 5), image, np.ones(10, np.float32)),
        (pixels, (6, 6), image, pixels[0]),
        (pixels.astype(np.int16), (6, 5), image, pixels[0]),
        (pixels[0], (6, 5), image, pixels[0]),
    ):
        with pytest.raises(InputError):
            take_off(Y, dims, box, wrong, trace)
    pixels.flags.writeable = False
    with pytest.raises(InputError, match="can be written"):
        take_off(pixels, (6, 5), box, image, pixels[0])
    assert signal_correlation(pixels, (6, 5), box, image).shape == (3, 2)


def test_parts_of_a_spatial_update_agree(pixels):
    A, C, sn = sparse.eye(30, 2, format="csc"), np.ones((2, 9)), np.ones(30)
    C[:, ::2] = 0
    for R, C_, dims, noise in (
        (pixels, C[:1], (6, 5), sn),
        (pixels, C[:, :8], (6, 5), sn),
        (pixels, C, (6, 6), sn),
        (pixels[:29], C, (6, 5), sn),
        (pixels, C, (6, 5), sn[:9]),
    ):
        with pytest.raises(InputError, match="parts of one fit"):
            update_spatial(R, A, C_, dims, sn=noise)


def test_filters_take_frames_and_odd_kernels_only():
    frames, kernel = np.ones((3, 20, 20), np.float32), mean_centred_kernel(3)
    for bad in (frames[0, 0], frames[None], frames[:, :0], frames.astype(complex), frames.astype("U")):
        with pytest.raises(InputError, match="frames"):
            filter_frames(bad, kernel)
    for bad in (kernel[:-1], kernel[0], kernel[:0], kernel.astype(complex)):
        with pytest.raises(InputError, match="a kernel with odd sides"):
            filter_frames(frames, bad)
    fixed = frames.copy()
    fixed.flags.writeable = False
    for out in (frames[:2], frames.astype(np.float64), fixed):
        with pytest.raises(InputError, match="out of shape"):
            filter_frames(frames, kernel, out=out)
    assert filter_frames(frames[:0], kernel).shape == (0, 20, 20)


@pytest.mark.parametrize("kind", [np.uint8, np.int64, np.float64, ">f4", bool])
def test_filters_take_every_real_type(kind):
    frames = (np.random.default_rng(0).random((2, 9, 7)) * 3).astype(kind)
    frames.flags.writeable = False
    kernel = mean_centred_kernel(3)
    one, two = (filter_frames(f, kernel) for f in (frames, frames.astype(np.float32)))
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(filter_frames(frames[:, ::-1], kernel), one[:, ::-1])


@pytest.mark.parametrize("shape", [(1, 5, 4), (2, 1, 1), (2, 1, 9), (3, 9, 1), (5, 2, 2)])
def test_summary_images_of_the_smallest_movies(shape):
    movie = np.random.default_rng(0).random(shape)
    movie.flags.writeable = False
    assert np.isfinite(local_correlations(movie, swap_dim=False)).all()
    for gSig in (None, 3):
        images = correlation_pnr(movie, gSig=gSig, swap_dim=False)
        assert all(image.shape == shape[1:] and np.isfinite(image).all() for image in images)


def test_summary_images_refuse_what_is_no_movie():
    for bad in (
        np.ones((3, 4)),
        np.ones((0, 4, 4)),
        np.ones((4, 0, 4)),
        np.ones((4, 4, 4), complex),
        [["a"]],
    ):
        for function in (local_correlations, correlation_pnr):
            with pytest.raises(InputError):
                function(bad, swap_dim=False)


def test_nothing_is_written_outside_arrays(tmp_path):
    """In compiled code with its own checks of bounds, which stay off otherwise."""
    code = """
import numpy as np
from cnmf_engine.stages.deconvolution.foopsi import constrained_foopsi, oasis_ar1, oasis_ar2
from cnmf_engine.stages.deconvolution.oasis import solve_ar1
solve_ar1(np.zeros(0), 0.0, 0.0, 0.9, np.zeros(0), np.zeros(0))
for T in range(5):
    y = np.random.default_rng(T).normal(1, 2, T)
    for solve in (
        lambda: oasis_ar1(y, 0.95, 0.1),
        lambda: oasis_ar2(y, (1.4, -0.45), 0.1),
        lambda: constrained_foopsi(y, g=0.9),
        lambda: constrained_foopsi(y, p=2, g=(1.4, -0.45), s_min=0),
    ):
        try:
            solve()
        except ValueError:
            assert not T
        else:
            assert T
"""
    environment = os.environ | {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[1],
    )
    assert done.returncode == 0, done.stderr[-1500:]
