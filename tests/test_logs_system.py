"""The lessons' log, and what they say about the machine."""

from __future__ import annotations

import logging
import re

import pytest

from cnmf_engine.base.errors import InputError, ParameterError
from workshop_utils import logs, system
from workshop_utils.system import Machine, will_it_fit


@pytest.fixture(autouse=True)
def quiet():
    logger = logging.getLogger(logs.LOGGER)
    level, propagate = logger.level, logger.propagate
    yield logger
    logs.stop()
    logger.setLevel(level)
    logger.propagate = propagate


def test_lines_say_when_where_and_in_which_process(quiet, tmp_path, capsys):
    file = tmp_path / "new" / "lesson.log"
    logs.start("info", file)
    quiet.info("patch %d done", 3)
    quiet.debug("too much detail")
    line = file.read_text()
    pattern = (
        r"\d{4}-\d\d-\d\d .* INFO \[test_logs_system.py:\d+ test_lines\w+\(\) process \d+\] patch 3 done\n"
    )
    assert re.fullmatch(pattern, line)
    assert "patch 3 done" in capsys.readouterr().err


def test_starting_again_repeats_no_line_and_closes_the_file(quiet, tmp_path, capsys):
    logs.start("INFO", tmp_path / "a.log")
    logs.start("INFO", tmp_path / "b.log")
    quiet.warning("once")
    assert capsys.readouterr().err.count("once") == 1
    assert (tmp_path / "a.log").read_text() == "" and "once" in (tmp_path / "b.log").read_text()
    closed = logs.stop()
    assert len(closed) == 1 and closed[0].startswith(str(tmp_path / "b.log")) and closed[0].endswith(" B)")
    assert logs.stop() == []


def test_handlers_of_others_stay(quiet):
    mine = logging.NullHandler()
    quiet.addHandler(mine)
    logs.start()
    logs.stop()
    assert mine in quiet.handlers
    quiet.removeHandler(mine)


def test_unknown_level_suggests():
    with pytest.raises(ParameterError, match="'WARN'.\nTo go on: use 'WARNING'"):
        logs.start("WARN")


def test_machine_is_plausible(tmp_path):
    here = system.machine(tmp_path / "not yet" / "there")
    assert here.cpus >= 1 and 0 < here.memory_free <= here.memory and 0 < here.disk_free <= here.disk
    assert str(here).splitlines()[1].startswith("memory:")


def test_container_limit_counts(tmp_path, monkeypatch):
    (tmp_path / "memory.max").write_text("1000000\n")
    (tmp_path / "memory.current").write_text("400000\n")
    monkeypatch.setattr(system, "_CGROUP", tmp_path)
    here = system.machine(tmp_path)
    assert (here.memory, here.memory_free) == (1_000_000, 600_000)
    (tmp_path / "memory.max").write_text("max\n")
    assert system.machine(tmp_path).memory > 1_000_000


def test_will_it_fit(tmp_path):
    colab = Machine(2, 12_700_000_000, 11_000_000_000, 10**11, 5 * 10**10, tmp_path)
    fine = will_it_fit((1000, 500, 500), on=colab)
    assert fine and fine.memory_needed == 10**9 and fine.disk_needed == 2 * 10**9 and "It fits." in str(fine)
    large = will_it_fit((6000, 500, 500), on=colab)
    assert not large and large.on_disk and "slice(0, 5500)" in large.advice
    assert will_it_fit((6000, 500, 500), on=colab, dtype="uint8").in_memory
    huge = will_it_fit((30_000, 500, 500), on=colab)
    assert not huge.on_disk and str(tmp_path) in huge.advice


def test_shape_of_a_picture_is_refused():
    with pytest.raises(InputError, match=r"Found \(500, 500\)"):
        will_it_fit((500, 500))
