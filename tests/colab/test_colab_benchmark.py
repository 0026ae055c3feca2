"""The measurement of how long attendees wait: its table, and what it says where it can't measure."""

from __future__ import annotations

import pytest

from benchmarks import colab, colab_machine


def test_table_has_the_median_beside_the_bar():
    lines = colab.markdown({what: [3.0, 1.0, 8.0] for what in colab.BARS}).splitlines()
    assert len({line.count("|") for line in lines}) == 1 and len(lines) == 2 + len(colab.BARS)
    assert lines[2] == "| install the wheel | 3.0 s | 1.0 to 8.0 s | 10 s |"


def test_missing_environment_is_told(tmp_path, capsys):
    assert colab.main(["--colab", str(tmp_path / "none")]) == 2
    assert "tools/colab_env.py" in capsys.readouterr().out


@pytest.mark.parametrize(("seconds", "code"), [([11.0, 9.0, 8.0], 0), ([11.0, 12.0, 8.0], 1)])
def test_median_above_a_bar_is_a_failure(tmp_path, monkeypatch, seconds, code):
    python = colab_machine.python_of(tmp_path)
    python.parent.mkdir()
    python.touch()
    fine = {what: [1.0] for what in colab.BARS}
    monkeypatch.setattr(colab, "measure", lambda *_args: fine | {"install the wheel": seconds})
    told = colab.subprocess.CompletedProcess([], 0, "Python 3.13.0\n", "")
    monkeypatch.setattr(colab.subprocess, "run", lambda *_args, **_options: told)
    assert colab.main(["--colab", str(tmp_path), "--json", str(tmp_path / "out.json")]) == code
    assert '"Python": "3.13.0"' in (tmp_path / "out.json").read_text(encoding="utf-8")
