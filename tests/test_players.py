"""Players: the composed picture, the controls, and what is left where nothing can play."""

from __future__ import annotations

import base64

import cv2
import numpy as np
import pytest

from cnmf_engine.errors import InputError
from workshop_utils import players


@pytest.fixture
def movie() -> np.ndarray:
    return np.random.default_rng(0).uniform(10, 20, (50, 12, 16)).astype(np.float32)


@pytest.fixture
def live(monkeypatch):
    monkeypatch.setenv("WORKSHOP_HEADLESS", "0")


def test_frames_are_set_side_by_side_between_their_limits():
    first, second = np.array([[0.0, 5.0], [10.0, 20.0]]), np.array([[1.0, np.nan, 3.0]])
    picture = players.compose_frame([first, second], [(0, 10), (1, 3)])
    assert picture.dtype == np.uint8 and picture.shape == (2, 2 + 4 + 3)
    np.testing.assert_array_equal(picture[:, :2], [[0, 127], [255, 255]])
    np.testing.assert_array_equal(picture[0, 6:], [0, 0, 255])
    assert (picture[1, 2:] == 0).all(), "the gap and what is below a smaller frame are black"


def test_gain_brightens_one_movie_only():
    frame = np.full((2, 2), 2.0)
    picture = players.compose_frame([frame, frame], [(0, 10), (0, 10)], gains=[1, 3])
    assert picture[0, 0] == 51 and picture[0, -1] == 153


def test_a_constant_frame_and_infinite_values_can_be_drawn():
    picture = players.compose_frame([np.array([[np.inf, -np.inf, 4.0]])], [(4, 4)])
    np.testing.assert_array_equal(picture, [[255, 0, 0]])


@pytest.mark.parametrize(("frames", "limits"), [([], []), ([np.zeros((2, 2))], [])])
def test_compose_needs_limits_for_each_frame(frames, limits):
    with pytest.raises(InputError, match=f"{len(frames)} frames, 0 limits"):
        players.compose_frame(frames, limits)


def test_limits_ignore_extreme_and_missing_pixels(movie):
    movie[0, 0, 0], movie[1, 0, 0] = 1e9, np.nan
    low, high = players.movie_limits(movie)
    assert 9.9 < low < 11 and 19 < high < 20.1
    assert players.movie_limits(np.full((3, 2, 2), 7.0)) == (6.5, 7.5)
    assert players.movie_limits(np.full((3, 2, 2), np.nan)) == (0, 1)


@pytest.mark.parametrize(("value", "answer"), [("1", True), ("true", True), ("0", False), ("no", False)])
def test_headless_follows_the_environment(monkeypatch, value, answer):
    monkeypatch.setenv("WORKSHOP_HEADLESS", value)
    assert players.headless() is answer


def test_headless_where_no_kernel_runs(monkeypatch):
    monkeypatch.delenv("WORKSHOP_HEADLESS", raising=False)
    assert players.headless() is True


def test_headless_player_leaves_a_described_strip(movie, monkeypatch):
    monkeypatch.setenv("WORKSHOP_HEADLESS", "1")
    player = players.play([movie, movie], fr=10, titles=["before", "after"])
    data, metadata = player._repr_mimebundle_()
    assert player.widget is None and "application/vnd.jupyter.widget-view+json" not in data
    picture = cv2.imdecode(np.frombuffer(base64.b64decode(data["image/png"]), np.uint8), 0)
    assert picture.std() > 10
    assert "before, after" in metadata["image/png"]["alt"] and "4.9 s" in metadata["image/png"]["alt"]


def controls_of(player):
    box = player.widget
    (image, (clock, slider, label), (speed, contrast)) = (
        box.children[1], box.children[2].children, box.children[3].children,
    )  # fmt: skip
    return image, clock, slider, label, speed, contrast


def shown(image) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(image.value, np.uint8), cv2.IMREAD_GRAYSCALE)


def test_live_player_shows_the_widget_and_follows_the_slider(movie, live):
    player = players.play([movie, movie[:, :6]], fr=10, titles=["a <b>", "c"])
    data, _ = player._repr_mimebundle_()
    assert data["application/vnd.jupyter.widget-view+json"]["model_id"] == player.widget.model_id
    assert "image/png" not in data
    image, clock, slider, label, _, _ = controls_of(player)
    assert (clock.max, slider.max) == (49, 49)
    slider.value = 37
    assert "38 of 50" in label.value and "3.70 s" in label.value
    wanted = cv2.resize(
        player.picture(37),
        None,
        fx=player.magnification,
        fy=player.magnification,
        interpolation=cv2.INTER_NEAREST,
    )
    assert shown(image).shape == wanted.shape
    assert np.abs(shown(image).astype(int) - wanted).mean() < 6
    assert "a &lt;b&gt;" in player.widget.children[0].value


def test_contrast_slider_changes_the_picture(movie, live):
    player = players.play(movie, fr=10)
    image, *_, contrast = controls_of(player)
    before = shown(image).mean()
    contrast.value = (0.0, 0.5)
    assert shown(image).mean() > before + 20


def test_speed_keeps_to_the_movies_time_without_flooding_the_connection(movie, live):
    player = players.play(movie, fr=30)
    _, clock, _, _, speed, _ = controls_of(player)
    for factor in (0.25, 1.0, 8.0):
        speed.value = factor
        assert 1000 * clock.step / clock.interval == pytest.approx(30 * factor, rel=0.03)
        assert 1000 / clock.interval <= 12.5


def test_frames_are_read_only_when_they_are_looked_at(live):
    read = []

    def frame(t):
        read.append(t)
        return np.full((4, 5), float(t))

    player = players.play([players.FrameSource((10_000, 4, 5), frame)], fr=10)
    assert len(read) < 30
    _, _, slider, *_ = controls_of(player)
    read.clear()
    slider.value = 5000
    assert read == [5000]


def test_memory_maps_and_colourless_integers_play(tmp_path, live):
    source = np.memmap(tmp_path / "movie.raw", np.uint16, "w+", shape=(6, 8, 9))
    source[3] = 500
    player = players.play(source, fr=5)
    assert player.picture(3).max() == 255 and player.picture(0).max() == 0


@pytest.mark.parametrize(
    ("movies", "more", "words"),
    [
        ([], {}, "empty list"),
        ([np.zeros((3, 2, 2)), np.zeros((4, 2, 2))], {}, r"\[3, 4\] frames"),
        ([np.zeros((3, 2))], {}, r"movie 1 .*\n.*\(3, 2\)"),
        ([np.zeros((3, 2, 2))], {"titles": ["a", "b"]}, "Expected 1 titles"),
        ([np.zeros((3, 2, 2))], {"fr": 0}, "fr=0"),
    ],
)
def test_what_can_not_be_played_is_explained(movies, more, words):
    with pytest.raises(InputError, match=words):
        players.play(movies, **{"fr": 10, **more})


def test_one_frame_is_a_movie(live):
    player = players.play(np.ones((1, 4, 4)), fr=10)
    assert player.picture(0).shape == (4, 4) and controls_of(player)[1].max == 0
