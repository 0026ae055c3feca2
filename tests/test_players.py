"""Players: pictures, the screen's answers, the controls, and what is left where nothing can play."""

from __future__ import annotations

import base64

import cv2
import numpy as np
import pytest

from cnmf_engine.base.errors import InputError
from workshop_utils.widgets import players
from workshop_utils.widgets.players import frames


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


def test_a_constant_frame_and_infinite_values_can_be_drawn():
    picture = players.compose_frame([np.array([[np.inf, -np.inf, 4.0]])], [(4, 4)])
    np.testing.assert_array_equal(picture, [[255, 0, 0]])


@pytest.mark.parametrize(("pictures", "limits"), [([], []), ([np.zeros((2, 2))], [])])
def test_compose_needs_limits_for_each_frame(pictures, limits):
    with pytest.raises(InputError, match=f"{len(pictures)} frames and 0 limits"):
        players.compose_frame(pictures, limits)


def test_limits_ignore_extreme_and_missing_pixels(movie):
    movie[0, 0, 0], movie[1, 0, 0] = 1e9, np.nan
    low, high = players.movie_limits(movie)
    assert 9.9 < low < 11 and 19 < high < 20.1
    assert players.movie_limits(np.full((3, 2, 2), 7.0)) == (6.5, 7.5)
    assert players.movie_limits(np.full((3, 2, 2), np.nan)) == (0, 1)


def test_limits_show_the_few_pixels_that_are_not_black():
    dark = np.zeros((3, 40, 40))
    dark[1, 5, 5] = 80
    assert players.movie_limits(dark) == (0, 80)


@pytest.mark.parametrize(
    ("shapes", "expected"),
    [
        ([(9, 128, 128)], 3),
        ([(9, 10, 10)], 6),
        ([(9, 256, 256)] * 3, 960 / 776),
        ([(9, 600, 800)] * 2, 960 / 1604),
        ([(9, 840, 100)], 0.5),
    ],
)
def test_the_picture_fills_the_screen_in_width_or_height(shapes, expected):
    assert frames.magnification(shapes, 960, 420) == pytest.approx(expected)


def test_enlarged_pixels_stay_sharp_and_shrunk_ones_are_averaged():
    picture = np.array([[0, 200], [100, 100]], np.uint8)
    np.testing.assert_array_equal(frames.resized(picture, 3), picture.repeat(3, axis=0).repeat(3, axis=1))
    np.testing.assert_array_equal(frames.resized(picture, 0.5), [[100]])
    assert frames.resized(picture, 0.01).shape == (1, 1)


def test_labels_count_from_one_and_tell_as_much_as_needed():
    assert frames.frame_label(11, 1000, 10) == "frame 12 of 1000, 1.10 s"
    assert frames.limits_label((103.2, 2540.7)) == "black 103, white 2541"
    assert frames.limits_label((-0.0042, 0.0511)) == "black -0.0042, white 0.0511"


@pytest.mark.parametrize(
    ("given", "numbers"),
    [
        (None, [0, 1, 2, 3, 4]),
        ((1, 3), [1, 2]),
        ((-2, None), [3, 4]),
        (slice(None, None, 2), [0, 2, 4]),
        (range(4, 2, -1), [4, 3]),
        (np.array([0, -1]), [0, 4]),
    ],
)
def test_frames_can_be_named_in_many_ways(given, numbers):
    assert frames.frame_numbers(given, 5) == numbers


@pytest.mark.parametrize(("given", "found"), [([5], "frame 5"), ((3, 3), "no frame"), ([0, -6], "frame -6")])
def test_frames_that_are_not_there_are_named(given, found):
    with pytest.raises(InputError, match=f"from 0 to 4.*\n.*{found}"):
        frames.frame_numbers(given, 5)


def test_a_source_reads_one_frame_and_knows_its_end():
    source = players.FrameSource((3, 2, 2), lambda t: np.full((2, 2), t))
    assert source.ndim == 3 and len(source) == 3 and source[-1][0, 0] == 2
    with pytest.raises(IndexError, match="frame 3 of a movie with 3 frames"):
        source[3]
    assert [frame[0, 0] for frame in source] == [0, 1, 2]


