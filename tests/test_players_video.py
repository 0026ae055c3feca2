"""Saved videos: what is in the files, found by decoding them, and what is said when none can be written."""

from __future__ import annotations

import sys

import cv2
import numpy as np
import pytest

from cnmf_engine.base.errors import InputError
from workshop_utils.widgets import players
from workshop_utils.widgets.players import video


def decoded(path) -> tuple[list[np.ndarray], float]:
    """All frames of a video and its rate, by another library than the one that wrote it."""
    capture = cv2.VideoCapture(str(path))
    found, rate = [], capture.get(cv2.CAP_PROP_FPS)
    while (answer := capture.read())[0]:
        found.append(cv2.cvtColor(answer[1], cv2.COLOR_BGR2GRAY))
    capture.release()
    return found, rate


def moving_dot(n: int = 12) -> np.ndarray:
    movie = np.zeros((n, 31, 45), np.float32)
    for t in range(n):
        movie[t, 10:14, 3 * t : 3 * t + 4] = 100
    return movie


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".MP4"])
def test_a_saved_video_holds_the_frames_in_size_rate_and_brightness(tmp_path, suffix):
    player = players.play(moving_dot(), fr=7.5, titles=["dot"])
    path = player.save(tmp_path / "new folder" / f"dot{suffix}", text=False, scale=1, quality=9)
    found, rate = decoded(path)
    assert len(found) == 12 and rate == pytest.approx(7.5)
    assert {frame.shape for frame in found} == {(32, 46)}, "odd sizes are padded"
    for t, frame in enumerate(found):
        assert frame[11:13, 3 * t + 1 : 3 * t + 3].min() > 215
        assert np.median(frame) < 12
    assert [file.name for file in path.parent.iterdir()] == [f"dot{suffix}"]


def test_mp4_is_what_browsers_and_slides_play(tmp_path):
    from imageio_ffmpeg import read_frames

    path = players.play(moving_dot()).save(tmp_path / "dot.mp4")
    about = next(read_frames(str(path)))
    assert about["codec"] == "h264" and about["pix_fmt"].startswith("yuv420p")
    content = path.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat"), "plays before all of it is loaded"


def test_titles_stand_above_and_the_time_below(tmp_path):
    player = players.play([moving_dot()] * 2, fr=10, titles=["raw", "ΔF µ ×"])
    plain, written = (next(player.video_pictures([5], text=text, scale=4)) for text in (False, True))
    assert written.shape == (plain.shape[0] + 48, plain.shape[1])
    np.testing.assert_array_equal(written[24:-24], plain)
    start = (45 + 4) * 4
    assert written[:24, :start].max() > 200 and written[:24, start:].max() > 200
    assert written[-24:].max() > 200
    later = next(player.video_pictures([6], scale=4))
    assert (later[-24:] != written[-24:]).any(), "the time goes on"
    np.testing.assert_array_equal(later[:24], written[:24])


def test_a_text_that_is_too_long_is_shortened_inside_its_column():
    line = video.caption(200, ["a title that is much too long for this", ""], [0, 100])
    assert line.shape == (24, 200) and line[:, :100].max() > 200 and line[:, 100:].max() == 0
    assert video.caption(3, ["x"], [0]).max() == 0


def test_a_part_of_a_movie_at_another_rate_is_saved_with_its_contrast(tmp_path):
    player = players.play(moving_dot(), fr=10)
    player.set_contrast(0, 200)
    found, rate = decoded(player.save(tmp_path / "part.mp4", frames=(3, 9), fr=30, text=False, scale=2))
    assert len(found) == 6 and rate == pytest.approx(30)
    assert 100 < found[0][22:26, 20:24].mean() < 155, "half as bright as the white of the data"


def test_frames_are_read_one_after_the_other_and_not_kept(tmp_path):
    alive, most = [0], [0]

    class Frame(np.ndarray):
        def __del__(self):
            alive[0] -= 1

    def read(t):
        alive[0] += 1
        most[0] = max(most[0], alive[0])
        return np.full((16, 16), float(t)).view(Frame)

    player = players.play([players.FrameSource((40, 16, 16), read)])
    most[0] = 0
    player.save(tmp_path / "long.mp4")
    assert 1 <= most[0] <= 6


