"""CaImAn's own `play`: no window where none can be, and nothing lost."""

from __future__ import annotations

import re
import subprocess
import sys

import cv2
import numpy as np
import pytest

import cnmf_engine as cm
from cnmf_engine.base.errors import ParameterError
from cnmf_engine.view import playing


@pytest.fixture
def recording():
    frames = np.random.default_rng(0).normal(size=(30, 20, 26)).astype(np.float32)
    frames[7] = np.nan
    return cm.movie(frames, fr=20)


@pytest.fixture
def windows(monkeypatch):
    """A desktop's OpenCV that refuses to open a window in this process."""
    monkeypatch.setattr(cv2, "getBuildInformation", lambda: "GUI: QT5")
    monkeypatch.setattr(cv2, "imshow", lambda *_: pytest.fail("a window was opened"), raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("DISPLAY", ":99")
    return monkeypatch


def test_in_a_notebook_the_player_is_in_the_page(recording, windows):
    windows.setattr(playing, "_in_notebook", lambda: True)
    windows.setattr(subprocess, "run", lambda *_, **__: pytest.fail("a window was tried"))
    player = recording.play()
    assert len(re.findall(r'frames\[\d+\] = "data:image/png', player.data)) == 30
    assert "file:" not in player.data and 'src="http' not in player.data, "nothing outside the page is needed"


@pytest.mark.parametrize("answer", [subprocess.CompletedProcess([], -6), subprocess.TimeoutExpired("x", 1)])
def test_a_display_that_does_not_answer_ends_nothing(recording, windows, answer):
    def run(*_, **__):
        if isinstance(answer, Exception):
            raise answer
        return answer

    windows.setattr(subprocess, "run", run)
    animation = recording.play()
    animation._draw_was_started = True
    assert type(animation).__name__ == "FuncAnimation"


def test_a_display_that_answers_gets_the_window(recording, windows):
    windows.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 0))
    shown = []
    windows.setattr(cv2, "imshow", lambda _title, image: shown.append(image), raising=False)
    windows.setattr(cv2, "waitKey", lambda _ms: -1, raising=False)
    windows.setattr(cv2, "destroyWindow", lambda _title: None, raising=False)
    assert recording.play() is None
    assert len(shown) == 30 and (shown[7] == 0).all()


def test_a_saved_movie_is_made_frame_by_frame(recording, tmp_path, monkeypatch):
    monkeypatch.setattr(np, "stack", lambda *_, **__: pytest.fail("all frames were held"))
    path = str(tmp_path / "shown.avi")
    recording.play(backend="notebook", save_movie=True, opencv_codec="H264", movie_name=path, magnification=2)
    capture = cv2.VideoCapture(path)
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 30
    assert (capture.get(cv2.CAP_PROP_FRAME_WIDTH), capture.get(cv2.CAP_PROP_FRAME_HEIGHT)) == (52, 40)


@pytest.mark.parametrize("border", [10, -1])
def test_a_border_that_leaves_nothing_is_refused(recording, border):
    with pytest.raises(ParameterError, match=f"bord_px={border}"):
        recording.play(backend="notebook", bord_px=border)