@pytest.mark.parametrize(("value", "answer"), [("1", True), ("true", True), ("0", False), ("no", False)])
def test_headless_follows_the_environment(monkeypatch, value, answer):
    monkeypatch.setenv("WORKSHOP_HEADLESS", value)
    assert players.headless() is answer


def test_headless_where_no_kernel_runs(monkeypatch):
    monkeypatch.delenv("WORKSHOP_HEADLESS", raising=False)
    assert players.headless() is True


def test_headless_player_leaves_a_described_strip(movie, monkeypatch):
    monkeypatch.setenv("WORKSHOP_HEADLESS", "1")
    movie[0] = np.nan
    player = players.play([movie, movie], fr=10, titles=["before", "after"])
    data, metadata = player._repr_mimebundle_()
    assert player.widget is None and "application/vnd.jupyter.widget-view+json" not in data
    picture = cv2.imdecode(np.frombuffer(base64.b64decode(data["image/png"]), np.uint8), 0)
    assert picture.std() > 10
    assert "before, after" in metadata["image/png"]["alt"] and "4.9 s" in metadata["image/png"]["alt"]


def ask(player, frame, **more) -> tuple[dict, np.ndarray | None]:
    """Ask the kernel as the page does; give its answer and the picture in it."""
    screen, answers = player.widget.screen, []
    screen.send = lambda content, buffers=None: answers.append((content, buffers))
    screen._handle_custom_msg({"kind": "frame", "frame": frame, "view": "v", **more}, [])
    ((content, buffers),) = answers
    return content, buffers and cv2.imdecode(np.frombuffer(buffers[0], np.uint8), cv2.IMREAD_GRAYSCALE)


def test_live_player_shows_the_widget_and_answers_with_frames(movie, live):
    player = players.play([movie, movie[:, :6]], fr=10, titles=["a", "c"])
    data, _ = player._repr_mimebundle_()
    assert data["application/vnd.jupyter.widget-view+json"]["model_id"] == player.widget.model_id
    assert "image/png" not in data
    assert "cw-player" in player.widget._dom_classes and "cw-status" in player.widget.status._dom_classes
    content, picture = ask(player, 37)
    assert content == {"kind": "frame", "view": "v", "frame": 37, "label": "frame 38 of 50, 3.70 s"}
    wanted = player.picture(37)
    assert picture.shape == wanted.shape, "the page enlarges, so few bytes travel"
    assert np.abs(picture.astype(int) - wanted).mean() < 12
    assert player.size == (36 * 6, 12 * 6) == (player.widget.screen.width, player.widget.screen.height)


def test_a_frame_outside_the_movie_is_the_nearest(movie, live):
    player = players.play(movie, fr=10)
    assert ask(player, 99)[0]["frame"] == 49 and ask(player, -3)[0]["frame"] == 0


def test_large_movies_are_sent_as_large_as_they_are_shown(live):
    player = players.play([np.zeros((2, 500, 1200)) + np.arange(1200)] * 2, fr=10)
    _, picture = ask(player, 0)
    assert picture.shape[::-1] == player.size == (960, 200)


def test_the_page_hears_of_a_frame_that_can_not_be_read(live):
    def read(t):
        if t == 7:
            raise OSError("the disk is gone")
        return np.eye(4) * t

    player = players.play([players.FrameSource((100, 4, 4), read)])
    content, picture = ask(player, 7)
    assert content["error"] == "Frame 8 can't be shown: the disk is gone" and picture is None
    assert "error" not in ask(player, 6)[0]


def test_other_messages_are_left_alone(movie, live):
    screen = players.play(movie, fr=10).widget.screen
    screen.send = lambda *_: pytest.fail("answered")
    screen._handle_custom_msg({"kind": "else"}, [])
    screen._handle_custom_msg("text", [])


