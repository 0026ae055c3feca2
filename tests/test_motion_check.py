"""Numbers that tell a good motion correction from a bad one."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile

from cnmf_engine.base.errors import InputError
from cnmf_engine.caiman.motion_correction import MotionCorrect
from workshop_utils.measures.motion_check import MotionTable, measure
from workshop_utils.movies.truth import load_truth

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture
def moved(rng):
    """Make 40 frames of fine structure that jump about by whole pixels, the still ones, and the motion."""
    scene = rng.normal(100, 20, (48, 52))
    motion = rng.integers(-3, 4, (40, 2))
    frames = np.stack([np.roll(scene, step, axis=(0, 1)) for step in motion])
    still = np.repeat(scene[None], 40, axis=0) + rng.normal(0, 1, (40, 48, 52))
    return frames, still, motion.astype(float)


def test_correction_raises_agreement_and_crispness(moved):
    frames, still, motion = moved
    before = measure(frames, np.zeros((40, 2)), motion)
    after = measure(still, -motion, motion)
    assert after.agreement > 0.95 > 0.5 > before.agreement
    assert after.crispness > 2 * before.crispness
    assert after.error_px == pytest.approx(0, abs=1e-9)
    assert before.error_px == pytest.approx(np.sqrt(motion.var(axis=0).sum()))


def test_range_and_jitter_are_those_of_the_shifts(moved):
    _, still, _ = moved
    shifts = np.zeros((40, 2))
    shifts[:, 1] = np.arange(40) / 2
    found = measure(still, shifts)
    assert found.range_px == 19.5 and found.jitter_px == 0.5
    assert np.isnan(found.error_px) and np.isnan(found.left_px)


def test_engines_own_estimate_is_taken_over(moved):
    _, still, motion = moved
    assert measure(still, -motion, quality=SimpleNamespace(residual_px=0.25)).left_px == 0.25
    assert np.isnan(measure(still, -motion, quality=None).left_px)


def test_table_prints_each_line_under_its_headings(moved, capsys):
    frames, still, motion = moved
    table = MotionTable(motion)
    table.add("before", frames, np.zeros((40, 2)))
    table.add("after", still, -motion, SimpleNamespace(residual_px=0.125))
    head, before, after = capsys.readouterr().out.splitlines()
    assert len({len(head), len(before), len(after)}) == 1
    assert before.split()[0] == "before" and before.split()[-2] == "-"
    assert after.split()[-2:] == ["0.12", "0.00"]
    assert table["after"] == table.rows["after"]


def test_one_constant_frame_has_numbers():
    found = measure(np.ones((1, 8, 8)), np.zeros((1, 2)))
    assert (found.agreement, found.crispness, found.range_px, found.jitter_px) == (0, 0, 0, 0)


@pytest.mark.parametrize("shifts", [np.zeros((3, 2)), np.zeros(4)])
def test_shifts_of_other_frames_are_refused(shifts):
    with pytest.raises(InputError, match=r"Expected frames .* \(T, 2\)"):
        measure(np.ones((4, 8, 8)), shifts)


@pytest.mark.parametrize("name", ["demo_ca1", "demo_l23"])
def test_piecewise_rigid_agrees_more_on_the_demos_although_it_errs_more(name):
    """Lesson 2 says so: the recordings move as a whole, and what patches add matches something else."""
    frames = tifffile.imread(DATA / f"{name}.tif", key=range(200)).astype(np.float32)
    truth = load_truth(DATA / f"{name}_truth.npz").shifts[:200]
    found = {}
    for piecewise in (False, True):
        values = {"pw_rigid": piecewise, "strides": (48, 48), "overlaps": (24, 24), "border_nan": "copy"}
        mc = MotionCorrect(frames, gSig_filt=(6, 6), max_shifts=(12, 12), **values)
        mc.motion_correct()
        shifts = np.array(mc.shifts_rig)
        if piecewise:
            shifts = np.mean([mc.x_shifts_els, mc.y_shifts_els], axis=2).T
        found[piecewise] = measure(mc.apply_shifts_movie(frames), shifts, truth)
    assert found[True].agreement > found[False].agreement
    assert found[True].error_px > found[False].error_px
