"""Who is there to press a button: told by the environment, by the kernel's request, or by nobody."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from types import SimpleNamespace

import nbformat
import pytest
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient

from cnmf_engine.view import front_end
from workshop_utils.widgets.players import headless

# Small enough to be quick, and enough for each of the lessons' widgets.
WIDGETS = """
import os, types
import numpy as np, scipy.sparse as sp
from cnmf_engine.caiman.params import CNMFParams
from workshop_utils.widgets import players
from workshop_utils.widgets import sliders
rng = np.random.default_rng(0)
cn, pnr = rng.random((30, 40)).astype("f4"), 20 * rng.random((30, 40)).astype("f4")
opts = CNMFParams(params_dict={"init": {"gSig": (3, 3), "min_corr": 0.8, "min_pnr": 10}})
A = sp.csc_matrix(rng.random((1200, 2)).astype("f4"))
fit = types.SimpleNamespace(A=A, dims=(30, 40), SNR_comp=np.array([2.0, 9.0]), r_values=np.array([0.2, 0.9]))
"""
SHOWN = [
    "sliders.corr_pnr_tuner(None, cn, pnr, opts)",
    "sliders.evaluation_explorer(fit, opts)",
    "players.play([rng.random((9, 30, 40)).astype('f4')], fr=10)",
]


@pytest.fixture
def here(monkeypatch):
    """No wish in the environment, neither for this process nor for the kernels it starts."""
    monkeypatch.delenv("WORKSHOP_HEADLESS", raising=False)
    return monkeypatch


def pretend_kernel(monkeypatch, kernel):
    monkeypatch.setattr("IPython.get_ipython", lambda: SimpleNamespace(kernel=kernel))


def answering(parent):
    """A kernel whose running request is `parent`, on the shell channel only."""
    return SimpleNamespace(get_parent=lambda channel: {"shell": parent}[channel])


def test_an_executed_notebook_holds_a_picture_for_each_widget(here):
    cells = [nbformat.v4.new_code_cell(source) for source in (WIDGETS, *SHOWN)]
    notebook = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    for cell in cells[1:]:
        data = [output["data"] for output in cell["outputs"] if "data" in output]
        assert [sorted(bundle) for bundle in data] == [["image/png", "text/plain"]], cell["source"]
        (output,) = (output for output in cell["outputs"] if "data" in output)
        assert len(output["metadata"]["image/png"]["alt"]) > 20


def test_a_kernel_knows_who_asks(here):
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel()
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        answers = {}
        for attended in (True, False, True):
            out = io.StringIO()
            with redirect_stdout(out):
                client.execute_interactive(
                    "from workshop_utils.widgets.players import headless; print(headless())",
                    allow_stdin=attended, timeout=60,
                )  # fmt: skip
            answers[attended] = out.getvalue().strip()
        assert answers == {True: "False", False: "True"}
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def test_no_kernel_is_headless(here):
    assert headless() and not front_end.in_notebook() and not front_end.unattended()


@pytest.mark.parametrize(
    ("parent", "answer"),
    [
        ({"content": {"allow_stdin": False}}, True),
        ({"content": {"allow_stdin": True}}, False),
        ({"content": {"comm_id": "1", "data": {}}}, False),  # a slider was moved: somebody is there
        ({"content": {}}, False),
        ({}, False),
        (None, False),
        ({"content": None}, False),
    ],
)
def test_the_request_says_whether_anybody_can_answer(here, parent, answer):
    pretend_kernel(here, answering(parent))
    assert headless() is front_end.unattended() is answer


def test_kernels_without_ipykernels_interface_count_as_attended(here):
    pretend_kernel(here, SimpleNamespace())
    assert not headless()
    pretend_kernel(here, SimpleNamespace(get_parent=lambda: {"content": {"allow_stdin": False}}))
    assert not headless()


def test_the_environment_wins(here):
    pretend_kernel(here, answering({"content": {"allow_stdin": True}}))
    here.setenv("WORKSHOP_HEADLESS", "1")
    assert headless()
    pretend_kernel(here, answering({"content": {"allow_stdin": False}}))
    here.setenv("WORKSHOP_HEADLESS", "0")
    assert not headless()
