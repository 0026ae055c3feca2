"""What a simulated recording is made of, as a minisim specification."""

from __future__ import annotations

import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

__all__ = ["Case", "demo_module", "half_size", "recipe_of", "spec_of"]

TOOLS = Path(__file__).resolve().parent.parent / "tools"
# The demo's limit of 4 px, in the tissue.
MAX_BLUR_UM = 13.2
# Blur of cells in focus, for a recording that has none to measure it on.
FOCUSED_BLUR_UM = 8.0


@dataclass(frozen=True)
class Case:
    """
    A recording to simulate; lengths in tissue in µm.

    Attributes
    ----------
    name : str
        Name of the files.
    scope : {"v4", "v3"}
        Optics and pixel of the Miniscope: minisim's V4, or the same with V3's sampling (pixels of 6 µm on the
        sensor, 0.94 µm in the tissue).
    region : {"ca1", "cortex"}
        minisim's preset of the tissue.
    px, frames, fr : int, int, float
        Height and width; number of frames; frames a second.
    binning : int
        Pixels of the sensor that make one of the movie, along each axis.
    cells : int or None
        Exact number of cells in the layer, placed apart from each other; None takes the region's density.
    density : float
        Factor on the region's density.
    deeper : float
        How much deeper than the preset's layer the cells lie.
    deep_cells : float
        Density of a second, deeper layer out of focus, cells per mm³.
    defocus : float
        How far the focal plane lies beside the middle of the layer.
    photons : float
        Photons per unit of light.
    motion_px, max_motion_px : float
        99th percentile and limit of the displacement.
    excitation : float
        Power of the light that bleaches, 1 = typical.
    neuropil : float
        Factor on the region's diffuse background.
    activity : float
        minisim's activity level, 0 sparse to 1 dense.
    tonic_hz : float
        Spikes a second between the bursts of `activity`; 0: minisim's.
    rise, decay : float
        Time constants of the indicator, s.
    effects : tuple of str
        What minisim lacks: names in `benchmarks.effects`.
    vessels : float
        Factor on the radius of the vessels.
    seed : int
        Seed of all random numbers.
    """

    name: str
    scope: str = "v4"
    region: str = "ca1"
    px: int = 128
    frames: int = 700
    fr: float = 10.0
    binning: int = 2
    cells: int | None = None
    density: float = 1.0
    deeper: float = 0.0
    deep_cells: float = 0.0
    defocus: float = 0.0
    photons: float = 800.0
    motion_px: float = 3.5
    max_motion_px: float = 4.6
    excitation: float = 10.0
    neuropil: float = 1.0
    activity: float = 0.5
    tonic_hz: float = 0.0
    rise: float = 0.05
    decay: float = 0.5
    effects: tuple[str, ...] = ()
    vessels: float = 1.0
    seed: int = 1

    @property
    def pixel_um(self) -> float:
        """Width of a pixel in the tissue, µm."""
        return _scope(self).pixel_size_um


def spec_of(case: Case, gain: float = 1.0):
    """
    Write a case as a minisim specification.

    Parameters
    ----------
    case : Case
        What to make.
    gain : float
        Counts per electron.

    Returns
    -------
    minisim.Spec
        The full specification.
    """
    import minisim
    from minisim import presets
    from minisim.spec import SpecWarning
    from minisim.steps.cell import spike_activity_params

    start, stop, active_hz, quiet_hz = spike_activity_params(case.activity)
    if case.tonic_hz:
        quiet_hz = case.tonic_hz
    region, scope = _region(case), _scope(case, gain)
    populations = _populations(case, region.population, scope.pixel_size_um)
    top, bottom = populations[0].depth_range_um
    path = demo_module("demo_recipe").brain_path(recipe_of(case, gain))
    scope = scope.model_copy(update={"focal_depth_in_tissue_um": (top + bottom) / 2 + case.defocus})
    with warnings.catch_warnings():
        # minisim finds motion beyond 5 % of a small field unusual; here it is meant.
        warnings.simplefilter("ignore", SpecWarning)
        return presets.build_spec(
            scope,
            region,
            duration_s=case.frames / case.fr,
            fps=case.fr,
            seed=case.seed,
            populations=populations,
            activity=minisim.CellActivity(
                p_quiescent_to_active=start,
                p_active_to_quiescent=stop,
                active_rate_hz=active_hz,
                quiescent_rate_hz=quiet_hz,
                tau_rise_s=case.rise,
                tau_decay_s=case.decay,
                brightness_cv=0.35,
            ),
            extra_steps=[
                minisim.BrainMotion(trajectory_um=path),
                minisim.Bleaching(excitation_intensity=case.excitation),
            ],
        )


