"""What tells cells from fibres, torn frames, haze, movement and doubles, on scenes of a few components."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from scipy import ndimage, sparse
from synthetic import blob, flat_footprints

from cnmf_engine.caiman.estimates import Estimates
from cnmf_engine.caiman.params import CNMFParams
from cnmf_engine.stages.plausibility import (
    MEASURES,
    REASONS,
    alike,
    doubles,
    event_images,
    implausible,
    shape,
    snr_rest,
)
from cnmf_engine.stages.transients import transient_snr

DIMS, T, FR, DECAY, G = (60, 70), 600, 10.0, 0.4, 3.0
LIMITS = {key: CNMFParams().quality[key] for key in ("min_width", "min_roundness")}


def curve(length: float, width: float, bend: float) -> np.ndarray:
    """Line of a Gaussian width that turns by ``bend`` rad a pixel."""
    steps = np.arange(-length / 2, length / 2, 0.25)
    angle = bend * steps
    rows = 30 + np.cumsum(np.sin(angle)) * 0.25
    cols = 35 + np.cumsum(np.cos(angle)) * 0.25
    image = np.zeros(DIMS)
    np.add.at(
        image, (np.rint(rows - rows.mean() + 30).astype(int), np.rint(cols - cols.mean() + 35).astype(int)), 1
    )
    image = ndimage.gaussian_filter(image, width)
    return np.where(image > 0.05 * image.max(), image / image.max(), 0)


def passes(image: np.ndarray, g: float = G) -> bool:
    width, roundness = (float(v[0]) for v in shape(flat_footprints(image[None]), DIMS, (g, g)))
    return width >= LIMITS["min_width"] and roundness >= LIMITS["min_roundness"]


@pytest.mark.parametrize("g", [1.5, 3.0, 8.0])
def test_a_disc_passes_at_any_size(g):
    rows, cols = np.indices(DIMS)
    disc = (np.hypot(rows - 30, cols - 35) < 1.6 * g).astype(float)
    found = shape(flat_footprints(np.stack([disc, blob(DIMS, (30, 35), g)])), DIMS, (g, g))
    assert passes(disc, g) and passes(blob(DIMS, (30, 35), g), g)
    # A Gaussian of gSig is 1 wide by definition; what lies below a third of its height isn't counted.
    assert found.width[1] == pytest.approx(0.9, abs=0.15) and found.roundness.min() > 0.95


def test_cells_of_other_sizes_and_shapes_pass():
    rows, cols = np.indices(DIMS)
    oval = np.exp(-((rows - 30) ** 2) / (2 * 2.4**2) - (cols - 35) ** 2 / (2 * 4.2**2))
    half = blob(DIMS, (0, 35), G)  # cut through by the edge of the image
    noisy = np.maximum(blob(DIMS, (30, 35), G) + np.random.default_rng(0).normal(0, 0.15, DIMS), 0)
    noisy[blob(DIMS, (30, 35), 2 * G) == 0] = 0
    for image in (blob(DIMS, (30, 35), 0.75 * G), blob(DIMS, (30, 35), 1.8 * G), oval, half, noisy):
        assert passes(image)


def test_fibres_crescents_and_single_pixels_do_not_pass():
    point = np.zeros(DIMS)
    point[30, 35] = 1
    crescent = curve(16, 0.9, 0.17)
    for image in (curve(20, 0.9, 0), curve(14, 0.9, 0.03), crescent, point):
        assert not passes(image)


def test_the_main_part_of_a_footprint_is_judged():
    image = blob(DIMS, (30, 35), G)
    assert passes(image + 0.6 * blob(DIMS, (30, 60), 1.5))


def events(frames, decay: float = 4.0, height: float = 30.0) -> np.ndarray:
    trace = np.zeros(T)
    for frame in frames:
        trace[frame:] += height * np.exp(-np.arange(T - frame) / decay)
    return trace


def test_one_frame_is_no_evidence_but_three_are():
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 1, (5, T))
    torn, two = noise[0].copy(), noise[1].copy()
    torn[200] += 300
    two[[200, 400]] += 300
    fast = noise[2].copy()
    fast[[100, 300, 500]] += 60
    single = noise[3] + events([300])
    slow = noise[4] + events([200], decay=60)
    traces = np.stack([torn, two, fast, single, slow])
    rest = snr_rest(traces, transient_snr(traces, FR, DECAY), FR, DECAY)
    assert rest[:2].max() < 0.2 and rest[2:].min() > 0.55
    # Nothing to say about traces without an SNR.
    assert snr_rest(np.ones((1, T)), np.zeros(1), FR, DECAY).tolist() == [1.0]


def test_a_torn_frame_in_a_cell_s_trace_does_not_reject_it():
    measures = {name: np.array([1.0, 1.0]) for name in ("width", "roundness", "locality")}
    measures |= {"snr_rest": np.array([0.1, 0.1]), "surround": np.zeros(2), "movement": np.zeros(2)}
    pairs = alike(sparse.csc_matrix((4, 2)), np.zeros((2, T)), FR, DECAY)
    limits = CNMFParams(params_dict={"min_SNR": 3}).quality
    reasons, _ = implausible(measures, np.array([60.0, 20.0]), np.arange(2), pairs, limits)
    assert reasons.tolist() == ["", "few frames"]


def scene(kind: str, seed: int = 0):
    """Movie, footprint and trace of one cell, of haze, or of tissue that moves at the events."""
    rng = np.random.default_rng(seed)
    frames = rng.choice(np.arange(30, T - 30, 45), 7, replace=False)
    trace = events(frames)
    texture = ndimage.gaussian_filter(rng.normal(size=DIMS), 1.6)
    still = 300 + 12 * texture / texture.std()
    movie = np.repeat(still[None], T, axis=0)
    footprint = blob(DIMS, (30, 35), G)
    if kind == "moving":
        moved = ndimage.shift(still, (0.6, 0.8), order=1, mode="nearest")
        change = moved - still
        movie = movie + trace[:, None, None] / 30 * change
        spot = np.where(blob(DIMS, (30, 35), 2 * G) > 0, ndimage.gaussian_filter(change, 1), 0)
        peak = np.unravel_index(spot.argmax(), DIMS)
        footprint = np.where(blob(DIMS, peak, G) > 0, np.maximum(spot, 0), 0).astype(np.float32)
        assert footprint.max() > 0
    else:
        movie = movie + trace[:, None, None] * (blob(DIMS, (30, 35), 4 * G) if kind == "haze" else footprint)
        if kind == "haze":
            footprint = blob(DIMS, (30, 35), 1.7 * G)
    movie = (movie + rng.normal(0, 3, movie.shape)).astype(np.float32)
    return movie, footprint, trace.astype(np.float32)


def images_of(kind: str, order: str = "C", **changes):
    movie, footprint, trace = scene(kind)
    if order == "pixels":
        movie = np.ascontiguousarray(movie.transpose(2, 1, 0)).transpose(2, 1, 0)
    options = {"dims": DIMS, "gSig": (G, G), "fr": FR, "decay_time": DECAY} | changes
    return event_images(movie, flat_footprints(footprint[None]), trace[None], trace[None], **options)


@pytest.mark.parametrize("order", ["C", "pixels"])
def test_a_cell_is_local_and_appears(order):
    found = images_of("cell", order)
    assert found.locality[0] > 0.95 and found.movement[0] < 0.1 and found.surround[0] < 0.15


def test_haze_is_brighter_around_than_a_cell():
    found, quality = images_of("haze"), CNMFParams().quality
    width = shape(flat_footprints(scene("haze")[1][None]), DIMS, (G, G)).width[0]
    assert found.surround[0] > quality["max_surround"] + 0.1
    assert found.locality[0] < quality["min_locality"] * width**4


def test_glow_between_vessels_is_haze_though_as_narrow_as_a_cell():
    rng = np.random.default_rng(8)
    rows, cols = np.indices(DIMS)
    seen = np.cos((rows - 30) / 2) * np.cos((cols - 35) / 2) > 0
    gaps = ndimage.gaussian_filter(0.7 + 0.3 * seen, 1)
    trace = events([60, 150, 280, 390, 500])
    haze, cell = gaps * blob(DIMS, (30, 35), 8 * G), blob(DIMS, (30, 35), 0.7 * G)
    options = {"dims": DIMS, "gSig": (G, G), "fr": FR, "decay_time": DECAY}
    A, C = flat_footprints(cell[None]), trace[None].astype(np.float32)
    alone = {"snr": np.array([9.0]), "passed": np.array([0]), "pairs": alike(A, C, FR, DECAY)}
    for light, reason in ((haze, "haze"), (cell, "")):
        movie = 300 * gaps + trace[:, None, None] * light + rng.normal(0, 3, (T, *DIMS))
        image = event_images(movie.astype(np.float32), A, C, C, **options)
        measures = shape(A, DIMS, (G, G))._asdict() | image._asdict() | {"snr_rest": np.ones(1)}
        reasons, _ = implausible(measures, **alone, limits=CNMFParams().quality)
        assert reasons.tolist() == [reason]


def test_moving_tissue_is_explained_by_movement():
    assert images_of("moving").movement[0] > 0.6


def test_a_movie_in_either_order_gives_the_same():
    movie, footprint, trace = scene("cell")
    A = flat_footprints(footprint[None])
    options = {"dims": DIMS, "gSig": (G, G), "fr": FR, "decay_time": DECAY}
    whole = event_images(movie, A, trace[None], trace[None], **options)
    pixels = np.ascontiguousarray(movie.transpose(2, 1, 0).reshape(-1, T))
    for other in (pixels, np.asfortranarray(movie)):
        np.testing.assert_allclose(
            event_images(other, A, trace[None], trace[None], **options), whole, rtol=1e-6
        )


def test_a_neighbour_s_light_is_taken_off():
    movie, footprint, trace = scene("cell")
    other = blob(DIMS, (30, 43), G)
    movie = movie + trace[:, None, None] * 0.8 * other
    A, C = flat_footprints(np.stack([footprint, other])), np.stack([trace, 0.8 * trace])
    options = {"dims": DIMS, "gSig": (G, G), "fr": FR, "decay_time": DECAY}
    both = event_images(movie, A, C, C, **options)
    alone = event_images(movie, A[:, [0]], C[:1], C[:1], **options)
    assert both.locality[0] > 0.95 > alone.locality[0]


def test_of_doubles_exactly_one_stays_whatever_their_order():
    rng = np.random.default_rng(3)
    A = flat_footprints(np.stack([blob(DIMS, at, G) for at in ((30, 35), (31, 36), (30, 43), (10, 10))]))
    trace = events([60, 200, 350])
    traces = np.stack([trace, trace, events([100, 300, 450]), trace]) + rng.normal(0, 1, (4, T))
    snr = np.array([8.0, 9.0, 5.0, 7.0])
    for order in ([0, 1, 2, 3], [3, 1, 2, 0]):
        alike_ = doubles(alike(A[:, order], traces[order], FR, DECAY), snr[order], np.ones(4, bool))
        # The neighbour has other events, and the fourth the same far away.
        assert [order[k] for k in np.flatnonzero(alike_ > 0.75)] == [0]
    # One that was rejected is no reason to reject the other; of equal ones the first stays.
    pairs = alike(A, traces, FR, DECAY)
    assert doubles(pairs, snr, np.array([True, False, True, True])).max() < 0.75
    assert np.flatnonzero(doubles(pairs, np.ones(4), np.ones(4, bool)) > 0.75).tolist() == [1]


@pytest.fixture
def judged():
    """A cell, a double of it, a fibre, and a torn frame; their movie and parameters."""
    rng = np.random.default_rng(5)
    images = [
        blob(DIMS, (15, 20), G),
        blob(DIMS, (15, 21), G),
        ndimage.shift(curve(20, 0.9, 0), (15, 15), order=1),
    ]
    images += [blob(DIMS, (40, 18), G)]
    C = np.stack([events([50, 180, 400]), 0.8 * events([50, 180, 400]), events([120, 330]), np.zeros(T)])
    C[3, 300] = 200
    movie = np.einsum("kij,kt->tij", images, C) + 200 + rng.normal(0, 2, (T, *DIMS))
    movie[300, 30:50] += rng.integers(0, 200, (20, DIMS[1]))
    est = Estimates(A=flat_footprints(np.array(images)), C=C.astype(np.float32), dims=DIMS)
    est.YrA = rng.normal(0, 1, C.shape).astype(np.float32)
    quality = {"min_SNR": 3, "rval_thr": 0.85}
    opts = {"data": {"fr": FR, "decay_time": DECAY}, "init": {"gSig": (3, 3)}, "quality": quality}
    return movie.astype(np.float32), est, CNMFParams(params_dict=opts)


def test_what_is_no_cell_is_listed_with_its_reason(judged, caplog):
    movie, est, params = judged
    with caplog.at_level(logging.INFO, "caiman"):
        est.evaluate_components(movie, params)
    assert est.rejected_by.tolist() == ["", "double", "shape", "few frames"]
    assert est.idx_components.tolist() == [0] and est.idx_components_implausible.tolist() == [1, 2, 3]
    assert est.idx_components_bad.tolist() == [1, 2, 3]
    assert "3 of 4 components that pass SNR or r rejected" in caplog.text and "1 as shape" in caplog.text
    assert set(est.rejected_by) <= {"", *REASONS}


def test_switched_off_the_decision_is_caiman_s(judged):
    movie, est, params = judged
    params.change_params({"quality": {"reject_implausible": False}})
    est.evaluate_components(movie, params)
    snr, r = est.SNR_comp, est.r_values
    assert np.array_equal(est.idx_components, np.flatnonzero((snr > 3) | (r >= 0.85)))
    assert len(est.idx_components) == 4 and est.idx_components_implausible.size == 0
    assert est.roundness is None
    # Switched on again, only what is missing is measured.
    est.filter_components(movie, params, {"reject_implausible": True})
    assert est.SNR_comp is snr and est.idx_components.tolist() == [0]
    est.filter_components(movie, params, {"min_width": 0.0, "min_roundness": 0.0})
    assert 2 in est.idx_components
    # Without its better one the double stays.
    est.filter_components(movie, params, {"min_SNR": float(snr[1:2].max()) - 1e-6, "max_likeness": 1.0})
    assert 1 not in est.idx_components_implausible


def test_measures_follow_selections_and_files(judged, tmp_path):
    from cnmf_engine.caiman.cnmf import CNMF, load_CNMF
    from cnmf_engine.caiman.storage import save

    movie, est, params = judged
    est.evaluate_components(movie, params)
    before = {name: np.array(getattr(est, name)) for name in (*MEASURES, "likeness", "rejected_by")}
    cnm = CNMF(1, params=params)
    cnm.estimates = est
    est.select_components([2, 0])
    assert est.rejected_by.tolist() == ["shape", ""] and est.idx_components_implausible is None
    est.restore_discarded_components()
    for name, values in before.items():
        np.testing.assert_array_equal(getattr(est, name), values[[2, 0, 1, 3]])
    est.evaluate_components(movie, params)
    save(cnm, tmp_path / "m.hdf5", verify=True)
    loaded = load_CNMF(str(tmp_path / "m.hdf5")).estimates
    assert loaded.rejected_by.tolist() == est.rejected_by.tolist()
    assert np.array_equal(loaded.idx_components_implausible, est.idx_components_implausible)
    for name in MEASURES:
        np.testing.assert_array_equal(getattr(loaded, name), getattr(est, name))


def test_degenerate_components_are_no_accident():
    movie, footprint, trace = scene("cell")
    A = sparse.hstack([flat_footprints(footprint[None]), sparse.csc_matrix((np.prod(DIMS), 2))]).tocsc()
    C = np.stack([np.zeros(T), trace, np.full(T, np.nan)])
    options = {"dims": DIMS, "gSig": (G, G), "fr": FR, "decay_time": DECAY}
    assert np.isnan(event_images(movie, A, C, C, **options).locality).all()
    assert shape(A, DIMS, (G, G)).width[1:].tolist() == [0, 0]
    nothing = event_images(movie, A[:, :0], C[:0], C[:0], **options)
    assert nothing.locality.shape == (0,)
    pairs = alike(A[:, :0], C[:0], FR, DECAY)
    assert doubles(pairs, np.zeros(0), np.zeros(0, bool)).shape == (0,)


def test_caiman_s_own_cells_are_hardly_touched():
    """CaImAn's fit of the still reference movie: it accepts 17 of 18, all of them true cells."""
    h5py, tifffile = pytest.importorskip("h5py"), pytest.importorskip("tifffile")
    from pathlib import Path

    golden = Path(__file__).parent / "golden"
    with h5py.File(golden / "still_caiman.hdf5") as file:
        group = file["estimates"]
        parts = tuple(group["A"][name][()] for name in ("data", "indices", "indptr"))
        A = sparse.csc_matrix(parts, shape=tuple(group["A"]["shape"][()]))
        est = Estimates(A=A, C=group["C"][()], dims=(96, 96))
        est.YrA = group["YrA"][()]
    params = CNMFParams(
        params_dict={"fr": 10, "decay_time": 0.4, "gSig": (3, 3), "min_SNR": 3, "rval_thr": 0.85}
    )
    est.evaluate_components(tifffile.imread(golden / "still.tif").astype(np.float32), params)
    assert len(est.idx_components_implausible) <= 1 and len(est.idx_components) >= 16