def test_one_tiny_frame_is_a_video(tmp_path):
    found, _ = decoded(players.play(np.ones((1, 3, 3))).save(tmp_path / "one.mp4"))
    assert len(found) == 1


@pytest.mark.parametrize(
    ("name", "more", "words"),
    [
        ("clip.mov", {}, r"\.mp4 or \.webm\.\n.*clip\.mov.*\n.*clip\.mp4"),
        ("clip", {}, r"ends in \.mp4"),
        ("clip.mp4", {"fr": 0}, "fr=0"),
        ("clip.mp4", {"quality": 11}, "quality=11"),
        ("clip.mp4", {"scale": 0}, "scale=0"),
        ("clip.mp4", {"frames": [99]}, "frame 99"),
    ],
)
def test_what_can_not_be_saved_is_explained_and_leaves_nothing(tmp_path, name, more, words):
    with pytest.raises(InputError, match=words):
        players.play(moving_dot()).save(tmp_path / name, **more)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_can_not_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(InputError, match="can be written to.*\n.*file"):
        players.play(moving_dot()).save(tmp_path / "file" / "clip.mp4")


def test_missing_ffmpeg_is_explained(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(InputError, match="pip install imageio-ffmpeg"):
        players.play(moving_dot()).save(tmp_path / "clip.mp4")


@pytest.mark.parametrize("n", [3, 400])
def test_ffmpeg_that_stops_leaves_no_file(tmp_path, monkeypatch, n):
    codec = ("no_such_codec", video.FORMATS[".mp4"][1])
    monkeypatch.setitem(video.FORMATS, ".mp4", codec)
    pictures = (np.zeros((200, 200), np.uint8) for _ in range(n))
    with pytest.raises(InputError, match=r"stopped after .* frames\.\n.*no_such_codec"):
        players.write_video(pictures, tmp_path / "clip.mp4", 10)
    assert list(tmp_path.iterdir()) == []


def test_an_error_in_the_middle_leaves_the_older_file(tmp_path):
    def read(t):
        if t == 30:
            raise RuntimeError("the disk is gone")
        return np.zeros((8, 8))

    (tmp_path / "clip.mp4").write_text("older")
    with pytest.raises(RuntimeError, match="disk is gone"):
        players.play([players.FrameSource((90, 8, 8), read)]).save(tmp_path / "clip.mp4")
    assert [file.read_text() for file in tmp_path.iterdir()] == ["older"]


def test_the_button_saves_the_chosen_frames(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKSHOP_HEADLESS", "0")
    box = players.play(moving_dot(), fr=10, titles=["dot"]).widget
    box.path.value, box.part.value = str(tmp_path / "clip.mp4"), (3, 6)
    box.button.click()
    box._saving.join(60)
    assert "Saved 4 frames, 0.4 s" in box.status.value and "clip.mp4" in box.status.value
    assert box.button.description == "Save video"
    assert len(decoded(tmp_path / "clip.mp4")[0]) == 4


def test_the_button_tells_what_is_wrong(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKSHOP_HEADLESS", "0")
    box = players.play(moving_dot()).widget
    box.path.value = str(tmp_path / "clip.gif")
    box.button.click()
    box._saving.join(60)
    assert "ends in .mp4 or .webm" in box.status.value and box.button.description == "Save video"


def test_pressed_again_the_button_stops(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKSHOP_HEADLESS", "0")
    box = None

    def read(t):
        if t == 500 and box is not None:
            box.button.click()
        return np.zeros((8, 8))

    box = players.play([players.FrameSource((2000, 8, 8), read)]).widget
    box.path.value = str(tmp_path / "clip.mp4")
    box.button.click()
    box._saving.join(60)
    assert "Stopped" in box.status.value and list(tmp_path.iterdir()) == []