def half_size(case: Case, blur_px: np.ndarray) -> int:
    """
    Tell the half width of a soma in the picture, px: what a user would measure and enter as gSig.

    A soma is a disk; its variance along an axis and that of the blur add up. The width is taken where the
    light has fallen to half.
    """
    radius = _region(case).population.soma_radius_um / case.pixel_um
    blur = np.median(blur_px) if len(blur_px) else FOCUSED_BLUR_UM / case.pixel_um
    spread = np.hypot(radius / 2, blur)
    return max(2, round(float(spread * np.sqrt(2 * np.log(2)))))


def recipe_of(case: Case, gain: float):
    """Write a case as the demo's recipe, whose rule for detectable cells and whose motion it shares."""
    recipe = demo_module("demo_recipe").Recipe
    return recipe(
        seed=case.seed,
        n_px=case.px,
        n_frames=case.frames,
        fr=case.fr,
        motion_um=case.motion_px * case.pixel_um,
        max_motion_um=case.max_motion_px * case.pixel_um,
        photons=case.photons,
        gain=gain,
        max_blur_px=MAX_BLUR_UM / case.pixel_um,
    )


def demo_module(module: str):
    """Import a module of tools/."""
    import importlib

    if str(TOOLS) not in sys.path:
        sys.path.append(str(TOOLS))
    return importlib.import_module(module)


def _scope(case: Case, gain: float = 1.0):
    from minisim import presets

    scope = presets.miniscope_v4()
    update = {"n_px_height": case.px, "n_px_width": case.px, "gain_adu_per_e": gain}
    pitch, magnification = scope.image_sensor.pixel_pitch_um, scope.optics.magnification
    if case.scope == "v3":
        pitch, magnification = 6.0, 6.4
    sensor = scope.image_sensor.model_copy(update=update | {"pixel_pitch_um": pitch * case.binning})
    optics = scope.optics.model_copy(update={"magnification": magnification})
    return scope.model_copy(
        update={"image_sensor": sensor, "optics": optics, "photons_per_unit": case.photons}
    )


def _region(case: Case):
    from minisim import presets

    region = {"ca1": presets.ca1, "cortex": presets.cortex_l23}[case.region]()
    layers = [
        layer.model_copy(update={"root_radius_um": layer.root_radius_um * case.vessels})
        for layer in region.vasculature.layers
    ]
    return region.model_copy(
        update={
            "neuropil": region.neuropil.model_copy(
                update={"amplitude": region.neuropil.amplitude * case.neuropil}
            ),
            "vasculature": region.vasculature.model_copy(update={"layers": layers}),
        }
    )


def _populations(case: Case, cells, pixel_um: float) -> list:
    """Give the layer of cells, and the one below it."""
    top, bottom = (depth + case.deeper for depth in cells.depth_range_um)
    apart = 2 * cells.soma_radius_um + 1
    update = {"depth_range_um": (top, bottom), "min_distance_um": apart}
    if case.cells is not None:
        update["positions_um"] = _positions(case, (top, bottom), pixel_um, apart)
    update["density_per_mm3"] = cells.density_per_mm3 * case.density
    layers = [cells.model_copy(update=update)]
    if case.deep_cells:
        deep = {"depth_range_um": (bottom + 40, bottom + 110), "density_per_mm3": case.deep_cells}
        layers.append(cells.model_copy(update=deep | {"min_distance_um": apart}))
    return layers


def _positions(case: Case, depth: tuple, pixel_um: float, apart: float) -> list[tuple[float, float, float]]:
    """Place an exact number of cells in view, none of them upon another."""
    rng = np.random.default_rng([case.seed, 2])
    reach = (case.px / 2 - 6) * pixel_um
    placed: list[np.ndarray] = []
    for _ in range(200 * case.cells):
        candidate = rng.uniform(-reach, reach, 2)
        if all(np.linalg.norm(candidate - other) >= apart for other in placed):
            placed.append(candidate)
        if len(placed) == case.cells:
            break
    return [(float(rng.uniform(*depth)), float(row), float(col)) for row, col in placed]