def test_contrast_changes_picture_and_titles_of_one_movie_or_all(movie, live):
    player = players.play([movie, movie * 100], fr=10, titles=["raw", "corrected"])
    box, before = player.widget, player.picture(5).astype(int)
    assert [option for option, _ in box.which.options] == ["all movies", "raw", "corrected"]
    ranges = [head["range"] for head in box.screen.heads]
    assert [head["title"] for head in box.screen.heads] == ["raw", "corrected"]
    box.which.value = 1
    box.contrast.value = (0, 50)
    after = player.picture(5).astype(int)
    np.testing.assert_array_equal(after[:, :16], before[:, :16])
    assert after[:, 20:].mean() > before[:, 20:].mean() + 20
    assert box.screen.heads[0]["range"] == ranges[0] and box.screen.heads[1]["range"] != ranges[1]
    lo, hi = player.limits[1]
    assert player.contrast[1] == pytest.approx((lo, (lo + hi) / 2))
    box.which.value = 0
    assert box.contrast.value == (0, 100), "each movie's own contrast is shown"
    box.which.value = -1
    box.contrast.value = (20, 80)
    lo, hi = player.limits[0]
    assert player.contrast[0] == pytest.approx((lo + 0.2 * (hi - lo), lo + 0.8 * (hi - lo)))
    box.reset.click()
    assert player.contrast == player.limits and box.contrast.value == (0, 100)
    np.testing.assert_array_equal(player.picture(5), before)


def test_black_can_not_reach_white(movie, live):
    player = players.play(movie)
    player.set_contrast(60, 60)
    low, high = player.contrast[0]
    assert high > low and set(np.unique(player.picture(0))) <= set(range(256))


def test_gain_brightens_one_movie_only(movie):
    plain, bright = players.play([movie, movie], gains=[1, 3]).limits
    assert plain.low == bright.low
    assert (bright.high - bright.low) * 3 == pytest.approx(plain.high - plain.low)


def test_frames_are_read_only_when_they_are_looked_at(live):
    read = []

    def frame(t):
        read.append(t)
        return np.full((4, 5), float(t))

    player = players.play([players.FrameSource((10_000, 4, 5), frame)], fr=10)
    assert len(read) < 30
    read.clear()
    ask(player, 5000)
    assert read == [5000]


def test_memory_maps_and_colourless_integers_play(tmp_path):
    source = np.memmap(tmp_path / "movie.raw", np.uint16, "w+", shape=(6, 8, 9))
    source[3] = 500
    player = players.play(source, fr=5)
    assert player.picture(3).max() == 255 and player.picture(0).max() == 0


def test_a_movie_that_stays_in_its_file_plays(tmp_path, movie):
    import tifffile

    import cnmf_engine as cm

    tifffile.imwrite(tmp_path / "movie.tif", movie)
    stored = cm.load(str(tmp_path / "movie.tif"), memory_limit=1000)
    assert type(stored).__name__ == "StoredMovie"
    np.testing.assert_array_equal(players.play(stored).picture(20), players.play(movie).picture(20))


@pytest.mark.parametrize(
    ("movies", "more", "words"),
    [
        ([], {}, "empty list"),
        ([np.zeros((3, 2, 2)), np.zeros((4, 2, 2))], {}, r"\[3, 4\] frames"),
        ([np.zeros((3, 2))], {}, r"movie 1 .*\n.*\(3, 2\)"),
        ([np.zeros((3, 2, 2))], {"titles": ["a", "b"]}, "Expected 1 titles"),
        ([np.zeros((3, 2, 2))], {"gains": [1, 2]}, "Expected 1 gains"),
        ([np.zeros((3, 2, 2))], {"fr": 0}, "fr=0"),
    ],
)
def test_what_can_not_be_played_is_explained(movies, more, words):
    with pytest.raises(InputError, match=words):
        players.play(movies, **{"fr": 10, **more})


def test_one_frame_is_a_movie(live):
    player = players.play(np.ones((1, 4, 4)), fr=10)
    assert player.picture(0).shape == (4, 4)
    assert player.widget.screen.last == 0 and player.widget.part is None
    assert ask(player, 0)[0]["label"] == "frame 1 of 1, 0.00 s"
