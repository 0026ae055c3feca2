"""The concept figures: each is drawn for any movie, describes itself, and says what the numbers say."""

from __future__ import annotations

from types import SimpleNamespace

import matplotlib as mpl
import pytest
from plot_scene import check_drawn, make_scene, with_stages

from workshop_utils import plots


@pytest.fixture(scope="module")
def scene() -> SimpleNamespace:
    return make_scene()


DRAW = {
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
