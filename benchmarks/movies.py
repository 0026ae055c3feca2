"""The simulated movies of the benchmarks: three sizes, a grid for scaling, and the sweep."""

from __future__ import annotations

from benchmarks.specs import Case

__all__ = ["SCALING_BASE", "SIZES", "scaling_cases", "sweep_cases"]


def _sized(name: str, frames: int, px: int, cells: int, **more) -> Case:
    """
    Make a one-photon recording of a given size.

    At 3.3 µm a pixel a soma is some 7 px wide once the optics have blurred it. The diffuse background is
    several times brighter than the cells, and a deeper layer of cells adds out-of-focus light.
    """
    return Case(
        name=name,
        frames=frames,
        px=px,
        cells=cells,
        neuropil=3.0,
        deep_cells=3000.0,
        photons=3000.0,
        vessels=2.0,
        activity=0.5,
        motion_px=3.0,
        max_motion_px=4.5,
        **more,
    )


#: The sizes that the bars in docs/benchmarks.md are about.
SIZES = {
    "small": _sized("small", 1000, 128, 60, seed=11),
    "medium": _sized("medium", 3000, 256, 220, seed=12),
    "large": _sized("large", 12000, 256, 220, seed=13),
}

SCALING_BASE = (800, 96, 25)


def scaling_cases(base: tuple[int, int, int] = SCALING_BASE) -> list[Case]:
    """
    List the movies from which exponents are fitted.

    Parameters
    ----------
    base : (int, int, int)
        Frames, height and width, and cells of the smallest.

    Returns
    -------
    list of Case
        The base; 2, 4 and 8 times its frames; 2 and 4 times its pixels; 2 and 4 times its cells; and 4 times
        its frames with 4 times its cells, which tells what traces cost.
    """
    frames, px, cells = base
    sizes = [(frames * k, px, cells) for k in (1, 2, 4, 8)]
    sizes += [(frames, round(px * k**0.5), cells) for k in (2, 4)]
    sizes += [(frames, px, cells * k) for k in (2, 4)] + [(frames * 4, px, cells * 4)]
    return [_sized(f"scale-{t}x{p}x{k}", t, p, k, seed=21) for t, p, k in sizes]


def sweep_cases() -> list[Case]:
    """
    List the recordings of the sweep, each unlike the others in what makes it hard.

    Returns
    -------
    list of Case
        Miniscopes V4 and V3, CA1 and cortex, and one thing varied at a time: seed, sampling, density, depth,
        focus, exposure, motion, bleaching, frame rate, background, activity, vessels.
    """
    cortex = {"region": "cortex"}
    fine = {"binning": 1, "px": 160}
    v3 = {"scope": "v3", "binning": 4}
    return [
        Case("v4-ca1-a", seed=1),
        Case("v4-ca1-b", seed=2),
        Case("v4-ca1-c", seed=3),
        Case("v4-ctx-a", seed=4, **cortex),
        Case("v4-ctx-b", seed=5, **cortex),
        Case("v4-ctx-c", seed=6, **cortex),
        Case("v4-ca1-fine", seed=7, **fine),
        Case("v4-ctx-fine", seed=8, **cortex, **fine),
        Case("v3-ca1", seed=9, **v3),
        Case("v3-ctx", seed=10, **cortex, **v3),
        Case("ca1-sparse", seed=11, density=0.4),
        Case("ca1-dense", seed=12, density=1.6),
        Case("ctx-dense", seed=13, density=2.5, **cortex),
        Case("ca1-deeper", seed=14, deeper=50.0),
        Case("ctx-deeper", seed=15, deeper=50.0, **cortex),
        Case("ca1-defocused", seed=16, defocus=15.0),
        Case("ca1-out-of-focus-layer", seed=17, deep_cells=7000.0),
        Case("ca1-dim", seed=18, photons=200.0),
        Case("ctx-dim", seed=19, photons=200.0, **cortex),
        Case("ca1-bright", seed=20, photons=3000.0),
        Case("ca1-still", seed=21, motion_px=0.6, max_motion_px=1.0),
        Case("ca1-shaky", seed=22, motion_px=4.7, max_motion_px=4.95),
        Case("ctx-shaky", seed=23, motion_px=4.7, max_motion_px=4.95, **cortex),
        Case("ca1-bleaching", seed=24, excitation=80.0),
        Case("ctx-bleaching", seed=25, excitation=80.0, **cortex),
        Case("ca1-20hz", seed=26, fr=20.0, frames=1000),
        Case("ctx-30hz", seed=27, fr=30.0, frames=1200, **cortex),
        Case("ca1-haze", seed=28, neuropil=4.0),
        Case("ca1-busy", seed=29, activity=0.9),
        Case("ca1-quiet", seed=30, activity=0.15),
        Case("ca1-vessels", seed=31, vessels=2.5),
        Case("ctx-vessels", seed=32, vessels=1.6, **cortex),
    ]
