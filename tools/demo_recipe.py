"""
The recipes of the demo movies, as minisim specifications.

The first: a Miniscope V4 looks at hippocampal CA1, zoomed to a part of the field, with brain motion,
bleaching, and a second, deeper layer of cells that is out of focus. The hard one: minisim's generic
one-photon scope looks at layer 2/3 of the cortex, where cells lie at all depths; finer sampled, in less
light, and moving more.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import minisim
import numpy as np
from minisim import presets
from minisim.spec import SpecWarning
from minisim.steps.cell import spike_activity_params
from minisim.steps.motion import physical_brain_motion

__all__ = ["RECIPES", "Recipe", "brain_path", "spec_of"]


@dataclass(frozen=True)
class Recipe:
    """
    What a demo recording is made of; everything else is as in minisim's presets of the scope and the region.

    Attributes
    ----------
    file : str
        Name of the movie's file without its ending; the truth's is followed by ``_truth``.
    scope, region : str
        Names of minisim's presets.
    seed : int
        Seed of all random numbers.
    n_px, n_frames : int
        Height and width of the frames; number of frames.
    fr : float
        Frames a second, Hz.
    binning : int
        Pixels of the sensor that make one of the movie, along each axis.
    focus_um : float
        Depth of the focal plane, µm.
    layer_um, deep_um : tuple of float
        Depth of the layer with the cells in focus, and of the cells below it, µm.
    density, deep_density : float
        Cells per mm³ in the two; 0: there are none.
    clearance_um : float
        Least distance between the surfaces of two somata, µm.
    activity : float
        minisim's activity level, 0 sparse to 1 dense.
    brightness_cv : float
        Spread of brightness from cell to cell.
    n_vessels : int
        Vessels that enter the field from its edges, each with its branches.
    vessel_depth_um, vessel_radius_um : float
        Their depth and their radius where they enter, µm.
    neuropil : float
        Amplitude of the diffuse background, relative to the resting light of a cell at the surface.
    excitation : float
        Power of the light, 1 = typical. High, so that 100 s show what an hour of bleaching does.
    motion_um, max_motion_um : float
        99th percentile and limit of the displacement of the brain, µm.
    illumination, vignette : float
        Share of the excitation, and of the light collected, in the corners of the frame.
    leakage : float
        Stray light in the middle of the frame, in units of light.
    photons : float
        Photons per unit of light.
    gain : float
        Counts per electron.
    min_snr, max_blur_px, max_cosine, min_border_px : float
        The rule for detectable cells; see `detectable_cells`.
    """

    file: str = "demo_ca1"
    scope: str = "miniscope_v4"
    region: str = "ca1"
    seed: int = 24
    n_px: int = 128
    n_frames: int = 1000
    fr: float = 10.0
    binning: int = 2
    focus_um: float = 146.0
    layer_um: tuple[float, float] = (136.0, 156.0)
    deep_um: tuple[float, float] = (190.0, 260.0)
    density: float = 24000.0
    deep_density: float = 7000.0
    clearance_um: float = 2.0
    activity: float = 0.6
    brightness_cv: float = 0.35
    n_vessels: int = 4
    vessel_depth_um: float = 90.0
    vessel_radius_um: float = 30.0
    neuropil: float = 0.42
    excitation: float = 40.0
    motion_um: float = 14.0
    max_motion_um: float = 15.5
    illumination: float = 0.9
    vignette: float = 0.85
    leakage: float = 0.02
    photons: float = 800.0
    gain: float = 0.6
    min_snr: float = 25.0
    max_blur_px: float = 4.0
    max_cosine: float = 0.8
    min_border_px: float = 4.0


#: The demo movies by the names that the lessons know them by.
RECIPES: dict[str, Recipe] = {
    "demo": Recipe(),
    "demo_hard": Recipe(
        file="demo_l23",
        scope="generic_1p",
        region="cortex_l23",
        seed=1,
        fr=20.0,
        binning=4,
        focus_um=130.0,
        layer_um=(100.0, 200.0),
        deep_density=0.0,
        density=30000.0,
        activity=0.6,
        brightness_cv=0.5,
        n_vessels=2,
        vessel_depth_um=80.0,
        vessel_radius_um=20.0,
        neuropil=0.6,
        illumination=0.75,
        vignette=0.75,
        leakage=0.05,
        photons=150.0,
        gain=0.4,
        # The same lengths in the tissue as in the first demo's rule, 13.2 µm; a pixel is smaller here.
        max_blur_px=8.8,
        min_border_px=8.8,
    ),
}


def spec_of(recipe: Recipe) -> minisim.Spec:
    """
    Write a recipe as a minisim specification.

    Parameters
    ----------
    recipe : Recipe
        What to make.

    Returns
    -------
    minisim.Spec
        The full specification: scope, tissue, cells, motion and sensor.
    """
    start, stop, active_hz, quiet_hz = spike_activity_params(recipe.activity)
    activity = minisim.CellActivity(
        p_quiescent_to_active=start,
        p_active_to_quiescent=stop,
        active_rate_hz=active_hz,
        quiescent_rate_hz=quiet_hz,
        brightness_cv=recipe.brightness_cv,
    )
    with warnings.catch_warnings():
        # minisim finds motion beyond 5 % of this small field unusual; here it is meant.
        warnings.simplefilter("ignore", SpecWarning)
        return presets.build_spec(
            _scope(recipe),
            _region(recipe),
            duration_s=recipe.n_frames / recipe.fr,
            fps=recipe.fr,
            seed=recipe.seed,
            populations=_populations(recipe),
            activity=activity,
            extra_steps=[
                minisim.BrainMotion(trajectory_um=brain_path(recipe)),
                minisim.Bleaching(excitation_intensity=recipe.excitation),
            ],
        )


def brain_path(recipe: Recipe) -> list[tuple[float, float]]:
    """
    Draw the displacement of the brain, with mean zero.

    With mean zero the frame of the truth is the one that a template, which lies in the middle of all frames,
    leads to.

    Parameters
    ----------
    recipe : Recipe
        What to make.

    Returns
    -------
    list of (float, float)
        Displacement in each frame, rows then columns, µm.
    """
    defaults = minisim.BrainMotion()
    path = physical_brain_motion(
        recipe.n_frames,
        recipe.fr,
        locomotion_freq_hz=defaults.locomotion_freq_hz,
        resonance_freq_hz=defaults.resonance_freq_hz,
        damping_ratio=defaults.damping_ratio,
        locomotion_fraction=defaults.locomotion_fraction,
        locomotion_axis=0,
        amplitude_px=recipe.motion_um,
        max_px=recipe.max_motion_um,
        rng=np.random.default_rng([recipe.seed, 1]),
    )
    path -= path.mean(axis=0)
    return [(float(row), float(col)) for row, col in path]


def _scope(recipe: Recipe) -> presets.Scope:
    scope = getattr(presets, recipe.scope)()
    sensor = scope.image_sensor.model_copy(
        update={
            "n_px_height": recipe.n_px,
            "n_px_width": recipe.n_px,
            "pixel_pitch_um": scope.image_sensor.pixel_pitch_um * recipe.binning,
            "gain_adu_per_e": recipe.gain,
        }
    )
    # The movie shows the middle of the scope's field: light falls off less from its centre to its corners.
    return scope.model_copy(
        update={
            "image_sensor": sensor,
            "photons_per_unit": recipe.photons,
            "focal_depth_in_tissue_um": recipe.focus_um,
            "illumination": minisim.IlluminationProfile(falloff=recipe.illumination),
            "vignette": minisim.Vignette(falloff=recipe.vignette),
            "leakage": minisim.Leakage(profile="gaussian", level=recipe.leakage),
        }
    )


def _region(recipe: Recipe) -> presets.Region:
    region = getattr(presets, recipe.region)()
    vessels = region.vasculature.layers[0].model_copy(
        update={
            "depth_um": recipe.vessel_depth_um,
            "n_roots": recipe.n_vessels,
            "root_radius_um": recipe.vessel_radius_um,
            "min_radius_um": recipe.vessel_radius_um / 4,
            "opacity": 0.9,
        }
    )
    return region.model_copy(
        update={
            "neuropil": minisim.Neuropil(amplitude=recipe.neuropil),
            "vasculature": minisim.Vasculature(enabled=True, layers=[vessels]),
        }
    )


def _populations(recipe: Recipe) -> list[minisim.NeuronPopulation]:
    cells = getattr(presets, recipe.region)().population
    # Somata don't run through each other.
    apart = 2 * cells.soma_radius_um + recipe.clearance_um
    return [
        cells.model_copy(
            update={"depth_range_um": depth, "density_per_mm3": density, "min_distance_um": apart}
        )
        for depth, density in (
            (recipe.layer_um, recipe.density),
            (recipe.deep_um, recipe.deep_density),
        )
        if density
    ]
