"""The concept figures: each is drawn for any movie, describes itself, and says what the numbers say."""

from __future__ import annotations

from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pytest
from plot_scene import D1, D2, FR, check_drawn, make_scene, with_stages

from cnmf_engine.errors import InputError, ParameterError
from workshop_utils import plots


@pytest.fixture(scope="module")
def scene() -> SimpleNamespace:
    return make_scene()


def anatomy(movie) -> plots.LessonFigure:
    return plots.pixel_anatomy(movie, 3, (10, 12), (20, 26), FR)


CHOICES = {"too low": (0.2, 2), "fitting": (0.5, 10), "too high": (1.1, 99)}

DRAW = {
    "thresholds_pair": lambda s: plots.thresholds_pair(s.cn, s.pnr, 3, CHOICES, s.truth),
    "thresholds_pair without truth": lambda s: plots.thresholds_pair(s.cn, s.pnr, 3, CHOICES),
    "thresholds_pair, constant": lambda s: plots.thresholds_pair(0 * s.cn, 0 * s.pnr, 3, {"one": (0, 0)}),
    "pixel_anatomy": lambda s: anatomy(s.movie),
    "pixel_anatomy, constant": lambda s: anatomy(np.full_like(s.movie, 7)),
    "pixel_anatomy, missing values": lambda s: anatomy(np.where(s.cn > 0.9, np.nan, s.movie)),
    "pixel_anatomy in a corner": lambda s: plots.pixel_anatomy(s.movie, 3, (0, 0), (D1 - 1, D2 - 1), FR),
    "stages_figure": lambda s: plots.stages_figure(with_stages(s)),
    "stages_figure without stages": lambda s: plots.stages_figure(s.truth),
    "stages_figure of a real movie": lambda s: plots.stages_figure(None),
}


@pytest.mark.parametrize("name", DRAW)
def test_every_figure_is_drawn_and_described(scene, name, recwarn):
    before = dict(mpl.rcParams)
    check_drawn(DRAW[name](scene), recwarn, before)


def test_stages_say_what_each_adds(scene):
    truth = with_stages(scene)
    alt = plots.stages_figure(truth).alt
    mean = truth.stages[1].mean()
    assert f"adds a soft glow: +50 counts, {5000 / mean:.0f}\N{NO-BREAK SPACE}% of the light now" in alt
    assert "± 2 counts a pixel" in alt and alt.count("marked cell: +") == 3


def test_pixel_anatomy_gives_the_numbers_of_the_images(scene):
    from workshop_utils.engine import cm

    cn, pnr = cm.summary_images.correlation_pnr(scene.movie, gSig=3, swap_dim=False)
    alt = anatomy(scene.movie).alt
    assert f"its highest peak is {pnr[10, 12]:.1f} times" in alt
    assert f"it correlates {cn[10, 12]:.2f} with" in alt
    with pytest.raises(ParameterError, match=r"\(40, 2\)"):
        plots.pixel_anatomy(scene.movie, 3, (40, 2), (20, 26), FR)


def test_thresholds_are_compared_by_their_seeds(scene):
    figure = plots.thresholds_pair(scene.cn, scene.pnr, 3, CHOICES, scene.truth)
    assert "fitting (min_corr 0.5, min_pnr 10)" in figure.alt
    assert "4 seeds: 4 hit, 0 missed, 0 false" in figure.alt
    assert "0.0% of the pixels pass, 0 seeds: 0 hit, 4 missed, 0 false" in figure.alt
    with pytest.raises(InputError, match="at least one choice"):
        plots.thresholds_pair(scene.cn, scene.pnr, 3, {})
